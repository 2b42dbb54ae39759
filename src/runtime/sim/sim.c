// SPDX-License-Identifier: Apache-2.0
// The program in the clear: the same operations on the same slots, without noise.
#include "runtime/internal.h"
#include <math.h>
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
    case VL_OP_DIAGONALS: {
        const vl_sparsemap_shape shape = vl_program_shape(p, op);
        vl_sparsemap_clear_apply(&op->matrix, op->bias, &shape, a, d);
        break;
    }
    case VL_OP_SIGN:
        for (size_t i = 0; i < n; i++) d[i] = vl_compare_eval_stages(&op->compare, op->first, op->count, a[i]);
        break;
    case VL_OP_GATE: {
        uint32_t rest = op->compare.minimax->count - op->first;
        for (size_t i = 0; i < n; i++) d[i] = a[i] * vl_compare_eval_stages(&op->compare, op->first, rest, b[i]);
        break;
    }
    case VL_OP_BOOTSTRAP: memcpy(d, a, n * sizeof *d); break;
    case VL_OP_MASK:
        for (size_t i = 0; i < n; i++) d[i] = i < (size_t)l->dim * l->lanes ? a[i] : 0;
        break;
    default: break;
    }
}

// ---- the model of noise ----
typedef struct noise {
    vl_rng rng;
    double rounding;  // deviation, on a slot at scale 1, of a rescale's rounding: of c_0 and c_1 s, s uniform ternary
    double bootstrap; // the same of a bootstrap, at scale 1
    int64_t *draw;    // slots
} noise;

#define NOISE_UNIT 0x1p40 // deviation of what is drawn

static velum_status noise_begin(const vl_program *p, uint64_t seed, noise *out) {
    uint8_t key[VL_SEED_BYTES] = {0};
    for (int i = 0; i < 8; i++) key[i] = (uint8_t)(seed >> (8 * i));
    double n = ldexp(1, (int)p->manifest.params.log_n);
    out->rounding = sqrt((1 + 2 * n / 3) / 12 * n / 2);
    out->draw = vl_alloc_array(p->values[0].layout.slots, sizeof *out->draw);
    vl_bootstrap_plan *plan = p->manifest.bootstrapped ? vl_alloc(sizeof *plan) : NULL;
    velum_status status = plan ? vl_program_bootstrap_plan(&p->manifest, plan) : VELUM_OK;
    // The estimate is of the mean absolute error: of a normal one, sqrt(2 / pi) deviations.
    if (plan && status == VELUM_OK) out->bootstrap = sqrt(1.5707963) * exp2(-plan->precision_bits) * plan->scale;
    vl_free(plan);
    if (!out->draw) return VL_FAIL(VELUM_E_NOMEM, "simulation: noise");
    vl_rng_init_seed(&out->rng, key, 0);
    return status;
}

// Deviation on the slots of a result. Rescales one after another, as in a polynomial, count by their number.
static double deviation(const vl_program *p, const vl_op *op, const noise *t) {
    double scale = p->values[op->dst].scale;
    switch (op->kind) {
    case VL_OP_ADD: return 0;
    case VL_OP_BOOTSTRAP: return t->bootstrap / scale;
    case VL_OP_POLY:
    case VL_OP_SIGN:
    case VL_OP_GATE: return sqrt(op->level - p->values[op->dst].level) * t->rounding / scale;
    default: return t->rounding / scale;
    }
}

static void add_noise(noise *t, double sigma, const vl_layout *l, double *v) {
    for (uint32_t c = 0; sigma > 0 && c < l->cts; c++, v += l->slots) {
        vl_rng_gaussian_wide(&t->rng, t->draw, l->slots, NOISE_UNIT);
        for (uint32_t i = 0; i < l->slots; i++) v[i] += (double)t->draw[i] * (sigma / NOISE_UNIT);
    }
}

static velum_status run(const vl_program *p, noise *t, const double *in, vl_sim_probe probe, void *arg, double *out) {
    double **value = vl_alloc_array(p->value_count, sizeof *value);
    VL_FAIL_IF(!value, VELUM_E_NOMEM, "simulation");
    uint32_t *last = vl_alloc_array(p->value_count, sizeof *last);
    velum_status status = last ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "simulation");
    if (last) vl_runtime_last_uses(p, last);
    for (uint32_t i = 0; i < p->op_count && status == VELUM_OK; i++) {
        const vl_op *op = &p->ops[i];
        const vl_layout *l = &p->values[op->dst].layout;
        const double *a = op->src[0] == 0 ? in : value[op->src[0]];
        const double *b = vl_op_inputs(op->kind) < 2 ? NULL : op->src[1] == 0 ? in : value[op->src[1]];
        if (!(value[op->dst] = vl_alloc_array((size_t)l->cts * l->slots, sizeof(double)))) {
            status = VL_FAIL(VELUM_E_NOMEM, "simulation: '%s'", op->name);
            break;
        }
        run_op(p, op, a, b, value[op->dst]);
        if (t) add_noise(t, deviation(p, op, t), l, value[op->dst]);
        if (probe) probe(arg, i, value[op->dst]);
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
            uint32_t src = op->src[k];
            if (last[src] != i) continue;
            vl_free(value[src]);
            value[src] = NULL;
        }
    }
    const vl_layout *l = &p->values[p->output].layout;
    if (status == VELUM_OK) memcpy(out, value[p->output], (size_t)l->cts * l->slots * sizeof *out);
    for (uint32_t i = 0; i < p->value_count; i++) vl_free(value[i]);
    vl_free(value);
    vl_free(last);
    return status;
}

velum_status vl_sim_run_verified(const vl_program *p, const double *in, double *out) {
    return run(p, NULL, in, NULL, NULL, out);
}

velum_status vl_sim_run_probe(const vl_program *p, const double *in, vl_sim_probe probe, void *arg, double *out) {
    return run(p, NULL, in, probe, arg, out);
}

velum_status vl_sim_run(const vl_program *p, const double *in, double *out) {
    VL_TRY(vl_program_verify(p)); // levels and scales
    return run(p, NULL, in, NULL, NULL, out);
}

velum_status vl_sim_run_noisy(const vl_program *p, const double *in, uint64_t seed, double *out) {
    VL_TRY(vl_program_verify(p));
    return vl_sim_run_noisy_probe(p, in, seed, NULL, NULL, out);
}

velum_status vl_sim_run_noisy_probe(const vl_program *p, const double *in, uint64_t seed, vl_sim_probe probe, void *arg,
                                    double *out) {
    noise *t = vl_alloc(sizeof *t);
    VL_FAIL_IF(!t, VELUM_E_NOMEM, "simulation: noise");
    velum_status status = noise_begin(p, seed, t);
    if (status == VELUM_OK) status = run(p, t, in, probe, arg, out);
    vl_free(t->draw);
    vl_free(t);
    return status;
}
