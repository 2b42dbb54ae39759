// SPDX-License-Identifier: Apache-2.0
// One step of the prologue on one number.
#include "program/manifest.h"
#include <math.h>

const char *vl_step_text(vl_step_kind kind) {
    static const char *const text[VL_STEP_KINDS] = {
        "input", "affine", "clip",        "truncate",   "table",          "divide", "modulo",  "map",  "equal",
        "log",   "exp",    "square root", "reciprocal", "absolute value", "sign",   "rounded", "tanh", "erf"};
    return kind < VL_STEP_KINDS ? text[kind] : "";
}

double vl_step_map(const vl_step *s, double x) {
    uint32_t lo = 0, hi = s->table_count;
    if (s->b == 0) x = (double)(float)x;
    while (lo < hi) { // the first key that is not below x
        uint32_t middle = lo + (hi - lo) / 2;
        if (s->keys[middle] < x)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < s->table_count && s->keys[lo] == x ? s->table[lo] : s->a;
}

bool vl_step_run(const vl_step *s, double x, double *y) {
    double v = x;
    switch (s->kind) {
    case VL_STEP_AFFINE: v = s->a * x + s->b; break;
    case VL_STEP_CLIP: v = fmin(fmax(x, s->a), s->b); break;
    case VL_STEP_TRUNC: v = trunc(x); break;
    case VL_STEP_DIV: v = floor(x / s->a); break;
    case VL_STEP_MOD: v = x - s->a * floor(x / s->a); break;
    case VL_STEP_TABLE:
        if (!(x >= 0 && x < s->table_count) || x != floor(x)) return false;
        v = s->table[(uint32_t)x];
        break;
    case VL_STEP_MAP:
        if (s->b != 0 && (x != floor(x) || fabs(x) > 0x1p53)) return false;
        v = vl_step_map(s, x);
        break;
    case VL_STEP_EQUAL: v = x == s->a; break;
    case VL_STEP_LOG: v = x > 0 ? log(x) : NAN; break;
    case VL_STEP_EXP: v = exp(x); break;
    case VL_STEP_SQRT: v = x >= 0 ? sqrt(x) : NAN; break;
    case VL_STEP_RECIPROCAL: v = x != 0 ? 1 / x : NAN; break;
    case VL_STEP_ABS: v = fabs(x); break;
    case VL_STEP_SIGN: v = (x > 0) - (x < 0); break;
    case VL_STEP_ROUND: v = rint(x); break;
    case VL_STEP_TANH: v = tanh(x); break;
    case VL_STEP_ERF: v = erf(x); break;
    default: break;
    }
    if (!isfinite(v)) return false;
    *y = v;
    return true;
}
