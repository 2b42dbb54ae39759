// SPDX-License-Identifier: Apache-2.0
// Forward NTT: radix-4 passes, depth first, down to blocks of 16, whose last four stages run in registers. Between the
// first load and the last store the words of dst hold doubles.
//
// A stage adds at most (1/2 + |y| / 2^54) q to a value, each of the last two (1/2 + |y| / 2^53) q. From q, or from q/2
// after a reduction, four stages lead to less than 3.5 q < 2^52; so the X inputs of a pass are reduced (its Y inputs
// are multiplied anyway) before a fifth would follow. Below 2^48 no reduction is needed: 15 stages add at most 15 times
// (1/2 + 1/4) q, the last two 2q, and 14.25 q < 2^52.
#include "kernels/avx2/ntt.h"

typedef struct job {
    const double *table, *last; // of vl_avx2_tables
    size_t n;
    consts c;
    bool small; // q < 2^48
} job;

INLINE void butterfly(vec *x, vec *y, factor f, const consts *c) {
    vec r = mul_factor(*y, f, c);
    *y = vsub(*x, r);
    *x = vadd(*x, r);
}

INLINE void pass4(const job *j, double *dst, const uint64_t *words_in, size_t groups, size_t i, size_t stride,
                  bool reduce_x) {
    const consts c = j->c;
    const factor f1 = twiddle_splat(j->table, groups + i), f2 = twiddle_splat(j->table, 2 * (groups + i)),
                 f3 = twiddle_splat(j->table, 2 * (groups + i) + 1);
    for (size_t at = 0; at < stride; at += LANES) {
        vec v[4];
#pragma GCC unroll 4
        for (unsigned k = 0; k < 4; k++)
            v[k] = words_in != NULL ? load(words_in + at + k * stride) : load_doubles(dst + at + k * stride);
        if (reduce_x) {
            v[0] = reduce(v[0], &c);
            v[1] = reduce(v[1], &c);
        }
        butterfly(&v[0], &v[2], f1, &c);
        butterfly(&v[1], &v[3], f1, &c);
        butterfly(&v[0], &v[1], f2, &c);
        butterfly(&v[2], &v[3], f3, &c);
#pragma GCC unroll 4
        for (unsigned k = 0; k < 4; k++) _mm256_storeu_pd(dst + at + k * stride, v[k]);
    }
}

static void first_pass2(const job *j, double *dst, const uint64_t *src) {
    const factor f = twiddle_splat(j->table, 1);
    const consts c = j->c;
    for (size_t at = 0, half = j->n / 2; at < half; at += LANES) {
        vec x = load(src + at), y = load(src + at + half);
        butterfly(&x, &y, f, &c);
        _mm256_storeu_pd(dst + at, x);
        _mm256_storeu_pd(dst + at + half, y);
    }
}

// The last four stages of `blocks` blocks of 16 from block b on, side by side: their chains are independent, and the
// processor sees only so far ahead.
INLINE void last16(const job *j, uint64_t *dst, const uint64_t *words_in, size_t b, unsigned blocks) {
    const double *table = j->table, *doubles_in = (const double *)dst;
    const size_t n = j->n;
    const consts c = j->c;
    vec v[8];
#pragma GCC unroll 8
    for (unsigned k = 0; k < 4 * blocks; k++)
        v[k] = words_in != NULL ? load(words_in + 4 * k) : load_doubles(doubles_in + 4 * k);
    if (words_in == NULL && !j->small) {
#pragma GCC unroll 8
        for (unsigned k = 0; k < 4 * blocks; k++)
            if (k % 4 < 2) v[k] = reduce(v[k], &c);
    }
#pragma GCC unroll 2
    for (unsigned u = 0; u < blocks; u++) {
        const factor f = twiddle_splat(table, n / 16 + b + u);
        butterfly(&v[4 * u], &v[4 * u + 2], f, &c);
        butterfly(&v[4 * u + 1], &v[4 * u + 3], f, &c);
    }
#pragma GCC unroll 4
    for (unsigned h = 0; h < 2 * blocks; h++) {
        butterfly(&v[2 * h], &v[2 * h + 1], twiddle_splat(table, n / 8 + 2 * b + h), &c);
        exchange1(&v[2 * h], &v[2 * h + 1]);
    }
#pragma GCC unroll 4
    for (unsigned h = 0; h < 2 * blocks; h++) {
        const vec w = load_doubles(j->last + 4 * (b + h / 2));
        const vec pairs = h % 2 == 0 ? _mm256_permute4x64_pd(w, 0x50) : _mm256_permute4x64_pd(w, 0xfa);
        butterfly(&v[2 * h], &v[2 * h + 1], factor_from(pairs, &c), &c);
        exchange0(&v[2 * h], &v[2 * h + 1]);
    }
#pragma GCC unroll 4
    for (unsigned h = 0; h < 2 * blocks; h++)
        butterfly(&v[2 * h], &v[2 * h + 1], factor_from(load_doubles(j->last + n / 4 + 8 * b + 4 * h), &c), &c);
#pragma GCC unroll 4
    for (unsigned h = 0; h < 2 * blocks; h++) {
        uint64_t *out = dst + 16 * (h / 2) + 4 * (h % 2);
        store(out, reduce(v[2 * h], &c), &c);
        store(out + 8, reduce(v[2 * h + 1], &c), &c);
    }
}

// Group i of `groups`, after `stages` stages since a reduction.
static void rest(const job *j, double *dst, size_t groups, size_t i, unsigned stages) {
    size_t size = j->n / groups;
    if (size == 16) {
        last16(j, (uint64_t *)dst, NULL, i, 1);
        return;
    }
    const size_t quarter = size / 4;
    if (stages + 2 > 4 && !j->small) {
        pass4(j, dst, NULL, groups, i, quarter, true);
        stages = 2;
    } else {
        pass4(j, dst, NULL, groups, i, quarter, false);
        stages += 2;
    }
    if (quarter == 16) {
        for (size_t k = 0; k < 4; k += 2) last16(j, (uint64_t *)dst + 16 * k, NULL, 4 * i + k, 2);
        return;
    }
    for (size_t k = 0; k < 4; k++) rest(j, dst + k * quarter, 4 * groups, 4 * i + k, stages);
}

void vl_avx2_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src) {
    const vl_avx2_tables *t = m->tables;
    const job j = {t->w, t->last, (size_t)1 << m->log_n, consts_of(m), m->q >> 48 == 0};
    double *doubles = (double *)dst;
    if (m->log_n == 4) {
        last16(&j, dst, src, 0, 1);
    } else if (m->log_n % 2 != 0) {
        first_pass2(&j, doubles, src);
        for (size_t k = 0; k < 2; k++) rest(&j, doubles + k * (j.n / 2), 2, k, 1);
    } else {
        pass4(&j, doubles, src, 1, 0, j.n / 4, false);
        for (size_t k = 0; k < 4; k++) rest(&j, doubles + k * (j.n / 4), 4, k, 2);
    }
}
