// SPDX-License-Identifier: Apache-2.0
#include "rlwe/keys.h"

#include "arith/arith.h"
#include "rlwe/bases.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STAGGER 40 // words between the polynomials of a key, so that they do not all start in the same cache set

// ---- secret key ----
velum_status vl_keys_expand_secret(const vl_params *p, vl_secret_key *sk) {
    const vl_ring *ring = &p->ring;
    int64_t *words = vl_secret_alloc(ring->n * sizeof *words);
    uint64_t *s = vl_secret_alloc(vl_poly_bytes(ring, ring->q_count, ring->p_count));
    if (!words || !s) {
        vl_secret_free(words);
        vl_secret_free(s);
        return VL_FAIL(VELUM_E_NOMEM, "no guarded memory for a secret key");
    }
    for (size_t k = 0; k < ring->n; k++) words[k] = sk->coeffs[k];
    sk->s = (vl_poly){s, (uint16_t)ring->q_count, (uint16_t)ring->p_count};
    vl_ring_from_i64(NULL, ring, sk->s, words);
    vl_ring_ntt(NULL, ring, sk->s, sk->s);
    vl_secret_free(words);
    return VELUM_OK;
}

velum_status vl_secret_key_new(const vl_params *p, vl_secret_key *out) {
    vl_secret_key sk = {.coeffs = vl_secret_alloc(p->ring.n)};
    VL_FAIL_IF(!sk.coeffs, VELUM_E_NOMEM, "no guarded memory for a secret key");
    velum_status status = VELUM_OK;
    vl_rng rng;
    vl_rng_init_system(&rng);
    if (p->literal.secret_weight)
        status = vl_rng_ternary_sparse(&rng, sk.coeffs, p->ring.n, p->literal.secret_weight);
    else
        vl_rng_ternary(&rng, sk.coeffs, p->ring.n);
    vl_rng_clear(&rng);
    if (status == VELUM_OK) status = vl_keys_expand_secret(p, &sk);
    if (status != VELUM_OK) {
        vl_secret_key_free(&sk);
        return status;
    }
    *out = sk;
    return VELUM_OK;
}

void vl_secret_key_free(vl_secret_key *sk) {
    if (!sk) return;
    vl_secret_free(sk->coeffs);
    vl_secret_free(sk->s.x);
    *sk = (vl_secret_key){0};
}

// ---- evaluation keys ----
velum_status vl_keys_init(const vl_params *p, uint64_t galois, uint16_t nq, vl_switch_key *key) {
    const vl_ring *ring = &p->ring;
    vl_switch_key made = {.galois = galois, .nq = nq, .digits = (uint16_t)vl_bases_digits(p, nq)};
    size_t poly = (size_t)(nq + ring->p_count) * ring->n + STAGGER;
    made.block = vl_alloc_raw(2 * made.digits * poly * sizeof(uint64_t));
    VL_FAIL_IF(!made.block, VELUM_E_NOMEM, "no memory for a key of %u digits at level %u", made.digits, nq);
    for (uint32_t j = 0; j < made.digits; j++) {
        made.b[j] = (vl_poly){made.block + 2 * j * poly, nq, (uint16_t)ring->p_count};
        made.a[j] = (vl_poly){made.block + (2 * j + 1) * poly, nq, (uint16_t)ring->p_count};
    }
    if (galois) {
        velum_status status = vl_automorphism_init(&made.perm, ring->log_n, galois);
        if (status != VELUM_OK) {
            vl_free(made.block);
            return status;
        }
    }
    *key = made;
    return VELUM_OK;
}

void vl_keys_clear(vl_switch_key *key) {
    if (key->block && key->galois) vl_automorphism_clear(&key->perm);
    vl_free(key->block);
    memset(key, 0, sizeof *key);
}

void vl_eval_keys_free(vl_eval_keys *keys) {
    if (!keys) return;
    for (uint32_t i = 0; i < keys->count && keys->key; i++) vl_keys_clear(&keys->key[i]);
    vl_free(keys->key);
    vl_poly_free(&keys->zero_b);
    vl_poly_free(&keys->zero_a);
    memset(keys, 0, sizeof *keys);
}

const vl_switch_key *vl_eval_keys_find(const vl_eval_keys *keys, uint64_t galois) {
    uint32_t lo = 0, hi = keys->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (keys->key[mid].galois < galois)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < keys->count && keys->key[lo].galois == galois ? &keys->key[lo] : NULL;
}

