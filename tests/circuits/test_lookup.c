// SPDX-License-Identifier: Apache-2.0
// Packed lookups of embeddings: digits and widths, the map of inputs to slots, plans, and encrypted sums.
#include "circuits/lookup.h"
#include "ckks/fixture.h"

#include <string.h>

#define LEVEL 2

// The categories of Criteo-Kaggle.
static const uint64_t criteo[26] = {1460,  583,  10131227, 2202608, 305, 24,     12517,   633,   3,
                                    93145, 5683, 8351593,  3194,    27,  14992,  5461306, 10,    5652,
                                    2173,  4,    7046547,  18,      15,  286181, 105,     142572};

static uint64_t width_of(uint32_t base, uint64_t threshold) {
    uint64_t width = 0;
    for (uint32_t t = 0; t < 26; t++) width += vl_lookup_inputs(criteo[t], base, threshold);
    return width;
}

static void widths(void **state) {
    (void)state;
    uint64_t rows = 0;
    for (uint32_t t = 0; t < 26; t++) rows += criteo[t];
    assert_int_equal(rows, 33762577);
    for (uint64_t threshold = 305; threshold < 583; threshold += 277 / 4)
        assert_int_equal(width_of(4, threshold), 1083);
    assert_int_equal(width_of(4, 582), 1083);
    assert_int_not_equal(width_of(4, 304), 1083);
    assert_int_not_equal(width_of(4, 583), 1083);
    assert_int_equal(width_of(4, 20000), 47746);
    assert_int_equal(width_of(4, 20000) * 16, 763936);
    assert_int_equal(width_of(4, UINT64_MAX), rows);
}

static void digits(void **state) {
    (void)state;
    assert_int_equal(vl_lookup_digits(1, 4), 1);
    assert_int_equal(vl_lookup_digits(4, 4), 1);
    assert_int_equal(vl_lookup_digits(5, 4), 2);
    assert_int_equal(vl_lookup_digits(4194304, 4), 11);
    assert_int_equal(vl_lookup_digits(4194305, 4), 12);
    assert_int_equal(vl_lookup_digits(UINT64_MAX, 2), 64);
    assert_int_equal(vl_lookup_inputs(16777216, 8, 0), 64);
    uint32_t hot[VL_LOOKUP_MAX_HOT];
    assert_int_equal(vl_lookup_hot(305, 4, 500, 304, hot), 1);
    assert_int_equal(hot[0], 304);
    assert_int_equal(vl_lookup_hot(583, 4, 500, 582, hot), 5); // 582 = 2 + 1*4 + 0*16 + 1*64 + 2*256
    const uint32_t want[5] = {2, 5, 8, 13, 18};
    assert_memory_equal(hot, want, sizeof want);
    // The digits of all indices differ.
    for (uint64_t i = 0; i < 583; i++) {
        uint64_t back = 0;
        uint32_t count = vl_lookup_hot(583, 4, 0, i, hot);
        for (uint32_t j = count; j-- > 0;) back = 4 * back + (hot[j] - 4 * j);
        assert_int_equal(back, i);
    }
}

static const vl_lintrans_prices prices = {10, 3, 1, 4};

