// SPDX-License-Identifier: Apache-2.0
// The heart models from file to program: answers, packing, parameters.
#include "nn/model.h"
#include "rlwe/params.h"

static const struct sample {
    const char *model, *expected;
} samples[] = {
    {"models/heart/dlrm_heart.onnx", "models/heart/expected.csv"},
    {"models/heart/variants/dlrm_dot.onnx", "models/heart/variants/dlrm_dot.expected.csv"},
    {"models/heart/variants/dlrm_both.onnx", "models/heart/variants/dlrm_both.expected.csv"},
};
#define SAMPLES (sizeof samples / sizeof *samples)

// Rows of a CSV file with a header; the columns are in the models' order of inputs.
static double *read_csv(const char *path, uint32_t columns, uint64_t *rows) {
    size_t size;
    char *all = read_file(path, &size), *line = strchr(all, '\n');
    double *v = calloc(4096, sizeof *v);
    *rows = 0;
    while (line && line[1]) {
        char *at = line + 1;
        for (uint32_t i = 0; i < columns; i++, at++) v[*rows * columns + i] = strtod(at, &at);
        ++*rows;
        line = strchr(line + 1, '\n');
    }
    free(all);
    return v;
}

static velum_table patients(void) {
    velum_table t = {.columns = 13};
    t.values = read_csv("models/heart/patients.csv", 13, &t.rows);
    return t;
}

static void test_evaluate(void **state) {
    (void)state;
    velum_table in = patients(), got;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t size;
        uint64_t rows;
        void *onnx = read_file(samples[i].model, &size);
        double *want = read_csv(samples[i].expected, 1, &rows);
        assert_int_equal(rows, in.rows);
        if (vl_nn_evaluate(onnx, size, &in, &got) != VELUM_OK) fail_msg("%s", velum_last_error());
        assert_int_equal(got.columns, 1);
        assert_string_equal(got.names[0], "risk");
        for (uint64_t r = 0; r < rows; r++) assert_true(fabs(got.values[r] - want[r]) < 1e-7); // floats there
        table_clear(&got);
        free(want);
        free(onnx);
    }
    free(in.values);
}

static void test_answers(void **state) {
    (void)state;
    velum_table in = patients();
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t size;
        void *onnx = read_file(samples[i].model, &size);
        static const uint64_t batches[] = {0, 1, 5, 12, 300};
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            if (batches[b] <= 12) check_program(onnx, size, &in, VELUM_LATENCY, batches[b]);
            check_program(onnx, size, &in, VELUM_THROUGHPUT, batches[b]);
        }
        check_program(onnx, size, &in, VELUM_THROUGHPUT, 20000);
        free(onnx);
    }
    free(in.values);
}

static void test_parameters(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(samples[0].model, &size);
    static const uint32_t bits[] = {0, 128, 192, 256};
    for (size_t i = 0; i < 4; i++)
        for (int target = 0; target < 2; target++) {
            velum_compile_options opt = {.security_bits = bits[i], .target = (velum_target)target};
            vl_program p = {0};
            vl_params *params;
            if (vl_nn_compile(onnx, size, &opt, &p) != VELUM_OK) fail_msg("%s", velum_last_error());
            assert_int_equal(p.manifest.params.security_bits, bits[i] ? bits[i] : 128);
            if (vl_params_new(&p.manifest.params, NULL, &params) != VELUM_OK) fail_msg("%s", velum_last_error());
            assert_true(params->security >= (bits[i] ? bits[i] : 128));
            assert_true(p.manifest.params.scale == exp2(round(log2(p.manifest.params.scale))));
            assert_true(p.manifest.error_bound < 0x1p-13);
            assert_int_equal(p.values[p.output].level, 1);
            assert_int_equal(p.manifest.zero_nq, 1);
            assert_int_equal(p.manifest.in_level, p.manifest.params.q_count);
            vl_params_free(params);
            vl_program_clear(&p);
        }
    velum_compile_options odd = {.security_bits = 100};
    vl_program p;
    assert_int_equal(vl_nn_compile(onnx, size, &odd, &p), VELUM_E_USAGE);
    free(onnx);
}

static void test_shape(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(samples[0].model, &size);
    vl_program p = {0};
    assert_int_equal(vl_nn_compile(onnx, size, NULL, &p), VELUM_OK);
    const vl_manifest *m = &p.manifest;
    assert_int_equal(m->input_count, 13);
    assert_int_equal(m->in.dim, 28); // 5 numbers and 23 one-hot features
    assert_int_equal(m->in.cts, 1);
    assert_int_equal(m->output_count, 1);
    assert_string_equal(m->metric, "auc");
    assert_string_equal(m->model, "dlrm_heart");
    assert_int_equal(m->epilogue, VL_EPILOGUE_SIGMOID);
    uint32_t squares = 0, linear = 0;
    for (uint32_t i = 0; i < p.op_count; i++) {
        squares += p.ops[i].kind == VL_OP_SQUARE;
        linear += p.ops[i].kind == VL_OP_LINTRANS;
        assert_true(strlen(p.ops[i].name) <= 60 && p.ops[i].seconds >= 0);
    }
    assert_int_equal(squares, 2);
    assert_int_equal(linear, 4); // bottom.0; embeddings and bottom.2 folded into top.0, from two bases; top.2
    assert_int_equal(m->params.q_count, 7);
    assert_int_equal(p.ops[p.op_count - 1].kind, VL_OP_MASK);
    vl_program_clear(&p);
    free(onnx);
}

static void test_saved(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(samples[1].model, &size);
    velum_buffer program = {0}, client = {0};
    vl_program p = {0};
    vl_manifest m = {0};
    uint8_t digest[VL_DIGEST_BYTES];
    assert_int_equal(velum_compile(onnx, size, NULL, &program, &client), VELUM_OK);
    assert_int_equal(vl_program_load(program.data, program.size, &p), VELUM_OK);
    assert_int_equal(vl_client_half_load(client.data, client.size, &m, digest), VELUM_OK);
    assert_memory_equal(digest, p.digest, sizeof digest);
    vl_manifest_clear(&m);
    vl_program_clear(&p);
    vl_free(program.data);
    vl_free(client.data);
    free(onnx);
}

static void test_refused_rows(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(samples[0].model, &size);
    velum_table in = patients();
    vl_program p = {0};
    double y[64];
    assert_int_equal(vl_nn_compile(onnx, size, NULL, &p), VELUM_OK);
    in.values[12] = 5; // thal: 3, 6 or 7
    assert_int_equal(simulate(&p, &in, y), VELUM_E_VALUE);
    assert_non_null(strstr(velum_last_error(), "thal"));
    vl_program_clear(&p);
    free(in.values);
    free(onnx);
}

static void test_calibration(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(samples[2].model, &size);
    velum_table in = patients();
    velum_compile_options opt = {.calibration = &in};
    vl_program p = {0}, q = {0};
    assert_int_equal(vl_nn_compile(onnx, size, NULL, &p), VELUM_OK);
    assert_int_equal(vl_nn_compile(onnx, size, &opt, &q), VELUM_OK);
    assert_true(q.values[q.output].bound < p.values[p.output].bound);
    vl_program_clear(&p);
    vl_program_clear(&q);
    free(in.values);
    free(onnx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate),    cmocka_unit_test(test_answers), cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_shape),       cmocka_unit_test(test_saved),   cmocka_unit_test(test_refused_rows),
        cmocka_unit_test(test_calibration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
