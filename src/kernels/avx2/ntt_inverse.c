// SPDX-License-Identifier: Apache-2.0
// Inverse NTT: the forward's passes backwards, with the forward's twiddles: 1 / w[g + i] = -w[2g - 1 - i].
//
// A pass takes values of at most 1.5 q. Its first stage's differences, at most 3q, give products of at most 0.69 q, and
// its sums are reduced to q/2; the second stage's sums are then at most 1.4 q, its products at most 0.6 q.
#include "kernels/avx2/ntt.h"

typedef struct job {
    const double *table, *last_stages; // of vl_avx2_tables
    size_t n;
    consts c;
    factor scale, last; // scalar / n; scalar / n times the last stage's twiddle
} job;

INLINE void butterfly(vec *x, vec *y, factor f, const consts *c) {
    vec d = vsub(*y, *x);
    *x = vadd(*x, *y);
    *y = mul_factor(d, f, c);
}

INLINE void pass4(const job *j, double *dst, size_t groups, size_t i, size_t stride, bool top) {
    const consts c = j->c;
    const factor f1 = top ? j->last : twiddle_splat(j->table, 2 * groups - i - 1),
                 f2 = twiddle_splat(j->table, 2 * (2 * groups - i) - 1),
                 f3 = twiddle_splat(j->table, 2 * (2 * groups - i) - 2);
    for (size_t at = 0; at < stride; at += LANES) {
        vec v[4];
#pragma GCC unroll 4
        for (unsigned k = 0; k < 4; k++) v[k] = load_doubles(dst + at + k * stride);
        butterfly(&v[0], &v[1], f2, &c);
        butterfly(&v[2], &v[3], f3, &c);
        v[0] = reduce(v[0], &c);
        v[2] = reduce(v[2], &c);
        butterfly(&v[0], &v[2], f1, &c);
        butterfly(&v[1], &v[3], f1, &c);
        if (top) {
            v[0] = mul_factor(v[0], j->scale, &c);
            v[1] = mul_factor(v[1], j->scale, &c);
        }
#pragma GCC unroll 4
        for (unsigned k = 0; k < 4; k++) {
            if (top)
                store((uint64_t *)dst + at + k * stride, v[k], &c);
            else
                _mm256_storeu_pd(dst + at + k * stride, v[k]);
        }
    }
}

static void last_pass2(const job *j, double *dst) {
    const consts c = j->c;
    for (size_t at = 0, half = j->n / 2; at < half; at += LANES) {
        vec x = load_doubles(dst + at), y = load_doubles(dst + at + half);
        butterfly(&x, &y, j->last, &c);
        store((uint64_t *)dst + at, mul_factor(x, j->scale, &c), &c);
        store((uint64_t *)dst + at + half, y, &c);
    }
}

// The first four stages of block b of 16. Sums of words below q are below 4q = 2^52 after two stages; the third
// stage's sums, below 8q, are reduced.
INLINE void first16(const job *j, double *dst, const uint64_t *src, size_t b) {
    const double *table = j->table;
    const size_t n = j->n;
    const consts c = j->c;
    vec v[4] = {load(src), load(src + 8), load(src + 4), load(src + 12)};
    const double *mirror = j->last_stages + 3 * n / 4 - 8 * b;
    const vec w1 = load_doubles(j->last_stages + n / 4 - 4 * b - 4);
    const factor f3 = twiddle_splat(table, n / 8 - b - 1);
#define PERMUTED(w, order) factor_from(_mm256_permute4x64_pd(w, order), &c)
    butterfly(&v[0], &v[1], PERMUTED(load_doubles(mirror - 4), 0x1b), &c);
    butterfly(&v[2], &v[3], PERMUTED(load_doubles(mirror - 8), 0x1b), &c);
    exchange0(&v[0], &v[1]);
    exchange0(&v[2], &v[3]);
    butterfly(&v[0], &v[1], PERMUTED(w1, 0xaf), &c); // 3 3 2 2
    butterfly(&v[2], &v[3], PERMUTED(w1, 0x05), &c); // 1 1 0 0
#undef PERMUTED
    exchange1(&v[0], &v[1]);
    exchange1(&v[2], &v[3]);
    butterfly(&v[0], &v[1], twiddle_splat(table, n / 4 - 2 * b - 1), &c);
    butterfly(&v[2], &v[3], twiddle_splat(table, n / 4 - 2 * b - 2), &c);
    v[0] = reduce(v[0], &c);
    v[2] = reduce(v[2], &c);
    butterfly(&v[0], &v[2], f3, &c);
    butterfly(&v[1], &v[3], f3, &c);
#pragma GCC unroll 4
    for (unsigned k = 0; k < 4; k++) _mm256_storeu_pd(dst + 4 * k, v[k]);
}

// All stages inside group i of `groups`; the first reads words from src.
static void inside(const job *j, double *dst, const uint64_t *src, size_t groups, size_t i) {
    const size_t size = j->n / groups, quarter = size / 4;
    if (size == 16) {
        first16(j, dst, src, i);
        return;
    }
    for (size_t k = 0; k < 4; k++) {
        if (quarter == 16)
            first16(j, dst + k * 16, src + k * 16, 4 * i + k);
        else
            inside(j, dst + k * quarter, src + k * quarter, 4 * groups, 4 * i + k);
    }
    pass4(j, dst, groups, i, quarter, false);
}

void vl_avx2_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar) {
    const vl_avx2_tables *t = m->tables;
    const uint64_t q = m->q, scale = vl_arith_mul(scalar, m->n_inv, q);
    const double w = t->w[1];
    const uint64_t twiddle = w < 0 ? q - (uint64_t)-w : (uint64_t)w;
    const job j = {t->w,
                   t->last,
                   (size_t)1 << m->log_n,
                   consts_of(m),
                   factor_of(scale, q),
                   factor_of(vl_arith_mul(scale, twiddle, q), q)};
    double *doubles = (double *)dst;
    if (m->log_n == 4) {
        first16(&j, doubles, src, 0);
        for (size_t at = 0; at < 16; at += LANES)
            store(dst + at, mul_factor(load_doubles(doubles + at), j.scale, &j.c), &j.c);
    } else if (m->log_n % 2 != 0) {
        for (size_t k = 0; k < 2; k++) inside(&j, doubles + k * (j.n / 2), src + k * (j.n / 2), 2, k);
        last_pass2(&j, doubles);
    } else {
        for (size_t k = 0; k < 4; k++) inside(&j, doubles + k * (j.n / 4), src + k * (j.n / 4), 4, k);
        pass4(&j, doubles, 1, 0, j.n / 4, true);
    }
}
