// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernel_data.h"

#include "arith/arith.h"

#include <stdlib.h>
#include <string.h>

#define GUARD 16 // words on each side; the first holds the size

static uint64_t state;

void kernel_seed(uint64_t seed) { state = seed; }

uint64_t kernel_draw(void) { // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void kernel_words(uint64_t *dst, size_t n, uint64_t q, kernel_fill kind) {
    const uint64_t edges[8] = {0, 1, q - 1, q - 2, q / 2, q / 2 + 1, (uint64_t)1 << (63 - __builtin_clzll(q)), q - 1};
    for (size_t i = 0; i < n; i++) {
        uint64_t r = kernel_draw();
        dst[i] = kind == FILL_ZERO ? 0 : kind == FILL_MAX ? q - 1 : kind == FILL_EDGES ? edges[r % 8] : r % q;
    }
}

static uint64_t guard_word(size_t i) { return 0xfeedface00000000u + i; }

uint64_t *kernel_limb(size_t n) {
    size_t words = (n + 2 * GUARD + 7) / 8 * 8;
    uint64_t *base = aligned_alloc(64, words * 8);
    if (base == NULL) abort();
    for (size_t i = 0; i < words; i++) base[i] = guard_word(i);
    base[0] = n;
    return base + GUARD;
}

bool kernel_limb_guards(const uint64_t *limb) {
    const uint64_t *base = limb - GUARD;
    size_t n = base[0];
    for (size_t i = 1; i < GUARD; i++)
        if (base[i] != guard_word(i) || base[GUARD + n + i] != guard_word(GUARD + n + i)) return false;
    return base[GUARD + n] == guard_word(GUARD + n);
}

bool kernel_limb_free(uint64_t *limb) {
    bool whole = kernel_limb_guards(limb);
    free(limb - GUARD);
    return whole;
}

uint64_t kernel_prime_below(uint64_t limit, unsigned log_n) {
    uint64_t step = (uint64_t)2 << log_n;
    for (uint64_t p = (limit - 1) / step * step + 1; p > (1 << 20); p -= step)
        if (vl_arith_is_prime(p)) return p;
    return 0;
}
