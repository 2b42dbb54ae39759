// SPDX-License-Identifier: Apache-2.0
// What the kernel families share: the order of the NTT, the automorphism's tables, the families themselves.
//
// Order of the NTT. Let s be the bit-reversed order's index: the value there is a(psi^(2 bitrev(s) + 1)). Within each
// aligned block of 16 the low four bits of s are rotated right by one: position p holds s = (p & 7) << 1 | p >> 3. So
// the last butterfly stage, on s = 2i and 2i + 1, leaves its sums in the first half of a block and its differences in
// the second; that is where a vector unit has them when it swaps one lane bit for the vector bit before each of the
// last three stages.
#ifndef VELUM_KERNELS_INTERNAL_H
#define VELUM_KERNELS_INTERNAL_H

#include "arith/arith.h"
#include "kernels/kernels.h"

extern const vl_kernels vl_kernels_ref;
#if defined(__x86_64__)
extern const vl_kernels vl_kernels_avx2;
extern const vl_kernels vl_kernels_ifma;
#endif

#define VL_KERNELS_BLOCK 16

// The bit-reversed order's index at a position of the NTT domain.
static inline uint32_t vl_kernels_bitrev_index(uint32_t position) {
    return (position & ~15u) | (position & 7) << 1 | (position >> 3 & 1);
}

// An automorphism maps aligned blocks to aligned blocks, each by one of 16 permutations:
// dst[16 b + p] = src[16 (block[b] >> 4) + perm[block[b] & 15][p]].
typedef struct vl_automorphism_tables {
    _Alignas(64) uint64_t perm[VL_KERNELS_BLOCK][VL_KERNELS_BLOCK];
    uint32_t block[];
} vl_automorphism_tables;

#endif
