// SPDX-License-Identifier: Apache-2.0
#include "ckks/ckks.h"

#include "rlwe/sum.h"

#include <assert.h>
#include <math.h>

// ---- shapes ----

static void set_shape(vl_ciphertext *d, uint8_t degree, uint16_t level, double scale) {
    assert(level > 0 && level <= d->capacity && degree >= 1 && degree <= 2);
    for (uint8_t i = 0; i <= degree; i++) {
        assert(d->c[i].x);
        d->c[i].nq = level;
        d->c[i].np = 0;
    }
    d->degree = degree;
    d->level = level;
    d->scale = scale;
}

static uint16_t min_level(const vl_ciphertext *a, const vl_ciphertext *b) {
    return a->level < b->level ? a->level : b->level;
}

static void copy_unless_same(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    if (d.x != a.x) vl_ring_copy(x, ring, d, a);
}

// ---- addition ----

static void add_or_sub(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b,
                       void (*op)(vl_exec *, const vl_ring *, vl_poly, vl_poly, vl_poly), bool negate) {
    assert(fabs(a->scale - b->scale) <= 0x1p-36 * fabs(a->scale));
    vl_ciphertext u = *a, v = *b; // d may be either
    set_shape(d, u.degree > v.degree ? u.degree : v.degree, min_level(&u, &v), u.scale);
    for (uint8_t i = 0; i <= d->degree; i++) {
        if (i <= u.degree && i <= v.degree)
            op(x, &p->ring, d->c[i], u.c[i], v.c[i]);
        else if (i <= u.degree)
            copy_unless_same(x, &p->ring, d->c[i], u.c[i]);
        else if (negate)
            vl_ring_neg(x, &p->ring, d->c[i], v.c[i]);
        else
            copy_unless_same(x, &p->ring, d->c[i], v.c[i]);
    }
}

void vl_ckks_add(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b) {
    add_or_sub(x, p, d, a, b, vl_ring_add, false);
}

void vl_ckks_sub(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b) {
    add_or_sub(x, p, d, a, b, vl_ring_sub, true);
}

void vl_ckks_neg(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a) {
    vl_ciphertext u = *a;
    set_shape(d, u.degree, u.level, u.scale);
    for (uint8_t i = 0; i <= u.degree; i++) vl_ring_neg(x, &p->ring, d->c[i], u.c[i]);
}

// All but c[0], which the caller makes.
static vl_ciphertext begin_with_rest(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a) {
    vl_ciphertext u = *a;
    set_shape(d, u.degree, u.level, u.scale);
    for (uint8_t i = 1; i <= u.degree; i++) copy_unless_same(x, &p->ring, d->c[i], u.c[i]);
    return u;
}

void vl_ckks_add_plain(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, vl_poly m) {
    assert(m.np == 0 && m.nq >= a->level);
    vl_ciphertext u = begin_with_rest(x, p, d, a);
    vl_ring_add(x, &p->ring, d->c[0], u.c[0], m);
}

void vl_ckks_mul_plain(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, vl_poly m,
                       double m_scale) {
    assert(m.np == 0 && m.nq >= a->level);
    vl_ciphertext u = *a;
    set_shape(d, u.degree, u.level, u.scale * m_scale);
    for (uint8_t i = 0; i <= u.degree; i++) vl_ring_mul(x, &p->ring, d->c[i], u.c[i], m);
}

// ---- constants ---- an integer of any size is s 2^shift, |s| < 2^62 (a double has 53 bits, so nothing is lost)

typedef struct big_integer {
    int64_t s;
    unsigned shift;
} big_integer;

static big_integer integer_of(double v) {
    assert(isfinite(v));
    v = rint(v);
    if (fabs(v) < 0x1p62) return (big_integer){(int64_t)v, 0};
    int exponent;
    double mantissa = frexp(v, &exponent);
    return (big_integer){(int64_t)ldexp(mantissa, 53), (unsigned)(exponent - 53)};
}

static void shift_left(vl_exec *x, const vl_ring *ring, vl_poly d, unsigned shift) {
    for (; shift > 0; shift -= shift < 61 ? shift : 61)
        vl_ring_mul_i64(x, ring, d, d, INT64_C(1) << (shift < 61 ? shift : 61));
}

void vl_ckks_add_const(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, double c) {
    big_integer v = integer_of(c * a->scale);
    vl_ciphertext u = begin_with_rest(x, p, d, a);
    if (v.shift == 0) {
        vl_ring_add_i64(x, &p->ring, d->c[0], u.c[0], v.s);
        return;
    }
    size_t mark = vl_arena_mark(&x->arena);
    vl_poly constant = vl_poly_take(&p->ring, &x->arena, u.level, 0);
    vl_ring_zero(&p->ring, constant);
    vl_ring_add_i64(x, &p->ring, constant, constant, v.s);
    shift_left(x, &p->ring, constant, v.shift);
    vl_ring_add(x, &p->ring, d->c[0], u.c[0], constant);
    vl_arena_release(&x->arena, mark);
}