// Every input lies in the slots exactly `copies` times, in one ciphertext, and packing sets those and no others; every
// weight has its place in exactly one product: seen from number c of table t, input h is at distance d L + s, d < D /
// K, in exactly one copy, s the column's shift.
static void check_map(const uint32_t *inputs, uint32_t tables, uint32_t dim, uint32_t slots) {
    vl_lookup_plan plan;
    vl_lintrans_cost cost;
    OK(vl_lookup_plan_new(inputs, tables, dim, slots, &prices, &plan, &cost));
    uint32_t *seen = calloc((size_t)plan.width * dim, sizeof *seen), *copies = calloc(plan.width, sizeof *copies);
    uint32_t *table = malloc(plan.width * sizeof *table), width = 0;
    double *v = malloc(slots * sizeof *v);
    for (uint32_t t = 0; t < tables; t++)
        for (uint32_t h = 0; h < inputs[t]; h++) table[width++] = t;
    assert_int_equal(width, plan.width);
    for (uint32_t i = 0; i < plan.inputs; i++)
        for (uint32_t s = 0; s < slots; s++) {
            uint32_t h = vl_lookup_at(&plan, i, s);
            if (h == VL_LOOKUP_NONE) continue;
            assert_true(h < width);
            copies[h]++;
            for (uint32_t c = 0; c < dim; c++)
                for (uint32_t o = vl_lookup_out(&plan, table[h], c); o < slots; o += plan.lanes * plan.period)
                    for (uint32_t k = 0; k < plan.babies * plan.giants; k++) {
                        uint32_t turn = (uint32_t)(plan.baby[k % plan.babies] + plan.giant[k / plan.babies]);
                        seen[h * dim + c] += ((o + turn) & (slots - 1)) == s;
                    }
        }
    for (uint32_t h = 0; h < width; h++) assert_int_equal(copies[h], plan.copies);
    for (uint32_t k = 0; k < width * dim; k++) assert_int_equal(seen[k], 1);
    const uint32_t hot[3] = {0, width / 2, width - 1};
    for (uint32_t i = 0; i < plan.inputs; i++) {
        vl_lookup_pack(&plan, i, hot, 3, v);
        for (uint32_t s = 0; s < slots; s++) {
            uint32_t h = vl_lookup_at(&plan, i, s);
            assert_true(v[s] == (h != VL_LOOKUP_NONE && (h == hot[0] || h == hot[1] || h == hot[2])));
        }
    }
    free(seen);
    free(copies);
    free(table);
    free(v);
    vl_lookup_plan_free(&plan);
}

static void maps(void **state) {
    (void)state;
    const uint32_t one[] = {64}, few[] = {3, 40, 5, 1, 17}, many[] = {300, 2, 90, 31, 16, 8, 700, 1, 1},
                   same[] = {8, 8, 8, 8};
    check_map(one, 1, 50, 4096);
    check_map(one, 1, 3, 64);
    check_map(few, 5, 4, 64);
    check_map(few, 5, 4, 256);
    check_map(few, 5, 5, 1024);
    check_map(many, 9, 16, 256);
    check_map(many, 9, 3, 1024);
    check_map(same, 4, 16, 64);
    check_map(same, 4, 1, 4);
}

// INSECURE ring. Each query sets some inputs of every table; every slot of the result is looked at.
static void check_encrypted(uint32_t log_n, const uint32_t *inputs, uint32_t tables, uint32_t dim) {
    vl_params *p = insecure_params(log_n, LEVEL + 1, 2, NULL);
    const uint32_t slots = p->ring.n / 2;
    static vl_key_request requests[VL_LOOKUP_MAX_KEYS];
    vl_lintrans_prices counted = vl_lintrans_prices_counted(p, LEVEL);
    vl_lookup_plan plan;
    OK(vl_lookup_plan_new(inputs, tables, dim, slots, &counted, &plan, NULL));
    lab l;
    lab_open(&l, p, 1, vl_lookup_scratch(p, &plan, LEVEL) + vl_lookup_encode_scratch(p, &plan, LEVEL), requests,
             vl_lookup_key_requests(&plan, p, LEVEL, requests));
    double *weights = real_vector(plan.width * dim, 1), *v = malloc(slots * sizeof *v);
    double complex *want = calloc(slots, sizeof *want);
    vl_lookup lookup;
    OK(vl_lookup_encode(&l.x, l.e, &plan, weights, LEVEL, (double)p->literal.q[LEVEL - 1], &lookup));
    uint32_t hot[64], count = 0, first = 0;
    for (uint32_t t = 0; t < tables; first += inputs[t++])
        for (uint32_t k = 0; k < 2; k++) { // the last input, and one in the middle
            hot[count] = first + (k ? inputs[t] / 3 : inputs[t] - 1);
            if (k && hot[count] == hot[count - 1]) continue;
            for (uint32_t s = 0; s < slots; s++) {
                uint32_t c = s / plan.lanes % plan.period;
                if (s % plan.lanes == t && c < dim) want[s] += weights[hot[count] * dim + c];
            }
            count++;
        }
    vl_ciphertext in[VL_LOOKUP_MAX_INPUTS], out;
    for (uint32_t i = 0; i < plan.inputs; i++) {
        vl_lookup_pack(&plan, i, hot, count, v);
        in[i] = lab_encrypt_real(&l, v, slots, 0x1p40, LEVEL + 1);
    }
    OK(vl_ciphertext_new(p, LEVEL, 1, &out));
    vl_lookup_apply(&l.x, &l.keys, &lookup, &out, in);
    assert_int_equal(out.level, LEVEL - 1);
    assert_true(fabs(out.scale / 0x1p40 - 1) < 1e-12);
    assert_int_equal(l.x.arena.used, 0);
    assert_true(lab_error(&l, &out, want, slots) < 0x1p-18);
    for (uint32_t i = 0; i < plan.inputs; i++) vl_ciphertext_free(&in[i]);
    vl_ciphertext_free(&out);
    vl_lookup_free(&lookup);
    vl_lookup_plan_free(&plan);
    free(weights);
    free(v);
    free(want);
    lab_close(&l);
}

