// SPDX-License-Identifier: Apache-2.0
// Mixed-radix (Garner) reconstruction: x = d0 + m0 (d1 + m1 (d2 + ...)), 0 <= di < mi.
#include "arith/arith.h"

#include <math.h>

#define MAX_COUNT 64

void vl_arith_garner_init(const uint64_t *m, uint32_t count, uint64_t *inv) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) inv[i * count + j] = j < i ? vl_arith_inv(m[j] % m[i], m[i]) : 0;
}

static void digits_of(const uint64_t *r, const uint64_t *m, uint32_t count, const uint64_t *inv, uint64_t *d) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t v = r[i];
        for (uint32_t j = 0; j < i; j++) v = vl_arith_mul(vl_arith_sub(v, d[j] % m[i], m[i]), inv[i * count + j], m[i]);
        d[i] = v;
    }
}

// Words of the integer, least significant first, rounded once (to nearest, ties to even).
static double round_words(const uint64_t *words, uint32_t count) {
    while (count > 0 && words[count - 1] == 0) count--;
    if (count == 0) return 0;
    uint64_t top = words[count - 1];
    int exponent = 64 * (int)(count - 1);
    if (count > 1) {
        unsigned shift = (unsigned)__builtin_clzll(top);
        uint64_t next = words[count - 2], sticky = shift == 0 ? next : next << shift;
        if (shift != 0) top = top << shift | next >> (64 - shift);
        for (uint32_t i = 0; i + 2 < count; i++) sticky |= words[i];
        top |= sticky != 0; // below the rounding bit: top has 64 significant bits, a double 53
        exponent -= (int)shift;
    }
    return ldexp((double)top, exponent);
}

double vl_arith_garner_double(const uint64_t *r, const uint64_t *m, uint32_t count, const uint64_t *inv) {
    uint64_t d[MAX_COUNT], words[MAX_COUNT + 1] = {0};
    digits_of(r, m, count, inv, d);

    // The digits of (M-1)/2 are (mi-1)/2: x is negative when its digits are greater, from the top.
    bool negative = false;
    for (uint32_t i = count; i-- > 0;) {
        uint64_t half = (m[i] - 1) / 2;
        if (d[i] == half) continue;
        negative = d[i] > half;
        break;
    }
    if (negative) // M - 1 - x has the digits mi - 1 - di; the missing 1 is added to the lowest word below
        for (uint32_t i = 0; i < count; i++) d[i] = m[i] - 1 - d[i];

    uint32_t used = 0;
    uint64_t carry = 0;
    for (uint32_t i = count; i-- > 0;) {
        carry = d[i];
        for (uint32_t w = 0; w < used; w++) {
            unsigned __int128 t = (unsigned __int128)words[w] * m[i] + carry;
            words[w] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        if (carry != 0) words[used++] = carry;
    }
    if (!negative) return round_words(words, used);
    for (uint32_t w = 0; w <= used; w++)
        if (++words[w] != 0) break;
    return -round_words(words, used + 1);
}
