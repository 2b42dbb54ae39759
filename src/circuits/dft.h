// SPDX-License-Identifier: Apache-2.0
// The homomorphic transforms between slots and coefficients, as products of sparse matrices (Chen, Chillotti, Song,
// eprint 2018/1043 and 2018/1073, section 5; Bossuat et al. 2020/1203, section 4: double hoisting).
//
// Notation: n = 2^log_slots, F the forward transform of ckks/fft.h: slots z = F w, w_j = m_j + i m_{j + n} the
// coefficient pairs in bit-reversed order. F is a product of log n butterfly stages (half = 1, 2, .., n/2), each with
// three diagonals; a factor merges consecutive stages: s stages with halves h .. 2^(s-1) h have the diagonals h k,
// |k| < 2^s (modulo n: the last stages have 2^s only).
//   SlotsToCoeffs  applies F: what lay in the slots lies in the coefficients (bit-reversed).
//   CoeffsToSlots  applies F^-1, each stage with its factor 1/2.
// A factor's diagonals repeat with 2^s h slots; their encodings are polynomials in a power of X whose transforms have
// runs of equal words, and only one word a run is kept: together a transform's matrices are little more than the
// diagonals of its largest factor.
#ifndef VELUM_CIRCUITS_DFT_H
#define VELUM_CIRCUITS_DFT_H

#include "ckks/ckks.h"
#include "rlwe/encapsulate.h"

#define VL_DFT_MAX_FACTORS 8
#define VL_DFT_MAX_BABIES 256

typedef struct vl_dft_plan {
    bool inverse;                       // CoeffsToSlots
    uint8_t log_slots, factors;         // factors in order of application
    uint8_t stages[VL_DFT_MAX_FACTORS]; // merged; their sum is log_slots
    uint8_t log_babies[VL_DFT_MAX_FACTORS];
} vl_dft_plan;

typedef struct vl_dft_cost {
    uint32_t babies, giants, products; // key switches of hoisted and of giant rotations; diagonals
} vl_dft_cost;

// Stages split evenly over the factors (the factor with the largest stages takes what is left over), babies as
// balances hoisted rotations (`giant_price` times cheaper than giants).
velum_status vl_dft_plan_even(bool inverse, uint32_t log_slots, uint32_t factors, double giant_price, vl_dft_plan *out);
velum_status vl_dft_plan_check(const vl_dft_plan *plan);
vl_dft_cost vl_dft_price(const vl_dft_plan *plan, uint32_t factor);
// Rotations (in slots, to the left, 0 < k < n) of one factor, without duplicates; the count (at most 256).
uint32_t vl_dft_rotations(const vl_dft_plan *plan, uint32_t factor, int32_t out[256]);

// ---- in the clear: a matrix by its diagonals ----
// y[t] = sum_k v_k[t] x[t + k step], every index modulo `slots` (for v_k: modulo period).
typedef struct vl_diagonals {
    uint32_t slots, step, period;
    double complex **v; // slots / step entries; NULL: zero
} vl_diagonals;
// Factor `factor` of the plan, times `constant`.
velum_status vl_diagonals_factor(const vl_dft_plan *plan, uint32_t factor, double constant, vl_diagonals *out);
void vl_diagonals_free(vl_diagonals *d);
void vl_diagonals_apply(const vl_diagonals *d, const double complex *x, double complex *y);

// ---- encoded ----
typedef struct vl_diagonal_map { // one factor at one level
    uint16_t level;
    double scale;                  // of the encoded diagonals
    uint32_t babies, giants, step; // babies is a power of two
    int32_t *giant;                // rotation of each giant, 0 <= k < slots
    uint64_t **x;                  // giants x babies, over level + P limbs; NULL: zero
    uint32_t *run;                 // giants x babies: coefficients a word stands for
    uint64_t bytes;
} vl_diagonal_map;
// pre, post: NULL, or 2 n values: the map takes pre .* x and gives post .* y, for vectors of period 2n (see bootstrap.h
// on sparse slots; n is at most half of the slots then).
velum_status vl_diagonal_map_new(vl_exec *x, const vl_encoder *e, const vl_diagonals *d, uint32_t log_babies,
                                 const double complex *pre, const double complex *post, uint16_t level, double scale,
                                 vl_diagonal_map *out);
void vl_diagonal_map_free(vl_diagonal_map *m);
// d = M a at m's level (a's is that or above), scale *= m->scale; with `rescale` one level lower, in the same division.
// One decomposition, babies - 1 hoisted and giants - 1 whole key switches, one division by P. d may be a. image:
// `images` Galois elements, at most VL_DFT_MAX_IMAGES: d = M a + the images of that, before the division.
#define VL_DFT_MAX_IMAGES 16u
void vl_diagonal_map_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagonal_map *m, bool rescale,
                           const uint64_t *image, uint32_t images, vl_ciphertext *d, const vl_ciphertext *a);
// d = M ct, one level lower, ct at the base prime and raised to m's level on the way. m: of one giant, all babies
// multiples of k's step, k's `sums` a multiple of them: baby b is the sum of the rotations of ct by (b + r babies)
// step. The scale is that of ct times m->scale over q; d is not ct.
void vl_diagonal_map_raise(vl_exec *x, const vl_encapsulation *k, const vl_diagonal_map *m, vl_ciphertext *d,
                           const vl_ciphertext *ct);
size_t vl_diagonal_map_raise_scratch(const vl_params *p, uint32_t babies);
// a += its images under galois[0 .. count), count <= VL_DFT_MAX_IMAGES, then rescaled if asked: one decomposition and
// one division. Needs less scratch than vl_diagonal_map_apply with two giants.
void vl_automorphisms_add(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count, bool rescale,
                          vl_ciphertext *a);
size_t vl_diagonal_map_scratch(const vl_params *p, uint32_t babies, uint32_t giants, uint16_t level);
size_t vl_diagonal_map_encode_scratch(const vl_params *p, uint16_t level);

#endif
