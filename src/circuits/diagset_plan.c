// SPDX-License-Identifier: Apache-2.0
// Planning of sets of diagonals: pure integer work.
#include "circuits/diagset.h"

static bool is_power(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

static velum_status check_offsets(const int32_t *offset, uint32_t count, uint32_t slots) {
    VL_FAIL_IF(!is_power(slots) || slots > (UINT32_C(1) << 16), VELUM_E_FORMAT, "diagonals: %u slots", slots);
    VL_FAIL_IF(count > VL_DIAGSET_MAX, VELUM_E_LIMIT, "diagonals: %u of them, at most %d", count, VL_DIAGSET_MAX);
    VL_FAIL_IF(count == 0, VELUM_E_FORMAT, "diagonals: none");
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            VL_FAIL_IF(((uint32_t)offset[i] & (slots - 1)) == ((uint32_t)offset[j] & (slots - 1)), VELUM_E_FORMAT,
                       "diagonals: offset %d is there twice", offset[i]);
    return VELUM_OK;
}

// The largest power of two that divides all offsets; slots if all are 0.
static uint32_t unit_of(const int32_t *offset, uint32_t count, uint32_t slots) {
    uint32_t bits = slots;
    for (uint32_t i = 0; i < count; i++) bits |= (uint32_t)offset[i] & (slots - 1);
    return bits & (~bits + 1);
}

// The representative of v modulo slots in [-slots/2, slots/2).
static int32_t centred(int32_t v, uint32_t slots) {
    uint32_t low = (uint32_t)v & (slots - 1);
    return low >= (slots + 1) / 2 && slots > 1 ? (int32_t)low - (int32_t)slots : (int32_t)low;
}

// The place of rotation k in the list, appended if it is not there.
static uint16_t place_of(int32_t *list, uint32_t *count, int32_t k) {
    for (uint32_t i = 0; i < *count; i++)
        if (list[i] == k) return (uint16_t)i;
    list[*count] = k;
    return (uint16_t)(*count)++;
}

static void split(const int32_t *offset, uint32_t count, uint32_t slots, uint32_t unit, uint32_t step, int32_t start,
                  vl_diagset_plan *plan) {
    *plan = (vl_diagset_plan){.slots = slots, .count = count, .step = step};
    const int32_t mask = (int32_t)(slots - 1), b = (int32_t)step;
    for (uint32_t i = 0; i < count; i++) {
        int32_t at = centred(offset[i], slots) / (int32_t)unit - start, rest = at % b;
        if (rest < 0) rest += b;
        int32_t giant = at - rest; // a multiple of the step
        plan->at_baby[i] = place_of(plan->baby, &plan->babies, (rest + start) * (int32_t)unit & mask);
        plan->at_giant[i] = place_of(plan->giant, &plan->giants, giant * (int32_t)unit & mask);
    }
}

velum_status vl_diagset_plan_split(const int32_t *offset, uint32_t count, uint32_t slots, uint32_t step, int32_t start,
                                   vl_diagset_plan *plan) {
    VL_TRY(check_offsets(offset, count, slots));
    VL_FAIL_IF(step == 0 || step > slots || start > 0 || -(int64_t)start >= step, VELUM_E_FORMAT,
               "diagonals: babies %d .. of %u", start, step);
    split(offset, count, slots, unit_of(offset, count, slots), step, start, plan);
    return VELUM_OK;
}

vl_lintrans_cost vl_diagset_price(const vl_diagset_plan *plan, const vl_lintrans_prices *prices) {
    uint32_t babies = 0, giants = 0;
    for (uint32_t i = 0; i < plan->babies; i++) babies += plan->baby[i] != 0;
    for (uint32_t i = 0; i < plan->giants; i++) giants += plan->giant[i] != 0;
    bool turning = plan->babies > 1 || babies > 0;
    vl_lintrans_cost cost = {.products = plan->count, .diagonals = plan->count, .hoisted = babies + giants};
    cost.decompositions = turning + giants;
    cost.mod_downs = turning ? 2 + giants : giants ? 2 : 0;
    double mod_down = (prices->rotation - prices->decompose - prices->hoisted) / 2;
    cost.seconds = cost.hoisted * prices->hoisted + cost.products * prices->product +
                   cost.decompositions * prices->decompose + (mod_down > 0 ? cost.mod_downs * mod_down : 0);
    return cost;
}

velum_status vl_diagset_plan_best(const int32_t *offset, uint32_t count, uint32_t slots,
                                  const vl_lintrans_prices *prices, vl_diagset_plan *plan, vl_lintrans_cost *cost) {
    VL_TRY(check_offsets(offset, count, slots));
    uint32_t unit = unit_of(offset, count, slots), most = 0;
    for (uint32_t i = 0; i < count; i++) {
        int32_t at = centred(offset[i], slots) / (int32_t)unit;
        uint32_t size = (uint32_t)(at < 0 ? -at : at);
        if (size > most) most = size;
    }
    uint32_t span = 2 * most + 1 < slots / unit ? 2 * most + 1 : slots / unit;
    if (span > VL_DIAGSET_MAX) span = VL_DIAGSET_MAX;
    vl_diagset_plan t;
    vl_lintrans_cost best = {0};
    bool found = false;
    for (uint32_t step = 1; step <= span; step++)
        for (int32_t start = 0; start > -(int32_t)step; start -= step > 32 ? (int32_t)(step / 16) : 1) {
            split(offset, count, slots, unit, step, start, &t);
            vl_lintrans_cost c = vl_diagset_price(&t, prices);
            if (found && !(c.seconds < best.seconds)) continue;
            *plan = t;
            best = c;
            found = true;
        }
    if (cost) *cost = best;
    return VELUM_OK;
}

uint32_t vl_diagset_key_requests(const vl_diagset_plan *plan, const vl_params *p, uint16_t level, vl_key_request *out) {
    int32_t k[2 * VL_DIAGSET_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->babies; i++)
        if (plan->baby[i]) (void)place_of(k, &count, plan->baby[i]);
    for (uint32_t i = 0; i < plan->giants; i++)
        if (plan->giant[i]) (void)place_of(k, &count, plan->giant[i]);
    for (uint32_t i = 0; i < count; i++) out[i] = (vl_key_request){vl_params_galois(p, k[i]), level};
    return count;
}
