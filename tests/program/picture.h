// SPDX-License-Identifier: Apache-2.0
// A small convolutional program on pictures built by hand, on an INSECURE ring, with the means to build others.
//   one channel of 4 x 4 -> 3x3 convolution, 2 channels; square
//     -> 3x3 of stride 2, 2 channels of 2 x 2, with gaps between the columns; square
//     -> 1x1, plus 1x1 of stride 2 of the first square (a shortcut at a higher level and another scale); square
//     -> a number by position and output; sum over positions; mask
// Linear maps come from dense matrices between features: whatever goes from one slot to another becomes the entry of a
// pattern, so the dense matrices, applied to features, say what each layer must give.
#ifndef VELUM_TESTS_PROGRAM_PICTURE_H
#define VELUM_TESTS_PROGRAM_PICTURE_H

#include "program/build.h"

#define PICTURE_SIDE 4
#define PICTURE_PIXELS (PICTURE_SIDE * PICTURE_SIDE)
#define PICTURE_DIM 32 // features of the widest value
#define PICTURE_LEVELS 6
#define PICTURE_SCALE 0x1p30

typedef struct picture_options { // zero-initialise: 0 means default
    uint32_t log_n;              // 8
    uint32_t parts;              // 2
} picture_options;

typedef struct picture_linear { // rows x cols + rows, of operation `op`
    uint32_t op, rows, cols;
    double weights[PICTURE_DIM * 2 * PICTURE_DIM], bias[PICTURE_DIM];
} picture_linear;
typedef struct picture_net {
    vl_program program;
    picture_linear linear[4];
    double offset[3][2]; // of the squares, by channel
} picture_net;

static inline vl_layout picture_layout(const picture_options *o, uint32_t channels, uint32_t side, uint32_t phase_y,
                                       uint32_t stride_x) {
    const uint32_t slots = 1u << (o->log_n - 1), period = 8;
    return (vl_layout){.slots = slots,
                       .dim = channels * side * side,
                       .period = period,
                       .lanes = slots / period * o->parts,
                       .cts = channels * phase_y,
                       .valid = 1,
                       .parts = o->parts,
                       .channels = channels,
                       .height = side,
                       .width = side,
                       .phase_y = phase_y,
                       .phase_x = 1,
                       .stride_y = 4,
                       .stride_x = stride_x};
}

typedef struct picture_place {
    uint32_t ct, slot;
} picture_place;

static inline picture_place picture_place_of(const vl_layout *l, uint32_t feature) {
    const uint32_t area = l->height * l->width, c = feature / area, y = feature % area / l->width,
                   x = feature % l->width;
    return (picture_place){.ct = (c * l->phase_y + y % l->phase_y) * l->phase_x + x % l->phase_x,
                           .slot = y / l->phase_y * l->stride_y + x / l->phase_x * l->stride_x};
}

// Of one output, before the copies are known: the pattern of each (source, rotation).
typedef struct picture_sums {
    uint32_t sources, period;
    double *sum; // [source][rotation + period - 1][position]
    bool *used;  // [source][rotation + period - 1]
} picture_sums;

static inline double *picture_pattern(const picture_sums *t, uint32_t source, uint32_t rotation) {
    return t->sum + ((size_t)source * (2 * t->period - 1) + rotation) * t->period;
}

static inline void picture_add_row(const picture_linear *m, const vl_layout *a, const vl_layout *b, const vl_layout *d,
                                   uint32_t ct, picture_sums *t) {
    memset(t->sum, 0, (size_t)t->sources * (2 * t->period - 1) * t->period * sizeof *t->sum);
    for (uint32_t row = 0; row < m->rows; row++) {
        const picture_place to = picture_place_of(d, row);
        for (uint32_t col = 0; col < m->cols && to.ct == ct; col++) {
            const bool second = col >= a->dim;
            picture_place from = picture_place_of(second ? b : a, second ? col - a->dim : col);
            from.ct += second ? a->cts : 0;
            const uint32_t rotation = from.slot + t->period - 1 - to.slot;
            picture_pattern(t, from.ct, rotation)[to.slot] += m->weights[row * m->cols + col];
        }
    }
}

