// SPDX-License-Identifier: Apache-2.0
// From bases and forms to operations on values in positions.
#include "nn/plan.h"
#include <math.h>
#include <string.h>

#define ACT_MOST (1 + 0x1p-10)       // results of activations, with what the approximation is off by
#define CALIBRATION_WORK 0x1p34      // multiplications: some fifteen seconds, twice
#define DENSE_MOST ((size_t)1 << 22) // entries up to which a map is given as a full matrix too

typedef struct build {
    vl_nn_lowered *l;
    vl_nn_plan *p;
    uint32_t *value_of; // by base
    uint32_t value_room, op_room;
} build;

// How a form's value lies: as its base, or one element after the other.
typedef struct place {
    uint32_t extent;
    const uint32_t *position;
    const double *unit;
    double shift, limit; // of values that hold it: see vl_nn_value
} place;

static place place_of(const vl_nn_base *b) { // of its arguments
    place at = {.extent = b->extent, .position = b->position, .unit = b->unit};
    if (!b->act) return at;
    at.unit = b->act->unit;
    at.shift = b->act->shift;
    at.limit = 1;
    return at;
}

static velum_status add_value(build *b, const place *at, uint32_t base, const vl_nn_form *form, uint32_t *out) {
    VL_FAIL_IF(b->p->value_count == b->value_room, VELUM_E_INTERNAL, "plan: too many values");
    b->p->values[b->p->value_count] = (vl_nn_value){.dim = at->extent,
                                                    .base = base,
                                                    .form = form,
                                                    .position = at->position,
                                                    .unit = at->unit,
                                                    .shift = at->shift,
                                                    .limit = at->limit};
    *out = b->p->value_count++;
    return VELUM_OK;
}

static velum_status add_op(build *b, vl_nn_op op) {
    VL_FAIL_IF(b->p->op_count == b->op_room, VELUM_E_INTERNAL, "plan: too many operations");
    op.scale_bound = 1;
    b->p->ops[b->p->op_count++] = op;
    return VELUM_OK;
}

// ---- linear maps ----

static velum_status inverse_of(vl_nn_heap *h, const double *unit, uint32_t n, double **out) {
    *out = NULL;
    if (!unit) return VELUM_OK;
    VL_NN_TAKE(h, *out, n);
    for (uint32_t i = 0; i < n; i++) (*out)[i] = 1 / unit[i];
    return VELUM_OK;
}

// The matrix of a term between positions.
static velum_status matrix_of(build *b, const vl_nn_form *f, const vl_nn_term *t, const place *at,
                              const vl_nn_sparse **out) {
    const vl_nn_base *from = &b->l->base[t->base];
    const vl_nn_sparse *m = t->m;
    vl_nn_sparse *one;
    double *up;
    if (!m) {
        VL_TRY(vl_nn_sparse_identity(b->l->heap, f->n, &one));
        m = one;
    }
    *out = m;
    bool moved = at->position || from->position || at->unit || from->unit;
    if (!moved && m->cols == from->extent) return VELUM_OK;
    VL_TRY(inverse_of(b->l->heap, at->unit, f->n, &up));
    return vl_nn_sparse_move(b->l->heap, m, at->position, at->extent, from->position, from->extent, up, from->unit,
                             out);
}

static velum_status bias_of(build *b, const vl_nn_form *f, const place *at, const double **out) {
    double *bias;
    bool any = false;
    VL_NN_TAKE(b->l->heap, bias, at->extent);
    for (uint32_t i = 0; i < f->n; i++) {
        double v = (f->bias[i] - at->shift) / (at->unit ? at->unit[i] : 1);
        any = any || v != 0;
        bias[at->position ? at->position[i] : i] = v;
    }
    if (any) *out = bias;
    return VELUM_OK;
}

static velum_status full_matrix(vl_nn_heap *h, const vl_nn_sparse *m, const double **out) {
    double *full;
    if ((size_t)m->rows * m->cols > DENSE_MOST) return VELUM_OK;
    VL_NN_TAKE(h, full, (size_t)m->rows * m->cols);
    for (uint32_t r = 0; r < m->rows; r++)
        for (size_t k = m->start[r]; k < m->start[r + 1]; k++) full[(size_t)r * m->cols + m->col[k]] = m->val[k];
    *out = full;
    return VELUM_OK;
}

