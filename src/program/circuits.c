// SPDX-License-Identifier: Apache-2.0
// What an operation does to level and scale, and what the kinds of bootstrapped programs demand.
#include "program/internal.h"

#include "program/matrix.h"

#include <math.h>

#define BOUND_MARGIN (1 + 0x1p-10) // of what enters a comparison
#define MAX_SCALE 0x1p55           // of a comparison's result: its coefficients are encoded at that and more
#define GATE_SCALES 24             // log2 of result's scale against a's, at most: a factor of that scale is encoded

double vl_program_result_scale(const vl_params_literal *lit, const vl_program *p, const vl_op *op) {
    double a = p->values[op->src[0]].scale, last = (double)lit->q[op->level - 1];
    switch (op->kind) {
    case VL_OP_LINTRANS:
    case VL_OP_MIX:
    case VL_OP_DIAGONALS:
    case VL_OP_MASK:
    case VL_OP_SPREAD: return a * op->plain_scale / last;
    case VL_OP_SQUARE: return a * a / last;
    case VL_OP_SQUARES: return a * a * (p->values[op->src[0]].layout.parts == 2 ? 4 : 1);
    case VL_OP_MUL: return a * p->values[op->src[1]].scale / last;
    case VL_OP_POLY:
    case VL_OP_SIGN:
    case VL_OP_GATE: return op->plain_scale;
    default: return a;
    }
}

static uint32_t compare_levels(const vl_program *p, const vl_op *op) {
    vl_params *outline = vl_alloc(sizeof *outline);
    if (!outline) return UINT16_MAX;
    vl_program_outline(&p->manifest.params, outline);
    const vl_value *a = &p->values[op->src[0]];
    uint32_t levels;
    if (op->kind == VL_OP_SIGN) {
        levels = vl_compare_plan_stages(outline, &op->compare, op->first, op->count, op->level, a->scale).levels;
    } else {
        uint16_t at = a->level < op->level ? a->level : op->level;
        double scale = p->values[op->src[1]].scale;
        levels = vl_compare_plan_finish(outline, &op->compare, op->first, op->level, scale, at).levels;
    }
    vl_free(outline);
    return levels;
}

static uint16_t bootstrap_level(const vl_program *p) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    uint16_t level = plan && vl_program_bootstrap_plan(&p->manifest, plan) == VELUM_OK ? plan->out_level : 0;
    vl_free(plan);
    return level;
}

uint16_t vl_program_result_level(const vl_program *p, const vl_op *op) {
    uint32_t used = 1;
    switch (op->kind) {
    case VL_OP_ADD:
    case VL_OP_SQUARES:
    case VL_OP_FOLD: used = 0; break;
    case VL_OP_POLY: used = vl_poly_plan(&op->poly).levels; break;
    case VL_OP_SIGN:
    case VL_OP_GATE: used = compare_levels(p, op); break;
    case VL_OP_BOOTSTRAP: return bootstrap_level(p);
    default: break;
    }
    return op->level > used ? (uint16_t)(op->level - used) : 0;
}

// ---- what each kind demands ----

static bool is_cyclic(const vl_layout *l) { return l->valid == l->slots / l->lanes; }

static velum_status check_diagonals(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *d = &p->values[op->dst].layout;
    bool fits = a->cts == 1 && d->cts == 1 && a->lanes == d->lanes && a->slots == d->slots;
    VL_FAIL_IF(!fits || !is_cyclic(a) || !is_cyclic(d), VELUM_E_FORMAT,
               "program: '%s': a map by diagonals takes and gives packed values, periodic all around", op->name);
    VL_TRY(vl_matrix_check(&op->matrix, op->name ? op->name : "?"));
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "program: '%s'", op->name);
    velum_status status = vl_program_diagonals(p, op, plan);
    vl_free(plan);
    return status == VELUM_E_LIMIT ? VELUM_E_FORMAT : status;
}

static velum_status check_compare(const vl_program *p, const vl_op *op) {
    const vl_compare *f = &op->compare;
    bool known = false;
    for (uint32_t i = 0; i < vl_minimax_tables_count && !known; i++) known = f->minimax == &vl_minimax_tables[i];
    VL_FAIL_IF(!known || f->kind > VL_RELU, VELUM_E_FORMAT, "program: '%s': no such comparison", op->name);
    VL_FAIL_IF(!(f->bound >= 0x1p-40 && f->bound <= 0x1p40), VELUM_E_FORMAT, "program: '%s': range of +-%g", op->name,
               f->bound);
    uint32_t stages = f->minimax->count, gate = op->kind == VL_OP_GATE;
    VL_FAIL_IF(gate && f->kind != VL_ABS && f->kind != VL_RELU, VELUM_E_FORMAT, "program: '%s': it has no product",
               op->name);
    VL_FAIL_IF(op->first >= stages || (!gate && (op->count == 0 || op->count > stages - op->first)), VELUM_E_FORMAT,
               "program: '%s': stages %u, %u of them, of %u", op->name, op->first, op->count, stages);
    const vl_value *u = &p->values[op->src[gate]];
    double range = op->first == 0 ? f->bound : 1;
    VL_FAIL_IF(!(u->bound <= range * BOUND_MARGIN), VELUM_E_FORMAT,
               "program: '%s': its operand is up to %g, its range +-%g", op->name, u->bound, range);
    VL_FAIL_IF(op->plain_scale > MAX_SCALE, VELUM_E_FORMAT, "program: '%s': result at scale 2^%.1f", op->name,
               log2(op->plain_scale));
    double change = log2(op->plain_scale / p->values[op->src[0]].scale);
    VL_FAIL_IF(gate && !(fabs(change) <= GATE_SCALES), VELUM_E_FORMAT, "program: '%s': a change of scale by 2^%.1f",
               op->name, change);
    return VELUM_OK;
}

static velum_status check_bootstrap(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot) {
    VL_FAIL_IF(!p->manifest.bootstrapped, VELUM_E_FORMAT, "program: '%s': the program names no bootstrap", op->name);
    const vl_value *a = &p->values[op->src[0]];
    VL_FAIL_IF(op->level < boot->in_level, VELUM_E_FORMAT, "program: '%s' at level %u, a bootstrap takes %u", op->name,
               op->level, boot->in_level);
    VL_FAIL_IF(!(a->bound * a->scale <= boot->scale * (1 + 0x1p-30)), VELUM_E_FORMAT,
               "program: '%s': values up to %g at scale 2^%.2f, a bootstrap takes 2^%.2f in all", op->name, a->bound,
               log2(a->scale), log2(boot->scale));
    VL_FAIL_IF(!is_cyclic(&a->layout), VELUM_E_FORMAT,
               "program: '%s': slots beyond position %u may hold anything, a bootstrap needs them bounded", op->name,
               a->layout.valid);
    uint64_t repeat = (uint64_t)a->layout.period * a->layout.lanes, sparse = UINT64_C(1) << boot->params.log_slots;
    VL_FAIL_IF(repeat > sparse, VELUM_E_FORMAT,
               "program: '%s': values repeat with %llu slots, the bootstrap's with %llu", op->name,
               (unsigned long long)repeat, (unsigned long long)sparse);
    return VELUM_OK;
}

velum_status vl_program_check_circuit(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot) {
    switch (op->kind) {
    case VL_OP_DIAGONALS: return check_diagonals(p, op);
    case VL_OP_SIGN:
    case VL_OP_GATE: return check_compare(p, op);
    case VL_OP_BOOTSTRAP: return check_bootstrap(p, op, boot);
    default: return VELUM_OK;
    }
}
