// SPDX-License-Identifier: Apache-2.0
// Measuring: each thing for about a tenth of a second, and the least time counts. Processor time, so that other work on
// the machine shows only through the caches that it takes.
#include "ckks/prices.h"

#include "arith/arith.h"
#include "base/cpu.h"
#include "base/frame.h"
#include "base/rng.h"
#include "ring/ring.h"
#include "rlwe/pack.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define LIMBS 16         // of a chain
#define LOG_N 13         // where not the transform is measured
#define TERMS 4          // of a sum
#define STREAMED 80      // limbs of 2^16 that do not fit the caches: 40 MiB, twice
#define FRESH (6u << 16) // words of a ciphertext
#define FRESH_FAR (80u << 16)
#define FRESH_SMALL ((size_t)3 << 18) // bytes of a polynomial in small pages
#define CALLS 1000
#define SECONDS 0.02   // a measurement
#define LEAST_ROUNDS 2 // of it
#define SWEEPS 3       // over all of them, the least counts

typedef struct bench {
    vl_modulus q[LIMBS];
    size_t n;
    uint64_t *buffer; // of `words` words
    size_t words;
    vl_base_ext ext;
    bool has_ext;
} bench;

static double processor_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The least processor time of a call.
static double least_of(void (*op)(bench *b), bench *b) {
    double best = 0, spent = 0;
    op(b);
    for (int round = 0; round < LEAST_ROUNDS || spent < SECONDS; round++) {
        double start = processor_now();
        op(b);
        double t = processor_now() - start;
        spent += t > 1e-7 ? t : 1e-7;
        if (round == 0 || t < best) best = t;
    }
    return best;
}

static uint64_t femtoseconds(double seconds) {
    double fs = seconds * 1e15 + 0.5;
    return fs < 1 ? 1 : (uint64_t)fs;
}

static void clear(bench *b) {
    if (b->has_ext) vl_base_ext_clear(&b->ext);
    for (int i = 0; i < LIMBS; i++)
        if (b->q[i].k) vl_modulus_clear(&b->q[i]);
    vl_free(b->buffer);
    *b = (bench){0};
}

// Primes of 50 and 42 bits in turn: those of P and of EvalMod, and those of scales.
static velum_status make(bench *b, uint32_t log_n, size_t words) {
    uint64_t prime[LIMBS];
    *b = (bench){.n = (size_t)1 << log_n, .words = words};
    VL_TRY(vl_arith_primes(log_n, 50, NULL, 0, LIMBS / 2, prime));
    VL_TRY(vl_arith_primes(log_n, 42, prime, LIMBS / 2, LIMBS / 2, prime + LIMBS / 2));
    b->buffer = vl_alloc_array(words, sizeof *b->buffer);
    VL_FAIL_IF(!b->buffer, VELUM_E_NOMEM, "price list: %zu words", words);
    for (size_t i = 0; i < words; i++) b->buffer[i] = (i * UINT64_C(2654435761)) >> 8 & 0x3fffffff;
    for (int i = 0; i < LIMBS; i++)
        VL_TRY(vl_modulus_init(&b->q[i], prime[i % 2 ? i / 2 : LIMBS / 2 + i / 2], log_n, vl_kernels_find(NULL)));
    return VELUM_OK;
}

// ---- what is timed ----
static void transform(bench *b) { // out of a limb into another, forth and back, with every prime
    uint64_t *from = b->buffer, *to = from + b->n;
    for (int i = 0; i < LIMBS; i++) {
        const vl_modulus *m = &b->q[i];
        m->k->ntt_forward(m, to, from);
        m->k->ntt_inverse(m, to, to, 1);
    }
}

