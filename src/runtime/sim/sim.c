// SPDX-License-Identifier: Apache-2.0
// The program in the clear: the same operations on the same slots, without noise.
#include "runtime/internal.h"
#include <math.h>
#include <string.h>

static void mix(const vl_op *op, uint32_t slots, const double *a, double *d) {
    for (uint32_t row = 0; row < op->rows; row++) {
        double *out = d + (size_t)row * slots;
        for (uint32_t s = 0; s < slots; s++) out[s] = op->bias ? op->bias[row] : 0;
        for (uint32_t col = 0; col < op->cols; col++) {
            double w = op->weights[(size_t)row * op->cols + col];
            const double *in = a + (size_t)col * slots;
            for (uint32_t s = 0; w != 0 && s < slots; s++) out[s] += w * in[s];
        }
    }
}

static size_t numbers_of(const vl_layout *l) { return l->cts * vl_layout_room(l); }

// ---- pictures ----

// One part of the ciphertexts of a value, one after another.
static void gather(const vl_layout *l, uint32_t part, const double *from, double *to) {
    for (uint32_t i = 0; i < l->cts; i++)
        memcpy(to + (size_t)i * l->slots, from + i * vl_layout_room(l) + (size_t)part * l->slots,
               l->slots * sizeof *to);
}

static void scatter(const vl_layout *l, uint32_t part, const double *from, double *to) {
    for (uint32_t i = 0; i < l->cts; i++)
        memcpy(to + i * vl_layout_room(l) + (size_t)part * l->slots, from + (size_t)i * l->slots,
               l->slots * sizeof *to);
}

static velum_status spread(const vl_program *p, const vl_op *op, const double *a, const double *b, double *d) {
    const vl_layout *l = &p->values[op->src[0]].layout, *m = &p->values[op->src[1]].layout;
    const vl_layout *out = &p->values[op->dst].layout;
    double *x = vl_alloc_raw((size_t)op->spread.sources * l->slots * sizeof *x);
    double *y = vl_alloc_raw((size_t)op->spread.outputs * l->slots * sizeof *y);
    for (uint32_t part = 0; x && y && part < l->parts; part++) {
        gather(l, part, a, x);
        if (op->src[1] != op->src[0]) gather(m, part, b, x + (size_t)l->cts * l->slots);
        vl_spread_clear_apply(&op->spread, l->slots, x, y);
        scatter(out, part, y, d);
    }
    velum_status status = x && y ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "simulation: '%s'", op->name);
    vl_free(x);
    vl_free(y);
    return status;
}

static void squares(const vl_op *op, const vl_layout *l, const double *a, double *d) {
    const size_t room = vl_layout_room(l);
    for (uint32_t i = 0; i < l->cts; i++)
        for (size_t s = i * room; s < (i + 1) * room; s++) d[s] = a[s] * a[s] + (op->bias ? op->bias[i] : 0);
}

static velum_status fold(const vl_op *op, const vl_layout *l, const double *a, double *d) {
    const size_t slots = l->slots;
    double *before = vl_alloc_raw(slots * sizeof *before);
    VL_FAIL_IF(!before, VELUM_E_NOMEM, "simulation: '%s'", op->name);
    memcpy(d, a, numbers_of(l) * sizeof *d);
    for (double *v = d; v < d + numbers_of(l); v += slots)
        for (uint32_t k = 0; k < op->count; k++) {
            const size_t by = (uint32_t)op->rotation[k] & (slots - 1);
            memcpy(before, v, slots * sizeof *before);
            for (size_t s = 0; s < slots; s++) v[s] += before[(s + by) & (slots - 1)];
        }
    vl_free(before);
    return VELUM_OK;
}

static velum_status mask(const vl_op *op, const vl_layout *l, const double *a, double *d) {
    const size_t slots = l->slots, room = vl_layout_room(l);
    double *keep = vl_alloc_raw(slots * sizeof *keep);
    VL_FAIL_IF(!keep, VELUM_E_NOMEM, "simulation: '%s'", op->name);
    for (uint32_t i = 0; i < l->cts; i++) {
        vl_layout_mask(l, i, keep);
        for (size_t s = 0; s < room; s++) d[i * room + s] = keep[s & (slots - 1)] != 0 ? a[i * room + s] : 0;
    }
    vl_free(keep);
    return VELUM_OK;
}

