// SPDX-License-Identifier: Apache-2.0
// Encrypted evaluation. Notation: `top` the level of the variable, sigma_i the scale of power i, S the scale that a
// node's result must have; its sum has scale S q before the rescale by q.
#include "circuits/poly_tree.h"

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
static vl_ciphertext at_level(vl_ciphertext a, uint16_t level) {
    vl_ciphertext_drop(&a, level);
    return a;
}

// ---- powers ----

static void make_power(run *s, uint32_t i) {
    uint32_t a = vl_poly_left_power(i), b = i - a;
    uint16_t level = (uint16_t)(s->top - vl_poly_power_depth(i) + 1);
    s->power[i] = vl_ciphertext_take(s->p, &s->x->arena, level - 1u, 1);
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_ciphertext d = vl_ciphertext_take(s->p, &s->x->arena, level, 2);
    vl_ckks_mul(s->x, s->p, &d, &s->power[a], &s->power[b], NULL);
    if (s->basis == VL_CHEBYSHEV) { // T_i = 2 T_a T_b - T_{a-b}
        vl_ckks_add(s->x, s->p, &d, &d, &d);
        if (a == b) {
            vl_ckks_add_const(s->x, s->p, &d, &d, -1);
        } else {
            const vl_ciphertext *t = &s->power[a - b];
            int64_t k = (int64_t)rint(d.scale / t->scale);
            for (int c = 0; c < 2; c++) vl_ring_mul_i64_add(s->x, &s->p->ring, d.c[c], t->c[c], -k);
        }
    }
    vl_rlwe_relinearise_rescale(s->x, s->p, s->relin, &s->power[i], &d);
    vl_arena_release(&s->x->arena, mark);
}

// ---- nodes ----

static velum_status word_of(double v, int64_t *out) {
    v = rint(v);
    VL_FAIL_IF(!(fabs(v) < 0x1p62), VELUM_E_VALUE, "a polynomial's coefficient is beyond 2^62 at its scale");
    *out = (int64_t)v;
    return VELUM_OK;
}

static void clear_sum(const run *s, vl_ciphertext *out) {
    for (int c = 0; c < 2; c++) vl_ring_zero(&s->p->ring, out->c[c]);
}

// out = sum of c_i power_i, at out's level and scale
static velum_status sum_leaf(run *s, const vl_poly_coeffs *f, vl_ciphertext *out) {
    vl_poly from[2][VL_POLY_MAX_DEGREE];
    int64_t k[VL_POLY_MAX_DEGREE];
    uint32_t count = 0;
    for (uint32_t i = 1; i <= f->degree; i++) {
        if (f->c[i] == 0) continue;
        VL_TRY(word_of(f->c[i] * (out->scale / s->power[i].scale), &k[count]));
        for (int c = 0; c < 2; c++) from[c][count] = s->power[i].c[c];
        count++;
    }
    if (count == 0) clear_sum(s, out);
    for (int c = 0; c < 2 && count > 0; c++) vl_ring_dot_i64(s->x, &s->p->ring, out->c[c], from[c], k, count);
    if (f->c[0] != 0) vl_ckks_add_const(s->x, s->p, out, out, f->c[0]);
    return VELUM_OK;
}

// The node's sum, not relinearised, not rescaled, at the given scale. *out: taken for degree 2 at the sum's level.
static velum_status sum_node(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out);

static void start_sum(const run *s, uint32_t budget, double scale, vl_ciphertext *out) {
    *out = vl_ciphertext_take(s->p, &s->x->arena, level_of_sum(s, budget), 2);
    out->degree = 1;
    out->scale = scale;
}

typedef velum_status (*sum_fn)(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out);

// *out = the node's value at `scale`, one level below its sum.
static velum_status make_sum(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, sum_fn sum,
                             vl_ciphertext *out) {
    double sum_scale = scale * last_prime(s, level_of_sum(s, budget));
    start_sum(s, budget, sum_scale, out);
    VL_TRY(sum(s, f, budget, sum_scale, out));
    if (out->degree == 2)
        vl_rlwe_relinearise_rescale(s->x, s->p, s->relin, out, out);
    else
        vl_ckks_rescale(s->x, s->p, out, out);
    out->scale = scale;
    return VELUM_OK;
}

