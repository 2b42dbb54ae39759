// SPDX-License-Identifier: Apache-2.0
// The server through its public functions: answers, reports, hostile keys and queries.
#include "client/session.h"

#include <pthread.h>

static const build_options network = {.net = BUILD_NETWORK, .lanes = 4}, other_net = {.net = BUILD_NETWORK, .seed = 7};
static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static void answers_and_reports(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    for (unsigned threads = 1; threads <= 2; threads++) {
        velum_server *server;
        velum_report report;
        velum_buffer query = session_query(&s, 0, 9), answer;
        assert_int_equal(velum_server_new(s.program, s.keys.data, s.keys.size, threads, &server), VELUM_OK);
        memset(&report, 0x5a, sizeof report);
        assert_int_equal(velum_server_infer(server, query.data, query.size, &answer, &report), VELUM_OK);
        session_check(&s, &answer, 0, 9);
        assert_int_equal(report.requests, 9);
        assert_int_equal(report.threads, threads);
        assert_true(report.peak_rss_bytes > (1u << 16));
        assert_int_equal(report.stage_count, 6);
        const char *names[] = {"first/Gemm", "first/Square", "last/Gemm", "mask", "load query", "save answer"};
        double sum = 0;
        for (uint32_t i = 0; i < report.stage_count; i++) {
            assert_string_equal(report.stages[i].name, names[i]);
            assert_true(report.stages[i].seconds > 0);
            sum += report.stages[i].seconds;
        }
        assert_true(sum <= report.seconds);
        velum_buffer_free(&answer);
        velum_buffer_free(&query);
        velum_server_free(server);
    }
    session_clear(&s);
}

// The same query twice: the same numbers, but nothing of the ciphertexts is alike.
static void answers_are_rerandomised(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 1), a, b;
    assert_int_equal(velum_server_infer(s.server, query.data, query.size, &a, NULL), VELUM_OK);
    assert_int_equal(velum_server_infer(s.server, query.data, query.size, &b, NULL), VELUM_OK);
    size_t differ = 0;
    for (size_t i = 0; i < a.size; i++) differ += a.data[i] != b.data[i];
    assert_true(differ > (a.size - 120) * 9 / 10);
    session_check(&s, &a, 0, 1);
    session_check(&s, &b, 0, 1);
    velum_buffer_free(&a);
    velum_buffer_free(&b);
    velum_buffer_free(&query);
    session_clear(&s);
}

static void expect_no_server(const session *s, const velum_buffer *keys, velum_status want, const char *words) {
    velum_server *server = NULL;
    assert_refused(velum_server_new(s->program, keys->data, keys->size, 1, &server), want, words);
    assert_null(server);
}

static void expect_no_answer(const session *s, const velum_buffer *query, velum_status want, const char *words) {
    velum_buffer answer = {NULL, 77};
    velum_report report = {.requests = 55};
    assert_refused(velum_server_infer(s->server, query->data, query->size, &answer, &report), want, words);
    assert_true(!answer.data && answer.size == 77 && report.requests == 55);
}

static void mix_ups_are_named(void **state) {
    (void)state;
    session s, other, renewed;
    session_init(&s, &network);
    session_init(&other, &other_net);
    velum_buffer query = session_query(&other, 0, 1), secret, keys, foreign;
    expect_no_server(&s, &other.keys, VELUM_E_MISMATCH, "evaluation keys: made for another program");
    expect_no_answer(&s, &query, VELUM_E_MISMATCH, "query: made for another program");
    velum_buffer_free(&query);
    assert_int_equal(velum_client_keygen(s.client, &secret, &keys), VELUM_OK);
    renewed = s;
    renewed.secret = secret;
    foreign = session_query(&renewed, 0, 1);
    expect_no_answer(&s, &foreign, VELUM_E_MISMATCH, "query: made under another key");
    velum_buffer_free(&foreign);
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
    session_clear(&s);
    session_clear(&other);
}

