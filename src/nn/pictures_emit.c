// SPDX-License-Identifier: Apache-2.0
// From stages and parameters to a program.
#include "nn/pictures.h"

#include "base/text.h"
#include <math.h>
#include <string.h>

#define BASE_BITS 50
#define SPECIAL_BITS 50
#define TERMS_A_MAP 2

// ---- remarks ----

static velum_status note_choice(vl_nn_lowered *l, const vl_nn_pictures_choice *c, const char *what) {
    const vl_nn_tiling *t = &c->tiling;
    return vl_nn_note(l,
                      "packing: %s, pictures over slots: %u x %u phases, %s, %s, %s at a time, at most %s, %s, %s; "
                      "N=2^%u, %s, %.1f s "
                      "and %llu MiB predicted, error %.1g",
                      what, t->phase_y, t->phase_x, vl_count(t->period, "position", "positions").s,
                      c->parts > 1 ? "real and imaginary parts" : "real parts",
                      vl_count(c->lanes, "request", "requests").s, vl_count(c->cts, "ciphertext", "ciphertexts").s,
                      vl_count(c->rotations, "rotation", "rotations").s, vl_count(c->products, "product", "products").s,
                      c->ring.log_n, vl_count(c->ring.special, "special prime", "special primes").s, c->total,
                      (unsigned long long)((c->memory + c->key_bytes) >> 20), c->error);
}

velum_status vl_nn_pictures_note_unchosen(vl_nn_lowered *l, const vl_nn_pictures_choice *c) {
    return note_choice(l, c, "not chosen");
}

velum_status vl_nn_pictures_note(const vl_nn_pictures *p, const vl_nn_pictures_choice *c) {
    vl_nn_lowered *l = p->l;
    uint32_t uneven = 0;
    VL_TRY(note_choice(l, c, "chosen"));
    VL_TRY(vl_nn_note(l, "parameters: chosen, N=2^%u, %s of %.1f bits, %s, scale 2^%u before squares", c->ring.log_n,
                      vl_count(p->depth - 1u, "level", "levels").s, vl_nn_pictures_prime(p, c),
                      vl_count(c->ring.special, "special prime", "special primes").s, c->scale_bits));
    VL_TRY(vl_nn_note(l, "memory: %llu MiB of ciphertexts, weights and scratch, %llu MiB of keys",
                      (unsigned long long)(c->memory >> 20), (unsigned long long)(c->key_bytes >> 20)));
    for (uint32_t i = 1; i < p->stages; i++) uneven += !p->stage[i].even && !p->stage[i].fold;
    if (uneven)
        VL_TRY(vl_nn_note(l, "packing: %s from pixel to pixel", vl_count(uneven, "bias differs", "biases differ").s));
    return vl_nn_note(l, "ranges: answers reach %.2g", p->answer_size);
}

// ---- operations ----

typedef struct emit {
    const vl_nn_pictures *p;
    const vl_nn_pictures_choice *c;
    vl_program *out;
    uint32_t *value;           // by stage
    double *argument, *result; // log2 of scales, by stage
    uint32_t slots;
} emit;

static velum_status set_params(const emit *e, uint32_t security, vl_params_literal *lit) {
    uint8_t q_bits[VL_MAX_LIMBS], p_bits[VL_MAX_LIMBS];
    *lit = (vl_params_literal){.log_n = e->c->ring.log_n,
                               .q_count = e->p->depth,
                               .p_count = e->c->ring.special,
                               .digit_limbs = e->c->ring.alpha,
                               .security_bits = security,
                               .scale = exp2(e->c->scale_bits)};
    for (uint32_t i = 0; i < lit->q_count; i++)
        q_bits[i] = (uint8_t)(i == 0 ? BASE_BITS : e->c->prime_bits + (i <= e->c->wider));
    for (uint32_t i = 0; i < lit->p_count; i++) p_bits[i] = SPECIAL_BITS;
    VL_TRY(vl_params_choose(lit, q_bits, p_bits));
    double log_qp = 0;
    for (uint32_t i = 0; i < lit->q_count; i++) log_qp += log2((double)lit->q[i]);
    for (uint32_t i = 0; i < lit->p_count; i++) log_qp += log2((double)lit->p[i]);
    double limit = vl_security_max_log_qp(lit->log_n, 0, security);
    VL_FAIL_IF(log_qp > limit, VELUM_E_INSECURE, "parameters: log2(QP) = %.2f, the limit is %.0f", log_qp, limit);
    return VELUM_OK;
}

