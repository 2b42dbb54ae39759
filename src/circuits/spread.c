// SPDX-License-Identifier: Apache-2.0
// What a spread map is, and what it does in the clear.
#include "circuits/spread_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

// ---- checks ----
static velum_status check_counts(const vl_spread *s, uint32_t slots) {
    VL_FAIL_IF(s->sources == 0 || s->outputs == 0, VELUM_E_FORMAT, "a spread map of %u sources, %u outputs", s->sources,
               s->outputs);
    VL_FAIL_IF(s->sources > VL_SPREAD_MAX_CTS || s->outputs > VL_SPREAD_MAX_CTS, VELUM_E_LIMIT,
               "a spread map of %u sources, %u outputs: at most %d of each", s->sources, s->outputs, VL_SPREAD_MAX_CTS);
    VL_FAIL_IF(s->copies > VL_SPREAD_MAX_COPIES, VELUM_E_LIMIT, "a spread map of %u copies, at most %d", s->copies,
               VL_SPREAD_MAX_COPIES);
    VL_FAIL_IF(s->patterns > VL_SPREAD_MAX_PATTERNS, VELUM_E_LIMIT, "a spread map of %u patterns, at most %d",
               s->patterns, VL_SPREAD_MAX_PATTERNS);
    VL_FAIL_IF(s->period == 0 || (s->period & (s->period - 1)) != 0 || s->period > slots / 16, VELUM_E_FORMAT,
               "a spread map of period %u: must be a power of two, at most %u", s->period, slots / 16);
    VL_FAIL_IF(s->bias_period > 1 && s->bias_period != s->period, VELUM_E_FORMAT,
               "a spread map: biases of period %u, patterns of %u", s->bias_period, s->period);
    VL_FAIL_IF(s->parts != 1 && s->parts != 2, VELUM_E_FORMAT, "a spread map for %u parts", s->parts);
    return VELUM_OK;
}

static velum_status check_copies(const vl_spread *s, uint32_t slots) {
    for (uint32_t k = 0; k < s->copies; k++) {
        const vl_spread_copy *c = &s->copy[k], *before = c - 1;
        VL_FAIL_IF(c->source >= s->sources, VELUM_E_FORMAT, "a spread map: copy %u is of source %u, there are %u", k,
                   c->source, s->sources);
        VL_FAIL_IF(c->rotation <= -(int64_t)slots || c->rotation >= (int64_t)slots, VELUM_E_FORMAT,
                   "a spread map: copy %u turns by %d of %u slots", k, c->rotation, slots);
        VL_FAIL_IF(k > 0 &&
                       !(before->source < c->source || (before->source == c->source && before->rotation < c->rotation)),
                   VELUM_E_FORMAT, "a spread map: copy %u is not behind the one before", k);
    }
    return VELUM_OK;
}

static velum_status check_row(const vl_spread *s, uint32_t r) {
    uint64_t count = s->start[r + 1] - s->start[r];
    VL_FAIL_IF(s->start[r + 1] < s->start[r], VELUM_E_FORMAT, "a spread map: output %u ends before it starts", r);
    VL_FAIL_IF(count > VL_SPREAD_MAX_ROW, VELUM_E_LIMIT, "a spread map: output %u is of %llu copies, at most %d", r,
               (unsigned long long)count, VL_SPREAD_MAX_ROW);
    for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
        VL_FAIL_IF(s->col[i] >= s->copies, VELUM_E_FORMAT, "a spread map: output %u takes copy %u, there are %u", r,
                   s->col[i], s->copies);
        VL_FAIL_IF(i > s->start[r] && s->col[i] <= s->col[i - 1], VELUM_E_FORMAT,
                   "a spread map: the copies of output %u do not ascend", r);
        VL_FAIL_IF(!isfinite(s->weight[i]), VELUM_E_FORMAT, "a spread map: a weight of output %u is not finite", r);
        VL_FAIL_IF(s->through[i] != VL_SPREAD_NO_PATTERN && s->through[i] >= s->patterns, VELUM_E_FORMAT,
                   "a spread map: output %u takes pattern %u, there are %u", r, s->through[i], s->patterns);
    }
    return VELUM_OK;
}

static bool all_finite(const double *v, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

velum_status vl_spread_check(const vl_spread *s, uint32_t slots) {
    VL_TRY(check_counts(s, slots));
    VL_TRY(check_copies(s, slots));
    VL_FAIL_IF(s->start[0] != 0, VELUM_E_FORMAT, "a spread map: the first output starts at entry %llu",
               (unsigned long long)s->start[0]);
    for (uint32_t r = 0; r < s->outputs; r++) VL_TRY(check_row(s, r));
    VL_FAIL_IF(!all_finite(s->pattern, (uint64_t)s->patterns * s->period), VELUM_E_FORMAT,
               "a spread map: a pattern is not finite");
    VL_FAIL_IF(!all_finite(s->bias, (uint64_t)s->outputs * s->bias_period), VELUM_E_FORMAT,
               "a spread map: a bias is not finite");
    return VELUM_OK;
}

// ---- what it takes ----
void vl_spread_count_turns(const vl_spread *s, uint32_t *turns, uint32_t *turning) {
    *turns = *turning = 0;
    for (uint32_t k = 0, last = UINT32_MAX; k < s->copies; k++) {
        if (s->copy[k].rotation == 0) continue;
        ++*turns;
        *turning += s->copy[k].source != last;
        last = s->copy[k].source;
    }
}

static int ascending(const void *a, const void *b) {
    uint64_t x = ((const vl_key_request *)a)->galois, y = ((const vl_key_request *)b)->galois;
    return x < y ? -1 : x > y;
}

uint32_t vl_spread_key_requests(const vl_spread *s, const vl_params *p, uint16_t level, vl_key_request *out) {
    uint32_t count = 0, kept = 0;
    for (uint32_t k = 0; k < s->copies; k++)
        if (s->copy[k].rotation != 0) out[count++] = (vl_key_request){vl_params_galois(p, s->copy[k].rotation), level};
    qsort(out, count, sizeof *out, ascending);
    for (uint32_t k = 0; k < count; k++)
        if (k == 0 || out[k].galois != out[k - 1].galois) out[kept++] = out[k];
    return kept;
}

vl_spread_cost vl_spread_count(const vl_spread *s) {
    uint32_t turns, turning;
    vl_spread_count_turns(s, &turns, &turning);
    vl_spread_cost cost = {.rotations = turns, .decompositions = turning, .products = s->start[s->outputs]};
    for (uint64_t i = 0; i < cost.products; i++) cost.patterned += s->through[i] != VL_SPREAD_NO_PATTERN;
    return cost;
}

// ---- in the clear ----
#define BLOCK 512u // slots at a time: those of some hundred values fit a cache

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
