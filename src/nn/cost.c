// SPDX-License-Identifier: Apache-2.0
// The cost model: seconds on one thread, from counts and a price list. See docs/design/planner.md for how near it
// comes.
#include "nn/plan.h"

#define CACHE 32e6 // bytes of a working set of which half comes from memory

static double n_of(const vl_nn_ring *r) { return (double)(1u << r->log_n); }
static const vl_prices *list(const vl_nn_ring *r) { return r->prices ? r->prices : vl_prices_builtin(); }
static double ntt(const vl_nn_ring *r) { return vl_price_ntt(list(r), r->log_n); }
static double each(const vl_nn_ring *r, vl_price_id id) { return n_of(r) * vl_price(list(r), id); } // a limb
static uint32_t digits(const vl_nn_ring *r, uint16_t level) { return (level + r->alpha - 1) / r->alpha; }

static double decompose(const vl_nn_ring *r, uint16_t level) {
    double d = digits(r, level), wide = level + r->special;
    double made = d * wide - level; // limbs that are not there already
    return level * ntt(r) + made * ntt(r) + (level * wide - level * level / d) * each(r, VL_PRICE_EXTEND);
}

// What `limbs` limbs take of which the farther memory holds the more the larger the working set is.
static double mixed(const vl_nn_ring *r, double limbs, double working_set, vl_price_id near, vl_price_id far) {
    double bytes = 8 * working_set * n_of(r), out = bytes / (bytes + CACHE);
    return limbs * (each(r, near) * (1 - out) + each(r, far) * out);
}

// Passes over a polynomial of this level where `live` of them are in use.
static double passes_among(const vl_nn_ring *r, uint16_t level, double count, double live) {
    return mixed(r, count * level, live * level, VL_PRICE_PASS, VL_PRICE_PASS_FAR);
}

static double passes(const vl_nn_ring *r, uint16_t level, double count) { return passes_among(r, level, count, 6); }

static double apply_key(const vl_nn_ring *r, uint16_t level) {
    double products = 2.0 * digits(r, level) * (level + r->special);
    return products * (each(r, VL_PRICE_MULTIPLY) + each(r, VL_PRICE_STREAM));
}

static double mod_down(const vl_nn_ring *r, uint16_t level) { // one polynomial; what is done to it afterwards too
    return (r->special + level) * ntt(r) + (double)r->special * level * each(r, VL_PRICE_EXTEND) + passes(r, level, 3);
}

// They are written once and read again, in memory or, in a switch that keeps none of them, outside the near caches.
static double store_digits(const vl_nn_ring *r, uint16_t level) {
    double limbs = (double)digits(r, level) * (level + r->special);
    return mixed(r, 1.5 * limbs, limbs, VL_PRICE_PASS, VL_PRICE_PASS_FAR);
}

static double key_switch(const vl_nn_ring *r, uint16_t level) {
    return decompose(r, level) + store_digits(r, level) + apply_key(r, level) + 2 * mod_down(r, level);
}

static double rescale(const vl_nn_ring *r, uint16_t level) { return 2 * level * ntt(r) + passes(r, level, 2); }

static double fresh_of(const vl_nn_ring *r, uint16_t level) {
    return mixed(r, 2.0 * level, 2.0 * level, VL_PRICE_FRESH, VL_PRICE_FRESH_FAR);
}

// The result of an operation at this level.
static double result(const vl_nn_ring *r, uint16_t level) {
    return fresh_of(r, level) + vl_price(list(r), VL_PRICE_OPERATION);
}

// A product relinearised and rescaled, in one division; what else the sum has is made on the way (rlwe/sum.h).
static double product(const vl_nn_ring *r, uint16_t level) {
    double away = r->special + 1.0, left = level - 1.0;
    double down = (away + left) * ntt(r) + away * left * each(r, VL_PRICE_EXTEND) + passes(r, level, 2);
    return passes(r, level, 3) + decompose(r, level) + store_digits(r, level) + apply_key(r, level) + 2 * down;
}

vl_lintrans_prices vl_nn_prices(const vl_nn_ring *r, uint16_t level) {
    uint16_t wide = (uint16_t)(level + r->special);
    vl_lintrans_prices p = {.decompose = decompose(r, level) + store_digits(r, level)};
    p.product = wide * (2 * each(r, VL_PRICE_MULTIPLY) + each(r, VL_PRICE_STREAM)) + passes(r, wide, 1);
    p.hoisted = apply_key(r, level) + passes(r, wide, 3);
    p.rotation = p.decompose + p.hoisted + 2 * mod_down(r, level);
    return p;
}

vl_lintrans_prices vl_nn_seen_prices(const vl_nn_ring *r, uint16_t level) {
    vl_lintrans_prices p = vl_nn_prices(r, level);
    if (r->thrift > 1) {
        double mod_downs = p.rotation - p.decompose - p.hoisted;
        p.hoisted *= r->thrift;
        p.rotation = p.decompose + p.hoisted + mod_downs;
    }
    return p;
}

