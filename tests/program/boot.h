// SPDX-License-Identifier: Apache-2.0
// A bootstrapped program built by hand: linear, square, linear (by diagonals), bootstrap, comparison, bootstrap, gate
// (ReLU), linear (by diagonals), mask. On an INSECURE ring of 2^10, with the prologue and outputs of build.h.
#ifndef VELUM_TESTS_PROGRAM_BOOT_H
#define VELUM_TESTS_PROGRAM_BOOT_H

#include "program/build.h"

#define BOOT_LEFT 11   // levels to spend
#define BOOT_BOUND 8.0 // of the ReLU's argument

typedef struct boot_options { // zero-initialise
    bool sparse;              // values repeat with 2^6 slots, and so does the bootstrap
    uint32_t lanes;           // 1
    uint64_t memory;
} boot_options;

static inline vl_bootstrap_params boot_set(bool sparse) {
    vl_bootstrap_params set = *vl_bootstrap_params_find(sparse ? "INSECURE-n10-sparse" : "INSECURE-n10-full");
    set.name = "INSECURE-n10-own";
    set.left = BOOT_LEFT;
    return set;
}

// A band matrix: two or three entries a row, a row that is empty.
static inline void boot_matrix(uint32_t rows, uint32_t cols, uint32_t *seed, vl_matrix *m) {
    *m = (vl_matrix){.rows = rows, .cols = cols};
    m->start = vl_alloc_array(rows + 1, sizeof *m->start);
    m->col = vl_alloc_array(3 * (size_t)rows, sizeof *m->col);
    m->val = vl_alloc_array(3 * (size_t)rows, sizeof *m->val);
    build_must(m->start && m->col && m->val, "memory");
    uint64_t n = 0;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < cols && r != 5; c++) {
            uint32_t distance = (c + cols - r % cols) % cols;
            if (distance != 0 && distance != 1 && distance != 3) continue;
            m->col[n] = c;
            m->val[n++] = build_number(seed);
        }
        m->start[r + 1] = n;
    }
}

// y = W x + bias on periodic values, result at `scale`.
static inline uint32_t boot_diagonals(const build_options *o, vl_program *p, const char *name, uint32_t a,
                                      uint32_t rows, double scale, double bound, uint32_t *seed) {
    vl_op *op = build_op(p, VL_OP_DIAGONALS, name, a, 0);
    vl_layout in = p->values[a].layout, out = build_layout(o, rows, 0);
    boot_matrix(rows, in.dim, seed, &op->matrix);
    op->bias = build_numbers(seed, rows, 0.25);
    op->plain_scale = scale * (double)p->manifest.params.q[op->level - 1] / p->values[a].scale;
    p->values[op->dst].layout = out;
    const vl_sparsemap_shape shape = vl_program_shape(p, op);
    const vl_lintrans_prices prices = {.rotation = 10, .hoisted = 3, .product = 1, .decompose = 6};
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    build_must(plan != NULL, "memory");
    BUILD_OK(vl_sparsemap_plan_best(&op->matrix, &shape, &prices, plan, NULL));
    op->step = (int32_t)plan->step;
    op->start = plan->start;
    op->diagonal_seconds = 1e-4;
    vl_free(plan);
    return build_value(p, op, out, 1, bound);
}

static inline uint32_t boot_refresh(vl_program *p, const char *name, uint32_t a) {
    vl_op *op = build_op(p, VL_OP_BOOTSTRAP, name, a, 0);
    p->values[op->dst] = p->values[a];
    p->values[op->dst].level = vl_program_result_level(p, op);
    return op->dst;
}

static inline uint32_t boot_compare(vl_program *p, vl_op_kind kind, const char *name, uint32_t a, uint32_t u,
                                    uint32_t first, uint32_t count, double scale, double bound) {
    vl_op *op = build_op(p, kind, name, a, u);
    op->level = p->values[kind == VL_OP_GATE ? u : a].level;
    op->compare = (vl_compare){vl_minimax_find("7,7,15", 8), VL_RELU, BOOT_BOUND};
    op->first = first;
    op->count = count;
    op->plain_scale = scale;
    p->values[op->dst] = (vl_value){p->values[a].layout, vl_program_result_level(p, op), scale, bound};
    return op->dst;
}

