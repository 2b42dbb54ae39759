// SPDX-License-Identifier: Apache-2.0
// Forward NTT: passes of three or two stages, depth first so that a block stays in the nearest cache, down to blocks of
// 64, whose last six stages run in registers.
//
// Two variants, chosen by the modulus. Large q: Harvey's butterfly, values in [0, 4q). Small q: no reduction at all;
// the first stage adds 2q log_n to its X, each stage moves a value by less than 2q either way, so that values stay
// in (0, (4 log_n + 1) q); all words are loose.
#include "kernels/ifma/ntt.h"
#include "kernels/ref/ref.h"

typedef struct job {
    const vl_ifma_tables *t;
    uint64_t q, bias, barrett;
    size_t n;
    consts c;
} job;

// fresh: large q's X is below 2q already
INLINE void butterfly(vec *x, vec *y, twiddle t, const consts *c, bool fresh, bool small) {
    vec r = mul_shoup_loose(*y, t.w, t.shoup, c);
    if (small) {
        *y = vsub(*x, r);
        *x = vadd(*x, r);
    } else {
        vec a = fresh ? *x : subtract_once(*x, c->q2);
        r = vand(r, c->mask);
        *x = vadd(a, r);
        *y = vadd(vsub(a, r), c->q2);
    }
}

// One pass of `log_radix` stages over group `i` of `groups`: `1 << log_radix` rows of `stride` words.
INLINE void pass(const job *j, uint64_t *dst, const uint64_t *src, size_t groups, size_t i, size_t stride,
                 unsigned log_radix, bool first, bool small) {
    const unsigned radix = 1u << log_radix;
    const consts c = j->c;
    const vec bias = splat(j->bias);
    twiddle t[8];
    for (unsigned s = 0; s < log_radix; s++)
        for (unsigned k = 0; k < 1u << s; k++) t[(1u << s) + k] = twiddle_splat(j->t->w, ((groups + i) << s) + k);
    for (size_t at = 0; at < stride; at += LANES) {
        vec v[8];
#pragma GCC unroll 8
        for (unsigned k = 0; k < radix; k++) {
            v[k] = load(src + at + k * stride);
            if (first && small && k < radix / 2) v[k] = vadd(v[k], bias);
        }
#pragma GCC unroll 3
        for (unsigned s = 0; s < log_radix; s++) {
            const unsigned half = radix >> (s + 1);
#pragma GCC unroll 8
            for (unsigned k = 0; k < radix / 2; k++) {
                unsigned g = k / half, x = g * 2 * half + k % half;
                butterfly(&v[x], &v[x + half], t[(1u << s) + g], &c, false, small);
            }
        }
#pragma GCC unroll 8
        for (unsigned k = 0; k < radix; k++) store(dst + at + k * stride, v[k]);
    }
}

INLINE vec finish(vec x, const job *j, bool small) {
    if (!small) return subtract_once(subtract_once(x, j->c.q2), j->c.q);
    vec quotient = mul_hi(zero(), x, splat(j->barrett));
    return subtract_once(vand(mul_lo(x, quotient, j->c.minus_q), j->c.mask), j->c.q);
}

// The twist of unit `unit` and the last six stages of `blocks` blocks of 64 from its block `place` on, stage by stage
// side by side: their chains are independent, and the processor sees only so far ahead.
INLINE void last64(const job *j, uint64_t *dst, const uint64_t *src, size_t unit, unsigned place, unsigned blocks,
                   bool small) {
    const uint64_t *twist = j->t->twist + 128 * unit;
    const vl_ifma_stages *stages = j->t->forward + place;
    const consts c = j->c;
    const vec bias = small ? splat(12 * j->q) : zero();
    vec v[16];
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; k++) {
        const twiddle t = twiddle_load(twist, 8 * k);
#pragma GCC unroll 2
        for (unsigned u = 0; u < blocks; u++) {
            vec r = mul_shoup_add(k < 4 ? bias : zero(), load(src + 64 * u + 8 * k), t, &c);
            v[8 * u + k] = k < 4 && !small ? vand(r, c.mask) : r;
        }
    }
