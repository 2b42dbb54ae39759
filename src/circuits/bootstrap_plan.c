// SPDX-License-Identifier: Apache-2.0
// What can be said about a bootstrap without running it.
#include "circuits/bootstrap.h"

#include "arith/arith.h"
#include "rlwe/ringswitch.h"

#include <math.h>
#include <string.h>

#define GIANT_PRICE 5.5

static bool sparse(const vl_bootstrap_params *b) { return b->log_slots + 1 < b->log_n; }

double vl_bootstrap_log2_failure(uint32_t weight, uint32_t range, double coefficients) {
    long double n = weight + 1, x = n / 2 - range, sum = 0, choose = 1;
    if (x <= 0) return -INFINITY;
    for (uint32_t k = 0; k < x; k++) { // P(sum < x) n!
        sum += (k % 2 ? -1 : 1) * choose * powl(x - k, n);
        choose = choose * (n - k) / (k + 1);
    }
    return (double)((logl(2 * sum) - lgammal(n + 1)) / logl(2)) + log2(coefficients);
}

// ---- keys ----
static velum_status want_key(vl_bootstrap_plan *plan, uint64_t galois, uint32_t level) {
    for (uint32_t i = 0; i < plan->key_count; i++) {
        if (plan->keys[i].galois != galois) continue;
        if (plan->keys[i].level < level) plan->keys[i].level = (uint16_t)level;
        return VELUM_OK;
    }
    VL_FAIL_IF(plan->key_count == VL_BOOTSTRAP_MAX_KEYS, VELUM_E_LIMIT, "a bootstrap with more than %d keys",
               VL_BOOTSTRAP_MAX_KEYS);
    plan->keys[plan->key_count++] = (vl_key_request){galois, (uint16_t)level};
    return VELUM_OK;
}

// Of the factors from `first` on, in a ring of degree 2^log_n, that of p or a smaller one.
static velum_status want_transform(vl_bootstrap_plan *plan, const vl_params *p, uint32_t log_n, const vl_dft_plan *t,
                                   uint32_t first, uint32_t level) {
    uint64_t mask = (UINT64_C(2) << log_n) - 1;
    for (uint32_t f = first; f < t->factors; f++) {
        int32_t k[256];
        uint32_t count = vl_dft_rotations(t, f, k);
        for (uint32_t i = 0; i < count; i++)
            if (k[i]) VL_TRY(want_key(plan, vl_params_galois(p, k[i]) & mask, level - f));
    }
    return VELUM_OK;
}

static velum_status want_keys(vl_bootstrap_plan *plan, const vl_params *p) {
    const vl_bootstrap_params *b = &plan->params;
    uint64_t galois[VL_BOOTSTRAP_SUMS - 1];
    for (uint32_t pass = 0, count; (count = vl_bootstrap_projection(plan, p, pass, galois)) > 0; pass++)
        for (uint32_t i = 0; i < count; i++) VL_TRY(want_key(plan, galois[i], plan->top));
    VL_TRY(want_transform(plan, p, b->log_n, &plan->cts, plan->raise_babies > 0, plan->top));
    for (uint32_t i = 0, count = vl_bootstrap_split(plan, p, galois); i < count; i++)
        VL_TRY(want_key(plan, galois[i], plan->mod_level + 1u));
    VL_TRY(want_key(plan, 0, plan->mod_level));
    if (sparse(b)) // the halves are folded together
        VL_TRY(want_key(plan, vl_params_galois(p, INT32_C(1) << b->log_slots),
                        b->order == VL_SLOTS_FIRST ? plan->out_level + 1u : plan->stc_level - 1u));
    if (b->order == VL_COEFFS_FIRST) return want_transform(plan, p, b->log_n, &plan->stc, 0, plan->stc_level);
    vl_bootstrap_plan *low = vl_alloc(sizeof *low);
    VL_FAIL_IF(!low, VELUM_E_NOMEM, "no memory for a bootstrap's plan");
    velum_status status = want_transform(low, p, plan->low.log_n, &plan->stc, 0, plan->stc_level);
    if (status == VELUM_OK && plan->key_count + low->key_count > VL_BOOTSTRAP_MAX_KEYS)
        status = VL_FAIL(VELUM_E_LIMIT, "a bootstrap with more than %d keys", VL_BOOTSTRAP_MAX_KEYS);
    if (status == VELUM_OK) {
        memcpy(plan->keys + plan->key_count, low->keys, low->key_count * sizeof *low->keys);
        plan->low_count = low->key_count;
    }
    vl_free(low);
    return status;
}

