// SPDX-License-Identifier: Apache-2.0
// How values lie in the slots, and how each linear map is split.
//
// A linear map may work on several copies of its input at once if its input lies often enough over the slots; it then
// leaves fewer positions valid. What a value must be valid on follows from its readers and the number of copies (2^c)
// that each of them should be able to use; those exponents are searched, all together where there are few.
#include "nn/plan.h"
#include <math.h>
#include <string.h>

#define EXHAUSTIVE 3 // exponents that are tried in all combinations

uint32_t vl_nn_period(uint32_t dim) {
    uint32_t p = 1;
    while (p < dim) p *= 2;
    return p;
}

typedef struct search {
    const vl_nn_plan *p;
    const vl_nn_ring *r;
    uint32_t positions, lanes;
    uint32_t *need;    // by value
    uint8_t *exponent; // by operation
    vl_nn_packing now;
} search;

static uint32_t least_of(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void ask(search *s, uint32_t value, uint64_t positions) {
    uint32_t want = positions > s->positions ? s->positions : (uint32_t)positions;
    if (s->need[value] < want) s->need[value] = want;
}

static void set_needs(search *s) {
    const vl_nn_plan *p = s->p;
    for (uint32_t v = 0; v < p->value_count; v++) s->need[v] = vl_nn_period(p->values[v].dim);
    for (uint32_t i = p->op_count; i-- > 0;) {
        const vl_nn_op *op = &p->ops[i];
        if (op->kind == VL_OP_LINTRANS) {
            uint64_t in = vl_nn_period(op->cols), out = vl_nn_period(op->rows), d = in < out ? in : out;
            uint64_t folds = in > out ? in / out : 1, copies = 1ull << s->exponent[i];
            ask(s, op->src[0], copies * (s->need[op->dst] + (folds - 1) * out + d / copies));
            continue;
        }
        for (uint32_t k = 0; op->kind != VL_OP_MASK && k < vl_op_inputs(op->kind); k++)
            ask(s, op->src[k], s->need[op->dst]);
    }
}

static velum_status pack_op(search *s, uint32_t i) {
    const vl_nn_op *op = &s->p->ops[i];
    vl_nn_packing *now = &s->now;
    uint32_t *valid = &now->valid[op->dst];
    uint64_t limb = (uint64_t)8 << s->r->log_n;
    if (op->kind == VL_OP_LINTRANS) {
        vl_lintrans_shape shape = {.rows = op->rows,
                                   .cols = op->cols,
                                   .slots = s->positions * s->lanes,
                                   .lanes = s->lanes,
                                   .valid_in = now->valid[op->src[0]],
                                   .valid_need = s->need[op->dst],
                                   .period_in = vl_nn_period(op->cols),
                                   .period_out = vl_nn_period(op->rows)};
        vl_lintrans_prices prices = vl_nn_prices(s->r, op->level);
        vl_nn_map *map = &now->maps[i];
        VL_TRY(vl_lintrans_plan_best(&shape, &prices, &map->plan, &map->cost));
        *valid = map->plan.valid_out;
        now->seconds[i] = map->cost.seconds + vl_nn_cost_rescale(s->r, op->level);
        now->memory += map->cost.diagonals * (op->level + s->r->special) * limb;
        double most = 0;
        for (uint32_t k = 0; op->bias && k < op->rows; k++) most = fmax(most, fabs(op->bias[k]));
        now->reach[op->dst] = map->plan.copies * op->row_sum * now->reach[op->src[0]] + most;
        return VELUM_OK;
    }
    *valid = now->valid[op->src[0]];
    double reach = now->reach[op->src[0]], other = reach;
    if (vl_op_inputs(op->kind) == 2) {
        *valid = least_of(*valid, now->valid[op->src[1]]);
        other = now->reach[op->src[1]];
    }
    if (op->kind == VL_OP_ADD) {
        now->seconds[i] = vl_nn_cost_add(s->r, op->level);
        now->reach[op->dst] = reach + other;
    } else if (op->kind == VL_OP_MASK) {
        *valid = vl_nn_period(s->p->values[op->dst].dim);
        now->seconds[i] = vl_nn_cost_mask(s->r, op->level);
        now->memory += op->level * limb;
        now->reach[op->dst] = s->p->values[op->dst].bound;
    } else {
        now->seconds[i] = vl_nn_cost_multiply(s->r, op->level);
        now->reach[op->dst] = reach * other;
    }
    return VELUM_OK;
}

// The whole program under the exponents at hand; infinite where it does not fit.
static double evaluate(search *s) {
    set_needs(s);
    s->now.total = 0;
    s->now.memory = 2 * (uint64_t)s->p->depth * 4 * ((uint64_t)8 << s->r->log_n);
    s->now.valid[0] = s->positions;
    s->now.reach[0] = s->p->values[0].bound;
    for (uint32_t i = 0; i < s->p->op_count; i++) {
        if (pack_op(s, i) != VELUM_OK) return INFINITY;
        const vl_nn_op *op = &s->p->ops[i];
        const vl_nn_value *d = &s->p->values[op->dst];
        if (s->now.reach[op->dst] < d->bound) s->now.reach[op->dst] = d->bound;
        // Slots outside the valid ones must not overflow either: 2^(50 + 36 (level - 1)) is the least room there is.
        if (d->level > 1 && log2(s->now.reach[op->dst] + 1) + 47 > 50 + 36.0 * (d->level - 1)) return INFINITY;
        s->now.total += s->now.seconds[i];
    }
    return s->now.total;
}

static velum_status pack_spread(search *s, vl_nn_packing *out) {
    const vl_nn_plan *p = s->p;
    vl_nn_packing *now = &s->now;
    uint64_t limb = (uint64_t)8 << s->r->log_n, live = 0;
    for (uint32_t v = 0; v < p->value_count; v++) {
        now->valid[v] = 1;
        now->reach[v] = p->values[v].bound;
        live += 2 * (uint64_t)p->values[v].dim * (p->values[v].level + 1u) * limb;
    }
    now->memory = live; // an upper bound: values are released after their last use
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        uint32_t dim = p->values[op->dst].dim;
        if (op->kind == VL_OP_LINTRANS)
            now->seconds[i] = vl_nn_cost_mix(s->r, op->level, op->rows, op->nonzero);
        else if (op->kind == VL_OP_ADD)
            now->seconds[i] = dim * vl_nn_cost_add(s->r, op->level);
        else
            now->seconds[i] = dim * vl_nn_cost_multiply(s->r, op->level);
        now->total += now->seconds[i];
    }
    *out = *now;
    return VELUM_OK;
}

