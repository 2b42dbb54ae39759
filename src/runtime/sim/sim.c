// SPDX-License-Identifier: Apache-2.0
// The program in the clear: the same operations on the same slots, without noise.
#include "runtime/runtime.h"
#include <string.h>

static void mix(const vl_op *op, uint32_t slots, const double *a, double *d) {
    for (uint32_t row = 0; row < op->rows; row++) {
        double *out = d + (size_t)row * slots;
        for (uint32_t s = 0; s < slots; s++) out[s] = op->bias ? op->bias[row] : 0;
        for (uint32_t col = 0; col < op->cols; col++) {
            double w = op->weights[(size_t)row * op->cols + col];
            const double *in = a + (size_t)col * slots;
            for (uint32_t s = 0; w != 0 && s < slots; s++) out[s] += w * in[s];
        }
    }
}

static void run_op(const vl_program *p, const vl_op *op, const double *a, const double *b, double *d) {
    const vl_layout *l = &p->values[op->dst].layout;
    size_t n = (size_t)l->cts * l->slots;
    switch (op->kind) {
    case VL_OP_LINTRANS: vl_lintrans_clear_apply(&op->plan, op->weights, op->bias, a, d); break;
    case VL_OP_MIX: mix(op, l->slots, a, d); break;
    case VL_OP_SQUARE:
        for (size_t i = 0; i < n; i++) d[i] = a[i] * a[i];
        break;
    case VL_OP_MUL:
        for (size_t i = 0; i < n; i++) d[i] = a[i] * b[i];
        break;
    case VL_OP_ADD:
        for (size_t i = 0; i < n; i++) d[i] = a[i] + b[i];
        break;
    case VL_OP_POLY:
        for (size_t i = 0; i < n; i++) d[i] = vl_polynomial_eval(&op->poly, a[i]);
        break;
    case VL_OP_MASK:
        for (size_t i = 0; i < n; i++) d[i] = i < (size_t)l->dim * l->lanes ? a[i] : 0;
        break;
    default: break;
    }
}

velum_status vl_sim_run(const vl_program *p, const double *in, double *out) {
    VL_TRY(vl_program_verify(p)); // levels and scales
    double **value = vl_alloc_array(p->value_count, sizeof *value);
    VL_FAIL_IF(!value, VELUM_E_NOMEM, "simulation");
    velum_status status = VELUM_OK;
    for (uint32_t i = 0; i < p->op_count && status == VELUM_OK; i++) {
        const vl_op *op = &p->ops[i];
        const vl_layout *l = &p->values[op->dst].layout;
        const double *a = op->src[0] == 0 ? in : value[op->src[0]];
        const double *b = vl_op_inputs(op->kind) < 2 ? NULL : op->src[1] == 0 ? in : value[op->src[1]];
        if (!(value[op->dst] = vl_alloc_array((size_t)l->cts * l->slots, sizeof(double))))
            status = VL_FAIL(VELUM_E_NOMEM, "simulation: '%s'", op->name);
        else
            run_op(p, op, a, b, value[op->dst]);
    }
    const vl_layout *l = &p->values[p->output].layout;
    if (status == VELUM_OK) memcpy(out, value[p->output], (size_t)l->cts * l->slots * sizeof *out);
    for (uint32_t i = 0; i < p->value_count; i++) vl_free(value[i]);
    vl_free(value);
    return status;
}
