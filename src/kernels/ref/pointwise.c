// SPDX-License-Identifier: Apache-2.0
// Coefficient by coefficient; and the family's table.
#include "kernels/ref/ref.h"

static void add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_arith_add(a[i], b[i], m->q);
}

static void sub(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_arith_sub(a[i], b[i], m->q);
}

static void neg(const vl_modulus *m, uint64_t *dst, const uint64_t *a, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = a[i] == 0 ? 0 : m->q - a[i];
}

static void mul(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_ref_mul(m, a[i], b[i]);
}

static void mul_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_ref_reduce(m, (unsigned __int128)a[i] * b[i] + dst[i]);
}

static void mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_ref_mul(m, a[i], s);
}

static void mul_scalar_add(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_ref_reduce(m, (unsigned __int128)a[i] * s + dst[i]);
}

static void add_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_arith_add(a[i], s, m->q);
}

static void sub_mul_scalar(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, uint64_t s,
                           size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = vl_ref_mul(m, a[i] + m->q - b[i], s);
}

static void tensor(const vl_modulus *m, uint64_t *d0, uint64_t *d1, uint64_t *d2, const uint64_t *a0,
                   const uint64_t *a1, const uint64_t *b0, const uint64_t *b1, size_t n) {
    for (size_t i = 0; i < n; i++) {
        d0[i] = vl_ref_mul(m, a0[i], b0[i]);
        d1[i] = vl_ref_reduce(m, (unsigned __int128)a0[i] * b1[i] + (unsigned __int128)a1[i] * b0[i]);
        d2[i] = vl_ref_mul(m, a1[i], b1[i]);
    }
}

const vl_kernels vl_kernels_ref = {
    .name = "ref",
    .tables_new = vl_ref_tables_new,
    .tables_free = vl_ref_tables_free,
    .ntt_forward = vl_ref_ntt_forward,
    .ntt_inverse = vl_ref_ntt_inverse,
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
    .dot2 = vl_ref_dot2,
    .mix = vl_ref_mix,
    .lift_centered = vl_ref_lift_centered,
    .from_i64 = vl_ref_from_i64,
    .base_extend = vl_ref_base_extend,
    .automorphism = vl_ref_automorphism,
    .automorphism_part = vl_ref_automorphism_part,
};
