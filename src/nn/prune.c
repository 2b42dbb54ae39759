// SPDX-License-Identifier: Apache-2.0
// What the output does not need: elements of bases, whole bases, features of the input (a one-hot vector stays whole).
#include "nn/form.h"
#include <string.h>

static void mark(const vl_nn_lowered *l, const vl_nn_form *f, bool **used) {
    vl_nn_row row;
    for (uint32_t t = 0; t < f->terms; t++)
        for (uint32_t i = 0; i < f->n && !l->base[f->term[t].base].zero; i++) {
            vl_nn_term_row(&f->term[t], i, &row);
            for (size_t k = 0; k < row.count; k++) used[f->term[t].base][row.col[k]] = true;
        }
}

static velum_status keep_rows(vl_nn_heap *h, const vl_nn_form **f, const bool *used) {
    uint32_t *row, n = 0;
    vl_nn_form *made;
    VL_NN_TAKE(h, row, (*f)->n);
    for (uint32_t i = 0; i < (*f)->n; i++)
        if (used[i]) row[n++] = i;
    if (n == (*f)->n) return VELUM_OK;
    VL_TRY(vl_nn_form_select(h, *f, row, n, &made));
    memcpy(made->label, (*f)->label, sizeof made->label);
    made->stands_for = (*f)->stands_for;
    *f = made;
    return VELUM_OK;
}

static velum_status keep_columns(vl_nn_heap *h, const vl_nn_term *a, uint32_t n, const bool *used, vl_nn_term *d) {
    uint32_t *to, next = 0;
    vl_nn_sparse *one;
    const vl_nn_sparse *m = a->m;
    if (!m) {
        VL_TRY(vl_nn_sparse_identity(h, n, &one));
        m = one;
    }
    VL_NN_TAKE(h, to, m->cols);
    for (uint32_t k = 0; k < m->cols; k++) {
        to[k] = next;
        next += used[k];
    }
    return vl_nn_sparse_move(h, m, NULL, n, to, d->cols, NULL, NULL, &d->m); // what is not used has no entries
}

// The same form over the elements that are left, in renumbered bases.
static velum_status renumber(vl_nn_lowered *l, const vl_nn_form **f, bool *const *used, const uint32_t *number,
                             const uint32_t *left) {
    const vl_nn_form *from = *f;
    vl_nn_form *made;
    VL_NN_TAKE(l->heap, made, 1);
    *made = *from;
    made->terms = 0;
    VL_NN_TAKE(l->heap, made->term, from->terms);
    for (uint32_t t = 0; t < from->terms; t++) {
        const vl_nn_term *a = &from->term[t];
        bool all = left[a->base] == l->base[a->base].n;
        if (l->base[a->base].zero || (a->m && vl_nn_sparse_count(a->m) == 0)) continue;
        vl_nn_term *d = &made->term[made->terms++];
        *d = (vl_nn_term){.base = number[a->base], .cols = left[a->base], .m = a->m};
        if (all && (!a->m || a->cols == d->cols)) continue;
        VL_TRY(keep_columns(l->heap, a, from->n, used[a->base], d));
    }
    *f = made;
    return VELUM_OK;
}

static void keep_groups(vl_nn_prologue *p, bool *used) {
    uint32_t groups = 0, columns = 0;
    for (uint32_t g = 0; g < p->group_count; g++) {
        vl_nn_group *group = &p->groups[g];
        uint32_t width = group->depth ? group->depth : 1;
        bool any = false;
        for (uint32_t k = 0; k < width; k++) any = any || used[group->first + k];
        for (uint32_t k = 0; k < width; k++) used[group->first + k] = any;
        if (!any) continue;
        p->groups[groups] = *group;
        p->groups[groups++].first = columns;
        columns += width;
    }
    p->group_count = groups;
    p->columns = columns;
}

