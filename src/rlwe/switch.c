// SPDX-License-Identifier: Apache-2.0
// Hybrid key switching. Notation: alpha limbs a digit, D digits at level nq, K special primes.
//
// A plain switch never stores the decomposed digits. The input leaves the NTT domain once (limb i scaled by
// (Q_j/q_i)^-1); then, group by group of a few target limbs: each digit is extended to the group, transformed prime by
// prime, and multiplied into the two sums while it is in the cache. The limbs of P go first; they leave the NTT domain
// scaled, so that each limb of Q can be divided by P, added to and permuted as soon as its sums are there.
//
// With a rescale, the last limb of Q goes with those of P: one rounded division by P q_{nq-1}.
//
// What follows a sum happens to a stretch of coefficients at a time, which the innermost caches hold; so does what
// makes the words that are switched and added to, where they are those of a sum of products (sum.h).
#include "arith/arith.h"
#include "rlwe/bases.h"
#include "rlwe/sum.h"

#include <assert.h>
#include <string.h>

#define TARGETS 6  // at most so many target limbs extended together: fewer passes over the input, more scratch a thread
#define STAGGER 40 // words between limbs of scratch, so that limbs do not all start in the same cache set
#define BLOCK 2048 // coefficients
#define BLOCKS 8   // of a slot's scratch: two sums, three parts of a sum of products and as many to make them

typedef struct switch_job {
    const vl_params *p;
    const vl_switch_key *key;
    uint32_t nq, np, digits;
    uint32_t first, last;          // limbs at hand
    uint32_t groups, group;        // shared out in so many groups, of `group` limbs at most
    vl_poly c;                     // what is switched (NTT domain)
    const vl_sum *s;               // or the sum whose last part is switched, the others added
    const vl_digits *d;            // already decomposed; or NULL, and then
    uint64_t *y[VL_MAX_LIMBS];     // ... its limbs as coefficients, scaled for extension
    vl_poly u[2];                  // sums that are given (u[0].x NULL: to be made)
    uint32_t left;                 // limbs of the result: nq, or with a rescale nq - 1
    uint64_t *up[2][VL_MAX_LIMBS]; // limbs left .. of the sums (then P's), as coefficients, scaled for extension
    vl_poly add[2];                // added to the result; x NULL: nothing
    vl_poly out[2];
    uint32_t outs;                     // 1 or 2 polynomials
    const vl_automorphism *perm;       // of the result; NULL: none
    const vl_switch_key *const *turns; // or several results added up, each permuted by its key
    uint32_t turn_count;
    uint64_t *scratch; // slot_words a slot
    size_t slot_words;
} switch_job;

static size_t stride_of(const vl_params *p) { return p->ring.n + STAGGER; }
static size_t limb_bytes(const vl_params *p) { return stride_of(p) * sizeof(uint64_t); }

static const vl_modulus *modulus_of(const switch_job *w, uint32_t i) {
    return &w->p->ring.mod[i < w->nq ? i : w->p->ring.q_count + (i - w->nq)];
}

static uint64_t *limb_at(const switch_job *w, vl_poly a, uint32_t i) {
    return a.x + (size_t)(i < w->nq ? i : a.nq + (i - w->nq)) * w->p->ring.n;
}

// The base change that divides the sums.
static const vl_base_ext *division_of(const switch_job *w) {
    return w->left < w->nq ? &w->p->bases->from_qp[w->left] : &w->p->bases->from_p;
}

// The inverse of what they are divided by.
static uint64_t divisor_inv(const switch_job *w, uint32_t i) {
    const vl_ring *ring = &w->p->ring;
    uint64_t inv = w->p->bases->p_inv[i];
    return w->left < w->nq ? vl_arith_mul(inv, ring->inv[w->left * ring->q_count + i], ring->mod[i].q) : inv;
}

