// SPDX-License-Identifier: Apache-2.0
// What a run takes, known before it starts.
#include "runtime/internal.h"

#include "rlwe/ringswitch.h"

void vl_runtime_last_uses(const vl_program *p, uint32_t *last) {
    for (uint32_t i = 0; i < p->value_count; i++) last[i] = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        for (uint32_t k = 0; k < vl_op_inputs(p->ops[i].kind); k++) last[p->ops[i].src[k]] = i;
    last[p->output] = UINT32_MAX;
}

static uint64_t value_bytes(const vl_params *p, const vl_program *program, uint32_t v, uint16_t level) {
    return 2 * (uint64_t)program->values[v].layout.cts * vl_poly_bytes(&p->ring, level, 0);
}

uint16_t vl_runtime_room(const vl_program *program, const vl_op *op) {
    uint16_t out = program->values[op->dst].level;
    if (op->kind == VL_OP_BOOTSTRAP) return out;
    return op->level > out ? op->level : out;
}

static uint64_t peak_of(const vl_params *p, const vl_program *program, uint32_t *last, uint64_t *bytes) {
    uint64_t live = value_bytes(p, program, 0, program->values[0].level), peak = live;
    vl_runtime_last_uses(program, last);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        live += bytes[op->dst] = value_bytes(p, program, op->dst, vl_runtime_room(program, op));
        if (live > peak) peak = live;
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
            uint32_t src = op->src[k];
            if (last[src] != i || src == 0 || (k == 1 && src == op->src[0])) continue;
            live -= bytes[src];
        }
    }
    return peak;
}

static uint64_t peak_ciphertexts(const vl_params *p, const vl_program *program) {
    uint32_t *last = vl_alloc_array(program->value_count, sizeof *last);
    uint64_t *bytes = vl_alloc_array(program->value_count, sizeof *bytes);
    uint64_t peak = last && bytes ? peak_of(p, program, last, bytes) : 0;
    vl_free(last);
    vl_free(bytes);
    return peak;
}

static void at_least(uint64_t *a, uint64_t b) {
    if (b > *a) *a = b;
}

static uint64_t key_bytes(const vl_params_literal *lit, const vl_key_request *keys, uint32_t count) {
    uint64_t bytes = 0, alpha = lit->digit_limbs;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t level = keys[i].level;
        bytes += 2 * ((level + alpha - 1) / alpha) * (level + lit->p_count) * (UINT64_C(8) << lit->log_n);
    }
    return bytes;
}

// ---- constants ----

// Bytes of one of the plan's diagonals.
static uint64_t each(const vl_params *p, const vl_sparsemap_shape *s, const vl_diagset_plan *plan, uint16_t level,
                     uint64_t budget) {
    return vl_sparsemap_bytes(p, s, plan, level, false, budget) / plan->count;
}

uint64_t vl_runtime_budget(const vl_params *p, const vl_program *program, const vl_op *op, const vl_diagset_plan *plan,
                           uint64_t *spare) {
    const vl_sparsemap_shape s = vl_program_shape(program, op);
    uint64_t full = each(p, &s, plan, op->level, UINT64_MAX), least = each(p, &s, plan, op->level, 0);
    if (*spare == UINT64_MAX || full <= least) return UINT64_MAX;
    uint64_t count = *spare / (full - least);
    if (count > plan->count) count = plan->count;
    *spare -= count * (full - least);
    return count * full;
}

uint32_t vl_runtime_turn(const vl_program *program, uint32_t gap, uint32_t from) {
    for (; from < program->op_count; from++) {
        const vl_op *op = &program->ops[from];
        if (op->kind != VL_OP_DIAGONALS) continue;
        const vl_sparsemap_shape s = vl_program_shape(program, op);
        const uint32_t period = vl_sparsemap_period(&s), own = s.slots / (period ? period : 1);
        if ((own > 16 ? 16 : own) == gap) break;
    }
    return from;
}

// Of all DIAGONALS, with *spare bytes beyond the least.
static uint64_t diagonals(const vl_params *p, const vl_program *program, uint64_t spare, vl_diagset_plan *plan) {
    uint64_t bytes = 0;
    for (uint32_t gap = 1u << (VL_RUNTIME_GAPS - 1); gap > 0; gap /= 2)
        for (uint32_t i = vl_runtime_turn(program, gap, 0); i < program->op_count;
             i = vl_runtime_turn(program, gap, i + 1)) {
            const vl_op *op = &program->ops[i];
            if (vl_program_diagonals(program, op, plan) != VELUM_OK) continue;
            const vl_sparsemap_shape s = vl_program_shape(program, op);
            uint64_t budget = vl_runtime_budget(p, program, op, plan, &spare);
            bytes += vl_sparsemap_bytes(p, &s, plan, op->level, op->bias != NULL, budget);
        }
    return bytes;
}

