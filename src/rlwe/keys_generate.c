// SPDX-License-Identifier: Apache-2.0
// Making evaluation keys, in memory or straight into a file's bytes.
#include "rlwe/keys.h"

#include "rlwe/bases.h"
#include "rlwe/words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate_job {
    const vl_params *p;
    const vl_secret_key *sk;
    vl_switch_key *key;
    vl_automorphism inverse; // X -> X^{1/g}
    vl_poly zero_b, zero_a;  // instead of a switching key; a half a without storage is not kept
    const uint8_t *seed;
    int32_t *e;       // N an item of the first phase
    uint8_t *scratch; // slot_bytes a slot
    size_t slot_bytes;
} generate_job;

static void sample_error(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    (void)slot;
    vl_rng rng;
    vl_rng_init_system(&rng);
    vl_rng_gaussian(&rng, w->e + item * w->p->ring.n, w->p->ring.n);
    vl_rng_clear(&rng);
}

void vl_keys_mask_error(const vl_modulus *m, const uint8_t *seed, uint64_t domain, const int32_t *e, const uint64_t *s,
                        uint64_t *b, uint64_t *a, uint64_t *t, int64_t *words, size_t n) {
    vl_rng rng;
    vl_rng_init_seed(&rng, seed, domain);
    vl_rng_uniform(&rng, m->q, a, n);
    for (size_t k = 0; k < n; k++) words[k] = e[k];
    m->k->from_i64(m, t, words, n);
    m->k->ntt_forward(m, t, t);
    uint64_t *as = (uint64_t *)words;
    m->k->mul(m, as, a, s, n);
    m->k->sub(m, b, t, as, n);
}

static void make_key_limb(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    const vl_ring *ring = &w->p->ring;
    vl_switch_key *key = w->key;
    size_t n = ring->n;
    uint32_t limbs = key->nq + ring->p_count, j = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    uint32_t index = i < key->nq ? i : ring->q_count + (i - key->nq);
    const vl_modulus *m = &ring->mod[index];
    uint64_t *t = (uint64_t *)(w->scratch + slot * w->slot_bytes), *target = t + n;
    int64_t *words = (int64_t *)(target + n);
    const uint64_t *s = vl_poly_limb(ring, w->sk->s, index), *to = s;
    if (key->galois) {
        m->k->automorphism(&w->inverse, target, s);
        to = target;
    }
    uint64_t *b = vl_poly_limb(ring, key->b[j], i);
    uint64_t *a = key->a[j].x ? vl_poly_limb(ring, key->a[j], i) : (uint64_t *)words + n;
    vl_keys_mask_error(m, key->seed, (uint64_t)j * VL_MAX_LIMBS + index, w->e + j * n, to, b, a, t, words, n);
    if (i >= key->nq || i / w->p->literal.digit_limbs != j) return;
    const uint64_t *from = s;
    if (!key->galois) {
        m->k->mul(m, t, s, s, n);
        from = t;
    }
    m->k->mul_scalar_add(m, b, from, w->p->bases->p_mod[i], n);
}

static void make_zero_limb(void *arg, size_t item, uint32_t slot) {
    const generate_job *w = arg;
    const vl_ring *ring = &w->p->ring;
    uint32_t i = (uint32_t)item;
    size_t n = ring->n;
    uint64_t *t = (uint64_t *)(w->scratch + slot * w->slot_bytes);
    uint64_t *a = w->zero_a.x ? vl_poly_limb(ring, w->zero_a, i) : t + 3 * n;
    vl_keys_mask_error(&ring->mod[i], w->seed, i, w->e, vl_poly_limb(ring, w->sk->s, i),
                       vl_poly_limb(ring, w->zero_b, i), a, t, (int64_t *)(t + 2 * n), n);
}

// g^-1 mod 2N: the group's exponent divides N/2 (and g^2 = 1 for N = 2).
static uint64_t inverse_galois(uint64_t g, uint64_t n) {
    uint64_t mask = 2 * n - 1, r = 1;
    for (uint64_t e = n / 2 - 1; e; e >>= 1, g = g * g & mask)
        if (e & 1) r = r * g & mask;
    return r;
}

