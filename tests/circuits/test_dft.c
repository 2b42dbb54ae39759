// SPDX-License-Identifier: Apache-2.0
// The transforms' factors against the encoder's transform, in the clear and encrypted.
#include "circuits/dft.h"
#include "ckks/fft.h"
#include "ckks/fixture.h"

// All factors in turn.
static void apply_plan(const vl_dft_plan *plan, double complex *v, uint32_t n) {
    double complex *t = malloc(n * sizeof *t);
    for (uint32_t f = 0; f < plan->factors; f++) {
        vl_diagonals d;
        OK(vl_diagonals_factor(plan, f, 1, &d));
        vl_diagonals_apply(&d, v, t);
        memcpy(v, t, n * sizeof *t);
        vl_diagonals_free(&d);
    }
    free(t);
}

static void apply_fft(bool inverse, unsigned log, double complex *v) {
    uint32_t n = 1u << log;
    vl_ckks_fft f;
    double *re = malloc(n * sizeof *re), *im = malloc(n * sizeof *im);
    OK(vl_ckks_fft_init(&f, log));
    for (uint32_t i = 0; i < n; i++) re[i] = creal(v[i]), im[i] = cimag(v[i]);
    if (inverse)
        vl_ckks_fft_inverse(&f, log, re, im);
    else
        vl_ckks_fft_forward(&f, log, re, im);
    for (uint32_t i = 0; i < n; i++) v[i] = (re[i] + im[i] * I) / (inverse ? n : 1);
    vl_ckks_fft_clear(&f);
    free(re);
    free(im);
}

static void factors_in_the_clear(void **state) {
    (void)state;
    for (unsigned log = 1; log <= 9; log++)
        for (uint32_t factors = 1; factors <= log && factors <= 4; factors++)
            for (int inverse = 0; inverse < 2; inverse++) {
                vl_dft_plan plan;
                if ((log + factors - 1) / factors > 8) continue;
                OK(vl_dft_plan_even(inverse, log, factors, 3, &plan));
                uint32_t n = 1u << log;
                double complex *v = complex_vector(n, log), *want = malloc(n * sizeof *want);
                memcpy(want, v, n * sizeof *v);
                apply_fft(inverse, log, want);
                apply_plan(&plan, v, n);
                assert_true(vl_precision_of(want, v, n).max_error < 0x1p-40 * n);
                free(v);
                free(want);
            }
    vl_dft_plan plan;
    assert_int_equal(vl_dft_plan_even(true, 9, 0, 3, &plan), VELUM_E_USAGE);
    assert_int_equal(vl_dft_plan_even(true, 3, 4, 3, &plan), VELUM_E_USAGE);
}

// One factor encrypted, with exactly the keys and the scratch that are asked for.
static void check_factor(const vl_dft_plan *plan, uint32_t factor, uint32_t log_n) {
    int32_t k[256];
    uint32_t count = vl_dft_rotations(plan, factor, k), n = 1u << plan->log_slots;
    vl_params *p = insecure_params(log_n, 3, 2, NULL);
    vl_key_request want[256];
    for (uint32_t i = 0; i < count; i++) want[i] = (vl_key_request){vl_params_galois(p, k[i]), 3};
    vl_dft_cost cost = vl_dft_price(plan, factor);
    assert_int_equal(count, cost.babies + cost.giants);
    lab l;
    lab_open(&l, p, 1, vl_diagonal_map_encode_scratch(p, 3), want, count);
    vl_diagonals d;
    vl_diagonal_map map;
    OK(vl_diagonals_factor(plan, factor, 1, &d));
    OK(vl_diagonal_map_new(&l.x, l.e, &d, plan->log_babies[factor], NULL, NULL, 3, (double)p->literal.q[2], &map));
    double complex *v = complex_vector(n, 3), *y = malloc(n * sizeof *y);
    vl_diagonals_apply(&d, v, y);
    vl_ciphertext ct = lab_encrypt(&l, v, n, 0x1p40, 3);
    vl_exec x;
    OK(vl_exec_init(&x, 1, vl_diagonal_map_scratch(p, cost.babies + 1, cost.giants + 1, 3)));
    vl_diagonal_map_apply(&x, &l.keys, &map, true, NULL, 0, &ct, &ct);
    double error = lab_error(&l, &ct, y, n);
    if (!(error < 0x1p-22)) fail_msg("factor %u of 2^%u: error 2^%.1f", factor, plan->log_slots, log2(error));
    vl_exec_clear(&x);
    vl_ciphertext_free(&ct);
    vl_diagonal_map_free(&map);
    vl_diagonals_free(&d);
    free(v);
    free(y);
    lab_close(&l);
}

