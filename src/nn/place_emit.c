// SPDX-License-Identifier: Apache-2.0
// A placement as operations: the search's path backwards, then everything in order with new values where it bootstraps.
#include "nn/place_internal.h"

#include <math.h>
#include <string.h>

typedef struct writer {
    search *s;
    vl_nn_plan *out;
    uint32_t value_room, op_room;
    uint32_t *now; // by value of the plan that was given: where it is now
} writer;

static velum_status add_value(writer *w, const vl_nn_value *like, uint16_t level, uint32_t *value) {
    VL_FAIL_IF(w->out->value_count == w->value_room, VELUM_E_INTERNAL, "placement: too many values");
    w->out->values[w->out->value_count] = *like;
    w->out->values[w->out->value_count].level = level;
    *value = w->out->value_count++;
    return VELUM_OK;
}

static velum_status add_op(writer *w, const vl_nn_op *op) {
    VL_FAIL_IF(w->out->op_count == w->op_room, VELUM_E_INTERNAL, "placement: too many operations");
    w->out->ops[w->out->op_count++] = *op;
    return VELUM_OK;
}

static velum_status refresh(writer *w, uint32_t *value, const char *label) {
    vl_nn_op op = {.kind = VL_OP_BOOTSTRAP, .label = label, .src = {*value}, .level = w->s->refresh->in_level};
    VL_TRY(add_value(w, &w->out->values[*value], w->s->refresh->out_level, &op.dst));
    *value = op.dst;
    return add_op(w, &op);
}

// Stages first .. last of a relu as one operation; the last of all takes the product with x in.
static velum_status add_stages(writer *w, const vl_nn_op *from, uint32_t first, uint32_t last, uint32_t x, uint32_t *u,
                               const vl_nn_gate_step *stage, uint16_t result, uint32_t *dst) {
    bool ends = last + 1 == from->compare->minimax->count;
    vl_nn_op op = *from;
    vl_nn_value like = w->out->values[x];
    op.kind = ends ? VL_OP_GATE : VL_OP_SIGN;
    op.src[0] = ends ? x : *u;
    op.src[1] = *u;
    op.first = first;
    op.count = last - first + 1;
    op.level = stage[first].level;
    op.scale_bound = 1;
    if (ends) {
        like = w->s->in->values[from->dst];
    } else {
        VL_NN_TAKE(w->s->h, like.most, like.dim);
        for (uint32_t i = 0; i < like.dim; i++) like.most[i] = 1;
        like.bound = 1;
        like.base = VL_NN_NONE;
        like.form = NULL;
    }
    VL_TRY(add_value(w, &like, result, &op.dst));
    *dst = op.dst;
    return add_op(w, &op);
}

static velum_status add_gate(writer *w, const vl_nn_op *op, const decision *d) {
    const search *s = w->s;
    vl_nn_gate *g;
    VL_NN_TAKE(s->h, g, 1);
    vl_nn_gate_paths(op, d->level, vl_nn_inside(s, op->src[0]), s->pricing, g);
    const vl_nn_gate_step *stage = g->step[d->result];
    const uint32_t count = op->compare->minimax->count, x = w->now[op->src[0]];
    uint32_t u = x, first = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (stage[i].refreshed) VL_TRY(refresh(w, &u, op->label));
        uint16_t left = (uint16_t)(stage[i].level - vl_nn_stage_levels(op->compare, i, false));
        if (i + 1 < count && !stage[i + 1].refreshed && stage[i + 1].level == left) continue;
        VL_TRY(add_stages(w, op, first, i, x, &u, stage, i + 1 == count ? d->result : left, &u));
        first = i + 1;
    }
    w->now[op->dst] = u;
    return VELUM_OK;
}

