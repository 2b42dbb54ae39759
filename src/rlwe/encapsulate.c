// SPDX-License-Identifier: Apache-2.0
#include "rlwe/encapsulate.h"

#include "arith/arith.h"
#include "rlwe/keys.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define GROUP 8    // rotations multiplied at a time
#define STAGGER 40 // words between limbs of scratch, so that they do not all start in the same cache set
#define SLOT_LIMBS (GROUP + 3)

static size_t stride_of(const vl_params *p) { return p->ring.n + STAGGER; }
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

uint64_t vl_encapsulation_bytes(const vl_params *p, uint16_t level, uint32_t sums) {
    return (4 + 2 * (uint64_t)sums * (level + 1u)) * p->ring.n * sizeof(uint64_t);
}

static velum_status make_turns(const vl_params *p, vl_encapsulation *k) {
    k->turn = vl_alloc_array(k->sums, sizeof *k->turn);
    VL_FAIL_IF(!k->turn, VELUM_E_NOMEM, "no memory for an encapsulation key");
    for (uint32_t i = 1; i < k->sums; i++)
        VL_TRY(vl_automorphism_init(&k->turn[i], p->literal.log_n, vl_params_galois(p, (int32_t)i * k->step)));
    return VELUM_OK;
}

velum_status vl_encapsulation_init(const vl_params *p, uint32_t weight, uint16_t level, uint32_t sums, int32_t step,
                                   bool own_b, vl_encapsulation *out) {
    VL_TRY(vl_encapsulation_check(p, weight));
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_USAGE, "encapsulation: level %u, must be 2 to %u", level,
               p->ring.q_count);
    VL_FAIL_IF(sums == 0 || sums > VL_ENCAPSULATION_MAX_SUMS || (sums & (sums - 1)), VELUM_E_USAGE,
               "encapsulation: a sum of %u rotations, must be a power of two up to %d", sums,
               VL_ENCAPSULATION_MAX_SUMS);
    VL_TRY(vl_keys_check_security(p, level, true, "encapsulation key"));
    size_t n = p->ring.n, up = (size_t)sums * (level + 1u) * n;
    vl_encapsulation k = {.params = p, .weight = weight, .level = level, .sums = sums, .step = step};
    uint64_t bytes = vl_encapsulation_bytes(p, level, sums);
    k.block = vl_alloc_raw(own_b ? bytes : bytes / 2);
    velum_status status = k.block ? make_turns(p, &k) : VL_FAIL(VELUM_E_NOMEM, "no memory for an encapsulation key");
    if (status != VELUM_OK) {
        vl_encapsulation_free(&k);
        return status;
    }
    k.down_a = k.block;
    k.up_a = k.down_a + 2 * n;
    if (own_b) k.down_b = k.up_a + up;
    if (own_b) k.up_b = k.down_b + 2 * n;
    for (uint32_t i = 0; i < level; i++) k.p_inv[i] = vl_arith_inv(special(p)->q % p->literal.q[i], p->literal.q[i]);
    *out = k;
    return VELUM_OK;
}

// ---- generation ----
typedef struct make_job {
    const vl_params *p;
    const vl_secret_key *sk, *in; // the main secret, and that of what is raised
    vl_encapsulation *k;
    const int64_t *t;  // sparse secret, coefficients
    const int32_t *e;  // errors of down, then of the up keys
    uint64_t *scratch; // 4 limbs a slot
} make_job;

// Items: the limbs of each `up` key, then the two of `down`.
static void make_limb(void *arg, size_t item, uint32_t slot) {
    const make_job *j = arg;
    const vl_params *p = j->p;
    vl_encapsulation *k = j->k;
    size_t n = p->ring.n;
    uint32_t limbs = k->level + 1u, key = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    bool down = key == k->sums, last = down ? i == 1 : i == k->level;
    uint32_t index = last ? p->ring.q_count : i;
    const vl_modulus *m = &p->ring.mod[index];
    uint64_t *t = j->scratch + slot * 4 * n, *work = t + n;
    int64_t *words = (int64_t *)(t + 2 * n);
    const uint64_t *s = vl_poly_limb(&p->ring, (down ? j->in : j->sk)->s, index);
    m->k->from_i64(m, work, j->t, n);
    m->k->ntt_forward(m, work, work);
    if (!down && key > 0)
        m->k->automorphism(&k->turn[key], t, work);
    else
        memcpy(t, work, n * sizeof *t);
    uint64_t *b = down ? k->down_b + i * n : k->up_b + item * n, *a = down ? k->down_a + i * n : k->up_a + item * n;
    uint64_t stream = down ? index : (uint64_t)key * VL_MAX_LIMBS + index;
    const int32_t *e = j->e + (down ? 0 : key + 1u) * n;
    vl_keys_mask_error(m, k->seed[down ? 0 : 1], stream, e, down ? t : s, b, a, work, words, n);
    if (!last) m->k->mul_scalar_add(m, b, down ? s : t, special(p)->q % m->q, n);
}

