// SPDX-License-Identifier: Apache-2.0
#include "circuits/lintrans_internal.h"

#include <assert.h>
#include <string.h>

// Over P too where babies are left over QP.
static uint32_t special_limbs(const vl_params *p, const vl_lintrans_plan *plan) {
    return plan->babies > 1 ? p->ring.p_count : 0;
}

// The values of a diagonal repeat with this many positions.
static uint32_t diagonal_period(const vl_lintrans_plan *plan) {
    const vl_lintrans_shape *s = &plan->shape;
    if (!lt_cyclic(plan)) return lt_positions(s);
    return s->period_in > s->period_out ? s->period_in : s->period_out;
}

// Diagonal b of giant r, moved right by r B so that the giant step moves it back. False if it is zero.
static bool fill_diagonal(const vl_lintrans_plan *plan, const double *weights, uint32_t r, uint32_t b, double *v) {
    const vl_lintrans_shape *s = &plan->shape;
    uint32_t period = diagonal_period(plan), shift = r * plan->babies;
    bool any = false;
    for (uint32_t t = 0; t < period; t++) {
        int64_t at = lt_weight_at(plan, (t - shift) & (period - 1), shift + b);
        double w = at < 0 ? 0 : weights[at];
        any |= w != 0;
        for (uint32_t lane = 0; lane < s->lanes; lane++) v[(size_t)t * s->lanes + lane] = w;
    }
    return any;
}

static velum_status encode_new(vl_exec *x, const vl_encoder *e, const vl_ring *ring, const double *v, uint32_t count,
                               double scale, uint32_t nq, uint32_t np, vl_lintrans *lt, vl_poly *out) {
    VL_TRY(vl_poly_new(ring, nq, np, out));
    lt->bytes += vl_poly_bytes(ring, nq, np);
    return vl_encode_real(x, e, v, count, scale, *out);
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const vl_params *p, const double *weights,
                               const double *bias, double out_scale, double *v, vl_lintrans *lt) {
    const vl_lintrans_plan *plan = &lt->plan;
    const vl_lintrans_shape *s = &plan->shape;
    for (uint32_t r = 0; r < plan->giants; r++)
        for (uint32_t b = 0; b < plan->babies; b++)
            if (fill_diagonal(plan, weights, r, b, v))
                VL_TRY(encode_new(x, e, &p->ring, v, diagonal_period(plan) * s->lanes, lt->scale, lt->level,
                                  special_limbs(p, plan), lt, &lt->diagonal[r * plan->babies + b]));
    if (!bias) return VELUM_OK;
    for (uint32_t i = 0; i < s->period_out * s->lanes; i++) v[i] = i / s->lanes < s->rows ? bias[i / s->lanes] : 0;
    return encode_new(x, e, &p->ring, v, s->period_out * s->lanes, out_scale, lt->level - 1u, 0, lt, &lt->bias);
}

velum_status vl_lintrans_encode(vl_exec *x, const vl_encoder *e, const vl_lintrans_plan *plan, const double *weights,
                                const double *bias, uint16_t level, double scale, double in_scale, vl_lintrans *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_TRY(vl_lintrans_plan_check(plan));
    VL_FAIL_IF(plan->shape.slots > p->ring.n / 2, VELUM_E_LIMIT, "a linear map on %u slots, %u there are",
               plan->shape.slots, p->ring.n / 2);
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_LIMIT, "a linear map at level %u of %u: it ends one lower",
               level, p->ring.q_count);
    vl_lintrans lt = {.plan = *plan, .level = level, .scale = scale};
    lt.diagonal = vl_alloc_array((size_t)plan->giants * plan->babies, sizeof *lt.diagonal);
    VL_FAIL_IF(!lt.diagonal, VELUM_E_NOMEM, "no memory for a linear map");
    size_t mark = vl_arena_mark(&x->arena);
    double *v = vl_arena_take(&x->arena, plan->shape.slots * sizeof *v);
    double out_scale = in_scale * scale / (double)p->literal.q[level - 1];
    velum_status status = encode_all(x, e, p, weights, bias, out_scale, v, &lt);
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_lintrans_free(&lt);
        return status;
    }
    *out = lt;
    return VELUM_OK;
}

void vl_lintrans_free(vl_lintrans *lt) {
    if (!lt) return;
    for (uint32_t i = 0; lt->diagonal && i < lt->plan.giants * lt->plan.babies; i++) vl_poly_free(&lt->diagonal[i]);
    vl_poly_free(&lt->bias);
    vl_free(lt->diagonal);
    *lt = (vl_lintrans){0};
}

uint64_t vl_lintrans_bytes(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level, bool bias) {
    uint64_t diagonals = (uint64_t)plan->giants * plan->babies;
    return diagonals * vl_poly_bytes(&p->ring, level, special_limbs(p, plan)) +
           (bias ? vl_poly_bytes(&p->ring, level - 1u, 0) : 0);
}

size_t vl_lintrans_encode_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level) {
    return vl_arena_need(plan->shape.slots * sizeof(double)) + vl_encoder_scratch(p, level, special_limbs(p, plan));
}
