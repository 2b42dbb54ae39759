// SPDX-License-Identifier: Apache-2.0
// RLWE: keys, encryption, hybrid key switching (Han, Ki 2019/688) with hoisting. NTT domain throughout.
//
// A ciphertext (c_0, c_1[, c_2]) decrypts as c_0 + c_1 s [+ c_2 s^2]. Its `level` is nq, the number of its q limbs.
#ifndef VELUM_RLWE_RLWE_H
#define VELUM_RLWE_RLWE_H

#include "rlwe/params.h"

typedef struct vl_secret_key { // guarded memory
    int8_t *coeffs;            // N signed coefficients
    vl_poly s;                 // over QP, NTT domain
} vl_secret_key;

// Switches from a source secret to s: for each digit j of the gadget (b_j, a_j) over q_0..q_{nq-1} and P with
//   b_j = -a_j s + e_j + P g_j s_from,   a_j expanded from the seed (stream j * VL_MAX_LIMBS + limb).
typedef struct vl_switch_key {
    uint64_t galois; // 0: relinearisation (from s^2); else rotation keys, stored for the permuted form, see below
    uint16_t nq;     // highest level at which it can be used
    uint16_t digits;
    uint8_t seed[VL_SEED_BYTES];
    vl_poly b[VL_MAX_LIMBS], a[VL_MAX_LIMBS]; // per digit, nq + p_count limbs
    uint64_t *block;                          // owns a, and b unless b lies in the bytes that it was loaded from
    vl_automorphism perm;                     // for galois != 0
} vl_switch_key;
// Rotation keys switch s -> s(X^{1/g}); the result is then permuted by X -> X^g. So a decomposed ciphertext serves
// every rotation as it is, and each rotation permutes only its two result polynomials (Bossuat et al. 2020/1203, 4.2).

typedef struct vl_key_request { // one key that a program needs
    uint64_t galois;            // 0: relinearisation
    uint16_t level;             // nq at which it is used at most
} vl_key_request;

typedef struct vl_eval_keys {
    const vl_params *params;
    uint32_t count;
    vl_switch_key *key;     // sorted by galois
    vl_poly zero_b, zero_a; // a public encryption key over q_0..q_{zero_nq-1}: re-randomises answers; zero_nq may be 0
    uint64_t *zero_block;   // owns them, as above
    uint16_t zero_nq;
    uint8_t zero_seed[VL_SEED_BYTES];
} vl_eval_keys;

typedef struct vl_ciphertext {
    vl_poly c[3];
    uint8_t degree; // 1 or 2
    uint16_t level; // nq
    double scale;
    uint64_t *block;   // owned storage (capacity: see vl_ciphertext_new); NULL if the storage is somebody else's
    uint16_t capacity; // limbs a polynomial that the block has room for
} vl_ciphertext;

velum_status vl_ciphertext_new(const vl_params *p, uint16_t level, uint8_t degree, vl_ciphertext *out); // zero
// Not zeroed: for results that are written whole, whose memory the threads that write it then touch first.
velum_status vl_ciphertext_new_raw(const vl_params *p, uint16_t level, uint8_t degree, vl_ciphertext *out);
void vl_ciphertext_free(vl_ciphertext *ct);
vl_ciphertext vl_ciphertext_take(const vl_params *p, vl_arena *arena, uint16_t level, uint8_t degree);
void vl_ciphertext_copy(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a);
// Forgets limbs above `level`; no arithmetic.
void vl_ciphertext_drop(vl_ciphertext *ct, uint16_t level);

// ---- keys ----
velum_status vl_secret_key_new(const vl_params *p, vl_secret_key *out); // from system randomness
void vl_secret_key_free(vl_secret_key *sk);
void vl_secret_key_save(const vl_params *p, const vl_secret_key *sk,
                        vl_writer *w); // coefficients; w must be cleared securely
velum_status vl_secret_key_load(const vl_params *p, vl_reader *r, vl_secret_key *out);
// Keys for all requests (duplicates merged at the higher level), generated in parallel. zero_nq: level of the public
// encryption key, 0 for none. VELUM_E_INSECURE if any key would be outside the table at its own modulus.
velum_status vl_eval_keys_generate(vl_exec *x, const vl_params *p, const vl_secret_key *sk,
                                   const vl_key_request *requests, uint32_t count, uint16_t zero_nq, vl_eval_keys *out);
void vl_eval_keys_free(vl_eval_keys *keys);
size_t vl_eval_keys_bytes(const vl_params *p, const vl_key_request *requests, uint32_t count,
                          uint16_t zero_nq); // as saved
void vl_eval_keys_save(const vl_eval_keys *keys, vl_writer *w);
// What vl_eval_keys_generate and vl_eval_keys_save would write, without the keys ever being in memory together.
velum_status vl_eval_keys_write(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_key_request *requests,
                                uint32_t count, uint16_t zero_nq, vl_writer *w);
// Checks the parameters' digest (VELUM_E_MISMATCH), every count and residue (VELUM_E_FORMAT); expands the seeded halves
// in parallel. The halves b stay where they are if the reader's bytes are lasting, aligned and of the machine's byte
// order: they must then outlive the keys. Else they are copied.
velum_status vl_eval_keys_load(vl_exec *x, const vl_params *p, vl_reader *r, vl_eval_keys *out);
const vl_switch_key *vl_eval_keys_find(const vl_eval_keys *keys, uint64_t galois); // NULL if absent

