// SPDX-License-Identifier: Apache-2.0
// Errors of picture programs: what rescaling, rounded weights and key switches add at each stage, times what the
// network makes of it on the way to the answers (pictures_slopes.c).
//
// Notation: N degree, D scale of a map's result, W that of its weights, P the period. A rescaled pair (c_0, c_1) is off
// by (1/12)(1 + 2N/3) a coefficient, of which N/2 go into the real part of a slot. A number rounded at scale W is off
// by 1/12 (variance), a pattern's 2P coefficients by P/6 together. Rounded weights are the same for all requests, and
// equal weights are rounded alike: their errors add up, not their variances.
#include "nn/pictures.h"
#include <math.h>

#define SIGMAS 8.0
#define BOUND_MOST 1e30
#define WEIGHT_BITS 49 // at their scale: what spread maps take
#define COPY_LEAST 24  // bits of scale
#define BASE_BITS 50.0
#define SPECIAL_BITS 50.0

double vl_nn_pictures_answer_bits(const vl_nn_pictures *p) { // below the base prime, with two bits to spare
    return fmin(VL_NN_PICTURES_COPY_BITS, floor(50 - 2 - log2(p->answer_most + 1)));
}

bool vl_nn_pictures_bits(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, double *argument, double *result) {
    bool fits = true;
    result[0] = argument[0] = VL_NN_PICTURES_IN_BITS;
    for (uint32_t i = 1; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        double most = INFINITY;
        for (uint32_t t = 0; t < s->form->terms; t++)
            most = fmin(most, WEIGHT_BITS - log2(s->weight_most[t] + 1e-9) - vl_nn_pictures_prime(p, c) +
                                  result[s->form->term[t].base]);
        if (s->kind == VL_NN_BASE_SQUARE) {
            argument[i] = c->scale_bits;
            result[i] = 2.0 * c->scale_bits + (c->parts > 1 ? 2 : 0);
            fits = fits && c->scale_bits <= most;
        } else {
            argument[i] = result[i] = floor(fmin(VL_NN_PICTURES_COPY_BITS, most));
            fits = fits && argument[i] >= COPY_LEAST;
        }
    }
    return fits;
}

#define ALL UINT32_MAX // samples: means over them

typedef struct noise {
    const vl_nn_pictures *p;
    const vl_nn_pictures_choice *c;
    double v_round;            // in units of the scale squared
    double *argument, *result; // log2 of scales by stage
} noise;

static bool noise_of(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, noise *e) {
    double n = exp2(c->ring.log_n), *bits = vl_alloc_array(2 * (size_t)p->stages, sizeof *bits);
    if (!bits) return false;
    *e = (noise){.p = p, .c = c, .v_round = n / 2 * (1 + 2 * n / 3) / 12, .argument = bits, .result = bits + p->stages};
    return vl_nn_pictures_bits(p, c, e->argument, e->result);
}

// Mean square of a source's numbers in a channel, and their mean. Of all samples: from what calibration saw of
// arguments and as if these were normal, which says less than samples themselves.
static double power(const vl_nn_stage *s, uint32_t c, uint32_t sample, double *mean) {
    if (sample != ALL) {
        *mean = s->sample[sample].mean[c];
        return s->sample[sample].square[c];
    }
    double u = s->usual[c] * s->usual[c], k = s->shift[c];
    bool square = s->kind == VL_NN_BASE_SQUARE;
    *mean = square ? u + k : s->mean[c];
    return square ? fmax(3 * u * u + 2 * k * u + k * k, *mean * *mean) : u;
}

// What a key switch leaves in the real part of a slot, in units of the scale squared: for each digit N residues below
// its product times fresh errors, divided by P; then a rounding. Before a square of both parts (a conjugation) that is
// no less than what a rescale leaves, unless the special primes are larger than the others.
static double key_switch(const noise *e, uint16_t level) {
    const double n = exp2(e->c->ring.log_n), prime = vl_nn_pictures_prime(e->p, e->c);
    double sum = 0;
    for (uint32_t i = 0; i < level; i += e->c->ring.alpha) {
        const uint32_t limbs = level - i < e->c->ring.alpha ? level - i : e->c->ring.alpha;
        sum += exp2(2 * (limbs * prime + (i == 0 ? BASE_BITS - prime : 0) - SPECIAL_BITS * e->c->ring.special));
    }
    return n / 2 * sum * n / 12 * VL_SIGMA * VL_SIGMA + e->v_round;
}

// Of an argument, what is on every slot: the rescale; where positions are summed, as often as there are positions, and
// the key switches of the sums.
static double slot_noise(const noise *e, uint32_t stage) {
    const vl_nn_stage *s = &e->p->stage[stage];
    int32_t rotation[VL_FOLD_MOST];
    const uint32_t folds = s->fold ? vl_nn_tiling_folds(&e->c->tiling, e->p, s, rotation) : 0;
    const double sums = exp2(folds);
    return (e->v_round * sums + key_switch(e, s->level) * (sums - 1)) * exp2(-2 * e->argument[stage]);
}

// Variances of an argument's errors by rounded weights.
typedef struct rounding {
    double coded;    // of weights with a pattern: differs from position to position, not from phase to phase
    double apart;    // of other weights: what they meet differs from pixel to pixel,
    double together; // but has a mean, as squares are not centred
} rounding;

