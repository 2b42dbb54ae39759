// SPDX-License-Identifier: Apache-2.0
// Fits of every function: their errors on a finer grid, the smallest degree, and a few of them encrypted.
#include "circuits/activation.h"
#include "ckks/fixture.h"

#define LEVELS 9

static void range_of(vl_activation f, double *lo, double *hi) {
    bool positive = f == VL_ACTIVATION_LOG || f == VL_ACTIVATION_INVERSE || f == VL_ACTIVATION_SQRT ||
                    f == VL_ACTIVATION_INVERSE_SQRT;
    *lo = positive ? 0.5 : -4;
    *hi = positive ? 8 : 5;
}

static bool has_kinks(vl_activation f) { return (f >= VL_ACTIVATION_ELU && f <= VL_ACTIVATION_SOFTSIGN); }

static double worst_error(vl_activation f, double alpha, const vl_polynomial *p) {
    double worst = 0;
    for (uint32_t i = 0; i <= 50021; i++) {
        double x = p->lo + (p->hi - p->lo) * i / 50021;
        worst = fmax(worst, fabs(vl_activation_eval(f, alpha, x) - vl_polynomial_eval(p, x)));
    }
    return worst;
}

static void known_values(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double alpha, x, y;
    } known[] = {
        {"sigmoid", 0, 1, 0.7310585786300049},
        {"tanh", 0, -0.5, -0.46211715726000973},
        {"silu", 0, -2, -0.2384058440442351},
        {"gelu", 0, 1, 0.8413447460685429},
        {"gelu_tanh", 0, 1, 0.8411919906082768},
        {"softplus", 0, 0, 0.6931471805599453},
        {"softplus", 2, 800, 800},
        {"mish", 0, 1, 0.8650983882673103},
        {"elu", 0, -1, -0.6321205588285577},
        {"elu", 3, -1, -1.896361676485673},
        {"selu", 0, -1, -1.1113307378125625},
        {"celu", 2, -1, -0.7869386805747332},
        {"relu", 0, -3, 0},
        {"leaky_relu", 0, -3, -0.03},
        {"leaky_relu", 0.2, -3, -0.6},
        {"relu6", 0, 7, 6},
        {"hard_sigmoid", 0, 1.5, 0.75},
        {"hard_swish", 0, -1, -1.0 / 3},
        {"softsign", 0, -3, -0.75},
        {"exp", 0, 1, 2.718281828459045},
        {"log", 0, 2, 0.6931471805599453},
        {"inverse", 0, 4, 0.25},
        {"sqrt", 0, 2, 1.4142135623730951},
        {"inverse_sqrt", 0, 4, 0.5},
        {"erf", 0, 0.5, 0.5204998778130465},
        {"sin", 0, 1, 0.8414709848078965},
        {"cos", 0, 1, 0.5403023058681398},
        {"sigmoid", 0, -800, 0},
    };
    bool seen[VL_ACTIVATIONS] = {false};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        vl_activation f;
        assert_true(vl_activation_find(known[i].name, &f));
        assert_string_equal(vl_activation_name(f), known[i].name);
        double y = vl_activation_eval(f, known[i].alpha, known[i].x);
        if (!(fabs(y - known[i].y) <= 1e-14 * fmax(1, fabs(y))))
            fail_msg("%s(%g) = %.17g", known[i].name, known[i].x, y);
        seen[f] = true;
    }
    for (uint32_t f = 0; f < VL_ACTIVATIONS; f++) assert_true(seen[f]);
    vl_activation f;
    assert_false(vl_activation_find("swash", &f));
}

static void errors_hold(void **state) {
    (void)state;
    for (vl_activation f = 0; f < VL_ACTIVATIONS; f++) {
        vl_activation_options o = {0};
        range_of(f, &o.lo, &o.hi);
        double last = INFINITY;
        for (o.degree = 7; o.degree <= 63; o.degree = 2 * o.degree + 1) {
            vl_fit fit;
            OK(vl_activation_fit(f, &o, &fit));
            assert_true(fit.poly.degree == o.degree && fit.poly.lo == o.lo && fit.poly.hi == o.hi);
            double error = worst_error(f, 0, &fit.poly);
            // Kinks lie between grid points: the polynomial is smooth there, so little is missed.
            if (!(error <= fit.max_error * 1.02 + 1e-12))
                fail_msg("%s, degree %u: %g, not %g", vl_activation_name(f), o.degree, error, fit.max_error);
            assert_true(error < last || error < 1e-11);
            last = error;
            vl_fit_free(&fit);
            assert_null(fit.c);
        }
        if (!(last < (has_kinks(f) ? 0.1 : 2e-3))) fail_msg("%s: %g at degree 63", vl_activation_name(f), last);
    }
}

