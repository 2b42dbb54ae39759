// SPDX-License-Identifier: Apache-2.0
// Each supported operator in a small model: the program's answers are the graph's, in both packings.
#include "nn/model.h"

#define I64(...) ((int64_t[]){__VA_ARGS__})

// x: [batch, 4] in [-2, 2] as inputs x_0 .. x_3
static model *start(int64_t opset) {
    model *m = model_new(opset);
    add_input(m, "x", 4);
    add_meta(m, "velum.range:x", "-2 2");
    return m;
}

static const double rows4[] = {0.5, -1, 2, 0.25, -2, 2, 1.5, -0.75, 0, 0, 0, 0, 1, 1, -1, 0.125, 2, 2, 2, 2};

static void check(model *m, const char *output) {
    size_t size;
    add_output(m, output);
    uint8_t *onnx = model_bytes(m, &size);
    velum_table in = {.columns = 4, .rows = 5, .values = (double *)rows4};
    check_program(onnx, size, &in, VELUM_LATENCY, 1);
    check_program(onnx, size, &in, VELUM_LATENCY, 3);
    check_program(onnx, size, &in, VELUM_THROUGHPUT, 0);
    check_program(onnx, size, &in, VELUM_THROUGHPUT, 4);
    model_free(m);
}

static void check_refused(model *m, const char *output, velum_status want, const char *naming) {
    size_t size;
    add_output(m, output);
    uint8_t *onnx = model_bytes(m, &size);
    vl_program p = {0};
    velum_status status = vl_nn_compile(onnx, size, NULL, &p);
    if (status != want || (naming && !strstr(velum_last_error(), naming)))
        fail_msg("status %d, wanted %d naming '%s': %s", status, want, naming ? naming : "", velum_last_error());
    assert_null(p.ops);
    model_free(m);
}

// y = x W + b, so that what follows is encrypted
static void layer(model *m, const char *in, int64_t cols, int64_t rows, const char *out) {
    char w[64], b[64], list[200];
    snprintf(w, sizeof w, "%s_w", out);
    snprintf(b, sizeof b, "%s_b", out);
    snprintf(list, sizeof list, "%s,%s,%s", in, w, b);
    add_random(m, w, 2, I64(rows, cols), (uint32_t)(rows * 100 + cols));
    add_random(m, b, 1, I64(rows), (uint32_t)rows);
    attr_int(m, add_node(m, "Gemm", list, out), "transB", 1);
}

static void test_linear(void **state) {
    (void)state;
    model *m = start(13);
    layer(m, "x", 4, 6, "h");
    Onnx__NodeProto *n;
    add_random(m, "c", 2, I64(1, 3), 7);
    add_random(m, "w", 2, I64(6, 3), 8);
    n = add_node(m, "Gemm", "h,w,c", "g");
    attr_float(m, n, "alpha", 0.5f);
    attr_float(m, n, "beta", -2);
    add_random(m, "v", 2, I64(3, 5), 9);
    add_node(m, "MatMul", "g,v", "k");
    add_floats(m, "three", 0, NULL, (float[]){3});
    add_node(m, "Sub", "three,k", "s");
    add_node(m, "Neg", "s", "t");
    add_floats(m, "eight", 1, I64(5), (float[]){8, 4, 2, 1, 3});
    add_node(m, "Div", "t,eight", "d");
    add_node(m, "Add", "d,k", "y");
    check(m, "y");
}

static void test_quadratic(void **state) {
    (void)state;
    static const float abc[][3] = {{0.2f, 0.5f, 0.1f}, {-0.3f, 1, 0}, {1e-4f, 1, 0.5f},
                                   {1e-7f, 0.9f, 0},   {0.7f, 0, -1}, {0, 1, 0}};
    for (size_t i = 0; i < sizeof abc / sizeof *abc; i++) {
        model *m = start(13);
        layer(m, "x", 4, 7, "h");
        add_floats(m, "a", 0, NULL, &abc[i][0]);
        add_floats(m, "b", 0, NULL, &abc[i][1]);
        add_floats(m, "c", 0, NULL, &abc[i][2]);
        if (i % 2) {
            add_floats(m, "two", 0, NULL, (float[]){2});
            add_node(m, "Pow", "h,two", "hh");
        } else {
            add_node(m, "Mul", "h,h", "hh");
        }
        add_node(m, "Mul", "a,hh", "ahh");
        add_node(m, "Mul", "h,b", "bh");
        add_node(m, "Add", "ahh,bh", "s");
        add_node(m, "Add", "s,c", "t");
        layer(m, "t", 7, 3, "y");
        check(m, "y");
    }
}

