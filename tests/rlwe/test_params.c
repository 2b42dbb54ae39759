// SPDX-License-Identifier: Apache-2.0
// Parameters: the security table, the choice of primes, what is refused, the saved form, Galois elements.
#include "rlwe/fixture.h"

#include "arith/arith.h"

static void table(void **state) {
    (void)state;
    static const double dense[6][3] = {{106, 73, 56},   {214, 147, 114},   {430, 297, 230},
                                       {868, 597, 462}, {1744, 1199, 929}, {3516, 2411, 1866}};
    for (uint32_t log_n = 0; log_n < 20; log_n++)
        for (uint32_t i = 0; i < 3; i++) {
            double want = log_n >= 12 && log_n <= 17 ? dense[log_n - 12][i] : 0;
            assert_true(vl_security_max_log_qp(log_n, 0, 128 + 64 * i) == want);
        }
    static const uint32_t other[] = {0, 64, 80, 127, 129, 160, 320, 512, UINT32_MAX};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) assert_true(vl_security_max_log_qp(14, 0, other[i]) == 0);
    assert_true(vl_security_max_log_qp(15, 192, 128) == 794);
    assert_true(vl_security_max_log_qp(15, 256, 128) == 817);
    assert_true(vl_security_max_log_qp(16, 192, 128) == 1621);
    assert_true(vl_security_max_log_qp(16, 256, 128) == 1661);
    assert_true(vl_security_max_log_qp(16, 192, 192) == 0);
    assert_true(vl_security_max_log_qp(17, 192, 128) == 0);
    assert_true(vl_security_max_log_qp(16, 64, 128) == 0);
    assert_int_equal(vl_security_of(14, 0, 230), 256);
    assert_int_equal(vl_security_of(14, 0, 230.001), 192);
    assert_int_equal(vl_security_of(14, 0, 430), 128);
    assert_int_equal(vl_security_of(14, 0, 430.001), 0);
    assert_int_equal(vl_security_of(16, 192, 10), 128);
    assert_int_equal(vl_security_of(16, 191, 10), 0);
    assert_int_equal(vl_security_of(11, 0, 1), 0);
    assert_int_equal(vl_security_of(14, 0, NAN), 0);
}

static vl_params_literal real(uint32_t log_n, uint32_t q_count, uint32_t p_count, uint32_t weight, uint32_t bits) {
    vl_params_literal lit = {.log_n = log_n,
                             .q_count = q_count,
                             .p_count = p_count,
                             .digit_limbs = p_count,
                             .secret_weight = weight,
                             .security_bits = bits,
                             .scale = 0x1p45};
    uint8_t sizes[VL_MAX_LIMBS], special[VL_MAX_LIMBS];
    memset(sizes, 45, sizeof sizes);
    memset(special, 46, sizeof special);
    OK(vl_params_choose(&lit, sizes, special));
    return lit;
}

