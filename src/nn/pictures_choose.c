// SPDX-License-Identifier: Apache-2.0
// Tilings, rings, digits and scales of picture programs: the fastest that fits memory and precision.
#include "nn/pictures.h"
#include <math.h>
#include <stdlib.h>

#define LOG_N_LEAST 13
#define LOG_N_MOST 17
#define ALPHA_MOST 16
#define PRIME_MOST 50
#define PRIME_LEAST 36
#define PRIMES_TRIED 3
#define BASE_BITS 50.0
#define SPECIAL_BITS 50.0
#define SLACK 0.5 // bits by which primes may exceed their nominal sizes, all together
#define SCALE_LEAST 22
#define SCALE_MOST 44
#define WEIGHT_LEAST 12 // bits
#define ANSWER_LEAST 20 // bits of their scale
#define GAP_LEAST 32    // slots of a period, at most N / this
// Bits of the answers' range, of the expected error: so that the worst of thousands of answers is right to 7 bits. It
// is 7 deviations away (3 bits: slots and requests are not equally noisy), and an estimate may be half of what is (1
// bit).
#define PRECISION 11
#define TARGETS 4   // of spread maps: limbs at a time
#define THREADS 4.0 // that scratch is planned for, on every machine
#define TERMS_A_MAP 2
#define TILINGS_MOST 64
#define SHOWN 3 // that were not chosen

// Sizes of all maps under one tiling.
typedef struct tiled {
    vl_nn_tiling tiling;
    uint32_t maps;
    vl_nn_spread_size *size; // by map, in order of stages and pairs of terms
    uint32_t *stage;         // by map
    double *patterned;       // by stage: share of products
    uint16_t *turn;          // by rotation + period - 1: the highest level at which it is used, or 0
    uint64_t rotations, products, cts;
} tiled;

typedef struct search {
    const vl_nn_pictures *p;
    const vl_nn_goal *goal;
    double error_most;
    // Of the tiling at hand:
    vl_nn_pictures_choice best;
    bool found, precise; // precise: the best one is
    double memory_least; // of those that are left out for their memory; 0: none is
} search;

// Nearly square grids: fewest edges.
static bool is_even(const vl_nn_pictures *p, uint32_t phase_y, uint32_t phase_x) {
    double rows = (double)p->stage[0].grid.height / phase_y, cols = (double)p->stage[0].grid.width / phase_x;
    bool none_left = p->stage[0].grid.height == 1 || p->stage[0].grid.width == 1;
    return none_left || (rows <= 2.01 * cols && cols <= 2.01 * rows);
}

static void mark_turns(tiled *t, bool *turned, uint16_t level) {
    for (uint32_t k = 0; k < 2 * t->tiling.period; k++) {
        if (turned[k] && t->turn[k] < level) t->turn[k] = level;
        turned[k] = false;
    }
}

static void mark_folds(const vl_nn_pictures *p, const vl_nn_stage *s, tiled *t) {
    int32_t rotation[VL_FOLD_MOST];
    uint32_t count = s->fold ? vl_nn_tiling_folds(&t->tiling, p, s, rotation) : 0;
    for (uint32_t k = 0; k < count; k++) {
        uint16_t *at = &t->turn[rotation[k] + (int32_t)t->tiling.period - 1];
        if (*at < s->level) *at = s->level;
    }
}

static velum_status measure(const vl_nn_pictures *p, const vl_nn_tiling *t, tiled *out, bool *fits) {
    vl_nn_heap *h = p->l->heap;
    uint32_t maps = 0;
    bool *turned;
    *out = (tiled){.tiling = *t};
    *fits = false;
    for (uint32_t i = 1; i < p->stages; i++) maps += (p->stage[i].form->terms + TERMS_A_MAP - 1) / TERMS_A_MAP;
    VL_NN_TAKE(h, out->size, maps);
    VL_NN_TAKE(h, out->stage, maps);
    VL_NN_TAKE(h, out->patterned, p->stages);
    VL_NN_TAKE(h, out->turn, 2 * t->period);
    VL_NN_TAKE(h, turned, 2 * t->period);
    for (uint32_t i = 1; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        uint64_t products = 0, patterned = 0;
        for (uint32_t first = 0; first < s->form->terms; first += TERMS_A_MAP) {
            uint32_t count = s->form->terms - first < TERMS_A_MAP ? s->form->terms - first : TERMS_A_MAP;
            vl_nn_spread_size *size = &out->size[out->maps];
            velum_status status = vl_nn_pictures_map(p, s, t, 1, first, count, size, turned, NULL);
            if (status == VELUM_E_LIMIT) return VELUM_OK;
            VL_TRY(status);
            out->stage[out->maps++] = i;
            mark_turns(out, turned, (uint16_t)(s->level + 1));
            products += size->cost.products;
            patterned += size->cost.patterned;
            out->rotations += size->cost.rotations;
            out->products += size->cost.products;
            if (size->outputs > out->cts) out->cts = size->outputs;
        }
        mark_folds(p, s, out);
        out->patterned[i] = products ? (double)patterned / (double)products : 0;
    }
    *fits = true;
    return VELUM_OK;
}

