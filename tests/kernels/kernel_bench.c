// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernel_data.h"

#include "arith/arith.h"
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPS 101
#define TERMS 12
#define SOURCES 3
#define TARGETS 8

typedef struct bench {
    vl_modulus m, other[SOURCES + TARGETS];
    vl_base_ext ext;
    vl_automorphism au;
    uint64_t *limb[3 * TERMS + 4];
    size_t n;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

#define L(i) (b->limb[i])
#define CONST(p) ((const uint64_t *const *)(p))
#define CASES(X)                                                                                                       \
    X(ntt_forward, k->ntt_forward(&b->m, L(0), L(0)))                                                                  \
    X(ntt_inverse, k->ntt_inverse(&b->m, L(0), L(0), 5))                                                               \
    X(ntt_forward_out_of_place, k->ntt_forward(&b->m, L(1), L(0)))                                                     \
    X(add, k->add(&b->m, L(0), L(1), L(2), b->n))                                                                      \
    X(sub, k->sub(&b->m, L(0), L(1), L(2), b->n))                                                                      \
    X(neg, k->neg(&b->m, L(0), L(1), b->n))                                                                            \
    X(mul, k->mul(&b->m, L(0), L(1), L(2), b->n))                                                                      \
    X(mul_add, k->mul_add(&b->m, L(0), L(1), L(2), b->n))                                                              \
    X(mul_scalar, k->mul_scalar(&b->m, L(0), L(1), 12345, b->n))                                                       \
    X(mul_scalar_add, k->mul_scalar_add(&b->m, L(0), L(1), 12345, b->n))                                               \
    X(add_scalar, k->add_scalar(&b->m, L(0), L(1), 12345, b->n))                                                       \
    X(sub_mul_scalar, k->sub_mul_scalar(&b->m, L(0), L(1), L(2), 12345, b->n))                                         \
    X(tensor, k->tensor(&b->m, L(0), L(1), L(2), L(3), L(4), L(5), L(6), b->n))                                        \
    X(dot2_12_terms, k->dot2(&b->m, L(0), L(1), CONST(&L(4)), CONST(&L(16)), CONST(&L(28)), TERMS, b->n))              \
    X(dot2_3_terms, k->dot2(&b->m, L(0), L(1), CONST(&L(4)), CONST(&L(16)), CONST(&L(28)), 3, b->n))                   \
    X(dot2_12_terms_in_1024_word_pieces, pieces(k, b))                                                                 \
    X(mix_1_row_12_terms, k->mix(&b->m, &L(0), 1, CONST(&L(4)), TERMS, L(1), b->n))                                    \
    X(mix_4_rows_12_terms, k->mix(&b->m, &L(0), 4, CONST(&L(4)), TERMS, L(16), b->n))                                  \
    X(lift_centered, k->lift_centered(&b->m, L(0), L(1), b->m.q, b->n))                                                \
    X(from_i64, k->from_i64(&b->m, L(0), (const int64_t *)L(1), b->n))                                                 \
    X(base_extend_3_to_8, k->base_extend(&b->ext, &L(16), CONST(&L(4)), 0, b->n))                                      \
    X(base_extend_3_to_8_in_1024_word_pieces, extend_pieces(k, b))                                                     \
    X(automorphism, k->automorphism(&b->au, L(0), L(1)))

// The same work on data that stays in the cache: what the arithmetic costs.
static void pieces(const vl_kernels *k, bench *b) {
    for (size_t at = 0; at < b->n; at += 1024)
        k->dot2(&b->m, L(0), L(1), CONST(&L(4)), CONST(&L(16)), CONST(&L(28)), TERMS, 1024);
}

static void extend_pieces(const vl_kernels *k, bench *b) {
    for (size_t at = 0; at < b->n; at += 1024) k->base_extend(&b->ext, &L(16), CONST(&L(4)), 0, 1024);
}

static void run_family(const vl_kernels *k, unsigned log_n, unsigned bits, const char *filter) {
    bench *b = calloc(1, sizeof *b);
    const vl_modulus *p[SOURCES + TARGETS];
    uint64_t q[SOURCES + TARGETS + 1];
    b->n = (size_t)1 << log_n;
    if (vl_arith_primes(log_n, bits, NULL, 0, SOURCES + TARGETS + 1, q) != VELUM_OK) abort();
    if (vl_modulus_init(&b->m, q[SOURCES + TARGETS], log_n, k) != VELUM_OK) abort();
    for (unsigned i = 0; i < SOURCES + TARGETS; i++) {
        if (vl_modulus_init(&b->other[i], q[i], log_n, k) != VELUM_OK) abort();
        p[i] = &b->other[i];
    }
    if (vl_base_ext_init(&b->ext, p, SOURCES, p + SOURCES, TARGETS) != VELUM_OK) abort();
    if (vl_automorphism_init(&b->au, log_n, 5) != VELUM_OK) abort();
    for (unsigned i = 0; i < sizeof b->limb / sizeof *b->limb; i++)
        kernel_words(b->limb[i] = kernel_limb(b->n), b->n, b->m.q, FILL_RANDOM);
#define TIME(label, call)                                                                                              \
    if (strstr(#label, filter) != NULL) {                                                                              \
        double t[REPS];                                                                                                \
        for (int r = 0; r < REPS; r++) {                                                                               \
            double start = now();                                                                                      \
            call;                                                                                                      \
            t[r] = now() - start;                                                                                      \
        }                                                                                                              \
        qsort(t, REPS, sizeof *t, by_size);                                                                            \
        printf("%-5s %u bits log_n %u  %-42s min %9.2f us  median %9.2f us\n", k->name, bits, log_n, #label, t[0],     \
               t[REPS / 2]);                                                                                           \
    }
    CASES(TIME)
    for (unsigned i = 0; i < sizeof b->limb / sizeof *b->limb; i++) kernel_limb_free(b->limb[i]);
    vl_automorphism_clear(&b->au);
    vl_base_ext_clear(&b->ext);
    for (unsigned i = 0; i < SOURCES + TARGETS; i++) vl_modulus_clear(&b->other[i]);
    vl_modulus_clear(&b->m);
    free(b);
}

void kernel_bench(unsigned log_n, const char *filter) {
    printf("%s, CPU time of one thread\n", vl_cpu_name());
    const vl_kernels *only = getenv("VELUM_KERNELS") ? vl_kernels_find(NULL) : NULL;
    for (const vl_kernels *const *k = vl_kernels_available(); *k != NULL; k++) {
        if (only != NULL && *k != only) continue;
        run_family(*k, log_n, 50, filter);
        run_family(*k, log_n, 45, filter);
    }
}
