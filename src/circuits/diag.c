// SPDX-License-Identifier: Apache-2.0
#include "circuits/diag.h"

#include <assert.h>
#include <string.h>

uint32_t vl_diag_words(const vl_ring *ring, uint32_t period) {
    assert(period > 0 && period <= ring->n / 2);
    return 2 * period < ring->n ? 2 * period : ring->n;
}

uint32_t vl_diag_period(const double complex *v, uint32_t count) {
    bool any = false;
    for (uint32_t i = 0; i < count && !any; i++) any = v[i] != 0;
    if (!any) return 0;
    while (count > 1 && memcmp(v, v + count / 2, count / 2 * sizeof *v) == 0) count /= 2;
    return count;
}

uint64_t vl_diag_bytes(const vl_ring *ring, uint32_t words, uint32_t nq, uint32_t np) {
    uint64_t count = words ? (uint64_t)words * (nq + np) : ring->n;
    return vl_arena_need(count * sizeof(uint64_t));
}

uint64_t vl_diag_coefficient_bytes(const vl_ring *ring, uint32_t period) {
    return vl_arena_need((uint64_t)vl_diag_words(ring, period) * sizeof(int64_t));
}

void vl_diag_residues(const vl_ring *ring, const vl_modulus *q, vl_diag d, uint64_t *t) {
    const uint32_t gap = d.gap ? d.gap : 1, count = ring->n / gap;
    q->k->from_i64(q, t, (const int64_t *)d.x, count);
    for (uint32_t k = count; gap > 1 && k-- > 0;) { // to their places, the last first
        uint64_t one = t[k];
        memset(t + (size_t)k * gap, 0, gap * sizeof *t);
        t[(size_t)k * gap] = one;
    }
}

// Where the distinct word w of a limb is first met.
static size_t place_of(uint32_t w, uint32_t gap) {
    return gap >= 16 ? (size_t)w * gap : (size_t)w / (16 / gap) * 16 + w % (16 / gap) * (gap / 2);
}

velum_status vl_diag_encode(vl_exec *x, const vl_encoder *e, const double *v, const double complex *z, uint32_t period,
                            double scale, uint32_t nq, uint32_t np, vl_diag d) {
    const vl_ring *ring = &vl_encoder_params(e)->ring;
    if (d.words == 0 && d.gap <= 1) return vl_encode_coefficients(x, e, v, z, period, scale, nq, np, (int64_t *)d.x);
    vl_poly m = {d.x, (uint16_t)nq, (uint16_t)np};
    size_t mark = vl_arena_mark(&x->arena);
    if (d.words == 0) {
        int64_t *c = vl_arena_take(&x->arena, ring->n * sizeof *c);
        velum_status status = vl_encode_coefficients(x, e, v, z, period, scale, nq, np, c);
        for (uint32_t k = 0; status == VELUM_OK && k < ring->n / d.gap; k++) ((int64_t *)d.x)[k] = c[(size_t)k * d.gap];
        vl_arena_release(&x->arena, mark);
        return status;
    }
    if (d.words < ring->n) m = vl_poly_take(ring, &x->arena, nq, np);
    velum_status status = v ? vl_encode_real(x, e, v, period, scale, m) : vl_encode_complex(x, e, z, period, scale, m);
    if (status == VELUM_OK && d.words < ring->n) {
        uint32_t gap = ring->n / d.words;
        for (uint32_t i = 0; i < nq + np; i++)
            for (uint32_t w = 0; w < d.words; w++)
                d.x[(size_t)i * d.words + w] = vl_poly_limb(ring, m, i)[place_of(w, gap)];
    }
    vl_arena_release(&x->arena, mark);
    return status;
}

size_t vl_diag_encode_scratch(const vl_params *p, uint32_t nq, uint32_t np) {
    return vl_arena_need(vl_poly_bytes(&p->ring, nq, np)) + vl_encoder_scratch(p, nq, np);
}

// Gaps within a block of 16: see diag.h.
static inline __attribute__((always_inline)) void expand_blocks(const uint64_t *w, size_t n, uint32_t gap,
                                                                uint64_t *restrict out) {
    for (size_t k = 0; k < n; k += 16, w += 16 / gap)
        for (uint32_t t = 0; t < 16 / gap; t++)
            for (uint32_t u = 0; u < gap / 2; u++) out[k + t * (gap / 2) + u] = out[k + 8 + t * (gap / 2) + u] = w[t];
}

void vl_diag_expand(const vl_ring *ring, vl_diag d, uint32_t i, size_t begin, size_t n, uint64_t *out) {
    const uint64_t *w = d.x + (size_t)i * d.words;
    const uint32_t gap = ring->n / d.words;
    assert(begin % 16 == 0 && n % 16 == 0);
    if (gap == 1) {
        memcpy(out, w + begin, n * sizeof *out);
        return;
    }
    if (gap >= 16) {
        for (size_t k = 0; k < n; k += 16) {
            uint64_t one = w[(begin + k) / gap];
            for (size_t t = 0; t < 16; t++) out[k + t] = one;
        }
        return;
    }
    w += begin / gap;
    switch (gap) { // constants, so that these become permutations of a vector
    case 2: expand_blocks(w, n, 2, out); break;
    case 4: expand_blocks(w, n, 4, out); break;
    default: expand_blocks(w, n, 8, out); break;
    }
}
