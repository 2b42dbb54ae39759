// SPDX-License-Identifier: Apache-2.0
#include "rlwe/keys.h"
#include "client/client.h"
#include "rlwe/lowest.h"
#include <string.h>

#define MAX_KEY_FILE ((size_t)64 << 30)
#define MAX_SECRET ((size_t)1 << 20)

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

typedef struct sink {
    velum_write_fn write;
    void *arg;
} sink;

static velum_status give(void *arg, const uint8_t *data, size_t size) {
    const sink *s = arg;
    VL_FAIL_IF(s->write(s->arg, data, size) != 0, VELUM_E_IO, "the evaluation keys could not be written");
    return VELUM_OK;
}

// What a bootstrap needs beside the program's keys.
static vl_lowest lowest(const vl_manifest *m) {
    return (vl_lowest){.raise = m->raise, .low = &m->low, .keys = m->low_keys, .count = m->low_key_count};
}

static size_t eval_payload(const velum_client *c) {
    const vl_manifest *m = &c->manifest;
    size_t bytes = VL_EVAL_HEAD_BYTES + vl_eval_keys_bytes(c->params, m->keys, m->key_count, m->zero_nq);
    if (!m->bootstrapped) return bytes;
    vl_lowest want = lowest(m);
    return bytes + vl_lowest_keys_bytes(c->params, &want);
}

static velum_status write_bootstrap(const velum_client *c, const vl_secret_key *sk, vl_exec *x, vl_writer *w) {
    vl_lowest want = lowest(&c->manifest);
    return vl_lowest_keys_write(x, c->params, sk, &want, w);
}

static velum_status write_eval(const velum_client *c, const vl_client_secret *s, vl_exec *x, sink *to) {
    const vl_manifest *m = &c->manifest;
    vl_frame_stream f;
    vl_eval_head head = {.bootstraps = m->bootstrapped};
    memcpy(head.key_id, s->key_id, sizeof head.key_id);
    velum_status status = vl_frame_stream_begin(&f, VL_FRAME_EVAL, x->pool, give, to, c->program, eval_payload(c));
    if (status == VELUM_OK) {
        vl_wire_eval_head_save(&head, &f.writer);
        status = vl_eval_keys_write(x, c->params, &s->sk, m->keys, m->key_count, m->zero_nq, &f.writer);
    }
    if (status == VELUM_OK && m->bootstrapped) status = write_bootstrap(c, &s->sk, x, &f.writer);
    if (status == VELUM_OK) status = vl_frame_stream_end(&f);
    vl_frame_stream_clear(&f);
    return status;
}

velum_status velum_client_keygen_to(const velum_client *c, velum_buffer *secret, velum_write_fn write, void *arg) {
    vl_exec x;
    size_t bytes = eval_payload(c); // which the server's side has chosen
    VL_FAIL_IF(bytes > MAX_KEY_FILE, VELUM_E_LIMIT, "client program: it asks for %zu bytes of keys, the limit is %zu",
               bytes, MAX_KEY_FILE);
    VL_TRY(vl_client_exec(c, &x));
    sink to = {write, arg};
    vl_client_secret s = {0};
    uint8_t seed[VL_SEED_BYTES];
    vl_seed_system(seed);
    memcpy(s.key_id, seed, sizeof s.key_id);
    vl_writer ws = vl_writer_of(MAX_SECRET);
    velum_status status = vl_secret_key_new(c->params, &s.sk);
    if (status == VELUM_OK) status = save_secret(c, &s, &ws);
    if (status == VELUM_OK) status = write_eval(c, &s, &x, &to);
    vl_secret_key_free(&s.sk);
    vl_client_exec_clear(&x);
    if (status != VELUM_OK) {
        if (ws.data) vl_secure_zero(ws.data, ws.capacity);
        vl_writer_clear(&ws);
        return status;
    }
    *secret = (velum_buffer){ws.data, ws.size};
    return VELUM_OK;
}

static int keep(void *arg, const void *data, size_t size) {
    vl_writer *w = arg;
    vl_write_bytes(w, data, size);
    return w->failed;
}

velum_status velum_client_keygen(const velum_client *c, velum_buffer *secret, velum_buffer *eval_keys) {
    vl_writer w = vl_writer_of(MAX_KEY_FILE);
    vl_writer_reserve(&w, VL_FRAME_HEAD + eval_payload(c) + VL_DIGEST_BYTES);
    velum_status status = vl_writer_status(&w);
    if (status == VELUM_OK) {
        status = velum_client_keygen_to(c, secret, keep, &w);
        if (w.failed) status = vl_writer_status(&w); // it says why
    }
    if (status != VELUM_OK) {
        vl_writer_clear(&w);
        return status;
    }
    *eval_keys = (velum_buffer){w.data, w.size};
    return VELUM_OK;
}