velum_status vl_keys_check_security(const vl_params *p, uint16_t nq, bool with_special, const char *what) {
    const vl_params_literal *lit = &p->literal;
    if (lit->security_bits == 0) return VELUM_OK;
    double log_qp = vl_arith_log2_product(lit->q, nq);
    if (with_special) log_qp += vl_arith_log2_product(lit->p, lit->p_count);
    double limit = vl_security_max_log_qp(lit->log_n, lit->secret_weight, lit->security_bits);
    VL_FAIL_IF(!(log_qp <= limit), VELUM_E_INSECURE,
               "%s: log2 of its modulus is %.2f at N=2^%u, the limit for %u bits of security is %.0f", what, log_qp,
               lit->log_n, lit->security_bits, limit);
    return VELUM_OK;
}

// ---- generation ----
typedef struct generate_job {
    const vl_params *p;
    const vl_secret_key *sk;
    vl_switch_key *key;
    vl_automorphism inverse; // X -> X^{1/g}
    vl_poly zero_b, zero_a;  // instead of a switching key
    const uint8_t *seed;
    int32_t *e;       // N an item of the first phase
    uint8_t *scratch; // slot_bytes a slot
    size_t slot_bytes;
} generate_job;

static void sample_error(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    (void)slot;
    vl_rng rng;
    vl_rng_init_system(&rng);
    vl_rng_gaussian(&rng, w->e + item * w->p->ring.n, w->p->ring.n);
    vl_rng_clear(&rng);
}

void vl_keys_mask_error(const vl_modulus *m, const uint8_t *seed, uint64_t domain, const int32_t *e, const uint64_t *s,
                        uint64_t *b, uint64_t *a, uint64_t *t, int64_t *words, size_t n) {
    vl_rng rng;
    vl_rng_init_seed(&rng, seed, domain);
    vl_rng_uniform(&rng, m->q, a, n);
    for (size_t k = 0; k < n; k++) words[k] = e[k];
    m->k->from_i64(m, t, words, n);
    m->k->ntt_forward(m, t, t);
    uint64_t *as = (uint64_t *)words;
    m->k->mul(m, as, a, s, n);
    m->k->sub(m, b, t, as, n);
}

static void make_key_limb(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    const vl_ring *ring = &w->p->ring;
    vl_switch_key *key = w->key;
    size_t n = ring->n;
    uint32_t limbs = key->nq + ring->p_count, j = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    uint32_t index = i < key->nq ? i : ring->q_count + (i - key->nq);
    const vl_modulus *m = &ring->mod[index];
    uint64_t *t = (uint64_t *)(w->scratch + slot * w->slot_bytes), *target = t + n;
    int64_t *words = (int64_t *)(target + n);
    const uint64_t *s = vl_poly_limb(ring, w->sk->s, index), *to = s;
    if (key->galois) {
        m->k->automorphism(&w->inverse, target, s);
        to = target;
    }
    uint64_t *b = vl_poly_limb(ring, key->b[j], i), *a = vl_poly_limb(ring, key->a[j], i);
    vl_keys_mask_error(m, key->seed, (uint64_t)j * VL_MAX_LIMBS + index, w->e + j * n, to, b, a, t, words, n);
    if (i >= key->nq || i / w->p->literal.digit_limbs != j) return;
    const uint64_t *from = s;
    if (!key->galois) {
        m->k->mul(m, t, s, s, n);
        from = t;
    }
    m->k->mul_scalar_add(m, b, from, w->p->bases->p_mod[i], n);
}

static void make_zero_limb(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    const vl_ring *ring = &w->p->ring;
    uint32_t i = (uint32_t)item;
    uint64_t *t = (uint64_t *)(w->scratch + slot * w->slot_bytes);
    vl_keys_mask_error(&ring->mod[i], w->seed, i, w->e, vl_poly_limb(ring, w->sk->s, i),
                       vl_poly_limb(ring, w->zero_b, i), vl_poly_limb(ring, w->zero_a, i), t,
                       (int64_t *)(t + 2 * (size_t)ring->n), ring->n);
}

// g^-1 mod 2N: the group's exponent divides N/2 (and g^2 = 1 for N = 2).
static uint64_t inverse_galois(uint64_t g, uint64_t n) {
    uint64_t mask = 2 * n - 1, r = 1;
    for (uint64_t e = n / 2 - 1; e; e >>= 1, g = g * g & mask)
        if (e & 1) r = r * g & mask;
    return r;
}

static velum_status make_key(vl_exec *x, generate_job *w, uint32_t slots, vl_switch_key *key) {
    const vl_ring *ring = &w->p->ring;
    w->key = key;
    if (key->galois) VL_TRY(vl_automorphism_init(&w->inverse, ring->log_n, inverse_galois(key->galois, ring->n)));
    vl_seed_system(key->seed);
    vl_exec_each(x, vl_exec_slots(x, key->digits, 0), key->digits, sample_error, w);
    vl_exec_each(x, slots, (size_t)key->digits * (key->nq + ring->p_count), make_key_limb, w);
    if (key->galois) vl_automorphism_clear(&w->inverse);
    return VELUM_OK;
}

