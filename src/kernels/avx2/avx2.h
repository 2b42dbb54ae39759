// SPDX-License-Identifier: Apache-2.0
// The AVX2 + FMA family: residues as integers in doubles, 4 lanes. All results are exact; docs/design/kernels.md has
// the bounds. Ranges are written as multiples of q, of the absolute value; q < 2^50, and a value stays below 2^52 where
// it is multiplied, below 2^53 elsewhere.
#ifndef VELUM_KERNELS_AVX2_H
#define VELUM_KERNELS_AVX2_H

#include "kernels/internal.h"
#include "kernels/ref/ref.h"

#include <immintrin.h>

typedef __m256d vec;
typedef __m256i words;
#define LANES 4

// The twiddles psi^bitrev(t), centred. Those of the last two stages stand alone, half of what they were to read; the
// others have their quotient by q with them.
typedef struct vl_avx2_tables {
    double *w;    // t < n / 4, four and four: twiddle t at 8 (t / 4) + t % 4, its quotient four on
    double *last; // t >= n / 4, at t - n / 4
} vl_avx2_tables;

velum_status vl_avx2_tables_new(vl_modulus *m);
void vl_avx2_tables_free(vl_modulus *m);
void vl_avx2_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src);
void vl_avx2_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar);
void vl_avx2_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                  const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n);
// dst = sum_j s[j] x[j], count <= 64, n a multiple of 8.
void vl_avx2_dot_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *const *x, const uint64_t *s, uint32_t count,
                        size_t n);
void vl_avx2_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                 const uint64_t *s, size_t n);
void vl_avx2_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n);

#define INLINE static inline __attribute__((always_inline))

INLINE words load_words(const uint64_t *p) { return _mm256_loadu_si256((const words *)p); }
INLINE void store_words(uint64_t *p, words v) { _mm256_storeu_si256((words *)p, v); }
INLINE vec load_doubles(const double *p) { return _mm256_loadu_pd(p); }
INLINE vec splat(double x) { return _mm256_set1_pd(x); }
INLINE words splat_words(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
INLINE vec vadd(vec a, vec b) { return _mm256_add_pd(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm256_sub_pd(a, b); }

// A word below 2^52 laid in the mantissa of 2^52 + word, and back.
INLINE vec to_doubles(words x) {
    const vec two52 = splat(0x1p52);
    return vsub(_mm256_castsi256_pd(_mm256_or_si256(x, _mm256_castpd_si256(two52))), two52);
}
INLINE words to_words(vec x) {
    const vec two52 = splat(0x1p52);
    return _mm256_xor_si256(_mm256_castpd_si256(vadd(x, two52)), _mm256_castpd_si256(two52));
}

typedef struct consts {
    vec q, q_inv;
} consts;

INLINE consts consts_of(const vl_modulus *m) { return (consts){splat(m->qd), splat(m->q_inv)}; }

// The integer nearest to a b, for |a b| < 2^51: the sum with 1.5 2^52 has no fraction bits.
INLINE vec round_product(vec a, vec b) {
    const vec magic = splat(0x1.8p52);
    return vsub(_mm256_fmadd_pd(a, b, magic), magic);
}

typedef struct factor {
    vec w, quotient; // an integer |w| <= q/2 and w / q
} factor;

INLINE factor factor_of(uint64_t w, uint64_t q) {
    double centred = w > q / 2 ? -(double)(q - w) : (double)w;
    return (factor){splat(centred), splat(centred / (double)q)};
}

// x w mod q for |x| < 2^52: at most (1/2 + |x| / 2^54) q. high + low = x w exactly; high - round(x w / q) q is an
// integer below 2^53, hence exact, and so is the sum.
INLINE vec mul_factor(vec x, factor f, const consts *c) {
    vec high = _mm256_mul_pd(x, f.w), low = _mm256_fmsub_pd(x, f.w, high);
    return vadd(_mm256_fnmadd_pd(round_product(x, f.quotient), c->q, high), low);
}

// A factor from w and the rounded 1/q: the quotient's two roundings make a product at most (1/2 + |x| / 2^53) q.
INLINE factor factor_from(vec w, const consts *c) { return (factor){w, _mm256_mul_pd(w, c->q_inv)}; }

// a b mod q for a, b in [0, q): at most 3/4 q
INLINE vec mul_pair(vec a, vec b, const consts *c) {
    vec high = _mm256_mul_pd(a, b), low = _mm256_fmsub_pd(a, b, high);
    return vadd(_mm256_fnmadd_pd(round_product(high, c->q_inv), c->q, high), low);
}

// x mod q for |x| < 2^53, |x / q| < 2^51: at most (1/2 + |x| / 2^52 q) q, and never q
INLINE vec reduce(vec x, const consts *c) { return _mm256_fnmadd_pd(round_product(x, c->q_inv), c->q, x); }

// From (-q, q) to [0, q)
INLINE vec make_positive(vec x, const consts *c) {
    return vadd(x, _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ), c->q));
}

INLINE vec load(const uint64_t *p) { return to_doubles(load_words(p)); }
INLINE void store(uint64_t *p, vec x, const consts *c) { store_words(p, to_words(make_positive(x, c))); }

#endif
