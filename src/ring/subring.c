// SPDX-License-Identifier: Apache-2.0
#include "ring/subring.h"

#include "arith/arith.h"

#include <assert.h>

// The small transform has a root of its own: psi^gap = own^t for an odd t.
static uint32_t root_power(const vl_modulus *small, uint64_t root) {
    uint64_t square = vl_arith_mul(small->psi, small->psi, small->q), power = small->psi;
    uint32_t t = 1;
    for (; power != root; t += 2) power = vl_arith_mul(power, square, small->q);
    return t;
}

// `big`: exponents of the ring's order; `where`: position by exponent (halved) of the small order.
static void find_places(const vl_subring *s, const vl_modulus *small, const vl_modulus *mod, const uint32_t *big,
                        const uint32_t *where, uint32_t *place) {
    uint32_t t = root_power(small, vl_arith_pow(mod->psi, s->gap, mod->q)), mask = 2 * s->words - 1;
    for (uint32_t j = 0; j < s->words; j++) place[j] = where[(t * big[(size_t)j * s->gap] & mask) >> 1];
}

static velum_status fill(const vl_ring *ring, vl_subring *s) {
    s->mod = vl_alloc_array(s->count, sizeof *s->mod);
    s->place = vl_alloc_array((size_t)s->count * s->words, sizeof *s->place);
    uint32_t *big = vl_alloc_array((size_t)ring->n + 2 * s->words, sizeof *big), *small = big + ring->n,
             *where = small + s->words;
    velum_status status =
        s->mod && s->place && big ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "no memory for the constants of a subring");
    unsigned log_words = (unsigned)__builtin_ctz(s->words);
    if (status == VELUM_OK) {
        vl_kernels_exponents(ring->log_n, big);
        vl_kernels_exponents(log_words, small);
        for (uint32_t j = 0; j < s->words; j++) where[small[j] >> 1] = j;
    }
    for (uint32_t i = 0; i < s->count && status == VELUM_OK; i++) {
        status = vl_modulus_init(&s->mod[i], ring->mod[i].q, log_words, ring->kernels);
        if (status == VELUM_OK) find_places(s, &s->mod[i], &ring->mod[i], big, where, s->place + (size_t)i * s->words);
    }
    vl_free(big);
    return status;
}

velum_status vl_subring_init(const vl_ring *ring, uint32_t period, vl_subring *out) {
    assert(period >= VL_SUBRING_MIN_PERIOD && period <= ring->n / 32 && (period & (period - 1)) == 0);
    vl_subring s = {.period = period, .words = 2 * period, .gap = ring->n / (2 * period)};
    s.count = ring->q_count + ring->p_count;
    velum_status status = fill(ring, &s);
    if (status != VELUM_OK) {
        vl_subring_clear(&s);
        return status;
    }
    *out = s;
    return VELUM_OK;
}

void vl_subring_clear(vl_subring *s) {
    for (uint32_t i = 0; s->mod && i < s->count; i++) vl_modulus_clear(&s->mod[i]);
    vl_free(s->mod);
    vl_free(s->place);
    *s = (vl_subring){0};
}

uint64_t vl_subring_bytes(const vl_ring *ring, uint32_t period) {
    const uint64_t tables = 8; // words of twiddles a coefficient, at most
    return (ring->q_count + ring->p_count) *
           (sizeof(vl_modulus) + 2 * (uint64_t)period * (sizeof(uint32_t) + tables * sizeof(uint64_t)));
}

void vl_subring_values(const vl_subring *s, uint32_t i, const int64_t *c, uint64_t *t, uint64_t *value) {
    const vl_modulus *m = &s->mod[i];
    const uint32_t *place = s->place + (size_t)i * s->words;
    m->k->from_i64(m, t, c, s->words);
    m->k->ntt_forward(m, t, t);
    for (uint32_t j = 0; j < s->words; j++) value[j] = t[place[j]];
}