void vl_ckks_mul_const(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, double c,
                       double const_scale) {
    big_integer v = integer_of(c * const_scale);
    vl_ciphertext u = *a;
    set_shape(d, u.degree, u.level, u.scale * const_scale);
    for (uint8_t i = 0; i <= u.degree; i++) {
        vl_ring_mul_i64(x, &p->ring, d->c[i], u.c[i], v.s);
        if (v.shift) shift_left(x, &p->ring, d->c[i], v.shift);
    }
}

// ---- multiplication ----

static vl_sum product_of(const vl_ciphertext *a, const vl_ciphertext *b) {
    vl_sum s = vl_sum_empty(min_level(a, b), a->scale * b->scale);
    vl_sum_add_product(&s, a, b);
    return s;
}

void vl_ckks_mul(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b,
                 const vl_switch_key *relin) {
    assert(a->degree == 1 && b->degree == 1);
    if (relin) {
        vl_sum s = product_of(a, b);
        vl_rlwe_relinearise_sum(x, p, relin, &s, false, d);
        return;
    }
    const vl_ring *ring = &p->ring;
    vl_ciphertext u = *a, v = *b;
    uint16_t level = min_level(&u, &v);
    double scale = u.scale * v.scale;
    size_t mark = vl_arena_mark(&x->arena);
    bool shared = d->c[0].x == u.c[0].x || d->c[0].x == v.c[0].x; // the tensor product may not overwrite its inputs
    vl_ciphertext t = shared ? vl_ciphertext_take(p, &x->arena, level, 2) : *d;
    t.capacity = shared ? level : d->capacity;
    set_shape(&t, 2, level, scale);
    vl_poly left[2] = {vl_poly_prefix(u.c[0], level), vl_poly_prefix(u.c[1], level)};
    vl_poly right[2] = {vl_poly_prefix(v.c[0], level), vl_poly_prefix(v.c[1], level)};
    vl_ring_tensor(x, ring, t.c, left, right);
    set_shape(d, 2, level, scale);
    if (shared)
        for (uint8_t i = 0; i <= 2; i++) vl_ring_copy(x, ring, d->c[i], t.c[i]);
    vl_arena_release(&x->arena, mark);
}

void vl_ckks_square(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                    const vl_switch_key *relin) {
    vl_ckks_mul(x, p, d, a, a, relin);
}

void vl_ckks_mul_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                         const vl_ciphertext *b, const vl_switch_key *relin) {
    vl_sum s = product_of(a, b);
    vl_rlwe_relinearise_sum(x, p, relin, &s, true, d);
}

void vl_ckks_square_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a,
                            const vl_switch_key *relin) {
    vl_ckks_mul_rescale(x, p, d, a, a, relin);
}

void vl_ckks_rescale(vl_exec *x, const vl_params *p, vl_ciphertext *d, const vl_ciphertext *a) {
    assert(a->level >= 2);
    vl_ciphertext u = *a;
    set_shape(d, u.degree, (uint16_t)(u.level - 1), u.scale / (double)p->literal.q[u.level - 1]);
    for (uint8_t i = 0; i <= u.degree; i++) vl_ring_rescale(x, &p->ring, d->c[i], u.c[i]);
}

// ---- automorphisms ----

static void apply_galois(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a,
                         uint64_t galois) {
    const vl_switch_key *key = vl_eval_keys_find(keys, galois);
    assert(key && key->nq >= a->level && a->degree == 1);
    set_shape(d, 1, a->level, a->scale);
    vl_rlwe_rotate(x, keys->params, key, d, a);
}

void vl_ckks_rotate(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a, int32_t k) {
    uint64_t galois = vl_params_galois(keys->params, k);
    if (galois != 1) {
        apply_galois(x, keys, d, a, galois);
        return;
    }
    vl_ciphertext u = begin_with_rest(x, keys->params, d, a);
    copy_unless_same(x, &keys->params->ring, d->c[0], u.c[0]);
}

void vl_ckks_conjugate(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a) {
    apply_galois(x, keys, d, a, vl_params_galois_conj(keys->params));
}

size_t vl_ckks_scratch_threads(const vl_params *p, uint16_t level, uint32_t threads) {
    return 3 * vl_arena_need(vl_poly_bytes(&p->ring, level, 0)) + 256 + vl_rlwe_scratch_threads(p, level, threads) +
           vl_ring_scratch_threads(&p->ring, threads);
}

size_t vl_ckks_scratch(const vl_params *p, uint16_t level) { return vl_ckks_scratch_threads(p, level, vl_cpu_count()); }
