// SPDX-License-Identifier: Apache-2.0
// Sums of many products, changes of base, automorphisms. Sums are kept as low and high halves of the products, in
// registers; each result is reduced once.
#include "kernels/ifma/ifma.h"

#define ROWS 4 // vectors a round

typedef struct sums {
    vec lo[ROWS], hi[ROWS];
} sums;

INLINE void clear(sums *s, unsigned rows) {
    for (unsigned r = 0; r < rows; r++) s->lo[r] = s->hi[r] = zero();
}

INLINE void accumulate(sums *s, unsigned r, vec x, vec y) {
    s->lo[r] = mul_lo(s->lo[r], x, y);
    s->hi[r] = mul_hi(s->hi[r], x, y);
}

INLINE vec get(const uint64_t *p, __mmask8 part, bool whole) {
    return whole ? load(p) : _mm512_maskz_loadu_epi64(part, p);
}

INLINE void put(uint64_t *p, vec v, __mmask8 part, bool whole) {
    if (whole)
        store(p, v);
    else
        _mm512_mask_storeu_epi64(p, part, v);
}

INLINE void finish(uint64_t *dst, const sums *s, unsigned rows, bool settle, const wide_consts *k, __mmask8 part,
                   bool whole) {
#pragma GCC unroll 4
    for (unsigned r = 0; r < rows; r++) {
        vec hi = settle ? settle_high(s->hi[r], k->c.q) : s->hi[r];
        put(dst + r * LANES, reduce_wide(s->lo[r], hi, k), part, whole);
    }
}

// Long sums are taken a few terms at a time over a stretch of coefficients, the halves resting in the L1 cache between:
// limbs that lie a multiple of 4096 bytes apart share the cache's sets, and only so many of them may be read side by
// side.
#define GROUP 3
#define STRETCH 256

typedef struct resting {
    _Alignas(64) uint64_t lo[2][STRETCH], hi[2][STRETCH];
} resting;

typedef struct dot_job {
    wide_consts k;
    uint64_t *dst[2];
    const uint64_t *const *x, *const *key[2];
    bool settle;
} dot_job;

// Adds terms [from, to) of coefficients [at, at + 8 rows), which rest at word `slot`; partial only with rows = 1.
INLINE void dot_rows(const dot_job *j, resting *rest, size_t slot, size_t at, uint32_t from, uint32_t to, bool first,
                     bool last, unsigned outputs, unsigned rows, __mmask8 part, bool whole) {
    sums s[2];
#pragma GCC unroll 2
    for (unsigned o = 0; o < outputs; o++) {
        clear(&s[o], rows);
        if (first) continue;
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) {
            s[o].lo[r] = load(rest->lo[o] + slot + r * LANES);
            s[o].hi[r] = load(rest->hi[o] + slot + r * LANES);
        }
    }
    for (uint32_t i = from; i < to; i++) {
        const uint64_t *px = j->x[i] + at, *p0 = j->key[0][i] + at, *p1 = outputs > 1 ? j->key[1][i] + at : NULL;
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) {
            vec v = get(px + r * LANES, part, whole);
            accumulate(&s[0], r, v, get(p0 + r * LANES, part, whole));
            if (outputs > 1) accumulate(&s[1], r, v, get(p1 + r * LANES, part, whole));
        }
    }
#pragma GCC unroll 2
    for (unsigned o = 0; o < outputs; o++) {
        if (last) {
            finish(j->dst[o] + at, &s[o], rows, j->settle, &j->k, part, whole);
            continue;
        }
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) {
            store(rest->lo[o] + slot + r * LANES, s[o].lo[r]);
            store(rest->hi[o] + slot + r * LANES, s[o].hi[r]);
        }
    }
}

