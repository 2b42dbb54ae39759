// SPDX-License-Identifier: Apache-2.0
#include "nn/place_internal.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash(uint64_t key, uint32_t slots) {
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (slots - 1);
}

static void index_all(states *t) {
    memset(t->slot, 0, t->slots * sizeof *t->slot);
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = hash(t->state[i].key, t->slots);
        while (t->slot[at]) at = (at + 1) & (t->slots - 1);
        t->slot[at] = i + 1;
    }
}

velum_status vl_nn_states_grow(states *t) {
    uint32_t slots = t->slots ? 2 * t->slots : 256;
    state *more = vl_alloc_array(slots / 2 + 1, sizeof *more);
    uint32_t *slot = vl_alloc_array(slots, sizeof *slot);
    if (!more || !slot) {
        vl_free(more);
        vl_free(slot);
        return VL_FAIL(VELUM_E_NOMEM, "placement: %u states", slots / 2);
    }
    if (t->count) memcpy(more, t->state, t->count * sizeof *more);
    vl_free(t->state);
    vl_free(t->slot);
    t->state = more;
    t->slot = slot;
    t->slots = slots;
    t->room = slots / 2 + 1;
    index_all(t);
    return VELUM_OK;
}

state *vl_nn_states_find(states *t, uint64_t key) {
    for (uint32_t at = hash(key, t->slots); t->slot[at]; at = (at + 1) & (t->slots - 1))
        if (t->state[t->slot[at] - 1].key == key) return &t->state[t->slot[at] - 1];
    return NULL;
}

state *vl_nn_states_add(states *t, uint64_t key) {
    uint32_t at = hash(key, t->slots);
    while (t->slot[at]) at = (at + 1) & (t->slots - 1);
    t->slot[at] = t->count + 1;
    return &t->state[t->count++];
}

// Every level of a at least that of b.
static bool covers(uint64_t a, uint64_t b) {
    const uint64_t mask = (1u << VL_NN_PLACE_BITS) - 1;
    for (uint32_t k = 0; k < VL_NN_PLACE_LIVE; k++, a >>= VL_NN_PLACE_BITS, b >>= VL_NN_PLACE_BITS)
        if ((a & mask) < (b & mask)) return false;
    return true;
}

static int by_seconds(const void *a, const void *b) {
    const state *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

void vl_nn_states_pack(states *t) {
    uint32_t kept = 0;
    if (t->count) qsort(t->state, t->count, sizeof *t->state, by_seconds);
    for (uint32_t i = 0; i < t->count; i++) {
        bool beaten = false;
        for (uint32_t j = 0; j < kept && !beaten; j++) beaten = covers(t->state[j].key, t->state[i].key);
        if (!beaten) t->state[kept++] = t->state[i];
    }
    t->count = kept;
}

void vl_nn_states_reset(states *t) {
    t->count = 0;
    if (t->slots) memset(t->slot, 0, t->slots * sizeof *t->slot);
}

void vl_nn_states_clear(states *t) {
    vl_free(t->state);
    vl_free(t->slot);
    *t = (states){0};
}
