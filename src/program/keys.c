// SPDX-License-Identifier: Apache-2.0
// Which keys an operation needs, and at which level.
#include "program/program.h"

#include <string.h>

uint32_t vl_program_op_keys(const vl_params_literal *lit, const vl_op *op, vl_key_request *out, uint32_t room) {
    if (op->kind == VL_OP_SQUARE || op->kind == VL_OP_MUL || op->kind == VL_OP_POLY) {
        if (room == 0) return 0;
        out[0] = (vl_key_request){.galois = 0, .level = op->level};
        return 1;
    }
    if (op->kind != VL_OP_LINTRANS) return 0;
    vl_key_request need[VL_LINTRANS_MAX_ROTATIONS];
    const vl_params ring_degree = {.ring.n = 1u << lit->log_n}; // all that a Galois element depends on
    uint32_t count = vl_lintrans_key_requests(&op->plan, &ring_degree, op->level, need);
    if (count > room) count = room;
    memcpy(out, need, count * sizeof *out);
    return count;
}
