// SPDX-License-Identifier: Apache-2.0
// Models as PyTorch exports them (tests/nn/export_cases.py), evaluated in the clear: before the passes and behind them.
#include "nn/eval.h"
#include "nn/model.h"
#include "nn/passes.h"

typedef struct sample {
    char name[64];
    uint32_t rows, inputs, outputs;
    double *in, *out;
} sample;

static double *numbers(FILE *f, size_t count) {
    double *v = calloc(count, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < count; i++) assert_int_equal(fscanf(f, "%lf", &v[i]), 1);
    return v;
}

static void close_to(const char *name, const char *how, double got, double want) {
    if (!(fabs(got - want) <= 2e-6 * (1 + fabs(want)))) fail_msg("%s, %s: %.9g, must be %.9g", name, how, got, want);
}

static void run_graph(vl_nn_graph *g, const double *raw, vl_nn_tensor *value, vl_nn_heap *h) {
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) value[i] = *g->constant[i];
    for (uint32_t i = 0; i < g->input_count; i++) {
        vl_nn_tensor *t = &value[g->inputs[i].value];
        *t = g->inputs[i].shape;
        t->v = (double *)raw;
        raw += t->count;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        const vl_nn_tensor *in[64];
        vl_nn_tensor made[64] = {0};
        const vl_nn_node *n = &g->nodes[i];
        assert_true(n->in_count <= 64 && n->out_count <= 64);
        for (uint32_t k = 0; k < n->in_count; k++) in[k] = n->in[k] == VL_NN_NONE ? NULL : &value[n->in[k]];
        if (vl_nn_eval_node(g, h, n, in, made) != VELUM_OK) fail_msg("%s", velum_last_error());
        for (uint32_t k = 0; k < n->out_count; k++)
            if (n->out[k] != VL_NN_NONE) value[n->out[k]] = made[k];
    }
}

static void check_passes(const sample *s, const void *onnx, size_t size) {
    vl_nn_graph g;
    vl_nn_pass_report report;
    vl_nn_tensor *shape;
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_OK);
    if (vl_nn_passes(&g, &report) != VELUM_OK) fail_msg("%s: %s", s->name, velum_last_error());
    assert_int_equal(vl_nn_infer(&g, &shape), VELUM_OK);
    for (uint32_t r = 0; r < s->rows; r++) {
        vl_nn_heap h = {.limit = VL_NN_HEAP};
        vl_nn_tensor *value = calloc(g.value_count, sizeof *value);
        run_graph(&g, s->in + r * s->inputs, value, &h);
        for (uint32_t v = 0; v < g.value_count; v++) { // shapes were inferred right
            if (!value[v].v) continue;
            assert_int_equal(value[v].count, shape[v].count);
            assert_int_equal(value[v].rank, shape[v].rank);
            assert_memory_equal(value[v].dim, shape[v].dim, shape[v].rank * sizeof *shape[v].dim);
            assert_int_equal(value[v].integer, shape[v].integer);
            assert_int_equal(value[v].batched, shape[v].batched);
        }
        assert_int_equal(value[g.output].count, s->outputs);
        for (uint32_t i = 0; i < s->outputs; i++)
            close_to(s->name, "after the passes", value[g.output].v[i], s->out[r * s->outputs + i]);
        free(value);
        vl_nn_heap_clear(&h);
    }
    vl_nn_graph_clear(&g);
}

static void check_sample(const sample *s) {
    char path[128];
    size_t size;
    snprintf(path, sizeof path, "tests/nn/data/%s.onnx", s->name);
    void *onnx = read_file(path, &size);
    velum_table in = {.columns = s->inputs, .rows = s->rows, .values = s->in}, got = {0};
    if (vl_nn_evaluate(onnx, size, &in, &got) != VELUM_OK) fail_msg("%s: %s", s->name, velum_last_error());
    assert_int_equal(got.columns, s->outputs);
    for (uint32_t i = 0; i < s->rows * s->outputs; i++) close_to(s->name, "as imported", got.values[i], s->out[i]);
    table_clear(&got);
    check_passes(s, onnx, size);
    free(onnx);
}

static void test_cases(void **state) {
    (void)state;
    FILE *f = fopen("tests/nn/data/cases.txt", "r");
    assert_non_null(f);
    sample s;
    uint32_t count = 0;
    while (fscanf(f, "%63s %u %u %u", s.name, &s.rows, &s.inputs, &s.outputs) == 4) {
        s.in = numbers(f, (size_t)s.rows * s.inputs);
        s.out = numbers(f, (size_t)s.rows * s.outputs);
        check_sample(&s);
        free(s.in);
        free(s.out);
        count++;
    }
    fclose(f);
    assert_true(count >= 12);
}

// ---- nn.EmbeddingBag's Loop ----

