// SPDX-License-Identifier: Apache-2.0
// Each rule of the verifier, broken by itself: refused, and the message says what and where.
#include "program/build.h"
#include "test.h"

#include <string.h>

static vl_op *op_of(vl_program *p, vl_op_kind kind) {
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == kind) return &p->ops[i];
    abort();
}

static vl_key_request *key_of(vl_program *p, bool rotation) {
    for (uint32_t i = 0; i < p->manifest.key_count; i++)
        if ((p->manifest.keys[i].galois != 0) == rotation) return &p->manifest.keys[i];
    abort();
}

// X(what is broken, net, how, words of the message)
#define BREAKS(X)                                                                                                      \
    X(op_level_low, NETWORK, p->ops[0].level--, "first/Gemm' at level 4 leaves 3, 4 is declared")                      \
    X(op_level_above_source, NETWORK, p->ops[1].level++, "first/Square' at level 5 reads level 4")                     \
    X(op_level_zero, NETWORK, p->ops[0].level = 0, "first/Gemm' at level 0")                                           \
    X(op_level_above_chain, NETWORK, (p->ops[0].level = 6, p->values[0].level = 6), "level 6")                         \
    X(no_level_left, BRANCHES, op_of(p, VL_OP_POLY)->level = 2, "curve' at level 2 leaves 0")                          \
    X(result_level, NETWORK, p->values[1].level = 3, "first/Gemm'")                                                    \
    X(result_scale, NETWORK, p->values[2].scale *= 1 + 0x1p-30, "first/Square' gives scale")                           \
    X(plain_scale, NETWORK, p->ops[0].plain_scale *= 1 + 0x1p-30, "first/Gemm' gives scale")                           \
    X(plain_scale_nan, NETWORK, p->ops[0].plain_scale = NAN, "first/Gemm': scale nan of its constants")                \
    X(plain_scale_negative, NETWORK, p->ops[3].plain_scale = -1, "mask': scale -1 of its constants")                   \
    X(plain_scale_huge, SPREAD, p->ops[0].plain_scale = 0x1p61, "first/Gemm': scale")                                  \
    X(rotation_key_missing, NETWORK,                                                                                   \
      (memmove(key_of(p, true), key_of(p, true) + 1, (p->manifest.key_count - 2) * sizeof(vl_key_request)),            \
       p->manifest.key_count--),                                                                                       \
      "Gemm' needs key")                                                                                               \
    X(rotation_key_low, NETWORK, key_of(p, true)->level = 1, "Gemm' needs key")                                        \
    X(relin_key_missing, NETWORK, (p->manifest.keys++, p->manifest.key_count--), "first/Square' needs key 0")          \
    X(relin_key_low, NETWORK, key_of(p, false)->level--, "first/Square' needs key 0 at level 4")                       \
    X(keys_out_of_order, NETWORK, p->manifest.keys[1].galois = 0, "key 1 of the list")                                 \
    X(reads_undefined, NETWORK, p->ops[1].src[0] = 3, "first/Square' reads value 3")                                   \
    X(reads_itself, NETWORK, p->ops[1].src[0] = 2, "first/Square' reads value 2")                                      \
    X(reads_outside, NETWORK, p->ops[1].src[0] = UINT32_MAX, "first/Square' reads value 4294967295")                   \
    X(second_outside, BRANCHES, op_of(p, VL_OP_ADD)->src[1] = 99, "sum' reads value 99")                               \
    X(writes_twice, NETWORK, p->ops[1].dst = 1, "first/Square' writes value 1")                                        \
    X(writes_input, NETWORK, p->ops[1].dst = 0, "first/Square' writes value 0")                                        \
    X(writes_outside, NETWORK, p->ops[1].dst = 5, "first/Square' writes value 5")                                      \
    X(square_period, NETWORK, p->values[2].layout.period = 16, "first/Square': layouts")                               \
    X(square_dim, NETWORK, p->values[2].layout.dim = 7, "first/Square': layouts")                                      \
    X(square_valid, NETWORK, (p->values[1].layout.valid = 8, p->values[2].layout.valid = 9), "first/Square': layouts") \
    X(mask_valid, NETWORK, p->values[4].layout.valid = p->values[3].layout.valid, "mask': layouts")                    \
    X(add_layouts, BRANCHES, p->values[op_of(p, VL_OP_ADD)->dst].layout.dim = 7, "sum': layouts")                      \
    X(mul_layouts, BRANCHES, p->ops[1].src[1] = 0, "product': layouts")                                                \
    X(add_scales, BRANCHES, (op_of(p, VL_OP_POLY)->plain_scale *= 2, p->values[op_of(p, VL_OP_POLY)->dst].scale *= 2), \
      "sum' adds scales")                                                                                              \
    X(poly_scale, BRANCHES, p->values[op_of(p, VL_OP_POLY)->dst].scale *= 2, "curve' gives scale")                     \
    X(name_control, NETWORK, p->ops[1].name[0] = '\033', "control characters")                                         \
    X(input_control, NETWORK, p->manifest.inputs[0].name[0] = '\n', "control characters")                              \
    X(output_control, NETWORK, p->manifest.outputs[0][0] = '\r', "control characters")                                 \
    X(notes_control, NETWORK, p->notes[0] = '\a', "control characters")                                                \
    X(weight_nan, NETWORK, p->ops[0].weights[7] = NAN, "first/Gemm': weight 7 is")                                     \
    X(weight_infinite, SPREAD, p->ops[2].weights[15] = -INFINITY, "last/Gemm': weight 15 is -inf")                     \
    X(weight_huge, NETWORK, p->ops[0].weights[0] = 0x1p41, "first/Gemm': weight 0")                                    \
    X(bias_nan, NETWORK, p->ops[2].bias[1] = NAN, "last/Gemm': bias 1 is")                                             \
    X(bias_huge, NETWORK, p->ops[2].bias[1] = 0x1p41, "last/Gemm': bias 1 is")                                         \
    X(coefficient_nan, BRANCHES, op_of(p, VL_OP_POLY)->coeffs[2] = NAN, "curve': coefficient 2")                       \
    X(coefficient_huge, BRANCHES, op_of(p, VL_OP_POLY)->coeffs[0] = -0x1p41, "curve': coefficient 0 is -2")            \
    X(interval_empty, CHEBYSHEV, op_of(p, VL_OP_POLY)->poly.hi = -4, "curve': polynomial on the interval")             \
    X(interval_narrow, CHEBYSHEV, op_of(p, VL_OP_POLY)->poly.hi = -4 + 0x1p-45, "curve': polynomial on")               \
    X(interval_nan, CHEBYSHEV, op_of(p, VL_OP_POLY)->poly.lo = NAN, "curve': polynomial on the interval")              \
    X(interval_huge, CHEBYSHEV, op_of(p, VL_OP_POLY)->poly.hi = 0x1p50, "curve': polynomial on the interval")          \
    X(seconds_nan, NETWORK, p->ops[1].seconds = NAN, "first/Square': nan seconds")                                     \
    X(diagonal_negative, NETWORK, p->ops[1].diagonal_seconds = -1, "predicted, -1 a diagonal")                         \
    X(query_nan, NETWORK, p->query_seconds = NAN, "nan and 0.001 seconds predicted for its messages")                  \
    X(answer_infinite, NETWORK, p->answer_seconds = INFINITY, "0.002 and inf seconds predicted for its messages")      \
    X(no_weights, NETWORK, (vl_free(p->ops[0].weights), p->ops[0].weights = NULL), "first/Gemm': 8 x 5 weights")       \
    X(rows, NETWORK, p->ops[0].rows = 7, "first/Gemm': 7 x 5 weights")                                                 \
    X(cols, NETWORK, p->ops[0].cols = 4, "first/Gemm': 8 x 4 weights")                                                 \
    X(not_spread, NETWORK, p->ops[0].kind = VL_OP_MIX, "first/Gemm': values are not spread")                           \
    X(plan_copies, NETWORK, p->ops[0].plan.copies *= 2, "linear map")                                                  \
    X(plan_babies, NETWORK, p->ops[0].plan.babies = 0, "linear map")                                                   \
    X(plan_valid, NETWORK, p->ops[0].plan.valid_out++, "linear map")                                                   \
    X(plan_folds, NETWORK, p->ops[2].plan.folds = 1, "linear map")                                                     \
    X(plan_rows, NETWORK, p->ops[0].plan.shape.rows = 7, "first/Gemm': plan and layouts disagree")                     \
    X(plan_cols, NETWORK, p->ops[0].plan.shape.cols = 4, "first/Gemm': plan and layouts disagree")                     \
    X(claims_more_valid, NETWORK, p->values[3].layout.valid = p->ops[2].plan.valid_out + 1, "last/Gemm': plan")        \
    X(plan_reads_invalid, NETWORK, (p->values[1].layout.valid = 8, p->values[2].layout.valid = 8), "last/Gemm': plan") \
    X(bound_overflows, NETWORK, p->values[4].bound = 0x1p12, "value 4 of up to 4096 at scale")                         \
    X(bound_nan, NETWORK, p->values[1].bound = NAN, "value 1 has bound")                                               \
    X(bound_negative, NETWORK, p->values[1].bound = -1, "value 1 has bound")                                           \
    X(value_scale, NETWORK, p->values[3].scale = 0, "value 3 has scale 0")                                             \
    X(value_scale_huge, NETWORK, p->values[0].scale = 0x1p61, "value 0 has scale")                                     \
    X(value_level_zero, NETWORK, p->values[4].level = 0, "value 4 at level 0")                                         \
    X(value_level_high, NETWORK, p->values[0].level = 6, "value 0 at level 6")                                         \
    X(value_slots, NETWORK, (p->values[0].layout.slots = 64, p->values[0].layout.valid = 64), "value 0 has 64 slots")  \
    X(value_layout, NETWORK, p->values[1].layout.lanes = 3, "layout: 3 lanes")                                         \
    X(output_is_input, NETWORK, p->output = 0, "output is value 0")                                                    \
    X(output_outside, NETWORK, p->output = 5, "output is value 5")                                                     \
    X(output_not_written, NETWORK, p->op_count--, "output is value 4")                                                 \
    X(other_output, NETWORK, p->output = 3, "disagree about input or output")                                          \
    X(out_level, NETWORK, p->manifest.out_level = 2, "disagree about input or output")                                 \
    X(out_scale, NETWORK, p->manifest.out_scale *= 1.5, "disagree about input or output")                              \
    X(out_layout, NETWORK, p->manifest.out.valid++, "disagree about input or output")                                  \
    X(in_level, NETWORK, p->manifest.in_level--, "disagree about input or output")                                     \
    X(in_scale, NETWORK, p->manifest.in_scale *= 0.5, "disagree about input or output")                                \
    X(in_layout, NETWORK, p->manifest.in.dim--, "disagree about input or output")                                      \
    X(public_key_low, SPREAD, p->manifest.zero_nq = 0, "public key at level 0, answers at 1")                          \
    X(no_operations, NETWORK, p->op_count = 0, "empty")                                                                \
    X(no_values, NETWORK, p->value_count = 0, "empty")                                                                 \
    X(no_limbs, NETWORK, p->manifest.params.q_count = 0, "0 limbs")                                                    \
    X(too_many_limbs, NETWORK, p->manifest.params.q_count = VL_MAX_LIMBS + 1, "65 limbs")

