// SPDX-License-Identifier: Apache-2.0
// A convolution of the first stage of ResNet-20 on 512 pictures, and a square of its result: 16 channels of 32 x 32 in
// 8 phases of 16 x 8 positions, 3 x 3, zeros around. About 11 GB; only by a filter.
#include "circuits/spread.h"
#include "timing.h"
#include <stdio.h>
#include <string.h>

#define CHANNELS 16
#define PHASE_Y 2
#define PHASE_X 4
#define ROWS 16
#define COLS 8
#define PERIOD (ROWS * COLS)
#define CTS (CHANNELS * PHASE_Y * PHASE_X)
#define TAPS 9
#define LEVEL 20
#define SPECIAL 8
#define SPREAD_REPS 3
#define SQUARE_REPS 5

typedef struct bench {
    const bench_run *run;
    vl_params *p;
    vl_encoder *encoder;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_spread map;
    vl_spread_coded *coded;
    vl_ciphertext in[CTS], out[CTS];
    const vl_ciphertext *from[CTS];
} bench;

static void spread(void *arg) {
    bench *b = arg;
    vl_spread_apply(&b->x, b->p, &b->keys, b->coded, b->out, b->from);
}

static void square(void *arg) {
    bench *b = arg;
    vl_spread_square(&b->x, b->p, &b->keys, 2, 0.5, &b->out[0], &b->in[0]);
}

static velum_status make_params(vl_params **out) {
    uint8_t q[LEVEL], p[SPECIAL];
    vl_params_literal lit = {.log_n = 16, .q_count = LEVEL, .p_count = SPECIAL, .digit_limbs = SPECIAL};
    lit.security_bits = 128;
    lit.scale = 0x1p30;
    memset(q, 50, sizeof q);
    memset(p, 50, sizeof p);
    VL_TRY(vl_params_choose(&lit, q, p));
    return vl_params_new(&lit, NULL, out);
}

// ---- the map ----
typedef struct tap {       // where an output's phase finds one of the nine pixels
    uint32_t phase, shift; // of the grid: 3 (y + 1) + x + 1
} tap;

static tap tap_of(uint32_t phase, uint32_t k) {
    uint32_t y = phase / PHASE_X + k / 3 + PHASE_Y - 1, x = phase % PHASE_X + k % 3 + PHASE_X - 1;
    return (tap){y % PHASE_Y * PHASE_X + x % PHASE_X, y / PHASE_Y * 3 + x / PHASE_X};
}

static velum_status allocate(vl_spread *s) {
    s->copy = vl_alloc_array((size_t)CTS * TAPS, sizeof *s->copy);
    s->start = vl_alloc_array(CTS + 1, sizeof *s->start);
    s->col = vl_alloc_array((size_t)CTS * CHANNELS * TAPS, sizeof *s->col);
    s->weight = vl_alloc_array((size_t)CTS * CHANNELS * TAPS, sizeof *s->weight);
    s->through = vl_alloc_array((size_t)CTS * CHANNELS * TAPS, sizeof *s->through);
    s->pattern = vl_alloc_array((size_t)TAPS * PERIOD, sizeof *s->pattern);
    s->bias = vl_alloc_array(CTS, sizeof *s->bias);
    bool good = s->copy && s->start && s->col && s->weight && s->through && s->pattern && s->bias;
    VL_FAIL_IF(!good, VELUM_E_NOMEM, "bench: a convolution");
    return VELUM_OK;
}

static void fill_row(vl_spread *s, uint32_t r, const uint32_t *number) {
    uint64_t at = s->start[r];
    for (uint32_t c = 0; c < CTS * TAPS; c++) { // in the order of the copies
        const uint32_t phases = PHASE_Y * PHASE_X, phase = c / TAPS % phases, shift = c % TAPS;
        for (uint32_t k = 0; k < TAPS; k++) {
            tap t = tap_of(r % phases, k);
            if (t.phase != phase || t.shift != shift) continue;
            s->col[at] = number[c];
            s->weight[at] = (double)((at * 2654435761u) % 4096) / 4096 - 0.5;
            s->through[at++] = shift == 4 ? VL_SPREAD_NO_PATTERN : shift;
        }
    }
    s->start[r + 1] = at;
}

static velum_status make_map(vl_spread *s) {
    uint32_t number[CTS * TAPS];
    *s = (vl_spread){.sources = CTS, .outputs = CTS, .patterns = TAPS, .period = PERIOD, .bias_period = 1, .parts = 2};
    VL_TRY(allocate(s));
    for (uint32_t c = 0; c < CTS * TAPS; c++) { // copies that some output takes
        const uint32_t phases = PHASE_Y * PHASE_X;
        bool used = false;
        for (uint32_t k = 0; k < phases * TAPS; k++) {
            tap t = tap_of(k / TAPS, k % TAPS);
            used |= t.phase == c / TAPS % phases && t.shift == c % TAPS;
        }
        number[c] = s->copies;
        if (used)
            s->copy[s->copies++] =
                (vl_spread_copy){c / TAPS, ((int32_t)(c % TAPS / 3) - 1) * COLS + (int32_t)(c % 3) - 1};
    }
    for (uint32_t k = 0; k < TAPS * PERIOD; k++) {
        uint32_t y = k % PERIOD / COLS + k / PERIOD / 3 - 1, x = k % COLS + k / PERIOD % 3 - 1;
        s->pattern[k] = y < ROWS && x < COLS;
    }
    for (uint32_t r = 0; r < CTS; r++) fill_row(s, r, number);
    return vl_spread_check(s, 1u << 15);
}

