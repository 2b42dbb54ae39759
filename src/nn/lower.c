// SPDX-License-Identifier: Apache-2.0
#include "nn/lower.h"
#include "nn/activation.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// A linear map of small rank is made explicit where composing it would cost this many times the diagonals.
#define COPY_GAIN 4
#define COPY_WORK 0x1p32 // multiplications that composing may take
#define COPY_LEAST 64    // diagonals below which composing is always fine

void vl_nn_node_label(const vl_nn_node *n, char out[VL_NN_LABEL + 1]) {
    char path[256];
    snprintf(path, sizeof path, "%s", n->name);
    char *last = strrchr(path, '/');
    if (last && strncmp(last + 1, n->type, strlen(n->type)) == 0) { // ".../layer/Gemm": the layer says it
        *last = 0;
        last = strrchr(path, '/');
    }
    const char *name = last ? last + 1 : path, *type = n->known_as ? n->known_as : n->type;
    if (!*name || (!n->known_as && strncmp(name, n->type, strlen(n->type)) == 0))
        snprintf(out, VL_NN_LABEL + 1, "%.40s", *name ? name : type);
    else
        snprintf(out, VL_NN_LABEL + 1, "%.40s %.16s", name, type);
}

void vl_nn_label_form(const vl_nn_node *n, vl_nn_form *f) {
    char label[VL_NN_LABEL + 1];
    vl_nn_node_label(n, label);
    vl_nn_form_join_label(f->label, label, " -> ");
}

// ---- linear operators ----

static velum_status apply(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_sparse *s, const vl_nn_form *f,
                          const vl_nn_tensor *t, vl_nn_sym *out) {
    vl_nn_form *made;
    VL_TRY(vl_nn_form_apply(w->h, s, f, &made));
    vl_nn_label_form(n, made);
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = *t, .root = made};
    return VELUM_OK;
}

static uint32_t period(uint32_t n) {
    uint32_t p = 1;
    while (p < n) p *= 2;
    return p;
}

// Before a map with `rows` rows: makes the form explicit if its few rows stand between many columns and many rows.
static velum_status keep_low_rank(vl_nn_lowering *w, const vl_nn_node *n, uint32_t rows, const vl_nn_form **f) {
    const vl_nn_form *a = *f;
    uint32_t base, composed = 0, apart = 0;
    if (vl_nn_form_is_base(w->l, a, &base)) return VELUM_OK;
    for (uint32_t t = 0; t < a->terms; t++) {
        uint32_t cols = period(a->term[t].cols), m = period(a->n), k = period(rows);
        composed += k < cols ? k : cols;
        apart += m < cols ? m : cols;
    }
    apart += period(a->n) < period(rows) ? period(a->n) : period(rows);
    bool long_work = (double)rows * (double)vl_nn_form_count(a) > COPY_WORK;
    if (!long_work && (composed < COPY_LEAST || composed < COPY_GAIN * apart)) return VELUM_OK;
    vl_nn_form *copy;
    VL_TRY(vl_nn_add_base(w->l, VL_NN_BASE_COPY, a, NULL, a->label, &base));
    VL_TRY(vl_nn_base_form(w->l, base, &copy));
    VL_TRY(vl_nn_note(w->l, "fuse: %s: kept apart from the layer before it (%u diagonals instead of %u)", n->name,
                      apart, composed));
    *f = copy;
    return VELUM_OK;
}

