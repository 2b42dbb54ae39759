// SPDX-License-Identifier: Apache-2.0
// Programs built by hand: what the verifier accepts, what explain prints, the saved form against damage.
#include "base/text.h"
#include "program/listing.h"
#include "program/mutate.h"
#include "runtime/program_api.h"
#include "test.h"

#include <string.h>

static const build_options all[] = {
    {.net = BUILD_NETWORK},   {.net = BUILD_NETWORK, .lanes = 4},      {.net = BUILD_NETWORK, .log_n = 10, .lanes = 16},
    {.net = BUILD_BRANCHES},  {.net = BUILD_BRANCHES, .lanes = 4},     {.net = BUILD_SPREAD},
    {.net = BUILD_CHEBYSHEV}, {.net = BUILD_NETWORK, .security = 128},
};
#define ALL (sizeof all / sizeof *all)

static void good_programs_are_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        vl_program p;
        vl_params *params;
        build_program(&all[i], &p);
        if (vl_program_verify(&p) != VELUM_OK) fail_msg("%zu: %s", i, velum_last_error());
        assert_int_equal(vl_params_new(&p.manifest.params, NULL, &params), VELUM_OK);
        assert_int_equal(params->security, all[i].security);
        vl_params_free(params);
        vl_program_clear(&p);
    }
}

static void same_program(const vl_program *a, const vl_program *b) {
    assert_int_equal(a->value_count, b->value_count);
    assert_int_equal(a->op_count, b->op_count);
    assert_memory_equal(a->digest, b->digest, sizeof a->digest);
    assert_string_equal(a->notes, b->notes);
    assert_true(a->query_seconds == 0.002 && b->query_seconds == 0.002);
    assert_true(a->answer_seconds == 0.001 && b->answer_seconds == 0.001);
    for (uint32_t i = 0; i < a->op_count; i++) {
        const vl_op *x = &a->ops[i], *y = &b->ops[i];
        assert_int_equal(x->kind, y->kind);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->dst, y->dst);
        assert_memory_equal(x->src, y->src, sizeof x->src);
        assert_true(x->level == y->level && x->plain_scale == y->plain_scale && x->seconds == y->seconds);
        assert_memory_equal(&x->plan, &y->plan, sizeof x->plan);
        if (x->weights) assert_memory_equal(x->weights, y->weights, (size_t)x->rows * x->cols * 8);
        if (x->bias) assert_memory_equal(x->bias, y->bias, (size_t)x->rows * 8);
        assert_true(x->poly.degree == y->poly.degree && x->poly.lo == y->poly.lo && x->poly.hi == y->poly.hi);
        if (x->coeffs) assert_memory_equal(x->coeffs, y->poly.c, (x->poly.degree + 1) * 8);
    }
}

static void saved_and_loaded(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        vl_program p, q;
        build_program(&all[i], &p);
        vl_writer w = vl_writer_of((size_t)1 << 20), again = vl_writer_of((size_t)1 << 20);
        assert_int_equal(vl_program_save(&p, &w), VELUM_OK);
        assert_int_equal(vl_program_load(w.data, w.size, &q), VELUM_OK);
        same_program(&p, &q);
        assert_int_equal(vl_program_save(&q, &again), VELUM_OK);
        assert_int_equal(again.size, w.size);
        assert_memory_equal(again.data, w.data, w.size);
        vl_writer_clear(&w);
        vl_writer_clear(&again);
        vl_program_clear(&p);
        vl_program_clear(&q);
    }
}

static void client_half_is_the_manifest(void **state) {
    (void)state;
    vl_program p;
    build_program(&all[0], &p);
    vl_writer program = vl_writer_of((size_t)1 << 20), half = program, a = program, b = program;
    assert_int_equal(vl_program_save(&p, &program), VELUM_OK);
    assert_int_equal(vl_client_half_save(&p, &half), VELUM_OK);
    vl_manifest m;
    uint8_t digest[VL_DIGEST_BYTES];
    assert_int_equal(vl_client_half_load(half.data, half.size, &m, digest), VELUM_OK);
    assert_memory_equal(digest, p.digest, sizeof digest);
    vl_manifest_save(&p.manifest, &a);
    vl_manifest_save(&m, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    // No weight of the model is in it.
    for (size_t at = 0; at + 16 <= half.size; at++) assert_memory_not_equal(half.data + at, p.ops[0].weights, 16);
    assert_int_equal(vl_client_half_load(program.data, program.size, &m, digest), VELUM_E_FORMAT);
    assert_non_null(strstr(velum_last_error(), "this is a program, not a client program"));
    vl_manifest_clear(&m);
    vl_writer_clear(&program);
    vl_writer_clear(&half);
    vl_writer_clear(&a);
    vl_writer_clear(&b);
    vl_program_clear(&p);
}

// Another weight, bias, name or scale is another program.
static void identity_covers_everything(void **state) {
    (void)state;
    vl_program p;
    build_program(&all[0], &p);
    uint8_t first[VL_DIGEST_BYTES];
    vl_writer w = vl_writer_of((size_t)1 << 20);
    assert_int_equal(vl_program_save(&p, &w), VELUM_OK);
    memcpy(first, p.digest, sizeof first);
    vl_writer_clear(&w);
    p.ops[2].weights[15] += 0x1p-50;
    assert_int_equal(vl_program_save(&p, &w), VELUM_OK);
    assert_memory_not_equal(first, p.digest, sizeof first);
    vl_writer_clear(&w);
    vl_program_clear(&p);
}

static void explain_prints_every_operation(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        vl_program p;
        build_program(&all[i], &p);
        vl_writer w = vl_writer_of((size_t)1 << 20);
        assert_int_equal(vl_program_explain(&p, &w), VELUM_OK);
        vl_write_u8(&w, 0);
        const char *text = (const char *)w.data;
        for (uint32_t k = 0; k < p.op_count; k++) {
            const char *line = strstr(text, p.ops[k].name);
            assert_non_null(line);
            const char *kind = strstr(line, vl_op_text(p.ops[k].kind));
            assert_true(kind && kind < strchr(line, '\n'));
        }
        const char *words[] = {"error      about 2^-",
                               " expected, declared bound 2^-",
                               "hand-built",
                               "age",
                               "sex",
                               "code",
                               "0 to 120",
                               "years",
                               "first/Relu became a square",
                               "client     "};
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) assert_non_null(strstr(text, words[k]));
        const char *wrong = listing_one_of_many(text);
        if (wrong) fail_msg("'%.16s' in\n%s", wrong, text);
        vl_writer_clear(&w);
        vl_program_clear(&p);
    }
}

