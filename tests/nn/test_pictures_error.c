// SPDX-License-Identifier: Apache-2.0
// The planner's expected error of picture programs, against simulations with noise: real parts alone (where rescales
// and rounded weights count) and both parts (where conjugations do). Over all requests, and to the one with most.
#include "nn/nets.h"

#include "nn/graph.h"
#include "nn/lower.h"
#include "nn/passes.h"
#include "nn/pictures.h"
#include "runtime/runtime.h"

#define ROWS 64 // of calibration, and simulated
#define RUNS 16 // few leave some row more than it has
#define APART 2 // estimate and simulation, at most

typedef struct net {
    uint8_t *onnx;
    vl_nn_graph graph;
    vl_nn_lowered lowered;
    vl_nn_pictures pictures;
    double *features; // ROWS x columns
    uint32_t columns;
} net;

static void open_net(const net_case *c, net *n) {
    size_t size;
    vl_nn_pass_report report;
    bool fits, bounded;
    n->onnx = net_file(c, &size);
    net_must(vl_nn_import(n->onnx, size, &n->graph), c, "import");
    net_must(vl_nn_passes(&n->graph, &report), c, "passes");
    net_must(vl_nn_lower(&n->graph, false, &n->lowered), c, "lower");
    net_must(vl_nn_pictures_of(&n->lowered, &n->graph, &n->pictures, &fits), c, "stages");
    assert_true(fits);
    velum_table raw = net_rows(n->onnx, size, ROWS, 7);
    n->columns = n->lowered.prologue.columns;
    n->features = calloc((size_t)ROWS * n->columns, sizeof *n->features);
    assert_non_null(n->features);
    for (uint64_t r = 0; r < ROWS; r++)
        net_must(
            vl_nn_prologue_run(&n->lowered.prologue, r, raw.values + r * raw.columns, n->features + r * n->columns), c,
            "features");
    net_must(vl_nn_pictures_scale(&n->pictures, n->features, ROWS, &bounded), c, "scale");
    assert_true(bounded);
    free(raw.values);
}

static void close_net(net *n) {
    vl_nn_graph_clear(&n->graph);
    free(n->features);
    free(n->onnx);
}

// Root mean square, over rows (as many as fit) and answers, of what the noise of so many simulations leaves. *worst:
// over the answers to the row with most.
static double simulated(const net_case *c, const net *n, const vl_program *p, double *worst) {
    const vl_layout *in = &p->manifest.in, *out = &p->manifest.out;
    const uint32_t rows = in->lanes < ROWS ? in->lanes : ROWS;
    const size_t from = in->cts * vl_layout_room(in), to = out->cts * vl_layout_room(out);
    double *a = calloc(from, sizeof *a), *clear = calloc(to, sizeof *clear), *noisy = calloc(to, sizeof *noisy);
    double *want = calloc((size_t)rows * out->dim, sizeof *want), *got = calloc((size_t)rows * out->dim, sizeof *got);
    double *row = calloc(rows, sizeof *row), sum = 0, most = 0;
    assert_true(a && clear && noisy && want && got && row);
    for (uint32_t i = 0; i < in->cts; i++) vl_layout_pack(in, i, n->features, rows, a + i * vl_layout_room(in));
    net_must(vl_sim_run_verified(p, a, clear), c, "simulate");
    for (uint32_t i = 0; i < out->cts; i++) vl_layout_unpack(out, i, clear + i * vl_layout_room(out), rows, want);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        net_must(vl_sim_run_noisy_probe(p, a, seed, NULL, NULL, noisy), c, "simulate with noise");
        for (uint32_t i = 0; i < out->cts; i++) vl_layout_unpack(out, i, noisy + i * vl_layout_room(out), rows, got);
        for (size_t k = 0; k < (size_t)rows * out->dim; k++)
            row[k / out->dim] += (got[k] - want[k]) * (got[k] - want[k]);
    }
    for (uint32_t r = 0; r < rows; r++) {
        sum += row[r];
        most = fmax(most, row[r]);
    }
    free(a);
    free(clear);
    free(noisy);
    free(want);
    free(got);
    free(row);
    *worst = sqrt(most / (RUNS * (double)out->dim));
    return sqrt(sum / (RUNS * (double)rows * out->dim));
}

// As many requests as fit ask for both parts.
static void compare(const char *name, uint64_t batch, uint32_t parts) {
    const net_case c = {.name = name};
    const vl_nn_goal goal = {.target = VELUM_THROUGHPUT, .batch = batch, .memory = 4ull << 30, .security = 128};
    const velum_compile_options opt = {.target = VELUM_THROUGHPUT};
    net n = {0};
    vl_nn_pictures_choice choice;
    vl_program program = {0}, narrow;
    bool found;
    open_net(&c, &n);
    net_must(vl_nn_pictures_choose(&n.pictures, &goal, 0, NULL, &choice, &found), &c, "choose");
    assert_true(found);
    assert_int_equal(choice.parts, parts);
    net_must(vl_nn_pictures_emit(&n.pictures, &n.graph, &choice, &opt, &program), &c, "emit");
    net_must(vl_sim_narrow(&program, ROWS, &narrow), &c, "narrow");
    double most;
    const double seen = simulated(&c, &n, &narrow, &most);
    print_message("%-14s N=2^%u, %u parts, %u positions: error %.2e simulated, %.2e expected; of one request at most "
                  "%.2e and %.2e\n",
                  name, choice.ring.log_n, parts, choice.tiling.period, seen, choice.error, most, choice.error_worst);
    if (!(choice.error <= APART * seen && seen <= APART * choice.error))
        fail_msg("%s: error %g simulated, %g expected", name, seen, choice.error);
    if (!(choice.error_worst <= APART * most && most <= APART * choice.error_worst))
        fail_msg("%s: error of one request %g simulated, %g expected", name, most, choice.error_worst);
    assert_true(program.manifest.error_expected == choice.error_worst);
    vl_free(narrow.values);
    vl_program_clear(&program);
    close_net(&n);
}

static const char *const names[] = {"series",    "lenet_square", "vgg_square", "strides",  "dilated",
                                    "separable", "pools",        "joins",      "quadratic"};

static void real_parts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) compare(names[i], 1, 1);
}

static void both_parts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) compare(names[i], 4000, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_parts), cmocka_unit_test(both_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
