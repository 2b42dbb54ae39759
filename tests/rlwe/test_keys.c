// SPDX-License-Identifier: Apache-2.0
// Keys: requests, saved forms, and what damage to each field of them gets.
#include "rlwe/fixture.h"

#define HEAD 64     // digest, zero_nq, count
#define KEY_HEAD 64 // galois, nq, seed
#define GAP 320     // after each polynomial

typedef struct keyring {
    vl_params *p;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_writer saved;
} keyring;

static keyring make(uint32_t log_n, uint32_t limbs, uint32_t alpha, const vl_key_request *requests, uint32_t count,
                    uint16_t zero_nq) {
    keyring k = {.p = insecure_params(log_n, limbs, alpha, NULL), .saved = vl_writer_of(1 << 26)};
    k.x = test_exec(k.p, 2);
    OK(vl_secret_key_new(k.p, &k.sk));
    OK(vl_eval_keys_generate(&k.x, k.p, &k.sk, requests, count, zero_nq, &k.keys));
    vl_eval_keys_save(&k.keys, &k.saved);
    assert_false(k.saved.failed);
    assert_int_equal(k.saved.size, vl_eval_keys_bytes(k.p, requests, count, zero_nq));
    return k;
}

static void drop(keyring *k) {
    vl_writer_clear(&k->saved);
    vl_eval_keys_free(&k->keys);
    vl_secret_key_free(&k->sk);
    vl_exec_clear(&k->x);
    vl_params_free(k->p);
}

static void requests_are_merged(void **state) {
    (void)state;
    const vl_key_request requests[] = {{25, 2}, {0, 1}, {5, 3}, {25, 4}, {63, 1}, {5, 1}, {0, 4}};
    keyring k = make(5, 4, 2, requests, 7, 0);
    static const struct {
        uint64_t galois;
        uint16_t nq, digits;
    } want[] = {{0, 4, 2}, {5, 3, 2}, {25, 4, 2}, {63, 1, 1}};
    assert_int_equal(k.keys.count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(k.keys.key[i].galois, want[i].galois);
        assert_int_equal(k.keys.key[i].nq, want[i].nq);
        assert_int_equal(k.keys.key[i].digits, want[i].digits);
        assert_ptr_equal(vl_eval_keys_find(&k.keys, want[i].galois), &k.keys.key[i]);
        for (int j = 0; j < i; j++) assert_memory_not_equal(k.keys.key[i].seed, k.keys.key[j].seed, VL_SEED_BYTES);
    }
    assert_null(vl_eval_keys_find(&k.keys, 1));
    assert_null(vl_eval_keys_find(&k.keys, 7));
    assert_null(vl_eval_keys_find(&k.keys, 65));
    const vl_key_request ascending[] = {{0, 4}, {5, 3}, {25, 4}, {63, 1}};
    assert_int_equal(vl_eval_keys_bytes(k.p, ascending, 4, 0), k.saved.size);
    drop(&k);
    k = make(5, 4, 2, NULL, 0, 0); // none at all
    assert_null(vl_eval_keys_find(&k.keys, 0));
    drop(&k);
}

static void bad_requests(void **state) {
    (void)state;
    vl_params *p = insecure_params(5, 3, 1, NULL);
    vl_exec x = test_exec(p, 1);
    vl_secret_key sk;
    OK(vl_secret_key_new(p, &sk));
    const vl_key_request bad[] = {{2, 1}, {64, 1}, {65, 1}, {UINT64_MAX, 1}, {5, 0}, {0, 4}, {5, UINT16_MAX}};
    vl_eval_keys keys = {.count = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(vl_eval_keys_generate(&x, p, &sk, &bad[i], 1, 0, &keys), VELUM_E_USAGE);
        assert_int_equal(keys.count, 77);
    }
    assert_int_equal(vl_eval_keys_generate(&x, p, &sk, NULL, 0, 4, &keys), VELUM_E_USAGE);
    vl_secret_key_free(&sk);
    vl_exec_clear(&x);
    vl_params_free(p);
}

