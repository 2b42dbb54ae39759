// SPDX-License-Identifier: Apache-2.0
// The passes: what they change, what they leave alone, and that answers stay.
#include "nn/eval.h"
#include "nn/model.h"
#include "nn/passes.h"

#define I64(...) ((int64_t[]){__VA_ARGS__})

static vl_nn_graph import(model *m) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_nn_graph g;
    if (vl_nn_import(onnx, size, &g) != VELUM_OK) fail_msg("%s", velum_last_error());
    return g;
}

// The output for one request.
static vl_nn_tensor run(vl_nn_graph *g, const double *x) {
    vl_nn_tensor *value = vl_nn_take(&g->heap, g->value_count, sizeof *value);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) value[i] = *g->constant[i];
    value[g->inputs[0].value] = g->inputs[0].shape;
    value[g->inputs[0].value].v = (double *)x;
    for (uint32_t i = 0; i < g->node_count; i++) {
        const vl_nn_node *n = &g->nodes[i];
        const vl_nn_tensor *in[8] = {NULL};
        vl_nn_tensor made[4] = {0};
        for (uint32_t k = 0; k < n->in_count; k++)
            if (n->in[k] != VL_NN_NONE) in[k] = &value[n->in[k]];
        if (vl_nn_eval_node(g, &g->heap, n, in, made) != VELUM_OK) fail_msg("%s", velum_last_error());
        for (uint32_t k = 0; k < n->out_count; k++) value[n->out[k]] = made[k];
    }
    return value[g->output];
}

// Runs the passes; answers must stay. Frees the model.
static vl_nn_graph passed(model *m, const char *output, vl_nn_pass_report *report) {
    static const double x[2][24] = {{0.5, -1, 2, 0.25, -3, 4, 1.5, -0.75, 0.125, 1, -1, 3.5},
                                    {0, -0.1, 5, -6, 1, 1, 1, 1}};
    add_output(m, output);
    vl_nn_graph before = import(m), after = import(m);
    if (vl_nn_passes(&after, report) != VELUM_OK) fail_msg("%s", velum_last_error());
    for (int r = 0; r < 2; r++) {
        vl_nn_tensor want = run(&before, x[r]), got = run(&after, x[r]);
        assert_int_equal(got.count, want.count);
        for (size_t i = 0; i < want.count; i++) assert_true(fabs(got.v[i] - want.v[i]) < 2e-6 * (1 + fabs(want.v[i])));
    }
    vl_nn_graph_clear(&before);
    model_free(m);
    return after;
}

static uint32_t count_of(const vl_nn_graph *g, vl_nn_opcode op) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->node_count; i++) count += g->nodes[i].op == op;
    return count;
}

// x: [batch, 4], and constants by name.
static model *start(void) {
    static const struct {
        const char *name;
        float v;
    } numbers[] = {{"half", 0.5f},       {"one", 1},       {"three", 3},
                   {"six", 6},           {"zero", 0},      {"root2", 1.4142135f},
                   {"sixth", 1.0f / 6},  {"c", 0.044715f}, {"k", 0.7978846f},
                   {"inv", 0.70710678f}, {"quick", 1.702f}};
    model *m = model_new(13);
    add_input(m, "x", 4);
    add_meta(m, "velum.range:x", "-2 2");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        add_floats(m, numbers[i].name, 0, NULL, &numbers[i].v);
    return m;
}

static void expect_one(model *m, vl_nn_opcode op, double alpha) {
    vl_nn_pass_report r;
    vl_nn_graph g = passed(m, "y", &r);
    if (g.node_count != 1 || g.nodes[0].op != op) fail_msg("%u nodes, the first %s", g.node_count, g.nodes[0].type);
    assert_int_equal(r.fused, 1);
    assert_int_equal(g.nodes[0].in_count, 1);
    assert_string_equal(g.value_name[g.nodes[0].in[0]], "x");
    if (alpha != 0) assert_true(fabs(vl_nn_attr_float(&g.nodes[0], "alpha", 1) - alpha) < 1e-6);
    vl_nn_graph_clear(&g);
}

