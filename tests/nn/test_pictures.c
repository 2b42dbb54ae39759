// SPDX-License-Identifier: Apache-2.0
// Pictures over slots: networks made here, packed with every number of phases, simulated with all lanes in use, against
// the model in the clear.
#include "nn/nets.h"

#include "nn/graph.h"
#include "nn/lower.h"
#include "nn/passes.h"
#include "nn/pictures.h"

typedef struct maker { // a network under way
    model *m;
    uint32_t nodes, seed, channels, height, width;
    char name[32]; // of the tensor at hand
} maker;

typedef struct window {
    uint32_t kernel[2], stride[2], pad[4], dilation[2], group; // 0: 1
} window;

static const window three = {.kernel = {3, 3}, .pad = {1, 1, 1, 1}};
static const window halves = {.kernel = {3, 3}, .pad = {1, 1, 1, 1}, .stride = {2, 2}};
static const window bare = {.kernel = {3, 3}};

static maker start(uint32_t channels, uint32_t height, uint32_t width, uint32_t seed) {
    maker k = {.m = model_new(13), .seed = seed, .channels = channels, .height = height, .width = width, .name = "x"};
    k.m->inputs[k.m->graph.n_input++] =
        value_info(k.m, "x", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4, (int64_t[]){-1, channels, height, width});
    add_meta(k.m, "velum.range:x", "-1 1");
    return k;
}

// Adds a node with these inputs behind the tensor at hand, whose result is then at hand.
static Onnx__NodeProto *node(maker *k, const char *type, const char *more) {
    char in[160];
    snprintf(in, sizeof in, "%s%s%s", k->name, more[0] ? "," : "", more);
    snprintf(k->name, sizeof k->name, "t%u", ++k->nodes);
    return add_node(k->m, type, in, k->name);
}

static uint32_t reach(uint32_t in, uint32_t padding, uint32_t kernel, uint32_t step, uint32_t dilation) {
    return (in + padding - (kernel - 1) * dilation - 1) / step + 1;
}

static void conv(maker *k, uint32_t out, window w) {
    char more[64];
    for (int i = 0; i < 2; i++) {
        w.stride[i] = w.stride[i] ? w.stride[i] : 1;
        w.dilation[i] = w.dilation[i] ? w.dilation[i] : 1;
    }
    w.group = w.group ? w.group : 1;
    snprintf(more, sizeof more, "w%u,b%u", k->seed, k->seed);
    char *weight = strtok(text(k->m, more), ","), *bias = strtok(NULL, ",");
    add_random(k->m, weight, 4, (int64_t[]){out, k->channels / w.group, w.kernel[0], w.kernel[1]}, k->seed);
    add_random(k->m, bias, 1, (int64_t[]){out}, k->seed + 1);
    k->seed += 2;
    Onnx__NodeProto *n = node(k, "Conv", more);
    attr_ints(k->m, n, "strides", 2, (int64_t[]){w.stride[0], w.stride[1]});
    attr_ints(k->m, n, "pads", 4, (int64_t[]){w.pad[0], w.pad[1], w.pad[2], w.pad[3]});
    attr_ints(k->m, n, "dilations", 2, (int64_t[]){w.dilation[0], w.dilation[1]});
    attr_int(k->m, n, "group", w.group);
    k->channels = out;
    k->height = reach(k->height, w.pad[0] + w.pad[2], w.kernel[0], w.stride[0], w.dilation[0]);
    k->width = reach(k->width, w.pad[1] + w.pad[3], w.kernel[1], w.stride[1], w.dilation[1]);
}

static void square(maker *k) {
    char same[32];
    strcpy(same, k->name);
    node(k, "Mul", same);
}

