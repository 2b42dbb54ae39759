// SPDX-License-Identifier: Apache-2.0
#include "circuits/poly_tree.h"

#include <assert.h>
#include <string.h>

// Leaves have less than 2^LOG_LEAF terms, so that a sum has room for them (rlwe/sum.h). Longer ones are never cheaper.
#define LOG_LEAF 6

static void set_degree(vl_poly_coeffs *f, uint32_t most) {
    while (most > 0 && f->c[most] == 0) most--;
    f->degree = most;
}

bool vl_poly_changes_variable(const vl_polynomial *f) {
    return f->basis == VL_CHEBYSHEV && (f->lo != -1 || f->hi != 1);
}

void vl_poly_trim(const vl_polynomial *f, vl_poly_coeffs *out) {
    assert(f->degree <= VL_POLY_MAX_DEGREE);
    memset(out, 0, sizeof *out);
    memcpy(out->c, f->c, (f->degree + 1) * sizeof *f->c);
    set_degree(out, f->degree);
}

uint32_t vl_poly_divide(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_coeffs *q, vl_poly_coeffs *r) {
    uint32_t m = UINT32_C(1) << (31 - (unsigned)__builtin_clz(f->degree));
    memset(q, 0, sizeof *q);
    memset(r, 0, sizeof *r);
    memcpy(r->c, f->c, m * sizeof *f->c);
    memcpy(q->c, f->c + m, (f->degree - m + 1) * sizeof *f->c);
    if (basis == VL_CHEBYSHEV) // T_{m+j} = 2 T_m T_j - T_{m-j}
        for (uint32_t j = 1; j <= f->degree - m; j++) {
            r->c[m - j] -= q->c[j];
            q->c[j] *= 2;
        }
    set_degree(q, f->degree - m);
    set_degree(r, m - 1);
    return m;
}

bool vl_poly_is_leaf(const vl_poly_tree *t, uint32_t degree, uint32_t budget) {
    return degree == 0 || (degree < UINT32_C(1) << t->log_leaf && degree <= UINT32_C(1) << (budget - 1));
}

// One more sum, `depth` levels below the variable.
static void count_sum(vl_poly_tree *t, bool product, uint32_t depth) {
    if (product) t->cost.relinearisations++;
    (product ? t->cost.relinearised : t->cost.rescaled)[depth]++;
}

// Counts, and marks the powers that are used directly. Returns whether the node's sum has a product in it.
static bool walk(vl_poly_basis basis, const vl_poly_coeffs *f, uint32_t budget, vl_poly_tree *t) {
    if (vl_poly_is_leaf(t, f->degree, budget)) {
        for (uint32_t i = 1; i <= f->degree; i++) {
            if (f->c[i] == 0) continue;
            t->needed[i] = true;
            t->cost.constants++;
        }
        return false;
    }
    vl_poly_coeffs q, r;
    t->needed[vl_poly_divide(basis, f, &q, &r)] = true;
    bool product = q.degree > 0;
    if (product) {
        t->cost.multiplications++;
        count_sum(t, walk(basis, &q, budget - 1, t), budget - 2);
    } else {
        t->cost.constants++;
    }
    return walk(basis, &r, budget, t) || product;
}

// The same for w f, whose sum has a product in it unless f is a constant. Returns whether the budget will do.
static bool walk_times(vl_poly_basis basis, const vl_poly_coeffs *f, uint32_t budget, vl_poly_tree *t) {
    if (f->degree == 0) {
        t->cost.constants++;
        return true;
    }
    if (budget == 1) return false;
    t->cost.multiplications++;
    if (vl_poly_is_factor(f->degree, budget)) {
        count_sum(t, walk(basis, f, budget - 1, t), budget - 2);
        return true;
    }
    vl_poly_coeffs q, r;
    t->needed[vl_poly_divide(basis, f, &q, &r)] = true;
    count_sum(t, q.degree > 0, budget - 2);
    if (r.degree > 0 || r.c[0] != 0) walk_times(basis, &r, budget, t);
    return walk_times(basis, &q, budget - 1, t);
}

