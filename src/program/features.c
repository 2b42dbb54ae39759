// SPDX-License-Identifier: Apache-2.0
// From a table of raw values to features: the prologue over every row.
#include "program/manifest.h"
#include <string.h>

// Column of each model input in the table; by name, or by position where the table has no names.
static velum_status match_columns(const vl_manifest *m, const velum_table *in, uint32_t *column) {
    VL_FAIL_IF(!in->names && in->columns != m->input_count, VELUM_E_VALUE, "input has %u columns, the model takes %u",
               in->columns, m->input_count);
    for (uint32_t i = 0; i < m->input_count; i++) {
        column[i] = in->names ? UINT32_MAX : i;
        for (uint32_t k = 0; in->names && k < in->columns; k++)
            if (strcmp(in->names[k], m->inputs[i].name) == 0) column[i] = k;
        VL_FAIL_IF(column[i] == UINT32_MAX, VELUM_E_VALUE, "input lacks the column '%s'", m->inputs[i].name);
    }
    return VELUM_OK;
}

velum_status vl_manifest_features(const vl_manifest *m, const velum_table *in, double **out) {
    VL_FAIL_IF(in->rows == 0, VELUM_E_VALUE, "input has no rows");
    VL_FAIL_IF(in->rows > VL_MAX_REQUESTS, VELUM_E_LIMIT, "input has %llu rows, the limit is %llu",
               (unsigned long long)in->rows, (unsigned long long)VL_MAX_REQUESTS);
    uint32_t *column = vl_alloc_array(m->input_count, sizeof *column);
    double *raw = vl_alloc_array(m->input_count, sizeof *raw);
    double *features = vl_alloc_array(in->rows * m->in.dim, sizeof *features);
    velum_status status = column && raw && features ? match_columns(m, in, column)
                                                    : VL_FAIL(VELUM_E_NOMEM, "%llu rows of %u features",
                                                              (unsigned long long)in->rows, m->in.dim);
    for (uint64_t r = 0; r < in->rows && status == VELUM_OK; r++) {
        for (uint32_t i = 0; i < m->input_count; i++) raw[i] = in->values[r * in->columns + column[i]];
        status = vl_manifest_prologue(m, r + 1, raw, features + r * m->in.dim);
    }
    vl_free(column);
    if (raw) vl_secure_zero(raw, m->input_count * sizeof *raw);
    vl_free(raw);
    if (status != VELUM_OK) {
        if (features) vl_secure_zero(features, in->rows * m->in.dim * sizeof *features);
        vl_free(features);
        return status;
    }
    *out = features;
    return VELUM_OK;
}

static uint32_t input_of(const vl_manifest *m, uint32_t step) {
    while (m->steps[step].kind != VL_STEP_INPUT) step = m->steps[step].src;
    return m->steps[step].src;
}

void vl_manifest_numbers(const vl_manifest *m, bool *number) {
    memset(number, 0, m->input_count * sizeof *number);
    for (uint32_t i = 0; i < m->feature_count; i++)
        if (m->features[i].depth == 0) number[input_of(m, m->features[i].step)] = true;
}

// last[input] = row for what is found in it: a value counts once, however many features are made of it.
static void find_unseen(const vl_manifest *m, const double *features, const double *raw, uint64_t row, uint64_t *last,
                        velum_unseen *u) {
    bool any = false;
    for (uint32_t i = 0; i < m->feature_count; i++) {
        const vl_feature *f = &m->features[i];
        const double v = *features;
        features += f->depth ? f->depth : 1;
        if (f->depth || (v >= m->covered[i].lo && v <= m->covered[i].hi)) continue;
        const uint32_t input = input_of(m, f->step);
        if (last[input] == row) continue;
        last[input] = row;
        if (u->values++ == 0) {
            u->row = row;
            u->input = input;
            u->value = raw[input];
            u->lo = m->seen[input].lo;
            u->hi = m->seen[input].hi;
        }
        any = true;
    }
    u->rows += any;
}

velum_status vl_manifest_unseen(const vl_manifest *m, const velum_table *in, velum_unseen *out) {
    velum_unseen u = {0};
    double *features = NULL;
    VL_TRY(vl_manifest_features(m, in, &features));
    uint32_t *column = vl_alloc_array(m->input_count, sizeof *column);
    double *raw = vl_alloc_array(m->input_count, sizeof *raw);
    uint64_t *last = vl_alloc_array(m->input_count, sizeof *last);
    velum_status status = column && raw && last ? match_columns(m, in, column) : VL_FAIL(VELUM_E_NOMEM, "input");
    for (uint64_t r = 0; m->covered && r < in->rows && status == VELUM_OK; r++) {
        for (uint32_t i = 0; i < m->input_count; i++) raw[i] = in->values[r * in->columns + column[i]];
        find_unseen(m, features + r * m->in.dim, raw, r + 1, last, &u);
    }
    vl_secure_zero(features, in->rows * m->in.dim * sizeof *features);
    if (raw) vl_secure_zero(raw, m->input_count * sizeof *raw);
    vl_free(features);
    vl_free(column);
    vl_free(raw);
    vl_free(last);
    if (status == VELUM_OK) *out = u;
    return status;
}

velum_status vl_manifest_table(const vl_manifest *m, uint64_t rows, velum_table *out) {
    velum_table t = {.columns = vl_manifest_columns(m), .rows = rows};
    t.values = vl_alloc_array(rows * t.columns, sizeof *t.values);
    t.names = vl_alloc_array(t.columns, sizeof *t.names);
    bool ok = t.values && t.names;
    for (uint32_t i = 0; ok && i < t.columns; i++) ok = (t.names[i] = vl_strdup(m->outputs[i])) != NULL;
    if (!ok) {
        velum_table_free(&t);
        return VL_FAIL(VELUM_E_NOMEM, "table of %llu rows", (unsigned long long)rows);
    }
    *out = t;
    return VELUM_OK;
}
