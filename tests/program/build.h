// SPDX-License-Identifier: Apache-2.0
// Small programs built by hand, for tests and fuzz targets. No compiler, no cmocka: what goes wrong here aborts.
//   network  8 x 5 linear, square, 2 x 8 linear, mask; packed, `lanes` requests a ciphertext
//   spread   8 x 5 linear, square, 2 x 8 linear; one ciphertext a feature
//   branches 8 x 5 linear a; b = a a, c = f(a), d = b + c, 2 x 8 linear, mask: every operation
//   chebyshev  the same, f in the Chebyshev basis on [-4, 4] (a level more)
//   wide     branches on one ciphertext a feature, without the mask
// The model takes three inputs: "age" in [0, 120], "sex" 0 or 1, "code" 0, 1, .. 8 (its digit modulo 3, one-hot).
#ifndef VELUM_TESTS_PROGRAM_BUILD_H
#define VELUM_TESTS_PROGRAM_BUILD_H

#include "base/frame.h"
#include "program/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUILD_INPUTS 3
#define BUILD_FEATURES 5
#define BUILD_HIDDEN 8
#define BUILD_OUTPUTS 2

typedef enum build_net { BUILD_NETWORK, BUILD_SPREAD, BUILD_BRANCHES, BUILD_CHEBYSHEV, BUILD_WIDE } build_net;
typedef struct build_options { // zero-initialise: 0 means default
    build_net net;
    uint32_t log_n;    // 8
    uint32_t lanes;    // 1; all slots where spread
    uint32_t security; // 0: INSECURE, for speed; 128: 40 + 30 bits a level, log_n 13
    uint32_t seed;     // of the weights
    vl_epilogue epilogue;
    bool calibrated; // by ages 40 to 60 (as a feature -1/3 to 0, covered from -1/2 to 1/6), one sex, all codes
} build_options;

static inline void build_must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "test program: %s: %s\n", what, velum_last_error());
    abort();
}
#define BUILD_OK(call) build_must((call) == VELUM_OK, #call)

static inline bool build_is_spread(const build_options *o) { return o->net == BUILD_SPREAD || o->net == BUILD_WIDE; }

// The same numbers everywhere: multiples of 1/64 in (-1, 1).
static inline double build_number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return ((double)(*state >> 25) - 63.5) / 64;
}

static inline double *build_numbers(uint32_t *state, uint32_t n, double size) {
    double *v = vl_alloc_array(n, sizeof *v);
    build_must(v != NULL, "memory");
    for (uint32_t i = 0; i < n; i++) v[i] = size * build_number(state);
    return v;
}

static inline void build_params(const build_options *o, uint32_t levels, vl_params_literal *lit) {
    uint8_t q[VL_MAX_LIMBS], p[1] = {(uint8_t)(o->security ? 40 : 50)};
    *lit = (vl_params_literal){.log_n = o->log_n,
                               .q_count = levels,
                               .p_count = 1,
                               .digit_limbs = 1,
                               .security_bits = o->security,
                               .scale = o->security ? 0x1p30 : 0x1p40};
    q[0] = o->security ? 40 : 50;
    for (uint32_t i = 1; i < levels; i++) q[i] = o->security ? 30 : 40;
    BUILD_OK(vl_params_choose(lit, q, p));
}

