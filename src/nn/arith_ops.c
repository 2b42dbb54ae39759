// SPDX-License-Identifier: Apache-2.0
// Arithmetic operators with at least one operand that is not known at compile time.
#include "nn/lower.h"
#include <math.h>
#include <string.h>

#define POWER_MOST 31

static bool is_identity(const uint32_t *map, size_t count, size_t n) {
    for (size_t i = 0; i < count; i++)
        if (map[i] != i) return false;
    return count == n;
}

// One prologue step from `src` with a constant operand; false in *done where no step does it.
static velum_status constant_step(vl_nn_lowering *w, const vl_nn_node *n, uint32_t src, double k, bool constant_first,
                                  bool integer, uint32_t *out, bool *done) {
    vl_nn_prologue *p = &w->l->prologue;
    *done = true;
    switch (n->op) {
    case VL_NN_Add: return vl_nn_step_affine(p, src, 1, k, out);
    case VL_NN_Sub: return vl_nn_step_affine(p, src, constant_first ? -1 : 1, constant_first ? k : -k, out);
    case VL_NN_Mul: return vl_nn_step_affine(p, src, k, 0, out);
    case VL_NN_Div:
    case VL_NN_Mod:
        VL_NN_FAIL_IF(constant_first, n, VELUM_E_UNSUPPORTED,
                      "division of a constant by an input; divide by constants only");
        VL_NN_FAIL_IF(k == 0, n, VELUM_E_FORMAT, "division by zero");
        if (n->op == VL_NN_Div && !integer) return vl_nn_step_affine(p, src, 1 / k, 0, out);
        VL_NN_FAIL_IF(k < 1, n, VELUM_E_UNSUPPORTED, "divisor %g; integers from 1 work", k);
        if (n->op == VL_NN_Div) return vl_nn_step_div(p, src, k, true, out);
        return vl_nn_step_mod(p, src, k, vl_nn_attr_int(n, "fmod", 0) != 0, out);
    default: *done = false; return VELUM_OK;
    }
}

static velum_status steps_with_constant(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_sym *x, const double *k,
                                        const vl_nn_pair *pair, bool constant_first, vl_nn_sym *out, bool *done) {
    const uint32_t *mx = constant_first ? pair->b : pair->a, *mk = constant_first ? pair->a : pair->b;
    *out = (vl_nn_sym){.kind = VL_NN_STEPS, .t = pair->out};
    VL_NN_TAKE(w->h, out->step, pair->out.count);
    *done = true;
    for (size_t i = 0; i < pair->out.count && *done; i++)
        VL_TRY(constant_step(w, n, x->step[mx[i]], k[mk[i]], constant_first, pair->out.integer, &out->step[i], done));
    return VELUM_OK;
}

velum_status vl_nn_pick(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const uint32_t *map,
                        const vl_nn_tensor *t, vl_nn_sym *out) {
    const vl_nn_form *f;
    if (x->kind == VL_NN_FORM && x->epilogue == VL_EPILOGUE_NONE && is_identity(map, t->count, x->t.count)) {
        *out = *x;
        out->t = *t;
        return VELUM_OK;
    }
    vl_nn_form *selected;
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_NN_FAIL_IF(t->count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features", t->count);
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = *t, .root = f};
    if (is_identity(map, t->count, x->t.count)) return VELUM_OK;
    VL_TRY(vl_nn_form_select(w->h, f, map, (uint32_t)t->count, &selected));
    out->root = selected;
    return VELUM_OK;
}

// Fresh coefficient arrays a, b, c (0, 1, 0 or a copy).
static velum_status open_quadratic(vl_nn_lowering *w, const vl_nn_sym *x, vl_nn_sym *out) {
    uint32_t n = x->root->n;
    *out = *x;
    out->kind = VL_NN_FORM;
    out->value = 0; // its coefficients are about to change
    VL_NN_TAKE(w->h, out->a, n);
    VL_NN_TAKE(w->h, out->b, n);
    VL_NN_TAKE(w->h, out->c, n);
    for (uint32_t i = 0; i < n; i++) {
        out->a[i] = x->a ? x->a[i] : 0;
        out->b[i] = x->a ? x->b[i] : 1;
        out->c[i] = x->a ? x->c[i] : 0;
    }
    return VELUM_OK;
}

