// SPDX-License-Identifier: Apache-2.0
// Many bootstraps of fresh full-range random inputs, every slot checked: the precision that a set keeps, not just shows
// once. Name `bootstrap_errors`; VELUM_BENCH_SET picks a set (default: the first full-slot one), VELUM_BENCH_COUNT
// the number of inputs (default 100).
#include "circuits/bootstrap.h"
#include "timing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct trial {
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_bootstrap_keys own;
    vl_bootstrap_plan plan;
    vl_bootstrap *b;
    double keygen; // seconds
    uint32_t slots;
    double complex *want, *got;
    vl_poly m;
    vl_ciphertext in, out;
} trial;

typedef struct errors { // over all slots of all inputs
    double worst, sum, squares;
    uint64_t slots;
    double seconds[1024];
} errors;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t arena_bytes(const trial *t) {
    uint16_t top = (uint16_t)t->p->ring.q_count;
    size_t need = t->plan.scratch_bytes, other = vl_bootstrap_setup_scratch(t->p);
    if (other > need) need = other;
    other = vl_rlwe_scratch(t->p, top) + vl_encoder_scratch(t->p, top, 0);
    return (other > need ? other : need) + 65536;
}

static velum_status prepare(trial *t, const vl_bootstrap_params *set, unsigned threads) {
    vl_params_literal lit;
    VL_TRY(vl_bootstrap_literal(set, &lit));
    VL_TRY(vl_params_new(&lit, NULL, &t->p));
    VL_TRY(vl_bootstrap_plan_make(set, t->p, &t->plan));
    VL_TRY(vl_encoder_new(t->p, &t->encoder));
    VL_TRY(vl_exec_init(&t->x, threads, arena_bytes(t)));
    VL_TRY(vl_secret_key_new(t->p, &t->sk));
    double start = now();
    VL_TRY(vl_eval_keys_generate(&t->x, t->p, &t->sk, t->plan.keys, t->plan.key_count, 0, &t->keys));
    VL_TRY(vl_bootstrap_keys_new(&t->x, &t->plan, t->p, &t->sk, &t->own));
    t->keygen = now() - start;
    VL_TRY(vl_bootstrap_new(&t->x, &t->plan, t->encoder, &t->b));
    t->slots = UINT32_C(1) << set->log_slots;
    t->want = vl_alloc_array(t->slots, sizeof *t->want);
    t->got = vl_alloc_array(t->slots, sizeof *t->got);
    VL_FAIL_IF(!t->want || !t->got, VELUM_E_NOMEM, "bench: %u slots", t->slots);
    VL_TRY(vl_poly_new(&t->p->ring, t->plan.in_level > t->plan.out_level ? t->plan.in_level : t->plan.out_level, 0,
                       &t->m));
    VL_TRY(vl_ciphertext_new(t->p, t->plan.in_level, 1, &t->in));
    return vl_ciphertext_new(t->p, t->plan.out_level, 1, &t->out);
}

static void release(trial *t) {
    vl_bootstrap_free(t->b);
    vl_bootstrap_keys_free(&t->own);
    if (t->keys.key) vl_eval_keys_free(&t->keys);
    vl_secret_key_free(&t->sk);
    vl_ciphertext_free(&t->in);
    vl_ciphertext_free(&t->out);
    vl_poly_free(&t->m);
    vl_free(t->want);
    vl_free(t->got);
    vl_exec_clear(&t->x);
    vl_encoder_free(t->encoder);
    vl_params_free(t->p);
}

// Real and imaginary parts uniform in [-1, 1).
static void draw(vl_rng *rng, double complex *v, uint32_t slots) {
    for (uint32_t i = 0; i < 2 * slots; i++) ((double *)v)[i] = (double)(vl_rng_u64(rng) >> 11) * 0x1p-52 - 1;
}