INLINE void dot_group(const dot_job *j, resting *rest, size_t at, size_t n, uint32_t from, uint32_t to, bool first,
                      bool last, unsigned outputs) {
    size_t slot = 0;
    for (; slot + ROWS * LANES <= n; slot += ROWS * LANES)
        dot_rows(j, rest, slot, at + slot, from, to, first, last, outputs, ROWS, 0xff, true);
    for (; slot < n; slot += LANES)
        dot_rows(j, rest, slot, at + slot, from, to, first, last, outputs, 1, tail_mask(n - slot), false);
}

INLINE void dot_all(const dot_job *j, uint32_t count, size_t n, unsigned outputs) {
    resting rest;
    for (size_t at = 0; at < n; at += STRETCH) {
        const size_t length = n - at < STRETCH ? n - at : STRETCH;
        if (count <= GROUP + 1) {
            dot_group(j, &rest, at, length, 0, count, true, true, outputs);
            continue;
        }
        dot_group(j, &rest, at, length, 0, GROUP, true, false, outputs);
        uint32_t from = GROUP;
        for (; from + GROUP < count; from += GROUP)
            dot_group(j, &rest, at, length, from, from + GROUP, false, false, outputs);
        dot_group(j, &rest, at, length, from, count, false, true, outputs);
    }
}

void vl_ifma_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                  const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n) {
    const dot_job j = {wide_consts_of(m), {dst0, dst1}, x, {k0, k1}, count > VL_IFMA_PLAIN_TERMS};
    if (k1 == NULL)
        dot_all(&j, count, n, 1);
    else
        dot_all(&j, count, n, 2);
}

INLINE void dot_scalar_rows(const wide_consts *k, uint64_t *dst, const uint64_t *const *x, const uint64_t *s,
                            uint32_t count, size_t at, unsigned rows) {
    sums sum;
    clear(&sum, rows);
    for (uint32_t j = 0; j < count;) {
        // After settling hi < 2q, 48 more products add less than 12 q.
        const uint32_t end = count - j > 48 ? j + 48 : count;
        for (; j < end; j++) {
            const vec w = splat(s[j]);
#pragma GCC unroll 4
            for (unsigned r = 0; r < rows; r++) accumulate(&sum, r, load(x[j] + at + r * LANES), w);
        }
        if (j < count)
            for (unsigned r = 0; r < rows; r++) sum.hi[r] = settle_high(sum.hi[r], k->c.q);
    }
    finish(dst + at, &sum, rows, count > VL_IFMA_PLAIN_TERMS, k, 0xff, true);
}

void vl_ifma_dot_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *const *x, const uint64_t *s, uint32_t count,
                        size_t n) {
    const wide_consts k = wide_consts_of(m);
    size_t at = 0;
    for (; at + ROWS * LANES <= n; at += ROWS * LANES) dot_scalar_rows(&k, dst, x, s, count, at, ROWS);
    for (; at < n; at += LANES) dot_scalar_rows(&k, dst, x, s, count, at, 1);
}

// Limbs lie far apart, and hardware prefetching does not keep up with a dozen streams that each cross a page every 512
// words: words so far ahead are asked for, a few at a time where the work is.
#define AHEAD 64

// Targets [first, first + targets) of coefficients [at, at + 8 rows); prefetches those `ahead` further on.
INLINE void extend_targets(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, const vec *v,
                           size_t at, size_t ahead, uint32_t first, unsigned targets, unsigned rows, __mmask8 part,
                           bool whole) {
    sums s[2];
#pragma GCC unroll 2
    for (unsigned t = 0; t < targets; t++) { // v Q is one more product: v <= 64 times -Q mod p
        const vec minus_q = splat(e->to[first + t]->q - e->q_mod[first + t]);
        clear(&s[t], rows);
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) {
            if (ahead) __builtin_prefetch(dst[first + t] + at + ahead + r * LANES, 1, 3);
            accumulate(&s[t], r, v[r], minus_q);
        }
    }
    const uint64_t *hat = e->hat + (size_t)first * e->sources;
    for (uint32_t i = 0; i < e->sources; i++) {
        vec x[ROWS];
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) x[r] = get(y[i] + at + r * LANES, part, whole);
#pragma GCC unroll 2
        for (unsigned t = 0; t < targets; t++) {
            const vec h = splat(hat[t * e->sources + i]);
#pragma GCC unroll 4
            for (unsigned r = 0; r < rows; r++) accumulate(&s[t], r, x[r], h);
        }
    }
