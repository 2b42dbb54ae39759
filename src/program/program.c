// SPDX-License-Identifier: Apache-2.0
// Saved form of programs and client halves.
#include "program/internal.h"
#include "program/matrix.h"
#include "program/spread.h"
#include <math.h>
#include <string.h>

#define MAX_FILE ((size_t)4 << 30)
#define MAX_OPS 65536

const char *vl_op_text(vl_op_kind kind) {
    static const char *const text[] = {
#define X(name, text, inputs) text,
        VL_OP_LIST(X)
#undef X
    };
    return (unsigned)kind < VL_OP_KINDS ? text[kind] : "?";
}

uint32_t vl_op_inputs(vl_op_kind kind) {
    static const uint8_t inputs[] = {
#define X(name, text, inputs) inputs,
        VL_OP_LIST(X)
#undef X
    };
    return inputs[kind];
}

void vl_program_clear(vl_program *p) {
    for (uint32_t i = 0; p->ops && i < p->op_count; i++) {
        vl_free(p->ops[i].name);
        vl_free(p->ops[i].weights);
        vl_free(p->ops[i].bias);
        vl_free(p->ops[i].coeffs);
        vl_matrix_clear(&p->ops[i].matrix);
        vl_spread_clear(&p->ops[i].spread);
    }
    vl_free(p->ops);
    vl_free(p->values);
    vl_free(p->notes);
    vl_manifest_clear(&p->manifest);
    *p = (vl_program){0};
}

// ---- save ----

static void save_doubles(vl_writer *w, const double *v, uint32_t n) {
    vl_write_u32(w, v ? n : 0);
    for (uint32_t i = 0; v && i < n; i++) vl_write_f64(w, v[i]);
}

// The numbers of a plan, in the order in which they are saved.
#define PLAN_FIELDS 14
static void plan_fields(vl_lintrans_plan *plan, uint32_t *field[PLAN_FIELDS]) {
    vl_lintrans_shape *s = &plan->shape;
    uint32_t *const all[PLAN_FIELDS] = {&s->rows,       &s->cols,      &s->slots,      &s->lanes,       &s->valid_in,
                                        &s->valid_need, &s->period_in, &s->period_out, &plan->babies,   &plan->giants,
                                        &plan->copies,  &plan->folds,  &plan->spacing, &plan->valid_out};
    memcpy(field, all, sizeof all);
}

static void save_compare(vl_writer *w, const vl_op *op) {
    vl_write_string(w, op->compare.minimax->name);
    vl_write_u32(w, op->compare.minimax->alpha);
    vl_write_u8(w, (uint8_t)op->compare.kind);
    vl_write_f64(w, op->compare.bound);
    vl_write_u32(w, op->first);
    vl_write_u32(w, op->count);
}

static void save_fold(vl_writer *w, const vl_op *op) {
    vl_write_u32(w, op->count);
    for (uint32_t k = 0; k < op->count; k++) vl_write_u32(w, (uint32_t)op->rotation[k]);
}

static velum_status save_op(vl_writer *w, const vl_program *p, const vl_op *op) {
    bool linear = op->kind == VL_OP_LINTRANS || op->kind == VL_OP_MIX;
    vl_write_u8(w, (uint8_t)op->kind);
    vl_write_string(w, op->name ? op->name : "");
    vl_write_u32(w, op->dst);
    vl_write_u32(w, op->src[0]);
    vl_write_u32(w, op->src[1]);
    vl_write_u16(w, op->level);
    vl_write_f64(w, op->plain_scale);
    vl_write_f64(w, op->seconds);
    vl_write_u32(w, linear ? op->rows : 0);
    vl_write_u32(w, linear ? op->cols : 0);
    if (op->kind == VL_OP_LINTRANS) {
        vl_lintrans_plan plan = op->plan;
        uint32_t *field[PLAN_FIELDS];
        plan_fields(&plan, field);
        for (uint32_t i = 0; i < PLAN_FIELDS; i++) vl_write_u32(w, *field[i]);
    }
    if (op->kind == VL_OP_DIAGONALS) {
        vl_write_u32(w, (uint32_t)op->step);
        vl_write_u32(w, (uint32_t)op->start);
        vl_write_f64(w, op->diagonal_seconds);
        VL_TRY(vl_matrix_save(&op->matrix, w));
    }
    save_doubles(w, linear ? op->weights : NULL, op->rows * op->cols);
    save_doubles(w, op->bias, vl_program_bias_count(p, op));
    if (op->kind == VL_OP_SIGN || op->kind == VL_OP_GATE) save_compare(w, op);
    if (op->kind == VL_OP_SPREAD) vl_spread_save(&op->spread, w);
    if (op->kind == VL_OP_FOLD) save_fold(w, op);
    if (op->kind == VL_OP_POLY) {
        vl_write_u8(w, (uint8_t)op->poly.basis);
        vl_write_f64(w, op->poly.lo);
        vl_write_f64(w, op->poly.hi);
        save_doubles(w, op->coeffs, op->poly.degree + 1);
    }
    return VELUM_OK;
}