static velum_status product_with_constant(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const vl_nn_tensor *k,
                                          bool constant_first, const vl_nn_product *p, vl_nn_sym *out) {
    const vl_nn_form *f;
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_NN_FAIL_IF(p->out.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features", p->out.count);
    VL_NN_FAIL_IF((double)p->out.count * p->inner > (double)VL_NN_MAX_ELEMENTS, n, VELUM_E_LIMIT,
                  "too large a product");
    VL_TRY(keep_low_rank(w, n, (uint32_t)p->out.count, &f));
    double alpha = vl_nn_attr_float(n, "alpha", 1);
    vl_nn_sparse s = {.rows = (uint32_t)p->out.count, .cols = f->n};
    VL_NN_TAKE(w->h, s.start, p->out.count + 1);
    VL_NN_TAKE(w->h, s.col, p->out.count * p->inner);
    VL_NN_TAKE(w->h, s.val, p->out.count * p->inner);
    for (size_t i = 0, at = 0; i < p->out.count; i++) {
        for (uint32_t j = 0; j < p->inner; j++, at++) {
            uint32_t a = p->a[i] + j * p->step_a, b = p->b[i] + j * p->step_b;
            s.col[at] = constant_first ? b : a;
            s.val[at] = alpha * k->v[constant_first ? a : b];
        }
        s.start[i + 1] = at;
    }
    return apply(w, n, &s, f, &p->out, out);
}

// Both operands depend on the inputs: all products, then their sums.
static velum_status product_of_two(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *y,
                                   const vl_nn_product *p, vl_nn_sym *out) {
    const vl_nn_form *f, *g, *products;
    VL_TRY(vl_nn_affine(w, n, x, &f));
    VL_TRY(vl_nn_affine(w, n, y, &g));
    uint64_t total = (uint64_t)p->out.count * p->inner;
    VL_NN_FAIL_IF(total > VL_MAX_FEATURES || total == 0, n, VELUM_E_LIMIT, "%llu products, the limit is %d",
                  (unsigned long long)total, VL_MAX_FEATURES);
    uint32_t *a, *b, count = (uint32_t)total;
    VL_NN_TAKE(w->h, a, total);
    VL_NN_TAKE(w->h, b, total);
    vl_nn_sparse s = {.rows = (uint32_t)p->out.count, .cols = count};
    VL_NN_TAKE(w->h, s.start, p->out.count + 1);
    VL_NN_TAKE(w->h, s.col, total);
    VL_NN_TAKE(w->h, s.val, total);
    uint32_t at = 0;
    for (size_t i = 0; i < p->out.count; i++) {
        for (uint32_t j = 0; j < p->inner; j++, at++) {
            a[at] = p->a[i] + j * p->step_a;
            b[at] = p->b[i] + j * p->step_b;
            s.col[at] = at;
            s.val[at] = vl_nn_attr_float(n, "alpha", 1);
        }
        s.start[i + 1] = at;
    }
    vl_nn_form *u, *v;
    VL_TRY(vl_nn_form_select(w->h, f, a, count, &u));
    VL_TRY(vl_nn_form_select(w->h, g, b, count, &v));
    VL_TRY(vl_nn_multiply(w, n, u, v, &products));
    return apply(w, n, &s, products, &p->out, out);
}

velum_status vl_nn_lower_product(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *const *in, vl_nn_sym *out) {
    vl_nn_sym *x = in[0], *y = in[1], *c = n->in_count > 2 ? in[2] : NULL;
    vl_nn_product p;
    VL_TRY(vl_nn_product_of(w->h, n, &x->t, &y->t, &p));
    VL_NN_FAIL_IF(p.out.count == 0, n, VELUM_E_FORMAT, "no elements");
    if (x->kind == VL_NN_KNOWN && y->kind == VL_NN_KNOWN) {
        vl_nn_form *zero;
        VL_NN_FAIL_IF((double)p.out.count * p.inner > 0x1p33 || p.out.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT,
                      "too large a product");
        VL_TRY(vl_nn_form_constant(w->h, (uint32_t)p.out.count, &zero));
        for (size_t i = 0; i < p.out.count; i++)
            for (uint32_t j = 0; j < p.inner; j++)
                zero->bias[i] +=
                    x->t.v[p.a[i] + j * p.step_a] * y->t.v[p.b[i] + j * p.step_b] * vl_nn_attr_float(n, "alpha", 1);
        *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = p.out, .root = zero};
    } else if (x->kind == VL_NN_KNOWN || y->kind == VL_NN_KNOWN) {
        bool first = x->kind == VL_NN_KNOWN;
        VL_TRY(product_with_constant(w, n, first ? y : x, first ? &x->t : &y->t, first, &p, out));
    } else {
        VL_TRY(product_of_two(w, n, x, y, &p, out));
    }
    if (!c) return VELUM_OK;
    double beta = vl_nn_attr_float(n, "beta", 1), *shift;
    vl_nn_pair pair;
    VL_TRY(vl_nn_broadcast(w->h, n, &p.out, &c->t, &pair));
    VL_NN_FAIL_IF(pair.out.count != p.out.count, n, VELUM_E_FORMAT, "the third input is larger than the product");
    vl_nn_form *sum;
    if (c->kind == VL_NN_KNOWN) {
        VL_NN_TAKE(w->h, shift, p.out.count);
        for (size_t i = 0; i < p.out.count; i++) shift[i] = beta * c->t.v[pair.b[i]];
        VL_TRY(vl_nn_form_scale(w->h, out->root, NULL, shift, &sum));
    } else {
        const vl_nn_form *f;
        vl_nn_form *g;
        VL_TRY(vl_nn_affine(w, n, c, &f));
        VL_TRY(vl_nn_form_select(w->h, f, pair.b, (uint32_t)p.out.count, &g));
        VL_TRY(vl_nn_form_add(w->h, out->root, g, beta, &sum));
    }
    out->root = sum;
    out->t = pair.out;
    return VELUM_OK;
}

