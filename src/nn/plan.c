// SPDX-License-Identifier: Apache-2.0
#include "nn/plan.h"
#include <math.h>
#include <string.h>

// What calibration saw is widened by this: other requests go further.
#define CALIBRATION_MARGIN 2.0

typedef struct build {
    vl_nn_lowered *l;
    vl_nn_plan *p;
    uint32_t *value_of; // by base
    uint32_t value_room, op_room;
} build;

static velum_status add_value(build *b, uint32_t dim, uint32_t base, const vl_nn_form *form, uint32_t *out) {
    VL_FAIL_IF(b->p->value_count == b->value_room, VELUM_E_INTERNAL, "plan: too many values");
    b->p->values[b->p->value_count] = (vl_nn_value){.dim = dim, .base = base, .form = form};
    *out = b->p->value_count++;
    return VELUM_OK;
}

static velum_status add_op(build *b, vl_nn_op op) {
    VL_FAIL_IF(b->p->op_count == b->op_room, VELUM_E_INTERNAL, "plan: too many operations");
    b->p->ops[b->p->op_count++] = op;
    return VELUM_OK;
}

// One term of a form as an operation; the first carries the bias.
static velum_status add_term(build *b, const vl_nn_form *f, uint32_t t, uint32_t *dst) {
    const vl_nn_term *term = &f->term[t];
    uint32_t cols = b->l->base[term->base].n;
    double *weights;
    vl_nn_form *part;
    VL_NN_TAKE(b->l->heap, weights, (size_t)f->n * cols);
    vl_nn_op op = {
        .kind = VL_OP_LINTRANS, .src = {b->value_of[term->base]}, .rows = f->n, .cols = cols, .weights = weights};
    op.label = f->label[0] ? f->label : b->l->base[term->base].label;
    for (uint32_t i = 0; i < f->n; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < cols; k++) {
            double w = vl_nn_term_at(term, i, k);
            weights[(size_t)i * cols + k] = w;
            sum += fabs(w);
            op.nonzero += w != 0;
            VL_FAIL_IF(!(fabs(w) < 0x1p30), VELUM_E_LIMIT, "model: '%s' has a weight of %g", op.label, w);
        }
        op.row_sum = fmax(op.row_sum, sum);
        VL_FAIL_IF(!(fabs(f->bias[i]) < 0x1p30), VELUM_E_LIMIT, "model: '%s' has a bias of %g", op.label, f->bias[i]);
        if (t == 0 && f->bias[i] != 0) op.bias = f->bias;
    }
    VL_TRY(vl_nn_form_constant(b->l->heap, f->n, &part));
    part->terms = 1;
    part->term = (vl_nn_term *)term;
    if (t == 0) part->bias = f->bias;
    VL_TRY(add_value(b, f->n, VL_NN_NONE, part, dst));
    op.dst = *dst;
    return add_op(b, op);
}

// The value that holds a form.
static velum_status explicit_value(build *b, const vl_nn_form *f, uint32_t *out) {
    uint32_t base, sum, addend;
    if (vl_nn_form_is_base(b->l, f, &base)) {
        *out = b->value_of[base];
        return VELUM_OK;
    }
    VL_TRY(add_term(b, f, 0, &sum));
    for (uint32_t t = 1; t < f->terms; t++) {
        VL_TRY(add_term(b, f, t, &addend));
        vl_nn_form *part;
        VL_NN_TAKE(b->l->heap, part, 1);
        *part = *f;
        part->terms = t + 1;
        vl_nn_op op = {.kind = VL_OP_ADD, .label = f->label, .src = {sum, addend}};
        VL_TRY(add_value(b, f->n, VL_NN_NONE, part, &sum));
        op.dst = sum;
        VL_TRY(add_op(b, op));
    }
    *out = sum;
    return VELUM_OK;
}

static velum_status build_ops(build *b) {
    vl_nn_lowered *l = b->l;
    VL_TRY(add_value(b, l->base[0].n, 0, NULL, &b->value_of[0]));
    for (uint32_t i = 1; i < l->base_count; i++) {
        const vl_nn_base *base = &l->base[i];
        vl_nn_op op = {.kind = base->arg[1] ? VL_OP_MUL : VL_OP_SQUARE, .label = base->label};
        for (uint32_t k = 0; k < 2 && base->arg[k]; k++) VL_TRY(explicit_value(b, base->arg[k], &op.src[k]));
        if (base->kind == VL_NN_BASE_COPY) {
            b->value_of[i] = op.src[0];
            continue;
        }
        VL_TRY(add_value(b, base->n, i, NULL, &b->value_of[i]));
        op.dst = b->value_of[i];
        VL_TRY(add_op(b, op));
    }
    VL_TRY(explicit_value(b, l->output, &b->p->output));
    VL_FAIL_IF(b->p->output == 0 && !b->p->packed, VELUM_E_UNSUPPORTED,
               "model: nothing is computed on encrypted values");
    if (!b->p->packed) return VELUM_OK;
    vl_nn_op mask = {.kind = VL_OP_MASK, .label = "outputs", .src = {b->p->output}};
    VL_TRY(add_value(b, l->output->n, VL_NN_NONE, l->output, &mask.dst));
    b->p->output = mask.dst;
    return add_op(b, mask);
}

