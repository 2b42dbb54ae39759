// SPDX-License-Identifier: Apache-2.0
// A bootstrapped program from key generation to the decrypted answer through the public functions.
#include "client/session.h"
#include "program/boot.h"
#include "runtime/program_api.h"

static void open_session(session *s, const boot_options *o) {
    *s = (session){0};
    boot_program(o, &s->plain);
    boot_files(o, &s->program_file, &s->client_file);
    assert_int_equal(velum_program_open(s->program_file.data, s->program_file.size, &s->program), VELUM_OK);
    assert_int_equal(vl_client_open_insecure(s->client_file.data, s->client_file.size, 1, &s->client), VELUM_OK);
    assert_int_equal(velum_client_keygen(s->client, &s->secret, &s->keys), VELUM_OK);
}

static void check_answers(const session *s, uint64_t rows) {
    velum_buffer answer = session_answer(s, 0, rows);
    velum_table t, in = session_rows(0, rows), clear;
    assert_int_equal(session_decrypt(s, &answer, 0, &t), VELUM_OK);
    assert_int_equal(velum_program_simulate(s->program, &in, &clear), VELUM_OK);
    double bound = s->plain.manifest.error_bound;
    for (uint64_t r = 0; r < rows; r++) {
        double raw[BUILD_INPUTS], want[BUILD_OUTPUTS];
        build_row(r, raw);
        boot_expected(&s->plain, raw, want);
        for (uint32_t k = 0; k < BUILD_OUTPUTS; k++) {
            double got = t.values[r * BUILD_OUTPUTS + k];
            assert_true(fabs(got - clear.values[r * BUILD_OUTPUTS + k]) < bound);
            assert_true(fabs(got - want[k]) < bound + 3 * vl_compare_error(&s->plain.ops[4].compare));
        }
    }
    free(in.values);
    velum_table_free(&t);
    velum_table_free(&clear);
    velum_buffer_free(&answer);
}

static void from_keys_to_answers(void **state) {
    (void)state;
    const boot_options all[] = {{.lanes = 2}, {.sparse = true}};
    for (size_t i = 0; i < 2; i++) {
        session s;
        open_session(&s, &all[i]);
        velum_info info;
        velum_client_info(s.client, &info);
        assert_true(info.eval_key_bytes <= s.keys.size && s.keys.size < info.eval_key_bytes + 1024);
        if (velum_server_new(s.program, s.keys.data, s.keys.size, 2, &s.server) != VELUM_OK)
            fail_msg("%s", velum_last_error());
        check_answers(&s, 3);
        velum_buffer text;
        assert_int_equal(velum_program_explain(s.program, &text), VELUM_OK);
        const char *words[] = {"INSECURE-n10-own", "bootstraps: 2",         "linear (diagonals)", "diagonals, ",
                               "comparison",       "[7,7,15] stage 1 to 2", "ReLU of range 8",    "bootstrap "};
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (!strstr((const char *)text.data, words[k])) fail_msg("no '%s' in\n%s", words[k], (char *)text.data);
        velum_buffer_free(&text);
        session_clear(&s);
    }
}

// A ReLU's parts have its name in a compiled program; a report tells them apart.
static void parts_have_names(void **state) {
    (void)state;
    session s;
    open_session(&s, &(boot_options){0});
    vl_program *p = &s.program->program;
    for (uint32_t i = 3; i < 7; i++) {
        vl_free(p->ops[i].name);
        p->ops[i].name = vl_strdup("second/Relu");
    }
    assert_int_equal(velum_server_new(s.program, s.keys.data, s.keys.size, 2, &s.server), VELUM_OK);
    velum_buffer query = session_query(&s, 0, 1), answer;
    velum_report report;
    assert_int_equal(velum_server_infer(s.server, query.data, query.size, &answer, &report), VELUM_OK);
    static const char *const names[] = {"second/Conv",
                                        "second/Relu: bootstrap",
                                        "second/Relu: comparison",
                                        "second/Relu: bootstrap 2",
                                        "second/Relu: gate",
                                        "last/Conv"};
    for (uint32_t i = 0; i < 6; i++) assert_string_equal(report.stages[2 + i].name, names[i]);
    velum_buffer_free(&answer);
    velum_buffer_free(&query);
    session_clear(&s);
}

static void count_calls(void *arg, const velum_progress *p) {
    uint64_t *calls = arg;
    assert_true(p->done <= p->count && p->left >= 0 && p->seconds >= 0);
    assert_int_equal(p->count, 2 * 9);
    assert_true((p->done == p->count) == (p->stage[0] == 0));
    *calls += 1;
}

// Two groups of nine operations, each told before and after.
static void progress_is_told(void **state) {
    (void)state;
    session s;
    uint64_t calls = 0;
    open_session(&s, &(boot_options){0});
    assert_int_equal(velum_server_new(s.program, s.keys.data, s.keys.size, 1, &s.server), VELUM_OK);
    velum_server_on_progress(s.server, count_calls, &calls);
    check_answers(&s, 2);
    assert_int_equal(calls, 2 * 10);
    velum_server_on_progress(s.server, NULL, NULL);
    check_answers(&s, 1);
    assert_int_equal(calls, 2 * 10);
    session_clear(&s);
}

// Keys of a program that bootstraps, without what a bootstrap needs, or with a part of it.
static void keys_must_be_whole(void **state) {
    (void)state;
    session s;
    open_session(&s, &(boot_options){0});
    velum_server *server;
    velum_buffer copy = session_copy(&s.keys);
    uint8_t *flag = copy.data + VL_FRAME_HEAD + VL_KEY_ID_BYTES;
    assert_int_equal(*flag, 1);
    *flag = 0;
    build_reseal(copy.data, copy.size);
    assert_refused(velum_server_new(s.program, copy.data, copy.size, 1, &server), VELUM_E_MISMATCH, "without keys of");
    *flag = 1;
    for (size_t cut = 64; cut < copy.size / 8; cut *= 8) {
        build_reseal(copy.data, copy.size - cut);
        assert_int_not_equal(velum_server_new(s.program, copy.data, copy.size - cut, 1, &server), VELUM_OK);
    }
    free(copy.data);
    session_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_keys_to_answers),
        cmocka_unit_test(parts_have_names),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(keys_must_be_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
