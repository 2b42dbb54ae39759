// SPDX-License-Identifier: Apache-2.0
#include "circuits/compare.h"

#include <assert.h>
#include <math.h>

// A variable at scale r times the prime has its power i at scale r^i: r^16 loses at most 2 bits at this bound.
#define SCALE_TOLERANCE 0.125 // of log2 r

static bool has_product(const vl_compare *f) { return f->kind == VL_ABS || f->kind == VL_RELU; }
static bool is_half(const vl_compare *f) { return f->kind == VL_STEP || f->kind == VL_RELU; }
static double last_prime(const vl_params *p, uint16_t level) { return (double)p->literal.q[level - 1]; }
static double bound_of(const vl_compare *f, uint32_t first) { return first == 0 ? f->bound : 1; }

// Whether the last stage, its variable at this level, can have the product multiplied in.
static bool is_fused(int level, uint16_t a_level) { return a_level >= level; }

static bool needs_division(const vl_params *p, uint16_t level, double scale, double bound) {
    return fabs(log2(scale * bound / last_prime(p, level))) > SCALE_TOLERANCE;
}

static void stage_polynomial(const vl_compare *f, uint32_t i, double *c, vl_polynomial *out) {
    bool half = is_half(f) && i + 1 == f->minimax->count;
    vl_minimax_polynomial(f->minimax, i, half ? 0.5 : 1, half ? 0.5 : 0, c, out);
}

// ---- queries ----

static void add_cost(vl_compare_cost *sum, vl_poly_cost one) {
    sum->levels += one.levels;
    sum->multiplications += one.multiplications;
    sum->constants += one.constants;
    sum->relinearisations += one.relinearisations;
}

vl_compare_cost vl_compare_plan_stages(const vl_params *p, const vl_compare *f, uint32_t first, uint32_t count,
                                       uint16_t level, double scale) {
    vl_compare_cost cost = {.divides = needs_division(p, level, scale, bound_of(f, first))};
    cost.levels = cost.constants = cost.divides;
    for (uint32_t i = first; i < first + count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        add_cost(&cost, vl_poly_plan(&stage));
    }
    return cost;
}

vl_compare_cost vl_compare_plan_finish(const vl_params *p, const vl_compare *f, uint32_t first, uint16_t level,
                                       double scale, uint16_t a_level) {
    uint32_t last = f->minimax->count - 1;
    vl_compare_cost before = vl_compare_plan_stages(p, f, first, last - first, level, scale), cost = before;
    double c[VL_MINIMAX_MAX_DEGREE + 1];
    vl_polynomial stage;
    stage_polynomial(f, last, c, &stage);
    if (is_fused(level - (int)before.levels, a_level)) {
        add_cost(&cost, vl_poly_plan_times(&stage));
        return cost;
    }
    add_cost(&cost, vl_poly_plan(&stage));
    add_cost(&cost, (vl_poly_cost){.levels = 1, .multiplications = 1, .relinearisations = 1});
    if (level - (int)cost.levels > a_level - 1) cost.levels = (uint32_t)(level - a_level + 1);
    return cost;
}

vl_compare_cost vl_compare_plan(const vl_params *p, const vl_compare *f, uint16_t level, double scale) {
    return has_product(f) ? vl_compare_plan_finish(p, f, 0, level, scale, level)
                          : vl_compare_plan_stages(p, f, 0, f->minimax->count, level, scale);
}

double vl_compare_input_scale(const vl_params *p, const vl_compare *f, uint16_t level) {
    return last_prime(p, level) / f->bound;
}

double vl_compare_error(const vl_compare *f) {
    switch (f->kind) {
    case VL_SIGN: return f->minimax->error;
    case VL_STEP: return f->minimax->error / 2;
    case VL_ABS: return 2 * f->minimax->relu_error * f->bound;
    case VL_RELU: break;
    }
    return f->minimax->relu_error * f->bound;
}

double vl_compare_separation(const vl_compare *f) { return f->minimax->separation * f->bound; }

double vl_compare_eval(const vl_compare *f, double x) {
    double s = vl_minimax_eval(f->minimax, x / f->bound), h = is_half(f) ? (1 + s) / 2 : s;
    return has_product(f) ? x * h : h;
}

double vl_compare_eval_stages(const vl_compare *f, uint32_t first, uint32_t count, double u) {
    u /= bound_of(f, first);
    for (uint32_t i = first; i < first + count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        u = vl_polynomial_eval(&stage, u);
    }
    return u;
}

size_t vl_compare_scratch(const vl_params *p, const vl_compare *f, uint16_t level) {
    size_t most = vl_ckks_scratch(p, level);
    for (uint32_t i = 0; i < f->minimax->count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        size_t need = vl_poly_scratch_times(p, &stage, level); // more than without a product
        if (need > most) most = need;
    }
    return 3 * vl_arena_need(2 * vl_poly_bytes(&p->ring, level, 0)) + most; // the difference, u, the factor
}

// ---- checks ----

static const char *name_of(const vl_compare *f) {
    static const char *const names[] = {"sign", "step", "abs", "ReLU"};
    return names[f->kind];
}

// Before any plan
static velum_status check_bound(const vl_compare *f) {
    VL_FAIL_IF(!(f->bound > 0) || !isfinite(f->bound), VELUM_E_VALUE, "%s on the range of +-%g", name_of(f), f->bound);
    return VELUM_OK;
}

static velum_status check_key(const vl_eval_keys *keys, uint16_t level) {
    const vl_switch_key *relin = vl_eval_keys_find(keys, 0);
    VL_FAIL_IF(!relin || relin->nq < level, VELUM_E_MISMATCH, "no relinearisation key for level %u", level);
    return VELUM_OK;
}

