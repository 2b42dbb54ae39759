// SPDX-License-Identifier: Apache-2.0
// Encoding: which copies are made, and all numbers as integers.
#include "circuits/spread_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- rotated copies ----
int vl_spread_turn_order(const void *a, const void *b) {
    const vl_spread_turn *x = a, *y = b;
    if (x->galois != y->galois) return x->galois < y->galois ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

static velum_status find_turns(const vl_params *p, vl_spread_coded *c) {
    const vl_spread *s = c->s;
    vl_spread_count_turns(s, &c->turns, &c->turning);
    if (c->turns == 0) return VELUM_OK;
    c->turn = vl_alloc_array(c->turns, sizeof *c->turn);
    c->turner = vl_alloc_array(c->turning, sizeof *c->turner);
    VL_FAIL_IF(!c->turn || !c->turner, VELUM_E_NOMEM, "no memory for %u rotated copies", c->turns);
    uint32_t turns = 0, turning = 0;
    for (uint32_t k = 0; k < s->copies; k++) {
        const vl_spread_copy *copy = &s->copy[k];
        if (copy->rotation == 0) continue;
        if (turning == 0 || c->turner[turning - 1] != copy->source) c->turner[turning++] = copy->source;
        c->turn[turns++] = (vl_spread_turn){copy->source, turning - 1, vl_params_galois(p, copy->rotation)};
    }
    qsort(c->turn, c->turns, sizeof *c->turn, vl_spread_turn_order);
    return VELUM_OK;
}

// ---- patterns and biases ----
// `count` values, repeated to the period that is kept.
static void fill_period(uint32_t period, const double *v, uint32_t count, double complex unit, double complex *z) {
    for (uint32_t t = 0; t < period; t++) z[t] = v[t % count] * unit;
}

static velum_status make_patterns(vl_exec *x, const vl_encoder *e, vl_spread_coded *c, int64_t *full) {
    const vl_spread *s = c->s;
    const uint32_t period = c->sub.period;
    if (s->patterns == 0) return VELUM_OK;
    c->pattern = vl_alloc_array((uint64_t)s->patterns * period, sizeof *c->pattern);
    double *v = vl_arena_take(&x->arena, period * sizeof *v);
    VL_FAIL_IF(!c->pattern, VELUM_E_NOMEM, "no memory for %u patterns", s->patterns);
    for (uint32_t m = 0; m < s->patterns; m++) {
        int exponent = 0;
        double most = 1;
        for (uint32_t t = 0; t < period; t++) {
            v[t] = s->pattern[(size_t)m * s->period + t % s->period];
            most = fmax(most, fabs(v[t]));
        }
        frexp(most, &exponent);
        double scale = ldexp(1, 51 - exponent);
        VL_TRY(
            vl_encode_coefficients(x, e, v, NULL, period, scale, c->level, vl_encoder_params(e)->ring.p_count, full));
        for (uint32_t k = 0; k < period; k++)
            c->pattern[(size_t)m * period + k] = (double)full[(size_t)k * c->sub.gap] / scale;
    }
    return VELUM_OK;
}

// The weights of patterns as large as can be: no coefficient may reach the limit.
static velum_status check_patterned(const vl_spread_coded *c) {
    const vl_spread *s = c->s;
    double *most = s->patterns ? vl_alloc_array(s->patterns, sizeof *most) : NULL;
    VL_FAIL_IF(s->patterns && !most, VELUM_E_NOMEM, "no memory for %u patterns", s->patterns);
    for (uint32_t m = 0; m < s->patterns; m++)
        for (uint32_t t = 0; t < s->period; t++) most[m] = fmax(most[m], fabs(s->pattern[(size_t)m * s->period + t]));
    bool good = true;
    for (uint64_t i = 0; i < s->start[s->outputs]; i++)
        good &=
            c->through[i] == VL_SPREAD_NO_PATTERN || fabs(c->value[i]) * most[c->through[i]] < VL_SPREAD_WEIGHT_LIMIT;
    vl_free(most);
    VL_FAIL_IF(!good, VELUM_E_VALUE, "a weight times its pattern is too large for its factor");
    return VELUM_OK;
}

static velum_status make_biases(vl_exec *x, const vl_encoder *e, vl_spread_coded *c, double scale, int64_t *full) {
    const vl_spread *s = c->s;
    const uint32_t words = c->sub.words;
    if (s->bias_period == 0) return VELUM_OK;
    c->bias = vl_alloc_array((uint64_t)s->outputs * words, sizeof *c->bias);
    double complex *z = vl_arena_take(&x->arena, c->sub.period * sizeof *z);
    VL_FAIL_IF(!c->bias, VELUM_E_NOMEM, "no memory for %u biases", s->outputs);
    for (uint32_t r = 0; r < s->outputs; r++) {
        fill_period(c->sub.period, s->bias + (size_t)r * s->bias_period, s->bias_period, s->parts == 2 ? 1 + I : 1, z);
        VL_TRY(vl_encode_coefficients(x, e, NULL, z, c->sub.period, scale, c->level - 1u, 0, full));
        for (uint32_t k = 0; k < words; k++) c->bias[(size_t)r * words + k] = full[(size_t)k * c->sub.gap];
    }
    return VELUM_OK;
}

// ---- the whole ----
static velum_status encode(vl_exec *x, const vl_encoder *e, const double *factor, double bias_scale,
                           vl_spread_coded *c) {
    const vl_params *p = vl_encoder_params(e);
    VL_TRY(vl_subring_init(&p->ring, vl_spread_period(c->s), &c->sub));
    VL_TRY(find_turns(p, c));
    VL_TRY(vl_spread_make_groups(p, factor, c));
    VL_TRY(check_patterned(c));
    size_t mark = vl_arena_mark(&x->arena);
    int64_t *full = vl_arena_take(&x->arena, p->ring.n * sizeof *full);
    velum_status status = make_patterns(x, e, c, full);
    if (status == VELUM_OK) status = make_biases(x, e, c, bias_scale, full);
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_spread_encode(vl_exec *x, const vl_encoder *e, const vl_spread *s, uint16_t level, const double *factor,
                              double bias_scale, vl_spread_coded **out) {
    const vl_ring *ring = &vl_encoder_params(e)->ring;
    VL_FAIL_IF(level < 2 || level > ring->q_count, VELUM_E_LIMIT, "a spread map at level %u of %u", level,
               ring->q_count);
    vl_spread_coded *c = vl_alloc(sizeof *c);
    VL_FAIL_IF(!c, VELUM_E_NOMEM, "no memory for a spread map");
    c->s = s;
    c->level = level;
    velum_status status = encode(x, e, factor, bias_scale, c);
    if (status != VELUM_OK) {
        vl_spread_coded_free(c);
        return status;
    }
    *out = c;
    return VELUM_OK;
}

size_t vl_spread_encode_scratch(const vl_params *p, uint16_t level) {
    size_t values = vl_arena_need(p->ring.n * sizeof(double));
    return 4 * values + vl_encoder_scratch(p, level, p->ring.p_count);
}

void vl_spread_coded_free(vl_spread_coded *c) {
    if (!c) return;
    vl_subring_clear(&c->sub);
    vl_free(c->turn);
    vl_free(c->turner);
    vl_free(c->group);
    vl_free(c->batch);
    vl_free(c->row);
    vl_free(c->at);
    vl_free(c->value);
    vl_free(c->through);
    vl_free(c->pattern);
    vl_free(c->bias);
    vl_free(c);
}

uint64_t vl_spread_coded_bytes(const vl_params *p, const vl_spread *s, uint16_t level) {
    (void)level;
    const uint64_t entries = s->start[s->outputs] + 1, period = vl_spread_period(s);
    uint64_t lists =
        entries * (sizeof(double) + 2 * sizeof(uint32_t)) + s->copies * (sizeof(vl_spread_turn) + sizeof(uint32_t)) +
        2 * (uint64_t)s->outputs * (sizeof(vl_spread_group) + 2 * sizeof(uint32_t)) + s->outputs * sizeof(uint64_t);
    uint64_t numbers = ((uint64_t)s->patterns + (s->bias_period ? 2 * (uint64_t)s->outputs : 0)) * period;
    return sizeof(vl_spread_coded) + lists + numbers * sizeof(double) + vl_subring_bytes(&p->ring, (uint32_t)period) +
           12 * 64;
}
