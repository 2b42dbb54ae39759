// SPDX-License-Identifier: Apache-2.0
// Encryption, re-randomisation, and ciphertexts as saved.
#include "rlwe/fixture.h"

#include <stdlib.h>

typedef struct setting {
    vl_params *p;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    int64_t *m;
    uint8_t seed[VL_SEED_BYTES];
} setting;

static setting open_setting(vl_params *p, unsigned threads, uint16_t zero_nq) {
    setting s = {.p = p, .x = test_exec(p, threads)};
    OK(vl_secret_key_new(p, &s.sk));
    OK(vl_eval_keys_generate(&s.x, p, &s.sk, NULL, 0, zero_nq, &s.keys));
    s.m = calloc(p->ring.n, sizeof *s.m);
    message(p, s.m);
    return s;
}

static void close_setting(setting *s) {
    free(s->m);
    vl_eval_keys_free(&s->keys);
    vl_secret_key_free(&s->sk);
    vl_exec_clear(&s->x);
    vl_params_free(s->p);
}

static vl_ciphertext fresh(setting *s, uint16_t level) {
    vl_ciphertext ct;
    OK(vl_ciphertext_new(s->p, level, 1, &ct));
    vl_poly m = plaintext(s->p, level, s->m);
    vl_rlwe_encrypt(&s->x, s->p, &s->sk, m, s->seed, &ct);
    ct.scale = s->p->literal.scale;
    vl_poly_free(&m);
    return ct;
}

static void fresh_noise(void **state) {
    (void)state;
    static const uint32_t sets[][2] = {{4, 1}, {6, 3}, {10, 5}, {13, 3}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            setting s = open_setting(insecure_params(sets[i][0], sets[i][1], 1, NULL), threads, 0);
            for (uint16_t level = 1; level <= sets[i][1]; level++) {
                vl_ciphertext ct = fresh(&s, level), other = fresh(&s, level);
                test_noise noise = noise_of(&s.x, s.p, &s.sk, &ct, s.m);
                assert_true(noise.max <= 41 && noise.rms > 1 && noise.rms < 6);
                assert_false(same_words(s.p, ct.c[0], other.c[0]));
                assert_false(same_words(s.p, ct.c[1], other.c[1]));
                assert_int_equal(s.x.arena.used, 0);
                vl_ciphertext_free(&ct);
                vl_ciphertext_free(&other);
            }
            close_setting(&s);
        }
}

static void storage(void **state) {
    (void)state;
    setting s = open_setting(insecure_params(5, 4, 1, NULL), 1, 0);
    vl_ciphertext ct = fresh(&s, 4), d;
    OK(vl_ciphertext_new(s.p, 4, 2, &d));
    vl_ciphertext_copy(&s.x, s.p, &d, &ct);
    assert_true(same_ciphertext(s.p, &ct, &d));
    vl_ciphertext_drop(&d, 2);
    assert_int_equal(d.level, 2);
    assert_int_equal(d.c[1].nq, 2);
    assert_int_equal(d.capacity, 4);
    assert_true(noise_of(&s.x, s.p, &s.sk, &d, s.m).max <= 41);
    size_t mark = vl_arena_mark(&s.x.arena);
    vl_ciphertext t = vl_ciphertext_take(s.p, &s.x.arena, 2, 1);
    assert_null(t.block);
    vl_ciphertext_copy(&s.x, s.p, &t, &d);
    assert_true(same_ciphertext(s.p, &t, &d));
    vl_arena_release(&s.x.arena, mark);
    vl_ciphertext_free(&ct);
    vl_ciphertext_free(&d);
    vl_ciphertext_free(&d);
    close_setting(&s);
}