velum_status vl_nn_cost_linear(const vl_nn_ring *r, uint16_t level, const vl_lintrans_shape *shape,
                               vl_lintrans_plan *plan, vl_lintrans_cost *cost) {
    vl_lintrans_prices real = vl_nn_prices(r, level), seen = vl_nn_seen_prices(r, level);
    VL_TRY(vl_lintrans_plan_best(shape, &seen, plan, cost));
    *cost = vl_lintrans_price(plan, &real);
    return VELUM_OK;
}

double vl_nn_cost_rescale(const vl_nn_ring *r, uint16_t level) { return rescale(r, level) + result(r, level); }

// From signed words to residues, to their places, and transformed: limb by limb, so in the near caches.
double vl_nn_cost_diagonal(const vl_nn_ring *r, uint16_t level) {
    return (level + r->special) * (ntt(r) + 2 * each(r, VL_PRICE_PASS));
}

double vl_nn_cost_multiply(const vl_nn_ring *r, uint16_t level) { return product(r, level) + result(r, level); }

double vl_nn_cost_spread(const vl_nn_ring *r, uint16_t level, const vl_spread_cost *c, uint32_t outputs) {
    const double wide = level + r->special;
    double copies = (double)c->decompositions * decompose(r, level) +
                    (double)c->rotations * (apply_key(r, level) + passes_among(r, (uint16_t)wide, 3, 2.0 * level));
    double sums = 2 * wide * (double)c->products * each(r, VL_PRICE_MULTIPLY);
    double down = (wide + 1) * ntt(r) + (r->special + 1.0) * (level - 1.0) * each(r, VL_PRICE_EXTEND);
    double limbs = 4.0 * level * outputs;
    return copies + sums + 2.0 * outputs * down + mixed(r, limbs, limbs, VL_PRICE_PASS, VL_PRICE_PASS_FAR) +
           vl_nn_cost_many(r, level, outputs, result(r, level), 0);
}

double vl_nn_cost_squares(const vl_nn_ring *r, uint16_t level, uint32_t parts, uint32_t count) {
    double one = parts * key_switch(r, level) + passes(r, level, parts > 1 ? 10 : 5) + result(r, level);
    return vl_nn_cost_many(r, level, count, one, 2);
}

double vl_nn_cost_fold(const vl_nn_ring *r, uint16_t level, uint32_t rotations, uint32_t count) {
    return count * (rotations * (key_switch(r, level) + passes(r, level, 4)) + result(r, level));
}

double vl_nn_cost_mask(const vl_nn_ring *r, uint16_t level) {
    return passes(r, level, 2) + vl_nn_cost_rescale(r, level);
}

double vl_nn_cost_add(const vl_nn_ring *r, uint16_t level) { return passes(r, level, 1.5) + result(r, level); }

// Every entry counts, zero or not.
double vl_nn_cost_mix(const vl_nn_ring *r, uint16_t level, uint32_t rows, uint32_t cols) {
    double limbs = 2.0 * level * rows * cols;
    return limbs * each(r, VL_PRICE_MULTIPLY) + mixed(r, limbs, 2.0 * level * cols, VL_PRICE_PASS, VL_PRICE_PASS_FAR) +
           vl_nn_cost_many(r, level, rows, vl_nn_cost_rescale(r, level), 2);
}

double vl_nn_cost_many(const vl_nn_ring *r, uint16_t level, uint32_t count, double one, double count_passes) {
    double limbs = 2.0 * level * count;
    double fresh = mixed(r, limbs, limbs, VL_PRICE_FRESH, VL_PRICE_FRESH_FAR) - count * fresh_of(r, level);
    double moved = passes_among(r, level, count_passes * count, 2.0 * count) - count * passes(r, level, count_passes);
    return count * one + fresh + (moved > 0 ? moved : 0);
}

// A sum of products is relinearised once; multiples of powers are part of it. Factors, unlike those of a square by
// itself, come from memory: CROWDED times the price.
#define CROWDED 1.12
double vl_nn_cost_poly(const vl_nn_ring *r, uint16_t level, const vl_poly_cost *cost) {
    double live = 2.0 * (cost->multiplications + 3), sum = result(r, level);
    for (uint32_t i = 0; i < cost->levels && i + 1 < level; i++) {
        uint16_t at = (uint16_t)(level - i);
        sum +=
            CROWDED * cost->relinearised[i] * product(r, at) + cost->rescaled[i] * (rescale(r, at) + passes(r, at, 1));
    }
    uint16_t middle = (uint16_t)(level > cost->levels / 2 ? level - cost->levels / 2 : 1);
    double more = cost->multiplications - cost->relinearisations;
    return sum + passes_among(r, middle, 3 * more + cost->constants, live);
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
