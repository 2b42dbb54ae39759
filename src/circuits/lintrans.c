// SPDX-License-Identifier: Apache-2.0
// The encrypted linear map. Babies stay over QP (P times the message), giants are summed over QP, one division by P
// ends it (double hoisting: Bossuat et al. 2020/1203, section 4). All memory comes from the arena.
#include "circuits/lintrans_internal.h"

#include "arith/arith.h"

#include <assert.h>
#include <string.h>

#define CHUNK 16u   // babies kept at a time
#define BLOCK 2048u // coefficients: 16 babies of one block are 512 KiB

typedef struct pair { // the two polynomials of a ciphertext
    vl_poly c[2];
} pair;

typedef struct run {
    vl_exec *x;
    const vl_params *p;
    const vl_ring *ring;
    const vl_eval_keys *keys;
    const vl_lintrans *lt;
    vl_ciphertext in;
    pair sum; // of giants over QP
    bool any; // sum holds something
} run;

static pair take_pair(run *s, uint32_t np) {
    pair t;
    for (int i = 0; i < 2; i++) t.c[i] = vl_poly_take(s->ring, &s->x->arena, s->lt->level, np);
    return t;
}

static void zero_pair(run *s, pair a) {
    for (int i = 0; i < 2; i++) vl_ring_zero(s->ring, a.c[i]);
}

static void add_pair(run *s, pair d, pair a) {
    for (int i = 0; i < 2; i++) vl_ring_add(s->x, s->ring, d.c[i], d.c[i], a.c[i]);
}

static const vl_switch_key *key_for(const run *s, uint32_t positions) {
    int32_t k = (int32_t)(positions * s->lt->plan.shape.lanes);
    const vl_switch_key *key = vl_eval_keys_find(s->keys, vl_params_galois(s->p, k));
    assert(key && key->nq >= s->lt->level);
    return key;
}

static vl_poly diagonal_at(const run *s, uint32_t r, uint32_t b) { return s->lt->diagonal[r * s->lt->plan.babies + b]; }

static bool baby_used(const run *s, uint32_t b) {
    for (uint32_t r = 0; r < s->lt->plan.giants; r++)
        if (diagonal_at(s, r, b).x) return true;
    return false;
}

// ---- one baby: plain products over Q ----

static void giants_over_q(run *s, pair out) {
    uint32_t giants = s->lt->plan.giants;
    bool first = false;
    pair t = {0}, o = {0};
    if (giants > 1) {
        t = take_pair(s, 0);
        s->sum = take_pair(s, s->ring->p_count);
        o = take_pair(s, s->ring->p_count);
    }
    for (uint32_t r = 0; r < giants; r++) {
        vl_poly m = diagonal_at(s, r, 0);
        if (!m.x) continue;
        pair inner = r == 0 ? out : t;
        for (int i = 0; i < 2; i++) vl_ring_mul(s->x, s->ring, inner.c[i], s->in.c[i], m);
        first |= r == 0;
        if (r == 0) continue;
        size_t mark = vl_arena_mark(&s->x->arena);
        vl_digits digits = vl_rlwe_decompose(s->x, s->p, inner.c[1], &s->x->arena);
        vl_ciphertext ct = {
            .c = {inner.c[0], inner.c[1]}, .degree = 1, .level = s->lt->level, .capacity = s->lt->level};
        pair to = s->any ? o : s->sum;
        vl_rlwe_rotate_lazy(s->x, s->p, key_for(s, r), &digits, &ct, to.c[0], to.c[1]);
        if (s->any) add_pair(s, s->sum, o);
        s->any = true;
        vl_arena_release(&s->x->arena, mark);
    }
    if (!first) zero_pair(s, out);
    if (!s->any) return;
    for (int i = 0; i < 2; i++) {
        vl_rlwe_mod_down(s->x, s->p, t.c[i], s->sum.c[i]);
        vl_ring_add(s->x, s->ring, out.c[i], out.c[i], t.c[i]);
    }
}

// ---- several babies: over QP ----

