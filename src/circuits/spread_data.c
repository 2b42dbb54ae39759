// SPDX-License-Identifier: Apache-2.0
// Spread maps as data: structure, counts, and what they do in the clear.
#include "circuits/spread.h"

#include <math.h>
#include <string.h>

#define BLOCK 512u // slots at a time in the clear: one of each of some hundred values fits a cache

void vl_spread_clear(vl_spread *s) {
    vl_free(s->copy);
    vl_free(s->start);
    vl_free(s->col);
    vl_free(s->weight);
    vl_free(s->through);
    vl_free(s->pattern);
    vl_free(s->bias);
    *s = (vl_spread){0};
}

// ---- structure ----

static velum_status check_counts(const vl_spread *s, uint32_t slots) {
    VL_FAIL_IF(s->sources > VL_SPREAD_MAX_CTS || s->outputs > VL_SPREAD_MAX_CTS, VELUM_E_LIMIT,
               "spread map: %u ciphertexts to %u, the limit is %d", s->sources, s->outputs, VL_SPREAD_MAX_CTS);
    VL_FAIL_IF(s->copies > VL_SPREAD_MAX_COPIES || s->patterns > VL_SPREAD_MAX_PATTERNS, VELUM_E_LIMIT,
               "spread map: %u copies, %u patterns, the limits are %d and %d", s->copies, s->patterns,
               VL_SPREAD_MAX_COPIES, VL_SPREAD_MAX_PATTERNS);
    VL_FAIL_IF(!s->sources || !s->outputs || !s->copies, VELUM_E_FORMAT,
               "spread map: %u copies of %u ciphertexts, %u outputs", s->copies, s->sources, s->outputs);
    VL_FAIL_IF(!s->period || (s->period & (s->period - 1)) || s->period > slots / 16, VELUM_E_FORMAT,
               "spread map: period %u in %u slots", s->period, slots);
    VL_FAIL_IF(s->bias_period > 1 && s->bias_period != s->period, VELUM_E_FORMAT,
               "spread map: a bias of period %u, patterns of %u", s->bias_period, s->period);
    VL_FAIL_IF(s->parts != 1 && s->parts != 2, VELUM_E_FORMAT, "spread map: %u parts", s->parts);
    VL_FAIL_IF(!s->copy || !s->start || (s->patterns && !s->pattern) || (s->bias_period && !s->bias), VELUM_E_FORMAT,
               "spread map: numbers are missing");
    return VELUM_OK;
}

static velum_status check_copies(const vl_spread *s, uint32_t slots) {
    for (uint32_t k = 0; k < s->copies; k++) {
        const vl_spread_copy *c = &s->copy[k];
        VL_FAIL_IF(c->source >= s->sources || c->rotation <= -(int64_t)slots || c->rotation >= (int64_t)slots,
                   VELUM_E_FORMAT, "spread map: copy %u is of ciphertext %u, rotated by %d", k, c->source, c->rotation);
        bool after = k == 0 || c[-1].source < c->source || (c[-1].source == c->source && c[-1].rotation < c->rotation);
        VL_FAIL_IF(!after, VELUM_E_FORMAT, "spread map: copy %u is out of order", k);
    }
    return VELUM_OK;
}

static velum_status check_rows(const vl_spread *s) {
    VL_FAIL_IF(s->start[0] != 0, VELUM_E_FORMAT, "spread map: output 0 begins at entry %llu",
               (unsigned long long)s->start[0]);
    for (uint32_t r = 0; r < s->outputs; r++) {
        VL_FAIL_IF(s->start[r + 1] < s->start[r], VELUM_E_FORMAT, "spread map: output %u ends before it begins", r);
        uint64_t count = s->start[r + 1] - s->start[r];
        VL_FAIL_IF(count > VL_SPREAD_MAX_TERMS, VELUM_E_LIMIT, "spread map: output %u of %llu entries, the limit is %d",
                   r, (unsigned long long)count, VL_SPREAD_MAX_TERMS);
    }
    VL_FAIL_IF(s->start[s->outputs] && (!s->col || !s->weight || !s->through), VELUM_E_FORMAT,
               "spread map: entries are missing");
    return VELUM_OK;
}

