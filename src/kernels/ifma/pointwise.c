// SPDX-License-Identifier: Apache-2.0
// Coefficient by coefficient; and the family's table.
#include "kernels/ifma/ifma.h"

static void add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const vec q = splat(m->q);
    FOR_VECTORS(n, PUT(dst, subtract_once(vadd(GET(a), GET(b)), q)););
}

static void sub(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const vec q = splat(m->q);
    FOR_VECTORS(n, {
        vec d = vsub(GET(a), GET(b));
        PUT(dst, _mm512_min_epu64(d, vadd(d, q)));
    });
}

static void neg(const vl_modulus *m, uint64_t *dst, const uint64_t *a, size_t n) {
    const vec q = splat(m->q);
    FOR_VECTORS(n, PUT(dst, subtract_once(vsub(q, GET(a)), q)););
}

INLINE vec product(vec a, vec b, const wide_consts *k) {
    return reduce_wide(mul_lo(zero(), a, b), mul_hi(zero(), a, b), k);
}

static void mul(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const wide_consts k = wide_consts_of(m);
    FOR_VECTORS(n, PUT(dst, product(GET(a), GET(b), &k)););
}

static void mul_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    const wide_consts k = wide_consts_of(m);
    FOR_VECTORS(n, {
        vec x = GET(a), y = GET(b);
        PUT(dst, reduce_wide(mul_lo(GET(dst), x, y), mul_hi(zero(), x, y), &k));
    });
}

static void mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const consts c = consts_of(m);
    const vec w = splat(s), shoup = splat(vl_arith_shoup52(s, m->q));
    FOR_VECTORS(n, PUT(dst, subtract_once(mul_shoup(GET(a), w, shoup, &c), c.q)););
}

static void mul_scalar_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const consts c = consts_of(m);
    const vec w = splat(s), shoup = splat(vl_arith_shoup52(s, m->q));
    FOR_VECTORS(n, {
        vec r = vadd(mul_shoup(GET(a), w, shoup, &c), GET(dst));
        PUT(dst, subtract_once(subtract_once(r, c.q2), c.q));
    });
}

static void add_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    const vec q = splat(m->q), w = splat(s);
    FOR_VECTORS(n, PUT(dst, subtract_once(vadd(GET(a), w), q)););
}

static void sub_mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, uint64_t s,
                           size_t n) {
    const consts c = consts_of(m);
    const vec w = splat(s), shoup = splat(vl_arith_shoup52(s, m->q));
    FOR_VECTORS(n, {
        vec d = vadd(vsub(GET(a), GET(b)), c.q);
        PUT(dst, subtract_once(mul_shoup(d, w, shoup, &c), c.q));
    });
}

static void tensor(const vl_modulus *m, uint64_t *d0, uint64_t *d1, uint64_t *d2, const uint64_t *a0,
                   const uint64_t *a1, const uint64_t *b0, const uint64_t *b1, size_t n) {
    const wide_consts k = wide_consts_of(m);
    FOR_VECTORS(n, {
        vec x0 = GET(a0), x1 = GET(a1), y0 = GET(b0), y1 = GET(b1);
        PUT(d0, product(x0, y0, &k));
        vec lo = mul_lo(mul_lo(zero(), x0, y1), x1, y0), hi = mul_hi(mul_hi(zero(), x0, y1), x1, y0);
        PUT(d1, reduce_wide(lo, hi, &k));
        PUT(d2, product(x1, y1, &k));
    });
}

static void lift_centered(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t p, size_t n) {
    const wide_consts k = wide_consts_of(m);
    const vec half = splat(p / 2), minus_p = splat(m->q - p % m->q);
    FOR_VECTORS(n, {
        vec v = GET(src);
        v = _mm512_mask_add_epi64(v, _mm512_cmpgt_epu64_mask(v, half), v, minus_p);
        PUT(dst, reduce_word(v, &k));
    });
}

static void from_i64(const vl_modulus *m, uint64_t *dst, const int64_t *v, size_t n) {
    const wide_consts k = wide_consts_of(m);
    const uint64_t *words = (const uint64_t *)v;
    FOR_VECTORS(n, {
        vec x = GET(words);
        vec r = reduce_wide(_mm512_abs_epi64(x), zero(), &k);
        PUT(dst, _mm512_mask_mov_epi64(r, _mm512_movepi64_mask(x), subtract_once(vsub(k.c.q, r), k.c.q)));
    });
}

const vl_kernels vl_kernels_ifma = {
    .name = "ifma",
    .tables_new = vl_ifma_tables_new,
    .tables_free = vl_ifma_tables_free,
    .ntt_forward = vl_ifma_ntt_forward,
    .ntt_inverse = vl_ifma_ntt_inverse,
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
    .dot2 = vl_ifma_dot2,
    .mix = vl_ifma_mix,
    .lift_centered = lift_centered,
    .from_i64 = from_i64,
    .base_extend = vl_ifma_base_extend,
    .automorphism = vl_ifma_automorphism,
    .automorphism_part = vl_ifma_automorphism_part,
};
