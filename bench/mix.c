// SPDX-License-Identifier: Apache-2.0
// A matrix of scalars times limbs, every kernel family, one thread: what a convolution with scalar weights does. Limbs
// lie as those of ciphertexts do. Reported are seconds a product of a scalar and a limb.
#include "arith/arith.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "timing.h"
#include <stdio.h>

#define SECONDS 0.3
#define LOG_N 16
#define BITS 45
#define APART 8 // limbs from one ciphertext's to the next one's

static const struct { uint32_t rows, count; } shapes[] = {{16, 144}, {64, 288}};
#define SHAPES (sizeof shapes / sizeof *shapes)

typedef struct bench {
    const bench_run *run;
    vl_modulus mod;
    uint32_t rows, count;
    uint64_t **d, **x, *s;
} bench;

static void mix(void *arg) {
    bench *b = arg;
    b->mod.k->mix(&b->mod, b->d, b->rows, (const uint64_t *const *)b->x, b->count, b->s, (size_t)1 << LOG_N);
}

static void per_product(void *user, const velum_bench_result *whole) {
    const bench *b = user;
    velum_bench_result r = *whole;
    r.seconds_min /= (double)b->rows * b->count;
    r.seconds_median /= (double)b->rows * b->count;
    b->run->each(b->run->user, &r);
}

static void bench_clear(bench *b) {
    for (uint32_t i = 0; b->d && i < b->rows; i++) vl_free(b->d[i]);
    for (uint32_t i = 0; b->x && i < b->count; i++) vl_free(b->x[i]);
    vl_free(b->d);
    vl_free(b->x);
    vl_free(b->s);
    vl_modulus_clear(&b->mod);
}

static velum_status fill(bench *b, vl_rng *rng, uint64_t **list, uint32_t count) {
    const size_t n = (size_t)1 << LOG_N;
    for (uint32_t i = 0; i < count; i++) {
        list[i] = vl_alloc_raw(APART * n * sizeof **list); // only its first limb is ever touched
        VL_FAIL_IF(!list[i], VELUM_E_NOMEM, "bench: a limb");
        vl_rng_uniform(rng, b->mod.q, list[i], n);
    }
    return VELUM_OK;
}

static velum_status bench_init(bench *b, const vl_kernels *k) {
    static const uint8_t seed[VL_SEED_BYTES] = {3};
    uint64_t q;
    vl_rng rng;
    VL_TRY(vl_arith_primes(LOG_N, BITS, NULL, 0, 1, &q));
    VL_TRY(vl_modulus_init(&b->mod, q, LOG_N, k));
    b->d = vl_alloc_array(b->rows, sizeof *b->d);
    b->x = vl_alloc_array(b->count, sizeof *b->x);
    b->s = vl_alloc_array((size_t)b->rows * b->count, sizeof *b->s);
    VL_FAIL_IF(!b->d || !b->x || !b->s, VELUM_E_NOMEM, "bench: a matrix");
    vl_rng_init_seed(&rng, seed, 0);
    vl_rng_uniform(&rng, q, b->s, (size_t)b->rows * b->count);
    VL_TRY(fill(b, &rng, b->d, b->rows));
    return fill(b, &rng, b->x, b->count);
}

static velum_status time_shape(bench *b, const char *name, const vl_kernels *k) {
    bench_run each = *b->run;
    each.each = per_product;
    each.user = b;
    each.progress = NULL;
    velum_bench_result r = {.log_n = LOG_N, .limbs = b->count, .threads = 1};
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.kernel, sizeof r.kernel, "%s", k->name);
    VL_TRY(bench_init(b, k));
    return bench_time(&each, r, SECONDS, mix, b);
}

velum_status bench_mix(const bench_run *run) {
    for (size_t i = 0; i < SHAPES; i++) {
        char name[32];
        snprintf(name, sizeof name, "mix_%ux%u", shapes[i].rows, shapes[i].count);
        for (const vl_kernels *const *k = vl_kernels_available(); bench_wanted(run, name) && *k; k++) {
            if (run->progress) run->progress(run->user, name);
            bench b = {.run = run, .rows = shapes[i].rows, .count = shapes[i].count};
            velum_status status = time_shape(&b, name, *k);
            bench_clear(&b);
            VL_TRY(status);
        }
    }
    return VELUM_OK;
}
