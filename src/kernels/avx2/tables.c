// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "kernels/avx2/avx2.h"

velum_status vl_avx2_tables_new(vl_modulus *m) {
    uint32_t n = (uint32_t)1 << m->log_n;
    vl_avx2_tables *t = vl_alloc(sizeof *t);
    double *w = vl_alloc_array((size_t)n / 4 * 5, sizeof *w);
    if (t == NULL || w == NULL) {
        vl_free(t);
        vl_free(w);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for the tables of an NTT of degree %u", n);
    }
    *t = (vl_avx2_tables){w, w + n / 2};
    uint64_t power = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = vl_arith_bitrev(i, m->log_n);
        const double centred = power > m->q / 2 ? -(double)(m->q - power) : (double)power;
        if (at < n / 4) {
            double *slot = t->w + (size_t)at / 4 * 8 + at % 4;
            slot[0] = centred;
            slot[4] = centred / m->qd;
        } else {
            t->last[at - n / 4] = centred;
        }
        power = vl_arith_mul(power, m->psi, m->q);
    }
    m->tables = t;
    return VELUM_OK;
}

void vl_avx2_tables_free(vl_modulus *m) {
    vl_avx2_tables *t = m->tables;
    if (t == NULL) return;
    vl_free(t->w);
    vl_free(t);
    m->tables = NULL;
}