// P times the input.
static void lift_input(run *s, pair o) {
    uint64_t p_mod[VL_MAX_LIMBS];
    uint32_t np = s->ring->p_count, nq = s->lt->level;
    for (uint32_t i = 0; i < nq; i++) p_mod[i] = vl_arith_product_mod(s->p->literal.p, np, np, s->ring->mod[i].q);
    for (int i = 0; i < 2; i++) {
        vl_ring_mul_residues(s->x, s->ring, vl_poly_prefix(o.c[i], nq), s->in.c[i], p_mod);
        memset(vl_poly_limb(s->ring, o.c[i], nq), 0, (size_t)np * s->ring->n * sizeof(uint64_t));
    }
}

// Babies begin .. of the chunk that some giant uses.
static void make_babies(run *s, const vl_digits *digits, uint32_t begin, uint32_t end, pair *baby) {
    for (uint32_t b = begin; b < end; b++) {
        pair o = baby[b - begin];
        if (!baby_used(s, b)) continue;
        if (b == 0)
            lift_input(s, o);
        else
            vl_rlwe_rotate_lazy(s->x, s->p, key_for(s, b), digits, &s->in, o.c[0], o.c[1]);
    }
}

// The giants' sums of products with the babies at hand: limb by limb and block by block, so that a block's babies stay
// in the cache while every giant uses them and each diagonal is read once.
typedef struct products {
    const run *s;
    const pair *baby; // begin .. end
    const pair *kept; // the giants' sums; those in `begun` are added to
    const bool *begun;
    uint32_t begin, end, blocks, block;
    uint64_t *scratch; // two blocks a slot
} products;

static void products_block(void *arg, size_t item, uint32_t slot) {
    const products *j = arg;
    const run *s = j->s;
    uint32_t limb = (uint32_t)(item / j->blocks), n = j->block;
    const vl_modulus *q = vl_poly_modulus(s->ring, j->baby[0].c[0], limb);
    size_t offset = (size_t)limb * s->ring->n + item % j->blocks * n;
    uint64_t *t0 = j->scratch + (size_t)slot * 2 * n, *t1 = t0 + n;
    for (uint32_t r = 0; r < s->lt->plan.giants; r++) {
        const uint64_t *m[CHUNK], *o0[CHUNK], *o1[CHUNK];
        uint32_t count = 0;
        for (uint32_t b = j->begin; b < j->end; b++) {
            vl_poly d = diagonal_at(s, r, b);
            if (!d.x) continue;
            m[count] = d.x + offset;
            o0[count] = j->baby[b - j->begin].c[0].x + offset;
            o1[count++] = j->baby[b - j->begin].c[1].x + offset;
        }
        if (count == 0) continue;
        uint64_t *d0 = j->kept[r].c[0].x + offset, *d1 = j->kept[r].c[1].x + offset;
        q->k->dot2(q, j->begun[r] ? t0 : d0, j->begun[r] ? t1 : d1, m, o0, o1, count, n);
        if (!j->begun[r]) continue;
        q->k->add(q, d0, d0, t0, n);
        q->k->add(q, d1, d1, t1, n);
    }
}

static void add_products(run *s, uint32_t begin, uint32_t end, const pair *baby, const pair *kept, bool *begun) {
    uint32_t block = s->ring->n < BLOCK ? s->ring->n : BLOCK, blocks = s->ring->n / block;
    size_t items = (size_t)blocks * (s->lt->level + s->ring->p_count), bytes = 2 * block * sizeof(uint64_t);
    size_t mark = vl_arena_mark(&s->x->arena);
    uint32_t slots = vl_exec_slots(s->x, items, bytes);
    products job = {s, baby, kept, begun, begin, end, blocks, block, vl_arena_take(&s->x->arena, slots * bytes)};
    vl_exec_each(s->x, slots, items, products_block, &job);
    vl_arena_release(&s->x->arena, mark);
    for (uint32_t r = 0; r < s->lt->plan.giants; r++)
        for (uint32_t b = begin; b < end; b++) begun[r] |= diagonal_at(s, r, b).x != NULL;
}

