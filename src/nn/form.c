// SPDX-License-Identifier: Apache-2.0
#include "nn/form.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORK_MOST 0x1p36 // multiplications to compose two maps: about a minute

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

velum_status vl_nn_form_apply(vl_nn_heap *h, const vl_nn_sparse *s, const vl_nn_form *f, vl_nn_form **out) {
    vl_nn_form *d;
    double work = 0;
    for (uint32_t t = 0; t < f->terms; t++) work += (double)s->start[s->rows] * (f->term[t].m ? f->term[t].cols : 1);
    VL_FAIL_IF(work > WORK_MOST, VELUM_E_LIMIT, "model: composing '%s' takes %.0f multiplications", f->label, work);
    VL_TRY(make(h, s->rows, f->terms, f->label, &d));
    for (uint32_t r = 0; r < s->rows; r++)
        for (size_t k = s->start[r]; k < s->start[r + 1]; k++) d->bias[r] += s->val[k] * f->bias[s->col[k]];
    for (uint32_t t = 0; t < f->terms; t++) {
        const vl_nn_term *a = &f->term[t];
        d->term[t] = (vl_nn_term){.base = a->base, .cols = a->cols};
        VL_NN_TAKE(h, d->term[t].m, (size_t)s->rows * a->cols);
        for (uint32_t r = 0; r < s->rows; r++) {
            double *row = d->term[t].m + (size_t)r * a->cols;
            for (size_t k = s->start[r]; k < s->start[r + 1]; k++) {
                double w = s->val[k];
                if (!a->m) {
                    row[s->col[k]] += w;
                    continue;
                }
                const double *from = a->m + (size_t)s->col[k] * a->cols;
                for (uint32_t c = 0; w != 0 && c < a->cols; c++) row[c] += w * from[c];
            }
        }
    }
    *out = d;
    return VELUM_OK;
}

velum_status vl_nn_form_stack(vl_nn_heap *h, const vl_nn_form *const *f, uint32_t count, const uint32_t *source,
                              const uint32_t *row, uint32_t n, vl_nn_form **out) {
    uint32_t total = 0, terms = 0;
    for (uint32_t i = 0; i < count; i++) total += f[i]->terms;
    vl_nn_term *list;
    VL_NN_TAKE(h, list, total);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t t = 0; t < f[i]->terms; t++) { // merged, ascending
            const vl_nn_term *a = &f[i]->term[t];
            uint32_t at = 0;
            while (at < terms && list[at].base < a->base) at++;
            if (at == terms || list[at].base != a->base) {
                memmove(list + at + 1, list + at, (terms - at) * sizeof *list);
                list[at] = (vl_nn_term){.base = a->base};
                terms++;
            }
            if (list[at].cols < a->cols) list[at].cols = a->cols;
        }
    vl_nn_form *d;
    VL_TRY(make(h, n, terms, "", &d));
    for (uint32_t i = 0; i < count; i++) vl_nn_form_join_label(d->label, f[i]->label, "+");
    for (uint32_t t = 0; t < terms; t++) {
        d->term[t] = list[t];
        VL_NN_TAKE(h, d->term[t].m, (size_t)n * list[t].cols);
    }
    for (uint32_t r = 0; r < n; r++) {
        const vl_nn_form *from = f[source ? source[r] : 0];
        d->bias[r] = from->bias[row[r]];
        for (uint32_t k = 0, t = 0; k < from->terms; k++) {
            const vl_nn_term *a = &from->term[k];
            while (d->term[t].base != a->base) t++;
            double *to = d->term[t].m + (size_t)r * d->term[t].cols;
            if (a->m)
                memcpy(to, a->m + (size_t)row[r] * a->cols, a->cols * sizeof *to);
            else
                to[row[r]] = 1;
        }
    }
    *out = d;
    return VELUM_OK;
}

velum_status vl_nn_form_select(vl_nn_heap *h, const vl_nn_form *f, const uint32_t *row, uint32_t n, vl_nn_form **out) {
    return vl_nn_form_stack(h, &f, 1, NULL, row, n, out);
}

velum_status vl_nn_form_scale(vl_nn_heap *h, const vl_nn_form *f, const double *s, const double *c, vl_nn_form **out) {
    vl_nn_form *d;
    VL_TRY(make(h, f->n, f->terms, f->label, &d));
    for (uint32_t i = 0; i < f->n; i++) d->bias[i] = f->bias[i] * (s ? s[i] : 1) + (c ? c[i] : 0);
    for (uint32_t t = 0; t < f->terms; t++) {
        d->term[t] = f->term[t];
        if (!s) continue; // shares the matrix: forms are never changed
        uint32_t cols = f->term[t].cols;
        VL_NN_TAKE(h, d->term[t].m, (size_t)f->n * cols);
        for (uint32_t i = 0; i < f->n; i++)
            for (uint32_t k = 0; k < cols; k++)
                d->term[t].m[(size_t)i * cols + k] = s[i] * vl_nn_term_at(&f->term[t], i, k);
    }
    *out = d;
    return VELUM_OK;
}

