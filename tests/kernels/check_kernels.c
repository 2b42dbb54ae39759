// SPDX-License-Identifier: Apache-2.0
// Every kernel of every family that this CPU has, byte for byte against the reference; the reference against the
// definitions. VELUM_SEED repeats a run; --bench [log_n [part of a name]] times
// the kernels.
#include "test.h"

#include "arith/arith.h"
#include "kernels/kernel_data.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

static const vl_kernels *const *families(void) { return vl_kernels_available(); }

#define MAX_PRIMES 12
// Extremes and thresholds: below 2^50, around the largest q whose NTT needs no reduction, mid sizes, near 2^30.
static unsigned primes_for(unsigned log_n, uint64_t *out) {
    const uint64_t one = 1, free_limit = one << 46;
    const uint64_t limits[] = {(one << 50) - 1, (one << 50) - (one << 47),
                               free_limit,      free_limit + (one << 34),
                               one << 45,       one << 40,
                               one << 36,       one << 33,
                               one << 32,       one << 30};
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        uint64_t p = kernel_prime_below(limits[i], log_n);
        if (p != 0) out[count++] = p;
    }
    return count;
}

static void check_equal(const char *what, const vl_kernels *k, const vl_modulus *m, const uint64_t *a,
                        const uint64_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            fail_msg("%s/%s: q=%llu log_n=%u word %zu of %zu: %llu, expected %llu", k->name, what,
                     (unsigned long long)m->q, m->log_n, i, n, (unsigned long long)a[i], (unsigned long long)b[i]);
}

// --- transforms ---

static void naive_ntt(const vl_modulus *m, const uint32_t *exponent, uint64_t *dst, const uint64_t *src) {
    uint32_t n = (uint32_t)1 << m->log_n;
    for (uint32_t pos = 0; pos < n; pos++) {
        uint64_t x = vl_arith_pow(m->psi, exponent[pos], m->q), sum = 0;
        for (uint32_t i = n; i-- > 0;) sum = vl_arith_add(vl_arith_mul(sum, x, m->q), src[i], m->q);
        dst[pos] = sum;
    }
}

static void ntt_of_one_prime(unsigned log_n, uint64_t q) {
    const size_t n = (size_t)1 << log_n;
    vl_modulus ref;
    assert_int_equal(vl_modulus_init(&ref, q, log_n, *families()), VELUM_OK);
    uint64_t *a = kernel_limb(n), *x = kernel_limb(n), *y = kernel_limb(n), *back = kernel_limb(n);
    uint32_t *exponent = malloc(n * sizeof *exponent);
    vl_kernels_exponents(log_n, exponent);
    for (unsigned fill = 0; fill < FILL_KINDS; fill++) {
        const uint64_t scalar = fill == FILL_MAX ? q - 1 : kernel_draw() % q;
        kernel_words(a, n, q, (kernel_fill)fill);
        ref.k->ntt_forward(&ref, x, a);
        if (log_n <= 8) {
            naive_ntt(&ref, exponent, y, a);
            check_equal("ntt_forward", ref.k, &ref, x, y, n);
        }
        ref.k->ntt_inverse(&ref, back, x, scalar);
        for (size_t i = 0; i < n; i++) assert_int_equal(back[i], vl_arith_mul(a[i], scalar, q));
        // words that are no transform of small things: the inverse of arbitrary residues
        ref.k->ntt_inverse(&ref, back, a, scalar);
        for (const vl_kernels *const *k = families() + 1; *k != NULL; k++) {
            vl_modulus m;
            assert_int_equal(vl_modulus_init(&m, q, log_n, *k), VELUM_OK);
            (*k)->ntt_forward(&m, y, a);
            check_equal("ntt_forward", *k, &m, y, x, n);
            memcpy(y, a, n * 8);
            (*k)->ntt_forward(&m, y, y);
            check_equal("ntt_forward in place", *k, &m, y, x, n);
            (*k)->ntt_inverse(&m, y, a, scalar);
            check_equal("ntt_inverse", *k, &m, y, back, n);
            memcpy(y, a, n * 8);
            (*k)->ntt_inverse(&m, y, y, scalar);
            check_equal("ntt_inverse in place", *k, &m, y, back, n);
            vl_modulus_clear(&m);
        }
        assert_true(kernel_limb_guards(x) && kernel_limb_guards(y));
    }
    free(exponent);
    assert_true(kernel_limb_free(a) && kernel_limb_free(x) && kernel_limb_free(y) && kernel_limb_free(back));
    vl_modulus_clear(&ref);
}

