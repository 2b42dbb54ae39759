// SPDX-License-Identifier: Apache-2.0
// What the client does before encryption: steps on single numbers, with the range of each.
#ifndef VELUM_NN_PROLOGUE_H
#define VELUM_NN_PROLOGUE_H

#include "nn/shape.h"
#include "program/manifest.h"

typedef struct vl_nn_step {
    vl_step s;     // its tables lie in the heap
    double lo, hi; // range of the result
    bool integer;
    bool whole; // DIV: stands for a division that truncates: only right for a numerator that is not negative
} vl_nn_step;

typedef struct vl_nn_group { // features made from one step: one number, or its one-hot vector
    uint32_t step, depth, first;
    vl_range covered; // of a number: what calibration saw, with a margin
} vl_nn_group;

typedef struct vl_nn_prologue {
    vl_nn_heap *heap;
    uint32_t input_count, step_count, step_room, group_count, group_room, columns;
    uint32_t map_keys; // of all maps
    vl_input *inputs;  // text and values in the heap
    bool *integer;     // by input: its steps take integers only
    vl_nn_step *steps;
    vl_nn_group *groups;
    vl_range *seen; // by input, of calibration rows; NULL without
} vl_nn_prologue;

// What calibration saw is widened by this: other requests go further.
#define VL_NN_MARGIN 2.0

// Inputs with their metadata.
velum_status vl_nn_prologue_init(vl_nn_heap *h, const vl_nn_graph *g, vl_nn_prologue *p);
velum_status vl_nn_step_input(vl_nn_prologue *p, uint32_t input, bool integer, uint32_t *out);
velum_status vl_nn_step_affine(vl_nn_prologue *p, uint32_t src, double a, double b, uint32_t *out);
velum_status vl_nn_step_clip(vl_nn_prologue *p, uint32_t src, double a, double b, uint32_t *out);
velum_status vl_nn_step_trunc(vl_nn_prologue *p, uint32_t src, bool floors, uint32_t *out);
velum_status vl_nn_step_table(vl_nn_prologue *p, uint32_t src, const double *table, uint32_t count, uint32_t *out);
velum_status vl_nn_step_div(vl_nn_prologue *p, uint32_t src, double a, bool whole, uint32_t *out); // integers
velum_status vl_nn_step_mod(vl_nn_prologue *p, uint32_t src, double a, bool whole, uint32_t *out);
velum_status vl_nn_step_map(vl_nn_prologue *p, uint32_t src, const vl_nn_labels *l, uint32_t *out);
velum_status vl_nn_step_equal(vl_nn_prologue *p, uint32_t src, double a, uint32_t *out);
velum_status vl_nn_step_function(vl_nn_prologue *p, uint32_t src, vl_step_kind kind, uint32_t *out); // LOG, EXP, ...
void vl_nn_step_range(const vl_nn_prologue *p, vl_nn_step *s); // from its source's range
// First column of the features for a step.
velum_status vl_nn_prologue_feature(vl_nn_prologue *p, uint32_t step, uint32_t depth, uint32_t *first);
// The same number once more, in a column of its own.
velum_status vl_nn_prologue_again(vl_nn_prologue *p, uint32_t step, uint32_t *column);
// Finds the accepted values of inputs that have no metadata and only integer uses (*changed if there are any; an input
// of a map takes every integer that is exact), then
// recomputes all ranges of steps, then refuses what is not sound: a truncating division of negative numbers, a table
// index that cannot be right.
velum_status vl_nn_prologue_close(vl_nn_prologue *p, bool *changed);
// In the clear, for one request: features[columns].
velum_status vl_nn_prologue_run(const vl_nn_prologue *p, uint64_t row, const double *raw, double *features);
// Into the manifest: inputs, the steps that are used, features. Everything allocated with vl_alloc.
velum_status vl_nn_prologue_emit(const vl_nn_prologue *p, vl_manifest *m);

#endif