// 0.3 x^2 + 0.5 x + 0.2: its constant does not vanish in the padding behind it.
static void smooth(maker *k) {
    char x[32], a[32], b[32], c[32], scaled[32];
    strcpy(x, k->name);
    snprintf(a, sizeof a, "a%u", k->seed);
    snprintf(b, sizeof b, "l%u", k->seed);
    snprintf(c, sizeof c, "c%u", k->seed++);
    add_floats(k->m, a, 1, (int64_t[]){1}, (const float[]){0.3f});
    add_floats(k->m, b, 1, (int64_t[]){1}, (const float[]){0.5f});
    add_floats(k->m, c, 1, (int64_t[]){1}, (const float[]){0.2f});
    square(k);
    node(k, "Mul", a);
    strcpy(scaled, k->name);
    strcpy(k->name, x);
    node(k, "Mul", b);
    node(k, "Add", scaled);
    node(k, "Add", c);
}

static void wrap(maker *k, int64_t by) {
    char pads[32];
    snprintf(pads, sizeof pads, "p%u", k->seed++);
    add_ints(k->m, pads, 1, (int64_t[]){8}, (int64_t[]){0, 0, by, by, 0, 0, by, by});
    attr_text(k->m, node(k, "Pad", pads), "mode", "wrap");
    k->height += 2 * (uint32_t)by;
    k->width += 2 * (uint32_t)by;
}

static void pool(maker *k) {
    node(k, "GlobalAveragePool", "");
    k->height = k->width = 1;
}

static void dense(maker *k, uint32_t out) {
    char more[64], name[32];
    if (k->width > 0) node(k, "Flatten", "");
    uint32_t in = k->width > 0 ? k->channels * k->height * k->width : k->channels;
    snprintf(name, sizeof name, "d%u", k->seed);
    add_random(k->m, name, 2, (int64_t[]){in, out}, k->seed);
    snprintf(more, sizeof more, "%s,e%u", name, k->seed);
    snprintf(name, sizeof name, "e%u", k->seed);
    add_random(k->m, name, 1, (int64_t[]){out}, k->seed + 1);
    k->seed += 2;
    node(k, "Gemm", more);
    k->channels = out;
    k->height = k->width = 0;
}

static void block(maker *k, uint32_t out, bool half) { // residual
    char x[32], main[32];
    const uint32_t channels = k->channels, height = k->height, width = k->width;
    strcpy(x, k->name);
    conv(k, out, half ? halves : three);
    smooth(k);
    conv(k, out, three);
    strcpy(main, k->name);
    strcpy(k->name, x);
    if (half) {
        const uint32_t h = k->height, w = k->width;
        k->channels = channels;
        k->height = height;
        k->width = width;
        conv(k, out, (window){.kernel = {1, 1}, .stride = {2, 2}});
        k->height = h;
        k->width = w;
    }
    node(k, "Add", main);
    smooth(k);
}

static velum_table rows_of(const maker *k, uint32_t dim, uint64_t rows) {
    velum_table t = {.columns = dim, .rows = rows};
    uint64_t seed = k->seed;
    t.values = calloc(rows * dim, sizeof *t.values);
    assert_non_null(t.values);
    for (uint64_t i = 0; i < rows * dim; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        t.values[i] = (double)(int64_t)(seed >> 33) * 0x1p-30 - 1;
    }
    return t;
}