static velum_status take_packing(vl_nn_heap *h, const vl_nn_plan *p, uint32_t lanes, vl_nn_packing *out) {
    out->lanes = lanes;
    VL_NN_TAKE(h, out->valid, p->value_count);
    VL_NN_TAKE(h, out->reach, p->value_count);
    VL_NN_TAKE(h, out->maps, p->op_count);
    VL_NN_TAKE(h, out->seconds, p->op_count);
    return VELUM_OK;
}

static void search_exponents(search *s, const uint32_t *free, uint32_t count, uint8_t *best_exponent, double *best) {
    uint32_t most = 0;
    while (2u << most <= s->positions) most++;
    if (count <= EXHAUSTIVE) {
        uint32_t all = 1;
        for (uint32_t k = 0; k < count; k++) all *= most + 1;
        for (uint32_t t = 0; t < all; t++) {
            for (uint32_t k = 0, left = t; k < count; k++, left /= most + 1)
                s->exponent[free[k]] = (uint8_t)(left % (most + 1));
            double cost = evaluate(s);
            if (cost < *best) {
                *best = cost;
                memcpy(best_exponent, s->exponent, s->p->op_count);
            }
        }
        return;
    }
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t k = count; k-- > 0;) {
            memcpy(s->exponent, best_exponent, s->p->op_count);
            for (uint32_t e = 0; e <= most; e++) {
                s->exponent[free[k]] = (uint8_t)e;
                double cost = evaluate(s);
                if (cost >= *best) continue;
                *best = cost;
                best_exponent[free[k]] = (uint8_t)e;
            }
        }
}

velum_status vl_nn_pack(vl_nn_heap *h, const vl_nn_plan *p, const vl_nn_ring *r, uint32_t lanes, vl_nn_packing *out) {
    uint32_t slots = 1u << (r->log_n - 1), *free, count = 0;
    search s = {.p = p, .r = r, .lanes = lanes, .positions = slots / lanes};
    VL_TRY(take_packing(h, p, lanes, &s.now));
    if (!p->packed) return pack_spread(&s, out);
    for (uint32_t v = 0; v < p->value_count; v++)
        VL_FAIL_IF(vl_nn_period(p->values[v].dim) > s.positions, VELUM_E_LIMIT,
                   "%u features of %u requests in %u slots", p->values[v].dim, lanes, slots);
    uint8_t *best_exponent;
    VL_NN_TAKE(h, s.need, p->value_count);
    VL_NN_TAKE(h, s.exponent, p->op_count);
    VL_NN_TAKE(h, best_exponent, p->op_count);
    VL_NN_TAKE(h, free, p->op_count);
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == VL_OP_LINTRANS && p->ops[i].src[0] != 0) free[count++] = i;
    double best = evaluate(&s);
    search_exponents(&s, free, count, best_exponent, &best);
    VL_FAIL_IF(!isfinite(best), VELUM_E_LIMIT, "%u requests do not fit %u slots", lanes, slots);
    memcpy(s.exponent, best_exponent, p->op_count);
    evaluate(&s);
    *out = s.now;
    return VELUM_OK;
}
