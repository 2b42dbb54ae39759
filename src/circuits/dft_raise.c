// SPDX-License-Identifier: Apache-2.0
// ModRaise and the first factor of CoeffsToSlots in one. All its babies come out of the raise: a rotation there is one
// digit times one key of one special prime, and nothing is decomposed.
#include "circuits/dft_sums.h"

#include <assert.h>

#define BLOCK VL_DFT_BLOCK
#define STAGGER VL_DFT_STAGGER

typedef struct raise_job {
    const vl_params *p;
    const vl_diagonal_map *map;
    vl_lowered lowered;
    vl_ciphertext *d;
    uint64_t *last[2]; // limbs of p
    uint64_t *scratch; // slot_words a slot
} raise_job;

static size_t slot_words(const vl_params *p, uint32_t babies) {
    size_t part = (VL_LOWERED_GROUP + 2) * (size_t)BLOCK, sum = VL_DFT_SUM_WORDS;
    return 2 * (p->ring.n + (size_t)STAGGER) + (size_t)2 * babies * (BLOCK + STAGGER) + (part > sum ? part : sum);
}

static void raise_limb(void *arg, size_t item, uint32_t slot) {
    const raise_job *j = arg;
    const vl_params *p = j->p;
    const vl_diagonal_map *map = j->map;
    size_t n = p->ring.n, block = n < BLOCK ? n : BLOCK;
    uint32_t level = map->level, i = item < level ? (uint32_t)item : j->lowered.k->shape.level;
    uint64_t *c0 = j->scratch + slot * slot_words(p, map->babies), *c1 = c0 + n + STAGGER, *made = c1 + n + STAGGER;
    uint64_t *t = made + (size_t)2 * map->babies * (BLOCK + STAGGER), *d[2];
    for (uint32_t c = 0; c < 2; c++) d[c] = item < level ? j->d->c[c].x + item * n : j->last[c];
    vl_lowered_limb(&j->lowered, i, c0, c1);
    for (size_t begin = 0; begin < n; begin += block) {
        for (uint32_t b = 0; b < map->babies; b++) {
            uint64_t *o = made + (size_t)2 * b * (BLOCK + STAGGER);
            if (map->x[b]) vl_lowered_part(&j->lowered, b, i, c0, c1, begin, block, o, o + BLOCK + STAGGER, t);
        }
        vl_dft_sum_giant(&(vl_dft_block){p, map, level, (uint32_t)item, (uint32_t)block, begin}, 0, made, d[0] + begin,
                         d[1] + begin, t);
    }
}

void vl_diagonal_map_raise(vl_exec *x, const vl_encapsulation *k, const vl_diagonal_map *map, vl_ciphertext *d,
                           const vl_ciphertext *ct) {
    const vl_params *p = k->params;
    const uint32_t level = map->level;
    assert(map->giants == 1 && map->giant[0] == 0 && level == k->shape.level && d->capacity >= level);
    assert(d->c[0].x != ct->c[0].x);
    size_t mark = vl_arena_mark(&x->arena), n = p->ring.n, bytes = slot_words(p, map->babies) * sizeof(uint64_t);
    uint64_t *last = vl_arena_take(&x->arena, 2 * n * sizeof *last);
    raise_job j = {.p = p, .map = map, .d = d, .last = {last, last + n}};
    j.lowered = vl_encapsulation_lower(x, k, map->babies, ct);
    for (uint32_t c = 0; c < 2; c++) {
        d->c[c].nq = (uint16_t)level;
        d->c[c].np = 0;
    }
    d->level = (uint16_t)level;
    d->degree = 1;
    d->scale = ct->scale * map->scale;
    size_t inside = vl_arena_mark(&x->arena);
    uint32_t slots = vl_exec_slots(x, level + 1u, bytes);
    j.scratch = vl_arena_take(&x->arena, slots * bytes);
    vl_exec_each(x, slots, level + 1u, raise_limb, &j);
    vl_arena_release(&x->arena, inside);
    vl_lowered_divide(x, k, j.last, true, d);
    vl_arena_release(&x->arena, mark);
}

size_t vl_diagonal_map_raise_scratch(const vl_params *p, uint32_t babies) {
    return vl_encapsulation_lowered_scratch(p) + vl_arena_need(2 * p->ring.n * sizeof(uint64_t)) +
           vl_cpu_count() * vl_arena_need(slot_words(p, babies) * sizeof(uint64_t));
}
