// SPDX-License-Identifier: Apache-2.0
// What saving and the verifier's two halves share: verify.c (values, order, scales, keys), circuits.c (what each kind
// takes).
#ifndef VELUM_PROGRAM_INTERNAL_H
#define VELUM_PROGRAM_INTERNAL_H

#include "program/program.h"

// Entries of its bias, if it has one.
static inline uint32_t vl_program_bias_count(const vl_op *op) {
    return op->kind == VL_OP_DIAGONALS ? op->matrix.rows : op->rows;
}

// DIAGONALS, SIGN, GATE, BOOTSTRAP: everything beyond levels, scales and keys. boot: the program's plan, meaningless
// where it has none. Others pass.
velum_status vl_program_check_circuit(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot);

#endif
