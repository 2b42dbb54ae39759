// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "kernels/ifma/ifma.h"
#include "kernels/ref/ref.h"

// Without reductions the forward NTT's values stay below (4 log_n + 1) q and the inverse's below 64 q: both must fit 52
// bits. True below 2^45.8 at every degree.
static bool is_small(const vl_modulus *m) {
    uint64_t bound = ((uint64_t)1 << 52) / m->q;
    return bound >= 64 && bound >= 4 * m->log_n + 1;
}

velum_status vl_ifma_tables_new(vl_modulus *m) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) return vl_ref_tables_new(m);
    uint32_t n = (uint32_t)1 << m->log_n;
    vl_ifma_tables *t = vl_alloc(sizeof *t);
    uint64_t *w = vl_alloc_array(2 * (size_t)n, sizeof *w);
    if (t == NULL || w == NULL) {
        vl_free(t);
        vl_free(w);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for the tables of an NTT of degree %u", n);
    }
    *t = (vl_ifma_tables){w, is_small(m)};
    uint64_t power = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = vl_arith_bitrev(i, m->log_n);
        uint64_t *slot = w + (size_t)at / 8 * 16 + at % 8;
        slot[0] = power;
        slot[8] = vl_arith_shoup52(power, m->q);
        power = vl_arith_mul(power, m->psi, m->q);
    }
    m->tables = t;
    return VELUM_OK;
}

void vl_ifma_tables_free(vl_modulus *m) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) {
        vl_ref_tables_free(m);
        return;
    }
    vl_ifma_tables *t = m->tables;
    if (t == NULL) return;
    vl_free(t->w);
    vl_free(t);
    m->tables = NULL;
}
