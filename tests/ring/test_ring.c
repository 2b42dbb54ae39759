// SPDX-License-Identifier: Apache-2.0
// Ring operations against 128-bit integers and naive negacyclic products, for every kernel family, 1 and 2 threads.
#include "ring/ring.h"

#include "arith/arith.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define OK(expr) assert_int_equal((expr), VELUM_OK)
typedef __int128 i128;

typedef struct setting {
    vl_ring ring;
    vl_exec x;
    uint64_t seed;
} setting;

static void open_setting(setting *s, unsigned log_n, uint32_t nq, uint32_t np, unsigned bits, const vl_kernels *k,
                         unsigned threads) {
    uint64_t primes[VL_MAX_LIMBS];
    OK(vl_arith_primes(log_n, bits, NULL, 0, nq + np, primes));
    OK(vl_ring_init(&s->ring, log_n, primes, nq, primes + nq, np, k));
    OK(vl_exec_init(&s->x, threads, vl_ring_scratch(&s->ring, nq, np) + vl_ring_mix_scratch(7, 147)));
    s->seed = 1;
}

static void close_setting(setting *s) {
    assert_int_equal(s->x.arena.used, 0);
    vl_exec_clear(&s->x);
    vl_ring_clear(&s->ring);
}

static vl_poly noise(setting *s, uint32_t nq, uint32_t np) {
    vl_poly a;
    uint8_t seed[VL_SEED_BYTES] = {(uint8_t)s->seed++};
    OK(vl_poly_new(&s->ring, nq, np, &a));
    vl_ring_uniform(&s->x, &s->ring, a, seed, 0);
    return a;
}

static uint64_t at(setting *s, vl_poly a, uint32_t i, size_t k) { return vl_poly_limb(&s->ring, a, i)[k]; }
static uint64_t q_of(setting *s, vl_poly a, uint32_t i) { return vl_poly_modulus(&s->ring, a, i)->q; }

typedef void (*check_fn)(setting *s);
static void everywhere(unsigned log_n, uint32_t nq, uint32_t np, unsigned bits, check_fn check) {
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            setting s;
            open_setting(&s, log_n, nq, np, bits, *k, threads);
            check(&s);
            close_setting(&s);
        }
}

#define EACH(d, word)                                                                                                  \
    for (uint32_t i = 0; i < (uint32_t)(d).nq + (d).np; i++)                                                           \
        for (size_t k = 0; k < s->ring.n; k++) assert_true(at(s, d, i, k) == (word))

