// SPDX-License-Identifier: Apache-2.0
// Word arithmetic modulo q < 2^50, primes and roots, and small multi-word helpers for CRT constants.
// Set-up code: clear before fast. Notation: q modulus, w a fixed factor, w' = floor(w 2^52 / q) its Shoup companion.
#ifndef VELUM_ARITH_ARITH_H
#define VELUM_ARITH_ARITH_H

#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

#define VL_MAX_MODULUS_BITS 50
#define VL_MIN_LOG_N 4
#define VL_MAX_LOG_N 17

static inline uint64_t vl_arith_add(uint64_t a, uint64_t b, uint64_t q) {
    uint64_t s = a + b;
    return s >= q ? s - q : s;
}
static inline uint64_t vl_arith_sub(uint64_t a, uint64_t b, uint64_t q) { return a >= b ? a - b : a + q - b; }
static inline uint64_t vl_arith_mul(uint64_t a, uint64_t b, uint64_t q) {
    return (uint64_t)((unsigned __int128)a * b % q);
}
// floor(w 2^52 / q), w < q
static inline uint64_t vl_arith_shoup52(uint64_t w, uint64_t q) { return (uint64_t)(((unsigned __int128)w << 52) / q); }
uint64_t vl_arith_pow(uint64_t base, uint64_t exponent, uint64_t q);
uint64_t vl_arith_inv(uint64_t a, uint64_t q); // q prime, a != 0 mod q
// v reduced into [0, q), for any signed v
uint64_t vl_arith_from_i64(int64_t v, uint64_t q);

bool vl_arith_is_prime(uint64_t n); // deterministic for 64 bits
// A primitive 2N-th root of unity modulo the prime q = 1 mod 2N: the smallest, so that it is canonical.
uint64_t vl_arith_root(uint64_t q, unsigned log_n);
// Fills out[0..count) with distinct primes q = 1 mod 2^(log_n+1), q < 2^50, as near to 2^bits as possible (alternating
// above and below 2^bits where bits < 50, below only at 50), none among avoid[0..avoid_count). VELUM_E_LIMIT if there
// are not enough within a factor 2^(1/4).
velum_status vl_arith_primes(unsigned log_n, unsigned bits, const uint64_t *avoid, uint32_t avoid_count, uint32_t count,
                             uint64_t *out);
// prod_{i != skip} m[i] mod q; skip >= count: all of them.
uint64_t vl_arith_product_mod(const uint64_t *m, uint32_t count, uint32_t skip, uint64_t q);
// log2 of the product
double vl_arith_log2_product(const uint64_t *m, uint32_t count);

// Mixed-radix reconstruction. x given by residues r[i] mod m[i] (count <= 64), as the integer in (-M/2, M/2), rounded
// to double. `inv` is a table made once by vl_arith_garner_init: inv[i*count+j] = m[j]^-1 mod m[i] for j < i.
void vl_arith_garner_init(const uint64_t *m, uint32_t count, uint64_t *inv);
double vl_arith_garner_double(const uint64_t *r, const uint64_t *m, uint32_t count, const uint64_t *inv);

static inline uint32_t vl_arith_bitrev(uint32_t x, unsigned bits) {
    uint32_t r = 0;
    for (unsigned i = 0; i < bits; i++, x >>= 1) r = (r << 1) | (x & 1);
    return r;
}

#endif