static void test_factored_quadratic(void **state) {
    (void)state;
    model *m = start(13); // (2 h + 1) (h - 3), by element
    layer(m, "x", 4, 3, "h");
    add_floats(m, "u", 1, I64(3), (float[]){2, 1, 0.5f});
    add_floats(m, "v", 1, I64(3), (float[]){1, 2, 3});
    add_node(m, "Mul", "h,u", "hu");
    add_node(m, "Add", "hu,v", "p");
    add_node(m, "Sub", "h,v", "q");
    add_node(m, "Mul", "p,q", "y");
    check(m, "y");
}

static void test_powers(void **state) {
    (void)state;
    static const float exponents[] = {1, 2, 3, 4};
    for (size_t i = 0; i < 4; i++) {
        model *m = start(13);
        layer(m, "x", 4, 3, "h");
        add_floats(m, "e", 0, NULL, &exponents[i]);
        add_node(m, "Pow", "h,e", "y");
        check(m, "y");
    }
    model *m = start(13); // of raw inputs
    add_floats(m, "e", 0, NULL, (float[]){2});
    add_node(m, "Pow", "x,e", "y");
    check(m, "y");
}

static void test_products(void **state) {
    (void)state;
    model *m = start(13); // pairs out of a stack, as a DLRM does, and all pairs by a batched MatMul
    layer(m, "x", 4, 6, "h");
    add_ints(m, "shape", 1, I64(3), I64(-1, 3, 2));
    add_node(m, "Reshape", "h,shape", "z");
    add_ints(m, "left", 1, I64(3), I64(0, 0, 1));
    add_ints(m, "right", 1, I64(3), I64(1, 2, 2));
    attr_int(m, add_node(m, "Gather", "z,left", "l"), "axis", 1);
    attr_int(m, add_node(m, "Gather", "z,right", "r"), "axis", 1);
    add_node(m, "Mul", "l,r", "lr");
    add_ints(m, "two", 1, I64(1), I64(2));
    attr_int(m, add_node(m, "ReduceSum", "lr,two", "dots"), "keepdims", 0);
    attr_ints(m, add_node(m, "Transpose", "z", "zt"), "perm", 3, I64(0, 2, 1));
    add_node(m, "MatMul", "z,zt", "gram");
    add_node(m, "Flatten", "gram", "flat");
    attr_int(m, add_node(m, "Concat", "dots,flat,h", "all"), "axis", 1);
    layer(m, "all", 18, 4, "y");
    check(m, "y");
}

static void test_views(void **state) {
    (void)state;
    model *m = start(13);
    layer(m, "x", 4, 12, "h");
    add_node(m, "Identity", "h", "i");
    add_node(m, "Dropout", "i,,", "drop");
    add_ints(m, "s1", 1, I64(4), I64(0, 2, 3, 2));
    add_node(m, "Reshape", "drop,s1", "z");
    attr_ints(m, add_node(m, "Transpose", "z", "t"), "perm", 4, I64(0, 3, 1, 2));
    add_ints(m, "starts", 1, I64(2), I64(-1, 0));
    add_ints(m, "ends", 1, I64(2), I64(-4, INT64_MAX));
    add_ints(m, "axes", 1, I64(2), I64(3, 2));
    add_ints(m, "steps", 1, I64(2), I64(-2, 1));
    add_node(m, "Slice", "t,starts,ends,axes,steps", "sl");
    add_ints(m, "one", 1, I64(1), I64(1));
    add_node(m, "Unsqueeze", "sl,one", "us");
    add_node(m, "Squeeze", "us,one", "sq");
    add_ints(m, "sizes", 1, I64(2), I64(1, 1));
    attr_int(m, add_node(m, "Split", "sq,sizes", "p,q"), "axis", 1);
    attr_int(m, add_node(m, "Concat", "q,p,q", "cat"), "axis", -1);
    add_ints(m, "me", 1, I64(2), I64(2, 3));
    attr_int(m, add_node(m, "ReduceMean", "cat", "mean"), "keepdims", 0);
    attr_ints(m, m->nodes[m->graph.n_node - 1], "axes", 1, I64(2));
    add_node(m, "Flatten", "mean", "y");
    check(m, "y");
}

static void test_shape_of(void **state) {
    (void)state;
    model *m = start(13); // x.view(x.size(0), -1) as PyTorch writes it
    layer(m, "x", 4, 6, "h");
    add_ints(m, "s", 1, I64(3), I64(-1, 2, 3));
    add_node(m, "Reshape", "h,s", "z");
    add_node(m, "Shape", "z", "shape");
    add_ints(m, "zero", 0, NULL, I64(0));
    attr_int(m, add_node(m, "Gather", "shape,zero", "b"), "axis", 0);
    add_ints(m, "axis0", 1, I64(1), I64(0));
    add_node(m, "Unsqueeze", "b,axis0", "b1");
    add_ints(m, "rest", 1, I64(1), I64(6));
    attr_int(m, add_node(m, "Concat", "b1,rest", "target"), "axis", 0);
    add_node(m, "Reshape", "z,target", "y");
    check(m, "y");
}

