// SPDX-License-Identifier: Apache-2.0
// CodedHELUT (Kim et al., ICML 2024), the lookup that HE-LRM compares itself with, on the same core: the client sends
// the l digits themselves, base p, and the server finds out which value each has. All p l comparisons are done at once:
// slot (digit j, value a) holds x = digit_j - a, and
//   y = 1 - 2 x^2 / p^2,   r squarings,   s times 3 y^2 - 2 y^3
// leaves 1 where x = 0 and nearly 0 elsewhere (p = 8: r = 8, s = 1). Then d products with a column of the tables each
// and d log2(p l) rotations, which sum a product's slots: number c is in every slot of ciphertext c.
//
// Both sides get what our core has: the client scales digits so that 2 / p^2 costs no level; squares stay in one
// ciphertext; products and sums come last, the sums at one limb, where a rotation is cheapest; digits of three limbs
// were the fastest of 1, 2, 3, 5, 6. lookup_codedhelut_packed_... goes further than the paper: our packed product
// (circuits/lookup.h) in place of the d products and their rotations.
//
// As in lookup.c the time is the server's alone. What the client sends is counted in query_bytes.
#include "circuits/lookup.h"
#include "lookup.h"
#include <math.h>
#include <string.h>

#define P 8u
#define L 8u
#define D 50u
#define CELLS (P * L)
#define SQUARINGS 8u
#define LIMBS (1u + 1u + SQUARINGS + 2u + 1u) // one left, x^2, squarings, 3y^2 - 2y^3, the tables

typedef struct coded_case {
    const char *name;
    lookup_ring ring;
    bool packed;
} coded_case;

static const coded_case cases[] = {
    {"lookup_codedhelut_p8_l8_d50", {15, LIMBS, 3, 3, 50, 40, 50}, false},
    {"lookup_codedhelut_p8_l8_d50", {14, LIMBS, 1, 1, 36, 28, 36}, false}, // the smallest ring: few bits are left
    {"lookup_codedhelut_packed_p8_l8_d50", {15, LIMBS, 3, 3, 50, 40, 50}, true},
};

typedef struct bench {
    const coded_case *at;
    lookup_lab lab;
    vl_lookup_plan plan; // packed only
    vl_lintrans_cost cost;
    vl_lookup lookup;
    double scale; // of the query
    const vl_switch_key *relin;
    vl_poly minus;     // the values that digits are compared with
    vl_poly column[D]; // of the tables
    vl_ciphertext in, y, u, t, out[D];
    double *weights, *slots; // CELLS x D
} bench;

// Which cell (digit, value) a slot holds; VL_LOOKUP_NONE: none.
static uint32_t cell_at(const bench *b, uint32_t slot) {
    return b->at->packed ? vl_lookup_at(&b->plan, 0, slot) : slot % CELLS;
}

// y = indicator, at 2 limbs, from x sqrt2 / p.
static void indicate(bench *b) {
    vl_exec *x = &b->lab.x;
    const vl_params *p = b->lab.p;
    vl_ckks_add_plain(x, p, &b->t, &b->in, b->minus);
    vl_ckks_square(x, p, &b->t, &b->t, b->relin);
    vl_ckks_rescale(x, p, &b->y, &b->t);
    vl_ckks_neg(x, p, &b->y, &b->y);
    vl_ckks_add_const(x, p, &b->y, &b->y, 1);
    for (uint32_t i = 0; i < SQUARINGS; i++) {
        vl_ckks_square(x, p, &b->t, &b->y, b->relin);
        vl_ckks_rescale(x, p, &b->y, &b->t);
    }
    vl_ckks_square(x, p, &b->t, &b->y, b->relin); // y^2 (3 - 2 y)
    vl_ckks_rescale(x, p, &b->u, &b->t);
    vl_ckks_mul_const(x, p, &b->y, &b->y, -2, 1);
    vl_ckks_add_const(x, p, &b->y, &b->y, 3);
    vl_ckks_mul(x, p, &b->t, &b->u, &b->y, b->relin);
    vl_ckks_rescale(x, p, &b->y, &b->t);
}

