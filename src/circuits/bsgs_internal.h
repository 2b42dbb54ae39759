// SPDX-License-Identifier: Apache-2.0
// What the two halves of the engine share: bsgs_products.c (babies and sums of products) and bsgs.c (giants).
#ifndef VELUM_CIRCUITS_BSGS_INTERNAL_H
#define VELUM_CIRCUITS_BSGS_INTERNAL_H

#include "circuits/bsgs.h"
#include "rlwe/limb.h"

#include <assert.h>

#define BSGS_CHUNK VL_BSGS_CHUNK
#define BSGS_STAGGER 40u // words between limbs of scratch, so that they do not all start in the same cache set
#define BSGS_BLOCK 2048u // coefficients: 16 babies of one block are 512 KiB
#define BSGS_EXPAND 256u // the same where periodic diagonals are expanded
#define BSGS_MADE 4u     // diagonals kept as coefficients that are transformed together

typedef struct bsgs_pair { // the two polynomials of a ciphertext
    vl_poly c[2];
} bsgs_pair;

typedef struct bsgs_run {
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
    bsgs_pair *kept;          // their sums of products, giant r's at r - first
    const vl_switch_key *key; // of the giant that turns
    bsgs_pair *sum;
    bool any; // sum holds something
    uint64_t *scratch;
    size_t slot_words;
} bsgs_run;

static inline uint32_t bsgs_rows_of(const vl_bsgs_shape *s) { return s->outs * s->giants; }
static inline uint32_t bsgs_columns_of(const vl_bsgs_shape *s) { return s->inputs * s->babies; }
static inline size_t bsgs_stride_of(const vl_ring *ring) { return ring->n + BSGS_STAGGER; }
static inline size_t bsgs_chunk_of(const vl_bsgs_shape *s) {
    return bsgs_columns_of(s) < BSGS_CHUNK ? bsgs_columns_of(s) : BSGS_CHUNK;
}

// A slot's scratch: two limbs, the babies', limbs of diagonals, two blocks, expanded blocks, a byte a giant.
static inline size_t bsgs_slot_words(const vl_ring *ring, const vl_bsgs_shape *s) {
    return (2 + 2 * bsgs_chunk_of(s) + BSGS_MADE) * bsgs_stride_of(ring) + 2 * BSGS_BLOCK + BSGS_CHUNK * BSGS_EXPAND +
           (bsgs_rows_of(s) + 63) / 64 * 8;
}

static inline vl_diag bsgs_diag_at(const bsgs_run *s, uint32_t r, uint32_t b) {
    return s->m->diag[(size_t)r * bsgs_columns_of(&s->m->shape) + b];
}

static inline const vl_switch_key *bsgs_key_for(const bsgs_run *s, int32_t k) {
    const vl_switch_key *key = vl_eval_keys_find(s->keys, vl_params_galois(s->p, k));
    assert(key && key->nq >= s->m->level);
    return key;
}

static inline bool bsgs_baby_used(const bsgs_run *s, uint32_t b) {
    for (uint32_t r = s->first; r < s->last; r++)
        if (bsgs_diag_at(s, r, b).x) return true;
    return false;
}

static inline bool bsgs_giant_used(const bsgs_run *s, uint32_t r) {
    for (uint32_t b = 0; b < bsgs_columns_of(&s->m->shape); b++)
        if (bsgs_diag_at(s, r, b).x) return true;
    return false;
}

// The sums of products of giants [first, last), from all inputs' digits: kept[r - first].
void vl_bsgs_make_products(bsgs_run *s, uint32_t first, uint32_t last, bsgs_pair *kept);
// The shape of blocks that suits the diagonals.
void vl_bsgs_choose_block(bsgs_run *s);

#endif
