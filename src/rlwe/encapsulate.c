// SPDX-License-Identifier: Apache-2.0
#include "rlwe/encapsulate.h"

#include "arith/arith.h"
#include "rlwe/keys.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const vl_modulus *special(const vl_params *p) { return &p->ring.mod[p->ring.q_count]; }

double vl_encapsulation_log_modulus(const vl_params *p) {
    return log2((double)p->literal.q[0]) + log2((double)p->literal.p[0]);
}

velum_status vl_encapsulation_check(const vl_params *p, uint32_t weight) {
    const vl_params_literal *lit = &p->literal;
    VL_FAIL_IF(weight == 0 || weight > p->ring.n, VELUM_E_USAGE, "encapsulation: a secret of weight %u", weight);
    if (lit->security_bits == 0) return VELUM_OK;
    double log_qp = vl_encapsulation_log_modulus(p);
    double limit = vl_security_max_log_qp(lit->log_n, weight, lit->security_bits);
    VL_FAIL_IF(limit == 0, VELUM_E_INSECURE,
               "encapsulation: no limit is known for N=2^%u with a secret of weight %u at %u bits", lit->log_n, weight,
               lit->security_bits);
    VL_FAIL_IF(!(log_qp <= limit), VELUM_E_INSECURE,
               "encapsulation key: log2 of its modulus is %.2f at N=2^%u and weight %u, the limit for %u bits is %.0f",
               log_qp, lit->log_n, weight, lit->security_bits, limit);
    return VELUM_OK;
}

velum_status vl_encapsulation_init(const vl_params *p, uint32_t weight, uint16_t level, bool own_b,
                                   vl_encapsulation *out) {
    VL_TRY(vl_encapsulation_check(p, weight));
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_USAGE, "encapsulation: level %u, must be 2 to %u", level,
               p->ring.q_count);
    VL_TRY(vl_keys_check_security(p, level, true, "encapsulation key"));
    size_t n = p->ring.n;
    vl_encapsulation k = {.params = p, .weight = weight, .level = level};
    uint64_t bytes = vl_encapsulation_bytes(p, level);
    k.block = vl_alloc_raw(own_b ? bytes : bytes / 2);
    VL_FAIL_IF(!k.block, VELUM_E_NOMEM, "no memory for an encapsulation key");
    k.down_a = k.block;
    k.up_a = k.down_a + 2 * n;
    if (own_b) k.down_b = k.up_a + (level + 1u) * n;
    if (own_b) k.up_b = k.down_b + 2 * n;
    for (uint32_t i = 0; i < level; i++) k.p_inv[i] = vl_arith_inv(special(p)->q % p->literal.q[i], p->literal.q[i]);
    *out = k;
    return VELUM_OK;
}

uint64_t vl_encapsulation_bytes(const vl_params *p, uint16_t level) {
    return (4 + 2 * ((uint64_t)level + 1)) * p->ring.n * sizeof(uint64_t);
}

// ---- generation ----
typedef struct make_job {
    const vl_params *p;
    const vl_secret_key *sk;
    vl_encapsulation *k;
    const int64_t *t;    // sparse secret, coefficients
    const int32_t *e[2]; // errors of down and up
    uint64_t *scratch;   // 4 limbs a slot
} make_job;

// Item i: limb i of `up` (level: its special one), then the two limbs of `down`.
static void make_limb(void *arg, size_t item, uint32_t slot) {
    const make_job *j = arg;
    const vl_params *p = j->p;
    vl_encapsulation *k = j->k;
    size_t n = p->ring.n;
    uint32_t level = k->level, i = (uint32_t)item;
    bool down = i > level, last = down ? i == level + 2u : i == level;
    uint32_t index = last ? p->ring.q_count : down ? 0 : i;
    const vl_modulus *m = &p->ring.mod[index];
    uint64_t *t = j->scratch + slot * 4 * n, *work = t + n;
    int64_t *words = (int64_t *)(t + 2 * n);
    const uint64_t *s = vl_poly_limb(&p->ring, j->sk->s, index);
    m->k->from_i64(m, t, j->t, n);
    m->k->ntt_forward(m, t, t);
    uint64_t *b = down ? k->down_b + (last ? n : 0) : k->up_b + i * n;
    uint64_t *a = down ? k->down_a + (last ? n : 0) : k->up_a + i * n;
    vl_keys_mask_error(m, k->seed[down ? 0 : 1], index, j->e[down ? 0 : 1], down ? t : s, b, a, work, words, n);
    if (!last) m->k->mul_scalar_add(m, b, down ? s : t, special(p)->q % m->q, n);
}

