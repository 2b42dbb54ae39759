// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"
#include "rlwe/pack.h"
#include <math.h>
#include <string.h>

#define MAX_HEAD 128u // bytes of a saved ciphertext beside its polynomial

typedef struct plain { // what is encrypted next
    double *slots;     // vl_layout_room numbers
    double complex *z; // where they are of two parts
    vl_poly m;
} plain;

static velum_status plain_new(const velum_client *c, plain *out) {
    const vl_layout *l = &c->manifest.in;
    out->slots = vl_secret_alloc(vl_layout_room(l) * sizeof *out->slots);
    if (l->parts > 1) out->z = vl_secret_alloc(l->slots * sizeof *out->z);
    VL_FAIL_IF(!out->slots || (l->parts > 1 && !out->z), VELUM_E_NOMEM, "%u slots", l->slots);
    return vl_poly_new(&c->params->ring, c->manifest.in_level, 0, &out->m);
}

static void plain_free(const velum_client *c, plain *v) {
    vl_secret_free(v->slots);
    vl_secret_free(v->z);
    if (v->m.x) vl_secure_zero(v->m.x, vl_poly_bytes(&c->params->ring, v->m.nq, 0));
    vl_poly_free(&v->m);
}

static velum_status encode(const velum_client *c, vl_exec *x, plain *v) {
    const vl_manifest *man = &c->manifest;
    const uint32_t slots = man->in.slots;
    if (!v->z) return vl_encode_real(x, c->encoder, v->slots, slots, man->in_scale, v->m);
    // CMPLX, which glibc may have for gcc alone
    for (uint32_t i = 0; i < slots; i++) v->z[i] = __builtin_complex(v->slots[i], v->slots[slots + i]);
    return vl_encode_complex(x, c->encoder, v->z, slots, man->in_scale, v->m);
}

static velum_status encrypt_one(const velum_client *c, vl_exec *x, const vl_secret_key *sk, plain *v, vl_ciphertext *ct,
                                vl_writer *w) {
    const vl_manifest *man = &c->manifest;
    uint8_t seed[VL_SEED_BYTES];
    VL_TRY(encode(c, x, v));
    vl_rlwe_encrypt(x, c->params, sk, v->m, seed, ct);
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
    plain v = {0};
    size_t each = vl_pack_poly_bytes(&c->params->ring, man->in_level, 0) + MAX_HEAD;
    vl_writer_reserve(w, (size_t)head.groups * head.cts * each); // or a long query is twice in memory as it grows
    velum_status status = vl_writer_status(w);
    if (status == VELUM_OK) status = plain_new(c, &v);
    if (status == VELUM_OK) status = vl_ciphertext_new(c->params, man->in_level, 1, &ct);
    for (uint32_t g = 0; g < head.groups && status == VELUM_OK; g++) {
        uint64_t first = (uint64_t)g * man->in.lanes, n = rows - first < man->in.lanes ? rows - first : man->in.lanes;
        for (uint32_t i = 0; i < head.cts && status == VELUM_OK; i++) {
            vl_layout_pack(&man->in, i, features + first * man->in.dim, (uint32_t)n, v.slots);
            status = encrypt_one(c, x, &s->sk, &v, &ct, w);
        }
    }
    plain_free(c, &v);
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
