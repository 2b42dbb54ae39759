// SPDX-License-Identifier: Apache-2.0
// Small INSECURE parameter sets, noise measurement and naive automorphisms for the tests of this layer and above.
#ifndef VELUM_TESTS_RLWE_FIXTURE_H
#define VELUM_TESTS_RLWE_FIXTURE_H

#include "rlwe/rlwe.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define OK(expr) assert_int_equal((expr), VELUM_OK)

// INSECURE: for tests only. q of 40 bits (the first 45), p of 45 bits, as many as a digit has limbs.
static inline vl_params_literal insecure_literal(uint32_t log_n, uint32_t q_count, uint32_t digit_limbs) {
    vl_params_literal lit = {
        .log_n = log_n, .q_count = q_count, .p_count = digit_limbs, .digit_limbs = digit_limbs, .scale = 0x1p40};
    uint8_t q_bits[VL_MAX_LIMBS], p_bits[VL_MAX_LIMBS];
    memset(q_bits, 40, sizeof q_bits);
    memset(p_bits, 45, sizeof p_bits);
    q_bits[0] = 45;
    OK(vl_params_choose(&lit, q_bits, p_bits));
    return lit;
}

static inline vl_params *insecure_params(uint32_t log_n, uint32_t q_count, uint32_t digit_limbs, const vl_kernels *k) {
    vl_params_literal lit = insecure_literal(log_n, q_count, digit_limbs);
    vl_params *p;
    OK(vl_params_new(&lit, k, &p));
    return p;
}

static inline vl_exec test_exec(const vl_params *p, unsigned threads) {
    vl_exec x;
    uint16_t top = (uint16_t)p->ring.q_count;
    OK(vl_exec_init(&x, threads, vl_rlwe_scratch(p, top) + vl_rlwe_digits_bytes(p, top)));
    return x;
}

// A fixed message: coefficients of about 2^30, varied.
static inline int64_t message_coefficient(size_t k) {
    return (int64_t)((uint64_t)(k + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 33) - (INT64_C(1) << 30);
}

static inline void message(const vl_params *p, int64_t *m) {
    for (size_t k = 0; k < p->ring.n; k++) m[k] = message_coefficient(k);
}

// d = m, NTT domain, over nq limbs.
static inline vl_poly plaintext(const vl_params *p, uint16_t nq, const int64_t *m) {
    vl_poly d;
    OK(vl_poly_new(&p->ring, nq, 0, &d));
    vl_ring_from_i64(NULL, &p->ring, d, m);
    vl_ring_ntt(NULL, &p->ring, d, d);
    return d;
}

// r(X) = a(X^g), negacyclic
static inline void naive_automorphism(const int64_t *a, int64_t *r, size_t n, uint64_t g) {
    for (size_t k = 0; k < n; k++) {
        uint64_t to = k * g % (2 * n);
        if (to < n)
            r[to] = a[k];
        else
            r[to - n] = -a[k];
    }
}

typedef struct test_noise {
    double max, rms;
} test_noise;

// The difference of a ciphertext's plaintext and m: every limb must tell the same small integers.
static inline test_noise noise_of(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_ciphertext *ct,
                                  const int64_t *m) {
    const vl_ring *ring = &p->ring;
    vl_poly got, want = plaintext(p, ct->level, m);
    OK(vl_poly_new(ring, ct->level, 0, &got));
    vl_rlwe_decrypt(x, p, sk, ct, got);
    vl_ring_sub(x, ring, got, got, want);
    vl_ring_intt(x, ring, got, got);
    test_noise noise = {0, 0};
    for (size_t k = 0; k < ring->n; k++) {
        int64_t first = 0;
        for (uint32_t i = 0; i < ct->level; i++) {
            uint64_t r = vl_poly_limb(ring, got, i)[k], q = ring->mod[i].q;
            int64_t v = r > q / 2 ? (int64_t)r - (int64_t)q : (int64_t)r;
            if (i == 0) first = v;
            if (v != first)
                fail_msg("coefficient %zu: limbs 0 and %u differ: %lld, %lld", k, i, (long long)first, (long long)v);
        }
        noise.max = fmax(noise.max, fabs((double)first));
        noise.rms += (double)first * (double)first;
    }
    noise.rms = sqrt(noise.rms / ring->n);
    vl_poly_free(&got);
    vl_poly_free(&want);
    return noise;
}

// log2 of a product of primes
static inline double log2_of(const uint64_t *q, uint32_t count) {
    double bits = 0;
    for (uint32_t i = 0; i < count; i++) bits += log2((double)q[i]);
    return bits;
}

// Standard deviation of a key switch at level nq: sum_j d_j e_j / P, and the two rounding errors of dividing by P, the
// second times s (weight 2N/3).
static inline double switch_sigma(const vl_params *p, uint16_t nq) {
    double n = p->ring.n, variance = (1 + 2 * n / 3) / 12, log_p = log2_of(p->literal.p, p->literal.p_count);
    for (uint32_t i = 0; i < nq; i += p->literal.digit_limbs) {
        uint32_t size = nq - i < p->literal.digit_limbs ? nq - i : p->literal.digit_limbs;
        variance += n / 12 * VL_SIGMA * VL_SIGMA * exp2(2 * (log2_of(p->literal.q + i, size) - log_p));
    }
    return sqrt(variance);
}

static inline bool same_words(const vl_params *p, vl_poly a, vl_poly b) {
    return a.nq == b.nq && a.np == b.np && memcmp(a.x, b.x, vl_poly_bytes(&p->ring, a.nq, a.np)) == 0;
}

// Bytes of a ciphertext, for comparison.
static inline bool same_ciphertext(const vl_params *p, const vl_ciphertext *a, const vl_ciphertext *b) {
    if (a->degree != b->degree || a->level != b->level || a->scale != b->scale) return false;
    for (uint32_t i = 0; i <= a->degree; i++)
        if (!same_words(p, vl_poly_prefix(a->c[i], a->level), vl_poly_prefix(b->c[i], b->level))) return false;
    return true;
}

#endif
