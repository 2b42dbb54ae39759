// SPDX-License-Identifier: Apache-2.0
// Linear maps between values that lie over many ciphertexts, with scalar weights: convolutions on pictures whose
// channels and phases are ciphertexts of their own (docs/design/pictures.md).
//
//   out_r = (sum_k weight_rk copy_k) / q_{level-1} + bias_r,  copy_k = mask_k * rotate(in_{source_k}, rotation_k)
//
// One level in all: masks are encoded at the scale of the parameters' plaintext prime p' (rlwe/params.h) and multiplied
// into the rotated ciphertext while it is over Q P p', so that the division by P takes their scale away with it.
//
// Done limb by limb of Q P p': each rotated copy exists for one limb only, sums over all copies stay in registers
// (kernels: mix), and each output is divided by P p' q_{level-1} once. Limbs go to threads.
#ifndef VELUM_CIRCUITS_SPREAD_H
#define VELUM_CIRCUITS_SPREAD_H

#include "ckks/ckks.h"

#define VL_SPREAD_NO_MASK UINT32_MAX
#define VL_SPREAD_MAX_CTS 8192     // sources, and outputs
#define VL_SPREAD_MAX_COPIES 65536 // at most 4096 of them in one output
#define VL_SPREAD_MAX_MASKS 4096

typedef struct vl_spread_copy {
    uint32_t source;  // a ciphertext: those of the first value, then those of the second
    int32_t rotation; // slots to the left, in (-slots, slots); 0: none
    uint32_t mask;    // VL_SPREAD_NO_MASK: none
} vl_spread_copy;

typedef struct vl_spread { // pure data; saved in programs
    uint32_t sources, outputs, copies, masks;
    uint32_t period;      // of masks and biases, in slots: a power of two
    uint32_t bias_period; // 0: no bias; 1: a number an output; or period: one a slot modulo period
    uint32_t parts;       // 2: the bias goes into real and imaginary part, 1: into the real part
    vl_spread_copy *copy; // ascending by (source, rotation, mask), all different
    uint64_t *start;      // outputs + 1; row r is start[r] .. start[r + 1] - 1 of
    uint32_t *col;        //   its copies, ascending, each one once
    double *weight;       //   and their weights
    uint8_t *mask;        // masks x period: 0 or 1
    double *bias;         // outputs x bias_period
} vl_spread;

void vl_spread_clear(vl_spread *s);
// Structure: VELUM_E_FORMAT naming what is wrong (counts, order, references, numbers that are not finite),
// VELUM_E_LIMIT for counts above. slots: N/2.
velum_status vl_spread_check(const vl_spread *s, uint32_t slots);
// Rotation keys at `level`, each once; at most VL_SPREAD_MAX_COPIES. Returns the count.
uint32_t vl_spread_key_requests(const vl_spread *s, const vl_params *p, uint16_t level, vl_key_request *out);

typedef struct vl_spread_cost { // counts at work, for plans and explain
    uint64_t rotations;         // rotated copies
    uint64_t decompositions;    // inputs that are rotated
    uint64_t products;          // scalar products: entries of the matrix
    uint64_t masked;            // masked copies
} vl_spread_cost;
vl_spread_cost vl_spread_count(const vl_spread *s);

typedef struct vl_spread_coded vl_spread_coded; // with integer weights and encoded masks
// factor[source]: its weights become the integers round(weight factor), below 2^62. VELUM_E_MISMATCH if there are masks
// and the parameters have no plaintext prime; VELUM_E_VALUE for a weight that is too large. bias_scale: of the result.
// `s` must outlive it.
velum_status vl_spread_encode(vl_exec *x, const vl_encoder *e, const vl_spread *s, uint16_t level, const double *factor,
                              double bias_scale, vl_spread_coded **out);
void vl_spread_coded_free(vl_spread_coded *c);
uint64_t vl_spread_coded_bytes(const vl_params *p, const vl_spread *s, uint16_t level);
// in[sources], of degree 1 at `level` or above (upper limbs are not used); out[outputs] with room for level - 1, none
// of them an input. Sets level; scale is left to the caller. Results do not depend on the number of threads. Scratch
// comes from x's arena: vl_spread_scratch, of which a limb's copies for each thread is the larger part; with less there
// is less parallelism, down to one limb at a time.
void vl_spread_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_spread_coded *c,
                     vl_ciphertext *out, const vl_ciphertext *const *in);
size_t vl_spread_scratch(const vl_params *p, const vl_spread *s, uint16_t level, uint32_t threads);

// The same in the clear: x: sources x slots, y: outputs x slots (for one part).
void vl_spread_clear_apply(const vl_spread *s, uint32_t slots, const double *x, double *y);

// ---- the square of both parts ----
// d = c (x^2 + i y^2) + k (1 + i) of z = x + iy, c = 4, for parts = 2; x^2 + k, c = 1, for parts = 1: a.scale^2 c is
// the result's scale, its level is a's: nothing is rescaled. One relinearisation and, for two parts, one conjugation.
// keys: relinearisation and conjugation at a's level. d may be a.
void vl_spread_square(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, uint32_t parts, double k,
                      vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_spread_square_scratch(const vl_params *p, uint16_t level);

#endif
