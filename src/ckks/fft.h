// SPDX-License-Identifier: Apache-2.0
// The canonical embedding as a fast Fourier transform over the group 5^k (Cheon, Han et al., 2018/1043).
//
// w_j, j < n = 2^log_n', stands for the coefficient pair (j, j + n) of a polynomial in Y, Y^(2n) = -1:
//   z_k = sum_j w_j zeta^(j 5^k),  zeta = exp(2 pi i / 4n).
// Real and imaginary parts lie apart. Every size uses the same tables: stage `half` multiplies by the roots of order
// 8 half, powers 5^j. The order of operations is fixed, and roots come from double-double arithmetic and not from the
// mathematical library: the same bits on every machine.
#ifndef VELUM_CKKS_FFT_H
#define VELUM_CKKS_FFT_H

#include "base/status.h"
#include <stdint.h>

typedef struct vl_ckks_fft {
    unsigned log_slots; // largest size
    double *cos, *sin;  // entry half + j: root j of stage `half`
    uint32_t *reverse;  // bit reversal of log_slots bits
} vl_ckks_fft;

velum_status vl_ckks_fft_init(vl_ckks_fft *f, unsigned log_slots);
void vl_ckks_fft_clear(vl_ckks_fft *f);
// z (natural order) to n w (bit-reversed order: entry reverse(j) holds w_j), in place. n = 2^log <= 2^log_slots.
void vl_ckks_fft_inverse(const vl_ckks_fft *f, unsigned log, double *re, double *im);
// w (bit-reversed order) to z (natural order), in place.
void vl_ckks_fft_forward(const vl_ckks_fft *f, unsigned log, double *re, double *im);
static inline uint32_t vl_ckks_fft_reverse(const vl_ckks_fft *f, unsigned log, uint32_t j) {
    return f->reverse[j] >> (f->log_slots - log);
}

#endif
