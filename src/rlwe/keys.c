// SPDX-License-Identifier: Apache-2.0
#include "rlwe/keys.h"

#include "arith/arith.h"
#include "rlwe/bases.h"
#include "rlwe/words.h"

#include <string.h>

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
velum_status vl_keys_init(const vl_params *p, uint64_t galois, uint16_t nq, bool own_b, vl_switch_key *key) {
    const vl_ring *ring = &p->ring;
    vl_switch_key made = {.galois = galois, .nq = nq, .digits = (uint16_t)vl_bases_digits(p, nq)};
    uint32_t limbs = nq + ring->p_count, halves = own_b ? 2 : 1;
    size_t poly = vl_words_poly_bytes(ring->n, limbs) / sizeof(uint64_t);
    made.block = vl_alloc_raw(halves * made.digits * poly * sizeof(uint64_t));
    VL_FAIL_IF(!made.block, VELUM_E_NOMEM, "no memory for a key of %u digits at level %u", made.digits, nq);
    for (uint32_t j = 0; j < made.digits; j++) {
        made.a[j] = (vl_poly){made.block + (halves * j + halves - 1) * poly, nq, (uint16_t)ring->p_count};
        made.b[j] = (vl_poly){own_b ? made.block + halves * j * poly : NULL, nq, (uint16_t)ring->p_count};
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

velum_status vl_keys_init_zero(const vl_params *p, uint16_t zero_nq, bool own_b, vl_eval_keys *keys) {
    size_t poly = vl_words_poly_bytes(p->ring.n, zero_nq);
    uint64_t *block = vl_alloc_raw((own_b ? 2 : 1) * poly);
    VL_FAIL_IF(!block, VELUM_E_NOMEM, "no memory for a public encryption key at level %u", zero_nq);
    keys->zero_block = block;
    keys->zero_nq = zero_nq;
    keys->zero_a = (vl_poly){block, zero_nq, 0};
    keys->zero_b = (vl_poly){own_b ? block + poly / sizeof *block : NULL, zero_nq, 0};
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
    vl_free(keys->zero_block);
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
