// SPDX-License-Identifier: Apache-2.0
// Operators that the client can compute before encryption: functions of one raw number, code tables, choices.
#include "nn/activation.h"
#include "nn/eval_ops.h"
#include "nn/lower.h"
#include <math.h>

// The steps of one number; *done is false where the client has none for it.
static velum_status scalar_step(vl_nn_prologue *p, const vl_nn_activation *f, uint32_t src, uint32_t *out, bool *done) {
    uint32_t s;
    *done = true;
    switch (f->kind) {
    case VL_NN_ACT_RELU: return vl_nn_step_clip(p, src, 0, INFINITY, out);
    case VL_NN_ACT_CLIP: return vl_nn_step_clip(p, src, f->alpha, f->beta, out);
    case VL_NN_ACT_HARD_SIGMOID:
        VL_TRY(vl_nn_step_affine(p, src, f->alpha, f->beta, &s));
        return vl_nn_step_clip(p, s, 0, 1, out);
    case VL_NN_ACT_FLOOR: return vl_nn_step_trunc(p, src, true, out);
    case VL_NN_ACT_CEIL:
        VL_TRY(vl_nn_step_affine(p, src, -1, 0, &s));
        VL_TRY(vl_nn_step_trunc(p, s, true, &s));
        return vl_nn_step_affine(p, s, -1, 0, out);
    case VL_NN_ACT_ROUND: return vl_nn_step_function(p, src, VL_STEP_ROUND, out);
    case VL_NN_ACT_ABS: return vl_nn_step_function(p, src, VL_STEP_ABS, out);
    case VL_NN_ACT_SIGN: return vl_nn_step_function(p, src, VL_STEP_SIGN, out);
    case VL_NN_ACT_LOG: return vl_nn_step_function(p, src, VL_STEP_LOG, out);
    case VL_NN_ACT_EXP: return vl_nn_step_function(p, src, VL_STEP_EXP, out);
    case VL_NN_ACT_SQRT: return vl_nn_step_function(p, src, VL_STEP_SQRT, out);
    case VL_NN_ACT_RECIPROCAL: return vl_nn_step_function(p, src, VL_STEP_RECIPROCAL, out);
    case VL_NN_ACT_TANH: return vl_nn_step_function(p, src, VL_STEP_TANH, out);
    case VL_NN_ACT_ERF: return vl_nn_step_function(p, src, VL_STEP_ERF, out);
    default: *done = false; return VELUM_OK;
    }
}

velum_status vl_nn_lower_scalar(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor, vl_nn_sym *x,
                                vl_nn_sym *out) {
    vl_nn_activation f;
    bool done = x->kind == VL_NN_STEPS;
    VL_TRY(vl_nn_activation_of(n, tensor, &f));
    *out = (vl_nn_sym){.kind = VL_NN_STEPS, .t = x->t};
    VL_NN_TAKE(w->h, out->step, x->t.count);
    for (size_t i = 0; done && i < x->t.count; i++)
        VL_TRY(scalar_step(&w->l->prologue, &f, x->step[i], &out->step[i], &done));
    return done ? VELUM_OK : vl_nn_lower_activation(w, n, tensor, x, out);
}

static velum_status labels(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_sym *x, vl_nn_sym *out) {
    vl_nn_labels l;
    VL_TRY(vl_nn_labels_of(w->h, n, &l));
    out->t.integer = l.integer_values;
    for (size_t i = 0; i < x->t.count; i++) VL_TRY(vl_nn_step_map(&w->l->prologue, x->step[i], &l, &out->step[i]));
    return VELUM_OK;
}

static velum_status equal(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_sym *a, const vl_nn_sym *b,
                          vl_nn_sym *out) {
    bool first = a->kind == VL_NN_KNOWN;
    const vl_nn_sym *x = first ? b : a, *k = first ? a : b;
    vl_nn_pair pair;
    VL_NN_FAIL_IF(k->kind != VL_NN_KNOWN, n, VELUM_E_UNSUPPORTED, "one operand must be constant");
    VL_TRY(vl_nn_broadcast(w->h, n, &x->t, &k->t, &pair));
    out->t = pair.out;
    out->t.integer = true;
    VL_NN_TAKE(w->h, out->step, pair.out.count);
    for (size_t i = 0; i < pair.out.count; i++)
        VL_TRY(vl_nn_step_equal(&w->l->prologue, x->step[pair.a[i]], k->t.v[pair.b[i]], &out->step[i]));
    return VELUM_OK;
}

// A choice between two constants: b + (a - b) c.
static velum_status where(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                          vl_nn_sym *const *in, vl_nn_sym *out) {
    vl_nn_pair p;
    uint32_t *condition;
    VL_NN_FAIL_IF(in[1]->kind != VL_NN_KNOWN || in[2]->kind != VL_NN_KNOWN, n, VELUM_E_UNSUPPORTED,
                  "a choice by a raw value works between constants only");
    VL_TRY(vl_nn_where_of(w->h, n, tensor, &p, &condition));
    out->t = p.out;
    VL_NN_TAKE(w->h, out->step, p.out.count);
    for (size_t i = 0; i < p.out.count; i++) {
        double a = in[1]->t.v[p.a[i]], b = in[2]->t.v[p.b[i]];
        VL_TRY(vl_nn_step_affine(&w->l->prologue, in[0]->step[condition[i]], a - b, b, &out->step[i]));
    }
    return VELUM_OK;
}

velum_status vl_nn_lower_raw(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                             vl_nn_sym *const *in, vl_nn_sym *out) {
    bool known = n->op == VL_NN_LabelEncoder || n->op == VL_NN_Equal || n->op == VL_NN_Where;
    VL_NN_FAIL_IF(n->op == VL_NN_ReduceProd, n, VELUM_E_UNSUPPORTED, "a product of many values; write it with Mul");
    VL_NN_FAIL_IF(!known, n, VELUM_E_UNSUPPORTED, "its operands must be constants");
    for (uint32_t k = 0; k < n->in_count; k++)
        VL_NN_FAIL_IF(in[k]->kind == VL_NN_FORM, n, VELUM_E_UNSUPPORTED,
                      "on encrypted values; it works on raw inputs only, before the first layer");
    *out = (vl_nn_sym){.kind = VL_NN_STEPS, .t = in[0]->t};
    VL_NN_TAKE(w->h, out->step, in[0]->t.count);
    if (n->op == VL_NN_LabelEncoder) return labels(w, n, in[0], out);
    if (n->op == VL_NN_Equal) return equal(w, n, in[0], in[1], out);
    VL_NN_FAIL_IF(in[0]->kind != VL_NN_STEPS, n, VELUM_E_UNSUPPORTED,
                  "a choice between values that depend on the inputs");
    return where(w, n, tensor, in, out);
}
