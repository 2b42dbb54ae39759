// SPDX-License-Identifier: Apache-2.0
// Homomorphic operations against the same in the clear, exact scales, aliasing, same bytes everywhere.
#include "ckks/fixture.h"

#define TOLERANCE 0x1p-22 // at scale 2^40 with N up to 2^14

typedef struct operands {
    uint32_t count;
    double complex *a, *b, *want;
    vl_ciphertext ca, cb;
} operands;

static operands make_operands(lab *l, uint16_t level_a, uint16_t level_b) {
    uint32_t count = l->p->ring.n / 2;
    operands o = {.count = count, .a = complex_vector(count, 1), .b = complex_vector(count, 2)};
    o.want = malloc(count * sizeof *o.want);
    o.ca = lab_encrypt(l, o.a, count, 0x1p40, level_a);
    o.cb = lab_encrypt(l, o.b, count, 0x1p40, level_b);
    return o;
}

static void free_operands(operands *o) {
    free(o->a);
    free(o->b);
    free(o->want);
    vl_ciphertext_free(&o->ca);
    vl_ciphertext_free(&o->cb);
}

#define WANT(o, expr)                                                                                                  \
    for (uint32_t i = 0; i < (o)->count; i++) (o)->want[i] = (expr)
#define a_(o) (o)->a[i]
#define b_(o) (o)->b[i]

static void expect(lab *l, const operands *o, const vl_ciphertext *d, uint16_t level, double scale, double tolerance) {
    assert_int_equal(d->level, level);
    assert_true(d->scale == scale);
    double error = lab_error(l, d, o->want, o->count);
    if (!(error < tolerance)) fail_msg("error 2^%.1f", log2(error));
}

static void check_linear(lab *l, operands *o) {
    const vl_params *p = l->p;
    uint16_t la = o->ca.level, lb = o->cb.level, low = la < lb ? la : lb;
    double s = 0x1p40;
    vl_ciphertext d;
    OK(vl_ciphertext_new(p, la > lb ? la : lb, 1, &d));
    vl_ckks_add(&l->x, p, &d, &o->ca, &o->cb);
    WANT(o, a_(o) + b_(o));
    expect(l, o, &d, low, s, TOLERANCE);
    vl_ckks_sub(&l->x, p, &d, &o->ca, &o->cb);
    WANT(o, a_(o) - b_(o));
    expect(l, o, &d, low, s, TOLERANCE);
    vl_ckks_sub(&l->x, p, &d, &d, &o->cb); // in place, mixed levels
    WANT(o, a_(o) - 2 * b_(o));
    expect(l, o, &d, low, s, TOLERANCE);
    vl_ckks_neg(&l->x, p, &d, &o->ca);
    WANT(o, -a_(o));
    expect(l, o, &d, la, s, TOLERANCE);
    vl_ckks_add_const(&l->x, p, &d, &d, 1.5);
    WANT(o, 1.5 - a_(o));
    expect(l, o, &d, la, s, TOLERANCE);
    vl_ckks_mul_const(&l->x, p, &d, &o->ca, -0.7, 0x1p38);
    WANT(o, -0.7 * a_(o));
    expect(l, o, &d, la, s * 0x1p38, TOLERANCE);
    vl_ckks_add_const(&l->x, p, &d, &d, -3.25); // 3.25 2^78: beyond a word
    WANT(o, -0.7 * a_(o) - 3.25);
    expect(l, o, &d, la, s * 0x1p38, TOLERANCE);
    vl_ckks_rescale(&l->x, p, &d, &d);
    expect(l, o, &d, (uint16_t)(la - 1), s * 0x1p38 / (double)p->literal.q[la - 1], TOLERANCE);
    vl_poly m;
    OK(vl_poly_new(&p->ring, la, 0, &m));
    OK(vl_encode_complex(&l->x, l->e, o->b, o->count, s, m));
    vl_ckks_add_plain(&l->x, p, &d, &o->ca, m);
    WANT(o, a_(o) + b_(o));
    expect(l, o, &d, la, s, TOLERANCE);
    vl_ckks_mul_plain(&l->x, p, &d, &o->ca, m, s);
    WANT(o, a_(o) * b_(o));
    expect(l, o, &d, la, s * s, TOLERANCE);
    vl_poly_free(&m);
    vl_ciphertext_free(&d);
}

