// SPDX-License-Identifier: Apache-2.0
// Spread maps: encrypted against clear, clear against the definition and against direct convolutions, the same bits for
// every kernel family, number of threads and size of scratch; squares of both parts; refusals.
#include "circuits/spread_internal.h"
#include "ckks/fixture.h"

#define LEVEL 3
#define LIMBS 4 // of the parameters: inputs may lie above the map's level
#define FACTOR 0x1p20
#define SCALE 0x1p50 // of inputs: the results' is about 2^30

// ---- maps ----
static void *take(size_t count, size_t size) {
    void *p = vl_alloc_array(count + 1, size);
    assert_non_null(p);
    return p;
}

// Room for so much; counts are set.
static vl_spread new_map(uint32_t sources, uint32_t outputs, uint32_t copies, uint64_t entries, uint32_t patterns,
                         uint32_t period, uint32_t bias_period) {
    vl_spread s = {.sources = sources, .outputs = outputs, .copies = copies, .patterns = patterns};
    s.period = period;
    s.bias_period = bias_period;
    s.parts = 2;
    s.copy = take(copies, sizeof *s.copy);
    s.start = take(outputs + 1u, sizeof *s.start);
    s.col = take(entries, sizeof *s.col);
    s.weight = take(entries, sizeof *s.weight);
    s.through = take(entries, sizeof *s.through);
    s.pattern = take((size_t)patterns * period, sizeof *s.pattern);
    s.bias = take((size_t)outputs * bias_period, sizeof *s.bias);
    return s;
}

// Every source by itself and turned by each rotation (ascending, none 0); every third output takes every second copy,
// the others all; output 1 (if any) is empty. Patterns: 0 and 1, the last one any numbers.
static vl_spread random_map(uint32_t sources, uint32_t outputs, const int32_t *rotation, uint32_t rotations,
                            uint32_t patterns, uint32_t period, uint32_t bias_period) {
    uint32_t copies = sources * (rotations + 1);
    vl_spread s = new_map(sources, outputs, copies, (uint64_t)outputs * copies, patterns, period, bias_period);
    uint64_t at = 0;
    for (uint32_t k = 0, r = 0; k < sources; k++) {
        bool still = false;
        for (uint32_t i = 0; i < rotations; i++) {
            if (!still && rotation[i] > 0) s.copy[r++] = (vl_spread_copy){k, 0}, still = true;
            s.copy[r++] = (vl_spread_copy){k, rotation[i]};
        }
        if (!still) s.copy[r++] = (vl_spread_copy){k, 0};
    }
    for (uint32_t r = 0; r < outputs; r++) {
        s.start[r] = at;
        for (uint32_t k = 0; k < copies && r != 1; k++) {
            if (r % 3 == 2 && k % 2) continue;
            s.col[at] = k;
            s.weight[at] = noise_value(7 * at + outputs);
            s.through[at] = patterns && (k + r) % 3 ? (k * 5 + r) % patterns : VL_SPREAD_NO_PATTERN;
            at++;
        }
    }
    s.start[outputs] = at;
    for (uint32_t k = 0; k < patterns * period; k++) {
        double v = noise_value(k + 77);
        s.pattern[k] = k / period + 1 < patterns ? v > 0 : 3 * v;
    }
    for (uint32_t k = 0; k < outputs * bias_period; k++) s.bias[k] = noise_value(k + 99);
    return s;
}

// ---- inputs and results ----
typedef struct values {
    uint32_t sources, outputs, slots;
    double *re, *im, *want_re, *want_im;
} values;

static values make_values(const vl_spread *s, uint32_t slots) {
    values v = {s->sources,
                s->outputs,
                slots,
                real_vector(s->sources * slots, 11),
                real_vector(s->sources * slots, 12),
                take((size_t)s->outputs * slots, sizeof(double)),
                take((size_t)s->outputs * slots, sizeof(double))};
    vl_spread_clear_apply(s, slots, v.re, v.want_re);
    vl_spread_clear_apply(s, slots, v.im, v.want_im);
    for (size_t k = 0; s->parts == 1 && s->bias_period && k < (size_t)s->outputs * slots; k++)
        v.want_im[k] -= s->bias[k / slots * s->bias_period + k % slots % s->bias_period];
    return v;
}

