// SPDX-License-Identifier: Apache-2.0
// Products and quadratics.
//
// a x^2 + b x + c = a (x + b/2a)^2 + (c - b^2/4a): the shift goes into the affine map before the square, the rest into
// the one behind it, so that an activation costs one square. Where |a| is tiny against b the completed square would be
// large and cancel; then the square and the linear part stay two terms of the form (one more linear map, no level).
#include "nn/lower.h"
#include <math.h>
#include <string.h>

// By how much completing may enlarge what is computed: 4 bits of precision at most.
#define COMPLETE_MOST 16.0

static velum_status can_complete(vl_nn_lowering *w, const vl_nn_sym *s, bool *yes) {
    const vl_nn_form *f = s->root;
    double *lo, *hi;
    VL_NN_TAKE(w->h, lo, f->n);
    VL_NN_TAKE(w->h, hi, f->n);
    vl_nn_form_range(w->l, f, lo, hi);
    *yes = true;
    for (uint32_t i = 0; i < f->n; i++) {
        double a = fabs(s->a[i]), b = fabs(s->b[i]), r = fmax(fabs(lo[i]), fabs(hi[i]));
        if (a == 0 && b == 0) continue;
        if (!isfinite(r)) r = b > 0 && a > 0 ? b / a : 1;
        double shift = a > 0 ? b / (2 * a) : INFINITY;
        if (!(a * (r + shift) * (r + shift) <= COMPLETE_MOST * (a * r * r + b * r))) *yes = false;
    }
    return VELUM_OK;
}

// The square of the root, once more as a form.
static velum_status square_of(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, vl_nn_form **out) {
    uint32_t base;
    char label[VL_NN_LABEL + 1];
    vl_nn_node_label(n, label);
    VL_TRY(vl_nn_add_base(w->l, VL_NN_BASE_SQUARE, f, NULL, label, &base));
    return vl_nn_base_form(w->l, base, out);
}

static velum_status materialise(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *s, vl_nn_form **out) {
    const vl_nn_form *f = s->root;
    bool complete = false;
    if (s->born) n = s->born;
    VL_TRY(can_complete(w, s, &complete));
    vl_nn_form *square, *linear;
    if (!complete) {
        VL_TRY(square_of(w, n, f, &square));
        VL_TRY(vl_nn_form_scale(w->h, square, s->a, NULL, &square));
        VL_TRY(vl_nn_form_scale(w->h, f, s->b, s->c, &linear));
        VL_TRY(vl_nn_note(w->l, "fuse: %s: square and linear part kept apart, completing the square would cancel",
                          n->name));
        return vl_nn_form_add(w->h, square, linear, 1, out);
    }
    double *shift, *rest;
    VL_NN_TAKE(w->h, shift, f->n);
    VL_NN_TAKE(w->h, rest, f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        bool flat = s->a[i] == 0;
        shift[i] = flat ? 0 : s->b[i] / (2 * s->a[i]);
        rest[i] = flat ? s->c[i] : s->c[i] - s->b[i] * s->b[i] / (4 * s->a[i]);
    }
    VL_TRY(vl_nn_form_scale(w->h, f, NULL, shift, &linear));
    linear->stands_for = f->stands_for;
    VL_TRY(square_of(w, n, linear, &square));
    w->l->base[w->l->base_count - 1].stands_for = s->value;
    return vl_nn_form_scale(w->h, square, s->a, rest, out);
}

