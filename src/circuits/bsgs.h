// SPDX-License-Identifier: Apache-2.0
// The engine of linear maps: z = sum over giants r and babies b of rot_giant[r](diag[r][b] * rot_baby[b](a)), by double
// hoisting (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux, eprint 2020/1203, section 4).
//
// Order of work. The input is decomposed once. Then limb by limb: a limb of every baby (P times the message, over QP)
// is made in scratch, and every giant's sum of products takes it from there while it is in the cache; no baby is ever
// kept whole. Each giant that turns then costs a division by P of one polynomial, a decomposition and a key product,
// whose permutation and sum are done in the same pass over a limb. One division by P of each of the two sums ends it.
//
// Block matrices: several inputs and several outputs, output o = sum over inputs i of such a map. A giant then turns
// once an output, whatever the number of inputs, and a baby once an input, whatever the number of outputs.
//
// Memory: the digits, 2 giants polynomials over QP (times the outputs), and a thread's 2 min(babies, VL_BSGS_CHUNK) + 6
// limbs.
#ifndef VELUM_CIRCUITS_BSGS_H
#define VELUM_CIRCUITS_BSGS_H

#include "circuits/diag.h"

#define VL_BSGS_CHUNK 32u // babies of one limb made at a time

typedef struct vl_bsgs_shape {
    uint32_t inputs, outs;   // ciphertexts
    uint32_t babies, giants; // of each
    bool turning;            // some baby is not 0: diagonals are over P too
} vl_bsgs_shape;

typedef struct vl_bsgs {
    vl_bsgs_shape shape;
    const int32_t *baby, *giant; // rotations in slots to the left; 0 costs no key switch
    const vl_diag *diag;         // (outs x giants) rows of (inputs x babies), over nq = level, and P if turning
    uint16_t level;
} vl_bsgs;

// Whether a list of rotations is more than a single 0.
static inline bool vl_bsgs_turns(uint32_t babies, const int32_t *baby) { return babies > 1 || baby[0] != 0; }
// out[o]: two polynomials of `level` limbs, not rescaled, scale = a's times the diagonals'. a: `inputs` of one scale,
// at level or above, degree 1. Keys for all rotations but 0 at level or above. out may be the inputs' polynomials.
void vl_bsgs_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_bsgs *m, const vl_poly (*out)[2],
                   const vl_ciphertext *a);
size_t vl_bsgs_scratch(const vl_params *p, const vl_bsgs_shape *shape, uint16_t level);

#endif
