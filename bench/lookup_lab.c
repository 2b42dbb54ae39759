// SPDX-License-Identifier: Apache-2.0
#include "lookup.h"
#include <stdio.h>

uint64_t lookup_word(uint64_t k) {
    k = (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
    k = (k ^ k >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return k ^ k >> 32;
}

velum_status lookup_lab_open(const bench_run *run, const lookup_ring *ring, lookup_lab *lab) {
    uint8_t q[VL_MAX_LIMBS], p[VL_MAX_LIMBS];
    vl_params_literal lit = {.log_n = ring->log_n,
                             .q_count = ring->limbs,
                             .p_count = ring->special,
                             .digit_limbs = ring->digit_limbs,
                             .security_bits = 128};
    lit.scale = (double)(1ull << ring->bits);
    for (uint32_t i = 0; i < ring->limbs; i++) q[i] = (uint8_t)(i ? ring->bits : ring->base_bits);
    for (uint32_t i = 0; i < ring->special; i++) p[i] = (uint8_t)ring->special_bits;
    *lab = (lookup_lab){.run = run};
    VL_TRY(vl_params_choose(&lit, q, p));
    VL_TRY(vl_params_new(&lit, NULL, &lab->p));
    return vl_encoder_new(lab->p, &lab->encoder);
}

velum_status lookup_lab_keys(lookup_lab *lab, size_t arena, const vl_key_request *requests, uint32_t count) {
    uint16_t top = (uint16_t)lab->p->ring.q_count;
    size_t other = vl_rlwe_scratch(lab->p, top) + vl_encoder_scratch(lab->p, top, lab->p->ring.p_count);
    VL_TRY(vl_exec_init(&lab->x, lab->run->threads, (other > arena ? other : arena) + 65536));
    VL_TRY(vl_secret_key_new(lab->p, &lab->sk));
    return vl_eval_keys_generate(&lab->x, lab->p, &lab->sk, requests, count, 0, &lab->keys);
}

void lookup_lab_close(lookup_lab *lab) {
    if (lab->keys.key) vl_eval_keys_free(&lab->keys);
    vl_secret_key_free(&lab->sk);
    vl_exec_clear(&lab->x);
    vl_encoder_free(lab->encoder);
    vl_params_free(lab->p);
}

velum_status lookup_lab_encrypt(lookup_lab *lab, const double *v, uint32_t count, double scale, uint16_t level,
                                vl_ciphertext *ct) {
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m;
    VL_TRY(vl_poly_new(&lab->p->ring, level, 0, &m));
    velum_status status = vl_encode_real(&lab->x, lab->encoder, v, count, scale, m);
    if (status == VELUM_OK) {
        vl_rlwe_encrypt(&lab->x, lab->p, &lab->sk, m, seed, ct);
        ct->scale = scale;
        vl_writer w = vl_writer_of(SIZE_MAX);
        vl_ciphertext_save_seeded(lab->p, ct, seed, &w);
        lab->query_bytes += w.size;
        if (w.failed) status = VL_FAIL(VELUM_E_NOMEM, "bench: no memory for a query");
        vl_writer_clear(&w);
    }
    vl_poly_free(&m);
    return status;
}

velum_status lookup_lab_decrypt(lookup_lab *lab, const vl_ciphertext *ct, double *v, uint32_t count) {
    vl_poly m;
    VL_TRY(vl_poly_new(&lab->p->ring, ct->level, 0, &m));
    vl_rlwe_decrypt(&lab->x, lab->p, &lab->sk, ct, m);
    velum_status status = vl_decode_real(&lab->x, lab->encoder, m, ct->scale, v, count);
    vl_poly_free(&m);
    return status;
}

velum_bench_result lookup_lab_result(const lookup_lab *lab, const char *name, uint16_t level) {
    const vl_params *p = lab->p;
    velum_bench_result r = {.log_n = p->literal.log_n, .limbs = level, .special = p->ring.p_count};
    r.digits = (level + p->literal.digit_limbs - 1) / p->literal.digit_limbs;
    r.threads = vl_pool_threads(lab->x.pool);
    r.security_bits = p->security;
    r.query_bytes = lab->query_bytes;
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.kernel, sizeof r.kernel, "%s", p->ring.kernels->name);
    return r;
}
