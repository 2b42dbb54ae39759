// SPDX-License-Identifier: Apache-2.0
// Matrices over several ciphertexts against the plain product; budgets; same bytes everywhere.
#include "circuits/blockmat.h"
#include "ckks/fixture.h"

#define LEVEL 3

typedef struct matrix {
    double *weights, *bias, *x, *y;
} matrix;

static matrix make_matrix(uint32_t rows, uint32_t cols) {
    matrix m = {real_vector(rows * cols, 1), real_vector(rows, 2), real_vector(cols, 3), malloc(rows * sizeof(double))};
    for (uint32_t r = 0; r < rows; r++) {
        m.y[r] = m.bias[r];
        for (uint32_t c = 0; c < cols; c++) m.y[r] += m.weights[(size_t)r * cols + c] * m.x[c];
    }
    return m;
}

static void free_matrix(matrix *m) {
    free(m->weights);
    free(m->bias);
    free(m->x);
    free(m->y);
}

// Feature c at position c mod P of ciphertext c / P, periodic where there is one; every lane the same.
static vl_ciphertext *encrypt_vector(lab *l, const vl_blockmat_plan *plan, const double *x) {
    const vl_lintrans_shape *s = &plan->block.shape;
    const uint32_t positions = s->slots / s->lanes;
    double *v = malloc(s->slots * sizeof *v);
    vl_ciphertext *ct = malloc(plan->inputs * sizeof *ct);
    for (uint32_t i = 0; i < plan->inputs; i++) {
        for (uint32_t t = 0; t < s->slots; t++) {
            uint32_t at = i * positions + t / s->lanes % s->period_in;
            v[t] = at < plan->cols ? x[at] : 0;
        }
        ct[i] = lab_encrypt_real(l, v, s->slots, 0x1p40, LEVEL + 1);
    }
    free(v);
    return ct;
}

static size_t scratch_of(const vl_params *p, const vl_blockmat_plan *plan) {
    size_t apply = vl_blockmat_scratch(p, plan, LEVEL), encode = vl_blockmat_encode_scratch(p, plan, LEVEL);
    return apply > encode ? apply : encode;
}

static void check_result(lab *l, const vl_blockmat_plan *plan, const vl_ciphertext *d, const double *y) {
    const vl_lintrans_shape *s = &plan->block.shape;
    const uint32_t positions = s->slots / s->lanes;
    for (uint32_t o = 0; o < plan->outs; o++) {
        assert_int_equal(d[o].level, LEVEL - 1);
        double complex *got = lab_decrypt(l, &d[o], s->slots);
        for (uint32_t t = 0; t < s->slots; t++) {
            uint32_t at = t / s->lanes;
            if (at >= plan->block.valid_out) continue;
            uint32_t row = o * positions + at % s->period_out;
            double want = row < plan->rows ? y[row] : 0;
            if (!(cabs(got[t] - want) < 0x1p-17))
                fail_msg("%u x %u, output %u, slot %u: %g, not %g", plan->rows, plan->cols, o, t, creal(got[t]), want);
        }
        free(got);
    }
}

static void check_plan(const vl_blockmat_plan *plan, const matrix *m) {
    vl_params *p = insecure_params(9, LEVEL + 1, 2, NULL);
    static vl_key_request r[VL_LINTRANS_MAX_ROTATIONS + 1];
    uint32_t count = vl_blockmat_key_requests(plan, p, LEVEL, r);
    if (count == 0) r[count++] = (vl_key_request){0, 2};
    lab l;
    lab_open(&l, p, 1, 0, r, count);
    vl_ciphertext *in = encrypt_vector(&l, plan, m->x), *d = malloc(plan->outs * sizeof *d);
    for (uint32_t o = 0; o < plan->outs; o++) OK(vl_ciphertext_new(p, LEVEL - 1, 1, &d[o]));
    for (int expanded = 0; expanded < 2; expanded++) {
        vl_exec x; // exactly what was planned
        vl_blockmat bm;
        OK(vl_exec_init(&x, 1, scratch_of(p, plan)));
        OK(vl_blockmat_encode(&x, l.e, plan, m->weights, m->bias, LEVEL, (double)p->literal.q[LEVEL - 1], 0x1p40,
                              expanded ? 0 : UINT64_MAX, &bm));
        if (!expanded) assert_int_equal(bm.expanded, 0);
        vl_blockmat_apply(&x, &l.keys, &bm, d, in);
        check_result(&l, plan, d, m->y);
        assert_int_equal(x.arena.used, 0);
        vl_blockmat_free(&bm);
        vl_exec_clear(&x);
    }
    for (uint32_t i = 0; i < plan->inputs; i++) vl_ciphertext_free(&in[i]);
    for (uint32_t o = 0; o < plan->outs; o++) vl_ciphertext_free(&d[o]);
    free(in);
    free(d);
    lab_close(&l);
}