static void test_prologue(void **state) {
    (void)state;
    model *m = start(13);
    add_floats(m, "mean", 1, I64(4), (float[]){0.5f, -0.25f, 1, 0});
    add_floats(m, "std", 1, I64(4), (float[]){2, 0.5f, 1.5f, 3});
    add_floats(m, "lo", 0, NULL, (float[]){-1.5f});
    add_floats(m, "hi", 0, NULL, (float[]){1});
    add_node(m, "Sub", "x,mean", "c");
    add_node(m, "Div", "c,std", "n");
    add_node(m, "Clip", "n,lo,hi", "k");
    layer(m, "k", 4, 3, "y");
    check(m, "y");
}

// Inputs u (categories 5..13, no metadata) and x: lookups whole and by digits, a code table, integer arithmetic.
static model *categories(void) {
    model *m = model_new(13);
    add_input(m, "u", 1);
    add_input(m, "x", 1);
    add_meta(m, "velum.range:x", "-1 1");
    attr_int(m, add_node(m, "Cast", "u", "i"), "to", 7);
    add_ints(m, "five", 0, NULL, I64(5));
    add_ints(m, "three", 0, NULL, I64(3));
    add_node(m, "Sub", "i,five", "j");
    attr_int(m, add_node(m, "Mod", "j,three", "d0"), "fmod", 0);
    add_node(m, "Div", "j,three", "d1");
    add_random(m, "t0", 2, I64(3, 4), 1);
    add_random(m, "t1", 2, I64(3, 4), 2);
    add_random(m, "t2", 2, I64(2, 4), 3);
    add_ints(m, "code", 1, I64(9), I64(0, 1, 1, 0, 1, 0, 0, 1, 1));
    add_node(m, "Gather", "t0,d0", "e0");
    add_node(m, "Gather", "t1,d1", "e1");
    add_node(m, "Gather", "code,j", "c");
    add_node(m, "Gather", "t2,c", "e2");
    add_node(m, "Add", "e0,e1", "e");
    attr_int(m, add_node(m, "Concat", "e,e2", "pair"), "axis", 1);
    add_node(m, "Flatten", "pair", "f");
    attr_int(m, add_node(m, "Concat", "f,x", "all"), "axis", 1);
    layer(m, "all", 9, 5, "h");
    add_node(m, "Mul", "h,h", "hh");
    layer(m, "hh", 5, 2, "y");
    add_output(m, "y");
    return m;
}

static void test_categories(void **state) {
    (void)state;
    model *m = categories();
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    double v[18];
    for (int i = 0; i < 9; i++) {
        v[2 * i] = 5 + i;
        v[2 * i + 1] = i / 8.0;
    }
    velum_table in = {.columns = 2, .rows = 9, .values = v};
    check_program(onnx, size, &in, VELUM_LATENCY, 2);
    check_program(onnx, size, &in, VELUM_THROUGHPUT, 0);
    vl_program p = {0};
    assert_int_equal(vl_nn_compile(onnx, size, NULL, &p), VELUM_OK);
    assert_int_equal(p.manifest.inputs[0].value_count, 9); // found from the tables
    assert_true(p.manifest.inputs[0].lo == 5 && p.manifest.inputs[0].hi == 13);
    assert_int_equal(p.manifest.in.dim, 3 + 3 + 2 + 1);
    for (uint32_t i = 0; i < p.manifest.step_count; i++) assert_true(p.manifest.steps[i].kind < VL_STEP_KINDS);
    double y[18];
    v[0] = 14;
    assert_int_equal(simulate(&p, &in, y), VELUM_E_VALUE);
    vl_program_clear(&p);
    model_free(m);
}

static void test_epilogues(void **state) {
    (void)state;
    static const char *const types[] = {"Sigmoid", "Softmax", "ArgMax"};
    for (int i = 0; i < 3; i++) {
        model *m = start(13);
        layer(m, "x", 4, 5, "h");
        Onnx__NodeProto *n = add_node(m, types[i], "h", "y");
        if (i > 0) attr_int(m, n, "axis", 1);
        check(m, "y");
    }
    model *m = start(13);
    layer(m, "x", 4, 5, "h");
    attr_int(m, add_node(m, "Softmax", "h", "s"), "axis", -1);
    attr_int(m, add_node(m, "ArgMax", "s", "y"), "axis", 1);
    attr_int(m, m->nodes[m->graph.n_node - 1], "keepdims", 0);
    check(m, "y");
}

