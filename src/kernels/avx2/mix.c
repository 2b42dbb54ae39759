// SPDX-License-Identifier: Apache-2.0
// A matrix of scalars times limbs, see kernels/mix.h: four words and up to four rows at a time. A product's two halves
// are left as the doubles that rounding to a multiple of 2^51 makes; sums are of their bits, as integers.
#include "kernels/mix.h"
#include "kernels/avx2/avx2.h"

#define ROWS 4
#define FEW 64 // terms that are summed where they lie, if rows are few

#define HIGH 0x1.8p103 // a double with it added is a multiple of 2^51 and has that as its low bits
#define LOW 0x1.8p52
#define HALF 29 // bits of a sum that are reduced at a time

typedef struct tile {
    _Alignas(64) double x[VL_MIX_DEPTH][LANES];
    double start[LANES]; // -(x_0 x_1 + x_2 x_3 + ...) in (-q, 0]
} tile;

typedef struct mix_consts {
    consts c;
    words high_bits, low_bits;  // what all products of a pass add to the sums too much, low less a multiple of q
    factor top, middle, bottom; // 2^80, 2^51, 2^29 mod q
} mix_consts;

typedef struct sums {
    words high, low;
} sums;

static words bits_of(double x) { return _mm256_castpd_si256(splat(x)); }

static mix_consts mix_consts_of(const vl_modulus *m, uint32_t products) {
    const uint64_t q = m->q, two29 = ((uint64_t)1 << 29) % q, two51 = ((uint64_t)1 << 51) % q;
    const uint64_t positive = (((uint64_t)1 << 57) / q + 1) * q; // |low| < 2^57
    const uint64_t high = (uint64_t)_mm256_extract_epi64(bits_of(HIGH), 0);
    const uint64_t low = (uint64_t)_mm256_extract_epi64(bits_of(LOW), 0);
    return (mix_consts){consts_of(m),
                        splat_words(products * high),
                        splat_words(products * low - positive),
                        factor_of(vl_arith_mul(two51, two29, q), q),
                        factor_of(two51, q),
                        factor_of(two29, q)};
}

// Adds x y for integers in [0, 2q), q < 2^50: x y < 2^102 is h 2^51 + l, |l| <= 2^50, both exact.
INLINE void accumulate(sums *s, vec x, vec y) {
    const vec high = _mm256_fmadd_pd(x, y, splat(HIGH));
    const vec low = _mm256_fmadd_pd(x, y, vsub(splat(HIGH + LOW), high));
    s->high = _mm256_add_epi64(s->high, _mm256_castpd_si256(high));
    s->low = _mm256_add_epi64(s->low, _mm256_castpd_si256(low));
}

// The sum and |more| <= 2q, mod q: at most q/2 and a little.
INLINE vec reduce_deep(const sums *s, vec more, const mix_consts *k) {
    const words half = splat_words(((uint64_t)1 << HALF) - 1);
    const words high = _mm256_sub_epi64(s->high, k->high_bits), low = _mm256_sub_epi64(s->low, k->low_bits);
    more = vadd(more, mul_factor(to_doubles(_mm256_srli_epi64(high, HALF)), k->top, &k->c));
    more = vadd(more, mul_factor(to_doubles(_mm256_and_si256(high, half)), k->middle, &k->c));
    more = vadd(more, mul_factor(to_doubles(_mm256_srli_epi64(low, HALF)), k->bottom, &k->c));
    return reduce(vadd(more, to_doubles(_mm256_and_si256(low, half))), &k->c);
}

static void gather(tile *t, const vl_mix_pass *p, const mix_consts *k) {
    for (uint32_t j = 0; j < p->terms; j++)
        for (size_t at = 0; at < p->words; at += LANES) _mm256_store_pd(t[at / LANES].x[j], load(p->x[j] + p->at + at));
    for (size_t i = 0; i < p->words / LANES; i++) {
        sums s = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (uint32_t j = 0; j + 1 < p->terms; j += 2)
            accumulate(&s, _mm256_load_pd(t[i].x[j]), _mm256_load_pd(t[i].x[j + 1]));
        const vec sum = make_positive(reduce_deep(&s, _mm256_setzero_pd(), k), &k->c);
        _mm256_store_pd(t[i].start, vsub(_mm256_setzero_pd(), sum));
    }
}

// Rows [row, row + rows) of tile t at word `at`; k is for the pairs, last for them and the term without a partner.
INLINE void mix_rows(const vl_mix_pass *p, const tile *t, size_t at, uint32_t row, double (*scalar)[VL_MIX_DEPTH],
                     const mix_consts *k, unsigned rows) {
    sums s[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < rows; r++) s[r].high = s[r].low = _mm256_setzero_si256();
    uint32_t j = 0;
    for (; j + 1 < p->terms; j += 2) {
        const vec a = _mm256_load_pd(t->x[j]), b = _mm256_load_pd(t->x[j + 1]);
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++)
            accumulate(&s[r], vadd(a, _mm256_broadcast_sd(&scalar[r][j + 1])),
                       vadd(b, _mm256_broadcast_sd(&scalar[r][j])));
    }
#pragma GCC unroll 4
    for (unsigned r = 0; r < rows; r++) {
        if (j < p->terms) accumulate(&s[r], _mm256_load_pd(t->x[j]), _mm256_broadcast_sd(&scalar[r][j]));
        uint64_t *dst = p->dst[row + r] + at;
        const vec begun = p->pairs ? splat((double)p->pairs[row + r]) : load(dst);
        store(dst, reduce_deep(&s[r], vadd(begun, _mm256_load_pd(t->start)), k), &k->c);
    }
}

static void pass(const vl_mix_pass *p) {
    const mix_consts pairs = mix_consts_of(p->m, p->terms / 2), all = mix_consts_of(p->m, (p->terms + 1) / 2);
    tile t[VL_MIX_STRIP / LANES];
    gather(t, p, &pairs);
    for (uint32_t row = 0, rows; row < p->rows; row += rows) {
        double scalar[ROWS][VL_MIX_DEPTH];
        rows = vl_mix_rows(p->rows - row, ROWS);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t j = 0; j < p->terms; j++) scalar[r][j] = (double)(int64_t)p->s[(row + r) * p->stride + j];
        for (size_t i = 0; i < p->words / LANES; i++) {
            const size_t at = p->at + i * LANES;
            if (i % 2 == 0) vl_mix_fetch(p, i * LANES, 2 * LANES, row, rows);
#define CASE(r)                                                                                                        \
    case r: mix_rows(p, &t[i], at, row, scalar, &all, r); break
            switch (rows) {
                CASE(1);
                CASE(2);
                CASE(3);
                CASE(4);
            }
#undef CASE
        }
    }
}

void vl_avx2_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                 const uint64_t *s, size_t n) {
    if (rows > 3 || count > FEW)
        vl_mix_passes(pass, m, dst, rows, x, count, s, n);
    else
        for (uint32_t r = 0; r < rows; r++) vl_avx2_dot_scalar(m, dst[r], x, s + (size_t)r * count, count, n);
}
