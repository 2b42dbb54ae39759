// SPDX-License-Identifier: Apache-2.0
// Encrypted evaluation. Notation: `top` the level of the variable, sigma_i the scale of power i, S the scale that a
// node's result must have; its sum has scale S q before the rescale by q.
#include "circuits/poly_tree.h"
#include "rlwe/sum.h"

#include <assert.h>
#include <math.h>

typedef struct run {
    vl_exec *x;
    const vl_params *p;
    const vl_switch_key *relin;
    vl_poly_basis basis;
    vl_poly_tree tree;
    uint16_t top;
    vl_ciphertext *power;   // by degree
    const vl_ciphertext *w; // a factor of the whole, or NULL
} run;

static uint16_t level_of_sum(const run *s, uint32_t budget) { return (uint16_t)(s->top - (budget - 1)); }
static double last_prime(const run *s, uint16_t level) { return (double)s->p->literal.q[level - 1]; }

// ---- powers ----

static void make_power(run *s, uint32_t i) {
    uint32_t a = vl_poly_left_power(i), b = i - a;
    uint16_t level = (uint16_t)(s->top - vl_poly_power_depth(i) + 1);
    s->power[i] = vl_ciphertext_take(s->p, &s->x->arena, level - 1u, 1);
    vl_sum sum = vl_sum_empty(level, s->power[a].scale * s->power[b].scale);
    vl_sum_add_product(&sum, &s->power[a], &s->power[b]);
    if (s->basis == VL_CHEBYSHEV) { // T_i = 2 T_a T_b - T_{a-b}
        sum.times = 2;
        if (a == b)
            vl_sum_add_constant(&sum, -1);
        else
            vl_sum_add_term(&sum, &s->power[a - b], -(int64_t)rint(sum.scale / s->power[a - b].scale));
    }
    vl_rlwe_relinearise_sum(s->x, s->p, s->relin, &sum, true, &s->power[i]);
}

// ---- nodes ----

static velum_status word_of(double v, int64_t *out) {
    v = rint(v);
    VL_FAIL_IF(!(fabs(v) < 0x1p62), VELUM_E_VALUE, "a polynomial's coefficient is beyond 2^62 at its scale");
    *out = (int64_t)v;
    return VELUM_OK;
}

// A node's sum, at a given level and scale; what it refers to stays in the arena until the sum is made.

// += sum of c_i power_i
static velum_status sum_leaf(run *s, const vl_poly_coeffs *f, vl_sum *sum) {
    for (uint32_t i = 1; i <= f->degree; i++) {
        int64_t k;
        if (f->c[i] == 0) continue;
        VL_TRY(word_of(f->c[i] * (sum->scale / s->power[i].scale), &k));
        vl_sum_add_term(sum, &s->power[i], k);
    }
    vl_sum_add_constant(sum, f->c[0]);
    return VELUM_OK;
}

typedef velum_status (*sum_fn)(run *s, const vl_poly_coeffs *f, uint32_t budget, vl_sum *sum);

// += factor t, for a number at the scale that brings t to the sum's
static velum_status sum_multiple(vl_sum *sum, const vl_ciphertext *t, double factor) {
    int64_t k;
    VL_TRY(word_of(factor * (sum->scale / t->scale), &k));
    vl_sum_add_term(sum, t, k);
    return VELUM_OK;
}

// *out = the node's value at `scale`, one level below its sum.
static velum_status make_sum(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, sum_fn fn,
                             vl_ciphertext *out) {
    uint16_t level = level_of_sum(s, budget);
    vl_sum sum = vl_sum_empty(level, scale * last_prime(s, level));
    *out = vl_ciphertext_take(s->p, &s->x->arena, level, 1);
    size_t mark = vl_arena_mark(&s->x->arena);
    VL_TRY(fn(s, f, budget, &sum));
    if (sum.products > 0) {
        vl_rlwe_relinearise_sum(s->x, s->p, s->relin, &sum, true, out);
    } else {
        vl_rlwe_sum_terms(s->x, s->p, &sum, out);
        vl_ckks_rescale(s->x, s->p, out, out);
    }
    out->scale = scale;
    vl_arena_release(&s->x->arena, mark);
    return VELUM_OK;
}

