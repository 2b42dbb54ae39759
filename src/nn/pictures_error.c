// SPDX-License-Identifier: Apache-2.0
// Errors of picture programs, by channel: what rescaling and rounded weights add at each map, carried on as if signs
// and neighbours were independent.
//
// Notation: N degree, D scale of a map's result, W that of its weights, P the period. A rescaled pair (c_0, c_1) is off
// by (1/12)(1 + 2N/3) a coefficient, of which N/2 go into the real part of a slot. A number rounded at scale W is off
// by 1/12 (variance), a pattern's 2P coefficients by P/6 together.
#include "nn/pictures.h"
#include <math.h>
#include <string.h>

#define SIGMAS 8.0
#define BOUND_MOST 1e30
#define WEIGHT_BITS 49 // at their scale: what spread maps take
#define COPY_LEAST 24  // bits of scale

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

// Mean square of a source's numbers in a channel.
static double power(const vl_nn_stage *s, uint32_t c) {
    double u = s->usual[c] * s->usual[c], k = s->shift ? s->shift[c] : 0;
    return s->kind == VL_NN_BASE_SQUARE ? 3 * u * u + 2 * k * u + k * k : u;
}

// The variance of a stage's argument from those of its sources' results. patterned: share of products.
static double argument(const noise *e, uint32_t stage, uint32_t c, double *const *error, double patterned) {
    const vl_nn_stage *s = &e->p->stage[stage];
    const double target = e->argument[stage], period = e->c->tiling.period;
    double v = e->v_round * exp2(-2 * target);
    if (s->fold) v *= period; // sums of so many, at most
    for (uint32_t t = 0; t < s->form->terms; t++) {
        const uint32_t base = s->form->term[t].base;
        const vl_nn_stage *from = &e->p->stage[base];
        const uint32_t cols = from->grid.channels;
        const double weights = target + vl_nn_pictures_prime(e->p, e->c) - e->result[base];
        const double rounded = (1 / 12.0 + patterned * period / 6) * exp2(-2 * weights);
        for (uint32_t k = 0; k < cols; k++) {
            const size_t at = (size_t)c * cols + k;
            v += s->gain[t][at] * error[base][k] + s->count[t][at] * rounded * power(from, k);
        }
    }
    return v;
}

double vl_nn_pictures_error(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, const double *patterned) {
    noise e = {0};
    bool fits = noise_of(p, c, &e);
    const vl_nn_stage *last = &p->stage[p->stages - 1];
    double **error = vl_alloc_array(p->stages, sizeof *error), sum = 0;
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < p->stages; i++) total += p->stage[i].grid.channels;
    double *all = vl_alloc_array(total, sizeof *all);
    if (!fits || !error || !all) {
        vl_free(error);
        vl_free(all);
        vl_free(e.argument);
        return INFINITY;
    }
    for (uint32_t i = 0; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        error[i] = all + at;
        at += s->grid.channels;
        for (uint32_t k = 0; k < s->grid.channels; k++) {
            if (i == 0) {
                error[i][k] = exp2(c->ring.log_n) * (VL_SIGMA * VL_SIGMA + 1) * exp2(-2.0 * VL_NN_PICTURES_IN_BITS);
                continue;
            }
            double v = argument(&e, i, k, error, patterned[i]);
            error[i][k] = s->kind == VL_NN_BASE_SQUARE ? 4 * s->usual[k] * s->usual[k] * v + 2 * v * v : v;
        }
    }
    for (uint32_t k = 0; k < last->grid.channels; k++) sum += error[p->stages - 1][k] / last->grid.channels;
    // The mask's rescale, and a fresh encryption of zero under the public key.
    const double n = exp2(c->ring.log_n), zero = n * VL_SIGMA * VL_SIGMA * (1 + 4 * n / 3);
    sum += (e.v_round + zero) * exp2(-2 * vl_nn_pictures_answer_bits(p));
    vl_free(error);
    vl_free(all);
    vl_free(e.argument);
    return sqrt(sum);
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