velum_status vl_nn_affine(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *s, const vl_nn_form **out) {
    VL_NN_FAIL_IF(s->kind == VL_NN_FORM && s->epilogue != VL_EPILOGUE_NONE, n, VELUM_E_UNSUPPORTED,
                  "follows Sigmoid, Softmax or ArgMax, which only work as the last operator");
    vl_nn_form *f;
    if (s->kind == VL_NN_STEPS && !s->root) { // the steps stay: they may be used as integers too
        uint32_t *first;
        VL_NN_TAKE(w->h, first, s->t.count);
        for (size_t i = 0; i < s->t.count; i++)
            VL_TRY(vl_nn_prologue_feature(&w->l->prologue, s->step[i], 0, &first[i]));
        VL_FAIL_IF(s->t.count > VL_MAX_FEATURES, VELUM_E_LIMIT, "model: %zu features", s->t.count);
        VL_TRY(vl_nn_form_identity(w->h, 0, (uint32_t)s->t.count, &f));
        f->term[0].cols = w->l->prologue.columns;
        vl_nn_sparse *one;
        VL_TRY(vl_nn_sparse_new(w->h, f->n, f->term[0].cols, f->n, &one));
        for (uint32_t i = 0; i < f->n; i++) {
            one->col[i] = first[i];
            one->val[i] = 1;
            one->start[i + 1] = i + 1;
        }
        f->term[0].m = one;
        f->stands_for = s->value;
        s->root = f;
    } else if (s->a) {
        bool flat = true;
        for (uint32_t i = 0; i < s->root->n; i++) flat = flat && s->a[i] == 0;
        VL_TRY(flat ? vl_nn_form_scale(w->h, s->root, s->b, s->c, &f) : materialise(w, n, s, &f));
        f->stands_for = s->value;
        s->root = f;
        s->a = s->b = s->c = NULL;
    }
    *out = s->root;
    return VELUM_OK;
}

// ---- products of two values ----

typedef struct rows {        // distinct rows of a form
    uint32_t *pick, *number; // pick[k]: a row of the form; number[i]: which distinct row i is
    uint32_t count;
} rows;

static bool same_row(const vl_nn_form *f, uint32_t a, uint32_t b) {
    if (f->bias[a] != f->bias[b]) return false;
    for (uint32_t t = 0; t < f->terms; t++) {
        vl_nn_row x, y;
        vl_nn_term_row(&f->term[t], a, &x);
        vl_nn_term_row(&f->term[t], b, &y);
        if (x.count != y.count || memcmp(x.col, y.col, x.count * sizeof *x.col) != 0 ||
            memcmp(x.val, y.val, x.count * sizeof *x.val) != 0)
            return false;
    }
    return true;
}

static velum_status distinct(vl_nn_heap *h, const vl_nn_form *f, rows *out) {
    uint32_t slots = 16, *table;
    while (slots < 2 * f->n) slots *= 2;
    VL_NN_TAKE(h, table, slots);
    VL_NN_TAKE(h, out->pick, f->n);
    VL_NN_TAKE(h, out->number, f->n);
    out->count = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        uint64_t hash = 1469598103934665603u;
        for (uint32_t t = 0; t < f->terms; t++) {
            vl_nn_row row;
            vl_nn_term_row(&f->term[t], i, &row);
            for (size_t k = 0; k < row.count; k++) {
                uint64_t bits;
                memcpy(&bits, &row.val[k], sizeof bits);
                hash = (hash ^ bits ^ ((uint64_t)t << 32 | row.col[k])) * 1099511628211u;
                hash ^= hash >> 29;
            }
        }
        uint32_t at = (uint32_t)(hash & (slots - 1));
        while (table[at] && !same_row(f, out->pick[table[at] - 1], i)) at = (at + 1) & (slots - 1);
        if (!table[at]) {
            out->pick[out->count] = i;
            table[at] = ++out->count;
        }
        out->number[i] = table[at] - 1;
    }
    return VELUM_OK;
}

static uint32_t period(uint32_t n) {
    uint32_t p = 1;
    while (p < n) p *= 2;
    return p;
}

// What the products of f and g range over, kept with the base of their squares.
static velum_status keep_ranges(vl_nn_lowering *w, const vl_nn_form *f, const vl_nn_form *g, const rows *r,
                                uint32_t parts, const double *weight) {
    vl_nn_base *base = &w->l->base[w->l->base_count - 1];
    double *range[4];
    vl_nn_products *made;
    VL_NN_TAKE(w->h, made, 1);
    for (uint32_t k = 0; k < 4; k++) VL_NN_TAKE(w->h, range[k], f->n);
    VL_NN_TAKE(w->h, made->part, (size_t)f->n * parts);
    vl_nn_form_range(w->l, f, range[0], range[1]);
    vl_nn_form_range(w->l, g, range[2], range[3]);
    *made = (vl_nn_products){
        .count = f->n, .parts = parts, .weight = weight, .part = made->part, .lo = range[0], .hi = range[1]};
    for (uint32_t i = 0; i < f->n; i++) {
        vl_nn_range_multiply(range[0][i], range[1][i], range[2][i], range[3][i], &made->lo[i], &made->hi[i]);
        for (uint32_t k = 0; k < parts; k++) made->part[(size_t)i * parts + k] = r->number[k * f->n + i];
    }
    base->products = made;
    return VELUM_OK;
}

