// SPDX-License-Identifier: Apache-2.0
// Damage to saved files: random, repeatable from a seed, and behind the frame's digest.
#ifndef VELUM_TESTS_PROGRAM_MUTATE_H
#define VELUM_TESTS_PROGRAM_MUTATE_H

#include "program/build.h"

#define MUTATE_ROOM 64 // bytes that a mutation may add

static inline uint32_t mutate_draw(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static inline void mutate_number(uint64_t *state, uint8_t *at, size_t left) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0, -1, 0x1p-1074, 0x1p60, 0x1.8p1023, 3, 0x1p-40};
    static const uint64_t words[] = {0, 1, 2, 3, 7, 8, 255, 256, 65535, 65536, UINT32_MAX, INT64_MAX, UINT64_MAX};
    size_t bytes = (size_t)1 << mutate_draw(state) % 4;
    if (bytes > left) return;
    if (bytes == 8 && mutate_draw(state) % 2)
        memcpy(at, &odd[mutate_draw(state) % (sizeof odd / sizeof *odd)], 8);
    else
        memcpy(at, &words[mutate_draw(state) % (sizeof words / sizeof *words)], bytes);
}

// Changes the payload of a frame at one to three places and seals it again; returns the new size. The buffer has room
// for MUTATE_ROOM more bytes.
static inline size_t mutate_payload(uint64_t *state, uint8_t *frame, size_t size) {
    size_t end = size - VL_DIGEST_BYTES, room = size + MUTATE_ROOM;
    for (uint32_t times = 1 + mutate_draw(state) % 3; times && end > VL_FRAME_HEAD; times--) {
        size_t at = VL_FRAME_HEAD + mutate_draw(state) % (end - VL_FRAME_HEAD), n = mutate_draw(state) % 9;
        switch (mutate_draw(state) % 6) {
        case 0: frame[at] ^= (uint8_t)(1u << mutate_draw(state) % 8); break;
        case 1: frame[at] = (uint8_t)mutate_draw(state); break;
        case 2: frame[at] = (uint8_t)(frame[at] + 1 - 2 * (mutate_draw(state) % 2)); break;
        case 3: mutate_number(state, frame + at, end - at); break;
        case 4: // bytes left out
            if (n > end - at) n = end - at;
            memmove(frame + at, frame + at + n, end - at - n);
            end -= n;
            break;
        default: // bytes put in
            if (end + n + VL_DIGEST_BYTES > room) break;
            memmove(frame + at + n, frame + at, end - at);
            end += n;
            break;
        }
    }
    build_reseal(frame, end + VL_DIGEST_BYTES);
    return end + VL_DIGEST_BYTES;
}

// So that a reason seen afterwards is one of the failure at hand.
static inline void mutate_forget_error(void) { (void)vl_status_fail(VELUM_OK, "%s", ""); }

#endif
