// SPDX-License-Identifier: Apache-2.0
// Inverse NTT: the forward's passes backwards, with the forward's twiddles: 1 / w[g + i] = -w[2g - 1 - i].
//
// Large q: values in [0, 2q), X + Y reduced in each stage. Small q: a pass takes values below 8q (loose), lets sums
// grow to at most 64q <= 2^52 and reduces only row 0 at its end; the others end below 8q by themselves (a difference is
// multiplied, hence below 2q, and then doubles at most twice).
#include "kernels/ifma/ntt.h"
#include "kernels/ref/ref.h"

typedef struct job {
    const vl_ifma_tables *t;
    size_t n;
    uint64_t q;
    wide_consts k;
    twiddle scale, last; // scalar / n; scalar / n times the last stage's twiddle
} job;

// bound: a multiple of q that Y - X cannot fall below, negated. before_twist: a product takes both next.
INLINE void butterfly(vec *x, vec *y, twiddle t, vec bound, const consts *c, bool before_twist, bool small) {
    vec d = vadd(vsub(*y, *x), bound);
    if (small || before_twist) {
        *x = vadd(*x, *y);
        *y = mul_shoup_loose(d, t.w, t.shoup, c);
    } else {
        *x = subtract_once(vadd(*x, *y), c->q2);
        *y = mul_shoup(d, t.w, t.shoup, c);
    }
}

// x mod q, in [0, 2q) and loose, for loose x
INLINE vec reduce_loose(vec x, const job *j) { return mul_lo(x, mul_hi(zero(), x, j->k.barrett), j->k.c.minus_q); }

// The last `log_radix` stages before `groups` groups are left, on group i. If `top`, the last stage of all: its
// products take the scalar in, and the results are reduced.
INLINE void pass(const job *j, uint64_t *dst, size_t groups, size_t i, size_t stride, unsigned log_radix, bool top,
                 bool small) {
    const unsigned radix = 1u << log_radix;
    const consts c = j->k.c;
    twiddle t[8];
    for (unsigned s = 0; s < log_radix; s++)
        for (unsigned k = 0; k < 1u << s; k++)
            t[(1u << s) + k] = twiddle_splat(j->t->w, ((2 * groups - i) << s) - 1 - k);
    if (top) t[1] = j->last;
    for (size_t at = 0; at < stride; at += LANES) {
        vec v[8];
#pragma GCC unroll 8
        for (unsigned k = 0; k < radix; k++) v[k] = load(dst + at + k * stride);
#pragma GCC unroll 3
        for (unsigned s = log_radix; s-- > 0;) {
            const unsigned half = radix >> (s + 1);
            const vec bound = small ? splat(j->q << (3 + log_radix - 1 - s)) : c.q2;
#pragma GCC unroll 8
            for (unsigned k = 0; k < radix / 2; k++) {
                unsigned g = k / half, x = g * 2 * half + k % half;
                butterfly(&v[x], &v[x + half], t[(1u << s) + g], bound, &c, false, small);
            }
        }
        if (top) {
#pragma GCC unroll 8
            for (unsigned k = 0; k < radix; k++) {
                vec r = k < radix / 2 ? mul_shoup(v[k], j->scale.w, j->scale.shoup, &c) : vand(v[k], c.mask);
                v[k] = subtract_once(r, c.q);
            }
        } else if (small) {
            v[0] = reduce_loose(v[0], j);
        }
#pragma GCC unroll 8
        for (unsigned k = 0; k < radix; k++) store(dst + at + k * stride, v[k]);
    }
}

// The first six stages, on `blocks` of a unit's blocks of 64 from number `place` on, side by side as in the forward
// NTT; then the twist.
INLINE void first64(const job *j, uint64_t *dst, const uint64_t *src, const twiddle *twist, unsigned place,
                    unsigned blocks, bool small) {
    const vl_ifma_stages *stages = j->t->inverse + place;
    const consts c = j->k.c;
    vec v[16];
#define BOUND(stage) (small ? splat(j->q << (stage)) : c.q2)
#pragma GCC unroll 16
    for (unsigned k = 0; k < 8 * blocks; k++) v[k] = load(src + 8 * k);
#define STAGE(exchange, s)                                                                                             \
    _Pragma("GCC unroll 8") for (unsigned h = 0; h < 4 * blocks; h++) {                                                \
        const twiddle t = twiddle_load(stages[h / 4].lanes[s][h % 4], 0);                                              \
        butterfly(&v[2 * h], &v[2 * h + 1], t, BOUND(2 - (s)), &c, false, small);                                      \
        exchange(&v[2 * h], &v[2 * h + 1]);                                                                            \
    }
    STAGE(exchange0, 2)
    STAGE(exchange1, 1)
    STAGE(exchange2, 0)
#undef STAGE
#pragma GCC unroll 3
    for (unsigned s = 3; s-- > 0;) {
        const unsigned half = 4u >> s;
#pragma GCC unroll 8
        for (unsigned k = 0; k < 4 * blocks; k++) {
            unsigned g = k / half, x = g * 2 * half + k % half;
            const twiddle t = twiddle_splat(stages[k / 4].splat, (1u << s) + g % (1u << s));
            butterfly(&v[x], &v[x + half], t, BOUND(5 - s), &c, s == 0, small);
        }
    }
#undef BOUND
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; k++) {
#pragma GCC unroll 2
        for (unsigned u = 0; u < blocks; u++) {
            vec r = mul_shoup_loose(v[8 * u + k], twist[k].w, twist[k].shoup, &c);
            store(dst + 64 * u + 8 * k, small ? r : vand(r, c.mask));
        }
    }
}

