// SPDX-License-Identifier: Apache-2.0
// Proves the errors that the tables state. For a polynomial P of degree d and m Chebyshev nodes on an interval,
// max |P| <= max over the nodes / cos(pi d / (2 m)) (Ehlich, Zeller 1964): a dense test that leaves no gaps.
#include "circuits/minimax.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846
#define NODES 65536
#define ROUNDING 1e-13

// A bound of |f(x / unit) next - 1| for x in [a, b]
static double proven_error(const vl_polynomial *f, double a, double b, double unit, double next) {
    double worst = 0;
    for (uint32_t j = 0; j < NODES; j++) {
        double x = (a + b) / 2 + (b - a) / 2 * cos(PI * (2 * j + 1) / (2.0 * NODES));
        worst = fmax(worst, fabs(vl_polynomial_eval(f, x / unit) * next - 1));
    }
    return worst / cos(PI * f->degree / (2.0 * NODES));
}

static void stages_keep_their_bounds(void **state) {
    (void)state;
    assert_true(vl_minimax_tables_count >= 20);
    for (uint32_t t = 0; t < vl_minimax_tables_count; t++) {
        const vl_minimax *m = &vl_minimax_tables[t];
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        assert_true(m->stage[0].a == m->separation && m->stage[0].b == 1 + VL_MINIMAX_MARGIN);
        for (uint32_t i = 0; i < m->count; i++) {
            const vl_minimax_stage *s = &m->stage[i];
            bool last = i + 1 == m->count;
            double unit = i == 0 ? 1 : s->b, next = last ? 1 : s[1].b;
            vl_polynomial f;
            vl_minimax_polynomial(m, i, 1, 0, c, &f);
            double error = proven_error(&f, s->a, s->b, unit, next);
            if (!(error <= s->error * (1 + 3e-7) + ROUNDING))
                fail_msg("%s alpha %u, stage %u: %.12g, not %.12g", m->name, m->alpha, i, error, s->error);
            if (last) {
                assert_true(error <= m->error + ROUNDING && m->error <= ldexp(1, -(int)m->alpha));
            } else {
                assert_true(s[1].a <= 1 - s->error - VL_MINIMAX_MARGIN + ROUNDING);
                assert_true(s[1].b >= 1 + s->error + VL_MINIMAX_MARGIN - ROUNDING);
            }
            // Both ends are extrema: nothing is given away there.
            assert_true(fabs(1 - vl_polynomial_eval(&f, s->a / unit) * next - s->error) < 1e-9);
            // From 0 to a it only rises.
            double below = 0;
            for (uint32_t k = 1; k <= 4096; k++) {
                double v = vl_polynomial_eval(&f, s->a / unit * k / 4096);
                assert_true(v > below);
                below = v;
            }
        }
    }
}

// The whole, end to end and odd, with noise of the size of the margin between the stages.
static void composites_with_noise(void **state) {
    (void)state;
    const uint32_t points = 200000;
    for (uint32_t t = 0; t < vl_minimax_tables_count; t++) {
        const vl_minimax *m = &vl_minimax_tables[t];
        double c[VL_MINIMAX_MAX_STAGES][VL_MINIMAX_MAX_DEGREE + 1], worst = 0, relu = 0;
        vl_polynomial f[VL_MINIMAX_MAX_STAGES];
        for (uint32_t i = 0; i < m->count; i++) vl_minimax_polynomial(m, i, 1, 0, c[i], &f[i]);
        for (uint32_t k = 0; k <= points; k++) {
            // Dense at both ends: x = separation^(1 - k / points), and a linear part below and above
            double x = k % 2 ? pow(m->separation, 1 - (double)k / points) : (double)k / points, exact = x, noisy = x;
            for (uint32_t i = 0; i < m->count; i++) {
                exact = vl_polynomial_eval(&f[i], exact);
                if (i > 0) noisy += (k & 1u << i ? 1 : -1) * VL_MINIMAX_MARGIN / m->stage[i].b;
                noisy = vl_polynomial_eval(&f[i], noisy);
            }
            assert_true(exact == vl_minimax_eval(m, x) && exact == -vl_minimax_eval(m, -x));
            relu = fmax(relu, fabs(x * (1 - exact) / 2));
            if (x >= m->separation) worst = fmax(worst, fmax(fabs(exact - 1), fabs(noisy - 1)));
        }
        if (worst > m->error + ROUNDING) fail_msg("%s alpha %u: %g, not %g", m->name, m->alpha, worst, m->error);
        if (!(relu <= m->relu_error && relu > 0.99 * m->relu_error))
            fail_msg("%s alpha %u: ReLU %g, not %g", m->name, m->alpha, relu, m->relu_error);
    }
}

static void finds(void **state) {
    (void)state;
    const vl_minimax *m = vl_minimax_find("15,15,27", 13);
    assert_true(m && m->alpha == 13 && m->count == 3 && m->separation < 0x1p-9 && m->relu_error < 0x1p-13);
    assert_int_equal(vl_minimax_levels(m, 0, 3), 13);
    assert_int_equal(vl_minimax_levels(m, 1, 1), 4);
    for (uint32_t alpha = 10; alpha <= 13; alpha++) assert_int_equal(vl_minimax_find("15,15,27", alpha)->alpha, alpha);
    assert_int_equal(vl_minimax_find("15,15,27", 14)->alpha, 16);
    assert_null(vl_minimax_find("15,15,27", 60));
    assert_null(vl_minimax_find("15,27,15", 10));
    assert_int_equal(vl_minimax_levels(vl_minimax_find("7,7,7,13", 10), 0, 4), 13);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_keep_their_bounds),
        cmocka_unit_test(composites_with_noise),
        cmocka_unit_test(finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
