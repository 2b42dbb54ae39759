// SPDX-License-Identifier: Apache-2.0
// Residues as a bit stream: residue k of a limb takes bits [k bits, (k + 1) bits), little-endian, bits = ceil(log2 q).
// N is a multiple of 8, so a limb ends on a byte and there is no padding.
#ifndef VELUM_RLWE_PACK_H
#define VELUM_RLWE_PACK_H

#include "base/bytes.h"
#include "ring/ring.h"

static inline size_t vl_pack_limb_bytes(const vl_ring *ring, const vl_modulus *m) {
    return (size_t)ring->n / 8 * m->bits;
}
size_t vl_pack_poly_bytes(const vl_ring *ring, uint32_t nq, uint32_t np);
void vl_pack_poly(const vl_ring *ring, vl_poly a, vl_writer *w);
// One limb; false if a residue is not below q (the limb is then written but not to be used).
bool vl_unpack_limb(const vl_ring *ring, const vl_modulus *m, const uint8_t *in, uint64_t *out);

// A polynomial's limbs by a parallel loop; the index of the first bad limb, or nq + np if all residues are in range.
uint32_t vl_unpack_poly(vl_exec *x, const vl_ring *ring, const uint8_t *in, vl_poly a);

#endif