// ---- the rest ----
static velum_status make_keys(bench *b) {
    vl_key_request want[TAPS + 2];
    uint32_t count = vl_spread_key_requests(&b->map, b->p, LEVEL, want);
    want[count++] = (vl_key_request){0, LEVEL};
    want[count++] = (vl_key_request){vl_params_galois_conj(b->p), LEVEL};
    VL_TRY(vl_secret_key_new(b->p, &b->sk));
    return vl_eval_keys_generate(&b->x, b->p, &b->sk, want, count, 0, &b->keys);
}

static velum_status make_inputs(bench *b) {
    vl_poly m;
    uint8_t seed[VL_SEED_BYTES];
    const double one = 0.25;
    VL_TRY(vl_poly_new(&b->p->ring, LEVEL, 0, &m));
    velum_status status = vl_encode_real(&b->x, b->encoder, &one, 1, 0x1p62 / 8, m);
    for (uint32_t k = 0; k < CTS && status == VELUM_OK; k++) {
        status = vl_ciphertext_new(b->p, LEVEL, 1, &b->in[k]);
        if (status == VELUM_OK) status = vl_ciphertext_new(b->p, k ? LEVEL - 1 : LEVEL, 1, &b->out[k]);
        if (status != VELUM_OK) break;
        b->from[k] = &b->in[k];
        if (k)
            vl_ciphertext_copy(&b->x, b->p, &b->in[k], &b->in[0]);
        else
            vl_rlwe_encrypt(&b->x, b->p, &b->sk, m, seed, &b->in[0]);
        b->in[k].scale = 0x1p59;
    }
    vl_poly_free(&m);
    return status;
}

static velum_status prepare(bench *b) {
    double factor[CTS];
    for (uint32_t k = 0; k < CTS; k++) factor[k] = 0x1p18;
    VL_TRY(make_map(&b->map));
    VL_TRY(make_params(&b->p));
    VL_TRY(vl_encoder_new(b->p, &b->encoder));
    unsigned threads = b->run->threads ? b->run->threads : vl_cpu_count();
    size_t need = vl_spread_scratch(b->p, &b->map, LEVEL, threads), other = vl_spread_square_scratch(b->p, LEVEL);
    if (other > need) need = other;
    VL_TRY(vl_exec_init(&b->x, threads, need));
    VL_TRY(make_keys(b));
    VL_TRY(make_inputs(b));
    return vl_spread_encode(&b->x, b->encoder, &b->map, LEVEL, factor, 0x1p30, &b->coded);
}

static void release(bench *b) {
    for (uint32_t k = 0; k < CTS; k++) {
        vl_ciphertext_free(&b->in[k]);
        vl_ciphertext_free(&b->out[k]);
    }
    vl_spread_coded_free(b->coded);
    vl_spread_clear(&b->map);
    if (b->keys.key) vl_eval_keys_free(&b->keys);
    vl_secret_key_free(&b->sk);
    vl_exec_clear(&b->x);
    vl_encoder_free(b->encoder);
    vl_params_free(b->p);
}

static velum_status measure(bench *b, const char *name, uint32_t reps, void (*op)(void *arg)) {
    velum_bench_result r = {.log_n = 16, .limbs = LEVEL, .special = SPECIAL, .digits = (LEVEL + SPECIAL - 1) / SPECIAL};
    if (!bench_wanted(b->run, name)) return VELUM_OK;
    r.threads = vl_pool_threads(b->x.pool);
    r.peak_rss_bytes = vl_peak_rss();
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.kernel, sizeof r.kernel, "%s", b->p->ring.kernels->name);
    return bench_time_few(b->run, r, reps, op, b);
}

velum_status bench_spread(const bench_run *run) {
    static const char *const names[] = {"spread", "spread_square", NULL};
    if (!run->regex || !bench_any_wanted(run, names)) return VELUM_OK;
    bench *b = vl_alloc(sizeof *b);
    VL_FAIL_IF(!b, VELUM_E_NOMEM, "bench: spread");
    b->run = run;
    velum_status status = prepare(b);
    if (status == VELUM_OK) status = measure(b, names[1], SQUARE_REPS, square);
    if (status == VELUM_OK) status = measure(b, names[0], SPREAD_REPS, spread);
    release(b);
    vl_free(b);
    return status;
}
