// SPDX-License-Identifier: Apache-2.0
// What operations of an encrypted run left, decrypted: for who looks for a fault.
#include "client/client.h"
#include <stdio.h>
#include <string.h>

#define MOST_VALUES ((uint64_t)1 << 28) // of a layer: 2 GiB

void velum_layer_free(velum_layer *layer) {
    if (!layer) return;
    if (layer->values) vl_secure_zero(layer->values, (size_t)layer->rows * layer->columns * sizeof *layer->values);
    vl_free(layer->values);
    *layer = (velum_layer){0};
}

static bool continues(const velum_layer *l, const vl_layer_head *h) {
    return l->taken < l->pieces && h->ct == l->taken && h->op == l->layer && h->first == l->first &&
           h->rows == l->rows && h->layout.dim == l->columns && h->layout.cts == l->pieces;
}

// *made: the layer that the piece belongs to; values are the old ones where it goes on with *now.
static velum_status place(const velum_layer *now, const vl_layer_head *h, velum_layer *made) {
    if (now->taken < now->pieces || h->ct != 0) {
        VL_FAIL_IF(!continues(now, h), VELUM_E_MISMATCH, "layer '%s': ciphertext %u of %u is out of order", h->name,
                   h->ct, h->layout.cts);
        *made = *now;
        return VELUM_OK;
    }
    *made = (velum_layer){
        .layer = h->op, .pieces = h->layout.cts, .first = h->first, .rows = h->rows, .columns = h->layout.dim};
    snprintf(made->name, sizeof made->name, "%s", h->name);
    const uint64_t count = (uint64_t)h->rows * h->layout.dim;
    VL_FAIL_IF(count > MOST_VALUES, VELUM_E_LIMIT, "layer '%s': %llu numbers", h->name, (unsigned long long)count);
    made->values = vl_alloc_array(count, sizeof *made->values);
    VL_FAIL_IF(!made->values, VELUM_E_NOMEM, "layer '%s'", h->name);
    return VELUM_OK;
}

// The numbers of one ciphertext; its level and scale are its own.
static velum_status open_one(const velum_client *c, vl_exec *x, const vl_secret_key *sk, const vl_layout *l,
                             const vl_ciphertext *ct, double *slots) {
    vl_poly m = {0};
    velum_status status = vl_poly_new(&c->params->ring, ct->level, 0, &m);
    double complex *z = l->parts > 1 ? vl_secret_alloc(l->slots * sizeof *z) : NULL;
    if (status == VELUM_OK && l->parts > 1 && !z) status = VL_FAIL(VELUM_E_NOMEM, "%u slots", l->slots);
    if (status == VELUM_OK) {
        vl_rlwe_decrypt(x, c->params, sk, ct, m);
        status = vl_client_decode(c, x, l, m, ct->scale, z, slots);
        vl_secure_zero(m.x, vl_poly_bytes(&c->params->ring, m.nq, 0));
    }
    vl_poly_free(&m);
    vl_secret_free(z);
    return status;
}

static velum_status open_piece(const velum_client *c, vl_exec *x, const vl_secret_key *sk, vl_reader *r,
                               const vl_layer_head *h, velum_layer *layer) {
    velum_layer made = {0};
    vl_ciphertext ct = {0};
    const uint32_t n = c->params->ring.n / 2;
    VL_FAIL_IF(h->layout.slots != n, VELUM_E_FORMAT, "layer '%s': %u slots, not %u", h->name, h->layout.slots, n);
    VL_TRY(vl_ciphertext_load(x, c->params, r, false, 0, 0, &ct));
    double *slots = vl_secret_alloc(vl_layout_room(&h->layout) * sizeof *slots);
    velum_status status = slots ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "%u slots", n);
    if (status == VELUM_OK && (r->bad || vl_reader_left(r) != 0))
        status = VL_FAIL(VELUM_E_FORMAT, "layer '%s': wrong size", h->name);
    if (status == VELUM_OK && ct.degree != 1)
        status = VL_FAIL(VELUM_E_FORMAT, "layer '%s': degree %u, must be 1", h->name, ct.degree);
    if (status == VELUM_OK) status = open_one(c, x, sk, &h->layout, &ct, slots);
    if (status == VELUM_OK) status = place(layer, h, &made);
    if (status == VELUM_OK) {
        vl_layout_unpack(&h->layout, h->ct, slots, h->rows, made.values);
        made.taken++;
        if (made.values != layer->values) velum_layer_free(layer);
        *layer = made;
    }
    vl_secret_free(slots);
    vl_ciphertext_free(&ct);
    return status;
}

velum_status velum_client_decrypt_layer(const velum_client *c, const void *secret, size_t secret_size,
                                        const void *piece, size_t size, velum_layer *layer) {
    vl_reader r;
    vl_layer_head h;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(piece, size, VL_FRAME_LAYER, &r, binding));
    VL_TRY(vl_wire_same_program(binding, c->program, "layer"));
    VL_TRY(vl_wire_layer_load(&r, &h));
    vl_client_secret s = {0};
    VL_TRY(vl_client_secret_load(c, secret, secret_size, &s));
    vl_exec x;
    velum_status status = vl_wire_same_key(h.key_id, s.key_id, "layer");
    if (status == VELUM_OK) status = vl_client_exec(c, &x);
    if (status == VELUM_OK) {
        status = open_piece(c, &x, &s.sk, &r, &h, layer);
        vl_client_exec_clear(&x);
    }
    vl_secret_key_free(&s.sk);
    return status;
}
