// SPDX-License-Identifier: Apache-2.0
// Bootstrapping: a ciphertext at its lowest level becomes one of the same message with levels to spend.
//
// Method. The dense main secret is exchanged for an ephemeral sparse one at the base prime (rlwe/encapsulate.h), the
// modulus is raised, and what the raise added (multiples of q_0 in the coefficients) is removed by EvalMod (mod1.h)
// between two transforms (dft.h). Two orders:
//   SlotsToCoeffs first  the message moves to the coefficients at the lowest levels, where that is cheap, and EvalMod's
//                        result is the message itself. The error of EvalMod stays as it is.
//   CoeffsToSlots first  the input may be at level 1; the message's own coefficients pass EvalMod, and the last
//                        transform multiplies their error by sqrt(N).
// A slot holds a complex value with |Re|, |Im| <= 1 (SlotsToCoeffs first), so one bootstrap refreshes two real vectors.
// With CoeffsToSlots first every coefficient must be at most the scale.
//
// Sparse slots (2^g < N/2): the sum of N/2 / 2^g rotations projects onto the subring, the transforms are of size 2^g,
// and real and imaginary parts lie side by side in one ciphertext of 2^(g+1) slots: one EvalMod in place of two. The
// sum is a product of sums: half of it is free where the sparse secret lies in Z[X^2], the raise makes the next
// (rlwe/encapsulate.h), the sum with the conjugate the last. Where the rotations are few enough, the raise also makes
// the babies of the first factor of CoeffsToSlots.
//
// SlotsToCoeffs first runs its transform at 3 to 5 limbs, where the special primes of the whole chain would be most of
// the work: it has parameters of its own, a prefix of the chain with as many special primes as that needs, and keys for
// them. Sparse slots lie in a subring, so there those parameters are of a smaller ring (rlwe/ringswitch.h): the
// smallest that holds the slots and has a line in the security table for so few primes. Its secret is drawn for these
// keys alone; the raise takes the ciphertext back from it.
//
// The chain, lowest limb first:  q_0 | StC | left over | [one, sparse slots] | EvalMod | CtS   (SlotsToCoeffs first)
//                                q_0 | left over | StC | EvalMod | CtS                         (CoeffsToSlots first)
#ifndef VELUM_CIRCUITS_BOOTSTRAP_H
#define VELUM_CIRCUITS_BOOTSTRAP_H

#include "circuits/dft.h"
#include "circuits/mod1.h"
#include "rlwe/lowest.h"

typedef enum vl_bootstrap_order { VL_SLOTS_FIRST, VL_COEFFS_FIRST } vl_bootstrap_order; // which transform's source
#define VL_BOOTSTRAP_MAX_FAILURE (-128.0) // log2 per bootstrap, where security is asked for

typedef struct vl_bootstrap_params {
    const char *name;
    uint8_t log_n, log_slots;
    vl_bootstrap_order order; // VL_SLOTS_FIRST: SlotsToCoeffs first
    uint8_t cts_factors, cts_bits, stc_factors, stc_bits, mod_bits;
    uint8_t left, left_bits; // levels left for the user, and log2 of their primes and of the scale
    uint8_t special, digit_limbs;
    uint8_t range, degree, doublings, arcsine; // of EvalMod
    double log_ratio;                          // log2(q_0 / message): SlotsToCoeffs first only; else q_0 / scale
    uint16_t weight;                           // of the ephemeral secret
    uint16_t security_bits;                    // 0: INSECURE, tests only
} vl_bootstrap_params;

// The named sets, NULL-terminated by name; and one by its name, NULL if there is none.
const vl_bootstrap_params *vl_bootstrap_sets(void);
const vl_bootstrap_params *vl_bootstrap_params_find(const char *name);
// Levels that its EvalMod takes; bit sizes of its Q, lowest first, and their count.
uint32_t vl_bootstrap_mod_levels(const vl_bootstrap_params *b);
uint32_t vl_bootstrap_chain(const vl_bootstrap_params *b, uint8_t bits[VL_MAX_LIMBS]);
// The CKKS parameters that a set wants.
velum_status vl_bootstrap_literal(const vl_bootstrap_params *b, vl_params_literal *out);

