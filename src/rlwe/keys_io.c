// SPDX-License-Identifier: Apache-2.0
// The saved form of keys (little-endian). Secret key: parameter digest[32], N coefficients of 2 bits (0, 1, 3 for -1).
#include "rlwe/bases.h"
#include "rlwe/keys.h"
#include "rlwe/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEYS_HEAD VL_WORDS_ALIGN

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
// From a multiple of 64 bytes on: digest[32], zero_nq:u16, count:u32, zeros to 64; if zero_nq: seed[32], zeros to 64,
// the public encryption key's b; per key: galois:u64, nq:u16, seed[32], zeros to 64, b of each digit. Polynomials as in
// words.h.
static size_t zero_bytes(size_t n, uint32_t zero_nq) {
    return zero_nq ? VL_WORDS_ALIGN + vl_words_poly_bytes(n, zero_nq) : 0;
}

static size_t key_bytes(const vl_params_literal *lit, uint32_t nq) {
    size_t digits = (nq + lit->digit_limbs - 1) / lit->digit_limbs;
    return VL_KEY_HEAD + digits * vl_words_poly_bytes((size_t)1 << lit->log_n, nq + lit->p_count);
}

size_t vl_keys_saved_bytes(const vl_params_literal *lit, const vl_key_request *requests, uint32_t count,
                           uint16_t zero_nq) {
    size_t bytes = KEYS_HEAD + zero_bytes((size_t)1 << lit->log_n, zero_nq);
    bool ascending = true; // as in a manifest, which comes from outside: no search there
    for (uint32_t i = 1; i < count; i++) ascending = ascending && requests[i - 1].galois < requests[i].galois;
    for (uint32_t i = 0; i < count; i++) {
        if (ascending) {
            bytes += key_bytes(lit, requests[i].level);
            continue;
        }
        uint32_t first = 0, level = 0;
        while (requests[first].galois != requests[i].galois) first++;
        if (first < i) continue;
        for (uint32_t j = i; j < count; j++)
            if (requests[j].galois == requests[i].galois && requests[j].level > level) level = requests[j].level;
        bytes += key_bytes(lit, level);
    }
    return bytes;
}

size_t vl_eval_keys_bytes(const vl_params *p, const vl_key_request *requests, uint32_t count, uint16_t zero_nq) {
    return vl_keys_saved_bytes(&p->literal, requests, count, zero_nq);
}

void vl_keys_write_head(const vl_params *p, uint16_t zero_nq, uint32_t count, vl_writer *w) {
    vl_write_align(w, VL_WORDS_ALIGN);
    vl_write_bytes(w, p->digest, VL_DIGEST_BYTES);
    vl_write_u16(w, zero_nq);
    vl_write_u32(w, count);
    vl_write_align(w, VL_WORDS_ALIGN);
}

void vl_keys_put_head(const vl_switch_key *key, uint8_t out[VL_KEY_HEAD]) {
    memset(out, 0, VL_KEY_HEAD);
    for (size_t i = 0; i < 8; i++) out[i] = (uint8_t)(key->galois >> (8 * i));
    for (size_t i = 0; i < 2; i++) out[8 + i] = (uint8_t)(key->nq >> (8 * i));
    memcpy(out + 10, key->seed, VL_SEED_BYTES);
}

void vl_eval_keys_save(const vl_eval_keys *keys, vl_writer *w) {
    const vl_ring *ring = &keys->params->ring;
    vl_keys_write_head(keys->params, keys->zero_nq, keys->count, w);
    if (keys->zero_nq) {
        vl_write_bytes(w, keys->zero_seed, VL_SEED_BYTES);
        vl_write_align(w, VL_WORDS_ALIGN);
        vl_words_write(keys->zero_b.x, ring->n, keys->zero_nq, w);
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        const vl_switch_key *key = &keys->key[i];
        uint8_t *head = vl_write_space(w, VL_KEY_HEAD);
        if (head) vl_keys_put_head(key, head);
        for (uint32_t j = 0; j < key->digits; j++) vl_words_write(key->b[j].x, ring->n, key->nq + ring->p_count, w);
    }
}

// Where a view's words are used in place. They are read only.
static uint64_t *words_at(const uint8_t *p) { return (uint64_t *)(uintptr_t)p; }

static velum_status load_zero(vl_exec *x, const vl_params *p, vl_reader *r, uint16_t zero_nq, vl_eval_keys *made) {
    size_t n = p->ring.n;
    vl_read_bytes(r, made->zero_seed, VL_SEED_BYTES);
    vl_read_align(r, VL_WORDS_ALIGN);
    const uint8_t *in = vl_read_view(r, vl_words_poly_bytes(n, zero_nq));
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "evaluation keys: cut short in the public encryption key");
    VL_FAIL_IF(!vl_words_gap_is_zero(in, n, zero_nq), VELUM_E_FORMAT,
               "evaluation keys: public encryption key: its gap is not zero");
    VL_TRY(vl_keys_check_security(p, zero_nq, false, "public encryption key"));
    bool borrow = vl_words_can_borrow(r, in);
    VL_TRY(vl_keys_init_zero(p, zero_nq, !borrow, made));
    vl_words_limb limbs[VL_MAX_LIMBS];
    for (uint32_t i = 0; i < zero_nq; i++)
        limbs[i] = (vl_words_limb){.m = &p->ring.mod[i],
                                   .in = in + i * n * 8,
                                   .b = borrow ? NULL : vl_poly_limb(&p->ring, made->zero_b, i),
                                   .a = vl_poly_limb(&p->ring, made->zero_a, i),
                                   .seed = made->zero_seed,
                                   .domain = i};
    uint32_t bad = vl_words_load(x, n, limbs, zero_nq);
    VL_FAIL_IF(bad < zero_nq, VELUM_E_FORMAT,
               "evaluation keys: public encryption key, limb %u: a residue is not below %" PRIu64, bad,
               p->ring.mod[bad].q);
    if (borrow) made->zero_b.x = words_at(in);
    return VELUM_OK;
}

