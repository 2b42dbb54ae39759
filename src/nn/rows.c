// SPDX-License-Identifier: Apache-2.0
// Linear operators as sparse affine maps, for the lowering: Conv, averages, BatchNormalization, Pad.
#include "nn/shape.h"
#include <math.h>

#define MOST_ENTRIES ((size_t)1 << 27)

bool vl_nn_has_rows(vl_nn_opcode op) {
    return op == VL_NN_Conv || op == VL_NN_AveragePool || op == VL_NN_GlobalAveragePool ||
           op == VL_NN_BatchNormalization || op == VL_NN_Pad;
}

velum_status vl_nn_norm_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, double **scale,
                           double **shift) {
    VL_NN_FAIL_IF(vl_nn_attr_int(n, "training_mode", 0) != 0, n, VELUM_E_UNSUPPORTED,
                  "training mode; export in inference mode (model.eval())");
    VL_NN_FAIL_IF(vl_nn_attr_int(n, "spatial", 1) != 1, n, VELUM_E_UNSUPPORTED, "attribute 'spatial' is 0");
    VL_NN_FAIL_IF(in[0]->rank < 2, n, VELUM_E_FORMAT, "takes [batch, channels, ...], has %u axes", in[0]->rank);
    uint32_t channels = in[0]->dim[1];
    for (uint32_t k = 1; k < 5; k++)
        VL_NN_FAIL_IF(!in[k]->v || in[k]->count != channels, n, in[k]->v ? VELUM_E_FORMAT : VELUM_E_UNSUPPORTED,
                      "input %u must be %u constants", k, channels);
    double epsilon = vl_nn_attr_float(n, "epsilon", 1e-5);
    VL_NN_TAKE(h, *scale, channels);
    VL_NN_TAKE(h, *shift, channels);
    for (uint32_t c = 0; c < channels; c++) {
        VL_NN_FAIL_IF(!(in[4]->v[c] + epsilon > 0), n, VELUM_E_FORMAT, "variance %g of channel %u", in[4]->v[c], c);
        (*scale)[c] = in[1]->v[c] / sqrt(in[4]->v[c] + epsilon);
        (*shift)[c] = in[2]->v[c] - in[3]->v[c] * (*scale)[c];
    }
    return VELUM_OK;
}