#define VL_BOOTSTRAP_MAX_KEYS 1024
typedef struct vl_bootstrap_plan {
    vl_bootstrap_params params;
    vl_dft_plan cts, stc;
    vl_mod1 mod1;
    uint16_t top;                 // limbs after the raise
    uint16_t mod_level;           // EvalMod's input
    uint16_t stc_level;           // input of the first StC factor
    uint16_t in_level, out_level; // limbs needed of the input, and of the result
    uint16_t levels_left;         // to spend before the next bootstrap must start
    vl_encapsulation_shape raise;
    uint16_t raise_babies;  // of the first factor of CoeffsToSlots, which the raise makes; 0: it has its own
    uint16_t raise_sums;    // rotations by multiples of 2^log_slots that the raise sums; 1: none
    uint16_t split_sums;    // .. and with the conjugate
    double scale;           // of input and result
    double log2_failure;    // of one bootstrap
    double precision_bits;  // estimate: -log2 of the mean |error| for full-range random slots
    uint32_t security_bits; // the weakest of all keys: 128, 192, 256 or 0
    uint32_t low_count;     // SlotsToCoeffs first: that many of the requests, the last ones, are for `low`
    uint32_t key_count;     // for the parameters themselves
    vl_key_request keys[VL_BOOTSTRAP_MAX_KEYS]; // each once, at its highest level: key_count, then low_count
    vl_params_literal low;                      // SlotsToCoeffs first: parameters of its transform
    uint64_t key_bytes;                         // in memory, encapsulation keys included
    uint64_t matrix_bytes, scratch_bytes;
    double seconds; // estimate, one thread with the ifma kernels
} vl_bootstrap_plan;

// Pure query. p: parameters whose primes have the set's shape (as from vl_bootstrap_literal). VELUM_E_MISMATCH if they
// have not; VELUM_E_INSECURE if the failure probability is above 2^-128 or any key outside the security table (for sets
// with security), naming the number and the limit.
velum_status vl_bootstrap_plan_make(const vl_bootstrap_params *b, const vl_params *p, vl_bootstrap_plan *out);
#define VL_BOOTSTRAP_SUMS 8u // of the projection in one pass
// The Galois elements of the projection's pass `pass` between the raise and CoeffsToSlots, beside 1; their count, less
// than VL_BOOTSTRAP_SUMS, 0: no such pass. And those of the sum with the conjugate.
uint32_t vl_bootstrap_projection(const vl_bootstrap_plan *plan, const vl_params *p, uint32_t pass, uint64_t *galois);
uint32_t vl_bootstrap_split(const vl_bootstrap_plan *plan, const vl_params *p, uint64_t *galois);
// log2 of the probability that some of `coefficients` raised coefficients is beyond range q_0 (sum of h + 1 uniform
// variables: Irwin, Hall; Bossuat et al. 2022/024, section 5).
double vl_bootstrap_log2_failure(uint32_t weight, uint32_t range, double coefficients);

// Keys beside those of plan->keys[0 .. key_count), which may lie with others in a program's key set.
typedef vl_lowest_keys vl_bootstrap_keys;
// Every key is checked against the security table at its own modulus and secret: VELUM_E_INSECURE.
velum_status vl_bootstrap_keys_new(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                   const vl_secret_key *sk, vl_bootstrap_keys *out);
void vl_bootstrap_keys_free(vl_bootstrap_keys *keys);

typedef struct vl_bootstrap vl_bootstrap;
// Encodes the matrices. x: scratch of vl_bootstrap_setup_scratch bytes.
velum_status vl_bootstrap_new(vl_exec *x, const vl_bootstrap_plan *plan, const vl_encoder *e, vl_bootstrap **out);
void vl_bootstrap_free(vl_bootstrap *b);
const vl_bootstrap_plan *vl_bootstrap_plan_of(const vl_bootstrap *b);
uint64_t vl_bootstrap_bytes(const vl_bootstrap *b); // of its matrices
size_t vl_bootstrap_setup_scratch(const vl_params *p);

typedef struct vl_bootstrap_report { // of one run, when asked for
    double seconds[6], cpu[6];       // StC, raise, CtS, EvalMod, recombination, all; wall and processor time, added to
    void (*probe)(void *arg, const char *stage, const vl_ciphertext *ct); // called after each stage; may be NULL
    void *arg;
} vl_bootstrap_report;

// d = ct refreshed: level out_level, the plan's scale. d needs that capacity, and may be ct. x: scratch_bytes.
// Before any work: VELUM_E_LIMIT if ct's level is below in_level; VELUM_E_VALUE if its scale is not the plan's (within
// 2^-20); VELUM_E_MISMATCH for a missing or too low key, naming it. report may be NULL.
velum_status vl_bootstrap_apply(vl_exec *x, const vl_bootstrap *b, const vl_eval_keys *keys,
                                const vl_bootstrap_keys *own, vl_ciphertext *d, const vl_ciphertext *ct,
                                vl_bootstrap_report *report);

#endif
