// SPDX-License-Identifier: Apache-2.0
// From forms to operations with levels; then parameters, packing and predicted time.
#ifndef VELUM_NN_PLAN_H
#define VELUM_NN_PLAN_H

#include "ckks/prices.h"
#include "nn/form.h"
#include "program/program.h"
#include <velum/velum.h>

// A value of the program, before parameters are known.
typedef struct vl_nn_value {
    uint32_t dim; // positions
    uint16_t level;
    double bound;
    double *most;           // by position: its largest size
    uint32_t base;          // its base, or VL_NN_NONE:
    const vl_nn_form *form; // what it holds
    // Element i of the base or form stands at position[i] (NULL: i) as (element - shift) / unit[i] (NULL: 1). In
    // positions of no element stands what no operation reads.
    const uint32_t *position;
    const double *unit;
    double shift;
    double limit; // not exceeded, as ranges of activations were chosen so; 0: nothing is known
} vl_nn_value;
typedef struct vl_nn_op {
    vl_op_kind kind; // LINTRANS stands for MIX too
    const char *label;
    uint32_t dst, src[2];
    uint16_t level;
    uint32_t rows, cols;
    const double *weights, *bias; // bias NULL if there is none
    const vl_nn_sparse *m;        // LINTRANS: the matrix by rows, in positions
    const vl_polynomial *poly;    // POLY: of the value itself
    const vl_compare *compare;    // GATE: a whole relu or abs of src[0], until levels are set
    uint32_t first, count;        // SIGN, GATE, once levels are set
    double fit_error;             // POLY: off by at most this from the function that it stands for
    double scale_bound;           // POLY, SIGN, GATE, LINTRANS: the result comes at scale Delta / this
    double row_sum;               // largest sum of |weights| in a row
    size_t nonzero;
} vl_nn_op;
typedef struct vl_nn_plan {
    bool packed;
    uint32_t value_count, op_count, output;
    uint16_t depth; // level of the input
    vl_nn_value *values;
    vl_nn_op *ops;
} vl_nn_plan;

// Approximations chosen (vl_nn_fit), operations in positions, bounds; levels by vl_nn_plan_levels.
// In packed layout every linear map is given by m, in positions, and as the full matrix `weights` too where that has at
// most 2^22 entries (else it is NULL). POLY and GATE (a whole relu or abs: src[1] = src[0], bound 1) work on [-1, 1].
//
// Operations with levels as late as possible: the output at 1. Bounds from ranges and, if given, calibration features
// (rows x columns, as the prologue makes them).
velum_status vl_nn_plan_of(vl_nn_lowered *l, bool packed, const double *calibration, uint64_t rows, vl_nn_plan *out);
// Each value at the highest level that a reader asks for; operations just above their result. Without bootstraps.
void vl_nn_plan_levels(vl_nn_plan *p);
// Lowers the number of calibration rows to what there is time for.
velum_status vl_nn_enough_rows(vl_nn_lowered *l, uint64_t *rows);
// Bounds of all values (bounds.c).
velum_status vl_nn_plan_bounds(vl_nn_lowered *l, vl_nn_plan *p, const double *calibration, uint64_t rows);

// ---- cost (cost.c): seconds on one thread, by counting transforms and passes over memory. Whole operations (multiply,
// mask, add, mix, poly) include a new ciphertext for the result, and so does the rescale that ends a linear map. ----
typedef struct vl_nn_ring {
    uint32_t log_n, special, alpha; // degree, special primes, limbs a digit
    const vl_prices *prices;        // NULL: the built-in list
    double thrift;                  // > 1: plans are compared as if key switches cost so much more; 0: 1
} vl_nn_ring;
vl_lintrans_prices vl_nn_prices(const vl_nn_ring *r, uint16_t level);
vl_lintrans_prices vl_nn_seen_prices(const vl_nn_ring *r, uint16_t level); // as plans are compared: with thrift
// The best plan of a shape: rotations count `thrift` times when plans are compared, *cost is what it really takes.
velum_status vl_nn_cost_linear(const vl_nn_ring *r, uint16_t level, const vl_lintrans_shape *shape,
                               vl_lintrans_plan *plan, vl_lintrans_cost *cost);
