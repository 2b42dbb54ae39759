// SPDX-License-Identifier: Apache-2.0
// Encrypted linear maps against the same plan in the clear, in all slots; zero diagonals; same bytes everywhere.
#include "circuits/lintrans_internal.h"
#include "ckks/fixture.h"

#define LEVEL 4

typedef struct map {
    vl_lintrans_plan plan;
    double *weights, *bias, *x, *y;
} map;

// Diagonals of the matrix for which keep(col - row) is 0 are zero.
static map make_map(const vl_lintrans_plan *plan, uint32_t keep_every, bool bias) {
    const vl_lintrans_shape *s = &plan->shape;
    map m = {.plan = *plan, .weights = real_vector(s->rows * s->cols, 11), .y = malloc(s->slots * sizeof *m.y)};
    for (uint32_t r = 0; r < s->rows; r++)
        for (uint32_t c = 0; c < s->cols; c++)
            if ((c + s->period_in - r % s->period_in) % keep_every != 0) m.weights[r * s->cols + c] = 0;
    m.bias = bias ? real_vector(s->rows, 12) : NULL;
    m.x = real_vector(s->slots, 13); // not periodic: every slot counts
    vl_lintrans_clear_apply(plan, m.weights, m.bias, m.x, m.y);
    return m;
}

static void free_map(map *m) {
    free(m->weights);
    free(m->bias);
    free(m->x);
    free(m->y);
}

static size_t scratch_of(const vl_params *p, const vl_lintrans_plan *plan) {
    size_t apply = vl_lintrans_scratch(p, plan, LEVEL), encode = vl_lintrans_encode_scratch(p, plan, LEVEL);
    return apply > encode ? apply : encode;
}

static void check_in_lab(lab *l, const map *m, const vl_lintrans *lt, const vl_eval_keys *keys) {
    uint32_t slots = m->plan.shape.slots;
    const vl_params *p = l->p;
    vl_exec x; // exactly what was planned
    OK(vl_exec_init(&x, 1, scratch_of(p, &m->plan)));
    vl_ciphertext ct = lab_encrypt_real(l, m->x, slots, 0x1p40, LEVEL + 1); // one level above
    double complex *want = malloc(slots * sizeof *want);
    for (uint32_t i = 0; i < slots; i++) want[i] = m->y[i];
    vl_lintrans_apply(&x, p, keys, lt, &ct, &ct); // in place
    assert_int_equal(ct.level, LEVEL - 1);
    assert_true(ct.scale == 0x1p40 * lt->scale / (double)p->literal.q[LEVEL - 1]);
    double error = lab_error(l, &ct, want, slots);
    if (!(error < 0x1p-20))
        fail_msg("split %u %u %u, %u folds: error 2^%.1f", m->plan.babies, m->plan.giants, m->plan.copies,
                 m->plan.folds, log2(error));
    assert_int_equal(x.arena.used, 0);
    free(want);
    vl_ciphertext_free(&ct);
    vl_exec_clear(&x);
}

static void check_map(uint32_t log_n, uint32_t digit_limbs, const vl_lintrans_plan *plan, uint32_t keep_every,
                      bool bias) {
    vl_params *p = insecure_params(log_n, LEVEL + 1, digit_limbs, NULL);
    static vl_key_request r[VL_LINTRANS_MAX_ROTATIONS + 1];
    uint32_t count = vl_lintrans_key_requests(plan, p, LEVEL, r);
    lab l;
    if (count == 0) r[count++] = (vl_key_request){0, 2};
    lab_open(&l, p, 1, scratch_of(p, plan), r, count);
    map m = make_map(plan, keep_every, bias);
    vl_lintrans lt;
    OK(vl_lintrans_encode(&l.x, l.e, plan, m.weights, m.bias, LEVEL, (double)p->literal.q[LEVEL - 1], 0x1p40, &lt));
    assert_true(lt.bytes <= vl_lintrans_bytes(p, plan, LEVEL, bias));
    if (keep_every == 1) assert_true(lt.bytes == vl_lintrans_bytes(p, plan, LEVEL, bias));
    check_in_lab(&l, &m, &lt, &l.keys);
    vl_lintrans_free(&lt);
    free_map(&m);
    lab_close(&l);
}

static void check_shape(const vl_lintrans_shape *s, uint32_t log_n, uint32_t digit_limbs) {
    uint32_t diagonals = lt_diagonals(s), fits = 0;
    for (uint32_t copies = 1; copies <= diagonals; copies *= 2)
        for (uint32_t giants = 1; giants * copies <= diagonals; giants *= 2) {
            vl_lintrans_plan plan;
            if (vl_lintrans_plan_split(s, diagonals / copies / giants, giants, copies, &plan) != VELUM_OK) continue;
            check_map(log_n, digit_limbs, &plan, 1, fits++ % 2 == 0);
        }
    assert_true(fits > 1);
}

