// SPDX-License-Identifier: Apache-2.0
#include "rlwe/limb.h"

#include "rlwe/bases.h"

#include <assert.h>

static const uint64_t *limb_at(const vl_params *p, vl_poly a, uint32_t nq, uint32_t i) {
    return a.x + (size_t)(i < nq ? i : a.nq + (i - nq)) * p->ring.n;
}

void vl_rlwe_limb_dot_key(const vl_params *p, const uint64_t *const *digit, uint32_t digits, const vl_switch_key *key,
                          uint32_t nq, uint32_t i, uint64_t *u0, uint64_t *u1) {
    const uint64_t *b[VL_MAX_LIMBS], *a[VL_MAX_LIMBS];
    const vl_modulus *m = vl_rlwe_limb_modulus(p, nq, i);
    assert(key->nq >= nq && key->digits >= digits);
    for (uint32_t j = 0; j < digits; j++) {
        b[j] = limb_at(p, key->b[j], nq, i);
        a[j] = limb_at(p, key->a[j], nq, i);
    }
    m->k->dot2(m, u0, u1, digit, b, a, digits, p->ring.n);
}

void vl_rlwe_limb_apply_key(const vl_params *p, const vl_digits *d, const vl_switch_key *key, uint32_t i, uint64_t *u0,
                            uint64_t *u1) {
    vl_rlwe_limb_apply_key_part(p, d, key, i, 0, p->ring.n, u0, u1);
}

void vl_rlwe_limb_add_lifted(const vl_params *p, uint32_t i, uint64_t *s, const uint64_t *c) {
    vl_rlwe_limb_add_lifted_part(p, i, s, c, p->ring.n);
}

void vl_rlwe_limb_lift(const vl_params *p, uint32_t i, uint64_t *d, const uint64_t *c) {
    vl_rlwe_limb_lift_part(p, i, d, c, p->ring.n);
}

void vl_rlwe_limb_apply_key_part(const vl_params *p, const vl_digits *d, const vl_switch_key *key, uint32_t i,
                                 size_t begin, size_t n, uint64_t *u0, uint64_t *u1) {
    const uint64_t *x[VL_MAX_LIMBS], *b[VL_MAX_LIMBS], *a[VL_MAX_LIMBS];
    const vl_modulus *m = vl_rlwe_limb_modulus(p, d->nq, i);
    assert(key->nq >= d->nq && key->digits >= d->count);
    for (uint32_t j = 0; j < d->count; j++) {
        x[j] = limb_at(p, d->d[j], d->nq, i) + begin;
        b[j] = limb_at(p, key->b[j], d->nq, i) + begin;
        a[j] = limb_at(p, key->a[j], d->nq, i) + begin;
    }
    m->k->dot2(m, u0, u1, x, b, a, d->count, n);
}

void vl_rlwe_limb_add_lifted_part(const vl_params *p, uint32_t i, uint64_t *s, const uint64_t *c, size_t n) {
    const vl_modulus *m = &p->ring.mod[i];
    m->k->mul_scalar_add(m, s, c, p->bases->p_mod[i], n);
}

void vl_rlwe_limb_lift_part(const vl_params *p, uint32_t i, uint64_t *d, const uint64_t *c, size_t n) {
    const vl_modulus *m = &p->ring.mod[i];
    m->k->mul_scalar(m, d, c, p->bases->p_mod[i], n);
}
