// SPDX-License-Identifier: Apache-2.0
// Hybrid key switching. Notation: alpha limbs a digit, D digits at level nq, K special primes.
//
// A plain switch never stores the decomposed digits. The input leaves the NTT domain once (limb i scaled by
// (Q_j/q_i)^-1); then, group by group of a few target limbs: each digit is extended to the group, transformed prime by
// prime, and multiplied into the two sums while it is in the cache. The limbs of P go first; they leave the NTT domain
// scaled, so that each limb of Q can be divided by P, added to and permuted as soon as its sums are there.
//
// With a rescale, the last limb of Q goes with those of P: one rounded division by P q_{nq-1}.
#include "arith/arith.h"
#include "rlwe/bases.h"
#include "rlwe/rlwe.h"

#include <assert.h>
#include <string.h>

#define TARGETS 6  // at most so many target limbs extended together: fewer passes over the input, more scratch a thread
#define STAGGER 40 // words between limbs of scratch, so that limbs do not all start in the same cache set

typedef struct switch_job {
    const vl_params *p;
    const vl_switch_key *key;
    uint32_t nq, np, digits;
    uint32_t first, last;            // limbs at hand
    uint32_t groups, group;          // shared out in so many groups, of `group` limbs at most
    vl_poly c;                       // what is switched (NTT domain)
    const vl_digits *d;              // already decomposed; or NULL, and then
    const uint64_t *y[VL_MAX_LIMBS]; // ... its limbs as coefficients, scaled for extension
    vl_poly u[2];                    // sums that are given (u[0].x NULL: to be made)
    uint32_t left;                   // limbs of the result: nq, or with a rescale nq - 1
    uint64_t *up[2][VL_MAX_LIMBS];   // limbs left .. of the sums (then P's), as coefficients, scaled for extension
    vl_poly add[2];                  // added to the result; x NULL: nothing
    vl_poly out[2];
    uint32_t outs;               // 1 or 2 polynomials
    const vl_automorphism *perm; // of the result; NULL: none
    uint64_t *scratch;           // slot_words a slot
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
typedef struct leave_job {
    const vl_params *p;
    vl_poly a;
    uint32_t nq, first;          // limbs first .. of a
    const vl_base_ext *division; // for its sources, which start there; NULL: for digits
    uint64_t *dst;
} leave_job;

static void leave_limb(void *arg, size_t item, uint32_t slot) {
    const leave_job *j = arg;
    const vl_ring *ring = &j->p->ring;
    (void)slot;
    uint32_t i = j->first + (uint32_t)item;
    const vl_modulus *m = vl_poly_modulus(ring, j->a, i);
    uint64_t scale = j->division ? j->division->hat_inv[item] : vl_bases_hat_inv(j->p, i, j->nq);
    m->k->ntt_inverse(m, j->dst + item * stride_of(j->p), vl_poly_limb(ring, j->a, i), scale);
}

// Limbs of c for the extension of its digits.
static void leave_ntt(vl_exec *x, const vl_params *p, vl_poly c, uint64_t *dst) {
    leave_job job = {.p = p, .a = c, .nq = c.nq, .dst = dst};
    vl_exec_each(x, vl_exec_slots(x, c.nq, 0), c.nq, leave_limb, &job);
}

// ---- sums ----
// The sums of limb i into u0, u1, out of the digits' limbs x.
static void dot_key(const switch_job *w, uint32_t i, const uint64_t *const *x, uint64_t *u0, uint64_t *u1) {
    const uint64_t *b[VL_MAX_LIMBS], *a[VL_MAX_LIMBS];
    const vl_modulus *m = modulus_of(w, i);
    for (uint32_t j = 0; j < w->digits; j++) {
        b[j] = limb_at(w, w->key->b[j], i);
        a[j] = limb_at(w, w->key->a[j], i);
    }
    m->k->dot2(m, u0, u1, x, b, a, w->digits, w->p->ring.n);
}

// The digits' limbs [first, last), not yet transformed, in scratch: digit j's limb i at buffer j * group + (i - first).
static void extend_group(const switch_job *w, uint32_t first, uint32_t last, uint64_t *buffer) {
    size_t stride = stride_of(w->p);
    uint32_t middle = first < w->nq && w->nq < last ? w->nq : last;
    for (uint32_t j = 0; j < w->digits; j++) {
        uint64_t *dst[TARGETS];
        for (uint32_t i = first; i < last; i++) dst[i - first] = buffer + (j * w->group + (i - first)) * stride;
        vl_bases_extend_digit(w->p, j, w->nq, first, middle, dst, w->y);
        if (middle < last) vl_bases_extend_digit(w->p, j, w->nq, middle, last, dst + (middle - first), w->y);
    }
}

// Makes the sums of limb i; `buffer` holds the extended limbs of its group, of which it is number g.
static void sum_limb(const switch_job *w, uint32_t i, uint32_t g, uint64_t *buffer, uint64_t *u0, uint64_t *u1) {
    const uint64_t *x[VL_MAX_LIMBS];
    const vl_modulus *m = modulus_of(w, i);
    for (uint32_t j = 0; j < w->digits; j++) {
        if (w->d) {
            x[j] = limb_at(w, w->d->d[j], i);
        } else if (i < w->nq && i / w->p->literal.digit_limbs == j) {
            x[j] = limb_at(w, w->c, i);
        } else {
            uint64_t *t = buffer + (j * w->group + g) * stride_of(w->p);
            m->k->ntt_forward(m, t, t);
            x[j] = t;
        }
    }
    dot_key(w, i, x, u0, u1);
}

// ---- phases: the limbs that are divided away, then those that stay ----
// The sum's part c of limb i += P times what is added to the result.
static void add_lifted(const switch_job *w, uint32_t i, uint32_t c, uint64_t *u) {
    const vl_modulus *m = modulus_of(w, i);
    if (w->add[c].x) m->k->mul_scalar_add(m, u, limb_at(w, w->add[c], i), w->p->bases->p_mod[i], w->p->ring.n);
}

static void special_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    uint64_t *buffer = w->scratch + slot * w->slot_words;
    if (!w->d) extend_group(w, first, last, buffer);
    for (uint32_t i = first; i < last; i++) {
        const vl_modulus *m = modulus_of(w, i);
        sum_limb(w, i, i - first, buffer, w->up[0][i - w->left], w->up[1][i - w->left]);
        for (uint32_t c = 0; c < 2; c++) {
            uint64_t *t = w->up[c][i - w->left];
            if (i < w->nq) add_lifted(w, i, c, t);
            m->k->ntt_inverse(m, t, t, division_of(w)->hat_inv[i - w->left]);
        }
    }
}

