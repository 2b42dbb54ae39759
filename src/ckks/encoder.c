// SPDX-License-Identifier: Apache-2.0
#include "arith/arith.h"
#include "ckks/ckks.h"
#include "ckks/fft.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct vl_encoder {
    const vl_params *params;
    vl_ckks_fft fft;
    uint64_t *garner; // for all of Q; a prefix of its rows and columns serves fewer limbs
};

velum_status vl_encoder_new(const vl_params *p, vl_encoder **out) {
    uint32_t limbs = p->ring.q_count;
    vl_encoder *e = vl_alloc(sizeof *e);
    uint64_t *garner = vl_alloc_array((size_t)limbs * limbs, sizeof *garner);
    velum_status status = e && garner ? vl_ckks_fft_init(&e->fft, p->ring.log_n - 1)
                                      : VL_FAIL(VELUM_E_NOMEM, "no memory for the encoder's tables");
    if (status != VELUM_OK) {
        vl_free(e);
        vl_free(garner);
        return status;
    }
    e->params = p;
    e->garner = garner;
    vl_arith_garner_init(p->literal.q, limbs, garner);
    *out = e;
    return VELUM_OK;
}

void vl_encoder_free(vl_encoder *e) {
    if (!e) return;
    vl_ckks_fft_clear(&e->fft);
    vl_free(e->garner);
    vl_free(e);
}

const vl_params *vl_encoder_params(const vl_encoder *e) { return e->params; }

size_t vl_encoder_scratch(const vl_params *p, uint32_t nq, uint32_t np) {
    size_t n = p->ring.n;
    return 4 * vl_arena_need(n * sizeof(double)) + vl_arena_need(vl_poly_bytes(&p->ring, nq, np)) +
           vl_arena_need((size_t)nq * nq * sizeof(uint64_t)) + vl_ring_scratch(&p->ring, nq, np);
}

static unsigned log2_of(uint32_t count) { return (unsigned)__builtin_ctz(count); }

// ---- encode ----

// What every coefficient must stay below: 2^61 and half the modulus.
static double coefficient_limit(const vl_ring *ring, vl_poly m) {
    double product = 0.5;
    for (uint32_t i = 0; i < (uint32_t)m.nq + m.np && product < 0x1p61; i++)
        product *= (double)vl_poly_modulus(ring, m, i)->q;
    return product < 0x1p61 ? product : 0x1p61;
}

// To the nearest integer, ties to even. Below 2^51 by the addition of 1.5 2^52, which leaves the integer in the low
// bits.
static int64_t round_to_word(double v) {
    const double magic = 0x1.8p52;
    if (!(fabs(v) < 0x1p51)) return (int64_t)rint(v);
    double t = v + magic;
    int64_t bits, base;
    memcpy(&bits, &t, sizeof bits);
    memcpy(&base, &magic, sizeof base);
    return bits - base;
}

// (re, im): the slots; overwritten. c: N words, the coefficients; m: their limit.
static velum_status encode_parts(const vl_encoder *e, double *re, double *im, uint32_t count, double scale, vl_poly m,
                                 int64_t *c) {
    const vl_ring *ring = &e->params->ring;
    uint32_t n = ring->n, half = n / 2, gap = half / count;
    unsigned log = log2_of(count);
    vl_ckks_fft_inverse(&e->fft, log, re, im);

    if (gap > 1) memset(c, 0, n * sizeof *c);
    double factor = scale / count, limit = coefficient_limit(ring, m);
    bool good = true;
    for (uint32_t j = 0; j < count; j++) {
        uint32_t at = vl_ckks_fft_reverse(&e->fft, log, j);
        double u = re[at] * factor, v = im[at] * factor;
        bool inside = fabs(u) < limit && fabs(v) < limit;
        good &= inside;
        c[j * gap] = round_to_word(inside ? u : 0);
        c[half + j * gap] = round_to_word(inside ? v : 0);
    }
    VL_FAIL_IF(!good, VELUM_E_VALUE, "a value to encode is not finite, or too large for scale 2^%.1f and its modulus",
               log2(scale));
    return VELUM_OK;
}

