// SPDX-License-Identifier: Apache-2.0
// A limb of every baby, and of every giant's sum of products.
#include "circuits/bsgs_internal.h"

#include <string.h>

typedef struct limb_work {
    const bsgs_run *s;
    const vl_modulus *q;
    uint32_t i;
    uint64_t *u[2], *baby, *made, *temp, *expand;
    uint8_t *begun;                                  // the giant's sum of this limb holds something
    const uint64_t *x0[BSGS_CHUNK], *x1[BSGS_CHUNK]; // babies [begin, end) of the chunk; NULL: not used
    uint32_t begin, end;
} limb_work;

static void make_baby(limb_work *w, uint32_t b) {
    const bsgs_run *s = w->s;
    const size_t n = s->ring->n, at = b - w->begin;
    w->x0[at] = w->x1[at] = NULL;
    if (!bsgs_baby_used(s, b)) return;
    const uint64_t *in[2] = {NULL, NULL};
    const uint32_t input = b / s->m->shape.babies;
    const int32_t turn = s->m->baby[b % s->m->shape.babies];
    if (w->i < s->nq)
        for (int c = 0; c < 2; c++) in[c] = vl_poly_limb(s->ring, s->in[input].c[c], w->i);
    if (!s->turning) {
        w->x0[at] = in[0];
        w->x1[at] = in[1];
        return;
    }
    uint64_t *o[2] = {w->baby + 2 * at * bsgs_stride_of(s->ring), w->baby + (2 * at + 1) * bsgs_stride_of(s->ring)};
    w->x0[at] = o[0];
    w->x1[at] = o[1];
    if (turn == 0) {
        for (int c = 0; c < 2; c++) {
            if (in[c])
                vl_rlwe_limb_lift(s->p, w->i, o[c], in[c]);
            else
                memset(o[c], 0, n * sizeof *o[c]);
        }
        return;
    }
    const vl_switch_key *key = bsgs_key_for(s, turn);
    vl_rlwe_limb_apply_key(s->p, &s->digits[input], key, w->i, w->u[0], w->u[1]);
    if (in[0]) vl_rlwe_limb_add_lifted(s->p, w->i, w->u[0], in[0]);
    for (int c = 0; c < 2; c++) w->q->k->automorphism(&key->perm, o[c], w->u[c]);
}

// Giant r's sums of this limb (+)= sum over `count` of x m, coefficients [at, at + n). m NULL: scalars.
static void add_dot(limb_work *w, uint32_t r, size_t at, size_t n, const uint64_t *const *m, const uint64_t *scalar,
                    const uint64_t *const *x0, const uint64_t *const *x1, uint32_t count, uint64_t *t0, uint64_t *t1) {
    const bsgs_run *s = w->s;
    const vl_modulus *q = w->q;
    uint64_t *d0 = vl_poly_limb(s->ring, s->kept[r - s->first].c[0], w->i) + at;
    uint64_t *d1 = vl_poly_limb(s->ring, s->kept[r - s->first].c[1], w->i) + at;
    bool more = w->begun[r - s->first];
    if (scalar) {
        q->k->dot_scalar(q, more ? t0 : d0, x0, scalar, count, n);
        q->k->dot_scalar(q, more ? t1 : d1, x1, scalar, count, n);
    } else {
        q->k->dot2(q, more ? t0 : d0, more ? t1 : d1, m, x0, x1, count, n);
    }
    if (!more) return;
    q->k->add(q, d0, d0, t0, n);
    q->k->add(q, d1, d1, t1, n);
}

// Diagonals that are kept as coefficients.
static void add_made(limb_work *w, uint32_t r) {
    const bsgs_run *s = w->s;
    const uint64_t *m[BSGS_MADE], *x0[BSGS_MADE], *x1[BSGS_MADE];
    uint32_t count = 0;
    for (uint32_t b = w->begin; b <= w->end; b++) {
        if (b < w->end) {
            vl_diag d = bsgs_diag_at(s, r, b);
            if (!d.x || d.words) continue;
            uint64_t *t = w->made + count * bsgs_stride_of(s->ring);
            vl_diag_residues(s->ring, w->q, d, t);
            w->q->k->ntt_forward(w->q, t, t);
            m[count] = t;
            x0[count] = w->x0[b - w->begin];
            x1[count++] = w->x1[b - w->begin];
        }
        if (count == 0 || (count < BSGS_MADE && b < w->end)) continue;
        add_dot(w, r, 0, s->ring->n, m, NULL, x0, x1, count, w->u[0], w->u[1]);
        w->begun[r - s->first] = 1;
        count = 0;
    }
}

