// SPDX-License-Identifier: Apache-2.0
#include "rlwe/sum.h"

#include "arith/arith.h"

#include <assert.h>
#include <math.h>
#include <string.h>

vl_sum vl_sum_empty(uint16_t level, double scale) { return (vl_sum){.level = level, .scale = scale, .times = 1}; }

void vl_sum_add_product(vl_sum *s, const vl_ciphertext *a, const vl_ciphertext *b) {
    assert(s->products < VL_SUM_PRODUCTS && a->degree == 1 && b->degree == 1);
    assert(a->level >= s->level && b->level >= s->level);
    s->product[s->products++] = (struct vl_sum_product){{a->c[0], a->c[1]}, {b->c[0], b->c[1]}};
}

void vl_sum_add_term(vl_sum *s, const vl_ciphertext *t, int64_t factor) {
    assert(s->terms < VL_SUM_TERMS && t->degree == 1 && t->level >= s->level);
    s->term[s->terms++] = (struct vl_sum_term){{t->c[0], t->c[1]}, factor};
}

void vl_sum_add_constant(vl_sum *s, double value) { s->constant += rint(value * s->scale); }

// An integer of any size, given as a double, mod q.
static uint64_t residue_of(double v, uint64_t q) {
    int exponent;
    assert(isfinite(v));
    if (fabs(v) < 0x1p62) return vl_arith_from_i64((int64_t)v, q);
    int64_t mantissa = (int64_t)ldexp(frexp(v, &exponent), 53);
    return vl_arith_mul(vl_arith_from_i64(mantissa, q), vl_arith_pow(2, (uint64_t)exponent - 53, q), q);
}

static void times_in_place(const vl_modulus *m, int64_t times, uint64_t *d, size_t n) {
    if (times == 2)
        m->k->add(m, d, d, d, n);
    else if (times != 1)
        m->k->mul_scalar(m, d, d, vl_arith_from_i64(times, m->q), n);
}

void vl_sum_last(const vl_params *p, const vl_sum *s, uint32_t i, uint64_t *d) {
    const vl_modulus *m = &p->ring.mod[i];
    for (uint32_t k = 0; k < s->products; k++) {
        const uint64_t *a = vl_poly_limb(&p->ring, s->product[k].a[1], i);
        const uint64_t *b = vl_poly_limb(&p->ring, s->product[k].b[1], i);
        (k == 0 ? m->k->mul : m->k->mul_add)(m, d, a, b, p->ring.n);
    }
    times_in_place(m, s->times, d, p->ring.n);
}

// d = the words of part c of all terms; the constant with those of part 0.
static void terms_part(const vl_params *p, const vl_sum *s, uint32_t c, uint32_t i, size_t begin, size_t n,
                       uint64_t *d) {
    const vl_modulus *m = &p->ring.mod[i];
    const uint64_t *t[VL_SUM_TERMS];
    uint64_t factor[VL_SUM_TERMS];
    for (uint32_t k = 0; k < s->terms; k++) {
        t[k] = vl_poly_limb(&p->ring, s->term[k].t[c], i) + begin;
        factor[k] = vl_arith_from_i64(s->term[k].factor, m->q);
    }
    if (s->terms == 0)
        memset(d, 0, n * sizeof *d);
    else
        m->k->mix(m, &d, 1, t, s->terms, factor, n);
    if (c == 0 && s->constant != 0) m->k->add_scalar(m, d, d, residue_of(s->constant, m->q), n);
}

void vl_sum_part(const vl_params *p, const vl_sum *s, uint32_t i, size_t begin, size_t n, uint64_t *const d[3],
                 uint64_t *const t[3]) {
    const vl_modulus *m = &p->ring.mod[i];
    for (uint32_t k = 0; k < s->products; k++) {
        const uint64_t *a[2], *b[2];
        for (uint32_t c = 0; c < 2; c++) {
            a[c] = vl_poly_limb(&p->ring, s->product[k].a[c], i) + begin;
            b[c] = vl_poly_limb(&p->ring, s->product[k].b[c], i) + begin;
        }
        uint64_t *const *to = k == 0 ? d : t;
        m->k->tensor(m, to[0], to[1], to[2], a[0], a[1], b[0], b[1], n);
        for (uint32_t c = 0; c < 3 && k > 0; c++) m->k->add(m, d[c], d[c], t[c], n);
    }
    for (uint32_t c = 0; c < 3; c++) times_in_place(m, s->times, d[c], n);
    if (s->terms == 0) {
        if (s->constant != 0) m->k->add_scalar(m, d[0], d[0], residue_of(s->constant, m->q), n);
        return;
    }
    for (uint32_t c = 0; c < 2; c++) {
        terms_part(p, s, c, i, begin, n, t[c]);
        m->k->add(m, d[c], d[c], t[c], n);
    }
}

typedef struct terms_job {
    const vl_params *p;
    const vl_sum *s;
    vl_ciphertext *out;
} terms_job;

static void terms_limb(void *arg, size_t item, uint32_t slot) {
    const terms_job *j = arg;
    (void)slot;
    for (uint32_t c = 0; c < 2; c++)
        terms_part(j->p, j->s, c, (uint32_t)item, 0, j->p->ring.n,
                   vl_poly_limb(&j->p->ring, j->out->c[c], (uint32_t)item));
}

void vl_rlwe_sum_terms(vl_exec *x, const vl_params *p, const vl_sum *s, vl_ciphertext *out) {
    assert(s->products == 0 && out->capacity >= s->level);
    for (uint32_t c = 0; c < 2; c++) out->c[c].nq = s->level;
    out->level = s->level;
    out->degree = 1;
    out->scale = s->scale;
    terms_job j = {p, s, out};
    vl_exec_each(x, vl_exec_slots(x, s->level, 0), s->level, terms_limb, &j);
}
