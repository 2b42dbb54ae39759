// SPDX-License-Identifier: Apache-2.0
// A matrix of integers times polynomials: pieces of limbs are shared between threads, each with the matrix's residues
// of some rows.
#include "arith/arith.h"
#include "ring/ring.h"

#include <assert.h>

#define PIECE 16384u // coefficients that are worth residues of their own
#define GROUP 64u    // rows a kernel makes of one reading of the limbs
#define RESIDUES ((size_t)1 << 17)

typedef struct mix_job {
    const vl_ring *ring;
    const vl_poly *d, *a;
    const int64_t *s;
    uint32_t rows, count, group, pieces;
    uint64_t *scratch;
    size_t slot_words;
} mix_job;

// Rows whose residues a thread holds at a time.
static uint32_t group_of(uint32_t rows, uint32_t count) {
    size_t group = RESIDUES / count;
    if (group > GROUP) group = GROUP;
    return group > rows ? rows : group > 0 ? (uint32_t)group : 1;
}

// Residues, and where the limbs are.
static size_t slot_bytes(uint32_t rows, uint32_t count) {
    return vl_arena_need(((size_t)group_of(rows, count) * count + GROUP + count) * sizeof(uint64_t));
}

static uint64_t *piece_of(const mix_job *j, vl_poly a, uint32_t limb, size_t at) {
    const uint32_t nq = j->d[0].nq;
    return vl_poly_limb(j->ring, a, limb < nq ? limb : a.nq + (limb - nq)) + at;
}

static void mix_piece(void *arg, size_t item, uint32_t slot) {
    const mix_job *j = arg;
    const uint32_t limb = (uint32_t)(item / j->pieces);
    const size_t n = j->ring->n / j->pieces, at = item % j->pieces * n;
    const vl_modulus *m = vl_poly_modulus(j->ring, j->d[0], limb);
    uint64_t *residues = j->scratch + slot * j->slot_words;
    uint64_t **d = (uint64_t **)(residues + (size_t)j->group * j->count);
    const uint64_t **a = (const uint64_t **)(d + GROUP);
    for (uint32_t k = 0; k < j->count; k++) a[k] = piece_of(j, j->a[k], limb, at);
    for (uint32_t row = 0; row < j->rows; row += j->group) {
        const uint32_t rows = j->rows - row < j->group ? j->rows - row : j->group;
        const int64_t *s = j->s + (size_t)row * j->count;
        for (size_t k = 0; k < (size_t)rows * j->count; k++) residues[k] = vl_arith_from_i64(s[k], m->q);
        for (uint32_t r = 0; r < rows; r++) d[r] = piece_of(j, j->d[row + r], limb, at);
        m->k->mix(m, d, rows, a, j->count, residues, n);
    }
}

void vl_ring_mix_i64(vl_exec *x, const vl_ring *ring, const vl_poly *d, uint32_t rows, const vl_poly *a,
                     const int64_t *s, uint32_t count) {
    assert(rows > 0 && count > 0 && count <= 65536);
    for (uint32_t r = 0; r < rows; r++) assert(d[r].nq == d[0].nq && d[r].np == d[0].np);
    for (uint32_t k = 0; k < count; k++) assert(a[k].nq >= d[0].nq && a[k].np >= d[0].np);
    mix_job job = {ring, d, a, s, rows, count, group_of(rows, count), ring->n > PIECE ? ring->n / PIECE : 1, NULL, 0};
    const size_t bytes = slot_bytes(rows, count), items = ((size_t)d[0].nq + d[0].np) * job.pieces;
    const uint32_t slots = vl_exec_slots(x, items, bytes);
    const size_t mark = vl_arena_mark(&x->arena);
    job.scratch = vl_arena_take(&x->arena, slots * bytes);
    job.slot_words = bytes / sizeof(uint64_t);
    vl_exec_each(x, slots, items, mix_piece, &job);
    vl_arena_release(&x->arena, mark);
}

size_t vl_ring_mix_scratch(uint32_t rows, uint32_t count) { return vl_cpu_count() * slot_bytes(rows, count); }
