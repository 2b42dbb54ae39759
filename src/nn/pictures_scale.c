// SPDX-License-Identifier: Apache-2.0
// What numbers a picture program holds: units by channel, shifts, biases.
#include "nn/pictures.h"
#include <math.h>
#include <string.h>

#define MARGIN 2.0     // what calibration saw is widened by this
#define SHARE_LEAST 64 // no channel's unit is smaller than the largest one over this
#define SHIFT_UNKNOWNS 1024
#define SHIFT_PASSES 2
#define SHIFT_CLOSE 1e-6  // of the biases' differences: what may be left over of a solution
#define PIVOT_LEAST 1e-11 // of the largest one
#define EVEN 1e-11
#define EQUAL_MOST 64 // weights that are looked at

static uint32_t channel_of(const vl_nn_stage *s, uint32_t i) { return vl_nn_stage_pixel(s, i) / vl_nn_stage_area(s); }

// ---- what calibration reaches ----

typedef struct seen {
    double *most, *sum, *squares; // by channel: the largest |argument|; sums over rows and pixels
} seen;

static void look(const vl_nn_stage *s, const double *x, seen *w) {
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t c = channel_of(s, i);
        w->most[c] = fmax(w->most[c], fabs(x[i]));
        w->sum[c] += x[i];
        w->squares[c] += x[i] * x[i];
    }
}

static velum_status watch(const vl_nn_pictures *p, const double *features, uint64_t rows, seen *w) {
    vl_nn_lowered *l = p->l;
    double **value;
    VL_NN_TAKE(l->heap, value, p->stages);
    for (uint32_t i = 0; i < p->stages; i++) VL_NN_TAKE(l->heap, value[i], p->stage[i].n);
    for (uint64_t r = 0; r < rows; r++) {
        memcpy(value[0], features + r * l->prologue.columns, p->stage[0].n * sizeof *features);
        look(&p->stage[0], value[0], &w[0]);
        for (uint32_t i = 1; i < p->stages; i++) {
            vl_nn_form_at(p->stage[i].form, value, value[i]);
            look(&p->stage[i], value[i], &w[i]);
            if (i < l->base_count) vl_nn_base_at(&l->base[i], NULL, value[i]);
            VL_TRY(vl_nn_check_reach(i < l->base_count ? l->base[i].label : "outputs", r, value[i], p->stage[i].n));
        }
    }
    return VELUM_OK;
}

// ---- units ----

static velum_status ranges_of(const vl_nn_pictures *p, const vl_nn_stage *s, double *lo, double *hi) {
    const vl_nn_prologue *q = &p->l->prologue;
    if (s->form) {
        vl_nn_form_range(p->l, s->form, lo, hi);
        return VELUM_OK;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        lo[i] = q->steps[q->groups[i].step].lo;
        hi[i] = q->steps[q->groups[i].step].hi;
    }
    return VELUM_OK;
}

// From ranges alone: values within a third of theirs around the middle are usual.
static void guess(const vl_nn_stage *s, const double *lo, const double *hi, seen *w) {
    const double area = vl_nn_stage_area(s);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t c = channel_of(s, i);
        double mid = (lo[i] + hi[i]) / 2, half = (hi[i] - lo[i]) / 6;
        w->most[c] = fmax(w->most[c], fmax(fabs(lo[i]), fabs(hi[i])));
        w->sum[c] += mid / area;
        w->squares[c] += (mid * mid + half * half) / area;
    }
}

