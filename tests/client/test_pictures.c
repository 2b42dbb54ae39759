// SPDX-License-Identifier: Apache-2.0
// Programs on pictures from rows of pixels to decrypted answers: several ciphertexts a group, several groups, requests
// in real and imaginary parts.
#include "client/client.h"
#include "program/picture.h"
#include "test.h"

typedef struct sides {
    picture_net net;
    velum_buffer program_file, client_file, secret, keys;
    velum_program *program;
    velum_client *client;
    velum_server *server;
} sides;

static void open_sides(sides *s, uint32_t parts) {
    const picture_options o = {.parts = parts};
    *s = (sides){0};
    picture_program(&o, &s->net);
    picture_files(&o, &s->program_file, &s->client_file);
    assert_int_equal(velum_program_open(s->program_file.data, s->program_file.size, &s->program), VELUM_OK);
    assert_int_equal(vl_client_open_insecure(s->client_file.data, s->client_file.size, 1, &s->client), VELUM_OK);
    assert_int_equal(velum_client_keygen(s->client, &s->secret, &s->keys), VELUM_OK);
    if (velum_server_new(s->program, s->keys.data, s->keys.size, 1, &s->server) != VELUM_OK)
        fail_msg("%s", velum_last_error());
}

static void close_sides(sides *s) {
    velum_server_free(s->server);
    velum_client_free(s->client);
    velum_program_free(s->program);
    velum_buffer_free(&s->program_file);
    velum_buffer_free(&s->client_file);
    velum_buffer_free_secret(&s->secret);
    velum_buffer_free(&s->keys);
    vl_program_clear(&s->net.program);
}

static velum_table rows_of(uint64_t rows) {
    velum_table t = {.columns = PICTURE_PIXELS, .rows = rows, .values = malloc(rows * PICTURE_PIXELS * sizeof(double))};
    assert_non_null(t.values);
    for (uint64_t r = 0; r < rows; r++) picture_row(r, t.values + r * PICTURE_PIXELS);
    return t;
}

static velum_buffer encrypt(const sides *s, const velum_table *in) {
    velum_buffer query;
    assert_int_equal(velum_client_encrypt(s->client, s->secret.data, s->secret.size, in, &query), VELUM_OK);
    return query;
}

// What is in a query is what the layout says, in both parts.
static void queries_hold_the_pictures(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        sides s;
        open_sides(&s, parts);
        const vl_manifest *m = &s.client->manifest;
        const uint32_t slots = m->in.slots, rows = m->in.lanes - 3;
        velum_table in = rows_of(rows);
        velum_buffer query = encrypt(&s, &in);
        double *features, *want = vl_alloc_array(2 * slots, sizeof *want);
        double complex *got = vl_alloc_array(slots, sizeof *got);
        vl_client_secret secret;
        vl_message head;
        vl_reader r;
        vl_exec x;
        vl_poly plain;
        assert_int_equal(vl_manifest_features(m, &in, &features), VELUM_OK);
        assert_int_equal(vl_client_secret_load(s.client, s.secret.data, s.secret.size, &secret), VELUM_OK);
        assert_int_equal(vl_client_exec(s.client, &x), VELUM_OK);
        assert_int_equal(vl_poly_new(&s.client->params->ring, m->in_level, 0, &plain), VELUM_OK);
        assert_int_equal(vl_frame_open(query.data, query.size, VL_FRAME_QUERY, &r, NULL), VELUM_OK);
        assert_int_equal(vl_wire_head_load(&r, "query", &m->in, &head), VELUM_OK);
        assert_int_equal(head.groups * head.cts, 2);
        for (uint32_t i = 0; i < head.cts; i++) {
            vl_ciphertext ct;
            assert_int_equal(vl_ciphertext_load(&x, s.client->params, &r, true, m->in_level, m->in_scale, &ct),
                             VELUM_OK);
            vl_rlwe_decrypt(&x, s.client->params, &secret.sk, &ct, plain);
            assert_int_equal(vl_decode_complex(&x, s.client->encoder, plain, m->in_scale, got, slots), VELUM_OK);
            vl_layout_pack(&m->in, i, features, rows, want);
            for (uint32_t k = 0; k < slots; k++) {
                assert_true(fabs(creal(got[k]) - want[k]) < 1e-9);
                assert_true(fabs(cimag(got[k]) - (parts == 2 ? want[slots + k] : 0)) < 1e-9);
            }
            vl_ciphertext_free(&ct);
        }
        vl_poly_free(&plain);
        vl_client_exec_clear(&x);
        vl_secret_key_free(&secret.sk);
        vl_free(features);
        vl_free(want);
        vl_free(got);
        free(in.values);
        velum_buffer_free(&query);
        close_sides(&s);
    }
}

