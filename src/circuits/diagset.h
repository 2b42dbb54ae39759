// SPDX-License-Identifier: Apache-2.0
// Any linear map given by its diagonals, real or complex: z[t] = sum over i of v_i[t] x[t + offset_i], indices modulo
// `slots`. The factors of bootstrapping's transforms are such sets, a few diagonals at multiples of a power of two.
//
// Method: baby-step giant-step with double hoisting (bsgs.h). All offsets are multiples of a unit u (the largest power
// of two that divides them all); offset / u, as a signed number, is split as giant * B + baby with B consecutive babies
// that need neither start at 0 nor be a power of two: 2 k + 1 diagonals around 0 with B = 3 have the babies -1, 0, 1.
// Baby and giant 0 cost nothing. Price: decompositions and divisions by P a giant, key products (memory) a baby.
//
// A vector of `slots` < N/2 values repeats over the N/2 slots; rotations are the same. Periodic diagonals are kept in
// their compact form (diag.h), whose period is found in the values: it must be exact, so make periodic values by one
// computation, not several that agree up to rounding.
#ifndef VELUM_CIRCUITS_DIAGSET_H
#define VELUM_CIRCUITS_DIAGSET_H

#include "circuits/bsgs.h"
#include "circuits/lintrans.h"

#define VL_DIAGSET_MAX 2048 // diagonals, babies, giants

typedef struct vl_diagset_plan {                                // pure data, 24 KB
    uint32_t slots, count;                                      // count diagonals
    uint32_t step;                                              // babies' span B
    int32_t start;                                              // the first baby, in units
    uint32_t babies, giants;                                    // those that some diagonal uses
    int32_t baby[VL_DIAGSET_MAX], giant[VL_DIAGSET_MAX];        // rotations to the left, in [0, slots)
    uint16_t at_baby[VL_DIAGSET_MAX], at_giant[VL_DIAGSET_MAX]; // of diagonal i, in the order given
} vl_diagset_plan;

// The plan with babies start, start + 1, .. start + step - 1 (in units; step >= 1, -step < start <= 0). offsets: any
// sign, distinct modulo slots. VELUM_E_LIMIT beyond VL_DIAGSET_MAX diagonals, VELUM_E_FORMAT for anything else.
velum_status vl_diagset_plan_split(const int32_t *offset, uint32_t count, uint32_t slots, uint32_t step, int32_t start,
                                   vl_diagset_plan *plan);
// The cheapest by these prices (vl_lintrans_prices_counted(p, level) where nothing is measured), over the steps and
// starts that make a difference. With 2,048 diagonals it takes some 50 ms.
velum_status vl_diagset_plan_best(const int32_t *offset, uint32_t count, uint32_t slots,
                                  const vl_lintrans_prices *prices, vl_diagset_plan *plan, vl_lintrans_cost *cost);
vl_lintrans_cost vl_diagset_price(const vl_diagset_plan *plan, const vl_lintrans_prices *prices);
// Keys for vl_diagset_apply at `level`; at most 2 VL_DIAGSET_MAX. Returns the count. No relinearisation key.
uint32_t vl_diagset_key_requests(const vl_diagset_plan *plan, const vl_params *p, uint16_t level, vl_key_request *out);

typedef struct vl_diagset { // a plan with its encoded diagonals: level and scale fixed
    vl_diagset_plan plan;
    uint16_t level;
    double scale;
    vl_diag *diag;     // giants x babies
    uint64_t *block;   // owns them all
    uint64_t bytes;    // kept in memory
    uint32_t expanded; // diagonals kept as coefficients, transformed at each use
} vl_diagset;
// v[i]: `slots` values of diagonal i, or NULL: zero. No more than `budget` bytes are kept in transformed form: periodic
// ones first, then the others in order; those that do not fit are kept as coefficients (a level + P'th of the memory;
// each use costs one transform a limb). budget UINT64_MAX: all.
velum_status vl_diagset_encode(vl_exec *x, const vl_encoder *e, const vl_diagset_plan *plan,
                               const double complex *const *v, uint16_t level, double scale, uint64_t budget,
                               vl_diagset *out);
// The same from diagonals that are made one at a time: fill(arg, i, v) writes the `period` values with which diagonal i
// repeats (a power of two, at most slots).
typedef void (*vl_diagset_fill)(void *arg, uint32_t i, double complex *v);
velum_status vl_diagset_encode_by(vl_exec *x, const vl_encoder *e, const vl_diagset_plan *plan, vl_diagset_fill fill,
                                  void *arg, uint32_t period, uint16_t level, double scale, uint64_t budget,
                                  vl_diagset *out);
// vl_diagset.bytes for `count` diagonals of that period. *transformed (may be NULL): how many of them fit `budget`.
uint64_t vl_diagset_bytes(const vl_params *p, const vl_diagset_plan *plan, uint32_t period, uint16_t level,
                          uint64_t budget, uint32_t *transformed);
void vl_diagset_free(vl_diagset *set);
size_t vl_diagset_encode_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level);
// d = the map of a, at set->level, scale a->scale * set->scale: not rescaled. a at set->level or above, degree 1; d has
// room for set->level and may be a.
void vl_diagset_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagset *set, vl_ciphertext *d,
                      const vl_ciphertext *a);
size_t vl_diagset_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level);
// The same in the clear: y and x of `slots` values, y is not x.
void vl_diagset_clear_apply(const vl_diagset_plan *plan, const int32_t *offset, const double complex *const *v,
                            const double complex *x, double complex *y);

#endif