static void smallest_degree(void **state) {
    (void)state;
    for (vl_activation f = 0; f < VL_ACTIVATIONS; f++) {
        vl_activation_options o = {.error = 0.02};
        range_of(f, &o.lo, &o.hi);
        vl_fit fit, below;
        OK(vl_activation_fit(f, &o, &fit));
        assert_true(fit.max_error <= o.error && worst_error(f, 0, &fit.poly) <= o.error * 1.02);
        vl_activation_options one = {.lo = o.lo, .hi = o.hi};
        for (one.degree = 1; one.degree < fit.poly.degree; one.degree++) {
            OK(vl_activation_fit(f, &one, &below));
            assert_true(below.max_error > o.error);
            vl_fit_free(&below);
        }
        vl_fit_free(&fit);
    }
    vl_activation_options o = {.lo = -1, .hi = 1, .error = 1e-9, .max_degree = 40};
    vl_fit fit = {.max_error = 42};
    assert_int_equal(vl_activation_fit(VL_ACTIVATION_RELU, &o, &fit), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "degree 40"));
    assert_true(fit.max_error == 42);
    o.lo = -5;
    o.hi = 5;
    o.max_degree = 0;
    OK(vl_activation_fit(VL_ACTIVATION_TANH, &o, &fit)); // odd: no even coefficient
    for (uint32_t i = 0; i <= fit.poly.degree; i += 2) assert_true(fit.poly.c[i] == 0);
    assert_true(fit.max_error <= 1e-9 && fit.poly.degree % 2 == 1);
    vl_fit_free(&fit);
}

static void refusals(void **state) {
    (void)state;
    vl_fit fit = {.max_error = 42};
    const struct {
        vl_activation f;
        vl_activation_options o;
        velum_status want;
    } bad[] = {
        {VL_ACTIVATION_EXP, {.lo = 1, .hi = 1, .degree = 3}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = INFINITY, .degree = 3}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1, .degree = 3, .error = 1e-3}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1, .error = -1}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1, .error = NAN}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1e3, .degree = 3}, VELUM_E_VALUE},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1, .degree = 512}, VELUM_E_LIMIT},
        {VL_ACTIVATION_EXP, {.lo = 0, .hi = 1, .error = 0.1, .max_degree = 512}, VELUM_E_LIMIT},
        {VL_ACTIVATION_EXP, {.lo = -9, .hi = 9, .error = 1e-300, .max_degree = 20}, VELUM_E_LIMIT},
        {VL_ACTIVATION_INVERSE, {.lo = -1, .hi = 1.5, .degree = 4}, VELUM_E_VALUE},
        {VL_ACTIVATION_LOG, {.lo = 0, .hi = 1, .degree = 4}, VELUM_E_VALUE},
        {VL_ACTIVATION_SQRT, {.lo = -1e-9, .hi = 1, .degree = 4}, VELUM_E_VALUE},
        {VL_ACTIVATION_INVERSE_SQRT, {.lo = -2, .hi = -1, .degree = 4}, VELUM_E_VALUE},
        {VL_ACTIVATION_ELU, {.lo = -2, .hi = 1, .degree = 4, .alpha = NAN}, VELUM_E_VALUE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        velum_status status = vl_activation_fit(bad[i].f, &bad[i].o, &fit);
        if (status != bad[i].want) fail_msg("case %zu: status %d", i, status);
        assert_true(strlen(velum_last_error()) > 0 && fit.max_error == 42);
    }
    vl_fit_free(&(vl_fit){0});
}

static void encrypted(void **state) {
    (void)state;
    lab l;
    vl_key_request r = {0, LEVELS};
    lab_open(&l, insecure_params(10, LEVELS, 3, NULL), 1, 0, &r, 1);
    uint32_t count = l.p->ring.n / 2;
    double *v = malloc(count * sizeof *v);
    double complex *want = malloc(count * sizeof *want);
    for (vl_activation f = 0; f < VL_ACTIVATIONS; f++) {
        vl_activation_options o = {.error = has_kinks(f) ? 0.02 : 1e-3, .max_degree = 127};
        range_of(f, &o.lo, &o.hi);
        vl_fit fit;
        OK(vl_activation_fit(f, &o, &fit));
        for (uint32_t i = 0; i < count; i++) {
            v[i] = o.lo + (o.hi - o.lo) * i / (count - 1);
            want[i] = vl_activation_eval(f, 0, v[i]);
        }
        vl_ciphertext ct = lab_encrypt_real(&l, v, count, 0x1p40, LEVELS);
        vl_exec x;
        OK(vl_exec_init(&x, 1, vl_poly_scratch(l.p, &fit.poly, LEVELS)));
        OK(vl_poly_apply(&x, l.p, &l.keys, &fit.poly, 0, &ct, &ct));
        double error = lab_error(&l, &ct, want, count);
        if (!(error <= fit.max_error * 1.02 + 0x1p-16)) fail_msg("%s: %g", vl_activation_name(f), error);
        vl_ciphertext_free(&ct);
        vl_fit_free(&fit);
        vl_exec_clear(&x);
    }
    free(v);
    free(want);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values), cmocka_unit_test(errors_hold), cmocka_unit_test(smallest_degree),
        cmocka_unit_test(refusals),     cmocka_unit_test(encrypted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