static void test_fuse(void **state) {
    (void)state;
    model *m = start();
    add_node(m, "Sigmoid", "x", "s");
    add_node(m, "Mul", "s,x", "y");
    expect_one(m, VL_NN_Swish, 1);
    m = start();
    add_node(m, "Mul", "quick,x", "t");
    add_node(m, "Sigmoid", "t", "s");
    add_node(m, "Mul", "x,s", "y");
    expect_one(m, VL_NN_Swish, 1.702);
    static const char *const halves[][3] = {{"x,e1", "a", "a,half"}, {"x,half", "a", "a,e1"}, {"e1,half", "a", "x,a"}};
    for (int form = 0; form < 3; form++)
        for (int divide = 0; divide < 2; divide++) {
            m = start();
            add_node(m, divide ? "Div" : "Mul", divide ? "x,root2" : "inv,x", "v");
            add_node(m, "Erf", "v", "e");
            add_node(m, "Add", divide ? "e,one" : "one,e", "e1");
            add_node(m, "Mul", halves[form][0], halves[form][1]);
            add_node(m, "Mul", halves[form][2], "y");
            expect_one(m, VL_NN_Gelu, 0);
        }
    for (int form = 0; form < 2; form++) {
        m = start();
        add_node(m, form ? "Mul" : "Pow", form ? "x,x" : "x,three", "p");
        if (form) add_node(m, "Mul", "p,x", "p3");
        add_node(m, "Mul", form ? "p3,c" : "c,p", "q");
        add_node(m, "Add", "x,q", "s");
        add_node(m, "Mul", "s,k", "a");
        add_node(m, "Tanh", "a", "t");
        add_node(m, "Add", "t,one", "t1");
        add_node(m, "Mul", "half,x", "h");
        add_node(m, "Mul", "h,t1", "y");
        expect_one(m, VL_NN_Gelu, 0);
    }
    m = start();
    add_node(m, "Add", "x,three", "a");
    add_node(m, "Clip", "a,zero,six", "b");
    add_node(m, "Div", "b,six", "y");
    expect_one(m, VL_NN_HardSigmoid, 1.0 / 6);
    m = start();
    add_node(m, "Add", "x,three", "a");
    add_node(m, "Clip", "a,zero,six", "b");
    add_node(m, "Mul", "b,x", "t");
    add_node(m, "Div", "t,six", "y");
    expect_one(m, VL_NN_HardSwish, 0);
    m = start();
    add_node(m, "Softplus", "x", "a");
    add_node(m, "Tanh", "a", "b");
    add_node(m, "Mul", "x,b", "y");
    expect_one(m, VL_NN_Mish, 0);
    m = start();
    add_node(m, "Max", "zero,x", "y");
    expect_one(m, VL_NN_Relu, 0);
    m = start();
    add_node(m, "Min", "x,six", "y");
    expect_one(m, VL_NN_Clip, 0);
    m = start();
    add_floats(m, "slope", 1, I64(1), (float[]){0.25f});
    add_node(m, "PRelu", "x,slope", "y");
    expect_one(m, VL_NN_LeakyRelu, 0.25);
}