static void ntt(void **arg) {
    (void)arg;
    for (unsigned log_n = VL_MIN_LOG_N; log_n <= VL_MAX_LOG_N; log_n++) {
        uint64_t q[MAX_PRIMES];
        unsigned count = primes_for(log_n, q);
        for (unsigned i = 0; i < count; i++)
            if (log_n < 14 || i % 3 == log_n % 3 || i < 3) ntt_of_one_prime(log_n, q[i]);
    }
}

// Rows of primes below both thresholds, in every way that the last stages are divided.
static void ntt_of_many_primes(void **arg) {
    (void)arg;
    const unsigned degrees[] = {6, 8, 9, 10, 11, 13};
    for (unsigned d = 0; d < sizeof degrees / sizeof *degrees; d++)
        for (unsigned bits = 46; bits <= 50; bits += 4) {
            uint64_t q = (uint64_t)1 << bits;
            for (unsigned i = 0; i < 12; i++) {
                q = kernel_prime_below(q - 1, degrees[d]);
                ntt_of_one_prime(degrees[d], q);
            }
        }
}

static void exponents(void **arg) {
    (void)arg;
    for (unsigned log_n = VL_MIN_LOG_N; log_n <= VL_MAX_LOG_N; log_n++) {
        const uint32_t n = (uint32_t)1 << log_n;
        uint32_t *e = malloc(n * sizeof *e);
        uint8_t *seen = calloc(n, 1);
        vl_kernels_exponents(log_n, e);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(e[i] % 2 == 1 && e[i] < 2 * n && !seen[e[i] / 2]);
            seen[e[i] / 2] = 1;
        }
        free(e);
        free(seen);
    }
}

static void automorphism(void **arg) {
    (void)arg;
    for (unsigned log_n = VL_MIN_LOG_N; log_n <= VL_MAX_LOG_N; log_n += log_n < 10 ? 1 : 3) {
        const uint32_t n = (uint32_t)1 << log_n;
        vl_modulus ref;
        assert_int_equal(vl_modulus_init(&ref, kernel_prime_below(1ull << 45, log_n), log_n, *families()), VELUM_OK);
        uint64_t *a = kernel_limb(n), *g_a = kernel_limb(n), *x = kernel_limb(n), *y = kernel_limb(n);
        for (unsigned t = 0; t < 24; t++) {
            uint32_t g = t == 0 ? 1 : t == 1 ? 2 * n - 1 : t == 2 ? 5 : (uint32_t)kernel_draw() % (2 * n) | 1;
            kernel_words(a, n, ref.q, FILL_RANDOM);
            for (uint32_t i = 0; i < n; i++) {
                uint32_t to = (uint32_t)((uint64_t)i * g % (2 * n));
                g_a[to % n] = to < n ? a[i] : vl_arith_sub(0, a[i], ref.q);
            }
            ref.k->ntt_forward(&ref, x, a);
            ref.k->ntt_forward(&ref, g_a, g_a);
            vl_automorphism au;
            assert_int_equal(vl_automorphism_init(&au, log_n, g), VELUM_OK);
            for (const vl_kernels *const *k = families(); *k != NULL; k++) {
                (*k)->automorphism(&au, y, x);
                check_equal("automorphism", *k, &ref, y, g_a, n);
                for (uint32_t part = 16; part <= n; part *= 2) {
                    for (uint32_t at = 0; at < n; at += part)
                        (*k)->automorphism_part(&au, y + at, x + vl_automorphism_source(&au, at, part), at, part);
                    check_equal("automorphism_part", *k, &ref, y, g_a, n);
                }
            }
            vl_automorphism_clear(&au);
        }
        assert_true(kernel_limb_free(a) && kernel_limb_free(g_a) && kernel_limb_free(x) && kernel_limb_free(y));
        vl_modulus_clear(&ref);
    }
    vl_automorphism au;
    assert_int_equal(vl_automorphism_init(&au, 5, 4), VELUM_E_LIMIT);
    assert_int_equal(vl_automorphism_init(&au, 5, 65), VELUM_E_LIMIT);
}

// --- coefficient by coefficient ---

typedef struct operands {
    uint64_t *d[3];
    const uint64_t *s[4];
    uint64_t scalar;
    size_t n;
} operands;

