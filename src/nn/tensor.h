// SPDX-License-Identifier: Apache-2.0
#ifndef VELUM_NN_TENSOR_H
#define VELUM_NN_TENSOR_H

#include "nn/graph.h"
#include <onnx.pb-c.h>

// A constant of the file: sizes checked against dims, values converted to finite doubles. `what` is for messages.
velum_status vl_nn_tensor_load(vl_nn_heap *h, const Onnx__TensorProto *t, const char *what, vl_nn_tensor *out);
// Shape and type only; v stays NULL. VELUM_E_LIMIT beyond VL_NN_MAX_ELEMENTS or VL_NN_MAX_RANK.
velum_status vl_nn_tensor_shape(const char *what, uint32_t rank, const int64_t *dims, vl_nn_tensor *out);

#endif
