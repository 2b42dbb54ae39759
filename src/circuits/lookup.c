// SPDX-License-Identifier: Apache-2.0
// The encrypted lookup: diagonals, products by bsgs.h, rescale, folds.
#include "circuits/lookup.h"

#include <assert.h>
#include <string.h>

static vl_bsgs_shape shape_of(const vl_lookup_plan *plan) {
    return (vl_bsgs_shape){plan->inputs, 1, plan->babies, plan->giants, vl_bsgs_turns(plan->babies, plan->baby)};
}

// Limbs of P that diagonals have.
static uint32_t special_limbs(const vl_params *p, const vl_lookup_plan *plan) {
    return vl_bsgs_turns(plan->babies, plan->baby) ? p->ring.p_count : 0;
}

// ---- keys ----

static uint32_t add_request(const vl_params *p, int32_t rotation, uint16_t level, vl_key_request *out, uint32_t count) {
    uint64_t galois = vl_params_galois(p, rotation);
    if (galois == 1) return count;
    for (uint32_t i = 0; i < count; i++)
        if (out[i].galois == galois) return count; // made at the higher level first
    assert(count < VL_LOOKUP_MAX_KEYS);
    out[count] = (vl_key_request){galois, level};
    return count + 1;
}

uint32_t vl_lookup_key_requests(const vl_lookup_plan *plan, const vl_params *p, uint16_t level, vl_key_request *out) {
    uint32_t count = 0;
    for (uint32_t b = 0; b < plan->babies; b++) count = add_request(p, plan->baby[b], level, out, count);
    for (uint32_t g = 0; g < plan->giants; g++) count = add_request(p, plan->giant[g], level, out, count);
    for (uint32_t f = plan->slots / 2; f >= plan->lanes * plan->period; f /= 2)
        count = add_request(p, (int32_t)f, (uint16_t)(level - 1), out, count);
    return count;
}

// ---- encoding ----

// The diagonal of a baby and a giant, moved right by the giant step so that the giant moves it back; false if it is
// zero whatever the weights.
static bool fill_diagonal(const vl_lookup_plan *plan, uint32_t giant, uint32_t input, uint32_t baby,
                          const double *weights, double *v) {
    const uint32_t mask = plan->slots - 1, back = (uint32_t)plan->giant[giant], ahead = (uint32_t)plan->baby[baby];
    bool any = false;
    for (uint32_t q = 0; q < plan->slots; q++) {
        uint32_t from = (q + ahead) & mask, to = (q - back) & mask, c = to / plan->lanes % plan->period;
        const vl_lookup_column *column = &plan->column[(size_t)input * plan->lanes + from % plan->lanes];
        uint32_t row =
            column->table == to % plan->lanes && c < plan->dim ? vl_lookup_at(plan, input, from) : VL_LOOKUP_NONE;
        bool set = row != VL_LOOKUP_NONE;
        any |= set;
        if (v) v[q] = set ? weights[(size_t)row * plan->dim + c] : 0;
    }
    return any;
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const double *weights, vl_lookup *l) {
    const vl_params *p = vl_encoder_params(e);
    const vl_lookup_plan *plan = l->plan;
    const uint32_t np = special_limbs(p, plan), words = vl_diag_words(&p->ring, plan->slots);
    const uint32_t columns = plan->inputs * plan->babies, all = plan->giants * columns;
    const uint64_t each = vl_diag_bytes(&p->ring, words, l->level, np);
    uint32_t kept = 0;
    l->diag = vl_alloc_array(all, sizeof *l->diag);
    VL_FAIL_IF(!l->diag, VELUM_E_NOMEM, "lookup: no memory for %u diagonals", all);
    for (uint32_t k = 0; k < all; k++) {
        uint32_t column = k % columns;
        if (!fill_diagonal(plan, k / columns, column / plan->babies, column % plan->babies, NULL, NULL)) continue;
        l->diag[k].words = words;
        kept++;
    }
    l->bytes = kept * each;
    l->block = vl_alloc_raw(l->bytes);
    VL_FAIL_IF(!l->block, VELUM_E_NOMEM, "lookup: no memory for %u diagonals", kept);
    double *v = vl_arena_take(&x->arena, plan->slots * sizeof *v);
    uint64_t *next = l->block;
    for (uint32_t k = 0; k < all; k++) {
        if (!l->diag[k].words) continue;
        uint32_t column = k % columns;
        l->diag[k].x = next;
        next += each / sizeof *next;
        fill_diagonal(plan, k / columns, column / plan->babies, column % plan->babies, weights, v);
        VL_TRY(vl_diag_encode(x, e, v, NULL, plan->slots, l->scale, l->level, np, l->diag[k]));
    }
    return VELUM_OK;
}

velum_status vl_lookup_encode(vl_exec *x, const vl_encoder *e, const vl_lookup_plan *plan, const double *weights,
                              uint16_t level, double scale, vl_lookup *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_FAIL_IF(plan->slots != p->ring.n / 2, VELUM_E_FORMAT, "a lookup on %u slots, %u there are", plan->slots,
               p->ring.n / 2);
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_LIMIT, "a lookup at level %u of %u: it ends one lower",
               level, p->ring.q_count);
    vl_lookup l = {.plan = plan, .level = level, .scale = scale};
    size_t mark = vl_arena_mark(&x->arena);
    velum_status status = encode_all(x, e, weights, &l);
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_lookup_free(&l);
        return status;
    }
    *out = l;
    return VELUM_OK;
}

void vl_lookup_free(vl_lookup *l) {
    if (!l) return;
    vl_free(l->diag);
    vl_free(l->block);
    *l = (vl_lookup){0};
}

size_t vl_lookup_encode_scratch(const vl_params *p, const vl_lookup_plan *plan, uint16_t level) {
    return vl_arena_need(plan->slots * sizeof(double)) + vl_diag_encode_scratch(p, level, special_limbs(p, plan));
}

// ---- application ----

void vl_lookup_apply(vl_exec *x, const vl_eval_keys *keys, const vl_lookup *l, vl_ciphertext *d,
                     const vl_ciphertext *a) {
    const vl_params *p = keys->params;
    const vl_lookup_plan *plan = l->plan;
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext product = vl_ciphertext_take(p, &x->arena, l->level, 1);
    product.scale = a[0].scale * l->scale;
    vl_bsgs m = {shape_of(plan), plan->baby, plan->giant, l->diag, l->level};
    const vl_poly out[1][2] = {{product.c[0], product.c[1]}};
    vl_bsgs_apply(x, p, keys, &m, out, a);
    vl_ckks_rescale(x, p, d, &product);
    for (uint32_t f = plan->slots / 2; f >= plan->lanes * plan->period; f /= 2) {
        vl_ckks_rotate(x, keys, &product, d, (int32_t)f);
        vl_ckks_add(x, p, d, d, &product);
    }
    vl_arena_release(&x->arena, mark);
}

size_t vl_lookup_scratch(const vl_params *p, const vl_lookup_plan *plan, uint16_t level) {
    const vl_bsgs_shape shape = shape_of(plan);
    size_t bsgs = vl_bsgs_scratch(p, &shape, level), ckks = vl_ckks_scratch(p, level);
    return 2 * vl_arena_need(vl_poly_bytes(&p->ring, level, 0)) + (bsgs > ckks ? bsgs : ckks) + 256;
}