static void check_limbwise(setting *s) {
    const vl_ring *ring = &s->ring;
    vl_poly a = noise(s, 3, 2), b = noise(s, 3, 2), d = noise(s, 3, 2), e = noise(s, 3, 2);
#define Q q_of(s, d, i)
#define W(p) at(s, p, i, k)
    vl_ring_add(&s->x, ring, d, a, b);
    EACH(d, (W(a) + W(b)) % Q);
    vl_ring_sub(&s->x, ring, d, a, b);
    EACH(d, (W(a) + Q - W(b)) % Q);
    vl_ring_neg(&s->x, ring, d, a);
    EACH(d, (Q - W(a)) % Q);
    vl_ring_mul(&s->x, ring, d, a, b);
    EACH(d, vl_arith_mul(W(a), W(b), Q));
    vl_ring_copy(&s->x, ring, e, d);
    vl_ring_mul_add(&s->x, ring, d, a, b);
    EACH(d, (2 * W(e)) % Q);
    static const int64_t scalars[] = {0, 1, -1, 12345678901, -(INT64_C(1) << 62) + 1, (INT64_C(1) << 62) - 1};
    for (size_t t = 0; t < sizeof scalars / sizeof *scalars; t++) {
        vl_ring_mul_i64(&s->x, ring, d, a, scalars[t]);
        EACH(d, vl_arith_mul(W(a), vl_arith_from_i64(scalars[t], Q), Q));
        vl_ring_mul_i64_add(&s->x, ring, d, a, scalars[t]);
        EACH(d, vl_arith_mul(W(a), 2 * vl_arith_from_i64(scalars[t], Q) % Q, Q));
        vl_ring_add_i64(&s->x, ring, d, a, scalars[t]);
        EACH(d, (W(a) + vl_arith_from_i64(scalars[t], Q)) % Q);
    }
    uint64_t residues[5];
    for (uint32_t i = 0; i < 5; i++) residues[i] = Q - 1 - i;
    vl_ring_mul_residues(&s->x, ring, d, a, residues);
    EACH(d, vl_arith_mul(W(a), residues[i], Q));
    vl_ring_mul_residues_add(&s->x, ring, d, a, residues);
    EACH(d, vl_arith_mul(W(a), 2 * residues[i] % Q, Q));
    vl_ring_add_residues(&s->x, ring, d, a, residues);
    EACH(d, (W(a) + residues[i]) % Q);
    // fewer limbs than the sources have: P keeps its place
    vl_poly few = {d.x, 2, 2}, only = {d.x, 2, 0};
    vl_ring_add(&s->x, ring, few, a, b);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t from = i < 2 ? i : i + 1;
        uint64_t q = q_of(s, few, i);
        for (size_t k = 0; k < ring->n; k++)
            assert_true(at(s, few, i, k) == (at(s, a, from, k) + at(s, b, from, k)) % q);
    }
    vl_ring_sub(&s->x, ring, only, a, vl_poly_prefix(b, 3));
    EACH(only, (W(a) + Q - W(b)) % Q);
    vl_ring_zero(ring, d);
    EACH(d, 0);
    vl_poly_free(&a);
    vl_poly_free(&b);
    vl_poly_free(&d);
    vl_poly_free(&e);
}

