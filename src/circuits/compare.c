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

static bool needs_division(const vl_params *p, uint16_t level, double scale, double bound) {
    return fabs(log2(scale * bound / last_prime(p, level))) > SCALE_TOLERANCE;
}

static void stage_polynomial(const vl_compare *f, uint32_t i, double *c, vl_polynomial *out) {
    bool half = is_half(f) && i + 1 == f->minimax->count;
    vl_minimax_polynomial(f->minimax, i, half ? 0.5 : 1, half ? 0.5 : 0, c, out);
}

// ---- queries ----

vl_compare_cost vl_compare_plan_stages(const vl_params *p, const vl_compare *f, uint32_t first, uint32_t count,
                                       uint16_t level, double scale) {
    vl_compare_cost cost = {.divides = needs_division(p, level, scale, bound_of(f, first))};
    cost.levels = cost.constants = cost.divides;
    for (uint32_t i = first; i < first + count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        vl_poly_cost one = vl_poly_plan(&stage);
        cost.levels += one.levels;
        cost.multiplications += one.multiplications;
        cost.constants += one.constants;
        cost.relinearisations += one.relinearisations;
    }
    return cost;
}

vl_compare_cost vl_compare_plan(const vl_params *p, const vl_compare *f, uint16_t level, double scale) {
    vl_compare_cost cost = vl_compare_plan_stages(p, f, 0, f->minimax->count, level, scale);
    cost.levels += has_product(f);
    cost.multiplications += has_product(f);
    cost.relinearisations += has_product(f);
    return cost;
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

double vl_compare_factor_scale(const vl_params *p, uint16_t level, double a_scale, double out_scale) {
    return out_scale / a_scale * last_prime(p, level);
}

size_t vl_compare_scratch(const vl_params *p, const vl_compare *f, uint16_t level) {
    size_t most = vl_ckks_scratch(p, level);
    for (uint32_t i = 0; i < f->minimax->count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        size_t need = vl_poly_scratch(p, &stage, level);
        if (need > most) most = need;
    }
    return 3 * vl_arena_need(2 * vl_poly_bytes(&p->ring, level, 0)) + most; // the difference, u, the factor
}

// ---- checks ----

static velum_status check_key(const vl_eval_keys *keys, uint16_t level) {
    const vl_switch_key *relin = vl_eval_keys_find(keys, 0);
    VL_FAIL_IF(!relin || relin->nq < level, VELUM_E_MISMATCH, "no relinearisation key for level %u", level);
    return VELUM_OK;
}

static velum_status check(const vl_params *p, const vl_eval_keys *keys, const vl_compare *f, uint32_t first,
                          uint32_t count, bool product, uint16_t level, double scale) {
    static const char *const names[] = {"sign", "step", "abs", "ReLU"};
    VL_FAIL_IF(!(f->bound > 0) || !isfinite(f->bound), VELUM_E_VALUE, "%s on the range of +-%g", names[f->kind],
               f->bound);
    uint32_t levels = vl_compare_plan_stages(p, f, first, count, level, scale).levels + product;
    VL_FAIL_IF(level <= levels, VELUM_E_LIMIT, "stages %u to %u of %s by [%s] need %u levels, the input has %u",
               first + 1, first + count, names[f->kind], f->minimax->name, levels, level - 1u);
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

static velum_status run_stages(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, uint32_t count, double out_scale, vl_ciphertext *d,
                               const vl_ciphertext *a) {
    vl_ciphertext u;
    make_variable(x, p, bound_of(f, first), a, &u);
    for (uint32_t i = first; i < first + count; i++) {
        double c[VL_MINIMAX_MAX_DEGREE + 1];
        vl_polynomial stage;
        stage_polynomial(f, i, c, &stage);
        bool last = i + 1 == first + count;
        double scale =
            last && out_scale > 0 ? out_scale : last_prime(p, (uint16_t)(u.level - vl_poly_plan(&stage).levels));
        VL_TRY(vl_poly_apply(x, p, keys, &stage, scale, d, &u));
        u = *d;
    }
    return VELUM_OK;
}

velum_status vl_compare_stages(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                               uint32_t first, uint32_t count, double out_scale, vl_ciphertext *d,
                               const vl_ciphertext *u) {
    assert(u->degree == 1 && count > 0 && first + count <= f->minimax->count);
    VL_TRY(check(p, keys, f, first, count, false, u->level, u->scale));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, u->level, 1);
    velum_status status = run_stages(x, p, keys, f, first, count, out_scale, &t, u);
    if (status == VELUM_OK) vl_ciphertext_copy(x, p, d, &t);
    vl_arena_release(&x->arena, mark);
    return status;
}

static void multiply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, vl_ciphertext *d, const vl_ciphertext *a,
                     const vl_ciphertext *h, vl_ciphertext *room) {
    vl_ckks_mul(x, p, room, a, h, vl_eval_keys_find(keys, 0));
    vl_ckks_rescale(x, p, room, room);
    vl_ciphertext_copy(x, p, d, room);
}

