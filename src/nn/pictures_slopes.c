// SPDX-License-Identifier: Apache-2.0
// How much of an error anywhere in a picture program reaches the answers: slopes of the network at calibration rows, by
// passes backwards. Errors of neighbouring pixels meet again in later pixels, and what an average over pixels leaves of
// them is no matter of their variances: the network decides which of them add up.
//
// A probe is a sum of all answers with random signs, divided by the root of their number: the mean, over signs, of the
// square of its slope is the mean over answers of their slopes' squares (as in Hutchinson's estimator of a trace). The
// probes at one row have the signs of rows of a Hadamard matrix, times random ones by answer: as many as answers, or
// more, are exact. So a row that is worse than the others is not one that had bad luck.
#include "nn/pictures.h"
#include <math.h>
#include <string.h>

#define PROBES_LEAST 32
#define PROBES_MOST 1536
#define WORK 1e9 // entries of maps that are looked at, backwards
#define PROBES_A_ROW 8
#define ROWS_LEAST 16

typedef struct walk {
    vl_nn_pictures *p;
    double **argument, **result; // by stage, the model's numbers
    double **slope;              // of the probe, by result
    bool *flip;                  // by answer
    uint64_t seed;
    uint32_t rows, probes; // probes: at each row, a power of two
} walk;

static uint64_t draw(walk *w) { // SplitMix64
    uint64_t v = w->seed += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
    return v ^ (v >> 31);
}

// How many rows, and probes at each: no more than answers need.
static void set_counts(walk *w, uint64_t rows) {
    const vl_nn_pictures *p = w->p;
    const uint32_t answers = p->stage[p->stages - 1].n;
    double entries = 1;
    for (uint32_t i = 1; i < p->stages; i++) entries += (double)vl_nn_form_count(p->stage[i].form);
    const uint32_t probes = (uint32_t)fmax(PROBES_LEAST, fmin(PROBES_MOST, WORK / entries));
    w->rows = probes / PROBES_A_ROW > ROWS_LEAST ? probes / PROBES_A_ROW : ROWS_LEAST;
    if (rows && rows < w->rows) w->rows = (uint32_t)rows;
    for (w->probes = 1; w->probes < answers && 2 * w->probes * w->rows <= probes;) w->probes *= 2;
}

static velum_status take_slopes(const vl_nn_pictures *p, uint32_t channels, vl_nn_slopes *s) {
    VL_NN_TAKE(p->l->heap, s->apart, channels);
    VL_NN_TAKE(p->l->heap, s->together, channels);
    VL_NN_TAKE(p->l->heap, s->crossed, channels);
    return VELUM_OK;
}

