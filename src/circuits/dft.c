// SPDX-License-Identifier: Apache-2.0
// Plans of the transforms and their factors in the clear.
#include "circuits/dft.h"

#include "ckks/fft.h"

#include <math.h>
#include <string.h>

#define NEARLY 1.15 // times the least price: a split with fewer keys is preferred

// ---- plans ----

// Whether the factor holds the largest stage, so that its diagonals wrap around.
static bool wraps(const vl_dft_plan *plan, uint32_t factor) {
    return factor == (plan->inverse ? 0 : plan->factors - 1u);
}

// The smallest half of a factor's stages: the step of its diagonals.
static uint32_t step_of(const vl_dft_plan *plan, uint32_t factor) {
    uint32_t log = 0;
    for (uint32_t f = 0; f < plan->factors; f++)
        if (plan->inverse ? f > factor : f < factor) log += plan->stages[f];
    return UINT32_C(1) << log;
}

velum_status vl_dft_plan_check(const vl_dft_plan *plan) {
    uint32_t sum = 0;
    VL_FAIL_IF(plan->factors == 0 || plan->factors > VL_DFT_MAX_FACTORS, VELUM_E_FORMAT,
               "a transform in %u factors: must be 1 to %d", plan->factors, VL_DFT_MAX_FACTORS);
    for (uint32_t f = 0; f < plan->factors; f++) {
        uint32_t s = plan->stages[f];
        VL_FAIL_IF(s == 0 || s > 8, VELUM_E_FORMAT, "a transform's factor of %u stages: must be 1 to 8", s);
        VL_FAIL_IF(plan->log_babies[f] > s, VELUM_E_FORMAT, "2^%u babies for a factor of %u stages",
                   plan->log_babies[f], s);
        sum += s;
    }
    VL_FAIL_IF(sum != plan->log_slots || sum > 16, VELUM_E_FORMAT, "a transform of 2^%u slots in %u stages",
               plan->log_slots, sum);
    return VELUM_OK;
}

// All giants of a factor, the unrotated one included.
static uint32_t giants_of(const vl_dft_plan *plan, uint32_t factor) {
    uint32_t diagonals = UINT32_C(1) << (plan->stages[factor] + !wraps(plan, factor));
    return diagonals >> plan->log_babies[factor];
}

vl_dft_cost vl_dft_price(const vl_dft_plan *plan, uint32_t factor) {
    uint32_t babies = UINT32_C(1) << plan->log_babies[factor], s = plan->stages[factor];
    return (vl_dft_cost){babies - 1, giants_of(plan, factor) - 1,
                         wraps(plan, factor) ? UINT32_C(1) << s : (UINT32_C(2) << s) - 1};
}

static double price_of(vl_dft_plan plan, uint32_t factor, uint8_t log_babies, double giant_price) {
    plan.log_babies[factor] = log_babies;
    vl_dft_cost c = vl_dft_price(&plan, factor);
    return c.babies + giant_price * c.giants;
}

// The fewest babies (which means the fewest keys) that are nearly the cheapest.
static uint8_t babies_of(const vl_dft_plan *plan, uint32_t factor, double giant_price) {
    double best = INFINITY;
    for (uint8_t b = 0; b <= plan->stages[factor]; b++) best = fmin(best, price_of(*plan, factor, b, giant_price));
    for (uint8_t b = 0; b < plan->stages[factor]; b++)
        if (price_of(*plan, factor, b, giant_price) <= NEARLY * best) return b;
    return plan->stages[factor];
}

velum_status vl_dft_plan_even(bool inverse, uint32_t log_slots, uint32_t factors, double giant_price,
                              vl_dft_plan *out) {
    VL_FAIL_IF(factors == 0 || factors > VL_DFT_MAX_FACTORS || factors > log_slots, VELUM_E_USAGE,
               "a transform of 2^%u slots in %u factors", log_slots, factors);
    vl_dft_plan plan = {.inverse = inverse, .log_slots = (uint8_t)log_slots, .factors = (uint8_t)factors};
    for (uint32_t f = 0; f < factors && f < VL_DFT_MAX_FACTORS; f++) { // the wrapping factor first
        uint32_t at = inverse ? f : factors - 1 - f;
        plan.stages[at] = (uint8_t)(log_slots / factors + (f < log_slots % factors));
    }
    for (uint32_t f = 0; f < factors; f++) plan.log_babies[f] = babies_of(&plan, f, giant_price);
    VL_TRY(vl_dft_plan_check(&plan));
    *out = plan;
    return VELUM_OK;
}

uint32_t vl_dft_rotations(const vl_dft_plan *plan, uint32_t factor, int32_t out[256]) {
    uint32_t n = UINT32_C(1) << plan->log_slots, step = step_of(plan, factor), count = 0;
    uint32_t babies = UINT32_C(1) << plan->log_babies[factor], giants = giants_of(plan, factor);
    for (uint32_t b = 1; b < babies; b++) out[count++] = (int32_t)(b * step & (n - 1));
    for (uint32_t g = 1; g < giants; g++) { // half of them negative: the same set modulo n as -giants/2 ..
        uint32_t signed_g = wraps(plan, factor) || g < giants / 2 ? g : g - giants;
        out[count++] = (int32_t)(signed_g * babies * step & (n - 1));
    }
    return count;
}

