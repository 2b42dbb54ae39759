// SPDX-License-Identifier: Apache-2.0
// Sparse-secret encapsulation (Bossuat, Troncoso-Pastoriza, Hubaux, eprint 2022/024): the modulus of a ciphertext is
// raised while it is encrypted under an ephemeral sparse secret, so that what the raise adds is small; the main secret
// stays dense.
//
// Notation: s the main secret, t the sparse one (weight h), q_0 the base prime, p one special prime. Two keys:
//   down: (b, a) over q_0 p,  b = -a t + e + p s   (or another secret in place of s) the only thing encrypted under t:
//   log2(q_0 p) is about 100 bits
//   up:   (b, a) over Q p,    b = -a s + e + p t   under the main secret, a part of its QP
// The polynomial that `up` switches has coefficients below q_0 / 2, so it is its own decomposition: one digit, one
// special prime, whatever the level.
//
// Sums of rotations come nearly free there: a rotated polynomial is as small as it was, so that the rotation by k needs
// one more key of the same kind, from t rotated by k, and the sums are made before the one division by p. That is the
// projection on a subring which sparse slots want, or the rotations that the first linear map after the raise wants
// (circuits/dft.h), or both: `outputs` sums, output o that of the rotations by (o + r outputs) step.
//
// Subring. Where the message lies in Z[X^2] anyhow, t may be drawn there too: c_0 + c_1 t then has its even
// coefficients from those of c_0 and c_1 alone, so dropping the odd ones is half of the projection and costs nothing.
// An encryption under t is two of the ring of degree N / 2, so it is the table's line for that degree that has to grant
// q_0 p.
#ifndef VELUM_RLWE_ENCAPSULATE_H
#define VELUM_RLWE_ENCAPSULATE_H

#include "rlwe/rlwe.h"

typedef struct vl_encapsulation_shape {
    uint32_t weight;
    uint16_t level;   // limbs of Q that `up` has: what a raise reaches at most
    uint32_t subring; // t lies in Z[X^subring]: 1 or 2
    uint32_t sums;    // `up` keys, for t rotated by 0, step, 2 step, ..: a power of two
    int32_t step;     // in slots, to the left
} vl_encapsulation_shape;

typedef struct vl_encapsulation {
    const vl_params *params;
    vl_encapsulation_shape shape;
    vl_automorphism *turn;          // shape.sums of them; the first is not made
    uint64_t *block;                // owns the halves a, and b unless they lie in the bytes that they were loaded from
    uint64_t *down_b, *down_a;      // limbs: q_0, p
    uint64_t *up_b, *up_a;          // key by key; limbs: q_0 .. q_{level-1}, p
    uint64_t p_inv[VL_MAX_LIMBS];   // p^-1 mod q_i
    uint8_t seed[2][VL_SEED_BYTES]; // of down_a, up_a (of key i from stream i * VL_MAX_LIMBS + limb)
} vl_encapsulation;
#define VL_ENCAPSULATION_MAX_SUMS 64

// log2(q_0 p), what the line of the table for weight h must grant.
double vl_encapsulation_log_modulus(const vl_params *p);
// VELUM_E_INSECURE if the table has no line for (N / subring, weight) that grants log2(q_0 p) at the parameters'
// security.
velum_status vl_encapsulation_check(const vl_params *p, uint32_t weight, uint32_t subring);
// Draws t, makes all keys, forgets t. in: the coefficients of the secret that what is raised is under, NULL: sk.
// VELUM_E_INSECURE as above; VELUM_E_USAGE for a level outside 2 .. q_count, or a subring or sums that cannot be.
velum_status vl_encapsulation_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, int8_t *in,
                                  const vl_encapsulation_shape *shape, vl_encapsulation *out);
void vl_encapsulation_free(vl_encapsulation *k);
bool vl_encapsulation_same_shape(const vl_encapsulation_shape *a, const vl_encapsulation_shape *b);
uint64_t vl_encapsulation_bytes(const vl_params *p, uint16_t level, uint32_t sums); // in memory
size_t vl_encapsulation_saved_bytes(const vl_params *p, uint16_t level, uint32_t sums);
void vl_encapsulation_save(const vl_encapsulation *k, vl_writer *w);
// As vl_eval_keys_load does: VELUM_E_MISMATCH for other parameters, VELUM_E_INSECURE by the table, VELUM_E_FORMAT for
// counts and residues; halves b are borrowed from lasting bytes.
velum_status vl_encapsulation_load(vl_exec *x, const vl_params *p, vl_reader *r, vl_encapsulation *out);
// What both makers of a key share: its block, its automorphisms and the constants of p.
velum_status vl_encapsulation_init(const vl_params *p, const vl_encapsulation_shape *shape, bool own_b,
                                   vl_encapsulation *out);

// ModRaise: ct (level 1 is used; degree 1) to out at `level` <= shape.level, which decrypts to m + q_0 I with
// |m + q_0 I| <= q_0 (h + 1) / 2, m and I projected on Z[X^subring], or to the sum of all rotations of that. The scale
// is kept. out needs room for the level and is not ct.
// Noise added: a key switch over q_0 p, about sigma sqrt(N / 12) q_0 / p, and one over Q p of the same size a sum.
void vl_encapsulation_raise(vl_exec *x, const vl_encapsulation *k, uint16_t level, vl_ciphertext *out,
                            const vl_ciphertext *ct);
size_t vl_encapsulation_scratch(const vl_params *p);

// ---- its parts, for a circuit that goes on with the sums limb by limb ----
// A ciphertext modulo q_0 under t, as coefficients.
typedef struct vl_lowered {
    const vl_encapsulation *k;
    uint32_t outputs; // divides shape.sums
    int64_t *c0;      // of output 0: its rotations are summed
    uint64_t *c1;     // modulo q_0
} vl_lowered;
// In memory of x's arena.
vl_lowered vl_encapsulation_lower(vl_exec *x, const vl_encapsulation *k, uint32_t outputs, const vl_ciphertext *ct);
// Limb i of both, transformed: c1, and p c0. i = shape.level is the limb of p: c0 is not written there.
void vl_lowered_limb(const vl_lowered *l, uint32_t i, uint64_t *c0, uint64_t *c1);
#define VL_LOWERED_GROUP 16u // rotations multiplied at a time
// Words [begin, begin + n) of limb i of output o, times p: n as for automorphism_part. c0, c1: that limb as above.
// scratch: (VL_LOWERED_GROUP + 2) n words.
void vl_lowered_part(const vl_lowered *l, uint32_t o, uint32_t i, const uint64_t *c0, const uint64_t *c1, size_t begin,
                     size_t n, uint64_t *d0, uint64_t *d1, uint64_t *scratch);
// d = d / p, or with a rescale d / (p q) and one level lower, its scale divided by q. d: at its level, in the NTT
// domain; last[c]: its limb of p, clobbered.
void vl_lowered_divide(vl_exec *x, const vl_encapsulation *k, uint64_t *const last[2], bool rescale, vl_ciphertext *d);
// Of vl_encapsulation_lower and, beside that, of vl_lowered_divide.
size_t vl_encapsulation_lowered_scratch(const vl_params *p);

#endif