static inline bool picture_is_zero(const double *v, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (v[i] != 0) return false;
    return true;
}

static inline bool picture_is_constant(const double *v, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        if (v[i] != v[0]) return false;
    return true;
}

static inline uint32_t picture_pattern_index(vl_spread *s, const double *v) {
    for (uint32_t i = 0; i < s->patterns; i++)
        if (memcmp(s->pattern + (size_t)i * s->period, v, s->period * sizeof *v) == 0) return i;
    memcpy(s->pattern + (size_t)s->patterns * s->period, v, s->period * sizeof *v);
    return s->patterns++;
}

static inline void picture_add_entry(vl_spread *s, uint32_t copy, double *v) {
    uint64_t i = s->start[s->outputs]++;
    double top = 0;
    for (uint32_t k = 0; k < s->period; k++) top = fabs(v[k]) > fabs(top) ? v[k] : top;
    s->col[i] = copy;
    s->weight[i] = top;
    s->through[i] = VL_SPREAD_NO_PATTERN;
    if (picture_is_constant(v, s->period)) return;
    for (uint32_t k = 0; k < s->period; k++) v[k] /= top;
    s->through[i] = picture_pattern_index(s, v);
}

static inline void picture_fill(const picture_linear *m, const vl_layout *a, const vl_layout *b, const vl_layout *d,
                                picture_sums *t, vl_spread *s) {
    const uint32_t turns = 2 * t->period - 1;
    for (uint32_t ct = 0; ct < d->cts; ct++) {
        picture_add_row(m, a, b, d, ct, t);
        for (uint32_t k = 0; k < t->sources * turns; k++)
            t->used[k] |= !picture_is_zero(picture_pattern(t, k / turns, k % turns), t->period);
    }
    for (uint32_t k = 0; k < t->sources * turns; k++)
        if (t->used[k])
            s->copy[s->copies++] = (vl_spread_copy){k / turns, (int32_t)(k % turns) - (int32_t)(t->period - 1)};
    for (uint32_t ct = 0; ct < d->cts; ct++) {
        picture_add_row(m, a, b, d, ct, t);
        s->start[s->outputs + 1] = s->start[s->outputs];
        s->outputs++;
        for (uint32_t k = 0; k < s->copies; k++) {
            double *v = picture_pattern(t, s->copy[k].source, (uint32_t)(s->copy[k].rotation + (int32_t)t->period - 1));
            if (!picture_is_zero(v, t->period)) picture_add_entry(s, k, v);
        }
    }
}

// y = W (x1, x2) + bias between pictures; b NULL: of one value.
static inline void picture_spread(const picture_linear *m, const vl_layout *a, const vl_layout *b, const vl_layout *d,
                                  vl_spread *s) {
    picture_sums t = {.sources = a->cts + (b ? b->cts : 0), .period = d->period};
    const size_t turns = 2 * t.period - 1, entries = d->cts * t.sources * turns;
    t.sum = vl_alloc_array(t.sources * turns * t.period, sizeof *t.sum);
    t.used = vl_alloc_array(t.sources * turns, sizeof *t.used);
    *s = (vl_spread){.sources = t.sources, .period = d->period, .bias_period = d->period, .parts = d->parts};
    s->copy = vl_alloc_array(t.sources * turns, sizeof *s->copy);
    s->start = vl_alloc_array(d->cts + 1, sizeof *s->start);
    s->col = vl_alloc_array(entries, sizeof *s->col);
    s->weight = vl_alloc_array(entries, sizeof *s->weight);
    s->through = vl_alloc_array(entries, sizeof *s->through);
    s->pattern = vl_alloc_array(entries * t.period, sizeof *s->pattern);
    s->bias = vl_alloc_array((size_t)d->cts * d->period, sizeof *s->bias);
    build_must(t.sum && t.used && s->copy && s->start && s->col && s->weight && s->through && s->pattern && s->bias,
               "memory");
    picture_fill(m, a, b, d, &t, s);
    for (uint32_t row = 0; row < m->rows; row++) {
        const picture_place to = picture_place_of(d, row);
        s->bias[(size_t)to.ct * d->period + to.slot] = m->bias[row];
    }
    vl_free(t.sum);
    vl_free(t.used);
}

