// SPDX-License-Identifier: Apache-2.0
#include "ckks/fft.h"

#include "base/cpu.h"
#include "base/mem.h"

// ---- the butterflies ---- plain loops, compiled twice on x86-64: products and sums are never contracted, so that
// wider vectors give the same bits.
#define STAGES static inline __attribute__((always_inline)) void

STAGES inverse_stage(double *restrict re, double *restrict im, uint32_t n, uint32_t half, const double *restrict wr,
                     const double *restrict wi) {
    for (uint32_t i = 0; i < n; i += 2 * half) {
        double *restrict ar = re + i, *restrict ai = im + i, *restrict br = ar + half, *restrict bi = ai + half;
        for (uint32_t j = 0; j < half; j++) {
            double dr = ar[j] - br[j], di = ai[j] - bi[j];
            ar[j] += br[j];
            ai[j] += bi[j];
            br[j] = dr * wr[j] + di * wi[j];
            bi[j] = di * wr[j] - dr * wi[j];
        }
    }
}

STAGES forward_stage(double *restrict re, double *restrict im, uint32_t n, uint32_t half, const double *restrict wr,
                     const double *restrict wi) {
    for (uint32_t i = 0; i < n; i += 2 * half) {
        double *restrict ar = re + i, *restrict ai = im + i, *restrict br = ar + half, *restrict bi = ai + half;
        for (uint32_t j = 0; j < half; j++) {
            double vr = br[j] * wr[j] - bi[j] * wi[j], vi = br[j] * wi[j] + bi[j] * wr[j];
            br[j] = ar[j] - vr;
            bi[j] = ai[j] - vi;
            ar[j] += vr;
            ai[j] += vi;
        }
    }
}

// Large blocks by stages, then each block of 1024 in the first-level cache.
#define BLOCK 1024u
STAGES inverse_body(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
    uint32_t n = UINT32_C(1) << log, block = n < BLOCK ? n : BLOCK;
    for (uint32_t half = n / 2; half >= block; half /= 2) inverse_stage(re, im, n, half, f->cos + half, f->sin + half);
    for (uint32_t i = 0; i < n; i += block) {
        for (uint32_t half = block / 2; half >= 4; half /= 2)
            inverse_stage(re + i, im + i, block, half, f->cos + half, f->sin + half);
        if (block >= 4) inverse_stage(re + i, im + i, block, 2, f->cos + 2, f->sin + 2);
        if (block >= 2) inverse_stage(re + i, im + i, block, 1, f->cos + 1, f->sin + 1);
    }
}

STAGES forward_body(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
    uint32_t n = UINT32_C(1) << log, block = n < BLOCK ? n : BLOCK;
    for (uint32_t i = 0; i < n; i += block) {
        if (block >= 2) forward_stage(re + i, im + i, block, 1, f->cos + 1, f->sin + 1);
        if (block >= 4) forward_stage(re + i, im + i, block, 2, f->cos + 2, f->sin + 2);
        for (uint32_t half = 4; half < block; half *= 2)
            forward_stage(re + i, im + i, block, half, f->cos + half, f->sin + half);
    }
    for (uint32_t half = block; half < n; half *= 2) forward_stage(re, im, n, half, f->cos + half, f->sin + half);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void inverse_avx2(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
    inverse_body(f, log, re, im);
}
__attribute__((target("avx2"))) static void forward_avx2(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
    forward_body(f, log, re, im);
}
#endif

void vl_ckks_fft_inverse(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
#if defined(__x86_64__)
    if (vl_cpu_features() & VL_CPU_AVX2_FMA) {
        inverse_avx2(f, log, re, im);
        return;
    }
#endif
    inverse_body(f, log, re, im);
}

void vl_ckks_fft_forward(const vl_ckks_fft *f, unsigned log, double *re, double *im) {
#if defined(__x86_64__)
    if (vl_cpu_features() & VL_CPU_AVX2_FMA) {
        forward_avx2(f, log, re, im);
        return;
    }
#endif
    forward_body(f, log, re, im);
}

void vl_ckks_fft_clear(vl_ckks_fft *f) {
    vl_free(f->cos);
    vl_free(f->sin);
    vl_free(f->reverse);
    *f = (vl_ckks_fft){0};
}
