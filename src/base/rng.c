// SPDX-License-Identifier: Apache-2.0
// The stream of (seed, domain) is ChaCha20 (the original one: 64-bit nonce = domain, 64-bit block counter from 0).
#include "base/rng.h"

#include "base/chacha.h"
#include "base/crypto.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define BLOCK 64u // bytes a ChaCha20 block

static void store_le64(uint8_t out[8], uint64_t v) {
    for (unsigned i = 0; i < 8; i++) out[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t load_le64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

// The next bytes of the stream, past the buffer; bytes is a multiple of BLOCK.
static void expand(vl_rng *rng, uint8_t *out, size_t bytes) {
    uint8_t nonce[8];
    store_le64(nonce, rng->domain);
    memset(out, 0, bytes);
    crypto_stream_chacha20_xor_ic(out, out, bytes, nonce, rng->counter, rng->key);
    rng->counter += bytes / BLOCK;
}

static void refill(vl_rng *rng) {
    expand(rng, rng->buf, sizeof rng->buf);
    rng->used = 0;
}

void vl_seed_system(uint8_t seed[VL_SEED_BYTES]) {
    vl_base_crypto_init();
    randombytes_buf(seed, VL_SEED_BYTES);
}

void vl_rng_init_system(vl_rng *rng) {
    uint8_t seed[VL_SEED_BYTES];
    vl_seed_system(seed);
    vl_rng_init_seed(rng, seed, 0);
    vl_secure_zero(seed, sizeof seed);
}

void vl_rng_init_seed(vl_rng *rng, const uint8_t seed[VL_SEED_BYTES], uint64_t domain) {
    vl_base_crypto_init();
    memcpy(rng->key, seed, VL_SEED_BYTES);
    rng->domain = domain;
    rng->counter = 0;
    rng->used = sizeof rng->buf;
}

void vl_rng_bytes(vl_rng *rng, void *out, size_t bytes) {
    uint8_t *to = out;
    while (bytes) {
        if (rng->used == sizeof rng->buf) {
            size_t whole = bytes - bytes % sizeof rng->buf;
            if (whole) {
                expand(rng, to, whole);
                to += whole;
                bytes -= whole;
                continue;
            }
            refill(rng);
        }
        size_t n = sizeof rng->buf - rng->used;
        if (n > bytes) n = bytes;
        memcpy(to, rng->buf + rng->used, n);
        rng->used += (uint32_t)n;
        to += n;
        bytes -= n;
    }
}

uint64_t vl_rng_u64(vl_rng *rng) {
    if (sizeof rng->buf - rng->used >= 8) {
        rng->used += 8;
        return load_le64(rng->buf + rng->used - 8);
    }
    uint8_t word[8];
    vl_rng_bytes(rng, word, sizeof word);
    return load_le64(word);
}

void vl_rng_clear(vl_rng *rng) { vl_secure_zero(rng, sizeof *rng); }

// The next words of the stream, past the buffer, which is empty: public data.
static void expand_public(vl_rng *rng, uint64_t *out, size_t words) {
    size_t bytes = words * sizeof *out,
           done = vl_chacha_wide((uint8_t *)out, bytes, rng->key, rng->domain, rng->counter);
    rng->counter += done / BLOCK;
    if (done < bytes) expand(rng, (uint8_t *)out + done, bytes - done);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < words; i++) out[i] = __builtin_bswap64(out[i]);
#endif
}

// Masks `count` words in place and keeps those below q, in order; how many.
static size_t keep_below(uint64_t q, uint64_t mask, uint64_t *v, size_t count) {
    uint64_t over = 0; // top bit: some word is not below q. q <= 2^63 here.
    for (size_t i = 0; i < count; i++) over |= q - 1 - (v[i] &= mask);
    if (!(over >> 63)) return count;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t w = v[i];
        v[kept] = w;
        kept += w < q;
    }
    return kept;
}

#define AT_ONCE ((size_t)1024) // words: they stay in the first cache

