// SPDX-License-Identifier: Apache-2.0
#include "circuits/blockmat.h"

#include "circuits/bsgs.h"
#include "circuits/lintrans_internal.h"

#include <assert.h>

// ---- plan ----

static uint32_t power_above(uint32_t v) {
    uint32_t p = 1;
    while (p < v) p *= 2;
    return p;
}

// Counts ciphertexts and finds the shape of a block.
static velum_status cut(const vl_blockmat_shape *s, vl_blockmat_plan *plan, vl_lintrans_shape *block) {
    VL_FAIL_IF(s->rows == 0 || s->cols == 0 || s->lanes == 0 || s->slots == 0 || s->slots % s->lanes != 0,
               VELUM_E_FORMAT, "block matrix: %u x %u on %u slots of %u lanes", s->rows, s->cols, s->slots, s->lanes);
    const uint32_t positions = s->slots / s->lanes;
    const uint64_t inputs = ((uint64_t)s->cols + positions - 1) / positions;
    const uint64_t outs = ((uint64_t)s->rows + positions - 1) / positions;
    VL_FAIL_IF(inputs > VL_BLOCKMAT_MAX || outs > VL_BLOCKMAT_MAX, VELUM_E_LIMIT,
               "block matrix: %u x %u takes more than %d ciphertexts of %u positions", s->rows, s->cols,
               VL_BLOCKMAT_MAX, positions);
    *plan = (vl_blockmat_plan){s->rows, s->cols, (uint32_t)inputs, (uint32_t)outs, .block = {.babies = 0}};
    *block = (vl_lintrans_shape){.rows = s->rows < positions ? s->rows : positions,
                                 .cols = s->cols < positions ? s->cols : positions,
                                 .slots = s->slots,
                                 .lanes = s->lanes,
                                 .valid_in = positions,
                                 .valid_need = positions};
    block->period_in = s->period_in ? s->period_in : power_above(block->cols);
    block->period_out = s->period_out ? s->period_out : power_above(block->rows);
    VL_FAIL_IF((inputs > 1 && block->period_in != positions) || (outs > 1 && block->period_out != positions),
               VELUM_E_FORMAT, "block matrix: a side of several ciphertexts has period %u", positions);
    return vl_lintrans_shape_check(block);
}

velum_status vl_blockmat_plan_split(const vl_blockmat_shape *shape, uint32_t babies, uint32_t giants,
                                    vl_blockmat_plan *plan) {
    vl_lintrans_shape block;
    vl_blockmat_plan made;
    VL_TRY(cut(shape, &made, &block));
    VL_TRY(vl_lintrans_plan_split(&block, babies, giants, 1, &made.block));
    *plan = made;
    return VELUM_OK;
}

vl_lintrans_cost vl_blockmat_price(const vl_blockmat_plan *plan, const vl_lintrans_prices *prices) {
    const uint32_t b = plan->block.babies, r = plan->block.giants, inputs = plan->inputs, outs = plan->outs;
    uint32_t steps[64];
    const uint32_t products = inputs * outs * lt_terms(&plan->block);
    vl_lintrans_cost cost = {.products = products, .diagonals = products};
    cost.rotations = outs * vl_lintrans_fold_steps(&plan->block, steps);
    cost.hoisted = inputs * (b - 1) + outs * (r - 1);
    cost.decompositions = inputs * (b > 1) + outs * (r - 1);
    cost.mod_downs = b * r == 1 ? 0 : outs * (2 + (b > 1 ? r - 1 : 0));
    double mod_down = (prices->rotation - prices->decompose - prices->hoisted) / 2;
    cost.seconds = cost.rotations * prices->rotation + cost.hoisted * prices->hoisted +
                   cost.products * prices->product + cost.decompositions * prices->decompose +
                   (mod_down > 0 ? cost.mod_downs * mod_down : 0);
    return cost;
}