static void check_sums(setting *s) {
    const vl_ring *ring = &s->ring;
    enum { COUNT = 64, MANY = 1024, ROWS = 7 };
    vl_poly a[COUNT], b[COUNT], c[COUNT], d0 = noise(s, 2, 1), d1 = noise(s, 2, 1), many[MANY];
    int64_t scalars[MANY];
    for (int j = 0; j < COUNT; j++) {
        a[j] = noise(s, 2, 1);
        b[j] = noise(s, 2, 1);
        c[j] = noise(s, 2, 1);
    }
    for (int j = 0; j < MANY; j++) {
        many[j] = j % 2 ? a[j % COUNT] : b[j % COUNT];
        scalars[j] = (int64_t)(j + 1) * INT64_C(3000000000000001) * (j % 3 ? 1 : -1);
    }
    for (uint32_t count = 1; count <= COUNT; count += 21) {
        vl_ring_dot2(&s->x, ring, d0, d1, a, b, c, count);
        for (uint32_t i = 0; i < 3; i++)
            for (size_t k = 0; k < ring->n; k++) {
                uint64_t q = q_of(s, d0, i), x = 0, y = 0;
                for (uint32_t j = 0; j < count; j++) {
                    x = (x + vl_arith_mul(at(s, a[j], i, k), at(s, b[j], i, k), q)) % q;
                    y = (y + vl_arith_mul(at(s, a[j], i, k), at(s, c[j], i, k), q)) % q;
                }
                assert_true(at(s, d0, i, k) == x && at(s, d1, i, k) == y);
            }
        vl_ring_dot(&s->x, ring, d0, a, c, count);
        EACH(d0, W(d1));
    }
    for (uint32_t count = 1; count <= MANY; count += count < 100 ? 33 : 500) {
        vl_ring_dot_i64(&s->x, ring, d0, many, scalars, count);
        for (uint32_t i = 0; i < 3; i++)
            for (size_t k = 0; k < ring->n; k++) {
                uint64_t q = q_of(s, d0, i), x = 0;
                for (uint32_t j = 0; j < count; j++)
                    x = (x + vl_arith_mul(at(s, many[j], i, k), vl_arith_from_i64(scalars[j], q), q)) % q;
                assert_true(at(s, d0, i, k) == x);
            }
    }
    vl_poly e[ROWS]; // the first count * rows scalars as a matrix
    for (uint32_t r = 0; r < ROWS; r++) e[r] = noise(s, 2, 1);
    for (uint32_t rows = 1; rows <= ROWS; rows += 3)
        for (uint32_t count = 1; count <= MANY / ROWS; count += 71) {
            vl_ring_mix_i64(&s->x, ring, e, rows, many, scalars, count);
            for (uint32_t r = 0; r < rows; r++) {
                vl_ring_dot_i64(&s->x, ring, d0, many, scalars + r * count, count);
                EACH(d0, W(e[r]));
            }
        }
    vl_ring_mix_i64(&s->x, ring, &(vl_poly){e[0].x, 1, 1}, 1, many, scalars, 5); // fewer limbs than the sources have
    vl_ring_dot_i64(&s->x, ring, d0, many, scalars, 5);
    assert_memory_equal(e[0].x, d0.x, ring->n * sizeof(uint64_t));
    assert_memory_equal(vl_poly_limb(ring, e[0], 1), vl_poly_limb(ring, d0, 2), ring->n * sizeof(uint64_t));
    for (uint32_t r = 0; r < ROWS; r++) vl_poly_free(&e[r]);
    vl_poly t[3] = {noise(s, 2, 1), noise(s, 2, 1), noise(s, 2, 1)};
    vl_ring_tensor(&s->x, ring, t, a, b);
    for (uint32_t i = 0; i < 3; i++)
        for (size_t k = 0; k < ring->n; k++) {
            uint64_t q = q_of(s, t[0], i), a0 = at(s, a[0], i, k), a1 = at(s, a[1], i, k), b0 = at(s, b[0], i, k),
                     b1 = at(s, b[1], i, k);
            assert_true(at(s, t[0], i, k) == vl_arith_mul(a0, b0, q));
            assert_true(at(s, t[1], i, k) == (vl_arith_mul(a0, b1, q) + vl_arith_mul(a1, b0, q)) % q);
            assert_true(at(s, t[2], i, k) == vl_arith_mul(a1, b1, q));
        }
    for (int j = 0; j < COUNT; j++) {
        vl_poly_free(&a[j]);
        vl_poly_free(&b[j]);
        vl_poly_free(&c[j]);
    }
    for (int j = 0; j < 3; j++) vl_poly_free(&t[j]);
    vl_poly_free(&d0);
    vl_poly_free(&d1);
}

// NTT(a) NTT(b) transformed back is the negacyclic product; an automorphism is X -> X^g.
static void check_transforms(setting *s) {
    const vl_ring *ring = &s->ring;
    size_t n = ring->n;
    int64_t *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b), *r = calloc(n, sizeof *r);
    for (size_t k = 0; k < n; k++) {
        a[k] = (int64_t)(k * k * 7 % 1000003) - 500000;
        b[k] = (int64_t)(k * 13 % 100003) * -1 + 50000;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) r[(i + j) % n] += i + j < n ? a[i] * b[j] : -a[i] * b[j];
    vl_poly pa = noise(s, 2, 1), pb = noise(s, 2, 1), pr = noise(s, 2, 1), pd = noise(s, 2, 1);
    vl_ring_from_i64(&s->x, ring, pa, a);
    vl_ring_from_i64(&s->x, ring, pb, b);
    vl_ring_from_i64(&s->x, ring, pr, r);
    vl_ring_ntt(&s->x, ring, pa, pa);
    vl_ring_ntt(&s->x, ring, pb, pb);
    vl_ring_mul(&s->x, ring, pd, pa, pb);
    vl_ring_intt(&s->x, ring, pd, pd);
    EACH(pd, W(pr));
    static const uint64_t galois[] = {1, 3, 5, 25, 31};
    for (size_t t = 0; t < sizeof galois / sizeof *galois; t++) {
        vl_automorphism g;
        OK(vl_automorphism_init(&g, ring->log_n, galois[t]));
        vl_ring_automorphism(&s->x, ring, &g, pd, pa);
        vl_ring_intt(&s->x, ring, pd, pd);
        for (size_t k = 0; k < n; k++) {
            size_t to = k * galois[t] % (2 * n);
            r[to % n] = to < n ? a[k] : -a[k];
        }
        vl_ring_from_i64(&s->x, ring, pr, r);
        EACH(pd, W(pr));
        vl_automorphism_clear(&g);
    }
    vl_poly_free(&pa);
    vl_poly_free(&pb);
    vl_poly_free(&pr);
    vl_poly_free(&pd);
    free(a);
    free(b);
    free(r);
}

