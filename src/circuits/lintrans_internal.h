// SPDX-License-Identifier: Apache-2.0
#ifndef VELUM_CIRCUITS_LINTRANS_INTERNAL_H
#define VELUM_CIRCUITS_LINTRANS_INTERNAL_H

#include "circuits/lintrans.h"

// Notation of lintrans.h: P positions, D diagonals, V the length of z that valid outputs need.
static inline uint32_t lt_positions(const vl_lintrans_shape *s) { return s->slots / s->lanes; }
static inline uint32_t lt_diagonals(const vl_lintrans_shape *s) {
    return s->period_in < s->period_out ? s->period_in : s->period_out;
}
// Diagonals of a copy: with one copy the last giant may have fewer than B.
static inline uint32_t lt_terms(const vl_lintrans_plan *p) {
    uint32_t all = p->babies * p->giants, diagonals = lt_diagonals(&p->shape);
    return all < diagonals ? all : diagonals;
}
static inline bool lt_cyclic(const vl_lintrans_plan *p) {
    return p->copies == 1 && p->shape.valid_in == lt_positions(&p->shape);
}
static inline uint32_t lt_needed(const vl_lintrans_plan *p) {
    return p->valid_out == lt_positions(&p->shape) ? p->valid_out : p->valid_out + (p->folds - 1) * p->shape.period_out;
}

// The coefficient of x[u + d] in z[u], 0 <= d < giants * babies, at position u: a weight's index, or -1 for zero.
static inline int64_t lt_weight_at(const vl_lintrans_plan *p, uint32_t u, uint32_t d) {
    const vl_lintrans_shape *s = &p->shape;
    uint32_t copy = 0, at = u;
    if (p->copies > 1) {
        copy = u / p->spacing;
        at = u % p->spacing;
        if (copy >= p->copies) return -1;
    }
    if (at >= lt_needed(p) || d >= lt_terms(p)) return -1;
    d += copy * p->giants * p->babies;
    uint32_t row = at & (s->period_out - 1), col = (at + d) & (s->period_in - 1);
    return row < s->rows && col < s->cols ? (int64_t)row * s->cols + col : -1;
}

// A matrix cut into outs x inputs blocks that share a plan: block (o, i) holds rows o P .. and columns i P .., P the
// positions. A single map is a grid of one.
typedef struct vl_lintrans_grid {
    const vl_lintrans_plan *plan;
    const double *weights; // rows x cols, row-major
    uint32_t rows, cols, inputs, outs;
    uint16_t level;
    double scale;
} vl_lintrans_grid;
// The diagonals of a grid: (outs x giants) rows of (inputs x babies), one block behind all of them.
typedef struct vl_lintrans_diagonals {
    vl_diag *diag;
    uint64_t *block;
    uint64_t bytes;
    uint32_t expanded;
} vl_lintrans_diagonals;
// v: scratch for `slots` values. On failure nothing is kept.
velum_status vl_lintrans_encode_grid(vl_exec *x, const vl_encoder *e, const vl_lintrans_grid *g, uint64_t budget,
                                     double *v, vl_lintrans_diagonals *out);

// The steps of the folds, in positions, in order; returns their count (at most 64).
uint32_t vl_lintrans_fold_steps(const vl_lintrans_plan *plan, uint32_t out[64]);

#endif