static void dot(bench *b, uint64_t *k) { // k: 2 TERMS limbs
    const uint64_t *x[TERMS], *k0[TERMS], *k1[TERMS];
    const vl_modulus *m = &b->q[0];
    for (int i = 0; i < TERMS; i++) {
        x[i] = b->buffer + (size_t)(2 + i) * b->n;
        k0[i] = k + (size_t)(2 * i) * b->n;
        k1[i] = k + (size_t)(2 * i + 1) * b->n;
    }
    m->k->dot2(m, b->buffer, b->buffer + b->n, x, k0, k1, TERMS, b->n);
}

static void multiply(bench *b) { dot(b, b->buffer + (2 + TERMS) * b->n); }

static void stream(bench *b) { // the same with other keys each time, all through the buffer once
    const size_t keys = 2 * TERMS * b->n;
    for (size_t at = (2 + TERMS) * b->n; at + keys <= b->words; at += keys) dot(b, b->buffer + at);
}

static void extend(bench *b) {
    const uint64_t *y[TERMS];
    uint64_t *d[2 * TERMS];
    for (size_t i = 0; i < TERMS; i++) y[i] = b->buffer + i * b->n;
    for (size_t i = 0; i < 2 * TERMS; i++) d[i] = b->buffer + (TERMS + i) * b->n;
    b->q[0].k->base_extend(&b->ext, d, y, 0, b->n);
}

static void pass(bench *b) {
    const vl_modulus *m = &b->q[0];
    size_t half = b->words / 2 / b->n * b->n;
    for (size_t at = 0; at < half; at += b->n) m->k->mul_scalar(m, b->buffer + half + at, b->buffer + at, 3, b->n);
}

static void fresh(bench *b) {
    (void)b;
    for (int i = 0; i < 4; i++) vl_free(vl_alloc_array(FRESH, sizeof(uint64_t)));
}

static void fresh_far(bench *b) {
    (void)b;
    vl_free(vl_alloc_array(FRESH_FAR, sizeof(uint64_t)));
}

// As an allocator does it that gives back at once what it has little of.
static void fresh_small(bench *b) {
    (void)b;
    for (int i = 0; i < 4; i++) {
        void *p = mmap(NULL, FRESH_SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) continue;
        memset(p, 1, FRESH_SMALL);
        (void)munmap(p, FRESH_SMALL);
    }
}

static void message(bench *b) { // packed limbs of zeros will do: all bits are looked at whatever they are
    const uint8_t seed[VL_SEED_BYTES] = {1};
    vl_ring ring = {.n = b->n};
    uint64_t *in = b->buffer, *c0 = in + b->n, *c1 = c0 + b->n;
    memset(in, 0, b->n * sizeof *in);
    for (int i = 0; i < LIMBS; i++) {
        vl_rng rng;
        (void)vl_unpack_limb(&ring, &b->q[i], (const uint8_t *)in, c0);
        vl_rng_init_seed(&rng, seed, (uint64_t)i);
        vl_rng_uniform(&rng, b->q[i].q, c1, b->n);
    }
}

static void digest(bench *b) {
    uint8_t out[VL_DIGEST_BYTES];
    vl_digest(b->buffer, b->words * sizeof *b->buffer, out);
}

static void operation(bench *b) { // memory for a result, and a pass over nearly nothing
    for (int i = 0; i < CALLS; i++) {
        void *p = vl_alloc(4096);
        const vl_modulus *m = &b->q[0];
        m->k->add(m, b->buffer, b->buffer, b->buffer, 16);
        vl_free(p);
    }
}

// ---- the list ----
static velum_status measure_transform(bench *b, uint32_t log_n, vl_prices *out) {
    VL_TRY(make(b, log_n, (size_t)2 << log_n));
    out->fs[VL_PRICE_NTT_12 + log_n - VL_PRICE_LOG_N_LEAST] = femtoseconds(least_of(transform, b) / (2 * LIMBS));
    return VELUM_OK;
}

