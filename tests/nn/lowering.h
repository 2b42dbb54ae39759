// SPDX-License-Identifier: Apache-2.0
// A model lowered and planned in a test, and what it computes in the clear.
#ifndef VELUM_TESTS_NN_LOWERING_H
#define VELUM_TESTS_NN_LOWERING_H

#include "nn/lower.h"
#include "nn/model.h"
#include "nn/passes.h"
#include "nn/plan.h"

#define I64(...) ((int64_t[]){__VA_ARGS__})

typedef struct lowering {
    model *m;
    uint8_t *onnx;
    size_t size;
    vl_nn_graph g;
    vl_nn_lowered l;
    velum_table raw, want;
    double *features;
} lowering;

static UNUSED void add_picture(model *m, const char *name, int64_t channels, int64_t height, int64_t width) {
    m->inputs[m->graph.n_input++] =
        value_info(m, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4, (int64_t[]){-1, channels, height, width});
}

typedef struct conv {
    int64_t in, out, kernel[2], stride, pad, dilation, groups;
} conv;

static UNUSED void add_conv(model *m, const char *from, const char *to, conv c, uint32_t seed) {
    char w[64], b[64], in[200];
    snprintf(w, sizeof w, "%s_w", to);
    snprintf(b, sizeof b, "%s_b", to);
    snprintf(in, sizeof in, "%s,%s,%s", from, w, b);
    int64_t groups = c.groups ? c.groups : 1, dilation = c.dilation ? c.dilation : 1;
    add_random(m, w, 4, I64(c.out, c.in / groups, c.kernel[0], c.kernel[1]), seed);
    add_random(m, b, 1, I64(c.out), seed + 1);
    Onnx__NodeProto *n = add_node(m, "Conv", in, to);
    attr_ints(m, n, "kernel_shape", 2, c.kernel);
    attr_ints(m, n, "strides", 2, I64(c.stride, c.stride));
    attr_ints(m, n, "pads", 4, I64(c.pad, c.pad, c.pad, c.pad));
    attr_ints(m, n, "dilations", 2, I64(dilation, dilation));
    attr_int(m, n, "group", groups);
}

static UNUSED void add_gemm(model *m, const char *from, int64_t in, int64_t out, const char *to, uint32_t seed) {
    char w[64], b[64], list[200];
    snprintf(w, sizeof w, "%s_w", to);
    snprintf(b, sizeof b, "%s_b", to);
    snprintf(list, sizeof list, "%s,%s,%s", from, w, b);
    add_random(m, w, 2, I64(in, out), seed);
    add_random(m, b, 1, I64(out), seed + 1);
    add_node(m, "Gemm", list, to);
}

// Takes the model; random requests in [-1, 1].
static UNUSED void lowering_open(lowering *t, model *m, const char *output, bool packed, uint64_t rows) {
    memset(t, 0, sizeof *t);
    t->m = m;
    add_output(m, output);
    t->onnx = model_bytes(m, &t->size);
    vl_nn_pass_report report;
    if (vl_nn_import(t->onnx, t->size, &t->g) != VELUM_OK) fail_msg("import: %s", velum_last_error());
    if (vl_nn_passes(&t->g, &report) != VELUM_OK) fail_msg("passes: %s", velum_last_error());
    if (vl_nn_lower(&t->g, packed, &t->l) != VELUM_OK) fail_msg("lower: %s", velum_last_error());
    uint32_t columns = t->l.prologue.input_count, seed = 7;
    t->raw = (velum_table){.rows = rows, .columns = columns};
    t->raw.values = vl_alloc_array(rows * columns, sizeof *t->raw.values);
    for (size_t i = 0; i < rows * columns; i++) {
        seed = seed * 1664525u + 1013904223u;
        t->raw.values[i] = (seed >> 8) / 8388608.0 - 1;
    }
    if (vl_nn_evaluate(t->onnx, t->size, &t->raw, &t->want) != VELUM_OK) fail_msg("evaluate: %s", velum_last_error());
    t->features = calloc(rows * t->l.prologue.columns, sizeof *t->features);
    for (uint64_t r = 0; r < rows; r++)
        assert_int_equal(vl_nn_prologue_run(&t->l.prologue, r + 1, t->raw.values + r * columns,
                                            t->features + r * t->l.prologue.columns),
                         VELUM_OK);
}

