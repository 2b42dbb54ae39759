// SPDX-License-Identifier: Apache-2.0
// CKKS: encoder for complex slots, evaluator with exact scales, precision statistics.
//
// Slots: N/2 complex values z_k = m(zeta^{5^k}) / scale. A sparse vector of 2^g slots is the same vector repeated.
// Every operation states its effect on (level, scale). Scales multiply and divide by the true primes; addition demands
// equal scales (relative difference at most 2^-36, else it asserts: the program's verifier rules it out beforehand).
#ifndef VELUM_CKKS_CKKS_H
#define VELUM_CKKS_CKKS_H

#include "rlwe/rlwe.h"
#include <complex.h>

// ---- encoder ---- (tables shared, const after init)
typedef struct vl_encoder vl_encoder;
velum_status vl_encoder_new(const vl_params *p, vl_encoder **out);
void vl_encoder_free(vl_encoder *e);
const vl_params *vl_encoder_params(const vl_encoder *e);
// m = encoding of `count` (a power of two <= N/2, the vector repeats) slots at `scale`, over m.nq (+ m.np) limbs, NTT
// domain. The FFT has a fixed order and no contraction: the same bits everywhere. Coefficients are rounded to nearest
// integers; VELUM_E_VALUE for values that are not finite, or whose coefficients reach 2^61 or half the modulus.
velum_status vl_encode_real(vl_exec *x, const vl_encoder *e, const double *v, uint32_t count, double scale, vl_poly m);
velum_status vl_encode_complex(vl_exec *x, const vl_encoder *e, const double complex *v, uint32_t count, double scale,
                               vl_poly m);
// The N integer coefficients alone (v or z given, the other NULL), for a plaintext over nq + np limbs that is to be
// made when it is used (vl_ring_from_i64, vl_ring_ntt).
velum_status vl_encode_coefficients(vl_exec *x, const vl_encoder *e, const double *v, const double complex *z,
                                    uint32_t count, double scale, uint32_t nq, uint32_t np, int64_t *c);
// From an NTT-domain plaintext of m.nq limbs. `count` slots out.
velum_status vl_decode_complex(vl_exec *x, const vl_encoder *e, vl_poly m, double scale, double complex *v,
                               uint32_t count);
velum_status vl_decode_real(vl_exec *x, const vl_encoder *e, vl_poly m, double scale, double *v, uint32_t count);
size_t vl_encoder_scratch(const vl_params *p, uint32_t nq, uint32_t np);

// ---- evaluator: (level, scale) -> (level, scale); `d` needs capacity for the result's level and may be an input ----
// Sums at the lower of the two levels, the higher of the two degrees, a's scale.
void vl_ckks_add(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b);
void vl_ckks_sub(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b);
void vl_ckks_neg(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a);
// m: a.level limbs or more (the first are used); in a sum at a's scale.
void vl_ckks_add_plain(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, vl_poly m);
void vl_ckks_mul_plain(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, vl_poly m,
                       double m_scale);
// Real constants without encoding. add: level and scale kept. mul: scale *= const_scale (times the integer
// round(c const_scale), of any size; 53 bits of it count).
void vl_ckks_add_const(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, double c);
void vl_ckks_mul_const(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, double c,
                       double const_scale);
// Degree 2 result, scale a.scale * b.scale, level min; `relin` NULL leaves it at degree 2. d->c[2] must exist if so.
void vl_ckks_mul(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b,
                 const vl_switch_key *relin);
void vl_ckks_square(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                    const vl_switch_key *relin);
// The product relinearised and rescaled in one division: level - 1, scale / q_{level-1}; a quarter cheaper than one
// after the other. d needs no c[2].
void vl_ckks_mul_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                         const vl_ciphertext *b, const vl_switch_key *relin);
void vl_ckks_square_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                            const vl_switch_key *relin);
// level - 1, scale / q_{level-1}; any degree
void vl_ckks_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a);
// Rotation by k to the left with its key out of keys (asserts that it is there). k = 0 modulo N/2 needs none.
void vl_ckks_rotate(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a, int32_t k);
void vl_ckks_conjugate(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_ckks_scratch(const vl_params *p, uint16_t level);
size_t vl_ckks_scratch_threads(const vl_params *p, uint16_t level, uint32_t threads); // as vl_rlwe_scratch_threads

// ---- precision ---- bits = -log2 |error|
typedef struct vl_precision {
    double max_error, mean_error, rms_error;
    double bits_min, bits_mean; // of the worst and of the mean error
} vl_precision;
vl_precision vl_precision_of(const double complex *want, const double complex *got, size_t count);
vl_precision vl_precision_of_real(const double *want, const double *got, size_t count);

#endif
