// SPDX-License-Identifier: Apache-2.0
// Streams are pinned by digest, since seeded keys and queries depend on them. Statistics run on fixed seeds, so their
// bounds either hold or do not: nothing here fails by chance.
#include "base/frame.h"
#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef unsigned __int128 u128;

static vl_rng seeded(uint8_t first, uint64_t domain) {
    uint8_t seed[VL_SEED_BYTES] = {first};
    vl_rng rng;
    vl_rng_init_seed(&rng, seed, domain);
    return rng;
}

static void assert_digest(const void *data, size_t size, const char *expected) {
    uint8_t digest[VL_DIGEST_BYTES];
    char hex[2 * VL_DIGEST_BYTES + 1];
    vl_digest(data, size, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
}

// The stream itself

static void stream_is_chacha20(void **state) {
    (void)state;
    // Zero key and nonce: the first block of RFC 8439, A.1, test vector 1.
    const uint8_t block[] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53,
                             0x86, 0xbd, 0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36,
                             0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7, 0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48,
                             0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4,
                             0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86};
    uint8_t got[64];
    vl_rng rng = seeded(0, 0);
    vl_rng_bytes(&rng, got, sizeof got);
    assert_memory_equal(got, block, sizeof got);
    rng = seeded(0, 0);
    assert_true(vl_rng_u64(&rng) == UINT64_C(0x903df1a0ade0b876));
}

static void pieces_make_the_same_stream(void **state) {
    (void)state;
    enum { SIZE = 50000 };
    uint8_t *whole = vl_alloc(SIZE), *pieces = vl_alloc(SIZE);
    vl_rng rng = seeded(1, 2);
    vl_rng_bytes(&rng, whole, SIZE);
    assert_digest(whole, SIZE, "484f578d082f7e69c75d28b8aaa46d6dba8ee01aa9e461f9caf7b9612badb557");
    const size_t steps[] = {1, 7, 8, 63, 64, 4095, 4096, 4097, 9000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        rng = seeded(1, 2);
        memset(pieces, 0, SIZE);
        for (size_t at = 0; at < SIZE; at += steps[i])
            vl_rng_bytes(&rng, pieces + at, SIZE - at < steps[i] ? SIZE - at : steps[i]);
        assert_memory_equal(pieces, whole, SIZE);
    }
    rng = seeded(1, 2);
    vl_rng_bytes(&rng, pieces, 4091); // words across the end of the buffer
    for (size_t at = 4091; at + 8 <= SIZE; at += 8) {
        uint64_t word = vl_rng_u64(&rng);
        memcpy(pieces + at, &word, 8);
    }
    assert_memory_equal(pieces, whole, SIZE - 8);
    vl_rng_bytes(&rng, NULL, 0);
    vl_free(whole);
    vl_free(pieces);
}

static void streams_differ(void **state) {
    (void)state;
    vl_rng a = seeded(1, 0), b = seeded(1, 1), c = seeded(2, 0), d = seeded(1, UINT64_C(1) << 32);
    uint64_t words[4] = {vl_rng_u64(&a), vl_rng_u64(&b), vl_rng_u64(&c), vl_rng_u64(&d)};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) assert_true(words[i] != words[j]);

    uint8_t first[VL_SEED_BYTES], second[VL_SEED_BYTES];
    vl_seed_system(first);
    vl_seed_system(second);
    assert_memory_not_equal(first, second, sizeof first);
    vl_rng_init_system(&a);
    vl_rng_init_system(&b);
    assert_true(vl_rng_u64(&a) != vl_rng_u64(&b));
    vl_rng_clear(&a);
    for (size_t i = 0; i < sizeof a; i++) assert_int_equal(((uint8_t *)&a)[i], 0);
}

// Samplers

#define N 65536
static int8_t trits[N];
static int32_t small[N];
static int64_t wide[N];
static uint64_t residues[N];

