// SPDX-License-Identifier: Apache-2.0
// Sets of complex diagonals: plans, forms of the diagonals, encrypted against clear, same bytes everywhere.
#include "circuits/diagset.h"
#include "ckks/fixture.h"
#include "rlwe/limb.h"

#define LEVEL 3

typedef struct set { // offsets and values
    uint32_t slots, count;
    int32_t offset[64];
    double complex *v[64];
} set;

// `count` diagonals at unit * (first + i), values that repeat with `period`; every fifth NULL if holes.
static set make_set(uint32_t slots, int32_t first, uint32_t count, int32_t unit, uint32_t period, bool holes) {
    set s = {.slots = slots, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        s.offset[i] = (first + (int32_t)i) * unit;
        if (holes && i % 5 == 3) continue;
        s.v[i] = complex_vector(slots, 100 + i);
        for (uint32_t t = period; t < slots; t++) s.v[i][t] = s.v[i][t - period];
    }
    return s;
}

static void free_set(set *s) {
    for (uint32_t i = 0; i < s->count; i++) free(s->v[i]);
}

static size_t scratch_of(const vl_params *p, const vl_diagset_plan *plan) {
    size_t apply = vl_diagset_scratch(p, plan, LEVEL), encode = vl_diagset_encode_scratch(p, plan, LEVEL);
    return apply > encode ? apply : encode;
}

static void check_encrypted(lab *l, const set *s, const vl_diagset_plan *plan, uint64_t budget) {
    vl_diagset d;
    vl_exec x; // exactly what was planned
    OK(vl_exec_init(&x, 1, scratch_of(l->p, plan)));
    OK(vl_diagset_encode(&x, l->e, plan, (const double complex *const *)s->v, LEVEL, 0x1p40, budget, &d));
    if (budget == UINT64_MAX) assert_int_equal(d.expanded, 0);
    bool large = false; // some diagonal takes more than its coefficients
    uint32_t np = vl_bsgs_turns(plan->babies, plan->baby) ? l->p->ring.p_count : 0;
    for (uint32_t i = 0; i < s->count; i++)
        large |= s->v[i] && vl_diag_words(&l->p->ring, vl_diag_period(s->v[i], s->slots)) * (LEVEL + np) > l->p->ring.n;
    if (budget == 0) assert_true(large == (d.expanded > 0));
    double complex *in = complex_vector(s->slots, 7), *want = malloc(s->slots * sizeof *want);
    vl_diagset_clear_apply(plan, s->offset, (const double complex *const *)s->v, in, want);
    vl_ciphertext ct = lab_encrypt(l, in, s->slots, 0x1p40, LEVEL + 1);
    vl_diagset_apply(&x, &l->keys, &d, &ct, &ct);
    assert_int_equal(ct.level, LEVEL);
    assert_true(ct.scale == 0x1p80);
    double error = lab_error(l, &ct, want, s->slots);
    if (!(error < 0x1p-20)) fail_msg("%u babies x %u giants: error 2^%.1f", plan->babies, plan->giants, log2(error));
    assert_int_equal(x.arena.used, 0);
    free(in);
    free(want);
    vl_ciphertext_free(&ct);
    vl_diagset_free(&d);
    vl_exec_clear(&x);
}

static void check_plan(const set *s, const vl_diagset_plan *plan, uint32_t log_n) {
    vl_params *p = insecure_params(log_n, LEVEL + 1, 2, NULL);
    vl_key_request r[2 * VL_DIAGSET_MAX + 1];
    uint32_t count = vl_diagset_key_requests(plan, p, LEVEL, r);
    if (count == 0) r[count++] = (vl_key_request){0, 2};
    lab l;
    lab_open(&l, p, 1, 0, r, count);
    check_encrypted(&l, s, plan, UINT64_MAX);
    check_encrypted(&l, s, plan, 0);
    check_encrypted(&l, s, plan, 5 * vl_diag_bytes(&p->ring, p->ring.n, LEVEL, p->ring.p_count));
    lab_close(&l);
}

