// SPDX-License-Identifier: Apache-2.0
// An encoded spread map.
#ifndef VELUM_CIRCUITS_SPREAD_INTERNAL_H
#define VELUM_CIRCUITS_SPREAD_INTERNAL_H

#include "circuits/spread.h"
#include "ring/subring.h"

#define VL_SPREAD_GROUP_ROWS 64
#define VL_SPREAD_MAX_ROW 4096        // copies in one output
#define VL_SPREAD_WEIGHT_LIMIT 0x1p50 // |coefficient| below it is rounded by an addition, see spread_apply.c

typedef struct vl_spread_turn { // a rotated copy
    uint32_t source, digits;    // `digits`: number of the source among those that are rotated
    uint64_t galois;
} vl_spread_turn;

// Outputs with the same rotated copies: those and the other copies that all of them have; or what an output has beside
// these, which is added. Columns: rotated copies first (`at` counts turns), then others (`at` counts sources).
typedef struct vl_spread_group {
    uint32_t rows, cols, turned;
    uint32_t first_row, first_col; // in row[], in at[]
    uint64_t first;                // rows x cols entries of value[] and through[]
    bool patterned, adds;
} vl_spread_group;

struct vl_spread_coded {
    const vl_spread *s;
    uint16_t level;
    vl_subring sub;
    uint32_t turns, turning; // rotated copies; sources that have any
    vl_spread_turn *turn;    // by (galois, source): a key's limb serves one after the other
    uint32_t *turner;        // the sources
    uint32_t groups, batches;
    vl_spread_group *group;
    uint32_t *batch; // batch b: groups batch[b] .. batch[b + 1], of at most VL_SPREAD_TABLE scalars, or one group
    uint64_t table;  // scalars of the largest batch
    uint32_t *row, *at;
    double *value;     // factor weight; an integer where there is no pattern
    uint32_t *through; // as in s
    double *pattern;   // patterns x period: coefficients 0 .. period - 1; the others follow, slots being real
    int64_t *bias;     // outputs x words; NULL: none
};

// Period of patterns and biases, as they are kept.
static inline uint32_t vl_spread_period(const vl_spread *s) {
    if (s->patterns == 0 && s->bias_period <= 1) return VL_SUBRING_MIN_PERIOD;
    return s->period > VL_SUBRING_MIN_PERIOD ? s->period : VL_SUBRING_MIN_PERIOD;
}
// Scalars of a group, for all its runs.
static inline uint64_t vl_spread_group_scalars(const vl_spread_group *g, uint32_t words) {
    return (uint64_t)g->rows * g->cols * (g->patterned ? words : 1);
}
// Order of rotated copies.
int vl_spread_turn_order(const void *a, const void *b);
// Makes group, batch, table, row, at, value and through of c, which has its turns.
velum_status vl_spread_make_groups(const vl_params *p, const double *factor, vl_spread_coded *c);
// Rotated copies and rotated sources.
void vl_spread_count_turns(const vl_spread *s, uint32_t *turns, uint32_t *turning);

#endif
