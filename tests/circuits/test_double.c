// SPDX-License-Identifier: Apache-2.0
// The double of bootstrapping against the real one: the same level, scale and refusals, the same slots within the
// error.
#include "circuits/double.h"
#include "ckks/fixture.h"

#include <stdio.h>

typedef struct boot_lab {
    lab l;
    vl_bootstrap_plan plan;
    vl_bootstrap *b;
    vl_bootstrap_keys own;
    bootstrap_double twin;
    uint32_t count;
} boot_lab;

static void open_boot(boot_lab *t, const char *name) {
    const vl_bootstrap_params *set = vl_bootstrap_params_find(name);
    vl_params_literal lit;
    vl_params *p;
    OK(vl_bootstrap_literal(set, &lit));
    OK(vl_params_new(&lit, NULL, &p));
    OK(vl_bootstrap_plan_make(set, p, &t->plan));
    size_t setup = vl_bootstrap_setup_scratch(p), arena = t->plan.scratch_bytes;
    lab_open(&t->l, p, 1, setup > arena ? setup : arena, t->plan.keys, t->plan.key_count);
    OK(vl_bootstrap_keys_new(&t->l.x, &t->plan, p, &t->l.sk, &t->own));
    OK(vl_bootstrap_new(&t->l.x, &t->plan, t->l.e, &t->b));
    t->twin = (bootstrap_double){.plan = &t->plan, .e = t->l.e, .sk = &t->l.sk};
    t->count = 1u << t->plan.params.log_slots;
}

static void close_boot(boot_lab *t) {
    vl_bootstrap_free(t->b);
    vl_bootstrap_keys_free(&t->own);
    lab_close(&t->l);
}

static double rms_of(boot_lab *t, const vl_ciphertext *ct, const double complex *want) {
    double complex *got = lab_decrypt(&t->l, ct, t->count);
    double rms = vl_precision_of(want, got, t->count).rms_error;
    free(got);
    return rms;
}

static void compare(const char *name) {
    boot_lab t;
    open_boot(&t, name);
    double complex *v = complex_vector(t.count, 17);
    vl_ciphertext real, twin, ct = lab_encrypt(&t.l, v, t.count, t.plan.scale, t.plan.in_level);
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &real));
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &twin));
    OK(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &real, &ct, NULL));
    OK(bootstrap_double_apply(&t.l.x, &t.twin, &t.l.keys, &t.own, &twin, &ct, NULL));
    assert_int_equal(twin.level, real.level);
    assert_int_equal(twin.degree, real.degree);
    assert_true(twin.scale == real.scale);
    assert_int_equal(t.l.x.arena.used, 0);
    double exact = rms_of(&t, &twin, v), boot = rms_of(&t, &real, v);
    assert_true(exact < 0x1p-30 && boot > exact); // fresh
    // Given the real one's error it is as exact as that, and no more; every run errs differently.
    double before = 0;
    t.twin.sigma = boot / sqrt(2);
    for (int i = 0; i < 3; i++) {
        OK(bootstrap_double_apply(&t.l.x, &t.twin, NULL, NULL, &twin, &ct, NULL));
        double rms = rms_of(&t, &twin, v);
        assert_true(rms > 0.8 * boot && rms < 1.25 * boot && rms != before);
        before = rms;
    }
    // Its result can be computed with, and refreshed again: in place.
    double complex *w = malloc(t.count * sizeof *w);
    t.twin.sigma = 0;
    vl_ckks_add(&t.l.x, t.l.p, &twin, &twin, &real);
    vl_ckks_mul_const(&t.l.x, t.l.p, &twin, &twin, 0.5, (double)t.l.p->literal.q[twin.level - 1]);
    vl_ckks_rescale(&t.l.x, t.l.p, &twin, &twin);
    for (uint32_t k = 0; k < t.count; k++) w[k] = v[k];
    OK(bootstrap_double_apply(&t.l.x, &t.twin, NULL, NULL, &twin, &twin, NULL));
    assert_int_equal(twin.level, t.plan.out_level);
    assert_true(lab_error(&t.l, &twin, w, t.count) < 8 * boot);
    free(w);
    free(v);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&real);
    vl_ciphertext_free(&twin);
    close_boot(&t);
}

static void like_the_real_one(void **state) {
    (void)state;
    compare("INSECURE-n10-full");
    compare("INSECURE-n10-sparse");
}

static void both_refuse(boot_lab *t, vl_ciphertext *d, const vl_ciphertext *ct, velum_status want) {
    char said[256];
    assert_int_equal(vl_bootstrap_apply(&t->l.x, t->b, &t->l.keys, &t->own, d, ct, NULL), want);
    snprintf(said, sizeof said, "%s", velum_last_error());
    assert_int_equal(bootstrap_double_apply(&t->l.x, &t->twin, &t->l.keys, &t->own, d, ct, NULL), want);
    assert_string_equal(velum_last_error(), said);
    assert_int_equal(t->twin.runs, 0);
}

static void refuses_the_same(void **state) {
    (void)state;
    boot_lab t;
    open_boot(&t, "INSECURE-n10-sparse");
    double complex v[2] = {0.5, 0.25 * I};
    vl_ciphertext ct = lab_encrypt(&t.l, v, 2, t.plan.scale, t.plan.in_level), d, small;
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &d));
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level - 1u, 1, &small));
    vl_ciphertext low = ct, scaled = ct, degree = ct;
    vl_ciphertext_drop(&low, (uint16_t)(t.plan.in_level - 1));
    scaled.scale *= 1.01;
    degree.degree = 2;
    both_refuse(&t, &d, &low, VELUM_E_LIMIT);
    both_refuse(&t, &d, &scaled, VELUM_E_VALUE);
    both_refuse(&t, &d, &degree, VELUM_E_USAGE);
    both_refuse(&t, &small, &ct, VELUM_E_USAGE);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&d);
    vl_ciphertext_free(&small);
    close_boot(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_the_real_one),
        cmocka_unit_test(refuses_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
