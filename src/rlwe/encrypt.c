// SPDX-License-Identifier: Apache-2.0
// Encryption, decryption, re-randomisation. Everything that depends on s, e or v lies in scratch that is zeroed before
// it is given back, and goes through constant-time samplers and kernels only.
#include "rlwe/rlwe.h"

#include <assert.h>

typedef struct cipher_job {
    const vl_params *p;
    const vl_secret_key *sk;
    const vl_ciphertext *ct;
    const vl_eval_keys *keys;
    vl_poly m;
    const uint8_t *seed;
    const int64_t *v, *e0, *e1; // small polynomials, coefficients
    uint64_t *scratch;          // slot_limbs limbs a slot
    uint32_t slot_limbs;
} cipher_job;

static size_t limb_bytes(const vl_params *p) { return p->ring.n * sizeof(uint64_t); }

// Samples a Gaussian error, widened to 64 bits; `narrow` is room for N words of 32 bits.
static void sample_error(vl_rng *rng, int64_t *e, int32_t *narrow, size_t n) {
    vl_rng_gaussian(rng, narrow, n);
    for (size_t k = 0; k < n; k++) e[k] = narrow[k];
}

static void run_limbs(vl_exec *x, cipher_job *job, vl_exec_fn fn) {
    size_t limbs = job->ct->level, bytes = job->slot_limbs * limb_bytes(job->p);
    if (job->m.x) limbs = job->m.nq;
    uint32_t slots = vl_exec_slots(x, limbs, bytes);
    size_t mark = vl_arena_mark(&x->arena);
    job->scratch = vl_arena_take(&x->arena, slots * bytes);
    vl_exec_each(x, slots, limbs, fn, job);
    vl_secure_zero(job->scratch, slots * bytes);
    vl_arena_release(&x->arena, mark);
}

// ---- symmetric encryption ----
static void encrypt_limb(void *arg, size_t item, uint32_t slot) {
    const cipher_job *j = arg;
    const vl_ring *ring = &j->p->ring;
    uint32_t i = (uint32_t)item, n = ring->n;
    const vl_modulus *m = &ring->mod[i];
    uint64_t *t = j->scratch + (size_t)slot * j->slot_limbs * n, *u = t + n;
    uint64_t *c0 = vl_poly_limb(ring, j->ct->c[0], i), *c1 = vl_poly_limb(ring, j->ct->c[1], i);
    vl_rng rng;
    vl_rng_init_seed(&rng, j->seed, i);
    vl_rng_uniform(&rng, m->q, c1, n);
    m->k->from_i64(m, t, j->e0, n);
    m->k->ntt_forward(m, t, t);
    m->k->add(m, t, t, vl_poly_limb(ring, j->m, i), n);
    m->k->mul(m, u, c1, vl_poly_limb(ring, j->sk->s, i), n);
    m->k->sub(m, c0, t, u, n);
}

void vl_rlwe_encrypt(vl_exec *x, const vl_params *p, const vl_secret_key *sk, vl_poly m, uint8_t seed[VL_SEED_BYTES],
                     vl_ciphertext *ct) {
    assert(m.nq >= 1 && ct->capacity >= m.nq);
    size_t mark = vl_arena_mark(&x->arena), n = p->ring.n;
    int64_t *e = vl_arena_take(&x->arena, n * sizeof *e);
    int32_t *narrow = vl_arena_take(&x->arena, n * sizeof *narrow);
    vl_rng rng;
    vl_rng_init_system(&rng);
    sample_error(&rng, e, narrow, n);
    vl_rng_clear(&rng);
    vl_seed_system(seed);
    for (uint32_t i = 0; i < 3; i++)
        if (ct->c[i].x) ct->c[i].nq = m.nq;
    ct->level = m.nq;
    ct->degree = 1;
    cipher_job job = {.p = p, .sk = sk, .ct = ct, .m = m, .seed = seed, .e0 = e, .slot_limbs = 2};
    run_limbs(x, &job, encrypt_limb);
    vl_secure_zero(e, n * sizeof *e);
    vl_secure_zero(narrow, n * sizeof *narrow);
    vl_arena_release(&x->arena, mark);
}

