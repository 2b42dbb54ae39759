// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "arith/arith.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

static uint64_t state = 1;
static uint64_t draw(void) { // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static const uint64_t moduli[] = {97, 1073738753, 4503599626321921 / 4, 1125899906826241, 1099511590913};

// a b mod q by doubling: no wide product
static uint64_t slow_mul(uint64_t a, uint64_t b, uint64_t q) {
    uint64_t r = 0;
    for (a %= q; b != 0; b >>= 1, a = a * 2 % q)
        if (b & 1) r = (r + a) % q;
    return r;
}

static void words(void **arg) {
    (void)arg;
    for (unsigned k = 0; k < sizeof moduli / sizeof *moduli; k++) {
        uint64_t q = moduli[k];
        for (int i = 0; i < 2000; i++) {
            uint64_t a = i == 0 ? q - 1 : draw() % q, b = i < 2 ? q - 1 : draw() % q;
            assert_int_equal(vl_arith_mul(a, b, q), slow_mul(a, b, q));
            assert_int_equal(vl_arith_add(a, b, q), (a + b) % q);
            assert_int_equal(vl_arith_sub(a, b, q), (a + q - b) % q);
            u128 shoup = vl_arith_shoup52(a, q), exact = (u128)a << 52;
            assert_true(shoup * q <= exact && exact < (shoup + 1) * q);
            int64_t v = (int64_t)(draw() >> (draw() % 64));
            i128 r = (i128)v % (i128)q;
            assert_int_equal(vl_arith_from_i64(v, q), (uint64_t)(r < 0 ? r + q : r));
        }
        assert_int_equal(vl_arith_from_i64(INT64_MIN, q), (q - (((uint64_t)1 << 63) % q)) % q);
    }
    assert_int_equal(vl_arith_bitrev(6, 4), 6);
    assert_int_equal(vl_arith_bitrev(1, 17), 1 << 16);
}

static void powers(void **arg) {
    (void)arg;
    uint64_t q = 1073738753; // prime
    assert_true(vl_arith_is_prime(q));
    uint64_t p = 1, base = draw() % q;
    for (unsigned e = 0; e < 300; e++, p = slow_mul(p, base, q)) assert_int_equal(vl_arith_pow(base, e, q), p);
    for (int i = 0; i < 200; i++) {
        uint64_t a = 1 + draw() % (q - 1);
        assert_int_equal(slow_mul(a, vl_arith_inv(a, q), q), 1);
    }
    uint64_t m[] = {97, 193, 257, 449};
    assert_int_equal(vl_arith_product_mod(m, 4, 4, q), 97ull * 193 * 257 * 449 % q);
    assert_int_equal(vl_arith_product_mod(m, 4, 1, q), 97ull * 257 * 449 % q);
    assert_int_equal(vl_arith_product_mod(m, 0, 0, q), 1);
    assert_true(fabs(vl_arith_log2_product(m, 4) - log2(97.0 * 193 * 257 * 449)) < 1e-9);
}

static bool slow_prime(uint64_t n) {
    for (uint64_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return n >= 2;
}

static void primality(void **arg) {
    (void)arg;
    for (uint64_t n = 0; n < 20000; n++) assert_int_equal(vl_arith_is_prime(n), slow_prime(n));
    for (int i = 0; i < 50; i++) {
        uint64_t n = draw() >> 30 | 1;
        assert_int_equal(vl_arith_is_prime(n), slow_prime(n));
    }
    // strong pseudoprimes to several bases, and Carmichael numbers
    const uint64_t liars[] = {2047, 3215031751, 3474749660383, 341550071728321, 561, 1729, 3825123056546413051};
    for (unsigned i = 0; i < sizeof liars / sizeof *liars; i++) assert_false(vl_arith_is_prime(liars[i]));
    assert_true(vl_arith_is_prime(18446744073709551557u));
    assert_false(vl_arith_is_prime(18446744073709551556u));
}

static void prime_lists(void **arg) {
    (void)arg;
    const unsigned log_ns[] = {4, 12, 16, 17}, sizes[] = {30, 36, 45, 49, 50};
    for (unsigned a = 0; a < 4; a++)
        for (unsigned b = 0; b < 5; b++) {
            uint64_t p[24], avoid[24], two_n = (uint64_t)2 << log_ns[a], centre = (uint64_t)1 << sizes[b];
            assert_int_equal(vl_arith_primes(log_ns[a], sizes[b], NULL, 0, 24, p), VELUM_OK);
            for (int i = 0; i < 24; i++) {
                assert_true(vl_arith_is_prime(p[i]) && p[i] % two_n == 1 && p[i] >> 50 == 0);
                double ratio = log2((double)p[i]) - sizes[b];
                assert_true(fabs(ratio) <= 0.25);
                for (int j = 0; j < i; j++) assert_int_not_equal(p[i], p[j]);
                if (sizes[b] < 50) assert_int_equal(p[i] > centre, i % 2 == 0);
            }
            // the nearest on each side: nothing was left out
            int below = sizes[b] == 50 ? 0 : 1;
            for (uint64_t c = (centre - 1) / two_n * two_n + 1; c > p[below]; c -= two_n)
                assert_false(vl_arith_is_prime(c));
            memcpy(avoid, p, sizeof p);
            assert_int_equal(vl_arith_primes(log_ns[a], sizes[b], avoid, 24, 24, p), VELUM_OK);
            for (int i = 0; i < 24; i++)
                for (int j = 0; j < 24; j++) assert_int_not_equal(p[i], avoid[j]);
        }
    uint64_t few[64];
    assert_int_equal(vl_arith_primes(16, 20, NULL, 0, 64, few), VELUM_E_LIMIT);
    assert_int_equal(vl_arith_primes(16, 51, NULL, 0, 1, few), VELUM_E_LIMIT);
}

static void roots(void **arg) {
    (void)arg;
    for (unsigned log_n = 4; log_n <= 8; log_n++) { // against a search from below
        uint64_t q = 0, n = (uint64_t)1 << log_n;
        for (q = 2 * n + 1; !vl_arith_is_prime(q); q += 2 * n) {
        }
        uint64_t root = 2;
        while (vl_arith_pow(root, n, q) != q - 1) root++;
        assert_int_equal(vl_arith_root(q, log_n), root);
    }
    uint64_t q;
    assert_int_equal(vl_arith_primes(17, 50, NULL, 0, 1, &q), VELUM_OK);
    assert_int_equal(vl_arith_pow(vl_arith_root(q, 17), 1 << 17, q), q - 1);
}

static void garner(void **arg) {
    (void)arg;
    for (uint32_t count = 1; count <= 3; count++) {
        uint64_t m[3], inv[9], r[3];
        assert_int_equal(vl_arith_primes(10, count == 3 ? 40 : 50, NULL, 0, count, m), VELUM_OK);
        vl_arith_garner_init(m, count, inv);
        i128 product = 1;
        for (uint32_t i = 0; i < count; i++) product *= m[i];
        for (int t = 0; t < 3000; t++) {
            i128 x = (i128)((u128)draw() << 64 | draw()) >> (2 + draw() % 120);
            if (t % 2) x = -x;
            x %= product;
            if (x > product / 2) x -= product;
            if (x < -(product / 2)) x += product;
            if (t == 0) x = product / 2;
            if (t == 1) x = -(product / 2);
            if (t == 2) x = 0;
            if (t == 3) x = -1;
            for (uint32_t i = 0; i < count; i++) {
                i128 v = x % (i128)m[i];
                r[i] = (uint64_t)(v < 0 ? v + (i128)m[i] : v);
            }
            double expected = (double)x; // the compiler rounds once, to nearest
            assert_true(vl_arith_garner_double(r, m, count, inv) == expected);
        }
    }
    uint64_t m[64], inv[64 * 64], r[64]; // small values in many residues
    assert_int_equal(vl_arith_primes(16, 45, NULL, 0, 64, m), VELUM_OK);
    vl_arith_garner_init(m, 64, inv);
    for (int t = 0; t < 50; t++) {
        int64_t x = (int64_t)draw() >> (draw() % 60);
        for (uint32_t i = 0; i < 64; i++) r[i] = vl_arith_from_i64(x, m[i]);
        assert_true(vl_arith_garner_double(r, m, 64, inv) == (double)x);
    }
}

int main(void) {
    const char *seed = getenv("VELUM_SEED");
    state = seed ? strtoull(seed, NULL, 0) : 20260101;
    fprintf(stderr, "VELUM_SEED=%llu\n", (unsigned long long)state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),       cmocka_unit_test(powers), cmocka_unit_test(primality),
        cmocka_unit_test(prime_lists), cmocka_unit_test(roots),  cmocka_unit_test(garner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