static velum_status set_units(vl_nn_pictures *p, uint32_t number, const seen *w, uint64_t rows, bool *bounded) {
    vl_nn_stage *s = &p->stage[number];
    vl_nn_heap *h = p->l->heap;
    const uint32_t channels = s->grid.channels;
    double *lo, *hi, most = 0, range = 0;
    VL_NN_TAKE(h, s->unit, channels);
    VL_NN_TAKE(h, s->shift, channels);
    VL_NN_TAKE(h, s->usual, channels);
    VL_NN_TAKE(h, s->mean, channels);
    VL_NN_TAKE(h, lo, s->n);
    VL_NN_TAKE(h, hi, s->n);
    VL_TRY(ranges_of(p, s, lo, hi));
    for (uint32_t c = 0; c < channels; c++) most = fmax(most, w->most[c]);
    *bounded = isfinite(most);
    if (!*bounded) return VELUM_OK;
    const bool plain = number == 0 || number == p->stages - 1;
    const double count = rows ? (double)rows * vl_nn_stage_area(s) : 1;
    for (uint32_t c = 0; c < channels; c++) {
        s->unit[c] = plain || most == 0 ? 1 : fmax(w->most[c], most / SHARE_LEAST);
        s->usual[c] = sqrt(w->squares[c] / count) / s->unit[c];
        s->mean[c] = w->sum[c] / count / s->unit[c];
    }
    for (uint32_t i = 0; i < s->n; i++) {
        double unit = s->unit[channel_of(s, i)];
        range = fmax(range, fmax(fabs(lo[i]), fabs(hi[i])) / unit);
        s->most = fmax(s->most, (rows ? MARGIN : 1) * w->most[channel_of(s, i)] / unit);
    }
    s->most = fmin(s->most, range) + 0x1p-10;
    *bounded = isfinite(s->most);
    return VELUM_OK;
}

// ---- shifts ----

// Differences of biases between the pixels of a channel, as a linear system in the shifts of the sources.
typedef struct system {
    const vl_nn_pictures *p;
    const vl_nn_stage *s;
    double **shift;        // by stage, by channel: in the sources' own numbers
    const uint32_t *first; // by term: its first unknown, or VL_NN_NONE
    uint32_t unknowns;
    double *matrix, *right;  // normal equations
    double *row, *reference; // an equation: unknowns, then what they must add up to
    double worst, size;      // the largest right side now, and at first
} system_;

static void equation(const system_ *e, uint32_t element, double *row) {
    const vl_nn_form *f = e->s->form;
    vl_nn_row entry;
    memset(row, 0, (e->unknowns + 1) * sizeof *row);
    row[e->unknowns] = f->bias[element];
    for (uint32_t t = 0; t < f->terms; t++) {
        const vl_nn_stage *from = &e->p->stage[f->term[t].base];
        const double *shift = e->shift[f->term[t].base];
        vl_nn_term_row(&f->term[t], element, &entry);
        for (size_t k = 0; k < entry.count; k++) {
            uint32_t c = channel_of(from, entry.col[k]);
            row[e->unknowns] -= entry.val[k] * shift[c];
            if (e->first[t] != VL_NN_NONE) row[e->first[t] + c] += entry.val[k];
        }
    }
}

static size_t entries_of(const vl_nn_form *f, uint32_t element) {
    vl_nn_row row;
    size_t n = 0;
    for (uint32_t t = 0; t < f->terms; t++) {
        vl_nn_term_row(&f->term[t], element, &row);
        n += row.count;
    }
    return n;
}

// By channel: the element that reads most.
static velum_status references(const vl_nn_pictures *p, const vl_nn_stage *s, uint32_t **out) {
    uint32_t *best;
    size_t *most;
    VL_NN_TAKE(p->l->heap, best, s->grid.channels);
    VL_NN_TAKE(p->l->heap, most, s->grid.channels);
    for (uint32_t c = 0; c < s->grid.channels; c++) best[c] = VL_NN_NONE;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t c = channel_of(s, i);
        size_t n = entries_of(s->form, i);
        if (best[c] != VL_NN_NONE && n <= most[c]) continue;
        best[c] = i;
        most[c] = n;
    }
    *out = best;
    return VELUM_OK;
}

static void add_equation(system_ *e) {
    const uint32_t m = e->unknowns;
    bool any = false;
    for (uint32_t k = 0; k <= m; k++) {
        e->row[k] -= e->reference[k];
        any = any || (k < m && fabs(e->row[k]) > 1e-14);
    }
    e->worst = fmax(e->worst, fabs(e->row[m]));
    for (uint32_t a = 0; any && a < m; a++) {
        if (e->row[a] == 0) continue;
        for (uint32_t b = 0; b < m; b++) e->matrix[(size_t)a * m + b] += e->row[a] * e->row[b];
        e->right[a] += e->row[a] * e->row[m];
    }
}

