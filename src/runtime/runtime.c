// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime.h"
#include "base/clock.h"
#include <math.h>

typedef struct prepared { // one operation's constants
    vl_lintrans linear;   // LINTRANS
    int64_t *mix;         // MIX: rows x cols integers
    vl_poly mask;         // MASK
} prepared;

struct vl_runtime {
    const vl_params *params;
    const vl_program *program;
    prepared *op;
    uint32_t *last_use; // by value: the last operation that reads it
};

// ---- planning ----

static void find_last_uses(const vl_program *p, uint32_t *last) {
    for (uint32_t i = 0; i < p->value_count; i++) last[i] = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        for (uint32_t k = 0; k < vl_op_inputs(p->ops[i].kind); k++) last[p->ops[i].src[k]] = i;
    last[p->output] = UINT32_MAX;
}

static uint64_t value_bytes(const vl_params *p, const vl_program *program, uint32_t v, uint16_t level) {
    return 2 * (uint64_t)program->values[v].layout.cts * vl_poly_bytes(&p->ring, level, 0);
}

static uint64_t peak_of(const vl_params *p, const vl_program *program, uint32_t *last, uint64_t *bytes) {
    uint64_t live = value_bytes(p, program, 0, program->values[0].level), peak = live;
    find_last_uses(program, last);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        // A value keeps the room that it was made with: that of the level at which its operation starts.
        live += bytes[op->dst] = value_bytes(p, program, op->dst, op->level);
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

static uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

vl_memory_plan vl_runtime_plan(const vl_params *p, const vl_program *program) {
    vl_memory_plan m = {0};
    uint32_t special = p->ring.p_count;
    uint64_t limb = (uint64_t)p->ring.n * sizeof(uint64_t);
    m.tables = limb * 4 * (p->ring.q_count + special) + limb * 8;
    m.scratch = vl_encoder_scratch(p, p->ring.q_count, special);
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        if (op->kind == VL_OP_LINTRANS) {
            m.weights += vl_lintrans_bytes(p, &op->plan, op->level, op->bias != NULL);
            m.scratch = max_u64(m.scratch, vl_lintrans_scratch(p, &op->plan, op->level));
            m.scratch = max_u64(m.scratch, vl_lintrans_encode_scratch(p, &op->plan, op->level));
        } else if (op->kind == VL_OP_MIX) {
            m.weights += (uint64_t)op->rows * op->cols * sizeof(int64_t);
        } else if (op->kind == VL_OP_MASK) {
            m.weights += limb * op->level;
        } else if (op->kind == VL_OP_POLY) {
            m.scratch = max_u64(m.scratch, vl_poly_scratch(p, &op->poly, op->level));
        }
        m.scratch = max_u64(m.scratch, vl_ckks_scratch(p, op->level));
        m.scratch = max_u64(m.scratch, vl_rlwe_scratch(p, op->level));
    }
    m.scratch += 1u << 20;
    for (uint32_t i = 0; i < program->manifest.key_count; i++) {
        uint32_t level = program->manifest.keys[i].level, alpha = p->literal.digit_limbs;
        m.keys += 2ull * ((level + alpha - 1) / alpha) * (level + special) * limb;
    }
    m.ciphertexts = peak_ciphertexts(p, program);
    m.total = m.tables + m.weights + m.keys + m.ciphertexts + m.scratch;
    return m;
}

// ---- preparation ----

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

static velum_status prepare(vl_exec *x, const vl_encoder *e, vl_runtime *r) {
    const vl_program *program = r->program;
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
        find_last_uses(program, r->last_use);
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
    }
    vl_free(r->op);
    vl_free(r->last_use);
    vl_free(r);
}

