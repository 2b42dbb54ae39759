// SPDX-License-Identifier: Apache-2.0
// The linear map in the clear, slot for slot what the encrypted one computes.
#include "circuits/lintrans_internal.h"

#include <string.h>

// y[u] += sum over `count` terms of w[i] x[u + at + i], all lanes of one position
static void add_products(double *y, const double *x, const vl_lintrans_shape *s, const double *w, uint32_t at,
                         uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const double *from = x + (size_t)((at + i) & (lt_positions(s) - 1)) * s->lanes;
        for (uint32_t lane = 0; lane < s->lanes; lane++) y[lane] += w[i] * from[lane];
    }
}

static void products_at(const vl_lintrans_plan *plan, const double *weights, const double *x, uint32_t u, double *y) {
    const vl_lintrans_shape *s = &plan->shape;
    uint32_t terms = lt_terms(plan);
    for (uint32_t d = 0; d < terms;) { // runs of consecutive columns
        int64_t first = lt_weight_at(plan, u, d);
        uint32_t run = 1;
        if (first >= 0) {
            uint32_t left = s->cols - (uint32_t)(first % s->cols);
            run = left < terms - d ? left : terms - d;
            add_products(y, x, s, weights + first, u + d, run);
        }
        d += run;
    }
}

// y[t] += y[t + step] for all t at once, cyclic
static void fold(double *y, uint32_t slots, uint32_t step) {
    // Each cycle of t -> t + step is followed once, its first value kept.
    uint32_t cycles = step & (~step + 1); // the lowest set bit: slots is a power of two
    for (uint32_t c = 0; c < cycles; c++) {
        double first = y[c];
        uint32_t t = c, next = (t + step) & (slots - 1);
        for (; next != c; t = next, next = (t + step) & (slots - 1)) y[t] += y[next];
        y[t] += first;
    }
}

void vl_lintrans_clear_apply(const vl_lintrans_plan *plan, const double *weights, const double *bias, const double *x,
                             double *y) {
    const vl_lintrans_shape *s = &plan->shape;
    uint32_t positions = lt_positions(s), steps[64];
    memset(y, 0, s->slots * sizeof *y);
    for (uint32_t u = 0; u < positions; u++) products_at(plan, weights, x, u, y + (size_t)u * s->lanes);
    uint32_t folds = vl_lintrans_fold_steps(plan, steps);
    for (uint32_t i = 0; i < folds; i++) fold(y, s->slots, steps[i] * s->lanes);
    if (!bias) return;
    for (uint32_t u = 0; u < positions; u++) {
        uint32_t row = u & (s->period_out - 1);
        if (row >= s->rows) continue;
        for (uint32_t lane = 0; lane < s->lanes; lane++) y[(size_t)u * s->lanes + lane] += bias[row];
    }
}
