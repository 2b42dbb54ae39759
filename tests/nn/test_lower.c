// SPDX-License-Identifier: Apache-2.0
// Forms, activations and positions in the clear.
#include "nn/lowering.h"

static void check_exact(model *m, const char *output) {
    lowering t;
    lowering_open(&t, m, output, true, 3);
    double error = forms_error(&t);
    if (!(error < 1e-9)) fail_msg("forms are off by %g", error);
    lowering_close(&t);
}

// The plan with its approximations, calibrated on the requests themselves. The tolerance is relative to the answers.
static void check_plan(model *m, const char *output, double tolerance) {
    lowering t;
    vl_nn_plan p;
    lowering_open(&t, m, output, true, 6);
    double error = forms_error(&t), largest = 1;
    for (size_t i = 0; i < t.want.rows * t.want.columns; i++) largest = fmax(largest, fabs(t.want.values[i]));
    if (!(error < 1e-9 * largest)) fail_msg("forms are off by %g", error);
    if (vl_nn_plan_of(&t.l, true, t.features, t.raw.rows, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
    error = plan_error(&t, &p);
    if (!(error < tolerance * largest)) fail_msg("the plan is off by %g of %g\n%s", error, largest, t.l.notes);
    lowering_close(&t);
}

static model *start(void) {
    model *m = model_new(17);
    add_input(m, "x", 6);
    add_gemm(m, "x", 6, 5, "h", 3);
    return m;
}

static void test_kinks(void **state) {
    (void)state;
    static const char *const types[] = {"Relu", "Abs", "LeakyRelu", "HardSigmoid"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        model *m = start();
        add_node(m, types[i], "h", "a");
        add_gemm(m, "a", 5, 2, "y", 9);
        check_plan(m, "y", 2e-3);
    }
    model *m = start();
    const float slopes[] = {0.1f, 0.5f, 0, -1, 2};
    add_floats(m, "slope", 1, I64(5), slopes);
    add_node(m, "PRelu", "h,slope", "a");
    add_gemm(m, "a", 5, 2, "y", 9);
    check_plan(m, "y", 4e-3);
    for (size_t i = 0; i < 2; i++) {
        m = start();
        add_gemm(m, "x", 6, 5, "g", 5);
        add_node(m, i ? "Min" : "Max", "h,g", "a");
        add_gemm(m, "a", 5, 2, "y", 9);
        check_plan(m, "y", 2e-3);
    }
}

static void test_smooth(void **state) {
    (void)state;
    static const char *const types[] = {"Sigmoid", "Tanh", "Softplus", "Erf", "Exp", "Softsign"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        model *m = start();
        add_node(m, types[i], "h", "a");
        add_gemm(m, "a", 5, 2, "y", 9);
        check_plan(m, "y", 3e-3);
    }
    const float exponents[] = {3, 5, 6, 7};
    for (size_t i = 0; i < 4; i++) {
        model *m = start();
        add_floats(m, "e", 0, I64(1), &exponents[i]);
        add_node(m, "Pow", "h,e", "a");
        add_gemm(m, "a", 5, 2, "y", 9);
        check_plan(m, "y", 1e-9);
    }
}

// A Sigmoid at the end is the client's, one in the middle an approximation; both at once work.
static void test_sigmoid_last(void **state) {
    (void)state;
    model *m = start();
    add_node(m, "Sigmoid", "h", "a");
    add_gemm(m, "a", 5, 2, "z", 9);
    add_node(m, "Sigmoid", "z", "y");
    lowering t;
    lowering_open(&t, m, "y", true, 2);
    assert_int_equal(t.l.epilogue, VL_EPILOGUE_SIGMOID);
    assert_int_equal(t.l.base_count, 2);
    assert_int_equal(t.l.base[1].kind, VL_NN_BASE_ACT);
    lowering_close(&t);
}

// A Clip that no row reaches is a promise; one that rows reach is computed.
static void test_clip(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        model *m = start();
        const float bound[] = {wide ? -50.0f : -0.25f, wide ? 50.0f : 0.25f};
        add_floats(m, "lo", 0, I64(1), &bound[0]);
        add_floats(m, "hi", 0, I64(1), &bound[1]);
        add_node(m, "Clip", "h,lo,hi", "a");
        add_gemm(m, "a", 5, 2, "y", 9);
        lowering t;
        vl_nn_plan p;
        uint32_t gates = 0;
        lowering_open(&t, m, "y", true, 5);
        if (vl_nn_plan_of(&t.l, true, t.features, t.raw.rows, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
        for (uint32_t i = 0; i < p.op_count; i++) gates += p.ops[i].kind == VL_OP_GATE;
        assert_int_equal(gates, wide ? 0 : 2);
        assert_true(!wide || strstr(t.l.notes, "promise"));
        assert_true(plan_error(&t, &p) < 4e-3);
        lowering_close(&t);
    }
}

static void test_convolutions(void **state) {
    (void)state;
    static const conv list[] = {
        {3, 4, {3, 3}, 1, 1, 1, 1}, {3, 4, {3, 3}, 2, 1, 1, 1}, {3, 5, {5, 2}, 1, 0, 1, 1}, {3, 3, {3, 3}, 1, 2, 2, 3},
        {3, 6, {1, 1}, 2, 0, 1, 1}, {3, 6, {3, 3}, 2, 1, 1, 3}, {3, 2, {7, 7}, 3, 3, 1, 1},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        model *m = model_new(17);
        add_picture(m, "x", 3, 9, 12);
        add_conv(m, "x", "c", list[i], 11);
        add_node(m, "GlobalAveragePool", "c", "p");
        add_node(m, "Flatten", "p", "y");
        check_exact(m, "y");
        m = model_new(17);
        add_picture(m, "x", 3, 9, 12);
        add_conv(m, "x", "c", list[i], 11);
        add_node(m, "Relu", "c", "r");
        add_conv(m, "r", "d", (conv){list[i].out, 2, {3, 2}, 2, 1, 1, 1}, 19);
        add_node(m, "Relu", "d", "s");
        add_node(m, "GlobalAveragePool", "s", "p");
        add_node(m, "Flatten", "p", "y");
        check_plan(m, "y", 1e-2);
    }
}

// As LeNet: convolutions with squares, averages, dense layers.
static void test_lenet(void **state) {
    (void)state;
    model *m = model_new(17);
    add_picture(m, "x", 1, 14, 14);
    add_conv(m, "x", "c1", (conv){1, 3, {5, 5}, 1, 2, 1, 1}, 1);
    add_node(m, "Mul", "c1,c1", "a1");
    Onnx__NodeProto *n = add_node(m, "AveragePool", "a1", "p1");
    attr_ints(m, n, "kernel_shape", 2, I64(2, 2));
    attr_ints(m, n, "strides", 2, I64(2, 2));
    add_conv(m, "p1", "c2", (conv){3, 4, {3, 3}, 1, 0, 1, 1}, 5);
    add_node(m, "Tanh", "c2", "a2");
    add_node(m, "Flatten", "a2", "f");
    add_gemm(m, "f", 4 * 5 * 5, 8, "g1", 7);
    add_node(m, "Relu", "g1", "a3");
    add_gemm(m, "a3", 8, 3, "y", 8);
    check_plan(m, "y", 1e-2);
}

// A residual block with a strided shortcut, as in ResNet.
static void add_block(model *m, const char *in, const char *out, int64_t from, int64_t to, int64_t stride,
                      uint32_t seed) {
    char c1[40], r1[40], c2[40], s[80], sum[40];
    snprintf(c1, sizeof c1, "%s_c1", out);
    snprintf(r1, sizeof r1, "%s_r1", out);
    snprintf(c2, sizeof c2, "%s_c2", out);
    snprintf(sum, sizeof sum, "%s_sum", out);
    add_conv(m, in, c1, (conv){from, to, {3, 3}, stride, 1, 1, 1}, seed);
    add_node(m, "Relu", c1, r1);
    add_conv(m, r1, c2, (conv){to, to, {3, 3}, 1, 1, 1, 1}, seed + 3);
    if (from != to || stride != 1) {
        char shortcut[40];
        snprintf(shortcut, sizeof shortcut, "%s_s", out);
        add_conv(m, in, shortcut, (conv){from, to, {1, 1}, stride, 0, 1, 1}, seed + 5);
        snprintf(s, sizeof s, "%s,%s", c2, shortcut);
    } else {
        snprintf(s, sizeof s, "%s,%s", c2, in);
    }
    add_node(m, "Add", s, sum);
    add_node(m, "Relu", sum, out);
}

static void test_residual(void **state) {
    (void)state;
    model *m = model_new(17);
    add_picture(m, "x", 2, 8, 8);
    add_conv(m, "x", "c", (conv){2, 4, {3, 3}, 1, 1, 1, 1}, 1);
    add_node(m, "Relu", "c", "r");
    add_block(m, "r", "b1", 4, 4, 1, 10);
    add_block(m, "b1", "b2", 4, 8, 2, 20);
    add_block(m, "b2", "b3", 8, 16, 2, 30);
    add_node(m, "GlobalAveragePool", "b3", "p");
    add_node(m, "Flatten", "p", "f");
    add_gemm(m, "f", 16, 3, "y", 8);
    check_plan(m, "y", 1e-2);
}

// Pictures put together by channels (as DenseNet does), normalised apart, and a shortcut without weights.
static void test_concat_and_pad(void **state) {
    (void)state;
    model *m = model_new(17);
    add_picture(m, "x", 2, 8, 8);
    add_conv(m, "x", "c", (conv){2, 4, {3, 3}, 1, 1, 1, 1}, 1);
    add_node(m, "Relu", "c", "r");
    add_conv(m, "r", "d", (conv){4, 3, {3, 3}, 1, 1, 1, 1}, 2);
    add_node(m, "Relu", "d", "s");
    attr_int(m, add_node(m, "Concat", "r,s", "rs"), "axis", 1);
    const float one[] = {1, 0.5f, -1, 2, 1, 0.25f, 3};
    add_floats(m, "scale", 1, I64(7), one);
    add_floats(m, "var", 1, I64(7), (const float[]){1, 2, 3, 4, 5, 6, 7});
    add_node(m, "BatchNormalization", "rs,scale,scale,scale,var", "n");
    add_conv(m, "n", "e", (conv){7, 7, {3, 3}, 2, 1, 1, 7}, 5);
    add_ints(m, "starts", 1, I64(2), I64(0, 0));
    add_ints(m, "ends", 1, I64(2), I64(8, 8));
    add_ints(m, "axes", 1, I64(2), I64(2, 3));
    add_ints(m, "steps", 1, I64(2), I64(2, 2));
    add_node(m, "Slice", "r,starts,ends,axes,steps", "half");
    add_ints(m, "pads", 1, I64(8), I64(0, 1, 0, 0, 0, 2, 0, 0));
    add_node(m, "Pad", "half,pads", "wide");
    add_node(m, "Add", "e,wide", "sum");
    add_node(m, "Relu", "sum", "t");
    add_node(m, "Flatten", "t", "f");
    add_gemm(m, "f", 7 * 16, 2, "y", 8);
    check_plan(m, "y", 1e-2);
}

static void test_max_pool(void **state) {
    (void)state;
    static const int64_t list[][5] = {{2, 2, 2, 0, 1}, {3, 3, 2, 1, 1}, {1, 3, 1, 0, 1}, {2, 2, 1, 1, 2}}; // k k s p d
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const int64_t *k = list[i];
        model *m = model_new(17);
        add_picture(m, "x", 1, 8, 8);
        add_conv(m, "x", "c", (conv){1, 3, {3, 3}, 1, 1, 1, 1}, 1);
        Onnx__NodeProto *n = add_node(m, "MaxPool", "c", "p");
        attr_ints(m, n, "kernel_shape", 2, k);
        attr_ints(m, n, "strides", 2, I64(k[2], k[2]));
        attr_ints(m, n, "pads", 4, I64(k[3], k[3], k[3], k[3]));
        attr_ints(m, n, "dilations", 2, I64(k[4], k[4]));
        add_conv(m, "p", "d", (conv){3, 2, {2, 2}, 1, 0, 1, 1}, 7);
        add_node(m, "Relu", "d", "r");
        add_node(m, "GlobalAveragePool", "r", "g");
        add_node(m, "Flatten", "g", "y");
        check_plan(m, "y", 1e-2);
    }
}

// Most of a picture is not used: what is left lies where it did. The same with a ciphertext a feature.
static void test_pruned(void **state) {
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        model *m = model_new(17);
        add_picture(m, "x", 1, 8, 8);
        add_conv(m, "x", "c", (conv){1, 4, {3, 3}, 2, 1, 1, 1}, 1);
        add_node(m, "Relu", "c", "r");
        add_ints(m, "starts", 1, I64(2), I64(1, 2));
        add_ints(m, "ends", 1, I64(2), I64(3, 4));
        add_ints(m, "axes", 1, I64(2), I64(1, 3));
        add_node(m, "Slice", "r,starts,ends,axes", "crop");
        add_node(m, "Flatten", "crop", "f");
        add_gemm(m, "f", 2 * 4 * 2, 2, "y", 8);
        lowering t;
        vl_nn_plan p;
        lowering_open(&t, m, "y", packed != 0, 6);
        assert_int_equal(t.l.base[0].n, 64);
        assert_int_equal(t.l.base[1].n, 16);
        assert_int_equal(t.l.base[1].extent, packed ? 64 : 16);
        if (vl_nn_plan_of(&t.l, packed != 0, t.features, 6, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
        assert_true(plan_error(&t, &p) < 1e-2);
        lowering_close(&t);
    }
}

// An interaction of relus: products of bases, ranges without calibration.
static void test_interaction(void **state) {
    (void)state;
    model *m = model_new(17);
    add_input(m, "x", 6);
    add_meta(m, "velum.range:x", "-1 1");
    add_gemm(m, "x", 6, 4, "h", 3);
    add_node(m, "Relu", "h", "a");
    add_gemm(m, "x", 6, 4, "g", 5);
    add_node(m, "Relu", "g", "b");
    add_node(m, "Mul", "a,b", "ab");
    add_gemm(m, "ab", 4, 3, "k", 9);
    add_node(m, "Tanh", "k", "z");
    add_gemm(m, "z", 3, 2, "y", 10);
    lowering t;
    vl_nn_plan p;
    lowering_open(&t, m, "y", true, 20);
    if (vl_nn_plan_of(&t.l, true, NULL, 0, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
    assert_true(plan_error(&t, &p) < 1e-2);
    lowering_close(&t);
}

// Two convolutions without an activation between them: composed where that is small, kept apart where it is not.
static void test_composition(void **state) {
    (void)state;
    for (int large = 0; large < 2; large++) {
        model *m = model_new(17);
        int64_t channels = large ? 24 : 2;
        add_picture(m, "x", 2, 12, 12);
        add_conv(m, "x", "c", (conv){2, channels, {3, 3}, 1, 1, 1, 1}, 1);
        add_node(m, "Mul", "c,c", "q");
        add_conv(m, "q", "d", (conv){channels, channels, {3, 3}, 1, 1, 1, channels}, 3);
        add_conv(m, "d", "e", (conv){channels, channels, {1, 1}, 1, 0, 1, 1}, 5);
        add_node(m, "GlobalAveragePool", "e", "p");
        add_node(m, "Flatten", "p", "y");
        lowering t;
        uint32_t copies = 0;
        lowering_open(&t, m, "y", true, 2);
        for (uint32_t b = 0; b < t.l.base_count; b++) copies += t.l.base[b].kind == VL_NN_BASE_COPY;
        assert_int_equal(copies, large);
        assert_true(forms_error(&t) < 1e-9);
        lowering_close(&t);
    }
}

// One channel a hundred times as large as another: each fills its own range; a row far from the others is named.
static void test_ranges(void **state) {
    (void)state;
    model *m = model_new(17);
    const float w[] = {100, 0, 0, 1};
    add_input(m, "x", 2);
    add_floats(m, "w", 2, I64(2, 2), w);
    add_node(m, "MatMul", "x,w", "h");
    add_node(m, "Relu", "h", "r");
    add_gemm(m, "r", 2, 2, "y", 4);
    lowering t;
    vl_nn_plan p;
    lowering_open(&t, m, "y", true, 40);
    t.features[2 * 17] = 30;
    if (vl_nn_plan_of(&t.l, true, t.features, 40, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
    assert_true(strstr(t.l.notes, "row 18 reaches 3e+03") != NULL);
    const vl_nn_base *relu = &t.l.base[1];
    assert_true(relu->unit[0] == 6000 + 0x1p-20);
    assert_true(relu->unit[1] == relu->unit[0] / 64);
    for (uint32_t v = 0; v < p.value_count; v++)
        if (p.values[v].base == 1 || p.values[v].form == relu->arg[0]) assert_true(p.values[v].bound <= 1.001);
    t.features[2 * 17] = t.raw.values[2 * 17];
    assert_true(plan_error(&t, &p) < 1e-3 * 6000);
    lowering_close(&t);
}

// Fewer bits asked for, fewer levels.
static void test_precision(void **state) {
    (void)state;
    uint16_t depth[3];
    for (int i = 0; i < 3; i++) {
        model *m = start();
        add_node(m, "Relu", "h", "a");
        add_node(m, "Sigmoid", "a", "b");
        add_gemm(m, "b", 5, 2, "y", 9);
        lowering t;
        vl_nn_plan p;
        lowering_open(&t, m, "y", true, 20);
        t.l.fit.precision = 6 + 5 * i;
        if (vl_nn_plan_of(&t.l, true, t.features, 20, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
        depth[i] = p.depth;
        double error = plan_error(&t, &p);
        if (!(error < exp2(-6 - 5 * i) * 20)) fail_msg("off by %g", error);
        lowering_close(&t);
    }
    assert_true(depth[0] < depth[1] && depth[1] < depth[2]);
}

// ResNet's layers by their numbers of diagonals: 9 taps times channel distances, whatever the strides before were.
static void test_diagonals(void **state) {
    (void)state;
    model *m = model_new(17);
    add_picture(m, "x", 3, 32, 32);
    add_conv(m, "x", "c", (conv){3, 16, {3, 3}, 1, 1, 1, 1}, 1);
    add_node(m, "Relu", "c", "r");
    add_block(m, "r", "b1", 16, 16, 1, 10);
    add_block(m, "b1", "b2", 16, 32, 2, 20);
    add_block(m, "b2", "b3", 32, 64, 2, 30);
    add_node(m, "GlobalAveragePool", "b3", "p");
    add_node(m, "Flatten", "p", "f");
    add_gemm(m, "f", 64, 10, "y", 8);
    lowering t;
    vl_nn_plan p;
    lowering_open(&t, m, "y", true, 1);
    if (vl_nn_plan_of(&t.l, true, t.features, 1, &p) != VELUM_OK) fail_msg("plan: %s", velum_last_error());
    // Three by three taps g apart and channels 0 .. g-1 apart in both directions: (4 g - 1)^2 distances, times blocks.
    static const struct {
        uint32_t rows, cols, diagonals;
    } want[] = {{16384, 3072, 144}, {16384, 16384, 144}, {16384, 16384, 1}, {16384, 16384, 144},
                {8192, 16384, 256}, {8192, 16384, 64},   {8192, 8192, 392}, {4096, 8192, 648},
                {4096, 8192, 200},  {4096, 4096, 900},   {10, 4096, 4096}};
    uint32_t at = 0;
    for (uint32_t i = 0; i < p.op_count; i++) {
        const vl_nn_op *op = &p.ops[i];
        if (op->kind != VL_OP_LINTRANS) continue;
        assert_true(at < sizeof want / sizeof *want);
        assert_int_equal(op->rows, want[at].rows);
        assert_int_equal(op->cols, want[at].cols);
        assert_int_equal(diagonals_of(op->m), want[at].diagonals);
        at++;
    }
    assert_int_equal(at, sizeof want / sizeof *want);
    lowering_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinks),    cmocka_unit_test(test_smooth),         cmocka_unit_test(test_sigmoid_last),
        cmocka_unit_test(test_clip),     cmocka_unit_test(test_convolutions),   cmocka_unit_test(test_lenet),
        cmocka_unit_test(test_residual), cmocka_unit_test(test_concat_and_pad), cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_pruned),   cmocka_unit_test(test_interaction),    cmocka_unit_test(test_composition),
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_precision),      cmocka_unit_test(test_diagonals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