static velum_status reduce(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor, vl_nn_sym *x,
                           vl_nn_sym *out) {
    vl_nn_reduction r;
    const vl_nn_form *f;
    VL_TRY(vl_nn_reduction_of(w->h, n, tensor, &r));
    VL_TRY(vl_nn_affine(w, n, x, &f));
    vl_nn_sparse s = {.rows = (uint32_t)r.out.count, .cols = f->n};
    size_t *next;
    VL_NN_TAKE(w->h, s.start, r.out.count + 1);
    VL_NN_TAKE(w->h, s.col, x->t.count);
    VL_NN_TAKE(w->h, s.val, x->t.count);
    VL_NN_TAKE(w->h, next, r.out.count);
    for (size_t i = 0; i <= r.out.count; i++) s.start[i] = i * r.group;
    for (size_t i = 0; i < x->t.count; i++) {
        size_t at = s.start[r.target[i]] + next[r.target[i]]++;
        s.col[at] = (uint32_t)i;
        s.val[at] = n->op == VL_NN_ReduceMean ? 1.0 / r.group : 1;
    }
    vl_nn_form *made;
    VL_TRY(vl_nn_form_apply(w->h, &s, f, &made));
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = r.out, .root = made};
    return VELUM_OK;
}

// ---- relabelling, lookups, one-operand operators ----

// Channels put together or taken apart: they lie as before.
static void keep_picture(const vl_nn_picture *p, const vl_nn_tensor *t, vl_nn_form *f) {
    if (p->gap == 0 || t->rank != 4 || t->dim[2] != p->height || t->dim[3] != p->width) return;
    f->picture = *p;
    f->picture.channels = t->dim[1];
}

