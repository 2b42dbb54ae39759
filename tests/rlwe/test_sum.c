// SPDX-License-Identifier: Apache-2.0
// Sums of products, relinearised without being written down, against the same put together polynomial by polynomial:
// bit for bit, at every level, for every kernel family and on one and two threads.
#include "rlwe/sum.h"

#include "arith/arith.h"
#include "rlwe/fixture.h"

#include <stdlib.h>

enum { LIMBS = 7, OPERANDS = 5 };

typedef struct lab {
    vl_params *p;
    vl_exec x;
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_ciphertext operand[OPERANDS];
} lab;

static void open_lab(lab *l, uint32_t log_n, uint32_t digit_limbs, const vl_kernels *k, unsigned threads) {
    *l = (lab){.p = insecure_params(log_n, LIMBS, digit_limbs, k)};
    l->x = test_exec(l->p, threads);
    vl_key_request relin = {0, LIMBS};
    OK(vl_secret_key_new(l->p, &l->sk));
    OK(vl_eval_keys_generate(&l->x, l->p, &l->sk, &relin, 1, 0, &l->keys));
    for (int o = 0; o < OPERANDS; o++) { // any residues will do
        OK(vl_ciphertext_new(l->p, LIMBS, 1, &l->operand[o]));
        for (uint32_t c = 0; c < 2; c++)
            for (uint32_t i = 0; i < LIMBS; i++) {
                uint64_t *w = vl_poly_limb(&l->p->ring, l->operand[o].c[c], i), z = 77u * (unsigned)o + 13 * c + i;
                for (size_t n = 0; n < l->p->ring.n; n++) {
                    z = (z + n + 1) * UINT64_C(0xbf58476d1ce4e5b9);
                    w[n] = (z ^ z >> 31) % l->p->ring.mod[i].q;
                }
            }
    }
}

static void close_lab(lab *l) {
    for (int k = 0; k < OPERANDS; k++) vl_ciphertext_free(&l->operand[k]);
    vl_eval_keys_free(&l->keys);
    vl_secret_key_free(&l->sk);
    vl_exec_clear(&l->x);
    vl_params_free(l->p);
}

// d (degree 2) = s, by whole polynomials.
static void assemble(lab *l, const vl_sum *s, vl_ciphertext *d) {
    const vl_ring *ring = &l->p->ring;
    vl_ciphertext t;
    OK(vl_ciphertext_new(l->p, s->level, 2, &t));
    for (uint32_t c = 0; c < 3; c++) vl_ring_zero(ring, d->c[c]);
    for (uint32_t k = 0; k < s->products; k++) {
        vl_ring_tensor(&l->x, ring, t.c, s->product[k].a, s->product[k].b);
        for (uint32_t c = 0; c < 3; c++) vl_ring_mul_i64_add(&l->x, ring, d->c[c], t.c[c], s->times);
    }
    for (uint32_t k = 0; k < s->terms; k++)
        for (uint32_t c = 0; c < 2; c++) vl_ring_mul_i64_add(&l->x, ring, d->c[c], s->term[k].t[c], s->term[k].factor);
    for (double rest = s->constant; rest != 0;) { // in pieces of at most 2^60
        double piece = fmax(-0x1p60, fmin(0x1p60, rest));
        vl_ring_add_i64(&l->x, ring, d->c[0], d->c[0], (int64_t)piece);
        rest -= piece;
    }
    d->level = s->level;
    d->degree = 2;
    vl_ciphertext_free(&t);
}

// out = d relinearised, by the parts of a key switch.
static void relinearise(lab *l, vl_ciphertext *d, bool rescale, vl_ciphertext *out) {
    const vl_params *p = l->p;
    vl_poly u[2];
    uint16_t level = d->level, left = (uint16_t)(rescale ? level - 1 : level);
    size_t mark = vl_arena_mark(&l->x.arena);
    vl_digits digits = vl_rlwe_decompose(&l->x, p, d->c[2], &l->x.arena);
    for (uint32_t c = 0; c < 2; c++) OK(vl_poly_new(&p->ring, level, p->ring.p_count, &u[c]));
    vl_rlwe_apply_key(&l->x, p, &digits, &l->keys.key[0], u[0], u[1]);
    for (uint32_t c = 0; c < 2; c++)
        for (uint32_t i = 0; i < level; i++) {
            const vl_modulus *m = &p->ring.mod[i];
            uint64_t lift = 1;
            for (uint32_t k = 0; k < p->ring.p_count; k++) lift = vl_arith_mul(lift, p->literal.p[k] % m->q, m->q);
            m->k->mul_scalar_add(m, vl_poly_limb(&p->ring, u[c], i), vl_poly_limb(&p->ring, d->c[c], i), lift,
                                 p->ring.n);
        }
    vl_poly to[2] = {vl_poly_prefix(out->c[0], left), vl_poly_prefix(out->c[1], left)};
    (rescale ? vl_rlwe_mod_down_rescale : vl_rlwe_mod_down)(&l->x, p, 2, to, u);
    for (uint32_t c = 0; c < 2; c++) vl_poly_free(&u[c]);
    vl_arena_release(&l->x.arena, mark);
}

