// SPDX-License-Identifier: Apache-2.0
// Applying a spread map, a few target limbs at a time. Notation: nq the map's level, K special primes.
//
// 1. The inputs that are rotated leave the NTT domain once (limb i scaled by (Q_j/q_i)^-1).
// 2. Limb nq - 1 of Q, then those of P, then the others of Q, in groups: the digits of every rotated input are extended
//    to the group and transformed. Then for each limb: all rotated copies of it (key, P c_0, permutation); the scalars,
//    patterned ones through the small transform of their subring; and the sums, run by run. An unrotated copy is P
//    times its input: P goes into the scalar, and limbs of P see nothing of it.
// 3. Sums of limbs nq - 1 and P leave the NTT domain, scaled; when a group of the others is summed, the quotient by
//    P q_{nq-1} is taken in place and the bias added.
//
// A map without rotations has no part in P: its sums over Q are divided by q_{nq-1}.
#include "arith/arith.h"
#include "circuits/spread_internal.h"
#include "rlwe/bases.h"
#include "rlwe/limb.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define TARGETS 4  // limbs that inputs are extended to at a time, if the arena has room
#define STAGGER 40 // words between limbs of scratch, so that limbs do not all start in the same cache set
#define CHUNK 512  // words of all copies that the sums take at a time, at most
#define COLUMNS 8  // scalars made together: a cache line of the table

typedef struct spread_run {
    vl_exec *x;
    const vl_params *p;
    const vl_ring *ring;
    const vl_eval_keys *keys;
    const vl_spread_coded *c;
    const vl_ciphertext *const *in;
    vl_ciphertext *out;
    uint32_t nq, np, left, digits, targets; // np: 0 without rotations
    size_t stride;                          // words from limb to limb of scratch
    uint64_t *y, *extended, *copies, *up, *table, *slots;
    size_t slot_words;
    uint32_t first, last; // the group of target limbs
    uint32_t limb;        // of those, the one at hand
    uint32_t batch;       // its scalars at hand
    uint32_t chunk;
} spread_run;

static size_t stride_of(const vl_ring *ring) { return ring->n + STAGGER; }

static const vl_modulus *modulus_of(const spread_run *w, uint32_t i) { return vl_rlwe_limb_modulus(w->p, w->nq, i); }

static const uint64_t *input_limb(const spread_run *w, uint32_t source, uint32_t c, uint32_t i) {
    return w->in[source]->c[c].x + (size_t)i * w->ring->n;
}

// The sum's limb i of output o: of a limb that is divided away in scratch, of others where the result goes.
static uint64_t *sum_limb(const spread_run *w, uint32_t o, uint32_t c, uint32_t i) {
    if (i < w->left) return w->out[o].c[c].x + (size_t)i * w->ring->n;
    return w->up + ((size_t)(2 * o + c) * (1 + w->np) + (i - w->left)) * w->stride;
}

static uint64_t *copy_limb(const spread_run *w, uint32_t turn, uint32_t c) {
    return w->copies + (2 * (size_t)turn + c) * w->stride;
}

static uint64_t *extended_limb(const spread_run *w, uint32_t turning, uint32_t digit, uint32_t i) {
    return w->extended + (((size_t)turning * w->digits + digit) * w->targets + (i - w->first)) * w->stride;
}

static bool own_digit(const spread_run *w, uint32_t digit, uint32_t i) {
    return i < w->nq && i / w->p->literal.digit_limbs == digit;
}

static void each(spread_run *w, size_t items, vl_exec_fn fn) {
    vl_exec_each(w->x, vl_exec_slots(w->x, items, 0), items, fn, w);
}

// ---- inputs to coefficients, and to other limbs ----
static void leave_limb(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    (void)slot;
    uint32_t t = (uint32_t)(item / w->nq), i = (uint32_t)(item % w->nq);
    const vl_modulus *m = modulus_of(w, i);
    m->k->ntt_inverse(m, w->y + item * w->stride, input_limb(w, w->c->turner[t], 1, i),
                      vl_bases_hat_inv(w->p, i, w->nq));
}