// Shares limbs [first, last) out: groups of at most TARGETS, as many for every slot, their sizes one apart at most.
static void set_groups(switch_job *w, uint32_t first, uint32_t last, uint32_t slots) {
    uint32_t limbs = last - first, groups = (limbs + TARGETS - 1) / TARGETS;
    groups = (groups + slots - 1) / slots * slots;
    w->first = first;
    w->last = last;
    w->groups = groups < limbs ? groups : limbs;
    w->group = (limbs + w->groups - 1) / w->groups;
}

static uint32_t group_begin(const switch_job *w, uint32_t item) {
    return w->first + item * (w->last - w->first) / w->groups;
}

// Takes `count` limbs of scratch.
static uint64_t *take_limbs(vl_exec *x, const vl_params *p, size_t count) {
    return vl_arena_take(&x->arena, count * limb_bytes(p));
}

// ---- out of the NTT domain ----
// A limb of c, for the extension of its digit.
static void leave_digit(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    (void)slot;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = modulus_of(w, i);
    const uint64_t *from = w->y[i];
    if (w->s)
        vl_sum_last(w->p, w->s, i, w->y[i]);
    else
        from = limb_at(w, w->c, i);
    m->k->ntt_inverse(m, w->y[i], from, vl_bases_hat_inv(w->p, i, w->nq));
}

// A limb that is divided away of one of the given sums.
static void leave_sum(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    (void)slot;
    uint32_t count = w->nq - w->left + w->np, c = (uint32_t)item / count, k = (uint32_t)item % count;
    const vl_modulus *m = modulus_of(w, w->left + k);
    m->k->ntt_inverse(m, w->up[c][k], limb_at(w, w->u[c], w->left + k), division_of(w)->hat_inv[k]);
}

// ---- sums ----
// A stretch of one limb: the key's two sums, and the parts of a sum of products.
typedef struct stretch {
    uint64_t *u[2], *d[3], *t[3];
} stretch;

static stretch stretch_of(uint64_t *blocks) {
    uint64_t *at[BLOCKS];
    for (uint32_t k = 0; k < BLOCKS; k++) at[k] = blocks + (size_t)k * (BLOCK + STAGGER);
    return (stretch){{at[0], at[1]}, {at[2], at[3], at[4]}, {at[5], at[6], at[7]}};
}

static size_t block_of(const switch_job *w) { return w->p->ring.n < BLOCK ? w->p->ring.n : BLOCK; }

// Words [begin, begin + n) of the sums of limb i into u0, u1, out of the digits' limbs `from`; of one that is NULL, the
// words are `own`.
static void dot_key(const switch_job *w, const vl_switch_key *key, uint32_t i, const uint64_t *const *from,
                    const uint64_t *own, size_t begin, size_t n, uint64_t *u0, uint64_t *u1) {
    const uint64_t *x[VL_MAX_LIMBS], *b[VL_MAX_LIMBS], *a[VL_MAX_LIMBS];
    const vl_modulus *m = modulus_of(w, i);
    for (uint32_t j = 0; j < w->digits; j++) {
        x[j] = from[j] ? from[j] + begin : own;
        b[j] = limb_at(w, key->b[j], i) + begin;
        a[j] = limb_at(w, key->a[j], i) + begin;
    }
    m->k->dot2(m, u0, u1, x, b, a, w->digits, n);
}

// The digits' limbs [first, last), not yet transformed, in scratch: digit j's limb i at buffer j * group + (i - first).
static void extend_group(const switch_job *w, uint32_t first, uint32_t last, uint64_t *buffer) {
    size_t stride = stride_of(w->p);
    uint32_t middle = first < w->nq && w->nq < last ? w->nq : last;
    for (uint32_t j = 0; j < w->digits; j++) {
        uint64_t *dst[TARGETS];
        for (uint32_t i = first; i < last; i++) dst[i - first] = buffer + (j * w->group + (i - first)) * stride;
        vl_bases_extend_digit(w->p, j, w->nq, first, middle, dst, (const uint64_t *const *)w->y);
        if (middle < last)
            vl_bases_extend_digit(w->p, j, w->nq, middle, last, dst + (middle - first), (const uint64_t *const *)w->y);
    }
}