// One tiling: every lane has a request.
static uint32_t run_tiling(const vl_nn_graph *g, const vl_nn_pictures *p, const vl_nn_tiling *t, const uint8_t *onnx,
                           size_t size, const maker *k, uint64_t batch) {
    const vl_nn_goal goal = {.target = VELUM_THROUGHPUT, .batch = batch, .memory = 64ull << 30, .security = 128};
    const velum_compile_options opt = {.target = VELUM_THROUGHPUT};
    vl_nn_pictures_choice c;
    vl_program made = {0};
    bool found;
    assert_int_equal(vl_nn_pictures_choose(p, &goal, 0, t, &c, &found), VELUM_OK);
    if (!found) return 0;
    if (vl_nn_pictures_emit(p, g, &c, &opt, &made) != VELUM_OK) fail_msg("emit: %s", velum_last_error());
    const vl_manifest *m = &made.manifest;
    velum_table in = rows_of(k, m->in.dim, m->in.lanes < 24 ? m->in.lanes : 24), all, want = {0};
    assert_int_equal(vl_nn_evaluate(onnx, size, &in, &want), VELUM_OK);
    // The same few requests over and over, so that each has other neighbours.
    all = (velum_table){.columns = in.columns, .rows = m->in.lanes};
    all.values = calloc(all.rows * all.columns, sizeof *all.values);
    double *got = calloc(all.rows * want.columns, sizeof *got);
    assert_non_null(all.values);
    assert_non_null(got);
    for (uint64_t r = 0; r < all.rows; r++)
        memcpy(all.values + r * all.columns, in.values + r % in.rows * in.columns, in.columns * sizeof *in.values);
    if (simulate(&made, &all, got) != VELUM_OK) fail_msg("simulate: %s", velum_last_error());
    for (uint64_t i = 0; i < all.rows * want.columns; i++) {
        double must = want.values[i / want.columns % in.rows * want.columns + i % want.columns];
        if (!(fabs(got[i] - must) <= 1e-9 * (1 + fabs(must))))
            fail_msg("%u x %u phases: request %llu: %.15g, must be %.15g", t->phase_y, t->phase_x,
                     (unsigned long long)(i / want.columns), got[i], must);
    }
    free(all.values);
    free(in.values);
    free(got);
    table_clear(&want);
    vl_program_clear(&made);
    return 1;
}

typedef struct subject { // a network, ready to be packed
    uint8_t *onnx;
    size_t size;
    vl_nn_graph graph;
    vl_nn_lowered lowered;
    vl_nn_pictures pictures;
} subject;

// By so many rows of calibration, or by ranges for 0.
static void prepare(maker *k, uint32_t rows, subject *s) {
    vl_nn_pass_report report;
    bool fits;
    add_output(k->m, k->name);
    s->onnx = model_bytes(k->m, &s->size);
    if (vl_nn_import(s->onnx, s->size, &s->graph) != VELUM_OK) fail_msg("import: %s", velum_last_error());
    assert_int_equal(vl_nn_passes(&s->graph, &report), VELUM_OK);
    assert_int_equal(vl_nn_lower(&s->graph, false, &s->lowered), VELUM_OK);
    assert_int_equal(vl_nn_pictures_of(&s->lowered, &s->graph, &s->pictures, &fits), VELUM_OK);
    assert_true(fits);
    velum_table calibration = rows_of(k, s->lowered.prologue.columns, rows ? rows : 1);
    assert_int_equal(vl_nn_pictures_scale(&s->pictures, rows ? calibration.values : NULL, rows, &fits), VELUM_OK);
    free(calibration.values);
    assert_true(fits);
}

// Under every tiling, with one part and with two. even: no bias differs from pixel to pixel.
static void run(maker *k, bool even, uint32_t rows) {
    subject s;
    uint32_t tilings = 0;
    prepare(k, rows, &s);
    const vl_nn_pictures *p = &s.pictures;
    for (uint32_t i = 1; i < p->stages; i++)
        if (!p->stage[i].fold && even) assert_true(p->stage[i].even);
    for (uint32_t y = 1; y <= 4; y *= 2)
        for (uint32_t x = 1; x <= 4; x *= 2) {
            vl_nn_tiling t;
            if (!vl_nn_tiling_of(p, y, x, &t)) continue;
            tilings += run_tiling(&s.graph, p, &t, s.onnx, s.size, k, 0);
            if (y == x) tilings += run_tiling(&s.graph, p, &t, s.onnx, s.size, k, 1);
        }
    assert_true(tilings >= 6);
    vl_nn_graph_clear(&s.graph);
    model_free(k->m);
}

