// SPDX-License-Identifier: Apache-2.0
// Sparse-secret encapsulation: what a raise leaves is the message plus small multiples of q_0, at every level; and the
// refusals.
#include "arith/arith.h"
#include "fixture.h"
#include "rlwe/encapsulate.h"

enum { WEIGHT = 8, LOG_N = 9, TOP = 5 };

typedef struct raise_fixture {
    vl_params *p;
    vl_exec x;
    vl_secret_key sk;
    vl_encapsulation k;
    int64_t m[1 << LOG_N];
    vl_ciphertext low; // of m, level 1
} raise_fixture;

static void setup(raise_fixture *f, const vl_kernels *kernels, unsigned threads) {
    *f = (raise_fixture){.p = insecure_params(LOG_N, TOP, 2, kernels)};
    size_t bytes = vl_encapsulation_scratch(f->p), other = vl_rlwe_scratch(f->p, TOP);
    OK(vl_exec_init(&f->x, threads, bytes > other ? bytes : other));
    OK(vl_secret_key_new(f->p, &f->sk));
    OK(vl_encapsulation_new(&f->x, f->p, &f->sk, NULL, &(vl_encapsulation_shape){WEIGHT, TOP, 1, 1, 0}, &f->k));
    message(f->p, f->m);
    uint8_t seed[VL_SEED_BYTES];
    vl_poly m = plaintext(f->p, 1, f->m);
    OK(vl_ciphertext_new(f->p, 1, 1, &f->low));
    vl_rlwe_encrypt(&f->x, f->p, &f->sk, m, seed, &f->low);
    f->low.scale = 0x1p30;
    vl_poly_free(&m);
}

static void teardown(raise_fixture *f) {
    vl_ciphertext_free(&f->low);
    vl_encapsulation_free(&f->k);
    vl_secret_key_free(&f->sk);
    vl_exec_clear(&f->x);
    vl_params_free(f->p);
}

static int64_t centred(uint64_t r, uint64_t q) { return r > q / 2 ? (int64_t)r - (int64_t)q : (int64_t)r; }

// The sum of the rotations by 0, step, .. of m on its subring.
static void turn_message(const raise_fixture *f, int64_t *out) {
    memset(out, 0, sizeof f->m);
    for (uint32_t r = 0; r < f->k.shape.sums; r++) {
        uint64_t g = vl_params_galois(f->p, (int32_t)r * f->k.shape.step), n = f->p->ring.n;
        for (uint64_t c = 0; c < n; c += f->k.shape.subring) {
            uint64_t to = c * g % (2 * n);
            out[to % n] += to < n ? f->m[c] : -f->m[c];
        }
    }
}

// The plaintext of ct is m + e + q_0 I, summed: limb 0 tells e, every other limb must tell the same I.
static void check_raised(raise_fixture *f, const vl_ciphertext *ct) {
    const vl_ring *ring = &f->p->ring;
    uint64_t q0 = ring->mod[0].q;
    int64_t sums = f->k.shape.sums, m[1 << LOG_N];
    turn_message(f, m);
    vl_poly got, want = plaintext(f->p, ct->level, m);
    OK(vl_poly_new(ring, ct->level, 0, &got));
    vl_rlwe_decrypt(&f->x, f->p, &f->sk, ct, got);
    vl_ring_sub(&f->x, ring, got, got, want);
    vl_ring_intt(&f->x, ring, got, got);
    double squares = 0;
    bool some = false;
    for (size_t c = 0; c < ring->n; c++) {
        int64_t e = centred(vl_poly_limb(ring, got, 0)[c], q0), first = 0;
        squares += (double)e * (double)e;
        for (uint32_t i = 1; i < ct->level; i++) {
            uint64_t q = ring->mod[i].q;
            uint64_t rest = vl_arith_sub(vl_poly_limb(ring, got, i)[c], vl_arith_from_i64(e, q), q);
            int64_t multiple = centred(vl_arith_mul(rest, vl_arith_inv(q0 % q, q), q), q);
            if (i == 1) first = multiple;
            assert_int_equal(multiple, first);
        }
        if (c % f->k.shape.subring) assert_int_equal(first, 0);
        assert_true(first >= -sums * ((WEIGHT + 1) / 2 + 1) && first <= sums * ((WEIGHT + 1) / 2 + 1));
        some |= first != 0;
    }
    assert_true(some); // a raise that added nothing would not have gone through the sparse secret
    // Two switches with one digit of q_0 against one special prime, their roundings, and the encryption.
    double n = ring->n, ratio = (double)q0 / (double)f->p->literal.p[0];
    double key = n / 12 * VL_SIGMA * VL_SIGMA * ratio * ratio, last = (1 + 2 * n / 3) / 12;
    double before = (key + (1 + WEIGHT) / 12.0 + 10.2) / f->k.shape.subring,
           sigma = sqrt((double)sums * (before + key) + last);
    double rms = sqrt(squares / n);
    assert_true(rms > 0.5 * sigma && rms < 1.5 * sigma);
    vl_poly_free(&got);
    vl_poly_free(&want);
}

