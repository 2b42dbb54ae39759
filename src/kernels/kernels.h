// SPDX-License-Identifier: Apache-2.0
// Limb kernels: one contract, one table, several families (ref, avx2, ifma), bit-identical.
//
// A limb is n = 2^log_n words of 64 bits, 64-byte aligned, n >= 16. Unless a line says otherwise every residue, in and
// out, is in [0, q); an output may be the same array as an input, never a partial overlap. Nothing fails.
//
// The NTT is negacyclic: out[pos] = a(psi^e(pos)), psi the modulus record's 2n-th root; the order e(pos) is the same
// for all families and moduli of a given n, told by `vl_kernels_exponents`.
#ifndef VELUM_KERNELS_KERNELS_H
#define VELUM_KERNELS_KERNELS_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct vl_kernels vl_kernels;

// One prime for one ring degree: constants and tables for the family that it was made for.
typedef struct vl_modulus {
    uint64_t q;
    uint64_t psi;       // smallest primitive 2n-th root
    uint64_t n_inv;     // n^-1 mod q
    uint64_t r52;       // 2^52 mod q
    uint64_t r52_shoup; // floor(r52 2^52 / q)
    uint64_t barrett52; // floor(2^52 / q) as used to reduce words below 2^52; families may add their own below
    uint64_t barrett_hi, barrett_lo; // floor(2^128 / q), for the reference
    double qd, q_inv;                // q and 1/q as doubles
    unsigned log_n, bits;            // bits = ceil(log2 q)
    const vl_kernels *k;             // the family: call m->k->ntt_forward(m, ...)
    void *tables;                    // twiddles, owned; layout private to the family
} vl_modulus;

// A prepared basis change: k source primes to m target primes, for one product Q of the sources.
#define VL_BASE_MAX 64
typedef struct vl_base_ext {
    uint32_t sources, targets;
    const vl_modulus *from[VL_BASE_MAX], *to[VL_BASE_MAX];
    // hat[j * sources + i] = (Q / q_i) mod p_j; q_mod[j] = Q mod p_j; correction constants (see base_extend).
    uint64_t *hat, *q_mod;
    uint32_t shift[VL_BASE_MAX], ratio[VL_BASE_MAX];
    uint64_t hat_inv[VL_BASE_MAX]; // (Q / q_i)^-1 mod q_i: the caller's scaling (fuse it into ntt_inverse)
} vl_base_ext;

// A prepared automorphism X -> X^g in the NTT domain.
typedef struct vl_automorphism {
    uint64_t galois;
    unsigned log_n;
    void *tables; // owned; private to kernels
} vl_automorphism;

struct vl_kernels {
    const char *name; // "ref", "avx2", "ifma"
    // Builds and frees m->tables.
    velum_status (*tables_new)(vl_modulus *m);
    void (*tables_free)(vl_modulus *m);

    void (*ntt_forward)(const vl_modulus *m, uint64_t *dst, const uint64_t *src);
    // dst = scalar * NTT^-1(src); scalar < q.
    void (*ntt_inverse)(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t scalar);