// One term of a form as an operation; the first carries the bias.
static velum_status add_term(build *b, const vl_nn_form *f, uint32_t t, const place *at, uint32_t *dst) {
    const vl_nn_term *term = &f->term[t];
    const vl_nn_sparse *m;
    vl_nn_form *part;
    VL_TRY(matrix_of(b, f, term, at, &m));
    vl_nn_op op = {.kind = VL_OP_LINTRANS,
                   .src = {b->value_of[term->base]},
                   .rows = m->rows,
                   .cols = m->cols,
                   .m = m,
                   .nonzero = vl_nn_sparse_count(m)};
    op.label = f->label[0] ? f->label : b->l->base[term->base].label;
    if (t == 0) VL_TRY(bias_of(b, f, at, &op.bias));
    for (uint32_t i = 0; i < m->rows; i++) {
        double sum = 0;
        for (size_t k = m->start[i]; k < m->start[i + 1]; k++) {
            double w = m->val[k];
            sum += fabs(w);
            VL_FAIL_IF(!(fabs(w) < 0x1p30), VELUM_E_LIMIT, "model: '%s' has a weight of %g", op.label, w);
        }
        op.row_sum = fmax(op.row_sum, sum);
        VL_FAIL_IF(op.bias && !(fabs(op.bias[i]) < 0x1p30), VELUM_E_LIMIT, "model: '%s' has a bias of %g", op.label,
                   op.bias[i]);
    }
    VL_TRY(full_matrix(b->l->heap, m, &op.weights));
    VL_NN_TAKE(b->l->heap, part, 1);
    *part = *f;
    part->terms = 1;
    part->term = (vl_nn_term *)term;
    place lies = *at;
    if (f->terms > 1) lies.limit = 0; // only the sum is known
    if (t > 0) {
        VL_NN_TAKE(b->l->heap, part->bias, f->n);
        lies.shift = 0;
    }
    VL_TRY(add_value(b, &lies, VL_NN_NONE, part, dst));
    op.dst = *dst;
    return add_op(b, op);
}

static bool same_place(const place *at, const vl_nn_base *from) {
    if (at->shift != 0 || at->extent != from->extent) return false;
    for (uint32_t i = 0; i < from->n; i++) {
        if ((at->position ? at->position[i] : i) != (from->position ? from->position[i] : i)) return false;
        if ((at->unit ? at->unit[i] : 1) != (from->unit ? from->unit[i] : 1)) return false;
    }
    return true;
}

// The value that holds a form.
static velum_status explicit_value(build *b, const vl_nn_form *f, const place *at, uint32_t *out) {
    uint32_t base, sum, addend;
    if (vl_nn_form_is_base(b->l, f, &base)) {
        const vl_nn_base *from = &b->l->base[base];
        if (same_place(at, from)) {
            *out = b->value_of[base];
            return VELUM_OK;
        }
    }
    VL_TRY(add_term(b, f, 0, at, &sum));
    for (uint32_t t = 1; t < f->terms; t++) {
        VL_TRY(add_term(b, f, t, at, &addend));
        vl_nn_form *part;
        VL_NN_TAKE(b->l->heap, part, 1);
        *part = *f;
        part->terms = t + 1;
        vl_nn_op op = {.kind = VL_OP_ADD, .label = f->label, .src = {sum, addend}};
        place lies = *at;
        if (t + 1 < f->terms) lies.limit = 0;
        VL_TRY(add_value(b, &lies, VL_NN_NONE, part, &sum));
        op.dst = sum;
        VL_TRY(add_op(b, op));
    }
    *out = sum;
    return VELUM_OK;
}

