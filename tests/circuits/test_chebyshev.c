// SPDX-License-Identifier: Apache-2.0
#include "circuits/chebyshev.h"

#include "circuits/poly.h"
#include "test.h"

#include <math.h>

static double exponential(double x, const void *arg) {
    (void)arg;
    return exp(x);
}
static double sine(double x, const void *arg) { return sin(*(const double *)arg * x); }
static double cubic(double x, const void *arg) {
    (void)arg;
    return 4 * x * x * x - 3 * x + 0.25;
}
static double pole(double x, const void *arg) {
    (void)arg;
    return 1 / x;
}

static void converges(void **state) {
    (void)state;
    double c[41], last = INFINITY;
    for (uint32_t degree = 1; degree <= 16; degree += 3) {
        double error;
        assert_int_equal(vl_chebyshev_fit(exponential, NULL, -1, 3, degree, c, &error), VELUM_OK);
        assert_true(error < last);
        last = error;
        vl_polynomial f = {.basis = VL_CHEBYSHEV, .degree = degree, .lo = -1, .hi = 3, .c = c};
        for (double x = -1; x <= 3; x += 0.0625)
            assert_true(fabs(vl_polynomial_eval(&f, x) - exp(x)) <= error * 1.001 + 1e-13);
    }
    assert_true(last < 1e-10);
}

static void keeps_symmetry(void **state) {
    (void)state;
    double c[41], error, w = 7;
    assert_int_equal(vl_chebyshev_fit(sine, &w, -2, 2, 40, c, &error), VELUM_OK);
    for (uint32_t i = 0; i <= 40; i += 2) assert_true(c[i] == 0);
    assert_true(error < 1e-9);
}

static void exact_on_polynomials(void **state) {
    (void)state;
    double c[9], error;
    assert_int_equal(vl_chebyshev_fit(cubic, NULL, -1, 1, 8, c, &error), VELUM_OK);
    for (uint32_t i = 0; i <= 8; i++) assert_true(fabs(c[i] - (i == 3 ? 1 : i == 0 ? 0.25 : 0)) < 1e-15);
    assert_true(error < 1e-14);
}

static void refusals(void **state) {
    (void)state;
    double c[VL_POLY_MAX_DEGREE + 2] = {42}, error = 1;
    assert_int_equal(vl_chebyshev_fit(pole, NULL, -1, 1, 4, c, &error), VELUM_E_VALUE);
    assert_int_equal(vl_chebyshev_fit(pole, NULL, 0, 1, 3, c, &error), VELUM_E_VALUE); // on the grid, not on a node
    assert_int_equal(vl_chebyshev_fit(exponential, NULL, 1, 1, 4, c, NULL), VELUM_E_VALUE);
    assert_int_equal(vl_chebyshev_fit(exponential, NULL, 0, NAN, 4, c, NULL), VELUM_E_VALUE);
    assert_int_equal(vl_chebyshev_fit(exponential, NULL, 0, 1, VL_POLY_MAX_DEGREE + 1, c, NULL), VELUM_E_LIMIT);
    assert_true(c[0] == 42 && error == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converges),
        cmocka_unit_test(keeps_symmetry),
        cmocka_unit_test(exact_on_polynomials),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