static void test_low_rank(void **state) {
    (void)state;
    model *m = start(13); // 4 -> 2 -> 128 -> 2 -> 128 -> 1: the middle stays of rank 2
    layer(m, "x", 4, 128, "a");
    add_node(m, "Mul", "a,a", "aa");
    layer(m, "aa", 128, 2, "b");
    add_floats(m, "small", 0, NULL, (float[]){0.01f});
    add_node(m, "Mul", "b,small", "s");
    layer(m, "s", 2, 128, "c");
    add_node(m, "Mul", "c,c", "cc");
    layer(m, "cc", 128, 1, "y");
    check(m, "y");
}

static void test_pruned(void **state) {
    (void)state;
    model *m = start(13); // only element 2 of the squares matters, and x_3 not at all
    add_floats(m, "w", 2, I64(4, 3), (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0});
    add_node(m, "MatMul", "x,w", "h");
    add_node(m, "Mul", "h,h", "hh");
    add_ints(m, "two", 1, I64(1), I64(2));
    attr_int(m, add_node(m, "Gather", "hh,two", "y"), "axis", 1);
    size_t size;
    add_output(m, "y");
    uint8_t *onnx = model_bytes(m, &size);
    vl_program p = {0};
    if (vl_nn_compile(onnx, size, NULL, &p) != VELUM_OK) fail_msg("%s", velum_last_error());
    assert_int_equal(p.manifest.in.dim, 3);
    assert_int_equal(p.manifest.output_count, 1);
    for (uint32_t i = 0; i < p.op_count; i++) assert_true(p.values[p.ops[i].dst].layout.dim == 1);
    vl_program_clear(&p);
    m->graph.n_output = 0;
    check(m, "y");
}

static void test_unsupported(void **state) {
    (void)state;
    static const char *const types[] = {"LSTM", "If", "Sign", "Floor"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        model *m = start(13);
        layer(m, "x", 4, 3, "h");
        add_node(m, types[i], "h", "activation");
        layer(m, "activation", 3, 1, "y");
        check_refused(m, "y", VELUM_E_UNSUPPORTED, types[i]);
    }
    model *m = start(13);
    layer(m, "x", 4, 3, "h");
    add_node(m, "Softmax", "h", "middle");
    layer(m, "middle", 3, 1, "y");
    check_refused(m, "y", VELUM_E_UNSUPPORTED, "last");
    m = start(13);
    layer(m, "x", 4, 3, "h");
    add_node(m, "Div", "h,h", "q");
    check_refused(m, "q", VELUM_E_UNSUPPORTED, "q");
    m = start(13);
    layer(m, "x", 4, 3, "h");
    attr_ints(m, add_node(m, "Transpose", "h", "t"), "perm", 2, I64(1, 0));
    check_refused(m, "t", VELUM_E_UNSUPPORTED, "batch");
    m = start(13);
    layer(m, "x", 4, 3, "h");
    attr_ints(m, add_node(m, "ReduceMean", "h", "t"), "axes", 1, I64(0));
    check_refused(m, "t", VELUM_E_UNSUPPORTED, "batch");
    m = start(13);
    layer(m, "x", 4, 3, "h");
    attr_int(m, add_node(m, "Cast", "h", "t"), "to", 7);
    check_refused(m, "t", VELUM_E_UNSUPPORTED, "integer");
}

static void test_no_range(void **state) {
    (void)state;
    model *m = model_new(13);
    add_input(m, "x", 4);
    layer(m, "x", 4, 3, "h");
    check_refused(m, "h", VELUM_E_LIMIT, "velum.range");
    m = model_new(13); // too deep: x^(2^70)
    add_input(m, "x", 4);
    add_meta(m, "velum.range:x", "-0.5 0.5");
    char from[16] = "x", to[16], list[40];
    for (int i = 0; i < 70; i++) {
        snprintf(to, sizeof to, "p%d", i);
        snprintf(list, sizeof list, "%s,%s", from, from);
        add_node(m, "Mul", list, to);
        memcpy(from, to, sizeof from);
    }
    check_refused(m, from, VELUM_E_LIMIT, "levels");
    m = model_new(13); // values that no scale holds
    add_input(m, "x", 4);
    add_meta(m, "velum.range:x", "-1e9 1e9");
    layer(m, "x", 4, 3, "h");
    check_refused(m, "h", VELUM_E_LIMIT, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),      cmocka_unit_test(test_quadratic), cmocka_unit_test(test_factored_quadratic),
        cmocka_unit_test(test_powers),      cmocka_unit_test(test_products),  cmocka_unit_test(test_views),
        cmocka_unit_test(test_shape_of),    cmocka_unit_test(test_prologue),  cmocka_unit_test(test_categories),
        cmocka_unit_test(test_epilogues),   cmocka_unit_test(test_low_rank),  cmocka_unit_test(test_pruned),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_no_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