static velum_status make_key(vl_exec *x, generate_job *w, vl_switch_key *key) {
    const vl_ring *ring = &w->p->ring;
    w->key = key;
    if (key->galois) VL_TRY(vl_automorphism_init(&w->inverse, ring->log_n, inverse_galois(key->galois, ring->n)));
    vl_seed_system(key->seed);
    vl_exec_each(x, vl_exec_slots(x, key->digits, 0), key->digits, sample_error, w);
    vl_exec_each(x, vl_pool_threads(x->pool), (size_t)key->digits * (key->nq + ring->p_count), make_key_limb, w);
    if (key->galois) vl_automorphism_clear(&w->inverse);
    return VELUM_OK;
}

static void make_zero(vl_exec *x, generate_job *w, vl_poly b, vl_poly a, uint8_t seed[VL_SEED_BYTES]) {
    vl_seed_system(seed);
    w->zero_b = b;
    w->zero_a = a;
    w->seed = seed;
    sample_error(w, 0, 0);
    vl_exec_each(x, vl_pool_threads(x->pool), b.nq, make_zero_limb, w);
}

static velum_status open_job(vl_exec *x, const vl_params *p, const vl_secret_key *sk, generate_job *out) {
    generate_job w = {.p = p, .sk = sk, .slot_bytes = 4 * (size_t)p->ring.n * sizeof(uint64_t)};
    w.e = vl_secret_alloc((size_t)p->digits * p->ring.n * sizeof *w.e);
    w.scratch = vl_secret_alloc(vl_pool_threads(x->pool) * w.slot_bytes);
    if (!w.e || !w.scratch) {
        vl_secret_free(w.e);
        vl_secret_free(w.scratch);
        return VL_FAIL(VELUM_E_NOMEM, "no guarded memory to generate keys");
    }
    *out = w;
    return VELUM_OK;
}

static void close_job(generate_job *w) {
    vl_secret_free(w->e);
    vl_secret_free(w->scratch);
}

static velum_status check_requests(const vl_params *p, const vl_key_request *requests, uint32_t count,
                                   uint16_t zero_nq) {
    VL_FAIL_IF(zero_nq > p->ring.q_count, VELUM_E_USAGE, "public encryption key: level %u, must be at most %u", zero_nq,
               p->ring.q_count);
    if (zero_nq) VL_TRY(vl_keys_check_security(p, zero_nq, false, "public encryption key"));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t g = requests[i].galois;
        uint16_t level = requests[i].level;
        VL_FAIL_IF(g != 0 && (g % 2 == 0 || g >= 2 * (uint64_t)p->ring.n), VELUM_E_USAGE,
                   "key request %u: Galois element %" PRIu64 " is not odd and below 2N", i, g);
        VL_FAIL_IF(level == 0 || level > p->ring.q_count, VELUM_E_USAGE, "key request %u: level %u, must be 1 to %u", i,
                   level, p->ring.q_count);
        VL_TRY(vl_keys_check_security(p, level, true, g ? "rotation key" : "relinearisation key"));
    }
    return VELUM_OK;
}

static int by_galois(const void *a, const void *b) {
    uint64_t l = ((const vl_key_request *)a)->galois, r = ((const vl_key_request *)b)->galois;
    return (l > r) - (l < r);
}

// Sorts by Galois element and merges duplicates at the higher level; the number left.
static uint32_t merge(vl_key_request *list, uint32_t count) {
    uint32_t left = 0;
    qsort(list, count, sizeof *list, by_galois);
    for (uint32_t i = 0; i < count; i++) {
        if (left > 0 && list[left - 1].galois == list[i].galois) {
            if (list[left - 1].level < list[i].level) list[left - 1].level = list[i].level;
        } else {
            list[left++] = list[i];
        }
    }
    return left;
}

// The checked list, sorted and merged; free it.
static velum_status plan_list(const vl_params *p, const vl_key_request *requests, uint32_t *count, uint16_t zero_nq,
                              vl_key_request **out) {
    VL_TRY(check_requests(p, requests, *count, zero_nq));
    vl_key_request *list = vl_alloc_array(*count, sizeof *list);
    VL_FAIL_IF(!list, VELUM_E_NOMEM, "no memory for %u key requests", *count);
    if (*count) memcpy(list, requests, *count * sizeof *list);
    *count = merge(list, *count);
    *out = list;
    return VELUM_OK;
}

