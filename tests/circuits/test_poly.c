// SPDX-License-Identifier: Apache-2.0
// Encrypted polynomials of many degrees in both bases, exact levels and scales, same bytes everywhere.
#include "circuits/chebyshev.h"
#include "circuits/poly_tree.h"
#include "ckks/fixture.h"

#define LOG_N 9
#define LEVELS 11

enum { ODD = 1, EVEN = 2, SPARSE = 4 };

// Coefficients that keep |f| <= 1 on [-1, 1].
static double *coefficients(uint32_t degree, int kind) {
    double *c = malloc((degree + 1) * sizeof *c), sum = 0;
    for (uint32_t i = 0; i <= degree; i++) {
        bool zero = (kind == ODD && i % 2 == 0) || (kind == EVEN && i % 2) || (kind == SPARSE && i % 5 && i != degree);
        c[i] = zero ? 0 : noise_value(i + degree);
        sum += fabs(c[i]);
    }
    for (uint32_t i = 0; i <= degree; i++) c[i] /= sum;
    return c;
}

static void check_apply(lab *l, const vl_polynomial *f, uint16_t level, double in_scale, double out_scale,
                        double bound) {
    uint32_t count = l->p->ring.n / 2;
    double *v = real_vector(count, f->degree);
    double complex *want = malloc(count * sizeof *want);
    double lo = f->basis == VL_CHEBYSHEV ? f->lo : -1, hi = f->basis == VL_CHEBYSHEV ? f->hi : 1;
    for (uint32_t i = 0; i < count; i++) {
        v[i] = (hi + lo) / 2 + (hi - lo) / 2 * v[i];
        want[i] = vl_polynomial_eval(f, v[i]);
    }
    vl_ciphertext ct = lab_encrypt_real(l, v, count, in_scale, level);
    vl_exec x; // exactly what was planned
    OK(vl_exec_init(&x, 1, vl_poly_scratch(l->p, f, level)));
    vl_poly_cost cost = vl_poly_plan(f);
    OK(vl_poly_apply(&x, l->p, &l->keys, f, out_scale, &ct, &ct));
    assert_int_equal(x.arena.used, 0);
    assert_int_equal(ct.level, level - cost.levels);
    assert_true(ct.scale == (out_scale > 0 ? out_scale : in_scale));
    double error = lab_error(l, &ct, want, count);
    if (!(error < bound)) fail_msg("degree %u basis %d: error 2^%.1f", f->degree, f->basis, log2(error));
    free(v);
    free(want);
    vl_ciphertext_free(&ct);
    vl_exec_clear(&x);
}

static void open_poly_lab(lab *l, uint32_t log_n) {
    vl_key_request r = {0, LEVELS};
    lab_open(l, insecure_params(log_n, LEVELS, 3, NULL), 1, 0, &r, 1);
}

static uint32_t depth_of(uint32_t degree) {
    uint32_t depth = 0;
    while ((degree + 1) > 1u << depth) depth++;
    return depth;
}

static void many_degrees(void **state) {
    (void)state;
    lab l;
    open_poly_lab(&l, LOG_N);
    for (uint32_t degree = 0; degree <= VL_POLY_MAX_DEGREE; degree += degree < 36 ? 1 : degree < 130 ? 13 : 63)
        for (int kind = 0; kind <= SPARSE; kind = kind ? 2 * kind : 1)
            for (int basis = 0; basis < 2; basis++) {
                if ((kind == ODD && degree % 2 == 0) || (kind == EVEN && degree % 2)) continue;
                double *c = coefficients(degree, kind);
                vl_polynomial f = {
                    .basis = basis ? VL_CHEBYSHEV : VL_MONOMIAL, .degree = degree, .lo = -1, .hi = 1, .c = c};
                assert_int_equal(vl_poly_plan(&f).levels, depth_of(degree));
                // An error in x grows with the derivative, up to degree^2 at the ends of the interval.
                double bound = (degree + 2) * (degree + 2) * 0x1p-28;
                check_apply(&l, &f, LEVELS, 0x1p40, degree % 3 ? 0 : 0x1p39 * 1.37, bound);
                if (basis) {
                    f.lo = -3;
                    f.hi = 5;
                    assert_int_equal(vl_poly_plan(&f).levels, depth_of(degree) + (degree > 0));
                    check_apply(&l, &f, LEVELS, 0x1p40 * 0.7, 0, bound);
                }
                free(c);
            }
    lab_close(&l);
}