// ---- decryption ----
static void decrypt_limb(void *arg, size_t item, uint32_t slot) {
    const cipher_job *j = arg;
    const vl_ring *ring = &j->p->ring;
    uint32_t i = (uint32_t)item, n = ring->n;
    const vl_modulus *m = &ring->mod[i];
    uint64_t *t = j->scratch + (size_t)slot * j->slot_limbs * n;
    const uint64_t *s = vl_poly_limb(ring, j->sk->s, i), *c1 = vl_poly_limb(ring, j->ct->c[1], i);
    if (j->ct->degree == 2) { // Horner
        m->k->mul(m, t, vl_poly_limb(ring, j->ct->c[2], i), s, n);
        m->k->add(m, t, t, c1, n);
        m->k->mul(m, t, t, s, n);
    } else {
        m->k->mul(m, t, c1, s, n);
    }
    m->k->add(m, vl_poly_limb(ring, j->m, i), vl_poly_limb(ring, j->ct->c[0], i), t, n);
}

void vl_rlwe_decrypt(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_ciphertext *ct, vl_poly m) {
    assert(m.nq <= ct->level && m.np == 0);
    cipher_job job = {.p = p, .sk = sk, .ct = ct, .m = m, .slot_limbs = 1};
    run_limbs(x, &job, decrypt_limb);
}

// ---- re-randomisation ----
static void rerandomise_limb(void *arg, size_t item, uint32_t slot) {
    const cipher_job *j = arg;
    const vl_ring *ring = &j->p->ring;
    uint32_t i = (uint32_t)item, n = ring->n;
    const vl_modulus *m = &ring->mod[i];
    uint64_t *v = j->scratch + (size_t)slot * j->slot_limbs * n, *t = v + n;
    m->k->from_i64(m, v, j->v, n);
    m->k->ntt_forward(m, v, v);
    for (uint32_t c = 0; c < 2; c++) {
        uint64_t *to = vl_poly_limb(ring, j->ct->c[c], i);
        m->k->from_i64(m, t, c == 0 ? j->e0 : j->e1, n);
        m->k->ntt_forward(m, t, t);
        m->k->mul_add(m, t, v, vl_poly_limb(ring, c == 0 ? j->keys->zero_b : j->keys->zero_a, i), n);
        m->k->add(m, to, to, t, n);
    }
}

velum_status vl_rlwe_rerandomise(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *ct, double flood_sigma) {
    VL_FAIL_IF(ct->degree != 1, VELUM_E_USAGE, "re-randomisation: a ciphertext of degree %u", ct->degree);
    VL_FAIL_IF(keys->zero_nq < ct->level, VELUM_E_MISMATCH,
               "re-randomisation: the public encryption key reaches level %u, the ciphertext is at %u", keys->zero_nq,
               ct->level);
    VL_FAIL_IF(!(flood_sigma >= 0 && flood_sigma <= 0x1p45), VELUM_E_USAGE,
               "re-randomisation: flooding of deviation %g, must be 0 to 2^45", flood_sigma);
    const vl_params *p = keys->params;
    size_t mark = vl_arena_mark(&x->arena), n = p->ring.n;
    int64_t *v = vl_arena_take(&x->arena, n * sizeof *v);
    int64_t *e0 = vl_arena_take(&x->arena, n * sizeof *e0);
    int64_t *e1 = vl_arena_take(&x->arena, n * sizeof *e1);
    int64_t *narrow = vl_arena_take(&x->arena, n * sizeof *narrow); // also holds v as bytes, flooding as words
    vl_rng rng;
    vl_rng_init_system(&rng);
    vl_rng_ternary(&rng, (int8_t *)narrow, n);
    for (size_t k = 0; k < n; k++) v[k] = ((int8_t *)narrow)[k];
    sample_error(&rng, e0, (int32_t *)narrow, n);
    sample_error(&rng, e1, (int32_t *)narrow, n);
    if (flood_sigma > 0) {
        vl_rng_gaussian_wide(&rng, narrow, n, flood_sigma);
        for (size_t k = 0; k < n; k++) e0[k] += narrow[k];
    }
    vl_rng_clear(&rng);
    cipher_job job = {.p = p, .ct = ct, .keys = keys, .v = v, .e0 = e0, .e1 = e1, .slot_limbs = 2};
    run_limbs(x, &job, rerandomise_limb);
    vl_secure_zero(v, n * sizeof *v);
    vl_secure_zero(e0, n * sizeof *e0);
    vl_secure_zero(e1, n * sizeof *e1);
    vl_secure_zero(narrow, n * sizeof *narrow);
    vl_arena_release(&x->arena, mark);
    return VELUM_OK;
}
