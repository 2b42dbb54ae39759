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
                 m.spare == UINT64_MAX ? "" : "; diagonals that do not fit are made at each use");
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

typedef struct noise { // that a simulation has
    bool any;
    uint64_t seed;
} noise;

typedef struct layer_probe { // hands on what each operation leaves of the rows at hand
    const vl_program *program;
    velum_layer_fn each;
    void *user;
    uint64_t first;
    uint32_t rows;
    noise noise;
    double *values; // room for the rows of the widest value
} layer_probe;

static void show_layer(void *arg, uint32_t op, const double *slots) {
    const layer_probe *l = arg;
    const vl_op *o = &l->program->ops[op];
    const vl_layout *at = &l->program->values[o->dst].layout;
    if (!l->each) return;
    for (uint32_t i = 0; i < at->cts; i++) vl_layout_unpack(at, i, slots + (size_t)i * at->slots, l->rows, l->values);
    for (uint32_t k = 0; k < l->rows; k++)
        l->each(l->user, op, o->name, l->first + k, l->values + (size_t)k * at->dim, at->dim);
}

static velum_status simulate_group(const vl_program *p, const double *features, uint32_t n, double *in, double *out,
                                   double *row, layer_probe *probe) {
    const vl_manifest *m = &p->manifest;
    for (uint32_t i = 0; i < m->in.cts; i++) vl_layout_pack(&m->in, i, features, n, in + (size_t)i * m->in.slots);
    if (probe->noise.any)
        VL_TRY(vl_sim_run_noisy_probe(p, in, probe->noise.seed++, show_layer, probe, out));
    else
        VL_TRY(vl_sim_run_probe(p, in, show_layer, probe, out));
    for (uint32_t i = 0; i < m->out.cts; i++) vl_layout_unpack(&m->out, i, out + (size_t)i * m->out.slots, n, row);
    return VELUM_OK;
}

static velum_status simulate(const velum_program *p, const velum_table *in, noise with, velum_layer_fn each, void *user,
                             velum_table *out) {
    const vl_manifest *m = &p->program.manifest;
    layer_probe probe = {.program = &p->program, .each = each, .user = user, .noise = with};
    uint32_t widest = 0;
    double *features = NULL;
    velum_table t = {0};
    VL_TRY(vl_manifest_features(m, in, &features));
    uint32_t lanes = m->in.lanes, dim = m->output_count, columns = vl_manifest_columns(m);
    double *a = vl_alloc_array((size_t)m->in.cts * m->in.slots, sizeof *a);
    double *b = vl_alloc_array((size_t)m->out.cts * m->out.slots, sizeof *b);
    double *row = vl_alloc_array((size_t)lanes * dim, sizeof *row);
    for (uint32_t v = 0; v < p->program.value_count; v++)
        if (p->program.values[v].layout.dim > widest) widest = p->program.values[v].layout.dim;
    probe.values = vl_alloc_array((size_t)lanes * widest, sizeof *probe.values);
    velum_status status =
        a && b && row && probe.values ? vl_manifest_table(m, in->rows, &t) : VL_FAIL(VELUM_E_NOMEM, "simulation");
    for (uint64_t first = 0; first < in->rows && status == VELUM_OK; first += lanes) {
        uint32_t n = in->rows - first < lanes ? (uint32_t)(in->rows - first) : lanes;
        probe.first = first;
        probe.rows = n;
        status = simulate_group(&p->program, features + first * m->in.dim, n, a, b, row, &probe);
        for (uint32_t k = 0; k < n && status == VELUM_OK; k++) {
            vl_manifest_epilogue(m, row + (size_t)k * dim);
            memcpy(t.values + (first + k) * columns, row + (size_t)k * dim, columns * sizeof *row);
        }
    }
    vl_free(features);
    vl_free(a);
    vl_free(b);
    vl_free(row);
    vl_free(probe.values);
    if (status != VELUM_OK) {
        velum_table_free(&t);
        return status;
    }
    *out = t;
    return VELUM_OK;
}

velum_status velum_program_simulate(const velum_program *p, const velum_table *in, velum_table *out) {
    return simulate(p, in, (noise){0}, NULL, NULL, out);
}

velum_status velum_program_simulate_layers(const velum_program *p, const velum_table *in, velum_layer_fn each,
                                           void *user, velum_table *out) {
    return simulate(p, in, (noise){0}, each, user, out);
}

velum_status velum_program_simulate_noisy(const velum_program *p, const velum_table *in, uint64_t seed,
                                          velum_layer_fn each, void *user, velum_table *out) {
    return simulate(p, in, (noise){true, seed}, each, user, out);
}
