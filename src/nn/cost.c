// SPDX-License-Identifier: Apache-2.0
// The cost model: seconds on one thread of a server core of 2023, from counts. It compares plans and parameters; the
// figures that `velum bench` measures are the truth about a machine.
#include "nn/plan.h"

#define BUTTERFLY 1.5e-10 // of a number-theoretic transform: 17 us at N=2^14, 75-80 us at N=2^16
#define MAC 6.0e-11       // a coefficient multiplied and added
#define PASS 3.0e-11      // a coefficient read and written
#define STREAM 2.7e-10    // a coefficient of a key or a weight read from memory: 30 GB/s

static double n_of(const vl_nn_ring *r) { return (double)(1u << r->log_n); }
static double ntt(const vl_nn_ring *r) { return n_of(r) * r->log_n / 2 * BUTTERFLY; }
static uint32_t digits(const vl_nn_ring *r, uint16_t level) { return (level + r->alpha - 1) / r->alpha; }

static double decompose(const vl_nn_ring *r, uint16_t level) {
    double d = digits(r, level), wide = level + r->special;
    return level * ntt(r) + (d * wide - level) * ntt(r) + d * r->alpha * wide * n_of(r) * MAC;
}

static double apply_key(const vl_nn_ring *r, uint16_t level) {
    double d = digits(r, level), wide = level + r->special;
    return 2 * d * wide * n_of(r) * MAC;
}

// Many different keys do not stay in the cache; the relinearisation key may.
static double stream_key(const vl_nn_ring *r, uint16_t level) {
    return 2.0 * digits(r, level) * (level + r->special) * n_of(r) * STREAM;
}

static double mod_down(const vl_nn_ring *r, uint16_t level) { // one polynomial
    return (r->special + level) * ntt(r) + (double)r->special * level * n_of(r) * MAC + level * n_of(r) * PASS;
}

vl_lintrans_prices vl_nn_prices(const vl_nn_ring *r, uint16_t level) {
    double wide = level + r->special;
    vl_lintrans_prices p = {.decompose = decompose(r, level), .product = wide * n_of(r) * (2 * MAC + STREAM)};
    p.hoisted = apply_key(r, level) + stream_key(r, level) + 2 * wide * n_of(r) * PASS;
    p.rotation = p.decompose + p.hoisted + 2 * mod_down(r, level);
    return p;
}

double vl_nn_cost_rescale(const vl_nn_ring *r, uint16_t level) { return 2 * (level * ntt(r) + level * n_of(r) * PASS); }

double vl_nn_cost_multiply(const vl_nn_ring *r, uint16_t level) {
    return 4.0 * level * n_of(r) * MAC + decompose(r, level) + apply_key(r, level) + 2 * mod_down(r, level) +
           vl_nn_cost_rescale(r, level);
}

double vl_nn_cost_mask(const vl_nn_ring *r, uint16_t level) {
    return 2.0 * level * n_of(r) * MAC + vl_nn_cost_rescale(r, level);
}

double vl_nn_cost_add(const vl_nn_ring *r, uint16_t level) { return 2.0 * level * n_of(r) * PASS; }

double vl_nn_cost_mix(const vl_nn_ring *r, uint16_t level, uint32_t rows, size_t nonzero) {
    return 2.0 * level * n_of(r) * (MAC + STREAM) * (double)nonzero + rows * vl_nn_cost_rescale(r, level);
}

// Products are spread over the levels that it uses.
double vl_nn_cost_poly(const vl_nn_ring *r, uint16_t level, const vl_poly_cost *cost) {
    uint16_t middle = (uint16_t)(level > cost->levels / 2 ? level - cost->levels / 2 : 1);
    double tensor = 4.0 * middle * n_of(r) * MAC, multiply = vl_nn_cost_multiply(r, middle);
    return cost->relinearisations * (multiply - tensor) + cost->multiplications * tensor +
           cost->constants * 2.0 * middle * n_of(r) * MAC;
}

double vl_nn_cost_stages(const vl_nn_ring *r, uint16_t level, const vl_nn_op *op) {
    const vl_compare *f = op->compare;
    double sum = 0;
    for (uint32_t i = op->first; i < op->first + op->count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial p;
        vl_minimax_polynomial(f->minimax, i, 0.5, 0.5, c, &p);
        bool times = op->kind == VL_OP_GATE && i + 1 == f->minimax->count;
        vl_poly_cost cost = times ? vl_poly_plan_times(&p) : vl_poly_plan(&p);
        sum += vl_nn_cost_poly(r, level, &cost);
        level = (uint16_t)(level > cost.levels ? level - cost.levels : 1);
    }
    return sum;
}
