// SPDX-License-Identifier: Apache-2.0
// What generating and loading keys share.
#ifndef VELUM_RLWE_KEYS_H
#define VELUM_RLWE_KEYS_H

#include "rlwe/rlwe.h"

// s from its coefficients, over QP, NTT domain.
velum_status vl_keys_expand_secret(const vl_params *p, vl_secret_key *sk);
// Allocates a key's polynomials (not zeroed) and its permutation; on failure the key is left empty.
velum_status vl_keys_init(const vl_params *p, uint64_t galois, uint16_t nq, vl_switch_key *key);
void vl_keys_clear(vl_switch_key *key);
// log2 of the modulus of a key over q_0..q_{nq-1} (and P) against the table: VELUM_E_INSECURE names the key.
velum_status vl_keys_check_security(const vl_params *p, uint16_t nq, bool with_special, const char *what);
// b = e - a s over one limb, NTT domain; a expanded from stream `domain` of the seed. t: room for a limb; words: for N
// signed words.
void vl_keys_mask_error(const vl_modulus *m, const uint8_t *seed, uint64_t domain, const int32_t *e, const uint64_t *s,
                        uint64_t *b, uint64_t *a, uint64_t *t, int64_t *words, size_t n);

#endif
