// SPDX-License-Identifier: Apache-2.0
// Programs on pictures that are refused: each rule of the verifier broken by itself, and damaged files.
#include "program/mutate.h"
#include "program/picture.h"
#include "program/spread.h"
#include "runtime/program_api.h"
#include "test.h"

#include <string.h>

#define MAP p->ops[0].spread
#define LAYOUT(i) p->values[i].layout
#define FOLD p->ops[7]

// X(what is broken, how, words of the message). Operations: 0, 2, 4, 6 linear, 1, 3, 5 squares, 7 fold, 8 mask;
// operation i writes value i + 1.
#define BREAKS(X)                                                                                                      \
    X(copies_too_many, MAP.copies = VL_SPREAD_MAX_COPIES + 1, "first/Conv'")                                           \
    X(sources_too_many, MAP.sources = VL_SPREAD_MAX_CTS + 1, "first/Conv'")                                            \
    X(sources_more, MAP.sources++, "first/Conv': a map of 3 ciphertexts to 4 between values of 2 and 4")               \
    X(outputs_fewer, MAP.outputs--, "first/Conv': a map of 2 ciphertexts to 3 between values of 2 and 4")              \
    X(second_left_out, p->ops[4].src[1] = p->ops[4].src[0], "third/Conv': a map of 6 ciphertexts to 2 between values") \
    X(second_unused, p->ops[2].src[1] = 1, "second/Conv': a map of 4 ciphertexts to 2 between values of 8")            \
    X(second_missing, p->ops[4].src[1] = 77, "third/Conv' reads value 77")                                             \
    X(map_parts, MAP.parts = 1, "first/Conv': map and pictures disagree")                                              \
    X(map_parts_none, MAP.parts = 0, "first/Conv'")                                                                    \
    X(map_period, MAP.period = 3, "first/Conv'")                                                                       \
    X(map_period_wide, MAP.period = 16, "first/Conv'")                                                                 \
    X(map_period_bias, MAP.bias_period = 4, "first/Conv'")                                                             \
    X(copy_source, MAP.copy[11].source = 2, "first/Conv'")                                                             \
    X(copy_far, MAP.copy[11].rotation = 128, "first/Conv'")                                                            \
    X(copy_far_back, MAP.copy[0].rotation = INT32_MIN, "first/Conv'")                                                  \
    X(copy_twice, MAP.copy[1] = MAP.copy[0], "first/Conv'")                                                            \
    X(row_long, MAP.start[1] = 1u << 20, "first/Conv'")                                                                \
    X(row_late, MAP.start[0] = 1, "first/Conv'")                                                                       \
    X(row_back, MAP.start[1] = MAP.start[2] + 1, "first/Conv'")                                                        \
    X(entry_copy, MAP.col[3] = 12, "first/Conv'")                                                                      \
    X(entry_twice, MAP.col[1] = MAP.col[0], "first/Conv'")                                                             \
    X(entry_pattern, MAP.through[2] = MAP.patterns, "first/Conv'")                                                     \
    X(weight_nan, MAP.weight[2] = NAN, "first/Conv'")                                                                  \
    X(weight_large, MAP.weight[2] = 0x1p40, "first/Conv': output 0, copy 2: weight 1.09951e+12 does not fit")          \
    X(pattern_nan, MAP.pattern[4] = NAN, "first/Conv'")                                                                \
    X(pattern_large, MAP.pattern[4] = -0x1p40, "does not fit its scale")                                               \
    X(bias_infinite, MAP.bias[4] = INFINITY, "first/Conv'")                                                            \
    X(bias_large, MAP.bias[4] = 0x1p32, "first/Conv': bias 4 is 4.29497e+09 at scale")                                 \
    X(plain_scale, p->ops[0].plain_scale *= 1.5, "first/Conv' gives scale")                                            \
    X(plain_scale_small, p->ops[0].plain_scale = 0.5, "first/Conv': scale 0.5 of its constants")                       \
    X(linear_level, p->values[1].level++, "first/Conv' at level 6 leaves 5, 6 is declared")                            \
    X(squares_level, p->values[2].level--, "first/Square' at level 5 leaves 5, 4 is declared")                         \
    X(squares_scale, p->values[2].scale /= 2, "first/Square' gives scale")                                             \
    X(squares_layout, (LAYOUT(2).stride_y = 1, LAYOUT(2).stride_x = 2), "first/Square': layouts")                      \
    X(squares_bias_nan, p->ops[1].bias[3] = NAN, "first/Square': bias 3 is")                                           \
    X(squares_bias_large, p->ops[1].bias[3] = 0x1p41, "first/Square': bias 3 is")                                      \
    X(squares_bound, p->values[2].bound = 0x1p190, "value 2 of up to")                                                 \
    X(scale_huge, p->values[2].scale = 0x1p101, "value 2 has scale")                                                   \
    X(parts_mixed, (LAYOUT(8).parts = 1, LAYOUT(8).lanes /= 2), "last/Pool': pictures of its operand and result")      \
    X(fold_none, FOLD.count = 0, "last/Pool': 0 rotations")                                                            \
    X(fold_many, FOLD.count = VL_FOLD_MOST + 1, "last/Pool': 17 rotations")                                            \
    X(fold_nothing, FOLD.rotation[1] = 0, "last/Pool': rotation 1 by 0")                                               \
    X(fold_far, FOLD.rotation[0] = -128, "last/Pool': rotation 0 by -128")                                             \
    X(fold_level, p->values[8].level--, "last/Pool' at level 2 leaves 2, 1 is declared")                               \
    X(fold_key, FOLD.rotation[0] = 64, "last/Pool' needs key")                                                         \
    X(mask_layout, LAYOUT(9).stride_x = 1, "mask': layouts")                                                           \
    X(square_of_pictures, p->ops[1].kind = VL_OP_SQUARE, "first/Square': a 'square' takes and gives no pictures")      \
    X(mix_of_pictures, p->ops[0].kind = VL_OP_MIX, "takes and gives no pictures")                                      \
    X(conjugation_missing, p->manifest.key_count--, "first/Square' needs key 511 at level 5")                          \
    X(rotation_key_low, p->manifest.keys[1].level = 1, "needs key")                                                    \
    X(not_a_picture,                                                                                                   \
      (LAYOUT(0) = (vl_layout){.slots = 128, .dim = 16, .period = 16, .lanes = 8, .cts = 1, .valid = 16}),             \
      "first/Conv': a 'linear (pictures)' takes and gives pictures")

