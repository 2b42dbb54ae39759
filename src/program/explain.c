// SPDX-License-Identifier: Apache-2.0
// A program as a table for people.
#include "program/program.h"

#include "base/text.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void say(vl_writer *w, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0) vl_write_bytes(w, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static void explain_parameters(const vl_params_literal *p, vl_writer *w) {
    double q = 0, special = 0;
    for (uint32_t i = 0; i < p->q_count; i++) q += log2((double)p->q[i]);
    for (uint32_t i = 0; i < p->p_count; i++) special += log2((double)p->p[i]);
    uint32_t bits = vl_security_of(p->log_n, p->secret_weight, q + special);
    say(w, "ring       N = 2^%u, %u limbs (base %.0f bits, scale 2^%.0f), %u special, %s a digit\n", p->log_n,
        p->q_count, log2((double)p->q[0]), log2(p->scale), p->p_count, vl_count(p->digit_limbs, "limb", "limbs").s);
    say(w, "security   %u bits: log QP %.1f of at most %.0f, uniform ternary secret\n", bits, q + special,
        vl_security_max_log_qp(p->log_n, p->secret_weight, bits ? bits : 128));
}

static void explain_packing(const vl_manifest *m, vl_writer *w) {
    const vl_layout *l = &m->in;
    say(w, "packing    %s a group, %s in, %u out, %u slots each\n", vl_count(l->lanes, "request", "requests").s,
        vl_count(l->cts, "ciphertext", "ciphertexts").s, m->out.cts, l->slots);
    if (l->parts)
        say(w, "pictures   %u x %u x %u in %u x %u phases, %u slots each, %s\n", l->channels, l->height, l->width,
            l->phase_y, l->phase_x, l->period, l->parts == 2 ? "real and imaginary part" : "real part");
}

// The name of element k of a tensor is the tensor's and its number: what comes before it, or 0.
static size_t stem_of(const char *name, uint32_t k) {
    char number[16];
    size_t n = (size_t)snprintf(number, sizeof number, "_%u", k), length = strlen(name);
    return length > n && strcmp(name + length - n, number) == 0 ? length - n : 0;
}

static bool same_values(const vl_input *a, const vl_input *b) {
    return a->lo == b->lo && a->hi == b->hi && a->value_count == b->value_count &&
           (a->value_count == 0 || memcmp(a->values, b->values, a->value_count * sizeof *a->values) == 0) &&
           strcmp(a->description, b->description) == 0;
}

// How many inputs from i on are elements 0, 1, .. of one tensor and accept the same; 1 for one that is not.
static uint32_t elements_from(const vl_manifest *m, uint32_t i) {
    const vl_input *first = &m->inputs[i];
    const size_t stem = stem_of(first->name, 0);
    uint32_t n = 1;
    for (; stem && i + n < m->input_count; n++) {
        const vl_input *in = first + n;
        if (stem_of(in->name, n) != stem || memcmp(in->name, first->name, stem) != 0 || !same_values(in, first)) break;
    }
    return n;
}

// What calibration saw of those of `count` inputs together that are numbers.
static void explain_seen(const vl_range *seen, const bool *number, uint32_t count, vl_writer *w) {
    vl_range all = {INFINITY, -INFINITY};
    for (uint32_t i = 0; i < count; i++) {
        if (!number[i]) continue;
        all.lo = fmin(all.lo, seen[i].lo);
        all.hi = fmax(all.hi, seen[i].hi);
    }
    char text[64] = "";
    if (all.lo <= all.hi) snprintf(text, sizeof text, "%.6g to %.6g", all.lo, all.hi);
    say(w, "%-24s ", text);
}

