// SPDX-License-Identifier: Apache-2.0
#include "nn/form.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORK_MOST 0x1p33 // multiplications to compose two maps: about ten seconds

static velum_status make(vl_nn_heap *h, uint32_t n, uint32_t terms, const char *label, vl_nn_form **out) {
    vl_nn_form *f;
    VL_NN_TAKE(h, f, 1);
    f->n = n;
    f->terms = terms;
    snprintf(f->label, sizeof f->label, "%s", label);
    VL_NN_TAKE(h, f->bias, n);
    VL_NN_TAKE(h, f->term, terms);
    *out = f;
    return VELUM_OK;
}

velum_status vl_nn_form_identity(vl_nn_heap *h, uint32_t base, uint32_t n, vl_nn_form **out) {
    VL_TRY(make(h, n, 1, "", out));
    (*out)->term[0] = (vl_nn_term){.base = base, .cols = n};
    return VELUM_OK;
}

velum_status vl_nn_form_constant(vl_nn_heap *h, uint32_t n, vl_nn_form **out) { return make(h, n, 0, "", out); }

double vl_nn_form_work(const vl_nn_sparse *s, const vl_nn_form *f) {
    double work = 0;
    for (uint32_t t = 0; t < f->terms; t++)
        work += f->term[t].m ? vl_nn_sparse_work(s, f->term[t].m) : (double)vl_nn_sparse_count(s);
    return work;
}

size_t vl_nn_form_count(const vl_nn_form *f) {
    size_t count = 0;
    for (uint32_t t = 0; t < f->terms; t++) count += f->term[t].m ? vl_nn_sparse_count(f->term[t].m) : f->n;
    return count;
}

velum_status vl_nn_form_apply(vl_nn_heap *h, const vl_nn_sparse *s, const vl_nn_form *f, vl_nn_form **out) {
    vl_nn_form *d;
    double work = vl_nn_form_work(s, f);
    VL_FAIL_IF(work > WORK_MOST, VELUM_E_LIMIT, "model: composing '%s' takes %.0f multiplications", f->label, work);
    VL_TRY(vl_nn_sparse_tidy(h, s, &s));
    VL_TRY(make(h, s->rows, f->terms, f->label, &d));
    for (uint32_t r = 0; r < s->rows; r++)
        for (size_t k = s->start[r]; k < s->start[r + 1]; k++) d->bias[r] += s->val[k] * f->bias[s->col[k]];
    for (uint32_t t = 0; t < f->terms; t++) {
        const vl_nn_term *a = &f->term[t];
        d->term[t] = (vl_nn_term){.base = a->base, .cols = a->cols};
        if (a->m) {
            VL_TRY(vl_nn_sparse_multiply(h, s, a->m, &d->term[t].m));
        } else {
            vl_nn_sparse *copy; // the caller's struct may go
            VL_NN_TAKE(h, copy, 1);
            *copy = *s;
            d->term[t].m = copy;
        }
    }
    *out = d;
    return VELUM_OK;
}

// The terms of several forms, by ascending base, as wide as the widest of each.
static velum_status merge_terms(vl_nn_heap *h, const vl_nn_form *const *f, uint32_t count, vl_nn_term **out,
                                uint32_t *terms) {
    uint32_t total = 0, n = 0;
    for (uint32_t i = 0; i < count; i++) total += f[i]->terms;
    vl_nn_term *list;
    VL_NN_TAKE(h, list, total);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t t = 0; t < f[i]->terms; t++) {
            const vl_nn_term *a = &f[i]->term[t];
            uint32_t at = 0;
            while (at < n && list[at].base < a->base) at++;
            if (at == n || list[at].base != a->base) {
                memmove(list + at + 1, list + at, (n - at) * sizeof *list);
                list[at] = (vl_nn_term){.base = a->base};
                n++;
            }
            if (list[at].cols < a->cols) list[at].cols = a->cols;
        }
    *out = list;
    *terms = n;
    return VELUM_OK;
}

static const vl_nn_term *find_term(const vl_nn_form *f, uint32_t base) {
    for (uint32_t t = 0; t < f->terms; t++)
        if (f->term[t].base == base) return &f->term[t];
    return NULL;
}

static velum_status stack_term(vl_nn_heap *h, const vl_nn_form *const *f, uint32_t count, const uint32_t *source,
                               const uint32_t *row, uint32_t n, vl_nn_term *d) {
    const vl_nn_term **from;
    vl_nn_row line;
    vl_nn_sparse *m;
    size_t total = 0;
    VL_NN_TAKE(h, from, count);
    for (uint32_t i = 0; i < count; i++) from[i] = find_term(f[i], d->base);
    for (uint32_t r = 0; r < n; r++) {
        const vl_nn_term *a = from[source ? source[r] : 0];
        if (!a) continue;
        vl_nn_term_row(a, row[r], &line);
        total += line.count;
    }
    VL_TRY(vl_nn_sparse_new(h, n, d->cols, total, &m));
    total = 0;
    for (uint32_t r = 0; r < n; r++) {
        const vl_nn_term *a = from[source ? source[r] : 0];
        if (a) {
            vl_nn_term_row(a, row[r], &line);
            memcpy(m->col + total, line.col, line.count * sizeof *line.col);
            memcpy(m->val + total, line.val, line.count * sizeof *line.val);
            total += line.count;
        }
        m->start[r + 1] = total;
    }
    d->m = m;
    return VELUM_OK;
}