    void (*add)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n);
    void (*sub)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n);
    void (*neg)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, size_t n);
    void (*mul)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n);
    void (*mul_add)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, size_t n); // dst += a b
    void (*mul_scalar)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n);
    void (*mul_scalar_add)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n); // dst += s a
    void (*add_scalar)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, uint64_t s, size_t n);
    // dst = (a - b) s: the end of a rescale or of a division by P.
    void (*sub_mul_scalar)(const vl_modulus *m, uint64_t *dst, const uint64_t *a, const uint64_t *b, uint64_t s,
                           size_t n);
    // The tensor product of two ciphertexts in one pass: d0 = a0 b0, d1 = a0 b1 + a1 b0, d2 = a1 b1. Outputs may not
    // alias inputs.
    void (*tensor)(const vl_modulus *m, uint64_t *d0, uint64_t *d1, uint64_t *d2, const uint64_t *a0,
                   const uint64_t *a1, const uint64_t *b0, const uint64_t *b1, size_t n);
    // dst0 = sum_j x[j] k0[j], dst1 = sum_j x[j] k1[j], accumulated lazily, count <= 64: the heart of key switching
    // and of plaintext products. If k1 is NULL only dst0 is made. Outputs may not alias inputs.
    void (*dot2)(const vl_modulus *m, uint64_t *dst0, uint64_t *dst1, const uint64_t *const *x,
                 const uint64_t *const *k0, const uint64_t *const *k1, uint32_t count, size_t n);
    // dst[r] = sum_j s[r count + j] x[j] for r < rows, s[...] < q, 1 <= count <= 65,536, n a multiple of 16: a matrix
    // of scalars times limbs, each limb read once for up to 64 rows. Outputs may not alias inputs.
    void (*mix)(const vl_modulus *m, uint64_t *const *dst, uint32_t rows, const uint64_t *const *x, uint32_t count,
                const uint64_t *s, size_t n);
    // dst = v mod q for the representative v in (-p/2, p/2] of src in [0, p).
    void (*lift_centered)(const vl_modulus *m, uint64_t *dst, const uint64_t *src, uint64_t p, size_t n);
    // dst = v mod q for signed words, |v| < 2^62.
    void (*from_i64)(const vl_modulus *m, uint64_t *dst, const int64_t *v, size_t n);
    // For coefficients [begin, begin + n): given y[i] = x * hat_inv_i mod q_i, writes
    //   dst[j] = (sum_i y[i] hat_ij - v Q) mod p_j.
    // v is the rounded sum of y[i]/q_i, found in integers so that all families agree:
    //   f_i = (y[i] >> shift_i) * ratio_i  (32 x 32 bits), ratio_i = floor(2^(58 + shift_i) / q_i),
    //   v = (sum f_i + 2^57) >> 58,
    // hence dst is the centred representative |x| <= Q/2 (1 + 2^-20) (Halevi, Polyakov, Shoup 2018/117, section 2.2).
    // No dst[j] may be one of the y[i]. One call for many coefficients is faster than many for few.
    void (*base_extend)(const vl_base_ext *e, uint64_t *const *dst, const uint64_t *const *y, size_t begin, size_t n);
    // NTT domain: dst(X) = src(X^g). Not in place.
    void (*automorphism)(const vl_automorphism *a, uint64_t *dst, const uint64_t *src);
    // Words [begin, begin + n) of that alone, n a power of two, at least 16, that divides begin: they come from n words
    // side by side, which `src` is: those at vl_automorphism_source.
    void (*automorphism_part)(const vl_automorphism *a, uint64_t *dst, const uint64_t *src, size_t begin, size_t n);
};

// The families that this CPU can run, slowest first (ref, avx2, ifma), NULL-terminated.
const vl_kernels *const *vl_kernels_available(void);
// By name; NULL name: the fastest available, or the one that the environment's VELUM_KERNELS names. NULL if absent.
const vl_kernels *vl_kernels_find(const char *name);

// Fills *m for a prime q = 1 mod 2^(log_n+1), q < 2^50.
velum_status vl_modulus_init(vl_modulus *m, uint64_t q, unsigned log_n, const vl_kernels *k);
void vl_modulus_clear(vl_modulus *m);
// from[] and to[] moduli of the same n and family. from and to may share no prime. Sources have at least 28 bits.
velum_status vl_base_ext_init(vl_base_ext *e, const vl_modulus *const *from, uint32_t sources,
                              const vl_modulus *const *to, uint32_t targets);
void vl_base_ext_clear(vl_base_ext *e);
// e(pos) for all n positions: odd numbers below 2n.
void vl_kernels_exponents(unsigned log_n, uint32_t *exponent);
// galois odd, < 2n.
velum_status vl_automorphism_init(vl_automorphism *a, unsigned log_n, uint64_t galois);
void vl_automorphism_clear(vl_automorphism *a);
// Where the n words begin that words [begin, begin + n) of an image come from.
size_t vl_automorphism_source(const vl_automorphism *a, size_t begin, size_t n);

#endif