velum_status vl_nn_pad_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_pad *out) {
    const vl_nn_tensor *x = in[0], *given = n->in_count > 1 ? in[1] : NULL, *value = n->in_count > 2 ? in[2] : NULL;
    const vl_nn_tensor *axes = n->in_count > 3 ? in[3] : NULL;
    const vl_nn_attr *attr = vl_nn_find_attr(n, "pads");
    const bool wrap = vl_nn_attr_is(n, "mode", "wrap", false);
    VL_NN_FAIL_IF(!wrap && !vl_nn_attr_is(n, "mode", "constant", true), n, VELUM_E_UNSUPPORTED,
                  "only constant padding and wrapping around work; write reflected or repeated borders with Slice and "
                  "Concat");
    VL_NN_FAIL_IF(x->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    VL_NN_FAIL_IF((given && !given->v) || (value && (!value->v || value->count != 1)) || (axes && !axes->v), n,
                  VELUM_E_UNSUPPORTED, "pads, value and axes must be constants");
    VL_NN_FAIL_IF(!given && !attr, n, VELUM_E_FORMAT, "no pads");
    size_t count = given ? given->count : attr->count, listed = axes ? axes->count : x->rank;
    VL_NN_FAIL_IF(count != 2 * listed || listed > x->rank, n, VELUM_E_FORMAT, "%zu pads for %zu axes", count, listed);
    *out = (vl_nn_pad){.out = *x, .wrap = wrap, .value = value ? value->v[0] : vl_nn_attr_float(n, "value", 0)};
    out->out.v = NULL;
    for (size_t i = 0; i < listed; i++) {
        uint32_t axis = (uint32_t)i;
        if (axes) VL_TRY(vl_nn_axis(n, (int64_t)axes->v[i], x->rank, &axis));
        double before = given ? given->v[i] : (double)attr->ints[i];
        double after = given ? given->v[i + listed] : (double)attr->ints[i + listed],
               size = x->dim[axis] + before + after;
        VL_NN_FAIL_IF(!(fabs(before) <= VL_NN_MAX_ELEMENTS && fabs(after) <= VL_NN_MAX_ELEMENTS) || size < 1, n,
                      VELUM_E_FORMAT, "pads %g and %g of an extent of %u", before, after, x->dim[axis]);
        VL_NN_FAIL_IF(x->batched && axis == 0 && (before != 0 || after != 0), n, VELUM_E_UNSUPPORTED,
                      "would pad the batch");
        out->before[axis] = (int64_t)before;
        out->out.dim[axis] = (uint32_t)size;
    }
    return vl_nn_set_count(n, &out->out);
}

bool vl_nn_pad_source(const vl_nn_pad *p, const vl_nn_tensor *in, size_t i, size_t *element) {
    size_t step = 1, at = 0;
    for (uint32_t axis = in->rank; axis-- > 0; i /= p->out.dim[axis], step *= in->dim[axis]) {
        int64_t k = (int64_t)(i % p->out.dim[axis]) - p->before[axis];
        const int64_t size = (int64_t)in->dim[axis];
        if (p->wrap) k = (k % size + size) % size;
        if (k < 0 || k >= size) return false;
        at += (size_t)k * step;
    }
    *element = at;
    return true;
}

static velum_status take(vl_nn_heap *h, const vl_nn_node *n, size_t entries, vl_nn_rows *r) {
    VL_NN_FAIL_IF(entries > MOST_ENTRIES, n, VELUM_E_LIMIT, "%zu weights in its matrix, the limit is %zu", entries,
                  MOST_ENTRIES);
    VL_NN_TAKE(h, r->start, r->out.count + 1);
    VL_NN_TAKE(h, r->col, entries);
    VL_NN_TAKE(h, r->val, entries);
    VL_NN_TAKE(h, r->bias, r->out.count);
    return VELUM_OK;
}

static velum_status window_rows(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_rows *r) {
    vl_nn_window w;
    vl_nn_tap *tap;
    VL_TRY(vl_nn_window_of(n, in, &w, &r->out));
    VL_NN_FAIL_IF(n->op == VL_NN_Conv && (!w.weight || (n->in_count > 2 && in[2] && !w.bias)), n, VELUM_E_UNSUPPORTED,
                  "weights must be constants");
    size_t most = vl_nn_window_most(&w), entries;
    if (__builtin_mul_overflow(most, r->out.count, &entries)) entries = SIZE_MAX;
    VL_TRY(take(h, n, entries, r));
    VL_NN_TAKE(h, tap, most);
    size_t at = 0, plane = (size_t)w.out[0] * w.out[1];
    for (size_t i = 0; i < r->out.count; i++) {
        uint32_t count = vl_nn_window_taps(&w, i, tap);
        for (uint32_t k = 0; k < count; k++, at++) {
            r->col[at] = tap[k].element;
            r->val[at] = tap[k].weight;
        }
        r->start[i + 1] = at;
        r->bias[i] = w.bias ? w.bias[i / plane] : 0;
    }
    return VELUM_OK;
}

velum_status vl_nn_rows_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_rows *out) {
    if (n->op == VL_NN_Pad) {
        vl_nn_pad p;
        VL_TRY(vl_nn_pad_of(n, in, &p));
        out->out = p.out;
        VL_TRY(take(h, n, p.out.count, out));
        size_t at = 0;
        for (size_t i = 0; i < p.out.count; i++) {
            size_t element;
            if (vl_nn_pad_source(&p, in[0], i, &element)) {
                out->col[at] = (uint32_t)element;
                out->val[at++] = 1;
            } else {
                out->bias[i] = p.value;
            }
            out->start[i + 1] = at;
        }
        return VELUM_OK;
    }
    if (n->op != VL_NN_BatchNormalization) return window_rows(h, n, in, out);
    double *scale, *shift;
    VL_TRY(vl_nn_norm_of(h, n, in, &scale, &shift));
    out->out = *in[0];
    out->out.v = NULL;
    VL_TRY(take(h, n, in[0]->count, out));
    size_t plane = 1;
    for (uint32_t i = 2; i < in[0]->rank; i++) plane *= in[0]->dim[i];
    for (size_t i = 0; i < in[0]->count; i++) {
        size_t c = i / plane % in[0]->dim[1];
        out->start[i + 1] = i + 1;
        out->col[i] = (uint32_t)i;
        out->val[i] = scale[c];
        out->bias[i] = shift[c];
    }
    return VELUM_OK;
}
