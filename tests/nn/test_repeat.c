// SPDX-License-Identifier: Apache-2.0
// A layer of many rows on few of many features: repeated, it has few diagonals, and computes the same.
#include "test.h"

#include "lowering.h"

#include <math.h>

#define ROWS 8

// y = w (A x[0..5])^2 + B x; 150 features in all.
static model *skinny(int64_t rows) {
    model *m = model_new(13);
    add_input(m, "x", 150);
    add_ints(m, "from", 1, I64(1), I64(0));
    add_ints(m, "to", 1, I64(1), I64(5));
    add_ints(m, "axis", 1, I64(1), I64(1));
    add_node(m, "Slice", "x,from,to,axis", "few");
    add_gemm(m, "few", 5, rows, "wide", 11);
    add_node(m, "Mul", "wide,wide", "square");
    add_gemm(m, "square", rows, 3, "one", 21);
    add_gemm(m, "x", 150, 3, "other", 31);
    add_node(m, "Add", "one,other", "y");
    return m;
}

// Distinct diagonals of the map that makes the base's argument, in a vector of this period.
static uint32_t diagonals(const vl_nn_base *base, uint32_t period) {
    const vl_nn_sparse *m = base->arg[0]->term[0].m;
    bool seen[4096] = {false};
    uint32_t count = 0;
    for (uint32_t r = 0; r < m->rows; r++)
        for (size_t k = m->start[r]; k < m->start[r + 1]; k++) {
            bool *at = &seen[(m->col[k] + period - r) % period];
            count += !*at;
            *at = true;
        }
    return count;
}

static void run(lowering *t) {
    const uint32_t inputs = t->l.prologue.input_count;
    double **value = calloc(t->l.base_count, sizeof *value), *y = calloc(t->l.output->n, sizeof *y);
    double *features = calloc(t->l.prologue.columns, sizeof *features);
    for (uint32_t b = 0; b < t->l.base_count; b++) value[b] = calloc(t->l.base[b].n, sizeof **value);
    for (uint64_t r = 0; r < ROWS; r++) {
        assert_int_equal(vl_nn_prologue_run(&t->l.prologue, r + 1, t->raw.values + r * inputs, features), VELUM_OK);
        assert_int_equal(vl_nn_form_run(&t->l, features, value, y), VELUM_OK);
        for (uint32_t i = 0; i < 3; i++) assert_true(fabs(y[i] - t->want.values[r * 3 + i]) < 1e-9);
    }
    for (uint32_t b = 0; b < t->l.base_count; b++) free(value[b]);
    free(value);
    free(y);
    free(features);
}

static void repeated(void **state) {
    (void)state;
    lowering t;
    lowering_open(&t, skinny(64), "y", true, ROWS);
    const uint32_t before = t.l.prologue.columns;
    assert_true(diagonals(&t.l.base[1], 256) > 60);
    assert_int_equal(vl_nn_repeat_features(&t.l), VELUM_OK);
    assert_int_equal(t.l.prologue.columns, before + 64 + 5 - 1);
    assert_int_equal(t.l.base[0].n, t.l.prologue.columns);
    assert_int_equal(diagonals(&t.l.base[1], 256), 5);
    run(&t);
    lowering_close(&t);
}

// 150 features and 110 more would need a period of 512: nothing is done.
static void no_room(void **state) {
    (void)state;
    lowering t;
    lowering_open(&t, skinny(110), "y", true, ROWS);
    const uint32_t before = t.l.prologue.columns;
    assert_int_equal(vl_nn_repeat_features(&t.l), VELUM_OK);
    assert_int_equal(t.l.prologue.columns, before);
    run(&t);
    lowering_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(repeated), cmocka_unit_test(no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