static velum_status view(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                         vl_nn_sym *const *in, uint32_t output, vl_nn_sym *out) {
    vl_nn_view v;
    VL_TRY(vl_nn_view_of(w->g, w->h, n, tensor, output, &v));
    size_t count = v.out.count;
    bool steps = true, in_order = !v.source && count == in[0]->t.count;
    uint32_t sources = v.source ? n->in_count : 1;
    for (uint32_t k = 0; k < sources; k++) steps = steps && in[k]->kind == VL_NN_STEPS;
    for (size_t i = 0; in_order && i < count; i++) in_order = v.element[i] == i;
    *out = (vl_nn_sym){.kind = VL_NN_STEPS, .t = v.out};
    if (steps) {
        VL_NN_TAKE(w->h, out->step, count);
        bool truncate = n->op == VL_NN_Cast && v.out.integer;
        for (size_t i = 0; i < count; i++) {
            uint32_t from = in[v.source ? v.source[i] : 0]->step[v.element[i]];
            if (truncate) VL_TRY(vl_nn_step_trunc(&w->l->prologue, from, false, &from));
            out->step[i] = from;
        }
        return VELUM_OK;
    }
    VL_NN_FAIL_IF(n->op == VL_NN_Cast && v.out.integer && in[0]->epilogue != VL_EPILOGUE_ARGMAX, n, VELUM_E_UNSUPPORTED,
                  "an encrypted value cannot become an integer; do it on the raw inputs");
    if (in_order) { // the same elements under another shape
        *out = *in[0];
        out->t = v.out;
        if (in[0]->a) VL_TRY(vl_nn_affine(w, n, in[0], &out->root));
        if (in[0]->a == NULL) out->a = out->b = out->c = NULL;
        return VELUM_OK;
    }
    const vl_nn_form **f;
    VL_NN_FAIL_IF(count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features, the limit is %d", count, VL_MAX_FEATURES);
    VL_NN_TAKE(w->h, f, sources);
    for (uint32_t k = 0; k < sources; k++) {
        if (in[k]->kind == VL_NN_KNOWN) {
            vl_nn_form *constant;
            VL_NN_FAIL_IF(in[k]->t.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features", in[k]->t.count);
            VL_TRY(vl_nn_form_constant(w->h, (uint32_t)in[k]->t.count, &constant));
            memcpy(constant->bias, in[k]->t.v, in[k]->t.count * sizeof *constant->bias);
            f[k] = constant;
        } else {
            VL_TRY(vl_nn_affine(w, n, in[k], &f[k]));
        }
    }
    vl_nn_form *made;
    VL_TRY(vl_nn_form_stack(w->h, f, sources, v.source, v.element, (uint32_t)count, &made));
    for (uint32_t k = 0; k < sources && made->picture.gap == 0; k++) keep_picture(&f[k]->picture, &v.out, made);
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = v.out, .root = made};
    return VELUM_OK;
}

// Rows of a constant table: integers stay with the client, an embedding becomes one-hot features and a linear map.
static velum_status lookup(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *table, const vl_nn_sym *index,
                           vl_nn_sym *out) {
    vl_nn_prologue *p = &w->l->prologue;
    vl_nn_pair pair;
    VL_NN_FAIL_IF(index->kind != VL_NN_STEPS, n, VELUM_E_UNSUPPORTED, "the index is encrypted; look up by raw inputs");
    VL_TRY(vl_nn_lookup_of(w->h, n, table, &index->t, &pair));
    uint32_t rows = table->dim[0], count = (uint32_t)pair.out.count;
    size_t width = table->count / rows;
    VL_NN_FAIL_IF(pair.out.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features", pair.out.count);
    VL_NN_FAIL_IF(rows > VL_MAX_FEATURES, n, VELUM_E_LIMIT,
                  "a table of %u rows, the limit is %d: write the index as digits", rows, VL_MAX_FEATURES);
    for (size_t i = 0; i < index->t.count; i++)
        VL_NN_FAIL_IF(!p->steps[index->step[i]].integer, n, VELUM_E_UNSUPPORTED,
                      "the index is not an integer; Cast it");
    *out = (vl_nn_sym){.kind = VL_NN_STEPS, .t = pair.out};
    if (table->integer) {
        double *column;
        VL_NN_TAKE(w->h, out->step, count);
        VL_NN_TAKE(w->h, column, rows);
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t k = 0; k < rows; k++) column[k] = table->v[k * width + pair.b[i]];
            VL_TRY(vl_nn_step_table(p, index->step[pair.a[i]], column, rows, &out->step[i]));
        }
        return VELUM_OK;
    }
    uint32_t *first;
    vl_nn_form *f;
    VL_NN_TAKE(w->h, first, index->t.count);
    for (size_t i = 0; i < index->t.count; i++) VL_TRY(vl_nn_prologue_feature(p, index->step[i], rows, &first[i]));
    VL_TRY(vl_nn_form_identity(w->h, 0, count, &f));
    vl_nn_sparse *m;
    f->term[0].cols = p->columns;
    VL_TRY(vl_nn_sparse_new(w->h, count, p->columns, (size_t)count * rows, &m));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < rows; k++) {
            m->col[(size_t)i * rows + k] = first[pair.a[i]] + k;
            m->val[(size_t)i * rows + k] = table->v[k * width + pair.b[i]];
        }
        m->start[i + 1] = (size_t)(i + 1) * rows;
    }
    VL_TRY(vl_nn_sparse_tidy(w->h, m, &f->term[0].m));
    snprintf(f->label, sizeof f->label, "embedding");
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = pair.out, .root = f};
    return VELUM_OK;
}

