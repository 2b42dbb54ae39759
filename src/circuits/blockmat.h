// SPDX-License-Identifier: Apache-2.0
// Matrices larger than the slots: y = W x + bias, W rows x cols of any size, x and y over several ciphertexts.
//
// Layout. With P = slots / lanes positions, feature c lies in ciphertext c / P at position c mod P, in the layout of
// lintrans.h. A side that takes one ciphertext has a period (a power of two, its vector repeats); a longer one has
// period P. W is cut into outs x inputs blocks that share one plan of lintrans.h. Babies are made once an input, for
// all block rows; a giant turns once an output, for the sum over all block columns; rescale, folds and bias are spent
// once an output. All of it is cyclic: no invalid positions, unless the matrix has one block, and then lintrans.h's
// copies are used where they are cheaper.
#ifndef VELUM_CIRCUITS_BLOCKMAT_H
#define VELUM_CIRCUITS_BLOCKMAT_H

#include "circuits/lintrans.h"

#define VL_BLOCKMAT_MAX 64 // inputs, outputs

typedef struct vl_blockmat_plan { // pure data
    uint32_t rows, cols;
    uint32_t inputs, outs;  // ciphertexts
    vl_lintrans_plan block; // of every block
} vl_blockmat_plan;

// What plans of one matrix have in common. period_in, period_out: 0 for the smallest power of two that holds cols, rows
// (at most P). VELUM_E_FORMAT if it makes no sense, VELUM_E_LIMIT beyond VL_BLOCKMAT_MAX ciphertexts.
typedef struct vl_blockmat_shape {
    uint32_t rows, cols, slots, lanes, period_in, period_out;
} vl_blockmat_shape;
// giants = ceil(D / babies), D = min(P_in, P_out).
velum_status vl_blockmat_plan_split(const vl_blockmat_shape *shape, uint32_t babies, uint32_t giants,
                                    vl_blockmat_plan *plan);
velum_status vl_blockmat_plan_best(const vl_blockmat_shape *shape, const vl_lintrans_prices *prices,
                                   vl_blockmat_plan *plan, vl_lintrans_cost *cost);
vl_lintrans_cost vl_blockmat_price(const vl_blockmat_plan *plan, const vl_lintrans_prices *prices);
// As vl_lintrans_key_requests.
uint32_t vl_blockmat_key_requests(const vl_blockmat_plan *plan, const vl_params *p, uint16_t level,
                                  vl_key_request *out);

typedef struct vl_blockmat { // a plan with its encoded diagonals
    vl_blockmat_plan plan;
    uint16_t level;
    double scale;
    vl_diag *diag;                 // as in bsgs.h
    uint64_t *block;               // owns them
    vl_poly bias[VL_BLOCKMAT_MAX]; // of each output; x NULL: none
    uint64_t bytes;
    uint32_t expanded; // diagonals kept as coefficients
} vl_blockmat;
// weights: rows x cols, row-major. bias: rows values or NULL. budget: as vl_lintrans_encode_within.
velum_status vl_blockmat_encode(vl_exec *x, const vl_encoder *e, const vl_blockmat_plan *plan, const double *weights,
                                const double *bias, uint16_t level, double scale, double in_scale, uint64_t budget,
                                vl_blockmat *out);
void vl_blockmat_free(vl_blockmat *bm);
size_t vl_blockmat_encode_scratch(const vl_params *p, const vl_blockmat_plan *plan, uint16_t level);
// d: `outs` ciphertexts at level - 1 (rescaled). a: `inputs`, at bm->level or above, one scale; none of d's storage.
void vl_blockmat_apply(vl_exec *x, const vl_eval_keys *keys, const vl_blockmat *bm, vl_ciphertext *d,
                       const vl_ciphertext *a);
size_t vl_blockmat_scratch(const vl_params *p, const vl_blockmat_plan *plan, uint16_t level);

#endif