// x = limb i of each digit; `buffer` holds the extended limbs of its group, of which it is number g. NULL: a limb of a
// sum of products, which is made as it is used.
static void find_digits(const switch_job *w, uint32_t i, uint32_t g, uint64_t *buffer, const uint64_t **x) {
    const vl_modulus *m = modulus_of(w, i);
    for (uint32_t j = 0; j < w->digits; j++) {
        if (w->d) {
            x[j] = limb_at(w, w->d->d[j], i);
        } else if (i < w->nq && i / w->p->literal.digit_limbs == j) {
            x[j] = w->s ? NULL : limb_at(w, w->c, i);
        } else {
            uint64_t *t = buffer + (j * w->group + g) * stride_of(w->p);
            m->k->ntt_forward(m, t, t);
            x[j] = t;
        }
    }
}

// Makes the sums of limb i.
static void sum_limb(const switch_job *w, uint32_t i, uint32_t g, uint64_t *buffer, uint64_t *u0, uint64_t *u1) {
    const uint64_t *x[VL_MAX_LIMBS];
    find_digits(w, i, g, buffer, x);
    dot_key(w, w->key, i, x, NULL, 0, w->p->ring.n, u0, u1);
}

// ---- phases: the limbs that are divided away, then those that stay ----
// Words [begin, begin + n) of limb i of what is added to part c of the result; NULL: nothing. made: of a sum of
// products.
static const uint64_t *added(const switch_job *w, uint32_t i, uint32_t c, size_t begin, const stretch *made) {
    if (w->s) return made->d[c];
    return w->add[c].x ? limb_at(w, w->add[c], i) + begin : NULL;
}

// Words of a sum += P times what is added to the result.
static void add_lifted(const switch_job *w, uint32_t i, const uint64_t *add, size_t n, uint64_t *u) {
    const vl_modulus *m = modulus_of(w, i);
    if (add) m->k->mul_scalar_add(m, u, add, w->p->bases->p_mod[i], n);
}

// The sums of limb i < nq, P times what is added included.
static void sum_lifted(const switch_job *w, uint32_t i, uint32_t g, uint64_t *buffer, const stretch *made,
                       uint64_t *const u[2]) {
    const uint64_t *x[VL_MAX_LIMBS];
    find_digits(w, i, g, buffer, x);
    size_t n = block_of(w);
    for (size_t begin = 0; begin < w->p->ring.n; begin += n) {
        if (w->s) vl_sum_part(w->p, w->s, i, begin, n, made->d, made->t);
        dot_key(w, w->key, i, x, made->d[2], begin, n, u[0] + begin, u[1] + begin);
        for (uint32_t c = 0; c < 2; c++) add_lifted(w, i, added(w, i, c, begin, made), n, u[c] + begin);
    }
}

static void special_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    uint64_t *blocks = w->scratch + slot * w->slot_words, *buffer = blocks + BLOCKS * (BLOCK + STAGGER);
    stretch made = stretch_of(blocks);
    if (!w->d) extend_group(w, first, last, buffer);
    for (uint32_t i = first; i < last; i++) {
        const vl_modulus *m = modulus_of(w, i);
        uint64_t *u[2] = {w->up[0][i - w->left], w->up[1][i - w->left]};
        if (i < w->nq)
            sum_lifted(w, i, i - first, buffer, &made, u);
        else
            sum_limb(w, i, i - first, buffer, u[0], u[1]);
        for (uint32_t c = 0; c < 2; c++) m->k->ntt_inverse(m, u[c], u[c], division_of(w)->hat_inv[i - w->left]);
    }
}

// d = (u - t) / P + add, or with a rescale (u - t) / (P q), where add is in u: n words of limb i; t: those of the sum
// that are divided away, overwritten.
static void finish(const switch_job *w, uint32_t i, const uint64_t *add, size_t n, uint64_t *d, const uint64_t *u,
                   uint64_t *t) {
    const vl_modulus *m = modulus_of(w, i);
    uint64_t inv = divisor_inv(w, i);
    if (add && w->left == w->nq) {
        m->k->sub_mul_scalar(m, t, u, t, inv, n);
        m->k->add(m, d, add, t, n);
    } else {
        m->k->sub_mul_scalar(m, d, u, t, inv, n);
    }
}

