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
} vl_memory_plan;
vl_memory_plan vl_runtime_plan(const vl_params *p, const vl_program *program);

typedef struct vl_runtime vl_runtime; // a program with its weights encoded; const once made
velum_status vl_runtime_new(vl_exec *x, const vl_params *p, const vl_encoder *e, const vl_program *program,
                            vl_runtime **out);
void vl_runtime_free(vl_runtime *r);

// The keys that a bootstrapped program needs beside its evaluation keys: as vl_bootstrap_keys_load.
velum_status vl_runtime_load_keys(vl_exec *x, const vl_params *p, const vl_program *program, vl_reader *r,
                                  vl_bootstrap_keys *out);

// Called before the first operation and after each: `done` of `count`, seconds so far, and how many are left by the
// operations' predicted times, scaled by how those before did.
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
// The same; probe (may be NULL) gets the result of each operation, `count` ciphertexts that it may read until it
// returns. Another status than VELUM_OK ends the run with it.
typedef velum_status (*vl_runtime_probe)(void *arg, uint32_t op, const vl_ciphertext *ct, uint32_t count);
velum_status vl_runtime_run_probe(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys,
                                  const vl_bootstrap_keys *own, const vl_ciphertext *in, vl_ciphertext *out,
                                  double *op_seconds, const vl_progress *progress, vl_runtime_probe probe, void *arg);

// ---- sim/ ---- the same program in the clear, slot by slot, by the same plans; levels and scales are tracked and
// checked against the program's. in: cts x slots of the input's layout; out: of the output's.
velum_status vl_sim_run(const vl_program *program, const double *in, double *out);
// The same of a program that was verified before, as every loaded one is: verifying takes as long as a run.
velum_status vl_sim_run_verified(const vl_program *program, const double *in, double *out);
// The same with normal noise on every slot of every result, of the deviation that encryption would leave there
// (docs/design/program.md): a model, by operation and independent from slot to slot. One seed, one result.
velum_status vl_sim_run_noisy(const vl_program *program, const double *in, uint64_t seed, double *out);
// Verified before, too; probe is called with the result of each operation, cts x slots.
typedef void (*vl_sim_probe)(void *arg, uint32_t op, const double *slots);
velum_status vl_sim_run_probe(const vl_program *program, const double *in, vl_sim_probe probe, void *arg, double *out);
// Both: with the model's noise.
velum_status vl_sim_run_noisy_probe(const vl_program *program, const double *in, uint64_t seed, vl_sim_probe probe,
                                    void *arg, double *out);

#endif
