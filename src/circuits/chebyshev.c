// SPDX-License-Identifier: Apache-2.0
#include "circuits/chebyshev.h"

#include "circuits/poly.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

// cos(pi k / (2 n)) by its symmetries, so that opposite nodes are exactly opposite
static double node_cos(uint64_t k, uint32_t n) {
    k %= 4 * (uint64_t)n;
    if (k > 2 * (uint64_t)n) k = 4 * (uint64_t)n - k;
    if (k == n) return 0;
    if (k > n) return -node_cos(2 * (uint64_t)n - k, n);
    return cos(PI * (double)k / (2.0 * n));
}

static velum_status fit_nodes(vl_function f, const void *arg, double lo, double hi, uint32_t n, double *c) {
    double value[VL_POLY_MAX_DEGREE + 1], largest = 0;
    for (uint32_t j = 0; j < n; j++) {
        double x = (hi + lo) / 2 + (hi - lo) / 2 * node_cos(2 * j + 1, n);
        value[j] = f(x, arg);
        VL_FAIL_IF(!isfinite(value[j]), VELUM_E_VALUE, "the function to fit is not finite at %g", x);
    }
    for (uint32_t i = 0; i < n; i++) {
        long double sum = 0;
        for (uint32_t j = 0; j < n; j++) sum += (long double)value[j] * node_cos((uint64_t)i * (2 * j + 1), n);
        c[i] = (double)(sum * (i == 0 ? 1 : 2) / n);
        if (fabs(c[i]) > largest) largest = fabs(c[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        if (fabs(c[i]) < 0x1p-50 * largest) c[i] = 0;
    return VELUM_OK;
}

velum_status vl_chebyshev_fit(vl_function f, const void *arg, double lo, double hi, uint32_t degree, double *c,
                              double *max_error) {
    VL_FAIL_IF(degree > VL_POLY_MAX_DEGREE, VELUM_E_LIMIT, "a fit of degree %u: at most %u", degree,
               VL_POLY_MAX_DEGREE);
    VL_FAIL_IF(!(lo < hi) || !isfinite(lo) || !isfinite(hi), VELUM_E_VALUE, "a fit on the interval [%g, %g]", lo, hi);
    double fitted[VL_POLY_MAX_DEGREE + 1];
    VL_TRY(fit_nodes(f, arg, lo, hi, degree + 1, fitted));
    vl_polynomial p = {.basis = VL_CHEBYSHEV, .degree = degree, .lo = lo, .hi = hi, .c = fitted};
    uint32_t points = 32 * (degree + 1) > 4096 ? 32 * (degree + 1) : 4096;
    double worst = 0;
    for (uint32_t i = 0; i < points && max_error; i++) {
        double x = i + 1 == points ? hi : lo + (hi - lo) * i / (points - 1),
               error = fabs(f(x, arg) - vl_polynomial_eval(&p, x));
        VL_FAIL_IF(!isfinite(error), VELUM_E_VALUE, "the function to fit is not finite at %g", x);
        if (error > worst) worst = error;
    }
    memcpy(c, fitted, (degree + 1) * sizeof *c);
    if (max_error) *max_error = worst;
    return VELUM_OK;
}
