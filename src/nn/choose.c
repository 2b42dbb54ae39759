// SPDX-License-Identifier: Apache-2.0
// Parameters: the smallest modelled time among the secure sets that hold every value, precision considered; at equal
// time the larger scale.
#include "nn/plan.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOG_N_LEAST 13
#define LOG_N_MOST 16
#define ALPHA_MOST 4
#define SCALE_MOST 45
#define SCALE_LEAST 36
#define BASE_BITS 50
#define SPECIAL_BITS 50
#define ERROR_FINE 0x1p-14 // a set that declares more error must be this much faster to be taken:
#define ERROR_FAIR 0x1p-8
#define FINE_GAIN 1.5
#define FAIR_GAIN 8.0
#define SLACK 0.5 // bits by which primes may exceed their nominal sizes, all together

// The largest scale at which no slot of any value overflows its level.
static double scale_limit(const vl_nn_plan *p, const vl_nn_packing *k) {
    double most = SCALE_MOST;
    for (uint32_t v = 0; v < p->value_count; v++) {
        double level = p->values[v].level, room = level == 1 ? log2(p->values[v].bound + 1) : log2(k->reach[v] + 1);
        // room + scale + 2 <= BASE_BITS + (level - 1) scale
        if (level == 1)
            most = fmin(most, BASE_BITS - 2 - room);
        else if (level == 2)
            most = BASE_BITS - 2 - room >= 0 ? most : -1;
        else if (room + 2 > BASE_BITS + (level - 2) * SCALE_LEAST)
            most = -1;
    }
    return floor(most);
}

static double log_qp(const vl_nn_plan *p, const vl_nn_ring *r, uint32_t bits) {
    return BASE_BITS + (p->depth - 1.0) * bits + r->special * SPECIAL_BITS + SLACK;
}

static double handicap(const vl_nn_choice *c) {
    return c->error <= ERROR_FINE ? 1 : c->error <= ERROR_FAIR ? FINE_GAIN : FAIR_GAIN;
}

static bool better(const vl_nn_choice *a, const vl_nn_choice *b) {
    double x = a->score * handicap(a), y = b->score * handicap(b);
    if (x < 0.999 * y) return true;
    if (x > 1.001 * y) return false;
    if (a->scale_bits != b->scale_bits) return a->scale_bits > b->scale_bits;
    if (a->ring.log_n != b->ring.log_n) return a->ring.log_n < b->ring.log_n;
    return a->query_bytes < b->query_bytes;
}

static double score_of(const vl_nn_choice *c, const vl_nn_goal *goal) {
    double lanes = c->packing.lanes;
    if (goal->target == VELUM_LATENCY) return c->packing.total;
    if (goal->batch == 0) return c->packing.total / lanes;
    return ceil((double)goal->batch / lanes) * c->packing.total;
}

velum_status vl_nn_offer(vl_nn_heap *h, vl_nn_choice *c, const vl_nn_goal *goal, vl_nn_choice *best,
                         vl_nn_choice *second, uint32_t *found) {
    if (goal->keys) {
        uint64_t keys;
        VL_TRY(vl_nn_key_bytes(h, c, &keys));
        if (keys > goal->keys) return VELUM_OK;
    }
    c->score = score_of(c, goal);
    ++*found;
    if (*found > 2 && c->score > 1.001 * second->score * handicap(second)) return VELUM_OK; // whatever its error
    VL_TRY(vl_nn_error_bound(h, c, &c->error));
    uint64_t groups = goal->batch ? (goal->batch + c->packing.lanes - 1) / c->packing.lanes : 1;
    uint64_t cts = c->plan->packed ? 1 : c->plan->values[0].dim;
    c->query_bytes = groups * cts * c->plan->depth * ((uint64_t)8 << c->ring.log_n);
    if (*found == 1 || better(c, best)) {
        if (*found > 1) *second = *best;
        *best = *c;
    } else if (*found == 2 || better(c, second)) {
        *second = *c;
    }
    return VELUM_OK;
}

