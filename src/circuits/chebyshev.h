// SPDX-License-Identifier: Apache-2.0
// Chebyshev interpolation of a function on an interval.
#ifndef VELUM_CIRCUITS_CHEBYSHEV_H
#define VELUM_CIRCUITS_CHEBYSHEV_H

#include "base/status.h"
#include <stdint.h>

typedef double (*vl_function)(double x, const void *arg);
// c[0 .. degree]: coefficients of T_i(u), x = (hi + lo) / 2 + u (hi - lo) / 2, of the polynomial that meets f at the
// degree + 1 Chebyshev nodes. Coefficients below 2^-50 of the largest are set to 0: what f's symmetry makes vanish
// costs nothing. *max_error (may be NULL): the largest |f - p| on an even grid of max(4096, 32 (degree + 1)) points,
// both ends included. VELUM_E_VALUE if f is not finite on a node or the grid, or not lo < hi; VELUM_E_LIMIT for a
// degree above VL_POLY_MAX_DEGREE.
velum_status vl_chebyshev_fit(vl_function f, const void *arg, double lo, double hi, uint32_t degree, double *c,
                              double *max_error);

#endif
