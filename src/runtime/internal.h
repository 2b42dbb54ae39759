// SPDX-License-Identifier: Apache-2.0
// What planning, preparing and running share.
#ifndef VELUM_RUNTIME_INTERNAL_H
#define VELUM_RUNTIME_INTERNAL_H

#include "runtime/runtime.h"

typedef struct prepared { // one operation's constants
    vl_lintrans linear;   // LINTRANS
    int64_t *mix;         // MIX: rows x cols integers
    vl_poly mask;         // MASK
    vl_sparsemap map;     // DIAGONALS
} prepared;

struct vl_runtime {
    const vl_params *params;
    const vl_program *program;
    prepared *op;
    vl_bootstrap *bootstrap; // NULL where the program has none
    uint32_t *last_use;      // by value: the last operation that reads it
};

// Limbs that the result of an operation is made with.
uint16_t vl_runtime_room(const vl_program *program, const vl_op *op);
// last[value_count]; UINT32_MAX: the output.
void vl_runtime_last_uses(const vl_program *p, uint32_t *last);
// Of *spare bytes beyond one coefficient vector a diagonal, what DIAGONALS may take: its budget for
// vl_sparsemap_encode. Operations ask in the order of vl_runtime_turn. *spare UINT64_MAX: no limit.
uint64_t vl_runtime_budget(const vl_params *p, const vl_program *program, const vl_op *op, const vl_diagset_plan *plan,
                           uint64_t *spare);
// The next operation after `from` whose diagonals take 1 / gap of a limb's words: by descending gaps the shortest come
// first, of which most fit. op_count: none.
#define VL_RUNTIME_GAPS 5 // 16 and more, 8, 4, 2, 1
uint32_t vl_runtime_turn(const vl_program *program, uint32_t gap, uint32_t from);

#endif