static velum_status measure_cached(bench *b, vl_prices *out) {
    const vl_modulus *from[TERMS], *to[2 * TERMS];
    VL_TRY(make(b, LOG_N, (size_t)(2 + 3 * TERMS) << LOG_N));
    for (int i = 0; i < TERMS; i++) from[i] = &b->q[i];
    for (int i = 0; i < 2 * TERMS; i++) to[i] = &b->q[TERMS + i];
    VL_TRY(vl_base_ext_init(&b->ext, from, TERMS, to, 2 * TERMS));
    b->has_ext = true;
    out->fs[VL_PRICE_MULTIPLY] = femtoseconds(least_of(multiply, b) / (double)(2 * TERMS * b->n));
    out->fs[VL_PRICE_EXTEND] = femtoseconds(least_of(extend, b) / (double)(2 * TERMS * TERMS * b->n));
    out->fs[VL_PRICE_MESSAGE] = femtoseconds(least_of(message, b) / (double)(LIMBS * b->n));
    out->fs[VL_PRICE_DIGEST] = femtoseconds(least_of(digest, b) / (double)(b->words * sizeof *b->buffer));
    out->fs[VL_PRICE_OPERATION] = femtoseconds(least_of(operation, b) / CALLS);
    return VELUM_OK;
}

static velum_status measure_memory(bench *b, vl_prices *out) {
    VL_TRY(make(b, LOG_N, (size_t)2 * STREAMED << 16));
    double runs = (double)((b->words - (2 + TERMS) * b->n) / (2 * TERMS * b->n)), each = (double)(2 * TERMS * b->n);
    double more = least_of(stream, b) / (runs * each) - vl_price(out, VL_PRICE_MULTIPLY);
    out->fs[VL_PRICE_STREAM] = femtoseconds(more);
    out->fs[VL_PRICE_FRESH] = femtoseconds(least_of(fresh, b) / (4.0 * FRESH));
    out->fs[VL_PRICE_FRESH_SMALL] = femtoseconds(least_of(fresh_small, b) / (FRESH_SMALL / sizeof(uint64_t) * 4.0));
    out->fs[VL_PRICE_FRESH_FAR] = femtoseconds(least_of(fresh_far, b) / FRESH_FAR);
    out->fs[VL_PRICE_PASS_FAR] = femtoseconds(least_of(pass, b) / (double)(b->words / 2));
    b->words = (size_t)8 << 16; // as large as ciphertexts are
    out->fs[VL_PRICE_PASS] = femtoseconds(least_of(pass, b) / (double)(b->words / 2));
    return VELUM_OK;
}

static velum_status sweep(bench *b, vl_prices *out) {
    velum_status status = VELUM_OK;
    for (uint32_t log_n = VL_PRICE_LOG_N_LEAST; log_n <= VL_PRICE_LOG_N_MOST && status == VELUM_OK; log_n++) {
        status = measure_transform(b, log_n, out);
        clear(b);
    }
    if (status == VELUM_OK) status = measure_cached(b, out);
    clear(b);
    if (status == VELUM_OK) status = measure_memory(b, out);
    clear(b);
    return status;
}

velum_status vl_prices_measure(vl_prices *out) {
    vl_prices p = {.threads = 1}, t = {0};
    const vl_kernels *k = vl_kernels_find(NULL);
    VL_FAIL_IF(!k, VELUM_E_USAGE, "price list: no such kernels");
    snprintf(p.machine, sizeof p.machine, "%s", vl_cpu_name());
    snprintf(p.kernels, sizeof p.kernels, "%s", k->name);
    bench *b = vl_alloc(sizeof *b);
    VL_FAIL_IF(!b, VELUM_E_NOMEM, "price list");
    velum_status status = VELUM_OK;
    for (int round = 0; round < SWEEPS && status == VELUM_OK; round++) {
        status = sweep(b, &t);
        for (int i = 0; i < VL_PRICES && status == VELUM_OK; i++)
            if (round == 0 || t.fs[i] < p.fs[i]) p.fs[i] = t.fs[i];
    }
    vl_free(b);
    if (status == VELUM_OK) *out = p;
    return status;
}