// From keys to decrypted answers, at secure parameters.
static void run_encrypted(maker *k, uint32_t calibration, uint64_t batch, uint32_t phases) {
    static const net_case named = {.name = "pictures"};
    const vl_nn_goal goal = {.target = VELUM_THROUGHPUT, .batch = batch, .memory = 4ull << 30, .security = 128};
    const velum_compile_options opt = {.target = VELUM_THROUGHPUT};
    subject s;
    vl_nn_tiling t;
    vl_nn_pictures_choice c;
    vl_program p = {0};
    bool found;
    double seconds[3], worst = 0, squares = 0;
    prepare(k, calibration, &s);
    assert_true(vl_nn_tiling_of(&s.pictures, phases, phases, &t));
    assert_int_equal(vl_nn_pictures_choose(&s.pictures, &goal, 0, &t, &c, &found), VELUM_OK);
    assert_true(found);
    net_must(vl_nn_pictures_emit(&s.pictures, &s.graph, &c, &opt, &p), &named, "emit");
    vl_writer w = vl_writer_of((size_t)1 << 28), half = vl_writer_of((size_t)1 << 28);
    net_must(vl_program_save(&p, &w), &named, "save");
    net_must(vl_client_half_save(&p, &half), &named, "save");
    const velum_buffer program = {w.data, w.size}, client = {half.data, half.size};
    velum_table in = rows_of(k, p.manifest.in.dim, c.lanes + 1), want = {0}, got = {0};
    net_must(vl_nn_evaluate(s.onnx, s.size, &in, &want), &named, "evaluate");
    net_session(&named, &program, &client, &in, &got, seconds);
    for (uint64_t i = 0; i < want.rows * want.columns; i++) {
        worst = fmax(worst, fabs(got.values[i] - want.values[i]));
        squares += (got.values[i] - want.values[i]) * (got.values[i] - want.values[i]);
    }
    const double typical = sqrt(squares / (double)(want.rows * want.columns));
    print_message("N=2^%u, %u limbs of %u bits, %u parts, scale 2^%u: error %.2e rms, %.2e at most, %.2e expected, "
                  "%.2e declared; "
                  "answers reach %.2g; %.2f s\n",
                  c.ring.log_n, s.pictures.depth, c.prime_bits, c.parts, c.scale_bits, typical, worst, c.error,
                  p.manifest.error_bound, s.pictures.answer_size, seconds[2]);
    assert_true(worst <= p.manifest.error_bound);
    assert_true(typical <= 2.5 * c.error && typical >= c.error / 2.5);
    velum_table_free(&want);
    velum_table_free(&got);
    free(in.values);
    vl_free(w.data);
    vl_free(half.data);
    vl_program_clear(&p);
    vl_nn_graph_clear(&s.graph);
    model_free(k->m);
}

static void plain_chain(void **state) {
    (void)state;
    maker k = start(2, 8, 8, 1);
    conv(&k, 3, three);
    smooth(&k);
    conv(&k, 4, three);
    smooth(&k);
    pool(&k);
    dense(&k, 3);
    run(&k, true, 0);
}

static void strides_and_shortcuts(void **state) {
    (void)state;
    maker k = start(2, 8, 8, 11);
    conv(&k, 3, three);
    smooth(&k);
    block(&k, 3, false);
    block(&k, 4, true);
    pool(&k);
    dense(&k, 5);
    run(&k, true, 8);
}

// Gaps in both directions, and none left over.
static void strides_to_the_end(void **state) {
    (void)state;
    maker k = start(1, 16, 16, 31);
    for (int i = 0; i < 3; i++) {
        conv(&k, 2, halves);
        smooth(&k);
    }
    dense(&k, 2);
    run(&k, true, 0);
}

