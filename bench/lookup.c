// SPDX-License-Identifier: Apache-2.0
// Encrypted embedding lookups by one-hot digits (HE-LRM): the server's time, from the ciphertexts received to the
// ciphertext of all embeddings. lookup_packed is all 26 tables of Criteo-Kaggle at their full row counts; the small
// ring is what the lookup alone needs, the large one is a program's, at the level that leaves a top network's layers.
// lookup_digits_p8_l8_d50 is one table of 8^8 rows of 50 numbers, to compare with codedhelut.c.
#include "lookup.h"
#include "circuits/lookup.h"
#include <math.h>
#include <string.h>

static const uint64_t criteo[] = {1460,  583,  10131227, 2202608, 305, 24,     12517,   633,   3,
                                  93145, 5683, 8351593,  3194,    27,  14992,  5461306, 10,    5652,
                                  2173,  4,    7046547,  18,      15,  286181, 105,     142572};
static const uint64_t one_table[] = {16777216};

static const lookup_ring alone = {13, 2, 1, 1, 50, 40, 50};
static const lookup_ring program = {15, 15, 3, 3, 50, 45, 50};

typedef struct lookup_case {
    const char *name;
    const uint64_t *rows;
    uint32_t tables, dim, base;
    uint64_t threshold;
    const lookup_ring *ring;
    uint16_t level;
} lookup_case;

static const lookup_case cases[] = {
    {"lookup_packed", criteo, 26, 16, 4, 500, &alone, 2},
    {"lookup_packed", criteo, 26, 16, 4, 20000, &alone, 2},
    {"lookup_packed", criteo, 26, 16, 4, 500, &program, 8},
    {"lookup_packed", criteo, 26, 16, 4, 20000, &program, 8},
    {"lookup_digits_p8_l8_d50", one_table, 1, 50, 8, 0, &alone, 2},
};

typedef struct bench {
    const lookup_case *at;
    lookup_lab lab;
    vl_lookup_plan plan;
    vl_lintrans_cost cost;
    vl_lookup lookup;
    vl_ciphertext in[VL_LOOKUP_MAX_INPUTS], out;
    double *weights, *want, *slots; // width x dim; N/2 numbers each
} bench;

static void once(void *arg) {
    bench *b = arg;
    vl_lookup_apply(&b->lab.x, &b->lab.keys, &b->lookup, &b->out, b->in);
}

static velum_status prepare(bench *b) {
    const lookup_case *at = b->at;
    const vl_params *p = b->lab.p;
    const uint32_t slots = p->ring.n / 2;
    uint32_t inputs[32];
    for (uint32_t t = 0; t < at->tables; t++) inputs[t] = vl_lookup_inputs(at->rows[t], at->base, at->threshold);
    vl_lintrans_prices prices = vl_lintrans_prices_counted(p, at->level);
    VL_TRY(vl_lookup_plan_new(inputs, at->tables, at->dim, slots, &prices, &b->plan, &b->cost));
    static vl_key_request requests[VL_LOOKUP_MAX_KEYS];
    uint32_t keys = vl_lookup_key_requests(&b->plan, p, at->level, requests);
    size_t arena = vl_lookup_scratch(p, &b->plan, at->level), other = vl_lookup_encode_scratch(p, &b->plan, at->level);
    VL_TRY(lookup_lab_keys(&b->lab, other > arena ? other : arena, requests, keys));
    b->weights = vl_alloc_array((size_t)b->plan.width * at->dim, sizeof *b->weights);
    b->want = vl_alloc_array(slots, sizeof *b->want);
    b->slots = vl_alloc_array(slots, sizeof *b->slots);
    VL_FAIL_IF(!b->weights || !b->want || !b->slots, VELUM_E_NOMEM, "bench: %s", at->name);
    for (size_t i = 0; i < (size_t)b->plan.width * at->dim; i++) b->weights[i] = lookup_weight(i);
    for (uint32_t i = 0; i < b->plan.inputs; i++) VL_TRY(vl_ciphertext_new(p, at->level, 1, &b->in[i]));
    VL_TRY(vl_ciphertext_new(p, at->level, 1, &b->out));
    return vl_lookup_encode(&b->lab.x, b->lab.encoder, &b->plan, b->weights, at->level,
                            (double)p->literal.q[at->level - 1], &b->lookup);
}