static velum_status make(vl_exec *x, make_job *j, int8_t *small, int64_t *t, int32_t *e) {
    const vl_params *p = j->p;
    size_t n = p->ring.n;
    vl_rng rng;
    vl_rng_init_system(&rng);
    velum_status status = vl_rng_ternary_sparse(&rng, small, n, j->k->weight);
    vl_rng_gaussian(&rng, e, n);
    vl_rng_gaussian(&rng, e + n, n);
    vl_rng_clear(&rng);
    VL_TRY(status);
    for (size_t i = 0; i < n; i++) t[i] = small[i];
    j->t = t;
    j->e[0] = e;
    j->e[1] = e + n;
    vl_seed_system(j->k->seed[0]);
    vl_seed_system(j->k->seed[1]);
    vl_exec_each(x, vl_pool_threads(x->pool), j->k->level + 3u, make_limb, j);
    return VELUM_OK;
}

velum_status vl_encapsulation_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, uint32_t weight,
                                  uint16_t level, vl_encapsulation *out) {
    size_t n = p->ring.n;
    vl_encapsulation k;
    VL_TRY(vl_encapsulation_init(p, weight, level, true, &k));
    int8_t *small = vl_secret_alloc(n);
    int64_t *t = vl_secret_alloc(n * sizeof *t);
    int32_t *e = vl_secret_alloc(2 * n * sizeof *e);
    make_job job = {.p = p, .sk = sk, .k = &k};
    job.scratch = vl_secret_alloc(vl_pool_threads(x->pool) * 4 * n * sizeof(uint64_t));
    velum_status status = VELUM_OK;
    if (!small || !t || !e || !job.scratch)
        status = VL_FAIL(VELUM_E_NOMEM, "no guarded memory for an encapsulation key");
    else
        status = make(x, &job, small, t, e);
    vl_secret_free(small);
    vl_secret_free(t);
    vl_secret_free(e);
    vl_secret_free(job.scratch);
    if (status != VELUM_OK) {
        vl_free(k.block);
        return status;
    }
    *out = k;
    return VELUM_OK;
}

void vl_encapsulation_free(vl_encapsulation *k) {
    if (!k) return;
    vl_free(k->block);
    *k = (vl_encapsulation){0};
}

// ---- raising ----
typedef struct raise_job {
    const vl_encapsulation *k;
    vl_ciphertext *out;
    const uint64_t *c0, *c1; // coefficients modulo q_0, under t
    uint64_t *up[2];         // limb of p of the products, as coefficients
    uint64_t *scratch;       // 2 limbs a slot
} raise_job;

// c modulo p (a switch's special limb): dst[i] = coefficients of b c and a c modulo p.
static void special_products(const vl_params *p, const uint64_t *c, uint64_t from, const uint64_t *b, const uint64_t *a,
                             uint64_t *db, uint64_t *da, uint64_t *t) {
    const vl_modulus *m = special(p);
    size_t n = p->ring.n;
    m->k->lift_centered(m, t, c, from, n);
    m->k->ntt_forward(m, t, t);
    m->k->mul(m, db, t, b, n);
    m->k->mul(m, da, t, a, n);
    m->k->ntt_inverse(m, db, db, 1);
    m->k->ntt_inverse(m, da, da, 1);
}