// Element numbers, ranges and products of a base after some of its elements have gone.
static void shrink(vl_nn_base *base, const bool *used) {
    uint32_t n = 0, kept = 0;
    vl_nn_products *p = base->products;
    for (uint32_t i = 0; p && i < p->count; i++) {
        bool whole = true;
        for (uint32_t k = 0; k < p->parts; k++) whole = whole && used[p->part[(size_t)i * p->parts + k]];
        if (!whole) continue;
        for (uint32_t k = 0; k < p->parts; k++) {
            uint32_t old = p->part[(size_t)i * p->parts + k], number = 0;
            for (uint32_t j = 0; j < old; j++) number += used[j];
            p->part[(size_t)kept * p->parts + k] = number;
        }
        p->lo[kept] = p->lo[i];
        p->hi[kept++] = p->hi[i];
    }
    if (p) p->count = kept;
    for (uint32_t k = 0; base->lo && k < base->n; k++) {
        if (!used[k]) continue;
        if (base->position) base->position[n] = base->position[k];
        base->lo[n] = base->lo[k];
        base->hi[n++] = base->hi[k];
    }
}

// Which elements are left, in their first numbering.
static velum_status note_kept(vl_nn_heap *h, vl_nn_base *base, const bool *used, uint32_t left) {
    uint32_t n = 0, *kept;
    if (left == base->n) return VELUM_OK;
    VL_NN_TAKE(h, kept, left);
    for (uint32_t k = 0; k < base->n; k++)
        if (used[k]) kept[n++] = base->kept ? base->kept[k] : k;
    if (!base->kept) base->whole = base->n;
    base->kept = kept;
    return VELUM_OK;
}

// Positions that are the elements' own numbers need no table.
static void settle(vl_nn_base *base) {
    bool plain = base->position && base->extent == base->n;
    for (uint32_t k = 0; plain && k < base->n; k++) plain = base->position[k] == k;
    if (plain) base->position = NULL;
    if (!base->position) base->extent = base->n;
}

velum_status vl_nn_prune(vl_nn_lowered *l) {
    bool **used;
    uint32_t *number, *left, kept = 0;
    VL_NN_TAKE(l->heap, used, l->base_count);
    VL_NN_TAKE(l->heap, number, l->base_count);
    VL_NN_TAKE(l->heap, left, l->base_count);
    for (uint32_t b = 0; b < l->base_count; b++) VL_NN_TAKE(l->heap, used[b], l->base[b].n);
    mark(l, l->output, used);
    for (uint32_t b = l->base_count; b-- > 1;) {
        vl_nn_base *base = &l->base[b];
        for (uint32_t k = 0; k < base->n; k++) left[b] += used[b][k];
        if (left[b] == 0) continue;
        for (uint32_t k = 0; k < 2 && base->arg[k]; k++) {
            VL_TRY(keep_rows(l->heap, &base->arg[k], used[b]));
            mark(l, base->arg[k], used);
        }
    }
    for (uint32_t k = 0; l->fixed_input && k < l->base[0].n; k++) used[0][k] = true;
    keep_groups(&l->prologue, used[0]);
    left[0] = l->prologue.columns;
    VL_FAIL_IF(left[0] == 0, VELUM_E_UNSUPPORTED, "model: its output does not depend on the inputs");
    for (uint32_t b = 0; b < l->base_count; b++)
        if (b == 0 || left[b]) number[b] = kept++;
    for (uint32_t b = 1; b < l->base_count; b++)
        for (uint32_t k = 0; left[b] && k < 2 && l->base[b].arg[k]; k++)
            VL_TRY(renumber(l, &l->base[b].arg[k], used, number, left));
    VL_TRY(renumber(l, &l->output, used, number, left));
    for (uint32_t b = 0; b < l->base_count; b++) {
        if (b > 0 && !left[b]) continue;
        VL_TRY(note_kept(l->heap, &l->base[b], used[b], left[b]));
        shrink(&l->base[b], used[b]);
        l->base[b].n = left[b];
        settle(&l->base[b]);
        l->base[number[b]] = l->base[b];
    }
    l->base_count = kept;
    VL_FAIL_IF(l->output->terms == 0, VELUM_E_UNSUPPORTED, "model: its output does not depend on the inputs");
    for (uint32_t b = 1; b < kept; b++)
        VL_FAIL_IF(l->base[b].arg[0]->terms == 0 || (l->base[b].arg[1] && l->base[b].arg[1]->terms == 0),
                   VELUM_E_UNSUPPORTED, "model: '%s' does not depend on the inputs", l->base[b].label);
    return VELUM_OK;
}
