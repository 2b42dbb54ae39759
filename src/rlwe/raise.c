// SPDX-License-Identifier: Apache-2.0
// ModRaise: to the sparse secret at the base prime, and back to the main one over the whole chain.
#include "arith/arith.h"
#include "rlwe/encapsulate.h"

#include <assert.h>
#include <string.h>

#define BLOCK 2048u // coefficients
#define STAGGER                                                                                                        \
    40u // words between blocks and between limbs of scratch, so that they do not start in the same cache set

static size_t stride_of(const vl_params *p) { return p->ring.n + STAGGER; }
static const vl_modulus *special(const vl_params *p) { return &p->ring.mod[p->ring.q_count]; }
static const vl_modulus *modulus_of(const vl_encapsulation *k, uint32_t i) {
    return i == k->shape.level ? special(k->params) : &k->params->ring.mod[i];
}

// ---- to the sparse secret ----
typedef struct lower_job {
    const vl_encapsulation *k;
    const vl_ciphertext *ct;
    const uint64_t *lifted; // c_1 modulo p, transformed
    uint64_t *c[2];
    uint64_t *scratch; // 2 limbs a slot
    uint32_t outputs;
} lower_job;

static void keep_subring(const vl_encapsulation *k, uint64_t *c) {
    for (size_t i = 1; k->shape.subring == 2 && i < k->params->ring.n; i += 2) c[i] = 0;
}

// c = the sum of the rotations of output 0 of the representatives of c modulo q_0 next to 0, in place; at most 2^6
// 2^49.
static void sum_turns(const vl_encapsulation *k, uint32_t outputs, uint64_t *c, int64_t *t) {
    const vl_params *p = k->params;
    uint64_t q = p->literal.q[0], n = p->ring.n, gap = k->shape.subring;
    int64_t *v = (int64_t *)c;
    for (uint64_t i = 0; i < n; i++) v[i] = c[i] > q / 2 ? (int64_t)(c[i] - q) : (int64_t)c[i];
    for (uint32_t by = outputs; by < k->shape.sums; by *= 2) {
        uint64_t g = gap * k->turn[by].galois & (2 * n - 1);
        memcpy(t, v, n * sizeof *t);
        for (uint64_t i = 0, to = 0; i < n; i += gap, to = (to + g) & (2 * n - 1))
            v[to & (n - 1)] += to < n ? t[i] : -t[i];
    }
}

// c_0 or c_1 modulo q_0, switched to t.
static void lower_one(void *arg, size_t item, uint32_t slot) {
    const lower_job *j = arg;
    const vl_encapsulation *k = j->k;
    const vl_params *p = k->params;
    const vl_modulus *m = &p->ring.mod[0], *s = special(p);
    size_t n = p->ring.n;
    const uint64_t *down = item ? k->down_a : k->down_b;
    uint64_t *c = j->c[item], *t = j->scratch + slot * 2 * stride_of(p), *up = t + stride_of(p);
    s->k->mul(s, up, j->lifted, down + n, n);
    s->k->ntt_inverse(s, up, up, 1);
    m->k->lift_centered(m, t, up, s->q, n);
    m->k->ntt_forward(m, t, t);
    m->k->mul(m, c, j->ct->c[1].x, down, n);
    m->k->sub_mul_scalar(m, c, c, t, k->p_inv[0], n);
    if (item == 0) m->k->add(m, c, c, j->ct->c[0].x, n);
    m->k->ntt_inverse(m, c, c, 1);
    keep_subring(k, c);
    if (item == 0) sum_turns(k, j->outputs, c, (int64_t *)t);
}

vl_lowered vl_encapsulation_lower(vl_exec *x, const vl_encapsulation *k, uint32_t outputs, const vl_ciphertext *ct) {
    const vl_params *p = k->params;
    const vl_modulus *m = &p->ring.mod[0], *s = special(p);
    size_t n = p->ring.n, slot_bytes = 2 * stride_of(p) * sizeof(uint64_t);
    assert(ct->degree == 1 && outputs > 0 && k->shape.sums % outputs == 0);
    uint64_t *c = vl_arena_take(&x->arena, 2 * n * sizeof *c);
    size_t mark = vl_arena_mark(&x->arena);
    uint64_t *lifted = vl_arena_take(&x->arena, n * sizeof *lifted);
    lower_job j = {.k = k, .ct = ct, .lifted = lifted, .c = {c, c + n}, .outputs = outputs};
    m->k->ntt_inverse(m, lifted, ct->c[1].x, 1);
    s->k->lift_centered(s, lifted, lifted, m->q, n);
    s->k->ntt_forward(s, lifted, lifted);
    uint32_t slots = vl_exec_slots(x, 2, slot_bytes);
    j.scratch = vl_arena_take(&x->arena, slots * slot_bytes);
    vl_exec_each(x, slots, 2, lower_one, &j);
    vl_arena_release(&x->arena, mark);
    return (vl_lowered){k, outputs, (int64_t *)j.c[0], j.c[1]};
}

