// SPDX-License-Identifier: Apache-2.0
// How large values become, in all of their positions.
#include "nn/plan.h"
#include <math.h>
#include <string.h>

static uint32_t elements_of(const vl_nn_lowered *l, const vl_nn_value *v) {
    return v->form ? v->form->n : l->base[v->base].n;
}

// The element as the program holds it.
static double held(const vl_nn_value *v, uint32_t i, double x) { return (x - v->shift) / (v->unit ? v->unit[i] : 1); }

static void input_ranges(const vl_nn_prologue *p, double *lo, double *hi) {
    for (uint32_t g = 0; g < p->group_count; g++) {
        const vl_nn_group *group = &p->groups[g];
        for (uint32_t k = 0; k < group->depth; k++) hi[group->first + k] = 1;
        if (group->depth) continue;
        lo[group->first] = p->steps[group->step].lo;
        hi[group->first] = p->steps[group->step].hi;
    }
}

static velum_status bounds_from_ranges(vl_nn_lowered *l, vl_nn_plan *p) {
    for (uint32_t v = 0; v < p->value_count; v++) {
        vl_nn_value *value = &p->values[v];
        uint32_t n = elements_of(l, value);
        double *lo, *hi, limit = value->limit > 0 ? value->limit : INFINITY;
        VL_NN_TAKE(l->heap, lo, n);
        VL_NN_TAKE(l->heap, hi, n);
        VL_NN_TAKE(l->heap, value->most, value->dim);
        if (value->form) {
            vl_nn_form_range(l, value->form, lo, hi);
        } else if (value->base > 0) {
            memcpy(lo, l->base[value->base].lo, n * sizeof *lo);
            memcpy(hi, l->base[value->base].hi, n * sizeof *hi);
        } else {
            input_ranges(&l->prologue, lo, hi);
        }
        for (uint32_t i = 0; i < n; i++) {
            double most = fmin(limit, fmax(fabs(held(value, i, lo[i])), fabs(held(value, i, hi[i]))));
            value->most[value->position ? value->position[i] : i] = most;
            value->bound = fmax(value->bound, most);
        }
    }
    return VELUM_OK;
}

static velum_status bounds_from_rows(vl_nn_lowered *l, vl_nn_plan *p, const double *features, uint64_t rows) {
    double **value, *output, *seen, *y;
    uint32_t widest = l->output->n;
    VL_NN_TAKE(l->heap, value, l->base_count);
    VL_NN_TAKE(l->heap, output, l->output->n);
    VL_NN_TAKE(l->heap, seen, p->value_count);
    for (uint32_t i = 0; i < l->base_count; i++) VL_NN_TAKE(l->heap, value[i], l->base[i].n);
    for (uint32_t v = 0; v < p->value_count; v++)
        widest = elements_of(l, &p->values[v]) > widest ? elements_of(l, &p->values[v]) : widest;
    VL_NN_TAKE(l->heap, y, widest);
    for (uint64_t r = 0; r < rows; r++) {
        VL_TRY(vl_nn_form_run(l, features + r * l->prologue.columns, value, output));
        for (uint32_t b = 1; b < l->base_count; b++)
            VL_TRY(vl_nn_check_reach(l->base[b].label, r, value[b], l->base[b].n));
        for (uint32_t v = 0; v < p->value_count; v++) {
            const vl_nn_value *at = &p->values[v];
            const double *x = at->form ? y : value[at->base];
            if (at->limit > 0) continue;
            if (at->form) vl_nn_form_at(at->form, value, y);
            for (uint32_t i = 0; i < elements_of(l, at); i++) seen[v] = fmax(seen[v], fabs(held(at, i, x[i])));
        }
    }
    for (uint32_t v = 0; v < p->value_count; v++) {
        vl_nn_value *at = &p->values[v];
        double margin = at->base != VL_NN_NONE && at->base > 0 ? VL_NN_MARGIN * VL_NN_MARGIN : VL_NN_MARGIN;
        if (at->limit > 0) continue;
        at->bound = fmin(at->bound, margin * seen[v] + 0x1p-10);
    }
    return VELUM_OK;
}

velum_status vl_nn_plan_bounds(vl_nn_lowered *l, vl_nn_plan *p, const double *calibration, uint64_t rows) {
    VL_TRY(bounds_from_ranges(l, p));
    return calibration ? bounds_from_rows(l, p, calibration, rows) : VELUM_OK;
}