// Unit i of `units`, with its mirror image's twist.
INLINE void unit(const job *j, uint64_t *dst, const uint64_t *src, size_t units, size_t i, unsigned log_unit,
                 bool small) {
    twiddle twist[8];
    twist_make(twist, j->t->twist, units - 1 - i, &j->k);
    if (log_unit == 0) {
        first64(j, dst, src, twist, 0, 1, small);
        return;
    }
    for (unsigned k = 0; k < 1u << log_unit; k += 2)
        first64(j, dst + (size_t)64 * k, src + (size_t)64 * k, twist, k, 2, small);
    pass(j, dst, units, i, 64, log_unit, false, small);
}

// All stages inside group i of `groups`, i.e. in the block of n / groups words at dst; the first reads src.
#define DEFINE_INSIDE(suffix, small)                                                                                   \
    static void inside##suffix(const job *j, uint64_t *dst, const uint64_t *src, size_t groups, size_t i) {            \
        size_t size = j->n / groups;                                                                                   \
        if (size == 64) {                                                                                              \
            unit(j, dst, src, groups, i, 0, small);                                                                    \
        } else if (size == 256) {                                                                                      \
            unit(j, dst, src, groups, i, 2, small);                                                                    \
        } else if (size == 512) {                                                                                      \
            unit(j, dst, src, groups, i, 3, small);                                                                    \
        } else if (size == 16384) {                                                                                    \
            size /= 4;                                                                                                 \
            for (size_t k = 0; k < 4; k++) inside##suffix(j, dst + k * size, src + k * size, 4 * groups, 4 * i + k);   \
            pass(j, dst, groups, i, size, 2, false, small);                                                            \
        } else {                                                                                                       \
            size /= 8;                                                                                                 \
            for (size_t k = 0; k < 8; k++) inside##suffix(j, dst + k * size, src + k * size, 8 * groups, 8 * i + k);   \
            pass(j, dst, groups, i, size, 3, false, small);                                                            \
        }                                                                                                              \
    }

DEFINE_INSIDE(_small, true)
DEFINE_INSIDE(_large, false)

INLINE void inverse(const job *j, uint64_t *dst, const uint64_t *src, unsigned log_n, bool small) {
    const unsigned before = log_n - 6, log_radix = before <= 1 ? before : before % 3 == 0 ? 3 : 2;
    const size_t groups = (size_t)1 << log_radix, size = j->n >> log_radix;
    for (size_t k = 0; k < groups; k++) {
        if (small)
            inside_small(j, dst + k * size, src + k * size, groups, k);
        else
            inside_large(j, dst + k * size, src + k * size, groups, k);
    }
    if (log_radix == 1) pass(j, dst, 1, 0, size, 1, true, small);
    if (log_radix == 2) pass(j, dst, 1, 0, size, 2, true, small);
    if (log_radix == 3) pass(j, dst, 1, 0, size, 3, true, small);
    if (log_radix == 0)
        for (size_t at = 0; at < size; at += LANES) {
            vec r = mul_shoup(load(dst + at), j->scale.w, j->scale.shoup, &j->k.c);
            store(dst + at, subtract_once(r, j->k.c.q));
        }
}

static twiddle twiddle_of(uint64_t w, uint64_t q) { return (twiddle){splat(w), splat(vl_arith_shoup52(w, q))}; }

void vl_ifma_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) {
        vl_ref_ntt_inverse(m, dst, src, scalar);
        return;
    }
    const vl_ifma_tables *t = m->tables;
    const uint64_t scale = vl_arith_mul(scalar, m->n_inv, m->q), last = vl_arith_mul(scale, t->w[1], m->q);
    const job j = {t, (size_t)1 << m->log_n, m->q, wide_consts_of(m), twiddle_of(scale, m->q), twiddle_of(last, m->q)};
    if (t->small)
        inverse(&j, dst, src, m->log_n, true);
    else
        inverse(&j, dst, src, m->log_n, false);
}
