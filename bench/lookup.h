// SPDX-License-Identifier: Apache-2.0
// What the two ways of looking up an embedding share: a ring with keys, and vectors in and out of ciphertexts.
#ifndef VELUM_BENCH_LOOKUP_H
#define VELUM_BENCH_LOOKUP_H

#include "ckks/ckks.h"
#include "timing.h"

#define LOOKUP_SECONDS 1.0 // a measurement
#define LOOKUP_QUERIES 6   // checked before it: first rows, last rows, then random ones

typedef struct lookup_ring { // sizes in bits; all primes of Q but the first have `bits`
    uint32_t log_n, limbs, special, digit_limbs, base_bits, bits, special_bits;
} lookup_ring;

typedef struct lookup_lab {
    const bench_run *run;
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    uint64_t query_bytes; // as sent, of all ciphertexts encrypted since it was set to 0
} lookup_lab;

// Parameters of at least 128 bits, and the encoder. What is left is opened when the plans are known.
velum_status lookup_lab_open(const bench_run *run, const lookup_ring *ring, lookup_lab *lab);
// `arena`: bytes of the computation; what encryption and encoding take is seen to.
velum_status lookup_lab_keys(lookup_lab *lab, size_t arena, const vl_key_request *requests, uint32_t count);
void lookup_lab_close(lookup_lab *lab);
velum_status lookup_lab_encrypt(lookup_lab *lab, const double *v, uint32_t count, double scale, uint16_t level,
                                vl_ciphertext *ct);
velum_status lookup_lab_decrypt(lookup_lab *lab, const vl_ciphertext *ct, double *v, uint32_t count);
// A result with what all lookups have in common.
velum_bench_result lookup_lab_result(const lookup_lab *lab, const char *name, uint16_t level);

// Deterministic values: 64 bits, and a number in [-1, 1).
uint64_t lookup_word(uint64_t k);
static inline double lookup_weight(uint64_t k) { return (double)(int64_t)lookup_word(k) * 0x1p-63; }
// Query number q's row of a table: 0, the last, or any.
static inline uint64_t lookup_index(uint32_t q, uint32_t table, uint64_t rows) {
    if (q < 2) return q == 0 ? 0 : rows - 1;
    return lookup_word((uint64_t)q * 1000003 + table) % rows;
}

velum_status bench_codedhelut(const bench_run *run); // codedhelut.c

#endif
