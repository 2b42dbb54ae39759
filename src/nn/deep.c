// SPDX-License-Identifier: Apache-2.0
// Programs whose every value lies periodically over all slots: those with bootstraps, which need that, and leveled ones
// with polynomials or comparisons, which must not meet a slot beyond their range. A linear map has one copy here; it
// goes by the diagonals of its shape or by those that are not zero, whichever is cheaper.
#include "nn/place.h"

#include <math.h>
#include <string.h>

#define ALPHA_MOST 12
#define SCALE_LEAST 36
#define SCALE_MOST 42

typedef struct deep {
    vl_nn_heap *h;
    const vl_nn_plan *p;
    vl_nn_ring ring;
    uint32_t lanes, slots;
    double refresh; // seconds of a bootstrap
    vl_nn_map *map; // by operation of p
    double *bootstrap;
} deep;

static velum_status plan_dense(const deep *d, const vl_nn_op *op, const vl_lintrans_prices *prices, vl_nn_map *out) {
    vl_lintrans_shape shape = {.rows = op->rows,
                               .cols = op->cols,
                               .slots = d->slots,
                               .lanes = d->lanes,
                               .valid_in = d->slots / d->lanes,
                               .valid_need = d->slots / d->lanes,
                               .period_in = vl_nn_period(op->cols),
                               .period_out = vl_nn_period(op->rows)};
    return vl_lintrans_plan_best(&shape, prices, &out->plan, &out->cost);
}

static velum_status plan_sparse(const deep *d, const vl_nn_op *op, const vl_lintrans_prices *prices, vl_nn_map *out) {
    const vl_nn_sparse *m = op->m;
    const vl_matrix matrix = {m->rows, m->cols, (uint64_t *)m->start, m->col, m->val};
    const vl_sparsemap_shape shape = {vl_nn_period(op->cols), vl_nn_period(op->rows), d->lanes, d->slots};
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "model: a linear map");
    velum_status status = vl_sparsemap_plan_best(&matrix, &shape, prices, plan, &out->cost);
    out->sparse = true;
    out->step = (int32_t)plan->step;
    out->start = plan->start;
    vl_free(plan);
    return status;
}

static velum_status plan_map(const deep *d, const vl_nn_op *op, uint16_t level, vl_nn_map *out) {
    const vl_lintrans_prices prices = vl_nn_seen_prices(&d->ring, level);
    vl_nn_map dense = {0}, sparse = {0};
    velum_status full = op->weights ? plan_dense(d, op, &prices, &dense) : VELUM_E_LIMIT;
    velum_status some = op->m ? plan_sparse(d, op, &prices, &sparse) : VELUM_E_LIMIT;
    if (full != VELUM_OK && some != VELUM_OK) return op->m ? some : full;
    bool take_full = full == VELUM_OK && (some != VELUM_OK || dense.cost.seconds <= sparse.cost.seconds);
    *out = take_full ? dense : sparse;
    return VELUM_OK;
}

static double map_seconds(const deep *d, const vl_lintrans_cost *c, uint16_t level) {
    const vl_lintrans_prices p = vl_nn_prices(&d->ring, level);
    double division = (p.rotation - p.decompose - p.hoisted) / 2;
    return c->hoisted * p.hoisted + c->decompositions * p.decompose + c->mod_downs * division +
           c->products * p.product + c->rotations * p.rotation + vl_nn_cost_rescale(&d->ring, level);
}