// ---- running ----

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
    vl_poly *column = vl_alloc_array(op->cols, sizeof *column);
    VL_FAIL_IF(!column, VELUM_E_NOMEM, "'%s'", op->name);
    double scale = a->ct[0].scale * op->plain_scale;
    for (uint32_t row = 0; row < op->rows; row++) {
        vl_ciphertext *out = &d->ct[row];
        for (unsigned half = 0; half < 2; half++) {
            for (uint32_t i = 0; i < op->cols; i++) column[i] = vl_poly_prefix(a->ct[i].c[half], op->level);
            vl_ring_dot_i64(x, &p->ring, out->c[half], column, r->op[index].mix + (size_t)row * op->cols, op->cols);
        }
        out->scale = scale;
        vl_ckks_rescale(x, p, out, out);
        if (op->bias) vl_ckks_add_const(x, p, out, out, op->bias[row]);
    }
    vl_free(column);
    return VELUM_OK;
}

static velum_status run_op(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, uint32_t index,
                           const value *values, value *d) {
    const vl_params *p = r->params;
    const vl_op *op = &r->program->ops[index];
    bool two = vl_op_inputs(op->kind) == 2; // else src[1] means nothing
    const value *a = &values[op->src[0]], *b = two ? &values[op->src[1]] : NULL;
    if (op->kind == VL_OP_MIX) return run_mix(r, x, index, a, d);
    const vl_switch_key *relin = vl_eval_keys_find(keys, 0);
    for (uint32_t i = 0; i < d->count; i++) {
        vl_ciphertext *out = &d->ct[i], in = at_level(&a->ct[i], op->level), other = {0};
        if (two) other = at_level(&b->ct[i], op->level);
        switch (op->kind) {
        case VL_OP_LINTRANS: vl_lintrans_apply(x, p, keys, &r->op[index].linear, out, &in); break;
        case VL_OP_SQUARE:
            vl_ckks_square(x, p, out, &in, relin);
            vl_ckks_rescale(x, p, out, out);
            break;
        case VL_OP_MUL:
            vl_ckks_mul(x, p, out, &in, &other, relin);
            vl_ckks_rescale(x, p, out, out);
            break;
        case VL_OP_MASK:
            vl_ckks_mul_plain(x, p, out, &in, r->op[index].mask, op->plain_scale);
            vl_ckks_rescale(x, p, out, out);
            break;
        case VL_OP_ADD: vl_ckks_add(x, p, out, &in, &other); break;
        case VL_OP_POLY: VL_TRY(vl_poly_apply(x, p, keys, &op->poly, op->plain_scale, out, &in)); break;
        default: return VL_FAIL(VELUM_E_INTERNAL, "operation %d", (int)op->kind);
        }
        out->scale = r->program->values[op->dst].scale; // equal within 2^-40 by the verifier: drop the rounding
    }
    return VELUM_OK;
}

static velum_status run_all(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, value *values,
                            double *op_seconds) {
    const vl_program *program = r->program;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        double start = vl_now();
        VL_TRY(make(r->params, program->values[op->dst].layout.cts, op->level, &values[op->dst]));
        VL_TRY(run_op(r, x, keys, i, values, &values[op->dst]));
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
            if (r->last_use[op->src[k]] == i) release(&values[op->src[k]]);
        if (op_seconds) op_seconds[i] += vl_now() - start;
    }
    return VELUM_OK;
}

velum_status vl_runtime_run(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, const vl_ciphertext *in,
                            vl_ciphertext *out, double *op_seconds) {
    const vl_program *program = r->program;
    value *values = vl_alloc_array(program->value_count, sizeof *values);
    VL_FAIL_IF(!values, VELUM_E_NOMEM, "run: %u values", program->value_count);
    uint32_t cts = program->values[0].layout.cts;
    values[0].ct = vl_alloc_array(cts, sizeof *values[0].ct);
    velum_status status = values[0].ct ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "run: inputs");
    if (status == VELUM_OK) {
        values[0].count = cts; // borrowed
        for (uint32_t i = 0; i < cts; i++) values[0].ct[i] = at_level(&in[i], in[i].level);
        status = run_all(r, x, keys, values, op_seconds);
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
