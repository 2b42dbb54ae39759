// SPDX-License-Identifier: Apache-2.0
// Planning of sets of diagonals: pure integer work.
#include "circuits/diagset.h"

#include <string.h>

static bool is_power(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

static velum_status check_offsets(const int32_t *offset, uint32_t count, uint32_t slots) {
    VL_FAIL_IF(!is_power(slots) || slots > (UINT32_C(1) << 16), VELUM_E_FORMAT, "diagonals: %u slots", slots);
    VL_FAIL_IF(count > VL_DIAGSET_MAX, VELUM_E_LIMIT, "diagonals: %u of them, at most %d", count, VL_DIAGSET_MAX);
    VL_FAIL_IF(count == 0, VELUM_E_FORMAT, "diagonals: none");
    uint8_t *there = vl_alloc(slots);
    VL_FAIL_IF(!there, VELUM_E_NOMEM, "diagonals: %u slots", slots);
    uint32_t twice = count;
    for (uint32_t i = 0; i < count && twice == count; i++)
        if (there[(uint32_t)offset[i] & (slots - 1)]++) twice = i;
    vl_free(there);
    VL_FAIL_IF(twice < count, VELUM_E_FORMAT, "diagonals: offset %d is there twice", offset[twice]);
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

// The place of rotation k in the list, appended if it is not there. seen[k / unit] is its place + 1.
static uint16_t place_of(int32_t *list, uint32_t *count, uint16_t *seen, uint32_t unit, int32_t k) {
    uint16_t *at = &seen[(uint32_t)k / unit];
    if (!*at) {
        list[*count] = k;
        *at = (uint16_t)++ * count;
    }
    return (uint16_t)(*at - 1);
}

typedef struct pieces { // of one diagonal, in units
    int32_t baby, giant;
} pieces;

static pieces split_one(int32_t at, uint32_t step, int32_t start) {
    int32_t b = (int32_t)step, rest = (at - start) % b;
    if (rest < 0) rest += b;
    return (pieces){rest + start, at - start - rest};
}

// seen: 2 slots / unit entries
static void split(const int32_t *offset, uint32_t count, uint32_t slots, uint32_t unit, uint32_t step, int32_t start,
                  uint16_t *seen, vl_diagset_plan *plan) {
    *plan = (vl_diagset_plan){.slots = slots, .count = count, .step = step, .start = start};
    const int32_t mask = (int32_t)(slots - 1);
    memset(seen, 0, 2 * (size_t)(slots / unit) * sizeof *seen);
    for (uint32_t i = 0; i < count; i++) {
        pieces t = split_one(centred(offset[i], slots) / (int32_t)unit, step, start);
        plan->at_baby[i] = place_of(plan->baby, &plan->babies, seen, unit, t.baby * (int32_t)unit & mask);
        plan->at_giant[i] =
            place_of(plan->giant, &plan->giants, seen + slots / unit, unit, t.giant * (int32_t)unit & mask);
    }
}

velum_status vl_diagset_plan_split(const int32_t *offset, uint32_t count, uint32_t slots, uint32_t step, int32_t start,
                                   vl_diagset_plan *plan) {
    VL_TRY(check_offsets(offset, count, slots));
    VL_FAIL_IF(step == 0 || step > slots || start > 0 || -(int64_t)start >= step, VELUM_E_FORMAT,
               "diagonals: babies %d .. of %u", start, step);
    uint32_t unit = unit_of(offset, count, slots);
    uint16_t *seen = vl_alloc_array(2 * (size_t)(slots / unit), sizeof *seen);
    VL_FAIL_IF(!seen, VELUM_E_NOMEM, "diagonals: %u slots", slots);
    split(offset, count, slots, unit, step, start, seen, plan);
    vl_free(seen);
    return VELUM_OK;
}

// `babies`, `giants`: those that turn
static vl_lintrans_cost price(uint32_t count, uint32_t babies, uint32_t giants, const vl_lintrans_prices *prices) {
    bool turning = babies > 0;
    vl_lintrans_cost cost = {.products = count, .diagonals = count, .hoisted = babies + giants};
    cost.decompositions = turning + giants;
    cost.mod_downs = turning ? 2 + giants : giants ? 2 : 0;
    double mod_down = (prices->rotation - prices->decompose - prices->hoisted) / 2;
    cost.seconds = cost.hoisted * prices->hoisted + cost.products * prices->product +
                   cost.decompositions * prices->decompose + (mod_down > 0 ? cost.mod_downs * mod_down : 0);
    return cost;
}

vl_lintrans_cost vl_diagset_price(const vl_diagset_plan *plan, const vl_lintrans_prices *prices) {
    uint32_t babies = 0, giants = 0;
    for (uint32_t i = 0; i < plan->babies; i++) babies += plan->baby[i] != 0;
    for (uint32_t i = 0; i < plan->giants; i++) giants += plan->giant[i] != 0;
    return price(plan->count, babies, giants, prices);
}

// ---- the search ----
typedef struct search {
    uint32_t count, size; // diagonals; places of each kind
    int32_t *at;          // of the diagonals, in units
    uint32_t *seen;       // 2 x size: the number of the try at which a place was last met
    uint32_t tries;
} search;

// What the split would cost.
static vl_lintrans_cost try_split(search *s, uint32_t step, int32_t start, const vl_lintrans_prices *prices) {
    const uint32_t mask = s->size - 1, now = ++s->tries;
    uint32_t turning[2] = {0, 0}, *seen[2] = {s->seen, s->seen + s->size};
    for (uint32_t i = 0; i < s->count; i++) {
        pieces t = split_one(s->at[i], step, start);
        uint32_t place[2] = {(uint32_t)t.baby & mask, (uint32_t)t.giant & mask};
        for (int k = 0; k < 2; k++) {
            turning[k] += place[k] != 0 && seen[k][place[k]] != now;
            seen[k][place[k]] = now;
        }
    }
    return price(s->count, turning[0], turning[1], prices);
}

static void find_best(search *s, uint32_t span, const vl_lintrans_prices *prices, uint32_t *step, int32_t *start,
                      vl_lintrans_cost *best) {
    bool found = false;
    for (uint32_t b = 1; b <= span; b += b > 64 ? b / 32 : 1)
        for (int32_t first = 0; first > -(int32_t)b; first -= b > 32 ? (int32_t)(b / 16) : 1) {
            vl_lintrans_cost c = try_split(s, b, first, prices);
            if (found && !(c.seconds < best->seconds)) continue;
            *step = b;
            *start = first;
            *best = c;
            found = true;
        }
}

velum_status vl_diagset_plan_best(const int32_t *offset, uint32_t count, uint32_t slots,
                                  const vl_lintrans_prices *prices, vl_diagset_plan *plan, vl_lintrans_cost *cost) {
    VL_TRY(check_offsets(offset, count, slots));
    uint32_t unit = unit_of(offset, count, slots), most = 0;
    search s = {.count = count, .size = slots / unit};
    s.at = vl_alloc_array(count, sizeof *s.at);
    s.seen = vl_alloc_array(2 * (size_t)s.size, sizeof *s.seen);
    bool good = s.at && s.seen;
    for (uint32_t i = 0; good && i < count; i++) {
        s.at[i] = centred(offset[i], slots) / (int32_t)unit;
        uint32_t size = (uint32_t)(s.at[i] < 0 ? -s.at[i] : s.at[i]);
        if (size > most) most = size;
    }
    uint32_t span = 2 * most + 1 < s.size ? 2 * most + 1 : s.size, step = 1;
    if (span > VL_DIAGSET_MAX) span = VL_DIAGSET_MAX;
    int32_t start = 0;
    vl_lintrans_cost best = {0};
    if (good) find_best(&s, span, prices, &step, &start, &best);
    vl_free(s.at);
    vl_free(s.seen);
    VL_FAIL_IF(!good, VELUM_E_NOMEM, "diagonals: %u of them", count);
    if (cost) *cost = best;
    return vl_diagset_plan_split(offset, count, slots, step, start, plan);
}

uint32_t vl_diagset_key_requests(const vl_diagset_plan *plan, const vl_params *p, uint16_t level, vl_key_request *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->babies; i++)
        if (plan->baby[i]) out[count++] = (vl_key_request){vl_params_galois(p, plan->baby[i]), level};
    for (uint32_t i = 0; i < plan->giants; i++) {
        bool there = plan->giant[i] == 0;
        for (uint32_t k = 0; k < plan->babies && !there; k++) there = plan->baby[k] == plan->giant[i];
        if (!there) out[count++] = (vl_key_request){vl_params_galois(p, plan->giant[i]), level};
    }
    return count;
}
