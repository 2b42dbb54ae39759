// SPDX-License-Identifier: Apache-2.0
#include "runtime/program_api.h"
#include <stdio.h>
#include <string.h>

velum_status velum_program_open(const void *data, size_t size, velum_program **out) {
    velum_program *p = vl_alloc(sizeof *p);
    VL_FAIL_IF(!p, VELUM_E_NOMEM, "program");
    velum_status status = vl_program_load(data, size, &p->program);
    if (status == VELUM_OK) status = vl_params_new(&p->program.manifest.params, NULL, &p->params);
    if (status == VELUM_OK) status = vl_encoder_new(p->params, &p->encoder);
    if (status == VELUM_OK) status = vl_runtime_price_diagonals(p->params, &p->program);
    if (status != VELUM_OK) {
        velum_program_free(p);
        return status;
    }
    *out = p;
    return VELUM_OK;
}

void velum_program_free(velum_program *p) {
    if (!p) return;
    vl_encoder_free(p->encoder);
    vl_params_free(p->params);
    vl_program_clear(&p->program);
    vl_free(p);
}

void velum_program_info(const velum_program *p, velum_info *out) {
    vl_manifest_info(&p->program.manifest, p->params, out);
    out->memory_bytes = vl_runtime_plan(p->params, &p->program).total;
    out->predicted_seconds = p->program.query_seconds + p->program.answer_seconds;
    for (uint32_t i = 0; i < p->program.op_count; i++) out->predicted_seconds += p->program.ops[i].seconds;
}

static velum_status give(vl_writer *w, velum_status status, velum_buffer *out) {
    if (status == VELUM_OK && w->failed) status = VL_FAIL(VELUM_E_NOMEM, "output buffer");
    if (status != VELUM_OK) {
        vl_writer_clear(w);
        return status;
    }
    *out = (velum_buffer){w->data, w->size};
    return VELUM_OK;
}

velum_status velum_program_explain(const velum_program *p, velum_buffer *text) {
    vl_writer w = vl_writer_of((size_t)1 << 28);
    velum_status status = vl_program_explain(&p->program, &w);
    vl_memory_plan m = vl_runtime_plan(p->params, &p->program);
    char line[512];
    int n =
        snprintf(line, sizeof line,
                 "\nmemory     %.1f MB: tables %.1f, program %.1f, weights %.1f, bootstrap %.1f, keys %.1f, "
                 "ciphertexts %.1f, scratch %.1f%s\n",
                 (double)m.total / 1e6, (double)m.tables / 1e6, (double)m.program / 1e6, (double)m.weights / 1e6,
                 (double)m.bootstrap / 1e6, (double)m.keys / 1e6, (double)m.ciphertexts / 1e6, (double)m.scratch / 1e6,
                 m.maps_at_use           ? "; linear maps are prepared at each use"
                 : m.spare == UINT64_MAX ? ""
                                         : "; diagonals that do not fit are made at each use");
    vl_write_bytes(&w, line, (size_t)n + 1);
    return give(&w, status, text);
}

velum_status velum_program_notes(const velum_program *p, velum_buffer *text) {
    vl_writer w = vl_writer_of((size_t)1 << 28);
    const char *notes = p->program.notes ? p->program.notes : "";
    vl_write_bytes(&w, notes, strlen(notes) + 1);
    return give(&w, VELUM_OK, text);
}

velum_status velum_program_client(const velum_program *p, velum_buffer *client) {
    vl_writer w = vl_writer_of((size_t)1 << 30);
    return give(&w, vl_client_half_save(&p->program, &w), client);
}