// b + a s - P g_j s_from is small at every limb: the definition. Two limbs a digit.
static void check_definition(const keyring *k, const vl_eval_keys *keys) {
    const vl_params *p = k->p;
    const vl_ring *ring = &p->ring;
    size_t n = ring->n;
    for (uint32_t c = 0; c < keys->count; c++) {
        const vl_switch_key *key = &keys->key[c];
        uint64_t inverse = 1; // g^-1 mod 2N
        while (key->galois && inverse * key->galois % (2 * n) != 1) inverse += 2;
        int64_t s[64], target[64];
        for (size_t i = 0; i < n; i++) s[i] = target[i] = k->sk.coeffs[i];
        if (key->galois) naive_automorphism(s, target, n, inverse);
        vl_poly t, from, e;
        OK(vl_poly_new(ring, key->nq, ring->p_count, &t));
        OK(vl_poly_new(ring, key->nq, ring->p_count, &from));
        OK(vl_poly_new(ring, key->nq, ring->p_count, &e));
        vl_ring_from_i64(NULL, ring, t, target);
        vl_ring_ntt(NULL, ring, t, t);
        vl_ring_from_i64(NULL, ring, from, s);
        vl_ring_ntt(NULL, ring, from, from);
        if (!key->galois) vl_ring_mul(NULL, ring, from, from, from);
        for (uint32_t j = 0; j < key->digits; j++) {
            uint64_t gadget[VL_MAX_LIMBS] = {0};
            for (uint32_t i = 2 * j; i < 2 * j + 2 && i < key->nq; i++)
                gadget[i] = (uint64_t)((unsigned __int128)(p->literal.p[0] % p->literal.q[i]) * p->literal.p[1] %
                                       p->literal.q[i]);
            vl_ring_copy(NULL, ring, e, key->b[j]);
            vl_ring_mul_add(NULL, ring, e, key->a[j], t);
            vl_poly g;
            OK(vl_poly_new(ring, key->nq, ring->p_count, &g));
            vl_ring_mul_residues(NULL, ring, g, from, gadget);
            vl_ring_sub(NULL, ring, e, e, g);
            vl_ring_intt(NULL, ring, e, e);
            for (size_t i = 0; i < n; i++) {
                int64_t first = 0;
                for (uint32_t l = 0; l < (uint32_t)key->nq + ring->p_count; l++) {
                    uint64_t r = vl_poly_limb(ring, e, l)[i], q = vl_poly_modulus(ring, e, l)->q;
                    int64_t v = r > q / 2 ? (int64_t)r - (int64_t)q : (int64_t)r;
                    if (l == 0) first = v;
                    assert_true(v == first && v >= -41 && v <= 41);
                }
            }
            vl_poly_free(&g);
        }
        vl_poly_free(&t);
        vl_poly_free(&from);
        vl_poly_free(&e);
    }
}

static void keys_are_what_they_say(void **state) {
    (void)state;
    const vl_key_request requests[] = {{0, 5}, {5, 4}, {127, 3}};
    keyring k = make(6, 5, 2, requests, 3, 4);
    check_definition(&k, &k.keys);
    drop(&k);
}

static void secret_key_round_trip(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(7, 3, 1);
    for (uint32_t weight = 0; weight <= 32; weight += 32) {
        vl_params *p;
        vl_secret_key sk, back;
        lit.secret_weight = weight;
        OK(vl_params_new(&lit, NULL, &p));
        OK(vl_secret_key_new(p, &sk));
        uint32_t count = 0;
        for (uint32_t k = 0; k < p->ring.n; k++) count += sk.coeffs[k] != 0;
        if (weight) assert_int_equal(count, weight);
        vl_writer w = vl_writer_of(4096);
        vl_secret_key_save(p, &sk, &w);
        assert_int_equal(w.size, 32 + p->ring.n / 4);
        vl_reader r = vl_reader_of(w.data, w.size);
        OK(vl_secret_key_load(p, &r, &back));
        assert_memory_equal(sk.coeffs, back.coeffs, p->ring.n);
        assert_true(same_words(p, sk.s, back.s));
        vl_secret_key_free(&back);
        for (size_t cut = 0; cut < w.size; cut++) {
            r = vl_reader_of(w.data, cut);
            assert_int_equal(vl_secret_key_load(p, &r, &back), VELUM_E_FORMAT);
        }
        uint8_t old = w.data[40];
        w.data[40] = (old & 0xfc) | 2;
        r = vl_reader_of(w.data, w.size);
        assert_int_equal(vl_secret_key_load(p, &r, &back), VELUM_E_FORMAT);
        if (weight) { // one coefficient more or fewer
            w.data[40] = old ^ (old & 1 ? 1 | (old & 2) : 1);
            r = vl_reader_of(w.data, w.size);
            assert_int_equal(vl_secret_key_load(p, &r, &back), VELUM_E_FORMAT);
        }
        w.data[40] = old;
        w.data[0] ^= 1;
        r = vl_reader_of(w.data, w.size);
        assert_int_equal(vl_secret_key_load(p, &r, &back), VELUM_E_MISMATCH);
        vl_writer_clear(&w);
        vl_secret_key_free(&sk);
        vl_params_free(p);
    }
}