static void check_products(lab *l, operands *o) {
    const vl_params *p = l->p;
    uint16_t la = o->ca.level, lb = o->cb.level, low = la < lb ? la : lb;
    double s2 = 0x1p80;
    const vl_switch_key *relin = vl_eval_keys_find(&l->keys, 0);
    vl_ciphertext d, t;
    OK(vl_ciphertext_new(p, la > lb ? la : lb, 1, &d));
    OK(vl_ciphertext_new(p, la > lb ? la : lb, 2, &t));
    vl_ckks_mul(&l->x, p, &d, &o->ca, &o->cb, relin);
    WANT(o, a_(o) * b_(o));
    assert_int_equal(d.degree, 1);
    expect(l, o, &d, low, s2, TOLERANCE);
    vl_ckks_mul(&l->x, p, &t, &o->ca, &o->cb, NULL);
    assert_int_equal(t.degree, 2);
    expect(l, o, &t, low, s2, TOLERANCE);
    vl_ckks_add(&l->x, p, &t, &t, &d); // degree 2 + degree 1
    WANT(o, 2 * a_(o) * b_(o));
    expect(l, o, &t, low, s2, TOLERANCE);
    vl_ckks_sub(&l->x, p, &t, &d, &t);
    WANT(o, -a_(o) * b_(o));
    expect(l, o, &t, low, s2, TOLERANCE);
    vl_rlwe_relinearise(&l->x, p, relin, &t);
    vl_ckks_rescale(&l->x, p, &t, &t);
    expect(l, o, &t, (uint16_t)(low - 1), s2 / (double)p->literal.q[low - 1], TOLERANCE);
    vl_ciphertext_copy(&l->x, p, &d, &o->ca);
    vl_ckks_square(&l->x, p, &d, &d, relin); // in place
    WANT(o, a_(o) * a_(o));
    expect(l, o, &d, la, s2, TOLERANCE);
    vl_ciphertext_copy(&l->x, p, &t, &o->ca);
    vl_ckks_mul(&l->x, p, &t, &t, &o->cb, NULL);
    WANT(o, a_(o) * b_(o));
    expect(l, o, &t, low, s2, TOLERANCE);
    vl_ckks_mul_rescale(&l->x, p, &d, &o->ca, &o->cb, relin);
    expect(l, o, &d, (uint16_t)(low - 1), s2 / (double)p->literal.q[low - 1], TOLERANCE);
    vl_ciphertext_copy(&l->x, p, &d, &o->ca);
    vl_ckks_square_rescale(&l->x, p, &d, &d, relin);
    WANT(o, a_(o) * a_(o));
    expect(l, o, &d, (uint16_t)(la - 1), s2 / (double)p->literal.q[la - 1], TOLERANCE);
    vl_ciphertext_free(&d);
    vl_ciphertext_free(&t);
}

static void check_automorphisms(lab *l, operands *o, const int32_t *steps, uint32_t count) {
    const vl_params *p = l->p;
    uint32_t mask = o->count - 1;
    uint16_t level = o->ca.level;
    vl_ciphertext d;
    OK(vl_ciphertext_new(p, level, 1, &d));
    for (uint32_t k = 0; k < count; k++) {
        vl_ckks_rotate(&l->x, &l->keys, &d, &o->ca, steps[k]);
        WANT(o, o->a[(i + (uint32_t)steps[k]) & mask]);
        expect(l, o, &d, level, 0x1p40, TOLERANCE);
        vl_ckks_rotate(&l->x, &l->keys, &d, &d, -steps[k]); // in place, and back
        WANT(o, a_(o));
        expect(l, o, &d, level, 0x1p40, TOLERANCE);
    }
    vl_ckks_rotate(&l->x, &l->keys, &d, &o->ca, (int32_t)o->count); // all around: no key
    expect(l, o, &d, level, 0x1p40, TOLERANCE);
    vl_ckks_conjugate(&l->x, &l->keys, &d, &o->ca);
    WANT(o, conj(a_(o)));
    expect(l, o, &d, level, 0x1p40, TOLERANCE);
    vl_ciphertext_free(&d);
}