velum_status vl_blockmat_plan_best(const vl_blockmat_shape *shape, const vl_lintrans_prices *prices,
                                   vl_blockmat_plan *plan, vl_lintrans_cost *cost) {
    vl_lintrans_shape block;
    vl_blockmat_plan made, best = {0};
    vl_lintrans_cost best_cost = {0};
    VL_TRY(cut(shape, &made, &block));
    if (made.inputs == 1 && made.outs == 1) {
        block.valid_need = block.rows;
        VL_TRY(vl_lintrans_plan_best(&block, prices, &made.block, cost));
        *plan = made;
        return VELUM_OK;
    }
    const uint32_t diagonals = lt_diagonals(&block);
    for (uint32_t giants = 1; giants <= diagonals; giants++) {
        const uint32_t babies = (diagonals + giants - 1) / giants;
        if ((diagonals + babies - 1) / babies != giants) continue;
        if (vl_lintrans_plan_split(&block, babies, giants, 1, &made.block) != VELUM_OK) continue;
        vl_lintrans_cost c = vl_blockmat_price(&made, prices);
        if (best.rows && !(c.seconds < best_cost.seconds)) continue;
        best = made;
        best_cost = c;
    }
    VL_FAIL_IF(!best.rows, VELUM_E_LIMIT, "block matrix: no split of %u diagonals", diagonals);
    *plan = best;
    if (cost) *cost = best_cost;
    return VELUM_OK;
}

uint32_t vl_blockmat_key_requests(const vl_blockmat_plan *plan, const vl_params *p, uint16_t level,
                                  vl_key_request *out) {
    return vl_lintrans_key_requests(&plan->block, p, level, out);
}

// ---- encoding ----

static velum_status encode_bias(vl_exec *x, const vl_encoder *e, const double *bias, uint32_t o, double out_scale,
                                double *v, vl_blockmat *bm) {
    const vl_lintrans_shape *s = &bm->plan.block.shape;
    const size_t first = (size_t)o * lt_positions(s);
    for (uint32_t i = 0; i < s->period_out * s->lanes; i++) {
        size_t row = first + i / s->lanes;
        v[i] = row < bm->plan.rows ? bias[row] : 0;
    }
    const vl_ring *ring = &vl_encoder_params(e)->ring;
    VL_TRY(vl_poly_new(ring, bm->level - 1u, 0, &bm->bias[o]));
    bm->bytes += vl_poly_bytes(ring, bm->level - 1u, 0);
    return vl_encode_real(x, e, v, s->period_out * s->lanes, out_scale, bm->bias[o]);
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const double *weights, const double *bias,
                               double out_scale, uint64_t budget, double *v, vl_blockmat *bm) {
    const vl_blockmat_plan *plan = &bm->plan;
    const vl_lintrans_grid grid = {&plan->block, weights,    plan->rows, plan->cols,
                                   plan->inputs, plan->outs, bm->level,  bm->scale};
    vl_lintrans_diagonals d;
    VL_TRY(vl_lintrans_encode_grid(x, e, &grid, budget, v, &d));
    bm->diag = d.diag;
    bm->block = d.block;
    bm->bytes = d.bytes;
    bm->expanded = d.expanded;
    for (uint32_t o = 0; bias && o < plan->outs; o++) VL_TRY(encode_bias(x, e, bias, o, out_scale, v, bm));
    return VELUM_OK;
}

velum_status vl_blockmat_encode(vl_exec *x, const vl_encoder *e, const vl_blockmat_plan *plan, const double *weights,
                                const double *bias, uint16_t level, double scale, double in_scale, uint64_t budget,
                                vl_blockmat *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_TRY(vl_lintrans_plan_check(&plan->block));
    VL_FAIL_IF(plan->inputs == 0 || plan->inputs > VL_BLOCKMAT_MAX || plan->outs == 0 || plan->outs > VL_BLOCKMAT_MAX,
               VELUM_E_FORMAT, "block matrix: %u inputs, %u outputs", plan->inputs, plan->outs);
    VL_FAIL_IF(plan->block.shape.slots > p->ring.n / 2, VELUM_E_LIMIT, "a block matrix on %u slots, %u there are",
               plan->block.shape.slots, p->ring.n / 2);
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_LIMIT,
               "a block matrix at level %u of %u: it ends one lower", level, p->ring.q_count);
    vl_blockmat bm = {.plan = *plan, .level = level, .scale = scale};
    size_t mark = vl_arena_mark(&x->arena);
    double *v = vl_arena_take(&x->arena, plan->block.shape.slots * sizeof *v);
    double out_scale = in_scale * scale / (double)p->literal.q[level - 1];
    velum_status status = encode_all(x, e, weights, bias, out_scale, budget, v, &bm);
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_blockmat_free(&bm);
        return status;
    }
    *out = bm;
    return VELUM_OK;
}

