// SPDX-License-Identifier: Apache-2.0
#include "circuits/bootstrap.h"

#include "circuits/bootstrap_keys.h"
#include "rlwe/ringswitch.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

struct vl_bootstrap {
    const vl_params *p;
    vl_params *low, *entry; // of SlotsToCoeffs, where it comes first, and of the key to its ring, where that is smaller
    vl_bootstrap_plan plan;
    vl_diagonal_map cts[VL_DFT_MAX_FACTORS], stc[VL_DFT_MAX_FACTORS];
    vl_poly i_unit; // i in every slot: X^(N/2), over the limbs of EvalMod's input and one more
    vl_poly mask;   // 1 in the first half of the slots' period, i in the second; sparse slots
    double x_scale; // of EvalMod's input
};

static bool is_sparse(const vl_bootstrap *b) { return b->plan.params.log_slots + 1 < b->plan.params.log_n; }
// Is the ring of SlotsToCoeffs smaller?
static bool is_smaller(const vl_bootstrap *b) {
    vl_lowest want = vl_bootstrap_lowest(&b->plan);
    return vl_lowest_is_smaller(&want, b->p);
}
static bool slots_first(const vl_bootstrap *b) { return b->plan.params.order == VL_SLOTS_FIRST; }
static double prime_at(const vl_params *p, uint32_t level) { return (double)p->literal.q[level - 1]; }

// What the projection's sums make of q_0 times the reach: a raised message of that size is 1.
static double raised_scale(const vl_bootstrap *b) {
    const vl_bootstrap_params *lit = &b->plan.params;
    double sums = ldexp(1, lit->log_n - 1 - lit->log_slots) / b->plan.raise.subring;
    return vl_mod1_reach(&b->plan.mod1.literal) * prime_at(b->p, 1) * sums;
}

// ---- set-up ----

static velum_status make_map(vl_exec *x, const vl_encoder *e, const vl_dft_plan *t, uint32_t f,
                             const double complex *pre, const double complex *post, uint32_t level, double scale,
                             vl_diagonal_map *out) {
    vl_diagonals d;
    VL_TRY(vl_diagonals_factor(t, f, 1, &d));
    velum_status status = vl_diagonal_map_new(x, e, &d, t->log_babies[f], pre, post, (uint16_t)level, scale, out);
    vl_diagonals_free(&d);
    return status;
}

// The factors change the scale by `change` in all, each by the same.
static velum_status make_transform(vl_exec *x, const vl_encoder *e, const vl_dft_plan *t, uint32_t level, double change,
                                   const double complex *pre, const double complex *post, vl_diagonal_map *out) {
    const vl_params *p = vl_encoder_params(e);
    for (uint32_t f = 0; f < t->factors; f++) {
        bool last = f + 1 == t->factors;
        double scale = prime_at(p, level - f) * pow(change, 1.0 / t->factors);
        VL_TRY(make_map(x, e, t, f, f == 0 ? pre : NULL, last ? post : NULL, level - f, scale, &out[f]));
    }
    return VELUM_OK;
}

static velum_status make_stc(vl_exec *x, const vl_encoder *e, vl_bootstrap *b, double change,
                             const double complex *pre) {
    const vl_bootstrap_plan *plan = &b->plan;
    if (!slots_first(b)) return make_transform(x, e, &plan->stc, plan->stc_level, change, pre, NULL, b->stc);
    vl_encoder *low;
    VL_TRY(vl_params_new(&plan->low, b->p->ring.kernels, &b->low));
    if (is_smaller(b)) {
        vl_params_literal entry = vl_ringswitch_entry(&plan->low, b->p->literal.log_n);
        VL_TRY(vl_params_new(&entry, b->p->ring.kernels, &b->entry));
    }
    VL_TRY(vl_encoder_new(b->low, &low));
    velum_status status = make_transform(x, low, &plan->stc, plan->stc_level, change, pre, NULL, b->stc);
    vl_encoder_free(low);
    return status;
}

