// SPDX-License-Identifier: Apache-2.0
// Randomness: seeds come from the system, ChaCha20 expands them. A stream is single-threaded and short-lived; a fresh
// system seed is drawn for each, so that a forked child never repeats one.
#ifndef VELUM_BASE_RNG_H
#define VELUM_BASE_RNG_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

#define VL_SEED_BYTES 32

typedef struct vl_rng {
    uint8_t key[VL_SEED_BYTES];
    uint64_t domain, counter; // nonce and block counter
    uint32_t used;            // bytes of buf already given out
    uint8_t buf[4096];
} vl_rng;

// 32 bytes from the system; aborts if the system has no randomness.
void vl_seed_system(uint8_t seed[VL_SEED_BYTES]);
void vl_rng_init_system(vl_rng *rng);
// Deterministic: the stream `domain` of the seed. The same on every machine.
void vl_rng_init_seed(vl_rng *rng, const uint8_t seed[VL_SEED_BYTES], uint64_t domain);
void vl_rng_bytes(vl_rng *rng, void *out, size_t bytes);
uint64_t vl_rng_u64(vl_rng *rng);
void vl_rng_clear(vl_rng *rng); // zeroes it

// Constant-time samplers: no branch or memory access depends on what they draw.
// Uniform in {-1, 0, 1} (a 64-bit draw a coefficient: bias below 2^-62).
void vl_rng_ternary(vl_rng *rng, int8_t *out, size_t n);
// Exactly h coefficients of n are +-1, positions and signs uniform.
velum_status vl_rng_ternary_sparse(vl_rng *rng, int8_t *out, size_t n, size_t h);
// Discrete Gaussian, sigma 3.19, by a cumulative table of 64-bit probabilities scanned whole; |x| <= 29, since
// P(|x| > 29) is below 2^-65.
#define VL_GAUSSIAN_TAIL 29
extern const uint64_t vl_rng_gaussian_tail[VL_GAUSSIAN_TAIL]; // [k] = 2^64 P(|x| > k), rounded
void vl_rng_gaussian(vl_rng *rng, int32_t *out, size_t n);
// Normal variables of deviation sigma in [0, 2^45] (flooding), rounded to integers: the method of Box and Muller in
// straight-line double arithmetic.
void vl_rng_gaussian_wide(vl_rng *rng, int64_t *out, size_t n, double sigma);
// Uniform residues below q (rejection on ceil(log2 q)-bit draws). Public data: not constant time.
// Consumes the stream in an order that is part of the file format (seeded keys and queries): 8 little-endian bytes a
// try, masked to the bits of q.
void vl_rng_uniform(vl_rng *rng, uint64_t q, uint64_t *out, size_t n);

#endif
