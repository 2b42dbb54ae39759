// SPDX-License-Identifier: Apache-2.0
// What the client does before encryption: functions of raw numbers, code tables, choices; and layers on pictures.
#include "nn/model.h"

#define I64(...) ((int64_t[]){__VA_ARGS__})

static void linear(model *m, const char *in, int64_t cols, int64_t rows, const char *out) {
    char w[64], list[200];
    snprintf(w, sizeof w, "%s_w", out);
    snprintf(list, sizeof list, "%s,%s", in, w);
    add_random(m, w, 2, I64(rows, cols), (uint32_t)(rows * 100 + cols));
    attr_int(m, add_node(m, "Gemm", list, out), "transB", 1);
}

static void check(model *m, uint32_t columns, uint64_t rows, const double *values) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    velum_table in = {.columns = columns, .rows = rows, .values = (double *)values};
    check_program(onnx, size, &in, VELUM_LATENCY, 1);
    check_program(onnx, size, &in, VELUM_THROUGHPUT, 0);
}

static vl_program compiled(model *m) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_program p = {0};
    if (vl_nn_compile(onnx, size, NULL, &p) != VELUM_OK) fail_msg("%s", velum_last_error());
    return p;
}

static void refused(model *m, velum_status want, const char *naming) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_program p;
    velum_status status = vl_nn_compile(onnx, size, NULL, &p);
    if (status != want || !strstr(velum_last_error(), naming))
        fail_msg("status %d, wanted %d naming '%s': %s", status, want, naming, velum_last_error());
    model_free(m);
}

static void test_functions(void **state) {
    (void)state;
    static const char *const types[] = {"Relu", "Abs", "Sign", "Exp",   "Sqrt",        "Log",  "Reciprocal",
                                        "Tanh", "Erf", "Ceil", "Floor", "HardSigmoid", "Round"};
    static const double rows[] = {0.5, 1.5, 2.5, 3.75, 1, 1.25, 4, 0.25, 2, 3, 0.75, 3.5};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        model *m = model_new(13);
        add_input(m, "x", 4);
        add_meta(m, "velum.range:x", "0.25 4");
        add_floats(m, "two", 0, NULL, (float[]){2});
        bool shift = i < 3; // so that both signs occur
        if (shift) add_node(m, "Sub", "x,two", "s");
        add_node(m, types[i], shift ? "s" : "x", "f");
        linear(m, "f", 4, 3, "y");
        add_output(m, "y");
        check(m, 4, 3, rows);
        vl_program p = compiled(m);
        assert_int_equal(p.manifest.in.dim, 4);
        vl_program_clear(&p);
        model_free(m);
    }
}

// Dense columns as the Criteo model has them: max(x, 0), + 1, log, then normalised.
static void test_logs(void **state) {
    (void)state;
    model *m = model_new(13);
    add_input(m, "x", 3);
    add_meta(m, "velum.range:x", "-10 1e6");
    add_floats(m, "zero", 0, NULL, (float[]){0});
    add_floats(m, "one", 0, NULL, (float[]){1});
    add_floats(m, "scale", 1, I64(3), (float[]){0.5f, 0.25f, 2});
    add_floats(m, "mean", 1, I64(3), (float[]){1, 2, 3});
    add_node(m, "Max", "x,zero", "a");
    add_node(m, "Add", "a,one", "b");
    add_node(m, "Log", "b", "c");
    add_node(m, "Sub", "c,mean", "d");
    add_node(m, "Mul", "d,scale", "e");
    linear(m, "e", 3, 2, "y");
    add_output(m, "y");
    static const double rows[] = {-5, 0, 1e6, 3, 2.5, -10};
    check(m, 3, 2, rows);
    vl_program p = compiled(m);
    double f[3];
    assert_int_equal(vl_manifest_prologue(&p.manifest, 1, rows, f), VELUM_OK);
    assert_true(fabs(f[0] + 0.5) < 1e-12 && fabs(f[2] - 2 * (log(1e6 + 1) - 3)) < 1e-9);
    vl_program_clear(&p);
    model_free(m);
    m = model_new(13); // never positive
    add_input(m, "x", 1);
    add_meta(m, "velum.range:x", "-3 -1");
    add_node(m, "Log", "x", "y");
    add_output(m, "y");
    refused(m, VELUM_E_FORMAT, "'x' never has a log");
    m = model_new(13); // down to minus infinity
    add_input(m, "x", 1);
    add_meta(m, "velum.range:x", "0 1");
    add_node(m, "Log", "x", "y");
    add_output(m, "y");
    refused(m, VELUM_E_LIMIT, "velum.range");
}