// Limb i of the result; parts: of the sums what is divided away, extended, not yet transformed. A permuted result is
// written last: it may lie where what is added does.
static void finish_limb(const switch_job *w, uint32_t i, uint32_t g, uint64_t *buffer, uint64_t *const parts[2],
                        const stretch *made) {
    const vl_modulus *m = modulus_of(w, i);
    const uint64_t *x[VL_MAX_LIMBS];
    bool given = w->u[0].x;
    if (!given) find_digits(w, i, g, buffer, x);
    for (uint32_t c = 0; c < w->outs; c++) m->k->ntt_forward(m, parts[c], parts[c]);
    size_t n = block_of(w);
    for (size_t begin = 0; begin < w->p->ring.n; begin += n) {
        if (w->s) vl_sum_part(w->p, w->s, i, begin, n, made->d, made->t);
        if (!given) dot_key(w, w->key, i, x, made->d[2], begin, n, made->u[0], made->u[1]);
        for (uint32_t c = 0; c < w->outs; c++) {
            uint64_t *u = given ? limb_at(w, w->u[c], i) + begin : made->u[c], *t = parts[c] + begin;
            const uint64_t *add = added(w, i, c, begin, made);
            if (w->left < w->nq) add_lifted(w, i, add, n, u);
            finish(w, i, add, n, w->perm ? t : limb_at(w, w->out[c], i) + begin, u, t);
        }
    }
    for (uint32_t c = 0; c < w->outs && w->perm; c++) m->k->automorphism(w->perm, limb_at(w, w->out[c], i), parts[c]);
}

static void quotient_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    size_t stride = stride_of(w->p);
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    uint64_t *blocks = w->scratch + slot * w->slot_words, *parts = blocks + BLOCKS * (BLOCK + STAGGER);
    uint64_t *buffer = parts + (size_t)2 * w->group * stride;
    stretch made = stretch_of(blocks);
    if (!w->u[0].x && !w->d) extend_group(w, first, last, buffer);
    for (uint32_t c = 0; c < w->outs; c++) {
        uint64_t *dst[TARGETS];
        for (uint32_t g = 0; g < last - first; g++) dst[g] = parts + (c * w->group + g) * stride;
        vl_bases_extend(w->p, division_of(w), first, last, dst, (const uint64_t *const *)w->up[c]);
    }
    for (uint32_t i = first; i < last; i++) {
        uint64_t *part[2] = {parts + (i - first) * stride, parts + (w->group + (i - first)) * stride};
        finish_limb(w, i, i - first, buffer, part, &made);
    }
}

// A slot's scratch: a few blocks, then of a group the parts that are divided away and the digits.
static size_t slot_words(const vl_params *p, uint32_t digits) {
    return BLOCKS * (BLOCK + STAGGER) + (size_t)TARGETS * (2 + digits) * stride_of(p);
}

// Runs a phase over limbs [first, last), in groups small enough for every thread to get some.
static void run_phase(vl_exec *x, switch_job *w, uint32_t first, uint32_t last, uint32_t digits, vl_exec_fn fn) {
    w->slot_words = slot_words(w->p, digits);
    uint32_t slots = vl_exec_slots(x, last - first, w->slot_words * sizeof(uint64_t));
    set_groups(w, first, last, slots);
    size_t mark = vl_arena_mark(&x->arena);
    w->scratch = vl_arena_take(&x->arena, slots * w->slot_words * sizeof(uint64_t));
    vl_exec_each(x, slots, w->groups, fn, w);
    vl_arena_release(&x->arena, mark);
}