// ---- matrices ----

// Weights of a convolution from value a's columns on, `first`: kernel x kernel, so many steps apart, padded with zeros.
static inline void picture_convolution(picture_linear *m, uint32_t first, const vl_layout *a, const vl_layout *d,
                                       uint32_t kernel, uint32_t step, uint32_t *seed) {
    const int half = (int)kernel / 2;
    for (uint32_t o = 0; o < d->channels; o++)
        for (uint32_t i = 0; i < a->channels; i++)
            for (int dy = -half; dy <= half; dy++)
                for (int dx = -half; dx <= half; dx++) {
                    const double w = build_number(seed) / 2;
                    for (uint32_t y = 0; y < d->height; y++)
                        for (uint32_t x = 0; x < d->width; x++) {
                            const int from_y = (int)(y * step) + dy, from_x = (int)(x * step) + dx;
                            if (from_y < 0 || from_x < 0 || from_y >= (int)a->height || from_x >= (int)a->width)
                                continue;
                            const uint32_t row = (o * d->height + y) * d->width + x;
                            const uint32_t col = (i * a->height + (uint32_t)from_y) * a->width + (uint32_t)from_x;
                            m->weights[row * m->cols + first + col] = w;
                        }
                }
}

static inline void picture_biases(picture_linear *m, uint32_t area, uint32_t *seed) {
    double v = 0;
    for (uint32_t row = 0; row < m->rows; row++) m->bias[row] = v = row % area ? v : build_number(seed) / 4;
}

// ---- operations ----

static inline uint32_t picture_linear_op(vl_program *p, const char *name, picture_linear *m, uint32_t a, uint32_t b,
                                         vl_layout d, uint16_t level) {
    vl_op *op = build_op(p, VL_OP_SPREAD, name, a, b);
    op->level = level;
    m->op = p->op_count - 1;
    op->plain_scale = PICTURE_SCALE * (double)p->manifest.params.q[level - 1] / p->values[a].scale;
    picture_spread(m, &p->values[a].layout, b == a ? NULL : &p->values[b].layout, &d, &op->spread);
    return build_value(p, op, d, 1, 4);
}

static inline uint32_t picture_square(vl_program *p, const char *name, const double offset[2], uint32_t a) {
    vl_op *op = build_op(p, VL_OP_SQUARES, name, a, 0);
    const vl_layout *l = &p->values[a].layout;
    op->bias = vl_alloc_array(l->cts, sizeof *op->bias);
    build_must(op->bias != NULL, "memory");
    for (uint32_t i = 0; i < l->cts; i++) op->bias[i] = offset[i / (l->phase_y * l->phase_x)];
    return build_value(p, op, *l, 0, 16);
}