static void all_plans(void **state) {
    (void)state;
    // rows, cols, slots, lanes, valid_in, valid_need, period_in, period_out
    check_shape(&(vl_lintrans_shape){16, 16, 256, 1, 256, 16, 16, 16}, 9, 1);
    check_shape(&(vl_lintrans_shape){5, 30, 256, 2, 128, 8, 32, 8}, 9, 2);
    check_shape(&(vl_lintrans_shape){30, 5, 256, 4, 60, 30, 8, 32}, 9, 2);
    check_shape(&(vl_lintrans_shape){7, 16, 256, 1, 200, 8, 16, 8}, 9, 2);
    check_shape(&(vl_lintrans_shape){40, 64, 512, 1, 512, 40, 64, 64}, 10, 3);
    check_shape(&(vl_lintrans_shape){1, 16, 128, 2, 64, 1, 16, 2}, 9, 2); // fewer slots than N/2
}

// One copy splits at any number of babies.
static void unequal_splits(void **state) {
    (void)state;
    const vl_lintrans_shape shapes[3] = {{16, 16, 256, 1, 256, 16, 16, 16},
                                         {5, 30, 256, 2, 128, 8, 32, 8},
                                         {7, 16, 256, 1, 200, 8, 16, 8}}; // the last is not cyclic
    for (int i = 0; i < 3; i++) {
        uint32_t diagonals = lt_diagonals(&shapes[i]);
        for (uint32_t babies = 1; babies <= diagonals; babies++) {
            vl_lintrans_plan plan;
            OK(vl_lintrans_plan_split(&shapes[i], babies, (diagonals + babies - 1) / babies, 1, &plan));
            check_map(9, 2, &plan, 1, babies % 2);
        }
    }
}

// Diagonals that do not fit the budget are kept as coefficients; the same bytes come out.
static void budgets(void **state) {
    (void)state;
    const vl_lintrans_shape s = {16, 16, 256, 1, 200, 16, 16, 16};
    vl_params *p = insecure_params(9, LEVEL + 1, 2, NULL);
    vl_lintrans_plan plan;
    static vl_key_request r[64];
    OK(vl_lintrans_plan_split(&s, 8, 2, 1, &plan));
    lab l;
    lab_open(&l, p, 1, scratch_of(p, &plan), r, vl_lintrans_key_requests(&plan, p, LEVEL, r));
    map m = make_map(&plan, 1, true);
    vl_ciphertext in = lab_encrypt_real(&l, m.x, s.slots, 0x1p40, LEVEL), want, d;
    OK(vl_ciphertext_new(p, LEVEL - 1, 1, &want));
    OK(vl_ciphertext_new(p, LEVEL - 1, 1, &d));
    const uint64_t each = vl_poly_bytes(&p->ring, LEVEL, p->ring.p_count);
    for (uint32_t kept = 17; kept-- > 0;) {
        vl_lintrans lt;
        OK(vl_lintrans_encode_within(&l.x, l.e, &plan, m.weights, m.bias, LEVEL, 0x1p40, 0x1p40, kept * each, &lt));
        assert_int_equal(lt.expanded, 16 - kept);
        assert_int_equal(lt.bytes, kept * each + (16 - kept) * p->ring.n * 8 + vl_poly_bytes(&p->ring, LEVEL - 1, 0));
        vl_lintrans_apply(&l.x, p, &l.keys, &lt, kept == 16 ? &want : &d, &in);
        if (kept < 16) assert_true(same_ciphertext(p, &want, &d));
        vl_lintrans_free(&lt);
    }
    vl_ciphertext_free(&in);
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&d);
    free_map(&m);
    lab_close(&l);
}

static void zero_diagonals(void **state) {
    (void)state;
    const vl_lintrans_shape s = {32, 32, 256, 1, 256, 32, 32, 32};
    for (uint32_t every = 2; every <= 64; every *= 2)
        for (uint32_t giants = 1; giants <= 32; giants *= 2) {
            vl_lintrans_plan plan;
            OK(vl_lintrans_plan_split(&s, 32 / giants, giants, 1, &plan));
            check_map(9, 2, &plan, every, giants % 4 == 0);
        }
}