static inline void build_manifest(const build_options *o, vl_manifest *m) {
    static const char *const names[BUILD_INPUTS] = {"age", "sex", "code"};
    m->model = vl_strdup("hand-built");
    m->metric = vl_strdup("auc");
    m->input_count = BUILD_INPUTS;
    m->inputs = vl_alloc_array(BUILD_INPUTS, sizeof *m->inputs);
    for (uint32_t i = 0; i < BUILD_INPUTS; i++) {
        m->inputs[i].name = vl_strdup(names[i]);
        m->inputs[i].description = vl_strdup(i == 0 ? "years" : "");
        m->inputs[i].hi = i == 0 ? 120 : i == 1 ? 1 : 8;
    }
    m->inputs[1].value_count = 2;
    m->inputs[1].values = vl_alloc_array(2, sizeof(double));
    m->inputs[1].values[1] = 1;
    static const vl_step steps[] = {
        {.kind = VL_STEP_INPUT, .src = 0},       {.kind = VL_STEP_AFFINE, .src = 0, .a = 1.0 / 60, .b = -1},
        {.kind = VL_STEP_INPUT, .src = 1},       {.kind = VL_STEP_INPUT, .src = 2},
        {.kind = VL_STEP_MOD, .src = 3, .a = 3},
    };
    m->step_count = sizeof steps / sizeof *steps;
    m->steps = vl_alloc_array(m->step_count, sizeof *m->steps);
    memcpy(m->steps, steps, sizeof steps);
    m->feature_count = 3;
    m->features = vl_alloc_array(3, sizeof *m->features);
    m->features[0] = (vl_feature){1, 0};
    m->features[1] = (vl_feature){2, 0};
    m->features[2] = (vl_feature){4, 3};
    if (o->calibrated) {
        static const vl_range seen[BUILD_INPUTS] = {{40, 60}, {1, 1}, {0, 8}}, covered[3] = {{-0.5, 1.0 / 6}, {1, 1}};
        m->seen = vl_alloc_array(BUILD_INPUTS, sizeof *m->seen);
        m->covered = vl_alloc_array(3, sizeof *m->covered);
        build_must(m->seen && m->covered, "memory");
        memcpy(m->seen, seen, sizeof seen);
        memcpy(m->covered, covered, sizeof covered);
    }
    m->output_count = BUILD_OUTPUTS;
    m->outputs = vl_alloc_array(BUILD_OUTPUTS, sizeof *m->outputs);
    m->outputs[0] = vl_strdup("low");
    m->outputs[1] = vl_strdup("high");
    m->epilogue = o->epilogue;
    m->error_bound = o->security ? 0x1p-11 : 0x1p-23;
    m->error_expected = m->error_bound / 64;
}

static inline vl_layout build_layout(const build_options *o, uint32_t dim, uint32_t valid) {
    uint32_t slots = 1u << (o->log_n - 1), period = 1;
    if (build_is_spread(o))
        return (vl_layout){.slots = slots, .dim = dim, .period = 1, .lanes = slots, .cts = dim, .valid = 1};
    while (period < dim) period *= 2;
    return (vl_layout){.slots = slots,
                       .dim = dim,
                       .period = period,
                       .lanes = o->lanes,
                       .cts = 1,
                       .valid = valid ? valid : slots / o->lanes};
}

// Appends an operation on value `a` (and `b`) at the level of the lower one; returns it for the caller to fill in.
static inline vl_op *build_op(vl_program *p, vl_op_kind kind, const char *name, uint32_t a, uint32_t b) {
    vl_op *op = &p->ops[p->op_count++];
    op->kind = kind;
    op->name = vl_strdup(name);
    op->src[0] = a;
    op->src[1] = vl_op_inputs(kind) == 2 ? b : 0;
    op->dst = p->value_count++;
    op->level = p->values[a].level;
    if (vl_op_inputs(kind) == 2 && p->values[b].level < op->level) op->level = p->values[b].level;
    op->seconds = 1e-3;
    return op;
}

// Finishes it: the result's layout, level and scale.
static inline uint32_t build_value(vl_program *p, const vl_op *op, vl_layout layout, uint32_t used, double bound) {
    double scale = vl_program_result_scale(&p->manifest.params, p, op);
    p->values[op->dst] = (vl_value){layout, (uint16_t)(op->level - used), scale, bound};
    return op->dst;
}

static inline uint32_t build_linear(const build_options *o, vl_program *p, const char *name, uint32_t a, uint32_t rows,
                                    uint32_t need, double out_scale, uint32_t *seed) {
    vl_op *op = build_op(p, build_is_spread(o) ? VL_OP_MIX : VL_OP_LINTRANS, name, a, 0);
    vl_layout in = p->values[a].layout, out = build_layout(o, rows, 1);
    op->rows = rows;
    op->cols = in.dim;
    op->weights = build_numbers(seed, rows * in.dim, 0.5);
    op->bias = build_numbers(seed, rows, 0.25);
    op->plain_scale = out_scale * (double)p->manifest.params.q[op->level - 1] / p->values[a].scale;
    if (op->kind == VL_OP_LINTRANS) {
        vl_lintrans_shape shape = {.rows = rows,
                                   .cols = in.dim,
                                   .slots = in.slots,
                                   .lanes = in.lanes,
                                   .valid_in = in.valid,
                                   .valid_need = need,
                                   .period_in = in.period,
                                   .period_out = out.period};
        const vl_lintrans_prices prices = {.rotation = 10, .hoisted = 3, .product = 1, .decompose = 6};
        BUILD_OK(vl_lintrans_plan_best(&shape, &prices, &op->plan, NULL));
        out.valid = op->plan.valid_out;
    }
    return build_value(p, op, out, 1, 4);
}

