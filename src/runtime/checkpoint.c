// SPDX-License-Identifier: Apache-2.0
// What a run holds between two operations, saved: next:u32, then the ciphertexts of every value that was made before
// and is read afterwards, in order of the values, in full form. Which these are, and their levels, scales and number,
// follows from the program. The input is not among them: it is in the query.
#include "rlwe/pack.h"
#include "runtime/internal.h"

#define HEAD_BYTES 12 // of a saved ciphertext

static bool is_live(const vl_runtime *r, uint32_t value, uint32_t next) {
    const uint32_t made = r->lives.made[value];
    return made != UINT32_MAX && made < next && r->lives.last[value] >= next;
}

static uint64_t bytes_at(const vl_runtime *r, uint32_t next) {
    const vl_program *p = r->program;
    uint64_t bytes = 0;
    for (uint32_t v = 1; v < p->value_count; v++)
        if (is_live(r, v, next))
            bytes += p->values[v].layout.cts *
                     (HEAD_BYTES + 2 * (uint64_t)vl_pack_poly_bytes(&r->params->ring, p->values[v].level, 0));
    return bytes;
}

uint32_t vl_run_next(const vl_run_state *s) { return s->next; }
uint64_t vl_run_bytes(const vl_run_state *s) { return sizeof(uint32_t) + bytes_at(s->r, s->next); }

void vl_run_save(const vl_run_state *s, vl_writer *w) {
    vl_write_u32(w, s->next);
    for (uint32_t v = 1; v < s->r->program->value_count; v++)
        for (uint32_t i = 0; is_live(s->r, v, s->next) && i < s->values[v].count; i++)
            vl_ciphertext_save(s->r->params, &s->values[v].ct[i], w);
}

bool vl_run_less_ahead(const vl_run_state *s, double seconds) {
    const vl_program *p = s->r->program;
    const uint64_t now = bytes_at(s->r, s->next);
    for (uint32_t i = s->next; i < p->op_count; i++) {
        seconds -= p->ops[i].seconds * s->rate;
        if (seconds < 0) return false;
        if (i + 1 == p->op_count || bytes_at(s->r, i + 1) < now - now / 4) return true;
    }
    return false;
}

static velum_status load_value(const vl_runtime *r, vl_exec *x, vl_reader *in, const vl_value *value, vl_held *out) {
    out->ct = vl_alloc_array(value->layout.cts, sizeof *out->ct);
    VL_FAIL_IF(!out->ct, VELUM_E_NOMEM, "checkpoint: %u ciphertexts", value->layout.cts);
    out->count = value->layout.cts;
    out->owned = true;
    for (uint32_t i = 0; i < out->count; i++) {
        vl_ciphertext *ct = &out->ct[i];
        VL_TRY(vl_ciphertext_load(x, r->params, in, false, value->level, value->scale, ct));
        VL_FAIL_IF(ct->degree != 1, VELUM_E_FORMAT, "checkpoint: a ciphertext of degree %u", ct->degree);
        ct->scale = value->scale; // equal within 2^-40
    }
    return VELUM_OK;
}

velum_status vl_run_restore(const vl_runtime *r, vl_exec *x, vl_reader *in, vl_held *values, uint32_t *next) {
    const uint32_t from = vl_read_u32(in);
    VL_FAIL_IF(in->bad || from == 0 || from >= r->program->op_count, VELUM_E_FORMAT, "checkpoint: operation %u of %u",
               from, r->program->op_count);
    for (uint32_t v = 1; v < r->program->value_count; v++)
        if (is_live(r, v, from)) VL_TRY(load_value(r, x, in, &r->program->values[v], &values[v]));
    VL_FAIL_IF(in->bad || vl_reader_left(in) != 0, VELUM_E_FORMAT, "checkpoint: wrong size");
    *next = from;
    return VELUM_OK;
}
