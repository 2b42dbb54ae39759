// SPDX-License-Identifier: Apache-2.0
// The verifier: a program that passes runs without a failing operation, whatever file it came from.
#include "program/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_scale(double a, double b) { return fabs(a - b) <= ldexp(fabs(b), -40); }

static velum_status check_numbers(const vl_program *p, const vl_op *op) {
    size_t n = (size_t)op->rows * op->cols;
    for (size_t i = 0; op->weights && i < n; i++)
        VL_FAIL_IF(!isfinite(op->weights[i]) || fabs(op->weights[i]) > 0x1p40, VELUM_E_FORMAT,
                   "program: '%s': weight %zu is %g", op->name, i, op->weights[i]);
    for (uint32_t i = 0; op->bias && i < vl_program_bias_count(p, op); i++)
        VL_FAIL_IF(!isfinite(op->bias[i]) || fabs(op->bias[i]) > 0x1p40, VELUM_E_FORMAT, "program: '%s': bias %u is %g",
                   op->name, i, op->bias[i]);
    for (uint32_t i = 0; op->coeffs && i <= op->poly.degree; i++)
        VL_FAIL_IF(!isfinite(op->coeffs[i]) || fabs(op->coeffs[i]) > 0x1p40, VELUM_E_FORMAT,
                   "program: '%s': coefficient %u is %g", op->name, i, op->coeffs[i]);
    double lo = op->poly.lo, hi = op->poly.hi; // a monomial basis has no interval
    VL_FAIL_IF(op->coeffs && op->poly.basis == VL_CHEBYSHEV &&
                   !(hi - lo >= 0x1p-40 && fabs(lo) <= 0x1p40 && fabs(hi) <= 0x1p40),
               VELUM_E_FORMAT, "program: '%s': polynomial on the interval %g to %g", op->name, lo, hi);
    VL_FAIL_IF(!(op->seconds >= 0 && op->diagonal_seconds >= 0) || !isfinite(op->seconds + op->diagonal_seconds),
               VELUM_E_FORMAT, "program: '%s': %g seconds predicted, %g a diagonal", op->name, op->seconds,
               op->diagonal_seconds);
    return VELUM_OK;
}

static velum_status check_linear(const vl_program *p, const vl_op *op) {
    const vl_layout *a = &p->values[op->src[0]].layout, *d = &p->values[op->dst].layout;
    if (!op->weights || op->cols != a->dim || op->rows != d->dim)
        return VL_FAIL(VELUM_E_FORMAT, "program: '%s': %u x %u weights between %u and %u features", op->name, op->rows,
                       op->cols, a->dim, d->dim);
    if (op->kind == VL_OP_MIX) {
        bool spread = a->lanes == a->slots && d->lanes == d->slots && d->slots == a->slots;
        VL_FAIL_IF(!spread, VELUM_E_FORMAT, "program: '%s': values are not spread", op->name);
        return VELUM_OK;
    }
    const vl_lintrans_shape *s = &op->plan.shape;
    VL_TRY(vl_lintrans_plan_check(&op->plan));
    bool fits = s->rows == op->rows && s->cols == op->cols && s->slots == a->slots && s->lanes == a->lanes &&
                s->period_in == a->period && s->valid_in <= a->valid && d->period == s->period_out &&
                d->valid <= op->plan.valid_out && d->slots == a->slots && d->lanes == a->lanes && a->cts == 1 &&
                d->cts == 1;
    // A plan made for a periodic input all around relies on the wrap: it must get one.
    if (s->valid_in == s->slots / s->lanes) fits = fits && a->valid == s->valid_in;
    VL_FAIL_IF(!fits, VELUM_E_FORMAT, "program: '%s': plan and layouts disagree", op->name);
    return VELUM_OK;
}

static bool has_constants(vl_op_kind kind) {
    switch (kind) {
    case VL_OP_SQUARE:
    case VL_OP_MUL:
    case VL_OP_ADD:
    case VL_OP_BOOTSTRAP:
    case VL_OP_SQUARES:
    case VL_OP_FOLD: return false;
    default: return true;
    }
}

static uint16_t result_level_of(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot) {
    return op->kind == VL_OP_BOOTSTRAP ? boot->out_level : vl_program_result_level(p, op);
}