static velum_status set_up(vl_exec *x, const vl_encoder *e, vl_bootstrap *b) {
    const vl_bootstrap_plan *plan = &b->plan;
    uint32_t n = UINT32_C(1) << plan->params.log_slots;
    double raised = raised_scale(b);
    double q0 = prime_at(b->p, 1);
    bool sparse = is_sparse(b);
    double complex i_value = I, *half = vl_alloc_array(4 * (size_t)n, sizeof *half), *turned = half + 2 * (size_t)n;
    VL_FAIL_IF(!half, VELUM_E_NOMEM, "no memory for a bootstrap");
    for (uint32_t k = 0; k < n; k++) {
        half[k] = turned[k] = 1;
        half[n + k] = I;
        turned[n + k] = -I;
    }
    // The sum with the conjugate doubles the real part: half of the scale is left to it.
    b->x_scale = vl_mod1_in_scale(b->p, plan->mod_level);
    velum_status status =
        make_transform(x, e, &plan->cts, plan->top, b->x_scale / 2 / raised, NULL, sparse ? turned : NULL, b->cts);
    double change = slots_first(b) ? q0 / plan->mod1.literal.ratio / plan->scale : 1;
    if (status == VELUM_OK) status = make_stc(x, e, b, change, sparse && !slots_first(b) ? half : NULL);
    if (status == VELUM_OK) status = vl_poly_new(&b->p->ring, plan->mod_level + 1u, 0, &b->i_unit);
    if (status == VELUM_OK) status = vl_encode_complex(x, e, &i_value, 1, 1, b->i_unit);
    if (status == VELUM_OK && sparse && slots_first(b)) {
        uint32_t level = plan->out_level + 1u;
        status = vl_poly_new(&b->p->ring, level, 0, &b->mask);
        if (status == VELUM_OK) status = vl_encode_complex(x, e, half, 2 * n, prime_at(b->p, level), b->mask);
    }
    vl_free(half);
    return status;
}

velum_status vl_bootstrap_new(vl_exec *x, const vl_bootstrap_plan *plan, const vl_encoder *e, vl_bootstrap **out) {
    vl_bootstrap *b = vl_alloc(sizeof *b);
    VL_FAIL_IF(!b, VELUM_E_NOMEM, "no memory for a bootstrap");
    b->p = vl_encoder_params(e);
    b->plan = *plan;
    velum_status status = b->p->ring.q_count == plan->top
                              ? set_up(x, e, b)
                              : VL_FAIL(VELUM_E_MISMATCH, "bootstrap: the encoder has other parameters than the plan");
    if (status != VELUM_OK) {
        vl_bootstrap_free(b);
        return status;
    }
    *out = b;
    return VELUM_OK;
}

void vl_bootstrap_free(vl_bootstrap *b) {
    if (!b) return;
    for (uint32_t f = 0; f < VL_DFT_MAX_FACTORS; f++) {
        vl_diagonal_map_free(&b->cts[f]);
        vl_diagonal_map_free(&b->stc[f]);
    }
    vl_poly_free(&b->i_unit);
    vl_poly_free(&b->mask);
    vl_params_free(b->low);
    vl_params_free(b->entry);
    vl_free(b);
}

const vl_bootstrap_plan *vl_bootstrap_plan_of(const vl_bootstrap *b) { return &b->plan; }

uint64_t vl_bootstrap_bytes(const vl_bootstrap *b) {
    uint64_t bytes = vl_poly_bytes(&b->p->ring, b->i_unit.nq, 0) + vl_poly_bytes(&b->p->ring, b->mask.nq, 0);
    for (uint32_t f = 0; f < VL_DFT_MAX_FACTORS; f++) bytes += b->cts[f].bytes + b->stc[f].bytes;
    return bytes;
}

size_t vl_bootstrap_setup_scratch(const vl_params *p) {
    return vl_diagonal_map_encode_scratch(p, (uint16_t)p->ring.q_count);
}

// ---- checks ----