typedef struct operation {
    const char *name;
    unsigned sources, outputs;
    bool reads_dst, in_place;
    void (*run)(const vl_modulus *m, const operands *o);
    // of one coefficient: d holds the old values
    void (*define)(uint64_t q, uint64_t *d, const uint64_t *s, uint64_t scalar);
} operation;

#define OPERATION(name, call, definition)                                                                              \
    static void run_##name(const vl_modulus *m, const operands *o) { call; }                                           \
    static void define_##name(uint64_t q, uint64_t *d, const uint64_t *s, uint64_t scalar) {                           \
        (void)scalar;                                                                                                  \
        definition;                                                                                                    \
    }
#define MUL(a, b) ((u128)(a) * (b) % q)

OPERATION(add, m->k->add(m, o->d[0], o->s[0], o->s[1], o->n), d[0] = (s[0] + s[1]) % q)
OPERATION(sub, m->k->sub(m, o->d[0], o->s[0], o->s[1], o->n), d[0] = (s[0] + q - s[1]) % q)
OPERATION(neg, m->k->neg(m, o->d[0], o->s[0], o->n), d[0] = (q - s[0]) % q)
OPERATION(mul, m->k->mul(m, o->d[0], o->s[0], o->s[1], o->n), d[0] = (uint64_t)MUL(s[0], s[1]))
OPERATION(mul_add, m->k->mul_add(m, o->d[0], o->s[0], o->s[1], o->n), d[0] = (uint64_t)((d[0] + MUL(s[0], s[1])) % q))
OPERATION(mul_scalar, m->k->mul_scalar(m, o->d[0], o->s[0], o->scalar, o->n), d[0] = (uint64_t)MUL(s[0], scalar))
OPERATION(mul_scalar_add, m->k->mul_scalar_add(m, o->d[0], o->s[0], o->scalar, o->n),
          d[0] = (uint64_t)((d[0] + MUL(s[0], scalar)) % q))
OPERATION(add_scalar, m->k->add_scalar(m, o->d[0], o->s[0], o->scalar, o->n), d[0] = (s[0] + scalar) % q)
OPERATION(sub_mul_scalar, m->k->sub_mul_scalar(m, o->d[0], o->s[0], o->s[1], o->scalar, o->n),
          d[0] = (uint64_t)MUL(s[0] + q - s[1], scalar))
OPERATION(tensor, m->k->tensor(m, o->d[0], o->d[1], o->d[2], o->s[0], o->s[1], o->s[2], o->s[3], o->n), {
    d[0] = (uint64_t)MUL(s[0], s[2]);
    d[1] = (uint64_t)((MUL(s[0], s[3]) + MUL(s[1], s[2])) % q);
    d[2] = (uint64_t)MUL(s[1], s[3]);
})

static const operation operations[] = {
    {"add", 2, 1, false, true, run_add, define_add},
    {"sub", 2, 1, false, true, run_sub, define_sub},
    {"neg", 1, 1, false, true, run_neg, define_neg},
    {"mul", 2, 1, false, true, run_mul, define_mul},
    {"mul_add", 2, 1, true, true, run_mul_add, define_mul_add},
    {"mul_scalar", 1, 1, false, true, run_mul_scalar, define_mul_scalar},
    {"mul_scalar_add", 1, 1, true, true, run_mul_scalar_add, define_mul_scalar_add},
    {"add_scalar", 1, 1, false, true, run_add_scalar, define_add_scalar},
    {"sub_mul_scalar", 2, 1, false, true, run_sub_mul_scalar, define_sub_mul_scalar},
    {"tensor", 4, 3, false, false, run_tensor, define_tensor},
};

static const size_t lengths[] = {16, 1, 2, 3, 5, 7, 8, 9, 15, 17, 31, 32, 33, 63, 64, 65, 100, 257, 1000, 4096};
#define LENGTHS (sizeof lengths / sizeof *lengths)

