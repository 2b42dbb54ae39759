// SPDX-License-Identifier: Apache-2.0
// What the compiler predicts of whole operations beside what they take: by a price list measured just before. Processor
// time, so that a busy machine spoils less.
#include "ckks/prices.h"
#include "nn/plan.h"
#include "timing.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS 0.3
#define MIN_REPS 5
#define MAX_REPS 4096

typedef struct set {
    unsigned log_n, limbs, special, digit_limbs;
    unsigned levels[3]; // 0: none
} set;
static const set sets[] = {{14, 7, 2, 2, {7, 5, 3}}, {15, 14, 3, 3, {14, 9, 5}}, {16, 20, 6, 6, {20, 14, 8}}};

typedef struct bench {
    const bench_run *run;
    vl_prices prices;
    vl_nn_ring ring;
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_ciphertext a;
    uint16_t level;
    double *weights;
    vl_lintrans linear;
    vl_polynomial poly;
    double coeffs[64];
    velum_status status;
} bench;

static void note(bench *b, velum_status status) {
    if (b->status == VELUM_OK) b->status = status;
}

static vl_ciphertext result_of(bench *b, uint16_t level) {
    vl_ciphertext d = {0};
    note(b, vl_ciphertext_new(b->p, level, 1, &d));
    return d;
}

static void add(bench *b, vl_ciphertext *d) { vl_ckks_add(&b->x, b->p, d, &b->a, &b->a); }
static void rotate(bench *b, vl_ciphertext *d) { vl_ckks_rotate(&b->x, &b->keys, d, &b->a, 1); }
static void multiply(bench *b, vl_ciphertext *d) {
    vl_ckks_square_rescale(&b->x, b->p, d, &b->a, vl_eval_keys_find(&b->keys, 0));
}
static void rescale(bench *b, vl_ciphertext *d) { vl_ckks_rescale(&b->x, b->p, d, &b->a); }
static void linear(bench *b, vl_ciphertext *d) { vl_lintrans_apply(&b->x, b->p, &b->keys, &b->linear, d, &b->a); }
static void polynomial(bench *b, vl_ciphertext *d) {
    note(b, vl_poly_apply(&b->x, b->p, &b->keys, &b->poly, 0, d, &b->a));
}

static double processor_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// As the runtime does it: a new ciphertext for the result.
static velum_status time_op(bench *b, const char *name, double predicted, void (*op)(bench *b, vl_ciphertext *d)) {
    velum_bench_result r = {.log_n = b->ring.log_n, .limbs = b->level, .special = b->ring.special, .threads = 1};
    double *sample = vl_alloc_array(MAX_REPS, sizeof *sample), spent = 0;
    VL_FAIL_IF(!sample, VELUM_E_NOMEM, "bench: %s", name);
    r.digits = (b->level + b->ring.alpha - 1) / b->ring.alpha;
    r.seconds_predicted = predicted;
    snprintf(r.name, sizeof r.name, "predict_%s", name);
    snprintf(r.kernel, sizeof r.kernel, "%s", b->p->ring.kernels->name);
    if (b->run->progress) b->run->progress(b->run->user, r.name);
    while (r.reps < MAX_REPS && (r.reps < MIN_REPS || spent < SECONDS) && b->status == VELUM_OK) {
        double start = processor_now();
        vl_ciphertext d = result_of(b, b->level);
        if (b->status == VELUM_OK) op(b, &d);
        vl_ciphertext_free(&d);
        spent += sample[r.reps++] = processor_now() - start;
    }
    qsort(sample, r.reps, sizeof *sample, by_size);
    r.seconds_min = sample[0];
    r.seconds_median = sample[r.reps / 2];
    vl_free(sample);
    if (b->status == VELUM_OK) b->run->each(b->run->user, &r);
    return b->status;
}

static velum_status make_keys(bench *b, const vl_lintrans_plan *plan) {
    vl_key_request *want = vl_alloc_array(VL_LINTRANS_MAX_ROTATIONS + 2, sizeof *want);
    VL_FAIL_IF(!want, VELUM_E_NOMEM, "bench: keys");
    uint32_t count = plan ? vl_lintrans_key_requests(plan, b->p, b->level, want) : 0;
    want[count++] = (vl_key_request){0, b->level};
    if (!plan) want[count++] = (vl_key_request){vl_params_galois(b->p, 1), b->level};
    if (b->keys.key) vl_eval_keys_free(&b->keys);
    b->keys = (vl_eval_keys){0};
    velum_status status = vl_eval_keys_generate(&b->x, b->p, &b->sk, want, count, 0, &b->keys);
    vl_free(want);
    return status;
}