static inline uint32_t build_square(vl_program *p, const char *name, uint32_t a) {
    vl_op *op = build_op(p, VL_OP_SQUARE, name, a, 0);
    return build_value(p, op, p->values[a].layout, 1, 16);
}

// f(x) = 0.25 + 0.5 x - 0.125 x^2 + 0.0625 x^3: two levels, or three with a change of variable
static inline uint32_t build_branches(vl_program *p, uint32_t a, vl_poly_basis basis) {
    static const double monomial[] = {0.25, 0.5, -0.125, 0.0625}, chebyshev[] = {-0.75, 5, -1, 1}; // x = 4 t
    const double *f = basis == VL_CHEBYSHEV ? chebyshev : monomial;
    vl_op *mul = build_op(p, VL_OP_MUL, "product", a, a);
    uint32_t square = build_value(p, mul, p->values[a].layout, 1, 16);
    vl_op *poly = build_op(p, VL_OP_POLY, "curve", a, 0);
    poly->coeffs = vl_alloc_array(4, sizeof *f);
    memcpy(poly->coeffs, f, 4 * sizeof *f);
    poly->poly = (vl_polynomial){.basis = basis, .degree = 3, .lo = -4, .hi = 4, .c = poly->coeffs};
    poly->plain_scale = p->values[square].scale;
    uint32_t curve = build_value(p, poly, p->values[a].layout, vl_poly_plan(&poly->poly).levels, 16);
    vl_op *add = build_op(p, VL_OP_ADD, "sum", square, curve);
    return build_value(p, add, p->values[a].layout, 0, 32);
}

static inline void build_mask(const build_options *o, vl_program *p, uint32_t a) {
    vl_op *op = build_op(p, VL_OP_MASK, "mask", a, 0);
    vl_layout in = p->values[a].layout;
    op->plain_scale = (double)p->manifest.params.q[op->level - 1];
    build_value(p, op, build_layout(o, in.dim, in.period), 1, 32);
}

// The list of keys, from the operations.
static inline void build_keys(vl_program *p) {
    vl_manifest *m = &p->manifest;
    vl_key_request *need = vl_alloc_array(VL_LINTRANS_MAX_ROTATIONS, sizeof *need);
    m->keys = vl_alloc_array(VL_LINTRANS_MAX_ROTATIONS, sizeof *m->keys);
    build_must(need && m->keys, "memory");
    for (uint32_t i = 0; i < p->op_count; i++) {
        uint32_t n = vl_program_op_keys(p, &p->ops[i], need, VL_LINTRANS_MAX_ROTATIONS);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t at = 0;
            while (at < m->key_count && m->keys[at].galois < need[k].galois) at++;
            if (at == m->key_count || m->keys[at].galois != need[k].galois) {
                memmove(m->keys + at + 1, m->keys + at, (m->key_count++ - at) * sizeof *m->keys);
                m->keys[at] = need[k];
            } else if (m->keys[at].level < need[k].level) {
                m->keys[at].level = need[k].level;
            }
        }
    }
    vl_free(need);
}

// The last value is the output: the manifest's ends and keys.
static inline void build_ends(vl_program *p) {
    vl_manifest *m = &p->manifest;
    p->output = p->value_count - 1;
    m->in = p->values[0].layout;
    m->in_level = p->values[0].level;
    m->in_scale = p->values[0].scale;
    m->out = p->values[p->output].layout;
    m->out_level = p->values[p->output].level;
    m->out_scale = p->values[p->output].scale;
    m->zero_nq = m->out_level;
    p->query_seconds = 2e-3;
    p->answer_seconds = 1e-3;
    build_keys(p);
}