static void free_values(values *v) {
    free(v->re);
    free(v->im);
    vl_free(v->want_re);
    vl_free(v->want_im);
}

// Input k; every second one lies one level higher and at another scale.
static double scale_of(uint32_t k) { return k % 2 ? SCALE * 1.5 : SCALE; }

static vl_ciphertext *encrypt_values(lab *l, const values *v) {
    vl_ciphertext *in = take(v->sources, sizeof *in);
    double complex *z = take(v->slots, sizeof *z);
    for (uint32_t k = 0; k < v->sources; k++) {
        const size_t at = (size_t)k * v->slots;
        for (uint32_t t = 0; t < v->slots; t++) z[t] = v->re[at + t] + v->im[at + t] * I;
        in[k] = lab_encrypt(l, z, v->slots, scale_of(k), (uint16_t)(LEVEL + k % 2));
    }
    vl_free(z);
    return in;
}

static void free_cts(vl_ciphertext *ct, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) vl_ciphertext_free(&ct[k]);
    vl_free(ct);
}

static void check_values(lab *l, const values *v, const vl_ciphertext *out, double tolerance) {
    double complex *want = take(v->slots, sizeof *want);
    for (uint32_t r = 0; r < v->outputs; r++) {
        for (uint32_t t = 0; t < v->slots; t++)
            want[t] = v->want_re[(size_t)r * v->slots + t] + v->want_im[(size_t)r * v->slots + t] * I;
        double error = lab_error(l, &out[r], want, v->slots);
        if (!(error < tolerance)) fail_msg("output %u of %u: error 2^%.1f", r, v->outputs, log2(error));
    }
    vl_free(want);
}

static bool same_limbs(const vl_params *p, const vl_ciphertext *a, const vl_ciphertext *b) {
    size_t bytes = vl_poly_bytes(&p->ring, a->level, 0);
    return a->level == b->level && memcmp(a->c[0].x, b->c[0].x, bytes) == 0 && memcmp(a->c[1].x, b->c[1].x, bytes) == 0;
}

// ---- encrypted ----
// Applies the map under p with exactly `scratch` bytes.
static vl_ciphertext *apply(const vl_params *p, const vl_eval_keys *lab_keys, const vl_spread *s, unsigned threads,
                            size_t scratch, const vl_ciphertext *in) {
    vl_eval_keys keys = keys_under(lab_keys, p);
    vl_exec x;
    vl_encoder *e;
    vl_spread_coded *coded;
    const vl_ciphertext **from = take(s->sources, sizeof *from);
    double *factor = take(s->sources, sizeof *factor), q = (double)p->literal.q[LEVEL - 1];
    for (uint32_t k = 0; k < s->sources; k++) {
        from[k] = &in[k];
        factor[k] = FACTOR * SCALE / scale_of(k);
    }
    OK(vl_encoder_new(p, &e));
    OK(vl_exec_init(&x, 1, vl_spread_encode_scratch(p, LEVEL)));
    OK(vl_spread_encode(&x, e, s, LEVEL, factor, SCALE * FACTOR / q, &coded));
    assert_int_equal(x.arena.used, 0);
    vl_exec_clear(&x);
    vl_ciphertext *out = take(s->outputs, sizeof *out);
    for (uint32_t r = 0; r < s->outputs; r++) OK(vl_ciphertext_new(p, LEVEL - 1, 1, &out[r]));
    OK(vl_exec_init(&x, threads, scratch));
    vl_spread_apply(&x, p, &keys, coded, out, from);
    assert_int_equal(x.arena.used, 0);
    for (uint32_t r = 0; r < s->outputs; r++) out[r].scale = SCALE * FACTOR / q;
    vl_exec_clear(&x);
    vl_spread_coded_free(coded);
    vl_encoder_free(e);
    vl_free(factor);
    vl_free(from);
    return out;
}

