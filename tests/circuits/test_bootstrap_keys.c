// SPDX-License-Identifier: Apache-2.0
// Keys of a bootstrap in files: round trips, borrowed halves, and what damage to each field of them gets.
#include "circuits/bootstrap_keys.h"
#include "ckks/fixture.h"
#include "rlwe/words.h"

typedef struct keyring {
    lab l;
    vl_bootstrap_plan plan;
    vl_bootstrap_keys own;
    vl_writer saved;
} keyring;

static void open_ring(keyring *k, const char *name) {
    const vl_bootstrap_params *set = vl_bootstrap_params_find(name);
    vl_params_literal lit;
    vl_params *p;
    OK(vl_bootstrap_literal(set, &lit));
    OK(vl_params_new(&lit, NULL, &p));
    OK(vl_bootstrap_plan_make(set, p, &k->plan));
    size_t setup = vl_bootstrap_setup_scratch(p), arena = k->plan.scratch_bytes;
    lab_open(&k->l, p, 2, setup > arena ? setup : arena, k->plan.keys, k->plan.key_count);
    OK(vl_bootstrap_keys_new(&k->l.x, &k->plan, p, &k->l.sk, &k->own));
    k->saved = vl_writer_of((size_t)1 << 30);
    vl_bootstrap_keys_save(&k->own, &k->saved);
    OK(vl_writer_status(&k->saved));
    assert_int_equal(k->saved.size, vl_bootstrap_keys_bytes(&k->plan, p));
}

static void close_ring(keyring *k) {
    vl_writer_clear(&k->saved);
    vl_bootstrap_keys_free(&k->own);
    lab_close(&k->l);
}

static bool same_limbs(const uint64_t *a, const uint64_t *b, size_t n, size_t limbs) {
    return memcmp(a, b, n * limbs * sizeof *a) == 0;
}

static bool same_sets(const vl_eval_keys *a, const vl_eval_keys *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        const vl_switch_key *x = &a->key[i], *y = &b->key[i];
        same = x->galois == y->galois && x->nq == y->nq && x->digits == y->digits;
        for (uint32_t j = 0; same && j < x->digits; j++)
            same = same_words(a->params, x->b[j], y->b[j]) && same_words(a->params, x->a[j], y->a[j]);
    }
    return same;
}

static bool same_keys(const vl_bootstrap_keys *a, const vl_bootstrap_keys *b) {
    const vl_encapsulation *k = &a->raise, *l = &b->raise;
    size_t n = k->params->ring.n, level = k->shape.level, up = k->shape.sums * (level + 1u);
    bool same = vl_encapsulation_same_shape(&k->shape, &l->shape) && same_limbs(k->down_b, l->down_b, n, 2) &&
                same_limbs(k->down_a, l->down_a, n, 2) && same_limbs(k->up_b, l->up_b, n, up) &&
                same_limbs(k->up_a, l->up_a, n, up) && memcmp(k->p_inv, l->p_inv, level * sizeof *k->p_inv) == 0 &&
                (a->low_params != NULL) == (b->low_params != NULL) &&
                (a->entry_params != NULL) == (b->entry_params != NULL);
    return same && same_sets(&a->low, &b->low) && same_sets(&a->entry, &b->entry);
}

static void refresh(keyring *k, const vl_bootstrap_keys *own, vl_ciphertext *d) {
    vl_bootstrap *b;
    double complex *v = complex_vector(1u << k->plan.params.log_slots, 3);
    OK(vl_bootstrap_new(&k->l.x, &k->plan, k->l.e, &b));
    vl_ciphertext ct = lab_encrypt(&k->l, v, 1u << k->plan.params.log_slots, k->plan.scale, k->plan.in_level);
    OK(vl_ciphertext_new(k->l.p, k->plan.out_level, 1, d));
    OK(vl_bootstrap_apply(&k->l.x, b, &k->l.keys, own, d, &ct, NULL));
    assert_true(lab_error(&k->l, d, v, 1u << k->plan.params.log_slots) < 0x1p-10);
    vl_ciphertext_free(&ct);
    vl_bootstrap_free(b);
    free(v);
}