// Takes room for the limbs that are divided away.
static void take_up(vl_exec *x, switch_job *w) {
    uint32_t count = w->nq - w->left + w->np;
    for (uint32_t c = 0; c < w->outs; c++) {
        uint64_t *up = take_limbs(x, w->p, count);
        for (uint32_t k = 0; k < count; k++) w->up[c][k] = up + k * stride_of(w->p);
    }
}

// Takes room for the limbs of what is switched.
static void take_y(vl_exec *x, switch_job *w) {
    uint64_t *y = take_limbs(x, w->p, w->nq);
    for (uint32_t i = 0; i < w->nq; i++) w->y[i] = y + i * stride_of(w->p);
}

// The limbs of the given sums that are divided away.
static void leave_sums(vl_exec *x, switch_job *w) {
    uint32_t items = w->outs * (w->nq - w->left + w->np);
    take_up(x, w);
    vl_exec_each(x, vl_exec_slots(x, items, 0), items, leave_sum, w);
}

// The whole switch of w->c (or w->d) into w->out, w->left limbs.
static void run_switch(vl_exec *x, switch_job *w) {
    const vl_params *p = w->p;
    size_t mark = vl_arena_mark(&x->arena);
    assert(w->key->nq >= w->nq && w->left >= 1);
    w->np = p->ring.p_count;
    w->digits = vl_bases_digits(p, w->nq);
    w->outs = 2;
    take_up(x, w);
    if (!w->d) {
        take_y(x, w);
        vl_exec_each(x, vl_exec_slots(x, w->nq, 0), w->nq, leave_digit, w);
    }
    uint32_t digits = w->d ? 0 : w->digits;
    run_phase(x, w, w->left, w->nq + w->np, digits, special_group);
    run_phase(x, w, 0, w->left, digits, quotient_group);
    vl_arena_release(&x->arena, mark);
}

static void set_result(vl_ciphertext *out, const vl_ciphertext *ct) {
    uint16_t level = ct->level;
    assert(out->capacity >= level && out->c[1].x);
    for (uint32_t i = 0; i < 3; i++)
        if (out->c[i].x) out->c[i].nq = level;
    out->level = level;
    out->degree = 1;
    out->scale = ct->scale;
}

static vl_poly at_level(vl_poly a, uint32_t nq) { return (vl_poly){a.x, (uint16_t)nq, 0}; }

static void rotate(vl_exec *x, const vl_params *p, const vl_switch_key *key, const vl_digits *d, vl_ciphertext *out,
                   const vl_ciphertext *ct) {
    assert(ct->degree == 1 && key->galois != 0);
    switch_job w = {.p = p, .key = key, .nq = ct->level, .left = ct->level, .d = d, .perm = &key->perm};
    w.c = at_level(ct->c[1], ct->level);
    w.add[0] = at_level(ct->c[0], ct->level);
    set_result(out, ct);
    w.out[0] = out->c[0];
    w.out[1] = out->c[1];
    run_switch(x, &w);
}

void vl_rlwe_rotate(vl_exec *x, const vl_params *p, const vl_switch_key *key, vl_ciphertext *out,
                    const vl_ciphertext *ct) {
    rotate(x, p, key, NULL, out, ct);
}

void vl_rlwe_rotate_hoisted(vl_exec *x, const vl_params *p, const vl_switch_key *key, const vl_digits *d,
                            vl_ciphertext *out, const vl_ciphertext *ct) {
    assert(d->nq == ct->level);
    rotate(x, p, key, d, out, ct);
}

void vl_rlwe_relinearise(vl_exec *x, const vl_params *p, const vl_switch_key *relin, vl_ciphertext *ct) {
    assert(ct->degree == 2 && relin->galois == 0);
    switch_job w = {.p = p, .key = relin, .nq = ct->level, .left = ct->level, .c = at_level(ct->c[2], ct->level)};
    for (uint32_t i = 0; i < 2; i++) w.add[i] = w.out[i] = at_level(ct->c[i], ct->level);
    run_switch(x, &w);
    ct->degree = 1;
}