// The most that a smaller scratch can do without: all but one of the limbs extended together.
static size_t least_scratch(const vl_params *p, const vl_spread *s, unsigned threads) {
    uint64_t digits = (LEVEL + p->literal.digit_limbs - 1) / p->literal.digit_limbs;
    return vl_spread_scratch(p, s, LEVEL, threads) -
           3 * (digits * vl_spread_count(s).decompositions) * p->ring.n * sizeof(uint64_t);
}

static void check_map(uint32_t log_n, uint32_t digit_limbs, const vl_spread *s, bool everywhere, double tolerance) {
    static vl_key_request r[VL_SPREAD_MAX_COPIES + 1];
    vl_params_literal lit = insecure_literal(log_n, LIMBS, digit_limbs);
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    OK(vl_spread_check(s, p->ring.n / 2));
    uint32_t count = vl_spread_key_requests(s, p, LEVEL, r);
    for (uint32_t k = 0; k < count; k++) assert_true(r[k].level == LEVEL && (k == 0 || r[k].galois > r[k - 1].galois));
    if (count == 0) r[count++] = (vl_key_request){0, 2};
    lab l;
    lab_open(&l, p, 1, 0, r, count);
    values v = make_values(s, p->ring.n / 2);
    vl_ciphertext *in = encrypt_values(&l, &v), *first = NULL;
    const vl_kernels *const *k = vl_kernels_available();
    while (!everywhere && k[1]) k++;
    for (; *k; k++)
        for (unsigned way = 0; way < 3; way++) { // threads, scratch
            vl_params *other;
            unsigned threads = way == 1 ? 2 : 1;
            OK(vl_params_new(&lit, *k, &other));
            size_t scratch = way == 2 ? least_scratch(other, s, threads) : vl_spread_scratch(other, s, LEVEL, threads);
            vl_ciphertext *out = apply(other, &l.keys, s, threads, scratch, in);
            for (uint32_t o = 0; o < s->outputs; o++) {
                assert_int_equal(out[o].level, LEVEL - 1);
                assert_int_equal(out[o].degree, 1);
                assert_true(!first || same_limbs(p, &first[o], &out[o]));
            }
            if (!first) {
                first = out;
                check_values(&l, &v, out, tolerance);
            } else {
                free_cts(out, s->outputs);
            }
            vl_params_free(other);
        }
    free_cts(first, s->outputs);
    free_cts(in, s->sources);
    free_values(&v);
    lab_close(&l);
}

