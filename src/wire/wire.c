// SPDX-License-Identifier: Apache-2.0
#include "wire/wire.h"
#include <stdio.h>
#include <string.h>

uint32_t vl_wire_groups(const vl_layout *layout, uint64_t requests) {
    return (uint32_t)((requests + layout->lanes - 1) / layout->lanes);
}

void vl_wire_head_save(const vl_message *m, vl_writer *w) {
    vl_write_bytes(w, m->key_id, sizeof m->key_id);
    vl_write_u64(w, m->requests);
    vl_write_u32(w, m->groups);
    vl_write_u32(w, m->cts);
}

velum_status vl_wire_head_load(vl_reader *r, const char *what, const vl_layout *layout, vl_message *out) {
    vl_message m;
    vl_read_bytes(r, m.key_id, sizeof m.key_id);
    m.requests = vl_read_u64(r);
    m.groups = vl_read_u32(r);
    m.cts = vl_read_u32(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "%s: cut short", what);
    VL_FAIL_IF(m.requests == 0 || m.requests > VL_MAX_REQUESTS, VELUM_E_FORMAT, "%s: %llu requests", what,
               (unsigned long long)m.requests);
    VL_FAIL_IF(m.cts != layout->cts || m.groups != vl_wire_groups(layout, m.requests), VELUM_E_FORMAT,
               "%s: %u groups of %u ciphertexts for %llu requests", what, m.groups, m.cts,
               (unsigned long long)m.requests);
    *out = m;
    return VELUM_OK;
}

void vl_wire_eval_head_save(const vl_eval_head *h, vl_writer *w) {
    vl_write_bytes(w, h->key_id, sizeof h->key_id);
    vl_write_u32(w, h->bootstraps);
    vl_write_align(w, 64);
}

velum_status vl_wire_eval_head_load(vl_reader *r, vl_eval_head *out) {
    vl_eval_head h;
    vl_read_bytes(r, h.key_id, sizeof h.key_id);
    h.bootstraps = vl_read_u32(r);
    vl_read_align(r, 64);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short or damaged at their head");
    VL_FAIL_IF(h.bootstraps > 1, VELUM_E_FORMAT, "evaluation keys: keys for %u bootstraps, at most 1", h.bootstraps);
    *out = h;
    return VELUM_OK;
}

void vl_wire_layer_save(const vl_layer_head *h, vl_writer *w) {
    vl_write_bytes(w, h->key_id, sizeof h->key_id);
    vl_write_u32(w, h->op);
    vl_write_u32(w, h->rows);
    vl_write_u64(w, h->first);
    vl_write_u32(w, h->ct);
    vl_layout_save(&h->layout, w);
    vl_write_string(w, h->name);
}

velum_status vl_wire_layer_load(vl_reader *r, vl_layer_head *out) {
    vl_layer_head h = {0};
    vl_read_bytes(r, h.key_id, sizeof h.key_id);
    h.op = vl_read_u32(r);
    h.rows = vl_read_u32(r);
    h.first = vl_read_u64(r);
    h.ct = vl_read_u32(r);
    VL_TRY(vl_layout_load(r, &h.layout));
    char *name = vl_read_string(r, VL_MAX_NAME);
    VL_FAIL_IF(!name, VELUM_E_FORMAT, "layer: bad name");
    snprintf(h.name, sizeof h.name, "%s", name);
    vl_free(name);
    VL_FAIL_IF(h.rows == 0 || h.rows > h.layout.lanes || h.first >= VL_MAX_REQUESTS || h.ct >= h.layout.cts,
               VELUM_E_FORMAT, "layer '%s': rows %llu to %llu of %u lanes, ciphertext %u of %u", h.name,
               (unsigned long long)h.first, (unsigned long long)h.first + h.rows, h.layout.lanes, h.ct, h.layout.cts);
    *out = h;
    return VELUM_OK;
}

velum_status vl_wire_same_key(const uint8_t a[VL_KEY_ID_BYTES], const uint8_t b[VL_KEY_ID_BYTES], const char *what) {
    VL_FAIL_IF(memcmp(a, b, VL_KEY_ID_BYTES) != 0, VELUM_E_MISMATCH, "%s: made under another key", what);
    return VELUM_OK;
}

velum_status vl_wire_same_program(const uint8_t binding[VL_DIGEST_BYTES], const uint8_t digest[VL_DIGEST_BYTES],
                                  const char *what) {
    VL_FAIL_IF(memcmp(binding, digest, VL_DIGEST_BYTES) != 0, VELUM_E_MISMATCH,
               "%s: made for another program (or other parameters)", what);
    return VELUM_OK;
}
