// SPDX-License-Identifier: Apache-2.0
// Bootstrapped programs in files: round trips, each rule of the verifier, damage.
#include "program/boot.h"
#include "program/mutate.h"
#include "runtime/runtime.h"
#include "test.h"

static vl_op *op_of(vl_program *p, vl_op_kind kind) {
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == kind) return &p->ops[i];
    abort();
}

static vl_value *from(vl_program *p, const vl_op *op) { return &p->values[op->src[0]]; }
static vl_value *to(vl_program *p, const vl_op *op) { return &p->values[op->dst]; }

static void raise_bound(vl_program *p) { // of what the first bootstrap takes, by a thousandth
    from(p, op_of(p, VL_OP_BOOTSTRAP))->bound *= 1.001;
}

static void raise_scale(vl_program *p, double by) { // from the source of the first bootstrap on
    vl_op *boot = op_of(p, VL_OP_BOOTSTRAP), *before = &p->ops[boot - p->ops - 1];
    before->plain_scale *= by;
    to(p, before)->scale *= by;
    to(p, boot)->scale *= by;
}

static void set_lanes(vl_program *p, uint32_t lanes, uint32_t valid) {
    for (uint32_t i = 0; i < p->value_count; i++) {
        p->values[i].layout.lanes = lanes;
        p->values[i].layout.valid = valid;
    }
}

// X(what is broken, how, words of the message)
#define BREAKS(X)                                                                                                      \
    X(bootstrap_bound, raise_bound(p), "second/Relu: refresh': values up to")                                          \
    X(bootstrap_scale, raise_scale(p, 1.001), "second/Relu: refresh': values up to")                                   \
    X(bootstrap_low, op_of(p, VL_OP_BOOTSTRAP)->level--, "a bootstrap takes")                                          \
    X(bootstrap_result, to(p, op_of(p, VL_OP_BOOTSTRAP))->level--, "refresh' at level")                                \
    X(bootstrap_not_periodic, from(p, op_of(p, VL_OP_BOOTSTRAP))->layout.valid = 16, "periodic all around")            \
    X(no_bootstrap, p->manifest.bootstrapped = false, "it names no bootstrap")                                         \
    X(low_key_missing, p->manifest.low_key_count--, "keys for bootstrapping are not those")                            \
    X(low_key_level, p->manifest.low_keys[0].level--, "keys for bootstrapping are not those")                          \
    X(low_prime, p->manifest.low.q[1] = p->manifest.params.q[3], "keys for bootstrapping are not those")               \
    X(raise_weight, p->manifest.raise.weight = 16, "keys for bootstrapping are not those")                             \
    X(raise_level, p->manifest.raise.level--, "keys for bootstrapping are not those")                                  \
    X(raise_subring, p->manifest.raise.subring = 3 - p->manifest.raise.subring,                                        \
      "keys for bootstrapping are not those")                                                                          \
    X(raise_sums, p->manifest.raise.sums *= 2, "keys for bootstrapping are not those")                                 \
    X(key_missing, p->manifest.key_count--, "needs key")                                                               \
    X(set_slots, p->manifest.bootstrap.log_slots = 10, "2^10 slots of N=2^10")                                         \
    X(set_factors, p->manifest.bootstrap.cts_factors = 0, "in 0 factors")                                              \
    X(set_few_factors, p->manifest.bootstrap.stc_factors = 1, "in 1 factors")                                          \
    X(set_degree, p->manifest.bootstrap.degree = 0, "EvalMod")                                                         \
    X(set_ratio, p->manifest.bootstrap.log_ratio = NAN, "EvalMod")                                                     \
    X(set_scale, p->manifest.bootstrap.left_bits = 60, "scale 2^60")                                                   \
    X(set_weight, p->manifest.bootstrap.weight = 0, "weight 0")                                                        \
    X(matrix_order, op_of(p, VL_OP_DIAGONALS)->matrix.col[1] = 0, "row 0, column 0")                                   \
    X(matrix_column, op_of(p, VL_OP_DIAGONALS)->matrix.col[2] = 5, "row 0, column 5 of 5")                             \
    X(matrix_start, op_of(p, VL_OP_DIAGONALS)->matrix.start[1] = 9, "first/Conv: row 0 from entry 0 to 9")             \
    X(matrix_value, op_of(p, VL_OP_DIAGONALS)->matrix.val[1] = NAN, "is nan")                                          \
    X(matrix_infinite, op_of(p, VL_OP_DIAGONALS)->matrix.val[1] = INFINITY, "is inf")                                  \
    X(matrix_rows, op_of(p, VL_OP_DIAGONALS)->matrix.rows = 0, "first/Conv: a matrix of 0 x 5")                        \
    X(matrix_too_wide, (op_of(p, VL_OP_DIAGONALS)->matrix.cols = 9), "between periods 8 and 8")                        \
    X(diagonals_split, op_of(p, VL_OP_DIAGONALS)->step = 0, "0 babies")                                                \
    X(diagonals_start, op_of(p, VL_OP_DIAGONALS)->start = 1, "babies 1")                                               \
    X(diagonals_not_periodic, p->values[0].layout.valid = 64, "periodic all around")                                   \
    X(diagonals_bias, op_of(p, VL_OP_DIAGONALS)->bias[7] = NAN, "bias 7 is")                                           \
    X(compare_table, op_of(p, VL_OP_SIGN)->compare.minimax = NULL, "no such comparison")                               \
    X(compare_range, op_of(p, VL_OP_SIGN)->compare.bound = 0, "range of +-0")                                          \
    X(compare_narrow, op_of(p, VL_OP_SIGN)->compare.bound = BOOT_BOUND / 2, "its operand is up to 8, its range +-4")   \
    X(compare_no_stage, op_of(p, VL_OP_SIGN)->count = 0, "0 of them, of 3")                                            \
    X(compare_stages, op_of(p, VL_OP_SIGN)->count = 4, "4 of them, of 3")                                              \
    X(compare_wraps, op_of(p, VL_OP_SIGN)->count = UINT32_MAX, "of 3")                                                 \
    X(compare_level, to(p, op_of(p, VL_OP_SIGN))->level++, "sign' at level")                                           \
    X(compare_scale, op_of(p, VL_OP_SIGN)->plain_scale = 0x1p56, "result at scale 2^56")                               \
    X(gate_first, op_of(p, VL_OP_GATE)->first = 3, "stages 3")                                                         \
    X(gate_kind, op_of(p, VL_OP_GATE)->compare.kind = VL_SIGN, "it has no product")                                    \
    X(gate_stage_range, to(p, &p->ops[op_of(p, VL_OP_GATE) - p->ops - 1])->bound = 1.5, "its range +-1")               \
    X(gate_scale, op_of(p, VL_OP_GATE)->plain_scale = 1, "a change of scale by 2^-37")                                 \
    X(gate_level, to(p, op_of(p, VL_OP_GATE))->level++, "gate' at level")                                              \
    X(gate_operand_low, from(p, op_of(p, VL_OP_GATE))->level = 1, "at level")