static velum_status make(vl_exec *x, make_job *j, int8_t *small, int64_t *t, int32_t *e) {
    const vl_params *p = j->p;
    size_t n = p->ring.n;
    vl_rng rng;
    vl_rng_init_system(&rng);
    velum_status status = vl_rng_ternary_sparse(&rng, small, n, j->k->weight);
    for (uint32_t i = 0; i <= j->k->sums; i++) vl_rng_gaussian(&rng, e + i * n, n);
    vl_rng_clear(&rng);
    VL_TRY(status);
    for (size_t i = 0; i < n; i++) t[i] = small[i];
    j->t = t;
    j->e = e;
    vl_seed_system(j->k->seed[0]);
    vl_seed_system(j->k->seed[1]);
    vl_exec_each(x, vl_pool_threads(x->pool), j->k->sums * (j->k->level + 1u) + 2u, make_limb, j);
    return VELUM_OK;
}

velum_status vl_encapsulation_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, int8_t *in, uint32_t weight,
                                  uint16_t level, uint32_t sums, int32_t step, vl_encapsulation *out) {
    size_t n = p->ring.n;
    vl_encapsulation k;
    vl_secret_key other = {.coeffs = in};
    VL_TRY(vl_encapsulation_init(p, weight, level, sums, step, true, &k));
    int8_t *small = vl_secret_alloc(n);
    int64_t *t = vl_secret_alloc(n * sizeof *t);
    int32_t *e = vl_secret_alloc((sums + 1u) * n * sizeof *e);
    make_job job = {.p = p, .sk = sk, .in = in ? &other : sk, .k = &k};
    job.scratch = vl_secret_alloc(vl_pool_threads(x->pool) * 4 * n * sizeof(uint64_t));
    velum_status status = VELUM_OK;
    if (!small || !t || !e || !job.scratch)
        status = VL_FAIL(VELUM_E_NOMEM, "no guarded memory for an encapsulation key");
    if (status == VELUM_OK && in) status = vl_keys_expand_secret(p, &other);
    if (status == VELUM_OK) status = make(x, &job, small, t, e);
    vl_secret_free(other.s.x);
    vl_secret_free(small);
    vl_secret_free(t);
    vl_secret_free(e);
    vl_secret_free(job.scratch);
    if (status != VELUM_OK) {
        vl_encapsulation_free(&k);
        return status;
    }
    *out = k;
    return VELUM_OK;
}

void vl_encapsulation_free(vl_encapsulation *k) {
    if (!k) return;
    for (uint32_t i = 1; k->turn && i < k->sums; i++) vl_automorphism_clear(&k->turn[i]);
    vl_free(k->turn);
    vl_free(k->block);
    *k = (vl_encapsulation){0};
}

// ---- raising ----
typedef struct raise_job {
    const vl_encapsulation *k;
    vl_ciphertext *out;
    const int64_t *c0;  // signed coefficients, under t, the rotations already summed
    const uint64_t *c1; // coefficients modulo q_0
    uint64_t *up[2];    // limb of p of the products, as coefficients
    uint64_t *scratch;  // SLOT_LIMBS a slot
} raise_job;

// (u - up) / p over the limb of m, u and the result in the NTT domain, up coefficients modulo p.
static void divide(const vl_params *p, const vl_modulus *m, uint64_t inv, uint64_t *d, const uint64_t *u,
                   const uint64_t *up, uint64_t *t) {
    m->k->lift_centered(m, t, up, special(p)->q, p->ring.n);
    m->k->ntt_forward(m, t, t);
    m->k->sub_mul_scalar(m, d, u, t, inv, p->ring.n);
}

// Limb i of the sums of b_r x_r and a_r x_r over the rotations r of c1 (coefficients modulo q_0).
static void sum_up(const vl_encapsulation *k, uint32_t i, const uint64_t *c1, uint64_t *d0, uint64_t *d1,
                   uint64_t *scratch) {
    const vl_params *p = k->params;
    const vl_modulus *m = i == k->level ? special(p) : &p->ring.mod[i];
    size_t n = p->ring.n, stride = stride_of(p);
    uint64_t *x = scratch, *u0 = x + stride, *u1 = u0 + stride, *turned = u1 + stride;
    m->k->lift_centered(m, x, c1, p->literal.q[0], n);
    m->k->ntt_forward(m, x, x);
    for (uint32_t first = 0; first < k->sums; first += GROUP) {
        const uint64_t *v[GROUP], *b[GROUP], *a[GROUP];
        uint32_t count = k->sums - first < GROUP ? k->sums - first : GROUP;
        for (uint32_t r = 0; r < count; r++) {
            size_t at = ((size_t)(first + r) * (k->level + 1u) + i) * n;
            v[r] = first + r == 0 ? x : turned + r * stride;
            b[r] = k->up_b + at;
            a[r] = k->up_a + at;
            if (first + r > 0) m->k->automorphism(&k->turn[first + r], turned + r * stride, x);
        }
        m->k->dot2(m, first ? u0 : d0, first ? u1 : d1, v, b, a, count, n);
        if (first == 0) continue;
        m->k->add(m, d0, d0, u0, n);
        m->k->add(m, d1, d1, u1, n);
    }
}

