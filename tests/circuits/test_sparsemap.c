// SPDX-License-Identifier: Apache-2.0
// Sparse matrices by diagonals: offsets and diagonals against the plain product, encrypted against clear, refusals.
#include "base/clock.h"
#include "circuits/sparsemap.h"
#include "ckks/fixture.h"

#define LEVEL 3

typedef struct sparse {
    vl_matrix m;
    double *bias;
} sparse;

// About `each` entries a row, near the diagonal; every seventh row is empty.
static sparse make_sparse(uint32_t rows, uint32_t cols, uint32_t each, uint32_t seed) {
    sparse t = {.m = {.rows = rows, .cols = cols}};
    t.m.start = malloc((rows + 1u) * sizeof *t.m.start);
    t.m.col = malloc((size_t)rows * each * sizeof *t.m.col);
    t.m.val = malloc((size_t)rows * each * sizeof *t.m.val);
    t.bias = real_vector(rows, seed + 1);
    uint64_t n = 0;
    for (uint32_t r = 0; r < rows; r++) {
        t.m.start[r] = n;
        if (r % 7 == 3) continue;
        for (uint32_t k = 0, c = r < cols ? r : r % cols; k < each && c < cols; k++, c += 1 + (r + k) % 2 * 2, n++) {
            t.m.col[n] = c;
            t.m.val[n] = noise_value(seed * 7919u + n);
        }
    }
    t.m.start[rows] = n;
    return t;
}

static void free_sparse(sparse *t) {
    free(t->m.start);
    free(t->m.col);
    free(t->m.val);
    free(t->bias);
}

// The product by its definition, position by position.
static double *product(const sparse *t, const vl_sparsemap_shape *s, const double *x) {
    double *y = malloc(s->slots * sizeof *y);
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        uint32_t row = slot / s->lanes % s->period_out, lane = slot % s->lanes;
        y[slot] = row < t->m.rows ? t->bias[row] : 0;
        for (uint64_t i = t->m.start[row < t->m.rows ? row : 0]; row < t->m.rows && i < t->m.start[row + 1]; i++)
            y[slot] += t->m.val[i] * x[t->m.col[i] * s->lanes + lane];
    }
    return y;
}

static double *periodic(const vl_sparsemap_shape *s, uint64_t seed) {
    double *x = real_vector(s->slots, seed);
    for (uint32_t i = s->period_in * s->lanes; i < s->slots; i++) x[i] = x[i - s->period_in * s->lanes];
    return x;
}

