// SPDX-License-Identifier: Apache-2.0
// What saving and the verifier's parts share: verify.c (values, order, scales, keys), circuits.c and pictures.c (what
// each kind takes).
#ifndef VELUM_PROGRAM_INTERNAL_H
#define VELUM_PROGRAM_INTERNAL_H

#include "program/program.h"

// Entries of its bias, if it has one; SPREAD's is in its map. 0 for an operation whose result is no value.
static inline uint32_t vl_program_bias_count(const vl_program *p, const vl_op *op) {
    if (op->kind == VL_OP_DIAGONALS) return op->matrix.rows;
    if (op->kind == VL_OP_SQUARES) return op->dst < p->value_count ? p->values[op->dst].layout.cts : 0;
    return op->rows;
}

// log2 of the modulus at a level.
double vl_program_room(const vl_params_literal *lit, uint16_t level);

// DIAGONALS, SIGN, GATE, BOOTSTRAP: everything beyond levels, scales and keys. boot: the program's plan, meaningless
// where it has none. Others pass.
velum_status vl_program_check_circuit(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot);
// SPREAD, SQUARES, FOLD: the same. Others pass.
bool vl_program_takes_pictures(vl_op_kind kind);
velum_status vl_program_check_pictures(const vl_program *p, const vl_op *op);
// Whether operands and result are pictures where the kind wants them, and only there.
velum_status vl_program_check_kinds(const vl_program *p, const vl_op *op);

#endif
