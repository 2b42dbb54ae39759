// SPDX-License-Identifier: Apache-2.0
// The named bootstrap sets of 128 bits: time, precision over random slots, memory. In the environment:
// VELUM_BENCH_STAGES sends each stage's time and error to stderr; VELUM_BENCH_SET names the only set to run;
// VELUM_BENCH_RANDOM=n adds n bootstraps of fresh random slots, with the worst and the mean error of all of them on
// stderr.
#include "circuits/bootstrap.h"
#include "base/clock.h"
#include "bootstrap_noise.h"
#include "timing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 1.0 // a measurement

typedef struct bench {
    const bench_run *run;
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_bootstrap_keys own;
    vl_bootstrap_plan plan;
    vl_bootstrap *b;
    double complex *v, *got;
    vl_ciphertext in, out;
    vl_bootstrap_report report;
    uint32_t runs;
    double keygen;
    velum_status status;
} bench;

static void once(void *arg) {
    bench *b = arg;
    velum_status status = vl_bootstrap_apply(&b->x, b->b, &b->keys, &b->own, &b->out, &b->in, &b->report);
    if (b->status == VELUM_OK) b->status = status;
    b->runs++;
}

static size_t arena_bytes(const bench *b) {
    uint16_t top = (uint16_t)b->p->ring.q_count;
    size_t need = b->plan.scratch_bytes, other = vl_bootstrap_setup_scratch(b->p);
    if (other > need) need = other;
    other = vl_rlwe_scratch(b->p, top) + vl_encoder_scratch(b->p, top, 0);
    return (other > need ? other : need) + 65536;
}

