// SPDX-License-Identifier: Apache-2.0
#include "circuits/mod1.h"

#include "circuits/chebyshev.h"
#include "rlwe/sum.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define TWO_PI 6.283185307179586

double vl_mod1_reach(const vl_mod1_literal *f) { return f->range + 0.25; }

// Of z = 2 x^2 - 1.
static double folded_cosine(double z, const void *arg) {
    const vl_mod1_literal *f = arg;
    return cos(TWO_PI * vl_mod1_reach(f) * sqrt((z + 1) / 2) / (double)(1u << f->doublings));
}

static velum_status check(const vl_mod1_literal *f) {
    VL_FAIL_IF(f->range == 0 || f->range > 1024, VELUM_E_USAGE, "EvalMod: range %u, must be 1 to 1024", f->range);
    VL_FAIL_IF(f->degree < 3 || f->degree > 31, VELUM_E_USAGE, "EvalMod: degree %u, must be 3 to 31", f->degree);
    VL_FAIL_IF(f->doublings > 6, VELUM_E_USAGE, "EvalMod: %u double angles, at most 6", f->doublings);
    VL_FAIL_IF(f->arcsine != 0 && f->arcsine != 3 && f->arcsine != 5 && f->arcsine != 7, VELUM_E_USAGE,
               "EvalMod: an arcsine of degree %u, must be 0, 3, 5 or 7", f->arcsine);
    VL_FAIL_IF(!(f->ratio >= 16 && f->ratio <= 0x1p30), VELUM_E_USAGE, "EvalMod: ratio %g, must be 16 to 2^30",
               f->ratio);
    return VELUM_OK;
}

velum_status vl_mod1_init(const vl_mod1_literal *literal, vl_mod1 *out) {
    VL_TRY(check(literal));
    vl_mod1 f = {.literal = *literal, .asine = {0, 1, 0, 1.0 / 6, 0, 3.0 / 40, 0, 5.0 / 112}};
    VL_TRY(vl_chebyshev_fit(folded_cosine, literal, -1, 1, literal->degree, f.c, &f.fit_error));
    double cubic = TWO_PI / literal->ratio * (TWO_PI / literal->ratio) / 6;
    f.amplitude = literal->ratio / TWO_PI * (literal->arcsine ? 1 : 1 + 0.75 * cubic);
    *out = f;
    return VELUM_OK;
}

static vl_polynomial cosine_of(const vl_mod1 *f) {
    return (vl_polynomial){.basis = VL_CHEBYSHEV, .degree = f->literal.degree, .lo = -1, .hi = 1, .c = f->c};
}

static vl_polynomial arcsine_of(const vl_mod1 *f) {
    return (vl_polynomial){.basis = VL_MONOMIAL, .degree = f->literal.arcsine, .c = f->asine};
}

uint32_t vl_mod1_levels(const vl_mod1_literal *f) {
    uint32_t degree = 32 - (uint32_t)__builtin_clz(f->degree), asine = f->arcsine == 0 ? 0 : f->arcsine == 3 ? 2 : 3;
    return 1 + degree + f->doublings + asine;
}

double vl_mod1_eval(const vl_mod1 *f, double t) {
    vl_polynomial p = cosine_of(f), a = arcsine_of(f);
    double x = (t - 0.25) / vl_mod1_reach(&f->literal), c = vl_polynomial_eval(&p, 2 * x * x - 1);
    for (uint32_t i = 0; i < f->literal.doublings; i++) c = 2 * c * c - 1;
    if (f->literal.arcsine) c = vl_polynomial_eval(&a, c);
    return c * f->amplitude;
}

double vl_mod1_error(const vl_mod1 *f) {
    double worst = 0;
    for (int32_t i = 1 - (int32_t)f->literal.range; i < (int32_t)f->literal.range; i++)
        for (int32_t k = -16; k <= 16; k++) {
            double error = fabs(vl_mod1_eval(f, i + k / 16.0 / f->literal.ratio) - k / 16.0);
            if (error > worst) worst = error;
        }
    return worst;
}

// ---- encrypted ---- The factor 2 of a double angle is taken into the scale: c at scale s is squared to 2 c^2 at
// scale s^2 / 2. So that the last scale is the one asked for, the first is found backwards.

static double prime_at(const vl_params *p, uint32_t level) { return (double)p->literal.q[level - 1]; }

double vl_mod1_in_scale(const vl_params *p, uint16_t level) { // so that z has the scale of the next prime
    return sqrt(2 * prime_at(p, level) * prime_at(p, level - 1u));
}

// a = 2 a^2 - 1
static void double_angle(vl_exec *x, const vl_params *p, const vl_switch_key *relin, vl_ciphertext *a) {
    vl_sum sum = vl_sum_empty(a->level, a->scale * a->scale / 2);
    vl_sum_add_product(&sum, a, a);
    vl_sum_add_constant(&sum, -1);
    vl_rlwe_relinearise_sum(x, p, relin, &sum, true, a);
}

velum_status vl_mod1_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_mod1 *f, double out_scale,
                           vl_ciphertext *d, vl_ciphertext *a) {
    const vl_mod1_literal *lit = &f->literal;
    vl_polynomial cosine = cosine_of(f), asine = arcsine_of(f);
    uint32_t levels = vl_mod1_levels(lit);
    VL_FAIL_IF(a->level <= levels, VELUM_E_LIMIT, "EvalMod needs %u levels, its input has %u", levels, a->level - 1u);
    double scale = out_scale * f->amplitude, target = scale;
    uint32_t below = a->level - 1 - vl_poly_plan(&cosine).levels;
    for (uint32_t i = lit->doublings; i > 0; i--) target = sqrt(2 * prime_at(p, below - i + 1) * target);
    const vl_switch_key *relin = vl_eval_keys_find(keys, 0);
    VL_FAIL_IF(!relin || relin->nq < a->level, VELUM_E_MISMATCH, "EvalMod: no relinearisation key for level %u",
               a->level);
    vl_ckks_add_const(x, p, a, a, -0.25 / vl_mod1_reach(lit));
    double_angle(x, p, relin, a);
    VL_TRY(vl_poly_apply(x, p, keys, &cosine, target, d, a));
    for (uint32_t i = 0; i < lit->doublings; i++) double_angle(x, p, relin, d);
    assert(fabs(d->scale - scale) < 0x1p-30 * scale);
    d->scale = scale;
    if (lit->arcsine) VL_TRY(vl_poly_apply(x, p, keys, &asine, scale, d, d));
    d->scale = out_scale;
    return VELUM_OK;
}

size_t vl_mod1_scratch(const vl_params *p, const vl_mod1 *f, uint16_t level) {
    vl_polynomial cosine = cosine_of(f), asine = arcsine_of(f);
    size_t need = vl_poly_scratch(p, &cosine, level), other = vl_ckks_scratch(p, level);
    if (other > need) need = other;
    other = f->literal.arcsine ? vl_poly_scratch(p, &asine, level) : 0;
    return other > need ? other : need;
}