static uint64_t weights_of(const vl_params *p, const vl_op *op) {
    switch (op->kind) {
    case VL_OP_LINTRANS: return vl_lintrans_bytes(p, &op->plan, op->level, op->bias != NULL);
    case VL_OP_MIX: return (uint64_t)op->rows * op->cols * sizeof(int64_t);
    case VL_OP_MASK: return vl_poly_bytes(&p->ring, op->level, 0);
    default: return 0;
    }
}

static uint64_t clear_of(const vl_op *op) {
    uint64_t entries = op->matrix.start ? op->matrix.start[op->matrix.rows] : 0;
    return (uint64_t)op->rows * op->cols * sizeof(double) + entries * (sizeof(double) + sizeof(uint32_t)) +
           (uint64_t)op->matrix.rows * sizeof(uint64_t);
}

static uint64_t scratch_of(const vl_params *p, const vl_program *program, const vl_op *op, vl_diagset_plan *plan) {
    uint64_t most = vl_ckks_scratch(p, op->level);
    at_least(&most, vl_rlwe_scratch(p, op->level));
    switch (op->kind) {
    case VL_OP_LINTRANS:
        at_least(&most, vl_lintrans_scratch(p, &op->plan, op->level));
        at_least(&most, vl_lintrans_encode_scratch(p, &op->plan, op->level));
        break;
    case VL_OP_POLY: at_least(&most, vl_poly_scratch(p, &op->poly, op->level)); break;
    case VL_OP_SIGN:
    case VL_OP_GATE: at_least(&most, vl_compare_scratch(p, &op->compare, op->level)); break;
    case VL_OP_DIAGONALS:
        if (vl_program_diagonals(program, op, plan) != VELUM_OK) break;
        at_least(&most, vl_sparsemap_scratch(p, plan, op->level));
        at_least(&most, vl_sparsemap_encode_scratch(p, plan, op->level));
        break;
    default: break;
    }
    return most;
}

static void add_bootstrap(const vl_params *p, const vl_manifest *manifest, vl_memory_plan *m) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    if (plan && vl_program_bootstrap_plan(manifest, plan) == VELUM_OK) {
        m->bootstrap = plan->matrix_bytes + 2 * vl_poly_bytes(&p->ring, plan->mod_level + 1u, 0);
        m->keys += key_bytes(&manifest->low, manifest->low_keys, manifest->low_key_count);
        m->keys += vl_encapsulation_bytes(p, manifest->raise_level, manifest->raise_sums);
        if (manifest->low_key_count && manifest->low.log_n < p->literal.log_n) {
            vl_params_literal entry = vl_ringswitch_entry(&manifest->low, p->literal.log_n);
            vl_key_request one = vl_ringswitch_request(&manifest->low);
            m->keys += key_bytes(&entry, &one, 1);
        }
        m->tables += ((uint64_t)manifest->low.q_count + manifest->low.p_count) * 4 * vl_poly_bytes(&p->ring, 1, 0);
        at_least(&m->scratch, plan->scratch_bytes);
        at_least(&m->scratch, vl_bootstrap_setup_scratch(p));
    }
    vl_free(plan);
}

static void add_up(const vl_params *p, const vl_program *program, vl_diagset_plan *plan, vl_memory_plan *m) {
    uint32_t special = p->ring.p_count;
    uint64_t limb = vl_poly_bytes(&p->ring, 1, 0), limit = program->memory_bytes;
    m->tables = limb * 4 * (p->ring.q_count + special) + limb * 8;
    m->scratch = vl_encoder_scratch(p, p->ring.q_count, special);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        m->program += clear_of(op);
        m->weights += weights_of(p, op);
        at_least(&m->scratch, scratch_of(p, program, op, plan));
    }
    m->keys = key_bytes(&p->literal, program->manifest.keys, program->manifest.key_count);
    if (program->manifest.bootstrapped) add_bootstrap(p, &program->manifest, m);
    m->scratch += 1u << 20;
    m->ciphertexts = peak_ciphertexts(p, program);
    uint64_t least = diagonals(p, program, 0, plan), most = diagonals(p, program, UINT64_MAX, plan);
    uint64_t rest = m->tables + m->program + m->weights + m->bootstrap + m->keys + m->ciphertexts + m->scratch;
    m->spare = limit == 0 || rest + most <= limit ? UINT64_MAX : rest + least < limit ? limit - rest - least : 0;
    uint64_t taken = diagonals(p, program, m->spare, plan);
    m->weights += taken;
    m->total = rest + taken;
}

vl_memory_plan vl_runtime_plan(const vl_params *p, const vl_program *program) {
    vl_memory_plan m = {0};
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    if (plan) add_up(p, program, plan, &m);
    vl_free(plan);
    return m;
}