static void uniform_residues(void **state) {
    (void)state;
    vl_rng rng = seeded(3, 0), raw = seeded(3, 0);
    const uint64_t q = UINT64_C(1125899904679937); // 2^50 less a little
    vl_rng_uniform(&rng, q, residues, N);
    for (size_t i = 0; i < N; i++) { // as the file format says: eight bytes a try, masked
        uint64_t v;
        do v = vl_rng_u64(&raw) & ((UINT64_C(1) << 50) - 1);
        while (v >= q);
        assert_true(residues[i] == v);
    }
    assert_digest(residues, sizeof residues, "7ee0d63bb9906a56fe0df6f154a022938eeba0f6071df4906c9338e4caa11287");

    size_t bins[7] = {0}; // 7 needs 3 bits; one try in eight is rejected
    vl_rng_uniform(&rng, 7, residues, N);
    for (size_t i = 0; i < N; i++) {
        assert_true(residues[i] < 7);
        bins[residues[i]]++;
    }
    double chi2 = 0, expected = N / 7.0;
    for (int i = 0; i < 7; i++) chi2 += (bins[i] - expected) * (bins[i] - expected) / expected;
    assert_true(chi2 < 22.5); // 6 degrees of freedom, 0.999

    vl_rng_uniform(&rng, 1, residues, 5);
    for (int i = 0; i < 5; i++) assert_true(residues[i] == 0);
    vl_rng_uniform(&rng, 2, residues, 64);
    for (int i = 0; i < 64; i++) assert_true(residues[i] < 2);
    vl_rng_uniform(&rng, UINT64_MAX, residues, 5);
    vl_rng_uniform(&rng, 5, residues, 0);
}

static void ternary(void **state) {
    (void)state;
    vl_rng rng = seeded(4, 0);
    vl_rng_ternary(&rng, trits, N);
    size_t bins[3] = {0}, pairs[9] = {0};
    for (size_t i = 0; i < N; i++) {
        assert_in_range(trits[i] + 1, 0, 2);
        bins[trits[i] + 1]++;
        if (i % 2) pairs[3 * (trits[i - 1] + 1) + trits[i] + 1]++;
    }
    double chi2 = 0, chi2_pairs = 0, e = N / 3.0, e2 = N / 18.0;
    for (int i = 0; i < 3; i++) chi2 += (bins[i] - e) * (bins[i] - e) / e;
    for (int i = 0; i < 9; i++) chi2_pairs += (pairs[i] - e2) * (pairs[i] - e2) / e2;
    assert_true(chi2 < 13.8);       // 2 degrees of freedom, 0.999
    assert_true(chi2_pairs < 26.1); // 8
    assert_digest(trits, sizeof trits, "819e0e8f44132f4e6b6c055ed24b27dd87562eb7cd683f2b41467c9a03c37c7e");
}

static void sparse_has_its_weight(void **state) {
    (void)state;
    vl_rng rng = seeded(5, 0);
    const size_t n_of[] = {1, 2, 16, 1000, N}, h_of[] = {0, 1, 2, 16, 32, 192, 256};
    for (size_t a = 0; a < sizeof n_of / sizeof *n_of; a++)
        for (size_t b = 0; b < sizeof h_of / sizeof *h_of; b++) {
            memset(trits, 3, sizeof trits);
            velum_status status = vl_rng_ternary_sparse(&rng, trits, n_of[a], h_of[b]);
            assert_int_equal(status, h_of[b] <= n_of[a] ? VELUM_OK : VELUM_E_USAGE);
            size_t weight = 0;
            for (size_t i = 0; i < n_of[a]; i++) {
                if (status == VELUM_OK) assert_in_range(trits[i] + 1, 0, 2);
                if (status != VELUM_OK) assert_int_equal(trits[i], 3);
                weight += trits[i] != 0;
            }
            if (status == VELUM_OK) assert_int_equal(weight, h_of[b]);
            if (n_of[a] < N) assert_int_equal(trits[n_of[a]], 3);
        }
}

