// SPDX-License-Identifier: Apache-2.0
// The declared bound on the error of the encrypted output, before the epilogue.
//
// Each operation makes noise (encryption, encoding, rescaling, key switching) that is Gaussian or nearly so in the
// slots, independent between slots and operations, with a known deviation. To first order an output's error is the sum
// over all noises of the output's derivative by the value that got the noise. A bound on each derivative, for any input
// in range, comes from walking backwards: through a linear map by |weights|, through a square by 2 max |x|, by element.
// So the variances add up, and SIGMAS deviations of the sum are declared: an output exceeds that with a chance of
// 2^-49. Second-order terms are smaller by the error itself; a quarter is added for them.
//
// Notation: N degree, sigma 3.19 of fresh errors; a coefficient error of deviation s has deviation s sqrt(N) in a slot.
// Primes count with their nominal sizes. A number squared is written v_.
#include "nn/plan.h"
#include <math.h>
#include <string.h>

#define SIGMAS 8.0
#define USUAL (1.0 / 6) // three deviations and a margin of two
#define SECOND_ORDER 1.25
#define EXACT_WORK 2e9 // above it, one walk for all outputs together, which only gives more

typedef struct noise { // variances in slots, in units of the message
    const vl_nn_choice *c;
    double n, v_scale;
    double v_round;  // rescaling or dividing by P: a rounded pair (c_0, c_1), (1/12)(1 + 2N/3) a coefficient
    double v_encode; // a rounded plaintext
    bool typical;    // gains are squares of derivatives, added up as if their signs were independent
} noise;

static noise noise_of(const vl_nn_choice *c) {
    noise e = {.c = c, .n = (double)(1u << c->ring.log_n), .v_scale = ldexp(1, 2 * (int)c->scale_bits)};
    e.v_round = e.n * (1 + 2 * e.n / 3) / 12 / e.v_scale;
    e.v_encode = e.n / 12 / e.v_scale;
    return e;
}

// A key switch at `level`: for each digit, N residues spread evenly below its product D times fresh errors, divided by
// P; then the rounding.
static double key_switch(const noise *e, uint16_t level) {
    const vl_nn_choice *c = e->c;
    double special = (double)c->ring.special * c->special_bits, sum = 0;
    for (uint32_t i = 0; i < level; i += c->ring.alpha) {
        uint32_t limbs = level - i < c->ring.alpha ? level - i : c->ring.alpha;
        double bits = (double)limbs * c->scale_bits + (i == 0 ? (double)c->base_bits - c->scale_bits : 0);
        sum += exp2(2 * (bits - special));
    }
    return e->n * (sum * e->n / 12) * VL_SIGMA * VL_SIGMA / e->v_scale + e->v_round;
}

// The noise that a linear map adds to element i of its result; `keys`: of a key switch at its level.
static double linear(const noise *e, const vl_nn_op *op, const vl_nn_map *map, uint32_t i, double keys,
                     double in_bound) {
    double v_row = 0, v_bias = op->bias ? e->v_encode : 0;
    const vl_nn_sparse *m = op->m;
    for (size_t k = m->start[i]; k < m->start[i + 1]; k++) v_row += m->val[k] * m->val[k];
    if (!e->c->plan->packed) // weights rounded to integers
        return e->v_round + v_bias + op->cols / 12.0 / e->v_scale * in_bound * in_bound;
    // Rotations before the rescale meet the weights; the encoded diagonals carry a rounding error each; giant steps
    // come at a squared scale. Folds come after the rescale.
    const vl_lintrans_plan *plan = &map->plan;
    double folds = map->sparse ? 1 : (double)plan->copies * plan->folds;
    double giants = map->sparse ? map->cost.decompositions : plan->giants;
    double diagonals = map->sparse ? map->cost.diagonals : plan->babies * giants * folds;
    double v = v_row * keys + diagonals * e->v_encode * in_bound * in_bound + v_bias;
    v += folds * (e->v_round + giants * keys / e->v_scale);
    return v + (folds - 1) * keys;
}

// The largest slope of a polynomial on its range, by differences.
static double slope(const vl_polynomial *f) {
    const double lo = f->basis == VL_CHEBYSHEV ? f->lo : -1, hi = f->basis == VL_CHEBYSHEV ? f->hi : 1;
    const uint32_t steps = 16 * (f->degree + 1);
    double most = 0, last = vl_polynomial_eval(f, lo);
    for (uint32_t i = 1; i <= steps; i++) {
        double next = vl_polynomial_eval(f, lo + (hi - lo) * i / steps);
        most = fmax(most, fabs(next - last) * steps / (hi - lo));
        last = next;
    }
    return most;
}

// By how much an operation multiplies a gain.
static double times(const noise *e, double derivative) {
    return e->typical ? derivative * derivative : fabs(derivative);
}

// A value's size: its bound, or what is usual where that has a margin of two and holds for all elements.
static double size_of(const noise *e, const vl_nn_value *x, uint32_t k) {
    return fmin(x->most[k], x->bound) * (e->typical ? USUAL : 1);
}