typedef struct breakage {
    const char *what;
    void (*apply)(vl_program *p);
    const char *words;
} breakage;

#define X(what, how, words)                                                                                            \
    static void break_##what(vl_program *p) { how; }
BREAKS(X)
#undef X

static const breakage breaks[] = {
#define X(what, how, words) {#what, break_##what, words},
    BREAKS(X)
#undef X
};

static void each_rule_refuses(void **state) {
    (void)state;
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        vl_program p;
        boot_program(&(boot_options){0}, &p);
        if (vl_program_verify(&p) != VELUM_OK) fail_msg("%s", velum_last_error());
        breaks[i].apply(&p);
        velum_status status = vl_program_verify(&p);
        if (status != VELUM_E_FORMAT || !strstr(velum_last_error(), breaks[i].words)) {
            print_error("%s: status %d, '%s' lacks '%s'\n", breaks[i].what, status, velum_last_error(),
                        breaks[i].words);
            wrong++;
        }
        vl_writer w = vl_writer_of((size_t)1 << 20);
        if (vl_program_save(&p, &w) != VELUM_E_FORMAT || w.size) wrong++;
        vl_program_clear(&p);
    }
    assert_int_equal(wrong, 0);
}

// Values that repeat with more slots than the bootstrap's, and sets that are not as secure as the parameters.
static void sparse_and_secure(void **state) {
    (void)state;
    vl_program p;
    boot_program(&(boot_options){.sparse = true, .lanes = 8}, &p); // 8 features, 8 lanes: 2^6 slots
    assert_int_equal(vl_program_verify(&p), VELUM_OK);
    set_lanes(&p, 16, 32);
    p.values[p.output].layout.valid = 2;
    assert_int_equal(vl_program_verify(&p), VELUM_E_FORMAT);
    vl_program_clear(&p);
    vl_manifest m = {0};
    vl_bootstrap_params set = boot_set(false);
    assert_int_equal(vl_bootstrap_literal(&set, &m.params), VELUM_OK);
    m.params.security_bits = 128;
    assert_int_equal(vl_program_set_bootstrap(&m, &set), VELUM_E_INSECURE); // 0 bits
    m.params.security_bits = 0;
    set.security_bits = 128;
    set.range = 12; // of a secret of weight 32: fails once in 2^34
    assert_int_equal(vl_program_set_bootstrap(&m, &set), VELUM_E_INSECURE);
    assert_false(m.bootstrapped);
    const vl_bootstrap_params *full = vl_bootstrap_params_find("n16-full"); // no tables are made for the plan
    assert_int_equal(vl_bootstrap_literal(full, &m.params), VELUM_OK);
    assert_int_equal(vl_program_set_bootstrap(&m, full), VELUM_OK);
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    assert_int_equal(vl_program_bootstrap_plan(&m, plan), VELUM_OK);
    assert_int_equal(plan->security_bits, 128);
    assert_string_equal(m.bootstrap.name, "n16-full");
    vl_free(plan);
    vl_manifest_clear(&m);
}

