// SPDX-License-Identifier: Apache-2.0
// Programs with bootstraps: for each named set that takes the vectors at hand, where to bootstrap and what it costs.
//
// Every value lies periodically over all slots, since a bootstrap needs that; so a linear map has one copy.
#include "nn/place.h"

#include <math.h>
#include <string.h>

typedef struct deep {
    vl_nn_heap *h;
    const vl_nn_plan *p;
    vl_nn_ring ring;
    uint32_t lanes, slots;
    vl_lintrans_plan *linear; // by operation of p
} deep;

static velum_status plan_linear(const deep *d, const vl_nn_op *op, uint16_t level, vl_lintrans_plan *out,
                                vl_lintrans_cost *cost) {
    vl_lintrans_shape shape = {.rows = op->rows,
                               .cols = op->cols,
                               .slots = d->slots,
                               .lanes = d->lanes,
                               .valid_in = d->slots / d->lanes,
                               .valid_need = d->slots / d->lanes,
                               .period_in = vl_nn_period(op->cols),
                               .period_out = vl_nn_period(op->rows)};
    vl_lintrans_prices prices = vl_nn_prices(&d->ring, level);
    return vl_lintrans_plan_best(&shape, &prices, out, cost);
}

static double price(const void *arg, const vl_nn_op *op, uint16_t level) {
    const deep *d = arg;
    switch (op->kind) {
    case VL_OP_LINTRANS: {
        vl_lintrans_prices prices = vl_nn_prices(&d->ring, level);
        return vl_lintrans_price(&d->linear[op - d->p->ops], &prices).seconds + vl_nn_cost_rescale(&d->ring, level);
    }
    case VL_OP_ADD: return vl_nn_cost_add(&d->ring, level);
    case VL_OP_MASK: return vl_nn_cost_mask(&d->ring, level);
    case VL_OP_POLY: {
        vl_poly_cost cost = vl_poly_plan(op->poly);
        return vl_nn_cost_poly(&d->ring, level, &cost);
    }
    case VL_OP_SIGN:
    case VL_OP_GATE: return vl_nn_cost_stages(&d->ring, level, op);
    default: return vl_nn_cost_multiply(&d->ring, level);
    }
}

// Every operation of the placed program: how it lies, its time, the memory of it all.
static velum_status pack(const deep *d, const vl_nn_plan *placed, const vl_bootstrap_plan *b, vl_nn_packing *k) {
    const uint64_t limb = (uint64_t)8 << d->ring.log_n;
    k->lanes = d->lanes;
    VL_NN_TAKE(d->h, k->valid, placed->value_count);
    VL_NN_TAKE(d->h, k->reach, placed->value_count);
    VL_NN_TAKE(d->h, k->plans, placed->op_count);
    VL_NN_TAKE(d->h, k->seconds, placed->op_count);
    for (uint32_t v = 0; v < placed->value_count; v++) {
        k->valid[v] = d->slots / d->lanes;
        k->reach[v] = placed->values[v].bound;
    }
    k->memory = b->matrix_bytes + b->scratch_bytes + 8 * 2 * b->out_level * limb;
    for (uint32_t i = 0; i < placed->op_count; i++) {
        const vl_nn_op *op = &placed->ops[i];
        if (op->kind == VL_OP_LINTRANS) {
            vl_lintrans_cost cost;
            VL_TRY(plan_linear(d, op, op->level, &k->plans[i], &cost));
            k->seconds[i] = cost.seconds + vl_nn_cost_rescale(&d->ring, op->level);
            k->memory += (uint64_t)cost.diagonals * (op->level + d->ring.special) * limb;
        } else if (op->kind == VL_OP_BOOTSTRAP) {
            k->seconds[i] = b->seconds;
        } else {
            k->seconds[i] = price(d, op, op->level);
        }
        if (op->kind == VL_OP_MASK) k->valid[op->dst] = vl_nn_period(placed->values[op->dst].dim);
        k->total += k->seconds[i];
    }
    return VELUM_OK;
}