static void swapped_files_say_what_they_are(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 1), answer = session_answer(&s, 0, 1);
    velum_program *program = NULL;
    expect_no_server(&s, &s.secret, VELUM_E_FORMAT, "this is a secret key, not a file of evaluation keys");
    expect_no_server(&s, &query, VELUM_E_FORMAT, "this is a query, not a file of evaluation keys");
    expect_no_answer(&s, &answer, VELUM_E_FORMAT, "this is an answer, not a query");
    expect_no_answer(&s, &s.keys, VELUM_E_FORMAT, "this is a file of evaluation keys, not a query");
    assert_refused(velum_program_open(s.client_file.data, s.client_file.size, &program), VELUM_E_FORMAT,
                   "this is a client program, not a program");
    assert_refused(velum_program_open(s.client_file.data, 0, &program), VELUM_E_FORMAT, "not a Velum file");
    assert_null(program);
    velum_buffer_free(&query);
    velum_buffer_free(&answer);
    session_clear(&s);
}

static void damage_is_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 2);
    for (size_t at = 0; at < query.size; at += 1 + at / 64) {
        query.data[at] ^= 0x08;
        expect_no_answer(&s, &query, at < 8 ? VELUM_E_FORMAT : at < 24 ? VELUM_E_FORMAT : VELUM_E_DIGEST, "");
        query.data[at] ^= 0x08;
        velum_buffer cut = {query.data, at};
        expect_no_answer(&s, &cut, VELUM_E_FORMAT, "");
    }
    for (size_t at = 24; at < s.keys.size; at += 1 + at / 16) {
        s.keys.data[at] ^= 0x80;
        expect_no_server(&s, &s.keys, VELUM_E_DIGEST, "evaluation keys that is damaged");
        s.keys.data[at] ^= 0x80;
        velum_buffer cut = {s.keys.data, at};
        expect_no_server(&s, &cut, VELUM_E_FORMAT, "");
    }
    velum_buffer answer;
    assert_int_equal(velum_server_infer(s.server, query.data, query.size, &answer, NULL), VELUM_OK);
    session_check(&s, &answer, 0, 2); // the refused ones left no trace
    velum_buffer_free(&answer);
    velum_buffer_free(&query);
    session_clear(&s);
}

// ---- forged: a digest that fits, and content that does not ----

// A client that was given a shorter list of keys for the same program makes the file.
static velum_buffer keys_by(const session *s, void (*change)(vl_manifest *m)) {
    vl_program p;
    build_program(&network, &p);
    change(&p.manifest);
    vl_writer w = vl_writer_of((size_t)1 << 20);
    vl_frame_begin(&w, VL_FRAME_CLIENT, s->client->program);
    vl_manifest_save(&p.manifest, &w);
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    velum_client *client;
    velum_buffer secret, keys;
    assert_int_equal(vl_client_open_insecure(w.data, w.size, 1, &client), VELUM_OK);
    assert_int_equal(velum_client_keygen(client, &secret, &keys), VELUM_OK);
    velum_buffer_free_secret(&secret);
    velum_client_free(client);
    vl_writer_clear(&w);
    vl_program_clear(&p);
    return keys;
}

static void no_rotation(vl_manifest *m) { m->key_count--; }
static void no_relinearisation(vl_manifest *m) {
    memmove(m->keys, m->keys + 1, --m->key_count * sizeof *m->keys); // element 0 comes first
}
static void low_relinearisation(vl_manifest *m) { m->keys[0].level--; }
static void no_public_key(vl_manifest *m) { m->zero_nq = 0; }
static void no_keys(vl_manifest *m) { m->key_count = 0; }
static void one_more(vl_manifest *m) {
    m->keys[m->key_count] = (vl_key_request){511, 1}; // conjugation: not used, no harm
    m->key_count++;
}

