// SPDX-License-Identifier: Apache-2.0
// Comparison-type functions of encrypted values by minimax composites (minimax.h): sign, step, |x|, ReLU, max.
//
// Let |x| <= bound, s the composite of separation t and error e. With s(x / bound) in place of the sign,
//   sign    s                  off by at most e where |x| >= t bound; between 0 and the sign elsewhere
//   step    (1 + s) / 2        e / 2, likewise
//   abs     x s                2 relu_error bound, everywhere
//   relu    x (1 + s) / 2      relu_error bound, everywhere
// Up to 2^-12 of noise in the input of a later stage leaves these as they are; the noise of the last stage and of the
// product (for abs and relu: times |x|) comes on top, and an error d in x itself acts as x + d.
//
// Levels: the sum of ceil(log2(degree + 1)) over the stages, 13 for [15,15,27]. The product of abs and relu costs none,
// as it is multiplied into the last stage (vl_poly_apply_times), unless that has degree 7, 15 or 31: then one. One to
// divide by the bound, unless the scale does that: if x comes at a scale near q / bound, q the last prime at its
// level, it is x / bound at scale q without any work. A layer before can have its result at any scale, so it should.
#ifndef VELUM_CIRCUITS_COMPARE_H
#define VELUM_CIRCUITS_COMPARE_H

#include "circuits/minimax.h"

typedef enum vl_compare_kind { VL_SIGN, VL_STEP, VL_ABS, VL_RELU } vl_compare_kind;
typedef struct vl_compare {
    const vl_minimax *minimax;
    vl_compare_kind kind;
    double bound; // |x| <= bound (1 + 2^-12)
} vl_compare;

// ---- queries ----
typedef struct vl_compare_cost {
    uint32_t levels;
    uint32_t multiplications, constants, relinearisations;
    bool divides; // a level is spent on the division by the bound
} vl_compare_cost;
// For an input at this level (at least 2) and scale.
vl_compare_cost vl_compare_plan(const vl_params *p, const vl_compare *f, uint16_t level, double scale);
// Stages first .. first + count - 1 alone, their input at this level and scale; without the product.
vl_compare_cost vl_compare_plan_stages(const vl_params *p, const vl_compare *f, uint32_t first, uint32_t count,
                                       uint16_t level, double scale);
// The rest from stage `first` on, for vl_compare_finish: levels below `level`, that of u.
vl_compare_cost vl_compare_plan_finish(const vl_params *p, const vl_compare *f, uint32_t first, uint16_t level,
                                       double scale, uint16_t a_level);
// The scale at which the range needs no level of its own: 1 / bound of the last prime.
double vl_compare_input_scale(const vl_params *p, const vl_compare *f, uint16_t level);
// What the approximation is off by, as listed above; for sign and step where |x| >= vl_compare_separation.
double vl_compare_error(const vl_compare *f);
double vl_compare_separation(const vl_compare *f);
double vl_compare_eval(const vl_compare *f, double x); // the approximation in the clear
// What stages first .. first + count - 1 make of u, in the clear (see vl_compare_stages).
double vl_compare_eval_stages(const vl_compare *f, uint32_t first, uint32_t count, double u);
size_t vl_compare_scratch(const vl_params *p, const vl_compare *f, uint16_t level);

// ---- execution ---- d may be an input; its capacity must do for the result. The relinearisation key is used at up to
// the input's level. VELUM_E_LIMIT if that level is too low (both numbers named), VELUM_E_MISMATCH without the key,
// VELUM_E_VALUE for a bound that is not positive and finite: all before any work.

// d = f(a), at level a.level - levels and exactly `out_scale` (0: a's scale).
velum_status vl_compare_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                              double out_scale, vl_ciphertext *d, const vl_ciphertext *a);
// d = max(a, b) = b + relu(a - b), with f->bound for |a - b| and an error of relu_error bound; f->kind is not looked
// at. a and b have one scale, which d keeps; levels as relu from the lower of theirs.
velum_status vl_compare_max(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                            vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b);

// In parts, so that a bootstrap can stand between them: d = stages first .. first + count - 1 of u. The first stage
// takes x itself, every later one the value that the stage before leaves, which lies in [-1, 1]. The last stage leaves
// s (sign, abs) or (1 + s) / 2 (step, relu). At exactly `out_scale`; 0: the scale that the next stage takes without a
// level of its own. Between stages any scale is right for which vl_compare_plan_stages says so (`divides`).
velum_status vl_compare_stages(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, uint32_t count, double out_scale, vl_ciphertext *d,
                               const vl_ciphertext *u);
// d = a h, for abs and relu: h made of u by stages `first` to the last, the product multiplied into the last one if a's
// level allows it, else after it. a: the input of stage 1, or any value at scale a.scale that h shall multiply. At
// exactly `out_scale` (0: a's scale).
velum_status vl_compare_finish(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, double out_scale, vl_ciphertext *d, const vl_ciphertext *a,
                               const vl_ciphertext *u);

#endif