// ---- encryption ----
// Seeded symmetric encryption of m (level limbs, NTT domain): c_1 = a(seed), c_0 = -a s + e + m. Draws the seed (out).
// The ciphertext takes m's level and degree 1; its scale is left to the caller.
void vl_rlwe_encrypt(vl_exec *x, const vl_params *p, const vl_secret_key *sk, vl_poly m, uint8_t seed[VL_SEED_BYTES],
                     vl_ciphertext *ct);
// m = c_0 + c_1 s (+ c_2 s^2), NTT domain
void vl_rlwe_decrypt(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_ciphertext *ct, vl_poly m);
// Adds an encryption of zero under keys->zero and, if flood_sigma > 0, Gaussian noise of that deviation to c_0.
// VELUM_E_MISMATCH if that key does not reach ct's level; VELUM_E_USAGE for degree 2 or a sigma outside 0 .. 2^45.
velum_status vl_rlwe_rerandomise(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *ct, double flood_sigma);
// Seeded form (fresh only): c_0 and the seed. Full form: both polynomials.
void vl_ciphertext_save_seeded(const vl_params *p, const vl_ciphertext *ct, const uint8_t seed[VL_SEED_BYTES],
                               vl_writer *w);
void vl_ciphertext_save(const vl_params *p, const vl_ciphertext *ct, vl_writer *w);
// Either form; checks level, scale (positive, finite, equal to expect_scale within 2^-40 when that is > 0), degree and
// every residue before any arithmetic; allow_seeded only where a fresh one is due; expect_level 0: any.
velum_status vl_ciphertext_load(vl_exec *x, const vl_params *p, vl_reader *r, bool allow_seeded, uint16_t expect_level,
                                double expect_scale, vl_ciphertext *out);

// ---- key switching ----
// The gadget decomposition of one polynomial at level nq: digits.d[j] over q_0..q_{nq-1} and P. Scratch from the arena.
typedef struct vl_digits {
    vl_poly d[VL_MAX_LIMBS];
    uint16_t count, nq;
} vl_digits;
size_t vl_rlwe_digits_bytes(const vl_params *p, uint16_t nq);
vl_digits vl_rlwe_decompose(vl_exec *x, const vl_params *p, vl_poly c, vl_arena *arena);
// (u0, u1) = sum_j d_j (b_j, a_j), over q_0..q_{nq-1} and P (np = p_count): not yet divided by P, not yet permuted.
void vl_rlwe_apply_key(vl_exec *x, const vl_params *p, const vl_digits *d, const vl_switch_key *key, vl_poly u0,
                       vl_poly u1);
// d[c] = round(u[c] / P), from nq + np limbs to nq limbs, count (1 or 2) of them; round(u / (P q_{nq-1})), to nq - 1
// limbs: one rounding, and cheaper than a division and a rescale.
void vl_rlwe_mod_down(vl_exec *x, const vl_params *p, uint32_t count, const vl_poly *d, const vl_poly *u);
void vl_rlwe_mod_down_rescale(vl_exec *x, const vl_params *p, uint32_t count, const vl_poly *d, const vl_poly *u);
// sum (over QP) += the images of a by `count` keys, left over QP: P times the message. a: over QP, P times its message;
// then a[1] is divided by P first, which overwrites it; or over Q (np = 0). One decomposition, nothing kept of it.
void vl_rlwe_turn_add(vl_exec *x, const vl_params *p, const vl_switch_key *const *keys, uint32_t count,
                      const vl_poly a[2], const vl_poly sum[2]);
// out = rotation/conjugation of ct by key (degree 1). out may be ct.
void vl_rlwe_rotate(vl_exec *x, const vl_params *p, const vl_switch_key *key, vl_ciphertext *out,
                    const vl_ciphertext *ct);
// The same with ct->c[1] already decomposed.
void vl_rlwe_rotate_hoisted(vl_exec *x, const vl_params *p, const vl_switch_key *key, const vl_digits *d,
                            vl_ciphertext *out, const vl_ciphertext *ct);
// Double hoisting: the same left over QP, P times the message: (o0, o1) over nq + np, permuted, c_0 included.
void vl_rlwe_rotate_lazy(vl_exec *x, const vl_params *p, const vl_switch_key *key, const vl_digits *d,
                         const vl_ciphertext *ct, vl_poly o0, vl_poly o1);
// Degree 2 to degree 1, in place. For products, and to rescale at once, see sum.h.
void vl_rlwe_relinearise(vl_exec *x, const vl_params *p, const vl_switch_key *relin, vl_ciphertext *ct);
// Arena bytes that any one of these (encryption and re-randomisation too) needs at level nq, beyond its arguments; a
// slot for each of vl_cpu_count() threads included. A smaller arena that has room for one slot costs only parallelism.
size_t vl_rlwe_scratch(const vl_params *p, uint16_t nq);
size_t vl_rlwe_scratch_threads(const vl_params *p, uint16_t nq, uint32_t threads); // with so many slots

#endif