static void rerandomise(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 2; threads++) {
        setting s = open_setting(insecure_params(10, 4, 1, NULL), threads, 3);
        double n = s.p->ring.n;
        for (uint16_t level = 1; level <= 3; level++)
            for (int flood = 0; flood <= 30; flood += 10) {
                vl_ciphertext ct = fresh(&s, level), before = fresh(&s, level);
                vl_ciphertext_copy(&s.x, s.p, &before, &ct);
                double sigma = flood ? exp2(flood) : 0;
                OK(vl_rlwe_rerandomise(&s.x, &s.keys, &ct, sigma));
                assert_false(same_words(s.p, ct.c[0], before.c[0]));
                assert_false(same_words(s.p, ct.c[1], before.c[1]));
                // v e + e1 s + e0, v and s of variance 2/3
                double want = hypot(sigma, VL_SIGMA * sqrt(2 + 4 * n / 3));
                test_noise noise = noise_of(&s.x, s.p, &s.sk, &ct, s.m);
                if (noise.rms < want * 0.8 || noise.rms > want * 1.25 || noise.max > 8 * want)
                    fail_msg("flooding 2^%d: rms %g, max %g, expected %g", flood, noise.rms, noise.max, want);
                vl_ciphertext_free(&ct);
                vl_ciphertext_free(&before);
            }
        vl_ciphertext ct = fresh(&s, 4), before = fresh(&s, 4);
        vl_ciphertext_copy(&s.x, s.p, &before, &ct);
        assert_int_equal(vl_rlwe_rerandomise(&s.x, &s.keys, &ct, 0), VELUM_E_MISMATCH);
        vl_ciphertext_drop(&ct, 3);
        assert_int_equal(vl_rlwe_rerandomise(&s.x, &s.keys, &ct, -1), VELUM_E_USAGE);
        assert_int_equal(vl_rlwe_rerandomise(&s.x, &s.keys, &ct, NAN), VELUM_E_USAGE);
        assert_int_equal(vl_rlwe_rerandomise(&s.x, &s.keys, &ct, 0x1p46), VELUM_E_USAGE);
        vl_ciphertext_drop(&before, 3);
        assert_true(same_ciphertext(s.p, &ct, &before));
        vl_ciphertext_free(&ct);
        vl_ciphertext_free(&before);
        close_setting(&s);
    }
}

static velum_status load(setting *s, const vl_writer *w, size_t size, bool seeded, uint16_t level, double scale) {
    vl_ciphertext back = {.level = 77};
    vl_reader r = vl_reader_of(w->data, size);
    velum_status status = vl_ciphertext_load(&s->x, s->p, &r, seeded, level, scale, &back);
    if (status == VELUM_OK)
        vl_ciphertext_free(&back);
    else
        assert_int_equal(back.level, 77);
    return status;
}

static void round_trip(void **state) {
    (void)state;
    setting s = open_setting(insecure_params(6, 3, 1, NULL), 2, 0);
    for (uint16_t level = 1; level <= 3; level++) {
        vl_ciphertext ct = fresh(&s, level), back;
        vl_writer full = vl_writer_of(1 << 20), seeded = vl_writer_of(1 << 20);
        vl_ciphertext_save(s.p, &ct, &full);
        vl_ciphertext_save_seeded(s.p, &ct, s.seed, &seeded);
        assert_true(seeded.size < full.size / 2 + 64);
        vl_reader r = vl_reader_of(full.data, full.size);
        OK(vl_ciphertext_load(&s.x, s.p, &r, false, level, ct.scale, &back));
        assert_int_equal(vl_reader_left(&r), 0);
        assert_true(same_ciphertext(s.p, &ct, &back));
        vl_ciphertext_free(&back);
        r = vl_reader_of(seeded.data, seeded.size);
        OK(vl_ciphertext_load(&s.x, s.p, &r, true, 0, 0, &back));
        assert_int_equal(vl_reader_left(&r), 0);
        assert_true(same_ciphertext(s.p, &ct, &back));
        vl_ciphertext_free(&back);
        for (size_t cut = 0; cut < full.size; cut++) assert_int_equal(load(&s, &full, cut, true, 0, 0), VELUM_E_FORMAT);
        for (size_t cut = 0; cut < seeded.size; cut++)
            assert_int_equal(load(&s, &seeded, cut, true, 0, 0), VELUM_E_FORMAT);
        vl_writer_clear(&full);
        vl_writer_clear(&seeded);
        vl_ciphertext_free(&ct);
    }
    // degree 2
    vl_ciphertext ct = fresh(&s, 3), d, back;
    OK(vl_ciphertext_new(s.p, 3, 2, &d));
    vl_ring_tensor(&s.x, &s.p->ring, d.c, ct.c, ct.c);
    d.scale = 0x1p80;
    d.degree = 2;
    vl_writer w = vl_writer_of(1 << 20);
    vl_ciphertext_save(s.p, &d, &w);
    vl_reader r = vl_reader_of(w.data, w.size);
    OK(vl_ciphertext_load(&s.x, s.p, &r, false, 3, 0x1p80, &back));
    assert_true(same_ciphertext(s.p, &d, &back));
    vl_ciphertext_free(&back);
    vl_ciphertext_free(&d);
    vl_ciphertext_free(&ct);
    vl_writer_clear(&w);
    close_setting(&s);
}