static void extend_input(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    (void)slot;
    const uint64_t *y[VL_MAX_LIMBS];
    for (uint32_t i = 0; i < w->nq; i++) y[i] = w->y + (item * w->nq + i) * w->stride;
    for (uint32_t j = 0; j < w->digits; j++) {
        uint64_t *dst[TARGETS];
        for (uint32_t i = w->first; i < w->last; i++) dst[i - w->first] = extended_limb(w, (uint32_t)item, j, i);
        vl_bases_extend_digit(w->p, j, w->nq, w->first, w->last, dst, y);
        for (uint32_t i = w->first; i < w->last; i++) {
            const vl_modulus *m = modulus_of(w, i);
            if (!own_digit(w, j, i)) m->k->ntt_forward(m, dst[i - w->first], dst[i - w->first]);
        }
    }
}

// ---- rotated copies of one limb ----
static void make_copy(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    const vl_spread_turn *turn = &w->c->turn[item];
    const vl_switch_key *key = vl_eval_keys_find(w->keys, turn->galois);
    assert(key);
    const uint64_t *digit[VL_MAX_LIMBS];
    const vl_modulus *m = modulus_of(w, w->limb);
    uint64_t *u0 = w->slots + slot * w->slot_words, *u1 = u0 + w->stride;
    for (uint32_t j = 0; j < w->digits; j++)
        digit[j] = own_digit(w, j, w->limb) ? input_limb(w, turn->source, 1, w->limb)
                                            : extended_limb(w, turn->digits, j, w->limb);
    vl_rlwe_limb_dot_key(w->p, digit, w->digits, key, w->nq, w->limb, u0, u1);
    if (w->limb < w->nq) vl_rlwe_limb_add_lifted(w->p, w->limb, u0, input_limb(w, turn->source, 0, w->limb));
    m->k->automorphism(&key->perm, copy_limb(w, (uint32_t)item, 0), u0);
    m->k->automorphism(&key->perm, copy_limb(w, (uint32_t)item, 1), u1);
}

// ---- scalars of one limb ----
// Columns of a group that matter in this limb.
static uint32_t columns_of(const spread_run *w, const vl_spread_group *g) {
    return w->limb < w->nq ? g->cols : g->turned;
}

static uint64_t *table_of(const spread_run *w, uint32_t group) {
    const uint32_t begin = w->c->batch[w->batch];
    uint64_t at = 0;
    for (uint32_t k = begin; k < group; k++) at += vl_spread_group_scalars(&w->c->group[k], w->c->sub.words);
    return w->table + at;
}

// The coefficients of value times pattern: to the nearest integers, by adding 1.5 2^52, which leaves them in the low
// bits. Real slots: coefficient words - k is minus coefficient k.
static void round_pattern(const vl_subring *sub, const double *pattern, double value, int64_t *c) {
    const double magic = 0x1.8p52;
    int64_t base;
    memcpy(&base, &magic, sizeof base);
    for (uint32_t k = 0; k < sub->period; k++) {
        double t = pattern[k] * value + magic;
        memcpy(&c[k], &t, sizeof t);
        c[k] -= base;
    }
    c[sub->period] = 0;
    for (uint32_t k = 1; k < sub->period; k++) c[sub->words - k] = -c[k];
}

// The scalars of one entry in every run, into out[]; `lift`: times P. t: two times `words`.
static void entry_scalars(const spread_run *w, uint64_t entry, uint32_t runs, bool lift, uint64_t *t, uint64_t *out) {
    const vl_spread_coded *c = w->c;
    const vl_modulus *m = modulus_of(w, w->limb);
    uint64_t p_mod = lift ? w->p->bases->p_mod[w->limb] : 1;
    if (c->through[entry] == VL_SPREAD_NO_PATTERN) {
        uint64_t one = vl_arith_mul(vl_arith_from_i64((int64_t)c->value[entry], m->q), p_mod, m->q);
        for (uint32_t j = 0; j < runs; j++) out[j] = one;
        return;
    }
    const vl_subring *sub = &c->sub;
    int64_t *rounded = (int64_t *)t;
    round_pattern(sub, c->pattern + (size_t)c->through[entry] * sub->period, c->value[entry], rounded);
    vl_subring_values(sub, (uint32_t)(m - w->ring->mod), rounded, t + sub->words, out);
    if (lift) m->k->mul_scalar(m, out, out, p_mod, sub->words);
}

