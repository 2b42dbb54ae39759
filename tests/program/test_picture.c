// SPDX-License-Identifier: Apache-2.0
// Programs on pictures: what the verifier takes and refuses, the saved form, the run in the clear against dense
// matrices.
#include "program/listing.h"
#include "program/picture.h"
#include "runtime/program_api.h"
#include "test.h"

#include <string.h>

static const picture_options all[] = {{0}, {.parts = 1}, {.log_n = 9}, {.log_n = 10, .parts = 1}};
#define ALL (sizeof all / sizeof *all)

static void good_programs_are_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        picture_net net;
        picture_program(&all[i], &net);
        if (vl_program_verify(&net.program) != VELUM_OK) fail_msg("%zu: %s", i, velum_last_error());
        const vl_program *p = &net.program;
        const vl_spread *map = &p->ops[2].spread; // of stride 2: everything goes through a pattern
        vl_spread_cost cost = vl_spread_count(map);
        assert_int_equal(cost.patterned, cost.products);
        assert_true(cost.rotations > 0 && cost.rotations < map->copies);
        vl_program_clear(&net.program);
    }
}

static velum_table rows_of(uint64_t rows) {
    velum_table t = {.columns = PICTURE_PIXELS, .rows = rows, .values = malloc(rows * PICTURE_PIXELS * sizeof(double))};
    assert_non_null(t.values);
    for (uint64_t r = 0; r < rows; r++) picture_row(r, t.values + r * PICTURE_PIXELS);
    return t;
}

// Several groups, and every number of requests in one.
static void computed_in_the_clear(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        picture_net net;
        velum_buffer file, half;
        velum_program *p;
        picture_program(&all[i], &net);
        picture_files(&all[i], &file, &half);
        assert_int_equal(velum_program_open(file.data, file.size, &p), VELUM_OK);
        for (uint64_t rows = 1; rows < 70; rows += 1 + rows / 2) {
            velum_table in = rows_of(rows), out;
            assert_int_equal(velum_program_simulate(p, &in, &out), VELUM_OK);
            assert_int_equal(out.rows, rows);
            for (uint64_t r = 0; r < rows; r++) {
                double want[BUILD_OUTPUTS];
                picture_expected(&net, in.values + r * PICTURE_PIXELS, want);
                for (uint32_t k = 0; k < BUILD_OUTPUTS; k++)
                    if (!(fabs(out.values[r * BUILD_OUTPUTS + k] - want[k]) < 1e-12))
                        fail_msg("row %u: %.15g, not %.15g", (unsigned)r, out.values[r * BUILD_OUTPUTS + k], want[k]);
            }
            free(in.values);
            velum_table_free(&out);
        }
        velum_program_free(p);
        velum_buffer_free(&file);
        velum_buffer_free(&half);
        vl_program_clear(&net.program);
    }
}

static void same_op(const vl_op *x, const vl_op *y) {
    const vl_spread *s = &x->spread, *t = &y->spread;
    assert_true(s->sources == t->sources && s->outputs == t->outputs && s->copies == t->copies &&
                s->patterns == t->patterns && s->period == t->period && s->bias_period == t->bias_period &&
                s->parts == t->parts);
    if (x->kind == VL_OP_SPREAD) {
        size_t n = s->start[s->outputs];
        assert_memory_equal(s->copy, t->copy, s->copies * sizeof *s->copy);
        assert_memory_equal(s->start, t->start, (s->outputs + 1) * sizeof *s->start);
        assert_memory_equal(s->col, t->col, n * sizeof *s->col);
        assert_memory_equal(s->weight, t->weight, n * sizeof *s->weight);
        assert_memory_equal(s->through, t->through, n * sizeof *s->through);
        assert_memory_equal(s->pattern, t->pattern, (size_t)s->patterns * s->period * sizeof *s->pattern);
        assert_memory_equal(s->bias, t->bias, (size_t)s->outputs * s->bias_period * sizeof *s->bias);
    }
    assert_int_equal(x->count, y->count);
    assert_memory_equal(x->rotation, y->rotation, sizeof x->rotation);
}

