// SPDX-License-Identifier: Apache-2.0
// Encrypted comparison functions against the exact ones, within the bounds that they state.
#include "circuits/compare.h"
#include "ckks/fixture.h"

#define LEVELS 15 // 14 to spend: [15,15,27] and the division
#define NOISE 0x1p-22

static void open_compare_lab(lab *l, uint32_t log_n, uint16_t levels) {
    vl_key_request r = {0, levels};
    lab_open(l, insecure_params(log_n, levels, 3, NULL), 1, 0, &r, 1);
}

// Half of them small: where the sign is hardest to tell.
static double *values(uint32_t count, double bound) {
    double *v = real_vector(count, 11);
    for (uint32_t i = 0; i < count; i++) v[i] *= bound * (i % 2 ? exp2(-12.0 * i / count) : 1);
    v[0] = bound;
    v[1] = -bound;
    v[2] = 0;
    return v;
}

static double exact(vl_compare_kind kind, double x) {
    double sign = x > 0 ? 1 : x < 0 ? -1 : 0;
    switch (kind) {
    case VL_SIGN: return sign;
    case VL_STEP: return (1 + sign) / 2;
    case VL_ABS: return fabs(x);
    case VL_RELU: break;
    }
    return fmax(x, 0);
}

// `slack`: noise of the result. Against the exact function within its bound, and against the polynomial itself where
// that is not steep.
static void check_values(const vl_compare *f, const double *v, const double complex *got, uint32_t count,
                         double slack) {
    bool product = f->kind == VL_ABS || f->kind == VL_RELU;
    for (uint32_t i = 0; i < count; i++) {
        bool decided = fabs(v[i]) >= vl_compare_separation(f) * (1 + 1e-6);
        double error = cabs(got[i] - exact(f->kind, v[i]));
        double bound = product || decided ? vl_compare_error(f) : f->kind == VL_SIGN ? 1 : 0.5;
        if (!(error <= bound + slack))
            fail_msg("kind %d, bound %g, [%s]: %g gives %g", f->kind, f->bound, f->minimax->name, v[i], creal(got[i]));
        if (decided) assert_true(cabs(got[i] - vl_compare_eval(f, v[i])) <= f->minimax->error * f->bound + slack);
    }
}

static void check_compare(lab *l, const vl_compare *f, uint16_t level, double scale, double out_scale,
                          uint32_t levels) {
    uint32_t count = l->p->ring.n / 2;
    double *v = values(count, f->bound);
    vl_ciphertext ct = lab_encrypt_real(l, v, count, scale, level);
    vl_compare_cost cost = vl_compare_plan(l->p, f, level, scale);
    assert_int_equal(cost.levels, levels);
    vl_exec x; // exactly what was planned
    OK(vl_exec_init(&x, 1, vl_compare_scratch(l->p, f, level)));
    OK(vl_compare_apply(&x, l->p, &l->keys, f, out_scale, &ct, &ct));
    assert_int_equal(x.arena.used, 0);
    assert_int_equal(ct.level, level - levels);
    assert_true(ct.scale == (out_scale > 0 ? out_scale : scale));
    double complex *got = lab_decrypt(l, &ct, count);
    check_values(f, v, got, count, NOISE * (1 + f->bound));
    free(got);
    free(v);
    vl_ciphertext_free(&ct);
    vl_exec_clear(&x);
}

static void kinds_and_ranges(void **state) {
    (void)state;
    lab l;
    open_compare_lab(&l, 9, LEVELS);
    for (vl_compare_kind kind = VL_SIGN; kind <= VL_RELU; kind++) {
        for (uint32_t alpha = 10; alpha <= 13; alpha++) {
            vl_compare f = {vl_minimax_find("15,15,27", alpha), kind, 1};
            check_compare(&l, &f, LEVELS, 0x1p40, 0, 13);
        }
        // A range that the scale takes in, and one that costs a level.
        vl_compare f = {vl_minimax_find("15,15,27", 12), kind, 6.5};
        check_compare(&l, &f, LEVELS - 1, vl_compare_input_scale(l.p, &f, LEVELS - 1), 0x1p40, 13);
        check_compare(&l, &f, LEVELS, 0x1p40, kind == VL_STEP ? 0x1p39 : 0, 14);
        f.bound = 0.03;
        check_compare(&l, &f, LEVELS, 0x1p40, 0, 14);
    }
    lab_close(&l);
}

