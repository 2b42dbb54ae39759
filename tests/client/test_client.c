// SPDX-License-Identifier: Apache-2.0
// The client through its public functions: round trips, mix-ups, damage, sharing, threads.
#include "base/clock.h"
#include "client/session.h"

#include <pthread.h>

static const build_options network = {.net = BUILD_NETWORK, .lanes = 4}, single = {.net = BUILD_NETWORK, .seed = 7},
                           spread = {.net = BUILD_SPREAD}, branches = {.net = BUILD_BRANCHES, .lanes = 2};

static void round_trips(void **state) {
    (void)state;
    const build_options *const programs[] = {&network, &single, &spread, &branches};
    const uint64_t counts[] = {1, 3, 4, 5, 11, 130};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        session s;
        session_init(&s, programs[i]);
        velum_info info;
        velum_client_info(s.client, &info);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            velum_buffer query = session_query(&s, k, counts[k]), answer;
            uint64_t groups = (counts[k] + info.lanes - 1) / info.lanes;
            assert_in_range(query.size, groups * info.query_bytes,
                            groups * (info.query_bytes + 64 * BUILD_FEATURES) + 120);
            assert_int_equal(velum_server_infer(s.server, query.data, query.size, &answer, NULL), VELUM_OK);
            assert_in_range(answer.size, groups * info.answer_bytes, groups * (info.answer_bytes + 24) + 120);
            session_check(&s, &answer, k, counts[k]);
            velum_buffer_free(&query);
            velum_buffer_free(&answer);
        }
        assert_int_equal(s.keys.size, info.eval_key_bytes + VL_FRAME_HEAD + VL_EVAL_HEAD_BYTES + VL_DIGEST_BYTES);
        session_clear(&s);
    }
}

static void secure_parameters(void **state) {
    (void)state;
    session s;
    velum_client *public_door = NULL;
    session_init(&s, &(build_options){.security = 128, .lanes = 8});
    assert_int_equal(velum_client_open(s.client_file.data, s.client_file.size, 2, &public_door), VELUM_OK);
    velum_client_free(public_door);
    velum_buffer answer = session_answer(&s, 0, 10);
    session_check(&s, &answer, 0, 10);
    velum_buffer_free(&answer);
    session_clear(&s);
}

// What the server sends is not taken on trust: parameters outside the table do not come in.
static void insecure_parameters_are_refused(void **state) {
    (void)state;
    velum_buffer program, half;
    velum_client *client = NULL;
    build_files(&network, &program, &half);
    assert_refused(velum_client_open(half.data, half.size, 1, &client), VELUM_E_INSECURE, "0 bits of security");
    assert_null(client);
    velum_buffer_free(&program);
    velum_buffer_free(&half);
    // A set that claims 128 bits and does not have them.
    vl_program p;
    build_program(&network, &p);
    p.manifest.params.security_bits = 128;
    vl_writer w = vl_writer_of((size_t)1 << 20);
    assert_int_equal(vl_client_half_save(&p, &w), VELUM_OK);
    assert_int_equal(velum_client_open(w.data, w.size, 1, &client), VELUM_E_INSECURE);
    assert_null(client);
    vl_writer_clear(&w);
    vl_program_clear(&p);
}

static void epilogues_at_the_client(void **state) {
    (void)state;
    for (vl_epilogue e = VL_EPILOGUE_SIGMOID; e < VL_EPILOGUES; e++) {
        session s;
        velum_table t;
        session_init(&s, &(build_options){.lanes = 4, .epilogue = e});
        velum_buffer answer = session_answer(&s, 0, 6);
        assert_int_equal(session_decrypt(&s, &answer, 0, &t), VELUM_OK);
        assert_int_equal(t.columns, e == VL_EPILOGUE_ARGMAX ? 1 : BUILD_OUTPUTS);
        for (uint64_t r = 0; r < 6; r++) {
            double raw[BUILD_INPUTS], want[BUILD_OUTPUTS];
            build_row(r, raw);
            build_expected(&s.plain, raw, want);
            vl_manifest_epilogue(&s.plain.manifest, want);
            for (uint32_t k = 0; k < t.columns; k++) assert_true(fabs(t.values[r * t.columns + k] - want[k]) < 0x1p-20);
        }
        velum_table_free(&t);
        velum_buffer_free(&answer);
        session_clear(&s);
    }
}

