// SPDX-License-Identifier: Apache-2.0
#include "timing.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_REPS 5
#define MAX_REPS 65536

bool bench_wanted(const bench_run *run, const char *name) {
    return !run->regex || regexec(run->regex, name, 0, NULL, 0) == 0;
}

bool bench_any_wanted(const bench_run *run, const char *const *names) {
    for (; *names; names++)
        if (bench_wanted(run, *names)) return true;
    return false;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Repetitions until there are `few` and `seconds` have passed.
static velum_status time_op(const bench_run *run, velum_bench_result result, uint32_t few, double seconds,
                            void (*op)(void *arg), void *arg) {
    double *sample = vl_alloc_array(MAX_REPS, sizeof *sample);
    VL_FAIL_IF(!sample, VELUM_E_NOMEM, "bench: %s", result.name);
    uint32_t reps = 0;
    double start = vl_now(), t = start;
    while (reps < MAX_REPS && (reps < few || t - start < seconds)) {
        op(arg);
        double after = vl_now();
        sample[reps++] = after - t;
        t = after;
    }
    qsort(sample, reps, sizeof *sample, by_size);
    result.reps = reps;
    result.seconds_min = sample[0];
    result.seconds_median = reps % 2 ? sample[reps / 2] : 0.5 * (sample[reps / 2 - 1] + sample[reps / 2]);
    vl_free(sample);
    run->each(run->user, &result);
    return VELUM_OK;
}

static void announce(const bench_run *run, const velum_bench_result *result) {
    char what[128];
    snprintf(what, sizeof what, "%s, N = 2^%u, %u limb%s", result->name, result->log_n, result->limbs,
             result->limbs == 1 ? "" : "s");
    if (run->progress) run->progress(run->user, what);
}

velum_status bench_time(const bench_run *run, velum_bench_result result, double seconds, void (*op)(void *arg),
                        void *arg) {
    announce(run, &result);
    op(arg);
    return time_op(run, result, MIN_REPS, seconds, op, arg);
}

velum_status bench_time_few(const bench_run *run, velum_bench_result result, uint32_t reps, void (*op)(void *arg),
                            void *arg) {
    announce(run, &result);
    return time_op(run, result, reps, 0, op, arg);
}

velum_status velum_bench_run(const char *name_regex, unsigned threads,
                             void (*each)(void *user, const velum_bench_result *r),
                             void (*progress)(void *user, const char *what), void *user) {
    VL_FAIL_IF(!each, VELUM_E_USAGE, "bench: no function for the results");
    regex_t regex;
    if (name_regex) {
        int error = regcomp(&regex, name_regex, REG_EXTENDED | REG_NOSUB);
        char why[128];
        if (error) regerror(error, &regex, why, sizeof why);
        VL_FAIL_IF(error, VELUM_E_USAGE, "'%s' is no regular expression: %s", name_regex, why);
    }
    bench_run run = {name_regex ? &regex : NULL, threads, each, progress, user};
    velum_status status = bench_kernels(&run);
    if (status == VELUM_OK) status = bench_mix(&run);
    if (status == VELUM_OK) status = bench_ckks(&run);
    if (status == VELUM_OK) status = bench_bootstrap(&run);
    if (status == VELUM_OK) status = bench_lookup(&run);
    if (status == VELUM_OK) status = bench_spread(&run);
    if (status == VELUM_OK) status = bench_predict(&run);
    if (name_regex) regfree(&regex);
    return status;
}

static char machine[512];

static void describe(void) {
    int at = snprintf(machine, sizeof machine, "%s; kernels", vl_cpu_name());
    for (const vl_kernels *const *k = vl_kernels_available(); *k && at < (int)sizeof machine; k++)
        at += snprintf(machine + at, sizeof machine - (size_t)at, " %s", (*k)->name);
}

const char *velum_bench_machine(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe);
    return machine;
}