// ---- limb by limb ----
void vl_lowered_limb(const vl_lowered *l, uint32_t i, uint64_t *c0, uint64_t *c1) {
    const vl_encapsulation *k = l->k;
    const vl_params *p = k->params;
    const vl_modulus *m = modulus_of(k, i);
    size_t n = p->ring.n;
    m->k->lift_centered(m, c1, l->c1, p->literal.q[0], n);
    m->k->ntt_forward(m, c1, c1);
    if (i == k->shape.level) return;
    m->k->from_i64(m, c0, l->c0, n);
    m->k->ntt_forward(m, c0, c0);
    m->k->mul_scalar(m, c0, c0, special(p)->q % m->q, n);
}

// Words [begin, begin + n) of limb i of the sums of b_r x_r and a_r x_r over `count` rotations r = first, first + by,
// ..
static void sum_keys(const vl_lowered *l, uint32_t first, uint32_t by, uint32_t count, uint32_t i, const uint64_t *c1,
                     size_t begin, size_t n, uint64_t *d0, uint64_t *d1, uint64_t *turned) {
    const vl_encapsulation *k = l->k;
    const vl_modulus *m = modulus_of(k, i);
    const uint64_t *v[VL_LOWERED_GROUP], *b[VL_LOWERED_GROUP], *a[VL_LOWERED_GROUP];
    for (uint32_t j = 0; j < count; j++) {
        uint32_t r = first + j * by;
        size_t at = ((size_t)r * (k->shape.level + 1u) + i) * k->params->ring.n + begin;
        v[j] = r == 0 ? c1 + begin : turned + j * n;
        b[j] = k->up_b + at;
        a[j] = k->up_a + at;
        if (r == 0) continue;
        m->k->automorphism_part(&k->turn[r], turned + j * n, c1 + vl_automorphism_source(&k->turn[r], begin, n), begin,
                                n);
    }
    m->k->dot2(m, d0, d1, v, b, a, count, n);
}

void vl_lowered_part(const vl_lowered *l, uint32_t o, uint32_t i, const uint64_t *c0, const uint64_t *c1, size_t begin,
                     size_t n, uint64_t *d0, uint64_t *d1, uint64_t *scratch) {
    const vl_encapsulation *k = l->k;
    const vl_modulus *m = modulus_of(k, i);
    uint64_t *t[2] = {scratch, scratch + n}, *turned = scratch + 2 * n;
    for (uint32_t r = o; r < k->shape.sums; r += VL_LOWERED_GROUP * l->outputs) {
        uint32_t left = (k->shape.sums - r + l->outputs - 1) / l->outputs;
        uint32_t count = left < VL_LOWERED_GROUP ? left : VL_LOWERED_GROUP;
        bool begun = r != o;
        sum_keys(l, r, l->outputs, count, i, c1, begin, n, begun ? t[0] : d0, begun ? t[1] : d1, turned);
        if (!begun) continue;
        m->k->add(m, d0, d0, t[0], n);
        m->k->add(m, d1, d1, t[1], n);
    }
    if (i == k->shape.level) return;
    if (o > 0) m->k->automorphism_part(&k->turn[o], t[0], c0 + vl_automorphism_source(&k->turn[o], begin, n), begin, n);
    m->k->add(m, d0, d0, o > 0 ? t[0] : c0 + begin, n);
}

// ---- the division ----
typedef struct divide_job {
    const vl_encapsulation *k;
    const vl_ciphertext *d;
    uint64_t *const *last; // limbs of p; then, as coefficients, what is taken from d modulo p
    uint64_t *top[2];      // with a rescale: .. the rest of it, as p times these, modulo q
    uint32_t level;        // of the result
    bool rescale;
    uint64_t *scratch; // 2 limbs a slot
} divide_job;

// d is u + p v modulo p q with u modulo p and v modulo q, both next to 0.
static void take_last(void *arg, size_t item, uint32_t slot) {
    const divide_job *j = arg;
    const vl_params *p = j->k->params;
    const vl_modulus *s = special(p), *m = &p->ring.mod[j->level];
    size_t n = p->ring.n;
    uint64_t *t = j->scratch + slot * 2 * stride_of(p), *u = j->last[item];
    s->k->ntt_inverse(s, u, u, 1);
    if (!j->rescale) return;
    m->k->ntt_inverse(m, j->top[item], j->d->c[item].x + j->level * n, 1);
    m->k->lift_centered(m, t, u, s->q, n);
    m->k->sub_mul_scalar(m, j->top[item], j->top[item], t, j->k->p_inv[j->level], n);
}

static void divide_limb(void *arg, size_t item, uint32_t slot) {
    const divide_job *j = arg;
    const vl_params *p = j->k->params;
    uint32_t c = (uint32_t)item % 2, i = (uint32_t)item / 2;
    const vl_modulus *s = special(p), *m = &p->ring.mod[i], *q = &p->ring.mod[j->level];
    size_t n = p->ring.n;
    uint64_t *t = j->scratch + slot * 2 * stride_of(p), *v = t + stride_of(p), *d = j->d->c[c].x + i * n;
    uint64_t inv = j->k->p_inv[i];
    m->k->lift_centered(m, t, j->last[c], s->q, n);
    if (j->rescale) {
        m->k->lift_centered(m, v, j->top[c], q->q, n);
        m->k->mul_scalar_add(m, t, v, s->q % m->q, n);
        inv = vl_arith_mul(inv, p->ring.inv[j->level * p->ring.q_count + i], m->q);
    }
    m->k->ntt_forward(m, t, t);
    m->k->sub_mul_scalar(m, d, d, t, inv, n);
}

