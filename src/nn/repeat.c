// SPDX-License-Identifier: Apache-2.0
// Features that the client repeats for the sake of a map's diagonals.
//
// The map reads features f_0 .. f_{k-1}. Column S + j, 0 <= j < rows + k - 1, holds f_{j mod k}; row r reads f_q at the
// one j in [r, r + k) with j mod k = q. So all its entries lie on the diagonals S .. S + k - 1.
#include "nn/lower.h"
#include "nn/plan.h"

#include <string.h>

#define MOST_READ 64 // features
#define LEAST_GAIN 4 // rows a feature

// The features that a map reads, by column; false if there are too many, or one-hot ones.
static bool features_read(const vl_nn_prologue *p, const vl_nn_sparse *m, uint32_t *rank, uint32_t *step,
                          uint32_t *count) {
    bool used[VL_MAX_FEATURES] = {false};
    for (size_t k = 0; k < m->start[m->rows]; k++) used[m->col[k]] = true;
    *count = 0;
    for (uint32_t g = 0; g < p->group_count; g++) {
        const vl_nn_group *group = &p->groups[g];
        bool any = false;
        for (uint32_t k = 0; k < (group->depth ? group->depth : 1); k++) any = any || used[group->first + k];
        if (!any) continue;
        if (group->depth || *count == MOST_READ) return false;
        rank[group->first] = *count;
        step[(*count)++] = group->step;
    }
    return *count > 0;
}

static velum_status repeat(vl_nn_lowered *l, vl_nn_term *term, bool *done) {
    const vl_nn_sparse *m = term->m;
    vl_nn_prologue *p = &l->prologue;
    uint32_t *rank, step[MOST_READ], count, first = p->columns, column;
    if (!m || m->rows == 0) return VELUM_OK;
    VL_NN_TAKE(l->heap, rank, p->columns);
    if (!features_read(p, m, rank, step, &count)) return VELUM_OK;
    const uint64_t more = (uint64_t)m->rows + count - 1;
    if (m->rows < LEAST_GAIN * count || first + more > vl_nn_period(first)) return VELUM_OK;
    for (uint32_t j = 0; j < more; j++) VL_TRY(vl_nn_prologue_again(p, step[j % count], &column));
    vl_nn_sparse *moved;
    const vl_nn_sparse *tidy;
    VL_TRY(vl_nn_sparse_new(l->heap, m->rows, p->columns, vl_nn_sparse_count(m), &moved));
    for (uint32_t r = 0; r < m->rows; r++) {
        for (size_t k = m->start[r]; k < m->start[r + 1]; k++) {
            uint32_t q = rank[m->col[k]];
            moved->col[k] = first + r + (q + count - r % count) % count;
            moved->val[k] = m->val[k];
        }
        moved->start[r + 1] = m->start[r + 1];
    }
    VL_TRY(vl_nn_sparse_tidy(l->heap, moved, &tidy));
    *term = (vl_nn_term){.base = 0, .cols = p->columns, .m = tidy};
    *done = true;
    return VELUM_OK;
}

static velum_status repeat_form(vl_nn_lowered *l, const vl_nn_form **f, bool *done) {
    for (uint32_t t = 0; *f && t < (*f)->terms; t++) {
        if ((*f)->term[t].base != 0) continue;
        vl_nn_form *made;
        bool here = false;
        VL_NN_TAKE(l->heap, made, 1);
        *made = **f;
        VL_NN_TAKE(l->heap, made->term, made->terms);
        memcpy(made->term, (*f)->term, made->terms * sizeof *made->term);
        VL_TRY(repeat(l, &made->term[t], &here));
        if (here) *f = made;
        *done = *done || here;
    }
    return VELUM_OK;
}

velum_status vl_nn_repeat_features(vl_nn_lowered *l) {
    bool done = false;
    if (l->fixed_input) return VELUM_OK;
    const uint32_t before = l->prologue.columns;
    for (uint32_t b = 1; b < l->base_count; b++)
        for (uint32_t k = 0; k < 2; k++) VL_TRY(repeat_form(l, &l->base[b].arg[k], &done));
    VL_TRY(repeat_form(l, &l->output, &done));
    if (!done) return VELUM_OK;
    VL_TRY(vl_nn_note(l, "packing: the client repeats features: %u instead of %u, in the same ciphertext",
                      l->prologue.columns, before));
    l->base[0].n = l->prologue.columns;
    return vl_nn_prune(l);
}
