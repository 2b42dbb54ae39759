// SPDX-License-Identifier: Apache-2.0
// Which models are stages of pictures, and how their values lie in slots.
#include "nn/pictures.h"
#include <math.h>
#include <string.h>

#define TERMS_MOST 64
#define PERIOD_MOST 4096

// ---- geometry ----

static bool input_grid(const vl_nn_lowered *l, const vl_nn_graph *g, vl_nn_grid *out) {
    const vl_nn_prologue *p = &l->prologue;
    if (g->input_count != 1) return false;
    const vl_nn_tensor *t = &g->inputs[0].shape;
    if (t->rank != 3 && t->rank != 4) return false;
    bool flat = t->rank == 3;
    *out = (vl_nn_grid){t->dim[1], flat ? 1 : t->dim[2], t->dim[flat ? 2 : 3], 1, 1};
    for (uint32_t i = 0; i < p->group_count; i++)
        if (p->groups[i].depth) return false;
    return t->count == p->columns && out->height * out->width > 1;
}

static vl_nn_grid grid_of(const vl_nn_picture *p, uint32_t whole) {
    vl_nn_grid plain = {whole, 1, 1, 1, 1};
    if (p->gap == 0 || (uint64_t)p->channels * p->height * p->width != whole) return plain;
    return (vl_nn_grid){p->channels, p->height, p->width, 1, 1};
}

// Mean row (or column) of the source that an element reads; NAN if it reads nothing.
static double center(const vl_nn_stage *from, const vl_nn_term *t, uint32_t element, bool rows) {
    vl_nn_row row;
    double sum = 0;
    vl_nn_term_row(t, element, &row);
    for (size_t k = 0; k < row.count; k++) {
        uint32_t at = vl_nn_stage_pixel(from, row.col[k]) % vl_nn_stage_area(from);
        sum += rows ? at / from->grid.width : at % from->grid.width;
    }
    return row.count ? sum / (double)row.count : NAN;
}

static uint32_t nearest_power(double v) {
    if (!(v > 1)) return 1;
    return v > 256 ? 256 : 1u << (uint32_t)lround(log2(v));
}

// The stride of a map along an axis, from what two neighbours in the middle read.
static uint32_t stride_of(const vl_nn_stage *s, const vl_nn_stage *from, const vl_nn_term *t, bool rows) {
    const uint32_t size = rows ? s->grid.height : s->grid.width, in = rows ? from->grid.height : from->grid.width;
    const uint32_t step = rows ? s->grid.width : 1, other = (rows ? s->grid.width : s->grid.height) / 2;
    if (size < 2) return 1;
    uint32_t pixel = (size / 2 - 1) * step + other * (rows ? 1 : s->grid.width), a = VL_NN_NONE, b = VL_NN_NONE;
    for (uint32_t i = 0; i < s->n && (a == VL_NN_NONE || b == VL_NN_NONE); i++) {
        if (vl_nn_stage_pixel(s, i) == pixel) a = i;
        if (vl_nn_stage_pixel(s, i) == pixel + step) b = i;
    }
    double apart = a == VL_NN_NONE || b == VL_NN_NONE ? NAN : center(from, t, b, rows) - center(from, t, a, rows);
    return nearest_power(isfinite(apart) && apart > 0 ? apart : (double)in / size);
}

static size_t entries(const vl_nn_term *t, uint32_t n) { return t->m ? vl_nn_sparse_count(t->m) : n; }

static void set_strides(const vl_nn_pictures *p, vl_nn_stage *s) {
    const vl_nn_form *f = s->form;
    const vl_nn_term *main = &f->term[0];
    for (uint32_t t = 1; t < f->terms; t++)
        if (entries(&f->term[t], f->n) > entries(main, f->n)) main = &f->term[t];
    const vl_nn_stage *from = &p->stage[main->base];
    if (vl_nn_stage_area(s) == 1) {
        for (uint32_t t = 0; t < f->terms; t++) s->fold |= vl_nn_stage_area(&p->stage[f->term[t].base]) > 1;
        return;
    }
    s->grid.stride_y = from->grid.stride_y * stride_of(s, from, main, true);
    s->grid.stride_x = from->grid.stride_x * stride_of(s, from, main, false);
}

// ---- levels ----

static void set_levels(vl_nn_pictures *p) {
    p->stage[p->stages - 1].level = 2; // masked at the end
    for (uint32_t i = p->stages; i-- > 1;) {
        const vl_nn_stage *s = &p->stage[i];
        for (uint32_t t = 0; t < s->form->terms; t++) {
            vl_nn_stage *from = &p->stage[s->form->term[t].base];
            if (from->level < s->level + 1) from->level = (uint16_t)(s->level + 1);
        }
    }
    p->depth = p->stage[0].level;
}

velum_status vl_nn_pictures_of(vl_nn_lowered *l, const vl_nn_graph *g, vl_nn_pictures *out, bool *fits) {
    vl_nn_pictures p = {.l = l, .stages = l->base_count + 1};
    vl_nn_grid input;
    *fits = false;
    if (!input_grid(l, g, &input)) return VELUM_OK;
    VL_NN_TAKE(l->heap, p.stage, p.stages);
    p.stage[0] = (vl_nn_stage){.kind = VL_NN_BASE_INPUT, .n = l->base[0].n, .grid = input, .label = "input"};
    for (uint32_t i = 1; i < p.stages; i++) {
        const vl_nn_base *b = i < l->base_count ? &l->base[i] : NULL;
        vl_nn_stage *s = &p.stage[i];
        const vl_nn_form *f = b ? b->arg[0] : l->output;
        if (b && b->kind != VL_NN_BASE_SQUARE && b->kind != VL_NN_BASE_COPY)
            return vl_nn_note(l, "packing: no pictures over slots, '%s' is no square", b->label);
        if (f->terms == 0 || f->terms > TERMS_MOST) return VELUM_OK;
        *s = (vl_nn_stage){
            .form = f, .kind = b ? b->kind : VL_NN_BASE_COPY, .n = f->n, .label = b ? b->label : "outputs"};
        s->grid = b ? grid_of(&b->picture, b->kept ? b->whole : b->n) : grid_of(&f->picture, f->n);
        s->pixel = b ? b->kept : NULL;
        if (!b) s->grid = (vl_nn_grid){f->n, 1, 1, 1, 1};
        set_strides(&p, s);
    }
    set_levels(&p);
    *out = p;
    *fits = true;
    return VELUM_OK;
}