static void missing_keys_are_named(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    char last[64];
    snprintf(last, sizeof last, "element %llu ",
             (unsigned long long)s.plain.manifest.keys[s.plain.manifest.key_count - 1].galois);
    const struct {
        void (*change)(vl_manifest *m);
        const char *words;
    } cases[] = {{no_rotation, last},
                 {no_relinearisation, "element 0 at level 4 is missing"},
                 {low_relinearisation, "element 0 at level 4 is missing"},
                 {no_public_key, "public encryption key is missing"},
                 {no_keys, "is missing"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        velum_buffer keys = keys_by(&s, cases[i].change);
        expect_no_server(&s, &keys, VELUM_E_MISMATCH, cases[i].words);
        velum_buffer_free(&keys);
    }
    velum_server *server;
    velum_buffer keys = keys_by(&s, one_more);
    assert_int_equal(velum_server_new(s.program, keys.data, keys.size, 1, &server), VELUM_OK);
    velum_server_free(server);
    velum_buffer_free(&keys);
    session_clear(&s);
}

static void forged_keys(const session *s, size_t at, const void *bytes, size_t n, velum_status want,
                        const char *words) {
    velum_buffer copy = session_copy(&s->keys);
    memcpy(copy.data + VL_FRAME_HEAD + at, bytes, n);
    build_reseal(copy.data, copy.size);
    expect_no_server(s, &copy, want, words);
    velum_buffer_free(&copy);
}

static void forged_keys_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    const size_t digest = VL_EVAL_HEAD_BYTES, zero = digest + VL_DIGEST_BYTES, count = zero + 2;
    const size_t seed = digest + 64, zero_b = seed + 64, first = zero_b + s.plain.manifest.zero_nq * 256 * 8 + 320;
    forged_keys(&s, VL_KEY_ID_BYTES, &(uint32_t){1}, 4, VELUM_E_MISMATCH, "keys of a bootstrap");
    forged_keys(&s, VL_KEY_ID_BYTES, &(uint32_t){2}, 4, VELUM_E_FORMAT, "keys for 2 bootstraps");
    forged_keys(&s, VL_KEY_ID_BYTES + 4, ones, 1, VELUM_E_FORMAT, "at their head");
    forged_keys(&s, digest, ones, 1, VELUM_E_MISMATCH, "evaluation keys: made for other parameters");
    forged_keys(&s, zero, &(uint16_t){6}, 2, VELUM_E_FORMAT, "level 6");
    forged_keys(&s, count, &(uint32_t){UINT32_MAX}, 4, VELUM_E_FORMAT, "more keys than there is room for");
    forged_keys(&s, count, &(uint32_t){0}, 4, VELUM_E_FORMAT, "wrong size");
    forged_keys(&s, zero_b, ones, 16, VELUM_E_FORMAT, "public encryption key, limb 0: a residue");
    forged_keys(&s, first, &(uint64_t){2}, 8, VELUM_E_FORMAT, "not odd");
    forged_keys(&s, first, &(uint64_t){UINT64_MAX}, 8, VELUM_E_FORMAT, "below 2N");
    forged_keys(&s, first + 8, &(uint16_t){0}, 2, VELUM_E_FORMAT, "relinearisation key: level 0");
    forged_keys(&s, first + 64, ones, 16, VELUM_E_FORMAT, "relinearisation key: digit 0, limb 0: a residue");
    velum_buffer copy = session_copy(&s.keys);
    copy.size -= 40;
    build_reseal(copy.data, copy.size);
    expect_no_server(&s, &copy, VELUM_E_FORMAT, "cut short");
    velum_buffer_free(&copy);
    session_clear(&s);
}