static velum_status negate(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *out) {
    vl_nn_sym minus = {.kind = VL_NN_KNOWN, .t = {.count = 1, .integer = x->t.integer}};
    vl_nn_node mul = *n;
    mul.op = VL_NN_Mul;
    VL_NN_TAKE(w->h, minus.t.v, 1);
    minus.t.v[0] = -1;
    return vl_nn_lower_binary(w, &mul, x, &minus, out);
}

// Sigmoid, Softmax, ArgMax: the client's.
static velum_status finish(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *out) {
    const vl_nn_form *f;
    bool after_softmax = x->epilogue == VL_EPILOGUE_SOFTMAX && n->op == VL_NN_ArgMax;
    if (after_softmax)
        f = x->root;
    else
        VL_TRY(vl_nn_affine(w, n, x, &f));
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = x->t, .root = f, .epilogue = VL_EPILOGUE_SIGMOID};
    if (n->op == VL_NN_Sigmoid) return VELUM_OK;
    uint32_t axis;
    bool arg = n->op == VL_NN_ArgMax;
    VL_TRY(vl_nn_axis(n, vl_nn_attr_int(n, "axis", arg ? 0 : w->g->opset < 13 ? 1 : -1), x->t.rank, &axis));
    VL_NN_FAIL_IF(axis == 0 || x->t.dim[axis] != x->t.count || vl_nn_attr_int(n, "select_last_index", 0) != 0, n,
                  VELUM_E_UNSUPPORTED, "must be over all outputs of a request");
    out->epilogue = arg ? VL_EPILOGUE_ARGMAX : VL_EPILOGUE_SOFTMAX;
    return VELUM_OK;
}

// ---- the walk ----

static velum_status lower_node(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *const *in,
                               const vl_nn_tensor *const *tensor, uint32_t output, vl_nn_sym *out) {
    switch (n->op) {
    case VL_NN_Add:
    case VL_NN_Sub:
    case VL_NN_Mul:
    case VL_NN_Div:
    case VL_NN_Mod:
    case VL_NN_Pow: return vl_nn_lower_binary(w, n, in[0], in[1], out);
    case VL_NN_MatMul:
    case VL_NN_Gemm: return vl_nn_lower_product(w, n, in, out);
    case VL_NN_ReduceSum:
    case VL_NN_ReduceMean: return reduce(w, n, tensor, in[0], out);
    case VL_NN_Neg: return negate(w, n, in[0], out);
    case VL_NN_Max:
    case VL_NN_Min: return vl_nn_lower_extreme(w, n, in, out);
    case VL_NN_MaxPool: return vl_nn_lower_max_pool(w, n, tensor, in[0], out);
    case VL_NN_PRelu: return vl_nn_lower_prelu(w, n, in[0], in[1], out);
    case VL_NN_Sigmoid:
        if (!w->last[n->out[0]]) return vl_nn_lower_scalar(w, n, tensor, in[0], out);
        return finish(w, n, in[0], out);
    case VL_NN_Softmax:
    case VL_NN_ArgMax: return finish(w, n, in[0], out);
    case VL_NN_Gather:
        if (in[0]->kind == VL_NN_KNOWN) return lookup(w, n, &in[0]->t, in[1], out);
        return view(w, n, tensor, in, output, out);
    default:
        if (vl_nn_is_activation(n->op)) return vl_nn_lower_scalar(w, n, tensor, in[0], out);
        if (vl_nn_has_rows(n->op)) return vl_nn_lower_rows(w, n, tensor, in[0], out);
        return vl_nn_is_view(n->op) ? view(w, n, tensor, in, output, out) : vl_nn_lower_raw(w, n, tensor, in, out);
    }
}