static void check_set(uint32_t log_n, uint32_t slots, int32_t first, uint32_t count, int32_t unit, uint32_t period) {
    set s = make_set(slots, first, count, unit, period, count > 9);
    static vl_diagset_plan plan;
    const vl_lintrans_prices prices[2] = {{10, 3, 1, 4}, {30, 2, 1, 20}};
    for (int i = 0; i < 2; i++) {
        vl_lintrans_cost cost;
        OK(vl_diagset_plan_best(s.offset, s.count, slots, &prices[i], &plan, &cost));
        assert_true(cost.seconds > 0 && plan.babies * plan.giants >= count);
        check_plan(&s, &plan, log_n);
    }
    for (uint32_t step = 1; step <= 8; step += step < 4 ? 1 : 3) {
        OK(vl_diagset_plan_split(s.offset, s.count, slots, step, -(int32_t)(step / 2), &plan));
        check_plan(&s, &plan, log_n);
    }
    free_set(&s);
}

static void against_clear(void **state) {
    (void)state;
    check_set(9, 256, -7, 15, 4, 256); // a factor of a transform
    check_set(9, 256, 0, 8, 32, 256);  // wraps around
    check_set(9, 256, -3, 7, 1, 128);  // periodic, gap 2
    check_set(9, 256, -3, 7, 1, 64);
    check_set(9, 256, 0, 4, 1, 32);
    check_set(10, 512, -4, 11, 2, 16);  // runs of 32
    check_set(10, 64, -7, 15, 2, 64);   // fewer slots than N/2
    check_set(9, 256, 5, 1, 3, 256);    // one diagonal, one rotation
    check_set(9, 256, 0, 1, 1, 256);    // one product
    check_set(9, 256, -20, 45, 1, 256); // more than a chunk of babies
}

static void mixed_forms(void **state) {
    (void)state;
    set s = make_set(256, -4, 9, 1, 256, false), t = make_set(256, -4, 9, 1, 8, false);
    for (uint32_t i = 0; i < 9; i += 2) {
        double complex *swap = s.v[i];
        s.v[i] = t.v[i];
        t.v[i] = swap;
    }
    static vl_diagset_plan plan;
    OK(vl_diagset_plan_split(s.offset, s.count, 256, 3, -1, &plan));
    assert_int_equal(plan.babies, 3);
    assert_int_equal(plan.giants, 3);
    check_plan(&s, &plan, 9);
    free_set(&s);
    free_set(&t);
}

// Every compact form expands to the full one, word for word.
static void forms_agree(void **state) {
    (void)state;
    vl_params *p = insecure_params(10, LEVEL, 2, NULL);
    const vl_ring *ring = &p->ring;
    const uint32_t np = ring->p_count, limbs = LEVEL + np, n = ring->n;
    vl_encoder *e;
    vl_exec x;
    OK(vl_encoder_new(p, &e));
    OK(vl_exec_init(&x, 1, vl_diag_encode_scratch(p, LEVEL, np)));
    for (uint32_t period = 1; period <= n / 2; period *= 2) {
        double complex *v = complex_vector(period, period);
        vl_diag full = {vl_alloc(vl_diag_bytes(ring, n, LEVEL, np)), n, 0}, coeffs = {vl_alloc(n * 8), 0, 0};
        vl_diag few = {vl_alloc(vl_diag_coefficient_bytes(ring, period)), 0, n / vl_diag_words(ring, period)};
        vl_diag less = {.words = vl_diag_words(ring, period)};
        less.x = vl_alloc(vl_diag_bytes(ring, less.words, LEVEL, np));
        OK(vl_diag_encode(&x, e, NULL, v, period, 0x1p40, LEVEL, np, full));
        OK(vl_diag_encode(&x, e, NULL, v, period, 0x1p40, LEVEL, np, coeffs));
        OK(vl_diag_encode(&x, e, NULL, v, period, 0x1p40, LEVEL, np, less));
        OK(vl_diag_encode(&x, e, NULL, v, period, 0x1p40, LEVEL, np, few));
        uint64_t *out = vl_alloc(n * 8);
        vl_poly m;
        OK(vl_poly_new(ring, LEVEL, np, &m));
        vl_ring_from_i64(NULL, ring, m, (int64_t *)coeffs.x);
        for (uint32_t i = 0; i < LEVEL; i++) {
            vl_diag_residues(ring, vl_rlwe_limb_modulus(p, LEVEL, i), few, out);
            assert_memory_equal(out, vl_poly_limb(ring, m, i), n * 8);
        }
        vl_ring_ntt(NULL, ring, m, m);
        assert_memory_equal(m.x, full.x, (size_t)limbs * n * 8);
        for (uint32_t i = 0; i < limbs; i++)
            for (size_t step = 16; step <= n; step *= 8) {
                for (size_t at = 0; at < n; at += step)
                    vl_diag_expand(ring, less, i, at, step < n - at ? step : n - at, out + at);
                assert_memory_equal(out, full.x + (size_t)i * n, n * 8);
            }
        vl_free(full.x);
        vl_free(coeffs.x);
        vl_free(less.x);
        vl_free(few.x);
        vl_free(out);
        vl_poly_free(&m);
        free(v);
    }
    vl_exec_clear(&x);
    vl_encoder_free(e);
    vl_params_free(p);
}