static bool same_keys(const vl_params *p, const vl_eval_keys *a, const vl_eval_keys *b) {
    bool same = a->count == b->count && a->zero_nq == b->zero_nq;
    if (same && a->zero_nq) same = same_words(p, a->zero_b, b->zero_b) && same_words(p, a->zero_a, b->zero_a);
    for (uint32_t i = 0; same && i < a->count; i++) {
        const vl_switch_key *l = &a->key[i], *r = &b->key[i];
        same = l->galois == r->galois && l->nq == r->nq && l->digits == r->digits;
        for (uint32_t j = 0; same && j < l->digits; j++)
            same = same_words(p, l->b[j], r->b[j]) && same_words(p, l->a[j], r->a[j]);
    }
    return same;
}

// Straight into a file: the saved form of keys that load.
static void written_without_being_kept(void **state) {
    (void)state;
    const vl_key_request requests[] = {{25, 1}, {0, 5}, {5, 4}, {127, 3}, {5, 2}};
    for (uint16_t zero_nq = 0; zero_nq <= 5; zero_nq += 5) {
        keyring k = make(6, 5, 2, requests, 5, zero_nq);
        vl_writer w = vl_writer_of(1 << 26), again = vl_writer_of(1 << 26);
        vl_eval_keys back;
        OK(vl_eval_keys_write(&k.x, k.p, &k.sk, requests, 5, zero_nq, &w));
        assert_int_equal(w.size, k.saved.size);
        vl_reader r = vl_reader_of(w.data, w.size);
        OK(vl_eval_keys_load(&k.x, k.p, &r, &back));
        assert_int_equal(back.count, 4);
        vl_eval_keys_save(&back, &again);
        assert_memory_equal(again.data, w.data, w.size);
        check_definition(&k, &back);
        vl_eval_keys_free(&back);
        vl_writer_clear(&again);
        vl_writer_clear(&w);
        w = vl_writer_of(k.saved.size - 1);
        assert_int_equal(vl_eval_keys_write(&k.x, k.p, &k.sk, requests, 5, zero_nq, &w), VELUM_E_LIMIT);
        vl_writer_clear(&w);
        drop(&k);
    }
}

static bool inside(const void *p, const uint8_t *data, size_t size) {
    return (const uint8_t *)p >= data && (const uint8_t *)p < data + size;
}

// Lasting bytes are used where they lie, if they are aligned; either way the keys are the same.
static void halves_are_borrowed(void **state) {
    (void)state;
    const vl_key_request requests[] = {{0, 5}, {5, 4}};
    keyring k = make(6, 5, 2, requests, 2, 3);
    uint8_t *room = vl_alloc_raw(k.saved.size + 64);
    for (size_t shift = 0; shift < 64; shift += 8)
        for (int lasting = 0; lasting < 2; lasting++) {
            vl_eval_keys back;
            memcpy(room + shift, k.saved.data, k.saved.size);
            vl_reader r = vl_reader_of(room + shift, k.saved.size);
            r.lasting = lasting;
            OK(vl_eval_keys_load(&k.x, k.p, &r, &back));
            bool borrowed = lasting && shift == 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
            assert_int_equal(inside(back.zero_b.x, room, k.saved.size + 64), borrowed);
            for (uint32_t i = 0; i < back.count; i++)
                assert_int_equal(inside(back.key[i].b[0].x, room, k.saved.size + 64), borrowed);
            assert_true(same_keys(k.p, &k.keys, &back));
            vl_eval_keys_free(&back);
        }
    vl_free(room);
    drop(&k);
}

static void round_trip(void **state) {
    (void)state;
    const vl_key_request requests[] = {{0, 5}, {5, 4}, {25, 1}, {127, 3}};
    for (uint16_t zero_nq = 0; zero_nq <= 5; zero_nq += 5) {
        keyring k = make(6, 5, 2, requests, 4, zero_nq);
        vl_eval_keys back;
        vl_reader r = vl_reader_of(k.saved.data, k.saved.size);
        OK(vl_eval_keys_load(&k.x, k.p, &r, &back));
        assert_int_equal(vl_reader_left(&r), 0);
        assert_true(same_keys(k.p, &k.keys, &back));
        vl_writer again = vl_writer_of(1 << 26);
        vl_eval_keys_save(&back, &again);
        assert_int_equal(again.size, k.saved.size);
        assert_memory_equal(again.data, k.saved.data, again.size);
        vl_writer_clear(&again);
        vl_eval_keys_free(&back);
        drop(&k);
    }
}

static void refused(keyring *k, size_t size, velum_status want, const char *word) {
    for (int lasting = 0; lasting < 2; lasting++) {
        vl_eval_keys back = {.count = 77};
        vl_reader r = vl_reader_of(k->saved.data, size);
        r.lasting = lasting;
        assert_int_equal(vl_eval_keys_load(&k->x, k->p, &r, &back), want);
        assert_int_equal(back.count, 77);
        if (!strstr(velum_last_error(), word)) fail_msg("\"%s\" does not say \"%s\"", velum_last_error(), word);
    }
}