static Onnx__NodeProto *node_of(Onnx__GraphProto *g, const char *type, uint32_t number) {
    for (size_t i = 0; i < g->n_node; i++)
        if (strcmp(g->node[i]->op_type, type) == 0 && number-- == 0) return g->node[i];
    fail_msg("no %s", type);
    return NULL;
}

static void swap_names(char **a, char **b) {
    char *t = *a;
    *a = *b;
    *b = t;
}

// One change to the exported model that makes it something else.
static void change_bag(Onnx__GraphProto *g, int which) {
    Onnx__NodeProto *loop = node_of(g, "Loop", 0);
    Onnx__GraphProto *body = loop->attribute[0]->g;
    Onnx__NodeProto *slice = node_of(body, "Slice", 0), *sum = node_of(body, "ReduceSum", 0);
    switch (which) {
    case 0: sum->attribute[0]->i = 1; break; // keepdims
    case 1: memcpy(sum->op_type, "ReduceMax", 10); break;
    case 2: swap_names(&slice->input[1], &slice->input[2]); break;
    case 3: node_of(body, "Gather", 2)->attribute[0]->i = 1; break;
    case 4: swap_names(&node_of(body, "Gather", 0)->input[0], &node_of(body, "Gather", 1)->input[0]); break;
    case 5: swap_names(&loop->input[0], &loop->input[1]); break;
    case 6: node_of(g, "Range", 0)->input[0] = node_of(g, "Gather", 0)->input[1]; break; // from 1
    case 7: swap_names(&node_of(g, "Range", 0)->input[1], &node_of(g, "Range", 0)->input[2]); break;
    case 8: node_of(g, "Concat", 0)->input[1] = node_of(g, "Reshape", 0)->input[1]; break;
    case 9: body->n_input = 1; break;
    case 10: body->n_output = 1; break;
    case 11: loop->n_attribute = 0; break;
    default: swap_names(&body->output[0]->name, &body->output[1]->name); break;
    }
}

static void test_other_loops(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file("tests/nn/data/bag_sum.onnx", &size);
    for (int which = 0; which < 13; which++) {
        Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, size, onnx);
        assert_non_null(m);
        Onnx__NodeProto *loop = node_of(m->graph, "Loop", 0);
        Onnx__GraphProto *body = loop->attribute[0]->g;
        size_t inputs = body->n_input, outputs = body->n_output, attributes = loop->n_attribute;
        char *first = node_of(m->graph, "Range", 0)->input[0], *last = node_of(m->graph, "Concat", 0)->input[1];
        change_bag(m->graph, which);
        size_t changed_size = onnx__model_proto__get_packed_size(m);
        uint8_t *changed = malloc(changed_size);
        onnx__model_proto__pack(m, changed);
        vl_nn_graph g;
        velum_status status = vl_nn_import(changed, changed_size, &g);
        if (status != VELUM_E_UNSUPPORTED || !strstr(velum_last_error(), "(Loop): not nn.EmbeddingBag"))
            fail_msg("change %d: status %d: %s", which, status, status ? velum_last_error() : "");
        free(changed);
        body->n_input = inputs; // whole again, to be released
        body->n_output = outputs;
        loop->n_attribute = attributes;
        node_of(m->graph, "Range", 0)->input[0] = first;
        node_of(m->graph, "Concat", 0)->input[1] = last;
        onnx__model_proto__free_unpacked(m, NULL);
    }
    free(onnx);
}

// Damaged files must not crash, whatever is said of them.
static void test_damaged(void **state) {
    (void)state;
    static const char *const names[] = {"convolutions", "pools",   "shortcut", "series", "activations13",
                                        "bag_sum",      "bag_one", "codes",    "shapes", "bag_mean_fixed"};
    uint32_t random = 11, taken = 0;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        char path[128];
        size_t size;
        snprintf(path, sizeof path, "tests/nn/data/%s.onnx", names[f]);
        uint8_t *onnx = read_file(path, &size);
        for (int i = 0; i < 150; i++) {
            size_t cut = i % 10 == 9 ? size - 1 - size * (size_t)(i / 10) / 20 : size;
            uint8_t *copy = malloc(cut);
            memcpy(copy, onnx, cut);
            for (int k = 0; cut == size && k < 1 + i % 3; k++) {
                random = random * 1664525u + 1013904223u;
                copy[(random >> 4) % size] =
                    (uint8_t)(i % 2 ? random >> 24 : copy[(random >> 4) % size] ^ (1u << (random & 7)));
            }
            vl_nn_graph g;
            vl_nn_pass_report report;
            if (vl_nn_import(copy, cut, &g) == VELUM_OK) {
                taken += vl_nn_passes(&g, &report) == VELUM_OK;
                vl_nn_graph_clear(&g);
            }
            vl_program p;
            if (i % 10 == 0 && vl_nn_compile(copy, cut, NULL, &p) == VELUM_OK) vl_program_clear(&p);
            free(copy);
        }
        free(onnx);
    }
    assert_true(taken > 100 && taken < 1400); // both happen
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_other_loops),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