velum_status vl_nn_form_stack(vl_nn_heap *h, const vl_nn_form *const *f, uint32_t count, const uint32_t *source,
                              const uint32_t *row, uint32_t n, vl_nn_form **out) {
    vl_nn_term *list = NULL;
    vl_nn_form *d;
    uint32_t terms = 0;
    VL_TRY(merge_terms(h, f, count, &list, &terms));
    VL_TRY(make(h, n, 0, "", &d));
    d->term = list;
    d->terms = terms;
    for (uint32_t i = 0; i < count; i++) vl_nn_form_join_label(d->label, f[i]->label, "+");
    for (uint32_t r = 0; r < n; r++) d->bias[r] = f[source ? source[r] : 0]->bias[row[r]];
    for (uint32_t t = 0; t < terms; t++) VL_TRY(stack_term(h, f, count, source, row, n, &list[t]));
    *out = d;
    return VELUM_OK;
}

velum_status vl_nn_form_select(vl_nn_heap *h, const vl_nn_form *f, const uint32_t *row, uint32_t n, vl_nn_form **out) {
    return vl_nn_form_stack(h, &f, 1, NULL, row, n, out);
}

velum_status vl_nn_form_scale(vl_nn_heap *h, const vl_nn_form *f, const double *s, const double *c, vl_nn_form **out) {
    vl_nn_form *d;
    VL_TRY(make(h, f->n, f->terms, f->label, &d));
    d->picture = f->picture;
    for (uint32_t i = 0; i < f->n; i++) d->bias[i] = f->bias[i] * (s ? s[i] : 1) + (c ? c[i] : 0);
    for (uint32_t t = 0; t < f->terms; t++) {
        d->term[t] = f->term[t];
        if (s) VL_TRY(vl_nn_sparse_scale(h, f->term[t].m, f->n, s, &d->term[t].m));
    }
    *out = d;
    return VELUM_OK;
}

velum_status vl_nn_form_add(vl_nn_heap *h, const vl_nn_form *f, const vl_nn_form *g, double sign, vl_nn_form **out) {
    vl_nn_form *d;
    vl_nn_term *list = NULL;
    uint32_t terms = 0;
    VL_TRY(merge_terms(h, (const vl_nn_form *const[]){f, g}, 2, &list, &terms));
    VL_TRY(make(h, f->n, 0, f->label, &d));
    d->term = list;
    d->terms = terms;
    d->picture = f->picture.gap ? f->picture : g->picture;
    vl_nn_form_join_label(d->label, g->label, "+");
    for (uint32_t i = 0; i < f->n; i++) d->bias[i] = f->bias[i] + sign * g->bias[i];
    for (uint32_t t = 0; t < terms; t++) {
        const vl_nn_term *x = find_term(f, list[t].base), *y = find_term(g, list[t].base);
        if (!x || !y) {
            const vl_nn_term *one = x ? x : y;
            double *minus;
            list[t].m = one->m;
            if (x || sign == 1) continue;
            VL_NN_TAKE(h, minus, f->n);
            for (uint32_t i = 0; i < f->n; i++) minus[i] = sign;
            VL_TRY(vl_nn_sparse_scale(h, one->m, f->n, minus, &list[t].m));
            continue;
        }
        const vl_nn_sparse *m[2] = {x->m, y->m};
        for (uint32_t k = 0; k < 2; k++) {
            vl_nn_sparse *one;
            if (m[k]) continue;
            VL_TRY(vl_nn_sparse_identity(h, f->n, &one));
            m[k] = one;
        }
        VL_TRY(vl_nn_sparse_add(h, m[0], m[1], sign, &list[t].m));
    }
    *out = d;
    return VELUM_OK;
}

bool vl_nn_form_is_base(const vl_nn_lowered *l, const vl_nn_form *f, uint32_t *base) {
    if (f->terms != 1 || f->n != l->base[f->term[0].base].n) return false;
    const vl_nn_sparse *m = f->term[0].m;
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->bias[i] != 0) return false;
        if (m && (m->start[i] != i || m->start[i + 1] != i + 1u || m->col[i] != i || m->val[i] != 1)) return false;
    }
    *base = f->term[0].base;
    return true;
}

void vl_nn_form_at(const vl_nn_form *f, double *const *value, double *y) {
    vl_nn_row row;
    for (uint32_t i = 0; i < f->n; i++) {
        double sum = f->bias[i];
        for (uint32_t t = 0; t < f->terms; t++) {
            const double *x = value[f->term[t].base];
            vl_nn_term_row(&f->term[t], i, &row);
            for (size_t k = 0; k < row.count; k++) sum += row.val[k] * x[row.col[k]];
        }
        y[i] = sum;
    }
}

// ---- text ----

void vl_nn_form_join_label(char *label, const char *more, const char *between) {
    if (!more[0] || strstr(label, more)) return;
    size_t have = strlen(label);
    if (have + strlen(between) + strlen(more) > VL_NN_LABEL) {
        if (have == 0) snprintf(label, VL_NN_LABEL + 1, "%.*s", VL_NN_LABEL, more);
        return;
    }
    snprintf(label + have, VL_NN_LABEL + 1 - have, "%s%s", have ? between : "", more);
}

velum_status vl_nn_note(vl_nn_lowered *l, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0) return VELUM_OK;
    size_t size = strlen(line);
    line[size++] = '\n';
    if (l->notes_size + size > (1u << 19)) return VELUM_OK;
    char *joined;
    VL_NN_TAKE(l->heap, joined, l->notes_size + size + 1);
    if (l->notes_size) memcpy(joined, l->notes, l->notes_size);
    memcpy(joined + l->notes_size, line, size);
    l->notes = joined;
    l->notes_size += size;
    return VELUM_OK;
}
