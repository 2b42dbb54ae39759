// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools: attributes and shapes.
#include "nn/shape.h"
#include <string.h>

#define EXTENT_MOST (1u << 20) // of kernels, strides, pads and dilations

typedef struct frame { // attributes by axis of the picture
    uint32_t axes;     // 1 or 2
    int64_t kernel[2], stride[2], dilation[2], pad[4];
} frame;

static velum_status read_list(const vl_nn_node *n, const char *name, uint32_t count, int64_t least, int64_t *out) {
    const vl_nn_attr *a = vl_nn_find_attr(n, name);
    if (!a) return VELUM_OK;
    VL_NN_FAIL_IF(a->count != count, n, VELUM_E_FORMAT, "attribute '%s' has %u entries, must be %u", name, a->count,
                  count);
    for (uint32_t i = 0; i < count; i++) {
        VL_NN_FAIL_IF(a->ints[i] < least, n, least ? VELUM_E_FORMAT : VELUM_E_UNSUPPORTED, "attribute '%s' holds %lld",
                      name, (long long)a->ints[i]);
        VL_NN_FAIL_IF(a->ints[i] > EXTENT_MOST, n, VELUM_E_LIMIT, "attribute '%s' holds %lld", name,
                      (long long)a->ints[i]);
        out[i] = a->ints[i];
    }
    return VELUM_OK;
}

// Output extent and pads along one axis.
static velum_status fit(const vl_nn_node *n, const frame *f, uint32_t axis, uint32_t slot, vl_nn_window *w) {
    int64_t in = w->in[slot], reach = (f->kernel[axis] - 1) * f->dilation[axis] + 1, stride = f->stride[axis];
    int64_t before = f->pad[axis], after = f->pad[axis + f->axes], out;
    bool upper = vl_nn_attr_is(n, "auto_pad", "SAME_UPPER", false);
    bool lower = vl_nn_attr_is(n, "auto_pad", "SAME_LOWER", false);
    bool valid = vl_nn_attr_is(n, "auto_pad", "VALID", false);
    VL_NN_FAIL_IF(!upper && !lower && !valid && !vl_nn_attr_is(n, "auto_pad", "NOTSET", true), n, VELUM_E_FORMAT,
                  "attribute 'auto_pad'");
    if (upper || lower) {
        out = (in + stride - 1) / stride;
        int64_t total = (out - 1) * stride + reach - in;
        if (total < 0) total = 0;
        before = upper ? total / 2 : total - total / 2;
        after = total - before;
    } else {
        if (valid) before = after = 0;
        int64_t room = in + before + after - reach;
        VL_NN_FAIL_IF(room < 0, n, VELUM_E_FORMAT, "its kernel reaches over %lld, the padded input has %lld",
                      (long long)reach, (long long)(in + before + after));
        bool up = n->op != VL_NN_Conv && vl_nn_attr_int(n, "ceil_mode", 0) != 0;
        out = (up ? room + stride - 1 : room) / stride + 1;
        if (up && (out - 1) * stride >= in + before) out--; // would start behind the input
    }
    VL_NN_FAIL_IF(out < 1 || out > UINT32_MAX, n, VELUM_E_FORMAT, "gives no elements");
    w->kernel[slot] = (uint32_t)f->kernel[axis];
    w->stride[slot] = (uint32_t)stride;
    w->dilation[slot] = (uint32_t)f->dilation[axis];
    w->pad[slot] = (uint32_t)before;
    w->pad_end[slot] = (uint32_t)after;
    w->out[slot] = (uint32_t)out;
    return VELUM_OK;
}

