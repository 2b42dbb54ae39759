// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"
#include <math.h>
#include <string.h>

// Bits of the answer that flooding must leave: |noise| below 2^-SHARE_KEEP_BITS with overwhelming probability.
#define SHARE_KEEP_BITS 7
#define SHARE_UNIT 0x1p40 // deviation in which the integer noise is drawn

// Deviation of the flooding noise on each revealed number: sqrt(12 tau) 2^(s/2) t, tau numbers revealed, t a bound on
// their error (eprint 2022/816, theorem 4; the bound is the program's declared one). Only these numbers leave the
// client, never the plaintext polynomial, so it is they that carry the noise.
static velum_status flood_sigma(const velum_client *c, uint64_t results, uint32_t share_bits, double *out) {
    const vl_manifest *m = &c->manifest;
    *out = 0;
    if (share_bits == 0) return VELUM_OK;
    VL_FAIL_IF(share_bits > 128, VELUM_E_USAGE, "%u statistical bits: at most 128", share_bits);
    VL_FAIL_IF(!(m->error_bound > 0), VELUM_E_LIMIT, "the program declares no error bound, which sharing needs");
    // No answer is more exact than the encryption of zero that the server adds: sqrt(N) on coefficients.
    double t = fmax(m->error_bound, sqrt((double)c->params->ring.n * m->out.slots) / m->out_scale);
    double sigma = sqrt(12.0 * (double)results) * exp2(share_bits / 2.0) * t;
    VL_FAIL_IF(7 * sigma > exp2(-SHARE_KEEP_BITS), VELUM_E_LIMIT,
               "sharing %llu results with %u statistical bits needs noise of 2^%.1f, the limit is 2^-%d: the program's "
               "error bound is 2^%.1f",
               (unsigned long long)results, share_bits, log2(7 * sigma), SHARE_KEEP_BITS, log2(m->error_bound));
    *out = sigma;
    return VELUM_OK;
}

// Adds Gaussian noise to n numbers and rounds the sums to a grid 2^-11 to 2^-10 of the deviation: the low bits of a
// floating-point sum would tell something of what it was added to.
static velum_status flood(double sigma, double *values, size_t n) {
    int64_t *noise = vl_secret_alloc(n * sizeof *noise);
    VL_FAIL_IF(!noise, VELUM_E_NOMEM, "flooding noise");
    double grid = exp2(floor(log2(sigma)) - 10);
    vl_rng rng;
    vl_rng_init_system(&rng);
    vl_rng_gaussian_wide(&rng, noise, n, SHARE_UNIT);
    vl_rng_clear(&rng);
    for (size_t i = 0; i < n; i++)
        values[i] = grid * nearbyint((values[i] + (double)noise[i] * (sigma / SHARE_UNIT)) / grid);
    vl_secret_free(noise);
    return VELUM_OK;
}

typedef struct job {
    const velum_client *c;
    const vl_secret_key *sk;
    vl_exec *x;
    double sigma;
    vl_poly m;
    double *slots;     // vl_layout_room numbers
    double complex *z; // where they are of two parts
} job;

static velum_status job_new(job *j) {
    const vl_layout *l = &j->c->manifest.out;
    j->slots = vl_secret_alloc(vl_layout_room(l) * sizeof *j->slots);
    if (l->parts > 1) j->z = vl_secret_alloc(l->slots * sizeof *j->z);
    VL_FAIL_IF(!j->slots || (l->parts > 1 && !j->z), VELUM_E_NOMEM, "%u slots", l->slots);
    return vl_poly_new(&j->c->params->ring, j->c->manifest.out_level, 0, &j->m);
}

static void job_free(job *j) {
    if (j->m.x) vl_secure_zero(j->m.x, vl_poly_bytes(&j->c->params->ring, j->m.nq, 0));
    vl_poly_free(&j->m);
    vl_secret_free(j->slots);
    vl_secret_free(j->z);
}

velum_status vl_client_decode(const velum_client *c, vl_exec *x, const vl_layout *l, vl_poly m, double scale,
                              double complex *z, double *slots) {
    const uint32_t n = l->slots;
    if (l->parts < 2) return vl_decode_real(x, c->encoder, m, scale, slots, n);
    VL_TRY(vl_decode_complex(x, c->encoder, m, scale, z, n));
    for (uint32_t i = 0; i < n; i++) {
        slots[i] = creal(z[i]);
        slots[n + i] = cimag(z[i]);
    }
    return VELUM_OK;
}