static void saved_and_loaded(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        picture_net net;
        vl_program q;
        picture_program(&all[i], &net);
        vl_program *p = &net.program;
        vl_writer w = vl_writer_of((size_t)1 << 22), again = w;
        assert_int_equal(vl_program_save(p, &w), VELUM_OK);
        assert_int_equal(vl_program_load(w.data, w.size, &q), VELUM_OK);
        for (uint32_t k = 0; k < p->op_count; k++) {
            same_op(&p->ops[k], &q.ops[k]);
            if (p->ops[k].kind != VL_OP_SQUARES) continue;
            const uint32_t cts = p->values[p->ops[k].dst].layout.cts;
            assert_memory_equal(p->ops[k].bias, q.ops[k].bias, cts * sizeof(double));
        }
        for (uint32_t k = 0; k < p->value_count; k++)
            assert_true(vl_layout_same(&p->values[k].layout, &q.values[k].layout, false));
        assert_int_equal(vl_program_save(&q, &again), VELUM_OK);
        assert_int_equal(again.size, w.size);
        assert_memory_equal(again.data, w.data, w.size);
        vl_writer_clear(&w);
        vl_writer_clear(&again);
        vl_program_clear(p);
        vl_program_clear(&q);
    }
}

// Keys are asked for once, at the highest level at which they are used.
static void keys_and_costs(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        picture_net net;
        picture_program(&(picture_options){.parts = parts}, &net);
        const vl_program *p = &net.program;
        vl_key_request need[64];
        for (uint32_t i = 0; i < p->op_count; i++) {
            const vl_op *op = &p->ops[i];
            uint32_t n = vl_program_op_keys(p, op, need, 64);
            uint32_t want = op->kind == VL_OP_SQUARES ? parts : op->kind == VL_OP_FOLD ? op->count : n;
            if (op->kind == VL_OP_MASK) want = 0;
            assert_int_equal(n, want);
            for (uint32_t k = 0; k < n; k++) assert_int_equal(need[k].level, op->level);
            for (uint32_t k = 1; k < n; k++) assert_true(need[k].galois != need[k - 1].galois);
            if (op->kind == VL_OP_SPREAD && n > 1) assert_int_equal(vl_program_op_keys(p, op, need, 1), 1);
        }
        assert_true(p->values[2].scale == (parts == 2 ? 4 : 1) * p->values[1].scale * p->values[1].scale);
        assert_int_equal(p->values[2].level, p->values[1].level);
        vl_program_clear(&net.program);
    }
}

static void explained(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        picture_net net;
        picture_program(&all[i], &net);
        vl_writer w = vl_writer_of((size_t)1 << 20);
        assert_int_equal(vl_program_explain(&net.program, &w), VELUM_OK);
        vl_write_u8(&w, 0);
        const char *text = (const char *)w.data;
        const char *words[] = {"image_0 to _15 0 to 255",
                               "pictures   1 x 4 x 4 in 2 x 1 phases, 8 slots each",
                               "linear (pictures)",
                               "square (pictures)",
                               "fold",
                               "2 cts, 2 sums",
                               "2 -> 4 cts, 12 copies, 10 rotations, 36 products (28 masked)",
                               "6 -> 2 cts, 4 copies, 0 rotations, 8 products",
                               all[i].parts == 1 ? "8 relinearisations, 0 conjugations"
                                                 : "8 relinearisations, 8 conjugations"};
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (!strstr(text, words[k])) fail_msg("'%s' is not in\n%s", words[k], text);
        assert_null(strstr(text, "image_1 "));
        assert_null(listing_one_of_many(text));
        vl_writer_clear(&w);
        vl_program_clear(&net.program);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_programs_are_accepted),
        cmocka_unit_test(computed_in_the_clear),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(keys_and_costs),
        cmocka_unit_test(explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
