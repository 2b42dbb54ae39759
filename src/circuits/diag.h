// SPDX-License-Identifier: Apache-2.0
// Encoded diagonals, in the form that is smallest for what they hold and where they are kept.
//
// - Full: a plaintext polynomial, N words a limb.
// - Periodic: values that repeat with `period` slots lie in the subring of X^gap, gap = N / (2 period). Of the N words
// of
//   a limb only 2 period are distinct: word j of each run of `gap` positions (gap >= 16), or of each aligned block of
//   16 (gap 2, 4, 8: the order of the NTT permutes within such blocks, see kernels). Only distinct words are kept.
// - Coefficients: signed words for all limbs together, N or, of a periodic one, the N / gap at multiples of gap (all
//   others are zero); a limb is transformed when it is used. nq + np times smaller, at the price of a transform a limb
//   at each use.
#ifndef VELUM_CIRCUITS_DIAG_H
#define VELUM_CIRCUITS_DIAG_H

#include "ckks/ckks.h"

typedef struct vl_diag {
    uint64_t *x;    // NULL: zero; storage belongs to whoever made it
    uint32_t words; // a limb: N, N / gap, or 0 for coefficients
    uint32_t gap;   // of coefficients; 0: 1
} vl_diag;

// Words a limb of a diagonal that repeats with `period` slots (a power of two, at most N/2).
uint32_t vl_diag_words(const vl_ring *ring, uint32_t period);
// The smallest power of two with which `count` values (a power of two) repeat exactly; 0 if all are zero.
uint32_t vl_diag_period(const double complex *v, uint32_t count);
// Bytes in memory, a multiple of 64.
uint64_t vl_diag_bytes(const vl_ring *ring, uint32_t words, uint32_t nq, uint32_t np);
uint64_t vl_diag_coefficient_bytes(const vl_ring *ring, uint32_t period);
// Coefficients as residues of a limb: t[N].
void vl_diag_residues(const vl_ring *ring, const vl_modulus *q, vl_diag d, uint64_t *t);
// Encodes `period` values (real: v, or complex: z, the other NULL) into d.x, which has room for vl_diag_bytes.
velum_status vl_diag_encode(vl_exec *x, const vl_encoder *e, const double *v, const double complex *z, uint32_t period,
                            double scale, uint32_t nq, uint32_t np, vl_diag d);
size_t vl_diag_encode_scratch(const vl_params *p, uint32_t nq, uint32_t np);
// Coefficients [begin, begin + n) of limb i out of a periodic diagonal; begin and n are multiples of 16.
void vl_diag_expand(const vl_ring *ring, vl_diag d, uint32_t i, size_t begin, size_t n, uint64_t *out);

#endif