static void random_maps(void **state) {
    (void)state;
    static const int32_t turns[] = {-130, -8, -1, 1, 8, 127};
    static const struct {
        uint32_t log_n, digit_limbs, sources, outputs, rotations, patterns, period, bias_period;
    } cases[] = {
        {10, 1, 2, 5, 6, 4, 32, 32}, {10, 2, 3, 4, 3, 3, 8, 1},  {10, 3, 1, 2, 6, 0, 1, 0}, {11, 2, 4, 7, 4, 5, 4, 4},
        {12, 2, 5, 9, 5, 6, 128, 1}, {10, 2, 3, 6, 0, 2, 16, 0}, {10, 2, 2, 3, 0, 0, 2, 2}, {10, 2, 6, 200, 2, 2, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t parts = 1; parts <= 2; parts++) {
            vl_spread s = random_map(cases[i].sources, cases[i].outputs, turns, cases[i].rotations, cases[i].patterns,
                                     cases[i].period, cases[i].bias_period);
            s.parts = parts;
            check_map(cases[i].log_n, cases[i].digit_limbs, &s, true, 0x1p-12);
            vl_spread_clear(&s);
        }
}

// An output of more copies than a kernel sums in one piece, and a map whose scalars are made in several batches.
static void large_maps(void **state) {
    (void)state;
    int32_t turns[300];
    for (int32_t k = 0; k < 300; k++) turns[k] = k % 150 + (k < 150 ? -150 : 1);
    vl_spread s = random_map(4, 2, turns, 300, 2, 2, 0);
    s.start[1] = s.start[2]; // all in the first
    check_map(10, 2, &s, false, 0x1p-10);
    vl_spread_clear(&s);
    s = random_map(40, 400, turns + 148, 4, 3, 256, 1);
    check_map(13, 2, &s, false, 0x1p-10);
    vl_spread_clear(&s);
}

// Outputs with the same rotated copies go together, whatever else they have: all but output 0 have one copy each of
// their own, through a pattern or not, and outputs from `outputs` / 2 on share one more.
static void copies_of_their_own(void **state) {
    (void)state;
    const uint32_t shared = 3, outputs = 6, turned = 2 * shared, copies = 3 * shared + outputs + 1;
    vl_spread s = new_map(shared + outputs + 1, outputs, copies, (uint64_t)outputs * copies, 1, 8, 1);
    static const int32_t turns[] = {-1, 0, 1};
    for (uint32_t k = 0; k < 3 * shared; k++) s.copy[k] = (vl_spread_copy){k / 3, turns[k % 3]};
    for (uint32_t k = 0; k <= outputs; k++) s.copy[3 * shared + k] = (vl_spread_copy){shared + k, 0};
    uint64_t at = 0;
    for (uint32_t r = 0; r < outputs; r++) {
        for (uint32_t k = 0; k < copies; k++) {
            bool own = k == 3 * shared + r && r > 0, half = k == 3 * shared + outputs && r >= outputs / 2;
            if (k >= 3 * shared && !own && !half) continue;
            s.col[at] = k;
            s.weight[at] = noise_value(11 * at + 3);
            s.through[at++] = k % 2 ? 0 : VL_SPREAD_NO_PATTERN;
        }
        s.start[r + 1] = at;
        s.bias[r] = r;
    }
    for (uint32_t t = 0; t < 8; t++) s.pattern[t] = t % 3 != 0;
    vl_params *p = insecure_params(10, LIMBS, 2, NULL);
    vl_encoder *e;
    vl_exec x;
    vl_spread_coded *c;
    double factor[16];
    for (uint32_t k = 0; k < 16; k++) factor[k] = FACTOR;
    OK(vl_encoder_new(p, &e));
    OK(vl_exec_init(&x, 1, vl_spread_encode_scratch(p, LEVEL)));
    OK(vl_spread_encode(&x, e, &s, LEVEL, factor, SCALE, &c));
    assert_int_equal(c->groups, outputs); // one of all, and one each of the others
    assert_int_equal(c->group[0].rows, outputs);
    assert_int_equal(c->group[0].turned, turned);
    assert_int_equal(c->group[0].cols, 3 * shared);
    for (uint32_t k = 1; k < c->groups; k++) assert_true(c->group[k].adds && c->group[k].rows == 1);
    vl_spread_coded_free(c);
    vl_exec_clear(&x);
    vl_encoder_free(e);
    vl_params_free(p);
    for (s.parts = 1; s.parts <= 2; s.parts++) check_map(10, 2, &s, true, 0x1p-12);
    vl_spread_clear(&s);
}

// ---- in the clear ----
static void by_definition(void **state) {
    (void)state;
    static const int32_t turns[] = {-511, -3, 5, 511};
    const uint32_t slots = 512;
    vl_spread s = random_map(3, 4, turns, 4, 3, 8, 8);
    OK(vl_spread_check(&s, slots));
    double *x = real_vector(s.sources * slots, 3), *y = take((size_t)s.outputs * slots, sizeof *y);
    vl_spread_clear_apply(&s, slots, x, y);
    for (uint32_t r = 0; r < s.outputs; r++)
        for (uint32_t t = 0; t < slots; t++) {
            double want = s.bias[r * 8 + t % 8];
            for (uint64_t i = s.start[r]; i < s.start[r + 1]; i++) {
                const vl_spread_copy *c = &s.copy[s.col[i]];
                double m = s.through[i] == VL_SPREAD_NO_PATTERN ? 1 : s.pattern[s.through[i] * 8 + t % 8];
                want += s.weight[i] * m * x[c->source * slots + (uint32_t)((int32_t)t + c->rotation + 512) % slots];
            }
            assert_true(fabs(y[r * slots + t] - want) < 1e-12);
        }
    vl_spread_cost cost = vl_spread_count(&s);
    uint64_t patterned = 0;
    for (uint64_t i = 0; i < s.start[4]; i++) patterned += s.through[i] != VL_SPREAD_NO_PATTERN;
    assert_int_equal(cost.rotations, 12);
    assert_int_equal(cost.decompositions, 3);
    assert_int_equal(cost.products, s.start[4]);
    assert_int_equal(cost.patterned, patterned);
    free(x);
    vl_free(y);
    vl_spread_clear(&s);
}

// ---- a convolution of pictures ----
#define HEIGHT 8
#define WIDTH 16
#define IN_CHANNELS 2
#define OUT_CHANNELS 3

typedef struct packing { // phases and the grid of positions
    uint32_t phase_y, phase_x, rows, cols;
} packing;

static double kernel_weight(uint32_t out, uint32_t in, uint32_t tap) {
    return noise_value(1000 + (out * IN_CHANNELS + in) * 9 + tap);
}

// 3 x 3, stride 1, zeros around: copies are numbered (channel, phase) by the nine shifts of the grid.
static vl_spread convolution(const packing *g) {
    const uint32_t phases = g->phase_y * g->phase_x, period = g->rows * g->cols;
    const uint32_t outputs = OUT_CHANNELS * phases, copies = IN_CHANNELS * phases * 9;
    vl_spread s = new_map(IN_CHANNELS * phases, outputs, copies, (uint64_t)outputs * IN_CHANNELS * 9, 9, period, 1);
    for (uint32_t k = 0; k < copies; k++) {
        int32_t y = (int32_t)(k % 9 / 3) - 1, x = (int32_t)(k % 3) - 1;
        s.copy[k] = (vl_spread_copy){k / 9, y * (int32_t)g->cols + x};
    }
    for (uint32_t k = 0; k < 9 * period; k++) { // is the shifted position in the picture?
        int32_t y = (int32_t)(k % period / g->cols) + (int32_t)(k / period / 3) - 1;
        int32_t x = (int32_t)(k % period % g->cols) + (int32_t)(k / period % 3) - 1;
        s.pattern[k] = y >= 0 && y < (int32_t)g->rows && x >= 0 && x < (int32_t)g->cols;
    }
    uint64_t at = 0;
    for (uint32_t o = 0; o < outputs; o++) {
        s.start[o] = at;
        s.bias[o] = noise_value(o / phases + 50);
        double weight[IN_CHANNELS * 8 * 9] = {0};
        bool used[IN_CHANNELS * 8 * 9] = {0};
        for (uint32_t c = 0; c < IN_CHANNELS; c++)
            for (uint32_t tap = 0; tap < 9; tap++) {
                uint32_t y = o % phases / g->phase_x + tap / 3 + g->phase_y - 1; // one period up: not negative
                uint32_t x = o % phases % g->phase_x + tap % 3 + g->phase_x - 1;
                uint32_t source = (c * g->phase_y + y % g->phase_y) * g->phase_x + x % g->phase_x;
                uint32_t k = source * 9 + y / g->phase_y * 3 + x / g->phase_x;
                weight[k] = kernel_weight(o / phases, c, tap);
                used[k] = true;
            }
        for (uint32_t k = 0; k < copies; k++) {
            if (!used[k]) continue;
            s.col[at] = k;
            s.weight[at] = weight[k];
            s.through[at++] = k % 9 == 4 ? VL_SPREAD_NO_PATTERN : k % 9;
        }
    }
    s.start[outputs] = at;
    return s;
}

static double pixel(uint32_t picture, uint32_t c, uint32_t y, uint32_t x) {
    return y < HEIGHT && x < WIDTH ? noise_value(((picture * IN_CHANNELS + c) * HEIGHT + y) * WIDTH + x) : 0;
}

static double convolved(uint32_t picture, uint32_t o, uint32_t y, uint32_t x) {
    double sum = noise_value(o + 50);
    for (uint32_t c = 0; c < IN_CHANNELS; c++)
        for (uint32_t tap = 0; tap < 9; tap++)
            sum += kernel_weight(o, c, tap) * pixel(picture, c, y + tap / 3 - 1, x + tap % 3 - 1);
    return sum;
}

// Inputs, and outputs by the direct convolution, of the pictures that fit: half of them in each part.
static values picture_values(const packing *g, uint32_t slots) {
    const uint32_t phases = g->phase_y * g->phase_x, period = g->rows * g->cols;
    values v = {.sources = IN_CHANNELS * phases, .outputs = OUT_CHANNELS * phases, .slots = slots};
    v.re = malloc((size_t)v.sources * slots * sizeof *v.re);
    v.im = malloc((size_t)v.sources * slots * sizeof *v.im);
    v.want_re = take((size_t)v.outputs * slots, sizeof(double));
    v.want_im = take((size_t)v.outputs * slots, sizeof(double));
    for (uint32_t k = 0; k < v.outputs * slots; k++) {
        uint32_t channel = k / slots / phases, phase = k / slots % phases, group = k % slots / period;
        uint32_t y = k % period / g->cols * g->phase_y + phase / g->phase_x;
        uint32_t x = k % period % g->cols * g->phase_x + phase % g->phase_x;
        v.want_re[k] = convolved(group, channel, y, x);
        v.want_im[k] = convolved(group + slots / period, channel, y, x);
        if (channel >= IN_CHANNELS) continue;
        v.re[k] = pixel(group, channel, y, x);
        v.im[k] = pixel(group + slots / period, channel, y, x);
    }
    return v;
}

static void convolutions(void **state) {
    (void)state;
    static const packing grids[] = {{2, 4, 4, 4}, {1, 1, 8, 16}, {2, 2, 4, 8}};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        static vl_key_request r[VL_SPREAD_MAX_COPIES];
        vl_spread s = convolution(&grids[i]);
        vl_params *p = insecure_params(12, LIMBS, 2, NULL);
        OK(vl_spread_check(&s, p->ring.n / 2));
        uint32_t count = vl_spread_key_requests(&s, p, LEVEL, r);
        assert_int_equal(count, 8);
        lab l;
        lab_open(&l, p, 1, 0, r, count);
        values v = picture_values(&grids[i], p->ring.n / 2);
        vl_ciphertext *in = encrypt_values(&l, &v);
        vl_ciphertext *out = apply(p, &l.keys, &s, 2, vl_spread_scratch(p, &s, LEVEL, 2), in);
        check_values(&l, &v, out, 0x1p-13);
        free_cts(out, v.outputs);
        free_cts(in, v.sources);
        free_values(&v);
        vl_spread_clear(&s);
        lab_close(&l);
    }
}