velum_status vl_compare_product(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, vl_ciphertext *d,
                                const vl_ciphertext *a, const vl_ciphertext *h) {
    uint16_t level = a->level < h->level ? a->level : h->level;
    VL_FAIL_IF(level < 2, VELUM_E_LIMIT, "the product of a comparison needs 1 level, its inputs have 0");
    VL_TRY(check_key(keys, level));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext room = vl_ciphertext_take(p, &x->arena, level, 1);
    multiply(x, p, keys, d, a, h, &room);
    vl_arena_release(&x->arena, mark);
    return VELUM_OK;
}

// *t: room at a's level for what f(a) takes on the way, its result at the end
static velum_status run(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f, double out_scale,
                        vl_ciphertext *t, const vl_ciphertext *a) {
    uint32_t count = f->minimax->count;
    if (!has_product(f)) return run_stages(x, p, keys, f, 0, count, out_scale, t, a);
    uint16_t level = (uint16_t)(a->level - vl_compare_plan_stages(p, f, 0, count, a->level, a->scale).levels);
    VL_TRY(run_stages(x, p, keys, f, 0, count, vl_compare_factor_scale(p, level, a->scale, out_scale), t, a));
    multiply(x, p, keys, t, a, t, t);
    t->scale = out_scale;
    return VELUM_OK;
}

velum_status vl_compare_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                              double out_scale, vl_ciphertext *d, const vl_ciphertext *a) {
    assert(a->degree == 1);
    VL_TRY(check(p, keys, f, 0, f->minimax->count, has_product(f), a->level, a->scale));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext t = vl_ciphertext_take(p, &x->arena, a->level, 1);
    velum_status status = run(x, p, keys, f, out_scale > 0 ? out_scale : a->scale, &t, a);
    if (status == VELUM_OK) vl_ciphertext_copy(x, p, d, &t);
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_compare_max(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_compare *f,
                            vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *b) {
    assert(a->degree == 1 && b->degree == 1);
    vl_compare relu = *f;
    relu.kind = VL_RELU;
    uint16_t level = a->level < b->level ? a->level : b->level;
    VL_FAIL_IF(fabs(a->scale / b->scale - 1) > 0x1p-36, VELUM_E_VALUE, "max of values at scales %g and %g", a->scale,
               b->scale);
    VL_TRY(check(p, keys, &relu, 0, relu.minimax->count, true, level, b->scale));
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext difference = vl_ciphertext_take(p, &x->arena, level, 1),
                  t = vl_ciphertext_take(p, &x->arena, level, 1);
    vl_ckks_sub(x, p, &difference, a, b);
    velum_status status = run(x, p, keys, &relu, b->scale, &t, &difference);
    if (status == VELUM_OK) {
        vl_ckks_add(x, p, &t, &t, b);
        vl_ciphertext_copy(x, p, d, &t);
    }
    vl_arena_release(&x->arena, mark);
    return status;
}
