// SPDX-License-Identifier: Apache-2.0
// Models as PyTorch exports them (tests/nn/export_cases.py), evaluated in the clear: before the passes and behind them.
#include "nn/model.h"
#include "nn/eval.h"
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
