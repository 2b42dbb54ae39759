// SPDX-License-Identifier: Apache-2.0
#include "layout/layout.h"
#include <string.h>

static bool power_of_two(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

velum_status vl_layout_check(const vl_layout *l) {
    VL_FAIL_IF(!power_of_two(l->slots) || l->slots > (1u << 16), VELUM_E_FORMAT, "layout: %u slots", l->slots);
    VL_FAIL_IF(!power_of_two(l->lanes) || l->lanes > l->slots, VELUM_E_FORMAT, "layout: %u lanes in %u slots", l->lanes,
               l->slots);
    VL_FAIL_IF(!power_of_two(l->period), VELUM_E_FORMAT, "layout: period %u is not a power of two", l->period);
    VL_FAIL_IF(l->dim == 0 || l->dim > (1u << 16), VELUM_E_FORMAT, "layout: %u features", l->dim);
    if (l->cts == 1 && !(l->dim == 1 && l->lanes == l->slots)) {
        VL_FAIL_IF(l->dim > l->period, VELUM_E_FORMAT, "layout: %u features in a period of %u", l->dim, l->period);
        VL_FAIL_IF(l->valid < l->period || l->valid > l->slots / l->lanes, VELUM_E_FORMAT,
                   "layout: %u valid positions, period %u, %u slots of %u lanes", l->valid, l->period, l->slots,
                   l->lanes);
    } else {
        VL_FAIL_IF(l->cts != l->dim || l->period != 1 || l->lanes != l->slots || l->valid != 1, VELUM_E_FORMAT,
                   "layout: %u ciphertexts for %u features", l->cts, l->dim);
    }
    return VELUM_OK;
}

void vl_layout_pack(const vl_layout *l, uint32_t ct, const double *features, uint32_t requests, double *slots) {
    memset(slots, 0, l->slots * sizeof *slots);
    uint32_t first = l->cts > 1 ? ct : 0, count = l->cts > 1 ? 1 : l->dim;
    for (uint32_t base = 0; base + l->period <= l->valid; base += l->period)
        for (uint32_t f = 0; f < count; f++)
            for (uint32_t r = 0; r < requests; r++)
                slots[(size_t)(base + f) * l->lanes + r] = features[(size_t)r * l->dim + first + f];
}

void vl_layout_unpack(const vl_layout *l, uint32_t ct, const double *slots, uint32_t requests, double *features) {
    uint32_t first = l->cts > 1 ? ct : 0, count = l->cts > 1 ? 1 : l->dim;
    for (uint32_t f = 0; f < count; f++)
        for (uint32_t r = 0; r < requests; r++)
            features[(size_t)r * l->dim + first + f] = slots[(size_t)f * l->lanes + r];
}

void vl_layout_save(const vl_layout *l, vl_writer *w) {
    vl_write_u32(w, l->slots);
    vl_write_u32(w, l->dim);
    vl_write_u32(w, l->period);
    vl_write_u32(w, l->lanes);
    vl_write_u32(w, l->cts);
    vl_write_u32(w, l->valid);
}

velum_status vl_layout_load(vl_reader *r, vl_layout *out) {
    vl_layout l;
    l.slots = vl_read_u32(r);
    l.dim = vl_read_u32(r);
    l.period = vl_read_u32(r);
    l.lanes = vl_read_u32(r);
    l.cts = vl_read_u32(r);
    l.valid = vl_read_u32(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "layout: cut short");
    VL_TRY(vl_layout_check(&l));
    *out = l;
    return VELUM_OK;
}
