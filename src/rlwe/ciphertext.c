// SPDX-License-Identifier: Apache-2.0
#include "rlwe/rlwe.h"

#include <assert.h>

static vl_ciphertext lay_out(const vl_params *p, uint64_t *words, uint16_t level, uint8_t degree) {
    vl_ciphertext ct = {.degree = degree, .level = level, .capacity = level};
    for (uint32_t i = 0; i <= degree; i++) ct.c[i] = (vl_poly){words + (size_t)i * level * p->ring.n, level, 0};
    return ct;
}

static velum_status allocate(const vl_params *p, uint16_t level, uint8_t degree, void *(*take)(size_t),
                             vl_ciphertext *out) {
    assert(level >= 1 && level <= p->ring.q_count && (degree == 1 || degree == 2));
    uint64_t *words = take((degree + 1) * vl_poly_bytes(&p->ring, level, 0));
    VL_FAIL_IF(!words, VELUM_E_NOMEM, "no memory for a ciphertext of %u limbs", level);
    *out = lay_out(p, words, level, degree);
    out->block = words;
    return VELUM_OK;
}

velum_status vl_ciphertext_new(const vl_params *p, uint16_t level, uint8_t degree, vl_ciphertext *out) {
    return allocate(p, level, degree, vl_alloc, out);
}

velum_status vl_ciphertext_new_raw(const vl_params *p, uint16_t level, uint8_t degree, vl_ciphertext *out) {
    return allocate(p, level, degree, vl_alloc_raw, out);
}

void vl_ciphertext_free(vl_ciphertext *ct) {
    if (!ct) return;
    vl_free(ct->block);
    *ct = (vl_ciphertext){0};
}

vl_ciphertext vl_ciphertext_take(const vl_params *p, vl_arena *arena, uint16_t level, uint8_t degree) {
    assert(level >= 1 && level <= p->ring.q_count && (degree == 1 || degree == 2));
    return lay_out(p, vl_arena_take(arena, (degree + 1) * vl_poly_bytes(&p->ring, level, 0)), level, degree);
}

static void set_level(vl_ciphertext *ct, uint16_t level) {
    ct->level = level;
    for (uint32_t i = 0; i < 3; i++)
        if (ct->c[i].x) ct->c[i].nq = level;
}

void vl_ciphertext_copy(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a) {
    if (d == a) return;
    assert(d->capacity >= a->level && d->c[a->degree].x);
    set_level(d, a->level);
    for (uint32_t i = 0; i <= a->degree; i++) vl_ring_copy(x, &p->ring, d->c[i], a->c[i]);
    d->degree = a->degree;
    d->scale = a->scale;
}

void vl_ciphertext_drop(vl_ciphertext *ct, uint16_t level) {
    assert(level >= 1 && level <= ct->level);
    set_level(ct, level);
}
