// SPDX-License-Identifier: Apache-2.0
// A factor of a transform, applied. All babies of a stretch of coefficients are made at a time, small enough for the
// cache of one core, and all giants' sums take them in: an automorphism takes stretches to stretches, so a stretch of a
// baby needs just as long a stretch of the digits and of its key.
#include "circuits/dft.h"

#include "circuits/dft_sums.h"
#include "rlwe/limb.h"

#include <assert.h>
#include <string.h>

#define BLOCK VL_DFT_BLOCK
#define STAGGER VL_DFT_STAGGER

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
    uint32_t nq, block;
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

// ---- the map ----
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
        for (uint32_t g = 0; g < j->map->giants; g++)
            vl_dft_sum_giant(&(vl_dft_block){j->p, j->map, j->nq, i, j->block, begin}, g, made,
                             part_of(j, j->kept[g].c[0], i, begin), part_of(j, j->kept[g].c[1], i, begin), t);
    }
}

// Scratch of a slot: a limb, the babies' blocks, and two blocks, or those of a sum.
static size_t slot_words(const vl_params *p, uint32_t babies) {
    return p->ring.n + (size_t)2 * babies * (BLOCK + STAGGER) + VL_DFT_SUM_WORDS + 2 * STAGGER;
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

// sum += a's images: see vl_rlwe_turn_add.
static void add_images(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count, uint32_t nq,
                       const vl_poly a[2], const vl_poly sum[2]) {
    const vl_switch_key *key[VL_DFT_MAX_IMAGES];
    assert(count <= VL_DFT_MAX_IMAGES);
    for (uint32_t i = 0; i < count; i++) key[i] = key_of(keys, galois[i], nq);
    vl_rlwe_turn_add(x, keys->params, key, count, a, sum);
}

// The sum += its own images, all over QP.
static void add_own_images(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count,
                           const pair *sum, uint32_t nq) {
    const vl_params *p = keys->params;
    size_t mark = vl_arena_mark(&x->arena);
    pair t = take_pair(x, p, nq);
    for (uint32_t i = 0; i < 2; i++) vl_ring_copy(x, &p->ring, t.c[i], sum->c[i]);
    add_images(x, keys, galois, count, nq, t.c, sum->c);
    vl_arena_release(&x->arena, mark);
}

void vl_diagonal_map_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagonal_map *map, bool rescale,
                           const uint64_t *image, uint32_t images, vl_ciphertext *d, const vl_ciphertext *a) {
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
        if (g != own) {
            uint64_t galois = vl_params_galois(p, map->giant[g]);
            add_images(x, keys, &galois, 1, nq, j.kept[g].c, j.kept[own].c);
        }
    if (images) add_own_images(x, keys, image, images, &j.kept[own], nq);
    d->scale = a->scale * map->scale;
    divide_sum(x, p, &j.kept[own], nq, rescale, d);
    vl_arena_release(&x->arena, mark);
}

// Limb i of P a.
static void lift_limb(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    (void)slot;
    for (size_t begin = 0; begin < j->p->ring.n; begin += j->block) {
        uint64_t *d[2] = {part_of(j, j->sum.c[0], (uint32_t)item, begin),
                          part_of(j, j->sum.c[1], (uint32_t)item, begin)};
        make_still(j, (uint32_t)item, begin, d);
    }
}

void vl_automorphisms_add(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count, bool rescale,
                          vl_ciphertext *a) {
    const vl_params *p = keys->params;
    assert(count >= 1 && a->degree == 1);
    size_t mark = vl_arena_mark(&x->arena);
    apply_job j = {.p = p, .in = a, .nq = a->level, .block = block_of(p)};
    j.sum = take_pair(x, p, a->level);
    each_limb(x, &j, lift_limb);
    add_images(x, keys, galois, count, a->level, a->c, j.sum.c);
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
