// SPDX-License-Identifier: Apache-2.0
// Parameters: a literal that a user or planner writes, validated into an immutable set with a ring and a digest.
#ifndef VELUM_RLWE_PARAMS_H
#define VELUM_RLWE_PARAMS_H

#include "base/frame.h"
#include "ring/ring.h"

#define VL_SIGMA 3.19

typedef struct vl_params_literal {
    uint32_t log_n;
    uint32_t q_count, p_count;
    uint64_t q[VL_MAX_LIMBS], p[VL_MAX_LIMBS]; // primes; vl_params_choose finds them from bit sizes
    uint32_t digit_limbs;                      // limbs a digit (alpha); the product of any digit must be at most P
    uint32_t secret_weight;                    // 0: uniform ternary; h: exactly h non-zero coefficients
    uint32_t security_bits;                    // 128, 192 or 256: at least this, or refused. 0: INSECURE, tests only
    double scale;                              // the default scale of a message, Delta
} vl_params_literal;

typedef struct vl_params {
    vl_params_literal literal;
    vl_ring ring;
    uint32_t digits;                 // at the top level: ceil(q_count / digit_limbs)
    double log_q, log_qp;            // log2
    uint32_t security;               // 128, 192, 256: the highest line of the table that holds; 0 if none
    uint8_t digest[VL_DIGEST_BYTES]; // of the canonical encoding of the literal
    // prepared basis changes (see rlwe/bases.h): digit j at nq limbs -> the other limbs of Q and P; P -> Q
    struct vl_base_tables *bases;
} vl_params;

// Maximum log2(QP) for uniform ternary (weight 0) or sparse secrets of weight h at N = 2^log_n and the given security
// (128, 192, 256), special primes included; 0 where the table has no line. Bossuat et al., eprint 2024/463, table 5.2,
// with the stricter lines of today's estimator.
double vl_security_max_log_qp(uint32_t log_n, uint32_t secret_weight, uint32_t security_bits);
// The highest of 128, 192, 256 that the table grants; 0 if none.
uint32_t vl_security_of(uint32_t log_n, uint32_t secret_weight, double log_qp);

// Fills the primes of a literal (log_n and the counts are set) from wanted bit sizes, 28 to 50: q_bits[0] the base
// prime, then the rest. Where Q and P share a size, P takes the largest primes, so that equal counts satisfy digit <=
// P.
velum_status vl_params_choose(vl_params_literal *lit, const uint8_t *q_bits, const uint8_t *p_bits);
// VELUM_E_INSECURE if the table does not grant literal.security_bits; VELUM_E_FORMAT for what makes no sense (not
// prime, not 1 mod 2N, below 2^27 or above 2^50, twice the same, no special prime, digits larger than P, scale not
// positive and normal), naming the number and the limit. kernels NULL: the fastest. The set is heap-allocated and may
// be shared between threads as const.
velum_status vl_params_new(const vl_params_literal *lit, const vl_kernels *kernels, vl_params **out);
void vl_params_free(vl_params *p);
void vl_params_save(const vl_params_literal *lit, vl_writer *w);
velum_status vl_params_load(vl_reader *r, vl_params_literal *lit); // structure only; vl_params_new validates

// One line for people: "N=2^16 Q=30 limbs (1352.0 bits) ...". At most size bytes with the NUL; returns buf.
char *vl_params_describe(const vl_params *p, char *buf, size_t size);

// Galois element of a rotation of the slots by k to the left (any sign): 5^k mod 2N; and of conjugation: 2N - 1.
uint64_t vl_params_galois(const vl_params *p, int32_t k);
uint64_t vl_params_galois_conj(const vl_params *p);

#endif
