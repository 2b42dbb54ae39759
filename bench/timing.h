// SPDX-License-Identifier: Apache-2.0
// Timing one operation: wall time of each repetition, minimum and median.
#ifndef VELUM_BENCH_TIMING_H
#define VELUM_BENCH_TIMING_H

#include "base/status.h"
#include <stdbool.h>
#include <velum/bench.h>

typedef struct bench_run { // one call of velum_bench_run
    const void *regex;     // regex_t, or NULL
    unsigned threads;
    void (*each)(void *user, const velum_bench_result *r);
    void (*progress)(void *user, const char *what);
    void *user;
} bench_run;

bool bench_wanted(const bench_run *run, const char *name);
// True if any of the NULL-terminated names is wanted.
bool bench_any_wanted(const bench_run *run, const char *const *names);
// Repeats op(arg) for at least `seconds` and at least 5 times after one repetition to warm up, and reports it. The
// result's name, kernel and shape are set by the caller.
velum_status bench_time(const bench_run *run, velum_bench_result result, double seconds, void (*op)(void *arg),
                        void *arg);
// So many repetitions, none to warm up: for what takes seconds.
velum_status bench_time_few(const bench_run *run, velum_bench_result result, uint32_t reps, void (*op)(void *arg),
                            void *arg);

// The groups of operations.
velum_status bench_kernels(const bench_run *run);   // kernels.c: single limbs, every kernel family
velum_status bench_mix(const bench_run *run);       // mix.c: a matrix of scalars times limbs, every kernel family
velum_status bench_ckks(const bench_run *run);      // ckks.c: whole operations on secure parameters
velum_status bench_bootstrap(const bench_run *run); // bootstrap.c: the named sets at N = 2^16
velum_status bench_lookup(const bench_run *run);    // lookup.c, codedhelut.c: encrypted embeddings, two methods
velum_status bench_spread(const bench_run *run);    // spread.c: a convolution of 512 pictures; only by a filter
velum_status bench_predict(const bench_run *run);   // predict.c: the compiler's predictions; only by a filter

#endif