// What a lowered value stands for is kept where it is written down.
static velum_status remember(vl_nn_lowering *w, vl_nn_sym *s) {
    vl_nn_form *named;
    uint32_t base;
    if (s->kind != VL_NN_FORM || s->epilogue != VL_EPILOGUE_NONE || s->a || s->root->stands_for) return VELUM_OK;
    VL_NN_TAKE(w->h, named, 1);
    *named = *s->root;
    named->stands_for = s->value;
    s->root = named;
    if (vl_nn_form_is_base(w->l, named, &base) && !w->l->base[base].stands_for) w->l->base[base].stands_for = s->value;
    return VELUM_OK;
}

static velum_status walk_node(vl_nn_lowering *w, const vl_nn_node *n) {
    vl_nn_sym **in;
    const vl_nn_tensor **tensor;
    bool known = true;
    VL_TRY(vl_nn_check_arity(n));
    VL_NN_TAKE(w->h, in, n->in_count);
    VL_NN_TAKE(w->h, tensor, n->in_count);
    for (uint32_t k = 0; k < n->in_count; k++) {
        if (n->in[k] == VL_NN_NONE) continue;
        in[k] = &w->sym[n->in[k]];
        tensor[k] = &in[k]->t;
        VL_NN_FAIL_IF(in[k]->kind == VL_NN_UNSET, n, VELUM_E_UNSUPPORTED, "input %u is an output that is not computed",
                      k);
        known = known && in[k]->kind == VL_NN_KNOWN;
        bool finished = in[k]->epilogue != VL_EPILOGUE_NONE;
        VL_NN_FAIL_IF(finished && !vl_nn_is_view(n->op) && n->op != VL_NN_ArgMax, n, VELUM_E_UNSUPPORTED,
                      "follows Sigmoid, Softmax or ArgMax, which only work as the last operator");
    }
    if (known || n->op == VL_NN_Shape) {
        vl_nn_tensor *made;
        VL_NN_TAKE(w->h, made, n->out_count);
        VL_TRY(vl_nn_eval_node(w->g, w->h, n, tensor, made));
        for (uint32_t k = 0; k < n->out_count; k++)
            if (n->out[k] != VL_NN_NONE && made[k].v)
                w->sym[n->out[k]] = (vl_nn_sym){.kind = VL_NN_KNOWN, .t = made[k]};
        return VELUM_OK;
    }
    for (uint32_t k = 0; k < n->out_count; k++) {
        if (n->out[k] == VL_NN_NONE || (k > 0 && n->op != VL_NN_Split)) continue;
        vl_nn_sym made = {0};
        VL_TRY(lower_node(w, n, in, tensor, k, &made));
        made.value = n->out[k] + 1;
        VL_TRY(remember(w, &made));
        w->sym[n->out[k]] = made;
    }
    return VELUM_OK;
}

static velum_status set_inputs(vl_nn_lowering *w) {
    uint32_t number = 0;
    for (uint32_t i = 0; i < w->g->input_count; i++) {
        const vl_nn_port *port = &w->g->inputs[i];
        vl_nn_sym *s = &w->sym[port->value];
        *s = (vl_nn_sym){.kind = VL_NN_STEPS, .t = port->shape, .value = port->value + 1};
        VL_NN_TAKE(w->h, s->step, port->shape.count);
        for (size_t k = 0; k < port->shape.count; k++)
            VL_TRY(vl_nn_step_input(&w->l->prologue, number++, port->shape.integer, &s->step[k]));
    }
    return VELUM_OK;
}

