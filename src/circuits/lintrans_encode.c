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

// Where a diagonal of a grid lies: row o R + r, column i B + b.
typedef struct place {
    uint32_t o, r, i, b;
} place;

static place place_of(const vl_lintrans_grid *g, uint64_t k) {
    const uint32_t columns = g->inputs * g->plan->babies;
    const uint32_t row = (uint32_t)(k / columns), column = (uint32_t)(k % columns);
    return (place){row / g->plan->giants, row % g->plan->giants, column / g->plan->babies, column % g->plan->babies};
}

// Diagonal b of giant r, moved right by r B so that the giant step moves it back: its value at position t.
static double value_at(const vl_lintrans_grid *g, place at, uint32_t t, uint32_t period) {
    const vl_lintrans_shape *s = &g->plan->shape;
    uint32_t shift = at.r * g->plan->babies;
    int64_t in_block = lt_weight_at(g->plan, (t - shift) & (period - 1), shift + at.b);
    if (in_block < 0) return 0;
    size_t row = (size_t)at.o * lt_positions(s) + (size_t)in_block / s->cols;
    size_t col = (size_t)at.i * lt_positions(s) + (size_t)in_block % s->cols;
    return row < g->rows && col < g->cols ? g->weights[row * g->cols + col] : 0;
}

static bool is_zero(const vl_lintrans_grid *g, place at) {
    uint32_t period = diagonal_period(g->plan);
    for (uint32_t t = 0; t < period; t++)
        if (value_at(g, at, t, period) != 0) return false;
    return true;
}

static void fill_diagonal(const vl_lintrans_grid *g, place at, double *v) {
    uint32_t period = diagonal_period(g->plan), lanes = g->plan->shape.lanes;
    for (uint32_t t = 0; t < period; t++) {
        double w = value_at(g, at, t, period);
        for (uint32_t lane = 0; lane < lanes; lane++) v[(size_t)t * lanes + lane] = w;
    }
}

// Words a limb of a diagonal in transformed form.
static uint32_t diagonal_words(const vl_params *p, const vl_lintrans_plan *plan) {
    return vl_diag_words(&p->ring, diagonal_period(plan) * plan->shape.lanes);
}

// Finds the diagonals that are not zero, chooses the form of each and allocates them all in one block: that many small
// blocks would spend more on first touches than on encoding.
static velum_status lay_out(const vl_params *p, const vl_lintrans_grid *g, uint64_t budget, vl_lintrans_diagonals *d) {
    uint32_t np = special_limbs(p, g->plan), whole = diagonal_words(p, g->plan);
    uint64_t each = vl_diag_bytes(&p->ring, whole, g->level, np), less = vl_diag_bytes(&p->ring, 0, g->level, np);
    uint64_t kept = 0, all = (uint64_t)g->outs * g->plan->giants * g->inputs * g->plan->babies;
    uint64_t *at = vl_alloc_array(all, sizeof *at);
    d->diag = vl_alloc_array(all, sizeof *d->diag);
    for (uint64_t k = 0; at && d->diag && k < all; k++) {
        at[k] = UINT64_MAX;
        if (is_zero(g, place_of(g, k))) continue;
        bool fits = each <= less || kept + each <= budget;
        at[k] = d->bytes;
        d->diag[k].words = fits ? whole : 0;
        d->bytes += fits ? each : less;
        kept += fits ? each : 0;
        d->expanded += !fits;
    }
    d->block = vl_alloc_raw(d->bytes);
    bool good = at && d->diag && d->block;
    for (uint64_t k = 0; good && k < all; k++)
        if (at[k] != UINT64_MAX) d->diag[k].x = d->block + at[k] / sizeof(uint64_t);
    vl_free(at);
    VL_FAIL_IF(!good, VELUM_E_NOMEM, "no memory for a linear map: %llu bytes of diagonals",
               (unsigned long long)d->bytes);
    return VELUM_OK;
}

static velum_status encode_diagonals(vl_exec *x, const vl_encoder *e, const vl_lintrans_grid *g, uint64_t budget,
                                     double *v, vl_lintrans_diagonals *d) {
    const vl_params *p = vl_encoder_params(e);
    VL_TRY(lay_out(p, g, budget, d));
    const uint64_t all = (uint64_t)g->outs * g->plan->giants * g->inputs * g->plan->babies;
    for (uint64_t k = 0; k < all; k++) {
        if (!d->diag[k].x) continue;
        fill_diagonal(g, place_of(g, k), v);
        VL_TRY(vl_diag_encode(x, e, v, NULL, diagonal_period(g->plan) * g->plan->shape.lanes, g->scale, g->level,
                              special_limbs(p, g->plan), d->diag[k]));
    }
    return VELUM_OK;
}

velum_status vl_lintrans_encode_grid(vl_exec *x, const vl_encoder *e, const vl_lintrans_grid *g, uint64_t budget,
                                     double *v, vl_lintrans_diagonals *out) {
    vl_lintrans_diagonals d = {0};
    velum_status status = encode_diagonals(x, e, g, budget, v, &d);
    if (status != VELUM_OK) {
        vl_free(d.diag);
        vl_free(d.block);
        return status;
    }
    *out = d;
    return VELUM_OK;
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const vl_params *p, const double *weights,
                               const double *bias, double out_scale, uint64_t budget, double *v, vl_lintrans *lt) {
    const vl_lintrans_shape *s = &lt->plan.shape;
    const vl_lintrans_grid grid = {&lt->plan, weights, s->rows, s->cols, 1, 1, lt->level, lt->scale};
    vl_lintrans_diagonals d;
    VL_TRY(vl_lintrans_encode_grid(x, e, &grid, budget, v, &d));
    lt->diag = d.diag;
    lt->block = d.block;
    lt->bytes = d.bytes;
    lt->expanded = d.expanded;
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
    uint64_t diagonals = lt_terms(plan);
    return diagonals * vl_diag_bytes(&p->ring, diagonal_words(p, plan), level, special_limbs(p, plan)) +
           (bias ? vl_poly_bytes(&p->ring, level - 1u, 0) : 0);
}

size_t vl_lintrans_encode_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level) {
    return vl_arena_need(plan->shape.slots * sizeof(double)) + vl_diag_encode_scratch(p, level, special_limbs(p, plan));
}