static uint32_t add_value(emit *e, const vl_nn_stage *s, uint16_t level, double scale, double bound) {
    vl_program *p = e->out;
    p->values[p->value_count] = (vl_value){.layout = vl_nn_tiling_layout(&e->c->tiling, s, e->slots, e->c->parts),
                                           .level = level,
                                           .scale = scale,
                                           .bound = bound};
    return p->value_count++;
}

static velum_status add_op(emit *e, vl_op_kind kind, const char *name, uint16_t level, uint32_t a, uint32_t b,
                           vl_op **out) {
    vl_program *p = e->out;
    vl_op *op = &p->ops[p->op_count++];
    op->kind = kind;
    op->level = level;
    op->src[0] = a;
    op->src[1] = b;
    op->dst = p->value_count; // the next one
    VL_FAIL_IF(!(op->name = vl_strdup(name)), VELUM_E_NOMEM, "program: names");
    *out = op;
    return VELUM_OK;
}

static double prime_of(const emit *e, uint16_t level) { return (double)e->out->manifest.params.q[level - 1]; }

// vl_nn_evaluate_origins knows operations by these names.
static const char *map_name(const vl_nn_stage *s) { return s->form->label[0] ? s->form->label : s->label; }

// All terms of a stage, as maps of two and their sum.
static velum_status emit_maps(emit *e, const vl_nn_stage *s, double scale, uint32_t *out) {
    const vl_nn_form *f = s->form;
    const char *name = map_name(s);
    uint32_t sum = 0;
    vl_op *op;
    for (uint32_t first = 0; first < f->terms; first += TERMS_A_MAP) {
        const uint32_t count = f->terms - first < TERMS_A_MAP ? f->terms - first : TERMS_A_MAP;
        const uint32_t a = e->value[f->term[first].base], b = e->value[f->term[first + count - 1].base];
        const uint16_t level = (uint16_t)(s->level + 1);
        vl_nn_spread_size size;
        VL_TRY(add_op(e, VL_OP_SPREAD, name, level, a, b, &op));
        VL_TRY(vl_nn_pictures_map(e->p, s, &e->c->tiling, e->c->parts, first, count, &size, NULL, &op->spread));
        op->plain_scale = scale * prime_of(e, level) / e->out->values[a].scale;
        op->seconds = vl_nn_cost_spread(&e->c->ring, level, &size.cost, size.outputs);
        uint32_t made = add_value(e, s, s->level, 0, s->most);
        e->out->values[made].scale = vl_program_result_scale(&e->out->manifest.params, e->out, op);
        if (first > 0) {
            VL_TRY(add_op(e, VL_OP_ADD, name, s->level, sum, made, &op));
            op->seconds = size.outputs * vl_nn_cost_add(&e->c->ring, s->level);
            made = add_value(e, s, s->level, e->out->values[made].scale, s->most);
        }
        sum = made;
    }
    *out = sum;
    return VELUM_OK;
}

static velum_status emit_fold(emit *e, const vl_nn_stage *s, uint32_t *value) {
    int32_t rotation[VL_FOLD_MOST];
    const uint32_t count = vl_nn_tiling_folds(&e->c->tiling, e->p, s, rotation);
    vl_op *op;
    if (count == 0) return VELUM_OK;
    VL_TRY(add_op(e, VL_OP_FOLD, map_name(s), s->level, *value, *value, &op));
    op->count = count;
    memcpy(op->rotation, rotation, count * sizeof *rotation);
    op->seconds = vl_nn_cost_fold(&e->c->ring, s->level, count, e->out->values[*value].layout.cts);
    *value = add_value(e, s, s->level, e->out->values[*value].scale, s->most);
    return VELUM_OK;
}

static velum_status emit_squares(emit *e, const vl_nn_stage *s, uint32_t *value) {
    const vl_layout l = e->out->values[*value].layout;
    const uint32_t phases = l.phase_y * l.phase_x;
    double shift = 0;
    vl_op *op;
    VL_TRY(add_op(e, VL_OP_SQUARES, s->label, s->level, *value, *value, &op));
    for (uint32_t c = 0; c < s->grid.channels; c++) shift = fmax(shift, fabs(s->shift[c]));
    if (shift > 0) {
        VL_FAIL_IF(!(op->bias = vl_alloc_array(l.cts, sizeof *op->bias)), VELUM_E_NOMEM, "program: %u numbers", l.cts);
        for (uint32_t i = 0; i < l.cts; i++) op->bias[i] = s->shift[i / phases];
    }
    op->seconds = vl_nn_cost_squares(&e->c->ring, s->level, e->c->parts, l.cts);
    const double scale = vl_program_result_scale(&e->out->manifest.params, e->out, op);
    *value = add_value(e, s, s->level, scale, vl_nn_stage_most(s));
    return VELUM_OK;
}

