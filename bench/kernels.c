// SPDX-License-Identifier: Apache-2.0
// Single limbs, one thread, every kernel family that this processor can run, in place like the code that calls them.
#include "kernels/kernels.h"
#include "arith/arith.h"
#include "base/mem.h"
#include "base/rng.h"
#include "timing.h"
#include <stdio.h>

#define SECONDS 0.2 // a measurement
#define TERMS 5     // of the sums: digits of a key switch

typedef struct limb {
    vl_modulus mod;
    vl_automorphism turn;
    uint64_t *a, *b, *x[TERMS], *k0[TERMS], *k1[TERMS];
} limb;

static void ntt_forward(void *arg) {
    limb *l = arg;
    l->mod.k->ntt_forward(&l->mod, l->a, l->a);
}
static void ntt_inverse(void *arg) {
    limb *l = arg;
    l->mod.k->ntt_inverse(&l->mod, l->a, l->a, 1);
}
static void mul(void *arg) {
    limb *l = arg;
    l->mod.k->mul(&l->mod, l->a, l->a, l->b, (size_t)1 << l->mod.log_n);
}
static void turn(void *arg) {
    limb *l = arg;
    l->mod.k->automorphism(&l->turn, l->b, l->a);
}
static void dot2(void *arg) {
    limb *l = arg;
    l->mod.k->dot2(&l->mod, l->a, l->b, (const uint64_t *const *)l->x, (const uint64_t *const *)l->k0,
                   (const uint64_t *const *)l->k1, TERMS, (size_t)1 << l->mod.log_n);
}

static const struct {
    const char *name;
    void (*op)(void *arg);
    unsigned from; // smallest log2 N
} kernels[] = {
    {"ntt_forward", ntt_forward, 12}, {"ntt_inverse", ntt_inverse, 12},  {"kernel_mul", mul, 16},
    {"kernel_dot2", dot2, 16},        {"kernel_automorphism", turn, 16},
};
#define KERNELS (sizeof kernels / sizeof *kernels)

static void limb_clear(limb *l) {
    for (unsigned i = 0; i < TERMS; i++) {
        vl_free(l->x[i]);
        vl_free(l->k0[i]);
        vl_free(l->k1[i]);
    }
    vl_free(l->a);
    vl_free(l->b);
    if (l->turn.tables) vl_automorphism_clear(&l->turn);
    vl_modulus_clear(&l->mod);
}

static velum_status fill(vl_rng *rng, const vl_modulus *m, uint64_t **out) {
    size_t n = (size_t)1 << m->log_n;
    *out = vl_alloc_array(n, sizeof **out);
    VL_FAIL_IF(!*out, VELUM_E_NOMEM, "bench: a limb");
    vl_rng_uniform(rng, m->q, *out, n);
    return VELUM_OK;
}

static velum_status limb_init(limb *l, unsigned log_n, const vl_kernels *k) {
    uint64_t q;
    static const uint8_t seed[VL_SEED_BYTES] = {1};
    vl_rng rng;
    *l = (limb){0};
    VL_TRY(vl_arith_primes(log_n, VL_MAX_MODULUS_BITS, NULL, 0, 1, &q));
    VL_TRY(vl_modulus_init(&l->mod, q, log_n, k));
    vl_rng_init_seed(&rng, seed, log_n);
    velum_status status = fill(&rng, &l->mod, &l->a);
    if (status == VELUM_OK) status = fill(&rng, &l->mod, &l->b);
    for (unsigned i = 0; i < TERMS; i++) {
        if (status == VELUM_OK) status = fill(&rng, &l->mod, &l->x[i]);
        if (status == VELUM_OK) status = fill(&rng, &l->mod, &l->k0[i]);
        if (status == VELUM_OK) status = fill(&rng, &l->mod, &l->k1[i]);
    }
    if (status == VELUM_OK) status = vl_automorphism_init(&l->turn, log_n, 5);
    if (status != VELUM_OK) limb_clear(l);
    return status;
}

static velum_status time_family(const bench_run *run, unsigned log_n, const vl_kernels *k) {
    limb l;
    VL_TRY(limb_init(&l, log_n, k));
    velum_status status = VELUM_OK;
    for (size_t i = 0; i < KERNELS && status == VELUM_OK; i++) {
        if (log_n < kernels[i].from || !bench_wanted(run, kernels[i].name)) continue;
        velum_bench_result r = {.log_n = log_n, .limbs = 1, .threads = 1};
        snprintf(r.name, sizeof r.name, "%s", kernels[i].name);
        snprintf(r.kernel, sizeof r.kernel, "%s", k->name);
        status = bench_time(run, r, SECONDS, kernels[i].op, &l);
    }
    limb_clear(&l);
    return status;
}

velum_status bench_kernels(const bench_run *run) {
    for (unsigned log_n = 12; log_n <= 16; log_n++) {
        bool wanted = false;
        for (size_t i = 0; i < KERNELS; i++) wanted |= log_n >= kernels[i].from && bench_wanted(run, kernels[i].name);
        for (const vl_kernels *const *k = vl_kernels_available(); wanted && *k; k++)
            VL_TRY(time_family(run, log_n, *k));
    }
    return VELUM_OK;
}