static velum_status make_node(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out) {
    return make_sum(s, f, budget, scale, sum_node, out);
}

static velum_status sum_split(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out) {
    vl_poly_coeffs q, r;
    const vl_ciphertext *giant = &s->power[vl_poly_divide(s->basis, f, &q, &r)];
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_ciphertext t, lowered = at_level(*giant, out->level);
    if (q.degree == 0) {
        int64_t k;
        VL_TRY(word_of(q.c[0] * (scale / giant->scale), &k));
        vl_ckks_mul_const(s->x, s->p, out, &lowered, (double)k, 1);
    } else {
        VL_TRY(make_node(s, &q, budget - 1, scale / giant->scale, &t));
        vl_ckks_mul(s->x, s->p, out, &lowered, &t, NULL);
    }
    out->scale = scale;
    vl_arena_release(&s->x->arena, mark);
    if (r.degree > 0) {
        start_sum(s, budget, scale, &t);
        VL_TRY(sum_node(s, &r, budget, scale, &t));
        vl_ckks_add(s->x, s->p, out, out, &t);
    } else if (r.c[0] != 0) {
        vl_ckks_add_const(s->x, s->p, out, out, r.c[0]);
    }
    vl_arena_release(&s->x->arena, mark);
    return VELUM_OK;
}

static velum_status sum_node(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out) {
    return vl_poly_is_leaf(&s->tree, f->degree, budget) ? sum_leaf(s, f, out) : sum_split(s, f, budget, scale, out);
}

// ---- nodes times w ----

// The sum of a node w f: w c, or w times f made with one level less, or (w q) X^m + w r.
static velum_status sum_times(run *s, const vl_poly_coeffs *f, uint32_t budget, double scale, vl_ciphertext *out) {
    vl_ciphertext w = at_level(*s->w, out->level), t;
    size_t mark = vl_arena_mark(&s->x->arena);
    out->scale = scale;
    if (f->degree == 0) {
        int64_t k;
        VL_TRY(word_of(f->c[0] * (scale / w.scale), &k));
        vl_ckks_mul_const(s->x, s->p, out, &w, (double)k, 1);
    } else if (vl_poly_is_factor(f->degree, budget)) {
        VL_TRY(make_node(s, f, budget - 1, scale / w.scale, &t));
        vl_ckks_mul(s->x, s->p, out, &w, &t, NULL);
    } else {
        vl_poly_coeffs q, r;
        vl_ciphertext giant = at_level(s->power[vl_poly_divide(s->basis, f, &q, &r)], out->level);
        VL_TRY(make_sum(s, &q, budget - 1, scale / giant.scale, sum_times, &t));
        vl_ckks_mul(s->x, s->p, out, &giant, &t, NULL);
        out->scale = scale;
        vl_arena_release(&s->x->arena, mark);
        if (r.degree > 0 || r.c[0] != 0) {
            start_sum(s, budget, scale, &t);
            VL_TRY(sum_times(s, &r, budget, scale, &t));
            vl_ckks_add(s->x, s->p, out, out, &t);
        }
    }
    out->scale = scale;
    vl_arena_release(&s->x->arena, mark);
    return VELUM_OK;
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
        s->top = a->level;
        start_sum(s, 1, out_scale, &value);
        VL_TRY(sum_leaf(s, c, &value));
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
    limbs += 3 * (size_t)level; // a power that is being made
    // A node's sum, and below it either its quotient or its remainder; nodes times w come before those without.
    limbs += 3 * (size_t)level * (2 * t.depth + 1) * (times ? 2 : 1);
    return limbs * limb + vl_arena_need((VL_POLY_MAX_DEGREE + 1) * sizeof(vl_ciphertext)) + vl_ckks_scratch(p, level);
}

size_t vl_poly_scratch(const vl_params *p, const vl_polynomial *f, uint16_t level) {
    return scratch(p, f, level, false);
}

size_t vl_poly_scratch_times(const vl_params *p, const vl_polynomial *f, uint16_t level) {
    return scratch(p, f, level, true);
}