// out = perm((u - t) / P + add), or with a rescale perm((u + P add - t) / (P q)); t: the part of the sum that is
// divided away, extended, not yet transformed; overwritten.
static void finish_limb(const switch_job *w, uint32_t i, uint32_t c, const uint64_t *u, uint64_t *t) {
    const vl_modulus *m = modulus_of(w, i);
    uint64_t *out = limb_at(w, w->out[c], i), *d = w->perm ? t : out, inv = divisor_inv(w, i);
    size_t n = w->p->ring.n;
    m->k->ntt_forward(m, t, t);
    if (w->add[c].x && w->left == w->nq) {
        m->k->sub_mul_scalar(m, t, u, t, inv, n);
        m->k->add(m, d, limb_at(w, w->add[c], i), t, n);
    } else {
        m->k->sub_mul_scalar(m, d, u, t, inv, n);
    }
    if (w->perm) m->k->automorphism(w->perm, out, t);
}

static void quotient_group(void *arg, size_t item, uint32_t slot) {
    const switch_job *w = arg;
    size_t stride = stride_of(w->p);
    uint32_t first = group_begin(w, (uint32_t)item), last = group_begin(w, (uint32_t)item + 1);
    uint64_t *sums = w->scratch + slot * w->slot_words, *parts = sums + 2 * stride;
    uint64_t *buffer = parts + (size_t)2 * w->group * stride;
    if (!w->u[0].x && !w->d) extend_group(w, first, last, buffer);
    for (uint32_t c = 0; c < w->outs; c++) {
        uint64_t *dst[TARGETS];
        for (uint32_t g = 0; g < last - first; g++) dst[g] = parts + (c * w->group + g) * stride;
        vl_bases_extend(w->p, division_of(w), first, last, dst, (const uint64_t *const *)w->up[c]);
    }
    for (uint32_t i = first; i < last; i++) {
        if (!w->u[0].x) sum_limb(w, i, i - first, buffer, sums, sums + stride);
        for (uint32_t c = 0; c < w->outs && w->left < w->nq; c++) add_lifted(w, i, c, sums + c * stride);
        for (uint32_t c = 0; c < w->outs; c++)
            finish_limb(w, i, c, w->u[0].x ? limb_at(w, w->u[c], i) : sums + c * stride,
                        parts + (c * w->group + (i - first)) * stride);
    }
}

static size_t slot_limbs(uint32_t digits) { return 2 + (size_t)TARGETS * (2 + digits); }

