// SPDX-License-Identifier: Apache-2.0
// A factor of a transform, applied. All babies of a stretch of coefficients are made at a time, small enough for the
// cache of one core, and all giants' sums take them in: an automorphism takes stretches to stretches, so a stretch of a
// baby needs just as long a stretch of the digits and of its key.
#include "circuits/dft.h"

#include "circuits/diag.h"
#include "rlwe/limb.h"

#include <assert.h>
#include <string.h>

#define BLOCK 2048u // coefficients: two polynomials of 16 babies are 512 KiB
#define STAGGER 40u // words between blocks and between limbs of scratch
#define GROUP 16u   // diagonals a sum takes at a time
#define SCALAR 32u  // coefficients: diagonals that are constant on so many are multiplied as scalars

typedef struct pair {
    vl_poly c[2];
} pair;

typedef struct apply_job {
    const vl_params *p;
    const vl_diagonal_map *map;
    const vl_ciphertext *in;
    const vl_digits *digits;
    const vl_switch_key *key[VL_DFT_MAX_BABIES]; // of the babies; NULL: not turned
    bool used[VL_DFT_MAX_BABIES];
    pair *kept; // a giant's sum each
    uint32_t nq, block, count;
    uint64_t *scratch;
    size_t slot_words;
    pair sum;
} apply_job;

// Words [begin, begin + block) of a limb of Q and P.
static uint64_t *part_of(const apply_job *j, vl_poly a, uint32_t i, size_t begin) {
    return a.x + (size_t)i * j->p->ring.n + begin;
}

static const vl_switch_key *key_of(const vl_eval_keys *keys, uint64_t galois, uint32_t nq) {
    const vl_switch_key *key = vl_eval_keys_find(keys, galois);
    assert(key && key->nq >= nq);
    (void)nq;
    return key;
}

static const vl_switch_key *key_for(const vl_eval_keys *keys, int32_t k, uint32_t nq) {
    return key_of(keys, vl_params_galois(keys->params, k), nq);
}

// ---- babies ----

// A block of limb i of the baby that is not turned.
static void make_still(const apply_job *j, uint32_t i, size_t begin, uint64_t *const o[2]) {
    for (uint32_t c = 0; c < 2; c++) {
        if (i < j->nq)
            vl_rlwe_limb_lift_part(j->p, i, o[c], part_of(j, j->in->c[c], i, begin), j->block);
        else
            memset(o[c], 0, j->block * sizeof *o[c]);
    }
}

// The same of a turned one; lifted: P times limb i < nq of c_0; t: two blocks.
static void make_turned(const apply_job *j, const vl_switch_key *key, uint32_t i, size_t begin, const uint64_t *lifted,
                        uint64_t *const o[2], uint64_t *t) {
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, i);
    size_t from = vl_automorphism_source(&key->perm, begin, j->block);
    uint64_t *u[2] = {t, t + BLOCK + STAGGER};
    vl_rlwe_limb_apply_key_part(j->p, j->digits, key, i, from, j->block, u[0], u[1]);
    if (i < j->nq) m->k->add(m, u[0], u[0], lifted + from, j->block);
    for (uint32_t c = 0; c < 2; c++) m->k->automorphism_part(&key->perm, o[c], u[c], begin, j->block);
}

// ---- sums of products ----

// The block of giant g's sums, out of at most GROUP diagonals: cells[k] times the blocks b0[k], b1[k].
static void dot(const apply_job *j, const uint32_t *cells, uint32_t count, uint32_t i, size_t begin,
                const uint64_t *const *b0, const uint64_t *const *b1, uint64_t *d0, uint64_t *d1, uint64_t *expanded) {
    const vl_ring *ring = &j->p->ring;
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, i);
    const uint64_t *a[GROUP];
    for (uint32_t k = 0; k < count; k++) {
        vl_diag d = {.x = j->map->x[cells[k]], .words = ring->n / j->map->run[cells[k]]};
        a[k] = expanded + (size_t)k * BLOCK;
        if (d.words == ring->n)
            a[k] = d.x + (size_t)i * d.words + begin;
        else
            vl_diag_expand(ring, d, i, begin, j->block, expanded + (size_t)k * BLOCK);
    }
    m->k->dot2(m, d0, d1, a, b0, b1, count, j->block);
}

// The same where every diagonal is constant on runs of `run` coefficients.
static void dot_runs(const apply_job *j, const uint32_t *cells, uint32_t count, uint32_t run, uint32_t i, size_t begin,
                     const uint64_t *const *b0, const uint64_t *const *b1, uint64_t *d0, uint64_t *d1) {
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, i);
    size_t words = j->p->ring.n / run, length = run < j->block ? run : j->block;
    for (size_t at = 0; at < j->block; at += length) {
        const uint64_t *x0[GROUP], *x1[GROUP];
        uint64_t s[GROUP];
        for (uint32_t k = 0; k < count; k++) {
            s[k] = j->map->x[cells[k]][i * words + (begin + at) / run];
            x0[k] = b0[k] + at;
            x1[k] = b1[k] + at;
        }
        uint64_t *to[2] = {d0 + at, d1 + at};
        m->k->mix(m, &to[0], 1, x0, count, s, length);
        m->k->mix(m, &to[1], 1, x1, count, s, length);
    }
}