static velum_status make_zero(vl_exec *x, generate_job *w, uint32_t slots, uint16_t zero_nq, vl_eval_keys *made) {
    VL_TRY(vl_poly_new(&w->p->ring, zero_nq, 0, &made->zero_b));
    VL_TRY(vl_poly_new(&w->p->ring, zero_nq, 0, &made->zero_a));
    made->zero_nq = zero_nq;
    vl_seed_system(made->zero_seed);
    w->zero_b = made->zero_b;
    w->zero_a = made->zero_a;
    w->seed = made->zero_seed;
    sample_error(w, 0, 0);
    vl_exec_each(x, slots, zero_nq, make_zero_limb, w);
    return VELUM_OK;
}

static velum_status generate(vl_exec *x, const vl_params *p, const vl_secret_key *sk, uint16_t zero_nq,
                             vl_eval_keys *made) {
    generate_job w = {.p = p, .sk = sk, .slot_bytes = 3 * (size_t)p->ring.n * sizeof(uint64_t)};
    uint32_t slots = vl_pool_threads(x->pool);
    w.e = vl_secret_alloc((size_t)p->digits * p->ring.n * sizeof *w.e);
    w.scratch = vl_secret_alloc(slots * w.slot_bytes);
    velum_status status = VELUM_OK;
    if (!w.e || !w.scratch) status = VL_FAIL(VELUM_E_NOMEM, "no guarded memory to generate keys");
    for (uint32_t i = 0; i < made->count && status == VELUM_OK; i++) status = make_key(x, &w, slots, &made->key[i]);
    if (zero_nq && status == VELUM_OK) status = make_zero(x, &w, slots, zero_nq, made);
    vl_secret_free(w.e);
    vl_secret_free(w.scratch);
    return status;
}

static velum_status check_requests(const vl_params *p, const vl_key_request *requests, uint32_t count,
                                   uint16_t zero_nq) {
    VL_FAIL_IF(zero_nq > p->ring.q_count, VELUM_E_USAGE, "public encryption key: level %u, must be at most %u", zero_nq,
               p->ring.q_count);
    if (zero_nq) VL_TRY(vl_keys_check_security(p, zero_nq, false, "public encryption key"));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t g = requests[i].galois;
        uint16_t level = requests[i].level;
        VL_FAIL_IF(g != 0 && (g % 2 == 0 || g >= 2 * (uint64_t)p->ring.n), VELUM_E_USAGE,
                   "key request %u: Galois element %" PRIu64 " is not odd and below 2N", i, g);
        VL_FAIL_IF(level == 0 || level > p->ring.q_count, VELUM_E_USAGE, "key request %u: level %u, must be 1 to %u", i,
                   level, p->ring.q_count);
        VL_TRY(vl_keys_check_security(p, level, true, g ? "rotation key" : "relinearisation key"));
    }
    return VELUM_OK;
}

static int by_galois(const void *a, const void *b) {
    uint64_t l = ((const vl_key_request *)a)->galois, r = ((const vl_key_request *)b)->galois;
    return (l > r) - (l < r);
}

// Sorts by Galois element and merges duplicates at the higher level; the number left.
static uint32_t merge(vl_key_request *list, uint32_t count) {
    uint32_t left = 0;
    qsort(list, count, sizeof *list, by_galois);
    for (uint32_t i = 0; i < count; i++) {
        if (left > 0 && list[left - 1].galois == list[i].galois) {
            if (list[left - 1].level < list[i].level) list[left - 1].level = list[i].level;
        } else {
            list[left++] = list[i];
        }
    }
    return left;
}

velum_status vl_eval_keys_generate(vl_exec *x, const vl_params *p, const vl_secret_key *sk,
                                   const vl_key_request *requests, uint32_t count, uint16_t zero_nq,
                                   vl_eval_keys *out) {
    VL_TRY(check_requests(p, requests, count, zero_nq));
    vl_key_request *list = vl_alloc_array(count, sizeof *list);
    VL_FAIL_IF(!list, VELUM_E_NOMEM, "no memory for %u key requests", count);
    if (count) memcpy(list, requests, count * sizeof *list);
    count = merge(list, count);
    vl_eval_keys made = {.params = p, .key = vl_alloc_array(count, sizeof *made.key)};
    velum_status status = VELUM_OK;
    if (!made.key) status = VL_FAIL(VELUM_E_NOMEM, "no memory for %u keys", count);
    for (; made.count < count && status == VELUM_OK; made.count++)
        status = vl_keys_init(p, list[made.count].galois, list[made.count].level, &made.key[made.count]);
    if (status == VELUM_OK) status = generate(x, p, sk, zero_nq, &made);
    vl_free(list);
    if (status != VELUM_OK) {
        vl_eval_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}
