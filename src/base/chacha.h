// SPDX-License-Identifier: Apache-2.0
// ChaCha20 (the original: 64-bit nonce and block counter), sixteen blocks at a time where the CPU has AVX-512:
// expanding the seeded halves of keys is most of loading them.
#ifndef VELUM_BASE_CHACHA_H
#define VELUM_BASE_CHACHA_H

#include <stddef.h>
#include <stdint.h>

#define VL_CHACHA_STRIDE ((size_t)1024) // bytes at a time

// Writes the stream's bytes from block `counter` on, as many whole strides of `bytes` as this CPU's fast path can make,
// and returns how many bytes that is (0 without a fast path). The rest is for the crypto library. For public streams
// only: what it leaves in registers and on the stack is not cleared.
size_t vl_chacha_wide(uint8_t *out, size_t bytes, const uint8_t key[32], uint64_t nonce, uint64_t counter);

#endif