static void damage(void **state) {
    (void)state;
    setting s = open_setting(insecure_params(4, 2, 1, NULL), 1, 0);
    vl_ciphertext ct = fresh(&s, 2);
    double scale = ct.scale;
    for (int seeded = 0; seeded < 2; seeded++) {
        vl_writer w = vl_writer_of(1 << 20);
        if (seeded)
            vl_ciphertext_save_seeded(s.p, &ct, s.seed, &w);
        else
            vl_ciphertext_save(s.p, &ct, &w);
        OK(load(&s, &w, w.size, true, 2, scale));
        assert_int_equal(load(&s, &w, w.size, false, 2, scale), seeded ? VELUM_E_FORMAT : VELUM_OK);
        assert_int_equal(load(&s, &w, w.size, true, 1, scale), VELUM_E_FORMAT);
        assert_int_equal(load(&s, &w, w.size, true, 2, scale * 2), VELUM_E_FORMAT);
        assert_int_equal(load(&s, &w, w.size, true, 2, scale * (1 + 0x1p-39)), VELUM_E_FORMAT);
        OK(load(&s, &w, w.size, true, 2, scale * (1 + 0x1p-41)));
        static const double bad[] = {0, -1, NAN, INFINITY, 0x1p-1070};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            memcpy(w.data + 4, &bad[i], 8);
            assert_int_equal(load(&s, &w, w.size, true, 2, 0), VELUM_E_FORMAT);
        }
        memcpy(w.data + 4, &scale, 8);
        static const struct {
            size_t at;
            uint8_t value;
        } fields[] = {{0, 2}, {0, 255}, {1, 0}, {1, 2}, {1, 3}, {1, 255}, {2, 0}, {2, 3}, {3, 1}, {3, 255}};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            uint8_t old = w.data[fields[i].at];
            w.data[fields[i].at] = fields[i].value;
            assert_int_equal(load(&s, &w, w.size, true, 0, 0), VELUM_E_FORMAT);
            w.data[fields[i].at] = old;
        }
        // the first residue = q, the last all ones
        size_t first = seeded ? 44 : 12, bits = s.p->ring.mod[0].bits;
        uint64_t word, bad_word;
        memcpy(&word, w.data + first, 8);
        bad_word = word >> bits << bits | s.p->ring.mod[0].q;
        memcpy(w.data + first, &bad_word, 8);
        assert_int_equal(load(&s, &w, w.size, true, 2, scale), VELUM_E_FORMAT);
        assert_non_null(strstr(velum_last_error(), "limb 0"));
        memcpy(w.data + first, &word, 8);
        memset(w.data + w.size - 7, 0xff, 7);
        assert_int_equal(load(&s, &w, w.size, true, 2, scale), VELUM_E_FORMAT);
        assert_non_null(strstr(velum_last_error(), "limb 1"));
        vl_writer_clear(&w);
    }
    vl_ciphertext_free(&ct);
    close_setting(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_noise), cmocka_unit_test(storage), cmocka_unit_test(rerandomise),
        cmocka_unit_test(round_trip),  cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