// ---- any operation ----

static velum_status run_op(const vl_program *p, const vl_op *op, const double *a, const double *b, double *d) {
    const vl_layout *l = &p->values[op->dst].layout;
    size_t n = numbers_of(l);
    switch (op->kind) {
    case VL_OP_LINTRANS: vl_lintrans_clear_apply(&op->plan, op->weights, op->bias, a, d); break;
    case VL_OP_MIX: mix(op, l->slots, a, d); break;
    case VL_OP_SQUARE:
        for (size_t i = 0; i < n; i++) d[i] = a[i] * a[i];
        break;
    case VL_OP_MUL:
        for (size_t i = 0; i < n; i++) d[i] = a[i] * b[i];
        break;
    case VL_OP_ADD:
        for (size_t i = 0; i < n; i++) d[i] = a[i] + b[i];
        break;
    case VL_OP_POLY:
        for (size_t i = 0; i < n; i++) d[i] = vl_polynomial_eval(&op->poly, a[i]);
        break;
    case VL_OP_DIAGONALS: {
        const vl_sparsemap_shape shape = vl_program_shape(p, op);
        vl_sparsemap_clear_apply(&op->matrix, op->bias, &shape, a, d);
        break;
    }
    case VL_OP_SIGN:
        for (size_t i = 0; i < n; i++) d[i] = vl_compare_eval_stages(&op->compare, op->first, op->count, a[i]);
        break;
    case VL_OP_GATE: {
        uint32_t rest = op->compare.minimax->count - op->first;
        for (size_t i = 0; i < n; i++) d[i] = a[i] * vl_compare_eval_stages(&op->compare, op->first, rest, b[i]);
        break;
    }
    case VL_OP_BOOTSTRAP: memcpy(d, a, n * sizeof *d); break;
    case VL_OP_MASK: return mask(op, l, a, d);
    case VL_OP_SPREAD: return spread(p, op, a, b, d);
    case VL_OP_SQUARES: squares(op, l, a, d); break;
    case VL_OP_FOLD: return fold(op, l, a, d);
    default: break;
    }
    return VELUM_OK;
}

// ---- the model of noise ----
typedef struct noise {
    vl_rng rng;
    double rounding;  // deviation, on a slot at scale 1, of a rescale's rounding: of c_0 and c_1 s, s uniform ternary
    double bootstrap; // the same of a bootstrap, at scale 1
    double switched[VL_MAX_LIMBS + 1]; // and of a key switch, by level
    int64_t *draw;                     // slots
} noise;

#define NOISE_UNIT 0x1p40 // deviation of what is drawn

// For each digit N residues below its product times fresh errors, divided by P; then a rounding.
static void set_switched(const vl_params_literal *lit, noise *out) {
    const double n = ldexp(1, (int)lit->log_n);
    double log_p = 0, done = 0, log_digit = 0; // done: of full digits, squares of their products over P
    for (uint32_t i = 0; i < lit->p_count; i++) log_p += log2((double)lit->p[i]);
    for (uint32_t level = 1; level <= lit->q_count; level++) {
        log_digit += log2((double)lit->q[level - 1]);
        const double sum = done + exp2(2 * (log_digit - log_p));
        out->switched[level] = sqrt(n / 2 * n / 12 * VL_SIGMA * VL_SIGMA * sum + out->rounding * out->rounding);
        if (level % lit->digit_limbs) continue;
        done = sum;
        log_digit = 0;
    }
}