static velum_status time_linear(bench *b, uint32_t dim) {
    uint32_t slots = b->p->ring.n / 2;
    vl_lintrans_shape shape = {.rows = dim,
                               .cols = dim,
                               .slots = slots,
                               .lanes = 1,
                               .valid_in = slots,
                               .valid_need = dim,
                               .period_in = dim,
                               .period_out = dim};
    vl_lintrans_prices prices = vl_nn_prices(&b->ring, b->level);
    vl_lintrans_plan plan;
    vl_lintrans_cost cost;
    char name[32];
    VL_TRY(vl_lintrans_plan_best(&shape, &prices, &plan, &cost));
    b->weights = vl_alloc_array((size_t)dim * dim, sizeof *b->weights);
    VL_FAIL_IF(!b->weights, VELUM_E_NOMEM, "bench: weights");
    for (size_t i = 0; i < (size_t)dim * dim; i++) b->weights[i] = (double)(i * 2654435761u % 1000) / 1000 - 0.5;
    velum_status status = make_keys(b, &plan);
    if (status == VELUM_OK)
        status = vl_lintrans_encode(&b->x, b->encoder, &plan, b->weights, NULL, b->level, 0x1p40, 0x1p40, &b->linear);
    snprintf(name, sizeof name, "linear_%u", dim);
    if (status == VELUM_OK) status = time_op(b, name, cost.seconds + vl_nn_cost_rescale(&b->ring, b->level), linear);
    vl_lintrans_free(&b->linear);
    vl_free(b->weights);
    return status;
}

static velum_status time_polynomial(bench *b, uint32_t degree) {
    b->poly = (vl_polynomial){.basis = VL_CHEBYSHEV, .degree = degree, .lo = -1, .hi = 1, .c = b->coeffs};
    for (uint32_t i = 0; i <= degree; i++) b->coeffs[i] = 1.0 / (i + 2);
    vl_poly_cost cost = vl_poly_plan(&b->poly);
    if (cost.levels >= b->level) return VELUM_OK;
    char name[32];
    snprintf(name, sizeof name, "degree_%u", degree);
    return time_op(b, name, vl_nn_cost_poly(&b->ring, b->level, &cost), polynomial);
}

static velum_status time_level(bench *b, uint16_t level) {
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m;
    b->level = level;
    VL_TRY(vl_poly_new(&b->p->ring, level, 0, &m));
    velum_status status = vl_ciphertext_new(b->p, level, 1, &b->a);
    if (status == VELUM_OK) {
        vl_rlwe_encrypt(&b->x, b->p, &b->sk, m, seed, &b->a);
        b->a.scale = 0x1p40;
        status = make_keys(b, NULL);
    }
    const vl_nn_ring *r = &b->ring;
    if (status == VELUM_OK) status = time_op(b, "add", vl_nn_cost_add(r, level), add);
    if (status == VELUM_OK) status = time_op(b, "rescale", vl_nn_cost_rescale(r, level), rescale);
    if (status == VELUM_OK) status = time_op(b, "multiply", vl_nn_cost_multiply(r, level), multiply);
    if (status == VELUM_OK) status = time_op(b, "rotate", vl_nn_prices(r, level).rotation, rotate);
    if (status == VELUM_OK) status = time_polynomial(b, 7);
    if (status == VELUM_OK) status = time_polynomial(b, 27);
    if (status == VELUM_OK && level <= 14) status = time_linear(b, 32);
    if (status == VELUM_OK && level <= 9) status = time_linear(b, 512);
    vl_ciphertext_free(&b->a);
    vl_poly_free(&m);
    return status;
}

static velum_status prepare(bench *b, const set *s) {
    uint8_t q[VL_MAX_LIMBS], p[VL_MAX_LIMBS];
    vl_params_literal lit = {
        .log_n = s->log_n, .q_count = s->limbs, .p_count = s->special, .digit_limbs = s->digit_limbs, .scale = 0x1p40};
    for (unsigned i = 0; i < s->limbs; i++) q[i] = i ? 40 : 50;
    for (unsigned i = 0; i < s->special; i++) p[i] = 50;
    VL_TRY(vl_params_choose(&lit, q, p));
    VL_TRY(vl_params_new(&lit, NULL, &b->p));
    VL_TRY(vl_encoder_new(b->p, &b->encoder));
    VL_TRY(vl_exec_init(&b->x, 1, (size_t)1 << (s->log_n + 14)));
    b->ring = (vl_nn_ring){.log_n = s->log_n, .special = s->special, .alpha = s->digit_limbs, .prices = &b->prices};
    return vl_secret_key_new(b->p, &b->sk);
}

velum_status bench_predict(const bench_run *run) {
    const char *names[] = {"predict", NULL};
    if (!run->regex || !bench_any_wanted(run, names)) return VELUM_OK; // only when it is asked for
    bench b = {.run = run};
    if (run->progress) run->progress(run->user, "prices");
    VL_TRY(vl_prices_measure(&b.prices));
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        velum_status status = prepare(&b, &sets[i]);
        for (unsigned k = 0; k < 3 && sets[i].levels[k] && status == VELUM_OK; k++)
            status = time_level(&b, (uint16_t)sets[i].levels[k]);
        if (b.keys.key) vl_eval_keys_free(&b.keys);
        b.keys = (vl_eval_keys){0};
        vl_secret_key_free(&b.sk);
        vl_exec_clear(&b.x);
        vl_encoder_free(b.encoder);
        vl_params_free(b.p);
        VL_TRY(status);
    }
    return VELUM_OK;
}