static void same_limbs(const vl_params *p, const vl_ciphertext *got, const vl_ciphertext *want, uint32_t limbs) {
    assert_int_equal(got->level, limbs);
    assert_int_equal(got->degree, 1);
    for (uint32_t c = 0; c < 2; c++)
        assert_true(same_words(p, vl_poly_prefix(got->c[c], limbs), vl_poly_prefix(want->c[c], limbs)));
}

// Made into a fresh ciphertext, and into the first operand itself.
static void check(lab *l, const vl_sum *s, bool rescale) {
    vl_ciphertext wide, want, got;
    uint16_t level = s->level;
    OK(vl_ciphertext_new(l->p, level, 2, &wide));
    OK(vl_ciphertext_new(l->p, level, 1, &want));
    OK(vl_ciphertext_new(l->p, LIMBS, 1, &got));
    assemble(l, s, &wide);
    relinearise(l, &wide, rescale, &want);
    vl_rlwe_relinearise_sum(&l->x, l->p, &l->keys.key[0], s, rescale, &got);
    uint32_t left = level - rescale;
    same_limbs(l->p, &got, &want, left);
    assert_true(got.scale == (rescale ? s->scale / (double)l->p->literal.q[left] : s->scale));
    vl_ciphertext_copy(&l->x, l->p, &got, &l->operand[0]);
    vl_sum in_place = *s;
    for (uint32_t c = 0; c < 2; c++) in_place.product[0].a[c] = got.c[c];
    vl_rlwe_relinearise_sum(&l->x, l->p, &l->keys.key[0], &in_place, rescale, &got);
    same_limbs(l->p, &got, &want, left);
    assert_int_equal(l->x.arena.used, 0);
    vl_ciphertext_free(&wide);
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&got);
}

static void checoshapes(lab *l, uint16_t level) {
    const vl_ciphertext *o = l->operand;
    for (uint32_t shape = 0; shape < 6; shape++) {
        vl_sum s = vl_sum_empty(level, shape == 5 ? 0x1p100 : 0x1p40);
        vl_sum_add_product(&s, &o[0], &o[shape % 2]);
        if (shape >= 2) vl_sum_add_product(&s, &o[2], &o[3]);
        if (shape >= 4) vl_sum_add_product(&s, &o[1], &o[4]);
        s.times = shape == 1 ? 2 : shape == 4 ? -3 : 1;
        for (uint32_t k = 0; k < shape; k++) vl_sum_add_term(&s, &o[k], (INT64_C(1) << 12 * k) - 5);
        if (shape == 1 || shape == 3) vl_sum_add_constant(&s, -1.25);
        if (shape == 5) vl_sum_add_constant(&s, 0x1p-36);
        check(l, &s, false);
        if (level > 1) check(l, &s, true);
    }
}

static void same_as_by_parts(void **state) {
    (void)state;
    for (uint32_t digit_limbs = 1; digit_limbs <= LIMBS; digit_limbs += 2)
        for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
            for (unsigned threads = 1; threads <= 2; threads++) {
                lab l;
                open_lab(&l, threads == 1 ? 5 : 8, digit_limbs, *k, threads);
                for (uint16_t level = 1; level <= LIMBS; level++) checoshapes(&l, level);
                close_lab(&l);
            }
}

// Longer than a stretch.
static void larger_ring(void **state) {
    (void)state;
    lab l;
    open_lab(&l, 12, 3, NULL, 2);
    checoshapes(&l, LIMBS);
    close_lab(&l);
}

static void terms_alone(void **state) {
    (void)state;
    lab l;
    open_lab(&l, 6, 2, NULL, 1);
    vl_ciphertext got, want;
    OK(vl_ciphertext_new(l.p, LIMBS, 1, &got));
    OK(vl_ciphertext_new(l.p, 4, 2, &want));
    for (uint32_t terms = 0; terms <= 3; terms++) {
        vl_sum s = vl_sum_empty(4, 0x1p30);
        for (uint32_t k = 0; k < terms; k++) vl_sum_add_term(&s, &l.operand[k], 3 - 7 * (int64_t)k);
        vl_sum_add_constant(&s, 0.5);
        vl_rlwe_sum_terms(&l.x, l.p, &s, &got);
        assemble(&l, &s, &want);
        same_limbs(l.p, &got, &want, 4);
    }
    vl_ciphertext_free(&got);
    vl_ciphertext_free(&want);
    close_lab(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_by_parts),
        cmocka_unit_test(larger_ring),
        cmocka_unit_test(terms_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
