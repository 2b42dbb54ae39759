// SPDX-License-Identifier: Apache-2.0
// EvalMod in the clear over its whole range, and encrypted.
#include "circuits/mod1.h"
#include "ckks/fixture.h"

static void in_the_clear(void **state) {
    (void)state;
    static const struct {
        vl_mod1_literal literal;
        double bits;
    } known[] = {
        {{16, 15, 3, 0, 0x1p10}, 18.5}, {{16, 15, 3, 3, 0x1p8}, 20.5}, {{16, 23, 3, 5, 0x1p6}, 24},
        {{12, 15, 3, 0, 0x1p11}, 21},   {{16, 31, 2, 3, 0x1p8}, 22},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        vl_mod1 f;
        OK(vl_mod1_init(&known[i].literal, &f));
        double bits = -log2(vl_mod1_error(&f));
        if (!(bits > known[i].bits)) fail_msg("set %zu: %.2f bits", i, bits);
    }
    assert_int_equal(vl_mod1_levels(&known[0].literal), 8);
    assert_int_equal(vl_mod1_levels(&known[1].literal), 10);
}

static void encrypted(void **state) {
    (void)state;
    vl_mod1_literal literal = {16, 15, 3, 3, 0x1p8};
    vl_mod1 f;
    OK(vl_mod1_init(&literal, &f));
    uint16_t levels = (uint16_t)vl_mod1_levels(&literal), top = (uint16_t)(levels + 2);
    vl_params_literal lit = {.log_n = 9, .q_count = top, .p_count = 4, .digit_limbs = 4, .scale = 0x1p40};
    uint8_t q[16], special[4] = {50, 50, 50, 50};
    memset(q, 50, sizeof q);
    OK(vl_params_choose(&lit, q, special));
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    vl_key_request relin = {0, top};
    lab l;
    lab_open(&l, p, 1, 0, &relin, 1);
    uint32_t count = p->ring.n / 2;
    double complex *x = malloc(count * sizeof *x), *v = malloc(count * sizeof *v);
    for (uint32_t i = 0; i < count; i++) {
        v[i] = noise_value(i);
        x[i] = ((int)(i % 31) - 15 + creal(v[i]) / literal.ratio) / vl_mod1_reach(&literal);
    }
    vl_ciphertext ct = lab_encrypt(&l, x, count, vl_mod1_in_scale(p, top), top);
    vl_exec run;
    OK(vl_exec_init(&run, 1, vl_mod1_scratch(p, &f, top)));
    OK(vl_mod1_apply(&run, p, &l.keys, &f, 0x1p40, &ct, &ct));
    assert_int_equal(ct.level, 2);
    assert_true(ct.scale == 0x1p40);
    double error = lab_error(&l, &ct, v, count);
    if (!(error < 0x1p-20)) fail_msg("error 2^%.1f", log2(error));
    assert_int_equal(vl_mod1_apply(&run, p, &l.keys, &f, 0x1p40, &ct, &ct), VELUM_E_LIMIT);
    assert_int_equal(run.arena.used, 0);
    vl_exec_clear(&run);
    vl_ciphertext_free(&ct);
    free(x);
    free(v);
    lab_close(&l);
}

static void refusals(void **state) {
    (void)state;
    static const vl_mod1_literal bad[] = {
        {0, 15, 3, 0, 1024},  {16, 2, 3, 0, 1024},  {16, 32, 3, 0, 1024},
        {16, 15, 7, 0, 1024}, {16, 15, 3, 4, 1024}, {16, 15, 3, 0, 1},
    };
    vl_mod1 f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(vl_mod1_init(&bad[i], &f), VELUM_E_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_the_clear), cmocka_unit_test(encrypted),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
