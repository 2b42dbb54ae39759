// SPDX-License-Identifier: Apache-2.0
// Activations of encrypted values: what is made of a kink at zero (relu, abs) and linear maps, and smooth functions.
#include "nn/activation.h"
#include "nn/lower.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static double at_kind(double x, const void *arg) { return vl_nn_activation_at(arg, x); }
static double at_power(double x, const void *arg) { return pow(x, *(const double *)arg); }

// What the function never leaves.
static void limits_of(vl_nn_activation_kind kind, double *least, double *most) {
    *least = -INFINITY;
    *most = INFINITY;
    switch (kind) {
    case VL_NN_ACT_SIGMOID: *least = 0, *most = 1; break;
    case VL_NN_ACT_TANH:
    case VL_NN_ACT_ERF:
    case VL_NN_ACT_SOFTSIGN: *least = -1, *most = 1; break;
    case VL_NN_ACT_RELU:
    case VL_NN_ACT_ABS:
    case VL_NN_ACT_SOFTPLUS:
    case VL_NN_ACT_EXP:
    case VL_NN_ACT_SQRT: *least = 0; break;
    case VL_NN_ACT_SILU:
    case VL_NN_ACT_GELU:
    case VL_NN_ACT_GELU_TANH:
    case VL_NN_ACT_MISH:
    case VL_NN_ACT_HARD_SWISH: *least = -0.5; break;
    default: break;
    }
}

static velum_status add(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_activation *a, const vl_nn_form *f,
                        bool promised, vl_nn_form **out) {
    vl_nn_activation *own;
    vl_nn_act act = {.f = at_kind, .promised = promised};
    char label[VL_NN_LABEL + 1];
    VL_NN_TAKE(w->h, own, 1);
    *own = *a;
    act.arg = own;
    act.compares = a->kind == VL_NN_ACT_RELU || a->kind == VL_NN_ACT_ABS;
    act.kind = a->kind == VL_NN_ACT_ABS ? VL_ABS : VL_RELU;
    limits_of(a->kind, &act.least, &act.most);
    snprintf(act.name, sizeof act.name, "%.20s", n->known_as ? n->known_as : n->type);
    vl_nn_node_label(n, label);
    return vl_nn_add_act(w->l, &act, f, label, out);
}

// factor f + c
static velum_status affine(vl_nn_lowering *w, const vl_nn_form *f, double factor, double c, vl_nn_form **out) {
    double *s, *shift;
    VL_NN_TAKE(w->h, s, f->n);
    VL_NN_TAKE(w->h, shift, f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        s[i] = factor;
        shift[i] = c;
    }
    return vl_nn_form_scale(w->h, f, factor == 1 ? NULL : s, c == 0 ? NULL : shift, out);
}

static velum_status relu(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, bool promised, vl_nn_form **out) {
    const vl_nn_activation a = {.kind = VL_NN_ACT_RELU};
    return add(w, n, &a, f, promised, out);
}

velum_status vl_nn_lower_relu(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, vl_nn_form **out) {
    return relu(w, n, f, false, out);
}

// s f + (1 - s) relu(f), the slope below zero by element.
static velum_status leaky(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, const double *slope,
                          vl_nn_form **out) {
    vl_nn_form *linear, *kink;
    double *rest;
    VL_NN_TAKE(w->h, rest, f->n);
    for (uint32_t i = 0; i < f->n; i++) rest[i] = 1 - slope[i];
    VL_TRY(relu(w, n, f, false, &kink));
    VL_TRY(vl_nn_form_scale(w->h, kink, rest, NULL, &kink));
    VL_TRY(vl_nn_form_scale(w->h, f, slope, NULL, &linear));
    return vl_nn_form_add(w->h, kink, linear, 1, out);
}

// min(max(f, lo), hi) = lo + relu(f - lo) - relu(f - hi). Either bound may be infinite.
static velum_status clip(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, double lo, double hi,
                         bool promised, vl_nn_form **out) {
    vl_nn_form *below, *above;
    if (isinf(lo) && isinf(hi)) return affine(w, f, 1, 0, out);
    if (isinf(lo)) { // hi - relu(hi - f)
        VL_TRY(affine(w, f, -1, hi, &above));
        VL_TRY(relu(w, n, above, promised, &above));
        return affine(w, above, -1, hi, out);
    }
    VL_TRY(affine(w, f, 1, -lo, &below));
    VL_TRY(relu(w, n, below, promised, &below));
    VL_TRY(affine(w, below, 1, lo, &below));
    *out = below;
    if (isinf(hi)) return VELUM_OK;
    VL_TRY(affine(w, f, 1, -hi, &above));
    VL_TRY(relu(w, n, above, promised, &above));
    return vl_nn_form_add(w->h, below, above, -1, out);
}

