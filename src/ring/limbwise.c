// SPDX-License-Identifier: Apache-2.0
// Operations that treat each limb by itself: one job, one loop over limbs, one small function an operation.
#include "arith/arith.h"
#include "ring/ring.h"

#include <assert.h>
#include <string.h>

#define CHUNK 32768u // coefficients below which a limb is not worth a hand-over to another thread

typedef struct limb_job limb_job;
typedef void (*limb_fn)(const limb_job *j, const vl_modulus *m, uint32_t i);
struct limb_job {
    limb_fn fn;
    const vl_ring *ring;
    vl_poly d, d1, d2;
    vl_poly a, b, a1, b1;
    const vl_poly *as, *bs, *cs; // lists of polynomials
    uint32_t count;
    int64_t scalar;
    const int64_t *words;
    const uint64_t *residues;
    const vl_automorphism *g;
    const uint8_t *seed;
    uint64_t domain;
};

// Limb i of d in a, which may have more limbs.
static uint64_t *limb_of(const limb_job *j, vl_poly a, uint32_t i) {
    return a.x + (size_t)(i < j->d.nq ? i : a.nq + (i - j->d.nq)) * j->ring->n;
}

static void run_limbs(void *arg, size_t begin, size_t end, unsigned worker) {
    const limb_job *j = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) j->fn(j, vl_poly_modulus(j->ring, j->d, (uint32_t)i), (uint32_t)i);
}

static void run(vl_exec *x, const limb_job *j) {
    size_t grain = CHUNK / j->ring->n;
    vl_parallel_for(x ? x->pool : NULL, (size_t)j->d.nq + j->d.np, grain ? grain : 1, run_limbs, (void *)j);
}

static inline bool covers(vl_poly a, vl_poly d) { return a.nq >= d.nq && a.np >= d.np; }

#define D(j) limb_of(j, (j)->d, i)
#define A(j) limb_of(j, (j)->a, i)
#define B(j) limb_of(j, (j)->b, i)

void vl_ring_zero(const vl_ring *ring, vl_poly d) { memset(d.x, 0, vl_poly_bytes(ring, d.nq, d.np)); }

static void copy_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    (void)m;
    if (D(j) != A(j)) memcpy(D(j), A(j), j->ring->n * sizeof(uint64_t));
}

void vl_ring_copy(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    assert(covers(a, d));
    run(x, &(limb_job){.fn = copy_limb, .ring = ring, .d = d, .a = a});
}

#define BINARY(name, kernel)                                                                                           \
    static void name##_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {                                      \
        m->k->kernel(m, D(j), A(j), B(j), j->ring->n);                                                                 \
    }                                                                                                                  \
    void vl_ring_##name(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, vl_poly b) {                            \
        assert(covers(a, d) && covers(b, d));                                                                          \
        run(x, &(limb_job){.fn = name##_limb, .ring = ring, .d = d, .a = a, .b = b});                                  \
    }
BINARY(add, add)
BINARY(sub, sub)
BINARY(mul, mul)
BINARY(mul_add, mul_add)

static void neg_limb(const limb_job *j, const vl_modulus *m, uint32_t i) { m->k->neg(m, D(j), A(j), j->ring->n); }

void vl_ring_neg(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    assert(covers(a, d));
    run(x, &(limb_job){.fn = neg_limb, .ring = ring, .d = d, .a = a});
}

static void tensor_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->tensor(m, D(j), limb_of(j, j->d1, i), limb_of(j, j->d2, i), A(j), limb_of(j, j->a1, i), B(j),
                 limb_of(j, j->b1, i), j->ring->n);
}

void vl_ring_tensor(vl_exec *x, const vl_ring *ring, vl_poly d[3], const vl_poly a[2], const vl_poly b[2]) {
    assert(covers(a[0], d[0]) && covers(a[1], d[0]) && covers(b[0], d[0]) && covers(b[1], d[0]));
    assert(covers(d[1], d[0]) && covers(d[2], d[0]));
    run(x, &(limb_job){.fn = tensor_limb,
                       .ring = ring,
                       .d = d[0],
                       .d1 = d[1],
                       .d2 = d[2],
                       .a = a[0],
                       .a1 = a[1],
                       .b = b[0],
                       .b1 = b[1]});
}

// ---- constants ----
static uint64_t residue_of(const limb_job *j, const vl_modulus *m, uint32_t i) {
    return j->residues ? j->residues[i] : vl_arith_from_i64(j->scalar, m->q);
}

static void mul_scalar_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->mul_scalar(m, D(j), A(j), residue_of(j, m, i), j->ring->n);
}
static void mul_scalar_add_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->mul_scalar_add(m, D(j), A(j), residue_of(j, m, i), j->ring->n);
}
static void add_scalar_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->add_scalar(m, D(j), A(j), residue_of(j, m, i), j->ring->n);
}

static void scalar(vl_exec *x, const vl_ring *ring, limb_fn fn, vl_poly d, vl_poly a, int64_t s,
                   const uint64_t *residues) {
    assert(covers(a, d));
    run(x, &(limb_job){.fn = fn, .ring = ring, .d = d, .a = a, .scalar = s, .residues = residues});
}

