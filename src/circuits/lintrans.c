// SPDX-License-Identifier: Apache-2.0
// The encrypted linear map: products and turns by bsgs.h, then one rescale, the folds and the bias.
#include "circuits/bsgs.h"
#include "circuits/lintrans_internal.h"

#include <assert.h>

static vl_bsgs_shape shape_of(const vl_lintrans_plan *plan) {
    return (vl_bsgs_shape){1, 1, plan->babies, plan->giants, plan->babies > 1};
}

void vl_lintrans_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_lintrans *lt,
                       vl_ciphertext *d, const vl_ciphertext *a) {
    assert(a->degree == 1 && a->level >= lt->level && lt->level >= 2);
    const vl_lintrans_plan *plan = &lt->plan;
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext product = vl_ciphertext_take(p, &x->arena, lt->level, 1);
    product.scale = a->scale * lt->scale;
    int32_t *baby = vl_arena_take(&x->arena, (plan->babies + plan->giants) * sizeof *baby);
    int32_t *giant = baby + plan->babies;
    for (uint32_t b = 0; b < plan->babies; b++) baby[b] = (int32_t)(b * plan->shape.lanes);
    for (uint32_t r = 0; r < plan->giants; r++) giant[r] = (int32_t)(r * plan->babies * plan->shape.lanes);
    vl_bsgs m = {shape_of(plan), baby, giant, lt->diag, lt->level};
    const vl_poly out[1][2] = {{product.c[0], product.c[1]}};
    vl_bsgs_apply(x, p, keys, &m, out, a);

    vl_ckks_rescale(x, p, d, &product);
    uint32_t steps[64], folds = vl_lintrans_fold_steps(plan, steps);
    vl_ciphertext turned = product; // its storage is free
    for (uint32_t i = 0; i < folds; i++) {
        vl_ckks_rotate(x, keys, &turned, d, (int32_t)(steps[i] * plan->shape.lanes));
        vl_ckks_add(x, p, d, d, &turned);
    }
    if (lt->bias.x) vl_ckks_add_plain(x, p, d, d, lt->bias);
    vl_arena_release(&x->arena, mark);
}

size_t vl_lintrans_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level) {
    const vl_bsgs_shape shape = shape_of(plan);
    size_t product = 2 * vl_arena_need(vl_poly_bytes(&p->ring, level, 0));
    size_t lists = vl_arena_need((plan->babies + plan->giants) * sizeof(int32_t));
    size_t bsgs = vl_bsgs_scratch(p, &shape, level);
    size_t ckks = vl_ckks_scratch(p, level);
    return product + lists + (bsgs > ckks ? bsgs : ckks) + 256;
}