static velum_status check_input(const vl_bootstrap *b, const vl_ciphertext *ct) {
    const vl_bootstrap_plan *plan = &b->plan;
    VL_FAIL_IF(ct->degree != 1, VELUM_E_USAGE, "bootstrap: a ciphertext of degree %u", ct->degree);
    VL_FAIL_IF(ct->level < plan->in_level, VELUM_E_LIMIT, "bootstrap: the input has %u limbs, %u are needed", ct->level,
               plan->in_level);
    VL_FAIL_IF(!(fabs(ct->scale - plan->scale) <= 0x1p-20 * plan->scale), VELUM_E_VALUE,
               "bootstrap: the input's scale is 2^%.6f, must be 2^%.6f", log2(ct->scale), log2(plan->scale));
    return VELUM_OK;
}

// The rotation that a Galois element is, for messages.
static int32_t rotation_of(const vl_params *p, uint64_t galois) {
    for (uint32_t k = 0; k < p->ring.n / 2; k++)
        if (vl_params_galois(p, (int32_t)k) == galois) return (int32_t)k;
    return -1;
}

static velum_status check_key_set(const vl_params *p, const vl_eval_keys *keys, const vl_key_request *want,
                                  uint32_t count) {
    VL_FAIL_IF(!keys->params || memcmp(keys->params->digest, p->digest, VL_DIGEST_BYTES) != 0, VELUM_E_MISMATCH,
               "bootstrap: keys made for other parameters");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t g = want[i].galois;
        const vl_switch_key *key = vl_eval_keys_find(keys, g);
        if (key && key->nq >= want[i].level) continue;
        if (g == 0) return VL_FAIL(VELUM_E_MISMATCH, "bootstrap: no relinearisation key for level %u", want[i].level);
        if (g == vl_params_galois_conj(p))
            return VL_FAIL(VELUM_E_MISMATCH, "bootstrap: no conjugation key for level %u", want[i].level);
        return VL_FAIL(VELUM_E_MISMATCH, "bootstrap: no key for rotation by %d at level %u", rotation_of(p, g),
                       want[i].level);
    }
    return VELUM_OK;
}

static velum_status check_keys(const vl_bootstrap *b, const vl_eval_keys *keys, const vl_bootstrap_keys *own) {
    const vl_bootstrap_plan *plan = &b->plan;
    const vl_encapsulation *raise = &own->raise;
    VL_TRY(check_key_set(b->p, keys, plan->keys, plan->key_count));
    VL_FAIL_IF(!raise->params || memcmp(raise->params->digest, b->p->digest, VL_DIGEST_BYTES) != 0, VELUM_E_MISMATCH,
               "bootstrap: no encapsulation key for these parameters");
    VL_FAIL_IF(raise->shape.level != plan->top || raise->shape.weight != plan->params.weight, VELUM_E_MISMATCH,
               "bootstrap: an encapsulation key of weight %u for level %u, weight %u and level %u are needed",
               raise->shape.weight, raise->shape.level, plan->params.weight, plan->top);
    VL_FAIL_IF(!vl_encapsulation_same_shape(&raise->shape, &plan->raise), VELUM_E_MISMATCH,
               "bootstrap: an encapsulation key with %u rotations by %d, %u by %d are needed", raise->shape.sums,
               raise->shape.step, plan->raise.sums, plan->raise.step);
    if (!slots_first(b)) return VELUM_OK;
    if (b->entry) {
        vl_key_request one = vl_ringswitch_request(&plan->low);
        VL_TRY(check_key_set(b->entry, &own->entry, &one, 1));
    }
    return check_key_set(b->low, &own->low, plan->keys + plan->key_count, plan->low_count);
}

