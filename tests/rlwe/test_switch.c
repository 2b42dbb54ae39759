// SPDX-License-Identifier: Apache-2.0
// Key switching: rotations and relinearisation at every level and digit count, plain against hoisted and lazy, threads
// and kernel families byte for byte.
#include "arith/arith.h"
#include "rlwe/fixture.h"

#include <stdlib.h>

typedef struct setting {
    vl_params *p;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    int64_t *m;
} setting;

static void open_setting(setting *s, vl_params *p, unsigned threads, const vl_key_request *requests, uint32_t count) {
    s->p = p;
    s->x = test_exec(p, threads);
    OK(vl_secret_key_new(p, &s->sk));
    OK(vl_eval_keys_generate(&s->x, p, &s->sk, requests, count, 0, &s->keys));
    s->m = calloc(p->ring.n, sizeof *s->m);
    message(p, s->m);
}

static void close_setting(setting *s) {
    free(s->m);
    vl_eval_keys_free(&s->keys);
    vl_secret_key_free(&s->sk);
    vl_exec_clear(&s->x);
    vl_params_free(s->p);
}

static vl_ciphertext fresh(setting *s, uint16_t level, uint8_t degree) {
    vl_ciphertext ct;
    uint8_t seed[VL_SEED_BYTES];
    OK(vl_ciphertext_new(s->p, level, degree, &ct));
    vl_poly m = plaintext(s->p, level, s->m);
    vl_rlwe_encrypt(&s->x, s->p, &s->sk, m, seed, &ct);
    ct.scale = s->p->literal.scale;
    vl_poly_free(&m);
    return ct;
}

// Noise of rotating at each level up to the key's; hoisted the same bytes; lazy divided by P nearly the same.
static void check_rotation(setting *s, uint64_t galois, uint16_t level) {
    const vl_params *p = s->p;
    const vl_switch_key *key = vl_eval_keys_find(&s->keys, galois);
    assert_non_null(key);
    int64_t *want = calloc(p->ring.n, sizeof *want);
    naive_automorphism(s->m, want, p->ring.n, galois);
    vl_ciphertext ct = fresh(s, level, 1), plain, hoisted;
    OK(vl_ciphertext_new(p, level, 1, &plain));
    OK(vl_ciphertext_new(p, level, 1, &hoisted));
    vl_rlwe_rotate(&s->x, p, key, &plain, &ct);
    assert_true(plain.scale == ct.scale && plain.level == level && plain.degree == 1);
    double sigma = hypot(switch_sigma(p, level), VL_SIGMA);
    test_noise noise = noise_of(&s->x, p, &s->sk, &plain, want);
    if (noise.max > 8 * sigma || noise.rms > 2 * sigma)
        fail_msg("galois %llu level %u: noise max %g rms %g, sigma %g", (unsigned long long)galois, level, noise.max,
                 noise.rms, sigma);

    size_t mark = vl_arena_mark(&s->x.arena);
    vl_digits d = vl_rlwe_decompose(&s->x, p, ct.c[1], &s->x.arena);
    vl_rlwe_rotate_hoisted(&s->x, p, key, &d, &hoisted, &ct);
    assert_true(same_ciphertext(p, &plain, &hoisted));

    // The parts by themselves: sums, division by P, addition, permutation.
    vl_poly u[2], v[2], t;
    for (int i = 0; i < 2; i++) {
        OK(vl_poly_new(&p->ring, level, p->ring.p_count, &u[i]));
        OK(vl_poly_new(&p->ring, level, p->ring.p_count, &v[i]));
    }
    OK(vl_poly_new(&p->ring, level, 0, &t));
    vl_rlwe_apply_key(&s->x, p, &d, key, u[0], u[1]);
    for (int i = 0; i < 2; i++) {
        vl_rlwe_mod_down(&s->x, p, 1, &t, &u[i]);
        if (i == 0) vl_ring_add(&s->x, &p->ring, t, t, ct.c[0]);
        vl_ring_automorphism(&s->x, &p->ring, &key->perm, hoisted.c[i], t);
    }
    assert_true(same_ciphertext(p, &plain, &hoisted));

    vl_rlwe_rotate_lazy(&s->x, p, key, &d, &ct, v[0], v[1]);
    for (int i = 0; i < 2; i++) { // the second in place
        vl_poly to = i == 0 ? hoisted.c[0] : vl_poly_prefix(v[1], level);
        vl_rlwe_mod_down(&s->x, p, 1, &to, &v[i]);
        if (i == 1) vl_ring_copy(&s->x, &p->ring, hoisted.c[1], to);
    }
    noise = noise_of(&s->x, p, &s->sk, &hoisted, want);
    assert_true(noise.max <= 8 * sigma);
    vl_arena_release(&s->x.arena, mark);

    // Added to a sum over QP: of what lies over Q, then of what lies over QP, both polynomials divided together.
    for (int over_p = 0; over_p < 2; over_p++) {
        vl_poly to[2] = {vl_poly_prefix(hoisted.c[0], level), vl_poly_prefix(hoisted.c[1], level)};
        for (int i = 0; i < 2; i++) {
            vl_ring_zero(&p->ring, v[i]);
            vl_ring_zero(&p->ring, u[i]);
            for (uint32_t k = 0; k < level; k++)
                for (size_t a = 0; a < p->ring.n; a++) // P times the polynomial
                    vl_poly_limb(&p->ring, u[i], k)[a] = vl_arith_mul(
                        vl_poly_limb(&p->ring, ct.c[i], k)[a],
                        vl_arith_product_mod(p->literal.p, p->ring.p_count, p->ring.p_count, p->literal.q[k]),
                        p->literal.q[k]);
        }
        vl_rlwe_turn_add(&s->x, p, &key, 1, over_p ? u : ct.c, v);
        vl_rlwe_mod_down(&s->x, p, 2, to, v);
        noise = noise_of(&s->x, p, &s->sk, &hoisted, want);
        assert_true(noise.max <= 8 * sigma);
    }

    vl_rlwe_rotate(&s->x, p, key, &ct, &ct); // in place
    assert_true(same_ciphertext(p, &plain, &ct));
    for (int i = 0; i < 2; i++) {
        vl_poly_free(&u[i]);
        vl_poly_free(&v[i]);
    }
    vl_poly_free(&t);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&plain);
    vl_ciphertext_free(&hoisted);
    free(want);
}