// As load counts them.
static velum_status check_entries(const vl_program *p) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == VL_OP_DIAGONALS) sum += p->ops[i].matrix.start[p->ops[i].matrix.rows];
    VL_FAIL_IF(sum > VL_MATRIX_MAX_TOTAL, VELUM_E_LIMIT, "program: its matrices have %llu entries, the limit is %llu",
               (unsigned long long)sum, (unsigned long long)VL_MATRIX_MAX_TOTAL);
    return VELUM_OK;
}

velum_status vl_program_save(vl_program *p, vl_writer *w) {
    VL_TRY(vl_program_verify(p));
    VL_TRY(check_entries(p));
    static const uint8_t none[VL_DIGEST_BYTES];
    size_t start = w->size;
    vl_frame_begin(w, VL_FRAME_PROGRAM, none);
    vl_manifest_save(&p->manifest, w);
    vl_write_u32(w, p->value_count);
    for (uint32_t i = 0; i < p->value_count; i++) {
        vl_layout_save(&p->values[i].layout, w);
        vl_write_u16(w, p->values[i].level);
        vl_write_f64(w, p->values[i].scale);
        vl_write_f64(w, p->values[i].bound);
    }
    vl_write_u32(w, p->op_count);
    for (uint32_t i = 0; i < p->op_count; i++) VL_TRY(save_op(w, p, &p->ops[i]));
    vl_write_u32(w, p->output);
    vl_write_f64(w, p->query_seconds);
    vl_write_f64(w, p->answer_seconds);
    vl_write_u64(w, p->memory_bytes);
    size_t notes = p->notes ? strlen(p->notes) : 0;
    vl_write_u32(w, (uint32_t)notes);
    vl_write_bytes(w, p->notes ? p->notes : "", notes);
    VL_TRY(vl_frame_end(w));
    vl_digest(w->data + start, w->size - start - VL_DIGEST_BYTES, p->digest);
    return VELUM_OK;
}

velum_status vl_client_half_save(const vl_program *p, vl_writer *w) {
    vl_frame_begin(w, VL_FRAME_CLIENT, p->digest);
    vl_manifest_save(&p->manifest, w);
    return vl_frame_end(w);
}

// ---- load ----

static velum_status load_doubles(vl_reader *r, const char *what, uint64_t expect, bool optional, double **out) {
    uint32_t n = vl_read_count(r, 1u << 28, 8);
    VL_FAIL_IF(r->bad || (n != expect && !(optional && n == 0)), VELUM_E_FORMAT, "%s: %u numbers, expected %llu", what,
               n, (unsigned long long)expect);
    if (n == 0) return VELUM_OK;
    VL_FAIL_IF(!(*out = vl_alloc_array(n, sizeof **out)), VELUM_E_NOMEM, "%s: %u numbers", what, n);
    for (uint32_t i = 0; i < n; i++) (*out)[i] = vl_read_f64(r);
    return VELUM_OK;
}

static velum_status load_poly(vl_reader *r, vl_op *op) {
    uint8_t basis = vl_read_u8(r);
    op->poly.lo = vl_read_f64(r);
    op->poly.hi = vl_read_f64(r);
    uint32_t n = vl_read_count(r, VL_POLY_MAX_DEGREE + 1, 8);
    VL_FAIL_IF(basis > VL_CHEBYSHEV || n < 2, VELUM_E_FORMAT, "%s: polynomial with %u coefficients", op->name, n);
    VL_FAIL_IF(!(op->coeffs = vl_alloc_array(n, sizeof *op->coeffs)), VELUM_E_NOMEM, "%s: polynomial", op->name);
    for (uint32_t i = 0; i < n; i++) op->coeffs[i] = vl_read_f64(r);
    op->poly.basis = (vl_poly_basis)basis;
    op->poly.degree = n - 1;
    op->poly.c = op->coeffs;
    return VELUM_OK;
}

static velum_status load_compare(vl_reader *r, vl_op *op) {
    char *degrees = vl_read_string(r, VL_MAX_NAME);
    uint32_t alpha = vl_read_u32(r);
    uint8_t kind = vl_read_u8(r);
    op->compare.bound = vl_read_f64(r);
    op->first = vl_read_u32(r);
    op->count = vl_read_u32(r);
    op->compare.minimax = degrees ? vl_minimax_find(degrees, alpha) : NULL;
    bool known = !r->bad && kind <= VL_RELU && op->compare.minimax && op->compare.minimax->alpha == alpha;
    velum_status status =
        known ? VELUM_OK
              : VL_FAIL(VELUM_E_FORMAT, "%s: no composite [%s] of %u bits", op->name, degrees ? degrees : "?", alpha);
    op->compare.kind = (vl_compare_kind)kind;
    vl_free(degrees);
    return status;
}

static velum_status load_fold(vl_reader *r, vl_op *op) {
    op->count = vl_read_count(r, VL_FOLD_MOST, 4);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "%s: more than %d rotations, or cut short", op->name, VL_FOLD_MOST);
    for (uint32_t k = 0; k < op->count; k++) op->rotation[k] = (int32_t)vl_read_u32(r);
    return VELUM_OK;
}

