// SPDX-License-Identifier: Apache-2.0
#include "base/chacha.h"

#include "base/cpu.h"

#include <string.h>

#if defined(__x86_64__)

// A lane a block: word w of sixteen blocks is one vector. The vectors are the compiler's own, no intrinsics.
typedef uint32_t words __attribute__((vector_size(64)));
typedef uint64_t pairs __attribute__((vector_size(64)));

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                                            \
    a += b, d ^= a, d = ROTATE(d, 16), c += d, b ^= c, b = ROTATE(b, 12);                                              \
    a += b, d ^= a, d = ROTATE(d, 8), c += d, b ^= c, b = ROTATE(b, 7)

// Lanes of (a, b), numbered through; gcc has it by this name since 12.
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
#define LOW32(a, b) (pairs) SHUFFLE(words, a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH32(a, b) (pairs) SHUFFLE(words, a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW64(a, b) SHUFFLE(pairs, a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define HIGH64(a, b) SHUFFLE(pairs, a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define EVEN128(a, b) SHUFFLE(pairs, a, b, 0, 1, 4, 5, 8, 9, 12, 13)
#define ODD128(a, b) SHUFFLE(pairs, a, b, 2, 3, 6, 7, 10, 11, 14, 15)

#ifdef __clang__
#define WIDE __attribute__((target("avx512f,avx512vl"), min_vector_width(512)))
#else
#define WIDE __attribute__((target("avx512f,avx512vl,prefer-vector-width=512")))
#endif

WIDE static void blocks_of_sixteen(uint8_t *out, size_t strides, const uint32_t start[16]) {
    static const words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    words input[16];
    for (int w = 0; w < 16; w++) input[w] = start[w] + (words){0};
    input[12] += lane;
    for (size_t k = 0; k < strides; k++, out += VL_CHACHA_STRIDE, input[12] += 16) {
        words x[16];
        for (int w = 0; w < 16; w++) x[w] = input[w];
        for (int round = 0; round < 10; round++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        // Transposed: first within lanes of 128 bits, so that lane l of t[g][i] holds words 4g .. 4g+3 of block 4l + i.
        pairs t[4][4];
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) {
            words a = x[4 * g] + input[4 * g], b = x[4 * g + 1] + input[4 * g + 1];
            words c = x[4 * g + 2] + input[4 * g + 2], d = x[4 * g + 3] + input[4 * g + 3];
            pairs ab0 = LOW32(a, b), ab1 = HIGH32(a, b);
            pairs cd0 = LOW32(c, d), cd1 = HIGH32(c, d);
            t[g][0] = LOW64(ab0, cd0);
            t[g][1] = HIGH64(ab0, cd0);
            t[g][2] = LOW64(ab1, cd1);
            t[g][3] = HIGH64(ab1, cd1);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) { // lanes (0 1 2 3) of four groups become four blocks
            pairs e01 = EVEN128(t[0][i], t[1][i]), o01 = ODD128(t[0][i], t[1][i]);
            pairs e23 = EVEN128(t[2][i], t[3][i]), o23 = ODD128(t[2][i], t[3][i]);
            // e01 = (g0 l0, g0 l2, g1 l0, g1 l2), and so on
            pairs block[4] = {EVEN128(e01, e23), EVEN128(o01, o23), ODD128(e01, e23), ODD128(o01, o23)};
#pragma GCC unroll 4
            for (int l = 0; l < 4; l++) memcpy(out + (4 * l + i) * 64, &block[l], 64);
        }
    }
}

static uint32_t load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

size_t vl_chacha_wide(uint8_t *out, size_t bytes, const uint8_t key[32], uint64_t nonce, uint64_t counter) {
    size_t strides = bytes / VL_CHACHA_STRIDE;
    if (strides == 0 || !(vl_cpu_features() & VL_CPU_AVX512_IFMA) || (uint32_t)counter + strides * 16 > UINT32_MAX)
        return 0;
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (int w = 0; w < 8; w++) start[4 + w] = load32(key + 4 * w);
    start[12] = (uint32_t)counter;
    start[13] = (uint32_t)(counter >> 32);
    start[14] = (uint32_t)nonce;
    start[15] = (uint32_t)(nonce >> 32);
    blocks_of_sixteen(out, strides, start);
    return strides * VL_CHACHA_STRIDE;
}

#else

size_t vl_chacha_wide(uint8_t *out, size_t bytes, const uint8_t key[32], uint64_t nonce, uint64_t counter) {
    (void)out, (void)bytes, (void)key, (void)nonce, (void)counter;
    return 0;
}

#endif
