// SPDX-License-Identifier: Apache-2.0
// What a machine takes for the few things that all operations are made of. The compiler counts those and multiplies.
//
// A list is data: the compiler's result depends on it, so it is given from outside, saved and loaded, and the same on
// every machine if the built-in one is taken. Prices are whole femtoseconds on one thread.
#ifndef VELUM_CKKS_PRICES_H
#define VELUM_CKKS_PRICES_H

#include "base/bytes.h"

#define VL_PRICE_LOG_N_LEAST 12
#define VL_PRICE_LOG_N_MOST 17

// X(id, name, built-in price, of what). Built in: one core of an AMD EPYC of 2023 (Zen 4) with the ifma kernels.
#define VL_PRICE_LIST(X)                                                                                               \
    X(NTT_12, "transform_12", 2500000000, "a transform of 2^12, in the cache, each limb with a prime of its own")      \
    X(NTT_13, "transform_13", 5400000000, "the same of 2^13")                                                          \
    X(NTT_14, "transform_14", 11800000000, "the same of 2^14")                                                         \
    X(NTT_15, "transform_15", 25600000000, "the same of 2^15")                                                         \
    X(NTT_16, "transform_16", 56000000000, "the same of 2^16")                                                         \
    X(NTT_17, "transform_17", 123000000000, "the same of 2^17")                                                        \
    X(MULTIPLY, "multiply", 96000, "a coefficient multiplied and added, in the cache")                                 \
    X(EXTEND, "extend", 92000, "a product of a base extension")                                                        \
    X(PASS, "pass", 140000, "a coefficient read and written, outside the nearer caches")                               \
    X(PASS_FAR, "pass_far", 400000, "the same in memory")                                                              \
    X(STREAM, "stream", 160000, "a coefficient of a key or a weight read from memory")                                 \
    X(FRESH, "fresh", 67000, "a coefficient of a new ciphertext")                                                      \
    X(FRESH_FAR, "fresh_far", 400000, "the same where it is so large that its memory comes from the system")           \
    X(FRESH_SMALL, "fresh_small", 3200000, "a coefficient of new memory that the system gives in small pages")         \
    X(MESSAGE, "message", 2150000, "a coefficient of a query unpacked and checked, and its partner drawn")             \
    X(DIGEST, "digest", 1340000, "a byte of a message's digest")                                                       \
    X(OPERATION, "operation", 130000000, "an operation, whatever its size")

typedef enum vl_price_id {
#define X(id, name, price, what) VL_PRICE_##id,
    VL_PRICE_LIST(X)
#undef X
        VL_PRICES
} vl_price_id;

typedef struct vl_prices {
    char machine[64], kernels[16]; // the processor, and the family of kernels
    uint32_t threads;
    uint64_t fs[VL_PRICES];
} vl_prices;

const vl_prices *vl_prices_builtin(void);
// Of this machine with the kernels that would be used, on the calling thread, in its processor time: about a second.
velum_status vl_prices_measure(vl_prices *out);

static inline double vl_price(const vl_prices *p, vl_price_id id) { return (double)p->fs[id] * 1e-15; }
double vl_price_ntt(const vl_prices *p, uint32_t log_n); // beyond the list by N log N
// Transforms at 2^16 here against the built-in list: what a prediction made for that is multiplied by.
double vl_prices_ratio(const vl_prices *p);

// Text, a line a price, its digest in the last one. Loading refuses what saving would not have written (damaged, of
// another version, out of range): VELUM_E_FORMAT.
void vl_prices_save(const vl_prices *p, vl_writer *w);
velum_status vl_prices_load(const void *data, size_t size, vl_prices *out);
// Names what a list is valid for: processor, kernels, version of the library. 16 hexadecimal digits and a 0.
void vl_prices_fingerprint(char out[17]);

#endif