static void periods(void **state) {
    (void)state;
    double complex *v = complex_vector(64, 3);
    assert_int_equal(vl_diag_period(v, 64), 64);
    for (uint32_t t = 8; t < 64; t++) v[t] = v[t - 8];
    assert_int_equal(vl_diag_period(v, 64), 8);
    for (uint32_t t = 0; t < 64; t++) v[t] = 2;
    assert_int_equal(vl_diag_period(v, 64), 1);
    for (uint32_t t = 0; t < 64; t++) v[t] = 0;
    assert_int_equal(vl_diag_period(v, 64), 0);
    free(v);
}

// Whatever the prices, a plan reproduces its offsets, and none of the plans that a search over powers of two would find
// is cheaper.
static void plans_cover(void **state) {
    (void)state;
    static vl_diagset_plan plan, other;
    for (uint32_t trial = 0; trial < 60; trial++) {
        uint32_t slots = 64u << trial % 5, unit = 1u << trial % 4, count = 1 + trial * 7 % 31;
        int32_t offset[64], first = (int32_t)(trial * 13 % 16) - 8;
        for (uint32_t i = 0; i < count; i++) offset[i] = (first + (int32_t)i) * (int32_t)unit;
        if (count * unit > slots) continue;
        const vl_lintrans_prices prices = {10 + trial % 7, 1 + trial % 3, 0.5, 3 + trial % 5};
        vl_lintrans_cost cost, more;
        OK(vl_diagset_plan_best(offset, count, slots, &prices, &plan, &cost));
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(
                ((uint32_t)offset[i] - (uint32_t)plan.baby[plan.at_baby[i]] - (uint32_t)plan.giant[plan.at_giant[i]]) &
                    (slots - 1),
                0);
        for (uint32_t step = 1; step <= 32; step *= 2) {
            if (vl_diagset_plan_split(offset, count, slots, step, 0, &other) != VELUM_OK) continue;
            more = vl_diagset_price(&other, &prices);
            assert_true(cost.seconds <= more.seconds);
        }
    }
}