static velum_status check_entries(const vl_spread *s) {
    for (uint32_t r = 0; r < s->outputs; r++)
        for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
            VL_FAIL_IF(s->col[i] >= s->copies || (i > s->start[r] && s->col[i] <= s->col[i - 1]), VELUM_E_FORMAT,
                       "spread map: output %u, copy %u of %u", r, s->col[i], s->copies);
            VL_FAIL_IF(!isfinite(s->weight[i]), VELUM_E_FORMAT, "spread map: output %u, copy %u: weight %g", r,
                       s->col[i], s->weight[i]);
            VL_FAIL_IF(s->through[i] != VL_SPREAD_NO_PATTERN && s->through[i] >= s->patterns, VELUM_E_FORMAT,
                       "spread map: output %u, copy %u: pattern %u of %u", r, s->col[i], s->through[i], s->patterns);
        }
    return VELUM_OK;
}

velum_status vl_spread_check(const vl_spread *s, uint32_t slots) {
    VL_TRY(check_counts(s, slots));
    VL_TRY(check_copies(s, slots));
    VL_TRY(check_rows(s));
    VL_TRY(check_entries(s));
    for (size_t i = 0; i < (size_t)s->patterns * s->period; i++)
        VL_FAIL_IF(!isfinite(s->pattern[i]), VELUM_E_FORMAT, "spread map: pattern %zu has the number %g", i / s->period,
                   s->pattern[i]);
    for (size_t i = 0; i < (size_t)s->outputs * s->bias_period; i++)
        VL_FAIL_IF(!isfinite(s->bias[i]), VELUM_E_FORMAT, "spread map: output %zu has the bias %g", i / s->bias_period,
                   s->bias[i]);
    return VELUM_OK;
}

vl_spread_cost vl_spread_count(const vl_spread *s) {
    vl_spread_cost cost = {.products = s->start[s->outputs]};
    uint32_t last = UINT32_MAX; // the source that was rotated last: copies are in the order of sources
    for (uint32_t k = 0; k < s->copies; k++) {
        if (s->copy[k].rotation == 0) continue;
        cost.rotations++;
        cost.decompositions += s->copy[k].source != last;
        last = s->copy[k].source;
    }
    for (uint64_t i = 0; i < cost.products; i++) cost.patterned += s->through[i] != VL_SPREAD_NO_PATTERN;
    return cost;
}

// ---- in the clear ----

static void add_scaled(double *y, const double *x, double w, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) y[i] += w * x[i];
}

// The pattern begins anew wherever a slot is a multiple of the period; `at` is y[0]'s slot.
static void add_patterned(double *y, const double *x, double w, const double *pattern, uint32_t period, uint32_t at,
                          uint32_t n) {
    while (n) {
        uint32_t offset = at & (period - 1), run = period - offset < n ? period - offset : n;
        for (uint32_t i = 0; i < run; i++) y[i] += w * pattern[offset + i] * x[i];
        y += run;
        x += run;
        at += run;
        n -= run;
    }
}

// One entry of the map on the slots `at` to at + n - 1 of its output.
static void add_entry(const vl_spread *s, uint64_t entry, uint32_t slots, const double *x, uint32_t at, uint32_t n,
                      double *y) {
    const vl_spread_copy *c = &s->copy[s->col[entry]];
    const uint32_t through = s->through[entry];
    const double *in = x + (size_t)c->source * slots;
    while (n) {
        uint32_t from = (at + (uint32_t)c->rotation) & (slots - 1), run = slots - from < n ? slots - from : n;
        if (through == VL_SPREAD_NO_PATTERN)
            add_scaled(y, in + from, s->weight[entry], run);
        else
            add_patterned(y, in + from, s->weight[entry], s->pattern + (size_t)through * s->period, s->period, at, run);
        y += run;
        at += run;
        n -= run;
    }
}

static void set_bias(const vl_spread *s, uint32_t row, uint32_t at, uint32_t n, double *y) {
    const double *bias = s->bias + (size_t)row * s->bias_period;
    for (uint32_t i = 0; i < n; i++) y[i] = s->bias_period ? bias[(at + i) & (s->bias_period - 1)] : 0;
}

void vl_spread_clear_apply(const vl_spread *s, uint32_t slots, const double *x, double *y) {
    const uint32_t block = slots < BLOCK ? slots : BLOCK;
    for (uint32_t at = 0; at < slots; at += block)
        for (uint32_t r = 0; r < s->outputs; r++) {
            double *out = y + (size_t)r * slots + at;
            set_bias(s, r, at, block, out);
            for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) add_entry(s, i, slots, x, at, block, out);
        }
}
