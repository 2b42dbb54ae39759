// SPDX-License-Identifier: Apache-2.0
#include "circuits/dft_sums.h"

#include "circuits/diag.h"
#include "rlwe/limb.h"

#include <string.h>

#define BLOCK VL_DFT_BLOCK
#define STAGGER VL_DFT_STAGGER
#define GROUP VL_DFT_GROUP
#define SCALAR 32u // coefficients: diagonals that are constant on so many are multiplied as scalars

// The block of giant g's sums, out of at most GROUP diagonals: cells[k] times the blocks b0[k], b1[k].
static void dot(const vl_dft_block *j, const uint32_t *cells, uint32_t count, const uint64_t *const *b0,
                const uint64_t *const *b1, uint64_t *d0, uint64_t *d1, uint64_t *expanded) {
    const vl_ring *ring = &j->p->ring;
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, j->i);
    const uint64_t *a[GROUP];
    for (uint32_t k = 0; k < count; k++) {
        vl_diag d = {.x = j->map->x[cells[k]], .words = ring->n / j->map->run[cells[k]]};
        a[k] = expanded + (size_t)k * BLOCK;
        if (d.words == ring->n)
            a[k] = d.x + (size_t)j->i * d.words + j->begin;
        else
            vl_diag_expand(ring, d, j->i, j->begin, j->block, expanded + (size_t)k * BLOCK);
    }
    m->k->dot2(m, d0, d1, a, b0, b1, count, j->block);
}

// The same where every diagonal is constant on runs of `run` coefficients.
static void dot_runs(const vl_dft_block *j, const uint32_t *cells, uint32_t count, uint32_t run,
                     const uint64_t *const *b0, const uint64_t *const *b1, uint64_t *d0, uint64_t *d1) {
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, j->i);
    size_t words = j->p->ring.n / run, length = run < j->block ? run : j->block;
    for (size_t at = 0; at < j->block; at += length) {
        const uint64_t *x0[GROUP], *x1[GROUP];
        uint64_t s[GROUP];
        for (uint32_t k = 0; k < count; k++) {
            s[k] = j->map->x[cells[k]][j->i * words + (j->begin + at) / run];
            x0[k] = b0[k] + at;
            x1[k] = b1[k] + at;
        }
        uint64_t *to[2] = {d0 + at, d1 + at};
        m->k->mix(m, &to[0], 1, x0, count, s, length);
        m->k->mix(m, &to[1], 1, x1, count, s, length);
    }
}

void vl_dft_sum_giant(const vl_dft_block *j, uint32_t g, const uint64_t *babies, uint64_t *d0, uint64_t *d1,
                      uint64_t *t) {
    const vl_modulus *m = vl_rlwe_limb_modulus(j->p, j->nq, j->i);
    uint32_t count = 0, cells[GROUP], run = 1;
    const uint64_t *b0[GROUP], *b1[GROUP];
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
            dot_runs(j, cells, count, run, b0, b1, begun ? t : d0, begun ? t1 : d1);
        else
            dot(j, cells, count, b0, b1, begun ? t : d0, begun ? t1 : d1, expanded);
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