static velum_status add_decided(writer *w, const vl_nn_op *from, const decision *d) {
    const search *s = w->s;
    for (uint32_t k = 0; k < 2; k++)
        if (d->refreshed >> k & 1) VL_TRY(refresh(w, &w->now[from->src[k]], from->label));
    if (from->kind == VL_OP_GATE) return add_gate(w, from, d);
    vl_nn_op op = *from;
    for (uint32_t k = 0; k < vl_op_inputs(op.kind); k++) op.src[k] = w->now[op.src[k]];
    op.level = d->level;
    op.scale_bound = 1;
    VL_TRY(add_value(w, &s->in->values[from->dst], d->result, &op.dst));
    w->now[from->dst] = op.dst;
    return add_op(w, &op);
}

// ---- scales ----

static uint32_t root_of(uint32_t *of, uint32_t v) {
    while (of[v] != v) v = of[v] = of[of[v]];
    return v;
}

// What is bootstrapped or enters a relu comes at scale Delta / bound; sums and what they add share a scale, and so do a
// value and its refreshed form.
static velum_status set_scales(writer *w) {
    vl_nn_plan *p = w->out;
    uint32_t *of;
    double *need;
    VL_NN_TAKE(w->s->h, of, p->value_count);
    VL_NN_TAKE(w->s->h, need, p->value_count);
    for (uint32_t v = 0; v < p->value_count; v++) of[v] = v;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        if (op->kind == VL_OP_BOOTSTRAP || op->kind == VL_OP_ADD) of[root_of(of, op->src[0])] = root_of(of, op->dst);
        if (op->kind == VL_OP_ADD) of[root_of(of, op->src[1])] = root_of(of, op->dst);
    }
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        bool compares = op->kind == VL_OP_SIGN || op->kind == VL_OP_GATE;
        double bound = 0;
        uint32_t v = op->src[op->kind == VL_OP_GATE];
        if (op->kind == VL_OP_BOOTSTRAP) bound = fmax(1, p->values[v].bound);
        if (compares && op->first == 0) bound = fmax(op->compare->bound, p->values[v].bound);
        if (bound > need[root_of(of, v)]) need[root_of(of, v)] = bound;
    }
    for (uint32_t i = 0; i < p->op_count; i++) {
        vl_nn_op *op = &p->ops[i];
        double bound = need[root_of(of, op->dst)];
        op->scale_bound = bound > 0 ? bound : 1;
        if ((op->kind != VL_OP_SIGN && op->kind != VL_OP_GATE) || op->first != 0) continue;
        vl_compare *f;
        VL_NN_TAKE(w->s->h, f, 1);
        *f = *op->compare;
        f->bound = need[root_of(of, op->src[op->kind == VL_OP_GATE])];
        op->compare = f;
    }
    return VELUM_OK;
}

velum_status vl_nn_place_emit(search *s, vl_nn_plan *out) {
    const vl_nn_plan *in = s->in;
    decision *d;
    writer w = {.s = s, .out = out};
    w.value_room = in->value_count + in->op_count * (2 * VL_MINIMAX_MAX_STAGES + 2);
    w.op_room = in->op_count * (2 * VL_MINIMAX_MAX_STAGES + 3);
    *out = (vl_nn_plan){.packed = in->packed};
    VL_NN_TAKE(s->h, d, in->op_count + 1);
    VL_NN_TAKE(s->h, w.now, in->value_count);
    VL_NN_TAKE(s->h, out->values, w.value_room);
    VL_NN_TAKE(s->h, out->ops, w.op_room);
    uint32_t at = 0;
    for (uint32_t i = in->op_count; i > 0; i--) {
        d[i - 1] = s->step[i].state[at].d;
        at = s->step[i].state[at].parent;
    }
    out->depth = (uint16_t)s->step[0].state[at].key;
    VL_TRY(add_value(&w, &in->values[0], out->depth, &w.now[0]));
    for (uint32_t i = 0; i < in->op_count; i++) VL_TRY(add_decided(&w, &in->ops[i], &d[i]));
    out->output = w.now[in->output];
    return set_scales(&w);
}
