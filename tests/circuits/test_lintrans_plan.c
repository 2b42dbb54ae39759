// SPDX-License-Identifier: Apache-2.0
// Plans of linear maps in the clear: every feasible plan of random shapes equals the plain matrix product wherever its
// output is valid, never lets garbage through, and the best one is the cheapest.
#include "circuits/lintrans_internal.h"
#include "ckks/fixture.h"

static uint64_t draw_state = 88172645463325252u;
static uint32_t draw(uint32_t below) {
    draw_state ^= draw_state << 13;
    draw_state ^= draw_state >> 7;
    draw_state ^= draw_state << 17;
    return (uint32_t)((draw_state >> 20) % below);
}

static uint32_t power_above(uint32_t v) {
    uint32_t p = 1;
    while (p < v) p *= 2;
    return p;
}

typedef struct problem {
    vl_lintrans_shape s;
    double *weights, *bias, *x, *want, *y; // want: period_out x lanes
} problem;

static bool draw_shape(vl_lintrans_shape *s, uint32_t most) {
    *s = (vl_lintrans_shape){
        .rows = 1 + draw(most), .cols = 1 + draw(most), .slots = 256u << draw(6), .lanes = 1u << draw(7)};
    uint32_t positions = s->slots / s->lanes;
    s->period_in = power_above(s->cols) << draw(2);
    s->period_out = power_above(s->rows) << draw(2);
    if (s->period_in > positions || s->period_out > positions) return false;
    s->valid_in = draw(3) ? s->period_in + draw(positions - s->period_in + 1) : positions;
    s->valid_need = draw(2) ? s->rows : s->period_out;
    return true;
}

static void make_problem(problem *p) {
    const vl_lintrans_shape *s = &p->s;
    uint32_t positions = lt_positions(s), lanes = s->lanes;
    p->weights = real_vector(s->rows * s->cols, draw(1000));
    p->bias = real_vector(s->rows, draw(1000));
    p->x = malloc(s->slots * sizeof *p->x);
    p->y = malloc(s->slots * sizeof *p->y);
    p->want = calloc(s->period_out * lanes, sizeof *p->want);
    double *features = real_vector(s->period_in * lanes, draw(1000));
    for (uint32_t i = 0; i < s->slots; i++) // features beyond cols are not zero; invalid positions hold garbage
        p->x[i] = i / lanes < s->valid_in ? features[i % (s->period_in * lanes)] : 1e9 * noise_value(i);
    for (uint32_t r = 0; r < s->rows; r++)
        for (uint32_t lane = 0; lane < lanes; lane++) {
            double sum = p->bias[r];
            for (uint32_t c = 0; c < s->cols; c++) sum += p->weights[r * s->cols + c] * features[c * lanes + lane];
            p->want[r * lanes + lane] = sum;
        }
    free(features);
    assert_true(positions * lanes == s->slots);
}

static void free_problem(problem *p) {
    free(p->weights);
    free(p->bias);
    free(p->x);
    free(p->y);
    free(p->want);
}

static void check_plan(problem *p, const vl_lintrans_plan *plan) {
    const vl_lintrans_shape *s = &p->s;
    OK(vl_lintrans_plan_check(plan));
    assert_true(plan->valid_out >= s->valid_need);
    vl_lintrans_clear_apply(plan, p->weights, p->bias, p->x, p->y);
    for (uint32_t i = 0; i < s->slots; i++) {
        if (fabs(p->y[i]) > 1e4) fail_msg("garbage %g at slot %u came through", p->y[i], i);
        if (i / s->lanes >= plan->valid_out) continue;
        double error = fabs(p->y[i] - p->want[i % (s->period_out * s->lanes)]);
        if (error > 1e-9)
            fail_msg("%u x %u, %u slots, %u lanes, periods %u %u, valid %u: split %u %u %u, spacing %u, at %u error %g",
                     s->rows, s->cols, s->slots, s->lanes, s->period_in, s->period_out, s->valid_in, plan->babies,
                     plan->giants, plan->copies, plan->spacing, i, error);
    }
    int32_t k[VL_LINTRANS_MAX_ROTATIONS];
    uint32_t count = vl_lintrans_rotations(plan, k);
    for (uint32_t i = 0; i < count; i++)
        assert_true(k[i] > 0 && k[i] < (int32_t)s->slots && k[i] % (int32_t)s->lanes == 0);
}

