// SPDX-License-Identifier: Apache-2.0
// Changes of base by Winograd's inner product, which takes one product for two sources. v is one more source, whose hat
// is -Q. Bounds: docs/design/kernels.md.
#include "kernels/ifma/ifma.h"

#include <string.h>

#define TILE 2 // vectors of a target's sums in registers
#define ROWS 3 // targets side by side
#define UNIT 4 // vectors whose shared part is made side by side
#define WORDS (TILE * LANES)
#define STRETCH 64    // coefficients taken together
#define AHEAD STRETCH // prefetched: limbs lie far apart, and hardware does not follow so many streams

// What all targets of a coefficient share: v, and the halves of -(x_0 x_1 + x_2 x_3 + ...), the low ones 2^58 too large
// and hence positive, the high ones as much too small.
typedef struct shared {
    _Alignas(64) uint64_t v[STRETCH], lo[STRETCH], hi[STRETCH];
} shared;

typedef struct sums {
    vec lo[UNIT], hi[UNIT];
} sums;

INLINE void accumulate(sums *s, unsigned r, vec x, vec y) {
    s->lo[r] = mul_lo(s->lo[r], x, y);
    s->hi[r] = mul_hi(s->hi[r], x, y);
}

// Loads into a register what the compiler would rather load again for every use.
INLINE vec load_once(const uint64_t *p) {
    vec x = load(p);
    __asm__("" : "+v"(x));
    return x;
}

INLINE vec fetch(const uint64_t *p, size_t ahead) {
    __builtin_prefetch(p + ahead, 0, 3);
    return load_once(p);
}

INLINE vec fraction(const vl_base_ext *e, uint32_t i, vec x) {
    const vec top = _mm512_srl_epi64(x, _mm_cvtsi32_si128((int)e->shift[i]));
    return _mm512_mul_epu32(top, _mm512_set1_epi32((int)e->ratio[i]));
}

INLINE void share(shared *t, const vl_base_ext *e, const uint64_t *const *y, size_t at, size_t slot, size_t ahead,
                  unsigned unit) {
    const uint32_t k = e->sources;
    vec f[UNIT];
    sums s;
#pragma GCC unroll 4
    for (unsigned r = 0; r < unit; r++) f[r] = s.lo[r] = s.hi[r] = zero();
    uint32_t i = 0;
    for (; i + 1 < k; i += 2)
#pragma GCC unroll 4
        for (unsigned r = 0; r < unit; r++) {
            const vec a = fetch(y[i] + at + r * LANES, ahead), b = fetch(y[i + 1] + at + r * LANES, ahead);
            f[r] = vadd(f[r], vadd(fraction(e, i, a), fraction(e, i + 1, b)));
            accumulate(&s, r, a, b);
        }
#pragma GCC unroll 4
    for (unsigned r = 0; r < unit; r++) {
        const vec a = i < k ? fetch(y[i] + at + r * LANES, ahead) : zero();
        if (i < k) f[r] = vadd(f[r], fraction(e, i, a));
        const vec v = _mm512_srli_epi64(vadd(_mm512_srli_epi64(f[r], 57), splat(1)), 1);
        if (i < k) accumulate(&s, r, a, v);
        store(t->v + slot + r * LANES, v);
        store(t->lo + slot + r * LANES, vsub(splat((uint64_t)1 << 58), s.lo[r]));
        store(t->hi + slot + r * LANES, vsub(splat(-(uint64_t)64), s.hi[r]));
    }
}

