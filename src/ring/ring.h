// SPDX-License-Identifier: Apache-2.0
// RNS polynomials of Z[X]/(X^N + 1). Above this layer everything speaks in polynomials, below it in limbs.
//
// Notation: moduli q_0 .. q_{L-1} (the chain Q) and p_0 .. p_{K-1} (special, P). A polynomial holds `nq` limbs, for
// q_0 .. q_{nq-1}, followed by `np` limbs, for p_0 .. p_{np-1} (np is 0 or K), limb-major, N words each, in one
// 64-byte-aligned block. Whether it is in the NTT domain is known by the caller and stated by each operation.
// Operations cannot fail; shapes are asserted. `x` (execution context) gives threads and scratch; results do not depend
// on it.
#ifndef VELUM_RING_RING_H
#define VELUM_RING_RING_H

#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include <stdbool.h>

#define VL_MAX_LIMBS 64 // Q and P together

typedef struct vl_ring {
    unsigned log_n;
    uint32_t n, q_count, p_count;
    const vl_kernels *kernels;
    vl_modulus mod[VL_MAX_LIMBS]; // Q, then P
    uint64_t *inv;                // inv[i * q_count + j] = q_i^-1 mod q_j, j < i
} vl_ring;

typedef struct vl_poly {
    uint64_t *x;
    uint16_t nq, np;
} vl_poly;

// Threads and scratch for one running computation. One context serves one caller at a time.
typedef struct vl_exec {
    vl_pool *pool;  // may be NULL
    vl_arena arena; // of the calling thread
} vl_exec;
velum_status vl_exec_init(vl_exec *x, unsigned threads, size_t arena_bytes); // threads 0: all cores
void vl_exec_clear(vl_exec *x);
// Writes to every page of the arena that is not taken, by all threads: the system gives memory page by page when it is
// first written, and so does so now.
void vl_exec_touch(vl_exec *x);
// Items that each need `slot_bytes` of scratch: how many of them may run at the same time, at least 1: no more than
// threads, items, and what the free part of the arena holds. Plans count vl_cpu_count() slots; a smaller arena only
// costs parallelism.
uint32_t vl_exec_slots(const vl_exec *x, size_t items, size_t slot_bytes);
// Runs fn on every item in [0, items); no two calls at the same time have the same slot in [0, slots).
typedef void (*vl_exec_fn)(void *arg, size_t item, uint32_t slot);
void vl_exec_each(vl_exec *x, uint32_t slots, size_t items, vl_exec_fn fn, void *arg);

// *ring must stay where it is afterwards: base extensions point to its moduli. kernels NULL: the fastest.
velum_status vl_ring_init(vl_ring *ring, unsigned log_n, const uint64_t *q, uint32_t q_count, const uint64_t *p,
                          uint32_t p_count, const vl_kernels *kernels);
void vl_ring_clear(vl_ring *ring);

static inline size_t vl_poly_bytes(const vl_ring *ring, uint32_t nq, uint32_t np) {
    return (size_t)(nq + np) * ring->n * sizeof(uint64_t);
}
static inline uint64_t *vl_poly_limb(const vl_ring *ring, vl_poly a, uint32_t i) { return a.x + (size_t)i * ring->n; }
// The modulus of limb i of a.
static inline const vl_modulus *vl_poly_modulus(const vl_ring *ring, vl_poly a, uint32_t i) {
    return &ring->mod[i < a.nq ? i : ring->q_count + (i - a.nq)];
}
velum_status vl_poly_new(const vl_ring *ring, uint32_t nq, uint32_t np, vl_poly *out); // zero
void vl_poly_free(vl_poly *a);
vl_poly vl_poly_take(const vl_ring *ring, vl_arena *arena, uint32_t nq, uint32_t np); // scratch, not zeroed
// The same storage seen with its first nq limbs only (np = 0).
static inline vl_poly vl_poly_prefix(vl_poly a, uint32_t nq) { return (vl_poly){a.x, (uint16_t)nq, 0}; }

