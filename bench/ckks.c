// SPDX-License-Identifier: Apache-2.0
// Whole CKKS operations on parameters of 128-bit security, with the fastest kernels.
#include "ckks/ckks.h"
#include "timing.h"
#include <stdio.h>

#define SECONDS 0.3 // a measurement

// Base prime and special primes of 50 bits, the others of `bits`.
typedef struct set {
    unsigned log_n, limbs, special, digit_limbs, bits;
    unsigned levels[2]; // measured at so many limbs; 0: none
} set;

static const set sets[] = {
    {14, 7, 2, 2, 40, {7, 0}},
    {15, 15, 3, 3, 45, {15, 0}},
    {16, 30, 6, 6, 45, {30, 15}},
};

typedef struct bench { // one set at one level
    const bench_run *run;
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    const vl_switch_key *relin, *turn;
    uint32_t slots;
    double *v;
    vl_poly m;
    vl_ciphertext a, b, d;
    vl_digits digits;
    velum_status status;
} bench;

static void note(bench *b, velum_status status) {
    if (b->status == VELUM_OK) b->status = status;
}

static double scale_of(const bench *b) { return b->p->literal.scale; }
static void encode(void *arg) {
    bench *b = arg;
    note(b, vl_encode_real(&b->x, b->encoder, b->v, b->slots, scale_of(b), b->m));
}
static void encrypt(void *arg) {
    bench *b = arg;
    uint8_t seed[VL_SEED_BYTES];
    vl_rlwe_encrypt(&b->x, b->p, &b->sk, b->m, seed, &b->a);
    b->a.scale = scale_of(b);
}
static void decrypt(void *arg) {
    bench *b = arg;
    vl_rlwe_decrypt(&b->x, b->p, &b->sk, &b->a, b->m);
    note(b, vl_decode_real(&b->x, b->encoder, b->m, scale_of(b), b->v, b->slots));
}
static void rescale(void *arg) {
    bench *b = arg;
    vl_ckks_rescale(&b->x, b->p, &b->d, &b->a);
}
static void mul_relin(void *arg) {
    bench *b = arg;
    vl_ckks_mul(&b->x, b->p, &b->d, &b->a, &b->b, b->relin);
}
static void rotate(void *arg) {
    bench *b = arg;
    vl_rlwe_rotate(&b->x, b->p, b->turn, &b->d, &b->a);
}
static void rotate_hoisted(void *arg) {
    bench *b = arg;
    vl_rlwe_rotate_hoisted(&b->x, b->p, b->turn, &b->digits, &b->d, &b->a);
}

static const struct {
    const char *name;
    void (*op)(void *arg);
} ops[] = {
    {"encode", encode},       {"encrypt", encrypt}, {"decrypt", decrypt},
    {"rescale", rescale},     {"rotate", rotate},   {"rotate_hoisted", rotate_hoisted},
    {"mul_relin", mul_relin},
};
#define OPS (sizeof ops / sizeof *ops)

static velum_status make_params(const set *s, vl_params **out) {
    uint8_t q[VL_MAX_LIMBS], p[VL_MAX_LIMBS];
    vl_params_literal lit = {
        .log_n = s->log_n, .q_count = s->limbs, .p_count = s->special, .digit_limbs = s->digit_limbs};
    lit.security_bits = 128;
    lit.scale = (double)(1ull << s->bits);
    for (unsigned i = 0; i < s->limbs; i++) q[i] = i ? (uint8_t)s->bits : 50;
    for (unsigned i = 0; i < s->special; i++) p[i] = 50;
    VL_TRY(vl_params_choose(&lit, q, p));
    return vl_params_new(&lit, NULL, out);
}

// Only the keys that the wanted operations need.
static velum_status make_keys(bench *b) {
    vl_key_request want[2];
    uint32_t count = 0;
    uint16_t level = (uint16_t)b->p->ring.q_count;
    uint64_t galois = vl_params_galois(b->p, 1);
    if (bench_wanted(b->run, "mul_relin")) want[count++] = (vl_key_request){0, level};
    if (bench_wanted(b->run, "rotate") || bench_wanted(b->run, "rotate_hoisted"))
        want[count++] = (vl_key_request){galois, level};
    VL_TRY(vl_secret_key_new(b->p, &b->sk));
    if (count == 0) return VELUM_OK;
    VL_TRY(vl_eval_keys_generate(&b->x, b->p, &b->sk, want, count, 0, &b->keys));
    b->relin = vl_eval_keys_find(&b->keys, 0);
    b->turn = vl_eval_keys_find(&b->keys, galois);
    return VELUM_OK;
}