// Full-range random slots: real and imaginary parts uniform in [-1, 1).
static velum_status encrypt_random(bench *b, uint64_t number) {
    uint32_t slots = UINT32_C(1) << b->plan.params.log_slots;
    for (uint64_t i = 0; i < 2 * slots; i++) {
        uint64_t k = (number * 2 * slots + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        k = (k ^ k >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
        ((double *)b->v)[i] = (double)(int64_t)(k ^ k >> 32) * 0x1p-63;
    }
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m;
    VL_TRY(vl_poly_new(&b->p->ring, b->plan.in_level, 0, &m));
    velum_status status = vl_encode_complex(&b->x, b->encoder, b->v, slots, b->plan.scale, m);
    if (status == VELUM_OK) vl_rlwe_encrypt(&b->x, b->p, &b->sk, m, seed, &b->in);
    b->in.scale = b->plan.scale;
    vl_poly_free(&m);
    return status;
}

static velum_status prepare(bench *b, const vl_bootstrap_params *set) {
    vl_params_literal lit;
    VL_TRY(vl_bootstrap_literal(set, &lit));
    VL_TRY(vl_params_new(&lit, NULL, &b->p));
    VL_TRY(vl_bootstrap_plan_make(set, b->p, &b->plan));
    VL_TRY(vl_encoder_new(b->p, &b->encoder));
    VL_TRY(vl_exec_init(&b->x, b->run->threads, arena_bytes(b)));
    VL_TRY(vl_secret_key_new(b->p, &b->sk));
    double start = vl_now();
    VL_TRY(vl_eval_keys_generate(&b->x, b->p, &b->sk, b->plan.keys, b->plan.key_count, 0, &b->keys));
    VL_TRY(vl_bootstrap_keys_new(&b->x, &b->plan, b->p, &b->sk, &b->own));
    b->keygen = vl_now() - start;
    VL_TRY(vl_bootstrap_new(&b->x, &b->plan, b->encoder, &b->b));
    uint32_t slots = UINT32_C(1) << set->log_slots;
    b->v = vl_alloc_array(slots, sizeof *b->v);
    b->got = vl_alloc_array(slots, sizeof *b->got);
    VL_FAIL_IF(!b->v || !b->got, VELUM_E_NOMEM, "bench: %u slots", slots);
    VL_TRY(vl_ciphertext_new(b->p, b->plan.in_level, 1, &b->in));
    VL_TRY(vl_ciphertext_new(b->p, b->plan.out_level, 1, &b->out));
    return encrypt_random(b, 1);
}
static void release(bench *b) {
    vl_bootstrap_free(b->b);
    vl_bootstrap_keys_free(&b->own);
    if (b->keys.key) vl_eval_keys_free(&b->keys);
    vl_secret_key_free(&b->sk);
    vl_ciphertext_free(&b->in);
    vl_ciphertext_free(&b->out);
    vl_free(b->v);
    vl_free(b->got);
    vl_exec_clear(&b->x);
    vl_encoder_free(b->encoder);
    vl_params_free(b->p);
}

static velum_status measure_precision(bench *b, vl_precision *out) {
    vl_poly m;
    uint32_t slots = UINT32_C(1) << b->plan.params.log_slots;
    VL_TRY(vl_poly_new(&b->p->ring, b->out.level, 0, &m));
    vl_rlwe_decrypt(&b->x, b->p, &b->sk, &b->out, m);
    velum_status status = vl_decode_complex(&b->x, b->encoder, m, b->out.scale, b->got, slots);
    vl_poly_free(&m);
    if (status == VELUM_OK) *out = vl_precision_of(b->v, b->got, slots);
    return status;
}

static void print_stages(const bench *b, const vl_precision *bits) {
    static const char *const names[6] = {"SlotsToCoeffs", "ModRaise",      "CoeffsToSlots",
                                         "EvalMod",       "recombination", "all"};
    fprintf(stderr, "%s: %.2f bits mean (estimate %.2f), %.2f worst; estimate %.2f s, keys %.2f GB, scratch %.2f GB\n",
            b->plan.params.name, bits->bits_mean, b->plan.precision_bits, bits->bits_min, b->plan.seconds,
            (double)b->plan.key_bytes / 1e9, (double)b->plan.scratch_bytes / 1e9);
    for (uint32_t i = 0; i < 6; i++)
        fprintf(stderr, "    %-14s %8.3f s, processor %8.3f s\n", names[i], b->report.seconds[i] / b->runs,
                b->report.cpu[i] / b->runs);
}

// One bootstrap more, looked at after each stage.
static velum_status print_noise(bench *b) {
    bench_noise n = {.p = b->p, .e = b->encoder, .sk = &b->sk, .plan = &b->plan, .v = b->v};
    vl_bootstrap_report report = {.probe = bench_noise_probe, .arg = &n};
    velum_status status = bench_noise_open(&n);
    if (status == VELUM_OK) status = vl_bootstrap_apply(&b->x, b->b, &b->keys, &b->own, &b->out, &b->in, &report);
    if (status == VELUM_OK) status = n.status;
    if (status == VELUM_OK) bench_noise_print(&n);
    bench_noise_close(&n);
    return status == VELUM_E_UNSUPPORTED ? VELUM_OK : status;
}

static velum_status repeat(bench *b, uint32_t times) {
    double worst = 0, sum = 0;
    for (uint32_t i = 0; i < times; i++) {
        vl_precision bits;
        VL_TRY(encrypt_random(b, i + 2));
        once(b);
        VL_TRY(b->status);
        VL_TRY(measure_precision(b, &bits));
        if (bits.max_error > worst) worst = bits.max_error;
        sum += bits.mean_error;
    }
    fprintf(stderr, "%s: %u bootstraps of random slots: mean error 2^%.2f, worst 2^%.2f\n", b->plan.params.name, times,
            log2(sum / times), log2(worst));
    return VELUM_OK;
}

static velum_status time_set(bench *b) {
    const vl_bootstrap_plan *plan = &b->plan;
    velum_bench_result r = {.name = "bootstrap", .log_n = plan->params.log_n, .limbs = plan->top};
    vl_precision bits;
    once(b); // its result is looked at before anything is timed
    VL_TRY(b->status);
    VL_TRY(measure_precision(b, &bits));
    r.special = b->p->ring.p_count;
    r.digits = b->p->digits;
    r.threads = vl_pool_threads(b->x.pool);
    snprintf(r.kernel, sizeof r.kernel, "%s", b->p->ring.kernels->name);
    snprintf(r.set, sizeof r.set, "%s", plan->params.name);
    snprintf(r.secret, sizeof r.secret, "ternary");
    r.slots = UINT32_C(1) << plan->params.log_slots;
    r.levels_left = plan->levels_left;
    r.security_bits = plan->security_bits;
    r.scale_bits = log2(plan->scale);
    r.precision_bits_mean = bits.bits_mean;
    r.precision_bits_min = bits.bits_min;
    r.log2_failure = plan->log2_failure;
    r.peak_rss_bytes = vl_peak_rss();
    r.key_bytes = plan->key_bytes;
    r.matrix_bytes = vl_bootstrap_bytes(b->b);
    r.keygen_seconds = b->keygen;
    velum_status status = bench_time(b->run, r, SECONDS, once, b);
    if (getenv("VELUM_BENCH_STAGES")) print_stages(b, &bits);
    if (status == VELUM_OK && getenv("VELUM_BENCH_STAGES")) status = print_noise(b);
    const char *times = getenv("VELUM_BENCH_RANDOM");
    if (status == VELUM_OK && times) status = repeat(b, (uint32_t)atoi(times));
    return status == VELUM_OK ? b->status : status;
}

velum_status bench_bootstrap(const bench_run *run) {
    const char *only = getenv("VELUM_BENCH_SET");
    if (!bench_wanted(run, "bootstrap")) return VELUM_OK;
    for (const vl_bootstrap_params *set = vl_bootstrap_sets(); set->name; set++) {
        if (set->security_bits == 0 || (only && strcmp(only, set->name) != 0)) continue;
        bench b = {.run = run};
        velum_status status = prepare(&b, set);
        if (status == VELUM_OK) status = time_set(&b);
        release(&b);
        VL_TRY(status);
    }
    return VELUM_OK;
}
