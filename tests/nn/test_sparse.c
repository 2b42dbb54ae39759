// SPDX-License-Identifier: Apache-2.0
// Sparse matrices against full ones.
#include "nn/sparse.h"
#include "test.h"
#include <stdlib.h>
#include <string.h>

#define MOST 40

typedef struct full {
    uint32_t rows, cols;
    double v[MOST][MOST];
} full;

static uint32_t seed = 5;
static uint32_t next(uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

// Entries out of order, some repeated, some zero.
static const vl_nn_sparse *random_matrix(vl_nn_heap *h, uint32_t rows, uint32_t cols, uint32_t a_row, full *f) {
    vl_nn_sparse *m;
    const vl_nn_sparse *tidy;
    *f = (full){.rows = rows, .cols = cols};
    assert_int_equal(vl_nn_sparse_new(h, rows, cols, (size_t)rows * a_row, &m), VELUM_OK);
    size_t n = 0;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t k = next(a_row + 1); k > 0; k--) {
            m->col[n] = next(cols);
            m->val[n] = (double)next(5) - 2;
            f->v[r][m->col[n]] += m->val[n];
            n++;
        }
        m->start[r + 1] = n;
    }
    assert_int_equal(vl_nn_sparse_tidy(h, m, &tidy), VELUM_OK);
    return tidy;
}

static void compare(const vl_nn_sparse *m, const full *f) {
    assert_int_equal(m->rows, f->rows);
    assert_int_equal(m->cols, f->cols);
    for (uint32_t r = 0; r < m->rows; r++) {
        for (size_t k = m->start[r]; k < m->start[r + 1]; k++) {
            assert_true(m->val[k] != 0);
            assert_true(k == m->start[r] || m->col[k - 1] < m->col[k]);
        }
        for (uint32_t c = 0; c < m->cols; c++) assert_true(vl_nn_sparse_at(m, r, c) == f->v[r][c]);
    }
}

static void test_operations(void **state) {
    (void)state;
    vl_nn_heap h = {.limit = (size_t)1 << 28};
    for (uint32_t round = 0; round < 300; round++) {
        uint32_t n = 1 + next(MOST), k = 1 + next(MOST), m = 1 + next(MOST);
        full a, b, c, want = {.rows = n, .cols = m};
        const vl_nn_sparse *x = random_matrix(&h, n, k, 1 + next(12), &a);
        const vl_nn_sparse *y = random_matrix(&h, k, m, 1 + next(12), &b), *z = random_matrix(&h, n, k, 9, &c), *d;
        compare(x, &a);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < m; j++)
                for (uint32_t t = 0; t < k; t++) want.v[i][j] += a.v[i][t] * b.v[t][j];
        assert_int_equal(vl_nn_sparse_multiply(&h, x, y, &d), VELUM_OK);
        compare(d, &want);
        size_t count;
        assert_int_equal(vl_nn_sparse_product_count(&h, x, y, &count), VELUM_OK);
        assert_true(count >= vl_nn_sparse_count(d)); // sums may cancel
        double s[MOST];
        want = (full){.rows = n, .cols = k};
        for (uint32_t i = 0; i < n; i++) s[i] = (double)next(3) - 1;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < k; j++) want.v[i][j] = s[i] * a.v[i][j];
        assert_int_equal(vl_nn_sparse_scale(&h, x, n, s, &d), VELUM_OK);
        compare(d, &want);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < k; j++) want.v[i][j] = a.v[i][j] - c.v[i][j];
        assert_int_equal(vl_nn_sparse_add(&h, x, z, -1, &d), VELUM_OK);
        compare(d, &want);
    }
    vl_nn_heap_clear(&h);
}

static void test_move(void **state) {
    (void)state;
    vl_nn_heap h = {.limit = (size_t)1 << 26};
    for (uint32_t round = 0; round < 100; round++) {
        uint32_t n = 1 + next(MOST / 2), k = 1 + next(MOST / 2), row[MOST], col[MOST];
        double up[MOST], down[MOST];
        full a, want = {.rows = 2 * n, .cols = 2 * k};
        const vl_nn_sparse *x = random_matrix(&h, n, k, 8, &a), *d;
        for (uint32_t i = 0; i < n; i++) {
            row[i] = 2 * (n - 1 - i) + next(2);
            up[i] = 1 + next(3);
        }
        for (uint32_t i = 0; i < k; i++) {
            col[i] = 2 * (k - 1 - i) + next(2);
            down[i] = 1 + next(3);
        }
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < k; j++) want.v[row[i]][col[j]] = a.v[i][j] * up[i] * down[j];
        assert_int_equal(vl_nn_sparse_move(&h, x, row, 2 * n, col, 2 * k, up, down, &d), VELUM_OK);
        compare(d, &want);
    }
    vl_nn_heap_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