static velum_status generate(vl_exec *x, generate_job *w, const vl_key_request *list, uint32_t count, uint16_t zero_nq,
                             vl_eval_keys *made) {
    made->key = vl_alloc_array(count, sizeof *made->key);
    VL_FAIL_IF(!made->key, VELUM_E_NOMEM, "no memory for %u keys", count);
    while (made->count < count) {
        const vl_key_request *want = &list[made->count];
        vl_switch_key *key = &made->key[made->count++]; // an empty key is cleared like any other
        VL_TRY(vl_keys_init(w->p, want->galois, want->level, true, key));
        VL_TRY(make_key(x, w, key));
    }
    if (!zero_nq) return VELUM_OK;
    VL_TRY(vl_keys_init_zero(w->p, zero_nq, true, made));
    make_zero(x, w, made->zero_b, made->zero_a, made->zero_seed);
    return VELUM_OK;
}

velum_status vl_eval_keys_generate(vl_exec *x, const vl_params *p, const vl_secret_key *sk,
                                   const vl_key_request *requests, uint32_t count, uint16_t zero_nq,
                                   vl_eval_keys *out) {
    vl_key_request *list;
    generate_job w;
    vl_eval_keys made = {.params = p};
    VL_TRY(plan_list(p, requests, &count, zero_nq, &list));
    velum_status status = open_job(x, p, sk, &w);
    if (status == VELUM_OK) {
        status = generate(x, &w, list, count, zero_nq, &made);
        close_job(&w);
    }
    vl_free(list);
    if (status != VELUM_OK) {
        vl_eval_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}

// ---- into a file ----
static velum_status write_key(vl_exec *x, generate_job *job, const vl_key_request *want, vl_writer *w) {
    const vl_params *p = job->p;
    uint32_t digits = vl_bases_digits(p, want->level), limbs = want->level + p->ring.p_count;
    size_t poly = vl_words_poly_bytes(p->ring.n, limbs), words = limbs * (size_t)p->ring.n;
    uint8_t *head = vl_write_space(w, VL_KEY_HEAD + digits * poly); // one take: it is filled together
    if (!head) return vl_writer_status(w);
    vl_switch_key key = {.galois = want->galois, .nq = want->level, .digits = (uint16_t)digits};
    for (uint32_t j = 0; j < digits; j++) {
        uint64_t *b = (uint64_t *)(void *)(head + VL_KEY_HEAD + j * poly);
        memset(b + words, 0, VL_WORDS_GAP * sizeof *b);
        key.b[j] = (vl_poly){b, want->level, (uint16_t)p->ring.p_count};
    }
    VL_TRY(make_key(x, job, &key));
    for (uint32_t j = 0; j < digits; j++) vl_words_to_file(key.b[j].x, words);
    vl_keys_put_head(&key, head);
    return VELUM_OK;
}

static velum_status write_zero(vl_exec *x, generate_job *job, uint16_t zero_nq, vl_writer *w) {
    size_t n = job->p->ring.n;
    uint8_t *head = vl_write_space(w, VL_WORDS_ALIGN + vl_words_poly_bytes(n, zero_nq));
    if (!head) return vl_writer_status(w);
    uint64_t *b = (uint64_t *)(void *)(head + VL_WORDS_ALIGN);
    memset(head, 0, VL_WORDS_ALIGN);
    memset(b + zero_nq * n, 0, VL_WORDS_GAP * sizeof *b);
    make_zero(x, job, (vl_poly){b, zero_nq, 0}, (vl_poly){NULL, zero_nq, 0}, head);
    vl_words_to_file(b, zero_nq * n);
    return VELUM_OK;
}

static velum_status write_all(vl_exec *x, generate_job *job, const vl_key_request *list, uint32_t count,
                              uint16_t zero_nq, vl_writer *w) {
    vl_keys_write_head(job->p, zero_nq, count, w);
    if (zero_nq) VL_TRY(write_zero(x, job, zero_nq, w));
    for (uint32_t i = 0; i < count; i++) VL_TRY(write_key(x, job, &list[i], w));
    return vl_writer_status(w);
}

velum_status vl_eval_keys_write(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_key_request *requests,
                                uint32_t count, uint16_t zero_nq, vl_writer *w) {
    vl_key_request *list;
    generate_job job;
    VL_TRY(plan_list(p, requests, &count, zero_nq, &list));
    velum_status status = open_job(x, p, sk, &job);
    if (status == VELUM_OK) {
        status = write_all(x, &job, list, count, zero_nq, w);
        close_job(&job);
    }
    vl_free(list);
    return status;
}