// ---- the square ----
static void squares(void **state) {
    (void)state;
    const uint32_t log_n = 10, slots = 512;
    vl_params_literal lit = insecure_literal(log_n, LIMBS, 2);
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    const vl_key_request r[] = {{0, LEVEL}, {vl_params_galois_conj(p), LEVEL}};
    lab l;
    lab_open(&l, p, 1, 0, r, 2);
    double complex *z = complex_vector(slots, 5), *want = malloc(slots * sizeof *want);
    vl_ciphertext in = lab_encrypt(&l, z, slots, 0x1p30, LEVEL);
    for (uint32_t parts = 1; parts <= 2; parts++) {
        const double k = parts == 1 ? 0 : -0.75;
        for (uint32_t t = 0; t < slots; t++) {
            double re = creal(z[t]), im = cimag(z[t]);
            want[t] = parts == 2 ? re * re + k + (im * im + k) * I : z[t] * z[t];
        }
        vl_ciphertext first = {0};
        for (const vl_kernels *const *f = vl_kernels_available(); *f; f++)
            for (unsigned way = 0; way < 3; way++) { // threads, in place
                vl_params *other;
                vl_exec x;
                vl_ciphertext d;
                OK(vl_params_new(&lit, *f, &other));
                OK(vl_exec_init(&x, way == 1 ? 2 : 1, vl_spread_square_scratch(other, LEVEL)));
                OK(vl_ciphertext_new(other, LEVEL, 1, &d));
                vl_eval_keys keys = keys_under(&l.keys, other);
                if (way == 2) vl_ciphertext_copy(&x, other, &d, &in);
                vl_spread_square(&x, other, &keys, parts, k, &d, way == 2 ? &d : &in);
                assert_int_equal(x.arena.used, 0);
                assert_int_equal(d.level, LEVEL);
                assert_true(d.scale == (parts == 2 ? 0x1p62 : 0x1p60));
                assert_true(!first.block || same_limbs(p, &first, &d));
                if (first.block)
                    vl_ciphertext_free(&d);
                else
                    first = d;
                vl_exec_clear(&x);
                vl_params_free(other);
            }
        double error = lab_error(&l, &first, want, slots);
        if (!(error < 0x1p-16)) fail_msg("%u parts: error 2^%.1f", parts, log2(error));
        vl_ciphertext_free(&first);
    }
    vl_ciphertext_free(&in);
    free(z);
    free(want);
    lab_close(&l);
}