static void refuses_bad_input(void **state) {
    (void)state;
    static vl_diagset_plan plan;
    const vl_lintrans_prices prices = {10, 3, 1, 4};
    const int32_t twice[2] = {1, 65}, one[1] = {1};
    assert_int_equal(vl_diagset_plan_best(twice, 2, 64, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_diagset_plan_best(one, 0, 64, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_diagset_plan_best(one, 1, 60, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_diagset_plan_best(one, VL_DIAGSET_MAX + 1, 64, &prices, &plan, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_diagset_plan_split(one, 1, 64, 0, 0, &plan), VELUM_E_FORMAT);
    assert_int_equal(vl_diagset_plan_split(one, 1, 64, 4, -4, &plan), VELUM_E_FORMAT);
    assert_int_equal(vl_diagset_plan_split(one, 1, 64, 4, 1, &plan), VELUM_E_FORMAT);
    vl_params *p = insecure_params(9, LEVEL, 2, NULL);
    vl_encoder *e;
    vl_exec x;
    vl_diagset d;
    OK(vl_encoder_new(p, &e));
    double complex *v = complex_vector(256, 1);
    const double complex *list[1] = {v};
    OK(vl_diagset_plan_split(one, 1, 256, 1, 0, &plan));
    OK(vl_exec_init(&x, 1, vl_diagset_encode_scratch(p, &plan, LEVEL)));
    assert_int_equal(vl_diagset_encode(&x, e, &plan, list, 0, 0x1p40, 0, &d), VELUM_E_LIMIT);
    assert_int_equal(vl_diagset_encode(&x, e, &plan, list, LEVEL + 1, 0x1p40, 0, &d), VELUM_E_LIMIT);
    v[3] = NAN;
    assert_int_equal(vl_diagset_encode(&x, e, &plan, list, LEVEL, 0x1p40, UINT64_MAX, &d), VELUM_E_VALUE);
    assert_int_equal(vl_diagset_encode(&x, e, &plan, list, LEVEL, 0x1p40, 0, &d), VELUM_E_VALUE);
    assert_int_equal(x.arena.used, 0);
    free(v);
    vl_exec_clear(&x);
    vl_encoder_free(e);
    vl_params_free(p);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(11, LEVEL + 1, 2);
    vl_params *first;
    OK(vl_params_new(&lit, NULL, &first));
    set s = make_set(1024, -7, 15, 8, 1024, true);
    for (uint32_t t = 16; t < 1024; t++) s.v[2][t] = s.v[2][t - 16];
    static vl_diagset_plan plan;
    vl_key_request r[2 * VL_DIAGSET_MAX];
    OK(vl_diagset_plan_split(s.offset, s.count, 1024, 5, -2, &plan));
    lab l;
    lab_open(&l, first, 1, scratch_of(first, &plan), r, vl_diagset_key_requests(&plan, first, LEVEL, r));
    double complex *v = complex_vector(1024, 5);
    vl_ciphertext in = lab_encrypt(&l, v, 1024, 0x1p40, LEVEL), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++)
            for (uint64_t budget = 0; budget < 3; budget++) { // however the diagonals are kept
                vl_params *p;
                vl_exec x;
                vl_encoder *e;
                vl_diagset d;
                vl_ciphertext out;
                OK(vl_params_new(&lit, *k, &p));
                OK(vl_exec_init(&x, threads, scratch_of(p, &plan)));
                OK(vl_encoder_new(p, &e));
                OK(vl_diagset_encode(&x, e, &plan, (const double complex *const *)s.v, LEVEL, 0x1p40,
                                     budget == 2 ? UINT64_MAX : budget << 18, &d));
                OK(vl_ciphertext_new(p, LEVEL, 1, &out));
                vl_eval_keys keys = keys_under(&l.keys, p);
                vl_diagset_apply(&x, &keys, &d, &out, &in);
                if (!want.block) {
                    want = out;
                } else {
                    assert_true(same_ciphertext(p, &want, &out));
                    vl_ciphertext_free(&out);
                }
                vl_diagset_free(&d);
                vl_encoder_free(e);
                vl_exec_clear(&x);
                vl_params_free(p);
            }
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&in);
    free(v);
    free_set(&s);
    lab_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods),           cmocka_unit_test(forms_agree), cmocka_unit_test(plans_cover),
        cmocka_unit_test(against_clear),     cmocka_unit_test(mixed_forms), cmocka_unit_test(same_bytes_everywhere),
        cmocka_unit_test(refuses_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