// A hash of 32 bits to a code, its digits to embeddings; and a number to a number.
static model *hashed(int64_t otherwise) {
    model *m = model_new(13);
    m->inputs[m->graph.n_input++] = value_info(m, "h", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, I64(-1, 1));
    add_input(m, "x", 1);
    Onnx__NodeProto *n = add_node(m, "LabelEncoder", "h", "code");
    n->domain = text(m, "ai.onnx.ml");
    attr_ints(m, n, "keys_int64s", 5, I64(4294967295, 7, -3, 70001, 4000000000));
    attr_ints(m, n, "values_int64s", 5, I64(5, 1, 2, 3, 4));
    attr_int(m, n, "default_int64", otherwise);
    add_ints(m, "three", 0, NULL, I64(3));
    add_node(m, "Mod", "code,three", "d0");
    add_node(m, "Div", "code,three", "d1");
    add_random(m, "t0", 2, I64(3, 4), 1);
    add_random(m, "t1", 2, I64(2, 4), 2);
    add_node(m, "Gather", "t0,d0", "e0");
    add_node(m, "Gather", "t1,d1", "e1");
    add_node(m, "Add", "e0,e1", "e");
    add_node(m, "Flatten", "e", "f");
    n = add_node(m, "LabelEncoder", "x", "level");
    n->domain = text(m, "ai.onnx.ml");
    attr_floats(m, n, "keys_floats", 3, (float[]){0.5f, -1, 0.1f});
    attr_floats(m, n, "values_floats", 3, (float[]){10, 20, 30});
    attr_float(m, n, "default_float", -1.5f);
    attr_int(m, add_node(m, "Concat", "f,level", "all"), "axis", 1);
    linear(m, "all", 5, 2, "y");
    add_output(m, "y");
    return m;
}

static void test_labels(void **state) {
    (void)state;
    static const double rows[] = {4294967295.0, 0.5, 7, -1, -3, 0.1, 70001, 3, 4000000000.0, 0, 0, 0, -9e15, 1e300};
    model *m = hashed(0);
    check(m, 2, 7, rows);
    vl_program p = compiled(m);
    assert_int_equal(p.manifest.inputs[0].value_count, 0);
    assert_true(p.manifest.inputs[0].lo == -0x1p53 && p.manifest.inputs[0].hi == 0x1p53);
    assert_int_equal(p.manifest.in.dim, 3 + 2 + 1);
    double f[6], odd[] = {7.5, 0.5}, large[] = {0x1p60, 0.5};
    static const double want[7][6] = {{0, 0, 1, 0, 1, 10},   {0, 1, 0, 1, 0, 20},   {0, 0, 1, 1, 0, 30},
                                      {1, 0, 0, 0, 1, -1.5}, {0, 1, 0, 0, 1, -1.5}, {1, 0, 0, 1, 0, -1.5},
                                      {1, 0, 0, 1, 0, -1.5}};
    for (int i = 0; i < 7; i++) {
        assert_int_equal(vl_manifest_prologue(&p.manifest, 1, rows + 2 * i, f), VELUM_OK);
        for (int k = 0; k < 6; k++) assert_true(f[k] == want[i][k]);
    }
    assert_int_equal(vl_manifest_prologue(&p.manifest, 4, odd, f), VELUM_E_VALUE);
    assert_non_null(strstr(velum_last_error(), "row 4: field 'h' gives 7.5, not an integer"));
    assert_int_equal(vl_manifest_prologue(&p.manifest, 4, large, f), VELUM_E_VALUE);
    vl_program_clear(&p);
    model_free(m);
    refused(hashed(-1), VELUM_E_UNSUPPORTED, "'h', which may be negative");
    m = hashed(0);
    m->nodes[0]->attribute[0]->ints[1] = -3;
    refused(m, VELUM_E_FORMAT, "node 'code' (LabelEncoder): key -3 is there twice");
    m = hashed(0);
    m->nodes[0]->attribute[1]->n_ints = 4;
    refused(m, VELUM_E_FORMAT, "5 keys, 4 values");
    m = hashed(0);
    m->nodes[0]->attribute[0]->ints[0] = INT64_MAX;
    refused(m, VELUM_E_UNSUPPORTED, "2^53");
    m = hashed(0);
    m->nodes[0]->attribute[0]->name = text(m, "keys_strings");
    refused(m, VELUM_E_UNSUPPORTED, "keys_strings");
    m = hashed(0);
    linear(m, "x", 1, 1, "early");
    Onnx__NodeProto *n = add_node(m, "LabelEncoder", "early", "late");
    n->domain = text(m, "ai.onnx.ml");
    attr_floats(m, n, "keys_floats", 1, (float[]){1});
    attr_floats(m, n, "values_floats", 1, (float[]){1});
    m->outputs[0]->name = text(m, "late");
    refused(m, VELUM_E_UNSUPPORTED, "node 'late' (LabelEncoder): on encrypted values");
}