static void sparse_is_uniform(void **state) {
    (void)state;
    vl_rng rng = seeded(6, 0);
    enum { POSITIONS = 8, WEIGHT = 3, SUBSETS = 56, RUNS = 56000 };
    size_t subset[256] = {0}, minus[POSITIONS] = {0}, signs = 0;
    for (int run = 0; run < RUNS; run++) {
        int8_t v[POSITIONS];
        assert_int_equal(vl_rng_ternary_sparse(&rng, v, POSITIONS, WEIGHT), VELUM_OK);
        unsigned set = 0;
        for (int i = 0; i < POSITIONS; i++) {
            set |= (unsigned)(v[i] != 0) << i;
            minus[i] += v[i] < 0;
            signs += v[i] < 0;
        }
        subset[set]++;
    }
    double chi2 = 0, e = (double)RUNS / SUBSETS, chi2_minus = 0, e_minus = RUNS * 3 / 16.0;
    int seen = 0;
    for (int i = 0; i < 256; i++)
        if (subset[i]) {
            chi2 += (subset[i] - e) * (subset[i] - e) / e;
            seen++;
        }
    for (int i = 0; i < POSITIONS; i++) chi2_minus += (minus[i] - e_minus) * (minus[i] - e_minus) / e_minus;
    assert_int_equal(seen, SUBSETS);
    assert_true(chi2 < 93.2); // 55 degrees of freedom, 0.999
    assert_true(chi2_minus < 26.1);
    assert_true(fabs(signs - RUNS * 1.5) < 4 * sqrt(RUNS * 0.75));
    vl_rng pin = seeded(7, 0);
    assert_int_equal(vl_rng_ternary_sparse(&pin, trits, N, 192), VELUM_OK);
    assert_digest(trits, sizeof trits, "a8862af2730911b9c2648f1261869f2724715b7399789dfc7ddc7e3ed65f7d5d");
}

// The Gaussian table in 128-bit fixed point: fractions of 2^127.

static u128 times(u128 a, u128 b) {
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    u128 low = (u128)a0 * b0 >> 64, mid = (u128)a1 * b0, mid2 = (u128)a0 * b1;
    u128 carry = (low + (uint64_t)mid + (uint64_t)mid2) >> 64;
    return ((u128)a1 * b1 + (mid >> 64) + (mid2 >> 64) + carry) << 1; // the lowest bit is lost
}

#define ONE ((u128)1 << 127)
#define POINTS 64

// rho[k] = exp(-k^2 / 20.3522), 20.3522 = 2 * 3.19^2
static void fill_rho(u128 *rho) {
    u128 x = ONE / 203522 * 10000 + ONE % 203522 * 10000 / 203522, step = ONE;
    for (unsigned i = 40; i >= 1; i--) step = ONE - times(x, step) / i; // exp(-x) by Horner's rule
    u128 square = times(step, step), odd = step;                        // odd = step^(2k-1)
    rho[0] = ONE;
    for (unsigned k = 1; k < POINTS; k++) {
        rho[k] = times(rho[k - 1], odd);
        odd = times(odd, square);
    }
}

// 2^64 a / b rounded, a < b < 2^127
static uint64_t ratio64(u128 a, u128 b) {
    uint64_t quotient = 0;
    for (int i = 0; i < 64; i++) {
        a <<= 1;
        quotient = quotient << 1 | (a >= b);
        if (a >= b) a -= b;
    }
    return quotient + (2 * a >= b);
}

// tail[k] = 2^64 P(|x| > k)
static void fill_tail(uint64_t *tail) {
    u128 rho[POINTS], sum[POINTS + 1] = {0}; // halved and divided by 8 so that the total stays below 2^127
    fill_rho(rho);
    for (int k = POINTS - 1; k >= 1; k--) sum[k] = sum[k + 1] + rho[k] / 8;
    u128 total = rho[0] / 16 + sum[1]; // half of all
    for (int k = 0; k < POINTS - 1; k++) tail[k] = ratio64(sum[k + 1], total);
}