static void collect(system_ *e, const uint32_t *reference) {
    const uint32_t m = e->unknowns;
    uint32_t last = VL_NN_NONE;
    memset(e->matrix, 0, (size_t)m * m * sizeof *e->matrix);
    memset(e->right, 0, m * sizeof *e->right);
    e->worst = 0;
    for (uint32_t i = 0; i < e->s->n; i++) { // elements come channel by channel
        uint32_t c = channel_of(e->s, i);
        if (c != last) equation(e, reference[c], e->reference);
        last = c;
        equation(e, i, e->row);
        add_equation(e);
    }
}

// Symmetric elimination with pivots from the diagonal; what has none stays 0.
static void solve(double *a, double *b, uint32_t m, bool *done, double *x) {
    double top = 0;
    memset(done, 0, m * sizeof *done);
    memset(x, 0, m * sizeof *x);
    for (uint32_t k = 0; k < m; k++) top = fmax(top, a[(size_t)k * m + k]);
    for (uint32_t step = 0; step < m; step++) {
        uint32_t at = VL_NN_NONE;
        for (uint32_t k = 0; k < m; k++)
            if (!done[k] && (at == VL_NN_NONE || a[(size_t)k * m + k] > a[(size_t)at * m + at])) at = k;
        if (a[(size_t)at * m + at] <= PIVOT_LEAST * top) break;
        done[at] = true;
        for (uint32_t r = 0; r < m; r++) { // all others: the solution can then be read off
            double f = a[(size_t)r * m + at] / a[(size_t)at * m + at];
            if (r == at || f == 0) continue;
            for (uint32_t k = 0; k < m; k++) a[(size_t)r * m + k] -= f * a[(size_t)at * m + k];
            b[r] -= f * b[at];
        }
    }
    for (uint32_t k = 0; k < m; k++)
        if (done[k]) x[k] = b[k] / a[(size_t)k * m + k];
}

static velum_status find_shifts(const vl_nn_pictures *p, const vl_nn_stage *s, double **shift, bool *known) {
    vl_nn_heap *h = p->l->heap;
    const vl_nn_form *f = s->form;
    uint32_t *first, *reference = NULL;
    bool *done;
    double *x;
    system_ e = {.p = p, .s = s, .shift = shift};
    VL_NN_TAKE(h, first, f->terms);
    for (uint32_t t = 0; t < f->terms; t++) {
        uint32_t base = f->term[t].base;
        first[t] = known[base] ? VL_NN_NONE : e.unknowns;
        if (!known[base]) e.unknowns += p->stage[base].grid.channels;
    }
    const uint32_t m = e.unknowns;
    if (m == 0 || m > SHIFT_UNKNOWNS || vl_nn_stage_area(s) == 1) return VELUM_OK;
    e.first = first;
    VL_NN_TAKE(h, e.matrix, (size_t)m * m);
    VL_NN_TAKE(h, e.right, m);
    VL_NN_TAKE(h, e.row, m + 1);
    VL_NN_TAKE(h, e.reference, m + 1);
    VL_NN_TAKE(h, done, m);
    VL_NN_TAKE(h, x, m);
    VL_TRY(references(p, s, &reference));
    for (uint32_t pass = 0; pass < SHIFT_PASSES; pass++) {
        collect(&e, reference);
        if (pass == 0) e.size = e.worst;
        if (e.worst == 0 && pass == 0) break;
        solve(e.matrix, e.right, m, done, x);
        for (uint32_t t = 0; t < f->terms; t++)
            for (uint32_t c = 0; first[t] != VL_NN_NONE && c < p->stage[f->term[t].base].grid.channels; c++)
                shift[f->term[t].base][c] += x[first[t] + c];
    }
    collect(&e, reference);
    const bool found = e.worst <= SHIFT_CLOSE * e.size;
    for (uint32_t t = 0; t < f->terms; t++) {
        uint32_t base = f->term[t].base, channels = p->stage[base].grid.channels;
        bool any = false;
        for (uint32_t c = 0; first[t] != VL_NN_NONE && c < channels; c++) {
            any = any || done[first[t] + c];
            if (!found) shift[base][c] = 0;
        }
        known[base] = known[base] || any;
    }
    return VELUM_OK;
}

