// SPDX-License-Identifier: Apache-2.0
// Placements against all placements, on small chains and residual networks with prices drawn at random.
#include "test.h"

#include "nn/place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OPS 8

typedef struct graph {
    vl_nn_heap heap;
    vl_nn_plan plan;
    vl_nn_value value[MOST_OPS + 1];
    vl_nn_op op[MOST_OPS];
    double most[4];
    vl_compare relu;
    vl_nn_refresh refresh;
    uint64_t seed;
} graph;

static uint64_t draw(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

// Dearer at higher levels; different for every operation and stage.
static double price(const void *arg, const vl_nn_op *op, uint16_t level) {
    const graph *g = arg;
    uint64_t seed = g->seed + 977 * op->dst + 31 * op->first + 7 * (uint64_t)op->kind;
    for (int i = 0; i < 4; i++) draw(&seed);
    return (1 + (double)(draw(&seed) % 100) / 25) * (1 + 0.1 * level);
}

static void add(graph *g, vl_op_kind kind, uint32_t a, uint32_t b) {
    vl_nn_op *op = &g->op[g->plan.op_count++];
    *op = (vl_nn_op){.kind = kind, .label = "op", .src = {a, b}, .dst = g->plan.value_count};
    if (kind == VL_OP_GATE) op->compare = &g->relu;
    g->value[g->plan.value_count++] = (vl_nn_value){.dim = 4, .bound = 1, .most = g->most, .base = VL_NN_NONE};
    g->plan.output = op->dst;
}

static void begin(graph *g, const char *degrees, uint16_t in, uint16_t out, double seconds, uint64_t seed) {
    *g = (graph){.heap = {.limit = 1u << 30}, .most = {1, 1, 1, 1}, .seed = seed};
    g->plan = (vl_nn_plan){.packed = true, .value_count = 1, .values = g->value, .ops = g->op};
    g->value[0] = (vl_nn_value){.dim = 4, .bound = 4, .most = g->most};
    g->relu = (vl_compare){.minimax = vl_minimax_find(degrees, 1), .kind = VL_RELU, .bound = 1};
    assert_non_null(g->relu.minimax);
    g->refresh = (vl_nn_refresh){.in_level = in, .out_level = out, .seconds = seconds};
}

// ---- all placements ----
typedef struct brute {
    graph *g;
    double best;
} brute;

static void try_op(brute *b, uint32_t i, uint32_t *level, double seconds);

static bool can_refresh(const graph *g, uint32_t v) {
    for (uint32_t i = 0; i < g->plan.op_count; i++) {
        const vl_nn_op *op = &g->op[i];
        if (op->dst != v) continue;
        if (op->kind == VL_OP_ADD) return can_refresh(g, op->src[0]) && can_refresh(g, op->src[1]);
        return op->kind == VL_OP_LINTRANS || op->kind == VL_OP_GATE;
    }
    return false;
}

static void try_stage(brute *b, uint32_t i, uint32_t stage, uint32_t u, uint32_t *level, double seconds) {
    const graph *g = b->g;
    const vl_nn_op *op = &g->op[i];
    vl_nn_op part = *op;
    const uint32_t last = g->relu.minimax->count - 1, x = level[op->src[0]];
    part.first = stage;
    part.count = 1;
    part.kind = stage == last ? VL_OP_GATE : VL_OP_SIGN;
    for (uint32_t refreshed = 0; refreshed < 2; refreshed++) {
        uint32_t top = u;
        double now = seconds;
        if (refreshed) {
            if (stage == 0 || u < g->refresh.in_level || u >= g->refresh.out_level) continue;
            top = g->refresh.out_level;
            now += g->refresh.seconds;
        }
        for (uint32_t l = 2; l <= top; l++) {
            double with = now + price(g, &part, (uint16_t)l);
            uint32_t used = vl_nn_stage_levels(&g->relu, stage, false);
            if (stage < last) {
                if (l > used) try_stage(b, i, stage + 1, l - used, level, with);
                continue;
            }
            int result = (int)l - (int)vl_nn_stage_levels(&g->relu, stage, true);
            if (x < l) result = ((int)(l - used) < (int)x ? (int)(l - used) : (int)x) - 1;
            if (result < 1) continue;
            uint32_t keep = level[op->dst];
            level[op->dst] = (uint32_t)result;
            try_op(b, i + 1, level, with);
            level[op->dst] = keep;
        }
    }
}

static void run(brute *b, uint32_t i, uint32_t *level, double seconds) {
    const graph *g = b->g;
    const vl_nn_op *op = &g->op[i];
    if (op->kind == VL_OP_GATE) {
        try_stage(b, i, 0, level[op->src[0]], level, seconds);
        return;
    }
    uint32_t most = level[op->src[0]], used = op->kind != VL_OP_ADD;
    if (vl_op_inputs(op->kind) == 2 && level[op->src[1]] < most) most = level[op->src[1]];
    for (uint32_t l = used + 1; l <= most; l++) {
        level[op->dst] = l - used;
        try_op(b, i + 1, level, seconds + price(g, op, (uint16_t)l));
    }
}

static void try_op(brute *b, uint32_t i, uint32_t *level, double seconds) {
    const graph *g = b->g;
    if (seconds >= b->best) return;
    if (i == g->plan.op_count) {
        b->best = seconds;
        return;
    }
    const vl_nn_op *op = &g->op[i];
    const uint32_t sources = op->kind == VL_OP_GATE ? 1 : vl_op_inputs(op->kind);
    for (uint32_t mask = 0; mask < 1u << sources; mask++) {
        uint32_t now[MOST_OPS + 1];
        double with = seconds;
        bool can = true;
        memcpy(now, level, sizeof now);
        for (uint32_t k = 0; k < sources; k++) {
            if (!(mask >> k & 1)) continue;
            uint32_t *l = &now[op->src[k]];
            can = can && can_refresh(g, op->src[k]) && *l >= g->refresh.in_level && *l < g->refresh.out_level;
            *l = g->refresh.out_level;
            with += g->refresh.seconds;
        }
        if (can) run(b, i, now, with);
    }
}

static double cheapest(graph *g) {
    brute b = {.g = g, .best = INFINITY};
    for (uint32_t l = 1; l <= g->refresh.out_level; l++) {
        uint32_t level[MOST_OPS + 1] = {l};
        try_op(&b, 0, level, 1e-6 * l);
    }
    return b.best;
}

// ---- what was placed ----

// Levels follow one another.
static void check_plan(const graph *g, const vl_nn_plan *p, const vl_nn_placement *report) {
    uint32_t bootstraps = 0;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        const uint32_t u = p->values[op->src[op->kind == VL_OP_GATE]].level;
        uint32_t level = op->level;
        assert_true(level <= u && level >= 1);
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) assert_true(op->src[k] < op->dst);
        if (op->kind == VL_OP_BOOTSTRAP) {
            assert_true(level >= g->refresh.in_level);
            level = g->refresh.out_level;
            bootstraps++;
        } else if (op->kind == VL_OP_SIGN || op->kind == VL_OP_GATE) {
            const uint32_t stages = op->compare->minimax->count, x = p->values[op->src[0]].level;
            assert_true(op->count >= 1 && op->first + op->count <= stages);
            for (uint32_t s = op->first; s < op->first + op->count; s++) {
                uint32_t left = level - vl_nn_stage_levels(op->compare, s, false);
                if (s + 1 == stages && x >= level)
                    left = level - vl_nn_stage_levels(op->compare, s, true);
                else if (s + 1 == stages)
                    left = (x < left ? x : left) - 1;
                level = left;
            }
        } else {
            if (vl_op_inputs(op->kind) == 2) assert_true(op->level <= p->values[op->src[1]].level);
            level -= op->kind != VL_OP_ADD;
        }
        assert_int_equal(level, p->values[op->dst].level);
    }
    assert_int_equal(bootstraps, report->bootstraps);
}