// ---- layouts ----

static uint32_t phase_left(uint32_t phase, uint32_t stride, uint32_t size) {
    phase = phase > stride ? phase / stride : 1;
    while (phase > size) phase /= 2;
    return phase;
}

vl_layout vl_nn_tiling_layout(const vl_nn_tiling *t, const vl_nn_stage *s, uint32_t slots, uint32_t parts) {
    const vl_nn_grid *g = &s->grid;
    vl_layout l = {.slots = slots,
                   .dim = g->channels * g->height * g->width,
                   .period = t->period,
                   .lanes = slots / t->period * parts,
                   .valid = 1,
                   .parts = parts,
                   .channels = g->channels,
                   .height = g->height,
                   .width = g->width};
    bool one = vl_nn_stage_area(s) == 1;
    l.phase_y = one ? 1 : phase_left(t->phase_y, g->stride_y, g->height);
    l.phase_x = one ? 1 : phase_left(t->phase_x, g->stride_x, g->width);
    l.stride_y = one ? 1 : t->step_y * (g->stride_y > t->phase_y ? g->stride_y / t->phase_y : 1);
    l.stride_x = one ? 1 : g->stride_x > t->phase_x ? g->stride_x / t->phase_x : 1;
    l.cts = g->channels * l.phase_y * l.phase_x;
    return l;
}

static uint32_t power_up(uint32_t v) {
    uint32_t p = 1;
    while (p < v) p *= 2;
    return p;
}

// Places that the stages take along an axis.
static uint32_t extent_of(const vl_nn_pictures *p, uint32_t phase, bool rows) {
    uint32_t most = 1;
    for (uint32_t i = 0; i < p->stages; i++) {
        const vl_nn_grid *g = &p->stage[i].grid;
        if (g->height * g->width == 1) continue;
        uint32_t size = rows ? g->height : g->width, stride = rows ? g->stride_y : g->stride_x;
        uint32_t apart = stride > phase ? stride / phase : 1;
        uint32_t reach = (size - 1) / phase_left(phase, stride, size) * apart + 1;
        most = reach > most ? reach : most;
    }
    return most;
}

bool vl_nn_tiling_of(const vl_nn_pictures *p, uint32_t phase_y, uint32_t phase_x, vl_nn_tiling *out) {
    const vl_nn_grid *g = &p->stage[0].grid;
    if (phase_y > g->height || phase_x > g->width) return false;
    uint32_t rows = extent_of(p, phase_y, true), cols = extent_of(p, phase_x, false);
    if ((uint64_t)rows * cols > PERIOD_MOST) return false;
    uint32_t period = power_up(rows * cols), wide = power_up(cols);
    // Rows a power of two apart where that costs nothing: sums over them then are halvings.
    *out = (vl_nn_tiling){phase_y, phase_x, power_up(rows) * wide == period ? wide : cols, period};
    return true;
}

static uint32_t log2_up(uint32_t v) {
    uint32_t k = 0;
    while (1u << k < v) k++;
    return k;
}

uint32_t vl_nn_tiling_folds(const vl_nn_tiling *t, const vl_nn_pictures *p, const vl_nn_stage *s,
                            int32_t rotation[VL_FOLD_MOST]) {
    uint32_t rows = 1, cols = 1, stride_y = 0, stride_x = 0, count = 0;
    bool regular = true; // a rectangle of powers of two, the same for all sources
    for (uint32_t k = 0; k < s->form->terms; k++) {
        const vl_nn_stage *from = &p->stage[s->form->term[k].base];
        if (vl_nn_stage_area(from) == 1) continue; // at position 0, which is in every rectangle
        vl_layout l = vl_nn_tiling_layout(t, from, t->period, 1);
        uint32_t high = (l.height + l.phase_y - 1) / l.phase_y, wide = (l.width + l.phase_x - 1) / l.phase_x;
        regular = regular && (high & (high - 1)) == 0 && (wide & (wide - 1)) == 0 &&
                  (stride_y == 0 || (l.stride_y == stride_y && l.stride_x == stride_x && high == rows && wide == cols));
        rows = high;
        cols = wide;
        stride_y = l.stride_y;
        stride_x = l.stride_x;
    }
    if (stride_y == 0) return 0;
    if (!regular) { // whatever has no element is zero
        for (uint32_t k = 0; k < log2_up(t->period); k++) rotation[count++] = 1 << k;
        return count;
    }
    for (uint32_t k = 0; k < log2_up(cols); k++) rotation[count++] = (int32_t)(stride_x << k);
    for (uint32_t k = 0; k < log2_up(rows); k++) rotation[count++] = (int32_t)(stride_y << k);
    return count;
}

double vl_nn_stage_most(const vl_nn_stage *s) {
    double shift = 0;
    if (s->kind != VL_NN_BASE_SQUARE) return s->most;
    for (uint32_t c = 0; c < s->grid.channels; c++) shift = fmax(shift, fabs(s->shift[c]));
    return s->most * s->most + shift;
}