static void name_of(uint64_t galois, char *buf, size_t size) {
    if (galois)
        snprintf(buf, size, "rotation key of Galois element %" PRIu64, galois);
    else
        snprintf(buf, size, "relinearisation key");
}

// The halves b at `in`; key->a is allocated, key->b too unless they are borrowed.
static velum_status load_halves(vl_exec *x, const vl_params *p, const uint8_t *in, bool borrow, const char *name,
                                vl_switch_key *key) {
    const vl_ring *ring = &p->ring;
    uint32_t limbs = key->nq + ring->p_count, items = key->digits * limbs;
    size_t poly = vl_words_poly_bytes(ring->n, limbs);
    vl_words_limb *list = vl_alloc_array(items, sizeof *list);
    VL_FAIL_IF(!list, VELUM_E_NOMEM, "no memory for a key of %u limbs", items);
    for (uint32_t k = 0; k < items; k++) {
        uint32_t j = k / limbs, i = k % limbs, index = i < key->nq ? i : ring->q_count + (i - key->nq);
        list[k] = (vl_words_limb){.m = &ring->mod[index],
                                  .in = in + j * poly + (size_t)i * ring->n * 8,
                                  .b = borrow ? NULL : vl_poly_limb(ring, key->b[j], i),
                                  .a = vl_poly_limb(ring, key->a[j], i),
                                  .seed = key->seed,
                                  .domain = (uint64_t)j * VL_MAX_LIMBS + index};
    }
    uint32_t bad = vl_words_load(x, ring->n, list, items);
    velum_status status = VELUM_OK;
    if (bad < items)
        status = VL_FAIL(VELUM_E_FORMAT, "evaluation keys: %s: digit %u, limb %u: a residue is not below %" PRIu64,
                         name, bad / limbs, bad % limbs, list[bad].m->q);
    vl_free(list);
    for (uint32_t j = 0; j < key->digits && borrow; j++) key->b[j].x = words_at(in + j * poly);
    return status;
}

static velum_status load_key(vl_exec *x, const vl_params *p, vl_reader *r, uint32_t index, const vl_switch_key *before,
                             vl_switch_key *key) {
    char name[64];
    uint64_t galois = vl_read_u64(r);
    uint16_t nq = vl_read_u16(r);
    uint8_t seed[VL_SEED_BYTES];
    vl_read_bytes(r, seed, sizeof seed);
    vl_read_align(r, VL_WORDS_ALIGN);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short or damaged at the head of key %u", index);
    name_of(galois, name, sizeof name);
    VL_FAIL_IF(galois != 0 && (galois % 2 == 0 || galois >= 2 * (uint64_t)p->ring.n), VELUM_E_FORMAT,
               "evaluation keys: %s: not odd and below 2N", name);
    VL_FAIL_IF(before && galois == before->galois, VELUM_E_FORMAT, "evaluation keys: %s: there twice", name);
    VL_FAIL_IF(before && galois < before->galois, VELUM_E_FORMAT, "evaluation keys: %s: not in ascending order", name);
    VL_FAIL_IF(nq == 0 || nq > p->ring.q_count, VELUM_E_FORMAT, "evaluation keys: %s: level %u, must be 1 to %u", name,
               nq, p->ring.q_count);
    VL_TRY(vl_keys_check_security(p, nq, true, name));
    uint32_t limbs = nq + p->ring.p_count, digits = vl_bases_digits(p, nq);
    size_t poly = vl_words_poly_bytes(p->ring.n, limbs);
    const uint8_t *in = vl_read_view(r, digits * poly);
    VL_FAIL_IF(!in, VELUM_E_FORMAT, "evaluation keys: %s: cut short", name);
    for (uint32_t j = 0; j < digits; j++)
        VL_FAIL_IF(!vl_words_gap_is_zero(in + j * poly, p->ring.n, limbs), VELUM_E_FORMAT,
                   "evaluation keys: %s: digit %u: its gap is not zero", name, j);
    bool borrow = vl_words_can_borrow(r, in);
    VL_TRY(vl_keys_init(p, galois, nq, !borrow, key));
    memcpy(key->seed, seed, sizeof seed);
    return load_halves(x, p, in, borrow, name, key);
}

static velum_status load_all(vl_exec *x, const vl_params *p, vl_reader *r, vl_eval_keys *made) {
    vl_read_align(r, VL_WORDS_ALIGN);
    VL_TRY(check_digest(p, r, "evaluation keys"));
    uint16_t zero_nq = vl_read_u16(r);
    VL_FAIL_IF(zero_nq > p->ring.q_count, VELUM_E_FORMAT,
               "evaluation keys: public encryption key at level %u, must be at most %u", zero_nq, p->ring.q_count);
    uint32_t count = vl_read_count(r, p->ring.n + 1, key_bytes(&p->literal, 1));
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short, or more keys than there is room for");
    vl_read_align(r, VL_WORDS_ALIGN);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "evaluation keys: cut short or damaged at their head");
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
