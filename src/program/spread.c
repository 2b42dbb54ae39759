// SPDX-License-Identifier: Apache-2.0
#include "program/spread.h"

#define ENTRY_BYTES 16u

static void save_numbers(vl_writer *w, const double *v, size_t n) {
    for (size_t i = 0; i < n; i++) vl_write_f64(w, v[i]);
}

void vl_spread_save(const vl_spread *s, vl_writer *w) {
    const uint32_t head[] = {s->sources, s->outputs, s->copies, s->patterns, s->period, s->bias_period, s->parts};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) vl_write_u32(w, head[i]);
    for (uint32_t k = 0; k < s->copies; k++) {
        vl_write_u32(w, s->copy[k].source);
        vl_write_u32(w, (uint32_t)s->copy[k].rotation);
    }
    for (uint32_t r = 0; r < s->outputs; r++) vl_write_u32(w, (uint32_t)(s->start[r + 1] - s->start[r]));
    for (uint64_t i = 0; i < s->start[s->outputs]; i++) {
        vl_write_u32(w, s->col[i]);
        vl_write_u32(w, s->through[i]);
        vl_write_f64(w, s->weight[i]);
    }
    save_numbers(w, s->pattern, (size_t)s->patterns * s->period);
    save_numbers(w, s->bias, (size_t)s->outputs * s->bias_period);
}

static velum_status load_head(vl_reader *r, const char *what, vl_spread *s) {
    uint32_t *const head[] = {&s->sources, &s->outputs,     &s->copies, &s->patterns,
                              &s->period,  &s->bias_period, &s->parts};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) *head[i] = vl_read_u32(r);
    bool few = s->sources <= VL_SPREAD_MAX_CTS && s->outputs <= VL_SPREAD_MAX_CTS &&
               s->copies <= VL_SPREAD_MAX_COPIES && s->patterns <= VL_SPREAD_MAX_PATTERNS;
    VL_FAIL_IF(r->bad || !few, VELUM_E_FORMAT, "%s: a spread map of %u ciphertexts to %u, %u copies, %u patterns", what,
               s->sources, s->outputs, s->copies, s->patterns);
    uint64_t left = vl_reader_left(r);
    VL_FAIL_IF(8 * (uint64_t)s->copies + 4 * (uint64_t)s->outputs > left || s->period > left || s->bias_period > left,
               VELUM_E_FORMAT, "%s: a spread map is cut short", what);
    return VELUM_OK;
}

static velum_status load_rows(vl_reader *r, const char *what, vl_spread *s) {
    s->copy = vl_alloc_array((size_t)s->copies + 1, sizeof *s->copy);
    s->start = vl_alloc_array((size_t)s->outputs + 1, sizeof *s->start);
    VL_FAIL_IF(!s->copy || !s->start, VELUM_E_NOMEM, "%s: %u copies", what, s->copies);
    for (uint32_t k = 0; k < s->copies; k++) {
        s->copy[k].source = vl_read_u32(r);
        s->copy[k].rotation = (int32_t)vl_read_u32(r);
    }
    for (uint32_t i = 0; i < s->outputs; i++) s->start[i + 1] = s->start[i] + vl_read_u32(r);
    uint64_t n = s->start[s->outputs];
    VL_FAIL_IF(r->bad || n > vl_reader_left(r) / ENTRY_BYTES, VELUM_E_FORMAT, "%s: a spread map of %llu entries", what,
               (unsigned long long)n);
    s->col = vl_alloc_raw((n + 1) * sizeof *s->col);
    s->through = vl_alloc_raw((n + 1) * sizeof *s->through);
    s->weight = vl_alloc_raw((n + 1) * sizeof *s->weight);
    VL_FAIL_IF(!s->col || !s->through || !s->weight, VELUM_E_NOMEM, "%s: %llu entries", what, (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        s->col[i] = vl_read_u32(r);
        s->through[i] = vl_read_u32(r);
        s->weight[i] = vl_read_f64(r);
    }
    return VELUM_OK;
}

static velum_status load_numbers(vl_reader *r, const char *what, uint32_t rows, uint32_t period, double **out) {
    uint64_t n = (uint64_t)rows * period;
    if (n == 0) return VELUM_OK;
    VL_FAIL_IF(n > vl_reader_left(r) / 8, VELUM_E_FORMAT, "%s: a spread map is cut short: %u times %u numbers", what,
               rows, period);
    VL_FAIL_IF(!(*out = vl_alloc_raw(n * sizeof **out)), VELUM_E_NOMEM, "%s: %llu numbers", what,
               (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) (*out)[i] = vl_read_f64(r);
    return VELUM_OK;
}

velum_status vl_spread_load(vl_reader *r, const char *what, vl_spread *out) {
    vl_spread s = {0};
    velum_status status = load_head(r, what, &s);
    if (status == VELUM_OK) status = load_rows(r, what, &s);
    if (status == VELUM_OK) status = load_numbers(r, what, s.patterns, s.period, &s.pattern);
    if (status == VELUM_OK) status = load_numbers(r, what, s.outputs, s.bias_period, &s.bias);
    if (status != VELUM_OK) {
        vl_spread_clear(&s);
        return status;
    }
    *out = s;
    return VELUM_OK;
}