static velum_status begin(vl_nn_pictures *p, uint64_t rows, walk *w) {
    *w = (walk){.p = p};
    set_counts(w, rows);
    p->samples = w->rows;
    VL_NN_TAKE(p->l->heap, w->argument, p->stages);
    VL_NN_TAKE(p->l->heap, w->result, p->stages);
    VL_NN_TAKE(p->l->heap, w->slope, p->stages);
    VL_NN_TAKE(p->l->heap, w->flip, p->stage[p->stages - 1].n);
    for (uint32_t i = 0; i < p->stages; i++) {
        vl_nn_stage *s = &p->stage[i];
        VL_NN_TAKE(p->l->heap, w->argument[i], s->n);
        VL_NN_TAKE(p->l->heap, w->result[i], s->n);
        VL_NN_TAKE(p->l->heap, w->slope[i], s->n);
        VL_NN_TAKE(p->l->heap, s->sample, w->rows);
        VL_TRY(take_slopes(p, s->grid.channels, &s->slopes));
        for (uint32_t k = 0; k < w->rows; k++) {
            VL_TRY(take_slopes(p, s->grid.channels, &s->sample[k].slopes));
            VL_NN_TAKE(p->l->heap, s->sample[k].square, s->grid.channels);
            VL_NN_TAKE(p->l->heap, s->sample[k].mean, s->grid.channels);
        }
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

static void set_powers(const walk *w, uint32_t i, uint32_t row) {
    const vl_nn_stage *s = &w->p->stage[i];
    const vl_nn_sample *to = &s->sample[row];
    const uint32_t area = vl_nn_stage_area(s);
    for (uint32_t e = 0; e < s->n; e++) {
        const uint32_t c = vl_nn_stage_pixel(s, e) / area;
        const double t = w->result[i][e] / vl_nn_stage_worth(s, c) + s->shift[c];
        to->square[c] += t * t / area;
        to->mean[c] += t / area;
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
static void add_slopes(walk *w, uint32_t i, uint32_t row) {
    const vl_nn_stage *s = &w->p->stage[i];
    const vl_nn_slopes *to = &s->sample[row].slopes;
    double *slope = w->slope[i], sum = 0;
    uint32_t last = VL_NN_NONE;
    for (uint32_t e = 0; e < s->n; e++) {
        const uint32_t c = vl_nn_stage_pixel(s, e) / vl_nn_stage_area(s);
        const double t = w->argument[i][e] / s->unit[c];
        if (last != VL_NN_NONE && c != last) { // elements come channel by channel
            to->together[last] += sum * sum / w->probes;
            sum = 0;
        }
        last = c;
        if (s->kind == VL_NN_BASE_SQUARE) {
            const double of_result = slope[e] * vl_nn_stage_worth(s, c);
            const double off = t - s->mean[c], spread = s->usual[c] * s->usual[c] - s->mean[c] * s->mean[c];
            to->crossed[c] += of_result * of_result * (off * off + fmax(spread, 0)) / w->probes;
            slope[e] *= 2 * w->argument[i][e];
        }
        const double of_argument = slope[e] * s->unit[c];
        to->apart[c] += of_argument * of_argument / w->probes;
        sum += of_argument;
    }
    if (last != VL_NN_NONE) to->together[last] += sum * sum / w->probes;
}

static void backward(walk *w, uint32_t row, uint32_t probe) {
    const uint32_t last = w->p->stages - 1, answers = w->p->stage[last].n;
    for (uint32_t i = 0; i <= last; i++) memset(w->slope[i], 0, w->p->stage[i].n * sizeof **w->slope);
    for (uint32_t e = 0; e < answers; e++) {
        const bool negative = w->flip[e] != (__builtin_popcount(e & probe) & 1);
        w->slope[last][e] = (negative ? -1 : 1) / sqrt(answers);
    }
    for (uint32_t i = last; i > 0; i--) {
        add_slopes(w, i, row);
        backward_stage(w, i, w->slope[i]);
    }
    add_slopes(w, 0, row);
}

static void add_to_mean(const walk *w, uint32_t row) {
    for (uint32_t i = 0; i < w->p->stages; i++) {
        const vl_nn_stage *s = &w->p->stage[i];
        const vl_nn_slopes *from = &s->sample[row].slopes, *to = &s->slopes;
        for (uint32_t c = 0; c < s->grid.channels; c++) {
            to->apart[c] += from->apart[c] / w->rows;
            to->together[c] += from->together[c] / w->rows;
            to->crossed[c] += from->crossed[c] / w->rows;
        }
    }
}

velum_status vl_nn_pictures_slopes(vl_nn_pictures *p, const double *features, uint64_t rows) {
    const uint32_t answers = p->stage[p->stages - 1].n;
    walk w;
    VL_TRY(begin(p, features ? rows : 0, &w));
    for (uint32_t k = 0; k < w.rows; k++) {
        if (features)
            memcpy(w.result[0], features + (size_t)k * p->l->prologue.columns, p->stage[0].n * sizeof *features);
        else
            any_features(&w, w.result[0]);
        memcpy(w.argument[0], w.result[0], p->stage[0].n * sizeof *features);
        forward(&w);
        for (uint32_t i = 0; i < p->stages; i++) set_powers(&w, i, k);
        for (uint32_t e = 0; e < answers; e++) w.flip[e] = draw(&w) >> 63;
        for (uint32_t probe = 0; probe < w.probes; probe++) backward(&w, k, probe);
        add_to_mean(&w, k);
    }
    return VELUM_OK;
}
