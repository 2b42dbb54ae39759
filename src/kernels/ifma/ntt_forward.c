// SPDX-License-Identifier: Apache-2.0
// Forward NTT: passes of three or two stages, depth first so that a block stays in the nearest cache, down to blocks of
// 64, whose last six stages run in registers.
//
// Two variants, chosen by the modulus. Large q: Harvey's butterfly, values in [0, 4q). Small q: no reduction at all; a
// stage moves a value by less than 2q either way, so that a bias of 2q times the stages to come, added to the first
// one's X, keeps values positive; all words are loose. Twice: before the first stage, and by the twist before the last
// six.
#include "kernels/ifma/ntt.h"
#include "kernels/ref/ref.h"

typedef struct job {
    const vl_ifma_tables *t;
    size_t n;
    vec bias, bias64; // of the first stage, of the last six
    wide_consts k;
} job;

// fresh: a large q's X is below 2q already.
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
    const consts c = j->k.c;
    twiddle t[8];
    for (unsigned s = 0; s < log_radix; s++)
        for (unsigned k = 0; k < 1u << s; k++) t[(1u << s) + k] = twiddle_splat(j->t->w, ((groups + i) << s) + k);
    for (size_t at = 0; at < stride; at += LANES) {
        vec v[8];
#pragma GCC unroll 8
        for (unsigned k = 0; k < radix; k++) {
            v[k] = load(src + at + k * stride);
            if (first && small && k < radix / 2) v[k] = vadd(v[k], j->bias);
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
    return small ? reduce_word(x, &j->k) : subtract_once(subtract_once(x, j->k.c.q2), j->k.c.q);
}

// A unit's twist and the last six stages, on `blocks` of its blocks of 64 from number `place` on; stage by stage side
// by side: their chains are independent, and the processor sees only so far ahead.
INLINE void last64(const job *j, uint64_t *dst, const uint64_t *src, const twiddle *twist, unsigned place,
                   unsigned blocks, bool small) {
    const vl_ifma_stages *stages = j->t->forward + place;
    const consts c = j->k.c;
    const vec bias = small ? j->bias64 : zero();
    vec v[16];
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; k++) {
#pragma GCC unroll 2
        for (unsigned u = 0; u < blocks; u++) {
            vec r = mul_shoup_add(k < 4 ? bias : zero(), load(src + 64 * u + 8 * k), twist[k], &c);
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

// Unit i of `units`: what is left once blocks are as small as that.
INLINE void unit(const job *j, uint64_t *dst, const uint64_t *src, size_t units, size_t i, unsigned log_unit,
                 bool small) {
    twiddle twist[8];
    twist_make(twist, j->t->twist, i, &j->k);
    if (log_unit == 0) {
        last64(j, dst, src, twist, 0, 1, small);
        return;
    }
    pass(j, dst, src, units, i, 64, log_unit, false, small);
    for (unsigned k = 0; k < 1u << log_unit; k += 2)
        last64(j, dst + (size_t)64 * k, dst + (size_t)64 * k, twist, k, 2, small);
}

// Group i of `groups`, i.e. the block of n / groups words at dst; all that is left to do there.
#define DEFINE_REST(suffix, small)                                                                                     \
    static void rest##suffix(const job *j, uint64_t *dst, size_t groups, size_t i) {                                   \
        size_t size = j->n / groups;                                                                                   \
        if (size == 64) {                                                                                              \
            unit(j, dst, dst, groups, i, 0, small);                                                                    \
        } else if (size == 256) {                                                                                      \
            unit(j, dst, dst, groups, i, 2, small);                                                                    \
        } else if (size == 512) {                                                                                      \
            unit(j, dst, dst, groups, i, 3, small);                                                                    \
        } else if (size == 16384) {                                                                                    \
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
        unit(j, dst, src, 1, 0, 0, small);
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
    const unsigned before = m->log_n - 6;
    const job j = {t, (size_t)1 << m->log_n, splat(2 * m->q * before), splat(2 * m->q * 6), wide_consts_of(m)};
    if (t->small)
        forward(&j, dst, src, m->log_n, true);
    else
        forward(&j, dst, src, m->log_n, false);
}
