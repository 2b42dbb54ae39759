// SPDX-License-Identifier: Apache-2.0
// A stand-in for bootstrapping, for tests of deep circuits: it holds the secret key, decrypts, adds an error, encrypts
// again. It refuses what vl_bootstrap_apply refuses of a ciphertext, and asks for no keys.
#ifndef VELUM_TESTS_CIRCUITS_DOUBLE_H
#define VELUM_TESTS_CIRCUITS_DOUBLE_H

#include "circuits/bootstrap.h"
#include "ckks/ckks.h"

#include <math.h>

// Kept in every object that includes this: tools/check_symbols looks for the name.
__attribute__((used)) static const char bootstrap_double_has_the_secret_key[] = "tests only";

typedef struct bootstrap_double {
    const vl_bootstrap_plan *plan;
    const vl_encoder *e;
    const vl_secret_key *sk;
    double sigma;  // deviation of the error added to the real and the imaginary part of each slot; may be 0
    uint32_t runs; // so far: each has errors of its own, the same in every test run
} bootstrap_double;

static inline velum_status bootstrap_double_check(const bootstrap_double *b, const vl_ciphertext *d,
                                                  const vl_ciphertext *ct) {
    const vl_bootstrap_plan *plan = b->plan;
    VL_FAIL_IF(ct->degree != 1, VELUM_E_USAGE, "bootstrap: a ciphertext of degree %u", ct->degree);
    VL_FAIL_IF(ct->level < plan->in_level, VELUM_E_LIMIT, "bootstrap: the input has %u limbs, %u are needed", ct->level,
               plan->in_level);
    VL_FAIL_IF(!(fabs(ct->scale - plan->scale) <= 0x1p-20 * plan->scale), VELUM_E_VALUE,
               "bootstrap: the input's scale is 2^%.6f, must be 2^%.6f", log2(ct->scale), log2(plan->scale));
    VL_FAIL_IF(d->capacity < plan->out_level, VELUM_E_USAGE, "bootstrap: room for %u limbs, the result has %u",
               d->capacity, plan->out_level);
    return VELUM_OK;
}

static inline velum_status bootstrap_double_fill(vl_exec *x, bootstrap_double *b, double complex *slots, vl_poly in,
                                                 vl_poly out, vl_ciphertext *d, const vl_ciphertext *ct) {
    const vl_params *p = vl_encoder_params(b->e);
    uint32_t count = UINT32_C(1) << b->plan->params.log_slots;
    vl_rlwe_decrypt(x, p, b->sk, ct, in);
    VL_TRY(vl_decode_complex(x, b->e, in, ct->scale, slots, count));
    if (b->sigma > 0) {
        const uint8_t seed[VL_SEED_BYTES] = "error of a bootstrap's double";
        vl_rng rng;
        vl_rng_init_seed(&rng, seed, b->runs);
        for (uint32_t k = 0; k < count; k++) {
            int64_t error[2]; // of deviation 2^40
            vl_rng_gaussian_wide(&rng, error, 2, 0x1p40);
            slots[k] += b->sigma * 0x1p-40 * ((double)error[0] + (double)error[1] * I);
        }
    }
    b->runs++;
    VL_TRY(vl_encode_complex(x, b->e, slots, count, b->plan->scale, out));
    uint8_t unused[VL_SEED_BYTES];
    vl_rlwe_encrypt(x, p, b->sk, out, unused, d);
    d->scale = b->plan->scale;
    return VELUM_OK;
}

// As vl_bootstrap_apply; keys, own and report are not looked at. x: scratch of vl_rlwe_scratch and vl_encoder_scratch.
static inline velum_status bootstrap_double_apply(vl_exec *x, bootstrap_double *b, const vl_eval_keys *keys,
                                                  const vl_bootstrap_keys *own, vl_ciphertext *d,
                                                  const vl_ciphertext *ct, vl_bootstrap_report *report) {
    (void)keys, (void)own, (void)report;
    VL_TRY(bootstrap_double_check(b, d, ct));
    const vl_ring *ring = &vl_encoder_params(b->e)->ring;
    double complex *slots = vl_alloc_array((size_t)1 << b->plan->params.log_slots, sizeof *slots);
    vl_poly in = {0}, out = {0};
    velum_status status = slots ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "no memory for a bootstrap's double");
    if (status == VELUM_OK) status = vl_poly_new(ring, ct->level, 0, &in);
    if (status == VELUM_OK) status = vl_poly_new(ring, b->plan->out_level, 0, &out);
    if (status == VELUM_OK) status = bootstrap_double_fill(x, b, slots, in, out, d, ct);
    vl_poly_free(&in);
    vl_poly_free(&out);
    vl_free(slots);
    return status;
}

#endif
