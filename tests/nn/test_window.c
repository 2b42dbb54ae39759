// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools of random shapes against their definition, and single rows against the direct loops.
#include "nn/eval.h"
#include "nn/model.h"

typedef struct picture {
    int64_t channels, size[2];
} picture;

typedef struct attrs { // by axis; pad: before and after
    int64_t kernel[2], stride[2], dilation[2], pad[4], out_channels, groups;
    int axes, auto_pad; // 0: none, 1: SAME_UPPER, 2: SAME_LOWER, 3: VALID
    bool ceil, counts, bias;
} attrs;

static uint64_t seed;
static int64_t below(int64_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(seed >> 33) % n;
}

// Pads as the standard defines them, and the output's extent.
static int64_t extent(const attrs *a, bool pool, int axis, int64_t in, int64_t *before, int64_t *after) {
    int64_t reach = (a->kernel[axis] - 1) * a->dilation[axis] + 1, stride = a->stride[axis], out;
    *before = a->auto_pad ? 0 : a->pad[axis];
    *after = a->auto_pad ? 0 : a->pad[axis + a->axes];
    if (a->auto_pad == 1 || a->auto_pad == 2) {
        out = (in + stride - 1) / stride;
        int64_t total = (out - 1) * stride + reach - in;
        total = total < 0 ? 0 : total;
        *before = (total + (a->auto_pad == 2)) / 2;
        *after = total - *before;
        return out;
    }
    if (in + *before + *after < reach) return 0;
    double steps = (double)(in + *before + *after - reach) / (double)stride;
    out = (int64_t)(pool && a->ceil ? ceil(steps) : floor(steps)) + 1;
    if (pool && a->ceil && (out - 1) * stride >= in + *before) out--;
    return out;
}

// y by the definition: one sum a place; kind 0: Conv, 1: AveragePool, 2: MaxPool.
static double *reference(const picture *p, const attrs *a, int kind, const double *x, const double *w, const double *b,
                         const int64_t out[2], const int64_t before[2], const int64_t after[2]) {
    int64_t oc = kind ? p->channels : a->out_channels, each = kind ? 1 : p->channels / a->groups;
    double *y = calloc((size_t)(oc * out[0] * out[1]), sizeof *y), *at = y;
    for (int64_t c = 0; c < oc; c++)
        for (int64_t r = 0; r < out[0]; r++)
            for (int64_t q = 0; q < out[1]; q++, at++) {
                double sum = b && !kind ? b[c] : 0, best = -INFINITY, count = 0;
                for (int64_t i = 0; i < each; i++)
                    for (int64_t ky = 0; ky < a->kernel[0]; ky++)
                        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
                            int64_t iy = r * a->stride[0] + ky * a->dilation[0] - before[0];
                            int64_t ix = q * a->stride[1] + kx * a->dilation[1] - before[1];
                            bool padded = iy < p->size[0] + after[0] && ix < p->size[1] + after[1];
                            bool inside = iy >= 0 && iy < p->size[0] && ix >= 0 && ix < p->size[1];
                            count += inside || (a->counts && padded);
                            if (!inside) continue;
                            int64_t from = kind ? c : c / (oc / a->groups) * each + i;
                            double v = x[(from * p->size[0] + iy) * p->size[1] + ix];
                            best = fmax(best, v);
                            sum += kind ? v : v * w[((c * each + i) * a->kernel[0] + ky) * a->kernel[1] + kx];
                        }
                *at = kind == 0 ? sum : kind == 1 ? sum / (count > 0 ? count : 1) : best;
            }
    return y;
}

