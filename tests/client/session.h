// SPDX-License-Identifier: Apache-2.0
// A client and a server of one hand-built program, through the public interface (but for insecure parameters).
#ifndef VELUM_TESTS_CLIENT_SESSION_H
#define VELUM_TESTS_CLIENT_SESSION_H

#include "client/client.h"
#include "program/build.h"
#include "test.h"

typedef struct session {
    velum_buffer program_file, client_file, secret, keys;
    velum_program *program;
    velum_client *client;
    velum_server *server;
    vl_program plain; // to compute expected answers with
} session;

static inline void session_init(session *s, const build_options *o) {
    *s = (session){0};
    build_program(o, &s->plain);
    build_files(o, &s->program_file, &s->client_file);
    assert_int_equal(velum_program_open(s->program_file.data, s->program_file.size, &s->program), VELUM_OK);
    assert_int_equal(vl_client_open_insecure(s->client_file.data, s->client_file.size, 1, &s->client), VELUM_OK);
    assert_int_equal(velum_client_keygen(s->client, &s->secret, &s->keys), VELUM_OK);
    assert_int_equal(velum_server_new(s->program, s->keys.data, s->keys.size, 1, &s->server), VELUM_OK);
}

static inline void session_clear(session *s) {
    velum_server_free(s->server);
    velum_client_free(s->client);
    velum_program_free(s->program);
    velum_buffer_free(&s->program_file);
    velum_buffer_free(&s->client_file);
    velum_buffer_free_secret(&s->secret);
    velum_buffer_free(&s->keys);
    vl_program_clear(&s->plain);
}

// Rows first, first + 1, ..; free the values.
static inline velum_table session_rows(uint64_t first, uint64_t rows) {
    velum_table t = {.columns = BUILD_INPUTS, .rows = rows, .values = malloc(rows * BUILD_INPUTS * sizeof(double))};
    assert_non_null(t.values);
    for (uint64_t r = 0; r < rows; r++) build_row(first + r, t.values + r * BUILD_INPUTS);
    return t;
}

static inline velum_buffer session_query(const session *s, uint64_t first, uint64_t rows) {
    velum_table in = session_rows(first, rows);
    velum_buffer query;
    assert_int_equal(velum_client_encrypt(s->client, s->secret.data, s->secret.size, &in, &query), VELUM_OK);
    free(in.values);
    return query;
}

static inline velum_buffer session_answer(const session *s, uint64_t first, uint64_t rows) {
    velum_buffer query = session_query(s, first, rows), answer;
    assert_int_equal(velum_server_infer(s->server, query.data, query.size, &answer, NULL), VELUM_OK);
    velum_buffer_free(&query);
    return answer;
}

static inline velum_status session_decrypt(const session *s, const velum_buffer *answer, uint32_t share,
                                           velum_table *t) {
    return velum_client_decrypt(s->client, s->secret.data, s->secret.size, answer->data, answer->size, share, t);
}

// Decrypts and compares with direct arithmetic (programs without an epilogue).
static inline void session_check(const session *s, const velum_buffer *answer, uint64_t first, uint64_t rows) {
    velum_table t;
    assert_int_equal(session_decrypt(s, answer, 0, &t), VELUM_OK);
    assert_int_equal(t.rows, rows);
    assert_int_equal(t.columns, BUILD_OUTPUTS);
    assert_string_equal(t.names[0], "low");
    assert_string_equal(t.names[1], "high");
    for (uint64_t r = 0; r < rows; r++) {
        double raw[BUILD_INPUTS], want[BUILD_OUTPUTS];
        build_row(first + r, raw);
        build_expected(&s->plain, raw, want);
        for (uint32_t k = 0; k < BUILD_OUTPUTS; k++) {
            double error = fabs(t.values[r * BUILD_OUTPUTS + k] - want[k]);
            if (!(error < s->plain.manifest.error_bound)) fail_msg("row %llu: error %g", (unsigned long long)r, error);
        }
    }
    velum_table_free(&t);
}

static inline velum_buffer session_copy(const velum_buffer *b) {
    velum_buffer copy = {malloc(b->size), b->size};
    assert_non_null(copy.data);
    memcpy(copy.data, b->data, b->size);
    return copy;
}

#define assert_refused(status, want, words)                                                                            \
    do {                                                                                                               \
        assert_int_equal((status), (want));                                                                            \
        if (!strstr(velum_last_error(), (words))) fail_msg("'%s' lacks '%s'", velum_last_error(), (words));            \
    } while (0)

#endif