#pragma GCC unroll 3
    for (unsigned s = 0; s < 3; s++) {
        const unsigned half = 4u >> s;
#pragma GCC unroll 8
        for (unsigned k = 0; k < 4 * blocks; k++) {
            unsigned g = k / half, x = g * 2 * half + k % half;
            const twiddle t = twiddle_splat(stages[k / 4].splat, (1u << s) + g % (1u << s));
            butterfly(&v[x], &v[x + half], t, &c, s == 0, small);
        }
    }
#define STAGE(exchange, s)                                                                                             \
    _Pragma("GCC unroll 8") for (unsigned h = 0; h < 4 * blocks; h++) {                                                \
        exchange(&v[2 * h], &v[2 * h + 1]);                                                                            \
        butterfly(&v[2 * h], &v[2 * h + 1], twiddle_load(stages[h / 4].lanes[s][h % 4], 0), &c, false, small);         \
    }
    STAGE(exchange2, 0)
    STAGE(exchange1, 1)
    STAGE(exchange0, 2)
#undef STAGE
#pragma GCC unroll 16
    for (unsigned k = 0; k < 8 * blocks; k++) store(dst + 8 * k, finish(v[k], j, small));
}

// Group i of `groups`, i.e. the block of n / groups words at dst; all that is left to do there.
INLINE void block(const job *j, uint64_t *dst, size_t groups, size_t i, bool small) {
    size_t size = j->n / groups;
    if (size == 512) {
        pass(j, dst, dst, groups, i, 64, 3, false, small);
        for (unsigned k = 0; k < 8; k += 2) last64(j, dst + 64 * k, dst + 64 * k, i, k, 2, small);
    } else if (size == 256) {
        pass(j, dst, dst, groups, i, 64, 2, false, small);
        for (unsigned k = 0; k < 4; k += 2) last64(j, dst + 64 * k, dst + 64 * k, i, k, 2, small);
    } else {
        last64(j, dst, dst, i, 0, 1, small);
    }
}

#define DEFINE_REST(suffix, small)                                                                                     \
    static void rest##suffix(const job *j, uint64_t *dst, size_t groups, size_t i) {                                   \
        size_t size = j->n / groups;                                                                                   \
        if (size <= 512) {                                                                                             \
            block(j, dst, groups, i, small);                                                                           \
            return;                                                                                                    \
        }                                                                                                              \
        if (size == 16384) {                                                                                           \
            pass(j, dst, dst, groups, i, size / 4, 2, false, small);                                                   \
            for (size_t k = 0; k < 4; k++) rest##suffix(j, dst + k * (size / 4), 4 * groups, 4 * i + k);               \
        } else {                                                                                                       \
            pass(j, dst, dst, groups, i, size / 8, 3, false, small);                                                   \
            for (size_t k = 0; k < 8; k++) rest##suffix(j, dst + k * (size / 8), 8 * groups, 8 * i + k);               \
        }                                                                                                              \
    }

DEFINE_REST(_small, true)
DEFINE_REST(_large, false)

INLINE void forward(const job *j, uint64_t *dst, const uint64_t *src, unsigned log_n, bool small) {
    const size_t n = j->n;
    unsigned before = log_n - 6, first = before == 1 ? 1 : before % 3 == 0 ? 3 : 2;
    if (before == 0) {
        last64(j, dst, src, 0, 0, 1, small);
        return;
    }
    if (first == 1) pass(j, dst, src, 1, 0, n / 2, 1, true, small);
    if (first == 2) pass(j, dst, src, 1, 0, n / 4, 2, true, small);
    if (first == 3) pass(j, dst, src, 1, 0, n / 8, 3, true, small);
    const size_t groups = (size_t)1 << first;
    for (size_t k = 0; k < groups; k++) {
        if (small)
            rest_small(j, dst + k * (n / groups), groups, k);
        else
            rest_large(j, dst + k * (n / groups), groups, k);
    }
}

void vl_ifma_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) {
        vl_ref_ntt_forward(m, dst, src);
        return;
    }
    const vl_ifma_tables *t = m->tables;
    const job j = {t, m->q, 2 * m->q * (m->log_n - 6), m->barrett52, (size_t)1 << m->log_n, consts_of(m)};
    if (t->small)
        forward(&j, dst, src, m->log_n, true);
    else
        forward(&j, dst, src, m->log_n, false);
}
