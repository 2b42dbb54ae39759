// SPDX-License-Identifier: Apache-2.0
#include "circuits/minimax.h"

#include <assert.h>
#include <string.h>

const vl_minimax *vl_minimax_find(const char *degrees, uint32_t alpha) {
    const vl_minimax *best = NULL;
    for (uint32_t i = 0; i < vl_minimax_tables_count; i++) {
        const vl_minimax *m = &vl_minimax_tables[i];
        if (strcmp(m->name, degrees) == 0 && m->alpha >= alpha && (!best || m->alpha < best->alpha)) best = m;
    }
    return best;
}

void vl_minimax_polynomial(const vl_minimax *m, uint32_t i, double factor, double constant, double *c,
                           vl_polynomial *f) {
    assert(i < m->count && m->stage[i].degree <= VL_MINIMAX_MAX_DEGREE);
    uint32_t degree = m->stage[i].degree;
    memset(c, 0, (degree + 1) * sizeof *c);
    for (uint32_t k = 1; k <= degree; k += 2) c[k] = factor * m->stage[i].odd[k / 2];
    c[0] = constant;
    *f = (vl_polynomial){.basis = VL_CHEBYSHEV, .degree = degree, .lo = -1, .hi = 1, .c = c};
}

double vl_minimax_eval(const vl_minimax *m, double x) {
    double c[VL_MINIMAX_MAX_DEGREE + 1];
    vl_polynomial f;
    for (uint32_t i = 0; i < m->count; i++) {
        vl_minimax_polynomial(m, i, 1, 0, c, &f);
        x = vl_polynomial_eval(&f, x);
    }
    return x;
}

uint32_t vl_minimax_levels(const vl_minimax *m, uint32_t first, uint32_t count) {
    assert(first + count <= m->count);
    uint32_t levels = 0;
    for (uint32_t i = first; i < first + count; i++) levels += 32 - (uint32_t)__builtin_clz(m->stage[i].degree);
    return levels;
}
