// SPDX-License-Identifier: Apache-2.0
#include "circuits/bsgs.h"

#include "base/cpu.h"
#include "rlwe/limb.h"

#include <assert.h>
#include <string.h>

#define CHUNK VL_BSGS_CHUNK
#define STAGGER 40u // words between limbs of scratch, so that they do not all start in the same cache set
#define BLOCK 2048u // coefficients: 16 babies of one block are 512 KiB
#define EXPAND 256u // the same where periodic diagonals are expanded
#define MADE 4u     // diagonals kept as coefficients that are transformed together

typedef struct pair { // the two polynomials of a ciphertext
    vl_poly c[2];
} pair;

typedef struct run {
    vl_exec *x;
    const vl_params *p;
    const vl_ring *ring;
    const vl_eval_keys *keys;
    const vl_bsgs *m;
    const vl_ciphertext *in;
    const vl_digits *digits;  // of the inputs; then of the giant that turns
    uint32_t nq, np;          // of babies and sums of products
    bool turning;             // some baby turns: all is over QP
    uint32_t block;           // coefficients at a time
    bool runs;                // all diagonals are constant on a block
    uint32_t first, last;     // giants at hand
    pair *kept;               // their sums of products, giant r's at r - first
    const vl_switch_key *key; // of the giant that turns
    pair *sum;
    bool any; // sum holds something
    uint64_t *scratch;
    size_t slot_words;
} run;

static uint32_t rows_of(const vl_bsgs_shape *s) { return s->outs * s->giants; }
static uint32_t columns_of(const vl_bsgs_shape *s) { return s->inputs * s->babies; }
static size_t stride_of(const vl_ring *ring) { return ring->n + STAGGER; }
static size_t chunk_of(const vl_bsgs_shape *s) { return columns_of(s) < CHUNK ? columns_of(s) : CHUNK; }

// A slot's scratch: two limbs, the babies', limbs of diagonals, two blocks, expanded blocks, a byte a giant.
static size_t slot_words(const vl_ring *ring, const vl_bsgs_shape *s) {
    return (2 + 2 * chunk_of(s) + MADE) * stride_of(ring) + 2 * BLOCK + CHUNK * EXPAND + (rows_of(s) + 63) / 64 * 8;
}

static vl_diag diag_at(const run *s, uint32_t r, uint32_t b) {
    return s->m->diag[(size_t)r * columns_of(&s->m->shape) + b];
}

static const vl_switch_key *key_for(const run *s, int32_t k) {
    const vl_switch_key *key = vl_eval_keys_find(s->keys, vl_params_galois(s->p, k));
    assert(key && key->nq >= s->m->level);
    return key;
}

static bool baby_used(const run *s, uint32_t b) {
    for (uint32_t r = s->first; r < s->last; r++)
        if (diag_at(s, r, b).x) return true;
    return false;
}

static bool giant_used(const run *s, uint32_t r) {
    for (uint32_t b = 0; b < columns_of(&s->m->shape); b++)
        if (diag_at(s, r, b).x) return true;
    return false;
}

// ---- a limb of every baby, and of every giant's sum of products ----

typedef struct limb_work {
    const run *s;
    const vl_modulus *q;
    uint32_t i;
    uint64_t *u[2], *baby, *made, *temp, *expand;
    uint8_t *begun;                        // the giant's sum of this limb holds something
    const uint64_t *x0[CHUNK], *x1[CHUNK]; // babies [begin, end) of the chunk; NULL: not used
    uint32_t begin, end;
} limb_work;

static void make_baby(limb_work *w, uint32_t b) {
    const run *s = w->s;
    const size_t n = s->ring->n, at = b - w->begin;
    w->x0[at] = w->x1[at] = NULL;
    if (!baby_used(s, b)) return;
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
    uint64_t *o[2] = {w->baby + 2 * at * stride_of(s->ring), w->baby + (2 * at + 1) * stride_of(s->ring)};
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
    const vl_switch_key *key = key_for(s, turn);
    vl_rlwe_limb_apply_key(s->p, &s->digits[input], key, w->i, w->u[0], w->u[1]);
    if (in[0]) vl_rlwe_limb_add_lifted(s->p, w->i, w->u[0], in[0]);
    for (int c = 0; c < 2; c++) w->q->k->automorphism(&key->perm, o[c], w->u[c]);
}

// Giant r's sums of this limb (+)= sum over `count` of x m, coefficients [at, at + n). m NULL: scalars.
static void add_dot(limb_work *w, uint32_t r, size_t at, size_t n, const uint64_t *const *m, const uint64_t *scalar,
                    const uint64_t *const *x0, const uint64_t *const *x1, uint32_t count, uint64_t *t0, uint64_t *t1) {
    const run *s = w->s;
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
    const run *s = w->s;
    const uint64_t *m[MADE], *x0[MADE], *x1[MADE];
    uint32_t count = 0;
    for (uint32_t b = w->begin; b <= w->end; b++) {
        if (b < w->end) {
            vl_diag d = diag_at(s, r, b);
            if (!d.x || d.words) continue;
            uint64_t *t = w->made + count * stride_of(s->ring);
            w->q->k->from_i64(w->q, t, (const int64_t *)d.x, s->ring->n);
            w->q->k->ntt_forward(w->q, t, t);
            m[count] = t;
            x0[count] = w->x0[b - w->begin];
            x1[count++] = w->x1[b - w->begin];
        }
        if (count == 0 || (count < MADE && b < w->end)) continue;
        add_dot(w, r, 0, s->ring->n, m, NULL, x0, x1, count, w->u[0], w->u[1]);
        w->begun[r - s->first] = 1;
        count = 0;
    }
}

