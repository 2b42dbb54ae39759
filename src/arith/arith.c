// SPDX-License-Identifier: Apache-2.0
#include "arith/arith.h"

#include <math.h>

uint64_t vl_arith_pow(uint64_t base, uint64_t exponent, uint64_t q) {
    uint64_t result = 1 % q;
    for (base %= q; exponent != 0; exponent >>= 1) {
        if (exponent & 1) result = vl_arith_mul(result, base, q);
        base = vl_arith_mul(base, base, q);
    }
    return result;
}

uint64_t vl_arith_inv(uint64_t a, uint64_t q) { return vl_arith_pow(a, q - 2, q); }

uint64_t vl_arith_from_i64(int64_t v, uint64_t q) {
    if (v >= 0) return (uint64_t)v % q;
    uint64_t r = (0 - (uint64_t)v) % q;
    return r == 0 ? 0 : q - r;
}

uint64_t vl_arith_product_mod(const uint64_t *m, uint32_t count, uint32_t skip, uint64_t q) {
    uint64_t product = 1 % q;
    for (uint32_t i = 0; i < count; i++)
        if (i != skip) product = vl_arith_mul(product, m[i] % q, q);
    return product;
}

double vl_arith_log2_product(const uint64_t *m, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += log2((double)m[i]);
    return sum;
}