static void sum_giant(const apply_job *j, uint32_t g, uint32_t i, size_t begin, const uint64_t *babies, uint64_t *t) {
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, i);
    uint32_t count = 0, cells[GROUP], run = 1;
    const uint64_t *b0[GROUP], *b1[GROUP];
    uint64_t *d0 = part_of(j, j->kept[g].c[0], i, begin), *d1 = part_of(j, j->kept[g].c[1], i, begin);
    uint64_t *t1 = t + BLOCK, *expanded = t1 + BLOCK;
    bool begun = false;
    for (uint32_t b = 0; b <= j->map->babies; b++) {
        bool end = b == j->map->babies;
        uint32_t cell = g * j->map->babies + b;
        if (!end && j->map->x[cell]) {
            run = j->map->run[cell]; // the same for all
            b0[count] = babies + (size_t)2 * b * (BLOCK + STAGGER);
            b1[count] = b0[count] + BLOCK + STAGGER;
            cells[count++] = cell;
        }
        if (count == 0 || (!end && count < GROUP)) continue;
        if (run >= SCALAR)
            dot_runs(j, cells, count, run, i, begin, b0, b1, begun ? t : d0, begun ? t1 : d1);
        else
            dot(j, cells, count, i, begin, b0, b1, begun ? t : d0, begun ? t1 : d1, expanded);
        if (begun) {
            m->k->add(m, d0, d0, t, j->block);
            m->k->add(m, d1, d1, t1, j->block);
        }
        begun = true;
        count = 0;
    }
    if (begun) return;
    memset(d0, 0, j->block * sizeof *d0);
    memset(d1, 0, j->block * sizeof *d1);
}

static void products_limb(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    uint32_t i = (uint32_t)item, babies = j->map->babies;
    uint64_t *lifted = j->scratch + slot * j->slot_words, *made = lifted + j->p->ring.n;
    uint64_t *t = made + (size_t)2 * babies * (BLOCK + STAGGER);
    if (i < j->nq && babies > 1) vl_rlwe_limb_lift(j->p, i, lifted, part_of(j, j->in->c[0], i, 0));
    for (size_t begin = 0; begin < j->p->ring.n; begin += j->block) {
        for (uint32_t b = 0; b < babies; b++) {
            uint64_t *o[2] = {made + (size_t)2 * b * (BLOCK + STAGGER), made + (size_t)(2 * b + 1) * (BLOCK + STAGGER)};
            if (!j->used[b]) continue;
            if (b == 0)
                make_still(j, i, begin, o);
            else
                make_turned(j, j->key[b], i, begin, lifted, o, t);
        }
        for (uint32_t g = 0; g < j->map->giants; g++) sum_giant(j, g, i, begin, made, t);
    }
}

// Scratch of a slot: a limb, the babies' blocks, and two blocks, or those of a sum.
static size_t slot_words(const vl_params *p, uint32_t babies) {
    return p->ring.n + (size_t)2 * babies * (BLOCK + STAGGER) + (2 + GROUP) * (size_t)BLOCK + 2 * STAGGER;
}

static pair take_pair(vl_exec *x, const vl_params *p, uint32_t nq) {
    pair t;
    for (int i = 0; i < 2; i++) t.c[i] = vl_poly_take(&p->ring, &x->arena, nq, p->ring.p_count);
    return t;
}

static uint32_t block_of(const vl_params *p) { return p->ring.n < BLOCK ? p->ring.n : BLOCK; }

// Runs fn over the limbs of Q and P, each slot with slot_words of scratch.
static void each_limb(vl_exec *x, apply_job *j, vl_exec_fn fn) {
    size_t mark = vl_arena_mark(&x->arena);
    uint32_t limbs = j->nq + j->p->ring.p_count;
    uint32_t slots = vl_exec_slots(x, limbs, j->slot_words * sizeof(uint64_t));
    j->scratch = vl_arena_take(&x->arena, slots * j->slot_words * sizeof(uint64_t));
    vl_exec_each(x, slots, limbs, fn, j);
    vl_arena_release(&x->arena, mark);
}

// d = sum / P, or with a rescale sum / (P q).
static void divide_sum(vl_exec *x, const vl_params *p, const pair *sum, uint32_t nq, bool rescale, vl_ciphertext *d) {
    uint16_t left = (uint16_t)(rescale ? nq - 1 : nq);
    for (uint32_t i = 0; i < 2; i++) d->c[i].nq = left;
    (rescale ? vl_rlwe_mod_down_rescale : vl_rlwe_mod_down)(x, p, 2, d->c, sum->c);
    d->level = left;
    d->degree = 1;
    if (rescale) d->scale /= (double)p->literal.q[left];
}

// The sum += its image, both over QP.
static void add_image(vl_exec *x, const vl_eval_keys *keys, uint64_t galois, const pair *sum, uint32_t nq) {
    const vl_params *p = keys->params;
    size_t mark = vl_arena_mark(&x->arena);
    pair t = take_pair(x, p, nq);
    for (uint32_t i = 0; i < 2; i++) vl_ring_copy(x, &p->ring, t.c[i], sum->c[i]);
    vl_rlwe_turn_add(x, p, key_of(keys, galois, nq), t.c, sum->c);
    vl_arena_release(&x->arena, mark);
}

