// SPDX-License-Identifier: Apache-2.0
// What generating and loading keys share.
#ifndef VELUM_RLWE_KEYS_H
#define VELUM_RLWE_KEYS_H

#include "rlwe/rlwe.h"

// s from its coefficients, over QP, NTT domain.
velum_status vl_keys_expand_secret(const vl_params *p, vl_secret_key *sk);
// Allocates a key's polynomials (not zeroed; the halves b only with own_b, for else they lie elsewhere) and its
// permutation; on failure the key is left empty.
velum_status vl_keys_init(const vl_params *p, uint64_t galois, uint16_t nq, bool own_b, vl_switch_key *key);
// The same for the public encryption key.
velum_status vl_keys_init_zero(const vl_params *p, uint16_t zero_nq, bool own_b, vl_eval_keys *keys);
void vl_keys_clear(vl_switch_key *key);
// The saved form, see keys_io.c.
#define VL_KEY_HEAD ((size_t)64)
void vl_keys_put_head(const vl_switch_key *key, uint8_t out[VL_KEY_HEAD]);
size_t vl_keys_saved_bytes(const vl_params_literal *lit, const vl_key_request *requests, uint32_t count,
                           uint16_t zero_nq);
void vl_keys_write_head(const vl_params *p, uint16_t zero_nq, uint32_t count, vl_writer *w);
// log2 of the modulus of a key over q_0..q_{nq-1} (and P) against the table: VELUM_E_INSECURE names the key.
velum_status vl_keys_check_security(const vl_params *p, uint16_t nq, bool with_special, const char *what);
// b = e - a s over one limb, NTT domain; a expanded from stream `domain` of the seed. t: room for a limb; words: for N
// signed words.
void vl_keys_mask_error(const vl_modulus *m, const uint8_t *seed, uint64_t domain, const int32_t *e, const uint64_t *s,
                        uint64_t *b, uint64_t *a, uint64_t *t, int64_t *words, size_t n);

#endif