// One block of all other diagonals of giant r; true if there are any.
static bool add_block(limb_work *w, uint32_t r, size_t at) {
    const run *s = w->s;
    const size_t n = s->block;
    const uint64_t *m[CHUNK], *x0[CHUNK], *x1[CHUNK];
    uint64_t scalar[CHUNK];
    uint32_t count = 0;
    const vl_diag *row = s->m->diag + (size_t)r * columns_of(&s->m->shape);
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
            vl_diag_expand(s->ring, d, w->i, at, n, w->expand + count * EXPAND);
            m[count] = w->expand + count * EXPAND;
        }
        count++;
    }
    if (count == 0) return false;
    add_dot(w, r, at, n, m, s->runs ? scalar : NULL, x0, x1, count, w->temp, w->temp + n);
    return true;
}

static void products_limb(void *arg, size_t item, uint32_t slot) {
    const run *s = arg;
    const size_t stride = stride_of(s->ring), chunk = chunk_of(&s->m->shape);
    const uint32_t rows = s->last - s->first, columns = columns_of(&s->m->shape);
    limb_work w = {.s = s, .i = (uint32_t)item, .q = vl_rlwe_limb_modulus(s->p, s->nq, (uint32_t)item)};
    w.u[0] = s->scratch + slot * s->slot_words;
    w.u[1] = w.u[0] + stride;
    w.baby = w.u[1] + stride;
    w.made = w.baby + 2 * chunk * stride;
    w.temp = w.made + MADE * stride;
    w.expand = w.temp + (size_t)2 * BLOCK;
    w.begun = (uint8_t *)(w.expand + (size_t)CHUNK * EXPAND);
    memset(w.begun, 0, rows);
    for (w.begin = 0; w.begin < columns; w.begin = w.end) {
        w.end = w.begin + CHUNK < columns ? w.begin + CHUNK : columns;
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
static void choose_block(run *s) {
    const size_t n = s->ring->n, all = (size_t)rows_of(&s->m->shape) * columns_of(&s->m->shape);
    size_t gap = n < BLOCK ? n : BLOCK;
    bool full = false, some = false;
    for (size_t k = 0; k < all; k++) {
        vl_diag d = s->m->diag[k];
        if (!d.x || !d.words) continue;
        full |= d.words == n;
        some |= d.words < n;
        if (n / d.words < gap) gap = n / d.words;
    }
    s->runs = gap >= 16 && some && !full;
    uint32_t most = some && !s->runs ? EXPAND : BLOCK;
    s->block = s->runs ? (uint32_t)gap : n < most ? (uint32_t)n : most;
}

static void make_products(run *s, uint32_t first, uint32_t last, pair *kept) {
    s->first = first;
    s->last = last;
    s->kept = kept;
    size_t mark = vl_arena_mark(&s->x->arena);
    s->slot_words = slot_words(s->ring, &s->m->shape);
    size_t bytes = s->slot_words * sizeof(uint64_t), limbs = s->nq + s->np;
    uint32_t slots = vl_exec_slots(s->x, limbs, bytes);
    s->scratch = vl_arena_take(&s->x->arena, slots * bytes);
    vl_exec_each(s->x, slots, limbs, products_limb, s);
    vl_arena_release(&s->x->arena, mark);
}

// ---- giants ----

static void turn_limb(void *arg, size_t item, uint32_t slot) {
    const run *s = arg;
    const size_t n = s->ring->n;
    const uint32_t i = (uint32_t)item;
    const vl_modulus *q = vl_rlwe_limb_modulus(s->p, s->m->level, i);
    uint64_t *u0 = s->scratch + slot * s->slot_words, *u1 = u0 + stride_of(s->ring), *t = u1 + stride_of(s->ring);
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
static void turn_giant(run *s, uint32_t r, pair *inner, pair *sum) {
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_poly c1 = inner->c[1];
    if (s->turning) {
        c1 = vl_poly_take(s->ring, &s->x->arena, s->nq, 0);
        vl_rlwe_mod_down(s->x, s->p, c1, inner->c[1]);
    }
    vl_digits digits = vl_rlwe_decompose(s->x, s->p, c1, &s->x->arena);
    s->digits = &digits;
    s->key = key_for(s, s->m->giant[r % s->m->shape.giants]);
    s->kept = inner;
    s->sum = sum;
    s->slot_words = 3 * stride_of(s->ring);
    size_t bytes = s->slot_words * sizeof(uint64_t), limbs = (size_t)s->m->level + s->ring->p_count;
    uint32_t slots = vl_exec_slots(s->x, limbs, bytes);
    s->scratch = vl_arena_take(&s->x->arena, slots * bytes);
    vl_exec_each(s->x, slots, limbs, turn_limb, s);
    s->any = true;
    vl_arena_release(&s->x->arena, mark);
}

static pair take_pair(run *s, uint32_t np) {
    pair t;
    for (int c = 0; c < 2; c++) t.c[c] = vl_poly_take(s->ring, &s->x->arena, s->m->level, np);
    return t;
}

// Some baby turns: everything over QP.
static void giants_over_qp(run *s, const vl_poly (*out)[2]) {
    const vl_bsgs_shape *shape = &s->m->shape;
    const uint32_t giants = shape->giants, rows = rows_of(shape);
    pair *kept = vl_arena_take(&s->x->arena, rows * sizeof *kept);
    for (uint32_t r = 0; r < rows; r++) kept[r] = take_pair(s, s->np);
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_digits *digits = vl_arena_take(&s->x->arena, shape->inputs * sizeof *digits);
    for (uint32_t i = 0; i < shape->inputs; i++)
        digits[i] = vl_rlwe_decompose(s->x, s->p, vl_poly_prefix(s->in[i].c[1], s->nq), &s->x->arena);
    s->digits = digits;
    make_products(s, 0, rows, kept);
    vl_arena_release(&s->x->arena, mark);
    for (uint32_t o = 0; o < shape->outs; o++) {
        pair *sum = NULL, *of = kept + (size_t)o * giants;
        s->any = false;
        for (uint32_t r = 0; r < giants; r++)
            if (s->m->giant[r] == 0 && giant_used(s, o * giants + r)) sum = &of[r], s->any = true;
        for (uint32_t r = 0; r < giants; r++) {
            if (s->m->giant[r] == 0 || !giant_used(s, o * giants + r)) continue;
            if (!sum) sum = &of[r];
            turn_giant(s, o * giants + r, &of[r], sum);
        }
        for (int c = 0; c < 2; c++) {
            if (sum)
                vl_rlwe_mod_down(s->x, s->p, out[o][c], sum->c[c]);
            else
                vl_ring_zero(s->ring, out[o][c]);
        }
    }
}

// No baby turns: products over Q, one giant at a time.
static void giants_over_q(run *s, const vl_poly (*out)[2]) {
    const vl_bsgs_shape *shape = &s->m->shape;
    pair *still = vl_arena_take(&s->x->arena, shape->outs * sizeof *still), inner = {0}, sum = {0};
    for (uint32_t o = 0; o < shape->outs; o++) still[o] = take_pair(s, 0);
    for (uint32_t o = 0; o < shape->outs; o++) {
        bool unturned = false;
        s->any = false;
        for (uint32_t r = o * shape->giants; r < (o + 1) * shape->giants; r++) {
            if (!giant_used(s, r)) continue;
            if (s->m->giant[r % shape->giants] == 0) {
                make_products(s, r, r + 1, &still[o]);
                unturned = true;
                continue;
            }
            if (!inner.c[0].x) {
                inner = take_pair(s, 0);
                sum = take_pair(s, s->ring->p_count);
            }
            make_products(s, r, r + 1, &inner);
            turn_giant(s, r, &inner, &sum);
        }
        for (int c = 0; c < 2; c++) {
            if (!unturned) vl_ring_zero(s->ring, still[o].c[c]);
            if (!s->any) continue;
            vl_rlwe_mod_down(s->x, s->p, inner.c[c], sum.c[c]);
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
    run s = {.x = x, .p = p, .ring = &p->ring, .keys = keys, .m = m, .nq = m->level, .in = a};
    s.turning = m->shape.turning;
    s.np = s.turning ? p->ring.p_count : 0;
    s.last = rows_of(&m->shape);
    choose_block(&s);
    if (s.turning)
        giants_over_qp(&s, out);
    else
        giants_over_q(&s, out);
    vl_arena_release(&x->arena, mark);
}

size_t vl_bsgs_scratch(const vl_params *p, const vl_bsgs_shape *shape, uint16_t level) {
    const vl_ring *ring = &p->ring;
    size_t q = vl_arena_need(vl_poly_bytes(ring, level, 0)), special = ring->p_count, limbs = level + special;
    size_t qp = vl_arena_need(vl_poly_bytes(ring, level, ring->p_count)), rows = rows_of(shape);
    size_t slots = vl_cpu_count() < limbs ? vl_cpu_count() : limbs, words = slot_words(ring, shape);
    size_t kept = 2 * shape->outs * q + 2 * q + 2 * qp + vl_arena_need(shape->outs * sizeof(pair));
    if (shape->turning) kept = 2 * rows * qp + vl_arena_need(rows * sizeof(pair));
    size_t inputs = vl_arena_need(shape->inputs * sizeof(vl_digits)) + shape->inputs * vl_rlwe_digits_bytes(p, level);
    size_t work = slots * vl_arena_need(words * sizeof(uint64_t)), rlwe = vl_rlwe_scratch(p, level);
    return kept + q + inputs + (work > rlwe ? work : rlwe) + 256;
}