static double price(const void *arg, const vl_nn_op *op, uint16_t level) {
    const deep *d = arg;
    switch (op->kind) {
    case VL_OP_LINTRANS: return map_seconds(d, &d->map[op - d->p->ops].cost, level);
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

// Every operation of the program with levels: how it lies, its time, the memory of it all.
static velum_status pack(deep *d, const vl_nn_plan *placed, const vl_bootstrap_plan *b, vl_nn_packing *k) {
    const uint64_t limb = (uint64_t)8 << d->ring.log_n;
    k->lanes = d->lanes;
    VL_NN_TAKE(d->h, k->valid, placed->value_count);
    VL_NN_TAKE(d->h, k->reach, placed->value_count);
    VL_NN_TAKE(d->h, k->maps, placed->op_count);
    VL_NN_TAKE(d->h, k->seconds, placed->op_count);
    for (uint32_t v = 0; v < placed->value_count; v++) {
        k->valid[v] = d->slots / d->lanes;
        k->reach[v] = placed->values[v].bound;
    }
    k->memory = 8 * 2 * (b ? b->out_level : placed->depth) * limb;
    if (b) k->memory += b->matrix_bytes + b->scratch_bytes;
    for (uint32_t i = 0; i < placed->op_count; i++) {
        const vl_nn_op *op = &placed->ops[i];
        if (op->kind == VL_OP_LINTRANS) {
            vl_nn_map *map = &k->maps[i];
            VL_TRY(plan_map(d, op, op->level, map));
            k->seconds[i] = map_seconds(d, &map->cost, op->level);
            // What does not fit is kept as coefficients: one limb a diagonal at least.
            uint64_t kept = map->sparse ? 1 : op->level + d->ring.special;
            uint64_t in = vl_nn_period(op->cols), out = vl_nn_period(op->rows),
                     period = (in > out ? in : out) * d->lanes;
            k->memory += (uint64_t)map->cost.diagonals * kept * limb * period / d->slots; // diagonals repeat
        } else if (op->kind == VL_OP_BOOTSTRAP) {
            k->seconds[i] = d->refresh;
        } else {
            k->seconds[i] = price(d, op, op->level);
        }
        if (op->kind == VL_OP_MASK) k->valid[op->dst] = vl_nn_period(placed->values[op->dst].dim);
        k->total += k->seconds[i];
    }
    return VELUM_OK;
}

static bool fits(const vl_nn_plan *p, uint32_t slots, uint32_t lanes) {
    for (uint32_t v = 0; v < p->value_count; v++)
        if ((uint64_t)vl_nn_period(p->values[v].dim) * lanes > slots) return false;
    return true;
}

// No value overflows the primes of its level.
static bool has_room(const vl_nn_plan *p, uint32_t scale_bits) {
    for (uint32_t v = 0; v < p->value_count; v++)
        if (log2(p->values[v].bound + 1) + scale_bits + 2 > 50 + (p->values[v].level - 1.0) * scale_bits) return false;
    return true;
}

static velum_status begin(vl_nn_lowered *l, const vl_nn_plan *p, vl_nn_ring ring, uint32_t lanes, uint16_t level,
                          deep *d) {
    *d = (deep){.h = l->heap, .p = p, .ring = ring, .lanes = lanes, .slots = 1u << (ring.log_n - 1)};
    VL_NN_TAKE(l->heap, d->map, p->op_count);
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == VL_OP_LINTRANS)
            VL_TRY(plan_map(d, &p->ops[i], level ? level : p->ops[i].level, &d->map[i]));
    return VELUM_OK;
}

// ---- with bootstraps ----

static velum_status try_lanes(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, uint32_t lanes,
                              const vl_bootstrap_plan *b, const vl_params_literal *lit, vl_nn_choice *best,
                              vl_nn_choice *second, uint32_t *found) {
    const vl_bootstrap_params *set = &b->params;
    const vl_nn_ring ring = {.log_n = set->log_n,
                             .special = set->special,
                             .alpha = set->digit_limbs,
                             .prices = goal->prices,
                             .thrift = goal->thrift};
    const double seconds = b->seconds * vl_prices_ratio(goal->prices ? goal->prices : vl_prices_builtin());
    if (!fits(p, 1u << (set->log_n - 1), lanes) || 1u << set->log_slots < lanes) return VELUM_OK;
    vl_nn_refresh refresh = {.in_level = b->in_level,
                             .out_level = b->out_level,
                             .seconds = seconds,
                             .period = (1u << set->log_slots) / lanes};
    deep d;
    vl_nn_pricing pricing = {price, &d};
    vl_nn_placement report;
    vl_nn_plan *placed;
    VL_NN_TAKE(l->heap, placed, 1);
    VL_TRY(begin(l, p, ring, lanes, (uint16_t)((refresh.in_level + refresh.out_level) / 2), &d));
    d.refresh = seconds;
    velum_status status = vl_nn_place(l->heap, p, &refresh, &pricing, placed, &report);
    if (status == VELUM_E_LIMIT && !l->heap->over) return VELUM_OK; // too deep for this set: another may do
    VL_TRY(status);
    vl_nn_choice c = {.plan = placed,
                      .ring = ring,
                      .scale_bits = set->left_bits,
                      .base_bits = 50,
                      .special_bits = 50,
                      .bootstrap = b,
                      .literal = lit};
    VL_TRY(pack(&d, placed, b, &c.packing));
    if (!has_room(placed, c.scale_bits)) return VELUM_OK;
    if (c.packing.memory + b->key_bytes > goal->memory) return VELUM_OK;
    if (report.cut) VL_TRY(vl_nn_note(l, "placement: not all possibilities were looked at"));
    return vl_nn_offer(l->heap, &c, goal, best, second, found);
}

static uint32_t lanes_wanted(const vl_nn_goal *goal, uint32_t slots) {
    uint32_t most = 1;
    while (most < goal->batch && most < slots) most *= 2;
    return goal->target == VELUM_THROUGHPUT && goal->batch == 0 ? slots : most;
}

static velum_status try_set(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal,
                            const vl_bootstrap_params *set, vl_nn_choice *best, vl_nn_choice *second, uint32_t *found) {
    vl_bootstrap_plan *plan;
    vl_params_literal *lit;
    vl_params *outline;
    VL_NN_TAKE(l->heap, plan, 1);
    VL_NN_TAKE(l->heap, lit, 1);
    VL_NN_TAKE(l->heap, outline, 1);
    VL_TRY(vl_bootstrap_literal(set, lit));
    vl_program_outline(lit, outline);
    VL_TRY(vl_bootstrap_plan_make(set, outline, plan));
    for (uint32_t lanes = lanes_wanted(goal, 1u << (set->log_n - 1)); lanes >= 1; lanes /= 2) {
        VL_TRY(try_lanes(l, p, goal, lanes, plan, lit, best, second, found));
        if (goal->target == VELUM_LATENCY) break;
    }
    return VELUM_OK;
}

// ---- without ----

static velum_status try_leveled(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_ring ring,
                                uint32_t lanes, vl_nn_choice *best, vl_nn_choice *second, uint32_t *found) {
    const double limit = vl_security_max_log_qp(ring.log_n, 0, goal->security);
    const double fixed = 50.5 + 50.0 * ring.special;
    uint32_t bits = SCALE_MOST;
    while (bits >= SCALE_LEAST && fixed + (p->depth - 1.0) * bits > limit) bits--;
    while (bits >= SCALE_LEAST && !has_room(p, bits)) bits--;
    if (bits < SCALE_LEAST || !fits(p, 1u << (ring.log_n - 1), lanes)) return VELUM_OK;
    deep d;
    VL_TRY(begin(l, p, ring, lanes, 0, &d));
    vl_nn_choice c = {.plan = p, .ring = ring, .scale_bits = bits, .base_bits = 50, .special_bits = 50};
    VL_TRY(pack(&d, p, NULL, &c.packing));
    if (c.packing.memory > goal->memory) return VELUM_OK;
    return vl_nn_offer(l->heap, &c, goal, best, second, found);
}

static velum_status leveled(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                            vl_nn_choice *second, uint32_t *found) {
    for (uint32_t log_n = 13; log_n <= 16; log_n++)
        for (uint32_t alpha = 1; alpha <= ALPHA_MOST && alpha <= p->depth; alpha++) {
            const vl_nn_ring ring = {
                .log_n = log_n, .special = alpha, .alpha = alpha, .prices = goal->prices, .thrift = goal->thrift};
            if (50.5 + 50.0 * alpha + (p->depth - 1.0) * SCALE_LEAST > vl_security_max_log_qp(log_n, 0, goal->security))
                continue;
            for (uint32_t lanes = lanes_wanted(goal, 1u << (log_n - 1)); lanes >= 1; lanes /= 2) {
                VL_TRY(try_leveled(l, p, goal, ring, lanes, best, second, found));
                if (goal->target == VELUM_LATENCY) break;
            }
        }
    return VELUM_OK;
}

velum_status vl_nn_choose_deep(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                               vl_nn_choice *second, uint32_t *found) {
    const bool known = *found > 0; // a way without bootstraps
    if (goal->set) return try_set(l, p, goal, goal->set, best, second, found);
    if (p->depth < VL_MAX_LIMBS - 1) VL_TRY(leveled(l, p, goal, best, second, found));
    for (const vl_bootstrap_params *set = vl_bootstrap_sets(); set->name && !known; set++) {
        if (set->security_bits < goal->security || set->order != VL_SLOTS_FIRST) continue;
        VL_TRY(try_set(l, p, goal, set, best, second, found));
    }
    return VELUM_OK;
}