static void round_trip(const char *name) {
    keyring k;
    open_ring(&k, name);
    uint8_t *room = vl_alloc_raw(k.saved.size + 64);
    for (size_t shift = 0; shift <= 8; shift += 8) // misaligned bytes are copied
        for (int lasting = 0; lasting < 2; lasting++) {
            vl_bootstrap_keys back;
            vl_ciphertext d;
            memcpy(room + shift, k.saved.data, k.saved.size);
            vl_reader r = vl_reader_of(room + shift, k.saved.size);
            r.lasting = lasting;
            OK(vl_bootstrap_keys_load(&k.l.x, &k.plan, k.l.p, &r, &back));
            assert_int_equal(vl_reader_left(&r), 0);
            const uint8_t *b = (const uint8_t *)back.raise.up_b;
            assert_int_equal(b > room && b < room + k.saved.size, lasting && shift == 0);
            assert_true(same_keys(&k.own, &back));
            refresh(&k, &back, &d);
            vl_ciphertext_free(&d);
            vl_writer again = vl_writer_of(k.saved.size);
            vl_bootstrap_keys_save(&back, &again);
            assert_int_equal(again.size, k.saved.size);
            assert_memory_equal(again.data, k.saved.data, again.size);
            vl_writer_clear(&again);
            vl_bootstrap_keys_free(&back);
        }
    vl_free(room);
    close_ring(&k);
}

static void round_trips(void **state) {
    (void)state;
    round_trip("INSECURE-n10-sparse");
    round_trip("INSECURE-n10-coeffs-sparse"); // no low keys
}

// Both kinds of keys one after the other, written as they are made: as a client does.
static void written_without_being_kept(void **state) {
    (void)state;
    keyring k;
    open_ring(&k, "INSECURE-n10-sparse");
    vl_writer w = vl_writer_of((size_t)1 << 30);
    OK(vl_eval_keys_write(&k.l.x, k.l.p, &k.l.sk, k.plan.keys, k.plan.key_count, 0, &w));
    size_t first = w.size;
    OK(vl_bootstrap_keys_write(&k.l.x, &k.plan, k.l.p, &k.l.sk, &w));
    assert_int_equal(w.size - first, k.saved.size);
    vl_reader r = vl_reader_of(w.data, w.size);
    r.lasting = true;
    vl_bootstrap_keys back;
    vl_ciphertext d;
    vl_eval_keys_free(&k.l.keys);
    OK(vl_eval_keys_load(&k.l.x, k.l.p, &r, &k.l.keys));
    OK(vl_bootstrap_keys_load(&k.l.x, &k.plan, k.l.p, &r, &back));
    assert_int_equal(vl_reader_left(&r), 0);
    refresh(&k, &back, &d);
    vl_ciphertext_free(&d);
    vl_bootstrap_keys_free(&back);
    close_ring(&k);
    vl_writer_clear(&w);
}

// ---- damage ----
static void refused(keyring *k, const vl_bootstrap_plan *plan, const vl_params *p, size_t size, velum_status want,
                    const char *word) {
    for (int lasting = 0; lasting < 2; lasting++) {
        vl_bootstrap_keys back = {.raise.shape.weight = 77};
        vl_reader r = vl_reader_of(k->saved.data, size);
        r.lasting = lasting;
        assert_int_equal(vl_bootstrap_keys_load(&k->l.x, plan, p, &r, &back), want);
        assert_int_equal(back.raise.shape.weight, 77);
        if (!strstr(velum_last_error(), word)) fail_msg("\"%s\" does not say \"%s\"", velum_last_error(), word);
    }
}