static velum_status add_base(build *b, uint32_t i) {
    const vl_nn_base *base = &b->l->base[i];
    place at = place_of(base);
    vl_nn_op op = {.kind = base->arg[1] ? VL_OP_MUL : VL_OP_SQUARE, .label = base->label};
    for (uint32_t k = 0; k < 2 && base->arg[k]; k++) VL_TRY(explicit_value(b, base->arg[k], &at, &op.src[k]));
    if (base->kind == VL_NN_BASE_COPY) {
        b->value_of[i] = op.src[0];
        return VELUM_OK;
    }
    if (base->act) {
        op.kind = base->act->compare ? VL_OP_GATE : VL_OP_POLY;
        op.compare = base->act->compare;
        op.poly = base->act->poly;
        op.fit_error = op.poly ? base->act->error : 0;
        op.src[1] = op.compare ? op.src[0] : 0;
        op.count = op.compare ? op.compare->minimax->count : 0;
    }
    at.unit = base->unit;
    at.shift = 0;
    at.limit = base->act ? ACT_MOST : 0;
    VL_TRY(add_value(b, &at, i, NULL, &b->value_of[i]));
    op.dst = b->value_of[i];
    return add_op(b, op);
}

static velum_status build_ops(build *b) {
    vl_nn_lowered *l = b->l;
    place input = {.extent = l->base[0].n}, output = {.extent = l->output->n};
    VL_TRY(add_value(b, &input, 0, NULL, &b->value_of[0]));
    for (uint32_t i = 1; i < l->base_count; i++) VL_TRY(add_base(b, i));
    VL_TRY(explicit_value(b, l->output, &output, &b->p->output));
    VL_FAIL_IF(b->p->output == 0 && !b->p->packed, VELUM_E_UNSUPPORTED,
               "model: nothing is computed on encrypted values");
    if (!b->p->packed) return VELUM_OK;
    vl_nn_op mask = {.kind = VL_OP_MASK, .label = "outputs", .src = {b->p->output}};
    VL_TRY(add_value(b, &output, VL_NN_NONE, l->output, &mask.dst));
    b->p->output = mask.dst;
    return add_op(b, mask);
}

static uint32_t levels_of(const vl_nn_op *op) {
    switch (op->kind) {
    case VL_OP_ADD: return 0;
    case VL_OP_POLY: return vl_poly_plan(op->poly).levels;
    case VL_OP_GATE: return vl_nn_compare_levels(op->compare->minimax, true);
    default: return 1;
    }
}

// Each value at the highest level that a reader asks for; operations just above their result.
void vl_nn_plan_levels(vl_nn_plan *p) {
    p->values[p->output].level = 1;
    for (uint32_t i = p->op_count; i-- > 0;) {
        vl_nn_op *op = &p->ops[i];
        uint32_t level = p->values[op->dst].level + levels_of(op);
        op->level = (uint16_t)(level < UINT16_MAX ? level : UINT16_MAX); // far beyond any parameters
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
            vl_nn_value *v = &p->values[op->src[k]];
            if (v->level < op->level) v->level = op->level;
        }
    }
    p->depth = p->values[0].level;
}

velum_status vl_nn_enough_rows(vl_nn_lowered *l, uint64_t *rows) {
    double work = (double)vl_nn_form_count(l->output);
    for (uint32_t b = 1; b < l->base_count; b++)
        for (uint32_t k = 0; k < 2 && l->base[b].arg[k]; k++) work += (double)vl_nn_form_count(l->base[b].arg[k]);
    uint64_t most = (uint64_t)(CALIBRATION_WORK / (work + 1)) + 1;
    if (*rows <= most) return VELUM_OK;
    VL_TRY(vl_nn_note(l, "ranges: the first %llu of %llu calibration rows are used, more would take too long",
                      (unsigned long long)most, (unsigned long long)*rows));
    *rows = most;
    return VELUM_OK;
}

velum_status vl_nn_plan_of(vl_nn_lowered *l, bool packed, const double *calibration, uint64_t rows, vl_nn_plan *out) {
    if (calibration) VL_TRY(vl_nn_enough_rows(l, &rows));
    VL_TRY(vl_nn_fit(l, calibration, rows));
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
    vl_nn_plan_levels(&p);
    VL_TRY(vl_nn_plan_bounds(l, &p, calibration, rows));
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