// sum += inner rotated by r > 0 giant steps; inner is overwritten.
static void add_giant(run *s, uint32_t r, pair inner) {
    uint32_t np = s->ring->p_count;
    size_t mark = vl_arena_mark(&s->x->arena);
    const vl_switch_key *key = key_for(s, r * s->lt->plan.babies);
    vl_poly c1 = vl_poly_take(s->ring, &s->x->arena, s->lt->level, 0);
    vl_rlwe_mod_down(s->x, s->p, c1, inner.c[1]);
    vl_digits digits = vl_rlwe_decompose(s->x, s->p, c1, &s->x->arena);
    pair u = take_pair(s, np);
    vl_rlwe_apply_key(s->x, s->p, &digits, key, u.c[0], u.c[1]);
    vl_ring_add(s->x, s->ring, u.c[0], u.c[0], inner.c[0]);
    for (int i = 0; i < 2; i++) { // inner is free to take the permuted result
        vl_poly to = s->any ? inner.c[i] : s->sum.c[i];
        vl_ring_automorphism(s->x, s->ring, &key->perm, to, u.c[i]);
        if (s->any) vl_ring_add(s->x, s->ring, s->sum.c[i], s->sum.c[i], to);
    }
    s->any = true;
    vl_arena_release(&s->x->arena, mark);
}

static void giants_over_qp(run *s, pair out) {
    const vl_lintrans_plan *plan = &s->lt->plan;
    uint32_t babies = plan->babies, giants = plan->giants, np = s->ring->p_count;
    uint32_t chunk = babies < CHUNK ? babies : CHUNK;
    bool rotated = false;
    pair baby[CHUNK], *kept = vl_arena_take(&s->x->arena, giants * sizeof *kept);
    bool *begun = vl_arena_take(&s->x->arena, giants * sizeof *begun);
    memset(begun, 0, giants * sizeof *begun);
    for (uint32_t b = 0; b < chunk; b++) baby[b] = take_pair(s, np);
    for (uint32_t r = 0; r < giants; r++) kept[r] = take_pair(s, np);
    for (uint32_t b = 1; b < babies && !rotated; b++) rotated = baby_used(s, b);
    vl_digits digits = {0};
    if (rotated) digits = vl_rlwe_decompose(s->x, s->p, vl_poly_prefix(s->in.c[1], s->lt->level), &s->x->arena);
    for (uint32_t begin = 0; begin < babies; begin += chunk) {
        make_babies(s, &digits, begin, begin + chunk, baby);
        add_products(s, begin, begin + chunk, baby, kept, begun);
    }
    s->sum = kept[0];
    s->any = begun[0];
    for (uint32_t r = 1; r < giants; r++)
        if (begun[r]) add_giant(s, r, kept[r]);
    if (!s->any)
        zero_pair(s, out);
    else
        for (int i = 0; i < 2; i++) vl_rlwe_mod_down(s->x, s->p, out.c[i], s->sum.c[i]);
}

void vl_lintrans_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_lintrans *lt,
                       vl_ciphertext *d, const vl_ciphertext *a) {
    assert(a->degree == 1 && a->level >= lt->level && lt->level >= 2);
    const vl_lintrans_plan *plan = &lt->plan;
    size_t mark = vl_arena_mark(&x->arena);
    run s = {.x = x, .p = p, .ring = &p->ring, .keys = keys, .lt = lt, .in = *a};
    vl_ciphertext_drop(&s.in, lt->level);
    vl_ciphertext product = vl_ciphertext_take(p, &x->arena, lt->level, 1);
    product.scale = a->scale * lt->scale;
    size_t inside = vl_arena_mark(&x->arena);
    pair out = {{product.c[0], product.c[1]}};
    if (plan->babies == 1)
        giants_over_q(&s, out);
    else
        giants_over_qp(&s, out);
    vl_arena_release(&x->arena, inside);

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
    size_t q = vl_arena_need(vl_poly_bytes(&p->ring, level, 0));
    size_t qp = vl_arena_need(vl_poly_bytes(&p->ring, level, p->ring.p_count));
    size_t digits = vl_rlwe_digits_bytes(p, level), pairs = 0, bytes = 2 * q;
    if (plan->babies > 1) {
        pairs = plan->giants + (plan->babies < CHUNK ? plan->babies : CHUNK);
        bytes += digits + vl_arena_need(plan->giants * sizeof(pair)) + vl_arena_need(plan->giants);
        if (plan->giants > 1) bytes += q + digits + 2 * qp;
    } else if (plan->giants > 1) {
        pairs = 2;
        bytes += 2 * q + digits;
    }
    size_t rlwe = vl_rlwe_scratch(p, level), ckks = vl_ckks_scratch(p, level);
    return bytes + 2 * pairs * qp + (rlwe > ckks ? rlwe : ckks) + 256;
}
