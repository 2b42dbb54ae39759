// SPDX-License-Identifier: Apache-2.0
// Where a program bootstraps, and the level of every operation.
//
// A shortest path: the operations in their order, a state being the levels of the values that are still needed. From a
// state every source of the next operation may be bootstrapped or not, and the operation may start at any level that
// its sources reach (dropping limbs is free, and what runs lower costs less). Of states with the same levels the
// cheapest is kept. A chain has one value alive and a residual network two or three, so this is exact for both; the
// number of states has a ceiling, and where it bites the cheapest are kept and the report says so.
//
// A relu (GATE) is one step of that path with a small path of its own inside: its stages in order, a bootstrap before
// any but the first, the level of each.
#ifndef VELUM_NN_PLACE_H
#define VELUM_NN_PLACE_H

#include "nn/plan.h"

#define VL_NN_PLACE_LEVELS 32 // levels are below it
#define VL_NN_PLACE_LIVE 12   // values needed at the same time

typedef struct vl_nn_refresh {    // what a bootstrap does
    uint16_t in_level, out_level; // needs at least the one, gives the other
    uint32_t period;              // the longest vector that it takes; 0: any
    double seconds;
} vl_nn_refresh;

typedef struct vl_nn_pricing { // seconds of an operation that starts at this level; SIGN and GATE: of their stages
    double (*op)(const void *arg, const vl_nn_op *op, uint16_t level);
    const void *arg;
} vl_nn_pricing;

typedef struct vl_nn_placement {
    uint32_t bootstraps;
    double seconds; // of all operations, bootstraps included
    bool cut;       // states were dropped: it may not be the best
} vl_nn_placement;

// in: operations without levels, each relu a single GATE of its source. out: with levels, BOOTSTRAP operations and the
// relus' stages. Everything that is bootstrapped or enters a relu comes at scale Delta / scale_bound of the operation
// that makes it, scale_bound at least its bound; all else has scale_bound 1. VELUM_E_LIMIT if there is no way, naming
// the operation at which it ends, or if too many values are alive.
velum_status vl_nn_place(vl_nn_heap *h, const vl_nn_plan *in, const vl_nn_refresh *refresh,
                         const vl_nn_pricing *pricing, vl_nn_plan *out, vl_nn_placement *report);

// ---- a relu by itself (gate.c) ----
typedef struct vl_nn_gate_step { // a stage of the composite
    bool refreshed;              // its input is bootstrapped first
    uint16_t level;              // at which it starts
} vl_nn_gate_step;
typedef struct vl_nn_gate {             // the cheapest ways from x at one level to each level of the result
    double seconds[VL_NN_PLACE_LEVELS]; // by level of the result; infinite if it cannot be
    uint32_t bootstraps[VL_NN_PLACE_LEVELS];
    vl_nn_gate_step step[VL_NN_PLACE_LEVELS][VL_MINIMAX_MAX_STAGES];
} vl_nn_gate;
void vl_nn_gate_paths(const vl_nn_op *op, uint16_t level, const vl_nn_refresh *refresh, const vl_nn_pricing *pricing,
                      vl_nn_gate *out);
uint32_t vl_nn_stage_levels(const vl_compare *f, uint32_t stage, bool times); // times: with the product in it

#endif