// Targets [first, first + rows) of coefficients [at, at + n), n a multiple of WORDS.
INLINE void extend_rows(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, const shared *t,
                        size_t at, size_t n, size_t ahead, uint32_t first, unsigned rows) {
    const uint32_t k = e->sources;
    const uint64_t *hat = e->hat + (size_t)first * k;
    wide_consts c[ROWS];
    vec minus_q[ROWS];
    for (unsigned r = 0; r < rows; r++) {
        c[r] = wide_consts_of(e->to[first + r]);
        minus_q[r] = splat(e->to[first + r]->q - e->q_mod[first + r]);
    }
    for (size_t slot = 0; slot < n; slot += WORDS, at += WORDS) {
        sums s[ROWS];
#pragma GCC unroll 3
        for (unsigned r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (unsigned v = 0; v < TILE; v++) {
                __builtin_prefetch(dst[first + r] + at + v * LANES + ahead, 1, 3);
                s[r].lo[v] = vadd(load(t->lo + slot + v * LANES), splat(e->start[first + r].lo));
                s[r].hi[v] = vadd(load(t->hi + slot + v * LANES), splat(e->start[first + r].hi));
            }
        uint32_t i = 0;
        for (; i + 1 < k; i += 2) {
            const vec a[TILE] = {load_once(y[i] + at), load_once(y[i] + at + LANES)};
            const vec b[TILE] = {load_once(y[i + 1] + at), load_once(y[i + 1] + at + LANES)};
#pragma GCC unroll 3
            for (unsigned r = 0; r < rows; r++) {
                const vec h0 = splat(hat[r * k + i]), h1 = splat(hat[r * k + i + 1]);
#pragma GCC unroll 2
                for (unsigned v = 0; v < TILE; v++) accumulate(&s[r], v, vadd(a[v], h1), vadd(b[v], h0));
            }
        }
#pragma GCC unroll 3
        for (unsigned r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (unsigned v = 0; v < TILE; v++) {
                const vec x = load(t->v + slot + v * LANES);
                if (i < k)
                    accumulate(&s[r], v, vadd(load(y[i] + at + v * LANES), minus_q[r]), vadd(x, splat(hat[r * k + i])));
                else
                    accumulate(&s[r], v, x, minus_q[r]);
                vec hi = vadd(s[r].hi[v], _mm512_srli_epi64(s[r].lo[v], 52));
                if (k >= VL_IFMA_PLAIN_TERMS) hi = settle_high(hi, c[r].c.q);
                store(dst[first + r] + at + v * LANES, reduce_carried(s[r].lo[v], hi, &c[r]));
            }
    }
}

static void extend_stretch(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t at, size_t n,
                           size_t ahead) {
    shared t;
    size_t slot = 0;
    for (; slot + UNIT * LANES <= n; slot += UNIT * LANES) share(&t, e, y, at + slot, slot, ahead, UNIT);
    for (; slot < n; slot += LANES) share(&t, e, y, at + slot, slot, ahead, 1);
    uint32_t j = 0;
    for (; j + ROWS <= e->targets; j += ROWS) extend_rows(e, dst, y, &t, at, n, ahead, j, ROWS);
    if (j + 2 == e->targets) extend_rows(e, dst, y, &t, at, n, ahead, j, 2);
    if (j + 1 == e->targets) extend_rows(e, dst, y, &t, at, n, ahead, j, 1);
}

// The last coefficients, fewer than WORDS, by way of arrays that have room for so many.
static void extend_rest(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t at, size_t n) {
    uint64_t from[VL_BASE_MAX][WORDS] = {{0}}, to[VL_BASE_MAX][WORDS];
    const uint64_t *x[VL_BASE_MAX];
    uint64_t *d[VL_BASE_MAX];
    for (uint32_t i = 0; i < e->sources; i++) x[i] = memcpy(from[i], y[i] + at, n * sizeof **from);
    for (uint32_t j = 0; j < e->targets; j++) d[j] = to[j];
    extend_stretch(e, d, x, 0, WORDS, 0);
    for (uint32_t j = 0; j < e->targets; j++) memcpy(dst[j] + at, to[j], n * sizeof **to);
}

void vl_ifma_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n) {
    const size_t whole = begin + n - n % WORDS;
    for (size_t at = begin; at < whole; at += STRETCH) {
        const size_t left = whole - at;
        extend_stretch(e, dst, y, at, left < STRETCH ? left : STRETCH, left >= STRETCH + AHEAD ? AHEAD : 0);
    }
    if (n % WORDS) extend_rest(e, dst, y, whole, n % WORDS);
}
