// SPDX-License-Identifier: Apache-2.0
// Planning of linear maps: pure integer work, no cryptography.
#include "circuits/lintrans_internal.h"

#include <math.h>

#define MAX_SPLIT 1024u // babies and giants at most: keeps the rotations within VL_LINTRANS_MAX_ROTATIONS

static bool is_power(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }
static unsigned log2_of(uint32_t v) { return (unsigned)__builtin_ctz(v); }

velum_status vl_lintrans_shape_check(const vl_lintrans_shape *s) {
    VL_FAIL_IF(!is_power(s->slots) || s->slots > (UINT32_C(1) << 16), VELUM_E_FORMAT, "linear map: %u slots", s->slots);
    VL_FAIL_IF(!is_power(s->lanes) || s->lanes > s->slots, VELUM_E_FORMAT, "linear map: %u lanes of %u slots", s->lanes,
               s->slots);
    uint32_t positions = lt_positions(s);
    VL_FAIL_IF(!is_power(s->period_in) || !is_power(s->period_out) || s->period_in > positions ||
                   s->period_out > positions,
               VELUM_E_FORMAT, "linear map: periods %u and %u in %u positions", s->period_in, s->period_out, positions);
    VL_FAIL_IF(s->rows == 0 || s->cols == 0 || s->rows > s->period_out || s->cols > s->period_in, VELUM_E_FORMAT,
               "linear map: %u x %u with periods %u and %u", s->rows, s->cols, s->period_out, s->period_in);
    VL_FAIL_IF(s->valid_in < s->period_in || s->valid_in > positions, VELUM_E_FORMAT,
               "linear map: input valid on %u of %u positions, period %u", s->valid_in, positions, s->period_in);
    VL_FAIL_IF(s->valid_need < s->rows || s->valid_need > positions, VELUM_E_FORMAT,
               "linear map: output needed on %u of %u positions, %u rows", s->valid_need, positions, s->rows);
    return VELUM_OK;
}

// The largest V for copies spaced T apart; negative if none.
static int64_t reach(int64_t spacing, int64_t copies, int64_t room) {
    int64_t last = room - (copies - 1) * spacing;
    return last < spacing ? last : spacing;
}

// Copies need powers of two; one copy needs only that no giant is idle.
static bool splits(uint32_t diagonals, uint32_t babies, uint32_t giants, uint32_t copies) {
    if (babies == 0 || giants == 0 || babies > MAX_SPLIT || giants > MAX_SPLIT) return false;
    if (copies == 1) return giants == (diagonals + babies - 1) / babies && babies <= diagonals;
    return is_power(babies) && is_power(giants) && is_power(copies) && (uint64_t)babies * giants * copies == diagonals;
}

velum_status vl_lintrans_plan_split(const vl_lintrans_shape *shape, uint32_t babies, uint32_t giants, uint32_t copies,
                                    vl_lintrans_plan *plan) {
    VL_TRY(vl_lintrans_shape_check(shape));
    uint32_t diagonals = lt_diagonals(shape), positions = lt_positions(shape);
    VL_FAIL_IF(!splits(diagonals, babies, giants, copies), VELUM_E_FORMAT,
               "linear map: split %u x %u x %u of %u diagonals", babies, giants, copies, diagonals);
    uint32_t folds = shape->period_in > shape->period_out ? shape->period_in / shape->period_out : 1;
    uint32_t step = babies * giants < diagonals ? babies * giants : diagonals;
    bool cyclic = shape->valid_in == positions;
    int64_t room = (int64_t)shape->valid_in - (cyclic ? 0 : step - 1), valid = room, spacing = 0;
    if (copies > 1) { // T = step modulo the input's period: the one below room / copies, or the one above
        int64_t period = shape->period_in, fair = room / copies;
        int64_t low = fair >= step ? fair - (fair - step) % period : step;
        spacing = reach(low + period, copies, room) > reach(low, copies, room) ? low + period : low;
        valid = reach(spacing, copies, room);
    }
    if (copies > 1 || !cyclic) valid -= (int64_t)(folds - 1) * shape->period_out;
    VL_FAIL_IF(valid < (int64_t)shape->valid_need, VELUM_E_LIMIT,
               "linear map %u x %u: %u copies leave %lld valid positions of %u, %u are needed", shape->rows,
               shape->cols, copies, (long long)(valid < 0 ? 0 : valid), positions, shape->valid_need);
    *plan = (vl_lintrans_plan){.shape = *shape,
                               .babies = babies,
                               .giants = giants,
                               .copies = copies,
                               .folds = folds,
                               .spacing = (uint32_t)spacing,
                               .valid_out = (uint32_t)valid};
    return VELUM_OK;
}

velum_status vl_lintrans_plan_check(const vl_lintrans_plan *plan) {
    vl_lintrans_plan want;
    velum_status status = vl_lintrans_plan_split(&plan->shape, plan->babies, plan->giants, plan->copies, &want);
    if (status == VELUM_E_LIMIT) return VL_FAIL(VELUM_E_FORMAT, "linear map: the plan does not fit its slots");
    VL_TRY(status);
    VL_FAIL_IF(plan->folds != want.folds || plan->spacing != want.spacing || plan->valid_out != want.valid_out,
               VELUM_E_FORMAT, "linear map: %u folds, spacing %u, valid %u do not belong to its shape", plan->folds,
               plan->spacing, plan->valid_out);
    return VELUM_OK;
}