static void names_and_descriptions(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    assert_string_equal(velum_client_input_name(s.client, 0), "age");
    assert_string_equal(velum_client_input_name(s.client, 2), "code");
    assert_string_equal(velum_client_input_description(s.client, 0), "years");
    assert_null(velum_client_input_name(s.client, 3));
    assert_null(velum_client_input_description(s.client, UINT32_MAX));
    velum_info a, b;
    velum_client_info(s.client, &a);
    velum_program_info(s.program, &b);
    assert_string_equal(a.model, "hand-built");
    assert_true(a.lanes == 4 && a.inputs == 3 && a.outputs == 2 && a.log_n == 8 && a.security_bits == 0);
    assert_true(a.keys == b.keys && a.eval_key_bytes == b.eval_key_bytes && a.query_bytes == b.query_bytes);
    assert_true(a.memory_bytes == 0 && b.memory_bytes > 0 && b.predicted_seconds > 0);
    session_clear(&s);
}

static bool contains(const velum_buffer *in, const void *what, size_t n) {
    return memmem(in->data, in->size, what, n) != NULL;
}

// The secret's coefficients, packed or not, are nowhere in what leaves the client; nor are the inputs.
static void secret_stays(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 9);
    size_t first = VL_FRAME_HEAD + VL_KEY_ID_BYTES + VL_DIGEST_BYTES, n = 256 / 4;
    assert_int_equal(s.secret.size, first + n + VL_DIGEST_BYTES);
    int8_t wide[256];
    for (size_t k = 0; k < 256; k++) {
        unsigned two = s.secret.data[first + k / 4] >> (2 * (k % 4)) & 3;
        wide[k] = (int8_t)(two == 3 ? -1 : (int)two);
    }
    for (size_t at = 0; at + 8 <= n; at++) {
        assert_false(contains(&s.keys, s.secret.data + first + at, 8));
        assert_false(contains(&query, s.secret.data + first + at, 8));
    }
    for (size_t at = 0; at + 16 <= 256; at++) {
        assert_false(contains(&s.keys, wide + at, 16));
        assert_false(contains(&query, wide + at, 16));
    }
    assert_false(contains(&query, &(double){37}, 8));
    velum_buffer_free(&query);
    session_clear(&s);
}

// More than half of the ciphertext's bytes differ between two encryptions of one row, and between two keys.
static void encryption_is_fresh(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer a = session_query(&s, 1, 1), b = session_query(&s, 1, 1), secret, keys;
    assert_int_equal(a.size, b.size);
    const size_t seed =
        VL_FRAME_HEAD + VL_KEY_ID_BYTES + 16 + 12; // the random half is made from it: never twice the same
    assert_memory_not_equal(a.data + seed, b.data + seed, VL_SEED_BYTES);
    size_t differ = 0;
    for (size_t i = 0; i < a.size; i++) differ += a.data[i] != b.data[i];
    assert_true(differ > a.size * 9 / 10 - 200);
    assert_int_equal(velum_client_keygen(s.client, &secret, &keys), VELUM_OK);
    assert_memory_not_equal(secret.data + VL_FRAME_HEAD, s.secret.data + VL_FRAME_HEAD, VL_KEY_ID_BYTES);
    assert_memory_not_equal(secret.data + 120, s.secret.data + 120, 32);
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
    velum_buffer_free(&a);
    velum_buffer_free(&b);
    session_clear(&s);
}

static void mix_ups_are_named(void **state) {
    (void)state;
    session s, other;
    session_init(&s, &network);
    session_init(&other, &single); // another program
    velum_buffer answer = session_answer(&s, 0, 2), strange = session_answer(&other, 0, 1), secret, keys;
    velum_table t = {.columns = 99};
    assert_refused(session_decrypt(&s, &strange, 0, &t), VELUM_E_MISMATCH, "answer: made for another program");
    assert_refused(
        velum_client_decrypt(s.client, other.secret.data, other.secret.size, answer.data, answer.size, 0, &t),
        VELUM_E_MISMATCH, "secret key: made for another program");
    assert_int_equal(velum_client_keygen(s.client, &secret, &keys), VELUM_OK);
    assert_refused(velum_client_decrypt(s.client, secret.data, secret.size, answer.data, answer.size, 0, &t),
                   VELUM_E_MISMATCH, "answer: made under another key");
    assert_true(t.columns == 99 && !t.values && !t.names); // untouched
    velum_table in = session_rows(0, 1);
    velum_buffer query = {NULL, 77};
    assert_refused(velum_client_encrypt(s.client, other.secret.data, other.secret.size, &in, &query), VELUM_E_MISMATCH,
                   "another program");
    assert_true(query.size == 77 && !query.data);
    free(in.values);
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
    velum_buffer_free(&answer);
    velum_buffer_free(&strange);
    session_clear(&s);
    session_clear(&other);
}