velum_status vl_nn_form_add(vl_nn_heap *h, const vl_nn_form *f, const vl_nn_form *g, double sign, vl_nn_form **out) {
    uint32_t terms = 0, a = 0, b = 0;
    vl_nn_form *d;
    VL_TRY(make(h, f->n, f->terms + g->terms, f->label, &d));
    vl_nn_form_join_label(d->label, g->label, "+");
    for (uint32_t i = 0; i < f->n; i++) d->bias[i] = f->bias[i] + sign * g->bias[i];
    while (a < f->terms || b < g->terms) {
        const vl_nn_term *x = a < f->terms ? &f->term[a] : NULL, *y = b < g->terms ? &g->term[b] : NULL;
        if (x && y && x->base != y->base) *(x->base < y->base ? &y : &x) = NULL;
        vl_nn_term *t = &d->term[terms++];
        t->base = x ? x->base : y->base;
        t->cols = x && (!y || x->cols > y->cols) ? x->cols : y->cols;
        VL_NN_TAKE(h, t->m, (size_t)f->n * t->cols);
        for (uint32_t i = 0; i < f->n; i++)
            for (uint32_t k = 0; k < t->cols; k++)
                t->m[(size_t)i * t->cols + k] =
                    (x ? vl_nn_term_at(x, i, k) : 0) + (y ? sign * vl_nn_term_at(y, i, k) : 0);
        a += x != NULL;
        b += y != NULL;
    }
    d->terms = terms;
    *out = d;
    return VELUM_OK;
}

bool vl_nn_form_is_base(const vl_nn_lowered *l, const vl_nn_form *f, uint32_t *base) {
    if (f->terms != 1 || f->n != l->base[f->term[0].base].n) return false;
    const vl_nn_term *t = &f->term[0];
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->bias[i] != 0) return false;
        for (uint32_t k = 0; t->m && k < f->n; k++)
            if (vl_nn_term_at(t, i, k) != (i == k)) return false;
    }
    *base = t->base;
    return true;
}

// ---- ranges ----

static void widen(double w, double lo, double hi, double *low, double *high) {
    if (w == 0) return;
    *low += w > 0 ? w * lo : w * hi;
    *high += w > 0 ? w * hi : w * lo;
}

static void range_input(const vl_nn_lowered *l, const vl_nn_term *t, uint32_t row, double *lo, double *hi) {
    const vl_nn_prologue *p = &l->prologue;
    for (uint32_t g = 0; g < p->group_count; g++) {
        const vl_nn_group *group = &p->groups[g];
        if (group->depth == 0) {
            const vl_nn_step *s = &p->steps[group->step];
            widen(vl_nn_term_at(t, row, group->first), s->lo, s->hi, lo, hi);
            continue;
        }
        double least = INFINITY, most = -INFINITY; // exactly one of them is 1
        for (uint32_t k = 0; k < group->depth; k++) {
            double w = vl_nn_term_at(t, row, group->first + k);
            least = fmin(least, w);
            most = fmax(most, w);
        }
        *lo += least;
        *hi += most;
    }
}

// Takes the products out of the row first (the same sum in other terms), then what is left by elements.
static void range_products(const vl_nn_base *b, const vl_nn_term *t, uint32_t row, double *left, double *lo,
                           double *hi) {
    const vl_nn_products *p = b->products;
    for (uint32_t k = 0; k < b->n; k++) left[k] = vl_nn_term_at(t, row, k);
    for (uint32_t i = 0; i < p->count; i++) {
        const uint32_t *part = p->part + (size_t)i * p->parts;
        double v = left[part[0]] / p->weight[0];
        if (v == 0) continue;
        for (uint32_t k = 0; k < p->parts; k++) left[part[k]] -= v * p->weight[k];
        left[part[0]] = 0;
        widen(v, p->lo[i], p->hi[i], lo, hi);
    }
    for (uint32_t k = 0; k < b->n; k++) widen(left[k], b->lo[k], b->hi[k], lo, hi);
}