void vl_blockmat_free(vl_blockmat *bm) {
    if (!bm) return;
    for (uint32_t o = 0; o < VL_BLOCKMAT_MAX; o++) vl_poly_free(&bm->bias[o]);
    vl_free(bm->diag);
    vl_free(bm->block);
    *bm = (vl_blockmat){0};
}

size_t vl_blockmat_encode_scratch(const vl_params *p, const vl_blockmat_plan *plan, uint16_t level) {
    return vl_lintrans_encode_scratch(p, &plan->block, level);
}

// ---- application ----

static vl_bsgs_shape shape_of(const vl_blockmat_plan *plan) {
    return (vl_bsgs_shape){plan->inputs, plan->outs, plan->block.babies, plan->block.giants, plan->block.babies > 1};
}

void vl_blockmat_apply(vl_exec *x, const vl_eval_keys *keys, const vl_blockmat *bm, vl_ciphertext *d,
                       const vl_ciphertext *a) {
    const vl_params *p = keys->params;
    const vl_lintrans_plan *plan = &bm->plan.block;
    const uint32_t outs = bm->plan.outs;
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext *product = vl_arena_take(&x->arena, outs * sizeof *product);
    vl_poly(*out)[2] = vl_arena_take(&x->arena, outs * sizeof *out);
    for (uint32_t o = 0; o < outs; o++) {
        product[o] = vl_ciphertext_take(p, &x->arena, bm->level, 1);
        product[o].scale = a[0].scale * bm->scale;
        for (int c = 0; c < 2; c++) out[o][c] = product[o].c[c];
    }
    int32_t *baby = vl_arena_take(&x->arena, (plan->babies + plan->giants) * sizeof *baby);
    int32_t *giant = baby + plan->babies;
    for (uint32_t b = 0; b < plan->babies; b++) baby[b] = (int32_t)(b * plan->shape.lanes);
    for (uint32_t r = 0; r < plan->giants; r++) giant[r] = (int32_t)(r * plan->babies * plan->shape.lanes);
    vl_bsgs m = {shape_of(&bm->plan), baby, giant, bm->diag, bm->level};
    vl_bsgs_apply(x, p, keys, &m, (const vl_poly(*)[2])out, a);
    for (uint32_t o = 0; o < outs; o++) {
        vl_ckks_rescale(x, p, &d[o], &product[o]);
        uint32_t steps[64], folds = vl_lintrans_fold_steps(plan, steps);
        for (uint32_t i = 0; i < folds; i++) { // the product's storage is free
            vl_ckks_rotate(x, keys, &product[o], &d[o], (int32_t)(steps[i] * plan->shape.lanes));
            vl_ckks_add(x, p, &d[o], &d[o], &product[o]);
        }
        if (bm->bias[o].x) vl_ckks_add_plain(x, p, &d[o], &d[o], bm->bias[o]);
    }
    vl_arena_release(&x->arena, mark);
}

size_t vl_blockmat_scratch(const vl_params *p, const vl_blockmat_plan *plan, uint16_t level) {
    const vl_bsgs_shape shape = shape_of(plan);
    size_t product = 2 * plan->outs * vl_arena_need(vl_poly_bytes(&p->ring, level, 0));
    size_t lists = vl_arena_need((plan->block.babies + plan->block.giants) * sizeof(int32_t)) +
                   vl_arena_need(plan->outs * sizeof(vl_ciphertext)) + vl_arena_need(plan->outs * 2 * sizeof(vl_poly));
    size_t bsgs = vl_bsgs_scratch(p, &shape, level), ckks = vl_ckks_scratch(p, level);
    return product + lists + (bsgs > ckks ? bsgs : ckks) + 256;
}