// One walk from the output: adds up (derivative)^2 x (variance) over all noises. gain[value][element].
// *bias: what approximations are off by, added up likewise; typical: the square of it.
static double walk(const noise *e, double **gain, double *bias) {
    const vl_nn_plan *p = e->c->plan;
    double total = 0, off = 0;
    for (uint32_t i = p->op_count; i-- > 0;) {
        const vl_nn_op *op = &p->ops[i];
        const double *g = gain[op->dst];
        const vl_nn_value *x = &p->values[op->src[0]], *y = &p->values[op->src[1]];
        const double coarse = op->scale_bound > 1 ? op->scale_bound : 1; // its scale is smaller by that
        const double keys = key_switch(e, op->level), rounds = e->v_round + keys / e->v_scale;
        const double refresh = op->kind == VL_OP_BOOTSTRAP ? 1.57 * exp2(-2 * e->c->bootstrap->precision_bits) : 0;
        const double steep = op->kind == VL_OP_POLY ? slope(op->poly) : 1;
        const double half = e->typical ? sqrt(0.5) : 1; // of its elements a relu passes
        for (uint32_t k = 0; k < p->values[op->dst].dim; k++) {
            if (g[k] == 0) continue;
            double v = 0, *gx = gain[op->src[0]], *gy = gain[op->src[1]];
            switch (op->kind) {
            case VL_OP_LINTRANS:
                v = linear(e, op, &e->c->packing.maps[i], k, keys, x->bound);
                for (size_t j = op->m->start[k]; j < op->m->start[k + 1]; j++)
                    gx[op->m->col[j]] += g[k] * times(e, op->m->val[j]);
                break;
            case VL_OP_SQUARE:
                v = rounds;
                gx[k] += g[k] * times(e, 2 * size_of(e, x, k));
                break;
            case VL_OP_MUL:
                v = rounds;
                gx[k] += g[k] * times(e, size_of(e, y, k));
                gy[k] += g[k] * times(e, size_of(e, x, k));
                break;
            case VL_OP_ADD:
                gx[k] += g[k];
                gy[k] += g[k];
                break;
            case VL_OP_POLY:
                v = 4 * rounds;
                off += g[k] * times(e, op->fit_error * half);
                gx[k] += g[k] * times(e, steep);
                break;
            case VL_OP_SIGN: break; // noise in a later stage's input is within what the composite bears
            case VL_OP_GATE:        // an error in x acts as x with that error
                v = 4 * rounds;
                off += g[k] * times(e, op->compare->minimax->relu_error * op->compare->bound * half);
                gx[k] += g[k] * times(e, half);
                break;
            case VL_OP_BOOTSTRAP: // its precision is of the mean; 1.25 times that is the deviation
                v = refresh;
                gx[k] += g[k];
                break;
            default: // MASK
                v = e->v_round + e->v_encode * x->bound * x->bound;
                gx[k] += g[k];
            }
            total += (e->typical ? g[k] : g[k] * g[k]) * v * coarse * coarse;
        }
    }
    double v_fresh = e->n * (VL_SIGMA * VL_SIGMA + 1.0 / 12) / e->v_scale;
    for (uint32_t k = 0; k < p->values[0].dim; k++)
        total += (e->typical ? gain[0][k] : gain[0][k] * gain[0][k]) * v_fresh;
    *bias = off;
    return total;
}

// The answer is made fresh by an encryption of zero under the public key: e_0 + e_1 s + v e.
static double of_zero(const noise *e) { return e->n * VL_SIGMA * VL_SIGMA * (1 + 4 * e->n / 3) / e->v_scale; }

velum_status vl_nn_error_typical(vl_nn_heap *h, const vl_nn_choice *c, double *out) {
    const vl_nn_plan *p = c->plan;
    noise e = noise_of(c);
    double **gain, off;
    const uint32_t outputs = p->values[p->output].dim;
    e.typical = true;
    VL_NN_TAKE(h, gain, p->value_count);
    for (uint32_t v = 0; v < p->value_count; v++) VL_NN_TAKE(h, gain[v], p->values[v].dim);
    for (uint32_t j = 0; j < outputs; j++) gain[p->output][j] = 1.0 / outputs;
    double total = walk(&e, gain, &off);
    *out = sqrt(total + off + of_zero(&e));
    return VELUM_OK;
}

velum_status vl_nn_error_bound(vl_nn_heap *h, const vl_nn_choice *c, double *out) {
    const vl_nn_plan *p = c->plan;
    noise e = noise_of(c);
    double **gain, worst = 0, off = 0, work = 0;
    uint32_t outputs = p->values[p->output].dim;
    VL_NN_TAKE(h, gain, p->value_count);
    for (uint32_t v = 0; v < p->value_count; v++) VL_NN_TAKE(h, gain[v], p->values[v].dim);
    for (uint32_t i = 0; i < p->op_count; i++) work += (double)p->ops[i].nonzero;
    bool together = work * outputs > EXACT_WORK;
    for (uint32_t k = 0; k < (together ? 1 : outputs); k++) {
        for (uint32_t v = 0; v < p->value_count; v++) memset(gain[v], 0, p->values[v].dim * sizeof **gain);
        for (uint32_t j = 0; j < outputs; j++) gain[p->output][j] = together || j == k;
        double bias;
        worst = fmax(worst, walk(&e, gain, &bias));
        off = fmax(off, bias);
    }
    worst += of_zero(&e);
    *out = SECOND_ORDER * (SIGMAS * sqrt(worst) + off);
    return VELUM_OK;
}
