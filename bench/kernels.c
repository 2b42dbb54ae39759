// SPDX-License-Identifier: Apache-2.0
// Single limbs and chains of them, one thread, every kernel family that this processor can run, in place like the code
// that calls them. One limb again and again finds its data and its prime's tables in the nearest caches; a chain, each
// limb once with a prime of its own, is what a key switch does.
#include "kernels/kernels.h"
#include "arith/arith.h"
#include "base/mem.h"
#include "base/rng.h"
#include "timing.h"
#include <stdio.h>

#define SECONDS 0.2 // a measurement
#define TERMS 5     // of the sums: digits of a key switch
#define CHAIN 36    // limbs of a key switch at N = 2^16

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

typedef struct chain {
    vl_modulus mod[CHAIN];
    uint64_t *a[CHAIN];
} chain;

static void forward_chain(void *arg) {
    chain *c = arg;
    for (unsigned i = 0; i < CHAIN; i++) c->mod[i].k->ntt_forward(&c->mod[i], c->a[i], c->a[i]);
}
static void inverse_chain(void *arg) {
    chain *c = arg;
    for (unsigned i = 0; i < CHAIN; i++) c->mod[i].k->ntt_inverse(&c->mod[i], c->a[i], c->a[i], 1);
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
#define CHAIN_LOG_N 16
static const struct {
    const char *name;
    void (*op)(void *arg);
} chains[] = {{"ntt_forward_chain", forward_chain}, {"ntt_inverse_chain", inverse_chain}};
#define CHAINS (sizeof chains / sizeof *chains)

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

static void chain_clear(chain *c) {
    for (unsigned i = 0; i < CHAIN; i++) {
        vl_free(c->a[i]);
        vl_modulus_clear(&c->mod[i]);
    }
}

static velum_status chain_init(chain *c, const vl_kernels *k) {
    uint64_t q[CHAIN];
    static const uint8_t seed[VL_SEED_BYTES] = {2};
    vl_rng rng;
    *c = (chain){0};
    vl_rng_init_seed(&rng, seed, 0);
    velum_status status = vl_arith_primes(CHAIN_LOG_N, VL_MAX_MODULUS_BITS, NULL, 0, CHAIN, q);
    for (unsigned i = 0; i < CHAIN; i++) {
        if (status == VELUM_OK) status = vl_modulus_init(&c->mod[i], q[i], CHAIN_LOG_N, k);
        if (status == VELUM_OK) status = fill(&rng, &c->mod[i], &c->a[i]);
    }
    if (status != VELUM_OK) chain_clear(c);
    return status;
}

static velum_status time_one(const bench_run *run, const char *name, const vl_kernels *k, unsigned log_n,
                             unsigned limbs, void (*op)(void *arg), void *arg) {
    velum_bench_result r = {.log_n = log_n, .limbs = limbs, .threads = 1};
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.kernel, sizeof r.kernel, "%s", k->name);
    return bench_time(run, r, SECONDS, op, arg);
}

static velum_status time_limb(const bench_run *run, unsigned log_n, const vl_kernels *k) {
    limb l;
    VL_TRY(limb_init(&l, log_n, k));
    velum_status status = VELUM_OK;
    for (size_t i = 0; i < KERNELS && status == VELUM_OK; i++)
        if (log_n >= kernels[i].from && bench_wanted(run, kernels[i].name))
            status = time_one(run, kernels[i].name, k, log_n, 1, kernels[i].op, &l);
    limb_clear(&l);
    return status;
}

static velum_status time_chain(const bench_run *run, const vl_kernels *k) {
    chain c;
    VL_TRY(chain_init(&c, k));
    velum_status status = VELUM_OK;
    for (size_t i = 0; i < CHAINS && status == VELUM_OK; i++)
        if (bench_wanted(run, chains[i].name))
            status = time_one(run, chains[i].name, k, CHAIN_LOG_N, CHAIN, chains[i].op, &c);
    chain_clear(&c);
    return status;
}

velum_status bench_kernels(const bench_run *run) {
    for (unsigned log_n = 12; log_n <= 16; log_n++) {
        bool wanted = false;
        for (size_t i = 0; i < KERNELS; i++) wanted |= log_n >= kernels[i].from && bench_wanted(run, kernels[i].name);
        for (const vl_kernels *const *k = vl_kernels_available(); wanted && *k; k++) VL_TRY(time_limb(run, log_n, *k));
    }
    bool wanted = false;
    for (size_t i = 0; i < CHAINS; i++) wanted |= bench_wanted(run, chains[i].name);
    for (const vl_kernels *const *k = vl_kernels_available(); wanted && *k; k++) VL_TRY(time_chain(run, *k));
    return VELUM_OK;
}