static velum_status check_op(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot, const bool *defined) {
    const vl_params_literal *lit = &p->manifest.params;
    VL_FAIL_IF(op->dst >= p->value_count || defined[op->dst], VELUM_E_FORMAT, "program: '%s' writes value %u", op->name,
               op->dst);
    const vl_value *d = &p->values[op->dst];
    for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
        VL_FAIL_IF(op->src[k] >= p->value_count || !defined[op->src[k]], VELUM_E_FORMAT,
                   "program: '%s' reads value %u, which is not there", op->name, op->src[k]);
        bool lower = op->kind == VL_OP_GATE && k == 0; // it is multiplied in at the end
        VL_FAIL_IF(!lower && p->values[op->src[k]].level < op->level, VELUM_E_FORMAT,
                   "program: '%s' at level %u reads level %u", op->name, op->level, p->values[op->src[k]].level);
    }
    VL_FAIL_IF(op->level == 0 || op->level > lit->q_count, VELUM_E_FORMAT, "program: '%s' at level %u of %u", op->name,
               op->level, lit->q_count);
    VL_TRY(vl_program_check_kinds(p, op));
    VL_FAIL_IF(has_constants(op->kind) &&
                   !(isnormal(op->plain_scale) && op->plain_scale >= 1 && op->plain_scale <= 0x1p60),
               VELUM_E_FORMAT, "program: '%s': scale %g of its constants", op->name, op->plain_scale);
    VL_TRY(vl_program_check_circuit(p, op, boot));
    uint16_t level = result_level_of(p, op, boot);
    VL_FAIL_IF(level == 0 || d->level != level, VELUM_E_FORMAT, "program: '%s' at level %u leaves %u, %u is declared",
               op->name, op->level, level, d->level);
    VL_FAIL_IF(!same_scale(vl_program_result_scale(lit, p, op), d->scale), VELUM_E_FORMAT,
               "program: '%s' gives scale %.17g, declared %.17g", op->name, vl_program_result_scale(lit, p, op),
               d->scale);
    VL_TRY(check_numbers(p, op));
    if (vl_program_takes_pictures(op->kind)) return vl_program_check_pictures(p, op);
    if (op->kind == VL_OP_LINTRANS || op->kind == VL_OP_MIX) return check_linear(p, op);
    if (op->kind == VL_OP_DIAGONALS) return VELUM_OK;
    const vl_layout *l = &p->values[op->src[0]].layout;
    bool same = vl_layout_same(l, &d->layout, true) && d->layout.valid <= l->valid;
    if (op->kind == VL_OP_MASK && !l->parts) same = same && l->cts == 1 && d->layout.valid == d->layout.period;
    if (vl_op_inputs(op->kind) == 2) {
        const vl_layout *b = &p->values[op->src[1]].layout;
        same = same && vl_layout_same(b, &d->layout, true) && d->layout.valid <= b->valid;
    }
    VL_FAIL_IF(!same, VELUM_E_FORMAT, "program: '%s': layouts of its operands and result differ", op->name);
    if (op->kind == VL_OP_ADD)
        VL_FAIL_IF(!same_scale(p->values[op->src[0]].scale, p->values[op->src[1]].scale), VELUM_E_FORMAT,
                   "program: '%s' adds scales %.17g and %.17g", op->name, p->values[op->src[0]].scale,
                   p->values[op->src[1]].scale);
    return VELUM_OK;
}

static velum_status check_value(const vl_program *p, uint32_t i) {
    const vl_params_literal *lit = &p->manifest.params;
    const vl_value *v = &p->values[i];
    VL_TRY(vl_layout_check(&v->layout));
    VL_FAIL_IF(v->layout.slots != 1u << (lit->log_n - 1), VELUM_E_FORMAT, "program: value %u has %u slots", i,
               v->layout.slots);
    VL_FAIL_IF(v->level == 0 || v->level > lit->q_count, VELUM_E_FORMAT, "program: value %u at level %u", i, v->level);
    // A square of pictures is not rescaled.
    VL_FAIL_IF(!isnormal(v->scale) || v->scale < 1 || v->scale > (v->layout.parts ? 0x1p100 : 0x1p60), VELUM_E_FORMAT,
               "program: value %u has scale %g", i, v->scale);
    VL_FAIL_IF(!(v->bound >= 0) || !isfinite(v->bound), VELUM_E_FORMAT, "program: value %u has bound %g", i, v->bound);
    const double room = vl_program_room(lit, v->level);
    VL_FAIL_IF(log2(v->bound + 1) + log2(v->scale) + 1 > room, VELUM_E_FORMAT,
               "program: value %u of up to %g at scale 2^%.1f overflows its %.1f bits", i, v->bound, log2(v->scale),
               room);
    return VELUM_OK;
}

static int by_galois(const void *a, const void *b) {
    uint64_t x = ((const vl_key_request *)a)->galois, y = ((const vl_key_request *)b)->galois;
    return (x > y) - (x < y);
}

static velum_status check_keys(const vl_program *p, const vl_op *op, const vl_bootstrap_plan *boot,
                               vl_key_request *need) {
    const vl_manifest *m = &p->manifest;
    uint32_t n = op->kind == VL_OP_BOOTSTRAP ? boot->key_count : vl_program_op_keys(p, op, need, VL_MAX_KEYS);
    if (op->kind == VL_OP_BOOTSTRAP) memcpy(need, boot->keys, n * sizeof *need);
    for (uint32_t i = 0; i < n; i++) {
        const vl_key_request *k = bsearch(&need[i], m->keys, m->key_count, sizeof *k, by_galois);
        VL_FAIL_IF(!k || k->level < need[i].level, VELUM_E_FORMAT,
                   "program: '%s' needs key %llu at level %u, which is not listed", op->name,
                   (unsigned long long)need[i].galois, need[i].level);
    }
    return VELUM_OK;
}