vl_lintrans_cost vl_lintrans_price(const vl_lintrans_plan *plan, const vl_lintrans_prices *prices) {
    uint32_t b = plan->babies, r = plan->giants;
    const uint32_t products = lt_terms(plan);
    vl_lintrans_cost cost = {.products = products, .diagonals = products};
    cost.rotations = log2_of(plan->copies) + log2_of(plan->folds);
    cost.hoisted = (b - 1) + (r - 1);
    cost.decompositions = (b > 1) + (r - 1);
    cost.mod_downs = b * r == 1 ? 0 : 2 + (b > 1 ? r - 1 : 0);
    double mod_down = (prices->rotation - prices->decompose - prices->hoisted) / 2;
    cost.seconds = cost.rotations * prices->rotation + cost.hoisted * prices->hoisted +
                   cost.products * prices->product + cost.decompositions * prices->decompose +
                   (mod_down > 0 ? cost.mod_downs * mod_down : 0);
    return cost;
}

vl_lintrans_prices vl_lintrans_prices_counted(const vl_params *p, uint16_t level) {
    // In transforms of a limb: reading a limb of a key or a plaintext from memory, a pass over a limb in the cache, an
    // inner step of a base extension. A key is 2 digits (l + k) limbs, used once: memory is what a lazy rotation costs.
    const double read = 0.3, pass = 0.12, step = 0.1;
    double k = p->ring.p_count, l = level, alpha = p->literal.digit_limbs, digits = ceil(l / alpha), wide = l + k;
    double decompose = l + digits * wide - l + step * digits * alpha * wide;
    double hoisted = (read * 2 * digits + pass * 4) * wide;
    double mod_down = wide + step * l * k + pass * l;
    return (vl_lintrans_prices){.rotation = decompose + hoisted + 2 * mod_down,
                                .hoisted = hoisted,
                                .product = (read + 2 * pass) * wide,
                                .decompose = decompose};
}

velum_status vl_lintrans_plan_best(const vl_lintrans_shape *shape, const vl_lintrans_prices *prices,
                                   vl_lintrans_plan *plan, vl_lintrans_cost *cost) {
    VL_TRY(vl_lintrans_shape_check(shape));
    uint32_t diagonals = lt_diagonals(shape);
    bool found = false;
    vl_lintrans_plan best = {0};
    vl_lintrans_cost best_cost = {0};
    for (uint32_t copies = 1; copies <= diagonals; copies *= 2)
        for (uint32_t giants = 1; giants * copies <= diagonals && giants <= MAX_SPLIT;
             giants += copies > 1 ? giants : 1) {
            vl_lintrans_plan t;
            uint32_t babies = copies > 1 ? diagonals / copies / giants : (diagonals + giants - 1) / giants;
            if (!splits(diagonals, babies, giants, copies)) continue;
            if (vl_lintrans_plan_split(shape, babies, giants, copies, &t) != VELUM_OK) continue;
            vl_lintrans_cost c = vl_lintrans_price(&t, prices);
            bool fewer =
                c.seconds == best_cost.seconds && c.rotations + c.hoisted < best_cost.rotations + best_cost.hoisted;
            if (found && !(c.seconds < best_cost.seconds) && !fewer) continue;
            best = t;
            best_cost = c;
            found = true;
        }
    VL_FAIL_IF(!found, VELUM_E_LIMIT,
               "a %u x %u linear map on %u lanes does not fit %u slots (input valid on %u positions)", shape->rows,
               shape->cols, shape->lanes, shape->slots, shape->valid_in);
    *plan = best;
    if (cost) *cost = best_cost;
    return VELUM_OK;
}

uint32_t vl_lintrans_fold_steps(const vl_lintrans_plan *plan, uint32_t out[64]) {
    uint32_t count = 0;
    for (uint32_t g = 1; g < plan->copies; g *= 2) out[count++] = plan->spacing * g;
    for (uint32_t w = 1; w < plan->folds; w *= 2) out[count++] = plan->shape.period_out * w;
    return count;
}

// A rotation by `positions`, once; returns the new count.
static uint32_t take_rotation(const vl_lintrans_plan *plan, uint32_t positions, int32_t *out, uint32_t count) {
    int32_t k = (int32_t)(positions * plan->shape.lanes);
    for (uint32_t i = 0; i < count; i++)
        if (out[i] == k) return count;
    out[count] = k;
    return count + 1;
}

// Babies and giants, then (returned in *inner) folds.
static uint32_t list_rotations(const vl_lintrans_plan *plan, int32_t *out, uint32_t *inner) {
    uint32_t count = 0, steps[64];
    for (uint32_t b = 1; b < plan->babies; b++) count = take_rotation(plan, b, out, count);
    for (uint32_t r = 1; r < plan->giants; r++) count = take_rotation(plan, r * plan->babies, out, count);
    *inner = count;
    uint32_t folds = vl_lintrans_fold_steps(plan, steps);
    for (uint32_t i = 0; i < folds; i++) count = take_rotation(plan, steps[i], out, count);
    return count;
}

uint32_t vl_lintrans_rotations(const vl_lintrans_plan *plan, int32_t *out) {
    uint32_t inner;
    return list_rotations(plan, out, &inner);
}

uint32_t vl_lintrans_key_requests(const vl_lintrans_plan *plan, const vl_params *p, uint16_t level,
                                  vl_key_request *out) {
    int32_t k[VL_LINTRANS_MAX_ROTATIONS];
    uint32_t inner, count = list_rotations(plan, k, &inner);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (vl_key_request){vl_params_galois(p, k[i]), (uint16_t)(i < inner ? level : level - 1)};
    return count;
}