static void once(void *arg) {
    bench *b = arg;
    vl_exec *x = &b->lab.x;
    const vl_params *p = b->lab.p;
    indicate(b);
    if (b->at->packed) {
        vl_lookup_apply(x, &b->lab.keys, &b->lookup, &b->out[0], &b->y);
        return;
    }
    for (uint32_t c = 0; c < D; c++) {
        vl_ckks_mul_plain(x, p, &b->t, &b->y, b->column[c], (double)p->literal.q[1]);
        vl_ckks_rescale(x, p, &b->out[c], &b->t);
        for (uint32_t f = CELLS / 2; f > 0; f /= 2) {
            vl_ckks_rotate(x, &b->lab.keys, &b->t, &b->out[c], (int32_t)f);
            vl_ckks_add(x, p, &b->out[c], &b->out[c], &b->t);
        }
    }
}

static velum_status encode_tables(bench *b) {
    vl_exec *x = &b->lab.x;
    const vl_params *p = b->lab.p;
    const uint32_t slots = p->ring.n / 2;
    for (uint32_t s = 0; s < slots; s++) {
        uint32_t cell = cell_at(b, s);
        b->slots[s] = cell == VL_LOOKUP_NONE ? 0 : -(double)(cell % P) * M_SQRT2 / P;
    }
    VL_TRY(vl_poly_new(&p->ring, LIMBS, 0, &b->minus));
    VL_TRY(vl_encode_real(x, b->lab.encoder, b->slots, slots, b->scale, b->minus));
    if (b->at->packed)
        return vl_lookup_encode(x, b->lab.encoder, &b->plan, b->weights, 2, (double)p->literal.q[1], &b->lookup);
    for (uint32_t c = 0; c < D; c++) {
        double v[CELLS];
        for (uint32_t i = 0; i < CELLS; i++) v[i] = b->weights[i * D + c];
        VL_TRY(vl_poly_new(&p->ring, 2, 0, &b->column[c]));
        VL_TRY(vl_encode_real(x, b->lab.encoder, v, CELLS, (double)p->literal.q[1], b->column[c]));
    }
    return VELUM_OK;
}

static velum_status prepare(bench *b) {
    const vl_params *p = b->lab.p;
    const uint32_t slots = p->ring.n / 2, cells = CELLS;
    static vl_key_request requests[VL_LOOKUP_MAX_KEYS + 1];
    uint32_t count = 0;
    size_t arena = vl_ckks_scratch(p, LIMBS), other = 0;
    if (b->at->packed) {
        vl_lintrans_prices prices = vl_lintrans_prices_counted(p, 2);
        VL_TRY(vl_lookup_plan_new(&cells, 1, D, slots, &prices, &b->plan, &b->cost));
        count = vl_lookup_key_requests(&b->plan, p, 2, requests);
        other = vl_lookup_scratch(p, &b->plan, 2) + vl_lookup_encode_scratch(p, &b->plan, 2);
    } else {
        for (uint32_t f = CELLS / 2; f > 0; f /= 2)
            requests[count++] = (vl_key_request){vl_params_galois(p, (int32_t)f), 1};
    }
    requests[count++] = (vl_key_request){0, LIMBS};
    VL_TRY(lookup_lab_keys(&b->lab, arena > other ? arena : other, requests, count));
    b->relin = vl_eval_keys_find(&b->lab.keys, 0);
    // The scale that leads to Delta where the squarings end, through the true primes.
    b->scale = p->literal.scale;
    for (uint32_t i = LIMBS - SQUARINGS - 1; i < LIMBS; i++) b->scale = sqrt(b->scale * (double)p->literal.q[i]);
    b->weights = vl_alloc_array((size_t)CELLS * D, sizeof *b->weights);
    b->slots = vl_alloc_array(slots, sizeof *b->slots);
    VL_FAIL_IF(!b->weights || !b->slots, VELUM_E_NOMEM, "bench: %s", b->at->name);
    for (uint32_t i = 0; i < CELLS * D; i++) b->weights[i] = lookup_weight(i);
    VL_TRY(vl_ciphertext_new(p, LIMBS, 1, &b->in));
    VL_TRY(vl_ciphertext_new(p, LIMBS, 1, &b->t));
    VL_TRY(vl_ciphertext_new(p, LIMBS, 1, &b->y));
    VL_TRY(vl_ciphertext_new(p, LIMBS, 1, &b->u));
    for (uint32_t c = 0; c < (b->at->packed ? 1 : D); c++) VL_TRY(vl_ciphertext_new(p, 2, 1, &b->out[c]));
    return encode_tables(b);
}