// alias: 0 none, 1 dst = source 0, 2 dst = source 1, 3 source 0 = source 1
static void check_operation(const operation *op, const vl_modulus *m, size_t n, kernel_fill fill, unsigned alias) {
    uint64_t *d[3] = {0}, *s[4] = {0}, *expected[3] = {0};
    for (unsigned i = 0; i < op->outputs; i++) {
        d[i] = kernel_limb(n);
        expected[i] = kernel_limb(n);
        kernel_words(d[i], n, m->q, fill);
    }
    for (unsigned i = 0; i < op->sources; i++) {
        s[i] = kernel_limb(n);
        kernel_words(s[i], n, m->q, fill == FILL_ZERO && i == 1 ? FILL_RANDOM : fill);
    }
    operands o = {.d = {d[0], op->outputs > 1 ? d[1] : NULL, op->outputs > 2 ? d[2] : NULL}, .n = n};
    for (unsigned i = 0; i < op->sources; i++) o.s[i] = s[i];
    o.scalar = fill == FILL_MAX ? m->q - 1 : fill == FILL_ZERO ? 0 : kernel_draw() % m->q;
    if (alias == 1 || alias == 2) o.s[alias - 1] = d[0];
    if (alias == 3) o.s[1] = o.s[0];
    for (size_t i = 0; i < n; i++) {
        uint64_t dv[3] = {0}, sv[4] = {0};
        for (unsigned k = 0; k < op->outputs; k++) dv[k] = d[k][i];
        for (unsigned k = 0; k < op->sources; k++) sv[k] = o.s[k][i];
        op->define(m->q, dv, sv, o.scalar);
        for (unsigned k = 0; k < op->outputs; k++) expected[k][i] = dv[k];
    }
    op->run(m, &o);
    for (unsigned i = 0; i < op->outputs; i++) {
        check_equal(op->name, m->k, m, d[i], expected[i], n);
        assert_true(kernel_limb_free(d[i]) && kernel_limb_free(expected[i]));
    }
    for (unsigned i = 0; i < op->sources; i++) assert_true(kernel_limb_free(s[i]));
}

static void pointwise(void **arg) {
    (void)arg;
    uint64_t q[MAX_PRIMES];
    unsigned count = primes_for(4, q);
    for (const vl_kernels *const *k = families(); *k != NULL; k++)
        for (unsigned p = 0; p < count; p++) {
            vl_modulus m;
            assert_int_equal(vl_modulus_init(&m, q[p], 4, *k), VELUM_OK);
            for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++)
                for (unsigned l = 0; l < LENGTHS; l++)
                    for (unsigned fill = 0; fill < FILL_KINDS; fill++) {
                        const operation *op = &operations[i];
                        unsigned aliases = !op->in_place ? 1 : op->sources == 2 ? 4 : 2;
                        for (unsigned a = 0; a < aliases; a++)
                            check_operation(op, &m, lengths[l], (kernel_fill)fill, a);
                    }
            vl_modulus_clear(&m);
        }
}

// --- sums of products ---

static void check_dots(const vl_modulus *m, uint32_t count, size_t n, kernel_fill fill) {
    enum { MAX = 64 };
    const uint64_t q = m->q;
    uint64_t *x[MAX], *k0[MAX], *k1[MAX];
    uint64_t *d0 = kernel_limb(n), *d1 = kernel_limb(n), *e0 = kernel_limb(n), *e1 = kernel_limb(n);
    for (uint32_t j = 0; j < count; j++) {
        kernel_words(x[j] = kernel_limb(n), n, q, fill);
        kernel_words(k0[j] = kernel_limb(n), n, q, fill);
        kernel_words(k1[j] = kernel_limb(n), n, q, fill);
    }
    for (size_t i = 0; i < n; i++) {
        e0[i] = e1[i] = 0;
        for (uint32_t j = 0; j < count; j++) {
            e0[i] = (uint64_t)((e0[i] + MUL(x[j][i], k0[j][i])) % q);
            e1[i] = (uint64_t)((e1[i] + MUL(x[j][i], k1[j][i])) % q);
        }
    }
    m->k->dot2(m, d0, d1, (const uint64_t *const *)x, (const uint64_t *const *)k0, (const uint64_t *const *)k1, count,
               n);
    check_equal("dot2", m->k, m, d0, e0, n);
    check_equal("dot2", m->k, m, d1, e1, n);
    m->k->dot2(m, d1, NULL, (const uint64_t *const *)x, (const uint64_t *const *)k0, NULL, count, n);
    check_equal("dot2 single", m->k, m, d1, e0, n);
    for (uint32_t j = 0; j < count; j++)
        assert_true(kernel_limb_free(x[j]) && kernel_limb_free(k0[j]) && kernel_limb_free(k1[j]));
    assert_true(kernel_limb_free(d0) && kernel_limb_free(d1) && kernel_limb_free(e0) && kernel_limb_free(e1));
}

