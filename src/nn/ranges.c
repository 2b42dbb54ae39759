// SPDX-License-Identifier: Apache-2.0
// Ranges by interval arithmetic.
#include "nn/form.h"
#include <math.h>
#include <string.h>

static void widen(double w, double lo, double hi, double *low, double *high) {
    if (w == 0) return;
    *low += w > 0 ? w * lo : w * hi;
    *high += w > 0 ? w * hi : w * lo;
}

// Which group a feature belongs to.
static uint32_t *groups_of(const vl_nn_prologue *p) {
    uint32_t *of = vl_alloc_array(p->columns ? p->columns : 1, sizeof *of);
    for (uint32_t g = 0; of && g < p->group_count; g++)
        for (uint32_t k = 0; k < (p->groups[g].depth ? p->groups[g].depth : 1); k++) of[p->groups[g].first + k] = g;
    return of;
}

static void range_input(const vl_nn_lowered *l, const uint32_t *of, const vl_nn_row *row, double *lo, double *hi) {
    const vl_nn_prologue *p = &l->prologue;
    for (size_t k = 0, next; k < row->count; k = next) {
        const vl_nn_group *group = &p->groups[of[row->col[k]]];
        next = k + 1;
        if (group->depth == 0) {
            const vl_nn_step *s = &p->steps[group->step];
            widen(row->val[k], s->lo, s->hi, lo, hi);
            continue;
        }
        while (next < row->count && row->col[next] < group->first + group->depth) next++;
        bool all = next - k == group->depth; // exactly one feature of the group is 1; absent entries are zeros
        double least = all ? INFINITY : 0, most = all ? -INFINITY : 0;
        for (size_t j = k; j < next; j++) {
            least = fmin(least, row->val[j]);
            most = fmax(most, row->val[j]);
        }
        *lo += least;
        *hi += most;
    }
}

// Takes the products out of the row first (the same sum in other terms), then what is left by elements.
static void range_products(const vl_nn_base *b, const vl_nn_row *row, double *left, double *lo, double *hi) {
    const vl_nn_products *p = b->products;
    memset(left, 0, b->n * sizeof *left);
    for (size_t k = 0; k < row->count; k++) left[row->col[k]] = row->val[k];
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
    uint32_t *of = groups_of(&l->prologue);
    vl_nn_row row;
    for (uint32_t i = 0; i < f->n; i++) {
        lo[i] = hi[i] = f->bias[i];
        for (uint32_t t = 0; t < f->terms; t++) {
            const vl_nn_base *b = &l->base[f->term[t].base];
            vl_nn_term_row(&f->term[t], i, &row);
            if (b->kind == VL_NN_BASE_INPUT) {
                if (of)
                    range_input(l, of, &row, &lo[i], &hi[i]);
                else
                    lo[i] = -(hi[i] = INFINITY);
            } else if (b->products && spare) {
                range_products(b, &row, spare, &lo[i], &hi[i]);
            } else {
                for (size_t k = 0; k < row.count; k++)
                    widen(row.val[k], b->lo[row.col[k]], b->hi[row.col[k]], &lo[i], &hi[i]);
            }
        }
    }
    vl_free(spare);
    vl_free(of);
}

void vl_nn_range_multiply(double a, double b, double c, double d, double *lo, double *hi) {
    double x = a * c, y = a * d, z = b * c, w = b * d; // fmin and fmax pass over the NaN of 0 times infinity
    *lo = fmin(fmin(x, y), fmin(z, w));
    *hi = fmax(fmax(x, y), fmax(z, w));
}

// What a function takes on [x, y]; on a grid, widened by half a step's change on either side.
#define GRID 64
static void act_range(const vl_nn_act *a, double x, double y, double *lo, double *hi) {
    *lo = a->least;
    *hi = a->most;
    if (a->compares) {
        double p = a->f(x, a->arg), q = a->f(y, a->arg);
        *lo = x <= 0 && y >= 0 ? 0 : fmin(p, q);
        *hi = fmax(p, q);
        return;
    }
    if (!isfinite(x) || !isfinite(y)) return;
    double least = INFINITY, most = -INFINITY, step = 0, last = a->f(x, a->arg);
    for (uint32_t i = 0; i <= GRID; i++) {
        double v = a->f(x + (y - x) * i / GRID, a->arg);
        least = fmin(least, v);
        most = fmax(most, v);
        step = fmax(step, fabs(v - last) / 2);
        last = v;
    }
    *lo = fmax(*lo, least - step);
    *hi = fmin(*hi, most + step);
}

void vl_nn_act_range(const vl_nn_act *a, uint32_t n, const double *x, const double *y, double *lo, double *hi) {
    for (uint32_t i = 0; i < n; i++) act_range(a, x[i], y[i], &lo[i], &hi[i]);
}

velum_status vl_nn_base_range(const vl_nn_lowered *l, vl_nn_base *base) {
    if (!base->arg[0]) return VELUM_OK;
    double *lo = base->lo, *hi = base->hi, *other = NULL;
    vl_nn_form_range(l, base->arg[0], lo, hi);
    if (base->arg[1]) {
        VL_FAIL_IF(!(other = vl_alloc_array(2 * (size_t)base->n, sizeof *other)), VELUM_E_NOMEM, "model: ranges");
        vl_nn_form_range(l, base->arg[1], other, other + base->n);
    }
    for (uint32_t i = 0; i < base->n; i++) {
        double x = lo[i], y = hi[i];
        if (base->kind == VL_NN_BASE_ACT) {
            act_range(base->act, x, y, &lo[i], &hi[i]);
        } else if (base->kind == VL_NN_BASE_SQUARE) {
            lo[i] = x <= 0 && y >= 0 ? 0 : fmin(x * x, y * y);
            hi[i] = fmax(x * x, y * y);
        } else if (other) {
            vl_nn_range_multiply(x, y, other[i], other[base->n + i], &lo[i], &hi[i]);
        }
    }
    vl_free(other);
    return VELUM_OK;
}

#define REACH_MOST 1e30

velum_status vl_nn_check_reach(const char *label, uint64_t row, const double *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) // NaN too
        VL_FAIL_IF(
            !(fabs(x[i]) < REACH_MOST), VELUM_E_VALUE,
            "calibration: row %llu makes values grow beyond %g in '%s': leave it out, or train with a penalty on "
            "large values",
            (unsigned long long)(row + 1), REACH_MOST, label);
    return VELUM_OK;
}
