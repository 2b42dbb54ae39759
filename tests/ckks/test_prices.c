// SPDX-License-Identifier: Apache-2.0
// Price lists as text: what was saved is loaded, anything else is refused.
#include "test.h"

#include "ckks/prices.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static vl_writer saved(const vl_prices *p) {
    vl_writer w = vl_writer_of(1 << 16);
    vl_prices_save(p, &w);
    assert_false(w.failed);
    return w;
}

static void test_round_trip(void **state) {
    (void)state;
    vl_prices p = *vl_prices_builtin(), q;
    snprintf(p.machine, sizeof p.machine, "A processor (of 4 GHz)");
    snprintf(p.kernels, sizeof p.kernels, "ref");
    for (int i = 0; i < VL_PRICES; i++) p.fs[i] = UINT64_C(1000000000000000) >> 3 * i;
    vl_writer w = saved(&p);
    assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_OK);
    assert_string_equal(p.machine, q.machine);
    assert_string_equal(p.kernels, q.kernels);
    assert_int_equal(p.threads, q.threads);
    assert_memory_equal(p.fs, q.fs, sizeof p.fs);
    vl_writer_clear(&w);
}

static void test_damage(void **state) {
    (void)state;
    vl_prices p = *vl_prices_builtin(), q = {.threads = 77};
    vl_writer w = saved(&p);
    for (size_t size = 0; size < w.size; size++) assert_int_equal(vl_prices_load(w.data, size, &q), VELUM_E_FORMAT);
    for (size_t i = 0; i < w.size; i++)
        for (int bit = 0; bit < 8; bit++) {
            w.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_E_FORMAT);
            w.data[i] ^= (uint8_t)(1 << bit);
        }
    vl_write_bytes(&w, "\n", 1);
    assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_E_FORMAT);
    assert_int_equal(q.threads, 77);
    vl_writer_clear(&w);
    p.fs[VL_PRICE_STREAM] = 0; // well-formed, and nonsense
    w = saved(&p);
    assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_E_FORMAT);
    vl_writer_clear(&w);
    p.fs[VL_PRICE_STREAM] = UINT64_MAX;
    w = saved(&p);
    assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_E_FORMAT);
    vl_writer_clear(&w);
}

static void test_numbers(void **state) {
    (void)state;
    vl_prices p = *vl_prices_builtin();
    assert_true(vl_prices_ratio(&p) == 1);
    p.fs[VL_PRICE_NTT_16] *= 3;
    assert_true(fabs(vl_prices_ratio(&p) - 3) < 1e-9);
    for (uint32_t log_n = 8; log_n < 20; log_n++) {
        double a = vl_price_ntt(vl_prices_builtin(), log_n), b = vl_price_ntt(vl_prices_builtin(), log_n + 1);
        assert_true(a > 0 && b > 2 * a && b < 4 * a);
    }
}

static void test_measured(void **state) {
    (void)state;
    vl_prices p, q;
    char name[17], again[17];
    assert_int_equal(vl_prices_measure(&p), VELUM_OK);
    vl_writer w = saved(&p);
    assert_int_equal(vl_prices_load(w.data, w.size, &q), VELUM_OK);
    vl_writer_clear(&w);
    assert_true(p.fs[VL_PRICE_NTT_17] > p.fs[VL_PRICE_NTT_12]);
    vl_prices_fingerprint(name);
    vl_prices_fingerprint(again);
    assert_int_equal(strlen(name), 16);
    assert_string_equal(name, again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