// ---- the stages ----
typedef struct run {
    vl_exec *x;
    const vl_bootstrap *b;
    const vl_params *p;
    const vl_eval_keys *keys;
    const vl_bootstrap_keys *own;
    vl_bootstrap_report *report;
    double last, last_cpu;
} run;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void mark_stage(run *s, uint32_t stage, const char *name, const vl_ciphertext *ct) {
    if (!s->report) return;
    double t = now(CLOCK_MONOTONIC) - s->last, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - s->last_cpu;
    s->report->seconds[stage] += t;
    s->report->seconds[5] += t;
    s->report->cpu[stage] += cpu;
    s->report->cpu[5] += cpu;
    if (s->report->probe) s->report->probe(s->report->arg, name, ct);
    s->last = now(CLOCK_MONOTONIC);
    s->last_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
}

// ct += its rotation by k slots
static void fold(run *s, vl_ciphertext *ct, int32_t k, bool rescale) {
    uint64_t galois = vl_params_galois(s->p, k);
    vl_automorphisms_add(s->x, s->keys, &galois, 1, rescale, ct);
}

// In the smaller ring.
static void slots_to_coeffs_below(run *s, vl_ciphertext *ct) {
    const vl_bootstrap *b = s->b;
    size_t mark = vl_arena_mark(&s->x->arena);
    vl_ciphertext t = vl_ciphertext_take(b->low, &s->x->arena, ct->level, 1);
    vl_ringswitch_enter(s->x, &s->own->entry, b->low, &t, ct);
    for (uint32_t f = 0; f < b->plan.stc.factors; f++)
        vl_diagonal_map_apply(s->x, &s->own->low, &b->stc[f], true, NULL, 0, &t, &t);
    vl_ringswitch_leave(s->x, s->p, b->low, ct, &t);
    vl_arena_release(&s->x->arena, mark);
}

static void slots_to_coeffs(run *s, vl_ciphertext *ct) {
    const vl_bootstrap *b = s->b;
    if (b->entry) {
        slots_to_coeffs_below(s, ct);
        return;
    }
    const vl_eval_keys *keys = slots_first(b) ? &s->own->low : s->keys;
    for (uint32_t f = 0; f < b->plan.stc.factors; f++) {
        vl_diagonal_map_apply(s->x, keys, &b->stc[f], true, NULL, 0, ct, ct);
        if (f == 0 && is_sparse(b) && !slots_first(b)) fold(s, ct, INT32_C(1) << b->plan.params.log_slots, false);
    }
}

// ct: raised, or after the first factor. All factors that are left; sparse slots: the last one takes the sum with the
// conjugate and the rest of the projection along. Full slots: the last one is not rescaled, (c_0, c_1) over mod_level +
// 1 limbs.
static void coeffs_to_slots(run *s, vl_ciphertext *ct) {
    const vl_bootstrap *b = s->b;
    uint64_t galois[VL_BOOTSTRAP_SUMS - 1];
    for (uint32_t pass = 0, count; (count = vl_bootstrap_projection(&b->plan, s->p, pass, galois)) > 0; pass++)
        vl_automorphisms_add(s->x, s->keys, galois, count, false, ct);
    for (uint32_t f = b->plan.raise_babies > 0; f < b->plan.cts.factors; f++) {
        bool last = f + 1 == b->plan.cts.factors;
        uint32_t images = last && is_sparse(b) ? vl_bootstrap_split(&b->plan, s->p, galois) : 0;
        vl_diagonal_map_apply(s->x, s->keys, &b->cts[f], !last || is_sparse(b), galois, images, ct, ct);
    }
}

// w = low raised, the message's scale kept for whoever looks; with the first factor, where that is done along the way.
static void raise_modulus(run *s, vl_ciphertext *w, vl_ciphertext *low) {
    const vl_bootstrap *b = s->b;
    if (b->plan.raise_babies) {
        low->scale = raised_scale(b);
        vl_diagonal_map_raise(s->x, &s->own->raise, &b->cts[0], w, low);
        return;
    }
    vl_encapsulation_raise(s->x, &s->own->raise, b->plan.top, w, low);
    mark_stage(s, 1, "ModRaise", w);
    w->scale = raised_scale(b);
}

static void times_i(run *s, vl_ciphertext *ct) {
    for (uint32_t i = 0; i < 2; i++) vl_ring_mul(s->x, &s->p->ring, ct->c[i], ct->c[i], s->b->i_unit);
}

