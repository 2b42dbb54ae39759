// SPDX-License-Identifier: Apache-2.0
// Polynomial evaluation at optimal depth with exact scales: ceil(log2(degree + 1)) levels, baby-step giant-step in the
// monomial or Chebyshev basis (Paterson, Stockmeyer; target scales pushed down the recursion, Bossuat et al. 2020/1203,
// section 5).
#ifndef VELUM_CIRCUITS_POLY_H
#define VELUM_CIRCUITS_POLY_H

#include "ckks/ckks.h"

// Powers (T_i or x^i) are made as T_{a+b} with a the largest power of two below i, so an odd polynomial needs odd ones
// and powers of two only. The polynomial is split p = q T_m + r at powers of two m; r joins the product before its one
// relinearisation and rescale. Leaves are integer combinations of powers; their constants carry whatever scale makes
// every sum exact, so the result has exactly the scale asked for. Coefficients that are 0 cost nothing, zero leading
// ones do not count. The number of powers is the one that needs the fewest products.
//
// Powers are rescaled to the scale that comes of itself: power i ends near scale (a.scale / prime)^(i-1) a.scale. So
// for high degrees the input's scale must be near the primes it is rescaled by (as it is in a chain of primes near
// Delta); the change of variable sets that right.
//
// A quadratic a x^2 + b x + c costs 2 levels here. Where the layer before is linear it can be had for one: complete the
// square, fold sqrt|a| (x + b / 2a) into that layer, and use vl_ckks_square, a rescale and vl_ckks_add_const.
#define VL_POLY_MAX_DEGREE 511
#define VL_POLY_MAX_LEVELS 11
typedef enum vl_poly_basis { VL_MONOMIAL, VL_CHEBYSHEV } vl_poly_basis;
typedef struct vl_polynomial {
    vl_poly_basis basis;
    uint32_t degree;
    double lo, hi;   // Chebyshev: the interval that is mapped to [-1, 1]; costs a level unless it is [-1, 1]
    const double *c; // degree + 1 coefficients, of x^i or T_i
} vl_polynomial;

typedef struct vl_poly_cost {
    uint32_t levels, multiplications, constants; // products of ciphertexts, products by constants
    uint32_t relinearisations;                   // the products less those that share one
    // At how many levels below the input's: sums relinearised and rescaled, and sums only rescaled.
    uint16_t relinearised[VL_POLY_MAX_LEVELS], rescaled[VL_POLY_MAX_LEVELS];
} vl_poly_cost;
// The degree must be at most VL_POLY_MAX_DEGREE here and in vl_poly_scratch.
vl_poly_cost vl_poly_plan(const vl_polynomial *f);
double vl_polynomial_eval(const vl_polynomial *f, double x); // in the clear (Horner, Clenshaw)
// d = f(a); d at level a.level - levels, at exactly `out_scale` (0: the scale of a). d may be a. The relinearisation
// key is used at up to a.level. VELUM_E_LIMIT if a's level is too low (named) or the degree too high; VELUM_E_MISMATCH
// without the key; VELUM_E_VALUE for a coefficient that is not finite, or beyond 2^62 at its scale.
velum_status vl_poly_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_polynomial *f,
                           double out_scale, vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_poly_scratch(const vl_params *p, const vl_polynomial *f, uint16_t level);

// d = w f(a), w at a's level or a higher one (else VELUM_E_LIMIT). w costs no level, but a few products, as it is
// multiplied into the tree: w T_i is a product of i + 1 factors. Only if degree + 1 is a power of two it costs one. All
// else as vl_poly_apply; out_scale 0: the scale of w. d may be w.
vl_poly_cost vl_poly_plan_times(const vl_polynomial *f);
velum_status vl_poly_apply_times(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_polynomial *f,
                                 double out_scale, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *w);
size_t vl_poly_scratch_times(const vl_params *p, const vl_polynomial *f, uint16_t level);

#endif
