// SPDX-License-Identifier: Apache-2.0
// What the operations on pictures demand.
#include "program/internal.h"

#include <math.h>
#include <stdio.h>

#define MAX_WEIGHT 0x1p50  // |weight pattern factor|: see vl_spread_encode
#define MAX_ENCODED 0x1p61 // of the coefficients of what is encoded: see vl_encode_real

bool vl_program_takes_pictures(vl_op_kind kind) {
    return kind == VL_OP_SPREAD || kind == VL_OP_SQUARES || kind == VL_OP_FOLD;
}

static bool same_grid(const vl_layout *a, const vl_layout *b) {
    return a->slots == b->slots && a->period == b->period && a->parts == b->parts;
}

double vl_program_room(const vl_params_literal *lit, uint16_t level) {
    double bits = 0;
    for (uint32_t i = 0; i < level; i++) bits += log2((double)lit->q[i]);
    return bits;
}

// The constants that are added at the result's scale.
static velum_status check_biases(const vl_program *p, const vl_op *op, const double *bias, size_t n, double most) {
    const vl_value *d = &p->values[op->dst];
    const double room = vl_program_room(&p->manifest.params, d->level);
    for (size_t i = 0; bias && i < n; i++) {
        double size = fabs(bias[i]) * d->scale;
        VL_FAIL_IF(!(size < most) || log2(size + 1) + 1 > room, VELUM_E_FORMAT,
                   "program: '%s': bias %zu is %g at scale 2^%.1f", op->name, i, bias[i], log2(d->scale));
    }
    return VELUM_OK;
}

// ---- SPREAD ----

static velum_status check_structure(const vl_op *op, uint32_t slots) {
    if (vl_spread_check(&op->spread, slots) == VELUM_OK) return VELUM_OK;
    char why[256];
    snprintf(why, sizeof why, "%s", velum_last_error());
    return VL_FAIL(VELUM_E_FORMAT, "program: '%s': %s", op->name, why);
}

static velum_status check_sources(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *b = &p->values[op->src[1]].layout;
    const vl_layout *d = &p->values[op->dst].layout;
    const vl_spread *s = &op->spread;
    const uint64_t have = (uint64_t)a->cts + (op->src[1] != op->src[0] ? b->cts : 0);
    VL_FAIL_IF(s->sources != have || s->outputs != d->cts, VELUM_E_FORMAT,
               "program: '%s': a map of %u ciphertexts to %u between values of %llu and %u", op->name, s->sources,
               s->outputs, (unsigned long long)have, d->cts);
    VL_FAIL_IF(!same_grid(a, d) || !same_grid(b, d) || s->parts != d->parts || s->period > d->period, VELUM_E_FORMAT,
               "program: '%s': map and pictures disagree about period or parts", op->name);
    return VELUM_OK;
}

static velum_status check_weights(const vl_program *p, const vl_op *op, double *top) {
    const vl_spread *s = &op->spread;
    const double a = p->values[op->src[0]].scale, b = p->values[op->src[1]].scale;
    const double factor[2] = {op->plain_scale, op->plain_scale * a / b};
    const uint32_t first = p->values[op->src[0]].layout.cts;
    VL_FAIL_IF(!(factor[1] >= 1 && factor[1] <= 0x1p60), VELUM_E_FORMAT,
               "program: '%s': its second value's weights at scale %g", op->name, factor[1]);
    for (size_t i = 0; i < (size_t)s->patterns * s->period; i++)
        top[i / s->period] = fmax(top[i / s->period], fabs(s->pattern[i]));
    for (uint32_t r = 0; r < s->outputs; r++)
        for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
            const uint32_t source = s->copy[s->col[i]].source, through = s->through[i];
            const double most = through == VL_SPREAD_NO_PATTERN ? 1 : top[through];
            VL_FAIL_IF(!(fabs(s->weight[i]) * factor[source >= first] * most < MAX_WEIGHT), VELUM_E_FORMAT,
                       "program: '%s': output %u, copy %u: weight %g does not fit its scale", op->name, r, s->col[i],
                       s->weight[i]);
        }
    return VELUM_OK;
}

static velum_status check_spread(const vl_program *p, const vl_op *op) {
    const vl_spread *s = &op->spread;
    VL_TRY(check_structure(op, p->values[op->dst].layout.slots));
    VL_TRY(check_sources(p, op));
    double *top = vl_alloc_array((size_t)s->patterns + 1, sizeof *top);
    VL_FAIL_IF(!top, VELUM_E_NOMEM, "program: '%s'", op->name);
    velum_status status = check_weights(p, op, top);
    vl_free(top);
    VL_TRY(status);
    return check_biases(p, op, s->bias, (size_t)s->outputs * s->bias_period, MAX_ENCODED);
}

// ---- SQUARES, FOLD ----

static velum_status check_squares(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *d = &p->values[op->dst].layout;
    VL_FAIL_IF(!vl_layout_same(a, d, false), VELUM_E_FORMAT, "program: '%s': layouts of its operand and result differ",
               op->name);
    return check_biases(p, op, op->bias, d->cts, INFINITY);
}

static velum_status check_fold(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *d = &p->values[op->dst].layout;
    VL_FAIL_IF(!same_grid(a, d) || a->cts != d->cts, VELUM_E_FORMAT,
               "program: '%s': pictures of its operand and result lie differently", op->name);
    VL_FAIL_IF(op->count == 0 || op->count > VL_FOLD_MOST, VELUM_E_FORMAT, "program: '%s': %u rotations", op->name,
               op->count);
    for (uint32_t k = 0; k < op->count; k++) {
        int64_t by = op->rotation[k];
        VL_FAIL_IF(by == 0 || by <= -(int64_t)a->slots || by >= (int64_t)a->slots, VELUM_E_FORMAT,
                   "program: '%s': rotation %u by %d slots", op->name, k, op->rotation[k]);
    }
    return VELUM_OK;
}

velum_status vl_program_check_pictures(const vl_program *p, const vl_op *op) {
    switch (op->kind) {
    case VL_OP_SPREAD: return check_spread(p, op);
    case VL_OP_SQUARES: return check_squares(p, op);
    case VL_OP_FOLD: return check_fold(p, op);
    default: return VELUM_OK;
    }
}

velum_status vl_program_check_kinds(const vl_program *p, const vl_op *op) {
    const bool either = op->kind == VL_OP_MASK || op->kind == VL_OP_ADD, want = vl_program_takes_pictures(op->kind);
    bool fits = either || (p->values[op->dst].layout.parts != 0) == want;
    for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
        fits = fits && (either || (p->values[op->src[k]].layout.parts != 0) == want);
    VL_FAIL_IF(!fits, VELUM_E_FORMAT, "program: '%s': a '%s' takes and gives %s", op->name, vl_op_text(op->kind),
               want ? "pictures" : "no pictures");
    return VELUM_OK;
}