// Overwrites bytes, expects a refusal, puts them back.
static void damaged(keyring *k, size_t at, const void *bytes, size_t size, velum_status want, const char *word) {
    uint8_t old[64];
    memcpy(old, k->saved.data + at, size);
    memcpy(k->saved.data + at, bytes, size);
    refused(k, k->saved.size, want, word);
    memcpy(k->saved.data + at, old, size);
}
static void damaged_word(keyring *k, size_t at, uint64_t v, size_t size, velum_status want, const char *word) {
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)(v >> (8 * i));
    damaged(k, at, bytes, size, want, word);
}

static void damage(void **state) {
    (void)state;
    const vl_key_request requests[] = {{0, 3}, {5, 2}, {25, 3}};
    keyring k = make(4, 3, 2, requests, 3, 2);
    const vl_params_literal *lit = &k.p->literal;
    size_t n = k.p->ring.n, zero = HEAD, limb = 8 * n, keys = HEAD + 64 + 2 * limb + GAP;
    size_t first = KEY_HEAD + 2 * (5 * limb + GAP), second = KEY_HEAD + 4 * limb + GAP;
    assert_int_equal(keys + 2 * first + second, k.saved.size);

    for (size_t cut = 0; cut < k.saved.size; cut++) refused(&k, cut, VELUM_E_FORMAT, "evaluation keys");
    damaged_word(&k, 0, k.saved.data[0] ^ 1u, 1, VELUM_E_MISMATCH, "other parameters");
    damaged_word(&k, 32, 4, 2, VELUM_E_FORMAT, "public encryption key");
    damaged_word(&k, 34, 4, 4, VELUM_E_FORMAT, "key 3");
    damaged_word(&k, 34, UINT32_MAX, 4, VELUM_E_FORMAT, "room");
    damaged_word(&k, 34, n + 2, 4, VELUM_E_FORMAT, "room");
    damaged_word(&k, 38, 1, 1, VELUM_E_FORMAT, "head"); // what must be zero
    damaged_word(&k, zero + 63, 1, 1, VELUM_E_FORMAT, "public encryption key");
    damaged_word(&k, keys - 1, 1, 1, VELUM_E_FORMAT, "gap");
    damaged_word(&k, keys + 42, 1, 1, VELUM_E_FORMAT, "key 0");
    damaged_word(&k, keys + first - GAP, 1, 1, VELUM_E_FORMAT, "relinearisation key: digit 1: its gap");
    // residues: the first of the zero key, the last of a key's last limb
    damaged_word(&k, zero + 64, lit->q[0], 8, VELUM_E_FORMAT, "public encryption key, limb 0");
    damaged_word(&k, keys - GAP - 8, lit->q[1], 8, VELUM_E_FORMAT, "public encryption key, limb 1");
    damaged_word(&k, keys + KEY_HEAD, lit->q[0], 8, VELUM_E_FORMAT, "relinearisation key: digit 0, limb 0");
    damaged_word(&k, keys + KEY_HEAD + 8, UINT64_MAX, 8, VELUM_E_FORMAT, "relinearisation key: digit 0, limb 0");
    damaged_word(&k, keys + first - GAP - 8, lit->p[1], 8, VELUM_E_FORMAT, "relinearisation key: digit 1, limb 4");
    damaged_word(&k, keys + first + second - GAP - 8, lit->p[1], 8, VELUM_E_FORMAT, "element 5: digit 0, limb 3");
    // fields of the second key
    size_t at = keys + first;
    damaged_word(&k, at, 6, 8, VELUM_E_FORMAT, "odd");
    damaged_word(&k, at, 2 * n + 1, 8, VELUM_E_FORMAT, "odd and below");
    damaged_word(&k, at, UINT64_MAX, 8, VELUM_E_FORMAT, "odd and below");
    damaged_word(&k, at, 0, 8, VELUM_E_FORMAT, "twice");
    damaged_word(&k, at, 25, 8, VELUM_E_FORMAT, "twice");
    damaged_word(&k, at, 27, 8, VELUM_E_FORMAT, "order");
    damaged_word(&k, at + 8, 0, 2, VELUM_E_FORMAT, "level 0");
    damaged_word(&k, at + 8, 4, 2, VELUM_E_FORMAT, "level 4");
    damaged_word(&k, at + 8, UINT16_MAX, 2, VELUM_E_FORMAT, "level");
    // undamaged again
    vl_eval_keys back;
    vl_reader r = vl_reader_of(k.saved.data, k.saved.size);
    OK(vl_eval_keys_load(&k.x, k.p, &r, &back));
    assert_true(same_keys(k.p, &k.keys, &back));
    vl_eval_keys_free(&back);
    drop(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_merged),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(keys_are_what_they_say),
        cmocka_unit_test(secret_key_round_trip),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(written_without_being_kept),
        cmocka_unit_test(halves_are_borrowed),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