static velum_status one(trial *t, vl_rng *rng, errors *e, uint32_t index) {
    uint8_t seed[VL_SEED_BYTES];
    draw(rng, t->want, t->slots);
    vl_poly m = vl_poly_prefix(t->m, t->plan.in_level);
    VL_TRY(vl_encode_complex(&t->x, t->encoder, t->want, t->slots, t->plan.scale, m));
    vl_rlwe_encrypt(&t->x, t->p, &t->sk, m, seed, &t->in);
    t->in.scale = t->plan.scale;
    double start = now();
    VL_TRY(vl_bootstrap_apply(&t->x, t->b, &t->keys, &t->own, &t->out, &t->in, NULL));
    e->seconds[index] = now() - start;
    m = vl_poly_prefix(t->m, t->out.level);
    vl_rlwe_decrypt(&t->x, t->p, &t->sk, &t->out, m);
    VL_TRY(vl_decode_complex(&t->x, t->encoder, m, t->out.scale, t->got, t->slots));
    for (uint32_t i = 0; i < t->slots; i++) {
        double d = cabs(t->got[i] - t->want[i]);
        if (!(d <= e->worst)) e->worst = d;
        e->sum += d;
        e->squares += d * d;
    }
    e->slots += t->slots;
    return VELUM_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static velum_status run_trials(trial *t, const bench_run *run, errors *e, uint32_t count) {
    vl_rng rng;
    velum_status status = VELUM_OK;
    vl_rng_init_system(&rng);
    for (uint32_t i = 0; i < count && status == VELUM_OK; i++) {
        char what[96];
        snprintf(what, sizeof what, "bootstrap_errors: %s, %u of %u", t->plan.params.name, i + 1, count);
        if (run->progress) run->progress(run->user, what);
        status = one(t, &rng, e, i);
    }
    vl_rng_clear(&rng);
    return status;
}

static void report(const trial *t, const bench_run *run, errors *e, uint32_t count) {
    qsort(e->seconds, count, sizeof *e->seconds, by_value);
    velum_bench_result r = {.name = "bootstrap_errors", .log_n = t->plan.params.log_n, .limbs = t->plan.top};
    snprintf(r.kernel, sizeof r.kernel, "%s", t->p->ring.kernels->name);
    snprintf(r.set, sizeof r.set, "%s", t->plan.params.name);
    snprintf(r.secret, sizeof r.secret, "ternary");
    r.special = t->p->ring.p_count;
    r.digits = t->p->digits;
    r.threads = vl_pool_threads(t->x.pool);
    r.reps = count;
    r.seconds_min = e->seconds[0];
    r.seconds_median = e->seconds[count / 2];
    r.slots = t->slots;
    r.levels_left = t->plan.levels_left;
    r.security_bits = t->plan.security_bits;
    r.scale_bits = log2(t->plan.scale);
    r.precision_bits_mean = -log2(e->sum / (double)e->slots);
    r.precision_bits_min = -log2(e->worst);
    r.log2_failure = t->plan.log2_failure;
    r.peak_rss_bytes = vl_peak_rss();
    r.key_bytes = t->plan.key_bytes;
    r.matrix_bytes = vl_bootstrap_bytes(t->b);
    r.keygen_seconds = t->keygen;
    run->each(run->user, &r);
    fprintf(stderr,
            "%s: %u bootstraps, %llu slots: worst error 2^%.2f, mean 2^%.2f, rms 2^%.2f; estimate of the mean 2^%.2f\n",
            t->plan.params.name, count, (unsigned long long)e->slots, log2(e->worst), log2(e->sum / (double)e->slots),
            log2(sqrt(e->squares / (double)e->slots)), -t->plan.precision_bits);
}

velum_status bench_bootstrap_errors(const bench_run *run) {
    const char *name = getenv("VELUM_BENCH_SET"), *number = getenv("VELUM_BENCH_COUNT");
    long count = number ? strtol(number, NULL, 10) : 100;
    // Minutes long: only when asked for by its whole name.
    if (!run->regex || !bench_wanted(run, "bootstrap_errors") || bench_wanted(run, "bootstrap")) return VELUM_OK;
    const vl_bootstrap_params *set = name ? vl_bootstrap_params_find(name) : vl_bootstrap_sets();
    VL_FAIL_IF(!set || !set->name, VELUM_E_USAGE, "no bootstrap set is called '%s'", name ? name : "");
    VL_FAIL_IF(count < 1 || count > 1024, VELUM_E_USAGE, "VELUM_BENCH_COUNT is '%s', not 1 to 1024", number);
    trial *t = vl_alloc(sizeof *t);
    errors *e = vl_alloc(sizeof *e);
    velum_status status = t && e ? prepare(t, set, run->threads) : VL_FAIL(VELUM_E_NOMEM, "bench");
    if (status == VELUM_OK) status = run_trials(t, run, e, (uint32_t)count);
    if (status == VELUM_OK) report(t, run, e, (uint32_t)count);
    if (t) release(t);
    vl_free(t);
    vl_free(e);
    return status;
}