static void every_table(void **state) {
    (void)state;
    lab l;
    open_compare_lab(&l, 8, 19);
    for (uint32_t i = 0; i < vl_minimax_tables_count; i++) {
        vl_compare f = {&vl_minimax_tables[i], VL_RELU, 1};
        uint32_t levels = vl_minimax_levels(f.minimax, 0, f.minimax->count),
                 degree = f.minimax->stage[f.minimax->count - 1].degree;
        check_compare(&l, &f, 19, 0x1p40, 0, levels + ((degree & (degree + 1)) == 0));
        f.kind = VL_SIGN;
        check_compare(&l, &f, 19, 0x1p40, 0, levels);
    }
    lab_close(&l);
}

static void maximum(void **state) {
    (void)state;
    lab l;
    open_compare_lab(&l, 9, LEVELS);
    vl_compare f = {vl_minimax_find("15,15,27", 13), VL_SIGN, 4};
    uint32_t count = l.p->ring.n / 2;
    double *a = values(count, 2), *b = real_vector(count, 5);
    double complex *want = malloc(count * sizeof *want);
    for (uint32_t i = 0; i < count; i++) {
        b[i] *= 2;
        want[i] = fmax(a[i], b[i]);
    }
    vl_ciphertext ca = lab_encrypt_real(&l, a, count, 0x1p40, LEVELS),
                  cb = lab_encrypt_real(&l, b, count, 0x1p40, LEVELS);
    vl_exec x;
    OK(vl_exec_init(&x, 1, vl_compare_scratch(l.p, &f, LEVELS)));
    OK(vl_compare_max(&x, l.p, &l.keys, &f, &ca, &ca, &cb));
    assert_true(ca.level == 1 && ca.scale == 0x1p40);
    assert_true(lab_error(&l, &ca, want, count) <= f.minimax->relu_error * f.bound + 4 * NOISE);
    cb.scale = 0x1p39;
    assert_int_equal(vl_compare_max(&x, l.p, &l.keys, &f, &ca, &ca, &cb), VELUM_E_VALUE);
    free(a);
    free(b);
    free(want);
    vl_ciphertext_free(&ca);
    vl_ciphertext_free(&cb);
    vl_exec_clear(&x);
    lab_close(&l);
}

// Stages one by one, with a fresh encryption where a bootstrap would stand, which adds noise of 2^-13. `a_level`: of
// the value that is kept for the product.
static void check_parts(lab *l, uint16_t a_level, uint16_t want_level) {
    vl_compare f = {vl_minimax_find("15,15,27", 12), VL_RELU, 3};
    uint32_t count = l->p->ring.n / 2;
    double *v = values(count, f.bound);
    vl_ciphertext a = lab_encrypt_real(l, v, count, 0x1p40, 8), u;
    OK(vl_ciphertext_new(l->p, 8, 1, &u));
    vl_exec x;
    OK(vl_exec_init(&x, 1, vl_compare_scratch(l->p, &f, 8)));
    vl_compare_cost cost = vl_compare_plan_stages(l->p, &f, 0, 1, 8, 0x1p40);
    assert_true(cost.levels == 5 && cost.divides);
    OK(vl_compare_stages(&x, l->p, &l->keys, &f, 0, 1, 0, &u, &a));
    vl_ciphertext_drop(&a, a_level);
    for (uint32_t i = 1; i < 3; i++) {
        double complex *between = lab_decrypt(l, &u, count);
        for (uint32_t k = 0; k < count; k++) {
            assert_true(cabs(between[k]) <= 1);
            between[k] += noise_value(k + i * count) * 0x1p-13;
        }
        vl_ciphertext_free(&u);
        u = lab_encrypt(l, between, count, 0x1p40, 8);
        free(between);
        if (i == 2) break;
        cost = vl_compare_plan_stages(l->p, &f, i, 1, 8, 0x1p40);
        assert_true(cost.levels == 4 && !cost.divides);
        OK(vl_compare_stages(&x, l->p, &l->keys, &f, i, 1, 0x1p40, &u, &u));
        assert_true(u.scale == 0x1p40);
    }
    assert_int_equal(8 - vl_compare_plan_finish(l->p, &f, 2, 8, u.scale, a.level).levels, want_level);
    OK(vl_compare_finish(&x, l->p, &l->keys, &f, 2, 0x1p39, &u, &a, &u));
    assert_true(u.level == want_level && u.scale == 0x1p39);
    double complex *got = lab_decrypt(l, &u, count);
    check_values(&f, v, got, count, NOISE * 4);
    assert_int_equal(x.arena.used, 0);
    free(got);
    free(v);
    vl_ciphertext_free(&a);
    vl_ciphertext_free(&u);
    vl_exec_clear(&x);
}