// One part with a constant: x^2 + k.
static void square_of_reals(void **state) {
    (void)state;
    const uint32_t slots = 512;
    vl_params *p = insecure_params(10, LIMBS, 2, NULL);
    const vl_key_request r[] = {{0, LEVEL}};
    lab l;
    lab_open(&l, p, 2, vl_spread_square_scratch(p, LEVEL), r, 1);
    double *v = real_vector(slots, 5);
    double complex *want = malloc(slots * sizeof *want);
    for (uint32_t t = 0; t < slots; t++) want[t] = v[t] * v[t] + 1234.5;
    vl_ciphertext ct = lab_encrypt_real(&l, v, slots, 0x1p35, LEVEL);
    vl_spread_square(&l.x, p, &l.keys, 1, 1234.5, &ct, &ct);
    assert_true(lab_error(&l, &ct, want, slots) < 0x1p-16);
    vl_ciphertext_free(&ct);
    free(v);
    free(want);
    lab_close(&l);
}

// ---- refusals ----
static vl_spread good_map(void) {
    static const int32_t turns[] = {-1, 1};
    return random_map(2, 3, turns, 2, 2, 8, 8);
}

#define REFUSED(status, change)                                                                                        \
    do {                                                                                                               \
        vl_spread s = good_map();                                                                                      \
        OK(vl_spread_check(&s, 512));                                                                                  \
        change;                                                                                                        \
        assert_int_equal(vl_spread_check(&s, 512), status);                                                            \
        vl_spread_clear(&s);                                                                                           \
        assert_null(s.copy);                                                                                           \
    } while (0)