static velum_status set_shifts(vl_nn_pictures *p) {
    bool *known;
    double **shift;
    VL_NN_TAKE(p->l->heap, known, p->stages);
    VL_NN_TAKE(p->l->heap, shift, p->stages);
    for (uint32_t i = 0; i < p->stages; i++) VL_NN_TAKE(p->l->heap, shift[i], p->stage[i].grid.channels);
    known[0] = true; // the client's numbers
    for (uint32_t i = 1; i < p->stages; i++) VL_TRY(find_shifts(p, &p->stage[i], shift, known));
    for (uint32_t i = 1; i + 1 < p->stages; i++)
        for (uint32_t c = 0; c < p->stage[i].grid.channels; c++)
            p->stage[i].shift[c] = shift[i][c] / vl_nn_stage_worth(&p->stage[i], c);
    return VELUM_OK;
}

// ---- biases and gains ----

static velum_status set_biases(vl_nn_pictures *p, vl_nn_stage *s) {
    const vl_nn_form *f = s->form;
    double *lo, *hi, worst = 0;
    vl_nn_row row;
    VL_NN_TAKE(p->l->heap, s->bias, s->n);
    VL_NN_TAKE(p->l->heap, lo, s->grid.channels);
    VL_NN_TAKE(p->l->heap, hi, s->grid.channels);
    for (uint32_t c = 0; c < s->grid.channels; c++) lo[c] = -(hi[c] = -INFINITY);
    for (uint32_t i = 0; i < s->n; i++) {
        double sum = f->bias[i];
        uint32_t c = channel_of(s, i);
        for (uint32_t t = 0; t < f->terms; t++) {
            const vl_nn_stage *from = &p->stage[f->term[t].base];
            vl_nn_term_row(&f->term[t], i, &row);
            for (size_t k = 0; k < row.count; k++) {
                uint32_t from_c = channel_of(from, row.col[k]);
                sum -= row.val[k] * from->shift[from_c] * vl_nn_stage_worth(from, from_c);
            }
        }
        s->bias[i] = sum / s->unit[c] + (s->kind == VL_NN_BASE_COPY ? s->shift[c] : 0);
        lo[c] = fmin(lo[c], s->bias[i]);
        hi[c] = fmax(hi[c], s->bias[i]);
    }
    for (uint32_t c = 0; c < s->grid.channels; c++)
        if (hi[c] >= lo[c]) worst = fmax(worst, (hi[c] - lo[c]) / fmax(1, fabs(hi[c])));
    s->even = worst <= EVEN;
    return VELUM_OK;
}

// How many of the weights before k, of the same channel of the source, are the same: of pools, say. A row's entries
// come channel by channel.
static uint32_t equals_before(const vl_nn_stage *from, const vl_nn_row *row, size_t k) {
    const uint32_t channel = channel_of(from, row->col[k]);
    uint32_t n = 0;
    for (size_t j = k; j > 0 && k - j < EQUAL_MOST && channel_of(from, row->col[j - 1]) == channel; j--)
        n += fabs(row->val[j - 1] - row->val[k]) <= EVEN * fabs(row->val[k]);
    return n;
}