static Onnx__NodeProto *window_node(model *m, const picture *p, const attrs *a, int kind) {
    static const char *const types[] = {"Conv", "AveragePool", "MaxPool"};
    static const char *const modes[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    int64_t dims[4] = {-1, p->channels, p->size[2 - a->axes], p->size[1]};
    int64_t shape[4] = {a->out_channels, p->channels / a->groups, a->kernel[2 - a->axes], a->kernel[1]};
    m->inputs[m->graph.n_input++] =
        value_info(m, "x", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, (uint32_t)a->axes + 2, dims);
    if (kind == 0) add_random(m, "w", (uint32_t)a->axes + 2, shape, 5);
    if (kind == 0 && a->bias) add_random(m, "b", 1, &a->out_channels, 6);
    Onnx__NodeProto *n = add_node(m, types[kind], kind ? "x" : a->bias ? "x,w,b" : "x,w", "y");
    int skip = 2 - a->axes;
    attr_ints(m, n, "kernel_shape", (size_t)a->axes, a->kernel + skip);
    attr_ints(m, n, "strides", (size_t)a->axes, a->stride + skip);
    attr_ints(m, n, "dilations", (size_t)a->axes, a->dilation + skip);
    if (a->auto_pad)
        attr_text(m, n, "auto_pad", modes[a->auto_pad]);
    else
        attr_ints(m, n, "pads", 2 * (size_t)a->axes, a->axes == 2 ? a->pad : (int64_t[]){a->pad[1], a->pad[3]});
    if (kind == 0) attr_int(m, n, "group", a->groups);
    if (kind) attr_int(m, n, "ceil_mode", a->ceil);
    if (kind == 1) attr_int(m, n, "count_include_pad", a->counts);
    add_output(m, "y");
    return n;
}

static void check_rows(const vl_nn_graph *g, const vl_nn_tensor *const *in, const double *want, size_t count) {
    vl_nn_heap h = {.limit = VL_NN_HEAP};
    vl_nn_rows rows;
    if (vl_nn_rows_of(&h, &g->nodes[0], in, &rows) != VELUM_OK) fail_msg("%s", velum_last_error());
    assert_int_equal(rows.out.count, count);
    for (size_t i = 0; i < count; i++) {
        double sum = rows.bias[i];
        for (size_t k = rows.start[i]; k < rows.start[i + 1]; k++) {
            assert_true(rows.col[k] < in[0]->count && (k == rows.start[i] || rows.col[k] > rows.col[k - 1]));
            sum += rows.val[k] * in[0]->v[rows.col[k]];
        }
        assert_true(fabs(sum - want[i]) < 1e-12);
    }
    vl_nn_heap_clear(&h);
}

static void try_window(const picture *p, const attrs *a, int kind) {
    int64_t out[2] = {1, 1}, before[2] = {0}, after[2] = {0};
    bool empty = false;
    for (int i = 2 - a->axes; i < 2; i++) {
        attrs axis = *a; // its pads are kept for two axes
        axis.axes = 2;
        out[i] = extent(&axis, kind > 0, i, p->size[i], &before[i], &after[i]);
        empty = empty || out[i] < 1;
    }
    model *m = model_new(19);
    size_t size;
    window_node(m, p, a, kind);
    uint8_t *onnx = model_bytes(m, &size);
    vl_nn_graph g;
    if (vl_nn_import(onnx, size, &g) != VELUM_OK) fail_msg("%s", velum_last_error());
    vl_nn_tensor x = g.inputs[0].shape, y = {0};
    x.v = calloc(x.count, sizeof *x.v);
    for (size_t i = 0; i < x.count; i++) x.v[i] = (double)below(2001) / 1000 - 1;
    const vl_nn_tensor *in[3] = {&x};
    for (uint32_t k = 1; k < g.nodes[0].in_count; k++) in[k] = g.constant[g.nodes[0].in[k]];
    velum_status status = vl_nn_eval_node(&g, &g.heap, &g.nodes[0], in, &y);
    if (empty) {
        assert_int_equal(status, VELUM_E_FORMAT);
    } else if (status != VELUM_OK) { // a maximum of padding only
        if (kind != 2) fail_msg("%s", velum_last_error());
    } else {
        double *want =
            reference(p, a, kind, x.v, kind ? NULL : in[1]->v, a->bias && !kind ? in[2]->v : NULL, out, before, after);
        assert_int_equal(y.count, (kind ? p->channels : a->out_channels) * out[0] * out[1]);
        for (size_t i = 0; i < y.count; i++)
            if (!(fabs(y.v[i] - want[i]) < 1e-12))
                fail_msg("kind %d: element %zu: %g, must be %g", kind, i, y.v[i], want[i]);
        if (kind < 2) check_rows(&g, in, want, y.count);
        free(want);
    }
    free(x.v);
    vl_nn_graph_clear(&g);
    model_free(m);
}

static void test_random_windows(void **state) {
    (void)state;
    seed = 3;
    for (int i = 0; i < 1500; i++) {
        attrs a = {.axes = 1 + (int)below(2), .groups = 1 + below(3), .auto_pad = below(3) ? 0 : (int)below(4)};
        picture p = {a.groups * (1 + below(2)), {a.axes == 1 ? 1 : 1 + below(7), 1 + below(7)}};
        a.out_channels = a.groups * (1 + below(2));
        a.ceil = below(2);
        a.counts = below(2);
        a.bias = below(2);
        for (int k = 0; k < 2; k++) {
            bool none = k == 0 && a.axes == 1;
            a.kernel[k] = none ? 1 : 1 + below(4);
            a.stride[k] = none ? 1 : 1 + below(3);
            a.dilation[k] = none ? 1 : 1 + below(2);
            a.pad[k] = none ? 0 : below(3);
            a.pad[k + 2] = none ? 0 : below(3);
        }
        for (int kind = 0; kind < 3; kind++) {
            attrs b = a;
            if (kind) b.groups = 1;
            if (kind) b.out_channels = p.channels;
            try_window(&p, &b, kind);
        }
    }
}

static void refuse(model *m, velum_status want, const char *naming) {
    size_t size;
    uint8_t *onnx = model_bytes(m, &size);
    vl_program p;
    velum_status status = vl_nn_compile(onnx, size, NULL, &p);
    if (status != want || !strstr(velum_last_error(), naming))
        fail_msg("status %d, wanted %d naming '%s': %s", status, want, naming, velum_last_error());
    model_free(m);
}

static const picture small = {2, {4, 4}};
static const attrs three = {
    .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}, .out_channels = 2, .groups = 1, .axes = 2};

