// SPDX-License-Identifier: Apache-2.0
// The declared bound on the error of the encrypted output, before the epilogue.
//
// Errors are carried through the program as a bound on the error of any valid slot. Noise that is made on the way
// (encryption, encoding, rescaling, key switching) is Gaussian or nearly so in the slots, with a known deviation; it
// counts with SIGMAS deviations (a failure chance below 2^-100 for all slots together). What was there before is carried
// in the worst case: through a linear map by the largest sum of |weights| in a row, through a square by 2 |x| e + e^2.
//
// Notation: N degree, sigma 3.19 of fresh errors, a coefficient error of deviation s has deviation s sqrt(N) in a slot.
#include "nn/plan.h"
#include <math.h>

#define SIGMAS 12.0

typedef struct noise {
    double n, scale;
    double round;  // slots: rescaling or dividing by P: a rounded pair (c_0, c_1), (1/12)(1 + 2N/3) a coefficient
    double encode; // slots: rounded plaintext
    double fresh;  // slots: fresh encryption and its encoding
} noise;

static noise noise_of(const vl_params_literal *lit) {
    noise e = {.n = (double)(1u << lit->log_n), .scale = lit->scale};
    double root = sqrt(e.n);
    e.round = SIGMAS * root * sqrt((1 + 2 * e.n / 3) / 12);
    e.encode = SIGMAS * root * sqrt(1.0 / 12);
    e.fresh = SIGMAS * root * sqrt(VL_SIGMA * VL_SIGMA + 1.0 / 12);
    return e;
}

// A key switch at `level`, in slots: every digit's residues, below the digit's product D / 2 and spread evenly, times a
// fresh error, divided by P >= D; then the rounding.
static double key_switch(const noise *e, const vl_params_literal *lit, uint16_t level) {
    double digits = (level + lit->digit_limbs - 1) / lit->digit_limbs;
    double coefficient = sqrt(digits * e->n / 12) * VL_SIGMA;
    return SIGMAS * sqrt(e->n) * coefficient + e->round;
}

static double linear(const noise *e, const vl_params_literal *lit, const vl_op *op, const vl_nn_op *plan, double in_error,
                     double in_bound) {
    double made = e->round / e->scale, before = 0, folds = 1;
    if (op->kind == VL_OP_LINTRANS) {
        // Rotations before the rescale: their noise is multiplied by weights like the input's error. The encoded
        // diagonals carry a rounding error each.
        double diagonals = (double)op->plan.babies * op->plan.giants;
        before = key_switch(e, lit, op->level) / e->scale;
        made += sqrt(diagonals) * e->encode / op->plain_scale * in_bound;
        made += op->plan.giants > 1 ? sqrt(op->plan.giants) * key_switch(e, lit, op->level) / (e->scale * op->plain_scale) : 0;
        // Folds after it: each doubles what it adds up. Independent errors of the parts add by their squares.
        folds = (double)op->plan.copies * op->plan.folds;
        if (folds > 1) made = sqrt(folds) * made + sqrt(folds) * key_switch(e, lit, op->level) / e->scale;
    } else {
        made += op->cols * 0.5 / op->plain_scale * in_bound; // weights rounded to integers
    }
    made += op->bias ? e->encode / e->scale : 0;
    return plan->row_sum * (in_error + before) + made;
}

double vl_nn_error_bound(const vl_nn_choice *c, const vl_program *p) {
    const vl_params_literal *lit = &p->manifest.params;
    noise e = noise_of(lit);
    double *error = vl_alloc_array(p->value_count, sizeof *error), result = 1;
    if (!error) return result;
    error[0] = e.fresh / e.scale;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_op *op = &p->ops[i];
        double x = p->values[op->src[0]].bound, ex = error[op->src[0]], *d = &error[op->dst];
        double y = p->values[op->src[1]].bound, ey = error[op->src[1]];
        double rescaled = (e.round + key_switch(&e, lit, op->level) / (double)lit->q[op->level - 1]) / p->values[op->dst].scale;
        switch (op->kind) {
        case VL_OP_LINTRANS:
        case VL_OP_MIX: *d = linear(&e, lit, op, &c->plan->ops[i], ex, x); break;
        case VL_OP_SQUARE: *d = 2 * x * ex + ex * ex + rescaled; break;
        case VL_OP_MUL: *d = x * ey + y * ex + ex * ey + rescaled; break;
        case VL_OP_ADD: *d = ex + ey; break;
        default: *d = ex + e.encode / op->plain_scale * x + e.round / e.scale; break;
        }
    }
    // The answer is made fresh by an encryption of zero under the public key: e_0 + e_1 s + v e.
    result = error[p->output] + SIGMAS * sqrt(e.n) * VL_SIGMA * sqrt(1 + 4 * e.n / 3) / p->values[p->output].scale;
    vl_free(error);
    return result;
}
