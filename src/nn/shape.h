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
// The single axis of Softmax, ArgMax, Concat, ...
velum_status vl_nn_axis(const vl_nn_node *n, int64_t axis, uint32_t rank, uint32_t *out);
velum_status vl_nn_cast_to_integer(const vl_nn_node *n, bool *out);
// Bounds of Clip from attributes or constant inputs.
velum_status vl_nn_clip_bounds(const vl_nn_node *n, const vl_nn_tensor *const *in, double *lo, double *hi);

#endif