static velum_status try_ring(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, const vl_nn_ring *r,
                             uint32_t lanes, vl_nn_choice *best, vl_nn_choice *second, uint32_t *found) {
    double limit = vl_security_max_log_qp(r->log_n, 0, goal->security);
    if (log_qp(p, r, SCALE_LEAST) > limit) return VELUM_OK;
    vl_nn_choice c = {.plan = p, .ring = *r, .base_bits = BASE_BITS, .special_bits = SPECIAL_BITS};
    velum_status status = vl_nn_pack(l->heap, p, r, lanes, &c.packing);
    if (status == VELUM_E_LIMIT && !l->heap->over) return VELUM_OK; // does not fit: another ring may
    VL_TRY(status);
    double most = scale_limit(p, &c.packing);
    if (most < SCALE_LEAST) return VELUM_OK;
    c.scale_bits = (uint32_t)most;
    while (log_qp(p, r, c.scale_bits) > limit) c.scale_bits--;
    if (c.scale_bits < SCALE_LEAST || c.packing.memory > goal->memory) return VELUM_OK;
    return vl_nn_offer(l->heap, &c, goal, best, second, found);
}

velum_status vl_nn_choose(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                          vl_nn_choice *second, uint32_t *found) {
    if (p->depth >= VL_MAX_LIMBS) return VELUM_OK;
    for (uint32_t log_n = LOG_N_LEAST; log_n <= LOG_N_MOST; log_n++)
        for (uint32_t alpha = 1; alpha <= ALPHA_MOST && alpha <= p->depth; alpha++) {
            vl_nn_ring r = {
                .log_n = log_n, .special = alpha, .alpha = alpha, .prices = goal->prices, .thrift = goal->thrift};
            uint32_t slots = 1u << (log_n - 1), wanted = 1;
            while (wanted < goal->batch && wanted <= slots) wanted *= 2;
            if (!p->packed) {
                VL_TRY(try_ring(l, p, goal, &r, slots, best, second, found));
            } else if (goal->target == VELUM_LATENCY || goal->batch) {
                if (wanted <= slots) VL_TRY(try_ring(l, p, goal, &r, wanted, best, second, found));
                for (uint32_t lanes = wanted / 2; goal->target == VELUM_THROUGHPUT && lanes > 1; lanes /= 2)
                    if (lanes <= slots) VL_TRY(try_ring(l, p, goal, &r, lanes, best, second, found));
            } else {
                for (uint32_t lanes = 2; lanes <= slots; lanes *= 2)
                    VL_TRY(try_ring(l, p, goal, &r, lanes, best, second, found));
            }
        }
    return VELUM_OK;
}

velum_status vl_nn_no_choice(const vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal) {
    const vl_nn_value *worst = &p->values[0];
    for (uint32_t v = 0; v < p->value_count; v++)
        if (p->values[v].level == 1 && p->values[v].bound > worst->bound) worst = &p->values[v];
    for (uint32_t v = 0; v < p->value_count; v++) {
        const vl_nn_value *at = &p->values[v];
        double room = at->level == 1 ? BASE_BITS - 2 - SCALE_LEAST : BASE_BITS - 2 + (at->level - 2.0) * SCALE_LEAST;
        const char *where = at->form && at->form->label[0] ? at->form->label
                            : at->base != VL_NN_NONE       ? l->base[at->base].label
                                                           : "outputs";
        VL_FAIL_IF(
            log2(at->bound + 1) > room, VELUM_E_LIMIT,
            "model: values of '%s' may reach %g, which does not fit level %u: narrow the inputs' ranges, or give "
            "calibration rows",
            where, at->bound, at->level);
    }
    char keys[64] = "";
    if (goal->keys) snprintf(keys, sizeof keys, ", %llu MiB of keys", (unsigned long long)(goal->keys >> 20));
    return VL_FAIL(
        VELUM_E_LIMIT,
        "model: no ring up to 2^%d takes %u levels and %llu requests of %u features at %u bits of security in "
        "%llu MiB%s",
        LOG_N_MOST, p->depth - 1, (unsigned long long)(goal->batch ? goal->batch : 1), p->values[0].dim, goal->security,
        (unsigned long long)(goal->memory >> 20), keys);
}