// x in [0, q0 q1 q2) from its residues (the primes are small enough for 128 bits)
static i128 combine(setting *s, vl_poly a, size_t k) {
    i128 x = at(s, a, 0, k), product = (i128)q_of(s, a, 0);
    for (uint32_t i = 1; i < a.nq; i++) {
        uint64_t q = q_of(s, a, i), have = (uint64_t)(x % q), step = (uint64_t)(product % q);
        uint64_t t = vl_arith_mul((at(s, a, i, k) + q - have) % q, vl_arith_inv(step, q), q);
        x += product * t;
        product *= q;
    }
    return x;
}

static void check_rescale(setting *s) {
    const vl_ring *ring = &s->ring;
    for (uint32_t nq = 2; nq <= 3; nq++) {
        vl_poly a = noise(s, nq, 0), d = noise(s, nq - 1, 0), t = noise(s, nq, 0);
        for (uint32_t i = 0; i < nq; i++) // ends of the ranges, too
            for (size_t k = 0; k < 4; k++) {
                uint64_t q = q_of(s, a, i), ends[4] = {0, q / 2, q / 2 + 1, q - 1};
                vl_poly_limb(ring, a, i)[k] = ends[k];
            }
        vl_ring_ntt(&s->x, ring, t, a);
        vl_ring_rescale(&s->x, ring, d, t);
        vl_poly same = vl_poly_prefix(t, nq - 1);
        vl_ring_rescale(&s->x, ring, same, t);
        EACH(d, W(same));
        vl_ring_intt(&s->x, ring, d, d);
        uint64_t last = q_of(s, a, nq - 1);
        for (size_t k = 0; k < ring->n; k++) {
            i128 rounded = (combine(s, a, k) + last / 2) / last; // last is odd: no ties
            for (uint32_t i = 0; i + 1 < nq; i++) assert_true(at(s, d, i, k) == (uint64_t)(rounded % q_of(s, d, i)));
        }
        vl_poly_free(&a);
        vl_poly_free(&d);
        vl_poly_free(&t);
    }
}

// Limb i of a uniform polynomial depends on its modulus alone: prefixes agree, and P keeps its streams.
static void check_uniform(setting *s) {
    const vl_ring *ring = &s->ring;
    uint8_t seed[VL_SEED_BYTES] = {9};
    vl_poly full = noise(s, 3, 2), few = noise(s, 1, 2);
    vl_ring_uniform(&s->x, ring, full, seed, 64);
    vl_ring_uniform(&s->x, ring, few, seed, 64);
    size_t limb = ring->n * sizeof(uint64_t);
    assert_memory_equal(full.x, few.x, limb);
    assert_memory_equal(vl_poly_limb(ring, full, 3), vl_poly_limb(ring, few, 1), 2 * limb);
    assert_memory_not_equal(vl_poly_limb(ring, full, 0), vl_poly_limb(ring, full, 1), limb);
    for (uint32_t i = 0; i < 5; i++) {
        vl_rng rng;
        uint64_t *want = calloc(ring->n, sizeof *want), q = q_of(s, full, i);
        vl_rng_init_seed(&rng, seed, 64 + i);
        vl_rng_uniform(&rng, q, want, ring->n);
        assert_memory_equal(vl_poly_limb(ring, full, i), want, limb);
        for (size_t k = 0; k < ring->n; k++) assert_true(want[k] < q);
        free(want);
    }
    vl_poly_free(&full);
    vl_poly_free(&few);
}

