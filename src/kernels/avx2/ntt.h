// SPDX-License-Identifier: Apache-2.0
// Shared by the forward and the inverse NTT: twiddles and the exchange of a lane bit with the vector bit.
#ifndef VELUM_KERNELS_AVX2_NTT_H
#define VELUM_KERNELS_AVX2_NTT_H

#include "kernels/avx2/avx2.h"

INLINE factor twiddle_splat(const double *table, size_t t) {
    const double *p = table + (t >> 2 << 3) + (t & 3);
    return (factor){_mm256_broadcast_sd(p), _mm256_broadcast_sd(p + 4)};
}

// Exchanges lane bit 1 or 0 with the bit that tells a from b. Each is its own inverse.
INLINE void exchange1(vec *a, vec *b) {
    vec low = _mm256_permute2f128_pd(*a, *b, 0x20), high = _mm256_permute2f128_pd(*a, *b, 0x31);
    *a = low;
    *b = high;
}

INLINE void exchange0(vec *a, vec *b) {
    vec low = _mm256_unpacklo_pd(*a, *b), high = _mm256_unpackhi_pd(*a, *b);
    *a = low;
    *b = high;
}

#endif