static double distance(const double *a, const double *b, uint32_t n) {
    double worst = 0;
    for (uint32_t i = 0; i < n; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

// The diagonals one by one, and the row-wise form, against the definition.
static void check_clear(const sparse *t, const vl_sparsemap_shape *s) {
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count, period = vl_sparsemap_period(s);
    OK(vl_sparsemap_offsets(&t->m, s, offset, &count));
    double *x = periodic(s, 5), *want = product(t, s, x), *y = malloc(s->slots * sizeof *y);
    vl_sparsemap_clear_apply(&t->m, t->bias, s, x, y);
    assert_true(distance(y, want, s->slots) < 1e-12);
    vl_sparsemap_index index;
    OK(vl_sparsemap_index_new(&t->m, s, &index));
    double complex *v = malloc(period * sizeof *v);
    for (uint32_t i = 0; i < s->slots; i++) {
        uint32_t row = i / s->lanes % s->period_out;
        y[i] = row < t->m.rows ? t->bias[row] : 0;
    }
    for (uint32_t d = 0; d < count; d++) {
        assert_true(offset[d] % (int32_t)s->lanes == 0 && (d == 0 || offset[d] > offset[d - 1]));
        vl_sparsemap_diagonal(&index, offset[d], v);
        bool any = false;
        for (uint32_t i = 0; i < s->slots; i++) {
            y[i] += creal(v[i % period]) * x[(i + (uint32_t)offset[d]) % s->slots];
            any |= v[i % period] != 0;
        }
        assert_true(any); // no diagonal is without an entry
    }
    assert_true(distance(y, want, s->slots) < 1e-12);
    vl_sparsemap_index_free(&index);
    free(v);
    free(x);
    free(y);
    free(want);
}

static void check_encrypted(const sparse *t, const vl_sparsemap_shape *s, const vl_diagset_plan *plan) {
    static vl_key_request r[2 * VL_DIAGSET_MAX + 1];
    uint32_t log_n = 1;
    while (1u << log_n < 2 * s->slots) log_n++;
    vl_params *p = insecure_params(log_n, LEVEL + 1, 2, NULL);
    uint32_t count = vl_diagset_key_requests(plan, p, LEVEL, r);
    if (count == 0) r[count++] = (vl_key_request){0, 2};
    lab l;
    lab_open(&l, p, 1, 0, r, count);
    double *x = periodic(s, 9), *want = product(t, s, x);
    for (int kept = 0; kept < 2; kept++) {
        uint64_t budget = kept ? UINT64_MAX : 0;
        size_t apply = vl_sparsemap_scratch(p, plan, LEVEL), encode = vl_sparsemap_encode_scratch(p, plan, LEVEL);
        vl_sparsemap map;
        vl_exec own; // exactly what was planned
        OK(vl_exec_init(&own, 1, apply > encode ? apply : encode));
        double q = (double)p->literal.q[LEVEL - 1];
        OK(vl_sparsemap_encode(&own, l.e, &t->m, t->bias, s, plan, LEVEL, q, 0x1p40, budget, &map));
        assert_int_equal(map.bytes, vl_sparsemap_bytes(p, s, plan, LEVEL, true, budget));
        vl_ciphertext ct = lab_encrypt_real(&l, x, s->slots, 0x1p40, LEVEL + 1);
        vl_sparsemap_apply(&own, p, &l.keys, &map, &ct, &ct);
        assert_int_equal(ct.level, LEVEL - 1);
        assert_int_equal(own.arena.used, 0);
        double complex *z = malloc(s->slots * sizeof *z);
        for (uint32_t i = 0; i < s->slots; i++) z[i] = want[i];
        double error = lab_error(&l, &ct, z, s->slots);
        if (!(error < 0x1p-20)) fail_msg("period %u to %u: error 2^%.1f", s->period_in, s->period_out, log2(error));
        free(z);
        vl_ciphertext_free(&ct);
        vl_sparsemap_free(&map);
        vl_exec_clear(&own);
    }
    free(x);
    free(want);
    lab_close(&l);
}

static void check_shape(uint32_t rows, uint32_t cols, uint32_t period_in, uint32_t period_out, uint32_t lanes) {
    sparse t = make_sparse(rows, cols, 4, rows + cols);
    vl_sparsemap_shape s = {period_in, period_out, lanes, 256};
    static vl_diagset_plan plan, again;
    const vl_lintrans_prices prices = {30, 3, 1, 20};
    vl_lintrans_cost cost;
    check_clear(&t, &s);
    OK(vl_sparsemap_plan_best(&t.m, &s, &prices, &plan, &cost));
    OK(vl_sparsemap_plan_split(&t.m, &s, plan.step, plan.start, &again));
    assert_memory_equal(&plan, &again, sizeof plan);
    check_encrypted(&t, &s, &plan);
    free_sparse(&t);
}

static void against_the_product(void **state) {
    (void)state;
    check_shape(60, 64, 64, 64, 1);
    check_shape(60, 61, 64, 64, 4);
    check_shape(256, 256, 256, 256, 1);
    check_shape(30, 16, 16, 32, 1); // more rows than columns
    check_shape(128, 16, 16, 128, 2);
    check_shape(16, 60, 64, 16, 1); // fewer
    check_shape(8, 30, 32, 8, 4);
    check_shape(1, 1, 1, 1, 1);
    check_shape(1, 4, 4, 1, 1);
    check_shape(4, 1, 1, 4, 16);
}

static void no_entries(void **state) {
    (void)state;
    sparse t = make_sparse(8, 8, 1, 3);
    for (uint32_t r = 0; r <= 8; r++) t.m.start[r] = 0;
    vl_sparsemap_shape s = {8, 8, 1, 256};
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count;
    OK(vl_sparsemap_offsets(&t.m, &s, offset, &count));
    assert_int_equal(count, 1);
    assert_int_equal(offset[0], 0);
    static vl_diagset_plan plan;
    OK(vl_sparsemap_plan_split(&t.m, &s, 1, 0, &plan));
    check_encrypted(&t, &s, &plan);
    free_sparse(&t);
}

static void refused(void **state) {
    (void)state;
    sparse t = make_sparse(60, 64, 4, 2);
    static const vl_sparsemap_shape bad[] = {{32, 64, 1, 256}, {64, 32, 1, 256}, {64, 64, 8, 256}, {63, 64, 1, 256},
                                             {64, 64, 3, 256}, {64, 64, 0, 256}, {64, 64, 1, 255}, {0, 64, 1, 256}};
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vl_sparsemap_offsets(&t.m, &bad[i], offset, &count), VELUM_E_FORMAT);
    free_sparse(&t);
    // a dense row has as many diagonals as entries
    t = make_sparse(1, 4096, 1, 2);
    free(t.m.col);
    free(t.m.val);
    t.m.col = malloc(4096 * sizeof *t.m.col);
    t.m.val = calloc(4096, sizeof *t.m.val);
    for (uint32_t c = 0; c < 4096; c++) t.m.col[c] = c;
    t.m.start[1] = VL_DIAGSET_MAX;
    const vl_sparsemap_shape s = {4096, 4096, 1, 4096};
    OK(vl_sparsemap_offsets(&t.m, &s, offset, &count));
    assert_int_equal(count, VL_DIAGSET_MAX);
    t.m.start[1]++;
    assert_int_equal(vl_sparsemap_offsets(&t.m, &s, offset, &count), VELUM_E_LIMIT);
    assert_int_equal(count, VL_DIAGSET_MAX + 1);
    free_sparse(&t);
}

// A 3 x 3 convolution of 16 channels of 32 x 32: what a layer of a small network is.
static void convolution(void **state) {
    (void)state;
    const uint32_t side = 32, channels = 16, n = channels * side * side;
    sparse t = {.m = {.rows = n, .cols = n}};
    t.m.start = malloc((n + 1u) * sizeof *t.m.start);
    t.m.col = malloc((size_t)n * 144 * sizeof *t.m.col);
    t.m.val = malloc((size_t)n * 144 * sizeof *t.m.val);
    t.bias = real_vector(n, 1);
    uint64_t at = 0;
    for (uint32_t r = 0; r < n; r++) {
        t.m.start[r] = at;
        uint32_t y = r / side % side, x = r % side;
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t k = 0; k < 9; k++) {
                uint32_t v = y + k / 3 - 1, u = x + k % 3 - 1;
                if (v >= side || u >= side) continue;
                t.m.col[at] = (c * side + v) * side + u;
                t.m.val[at++] = noise_value((r / (side * side) * channels + c) * 9 + k);
            }
    }
    t.m.start[n] = at;
    const vl_sparsemap_shape s = {n, n, 1, 32768};
    static vl_diagset_plan plan;
    const vl_lintrans_prices prices = {30, 3, 1, 20};
    double start = vl_now();
    OK(vl_sparsemap_plan_best(&t.m, &s, &prices, &plan, NULL));
    vl_sparsemap_index index;
    OK(vl_sparsemap_index_new(&t.m, &s, &index));
    double complex *v = malloc(n * sizeof *v);
    uint64_t found = 0;
    for (uint32_t i = 0; i < plan.count; i++) {
        int32_t offset = plan.baby[plan.at_baby[i]] + plan.giant[plan.at_giant[i]];
        vl_sparsemap_diagonal(&index, offset, v);
        for (uint32_t k = 0; k < n; k++) found += v[k] != 0;
    }
    print_message("    %llu entries on %u diagonals (%u babies, %u giants): %.2f s\n", (unsigned long long)at,
                  plan.count, plan.babies, plan.giants, vl_now() - start);
    assert_int_equal(plan.count, 16 * 9); // channel offsets modulo 16
    assert_int_equal(found, at);
    vl_sparsemap_index_free(&index);
    free(v);
    free_sparse(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_product),
        cmocka_unit_test(no_entries),
        cmocka_unit_test(refused),
        cmocka_unit_test(convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