// `cost`: of stages `first` to `last`, counted from 0
static velum_status check(const vl_eval_keys *keys, const vl_compare *f, uint32_t first, uint32_t last,
                          const vl_compare_cost *cost, uint16_t level) {
    VL_FAIL_IF(level <= cost->levels, VELUM_E_LIMIT, "stages %u to %u of %s by [%s] need %u levels, the input has %u",
               first + 1, last + 1, name_of(f), f->minimax->name, cost->levels, level - 1u);
    return check_key(keys, level);
}

// ---- execution ----

// *u = a / bound, at a scale near the prime that its square is divided by
static void make_variable(vl_exec *x, const vl_params *p, double bound, const vl_ciphertext *a, vl_ciphertext *u) {
    if (!needs_division(p, a->level, a->scale, bound)) {
        *u = *a;
        u->scale = a->scale * bound;
        return;
    }
    *u = vl_ciphertext_take(p, &x->arena, a->level, 1);
    double want = last_prime(p, (uint16_t)(a->level - 1));
    vl_ckks_mul_const(x, p, u, a, 1 / bound, last_prime(p, a->level) * (want / a->scale));
    vl_ckks_rescale(x, p, u, u);
    u->scale = want;
}

// *u, a ciphertext whose storage is not to be written, through the stages; then the storage is t's if there were any.
static velum_status run_stages(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, uint32_t count, double out_scale, vl_ciphertext *t, vl_ciphertext *u) {
    for (uint32_t i = first; i < first + count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        uint16_t level = (uint16_t)(u->level - vl_poly_plan(&stage).levels);
        double scale = i + 1 == first + count && out_scale > 0 ? out_scale : last_prime(p, level);
        VL_TRY(vl_poly_apply(x, p, keys, &stage, scale, t, u));
        *u = *t;
    }
    return VELUM_OK;
}

static velum_status run_finish(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, double out_scale, vl_ciphertext *t, const vl_ciphertext *a,
                               vl_ciphertext *u) {
    uint32_t last = f->minimax->count - 1;
    VL_TRY(run_stages(x, p, keys, f, first, last - first, 0, t, u));
    double c[VL_MINIMAX_MAX_DEGREE + 1];
    vl_polynomial stage;
    stage_polynomial(f, last, c, &stage);
    if (is_fused(u->level, a->level)) return vl_poly_apply_times(x, p, keys, &stage, out_scale, t, u, a);
    uint16_t level = (uint16_t)(u->level - vl_poly_plan(&stage).levels);
    if (level > a->level) level = a->level;
    VL_TRY(run_stages(x, p, keys, f, last, 1, out_scale / a->scale * last_prime(p, level), t, u));
    vl_ckks_mul_rescale(x, p, t, a, t, vl_eval_keys_find(keys, 0));
    t->scale = out_scale;
    return VELUM_OK;
}

velum_status vl_compare_stages(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, uint32_t count, double out_scale, vl_ciphertext *d,
                               const vl_ciphertext *u) {
    assert(u->degree == 1 && count > 0 && first + count <= f->minimax->count);
    VL_TRY(check_bound(f));
    vl_compare_cost cost = vl_compare_plan_stages(p, f, first, count, u->level, u->scale);
    VL_TRY(check(keys, f, first, first + count - 1, &cost, u->level));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, u->level, 1), v;
    make_variable(x, p, bound_of(f, first), u, &v);
    velum_status status = run_stages(x, p, keys, f, first, count, out_scale, &t, &v);
    if (status == VELUM_OK) vl_ciphertext_copy(x, p, d, &t);
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_compare_finish(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, double out_scale, vl_ciphertext *d, const vl_ciphertext *a,
                               const vl_ciphertext *u) {
    assert(has_product(f) && a->degree == 1 && u->degree == 1 && first < f->minimax->count);
    VL_TRY(check_bound(f));
    vl_compare_cost cost = vl_compare_plan_finish(p, f, first, u->level, u->scale, a->level);
    VL_TRY(check(keys, f, first, f->minimax->count - 1, &cost, u->level));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, u->level, 1), v;
    make_variable(x, p, bound_of(f, first), u, &v);
    velum_status status = run_finish(x, p, keys, f, first, out_scale > 0 ? out_scale : a->scale, &t, a, &v);
    if (status == VELUM_OK) vl_ciphertext_copy(x, p, d, &t);
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_compare_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                              double out_scale, vl_ciphertext *d, const vl_ciphertext *a) {
    if (has_product(f)) return vl_compare_finish(x, p, keys, f, 0, out_scale, d, a, a);
    return vl_compare_stages(x, p, keys, f, 0, f->minimax->count, out_scale > 0 ? out_scale : a->scale, d, a);
}

velum_status vl_compare_max(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                            vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b) {
    assert(a->degree == 1 && b->degree == 1);
    vl_compare relu = {f->minimax, VL_RELU, f->bound};
    uint16_t level = a->level < b->level ? a->level : b->level;
    VL_TRY(check_bound(&relu));
    VL_FAIL_IF(!(fabs(a->scale / b->scale - 1) <= 0x1p-36), VELUM_E_VALUE, "max of values at scales %g and %g",
               a->scale, b->scale);
    vl_compare_cost cost = vl_compare_plan(p, &relu, level, a->scale);
    VL_TRY(check(keys, &relu, 0, relu.minimax->count - 1, &cost, level));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, level, 1);
    vl_ckks_sub(x, p, &t, a, b);
    velum_status status = vl_compare_finish(x, p, keys, &relu, 0, b->scale, &t, &t, &t);
    if (status == VELUM_OK) {
        vl_ckks_add(x, p, &t, &t, b);
        vl_ciphertext_copy(x, p, d, &t);
    }
    vl_arena_release(&x->arena, mark);
    return status;
}