static void encrypted(void **state) {
    (void)state;
    const uint32_t one[] = {64}, few[] = {3, 40, 5, 1, 17}, many[] = {300, 2, 90, 31, 16, 8, 700, 1, 1};
    check_encrypted(10, one, 1, 50);  // copies
    check_encrypted(9, few, 5, 4);    // one ciphertext, several shifts
    check_encrypted(9, many, 9, 16);  // several ciphertexts
    check_encrypted(11, many, 9, 16); // and folds
}

static void refuses_bad_input(void **state) {
    (void)state;
    const uint32_t few[] = {3, 40, 5}, zero[] = {3, 0}, huge[] = {VL_LOOKUP_MAX_WIDTH, 1};
    vl_lookup_plan plan;
    assert_int_equal(vl_lookup_plan_new(few, 0, 4, 64, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_lookup_plan_new(few, 3, 0, 64, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_lookup_plan_new(few, 3, 4, 60, &prices, &plan, NULL), VELUM_E_FORMAT);
    assert_int_equal(vl_lookup_plan_new(few, 3, 17, 64, &prices, &plan, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_lookup_plan_new(zero, 2, 4, 64, &prices, &plan, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_lookup_plan_new(huge, 2, 4, 64, &prices, &plan, NULL), VELUM_E_LIMIT);
    assert_int_equal(vl_lookup_plan_new(huge, 1, 4, 64, &prices, &plan, NULL), VELUM_E_LIMIT); // ciphertexts
    vl_params *p = insecure_params(9, LEVEL, 2, NULL);
    vl_encoder *e;
    vl_exec x;
    vl_lookup lookup;
    OK(vl_encoder_new(p, &e));
    OK(vl_lookup_plan_new(few, 3, 4, 256, &prices, &plan, NULL));
    OK(vl_exec_init(&x, 1, vl_lookup_encode_scratch(p, &plan, LEVEL)));
    double *weights = real_vector(plan.width * 4, 1);
    assert_int_equal(vl_lookup_encode(&x, e, &plan, weights, 1, 0x1p40, &lookup), VELUM_E_LIMIT);
    assert_int_equal(vl_lookup_encode(&x, e, &plan, weights, LEVEL + 1, 0x1p40, &lookup), VELUM_E_LIMIT);
    weights[7] = NAN;
    assert_int_equal(vl_lookup_encode(&x, e, &plan, weights, LEVEL, 0x1p40, &lookup), VELUM_E_VALUE);
    assert_int_equal(x.arena.used, 0);
    vl_lookup_plan_free(&plan);
    OK(vl_lookup_plan_new(few, 3, 4, 128, &prices, &plan, NULL));
    assert_int_equal(vl_lookup_encode(&x, e, &plan, weights, LEVEL, 0x1p40, &lookup), VELUM_E_FORMAT);
    vl_lookup_plan_free(&plan);
    free(weights);
    vl_exec_clear(&x);
    vl_encoder_free(e);
    vl_params_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths),
        cmocka_unit_test(digits),
        cmocka_unit_test(maps),
        cmocka_unit_test(encrypted),
        cmocka_unit_test(refuses_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