// One block of all other diagonals of giant r; true if there are any.
static bool add_block(limb_work *w, uint32_t r, size_t at) {
    const bsgs_run *s = w->s;
    const size_t n = s->block;
    const uint64_t *m[BSGS_CHUNK], *x0[BSGS_CHUNK], *x1[BSGS_CHUNK];
    uint64_t scalar[BSGS_CHUNK];
    uint32_t count = 0;
    const vl_diag *row = s->m->diag + (size_t)r * bsgs_columns_of(&s->m->shape);
    for (uint32_t b = w->begin; b < w->end; b++) {
        vl_diag d = row[b];
        if (!d.x || !d.words) continue;
        x0[count] = w->x0[b - w->begin] + at;
        x1[count] = w->x1[b - w->begin] + at;
        if (s->runs) {
            scalar[count] = d.x[(size_t)w->i * d.words + at / (s->ring->n / d.words)];
        } else if (d.words == s->ring->n) {
            m[count] = d.x + (size_t)w->i * d.words + at;
        } else {
            vl_diag_expand(s->ring, d, w->i, at, n, w->expand + count * BSGS_EXPAND);
            m[count] = w->expand + count * BSGS_EXPAND;
        }
        count++;
    }
    if (count == 0) return false;
    add_dot(w, r, at, n, m, s->runs ? scalar : NULL, x0, x1, count, w->temp, w->temp + n);
    return true;
}

static void products_limb(void *arg, size_t item, uint32_t slot) {
    const bsgs_run *s = arg;
    const size_t stride = bsgs_stride_of(s->ring), chunk = bsgs_chunk_of(&s->m->shape);
    const uint32_t rows = s->last - s->first, columns = bsgs_columns_of(&s->m->shape);
    limb_work w = {.s = s, .i = (uint32_t)item, .q = vl_rlwe_limb_modulus(s->p, s->nq, (uint32_t)item)};
    w.u[0] = s->scratch + slot * s->slot_words;
    w.u[1] = w.u[0] + stride;
    w.baby = w.u[1] + stride;
    w.made = w.baby + 2 * chunk * stride;
    w.temp = w.made + BSGS_MADE * stride;
    w.expand = w.temp + (size_t)2 * BSGS_BLOCK;
    w.begun = (uint8_t *)(w.expand + (size_t)BSGS_CHUNK * BSGS_EXPAND);
    memset(w.begun, 0, rows);
    for (w.begin = 0; w.begin < columns; w.begin = w.end) {
        w.end = w.begin + BSGS_CHUNK < columns ? w.begin + BSGS_CHUNK : columns;
        for (uint32_t b = w.begin; b < w.end; b++) make_baby(&w, b);
        for (uint32_t r = s->first; r < s->last; r++) add_made(&w, r);
        for (size_t at = 0; at < s->ring->n; at += s->block)
            for (uint32_t r = s->first; r < s->last; r++) {
                bool some = add_block(&w, r, at);
                if (at + s->block == s->ring->n) w.begun[r - s->first] |= some;
            }
    }
}

// The shape of blocks that suits the diagonals.
void vl_bsgs_choose_block(bsgs_run *s) {
    const size_t n = s->ring->n, all = (size_t)bsgs_rows_of(&s->m->shape) * bsgs_columns_of(&s->m->shape);
    size_t gap = n < BSGS_BLOCK ? n : BSGS_BLOCK;
    bool full = false, some = false;
    for (size_t k = 0; k < all; k++) {
        vl_diag d = s->m->diag[k];
        if (!d.x || !d.words) continue;
        full |= d.words == n;
        some |= d.words < n;
        if (n / d.words < gap) gap = n / d.words;
    }
    s->runs = gap >= 16 && some && !full;
    uint32_t most = some && !s->runs ? BSGS_EXPAND : BSGS_BLOCK;
    s->block = s->runs ? (uint32_t)gap : n < most ? (uint32_t)n : most;
}

void vl_bsgs_make_products(bsgs_run *s, uint32_t first, uint32_t last, bsgs_pair *kept) {
    s->first = first;
    s->last = last;
    s->kept = kept;
    size_t mark = vl_arena_mark(&s->x->arena);
    s->slot_words = bsgs_slot_words(s->ring, &s->m->shape);
    size_t bytes = s->slot_words * sizeof(uint64_t), limbs = s->nq + s->np;
    uint32_t slots = vl_exec_slots(s->x, limbs, bytes);
    s->scratch = vl_arena_take(&s->x->arena, slots * bytes);
    vl_exec_each(s->x, slots, limbs, products_limb, s);
    vl_arena_release(&s->x->arena, mark);
}