static void one_is_not_many(void **state) {
    (void)state;
    const char *const right[] = {"1 copy",     "21 copies",    "0.1 copies", "2^1 copies",
                                 "1 -> 2 cts", "8 x 1 phases", "1 of us",    ""};
    const char *const wrong[] = {"1 copies", "16x16: 1 copies", "rotations (1 keys)"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) assert_null(listing_one_of_many(right[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_non_null(listing_one_of_many(wrong[i]));
    assert_string_equal(vl_count(0, "copy", "copies").s, "0 copies");
    assert_string_equal(vl_count(1, "copy", "copies").s, "1 copy");
    assert_string_equal(vl_count(UINT64_MAX, "copy", "copies").s, "18446744073709551615 copies");
}

// ---- the saved form against damage ----

static void refuse_file(const uint8_t *data, size_t size) {
    vl_program p, before;
    memset(&p, 0x5a, sizeof p);
    before = p;
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    mutate_forget_error();
    velum_status status = vl_program_load(copy, size, &p);
    free(copy);
    assert_int_not_equal(status, VELUM_OK);
    assert_string_not_equal(velum_last_error(), "");
    assert_memory_equal(&p, &before, sizeof p);
}

static void damage_is_refused(void **state) {
    (void)state;
    velum_buffer file, half;
    build_files(&all[0], &file, &half);
    uint8_t *copy = malloc(file.size);
    memcpy(copy, file.data, file.size);
    for (size_t cut = 0; cut < file.size; cut++) refuse_file(copy, cut);
    for (size_t at = 0; at < file.size; at++)
        for (unsigned flip = 1; flip < 256; flip = 5 * flip + 1) {
            copy[at] = (uint8_t)(copy[at] ^ flip);
            refuse_file(copy, file.size);
            copy[at] = (uint8_t)(copy[at] ^ flip);
        }
    for (size_t size = VL_FRAME_HEAD + VL_DIGEST_BYTES; size < file.size; size++) {
        memcpy(copy, file.data, size);
        build_reseal(copy, size);
        refuse_file(copy, size);
    }
    // bytes left over, with a digest that fits
    uint8_t *longer = calloc(1, file.size + 1);
    memcpy(longer, file.data, file.size);
    build_reseal(longer, file.size + 1);
    refuse_file(longer, file.size + 1);
    free(longer);
    free(copy);
    velum_buffer_free(&file);
    velum_buffer_free(&half);
}

// What still loads is verified, and can be explained, priced and simulated.
static bool use(const uint8_t *data, size_t size) {
    vl_program p;
    if (vl_program_load(data, size, &p) != VELUM_OK) return false;
    assert_int_equal(vl_program_verify(&p), VELUM_OK);
    vl_program_clear(&p);
    velum_program *open;
    if (velum_program_open(data, size, &open) != VELUM_OK) return true;
    velum_info info;
    velum_buffer text;
    velum_program_info(open, &info);
    assert_true(info.memory_bytes > 0 && isfinite(info.predicted_seconds));
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
    for (size_t net = BUILD_NETWORK; net <= BUILD_CHEBYSHEV; net++) {
        velum_buffer file, half;
        build_files(&(build_options){.net = (build_net)net}, &file, &half);
        uint8_t *copy = malloc(file.size + MUTATE_ROOM);
        uint32_t loaded = 0, count = 10000;
        for (uint64_t seed = 0; seed < count; seed++) {
            uint64_t random = seed + net * 1000003;
            memcpy(copy, file.data, file.size);
            size_t size = mutate_payload(&random, copy, file.size);
            mutate_forget_error();
            if (use(copy, size))
                loaded++;
            else if (!*velum_last_error())
                fail_msg("net %zu, seed %llu: no reason", net, (unsigned long long)seed);
        }
        assert_true(loaded > count / 50 && loaded < count * 49 / 50); // both happen
        free(copy);
        velum_buffer_free(&file);
        velum_buffer_free(&half);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_programs_are_accepted),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(client_half_is_the_manifest),
        cmocka_unit_test(identity_covers_everything),
        cmocka_unit_test(explain_prints_every_operation),
        cmocka_unit_test(one_is_not_many),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(random_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
