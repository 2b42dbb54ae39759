// SPDX-License-Identifier: Apache-2.0
#include "ckks/ckks.h"

#include <math.h>

static double bits_of(double error) { return error > 0 ? -log2(error) : INFINITY; }

typedef struct sums {
    double max, sum, squares;
} sums;

static void take(sums *s, double error) {
    if (!(error <= s->max)) s->max = error; // a NaN stays
    s->sum += error;
    s->squares += error * error;
}

static vl_precision finish(const sums *s, size_t count) {
    double n = count ? (double)count : 1, mean = s->sum / n;
    return (vl_precision){.max_error = s->max,
                          .mean_error = mean,
                          .rms_error = sqrt(s->squares / n),
                          .bits_min = isnan(s->max) ? -INFINITY : bits_of(s->max),
                          .bits_mean = isnan(mean) ? -INFINITY : bits_of(mean)};
}

vl_precision vl_precision_of(const double complex *want, const double complex *got, size_t count) {
    sums s = {0};
    for (size_t i = 0; i < count; i++) take(&s, cabs(want[i] - got[i]));
    return finish(&s, count);
}

vl_precision vl_precision_of_real(const double *want, const double *got, size_t count) {
    sums s = {0};
    for (size_t i = 0; i < count; i++) take(&s, fabs(want[i] - got[i]));
    return finish(&s, count);
}