// How the projection's sums are shared out: a key of the raise is a third of one of the chain, but each is read.
#define RAISE_SUMS 16u
#define RAISE_BABIES 16u // rotations, where they are the babies of the first factor too
#define SPLIT_SUMS 4u

// Whether the sparse secret may lie in Z[X^2].
static bool grants_subring(const vl_params *p, uint32_t weight) {
    const vl_params_literal *lit = &p->literal;
    return lit->security_bits == 0 ||
           vl_encapsulation_log_modulus(p) <= vl_security_max_log_qp(lit->log_n - 1u, weight, lit->security_bits);
}

// All of the projection is left to the raise and to the sum with the conjugate, or nothing is done.
static void give_raise_babies(vl_bootstrap_plan *plan, uint32_t sums) {
    uint32_t babies = UINT32_C(1) << plan->cts.stages[0], split = 1;
    while (split < SPLIT_SUMS && babies * (sums / split) > RAISE_BABIES && split < sums) split *= 2;
    if (plan->cts.factors < 2 || babies * (sums / split) > RAISE_BABIES) return;
    plan->cts.log_babies[0] = plan->cts.stages[0]; // the diagonals of the first factor wrap around: no giants
    plan->raise_babies = (uint16_t)babies;
    plan->raise_sums = (uint16_t)(sums / split);
    plan->split_sums = (uint16_t)split;
}

static void set_projection(vl_bootstrap_plan *plan, const vl_params *p) {
    const vl_bootstrap_params *b = &plan->params;
    uint32_t gap = UINT32_C(1) << (b->log_n - 1 - b->log_slots),
             subring = gap > 1 && grants_subring(p, b->weight) ? 2 : 1;
    uint32_t sums = gap / subring;
    plan->raise_babies = 0;
    plan->raise_sums = (uint16_t)(sums < RAISE_SUMS ? sums : RAISE_SUMS);
    plan->split_sums = (uint16_t)(sums / plan->raise_sums < SPLIT_SUMS ? sums / plan->raise_sums : SPLIT_SUMS);
    if (gap > 1) give_raise_babies(plan, sums);
    uint32_t babies = plan->raise_babies ? plan->raise_babies : 1;
    plan->raise = (vl_encapsulation_shape){.weight = b->weight,
                                           .level = plan->top,
                                           .subring = subring,
                                           .sums = babies * plan->raise_sums,
                                           .step = (INT32_C(1) << b->log_slots) / (int32_t)babies};
}

uint32_t vl_bootstrap_projection(const vl_bootstrap_plan *plan, const vl_params *p, uint32_t pass, uint64_t *galois) {
    uint32_t step = plan->raise_sums << plan->params.log_slots, count = 1;
    uint32_t end = p->ring.n / 2 / plan->raise.subring / plan->split_sums;
    for (uint32_t i = 0; i < pass && step < end; i++) step *= VL_BOOTSTRAP_SUMS;
    for (; count < VL_BOOTSTRAP_SUMS && count * step < end; count++)
        galois[count - 1] = vl_params_galois(p, (int32_t)(count * step));
    return count - 1;
}

uint32_t vl_bootstrap_split(const vl_bootstrap_plan *plan, const vl_params *p, uint64_t *galois) {
    uint64_t conj = vl_params_galois_conj(p);
    uint32_t step = p->ring.n / 2 / plan->raise.subring / plan->split_sums, count = 0;
    for (uint32_t i = 0; i < plan->split_sums; i++) {
        uint64_t g = vl_params_galois(p, (int32_t)(i * step));
        if (i > 0) galois[count++] = g;
        galois[count++] = g * conj & (2 * (uint64_t)p->ring.n - 1);
    }
    return count;
}

