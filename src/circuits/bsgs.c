// SPDX-License-Identifier: Apache-2.0
// The giants: each sum of products that turns, and the sums of those.
#include "circuits/bsgs_internal.h"

#include "base/cpu.h"

static void turn_limb(void *arg, size_t item, uint32_t slot) {
    const bsgs_run *s = arg;
    const size_t n = s->ring->n;
    const uint32_t i = (uint32_t)item;
    const vl_modulus *q = vl_rlwe_limb_modulus(s->p, s->m->level, i);
    uint64_t *u0 = s->scratch + slot * s->slot_words, *u1 = u0 + bsgs_stride_of(s->ring),
             *t = u1 + bsgs_stride_of(s->ring);
    vl_rlwe_limb_apply_key(s->p, s->digits, s->key, i, u0, u1);
    if (s->turning)
        q->k->add(q, u0, u0, vl_poly_limb(s->ring, s->kept->c[0], i), n);
    else if (i < s->nq)
        vl_rlwe_limb_add_lifted(s->p, i, u0, vl_poly_limb(s->ring, s->kept->c[0], i));
    for (int c = 0; c < 2; c++) {
        uint64_t *d = vl_poly_limb(s->ring, s->sum->c[c], i), *u = c ? u1 : u0;
        q->k->automorphism(&s->key->perm, s->any ? t : d, u);
        if (s->any) q->k->add(q, d, d, t, n);
    }
}

// sum += inner turned by giant r. Where sum holds nothing yet it may be `inner` itself.
static void turn_giant(bsgs_run *s, uint32_t r, bsgs_pair *inner, bsgs_pair *sum) {
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_poly c1 = inner->c[1];
    if (s->turning) {
        c1 = vl_poly_take(s->ring, &s->x->arena, s->nq, 0);
        vl_rlwe_mod_down(s->x, s->p, 1, &c1, &inner->c[1]);
    }
    vl_digits digits = vl_rlwe_decompose(s->x, s->p, c1, &s->x->arena);
    s->digits = &digits;
    s->key = bsgs_key_for(s, s->m->giant[r % s->m->shape.giants]);
    s->kept = inner;
    s->sum = sum;
    s->slot_words = 3 * bsgs_stride_of(s->ring);
    size_t bytes = s->slot_words * sizeof(uint64_t), limbs = (size_t)s->m->level + s->ring->p_count;
    uint32_t slots = vl_exec_slots(s->x, limbs, bytes);
    s->scratch = vl_arena_take(&s->x->arena, slots * bytes);
    vl_exec_each(s->x, slots, limbs, turn_limb, s);
    s->any = true;
    vl_arena_release(&s->x->arena, mark);
}

static bsgs_pair take_pair(bsgs_run *s, uint32_t np) {
    bsgs_pair t;
    for (int c = 0; c < 2; c++) t.c[c] = vl_poly_take(s->ring, &s->x->arena, s->m->level, np);
    return t;
}

// Some baby turns: everything over QP.
static void giants_over_qp(bsgs_run *s, const vl_poly (*out)[2]) {
    const vl_bsgs_shape *shape = &s->m->shape;
    const uint32_t giants = shape->giants, rows = bsgs_rows_of(shape);
    bsgs_pair *kept = vl_arena_take(&s->x->arena, rows * sizeof *kept);
    for (uint32_t r = 0; r < rows; r++) kept[r] = take_pair(s, s->np);
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_digits *digits = vl_arena_take(&s->x->arena, shape->inputs * sizeof *digits);
    for (uint32_t i = 0; i < shape->inputs; i++)
        digits[i] = vl_rlwe_decompose(s->x, s->p, vl_poly_prefix(s->in[i].c[1], s->nq), &s->x->arena);
    s->digits = digits;
    vl_bsgs_make_products(s, 0, rows, kept);
    vl_arena_release(&s->x->arena, mark);
    for (uint32_t o = 0; o < shape->outs; o++) {
        bsgs_pair *sum = NULL, *of = kept + (size_t)o * giants;
        s->any = false;
        for (uint32_t r = 0; r < giants; r++)
            if (s->m->giant[r] == 0 && bsgs_giant_used(s, o * giants + r)) sum = &of[r], s->any = true;
        for (uint32_t r = 0; r < giants; r++) {
            if (s->m->giant[r] == 0 || !bsgs_giant_used(s, o * giants + r)) continue;
            if (!sum) sum = &of[r];
            turn_giant(s, o * giants + r, &of[r], sum);
        }
        if (sum)
            vl_rlwe_mod_down(s->x, s->p, 2, out[o], sum->c);
        else
            for (int c = 0; c < 2; c++) vl_ring_zero(s->ring, out[o][c]);
    }
}

