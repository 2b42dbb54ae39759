// SPDX-License-Identifier: Apache-2.0
// The encoder: round trips, the definition of the slots, sparse vectors, refused values, same bytes everywhere.
#include "ckks/fft.h"
#include "ckks/fixture.h"

static void check_round_trip(vl_params *p, vl_exec *x, vl_encoder *e, uint32_t count, double scale, uint16_t nq) {
    vl_poly m;
    OK(vl_poly_new(&p->ring, nq, 0, &m));
    double complex *want = complex_vector(count, count), *got = malloc(count * sizeof *got);
    OK(vl_encode_complex(x, e, want, count, scale, m));
    OK(vl_decode_complex(x, e, m, scale, got, count));
    vl_precision r = vl_precision_of(want, got, count);
    // Rounding: uniform in +-1/2 on 2 count coefficients, so sqrt(count / 6) / scale; and 2^-52 a few times.
    double sigma = sqrt(count / 6.0) / scale + 0x1p-52;
    if (r.rms_error > 1.3 * sigma + 0x1p-51 || r.max_error > 8 * sigma + 0x1p-48)
        fail_msg("log_n %u count %u scale 2^%g: rms %g max %g, sigma %g", p->ring.log_n, count, log2(scale),
                 r.rms_error, r.max_error, sigma);
    assert_true(r.bits_min <= r.bits_mean);
    free(want);
    free(got);
    vl_poly_free(&m);
}

static void round_trips(void **state) {
    (void)state;
    for (uint32_t log_n = 4; log_n <= 16; log_n += log_n < 12 ? 2 : 4) {
        vl_params *p = insecure_params(log_n, 3, 1, NULL);
        vl_exec x;
        vl_encoder *e;
        OK(vl_exec_init(&x, 1, vl_encoder_scratch(p, 3, 1)));
        OK(vl_encoder_new(p, &e));
        for (uint32_t count = 1; count <= p->ring.n / 2; count *= count < 8 ? 2 : 8) {
            check_round_trip(p, &x, e, count, 0x1p30, 1);
            check_round_trip(p, &x, e, count, 0x1p40, 2);
            check_round_trip(p, &x, e, count, 0x1p50, 3);
        }
        check_round_trip(p, &x, e, p->ring.n / 2, 0x1p40, 3);
        vl_encoder_free(e);
        vl_exec_clear(&x);
        vl_params_free(p);
    }
}

// z_k = m(zeta^(5^k)) / scale from the coefficients, by definition; a sparse vector repeats.
static void slots_by_definition(void **state) {
    (void)state;
    vl_params *p = insecure_params(7, 2, 1, NULL);
    vl_exec x;
    vl_encoder *e;
    uint32_t n = p->ring.n;
    OK(vl_exec_init(&x, 1, vl_encoder_scratch(p, 2, 1)));
    OK(vl_encoder_new(p, &e));
    vl_poly m;
    OK(vl_poly_new(&p->ring, 1, 0, &m));
    for (uint32_t count = 1; count <= n / 2; count *= 2) {
        double complex *v = complex_vector(count, 7);
        OK(vl_encode_complex(&x, e, v, count, 0x1p40, m));
        vl_ring_intt(&x, &p->ring, m, m);
        uint64_t power = 1, q = p->ring.mod[0].q;
        for (uint32_t k = 0; k < n / 2; k++, power = power * 5 % (2 * n)) {
            double complex z = 0;
            for (uint32_t j = 0; j < n; j++) {
                double c = m.x[j] > q / 2 ? -(double)(q - m.x[j]) : (double)m.x[j];
                z += c * 0x1p-40 * cexp(I * (M_PI * (double)(j * power % (2 * n)) / n));
            }
            assert_true(cabs(z - v[k % count]) < 1e-10);
        }
        free(v);
    }
    vl_poly_free(&m);
    vl_encoder_free(e);
    vl_exec_clear(&x);
    vl_params_free(p);
}