static void refuses_bad_maps(void **state) {
    (void)state;
    REFUSED(VELUM_E_FORMAT, s.sources = 0);
    REFUSED(VELUM_E_FORMAT, s.outputs = 0);
    REFUSED(VELUM_E_LIMIT, s.sources = VL_SPREAD_MAX_CTS + 1);
    REFUSED(VELUM_E_LIMIT, s.outputs = VL_SPREAD_MAX_CTS + 1);
    REFUSED(VELUM_E_LIMIT, s.copies = VL_SPREAD_MAX_COPIES + 1);
    REFUSED(VELUM_E_LIMIT, s.patterns = VL_SPREAD_MAX_PATTERNS + 1);
    REFUSED(VELUM_E_FORMAT, s.period = 0);
    REFUSED(VELUM_E_FORMAT, s.period = 7);
    REFUSED(VELUM_E_FORMAT, s.period = 64);
    REFUSED(VELUM_E_FORMAT, s.bias_period = 4);
    REFUSED(VELUM_E_FORMAT, s.parts = 0);
    REFUSED(VELUM_E_FORMAT, s.parts = 3);
    REFUSED(VELUM_E_FORMAT, s.copy[3].source = 2);
    REFUSED(VELUM_E_FORMAT, s.copy[0].rotation = -512);
    REFUSED(VELUM_E_FORMAT, s.copy[2].rotation = 512);
    REFUSED(VELUM_E_FORMAT, s.copy[1].rotation = -1);
    REFUSED(VELUM_E_FORMAT, s.copy[0].source = 1);
    REFUSED(VELUM_E_FORMAT, s.start[0] = 1);
    REFUSED(VELUM_E_FORMAT, s.start[1] = s.start[3] + 1);
    REFUSED(VELUM_E_LIMIT, s.start[1] = 4097);
    REFUSED(VELUM_E_FORMAT, s.col[0] = s.copies);
    REFUSED(VELUM_E_FORMAT, s.col[1] = s.col[0]);
    REFUSED(VELUM_E_FORMAT, s.weight[1] = NAN);
    REFUSED(VELUM_E_FORMAT, s.through[0] = 2);
    REFUSED(VELUM_E_FORMAT, s.pattern[9] = INFINITY);
    REFUSED(VELUM_E_FORMAT, s.bias[9] = -INFINITY);
}

