// SPDX-License-Identifier: Apache-2.0
// The saved form of keys (little-endian):
//   secret key: parameter digest[32], N coefficients of 2 bits (0, 1, 3 for -1; bits beyond N are none, N being a
//   multiple of 4) evaluation keys: parameter digest[32], zero_nq:u16, count:u32,
//     if zero_nq: seed[32], b packed over q_0..q_{zero_nq-1}
//     count times, by ascending Galois element: galois:u64, nq:u16, seed[32], the digits' b packed over q_0..q_{nq-1},
//     P
#include "rlwe/bases.h"
#include "rlwe/keys.h"
#include "rlwe/pack.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define KEY_HEAD (8 + 2 + VL_SEED_BYTES)
#define KEYS_HEAD (VL_DIGEST_BYTES + 2 + 4)

static velum_status check_digest(const vl_params *p, vl_reader *r, const char *what) {
    uint8_t digest[VL_DIGEST_BYTES];
    vl_read_bytes(r, digest, sizeof digest);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "%s: cut short", what);
    VL_FAIL_IF(memcmp(digest, p->digest, sizeof digest) != 0, VELUM_E_MISMATCH, "%s: made for other parameters", what);
    return VELUM_OK;
}

// ---- secret key ----
void vl_secret_key_save(const vl_params *p, const vl_secret_key *sk, vl_writer *w) {
    vl_write_bytes(w, p->digest, VL_DIGEST_BYTES);
    uint8_t *out = vl_write_space(w, p->ring.n / 4);
    if (!out) return;
    for (size_t k = 0; k < p->ring.n; k += 4)
        out[k / 4] = (uint8_t)((sk->coeffs[k] & 3) | (sk->coeffs[k + 1] & 3) << 2 | (sk->coeffs[k + 2] & 3) << 4 |
                               (sk->coeffs[k + 3] & 3) << 6);
}

velum_status vl_secret_key_load(const vl_params *p, vl_reader *r, vl_secret_key *out) {
    VL_TRY(check_digest(p, r, "secret key"));
    size_t n = p->ring.n;
    const uint8_t *in = vl_read_view(r, n / 4);
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "secret key: cut short");
    vl_secret_key sk = {.coeffs = vl_secret_alloc(n)};
    VL_FAIL_IF(!sk.coeffs, VELUM_E_NOMEM, "no guarded memory for a secret key");
    uint32_t bad = 0, weight = 0;
    for (size_t k = 0; k < n; k++) {
        uint32_t two = in[k / 4] >> (2 * (k % 4)) & 3;
        bad |= two >> 1 & ~two & 1; // 2 stands for nothing
        weight += two & 1;
        sk.coeffs[k] = (int8_t)((two & 1) - (two & 2));
    }
    velum_status status = VELUM_OK;
    if (bad)
        status = VL_FAIL(VELUM_E_FORMAT, "secret key: a coefficient is not -1, 0 or 1");
    else if (p->literal.secret_weight && weight != p->literal.secret_weight)
        status = VL_FAIL(VELUM_E_FORMAT, "secret key: its weight is not the parameters' %u", p->literal.secret_weight);
    else
        status = vl_keys_expand_secret(p, &sk);
    if (status != VELUM_OK) {
        vl_secret_key_free(&sk);
        return status;
    }
    *out = sk;
    return VELUM_OK;
}

// ---- evaluation keys ----
static size_t key_bytes(const vl_params *p, uint32_t nq) {
    return KEY_HEAD + vl_bases_digits(p, nq) * vl_pack_poly_bytes(&p->ring, nq, p->ring.p_count);
}

size_t vl_eval_keys_bytes(const vl_params *p, const vl_key_request *requests, uint32_t count, uint16_t zero_nq) {
    size_t bytes = KEYS_HEAD + (zero_nq ? VL_SEED_BYTES + vl_pack_poly_bytes(&p->ring, zero_nq, 0) : 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = 0, level = 0;
        while (requests[first].galois != requests[i].galois) first++;
        if (first < i) continue;
        for (uint32_t j = i; j < count; j++)
            if (requests[j].galois == requests[i].galois && requests[j].level > level) level = requests[j].level;
        bytes += key_bytes(p, level);
    }
    return bytes;
}