// ---- time and memory ----

static uint32_t cts_of(const tiled *t, const vl_nn_pictures *p, uint32_t stage) {
    return vl_nn_tiling_layout(&t->tiling, &p->stage[stage], t->tiling.period, 1).cts;
}

static uint32_t digits_of(const vl_nn_ring *r, uint32_t level) { return (level + r->alpha - 1) / r->alpha; }

static double seconds_of(const vl_nn_pictures *p, const tiled *t, const vl_nn_ring *r, uint32_t parts, double *each) {
    double total = 0;
    int32_t rotation[VL_FOLD_MOST];
    for (uint32_t m = 0; m < t->maps; m++) {
        const vl_nn_stage *s = &p->stage[t->stage[m]];
        const uint16_t level = (uint16_t)(s->level + 1);
        double one = vl_nn_cost_spread(r, level, &t->size[m].cost, t->size[m].outputs);
        if (each) each[m] = one;
        total += one;
        if (m > 0 && t->stage[m] == t->stage[m - 1]) total += t->size[m].outputs * vl_nn_cost_add(r, s->level);
    }
    for (uint32_t i = 1; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        const uint32_t cts = cts_of(t, p, i);
        if (s->kind == VL_NN_BASE_SQUARE) total += vl_nn_cost_squares(r, s->level, parts, cts);
        if (s->fold) total += vl_nn_cost_fold(r, s->level, vl_nn_tiling_folds(&t->tiling, p, s, rotation), cts);
    }
    return total + p->stage[p->stages - 1].grid.channels * vl_nn_cost_mask(r, 2);
}

// The last stage that reads a stage's value.
static uint32_t last_reader(const vl_nn_pictures *p, uint32_t stage) {
    uint32_t last = stage;
    for (uint32_t i = stage + 1; i < p->stages; i++)
        for (uint32_t k = 0; k < p->stage[i].form->terms; k++)
            if (p->stage[i].form->term[k].base == stage) last = i;
    return last;
}

// Bytes of scratch that map m takes.
static double scratch_of(const vl_nn_pictures *p, const tiled *t, const vl_nn_ring *r, uint32_t m) {
    const vl_nn_spread_size *s = &t->size[m];
    const uint32_t level = p->stage[t->stage[m]].level + 1u, d = digits_of(r, level);
    double limbs = (double)s->cost.decompositions * (level + TARGETS * d) + 2.0 * (double)s->cost.rotations +
                   2.0 * s->outputs * (1.0 + r->special) + THREADS * TARGETS;
    double scalars = fmin((double)s->cost.products * 2 * t->tiling.period, (double)VL_SPREAD_TABLE);
    return limbs * ldexp(8, (int)r->log_n) + 8 * scalars;
}

// Bytes of ciphertexts and of scratch, the most of each at any time, since scratch is kept; of weights, and of the
// ring's tables.
static velum_status memory_of(const vl_nn_pictures *p, const tiled *t, const vl_nn_ring *r, uint64_t *out) {
    const double limb = ldexp(8, (int)r->log_n), period = t->tiling.period;
    double most = 0, scratch = 0, weights = 0;
    uint32_t *last, *cts;
    VL_NN_TAKE(p->l->heap, last, p->stages);
    VL_NN_TAKE(p->l->heap, cts, p->stages);
    for (uint32_t i = 0; i < p->stages; i++) {
        last[i] = last_reader(p, i);
        cts[i] = cts_of(t, p, i);
    }
    for (uint32_t m = 0; m < t->maps; m++) {
        const uint32_t i = t->stage[m];
        double live = 0;
        for (uint32_t v = 0; v < i; v++)
            if (last[v] >= i) live += 2.0 * cts[v] * p->stage[v].level;
        live += 2.0 * cts[i] * p->stage[i].level * (m > 0 && t->stage[m - 1] == i ? 2 : 1);
        most = fmax(most, live * limb);
        scratch = fmax(scratch, scratch_of(p, t, r, m));
        weights += (double)t->size[m].cost.products * 40 + (double)t->size[m].patterns * period * 16;
    }
    const double tables = (4.0 * (p->depth + r->special) + 8) * limb;
    *out = (uint64_t)(most + scratch + weights + tables);
    return VELUM_OK;
}