static void compare_with_all(graph *g) {
    vl_nn_pricing pricing = {price, g};
    vl_nn_plan out;
    vl_nn_placement report;
    double best = cheapest(g);
    velum_status status = vl_nn_place(&g->heap, &g->plan, &g->refresh, &pricing, &out, &report);
    if (isinf(best)) {
        assert_int_equal(status, VELUM_E_LIMIT);
    } else {
        assert_int_equal(status, VELUM_OK);
        assert_true(fabs(report.seconds - best) < 1e-9 * best);
        assert_false(report.cut);
        check_plan(g, &out, &report);
    }
    vl_nn_heap_clear(&g->heap);
}

static void chains(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        graph g;
        begin(&g, "7,7", 3, (uint16_t)(8 + seed % 4), 2 + (double)(seed % 17), seed);
        add(&g, VL_OP_LINTRANS, 0, 0);
        add(&g, VL_OP_GATE, 1, 0);
        add(&g, VL_OP_LINTRANS, 2, 0);
        if (seed & 1) add(&g, VL_OP_SQUARE, 3, 0);
        add(&g, VL_OP_LINTRANS, g.plan.output, 0);
        compare_with_all(&g);
    }
}

static void residual(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        graph g;
        begin(&g, "7,7", 2, (uint16_t)(9 + seed % 2), 1 + (double)(seed % 13), seed);
        add(&g, VL_OP_LINTRANS, 0, 0); // 1
        add(&g, VL_OP_GATE, 1, 0);     // 2
        add(&g, VL_OP_LINTRANS, 2, 0); // 3
        add(&g, VL_OP_LINTRANS, 2, 0); // 4: the branch
        add(&g, VL_OP_ADD, 3, 4);      // 5
        add(&g, VL_OP_SQUARE, 5, 0);   // 6
        add(&g, VL_OP_LINTRANS, 6, 0);
        compare_with_all(&g);
    }
}

// A relu that is deeper than what a bootstrap leaves must be cut inside; one stage that is deeper is refused.
static void deep(void **unused) {
    (void)unused;
    graph g;
    vl_nn_plan out;
    vl_nn_placement report;
    vl_nn_pricing pricing = {price, &g};
    begin(&g, "15,15,27", 3, 12, 1, 5);
    add(&g, VL_OP_LINTRANS, 0, 0);
    add(&g, VL_OP_GATE, 1, 0);
    add(&g, VL_OP_LINTRANS, 2, 0);
    assert_int_equal(vl_nn_place(&g.heap, &g.plan, &g.refresh, &pricing, &out, &report), VELUM_OK);
    assert_true(report.bootstraps >= 1);
    check_plan(&g, &out, &report);
    g.refresh.out_level = 5;
    assert_int_equal(vl_nn_place(&g.heap, &g.plan, &g.refresh, &pricing, &out, &report), VELUM_E_LIMIT);
    vl_nn_heap_clear(&g.heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains), cmocka_unit_test(residual), cmocka_unit_test(deep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