// Row `row` of a group: its scalars lie run by run, in each row by row.
static void make_row(const spread_run *w, const vl_spread_group *g, uint32_t row, uint64_t *scratch, uint64_t *table) {
    const uint32_t words = w->c->sub.words, runs = g->patterned ? words : 1, cols = columns_of(w, g);
    uint64_t *line = scratch + 2 * (size_t)words;
    for (uint32_t k = 0; k < cols; k += COLUMNS) {
        uint32_t count = cols - k < COLUMNS ? cols - k : COLUMNS;
        for (uint32_t t = 0; t < count; t++)
            entry_scalars(w, g->first + (uint64_t)row * g->cols + k + t, runs, w->np > 0 && k + t >= g->turned, scratch,
                          line + (size_t)t * words);
        for (uint32_t j = 0; j < runs; j++)
            for (uint32_t t = 0; t < count; t++)
                table[((uint64_t)j * g->rows + row) * cols + k + t] = line[(size_t)t * words + j];
    }
}

static void make_scalars(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    uint32_t k = w->c->batch[w->batch];
    while (item >= w->c->group[k].rows) item -= w->c->group[k++].rows;
    make_row(w, &w->c->group[k], (uint32_t)item, w->slots + slot * w->slot_words, table_of(w, k));
}

// ---- sums of one limb ----
static void sum_group(const spread_run *w, const vl_spread_group *g, const uint64_t *table, size_t begin, uint32_t c) {
    const uint64_t *x[VL_SPREAD_MAX_ROW];
    uint64_t *dst[VL_SPREAD_GROUP_ROWS], more[CHUNK], *to_more = more;
    const uint32_t cols = columns_of(w, g), *at = w->c->at + g->first_col;
    for (uint32_t k = 0; k < cols; k++)
        x[k] = (k < g->turned ? copy_limb(w, at[k], c) : input_limb(w, at[k], c, w->limb)) + begin;
    for (uint32_t r = 0; r < g->rows; r++) dst[r] = sum_limb(w, w->c->row[g->first_row + r], c, w->limb) + begin;
    const vl_modulus *m = modulus_of(w, w->limb);
    const size_t run = g->patterned ? begin / w->c->sub.gap : 0;
    if (cols > 0) m->k->mix(m, g->adds ? &to_more : dst, g->rows, x, cols, table + run * g->rows * cols, w->chunk);
    if (cols > 0 && g->adds) m->k->add(m, dst[0], dst[0], more, w->chunk);
    for (uint32_t r = 0; r < g->rows && cols == 0 && !g->adds; r++) memset(dst[r], 0, w->chunk * sizeof *dst[r]);
}

static void sum_chunk(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    const vl_spread_coded *c = w->c;
    (void)slot;
    const uint64_t *table = w->table;
    for (uint32_t k = c->batch[w->batch]; k < c->batch[w->batch + 1]; k++) {
        for (uint32_t part = 0; part < 2; part++) sum_group(w, &c->group[k], table, item * w->chunk, part);
        table += vl_spread_group_scalars(&c->group[k], c->sub.words);
    }
}

// ---- division ----
static void leave_sum(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    (void)slot;
    const vl_modulus *m = modulus_of(w, w->limb);
    uint64_t *u = sum_limb(w, (uint32_t)(item / 2), item % 2, w->limb);
    uint64_t scale = w->np ? w->p->bases->from_qp[w->left].hat_inv[w->limb - w->left] : 1;
    m->k->ntt_inverse(m, u, u, scale);
}