// Nothing is lost to the scales: with a large scale the result is exact to far beyond 2^-36.
static void exact_scales(void **state) {
    (void)state;
    vl_params_literal lit = {.log_n = 8, .q_count = 6, .p_count = 2, .digit_limbs = 2, .scale = 0x1p49};
    const uint8_t q_bits[6] = {50, 49, 49, 49, 49, 49}, p_bits[2] = {50, 50};
    OK(vl_params_choose(&lit, q_bits, p_bits));
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    vl_key_request r = {0, 6};
    lab l;
    lab_open(&l, p, 1, 0, &r, 1);
    for (uint32_t degree = 1; degree <= 31; degree++)
        for (int basis = 0; basis < 2; basis++) {
            double *c = coefficients(degree, 0);
            for (uint32_t i = 0; i <= degree; i++) c[i] /= 8; // below half of q_0
            vl_polynomial f = {
                .basis = basis ? VL_CHEBYSHEV : VL_MONOMIAL, .degree = degree, .lo = -1, .hi = 1, .c = c};
            check_apply(&l, &f, 6, 0x1p49, 0x1p47, (degree + 2) * (degree + 2) * 0x1p-38);
            free(c);
        }
    lab_close(&l);
}

static void costs(void **state) {
    (void)state;
    double c[VL_POLY_MAX_DEGREE + 1] = {0};
    vl_polynomial f = {.basis = VL_MONOMIAL, .degree = 2, .c = c};
    c[2] = 1;
    vl_poly_cost cost = vl_poly_plan(&f);
    assert_true(cost.levels == 2 && cost.multiplications == 1 && cost.constants == 1);
    c[1] = c[0] = 1;
    cost = vl_poly_plan(&f);
    assert_true(cost.levels == 2 && cost.multiplications == 1 && cost.constants == 2);
    f.degree = 9; // zero leading coefficients do not count
    assert_int_equal(vl_poly_plan(&f).levels, 2);
    f.degree = 1;
    cost = vl_poly_plan(&f);
    assert_true(cost.levels == 1 && cost.multiplications == 0 && cost.constants == 1 && cost.relinearisations == 0);
    for (uint32_t i = 0; i <= VL_POLY_MAX_DEGREE; i++) c[i] = 1;
    static const struct {
        uint32_t degree, most;
    } known[] = {{3, 2}, {7, 5}, {15, 8}, {31, 13}, {63, 18}, {127, 27}, {255, 36}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        f.degree = known[i].degree;
        cost = vl_poly_plan(&f);
        if (cost.multiplications > known[i].most) fail_msg("degree %u: %u products", f.degree, cost.multiplications);
        uint32_t full = cost.multiplications;
        vl_polynomial odd = f;
        double half[VL_POLY_MAX_DEGREE + 1] = {0};
        for (uint32_t k = 1; k <= f.degree; k += 2) half[k] = 1;
        odd.c = half;
        assert_true(vl_poly_plan(&odd).multiplications <= full);
    }
}

static void refusals(void **state) {
    (void)state;
    vl_params *p = insecure_params(6, 4, 2, NULL);
    vl_key_request r = {0, 3};
    lab l;
    lab_open(&l, p, 1, 1 << 20, &r, 1);
    double c[9] = {0, 1, 0, 1, 0, 0, 0, 0, 1}, v[2] = {0.5, 0.25};
    vl_polynomial f = {.basis = VL_CHEBYSHEV, .degree = 8, .lo = -1, .hi = 1, .c = c};
    vl_ciphertext ct = lab_encrypt_real(&l, v, 2, 0x1p40, 4), low = lab_encrypt_real(&l, v, 2, 0x1p40, 2);
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "4 levels"));
    f.degree = 3;
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &low, &low), VELUM_E_LIMIT);
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_MISMATCH); // the key ends at level 3
    c[3] = NAN;
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_VALUE);
    f.degree = 1;
    c[1] = 1e30;
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_VALUE);
    f.hi = -1;
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_VALUE);
    f.degree = 512;
    assert_int_equal(vl_poly_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_LIMIT);
    assert_int_equal(l.x.arena.used, 0);
    assert_int_equal(ct.level, 4);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&low);
    lab_close(&l);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    lab l;
    open_poly_lab(&l, 10);
    double *c = coefficients(27, ODD);
    vl_polynomial f = {.basis = VL_CHEBYSHEV, .degree = 27, .lo = -2, .hi = 2, .c = c};
    double *v = real_vector(l.p->ring.n / 2, 4);
    vl_ciphertext in = lab_encrypt_real(&l, v, l.p->ring.n / 2, 0x1p40, LEVELS), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_ciphertext d;
            OK(vl_params_new(&l.p->literal, *k, &p));
            OK(vl_exec_init(&x, threads, vl_poly_scratch(p, &f, LEVELS)));
            OK(vl_ciphertext_new(p, LEVELS, 1, &d));
            vl_eval_keys keys = keys_under(&l.keys, p);
            OK(vl_poly_apply(&x, p, &keys, &f, 0, &d, &in));
            if (!want.block) {
                want = d;
            } else {
                assert_true(same_ciphertext(p, &want, &d));
                vl_ciphertext_free(&d);
            }
            vl_exec_clear(&x);
            vl_params_free(p);
        }
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&in);
    free(c);
    free(v);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_degrees), cmocka_unit_test(exact_scales),          cmocka_unit_test(costs),
        cmocka_unit_test(refusals),     cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