static inline void picture_manifest(const picture_options *o, vl_manifest *m) {
    build_manifest(&(build_options){.log_n = o->log_n}, m);
    for (uint32_t i = 0; i < m->input_count; i++) {
        vl_free(m->inputs[i].name);
        vl_free(m->inputs[i].description);
        vl_free(m->inputs[i].values);
    }
    vl_free(m->inputs);
    vl_free(m->steps);
    vl_free(m->features);
    m->input_count = m->feature_count = PICTURE_PIXELS;
    m->step_count = 2 * PICTURE_PIXELS;
    m->inputs = vl_alloc_array(PICTURE_PIXELS, sizeof *m->inputs);
    m->steps = vl_alloc_array(m->step_count, sizeof *m->steps);
    m->features = vl_alloc_array(PICTURE_PIXELS, sizeof *m->features);
    build_must(m->inputs && m->steps && m->features, "memory");
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        char name[32];
        snprintf(name, sizeof name, "image_%u", i);
        m->inputs[i] = (vl_input){.name = vl_strdup(name), .description = vl_strdup(""), .lo = 0, .hi = 255};
        m->steps[2 * i] = (vl_step){.kind = VL_STEP_INPUT, .src = i};
        m->steps[2 * i + 1] = (vl_step){.kind = VL_STEP_AFFINE, .src = 2 * i, .a = 2.0 / 255, .b = -1};
        m->features[i] = (vl_feature){.step = 2 * i + 1};
    }
    m->error_bound = 0x1p-10;
}

// Scales after a square are of 60 bits, so primes between them have 50: one of them a linear map.
static inline void picture_params(const picture_options *o, vl_params_literal *lit) {
    uint8_t q[PICTURE_LEVELS], special[2] = {50, 50};
    *lit = (vl_params_literal){
        .log_n = o->log_n, .q_count = PICTURE_LEVELS, .p_count = 2, .digit_limbs = 2, .scale = PICTURE_SCALE};
    for (uint32_t i = 0; i < PICTURE_LEVELS; i++) q[i] = 50;
    BUILD_OK(vl_params_choose(lit, q, special));
}

static inline uint32_t picture_body(const picture_options *o, picture_net *net) {
    vl_program *p = &net->program;
    const vl_layout image = picture_layout(o, 1, PICTURE_SIDE, 2, 1), wide = picture_layout(o, 2, PICTURE_SIDE, 2, 1);
    const vl_layout small = picture_layout(o, 2, PICTURE_SIDE / 2, 1, 2),
                    scores = picture_layout(o, BUILD_OUTPUTS, 2, 1, 2);
    uint32_t seed = 5;
    picture_linear *m = net->linear;
    m[0] = (picture_linear){.rows = wide.dim, .cols = image.dim};
    m[1] = (picture_linear){.rows = small.dim, .cols = wide.dim};
    m[2] = (picture_linear){.rows = small.dim, .cols = small.dim + wide.dim};
    m[3] = (picture_linear){.rows = scores.dim, .cols = small.dim};
    picture_convolution(&m[0], 0, &image, &wide, 3, 1, &seed);
    picture_convolution(&m[1], 0, &wide, &small, 3, 2, &seed);
    picture_convolution(&m[2], 0, &small, &small, 1, 1, &seed);
    picture_convolution(&m[2], small.dim, &wide, &small, 1, 2, &seed);
    for (uint32_t i = 0; i < 3; i++) picture_biases(&m[i], m[i].rows / 2, &seed);
    for (uint32_t i = 0; i < scores.dim; i++) {
        for (uint32_t c = 0; c < small.channels; c++) // position by position
            m[3].weights[i * m[3].cols + c * 4 + i % 4] = build_number(&seed);
        m[3].bias[i] = i % 4 ? 0 : build_number(&seed);
    }
    for (uint32_t i = 0; i < 6; i++) net->offset[i / 2][i % 2] = build_number(&seed) / 8;
    uint32_t first = picture_linear_op(p, "first/Conv", &m[0], 0, 0, wide, PICTURE_LEVELS);
    first = picture_square(p, "first/Square", net->offset[0], first);
    uint32_t main = picture_linear_op(p, "second/Conv", &m[1], first, first, small, PICTURE_LEVELS - 1);
    main = picture_square(p, "second/Square", net->offset[1], main);
    main = picture_linear_op(p, "third/Conv", &m[2], main, first, small, PICTURE_LEVELS - 2);
    main = picture_square(p, "third/Square", net->offset[2], main);
    return picture_linear_op(p, "last/Gemm", &m[3], main, main, scores, PICTURE_LEVELS - 3);
}