static void raise_limb(void *arg, size_t item, uint32_t slot) {
    const raise_job *j = arg;
    const vl_encapsulation *k = j->k;
    const vl_params *p = k->params;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = &p->ring.mod[i];
    size_t n = p->ring.n;
    uint64_t *t = j->scratch + slot * SLOT_LIMBS * stride_of(p);
    uint64_t *d0 = j->out->c[0].x + i * n, *d1 = j->out->c[1].x + i * n;
    sum_up(k, i, j->c1, d0, d1, t);
    divide(p, m, k->p_inv[i], d0, d0, j->up[0], t);
    divide(p, m, k->p_inv[i], d1, d1, j->up[1], t);
    m->k->from_i64(m, t, j->c0, n);
    m->k->ntt_forward(m, t, t);
    m->k->add(m, d0, d0, t, n);
}

// ct modulo q_0 switched to t, as coefficients.
static void switch_down(const vl_encapsulation *k, const vl_ciphertext *ct, uint64_t *c0, uint64_t *c1,
                        uint64_t *const up[2], uint64_t *t) {
    const vl_params *p = k->params;
    const vl_modulus *m = &p->ring.mod[0], *s = special(p);
    size_t n = p->ring.n;
    m->k->ntt_inverse(m, c1, ct->c[1].x, 1);
    s->k->lift_centered(s, t, c1, m->q, n);
    s->k->ntt_forward(s, t, t);
    s->k->mul(s, up[0], t, k->down_b + n, n);
    s->k->mul(s, up[1], t, k->down_a + n, n);
    for (uint32_t i = 0; i < 2; i++) s->k->ntt_inverse(s, up[i], up[i], 1);
    m->k->mul(m, c0, ct->c[1].x, k->down_b, n);
    divide(p, m, k->p_inv[0], c0, c0, up[0], t);
    m->k->add(m, c0, c0, ct->c[0].x, n);
    m->k->mul(m, c1, ct->c[1].x, k->down_a, n);
    divide(p, m, k->p_inv[0], c1, c1, up[1], t);
    m->k->ntt_inverse(m, c0, c0, 1);
    m->k->ntt_inverse(m, c1, c1, 1);
}

// c = the sum of all rotations of the representatives of c modulo q_0 next to 0, in place; at most 2^6 2^49.
static void sum_turns(const vl_encapsulation *k, uint64_t *c, int64_t *t) {
    const vl_params *p = k->params;
    uint64_t q = p->literal.q[0], n = p->ring.n;
    int64_t *v = (int64_t *)c;
    for (uint64_t i = 0; i < n; i++) v[i] = c[i] > q / 2 ? (int64_t)(c[i] - q) : (int64_t)c[i];
    for (uint32_t by = 1; by < k->sums; by *= 2) {
        uint64_t g = k->turn[by].galois;
        memcpy(t, v, n * sizeof *t);
        for (uint64_t i = 0, to = 0; i < n; i++, to = (to + g) & (2 * n - 1)) v[to & (n - 1)] += to < n ? t[i] : -t[i];
    }
}

void vl_encapsulation_raise(vl_exec *x, const vl_encapsulation *k, uint16_t level, vl_ciphertext *out,
                            const vl_ciphertext *ct) {
    const vl_params *p = k->params;
    assert(ct->degree == 1 && level <= k->level && out->capacity >= level && out->c[0].x != ct->c[0].x);
    size_t n = p->ring.n, mark = vl_arena_mark(&x->arena), limb = n * sizeof(uint64_t);
    size_t slot_bytes = SLOT_LIMBS * stride_of(p) * sizeof(uint64_t);
    uint64_t *c0 = vl_arena_take(&x->arena, 4 * limb), *c1 = c0 + n;
    uint32_t slots = vl_exec_slots(x, level, slot_bytes);
    raise_job job = {.k = k, .out = out, .c0 = (int64_t *)c0, .c1 = c1, .up = {c0 + 2 * n, c0 + 3 * n}};
    job.scratch = vl_arena_take(&x->arena, slots * slot_bytes);
    switch_down(k, ct, c0, c1, job.up, job.scratch);
    sum_turns(k, c0, (int64_t *)job.scratch);
    sum_up(k, k->level, c1, job.up[0], job.up[1], job.scratch);
    for (uint32_t i = 0; i < 2; i++) special(p)->k->ntt_inverse(special(p), job.up[i], job.up[i], 1);
    for (uint32_t i = 0; i < 2; i++) {
        out->c[i].nq = level;
        out->c[i].np = 0;
    }
    out->level = level;
    out->degree = 1;
    out->scale = ct->scale;
    vl_exec_each(x, slots, level, raise_limb, &job);
    vl_arena_release(&x->arena, mark);
}

size_t vl_encapsulation_scratch(const vl_params *p) {
    size_t slot = vl_arena_need(SLOT_LIMBS * stride_of(p) * sizeof(uint64_t));
    return vl_arena_need(4 * p->ring.n * sizeof(uint64_t)) + vl_cpu_count() * slot + 256;
}
