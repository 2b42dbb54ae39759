// SPDX-License-Identifier: Apache-2.0
// EvalMod: t -> t - round(t), for t near integers, as a scaled sine (Cheon, Han et al. 2018/153; Han, Ki 2019/688;
// Bossuat et al. 2020/1203, section 5).
//
// Notation: K the range of |t|, K' = K + 1/4, x = (t - 1/4) / K' in [-1, 1], rho the ratio: t = I + v / rho with a
// message |v| <= 1. The result is v. cos(2 pi K' x / 2^r) is even in x: a Chebyshev interpolant p of half the degree in
// z = 2 x^2 - 1, then r double angles 2 c^2 - 1, which give cos(2 pi (t - 1/4)) = sin(2 pi t), and optionally the first
// terms of the arcsine.
//
// Error: a rounding of deviation d in x counts 2 pi K' d rho / 2 pi; one in z, near x = 0 (which is where most t are),
// (R^2 / 4) 41 d rho / 2 pi with R = 2 pi K' / 2^r, since z is -1 there and the double angles multiply by up to 41: the
// larger one by far. A smaller rho with an arcsine is what buys precision.
#ifndef VELUM_CIRCUITS_MOD1_H
#define VELUM_CIRCUITS_MOD1_H

#include "circuits/poly.h"

typedef struct vl_mod1_literal {
    uint32_t range;     // K
    uint32_t degree;    // of p, in z
    uint32_t doublings; // r
    uint32_t arcsine;   // degree of the arcsine's series: 0 (none), 3, 5 or 7
    double ratio;       // rho
} vl_mod1_literal;

typedef struct vl_mod1 {
    vl_mod1_literal literal;
    double c[32];     // of p
    double asine[8];  // of the arcsine
    double amplitude; // of v in the sine's value: rho (1 + a small correction) / 2 pi, see vl_mod1_init
    double fit_error; // largest |p - cos|
} vl_mod1;

// Without an arcsine the slope is chosen so that the cubic term's error is balanced over |v| <= 1 (a quarter of it
// remains). VELUM_E_USAGE for a range, degree (3 .. 31), number of doublings (at most 6) or ratio that makes no sense.
velum_status vl_mod1_init(const vl_mod1_literal *literal, vl_mod1 *out);
uint32_t vl_mod1_levels(const vl_mod1_literal *literal);
double vl_mod1_eval(const vl_mod1 *f, double t); // in the clear: near v for t = I + v / rho
// The largest |vl_mod1_eval - v| for |I| < K, |v| <= 1, on a grid.
double vl_mod1_error(const vl_mod1 *f);
double vl_mod1_reach(const vl_mod1_literal *literal); // K'
// The scale that the input at this level must have.
double vl_mod1_in_scale(const vl_params *p, uint16_t level);
// d = v at out_scale, d's level = a's - levels. The slots of a hold t / K', real, at vl_mod1_in_scale. Products are
// relinearised with a key for a's level. d may be a, which is overwritten anyhow. Errors as vl_poly_apply.
velum_status vl_mod1_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_mod1 *f, double out_scale,
                           vl_ciphertext *d, vl_ciphertext *a);
size_t vl_mod1_scratch(const vl_params *p, const vl_mod1 *f, uint16_t level);

#endif