// ---- one candidate ----

// Rotations, relinearisation, conjugation: bytes in the server's memory.
static uint64_t key_bytes_of(const vl_nn_pictures *p, const tiled *t, const vl_nn_ring *r, uint32_t parts) {
    uint16_t square = 0;
    double limbs = 0;
    for (uint32_t i = 1; i < p->stages; i++)
        if (p->stage[i].kind == VL_NN_BASE_SQUARE && p->stage[i].level > square) square = p->stage[i].level;
    for (uint32_t k = 0; k < 2 * t->tiling.period; k++)
        if (t->turn[k]) limbs += 2.0 * digits_of(r, t->turn[k]) * (t->turn[k] + r->special);
    if (square) limbs += 2.0 * parts * digits_of(r, square) * (square + r->special);
    return (uint64_t)(limbs * ldexp(8, (int)r->log_n));
}

static double score_of(const search *w, const vl_nn_pictures_choice *c) {
    if (w->goal->batch == 0) return c->total / c->lanes;
    return ceil((double)w->goal->batch / c->lanes) * c->total;
}

// No value overflows its level.
static velum_status check_room(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, bool *fits) {
    double *argument, *result;
    VL_NN_TAKE(p->l->heap, argument, p->stages);
    VL_NN_TAKE(p->l->heap, result, p->stages);
    *fits = vl_nn_pictures_bits(p, c, argument, result) && vl_nn_pictures_answer_bits(p) >= ANSWER_LEAST;
    for (uint32_t i = 1; i < p->stages; i++) {
        const vl_nn_stage *s = &p->stage[i];
        const double room = BASE_BITS - SLACK + (s->level - 1.0) * c->prime_bits - 1;
        *fits = *fits && argument[i] + log2(s->most + 1) <= room && result[i] + log2(vl_nn_stage_most(s) + 1) <= room;
    }
    return VELUM_OK;
}

static void try_scales(const search *w, const tiled *t, vl_nn_pictures_choice one, vl_nn_pictures_choice *best) {
    const uint32_t spent = WEIGHT_LEAST + (one.parts > 1 ? 2 : 0); // weights of squares: prime / (4 scale)
    for (uint32_t bits = SCALE_LEAST; bits <= SCALE_MOST && bits + spent <= one.prime_bits; bits++) {
        one.scale_bits = bits;
        one.error = vl_nn_pictures_error(w->p, &one, t->patterned);
        if (one.error < best->error) *best = one;
    }
}

// Scale and primes with the least error, as far as security lets primes grow: slightly smaller ones leave less error of
// key switches, as special primes do not grow beyond theirs.
static bool set_scales(const search *w, const tiled *t, vl_nn_pictures_choice *c) {
    const double limit = vl_security_max_log_qp(c->ring.log_n, 0, w->goal->security);
    const double left = limit - BASE_BITS - SLACK - SPECIAL_BITS * c->ring.special;
    const uint32_t primes = w->p->depth - 1, most = (uint32_t)fmax(0, fmin(PRIME_MOST, floor(left / primes)));
    c->error = INFINITY;
    for (uint32_t bits = most; bits >= PRIME_LEAST && bits + PRIMES_TRIED > most; bits--) {
        vl_nn_pictures_choice one = *c;
        one.prime_bits = bits;
        one.wider = bits == most && bits < PRIME_MOST ? (uint32_t)fmin(primes, floor(left - (double)primes * bits)) : 0;
        try_scales(w, t, one, c);
    }
    return isfinite(c->error);
}

static velum_status offer(search *w, const tiled *t, const vl_nn_ring *r, uint32_t parts) {
    const uint32_t slots = 1u << (r->log_n - 1);
    vl_nn_pictures_choice c = {
        .tiling = t->tiling, .ring = *r, .parts = parts, .lanes = slots / t->tiling.period * parts};
    const uint64_t batch = w->goal->batch;
    if (batch && c.lanes / 2 >= batch && parts > 1) return VELUM_OK; // one part does as well
    c.total = seconds_of(w->p, t, r, parts, NULL);
    c.score = score_of(w, &c);
    if (w->found && w->precise && c.score >= w->best.score) return VELUM_OK;
    VL_TRY(memory_of(w->p, t, r, &c.memory));
    c.key_bytes = key_bytes_of(w->p, t, r, parts);
    if (c.memory + c.key_bytes > w->goal->memory || (w->goal->keys && c.key_bytes > w->goal->keys)) {
        const double need = (double)(c.memory + c.key_bytes);
        if (w->memory_least == 0 || need < w->memory_least) w->memory_least = need;
        return VELUM_OK;
    }
    bool fits = false;
    if (!set_scales(w, t, &c)) return VELUM_OK;
    VL_TRY(check_room(w->p, &c, &fits));
    if (!fits) return VELUM_OK;
    const bool precise = c.error <= w->error_most;
    if (w->found && !precise && (w->precise || c.error >= w->best.error)) return VELUM_OK;
    c.rotations = t->rotations;
    c.products = t->products;
    c.cts = t->cts;
    c.error_worst = vl_nn_pictures_error_worst(w->p, &c, t->patterned);
    w->best = c;
    w->found = true;
    w->precise = precise;
    return VELUM_OK;
}

