// SPDX-License-Identifier: Apache-2.0
// Convolutions, normalisation, selection and encodings on known values.
#include "nn/eval_ops.h"
#include "nn/activation.h"
#include "nn/eval.h"
#include <math.h>
#include <string.h>

velum_status vl_nn_eval_scalar(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_activation f;
    VL_NN_FAIL_IF(in[0]->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    VL_TRY(vl_nn_activation_of(n, in, &f));
    *out = *in[0];
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        out->v[i] = vl_nn_activation_at(&f, in[0]->v[i]);
        VL_NN_FAIL_IF(!isfinite(out->v[i]), n, VELUM_E_VALUE, "of %.9g is not finite", in[0]->v[i]);
    }
    return VELUM_OK;
}

velum_status vl_nn_eval_window(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_window w;
    VL_TRY(vl_nn_window_of(n, in, &w, out));
    double work = (double)out->count * (w.channels_in / w.groups) * w.kernel[0] * w.kernel[1];
    VL_NN_FAIL_IF(work > 0x1p34, n, VELUM_E_LIMIT, "%.3g multiplications", work);
    VL_TRY(vl_nn_work(h, work));
    VL_NN_TAKE(h, out->v, out->count);
    if (n->op == VL_NN_MaxPool)
        vl_nn_window_maximum(&w, in[0]->v, out->v);
    else
        vl_nn_window_run(&w, in[0]->v, out->v);
    for (size_t i = 0; n->op == VL_NN_MaxPool && i < out->count; i++)
        VL_NN_FAIL_IF(!isfinite(out->v[i]), n, VELUM_E_FORMAT, "element %zu is the maximum of nothing", i);
    return VELUM_OK;
}

velum_status vl_nn_eval_norm(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    double *scale, *shift;
    VL_TRY(vl_nn_norm_of(h, n, in, &scale, &shift));
    *out = *in[0];
    VL_NN_TAKE(h, out->v, out->count);
    size_t plane = 1;
    for (uint32_t i = 2; i < out->rank; i++) plane *= out->dim[i];
    for (size_t i = 0; i < out->count; i++) {
        size_t c = i / plane % out->dim[1];
        out->v[i] = scale[c] * in[0]->v[i] + shift[c];
    }
    return VELUM_OK;
}

velum_status vl_nn_eval_pad(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_pad p;
    VL_TRY(vl_nn_pad_of(n, in, &p));
    *out = p.out;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        size_t element;
        out->v[i] = vl_nn_pad_source(&p, in[0], i, &element) ? in[0]->v[element] : p.value;
    }
    return VELUM_OK;
}

velum_status vl_nn_eval_labels(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_labels l;
    VL_TRY(vl_nn_labels_of(h, n, &l));
    *out = *in[0];
    out->integer = l.integer_values;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        double x = in[0]->v[i];
        VL_NN_FAIL_IF(l.integer_keys && (x != floor(x) || fabs(x) > 0x1p53), n, VELUM_E_VALUE,
                      "%.17g is not an integer within 2^53", x);
        out->v[i] = vl_nn_label_at(&l, x);
    }
    return VELUM_OK;
}

// Where: condition, then two operands. A list of extents may pass through it: the batch stays -1.
velum_status vl_nn_where_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_pair *values,
                            uint32_t **condition) {
    vl_nn_tensor c = *in[0], a = *in[1], b = *in[2];
    bool extents = a.extents || b.extents;
    c.extents = a.extents = b.extents = false;
    vl_nn_pair ab, all;
    VL_TRY(vl_nn_broadcast(h, n, &a, &b, &ab));
    VL_TRY(vl_nn_broadcast(h, n, &ab.out, &c, &all));
    *values = all;
    values->out.integer = a.integer && b.integer;
    values->out.extents = extents;
    *condition = all.b;
    VL_NN_TAKE(h, values->b, all.out.count);
    for (size_t i = 0; i < all.out.count; i++) {
        uint32_t at = all.a[i];
        values->a[i] = ab.a[at];
        values->b[i] = ab.b[at];
    }
    return VELUM_OK;
}

velum_status vl_nn_eval_where(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_pair p;
    uint32_t *condition;
    VL_TRY(vl_nn_where_of(h, n, in, &p, &condition));
    *out = p.out;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++)
        out->v[i] = in[0]->v[condition[i]] != 0 ? in[1]->v[p.a[i]] : in[2]->v[p.b[i]];
    return VELUM_OK;
}