static void round_trips(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        sides s;
        open_sides(&s, parts);
        const uint32_t lanes = s.client->manifest.in.lanes, counts[] = {1, lanes / parts + 1, lanes, 2 * lanes + 5};
        double worst = 0;
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            velum_table in = rows_of(counts[i]), out;
            velum_buffer query = encrypt(&s, &in), answer;
            if (velum_server_infer(s.server, query.data, query.size, &answer, NULL) != VELUM_OK)
                fail_msg("%s", velum_last_error());
            assert_int_equal(
                velum_client_decrypt(s.client, s.secret.data, s.secret.size, answer.data, answer.size, 0, &out),
                VELUM_OK);
            assert_int_equal(out.rows, counts[i]);
            for (uint32_t r = 0; r < counts[i]; r++) {
                double want[BUILD_OUTPUTS];
                picture_expected(&s.net, in.values + (size_t)r * PICTURE_PIXELS, want);
                for (uint32_t k = 0; k < BUILD_OUTPUTS; k++)
                    worst = fmax(worst, fabs(out.values[r * BUILD_OUTPUTS + k] - want[k]));
            }
            free(in.values);
            velum_table_free(&out);
            velum_buffer_free(&query);
            velum_buffer_free(&answer);
        }
        print_message("    parts %u: error 2^%.1f\n", parts, log2(worst));
        assert_true(worst < s.net.program.manifest.error_bound);
        close_sides(&s);
    }
}

// ---- what operations leave ----
typedef struct layers { // by operation and row, of the widest value
    uint32_t rows, *seen;
    double *v;
} layers;

static void keep_layer(void *user, uint32_t layer, const char *name, uint64_t row, const double *v, uint64_t count) {
    layers *to = user;
    (void)name;
    assert_true(row < to->rows && count <= PICTURE_DIM);
    to->seen[layer] += (uint32_t)count;
    memcpy(to->v + (layer * (uint64_t)to->rows + row) * PICTURE_DIM, v, count * sizeof *v);
}

typedef struct reading {
    const sides *s;
    velum_layer layer;
    layers *to;
} reading;

static int take_piece(void *arg, const void *data, size_t size) {
    reading *r = arg;
    const velum_layer *l = &r->layer;
    assert_int_equal(
        velum_client_decrypt_layer(r->s->client, r->s->secret.data, r->s->secret.size, data, size, &r->layer),
        VELUM_OK);
    for (uint32_t k = 0; k < l->rows && l->taken == l->pieces; k++)
        keep_layer(r->to, l->layer, l->name, l->first + k, l->values + (size_t)k * l->columns, l->columns);
    return 0;
}

static layers layers_new(const sides *s, uint32_t rows) {
    const uint32_t ops = s->net.program.op_count;
    layers l = {.rows = rows, .seen = calloc(ops, sizeof *l.seen)};
    l.v = calloc((size_t)ops * rows * PICTURE_DIM, sizeof *l.v);
    assert_true(l.seen && l.v);
    return l;
}

static double deviation(const layers *a, const layers *b, uint32_t op) {
    double sum = 0;
    const size_t n = (size_t)a->rows * PICTURE_DIM;
    for (size_t i = op * n; i < (op + 1) * n; i++) sum += (a->v[i] - b->v[i]) * (a->v[i] - b->v[i]);
    return sqrt(sum / a->seen[op]);
}

// Of both parts and of several ciphertexts a value: encrypted they are those in the clear, with the noise to be
// expected.
static void layers_are_those_in_the_clear(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        sides s;
        open_sides(&s, parts);
        const uint32_t rows = s.client->manifest.in.lanes + 3; // two groups
        layers all[3] = {layers_new(&s, rows), layers_new(&s, rows), layers_new(&s, rows)};
        velum_table in = rows_of(rows), out;
        velum_buffer query = encrypt(&s, &in), answer;
        reading r = {.s = &s, .to = &all[0]};
        assert_int_equal(velum_server_infer_layers(s.server, query.data, query.size, take_piece, &r, &answer),
                         VELUM_OK);
        assert_int_equal(velum_program_simulate_layers(s.program, &in, keep_layer, &all[1], &out), VELUM_OK);
        velum_table_free(&out);
        assert_int_equal(velum_program_simulate_noisy(s.program, &in, 1, keep_layer, &all[2], &out), VELUM_OK);
        velum_table_free(&out);
        for (uint32_t i = 0; i < s.net.program.op_count; i++) {
            const double found = deviation(&all[0], &all[1], i), expected = deviation(&all[2], &all[1], i);
            assert_int_equal(all[0].seen[i], all[1].seen[i]);
            if (!(found > 0 && found < 16 * expected && expected < 32 * found))
                fail_msg("'%s': deviation 2^%.1f, expected 2^%.1f", s.net.program.ops[i].name, log2(found),
                         log2(expected));
        }
        for (uint32_t i = 0; i < 3; i++) {
            free(all[i].seen);
            free(all[i].v);
        }
        velum_layer_free(&r.layer);
        free(in.values);
        velum_buffer_free(&query);
        velum_buffer_free(&answer);
        close_sides(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(queries_hold_the_pictures), cmocka_unit_test(round_trips),
                                       cmocka_unit_test(layers_are_those_in_the_clear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
