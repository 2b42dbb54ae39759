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

// The slots of one request's pixels of one phase.
static void keep_pixels(const vl_layout *l, uint32_t phase, double *keep) {
    for (uint32_t y = phase / l->phase_x; y < l->height; y += l->phase_y)
        for (uint32_t x = phase % l->phase_x; x < l->width; x += l->phase_x)
            keep[y / l->phase_y * l->stride_y + x / l->phase_x * l->stride_x] = 1;
}

static velum_status prepare_mask(vl_exec *x, const vl_params *p, const vl_encoder *e, const vl_program *program,
                                 const vl_op *op, prepared *out) {
    const vl_layout *l = &program->values[op->dst].layout;
    const uint32_t count = l->parts ? l->period : l->slots; // what repeats
    const bool even = l->parts && l->height % l->phase_y == 0 && l->width % l->phase_x == 0;
    const uint32_t masks = l->parts && !even ? l->phase_y * l->phase_x : 1;
    double *keep = vl_alloc_array(count, sizeof *keep);
    out->mask = vl_alloc_array(masks, sizeof *out->mask);
    velum_status status = keep && out->mask ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "'%s': mask", op->name);
    for (uint32_t m = 0; m < masks && status == VELUM_OK; m++) {
        for (uint32_t i = 0; i < count; i++) keep[i] = !l->parts && i < l->dim * l->lanes;
        if (l->parts) keep_pixels(l, m, keep);
        status = vl_poly_new(&p->ring, op->level, 0, &out->mask[m]);
        if (status == VELUM_OK) out->masks = m + 1;
        if (status == VELUM_OK) status = vl_encode_real(x, e, keep, count, op->plain_scale, out->mask[m]);
    }
    vl_free(keep);
    return status;
}

// Weights for the second value's ciphertexts are scaled so that they lead to the same scale of the result.
velum_status vl_runtime_encode_spread(vl_exec *x, const vl_encoder *e, const vl_program *program, const vl_op *op,
                                      vl_spread_coded **out) {
    const vl_value *first = &program->values[op->src[0]], *second = &program->values[op->src[1]];
    double *factor = vl_alloc_array(op->spread.sources, sizeof *factor);
    VL_FAIL_IF(!factor, VELUM_E_NOMEM, "'%s': factors", op->name);
    for (uint32_t i = 0; i < op->spread.sources; i++)
        factor[i] = i < first->layout.cts ? op->plain_scale : first->scale * op->plain_scale / second->scale;
    velum_status status = vl_spread_encode(x, e, &op->spread, op->level, factor, program->values[op->dst].scale, out);
    vl_free(factor);
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
    const vl_memory_plan plan = vl_runtime_plan_threads(r->params, program, vl_pool_threads(x->pool));
    uint64_t spare = plan.spare;
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
        else if (op->kind == VL_OP_SPREAD && !plan.maps_at_use)
            VL_TRY(vl_runtime_encode_spread(x, e, program, op, &r->op[i].spread));
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
    r->encoder = e;
    r->program = program;
    r->op = vl_alloc_array(program->op_count, sizeof *r->op);
    velum_status status = r->op ? vl_lifetimes_new(program, &r->lives) : VL_FAIL(VELUM_E_NOMEM, "runtime");
    if (status == VELUM_OK) status = prepare(x, e, r);
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
        for (uint32_t k = 0; k < r->op[i].masks; k++) vl_poly_free(&r->op[i].mask[k]);
        vl_free(r->op[i].mask);
        vl_sparsemap_free(&r->op[i].map);
        vl_spread_coded_free(r->op[i].spread);
    }
    vl_bootstrap_free(r->bootstrap);
    vl_free(r->op);
    vl_lifetimes_clear(&r->lives);
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