#pragma GCC unroll 2
    for (unsigned t = 0; t < targets; t++) {
        const wide_consts k = wide_consts_of(e->to[first + t]);
        finish(dst[first + t] + at, &s[t], rows, e->sources >= VL_IFMA_PLAIN_TERMS, &k, part, whole);
    }
}

INLINE void extend_rows(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t at, size_t ahead,
                        unsigned rows, __mmask8 part, bool whole) {
    vec v[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < rows; r++) v[r] = zero();
    for (uint32_t i = 0; i < e->sources; i++) {
        const vec ratio = splat(e->ratio[i]);
        const __m128i shift = _mm_cvtsi32_si128((int)e->shift[i]);
#pragma GCC unroll 4
        for (unsigned r = 0; r < rows; r++) {
            if (ahead) __builtin_prefetch(y[i] + at + ahead + r * LANES, 0, 3);
            vec top = _mm512_srl_epi64(get(y[i] + at + r * LANES, part, whole), shift);
            v[r] = vadd(v[r], _mm512_mul_epu32(top, ratio));
        }
    }
    const vec one = splat(1);
#pragma GCC unroll 4
    for (unsigned r = 0; r < rows; r++) v[r] = _mm512_srli_epi64(vadd(_mm512_srli_epi64(v[r], 57), one), 1);
    uint32_t j = 0;
    for (; j + 2 <= e->targets; j += 2) extend_targets(e, dst, y, v, at, ahead, j, 2, rows, part, whole);
    if (j < e->targets) extend_targets(e, dst, y, v, at, ahead, j, 1, rows, part, whole);
}

void vl_ifma_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n) {
    size_t at = begin, end = begin + n;
    for (; at + ROWS * LANES + AHEAD <= end; at += ROWS * LANES) extend_rows(e, dst, y, at, AHEAD, ROWS, 0xff, true);
    for (; at + ROWS * LANES <= end; at += ROWS * LANES) extend_rows(e, dst, y, at, 0, ROWS, 0xff, true);
    for (; at < end; at += LANES) extend_rows(e, dst, y, at, 0, 1, tail_mask(end - at), false);
}

void vl_ifma_automorphism_part(const vl_automorphism *a, uint64_t *dst, const uint64_t *src, size_t begin, size_t n) {
    const vl_automorphism_tables *t = a->tables;
    const uint32_t *block = t->block + begin / VL_KERNELS_BLOCK, inside = (uint32_t)(n / VL_KERNELS_BLOCK - 1);
    const size_t blocks = n / VL_KERNELS_BLOCK, ahead = 16;
    for (size_t b = 0; b < blocks; b++) {
        const uint64_t *next =
            src + (size_t)(block[b + ahead < blocks ? b + ahead : b] >> 4 & inside) * VL_KERNELS_BLOCK;
        _mm_prefetch((const char *)next, _MM_HINT_T0);
        _mm_prefetch((const char *)(next + LANES), _MM_HINT_T0);
        const uint64_t *from = src + (size_t)(block[b] >> 4 & inside) * VL_KERNELS_BLOCK;
        const uint64_t *perm = t->perm[block[b] & 15];
        vec low = load(from), high = load(from + LANES);
        store(dst + b * VL_KERNELS_BLOCK, _mm512_permutex2var_epi64(low, load(perm), high));
        store(dst + b * VL_KERNELS_BLOCK + LANES, _mm512_permutex2var_epi64(low, load(perm + LANES), high));
    }
}

void vl_ifma_automorphism(const vl_automorphism *a, uint64_t *dst, const uint64_t *src) {
    vl_ifma_automorphism_part(a, dst, src, 0, (size_t)1 << a->log_n);
}