static void swapped_files_say_what_they_are(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer answer = session_answer(&s, 0, 1), query = {NULL, 77};
    velum_table in = session_rows(0, 1), t = {.columns = 99};
    velum_client *client = NULL;
    assert_refused(velum_client_open(s.program_file.data, s.program_file.size, 1, &client), VELUM_E_FORMAT,
                   "this is a program, not a client program");
    assert_refused(velum_client_open("rubbish", 7, 1, &client), VELUM_E_FORMAT, "not a Velum file");
    assert_refused(velum_client_encrypt(s.client, s.keys.data, s.keys.size, &in, &query), VELUM_E_FORMAT,
                   "this is a file of evaluation keys, not a secret key");
    assert_refused(velum_client_decrypt(s.client, answer.data, answer.size, answer.data, answer.size, 0, &t),
                   VELUM_E_FORMAT, "this is an answer, not a secret key");
    assert_refused(session_decrypt(&s, &s.client_file, 0, &t), VELUM_E_FORMAT,
                   "this is a client program, not an answer");
    assert_null(client);
    assert_true(query.size == 77 && t.columns == 99);
    free(in.values);
    velum_buffer_free(&answer);
    session_clear(&s);
}

static void damage_is_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer answer = session_answer(&s, 0, 2), query = {NULL, 77};
    velum_table t = {.columns = 99}, in = session_rows(0, 1);
    for (size_t at = 0; at < answer.size; at += 1 + at / 64) {
        answer.data[at] ^= 0x10;
        assert_int_not_equal(session_decrypt(&s, &answer, 0, &t), VELUM_OK);
        answer.data[at] ^= 0x10;
        velum_buffer cut = {answer.data, at};
        assert_int_not_equal(session_decrypt(&s, &cut, 0, &t), VELUM_OK);
    }
    for (size_t at = 0; at < s.secret.size; at++) {
        s.secret.data[at] ^= 0x01;
        assert_int_not_equal(velum_client_encrypt(s.client, s.secret.data, s.secret.size, &in, &query), VELUM_OK);
        assert_int_not_equal(session_decrypt(&s, &answer, 0, &t), VELUM_OK);
        s.secret.data[at] ^= 0x01;
        assert_int_not_equal(velum_client_encrypt(s.client, s.secret.data, at, &in, &query), VELUM_OK);
    }
    assert_true(query.size == 77 && t.columns == 99 && !t.values);
    session_check(&s, &answer, 0, 2); // it was the damage
    free(in.values);
    velum_buffer_free(&answer);
    session_clear(&s);
}

// Answers with a digest that fits and content that does not. `at` counts from the payload.
static void forged(const session *s, const velum_buffer *answer, size_t at, const void *bytes, size_t n,
                   const char *words) {
    velum_buffer copy = session_copy(answer);
    velum_table t = {.columns = 99};
    memcpy(copy.data + VL_FRAME_HEAD + at, bytes, n);
    build_reseal(copy.data, copy.size);
    assert_refused(session_decrypt(s, &copy, 0, &t), VELUM_E_FORMAT, words);
    assert_int_equal(t.columns, 99);
    velum_buffer_free(&copy);
}

