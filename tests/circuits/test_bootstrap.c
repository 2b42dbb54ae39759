// SPDX-License-Identifier: Apache-2.0
// Whole bootstraps on small INSECURE sets, in both orders, full and sparse; refusals; the same bytes everywhere.
#include "circuits/bootstrap.h"
#include "ckks/fixture.h"

typedef struct boot_lab {
    lab l;
    vl_bootstrap_plan plan;
    vl_bootstrap *b;
    vl_bootstrap_keys own;
} boot_lab;

static void open_boot(boot_lab *t, const char *name, unsigned threads) {
    const vl_bootstrap_params *set = vl_bootstrap_params_find(name);
    assert_non_null(set);
    vl_params_literal lit;
    vl_params *p;
    OK(vl_bootstrap_literal(set, &lit));
    OK(vl_params_new(&lit, NULL, &p));
    OK(vl_bootstrap_plan_make(set, p, &t->plan));
    size_t setup = vl_bootstrap_setup_scratch(p), arena = t->plan.scratch_bytes;
    lab_open(&t->l, p, threads, setup > arena ? setup : arena, t->plan.keys, t->plan.key_count);
    OK(vl_bootstrap_keys_new(&t->l.x, &t->plan, p, &t->l.sk, &t->own));
    OK(vl_bootstrap_new(&t->l.x, &t->plan, t->l.e, &t->b));
}

static void close_boot(boot_lab *t) {
    vl_bootstrap_free(t->b);
    vl_bootstrap_keys_free(&t->own);
    lab_close(&t->l);
}

static void refresh(const char *name, double want_bits) {
    boot_lab t;
    open_boot(&t, name, 1);
    uint32_t count = 1u << t.plan.params.log_slots;
    for (uint32_t seed = 0; seed < 3; seed++) {
        double complex *v = complex_vector(count, 11 + seed);
        vl_ciphertext ct = lab_encrypt(&t.l, v, count, t.plan.scale, t.plan.in_level), d;
        OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &d));
        OK(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &d, &ct, NULL));
        assert_int_equal(t.l.x.arena.used, 0);
        assert_int_equal(d.level, t.plan.out_level);
        assert_true(d.scale == t.plan.scale);
        double complex *got = lab_decrypt(&t.l, &d, count);
        vl_precision bits = vl_precision_of(v, got, count);
        print_message("%s: %.2f bits mean, %.2f worst (estimate %.2f)\n", name, bits.bits_mean, bits.bits_min,
                      t.plan.precision_bits);
        if (!(bits.bits_mean > want_bits)) fail_msg("%s: %.2f bits", name, bits.bits_mean);
        free(got);
        free(v);
        vl_ciphertext_free(&ct);
        vl_ciphertext_free(&d);
    }
    close_boot(&t);
}

static void slots_first(void **state) {
    (void)state;
    refresh("INSECURE-n10-full", 18);
}
static void slots_first_sparse(void **state) {
    (void)state;
    refresh("INSECURE-n10-sparse", 18);
}
static void coeffs_first(void **state) {
    (void)state;
    refresh("INSECURE-n10-coeffs", 14);
}
static void coeffs_first_sparse(void **state) {
    (void)state;
    refresh("INSECURE-n10-coeffs-sparse", 14);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_first),
        cmocka_unit_test(slots_first_sparse),
        cmocka_unit_test(coeffs_first),
        cmocka_unit_test(coeffs_first_sparse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
