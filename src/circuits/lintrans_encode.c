// SPDX-License-Identifier: Apache-2.0
#include "circuits/lintrans_internal.h"

#include <assert.h>
#include <string.h>

// Over P too where babies turn.
static uint32_t special_limbs(const vl_params *p, const vl_lintrans_plan *plan) {
    return plan->babies > 1 ? p->ring.p_count : 0;
}

// The values of a diagonal repeat with this many positions.
static uint32_t diagonal_period(const vl_lintrans_plan *plan) {
    const vl_lintrans_shape *s = &plan->shape;
    if (!lt_cyclic(plan)) return lt_positions(s);
    return s->period_in > s->period_out ? s->period_in : s->period_out;
}

// Diagonal b of giant r, moved right by r B so that the giant step moves it back: its value at position t.
static double value_at(const vl_lintrans_plan *plan, const double *weights, uint32_t r, uint32_t b, uint32_t t,
                       uint32_t period) {
    uint32_t shift = r * plan->babies;
    int64_t at = lt_weight_at(plan, (t - shift) & (period - 1), shift + b);
    return at < 0 ? 0 : weights[at];
}

static bool is_zero(const vl_lintrans_plan *plan, const double *weights, uint32_t r, uint32_t b) {
    uint32_t period = diagonal_period(plan);
    for (uint32_t t = 0; t < period; t++)
        if (value_at(plan, weights, r, b, t, period) != 0) return false;
    return true;
}

static void fill_diagonal(const vl_lintrans_plan *plan, const double *weights, uint32_t r, uint32_t b, double *v) {
    uint32_t period = diagonal_period(plan), lanes = plan->shape.lanes;
    for (uint32_t t = 0; t < period; t++) {
        double w = value_at(plan, weights, r, b, t, period);
        for (uint32_t lane = 0; lane < lanes; lane++) v[(size_t)t * lanes + lane] = w;
    }
}

// Words a limb of a diagonal in transformed form.
static uint32_t diagonal_words(const vl_params *p, const vl_lintrans_plan *plan) {
    return vl_diag_words(&p->ring, diagonal_period(plan) * plan->shape.lanes);
}

// Finds the diagonals that are not zero, chooses the form of each and allocates them all.
static velum_status lay_out(const vl_params *p, const double *weights, uint64_t budget, vl_lintrans *lt) {
    const vl_lintrans_plan *plan = &lt->plan;
    uint32_t np = special_limbs(p, plan), whole = diagonal_words(p, plan);
    uint64_t each = vl_diag_bytes(&p->ring, whole, lt->level, np), less = vl_diag_bytes(&p->ring, 0, lt->level, np);
    uint64_t kept = 0, all = (uint64_t)plan->giants * plan->babies, *at = vl_alloc_array(all, sizeof *at);
    lt->diag = vl_alloc_array(all, sizeof *lt->diag);
    VL_FAIL_IF(!at || !lt->diag, VELUM_E_NOMEM, "no memory for a linear map");
    for (uint64_t k = 0; k < all; k++) {
        at[k] = UINT64_MAX;
        if (is_zero(plan, weights, (uint32_t)(k / plan->babies), (uint32_t)(k % plan->babies))) continue;
        bool fits = each <= less || kept + each <= budget;
        at[k] = lt->bytes;
        lt->diag[k].words = fits ? whole : 0;
        lt->bytes += fits ? each : less;
        kept += fits ? each : 0;
        lt->expanded += !fits;
    }
    lt->block = vl_alloc_raw(lt->bytes);
    for (uint64_t k = 0; lt->block && k < all; k++)
        if (at[k] != UINT64_MAX) lt->diag[k].x = lt->block + at[k] / sizeof(uint64_t);
    vl_free(at);
    VL_FAIL_IF(!lt->block, VELUM_E_NOMEM, "no memory for %llu bytes of diagonals", (unsigned long long)lt->bytes);
    return VELUM_OK;
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const vl_params *p, const double *weights,
                               const double *bias, double out_scale, uint64_t budget, double *v, vl_lintrans *lt) {
    const vl_lintrans_plan *plan = &lt->plan;
    const vl_lintrans_shape *s = &plan->shape;
    VL_TRY(lay_out(p, weights, budget, lt));
    for (uint32_t r = 0; r < plan->giants; r++)
        for (uint32_t b = 0; b < plan->babies; b++) {
            vl_diag d = lt->diag[(size_t)r * plan->babies + b];
            if (!d.x) continue;
            fill_diagonal(plan, weights, r, b, v);
            VL_TRY(vl_diag_encode(x, e, v, NULL, diagonal_period(plan) * s->lanes, lt->scale, lt->level,
                                  special_limbs(p, plan), d));
        }
    if (!bias) return VELUM_OK;
    for (uint32_t i = 0; i < s->period_out * s->lanes; i++) v[i] = i / s->lanes < s->rows ? bias[i / s->lanes] : 0;
    VL_TRY(vl_poly_new(&p->ring, lt->level - 1u, 0, &lt->bias));
    lt->bytes += vl_poly_bytes(&p->ring, lt->level - 1u, 0);
    return vl_encode_real(x, e, v, s->period_out * s->lanes, out_scale, lt->bias);
}

velum_status vl_lintrans_encode_within(vl_exec *x, const vl_encoder *e, const vl_lintrans_plan *plan,
                                       const double *weights, const double *bias, uint16_t level, double scale,
                                       double in_scale, uint64_t budget, vl_lintrans *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_TRY(vl_lintrans_plan_check(plan));
    VL_FAIL_IF(plan->shape.slots > p->ring.n / 2, VELUM_E_LIMIT, "a linear map on %u slots, %u there are",
               plan->shape.slots, p->ring.n / 2);
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_LIMIT, "a linear map at level %u of %u: it ends one lower",
               level, p->ring.q_count);
    vl_lintrans lt = {.plan = *plan, .level = level, .scale = scale};
    size_t mark = vl_arena_mark(&x->arena);
    double *v = vl_arena_take(&x->arena, plan->shape.slots * sizeof *v);
    double out_scale = in_scale * scale / (double)p->literal.q[level - 1];
    velum_status status = encode_all(x, e, p, weights, bias, out_scale, budget, v, &lt);
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_lintrans_free(&lt);
        return status;
    }
    *out = lt;
    return VELUM_OK;
}

velum_status vl_lintrans_encode(vl_exec *x, const vl_encoder *e, const vl_lintrans_plan *plan, const double *weights,
                                const double *bias, uint16_t level, double scale, double in_scale, vl_lintrans *out) {
    return vl_lintrans_encode_within(x, e, plan, weights, bias, level, scale, in_scale, UINT64_MAX, out);
}

void vl_lintrans_free(vl_lintrans *lt) {
    if (!lt) return;
    vl_poly_free(&lt->bias);
    vl_free(lt->diag);
    vl_free(lt->block);
    *lt = (vl_lintrans){0};
}

uint64_t vl_lintrans_bytes(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level, bool bias) {
    uint64_t diagonals = (uint64_t)plan->giants * plan->babies;
    return diagonals * vl_diag_bytes(&p->ring, diagonal_words(p, plan), level, special_limbs(p, plan)) +
           (bias ? vl_poly_bytes(&p->ring, level - 1u, 0) : 0);
}

size_t vl_lintrans_encode_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level) {
    return vl_arena_need(plan->shape.slots * sizeof(double)) + vl_diag_encode_scratch(p, level, special_limbs(p, plan));
}
