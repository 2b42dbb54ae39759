// SPDX-License-Identifier: Apache-2.0
// Prepared basis changes of a parameter set, and the constants of dividing by P.
//
// Digit j at level nq covers limbs [j alpha, end), end = min((j + 1) alpha, nq), alpha = digit_limbs. Its table is the
// one of its last limb, end - 1: the product of the digit's primes depends on nothing else.
#ifndef VELUM_RLWE_BASES_H
#define VELUM_RLWE_BASES_H

#include "rlwe/params.h"

typedef struct vl_base_tables {
    // from_q[e]: the digit that ends with limb e, to the limbs of Q below the digit, then (full digits only) those
    // above it, then P.
    vl_base_ext from_q[VL_MAX_LIMBS];
    vl_base_ext from_p; // P to all limbs of Q
    // from_qp[e], e > 0: q_e and P (in that order) to the limbs of Q below e: a division by P q_e.
    vl_base_ext from_qp[VL_MAX_LIMBS];
    uint64_t p_mod[VL_MAX_LIMBS]; // P mod q_i
    uint64_t p_inv[VL_MAX_LIMBS]; // P^-1 mod q_i
} vl_base_tables;

velum_status vl_bases_new(const vl_params *p, vl_base_tables **out);
void vl_bases_free(const vl_params *p, vl_base_tables *t);

static inline uint32_t vl_bases_digits(const vl_params *p, uint32_t nq) {
    return (nq + p->literal.digit_limbs - 1) / p->literal.digit_limbs;
}
// The end of the digit j at level nq.
static inline uint32_t vl_bases_digit_end(const vl_params *p, uint32_t j, uint32_t nq) {
    uint32_t end = (j + 1) * p->literal.digit_limbs;
    return end < nq ? end : nq;
}
// (Q_j / q_i)^-1 mod q_i, of limb i in its digit at level nq.
uint64_t vl_bases_hat_inv(const vl_params *p, uint32_t i, uint32_t nq);

// Limbs of a polynomial over q_0..q_{nq-1} and P are numbered 0 .. nq + p_count - 1. Extends digit j, given by the
// limbs y[i] (coefficients, scaled by hat_inv), to limbs [first, last), which are all below nq or all of P:
// dst[i - first] gets limb i; the digit's own limbs are left alone.
void vl_bases_extend_digit(const vl_params *p, uint32_t j, uint32_t nq, uint32_t first, uint32_t last,
                           uint64_t *const *dst, const uint64_t *const *y);
// From the sources y of a table to its targets [first, last).
void vl_bases_extend(const vl_params *p, const vl_base_ext *e, uint32_t first, uint32_t last, uint64_t *const *dst,
                     const uint64_t *const *y);

#endif
