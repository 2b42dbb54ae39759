// SPDX-License-Identifier: Apache-2.0
// EvalMod: t -> t - round(t), for t near integers, as a scaled sine (Cheon, Han et al. 2018/153; Han, Ki 2019/688; Bossuat et al.
// 2020/1203, section 5): a Chebyshev interpolant p of cos(2 pi (K x - 1/4) / 2^r) on [-1, 1], x = t / K, then r double
// angles 2 c^2 - 1, which give sin(2 pi t), and optionally the first terms of the arcsine.
//
// Notation: K the range of |t|, rho the ratio: t = I + v / rho with a message |v| <= 1. The result is v.
#ifndef VELUM_CIRCUITS_MOD1_H
#define VELUM_CIRCUITS_MOD1_H

#include "circuits/poly.h"

typedef struct vl_mod1_literal {
    uint32_t range;     // K
    uint32_t degree;    // of p
    uint32_t doublings; // r
    uint32_t arcsine;   // degree of the arcsine's series: 0 (none), 3, 5 or 7
    double ratio;       // rho
} vl_mod1_literal;

typedef struct vl_mod1 {
    vl_mod1_literal literal;
    double c[64];     // of p
    double asine[8];  // of the arcsine
    double amplitude; // of v in the sine's value: rho (1 + a small correction) / 2 pi, see vl_mod1_init
    double fit_error; // largest |p - cos| on [-1, 1]
} vl_mod1;

// Without an arcsine the slope is chosen so that the cubic term's error is balanced over |v| <= 1 (a quarter of it
// remains). VELUM_E_USAGE for a range, degree (3 .. 63), number of doublings (at most 6) or ratio that makes no sense.
velum_status vl_mod1_init(const vl_mod1_literal *literal, vl_mod1 *out);
uint32_t vl_mod1_levels(const vl_mod1_literal *literal);
double vl_mod1_eval(const vl_mod1 *f, double t); // in the clear: near v for t = I + v / rho
// The largest |vl_mod1_eval - v| for |I| < K, |v| <= 1, on a grid.
double vl_mod1_error(const vl_mod1 *f);
// d = v at out_scale, d's level = a's - levels. The slots of a hold x = t / K, real, at a scale near the primes. Products
// are relinearised with the key at a's level. d may be a. Errors as vl_poly_apply.
velum_status vl_mod1_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_mod1 *f,
                           double out_scale, vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_mod1_scratch(const vl_params *p, const vl_mod1 *f, uint16_t level);

#endif