static void factors_encrypted(void **state) {
    (void)state;
    for (int inverse = 0; inverse < 2; inverse++)
        for (unsigned log = 4; log <= 9; log += 5) {
            vl_dft_plan plan;
            OK(vl_dft_plan_even(inverse, log, 2, 3, &plan));
            for (uint32_t f = 0; f < 2; f++) check_factor(&plan, f, 10);
        }
}

// A raise that makes the babies of the first factor, against the factor times the raised slots in the clear. What is
// raised is taken from a raise without sums by the same keys.
static void check_raised_factor(uint32_t log_slots, uint32_t factors, uint32_t subring, unsigned threads) {
    vl_params *p = insecure_params(10, 4, 2, NULL);
    const uint32_t n = 1u << log_slots, half = p->ring.n / 2;
    vl_dft_plan plan;
    OK(vl_dft_plan_even(true, log_slots, factors, 3, &plan));
    plan.log_babies[0] = plan.stages[0];
    const uint32_t babies = 1u << plan.stages[0], sums = half / n / subring;
    const vl_encapsulation_shape shape = {8, 4, subring, babies * sums, (int32_t)(n / babies)};
    lab l;
    lab_open(&l, p, 1, vl_diagonal_map_encode_scratch(p, 4) + vl_encapsulation_scratch(p), NULL, 0);
    vl_encapsulation k;
    OK(vl_encapsulation_new(&l.x, p, &l.sk, NULL, &shape, &k));
    vl_diagonals d;
    vl_diagonal_map map;
    OK(vl_diagonals_factor(&plan, 0, 1, &d));
    OK(vl_diagonal_map_new(&l.x, l.e, &d, plan.log_babies[0], NULL, NULL, 4, (double)p->literal.q[3], &map));
    double complex *v = complex_vector(n, 3), *y = malloc(n * sizeof *y), *x = calloc(n, sizeof *x);
    vl_ciphertext ct = lab_encrypt(&l, v, n, 0x1p30, 1), raised, got;
    OK(vl_ciphertext_new(p, 4, 1, &raised));
    OK(vl_ciphertext_new(p, 4, 1, &got));
    ct.scale = (double)p->literal.q[0]; // the multiples of q_0 are what is seen
    vl_encapsulation alone = k;
    alone.shape.sums = 1;
    vl_encapsulation_raise(&l.x, &alone, 4, &raised, &ct);
    double complex *z = lab_decrypt(&l, &raised, half);
    for (uint32_t t = 0; t < half; t++)
        if (t / n < sums) x[t % n] += z[t];
    vl_diagonals_apply(&d, x, y);
    vl_exec with;
    OK(vl_exec_init(&with, threads, vl_diagonal_map_raise_scratch(p, babies)));
    vl_diagonal_map_raise(&with, &k, &map, &got, &ct);
    assert_int_equal(got.level, 3);
    double error = lab_error(&l, &got, y, n), size = 0;
    for (uint32_t t = 0; t < n; t++) size = fmax(size, cabs(y[t]));
    assert_true(size > 1); // some multiple of q_0 is there
    if (!(error < 0x1p-20)) fail_msg("2^%u slots, subring %u: error 2^%.1f", log_slots, subring, log2(error));
    vl_exec_clear(&with);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&raised);
    vl_ciphertext_free(&got);
    vl_diagonal_map_free(&map);
    vl_diagonals_free(&d);
    vl_encapsulation_free(&k);
    free(v);
    free(x);
    free(y);
    free(z);
    lab_close(&l);
}

static void raised_with_the_first_factor(void **state) {
    (void)state;
    check_raised_factor(9, 3, 1, 1); // full slots: no sums
    check_raised_factor(7, 2, 1, 1); // 16 babies of 4 rotations
    check_raised_factor(6, 2, 2, 2); // 8 of 4
    check_raised_factor(5, 2, 2, 1); // 8 of 8
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(factors_in_the_clear), cmocka_unit_test(factors_encrypted),
                                       cmocka_unit_test(raised_with_the_first_factor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
