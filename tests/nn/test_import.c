// SPDX-License-Identifier: Apache-2.0
// What the importer makes of hostile and broken files.
#include "nn/eval.h"
#include "nn/graph.h"
#include "nn/model.h"

#define I64(...) ((int64_t[]){__VA_ARGS__})

static model *plain(void) {
    model *m = model_new(13);
    add_input(m, "x", 2);
    add_meta(m, "velum.range:x", "-1 1");
    add_random(m, "w", 2, I64(2, 3), 1);
    add_node(m, "MatMul", "x,w", "y");
    add_output(m, "y");
    return m;
}

static void expect(model *m, velum_status want, const char *naming) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_nn_graph g;
    velum_status status = vl_nn_import(onnx, size, &g);
    if (status == VELUM_OK) vl_nn_graph_clear(&g);
    if (status != want || (naming && !strstr(velum_last_error(), naming)))
        fail_msg("status %d, wanted %d naming '%s': %s", status, want, naming ? naming : "", velum_last_error());
    model_free(m);
}

static void test_real(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file("models/heart/dlrm_heart.onnx", &size);
    vl_nn_graph g;
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_OK);
    assert_int_equal(g.input_count, 13);
    assert_int_equal(g.node_count, 45);
    assert_int_equal(g.fixed_batch, 0);
    assert_string_equal(g.value_name[g.output], "risk");
    assert_string_equal(vl_nn_find_meta(&g, "velum.values:", "thal"), "3 6 7");
    vl_nn_graph_clear(&g);
    free(onnx);
}

static void test_truncated(void **state) {
    (void)state;
    size_t size;
    uint8_t *onnx = read_file("models/heart/dlrm_heart.onnx", &size);
    uint32_t refused = 0;
    for (size_t n = 0; n < size; n += n < 2000 ? 1 : 7) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, onnx, n);
        vl_nn_graph g;
        if (vl_nn_import(copy, n, &g) == VELUM_OK)
            vl_nn_graph_clear(&g); // metadata come last: without some of them it is still a model
        else
            refused++;
        free(copy);
    }
    assert_true(refused > 3000);
    free(onnx);
}

static void test_damaged(void **state) {
    (void)state;
    size_t size;
    uint8_t *onnx = read_file("models/heart/dlrm_heart.onnx", &size);
    uint32_t seed = 7;
    for (int i = 0; i < 400; i++) { // must not crash, whatever it says
        uint8_t *copy = malloc(size);
        memcpy(copy, onnx, size);
        for (int k = 0; k < 1 + i % 8; k++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 4) % (i % 2 ? 6000 : size)] = (uint8_t)(seed >> 24);
        }
        vl_program p;
        if (vl_nn_compile(copy, size, NULL, &p) == VELUM_OK) vl_program_clear(&p);
        free(copy);
    }
    free(onnx);
}

// Fields inside fields: graph -> node -> attribute -> graph -> ...
static void test_nested(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    size_t room = 16 * DEPTH, at = room;
    uint8_t *b = malloc(room);
    for (int i = 0; i < DEPTH; i++) {                    // written from the inside out
        static const uint8_t tag[] = {0x32, 0x2a, 0x0a}; // attribute.g = 6, node.attribute = 5, graph.node = 1
        uint64_t length = room - at;
        uint8_t head[12];
        size_t n = 0;
        head[n++] = i == DEPTH - 1 ? 0x3a : tag[i % 3]; // model.graph = 7
        do head[n++] = (uint8_t)((length & 127) | (length > 127 ? 128 : 0));
        while (length >>= 7);
        if (n > at) break;
        at -= n;
        memcpy(b + at, head, n);
    }
    vl_nn_graph g;
    assert_int_equal(vl_nn_import(b + at, room - at, &g), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "nested"));
    free(b);
    assert_int_equal(vl_nn_import("", 0, &g), VELUM_E_FORMAT);
    assert_int_equal(vl_nn_import("hello, this is text", 19, &g), VELUM_E_FORMAT);
}

static void test_tensors(void **state) {
    (void)state;
    model *m = plain();
    m->weights[0]->float_data[3] = NAN;
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->float_data[0] = INFINITY;
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->n_float_data = 5;
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->dims[0] = -2;
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->dims[0] = INT64_MAX;
    expect(m, VELUM_E_LIMIT, "'w'");
    m = plain();
    m->weights[0]->dims[0] = m->weights[0]->dims[1] = 1 << 20;
    expect(m, VELUM_E_LIMIT, "'w'");
    m = plain();
    m->weights[0]->has_data_location = 1;
    m->weights[0]->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    expect(m, VELUM_E_UNSUPPORTED, "another file");
    m = plain();
    m->weights[0]->float_data[3] = NAN;
    expect(m, VELUM_E_FORMAT, "element 3 of 'w' is not finite");
    m = plain();
    m->weights[0]->float_data[0] = -INFINITY;
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
    expect(m, VELUM_E_UNSUPPORTED, "'w'");
    m = plain(); // raw bytes of the wrong length
    m->weights[0]->n_float_data = 0;
    m->weights[0]->has_raw_data = 1;
    m->weights[0]->raw_data = (ProtobufCBinaryData){23, own(m, 24)};
    expect(m, VELUM_E_FORMAT, "'w'");
    m = plain();
    m->weights[0]->n_float_data = 0;
    m->weights[0]->has_raw_data = 1;
    m->weights[0]->raw_data = (ProtobufCBinaryData){24, own(m, 24)};
    expect(m, VELUM_OK, NULL);
}

