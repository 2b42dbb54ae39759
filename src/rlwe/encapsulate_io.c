// SPDX-License-Identifier: Apache-2.0
// The saved form, from a multiple of 64 bytes on: digest[32], weight:u32, level:u16, subring:u8, sums:u32,
// step:i32 (as u32), zeros to 64, seed of down, seed of
// up, b of down (q_0, p), b of each up (q_0 .. q_{level-1}, p), polynomials as in words.h.
#include "rlwe/encapsulate.h"
#include "rlwe/words.h"

#include <inttypes.h>
#include <string.h>

size_t vl_encapsulation_saved_bytes(const vl_params *p, uint16_t level, uint32_t sums) {
    size_t n = p->ring.n;
    return VL_WORDS_ALIGN + 2 * VL_SEED_BYTES + vl_words_poly_bytes(n, 2) + vl_words_poly_bytes(n, sums * (level + 1u));
}

void vl_encapsulation_save(const vl_encapsulation *k, vl_writer *w) {
    size_t n = k->params->ring.n;
    vl_write_align(w, VL_WORDS_ALIGN);
    vl_write_bytes(w, k->params->digest, VL_DIGEST_BYTES);
    vl_write_u32(w, k->shape.weight);
    vl_write_u16(w, k->shape.level);
    vl_write_u8(w, (uint8_t)k->shape.subring);
    vl_write_u32(w, k->shape.sums);
    vl_write_u32(w, (uint32_t)k->shape.step);
    vl_write_align(w, VL_WORDS_ALIGN);
    vl_write_bytes(w, k->seed, sizeof k->seed);
    vl_words_write(k->down_b, n, 2, w);
    vl_words_write(k->up_b, n, k->shape.sums * (k->shape.level + 1u), w);
}

static velum_status load_halves(vl_exec *x, vl_encapsulation *k, const uint8_t *down, const uint8_t *up, bool borrow) {
    const vl_params *p = k->params;
    const uint32_t limbs_up = k->shape.level + 1u, count = 2 + k->shape.sums * limbs_up;
    size_t n = p->ring.n;
    vl_words_limb *limbs = vl_alloc_array(count, sizeof *limbs);
    VL_FAIL_IF(!limbs, VELUM_E_NOMEM, "no memory for an encapsulation key");
    for (uint32_t at = 0; at < count; at++) {
        const bool is_up = at >= 2;
        const uint32_t i = is_up ? at - 2 : at, limb = is_up ? i % limbs_up : i, last = is_up ? k->shape.level : 1u;
        const uint32_t index = limb < last ? limb : p->ring.q_count;
        uint64_t *b = is_up ? k->up_b : k->down_b, *a = is_up ? k->up_a : k->down_a;
        limbs[at] = (vl_words_limb){.m = &p->ring.mod[index],
                                    .in = (is_up ? up : down) + i * n * 8,
                                    .b = borrow ? NULL : b + i * n,
                                    .a = a + i * n,
                                    .seed = k->seed[is_up],
                                    .domain = (is_up ? (uint64_t)(i / limbs_up) * VL_MAX_LIMBS : 0) + index};
    }
    uint32_t bad = vl_words_load(x, n, limbs, count);
    uint64_t q = bad < count ? limbs[bad].m->q : 0;
    vl_free(limbs);
    VL_FAIL_IF(bad < count, VELUM_E_FORMAT, "encapsulation key %s: limb %u: a residue is not below %" PRIu64,
               bad < 2 ? "to the sparse secret" : "to the main secret", bad < 2 ? bad : bad - 2, q);
    return VELUM_OK;
}

velum_status vl_encapsulation_load(vl_exec *x, const vl_params *p, vl_reader *r, vl_encapsulation *out) {
    size_t n = p->ring.n;
    uint8_t digest[VL_DIGEST_BYTES], seed[2][VL_SEED_BYTES];
    vl_read_align(r, VL_WORDS_ALIGN);
    vl_read_bytes(r, digest, sizeof digest);
    vl_encapsulation_shape shape = {.weight = vl_read_u32(r)};
    const uint16_t level = shape.level = vl_read_u16(r);
    shape.subring = vl_read_u8(r);
    const uint32_t sums = shape.sums = vl_read_u32(r);
    const int32_t step = shape.step = (int32_t)vl_read_u32(r);
    vl_read_align(r, VL_WORDS_ALIGN);
    vl_read_bytes(r, seed, sizeof seed);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "encapsulation key: cut short or damaged at its head");
    VL_FAIL_IF(memcmp(digest, p->digest, sizeof digest) != 0, VELUM_E_MISMATCH,
               "encapsulation key: made for other parameters");
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_FORMAT, "encapsulation key: level %u, must be 2 to %u",
               level, p->ring.q_count);
    VL_FAIL_IF(shape.subring < 1 || shape.subring > 2 || shape.weight == 0 || shape.weight > p->ring.n / shape.subring,
               VELUM_E_FORMAT, "encapsulation key: a secret of weight %u in the powers of X^%u", shape.weight,
               shape.subring);
    bool good = sums > 0 && sums <= VL_ENCAPSULATION_MAX_SUMS && !(sums & (sums - 1)) && step >= 0 &&
                (uint64_t)sums * (uint32_t)step <= p->ring.n;
    VL_FAIL_IF(!good, VELUM_E_FORMAT, "encapsulation key: a sum of %u rotations by %d", sums, step);
    const uint8_t *down = vl_read_view(r, vl_words_poly_bytes(n, 2));
    const uint8_t *up = vl_read_view(r, vl_words_poly_bytes(n, sums * (level + 1u)));
    VL_FAIL_IF(!up, VELUM_E_FORMAT, "encapsulation key: cut short");
    VL_FAIL_IF(!vl_words_gap_is_zero(down, n, 2) || !vl_words_gap_is_zero(up, n, sums * (level + 1u)), VELUM_E_FORMAT,
               "encapsulation key: a gap is not zero");
    vl_encapsulation k;
    bool borrow = vl_words_can_borrow(r, down) && vl_words_can_borrow(r, up);
    VL_TRY(vl_encapsulation_init(p, &shape, !borrow, &k));
    memcpy(k.seed, seed, sizeof seed);
    velum_status status = load_halves(x, &k, down, up, borrow);
    if (status != VELUM_OK) {
        vl_encapsulation_free(&k);
        return status;
    }
    if (borrow) { // read only
        k.down_b = (uint64_t *)(uintptr_t)down;
        k.up_b = (uint64_t *)(uintptr_t)up;
    }
    *out = k;
    return VELUM_OK;
}