// entries: of matrices, that the rest of the file may still stand for
static velum_status load_op(vl_reader *r, const vl_program *p, uint64_t *entries, vl_op *op) {
    uint8_t kind = vl_read_u8(r);
    VL_FAIL_IF(kind >= VL_OP_KINDS, VELUM_E_FORMAT, "operation kind %u", kind);
    op->kind = (vl_op_kind)kind;
    op->name = vl_read_string(r, VL_MAX_NAME);
    VL_FAIL_IF(!op->name, VELUM_E_FORMAT, "operation: bad name");
    op->dst = vl_read_u32(r);
    op->src[0] = vl_read_u32(r);
    op->src[1] = vl_read_u32(r);
    op->level = vl_read_u16(r);
    op->plain_scale = vl_read_f64(r);
    op->seconds = vl_read_f64(r);
    op->rows = vl_read_u32(r);
    op->cols = vl_read_u32(r);
    bool linear = kind == VL_OP_LINTRANS || kind == VL_OP_MIX;
    VL_FAIL_IF(op->rows > VL_MAX_FEATURES || op->cols > VL_MAX_FEATURES || linear != (op->rows && op->cols),
               VELUM_E_FORMAT, "%s: %u x %u weights", op->name, op->rows, op->cols);
    if (kind == VL_OP_LINTRANS) {
        uint32_t *field[PLAN_FIELDS];
        plan_fields(&op->plan, field);
        for (uint32_t i = 0; i < PLAN_FIELDS; i++) *field[i] = vl_read_u32(r);
    }
    if (kind == VL_OP_DIAGONALS) {
        op->step = (int32_t)vl_read_u32(r);
        op->start = (int32_t)vl_read_u32(r);
        op->diagonal_seconds = vl_read_f64(r);
        VL_TRY(vl_matrix_load(r, op->name, entries, &op->matrix));
    }
    VL_TRY(load_doubles(r, op->name, (uint64_t)op->rows * op->cols, false, &op->weights));
    VL_TRY(load_doubles(r, op->name, vl_program_bias_count(p, op), true, &op->bias));
    if (kind == VL_OP_SIGN || kind == VL_OP_GATE) VL_TRY(load_compare(r, op));
    if (kind == VL_OP_SPREAD) return vl_spread_load(r, op->name, &op->spread);
    if (kind == VL_OP_FOLD) return load_fold(r, op);
    return kind == VL_OP_POLY ? load_poly(r, op) : VELUM_OK;
}

static velum_status load_body(vl_reader *r, vl_program *p) {
    VL_TRY(vl_manifest_load(r, &p->manifest));
    p->value_count = vl_read_count(r, MAX_OPS, VL_LAYOUT_BYTES + 18);
    VL_FAIL_IF(!p->value_count || !(p->values = vl_alloc_array(p->value_count, sizeof *p->values)), VELUM_E_FORMAT,
               "program: no values");
    for (uint32_t i = 0; i < p->value_count; i++) {
        VL_TRY(vl_layout_load(r, &p->values[i].layout));
        p->values[i].level = vl_read_u16(r);
        p->values[i].scale = vl_read_f64(r);
        p->values[i].bound = vl_read_f64(r);
    }
    p->op_count = vl_read_count(r, MAX_OPS, 43);
    VL_FAIL_IF(!p->op_count || !(p->ops = vl_alloc_array(p->op_count, sizeof *p->ops)), VELUM_E_FORMAT,
               "program: no operations");
    uint64_t entries = vl_matrix_budget(r->size);
    for (uint32_t i = 0; i < p->op_count; i++) VL_TRY(load_op(r, p, &entries, &p->ops[i]));
    p->output = vl_read_u32(r);
    p->query_seconds = vl_read_f64(r);
    p->answer_seconds = vl_read_f64(r);
    p->memory_bytes = vl_read_u64(r);
    uint32_t notes = vl_read_count(r, 1u << 20, 1);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "program: cut short");
    VL_FAIL_IF(!(p->notes = vl_alloc(notes + 1)), VELUM_E_NOMEM, "program: notes");
    vl_read_bytes(r, p->notes, notes);
    VL_FAIL_IF(r->bad || vl_reader_left(r) != 0, VELUM_E_FORMAT, "program: %zu bytes too many or too few",
               vl_reader_left(r));
    return vl_program_verify(p);
}

velum_status vl_program_load(const void *data, size_t size, vl_program *out) {
    vl_reader r;
    VL_TRY(vl_frame_open(data, size, VL_FRAME_PROGRAM, &r, NULL));
    vl_program p = {0};
    velum_status status = load_body(&r, &p);
    if (status != VELUM_OK) {
        vl_program_clear(&p);
        return status;
    }
    vl_digest(data, size - VL_DIGEST_BYTES, p.digest);
    *out = p;
    return VELUM_OK;
}