static velum_status emit_stage(emit *e, uint32_t i) {
    const vl_nn_stage *s = &e->p->stage[i];
    uint32_t value;
    VL_TRY(emit_maps(e, s, exp2(e->argument[i]), &value));
    if (s->fold) VL_TRY(emit_fold(e, s, &value));
    if (s->kind == VL_NN_BASE_SQUARE) VL_TRY(emit_squares(e, s, &value));
    e->value[i] = value;
    return VELUM_OK;
}

static velum_status emit_answer(emit *e) {
    vl_program *p = e->out;
    const uint32_t last = e->value[e->p->stages - 1];
    const double scale = exp2(vl_nn_pictures_answer_bits(e->p));
    vl_op *op;
    VL_TRY(add_op(e, VL_OP_MASK, "outputs", 2, last, last, &op));
    op->plain_scale = scale * prime_of(e, 2) / p->values[last].scale;
    op->seconds = p->values[last].layout.cts * vl_nn_cost_mask(&e->c->ring, 2);
    p->output = add_value(e, &e->p->stage[e->p->stages - 1], 1, 0, e->p->answer_most);
    p->values[p->output].scale = vl_program_result_scale(&p->manifest.params, p, op);
    return VELUM_OK;
}

static velum_status emit_all(emit *e, uint32_t security) {
    vl_program *p = e->out;
    vl_manifest *m = &p->manifest;
    VL_TRY(set_params(e, security, &m->params));
    add_value(e, &e->p->stage[0], e->p->depth, exp2(VL_NN_PICTURES_IN_BITS), e->p->stage[0].most);
    for (uint32_t i = 1; i < e->p->stages; i++) VL_TRY(emit_stage(e, i));
    VL_TRY(emit_answer(e));
    m->in = p->values[0].layout;
    m->in_level = p->values[0].level;
    m->in_scale = p->values[0].scale;
    m->out = p->values[p->output].layout;
    m->out_level = m->zero_nq = p->values[p->output].level;
    m->out_scale = p->values[p->output].scale;
    m->error_bound = vl_nn_pictures_bound(e->p, e->c);
    m->error_expected = e->c->error_worst;
    return vl_nn_emit_keys(p);
}

velum_status vl_nn_pictures_emit(const vl_nn_pictures *p, const vl_nn_graph *g, const vl_nn_pictures_choice *c,
                                 const velum_compile_options *opt, vl_program *out) {
    emit e = {.p = p, .c = c, .out = out, .slots = 1u << (c->ring.log_n - 1)};
    uint32_t room = 8;
    for (uint32_t i = 1; i < p->stages; i++) room += 4 + 2 * p->stage[i].form->terms;
    VL_NN_TAKE(p->l->heap, e.value, p->stages);
    VL_NN_TAKE(p->l->heap, e.argument, p->stages);
    VL_NN_TAKE(p->l->heap, e.result, p->stages);
    VL_FAIL_IF(!vl_nn_pictures_bits(p, c, e.argument, e.result), VELUM_E_LIMIT,
               "model: weights do not fit their scales");
    out->values = vl_alloc_array(room, sizeof *out->values);
    out->ops = vl_alloc_array(room, sizeof *out->ops);
    VL_FAIL_IF(!out->values || !out->ops, VELUM_E_NOMEM, "program");
    VL_TRY(vl_nn_emit_model(p->l, g, opt, &out->manifest));
    VL_TRY(emit_all(&e, opt->security_bits ? opt->security_bits : 128));
    VL_TRY(vl_nn_price_around(p->l->heap, &c->ring, out));
    out->memory_bytes = opt->memory_bytes ? opt->memory_bytes : 16ull << 30;
    VL_FAIL_IF(!(out->notes = vl_strdup(p->l->notes ? p->l->notes : "")), VELUM_E_NOMEM, "program: notes");
    return vl_program_verify(out);
}
