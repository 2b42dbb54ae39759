// SPDX-License-Identifier: Apache-2.0
// Shared by the search for a placement and by writing it down.
#ifndef VELUM_NN_PLACE_INTERNAL_H
#define VELUM_NN_PLACE_INTERNAL_H

#include "nn/place.h"

#define VL_NN_PLACE_BITS 5 // of a level in a key

typedef struct decision {   // how an operation is run
    uint8_t refreshed;      // bit k: source k is bootstrapped first
    uint16_t level, result; // of its start (a relu: of x) and of its result
} decision;

typedef struct state {
    uint64_t key; // levels of the values alive
    double seconds;
    uint32_t parent; // among the states before the operation
    decision d;
} state;

typedef struct states { // by key: open addressing over an index
    uint32_t count, room, slots;
    state *state;
    uint32_t *slot; // 1 + index; 0: free
} states;
velum_status vl_nn_states_grow(states *t);
state *vl_nn_states_find(states *t, uint64_t key); // NULL if absent
state *vl_nn_states_add(states *t, uint64_t key);  // there is room
void vl_nn_states_pack(states *t);                 // dominated ones go, the rest by time; resets the index
void vl_nn_states_reset(states *t);
void vl_nn_states_clear(states *t);

typedef struct live_list {
    uint32_t count, value[VL_NN_PLACE_LIVE];
} live_list;

typedef struct step { // the states before an operation, the cheapest first
    uint32_t count;
    state *state;
} step;

typedef struct search {
    vl_nn_heap *h;
    const vl_nn_plan *in;
    const vl_nn_refresh *refresh;
    const vl_nn_pricing *pricing;
    bool *scaled;              // by value: its scale can be chosen
    uint32_t *made, *last_use; // by value: 1 + operation; made 0: the input
    live_list before, after;   // around the operation at hand
    double price[VL_NN_PLACE_LEVELS];
    vl_nn_gate *gate; // by level of x, if it is a relu
    step *step;       // by operation, and the end
    states next;
    bool cut;
} search;

const vl_nn_refresh *vl_nn_inside(const search *s, uint32_t x); // what can be done inside a relu of x
velum_status vl_nn_place_emit(search *s, vl_nn_plan *out);

#endif