void vl_rlwe_relinearise_sum(vl_exec *x, const vl_params *p, const vl_switch_key *relin, const vl_sum *s, bool rescale,
                             vl_ciphertext *out) {
    uint16_t left = (uint16_t)(rescale ? s->level - 1 : s->level);
    double scale = rescale ? s->scale / (double)p->literal.q[left] : s->scale;
    assert(s->products > 0 && relin->galois == 0 && out->capacity >= left);
    switch_job w = {.p = p, .key = relin, .nq = s->level, .left = left, .s = s};
    for (uint32_t c = 0; c < 2; c++) w.out[c] = at_level(out->c[c], left);
    run_switch(x, &w);
    for (uint32_t c = 0; c < 3; c++)
        if (out->c[c].x) out->c[c].nq = left;
    out->level = left;
    out->degree = 1;
    out->scale = scale;
}

// ---- the parts by themselves ----
size_t vl_rlwe_digits_bytes(const vl_params *p, uint16_t nq) {
    uint32_t count = vl_bases_digits(p, nq);
    return count * vl_arena_need(vl_poly_bytes(&p->ring, nq, p->ring.p_count) + STAGGER * sizeof(uint64_t));
}

typedef struct decompose_job {
    switch_job w;
    vl_digits *out;
} decompose_job;

static void decompose_group(void *arg, size_t item, uint32_t slot) {
    const decompose_job *job = arg;
    const switch_job *w = &job->w;
    (void)slot;
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    for (uint32_t j = 0; j < w->digits; j++) {
        uint64_t *dst[TARGETS];
        for (uint32_t i = first; i < last; i++) dst[i - first] = limb_at(w, job->out->d[j], i);
        vl_bases_extend_digit(w->p, j, w->nq, first, last, dst, (const uint64_t *const *)w->y);
    }
    for (uint32_t i = first; i < last; i++) {
        const vl_modulus *m = modulus_of(w, i);
        for (uint32_t j = 0; j < w->digits; j++) {
            uint64_t *t = limb_at(w, job->out->d[j], i);
            if (i < w->nq && i / w->p->literal.digit_limbs == j)
                memcpy(t, limb_at(w, w->c, i), w->p->ring.n * sizeof *t);
            else
                m->k->ntt_forward(m, t, t);
        }
    }
}

static void decompose_phase(vl_exec *x, decompose_job *job, uint32_t first, uint32_t last) {
    uint32_t slots = vl_exec_slots(x, last - first, 0);
    set_groups(&job->w, first, last, slots);
    vl_exec_each(x, slots, job->w.groups, decompose_group, job);
}

vl_digits vl_rlwe_decompose(vl_exec *x, const vl_params *p, vl_poly c, vl_arena *arena) {
    vl_digits out = {.count = (uint16_t)vl_bases_digits(p, c.nq), .nq = c.nq};
    size_t bytes = vl_poly_bytes(&p->ring, c.nq, p->ring.p_count) + STAGGER * sizeof(uint64_t);
    assert(c.np == 0);
    for (uint32_t j = 0; j < out.count; j++)
        out.d[j] = (vl_poly){vl_arena_take(arena, bytes), c.nq, (uint16_t)p->ring.p_count};
    size_t mark = vl_arena_mark(&x->arena);
    decompose_job job = {.w = {.p = p, .c = c, .nq = c.nq, .np = p->ring.p_count, .digits = out.count}, .out = &out};
    take_y(x, &job.w);
    vl_exec_each(x, vl_exec_slots(x, c.nq, 0), c.nq, leave_digit, &job.w);
    decompose_phase(x, &job, c.nq, c.nq + p->ring.p_count);
    decompose_phase(x, &job, 0, c.nq);
    vl_arena_release(&x->arena, mark);
    return out;
}

static void apply_limb(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    (void)slot;
    uint32_t i = (uint32_t)item;
    sum_limb(w, i, 0, NULL, limb_at(w, w->out[0], i), limb_at(w, w->out[1], i));
}