// Leaves the program ready to verify and save; free it with vl_program_clear.
static inline void picture_program(const picture_options *given, picture_net *net) {
    picture_options o = *given;
    if (!o.log_n) o.log_n = 8;
    if (!o.parts) o.parts = 2;
    *net = (picture_net){0};
    vl_program *p = &net->program;
    picture_params(&o, &p->manifest.params);
    picture_manifest(&o, &p->manifest);
    p->values = vl_alloc_array(16, sizeof *p->values);
    p->ops = vl_alloc_array(16, sizeof *p->ops);
    build_must(p->values && p->ops, "memory");
    p->values[0] =
        (vl_value){picture_layout(&o, 1, PICTURE_SIDE, 2, 1), PICTURE_LEVELS, PICTURE_SCALE * PICTURE_SCALE, 1};
    p->value_count = 1;
    uint32_t a = picture_body(&o, net);
    vl_op *fold = build_op(p, VL_OP_FOLD, "last/Pool", a, 0);
    fold->count = 2;
    fold->rotation[0] = 2;
    fold->rotation[1] = 4;
    a = build_value(p, fold, picture_layout(&o, BUILD_OUTPUTS, 1, 1, 2), 0, 16);
    vl_op *mask = build_op(p, VL_OP_MASK, "mask", a, 0);
    mask->plain_scale = (double)p->manifest.params.q[mask->level - 1];
    build_value(p, mask, p->values[a].layout, 1, 16);
    p->notes = vl_strdup("first/Relu became a square");
    build_ends(p);
}

// A saved program and its client half; free both with velum_buffer_free.
static inline void picture_files(const picture_options *o, velum_buffer *program, velum_buffer *client) {
    picture_net net;
    picture_program(o, &net);
    vl_writer w = vl_writer_of((size_t)1 << 24), c = vl_writer_of((size_t)1 << 24);
    BUILD_OK(vl_program_save(&net.program, &w));
    BUILD_OK(vl_client_half_save(&net.program, &c));
    vl_program_clear(&net.program);
    *program = (velum_buffer){w.data, w.size};
    *client = (velum_buffer){c.data, c.size};
}

// The pixels of request `row`.
static inline void picture_row(uint64_t row, double raw[PICTURE_PIXELS]) {
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) raw[i] = (double)((row * 37 + i * (row % 11 + 1) * 29) % 256);
}

static inline void picture_apply(const picture_linear *m, const double *x, double *y) {
    for (uint32_t r = 0; r < m->rows; r++) {
        y[r] = m->bias[r];
        for (uint32_t c = 0; c < m->cols; c++) y[r] += m->weights[r * m->cols + c] * x[c];
    }
}

// What the model makes of it by its dense matrices.
static inline void picture_expected(const picture_net *net, const double raw[PICTURE_PIXELS],
                                    double out[BUILD_OUTPUTS]) {
    double x[PICTURE_PIXELS], wide[2 * PICTURE_PIXELS], in[8 + 2 * PICTURE_PIXELS], y[8];
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) x[i] = raw[i] * (2.0 / 255) - 1;
    picture_apply(&net->linear[0], x, wide);
    for (uint32_t i = 0; i < 2 * PICTURE_PIXELS; i++) wide[i] = wide[i] * wide[i] + net->offset[0][i / PICTURE_PIXELS];
    picture_apply(&net->linear[1], wide, in);
    for (uint32_t i = 0; i < 8; i++) in[i] = in[i] * in[i] + net->offset[1][i / 4];
    memcpy(in + 8, wide, sizeof wide);
    picture_apply(&net->linear[2], in, y);
    for (uint32_t i = 0; i < 8; i++) y[i] = y[i] * y[i] + net->offset[2][i / 4];
    picture_apply(&net->linear[3], y, in);
    for (uint32_t k = 0; k < BUILD_OUTPUTS; k++) out[k] = in[4 * k] + in[4 * k + 1] + in[4 * k + 2] + in[4 * k + 3];
}

#endif