static void secure_or_refused(void **state) {
    (void)state;
    // 45 q + 46 p bits against the table's line
    static const struct {
        uint32_t log_n, q, p, weight, bits, granted;
    } cases[] = {
        {13, 3, 1, 0, 128, 128},  {13, 4, 1, 0, 128, 0},      {13, 2, 1, 0, 192, 192}, {13, 3, 1, 0, 192, 0},
        {14, 7, 2, 0, 128, 128},  {14, 8, 2, 0, 128, 0},      {14, 4, 1, 0, 256, 256}, {14, 4, 2, 0, 256, 0},
        {12, 1, 1, 0, 128, 128},  {12, 2, 1, 0, 128, 0},      {11, 1, 1, 0, 128, 0},   {15, 15, 2, 192, 128, 128},
        {15, 15, 3, 192, 128, 0}, {15, 15, 3, 256, 128, 128}, {15, 3, 1, 192, 192, 0}, {15, 3, 1, 64, 128, 0},
        {14, 3, 1, 192, 128, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vl_params_literal lit = real(cases[i].log_n, cases[i].q, cases[i].p, cases[i].weight, cases[i].bits);
        vl_params *p = NULL;
        velum_status status = vl_params_new(&lit, NULL, &p);
        if (cases[i].granted) {
            assert_int_equal(status, VELUM_OK);
            assert_true(p->security >= cases[i].granted);
            assert_true(p->log_qp <= vl_security_max_log_qp(lit.log_n, lit.secret_weight, lit.security_bits));
            vl_params_free(p);
        } else {
            assert_int_equal(status, VELUM_E_INSECURE);
            assert_null(p);
            assert_true(strlen(velum_last_error()) > 20);
        }
    }
    // For tests alone: allowed, and the record still says what the table grants.
    vl_params_literal lit = real(14, 8, 2, 0, 0);
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    assert_int_equal(p->security, 0);
    char line[256], tiny[8];
    assert_non_null(strstr(vl_params_describe(p, line, sizeof line), "INSECURE"));
    assert_int_equal(strlen(vl_params_describe(p, tiny, sizeof tiny)), 7);
    vl_params_free(p);
}

static void refused(const vl_params_literal *lit, const char *word) {
    vl_params *p = NULL;
    assert_int_equal(vl_params_new(lit, NULL, &p), VELUM_E_FORMAT);
    assert_null(p);
    if (!strstr(velum_last_error(), word)) fail_msg("\"%s\" does not say \"%s\"", velum_last_error(), word);
}

static void nonsense(void **state) {
    (void)state;
    const vl_params_literal good = insecure_literal(8, 4, 2);
    vl_params *p;
    OK(vl_params_new(&good, NULL, &p));
    vl_params_free(p);
#define REFUSED(word, ...)                                                                                             \
    do {                                                                                                               \
        vl_params_literal lit = good;                                                                                  \
        __VA_ARGS__;                                                                                                   \
        refused(&lit, word);                                                                                           \
    } while (0)
    REFUSED("degree", lit.log_n = 3);
    REFUSED("degree", lit.log_n = 18);
    REFUSED("degree", lit.log_n = UINT32_MAX);
    REFUSED("primes", lit.q_count = 0);
    REFUSED("primes", lit.p_count = 0);
    REFUSED("primes", lit.q_count = VL_MAX_LIMBS);
    REFUSED("primes", lit.q_count = UINT32_MAX);
    REFUSED("primes", lit.p_count = UINT32_MAX);
    REFUSED("twice", lit.q[1] = lit.q[2]);
    REFUSED("twice", lit.p[0] = lit.q[3]);
    REFUSED("not prime", lit.q[1] = (UINT64_C(1) << 40) + 1); // 257 * ...
    REFUSED("1 mod", lit.q[1] += 2);
    REFUSED("between", lit.q[1] = 0);
    REFUSED("between", lit.q[1] = 7681);
    REFUSED("between", lit.p[1] = UINT64_MAX);
    REFUSED("between", lit.p[1] = (UINT64_C(1) << 50) + 513);
    REFUSED("digit", lit.digit_limbs = 0);
    REFUSED("digit", lit.digit_limbs = 5);
    REFUSED("special primes", lit.digit_limbs = 3);
    REFUSED("weight", lit.secret_weight = 257);
    REFUSED("security bits", lit.security_bits = 127);
    REFUSED("security bits", lit.security_bits = 320);
    REFUSED("scale", lit.scale = 0);
    REFUSED("scale", lit.scale = -1);
    REFUSED("scale", lit.scale = NAN);
    REFUSED("scale", lit.scale = INFINITY);
    REFUSED("scale", lit.scale = 0x1p-1060);
}

static void chosen_primes(void **state) {
    (void)state;
    vl_params_literal lit = {.log_n = 13, .q_count = 6, .p_count = 3, .digit_limbs = 3, .scale = 0x1p40};
    const uint8_t q_bits[] = {50, 40, 50, 40, 50, 40}, p_bits[] = {50, 50, 50};
    OK(vl_params_choose(&lit, q_bits, p_bits));
    uint64_t least_p = UINT64_MAX;
    for (uint32_t i = 0; i < 3; i++) least_p = lit.p[i] < least_p ? lit.p[i] : least_p;
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(vl_arith_is_prime(lit.q[i]) && lit.q[i] % (1 << 14) == 1 && lit.q[i] < least_p);
        assert_true(fabs(log2((double)lit.q[i]) - q_bits[i]) < 0.25);
    }
    // all of one size: a digit is never above P
    for (uint8_t bits = 28; bits <= 50; bits += 11) {
        vl_params_literal same = {.log_n = 10, .q_count = 9, .p_count = 3, .digit_limbs = 3, .scale = 0x1p40};
        uint8_t sizes[9];
        memset(sizes, bits, sizeof sizes);
        OK(vl_params_choose(&same, sizes, sizes));
        vl_params *p;
        OK(vl_params_new(&same, NULL, &p));
        assert_int_equal(p->digits, 3);
        vl_params_free(p);
    }
    const uint8_t bad[] = {50, 51, 27, 0, 255, 40};
    vl_params_literal before = lit;
    assert_int_equal(vl_params_choose(&lit, bad, p_bits), VELUM_E_FORMAT);
    assert_memory_equal(&lit, &before, sizeof lit);
}