void vl_ring_mul_i64(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s) {
    scalar(x, ring, mul_scalar_limb, d, a, s, NULL);
}
void vl_ring_mul_i64_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s) {
    scalar(x, ring, mul_scalar_add_limb, d, a, s, NULL);
}
void vl_ring_add_i64(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, int64_t s) {
    scalar(x, ring, add_scalar_limb, d, a, s, NULL);
}
void vl_ring_mul_residues(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s) {
    scalar(x, ring, mul_scalar_limb, d, a, 0, s);
}
void vl_ring_mul_residues_add(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s) {
    scalar(x, ring, mul_scalar_add_limb, d, a, 0, s);
}
void vl_ring_add_residues(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a, const uint64_t *s) {
    scalar(x, ring, add_scalar_limb, d, a, 0, s);
}

// ---- sums of products ----
#define DOT_MAX 64
#define DOT_SCALAR_MAX 1024

static void dot_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    const uint64_t *a[DOT_MAX], *b[DOT_MAX], *c[DOT_MAX];
    for (uint32_t k = 0; k < j->count; k++) {
        a[k] = limb_of(j, j->as[k], i);
        b[k] = limb_of(j, j->bs[k], i);
        if (j->cs) c[k] = limb_of(j, j->cs[k], i);
    }
    m->k->dot2(m, D(j), j->cs ? limb_of(j, j->d1, i) : NULL, a, b, j->cs ? c : NULL, j->count, j->ring->n);
}

void vl_ring_dot2(vl_exec *x, const vl_ring *ring, vl_poly d0, vl_poly d1, const vl_poly *a, const vl_poly *b0,
                  const vl_poly *b1, uint32_t count) {
    assert(count > 0 && count <= DOT_MAX && d0.nq == d1.nq && d0.np == d1.np);
    for (uint32_t k = 0; k < count; k++) assert(covers(a[k], d0) && covers(b0[k], d0) && covers(b1[k], d0));
    run(x, &(limb_job){.fn = dot_limb, .ring = ring, .d = d0, .d1 = d1, .as = a, .bs = b0, .cs = b1, .count = count});
}

void vl_ring_dot(vl_exec *x, const vl_ring *ring, vl_poly d, const vl_poly *a, const vl_poly *b, uint32_t count) {
    assert(count > 0 && count <= DOT_MAX);
    for (uint32_t k = 0; k < count; k++) assert(covers(a[k], d) && covers(b[k], d));
    run(x, &(limb_job){.fn = dot_limb, .ring = ring, .d = d, .as = a, .bs = b, .count = count});
}

static void dot_scalar_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    const uint64_t *a[DOT_SCALAR_MAX];
    uint64_t s[DOT_SCALAR_MAX];
    uint64_t *d = D(j);
    for (uint32_t k = 0; k < j->count; k++) {
        a[k] = limb_of(j, j->as[k], i);
        s[k] = vl_arith_from_i64(j->words[k], m->q);
    }
    m->k->mix(m, &d, 1, a, j->count, s, j->ring->n);
}

void vl_ring_dot_i64(vl_exec *x, const vl_ring *ring, vl_poly d, const vl_poly *a, const int64_t *s, uint32_t count) {
    assert(count > 0 && count <= DOT_SCALAR_MAX);
    for (uint32_t k = 0; k < count; k++) assert(covers(a[k], d));
    run(x, &(limb_job){.fn = dot_scalar_limb, .ring = ring, .d = d, .as = a, .words = s, .count = count});
}

// ---- transforms ----
static void ntt_limb(const limb_job *j, const vl_modulus *m, uint32_t i) { m->k->ntt_forward(m, D(j), A(j)); }
static void intt_limb(const limb_job *j, const vl_modulus *m, uint32_t i) { m->k->ntt_inverse(m, D(j), A(j), 1); }
static void automorphism_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->automorphism(j->g, D(j), A(j));
}

void vl_ring_ntt(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    assert(covers(a, d));
    run(x, &(limb_job){.fn = ntt_limb, .ring = ring, .d = d, .a = a});
}

void vl_ring_intt(vl_exec *x, const vl_ring *ring, vl_poly d, vl_poly a) {
    assert(covers(a, d));
    run(x, &(limb_job){.fn = intt_limb, .ring = ring, .d = d, .a = a});
}

void vl_ring_automorphism(vl_exec *x, const vl_ring *ring, const vl_automorphism *g, vl_poly d, vl_poly a) {
    assert(covers(a, d) && d.x != a.x && g->log_n == ring->log_n);
    run(x, &(limb_job){.fn = automorphism_limb, .ring = ring, .d = d, .a = a, .g = g});
}

// ---- sources ----
static void from_i64_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    m->k->from_i64(m, D(j), j->words, j->ring->n);
}

void vl_ring_from_i64(vl_exec *x, const vl_ring *ring, vl_poly d, const int64_t *v) {
    run(x, &(limb_job){.fn = from_i64_limb, .ring = ring, .d = d, .words = v});
}

static void uniform_limb(const limb_job *j, const vl_modulus *m, uint32_t i) {
    vl_rng rng;
    vl_rng_init_seed(&rng, j->seed, j->domain + (uint64_t)(m - j->ring->mod));
    vl_rng_uniform(&rng, m->q, D(j), j->ring->n);
}

void vl_ring_uniform(vl_exec *x, const vl_ring *ring, vl_poly d, const uint8_t seed[VL_SEED_BYTES], uint64_t domain0) {
    run(x, &(limb_job){.fn = uniform_limb, .ring = ring, .d = d, .seed = seed, .domain = domain0});
}
