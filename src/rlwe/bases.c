// SPDX-License-Identifier: Apache-2.0
#include "rlwe/bases.h"

#include "arith/arith.h"

#include <assert.h>

static velum_status init_digit(const vl_params *p, uint32_t e, vl_base_ext *out) {
    const vl_ring *ring = &p->ring;
    uint32_t alpha = p->literal.digit_limbs, begin = e - e % alpha, end = e + 1, targets = 0;
    const vl_modulus *from[VL_MAX_LIMBS], *to[VL_MAX_LIMBS];
    for (uint32_t i = begin; i < end; i++) from[i - begin] = &ring->mod[i];
    for (uint32_t i = 0; i < begin; i++) to[targets++] = &ring->mod[i];
    if (end == vl_bases_digit_end(p, begin / alpha, ring->q_count))
        for (uint32_t i = end; i < ring->q_count; i++) to[targets++] = &ring->mod[i];
    for (uint32_t i = 0; i < ring->p_count; i++) to[targets++] = &ring->mod[ring->q_count + i];
    return vl_base_ext_init(out, from, end - begin, to, targets);
}

static velum_status init_special(const vl_params *p, vl_base_tables *t) {
    const vl_ring *ring = &p->ring;
    const vl_modulus *from[VL_MAX_LIMBS], *to[VL_MAX_LIMBS];
    for (uint32_t i = 0; i < ring->p_count; i++) from[i] = &ring->mod[ring->q_count + i];
    for (uint32_t i = 0; i < ring->q_count; i++) {
        to[i] = &ring->mod[i];
        t->p_mod[i] = vl_arith_product_mod(p->literal.p, ring->p_count, ring->p_count, to[i]->q);
        t->p_inv[i] = vl_arith_inv(t->p_mod[i], to[i]->q);
    }
    return vl_base_ext_init(&t->from_p, from, ring->p_count, to, ring->q_count);
}

static velum_status init_rescale(const vl_params *p, uint32_t e, vl_base_ext *out) {
    const vl_ring *ring = &p->ring;
    const vl_modulus *from[VL_MAX_LIMBS], *to[VL_MAX_LIMBS];
    from[0] = &ring->mod[e];
    for (uint32_t i = 0; i < ring->p_count; i++) from[i + 1] = &ring->mod[ring->q_count + i];
    for (uint32_t i = 0; i < e; i++) to[i] = &ring->mod[i];
    return vl_base_ext_init(out, from, ring->p_count + 1, to, e);
}

velum_status vl_bases_new(const vl_params *p, vl_base_tables **out) {
    vl_base_tables *t = vl_alloc(sizeof *t);
    VL_FAIL_IF(!t, VELUM_E_NOMEM, "no memory for the constants of key switching");
    velum_status status = init_special(p, t);
    for (uint32_t e = 0; e < p->ring.q_count && status == VELUM_OK; e++) status = init_digit(p, e, &t->from_q[e]);
    for (uint32_t e = 1; e < p->ring.q_count && status == VELUM_OK; e++) status = init_rescale(p, e, &t->from_qp[e]);
    if (status != VELUM_OK) {
        vl_bases_free(p, t);
        return status;
    }
    *out = t;
    return VELUM_OK;
}

void vl_bases_free(const vl_params *p, vl_base_tables *t) {
    if (!t) return;
    for (uint32_t e = 0; e < p->ring.q_count; e++) {
        vl_base_ext_clear(&t->from_q[e]);
        vl_base_ext_clear(&t->from_qp[e]);
    }
    vl_base_ext_clear(&t->from_p);
    vl_free(t);
}

uint64_t vl_bases_hat_inv(const vl_params *p, uint32_t i, uint32_t nq) {
    uint32_t alpha = p->literal.digit_limbs;
    return p->bases->from_q[vl_bases_digit_end(p, i / alpha, nq) - 1].hat_inv[i % alpha];
}

// The targets [first, first + count) of a table alone.
static void extend_some(const vl_base_ext *e, uint32_t first, uint32_t count, uint64_t *const *dst,
                        const uint64_t *const *y, size_t n) {
    if (count == 0) return;
    vl_base_ext some = *e;
    some.targets = count;
    some.hat = e->hat + (size_t)first * e->sources;
    some.q_mod = e->q_mod + first;
    for (uint32_t i = 0; i < count; i++) some.to[i] = e->to[first + i];
    some.to[0]->k->base_extend(&some, dst, y, 0, n);
}

void vl_bases_extend_digit(const vl_params *p, uint32_t j, uint32_t nq, uint32_t first, uint32_t last,
                           uint64_t *const *dst, const uint64_t *const *y) {
    uint32_t begin = j * p->literal.digit_limbs, end = vl_bases_digit_end(p, j, nq);
    const vl_base_ext *e = &p->bases->from_q[end - 1];
    if (first >= nq) {
        extend_some(e, e->targets - p->ring.p_count + (first - nq), last - first, dst, y + begin, p->ring.n);
        return;
    }
    assert(last <= nq);
    if (first < begin) extend_some(e, first, (last < begin ? last : begin) - first, dst, y + begin, p->ring.n);
    if (last > end) {
        uint32_t from = first > end ? first : end;
        extend_some(e, from - (end - begin), last - from, dst + (from - first), y + begin, p->ring.n);
    }
}

void vl_bases_extend(const vl_params *p, const vl_base_ext *e, uint32_t first, uint32_t last, uint64_t *const *dst,
                     const uint64_t *const *y) {
    extend_some(e, first, last - first, dst, y, p->ring.n);
}