void vl_eval_keys_save(const vl_eval_keys *keys, vl_writer *w) {
    const vl_ring *ring = &keys->params->ring;
    vl_write_bytes(w, keys->params->digest, VL_DIGEST_BYTES);
    vl_write_u16(w, keys->zero_nq);
    vl_write_u32(w, keys->count);
    if (keys->zero_nq) {
        vl_write_bytes(w, keys->zero_seed, VL_SEED_BYTES);
        vl_pack_poly(ring, keys->zero_b, w);
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        const vl_switch_key *key = &keys->key[i];
        vl_write_u64(w, key->galois);
        vl_write_u16(w, key->nq);
        vl_write_bytes(w, key->seed, VL_SEED_BYTES);
        for (uint32_t j = 0; j < key->digits; j++) vl_pack_poly(ring, key->b[j], w);
    }
}

static velum_status load_zero(vl_exec *x, const vl_params *p, vl_reader *r, uint16_t zero_nq, vl_eval_keys *made) {
    vl_read_bytes(r, made->zero_seed, VL_SEED_BYTES);
    const uint8_t *in = vl_read_view(r, vl_pack_poly_bytes(&p->ring, zero_nq, 0));
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "evaluation keys: cut short in the public encryption key");
    VL_TRY(vl_keys_check_security(p, zero_nq, false, "public encryption key"));
    VL_TRY(vl_poly_new(&p->ring, zero_nq, 0, &made->zero_b));
    VL_TRY(vl_poly_new(&p->ring, zero_nq, 0, &made->zero_a));
    uint32_t bad = vl_unpack_poly(x, &p->ring, in, made->zero_b);
    VL_FAIL_IF(bad < zero_nq, VELUM_E_FORMAT,
               "evaluation keys: public encryption key, limb %u: a residue is not below %" PRIu64, bad,
               p->ring.mod[bad].q);
    vl_ring_uniform(x, &p->ring, made->zero_a, made->zero_seed, 0);
    made->zero_nq = zero_nq;
    return VELUM_OK;
}

static void name_of(uint64_t galois, char *buf, size_t size) {
    if (galois)
        snprintf(buf, size, "rotation key of Galois element %" PRIu64, galois);
    else
        snprintf(buf, size, "relinearisation key");
}

// One limb of a digit: its half b out of the file, its half a out of the seed.
typedef struct key_job {
    const vl_params *p;
    const vl_switch_key *key;
    const uint8_t *in; // the digits' b
    size_t digit_bytes;
    _Atomic uint32_t bad; // the first limb that holds a residue not below its prime
} key_job;

static void load_limb(void *arg, size_t item, uint32_t slot) {
    key_job *w = arg;
    (void)slot;
    const vl_ring *ring = &w->p->ring;
    const vl_switch_key *key = w->key;
    uint32_t limbs = key->nq + ring->p_count, j = (uint32_t)item / limbs, i = (uint32_t)item % limbs;
    uint32_t index = i < key->nq ? i : ring->q_count + (i - key->nq), nq = i < key->nq ? i : key->nq;
    const vl_modulus *m = &ring->mod[index];
    const uint8_t *in = w->in + j * w->digit_bytes + vl_pack_poly_bytes(ring, nq, i - nq);
    if (!vl_unpack_limb(ring, m, in, vl_poly_limb(ring, key->b[j], i))) {
        uint32_t seen = atomic_load(&w->bad);
        while ((uint32_t)item < seen && !atomic_compare_exchange_weak(&w->bad, &seen, (uint32_t)item)) {
        }
    }
    vl_rng rng;
    vl_rng_init_seed(&rng, key->seed, (uint64_t)j * VL_MAX_LIMBS + index);
    vl_rng_uniform(&rng, m->q, vl_poly_limb(ring, key->a[j], i), ring->n);
}