void vl_nn_form_range(const vl_nn_lowered *l, const vl_nn_form *f, double *lo, double *hi) {
    uint32_t widest = 0;
    for (uint32_t t = 0; t < f->terms; t++) {
        const vl_nn_base *b = &l->base[f->term[t].base];
        if (b->products && b->n > widest) widest = b->n;
    }
    double *spare = widest ? vl_alloc_array(widest, sizeof *spare) : NULL; // without it the ranges are only wider
    for (uint32_t i = 0; i < f->n; i++) {
        lo[i] = hi[i] = f->bias[i];
        for (uint32_t t = 0; t < f->terms; t++) {
            const vl_nn_term *term = &f->term[t];
            const vl_nn_base *b = &l->base[term->base];
            if (b->kind == VL_NN_BASE_INPUT) {
                range_input(l, term, i, &lo[i], &hi[i]);
                continue;
            }
            if (b->products && spare)
                range_products(b, term, i, spare, &lo[i], &hi[i]);
            else
                for (uint32_t k = 0; k < term->cols; k++)
                    widen(vl_nn_term_at(term, i, k), b->lo[k], b->hi[k], &lo[i], &hi[i]);
        }
    }
    vl_free(spare);
}

// ---- bases ----

void vl_nn_range_multiply(double a, double b, double c, double d, double *lo, double *hi) {
    double x = a * c, y = a * d, z = b * c, w = b * d; // fmin and fmax pass over the NaN of 0 times infinity
    *lo = fmin(fmin(x, y), fmin(z, w));
    *hi = fmax(fmax(x, y), fmax(z, w));
}

static velum_status base_range(const vl_nn_lowered *l, const vl_nn_base *base) {
    if (!base->arg[0]) return VELUM_OK;
    double *lo = base->lo, *hi = base->hi, *other = NULL;
    vl_nn_form_range(l, base->arg[0], lo, hi);
    if (base->arg[1]) {
        VL_FAIL_IF(!(other = vl_alloc_array(2 * (size_t)base->n, sizeof *other)), VELUM_E_NOMEM, "model: ranges");
        vl_nn_form_range(l, base->arg[1], other, other + base->n);
    }
    for (uint32_t i = 0; i < base->n; i++) {
        double x = lo[i], y = hi[i];
        if (base->kind == VL_NN_BASE_SQUARE) {
            lo[i] = x <= 0 && y >= 0 ? 0 : fmin(x * x, y * y);
            hi[i] = fmax(x * x, y * y);
        } else if (other) {
            vl_nn_range_multiply(x, y, other[i], other[base->n + i], &lo[i], &hi[i]);
        }
    }
    vl_free(other);
    return VELUM_OK;
}

velum_status vl_nn_add_base(vl_nn_lowered *l, vl_nn_base_kind kind, const vl_nn_form *a, const vl_nn_form *b,
                            const char *label, uint32_t *out) {
    VL_FAIL_IF(a && a->n > VL_MAX_FEATURES, VELUM_E_LIMIT, "model: '%s' has %u features, the limit is %d", label, a->n,
               VL_MAX_FEATURES);
    if (l->base_count == l->base_room) {
        vl_nn_base *more;
        VL_NN_TAKE(l->heap, more, 2 * l->base_room + 16);
        if (l->base_count) memcpy(more, l->base, l->base_count * sizeof *more);
        l->base = more;
        l->base_room = 2 * l->base_room + 16;
    }
    vl_nn_base made = {.kind = kind, .n = a ? a->n : 0, .arg = {a, b}};
    snprintf(made.label, sizeof made.label, "%s", label);
    if (a) {
        VL_NN_TAKE(l->heap, made.lo, a->n);
        VL_NN_TAKE(l->heap, made.hi, a->n);
        VL_TRY(base_range(l, &made));
    }
    l->base[l->base_count] = made;
    *out = l->base_count++;
    return VELUM_OK;
}

void vl_nn_form_at(const vl_nn_form *f, double *const *value, double *y) {
    for (uint32_t i = 0; i < f->n; i++) {
        double sum = f->bias[i];
        for (uint32_t t = 0; t < f->terms; t++)
            for (uint32_t k = 0; k < f->term[t].cols; k++)
                sum += vl_nn_term_at(&f->term[t], i, k) * value[f->term[t].base][k];
        y[i] = sum;
    }
}

velum_status vl_nn_form_run(vl_nn_lowered *l, const double *features, double **value, double *output) {
    memcpy(value[0], features, l->base[0].n * sizeof *features);
    for (uint32_t b = 1; b < l->base_count; b++) {
        const vl_nn_base *base = &l->base[b];
        double *other = NULL;
        vl_nn_form_at(base->arg[0], value, value[b]);
        if (base->arg[1]) {
            VL_FAIL_IF(!(other = vl_alloc_array(base->n, sizeof *other)), VELUM_E_NOMEM, "model: values");
            vl_nn_form_at(base->arg[1], value, other);
        }
        for (uint32_t i = 0; i < base->n && base->kind != VL_NN_BASE_COPY; i++)
            value[b][i] *= other ? other[i] : value[b][i];
        vl_free(other);
    }
    vl_nn_form_at(l->output, value, output);
    return VELUM_OK;
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
