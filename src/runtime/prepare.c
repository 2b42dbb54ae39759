// SPDX-License-Identifier: Apache-2.0
// A program's constants, encoded; a bootstrap's keys.
#include "circuits/bootstrap_keys.h"
#include "runtime/internal.h"
#include <math.h>

static velum_status prepare_mix(const vl_op *op, prepared *out) {
    size_t n = (size_t)op->rows * op->cols;
    VL_FAIL_IF(!(out->mix = vl_alloc_array(n, sizeof *out->mix)), VELUM_E_NOMEM, "'%s': %zu weights", op->name, n);
    for (size_t i = 0; i < n; i++) {
        double w = op->weights[i] * op->plain_scale;
        VL_FAIL_IF(!(fabs(w) < 0x1p61), VELUM_E_VALUE, "'%s': weight %g does not fit its scale", op->name,
                   op->weights[i]);
        out->mix[i] = llrint(w);
    }
    return VELUM_OK;
}

static velum_status prepare_mask(vl_exec *x, const vl_params *p, const vl_encoder *e, const vl_program *program,
                                 const vl_op *op, prepared *out) {
    const vl_layout *l = &program->values[op->dst].layout;
    double *keep = vl_alloc_array(l->slots, sizeof *keep);
    VL_FAIL_IF(!keep, VELUM_E_NOMEM, "'%s': mask", op->name);
    for (uint32_t i = 0; i < l->dim * l->lanes; i++) keep[i] = 1;
    velum_status status = vl_poly_new(&p->ring, op->level, 0, &out->mask);
    if (status == VELUM_OK) status = vl_encode_real(x, e, keep, l->slots, op->plain_scale, out->mask);
    vl_free(keep);
    return status;
}

static velum_status prepare_diagonals(vl_exec *x, const vl_encoder *e, const vl_runtime *r, const vl_op *op,
                                      uint64_t *spare, prepared *out) {
    const vl_sparsemap_shape shape = vl_program_shape(r->program, op);
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "'%s': plan", op->name);
    velum_status status = vl_program_diagonals(r->program, op, plan);
    if (status == VELUM_OK) {
        uint64_t budget = vl_runtime_budget(r->params, r->program, op, plan, spare);
        status = vl_sparsemap_encode(x, e, &op->matrix, op->bias, &shape, plan, op->level, op->plain_scale,
                                     r->program->values[op->src[0]].scale, budget, &out->map);
    }
    vl_free(plan);
    return status;
}

static velum_status prepare_bootstrap(vl_exec *x, const vl_encoder *e, vl_runtime *r) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "bootstrap: plan");
    velum_status status = vl_program_bootstrap_plan(&r->program->manifest, plan);
    if (status == VELUM_OK) status = vl_bootstrap_new(x, plan, e, &r->bootstrap);
    vl_free(plan);
    return status;
}

static velum_status prepare(vl_exec *x, const vl_encoder *e, vl_runtime *r) {
    const vl_program *program = r->program;
    uint64_t spare = vl_runtime_plan(r->params, program).spare;
    if (program->manifest.bootstrapped) VL_TRY(prepare_bootstrap(x, e, r));
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        double in_scale = program->values[op->src[0]].scale;
        if (op->kind == VL_OP_LINTRANS)
            VL_TRY(vl_lintrans_encode(x, e, &op->plan, op->weights, op->bias, op->level, op->plain_scale, in_scale,
                                      &r->op[i].linear));
        else if (op->kind == VL_OP_MIX)
            VL_TRY(prepare_mix(op, &r->op[i]));
        else if (op->kind == VL_OP_MASK)
            VL_TRY(prepare_mask(x, r->params, e, program, op, &r->op[i]));
    }
    for (uint32_t gap = 1u << (VL_RUNTIME_GAPS - 1); gap > 0; gap /= 2)
        for (uint32_t i = vl_runtime_turn(program, gap, 0); i < program->op_count;
             i = vl_runtime_turn(program, gap, i + 1))
            VL_TRY(prepare_diagonals(x, e, r, &program->ops[i], &spare, &r->op[i]));
    return VELUM_OK;
}

velum_status vl_runtime_new(vl_exec *x, const vl_params *p, const vl_encoder *e, const vl_program *program,
                            vl_runtime **out) {
    vl_runtime *r = vl_alloc(sizeof *r);
    VL_FAIL_IF(!r, VELUM_E_NOMEM, "runtime");
    r->params = p;
    r->program = program;
    r->op = vl_alloc_array(program->op_count, sizeof *r->op);
    r->last_use = vl_alloc_array(program->value_count, sizeof *r->last_use);
    velum_status status = r->op && r->last_use ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "runtime");
    if (status == VELUM_OK) {
        vl_runtime_last_uses(program, r->last_use);
        status = prepare(x, e, r);
    }
    if (status != VELUM_OK) {
        vl_runtime_free(r);
        return status;
    }
    *out = r;
    return VELUM_OK;
}

void vl_runtime_free(vl_runtime *r) {
    if (!r) return;
    for (uint32_t i = 0; r->op && i < r->program->op_count; i++) {
        vl_lintrans_free(&r->op[i].linear);
        vl_free(r->op[i].mix);
        vl_poly_free(&r->op[i].mask);
        vl_sparsemap_free(&r->op[i].map);
    }
    vl_bootstrap_free(r->bootstrap);
    vl_free(r->op);
    vl_free(r->last_use);
    vl_free(r);
}

velum_status vl_runtime_load_keys(vl_exec *x, const vl_params *p, const vl_program *program, vl_reader *r,
                                  vl_bootstrap_keys *out) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "bootstrap: keys");
    velum_status status = vl_program_bootstrap_plan(&program->manifest, plan);
    if (status == VELUM_OK) status = vl_bootstrap_keys_load(x, plan, p, r, out);
    vl_free(plan);
    return status;
}
