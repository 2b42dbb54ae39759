// SPDX-License-Identifier: Apache-2.0
// Digits, and how columns of inputs are dealt out to lanes: pure integer work.
#include "circuits/lookup.h"

#include <string.h>

static uint32_t power_above(uint32_t v) {
    uint32_t p = 1;
    while (p < v) p *= 2;
    return p;
}

uint32_t vl_lookup_digits(uint64_t rows, uint32_t base) {
    uint32_t digits = 1;
    for (uint64_t reach = base; reach < rows; digits++) {
        if (reach > UINT64_MAX / base) return digits + 1;
        reach *= base;
    }
    return digits;
}

uint32_t vl_lookup_inputs(uint64_t rows, uint32_t base, uint64_t threshold) {
    return rows <= threshold ? (uint32_t)rows : base * vl_lookup_digits(rows, base);
}

uint32_t vl_lookup_hot(uint64_t rows, uint32_t base, uint64_t threshold, uint64_t index, uint32_t *out) {
    if (rows <= threshold) {
        out[0] = (uint32_t)index;
        return 1;
    }
    uint32_t digits = vl_lookup_digits(rows, base);
    for (uint32_t j = 0; j < digits; j++, index /= base) out[j] = j * base + (uint32_t)(index % base);
    return digits;
}

// ---- columns ----

typedef struct deal { // one ciphertext's columns
    const vl_lookup_plan *plan;
    uint32_t rows;       // a column
    const uint32_t *end; // of each table: its last input + 1
    uint32_t *next;      // the first that has no place yet
    uint32_t *quota;     // columns that the table may still take here
    vl_lookup_column *column;
} deal;

static uint32_t columns_left(const deal *d, uint32_t t) { return (d->end[t] - d->next[t] + d->rows - 1) / d->rows; }

static bool can_place(const deal *d, uint32_t t, uint32_t shift) {
    return d->quota[t] && d->next[t] < d->end[t] && !d->column[(t + shift) % d->plan->lanes].rows;
}

static void place_shift(deal *d, uint32_t shift) {
    for (uint32_t t = 0; t < d->plan->tables; t++) {
        if (!can_place(d, t, shift)) continue;
        uint32_t left = d->end[t] - d->next[t], rows = left < d->rows ? left : d->rows;
        d->column[(t + shift) % d->plan->lanes] = (vl_lookup_column){t, d->next[t], rows};
        d->next[t] += rows;
        d->quota[t]--;
    }
}

// The shift that serves the tables with most left to place; lanes if none serves any.
static uint32_t best_shift(const deal *d) {
    uint64_t best = 0;
    uint32_t at = d->plan->lanes;
    for (uint32_t s = 0; s < d->plan->lanes; s++) {
        uint64_t score = 0;
        for (uint32_t t = 0; t < d->plan->tables; t++) score += can_place(d, t, s) ? columns_left(d, t) : 0;
        if (score > best) {
            best = score;
            at = s;
        }
    }
    return at;
}

static bool has_shift(const vl_lookup_plan *plan, const vl_lookup_column *column, uint32_t shift) {
    for (uint32_t t = 0; t < plan->tables; t++) {
        const vl_lookup_column *c = &column[(t + shift) % plan->lanes];
        if (c->rows && c->table == t) return true;
    }
    return false;
}

// Fills one ciphertext. Every table takes its share of what the ciphertexts to come can hold, so that a large table's
// columns are spread and share their shifts with others'; then lanes that are left take what a shift in use can serve.
static void fill(deal *d) {
    const uint32_t lanes = d->plan->lanes, tables = d->plan->tables;
    uint64_t total = 0;
    for (uint32_t t = 0; t < tables; t++) total += columns_left(d, t);
    uint32_t ahead = (uint32_t)((total + lanes - 1) / lanes);
    for (uint32_t t = 0; t < tables; t++) d->quota[t] = (columns_left(d, t) + ahead - 1) / ahead;
    for (uint32_t s; (s = best_shift(d)) < lanes;) place_shift(d, s);
    for (uint32_t t = 0; t < tables; t++) d->quota[t] = lanes;
    for (uint32_t s = 0; s < lanes; s++)
        if (has_shift(d->plan, d->column, s)) place_shift(d, s);
}