static void count_powers(vl_poly_basis basis, vl_poly_tree *t) {
    for (uint32_t i = VL_POLY_MAX_DEGREE; i >= 2; i--) {
        if (!t->needed[i]) continue;
        uint32_t a = vl_poly_left_power(i), b = i - a;
        t->needed[a] = t->needed[b] = true;
        if (basis == VL_CHEBYSHEV && a > b) t->needed[a - b] = true;
        t->powers++;
        count_sum(t, true, vl_poly_power_depth(i) - 1);
    }
    t->cost.multiplications += t->powers;
}

static void start(vl_poly_tree *t, uint32_t depth, uint32_t log_leaf) {
    memset(t, 0, sizeof *t);
    t->depth = t->cost.levels = depth;
    t->log_leaf = log_leaf;
}

static void count(vl_poly_basis basis, const vl_poly_coeffs *f, uint32_t depth, uint32_t log_leaf, vl_poly_tree *t) {
    start(t, depth, log_leaf);
    if (depth == 0) return;
    count_sum(t, walk(basis, f, depth, t), depth - 1);
    count_powers(basis, t);
}

static bool count_times(vl_poly_basis basis, const vl_poly_coeffs *f, uint32_t depth, uint32_t log_leaf,
                        vl_poly_tree *t) {
    start(t, depth, log_leaf);
    if (!walk_times(basis, f, depth, t)) return false;
    count_sum(t, f->degree > 0, depth - 1);
    count_powers(basis, t);
    return true;
}

static uint32_t depth_of(uint32_t degree) { return degree == 0 ? 0 : 32 - (uint32_t)__builtin_clz(degree); }

static bool is_cheaper(const vl_poly_cost *a, const vl_poly_cost *b) {
    bool same = a->multiplications == b->multiplications;
    return a->multiplications < b->multiplications || (same && a->relinearisations < b->relinearisations);
}

void vl_poly_tree_best(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_tree *out) {
    uint32_t depth = depth_of(f->degree);
    count(basis, f, depth, 1, out);
    for (uint32_t log_leaf = 2; log_leaf <= depth && log_leaf <= LOG_LEAF; log_leaf++) {
        vl_poly_tree t;
        count(basis, f, depth, log_leaf, &t);
        if (is_cheaper(&t.cost, &out->cost)) *out = t;
    }
}

void vl_poly_tree_best_times(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_tree *out) {
    uint32_t depth = depth_of(f->degree) > 1 ? depth_of(f->degree) : 1;
    if (!count_times(basis, f, depth, 1, out)) count_times(basis, f, ++depth, 1, out);
    for (uint32_t log_leaf = 2; log_leaf < depth && log_leaf <= LOG_LEAF; log_leaf++) {
        vl_poly_tree t;
        count_times(basis, f, depth, log_leaf, &t);
        if (is_cheaper(&t.cost, &out->cost)) *out = t;
    }
}

static vl_poly_cost plan(const vl_polynomial *f, void (*best)(vl_poly_basis, const vl_poly_coeffs *, vl_poly_tree *)) {
    vl_poly_coeffs c;
    vl_poly_tree t;
    vl_poly_trim(f, &c);
    best(f->basis, &c, &t);
    if (c.degree > 0 && vl_poly_changes_variable(f)) {
        t.cost.levels++;
        t.cost.constants++;
        for (uint32_t i = VL_POLY_MAX_LEVELS - 1; i > 0; i--) {
            t.cost.relinearised[i] = t.cost.relinearised[i - 1];
            t.cost.rescaled[i] = t.cost.rescaled[i - 1];
        }
        t.cost.relinearised[0] = 0;
        t.cost.rescaled[0] = 1;
    }
    return t.cost;
}

vl_poly_cost vl_poly_plan(const vl_polynomial *f) { return plan(f, vl_poly_tree_best); }
vl_poly_cost vl_poly_plan_times(const vl_polynomial *f) { return plan(f, vl_poly_tree_best_times); }

double vl_polynomial_eval(const vl_polynomial *f, double x) {
    if (f->basis == VL_MONOMIAL) {
        double v = 0;
        for (uint32_t i = f->degree + 1; i-- > 0;) v = v * x + f->c[i];
        return v;
    }
    double u = vl_poly_changes_variable(f) ? (2 * x - f->lo - f->hi) / (f->hi - f->lo) : x, b1 = 0, b2 = 0;
    for (uint32_t i = f->degree; i >= 1; i--) { // Clenshaw
        double b = 2 * u * b1 - b2 + f->c[i];
        b2 = b1;
        b1 = b;
    }
    return u * b1 - b2 + f->c[0];
}