// What is divided away, in the limbs of the group: dst, as coefficients.
static void extend_sum(const spread_run *w, uint32_t o, uint32_t c, uint64_t *const *dst) {
    const uint64_t *y[VL_MAX_LIMBS];
    for (uint32_t k = 0; k <= w->np; k++) y[k] = sum_limb(w, o, c, w->left + k);
    if (w->np) {
        vl_bases_extend(w->p, &w->p->bases->from_qp[w->left], w->first, w->last, dst, y);
        return;
    }
    for (uint32_t i = w->first; i < w->last; i++) {
        const vl_modulus *m = modulus_of(w, i);
        m->k->lift_centered(m, dst[i - w->first], y[0], w->ring->mod[w->left].q, w->ring->n);
    }
}

static void add_bias(const spread_run *w, uint32_t o, uint32_t i, uint64_t *t, uint64_t *u) {
    const vl_subring *sub = &w->c->sub;
    const vl_modulus *m = modulus_of(w, i);
    uint64_t *value = t + sub->words;
    vl_subring_values(sub, i, w->c->bias + (size_t)o * sub->words, t, value);
    for (uint32_t j = 0; j < sub->words; j++) {
        uint64_t *run = u + (size_t)j * sub->gap;
        m->k->add_scalar(m, run, run, value[j], sub->gap);
    }
}

static void finish_sum(void *arg, size_t item, uint32_t slot) {
    const spread_run *w = arg;
    const uint32_t o = (uint32_t)(item / 2), c = item % 2, q_count = w->ring->q_count;
    uint64_t *dst[TARGETS];
    for (uint32_t k = 0; k < w->last - w->first; k++) dst[k] = w->slots + slot * w->slot_words + k * w->stride;
    extend_sum(w, o, c, dst);
    for (uint32_t i = w->first; i < w->last; i++) {
        const vl_modulus *m = modulus_of(w, i);
        uint64_t *u = sum_limb(w, o, c, i), *t = dst[i - w->first], inv = w->ring->inv[w->left * q_count + i];
        if (w->np) inv = vl_arith_mul(inv, w->p->bases->p_inv[i], m->q);
        m->k->ntt_forward(m, t, t);
        m->k->sub_mul_scalar(m, u, u, t, inv, w->ring->n);
        if (c == 0 && w->c->bias) add_bias(w, o, i, t, u);
    }
}

// ---- all limbs ----
static void sum_one_limb(spread_run *w, uint32_t i) {
    const vl_spread_coded *c = w->c;
    w->limb = i;
    each(w, c->turns, make_copy);
    for (w->batch = 0; w->batch < c->batches; w->batch++) {
        uint32_t rows = 0;
        for (uint32_t k = c->batch[w->batch]; k < c->batch[w->batch + 1]; k++) rows += c->group[k].rows;
        each(w, rows, make_scalars);
        each(w, w->ring->n / w->chunk, sum_chunk);
    }
    if (i >= w->left) each(w, 2 * (size_t)c->s->outputs, leave_sum);
}

static void run_limbs(spread_run *w, uint32_t begin, uint32_t end) {
    for (w->first = begin; w->first < end; w->first = w->last) {
        w->last = end - w->first < w->targets ? end : w->first + w->targets;
        each(w, w->c->turning, extend_input);
        for (uint32_t i = w->first; i < w->last; i++) sum_one_limb(w, i);
        if (w->first < w->left) each(w, 2 * (size_t)w->c->s->outputs, finish_sum);
    }
}

// ---- scratch ----
// Limbs that a thread works in: two sums of a copy, or the targets of an output; or the making of scalars.
static size_t slot_words(const vl_ring *ring, uint32_t words, uint32_t targets) {
    size_t limbs = (targets > 2 ? targets : 2) * stride_of(ring), scalars = (2 + COLUMNS) * (size_t)words;
    return (limbs > scalars ? limbs : scalars) + 64;
}