static void limbwise(void **state) {
    (void)state;
    everywhere(4, 3, 2, 50, check_limbwise);
    everywhere(8, 3, 2, 34, check_limbwise);
}
static void sums(void **state) {
    (void)state;
    everywhere(5, 2, 1, 50, check_sums);
    everywhere(4, 2, 1, 30, check_sums);
}
static void transforms(void **state) {
    (void)state;
    everywhere(4, 2, 1, 49, check_transforms);
    everywhere(9, 2, 1, 45, check_transforms);
}
static void rescale(void **state) {
    (void)state;
    everywhere(4, 3, 0, 40, check_rescale);
    everywhere(10, 3, 0, 42, check_rescale);
}
static void uniform(void **state) {
    (void)state;
    everywhere(6, 3, 2, 45, check_uniform);
}

static void count_item(void *arg, size_t item, uint32_t slot) {
    uint32_t *seen = arg;
    assert_true(slot < 3);
    seen[item]++; // each item once: no two threads meet here
}

static void execution(void **state) {
    (void)state;
    vl_exec x;
    OK(vl_exec_init(&x, 3, 1024));
    assert_int_equal(vl_exec_slots(&x, 100, 0), 3);
    assert_int_equal(vl_exec_slots(&x, 2, 64), 2);
    assert_int_equal(vl_exec_slots(&x, 100, 512), 2);
    assert_int_equal(vl_exec_slots(&x, 100, 4096), 1);
    assert_int_equal(vl_exec_slots(&x, 0, 0), 1);
    uint32_t seen[500] = {0};
    vl_exec_each(&x, 3, 500, count_item, seen);
    for (int i = 0; i < 500; i++) assert_int_equal(seen[i], 1);
    vl_exec_clear(&x);
}

static void bad_rings(void **state) {
    (void)state;
    vl_ring ring;
    uint64_t primes[3];
    OK(vl_arith_primes(6, 40, NULL, 0, 3, primes));
    assert_int_equal(vl_ring_init(&ring, 3, primes, 3, NULL, 0, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_ring_init(&ring, 6, primes, 0, primes, 3, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_ring_init(&ring, 6, primes, 3, primes, VL_MAX_LIMBS - 2, NULL), VELUM_E_LIMIT);
    primes[2]++;
    assert_int_not_equal(vl_ring_init(&ring, 6, primes, 3, NULL, 0, NULL), VELUM_OK);
}

// What is taken keeps its bytes; the last page, which is not whole, is there too.
static void touching_an_arena(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 2; threads++) {
        vl_exec x;
        OK(vl_exec_init(&x, threads, ((size_t)5 << 20) + 192));
        uint8_t *taken = vl_arena_take(&x.arena, 3 << 20);
        memset(taken, 0xa5, 3 << 20);
        vl_exec_touch(&x);
        for (size_t k = 0; k < 3 << 20; k++) assert_int_equal(taken[k], 0xa5);
        assert_int_equal(x.arena.used, 3 << 20);
        vl_arena_release(&x.arena, 0);
        vl_exec_clear(&x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limbwise),   cmocka_unit_test(sums),
        cmocka_unit_test(transforms), cmocka_unit_test(rescale),
        cmocka_unit_test(uniform),    cmocka_unit_test(execution),
        cmocka_unit_test(bad_rings),  cmocka_unit_test(touching_an_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
