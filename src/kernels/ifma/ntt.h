// SPDX-License-Identifier: Apache-2.0
// Shared by the forward and the inverse NTT: twiddles and the exchange of a lane bit with the vector bit.
#ifndef VELUM_KERNELS_IFMA_NTT_H
#define VELUM_KERNELS_IFMA_NTT_H

#include "kernels/ifma/ifma.h"

typedef struct twiddle {
    vec w, shoup;
} twiddle;

INLINE twiddle twiddle_splat(const uint64_t *table, size_t t) {
    const uint64_t *p = table + (t >> 3 << 4) + (t & 7);
    return (twiddle){splat(p[0]), splat(p[8])};
}

// Eight in a row; t a multiple of 8.
INLINE twiddle twiddle_load(const uint64_t *table, size_t t) {
    return (twiddle){load(table + 2 * t), load(table + 2 * t + 8)};
}

// A product's value plus `bias`, loose.
INLINE vec mul_shoup_add(vec bias, vec x, twiddle t, const consts *c) {
    return mul_lo(mul_lo(bias, x, t.w), mul_hi(zero(), x, t.shoup), c->minus_q);
}

// A unit's twist, out[a] for words 8a to 8a + 7: rho^(8a + c) = rho^c rho^(8a). Making the companions here is cheaper
// than reading them. With 2^52 = B q + r52: w 2^52 / q = w B + w r52 / q, and the sum of w B and the high half of
// w r52_shoup is its floor or one less; the remainder w 2^52 - s q tells which.
INLINE void twist_make(twiddle *out, const uint64_t *table, size_t unit, const wide_consts *k) {
    const consts *c = &k->c;
    const twiddle base = twiddle_load(table, 16 * unit);
    out[0] = base;
#pragma GCC unroll 8
    for (unsigned a = 1; a < 8; a++) {
        const twiddle by = twiddle_splat(table, 16 * unit + 8 + a);
        const vec w = subtract_once(mul_shoup(base.w, by.w, by.shoup, c), c->q);
        const vec s = mul_hi(mul_lo(zero(), w, k->barrett), w, k->r52_shoup);
        const vec r = vand(mul_lo(zero(), s, c->minus_q), c->mask);
        out[a] = (twiddle){w, _mm512_mask_add_epi64(s, _mm512_cmpge_epu64_mask(r, c->q), s, splat(1))};
    }
}

// Exchanges lane bit 2, 1 or 0 with the bit that tells a from b. Each is its own inverse.
INLINE void exchange2(vec *a, vec *b) {
    vec low = _mm512_shuffle_i64x2(*a, *b, 0x44), high = _mm512_shuffle_i64x2(*a, *b, 0xee);
    *a = low;
    *b = high;
}

INLINE void exchange1(vec *a, vec *b) {
    const vec even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    vec low = _mm512_permutex2var_epi64(*a, even, *b), high = _mm512_permutex2var_epi64(*a, odd, *b);
    *a = low;
    *b = high;
}

INLINE void exchange0(vec *a, vec *b) {
    vec low = _mm512_unpacklo_epi64(*a, *b), high = _mm512_unpackhi_epi64(*a, *b);
    *a = low;
    *b = high;
}

#endif
