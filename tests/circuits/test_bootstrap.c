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

// ---- plans and refusals ----

static void plans_of_all_sets(void **state) {
    (void)state;
    for (const vl_bootstrap_params *set = vl_bootstrap_sets(); set->name; set++) {
        vl_params_literal lit;
        OK(vl_bootstrap_literal(set, &lit));
        if (set->security_bits) { // no tables are made: the chain alone is looked at
            double log_qp = 0, low = log2((double)lit.q[0]) + log2((double)lit.p[0]);
            for (uint32_t i = 0; i < lit.q_count; i++) log_qp += log2((double)lit.q[i]);
            for (uint32_t i = 0; i < lit.p_count; i++) log_qp += log2((double)lit.p[i]);
            assert_true(log_qp <= vl_security_max_log_qp(lit.log_n, 0, set->security_bits));
            assert_true(low <= vl_security_max_log_qp(lit.log_n, set->weight, set->security_bits));
            assert_true(vl_bootstrap_log2_failure(set->weight, set->range, ldexp(1, set->log_slots + 1)) <= -128);
            continue;
        }
        vl_params *p;
        vl_bootstrap_plan plan;
        OK(vl_params_new(&lit, NULL, &p));
        OK(vl_bootstrap_plan_make(set, p, &plan));
        assert_int_equal(plan.levels_left, set->left);
        assert_int_equal(plan.security_bits, 0);
        vl_params_free(p);
    }
    assert_null(vl_bootstrap_params_find("no such set"));
}

// The figures of the literature for 2^16 coefficients.
static void failure(void **state) {
    (void)state;
    static const struct {
        uint32_t weight, range;
        double log2;
    } known[] = {{32, 12, -34}, {32, 14, -62}, {32, 15, -86}, {32, 16, -138.7}, {64, 24, -84}, {64, 28, -144}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_true(fabs(vl_bootstrap_log2_failure(known[i].weight, known[i].range, 65536) - known[i].log2) < 1);
}

static void refuse_params(const vl_bootstrap_params *set, velum_status want, const char *part) {
    vl_params_literal lit;
    vl_params *p;
    vl_bootstrap_plan plan;
    OK(vl_bootstrap_literal(set, &lit));
    lit.security_bits = 0;
    OK(vl_params_new(&lit, NULL, &p));
    assert_int_equal(vl_bootstrap_plan_make(set, p, &plan), want);
    if (!strstr(velum_last_error(), part)) fail_msg("'%s' not in: %s", part, velum_last_error());
    vl_params_free(p);
}

static void refused_plans(void **state) {
    (void)state;
    vl_bootstrap_params set = *vl_bootstrap_params_find("INSECURE-n10-full");
    set.security_bits = 128; // of the bootstrap itself: its failure probability is bounded then
    set.range = 14;
    refuse_params(&set, VELUM_E_INSECURE, "2^-128");
    set.range = 16;
    set.degree = 40;
    refuse_params(&set, VELUM_E_USAGE, "degree 40");
    // Secure sizes only: the line of the table for the ephemeral secret.
    vl_params_literal lit = {
        .log_n = 12, .q_count = 1, .p_count = 1, .digit_limbs = 1, .security_bits = 128, .scale = 2};
    uint8_t q = 45, s = 45;
    vl_params *p;
    OK(vl_params_choose(&lit, &q, &s));
    OK(vl_params_new(&lit, NULL, &p));
    assert_int_equal(vl_encapsulation_check(p, 32, 1), VELUM_E_INSECURE);
    vl_params_free(p);
}

static void refused_inputs(void **state) {
    (void)state;
    boot_lab t;
    open_boot(&t, "INSECURE-n10-sparse", 1);
    double complex v[2] = {0.5, 0.25 * I};
    vl_ciphertext ct = lab_encrypt(&t.l, v, 2, t.plan.scale, t.plan.in_level), d;
    OK(vl_ciphertext_new(t.l.p, t.plan.out_level, 1, &d));
    vl_ciphertext low = ct, scaled = ct;
    vl_ciphertext_drop(&low, (uint16_t)(t.plan.in_level - 1));
    scaled.scale *= 1.01;
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &d, &low, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &t.own, &d, &scaled, NULL), VELUM_E_VALUE);
    vl_eval_keys fewer = t.l.keys;
    fewer.count--; // the one of the largest Galois element: conjugation
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &fewer, &t.own, &d, &ct, NULL), VELUM_E_MISMATCH);
    assert_non_null(strstr(velum_last_error(), "conjugation"));
    fewer = t.l.keys;
    fewer.key++;
    fewer.count--; // relinearisation comes first
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &fewer, &t.own, &d, &ct, NULL), VELUM_E_MISMATCH);
    assert_non_null(strstr(velum_last_error(), "relinearisation"));
    vl_bootstrap_keys part = t.own;
    part.low.count--;
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &part, &d, &ct, NULL), VELUM_E_MISMATCH);
    assert_non_null(strstr(velum_last_error(), "rotation by"));
    part = t.own;
    part.entry.count = 0;
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &part, &d, &ct, NULL), VELUM_E_MISMATCH);
    part = t.own;
    part.raise.shape.level--;
    assert_int_equal(vl_bootstrap_apply(&t.l.x, t.b, &t.l.keys, &part, &d, &ct, NULL), VELUM_E_MISMATCH);
    assert_int_equal(t.l.x.arena.used, 0);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&d);
    close_boot(&t);
}