static void test_choices(void **state) {
    (void)state;
    model *m = model_new(13);
    m->inputs[m->graph.n_input++] = value_info(m, "c", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, I64(-1, 2));
    add_meta(m, "velum.range:c", "0 3");
    add_ints(m, "two", 0, NULL, I64(2));
    add_floats(m, "high", 0, NULL, (float[]){5});
    add_floats(m, "low", 1, I64(2), (float[]){-1, -2});
    add_node(m, "Equal", "c,two", "is");
    add_node(m, "Where", "is,high,low", "level");
    add_ints(m, "depth", 0, NULL, I64(4));
    add_floats(m, "off_on", 1, I64(2), (float[]){0, 1});
    add_node(m, "OneHot", "c,depth,off_on", "hot");
    add_node(m, "Flatten", "hot", "flat");
    attr_int(m, add_node(m, "Cast", "is", "number"), "to", 1);
    attr_int(m, add_node(m, "Concat", "flat,level,number", "all"), "axis", 1);
    linear(m, "all", 12, 3, "y");
    add_output(m, "y");
    static const double rows[] = {0, 1, 2, 3, 2, 2, 1, 0};
    check(m, 2, 4, rows);
    model_free(m);
}

static model *picture(const char *types, int64_t opset) {
    model *m = model_new(opset);
    m->inputs[m->graph.n_input++] = value_info(m, "x", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4, I64(-1, 2, 4, 3));
    add_meta(m, "velum.range:x", "-1 1");
    char in[32] = "x", out[32], list[80];
    for (size_t i = 0; types[i]; i++) {
        snprintf(out, sizeof out, "%c%zu", types[i], i);
        if (types[i] == 'c') {
            add_random(m, "w", 4, I64(3, 2, 3, 2), 4);
            add_random(m, "b", 1, I64(3), 5);
            snprintf(list, sizeof list, "%s,w,b", in);
            attr_ints(m, add_node(m, "Conv", list, out), "pads", 4, I64(1, 0, 1, 1));
        } else if (types[i] == 'n') {
            add_random(m, "s", 1, I64(3), 6);
            add_random(m, "mean", 1, I64(3), 7);
            add_floats(m, "var", 1, I64(3), (float[]){1, 0.5f, 2});
            snprintf(list, sizeof list, "%s,s,mean,mean,var", in);
            add_node(m, "BatchNormalization", list, out);
        } else if (types[i] == 'a') {
            attr_ints(m, add_node(m, "AveragePool", in, out), "kernel_shape", 2, I64(2, 2));
        } else if (types[i] == 'g') {
            add_node(m, "GlobalAveragePool", in, out);
        } else if (types[i] == 'p') {
            add_ints(m, "pads", 1, I64(8), I64(0, 0, 1, -1, 0, 1, 0, 2));
            add_floats(m, "fill", 0, NULL, (float[]){0.5f});
            snprintf(list, sizeof list, "%s,pads,fill", in);
            add_node(m, "Pad", list, out);
        } else {
            snprintf(list, sizeof list, "%s,%s", in, in);
            add_node(m, "Mul", list, out);
        }
        memcpy(in, out, sizeof in);
    }
    add_node(m, "Flatten", in, "y");
    add_output(m, "y");
    return m;
}

static void test_pictures(void **state) {
    (void)state;
    static const char *const stacks[] = {"c", "cn", "csn", "casg", "cspa", "p", "a", "g"};
    static double rows[48];
    for (int i = 0; i < 48; i++) rows[i] = sin(i * 1.7);
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        model *m = picture(stacks[i], 13);
        check(m, 24, 2, rows);
        model_free(m);
    }
    model *m = picture("p", 13);
    attr_text(m, m->nodes[0], "mode", "reflect");
    refused(m, VELUM_E_UNSUPPORTED, "constant padding");
    m = picture("p", 13);
    m->weights[0]->int64_data[0] = 1;
    refused(m, VELUM_E_UNSUPPORTED, "pad the batch");
    m = picture("cn", 13);
    attr_int(m, m->nodes[1], "training_mode", 1);
    refused(m, VELUM_E_UNSUPPORTED, "inference mode");
    m = picture("cn", 13);
    m->weights[4]->float_data[1] = -1;
    refused(m, VELUM_E_FORMAT, "variance -1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_logs),     cmocka_unit_test(test_labels),
        cmocka_unit_test(test_choices),   cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
