// SPDX-License-Identifier: Apache-2.0
// Which keys an operation needs, and at which level.
#include "program/program.h"

#include <string.h>

vl_sparsemap_shape vl_program_shape(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *d = &p->values[op->dst].layout;
    return (vl_sparsemap_shape){.period_in = a->period, .period_out = d->period, .lanes = a->lanes, .slots = a->slots};
}

velum_status vl_program_diagonals(const vl_program *p, const vl_op *op, vl_diagset_plan *plan) {
    VL_FAIL_IF(op->step < 1, VELUM_E_FORMAT, "diagonals: %d babies", op->step);
    const vl_sparsemap_shape shape = vl_program_shape(p, op);
    return vl_sparsemap_plan_split(&op->matrix, &shape, (uint32_t)op->step, op->start, plan);
}

static uint32_t diagonal_keys(const vl_program *p, const vl_params *ring_degree, const vl_op *op, vl_key_request *out) {
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    uint32_t count = 0;
    if (plan && vl_program_diagonals(p, op, plan) == VELUM_OK)
        count = vl_diagset_key_requests(plan, ring_degree, op->level, out);
    vl_free(plan);
    return count;
}

static uint32_t bootstrap_keys(const vl_program *p, vl_key_request *out) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    uint32_t count = 0;
    if (plan && vl_program_bootstrap_plan(&p->manifest, plan) == VELUM_OK) {
        count = plan->key_count;
        memcpy(out, plan->keys, count * sizeof *out);
    }
    vl_free(plan);
    return count;
}

// Of a map that vl_spread_check accepts.
static uint32_t spread_keys(const vl_params *ring_degree, const vl_op *op, vl_key_request *out, uint32_t room) {
    vl_key_request *need = vl_alloc_array((size_t)op->spread.copies + 1, sizeof *need);
    uint32_t count = need ? vl_spread_key_requests(&op->spread, ring_degree, op->level, need) : 0;
    if (count > room) count = room;
    if (count) memcpy(out, need, count * sizeof *out);
    vl_free(need);
    return count;
}

static uint32_t square_keys(const vl_program *p, const vl_params *ring_degree, const vl_op *op, vl_key_request *out) {
    out[0] = (vl_key_request){.galois = 0, .level = op->level};
    out[1] = (vl_key_request){.galois = vl_params_galois_conj(ring_degree), .level = op->level};
    return p->values[op->src[0]].layout.parts == 2 ? 2 : 1;
}

static uint32_t fold_keys(const vl_params *ring_degree, const vl_op *op, vl_key_request *out) {
    for (uint32_t k = 0; k < op->count; k++)
        out[k] = (vl_key_request){.galois = vl_params_galois(ring_degree, op->rotation[k]), .level = op->level};
    return op->count;
}

// The most that one operation needs, but for SPREAD.
#define MOST_KEYS (VL_LINTRANS_MAX_ROTATIONS > 2 * VL_DIAGSET_MAX ? VL_LINTRANS_MAX_ROTATIONS : 2 * VL_DIAGSET_MAX)

uint32_t vl_program_op_keys(const vl_program *p, const vl_op *op, vl_key_request *out, uint32_t room) {
    const vl_params ring_degree = {.ring.n = 1u << p->manifest.params.log_n}; // all that a Galois element depends on
    if (op->kind == VL_OP_SPREAD) return spread_keys(&ring_degree, op, out, room);
    vl_key_request need[MOST_KEYS];
    uint32_t count = 0;
    switch (op->kind) {
    case VL_OP_SQUARE:
    case VL_OP_MUL:
    case VL_OP_POLY:
    case VL_OP_SIGN:
    case VL_OP_GATE: need[count++] = (vl_key_request){.galois = 0, .level = op->level}; break;
    case VL_OP_LINTRANS: count = vl_lintrans_key_requests(&op->plan, &ring_degree, op->level, need); break;
    case VL_OP_DIAGONALS: count = diagonal_keys(p, &ring_degree, op, need); break;
    case VL_OP_BOOTSTRAP: count = bootstrap_keys(p, need); break;
    case VL_OP_SQUARES: count = square_keys(p, &ring_degree, op, need); break;
    case VL_OP_FOLD: count = fold_keys(&ring_degree, op, need); break;
    default: break;
    }
    if (count > room) count = room;
    memcpy(out, need, count * sizeof *out);
    return count;
}
