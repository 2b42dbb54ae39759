// SPDX-License-Identifier: Apache-2.0
// How much of an error anywhere in a picture program reaches the answers: slopes of the network at calibration rows, by
// passes backwards. Errors of neighbouring pixels meet again in later pixels, and what an average over pixels leaves of
// them is no matter of their variances: the network decides which of them add up.
//
// A probe is a sum of all answers with random signs, divided by the root of their number: the mean, over signs, of the
// square of its slope is the mean over answers of their slopes' squares (as in Hutchinson's estimator of a trace).
#include "nn/pictures.h"
#include <math.h>
#include <string.h>

#define PROBES_LEAST 16
#define PROBES_MOST 192
#define WORK 1e9 // entries of maps that are looked at, in each direction

typedef struct walk {
    vl_nn_pictures *p;
    double **argument, **result; // by stage, the model's numbers
    double **slope;              // of the probe, by result
    uint64_t seed;
    uint32_t probes;
} walk;

static uint64_t draw(walk *w) { // SplitMix64
    uint64_t v = w->seed += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
    return v ^ (v >> 31);
}

static uint32_t probes_of(const vl_nn_pictures *p) {
    double entries = 1;
    for (uint32_t i = 1; i < p->stages; i++) entries += (double)vl_nn_form_count(p->stage[i].form);
    return (uint32_t)fmax(PROBES_LEAST, fmin(PROBES_MOST, WORK / entries));
}

static velum_status begin(vl_nn_pictures *p, walk *w) {
    *w = (walk){.p = p, .probes = probes_of(p)};
    VL_NN_TAKE(p->l->heap, w->argument, p->stages);
    VL_NN_TAKE(p->l->heap, w->result, p->stages);
    VL_NN_TAKE(p->l->heap, w->slope, p->stages);
    for (uint32_t i = 0; i < p->stages; i++) {
        vl_nn_stage *s = &p->stage[i];
        VL_NN_TAKE(p->l->heap, w->argument[i], s->n);
        VL_NN_TAKE(p->l->heap, w->result[i], s->n);
        VL_NN_TAKE(p->l->heap, w->slope[i], s->n);
        VL_NN_TAKE(p->l->heap, s->apart, s->grid.channels);
        VL_NN_TAKE(p->l->heap, s->together, s->grid.channels);
        VL_NN_TAKE(p->l->heap, s->crossed, s->grid.channels);
    }
    return VELUM_OK;
}

// Without calibration: anything that the client may enter.
static void any_features(walk *w, double *x) {
    const vl_nn_prologue *q = &w->p->l->prologue;
    for (uint32_t i = 0; i < w->p->stage[0].n; i++) {
        const double lo = q->steps[q->groups[i].step].lo, hi = q->steps[q->groups[i].step].hi;
        x[i] = lo + (hi - lo) * (double)(draw(w) >> 11) * 0x1p-53;
    }
}

static void forward(walk *w) {
    const vl_nn_pictures *p = w->p;
    for (uint32_t i = 1; i < p->stages; i++) {
        vl_nn_form_at(p->stage[i].form, w->result, w->argument[i]);
        memcpy(w->result[i], w->argument[i], p->stage[i].n * sizeof **w->result);
        if (i < p->l->base_count) vl_nn_base_at(&p->l->base[i], NULL, w->result[i]);
    }
}

static void backward_stage(walk *w, uint32_t i, const double *argument_slope) {
    const vl_nn_form *f = w->p->stage[i].form;
    vl_nn_row row;
    for (uint32_t t = 0; t < f->terms; t++) {
        double *to = w->slope[f->term[t].base];
        for (uint32_t e = 0; e < f->n; e++) {
            vl_nn_term_row(&f->term[t], e, &row);
            for (size_t k = 0; k < row.count; k++) to[row.col[k]] += row.val[k] * argument_slope[e];
        }
    }
}

// Adds up one stage's slopes by channel, as the program holds its numbers; slope becomes that of the argument.
static void add_slopes(walk *w, uint32_t i) {
    vl_nn_stage *s = &w->p->stage[i];
    double *slope = w->slope[i], sum = 0;
    uint32_t last = VL_NN_NONE;
    for (uint32_t e = 0; e < s->n; e++) {
        const uint32_t c = vl_nn_stage_pixel(s, e) / vl_nn_stage_area(s);
        const double t = w->argument[i][e] / s->unit[c];
        if (last != VL_NN_NONE && c != last) { // elements come channel by channel
            s->together[last] += sum * sum / w->probes;
            sum = 0;
        }
        last = c;
        if (s->kind == VL_NN_BASE_SQUARE) {
            const double of_result = slope[e] * vl_nn_stage_worth(s, c);
            const double off = t - s->mean[c], spread = s->usual[c] * s->usual[c] - s->mean[c] * s->mean[c];
            s->crossed[c] += of_result * of_result * (off * off + fmax(spread, 0)) / w->probes;
            slope[e] *= 2 * w->argument[i][e];
        }
        const double of_argument = slope[e] * s->unit[c];
        s->apart[c] += of_argument * of_argument / w->probes;
        sum += of_argument;
    }
    if (last != VL_NN_NONE) s->together[last] += sum * sum / w->probes;
}

static void backward(walk *w) {
    const uint32_t last = w->p->stages - 1, answers = w->p->stage[last].n;
    for (uint32_t i = 0; i <= last; i++) memset(w->slope[i], 0, w->p->stage[i].n * sizeof **w->slope);
    for (uint32_t e = 0; e < answers; e++) w->slope[last][e] = (draw(w) >> 63 ? 1 : -1) / sqrt(answers);
    for (uint32_t i = last; i > 0; i--) {
        add_slopes(w, i);
        backward_stage(w, i, w->slope[i]);
    }
    add_slopes(w, 0);
}

velum_status vl_nn_pictures_slopes(vl_nn_pictures *p, const double *features, uint64_t rows) {
    walk w;
    VL_TRY(begin(p, &w));
    for (uint64_t k = 0; k < w.probes; k++) {
        if (features)
            memcpy(w.result[0], features + k % rows * p->l->prologue.columns, p->stage[0].n * sizeof *features);
        else
            any_features(&w, w.result[0]);
        memcpy(w.argument[0], w.result[0], p->stage[0].n * sizeof *features);
        forward(&w);
        backward(&w);
    }
    return VELUM_OK;
}
