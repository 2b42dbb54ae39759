// SPDX-License-Identifier: Apache-2.0
// Rewriting of the graph before it is lowered. A pass keeps the graph sound: every value is written once, before it is
// read. What nothing reads any more is removed at its end.
#ifndef VELUM_NN_PASSES_H
#define VELUM_NN_PASSES_H

#include "nn/activation.h"

typedef struct vl_nn_pass_report {
    uint32_t folded, fused, norms; // what each pass changed
} vl_nn_pass_report;

// Shapes of all values, nodes on known values computed (fold), activations recognised (fuse), batch normalisation moved
// into the layer before it (fold_bn). Every node that cannot be taken is named in one VELUM_E_UNSUPPORTED.
velum_status vl_nn_passes(vl_nn_graph *g, vl_nn_pass_report *report);
velum_status vl_nn_pass_fold(vl_nn_graph *g, uint32_t *changed);
// x sigmoid(a x) to Swish, x (1 + erf(x / sqrt 2)) / 2 and its tanh form to Gelu, x clip(x + 3, 0, 6) / 6 to HardSwish,
// clip(x + 3, 0, 6) / 6 to HardSigmoid, x tanh(softplus x) to Mish, Max and Min with one constant to Clip or Relu,
// PRelu with one slope to LeakyRelu, OneHot to a lookup in a constant table. Operands must be constants already (fold).
velum_status vl_nn_pass_fuse(vl_nn_graph *g, uint32_t *changed);
// BatchNormalization behind a Conv or Gemm that nothing else reads: its weights and bias are changed.
velum_status vl_nn_pass_fold_bn(vl_nn_graph *g, uint32_t *changed);

// Shapes of a node's outputs, without values. What the node may not do with such inputs is refused here.
velum_status vl_nn_infer_node(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                              vl_nn_tensor *out);
// Shapes by value for the whole graph; a constant's with its values.
velum_status vl_nn_infer(vl_nn_graph *g, vl_nn_tensor **out);

// ---- for passes ----
typedef struct vl_nn_uses {
    uint32_t *producer; // node by value; VL_NN_NONE for inputs and constants
    uint32_t *readers;  // by value; the graph's output counts as one
} vl_nn_uses;
velum_status vl_nn_uses_of(vl_nn_graph *g, vl_nn_uses *out);
velum_status vl_nn_new_value(vl_nn_graph *g, const char *name, uint32_t *out);
velum_status vl_nn_add_constant(vl_nn_graph *g, const char *name, const vl_nn_tensor *t, uint32_t *out);
velum_status vl_nn_sweep(vl_nn_graph *g);
// The constant if v is one, else NULL.
const vl_nn_tensor *vl_nn_known(const vl_nn_graph *g, uint32_t v);

#endif
