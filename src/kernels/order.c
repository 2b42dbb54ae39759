// SPDX-License-Identifier: Apache-2.0
// The order of the NTT domain and the automorphisms in it.
#include "base/mem.h"
#include "kernels/internal.h"

#include <string.h>

static uint32_t exponent_at(uint32_t position, unsigned log_n) {
    return 2 * vl_arith_bitrev(vl_kernels_bitrev_index(position), log_n) + 1;
}

static uint32_t position_of(uint32_t exponent, unsigned log_n) {
    uint32_t s = vl_arith_bitrev(exponent >> 1, log_n);
    return (s & ~15u) | (s & 15) >> 1 | (s & 1) << 3;
}

void vl_kernels_exponents(unsigned log_n, uint32_t *exponent) {
    for (uint32_t i = 0; i < (uint32_t)1 << log_n; i++) exponent[i] = exponent_at(i, log_n);
}

// src(X^g) at psi^e is src at psi^(g e). The exponents of a block of 16 are e0 + (n/8) j, j = 0..15, in an order that
// is the same for all blocks; times g they are g e0 + (n/8) (g j mod 16): again a block, whose own first exponent is g
// e0 - (n/8) c for some c in 0..15. So the permutation within a block depends on g and c alone.
velum_status vl_automorphism_init(vl_automorphism *a, unsigned log_n, uint64_t galois) {
    VL_FAIL_IF(log_n < VL_MIN_LOG_N || log_n > VL_MAX_LOG_N, VELUM_E_LIMIT, "degree 2^%u is not supported", log_n);
    uint32_t n = (uint32_t)1 << log_n, blocks = n / VL_KERNELS_BLOCK, mask = 2 * n - 1;
    VL_FAIL_IF(galois % 2 == 0 || galois > mask, VELUM_E_LIMIT, "no automorphism X -> X^%llu of degree 2^%u",
               (unsigned long long)galois, log_n);
    vl_automorphism_tables *t = vl_alloc(sizeof *t + blocks * sizeof t->block[0]);
    VL_FAIL_IF(t == NULL, VELUM_E_NOMEM, "no memory for an automorphism's tables");
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t from[VL_KERNELS_BLOCK];
        for (uint32_t p = 0; p < VL_KERNELS_BLOCK; p++) {
            uint32_t e = exponent_at(b * VL_KERNELS_BLOCK + p, log_n);
            from[p] = position_of((uint32_t)(e * galois) & mask, log_n);
        }
        uint32_t source = from[0] / VL_KERNELS_BLOCK, c = from[0] % VL_KERNELS_BLOCK;
        // from[0] tells c: the image of the first exponent is that block's own first plus (n/8) c.
        for (uint32_t p = 0; p < VL_KERNELS_BLOCK; p++) t->perm[c][p] = from[p] % VL_KERNELS_BLOCK;
        t->block[b] = source << 4 | c;
    }
    *a = (vl_automorphism){.galois = galois, .log_n = log_n, .tables = t};
    return VELUM_OK;
}

// The top bits of a position, from bit 4 on, are the low bits of (exponent - 1) / 2, turned round, and those of g e
// depend on those of e alone: so aligned stretches of any length go to aligned stretches.
size_t vl_automorphism_source(const vl_automorphism *a, size_t begin, size_t n) {
    const vl_automorphism_tables *t = a->tables;
    return (size_t)(t->block[begin / VL_KERNELS_BLOCK] >> 4) * VL_KERNELS_BLOCK & ~(n - 1);
}

void vl_automorphism_clear(vl_automorphism *a) {
    if (a == NULL) return;
    vl_free(a->tables);
    memset(a, 0, sizeof *a);
}
