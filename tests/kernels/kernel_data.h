// SPDX-License-Identifier: Apache-2.0
// Random words, guarded limbs and primes for the kernel checks.
#ifndef VELUM_TESTS_KERNEL_DATA_H
#define VELUM_TESTS_KERNEL_DATA_H

#include "kernels/kernels.h"

#include <stdbool.h>

void kernel_seed(uint64_t seed);
uint64_t kernel_draw(void);

typedef enum kernel_fill { FILL_RANDOM, FILL_ZERO, FILL_MAX, FILL_EDGES, FILL_KINDS } kernel_fill;
// n words below q
void kernel_words(uint64_t *dst, size_t n, uint64_t q, kernel_fill kind);

// A 64-byte-aligned limb of n words between guard words, filled with a pattern.
uint64_t *kernel_limb(size_t n);
// The guards are whole; frees.
bool kernel_limb_free(uint64_t *limb);
bool kernel_limb_guards(const uint64_t *limb);

// The largest prime = 1 mod 2^(log_n + 1) at most `limit`; 0 if none above 2^20.
uint64_t kernel_prime_below(uint64_t limit, unsigned log_n);

// Times the kernels of every family (of one, if VELUM_KERNELS names it) whose label holds the filter.
void kernel_bench(unsigned log_n, const char *filter);

#endif
