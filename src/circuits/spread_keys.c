// SPDX-License-Identifier: Apache-2.0
#include "circuits/spread.h"

#include <stdlib.h>

static int by_galois(const void *a, const void *b) {
    uint64_t x = ((const vl_key_request *)a)->galois, y = ((const vl_key_request *)b)->galois;
    return (x > y) - (x < y);
}

uint32_t vl_spread_key_requests(const vl_spread *s, const vl_params *p, uint16_t level, vl_key_request *out) {
    uint32_t count = 0, kept = 0;
    for (uint32_t k = 0; k < s->copies; k++)
        if (s->copy[k].rotation) out[count++] = (vl_key_request){vl_params_galois(p, s->copy[k].rotation), level};
    qsort(out, count, sizeof *out, by_galois);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || out[kept - 1].galois != out[i].galois) out[kept++] = out[i];
    return kept;
}