static velum_status load_key(vl_exec *x, const vl_params *p, vl_reader *r, uint32_t index, const vl_switch_key *before,
                             vl_switch_key *key) {
    char name[64];
    uint64_t galois = vl_read_u64(r);
    uint16_t nq = vl_read_u16(r);
    uint8_t seed[VL_SEED_BYTES];
    vl_read_bytes(r, seed, sizeof seed);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short at key %u", index);
    name_of(galois, name, sizeof name);
    VL_FAIL_IF(galois != 0 && (galois % 2 == 0 || galois >= 2 * (uint64_t)p->ring.n), VELUM_E_FORMAT,
               "evaluation keys: %s: not odd and below 2N", name);
    VL_FAIL_IF(before && galois == before->galois, VELUM_E_FORMAT, "evaluation keys: %s: there twice", name);
    VL_FAIL_IF(before && galois < before->galois, VELUM_E_FORMAT, "evaluation keys: %s: not in ascending order", name);
    VL_FAIL_IF(nq == 0 || nq > p->ring.q_count, VELUM_E_FORMAT, "evaluation keys: %s: level %u, must be 1 to %u", name,
               nq, p->ring.q_count);
    VL_TRY(vl_keys_check_security(p, nq, true, name));
    size_t bytes = vl_pack_poly_bytes(&p->ring, nq, p->ring.p_count);
    const uint8_t *in = vl_read_view(r, vl_bases_digits(p, nq) * bytes);
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "evaluation keys: %s: cut short", name);
    VL_TRY(vl_keys_init(p, galois, nq, key));
    memcpy(key->seed, seed, sizeof seed);
    uint32_t limbs = nq + p->ring.p_count, items = key->digits * limbs;
    key_job job = {.p = p, .key = key, .in = in, .digit_bytes = bytes};
    atomic_init(&job.bad, items);
    vl_exec_each(x, vl_exec_slots(x, items, 0), items, load_limb, &job);
    uint32_t bad = atomic_load(&job.bad);
    if (bad < items)
        return VL_FAIL(VELUM_E_FORMAT, "evaluation keys: %s: digit %u, limb %u: a residue is not below %" PRIu64, name,
                       bad / limbs, bad % limbs, vl_poly_modulus(&p->ring, key->b[bad / limbs], bad % limbs)->q);
    return VELUM_OK;
}

static velum_status load_all(vl_exec *x, const vl_params *p, vl_reader *r, vl_eval_keys *made) {
    VL_TRY(check_digest(p, r, "evaluation keys"));
    uint16_t zero_nq = vl_read_u16(r);
    VL_FAIL_IF(zero_nq > p->ring.q_count, VELUM_E_FORMAT,
               "evaluation keys: public encryption key at level %u, must be at most %u", zero_nq, p->ring.q_count);
    uint32_t count = vl_read_count(r, p->ring.n + 1, key_bytes(p, 1));
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short, or more keys than there is room for");
    if (zero_nq) VL_TRY(load_zero(x, p, r, zero_nq, made));
    made->key = vl_alloc_array(count, sizeof *made->key);
    VL_FAIL_IF(!made->key, VELUM_E_NOMEM, "no memory for %u keys", count);
    while (made->count < count) {
        uint32_t i = made->count++; // an empty key is cleared like any other
        VL_TRY(load_key(x, p, r, i, i ? &made->key[i - 1] : NULL, &made->key[i]));
    }
    return VELUM_OK;
}

velum_status vl_eval_keys_load(vl_exec *x, const vl_params *p, vl_reader *r, vl_eval_keys *out) {
    vl_eval_keys made = {.params = p};
    velum_status status = load_all(x, p, r, &made);
    if (status != VELUM_OK) {
        vl_eval_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}