static size_t arena_bytes(const vl_params *p) {
    uint16_t top = (uint16_t)p->ring.q_count;
    size_t need = vl_rlwe_scratch(p, top), other = vl_ckks_scratch(p, top);
    if (other > need) need = other;
    other = vl_encoder_scratch(p, top, 0);
    if (other > need) need = other;
    return need + vl_rlwe_digits_bytes(p, top) + vl_poly_bytes(&p->ring, top, p->ring.p_count) + 65536;
}

static velum_status prepare(bench *b, const set *s) {
    VL_TRY(make_params(s, &b->p));
    VL_TRY(vl_encoder_new(b->p, &b->encoder));
    VL_TRY(vl_exec_init(&b->x, b->run->threads, arena_bytes(b->p)));
    VL_TRY(make_keys(b));
    b->slots = b->p->ring.n / 2;
    b->v = vl_alloc_array(b->slots, sizeof *b->v);
    VL_FAIL_IF(!b->v, VELUM_E_NOMEM, "bench: %u slots", b->slots);
    for (uint32_t i = 0; i < b->slots; i++) b->v[i] = (double)(i * 2654435761u) / 4294967296.0 - 0.5;
    return VELUM_OK;
}

static void release(bench *b) {
    vl_free(b->v);
    if (b->keys.key) vl_eval_keys_free(&b->keys);
    vl_secret_key_free(&b->sk);
    vl_exec_clear(&b->x);
    vl_encoder_free(b->encoder);
    vl_params_free(b->p);
}

static velum_status prepare_level(bench *b, uint16_t level) {
    VL_TRY(vl_poly_new(&b->p->ring, level, 0, &b->m));
    VL_TRY(vl_ciphertext_new(b->p, level, 1, &b->a));
    VL_TRY(vl_ciphertext_new(b->p, level, 1, &b->b));
    VL_TRY(vl_ciphertext_new(b->p, level, 1, &b->d));
    encode(b);
    encrypt(b);
    vl_ciphertext_copy(&b->x, b->p, &b->b, &b->a);
    return b->status;
}

static velum_status time_ops(bench *b, uint16_t level) {
    const vl_params *p = b->p;
    for (size_t i = 0; i < OPS; i++) {
        if (!bench_wanted(b->run, ops[i].name)) continue;
        velum_bench_result r = {.log_n = p->literal.log_n, .limbs = level, .special = p->ring.p_count};
        r.digits = (level + p->literal.digit_limbs - 1) / p->literal.digit_limbs;
        r.threads = vl_pool_threads(b->x.pool);
        snprintf(r.name, sizeof r.name, "%s", ops[i].name);
        snprintf(r.kernel, sizeof r.kernel, "%s", p->ring.kernels->name);
        size_t mark = vl_arena_mark(&b->x.arena);
        if (ops[i].op == rotate_hoisted) b->digits = vl_rlwe_decompose(&b->x, p, b->a.c[1], &b->x.arena);
        velum_status status = bench_time(b->run, r, SECONDS, ops[i].op, b);
        vl_arena_release(&b->x.arena, mark);
        VL_TRY(status);
        VL_TRY(b->status);
    }
    return VELUM_OK;
}

static velum_status time_level(bench *b, uint16_t level) {
    velum_status status = prepare_level(b, level);
    if (status == VELUM_OK) status = time_ops(b, level);
    vl_ciphertext_free(&b->a);
    vl_ciphertext_free(&b->b);
    vl_ciphertext_free(&b->d);
    vl_poly_free(&b->m);
    return status;
}

velum_status bench_ckks(const bench_run *run) {
    const char *names[OPS + 1] = {0};
    for (size_t i = 0; i < OPS; i++) names[i] = ops[i].name;
    if (!bench_any_wanted(run, names)) return VELUM_OK;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        bench b = {.run = run};
        velum_status status = prepare(&b, &sets[i]);
        for (unsigned k = 0; k < 2 && sets[i].levels[k] && status == VELUM_OK; k++)
            status = time_level(&b, (uint16_t)sets[i].levels[k]);
        release(&b);
        VL_TRY(status);
    }
    return VELUM_OK;
}