// The columns of all inputs for plan->copies; false if they need more than `most` ciphertexts.
static bool deal_out(vl_lookup_plan *plan, const uint32_t *inputs, uint32_t most, uint32_t *work) {
    deal d = {.plan = plan, .rows = plan->slots / (plan->lanes * plan->copies), .end = work};
    d.next = work + plan->tables;
    d.quota = d.next + plan->tables;
    uint32_t at = 0;
    for (uint32_t t = 0; t < plan->tables; t++) {
        d.next[t] = at;
        at = work[t] = at + inputs[t];
    }
    memset(plan->column, 0, (size_t)VL_LOOKUP_MAX_INPUTS * plan->lanes * sizeof *plan->column);
    for (plan->inputs = 0;; plan->inputs++) {
        bool more = false;
        for (uint32_t t = 0; t < plan->tables && !more; t++) more = d.next[t] < d.end[t];
        if (!more) return true;
        if (plan->inputs == most) return false;
        d.column = plan->column + (size_t)plan->inputs * plan->lanes;
        fill(&d);
    }
}

// ---- splits ----

static uint32_t shifts_of(const vl_lookup_plan *plan, uint32_t input) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < plan->lanes; s++) count += has_shift(plan, plan->column + (size_t)input * plan->lanes, s);
    return count;
}

// Shifts that any ciphertext uses, in order.
static uint32_t all_shifts(const vl_lookup_plan *plan, uint32_t *out) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < plan->lanes; s++)
        for (uint32_t i = 0; i < plan->inputs; i++)
            if (has_shift(plan, plan->column + (size_t)i * plan->lanes, s)) {
                out[count++] = s;
                break;
            }
    return count;
}

static vl_lintrans_cost price(const vl_lookup_plan *plan, uint32_t step, bool shifted_babies,
                              const vl_lintrans_prices *prices) {
    uint32_t list[VL_LOOKUP_MAX_LANES], shifts = all_shifts(plan, list), spans = plan->period / plan->copies;
    vl_lintrans_cost c = {0};
    for (uint32_t i = 0; i < plan->inputs; i++) {
        uint32_t own = shifts_of(plan, i);
        bool still = !shifted_babies || has_shift(plan, plan->column + (size_t)i * plan->lanes, 0);
        c.hoisted += (shifted_babies ? own : 1) * step - still;
        c.diagonals += own * spans;
    }
    bool turning = c.hoisted > 0;
    uint32_t giants = spans / step * (shifted_babies ? 1 : shifts);
    uint32_t turns = giants - (shifted_babies || list[0] == 0);
    uint32_t folds = (uint32_t)__builtin_ctz(plan->slots / (plan->lanes * plan->period));
    double divide = 0.5 * (prices->rotation - prices->hoisted - prices->decompose);
    c.products = c.diagonals;
    c.decompositions = (turning ? plan->inputs : 0) + turns;
    c.mod_downs = (turning ? turns : 0) + (turning || turns ? 2 : 0);
    c.rotations = turns + folds;
    c.seconds = (c.hoisted + turns) * prices->hoisted + c.decompositions * prices->decompose + c.mod_downs * divide +
                c.products * prices->product + folds * prices->rotation;
    return c;
}

static velum_status make_lists(vl_lookup_plan *plan, uint32_t step) {
    uint32_t list[VL_LOOKUP_MAX_LANES], shifts = all_shifts(plan, list), spans = plan->period / plan->copies / step;
    plan->babies = step * (plan->shifted_babies ? shifts : 1);
    plan->giants = spans * (plan->shifted_babies ? 1 : shifts);
    plan->baby = vl_alloc_array(plan->babies, sizeof *plan->baby);
    plan->giant = vl_alloc_array(plan->giants, sizeof *plan->giant);
    VL_FAIL_IF(!plan->baby || !plan->giant, VELUM_E_NOMEM, "lookup: no memory for a plan");
    for (uint32_t b = 0; b < plan->babies; b++)
        plan->baby[b] = (int32_t)(b % step * plan->lanes + (plan->shifted_babies ? list[b / step] : 0));
    for (uint32_t g = 0; g < plan->giants; g++)
        plan->giant[g] = (int32_t)(g % spans * step * plan->lanes + (plan->shifted_babies ? 0 : list[g / spans]));
    return VELUM_OK;
}