static velum_status try_tiling(search *w, const tiled *t) {
    for (uint32_t log_n = LOG_N_LEAST; log_n <= LOG_N_MOST; log_n++) {
        if (t->tiling.period > (1u << log_n) / GAP_LEAST) continue;
        for (uint32_t alpha = 1; alpha <= ALPHA_MOST && alpha <= w->p->depth; alpha++) {
            const vl_nn_ring r = {.log_n = log_n, .special = alpha, .alpha = alpha, .prices = w->goal->prices};
            if (BASE_BITS + SLACK + SPECIAL_BITS * alpha + PRIME_LEAST * (w->p->depth - 1.0) >
                vl_security_max_log_qp(log_n, 0, w->goal->security))
                break;
            for (uint32_t parts = 1; parts <= 2; parts++) VL_TRY(offer(w, t, &r, parts));
        }
    }
    return VELUM_OK;
}

// ---- all tilings ----

typedef struct result {
    vl_nn_pictures_choice choice;
    bool precise;
} result;

static velum_status measure_and_try(search *w, const vl_nn_tiling *t) {
    tiled all;
    bool fits;
    w->found = w->precise = false;
    w->memory_least = 0;
    VL_TRY(measure(w->p, t, &all, &fits));
    if (fits) VL_TRY(try_tiling(w, &all));
    if (w->found || w->memory_least == 0) return VELUM_OK;
    return vl_nn_note(w->p->l, "packing: %u x %u phases, %u positions: left out, %.0f MiB at least", t->phase_y,
                      t->phase_x, t->period, w->memory_least / 0x1p20);
}

// The precise before the others, then the faster or the more precise.
static int by_merit(const void *a, const void *b) {
    const result *x = a, *y = b;
    if (x->precise != y->precise) return x->precise ? -1 : 1;
    double u = x->precise ? x->choice.score : x->choice.error, v = x->precise ? y->choice.score : y->choice.error;
    return u < v ? -1 : u > v;
}

velum_status vl_nn_pictures_choose(const vl_nn_pictures *p, const vl_nn_goal *goal, uint32_t precision_bits,
                                   const vl_nn_tiling *only, vl_nn_pictures_choice *best, bool *found) {
    const double bits = precision_bits ? precision_bits : PRECISION;
    search w = {.p = p, .goal = goal, .error_most = p->answer_size * exp2(-bits)};
    result list[TILINGS_MOST];
    uint32_t count = 0;
    *found = false;
    if (p->depth >= VL_MAX_LIMBS) return VELUM_OK;
    for (uint32_t phase_y = 1; phase_y <= p->stage[0].grid.height && !only; phase_y *= 2)
        for (uint32_t phase_x = 1; phase_x <= p->stage[0].grid.width && count < TILINGS_MOST; phase_x *= 2) {
            vl_nn_tiling t;
            if (!is_even(p, phase_y, phase_x) || !vl_nn_tiling_of(p, phase_y, phase_x, &t)) continue;
            VL_TRY(measure_and_try(&w, &t));
            if (w.found) list[count++] = (result){w.best, w.precise};
        }
    if (only) VL_TRY(measure_and_try(&w, only));
    if (only && w.found) list[count++] = (result){w.best, w.precise};
    if (count == 0) return VELUM_OK;
    qsort(list, count, sizeof *list, by_merit);
    *best = list[0].choice;
    *found = true;
    if (!list[0].precise)
        VL_TRY(vl_nn_note(
            p->l, "packing: warning: none gives %.0f bits of the answers' range, the most precise is taken", bits));
    for (uint32_t i = 1; i < count && i <= SHOWN; i++) VL_TRY(vl_nn_pictures_note_unchosen(p->l, &list[i].choice));
    return VELUM_OK;
}