static velum_status convolution(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_window *w, frame *f) {
    const vl_nn_tensor *x = in[0], *k = in[1], *b = n->in_count > 2 ? in[2] : NULL;
    VL_NN_FAIL_IF(k->batched || (b && b->batched), n, VELUM_E_UNSUPPORTED, "weights must be constants");
    VL_NN_FAIL_IF(k->rank != x->rank || k->count == 0, n, VELUM_E_FORMAT, "weights with %u axes for an input with %u",
                  k->rank, x->rank);
    int64_t groups = vl_nn_attr_int(n, "group", 1);
    w->channels_out = k->dim[0];
    VL_NN_FAIL_IF(groups < 1 || groups > w->channels_in || w->channels_in % groups || w->channels_out % groups ||
                      w->channels_in / groups != k->dim[1],
                  n, VELUM_E_FORMAT, "%u input channels, weights for %u, %u output channels in %lld groups",
                  w->channels_in, k->dim[1], w->channels_out, (long long)groups);
    w->groups = (uint32_t)groups;
    VL_NN_FAIL_IF(b && b->count != w->channels_out, n, VELUM_E_FORMAT, "%zu biases for %u channels", b->count,
                  w->channels_out);
    for (uint32_t i = 0; i < f->axes; i++) {
        int64_t given[2] = {k->dim[2], x->rank > 3 ? k->dim[3] : 1};
        VL_TRY(read_list(n, "kernel_shape", f->axes, 1, given));
        VL_NN_FAIL_IF(given[i] != k->dim[2 + i] || given[i] > EXTENT_MOST, n, VELUM_E_FORMAT,
                      "kernel_shape %lld, weights have %u", (long long)given[i], k->dim[2 + i]);
        f->kernel[i] = given[i];
    }
    w->weight = k->v;
    w->bias = b ? b->v : NULL;
    return VELUM_OK;
}

static velum_status pool(const vl_nn_node *n, vl_nn_window *w, frame *f) {
    w->channels_out = w->groups = w->channels_in;
    if (n->op == VL_NN_GlobalAveragePool) {
        uint32_t first = 2 - f->axes;
        for (uint32_t i = 0; i < f->axes; i++) f->kernel[i] = w->in[first + i];
        return VELUM_OK;
    }
    VL_NN_FAIL_IF(!vl_nn_find_attr(n, "kernel_shape"), n, VELUM_E_FORMAT, "no attribute 'kernel_shape'");
    VL_NN_FAIL_IF(n->op == VL_NN_MaxPool && n->out_count > 1 && n->out[1] != VL_NN_NONE, n, VELUM_E_UNSUPPORTED,
                  "its indices are used");
    w->counts_padding = vl_nn_attr_int(n, "count_include_pad", 0) != 0;
    return read_list(n, "kernel_shape", f->axes, 1, f->kernel);
}

velum_status vl_nn_window_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_window *w, vl_nn_tensor *out) {
    const vl_nn_tensor *x = in[0];
    VL_NN_FAIL_IF(x->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    VL_NN_FAIL_IF(x->rank > 4, n, VELUM_E_UNSUPPORTED, "over %u axes; one and two work", x->rank - 2);
    VL_NN_FAIL_IF(x->rank < 3 || x->count == 0, n, VELUM_E_FORMAT, "takes [batch, channels, ...], has %u axes",
                  x->rank);
    VL_NN_FAIL_IF(x->dim[0] != 1, n, VELUM_E_UNSUPPORTED, "the first axis must be the batch");
    *w = (vl_nn_window){.channels_in = x->dim[1], .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    frame f = {.axes = x->rank - 2, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    uint32_t first = 2 - f.axes; // one axis is the second of a picture of height 1
    w->in[0] = w->out[0] = 1;
    for (uint32_t i = 0; i < f.axes; i++) w->in[first + i] = x->dim[2 + i];
    VL_TRY(n->op == VL_NN_Conv ? convolution(n, in, w, &f) : pool(n, w, &f));
    if (n->op != VL_NN_GlobalAveragePool) {
        VL_TRY(read_list(n, "strides", f.axes, 1, f.stride));
        VL_TRY(read_list(n, "dilations", f.axes, 1, f.dilation));
        VL_TRY(read_list(n, "pads", 2 * f.axes, 0, f.pad));
    }
    for (uint32_t i = 0; i < f.axes; i++) VL_TRY(fit(n, &f, i, first + i, w));
    *out = (vl_nn_tensor){.rank = x->rank, .dim = {1, w->channels_out}, .batched = x->batched};
    for (uint32_t i = 0; i < f.axes; i++) out->dim[2 + i] = w->out[first + i];
    return vl_nn_set_count(n, out);
}