static void forged_answers_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer answer = session_answer(&s, 0, 6); // two groups
    const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t zeros[8] = {0};
    const size_t head = VL_KEY_ID_BYTES, first = head + 16;
    forged(&s, &answer, head, &(uint64_t){0}, 8, "0 requests");
    forged(&s, &answer, head, &(uint64_t){9}, 8, "for 9 requests");
    forged(&s, &answer, head, &(uint64_t){VL_MAX_REQUESTS + 1}, 8, "requests");
    forged(&s, &answer, head + 8, &(uint32_t){3}, 4, "3 groups");
    forged(&s, &answer, head + 12, &(uint32_t){2}, 4, "2 ciphertexts");
    forged(&s, &answer, first, &(uint8_t){1}, 1, "seeded");
    forged(&s, &answer, first, &(uint8_t){2}, 1, "form 2");
    forged(&s, &answer, first + 1, &(uint8_t){0}, 1, "degree 0");
    forged(&s, &answer, first + 1, &(uint8_t){3}, 1, "degree 3");
    forged(&s, &answer, first + 2, &(uint16_t){2}, 2, "level 2, expected 1");
    forged(&s, &answer, first + 2, zeros, 2, "level 0");
    forged(&s, &answer, first + 4, zeros, 8, "scale 0");
    forged(&s, &answer, first + 4, &(double){0x1p41}, 8, "expected");
    forged(&s, &answer, first + 12, ones, 16, "residue");
    forged(&s, &answer, answer.size - VL_FRAME_HEAD - VL_DIGEST_BYTES - 8, ones, 8, "residue");
    velum_buffer copy = session_copy(&answer);
    velum_table t = {.columns = 99};
    uint64_t million = 1000000; // many rows, little content: no table is made for them
    uint32_t groups = 250000;
    memcpy(copy.data + VL_FRAME_HEAD + head, &million, 8);
    memcpy(copy.data + VL_FRAME_HEAD + head + 8, &groups, 4);
    build_reseal(copy.data, copy.size);
    assert_refused(session_decrypt(&s, &copy, 0, &t), VELUM_E_FORMAT, "250000 groups");
    velum_buffer_free(&copy);
    copy = session_copy(&answer);
    copy.size--;
    build_reseal(copy.data, copy.size);
    assert_refused(session_decrypt(&s, &copy, 0, &t), VELUM_E_FORMAT, "cut short");
    velum_buffer_free(&copy);
    copy = session_copy(&answer);
    copy.data = realloc(copy.data, ++copy.size);
    build_reseal(copy.data, copy.size);
    assert_refused(session_decrypt(&s, &copy, 0, &t), VELUM_E_FORMAT, "wrong size");
    assert_int_equal(t.columns, 99);
    velum_buffer_free(&copy);
    velum_buffer_free(&answer);
    session_clear(&s);
}

static void forged_secrets_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_table in = session_rows(0, 1);
    velum_buffer query = {NULL, 77}, copy = session_copy(&s.secret);
    copy.data[VL_FRAME_HEAD + VL_KEY_ID_BYTES + VL_DIGEST_BYTES + 5] = 2; // a coefficient of 2
    build_reseal(copy.data, copy.size);
    assert_refused(velum_client_encrypt(s.client, copy.data, copy.size, &in, &query), VELUM_E_FORMAT, "coefficient");
    memcpy(copy.data, s.secret.data, copy.size);
    copy.data[VL_FRAME_HEAD + VL_KEY_ID_BYTES] ^= 1; // other parameters
    build_reseal(copy.data, copy.size);
    assert_refused(velum_client_encrypt(s.client, copy.data, copy.size, &in, &query), VELUM_E_MISMATCH, "parameters");
    memcpy(copy.data, s.secret.data, copy.size);
    copy.data = realloc(copy.data, copy.size + 3);
    build_reseal(copy.data, copy.size + 3);
    assert_refused(velum_client_encrypt(s.client, copy.data, copy.size + 3, &in, &query), VELUM_E_FORMAT, "wrong size");
    build_reseal(copy.data, copy.size - 3);
    assert_refused(velum_client_encrypt(s.client, copy.data, copy.size - 3, &in, &query), VELUM_E_FORMAT, "cut short");
    assert_true(query.size == 77 && !query.data);
    velum_buffer_free(&copy);
    free(in.values);
    session_clear(&s);
}

static void bad_rows_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_table in = session_rows(0, 7);
    velum_buffer query = {NULL, 77};
    in.values[5 * BUILD_INPUTS + 1] = NAN;
    assert_refused(velum_client_encrypt(s.client, s.secret.data, s.secret.size, &in, &query), VELUM_E_VALUE,
                   "row 6: field 'sex' is missing");
    in.values[5 * BUILD_INPUTS + 1] = 1;
    in.values[6 * BUILD_INPUTS] = 121;
    assert_refused(velum_client_encrypt(s.client, s.secret.data, s.secret.size, &in, &query), VELUM_E_VALUE,
                   "row 7: field 'age' is 121");
    in.rows = 0;
    assert_refused(velum_client_encrypt(s.client, s.secret.data, s.secret.size, &in, &query), VELUM_E_VALUE, "no rows");
    assert_true(query.size == 77 && !query.data);
    free(in.values);
    session_clear(&s);
}

