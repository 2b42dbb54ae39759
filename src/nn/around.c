// SPDX-License-Identifier: Apache-2.0
// What a run takes besides its operations' arithmetic: its messages, and memory that the process did not have. A run
// begins a group with little memory of its own, and at its end the allocator gives back what it took.
#include "nn/plan.h"

#include <math.h>

// Bytes of a ciphertext: from there on its memory comes in huge pages, and `fresh` has the price.
#define SMALL (4u << 20)

typedef struct live {
    uint32_t *last;         // by value: the last operation that reads it
    uint64_t *coefficients; // by value, that lie in small pages
    uint64_t now, most;
} live;

static double price_of(const vl_nn_ring *r, vl_price_id id) {
    return vl_price(r->prices ? r->prices : vl_prices_builtin(), id);
}

// Makes a value, of so many limbs: how much further the most that lives at a time goes.
static uint64_t make(live *l, const vl_program *p, uint32_t value, uint16_t limbs) {
    const uint64_t before = l->most, one = (uint64_t)2 * limbs << p->manifest.params.log_n;
    l->coefficients[value] = one * sizeof(uint64_t) < SMALL ? p->values[value].layout.cts * one : 0;
    l->now += l->coefficients[value];
    if (l->now > l->most) l->most = l->now;
    return l->most - before;
}

static void end(live *l, uint32_t value) {
    l->now -= l->coefficients[value];
    l->coefficients[value] = 0;
}

static void price_touches(const vl_nn_ring *r, vl_program *p, live *l) {
    const double each = price_of(r, VL_PRICE_FRESH_SMALL);
    for (uint32_t i = 0; i < p->op_count; i++)
        for (uint32_t k = 0; k < vl_op_inputs(p->ops[i].kind); k++) l->last[p->ops[i].src[k]] = i;
    p->query_seconds += each * (double)make(l, p, 0, p->manifest.in_level);
    for (uint32_t i = 0; i < p->op_count; i++) {
        vl_op *op = &p->ops[i];
        const uint16_t level = p->values[op->dst].level; // a result has room for what it is rescaled from
        op->seconds += each * (double)make(l, p, op->dst, op->level > level ? op->level : level);
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
            if (l->last[op->src[k]] == i) end(l, op->src[k]);
    }
}

static double bytes_of(const vl_params_literal *lit, uint32_t level) { // of a polynomial, packed
    uint64_t bits = 0;
    for (uint32_t i = 0; i < level; i++)
        for (uint64_t q = lit->q[i]; q; q >>= 1) bits++;
    return ldexp((double)bits / 8, (int)lit->log_n);
}

static void price_messages(const vl_nn_ring *r, vl_program *p) {
    const vl_manifest *m = &p->manifest;
    const double n = ldexp(1, (int)m->params.log_n), digest = price_of(r, VL_PRICE_DIGEST);
    const double unpacked = m->in_level * n * price_of(r, VL_PRICE_MESSAGE); // the half that is not drawn travels
    const double packed = m->out_level * n * price_of(r, VL_PRICE_PASS);
    p->query_seconds = m->in.cts * (unpacked + bytes_of(&m->params, m->in_level) * digest);
    p->answer_seconds = 2.0 * m->out.cts * (packed + bytes_of(&m->params, m->out_level) * digest);
}

velum_status vl_nn_price_around(vl_nn_heap *h, const vl_nn_ring *r, vl_program *p) {
    live l = {0};
    VL_NN_TAKE(h, l.last, p->value_count);
    VL_NN_TAKE(h, l.coefficients, p->value_count);
    price_messages(r, p);
    price_touches(r, p, &l);
    return VELUM_OK;
}