// Runs a phase over limbs [first, last), in groups small enough for every thread to get some.
static void run_phase(vl_exec *x, switch_job *w, uint32_t first, uint32_t last, uint32_t digits, vl_exec_fn fn) {
    w->slot_words = slot_limbs(digits) * stride_of(w->p);
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

// The whole switch of w->c (or w->d) into w->out, w->left limbs.
static void run_switch(vl_exec *x, switch_job *w) {
    const vl_params *p = w->p;
    size_t mark = vl_arena_mark(&x->arena), stride = stride_of(p);
    assert(w->key->nq >= w->nq && w->left >= 1);
    w->np = p->ring.p_count;
    w->digits = vl_bases_digits(p, w->nq);
    w->outs = 2;
    take_up(x, w);
    if (!w->d) {
        uint64_t *y = take_limbs(x, p, w->nq);
        leave_ntt(x, p, w->c, y);
        for (uint32_t i = 0; i < w->nq; i++) w->y[i] = y + i * stride;
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

static void relinearise(vl_exec *x, const vl_params *p, const vl_switch_key *relin, uint32_t left, vl_ciphertext *out,
                        const vl_ciphertext *ct) {
    assert(ct->degree == 2 && relin->galois == 0);
    switch_job w = {.p = p, .key = relin, .nq = ct->level, .left = left, .c = at_level(ct->c[2], ct->level)};
    for (uint32_t i = 0; i < 2; i++) {
        w.add[i] = at_level(ct->c[i], ct->level);
        w.out[i] = at_level(out->c[i], left);
    }
    run_switch(x, &w);
}

void vl_rlwe_relinearise(vl_exec *x, const vl_params *p, const vl_switch_key *relin, vl_ciphertext *ct) {
    relinearise(x, p, relin, ct->level, ct, ct);
    ct->degree = 1;
}

void vl_rlwe_relinearise_rescale(vl_exec *x, const vl_params *p, const vl_switch_key *relin, vl_ciphertext *out,
                                 const vl_ciphertext *ct) {
    uint16_t left = (uint16_t)(ct->level - 1);
    double scale = ct->scale / (double)p->literal.q[left];
    assert(out->capacity >= left);
    relinearise(x, p, relin, left, out, ct);
    for (uint32_t i = 0; i < 3; i++)
        if (out->c[i].x) out->c[i].nq = left;
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
        vl_bases_extend_digit(w->p, j, w->nq, first, last, dst, w->y);
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
    uint64_t *y = take_limbs(x, p, c.nq);
    leave_ntt(x, p, c, y);
    for (uint32_t i = 0; i < c.nq; i++) job.w.y[i] = y + i * stride_of(p);
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

void vl_rlwe_apply_key_limb(const vl_params *p, const vl_digits *d, const vl_switch_key *key, uint32_t i, uint64_t *u0,
                            uint64_t *u1) {
    switch_job w = {.p = p, .key = key, .nq = d->nq, .np = p->ring.p_count, .digits = d->count, .d = d};
    sum_limb(&w, i, 0, NULL, u0, u1);
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

static void divide(vl_exec *x, const vl_params *p, uint32_t left, vl_poly d, vl_poly u) {
    assert(u.np == p->ring.p_count && d.nq == left && d.np == 0 && left >= 1);
    size_t mark = vl_arena_mark(&x->arena);
    switch_job w = {.p = p, .nq = u.nq, .np = u.np, .left = left, .u = {u}, .out = {d}, .outs = 1};
    uint32_t away = u.nq - left + u.np;
    take_up(x, &w);
    leave_job leave = {.p = p, .a = u, .nq = u.nq, .first = left, .division = division_of(&w), .dst = w.up[0][0]};
    vl_exec_each(x, vl_exec_slots(x, away, 0), away, leave_limb, &leave);
    run_phase(x, &w, 0, left, 0, quotient_group);
    vl_arena_release(&x->arena, mark);
}

void vl_rlwe_mod_down(vl_exec *x, const vl_params *p, vl_poly d, vl_poly u) { divide(x, p, u.nq, d, u); }

void vl_rlwe_mod_down_rescale(vl_exec *x, const vl_params *p, vl_poly d, vl_poly u) { divide(x, p, u.nq - 1u, d, u); }

size_t vl_rlwe_scratch_threads(const vl_params *p, uint16_t nq, uint32_t threads) {
    size_t limb = vl_arena_need(limb_bytes(p)), digits = vl_bases_digits(p, nq);
    size_t switching = limb * (nq + 2 * ((size_t)p->ring.p_count + 1)) + threads * limb * slot_limbs((uint32_t)digits);
    // Encryption and re-randomisation: four vectors of N words and a limb a thread.
    size_t encryption = limb * (4 + 2 * (size_t)threads);
    size_t ring = vl_ring_scratch_threads(&p->ring, threads);
    size_t most = switching > encryption ? switching : encryption;
    return (most > ring ? most : ring) + 256;
}

size_t vl_rlwe_scratch(const vl_params *p, uint16_t nq) { return vl_rlwe_scratch_threads(p, nq, vl_cpu_count()); }