// ---- sharing ----

static void shared_results_carry_noise(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    enum { ROWS = 50, RESULTS = ROWS * BUILD_OUTPUTS, BITS = 8 };
    velum_buffer answer = session_answer(&s, 0, ROWS);
    velum_table exact, again, shared;
    assert_int_equal(session_decrypt(&s, &answer, 0, &exact), VELUM_OK);
    assert_int_equal(session_decrypt(&s, &answer, 0, &again), VELUM_OK);
    assert_memory_equal(exact.values, again.values, RESULTS * sizeof(double));
    double sigma = sqrt(12.0 * RESULTS) * exp2(BITS / 2.0) * s.plain.manifest.error_bound, squares = 0;
    double grid = exp2(floor(log2(sigma)) - 10);
    for (int times = 0; times < 4; times++) {
        assert_int_equal(session_decrypt(&s, &answer, BITS, &shared), VELUM_OK);
        for (int i = 0; i < RESULTS; i++) {
            double d = shared.values[i] - exact.values[i];
            assert_true(fabs(d) < 7 * sigma && fabs(d) < 0x1p-7);
            assert_true(shared.values[i] / grid == nearbyint(shared.values[i] / grid));
            squares += d * d;
        }
        velum_table_free(&shared);
    }
    double measured = sqrt(squares / (4 * RESULTS));
    assert_true(measured > 0.8 * sigma && measured < 1.25 * sigma);
    shared.columns = 99;
    assert_refused(session_decrypt(&s, &answer, 40, &shared), VELUM_E_LIMIT, "40 statistical bits");
    assert_refused(session_decrypt(&s, &answer, 129, &shared), VELUM_E_USAGE, "129");
    assert_int_equal(shared.columns, 99);
    velum_table_free(&exact);
    velum_table_free(&again);
    velum_buffer_free(&answer);
    session_clear(&s);
}

// Without a declared bound nothing would be added: refused, rather than shared bare.
static void sharing_needs_a_bound(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer answer = session_answer(&s, 0, 1);
    velum_table t = {.columns = 99};
    s.client->manifest.error_bound = 0;
    assert_refused(session_decrypt(&s, &answer, 8, &t), VELUM_E_LIMIT, "no error bound");
    // Nor does a bound that no ciphertext can keep make the noise vanish.
    velum_table exact;
    s.client->manifest.error_bound = 0x1p-300;
    assert_int_equal(session_decrypt(&s, &answer, 0, &exact), VELUM_OK);
    assert_int_equal(session_decrypt(&s, &answer, 8, &t), VELUM_OK);
    for (int i = 0; i < BUILD_OUTPUTS; i++) {
        double noise = fabs(t.values[i] - exact.values[i]);
        assert_true(noise > 0x1p-36 && noise < 0x1p-22);
    }
    velum_table_free(&exact);
    velum_table_free(&t);
    velum_buffer_free(&answer);
    session_clear(&s);
}

// ---- threads ----

typedef struct worker {
    const session *s;
    velum_buffer answer; // of rows 0 ..
    uint64_t rows;
    bool ok;
} worker;

static void *use_client(void *arg) {
    worker *w = arg;
    const session *s = w->s;
    double values[BUILD_INPUTS * 5];
    for (uint64_t r = 0; r < 5; r++) build_row(r, values + r * BUILD_INPUTS);
    velum_table in = {.columns = BUILD_INPUTS, .rows = 5, .values = values}, out;
    w->ok = true;
    for (int times = 0; times < 5 && w->ok; times++) {
        velum_buffer query, secret, keys;
        w->ok = velum_client_encrypt(s->client, s->secret.data, s->secret.size, &in, &query) == VELUM_OK;
        if (w->ok) velum_buffer_free(&query);
        w->ok = w->ok && session_decrypt(s, &w->answer, 0, &out) == VELUM_OK && out.rows == w->rows;
        if (w->ok) velum_table_free(&out);
        w->ok = w->ok && velum_client_keygen(s->client, &secret, &keys) == VELUM_OK;
        if (w->ok) {
            velum_buffer_free_secret(&secret);
            velum_buffer_free(&keys);
        }
        // Each thread has its own last error.
        char want[32];
        in.values[0] = -(double)w->rows;
        snprintf(want, sizeof want, "'age' is -%llu,", (unsigned long long)w->rows);
        w->ok = w->ok &&
                velum_client_encrypt(s->client, s->secret.data, s->secret.size, &in, &query) == VELUM_E_VALUE &&
                strstr(velum_last_error(), want);
        in.values[0] = 1;
    }
    return NULL;
}