static void check_shape(const vl_blockmat_shape *s, uint32_t inputs, uint32_t outs) {
    const vl_lintrans_prices prices = {.rotation = 10, .hoisted = 3, .product = 0.2, .decompose = 5};
    matrix m = make_matrix(s->rows, s->cols);
    vl_blockmat_plan best, plan;
    vl_lintrans_cost cost;
    OK(vl_blockmat_plan_best(s, &prices, &best, &cost));
    assert_int_equal(best.inputs, inputs);
    assert_int_equal(best.outs, outs);
    check_plan(&best, &m);
    const vl_lintrans_shape *b = &best.block.shape;
    uint32_t diagonals = b->period_in < b->period_out ? b->period_in : b->period_out;
    for (uint32_t giants = 1; giants <= diagonals; giants *= diagonals > 32 ? 8 : 2) {
        OK(vl_blockmat_plan_split(s, diagonals / giants, giants, &plan));
        if (inputs > 1 || outs > 1) assert_true(cost.seconds <= vl_blockmat_price(&plan, &prices).seconds);
        check_plan(&plan, &m);
    }
    free_matrix(&m);
}

static void any_shape(void **state) {
    (void)state;
    // rows, cols, slots, lanes, period_in, period_out; 256 slots there are
    check_shape(&(vl_blockmat_shape){10, 12, 256, 1, 0, 0}, 1, 1);    // small, replicated
    check_shape(&(vl_blockmat_shape){7, 600, 256, 1, 0, 0}, 3, 1);    // wide: one row of blocks, folds
    check_shape(&(vl_blockmat_shape){600, 7, 256, 1, 0, 0}, 1, 3);    // tall
    check_shape(&(vl_blockmat_shape){1, 512, 256, 2, 0, 0}, 4, 1);    // an inner product
    check_shape(&(vl_blockmat_shape){513, 1, 256, 1, 0, 0}, 1, 3);    // one column
    check_shape(&(vl_blockmat_shape){100, 90, 256, 8, 0, 0}, 3, 4);   // both, lanes
    check_shape(&(vl_blockmat_shape){300, 260, 256, 1, 0, 0}, 2, 2);  // both, 256 diagonals a block
    check_shape(&(vl_blockmat_shape){16, 100, 128, 4, 32, 16}, 4, 1); // fewer slots than N/2
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    vl_params_literal lit = insecure_literal(11, LEVEL + 1, 2);
    vl_params *first;
    OK(vl_params_new(&lit, NULL, &first));
    const vl_blockmat_shape shape = {1500, 16, 1024, 1, 0, 0};
    vl_blockmat_plan plan;
    OK(vl_blockmat_plan_split(&shape, 4, 4, &plan));
    matrix m = make_matrix(1500, 16);
    vl_key_request r[64];
    lab l;
    lab_open(&l, first, 1, 0, r, vl_blockmat_key_requests(&plan, first, LEVEL, r));
    vl_ciphertext *in = encrypt_vector(&l, &plan, m.x), want[2] = {{.block = NULL}};
    for (const vl_kernels *const *k = vl_kernels_available(); *k; k++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            vl_params *p;
            vl_exec x;
            vl_encoder *e;
            vl_blockmat bm;
            vl_ciphertext d[2];
            OK(vl_params_new(&lit, *k, &p));
            OK(vl_exec_init(&x, threads, scratch_of(p, &plan)));
            OK(vl_encoder_new(p, &e));
            OK(vl_blockmat_encode(&x, e, &plan, m.weights, m.bias, LEVEL, 0x1p40, 0x1p40, UINT64_MAX, &bm));
            for (int o = 0; o < 2; o++) OK(vl_ciphertext_new(p, LEVEL - 1, 1, &d[o]));
            vl_eval_keys keys = keys_under(&l.keys, p);
            vl_blockmat_apply(&x, &keys, &bm, d, in);
            for (int o = 0; o < 2; o++) {
                if (!want[o].block) {
                    want[o] = d[o];
                } else {
                    assert_true(same_ciphertext(p, &want[o], &d[o]));
                    vl_ciphertext_free(&d[o]);
                }
            }
            vl_blockmat_free(&bm);
            vl_encoder_free(e);
            vl_exec_clear(&x);
            vl_params_free(p);
        }
    for (int o = 0; o < 2; o++) vl_ciphertext_free(&want[o]);
    vl_ciphertext_free(&in[0]);
    free(in);
    free_matrix(&m);
    lab_close(&l);
}

static void refuses_bad_input(void **state) {
    (void)state;
    const vl_lintrans_prices prices = {10, 3, 1, 4};
    vl_blockmat_plan plan;
    const vl_blockmat_shape none = {0, 5, 256, 1, 0, 0}, lanes = {5, 5, 256, 3, 0, 0}, odd = {5, 5, 100, 1, 0, 0},
                            huge = {5, 64 * 256 + 1, 256, 1, 0, 0}, period = {5, 300, 256, 1, 128, 0};
    assert_int_equal(vl_blockmat_plan_best(&none, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_blockmat_plan_best(&lanes, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_blockmat_plan_best(&odd, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_blockmat_plan_best(&huge, &prices, &plan, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_blockmat_plan_best(&period, &prices, &plan, NULL), VELUM_E_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_shape), cmocka_unit_test(same_bytes_everywhere),
                                       cmocka_unit_test(refuses_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
