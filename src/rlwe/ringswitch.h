// SPDX-License-Identifier: Apache-2.0
// A ciphertext whose message lies in a subring, taken to the smaller ring and back (ring switching: Gentry, Halevi,
// Peikert, Smart, eprint 2012/240). Operations there cost N' / N of what they cost in the large ring; the smaller
// ring's line of the security table bounds their modulus.
//
// Notation: N the degree of the large ring, N' of the small one, k = N / N': the subring of the polynomials in X^k. s
// the main secret, s' an ephemeral secret of the small ring. One key over N switches s to s'(X^k), an encryption under
// s' of dimension N'; then the coefficients at multiples of k are a ciphertext under s'. A message outside the subring
// loses its other coefficients.
#ifndef VELUM_RLWE_RINGSWITCH_H
#define VELUM_RLWE_RINGSWITCH_H

#include "rlwe/rlwe.h"

// The parameters of that key: those of the small ring, `low`, in the large one.
vl_params_literal vl_ringswitch_entry(const vl_params_literal *low, uint8_t log_n);
// As saved and in memory: a set of the one key, named by Galois element 1, at all levels of `low`.
vl_key_request vl_ringswitch_request(const vl_params_literal *low);

typedef struct vl_ringswitch_secret {
    vl_secret_key small; // s', over low's QP
    int8_t *wide;        // N coefficients of s'(X^k)
} vl_ringswitch_secret;
// Draws s'. Guarded memory; forget it once the keys are made. VELUM_E_USAGE unless low's ring is smaller than 2^log_n.
velum_status vl_ringswitch_secret_new(const vl_params *low, unsigned log_n, vl_ringswitch_secret *out);
void vl_ringswitch_secret_free(vl_ringswitch_secret *secret);
// sk: the main secret, of which only the coefficients are used.
velum_status vl_ringswitch_key_new(vl_exec *x, const vl_params *entry, const vl_secret_key *sk,
                                   const vl_ringswitch_secret *secret, vl_eval_keys *out);

// out (of low, at ct's level, with room for it) = ct in the small ring; ct's primes are those of `low`. A key switch.
void vl_ringswitch_enter(vl_exec *x, const vl_eval_keys *entry, const vl_params *low, vl_ciphertext *out,
                         const vl_ciphertext *ct);
// out (of p, whose primes are low's) = a under s'(X^k), exact. out needs room for a's level.
void vl_ringswitch_leave(vl_exec *x, const vl_params *p, const vl_params *low, vl_ciphertext *out,
                         const vl_ciphertext *a);
// Arena bytes that either needs, at `level` limbs.
size_t vl_ringswitch_scratch(const vl_params *entry, uint16_t level);

#endif
