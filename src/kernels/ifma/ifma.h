// SPDX-License-Identifier: Apache-2.0
// The AVX-512 IFMA family: 52 x 52-bit products, 8 lanes. Bounds and their proofs: docs/design/kernels.md.
//
// A multiplier reads the low 52 bits of its operands, so a word may carry garbage above bit 51 as long as its next use
// is a product or a sum that is masked later: such words are called `loose` here.
#ifndef VELUM_KERNELS_IFMA_H
#define VELUM_KERNELS_IFMA_H

#include "kernels/internal.h"

#include <immintrin.h>

typedef __m512i vec;
#define LANES 8

// Twiddles lie eight and eight: word t of a table at 16 (t / 8) + t % 8, its companion floor(w 2^52 / q) eight on.
//
// The last six stages of 64 words, or the first six of the inverse: the twiddle of group g is word 2^stage + g of
// `splat` in stages 0, 1, 2; in stages 3, 4, 5 vectors h = 0..3 hold them as the butterflies want them.
typedef struct vl_ifma_stages {
    uint64_t splat[16], lanes[3][4][16];
} vl_ifma_stages;

// A unit is what the last pass and the six stages after it work on: 64 words (log_n 6 to 9), 256 (10 and 13) or 512.
// In those six stages the twiddles of unit b are those of a unit that is the same for all b, after word l of each 64
// has been multiplied by rho^l, rho = psi^(1 + 2 bitrev(b)): the unit's twist. Proof: docs/design/kernels.md.
typedef struct vl_ifma_tables {
    uint64_t *w;                       // psi^bitrev(t), t < n / 64: all stages but the last six
    uint64_t *twist;                   // for each unit rho^c, c < 8, then rho^(8a), a < 8
    vl_ifma_stages *forward, *inverse; // for each 64 words of a unit
    bool small;                        // the NTT needs no reductions: floor(2^52 / q) >= 64
} vl_ifma_tables;

// Below log_n = 6 the reference's NTT and tables serve.
#define VL_IFMA_MIN_LOG_N 6

// log2 of the 64s in a unit
static inline unsigned vl_ifma_log_unit(unsigned log_n) { return log_n < 10 ? 0 : log_n == 10 || log_n == 13 ? 2 : 3; }

velum_status vl_ifma_tables_new(vl_modulus *m);
void vl_ifma_tables_free(vl_modulus *m);
void vl_ifma_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src);
void vl_ifma_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar);
void vl_ifma_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                  const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n);
// dst = sum_j s[j] x[j], count <= 4096, n a multiple of 8.
void vl_ifma_dot_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *const *x, const uint64_t *s, uint32_t count,
                        size_t n);