static void test_not_fused(void **state) {
    (void)state;
    static const char *const other[][2] = {{"three", "half"}, {"one", "third"}}; // of 1 + erf, of the factor
    for (int i = 0; i < 2; i++) {
        model *m = start();
        add_floats(m, "third", 0, NULL, (float[]){1.0f / 3});
        add_node(m, "Div", "x,root2", "v");
        add_node(m, "Erf", "v", "e");
        char list[32];
        snprintf(list, sizeof list, "e,%s", other[i][0]);
        add_node(m, "Add", list, "e1");
        add_node(m, "Mul", "x,e1", "a");
        snprintf(list, sizeof list, "a,%s", other[i][1]);
        add_node(m, "Mul", list, "y");
        vl_nn_pass_report r;
        vl_nn_graph g = passed(m, "y", &r);
        assert_int_equal(r.fused, 0);
        assert_int_equal(count_of(&g, VL_NN_Gelu), 0);
        vl_nn_graph_clear(&g);
    }
    model *m = start(); // a sigmoid of something else
    add_node(m, "Add", "x,one", "u");
    add_node(m, "Sigmoid", "u", "s");
    add_node(m, "Mul", "s,x", "y");
    vl_nn_pass_report r;
    vl_nn_graph g = passed(m, "y", &r);
    assert_int_equal(r.fused, 0);
    vl_nn_graph_clear(&g);
    m = start(); // would change the shape
    add_floats(m, "wide", 2, I64(3, 4), (float[12]){0});
    m->inputs[0]->type->tensor_type->shape->dim[0]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    m->inputs[0]->type->tensor_type->shape->dim[0]->dim_value = 1;
    add_ints(m, "three1", 1, I64(3), I64(1, 1, 4));
    add_node(m, "Reshape", "x,three1", "z");
    attr_int(m, add_node(m, "Concat", "z,z,z", "zz"), "axis", 1);
    add_node(m, "Max", "z,wide", "y");
    g = passed(m, "y", &r);
    assert_int_equal(r.fused, 0);
    vl_nn_graph_clear(&g);
}

static void norm(model *m, const char *in, const char *out, int64_t channels) {
    char list[200];
    float v[8] = {0.5f, 2, 1, 0.25f, 3, 1.5f, 0.75f, 1};
    snprintf(list, sizeof list, "%s,%s_s,%s_b,%s_m,%s_v", in, out, out, out, out);
    char name[32];
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "%s_%c", out, "sbmv"[k]);
        if (k == 3)
            add_floats(m, name, 1, I64(channels), v);
        else
            add_random(m, name, 1, I64(channels), (uint32_t)k + 3);
    }
    attr_float(m, add_node(m, "BatchNormalization", list, out), "epsilon", 0.125f);
}

static void test_fold_bn(void **state) {
    (void)state;
    vl_nn_pass_report r;
    for (int bias = 0; bias < 2; bias++) {
        model *m = model_new(13);
        int64_t dims[] = {-1, 2, 3, 2};
        m->inputs[m->graph.n_input++] = value_info(m, "x", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4, dims);
        add_random(m, "w", 4, I64(4, 1, 2, 2), 1);
        add_random(m, "b", 1, I64(4), 2);
        attr_int(m, add_node(m, "Conv", bias ? "x,w,b" : "x,w", "h"), "group", 2);
        norm(m, "h", "y", 4);
        vl_nn_graph g = passed(m, "y", &r);
        assert_int_equal(r.norms, 1);
        assert_int_equal(g.node_count, 1);
        vl_nn_graph_clear(&g);
    }
    static const char *const inputs[] = {"x,w", "x,w,b", "x,w,b1", "x,wt,b"};
    for (int i = 0; i < 5; i++) {
        model *m = start();
        add_random(m, "w", 2, I64(4, 3), 1);
        add_random(m, "wt", 2, I64(3, 4), 1);
        add_random(m, "b", 1, I64(3), 2);
        add_random(m, "b1", 1, I64(1), 2);
        Onnx__NodeProto *n = add_node(m, i == 4 ? "MatMul" : "Gemm", i == 4 ? "x,w" : inputs[i], "h");
        if (i == 3) attr_int(m, n, "transB", 1);
        if (i < 4) attr_float(m, n, "alpha", -0.5f);
        if (i < 4) attr_float(m, n, "beta", 2);
        norm(m, "h", "n", 3);
        add_node(m, "Relu", "n", "y");
        vl_nn_graph g = passed(m, "y", &r);
        assert_int_equal(r.norms, 1);
        assert_int_equal(g.node_count, 2);
        assert_int_equal(g.nodes[0].op, VL_NN_Gemm);
        vl_nn_graph_clear(&g);
    }
    model *m = start(); // read by others too
    add_random(m, "w", 2, I64(4, 3), 1);
    add_node(m, "MatMul", "x,w", "h");
    norm(m, "h", "n", 3);
    add_node(m, "Add", "n,h", "y");
    vl_nn_graph g = passed(m, "y", &r);
    assert_int_equal(r.norms, 0);
    assert_int_equal(count_of(&g, VL_NN_BatchNormalization), 1);
    vl_nn_graph_clear(&g);
}