static velum_status noise_begin(const vl_program *p, uint64_t seed, noise *out) {
    uint8_t key[VL_SEED_BYTES] = {0};
    for (int i = 0; i < 8; i++) key[i] = (uint8_t)(seed >> (8 * i));
    double n = ldexp(1, (int)p->manifest.params.log_n);
    out->rounding = sqrt((1 + 2 * n / 3) / 12 * n / 2);
    set_switched(&p->manifest.params, out);
    out->draw = vl_alloc_array(p->values[0].layout.slots, sizeof *out->draw);
    vl_bootstrap_plan *plan = p->manifest.bootstrapped ? vl_alloc(sizeof *plan) : NULL;
    velum_status status = plan ? vl_program_bootstrap_plan(&p->manifest, plan) : VELUM_OK;
    // The estimate is of the mean absolute error: of a normal one, sqrt(2 / pi) deviations.
    if (plan && status == VELUM_OK) out->bootstrap = sqrt(1.5707963) * exp2(-plan->precision_bits) * plan->scale;
    vl_free(plan);
    if (!out->draw) return VL_FAIL(VELUM_E_NOMEM, "simulation: noise");
    vl_rng_init_seed(&out->rng, key, 0);
    return status;
}

// Deviation on the slots of a result. Rescales one after another, as in a polynomial, count by their number.
static double deviation(const vl_program *p, const vl_op *op, const noise *t) {
    double scale = p->values[op->dst].scale;
    switch (op->kind) {
    case VL_OP_ADD: return 0;
    // Each sum's key switch is in the sums after it.
    case VL_OP_FOLD: return sqrt(ldexp(1, (int)op->count) - 1) * t->switched[op->level] / scale;
    case VL_OP_BOOTSTRAP: return t->bootstrap / scale;
    case VL_OP_POLY:
    case VL_OP_SIGN:
    case VL_OP_GATE: return sqrt(op->level - p->values[op->dst].level) * t->rounding / scale;
    default: return t->rounding / scale;
    }
}

static void add_to(noise *t, double sigma, uint32_t slots, double *v) {
    if (!(sigma > 0)) return;
    vl_rng_gaussian_wide(&t->rng, t->draw, slots, NOISE_UNIT);
    for (uint32_t i = 0; i < slots; i++) v[i] += (double)t->draw[i] * (sigma / NOISE_UNIT);
}

static void add_noise(noise *t, double sigma, const vl_layout *l, double *v) {
    for (double *end = v + numbers_of(l); v < end; v += l->slots) add_to(t, sigma, l->slots, v);
}

static double mean_square(const double *v, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sum / (double)n;
}

// Beside the rescale's rounding: that of weights to integers, of deviation sqrt(1/12) / factor each and, through a
// pattern, sqrt(period / 6) / factor on every slot, times the value that they meet.
static void add_spread_noise(noise *t, const vl_program *p, const vl_op *op, const double *a, const double *b,
                             double *v) {
    const vl_spread *s = &op->spread;
    const vl_value *d = &p->values[op->dst], *first = &p->values[op->src[0]], *second = &p->values[op->src[1]];
    const size_t room = vl_layout_room(&d->layout);
    const double base = t->rounding / d->scale;
    for (uint32_t r = 0; r < s->outputs; r++) {
        double variance = base * base;
        for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
            const uint32_t source = s->copy[s->col[i]].source;
            const bool own = source < first->layout.cts;
            const double factor = op->plain_scale * (own ? 1 : first->scale / second->scale);
            const double met = mean_square(own ? a + source * room : b + (source - first->layout.cts) * room, room);
            variance += met / (factor * factor) * (s->through[i] == VL_SPREAD_NO_PATTERN ? 1.0 / 12 : s->period / 6.0);
        }
        for (uint32_t part = 0; part < d->layout.parts; part++)
            add_to(t, sqrt(variance), d->layout.slots, v + r * room + (size_t)part * d->layout.slots);
    }
}