// Leaves p ready to verify and save; free it with vl_program_clear.
static inline void boot_program(const boot_options *given, vl_program *p) {
    build_options o = {.log_n = 10, .lanes = given->lanes ? given->lanes : 1};
    const vl_bootstrap_params set = boot_set(given->sparse);
    *p = (vl_program){.memory_bytes = given->memory};
    vl_manifest *m = &p->manifest;
    BUILD_OK(vl_bootstrap_literal(&set, &m->params));
    build_manifest(&o, m);
    m->error_bound = 0x1p-6;
    BUILD_OK(vl_program_set_bootstrap(m, &set));
    p->values = vl_alloc_array(16, sizeof *p->values);
    p->ops = vl_alloc_array(16, sizeof *p->ops);
    build_must(p->values && p->ops, "memory");
    uint32_t seed = 11;
    double scale = m->params.scale, small = scale / BOOT_BOUND; // |x| small <= the bootstrap's scale
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    build_must(plan != NULL, "memory");
    BUILD_OK(vl_program_bootstrap_plan(m, plan));
    uint16_t in = (uint16_t)(plan->in_level + 3);
    vl_free(plan);
    p->values[0] = (vl_value){build_layout(&o, BUILD_FEATURES, 0), in, scale, 2};
    p->value_count = 1;
    uint32_t a = boot_diagonals(&o, p, "first/Conv", 0, BUILD_HIDDEN, scale, 4, &seed);
    a = build_square(p, "first/Square", a);
    a = boot_diagonals(&o, p, "second/Conv", a, BUILD_HIDDEN, small, BOOT_BOUND, &seed);
    uint32_t x = boot_refresh(p, "second/Relu: refresh", a);
    uint32_t s = boot_compare(p, VL_OP_SIGN, "second/Relu: sign", x, 0, 0, 2, scale, 1);
    s = boot_refresh(p, "second/Relu: refresh sign", s);
    s = boot_compare(p, VL_OP_GATE, "second/Relu: gate", x, s, 2, 0, scale, BOOT_BOUND);
    s = boot_diagonals(&o, p, "last/Conv", s, BUILD_OUTPUTS, scale, 16, &seed);
    build_mask(&o, p, s);
    p->notes = vl_strdup("second/Relu by a composite");
    build_ends(p);
}

// A saved program and its client half; free both with velum_buffer_free.
static inline void boot_files(const boot_options *o, velum_buffer *program, velum_buffer *client) {
    vl_program p;
    boot_program(o, &p);
    vl_writer w = vl_writer_of((size_t)1 << 24), c = vl_writer_of((size_t)1 << 24);
    BUILD_OK(vl_program_save(&p, &w));
    BUILD_OK(vl_client_half_save(&p, &c));
    vl_program_clear(&p);
    *program = (velum_buffer){w.data, w.size};
    *client = (velum_buffer){c.data, c.size};
}

static inline void boot_product(const vl_op *op, const double *x, double *y) {
    for (uint32_t r = 0; r < op->matrix.rows; r++) {
        y[r] = op->bias[r];
        for (uint64_t i = op->matrix.start[r]; i < op->matrix.start[r + 1]; i++)
            y[r] += op->matrix.val[i] * x[op->matrix.col[i]];
    }
}

// What the model makes of a request with an exact ReLU.
static inline void boot_expected(const vl_program *p, const double raw[BUILD_INPUTS], double out[BUILD_OUTPUTS]) {
    double x[BUILD_FEATURES] = {raw[0] / 60 - 1, raw[1]}, h[BUILD_HIDDEN], g[BUILD_HIDDEN];
    x[2 + (uint32_t)raw[2] % 3] = 1;
    boot_product(&p->ops[0], x, h);
    for (uint32_t i = 0; i < BUILD_HIDDEN; i++) h[i] *= h[i];
    boot_product(&p->ops[2], h, g);
    for (uint32_t i = 0; i < BUILD_HIDDEN; i++) g[i] = g[i] > 0 ? g[i] : 0;
    boot_product(&p->ops[7], g, out);
}

#endif