// What nothing but relabelling stands behind, up to the output: a Sigmoid there is the client's.
static velum_status find_last(vl_nn_lowering *w) {
    const vl_nn_graph *g = w->g;
    bool *read;
    VL_NN_TAKE(w->h, w->last, g->value_count);
    VL_NN_TAKE(w->h, read, g->value_count); // by something else
    w->last[g->output] = true;
    for (uint32_t i = g->node_count; i-- > 0;) {
        const vl_nn_node *n = &g->nodes[i];
        bool passes = vl_nn_is_view(n->op) && n->out_count == 1 && n->out[0] != VL_NN_NONE && w->last[n->out[0]];
        for (uint32_t k = 0; k < n->out_count; k++)
            if (n->out[k] != VL_NN_NONE && read[n->out[k]]) passes = false;
        for (uint32_t k = 0; k < n->in_count; k++) {
            if (n->in[k] == VL_NN_NONE) continue;
            if (passes && k == 0)
                w->last[n->in[k]] = true;
            else
                read[n->in[k]] = true;
        }
    }
    for (uint32_t v = 0; v < g->value_count; v++) w->last[v] = w->last[v] && !read[v];
    return VELUM_OK;
}

static velum_status walk(vl_nn_graph *g, bool packed, const vl_input *inputs, vl_nn_lowered *out) {
    vl_nn_lowered l = {.heap = &g->heap, .packed = packed};
    vl_nn_lowering w = {.g = g, .h = &g->heap, .l = &l, .packed = packed};
    uint32_t input;
    VL_TRY(vl_nn_prologue_init(w.h, g, &l.prologue));
    if (inputs) memcpy(l.prologue.inputs, inputs, l.prologue.input_count * sizeof *inputs);
    VL_TRY(vl_nn_add_base(&l, VL_NN_BASE_INPUT, NULL, NULL, "input", &input));
    VL_NN_TAKE(w.h, w.sym, g->value_count);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) w.sym[i] = (vl_nn_sym){.kind = VL_NN_KNOWN, .t = *g->constant[i]};
    VL_TRY(set_inputs(&w));
    VL_TRY(find_last(&w));
    for (uint32_t i = 0; i < g->node_count; i++) VL_TRY(walk_node(&w, &g->nodes[i]));
    vl_nn_sym *s = &w.sym[g->output];
    VL_FAIL_IF(s->kind != VL_NN_FORM && s->kind != VL_NN_STEPS, VELUM_E_UNSUPPORTED,
               "model: output '%.120s' does not depend on the inputs", g->value_name[g->output]);
    l.epilogue = s->epilogue;
    s->epilogue = VL_EPILOGUE_NONE;
    const vl_nn_node none = {.name = "output", .type = "Identity"};
    VL_TRY(vl_nn_affine(&w, &none, s, &l.output));
    VL_FAIL_IF(l.prologue.columns == 0 || l.output->terms == 0, VELUM_E_UNSUPPORTED,
               "model: output '%.120s' does not depend on the inputs", g->value_name[g->output]);
    l.base[0].n = l.prologue.columns;
    *out = l;
    return VELUM_OK;
}

velum_status vl_nn_lower(vl_nn_graph *g, bool packed, vl_nn_lowered *out) {
    vl_nn_lowered l;
    bool changed;
    VL_TRY(walk(g, packed, NULL, &l));
    VL_TRY(vl_nn_prologue_close(&l.prologue, &changed));
    if (changed) { // what inputs accept follows from all their uses: ranges are known from the start now
        VL_TRY(walk(g, packed, l.prologue.inputs, &l));
        VL_TRY(vl_nn_prologue_close(&l.prologue, &changed));
    }
    VL_TRY(vl_nn_prune(&l));
    *out = l;
    return VELUM_OK;
}
