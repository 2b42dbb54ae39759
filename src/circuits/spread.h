// SPDX-License-Identifier: Apache-2.0
// Linear maps between values that lie over many ciphertexts, with scalar weights: convolutions on pictures whose
// channels and phases are ciphertexts of their own (docs/design/pictures.md).
//
//   out_r = (sum_k weight_rk pattern_rk copy_k) / q_{level-1} + bias_r,  copy_k = rotate(in_{source_k}, rotation_k)
//
// A pattern is a vector of `period` numbers, repeated over the slots (0 and 1 for the borders of a picture). Weight and
// pattern together are one plaintext, rounded once, in the subring of X^gap, gap = N / (2 period) (ring/subring.h): in
// the NTT domain it is constant on runs of gap words. So on each run it is a scalar as any other weight is, and costs
// as much: no level, no scale, no pass of its own. The error of a weight is 0.3 / factor (rms) and with a pattern
// sqrt(period / 6) / factor in every slot, also where the pattern is 0; it is real, so that the parts do not mix.
//
// Done limb by limb of Q P: each rotated copy exists for one limb only, sums over all copies stay in registers
// (kernels: mix), and each output is divided by P q_{level-1} once. Without rotations P is not used.
#ifndef VELUM_CIRCUITS_SPREAD_H
#define VELUM_CIRCUITS_SPREAD_H

#include "ckks/ckks.h"

#define VL_SPREAD_NO_PATTERN UINT32_MAX
#define VL_SPREAD_MAX_CTS 8192     // sources, and outputs
#define VL_SPREAD_MAX_COPIES 65536 // at most 4096 of them in one output
#define VL_SPREAD_MAX_PATTERNS 65536

typedef struct vl_spread_copy {
    uint32_t source;  // a ciphertext: those of the first value, then those of the second
    int32_t rotation; // slots to the left, in (-slots, slots); 0: none
} vl_spread_copy;

typedef struct vl_spread { // pure data; saved in programs
    uint32_t sources, outputs, copies, patterns;
    uint32_t period;      // of patterns and biases, in slots: a power of two, at most N / 32
    uint32_t bias_period; // 0: no bias; 1: a number an output; or period: one a slot modulo period
    uint32_t parts;       // 2: the bias goes into real and imaginary part, 1: into the real part
    vl_spread_copy *copy; // ascending by (source, rotation), all different
    uint64_t *start;      // outputs + 1; row r has the entries start[r] .. start[r + 1] - 1:
    uint32_t *col;        //   copies, ascending, each once
    double *weight;       //   their weights
    uint32_t *through;    //   their patterns, or VL_SPREAD_NO_PATTERN
    double *pattern;      // patterns x period
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
    uint64_t patterned;         // of those, with a pattern
} vl_spread_cost;
vl_spread_cost vl_spread_count(const vl_spread *s);

#define VL_SPREAD_TABLE (UINT64_C(1) << 25)     // words of scalars that a run makes at a time, if one row needs no more
typedef struct vl_spread_coded vl_spread_coded; // with integer weights and encoded patterns
// factor[source]: weights become the integers round(weight factor), patterned ones the polynomials with coefficients
// round(factor weight pattern). bias_scale: of the result. VELUM_E_VALUE for |weight pattern factor| of 2^50 or more,
// or a bias too large for its scale; VELUM_E_LIMIT for a level below 2 or above the parameters'. s: as vl_spread_check
// wants it; it must outlive the result. Scratch: vl_spread_encode_scratch.
velum_status vl_spread_encode(vl_exec *x, const vl_encoder *e, const vl_spread *s, uint16_t level, const double *factor,
                              double bias_scale, vl_spread_coded **out);
size_t vl_spread_encode_scratch(const vl_params *p, uint16_t level);
void vl_spread_coded_free(vl_spread_coded *c);
uint64_t vl_spread_coded_bytes(const vl_params *p, const vl_spread *s, uint16_t level); // at most
// in[sources], of degree 1 at `level` or above (upper limbs are not used); out[outputs] with room for level - 1, none
// of them an input. Sets level; the scale, in's times factor / q_{level-1}, is left to the caller. keys: those of
// vl_spread_key_requests at `level`. Results depend neither on the number of threads nor on the scratch in x's arena:
// vl_spread_scratch for so many threads as x has; up to three quarters of what extended digits take of it (limbs:
// 4 x decompositions x digits) may be missing, at a loss of speed.
void vl_spread_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_spread_coded *c,
                     vl_ciphertext *out, const vl_ciphertext *const *in);
size_t vl_spread_scratch(const vl_params *p, const vl_spread *s, uint16_t level, uint32_t threads);

// The same in the clear: x: sources x slots, y: outputs x slots (for one part, with its bias). `slots`: N/2 or any
// power of two that is no less than the period.
void vl_spread_clear_apply(const vl_spread *s, uint32_t slots, const double *x, double *y);

// ---- the square of both parts ----
// d = c (x^2 + i y^2) + k (1 + i) of z = x + iy, c = 4, for parts = 2; x^2 + k, c = 1, for parts = 1: a.scale^2 c is
// the result's scale, its level is a's: nothing is rescaled. One relinearisation and, for two parts, one conjugation.
// keys: relinearisation and conjugation at a's level. d may be a.
void vl_spread_square(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, uint32_t parts, double k,
                      vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_spread_square_scratch(const vl_params *p, uint16_t level);

#endif
