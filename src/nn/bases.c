// SPDX-License-Identifier: Apache-2.0
#include "nn/form.h"
#include <stdio.h>
#include <string.h>

// Where the elements of a picture lie: all of them are there until pruning.
static velum_status place_elements(vl_nn_lowered *l, vl_nn_base *b) {
    b->picture = b->arg[0]->picture;
    if (b->arg[1] && b->picture.gap == 0) b->picture = b->arg[1]->picture;
    vl_nn_picture_settle(&b->picture);
    b->extent = b->n;
    if (!l->packed || b->picture.gap == 0) return VELUM_OK;
    b->extent = (uint32_t)vl_nn_picture_extent(&b->picture);
    return vl_nn_picture_positions(l->heap, &b->picture, &b->position);
}

static velum_status add(vl_nn_lowered *l, vl_nn_base made, const char *label, uint32_t *out) {
    const vl_nn_form *a = made.arg[0];
    VL_FAIL_IF(a && a->n > VL_MAX_FEATURES, VELUM_E_LIMIT, "model: '%s' has %u features, the limit is %d", label, a->n,
               VL_MAX_FEATURES);
    if (l->base_count == l->base_room) {
        vl_nn_base *more;
        VL_NN_TAKE(l->heap, more, 2 * l->base_room + 16);
        if (l->base_count) memcpy(more, l->base, l->base_count * sizeof *more);
        l->base = more;
        l->base_room = 2 * l->base_room + 16;
    }
    snprintf(made.label, sizeof made.label, "%s", label);
    if (a) {
        made.n = a->n;
        VL_NN_TAKE(l->heap, made.lo, a->n);
        VL_NN_TAKE(l->heap, made.hi, a->n);
        VL_TRY(place_elements(l, &made));
        VL_TRY(vl_nn_base_range(l, &made));
    }
    l->base[l->base_count] = made;
    *out = l->base_count++;
    return VELUM_OK;
}

velum_status vl_nn_add_base(vl_nn_lowered *l, vl_nn_base_kind kind, const vl_nn_form *a, const vl_nn_form *b,
                            const char *label, uint32_t *out) {
    return add(l, (vl_nn_base){.kind = kind, .arg = {a, b}}, label, out);
}

velum_status vl_nn_base_form(vl_nn_lowered *l, uint32_t base, vl_nn_form **out) {
    VL_TRY(vl_nn_form_identity(l->heap, base, l->base[base].n, out));
    (*out)->picture = l->base[base].picture;
    return VELUM_OK;
}

velum_status vl_nn_add_act(vl_nn_lowered *l, const vl_nn_act *act, const vl_nn_form *a, const char *label,
                           vl_nn_form **out) {
    uint32_t base = 0;
    vl_nn_act *own;
    VL_NN_TAKE(l->heap, own, 1);
    *own = *act;
    VL_TRY(add(l, (vl_nn_base){.kind = VL_NN_BASE_ACT, .arg = {a}, .act = own}, label, &base));
    return vl_nn_base_form(l, base, out);
}

void vl_nn_base_at(const vl_nn_base *base, const double *other, double *x) {
    const vl_nn_act *a = base->act;
    for (uint32_t i = 0; i < base->n && base->kind != VL_NN_BASE_COPY; i++) {
        if (!a) {
            x[i] *= other ? other[i] : x[i];
        } else if (!a->poly && !a->compare) {
            x[i] = a->f(x[i], a->arg);
        } else {
            double u = (x[i] - a->shift) / a->unit[i];
            x[i] = base->unit[i] * (a->poly ? vl_polynomial_eval(a->poly, u) : vl_compare_eval(a->compare, u));
        }
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
        vl_nn_base_at(base, other, value[b]);
        vl_free(other);
    }
    vl_nn_form_at(l->output, value, output);
    return VELUM_OK;
}
