// SPDX-License-Identifier: Apache-2.0
// Executes a program on ciphertexts. Everything that can be refused was refused by the program's verifier; what is left
// to fail is memory.
#ifndef VELUM_RUNTIME_RUNTIME_H
#define VELUM_RUNTIME_RUNTIME_H

#include "program/program.h"

// What a run takes, in bytes, known before it starts.
typedef struct vl_memory_plan {
    uint64_t tables;      // rings and encoder
    uint64_t program;     // its weights in the clear
    uint64_t weights;     // encoded plaintexts
    uint64_t bootstrap;   // matrices of its bootstrap
    uint64_t keys;        // evaluation keys, expanded
    uint64_t ciphertexts; // largest set alive at one time, one group
    uint64_t scratch;     // arena
    uint64_t total;
    uint64_t
        spare; // what diagonals may take beyond their least, so that total <= program->memory_bytes; UINT64_MAX: all
    uint32_t threads; // that work side by side on ciphertexts of their own: as many as asked for, or fewer
    bool maps_at_use; // maps of SPREAD are made at each use and not kept
} vl_memory_plan;
// Of a run that owns its input. threads 0: as many as there are cores.
vl_memory_plan vl_runtime_plan_threads(const vl_params *p, const vl_program *program, uint32_t threads);
vl_memory_plan vl_runtime_plan(const vl_params *p, const vl_program *program); // threads 0
// Adds to the operations' predicted seconds what their diagonals take that such a server keeps as coefficients.
velum_status vl_runtime_price_diagonals(const vl_params *p, vl_program *program);

typedef struct vl_runtime vl_runtime; // a program with its weights encoded; const once made
velum_status vl_runtime_new(vl_exec *x, const vl_params *p, const vl_encoder *e, const vl_program *program,
                            vl_runtime **out);
void vl_runtime_free(vl_runtime *r);

// The keys that a bootstrapped program needs beside its evaluation keys: as vl_bootstrap_keys_load.
velum_status vl_runtime_load_keys(vl_exec *x, const vl_params *p, const vl_program *program, vl_reader *r,
                                  vl_bootstrap_keys *out);

// Called before the first operation, after each and now and then inside one of many ciphertexts: `done` of `count`,
// seconds so far, and how many are left by the operations' predicted times, scaled by how those before did.
typedef struct vl_progress {
    void (*report)(void *arg, uint32_t done, uint32_t count, double seconds, double left);
    void *arg;
} vl_progress;

// One group of requests: in[values[0].layout.cts] fresh ciphertexts at the input's level; out[out.cts] are made and
// belong to the caller. own: a bootstrapped program's further keys, else NULL. op_seconds (may be NULL) gets the time
// of each operation added; progress may be NULL. The exec's arena must have vl_runtime_plan().scratch bytes. Answers
// are re-randomised with keys->zero_*. VELUM_E_MISMATCH for a key that a bootstrap lacks.
velum_status vl_runtime_run(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, const vl_bootstrap_keys *own,
                            const vl_ciphertext *in, vl_ciphertext *out, double *op_seconds,
                            const vl_progress *progress);
// The same with more to say. Zero-initialise: none of it.
typedef struct vl_run_state vl_run_state; // what a run holds between two operations
typedef struct vl_run_options {
    bool takes_input; // in[] becomes the run's and is left empty: each ciphertext is freed after its last reader
    double *op_seconds;
    const vl_progress *progress;
    // Gets the result of each operation: `count` ciphertexts that it may read until it returns. Another status than
    // VELUM_OK ends the run with it, here and next.
    velum_status (*probe)(void *arg, uint32_t op, const vl_ciphertext *ct, uint32_t count);
    velum_status (*between)(void *arg, const vl_run_state *state); // after every operation but the last
    void (*begin)(void *arg); // before the first operation: `resume` has been read; may be NULL
    void *arg;                // of all three
    // What vl_run_save wrote of the same program's run on the same input: the run goes on from there. Read up to its
    // end, and checked: VELUM_E_FORMAT before any operation.
    vl_reader *resume;
} vl_run_options;
velum_status vl_runtime_run_with(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys,
                                 const vl_bootstrap_keys *own, vl_ciphertext *in, vl_ciphertext *out,
                                 const vl_run_options *o);
uint32_t vl_run_next(const vl_run_state *s);  // operation
uint64_t vl_run_bytes(const vl_run_state *s); // that vl_run_save writes
void vl_run_save(const vl_run_state *s, vl_writer *w);
// Whether, by predicted times, so many seconds from now it will be less by a quarter, or the run over.
bool vl_run_less_ahead(const vl_run_state *s, double seconds);

// ---- sim/ ---- the same program in the clear, slot by slot, by the same plans; levels and scales are tracked and
// checked against the program's. in: cts x vl_layout_room of the input's layout; out: of the output's.
velum_status vl_sim_run(const vl_program *program, const double *in, double *out);
// The same of a program that was verified before, as every loaded one is: verifying takes as long as a run.
velum_status vl_sim_run_verified(const vl_program *program, const double *in, double *out);
// The same with normal noise on every slot of every result, of the deviation that encryption would leave there
// (docs/design/program.md): a model, by operation and independent from slot to slot. One seed, one result.
velum_status vl_sim_run_noisy(const vl_program *program, const double *in, uint64_t seed, double *out);
// Verified before, too; probe is called with the result of each operation, cts x vl_layout_room.
typedef void (*vl_sim_probe)(void *arg, uint32_t op, const double *slots);
velum_status vl_sim_run_probe(const vl_program *program, const double *in, vl_sim_probe probe, void *arg, double *out);
// Both: with the model's noise.
velum_status vl_sim_run_noisy_probe(const vl_program *program, const double *in, uint64_t seed, vl_sim_probe probe,
                                    void *arg, double *out);
// A program whose values are all pictures treats its requests one as the other, and the parts too: *out is the same one
// with room for `requests` (at most slots / period, else that many) in fewer slots and the real part alone, to be
// simulated in as much less time, and with the same deviations of noise. Any other program stays as it is. It shares
// all with `program` but its values: vl_free(out->values). For what does not verify (vl_sim_run_verified and the
// probes): it is no program of its ring.
velum_status vl_sim_narrow(const vl_program *program, uint32_t requests, vl_program *out);

#endif
