// SPDX-License-Identifier: Apache-2.0
// What operators do to shapes, as index maps: shared by the clear evaluator and by the lowering.
// In all of these `in[k]` is NULL for an omitted input, and parameters (axes, extents, indices) must be constants.
#ifndef VELUM_NN_SHAPE_H
#define VELUM_NN_SHAPE_H

#include "nn/graph.h"

typedef struct vl_nn_view { // a relabelling: output element i is element[i] of input source[i]
    vl_nn_tensor out;
    uint32_t *element;
    uint32_t *source; // NULL: all from the first
} vl_nn_view;
typedef struct vl_nn_pair { // output element i comes from a[i] and b[i]
    vl_nn_tensor out;
    uint32_t *a, *b;
} vl_nn_pair;
typedef struct vl_nn_product { // output element i is the sum over k < inner of A[a[i] + k step_a] B[b[i] + k step_b]
    vl_nn_tensor out;
    uint32_t inner, step_a, step_b;
    uint32_t *a, *b;
} vl_nn_product;
typedef struct vl_nn_reduction { // input element i counts towards output element target[i]
    vl_nn_tensor out;
    uint32_t *target;
    uint32_t group; // inputs an output
} vl_nn_reduction;

// Conv and the pools, where an element map would be as large as the work. A picture is [channels][in[0]][in[1]], one
// axis is [channels][1][in]. Output element (c, y, x) sums over the input channels of its group and the kernel:
//   bias[c] + sum weight[c][i][ky][kx] input(first(c) + i, y stride[0] + ky dilation[0] - pad[0], ...)
// with zeros outside. An average takes its own channel, with the same weight for each place.
typedef struct vl_nn_window {
    uint32_t channels_in, channels_out, groups;
    uint32_t kernel[2], stride[2], dilation[2], in[2], out[2];
    uint32_t pad[2], pad_end[2]; // before, after
    const double *weight;        // [channels_out][channels_in / groups][kernel[0]][kernel[1]]; NULL: a pool
    const double *bias;          // [channels_out]; NULL: none
    bool counts_padding;         // an average divides by padded places too
} vl_nn_window;
typedef struct vl_nn_tap {
    uint32_t element; // of the input
    double weight;
} vl_nn_tap;
// Conv, AveragePool, MaxPool, GlobalAveragePool; `out` is the result's shape. Conv's weights may be unknown (for shapes
// only): weight is NULL then.
velum_status vl_nn_window_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_window *w, vl_nn_tensor *out);
uint32_t vl_nn_window_most(const vl_nn_window *w); // taps of one output element at most
// The taps of output element i, by ascending input element; not for MaxPool. Returns how many.
uint32_t vl_nn_window_taps(const vl_nn_window *w, size_t i, vl_nn_tap *tap);
void vl_nn_window_run(const vl_nn_window *w, const double *x, double *y); // all output elements, by direct loops
void vl_nn_window_maximum(const vl_nn_window *w, const double *x, double *y);

// An affine map with few entries a row: y[i] = bias[i] + sum over start[i] <= k < start[i + 1] of val[k] x[col[k]].
typedef struct vl_nn_rows {
    vl_nn_tensor out;
    size_t *start; // out.count + 1
    uint32_t *col;
    double *val, *bias;
} vl_nn_rows;
// Conv, AveragePool, GlobalAveragePool, BatchNormalization, Pad: parameters must be constants.
bool vl_nn_has_rows(vl_nn_opcode op);
velum_status vl_nn_rows_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_rows *out);

typedef struct vl_nn_pad { // output index i along an axis is input index i - before[axis]
    vl_nn_tensor out;
    int64_t before[VL_NN_MAX_RANK];
    bool wrap; // modulo the input's extent; else `value` stands where there is no input
    double value;
} vl_nn_pad;
velum_status vl_nn_pad_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_pad *out);
// Sets *element to the input's element of output element i; false if that is padding.
bool vl_nn_pad_source(const vl_nn_pad *p, const vl_nn_tensor *in, size_t i, size_t *element);

// Per channel y = scale x + shift, from the parameters of inference.
velum_status vl_nn_norm_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, double **scale,
                           double **shift);
// LabelEncoder: keys ascending. Integer keys take integers only, float keys take x rounded to single precision.
typedef struct vl_nn_labels {
    uint32_t count;
    double *key, *value, otherwise;
    bool integer_keys, integer_values;
} vl_nn_labels;
velum_status vl_nn_labels_of(vl_nn_heap *h, const vl_nn_node *n, vl_nn_labels *out);
double vl_nn_label_at(const vl_nn_labels *l, double x);

// The element maps of Identity, Dropout, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Concat, Slice, Split, Gather
// with constant indices, Expand, and (type aside) Cast.
bool vl_nn_is_view(vl_nn_opcode op);
velum_status vl_nn_view_of(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                           uint32_t output, vl_nn_view *out);
velum_status vl_nn_broadcast(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                             vl_nn_pair *out);
velum_status vl_nn_product_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                              vl_nn_product *out); // MatMul, Gemm
velum_status vl_nn_reduction_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                                vl_nn_reduction *out);
// Gather out of a constant table by computed indices: for each output element the index element and the offset in a
// row.
velum_status vl_nn_lookup_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *table, const vl_nn_tensor *index,
                             vl_nn_pair *out); // a: index element, b: offset
// Sets the count from the extents: VELUM_E_LIMIT beyond VL_NN_MAX_ELEMENTS.
velum_status vl_nn_set_count(const vl_nn_node *n, vl_nn_tensor *t);
// The single axis of Softmax, ArgMax, Concat, ...
velum_status vl_nn_axis(const vl_nn_node *n, int64_t axis, uint32_t rank, uint32_t *out);
velum_status vl_nn_cast_to_integer(const vl_nn_node *n, bool *out);
// Bounds of Clip from attributes or constant inputs.
velum_status vl_nn_clip_bounds(const vl_nn_node *n, const vl_nn_tensor *const *in, double *lo, double *hi);

#endif
