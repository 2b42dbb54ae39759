// SPDX-License-Identifier: Apache-2.0
// The model's own values at the places where a program's operations stand for them.
#ifndef VELUM_NN_ORIGINS_H
#define VELUM_NN_ORIGINS_H

#include "nn/graph.h"
#include <velum/velum.h>

// All values of the graph for a row, by number; those of the file keep their numbers through all passes.
typedef void (*vl_nn_values_fn)(void *user, uint64_t row, const vl_nn_tensor *value);
// The graph's output for each row; each may be NULL.
velum_status vl_nn_evaluate_values(vl_nn_graph *g, const velum_table *in, vl_nn_values_fn each, void *user,
                                   velum_table *out);

#endif
