// SPDX-License-Identifier: Apache-2.0
// A matrix of scalars times limbs, see kernels/mix.h: two vectors of words and up to five rows at a time, whose low and
// high halves fill 20 registers.
#include "kernels/mix.h"
#include "kernels/ifma/ifma.h"

#define ROWS 5
#define TILE 2 // vectors
#define WORDS (TILE * LANES)
#define FEW 64         // terms that are summed where they lie, if rows are few
#define FEW_ALONE 4096 // the same for one row

typedef struct tile {
    _Alignas(64) uint64_t x[VL_MIX_DEPTH][WORDS];
    uint64_t start[WORDS]; // -(x_0 x_1 + x_2 x_3 + ...) in (0, q]
} tile;

typedef struct mix_consts {
    wide_consts k;
    vec barrett58; // floor(2^58 / q)
} mix_consts;

typedef struct sums {
    vec lo[TILE], hi[TILE];
} sums;

INLINE void accumulate(sums *s, unsigned v, vec x, vec y) {
    s->lo[v] = mul_lo(s->lo[v], x, y);
    s->hi[v] = mul_hi(s->hi[v], x, y);
}

// (hi 2^52 + lo) mod q for hi + lo / 2^52 < 2^58: hi less a multiple of q, below 4q, then as ever.
INLINE vec reduce_deep(vec lo, vec hi, const mix_consts *c) {
    hi = vadd(hi, _mm512_srli_epi64(lo, 52));
    const vec quotient = mul_hi(zero(), _mm512_srli_epi64(hi, 6), c->barrett58);
    return reduce_wide(vand(lo, c->k.c.mask), mul_lo(hi, quotient, c->k.c.minus_q), &c->k);
}

static void start(tile *t, uint32_t terms, const mix_consts *c) {
    sums s = {{zero(), zero()}, {zero(), zero()}};
    for (uint32_t j = 0; j + 1 < terms; j += 2)
        for (unsigned v = 0; v < TILE; v++) accumulate(&s, v, load(t->x[j] + v * LANES), load(t->x[j + 1] + v * LANES));
    for (unsigned v = 0; v < TILE; v++) store(t->start + v * LANES, vsub(c->k.c.q, reduce_deep(s.lo[v], s.hi[v], c)));
}

static void gather(tile *t, const vl_mix_pass *p, const mix_consts *c) {
    for (uint32_t j = 0; j < p->terms; j++)
        for (size_t at = 0; at < p->words; at += LANES)
            store(t[at / WORDS].x[j] + at % WORDS, load(p->x[j] + p->at + at));
    for (size_t i = 0; i < p->words / WORDS; i++) start(&t[i], p->terms, c);
}

// Rows [row, row + rows) of tile t at word `at` of the strip.
INLINE void mix_rows(const vl_mix_pass *p, const tile *t, size_t at, uint32_t row, const mix_consts *c, unsigned rows) {
    const uint64_t *scalar = p->s + row * p->stride;
    uint64_t *const *dst = p->dst + row;
    at += p->at;
    sums s[ROWS];
#pragma GCC unroll 5
    for (unsigned r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (unsigned v = 0; v < TILE; v++) {
            const vec begun = p->pairs ? splat(p->pairs[row + r]) : load(dst[r] + at + v * LANES);
            s[r].lo[v] = vadd(load(t->start + v * LANES), begun);
            s[r].hi[v] = zero();
        }
    uint32_t j = 0;
    for (; j + 1 < p->terms; j += 2) {
        const vec a[TILE] = {load(t->x[j]), load(t->x[j] + LANES)};
        const vec b[TILE] = {load(t->x[j + 1]), load(t->x[j + 1] + LANES)};
#pragma GCC unroll 5
        for (unsigned r = 0; r < rows; r++) {
            const vec s0 = splat(scalar[r * p->stride + j]), s1 = splat(scalar[r * p->stride + j + 1]);
#pragma GCC unroll 2
            for (unsigned v = 0; v < TILE; v++) accumulate(&s[r], v, vadd(a[v], s1), vadd(b[v], s0));
        }
    }
#pragma GCC unroll 5
    for (unsigned r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (unsigned v = 0; v < TILE; v++) {
            if (j < p->terms) accumulate(&s[r], v, load(t->x[j] + v * LANES), splat(scalar[r * p->stride + j]));
            store(dst[r] + at + v * LANES, reduce_deep(s[r].lo[v], s[r].hi[v], c));
        }
}

static void pass(const vl_mix_pass *p) {
    const mix_consts c = {wide_consts_of(p->m), splat(((uint64_t)1 << 58) / p->m->q)};
    tile t[VL_MIX_STRIP / WORDS];
    gather(t, p, &c);
    for (size_t at = 0; at < p->words; at += WORDS)
        for (uint32_t row = 0, rows; row < p->rows; row += rows) {
            rows = vl_mix_rows(p->rows - row, ROWS);
            vl_mix_fetch(p, at, WORDS, row, rows);
#define CASE(r)                                                                                                        \
    case r: mix_rows(p, &t[at / WORDS], at, row, &c, r); break
            switch (rows) {
                CASE(1);
                CASE(2);
                CASE(3);
                CASE(4);
                CASE(5);
            }
#undef CASE
        }
}

void vl_ifma_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                 const uint64_t *s, size_t n) {
    if (rows > 3 || count > (rows == 1 ? FEW_ALONE : FEW))
        vl_mix_passes(pass, m, dst, rows, x, count, s, n);
    else
        for (uint32_t r = 0; r < rows; r++) vl_ifma_dot_scalar(m, dst[r], x, s + (size_t)r * count, count, n);
}