// From slots w to EvalMod's inputs: re = w + conj w and im = (w - conj w) / i. Sparse slots: re = w is that already, im
// is NULL.
static void split(run *s, const vl_ciphertext *w, vl_ciphertext *re, vl_ciphertext *im) {
    if (im) {
        vl_ckks_conjugate(s->x, s->keys, re, w);
        vl_ckks_sub(s->x, s->p, im, re, w);
        times_i(s, im);
        vl_ckks_rescale(s->x, s->p, im, im);
        im->scale = s->b->x_scale;
        vl_ckks_add(s->x, s->p, re, re, w);
        vl_ckks_rescale(s->x, s->p, re, re);
    }
    re->scale = s->b->x_scale;
}

static velum_status bootstrap(run *s, vl_ciphertext *d, const vl_ciphertext *ct) {
    const vl_bootstrap *b = s->b;
    const vl_bootstrap_plan *plan = &b->plan;
    vl_arena *arena = &s->x->arena;
    vl_ciphertext low = vl_ciphertext_take(s->p, arena, plan->in_level, 1), in = *ct;
    vl_ciphertext_drop(&in, plan->in_level);
    vl_ciphertext_copy(s->x, s->p, &low, &in);
    if (slots_first(b)) slots_to_coeffs(s, &low);
    mark_stage(s, 0, "SlotsToCoeffs", &low);
    vl_ciphertext w = vl_ciphertext_take(s->p, arena, plan->top, 1), other;
    raise_modulus(s, &w, &low);
    coeffs_to_slots(s, &w);
    vl_ciphertext re = w;
    if (!is_sparse(b)) {
        re = vl_ciphertext_take(s->p, arena, w.level, 1);
        other = vl_ciphertext_take(s->p, arena, w.level, 1);
    }
    split(s, &w, &re, is_sparse(b) ? NULL : &other);
    mark_stage(s, 2, "CoeffsToSlots", &re);
    VL_TRY(vl_mod1_apply(s->x, s->p, s->keys, &plan->mod1, plan->scale, &re, &re));
    if (!is_sparse(b)) VL_TRY(vl_mod1_apply(s->x, s->p, s->keys, &plan->mod1, plan->scale, &other, &other));
    mark_stage(s, 3, "EvalMod", &re);
    if (!is_sparse(b)) {
        times_i(s, &other);
        vl_ckks_add(s->x, s->p, &re, &re, &other);
    } else if (slots_first(b)) {
        vl_ckks_mul_plain(s->x, s->p, &re, &re, b->mask, prime_at(s->p, re.level));
        fold(s, &re, INT32_C(1) << plan->params.log_slots, true);
    }
    if (!slots_first(b)) slots_to_coeffs(s, &re);
    assert(re.level == plan->out_level && fabs(re.scale - plan->scale) <= 0x1p-30 * plan->scale);
    re.scale = plan->scale;
    vl_ciphertext_copy(s->x, s->p, d, &re);
    mark_stage(s, 4, "recombination", d);
    return VELUM_OK;
}

velum_status vl_bootstrap_apply(vl_exec *x, const vl_bootstrap *b, const vl_eval_keys *keys,
                                const vl_bootstrap_keys *own, vl_ciphertext *d, const vl_ciphertext *ct,
                                vl_bootstrap_report *report) {
    VL_TRY(check_input(b, ct));
    VL_TRY(check_keys(b, keys, own));
    VL_FAIL_IF(d->capacity < b->plan.out_level, VELUM_E_USAGE, "bootstrap: room for %u limbs, the result has %u",
               d->capacity, b->plan.out_level);
    size_t mark = vl_arena_mark(&x->arena);
    run s = {.x = x, .b = b, .p = b->p, .keys = keys, .own = own, .report = report};
    s.last = now(CLOCK_MONOTONIC);
    s.last_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    velum_status status = bootstrap(&s, d, ct);
    vl_arena_release(&x->arena, mark);
    return status;
}
