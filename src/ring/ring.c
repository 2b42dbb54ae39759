// SPDX-License-Identifier: Apache-2.0
#include "ring/ring.h"

#include "arith/arith.h"

#include <assert.h>
#include <string.h>

static velum_status init_moduli(vl_ring *ring, const uint64_t *q, const uint64_t *p) {
    for (uint32_t i = 0; i < ring->q_count + ring->p_count; i++) {
        uint64_t prime = i < ring->q_count ? q[i] : p[i - ring->q_count];
        VL_TRY(vl_modulus_init(&ring->mod[i], prime, ring->log_n, ring->kernels));
    }
    uint32_t count = ring->q_count;
    ring->inv = vl_alloc_array((size_t)count * count, sizeof *ring->inv);
    VL_FAIL_IF(!ring->inv, VELUM_E_NOMEM, "no memory for a ring's constants");
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++) ring->inv[i * count + j] = vl_arith_inv(q[i] % q[j], q[j]);
    return VELUM_OK;
}

velum_status vl_ring_init(vl_ring *ring, unsigned log_n, const uint64_t *q, uint32_t q_count, const uint64_t *p,
                          uint32_t p_count, const vl_kernels *kernels) {
    VL_FAIL_IF(log_n < VL_MIN_LOG_N || log_n > VL_MAX_LOG_N, VELUM_E_FORMAT, "ring degree 2^%u: must be 2^%d to 2^%d",
               log_n, VL_MIN_LOG_N, VL_MAX_LOG_N);
    VL_FAIL_IF(q_count == 0 || q_count > VL_MAX_LIMBS || p_count > VL_MAX_LIMBS - q_count, VELUM_E_LIMIT,
               "a ring of %u + %u primes: at least 1 + 0, at most %d", q_count, p_count, VL_MAX_LIMBS);
    if (!kernels) kernels = vl_kernels_find(NULL);
    VL_FAIL_IF(!kernels, VELUM_E_USAGE, "the kernel family that the environment asks for is not available");
    memset(ring, 0, sizeof *ring);
    ring->log_n = log_n;
    ring->n = 1u << log_n;
    ring->q_count = q_count;
    ring->p_count = p_count;
    ring->kernels = kernels;
    velum_status status = init_moduli(ring, q, p);
    if (status != VELUM_OK) vl_ring_clear(ring);
    return status;
}

void vl_ring_clear(vl_ring *ring) {
    for (uint32_t i = 0; i < VL_MAX_LIMBS; i++)
        if (ring->mod[i].q) vl_modulus_clear(&ring->mod[i]);
    vl_free(ring->inv);
    memset(ring, 0, sizeof *ring);
}

velum_status vl_poly_new(const vl_ring *ring, uint32_t nq, uint32_t np, vl_poly *out) {
    assert(nq <= ring->q_count && (np == 0 || np == ring->p_count));
    uint64_t *words = vl_alloc(vl_poly_bytes(ring, nq, np));
    VL_FAIL_IF(!words, VELUM_E_NOMEM, "no memory for a polynomial of %u limbs", nq + np);
    *out = (vl_poly){words, (uint16_t)nq, (uint16_t)np};
    return VELUM_OK;
}

void vl_poly_free(vl_poly *a) {
    vl_free(a->x);
    *a = (vl_poly){0};
}

vl_poly vl_poly_take(const vl_ring *ring, vl_arena *arena, uint32_t nq, uint32_t np) {
    assert(nq <= ring->q_count && (np == 0 || np == ring->p_count));
    return (vl_poly){vl_arena_take(arena, vl_poly_bytes(ring, nq, np)), (uint16_t)nq, (uint16_t)np};
}
