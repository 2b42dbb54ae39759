// SPDX-License-Identifier: Apache-2.0
// The saved form of a ciphertext (little-endian): form:u8 (0 full, 1 seeded), degree:u8, level:u16, scale:f64,
// then c_0 .. c_degree packed; seeded (degree 1): seed[32], c_0 packed.
#include "rlwe/pack.h"
#include "rlwe/rlwe.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

enum { FORM_FULL = 0, FORM_SEEDED = 1 };

static void save_head(const vl_ciphertext *ct, uint8_t form, vl_writer *w) {
    vl_write_u8(w, form);
    vl_write_u8(w, ct->degree);
    vl_write_u16(w, ct->level);
    vl_write_f64(w, ct->scale);
}

void vl_ciphertext_save_seeded(const vl_params *p, const vl_ciphertext *ct, const uint8_t seed[VL_SEED_BYTES],
                               vl_writer *w) {
    assert(ct->degree == 1);
    save_head(ct, FORM_SEEDED, w);
    vl_write_bytes(w, seed, VL_SEED_BYTES);
    vl_pack_poly(&p->ring, vl_poly_prefix(ct->c[0], ct->level), w);
}

void vl_ciphertext_save(const vl_params *p, const vl_ciphertext *ct, vl_writer *w) {
    save_head(ct, FORM_FULL, w);
    for (uint32_t i = 0; i <= ct->degree; i++) vl_pack_poly(&p->ring, vl_poly_prefix(ct->c[i], ct->level), w);
}

static velum_status fill(vl_exec *x, const vl_params *p, const uint8_t *in, uint32_t polys, vl_ciphertext *made) {
    size_t bytes = vl_pack_poly_bytes(&p->ring, made->level, 0);
    for (uint32_t c = 0; c < polys; c++) {
        uint32_t bad = vl_unpack_poly(x, &p->ring, in + c * bytes, made->c[c]);
        VL_FAIL_IF(bad < made->level, VELUM_E_FORMAT,
                   "ciphertext: polynomial %u, limb %u: a residue is not below %" PRIu64, c, bad, p->ring.mod[bad].q);
    }
    return VELUM_OK;
}

velum_status vl_ciphertext_load(vl_exec *x, const vl_params *p, vl_reader *r, bool allow_seeded, uint16_t expect_level,
                                double expect_scale, vl_ciphertext *out) {
    uint8_t form = vl_read_u8(r), degree = vl_read_u8(r);
    uint16_t level = vl_read_u16(r);
    double scale = vl_read_f64(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "ciphertext: cut short");
    VL_FAIL_IF(form != FORM_FULL && form != FORM_SEEDED, VELUM_E_FORMAT, "ciphertext: form %u is unknown", form);
    VL_FAIL_IF(form == FORM_SEEDED && !allow_seeded, VELUM_E_FORMAT, "ciphertext: a seeded one where none is allowed");
    VL_FAIL_IF(degree < 1 || degree > (form == FORM_SEEDED ? 1 : 2), VELUM_E_FORMAT, "ciphertext: degree %u", degree);
    VL_FAIL_IF(level == 0 || level > p->ring.q_count, VELUM_E_FORMAT, "ciphertext: level %u, must be 1 to %u", level,
               p->ring.q_count);
    VL_FAIL_IF(expect_level && level != expect_level, VELUM_E_FORMAT, "ciphertext: level %u, expected %u", level,
               expect_level);
    VL_FAIL_IF(!(isnormal(scale) && scale > 0), VELUM_E_FORMAT, "ciphertext: scale %g is not positive and normal",
               scale);
    VL_FAIL_IF(expect_scale > 0 && !(fabs(scale - expect_scale) <= expect_scale * 0x1p-40), VELUM_E_FORMAT,
               "ciphertext: scale %.17g, expected %.17g", scale, expect_scale);
    uint8_t seed[VL_SEED_BYTES];
    uint32_t polys = form == FORM_SEEDED ? 1 : degree + 1u;
    if (form == FORM_SEEDED) vl_read_bytes(r, seed, sizeof seed);
    const uint8_t *in = vl_read_view(r, polys * vl_pack_poly_bytes(&p->ring, level, 0));
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "ciphertext: cut short");
    vl_ciphertext made;
    VL_TRY(vl_ciphertext_new(p, level, degree, &made));
    velum_status status = fill(x, p, in, polys, &made);
    if (status != VELUM_OK) {
        vl_ciphertext_free(&made);
        return status;
    }
    if (form == FORM_SEEDED) vl_ring_uniform(x, &p->ring, made.c[1], seed, 0);
    made.scale = scale;
    *out = made;
    return VELUM_OK;
}