// Of channel c of a stage. patterned: share of products with a pattern.
static rounding weight_noise(const noise *e, uint32_t stage, uint32_t c, double patterned, uint32_t sample) {
    const vl_nn_stage *s = &e->p->stage[stage];
    rounding sum = {0};
    for (uint32_t t = 0; t < s->form->terms; t++) {
        const uint32_t base = s->form->term[t].base;
        const vl_nn_stage *from = &e->p->stage[base];
        const uint32_t cols = from->grid.channels;
        const double unit = exp2(-2 * (e->argument[stage] + vl_nn_pictures_prime(e->p, e->c) - e->result[base]));
        const double plain = (1 - patterned) / 12 * unit, coded = patterned * e->c->tiling.period / 6 * unit;
        for (uint32_t k = 0; k < cols; k++) {
            double mean, square = power(from, k, sample, &mean), n = s->equal[t][(size_t)c * cols + k];
            sum.coded += n * coded * square;
            sum.apart += n * plain * (square - mean * mean);
            sum.together += n * plain * mean * mean;
        }
    }
    return sum;
}

// What one stage adds to the variance of an answer.
static double stage_share(const noise *e, uint32_t i, double patterned, uint32_t sample) {
    const vl_nn_stage *s = &e->p->stage[i];
    const vl_nn_slopes *to = sample == ALL ? &s->slopes : &s->sample[sample].slopes;
    const vl_layout l = vl_nn_tiling_layout(&e->c->tiling, s, e->c->tiling.period, 1);
    const double positions = fmax(1, (double)vl_nn_stage_area(s) / (l.phase_y * l.phase_x));
    const double own = slot_noise(e, i);
    const bool conjugated = s->kind == VL_NN_BASE_SQUARE && e->c->parts > 1;
    const double switched = conjugated ? key_switch(e, s->level) * exp2(-2 * e->argument[i]) : 0;
    double sum = 0;
    for (uint32_t k = 0; k < s->grid.channels; k++) {
        const rounding r = weight_noise(e, i, k, patterned, sample);
        // One error for the pixels of a position: slopes that are alike add up in it.
        sum += fmax(to->apart[k], to->together[k] / positions) * r.coded;
        sum += to->apart[k] * (own + r.apart) + to->together[k] * r.together + to->crossed[k] * switched;
    }
    return sum;
}

static double answer_noise(const noise *e, const double *patterned, uint32_t sample) {
    const vl_nn_stage *in = &e->p->stage[0];
    const double n = exp2(e->c->ring.log_n),
                 fresh = n * (VL_SIGMA * VL_SIGMA + 1) * exp2(-2.0 * VL_NN_PICTURES_IN_BITS);
    // The mask's rescale, and a fresh encryption of zero under the public key.
    const double end = e->v_round + n * VL_SIGMA * VL_SIGMA * (1 + 4 * n / 3);
    double sum = end * exp2(-2 * vl_nn_pictures_answer_bits(e->p));
    for (uint32_t k = 0; k < in->grid.channels; k++)
        sum += (sample == ALL ? &in->slopes : &in->sample[sample].slopes)->apart[k] * fresh;
    for (uint32_t i = 1; i < e->p->stages; i++) sum += stage_share(e, i, patterned[i], sample);
    return sum;
}

double vl_nn_pictures_error(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, const double *patterned) {
    noise e = {0};
    const double sum = noise_of(p, c, &e) ? answer_noise(&e, patterned, ALL) : INFINITY;
    vl_free(e.argument);
    return sqrt(sum);
}

double vl_nn_pictures_error_worst(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, const double *patterned) {
    noise e = {0};
    double worst = noise_of(p, c, &e) ? answer_noise(&e, patterned, ALL) : INFINITY;
    for (uint32_t k = 0; worst < INFINITY && k < p->samples; k++) worst = fmax(worst, answer_noise(&e, patterned, k));
    vl_free(e.argument);
    return sqrt(worst);
}

// n weights of squares g in all add up to at most sqrt(n g).
double vl_nn_pictures_bound(const vl_nn_pictures *p, const vl_nn_pictures_choice *c) {
    noise e = {0};
    double *error = vl_alloc_array(p->stages, sizeof *error), worst = INFINITY;
    if (!noise_of(p, c, &e) || !error) {
        vl_free(error);
        vl_free(e.argument);
        return BOUND_MOST;
    }
    error[0] = SIGMAS * exp2(c->ring.log_n / 2.0 + 2 - VL_NN_PICTURES_IN_BITS);
    for (uint32_t i = 1; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        const double target = e.argument[i];
        double most = 0, own = SIGMAS * sqrt(e.v_round * (s->fold ? c->tiling.period : 1)) * exp2(-target);
        for (uint32_t k = 0; k < s->grid.channels; k++) {
            double sum = own;
            for (uint32_t t = 0; t < s->form->terms; t++) {
                const uint32_t base = s->form->term[t].base, cols = p->stage[base].grid.channels;
                const vl_nn_stage *from = &p->stage[base];
                const double step =
                    sqrt(c->tiling.period / 6.0 + 1) * exp2(e.result[base] - target - vl_nn_pictures_prime(p, c));
                const double size = vl_nn_stage_most(from);
                for (uint32_t j = 0; j < cols; j++) {
                    const size_t at = (size_t)k * cols + j;
                    sum +=
                        sqrt(s->gain[t][at] * s->count[t][at]) * error[base] + s->count[t][at] * SIGMAS * step * size;
                }
            }
            most = fmax(most, sum);
        }
        error[i] = fmin(BOUND_MOST, s->kind == VL_NN_BASE_SQUARE ? 2 * s->most * most + most * most : most);
    }
    const double n = exp2(c->ring.log_n);
    worst = error[p->stages - 1] + SIGMAS * 2 * n * VL_SIGMA * exp2(-vl_nn_pictures_answer_bits(p));
    vl_free(error);
    vl_free(e.argument);
    return worst < BOUND_MOST ? worst : BOUND_MOST;
}