// Nothing is rescaled, and a relinearisation's noise is far below such a scale's unit. But the conjugation that tells
// two parts from each other comes before the product: its noise e becomes (x - y) e, where y is the other part. A
// program made narrow has one part: another request's takes its place, if there is one.
static void add_squares_noise(noise *t, const vl_program *p, const vl_op *op, const double *a, double *v) {
    const vl_value *from = &p->values[op->src[0]];
    const vl_layout *l = &from->layout;
    const size_t room = vl_layout_room(l), away = l->parts > 1 ? l->slots : l->period;
    if (p->values[op->dst].scale < 2 * from->scale * from->scale) return; // x^2, not 4 (x^2 + i y^2)
    const double sigma = t->switched[op->level] / from->scale / NOISE_UNIT;
    for (size_t at = 0; at < numbers_of(l); at += l->slots) {
        const size_t first = at / room * room;
        vl_rng_gaussian_wide(&t->rng, t->draw, l->slots, NOISE_UNIT);
        for (size_t s = at; s < at + l->slots; s++) {
            const double y = away < room ? a[first + (s - first + away) % room] : 0;
            v[s] += (double)t->draw[s - at] * sigma * (a[s] - y);
        }
    }
}

static velum_status run(const vl_program *p, noise *t, const double *in, vl_sim_probe probe, void *arg, double *out) {
    double **value = vl_alloc_array(p->value_count, sizeof *value);
    VL_FAIL_IF(!value, VELUM_E_NOMEM, "simulation");
    uint32_t *last = vl_alloc_array(p->value_count, sizeof *last);
    velum_status status = last ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "simulation");
    if (last) vl_runtime_last_uses(p, last);
    for (uint32_t i = 0; i < p->op_count && status == VELUM_OK; i++) {
        const vl_op *op = &p->ops[i];
        const vl_layout *l = &p->values[op->dst].layout;
        const double *a = op->src[0] == 0 ? in : value[op->src[0]];
        const double *b = vl_op_inputs(op->kind) < 2 ? NULL : op->src[1] == 0 ? in : value[op->src[1]];
        if (!(value[op->dst] = vl_alloc_array(numbers_of(l), sizeof(double)))) {
            status = VL_FAIL(VELUM_E_NOMEM, "simulation: '%s'", op->name);
            break;
        }
        status = run_op(p, op, a, b, value[op->dst]);
        if (status != VELUM_OK) break;
        if (t && op->kind == VL_OP_SPREAD)
            add_spread_noise(t, p, op, a, b, value[op->dst]);
        else if (t && op->kind == VL_OP_SQUARES)
            add_squares_noise(t, p, op, a, value[op->dst]);
        else if (t)
            add_noise(t, deviation(p, op, t), l, value[op->dst]);
        if (probe) probe(arg, i, value[op->dst]);
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++) {
            uint32_t src = op->src[k];
            if (last[src] != i) continue;
            vl_free(value[src]);
            value[src] = NULL;
        }
    }
    const vl_layout *l = &p->values[p->output].layout;
    if (status == VELUM_OK) memcpy(out, value[p->output], numbers_of(l) * sizeof *out);
    for (uint32_t i = 0; i < p->value_count; i++) vl_free(value[i]);
    vl_free(value);
    vl_free(last);
    return status;
}

velum_status vl_sim_run_verified(const vl_program *p, const double *in, double *out) {
    return run(p, NULL, in, NULL, NULL, out);
}

velum_status vl_sim_run_probe(const vl_program *p, const double *in, vl_sim_probe probe, void *arg, double *out) {
    return run(p, NULL, in, probe, arg, out);
}

velum_status vl_sim_run(const vl_program *p, const double *in, double *out) {
    VL_TRY(vl_program_verify(p)); // levels and scales
    return run(p, NULL, in, NULL, NULL, out);
}

velum_status vl_sim_run_noisy(const vl_program *p, const double *in, uint64_t seed, double *out) {
    VL_TRY(vl_program_verify(p));
    return vl_sim_run_noisy_probe(p, in, seed, NULL, NULL, out);
}

velum_status vl_sim_run_noisy_probe(const vl_program *p, const double *in, uint64_t seed, vl_sim_probe probe, void *arg,
                                    double *out) {
    noise *t = vl_alloc(sizeof *t);
    VL_FAIL_IF(!t, VELUM_E_NOMEM, "simulation: noise");
    velum_status status = noise_begin(p, seed, t);
    if (status == VELUM_OK) status = run(p, t, in, probe, arg, out);
    vl_free(t->draw);
    vl_free(t);
    return status;
}