static void test_graphs(void **state) {
    (void)state;
    model *m = plain();
    add_node(m, "Add", "b,y", "a");
    add_node(m, "Add", "a,y", "b");
    expect(m, VELUM_E_FORMAT, "cycle");
    m = plain();
    add_node(m, "Add", "y,nowhere", "z");
    expect(m, VELUM_E_FORMAT, "nowhere");
    m = plain();
    add_node(m, "Identity", "x", "y");
    expect(m, VELUM_E_FORMAT, "second time");
    m = plain();
    add_node(m, "Identity", "x", "w");
    expect(m, VELUM_E_FORMAT, "second time");
    m = plain();
    m->outputs[0]->name = text(m, "nothing");
    expect(m, VELUM_E_FORMAT, "nothing");
    m = plain();
    add_output(m, "x");
    expect(m, VELUM_E_UNSUPPORTED, "outputs");
    m = plain();
    m->opset.version = 3;
    expect(m, VELUM_E_UNSUPPORTED, "operator set");
    m = plain();
    m->proto.graph = NULL;
    expect(m, VELUM_E_FORMAT, "graph");
    m = plain();
    add_node(m, "Einsum", "y", "z");
    expect(m, VELUM_E_UNSUPPORTED, "node 'z' (Einsum): not supported; write it as Transpose");
    m = plain();
    add_node(m, "LabelEncoder", "y", "z"); // of another operator set
    expect(m, VELUM_E_UNSUPPORTED, "LabelEncoder");
    m = plain();
    add_node(m, "TreeEnsembleRegressor", "y", "z")->domain = text(m, "ai.onnx.ml");
    expect(m, VELUM_E_UNSUPPORTED, "decision trees");
    m = plain();
    add_node(m, "Loop", "y,y", "z");
    expect(m, VELUM_E_UNSUPPORTED, "node 'z' (Loop): not nn.EmbeddingBag");
    m = plain();
    attr_text(m, m->nodes[0], "mode", "constant"); // known, of no meaning here
    expect(m, VELUM_OK, NULL);
    m = plain();
    char *longer = own(m, 300);
    memset(longer, 'x', 299);
    attr_text(m, m->nodes[0], "mode", longer);
    expect(m, VELUM_E_LIMIT, "'mode'");
    m = plain();
    m->nodes[0]->domain = text(m, "com.microsoft");
    expect(m, VELUM_E_UNSUPPORTED, "com.microsoft");
    m = plain();
    attr_int(m, m->nodes[0], "mystery", 1);
    expect(m, VELUM_E_UNSUPPORTED, "mystery");
    m = plain();
    attr_float(m, m->nodes[0], "axis", 1);
    expect(m, VELUM_E_FORMAT, "axis");
    m = plain();
    m->inputs[0]->type->tensor_type->shape->dim[1]->dim_value = -4;
    expect(m, VELUM_E_FORMAT, "'x'");
}

// Constants are folded within a budget that releasing memory does not give back.
static void test_work(void **state) {
    (void)state;
    static double v[128 * 128];
    const vl_nn_tensor a = {.rank = 2, .dim = {128, 128}, .count = 128 * 128, .v = v}, *in[2] = {&a, &a};
    const vl_nn_node n = {.op = VL_NN_MatMul, .name = "m", .type = "MatMul", .in_count = 2, .out_count = 1};
    vl_nn_graph g = {0};
    vl_nn_tensor out;
    vl_nn_heap h = {.limit = VL_NN_HEAP};
    assert_int_equal(vl_nn_eval_node(&g, &h, &n, in, &out), VELUM_OK);
    assert_true(h.work >= 128.0 * 128 * 128);
    h.work = VL_NN_WORK - 0x1p20; // enough for what is taken, not for the product
    assert_int_equal(vl_nn_eval_node(&g, &h, &n, in, &out), VELUM_E_LIMIT);
    vl_nn_heap_clear(&h);
    assert_null(vl_nn_take(&h, 1, 1));
    assert_int_equal(vl_nn_out_of(&h, "it"), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "constants take more than"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),   cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_nested), cmocka_unit_test(test_tensors),   cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