static void damaged(keyring *k, size_t at, uint64_t v, size_t bytes, velum_status want, const char *word) {
    uint8_t old[8];
    memcpy(old, k->saved.data + at, bytes);
    for (size_t i = 0; i < bytes; i++) k->saved.data[at + i] = (uint8_t)(v >> (8 * i));
    refused(k, &k->plan, k->l.p, k->saved.size, want, word);
    memcpy(k->saved.data + at, old, bytes);
}

static void damage(void **state) {
    (void)state;
    keyring k;
    open_ring(&k, "INSECURE-n10-sparse");
    const vl_params_literal *lit = &k.l.p->literal, *small = &k.plan.low;
    size_t n = k.l.p->ring.n, limb = 8 * n, top = k.plan.top, gap = VL_WORDS_GAP * 8;
    const vl_switch_key *first = &k.own.entry.key[0];
    size_t seeds = 64, down = seeds + 64, up = down + 2 * limb + gap,
           entry = up + k.own.raise.shape.sums * (top + 1) * limb + gap;
    size_t low = entry + 128 + first->digits * ((first->nq + small->p_count) * limb + gap);
    size_t key = low + 64, halves = key + 64,
           poly = ((size_t)(k.own.low.key[0].nq + small->p_count) * 8 << small->log_n) + gap;
    // every section's borders
    const size_t borders[] = {0,
                              32,
                              36,
                              38,
                              39,
                              43,
                              47,
                              seeds,
                              down,
                              down + limb,
                              up - gap,
                              up,
                              up + limb,
                              entry - gap,
                              entry,
                              entry + 38,
                              entry + 64,
                              entry + 128,
                              low - gap,
                              low,
                              low + 32,
                              low + 34,
                              low + 38,
                              key,
                              key + 8,
                              key + 10,
                              key + 42,
                              halves,
                              halves + poly - gap,
                              halves + poly,
                              k.saved.size - gap,
                              k.saved.size};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        for (size_t before = 1; before <= 9; before += 8)
            if (borders[i] >= before)
                refused(&k, &k.plan, k.l.p, borders[i] - before, VELUM_E_FORMAT,
                        i < 15 ? "encapsulation" : "evaluation");
    for (size_t i = 0; i + 1 < sizeof borders / sizeof *borders; i++)
        refused(&k, &k.plan, k.l.p, borders[i], VELUM_E_FORMAT, i < 14 ? "encapsulation" : "evaluation");
    // heads
    damaged(&k, 0, k.saved.data[0] ^ 1u, 1, VELUM_E_MISMATCH, "encapsulation key: made for other parameters");
    damaged(&k, 32, 0, 4, VELUM_E_FORMAT, "weight 0");
    damaged(&k, 32, UINT32_MAX, 4, VELUM_E_FORMAT, "weight 4294967295");
    damaged(&k, 32, 31, 4, VELUM_E_MISMATCH, "weight 31");
    damaged(&k, 36, 1, 2, VELUM_E_FORMAT, "level 1");
    damaged(&k, 36, top + 1, 2, VELUM_E_FORMAT, "level");
    damaged(&k, 36, UINT16_MAX, 2, VELUM_E_FORMAT, "level 65535");
    damaged(&k, 38, 0, 1, VELUM_E_FORMAT, "powers of X^0");
    damaged(&k, 38, 3, 1, VELUM_E_FORMAT, "powers of X^3");
    damaged(&k, 38, 1, 1, VELUM_E_MISMATCH, "X^2 and level");
    damaged(&k, 39, 0, 4, VELUM_E_FORMAT, "a sum of 0");
    damaged(&k, 39, UINT32_MAX, 4, VELUM_E_FORMAT, "a sum of 4294967295");
    damaged(&k, 39, 2 * k.own.raise.shape.sums, 4, VELUM_E_FORMAT, "encapsulation key");
    damaged(&k, 43, UINT32_MAX, 4, VELUM_E_FORMAT, "rotations by -1");
    damaged(&k, 43, 1, 4, VELUM_E_MISMATCH, "are needed");
    damaged(&k, 47, 1, 1, VELUM_E_FORMAT, "head");
    damaged(&k, entry, k.saved.data[entry] ^ 1u, 1, VELUM_E_MISMATCH, "evaluation keys: made for other parameters");
    damaged(&k, entry + 64, 3, 8, VELUM_E_MISMATCH, "the key of ring switching for element 1 at level 3 is missing");
    damaged(&k, low, k.saved.data[low] ^ 1u, 1, VELUM_E_MISMATCH, "evaluation keys: made for other parameters");
    damaged(&k, low + 34, UINT32_MAX, 4, VELUM_E_FORMAT, "room");
    damaged(&k, low + 34, k.own.low.count - 1, 4, VELUM_E_MISMATCH, "is missing");
    damaged(&k, key, 6, 8, VELUM_E_FORMAT, "odd");
    damaged(&k, key + 8, small->q_count + 1u, 2, VELUM_E_FORMAT, "level");
    // residues: first and last of each polynomial
    damaged(&k, down, lit->q[0], 8, VELUM_E_FORMAT, "to the sparse secret: limb 0");
    damaged(&k, up - gap - 8, lit->p[0], 8, VELUM_E_FORMAT, "to the sparse secret: limb 1");
    damaged(&k, up, lit->q[0], 8, VELUM_E_FORMAT, "to the main secret: limb 0");
    damaged(&k, entry - gap - 8, UINT64_MAX, 8, VELUM_E_FORMAT, "to the main secret: limb");
    damaged(&k, entry + 128, small->q[0], 8, VELUM_E_FORMAT, "digit 0, limb 0");
    damaged(&k, halves, small->q[0], 8, VELUM_E_FORMAT, "digit 0, limb 0");
    damaged(&k, k.saved.size - gap - 8, small->p[small->p_count - 1], 8, VELUM_E_FORMAT, "a residue");
    damaged(&k, up - 1, 1, 1, VELUM_E_FORMAT, "gap");
    damaged(&k, entry - 1, 1, 1, VELUM_E_FORMAT, "gap");
    damaged(&k, low - 1, 1, 1, VELUM_E_FORMAT, "gap");
    damaged(&k, k.saved.size - 1, 1, 1, VELUM_E_FORMAT, "gap");
    // undamaged again, by another plan and under other parameters
    vl_bootstrap_keys back;
    vl_reader r = vl_reader_of(k.saved.data, k.saved.size);
    OK(vl_bootstrap_keys_load(&k.l.x, &k.plan, k.l.p, &r, &back));
    assert_true(same_keys(&k.own, &back));
    vl_bootstrap_keys_free(&back);
    vl_bootstrap_plan plan = k.plan;
    plan.raise.weight = 16;
    refused(&k, &plan, k.l.p, k.saved.size, VELUM_E_MISMATCH, "weight 16");
    plan = k.plan;
    plan.keys[plan.key_count].galois ^= 8;
    refused(&k, &plan, k.l.p, k.saved.size, VELUM_E_MISMATCH, "is missing");
    plan = k.plan;
    plan.low_count--;
    refused(&k, &plan, k.l.p, k.saved.size, VELUM_E_MISMATCH, "are needed");
    plan = k.plan;
    plan.low.scale *= 2;
    refused(&k, &plan, k.l.p, k.saved.size, VELUM_E_MISMATCH, "evaluation keys: made for other parameters");
    keyring other;
    open_ring(&other, "INSECURE-n10-full");
    refused(&k, &other.plan, other.l.p, k.saved.size, VELUM_E_MISMATCH, "made for other parameters");
    refused(&k, &other.plan, k.l.p, k.saved.size, VELUM_E_MISMATCH, "limbs");
    close_ring(&other);
    close_ring(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(written_without_being_kept),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
