// SPDX-License-Identifier: Apache-2.0
// Single limbs and chains of them, one thread, every kernel family that this processor can run, in place like the code
// that calls them. One limb again and again finds its data and its prime's tables in the nearest caches; a chain, each
// limb once with a prime of its own, is what a key switch does.
#include "kernels/kernels.h"
#include "arith/arith.h"
#include "base/mem.h"
#include "base/rng.h"
#include "rlwe/bases.h"
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

// A change of base as key switching makes it: a few targets at a time, always in the same place, and limbs that do not
// all start in the same cache set.
#define GROUP 6
#define STAGGER 40  // words
#define EXTENDED 37 // primes: sources and targets
static const struct {
    const char *name;
    uint32_t sources, targets;
} changes[] = {{"base_extend_12_24", 12, 24}, {"base_extend_13_19", 13, 19}};
#define CHANGES (sizeof changes / sizeof *changes)

typedef struct change {
    vl_params params; // its ring's degree
    vl_modulus mod[EXTENDED];
    vl_base_ext ext;
    uint64_t *limbs, *at[EXTENDED]; // sources, then a group of targets
} change;

static void extend(void *arg) {
    change *c = arg;
    for (uint32_t first = 0, last; first < c->ext.targets; first = last) {
        last = first + GROUP < c->ext.targets ? first + GROUP : c->ext.targets;
        vl_bases_extend(&c->params, &c->ext, first, last, c->at + c->ext.sources, (const uint64_t *const *)c->at);
    }
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

static void change_clear(change *c) {
    vl_base_ext_clear(&c->ext);
    vl_free(c->limbs);
    for (unsigned i = 0; i < EXTENDED; i++) vl_modulus_clear(&c->mod[i]);
    vl_free(c);
}

static velum_status change_init(change *c, const vl_kernels *k, uint32_t sources, uint32_t targets) {
    static const uint8_t seed[VL_SEED_BYTES] = {3};
    const size_t n = (size_t)1 << CHAIN_LOG_N, stride = n + STAGGER;
    const vl_modulus *m[EXTENDED];
    uint64_t q[EXTENDED];
    vl_rng rng;
    vl_rng_init_seed(&rng, seed, 0);
    c->params.ring.n = n;
    c->limbs = vl_alloc_array(EXTENDED * stride, sizeof *c->limbs);
    VL_FAIL_IF(!c->limbs, VELUM_E_NOMEM, "bench: limbs to extend");
    VL_TRY(vl_arith_primes(CHAIN_LOG_N, VL_MAX_MODULUS_BITS, NULL, 0, sources + targets, q));
    for (uint32_t i = 0; i < sources + targets; i++) {
        VL_TRY(vl_modulus_init(&c->mod[i], q[i], CHAIN_LOG_N, k));
        m[i] = &c->mod[i];
        c->at[i] = c->limbs + i * stride;
        vl_rng_uniform(&rng, q[i], c->at[i], n);
    }
    return vl_base_ext_init(&c->ext, m, sources, m + sources, targets);
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

static velum_status time_change(const bench_run *run, const vl_kernels *k, size_t i) {
    change *c = vl_alloc(sizeof *c);
    VL_FAIL_IF(!c, VELUM_E_NOMEM, "bench: a change of base");
    velum_status status = change_init(c, k, changes[i].sources, changes[i].targets);
    if (status == VELUM_OK) status = time_one(run, changes[i].name, k, CHAIN_LOG_N, changes[i].targets, extend, c);
    change_clear(c);
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
    for (size_t i = 0; i < CHANGES; i++)
        for (const vl_kernels *const *k = vl_kernels_available(); bench_wanted(run, changes[i].name) && *k; k++)
            VL_TRY(time_change(run, *k, i));
    return VELUM_OK;
}
