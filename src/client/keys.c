// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"
#include <string.h>

#define MAX_KEY_FILE ((size_t)64 << 30)

static velum_status save_secret(const velum_client *c, const vl_client_secret *s, vl_writer *w) {
    vl_frame_begin(w, VL_FRAME_SECRET, c->program);
    vl_write_bytes(w, s->key_id, sizeof s->key_id);
    vl_secret_key_save(c->params, &s->sk, w);
    return vl_frame_end(w);
}

velum_status vl_client_secret_load(const velum_client *c, const void *data, size_t size, vl_client_secret *out) {
    vl_reader r;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(data, size, VL_FRAME_SECRET, &r, binding));
    VL_TRY(vl_wire_same_program(binding, c->program, "secret key"));
    vl_client_secret s = {0};
    vl_read_bytes(&r, s.key_id, sizeof s.key_id);
    VL_TRY(vl_secret_key_load(c->params, &r, &s.sk));
    if (r.bad || vl_reader_left(&r) != 0) {
        vl_secret_key_free(&s.sk);
        return VL_FAIL(VELUM_E_FORMAT, "secret key: wrong size");
    }
    *out = s;
    return VELUM_OK;
}

static velum_status save_eval(const velum_client *c, const vl_client_secret *s, vl_exec *x, vl_writer *w) {
    const vl_manifest *m = &c->manifest;
    vl_eval_keys keys = {0};
    VL_TRY(vl_eval_keys_generate(x, c->params, &s->sk, m->keys, m->key_count, m->zero_nq, &keys));
    vl_frame_begin(w, VL_FRAME_EVAL, c->program);
    vl_write_bytes(w, s->key_id, sizeof s->key_id);
    vl_eval_keys_save(&keys, w);
    vl_eval_keys_free(&keys);
    return vl_frame_end(w);
}

velum_status velum_client_keygen(const velum_client *c, velum_buffer *secret, velum_buffer *eval_keys) {
    vl_exec x;
    VL_TRY(vl_client_exec(c, &x));
    vl_client_secret s = {0};
    uint8_t seed[VL_SEED_BYTES];
    vl_seed_system(seed);
    memcpy(s.key_id, seed, sizeof s.key_id);
    vl_writer ws = vl_writer_of(MAX_KEY_FILE), we = vl_writer_of(MAX_KEY_FILE);
    velum_status status = vl_secret_key_new(c->params, &s.sk);
    if (status == VELUM_OK) status = save_secret(c, &s, &ws);
    if (status == VELUM_OK) status = save_eval(c, &s, &x, &we);
    vl_secret_key_free(&s.sk);
    vl_exec_clear(&x);
    if (status != VELUM_OK) {
        if (ws.data) vl_secure_zero(ws.data, ws.capacity);
        vl_writer_clear(&ws);
        vl_writer_clear(&we);
        return status;
    }
    *secret = (velum_buffer){ws.data, ws.size};
    *eval_keys = (velum_buffer){we.data, we.size};
    return VELUM_OK;
}