static velum_status term_gains(vl_nn_pictures *p, vl_nn_stage *s, uint32_t t) {
    const vl_nn_stage *from = &p->stage[s->form->term[t].base];
    const uint32_t cols = from->grid.channels;
    double *squares, *n, *equal; // of one pixel, by channel of the source
    vl_nn_row row;
    VL_NN_TAKE(p->l->heap, squares, cols);
    VL_NN_TAKE(p->l->heap, n, cols);
    VL_NN_TAKE(p->l->heap, equal, cols);
    for (uint32_t i = 0; i < s->n; i++) {
        const size_t at = (size_t)channel_of(s, i) * cols;
        vl_nn_term_row(&s->form->term[t], i, &row);
        for (size_t k = 0; k < row.count; k++) {
            uint32_t c = channel_of(from, row.col[k]);
            double w = row.val[k] * vl_nn_stage_worth(from, c) / s->unit[at / cols];
            squares[c] += w * w;
            n[c]++;
            equal[c] += s->fold ? 1 : 1 + 2 * equals_before(from, &row, k); // (m + 1)^2 - m^2
            s->weight_most[t] = fmax(s->weight_most[t], fabs(w));
        }
        for (size_t k = 0; k < row.count; k++) {
            uint32_t c = channel_of(from, row.col[k]);
            s->gain[t][at + c] = fmax(s->gain[t][at + c], squares[c]);
            s->count[t][at + c] = fmax(s->count[t][at + c], n[c]);
            s->equal[t][at + c] = fmax(s->equal[t][at + c], equal[c]);
            squares[c] = n[c] = equal[c] = 0; // once: where a channel comes again nothing is left
        }
    }
    return VELUM_OK;
}

static velum_status set_gains(vl_nn_pictures *p, vl_nn_stage *s) {
    const vl_nn_form *f = s->form;
    VL_NN_TAKE(p->l->heap, s->gain, f->terms);
    VL_NN_TAKE(p->l->heap, s->count, f->terms);
    VL_NN_TAKE(p->l->heap, s->equal, f->terms);
    VL_NN_TAKE(p->l->heap, s->weight_most, f->terms);
    for (uint32_t t = 0; t < f->terms; t++) {
        const size_t n = (size_t)s->grid.channels * p->stage[f->term[t].base].grid.channels;
        VL_NN_TAKE(p->l->heap, s->gain[t], n);
        VL_NN_TAKE(p->l->heap, s->count[t], n);
        VL_NN_TAKE(p->l->heap, s->equal[t], n);
        VL_TRY(term_gains(p, s, t));
    }
    return VELUM_OK;
}

velum_status vl_nn_pictures_scale(vl_nn_pictures *p, const double *features, uint64_t rows, bool *bounded) {
    vl_nn_heap *h = p->l->heap;
    seen *w;
    if (!features) rows = 0;
    if (features) VL_TRY(vl_nn_enough_rows(p->l, &rows));
    VL_NN_TAKE(h, w, p->stages);
    for (uint32_t i = 0; i < p->stages; i++) {
        VL_NN_TAKE(h, w[i].most, p->stage[i].grid.channels);
        VL_NN_TAKE(h, w[i].sum, p->stage[i].grid.channels);
        VL_NN_TAKE(h, w[i].squares, p->stage[i].grid.channels);
    }
    if (features) VL_TRY(watch(p, features, rows, w));
    *bounded = true;
    for (uint32_t i = 0; i < p->stages && *bounded; i++) {
        double *lo, *hi;
        if (!features) {
            VL_NN_TAKE(h, lo, p->stage[i].n);
            VL_NN_TAKE(h, hi, p->stage[i].n);
            VL_TRY(ranges_of(p, &p->stage[i], lo, hi));
            guess(&p->stage[i], lo, hi, &w[i]);
        }
        VL_TRY(set_units(p, i, &w[i], rows, bounded));
    }
    if (!*bounded) return vl_nn_note(p->l, "packing: no pictures over slots, values have no bound without calibration");
    VL_TRY(set_shifts(p));
    for (uint32_t i = 1; i < p->stages; i++) {
        VL_TRY(set_biases(p, &p->stage[i]));
        VL_TRY(set_gains(p, &p->stage[i]));
    }
    VL_TRY(vl_nn_pictures_slopes(p, features, rows));
    const vl_nn_stage *last = &p->stage[p->stages - 1];
    p->answer_most = last->most;
    for (uint32_t c = 0; c < last->grid.channels; c++) p->answer_size = fmax(p->answer_size, w[p->stages - 1].most[c]);
    if (p->answer_size == 0) p->answer_size = 1;
    return VELUM_OK;
}
