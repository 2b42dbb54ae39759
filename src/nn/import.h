// SPDX-License-Identifier: Apache-2.0
// What the parts of the importer share.
#ifndef VELUM_NN_IMPORT_H
#define VELUM_NN_IMPORT_H

#include "nn/graph.h"
#include <onnx.pb-c.h>

typedef struct vl_nn_names { // open addressing; values are indices
    uint32_t *slot;
    uint32_t mask;
} vl_nn_names;

typedef struct vl_nn_importer {
    vl_nn_graph *g;
    vl_nn_names table;
    bool *written;      // by value
    uint32_t *producer; // node by value; VL_NN_NONE for inputs and constants
    vl_nn_problems problems;
} vl_nn_importer;

// The value of that name, made where it is new; VL_NN_NONE for "".
velum_status vl_nn_value_of(vl_nn_importer *im, const char *name, uint32_t *out);
uint32_t vl_nn_find_value(const vl_nn_importer *im, const char *name); // VL_NN_NONE if there is none
velum_status vl_nn_load_attr(vl_nn_heap *h, const vl_nn_node *n, const Onnx__AttributeProto *p, vl_nn_attr *a);
// A Loop, its inputs and outputs loaded: the one that PyTorch writes for nn.EmbeddingBag becomes a few nodes, appended
// to the graph; any other is refused.
#define VL_NN_BAG_NODES 3
#define VL_NN_BAG_VALUES 4
velum_status vl_nn_import_bag(vl_nn_importer *im, const Onnx__NodeProto *p, const vl_nn_node *loop);

#endif