typedef struct breakage {
    const char *what;
    build_net net;
    void (*apply)(vl_program *p);
    const char *words;
} breakage;

#define X(what, net, how, words)                                                                                       \
    static void break_##what(vl_program *p) { (void)(how); }
BREAKS(X)
#undef X

static const breakage breaks[] = {
#define X(what, net, how, words) {#what, BUILD_##net, break_##what, words},
    BREAKS(X)
#undef X
};

static void each_rule_refuses(void **state) {
    (void)state;
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        const breakage *b = &breaks[i];
        vl_program p;
        build_program(&(build_options){.net = b->net}, &p);
        assert_int_equal(vl_program_verify(&p), VELUM_OK);
        vl_program before = p;
        b->apply(&p);
        velum_status status = vl_program_verify(&p);
        if (status != VELUM_E_FORMAT || !strstr(velum_last_error(), b->words)) {
            print_error("%s: status %d, '%s' lacks '%s'\n", b->what, status, velum_last_error(), b->words);
            wrong++;
        }
        vl_writer w = vl_writer_of((size_t)1 << 20);
        if (vl_program_save(&p, &w) != VELUM_E_FORMAT || w.size) wrong++; // nor can it be saved
        p.op_count = before.op_count;
        p.manifest.keys = before.manifest.keys;
        vl_program_clear(&p);
    }
    assert_int_equal(wrong, 0);
}

// The level of an operation that ends at level 1 and the slack of a scale within rounding are fine.
static void rounding_is_not_refused(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){0}, &p);
    p.values[2].scale *= 1 + 0x1p-50;
    p.manifest.in_scale *= 1 + 0x1p-50;
    assert_int_equal(vl_program_verify(&p), VELUM_OK);
    vl_program_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_refuses),
        cmocka_unit_test(rounding_is_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
