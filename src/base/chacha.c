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

__attribute__((target("avx512f,avx512vl,prefer-vector-width=512"))) static void
blocks_of_sixteen(uint8_t *out, size_t strides, const uint32_t start[16]) {
    static const words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const words low32 = {0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29};
    static const words high32 = {2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31};
    static const pairs low64 = {0, 8, 2, 10, 4, 12, 6, 14}, high64 = {1, 9, 3, 11, 5, 13, 7, 15};
    static const pairs even128 = {0, 1, 4, 5, 8, 9, 12, 13}, odd128 = {2, 3, 6, 7, 10, 11, 14, 15};
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
            pairs ab0 = (pairs)__builtin_shuffle(a, b, low32), ab1 = (pairs)__builtin_shuffle(a, b, high32);
            pairs cd0 = (pairs)__builtin_shuffle(c, d, low32), cd1 = (pairs)__builtin_shuffle(c, d, high32);
            t[g][0] = __builtin_shuffle(ab0, cd0, low64);
            t[g][1] = __builtin_shuffle(ab0, cd0, high64);
            t[g][2] = __builtin_shuffle(ab1, cd1, low64);
            t[g][3] = __builtin_shuffle(ab1, cd1, high64);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) { // lanes (0 1 2 3) of four groups become four blocks
            pairs e01 = __builtin_shuffle(t[0][i], t[1][i], even128), o01 = __builtin_shuffle(t[0][i], t[1][i], odd128);
            pairs e23 = __builtin_shuffle(t[2][i], t[3][i], even128), o23 = __builtin_shuffle(t[2][i], t[3][i], odd128);
            // e01 = (g0 l0, g0 l2, g1 l0, g1 l2), and so on
            pairs block[4] = {__builtin_shuffle(e01, e23, even128), __builtin_shuffle(o01, o23, even128),
                              __builtin_shuffle(e01, e23, odd128), __builtin_shuffle(o01, o23, odd128)};
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
