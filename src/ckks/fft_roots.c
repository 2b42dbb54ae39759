// SPDX-License-Identifier: Apache-2.0
// Tables of roots of unity, rounded from about 100 bits (double-double: an unevaluated sum hi + lo, Dekker 1971).
#include "arith/arith.h"
#include "base/mem.h"
#include "ckks/fft.h"

#include <math.h>

typedef struct dd {
    double hi, lo;
} dd;

static dd quick(double a, double b) { // |a| >= |b|
    double s = a + b;
    return (dd){s, b - (s - a)};
}
static dd add(dd a, dd b) {
    double s = a.hi + b.hi, t = s - a.hi;
    double e = (a.hi - (s - t)) + (b.hi - t);
    return quick(s, e + (a.lo + b.lo));
}
static dd sub(dd a, dd b) { return add(a, (dd){-b.hi, -b.lo}); }
static dd mul(dd a, dd b) {
    double p = a.hi * b.hi, e = fma(a.hi, b.hi, -p);
    return quick(p, e + (a.hi * b.lo + a.lo * b.hi));
}
static dd div_by(dd a, double b) {
    double q = a.hi / b, r = fma(-q, b, a.hi) + a.lo;
    return quick(q, r / b);
}

typedef struct root {
    dd c, s;
} root;

// cos and sin of pi k / m by their series, k / m <= 1/4; m a power of two
static root root_series(uint32_t k, uint32_t m) {
    const dd pi = {3.141592653589793116, 1.2246467991473532e-16};
    dd x = mul(pi, (dd){(double)k / m, 0}), x2 = mul(x, x);
    root r = {{1, 0}, x};
    dd tc = {1, 0}, ts = x;
    for (unsigned i = 1; i <= 14; i++) { // (pi/4)^28 / 28! < 2^-106
        tc = div_by(mul(tc, x2), -(double)((2 * i - 1) * (2 * i)));
        ts = div_by(mul(ts, x2), -(double)((2 * i) * (2 * i + 1)));
        r.c = add(r.c, tc);
        r.s = add(r.s, ts);
    }
    return r;
}

// c[k], s[k] = cos, sin of 2 pi k / order for k in [0, order / 8]: k = high 2^fine + low by the addition theorem.
static velum_status first_octant(uint32_t order, double *c, double *s) {
    uint32_t last = order / 8, fine = 1;
    while ((uint64_t)fine * fine < last) fine *= 2;
    root *low = vl_alloc_array(fine, sizeof *low);
    VL_FAIL_IF(!low, VELUM_E_NOMEM, "no memory for the encoder's tables");
    for (uint32_t i = 0; i < fine; i++) low[i] = root_series(2 * i, order);
    for (uint32_t k = 0; k <= last; k += fine) {
        root h = root_series(2 * k, order);
        for (uint32_t i = 0; i < fine && k + i <= last; i++) {
            c[k + i] = sub(mul(h.c, low[i].c), mul(h.s, low[i].s)).hi;
            s[k + i] = add(mul(h.s, low[i].c), mul(h.c, low[i].s)).hi;
        }
    }
    vl_free(low);
    return VELUM_OK;
}

static void root_of(const double *c, const double *s, uint32_t order, uint32_t e, double *re, double *im) {
    uint32_t quarter = order / 4, turn = e / quarter, k = e % quarter;
    double x = k <= order / 8 ? c[k] : s[quarter - k], y = k <= order / 8 ? s[k] : c[quarter - k];
    switch (turn & 3) {
    case 0: *re = x, *im = y; break;
    case 1: *re = -y, *im = x; break;
    case 2: *re = -x, *im = -y; break;
    default: *re = y, *im = -x; break;
    }
}

velum_status vl_ckks_fft_init(vl_ckks_fft *f, unsigned log_slots) {
    uint32_t slots = UINT32_C(1) << log_slots, order = 4 * slots;
    vl_ckks_fft t = {.log_slots = log_slots};
    t.cos = vl_alloc_array(slots, sizeof *t.cos);
    t.sin = vl_alloc_array(slots, sizeof *t.sin);
    t.reverse = vl_alloc_array(slots, sizeof *t.reverse);
    double *c = vl_alloc_array(order / 8 + 1, sizeof *c), *s = vl_alloc_array(order / 8 + 1, sizeof *s);
    velum_status status = VELUM_OK;
    if (!t.cos || !t.sin || !t.reverse || !c || !s)
        status = VL_FAIL(VELUM_E_NOMEM, "no memory for the encoder's tables");
    if (status == VELUM_OK) status = first_octant(order, c, s);
    if (status == VELUM_OK) {
        for (uint32_t half = 1; half < slots; half *= 2) {
            uint32_t power = 1, mask = 8 * half - 1; // 5^j modulo 8 half
            for (uint32_t j = 0; j < half; j++, power = power * 5 & mask)
                root_of(c, s, order, power * (order / (8 * half)), &t.cos[half + j], &t.sin[half + j]);
        }
        for (uint32_t j = 0; j < slots; j++) t.reverse[j] = vl_arith_bitrev(j, log_slots);
        *f = t;
    } else {
        vl_ckks_fft_clear(&t);
    }
    vl_free(c);
    vl_free(s);
    return status;
}
