// SPDX-License-Identifier: Apache-2.0
// Approximations of activations.
//
// What a kink at zero makes hard (relu, abs) is positively homogeneous, f(B x) = B f(x): every channel's argument is
// divided by its own range B before, for nothing, as the linear map before does it, and the maps behind multiply. All
// values fill [-1, 1] then, where one composite serves them all. Smooth functions get a Chebyshev fit on one range for
// all elements, moved to [-1, 1] by the map before too.
#include "nn/form.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OUTLIER 8.0          // a row that reaches so many times what half of the rows reach
#define PRECISION 12.0       // bits
#define PRECISION_MANY 10.0  // of comparisons where there are more than
#define COMPARISONS_FEW 2    // so many: with 10 levels instead of 13 one and a linear map fit between two bootstraps
#define DEGREE_MOST 127      // seven levels
#define SHARE_LEAST 64       // no channel's range is taken to be smaller than the largest one over this
#define ROWS_FOR_ELEMENTS 16 // rows from which on a calibrated range of one element says something

typedef struct seen { // of one ACT base, by calibration rows; NULL without
    double *lo, *hi;  // by element of the argument
    double *row;      // by row: the largest |argument|
} seen;

uint32_t vl_nn_compare_levels(const vl_minimax *m, bool product) {
    uint32_t d = m->stage[m->count - 1].degree;
    return vl_minimax_levels(m, 0, m->count) + (product && (d & (d + 1)) == 0);
}

// ---- what the calibration rows reach ----