velum_status vl_nn_lower_activation(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                                    vl_nn_sym *x, vl_nn_sym *out) {
    vl_nn_activation a;
    const vl_nn_form *f;
    vl_nn_form *made;
    VL_TRY(vl_nn_activation_of(n, tensor, &a));
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_NN_FAIL_IF(f->n > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%u features", f->n);
    switch (a.kind) {
    case VL_NN_ACT_LEAKY_RELU: {
        double *slope;
        VL_NN_TAKE(w->h, slope, f->n);
        for (uint32_t i = 0; i < f->n; i++) slope[i] = a.alpha;
        VL_TRY(leaky(w, n, f, slope, &made));
        break;
    }
    case VL_NN_ACT_CLIP: VL_TRY(clip(w, n, f, a.alpha, a.beta, true, &made)); break;
    case VL_NN_ACT_HARD_SIGMOID:
        VL_TRY(affine(w, f, a.alpha, a.beta, &made));
        VL_TRY(clip(w, n, made, 0, 1, false, &made));
        break;
    case VL_NN_ACT_THRESHOLDED_RELU:
    case VL_NN_ACT_SIGN:
    case VL_NN_ACT_FLOOR:
    case VL_NN_ACT_CEIL:
    case VL_NN_ACT_ROUND:
        return VL_NN_FAIL(n, VELUM_E_UNSUPPORTED,
                          "on encrypted values: it jumps, and no polynomial does; use Relu, Sigmoid or another "
                          "continuous activation");
    default: VL_TRY(add(w, n, &a, f, false, &made));
    }
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = x->t, .root = made};
    return VELUM_OK;
}

velum_status vl_nn_lower_prelu(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const vl_nn_sym *slope,
                               vl_nn_sym *out) {
    vl_nn_pair pair;
    const vl_nn_form *f;
    vl_nn_form *made;
    double *by_element;
    VL_NN_FAIL_IF(slope->kind != VL_NN_KNOWN, n, VELUM_E_UNSUPPORTED, "its slope must be a constant");
    VL_TRY(vl_nn_broadcast(w->h, n, &x->t, &slope->t, &pair));
    VL_NN_FAIL_IF(pair.out.count != x->t.count, n, VELUM_E_FORMAT, "its slope is larger than its input");
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_NN_TAKE(w->h, by_element, f->n);
    for (uint32_t i = 0; i < f->n; i++) by_element[i] = slope->t.v[pair.b[i]];
    VL_TRY(leaky(w, n, f, by_element, &made));
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = x->t, .root = made};
    return VELUM_OK;
}

// The symbol as a form, constants too.
static velum_status form_of(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *s) {
    vl_nn_form *constant;
    const vl_nn_form *f;
    if (s->kind != VL_NN_KNOWN) return vl_nn_affine(w, n, s, &f);
    VL_NN_FAIL_IF(s->t.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu constants", s->t.count);
    VL_TRY(vl_nn_form_constant(w->h, (uint32_t)s->t.count, &constant));
    memcpy(constant->bias, s->t.v, s->t.count * sizeof *constant->bias);
    s->kind = VL_NN_FORM;
    s->root = constant;
    return VELUM_OK;
}

// max(x, y) = y + relu(x - y), min(x, y) = x - relu(x - y).
velum_status vl_nn_lower_extreme(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *const *in, vl_nn_sym *out) {
    vl_nn_sym now = *in[0];
    VL_TRY(form_of(w, n, &now));
    for (uint32_t k = 1; k < n->in_count; k++) {
        vl_nn_pair pair;
        const vl_nn_form *f, *g;
        vl_nn_form *difference, *kink, *made;
        vl_nn_sym x, y, other = *in[k];
        VL_TRY(form_of(w, n, &other));
        VL_TRY(vl_nn_broadcast(w->h, n, &now.t, &in[k]->t, &pair));
        VL_TRY(vl_nn_pick(w, n, &now, pair.a, &pair.out, &x));
        VL_TRY(vl_nn_pick(w, n, &other, pair.b, &pair.out, &y));
        VL_TRY(vl_nn_affine(w, n, &x, &f));
        VL_TRY(vl_nn_affine(w, n, &y, &g));
        VL_TRY(vl_nn_form_add(w->h, f, g, -1, &difference));
        VL_TRY(relu(w, n, difference, false, &kink));
        bool most = n->op == VL_NN_Max;
        VL_TRY(vl_nn_form_add(w->h, most ? g : f, kink, most ? 1 : -1, &made));
        now = (vl_nn_sym){.kind = VL_NN_FORM, .t = pair.out, .root = made};
    }
    *out = now;
    return VELUM_OK;
}

velum_status vl_nn_lower_power(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, double exponent, vl_nn_sym *out) {
    const vl_nn_form *f;
    vl_nn_form *made;
    double *own;
    char label[VL_NN_LABEL + 1];
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_NN_TAKE(w->h, own, 1);
    *own = exponent;
    bool even = fmod(exponent, 2) == 0;
    const vl_nn_act act = {.f = at_power,
                           .arg = own,
                           .degree = (uint32_t)exponent,
                           .least = even ? 0 : -INFINITY,
                           .most = INFINITY,
                           .name = "Pow"};
    vl_nn_node_label(n, label);
    VL_TRY(vl_nn_add_act(w->l, &act, f, label, &made));
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = x->t, .root = made};
    return VELUM_OK;
}
