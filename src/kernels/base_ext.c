// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "kernels/internal.h"

#include <string.h>

velum_status vl_base_ext_init(vl_base_ext *e, const vl_modulus *const *from, uint32_t sources,
                              const vl_modulus *const *to, uint32_t targets) {
    VL_FAIL_IF(sources == 0 || sources > VL_BASE_MAX || targets == 0 || targets > VL_BASE_MAX, VELUM_E_LIMIT,
               "a base extension from %u to %u primes", sources, targets);
    for (uint32_t i = 0; i < sources; i++)
        VL_FAIL_IF(from[i]->bits < 28, VELUM_E_LIMIT, "a base extension from a prime of %u bits", from[i]->bits);
    uint64_t *words = vl_alloc_array((size_t)targets * (sources + 1), sizeof *words);
    VL_FAIL_IF(words == NULL, VELUM_E_NOMEM, "no memory for a base extension's constants");
    memset(e, 0, sizeof *e);
    e->sources = sources;
    e->targets = targets;
    e->hat = words;
    e->q_mod = words + (size_t)targets * sources;
    uint64_t q[VL_BASE_MAX];
    for (uint32_t i = 0; i < sources; i++) q[i] = from[i]->q;
    for (uint32_t i = 0; i < sources; i++) {
        e->from[i] = from[i];
        // The top 32 bits of y, times 2^58 / q rounded down: a sum that never passes 2^64 for 64 sources.
        e->shift[i] = from[i]->bits > 32 ? from[i]->bits - 32 : 0;
        e->ratio[i] = (uint32_t)(((unsigned __int128)1 << (58 + e->shift[i])) / q[i]);
        e->hat_inv[i] = vl_arith_inv(vl_arith_product_mod(q, sources, i, q[i]), q[i]);
    }
    for (uint32_t j = 0; j < targets; j++) {
        e->to[j] = to[j];
        e->q_mod[j] = vl_arith_product_mod(q, sources, sources, to[j]->q);
        for (uint32_t i = 0; i < sources; i++) e->hat[j * sources + i] = vl_arith_product_mod(q, sources, i, to[j]->q);
    }
    return VELUM_OK;
}

void vl_base_ext_clear(vl_base_ext *e) {
    if (e == NULL) return;
    vl_free(e->hat);
    memset(e, 0, sizeof *e);
}