typedef struct breakage {
    const char *what, *words;
    void (*apply)(vl_program *p);
} breakage;

#define X(what, how, words)                                                                                            \
    static void break_##what(vl_program *p) { (void)(how); }
BREAKS(X)
#undef X

static const breakage breaks[] = {
#define X(what, how, words) {#what, words, break_##what},
    BREAKS(X)
#undef X
};

static void each_rule_refuses(void **state) {
    (void)state;
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        picture_net net;
        picture_program(&(picture_options){0}, &net);
        assert_int_equal(vl_program_verify(&net.program), VELUM_OK);
        breaks[i].apply(&net.program);
        velum_status status = vl_program_verify(&net.program);
        if (status != VELUM_E_FORMAT || !strstr(velum_last_error(), breaks[i].words)) {
            print_error("%s: status %d, '%s' lacks '%s'\n", breaks[i].what, status, velum_last_error(),
                        breaks[i].words);
            wrong++;
        }
        vl_program_clear(&net.program);
    }
    assert_int_equal(wrong, 0);
}

// The second value's scale decides the scale of its weights: below 1 they would all be rounded away.
static void second_scale(void **state) {
    (void)state;
    for (int fine = 0; fine < 2; fine++) {
        picture_net net;
        picture_program(&(picture_options){.parts = 1}, &net);
        vl_program *p = &net.program;
        vl_op *third = &p->ops[4], *square = &p->ops[1];
        square->kind = VL_OP_FOLD; // which keeps any scale
        square->count = 1;
        square->rotation[0] = FOLD.rotation[0];
        for (uint32_t i = 0; i < p->manifest.key_count; i++) p->manifest.keys[i].level = PICTURE_LEVELS;
        const double other = p->values[third->src[0]].scale * (fine ? 2 : 4);
        p->values[0].scale *= 0x1p30;
        p->values[1].scale = p->values[2].scale = other;
        p->ops[0].plain_scale = other * (double)p->manifest.params.q[PICTURE_LEVELS - 1] / p->values[0].scale;
        p->ops[2].plain_scale = p->values[3].scale * (double)p->manifest.params.q[PICTURE_LEVELS - 2] / other;
        third->plain_scale = 2;
        p->values[third->dst].scale = vl_program_result_scale(&p->manifest.params, p, third);
        assert_int_equal(vl_program_verify(p), VELUM_E_FORMAT);
        const char *words = fine ? "third/Square' gives scale" : "third/Conv': its second value's weights at scale 0.5";
        if (!strstr(velum_last_error(), words)) fail_msg("'%s' lacks '%s'", velum_last_error(), words);
        vl_program_clear(p);
    }
}