// Leaves p ready to verify and save; free it with vl_program_clear.
static inline void build_program(const build_options *given, vl_program *p) {
    build_options o = *given;
    if (!o.log_n) o.log_n = o.security ? 13 : 8;
    if (!o.lanes) o.lanes = 1;
    uint32_t seed = o.seed + 1, hidden_need = BUILD_HIDDEN;
    *p = (vl_program){0};
    vl_manifest *m = &p->manifest;
    build_params(&o,
                 o.net == BUILD_NETWORK    ? 5
                 : o.net == BUILD_SPREAD   ? 4
                 : o.net == BUILD_BRANCHES ? 6
                 : o.net == BUILD_WIDE     ? 5
                                           : 7,
                 &m->params);
    build_manifest(&o, m);
    p->values = vl_alloc_array(16, sizeof *p->values);
    p->ops = vl_alloc_array(16, sizeof *p->ops);
    build_must(p->values && p->ops, "memory");
    double scale = m->params.scale;
    p->values[0] = (vl_value){build_layout(&o, BUILD_FEATURES, 0), (uint16_t)m->params.q_count, scale, 2};
    p->value_count = 1;
    uint32_t a = build_linear(&o, p, "first/Gemm", 0, BUILD_HIDDEN, hidden_need, scale, &seed);
    if (o.net == BUILD_BRANCHES || o.net == BUILD_CHEBYSHEV || o.net == BUILD_WIDE)
        a = build_branches(p, a, o.net == BUILD_CHEBYSHEV ? VL_CHEBYSHEV : VL_MONOMIAL);
    else
        a = build_square(p, "first/Square", a);
    a = build_linear(&o, p, "last/Gemm", a, BUILD_OUTPUTS, BUILD_OUTPUTS, scale, &seed);
    if (!build_is_spread(&o)) build_mask(&o, p, a);
    p->notes = vl_strdup("first/Relu became a square\nnothing was fused");
    build_ends(p);
}

// A saved program and its client half; free both with velum_buffer_free.
static inline void build_files(const build_options *o, velum_buffer *program, velum_buffer *client) {
    vl_program p;
    build_program(o, &p);
    vl_writer w = vl_writer_of((size_t)1 << 24), c = vl_writer_of((size_t)1 << 24);
    BUILD_OK(vl_program_save(&p, &w));
    BUILD_OK(vl_client_half_save(&p, &c));
    vl_program_clear(&p);
    *program = (velum_buffer){w.data, w.size};
    *client = (velum_buffer){c.data, c.size};
}

// The raw inputs of request `row`: accepted, and different from row to row.
static inline void build_row(uint64_t row, double raw[BUILD_INPUTS]) {
    raw[0] = (double)(row * 37 % 121);
    raw[1] = (double)(row % 2);
    raw[2] = (double)(row * 5 % 9);
}

// What the model makes of it, before the epilogue, by direct arithmetic.
static inline void build_expected(const vl_program *p, const double raw[BUILD_INPUTS], double out[BUILD_OUTPUTS]) {
    double x[BUILD_FEATURES] = {raw[0] / 60 - 1, raw[1]}, h[BUILD_HIDDEN];
    x[2 + (uint32_t)raw[2] % 3] = 1;
    const vl_op *first = &p->ops[0], *last = NULL;
    bool branches = false;
    for (uint32_t i = 1; i < p->op_count; i++) {
        if (p->ops[i].weights) last = &p->ops[i];
        branches = branches || p->ops[i].kind == VL_OP_POLY;
    }
    for (uint32_t i = 0; i < BUILD_HIDDEN; i++) {
        double y = first->bias[i];
        for (uint32_t k = 0; k < BUILD_FEATURES; k++) y += first->weights[i * BUILD_FEATURES + k] * x[k];
        h[i] = y * y;
        if (branches) h[i] += 0.25 + y * (0.5 + y * (-0.125 + y * 0.0625));
    }
    for (uint32_t i = 0; i < BUILD_OUTPUTS; i++) {
        out[i] = last->bias[i];
        for (uint32_t k = 0; k < BUILD_HIDDEN; k++) out[i] += last->weights[i * BUILD_HIDDEN + k] * h[k];
    }
}

// Sets a frame's size and digest after its payload was changed: what gets past the digest.
static inline void build_reseal(uint8_t *frame, size_t size) {
    if (size < VL_FRAME_HEAD + VL_DIGEST_BYTES) return;
    uint64_t payload = size - VL_FRAME_HEAD - VL_DIGEST_BYTES;
    for (size_t i = 0; i < 8; i++) frame[16 + i] = (uint8_t)(payload >> (8 * i));
    vl_frame_digest(NULL, frame, size - VL_DIGEST_BYTES, frame + size - VL_DIGEST_BYTES);
}

#endif
