// SPDX-License-Identifier: Apache-2.0
// A message of a subring, taken to the smaller ring and back.
#include "rlwe/fixture.h"
#include "rlwe/keys.h"
#include "rlwe/ringswitch.h"

enum { LOG_N = 8, SMALL = 5, LEVEL = 3 };

typedef struct rings {
    vl_params *p, *low;
    vl_exec x;
    vl_secret_key sk;
    vl_ringswitch_secret secret;
    vl_eval_keys entry;
    int64_t m[1 << LOG_N], small[1 << SMALL];
} rings;

// The message has coefficients outside the subring too, which are lost.
static void setup(rings *r, uint32_t digit_limbs) {
    *r = (rings){.p = insecure_params(LOG_N, LEVEL, digit_limbs, NULL)};
    vl_params_literal low = r->p->literal;
    low.log_n = SMALL;
    OK(vl_params_new(&low, NULL, &r->low));
    vl_params_literal entry = vl_ringswitch_entry(&low, LOG_N);
    assert_int_equal(entry.log_n, LOG_N);
    OK(vl_exec_init(&r->x, 1, vl_ringswitch_scratch(r->p, LEVEL)));
    OK(vl_secret_key_new(r->p, &r->sk));
    OK(vl_ringswitch_secret_new(r->low, LOG_N, &r->secret));
    OK(vl_ringswitch_key_new(&r->x, r->p, &r->sk, &r->secret, &r->entry));
    vl_key_request one = vl_ringswitch_request(&low);
    assert_int_equal(one.level, LEVEL);
    assert_non_null(vl_eval_keys_find(&r->entry, one.galois));
    message(r->p, r->m);
    for (size_t i = 0; i < 1 << SMALL; i++) r->small[i] = r->m[i << (LOG_N - SMALL)];
}

static void teardown(rings *r) {
    vl_eval_keys_free(&r->entry);
    vl_ringswitch_secret_free(&r->secret);
    vl_secret_key_free(&r->sk);
    vl_exec_clear(&r->x);
    vl_params_free(r->low);
    vl_params_free(r->p);
}

static vl_ciphertext encrypt(rings *r, uint16_t level) {
    vl_ciphertext ct;
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m = plaintext(r->p, level, r->m);
    OK(vl_ciphertext_new(r->p, level, 1, &ct));
    vl_rlwe_encrypt(&r->x, r->p, &r->sk, m, seed, &ct);
    ct.scale = 0x1p30;
    vl_poly_free(&m);
    return ct;
}

// One digit's key switch adds sigma sqrt(N digits / 12) digit / P, with digit <= P, and the rounding by P.
static double deviation(const rings *r) {
    return sqrt(VL_SIGMA * VL_SIGMA * (1 + r->p->ring.n * LEVEL / 12.0) + (1 + 2 * r->p->ring.n / 3.0) / 12);
}

static void there_and_back(void **state) {
    (void)state;
    for (uint32_t digit_limbs = 1; digit_limbs <= LEVEL; digit_limbs += 2)
        for (uint16_t level = 1; level <= LEVEL; level++) {
            rings r;
            setup(&r, digit_limbs);
            vl_ciphertext ct = encrypt(&r, level), small, back;
            OK(vl_ciphertext_new(r.low, level, 1, &small));
            OK(vl_ciphertext_new(r.p, level, 1, &back));
            vl_ringswitch_enter(&r.x, &r.entry, r.low, &small, &ct);
            assert_int_equal(small.level, level);
            assert_true(small.scale == ct.scale);
            double sigma = deviation(&r), lost = 0;
            test_noise n = noise_of(&r.x, r.low, &r.secret.small, &small, r.small);
            assert_true(n.max <= 8 * sigma);
            vl_ringswitch_leave(&r.x, r.p, r.low, &back, &small);
            int64_t wide[1 << LOG_N] = {0};
            for (size_t i = 0; i < 1 << SMALL; i++) wide[i << (LOG_N - SMALL)] = r.small[i];
            vl_secret_key under = {.coeffs = r.secret.wide};
            OK(vl_keys_expand_secret(r.p, &under));
            test_noise m = noise_of(&r.x, r.p, &under, &back, wide);
            assert_true(m.max == n.max); // exact
            for (size_t i = 0; i < 1 << LOG_N; i++) lost += (double)(r.m[i] - wide[i] != 0);
            assert_true(lost > 0);
            vl_secret_free(under.s.x);
            vl_ciphertext_free(&ct);
            vl_ciphertext_free(&small);
            vl_ciphertext_free(&back);
            teardown(&r);
        }
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    rings r;
    setup(&r, 1);
    vl_ciphertext ct = encrypt(&r, LEVEL), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p, *low;
            vl_exec x;
            vl_ciphertext small, back;
            OK(vl_params_new(&r.p->literal, *k, &p));
            OK(vl_params_new(&r.low->literal, *k, &low));
            OK(vl_exec_init(&x, threads, vl_ringswitch_scratch(p, LEVEL)));
            OK(vl_ciphertext_new(low, LEVEL, 1, &small));
            OK(vl_ciphertext_new(p, LEVEL, 1, &back));
            vl_eval_keys keys = r.entry;
            keys.params = p;
            vl_ringswitch_enter(&x, &keys, low, &small, &ct);
            vl_ringswitch_leave(&x, p, low, &back, &small);
            if (!want.block) {
                want = back;
            } else {
                assert_true(same_ciphertext(p, &want, &back));
                vl_ciphertext_free(&back);
            }
            vl_ciphertext_free(&small);
            vl_exec_clear(&x);
            vl_params_free(low);
            vl_params_free(p);
        }
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&ct);
    teardown(&r);
}

static void refusals(void **state) {
    (void)state;
    vl_params *p = insecure_params(SMALL, LEVEL, 1, NULL);
    vl_ringswitch_secret secret;
    assert_int_equal(vl_ringswitch_secret_new(p, SMALL, &secret), VELUM_E_USAGE);
    assert_int_equal(vl_ringswitch_secret_new(p, SMALL - 1, &secret), VELUM_E_USAGE);
    vl_params_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(same_bytes_everywhere),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
