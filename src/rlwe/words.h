// SPDX-License-Identifier: Apache-2.0
// Key polynomials in files: limb-major little-endian words of 64 bits, aligned to 64 bytes from the file's start, so
// that they can be used where the file is mapped. After each polynomial VL_WORDS_GAP zero words, as in memory.
#ifndef VELUM_RLWE_WORDS_H
#define VELUM_RLWE_WORDS_H

#include "base/bytes.h"
#include "ring/ring.h"

#define VL_WORDS_ALIGN ((size_t)64)
#define VL_WORDS_GAP ((size_t)40) // so that the polynomials of a key do not all start in the same cache set

static inline size_t vl_words_poly_bytes(size_t n, uint32_t limbs) { return (limbs * n + VL_WORDS_GAP) * 8; }
// From words as the machine has them to the file's, in place: nothing where they are the same.
void vl_words_to_file(uint64_t *x, size_t words);
// The polynomial of so many limbs at x, and its gap; w stands at a multiple of VL_WORDS_ALIGN.
void vl_words_write(const uint64_t *x, size_t n, uint32_t limbs, vl_writer *w);
// Whether words at p, a view of r, can be used where they are.
bool vl_words_can_borrow(const vl_reader *r, const uint8_t *p);
// Whether a polynomial's gap is zero.
bool vl_words_gap_is_zero(const uint8_t *poly, size_t n, uint32_t limbs);

// One limb of a seeded pair.
typedef struct vl_words_limb {
    const vl_modulus *m;
    const uint8_t *in; // half b, in the file
    uint64_t *b;       // NULL: stays where it is
    uint64_t *a;       // gets stream `domain` of the seed
    const uint8_t *seed;
    uint64_t domain;
} vl_words_limb;
// Checks (and copies) all limbs b and expands all a, in parallel. The first limb that holds a residue not below its
// prime, or `count`.
uint32_t vl_words_load(vl_exec *x, size_t n, const vl_words_limb *limbs, uint32_t count);

#endif
