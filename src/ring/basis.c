// SPDX-License-Identifier: Apache-2.0
// Rescale: d = round(a / q_l). The last limb is taken out of the NTT domain once; each other limb subtracts its centred
// representative, transformed, and multiplies by q_l^-1.
#include "ring/ring.h"

#include <assert.h>

typedef struct rescale_job {
    const vl_ring *ring;
    vl_poly d, a;
    uint32_t last;
    const uint64_t *top; // coefficients of the last limb
    uint64_t *scratch;   // a limb a slot
} rescale_job;

static void rescale_limb(void *arg, size_t item, uint32_t slot) {
    const rescale_job *j = arg;
    const vl_ring *ring = j->ring;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = &ring->mod[i];
    uint64_t *t = j->scratch + (size_t)slot * ring->n;
    m->k->lift_centered(m, t, j->top, ring->mod[j->last].q, ring->n);
    m->k->ntt_forward(m, t, t);
    m->k->sub_mul_scalar(m, vl_poly_limb(ring, j->d, i), vl_poly_limb(ring, j->a, i), t,
                         ring->inv[j->last * ring->q_count + i], ring->n);
}

void vl_ring_rescale(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    assert(a.nq >= 2 && a.np == 0 && d.np == 0 && d.nq == a.nq - 1);
    size_t mark = vl_arena_mark(&x->arena), limb = ring->n * sizeof(uint64_t);
    uint32_t last = a.nq - 1u;
    uint64_t *top = vl_arena_take(&x->arena, limb);
    const vl_modulus *m = &ring->mod[last];
    m->k->ntt_inverse(m, top, vl_poly_limb(ring, a, last), 1);
    uint32_t slots = vl_exec_slots(x, last, limb);
    uint64_t *scratch = vl_arena_take(&x->arena, slots * limb);
    rescale_job job = {ring, d, a, last, top, scratch};
    vl_exec_each(x, slots, last, rescale_limb, &job);
    vl_arena_release(&x->arena, mark);
}

size_t vl_ring_scratch(const vl_ring *ring, uint32_t nq, uint32_t np) {
    (void)nq; // rescaling needs one limb and one a thread, whatever the level
    (void)np;
    return vl_ring_scratch_threads(ring, vl_cpu_count());
}

size_t vl_ring_scratch_threads(const vl_ring *ring, uint32_t threads) {
    return (1 + (size_t)threads) * vl_arena_need(ring->n * sizeof(uint64_t));
}