double vl_nn_cost_multiply(const vl_nn_ring *r, uint16_t level); // square or product, relinearised and rescaled
double vl_nn_cost_mask(const vl_nn_ring *r, uint16_t level);
// A spread linear map from `level`; squares of `count` ciphertexts at `level`; `count` ciphertexts summed up.
double vl_nn_cost_spread(const vl_nn_ring *r, uint16_t level, const vl_spread_cost *c, uint32_t outputs);
double vl_nn_cost_squares(const vl_nn_ring *r, uint16_t level, uint32_t parts, uint32_t count);
double vl_nn_cost_fold(const vl_nn_ring *r, uint16_t level, uint32_t rotations, uint32_t count);
double vl_nn_cost_add(const vl_nn_ring *r, uint16_t level);
double vl_nn_cost_mix(const vl_nn_ring *r, uint16_t level, uint32_t rows, uint32_t cols);
// One operation on `count` ciphertexts of a value, `one` being what it takes for one of them with so many passes over
// its polynomials: together they do not stay in the caches.
double vl_nn_cost_many(const vl_nn_ring *r, uint16_t level, uint32_t count, double one, double passes);
double vl_nn_cost_rescale(const vl_nn_ring *r, uint16_t level);
// A diagonal that is kept as coefficients, made ready at a use.
double vl_nn_cost_diagonal(const vl_nn_ring *r, uint16_t level);
// A polynomial, or stages of a comparison, from this level down.
double vl_nn_cost_poly(const vl_nn_ring *r, uint16_t level, const vl_poly_cost *cost);
double vl_nn_cost_stages(const vl_nn_ring *r, uint16_t level, const vl_nn_op *op);
// Of a whole program whose operations have their prices: its messages, and the first touch of memory, which goes to the
// operations that need more of it than all before them (around.c).
velum_status vl_nn_price_around(vl_nn_heap *h, const vl_nn_ring *r, vl_program *p);

// ---- packing (pack.c) ----
typedef struct vl_nn_map { // how a linear map is done
    bool sparse;           // by its nonzero diagonals (DIAGONALS), split as step and start say; else by `plan`
    int32_t step, start;
    vl_lintrans_plan plan;
    vl_lintrans_cost cost;
} vl_nn_map;
typedef struct vl_nn_packing {
    uint32_t lanes;
    uint32_t *valid; // by value
    double *reach;   // by value: |any slot| stays below it, valid or not
    vl_nn_map *maps; // by operation
    double *seconds; // by operation
    double total;
    uint64_t memory; // ciphertexts and weights, roughly
} vl_nn_packing;
// The cheapest split and spread of copies for every linear map. VELUM_E_LIMIT if it does not fit the slots.
velum_status vl_nn_pack(vl_nn_heap *h, const vl_nn_plan *p, const vl_nn_ring *r, uint32_t lanes, vl_nn_packing *out);
uint32_t vl_nn_period(uint32_t dim); // the power of two >= dim

// ---- parameters (choose.c) ----
typedef struct vl_nn_choice {
    const vl_nn_plan *plan;
    vl_nn_ring ring;
    uint32_t scale_bits, base_bits, special_bits;
    vl_nn_packing packing;
    const vl_bootstrap_plan *bootstrap; // NULL: none; else its primes are those of the set
    const vl_params_literal *literal;   // with a bootstrap: the parameters
    double error;                       // declared bound
    double score;                       // seconds for the batch, or for a request if no batch is given
    uint64_t query_bytes;
} vl_nn_choice;
typedef struct vl_nn_goal {
    velum_target target;
    uint64_t batch, memory;
    uint64_t keys; // most bytes of evaluation keys; 0: any
    uint32_t security;
    const vl_prices *prices;        // NULL: the built-in list
    double thrift;                  // of the rings that are tried; 0: 1
    const vl_bootstrap_params *set; // this alone; NULL: the cheapest way there is
} vl_nn_goal;
// Adds the best choice for this plan to what was found so far: *best is replaced if it is better, and its old content
// then is *second. `found` counts. VELUM_E_LIMIT if nothing fits at all and found is 0 at the end (see
// vl_nn_no_choice).
velum_status vl_nn_choose(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                          vl_nn_choice *second, uint32_t *found);
// The same for plans with polynomials, comparisons or sparse matrices, leveled or, if *found is 0, with bootstraps by
// the named sets too (deep.c): every value lies over all slots.
velum_status vl_nn_choose_deep(vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal, vl_nn_choice *best,
                               vl_nn_choice *second, uint32_t *found);
// Adds a choice to those found (choose.c).
velum_status vl_nn_offer(vl_nn_heap *h, vl_nn_choice *c, const vl_nn_goal *goal, vl_nn_choice *best,
                         vl_nn_choice *second, uint32_t *found);
velum_status vl_nn_no_choice(const vl_nn_lowered *l, const vl_nn_plan *p, const vl_nn_goal *goal);

// ---- emission (emit.c), error bound (error.c) ----
// Names, prologue, outputs and epilogue.
velum_status vl_nn_emit_model(const vl_nn_lowered *l, const vl_nn_graph *g, const velum_compile_options *opt,
                              vl_manifest *m);
// The manifest's key list, from the operations.
velum_status vl_nn_emit_keys(vl_program *p);
velum_status vl_nn_emit(vl_nn_lowered *l, const vl_nn_graph *g, const vl_nn_choice *c, const velum_compile_options *opt,
                        vl_program *out);
velum_status vl_nn_error_bound(vl_nn_heap *h, const vl_nn_choice *c, double *out);
// The deviation of an output's error to be expected: an estimate. The bound of a deep network is far beyond it, as it
// takes every weight and every derivative at its worst.
velum_status vl_nn_error_typical(vl_nn_heap *h, const vl_nn_choice *c, double *out);

// ---- keys (keys.c) ----
// Bytes of the evaluation keys that a choice needs in the server's memory, bootstraps' included.
velum_status vl_nn_key_bytes(vl_nn_heap *h, const vl_nn_choice *c, uint64_t *out);

#endif
