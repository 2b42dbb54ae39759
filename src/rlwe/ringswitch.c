// SPDX-License-Identifier: Apache-2.0
#include "rlwe/ringswitch.h"

#include "rlwe/bases.h"
#include "rlwe/keys.h"

#include <assert.h>
#include <string.h>

#define ELEMENT 1 // of the key: nothing is permuted

vl_params_literal vl_ringswitch_entry(const vl_params_literal *low, uint8_t log_n) {
    vl_params_literal entry = *low;
    entry.log_n = log_n;
    return entry;
}

vl_key_request vl_ringswitch_request(const vl_params_literal *low) {
    return (vl_key_request){ELEMENT, (uint16_t)low->q_count};
}

// ---- keys ----
velum_status vl_ringswitch_secret_new(const vl_params *low, unsigned log_n, vl_ringswitch_secret *out) {
    VL_FAIL_IF(log_n <= low->literal.log_n, VELUM_E_USAGE, "a subring of degree 2^%u in a ring of degree 2^%u",
               low->literal.log_n, log_n);
    vl_ringswitch_secret made = {.wide = vl_secret_alloc((size_t)1 << log_n)};
    VL_FAIL_IF(!made.wide, VELUM_E_NOMEM, "no guarded memory for a secret key");
    velum_status status = vl_secret_key_new(low, &made.small);
    if (status != VELUM_OK) {
        vl_ringswitch_secret_free(&made);
        return status;
    }
    size_t k = (size_t)1 << (log_n - low->literal.log_n);
    for (size_t i = 0; i < low->ring.n; i++) made.wide[i * k] = made.small.coeffs[i];
    *out = made;
    return VELUM_OK;
}

void vl_ringswitch_secret_free(vl_ringswitch_secret *secret) {
    if (!secret) return;
    vl_secret_key_free(&secret->small);
    vl_secret_free(secret->wide);
    *secret = (vl_ringswitch_secret){0};
}

typedef struct key_job {
    const vl_params *p;
    vl_switch_key *key;
    vl_secret_key from, to;
    int32_t *e;        // N a digit
    uint64_t *scratch; // 2 limbs a slot
} key_job;

static void make_limb(void *arg, size_t item, uint32_t slot) {
    const key_job *w = arg;
    const vl_ring *ring = &w->p->ring;
    vl_switch_key *key = w->key;
    size_t n = ring->n;
    uint32_t limbs = key->nq + ring->p_count, j = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    const vl_modulus *m = vl_poly_modulus(ring, key->b[j], i);
    uint32_t index = (uint32_t)(m - ring->mod);
    uint64_t *t = w->scratch + slot * 2 * n, *b = vl_poly_limb(ring, key->b[j], i);
    vl_keys_mask_error(m, key->seed, (uint64_t)j * VL_MAX_LIMBS + index, w->e + j * n,
                       vl_poly_limb(ring, w->to.s, index), b, vl_poly_limb(ring, key->a[j], i), t, (int64_t *)(t + n),
                       n);
    if (i < key->nq && i / w->p->literal.digit_limbs == j)
        m->k->mul_scalar_add(m, b, vl_poly_limb(ring, w->from.s, index), w->p->bases->p_mod[i], n);
}

static velum_status fill_key(vl_exec *x, key_job *w) {
    size_t n = w->p->ring.n;
    uint32_t digits = w->key->digits;
    VL_TRY(vl_keys_expand_secret(w->p, &w->from));
    VL_TRY(vl_keys_expand_secret(w->p, &w->to));
    w->e = vl_secret_alloc(digits * n * sizeof *w->e);
    w->scratch = vl_secret_alloc(vl_pool_threads(x->pool) * 2 * n * sizeof(uint64_t));
    VL_FAIL_IF(!w->e || !w->scratch, VELUM_E_NOMEM, "no guarded memory to generate keys");
    vl_rng rng;
    vl_rng_init_system(&rng);
    vl_rng_gaussian(&rng, w->e, digits * n);
    vl_rng_clear(&rng);
    vl_seed_system(w->key->seed);
    vl_exec_each(x, vl_pool_threads(x->pool), (size_t)digits * (w->key->nq + w->p->ring.p_count), make_limb, w);
    return VELUM_OK;
}

