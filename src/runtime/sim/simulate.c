// SPDX-License-Identifier: Apache-2.0
// Rows of a table through a program in the clear, and what each layer leaves of them.
#include "runtime/program_api.h"
#include <string.h>

#define AT_A_TIME 16 // pictures: few enough that a layer's channels stay in a cache

// ---- fewer lanes ----

static bool of_pictures(const vl_program *p) {
    bool all = true;
    for (uint32_t v = 0; v < p->value_count; v++) {
        const vl_layout *l = &p->values[v].layout;
        all = all && l->parts && l->period == p->values[0].layout.period;
    }
    return all;
}

static void narrow_layout(vl_layout *l, uint32_t groups) {
    l->slots = groups * l->period;
    l->lanes = groups;
    l->parts = 1;
}

velum_status vl_sim_narrow(const vl_program *p, uint32_t requests, vl_program *out) {
    vl_program copy = *p;
    copy.values = vl_alloc_array(p->value_count, sizeof *copy.values);
    VL_FAIL_IF(!copy.values, VELUM_E_NOMEM, "simulation: %u values", p->value_count);
    memcpy(copy.values, p->values, p->value_count * sizeof *copy.values);
    const vl_layout *l = &p->values[0].layout;
    uint32_t groups = 1;
    while (groups < requests && groups < l->slots / l->period) groups *= 2;
    if (of_pictures(p)) {
        for (uint32_t v = 0; v < p->value_count; v++) narrow_layout(&copy.values[v].layout, groups);
        narrow_layout(&copy.manifest.in, groups);
        narrow_layout(&copy.manifest.out, groups);
    }
    *out = copy;
    return VELUM_OK;
}

// ---- rows ----

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
    for (uint32_t i = 0; i < at->cts; i++) vl_layout_unpack(at, i, slots + i * vl_layout_room(at), l->rows, l->values);
    for (uint32_t k = 0; k < l->rows; k++)
        l->each(l->user, op, o->name, l->first + k, l->values + (size_t)k * at->dim, at->dim);
}

static velum_status simulate_group(const vl_program *p, const double *features, uint32_t n, double *in, double *out,
                                   double *row, layer_probe *probe) {
    const vl_manifest *m = &p->manifest;
    for (uint32_t i = 0; i < m->in.cts; i++) vl_layout_pack(&m->in, i, features, n, in + i * vl_layout_room(&m->in));
    if (probe->noise.any)
        VL_TRY(vl_sim_run_noisy_probe(p, in, probe->noise.seed++, show_layer, probe, out));
    else
        VL_TRY(vl_sim_run_probe(p, in, show_layer, probe, out));
    for (uint32_t i = 0; i < m->out.cts; i++) vl_layout_unpack(&m->out, i, out + i * vl_layout_room(&m->out), n, row);
    return VELUM_OK;
}

static velum_status simulate_rows(const vl_program *p, const double *features, layer_probe *probe, velum_table *t) {
    const vl_manifest *m = &p->manifest;
    const uint32_t lanes = m->in.lanes, dim = m->output_count, columns = t->columns;
    uint32_t widest = 0;
    for (uint32_t v = 0; v < p->value_count; v++)
        if (p->values[v].layout.dim > widest) widest = p->values[v].layout.dim;
    double *a = vl_alloc_array(m->in.cts * vl_layout_room(&m->in), sizeof *a);
    double *b = vl_alloc_array(m->out.cts * vl_layout_room(&m->out), sizeof *b);
    double *row = vl_alloc_array((size_t)lanes * dim, sizeof *row);
    probe->values = vl_alloc_array((size_t)lanes * widest, sizeof *probe->values);
    velum_status status = a && b && row && probe->values ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "simulation");
    for (uint64_t first = 0; first < t->rows && status == VELUM_OK; first += lanes) {
        uint32_t n = t->rows - first < lanes ? (uint32_t)(t->rows - first) : lanes;
        probe->first = first;
        probe->rows = n;
        status = simulate_group(p, features + first * m->in.dim, n, a, b, row, probe);
        for (uint32_t k = 0; k < n && status == VELUM_OK; k++) {
            vl_manifest_epilogue(m, row + (size_t)k * dim);
            memcpy(t->values + (first + k) * columns, row + (size_t)k * dim, columns * sizeof *row);
        }
    }
    vl_free(a);
    vl_free(b);
    vl_free(row);
    vl_free(probe->values);
    return status;
}

static velum_status simulate(const velum_program *p, const velum_table *in, noise with, velum_layer_fn each, void *user,
                             velum_table *out) {
    const vl_manifest *m = &p->program.manifest;
    layer_probe probe = {.program = &p->program, .each = each, .user = user, .noise = with};
    double *features = NULL;
    velum_table t = {0};
    vl_program narrow;
    VL_TRY(vl_manifest_features(m, in, &features));
    velum_status status = vl_sim_narrow(&p->program, in->rows < AT_A_TIME ? (uint32_t)in->rows : AT_A_TIME, &narrow);
    if (status == VELUM_OK) {
        probe.program = &narrow;
        status = vl_manifest_table(m, in->rows, &t);
        if (status == VELUM_OK) status = simulate_rows(&narrow, features, &probe, &t);
        vl_free(narrow.values);
    }
    vl_free(features);
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