static void dots(void **arg) {
    (void)arg;
    const uint32_t counts[] = {0, 1, 2, 3, 4, 7, 8, 14, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64};
    uint64_t q[MAX_PRIMES];
    unsigned primes = primes_for(4, q);
    for (const vl_kernels *const *k = families(); *k != NULL; k++)
        for (unsigned p = 0; p < primes; p++) {
            vl_modulus m;
            assert_int_equal(vl_modulus_init(&m, q[p], 4, *k), VELUM_OK);
            for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++)
                for (unsigned fill = 0; fill < FILL_KINDS; fill++)
                    check_dots(&m, counts[c], lengths[kernel_draw() % (LENGTHS - 3)], (kernel_fill)fill);
            vl_modulus_clear(&m);
        }
}

// A matrix of scalars times limbs; s_of: how the scalars are filled.
static void check_mix(const vl_modulus *m, uint32_t rows, uint32_t count, size_t n, kernel_fill x_of,
                      kernel_fill s_of) {
    uint64_t **x = calloc(count, sizeof *x), **d = calloc(rows, sizeof *d), *e = kernel_limb(n);
    uint64_t *s = calloc((size_t)rows * count, sizeof *s);
    for (uint32_t j = 0; j < count; j++) kernel_words(x[j] = kernel_limb(n), n, m->q, x_of);
    kernel_words(s, (size_t)rows * count, m->q, s_of);
    for (uint32_t r = 0; r < rows; r++) d[r] = kernel_limb(n);
    m->k->mix(m, d, rows, (const uint64_t *const *)x, count, s, n);
    for (uint32_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++) {
            u128 sum = 0; // at most 2^16 products below 2^100
            for (uint32_t j = 0; j < count; j++) sum += (u128)x[j][i] * s[(size_t)r * count + j];
            e[i] = (uint64_t)(sum % m->q);
        }
        check_equal("mix", m->k, m, d[r], e, n);
    }
    for (uint32_t j = 0; j < count; j++) assert_true(kernel_limb_free(x[j]));
    for (uint32_t r = 0; r < rows; r++) assert_true(kernel_limb_free(d[r]));
    assert_true(kernel_limb_free(e));
    free(x);
    free(d);
    free(s);
}

// Row and term counts around those that the families take at a time, strips whole and not.
static void mixes(void **arg) {
    (void)arg;
    const uint32_t rows[] = {1, 2, 3, 4, 5, 6, 7, 9, 11, 16}, terms[] = {1, 2, 3, 63, 64, 65, 95, 96, 97, 191, 194};
    const size_t sizes[] = {16, 48, 128, 144, 272};
    uint64_t q[MAX_PRIMES];
    unsigned primes = primes_for(4, q);
    for (const vl_kernels *const *k = families(); *k != NULL; k++)
        for (unsigned p = 0; p < primes; p++) {
            vl_modulus m;
            assert_int_equal(vl_modulus_init(&m, q[p], 4, *k), VELUM_OK);
            for (unsigned t = 0; t < sizeof terms / sizeof *terms; t++)
                for (unsigned r = 0; r < sizeof rows / sizeof *rows; r++)
                    check_mix(&m, rows[r], terms[t], sizes[(r + t) % 5], (kernel_fill)((r + p) % FILL_KINDS),
                              (kernel_fill)((r + p + (t % 2) * 2) % FILL_KINDS));
            for (unsigned fill = 0; fill < FILL_KINDS; fill++) { // all words the same, then against all others
                check_mix(&m, 5, 128, 16, (kernel_fill)fill, (kernel_fill)fill);
                check_mix(&m, 1, 64, 48, (kernel_fill)fill, FILL_MAX);
                check_mix(&m, 3, 600, 32, FILL_MAX, (kernel_fill)fill);
            }
            check_mix(&m, 3, 4096, 16, FILL_MAX, FILL_MAX);
            check_mix(&m, 2, 4095, 32, FILL_EDGES, FILL_RANDOM);
            check_mix(&m, 130, 3, 16, FILL_RANDOM, FILL_MAX);
            if (p == 0) check_mix(&m, 1, 65536, 16, FILL_MAX, FILL_MAX);
            vl_modulus_clear(&m);
        }
}

// --- changes of modulus ---

