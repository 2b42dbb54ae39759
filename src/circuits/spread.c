// SPDX-License-Identifier: Apache-2.0
// Counts that encoding and application share.
#include "circuits/spread_internal.h"

void vl_spread_count_turns(const vl_spread *s, uint32_t *turns, uint32_t *turning) {
    *turns = *turning = 0;
    for (uint32_t k = 0, last = UINT32_MAX; k < s->copies; k++) {
        if (s->copy[k].rotation == 0) continue;
        ++*turns;
        *turning += s->copy[k].source != last;
        last = s->copy[k].source;
    }
}