static void explain_inputs(const vl_manifest *m, vl_writer *w) {
    bool *number = m->seen ? vl_alloc_array(m->input_count, sizeof *number) : NULL;
    if (number) vl_manifest_numbers(m, number);
    say(w, "\n%-12s %-24s %s\n", "input", "accepts", number ? "calibrated by" : "");
    for (uint32_t i = 0, count; i < m->input_count; i += count) {
        const vl_input *in = &m->inputs[i];
        count = elements_from(m, i);
        char accepts[128] = "any number";
        size_t at = 0;
        if (isfinite(in->lo) || isfinite(in->hi)) snprintf(accepts, sizeof accepts, "%.6g to %.6g", in->lo, in->hi);
        if (in->lo == -0x1p53 && in->hi == 0x1p53) snprintf(accepts, sizeof accepts, "any integer");
        for (uint32_t k = 0; k < in->value_count && at < sizeof accepts - 24; k++)
            at += (size_t)snprintf(accepts + at, sizeof accepts - at, "%s%.6g", k ? " " : "", in->values[k]);
        char name[VL_MAX_NAME + 32];
        snprintf(name, sizeof name, "%s", in->name);
        if (count > 1) snprintf(name, sizeof name, "%.*s_0 to _%u", (int)stem_of(in->name, 0), in->name, count - 1);
        say(w, "%-12s %-24s ", name, accepts);
        if (number) explain_seen(&m->seen[i], &number[i], count, w);
        say(w, "%s\n", in->description);
    }
    vl_free(number);
}

// The client's steps by kind, and what they become.
static void explain_prologue(const vl_manifest *m, vl_writer *w) {
    uint32_t count[VL_STEP_KINDS] = {0}, steps = 0;
    uint64_t keys = 0;
    for (uint32_t i = 0; i < m->step_count; i++) {
        count[m->steps[i].kind]++;
        steps += m->steps[i].kind != VL_STEP_INPUT;
        keys += m->steps[i].kind == VL_STEP_MAP ? m->steps[i].table_count : 0;
    }
    say(w, "\nclient     %s before encryption", vl_count(steps, "step", "steps").s);
    for (uint32_t k = VL_STEP_AFFINE; k < VL_STEP_KINDS; k++)
        if (count[k]) say(w, ", %u %s", count[k], vl_step_text((vl_step_kind)k));
    if (keys) say(w, " (%s)", vl_count(keys, "key", "keys").s);
    say(w, "; %s\n", vl_count(vl_manifest_dim(m), "feature", "features").s);
}

// What one operation takes, for its line.
typedef struct op_line {
    char packing[256];
    uint64_t rotations, relinearisations, conjugations;
    uint32_t bootstraps, keys;
    uint64_t bytes; // of its encoded constants
} op_line;

static uint32_t relinearisations_of(const vl_program *p, const vl_params *outline, const vl_op *op) {
    const vl_value *a = &p->values[op->src[0]], *u = &p->values[op->src[1]];
    const uint32_t cts = p->values[op->dst].layout.cts;
    switch (op->kind) {
    case VL_OP_SQUARE:
    case VL_OP_MUL:
    case VL_OP_SQUARES: return cts;
    case VL_OP_POLY: return cts * vl_poly_plan(&op->poly).relinearisations;
    case VL_OP_SIGN:
        return cts * vl_compare_plan_stages(outline, &op->compare, op->first, op->count, op->level, a->scale)
                         .relinearisations;
    case VL_OP_GATE: {
        const uint16_t at = a->level < op->level ? a->level : op->level;
        return cts * vl_compare_plan_finish(outline, &op->compare, op->first, op->level, u->scale, at).relinearisations;
    }
    default: return 0;
    }
}

static void describe_spread(const vl_params *outline, const vl_op *op, op_line *out) {
    const vl_spread *s = &op->spread;
    const vl_spread_cost cost = vl_spread_count(s);
    snprintf(out->packing, sizeof out->packing, "%u -> %s, %s, %s, %s (%llu masked)", s->sources,
             vl_count(s->outputs, "ct", "cts").s, vl_count(s->copies, "copy", "copies").s,
             vl_count(cost.rotations, "rotation", "rotations").s, vl_count(cost.products, "product", "products").s,
             (unsigned long long)cost.patterned);
    out->rotations = cost.rotations;
    out->bytes = vl_spread_coded_bytes(outline, s, op->level);
}