static void test_fold(void **state) {
    (void)state;
    vl_nn_pass_report r;
    model *m = start();
    add_node(m, "Shape", "x", "shape");
    add_ints(m, "zero_index", 1, I64(1), I64(0));
    add_node(m, "Gather", "shape,zero_index", "batch");
    add_ints(m, "rest", 1, I64(2), I64(2, 2));
    attr_int(m, add_node(m, "Concat", "batch,rest", "to"), "axis", 0);
    add_node(m, "Reshape", "x,to", "z");
    add_node(m, "Exp", "half", "e");
    add_node(m, "Mul", "e,e", "ee");
    add_node(m, "Mul", "z,ee", "y");
    add_node(m, "Relu", "z", "nobody");
    vl_nn_graph g = passed(m, "y", &r);
    assert_int_equal(r.folded, 5);
    assert_int_equal(g.node_count, 2);
    vl_nn_graph_clear(&g);
    m = start(); // rows of a one-hot matrix, for the lowering a lookup
    attr_int(m, add_node(m, "Cast", "x", "u"), "to", 7);
    add_node(m, "Abs", "u", "i");
    add_ints(m, "depth", 0, NULL, I64(8));
    add_floats(m, "off_on", 1, I64(2), (float[]){0.5f, 3});
    add_node(m, "OneHot", "i,depth,off_on", "y");
    g = passed(m, "y", &r);
    assert_int_equal(count_of(&g, VL_NN_Gather), 1);
    assert_int_equal(count_of(&g, VL_NN_OneHot), 0);
    vl_nn_graph_clear(&g);
}

static void test_all_problems(void **state) {
    (void)state;
    model *m = start();
    char in[16] = "x", out[16];
    for (int i = 0; i < 30; i++) {
        snprintf(out, sizeof out, "n%d", i);
        add_node(m, i == 0 ? "LSTM" : "Sin", in, out);
        memcpy(in, out, sizeof in);
    }
    add_output(m, out);
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_nn_graph g;
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_E_UNSUPPORTED);
    const char *e = velum_last_error();
    assert_non_null(strstr(e, "node 'n0' (LSTM): recurrent networks"));
    assert_non_null(strstr(e, "; node 'n1' (Sin): not supported; write it as a polynomial; node 'n2'"));
    assert_non_null(strstr(e, " more"));
    model_free(m);
    m = start(); // known operators that cannot be taken as they are; what reads them is not blamed
    attr_ints(m, add_node(m, "Transpose", "x", "turned"), "perm", 2, I64(1, 0));
    add_node(m, "Relu", "turned", "r");
    attr_text(m, add_node(m, "Gelu", "x", "odd"), "approximate", "sloppy");
    add_node(m, "Add", "r,odd", "y");
    add_output(m, "y");
    onnx = model_bytes(m, &size);
    vl_nn_pass_report report;
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_OK);
    assert_int_equal(vl_nn_passes(&g, &report), VELUM_E_UNSUPPORTED);
    e = velum_last_error();
    assert_non_null(strstr(e, "node 'turned' (Transpose): "));
    assert_non_null(strstr(e, "; node 'odd' (Gelu): attribute 'approximate'"));
    assert_null(strstr(e, "node 'r'"));
    assert_null(strstr(e, "node 'y'"));
    vl_nn_graph_clear(&g);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse), cmocka_unit_test(test_not_fused),    cmocka_unit_test(test_fold_bn),
        cmocka_unit_test(test_fold), cmocka_unit_test(test_all_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
