// SPDX-License-Identifier: Apache-2.0
// What planning, preparing and running share.
#ifndef VELUM_RUNTIME_INTERNAL_H
#define VELUM_RUNTIME_INTERNAL_H

#include "runtime/runtime.h"

typedef struct prepared { // one operation's constants
    vl_lintrans linear;   // LINTRANS
    int64_t *mix;         // MIX: rows x cols integers
    vl_poly *mask;        // MASK: of ciphertext i, number i modulo masks
    uint32_t masks;
    vl_sparsemap map;        // DIAGONALS
    vl_spread_coded *spread; // SPREAD; NULL where it is made at each use
} prepared;

// When values begin and end, and what they take. By value:
typedef struct vl_lifetimes {
    uint32_t *made;     // the operation that makes it; the input: UINT32_MAX
    uint32_t *last;     // the last operation that reads it; UINT32_MAX: the output
    uint16_t *capacity; // limbs that its ciphertexts are made with
} vl_lifetimes;
velum_status vl_lifetimes_new(const vl_program *program, vl_lifetimes *out);
void vl_lifetimes_clear(vl_lifetimes *t);
// Whether ciphertext i of the result comes from ciphertext i of each source alone, and takes no map of its own.
bool vl_runtime_is_each(vl_op_kind kind);
// Whether the result takes over the storage of src[0] where that is the run's own.
bool vl_runtime_in_place(const vl_program *program, const vl_lifetimes *t, uint32_t op);
// The largest set of ciphertexts alive at one time, in bytes, with so many threads.
uint64_t vl_lifetimes_peak(const vl_params *p, const vl_program *program, const vl_lifetimes *t, uint32_t threads);

struct vl_runtime {
    const vl_params *params;
    const vl_encoder *encoder;
    const vl_program *program;
    prepared *op;
    vl_bootstrap *bootstrap; // NULL where the program has none
    vl_lifetimes lives;
};

// last[value_count] alone.
void vl_runtime_last_uses(const vl_program *p, uint32_t *last);
// Limbs that the result of an operation is made with.
uint16_t vl_runtime_room(const vl_program *program, const vl_op *op);
// Arena bytes of an operation of vl_runtime_is_each, for one thread at work on one ciphertext.
uint64_t vl_runtime_each_scratch(const vl_params *p, const vl_program *program, const vl_op *op);
// The maps of SPREAD, from the program's numbers.
velum_status vl_runtime_encode_spread(vl_exec *x, const vl_encoder *e, const vl_program *program, const vl_op *op,
                                      vl_spread_coded **out);
// Of *spare bytes beyond one coefficient vector a diagonal, what DIAGONALS may take: its budget for
// vl_sparsemap_encode. Operations ask in the order of vl_runtime_turn. *spare UINT64_MAX: no limit.
uint64_t vl_runtime_budget(const vl_params *p, const vl_program *program, const vl_op *op, const vl_diagset_plan *plan,
                           uint64_t *spare);
// The next operation after `from` whose diagonals take 1 / gap of a limb's words: by descending gaps the shortest come
// first, of which most fit. op_count: none.
#define VL_RUNTIME_GAPS 5 // 16 and more, 8, 4, 2, 1
uint32_t vl_runtime_turn(const vl_program *program, uint32_t gap, uint32_t from);

// ---- running ----
typedef struct vl_held { // the ciphertexts of one program value
    vl_ciphertext *ct;   // NULL: not made yet, or not needed any more
    uint32_t count;
    bool owned;
} vl_held;
void vl_held_release(vl_held *v);

typedef struct vl_op_work { // one operation at work
    const vl_runtime *r;
    const vl_eval_keys *keys;
    const vl_bootstrap_keys *own; // of a bootstrap
    uint32_t index;
    vl_held *values;                          // all of the program's
    void (*tell)(void *arg, double finished); // from the calling thread: a part of the operation in (0, 1); may be NULL
    void *tell_arg;
} vl_op_work;
// Makes values[dst]; ciphertexts that nothing reads afterwards are freed as soon as they have been read.
velum_status vl_runtime_execute(const vl_op_work *s, vl_exec *x);

struct vl_run_state { // between two operations
    const vl_runtime *r;
    const vl_held *values;
    uint32_t next;
    double rate; // seconds for each predicted one
};
// Makes the values that a saved state holds. VELUM_E_FORMAT unless it fits the program in every number.
velum_status vl_run_restore(const vl_runtime *r, vl_exec *x, vl_reader *in, vl_held *values, uint32_t *next);

#endif