static velum_status search(vl_lookup_plan *plan, const uint32_t *inputs, const vl_lintrans_prices *prices,
                           uint32_t *work, vl_lintrans_cost *cost) {
    plan->copies = 1;
    VL_FAIL_IF(!deal_out(plan, inputs, VL_LOOKUP_MAX_INPUTS, work), VELUM_E_LIMIT,
               "lookup: %u inputs need more than %d ciphertexts of %u slots", plan->width, VL_LOOKUP_MAX_INPUTS,
               plan->slots);
    const uint32_t fewest = plan->inputs, rounds = plan->slots / (plan->lanes * plan->period);
    uint32_t copies = 0, step = 0;
    vl_lintrans_cost best = {0};
    for (plan->copies = 1; plan->copies <= rounds && plan->copies <= plan->period; plan->copies *= 2) {
        if (!deal_out(plan, inputs, fewest, work)) break;
        for (uint32_t s = 1; s <= plan->period / plan->copies; s *= 2)
            for (int shifted = 0; shifted < 2; shifted++) {
                vl_lintrans_cost c = price(plan, s, shifted, prices);
                if (copies && c.seconds >= best.seconds) continue;
                best = c;
                copies = plan->copies;
                step = s;
                plan->shifted_babies = shifted;
            }
    }
    plan->copies = copies;
    deal_out(plan, inputs, fewest, work);
    if (cost) *cost = best;
    return make_lists(plan, step);
}

velum_status vl_lookup_plan_new(const uint32_t *inputs, uint32_t tables, uint32_t dim, uint32_t slots,
                                const vl_lintrans_prices *prices, vl_lookup_plan *plan, vl_lintrans_cost *cost) {
    VL_FAIL_IF(tables == 0 || tables > VL_LOOKUP_MAX_LANES || dim == 0 || slots == 0 || slots > UINT32_C(1) << 16 ||
                   (slots & (slots - 1)),
               VELUM_E_FORMAT, "lookup: %u tables of %u numbers in %u slots", tables, dim, slots);
    VL_FAIL_IF(dim > slots || (uint64_t)power_above(tables) * power_above(dim) > slots, VELUM_E_LIMIT,
               "lookup: %u tables of %u numbers do not fit %u slots", tables, dim, slots);
    vl_lookup_plan made = {
        .slots = slots, .dim = dim, .tables = tables, .lanes = power_above(tables), .period = power_above(dim)};
    for (uint32_t t = 0; t < tables; t++) {
        VL_FAIL_IF(inputs[t] == 0 || inputs[t] > VL_LOOKUP_MAX_WIDTH - made.width, VELUM_E_LIMIT,
                   "lookup: %u inputs of table %u, all together at most %d", inputs[t], t, VL_LOOKUP_MAX_WIDTH);
        made.width += inputs[t];
    }
    made.column = vl_alloc_array((size_t)VL_LOOKUP_MAX_INPUTS * made.lanes, sizeof *made.column);
    uint32_t *work = vl_alloc_array(3 * (size_t)tables, sizeof *work);
    velum_status status = made.column && work ? search(&made, inputs, prices, work, cost)
                                              : VL_FAIL(VELUM_E_NOMEM, "lookup: no memory for %u lanes", made.lanes);
    vl_free(work);
    if (status != VELUM_OK) {
        vl_lookup_plan_free(&made);
        return status;
    }
    *plan = made;
    return VELUM_OK;
}

void vl_lookup_plan_free(vl_lookup_plan *plan) {
    if (!plan) return;
    vl_free(plan->baby);
    vl_free(plan->giant);
    vl_free(plan->column);
    *plan = (vl_lookup_plan){0};
}

// ---- slots ----

uint32_t vl_lookup_at(const vl_lookup_plan *plan, uint32_t input, uint32_t slot) {
    const vl_lookup_column *column = &plan->column[(size_t)input * plan->lanes + slot % plan->lanes];
    uint32_t rows = plan->slots / (plan->lanes * plan->copies), position = slot / plan->lanes;
    uint32_t row = (position + rows - position / rows * (plan->period / plan->copies) % rows) % rows;
    return row < column->rows ? column->first + row : VL_LOOKUP_NONE;
}

void vl_lookup_pack(const vl_lookup_plan *plan, uint32_t input, const uint32_t *hot, uint32_t count, double *slots) {
    const uint32_t rows = plan->slots / (plan->lanes * plan->copies);
    memset(slots, 0, plan->slots * sizeof *slots);
    for (uint32_t m = 0; m < plan->lanes; m++) {
        const vl_lookup_column *c = &plan->column[(size_t)input * plan->lanes + m];
        for (uint32_t h = 0; h < count; h++) {
            uint32_t row = hot[h] - c->first;
            if (hot[h] < c->first || row >= c->rows) continue;
            for (uint32_t k = 0; k < plan->copies; k++)
                slots[(k * rows + (row + k * (plan->period / plan->copies)) % rows) * plan->lanes + m] = 1;
        }
    }
}