static velum_status try_lanes(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, uint32_t lanes,
                              const vl_bootstrap_plan *b, const vl_params_literal *lit, vl_nn_choice *best,
                              vl_nn_choice *second, uint32_t *found) {
    const vl_bootstrap_params *set = &b->params;
    deep d = {.h = l->heap, .p = p, .lanes = lanes, .slots = 1u << (set->log_n - 1)};
    d.ring = (vl_nn_ring){.log_n = set->log_n, .special = set->special, .alpha = set->digit_limbs};
    for (uint32_t v = 0; v < p->value_count; v++)
        if ((uint64_t)vl_nn_period(p->values[v].dim) * lanes > d.slots) return VELUM_OK;
    if (1u << set->log_slots < lanes) return VELUM_OK;
    vl_nn_refresh refresh = {.in_level = b->in_level,
                             .out_level = b->out_level,
                             .seconds = b->seconds,
                             .period = (1u << set->log_slots) / lanes};
    vl_nn_pricing pricing = {price, &d};
    vl_nn_placement report;
    vl_nn_plan *placed;
    VL_NN_TAKE(l->heap, placed, 1);
    VL_NN_TAKE(l->heap, d.linear, p->op_count);
    for (uint32_t i = 0; i < p->op_count; i++) {
        vl_lintrans_cost cost;
        if (p->ops[i].kind == VL_OP_LINTRANS)
            VL_TRY(plan_linear(&d, &p->ops[i], (uint16_t)((refresh.in_level + refresh.out_level) / 2), &d.linear[i],
                               &cost));
    }
    velum_status status = vl_nn_place(l->heap, p, &refresh, &pricing, placed, &report);
    if (status == VELUM_E_LIMIT && !l->heap->over) return VELUM_OK; // too deep for this set: another may do
    VL_TRY(status);
    vl_nn_choice c = {.plan = placed, .ring = d.ring, .bootstrap = b, .literal = lit, .special_bits = 50};
    c.scale_bits = set->left_bits;
    c.base_bits = 50;
    VL_TRY(pack(&d, placed, b, &c.packing));
    if (c.packing.memory + b->key_bytes > goal->memory) return VELUM_OK;
    if (report.cut) VL_TRY(vl_nn_note(l, "placement: not all possibilities were looked at"));
    return vl_nn_offer(l->heap, &c, goal, best, second, found);
}

static velum_status try_set(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal,
                            const vl_bootstrap_params *set, vl_nn_choice *best, vl_nn_choice *second, uint32_t *found) {
    vl_bootstrap_plan *plan;
    vl_params_literal *lit;
    vl_params *params;
    VL_NN_TAKE(l->heap, plan, 1);
    VL_NN_TAKE(l->heap, lit, 1);
    VL_TRY(vl_bootstrap_literal(set, lit));
    VL_TRY(vl_params_new(lit, NULL, &params));
    velum_status status = vl_bootstrap_plan_make(set, params, plan);
    vl_params_free(params);
    VL_TRY(status);
    const uint32_t slots = 1u << (set->log_n - 1);
    uint32_t most = 1;
    while (most < goal->batch && most < slots) most *= 2;
    if (goal->target == VELUM_THROUGHPUT && goal->batch == 0) most = slots;
    for (uint32_t lanes = most; lanes >= 1; lanes /= 2) {
        VL_TRY(try_lanes(l, p, goal, lanes, plan, lit, best, second, found));
        if (goal->target == VELUM_LATENCY) break;
    }
    return VELUM_OK;
}

velum_status vl_nn_choose_deep(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                               vl_nn_choice *second, uint32_t *found) {
    for (const vl_bootstrap_params *set = vl_bootstrap_sets(); set->name; set++) {
        if (set->security_bits < goal->security || set->order != VL_SLOTS_FIRST) continue;
        VL_TRY(try_set(l, p, goal, set, best, second, found));
    }
    return VELUM_OK;
}