// ---- limb-wise; a source has d's limbs or more (more q limbs: the first are used; p limbs are left out if d.np is 0)
// ---- x may be NULL in this section: one thread.
void vl_ring_zero(const vl_ring *ring, vl_poly d);
void vl_ring_copy(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a);
void vl_ring_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, vl_poly b);
void vl_ring_sub(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, vl_poly b);
void vl_ring_neg(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a);
void vl_ring_mul(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, vl_poly b);     // NTT domain
void vl_ring_mul_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, vl_poly b); // d += a b
void vl_ring_tensor(vl_exec *x, const vl_ring *ring, vl_poly d[3], const vl_poly a[2], const vl_poly b[2]);
// d = s a for an integer s, any size up to 2^62 in absolute value
void vl_ring_mul_i64(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s);
void vl_ring_mul_i64_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s);
// d = a + s at every NTT position (adds the constant polynomial s)
void vl_ring_add_i64(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s);
// The same for a constant beyond a word, given by its residue s[i] < q of each limb of d.
void vl_ring_add_residues(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s);
void vl_ring_mul_residues(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s);
void vl_ring_mul_residues_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s); // d += s a
// d = sum_j a[j] b[j] over count <= 64 polynomials, NTT domain; and two sums at once that share a. d is none of the
// others.
void vl_ring_dot(vl_exec *x, const vl_ring *ring, vl_poly d, const vl_poly *a, const vl_poly *b, uint32_t count);
void vl_ring_dot2(vl_exec *x, const vl_ring *ring, vl_poly d0, vl_poly d1, const vl_poly *a, const vl_poly *b0,
                  const vl_poly *b1, uint32_t count);
// d = sum_j s[j] a[j], integers |s[j]| < 2^62, count <= 1024; d is none of a[j].
void vl_ring_dot_i64(vl_exec *x, const vl_ring *ring, vl_poly d, const vl_poly *a, const int64_t *s, uint32_t count);
void vl_ring_ntt(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a);
void vl_ring_intt(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a);
// Out of place only.
void vl_ring_automorphism(vl_exec *x, const vl_ring *ring, const vl_automorphism *g, vl_poly d,
                          vl_poly a); // NTT domain
// Signed words (coefficients) to residues; not transformed.
void vl_ring_from_i64(vl_exec *x, const vl_ring *ring, vl_poly d, const int64_t *v);
// Uniform residues, limb i from stream `domain0 + (index of its modulus in Q then P)` of the seed: an independent
// stream a limb, so that a key limited to few levels is a prefix of the full one, and limbs expand in parallel.
void vl_ring_uniform(vl_exec *x, const vl_ring *ring, vl_poly d, const uint8_t seed[VL_SEED_BYTES], uint64_t domain0);

// ---- matrices ----
// d[r] = sum_j s[r count + j] a[j], r < rows, j < count <= 65,536, integers |s[...]| < 2^62; all d have the same limbs,
// none is an a. Needs at least a slot of scratch; vl_ring_mix_scratch is one for each processor.
void vl_ring_mix_i64(vl_exec *x, const vl_ring *ring, const vl_poly *d, uint32_t rows, const vl_poly *a,
                     const int64_t *s, uint32_t count);
size_t vl_ring_mix_scratch(uint32_t rows, uint32_t count);

// ---- basis changes ----
// Drops the last q limb: d = round(a / q_{nq-1}), NTT domain in and out; d.nq = a.nq - 1, a.np = 0, d may share a's
// storage.
void vl_ring_rescale(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a);
// Needed scratch, for planning (the largest of this layer's operations at nq + np limbs).
size_t vl_ring_scratch(const vl_ring *ring, uint32_t nq, uint32_t np);
size_t vl_ring_scratch_threads(const vl_ring *ring, uint32_t threads); // for so many

#endif