// The sampler must do exactly what its contract says of the stream, with the table computed here.
static void gaussian_follows_the_table(void **state) {
    (void)state;
    uint64_t tail[POINTS];
    fill_tail(tail);
    assert_true(tail[28] == 6 && tail[29] == 0);
    vl_rng rng = seeded(8, 0), raw = seeded(8, 0);
    vl_rng_gaussian(&rng, small, N);
    for (size_t i = 0; i < N;) {
        uint64_t signs = vl_rng_u64(&raw);
        for (size_t k = 0; k < 64; k++, i++) {
            uint64_t u = vl_rng_u64(&raw);
            int32_t x = 0;
            while (u < tail[x]) x++;
            assert_int_equal(small[i], signs >> k & 1 ? -x : x);
        }
    }
    assert_digest(small, sizeof small, "5810e556272bb064549a52b516f632a722c2b8dac5c539031c499124738f4526");
}

// The same through the file's own table, for entries that draws never reach.
static void table_is_exact(void **state) {
    (void)state;
    uint64_t tail[POINTS];
    fill_tail(tail);
    for (int k = 0; k < VL_GAUSSIAN_TAIL; k++) assert_true(vl_rng_gaussian_tail[k] == tail[k]);
    assert_true(tail[VL_GAUSSIAN_TAIL] == 0);
    // and against the host's own exponential
    long double total = 1, above;
    for (int k = 1; k < POINTS; k++) total += 2 * expl(-k * k / 20.3522L);
    for (int k = 0; k < VL_GAUSSIAN_TAIL; k++) {
        above = 0;
        for (int i = POINTS - 1; i > k; i--) above += 2 * expl(-i * i / 20.3522L);
        assert_true(fabsl(above / total * 0x1p64L - (long double)tail[k]) < 64);
    }
}

static void gaussian_statistics(void **state) {
    (void)state;
    vl_rng rng = seeded(9, 0);
    enum { ROUNDS = 16, EDGE = 12 };
    double sum = 0, square = 0, total = 1, chi2 = 0;
    size_t bins[2 * EDGE + 1] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        vl_rng_gaussian(&rng, small, N);
        for (size_t i = 0; i < N; i++) {
            assert_true(small[i] >= -VL_GAUSSIAN_TAIL && small[i] <= VL_GAUSSIAN_TAIL);
            sum += small[i];
            square += (double)small[i] * small[i];
            int bin = small[i] < -EDGE ? -EDGE : small[i] > EDGE ? EDGE : small[i];
            bins[bin + EDGE]++;
        }
    }
    const double count = (double)N * ROUNDS, variance = 3.19 * 3.19;
    assert_true(fabs(sum / count) < 4 * 3.19 / sqrt(count));
    assert_true(fabs(square / count - variance) < 4 * variance * sqrt(2 / count));
    for (int k = 1; k < 60; k++) total += 2 * exp(-k * k / (2 * variance));
    for (int k = -EDGE; k <= EDGE; k++) {
        double p = exp(-k * k / (2 * variance)) / total;
        if (k == EDGE || k == -EDGE)
            for (int i = EDGE + 1; i < 60; i++) p += exp(-i * i / (2 * variance)) / total;
        double e = p * count, d = bins[k + EDGE] - e;
        chi2 += d * d / e;
    }
    assert_true(chi2 < 51.2);          // 24 degrees of freedom, 0.999
    for (size_t n = 0; n < 130; n++) { // ragged ends
        small[n] = 12345;
        vl_rng_gaussian(&rng, small, n);
        assert_int_equal(small[n], 12345);
    }
}

static double normal_below(double x) { return 0.5 * erfc(-x / sqrt(2)); }

