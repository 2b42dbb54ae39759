// SPDX-License-Identifier: Apache-2.0
// Subrings: their words against the whole transform, for every kernel family.
#include "arith/arith.h"
#include "ring/subring.h"
#include "test.h"

#include <stdlib.h>

#define OK(expr) assert_int_equal((expr), VELUM_OK)

static void check_period(const vl_ring *ring, uint32_t period) {
    vl_subring s;
    OK(vl_subring_init(ring, period, &s));
    assert_int_equal(s.words, 2 * period);
    assert_int_equal(s.words * s.gap, ring->n);
    int64_t *c = vl_alloc_array(s.words, sizeof *c), *whole = vl_alloc_array(ring->n, sizeof *whole);
    uint64_t *t = vl_alloc_array(s.words, sizeof *t), *value = vl_alloc_array(s.words, sizeof *value);
    uint64_t *want = vl_alloc_array(ring->n, sizeof *want);
    for (uint32_t k = 0; k < s.words; k++) {
        c[k] = (int64_t)((k + 1) * UINT64_C(0x9e3779b97f4a7c15)) >> (2 + k % 50);
        whole[(size_t)k * s.gap] = c[k];
    }
    for (uint32_t i = 0; i < ring->q_count + ring->p_count; i++) {
        const vl_modulus *m = &ring->mod[i];
        m->k->from_i64(m, want, whole, ring->n);
        m->k->ntt_forward(m, want, want);
        vl_subring_values(&s, i, c, t, value);
        for (uint32_t k = 0; k < ring->n; k++) assert_int_equal(want[k], value[k / s.gap]);
    }
    vl_free(c);
    vl_free(whole);
    vl_free(t);
    vl_free(value);
    vl_free(want);
    vl_subring_clear(&s);
    assert_null(s.mod);
}

static void words_of_runs(void **state) {
    (void)state;
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned log_n = 8; log_n <= 12; log_n += 2) {
            uint64_t primes[4];
            vl_ring ring;
            OK(vl_arith_primes(log_n, 45, NULL, 0, 4, primes));
            OK(vl_ring_init(&ring, log_n, primes, 3, primes + 3, 1, *k));
            for (uint32_t period = VL_SUBRING_MIN_PERIOD; period <= ring.n / 32; period *= 2)
                check_period(&ring, period);
            vl_ring_clear(&ring);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_of_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