// ---- the same bytes from every kernel family and thread count ----

static void same_bytes(const char *name) {
    boot_lab t;
    open_boot(&t, name, 1);
    uint32_t count = 1u << t.plan.params.log_slots;
    double complex *v = complex_vector(count, 5);
    vl_ciphertext in = lab_encrypt(&t.l, v, count, t.plan.scale, t.plan.in_level), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p, *low = NULL, *entry = NULL;
            vl_encoder *e;
            vl_exec x;
            vl_bootstrap *b;
            vl_ciphertext d;
            OK(vl_params_new(&t.l.p->literal, *k, &p));
            OK(vl_encoder_new(p, &e));
            size_t setup = vl_bootstrap_setup_scratch(p), arena = t.plan.scratch_bytes;
            OK(vl_exec_init(&x, threads, setup > arena ? setup : arena));
            OK(vl_bootstrap_new(&x, &t.plan, e, &b));
            OK(vl_ciphertext_new(p, t.plan.out_level, 1, &d));
            vl_eval_keys keys = keys_under(&t.l.keys, p);
            vl_bootstrap_keys own = t.own;
            own.raise.params = p;
            if (own.low_params) {
                OK(vl_params_new(&t.plan.low, *k, &low));
                own.low.params = low;
            }
            if (own.entry_params) {
                OK(vl_params_new(&own.entry_params->literal, *k, &entry));
                own.entry.params = entry;
            }
            OK(vl_bootstrap_apply(&x, b, &keys, &own, &d, &in, NULL));
            if (!want.block) {
                want = d;
            } else {
                assert_true(same_ciphertext(p, &want, &d));
                vl_ciphertext_free(&d);
            }
            vl_bootstrap_free(b);
            vl_exec_clear(&x);
            vl_encoder_free(e);
            vl_params_free(entry);
            vl_params_free(low);
            vl_params_free(p);
        }
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&in);
    free(v);
    close_boot(&t);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    same_bytes("INSECURE-n10-full");
    same_bytes("INSECURE-n10-sparse"); // part of it in a smaller ring
    same_bytes("INSECURE-n10-coeffs-sparse");
}

static void arcsine(void **state) {
    (void)state;
    refresh("INSECURE-n10-full-20", 20.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_first),    cmocka_unit_test(slots_first_sparse),
        cmocka_unit_test(coeffs_first),   cmocka_unit_test(coeffs_first_sparse),
        cmocka_unit_test(arcsine),        cmocka_unit_test(plans_of_all_sets),
        cmocka_unit_test(failure),        cmocka_unit_test(refused_plans),
        cmocka_unit_test(refused_inputs), cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
