// SPDX-License-Identifier: Apache-2.0
// A program as a table for people.
#include "program/program.h"
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
    say(w, "ring       N = 2^%u, %u limbs (base %.0f bits, scale 2^%.0f), %u special, %u limbs a digit\n", p->log_n,
        p->q_count, log2((double)p->q[0]), log2(p->scale), p->p_count, p->digit_limbs);
    say(w, "security   %u bits: log QP %.1f of at most %.0f, uniform ternary secret\n", bits, q + special,
        vl_security_max_log_qp(p->log_n, p->secret_weight, bits ? bits : 128));
}

static void explain_inputs(const vl_manifest *m, vl_writer *w) {
    say(w, "\n%-12s %-24s %-16s\n", "input", "accepts", "");
    for (uint32_t i = 0; i < m->input_count; i++) {
        const vl_input *in = &m->inputs[i];
        char accepts[128] = "any number";
        size_t at = 0;
        if (isfinite(in->lo) || isfinite(in->hi)) snprintf(accepts, sizeof accepts, "%.6g to %.6g", in->lo, in->hi);
        if (in->lo == -0x1p53 && in->hi == 0x1p53) snprintf(accepts, sizeof accepts, "any integer");
        for (uint32_t k = 0; k < in->value_count && at < sizeof accepts - 24; k++)
            at += (size_t)snprintf(accepts + at, sizeof accepts - at, "%s%.6g", k ? " " : "", in->values[k]);
        say(w, "%-12s %-24s %s\n", in->name, accepts, in->description);
    }
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
    say(w, "\nclient     %u steps before encryption", steps);
    for (uint32_t k = VL_STEP_AFFINE; k < VL_STEP_KINDS; k++)
        if (count[k]) say(w, ", %u %s", count[k], vl_step_text((vl_step_kind)k));
    if (keys) say(w, " (%llu keys)", (unsigned long long)keys);
    say(w, "; %u features\n", vl_manifest_dim(m));
}

static const char *packing(const vl_op *op, char *buf, size_t size) {
    const vl_lintrans_plan *p = &op->plan;
    if (op->kind == VL_OP_LINTRANS)
        snprintf(buf, size, "%ux%u: %u copies, %u giant, %u baby, %u folds", op->rows, op->cols, p->copies, p->giants,
                 p->babies, p->folds);
    else if (op->kind == VL_OP_MIX)
        snprintf(buf, size, "%ux%u: one ciphertext a feature", op->rows, op->cols);
    else if (op->kind == VL_OP_POLY)
        snprintf(buf, size, "degree %u", op->poly.degree);
    else
        buf[0] = 0;
    return buf;
}

static void explain_ops(const vl_program *p, vl_key_request *keys, vl_writer *w) {
    say(w, "\n%3s %-28s %-16s %6s %9s %10s  %s\n", "#", "layer", "operation", "level", "key uses", "time", "packing");
    double total = 0;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_op *op = &p->ops[i];
        char buf[96];
        uint32_t n = vl_program_op_keys(&p->manifest.params, op, keys, VL_MAX_KEYS);
        n *= op->kind == VL_OP_LINTRANS ? 1 : p->values[op->dst].layout.cts;
        say(w, "%3u %-28.28s %-16s %3u>%-2u %9u %7.2f ms  %s\n", i, op->name ? op->name : "", vl_op_text(op->kind),
            op->level, p->values[op->dst].level, n, op->seconds * 1e3, packing(op, buf, sizeof buf));
        total += op->seconds;
    }
    say(w, "    %-28s %-16s %6s %9s %7.2f ms  one thread, one group of %u requests\n", "total", "", "", "", total * 1e3,
        p->manifest.in.lanes);
}

velum_status vl_program_explain(const vl_program *p, vl_writer *w) {
    const vl_manifest *m = &p->manifest;
    vl_key_request *keys = vl_alloc_array(VL_MAX_KEYS, sizeof *keys);
    VL_FAIL_IF(!keys, VELUM_E_NOMEM, "explain");
    say(w, "model      %s\n", m->model);
    explain_parameters(&m->params, w);
    say(w, "packing    %u requests a group, %u ciphertext%s in, %u out, %u slots each\n", m->in.lanes, m->in.cts,
        m->in.cts == 1 ? "" : "s", m->out.cts, m->in.slots);
    say(w, "keys       %u for the server (rotations and relinearisation)\n", m->key_count);
    say(w, "error      declared bound 2^%.1f before the epilogue; bootstraps: 0\n", log2(m->error_bound + 1e-300));
    explain_inputs(m, w);
    explain_prologue(m, w);
    explain_ops(p, keys, w);
    if (p->notes && p->notes[0]) say(w, "\n");
    for (const char *at = p->notes ? p->notes : ""; *at;) {
        size_t n = strcspn(at, "\n");
        say(w, "note       %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    vl_free(keys);
    return w->failed ? VL_FAIL(VELUM_E_NOMEM, "explain") : VELUM_OK;
}