static void lifts(void **arg) {
    (void)arg;
    uint64_t q[MAX_PRIMES];
    unsigned primes = primes_for(4, q);
    for (const vl_kernels *const *k = families(); *k != NULL; k++)
        for (unsigned i = 0; i < primes; i++)
            for (unsigned l = 0; l < LENGTHS; l++) {
                const size_t n = lengths[l];
                vl_modulus m;
                assert_int_equal(vl_modulus_init(&m, q[i], 4, *k), VELUM_OK);
                uint64_t *a = kernel_limb(n), *d = kernel_limb(n), *e = kernel_limb(n);
                for (unsigned j = 0; j < primes * FILL_KINDS; j++) {
                    const uint64_t p = q[j % primes];
                    kernel_words(a, n, p, (kernel_fill)(j / primes));
                    for (size_t c = 0; c < n; c++)
                        e[c] = vl_arith_from_i64((int64_t)a[c] - (a[c] > p / 2 ? (int64_t)p : 0), m.q);
                    (*k)->lift_centered(&m, d, a, p, n);
                    check_equal("lift_centered", *k, &m, d, e, n);
                    (*k)->lift_centered(&m, a, a, p, n);
                    check_equal("lift_centered in place", *k, &m, a, e, n);
                }
                int64_t *v = (int64_t *)a;
                for (unsigned t = 0; t < 4; t++) {
                    const int64_t most = ((int64_t)1 << 62) - 1,
                                  edges[] = {0, 1, -1, most, -most, (int64_t)m.q, -(int64_t)m.q};
                    for (size_t c = 0; c < n; c++)
                        v[c] = t == 0 ? edges[kernel_draw() % 7] : (int64_t)kernel_draw() >> (2 + kernel_draw() % 60);
                    for (size_t c = 0; c < n; c++) e[c] = vl_arith_from_i64(v[c], m.q);
                    (*k)->from_i64(&m, d, v, n);
                    check_equal("from_i64", *k, &m, d, e, n);
                    (*k)->from_i64(&m, a, v, n);
                    check_equal("from_i64 in place", *k, &m, a, e, n);
                }
                assert_true(kernel_limb_free(a) && kernel_limb_free(d) && kernel_limb_free(e));
                vl_modulus_clear(&m);
            }
}

// The contract's integers, one coefficient at a time.
static uint64_t define_extend(const vl_base_ext *e, uint32_t target, const uint64_t *y) {
    const uint64_t p = e->to[target]->q;
    uint64_t q[VL_BASE_MAX] = {0}, sum = 0;
    u128 f = (u128)1 << 57;
    for (uint32_t i = 0; i < e->sources; i++) q[i] = e->from[i]->q;
    for (uint32_t i = 0; i < e->sources; i++) {
        unsigned bits = 64 - (unsigned)__builtin_clzll(q[i]), shift = bits > 32 ? bits - 32 : 0;
        f += (u128)(y[i] >> shift) * (uint64_t)(((u128)1 << (58 + shift)) / q[i]);
        sum = (uint64_t)((sum + (u128)y[i] * vl_arith_product_mod(q, e->sources, i, p)) % p);
    }
    uint64_t v = (uint64_t)(f >> 58);
    uint64_t vq = (uint64_t)((u128)vl_arith_product_mod(q, e->sources, e->sources, p) * v % p);
    return vl_arith_sub(sum, vq, p);
}