// r = a b, negacyclic, a small: coefficients of the result fit a word.
static void naive_product(const int64_t *a, const int64_t *b, int64_t *r, size_t n) {
    memset(r, 0, n * sizeof *r);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (i + j < n)
                r[i + j] += a[i] * b[j];
            else
                r[i + j - n] -= a[i] * b[j];
}

// A degree 2 ciphertext is made by hand: c_2 s^2 stands for the fresh noise and message; what relinearising adds is
// measured.
static void check_relinearise(setting *s, uint16_t level) {
    const vl_params *p = s->p;
    size_t n = p->ring.n;
    int64_t *small = calloc(n, sizeof *small), *want = calloc(n, sizeof *want), *saved = s->m;
    for (size_t k = 0; k < n; k++) small[k] = (int64_t)(k * k % 7) - 3;
    vl_ciphertext a = fresh(s, level, 1), b, d;
    s->m = small;
    b = fresh(s, level, 1);
    s->m = saved;
    OK(vl_ciphertext_new(p, level, 2, &d));
    // Drop the messages' product to noise-free parts: a b exactly as polynomials of residues.
    vl_ring_tensor(&s->x, &p->ring, d.c, a.c, b.c);
    d.degree = 2;
    vl_poly before, after;
    OK(vl_poly_new(&p->ring, level, 0, &before));
    OK(vl_poly_new(&p->ring, level, 0, &after));
    vl_rlwe_decrypt(&s->x, p, &s->sk, &d, before);
    vl_rlwe_relinearise(&s->x, p, vl_eval_keys_find(&s->keys, 0), &d);
    assert_int_equal(d.degree, 1);
    vl_rlwe_decrypt(&s->x, p, &s->sk, &d, after);
    vl_ring_sub(&s->x, &p->ring, after, after, before);
    vl_ring_intt(&s->x, &p->ring, after, after);
    double sigma = switch_sigma(p, level);
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < level; i++) {
            uint64_t r = vl_poly_limb(&p->ring, after, i)[k], q = p->ring.mod[i].q;
            double v = r > q / 2 ? (double)r - (double)q : (double)r;
            if (fabs(v) > 8 * sigma) fail_msg("level %u: relinearising adds %g, sigma %g", level, v, sigma);
        }
    if (level >= 3) { // and the product itself is there, up to m_a e_b + m_b e_a
        naive_product(small, s->m, want, n);
        double bound = 8 * VL_SIGMA * 0x1p30 * sqrt((double)n) + 8 * sigma + 1e6;
        assert_true(noise_of(&s->x, p, &s->sk, &d, want).max < bound);
    }
    vl_poly_free(&before);
    vl_poly_free(&after);
    vl_ciphertext_free(&a);
    vl_ciphertext_free(&b);
    vl_ciphertext_free(&d);
    free(small);
    free(want);
}

static void every_level_and_digit_count(void **state) {
    (void)state;
    const uint32_t limbs = 5;
    for (uint32_t alpha = 1; alpha <= limbs; alpha++) {
        setting s;
        vl_params *p = insecure_params(6, limbs, alpha, NULL);
        vl_key_request requests[] = {
            {vl_params_galois(p, 1), 5}, {0, 5}, {vl_params_galois_conj(p), 4}, {vl_params_galois(p, -7), 3}};
        open_setting(&s, p, 1, requests, 4);
        for (uint32_t r = 0; r < 4; r++)
            for (uint16_t level = 1; level <= requests[r].level; level++)
                if (requests[r].galois)
                    check_rotation(&s, requests[r].galois, level);
                else
                    check_relinearise(&s, level);
        close_setting(&s);
    }
}