// += q times a factor, q made with one level less.
static velum_status sum_product(run *s, const vl_poly_coeffs *q, uint32_t budget, sum_fn fn,
                                const vl_ciphertext *factor, vl_sum *sum) {
    vl_ciphertext t;
    VL_TRY(make_sum(s, q, budget - 1, sum->scale / factor->scale, fn, &t));
    vl_sum_add_product(sum, factor, &t);
    return VELUM_OK;
}

static velum_status sum_node(run *s, const vl_poly_coeffs *f, uint32_t budget, vl_sum *sum) {
    if (vl_poly_is_leaf(&s->tree, f->degree, budget)) return sum_leaf(s, f, sum);
    vl_poly_coeffs q, r;
    const vl_ciphertext *giant = &s->power[vl_poly_divide(s->basis, f, &q, &r)];
    if (q.degree == 0)
        VL_TRY(sum_multiple(sum, giant, q.c[0]));
    else
        VL_TRY(sum_product(s, &q, budget, sum_node, giant, sum));
    return sum_node(s, &r, budget, sum);
}

// ---- nodes times w ----

// The sum of a node w f: w c, or w times f made with one level less, or (w q) X^m + w r.
static velum_status sum_times(run *s, const vl_poly_coeffs *f, uint32_t budget, vl_sum *sum) {
    if (f->degree == 0) return f->c[0] != 0 ? sum_multiple(sum, s->w, f->c[0]) : VELUM_OK;
    if (vl_poly_is_factor(f->degree, budget)) return sum_product(s, f, budget, sum_node, s->w, sum);
    vl_poly_coeffs q, r;
    const vl_ciphertext *giant = &s->power[vl_poly_divide(s->basis, f, &q, &r)];
    VL_TRY(sum_product(s, &q, budget, sum_times, giant, sum));
    return sum_times(s, &r, budget, sum);
}

// ---- the whole ----

// The variable: a, or mapped to [-1, 1] one level lower, at the scale of the prime that its square is divided by: so
// powers keep their scale.
static void make_variable(run *s, const vl_polynomial *f, bool constant, const vl_ciphertext *a) {
    vl_ciphertext *u = &s->power[1];
    if (constant || !vl_poly_changes_variable(f)) {
        *u = *a;
        u->capacity = a->level;
        return;
    }
    *u = vl_ciphertext_take(s->p, &s->x->arena, a->level, 1);
    double q = last_prime(s, a->level), want = last_prime(s, (uint16_t)(a->level - 1)), width = f->hi - f->lo;
    vl_ckks_mul_const(s->x, s->p, u, a, 2 / width, q * (want / a->scale));
    vl_ckks_rescale(s->x, s->p, u, u);
    u->scale = want;
    vl_ckks_add_const(s->x, s->p, u, u, -(f->hi + f->lo) / width);
}

static velum_status apply(run *s, const vl_polynomial *f, const vl_poly_coeffs *c, double out_scale, vl_ciphertext *d,
                          const vl_ciphertext *a) {
    s->power = vl_arena_take(&s->x->arena, (VL_POLY_MAX_DEGREE + 1) * sizeof *s->power);
    vl_ciphertext value;
    if (s->tree.depth == 0) {
        vl_sum sum = vl_sum_empty(a->level, out_scale);
        value = vl_ciphertext_take(s->p, &s->x->arena, a->level, 1);
        VL_TRY(sum_leaf(s, c, &sum));
        vl_rlwe_sum_terms(s->x, s->p, &sum, &value);
    } else {
        make_variable(s, f, c->degree == 0, a);
        s->top = s->power[1].level;
        for (uint32_t i = 2; i <= c->degree; i++)
            if (s->tree.needed[i]) make_power(s, i);
        VL_TRY(make_sum(s, c, s->tree.depth, out_scale, s->w ? sum_times : sum_node, &value));
    }
    vl_ciphertext_copy(s->x, s->p, d, &value);
    return VELUM_OK;
}