static void raises_to_every_level(void **state) {
    (void)state;
    raise_fixture f;
    setup(&f, NULL, 1);
    for (uint16_t level = 2; level <= TOP; level++) {
        vl_ciphertext out;
        OK(vl_ciphertext_new(f.p, level, 1, &out));
        vl_encapsulation_raise(&f.x, &f.k, level, &out, &f.low);
        assert_int_equal(out.level, level);
        assert_true(out.scale == f.low.scale);
        check_raised(&f, &out);
        vl_ciphertext_free(&out);
    }
    teardown(&f);
}

static void use_sums(raise_fixture *f, uint32_t subring, uint32_t sums, int32_t step) {
    vl_encapsulation_free(&f->k);
    OK(vl_encapsulation_new(&f->x, f->p, &f->sk, NULL, &(vl_encapsulation_shape){WEIGHT, TOP, subring, sums, step},
                            &f->k));
}

// Sums over a group of rotations (which projects on a subring), and over one that is none; more than are multiplied at
// a time.
static void sums_rotations(void **state) {
    (void)state;
    static const struct {
        uint32_t subring, sums;
        int32_t step;
    } cases[] = {{1, 2, 128}, {1, 4, 64}, {1, 16, 16}, {1, 4, 1}, {1, 64, 4}, {2, 1, 0}, {2, 2, 64}, {2, 32, 4}};
    raise_fixture f;
    setup(&f, NULL, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vl_ciphertext out;
        use_sums(&f, cases[i].subring, cases[i].sums, cases[i].step);
        OK(vl_ciphertext_new(f.p, TOP - 1, 1, &out));
        vl_encapsulation_raise(&f.x, &f.k, TOP - 1, &out, &f.low);
        check_raised(&f, &out);
        vl_ciphertext_free(&out);
    }
    teardown(&f);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    raise_fixture f;
    setup(&f, NULL, 1);
    use_sums(&f, 2, 16, 8);
    vl_exec two;
    OK(vl_exec_init(&two, 2, f.x.arena.size));
    vl_ciphertext one_thread, two_threads;
    OK(vl_ciphertext_new(f.p, TOP, 1, &one_thread));
    OK(vl_ciphertext_new(f.p, TOP, 1, &two_threads));
    vl_encapsulation_raise(&f.x, &f.k, TOP, &one_thread, &f.low);
    vl_encapsulation_raise(&two, &f.k, TOP, &two_threads, &f.low);
    assert_true(same_ciphertext(f.p, &one_thread, &two_threads));
    vl_ciphertext_free(&one_thread);
    vl_ciphertext_free(&two_threads);
    vl_exec_clear(&two);
    teardown(&f);
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++) { // each family raises rightly by itself
        setup(&f, *k, 2);
        use_sums(&f, 2, 4, 32);
        vl_ciphertext out;
        OK(vl_ciphertext_new(f.p, TOP, 1, &out));
        vl_encapsulation_raise(&f.x, &f.k, TOP, &out, &f.low);
        check_raised(&f, &out);
        vl_ciphertext_free(&out);
        teardown(&f);
    }
}

static void refuses(void **state) {
    (void)state;
    raise_fixture f;
    setup(&f, NULL, 1);
    vl_encapsulation k = {.shape.weight = 77};
    static const vl_encapsulation_shape bad[] = {{WEIGHT, 1, 1, 1, 0},
                                                 {WEIGHT, TOP + 1, 1, 1, 0},
                                                 {0, TOP, 1, 1, 0},
                                                 {WEIGHT, TOP, 1, 3, 1},
                                                 {WEIGHT, TOP, 0, 1, 0},
                                                 {WEIGHT, TOP, 4, 1, 0},
                                                 {1 << (LOG_N - 1) | 1, TOP, 2, 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vl_encapsulation_new(&f.x, f.p, &f.sk, NULL, &bad[i], &k), VELUM_E_USAGE);
    assert_int_equal(k.shape.weight, 77);
    teardown(&f);
}

// N = 2^15: the line for weight 32 is 121 bits. A base prime and a special prime of 50 bits are inside it. For a secret
// of the subring the line is that of 2^14: there is none.
static void holds_to_the_table(void **state) {
    (void)state;
    vl_params_literal lit = {
        .log_n = 15, .q_count = 3, .p_count = 1, .digit_limbs = 1, .security_bits = 128, .scale = 0x1p40};
    vl_params *p;
    OK(vl_params_choose(&lit, (uint8_t[]){50, 40, 40}, (uint8_t[]){50}));
    OK(vl_params_new(&lit, NULL, &p));
    assert_true(vl_encapsulation_log_modulus(p) > 99 && vl_encapsulation_log_modulus(p) < 101);
    OK(vl_encapsulation_check(p, 32, 1));
    assert_int_equal(vl_encapsulation_check(p, 16, 1), VELUM_E_INSECURE);
    assert_int_equal(vl_encapsulation_check(p, 31, 1), VELUM_E_INSECURE);
    assert_int_equal(vl_encapsulation_check(p, 32, 2), VELUM_E_INSECURE);
    vl_params_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raises_to_every_level), cmocka_unit_test(sums_rotations),
        cmocka_unit_test(same_bytes_everywhere), cmocka_unit_test(refuses),
        cmocka_unit_test(holds_to_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
