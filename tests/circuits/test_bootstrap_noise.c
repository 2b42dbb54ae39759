// SPDX-License-Identifier: Apache-2.0
// The error after each stage of a bootstrap: what is measured agrees with the theory. And that the measuring tells.
#include "bootstrap_noise.h"
#include "ckks/fixture.h"

typedef struct boot_lab {
    lab l;
    vl_bootstrap_plan plan;
    vl_bootstrap *b;
    vl_bootstrap_keys own;
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
}

static void close_boot(boot_lab *t) {
    vl_bootstrap_free(t->b);
    vl_bootstrap_keys_free(&t->own);
    lab_close(&t->l);
}

static void agrees(const char *name) {
    static const char *const stages[] = {"SlotsToCoeffs", "ModRaise", "CoeffsToSlots", "EvalMod", "recombination"};
    boot_lab t;
    open_boot(&t, name);
    uint32_t count = t.l.p->ring.n / 2;
    double complex *v = complex_vector(count, 23);
    vl_ciphertext d, ct = lab_encrypt(&t.l, v, count, t.plan.scale, t.plan.in_level);
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &d));
    bench_noise n = {.p = t.l.p, .e = t.l.e, .sk = &t.l.sk, .plan = &t.plan, .v = v};
    vl_bootstrap_report report = {.probe = bench_noise_probe, .arg = &n};
    OK(bench_noise_open(&n));
    OK(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &d, &ct, &report));
    OK(n.status);
    assert_int_equal(n.count, BENCH_NOISE_STAGES);
    assert_in_range(n.largest_multiple, 1, t.plan.mod1.literal.range);
    const uint16_t levels[] = {1, t.plan.top, t.plan.mod_level, t.plan.out_level, t.plan.out_level};
    for (uint32_t i = 0; i < n.count; i++) {
        const bench_noise_stage *s = &n.stage[i];
        print_message("%-14s %2u limbs, rms 2^%.2f, worst 2^%.2f, %.2f bits, estimate %.2f\n", s->name, s->level,
                      log2(s->deviation), log2(s->largest), s->bits, s->theory);
        assert_string_equal(s->name, stages[i]);
        assert_int_equal(s->level, levels[i]);
        assert_true(s->largest > s->deviation && s->deviation > 0);
        if (!(fabs(s->bits - s->theory) < (i < 3 ? 0.5 : 1.5)))
            fail_msg("%s: %.2f, not %.2f", s->name, s->bits, s->theory);
    }
    assert_true(d.scale == n.stage[4].scale);
    // the last stage is what decrypting the result gives
    double complex *got = lab_decrypt(&t.l, &d, count);
    assert_true(fabs(vl_precision_of(v, got, count).bits_mean - n.stage[4].bits) < 1e-9);
    free(got);
    // an error in the expectation shows at every stage: slot 3 told to be 2^-8 off
    n.count = 0;
    v[3] += 0x1p-8;
    OK(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &d, &ct, &report));
    for (uint32_t i = 0; i < n.count; i++) assert_true(fabs(n.stage[i].largest * 0x1p8 - 1) < 0x1p-4);
    bench_noise_close(&n);
    free(v);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&d);
    close_boot(&t);
}

static void theory_and_measurement(void **state) {
    (void)state;
    agrees("INSECURE-n10-full");
    agrees("INSECURE-n10-full-20");
}

static void not_for_all_sets(void **state) {
    (void)state;
    boot_lab t;
    open_boot(&t, "INSECURE-n10-sparse");
    bench_noise n = {.p = t.l.p, .e = t.l.e, .sk = &t.l.sk, .plan = &t.plan};
    assert_int_equal(bench_noise_open(&n), VELUM_E_UNSUPPORTED);
    bench_noise_close(&n);
    close_boot(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(theory_and_measurement),
        cmocka_unit_test(not_for_all_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