static void check_extend(const vl_kernels *k, const uint64_t *q, uint32_t sources, uint32_t targets, kernel_fill fill) {
    static vl_modulus m[2 * VL_BASE_MAX];
    const vl_modulus *p[2 * VL_BASE_MAX];
    uint64_t *y[VL_BASE_MAX], *d[VL_BASE_MAX];
    const size_t begin = kernel_draw() % 20, n = 1 + kernel_draw() % 75, size = begin + n + 3;
    for (uint32_t i = 0; i < sources + targets; i++) {
        assert_int_equal(vl_modulus_init(&m[i], q[i], 4, k), VELUM_OK);
        p[i] = &m[i];
    }
    vl_base_ext e;
    assert_int_equal(vl_base_ext_init(&e, p, sources, p + sources, targets), VELUM_OK);
    for (uint32_t i = 0; i < sources; i++) kernel_words(y[i] = kernel_limb(size), size, q[i], fill);
    for (uint32_t j = 0; j < targets; j++) kernel_words(d[j] = kernel_limb(size), size, 1000, FILL_MAX);
    if (sources == 2 && fill == FILL_RANDOM) { // y from known integers x: dst is x mod p
        const i128 product = (i128)q[0] * q[1];
        for (size_t c = begin; c < begin + n; c++) {
            i128 x = (i128)((u128)kernel_draw() << 64 | kernel_draw()) % (product / 2 - (product >> 20));
            for (int i = 0; i < 2; i++) {
                uint64_t r = (uint64_t)((x % (i128)q[i] + (i128)q[i]) % (i128)q[i]);
                y[i][c] = vl_arith_mul(r, e.hat_inv[i], q[i]);
            }
            uint64_t v[2] = {y[0][c], y[1][c]};
            assert_int_equal(define_extend(&e, 0, v), (uint64_t)((x % (i128)q[2] + (i128)q[2]) % (i128)q[2]));
        }
    }
    k->base_extend(&e, d, (const uint64_t *const *)y, begin, n);
    for (uint32_t j = 0; j < targets; j++)
        for (size_t c = 0; c < size; c++) {
            uint64_t v[VL_BASE_MAX];
            for (uint32_t i = 0; i < sources; i++) v[i] = y[i][c];
            uint64_t expected = c < begin || c >= begin + n ? 999 : define_extend(&e, j, v);
            if (d[j][c] != expected)
                fail_msg("%s/base_extend: %u to %u primes, target %u, coefficient %zu", k->name, sources, targets, j,
                         c);
        }
    vl_base_ext_clear(&e);
    for (uint32_t i = 0; i < sources; i++) assert_true(kernel_limb_free(y[i]));
    for (uint32_t j = 0; j < targets; j++) assert_true(kernel_limb_free(d[j]));
    for (uint32_t i = 0; i < sources + targets; i++) vl_modulus_clear(&m[i]);
}

static void extend(void **arg) {
    (void)arg;
    const uint32_t shapes[][2] = {{1, 1},  {1, 5},  {2, 3},  {3, 2},  {3, 9},  {7, 4},  {13, 3},
                                  {14, 3}, {15, 3}, {16, 3}, {31, 5}, {63, 2}, {64, 64}};
    const unsigned bits[][2] = {{50, 50}, {45, 50}, {50, 45}, {30, 50}, {36, 30}, {50, 30}, {33, 32}};
    for (const vl_kernels *const *k = families(); *k != NULL; k++)
        for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (unsigned b = 0; b < sizeof bits / sizeof *bits; b++) {
                uint64_t q[2 * VL_BASE_MAX];
                const uint32_t from = shapes[s][0], to = shapes[s][1];
                assert_int_equal(vl_arith_primes(4, bits[b][0], NULL, 0, from, q), VELUM_OK);
                assert_int_equal(vl_arith_primes(4, bits[b][1], q, from, to, q + from), VELUM_OK);
                for (unsigned fill = 0; fill < FILL_KINDS; fill++) check_extend(*k, q, from, to, (kernel_fill)fill);
            }
}

// The largest sums that a table allows: every hat and -Q are p - 1, every source is q - 1 (in the first half: or
// another extreme).
static void check_extend_largest(const vl_kernels *k, const uint64_t *q, uint32_t sources, uint32_t targets) {
    static vl_modulus m[VL_BASE_MAX + 8];
    const vl_modulus *p[VL_BASE_MAX + 8];
    uint64_t *y[VL_BASE_MAX], *d[8];
    const size_t n = 203;
    for (uint32_t i = 0; i < sources + targets; i++) {
        assert_int_equal(vl_modulus_init(&m[i], q[i], 4, k), VELUM_OK);
        p[i] = &m[i];
    }
    vl_base_ext e;
    assert_int_equal(vl_base_ext_init(&e, p, sources, p + sources, targets), VELUM_OK);
    for (uint32_t j = 0; j < targets; j++) {
        const uint64_t h = p[sources + j]->q - 1;
        for (uint32_t i = 0; i < sources; i++) e.hat[j * sources + i] = h;
        e.q_mod[j] = 1;
        d[j] = kernel_limb(n);
    }
    for (uint32_t i = 0; i < sources; i++) {
        kernel_words(y[i] = kernel_limb(n), n, q[i], FILL_MAX);
        kernel_words(y[i], n / 2, q[i], FILL_EDGES);
    }
    k->base_extend(&e, d, (const uint64_t *const *)y, 0, n);
    for (size_t c = 0; c < n; c++) {
        u128 f = (u128)1 << 57, sum = 0;
        for (uint32_t i = 0; i < sources; i++) {
            f += (u128)(y[i][c] >> e.shift[i]) * e.ratio[i];
            sum += y[i][c];
        }
        sum += f >> 58;
        for (uint32_t j = 0; j < targets; j++)
            if (d[j][c] != sum * (p[sources + j]->q - 1) % p[sources + j]->q)
                fail_msg("%s/base_extend: %u to %u primes, the largest sums, target %u, coefficient %zu", k->name,
                         sources, targets, j, c);
    }
    vl_base_ext_clear(&e);
    for (uint32_t i = 0; i < sources; i++) assert_true(kernel_limb_free(y[i]));
    for (uint32_t j = 0; j < targets; j++) assert_true(kernel_limb_free(d[j]));
    for (uint32_t i = 0; i < sources + targets; i++) vl_modulus_clear(&m[i]);
}