static velum_status check(const vl_polynomial *f, const vl_ciphertext *a, const vl_ciphertext *w) {
    VL_FAIL_IF(f->degree > VL_POLY_MAX_DEGREE, VELUM_E_LIMIT, "a polynomial of degree %u: at most %u", f->degree,
               VL_POLY_MAX_DEGREE);
    for (uint32_t i = 0; i <= f->degree; i++)
        VL_FAIL_IF(!isfinite(f->c[i]), VELUM_E_VALUE, "coefficient %u of a polynomial is not finite", i);
    VL_FAIL_IF(f->basis == VL_CHEBYSHEV && (!(f->lo < f->hi) || !isfinite(f->lo) || !isfinite(f->hi)), VELUM_E_VALUE,
               "a polynomial on the interval [%g, %g]", f->lo, f->hi);
    uint32_t levels = (w ? vl_poly_plan_times(f) : vl_poly_plan(f)).levels;
    VL_FAIL_IF(a->level <= levels, VELUM_E_LIMIT, "a polynomial of degree %u needs %u levels, its input has %u",
               f->degree, levels, a->level - 1u);
    VL_FAIL_IF(w && w->level < a->level, VELUM_E_LIMIT, "a factor with %u levels for a polynomial's variable with %u",
               w->level - 1u, a->level - 1u);
    return VELUM_OK;
}

static velum_status evaluate(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_polynomial *f,
                             double out_scale, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *w) {
    assert(a->degree == 1 && (!w || w->degree == 1));
    VL_TRY(check(f, a, w));
    run s = {.x = x, .p = p, .basis = f->basis, .relin = vl_eval_keys_find(keys, 0), .w = w};
    vl_poly_coeffs c;
    vl_poly_trim(f, &c);
    (w ? vl_poly_tree_best_times : vl_poly_tree_best)(f->basis, &c, &s.tree);
    VL_FAIL_IF(s.tree.cost.multiplications > 0 && (!s.relin || s.relin->nq < a->level), VELUM_E_MISMATCH,
               "no relinearisation key for level %u", a->level);
    size_t mark = vl_arena_mark(&x->arena);
    velum_status status = apply(&s, f, &c, out_scale, d, a);
    vl_arena_release(&x->arena, mark);
    return status;
}

velum_status vl_poly_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_polynomial *f,
                           double out_scale, vl_ciphertext *d, const vl_ciphertext *a) {
    return evaluate(x, p, keys, f, out_scale > 0 ? out_scale : a->scale, d, a, NULL);
}

velum_status vl_poly_apply_times(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_polynomial *f,
                                 double out_scale, vl_ciphertext *d, const vl_ciphertext *a, const vl_ciphertext *w) {
    return evaluate(x, p, keys, f, out_scale > 0 ? out_scale : w->scale, d, a, w);
}

static size_t scratch(const vl_params *p, const vl_polynomial *f, uint16_t level, bool times) {
    vl_poly_coeffs c;
    vl_poly_tree t;
    vl_poly_trim(f, &c);
    (times ? vl_poly_tree_best_times : vl_poly_tree_best)(f->basis, &c, &t);
    size_t limb = vl_poly_bytes(&p->ring, 1, 0), limbs = 2 * (size_t)level; // the variable
    uint32_t top = level - (vl_poly_changes_variable(f) && t.depth > 0 ? 1u : 0u);
    for (uint32_t i = 2; i <= c.degree; i++)
        if (t.needed[i]) limbs += 2 * (top - vl_poly_power_depth(i));
    // The value, and the quotients at hand: the k-th of a sum has a depth at least k less than the sum's, so there are
    // no more than the depth; nodes times w come before those without.
    limbs += 2 * (size_t)level * (t.depth + 1) * (times ? 2 : 1);
    return limbs * limb + vl_arena_need((VL_POLY_MAX_DEGREE + 1) * sizeof(vl_ciphertext)) + vl_ckks_scratch(p, level);
}

size_t vl_poly_scratch(const vl_params *p, const vl_polynomial *f, uint16_t level) {
    return scratch(p, f, level, false);
}

size_t vl_poly_scratch_times(const vl_params *p, const vl_polynomial *f, uint16_t level) {
    return scratch(p, f, level, true);
}
