// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "runtime/internal.h"

typedef struct value { // the ciphertexts of one program value
    vl_ciphertext *ct;
    uint32_t count;
    bool owned;
} value;

static void release(value *v) {
    for (uint32_t i = 0; v->owned && v->ct && i < v->count; i++) vl_ciphertext_free(&v->ct[i]);
    vl_free(v->ct);
    *v = (value){0};
}

static velum_status make(const vl_params *p, uint32_t count, uint16_t level, value *v) {
    v->ct = vl_alloc_array(count, sizeof *v->ct);
    VL_FAIL_IF(!v->ct, VELUM_E_NOMEM, "%u ciphertexts", count);
    v->count = count;
    v->owned = true;
    for (uint32_t i = 0; i < count; i++) VL_TRY(vl_ciphertext_new(p, level, 1, &v->ct[i]));
    return VELUM_OK;
}

// The same ciphertext seen at a lower level; storage stays with the original.
static vl_ciphertext at_level(const vl_ciphertext *ct, uint16_t level) {
    vl_ciphertext view = *ct;
    view.block = NULL;
    vl_ciphertext_drop(&view, level);
    return view;
}

static velum_status run_mix(const vl_runtime *r, vl_exec *x, uint32_t index, const value *a, value *d) {
    const vl_params *p = r->params;
    const vl_op *op = &r->program->ops[index];
    vl_poly *in = vl_alloc_array((size_t)op->cols + op->rows, sizeof *in);
    VL_FAIL_IF(!in, VELUM_E_NOMEM, "'%s'", op->name);
    vl_poly *sum = in + op->cols;
    for (unsigned half = 0; half < 2; half++) {
        for (uint32_t i = 0; i < op->cols; i++) in[i] = vl_poly_prefix(a->ct[i].c[half], op->level);
        for (uint32_t row = 0; row < op->rows; row++) sum[row] = d->ct[row].c[half];
        vl_ring_mix_i64(x, &p->ring, sum, op->rows, in, r->op[index].mix, op->cols);
    }
    for (uint32_t row = 0; row < op->rows; row++) {
        vl_ciphertext *out = &d->ct[row];
        out->scale = a->ct[0].scale * op->plain_scale;
        vl_ckks_rescale(x, p, out, out);
        if (op->bias) vl_ckks_add_const(x, p, out, out, op->bias[row]);
    }
    vl_free(in);
    return VELUM_OK;
}

typedef struct keyring {
    const vl_eval_keys *keys;
    const vl_bootstrap_keys *own;
} keyring;

typedef struct watcher { // who wants to see the results of operations
    vl_runtime_probe probe;
    void *arg;
} watcher;

// a is not above u's level, but may be below it.
static velum_status run_gate(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, const vl_op *op,
                             vl_ciphertext *out, const vl_ciphertext *a, const vl_ciphertext *u) {
    vl_ciphertext factor = at_level(a, a->level < op->level ? a->level : op->level), in = at_level(u, op->level);
    return vl_compare_finish(x, r->params, keys, &op->compare, op->first, op->plain_scale, out, &factor, &in);
}

// x at scale s is x s / Delta at the bootstrap's scale Delta, and back.
static velum_status run_bootstrap(const vl_runtime *r, vl_exec *x, const keyring *k, vl_ciphertext *out,
                                  const vl_ciphertext *a) {
    VL_FAIL_IF(!k->own, VELUM_E_MISMATCH, "the program bootstraps: its further keys are missing");
    vl_ciphertext in = *a;
    in.scale = vl_bootstrap_plan_of(r->bootstrap)->scale;
    return vl_bootstrap_apply(x, r->bootstrap, k->keys, k->own, out, &in, NULL);
}