static void extend_largest(void **arg) {
    (void)arg;
    const unsigned bits[][2] = {{50, 50}, {50, 30}, {30, 50}, {45, 46}};
    for (unsigned b = 0; b < sizeof bits / sizeof *bits; b++) {
        uint64_t from[VL_BASE_MAX], to[8], q[VL_BASE_MAX + 8];
        assert_int_equal(vl_arith_primes(4, bits[b][0], NULL, 0, VL_BASE_MAX, from), VELUM_OK);
        assert_int_equal(vl_arith_primes(4, bits[b][1], from, VL_BASE_MAX, 8, to), VELUM_OK);
        for (uint32_t sources = 1; sources <= VL_BASE_MAX; sources++) {
            const uint32_t targets = 1 + sources % 8;
            memcpy(q, from, sources * sizeof *q);
            memcpy(q + sources, to, targets * sizeof *q);
            for (const vl_kernels *const *k = families(); *k != NULL; k++)
                check_extend_largest(*k, q, sources, targets);
        }
    }
}

// --- the records ---

static void records(void **arg) {
    (void)arg;
    assert_string_equal((*families())->name, "ref");
    assert_null(vl_kernels_find("none"));
    assert_ptr_equal(vl_kernels_find("ref"), *families());
    setenv("VELUM_KERNELS", "ref", 1);
    assert_ptr_equal(vl_kernels_find(NULL), *families());
    unsetenv("VELUM_KERNELS");
    assert_non_null(vl_kernels_find(NULL));
    vl_modulus m;
    assert_int_equal(vl_modulus_init(&m, 97 * 193, 4, *families()), VELUM_E_LIMIT);
    assert_int_equal(vl_modulus_init(&m, 1073741827, 4, *families()), VELUM_E_LIMIT); // prime, not 1 mod 32
    assert_int_equal(vl_modulus_init(&m, kernel_prime_below(1ull << 51, 4), 4, *families()), VELUM_E_LIMIT);
    const uint64_t q = kernel_prime_below(1ull << 50, 10);
    assert_int_equal(vl_modulus_init(&m, q, 10, vl_kernels_find(NULL)), VELUM_OK);
    assert_int_equal(m.bits, 50);
    assert_int_equal(m.psi, vl_arith_root(q, 10));
    assert_int_equal(vl_arith_mul(m.n_inv, 1024, q), 1);
    const u128 all = ~(u128)0, b = (u128)m.barrett_hi << 64 | m.barrett_lo;
    assert_true(b == all / q);
    vl_modulus_clear(&m);
    vl_modulus_clear(&m);
}

int main(int argc, char **argv) {
    const char *seed = getenv("VELUM_SEED");
    uint64_t value = seed ? strtoull(seed, NULL, 0) : 20260102;
    fprintf(stderr, "VELUM_SEED=%llu\n", (unsigned long long)value);
    kernel_seed(value);
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        kernel_bench(argc > 2 ? (unsigned)atoi(argv[2]) : 16, argc > 3 ? argv[3] : "");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(exponents),
        cmocka_unit_test(automorphism),
        cmocka_unit_test(ntt),
        cmocka_unit_test(ntt_of_many_primes),
        cmocka_unit_test(pointwise),
        cmocka_unit_test(dots),
        cmocka_unit_test(mixes),
        cmocka_unit_test(lifts),
        cmocka_unit_test(extend),
        cmocka_unit_test(extend_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