static bool is_linear(const vl_nn_sym *x) {
    for (uint32_t i = 0; x->a && i < x->root->n; i++)
        if (x->a[i] != 0) return false;
    return true;
}

static velum_status form_times_form(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *y,
                                    const vl_nn_pair *pair, vl_nn_sym *out) {
    const vl_nn_form *f, *g;
    if (!is_linear(x)) VL_TRY(vl_nn_affine(w, n, x, &f));
    if (!is_linear(y)) VL_TRY(vl_nn_affine(w, n, y, &g));
    bool same = x->root == y->root && is_identity(pair->a, pair->out.count, x->t.count) &&
                is_identity(pair->b, pair->out.count, y->t.count);
    if (!same) {
        vl_nn_sym u, v;
        VL_TRY(vl_nn_pick(w, n, x, pair->a, &pair->out, &u));
        VL_TRY(vl_nn_pick(w, n, y, pair->b, &pair->out, &v));
        VL_TRY(vl_nn_affine(w, n, &u, &f));
        VL_TRY(vl_nn_affine(w, n, &v, &g));
        *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = pair->out};
        return vl_nn_multiply(w, n, f, g, &out->root);
    }
    vl_nn_sym u, v;
    VL_TRY(open_quadratic(w, x, &u));
    VL_TRY(open_quadratic(w, y, &v));
    for (uint32_t i = 0; i < u.root->n; i++) {
        double b1 = u.b[i], c1 = u.c[i], b2 = v.b[i], c2 = v.c[i];
        u.a[i] = b1 * b2;
        u.b[i] = b1 * c2 + c1 * b2;
        u.c[i] = c1 * c2;
    }
    *out = u;
    out->t = pair->out;
    out->born = n;
    return VELUM_OK;
}

static velum_status form_plus_form(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *y,
                                   const vl_nn_pair *pair, vl_nn_sym *out) {
    double sign = n->op == VL_NN_Sub ? -1 : 1;
    vl_nn_sym u, v;
    VL_TRY(vl_nn_pick(w, n, x, pair->a, &pair->out, &u));
    VL_TRY(vl_nn_pick(w, n, y, pair->b, &pair->out, &v));
    if (u.root == v.root) {
        vl_nn_sym p, q;
        VL_TRY(open_quadratic(w, &u, &p));
        VL_TRY(open_quadratic(w, &v, &q));
        for (uint32_t i = 0; i < p.root->n; i++) {
            p.a[i] += sign * q.a[i];
            p.b[i] += sign * q.b[i];
            p.c[i] += sign * q.c[i];
        }
        if (!p.born) p.born = q.born;
        *out = p;
        return VELUM_OK;
    }
    const vl_nn_form *f, *g;
    vl_nn_form *sum;
    // In the operands themselves where possible, so that a square made here is found again.
    VL_TRY(vl_nn_affine(w, n, u.root == x->root ? x : &u, &f));
    VL_TRY(vl_nn_affine(w, n, v.root == y->root ? y : &v, &g));
    VL_TRY(vl_nn_form_add(w->h, f, g, sign, &sum));
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = pair->out, .root = sum};
    return VELUM_OK;
}

static velum_status form_with_constant(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const double *k,
                                       const vl_nn_pair *pair, bool constant_first, vl_nn_sym *out) {
    const uint32_t *mx = constant_first ? pair->b : pair->a, *mk = constant_first ? pair->a : pair->b;
    bool divides = n->op == VL_NN_Div;
    VL_NN_FAIL_IF(n->op == VL_NN_Mod, n, VELUM_E_UNSUPPORTED,
                  "on encrypted values; Mod works on raw integer inputs only");
    VL_NN_FAIL_IF(divides && constant_first, n, VELUM_E_UNSUPPORTED,
                  "division by an encrypted value; divide by constants only");
    vl_nn_sym u, q;
    VL_TRY(vl_nn_pick(w, n, x, mx, &pair->out, &u));
    VL_TRY(open_quadratic(w, &u, &q));
    for (size_t i = 0; i < pair->out.count; i++) {
        double v = k[mk[i]];
        VL_NN_FAIL_IF(divides && v == 0, n, VELUM_E_FORMAT, "division by zero");
        if (n->op == VL_NN_Add) {
            q.c[i] += v;
        } else if (n->op == VL_NN_Sub) {
            double s = constant_first ? -1 : 1;
            q.a[i] *= s;
            q.b[i] *= s;
            q.c[i] = s * q.c[i] + (constant_first ? v : -v);
        } else {
            q.a[i] = divides ? q.a[i] / v : q.a[i] * v;
            q.b[i] = divides ? q.b[i] / v : q.b[i] * v;
            q.c[i] = divides ? q.c[i] / v : q.c[i] * v;
        }
    }
    q.t = pair->out;
    *out = q;
    return VELUM_OK;
}