static void kernels_of_all_shapes(void **state) {
    (void)state;
    maker k = start(2, 8, 16, 51);
    conv(&k, 4, (window){.kernel = {1, 5}, .pad = {0, 2, 0, 2}});
    square(&k);
    conv(&k, 4, (window){.kernel = {3, 3}, .pad = {2, 2, 2, 2}, .dilation = {2, 2}, .group = 2});
    square(&k);
    conv(&k, 4, (window){.kernel = {3, 1}, .pad = {1, 0, 1, 0}, .stride = {1, 2}, .group = 4});
    square(&k);
    dense(&k, 3);
    run(&k, true, 0);
}

static void wrapped_around(void **state) {
    (void)state;
    maker k = start(1, 8, 8, 71);
    wrap(&k, 1);
    conv(&k, 3, bare);
    smooth(&k);
    wrap(&k, 2);
    conv(&k, 2, (window){.kernel = {3, 3}, .dilation = {2, 2}, .stride = {2, 2}});
    smooth(&k);
    pool(&k);
    dense(&k, 2);
    run(&k, true, 0);
}

// Nothing is a power of two; borders shrink; dense layers with a square between.
static void odd_sizes(void **state) {
    (void)state;
    maker k = start(1, 10, 7, 91);
    conv(&k, 2, bare);
    smooth(&k);
    conv(&k, 3, (window){.kernel = {2, 2}, .stride = {2, 2}});
    square(&k);
    dense(&k, 4);
    square(&k);
    dense(&k, 3);
    run(&k, true, 0);
}

// A constant that is not the same everywhere: the first convolution is padded with what is no zero.
static void uneven_biases(void **state) {
    (void)state;
    maker k = start(1, 8, 8, 111);
    char pads[] = "frame", value[] = "seven";
    add_ints(k.m, pads, 1, (int64_t[]){8}, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1});
    add_floats(k.m, value, 0, NULL, (const float[]){0.7f});
    node(&k, "Pad", "frame,seven");
    k.height = k.width = 10;
    conv(&k, 2, bare);
    square(&k);
    pool(&k);
    dense(&k, 2);
    run(&k, false, 4);
}

// Real parts, then both; a second group with one request in it.
static void encrypted(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        maker k = start(1, 8, 8, 151);
        conv(&k, 2, three);
        smooth(&k);
        conv(&k, 3, halves);
        smooth(&k);
        pool(&k);
        dense(&k, 2);
        run_encrypted(&k, 16, parts == 1 ? 1 : 0, 2);
    }
    maker k = start(2, 8, 8, 171);
    conv(&k, 2, three);
    smooth(&k);
    block(&k, 3, true);
    dense(&k, 3);
    run_encrypted(&k, 16, 0, 1);
}

static void refused(void **state) {
    (void)state;
    maker k = start(1, 8, 8, 131);
    conv(&k, 2, three);
    node(&k, "Relu", "");
    dense(&k, 2);
    size_t size;
    vl_nn_graph g;
    vl_nn_lowered l;
    vl_nn_pictures p;
    vl_nn_pass_report report;
    bool fits;
    add_output(k.m, k.name);
    uint8_t *onnx = model_bytes(k.m, &size);
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_OK);
    assert_int_equal(vl_nn_passes(&g, &report), VELUM_OK);
    assert_int_equal(vl_nn_lower(&g, false, &l), VELUM_OK);
    assert_int_equal(vl_nn_pictures_of(&l, &g, &p, &fits), VELUM_OK);
    assert_false(fits);
    assert_non_null(strstr(l.notes, "is no square"));
    vl_nn_graph_clear(&g);
    model_free(k.m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_chain),
        cmocka_unit_test(strides_and_shortcuts),
        cmocka_unit_test(strides_to_the_end),
        cmocka_unit_test(kernels_of_all_shapes),
        cmocka_unit_test(wrapped_around),
        cmocka_unit_test(odd_sizes),
        cmocka_unit_test(uneven_biases),
        cmocka_unit_test(encrypted),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
