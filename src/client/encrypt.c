// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"
#include <math.h>
#include <string.h>

static velum_status encrypt_one(const velum_client *c, vl_exec *x, const vl_secret_key *sk, const double *slots,
                                vl_ciphertext *ct, vl_poly m, vl_writer *w) {
    const vl_manifest *man = &c->manifest;
    uint8_t seed[VL_SEED_BYTES];
    VL_TRY(vl_encode_real(x, c->encoder, slots, man->in.slots, man->in_scale, m));
    vl_rlwe_encrypt(x, c->params, sk, m, seed, ct);
    ct->scale = man->in_scale;
    vl_ciphertext_save_seeded(c->params, ct, seed, w);
    return VELUM_OK;
}

static velum_status encrypt_all(const velum_client *c, vl_exec *x, const vl_client_secret *s, const double *features,
                                uint64_t rows, vl_writer *w) {
    const vl_manifest *man = &c->manifest;
    vl_message head = {.requests = rows, .groups = vl_wire_groups(&man->in, rows), .cts = man->in.cts};
    memcpy(head.key_id, s->key_id, sizeof head.key_id);
    vl_frame_begin(w, VL_FRAME_QUERY, c->program);
    vl_wire_head_save(&head, w);
    vl_ciphertext ct = {0};
    vl_poly m = {0};
    double *slots = vl_alloc_array(man->in.slots, sizeof *slots);
    velum_status status = slots ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "%u slots", man->in.slots);
    if (status == VELUM_OK) status = vl_ciphertext_new(c->params, man->in_level, 1, &ct);
    if (status == VELUM_OK) status = vl_poly_new(&c->params->ring, man->in_level, 0, &m);
    for (uint32_t g = 0; g < head.groups && status == VELUM_OK; g++) {
        uint64_t first = (uint64_t)g * man->in.lanes, n = rows - first < man->in.lanes ? rows - first : man->in.lanes;
        for (uint32_t i = 0; i < head.cts && status == VELUM_OK; i++) {
            vl_layout_pack(&man->in, i, features + first * man->in.dim, (uint32_t)n, slots);
            status = encrypt_one(c, x, &s->sk, slots, &ct, m, w);
        }
    }
    if (m.x) vl_secure_zero(m.x, vl_poly_bytes(&c->params->ring, m.nq, 0));
    if (slots) vl_secure_zero(slots, man->in.slots * sizeof *slots);
    vl_free(slots);
    vl_poly_free(&m);
    vl_ciphertext_free(&ct);
    return status == VELUM_OK ? vl_frame_end(w) : status;
}

velum_status velum_client_encrypt(const velum_client *c, const void *secret, size_t secret_size, const velum_table *in,
                                  velum_buffer *query) {
    vl_client_secret s = {0};
    vl_exec x;
    double *features = NULL;
    VL_TRY(vl_manifest_features(&c->manifest, in, &features));
    vl_writer w = vl_writer_of(VL_MAX_MESSAGE);
    velum_status status = vl_client_secret_load(c, secret, secret_size, &s);
    if (status == VELUM_OK) {
        status = vl_client_exec(c, &x);
        if (status == VELUM_OK) {
            status = encrypt_all(c, &x, &s, features, in->rows, &w);
            vl_client_exec_clear(&x);
        }
        vl_secret_key_free(&s.sk);
    }
    vl_secure_zero(features, in->rows * c->manifest.in.dim * sizeof *features);
    vl_free(features);
    if (status != VELUM_OK) {
        vl_writer_clear(&w);
        return status;
    }
    *query = (velum_buffer){w.data, w.size};
    return VELUM_OK;
}

velum_status velum_client_unseen(const velum_client *c, const velum_table *in, velum_unseen *out) {
    return vl_manifest_unseen(&c->manifest, in, out);
}