// The chain's prefix that SlotsToCoeffs uses, in one digit, and the fewest special primes that are not below it; where
// the whole has not enough of them, or the ring's line of the table is too short, more digits. False: too short even
// so.
static bool fit_low(vl_params_literal *low, const vl_params *p) {
    double log_q = vl_arith_log2_product(low->q, low->q_count), log_p = 0, limit = INFINITY;
    if (low->security_bits) limit = vl_security_max_log_qp(low->log_n, low->secret_weight, low->security_bits);
    low->p_count = 1;
    while (low->p_count < p->ring.p_count && vl_arith_log2_product(low->p, low->p_count) < log_q) low->p_count++;
    while (low->p_count > 1 && log_q + vl_arith_log2_product(low->p, low->p_count) > limit) low->p_count--;
    log_p = vl_arith_log2_product(low->p, low->p_count); // the first digit is the largest: it holds q_0
    low->digit_limbs = low->q_count;
    while (low->digit_limbs > 1 && vl_arith_log2_product(low->q, low->digit_limbs) > log_p) low->digit_limbs--;
    return log_q + log_p <= limit;
}

static void set_low(vl_bootstrap_plan *plan, const vl_params *p) {
    vl_params_literal *low = &plan->low;
    *low = p->literal;
    low->q_count = plan->stc_level;
    low->log_n = (uint8_t)(plan->params.log_slots + 1);
    while (!fit_low(low, p) && low->log_n < p->literal.log_n) low->log_n++;
    uint32_t security =
        vl_security_of(low->log_n, low->secret_weight,
                       vl_arith_log2_product(low->q, low->q_count) + vl_arith_log2_product(low->p, low->p_count));
    if (security < plan->security_bits) plan->security_bits = security;
}

static uint64_t key_bytes(const vl_params_literal *lit, uint32_t level) {
    uint64_t digits = (level + lit->digit_limbs - 1) / lit->digit_limbs;
    return 2 * digits * (level + lit->p_count) * 8 << lit->log_n;
}

// ---- what a run costs and gives ----

static const vl_params_literal *low_of(const vl_bootstrap_plan *plan, const vl_params *p) {
    return plan->params.order == VL_SLOTS_FIRST ? &plan->low : &p->literal;
}

// Bytes of a transform's encoded diagonals.
static uint64_t transform_bytes(const vl_params_literal *p, const vl_dft_plan *t, uint32_t level) {
    uint64_t bytes = 0;
    uint32_t log = 0;
    for (uint32_t i = 0; i < t->factors; i++) {
        uint32_t f = t->inverse ? t->factors - 1u - i : i;
        log += t->stages[f];
        uint32_t run = (UINT32_C(1) << (p->log_n - 1)) >> log;
        bytes += (uint64_t)vl_dft_price(t, f).products * (level - f + p->p_count) * ((UINT64_C(8) << p->log_n) / run);
    }
    return bytes;
}

static size_t transform_scratch(const vl_params *p, const vl_dft_plan *t, uint32_t level) {
    size_t most = 0;
    for (uint32_t f = 0; f < t->factors; f++) {
        vl_dft_cost c = vl_dft_price(t, f);
        size_t s = vl_diagonal_map_scratch(p, c.babies + 1, c.giants + 1, (uint16_t)(level - f));
        if (s > most) most = s;
    }
    return most;
}

static size_t scratch_bytes(const vl_bootstrap_plan *plan, const vl_params *p) {
    size_t ct = 2 * vl_arena_need(vl_poly_bytes(&p->ring, plan->top, 0)) + 256;
    size_t need = transform_scratch(p, &plan->cts, plan->top), s = transform_scratch(p, &plan->stc, plan->stc_level);
    if (s > need) need = s;
    s = vl_mod1_scratch(p, &plan->mod1, plan->mod_level);
    if (s > need) need = s;
    s = vl_encapsulation_scratch(p) + vl_ckks_scratch(p, plan->top);
    if (s > need) need = s;
    s = plan->raise_babies ? vl_diagonal_map_raise_scratch(p, plan->raise_babies) : 0;
    return 5 * ct + (s > need ? s : need);
}

// Seconds of a key switch by passes over limbs, PASS each at N = 2^16: transforms, and as much again for all else. Set
// so that the named sets come out at what was measured (docs/design/bootstrap.md), within a fifth.
#define PASS 48e-6
static double switch_seconds(const vl_params_literal *p, uint32_t level, bool hoisted) {
    double n = ldexp(1, (int)p->log_n - 16), k = p->p_count, digits = (level + p->digit_limbs - 1) / p->digit_limbs;
    double passes = hoisted ? (digits + 1) * (level + k) : 2 * (level + digits * (level + k) + 2 * (k + level));
    return passes * PASS * n * (hoisted ? 1.2 : 1);
}