static UNUSED void lowering_close(lowering *t) {
    vl_nn_graph_clear(&t->g);
    table_clear(&t->raw);
    table_clear(&t->want);
    free(t->features);
    model_free(t->m);
}

// Forms and bases against the graph. Returns the largest error.
static UNUSED double forms_error(lowering *t) {
    double **value = calloc(t->l.base_count, sizeof *value), worst = 0;
    double *y = calloc(t->l.output->n, sizeof *y);
    for (uint32_t b = 0; b < t->l.base_count; b++) value[b] = calloc(t->l.base[b].n, sizeof **value);
    assert_int_equal(t->want.columns, t->l.output->n);
    for (uint64_t r = 0; r < t->raw.rows; r++) {
        assert_int_equal(vl_nn_form_run(&t->l, t->features + r * t->l.prologue.columns, value, y), VELUM_OK);
        for (uint32_t i = 0; i < t->want.columns; i++)
            worst = fmax(worst, fabs(y[i] - t->want.values[r * t->want.columns + i]));
    }
    for (uint32_t b = 0; b < t->l.base_count; b++) free(value[b]);
    free(value);
    free(y);
    return worst;
}

static UNUSED void run_op(const vl_nn_plan *p, const vl_nn_op *op, double **v) {
    double *d = v[op->dst];
    const double *x = v[op->src[0]], *y = v[op->src[1]];
    for (uint32_t i = 0; i < p->values[op->dst].dim; i++) {
        switch (op->kind) {
        case VL_OP_LINTRANS:
            d[i] = op->bias ? op->bias[i] : 0;
            for (size_t k = op->m->start[i]; k < op->m->start[i + 1]; k++) d[i] += op->m->val[k] * x[op->m->col[k]];
            break;
        case VL_OP_ADD: d[i] = x[i] + y[i]; break;
        case VL_OP_SQUARE: d[i] = x[i] * x[i]; break;
        case VL_OP_MUL: d[i] = x[i] * y[i]; break;
        case VL_OP_POLY: d[i] = vl_polynomial_eval(op->poly, x[i]); break;
        case VL_OP_GATE: d[i] = vl_compare_eval(op->compare, x[i]); break;
        default: d[i] = x[i];
        }
    }
}

// The plan's operations on positions against the graph, bounds checked on the way. Returns the largest error.
static UNUSED double plan_error(lowering *t, const vl_nn_plan *p) {
    double **v = calloc(p->value_count, sizeof *v), worst = 0;
    for (uint32_t i = 0; i < p->value_count; i++) v[i] = calloc(p->values[i].dim, sizeof **v);
    for (uint64_t r = 0; r < t->raw.rows; r++) {
        memcpy(v[0], t->features + r * t->l.prologue.columns, p->values[0].dim * sizeof **v);
        for (uint32_t i = 0; i < p->op_count; i++) {
            const vl_nn_op *op = &p->ops[i];
            const vl_nn_value *d = &p->values[op->dst];
            run_op(p, op, v);
            for (uint32_t k = 0; k < d->dim; k++)
                if (!(fabs(v[op->dst][k]) <= d->bound * (1 + 1e-9)))
                    fail_msg("'%s': position %u holds %g, its bound is %g", op->label, k, v[op->dst][k], d->bound);
        }
        for (uint32_t i = 0; i < t->want.columns; i++)
            worst = fmax(worst, fabs(v[p->output][i] - t->want.values[r * t->want.columns + i]));
    }
    for (uint32_t i = 0; i < p->value_count; i++) free(v[i]);
    free(v);
    return worst;
}

// Distinct (column - row) modulo the larger period.
static UNUSED uint32_t diagonals_of(const vl_nn_sparse *m) {
    uint32_t period = 1, count = 0;
    while (period < m->rows || period < m->cols) period *= 2;
    bool *seen = calloc(period, sizeof *seen);
    for (uint32_t r = 0; r < m->rows; r++)
        for (size_t k = m->start[r]; k < m->start[r + 1]; k++) seen[(m->col[k] - r) & (period - 1)] = true;
    for (uint32_t i = 0; i < period; i++) count += seen[i];
    free(seen);
    return count;
}

#endif