void vl_rng_uniform(vl_rng *rng, uint64_t q, uint64_t *out, size_t n) {
    assert(q > 0);
    uint64_t mask = q > 1 ? UINT64_MAX >> __builtin_clzll(q - 1) : 0;
    for (size_t i = 0; i < n;) {
        size_t words = n - i < AT_ONCE ? (n - i) / (BLOCK / 8) * (BLOCK / 8) : AT_ONCE;
        if (rng->used == sizeof rng->buf && words > 0 && q <= UINT64_C(1) << 63) {
            expand_public(rng, out + i, words);
            i += keep_below(q, mask, out + i, words);
            continue;
        }
        uint64_t v = vl_rng_u64(rng) & mask;
        out[i] = v;
        i += v < q;
    }
}

void vl_rng_ternary(vl_rng *rng, int8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (int8_t)((int)(((unsigned __int128)vl_rng_u64(rng) * 3) >> 64) - 1);
}

// Uniform below `bound` < 2^32 out of 128 random bits: bias below 2^-96.
static uint32_t draw_below(vl_rng *rng, uint32_t bound) {
    uint64_t lo = vl_rng_u64(rng), hi = vl_rng_u64(rng);
    unsigned __int128 low = (unsigned __int128)lo * bound;
    return (uint32_t)(((unsigned __int128)hi * bound + (uint64_t)(low >> 64)) >> 64);
}

// All ones if a = b, else 0, for a, b < 2^31.
static uint32_t equal_mask(uint32_t a, uint32_t b) { return (uint32_t)((int32_t)((a ^ b) - 1) >> 31); }

// Floyd's subset: for j = n-h .. n-1 draw t in [0, j]; take t, or j if t is taken already. Every subset is equally
// likely. What is taken is a list, searched whole; then each entry is written by a pass over all of `out`.
velum_status vl_rng_ternary_sparse(vl_rng *rng, int8_t *out, size_t n, size_t h) {
    VL_FAIL_IF(h > n || n > INT32_MAX, VELUM_E_USAGE, "a ternary vector of %zu coefficients with %zu not zero", n, h);
    uint32_t *taken = vl_secret_alloc(h * sizeof *taken);
    VL_FAIL_IF(!taken, VELUM_E_NOMEM, "no guarded memory for %zu positions", h);
    for (size_t i = 0; i < h; i++) {
        uint32_t j = (uint32_t)(n - h + i);
        uint32_t t = draw_below(rng, j + 1), found = 0;
        for (size_t k = 0; k < i; k++) found |= equal_mask(taken[k], t);
        taken[i] = (t & ~found) | (j & found);
    }
    memset(out, 0, n);
    for (size_t i = 0; i < h; i++) {
        uint32_t sign = (uint32_t)(vl_rng_u64(rng) & 1), at = taken[i];
        uint8_t value = (uint8_t)(1 - 2 * sign); // 1 or 0xff
        for (size_t k = 0; k < n; k++) out[k] = (int8_t)((uint8_t)out[k] | (value & equal_mask((uint32_t)k, at)));
    }
    vl_secret_free(taken);
    return VELUM_OK;
}

// For P(x) proportional to exp(-x^2 / (2 3.19^2)) on the integers. tests/base/test_rng.c computes it again in 128-bit
// fixed point.
const uint64_t vl_rng_gaussian_tail[VL_GAUSSIAN_TAIL] = {
    0xdffc0cbc9a6ad72f, 0xa3061821f0f92694, 0x6e6b02f44f96b50c, 0x45455d10e113eeff, 0x281954cf55f7bca0,
    0x155a46deff088254, 0x0a6efbf53cb66d16, 0x04ab34d35b690006, 0x01e8fdd688b6268e, 0x00b6ac0742b5162f,
    0x003e3df10a218dcc, 0x00135380fde1d460, 0x000576deccc874d6, 0x000167eff6658f25, 0x0000543ce3004bd0,
    0x000011ec730c7a24, 0x00000377470de128, 0x0000009be10ab56b, 0x00000018df85b945, 0x000000039a9f25c5,
    0x00000000795db467, 0x000000000e7dd137, 0x0000000001920399, 0x0000000000278810, 0x00000000000386ea,
    0x0000000000004915, 0x000000000000055e, 0x000000000000005b, 0x0000000000000006,
};

