// SPDX-License-Identifier: Apache-2.0
// Sparse-secret encapsulation (Bossuat, Troncoso-Pastoriza, Hubaux, eprint 2022/024): the modulus of a ciphertext is
// raised while it is encrypted under an ephemeral sparse secret, so that what the raise adds is small; the main secret
// stays dense.
//
// Notation: s the main secret, t the sparse one (weight h), q_0 the base prime, p one special prime. Two keys:
//   down: (b, a) over q_0 p,  b = -a t + e + p s   (or another secret in place of s) the only thing encrypted under t:
//   log2(q_0 p) is about 100 bits up:   (b, a) over Q p,    b = -a s + e + p t   under the main secret, a part of its
//   QP
// The polynomial that `up` switches has coefficients below q_0 / 2, so it is its own decomposition: one digit, one
// special prime, whatever the level.
//
// Sums of rotations come nearly free there: a rotated polynomial is as small as it was, so that the rotation by k needs
// one more key of the same kind, from t rotated by k, and the sums are made before the one division by p. That is the
// projection on a subring which sparse slots want.
#ifndef VELUM_RLWE_ENCAPSULATE_H
#define VELUM_RLWE_ENCAPSULATE_H

#include "rlwe/rlwe.h"

typedef struct vl_encapsulation {
    const vl_params *params;
    uint32_t weight;
    uint16_t level;                 // limbs of Q that `up` has: what a raise reaches at most
    uint32_t sums;                  // `up` keys, for t rotated by 0, step, 2 step, ..: a power of two
    int32_t step;                   // in slots, to the left
    vl_automorphism *turn;          // `sums` of them; the first is not made
    uint64_t *block;                // owns the halves a, and b unless they lie in the bytes that they were loaded from
    uint64_t *down_b, *down_a;      // limbs: q_0, p
    uint64_t *up_b, *up_a;          // key by key; limbs: q_0 .. q_{level-1}, p
    uint64_t p_inv[VL_MAX_LIMBS];   // p^-1 mod q_i
    uint8_t seed[2][VL_SEED_BYTES]; // of down_a, up_a (of key i from stream i * VL_MAX_LIMBS + limb)
} vl_encapsulation;
#define VL_ENCAPSULATION_MAX_SUMS 64

// log2(q_0 p), what the line of the table for weight h must grant.
double vl_encapsulation_log_modulus(const vl_params *p);
// VELUM_E_INSECURE if the table has no line for (N, weight) that grants log2(q_0 p) at the parameters' security.
velum_status vl_encapsulation_check(const vl_params *p, uint32_t weight);
// Draws t, makes all keys, forgets t. sums: 1 for a raise alone, else a power of two, step in slots. in: the
// coefficients of the secret that what is raised is under, NULL: sk. VELUM_E_INSECURE as above; VELUM_E_USAGE for a
// level outside 2 .. q_count or other sums.
velum_status vl_encapsulation_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, int8_t *in, uint32_t weight,
                                  uint16_t level, uint32_t sums, int32_t step, vl_encapsulation *out);
void vl_encapsulation_free(vl_encapsulation *k);
uint64_t vl_encapsulation_bytes(const vl_params *p, uint16_t level, uint32_t sums); // in memory
size_t vl_encapsulation_saved_bytes(const vl_params *p, uint16_t level, uint32_t sums);
void vl_encapsulation_save(const vl_encapsulation *k, vl_writer *w);
// As vl_eval_keys_load does: VELUM_E_MISMATCH for other parameters, VELUM_E_INSECURE by the table, VELUM_E_FORMAT for
// counts and residues; halves b are borrowed from lasting bytes.
velum_status vl_encapsulation_load(vl_exec *x, const vl_params *p, vl_reader *r, vl_encapsulation *out);
// What both makers of a key share: its block, its automorphisms and the constants of p.
velum_status vl_encapsulation_init(const vl_params *p, uint32_t weight, uint16_t level, uint32_t sums, int32_t step,
                                   bool own_b, vl_encapsulation *out);
// ModRaise: ct (level 1 is used; degree 1) to out at `level` <= k->level, which decrypts to m + q_0 I with
// |m + q_0 I| <= q_0 (h + 1) / 2, or to the sum of the rotations of that. The scale is kept. out needs room for the
// level and is not ct.
// Noise added: a key switch over q_0 p, about sigma sqrt(N / 12) q_0 / p, and one over Q p of the same size a sum.
void vl_encapsulation_raise(vl_exec *x, const vl_encapsulation *k, uint16_t level, vl_ciphertext *out,
                            const vl_ciphertext *ct);
size_t vl_encapsulation_scratch(const vl_params *p);

#endif