// Names come from a model file and are shown on terminals.
static velum_status check_names(const vl_program *p) {
    const vl_manifest *m = &p->manifest;
    bool plain = (!m->model || vl_text_is_plain(m->model)) && (!m->metric || vl_text_is_plain(m->metric));
    for (uint32_t i = 0; i < m->input_count && plain; i++)
        plain = vl_text_is_plain(m->inputs[i].name) &&
                (!m->inputs[i].description || vl_text_is_plain(m->inputs[i].description));
    for (uint32_t i = 0; i < m->output_count && plain; i++) plain = vl_text_is_plain(m->outputs[i]);
    for (uint32_t i = 0; i < p->op_count && plain; i++) plain = !p->ops[i].name || vl_text_is_plain(p->ops[i].name);
    for (const char *c = p->notes; c && *c && plain; c++) plain = (unsigned char)*c >= 0x20 || *c == '\n';
    VL_FAIL_IF(!plain, VELUM_E_FORMAT, "program: a name or note holds control characters");
    return VELUM_OK;
}

static velum_status verify(const vl_program *p, bool *defined, vl_key_request *need, vl_bootstrap_plan *boot) {
    const vl_manifest *m = &p->manifest;
    VL_TRY(check_names(p));
    if (m->bootstrapped) VL_TRY(vl_program_bootstrap_plan(m, boot));
    VL_FAIL_IF(!m->bootstrapped && (m->low_key_count || m->low.q_count || m->raise.level), VELUM_E_FORMAT,
               "program: keys for bootstrapping, but it names no bootstrap");
    for (uint32_t i = 0; i < p->value_count; i++) VL_TRY(check_value(p, i));
    for (uint32_t i = 1; i < m->key_count; i++)
        VL_FAIL_IF(m->keys[i].galois <= m->keys[i - 1].galois, VELUM_E_FORMAT,
                   "program: key %u of the list is out of order", i);
    defined[0] = true;
    for (uint32_t i = 0; i < p->op_count; i++) {
        VL_TRY(check_op(p, &p->ops[i], boot, defined));
        VL_TRY(check_keys(p, &p->ops[i], boot, need));
        defined[p->ops[i].dst] = true;
    }
    VL_FAIL_IF(p->output >= p->value_count || !defined[p->output] || p->output == 0, VELUM_E_FORMAT,
               "program: output is value %u", p->output);
    const vl_value *in = &p->values[0], *out = &p->values[p->output];
    bool ends = vl_layout_same(&in->layout, &m->in, false) && in->level == m->in_level &&
                same_scale(in->scale, m->in_scale) && vl_layout_same(&out->layout, &m->out, false) &&
                out->level == m->out_level && same_scale(out->scale, m->out_scale);
    VL_FAIL_IF(!ends, VELUM_E_FORMAT, "program: manifest and program disagree about input or output");
    VL_FAIL_IF(!(p->query_seconds >= 0 && p->answer_seconds >= 0) || !isfinite(p->query_seconds + p->answer_seconds),
               VELUM_E_FORMAT, "program: %g and %g seconds predicted for its messages", p->query_seconds,
               p->answer_seconds);
    VL_FAIL_IF(m->zero_nq < m->out_level, VELUM_E_FORMAT, "program: public key at level %u, answers at %u", m->zero_nq,
               m->out_level);
    return VELUM_OK;
}

velum_status vl_program_verify(const vl_program *p) {
    VL_FAIL_IF(!p->value_count || !p->op_count || !p->values || !p->ops, VELUM_E_FORMAT, "program: empty");
    const vl_params_literal *lit = &p->manifest.params;
    bool sized = lit->log_n >= 4 && lit->log_n <= 17 && lit->q_count > 0 && lit->p_count > 0 &&
                 lit->q_count + lit->p_count <= VL_MAX_LIMBS && lit->digit_limbs > 0;
    VL_FAIL_IF(!sized, VELUM_E_FORMAT, "program: N=2^%u, %u limbs, %u special, %u a digit", lit->log_n, lit->q_count,
               lit->p_count, lit->digit_limbs);
    bool *defined = vl_alloc_array(p->value_count, sizeof *defined);
    vl_key_request *need = vl_alloc_array(VL_MAX_KEYS, sizeof *need);
    vl_bootstrap_plan *boot = vl_alloc(sizeof *boot);
    velum_status status =
        defined && need && boot ? verify(p, defined, need, boot) : VL_FAIL(VELUM_E_NOMEM, "program: verifier");
    vl_free(defined);
    vl_free(need);
    vl_free(boot);
    return status;
}