// The squares of the distinct rows of `all`, combined: result i = sum over k < parts of weight[k] (row k n + i)^2.
static velum_status combine(vl_nn_lowering *w, const vl_nn_node *node, const vl_nn_form *f, const vl_nn_form *g,
                            const vl_nn_form *all, const rows *r, uint32_t parts, const double *weight,
                            const vl_nn_form **out) {
    vl_nn_form *arg, *square, *made;
    uint32_t n = f->n;
    VL_TRY(vl_nn_form_select(w->h, all, r->pick, r->count, &arg));
    VL_TRY(square_of(w, node, arg, &square));
    VL_TRY(keep_ranges(w, f, g, r, parts, weight));
    vl_nn_sparse s = {.rows = n, .cols = r->count};
    VL_NN_TAKE(w->h, s.start, (size_t)n + 1);
    VL_NN_TAKE(w->h, s.col, (size_t)n * parts);
    VL_NN_TAKE(w->h, s.val, (size_t)n * parts);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < parts; k++) {
            s.col[(size_t)i * parts + k] = r->number[k * n + i];
            s.val[(size_t)i * parts + k] = weight[k];
        }
        s.start[i + 1] = (size_t)(i + 1) * parts;
    }
    VL_TRY(vl_nn_form_apply(w->h, &s, square, &made));
    *out = made;
    return VELUM_OK;
}

velum_status vl_nn_multiply(vl_nn_lowering *w, const vl_nn_node *node, const vl_nn_form *f, const vl_nn_form *g,
                            const vl_nn_form **out) {
    uint32_t n = f->n;
    VL_NN_FAIL_IF(n > VL_MAX_FEATURES, node, VELUM_E_LIMIT, "%u products, the limit is %d", n, VL_MAX_FEATURES);
    if (!w->packed) {
        uint32_t base;
        char label[VL_NN_LABEL + 1];
        vl_nn_form *made;
        vl_nn_node_label(node, label);
        VL_TRY(vl_nn_add_base(w->l, VL_NN_BASE_PRODUCT, f, g, label, &base));
        VL_TRY(vl_nn_base_form(w->l, base, &made));
        *out = made;
        return VELUM_OK;
    }
    // x y = ((x+y)^2 - x^2 - y^2) / 2 where many x and y repeat, else ((x+y)/2)^2 - ((x-y)/2)^2.
    static const double three[] = {0.5, -0.5, -0.5}, two[] = {0.25, -0.25};
    vl_nn_form *sum, *difference, *all[2];
    VL_TRY(vl_nn_form_add(w->h, f, g, 1, &sum));
    VL_TRY(vl_nn_form_add(w->h, f, g, -1, &difference));
    uint32_t *source, *row;
    VL_NN_TAKE(w->h, source, 3 * (size_t)n);
    VL_NN_TAKE(w->h, row, 3 * (size_t)n);
    for (uint32_t i = 0; i < 3 * n; i++) {
        source[i] = i / n;
        row[i] = i % n;
    }
    VL_TRY(vl_nn_form_stack(w->h, (const vl_nn_form *const[]){sum, f, g}, 3, source, row, 3 * n, &all[0]));
    VL_TRY(vl_nn_form_stack(w->h, (const vl_nn_form *const[]){sum, difference}, 2, source, row, 2 * n, &all[1]));
    rows r[2];
    VL_TRY(distinct(w->h, all[0], &r[0]));
    VL_TRY(distinct(w->h, all[1], &r[1]));
    bool first = period(r[0].count) <= period(r[1].count);
    VL_TRY(vl_nn_note(w->l, "fuse: %s: %u products as %u squares", node->name, n, r[first ? 0 : 1].count));
    if (first) return combine(w, node, f, g, all[0], &r[0], 3, three, out);
    return combine(w, node, f, g, all[1], &r[1], 2, two, out);
}