static void wide_statistics(void **state) {
    (void)state;
    const double sigmas[] = {3.19, 17.3, 1e4, 0x1p30, 0x1p45};
    vl_rng rng = seeded(10, 0);
    for (size_t t = 0; t < sizeof sigmas / sizeof *sigmas; t++) {
        enum { BINS = 16, ROUNDS = 4 };
        double sigma = sigmas[t], sum = 0, square = 0, together = 0, chi2 = 0, worst = 0;
        size_t bins[BINS] = {0};
        int64_t edge[BINS - 1];
        for (int i = 0; i < BINS - 1; i++) edge[i] = (int64_t)llrint(sigma * 0.3 * (i - 7));
        for (int round = 0; round < ROUNDS; round++) {
            vl_rng_gaussian_wide(&rng, wide, N, sigma);
            for (size_t i = 0; i < N; i++) {
                double x = (double)wide[i] / sigma;
                sum += x;
                square += x * x;
                if (i % 2) together += x * ((double)wide[i - 1] / sigma);
                worst = fmax(worst, fabs(x));
                int bin = 0;
                while (bin < BINS - 1 && wide[i] > edge[bin]) bin++;
                bins[bin]++;
            }
        }
        const double count = (double)N * ROUNDS;
        double variance = 1 + 1 / (12 * sigma * sigma); // rounding adds 1/12
        assert_true(fabs(sum / count) < 4 / sqrt(count));
        assert_true(fabs(square / count - variance) < 4 * sqrt(2 / count));
        assert_true(fabs(together / (count / 2)) < 4 / sqrt(count / 2)); // the two of a pair are not correlated
        assert_true(worst > 3.5 && worst < 6.5);
        double before = 0;
        for (int i = 0; i < BINS; i++) {
            double upto = i == BINS - 1 ? 1 : normal_below(((double)edge[i] + 0.5) / sigma);
            double e = (upto - before) * count, d = bins[i] - e;
            chi2 += d * d / e;
            before = upto;
        }
        if (chi2 >= 37.7) fail_msg("sigma %g: chi-square %g", sigma, chi2); // 15 degrees of freedom, 0.999
    }
    wide[7] = 5;
    vl_rng_gaussian_wide(&rng, wide, 7, 100);
    assert_true(wide[7] == 5);
    vl_rng_gaussian_wide(&rng, wide, 100, 0);
    for (int i = 0; i < 100; i++) assert_true(wide[i] == 0);
}

// The method itself, against the host's logarithm and sines.
static void wide_is_box_muller(void **state) {
    (void)state;
    vl_rng rng = seeded(11, 0), raw = seeded(11, 0);
    const double sigma = 0x1p45;
    vl_rng_gaussian_wide(&rng, wide, N, sigma);
    for (size_t i = 0; i < N; i += 2) {
        uint64_t a = vl_rng_u64(&raw), b = vl_rng_u64(&raw);
        long double radius = sigma * sqrtl(-2 * logl((long double)(a >> 1 | 1) * 0x1p-63L));
        // quadrant, and the rest as a signed 62-bit fraction
        long double turn = ((long double)(b >> 62) + (long double)(int64_t)(b << 2) * 0x1p-64L) / 4;
        long double angle = 2 * acosl(-1) * turn;
        assert_true(fabsl((long double)wide[i] - radius * cosl(angle)) < 2);
        assert_true(fabsl((long double)wide[i + 1] - radius * sinl(angle)) < 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_is_chacha20),
        cmocka_unit_test(pieces_make_the_same_stream),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniform_residues),
        cmocka_unit_test(ternary),
        cmocka_unit_test(sparse_has_its_weight),
        cmocka_unit_test(sparse_is_uniform),
        cmocka_unit_test(table_is_exact),
        cmocka_unit_test(gaussian_follows_the_table),
        cmocka_unit_test(gaussian_statistics),
        cmocka_unit_test(wide_statistics),
        cmocka_unit_test(wide_is_box_muller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
