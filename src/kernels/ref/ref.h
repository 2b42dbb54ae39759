// SPDX-License-Identifier: Apache-2.0
// The reference family: plain C that states the mathematics. Other families use single functions of it at tiny sizes.
#ifndef VELUM_KERNELS_REF_H
#define VELUM_KERNELS_REF_H

#include "kernels/internal.h"

// z mod q for z < 2^116, by Barrett with B = floor(2^128 / q): floor(z B / 2^128) is the quotient or one less.
static inline uint64_t vl_ref_reduce(const vl_modulus *m, unsigned __int128 z) {
    typedef unsigned __int128 u128;
    uint64_t z0 = (uint64_t)z, z1 = (uint64_t)(z >> 64);
    u128 low = (u128)z0 * m->barrett_lo >> 64;
    u128 a = (u128)z0 * m->barrett_hi, b = (u128)z1 * m->barrett_lo;
    u128 middle = low + (uint64_t)a + (uint64_t)b;
    uint64_t quotient = z1 * m->barrett_hi + (uint64_t)(a >> 64) + (uint64_t)(b >> 64) + (uint64_t)(middle >> 64);
    uint64_t r = z0 - quotient * m->q;
    return r >= m->q ? r - m->q : r;
}

static inline uint64_t vl_ref_mul(const vl_modulus *m, uint64_t a, uint64_t b) {
    return vl_ref_reduce(m, (unsigned __int128)a * b);
}

velum_status vl_ref_tables_new(vl_modulus *m);
void vl_ref_tables_free(vl_modulus *m);
void vl_ref_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src);
void vl_ref_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar);
void vl_ref_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                 const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n);
void vl_ref_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                const uint64_t *s, size_t n);
void vl_ref_lift_centered(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t p, size_t n);
void vl_ref_from_i64(const vl_modulus *m, uint64_t *dst, const int64_t *v, size_t n);
void vl_ref_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n);
void vl_ref_automorphism(const vl_automorphism *a, uint64_t *dst, const uint64_t *src);
void vl_ref_automorphism_part(const vl_automorphism *a, uint64_t *dst, const uint64_t *src, size_t begin, size_t n);

#endif
