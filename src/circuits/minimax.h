// SPDX-License-Identifier: Apache-2.0
// Minimax composite polynomials for sign(x) on separation <= |x| <= 1: s = f_k o ... o f_1, every f_i odd (Lee, Lee,
// No, Kim, eprint 2020/834). tools/minimax computes the tables; docs/design/compare.md lists what they reach.
//
// Stage i takes |x_i| in [a, b] to within `error` of the sign. Its variable is u = x_i / b, so that all variables lie
// in
// [-1, 1] and no change of variable stands between stages; for the first stage u = x itself, b = 1 + 2^-12. Intervals
// contain what the stage before makes of its own and 2^-12 on either side: noise of up to 2^-12 in the input of a
// stage leaves the bounds as they are.
// Every stage increases on [0, a], so |s - sign| <= 1 for |x| < separation: there s is between 0 and the sign.
#ifndef VELUM_CIRCUITS_MINIMAX_H
#define VELUM_CIRCUITS_MINIMAX_H

#include "circuits/poly.h"

#define VL_MINIMAX_MARGIN 0x1p-12
#define VL_MINIMAX_MAX_STAGES 4
#define VL_MINIMAX_MAX_DEGREE 31

typedef struct vl_minimax_stage {
    uint32_t degree;
    double a, b, error;
    const double *odd; // (degree + 1) / 2 coefficients of T_1(u), T_3(u), ..., for the next stage's u
} vl_minimax_stage;

typedef struct vl_minimax {
    const char *name; // the degrees, "15,15,27"
    uint32_t alpha;   // |s - sign| <= 2^-alpha where |x| >= separation
    uint32_t count;
    double separation, error; // the least separation (of the form 2^(-k/64)) for alpha; the error proper
    double relu_error;        // |x (1 + s) / 2 - max(x, 0)| at most, for |x| <= 1 + 2^-12
    vl_minimax_stage stage[VL_MINIMAX_MAX_STAGES];
} vl_minimax;

extern const vl_minimax vl_minimax_tables[];
extern const uint32_t vl_minimax_tables_count;

// The composite of these degrees with the least alpha that is at least the one given; NULL if there is none.
const vl_minimax *vl_minimax_find(const char *degrees, uint32_t alpha);
// *f = constant + factor times stage i, as a polynomial on [-1, 1] that needs no change of variable. c: room for
// VL_MINIMAX_MAX_DEGREE + 1 coefficients, which *f refers to.
void vl_minimax_polynomial(const vl_minimax *m, uint32_t i, double factor, double constant, double *c,
                           vl_polynomial *f);
double vl_minimax_eval(const vl_minimax *m, double x); // s(x) in the clear
// Levels of stages first .. first + count - 1: the sum of ceil(log2(degree + 1)).
uint32_t vl_minimax_levels(const vl_minimax *m, uint32_t first, uint32_t count);

#endif