static velum_status run_op(const vl_runtime *r, vl_exec *x, const keyring *k, uint32_t index, const value *values,
                           value *d) {
    const vl_params *p = r->params;
    const vl_eval_keys *keys = k->keys;
    const vl_op *op = &r->program->ops[index];
    bool two = vl_op_inputs(op->kind) == 2; // else src[1] means nothing
    const value *a = &values[op->src[0]], *b = two ? &values[op->src[1]] : NULL;
    if (op->kind == VL_OP_MIX) return run_mix(r, x, index, a, d);
    const vl_switch_key *relin = vl_eval_keys_find(keys, 0);
    for (uint32_t i = 0; i < d->count; i++) {
        vl_ciphertext *out = &d->ct[i], in = {0}, other = {0};
        if (op->kind != VL_OP_GATE) {
            in = at_level(&a->ct[i], op->level);
            if (two) other = at_level(&b->ct[i], op->level);
        }
        switch (op->kind) {
        case VL_OP_LINTRANS: vl_lintrans_apply(x, p, keys, &r->op[index].linear, out, &in); break;
        case VL_OP_SQUARE: vl_ckks_square_rescale(x, p, out, &in, relin); break;
        case VL_OP_MUL: vl_ckks_mul_rescale(x, p, out, &in, &other, relin); break;
        case VL_OP_MASK:
            vl_ckks_mul_plain(x, p, out, &in, r->op[index].mask, op->plain_scale);
            vl_ckks_rescale(x, p, out, out);
            break;
        case VL_OP_ADD: vl_ckks_add(x, p, out, &in, &other); break;
        case VL_OP_POLY: VL_TRY(vl_poly_apply(x, p, keys, &op->poly, op->plain_scale, out, &in)); break;
        case VL_OP_DIAGONALS: vl_sparsemap_apply(x, p, keys, &r->op[index].map, out, &in); break;
        case VL_OP_SIGN:
            VL_TRY(vl_compare_stages(x, p, keys, &op->compare, op->first, op->count, op->plain_scale, out, &in));
            break;
        case VL_OP_GATE: VL_TRY(run_gate(r, x, keys, op, out, &a->ct[i], &b->ct[i])); break;
        case VL_OP_BOOTSTRAP: VL_TRY(run_bootstrap(r, x, k, out, &in)); break;
        default: return VL_FAIL(VELUM_E_INTERNAL, "operation %d", (int)op->kind);
        }
        out->scale = r->program->values[op->dst].scale; // equal within 2^-40 by the verifier: drop the rounding
    }
    return VELUM_OK;
}

// What is left by the predicted times, scaled by how the operations so far did.
static void tell(const vl_progress *progress, const vl_program *p, uint32_t done, double seconds) {
    if (!progress) return;
    double before = 0, after = 0;
    for (uint32_t i = 0; i < p->op_count; i++) *(i < done ? &before : &after) += p->ops[i].seconds;
    double rate = before > 0 && seconds > 0 ? seconds / before : 1;
    progress->report(progress->arg, done, p->op_count, seconds, after * rate);
}

static velum_status run_all(const vl_runtime *r, vl_exec *x, const keyring *k, value *values, double *op_seconds,
                            const vl_progress *progress, const watcher *w) {
    const vl_program *program = r->program;
    double begin = vl_now();
    tell(progress, program, 0, 0);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        double start = vl_now();
        VL_TRY(make(r->params, program->values[op->dst].layout.cts, vl_runtime_room(program, op), &values[op->dst]));
        VL_TRY(run_op(r, x, k, i, values, &values[op->dst]));
        for (uint32_t s = 0; s < vl_op_inputs(op->kind); s++)
            if (r->last_use[op->src[s]] == i) release(&values[op->src[s]]);
        if (op_seconds) op_seconds[i] += vl_now() - start;
        if (w->probe) VL_TRY(w->probe(w->arg, i, values[op->dst].ct, values[op->dst].count));
        tell(progress, program, i + 1, vl_now() - begin);
    }
    return VELUM_OK;
}

velum_status vl_runtime_run(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, const vl_bootstrap_keys *own,
                            const vl_ciphertext *in, vl_ciphertext *out, double *op_seconds,
                            const vl_progress *progress) {
    return vl_runtime_run_probe(r, x, keys, own, in, out, op_seconds, progress, NULL, NULL);
}

velum_status vl_runtime_run_probe(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys,
                                  const vl_bootstrap_keys *own, const vl_ciphertext *in, vl_ciphertext *out,
                                  double *op_seconds, const vl_progress *progress, vl_runtime_probe probe, void *arg) {
    const vl_program *program = r->program;
    const keyring k = {keys, own};
    const watcher w = {probe, arg};
    value *values = vl_alloc_array(program->value_count, sizeof *values);
    VL_FAIL_IF(!values, VELUM_E_NOMEM, "run: %u values", program->value_count);
    uint32_t cts = program->values[0].layout.cts;
    values[0].ct = vl_alloc_array(cts, sizeof *values[0].ct);
    velum_status status = values[0].ct ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "run: inputs");
    if (status == VELUM_OK) {
        values[0].count = cts; // borrowed
        for (uint32_t i = 0; i < cts; i++) {
            values[0].ct[i] = at_level(&in[i], in[i].level);
            values[0].ct[i].scale = program->values[0].scale; // equal within 2^-40
        }
        status = run_all(r, x, &k, values, op_seconds, progress, &w);
    }
    value *answer = &values[program->output];
    for (uint32_t i = 0; status == VELUM_OK && i < answer->count; i++)
        status = vl_rlwe_rerandomise(x, keys, &answer->ct[i], 0);
    if (status == VELUM_OK) {
        for (uint32_t i = 0; i < answer->count; i++) {
            out[i] = answer->ct[i];
            answer->ct[i] = (vl_ciphertext){0};
        }
    }
    for (uint32_t i = 0; i < program->value_count; i++) release(&values[i]);
    vl_free(values);
    return status;
}