static void describe_diagonals(const vl_program *p, const vl_params *outline, const vl_op *op, op_line *out) {
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    if (plan && vl_program_diagonals(p, op, plan) == VELUM_OK) {
        const vl_sparsemap_shape shape = vl_program_shape(p, op);
        snprintf(out->packing, sizeof out->packing, "%ux%u: %s, %u giant, %u baby", op->matrix.rows, op->matrix.cols,
                 vl_count(plan->count, "diagonal", "diagonals").s, plan->giants, plan->babies);
        for (uint32_t i = 0; i < plan->babies; i++) out->rotations += plan->baby[i] != 0;
        for (uint32_t i = 0; i < plan->giants; i++) out->rotations += plan->giant[i] != 0;
        out->bytes = vl_sparsemap_bytes(outline, &shape, plan, op->level, op->bias != NULL, UINT64_MAX);
    }
    vl_free(plan);
}

static void describe(const vl_program *p, const vl_params *outline, const vl_op *op, op_line *out) {
    const vl_lintrans_plan *t = &op->plan;
    char *text = out->packing;
    const size_t size = sizeof out->packing;
    const vl_layout *l = &p->values[op->dst].layout;
    out->relinearisations = relinearisations_of(p, outline, op);
    switch (op->kind) {
    case VL_OP_LINTRANS:
        snprintf(text, size, "%ux%u: %s, %u giant, %u baby, %s", op->rows, op->cols,
                 vl_count(t->copies, "copy", "copies").s, t->giants, t->babies, vl_count(t->folds, "fold", "folds").s);
        out->rotations = out->keys;
        out->bytes = vl_lintrans_bytes(outline, t, op->level, op->bias != NULL);
        break;
    case VL_OP_MIX:
        snprintf(text, size, "%ux%u: one ciphertext a feature", op->rows, op->cols);
        out->bytes = (uint64_t)op->rows * op->cols * sizeof(int64_t);
        break;
    case VL_OP_DIAGONALS: describe_diagonals(p, outline, op, out); break;
    case VL_OP_POLY: snprintf(text, size, "degree %u", op->poly.degree); break;
    case VL_OP_SIGN:
        snprintf(text, size, "[%s] stage %u to %u, range %.4g", op->compare.minimax->name, op->first + 1,
                 op->first + op->count, op->compare.bound);
        break;
    case VL_OP_GATE:
        snprintf(text, size, "[%s] stage %u to %u, %s of range %.4g", op->compare.minimax->name, op->first + 1,
                 op->compare.minimax->count, op->compare.kind == VL_ABS ? "abs" : "ReLU", op->compare.bound);
        break;
    case VL_OP_BOOTSTRAP:
        out->bootstraps = l->cts;
        snprintf(text, size, "%s", p->manifest.bootstrap.name);
        break;
    case VL_OP_MASK: out->bytes = vl_poly_bytes(&outline->ring, op->level, 0); break;
    case VL_OP_SPREAD: describe_spread(outline, op, out); break;
    case VL_OP_SQUARES:
        out->conjugations = l->parts == 2 ? l->cts : 0;
        snprintf(text, size, "%s, %s", vl_count(l->cts, "ct", "cts").s, l->parts == 2 ? "both parts" : "the real part");
        break;
    case VL_OP_FOLD:
        out->rotations = (uint64_t)l->cts * op->count;
        snprintf(text, size, "%s, %s", vl_count(l->cts, "ct", "cts").s, vl_count(op->count, "sum", "sums").s);
        break;
    default: break;
    }
}