velum_status vl_nn_one_hot_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    const vl_nn_tensor *index = in[0], *depth = in[1], *values = in[2];
    VL_NN_FAIL_IF(!depth->v || !values->v, n, VELUM_E_UNSUPPORTED, "depth and values must be constants");
    VL_NN_FAIL_IF(depth->count != 1 || values->count != 2, n, VELUM_E_FORMAT, "%zu depths, %zu values", depth->count,
                  values->count);
    int64_t axis = vl_nn_attr_int(n, "axis", -1);
    VL_NN_FAIL_IF(axis != -1 && axis != index->rank, n, VELUM_E_UNSUPPORTED, "axis %lld; the last one works",
                  (long long)axis);
    double d = depth->v[0];
    VL_NN_FAIL_IF(!(d >= 1 && d <= 65536) || d != floor(d) || index->rank == VL_NN_MAX_RANK, n, VELUM_E_LIMIT,
                  "depth %g", d);
    *out = *index;
    out->v = NULL;
    out->integer = values->integer;
    out->dim[out->rank++] = (uint32_t)d;
    return vl_nn_set_count(n, out);
}

velum_status vl_nn_eval_one_hot(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    VL_TRY(vl_nn_one_hot_of(n, in, out));
    VL_NN_TAKE(h, out->v, out->count);
    double depth = in[1]->v[0];
    for (size_t i = 0; i < out->count; i++) {
        double k = in[0]->v[i / (size_t)depth];
        out->v[i] = in[2]->v[(double)(i % (size_t)depth) == (k < 0 ? k + depth : k)];
    }
    return VELUM_OK;
}

static velum_status list_shape(const vl_nn_node *n, const vl_nn_tensor *list, vl_nn_tensor *out) {
    VL_NN_FAIL_IF(list->extents, n, VELUM_E_UNSUPPORTED, "a constant of the batch's size; let broadcasting do it");
    VL_NN_FAIL_IF(!list->v || list->rank > 1 || list->count > VL_NN_MAX_RANK, n, VELUM_E_FORMAT, "%zu extents",
                  list->count);
    *out = (vl_nn_tensor){.rank = (uint32_t)list->count};
    for (uint32_t i = 0; i < out->rank; i++) {
        VL_NN_FAIL_IF(!(list->v[i] >= 1 && list->v[i] <= VL_NN_MAX_ELEMENTS), n, VELUM_E_UNSUPPORTED, "extent %g",
                      list->v[i]);
        out->dim[i] = (uint32_t)list->v[i];
    }
    return vl_nn_set_count(n, out);
}

velum_status vl_nn_eval_fill(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    const vl_nn_attr *value = vl_nn_find_attr(n, "value");
    VL_NN_FAIL_IF(value && (value->kind != VL_NN_TENSOR || value->tensor->count != 1), n, VELUM_E_FORMAT,
                  "attribute 'value'");
    VL_TRY(list_shape(n, in[0], out));
    out->integer = value && value->tensor->integer;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; value && i < out->count; i++) out->v[i] = value->tensor->v[0];
    return VELUM_OK;
}

velum_status vl_nn_eval_range(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    for (uint32_t k = 0; k < 3; k++) {
        VL_NN_FAIL_IF(in[k]->extents, n, VELUM_E_UNSUPPORTED, "as long as the batch");
        VL_NN_FAIL_IF(in[k]->count != 1, n, VELUM_E_FORMAT, "input %u has %zu elements", k, in[k]->count);
    }
    double start = in[0]->v[0], step = in[2]->v[0];
    VL_NN_FAIL_IF(step == 0, n, VELUM_E_FORMAT, "a step of 0");
    double count = ceil((in[1]->v[0] - start) / step);
    VL_NN_FAIL_IF(!(count >= 1), n, VELUM_E_UNSUPPORTED, "gives no elements");
    VL_NN_FAIL_IF(count > VL_NN_MAX_ELEMENTS, n, VELUM_E_LIMIT, "%g elements", count);
    *out = (vl_nn_tensor){.rank = 1, .dim = {(uint32_t)count}, .count = (size_t)count, .integer = in[0]->integer};
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) out->v[i] = start + (double)i * step;
    return VELUM_OK;
}
