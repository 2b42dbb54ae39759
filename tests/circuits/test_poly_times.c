// SPDX-License-Identifier: Apache-2.0
// A polynomial times another ciphertext: levels, exact scales, values.
#include "circuits/poly.h"
#include "ckks/fixture.h"

#define LEVELS 9

static double *coefficients(uint32_t degree, uint32_t step) {
    double *c = malloc((degree + 1) * sizeof *c), sum = 0;
    for (uint32_t i = 0; i <= degree; i++) {
        c[i] = i % step == degree % step || i == 0 ? noise_value(i + degree) : 0;
        sum += fabs(c[i]);
    }
    for (uint32_t i = 0; i <= degree; i++) c[i] /= sum;
    return c;
}

static uint32_t depth_of(uint32_t degree) { // ceil(log2(degree + 2)), at least 1
    uint32_t depth = 1;
    while (degree + 2 > 1u << depth) depth++;
    return depth;
}

static void check_times(lab *l, const vl_polynomial *f, uint16_t w_level, double w_scale, double out_scale) {
    uint32_t count = l->p->ring.n / 2;
    double *v = real_vector(count, f->degree), *wv = real_vector(count, f->degree + 77);
    double complex *want = malloc(count * sizeof *want);
    double lo = f->basis == VL_CHEBYSHEV ? f->lo : -1, hi = f->basis == VL_CHEBYSHEV ? f->hi : 1;
    for (uint32_t i = 0; i < count; i++) {
        v[i] = (hi + lo) / 2 + (hi - lo) / 2 * v[i];
        want[i] = 3 * wv[i] * vl_polynomial_eval(f, v[i]);
        wv[i] *= 3;
    }
    vl_ciphertext a = lab_encrypt_real(l, v, count, 0x1p40, LEVELS),
                  w = lab_encrypt_real(l, wv, count, w_scale, w_level);
    vl_exec x; // exactly what was planned
    OK(vl_exec_init(&x, 1, vl_poly_scratch_times(l->p, f, LEVELS)));
    vl_poly_cost cost = vl_poly_plan_times(f), plain = vl_poly_plan(f);
    OK(vl_poly_apply_times(&x, l->p, &l->keys, f, out_scale, &w, &a, &w));
    assert_int_equal(x.arena.used, 0);
    assert_int_equal(w.level, LEVELS - cost.levels);
    assert_true(w.scale == (out_scale > 0 ? out_scale : w_scale));
    assert_true(cost.multiplications > plain.multiplications || f->degree == 0);
    double error = lab_error(l, &w, want, count);
    if (!(error < (f->degree + 2) * (f->degree + 2) * 0x1p-26))
        fail_msg("degree %u basis %d: error 2^%.1f", f->degree, f->basis, log2(error));
    free(v);
    free(wv);
    free(want);
    vl_ciphertext_free(&a);
    vl_ciphertext_free(&w);
    vl_exec_clear(&x);
}

static void many_degrees(void **state) {
    (void)state;
    lab l;
    vl_key_request r = {0, LEVELS};
    lab_open(&l, insecure_params(8, LEVELS, 3, NULL), 1, 0, &r, 1);
    for (uint32_t degree = 0; degree <= 127; degree += degree < 66 ? 1 : 61)
        for (uint32_t step = 1; step <= 2; step++)
            for (int basis = 0; basis < 2; basis++) {
                double *c = coefficients(degree, step);
                vl_polynomial f = {basis ? VL_CHEBYSHEV : VL_MONOMIAL, degree, -1, 1, c};
                assert_int_equal(vl_poly_plan_times(&f).levels, depth_of(degree));
                check_times(&l, &f, LEVELS, 0x1p40, degree % 3 ? 0 : 0x1p39 * 1.37);
                if (basis && degree < 127) {
                    f.lo = -3;
                    f.hi = 5;
                    assert_int_equal(vl_poly_plan_times(&f).levels, depth_of(degree) + (degree > 0));
                    check_times(&l, &f, LEVELS, 0x1p40 * 0.7, 0x1p40);
                }
                free(c);
            }
    lab_close(&l);
}

static void refusals(void **state) {
    (void)state;
    vl_params *p = insecure_params(6, LEVELS, 2, NULL);
    vl_key_request r = {0, LEVELS - 1};
    lab l;
    lab_open(&l, p, 1, 1 << 20, &r, 1);
    double c[16], v[2] = {0.5, 0.25};
    for (int i = 0; i < 16; i++) c[i] = 0.125;
    vl_polynomial f = {VL_MONOMIAL, 15, -1, 1, c};
    vl_ciphertext top = lab_encrypt_real(&l, v, 2, 0x1p40, LEVELS), low = lab_encrypt_real(&l, v, 2, 0x1p40, 5);
    assert_int_equal(vl_poly_apply_times(&l.x, p, &l.keys, &f, 0, &top, &low, &top), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "needs 5 levels, its input has 4"));
    f.degree = 5;
    assert_int_equal(vl_poly_apply_times(&l.x, p, &l.keys, &f, 0, &top, &top, &low), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "4 levels"));
    assert_int_equal(vl_poly_apply_times(&l.x, p, &l.keys, &f, 0, &top, &top, &top), VELUM_E_MISMATCH);
    OK(vl_poly_apply_times(&l.x, p, &l.keys, &f, 0, &low, &low, &top));
    assert_int_equal(low.level, 2);
    assert_int_equal(l.x.arena.used, 0);
    vl_ciphertext_free(&top);
    vl_ciphertext_free(&low);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_degrees),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