// ---- in the clear ----

static velum_status new_diagonals(uint32_t slots, uint32_t step, uint32_t period, vl_diagonals *out) {
    *out = (vl_diagonals){.slots = slots, .step = step, .period = period};
    out->v = vl_alloc_array(slots / step, sizeof *out->v);
    VL_FAIL_IF(!out->v, VELUM_E_NOMEM, "no memory for a transform's diagonals");
    return VELUM_OK;
}

void vl_diagonals_free(vl_diagonals *d) {
    if (!d) return;
    for (uint32_t k = 0; d->v && k < d->slots / d->step; k++) vl_free(d->v[k]);
    vl_free(d->v);
    *d = (vl_diagonals){0};
}

static double complex *entry(vl_diagonals *d, int32_t offset) {
    uint32_t k = ((uint32_t)offset & (d->slots - 1)) / d->step;
    if (!d->v[k]) d->v[k] = vl_alloc_array(d->period, sizeof **d->v);
    return d->v[k];
}

// The row t of a stage: its entries at columns t, and t + half or t - half.
static void stage_row(const vl_ckks_fft *f, bool inverse, uint32_t half, uint32_t t, double complex *here,
                      double complex *there) {
    bool lower = t & half;
    // CMPLX, which glibc may have for gcc alone
    double complex w = __builtin_complex(f->cos[half + (t & (half - 1))], f->sin[half + (t & (half - 1))]);
    if (inverse) {
        *here = lower ? -0.5 * conj(w) : 0.5;
        *there = lower ? 0.5 * conj(w) : 0.5;
    } else {
        *here = lower ? -w : 1;
        *there = lower ? 1 : w;
    }
}

// d = stage * d
static velum_status multiply_stage(const vl_ckks_fft *f, bool inverse, uint32_t half, vl_diagonals *d) {
    vl_diagonals r;
    VL_TRY(new_diagonals(d->slots, d->step, d->period, &r));
    for (uint32_t k = 0; k < d->slots / d->step; k++) {
        if (!d->v[k]) continue;
        int32_t o = (int32_t)(k * d->step);
        double complex *same = entry(&r, o), *up = entry(&r, o + (int32_t)half), *down = entry(&r, o - (int32_t)half);
        if (!same || !up || !down) {
            vl_diagonals_free(&r);
            return VL_FAIL(VELUM_E_NOMEM, "no memory for a transform's diagonals");
        }
        for (uint32_t t = 0; t < d->period; t++) {
            double complex here, there;
            stage_row(f, inverse, half, t, &here, &there);
            same[t] += here * d->v[k][t];
            if (t & half)
                down[t] += there * d->v[k][(t - half) & (d->period - 1)];
            else
                up[t] += there * d->v[k][(t + half) & (d->period - 1)];
        }
    }
    vl_diagonals_free(d);
    *d = r;
    return VELUM_OK;
}

static velum_status build(const vl_ckks_fft *f, const vl_dft_plan *plan, uint32_t factor, double constant,
                          vl_diagonals *d) {
    uint32_t step = d->step, stages = plan->stages[factor];
    double complex *one = entry(d, 0);
    VL_FAIL_IF(!one, VELUM_E_NOMEM, "no memory for a transform's diagonals");
    for (uint32_t t = 0; t < d->period; t++) one[t] = constant;
    for (uint32_t s = 0; s < stages; s++)
        VL_TRY(multiply_stage(f, plan->inverse, step << (plan->inverse ? stages - 1 - s : s), d));
    return VELUM_OK;
}

velum_status vl_diagonals_factor(const vl_dft_plan *plan, uint32_t factor, double constant, vl_diagonals *out) {
    VL_TRY(vl_dft_plan_check(plan));
    vl_ckks_fft f;
    vl_diagonals d;
    uint32_t step = step_of(plan, factor);
    VL_TRY(new_diagonals(UINT32_C(1) << plan->log_slots, step, step << plan->stages[factor], &d));
    velum_status status = vl_ckks_fft_init(&f, plan->log_slots);
    if (status == VELUM_OK) {
        status = build(&f, plan, factor, constant, &d);
        vl_ckks_fft_clear(&f);
    }
    if (status != VELUM_OK) {
        vl_diagonals_free(&d);
        return status;
    }
    *out = d;
    return VELUM_OK;
}

void vl_diagonals_apply(const vl_diagonals *d, const double complex *x, double complex *y) {
    for (uint32_t t = 0; t < d->slots; t++) {
        y[t] = 0;
        for (uint32_t k = 0; k < d->slots / d->step; k++)
            if (d->v[k]) y[t] += d->v[k][t & (d->period - 1)] * x[(t + k * d->step) & (d->slots - 1)];
    }
}