static velum_status power(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const vl_nn_sym *y, vl_nn_sym *out) {
    VL_NN_FAIL_IF(y->kind != VL_NN_KNOWN || y->t.count != 1, n, VELUM_E_UNSUPPORTED,
                  "the exponent must be one constant");
    double e = y->t.v[0];
    VL_NN_FAIL_IF(!(e >= 1 && e <= POWER_MOST) || e != floor(e), n, VELUM_E_UNSUPPORTED,
                  "exponent %g; integers from 1 to %d work", e, POWER_MOST);
    const vl_nn_form *f;
    if (e != 1 && e != 2 && e != 3 && e != 4 && e != 8) return vl_nn_lower_power(w, n, x, e, out);
    if (x->kind == VL_NN_STEPS) VL_TRY(vl_nn_affine(w, n, x, &f));
    vl_nn_pair same;
    VL_TRY(vl_nn_broadcast(w->h, n, &x->t, &x->t, &same));
    vl_nn_sym p = *x, next;
    if (e == 3) {
        VL_TRY(form_times_form(w, n, x, x, &same, &p));
        return form_times_form(w, n, &p, x, &same, out);
    }
    for (double have = 1; have < e; have *= 2) {
        VL_TRY(form_times_form(w, n, &p, &p, &same, &next));
        p = next;
    }
    *out = p;
    return VELUM_OK;
}

velum_status vl_nn_lower_binary(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *y, vl_nn_sym *out) {
    bool finished = x->epilogue != VL_EPILOGUE_NONE || y->epilogue != VL_EPILOGUE_NONE;
    VL_NN_FAIL_IF(finished, n, VELUM_E_UNSUPPORTED,
                  "follows Sigmoid, Softmax or ArgMax, which only work as the last operator");
    if (n->op == VL_NN_Pow) return power(w, n, x, y, out);
    vl_nn_pair pair;
    VL_TRY(vl_nn_broadcast(w->h, n, &x->t, &y->t, &pair));
    VL_NN_FAIL_IF(pair.out.count == 0, n, VELUM_E_FORMAT, "no elements");
    bool first = x->kind == VL_NN_KNOWN;
    const vl_nn_form *f;
    if (first || y->kind == VL_NN_KNOWN) {
        vl_nn_sym *variable = first ? y : x;
        const double *k = first ? x->t.v : y->t.v;
        if (variable->kind == VL_NN_STEPS) {
            bool done = false;
            VL_TRY(steps_with_constant(w, n, variable, k, &pair, first, out, &done));
            if (done) return VELUM_OK;
            VL_TRY(vl_nn_affine(w, n, variable, &f));
        }
        return form_with_constant(w, n, variable, k, &pair, first, out);
    }
    VL_NN_FAIL_IF(n->op == VL_NN_Div || n->op == VL_NN_Mod, n, VELUM_E_UNSUPPORTED,
                  "division by a value that depends on the inputs; divide by constants only");
    if (x->kind == VL_NN_STEPS) VL_TRY(vl_nn_affine(w, n, x, &f));
    if (y->kind == VL_NN_STEPS) VL_TRY(vl_nn_affine(w, n, y, &f));
    return n->op == VL_NN_Mul ? form_times_form(w, n, x, y, &pair, out) : form_plus_form(w, n, x, y, &pair, out);
}
