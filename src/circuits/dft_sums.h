// SPDX-License-Identifier: Apache-2.0
// The sums of products of a transform's factor, a stretch of coefficients at a time: what all ways to apply a
// vl_diagonal_map share.
#ifndef VELUM_CIRCUITS_DFT_SUMS_H
#define VELUM_CIRCUITS_DFT_SUMS_H

#include "circuits/dft.h"

#define VL_DFT_BLOCK 2048u // coefficients at most: two polynomials of 16 babies are 512 KiB
#define VL_DFT_STAGGER 40u // words between blocks and between limbs of scratch
#define VL_DFT_GROUP 16u   // diagonals a sum takes at a time
#define VL_DFT_SUM_WORDS ((2 + VL_DFT_GROUP) * (size_t)VL_DFT_BLOCK)

typedef struct vl_dft_block { // words [begin, begin + block) of limb i
    const vl_params *p;
    const vl_diagonal_map *map;
    uint32_t nq, i, block; // limbs of Q: limb nq is the first of P
    size_t begin;
} vl_dft_block;

// (d0, d1) = the sum of giant g's diagonals times the babies. babies: both polynomials of one after the other, each
// VL_DFT_BLOCK + VL_DFT_STAGGER words after the last. scratch: VL_DFT_SUM_WORDS.
void vl_dft_sum_giant(const vl_dft_block *b, uint32_t g, const uint64_t *babies, uint64_t *d0, uint64_t *d1,
                      uint64_t *scratch);

#endif