// Keys used where they lie, aligned or not, give the answers that copied ones give.
static void borrowed_keys(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 3), answer;
    uint8_t *room = vl_alloc_raw(s.keys.size + 64);
    for (size_t shift = 0; shift <= 8; shift += 8) {
        velum_server *server;
        memcpy(room + shift, s.keys.data, s.keys.size);
        assert_int_equal(velum_server_new_borrowing(s.program, room + shift, s.keys.size, 2, &server), VELUM_OK);
        assert_int_equal(velum_server_infer(server, query.data, query.size, &answer, NULL), VELUM_OK);
        session_check(&s, &answer, 0, 3);
        velum_server_free(server);
        velum_buffer_free(&answer);
    }
    vl_free(room);
    velum_buffer_free(&query);
    session_clear(&s);
}

static void forged_query(const session *s, const velum_buffer *query, size_t at, const void *bytes, size_t n,
                         const char *words) {
    velum_buffer copy = session_copy(query);
    memcpy(copy.data + VL_FRAME_HEAD + at, bytes, n);
    build_reseal(copy.data, copy.size);
    expect_no_answer(s, &copy, VELUM_E_FORMAT, words);
    velum_buffer_free(&copy);
}

static void forged_queries_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 6), answer; // two groups
    const size_t head = VL_KEY_ID_BYTES, first = head + 16,
                 second = (query.size - VL_FRAME_HEAD - VL_DIGEST_BYTES + first) / 2;
    forged_query(&s, &query, head, &(uint64_t){0}, 8, "0 requests");
    forged_query(&s, &query, head, &(uint64_t){9}, 8, "for 9 requests");
    forged_query(&s, &query, head, &(uint64_t){UINT64_MAX}, 8, "requests");
    forged_query(&s, &query, head + 8, &(uint32_t){1}, 4, "1 groups");
    forged_query(&s, &query, head + 12, &(uint32_t){5}, 4, "5 ciphertexts");
    forged_query(&s, &query, first, &(uint8_t){9}, 1, "form 9");
    forged_query(&s, &query, first + 1, &(uint8_t){2}, 1, "degree 2");
    forged_query(&s, &query, first + 2, &(uint16_t){4}, 2, "level 4, expected 5");
    forged_query(&s, &query, first + 4, &(double){NAN}, 8, "scale");
    forged_query(&s, &query, first + 4, &(double){0x1p39}, 8, "expected");
    forged_query(&s, &query, first + 44, ones, 16, "polynomial 0, limb 0: a residue");
    forged_query(&s, &query, second + 44, ones, 16, "polynomial 0, limb 0: a residue"); // of the second group
    forged_query(&s, &query, second + 2, &(uint16_t){1}, 2, "level 1, expected 5");
    velum_buffer copy = session_copy(&query);
    copy.size -= 11;
    build_reseal(copy.data, copy.size);
    expect_no_answer(&s, &copy, VELUM_E_FORMAT, "cut short");
    velum_buffer_free(&copy);
    copy = session_copy(&query);
    copy.data = realloc(copy.data, copy.size += 5);
    build_reseal(copy.data, copy.size);
    expect_no_answer(&s, &copy, VELUM_E_FORMAT, "wrong size");
    velum_buffer_free(&copy);
    assert_int_equal(velum_server_infer(s.server, query.data, query.size, &answer, NULL), VELUM_OK);
    session_check(&s, &answer, 0, 6);
    velum_buffer_free(&answer);
    velum_buffer_free(&query);
    session_clear(&s);
}

// A query in full form, all polynomials zero.
static velum_buffer full_query(const session *s, const velum_buffer *query, uint8_t degree) {
    const size_t head = VL_FRAME_HEAD + VL_KEY_ID_BYTES + 16;
    velum_info info;
    velum_program_info(s->program, &info);
    velum_buffer full = {NULL, head + 12 + (degree + 1u) * info.query_bytes + VL_DIGEST_BYTES};
    full.data = calloc(1, full.size);
    assert_non_null(full.data);
    memcpy(full.data, query->data, head + 12);
    full.data[head] = 0;
    full.data[head + 1] = degree;
    build_reseal(full.data, full.size);
    return full;
}