void vl_rlwe_apply_key(vl_exec *x, const vl_params *p, const vl_digits *d, const vl_switch_key *key, vl_poly u0,
                       vl_poly u1) {
    assert(key->nq >= d->nq && u0.nq == d->nq && u1.nq == d->nq && u0.np == p->ring.p_count && u1.np == u0.np);
    switch_job w = {.p = p, .key = key, .nq = d->nq, .np = u0.np, .digits = d->count, .d = d, .out = {u0, u1}};
    uint32_t limbs = w.nq + w.np;
    vl_exec_each(x, vl_exec_slots(x, limbs, 0), limbs, apply_limb, &w);
}

static void lazy_limb(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = modulus_of(w, i);
    uint64_t *u0 = w->scratch + slot * w->slot_words, *u1 = u0 + stride_of(w->p);
    sum_limb(w, i, 0, NULL, u0, u1);
    if (i < w->nq) m->k->mul_scalar_add(m, u0, limb_at(w, w->add[0], i), w->p->bases->p_mod[i], w->p->ring.n);
    m->k->automorphism(w->perm, limb_at(w, w->out[0], i), u0);
    m->k->automorphism(w->perm, limb_at(w, w->out[1], i), u1);
}

void vl_rlwe_rotate_lazy(vl_exec *x, const vl_params *p, const vl_switch_key *key, const vl_digits *d,
                         const vl_ciphertext *ct, vl_poly o0, vl_poly o1) {
    assert(key->nq >= d->nq && key->galois != 0 && ct->level == d->nq && ct->degree == 1);
    assert(o0.nq == d->nq && o1.nq == d->nq && o0.np == p->ring.p_count && o1.np == o0.np);
    switch_job w = {.p = p, .key = key, .nq = d->nq, .np = o0.np, .digits = d->count, .d = d, .out = {o0, o1}};
    w.add[0] = at_level(ct->c[0], ct->level);
    w.perm = &key->perm;
    w.slot_words = 2 * stride_of(p);
    uint32_t limbs = w.nq + w.np, slots = vl_exec_slots(x, limbs, w.slot_words * sizeof(uint64_t));
    size_t mark = vl_arena_mark(&x->arena);
    w.scratch = take_limbs(x, p, 2 * (size_t)slots);
    vl_exec_each(x, slots, limbs, lazy_limb, &w);
    vl_arena_release(&x->arena, mark);
}

static void divide(vl_exec *x, const vl_params *p, uint32_t left, uint32_t count, const vl_poly *d, const vl_poly *u) {
    switch_job w = {.p = p, .nq = u[0].nq, .np = u[0].np, .left = left, .outs = count};
    assert(count >= 1 && count <= 2 && w.np == p->ring.p_count && left >= 1);
    for (uint32_t c = 0; c < count; c++) {
        assert(u[c].nq == w.nq && u[c].np == w.np && d[c].nq == left && d[c].np == 0);
        w.u[c] = u[c];
        w.out[c] = d[c];
    }
    size_t mark = vl_arena_mark(&x->arena);
    leave_sums(x, &w);
    run_phase(x, &w, 0, left, 0, quotient_group);
    vl_arena_release(&x->arena, mark);
}

void vl_rlwe_mod_down(vl_exec *x, const vl_params *p, uint32_t count, const vl_poly *d, const vl_poly *u) {
    divide(x, p, u[0].nq, count, d, u);
}

void vl_rlwe_mod_down_rescale(vl_exec *x, const vl_params *p, uint32_t count, const vl_poly *d, const vl_poly *u) {
    divide(x, p, u[0].nq - 1u, count, d, u);
}

// ---- giants ----
static void divide_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    quotient_group(arg, item, slot);
    for (uint32_t i = group_begin(w, (uint32_t)item); i < group_begin(w, (uint32_t)item + 1); i++) {
        const vl_modulus *m = modulus_of(w, i);
        m->k->ntt_inverse(m, w->y[i], limb_at(w, w->out[0], i), vl_bases_hat_inv(w->p, i, w->nq));
    }
}