static velum_status watch(vl_nn_lowered *l, const double *features, uint64_t rows, seen *s) {
    double **value;
    VL_NN_TAKE(l->heap, value, l->base_count);
    for (uint32_t b = 0; b < l->base_count; b++) {
        VL_NN_TAKE(l->heap, value[b], l->base[b].n);
        if (l->base[b].kind != VL_NN_BASE_ACT) continue;
        VL_NN_TAKE(l->heap, s[b].lo, l->base[b].n);
        VL_NN_TAKE(l->heap, s[b].hi, l->base[b].n);
        VL_NN_TAKE(l->heap, s[b].row, rows);
    }
    double *other;
    uint32_t widest = 0;
    for (uint32_t b = 0; b < l->base_count; b++) widest = l->base[b].n > widest ? l->base[b].n : widest;
    VL_NN_TAKE(l->heap, other, widest);
    for (uint64_t r = 0; r < rows; r++) {
        memcpy(value[0], features + r * l->prologue.columns, l->base[0].n * sizeof *features);
        for (uint32_t b = 1; b < l->base_count; b++) {
            const vl_nn_base *base = &l->base[b];
            vl_nn_form_at(base->arg[0], value, value[b]);
            if (base->arg[1]) vl_nn_form_at(base->arg[1], value, other);
            for (uint32_t i = 0; s[b].lo && i < base->n; i++) {
                double x = value[b][i];
                s[b].lo[i] = r ? fmin(s[b].lo[i], x) : x;
                s[b].hi[i] = r ? fmax(s[b].hi[i], x) : x;
                s[b].row[r] = fmax(s[b].row[r], fabs(x));
            }
            vl_nn_base_at(base, base->arg[1] ? other : NULL, value[b]);
            VL_TRY(vl_nn_check_reach(base->label, r, value[b], base->n));
        }
    }
    return VELUM_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static velum_status warn_outliers(vl_nn_lowered *l, const vl_nn_base *base, const seen *s, uint64_t rows) {
    double *sorted;
    uint64_t worst = 0;
    VL_NN_TAKE(l->heap, sorted, rows);
    memcpy(sorted, s->row, rows * sizeof *sorted);
    qsort(sorted, rows, sizeof *sorted, ascending);
    for (uint64_t r = 1; r < rows; r++)
        if (s->row[r] > s->row[worst]) worst = r;
    double typical = sorted[rows / 2];
    if (s->row[worst] <= OUTLIER * typical) return VELUM_OK;
    return vl_nn_note(
        l, "ranges: %s: calibration row %llu reaches %.3g, half of the rows at most %.3g: it alone sets the range",
        base->label, (unsigned long long)(worst + 1), s->row[worst], typical);
}

// ---- ranges of arguments ----

// The argument's range by element, calibration considered.
static velum_status argument_range(vl_nn_lowered *l, const vl_nn_base *base, const seen *s, double *lo, double *hi) {
    vl_nn_form_range(l, base->arg[0], lo, hi);
    for (uint32_t i = 0; i < base->n; i++) {
        if (s->lo) {
            double mid = base->act->compares ? 0 : (s->lo[i] + s->hi[i]) / 2;
            double reach = VL_NN_MARGIN * fmax(s->hi[i] - mid, mid - s->lo[i]) + 0x1p-20;
            lo[i] = fmax(lo[i], mid - reach);
            hi[i] = fmin(hi[i], mid + reach);
            if (lo[i] > hi[i]) lo[i] = hi[i] = s->lo[i]; // interval arithmetic and rounding
        }
        VL_FAIL_IF(!isfinite(lo[i]) || !isfinite(hi[i]), VELUM_E_LIMIT,
                   "model: the argument of '%s' has no bound: give velum.range metadata, a Clip before the first "
                   "layer, or calibration rows",
                   base->label);
    }
    return VELUM_OK;
}

static uint32_t group_of(const vl_nn_base *base, uint32_t i, bool by_element) {
    const vl_nn_picture *p = &base->arg[0]->picture;
    uint64_t area = (uint64_t)p->height * p->width;
    if (p->gap && area * p->channels == base->n) return (uint32_t)(i / area);
    return by_element ? i : 0;
}

// One range a channel, or an element where there are no channels.
static velum_status set_units(vl_nn_lowered *l, vl_nn_base *base, const double *lo, const double *hi, bool by_element,
                              double *least, double *most) {
    double *group;
    VL_NN_TAKE(l->heap, group, base->n);
    VL_NN_TAKE(l->heap, base->unit, base->n);
    *most = 0;
    for (uint32_t i = 0; i < base->n; i++) {
        double *g = &group[group_of(base, i, by_element)];
        *g = fmax(*g, fmax(fabs(lo[i]), fabs(hi[i])));
        *most = fmax(*most, *g);
    }
    if (*most == 0) *most = 1;
    *least = *most;
    for (uint32_t i = 0; i < base->n; i++) {
        base->unit[i] = fmax(group[group_of(base, i, by_element)], *most / SHARE_LEAST);
        *least = fmin(*least, base->unit[i]);
    }
    base->act->unit = base->unit;
    return VELUM_OK;
}

// ---- choices ----

static double precision_of(const vl_nn_lowered *l, const vl_nn_act *a) {
    uint32_t comparisons = 0;
    for (uint32_t b = 1; b < l->base_count; b++) comparisons += l->base[b].act && l->base[b].act->compares;
    if (l->fit.precision > 0) return l->fit.precision;
    return a->compares && comparisons > COMPARISONS_FEW ? PRECISION_MANY : PRECISION;
}

static const vl_minimax *composite_for(double error) {
    const vl_minimax *best = NULL;
    for (uint32_t i = 0; i < vl_minimax_tables_count; i++) {
        const vl_minimax *m = &vl_minimax_tables[i];
        if (!best) {
            best = m;
            continue;
        }
        bool good = m->relu_error <= error, best_good = best->relu_error <= error;
        uint32_t levels = vl_nn_compare_levels(m, true), best_levels = vl_nn_compare_levels(best, true);
        bool cheaper = levels < best_levels || (levels == best_levels && m->relu_error < best->relu_error);
        if (good ? !best_good || cheaper : !best_good && m->relu_error < best->relu_error) best = m;
    }
    return best;
}

static velum_status choose_composite(vl_nn_lowered *l, vl_nn_base *base, const char *how, double least, double most) {
    vl_nn_act *a = base->act;
    vl_compare *c;
    double precision = precision_of(l, a), factor = a->kind == VL_ABS ? 2 : 1;
    VL_NN_TAKE(l->heap, c, 1);
    *c = (vl_compare){.minimax = composite_for(exp2(-precision) / factor), .kind = a->kind, .bound = 1};
    a->compare = c;
    a->error = vl_compare_error(c);
    return vl_nn_note(l, "fit: %s: |x| up to %.3g%s (%s), composite %s, error 2^%.1f of the range", base->label, most,
                      least < most ? ", by channel" : "", how, c->minimax->name, log2(vl_compare_error(c)));
}

typedef struct moved { // f(shift + unit u) / scale
    const vl_nn_act *a;
    double shift, unit, scale;
} moved;

static double eval_moved(double u, const void *arg) {
    const moved *m = arg;
    return m->a->f(m->shift + m->unit * u, m->a->arg) / m->scale;
}

static velum_status choose_polynomial(vl_nn_lowered *l, vl_nn_base *base, const char *how, double lo, double hi) {
    vl_nn_act *a = base->act;
    moved m = {.a = a, .shift = (lo + hi) / 2, .unit = (hi - lo) / 2, .scale = 1};
    if (m.unit <= 0) m.unit = fmax(1e-3, fabs(m.shift) / 1024);
    double precision = precision_of(l, a), most = 0;
    uint32_t degree_most = l->fit.max_degree ? l->fit.max_degree : DEGREE_MOST;
    for (int i = -512; i <= 512; i++) most = fmax(most, fabs(eval_moved(i / 512.0, &m)));
    m.scale = most > 0 && isfinite(most) ? most * (1 + exp2(-precision)) : 1;
    vl_activation_options options = {
        .lo = -1, .hi = 1, .degree = a->degree, .error = a->degree ? 0 : exp2(-precision), .max_degree = degree_most};
    vl_fit fit;
    velum_status status = vl_fit_function(eval_moved, &m, &options, &fit);
    bool short_of = status == VELUM_E_LIMIT && !a->degree;
    if (short_of) {
        options.error = 0;
        options.degree = degree_most;
        status = vl_fit_function(eval_moved, &m, &options, &fit);
    }
    VL_FAIL_IF(status != VELUM_OK, status,
               "model: '%s': no polynomial for %s on [%g, %g]: it has a pole there or is not defined", base->label,
               a->name, lo, hi);
    double error = fit.max_error, *c = vl_nn_take(l->heap, fit.poly.degree + 1u, sizeof *c);
    vl_polynomial *poly = vl_nn_take(l->heap, 1, sizeof *poly);
    if (c && poly) {
        memcpy(c, fit.c, (fit.poly.degree + 1u) * sizeof *c);
        *poly = fit.poly;
        poly->c = c;
    }
    vl_fit_free(&fit);
    if (!c || !poly) return vl_nn_out_of(l->heap, "a polynomial");
    VL_NN_TAKE(l->heap, a->unit, base->n);
    VL_NN_TAKE(l->heap, base->unit, base->n);
    for (uint32_t i = 0; i < base->n; i++) {
        a->unit[i] = m.unit;
        base->unit[i] = m.scale;
    }
    a->shift = m.shift;
    a->poly = poly;
    a->error = error;
    VL_TRY(vl_nn_note(l, "fit: %s: x in [%.3g, %.3g] (%s), degree %u, error %.2g", base->label, lo, hi, how,
                      poly->degree, error * m.scale));
    if (!short_of) return VELUM_OK;
    return vl_nn_note(
        l, "fit: %s: warning: no degree up to %u gives %s to %.0f bits on that range; a narrower range helps",
        base->label, degree_most, a->name, precision);
}

static velum_status choose(vl_nn_lowered *l, vl_nn_base *base, const seen *s, uint64_t rows) {
    double *lo, *hi, low = INFINITY, high = -INFINITY, least = 0, most = 0;
    const char *how = s->lo ? "calibrated, margin 2" : "from the inputs' ranges";
    VL_NN_TAKE(l->heap, lo, base->n);
    VL_NN_TAKE(l->heap, hi, base->n);
    VL_TRY(argument_range(l, base, s, lo, hi));
    if (s->row) VL_TRY(warn_outliers(l, base, s, rows));
    for (uint32_t i = 0; i < base->n; i++) {
        low = fmin(low, lo[i]);
        high = fmax(high, hi[i]);
    }
    if (base->act->compares) {
        VL_TRY(set_units(l, base, lo, hi, !s->lo || rows >= ROWS_FOR_ELEMENTS, &least, &most));
        VL_TRY(choose_composite(l, base, how, least, most));
    } else {
        VL_TRY(choose_polynomial(l, base, how, low, high));
    }
    vl_nn_act_range(base->act, base->n, lo, hi, base->lo, base->hi);
    for (uint32_t i = 0; i < base->n; i++) { // what reads it gets the approximation
        base->lo[i] -= base->act->error * base->unit[i];
        base->hi[i] += base->act->error * base->unit[i];
    }
    return VELUM_OK;
}

// A relu whose argument never goes below zero does nothing, one whose argument never goes above is zero.
static velum_status simplify(vl_nn_lowered *l, vl_nn_base *base, const seen *s, bool *changed) {
    double *lo, *hi, low = INFINITY, high = -INFINITY;
    if (!base->act->compares || base->act->kind != VL_RELU) return VELUM_OK;
    VL_NN_TAKE(l->heap, lo, base->n);
    VL_NN_TAKE(l->heap, hi, base->n);
    vl_nn_form_range(l, base->arg[0], lo, hi);
    for (uint32_t i = 0; i < base->n; i++) {
        bool promised = base->act->promised && s->lo;
        low = fmin(low, promised ? fmax(lo[i], s->lo[i]) : lo[i]);
        high = fmax(high, promised ? fmin(hi[i], s->hi[i]) : hi[i]);
    }
    if (low < 0 && high > 0) return VELUM_OK;
    *changed = true;
    if (high <= 0) {
        base->zero = true;
        memset(base->lo, 0, base->n * sizeof *base->lo);
        memset(base->hi, 0, base->n * sizeof *base->hi);
    } else {
        for (uint32_t i = 0; i < base->n; i++) {
            base->lo[i] = fmax(lo[i], 0);
            base->hi[i] = fmax(hi[i], 0);
        }
        base->kind = VL_NN_BASE_COPY;
        base->act = NULL;
    }
    return vl_nn_note(l, "ranges: %s: its bound is never reached%s: taken as a promise", base->label,
                      s->lo ? " by the calibration rows" : "");
}

static bool has_act(const vl_nn_lowered *l) {
    for (uint32_t b = 1; b < l->base_count; b++)
        if (l->base[b].kind == VL_NN_BASE_ACT) return true;
    return false;
}

velum_status vl_nn_fit(vl_nn_lowered *l, const double *features, uint64_t rows) {
    bool changed = false;
    seen *s;
    if (l->fitted || !has_act(l)) return VELUM_OK;
    l->fitted = true;
    VL_NN_TAKE(l->heap, s, l->base_count);
    if (features) VL_TRY(watch(l, features, rows, s));
    for (uint32_t b = 1; b < l->base_count; b++)
        if (l->base[b].kind == VL_NN_BASE_ACT) VL_TRY(simplify(l, &l->base[b], &s[b], &changed));
    if (changed) {
        VL_TRY(vl_nn_prune(l));
        VL_NN_TAKE(l->heap, s, l->base_count);
        if (features) VL_TRY(watch(l, features, rows, s));
    }
    for (uint32_t b = 1; b < l->base_count; b++) {
        if (l->base[b].kind == VL_NN_BASE_ACT)
            VL_TRY(choose(l, &l->base[b], &s[b], rows));
        else
            VL_TRY(vl_nn_base_range(l, &l->base[b]));
    }
    return VELUM_OK;
}
