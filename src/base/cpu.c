// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned features;
static char name[64] = "unknown CPU";

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

static uint64_t enabled_state(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void find_features(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return;
    uint64_t state = enabled_state();
    const unsigned leaf1 = bit_FMA | bit_AVX;
    const unsigned ifma = bit_AVX512F | bit_AVX512DQ | bit_AVX512VL | bit_AVX512BW | bit_AVX512IFMA;
    if ((c & leaf1) != leaf1 || (state & 0x06) != 0x06) return; // XMM, YMM
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return;
    features |= VL_CPU_AVX2_FMA;
    if ((b & ifma) != ifma || (state & 0xe6) != 0xe6) return; // and opmask, ZMM
    features |= VL_CPU_AVX512_IFMA;
}

static void find_name(void) {
    unsigned words[12];
    for (unsigned i = 0; i < 3; i++) {
        unsigned *w = words + 4 * i;
        if (!__get_cpuid(0x80000002u + i, &w[0], &w[1], &w[2], &w[3])) return;
    }
    char brand[sizeof words + 1] = {0};
    memcpy(brand, words, sizeof words);
    size_t length = 0;
    for (const char *p = brand; *p; p++) // single spaces, none at the ends
        if (*p != ' ' || (length && p[1] != ' ' && p[1])) name[length++] = *p;
    if (length) name[length] = 0;
}

#else
static void find_features(void) {}
static void find_name(void) {}
#endif

static void find(void) {
    find_features();
    find_name();
}

unsigned vl_cpu_features(void) {
    pthread_once(&once, find);
    return features;
}

const char *vl_cpu_name(void) {
    pthread_once(&once, find);
    return name;
}
