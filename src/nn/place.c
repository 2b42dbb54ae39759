// SPDX-License-Identifier: Apache-2.0
#include "nn/place.h"

#include "nn/place_internal.h"

#include <math.h>
#include <string.h>

#define MOST_STATES 8192 // after each operation

// ---- what is known before the search ----

// Values whose scale can be chosen: those that a linear map, a polynomial or a relu makes, and sums of such.
static bool is_free(const bool *is_scaled, const vl_nn_op *op) {
    switch (op->kind) {
    case VL_OP_LINTRANS:
    case VL_OP_POLY:
    case VL_OP_GATE: return true;
    case VL_OP_ADD: return is_scaled[op->src[0]] && is_scaled[op->src[1]];
    default: return false;
    }
}

// Vectors that a bootstrap does not take: nothing of theirs can be refreshed.
static bool is_long(const search *s, uint32_t value) {
    return s->refresh->period && vl_nn_period(s->in->values[value].dim) > s->refresh->period;
}

const vl_nn_refresh *vl_nn_inside(const search *s, uint32_t x) {
    static const vl_nn_refresh never = {.in_level = 1, .out_level = 1};
    return is_long(s, x) ? &never : s->refresh;
}

static uint32_t sources_of(const vl_nn_op *op) { // before placement a relu reads one value
    return op->kind == VL_OP_GATE ? 1 : vl_op_inputs(op->kind);
}

static velum_status prepare(search *s) {
    const vl_nn_plan *p = s->in;
    VL_NN_TAKE(s->h, s->scaled, p->value_count);
    VL_NN_TAKE(s->h, s->last_use, p->value_count);
    VL_NN_TAKE(s->h, s->made, p->value_count);
    s->scaled[0] = p->values[0].bound <= 1;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        s->scaled[op->dst] = is_free(s->scaled, op);
        s->made[op->dst] = i + 1;
        for (uint32_t k = 0; k < sources_of(op); k++) s->last_use[op->src[k]] = i + 1;
    }
    s->last_use[p->output] = p->op_count + 1;
    return VELUM_OK;
}

// The values needed by operation i or later, by number.
static velum_status list_live(search *s, uint32_t i, live_list *out) {
    out->count = 0;
    for (uint32_t v = 0; v < s->in->value_count; v++) {
        bool there = (v == 0 || s->made[v] != 0) && s->made[v] <= i && s->last_use[v] > i;
        if (!there) continue;
        VL_FAIL_IF(
            out->count == VL_NN_PLACE_LIVE, VELUM_E_LIMIT,
            "model: more than %d values are needed at the same time at '%s'; it cannot be planned with bootstraps",
            VL_NN_PLACE_LIVE, i < s->in->op_count ? s->in->ops[i].label : "the output");
        out->value[out->count++] = v;
    }
    return VELUM_OK;
}

static uint32_t place_of(const live_list *l, uint32_t value) {
    uint32_t k = 0;
    while (k < l->count && l->value[k] != value) k++;
    return k;
}

static uint32_t level_in(uint64_t key, uint32_t k) {
    return (uint32_t)(key >> (VL_NN_PLACE_BITS * k)) & ((1u << VL_NN_PLACE_BITS) - 1);
}

// ---- states ----

static velum_status add_state(search *s, uint64_t key, double seconds, uint32_t parent, const decision *d) {
    states *t = &s->next;
    if (2 * (t->count + 1) > t->slots) VL_TRY(vl_nn_states_grow(t));
    state *at = vl_nn_states_find(t, key);
    if (at && at->seconds <= seconds) return VELUM_OK;
    if (!at) at = vl_nn_states_add(t, key);
    *at = (state){.key = key, .seconds = seconds, .parent = parent, .d = *d};
    return VELUM_OK;
}

// The state after the operation: what is alive then.
static uint64_t next_key(const search *s, const uint8_t *level, uint32_t dst, uint32_t result) {
    uint64_t key = 0;
    for (uint32_t k = 0; k < s->after.count; k++) {
        uint32_t v = s->after.value[k], l = v == dst ? result : level[place_of(&s->before, v)];
        key |= (uint64_t)l << (VL_NN_PLACE_BITS * k);
    }
    return key;
}

static uint32_t levels_used(const vl_nn_op *op) {
    if (op->kind == VL_OP_ADD) return 0;
    return op->kind == VL_OP_POLY ? vl_poly_plan(op->poly).levels : 1;
}

static velum_status run_op(search *s, uint32_t i, const uint8_t *level, double seconds, uint32_t parent, decision d) {
    const vl_nn_op *op = &s->in->ops[i];
    uint32_t most = VL_NN_PLACE_LEVELS;
    for (uint32_t k = 0; k < sources_of(op); k++) {
        uint32_t l = level[place_of(&s->before, op->src[k])];
        if (l < most) most = l;
    }
    d.level = (uint16_t)most;
    if (op->kind == VL_OP_GATE) {
        const vl_nn_gate *g = &s->gate[most];
        for (uint32_t r = 1; r < VL_NN_PLACE_LEVELS; r++) {
            if (!isfinite(g->seconds[r])) continue;
            d.result = (uint16_t)r;
            VL_TRY(add_state(s, next_key(s, level, op->dst, r), seconds + g->seconds[r], parent, &d));
        }
        return VELUM_OK;
    }
    const uint32_t used = levels_used(op);
    for (uint32_t l = used + 1; l <= most; l++) {
        d.level = (uint16_t)l;
        d.result = (uint16_t)(l - used);
        VL_TRY(add_state(s, next_key(s, level, op->dst, d.result), seconds + s->price[l], parent, &d));
    }
    return VELUM_OK;
}

