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

bool vl_unpack_limb(const vl_ring *ring, const vl_modulus *m, const uint8_t *in, uint64_t *out) {
    const size_t n = ring->n, bytes = vl_pack_limb_bytes(ring, m);
    const unsigned bits = m->bits;
    const uint64_t mask = (UINT64_C(1) << bits) - 1, q = m->q;
    assert(bits + 7 <= 64);
    uint64_t bad = 0;
    size_t k = 0, bit = 0;
    for (; k < n && bit / 8 + 8 <= bytes; k++, bit += bits) {
        uint64_t word;
        memcpy(&word, in + bit / 8, 8);
        out[k] = little_endian(word) >> (bit & 7) & mask;
        bad |= out[k] >= q;
    }
    for (; k < n; k++, bit += bits) { // the last few, where eight bytes would reach beyond the end
        uint64_t word = 0;
        memcpy(&word, in + bit / 8, bytes - bit / 8);
        out[k] = little_endian(word) >> (bit & 7) & mask;
        bad |= out[k] >= q;
    }
    return bad == 0;
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
