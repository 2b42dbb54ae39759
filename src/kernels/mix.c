// SPDX-License-Identifier: Apache-2.0
#include "kernels/mix.h"

#include "kernels/ref/ref.h"

typedef unsigned __int128 u128;

static uint64_t minus_pairs(const vl_modulus *m, const uint64_t *s, uint32_t count) {
    u128 sum = 0; // 2^15 products below 2^100
    for (uint32_t j = 0; j + 1 < count; j += 2) sum += (u128)s[j] * s[j + 1];
    return m->q - vl_ref_reduce(m, sum);
}

// Where the pass after this one reads; the last pass of fewer terms is told as if it began earlier.
static void look_ahead(vl_mix_pass *p, const uint64_t *const *x, uint32_t count, uint32_t done, size_t n) {
    const bool turn = done == count;
    const uint32_t from = turn ? 0 : count - done < p->terms ? count - p->terms : done;
    p->next = x + from;
    p->next_at = turn ? p->at + p->words : p->at;
    if (p->next_at + p->words > n) p->next = NULL;
}

static void group(void (*pass)(const vl_mix_pass *p), vl_mix_pass *p, const uint64_t *const *x, uint32_t count,
                  const uint64_t *s, size_t n) {
    const uint32_t passes = (count + VL_MIX_DEPTH - 1) / VL_MIX_DEPTH;
    const uint32_t depth = ((count + passes - 1) / passes + 1) & ~1u;
    uint64_t pairs[VL_MIX_GROUP];
    for (uint32_t r = 0; r < p->rows; r++) pairs[r] = minus_pairs(p->m, s + r * p->stride, count);
    for (p->at = 0; p->at < n; p->at += VL_MIX_STRIP) {
        p->words = n - p->at < VL_MIX_STRIP ? n - p->at : VL_MIX_STRIP;
        for (uint32_t j = 0; j < count; j += p->terms) {
            p->terms = count - j < depth ? count - j : depth;
            p->x = x + j;
            p->s = s + j;
            p->pairs = j == 0 ? pairs : NULL;
            look_ahead(p, x, count, j + p->terms, n);
            pass(p);
        }
    }
}

void vl_mix_passes(void (*pass)(const vl_mix_pass *p), const vl_modulus *m, uint64_t *const *dst, uint32_t rows,
                   const uint64_t *const *x, uint32_t count, const uint64_t *s, size_t n) {
    for (uint32_t r = 0; r < rows; r += VL_MIX_GROUP) {
        const uint32_t part = rows - r < VL_MIX_GROUP ? rows - r : VL_MIX_GROUP;
        vl_mix_pass p = {.m = m, .dst = dst + r, .rows = part, .stride = count};
        group(pass, &p, x, count, s + (size_t)r * count, n);
    }
}