// Of the factors from `first` on.
static double transform_seconds(const vl_params_literal *p, const vl_dft_plan *t, uint32_t first, uint32_t level) {
    double sum = 0;
    for (uint32_t f = first; f < t->factors; f++) {
        vl_dft_cost c = vl_dft_price(t, f);
        sum += c.babies * switch_seconds(p, level - f, true) + (c.giants + 1) * switch_seconds(p, level - f, false) +
               c.products * 16e-6 * 2 * (level - f + p->p_count) * ldexp(1, (int)p->log_n - 16);
    }
    return sum;
}

// The raise: four transforms a limb, and two products a rotation; and the first factor that it makes.
static double raise_seconds(const vl_bootstrap_plan *plan) {
    double limb = PASS * ldexp(1, (int)plan->params.log_n - 16);
    return (plan->top + 1) * limb * (8 + 2.0 * plan->raise.sums + 0.7 * plan->raise_babies);
}

// Of a sum of `count` automorphisms.
static double sum_seconds(const vl_params_literal *p, uint32_t level, uint32_t count) {
    return switch_seconds(p, level, false) + (count - 1) * switch_seconds(p, level, true);
}

static double seconds_of(const vl_bootstrap_plan *plan, const vl_params *p) {
    vl_polynomial f = {.basis = VL_CHEBYSHEV, .degree = plan->params.degree, .lo = -1, .hi = 1, .c = plan->mod1.c};
    uint32_t relins = vl_poly_plan(&f).relinearisations + plan->params.doublings + 1u, level = plan->mod_level;
    double mod = relins * 1.6 * switch_seconds(&p->literal, level - 3, false);
    uint64_t galois[VL_BOOTSTRAP_SUMS - 1];
    double sums = 0;
    for (uint32_t pass = 0, count; (count = vl_bootstrap_projection(plan, p, pass, galois)) > 0; pass++)
        sums += sum_seconds(&p->literal, plan->top, count);
    sums += sum_seconds(&p->literal, plan->mod_level + 1u, vl_bootstrap_split(plan, p, galois));
    return raise_seconds(plan) + transform_seconds(&p->literal, &plan->cts, plan->raise_babies > 0, plan->top) +
           transform_seconds(low_of(plan, p), &plan->stc, 0, plan->stc_level) + sums +
           (sparse(&plan->params) ? 1 : 2) * mod;
}

// The mean |error|: that of the sine, and that of a rounding at EvalMod's input, which its slope 2 pi K multiplies.
static double precision_of(const vl_bootstrap_plan *plan) {
    const vl_bootstrap_params *b = &plan->params;
    double n = ldexp(1, b->log_n), rho = plan->mod1.literal.ratio, h = 2 * n / 3;
    double rounding = sqrt((1 + h) / 12) * sqrt(n) * 2 / ldexp(1, b->mod_bits); // real parts of slots, x in [-1, 1]
    double reach = 6.2832 * vl_mod1_reach(&plan->mod1.literal) / ldexp(1, b->doublings);
    double noise = rounding / 2 * (reach * reach / 4) * 41 * rho / 6.2832 * 0.5;
    if (b->order == VL_COEFFS_FIRST) noise *= sqrt(ldexp(1, b->log_slots + 1));
    double sine = b->order == VL_SLOTS_FIRST && !b->arcsine ? 0.22 * pow(6.2832 / rho, 2) / 6 : 0;
    double fit = 20 * plan->mod1.fit_error * rho / 6.2832;
    if (b->order == VL_COEFFS_FIRST) fit *= sqrt(ldexp(1, b->log_slots + 1));
    double own = sqrt((1 + h) / 12) * sqrt(n) / plan->scale; // of a rescale at the result's scale
    return -log2(sqrt(noise * noise * 0.8 + sine * sine + fit * fit + own * own));
}

static velum_status check_shape(const vl_bootstrap_params *b, const vl_params *p) {
    uint8_t bits[VL_MAX_LIMBS];
    uint32_t count = vl_bootstrap_chain(b, bits);
    VL_FAIL_IF(p->literal.log_n != b->log_n || p->ring.q_count != count, VELUM_E_MISMATCH,
               "bootstrap set %s wants N=2^%u and %u limbs, the parameters have N=2^%u and %u", b->name, b->log_n,
               count, p->literal.log_n, p->ring.q_count);
    for (uint32_t i = 0; i < count; i++)
        VL_FAIL_IF(fabs(log2((double)p->literal.q[i]) - bits[i]) > 0.5, VELUM_E_MISMATCH,
                   "bootstrap set %s wants prime %u near 2^%u", b->name, i, bits[i]);
    VL_FAIL_IF(p->literal.secret_weight != 0, VELUM_E_MISMATCH, "bootstrap set %s: the main secret must be dense",
               b->name);
    return VELUM_OK;
}

