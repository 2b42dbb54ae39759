// SPDX-License-Identifier: Apache-2.0
// What price lists and ceilings do to plans: the same list gives the same bytes, whatever the machine.
#include "nn/model.h"
#include "nn/plan.h"

#define HEART "models/heart/dlrm_heart.onnx"

static vl_writer list_of(const vl_prices *p) {
    vl_writer w = vl_writer_of(1 << 16);
    vl_prices_save(p, &w);
    assert_false(w.failed);
    return w;
}

static velum_status compile_by(const vl_prices *prices, const velum_compile_options *with, velum_buffer *program) {
    size_t size;
    void *onnx = read_file(HEART, &size);
    velum_compile_options opt = with ? *with : (velum_compile_options){0};
    velum_buffer client = {0};
    vl_writer w = {0};
    if (prices) {
        w = list_of(prices);
        opt.prices = w.data;
        opt.prices_size = w.size;
    }
    velum_status status = velum_compile(onnx, size, &opt, program, &client);
    velum_buffer_free(&client);
    vl_writer_clear(&w);
    free(onnx);
    return status;
}

static bool same(const velum_buffer *a, const velum_buffer *b) {
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static double seconds_of(const velum_buffer *b) {
    velum_program *p;
    velum_info info;
    assert_int_equal(velum_program_open(b->data, b->size, &p), VELUM_OK);
    velum_program_info(p, &info);
    velum_program_free(p);
    return info.predicted_seconds;
}

static void test_pure(void **state) {
    (void)state;
    velum_buffer plain = {0}, first = {0}, second = {0}, other = {0};
    vl_prices p = *vl_prices_builtin();
    assert_int_equal(compile_by(NULL, NULL, &plain), VELUM_OK);
    assert_int_equal(compile_by(&p, NULL, &first), VELUM_OK);
    assert_int_equal(compile_by(&p, NULL, &second), VELUM_OK);
    assert_true(same(&plain, &first));
    assert_true(same(&first, &second));
    for (int i = 0; i < VL_PRICES; i++) p.fs[i] *= 2; // the same plan, twice the time
    assert_int_equal(compile_by(&p, NULL, &other), VELUM_OK);
    assert_true(fabs(seconds_of(&other) / seconds_of(&first) - 2) < 1e-9);
    velum_buffer_free(&plain);
    velum_buffer_free(&first);
    velum_buffer_free(&second);
    velum_buffer_free(&other);
}

static velum_info info_by(vl_price_id id, uint64_t times) {
    vl_prices p = *vl_prices_builtin();
    velum_buffer made = {0};
    velum_program *program;
    velum_info info;
    p.fs[id] *= times;
    assert_int_equal(compile_by(&p, NULL, &made), VELUM_OK);
    assert_int_equal(velum_program_open(made.data, made.size, &program), VELUM_OK);
    velum_program_info(program, &info);
    info.model = info.metric = NULL;
    velum_program_free(program);
    velum_buffer_free(&made);
    return info;
}

// Messages are digested byte by byte, a query's coefficients unpacked, and what is live at a time is touched first.
static void test_around(void **state) {
    (void)state;
    const velum_info once = info_by(VL_PRICE_DIGEST, 1), twice = info_by(VL_PRICE_DIGEST, 2);
    const double bytes = (double)(once.query_bytes + once.answer_bytes),
                 more = twice.predicted_seconds - once.predicted_seconds;
    assert_true(fabs(more - bytes * vl_price(vl_prices_builtin(), VL_PRICE_DIGEST)) < 1e-9);
    const double limb = ldexp(1, (int)once.log_n), query = limb * once.limbs;
    const double unpacked = info_by(VL_PRICE_MESSAGE, 2).predicted_seconds - once.predicted_seconds;
    assert_true(fabs(unpacked - query * vl_price(vl_prices_builtin(), VL_PRICE_MESSAGE)) < 1e-9);
    // The input and the first layer's result, of as many limbs, live together; more than four such never do.
    const double touched = (info_by(VL_PRICE_FRESH_SMALL, 2).predicted_seconds - once.predicted_seconds) /
                           vl_price(vl_prices_builtin(), VL_PRICE_FRESH_SMALL);
    assert_true(touched > 3.99 * query && touched < 8 * query);
}

static void test_refused(void **state) {
    (void)state;
    size_t size;
    void *onnx = read_file(HEART, &size);
    velum_buffer program = {0}, client = {0};
    velum_compile_options bad[] = {{.prices = "velum prices 1\n", .prices_size = 15},
                                   {.precision_bits = 3},
                                   {.precision_bits = 25},
                                   {.key_bytes = 1000}};
    const velum_status want[] = {VELUM_E_FORMAT, VELUM_E_USAGE, VELUM_E_USAGE, VELUM_E_LIMIT};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(velum_compile(onnx, size, &bad[i], &program, &client), want[i]);
    assert_non_null(strstr(velum_last_error(), "keys"));
    assert_null(program.data);
    free(onnx);
}

static uint64_t keys_in_memory(const velum_buffer *b) {
    vl_program p = {0};
    uint64_t bytes = 0;
    assert_int_equal(vl_program_load(b->data, b->size, &p), VELUM_OK);
    const vl_params_literal *lit = &p.manifest.params;
    for (uint32_t i = 0; i < p.manifest.key_count; i++) {
        uint32_t level = p.manifest.keys[i].level, digits = (level + lit->digit_limbs - 1) / lit->digit_limbs;
        bytes += 2ull * digits * (level + lit->p_count) * 8 << lit->log_n;
    }
    vl_program_clear(&p);
    return bytes;
}

// The ceiling holds for what the server keeps, and the counting before emission is that of the program.
static void test_keys(void **state) {
    (void)state;
    velum_buffer free_of_it = {0}, within = {0}, below = {0};
    assert_int_equal(compile_by(NULL, NULL, &free_of_it), VELUM_OK);
    uint64_t bytes = keys_in_memory(&free_of_it);
    velum_compile_options just = {.key_bytes = bytes}, less = {.key_bytes = bytes - 1};
    assert_int_equal(compile_by(NULL, &just, &within), VELUM_OK);
    assert_int_equal(keys_in_memory(&within), bytes);
    assert_true(seconds_of(&within) == seconds_of(&free_of_it));
    velum_status status = compile_by(NULL, &less, &below);
    assert_true(status == VELUM_OK || status == VELUM_E_LIMIT);
    if (status == VELUM_OK) assert_true(keys_in_memory(&below) < bytes);
    velum_buffer_free(&free_of_it);
    velum_buffer_free(&within);
    velum_buffer_free(&below);
}

static uint32_t rotations_at(double thrift, double *seconds) {
    const vl_nn_ring ring = {.log_n = 15, .special = 3, .alpha = 3, .thrift = thrift};
    const vl_lintrans_shape shape = {.rows = 512,
                                     .cols = 512,
                                     .slots = 1u << 14,
                                     .lanes = 1,
                                     .valid_in = 1u << 14,
                                     .valid_need = 512,
                                     .period_in = 512,
                                     .period_out = 512};
    vl_lintrans_plan plan;
    vl_lintrans_cost cost;
    int32_t amount[VL_LINTRANS_MAX_ROTATIONS];
    assert_int_equal(vl_nn_cost_linear(&ring, 6, &shape, &plan, &cost), VELUM_OK);
    *seconds = cost.seconds;
    return vl_lintrans_rotations(&plan, amount);
}

static void test_thrift(void **state) {
    (void)state;
    double plain, same_seconds, dear;
    uint32_t many = rotations_at(0, &plain);
    assert_int_equal(rotations_at(1, &same_seconds), many);
    assert_true(plain == same_seconds);
    assert_true(rotations_at(64, &dear) <= many);
    assert_true(dear >= plain); // its real price, and the cheapest was found before
}

// Prices matter one by one, and time grows with the level.
static void test_costs(void **state) {
    (void)state;
    vl_prices p = *vl_prices_builtin();
    vl_nn_ring ring = {.log_n = 15, .special = 3, .alpha = 3, .prices = &p};
    for (uint16_t level = 2; level < 20; level++) {
        assert_true(vl_nn_cost_multiply(&ring, level) > vl_nn_cost_multiply(&ring, (uint16_t)(level - 1)));
        assert_true(vl_nn_prices(&ring, level).rotation > vl_nn_prices(&ring, (uint16_t)(level - 1)).rotation);
    }
    double before = vl_nn_cost_multiply(&ring, 9);
    const vl_price_id used[] = {VL_PRICE_NTT_15, VL_PRICE_MULTIPLY, VL_PRICE_EXTEND,   VL_PRICE_PASS,
                                VL_PRICE_STREAM, VL_PRICE_FRESH,    VL_PRICE_OPERATION};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        p.fs[used[i]] *= 2;
        double after = vl_nn_cost_multiply(&ring, 9);
        assert_true(after > before && after < 2 * before);
        p.fs[used[i]] /= 2;
    }
    p.fs[VL_PRICE_NTT_16] *= 2;
    assert_true(vl_nn_cost_multiply(&ring, 9) == before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pure), cmocka_unit_test(test_around), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_keys), cmocka_unit_test(test_thrift), cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
