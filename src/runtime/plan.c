// SPDX-License-Identifier: Apache-2.0
// What a run takes, known before it starts.
#include "runtime/internal.h"

#include "rlwe/ringswitch.h"

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

velum_status vl_runtime_price_diagonals(const vl_params *p, vl_program *program) {
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "plan");
    uint64_t spare = vl_runtime_plan(p, program).spare;
    for (uint32_t gap = 1u << (VL_RUNTIME_GAPS - 1); gap > 0; gap /= 2)
        for (uint32_t i = vl_runtime_turn(program, gap, 0); i < program->op_count;
             i = vl_runtime_turn(program, gap, i + 1)) {
            vl_op *op = &program->ops[i];
            uint32_t ready = 0;
            if (vl_program_diagonals(program, op, plan) != VELUM_OK) continue;
            const vl_sparsemap_shape s = vl_program_shape(program, op);
            const uint64_t budget = vl_runtime_budget(p, program, op, plan, &spare);
            (void)vl_diagset_bytes(p, plan, vl_sparsemap_period(&s), op->level, budget, &ready);
            op->seconds += (plan->count - ready) * op->diagonal_seconds;
        }
    vl_free(plan);
    return VELUM_OK;
}

static uint64_t weights_of(const vl_params *p, const vl_op *op) {
    switch (op->kind) {
    case VL_OP_LINTRANS: return vl_lintrans_bytes(p, &op->plan, op->level, op->bias != NULL);
    case VL_OP_MIX: return (uint64_t)op->rows * op->cols * sizeof(int64_t);
    default: return 0;
    }
}

static uint64_t mask_bytes(const vl_params *p, const vl_program *program, const vl_op *op) {
    const vl_layout *l = &program->values[op->dst].layout;
    const bool even = l->parts == 0 || (l->height % l->phase_y == 0 && l->width % l->phase_x == 0);
    return (even ? 1 : l->phase_y * l->phase_x) * (uint64_t)vl_poly_bytes(&p->ring, op->level, 0);
}

// Maps of SPREAD: all of them kept, or one at a time.
static uint64_t maps(const vl_params *p, const vl_program *program, bool at_use) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        uint64_t own = op->kind == VL_OP_SPREAD ? vl_spread_coded_bytes(p, &op->spread, op->level) : 0;
        if (at_use)
            at_least(&bytes, own);
        else
            bytes += own;
    }
    return bytes;
}

static uint64_t clear_of(const vl_op *op) {
    const vl_spread *s = &op->spread;
    uint64_t entries = op->matrix.start ? op->matrix.start[op->matrix.rows] : 0;
    uint64_t bytes = (uint64_t)op->rows * op->cols * sizeof(double) + entries * (sizeof(double) + sizeof(uint32_t)) +
                     (uint64_t)op->matrix.rows * sizeof(uint64_t);
    if (op->kind != VL_OP_SPREAD) return bytes;
    bytes += s->start[s->outputs] * (2 * sizeof(uint32_t) + sizeof(double)) + s->outputs * sizeof(uint64_t);
    return bytes + s->copies * sizeof *s->copy + (uint64_t)s->patterns * s->period * sizeof(double) +
           (uint64_t)s->outputs * s->bias_period * sizeof(double);
}

// ---- scratch ----

static uint64_t scratch_of(const vl_params *p, const vl_program *program, const vl_op *op, vl_diagset_plan *plan) {
    uint64_t most = vl_ckks_scratch(p, op->level);
    at_least(&most, vl_rlwe_scratch(p, op->level));
    switch (op->kind) {
    case VL_OP_LINTRANS:
        at_least(&most, vl_lintrans_scratch(p, &op->plan, op->level));
        at_least(&most, vl_lintrans_encode_scratch(p, &op->plan, op->level));
        break;
    case VL_OP_MIX: at_least(&most, vl_ring_mix_scratch(op->rows, op->cols)); break;
    case VL_OP_POLY: at_least(&most, vl_poly_scratch(p, &op->poly, op->level)); break;
    case VL_OP_SIGN:
    case VL_OP_GATE: at_least(&most, vl_compare_scratch(p, &op->compare, op->level)); break;
    case VL_OP_DIAGONALS:
        if (vl_program_diagonals(program, op, plan) != VELUM_OK) break;
        at_least(&most, vl_sparsemap_scratch(p, plan, op->level));
        at_least(&most, vl_sparsemap_encode_scratch(p, plan, op->level));
        break;
    case VL_OP_SQUARES: at_least(&most, vl_spread_square_scratch(p, op->level)); break;
    case VL_OP_FOLD: most += vl_arena_need(2 * vl_poly_bytes(&p->ring, op->level, 0)); break;
    default: break;
    }
    return most;
}