static size_t fixed_limbs(const vl_spread *s, uint32_t turns, uint32_t turning, uint32_t nq, uint32_t np) {
    return (size_t)turning * nq + 2 * (size_t)turns + 2 * (size_t)s->outputs * (1 + np);
}

static uint64_t *take(vl_exec *x, size_t words) { return vl_arena_take(&x->arena, words * sizeof(uint64_t)); }

static void take_scratch(spread_run *w) {
    const vl_spread_coded *c = w->c;
    vl_exec *x = w->x;
    w->y = take(x, (size_t)c->turning * w->nq * w->stride);
    w->copies = take(x, 2 * (size_t)c->turns * w->stride);
    w->up = take(x, 2 * (size_t)c->s->outputs * (1 + w->np) * w->stride);
    w->table = take(x, c->table);
    uint32_t slots = vl_pool_threads(x->pool);
    for (w->targets = TARGETS; w->targets > 1; w->targets--) { // as many as there is room for
        size_t words = slots * slot_words(w->ring, c->sub.words, w->targets);
        size_t extended = (size_t)c->turning * w->digits * w->targets * w->stride;
        if ((words + extended + 16) * sizeof(uint64_t) <= x->arena.size - x->arena.used) break;
    }
    w->slot_words = slot_words(w->ring, c->sub.words, w->targets);
    w->extended = take(x, (size_t)c->turning * w->digits * w->targets * w->stride);
    w->slots = take(x, slots * w->slot_words);
}

void vl_spread_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_spread_coded *c,
                     vl_ciphertext *out, const vl_ciphertext *const *in) {
    for (uint32_t k = 0; k < c->s->sources; k++) assert(in[k]->degree == 1 && in[k]->level >= c->level);
    size_t mark = vl_arena_mark(&x->arena);
    spread_run w = {.x = x, .p = p, .ring = &p->ring, .keys = keys, .c = c, .in = in, .out = out, .nq = c->level};
    w.left = w.nq - 1;
    w.np = c->turns ? p->ring.p_count : 0;
    w.digits = c->turns ? vl_bases_digits(p, w.nq) : 0;
    w.stride = stride_of(w.ring);
    w.chunk = w.ring->n < CHUNK ? w.ring->n : CHUNK;
    if (c->s->patterns && c->sub.gap < w.chunk) w.chunk = c->sub.gap;
    take_scratch(&w);
    for (uint32_t o = 0; o < c->s->outputs; o++) {
        assert(out[o].capacity >= w.left);
        for (uint32_t i = 0; i < 3; i++)
            if (out[o].c[i].x) out[o].c[i].nq = (uint16_t)w.left;
        out[o].level = (uint16_t)w.left;
        out[o].degree = 1;
    }
    each(&w, (size_t)c->turning * w.nq, leave_limb);
    run_limbs(&w, w.left, w.nq);
    run_limbs(&w, w.nq, w.nq + w.np);
    run_limbs(&w, 0, w.left);
    vl_arena_release(&x->arena, mark);
}

size_t vl_spread_scratch(const vl_params *p, const vl_spread *s, uint16_t level, uint32_t threads) {
    const vl_ring *ring = &p->ring;
    uint32_t turns, turning, words = 2 * vl_spread_period(s);
    vl_spread_count_turns(s, &turns, &turning);
    uint32_t np = turns ? ring->p_count : 0, digits = vl_bases_digits(p, level);
    uint64_t longest = 0, table = s->start[s->outputs] * words;
    for (uint32_t r = 0; r < s->outputs; r++)
        if (s->start[r + 1] - s->start[r] > longest) longest = s->start[r + 1] - s->start[r];
    if (table > VL_SPREAD_TABLE) table = longest * words > VL_SPREAD_TABLE ? longest * words : VL_SPREAD_TABLE;
    size_t limbs = fixed_limbs(s, turns, turning, level, np) + (size_t)turning * digits * TARGETS;
    return (limbs * stride_of(ring) + table + threads * slot_words(ring, words, TARGETS)) * sizeof(uint64_t) + 16 * 64;
}