static void in_parts(void **state) {
    (void)state;
    lab l;
    open_compare_lab(&l, 9, 8);
    check_parts(&l, 8, 3); // multiplied in
    check_parts(&l, 7, 2); // after the last stage
    check_parts(&l, 3, 2);
    check_parts(&l, 2, 1); // as low as it may be
    lab_close(&l);
}

static void refusals(void **state) {
    (void)state;
    vl_params *p = insecure_params(6, LEVELS, 3, NULL);
    vl_key_request r = {0, LEVELS - 1};
    lab l;
    lab_open(&l, p, 1, 1 << 20, &r, 1);
    vl_compare f = {vl_minimax_find("15,15,27", 12), VL_RELU, 2};
    double v[2] = {0.5, -0.25};
    vl_ciphertext ct = lab_encrypt_real(&l, v, 2, 0x1p40, LEVELS - 1), top = lab_encrypt_real(&l, v, 2, 0x1p40, LEVELS);
    assert_int_equal(vl_compare_apply(&l.x, p, &l.keys, &f, 0, &ct, &ct), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "need 14 levels, the input has 13"));
    assert_int_equal(vl_compare_max(&l.x, p, &l.keys, &f, &ct, &ct, &top), VELUM_E_LIMIT);
    f.bound = 1;
    OK(vl_compare_stages(&l.x, p, &l.keys, &f, 0, 3, 0, &ct, &ct));
    assert_int_equal(ct.level, 1);
    assert_int_equal(vl_compare_stages(&l.x, p, &l.keys, &f, 1, 1, 0, &ct, &ct), VELUM_E_LIMIT);
    assert_int_equal(vl_compare_finish(&l.x, p, &l.keys, &f, 2, 0, &ct, &ct, &top), VELUM_E_LIMIT); // ct is too low
    assert_int_equal(vl_compare_apply(&l.x, p, &l.keys, &f, 0, &top, &top), VELUM_E_MISMATCH); // the key ends below
    const double bad[] = {0, -1, INFINITY, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.bound = bad[i];
        assert_int_equal(vl_compare_apply(&l.x, p, &l.keys, &f, 0, &top, &top), VELUM_E_VALUE);
    }
    assert_int_equal(l.x.arena.used, 0);
    assert_int_equal(top.level, LEVELS);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&top);
    lab_close(&l);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    lab l;
    open_compare_lab(&l, 9, LEVELS);
    vl_compare f = {vl_minimax_find("15,15,27", 10), VL_RELU, 2};
    double *v = values(l.p->ring.n / 2, 2);
    vl_ciphertext in = lab_encrypt_real(&l, v, l.p->ring.n / 2, 0x1p40, LEVELS), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_ciphertext d;
            OK(vl_params_new(&l.p->literal, *k, &p));
            OK(vl_exec_init(&x, threads, vl_compare_scratch(p, &f, LEVELS)));
            OK(vl_ciphertext_new(p, 1, 1, &d)); // room for the result alone
            vl_eval_keys keys = keys_under(&l.keys, p);
            OK(vl_compare_apply(&x, p, &keys, &f, 0, &d, &in));
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
    free(v);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_ranges), cmocka_unit_test(every_table), cmocka_unit_test(maximum),
        cmocka_unit_test(in_parts),         cmocka_unit_test(refusals),    cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