// No baby turns: products over Q, one giant at a time.
static void giants_over_q(bsgs_run *s, const vl_poly (*out)[2]) {
    const vl_bsgs_shape *shape = &s->m->shape;
    bsgs_pair *still = vl_arena_take(&s->x->arena, shape->outs * sizeof *still), inner = {0}, sum = {0};
    for (uint32_t o = 0; o < shape->outs; o++) still[o] = take_pair(s, 0);
    for (uint32_t o = 0; o < shape->outs; o++) {
        bool unturned = false;
        s->any = false;
        for (uint32_t r = o * shape->giants; r < (o + 1) * shape->giants; r++) {
            if (!bsgs_giant_used(s, r)) continue;
            if (s->m->giant[r % shape->giants] == 0) {
                vl_bsgs_make_products(s, r, r + 1, &still[o]);
                unturned = true;
                continue;
            }
            if (!inner.c[0].x) {
                inner = take_pair(s, 0);
                sum = take_pair(s, s->ring->p_count);
            }
            vl_bsgs_make_products(s, r, r + 1, &inner);
            turn_giant(s, r, &inner, &sum);
        }
        if (s->any) vl_rlwe_mod_down(s->x, s->p, 2, inner.c, sum.c);
        for (int c = 0; c < 2; c++) {
            if (!unturned) vl_ring_zero(s->ring, still[o].c[c]);
            if (!s->any) continue;
            vl_ring_add(s->x, s->ring, still[o].c[c], still[o].c[c], inner.c[c]);
        }
    }
    for (uint32_t o = 0; o < shape->outs; o++) // at last: an output may be an input
        for (int c = 0; c < 2; c++) vl_ring_copy(s->x, s->ring, out[o][c], still[o].c[c]);
}

void vl_bsgs_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_bsgs *m, const vl_poly (*out)[2],
                   const vl_ciphertext *a) {
    assert(m->level >= 1 && m->shape.turning == vl_bsgs_turns(m->shape.babies, m->baby));
    for (uint32_t i = 0; i < m->shape.inputs; i++) assert(a[i].degree == 1 && a[i].level >= m->level);
    size_t mark = vl_arena_mark(&x->arena);
    bsgs_run s = {.x = x, .p = p, .ring = &p->ring, .keys = keys, .m = m, .nq = m->level, .in = a};
    s.turning = m->shape.turning;
    s.np = s.turning ? p->ring.p_count : 0;
    s.last = bsgs_rows_of(&m->shape);
    vl_bsgs_choose_block(&s);
    if (s.turning)
        giants_over_qp(&s, out);
    else
        giants_over_q(&s, out);
    vl_arena_release(&x->arena, mark);
}

size_t vl_bsgs_scratch(const vl_params *p, const vl_bsgs_shape *shape, uint16_t level) {
    const vl_ring *ring = &p->ring;
    size_t q = vl_arena_need(vl_poly_bytes(ring, level, 0)), special = ring->p_count, limbs = level + special;
    size_t qp = vl_arena_need(vl_poly_bytes(ring, level, ring->p_count)), rows = bsgs_rows_of(shape);
    size_t slots = vl_cpu_count() < limbs ? vl_cpu_count() : limbs, words = bsgs_slot_words(ring, shape);
    size_t kept = 2 * shape->outs * q + 2 * q + 2 * qp + vl_arena_need(shape->outs * sizeof(bsgs_pair));
    if (shape->turning) kept = 2 * rows * qp + vl_arena_need(rows * sizeof(bsgs_pair));
    size_t inputs = vl_arena_need(shape->inputs * sizeof(vl_digits)) + shape->inputs * vl_rlwe_digits_bytes(p, level);
    size_t work = slots * vl_arena_need(words * sizeof(uint64_t)), rlwe = vl_rlwe_scratch(p, level);
    return kept + q + inputs + (work > rlwe ? work : rlwe) + 256;
}
