// SPDX-License-Identifier: Apache-2.0
// The error of a bootstrap after each of its stages, against the exact value that is due there, with the secret key;
// and what the theory says. For full slots with SlotsToCoeffs first.
//
// All errors are in units of the message (|Re|, |Im| <= 1), of real numbers but for the last stage:
//   SlotsToCoeffs  coefficients against the message's parts in bit-reversed order
//   ModRaise       the same modulo q_0; also the largest multiple of q_0
//   CoeffsToSlots  (t - I) rho of the real half, with I as the raise left it
//   EvalMod        the real half's slots
//   recombination  the complex slots
#ifndef VELUM_BENCH_BOOTSTRAP_NOISE_H
#define VELUM_BENCH_BOOTSTRAP_NOISE_H

#include "circuits/bootstrap.h"

#define BENCH_NOISE_STAGES 5

typedef struct bench_noise_stage {
    const char *name;
    uint16_t level;
    double scale;
    double deviation, largest; // of the error: root mean square, and the worst
    double bits, theory;       // -log2 of the mean |error|: measured, and estimated
} bench_noise_stage;

typedef struct bench_noise {
    // what is measured, set by the caller
    const vl_params *p;
    const vl_encoder *e;
    const vl_secret_key *sk;
    const vl_bootstrap_plan *plan;
    const double complex *v; // the slots that the input encrypts
    // results
    uint32_t count;
    bench_noise_stage stage[BENCH_NOISE_STAGES];
    int32_t largest_multiple; // |I|
    velum_status status;
    // private
    vl_exec x;
    int32_t *multiple;
    double complex *slots;
} bench_noise;

// VELUM_E_UNSUPPORTED for sparse slots and for CoeffsToSlots first.
velum_status bench_noise_open(bench_noise *n);
void bench_noise_close(bench_noise *n);
// A probe of vl_bootstrap_report, with a bench_noise as argument.
void bench_noise_probe(void *arg, const char *stage, const vl_ciphertext *ct);
// A table to stderr.
void bench_noise_print(const bench_noise *n);

#endif