static void real_vectors_and_special_limbs(void **state) {
    (void)state;
    vl_params *p = insecure_params(9, 3, 2, NULL);
    vl_exec x;
    vl_encoder *e;
    OK(vl_exec_init(&x, 1, vl_encoder_scratch(p, 3, 2)));
    OK(vl_encoder_new(p, &e));
    uint32_t count = p->ring.n / 2;
    double *v = real_vector(count, 3), *got = malloc(count * sizeof *got);
    double complex *z = malloc(count * sizeof *z);
    for (uint32_t i = 0; i < count; i++) z[i] = v[i];
    vl_poly a, b;
    OK(vl_poly_new(&p->ring, 3, 2, &a));
    OK(vl_poly_new(&p->ring, 3, 0, &b));
    OK(vl_encode_real(&x, e, v, count, 0x1p40, a));
    OK(vl_encode_complex(&x, e, z, count, 0x1p40, b));
    assert_memory_equal(a.x, b.x, vl_poly_bytes(&p->ring, 3, 0));
    // The limbs over P hold the same small integers.
    vl_ring_intt(&x, &p->ring, a, a);
    for (uint32_t k = 0; k < p->ring.n; k++) {
        uint64_t r = vl_poly_limb(&p->ring, a, 0)[k], q = p->ring.mod[0].q;
        int64_t c = r > q / 2 ? (int64_t)r - (int64_t)q : (int64_t)r;
        for (uint32_t i = 1; i < 5; i++) {
            int64_t s = (int64_t)vl_poly_limb(&p->ring, a, i)[k], t = (int64_t)vl_poly_modulus(&p->ring, a, i)->q;
            assert_true(s == (c < 0 ? c + t : c));
        }
    }
    OK(vl_decode_real(&x, e, b, 0x1p40, got, count));
    assert_true(vl_precision_of_real(v, got, count).bits_min > 32);
    free(v);
    free(z);
    free(got);
    vl_poly_free(&a);
    vl_poly_free(&b);
    vl_encoder_free(e);
    vl_exec_clear(&x);
    vl_params_free(p);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    vl_params *p = insecure_params(5, 3, 1, NULL);
    vl_exec x;
    vl_encoder *e;
    OK(vl_exec_init(&x, 1, vl_encoder_scratch(p, 3, 1)));
    OK(vl_encoder_new(p, &e));
    vl_poly m;
    OK(vl_poly_new(&p->ring, 3, 0, &m));
    const double bad[] = {NAN, INFINITY, -INFINITY, 0x1p24, -0x1p24, 1e300};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v[4] = {0, bad[i], 1, 0};
        assert_int_equal(vl_encode_real(&x, e, v, 4, 0x1p40 * 4, m), VELUM_E_VALUE);
    }
    double one = 1, big = 0x1p20, out[4] = {0};
    OK(vl_encode_real(&x, e, &big, 1, 0x1p40, m)); // beyond 2^53 but below 2^61
    OK(vl_decode_real(&x, e, m, 0x1p40, out, 4));
    assert_true(fabs(out[3] - big) < 1e-6);
    assert_int_equal(vl_encode_real(&x, e, &one, 1, 0x1p45, vl_poly_prefix(m, 1)), VELUM_E_VALUE); // half of q_0
    const double scales[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(vl_encode_real(&x, e, &one, 1, scales[i], m), VELUM_E_VALUE);
        assert_int_equal(vl_decode_real(&x, e, m, scales[i], out, 1), VELUM_E_VALUE);
    }
    assert_int_equal(x.arena.used, 0);
    vl_poly_free(&m);
    vl_encoder_free(e);
    vl_exec_clear(&x);
    vl_params_free(p);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(12, 4, 2);
    vl_poly first = {0};
    double complex *v = NULL, *decoded = NULL;
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_encoder *e;
            vl_poly m;
            OK(vl_params_new(&lit, *k, &p));
            OK(vl_exec_init(&x, threads, vl_encoder_scratch(p, 4, 2)));
            OK(vl_encoder_new(p, &e));
            OK(vl_poly_new(&p->ring, 4, 2, &m));
            uint32_t count = p->ring.n / 2;
            if (!v) v = complex_vector(count, 5);
            double complex *got = malloc(count * sizeof *got);
            OK(vl_encode_complex(&x, e, v, count, 0x1p45, m));
            OK(vl_decode_complex(&x, e, vl_poly_prefix(m, 4), 0x1p45, got, count));
            if (!first.x) {
                first = m;
                decoded = got;
            } else {
                assert_true(same_words(p, first, m));
                assert_memory_equal(decoded, got, count * sizeof *got);
                vl_poly_free(&m);
                free(got);
            }
            vl_encoder_free(e);
            vl_exec_clear(&x);
            vl_params_free(p);
        }
    vl_poly_free(&first);
    free(decoded);
    free(v);
}

static uint64_t hash_doubles(uint64_t h, const double *v, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t w;
        memcpy(&w, &v[i], sizeof w);
        h = (h ^ w) * 1099511628211u;
    }
    return h;
}

// The transform's exact bits, for every size up to 2^15: the same for every compiler, vector width and machine.
static void pinned_bits(void **state) {
    (void)state;
    vl_ckks_fft f;
    OK(vl_ckks_fft_init(&f, 15));
    double *re = malloc(sizeof(double) << 15), *im = malloc(sizeof(double) << 15);
    uint64_t h = 1469598103934665603u;
    for (unsigned log = 0; log <= 15; log++) {
        uint32_t n = UINT32_C(1) << log;
        for (uint32_t i = 0; i < n; i++) {
            re[i] = i * 7919 % 1000 / 333.0 - 1;
            im[i] = i * 104729 % 1000 / 777.0;
        }
        vl_ckks_fft_inverse(&f, log, re, im);
        h = hash_doubles(hash_doubles(h, re, n), im, n);
        vl_ckks_fft_forward(&f, log, re, im);
        h = hash_doubles(hash_doubles(h, re, n), im, n);
    }
    if (h != UINT64_C(0xdb51533ed07ba462)) fail_msg("the transform's digest is %016llx", (unsigned long long)h);
    free(re);
    free(im);
    vl_ckks_fft_clear(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(slots_by_definition),
        cmocka_unit_test(real_vectors_and_special_limbs),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(same_bytes_everywhere),
        cmocka_unit_test(pinned_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
