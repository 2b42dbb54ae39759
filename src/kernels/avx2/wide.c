// SPDX-License-Identifier: Apache-2.0
// Sums of many products and changes of base. Each product is reduced to at most 3/4 q before it is added; a sum of
// eight more of them and of q/2 is below 8q <= 2^53, hence exact, and is then reduced.
#include "kernels/avx2/avx2.h"

#define TERMS 8

// Few terms at a time over a stretch of coefficients, the sums resting in the L1 cache between: limbs that lie a
// multiple of 4096 bytes apart share the cache's sets, and only so many of them may be read side by side.
#define GROUP 3
#define STRETCH 512

INLINE void dot2_some(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                      const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n) {
    const consts c = consts_of(m);
    double rest[2][STRETCH];
    uint32_t from = 0;
    do {
        const uint32_t end = count - from > GROUP + 1 ? from + GROUP : count;
        for (size_t at = 0; at < n; at += LANES) {
            vec s0 = from == 0 ? _mm256_setzero_pd() : load_doubles(rest[0] + at);
            vec s1 = from == 0 ? _mm256_setzero_pd() : load_doubles(rest[1] + at);
            for (uint32_t j = from; j < end; j++) {
                const vec v = load(x[j] + at);
                s0 = vadd(s0, mul_pair(v, load(k0[j] + at), &c));
                if (k1 != NULL) s1 = vadd(s1, mul_pair(v, load(k1[j] + at), &c));
            }
            s0 = reduce(s0, &c);
            s1 = reduce(s1, &c);
            if (end < count) {
                _mm256_storeu_pd(rest[0] + at, s0);
                _mm256_storeu_pd(rest[1] + at, s1);
            } else {
                store(dst0 + at, s0, &c);
                if (k1 != NULL) store(dst1 + at, s1, &c);
            }
        }
        from = end;
    } while (from < count);
}

void vl_avx2_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                  const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n) {
    const uint64_t *px[64], *p0[64], *p1[64];
    const size_t whole = n - n % LANES;
    for (size_t at = 0; at < n;) {
        const size_t left = at < whole ? whole - at : n - at, length = left < STRETCH ? left : STRETCH;
        for (uint32_t j = 0; j < count; j++) {
            px[j] = x[j] + at;
            p0[j] = k0[j] + at;
            if (k1 != NULL) p1[j] = k1[j] + at;
        }
        if (at >= whole)
            vl_ref_dot2(m, dst0 + at, k1 == NULL ? NULL : dst1 + at, px, p0, k1 == NULL ? NULL : p1, count, length);
        else if (k1 == NULL)
            dot2_some(m, dst0 + at, NULL, px, p0, NULL, count, length);
        else
            dot2_some(m, dst0 + at, dst1 + at, px, p0, p1, count, length);
        at += length;
    }
}

typedef struct scalar_factor {
    double w, quotient;
} scalar_factor;

static scalar_factor scalar_factor_of(uint64_t w, const vl_modulus *m) {
    const double centred = w > m->q / 2 ? -(double)(m->q - w) : (double)w;
    return (scalar_factor){centred, centred / m->qd};
}

INLINE factor factor_splat(const scalar_factor *f) {
    return (factor){_mm256_broadcast_sd(&f->w), _mm256_broadcast_sd(&f->quotient)};
}

INLINE void dot_scalar_rows(uint64_t *dst, const uint64_t *const *x, const scalar_factor *f, uint32_t count, size_t at,
                            const consts *c) {
    vec sum[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (uint32_t j = 0; j < count;) {
        const uint32_t end = count - j > TERMS ? j + TERMS : count;
        for (; j < end; j++) {
            const factor w = factor_splat(&f[j]);
            for (unsigned r = 0; r < 2; r++) sum[r] = vadd(sum[r], mul_factor(load(x[j] + at + r * LANES), w, c));
        }
        for (unsigned r = 0; r < 2; r++) sum[r] = reduce(sum[r], c);
    }
    for (unsigned r = 0; r < 2; r++) store(dst + at + r * LANES, sum[r], c);
}

void vl_avx2_dot_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *const *x, const uint64_t *s, uint32_t count,
                        size_t n) {
    const consts c = consts_of(m);
    scalar_factor f[64];
    for (uint32_t j = 0; j < count; j++) f[j] = scalar_factor_of(s[j], m);
    for (size_t at = 0; at < n; at += 2 * LANES) dot_scalar_rows(dst, x, f, count, at, &c);
}

// v for coefficients [at, at + n), n a multiple of 4
static void quotients(const vl_base_ext *e, double *v, const uint64_t *const *y, size_t at, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        words f = _mm256_setzero_si256();
        for (uint32_t k = 0; k < e->sources; k++) {
            words top = _mm256_srl_epi64(load_words(y[k] + at + i), _mm_cvtsi32_si128((int)e->shift[k]));
            f = _mm256_add_epi64(f, _mm256_mul_epu32(top, splat_words(e->ratio[k])));
        }
        f = _mm256_srli_epi64(_mm256_add_epi64(_mm256_srli_epi64(f, 57), splat_words(1)), 1);
        _mm256_storeu_pd(v + i, to_doubles(f));
    }
}

// Targets [first, first + targets) of coefficients [at, at + n).
INLINE void extend_targets(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, const double *v,
                           size_t at, size_t n, uint32_t first, unsigned targets) {
    scalar_factor hat[2][VL_BASE_MAX], minus_q[2];
    consts c[2];
    for (unsigned t = 0; t < targets; t++) {
        const vl_modulus *p = e->to[first + t];
        c[t] = consts_of(p);
        minus_q[t] = scalar_factor_of(p->q - e->q_mod[first + t], p);
        for (uint32_t k = 0; k < e->sources; k++)
            hat[t][k] = scalar_factor_of(e->hat[(size_t)(first + t) * e->sources + k], p);
    }
    for (size_t i = 0; i < n; i += LANES) {
        vec s[2];
#pragma GCC unroll 2
        for (unsigned t = 0; t < targets; t++) s[t] = mul_factor(load_doubles(v + i), factor_splat(&minus_q[t]), &c[t]);
        for (uint32_t k = 0; k < e->sources;) {
            const uint32_t end = e->sources - k > TERMS ? k + TERMS : e->sources;
            for (; k < end; k++) {
                const vec x = load(y[k] + at + i);
#pragma GCC unroll 2
                for (unsigned t = 0; t < targets; t++)
                    s[t] = vadd(s[t], mul_factor(x, factor_splat(&hat[t][k]), &c[t]));
            }
#pragma GCC unroll 2
            for (unsigned t = 0; t < targets; t++) s[t] = reduce(s[t], &c[t]);
        }
#pragma GCC unroll 2
        for (unsigned t = 0; t < targets; t++) store(dst[first + t] + at + i, s[t], &c[t]);
    }
}

void vl_avx2_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n) {
    double v[STRETCH];
    const size_t end = begin + n - n % LANES;
    for (size_t at = begin; at < end; at += STRETCH) {
        const size_t length = end - at < STRETCH ? end - at : STRETCH;
        quotients(e, v, y, at, length);
        uint32_t j = 0;
        for (; j + 2 <= e->targets; j += 2) extend_targets(e, dst, y, v, at, length, j, 2);
        if (j < e->targets) extend_targets(e, dst, y, v, at, length, j, 1);
    }
    vl_ref_base_extend(e, dst, y, end, n % LANES);
}
