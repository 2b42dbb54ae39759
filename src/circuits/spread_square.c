// SPDX-License-Identifier: Apache-2.0
// The square of both parts: with w the conjugate of z, p = z + w = 2 x, m = z - w = 2 i y and Y = X^{N/4}, which has
// Y^2 = i in every slot: (p - Y m) (p + Y m) = p^2 - i m^2 = 4 (x^2 + i y^2).
#include "arith/arith.h"
#include "circuits/spread.h"

#include <assert.h>
#include <math.h>

#define CHUNK 1024 // words at a time: what is in between stays in the cache
#define QUARTERS 4 // runs in which Y is constant in the NTT domain

typedef struct square_run {
    const vl_params *p;
    const vl_ciphertext *z, *w; // w: the conjugate; not looked at for one part
    const vl_ciphertext *d;     // of degree 2
    uint32_t parts;
    uint32_t exponent[QUARTERS]; // of psi^{N/4}, by run
    uint64_t *scratch;           // a slot: 6 CHUNK words
} square_run;

// In the NTT domain X^{N/4} is psi^{e N/4} at a position with exponent e: e modulo 8 tells it.
static void find_runs(const vl_ring *ring, uint32_t *exponents, uint32_t run[QUARTERS]) {
    vl_kernels_exponents(ring->log_n, exponents);
    const uint32_t length = ring->n / QUARTERS;
    for (uint32_t k = 0; k < ring->n; k++) {
        if (k % length == 0) run[k / length] = exponents[k] % 8;
        assert(exponents[k] % 8 == run[k / length]);
    }
}

// One chunk of a limb: the factors, (p - Y m) and (p + Y m), and their tensor product. y: Y there.
static void square_chunk(const square_run *s, const vl_modulus *m, uint64_t y, size_t at, size_t n, uint64_t *t) {
    const vl_kernels *k = m->k;
    uint64_t *a[2] = {t, t + CHUNK}, *b[2] = {t + 2 * (size_t)CHUNK, t + 3 * (size_t)CHUNK},
             *sum = t + 4 * (size_t)CHUNK, *turned = t + 5 * (size_t)CHUNK;
    for (uint32_t c = 0; c < 2; c++) {
        const uint64_t *z = s->z->c[c].x + at, *w = s->w->c[c].x + at;
        k->add(m, sum, z, w, n);
        k->sub(m, turned, z, w, n);
        k->mul_scalar(m, turned, turned, y, n);
        k->sub(m, a[c], sum, turned, n);
        k->add(m, b[c], sum, turned, n);
    }
    k->tensor(m, s->d->c[0].x + at, s->d->c[1].x + at, s->d->c[2].x + at, a[0], a[1], b[0], b[1], n);
}

static void square_limb(void *arg, size_t item, uint32_t slot) {
    const square_run *s = arg;
    const size_t n = s->p->ring.n, length = n / QUARTERS, at = item * n;
    const vl_modulus *m = &s->p->ring.mod[item];
    if (s->parts == 1) {
        const uint64_t *z0 = s->z->c[0].x + at, *z1 = s->z->c[1].x + at;
        m->k->tensor(m, s->d->c[0].x + at, s->d->c[1].x + at, s->d->c[2].x + at, z0, z1, z0, z1, n);
        return;
    }
    uint64_t root = vl_arith_pow(m->psi, n / 4, m->q);
    for (uint32_t r = 0; r < QUARTERS; r++) {
        uint64_t y = vl_arith_pow(root, s->exponent[r], m->q);
        for (size_t k = 0; k < length; k += CHUNK)
            square_chunk(s, m, y, at + r * length + k, length - k < CHUNK ? length - k : CHUNK,
                         s->scratch + (size_t)slot * 6 * CHUNK);
    }
}

typedef struct constant_run {
    const square_run *s;
    double value; // an integer
} constant_run;

// c or c (1 + X^{N/2}): i in every slot is X^{N/2}, which is Y^2.
static void add_constant(void *arg, size_t item, uint32_t slot) {
    const constant_run *j = arg;
    const square_run *s = j->s;
    (void)slot;
    const size_t n = s->p->ring.n, length = n / QUARTERS;
    const vl_modulus *m = &s->p->ring.mod[item];
    int exponent;
    double mantissa = frexp(j->value, &exponent); // value = (53-bit integer) 2^shift
    int shift = exponent > 53 ? exponent - 53 : 0;
    uint64_t c = vl_arith_from_i64((int64_t)ldexp(mantissa, exponent - shift), m->q);
    c = vl_arith_mul(c, vl_arith_pow(2, (uint64_t)shift, m->q), m->q);
    uint64_t root = vl_arith_pow(m->psi, n / 4, m->q);
    for (uint32_t r = 0; r < QUARTERS; r++) {
        uint64_t i = s->parts == 2 ? vl_arith_pow(root, 2 * s->exponent[r], m->q) : 0;
        uint64_t v = vl_arith_add(c, vl_arith_mul(c, i, m->q), m->q), *x = s->d->c[0].x + item * n + r * length;
        m->k->add_scalar(m, x, x, v, length);
    }
}

void vl_spread_square(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, uint32_t parts, double k,
                      vl_ciphertext *d, const vl_ciphertext *a) {
    assert(a->degree == 1 && d->capacity >= a->level && (parts == 1 || parts == 2));
    const uint16_t level = a->level;
    const double scale = a->scale * a->scale * (parts == 2 ? 4 : 1);
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext w = vl_ciphertext_take(p, &x->arena, level, 1), product = {.degree = 2, .level = level};
    for (uint32_t c = 0; c < 2; c++) product.c[c] = (vl_poly){d->c[c].x, level, 0};
    product.c[2] = vl_poly_take(&p->ring, &x->arena, level, 0);
    square_run s = {.p = p, .z = a, .w = &w, .d = &product, .parts = parts};
    find_runs(&p->ring, vl_arena_take(&x->arena, p->ring.n * sizeof(uint32_t)), s.exponent);
    if (parts == 2) { // chunk by chunk d may be a
        vl_ckks_conjugate(x, keys, &w, a);
    } else { // a tensor product's result may not be a factor
        vl_ciphertext_copy(x, p, &w, a);
        s.z = &w;
    }
    const size_t slot_bytes = 6 * (size_t)CHUNK * sizeof(uint64_t);
    uint32_t slots = vl_exec_slots(x, level, slot_bytes);
    s.scratch = vl_arena_take(&x->arena, slots * slot_bytes);
    vl_exec_each(x, slots, level, square_limb, &s);
    vl_rlwe_relinearise(x, p, vl_eval_keys_find(keys, 0), &product);
    constant_run constant = {&s, rint(k * scale)};
    if (k != 0) vl_exec_each(x, vl_exec_slots(x, level, 0), level, add_constant, &constant);
    for (uint32_t c = 0; c < 3; c++)
        if (d->c[c].x) d->c[c].nq = level;
    d->level = level;
    d->degree = 1;
    d->scale = scale;
    vl_arena_release(&x->arena, mark);
}

size_t vl_spread_square_scratch(const vl_params *p, uint16_t level) {
    size_t poly = vl_arena_need(vl_poly_bytes(&p->ring, level, 0));
    return 3 * poly + vl_arena_need(p->ring.n * sizeof(uint32_t)) +
           vl_cpu_count() * 6 * (size_t)CHUNK * sizeof(uint64_t) + vl_ckks_scratch(p, level) + 512;
}