static void saved_form(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(9, 5, 2), back;
    memset(&back, 0xee, sizeof back);
    vl_writer w = vl_writer_of(4096), again = vl_writer_of(4096);
    vl_params_save(&lit, &w);
    vl_reader r = vl_reader_of(w.data, w.size);
    OK(vl_params_load(&r, &back));
    assert_int_equal(vl_reader_left(&r), 0);
    vl_params_save(&back, &again);
    assert_int_equal(w.size, again.size);
    assert_memory_equal(w.data, again.data, w.size);
    for (size_t cut = 0; cut < w.size; cut++) {
        r = vl_reader_of(w.data, cut);
        assert_int_equal(vl_params_load(&r, &back), VELUM_E_FORMAT);
    }
    for (size_t at = 4; at < 12; at += 4) { // counts that no file may have
        w.data[at + 1] = 1;
        r = vl_reader_of(w.data, w.size);
        assert_int_equal(vl_params_load(&r, &back), VELUM_E_FORMAT);
        w.data[at + 1] = 0;
    }
    uint8_t digest[VL_DIGEST_BYTES];
    vl_params *p, *other;
    OK(vl_params_new(&lit, NULL, &p));
    vl_digest(w.data, w.size, digest);
    assert_memory_equal(p->digest, digest, sizeof digest);
    lit.scale *= 2;
    OK(vl_params_new(&lit, NULL, &other));
    assert_memory_not_equal(p->digest, other->digest, sizeof digest);
    vl_params_free(p);
    vl_params_free(other);
    vl_params_free(NULL);
    vl_writer_clear(&w);
    vl_writer_clear(&again);
}

static void galois_elements(void **state) {
    (void)state;
    vl_params *p = insecure_params(6, 1, 1, NULL);
    assert_int_equal(vl_params_galois(p, 0), 1);
    assert_int_equal(vl_params_galois(p, 1), 5);
    assert_int_equal(vl_params_galois(p, 2), 25);
    assert_int_equal(vl_params_galois(p, 32), 1);
    for (int32_t k = -70; k < 70; k++) assert_int_equal(vl_params_galois(p, k) * vl_params_galois(p, -k) % 128, 1);
    assert_int_equal(vl_params_galois(p, INT32_MIN), 1);
    assert_int_equal(vl_params_galois_conj(p), 127);
    vl_params_free(p);
}

// Every key that can be made for these literals, at each of its levels, is inside the table at its own modulus.
static void every_key_inside_the_table(void **state) {
    (void)state;
    static const struct {
        uint32_t log_n, q, p, weight, bits;
    } sets[] = {{12, 1, 1, 0, 128}, {13, 3, 1, 0, 128}, {14, 7, 2, 0, 128}, {14, 4, 1, 0, 192}, {15, 15, 2, 192, 128}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        vl_params_literal lit = real(sets[i].log_n, sets[i].q, sets[i].p, sets[i].weight, sets[i].bits);
        vl_params *p;
        OK(vl_params_new(&lit, NULL, &p));
        double limit = vl_security_max_log_qp(lit.log_n, lit.secret_weight, lit.security_bits);
        for (uint32_t nq = 1; nq <= lit.q_count; nq++)
            assert_true(log2_of(lit.q, nq) + log2_of(lit.p, lit.p_count) <= limit);
        vl_params_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(secure_or_refused),
        cmocka_unit_test(nonsense),
        cmocka_unit_test(chosen_primes),
        cmocka_unit_test(saved_form),
        cmocka_unit_test(galois_elements),
        cmocka_unit_test(every_key_inside_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
