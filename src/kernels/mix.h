// SPDX-License-Identifier: Apache-2.0
// A matrix of scalars times limbs: how the vector families pass over the limbs. docs/design/kernels.md has the bounds.
//
// Winograd's inner product ("A new algorithm for inner product", IEEE Trans. Computers C-17, 1968) takes one product
// for two terms and is exact in integers:
//   s_0 x_0 + s_1 x_1 = (x_0 + s_1)(x_1 + s_0) - x_0 x_1 - s_0 s_1;
// the second product serves all rows, the third all coefficients.
//
// Limbs lie megabytes apart, on as many pages and in the same few sets of a cache, so a pass copies a strip of up to
// VL_MIX_DEPTH of them side by side, then makes all rows' sums of it.
#ifndef VELUM_KERNELS_MIX_H
#define VELUM_KERNELS_MIX_H

#include "kernels/internal.h"

#define VL_MIX_DEPTH 96  // terms of a pass at most; even
#define VL_MIX_STRIP 128 // words of a strip at most
#define VL_MIX_GROUP 64  // rows of a pass at most

// dst[r] (+)= sum_j s[r stride + j] x[j], j < terms, for r < rows and coefficients [at, at + words), words a multiple
// of 16. For an odd number of terms the last has no partner.
typedef struct vl_mix_pass {
    const vl_modulus *m;
    uint64_t *const *dst;
    const uint64_t *const *x, *s;
    const uint64_t *pairs; // first pass: row r's -(s_0 s_1 + s_2 s_3 + ...) in (0, q], of all passes; else NULL: dst +=
    size_t stride, at, words;
    uint32_t rows, terms;
    const uint64_t *const *next; // `terms` limbs whose strip at next_at is wanted soon, of as many words; or NULL
    size_t next_at;
} vl_mix_pass;

// vl_kernels.mix by passes.
void vl_mix_passes(void (*pass)(const vl_mix_pass *p), const vl_modulus *m, uint64_t *const *dst, uint32_t rows,
                   const uint64_t *const *x, uint32_t count, const uint64_t *s, size_t n);

// Prefetches what the next pass wants of words [at, at + words) of the strip, a share for rows [row, row + rows).
static inline void vl_mix_fetch(const vl_mix_pass *p, size_t at, size_t words, uint32_t row, uint32_t rows) {
    if (!p->next) return;
    const uint32_t end = p->terms * (row + rows) / p->rows;
    for (uint32_t j = p->terms * row / p->rows; j < end; j++)
        for (size_t line = 0; line < words; line += 8)
            __builtin_prefetch(p->next[j] + p->next_at + at + line, 0, 2); // nearer than L2 it would be evicted again
}

// The next rows to make side by side of `left`, in as few and as equal parts of at most `most` as it takes.
static inline uint32_t vl_mix_rows(uint32_t left, uint32_t most) {
    const uint32_t parts = (left + most - 1) / most;
    return (left + parts - 1) / parts;
}

#endif