static void zero_matrix(void **state) {
    (void)state;
    const vl_lintrans_shape s = {8, 8, 256, 1, 256, 8, 8, 8};
    vl_params *p = insecure_params(9, LEVEL + 1, 2, NULL);
    for (uint32_t giants = 1; giants <= 8; giants *= 2) {
        vl_lintrans_plan plan;
        OK(vl_lintrans_plan_split(&s, 8 / giants, giants, 1, &plan));
        vl_exec x;
        vl_encoder *e;
        vl_lintrans lt;
        vl_ciphertext ct;
        const double weights[64] = {0};
        OK(vl_exec_init(&x, 1, scratch_of(p, &plan)));
        OK(vl_encoder_new(p, &e));
        OK(vl_lintrans_encode(&x, e, &plan, weights, NULL, LEVEL, 0x1p40, 0x1p40, &lt));
        assert_int_equal(lt.bytes, 0);
        OK(vl_ciphertext_new(p, LEVEL, 1, &ct));
        ct.c[0].x[5] = 7;
        ct.scale = 0x1p40;
        vl_eval_keys none = {.params = p};
        vl_lintrans_apply(&x, p, &none, &lt, &ct, &ct);
        for (size_t i = 0; i < (size_t)(LEVEL - 1) * p->ring.n; i++)
            assert_true(ct.c[0].x[i] == 0 && ct.c[1].x[i] == 0);
        vl_ciphertext_free(&ct);
        vl_lintrans_free(&lt);
        vl_encoder_free(e);
        vl_exec_clear(&x);
    }
    vl_params_free(p);
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    const vl_lintrans_shape s = {60, 100, 1024, 2, 512, 60, 128, 64};
    vl_params_literal lit = insecure_literal(11, LEVEL + 1, 2);
    vl_params *first;
    OK(vl_params_new(&lit, NULL, &first));
    vl_lintrans_plan plan;
    OK(vl_lintrans_plan_split(&s, 32, 2, 1, &plan));
    static vl_key_request r[VL_LINTRANS_MAX_ROTATIONS];
    lab l;
    lab_open(&l, first, 1, scratch_of(first, &plan), r, vl_lintrans_key_requests(&plan, first, LEVEL, r));
    map m = make_map(&plan, 1, true);
    vl_ciphertext in = lab_encrypt_real(&l, m.x, s.slots, 0x1p40, LEVEL), want = {0};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_encoder *e;
            vl_lintrans lt;
            vl_ciphertext d;
            OK(vl_params_new(&lit, *k, &p));
            OK(vl_exec_init(&x, threads, scratch_of(p, &plan)));
            OK(vl_encoder_new(p, &e));
            OK(vl_lintrans_encode(&x, e, &plan, m.weights, m.bias, LEVEL, 0x1p40, 0x1p40, &lt));
            OK(vl_ciphertext_new(p, LEVEL - 1, 1, &d));
            vl_eval_keys keys = keys_under(&l.keys, p);
            vl_lintrans_apply(&x, p, &keys, &lt, &d, &in);
            if (!want.block) {
                want = d;
            } else {
                assert_true(same_ciphertext(p, &want, &d));
                vl_ciphertext_free(&d);
            }
            vl_lintrans_free(&lt);
            vl_encoder_free(e);
            vl_exec_clear(&x);
            vl_params_free(p);
        }
    vl_ciphertext_free(&want);
    vl_ciphertext_free(&in);
    free_map(&m);
    lab_close(&l);
}

static void refuses_bad_input(void **state) {
    (void)state;
    const vl_lintrans_shape s = {8, 8, 256, 1, 256, 8, 8, 8};
    vl_params *p = insecure_params(9, 3, 1, NULL);
    vl_lintrans_plan plan, broken;
    OK(vl_lintrans_plan_split(&s, 8, 1, 1, &plan));
    vl_exec x;
    vl_encoder *e;
    vl_lintrans lt;
    OK(vl_exec_init(&x, 1, vl_lintrans_encode_scratch(p, &plan, 3)));
    OK(vl_encoder_new(p, &e));
    double weights[64] = {1}, bias[8] = {0};
    assert_int_equal(vl_lintrans_encode(&x, e, &plan, weights, NULL, 1, 0x1p40, 0x1p40, &lt), VELUM_E_LIMIT);
    assert_int_equal(vl_lintrans_encode(&x, e, &plan, weights, NULL, 4, 0x1p40, 0x1p40, &lt), VELUM_E_LIMIT);
    broken = plan;
    broken.spacing = 1;
    assert_int_equal(vl_lintrans_encode(&x, e, &broken, weights, NULL, 3, 0x1p40, 0x1p40, &lt), VELUM_E_FORMAT);
    weights[9] = NAN;
    assert_int_equal(vl_lintrans_encode(&x, e, &plan, weights, NULL, 3, 0x1p40, 0x1p40, &lt), VELUM_E_VALUE);
    weights[9] = 0;
    bias[3] = INFINITY;
    assert_int_equal(vl_lintrans_encode(&x, e, &plan, weights, bias, 3, 0x1p40, 0x1p40, &lt), VELUM_E_VALUE);
    assert_int_equal(x.arena.used, 0);
    vl_encoder_free(e);
    vl_exec_clear(&x);
    vl_params_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_plans),         cmocka_unit_test(unequal_splits), cmocka_unit_test(budgets),
        cmocka_unit_test(zero_diagonals),    cmocka_unit_test(zero_matrix),    cmocka_unit_test(same_bytes_everywhere),
        cmocka_unit_test(refuses_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
