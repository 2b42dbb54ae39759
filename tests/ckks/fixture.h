// SPDX-License-Identifier: Apache-2.0
// A laboratory for CKKS tests: parameters, keys, encoder, and vectors in and out of ciphertexts.
#ifndef VELUM_TESTS_CKKS_FIXTURE_H
#define VELUM_TESTS_CKKS_FIXTURE_H

#include "ckks/ckks.h"
#include "rlwe/fixture.h"

#include <stdlib.h>

typedef struct lab {
    vl_params *p;
    vl_exec x;
    vl_encoder *e;
    vl_secret_key sk;
    vl_eval_keys keys;
} lab;

// `arena`: bytes beyond what encoder, evaluator and keys need.
static inline void lab_open(lab *l, vl_params *p, unsigned threads, size_t arena, const vl_key_request *requests,
                            uint32_t count) {
    uint16_t top = (uint16_t)p->ring.q_count;
    l->p = p;
    size_t bytes = vl_rlwe_scratch(p, top) + vl_rlwe_digits_bytes(p, top) + vl_ckks_scratch(p, top) +
                   vl_encoder_scratch(p, top, p->ring.p_count) + vl_poly_bytes(&p->ring, top, 0) + arena;
    OK(vl_exec_init(&l->x, threads, bytes));
    OK(vl_encoder_new(p, &l->e));
    OK(vl_secret_key_new(p, &l->sk));
    OK(vl_eval_keys_generate(&l->x, p, &l->sk, requests, count, 0, &l->keys));
}

static inline void lab_close(lab *l) {
    vl_eval_keys_free(&l->keys);
    vl_secret_key_free(&l->sk);
    vl_encoder_free(l->e);
    vl_exec_clear(&l->x);
    vl_params_free(l->p);
}

// Deterministic values in [-1, 1).
static inline double noise_value(uint64_t k) {
    k = (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
    k ^= k >> 29;
    k *= UINT64_C(0xbf58476d1ce4e5b9);
    return (double)(int64_t)(k ^ k >> 32) * 0x1p-63;
}

static inline double *real_vector(uint32_t count, uint64_t seed) {
    double *v = malloc(count * sizeof *v);
    for (uint32_t i = 0; i < count; i++) v[i] = noise_value(seed * 1000003 + i);
    return v;
}

static inline double complex *complex_vector(uint32_t count, uint64_t seed) {
    double complex *v = malloc(count * sizeof *v);
    for (uint32_t i = 0; i < count; i++)
        v[i] = noise_value(seed * 1000003 + 2 * i) + noise_value(seed * 1000003 + 2 * i + 1) * I;
    return v;
}

static inline vl_ciphertext lab_encrypt(lab *l, const double complex *v, uint32_t count, double scale, uint16_t level) {
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m;
    vl_ciphertext ct;
    OK(vl_poly_new(&l->p->ring, level, 0, &m));
    OK(vl_ciphertext_new(l->p, level, 1, &ct));
    OK(vl_encode_complex(&l->x, l->e, v, count, scale, m));
    vl_rlwe_encrypt(&l->x, l->p, &l->sk, m, seed, &ct);
    ct.scale = scale;
    vl_poly_free(&m);
    return ct;
}

static inline vl_ciphertext lab_encrypt_real(lab *l, const double *v, uint32_t count, double scale, uint16_t level) {
    double complex *z = calloc(count, sizeof *z);
    for (uint32_t i = 0; i < count; i++) z[i] = v[i];
    vl_ciphertext ct = lab_encrypt(l, z, count, scale, level);
    free(z);
    return ct;
}

static inline double complex *lab_decrypt(lab *l, const vl_ciphertext *ct, uint32_t count) {
    vl_poly m;
    double complex *v = malloc(count * sizeof *v);
    OK(vl_poly_new(&l->p->ring, ct->level, 0, &m));
    vl_rlwe_decrypt(&l->x, l->p, &l->sk, ct, m);
    OK(vl_decode_complex(&l->x, l->e, m, ct->scale, v, count));
    vl_poly_free(&m);
    return v;
}

// The largest error of a ciphertext's slots against `want`.
static inline double lab_error(lab *l, const vl_ciphertext *ct, const double complex *want, uint32_t count) {
    double complex *got = lab_decrypt(l, ct, count);
    double worst = vl_precision_of(want, got, count).max_error;
    free(got);
    return worst;
}

// The same keys, used under other parameters (another kernel family) with the same primes.
static inline vl_eval_keys keys_under(const vl_eval_keys *keys, const vl_params *p) {
    vl_eval_keys k = *keys;
    k.params = p;
    return k;
}

#endif
