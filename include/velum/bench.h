// SPDX-License-Identifier: Apache-2.0
// Timing of the core's operations, for `velum bench` and for a planner's price list.
#ifndef VELUM_BENCH_H
#define VELUM_BENCH_H

#include <stdint.h>
#include <velum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct velum_bench_result {
    char name[64];   // ntt_forward, rotate, ...
    char kernel[16]; // ref, avx2, ifma
    uint32_t log_n, limbs, special, digits, threads, reps;
    double seconds_min, seconds_median;
    // Of a bootstrap; slots is 0 elsewhere.
    char set[32]; // its name
    uint32_t slots, levels_left, security_bits;
    double scale_bits, precision_bits_mean, precision_bits_min, log2_failure;
    char secret[16];         // ternary: a dense main secret
    uint64_t peak_rss_bytes; // of this process so far
    uint64_t key_bytes, matrix_bytes;
    double keygen_seconds;
    // Of a lookup of embeddings only (and some of the above); width is 0 elsewhere.
    uint32_t width, outputs;                        // slots that a query fills, without repetitions; numbers looked up
    uint32_t ciphertexts;                           // of a query
    uint32_t products, rotations, relinearisations; // that the server spends
    double max_error;                               // against the exact sums, over several queries and all slots
    uint64_t query_bytes;                           // as sent
} velum_bench_result;

// Calls `each` for every result whose name matches the POSIX extended regular expression (NULL: all) as it becomes
// known. `progress` (may be NULL) is told what is about to be measured.
VELUM_API velum_status velum_bench_run(const char *name_regex, unsigned threads,
                                       void (*each)(void *user, const velum_bench_result *r),
                                       void (*progress)(void *user, const char *what), void *user);
// The processor, its features and the kernel families at hand, in one line.
VELUM_API const char *velum_bench_machine(void);

#ifdef __cplusplus
}
#endif
#endif
