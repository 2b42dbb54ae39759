// SPDX-License-Identifier: Apache-2.0
// The wide ChaCha20 against the stream of the crypto library, which vl_rng_bytes gives.
#include "base/chacha.h"
#include "base/rng.h"
#include "test.h"

#include <string.h>

#define STRIDES 5
#define BYTES (STRIDES * VL_CHACHA_STRIDE + 100)

static void same_stream(void **state) {
    (void)state;
    static uint8_t want[2 * BYTES], got[BYTES];
    uint8_t key[VL_SEED_BYTES];
    const uint64_t nonces[] = {0, 1, 77, UINT64_C(0x0123456789abcdef), UINT64_MAX};
    for (size_t k = 0; k < sizeof key; k++) key[k] = (uint8_t)(k * 37 + 11);
    for (size_t t = 0; t < sizeof nonces / sizeof *nonces; t++) {
        vl_rng rng;
        vl_rng_init_seed(&rng, key, nonces[t]);
        vl_rng_bytes(&rng, want, sizeof want);
        for (uint64_t counter = 0; counter < 20; counter += 7) {
            memset(got, 0x5a, sizeof got);
            size_t done = vl_chacha_wide(got, sizeof got, key, nonces[t], counter);
            assert_true(done == 0 || done == STRIDES * VL_CHACHA_STRIDE);
            assert_memory_equal(got, want + 64 * counter, done);
            for (size_t k = done; k < sizeof got; k++) assert_int_equal(got[k], 0x5a);
        }
    }
}

static void leaves_the_rest(void **state) {
    (void)state;
    uint8_t key[32] = {1}, out[VL_CHACHA_STRIDE];
    assert_int_equal(vl_chacha_wide(out, VL_CHACHA_STRIDE - 1, key, 0, 0), 0);
    assert_int_equal(vl_chacha_wide(out, VL_CHACHA_STRIDE, key, 0, UINT32_MAX), 0); // the counter's low word would wrap
}

// Every length and any bytes already taken: the residues that one draw at a time gives.
static void uniform_in_bulk(void **state) {
    (void)state;
    static uint64_t got[5000];
    const uint64_t moduli[] = {1,         2, 5, UINT64_C(1099511480321), (UINT64_C(1) << 49) + 12345, UINT64_C(1) << 63,
                               UINT64_MAX};
    const uint8_t seed[VL_SEED_BYTES] = {9, 8, 7};
    for (size_t t = 0; t < sizeof moduli / sizeof *moduli; t++)
        for (size_t n = 1; n <= 5000; n += n < 20 ? 1 : 997)
            for (int skip = 0; skip < 3; skip++) {
                uint64_t q = moduli[t], mask = q > 1 ? UINT64_MAX >> __builtin_clzll(q - 1) : 0;
                vl_rng bulk, single;
                vl_rng_init_seed(&bulk, seed, n);
                vl_rng_init_seed(&single, seed, n);
                for (int k = 0; k < skip; k++) assert_true(vl_rng_u64(&bulk) == vl_rng_u64(&single));
                vl_rng_uniform(&bulk, q, got, n);
                for (size_t i = 0; i < n;) {
                    uint64_t v = vl_rng_u64(&single) & mask;
                    if (v >= q) continue;
                    assert_true(got[i++] == v);
                }
                assert_true(vl_rng_u64(&bulk) == vl_rng_u64(&single)); // and the stream goes on from the same place
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_stream), cmocka_unit_test(leaves_the_rest),
                                       cmocka_unit_test(uniform_in_bulk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