// 1 if a < b, without a comparison.
static uint64_t less(uint64_t a, uint64_t b) { return ((~a & b) | (~(a ^ b) & (a - b))) >> 63; }

// A block of up to 64: one word of signs, then a word each.
void vl_rng_gaussian(vl_rng *rng, int32_t *out, size_t n) {
    for (size_t begin = 0; begin < n; begin += 64) {
        size_t count = n - begin < 64 ? n - begin : 64;
        uint64_t signs = vl_rng_u64(rng);
        for (size_t i = 0; i < count; i++) {
            uint64_t u = vl_rng_u64(rng), x = 0;
            for (unsigned k = 0; k < VL_GAUSSIAN_TAIL; k++) x += less(u, vl_rng_gaussian_tail[k]);
            int32_t s = (int32_t)(signs >> i & 1);
            out[begin + i] = ((int32_t)x ^ -s) + s;
        }
    }
}

static double double_of_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of_double(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

// Natural logarithm of a normal u > 0: u = 2^k m with m in [sqrt 1/2, sqrt 2), ln m = 2 atanh((m-1)/(m+1)).
static double straight_log(double u) {
    const uint64_t half_root = UINT64_C(0x3fe6a09e667f3bcd); // sqrt(1/2)
    uint64_t from = bits_of_double(u) - half_root;
    int64_t k = (int64_t)from >> 52;
    double m = double_of_bits((from & UINT64_C(0x000fffffffffffff)) + half_root);
    double s = (m - 1) / (m + 1), z = s * s, sum = 1.0 / 25;
    for (int i = 23; i >= 1; i -= 2) sum = sum * z + 1.0 / i;
    return (double)k * 0x1.62e42fefa39efp-1 + 2 * s * sum;
}

// Cosine and sine of pi/2 (quadrant + f), |f| <= 1/2, by Taylor's series to x^16 and x^17.
static void straight_cos_sin(uint64_t quadrant, double f, double *cos_out, double *sin_out) {
    double x = f * 0x1.921fb54442d18p+0, z = x * x, c = 1, s = 1;
    for (int i = 16; i >= 2; i -= 2) {
        c = 1 - c * z / (i * (i - 1));
        s = 1 - s * z / (i * (i + 1));
    }
    uint64_t cos_bits = bits_of_double(c), sin_bits = bits_of_double(s * x);
    // (c, s) -> (-s, c) a quadrant
    uint64_t swap = -(quadrant & 1) & (cos_bits ^ sin_bits);
    uint64_t cos_sign = ((quadrant >> 1) ^ quadrant) & 1, sin_sign = quadrant >> 1 & 1;
    *cos_out = double_of_bits((cos_bits ^ swap) ^ cos_sign << 63);
    *sin_out = double_of_bits((sin_bits ^ swap) ^ sin_sign << 63);
}

// |v| < 2^51, to the nearest integer.
static int64_t nearest(double v) { return (int64_t)(bits_of_double(v + 0x1.8p52) - bits_of_double(0x1.8p52)); }

// Box and Muller: from uniform u in (0,1) (an odd multiple of 2^-63) and w in [0,1), the pair
// sqrt(-2 ln u) (cos 2 pi w, sin 2 pi w) is two independent normal variables; |x| < 9.4 sigma, the missing tail is
// below 2^-62. Straight-line arithmetic in doubles, relative error below 2^-48.
void vl_rng_gaussian_wide(vl_rng *rng, int64_t *out, size_t n, double sigma) {
    assert(sigma >= 0 && sigma <= 0x1p45);
    for (size_t i = 0; i < n; i += 2) {
        uint64_t a = vl_rng_u64(rng), b = vl_rng_u64(rng);
        double u = (double)(int64_t)(a >> 1 | 1) * 0x1p-63;
        double f = (double)((int64_t)(b << 2) >> 11) * 0x1p-53; // the lower 62 bits as a signed fraction in [-1/2, 1/2)
        double c, s, radius = sigma * sqrt(-2 * straight_log(u));
        straight_cos_sin(b >> 62, f, &c, &s);
        out[i] = nearest(radius * c);
        if (i + 1 < n) out[i + 1] = nearest(radius * s);
    }
}
