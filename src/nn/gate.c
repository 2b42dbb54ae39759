// SPDX-License-Identifier: Apache-2.0
#include "nn/place.h"

#include <math.h>
#include <string.h>

#define LEVELS VL_NN_PLACE_LEVELS

uint32_t vl_nn_stage_levels(const vl_compare *f, uint32_t stage, bool times) {
    double c[VL_MINIMAX_MAX_DEGREE + 1];
    vl_polynomial p;
    vl_minimax_polynomial(f->minimax, stage, 0.5, 0.5, c, &p);
    return times ? vl_poly_plan_times(&p).levels : vl_poly_plan(&p).levels;
}

typedef struct node { // the variable of a stage at some level
    double seconds;
    uint32_t bootstraps;
    vl_nn_gate_step step[VL_MINIMAX_MAX_STAGES];
} node;

// to = the better of to and from, `extra` seconds later.
static bool improve(node *to, const node *from, double extra) {
    double seconds = from->seconds + extra;
    if (!(seconds < to->seconds)) return false;
    *to = *from;
    to->seconds = seconds;
    return true;
}

static void clear(node *row) {
    memset(row, 0, LEVELS * sizeof *row);
    for (uint32_t l = 0; l < LEVELS; l++) row[l].seconds = INFINITY;
}

// Before stage i: perhaps a bootstrap, then whatever lower level.
static void settle(node *row, uint32_t i, const vl_nn_refresh *refresh) {
    if (i > 0)
        for (uint32_t l = refresh->in_level; l < refresh->out_level; l++) {
            node *to = &row[refresh->out_level];
            if (!improve(to, &row[l], refresh->seconds)) continue;
            to->step[i].refreshed = true;
            to->bootstraps++;
        }
    for (uint32_t l = LEVELS - 1; l > 1; l--) improve(&row[l - 1], &row[l], 0);
}

static void finish(const vl_nn_op *op, uint32_t last, uint16_t a_level, const node *row, const vl_nn_pricing *pricing,
                   vl_nn_gate *out) {
    const vl_compare *f = op->compare;
    const uint32_t times = vl_nn_stage_levels(f, last, true), plain = vl_nn_stage_levels(f, last, false);
    for (uint32_t l = 2; l < LEVELS; l++) {
        if (!isfinite(row[l].seconds)) continue;
        int result = (int)(l - times);
        if (a_level < l) result = ((int)(l - plain) < a_level ? (int)(l - plain) : a_level) - 1;
        if (result < 1) continue;
        vl_nn_op stage = *op;
        stage.kind = VL_OP_GATE;
        stage.first = last;
        stage.count = 1;
        double seconds = row[l].seconds + pricing->op(pricing->arg, &stage, (uint16_t)l);
        if (!(seconds < out->seconds[result])) continue;
        out->seconds[result] = seconds;
        out->bootstraps[result] = row[l].bootstraps;
        memcpy(out->step[result], row[l].step, sizeof row[l].step);
        out->step[result][last].level = (uint16_t)l;
    }
}

void vl_nn_gate_paths(const vl_nn_op *op, uint16_t level, const vl_nn_refresh *refresh, const vl_nn_pricing *pricing,
                      vl_nn_gate *out) {
    const uint32_t count = op->compare->minimax->count;
    node row[LEVELS], next[LEVELS];
    for (uint32_t l = 0; l < LEVELS; l++) out->seconds[l] = INFINITY;
    clear(row);
    row[level] = (node){0};
    for (uint32_t i = 0; i < count; i++) {
        settle(row, i, refresh);
        if (i + 1 == count) {
            finish(op, i, level, row, pricing, out);
            return;
        }
        const uint32_t used = vl_nn_stage_levels(op->compare, i, false);
        clear(next);
        for (uint32_t l = used + 1; l < LEVELS; l++) {
            vl_nn_op stage = *op;
            stage.kind = VL_OP_SIGN;
            stage.first = i;
            stage.count = 1;
            if (!isfinite(row[l].seconds)) continue;
            row[l].step[i].level = (uint16_t)l;
            improve(&next[l - used], &row[l], pricing->op(pricing->arg, &stage, (uint16_t)l));
        }
        memcpy(row, next, sizeof row);
    }
}