static velum_status encode(vl_params *p, const vl_encoder *e, const vl_spread *s, uint16_t level, double factor,
                           double bias_scale) {
    vl_exec x;
    vl_spread_coded *coded = NULL;
    OK(vl_exec_init(&x, 1, vl_spread_encode_scratch(p, LIMBS)));
    const double factors[] = {factor, factor};
    velum_status status = vl_spread_encode(&x, e, s, level, factors, bias_scale, &coded);
    assert_int_equal(x.arena.used, 0);
    assert_true((status == VELUM_OK) == (coded != NULL));
    vl_spread_coded_free(coded);
    vl_exec_clear(&x);
    return status;
}

static void refuses_to_encode(void **state) {
    (void)state;
    vl_params *p = insecure_params(10, LIMBS, 2, NULL);
    vl_encoder *e;
    OK(vl_encoder_new(p, &e));
    vl_spread s = good_map();
    s.weight[0] = 1; // of a copy without a pattern
    s.weight[1] = 1;
    assert_int_equal(s.through[0], VL_SPREAD_NO_PATTERN);
    assert_int_not_equal(s.through[1], VL_SPREAD_NO_PATTERN);
    for (uint32_t k = 0; k < 16; k++) s.pattern[k] = k % 2;
    OK(encode(p, e, &s, LEVEL, 0x1p20, 0x1p30));
    OK(encode(p, e, &s, 2, 0x1.fp49, 0x1p30));
    OK(encode(p, e, &s, LIMBS, 0x1p20, 0x1p30));
    assert_int_equal(encode(p, e, &s, 1, 0x1p20, 0x1p30), VELUM_E_LIMIT);
    assert_int_equal(encode(p, e, &s, LIMBS + 1, 0x1p20, 0x1p30), VELUM_E_LIMIT);
    assert_int_equal(encode(p, e, &s, LEVEL, 0x1p50, 0x1p30), VELUM_E_VALUE);
    assert_int_equal(encode(p, e, &s, LEVEL, INFINITY, 0x1p30), VELUM_E_VALUE);
    assert_int_equal(encode(p, e, &s, LEVEL, NAN, 0x1p30), VELUM_E_VALUE);
    assert_int_equal(encode(p, e, &s, LEVEL, 0x1p20, 0x1p62), VELUM_E_VALUE);
    for (uint32_t k = 0; k < 16; k++) s.pattern[k] = 4;
    assert_int_equal(encode(p, e, &s, LEVEL, 0x1p49, 0x1p30), VELUM_E_VALUE);
    vl_spread_clear(&s);
    vl_encoder_free(e);
    vl_params_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_definition),       cmocka_unit_test(random_maps),      cmocka_unit_test(large_maps),
        cmocka_unit_test(copies_of_their_own), cmocka_unit_test(convolutions),     cmocka_unit_test(squares),
        cmocka_unit_test(square_of_reals),     cmocka_unit_test(refuses_bad_maps), cmocka_unit_test(refuses_to_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
