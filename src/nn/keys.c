// SPDX-License-Identifier: Apache-2.0
// The evaluation keys of a choice, before it becomes a program.
#include "nn/plan.h"

#include <stdlib.h>

static int by_element(const void *a, const void *b) {
    const vl_key_request *x = a, *y = b;
    if (x->galois != y->galois) return x->galois < y->galois ? -1 : 1;
    return (x->level < y->level) - (x->level > y->level); // the highest level first
}

typedef struct request_list {
    size_t count, room;
    vl_key_request *at;
} request_list;

static velum_status add(vl_nn_heap *h, request_list *l, const vl_key_request *more, uint32_t count) {
    if (l->count + count > l->room) {
        vl_key_request *at;
        l->room = 2 * (l->count + count) + 64;
        VL_NN_TAKE(h, at, l->room);
        for (size_t i = 0; i < l->count; i++) at[i] = l->at[i];
        l->at = at;
    }
    for (uint32_t i = 0; i < count; i++) l->at[l->count++] = more[i];
    return VELUM_OK;
}

// What a program's operation would ask for, with as much of program and operation as that looks at.
static velum_status add_op(vl_nn_heap *h, const vl_nn_choice *c, const vl_program *p, uint32_t i, vl_key_request *one,
                           request_list *l) {
    const vl_nn_op *from = &c->plan->ops[i];
    if (from->kind == VL_OP_BOOTSTRAP) return VELUM_OK; // once, below
    vl_op op = {.kind = from->kind, .level = from->level, .dst = from->dst, .src = {from->src[0], from->src[1]}};
    if (from->kind == VL_OP_LINTRANS) {
        if (!c->plan->packed) return VELUM_OK; // becomes MIX
        const vl_nn_map *map = &c->packing.maps[i];
        op.plan = map->plan;
        if (map->sparse) {
            op.kind = VL_OP_DIAGONALS;
            op.step = map->step;
            op.start = map->start;
            op.matrix =
                (vl_matrix){from->m->rows, from->m->cols, (uint64_t *)from->m->start, from->m->col, from->m->val};
        }
    }
    return add(h, l, one, vl_program_op_keys(p, &op, one, VL_MAX_KEYS));
}

static uint64_t bytes_of(uint32_t log_n, uint32_t alpha, uint32_t special, uint32_t level) {
    uint64_t digits = (level + alpha - 1) / alpha;
    return 2 * digits * (level + special) * 8 << log_n;
}

velum_status vl_nn_key_bytes(vl_nn_heap *h, const vl_nn_choice *c, uint64_t *out) {
    const vl_nn_ring *r = &c->ring;
    const vl_bootstrap_plan *b = c->bootstrap;
    request_list l = {0};
    vl_key_request *one;
    uint64_t bytes = 0;
    vl_program p = {.manifest.params.log_n = r->log_n};
    VL_NN_TAKE(h, one, VL_MAX_KEYS);
    VL_NN_TAKE(h, p.values, c->plan->value_count);
    for (uint32_t v = 0; v < c->plan->value_count; v++)
        p.values[v].layout = (vl_layout){
            .slots = 1u << (r->log_n - 1), .period = vl_nn_period(c->plan->values[v].dim), .lanes = c->packing.lanes};
    for (uint32_t i = 0; i < c->plan->op_count; i++) VL_TRY(add_op(h, c, &p, i, one, &l));
    if (b) VL_TRY(add(h, &l, b->keys, b->key_count));
    if (l.count) qsort(l.at, l.count, sizeof *l.at, by_element);
    for (size_t i = 0; i < l.count; i++)
        if (i == 0 || l.at[i].galois != l.at[i - 1].galois)
            bytes += bytes_of(r->log_n, r->alpha, r->special, l.at[i].level);
    if (b) // the plan's own sum, less the keys that are counted already
        for (uint32_t i = 0; i < b->key_count; i++) bytes -= bytes_of(r->log_n, r->alpha, r->special, b->keys[i].level);
    *out = bytes + (b ? b->key_bytes : 0);
    return VELUM_OK;
}