// Query q: the digits, each in the slots of its p comparisons.
static velum_status ask(bench *b, uint64_t index) {
    const uint32_t slots = b->lab.p->ring.n / 2;
    for (uint32_t s = 0; s < slots; s++) {
        uint32_t cell = cell_at(b, s);
        b->slots[s] = cell == VL_LOOKUP_NONE ? 0 : (double)(index >> 3 * (cell / P) & (P - 1)) * M_SQRT2 / P;
    }
    b->lab.query_bytes = 0;
    return lookup_lab_encrypt(&b->lab, b->slots, slots, b->scale, LIMBS, &b->in);
}

static velum_status check(bench *b, uint64_t index, double *worst) {
    double want[D] = {0};
    uint32_t hot[VL_LOOKUP_MAX_HOT], count = vl_lookup_hot(UINT64_C(1) << 3 * L, P, 0, index, hot);
    for (uint32_t h = 0; h < count; h++)
        for (uint32_t c = 0; c < D; c++) want[c] += b->weights[hot[h] * D + c];
    const uint32_t slots = b->lab.p->ring.n / 2;
    for (uint32_t c = 0; c < D; c++) {
        if (c == 0 || !b->at->packed) VL_TRY(lookup_lab_decrypt(&b->lab, &b->out[c], b->slots, slots));
        uint32_t step = b->at->packed ? b->plan.lanes * b->plan.period : 1;
        for (uint32_t s = b->at->packed ? vl_lookup_out(&b->plan, 0, c) : 0; s < slots; s += step)
            *worst = fmax(*worst, fabs(b->slots[s] - want[c]));
    }
    return VELUM_OK;
}

static velum_status measure(bench *b) {
    double worst = 0;
    for (uint32_t q = 0; q < LOOKUP_QUERIES; q++) {
        uint64_t index = lookup_index(q, 0, UINT64_C(1) << 3 * L);
        VL_TRY(ask(b, index));
        once(b);
        VL_TRY(check(b, index, &worst));
    }
    VL_FAIL_IF(!(worst < 0x1p-4), VELUM_E_INTERNAL, "%s: an embedding is off by %g", b->at->name, worst);
    velum_bench_result r = lookup_lab_result(&b->lab, b->at->name, LIMBS);
    r.width = CELLS;
    r.outputs = D;
    r.ciphertexts = 1;
    r.products = b->at->packed ? b->cost.products : D;
    r.rotations = b->at->packed ? b->cost.hoisted + b->cost.rotations : D * 6;
    r.relinearisations = 1 + SQUARINGS + 2;
    r.max_error = worst;
    r.precision_bits_min = -log2(worst);
    r.matrix_bytes = b->at->packed ? b->lookup.bytes : D * vl_poly_bytes(&b->lab.p->ring, 2, 0);
    return bench_time(b->lab.run, r, LOOKUP_SECONDS, once, b);
}

static void release(bench *b) {
    vl_lookup_free(&b->lookup);
    vl_lookup_plan_free(&b->plan);
    vl_poly_free(&b->minus);
    for (uint32_t c = 0; c < D; c++) {
        vl_poly_free(&b->column[c]);
        vl_ciphertext_free(&b->out[c]);
    }
    vl_ciphertext_free(&b->in);
    vl_ciphertext_free(&b->y);
    vl_ciphertext_free(&b->u);
    vl_ciphertext_free(&b->t);
    vl_free(b->weights);
    vl_free(b->slots);
    lookup_lab_close(&b->lab);
}

velum_status bench_codedhelut(const bench_run *run) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!bench_wanted(run, cases[i].name)) continue;
        bench b = {.at = &cases[i]};
        velum_status status = lookup_lab_open(run, &cases[i].ring, &b.lab);
        if (status == VELUM_OK) status = prepare(&b);
        if (status == VELUM_OK) status = measure(&b);
        release(&b);
        VL_TRY(status);
    }
    return VELUM_OK;
}
