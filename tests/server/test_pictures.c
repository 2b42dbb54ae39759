// SPDX-License-Identifier: Apache-2.0
// A convolutional program on pictures from a client's rows to a client's answers, encrypted, against dense matrices.
#include "client/client.h"
#include "program/picture.h"
#include "test.h"

#include <stdlib.h>

static const picture_options all[] = {{0}, {.parts = 1}, {.log_n = 9}};
#define ALL (sizeof all / sizeof *all)

static velum_table rows_of(uint64_t rows) {
    velum_table t = {.columns = PICTURE_PIXELS, .rows = rows, .values = malloc(rows * PICTURE_PIXELS * sizeof(double))};
    assert_non_null(t.values);
    for (uint64_t r = 0; r < rows; r++) picture_row(r, t.values + r * PICTURE_PIXELS);
    return t;
}

static void check(const picture_net *net, const velum_table *in, const velum_table *out) {
    double worst = 0;
    assert_int_equal(out->rows, in->rows);
    for (uint64_t r = 0; r < in->rows; r++) {
        double want[BUILD_OUTPUTS];
        picture_expected(net, in->values + r * PICTURE_PIXELS, want);
        for (uint32_t k = 0; k < BUILD_OUTPUTS; k++)
            worst = fmax(worst, fabs(out->values[r * BUILD_OUTPUTS + k] - want[k]));
    }
    print_message("    error 2^%.1f\n", log2(worst));
    assert_true(worst < net->program.manifest.error_bound && worst > 0);
}

static void answers_are_the_models(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        picture_net net;
        velum_buffer file, half, secret, keys, query, answer;
        velum_program *p;
        velum_client *c;
        picture_program(&all[i], &net);
        picture_files(&all[i], &file, &half);
        assert_int_equal(velum_program_open(file.data, file.size, &p), VELUM_OK);
        assert_int_equal(vl_client_open_insecure(half.data, half.size, 1, &c), VELUM_OK);
        assert_int_equal(velum_client_keygen(c, &secret, &keys), VELUM_OK);
        velum_table in = rows_of(net.program.manifest.in.lanes + 3); // two groups
        assert_int_equal(velum_client_encrypt(c, secret.data, secret.size, &in, &query), VELUM_OK);
        for (unsigned threads = 1; threads <= 3; threads++) {
            velum_server *server;
            velum_table out;
            assert_int_equal(velum_server_new(p, keys.data, keys.size, threads, &server), VELUM_OK);
            assert_int_equal(velum_server_infer(server, query.data, query.size, &answer, NULL), VELUM_OK);
            assert_int_equal(velum_client_decrypt(c, secret.data, secret.size, answer.data, answer.size, 0, &out),
                             VELUM_OK);
            check(&net, &in, &out);
            velum_table_free(&out);
            velum_buffer_free(&answer);
            velum_server_free(server);
        }
        free(in.values);
        velum_buffer_free(&query);
        velum_buffer_free(&keys);
        velum_buffer_free_secret(&secret);
        velum_client_free(c);
        velum_program_free(p);
        velum_buffer_free(&file);
        velum_buffer_free(&half);
        vl_program_clear(&net.program);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_the_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