static void test_refused(void **state) {
    (void)state;
    attrs a = three;
    a.pad[1] = -1;
    model *m = model_new(13);
    window_node(m, &small, &a, 0);
    refuse(m, VELUM_E_UNSUPPORTED, "'pads'");
    a = three;
    a.stride[0] = 0;
    m = model_new(13);
    window_node(m, &small, &a, 0);
    refuse(m, VELUM_E_FORMAT, "'strides'");
    a = three;
    a.dilation[1] = INT64_MAX;
    m = model_new(13);
    window_node(m, &small, &a, 0);
    refuse(m, VELUM_E_LIMIT, "'dilations'");
    a = three;
    a.kernel[0] = 5;
    m = model_new(13);
    window_node(m, &small, &a, 0);
    refuse(m, VELUM_E_FORMAT, "reaches over 5");
    m = model_new(13);
    attr_int(m, window_node(m, &small, &three, 0), "ceil_mode", 1); // not Conv's; known and ignored
    m->nodes[0]->attribute[4]->i = 7;                               // group
    refuse(m, VELUM_E_FORMAT, "7 groups");
    m = model_new(13);
    window_node(m, &small, &three, 0);
    m->nodes[0]->n_attribute = 1;
    m->weights[0]->n_dims = 3;
    m->weights[0]->dims[2] = 9;
    refuse(m, VELUM_E_FORMAT, "3 axes");
    m = model_new(13);
    window_node(m, &small, &three, 2);
    refuse(m, VELUM_E_LIMIT, "no bound");
    m = model_new(13);
    int64_t dims[5] = {-1, 1, 2, 2, 2}, shape[5] = {1, 1, 1, 1, 1};
    m->inputs[m->graph.n_input++] = value_info(m, "x", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 5, dims);
    add_random(m, "w", 5, shape, 1);
    add_node(m, "Conv", "x,w", "volume");
    add_output(m, "volume");
    refuse(m, VELUM_E_UNSUPPORTED, "node 'volume' (Conv): over 3 axes");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_windows), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