static velum_status expand(search *s, uint32_t i, const state *from, uint32_t parent) {
    const vl_nn_op *op = &s->in->ops[i];
    uint32_t sources = sources_of(op);
    if (sources == 2 && op->src[0] == op->src[1]) sources = 1;
    for (uint32_t mask = 0; mask < 1u << sources; mask++) {
        uint8_t level[VL_NN_PLACE_LIVE];
        double seconds = from->seconds;
        bool can = true;
        for (uint32_t k = 0; k < s->before.count; k++) level[k] = (uint8_t)level_in(from->key, k);
        for (uint32_t k = 0; k < sources && can; k++) {
            if (!(mask >> k & 1)) continue;
            uint8_t *l = &level[place_of(&s->before, op->src[k])];
            can = s->scaled[op->src[k]] && !is_long(s, op->src[k]) && *l >= s->refresh->in_level &&
                  *l < s->refresh->out_level;
            *l = (uint8_t)s->refresh->out_level;
            seconds += s->refresh->seconds;
        }
        if (can) VL_TRY(run_op(s, i, level, seconds, parent, (decision){.refreshed = (uint8_t)mask}));
    }
    return VELUM_OK;
}

// Keeps what was reached, the cheapest first.
static velum_status keep(search *s, uint32_t i) {
    states *t = &s->next;
    step *to = &s->step[i];
    vl_nn_states_pack(t);
    s->cut |= t->count > MOST_STATES;
    to->count = t->count > MOST_STATES ? MOST_STATES : t->count;
    if (to->count > 0) {
        VL_NN_TAKE(s->h, to->state, to->count);
        memcpy(to->state, t->state, to->count * sizeof *to->state);
    }
    vl_nn_states_reset(t);
    return VELUM_OK;
}

static velum_status start(search *s) {
    const decision none = {0};
    VL_TRY(list_live(s, 0, &s->after));
    for (uint32_t l = 1; l <= s->refresh->out_level; l++) // a lower input is a shorter query
        VL_TRY(add_state(s, l, 1e-6 * l, 0, &none));
    return keep(s, 0);
}

static velum_status walk(search *s) {
    const vl_nn_plan *p = s->in;
    VL_TRY(start(s));
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        s->before = s->after;
        VL_TRY(list_live(s, i + 1, &s->after));
        const vl_nn_refresh *inside = vl_nn_inside(s, op->src[0]);
        for (uint32_t l = 1; l <= s->refresh->out_level; l++) {
            if (op->kind == VL_OP_GATE)
                vl_nn_gate_paths(op, (uint16_t)l, inside, s->pricing, &s->gate[l]);
            else
                s->price[l] = s->pricing->op(s->pricing->arg, op, (uint16_t)l);
        }
        for (uint32_t k = 0; k < s->step[i].count; k++) VL_TRY(expand(s, i, &s->step[i].state[k], k));
        VL_TRY(keep(s, i + 1));
        VL_FAIL_IF(s->step[i + 1].count == 0, VELUM_E_LIMIT,
                   "model: '%s' needs more levels than a bootstrap leaves (%u to %u)", op->label, s->refresh->in_level,
                   s->refresh->out_level);
    }
    return VELUM_OK;
}

velum_status vl_nn_place(vl_nn_heap *h, const vl_nn_plan *in, const vl_nn_refresh *refresh,
                         const vl_nn_pricing *pricing, vl_nn_plan *out, vl_nn_placement *report) {
    search s = {.h = h, .in = in, .refresh = refresh, .pricing = pricing};
    VL_FAIL_IF(refresh->out_level >= VL_NN_PLACE_LEVELS || refresh->in_level >= refresh->out_level, VELUM_E_INTERNAL,
               "placement: bootstraps from level %u to %u", refresh->in_level, refresh->out_level);
    VL_TRY(prepare(&s));
    VL_NN_TAKE(h, s.step, in->op_count + 1);
    VL_NN_TAKE(h, s.gate, VL_NN_PLACE_LEVELS);
    velum_status status = walk(&s);
    vl_nn_states_clear(&s.next);
    VL_TRY(status);
    VL_TRY(vl_nn_place_emit(&s, out));
    *report = (vl_nn_placement){.seconds = s.step[in->op_count].state[0].seconds, .cut = s.cut};
    for (uint32_t i = 0; i < out->op_count; i++) report->bootstraps += out->ops[i].kind == VL_OP_BOOTSTRAP;
    return VELUM_OK;
}