velum_status vl_ringswitch_key_new(vl_exec *x, const vl_params *entry, const vl_secret_key *sk,
                                   const vl_ringswitch_secret *secret, vl_eval_keys *out) {
    uint16_t level = (uint16_t)entry->ring.q_count;
    vl_eval_keys made = {.params = entry, .count = 1, .key = vl_alloc_array(1, sizeof *made.key)};
    VL_FAIL_IF(!made.key, VELUM_E_NOMEM, "no memory for a key");
    key_job w = {.p = entry, .key = made.key, .from.coeffs = sk->coeffs, .to.coeffs = secret->wide};
    velum_status status = vl_keys_check_security(entry, level, true, "ring switching key");
    if (status == VELUM_OK) status = vl_keys_init(entry, ELEMENT, level, true, made.key);
    if (status == VELUM_OK) status = fill_key(x, &w);
    vl_secret_free(w.from.s.x);
    vl_secret_free(w.to.s.x);
    vl_secret_free(w.e);
    vl_secret_free(w.scratch);
    if (status != VELUM_OK) {
        vl_eval_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}

// ---- there and back ----
typedef struct move_job {
    const vl_params *p, *low;
    vl_ciphertext *out;
    const vl_ciphertext *in;
    uint64_t *scratch; // a limb of the large ring a slot
} move_job;

static void gather_limb(void *arg, size_t item, uint32_t slot) {
    const move_job *j = arg;
    uint32_t c = (uint32_t)item % 2, i = (uint32_t)item / 2;
    const vl_modulus *from = &j->p->ring.mod[i], *to = &j->low->ring.mod[i];
    size_t n = j->low->ring.n, k = j->p->ring.n / n;
    uint64_t *t = j->scratch + slot * j->p->ring.n, *d = vl_poly_limb(&j->low->ring, j->out->c[c], i);
    from->k->ntt_inverse(from, t, vl_poly_limb(&j->p->ring, j->in->c[c], i), 1);
    for (size_t a = 0; a < n; a++) d[a] = t[a * k];
    to->k->ntt_forward(to, d, d);
}

static void scatter_limb(void *arg, size_t item, uint32_t slot) {
    const move_job *j = arg;
    uint32_t c = (uint32_t)item % 2, i = (uint32_t)item / 2;
    const vl_modulus *from = &j->low->ring.mod[i], *to = &j->p->ring.mod[i];
    size_t n = j->low->ring.n, k = j->p->ring.n / n;
    uint64_t *t = j->scratch + slot * j->p->ring.n, *d = vl_poly_limb(&j->p->ring, j->out->c[c], i);
    from->k->ntt_inverse(from, t, vl_poly_limb(&j->low->ring, j->in->c[c], i), 1);
    memset(d, 0, n * k * sizeof *d);
    for (size_t a = 0; a < n; a++) d[a * k] = t[a];
    to->k->ntt_forward(to, d, d);
}

static void move(vl_exec *x, move_job *j, vl_exec_fn fn) {
    size_t mark = vl_arena_mark(&x->arena), limb = j->p->ring.n * sizeof(uint64_t);
    uint32_t items = 2 * (uint32_t)j->in->level, slots = vl_exec_slots(x, items, limb);
    assert(j->in->degree == 1 && j->out->capacity >= j->in->level);
    for (uint32_t c = 0; c < 2; c++) j->out->c[c].nq = j->in->level;
    j->out->level = j->in->level;
    j->out->degree = 1;
    j->out->scale = j->in->scale;
    j->scratch = vl_arena_take(&x->arena, slots * limb);
    vl_exec_each(x, slots, items, fn, j);
    vl_arena_release(&x->arena, mark);
}

void vl_ringswitch_enter(vl_exec *x, const vl_eval_keys *entry, const vl_params *low, vl_ciphertext *out,
                         const vl_ciphertext *ct) {
    const vl_params *p = entry->params;
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, ct->level, 1);
    vl_rlwe_rotate(x, p, vl_eval_keys_find(entry, ELEMENT), &t, ct);
    move(x, &(move_job){.p = p, .low = low, .out = out, .in = &t}, gather_limb);
    vl_arena_release(&x->arena, mark);
}

void vl_ringswitch_leave(vl_exec *x, const vl_params *p, const vl_params *low, vl_ciphertext *out,
                         const vl_ciphertext *a) {
    move(x, &(move_job){.p = p, .low = low, .out = out, .in = a}, scatter_limb);
}

size_t vl_ringswitch_scratch(const vl_params *entry, uint16_t level) {
    size_t moving = vl_cpu_count() * vl_arena_need(entry->ring.n * sizeof(uint64_t)),
           switching = vl_rlwe_scratch(entry, level);
    return 2 * vl_arena_need(vl_poly_bytes(&entry->ring, level, 0)) + 256 + (switching > moving ? switching : moving);
}