void vl_lowered_divide(vl_exec *x, const vl_encapsulation *k, uint64_t *const last[2], bool rescale, vl_ciphertext *d) {
    const vl_params *p = k->params;
    size_t mark = vl_arena_mark(&x->arena), n = p->ring.n, slot_bytes = 2 * stride_of(p) * sizeof(uint64_t);
    divide_job j = {.k = k, .d = d, .last = last, .level = d->level - rescale, .rescale = rescale};
    uint64_t *top = rescale ? vl_arena_take(&x->arena, 2 * n * sizeof *top) : NULL;
    for (uint32_t c = 0; rescale && c < 2; c++) j.top[c] = top + c * n;
    uint32_t slots = vl_exec_slots(x, 2 * (size_t)j.level, slot_bytes);
    j.scratch = vl_arena_take(&x->arena, slots * slot_bytes);
    vl_exec_each(x, slots, 2, take_last, &j);
    vl_exec_each(x, slots, 2 * (size_t)j.level, divide_limb, &j);
    if (rescale) d->scale /= (double)p->literal.q[j.level];
    d->level = (uint16_t)j.level;
    for (uint32_t c = 0; c < 2; c++) d->c[c].nq = d->level;
    vl_arena_release(&x->arena, mark);
}

// ---- all of it ----
typedef struct raise_job {
    vl_lowered lowered;
    vl_ciphertext *out;
    uint64_t *last[2];
    uint64_t *scratch; // slot_words a slot
} raise_job;

static size_t slot_words(const vl_params *p) { return 2 * stride_of(p) + (VL_LOWERED_GROUP + 2) * (size_t)BLOCK; }

static void raise_limb(void *arg, size_t item, uint32_t slot) {
    const raise_job *j = arg;
    const vl_params *p = j->lowered.k->params;
    size_t n = p->ring.n, block = n < BLOCK ? n : BLOCK, stride = stride_of(p);
    uint32_t level = j->out->level, i = item < level ? (uint32_t)item : j->lowered.k->shape.level;
    uint64_t *c0 = j->scratch + slot * slot_words(p), *c1 = c0 + stride, *t = c1 + stride, *d[2];
    for (uint32_t c = 0; c < 2; c++) d[c] = item < level ? j->out->c[c].x + i * n : j->last[c];
    vl_lowered_limb(&j->lowered, i, c0, c1);
    for (size_t begin = 0; begin < n; begin += block)
        vl_lowered_part(&j->lowered, 0, i, c0, c1, begin, block, d[0] + begin, d[1] + begin, t);
}

void vl_encapsulation_raise(vl_exec *x, const vl_encapsulation *k, uint16_t level, vl_ciphertext *out,
                            const vl_ciphertext *ct) {
    const vl_params *p = k->params;
    assert(level <= k->shape.level && out->capacity >= level && out->c[0].x != ct->c[0].x);
    size_t n = p->ring.n, mark = vl_arena_mark(&x->arena), slot_bytes = slot_words(p) * sizeof(uint64_t);
    uint64_t *last = vl_arena_take(&x->arena, 2 * n * sizeof *last);
    raise_job job = {.lowered = vl_encapsulation_lower(x, k, 1, ct), .out = out, .last = {last, last + n}};
    for (uint32_t c = 0; c < 2; c++) {
        out->c[c].nq = level;
        out->c[c].np = 0;
    }
    out->level = level;
    out->degree = 1;
    out->scale = ct->scale;
    size_t inside = vl_arena_mark(&x->arena);
    uint32_t slots = vl_exec_slots(x, level + 1u, slot_bytes);
    job.scratch = vl_arena_take(&x->arena, slots * slot_bytes);
    vl_exec_each(x, slots, level + 1u, raise_limb, &job);
    vl_arena_release(&x->arena, inside);
    vl_lowered_divide(x, k, job.last, false, out);
    vl_arena_release(&x->arena, mark);
}

size_t vl_encapsulation_lowered_scratch(const vl_params *p) {
    size_t slot = vl_arena_need(2 * stride_of(p) * sizeof(uint64_t)), limb = p->ring.n * sizeof(uint64_t);
    return vl_arena_need(2 * limb) + vl_arena_need(2 * limb) + vl_cpu_count() * slot + 256;
}

size_t vl_encapsulation_scratch(const vl_params *p) {
    size_t slot = vl_arena_need(slot_words(p) * sizeof(uint64_t));
    return vl_encapsulation_lowered_scratch(p) + vl_arena_need(2 * p->ring.n * sizeof(uint64_t)) +
           vl_cpu_count() * slot;
}
