// SPDX-License-Identifier: Apache-2.0
// Nodes on known values, in double precision.
#ifndef VELUM_NN_EVAL_H
#define VELUM_NN_EVAL_H

#include "nn/shape.h"

// All inputs known (Shape: only its shape). out[k] for each output that has a name.
velum_status vl_nn_eval_node(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                             vl_nn_tensor *out);
// Checks counts of inputs; gathers them from the tensors by value (NULL where omitted).
velum_status vl_nn_check_arity(const vl_nn_node *n);

#endif
