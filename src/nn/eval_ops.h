// SPDX-License-Identifier: Apache-2.0
// The parts of vl_nn_eval_node, and shapes that they share with others. All inputs known.
#ifndef VELUM_NN_EVAL_OPS_H
#define VELUM_NN_EVAL_OPS_H

#include "nn/shape.h"

velum_status vl_nn_eval_scalar(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_window(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_norm(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_pad(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_labels(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_where(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_one_hot(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);
velum_status vl_nn_eval_fill(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                             vl_nn_tensor *out); // ConstantOfShape
velum_status vl_nn_eval_range(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);

// Where: output element i is element a[i] of input 1 or b[i] of input 2, as condition[i] of input 0 says.
velum_status vl_nn_where_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_pair *values,
                            uint32_t **condition);
velum_status vl_nn_one_hot_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out);

#endif