// Encrypts query q, and what its answer should be, in every slot.
static velum_status ask(bench *b, uint32_t q) {
    const lookup_case *at = b->at;
    const vl_lookup_plan *plan = &b->plan;
    uint32_t hot[32 * VL_LOOKUP_MAX_HOT], count = 0, first = 0;
    memset(b->want, 0, plan->slots * sizeof *b->want);
    for (uint32_t t = 0; t < at->tables; t++) {
        uint64_t index = lookup_index(q, t, at->rows[t]);
        uint32_t own = vl_lookup_hot(at->rows[t], at->base, at->threshold, index, hot + count);
        for (uint32_t h = count; h < count + own; h++) {
            hot[h] += first;
            for (uint32_t c = 0; c < at->dim; c++)
                b->want[vl_lookup_out(plan, t, c)] += b->weights[(size_t)hot[h] * at->dim + c];
        }
        count += own;
        first += vl_lookup_inputs(at->rows[t], at->base, at->threshold);
    }
    const uint32_t period = plan->lanes * plan->period;
    for (uint32_t s = period; s < plan->slots; s++) b->want[s] = b->want[s - period];
    b->lab.query_bytes = 0;
    for (uint32_t i = 0; i < plan->inputs; i++) {
        vl_lookup_pack(plan, i, hot, count, b->slots);
        VL_TRY(lookup_lab_encrypt(&b->lab, b->slots, plan->slots, b->lab.p->literal.scale, at->level, &b->in[i]));
    }
    return VELUM_OK;
}

static velum_status measure(bench *b) {
    double worst = 0;
    for (uint32_t q = 0; q < LOOKUP_QUERIES; q++) {
        VL_TRY(ask(b, q));
        once(b);
        VL_TRY(lookup_lab_decrypt(&b->lab, &b->out, b->slots, b->plan.slots));
        vl_precision bits = vl_precision_of_real(b->want, b->slots, b->plan.slots);
        if (bits.max_error > worst) worst = bits.max_error;
    }
    VL_FAIL_IF(!(worst < 0x1p-10), VELUM_E_INTERNAL, "%s: an embedding is off by %g", b->at->name, worst);
    velum_bench_result r = lookup_lab_result(&b->lab, b->at->name, b->at->level);
    r.width = b->plan.width;
    r.outputs = b->at->tables * b->at->dim;
    r.ciphertexts = b->plan.inputs;
    r.products = b->cost.products;
    r.rotations = b->cost.hoisted + b->cost.rotations;
    r.max_error = worst;
    r.precision_bits_min = -log2(worst);
    r.matrix_bytes = b->lookup.bytes;
    return bench_time(b->lab.run, r, LOOKUP_SECONDS, once, b);
}

static void release(bench *b) {
    vl_lookup_free(&b->lookup);
    for (uint32_t i = 0; i < VL_LOOKUP_MAX_INPUTS; i++) vl_ciphertext_free(&b->in[i]);
    vl_ciphertext_free(&b->out);
    vl_lookup_plan_free(&b->plan);
    vl_free(b->weights);
    vl_free(b->want);
    vl_free(b->slots);
    lookup_lab_close(&b->lab);
}

velum_status bench_lookup(const bench_run *run) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!bench_wanted(run, cases[i].name)) continue;
        bench b = {.at = &cases[i]};
        velum_status status = lookup_lab_open(run, cases[i].ring, &b.lab);
        if (status == VELUM_OK) status = prepare(&b);
        if (status == VELUM_OK) status = measure(&b);
        release(&b);
        VL_TRY(status);
    }
    return bench_codedhelut(run);
}