static void same_matrix(const vl_matrix *a, const vl_matrix *b) {
    assert_true(a->rows == b->rows && a->cols == b->cols);
    assert_memory_equal(a->start, b->start, (a->rows + 1u) * sizeof *a->start);
    assert_memory_equal(a->col, b->col, a->start[a->rows] * sizeof *a->col);
    assert_memory_equal(a->val, b->val, a->start[a->rows] * sizeof *a->val);
}

static void saved_and_loaded(void **state) {
    (void)state;
    vl_program p, q;
    boot_program(&(boot_options){.lanes = 4, .memory = 12345}, &p);
    vl_writer w = vl_writer_of((size_t)1 << 20), again = vl_writer_of((size_t)1 << 20);
    assert_int_equal(vl_program_save(&p, &w), VELUM_OK);
    assert_int_equal(vl_program_load(w.data, w.size, &q), VELUM_OK);
    assert_int_equal(vl_program_save(&q, &again), VELUM_OK);
    assert_int_equal(w.size, again.size);
    assert_memory_equal(w.data, again.data, w.size);
    assert_int_equal(q.memory_bytes, 12345);
    assert_string_equal(q.manifest.bootstrap.name, "INSECURE-n10-own");
    assert_int_equal(q.manifest.low_key_count, p.manifest.low_key_count);
    for (uint32_t i = 0; i < p.op_count; i++) {
        const vl_op *a = &p.ops[i], *b = &q.ops[i];
        assert_true(a->kind == b->kind && a->step == b->step && a->start == b->start && a->first == b->first);
        assert_true(a->compare.minimax == b->compare.minimax && a->compare.bound == b->compare.bound);
        if (a->kind == VL_OP_DIAGONALS) same_matrix(&a->matrix, &b->matrix);
    }
    vl_writer half = vl_writer_of((size_t)1 << 20);
    vl_manifest m;
    uint8_t digest[VL_DIGEST_BYTES];
    assert_int_equal(vl_client_half_save(&q, &half), VELUM_OK);
    assert_int_equal(vl_client_half_load(half.data, half.size, &m, digest), VELUM_OK);
    assert_true(m.bootstrapped && m.raise.weight == 32 && m.low.q_count == p.manifest.low.q_count);
    vl_manifest_clear(&m);
    vl_writer_clear(&half);
    vl_writer_clear(&w);
    vl_writer_clear(&again);
    vl_program_clear(&p);
    vl_program_clear(&q);
}

// What still loads is verified, and can be planned, explained and simulated; the client half too is refused or sound.
static void random_payloads(void **state) {
    (void)state;
    velum_buffer file, half;
    boot_files(&(boot_options){0}, &file, &half);
    uint8_t *copy = malloc(file.size + half.size + MUTATE_ROOM);
    uint32_t loaded = 0, halves = 0, count = 4000;
    for (uint64_t seed = 0; seed < count; seed++) {
        uint64_t random = seed;
        memcpy(copy, file.data, file.size);
        size_t size = mutate_payload(&random, copy, file.size);
        velum_program *open;
        mutate_forget_error();
        if (velum_program_open(copy, size, &open) == VELUM_OK) {
            velum_buffer text;
            assert_int_equal(velum_program_explain(open, &text), VELUM_OK);
            velum_buffer_free(&text);
            velum_program_free(open);
            loaded++;
        } else if (!*velum_last_error()) {
            fail_msg("seed %llu: no reason", (unsigned long long)seed);
        }
        memcpy(copy, half.data, half.size);
        size = mutate_payload(&random, copy, half.size);
        vl_manifest m;
        uint8_t digest[VL_DIGEST_BYTES];
        if (vl_client_half_load(copy, size, &m, digest) == VELUM_OK) {
            halves++;
            vl_manifest_clear(&m);
        }
    }
    assert_true(loaded > count / 50 && loaded < count * 49 / 50);
    assert_true(halves > count / 50 && halves < count * 49 / 50);
    free(copy);
    velum_buffer_free(&file);
    velum_buffer_free(&half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_refuses),
        cmocka_unit_test(sparse_and_secure),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(random_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
