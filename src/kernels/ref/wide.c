// SPDX-License-Identifier: Apache-2.0
// Sums of many products, changes of base, automorphisms.
#include "kernels/ref/ref.h"

typedef unsigned __int128 u128;

void vl_ref_dot2(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                 const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n) {
    for (size_t i = 0; i < n; i++) {
        u128 sum0 = 0, sum1 = 0; // 64 products below 2^100
        for (uint32_t j = 0; j < count; j++) {
            sum0 += (u128)x[j][i] * k0[j][i];
            if (k1 != NULL) sum1 += (u128)x[j][i] * k1[j][i];
        }
        dst0[i] = vl_ref_reduce(m, sum0);
        if (k1 != NULL) dst1[i] = vl_ref_reduce(m, sum1);
    }
}

void vl_ref_mix(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                const uint64_t *s, size_t n) {
    for (uint32_t r = 0; r < rows; r++, s += count)
        for (size_t i = 0; i < n; i++) {
            u128 sum = 0; // 65,536 products below 2^100
            for (uint32_t j = 0; j < count; j++) sum += (u128)x[j][i] * s[j];
            dst[r][i] = vl_ref_reduce(m, sum);
        }
}

void vl_ref_lift_centered(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t p, size_t n) {
    const uint64_t minus_p = m->q - p % m->q;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = src[i];
        dst[i] = vl_ref_reduce(m, v > p / 2 ? v + minus_p : v);
    }
}

void vl_ref_from_i64(const vl_modulus *m, uint64_t *dst, const int64_t *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t magnitude = v[i] < 0 ? 0 - (uint64_t)v[i] : (uint64_t)v[i];
        uint64_t r = vl_ref_reduce(m, magnitude);
        dst[i] = v[i] < 0 && r != 0 ? m->q - r : r;
    }
}

void vl_ref_base_extend(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n) {
    for (size_t i = begin; i < begin + n; i++) {
        uint64_t f = 0;
        for (uint32_t k = 0; k < e->sources; k++) f += (y[k][i] >> e->shift[k]) * e->ratio[k];
        uint64_t v = ((f >> 57) + 1) >> 1; // (f + 2^57) >> 58 without the carry out of 64 bits
        for (uint32_t j = 0; j < e->targets; j++) {
            const uint64_t *hat = e->hat + (size_t)j * e->sources;
            u128 sum = (u128)v * (e->to[j]->q - e->q_mod[j]);
            for (uint32_t k = 0; k < e->sources; k++) sum += (u128)y[k][i] * hat[k];
            dst[j][i] = vl_ref_reduce(e->to[j], sum);
        }
    }
}

void vl_ref_automorphism_part(const vl_automorphism *a, uint64_t *dst, const uint64_t *src, size_t begin, size_t n) {
    const vl_automorphism_tables *t = a->tables;
    const size_t source = vl_automorphism_source(a, begin, n);
    for (size_t b = 0; b < n / VL_KERNELS_BLOCK; b++) {
        const uint32_t block = t->block[begin / VL_KERNELS_BLOCK + b];
        const uint64_t *from = src + ((size_t)(block >> 4) * VL_KERNELS_BLOCK - source), *perm = t->perm[block & 15];
        for (size_t p = 0; p < VL_KERNELS_BLOCK; p++) dst[b * VL_KERNELS_BLOCK + p] = from[perm[p]];
    }
}

void vl_ref_automorphism(const vl_automorphism *a, uint64_t *dst, const uint64_t *src) {
    vl_ref_automorphism_part(a, dst, src, 0, (size_t)1 << a->log_n);
}
