// SPDX-License-Identifier: Apache-2.0
// The range of a prologue step from its source's.
#include "nn/prologue.h"
#include <math.h>

// Both ends through a function that never falls.
static void rising(const vl_step *s, double lo, double hi, vl_nn_step *n) {
    double a, b;
    n->lo = vl_step_run(s, lo, &a) ? a : -INFINITY;
    n->hi = vl_step_run(s, hi, &b) ? b : INFINITY;
    if (isinf(lo) && (s->kind == VL_STEP_TANH || s->kind == VL_STEP_ERF)) n->lo = -1;
    if (isinf(hi) && (s->kind == VL_STEP_TANH || s->kind == VL_STEP_ERF)) n->hi = 1;
    if (s->kind == VL_STEP_EXP && isinf(lo)) n->lo = 0;
    if (s->kind == VL_STEP_SQRT && lo < 0) n->lo = 0;
}

static void entries(const vl_step *s, double lo, double hi, vl_nn_step *n) {
    double first = fmax(lo, 0), last = fmin(hi, s->table_count - 1.0);
    bool map = s->kind == VL_STEP_MAP;
    n->lo = map ? s->a : INFINITY;
    n->hi = map ? s->a : -INFINITY;
    for (uint32_t i = 0; i < s->table_count; i++) {
        if (!map && first <= last && (i < first || i > last)) continue;
        n->lo = fmin(n->lo, s->table[i]);
        n->hi = fmax(n->hi, s->table[i]);
    }
}

static void remainder_of(const vl_step *s, double lo, double hi, vl_nn_step *n) {
    bool inside = isfinite(lo) && isfinite(hi) && floor(lo / s->a) == floor(hi / s->a);
    n->lo = inside ? lo - s->a * floor(lo / s->a) : 0;
    n->hi = inside ? hi - s->a * floor(hi / s->a) : n->integer ? s->a - 1 : s->a;
}

void vl_nn_step_range(const vl_nn_prologue *p, vl_nn_step *n) {
    const vl_step *s = &n->s;
    if (s->kind == VL_STEP_INPUT) {
        n->lo = p->inputs[s->src].lo;
        n->hi = p->inputs[s->src].hi;
        return;
    }
    double lo = p->steps[s->src].lo, hi = p->steps[s->src].hi;
    switch (s->kind) {
    case VL_STEP_AFFINE:
        n->lo = s->a == 0 ? s->b : (s->a > 0 ? lo : hi) * s->a + s->b;
        n->hi = s->a == 0 ? s->b : (s->a > 0 ? hi : lo) * s->a + s->b;
        break;
    case VL_STEP_CLIP:
        n->lo = fmin(fmax(lo, s->a), s->b);
        n->hi = fmin(fmax(hi, s->a), s->b);
        break;
    case VL_STEP_TRUNC:
        n->lo = trunc(lo);
        n->hi = trunc(hi);
        break;
    case VL_STEP_DIV:
        n->lo = floor(lo / s->a);
        n->hi = floor(hi / s->a);
        break;
    case VL_STEP_MOD: remainder_of(s, lo, hi, n); break;
    case VL_STEP_EQUAL:
        n->lo = lo == hi && lo == s->a;
        n->hi = lo <= s->a && s->a <= hi;
        break;
    case VL_STEP_RECIPROCAL:
        n->lo = lo > 0 || hi < 0 ? 1 / hi : -INFINITY;
        n->hi = lo > 0 || hi < 0 ? 1 / lo : INFINITY;
        break;
    case VL_STEP_ABS:
        n->lo = lo > 0 ? lo : hi < 0 ? -hi : 0;
        n->hi = fmax(-lo, hi);
        break;
    case VL_STEP_SIGN:
        n->lo = (lo > 0) - (lo < 0);
        n->hi = (hi > 0) - (hi < 0);
        break;
    case VL_STEP_LOG:
    case VL_STEP_EXP:
    case VL_STEP_SQRT:
    case VL_STEP_ROUND:
    case VL_STEP_TANH:
    case VL_STEP_ERF: rising(s, lo, hi, n); break;
    default: entries(s, lo, hi, n); // TABLE, MAP
    }
}
