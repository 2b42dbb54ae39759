// SPDX-License-Identifier: Apache-2.0
// Coefficient by coefficient; and the family's table. What is left over at the end goes to the reference.
#include "kernels/avx2/avx2.h"

// x - q where that is not negative, else x; by the sign bit
INLINE words subtract_once(words x, words q) {
    words d = _mm256_sub_epi64(x, q);
    vec r = _mm256_blendv_pd(_mm256_castsi256_pd(d), _mm256_castsi256_pd(x), _mm256_castsi256_pd(d));
    return _mm256_castpd_si256(r);
}

static void add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const words q = splat_words(m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store_words(dst + i, subtract_once(_mm256_add_epi64(load_words(a + i), load_words(b + i)), q));
    vl_kernels_ref.add(m, dst + i, a + i, b + i, n - i);
}

static void sub(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const words q = splat_words(m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        words d = _mm256_sub_epi64(_mm256_add_epi64(load_words(a + i), q), load_words(b + i));
        store_words(dst + i, subtract_once(d, q));
    }
    vl_kernels_ref.sub(m, dst + i, a + i, b + i, n - i);
}

static void neg(const vl_modulus *m, uint64_t *dst, const uint64_t *a, size_t n) {
    const words q = splat_words(m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store_words(dst + i, subtract_once(_mm256_sub_epi64(q, load_words(a + i)), q));
    vl_kernels_ref.neg(m, dst + i, a + i, n - i);
}

static void mul(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const consts c = consts_of(m);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dst + i, mul_pair(load(a + i), load(b + i), &c), &c);
    vl_kernels_ref.mul(m, dst + i, a + i, b + i, n - i);
}

// dst + r mod q for |r| < q
INLINE void add_to(uint64_t *dst, vec r, const consts *c, words q) {
    words sum = _mm256_add_epi64(load_words(dst), to_words(make_positive(r, c)));
    store_words(dst, subtract_once(sum, q));
}

static void mul_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const consts c = consts_of(m);
    const words q = splat_words(m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) add_to(dst + i, mul_pair(load(a + i), load(b + i), &c), &c, q);
    vl_kernels_ref.mul_add(m, dst + i, a + i, b + i, n - i);
}

static void mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const consts c = consts_of(m);
    const factor f = factor_of(s, m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dst + i, mul_factor(load(a + i), f, &c), &c);
    vl_kernels_ref.mul_scalar(m, dst + i, a + i, s, n - i);
}

static void mul_scalar_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const consts c = consts_of(m);
    const factor f = factor_of(s, m->q);
    const words q = splat_words(m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) add_to(dst + i, mul_factor(load(a + i), f, &c), &c, q);
    vl_kernels_ref.mul_scalar_add(m, dst + i, a + i, s, n - i);
}

static void add_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const words q = splat_words(m->q), w = splat_words(s);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store_words(dst + i, subtract_once(_mm256_add_epi64(load_words(a + i), w), q));
    vl_kernels_ref.add_scalar(m, dst + i, a + i, s, n - i);
}

static void sub_mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, uint64_t s,
                           size_t n) {
    const consts c = consts_of(m);
    const factor f = factor_of(s, m->q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dst + i, mul_factor(vsub(load(a + i), load(b + i)), f, &c), &c);
    vl_kernels_ref.sub_mul_scalar(m, dst + i, a + i, b + i, s, n - i);
}

static void tensor(const vl_modulus *m, uint64_t *d0, uint64_t *d1, uint64_t *d2, const uint64_t *a0,
                   const uint64_t *a1, const uint64_t *b0, const uint64_t *b1, size_t n) {
    const consts c = consts_of(m);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec x0 = load(a0 + i), x1 = load(a1 + i), y0 = load(b0 + i), y1 = load(b1 + i);
        store(d0 + i, mul_pair(x0, y0, &c), &c);
        store(d1 + i, reduce(vadd(mul_pair(x0, y1, &c), mul_pair(x1, y0, &c)), &c), &c);
        store(d2 + i, mul_pair(x1, y1, &c), &c);
    }
    vl_kernels_ref.tensor(m, d0 + i, d1 + i, d2 + i, a0 + i, a1 + i, b0 + i, b1 + i, n - i);
}

static void lift_centered(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t p, size_t n) {
    const consts c = consts_of(m);
    const vec half = splat((double)(p / 2)), modulus = splat((double)p);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec v = load(src + i);
        v = vsub(v, _mm256_and_pd(_mm256_cmp_pd(v, half, _CMP_GT_OQ), modulus));
        store(dst + i, reduce(v, &c), &c);
    }
    vl_kernels_ref.lift_centered(m, dst + i, src + i, p, n - i);
}

static void from_i64(const vl_modulus *m, uint64_t *dst, const int64_t *v, size_t n) {
    const consts c = consts_of(m);
    const factor two50 = factor_of(((uint64_t)1 << 50) % m->q, m->q);
    const words low_bits = splat_words(((uint64_t)1 << 50) - 1);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        words x = load_words((const uint64_t *)v + i), sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
        words size = _mm256_sub_epi64(_mm256_xor_si256(x, sign), sign);
        vec high = to_doubles(_mm256_srli_epi64(size, 50)), low = to_doubles(_mm256_and_si256(size, low_bits));
        vec r = reduce(vadd(mul_factor(high, two50, &c), low), &c);
        r = _mm256_xor_pd(r, _mm256_and_pd(_mm256_castsi256_pd(sign), splat(-0.0)));
        store(dst + i, r, &c);
    }
    vl_kernels_ref.from_i64(m, dst + i, v + i, n - i);
}

const vl_kernels vl_kernels_avx2 = {
    .name = "avx2",
    .tables_new = vl_avx2_tables_new,
    .tables_free = vl_avx2_tables_free,
    .ntt_forward = vl_avx2_ntt_forward,
    .ntt_inverse = vl_avx2_ntt_inverse,
    .add = add,
    .sub = sub,
    .neg = neg,
    .mul = mul,
    .mul_add = mul_add,
    .mul_scalar = mul_scalar,
    .mul_scalar_add = mul_scalar_add,
    .add_scalar = add_scalar,
    .sub_mul_scalar = sub_mul_scalar,
    .tensor = tensor,
    .dot2 = vl_avx2_dot2,
    .mix = vl_avx2_mix,
    .lift_centered = lift_centered,
    .from_i64 = from_i64,
    .base_extend = vl_avx2_base_extend,
    .automorphism = vl_ref_automorphism,
    .automorphism_part = vl_ref_automorphism_part,
};
