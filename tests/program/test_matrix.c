// SPDX-License-Identifier: Apache-2.0
// Sparse matrices in files: exact, small where rows repeat, refused where they say more than they hold.
#include "base/clock.h"
#include "program/boot.h"
#include "program/matrix.h"
#include "program/mutate.h"
#include "test.h"

static void make(uint32_t rows, uint32_t cols, uint64_t entries, vl_matrix *m) {
    *m = (vl_matrix){.rows = rows, .cols = cols};
    m->start = vl_alloc_array(rows + 1u, sizeof *m->start);
    m->col = vl_alloc_array(entries + 1, sizeof *m->col);
    m->val = vl_alloc_array(entries + 1, sizeof *m->val);
    assert_true(m->start && m->col && m->val);
}

// channels of side x side, 3 x 3 kernels, zero padding; values that are floats if narrow
static void convolution(uint32_t channels, uint32_t side, bool narrow, vl_matrix *m) {
    uint32_t area = side * side, seed = channels;
    uint64_t at = 0;
    double *kernel = vl_alloc_array((size_t)channels * channels * 9, sizeof *kernel);
    for (uint32_t i = 0; i < channels * channels * 9; i++) kernel[i] = build_number(&seed) / (narrow ? 1 : 3);
    make(channels * area, channels * area, (uint64_t)channels * area * channels * 9, m);
    for (uint32_t r = 0; r < m->rows; r++) {
        uint32_t y = r % area / side, x = r % side;
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t k = 0; k < 9; k++) {
                uint32_t v = y + k / 3 - 1, u = x + k % 3 - 1;
                if (v >= side || u >= side) continue;
                m->col[at] = c * area + v * side + u;
                m->val[at++] = kernel[(r / area * channels + c) * 9 + k];
            }
        m->start[r + 1] = at;
    }
    vl_free(kernel);
}

static size_t round_trip(const vl_matrix *m) {
    vl_writer w = vl_writer_of((size_t)1 << 30);
    assert_int_equal(vl_matrix_check(m, "it"), VELUM_OK);
    assert_int_equal(vl_matrix_save(m, &w), VELUM_OK);
    assert_false(w.failed);
    vl_matrix got;
    vl_reader r = vl_reader_of(w.data, w.size);
    uint64_t entries = m->start[m->rows], budget = entries + 5;
    if (vl_matrix_load(&r, "it", &budget, &got) != VELUM_OK) fail_msg("%s", velum_last_error());
    assert_int_equal(budget, 5);
    assert_int_equal(vl_reader_left(&r), 0);
    assert_true(got.rows == m->rows && got.cols == m->cols);
    assert_memory_equal(got.start, m->start, (m->rows + 1u) * sizeof *m->start);
    assert_memory_equal(got.col, m->col, entries * sizeof *m->col);
    assert_memory_equal(got.val, m->val, entries * sizeof *m->val);
    vl_matrix_clear(&got);
    for (int less = 1; entries && less < 2; less++) { // more entries than the rest of the file may mean
        r = vl_reader_of(w.data, w.size);
        budget = entries - 1;
        assert_int_equal(vl_matrix_load(&r, "it", &budget, &got), VELUM_E_FORMAT);
    }
    size_t size = w.size;
    vl_writer_clear(&w);
    return size;
}

static void exact(void **state) {
    (void)state;
    vl_matrix m;
    convolution(4, 8, true, &m);
    size_t small = round_trip(&m);
    vl_matrix_clear(&m);
    convolution(4, 8, false, &m);
    size_t large = round_trip(&m);
    assert_true(small < large);
    m.val[7] = -0.0; // a pattern of its own, sign kept
    round_trip(&m);
    vl_matrix_clear(&m);
    make(3, 60000, 4, &m); // distances of one to three bytes, an empty row
    const uint32_t cols[] = {5, 6, 1000, 59999};
    memcpy(m.col, cols, sizeof cols);
    m.val[0] = 0x1p-1074;
    m.val[1] = 0.1;
    m.val[2] = -0x1p40;
    m.start[1] = 3;
    m.start[2] = 3;
    m.start[3] = 4;
    round_trip(&m);
    for (uint32_t i = 0; i <= 3; i++) m.start[i] = 0;
    round_trip(&m);
    vl_matrix_clear(&m);
}

static void damage(void **state) {
    (void)state;
    vl_matrix m;
    convolution(2, 4, true, &m);
    vl_writer w = vl_writer_of((size_t)1 << 20);
    assert_int_equal(vl_matrix_save(&m, &w), VELUM_OK);
    uint8_t *copy = malloc(w.size);
    uint32_t loaded = 0;
    for (size_t cut = 0; cut < w.size; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, w.data, cut);
        vl_reader r = vl_reader_of(part, cut);
        uint64_t budget = 1 << 20;
        vl_matrix got;
        assert_int_equal(vl_matrix_load(&r, "it", &budget, &got), VELUM_E_FORMAT);
        free(part);
    }
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed;
        memcpy(copy, w.data, w.size);
        for (int k = 0; k < 2; k++) {
            size_t at = mutate_draw(&random) % w.size;
            mutate_number(&random, copy + at, w.size - at);
        }
        vl_reader r = vl_reader_of(copy, w.size);
        uint64_t budget = 1 << 20;
        vl_matrix got;
        if (vl_matrix_load(&r, "it", &budget, &got) != VELUM_OK) continue;
        assert_int_equal(vl_matrix_check(&got, "it"), VELUM_OK); // what loads is sound
        vl_matrix_clear(&got);
        loaded++;
    }
    assert_true(loaded > 100 && loaded < 19900);
    free(copy);
    vl_writer_clear(&w);
    vl_matrix_clear(&m);
}

// A layer of a small network in a few hundred kilobytes, in milliseconds.
static void layers_are_small(void **state) {
    (void)state;
    const uint32_t channels[] = {16, 32, 64};
    for (int i = 0; i < 3; i++) {
        vl_matrix m;
        convolution(channels[i], 32u >> i, false, &m);
        double start = vl_now();
        size_t size = round_trip(&m);
        print_message("    %u channels of %u x %u: %llu entries in %zu bytes, %.0f ms there and back\n", channels[i],
                      32u >> i, 32u >> i, (unsigned long long)m.start[m.rows], size, (vl_now() - start) * 1e3);
        assert_true(size < 4000000);
        vl_matrix_clear(&m);
    }
}

// A file of a few bytes cannot mean much, and one of gigabytes not more than a server holds.
static void budgets(void **state) {
    (void)state;
    assert_int_equal(vl_matrix_budget(0), 0);
    assert_int_equal(vl_matrix_budget(1000), 1000 * VL_MATRIX_ENTRIES_A_BYTE);
    assert_int_equal(vl_matrix_budget((size_t)1 << 21), VL_MATRIX_MAX_TOTAL);
    assert_int_equal(vl_matrix_budget(SIZE_MAX), VL_MATRIX_MAX_TOTAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact),
        cmocka_unit_test(damage),
        cmocka_unit_test(layers_are_small),
        cmocka_unit_test(budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
