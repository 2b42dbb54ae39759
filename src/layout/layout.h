// SPDX-License-Identifier: Apache-2.0
// How tensors lie in slots: pure index maps, no cryptography. Client and compiler share them.
//
// A value is `dim` features for each of up to `lanes` requests, in `cts` ciphertexts of `slots` slots each.
//   packed    (cts = 1): feature f of request r at slots (c * period + f) * lanes + r, for every copy c that fits
//   `valid`
//                        feature positions; period is a power of two >= dim.
//   spread    (cts = dim, period = 1): ciphertext f holds feature f; slot r is request r; lanes = slots.
//   picture   (parts > 0): dim = channels height width; ciphertext (c phase_y + y mod phase_y) phase_x + x mod phase_x
//             holds feature (c, y, x) of request r at slot
//               (r mod groups) period + (y / phase_y) stride_y + (x / phase_x) stride_x,  groups = slots / period,
//             in the real part for r < groups, in the imaginary part (parts = 2) for the others; lanes = groups parts.
#ifndef VELUM_LAYOUT_LAYOUT_H
#define VELUM_LAYOUT_LAYOUT_H

#include "base/bytes.h"

typedef struct vl_layout {
    uint32_t slots, dim, period, lanes, cts;
    uint32_t valid; // feature positions that hold the periodic vector; slots / lanes when all do; a picture's is 1
    // Pictures; else all 0.
    uint32_t parts; // 1: real part only; 2: real and imaginary part
    uint32_t channels, height, width;
    uint32_t phase_y, phase_x;   // powers of two
    uint32_t stride_y, stride_x; // slots between neighbours of one phase
} vl_layout;

// Numbers that one ciphertext's slots are: slots of them, and of a picture of two parts the imaginary parts after the
// real ones.
static inline size_t vl_layout_room(const vl_layout *l) { return (size_t)l->slots * (l->parts > 1 ? 2 : 1); }
// VELUM_E_FORMAT if the numbers contradict one another (no two features may share a slot). Of a picture: at most 65536
// features; dim, cts, lanes as above, valid = 1; each phase holds a row and a column at least; and of the two strides
// one steps over all that the other reaches.
velum_status vl_layout_check(const vl_layout *l);
// Writes one ciphertext's vl_layout_room numbers from features[request * dim + f], `requests` <= lanes; unused lanes
// and features get 0.
void vl_layout_pack(const vl_layout *l, uint32_t ct, const double *features, uint32_t requests, double *slots);
// Reads features back from copy 0: features[request * dim + f] for the features that ciphertext ct holds.
void vl_layout_unpack(const vl_layout *l, uint32_t ct, const double *slots, uint32_t requests, double *features);
// 1 in the slots where ciphertext ct holds features in copy 0, 0 in all others: of one part, l->slots numbers.
void vl_layout_mask(const vl_layout *l, uint32_t ct, double *keep);
// Whether two are equal but, where told so, in how far they repeat.
bool vl_layout_same(const vl_layout *a, const vl_layout *b, bool ignore_valid);
#define VL_LAYOUT_BYTES 56u // as saved
void vl_layout_save(const vl_layout *l, vl_writer *w);
velum_status vl_layout_load(vl_reader *r, vl_layout *l);

#endif