static void larger_rings(void **state) {
    (void)state;
    static const struct {
        uint32_t log_n, limbs, alpha;
    } sets[] = {{7, 9, 4}, {8, 13, 3}, {10, 6, 2}, {4, 4, 2}, {5, 3, 3}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        setting s;
        vl_params *p = insecure_params(sets[i].log_n, sets[i].limbs, sets[i].alpha, NULL);
        uint16_t top = (uint16_t)sets[i].limbs;
        vl_key_request requests[] = {{0, top}, {vl_params_galois(p, 3), top}};
        open_setting(&s, p, 2, requests, 2);
        for (uint16_t level = 1; level <= top; level++) check_rotation(&s, requests[1].galois, level);
        check_relinearise(&s, top);
        close_setting(&s);
    }
}

static void real_set(void **state) {
    (void)state;
    vl_params_literal lit = {
        .log_n = 14, .q_count = 7, .p_count = 2, .digit_limbs = 2, .security_bits = 128, .scale = 0x1p45};
    const uint8_t q_bits[] = {50, 45, 45, 45, 45, 45, 45}, p_bits[] = {50, 50};
    vl_params *p;
    setting s;
    OK(vl_params_choose(&lit, q_bits, p_bits));
    OK(vl_params_new(&lit, NULL, &p));
    assert_int_equal(p->security, 128);
    vl_key_request requests[] = {{vl_params_galois(p, 1), 7}};
    open_setting(&s, p, 2, requests, 1);
    check_rotation(&s, requests[0].galois, 7);
    check_rotation(&s, requests[0].galois, 4);
    close_setting(&s);
}

// Everything that a setting computes, for one family and thread count, out of saved keys and a saved ciphertext.
static void compute(const vl_kernels *k, unsigned threads, size_t arena, const vl_params_literal *lit,
                    const vl_writer *keys, const vl_writer *query, vl_writer *out) {
    vl_params *p;
    vl_exec x;
    vl_eval_keys ek;
    vl_ciphertext ct, d;
    OK(vl_params_new(lit, k, &p));
    OK(vl_exec_init(&x, threads, arena));
    vl_reader r = vl_reader_of(keys->data, keys->size);
    OK(vl_eval_keys_load(&x, p, &r, &ek));
    r = vl_reader_of(query->data, query->size);
    OK(vl_ciphertext_load(&x, p, &r, true, 0, 0, &ct));
    OK(vl_ciphertext_new(p, ct.level, 2, &d));
    vl_ring_tensor(&x, &p->ring, d.c, ct.c, ct.c);
    d.degree = 2;
    d.scale = 1;
    vl_rlwe_relinearise(&x, p, &ek.key[0], &d);
    vl_ciphertext_save(p, &d, out);
    vl_rlwe_rotate(&x, p, &ek.key[1], &d, &d);
    vl_ciphertext_save(p, &d, out);
    for (int i = 0; i < 2; i++) {
        vl_poly to = vl_poly_prefix(d.c[i], ct.level - 1u);
        vl_ring_rescale(&x, &p->ring, to, d.c[i]);
    }
    vl_ciphertext_drop(&d, ct.level - 1u);
    vl_ciphertext_save(p, &d, out);
    assert_int_equal(x.arena.used, 0);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&d);
    vl_eval_keys_free(&ek);
    vl_exec_clear(&x);
    vl_params_free(p);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    for (uint32_t log_n = 6; log_n <= 12; log_n += 3) {
        vl_params_literal lit = insecure_literal(log_n, 7, 3);
        vl_params *p = insecure_params(log_n, 7, 3, NULL);
        setting s;
        vl_key_request requests[] = {{0, 7}, {vl_params_galois(p, 5), 7}};
        open_setting(&s, p, 1, requests, 2);
        vl_ciphertext ct = fresh(&s, 7, 1);
        vl_writer keys = vl_writer_of(1 << 28), query = vl_writer_of(1 << 28), first = vl_writer_of(1 << 28);
        vl_eval_keys_save(&s.keys, &keys);
        vl_ciphertext_save(p, &ct, &query);
        size_t arena = vl_rlwe_scratch(p, 7);
        const vl_kernels *const *families = vl_kernels_available();
        compute(families[0], 1, arena, &lit, &keys, &query, &first);
        for (; *families; families++)
            for (unsigned threads = 1; threads <= 3; threads++) {
                vl_writer again = vl_writer_of(1 << 28);
                compute(*families, threads, threads == 3 ? 4 * arena : arena, &lit, &keys, &query, &again);
                assert_int_equal(first.size, again.size);
                assert_memory_equal(first.data, again.data, first.size);
                vl_writer_clear(&again);
            }
        vl_writer_clear(&keys);
        vl_writer_clear(&query);
        vl_writer_clear(&first);
        vl_ciphertext_free(&ct);
        close_setting(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_and_digit_count),
        cmocka_unit_test(larger_rings),
        cmocka_unit_test(real_set),
        cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
