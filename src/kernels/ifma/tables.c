// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "kernels/ifma/ifma.h"
#include "kernels/ref/ref.h"

static void put(uint64_t *table, size_t t, uint64_t w, uint64_t q) {
    uint64_t *slot = table + t / 8 * 16 + t % 8;
    slot[0] = w;
    slot[8] = vl_arith_shoup52(w, q);
}

// The untwisted twiddle of group `g` of 2^v in a unit, g counted from the end for the inverse: w[2^m + g] for the
// 2^m units' stage would be psi^(n / 2^v bitrev_v(g)) times what depends on the unit only.
static uint64_t fixed(const vl_modulus *m, unsigned v, uint32_t g, bool inverse) {
    if (inverse) g = (1u << v) - 1 - g;
    return vl_arith_pow(m->psi, (uint64_t)vl_arith_bitrev(g, v) << (m->log_n - v), m->q);
}

static void make_stages(const vl_modulus *m, vl_ifma_stages *stages, unsigned log_unit, bool inverse) {
    for (uint32_t place = 0; place < 1u << log_unit; place++)
        for (unsigned s = 0; s < 6; s++)
            for (uint32_t i = 0; i < (s < 3 ? 1u << s : 32u); i++) {
                const uint32_t g = s < 3 ? i : i >> (5 - s);
                const uint64_t w = fixed(m, log_unit + s, (place << s) + g, inverse);
                if (s < 3)
                    put(stages[place].splat, (1u << s) + g, w, m->q);
                else
                    put(stages[place].lanes[s - 3][i / 8], i % 8, w, m->q);
            }
}

velum_status vl_ifma_tables_new(vl_modulus *m) {
    if (m->log_n < VL_IFMA_MIN_LOG_N) return vl_ref_tables_new(m);
    const unsigned log_unit = vl_ifma_log_unit(m->log_n), log_w = m->log_n < 9 ? 3 : m->log_n - 6,
                   log_units = m->log_n - 6 - log_unit;
    const size_t w = (size_t)2 << log_w, twist = (size_t)128 << log_units, stages = sizeof(vl_ifma_stages) << log_unit;
    vl_ifma_tables *t = vl_alloc(sizeof *t);
    uint8_t *memory = vl_alloc(8 * (w + twist) + 2 * stages);
    if (t == NULL || memory == NULL) {
        vl_free(t);
        vl_free(memory);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for the tables of an NTT of degree 2^%u", m->log_n);
    }
    t->w = (uint64_t *)memory;
    t->twist = t->w + w;
    t->forward = (vl_ifma_stages *)(t->twist + twist);
    t->inverse = t->forward + ((size_t)1 << log_unit);
    t->small = ((uint64_t)1 << 52) / m->q >= 64;
    for (uint32_t i = 0; i < 1u << log_w; i++)
        put(t->w, i, vl_arith_pow(m->psi, vl_arith_bitrev(i, log_w) << (m->log_n - log_w), m->q), m->q);
    for (uint32_t b = 0; b < 1u << log_units; b++) {
        const uint64_t rho = vl_arith_pow(m->psi, 1 + 2 * vl_arith_bitrev(b, log_units), m->q);
        uint64_t power = 1;
        for (uint32_t l = 0; l < 64; l++, power = vl_arith_mul(power, rho, m->q))
            put(t->twist, 64 * (size_t)b + l, power, m->q);
    }
    make_stages(m, t->forward, log_unit, false);
    make_stages(m, t->inverse, log_unit, true);
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
