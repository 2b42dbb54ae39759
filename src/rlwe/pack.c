// SPDX-License-Identifier: Apache-2.0
#include "rlwe/pack.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

static uint64_t little_endian(uint64_t v) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(v);
#else
    return v;
#endif
}

size_t vl_pack_poly_bytes(const vl_ring *ring, uint32_t nq, uint32_t np) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < nq; i++) bytes += vl_pack_limb_bytes(ring, &ring->mod[i]);
    for (uint32_t i = 0; i < np; i++) bytes += vl_pack_limb_bytes(ring, &ring->mod[ring->q_count + i]);
    return bytes;
}

static void pack_limb(const uint64_t *in, size_t n, unsigned bits, uint8_t *out) {
    uint64_t held = 0;
    unsigned count = 0; // bits in `held`, < 64
    for (size_t k = 0; k < n; k++) {
        held |= in[k] << count;
        count += bits;
        if (count >= 64) {
            uint64_t word = little_endian(held);
            memcpy(out, &word, 8);
            out += 8;
            count -= 64;
            held = count ? in[k] >> (bits - count) : 0;
        }
    }
    for (; count > 0; count -= 8, held >>= 8) *out++ = (uint8_t)held;
}

void vl_pack_poly(const vl_ring *ring, vl_poly a, vl_writer *w) {
    for (uint32_t i = 0; i < (uint32_t)a.nq + a.np; i++) {
        const vl_modulus *m = vl_poly_modulus(ring, a, i);
        uint8_t *out = vl_write_space(w, vl_pack_limb_bytes(ring, m));
        if (out) pack_limb(vl_poly_limb(ring, a, i), ring->n, m->bits, out);
    }
}

// Words [0, count) of `bits` bits each, count a multiple of 8 and eight bytes readable from the start of each; what is
// not below q sets the top bit of the result. Eight words are `bits` bytes, so for constant bits all offsets and shifts
// are.
static inline __attribute__((always_inline)) uint64_t unpack_eights(const uint8_t *in, size_t count, unsigned bits,
                                                                    uint64_t q, uint64_t *out) {
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t over = 0;
    for (size_t k = 0; k < count; k += 8, in += bits, out += 8)
        for (unsigned t = 0; t < 8; t++) {
            uint64_t word;
            memcpy(&word, in + t * bits / 8, 8);
            out[t] = little_endian(word) >> (t * bits & 7) & mask;
            over |= q - 1 - out[t];
        }
    return over;
}

static uint64_t unpack_front(const uint8_t *in, size_t count, unsigned bits, uint64_t q, uint64_t *out) {
    switch (bits) { // the sizes that parameter sets use most
    case 30: return unpack_eights(in, count, 30, q, out);
    case 36: return unpack_eights(in, count, 36, q, out);
    case 40: return unpack_eights(in, count, 40, q, out);
    case 45: return unpack_eights(in, count, 45, q, out);
    case 49: return unpack_eights(in, count, 49, q, out);
    case 50: return unpack_eights(in, count, 50, q, out);
    default: return unpack_eights(in, count, bits, q, out);
    }
}

bool vl_unpack_limb(const vl_ring *ring, const vl_modulus *m, const uint8_t *in, uint64_t *out) {
    const size_t n = ring->n, bytes = vl_pack_limb_bytes(ring, m);
    const unsigned bits = m->bits;
    const uint64_t mask = (UINT64_C(1) << bits) - 1, q = m->q;
    assert(bits + 7 <= 64 && n % 8 == 0);
    // The last eight by themselves: eight bytes from a word's start may reach beyond the end.
    uint64_t over = unpack_front(in, n - 8, bits, q, out);
    for (size_t k = n - 8; k < n; k++) {
        uint64_t word = 0;
        size_t bit = k * bits, left = bytes - bit / 8;
        memcpy(&word, in + bit / 8, left < 8 ? left : 8);
        out[k] = little_endian(word) >> (bit & 7) & mask;
        over |= q - 1 - out[k];
    }
    return !(over >> 63);
}

typedef struct unpack_job {
    const vl_ring *ring;
    const uint8_t *in;
    vl_poly a;
    _Atomic uint32_t bad;
} unpack_job;

static void unpack_one(void *arg, size_t item, uint32_t slot) {
    unpack_job *j = arg;
    (void)slot;
    uint32_t i = (uint32_t)item, nq = i < j->a.nq ? i : j->a.nq;
    const uint8_t *in = j->in + vl_pack_poly_bytes(j->ring, nq, i - nq);
    if (vl_unpack_limb(j->ring, vl_poly_modulus(j->ring, j->a, i), in, vl_poly_limb(j->ring, j->a, i))) return;
    uint32_t seen = atomic_load(&j->bad);
    while (i < seen && !atomic_compare_exchange_weak(&j->bad, &seen, i)) {
    }
}

uint32_t vl_unpack_poly(vl_exec *x, const vl_ring *ring, const uint8_t *in, vl_poly a) {
    uint32_t limbs = (uint32_t)a.nq + a.np;
    unpack_job job = {.ring = ring, .in = in, .a = a};
    atomic_init(&job.bad, limbs);
    vl_exec_each(x, vl_exec_slots(x, limbs, 0), limbs, unpack_one, &job);
    return atomic_load(&job.bad);
}