static void explain_ops(const vl_program *p, const vl_params *outline, vl_key_request *keys, vl_writer *w) {
    say(w, "\n%4s %-28s %-18s %6s %9s %10s %6s %11s %9s  %s\n", "#", "layer", "operation", "level", "rotations",
        "bootstraps", "keys", "time", "memory", "packing");
    double seconds = p->query_seconds + p->answer_seconds;
    op_line sum = {.keys = p->manifest.key_count};
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_op *op = &p->ops[i];
        op_line line = {.keys = vl_program_op_keys(p, op, keys, VL_MAX_KEYS)};
        describe(p, outline, op, &line);
        say(w, "%4u %-28.28s %-18s %3u>%-2u %9llu %10u %6u %8.2f ms %6.1f MB  %s\n", i, op->name ? op->name : "",
            vl_op_text(op->kind), op->level, p->values[op->dst].level, (unsigned long long)line.rotations,
            line.bootstraps, line.keys, op->seconds * 1e3, (double)line.bytes / 1e6, line.packing);
        seconds += op->seconds;
        sum.rotations += line.rotations;
        sum.relinearisations += line.relinearisations;
        sum.conjugations += line.conjugations;
        sum.bootstraps += line.bootstraps;
        sum.bytes += line.bytes;
    }
    say(w, "     %-28s %-18s %6s %9s %10s %6s %8.2f ms\n", "query and answer", "", "", "", "", "",
        (p->query_seconds + p->answer_seconds) * 1e3);
    say(w, "     %-28s %-18s %6s %9llu %10u %6u %8.2f ms %6.1f MB  one thread, one group of %s\n", "total", "", "",
        (unsigned long long)sum.rotations, sum.bootstraps, sum.keys, seconds * 1e3, (double)sum.bytes / 1e6,
        vl_count(p->manifest.in.lanes, "request", "requests").s);
    say(w, "     besides bootstraps: %s, %s, %s\n", vl_count(sum.rotations, "rotation", "rotations").s,
        vl_count(sum.relinearisations, "relinearisation", "relinearisations").s,
        vl_count(sum.conjugations, "conjugation", "conjugations").s);
}

static void explain_bootstrap(const vl_program *p, vl_writer *w) {
    const vl_manifest *m = &p->manifest;
    vl_bootstrap_plan *plan = m->bootstrapped ? vl_alloc(sizeof *plan) : NULL;
    if (plan && vl_program_bootstrap_plan(m, plan) == VELUM_OK)
        say(w,
            "bootstrap  %s: %u slots, level %u>%u, %u keys at its lowest levels, failure 2^%.1f each, "
            "about %.1f bits, %.2f s on one thread\n",
            m->bootstrap.name, 1u << m->bootstrap.log_slots, plan->in_level, plan->out_level, m->low_key_count,
            plan->log2_failure, plan->precision_bits, plan->seconds);
    vl_free(plan);
}

static uint32_t count_bootstraps(const vl_program *p) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == VL_OP_BOOTSTRAP) count += p->values[p->ops[i].dst].layout.cts;
    return count;
}

velum_status vl_program_explain(const vl_program *p, vl_writer *w) {
    const vl_manifest *m = &p->manifest;
    vl_key_request *keys = vl_alloc_array(VL_MAX_KEYS, sizeof *keys);
    vl_params *outline = vl_alloc(sizeof *outline);
    if (!keys || !outline) {
        vl_free(keys);
        vl_free(outline);
        return VL_FAIL(VELUM_E_NOMEM, "explain");
    }
    vl_program_outline(&m->params, outline);
    say(w, "model      %s\n", m->model);
    explain_parameters(&m->params, w);
    explain_packing(m, w);
    say(w, "keys       %u for the server (rotations and relinearisation), %.1f MB\n", m->key_count,
        (double)vl_eval_keys_bytes(outline, m->keys, m->key_count, m->zero_nq) / 1e6);
    explain_bootstrap(p, w);
    say(w, "error      ");
    if (m->error_expected > 0) say(w, "about 2^%.1f expected, ", log2(m->error_expected));
    if (m->error_bound < 1)
        say(w, "declared bound 2^%.1f before the epilogue; ", log2(m->error_bound + 1e-300));
    else
        say(w, "too deep for a bound; ");
    say(w, "bootstraps: %u\n", count_bootstraps(p));
    explain_inputs(m, w);
    explain_prologue(m, w);
    explain_ops(p, outline, keys, w);
    if (p->notes && p->notes[0]) say(w, "\n");
    for (const char *at = p->notes ? p->notes : ""; *at;) {
        size_t n = strcspn(at, "\n");
        say(w, "note       %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    vl_free(keys);
    vl_free(outline);
    return w->failed ? VL_FAIL(VELUM_E_NOMEM, "explain") : VELUM_OK;
}