static velum_status decrypt_one(const job *j, vl_reader *r, uint32_t ct_index, uint32_t requests, double *features) {
    const velum_client *c = j->c;
    const vl_manifest *man = &c->manifest;
    vl_ciphertext ct = {0};
    VL_TRY(vl_ciphertext_load(j->x, c->params, r, false, man->out_level, man->out_scale, &ct));
    vl_rlwe_decrypt(j->x, c->params, j->sk, &ct, j->m);
    vl_ciphertext_free(&ct);
    VL_TRY(vl_client_decode(c, j->x, &man->out, j->m, man->out_scale, j->z, j->slots));
    vl_layout_unpack(&man->out, ct_index, j->slots, requests, features);
    return VELUM_OK;
}

static velum_status decrypt_all(job *j, const vl_client_secret *s, vl_reader *r, uint32_t share_bits, velum_table *t) {
    const vl_manifest *man = &j->c->manifest;
    vl_message head;
    VL_TRY(vl_wire_head_load(r, "answer", &man->out, &head));
    VL_TRY(vl_wire_same_key(head.key_id, s->key_id, "answer"));
    VL_TRY(flood_sigma(j->c, head.requests * man->output_count, share_bits, &j->sigma));
    // No allocation from a count alone: every ciphertext takes at least a byte a coefficient of the message.
    VL_FAIL_IF((uint64_t)head.groups * head.cts > vl_reader_left(r) / j->c->params->ring.n, VELUM_E_FORMAT,
               "answer: %u groups in %zu bytes", head.groups, vl_reader_left(r));
    uint32_t dim = man->output_count, columns = vl_manifest_columns(man);
    double *row = vl_alloc_array((size_t)man->out.lanes * dim, sizeof *row);
    velum_status status = row ? vl_manifest_table(man, head.requests, t) : VL_FAIL(VELUM_E_NOMEM, "answer");
    for (uint32_t g = 0; g < head.groups && status == VELUM_OK; g++) {
        uint64_t first = (uint64_t)g * man->out.lanes, left = head.requests - first;
        uint32_t n = left < man->out.lanes ? (uint32_t)left : man->out.lanes;
        for (uint32_t i = 0; i < head.cts && status == VELUM_OK; i++) status = decrypt_one(j, r, i, n, row);
        if (j->sigma > 0 && status == VELUM_OK) status = flood(j->sigma, row, (size_t)n * dim);
        for (uint32_t k = 0; k < n && status == VELUM_OK; k++) {
            vl_manifest_epilogue(man, row + (size_t)k * dim);
            memcpy(t->values + (first + k) * columns, row + (size_t)k * dim, columns * sizeof *row);
        }
    }
    if (status == VELUM_OK && (r->bad || vl_reader_left(r) != 0))
        status = VL_FAIL(VELUM_E_FORMAT, "answer: wrong size");
    if (row) vl_secure_zero(row, (size_t)man->out.lanes * dim * sizeof *row);
    vl_free(row);
    return status;
}

velum_status velum_client_decrypt(const velum_client *c, const void *secret, size_t secret_size, const void *answer,
                                  size_t size, uint32_t share_bits, velum_table *out) {
    vl_reader r;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(answer, size, VL_FRAME_ANSWER, &r, binding));
    VL_TRY(vl_wire_same_program(binding, c->program, "answer"));
    vl_client_secret s = {0};
    VL_TRY(vl_client_secret_load(c, secret, secret_size, &s));
    vl_exec x;
    velum_table t = {0};
    job j = {.c = c, .sk = &s.sk, .x = &x};
    velum_status status = vl_client_exec(c, &x);
    if (status == VELUM_OK) {
        status = job_new(&j);
        if (status == VELUM_OK) status = decrypt_all(&j, &s, &r, share_bits, &t);
        job_free(&j);
        vl_client_exec_clear(&x);
    }
    vl_secret_key_free(&s.sk);
    if (status != VELUM_OK) {
        velum_table_free(&t);
        return status;
    }
    *out = t;
    return VELUM_OK;
}