// Such an operation spends its scratch on ciphertexts of its own and, once, on the evaluator, which counts a slot for
// each core.
uint64_t vl_runtime_each_scratch(const vl_params *p, const vl_program *program, const vl_op *op) {
    return scratch_of(p, program, op, NULL) - vl_ckks_scratch(p, op->level) + vl_ckks_scratch_threads(p, op->level, 1);
}

// Of an operation at work on all its ciphertexts.
static uint64_t working(const vl_params *p, const vl_program *program, const vl_op *op, vl_diagset_plan *plan,
                        uint32_t threads, uint32_t most_threads) {
    const uint32_t count = program->values[op->dst].layout.cts, slots = threads < count ? threads : count;
    uint64_t most = scratch_of(p, program, op, plan);
    if (slots > 1 && vl_runtime_is_each(op->kind))
        at_least(&most, slots * vl_arena_need(vl_runtime_each_scratch(p, program, op)) +
                            vl_arena_need(threads * sizeof(vl_exec)));
    if (op->kind == VL_OP_SPREAD) at_least(&most, vl_spread_encode_scratch(p, op->level));
    if (op->kind == VL_OP_SPREAD) at_least(&most, vl_spread_scratch(p, &op->spread, op->level, most_threads));
    return most;
}

// ---- all of it ----

static void add_bootstrap(const vl_params *p, const vl_manifest *manifest, vl_memory_plan *m) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    if (plan && vl_program_bootstrap_plan(manifest, plan) == VELUM_OK) {
        m->bootstrap = plan->matrix_bytes + 2 * vl_poly_bytes(&p->ring, plan->mod_level + 1u, 0);
        m->keys += key_bytes(&manifest->low, manifest->low_keys, manifest->low_key_count);
        m->keys += vl_encapsulation_bytes(p, manifest->raise.level, manifest->raise.sums);
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

static void add_up(const vl_params *p, const vl_program *program, const vl_lifetimes *t, vl_diagset_plan *plan,
                   uint32_t threads, vl_memory_plan *m) {
    uint32_t special = p->ring.p_count;
    uint64_t limb = vl_poly_bytes(&p->ring, 1, 0), limit = program->memory_bytes;
    m->tables = limb * 4 * (p->ring.q_count + special) + limb * 8;
    m->scratch = vl_encoder_scratch(p, p->ring.q_count, special);
    m->weights = maps(p, program, m->maps_at_use);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        m->program += clear_of(op);
        m->weights += op->kind == VL_OP_MASK ? mask_bytes(p, program, op) : weights_of(p, op);
        at_least(&m->scratch, working(p, program, op, plan, m->threads, threads));
    }
    m->keys = key_bytes(&p->literal, program->manifest.keys, program->manifest.key_count);
    if (program->manifest.bootstrapped) add_bootstrap(p, &program->manifest, m);
    m->scratch += 1u << 20;
    m->ciphertexts = vl_lifetimes_peak(p, program, t, m->threads);
    uint64_t least = diagonals(p, program, 0, plan), most = diagonals(p, program, UINT64_MAX, plan);
    uint64_t rest = m->tables + m->program + m->weights + m->bootstrap + m->keys + m->ciphertexts + m->scratch;
    m->spare = limit == 0 || rest + most <= limit ? UINT64_MAX : rest + least < limit ? limit - rest - least : 0;
    uint64_t taken = diagonals(p, program, m->spare, plan);
    m->weights += taken;
    m->total = rest + taken;
}

static bool has(const vl_program *program, vl_op_kind kind) {
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == kind) return true;
    return false;
}

// What is given up first where memory is short: maps of SPREAD that are kept between their uses, then threads that work
// side by side on ciphertexts of their own.
static void choose(const vl_params *p, const vl_program *program, const vl_lifetimes *t, uint32_t threads,
                   vl_diagset_plan *plan, vl_memory_plan *m) {
    uint32_t side_by_side = threads;
    for (bool at_use = false;;) {
        *m = (vl_memory_plan){.threads = side_by_side, .maps_at_use = at_use};
        add_up(p, program, t, plan, threads, m);
        if (program->memory_bytes == 0 || m->total <= program->memory_bytes) return;
        if (!at_use && has(program, VL_OP_SPREAD))
            at_use = true;
        else if (side_by_side > 1)
            side_by_side /= 2;
        else
            return;
    }
}

vl_memory_plan vl_runtime_plan_threads(const vl_params *p, const vl_program *program, uint32_t threads) {
    vl_memory_plan m = {0};
    vl_lifetimes t;
    if (vl_lifetimes_new(program, &t) != VELUM_OK) return m;
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    if (plan) choose(p, program, &t, threads ? threads : vl_cpu_count(), plan, &m);
    vl_free(plan);
    vl_lifetimes_clear(&t);
    return m;
}

vl_memory_plan vl_runtime_plan(const vl_params *p, const vl_program *program) {
    return vl_runtime_plan_threads(p, program, 0);
}
