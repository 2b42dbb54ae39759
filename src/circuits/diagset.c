// SPDX-License-Identifier: Apache-2.0
#include "circuits/diagset.h"

#include <assert.h>
#include <string.h>

static vl_bsgs_shape shape_of(const vl_diagset_plan *plan) {
    return (vl_bsgs_shape){1, 1, plan->babies, plan->giants, vl_bsgs_turns(plan->babies, plan->baby)};
}

// Limbs of P that diagonals have.
static uint32_t special_limbs(const vl_params *p, const vl_diagset_plan *plan) {
    return vl_bsgs_turns(plan->babies, plan->baby) ? p->ring.p_count : 0;
}

// Where the diagonals come from: whole vectors, or made one at a time.
typedef struct source {
    const double complex *const *v;
    vl_diagset_fill fill;
    void *arg;
    uint32_t *period; // by diagonal; 0: zero
    uint32_t *words;  // a limb of its form
} source;

// The diagonal at `shift` slots: moved right by the giant step, so that the giant moves it back.
static void shifted(const double complex *v, uint32_t period, uint32_t shift, double complex *out) {
    shift &= period - 1;
    memcpy(out + shift, v, (period - shift) * sizeof *v);
    memcpy(out, v + period - shift, shift * sizeof *v);
}

// Chooses each diagonal's form. Returns the bytes that all take.
static uint64_t choose_forms(const vl_ring *ring, vl_diagset *set, const source *from, uint32_t np, uint64_t budget) {
    const vl_diagset_plan *plan = &set->plan;
    uint64_t kept = 0, all = 0;
    for (int full = 0; full < 2; full++) // periodic ones first
        for (uint32_t i = 0; i < plan->count; i++) {
            uint32_t period = from->period[i];
            if (!period || (vl_diag_words(ring, period) == ring->n) != full) continue;
            from->words[i] = vl_diag_words(ring, period);
            uint64_t bytes = vl_diag_bytes(ring, from->words[i], set->level, np);
            if (bytes > vl_diag_bytes(ring, 0, 0, 0) && bytes > (budget > kept ? budget - kept : 0)) {
                from->words[i] = 0;
                bytes = vl_diag_coefficient_bytes(ring, period);
                set->expanded++;
            } else {
                kept += bytes;
            }
            all += bytes;
        }
    return all;
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const source *from, uint64_t budget, vl_diagset *set) {
    const vl_params *p = vl_encoder_params(e);
    const vl_diagset_plan *plan = &set->plan;
    uint32_t np = special_limbs(p, plan);
    set->bytes = choose_forms(&p->ring, set, from, np, budget);
    set->diag = vl_alloc_array((size_t)plan->giants * plan->babies, sizeof *set->diag);
    set->block = vl_alloc_raw(set->bytes);
    VL_FAIL_IF(!set->diag || !set->block, VELUM_E_NOMEM, "no memory for %u diagonals", plan->count);
    uint8_t *next = (uint8_t *)set->block;
    double complex *values = vl_arena_take(&x->arena, plan->slots * sizeof *values);
    double complex *made = from->fill ? vl_arena_take(&x->arena, plan->slots * sizeof *made) : NULL;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t period = from->period[i], words = from->words[i];
        if (!period) continue;
        vl_diag *d = &set->diag[(size_t)plan->at_giant[i] * plan->babies + plan->at_baby[i]];
        *d = (vl_diag){.x = (uint64_t *)next, .words = words, .gap = p->ring.n / vl_diag_words(&p->ring, period)};
        next += words ? vl_diag_bytes(&p->ring, words, set->level, np) : vl_diag_coefficient_bytes(&p->ring, period);
        if (made) from->fill(from->arg, i, made);
        shifted(made ? made : from->v[i], period, (uint32_t)plan->giant[plan->at_giant[i]], values);
        VL_TRY(vl_diag_encode(x, e, NULL, values, period, set->scale, set->level, np, *d));
    }
    return VELUM_OK;
}