static void set_levels(vl_bootstrap_plan *plan, const vl_params *p) {
    const vl_bootstrap_params *b = &plan->params;
    plan->top = (uint16_t)p->ring.q_count;
    plan->mod_level = (uint16_t)(plan->top - b->cts_factors);
    uint16_t after = (uint16_t)(plan->mod_level - vl_bootstrap_mod_levels(b));
    plan->levels_left = b->left;
    if (b->order == VL_SLOTS_FIRST) {
        plan->in_level = plan->stc_level = (uint16_t)(1 + b->stc_factors);
        plan->out_level = (uint16_t)(after - sparse(b));
    } else {
        plan->in_level = 1;
        plan->stc_level = after;
        plan->out_level = (uint16_t)(after - b->stc_factors);
    }
}

velum_status vl_bootstrap_plan_make(const vl_bootstrap_params *b, const vl_params *p, vl_bootstrap_plan *out) {
    VL_TRY(check_shape(b, p));
    VL_FAIL_IF(b->log_slots + 1 > b->log_n || b->log_slots < 2, VELUM_E_USAGE, "bootstrap set %s: 2^%u slots", b->name,
               b->log_slots);
    double failure = vl_bootstrap_log2_failure(b->weight, b->range, ldexp(1, b->log_slots + 1));
    VL_FAIL_IF(b->security_bits && failure > VL_BOOTSTRAP_MAX_FAILURE, VELUM_E_INSECURE,
               "bootstrap set %s: failure probability 2^%.1f a bootstrap, the limit is 2^%.0f", b->name, failure,
               VL_BOOTSTRAP_MAX_FAILURE);
    VL_TRY(vl_encapsulation_check(p, b->weight, 1));
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "no memory for a bootstrap's plan");
    plan->params = *b;
    plan->scale = ldexp(1, b->left_bits);
    plan->log2_failure = failure;
    plan->security_bits = p->security;
    set_levels(plan, p);
    if (b->order == VL_SLOTS_FIRST) set_low(plan, p);
    double ratio = b->order == VL_SLOTS_FIRST ? exp2(b->log_ratio) : (double)p->literal.q[0] / plan->scale;
    vl_mod1_literal mod1 = {b->range, b->degree, b->doublings, b->arcsine, ratio};
    velum_status status = vl_mod1_init(&mod1, &plan->mod1);
    if (status == VELUM_OK) status = vl_dft_plan_even(true, b->log_slots, b->cts_factors, GIANT_PRICE, &plan->cts);
    if (status == VELUM_OK) status = vl_dft_plan_even(false, b->log_slots, b->stc_factors, GIANT_PRICE, &plan->stc);
    if (status == VELUM_OK) {
        set_projection(plan, p);
        status = want_keys(plan, p);
    }
    if (status == VELUM_OK) {
        for (uint32_t i = 0; i < plan->key_count; i++) plan->key_bytes += key_bytes(&p->literal, plan->keys[i].level);
        for (uint32_t i = 0; i < plan->low_count; i++)
            plan->key_bytes += key_bytes(&plan->low, plan->keys[plan->key_count + i].level);
        plan->key_bytes += vl_encapsulation_bytes(p, plan->top, plan->raise.sums);
        if (plan->low_count && plan->low.log_n < b->log_n) {
            vl_params_literal entry = vl_ringswitch_entry(&plan->low, b->log_n);
            plan->key_bytes += key_bytes(&entry, entry.q_count);
        }
        plan->matrix_bytes = transform_bytes(&p->literal, &plan->cts, plan->top) +
                             transform_bytes(low_of(plan, p), &plan->stc, plan->stc_level);
        plan->scratch_bytes = scratch_bytes(plan, p);
        plan->seconds = seconds_of(plan, p);
        plan->precision_bits = precision_of(plan);
        *out = *plan;
    }
    vl_free(plan);
    return status;
}