// ---- the saved form against damage ----

static void cut_short(void **state) {
    (void)state;
    velum_buffer file, half;
    picture_files(&(picture_options){0}, &file, &half);
    uint8_t *copy = malloc(file.size);
    for (size_t size = VL_FRAME_HEAD + VL_DIGEST_BYTES; size < file.size; size++) {
        vl_program p;
        memcpy(copy, file.data, size);
        build_reseal(copy, size);
        mutate_forget_error();
        assert_int_not_equal(vl_program_load(copy, size, &p), VELUM_OK);
        assert_string_not_equal(velum_last_error(), "");
    }
    free(copy);
    velum_buffer_free(&file);
    velum_buffer_free(&half);
}

// Counts far beyond the file ask for no memory.
static void counts_are_held_against_the_file(void **state) {
    (void)state;
    const uint32_t heads[][7] = {{8192, 8192, 65536, 65536, 1u << 11, 1, 2},
                                 {1, 1, 1, 65536, UINT32_MAX, 0, 2},
                                 {1, 8192, 1, 0, 8, UINT32_MAX, 2},
                                 {UINT32_MAX, 1, 1, 0, 8, 0, 1},
                                 {1, 1, UINT32_MAX, 0, 8, 0, 1},
                                 {1, 2, 1, 0, 8, 0, 1}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        vl_writer w = vl_writer_of(4096);
        for (size_t k = 0; k < 7; k++) vl_write_u32(&w, heads[i][k]);
        vl_write_u64(&w, 0);                                           // a copy
        for (uint32_t r = 0; r < 2; r++) vl_write_u32(&w, UINT32_MAX); // entries
        vl_reader r = vl_reader_of(w.data, w.size);
        vl_spread s = {.copies = 77}, before = s;
        assert_int_equal(vl_spread_load(&r, "it", &s), VELUM_E_FORMAT);
        assert_non_null(strstr(velum_last_error(), "it: a spread map"));
        assert_memory_equal(&s, &before, sizeof s);
        vl_writer_clear(&w);
    }
}

// What still loads can be explained, priced and run in the clear.
static bool use(const uint8_t *data, size_t size) {
    velum_program *open;
    vl_program p;
    if (vl_program_load(data, size, &p) != VELUM_OK) return false;
    vl_program_clear(&p);
    if (velum_program_open(data, size, &open) != VELUM_OK) return true;
    velum_info info;
    velum_buffer text;
    velum_program_info(open, &info);
    assert_int_equal(velum_program_explain(open, &text), VELUM_OK);
    velum_buffer_free(&text);
    double *raw = calloc(info.inputs, sizeof *raw);
    velum_table in = {.columns = info.inputs, .rows = 1, .values = raw}, out;
    if (velum_program_simulate(open, &in, &out) == VELUM_OK) velum_table_free(&out);
    free(raw);
    velum_program_free(open);
    return true;
}

static void random_payloads(void **state) {
    (void)state;
    velum_buffer file, half;
    picture_files(&(picture_options){0}, &file, &half);
    uint8_t *copy = malloc(file.size + MUTATE_ROOM);
    uint32_t loaded = 0, count = 3000;
    for (uint64_t seed = 0; seed < count; seed++) {
        uint64_t random = seed;
        memcpy(copy, file.data, file.size);
        size_t size = mutate_payload(&random, copy, file.size);
        mutate_forget_error();
        if (use(copy, size))
            loaded++;
        else if (!*velum_last_error())
            fail_msg("seed %llu: no reason", (unsigned long long)seed);
    }
    assert_true(loaded > count / 50 && loaded < count * 49 / 50); // both happen
    free(copy);
    velum_buffer_free(&file);
    velum_buffer_free(&half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_refuses), cmocka_unit_test(second_scale),
        cmocka_unit_test(cut_short),         cmocka_unit_test(counts_are_held_against_the_file),
        cmocka_unit_test(random_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
