// SPDX-License-Identifier: Apache-2.0
#include "bootstrap_noise.h"

#include "arith/arith.h"
#include "ckks/ckks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

velum_status bench_noise_open(bench_noise *n) {
    const vl_bootstrap_params *set = &n->plan->params;
    VL_FAIL_IF(set->order != VL_SLOTS_FIRST || set->log_slots + 1 != set->log_n, VELUM_E_UNSUPPORTED,
               "bootstrap set %s: no report of its stages' errors", set->name);
    uint16_t top = n->plan->top;
    n->count = 0;
    n->status = VELUM_OK;
    n->multiple = vl_alloc_array(n->p->ring.n / 2, sizeof *n->multiple);
    n->slots = vl_alloc_array(n->p->ring.n / 2, sizeof *n->slots);
    VL_FAIL_IF(!n->multiple || !n->slots, VELUM_E_NOMEM, "bench: no memory for %u slots", n->p->ring.n / 2);
    return vl_exec_init(&n->x, 1, vl_rlwe_scratch(n->p, top) + vl_encoder_scratch(n->p, top, 0) + 65536);
}

void bench_noise_close(bench_noise *n) {
    vl_free(n->multiple);
    vl_free(n->slots);
    vl_exec_clear(&n->x);
}

// ---- theory ----
static double rounding(const bench_noise *n) { return sqrt((1 + 2.0 * n->p->ring.n / 3) / 12); }

// The deviation that a transform's rescales leave, each turned by the factors after it, which multiply by gain^(1/2) a
// stage; in coefficients of the last scale's unit.
static double rescales(const bench_noise *n, const vl_dft_plan *t, double from, double change, double gain,
                       bool but_last) {
    double squares = 0;
    uint32_t rest = t->log_slots;
    for (uint32_t f = 0; f < t->factors; f++) {
        rest -= t->stages[f];
        if (but_last && f + 1u == t->factors) break;
        double scale = from * pow(change, (f + 1.0) / t->factors), one = rounding(n) / scale;
        squares += one * one * pow(gain, rest);
    }
    return sqrt(squares);
}

// The deviation of CoeffsToSlots' slots from its diagonals' rounded coefficients: of a vector of slots that repeats
// with `period`, 2 period coefficients are not zero. The slots are as large as I makes them.
static double diagonals(const bench_noise *n) {
    const vl_bootstrap_plan *plan = n->plan;
    double reach = vl_mod1_reach(&plan->mod1.literal), q0 = (double)n->p->literal.q[0], squares = 0;
    double change = vl_mod1_in_scale(n->p, plan->mod_level) / 2 / (reach * q0);
    double slots = sqrt((plan->params.weight + 1) / 12.0) / reach * sqrt(n->p->ring.n);
    for (uint32_t f = 0, before = 0; f < plan->cts.factors; before += plan->cts.stages[f++]) {
        double scale = (double)n->p->literal.q[plan->top - 1 - f] * pow(change, 1.0 / plan->cts.factors);
        double period = ldexp(1, (int)(plan->cts.log_slots - before)), one = sqrt(2 * period / 12) / scale;
        // all stages but this factor's own make the error's way through smaller by 2^(1/2)
        squares += vl_dft_price(&plan->cts, f).products * one * one * slots * slots *
                   ldexp(1, plan->cts.stages[f] - plan->cts.log_slots);
    }
    return sqrt(squares);
}

static double theory_of(const bench_noise *n, uint32_t stage) {
    const vl_bootstrap_plan *plan = n->plan;
    double size = n->p->ring.n, q0 = (double)n->p->literal.q[0], rho = plan->mod1.literal.ratio;
    double fresh = sqrt((VL_SIGMA * VL_SIGMA + 1.0 / 12) * size / 2) / plan->scale;
    double stc = hypot(fresh, rescales(n, &plan->stc, plan->scale, q0 / rho / plan->scale, 2, false));
    double ratio = q0 / (double)n->p->literal.p[0];
    double raise =
        sqrt(size / 6 * VL_SIGMA * VL_SIGMA * ratio * ratio + (2 + 2 * size / 3 + plan->params.weight) / 12) /
        (q0 / rho);
    double reach = vl_mod1_reach(&plan->mod1.literal), in = vl_mod1_in_scale(n->p, plan->mod_level);
    double before = rescales(n, &plan->cts, reach * q0, in / 2 / (reach * q0), 0.5, true);
    double cts = reach * rho * hypot(sqrt(size / 2) * hypot(before, rounding(n) / in), diagonals(n) / sqrt(2));
    double deviation = stage == 0 ? stc : stage == 1 ? hypot(stc, raise) : hypot(hypot(stc, raise), cts);
    if (stage < 3) return -log2(deviation * sqrt(2 / acos(-1)));
    return plan->precision_bits + (stage == 3 ? log2(acos(-1) / 2) : 0); // a real part of two
}