void vl_diagonal_map_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagonal_map *map, bool rescale,
                           uint64_t image, vl_ciphertext *d, const vl_ciphertext *a) {
    const vl_params *p = keys->params;
    uint32_t nq = map->level, own = map->giants;
    assert(a->degree == 1 && a->level >= nq && d->capacity >= nq);
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext in = *a;
    vl_ciphertext_drop(&in, (uint16_t)nq);
    apply_job j = {.p = p, .map = map, .in = &in, .nq = nq, .block = block_of(p)};
    j.kept = vl_arena_take(&x->arena, map->giants * sizeof *j.kept);
    for (uint32_t g = 0; g < map->giants; g++) j.kept[g] = take_pair(x, p, nq);
    for (uint32_t b = 0; b < map->babies; b++) {
        for (uint32_t g = 0; g < map->giants; g++) j.used[b] |= map->x[g * map->babies + b] != NULL;
        if (j.used[b] && b > 0) j.key[b] = key_for(keys, (int32_t)(b * map->step), nq);
    }
    size_t inside = vl_arena_mark(&x->arena);
    vl_digits digits = {0};
    if (map->babies > 1) digits = vl_rlwe_decompose(x, p, in.c[1], &x->arena);
    j.digits = &digits;
    j.slot_words = slot_words(p, map->babies);
    each_limb(x, &j, products_limb);
    vl_arena_release(&x->arena, inside);
    for (uint32_t g = 0; g < map->giants; g++)
        if (map->giant[g] == 0) own = g;
    assert(own < map->giants);
    for (uint32_t g = 0; g < map->giants; g++)
        if (g != own) vl_rlwe_turn_add(x, p, key_for(keys, map->giant[g], nq), j.kept[g].c, j.kept[own].c);
    if (image) add_image(x, keys, image, &j.kept[own], nq);
    d->scale = a->scale * map->scale;
    divide_sum(x, p, &j.kept[own], nq, rescale, d);
    vl_arena_release(&x->arena, mark);
}

// Limb i of the sum of all images, the first of them a itself.
static void images_limb(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, i);
    uint64_t *lifted = j->scratch + slot * j->slot_words;
    uint64_t *u = lifted + j->p->ring.n, *o[2] = {u, u + BLOCK + STAGGER}, *t = o[1] + BLOCK + STAGGER;
    if (i < j->nq && j->count > 0) vl_rlwe_limb_lift(j->p, i, lifted, part_of(j, j->in->c[0], i, 0));
    for (size_t begin = 0; begin < j->p->ring.n; begin += j->block) {
        uint64_t *d[2] = {part_of(j, j->sum.c[0], i, begin), part_of(j, j->sum.c[1], i, begin)};
        make_still(j, i, begin, d);
        for (uint32_t b = 0; b < j->count; b++) {
            make_turned(j, j->key[b], i, begin, lifted, o, t);
            for (uint32_t c = 0; c < 2; c++) m->k->add(m, d[c], d[c], o[c], j->block);
        }
    }
}

void vl_automorphisms_add(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count, bool rescale,
                          vl_ciphertext *a) {
    const vl_params *p = keys->params;
    assert(count >= 1 && count <= 16 && a->degree == 1);
    size_t mark = vl_arena_mark(&x->arena);
    apply_job j = {.p = p, .in = a, .nq = a->level, .block = block_of(p), .count = count};
    for (uint32_t b = 0; b < count; b++) j.key[b] = key_of(keys, galois[b], a->level);
    j.sum = take_pair(x, p, a->level);
    size_t inside = vl_arena_mark(&x->arena);
    vl_digits digits = {0};
    if (count > 1)
        digits = vl_rlwe_decompose(x, p, a->c[1], &x->arena);
    else
        j.count = 0; // one alone stores no digits
    j.digits = &digits;
    j.slot_words = p->ring.n + 4 * (BLOCK + STAGGER);
    each_limb(x, &j, images_limb);
    if (count == 1) vl_rlwe_turn_add(x, p, j.key[0], a->c, j.sum.c);
    vl_arena_release(&x->arena, inside);
    divide_sum(x, p, &j.sum, j.nq, rescale, a);
    vl_arena_release(&x->arena, mark);
}

size_t vl_diagonal_map_scratch(const vl_params *p, uint32_t babies, uint32_t giants, uint16_t level) {
    size_t qp = vl_arena_need(vl_poly_bytes(&p->ring, level, p->ring.p_count)), threads = vl_cpu_count();
    size_t digits = vl_rlwe_digits_bytes(p, level), rlwe = vl_rlwe_scratch(p, level);
    size_t products = digits + threads * vl_arena_need(slot_words(p, babies) * sizeof(uint64_t));
    size_t most = products > digits + rlwe ? products : digits + rlwe;
    return vl_arena_need(giants * sizeof(pair)) + 2 * (giants + 1) * qp + most + 256;
}