// (u - up) / p over the limb of m, u and the result in the NTT domain, up coefficients modulo p.
static void divide(const vl_params *p, const vl_modulus *m, uint64_t inv, uint64_t *d, const uint64_t *u,
                   const uint64_t *up, uint64_t *t) {
    m->k->lift_centered(m, t, up, special(p)->q, p->ring.n);
    m->k->ntt_forward(m, t, t);
    m->k->sub_mul_scalar(m, d, u, t, inv, p->ring.n);
}

static void raise_limb(void *arg, size_t item, uint32_t slot) {
    const raise_job *j = arg;
    const vl_encapsulation *k = j->k;
    const vl_params *p = k->params;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = &p->ring.mod[i];
    uint64_t q0 = p->literal.q[0];
    size_t n = p->ring.n;
    uint64_t *t = j->scratch + slot * 2 * n, *u = t + n, *d0 = j->out->c[0].x + i * n, *d1 = j->out->c[1].x + i * n;
    m->k->lift_centered(m, t, j->c1, q0, n);
    m->k->ntt_forward(m, t, t);
    m->k->mul(m, d0, t, k->up_b + i * n, n);
    m->k->mul(m, d1, t, k->up_a + i * n, n);
    divide(p, m, k->p_inv[i], d0, d0, j->up[0], t);
    divide(p, m, k->p_inv[i], d1, d1, j->up[1], t);
    m->k->lift_centered(m, u, j->c0, q0, n);
    m->k->ntt_forward(m, u, u);
    m->k->add(m, d0, d0, u, n);
}

// ct modulo q_0 switched to t, as coefficients.
static void switch_down(const vl_encapsulation *k, const vl_ciphertext *ct, uint64_t *c0, uint64_t *c1,
                        uint64_t *const up[2], uint64_t *t) {
    const vl_params *p = k->params;
    const vl_modulus *m = &p->ring.mod[0];
    size_t n = p->ring.n;
    m->k->ntt_inverse(m, c1, ct->c[1].x, 1);
    special_products(p, c1, m->q, k->down_b + n, k->down_a + n, up[0], up[1], t);
    m->k->mul(m, c0, ct->c[1].x, k->down_b, n);
    divide(p, m, k->p_inv[0], c0, c0, up[0], t);
    m->k->add(m, c0, c0, ct->c[0].x, n);
    m->k->mul(m, c1, ct->c[1].x, k->down_a, n);
    divide(p, m, k->p_inv[0], c1, c1, up[1], t);
    m->k->ntt_inverse(m, c0, c0, 1);
    m->k->ntt_inverse(m, c1, c1, 1);
}

void vl_encapsulation_raise(vl_exec *x, const vl_encapsulation *k, uint16_t level, vl_ciphertext *out,
                            const vl_ciphertext *ct) {
    const vl_params *p = k->params;
    assert(ct->degree == 1 && level <= k->level && out->capacity >= level && out->c[0].x != ct->c[0].x);
    size_t n = p->ring.n, mark = vl_arena_mark(&x->arena), limb = n * sizeof(uint64_t);
    uint64_t *fixed = vl_arena_take(&x->arena, 5 * limb), *t = fixed + 4 * n;
    raise_job job = {.k = k, .out = out, .c0 = fixed, .c1 = fixed + n, .up = {fixed + 2 * n, fixed + 3 * n}};
    switch_down(k, ct, fixed, fixed + n, job.up, t);
    special_products(p, job.c1, p->literal.q[0], k->up_b + k->level * n, k->up_a + k->level * n, job.up[0], job.up[1],
                     t);
    for (uint32_t i = 0; i < 2; i++) {
        out->c[i].nq = level;
        out->c[i].np = 0;
    }
    out->level = level;
    out->degree = 1;
    out->scale = ct->scale;
    uint32_t slots = vl_exec_slots(x, level, 2 * limb);
    job.scratch = vl_arena_take(&x->arena, slots * 2 * limb);
    vl_exec_each(x, slots, level, raise_limb, &job);
    vl_arena_release(&x->arena, mark);
}

size_t vl_encapsulation_scratch(const vl_params *p) {
    return (5 + 2 * (size_t)vl_cpu_count()) * vl_arena_need(p->ring.n * sizeof(uint64_t)) + 256;
}