// ---- measuring ----
static int64_t centred(uint64_t r, uint64_t q) { return r > q / 2 ? (int64_t)r - (int64_t)q : (int64_t)r; }

// slots[k] = the coefficient pair that holds slot k, over the scale; I of its real half, if there is a second limb.
static void read_coefficients(bench_noise *n, const vl_ciphertext *ct, vl_poly m) {
    const vl_ring *ring = &n->p->ring;
    uint32_t half = ring->n / 2;
    uint64_t q0 = ring->mod[0].q, q1 = ring->mod[1].q, inv = vl_arith_inv(q0 % q1, q1);
    vl_ring_intt(&n->x, ring, m, m);
    for (uint32_t j = 0; j < half; j++) {
        uint32_t k = vl_arith_bitrev(j, ring->log_n - 1);
        int64_t re = centred(m.x[j], q0), im = centred(m.x[j + half], q0);
        n->slots[k] = ((double)re + (double)im * I) / ct->scale;
        if (m.nq < 2) continue;
        for (uint32_t part = 0; part < 2; part++) {
            uint64_t rest = vl_arith_sub(m.x[ring->n + j + part * half], vl_arith_from_i64(part ? im : re, q1), q1);
            int32_t multiple = (int32_t)centred(vl_arith_mul(rest, inv, q1), q1);
            if (part == 0) n->multiple[k] = multiple;
            if (abs(multiple) > n->largest_multiple) n->largest_multiple = abs(multiple);
        }
    }
}

// The slots, brought to units of the message.
static velum_status read_slots(bench_noise *n, uint32_t stage, const vl_ciphertext *ct, vl_poly m) {
    uint32_t half = n->p->ring.n / 2;
    double reach = vl_mod1_reach(&n->plan->mod1.literal), rho = n->plan->mod1.literal.ratio;
    VL_TRY(vl_decode_complex(&n->x, n->e, m, ct->scale, n->slots, half));
    for (uint32_t k = 0; k < half && stage == 2; k++) n->slots[k] = (creal(n->slots[k]) * reach - n->multiple[k]) * rho;
    return VELUM_OK;
}

static void compare(bench_noise *n, uint32_t stage, bench_noise_stage *out) {
    uint32_t half = n->p->ring.n / 2;
    double sum = 0, squares = 0, largest = 0, numbers = stage == 0 || stage == 1 ? 2.0 * half : half;
    for (uint32_t k = 0; k < half; k++) {
        double complex d = n->slots[k] - n->v[k];
        double re = fabs(creal(d)), im = fabs(cimag(d)), whole = cabs(d);
        double worst = stage >= 4 ? whole : stage >= 2 ? re : fmax(re, im);
        sum += stage >= 4 ? whole : stage >= 2 ? re : re + im;
        squares += stage >= 4 ? whole * whole : stage >= 2 ? re * re : re * re + im * im;
        if (worst > largest) largest = worst;
    }
    out->deviation = sqrt(squares / numbers);
    out->largest = largest;
    out->bits = -log2(sum / numbers);
    out->theory = theory_of(n, stage);
}

void bench_noise_probe(void *arg, const char *stage, const vl_ciphertext *ct) {
    bench_noise *n = arg;
    vl_poly m;
    if (n->status != VELUM_OK || n->count == BENCH_NOISE_STAGES) return;
    n->status = vl_poly_new(&n->p->ring, ct->level, 0, &m);
    if (n->status != VELUM_OK) return;
    uint32_t index = n->count;
    vl_rlwe_decrypt(&n->x, n->p, n->sk, ct, m);
    if (index < 2) {
        vl_ciphertext scaled = *ct;
        scaled.scale = (double)n->p->literal.q[0] / n->plan->mod1.literal.ratio;
        read_coefficients(n, &scaled, m);
    } else {
        n->status = read_slots(n, index, ct, m);
    }
    if (n->status == VELUM_OK) {
        bench_noise_stage *out = &n->stage[n->count++];
        *out = (bench_noise_stage){.name = stage, .level = ct->level, .scale = ct->scale};
        compare(n, index, out);
    }
    vl_poly_free(&m);
}

void bench_noise_print(const bench_noise *n) {
    fprintf(stderr, "    errors in units of the message; largest multiple of q_0: %d (range %u)\n", n->largest_multiple,
            n->plan->mod1.literal.range);
    fprintf(stderr, "    %-14s %5s %10s %10s %10s %10s %10s\n", "", "limbs", "log2 scale", "log2 rms", "log2 worst",
            "bits mean", "estimate");
    for (uint32_t i = 0; i < n->count; i++) {
        const bench_noise_stage *s = &n->stage[i];
        fprintf(stderr, "    %-14s %5u %10.2f %10.2f %10.2f %10.2f %10.2f\n", s->name, s->level, log2(s->scale),
                log2(s->deviation), log2(s->largest), s->bits, s->theory);
    }
}