// Returns the number of plans that fit.
static uint32_t check_all_plans(problem *p) {
    const vl_lintrans_prices prices = {100, 20 + draw(20), 1 + draw(5), 60};
    uint32_t fits = 0, diagonals = lt_diagonals(&p->s);
    double cheapest = INFINITY;
    for (uint32_t copies = 1; copies <= diagonals; copies *= 2)
        for (uint32_t giants = 1; giants * copies <= diagonals; giants *= 2) {
            vl_lintrans_plan plan;
            velum_status status = vl_lintrans_plan_split(&p->s, diagonals / copies / giants, giants, copies, &plan);
            assert_true(status == VELUM_OK || status == VELUM_E_LIMIT);
            if (status != VELUM_OK) continue;
            fits++;
            check_plan(p, &plan);
            cheapest = fmin(cheapest, vl_lintrans_price(&plan, &prices).seconds);
        }
    for (uint32_t babies = 1; babies <= diagonals; babies++) { // one copy splits anywhere
        vl_lintrans_plan plan;
        if (vl_lintrans_plan_split(&p->s, babies, (diagonals + babies - 1) / babies, 1, &plan) != VELUM_OK) continue;
        if (draw(8) == 0) check_plan(p, &plan);
        cheapest = fmin(cheapest, vl_lintrans_price(&plan, &prices).seconds);
    }
    vl_lintrans_plan best;
    vl_lintrans_cost cost;
    velum_status status = vl_lintrans_plan_best(&p->s, &prices, &best, &cost);
    assert_int_equal(status, fits ? VELUM_OK : VELUM_E_LIMIT);
    if (fits) assert_true(cost.seconds == cheapest);
    return fits;
}

static void random_shapes(void **state) {
    (void)state;
    uint32_t plans = 0;
    for (uint32_t i = 0; i < 1200; i++) {
        problem p;
        if (!draw_shape(&p.s, i % 3 ? 40 : 200)) continue;
        make_problem(&p);
        plans += check_all_plans(&p);
        free_problem(&p);
    }
    assert_true(plans > 2000);
}

// Room for 32 copies: one product and five rotations.
static void small_layer(void **state) {
    (void)state;
    vl_lintrans_shape s = {32, 32, 8192, 1, 8192, 32, 32, 32};
    vl_lintrans_plan plan;
    OK(vl_lintrans_plan_split(&s, 1, 1, 32, &plan));
    vl_lintrans_cost cost = vl_lintrans_price(&plan, &(vl_lintrans_prices){1, 1, 1, 1});
    assert_int_equal(cost.products, 1);
    assert_int_equal(cost.rotations, 5);
    assert_int_equal(cost.hoisted + cost.decompositions + cost.mod_downs, 0);
    assert_int_equal(plan.spacing % 32, 1);
    assert_int_equal(plan.valid_out, plan.spacing);
    // A tall layer takes as many diagonals as it has columns.
    s = (vl_lintrans_shape){512, 13, 8192, 1, 8192, 512, 16, 512};
    OK(vl_lintrans_plan_best(&s, &(vl_lintrans_prices){100, 25, 2, 55}, &plan, &cost));
    assert_int_equal(plan.babies * plan.giants * plan.copies, 16);
}

static void refuses_bad_shapes(void **state) {
    (void)state;
    const vl_lintrans_shape good = {10, 20, 1024, 4, 256, 16, 32, 16};
    OK(vl_lintrans_shape_check(&good));
#define BAD(field, value)                                                                                              \
    do {                                                                                                               \
        vl_lintrans_shape s = good;                                                                                    \
        s.field = (value);                                                                                             \
        assert_int_equal(vl_lintrans_shape_check(&s), VELUM_E_FORMAT);                                                 \
    } while (0)
    BAD(rows, 0);
    BAD(cols, 0);
    BAD(rows, 17);
    BAD(cols, 33);
    BAD(slots, 1000);
    BAD(slots, 0);
    BAD(slots, 1u << 17);
    BAD(lanes, 3);
    BAD(lanes, 0);
    BAD(lanes, 2048);
    BAD(valid_in, 31);
    BAD(valid_in, 257);
    BAD(valid_need, 9);
    BAD(valid_need, 257);
    BAD(period_in, 512);
    BAD(period_out, 24);
    BAD(period_out, 0);
    vl_lintrans_plan plan, t;
    OK(vl_lintrans_plan_split(&good, 4, 2, 2, &plan));
#define BAD_PLAN(field, value)                                                                                         \
    do {                                                                                                               \
        t = plan;                                                                                                      \
        t.field = (value);                                                                                             \
        assert_int_equal(vl_lintrans_plan_check(&t), VELUM_E_FORMAT);                                                  \
    } while (0)
    BAD_PLAN(babies, 0);
    BAD_PLAN(babies, 3);
    BAD_PLAN(babies, 8);
    BAD_PLAN(giants, 0);
    BAD_PLAN(copies, 4);
    BAD_PLAN(folds, 1);
    BAD_PLAN(spacing, plan.spacing + 1);
    BAD_PLAN(valid_out, plan.valid_out + 1);
    BAD_PLAN(shape.valid_in, 32);
    assert_int_equal(vl_lintrans_plan_split(&good, 1, 1, 16, &plan), VELUM_E_LIMIT); // 16 copies do not fit
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(small_layer),
        cmocka_unit_test(refuses_bad_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
