// SPDX-License-Identifier: Apache-2.0
#include "rlwe/encapsulate.h"

#include "arith/arith.h"
#include "rlwe/keys.h"

#include <math.h>
#include <string.h>

static const vl_modulus *special(const vl_params *p) { return &p->ring.mod[p->ring.q_count]; }

double vl_encapsulation_log_modulus(const vl_params *p) {
    return log2((double)p->literal.q[0]) + log2((double)p->literal.p[0]);
}

velum_status vl_encapsulation_check(const vl_params *p, uint32_t weight, uint32_t subring) {
    const vl_params_literal *lit = &p->literal;
    VL_FAIL_IF(subring != 1 && subring != 2, VELUM_E_USAGE, "encapsulation: a secret in the powers of X^%u", subring);
    VL_FAIL_IF(weight == 0 || weight > p->ring.n / subring, VELUM_E_USAGE, "encapsulation: a secret of weight %u",
               weight);
    if (lit->security_bits == 0) return VELUM_OK;
    uint32_t log_n = lit->log_n - (subring == 2);
    double log_qp = vl_encapsulation_log_modulus(p);
    double limit = vl_security_max_log_qp(log_n, weight, lit->security_bits);
    VL_FAIL_IF(limit == 0, VELUM_E_INSECURE,
               "encapsulation: no limit is known for N=2^%u with a secret of weight %u at %u bits", log_n, weight,
               lit->security_bits);
    VL_FAIL_IF(!(log_qp <= limit), VELUM_E_INSECURE,
               "encapsulation key: log2 of its modulus is %.2f at N=2^%u and weight %u, the limit for %u bits is %.0f",
               log_qp, log_n, weight, lit->security_bits, limit);
    return VELUM_OK;
}

bool vl_encapsulation_same_shape(const vl_encapsulation_shape *a, const vl_encapsulation_shape *b) {
    return a->weight == b->weight && a->level == b->level && a->subring == b->subring && a->sums == b->sums &&
           (a->sums == 1 || a->step == b->step);
}

uint64_t vl_encapsulation_bytes(const vl_params *p, uint16_t level, uint32_t sums) {
    return (4 + 2 * (uint64_t)sums * (level + 1u)) * p->ring.n * sizeof(uint64_t);
}

static velum_status make_turns(const vl_params *p, vl_encapsulation *k) {
    k->turn = vl_alloc_array(k->shape.sums, sizeof *k->turn);
    VL_FAIL_IF(!k->turn, VELUM_E_NOMEM, "no memory for an encapsulation key");
    for (uint32_t i = 1; i < k->shape.sums; i++)
        VL_TRY(vl_automorphism_init(&k->turn[i], p->literal.log_n, vl_params_galois(p, (int32_t)i * k->shape.step)));
    return VELUM_OK;
}

velum_status vl_encapsulation_init(const vl_params *p, const vl_encapsulation_shape *shape, bool own_b,
                                   vl_encapsulation *out) {
    const uint32_t level = shape->level, sums = shape->sums;
    VL_TRY(vl_encapsulation_check(p, shape->weight, shape->subring));
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_USAGE, "encapsulation: level %u, must be 2 to %u", level,
               p->ring.q_count);
    VL_FAIL_IF(sums == 0 || sums > VL_ENCAPSULATION_MAX_SUMS || (sums & (sums - 1)), VELUM_E_USAGE,
               "encapsulation: a sum of %u rotations, must be a power of two up to %d", sums,
               VL_ENCAPSULATION_MAX_SUMS);
    VL_TRY(vl_keys_check_security(p, shape->level, true, "encapsulation key"));
    size_t n = p->ring.n, up = (size_t)sums * (level + 1u) * n;
    vl_encapsulation k = {.params = p, .shape = *shape};
    uint64_t bytes = vl_encapsulation_bytes(p, shape->level, sums);
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
    uint32_t limbs = k->shape.level + 1u, key = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    bool down = key == k->shape.sums, last = down ? i == 1 : i == k->shape.level;
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
    uint32_t subring = j->k->shape.subring;
    velum_status status = vl_rng_ternary_sparse(&rng, small, n / subring, j->k->shape.weight);
    for (uint32_t i = 0; i <= j->k->shape.sums; i++) vl_rng_gaussian(&rng, e + i * n, n);
    vl_rng_clear(&rng);
    VL_TRY(status);
    memset(t, 0, n * sizeof *t);
    for (size_t i = 0; i < n / subring; i++) t[i * subring] = small[i];
    j->t = t;
    j->e = e;
    vl_seed_system(j->k->seed[0]);
    vl_seed_system(j->k->seed[1]);
    vl_exec_each(x, vl_pool_threads(x->pool), j->k->shape.sums * (j->k->shape.level + 1u) + 2u, make_limb, j);
    return VELUM_OK;
}

velum_status vl_encapsulation_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, int8_t *in,
                                  const vl_encapsulation_shape *shape, vl_encapsulation *out) {
    size_t n = p->ring.n;
    vl_encapsulation k;
    vl_secret_key other = {.coeffs = in};
    VL_TRY(vl_encapsulation_init(p, shape, true, &k));
    int8_t *small = vl_secret_alloc(n);
    int64_t *t = vl_secret_alloc(n * sizeof *t);
    int32_t *e = vl_secret_alloc((shape->sums + 1u) * n * sizeof *e);
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
    for (uint32_t i = 1; k->turn && i < k->shape.sums; i++) vl_automorphism_clear(&k->turn[i]);
    vl_free(k->turn);
    vl_free(k->block);
    *k = (vl_encapsulation){0};
}
