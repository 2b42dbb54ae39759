// SPDX-License-Identifier: Apache-2.0
// The subring of X^gap: polynomials whose slots repeat with `period` have 2 period coefficients, at multiples of
// gap = N / (2 period). In the NTT domain, where gap is 16 or more, they are constant on every run of gap positions. So
// one is given by 2 period words a limb, and a product with it is a product with another scalar in every run.
#ifndef VELUM_RING_SUBRING_H
#define VELUM_RING_SUBRING_H

#include "ring/ring.h"

#define VL_SUBRING_MIN_PERIOD 8

typedef struct vl_subring {
    uint32_t period, words, gap; // words = 2 period, words gap = N
    uint32_t count;
    vl_modulus *mod; // of the ring's primes, for degree `words`
    uint32_t *place; // place[i * words + j]: where the transform of modulus i has what run j holds
} vl_subring;

// period: a power of two from VL_SUBRING_MIN_PERIOD to N/32.
velum_status vl_subring_init(const vl_ring *ring, uint32_t period, vl_subring *out);
void vl_subring_clear(vl_subring *s);
uint64_t vl_subring_bytes(const vl_ring *ring, uint32_t period); // about what it takes in memory
// value[j]: the polynomial with coefficients c[k] at X^(gap k), |c[k]| < 2^62, in run j of modulus i (numbered as
// ring->mod). t: scratch, `words` words. c, t and value are 64-byte aligned and apart.
void vl_subring_values(const vl_subring *s, uint32_t i, const int64_t *c, uint64_t *t, uint64_t *value);

#endif
