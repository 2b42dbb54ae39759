// SPDX-License-Identifier: Apache-2.0
// Key switching one limb at a time, for circuits that do everything to a limb while it is in the cache.
#ifndef VELUM_RLWE_LIMB_H
#define VELUM_RLWE_LIMB_H

#include "rlwe/rlwe.h"

// Limbs of q_0..q_{nq-1} and P are numbered 0 .. nq + p_count - 1.
static inline const vl_modulus *vl_rlwe_limb_modulus(const vl_params *p, uint32_t nq, uint32_t i) {
    return &p->ring.mod[i < nq ? i : p->ring.q_count + (i - nq)];
}
// Limb i of vl_rlwe_apply_key: (u0, u1) = sum_j d_j (b_j, a_j). N words each, none of them the digits'.
void vl_rlwe_limb_apply_key(const vl_params *p, const vl_digits *d, const vl_switch_key *key, uint32_t i, uint64_t *u0,
                            uint64_t *u1);
// The same with limb i of each digit given by itself, at level nq.
void vl_rlwe_limb_dot_key(const vl_params *p, const uint64_t *const *digit, uint32_t digits, const vl_switch_key *key,
                          uint32_t nq, uint32_t i, uint64_t *u0, uint64_t *u1);
// s += P c, limb i < nq of Q.
void vl_rlwe_limb_add_lifted(const vl_params *p, uint32_t i, uint64_t *s, const uint64_t *c);
// d = P c, limb i < nq of Q.
void vl_rlwe_limb_lift(const vl_params *p, uint32_t i, uint64_t *d, const uint64_t *c);
// The same of n words alone: the first from word `begin` of the limb on, u0 and u1 those words; the others of whatever
// n words they are given.
void vl_rlwe_limb_apply_key_part(const vl_params *p, const vl_digits *d, const vl_switch_key *key, uint32_t i,
                                 size_t begin, size_t n, uint64_t *u0, uint64_t *u1);
void vl_rlwe_limb_add_lifted_part(const vl_params *p, uint32_t i, uint64_t *s, const uint64_t *c, size_t n);
void vl_rlwe_limb_lift_part(const vl_params *p, uint32_t i, uint64_t *d, const uint64_t *c, size_t n);

#endif