// To m, or where words is given to these alone (m then has no storage).
static velum_status encode_any(vl_exec *x, const vl_encoder *e, const double *v, const double complex *z,
                               uint32_t count, double scale, vl_poly m, int64_t *words) {
    assert(count > 0 && (count & (count - 1)) == 0 && count <= e->params->ring.n / 2);
    VL_FAIL_IF(!(scale > 0) || !isfinite(scale), VELUM_E_VALUE, "scale %g is not a positive number", scale);
    size_t mark = vl_arena_mark(&x->arena);
    double *re = vl_arena_take(&x->arena, count * sizeof *re), *im = vl_arena_take(&x->arena, count * sizeof *im);
    if (v) {
        memcpy(re, v, count * sizeof *re);
        memset(im, 0, count * sizeof *im);
    } else {
        for (uint32_t i = 0; i < count; i++) re[i] = creal(z[i]), im[i] = cimag(z[i]);
    }
    const vl_ring *ring = &e->params->ring;
    int64_t *c = words ? words : vl_arena_take(&x->arena, ring->n * sizeof *c);
    velum_status status = encode_parts(e, re, im, count, scale, m, c);
    if (status == VELUM_OK && !words) {
        vl_ring_from_i64(x, ring, m, c);
        vl_ring_ntt(x, ring, m, m);
    }
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_encode_real(vl_exec *x, const vl_encoder *e, const double *v, uint32_t count, double scale, vl_poly m) {
    return encode_any(x, e, v, NULL, count, scale, m, NULL);
}

velum_status vl_encode_complex(vl_exec *x, const vl_encoder *e, const double complex *v, uint32_t count, double scale,
                               vl_poly m) {
    return encode_any(x, e, NULL, v, count, scale, m, NULL);
}

velum_status vl_encode_coefficients(vl_exec *x, const vl_encoder *e, const double *v, const double complex *z,
                                    uint32_t count, double scale, uint32_t nq, uint32_t np, int64_t *c) {
    return encode_any(x, e, v, z, count, scale, (vl_poly){NULL, (uint16_t)nq, (uint16_t)np}, c);
}

// ---- decode ----

typedef struct reconstruct_job {
    const vl_ring *ring;
    const vl_encoder *e;
    vl_poly m; // coefficients
    const uint64_t *garner;
    unsigned log;
    uint32_t gap;
    double scale, *re, *im;
} reconstruct_job;

static double reconstruct_one(const reconstruct_job *j, uint32_t at) {
    uint64_t r[VL_MAX_LIMBS];
    for (uint32_t i = 0; i < j->m.nq; i++) r[i] = vl_poly_limb(j->ring, j->m, i)[at];
    return vl_arith_garner_double(r, j->e->params->literal.q, j->m.nq, j->garner) / j->scale;
}

static void reconstruct(void *arg, size_t begin, size_t end, unsigned worker) {
    (void)worker;
    const reconstruct_job *j = arg;
    for (size_t k = begin; k < end; k++) {
        uint32_t to = vl_ckks_fft_reverse(&j->e->fft, j->log, (uint32_t)k), at = (uint32_t)k * j->gap;
        j->re[to] = reconstruct_one(j, at);
        j->im[to] = reconstruct_one(j, j->ring->n / 2 + at);
    }
}

static void decode_parts(vl_exec *x, const vl_encoder *e, vl_poly m, double scale, uint32_t count, double *re,
                         double *im) {
    const vl_ring *ring = &e->params->ring;
    assert(count > 0 && (count & (count - 1)) == 0 && count <= ring->n / 2 && m.np == 0 && m.nq > 0);
    vl_poly coeffs = vl_poly_take(ring, &x->arena, m.nq, 0);
    vl_ring_intt(x, ring, coeffs, m);
    uint32_t nq = m.nq, stride = ring->q_count;
    uint64_t *garner = vl_arena_take(&x->arena, (size_t)nq * nq * sizeof *garner);
    for (uint32_t i = 0; i < nq; i++)
        memcpy(garner + (size_t)i * nq, e->garner + (size_t)i * stride, nq * sizeof *garner);
    reconstruct_job job = {ring, e, coeffs, garner, log2_of(count), ring->n / 2 / count, scale, re, im};
    vl_parallel_for(x->pool, count, 256, reconstruct, &job);
    vl_ckks_fft_forward(&e->fft, job.log, re, im);
}

velum_status vl_decode_complex(vl_exec *x, const vl_encoder *e, vl_poly m, double scale, double complex *v,
                               uint32_t count) {
    VL_FAIL_IF(!(scale > 0) || !isfinite(scale), VELUM_E_VALUE, "scale %g is not a positive number", scale);
    size_t mark = vl_arena_mark(&x->arena);
    double *re = vl_arena_take(&x->arena, count * sizeof *re), *im = vl_arena_take(&x->arena, count * sizeof *im);
    decode_parts(x, e, m, scale, count, re, im);
    double *parts = (double *)v; // a complex number is its two parts, in this order
    for (uint32_t i = 0; i < count; i++) parts[2 * i] = re[i], parts[2 * i + 1] = im[i];
    vl_arena_release(&x->arena, mark);
    return VELUM_OK;
}

velum_status vl_decode_real(vl_exec *x, const vl_encoder *e, vl_poly m, double scale, double *v, uint32_t count) {
    VL_FAIL_IF(!(scale > 0) || !isfinite(scale), VELUM_E_VALUE, "scale %g is not a positive number", scale);
    size_t mark = vl_arena_mark(&x->arena);
    double *re = vl_arena_take(&x->arena, count * sizeof *re), *im = vl_arena_take(&x->arena, count * sizeof *im);
    decode_parts(x, e, m, scale, count, re, im);
    memcpy(v, re, count * sizeof *v);
    vl_arena_release(&x->arena, mark);
    return VELUM_OK;
}