static void check_set(vl_params *p, unsigned threads) {
    static const int32_t steps[] = {1, -3, 17};
    uint16_t top = (uint16_t)p->ring.q_count;
    vl_key_request r[8] = {{0, top}, {vl_params_galois_conj(p), top}};
    for (uint32_t k = 0; k < 3; k++) {
        r[2 + 2 * k] = (vl_key_request){vl_params_galois(p, steps[k]), top};
        r[3 + 2 * k] = (vl_key_request){vl_params_galois(p, -steps[k]), top};
    }
    lab l;
    lab_open(&l, p, threads, 0, r, 8);
    const uint16_t levels[][2] = {{top, top}, {top, (uint16_t)(top - 1)}, {3, top}};
    for (uint32_t i = 0; i < 3; i++) {
        operands o = make_operands(&l, levels[i][0], levels[i][1]);
        check_linear(&l, &o);
        check_products(&l, &o);
        check_automorphisms(&l, &o, steps, i == 0 ? 3 : 1);
        free_operands(&o);
    }
    assert_int_equal(l.x.arena.used, 0);
    lab_close(&l);
}

static void operations(void **state) {
    (void)state;
    check_set(insecure_params(8, 4, 1, NULL), 1);
    check_set(insecure_params(10, 5, 2, NULL), 2);
    check_set(insecure_params(11, 6, 3, NULL), 1);
}

// N = 2^14, seven and two limbs, 128 bits.
static void real_set(void **state) {
    (void)state;
    vl_params_literal lit = {
        .log_n = 14, .q_count = 7, .p_count = 2, .digit_limbs = 2, .security_bits = 128, .scale = 0x1p40};
    const uint8_t q_bits[7] = {49, 40, 40, 40, 40, 40, 40}, p_bits[2] = {49, 49};
    OK(vl_params_choose(&lit, q_bits, p_bits));
    vl_params *p;
    OK(vl_params_new(&lit, NULL, &p));
    check_set(p, 2);
}

// A chain of every operation on the same ciphertext and keys, for each family and thread count.
static void same_bytes_everywhere(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(11, 5, 2);
    vl_params *first;
    OK(vl_params_new(&lit, NULL, &first));
    vl_key_request r[3] = {{0, 5}, {vl_params_galois_conj(first), 5}, {vl_params_galois(first, 5), 5}};
    lab l;
    lab_open(&l, first, 1, 0, r, 3);
    operands o = make_operands(&l, 5, 5);
    vl_ciphertext want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_ciphertext d, t;
            OK(vl_params_new(&lit, *k, &p));
            OK(vl_exec_init(&x, threads, vl_ckks_scratch(p, 5)));
            OK(vl_ciphertext_new(p, 5, 1, &d));
            OK(vl_ciphertext_new(p, 5, 1, &t));
            vl_eval_keys keys = keys_under(&l.keys, p);
            vl_ckks_mul(&x, p, &d, &o.ca, &o.cb, vl_eval_keys_find(&keys, 0));
            vl_ckks_rescale(&x, p, &d, &d);
            vl_ckks_rotate(&x, &keys, &t, &d, 5);
            vl_ckks_sub(&x, p, &d, &d, &t);
            vl_ckks_conjugate(&x, &keys, &t, &d);
            vl_ckks_mul_const(&x, p, &t, &t, 0.3, 1024);
            vl_ckks_add_const(&x, p, &t, &t, -0.1);
            vl_ckks_rescale(&x, p, &t, &t);
            if (!want.block) {
                want = t;
            } else {
                assert_true(same_ciphertext(p, &want, &t));
                vl_ciphertext_free(&t);
            }
            vl_ciphertext_free(&d);
            vl_exec_clear(&x);
            vl_params_free(p);
        }
    vl_ciphertext_free(&want);
    free_operands(&o);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations),
        cmocka_unit_test(real_set),
        cmocka_unit_test(same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