// Each value at the highest level that a reader asks for; operations just above their result.
static void set_levels(vl_nn_plan *p) {
    p->values[p->output].level = 1;
    for (uint32_t i = p->op_count; i-- > 0;) {
        vl_nn_op *op = &p->ops[i];
        op->level = (uint16_t)(p->values[op->dst].level + (op->kind == VL_OP_ADD ? 0 : 1));
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
            vl_nn_value *v = &p->values[op->src[k]];
            if (v->level < op->level) v->level = op->level;
        }
    }
    p->depth = p->values[0].level;
}

static double largest(const double *lo, const double *hi, uint32_t n) {
    double most = 0;
    for (uint32_t i = 0; i < n; i++) most = fmax(most, fmax(fabs(lo[i]), fabs(hi[i])));
    return most;
}

static velum_status bounds_from_ranges(const build *b) {
    for (uint32_t v = 0; v < b->p->value_count; v++) {
        vl_nn_value *value = &b->p->values[v];
        double *lo, *hi;
        VL_NN_TAKE(b->l->heap, lo, value->dim);
        VL_NN_TAKE(b->l->heap, hi, value->dim);
        if (value->form) {
            vl_nn_form_range(b->l, value->form, lo, hi);
        } else if (value->base > 0) {
            memcpy(lo, b->l->base[value->base].lo, value->dim * sizeof *lo);
            memcpy(hi, b->l->base[value->base].hi, value->dim * sizeof *hi);
        } else {
            const vl_nn_prologue *p = &b->l->prologue;
            for (uint32_t g = 0; g < p->group_count; g++) {
                const vl_nn_group *group = &p->groups[g];
                for (uint32_t k = 0; k < group->depth; k++) hi[group->first + k] = 1;
                if (group->depth) continue;
                lo[group->first] = p->steps[group->step].lo;
                hi[group->first] = p->steps[group->step].hi;
            }
        }
        for (uint32_t i = 0; i < value->dim; i++) hi[i] = fmax(fabs(lo[i]), fabs(hi[i]));
        value->most = hi;
        value->bound = largest(hi, hi, value->dim);
    }
    return VELUM_OK;
}

static velum_status bounds_from_rows(const build *b, const double *features, uint64_t rows) {
    vl_nn_lowered *l = b->l;
    double **value, *output, *seen, *y;
    uint32_t widest = l->output->n;
    VL_NN_TAKE(l->heap, value, l->base_count);
    VL_NN_TAKE(l->heap, output, l->output->n);
    VL_NN_TAKE(l->heap, seen, b->p->value_count);
    for (uint32_t i = 0; i < l->base_count; i++) VL_NN_TAKE(l->heap, value[i], l->base[i].n);
    for (uint32_t v = 0; v < b->p->value_count; v++)
        widest = b->p->values[v].dim > widest ? b->p->values[v].dim : widest;
    VL_NN_TAKE(l->heap, y, widest);
    for (uint64_t r = 0; r < rows; r++) {
        VL_TRY(vl_nn_form_run(l, features + r * l->prologue.columns, value, output));
        for (uint32_t v = 0; v < b->p->value_count; v++) {
            const vl_nn_value *at = &b->p->values[v];
            const double *x = at->form ? y : value[at->base];
            if (at->form) vl_nn_form_at(at->form, value, y);
            seen[v] = fmax(seen[v], largest(x, x, at->dim));
        }
    }
    for (uint32_t v = 0; v < b->p->value_count; v++) {
        vl_nn_value *at = &b->p->values[v];
        double margin =
            at->base != VL_NN_NONE && at->base > 0 ? CALIBRATION_MARGIN * CALIBRATION_MARGIN : CALIBRATION_MARGIN;
        at->bound = fmin(at->bound, margin * seen[v] + 0x1p-10);
    }
    return VELUM_OK;
}

velum_status vl_nn_plan_of(vl_nn_lowered *l, bool packed, const double *calibration, uint64_t rows, vl_nn_plan *out) {
    vl_nn_plan p = {.packed = packed};
    build b = {.l = l, .p = &p};
    uint64_t terms = 2 + l->output->terms;
    for (uint32_t i = 1; i < l->base_count; i++) {
        terms += l->base[i].arg[0]->terms + 1u;
        if (l->base[i].arg[1]) terms += l->base[i].arg[1]->terms;
    }
    VL_FAIL_IF(terms > 8192, VELUM_E_LIMIT, "model: %llu linear maps", (unsigned long long)terms);
    b.value_room = b.op_room = (uint32_t)(2 * terms + 2);
    VL_NN_TAKE(l->heap, b.value_of, l->base_count);
    VL_NN_TAKE(l->heap, p.values, b.value_room);
    VL_NN_TAKE(l->heap, p.ops, b.op_room);
    VL_TRY(build_ops(&b));
    set_levels(&p);
    VL_FAIL_IF(p.depth > VL_MAX_LIMBS - 1, VELUM_E_LIMIT, "model: %u levels deep; nothing that deep works yet",
               p.depth - 1);
    VL_TRY(bounds_from_ranges(&b));
    if (calibration) VL_TRY(bounds_from_rows(&b, calibration, rows));
    for (uint32_t v = 0; v < p.value_count; v++) {
        const vl_nn_value *at = &p.values[v];
        const char *where = at->form && at->form->label[0] ? at->form->label
                            : at->base != VL_NN_NONE       ? l->base[at->base].label
                                                           : "a linear map";
        VL_FAIL_IF(!isfinite(at->bound), VELUM_E_LIMIT,
                   "model: values of '%s' have no bound: give velum.range metadata, a Clip before the first layer, or "
                   "calibration rows",
                   where);
    }
    *out = p;
    return VELUM_OK;
}