static void one_client_in_two_threads(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    worker workers[2] = {{.s = &s, .rows = 3, .answer = session_answer(&s, 0, 3)},
                         {.s = &s, .rows = 9, .answer = session_answer(&s, 0, 9)}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_client, &workers[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(workers[i].ok);
        velum_buffer_free(&workers[i].answer);
    }
    session_clear(&s);
}

// ---- keys that go to their file while they are made ----

typedef struct taken {
    uint8_t *data;
    size_t size, refuse_at;
} taken;

static int take(void *arg, const void *data, size_t size) {
    taken *t = arg;
    if (t->size + size > t->refuse_at) return -1;
    t->data = realloc(t->data, t->size + size);
    assert_non_null(t->data);
    memcpy(t->data + t->size, data, size);
    t->size += size;
    return 0;
}

static void keys_in_pieces(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    taken t = {.refuse_at = SIZE_MAX};
    velum_buffer secret;
    velum_server *server;
    assert_int_equal(velum_client_keygen_to(s.client, &secret, take, &t), VELUM_OK);
    assert_int_equal(t.size, s.keys.size);
    assert_int_equal(velum_server_new(s.program, t.data, t.size, 1, &server), VELUM_OK);
    session other = s;
    other.server = server;
    other.secret = secret;
    velum_buffer answer = session_answer(&other, 0, 3);
    session_check(&other, &answer, 0, 3);
    velum_buffer_free(&answer);
    velum_buffer_free_secret(&secret);
    velum_server_free(server);
    for (size_t at = 0; at < s.keys.size; at += s.keys.size - 20) { // the first piece, the digest
        t.size = 0;
        t.refuse_at = at;
        secret = (velum_buffer){NULL, 77};
        assert_refused(velum_client_keygen_to(s.client, &secret, take, &t), VELUM_E_IO, "could not be written");
        assert_true(!secret.data && secret.size == 77);
    }
    free(t.data);
    session_clear(&s);
}

// The list of keys comes from the server's side: it cannot fill the client's disk.
static void too_many_keys(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){.log_n = 16}, &p);
    vl_manifest *m = &p.manifest;
    vl_free(m->keys);
    m->keys = vl_alloc_array(VL_MAX_KEYS - 1, sizeof *m->keys);
    assert_non_null(m->keys);
    for (m->key_count = 0; m->key_count < VL_MAX_KEYS - 1; m->key_count++)
        m->keys[m->key_count] = (vl_key_request){m->key_count ? 2 * m->key_count + 1 : 0, 2};
    vl_writer w = vl_writer_of((size_t)1 << 21);
    assert_int_equal(vl_client_half_save(&p, &w), VELUM_OK);
    velum_client *client;
    assert_int_equal(vl_client_open_insecure(w.data, w.size, 1, &client), VELUM_OK);
    taken t = {.refuse_at = SIZE_MAX};
    velum_buffer secret = {NULL, 77};
    double start = vl_now();
    assert_refused(velum_client_keygen_to(client, &secret, take, &t), VELUM_E_LIMIT, "bytes of keys");
    assert_true(vl_now() - start < 1); // no search in the list
    assert_true(t.size == 0 && !secret.data && secret.size == 77);
    velum_client_free(client);
    vl_writer_clear(&w);
    vl_program_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(secure_parameters),
        cmocka_unit_test(insecure_parameters_are_refused),
        cmocka_unit_test(epilogues_at_the_client),
        cmocka_unit_test(names_and_descriptions),
        cmocka_unit_test(secret_stays),
        cmocka_unit_test(encryption_is_fresh),
        cmocka_unit_test(mix_ups_are_named),
        cmocka_unit_test(swapped_files_say_what_they_are),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(forged_answers_are_refused),
        cmocka_unit_test(forged_secrets_are_refused),
        cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(shared_results_carry_noise),
        cmocka_unit_test(sharing_needs_a_bound),
        cmocka_unit_test(one_client_in_two_threads),
        cmocka_unit_test(keys_in_pieces),
        cmocka_unit_test(too_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