// Limb i of sum += perm(u + add), u the sums that the key gives and perm its own.
static void turn_limb(const switch_job *w, const vl_switch_key *key, uint32_t i, const uint64_t *const *x,
                      uint64_t *blocks) {
    const vl_modulus *m = modulus_of(w, i);
    size_t n = block_of(w);
    uint64_t *u[2] = {blocks, blocks + BLOCK + STAGGER}, *t = u[1] + BLOCK + STAGGER;
    for (size_t begin = 0; begin < w->p->ring.n; begin += n) {
        size_t from = vl_automorphism_source(&key->perm, begin, n);
        dot_key(w, key, i, x, NULL, from, n, u[0], u[1]);
        if (w->add[0].np)
            m->k->add(m, u[0], u[0], limb_at(w, w->add[0], i) + from, n);
        else if (i < w->nq)
            add_lifted(w, i, limb_at(w, w->add[0], i) + from, n, u[0]);
        for (uint32_t c = 0; c < 2; c++) {
            uint64_t *d = limb_at(w, w->out[c], i) + begin;
            m->k->automorphism_part(&key->perm, t, u[c], begin, n);
            m->k->add(m, d, d, t, n);
        }
    }
}

static void turn_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    uint64_t *blocks = w->scratch + slot * w->slot_words, *buffer = blocks + BLOCKS * (BLOCK + STAGGER);
    extend_group(w, first, last, buffer);
    for (uint32_t i = first; i < last; i++) {
        const uint64_t *x[VL_MAX_LIMBS];
        find_digits(w, i, i - first, buffer, x);
        for (uint32_t k = 0; k < w->turn_count; k++) turn_limb(w, w->turns[k], i, x, blocks);
    }
}

void vl_rlwe_turn_add(vl_exec *x, const vl_params *p, const vl_switch_key *const *keys, uint32_t count,
                      const vl_poly a[2], const vl_poly sum[2]) {
    uint32_t nq = a[0].nq;
    assert(sum[0].nq == nq && sum[0].np == p->ring.p_count);
    for (uint32_t k = 0; k < count; k++) assert(keys[k]->nq >= nq && keys[k]->galois != 0);
    size_t mark = vl_arena_mark(&x->arena);
    switch_job w = {.p = p, .nq = nq, .np = p->ring.p_count, .left = nq, .turns = keys, .turn_count = count};
    w.digits = vl_bases_digits(p, nq);
    w.c = at_level(a[1], nq);
    take_y(x, &w);
    if (a[1].np) {
        switch_job divide = w;
        divide.outs = 1;
        divide.u[0] = a[1];
        divide.out[0] = a[1];
        leave_sums(x, &divide);
        run_phase(x, &divide, 0, nq, 0, divide_group);
    } else {
        vl_exec_each(x, vl_exec_slots(x, nq, 0), nq, leave_digit, &w);
    }
    w.add[0] = a[0];
    w.out[0] = sum[0];
    w.out[1] = sum[1];
    run_phase(x, &w, 0, nq + w.np, w.digits, turn_group);
    vl_arena_release(&x->arena, mark);
}

size_t vl_rlwe_scratch_threads(const vl_params *p, uint16_t nq, uint32_t threads) {
    size_t limb = vl_arena_need(limb_bytes(p)), digits = vl_bases_digits(p, nq);
    size_t switching = limb * (nq + 2 * ((size_t)p->ring.p_count + 1)) +
                       threads * vl_arena_need(slot_words(p, (uint32_t)digits) * sizeof(uint64_t));
    // Encryption and re-randomisation: four vectors of N words and a limb a thread.
    size_t encryption = limb * (4 + 2 * (size_t)threads);
    size_t ring = vl_ring_scratch_threads(&p->ring, threads);
    size_t most = switching > encryption ? switching : encryption;
    return (most > ring ? most : ring) + 256;
}

size_t vl_rlwe_scratch(const vl_params *p, uint16_t nq) { return vl_rlwe_scratch_threads(p, nq, vl_cpu_count()); }