static void only_degree_one_is_taken(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, 1), full = full_query(&s, &query, 2), answer;
    expect_no_answer(&s, &full, VELUM_E_FORMAT, "degree 2");
    velum_buffer_free(&full);
    full = full_query(&s, &query, 1);
    assert_int_equal(velum_server_infer(s.server, full.data, full.size, &answer, NULL), VELUM_OK);
    velum_buffer_free(&answer);
    velum_buffer_free(&full);
    velum_buffer_free(&query);
    session_clear(&s);
}

// ---- threads ----

typedef struct worker {
    const session *s;
    velum_buffer query, answer;
    velum_status status;
} worker;

static void *use_server(void *arg) {
    worker *w = arg;
    velum_server *server;
    w->status = velum_server_new(w->s->program, w->s->keys.data, w->s->keys.size, 1, &server);
    if (w->status != VELUM_OK) return NULL;
    for (int times = 0; times < 3 && w->status == VELUM_OK; times++) {
        velum_buffer_free(&w->answer);
        w->answer = (velum_buffer){0};
        w->status = velum_server_infer(server, w->query.data, w->query.size, &w->answer, NULL);
    }
    velum_server_free(server);
    return NULL;
}

static void one_program_in_two_threads(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    worker workers[2] = {{.s = &s, .query = session_query(&s, 0, 3)}, {.s = &s, .query = session_query(&s, 5, 9)}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_server, &workers[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(workers[i].status, VELUM_OK);
        session_check(&s, &workers[i].answer, i ? 5 : 0, i ? 9 : 3);
        velum_buffer_free(&workers[i].query);
        velum_buffer_free(&workers[i].answer);
    }
    session_clear(&s);
}

static void program_gives_its_client_half(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer half, text;
    assert_int_equal(velum_program_client(s.program, &half), VELUM_OK);
    assert_int_equal(half.size, s.client_file.size);
    assert_memory_equal(half.data, s.client_file.data, half.size);
    assert_int_equal(velum_program_explain(s.program, &text), VELUM_OK);
    assert_int_equal(text.data[text.size - 1], 0);
    assert_non_null(strstr((const char *)text.data, "last/Gemm"));
    assert_non_null(strstr((const char *)text.data, "memory "));
    velum_buffer_free(&half);
    velum_buffer_free(&text);
    session_clear(&s);
}

static void simulation_through_the_door(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_table in = session_rows(0, 11), out = {.columns = 99};
    in.values[10 * BUILD_INPUTS + 2] = 9;
    assert_refused(velum_program_simulate(s.program, &in, &out), VELUM_E_VALUE, "row 11: field 'code' is 9");
    assert_int_equal(out.columns, 99);
    in.values[10 * BUILD_INPUTS + 2] = 5;
    assert_int_equal(velum_program_simulate(s.program, &in, &out), VELUM_OK);
    assert_int_equal(out.rows, 11);
    for (uint64_t r = 0; r < 11; r++) {
        double want[BUILD_OUTPUTS];
        build_expected(&s.plain, in.values + r * BUILD_INPUTS, want);
        for (uint32_t k = 0; k < BUILD_OUTPUTS; k++)
            assert_true(fabs(out.values[r * BUILD_OUTPUTS + k] - want[k]) < 1e-12);
    }
    velum_table_free(&out);
    free(in.values);
    session_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_reports),         cmocka_unit_test(answers_are_rerandomised),
        cmocka_unit_test(mix_ups_are_named),           cmocka_unit_test(swapped_files_say_what_they_are),
        cmocka_unit_test(damage_is_refused),           cmocka_unit_test(missing_keys_are_named),
        cmocka_unit_test(forged_keys_are_refused),     cmocka_unit_test(borrowed_keys),
        cmocka_unit_test(forged_queries_are_refused),  cmocka_unit_test(only_degree_one_is_taken),
        cmocka_unit_test(one_program_in_two_threads),  cmocka_unit_test(program_gives_its_client_half),
        cmocka_unit_test(simulation_through_the_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
