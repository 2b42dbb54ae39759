// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "kernels/ifma/ifma.h"
#include "kernels/ref/ref.h"

typedef struct shape {
    unsigned log_w, log_unit, log_units;
    size_t w, twist, stages; // bytes
} shape;

static shape shape_of(unsigned log_n) {
    shape s = {.log_w = log_n < 9 ? 3 : log_n - 6, .log_unit = log_n < 10 ? 0 : log_n == 10 || log_n == 13 ? 2 : 3};
    s.log_units = log_n - 6 - s.log_unit;
    s.w = (size_t)16 << s.log_w;
    s.twist = (size_t)256 << s.log_units;
    s.stages = sizeof(vl_ifma_stages) << s.log_unit;
    return s;
}

static void put(uint64_t *table, size_t t, uint64_t w, uint64_t q) {
    uint64_t *slot = table + t / 8 * 16 + t % 8;
    slot[0] = w;
    slot[8] = vl_arith_shoup52(w, q);
}

// Eight powers of rho in a row from the one at `t` on, which is 1.
static void put_powers(uint64_t *table, size_t t, uint64_t rho, uint64_t q) {
    uint64_t power = 1;
    for (size_t i = 0; i < 8; i++, power = vl_arith_mul(power, rho, q)) put(table, t + i, power, q);
}

// A stage has 2^log_groups groups in a unit, numbered from the end for the inverse.
static uint64_t unit_twiddle(const vl_modulus *m, unsigned log_groups, uint32_t group, bool inverse) {
    if (inverse) group = (1u << log_groups) - 1 - group;
    return vl_arith_pow(m->psi, (uint64_t)vl_arith_bitrev(group, log_groups) << (m->log_n - log_groups), m->q);
}

static void make_stages(const vl_modulus *m, vl_ifma_stages *stages, unsigned log_unit, bool inverse) {
    for (uint32_t place = 0; place < 1u << log_unit; place++) {
        vl_ifma_stages *to = stages + place;
        for (unsigned s = 0; s < 3; s++)
            for (uint32_t g = 0; g < 1u << s; g++)
                put(to->splat, (1u << s) + g, unit_twiddle(m, log_unit + s, (place << s) + g, inverse), m->q);
        for (unsigned s = 3; s < 6; s++)
            for (uint32_t i = 0; i < 32; i++) {
                const uint32_t group = (place << s) + (i >> (5 - s));
                put(to->lanes[s - 3][i / 8], i % 8, unit_twiddle(m, log_unit + s, group, inverse), m->q);
            }
    }
}

velum_status vl_ifma_tables_new(vl_modulus *m) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) return vl_ref_tables_new(m);
    const shape s = shape_of(m->log_n);
    vl_ifma_tables *t = vl_alloc(sizeof *t);
    uint8_t *memory = vl_alloc(s.w + s.twist + 2 * s.stages);
    if (t == NULL || memory == NULL) {
        vl_free(t);
        vl_free(memory);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for the tables of an NTT of degree %u", 1u << m->log_n);
    }
    *t = (vl_ifma_tables){.w = (uint64_t *)memory,
                          .twist = (uint64_t *)(memory + s.w),
                          .forward = (vl_ifma_stages *)(memory + s.w + s.twist),
                          .inverse = (vl_ifma_stages *)(memory + s.w + s.twist + s.stages),
                          .small = ((uint64_t)1 << 52) / m->q >= 64};
    for (uint32_t i = 0; i < 1u << s.log_w; i++) {
        const uint64_t exponent = (uint64_t)vl_arith_bitrev(i, s.log_w) << (m->log_n - s.log_w);
        put(t->w, i, vl_arith_pow(m->psi, exponent, m->q), m->q);
    }
    for (uint32_t b = 0; b < 1u << s.log_units; b++) {
        const uint64_t rho = vl_arith_pow(m->psi, 1 + 2 * vl_arith_bitrev(b, s.log_units), m->q);
        put_powers(t->twist, 16 * (size_t)b, rho, m->q);
        put_powers(t->twist, 16 * (size_t)b + 8, vl_arith_pow(rho, 8, m->q), m->q);
    }
    make_stages(m, t->forward, s.log_unit, false);
    make_stages(m, t->inverse, s.log_unit, true);
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