static velum_status encode(vl_exec *x, const vl_encoder *e, const vl_diagset_plan *plan, source *from, uint32_t period,
                           uint16_t level, double scale, uint64_t budget, vl_diagset *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_FAIL_IF(plan->slots > p->ring.n / 2, VELUM_E_LIMIT, "a linear map on %u slots, %u there are", plan->slots,
               p->ring.n / 2);
    VL_FAIL_IF(level < 1 || level > p->ring.q_count, VELUM_E_LIMIT, "a linear map at level %u of %u", level,
               p->ring.q_count);
    uint32_t *numbers = vl_alloc_array(2 * (size_t)plan->count, sizeof *numbers);
    VL_FAIL_IF(!numbers, VELUM_E_NOMEM, "no memory for %u diagonals", plan->count);
    from->period = numbers;
    from->words = numbers + plan->count;
    for (uint32_t i = 0; i < plan->count; i++)
        from->period[i] = from->fill ? period : from->v[i] ? vl_diag_period(from->v[i], plan->slots) : 0;
    vl_diagset set = {.plan = *plan, .level = level, .scale = scale};
    size_t mark = vl_arena_mark(&x->arena);
    velum_status status = encode_all(x, e, from, budget, &set);
    vl_arena_release(&x->arena, mark);
    vl_free(numbers);
    if (status != VELUM_OK) {
        vl_diagset_free(&set);
        return status;
    }
    *out = set;
    return VELUM_OK;
}

velum_status vl_diagset_encode(vl_exec *x, const vl_encoder *e, const vl_diagset_plan *plan,
                               const double complex *const *v, uint16_t level, double scale, uint64_t budget,
                               vl_diagset *out) {
    source from = {.v = v};
    return encode(x, e, plan, &from, 0, level, scale, budget, out);
}

velum_status vl_diagset_encode_by(vl_exec *x, const vl_encoder *e, const vl_diagset_plan *plan, vl_diagset_fill fill,
                                  void *arg, uint32_t period, uint16_t level, double scale, uint64_t budget,
                                  vl_diagset *out) {
    assert(period > 0 && (period & (period - 1)) == 0 && period <= plan->slots);
    source from = {.fill = fill, .arg = arg};
    return encode(x, e, plan, &from, period, level, scale, budget, out);
}

uint64_t vl_diagset_bytes(const vl_params *p, const vl_diagset_plan *plan, uint32_t period, uint16_t level,
                          uint64_t budget, uint32_t *transformed) {
    uint32_t np = special_limbs(p, plan), words = vl_diag_words(&p->ring, period);
    uint64_t bytes = vl_diag_bytes(&p->ring, words, level, np), less = vl_diag_coefficient_bytes(&p->ring, period);
    uint64_t count =
        bytes <= vl_diag_bytes(&p->ring, 0, 0, 0) || budget / bytes > plan->count ? plan->count : budget / bytes;
    if (transformed) *transformed = (uint32_t)count;
    return count * bytes + (plan->count - count) * less;
}

void vl_diagset_free(vl_diagset *set) {
    if (!set) return;
    vl_free(set->diag);
    vl_free(set->block);
    *set = (vl_diagset){0};
}

size_t vl_diagset_encode_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level) {
    return 2 * vl_arena_need(plan->slots * sizeof(double complex)) +
           vl_diag_encode_scratch(p, level, special_limbs(p, plan));
}

void vl_diagset_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagset *set, vl_ciphertext *d,
                      const vl_ciphertext *a) {
    const vl_diagset_plan *plan = &set->plan;
    assert(d->capacity >= set->level);
    double scale = a->scale * set->scale;
    vl_bsgs m = {shape_of(plan), plan->baby, plan->giant, set->diag, set->level};
    const vl_poly out[1][2] = {{{d->c[0].x, set->level, 0}, {d->c[1].x, set->level, 0}}};
    vl_bsgs_apply(x, keys->params, keys, &m, out, a);
    for (int c = 0; c < 2; c++) d->c[c] = out[0][c];
    d->level = set->level;
    d->degree = 1;
    d->scale = scale;
}

size_t vl_diagset_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level) {
    const vl_bsgs_shape shape = shape_of(plan);
    return vl_bsgs_scratch(p, &shape, level);
}

void vl_diagset_clear_apply(const vl_diagset_plan *plan, const int32_t *offset, const double complex *const *v,
                            const double complex *x, double complex *y) {
    const uint32_t mask = plan->slots - 1;
    memset(y, 0, plan->slots * sizeof *y);
    for (uint32_t i = 0; i < plan->count; i++)
        for (uint32_t t = 0; v[i] && t < plan->slots; t++) y[t] += v[i][t] * x[(t + (uint32_t)offset[i]) & mask];
}
