// SPDX-License-Identifier: Apache-2.0
// The negacyclic NTT, radix 2. Table: w[t] = psi^bitrev(t) for t < n; the stage of g groups uses w[g..2g).
//
// Forward (Cooley-Tukey): X, Y -> X + wY, X - wY. Inverse (Gentleman-Sande): X, Y -> X + Y, (X - Y) / w. The inverse
// needs no table of its own: 1 / w[g + i] = -w[g + (g - 1 - i)], for the exponents of the two sum to n and psi^n = -1.
//
// Ranges (Harvey 2014): the forward keeps values in [0, 4q), the inverse in [0, 2q); a Shoup product of any 64-bit word
// is in [0, 2q).
#include "base/mem.h"
#include "kernels/ref/ref.h"

typedef struct tables {
    uint64_t *w, *shoup; // n words each; shoup = floor(w 2^64 / q)
} tables;

static uint64_t shoup64(uint64_t w, uint64_t q) { return (uint64_t)(((unsigned __int128)w << 64) / q); }

velum_status vl_ref_tables_new(vl_modulus *m) {
    uint32_t n = (uint32_t)1 << m->log_n;
    tables *t = vl_alloc(sizeof *t);
    uint64_t *words = vl_alloc_array(2 * (size_t)n, sizeof *words);
    if (t == NULL || words == NULL) {
        vl_free(t);
        vl_free(words);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for the tables of an NTT of degree %u", n);
    }
    *t = (tables){words, words + n};
    uint64_t power = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = vl_arith_bitrev(i, m->log_n);
        t->w[at] = power;
        t->shoup[at] = shoup64(power, m->q);
        power = vl_arith_mul(power, m->psi, m->q);
    }
    m->tables = t;
    return VELUM_OK;
}

void vl_ref_tables_free(vl_modulus *m) {
    tables *t = m->tables;
    if (t == NULL) return;
    vl_free(t->w);
    vl_free(t);
    m->tables = NULL;
}

// x w mod q in [0, 2q), for any x
static inline uint64_t mul_lazy(uint64_t x, uint64_t w, uint64_t shoup, uint64_t q) {
    uint64_t quotient = (uint64_t)(((unsigned __int128)x * shoup) >> 64);
    return x * w - quotient * q;
}

static inline uint64_t subtract_once(uint64_t x, uint64_t q) { return x >= q ? x - q : x; }

void vl_ref_ntt_forward(const vl_modulus *m, uint64_t *dst, const uint64_t *src) {
    const tables *t = m->tables;
    const uint64_t q = m->q, q2 = 2 * q;
    const uint32_t n = (uint32_t)1 << m->log_n;
    for (uint32_t groups = 1, half = n / 2; half > 1; groups *= 2, half /= 2) {
        for (uint32_t i = 0; i < groups; i++) {
            const uint64_t w = t->w[groups + i], shoup = t->shoup[groups + i];
            for (uint32_t j = 2 * i * half; j < (2 * i + 1) * half; j++) {
                uint64_t x = subtract_once(src[j], q2), y = mul_lazy(src[j + half], w, shoup, q);
                dst[j] = x + y;
                dst[j + half] = x - y + q2;
            }
        }
        src = dst;
    }
    // The last stage puts a block's eight sums before its eight differences, and reduces.
    for (uint32_t b = 0; b < n; b += VL_KERNELS_BLOCK) {
        uint64_t out[VL_KERNELS_BLOCK];
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t g = n / 2 + b / 2 + i;
            uint64_t x = subtract_once(dst[b + 2 * i], q2);
            uint64_t y = mul_lazy(dst[b + 2 * i + 1], t->w[g], t->shoup[g], q);
            out[i] = subtract_once(subtract_once(x + y, q2), q);
            out[i + 8] = subtract_once(subtract_once(x - y + q2, q2), q);
        }
        for (uint32_t i = 0; i < VL_KERNELS_BLOCK; i++) dst[b + i] = out[i];
    }
}

void vl_ref_ntt_inverse(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar) {
    const tables *t = m->tables;
    const uint64_t q = m->q, q2 = 2 * q;
    const uint32_t n = (uint32_t)1 << m->log_n;
    for (uint32_t b = 0; b < n; b += VL_KERNELS_BLOCK) {
        uint64_t out[VL_KERNELS_BLOCK];
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t g = n - 1 - (b / 2 + i);
            uint64_t x = src[b + i], y = src[b + i + 8];
            out[2 * i] = x + y;
            out[2 * i + 1] = mul_lazy(y - x + q, t->w[g], t->shoup[g], q);
        }
        for (uint32_t i = 0; i < VL_KERNELS_BLOCK; i++) dst[b + i] = out[i];
    }
    for (uint32_t groups = n / 4, half = 2; groups >= 1; groups /= 2, half *= 2) {
        for (uint32_t i = 0; i < groups; i++) {
            const uint64_t w = t->w[2 * groups - 1 - i], shoup = t->shoup[2 * groups - 1 - i];
            for (uint32_t j = 2 * i * half; j < (2 * i + 1) * half; j++) {
                uint64_t x = dst[j], y = dst[j + half];
                dst[j] = subtract_once(x + y, q2);
                dst[j + half] = mul_lazy(y - x + q2, w, shoup, q);
            }
        }
    }
    const uint64_t s = vl_arith_mul(scalar, m->n_inv, q), shoup = shoup64(s, q);
    for (uint32_t i = 0; i < n; i++) dst[i] = subtract_once(mul_lazy(dst[i], s, shoup, q), q);
}