void vl_ifma_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                 const uint64_t *s, size_t n);
void vl_ifma_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n);
void vl_ifma_automorphism(const vl_automorphism *a, uint64_t *dst, const uint64_t *src);
void vl_ifma_automorphism_part(const vl_automorphism *a, uint64_t *dst, const uint64_t *src, size_t begin, size_t n);

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const uint64_t *p) { return _mm512_loadu_si512(p); }
INLINE void store(uint64_t *p, vec v) { _mm512_storeu_si512(p, v); }
INLINE vec splat(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE vec zero(void) { return _mm512_setzero_si512(); }
INLINE vec vadd(vec a, vec b) { return _mm512_add_epi64(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm512_sub_epi64(a, b); }
INLINE vec vand(vec a, vec b) { return _mm512_and_si512(a, b); }
INLINE vec mul_lo(vec sum, vec a, vec b) { return _mm512_madd52lo_epu64(sum, a, b); }
INLINE vec mul_hi(vec sum, vec a, vec b) { return _mm512_madd52hi_epu64(sum, a, b); }
// x - q where x >= q, else x: the smaller of the two as unsigned words
INLINE vec subtract_once(vec x, vec q) { return _mm512_min_epu64(x, vsub(x, q)); }

typedef struct consts {
    vec q, q2, minus_q, mask; // minus_q = 2^52 - q
} consts;

INLINE consts consts_of(const vl_modulus *m) {
    return (consts){splat(m->q), splat(2 * m->q), splat(((uint64_t)1 << 52) - m->q), splat(((uint64_t)1 << 52) - 1)};
}

// x w mod q in [0, 2q), loose; x < 2^52 or loose
INLINE vec mul_shoup_loose(vec x, vec w, vec shoup, const consts *c) {
    vec quotient = mul_hi(zero(), x, shoup);
    return mul_lo(mul_lo(zero(), x, w), quotient, c->minus_q);
}

INLINE vec mul_shoup(vec x, vec w, vec shoup, const consts *c) {
    return vand(mul_shoup_loose(x, w, shoup, c), c->mask);
}

// Constants for reducing sums of products.
typedef struct wide_consts {
    consts c;
    vec r52, r52_shoup, barrett; // 2^52 mod q, its companion, floor(2^52 / q)
} wide_consts;

INLINE wide_consts wide_consts_of(const vl_modulus *m) {
    return (wide_consts){consts_of(m), splat(m->r52), splat(m->r52_shoup), splat(m->barrett52)};
}

// (hi 2^52 + lo) mod q for any lo and hi + lo / 2^52 < 2^52.
// hi r52 less one multiple of q is in [0, 2q), lo mod 2^52 less another in [0, 2q): together below 4q < 2^52.
INLINE vec reduce_wide(vec lo, vec hi, const wide_consts *k) {
    hi = vadd(hi, _mm512_srli_epi64(lo, 52));
    vec quotient = mul_hi(mul_hi(zero(), hi, k->r52_shoup), lo, k->barrett);
    vec r = mul_lo(mul_lo(lo, hi, k->r52), quotient, k->c.minus_q);
    r = vand(r, k->c.mask);
    return subtract_once(subtract_once(r, k->c.q2), k->c.q);
}

// x mod q for x < 2^52
INLINE vec reduce_word(vec x, const wide_consts *k) {
    vec quotient = mul_hi(zero(), x, k->barrett);
    return subtract_once(vand(mul_lo(x, quotient, k->c.minus_q), k->c.mask), k->c.q);
}

// hi < 16 q, the sum of up to 64 products' high halves, brought below 2q; lo's carry then still fits 52 bits.
INLINE vec settle_high(vec hi, vec q) {
    vec q2 = vadd(q, q), q4 = vadd(q2, q2), q8 = vadd(q4, q4);
    return subtract_once(subtract_once(subtract_once(hi, q8), q4), q2);
}

// The most products of residues whose high halves need no settling: 15 q^2 / 2^52 + 15 < 2^52.
#define VL_IFMA_PLAIN_TERMS 15

// The lanes of a vector that an array with so many words left has.
INLINE __mmask8 tail_mask(size_t left) { return left >= LANES ? 0xff : (__mmask8)((1u << left) - 1); }

// Runs the body for each vector of n words, `at` the first word's index; the last may be partial. `whole` is a constant
// in each of the two copies of the body.
#define FOR_VECTORS(n, ...)                                                                                            \
    do {                                                                                                               \
        size_t at = 0;                                                                                                 \
        for (; at + LANES <= (n); at += LANES) {                                                                       \
            const bool whole = true;                                                                                   \
            const __mmask8 part = 0xff;                                                                                \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
        if (at < (n)) {                                                                                                \
            const bool whole = false;                                                                                  \
            const __mmask8 part = tail_mask((n)-at);                                                                   \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    } while (0)
#define GET(p) (whole ? load((p) + at) : _mm512_maskz_loadu_epi64(part, (p) + at))
#define PUT(p, v) (whole ? store((p) + at, (v)) : _mm512_mask_storeu_epi64((p) + at, part, (v)))

#endif
