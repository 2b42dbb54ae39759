// SPDX-License-Identifier: Apache-2.0
// The client's half: prologue, epilogue, and its saved form against damage.
#include "program/mutate.h"
#include "test.h"

#include <string.h>

// A manifest with one input and one step after it, to try a step's arithmetic.
typedef struct tiny {
    vl_manifest m;
    vl_input input;
    vl_step step[2];
    vl_feature feature;
} tiny;

static void tiny_init(tiny *t, vl_step step, uint32_t depth) {
    *t = (tiny){.input = {.name = (char *)"speed", .lo = -INFINITY, .hi = INFINITY},
                .step = {{.kind = VL_STEP_INPUT}, step},
                .feature = {1, depth}};
    t->m = (vl_manifest){.input_count = 1,
                         .inputs = &t->input,
                         .step_count = 2,
                         .steps = t->step,
                         .feature_count = 1,
                         .features = &t->feature};
}

static double run(vl_step step, double x) {
    tiny t;
    tiny_init(&t, step, 0);
    double y = NAN;
    assert_int_equal(vl_manifest_prologue(&t.m, 1, &x, &y), VELUM_OK);
    return y;
}

static void steps_against_arithmetic(void **state) {
    (void)state;
    const double xs[] = {-1e6, -7.75, -3, -1, -0.25, 0, 0.5, 1, 2.999, 3, 16, 17, 1e6};
    double table[] = {2.5, -1, 8};
    for (size_t i = 0; i < sizeof xs / sizeof *xs; i++) {
        double x = xs[i];
        assert_true(run((vl_step){.kind = VL_STEP_AFFINE, .a = 0.5, .b = -3}, x) == 0.5 * x - 3);
        assert_true(run((vl_step){.kind = VL_STEP_CLIP, .a = -1, .b = 2.5}, x) == (x < -1 ? -1 : x > 2.5 ? 2.5 : x));
        assert_true(run((vl_step){.kind = VL_STEP_CLIP, .a = -INFINITY, .b = 2.5}, x) == (x > 2.5 ? 2.5 : x));
        assert_true(run((vl_step){.kind = VL_STEP_TRUNC}, x) == (double)(long long)x);
        if (x != (double)(long long)x) continue;
        long long n = (long long)x, quotient = (n - (n % 4 + 4) % 4) / 4;
        assert_true(run((vl_step){.kind = VL_STEP_DIV, .a = 4}, x) == (double)quotient);
        assert_true(run((vl_step){.kind = VL_STEP_MOD, .a = 4}, x) == (double)(n - 4 * quotient));
    }
    for (int i = 0; i < 3; i++)
        assert_true(run((vl_step){.kind = VL_STEP_TABLE, .table_count = 3, .table = table}, i) == table[i]);
}

static void functions_and_maps(void **state) {
    (void)state;
    const double xs[] = {-1e9, -3, -0.5, 0, 0.5, 1, 1.5, 2.5, 7, 40};
    double keys[] = {-3, 0.5, 7, 4294967295.0}, values[] = {10, 20, 30, 40};
    vl_step map = {.kind = VL_STEP_MAP, .a = -1, .table_count = 4, .table = values, .keys = keys};
    for (size_t i = 0; i < sizeof xs / sizeof *xs; i++) {
        double x = xs[i], y;
        assert_true(run((vl_step){.kind = VL_STEP_EQUAL, .a = 7}, x) == (i == 8));
        assert_true(run((vl_step){.kind = VL_STEP_EXP}, x) == exp(x));
        assert_true(run((vl_step){.kind = VL_STEP_ABS}, x) == (x < 0 ? -x : x));
        assert_true(run((vl_step){.kind = VL_STEP_SIGN}, x) == (x < 0 ? -1 : x > 0 ? 1 : 0));
        assert_true(run((vl_step){.kind = VL_STEP_TANH}, x) == tanh(x));
        assert_true(run((vl_step){.kind = VL_STEP_ERF}, x) == erf(x));
        assert_true(run(map, x) == (i == 1 ? 10 : i == 4 ? 20 : i == 8 ? 30 : -1));
        assert_int_equal(vl_step_run(&(vl_step){.kind = VL_STEP_LOG}, x, &y), x > 0);
        assert_int_equal(vl_step_run(&(vl_step){.kind = VL_STEP_SQRT}, x, &y), x >= 0);
        assert_int_equal(vl_step_run(&(vl_step){.kind = VL_STEP_RECIPROCAL}, x, &y), x != 0);
    }
    static const double rounded[] = {-1e9, -3, -0.0, 0, 0, 1, 2, 2, 7, 40}; // ties to even
    for (size_t i = 0; i < sizeof xs / sizeof *xs; i++)
        assert_true(run((vl_step){.kind = VL_STEP_ROUND}, xs[i]) == rounded[i]);
    assert_true(run((vl_step){.kind = VL_STEP_LOG}, 20) == log(20));
    assert_true(run((vl_step){.kind = VL_STEP_SQRT}, 9) == 3);
    assert_true(run((vl_step){.kind = VL_STEP_RECIPROCAL}, -4) == -0.25);
    map.b = 1;
    assert_true(run(map, 4294967295.0) == 40);
    for (vl_step_kind kind = 0; kind < VL_STEP_KINDS; kind++) assert_true(*vl_step_text(kind));
}

// Every key of a large map is found, and nothing between them.
static void large_map(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    double *keys = calloc(COUNT, sizeof *keys), *values = calloc(COUNT, sizeof *values);
    for (int i = 0; i < COUNT; i++) {
        keys[i] = 3.0 * i - 1000;
        values[i] = i;
    }
    vl_step map = {.kind = VL_STEP_MAP, .a = -7, .b = 1, .table_count = COUNT, .table = values, .keys = keys};
    for (int x = -1010; x < 3 * COUNT - 990; x++) {
        bool there = x >= -1000 && (x + 1000) % 3 == 0 && (x + 1000) / 3 < COUNT;
        assert_true(vl_step_map(&map, x) == (there ? (x + 1000) / 3 : -7));
    }
    free(keys);
    free(values);
}

static void refused(tiny *t, uint64_t row, double x, const char *const *words) {
    double y = 123;
    mutate_forget_error();
    assert_int_equal(vl_manifest_prologue(&t->m, row, &x, &y), VELUM_E_VALUE);
    for (; *words; words++)
        if (!strstr(velum_last_error(), *words)) fail_msg("'%s' lacks '%s'", velum_last_error(), *words);
}
#define REFUSED(t, row, x, ...) refused((t), (row), (x), (const char *const[]){"'speed'", __VA_ARGS__, NULL})

static void bad_values_are_refused_and_named(void **state) {
    (void)state;
    tiny t;
    double table[] = {1, 2, 3}, accepted[] = {1, 2, 4};
    tiny_init(&t, (vl_step){.kind = VL_STEP_TRUNC}, 0);
    REFUSED(&t, 17, NAN, "row 17", "missing");
    REFUSED(&t, 1, INFINITY, "row 1:", "not finite");
    REFUSED(&t, 1, -INFINITY, "row 1:", "not finite");
    t.input.lo = 2;
    t.input.hi = 5;
    REFUSED(&t, 3, 1.999, "row 3:", "1.999", "2 to 5");
    REFUSED(&t, 3, 5.001, "row 3:", "5.001", "2 to 5");
    t.input.lo = 0;
    t.input.value_count = 3;
    t.input.values = accepted;
    REFUSED(&t, 16777216, 3, "row 16777216:", "is 3,", "1, 2, 4");
    double y, two = 2;
    assert_int_equal(vl_manifest_prologue(&t.m, 1, &two, &y), VELUM_OK);
    tiny_init(&t, (vl_step){.kind = VL_STEP_TABLE, .table_count = 3, .table = table}, 0);
    REFUSED(&t, 2, 3, "row 2:", "gives 3", "table of 3");
    REFUSED(&t, 2, -1, "row 2:", "gives -1");
    REFUSED(&t, 2, 1.5, "row 2:", "gives 1.5");
    REFUSED(&t, 2, 1e300, "row 2:");
    tiny_init(&t, (vl_step){.kind = VL_STEP_TABLE, .table_count = 0}, 0);
    REFUSED(&t, 2, 0, "table of 0");
    tiny_init(&t, (vl_step){.kind = VL_STEP_AFFINE, .a = 1e300}, 0);
    REFUSED(&t, 2, 1e300, "overflows");
    tiny_init(&t, (vl_step){.kind = VL_STEP_LOG}, 0);
    REFUSED(&t, 5, 0, "row 5:", "gives 0, of which there is no log");
    tiny_init(&t, (vl_step){.kind = VL_STEP_SQRT}, 0);
    REFUSED(&t, 5, -1, "no square root");
    tiny_init(&t, (vl_step){.kind = VL_STEP_RECIPROCAL}, 0);
    REFUSED(&t, 5, 0, "no reciprocal");
    tiny_init(&t, (vl_step){.kind = VL_STEP_EXP}, 0);
    REFUSED(&t, 5, 1000, "overflows");
    tiny_init(&t, (vl_step){.kind = VL_STEP_MAP, .b = 1, .table_count = 1, .table = table, .keys = table}, 0);
    REFUSED(&t, 6, 1.5, "row 6:", "1.5, not an integer");
    REFUSED(&t, 6, 0x1p54, "not an integer");
    tiny_init(&t, (vl_step){.kind = VL_STEP_TRUNC}, 4);
    REFUSED(&t, 9, 4, "row 9:", "index 4", "4 rows");
    REFUSED(&t, 9, -1, "row 9:", "index -1");
    tiny_init(&t, (vl_step){.kind = VL_STEP_AFFINE, .a = 1}, 4);
    REFUSED(&t, 9, 1.25, "row 9:", "index 1.25");
}

static void one_hot_vectors(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){0}, &p);
    assert_int_equal(vl_manifest_dim(&p.manifest), BUILD_FEATURES);
    for (uint64_t row = 0; row < 200; row++) {
        double raw[BUILD_INPUTS], got[BUILD_FEATURES + 1] = {[BUILD_FEATURES] = -5}, want[BUILD_FEATURES] = {0};
        build_row(row, raw);
        want[0] = raw[0] * (1.0 / 60) - 1;
        want[1] = raw[1];
        want[2 + (int)raw[2] % 3] = 1;
        assert_int_equal(vl_manifest_prologue(&p.manifest, row + 1, raw, got), VELUM_OK);
        assert_memory_equal(got, want, sizeof want);
        assert_true(got[BUILD_FEATURES] == -5);
    }
    vl_program_clear(&p);
}

static velum_status features(const vl_manifest *m, velum_table *t, double **out) {
    mutate_forget_error();
    return vl_manifest_features(m, t, out);
}

static void tables_by_name_and_by_position(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){0}, &p);
    double by_position[] = {30, 1, 4, 60, 0, 2}, mixed[] = {9, 4, 30, 1, 8, 2, 60, 0};
    const char *names[] = {"extra", "code", "age", "sex"};
    velum_table a = {.columns = 3, .rows = 2, .values = by_position};
    velum_table b = {.columns = 4, .rows = 2, .values = mixed, .names = (char **)names};
    double *u = NULL, *v = NULL;
    assert_int_equal(features(&p.manifest, &a, &u), VELUM_OK);
    assert_int_equal(features(&p.manifest, &b, &v), VELUM_OK);
    assert_memory_equal(u, v, 2 * BUILD_FEATURES * sizeof *u);
    vl_free(v);
    vl_free(u);
    u = v = NULL;
    a.columns = 2;
    assert_int_equal(features(&p.manifest, &a, &u), VELUM_E_VALUE);
    assert_non_null(strstr(velum_last_error(), "2 columns"));
    names[1] = "Code";
    assert_int_equal(features(&p.manifest, &b, &v), VELUM_E_VALUE);
    assert_non_null(strstr(velum_last_error(), "'code'"));
    names[1] = "code";
    mixed[7] = 0.5;
    assert_int_equal(features(&p.manifest, &b, &v), VELUM_E_VALUE);
    assert_non_null(strstr(velum_last_error(), "row 2: field 'sex'"));
    b.rows = 0;
    assert_int_equal(features(&p.manifest, &b, &v), VELUM_E_VALUE);
    b.rows = VL_MAX_REQUESTS + 1;
    assert_int_equal(features(&p.manifest, &b, &v), VELUM_E_LIMIT);
    assert_null(u);
    assert_null(v);
    vl_program_clear(&p);
}

// What calibration rows did not cover, by feature; a value counts once.
static void unseen_values(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){.calibrated = true}, &p);
    double rows[][BUILD_INPUTS] = {{40, 1, 0}, {60, 1, 8}, {69, 1, 0}, {30, 1, 0}, {70.5, 1, 3},
                                   {29, 0, 3}, {60, 0, 5}, {50, 1, 5}, {120, 1, 5}};
    velum_table t = {.columns = BUILD_INPUTS, .rows = 4, .values = rows[0]};
    velum_unseen u = {.values = 77};
    assert_int_equal(vl_manifest_unseen(&p.manifest, &t, &u), VELUM_OK); // up to the margin
    assert_int_equal(u.values, 0);
    assert_int_equal(u.rows, 0);
    t.rows = sizeof rows / sizeof *rows;
    assert_int_equal(vl_manifest_unseen(&p.manifest, &t, &u), VELUM_OK);
    assert_int_equal(u.values, 5);
    assert_int_equal(u.rows, 4);
    assert_int_equal(u.row, 5);
    assert_int_equal(u.input, 0);
    assert_true(u.value == 70.5 && u.lo == 40 && u.hi == 60);
    char *names[] = {"code", "age", "sex"};
    double by_name[] = {3, 50, 0};
    velum_table named = {.columns = 3, .rows = 1, .names = names, .values = by_name};
    assert_int_equal(vl_manifest_unseen(&p.manifest, &named, &u), VELUM_OK);
    assert_true(u.values == 1 && u.row == 1 && u.input == 1 && u.value == 0 && u.lo == 1 && u.hi == 1);
    by_name[1] = 121; // refused: no count
    u.values = 77;
    assert_int_equal(vl_manifest_unseen(&p.manifest, &named, &u), VELUM_E_VALUE);
    assert_int_equal(u.values, 77);
    vl_feature *more = vl_alloc_array(4, sizeof *more); // the same number once more
    vl_range *covered = vl_alloc_array(4, sizeof *covered);
    assert_true(more && covered);
    memcpy(more, p.manifest.features, 3 * sizeof *more);
    memcpy(covered, p.manifest.covered, 3 * sizeof *covered);
    more[3] = more[0];
    covered[3] = covered[0];
    vl_free(p.manifest.features);
    vl_free(p.manifest.covered);
    p.manifest.features = more;
    p.manifest.covered = covered;
    p.manifest.feature_count++;
    p.manifest.in.dim++;
    assert_int_equal(vl_manifest_unseen(&p.manifest, &t, &u), VELUM_OK);
    assert_int_equal(u.values, 5);
    vl_program_clear(&p);
    build_program(&(build_options){0}, &p); // not calibrated
    assert_int_equal(vl_manifest_unseen(&p.manifest, &t, &u), VELUM_OK);
    assert_int_equal(u.values, 0);
    vl_program_clear(&p);
}

static void epilogues(void **state) {
    (void)state;
    vl_manifest m = {.output_count = 4};
    const double x[4] = {-2, 0.5, 3, -1};
    double y[4], sum = 0;
    memcpy(y, x, sizeof x);
    vl_manifest_epilogue(&m, y);
    assert_memory_equal(x, y, sizeof x);
    m.epilogue = VL_EPILOGUE_SIGMOID;
    vl_manifest_epilogue(&m, y);
    for (int i = 0; i < 4; i++) assert_true(fabs(y[i] - 1 / (1 + exp(-x[i]))) < 1e-15);
    m.epilogue = VL_EPILOGUE_SOFTMAX;
    for (int i = 0; i < 4; i++) y[i] = x[i] + 800; // exp of it overflows
    vl_manifest_epilogue(&m, y);
    for (int i = 0; i < 4; i++) sum += exp(x[i]);
    for (int i = 0; i < 4; i++) assert_true(fabs(y[i] - exp(x[i]) / sum) < 1e-12);
    assert_int_equal(vl_manifest_columns(&m), 4);
    m.epilogue = VL_EPILOGUE_ARGMAX;
    assert_int_equal(vl_manifest_columns(&m), 1);
    for (int best = 0; best < 4; best++) {
        for (int i = 0; i < 4; i++) y[i] = i == best ? 3 : -x[i] / 8;
        vl_manifest_epilogue(&m, y);
        assert_true(y[0] == best);
    }
}

// ---- saved form ----

static velum_buffer client_half(void) {
    velum_buffer program, client;
    build_files(&(build_options){.epilogue = VL_EPILOGUE_SIGMOID}, &program, &client);
    velum_buffer_free(&program);
    return client;
}

static void save_again(const vl_manifest *m, const uint8_t digest[VL_DIGEST_BYTES], const uint8_t *want, size_t size) {
    vl_writer w = vl_writer_of((size_t)1 << 26);
    vl_frame_begin(&w, VL_FRAME_CLIENT, digest);
    vl_manifest_save(m, &w);
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    assert_int_equal(w.size, size);
    assert_memory_equal(w.data, want, size);
    vl_writer_clear(&w);
}

static void calibration_is_kept(void **state) {
    (void)state;
    vl_program p;
    build_program(&(build_options){.calibrated = true}, &p);
    vl_writer w = vl_writer_of((size_t)1 << 20);
    vl_manifest_save(&p.manifest, &w);
    vl_reader r = vl_reader_of(w.data, w.size);
    vl_manifest m;
    assert_int_equal(vl_manifest_load(&r, &m), VELUM_OK);
    assert_memory_equal(m.seen, p.manifest.seen, BUILD_INPUTS * sizeof *m.seen);
    assert_memory_equal(m.covered, p.manifest.covered, 3 * sizeof *m.covered);
    assert_true(m.error_expected == p.manifest.error_expected);
    vl_manifest_clear(&m);
    const vl_range bad[] = {{1, 0}, {NAN, 1}, {0, INFINITY}, {-INFINITY, 0}};
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        vl_range *at = i % 2 ? &p.manifest.seen[2] : &p.manifest.covered[1], good = *at;
        *at = bad[i / 2];
        w.size = 0;
        vl_manifest_save(&p.manifest, &w);
        r = vl_reader_of(w.data, w.size);
        assert_int_equal(vl_manifest_load(&r, &m), VELUM_E_FORMAT);
        assert_non_null(
            strstr(velum_last_error(), i % 2 ? "calibrated inputs: range 2" : "calibrated features: range 1"));
        *at = good;
    }
    const double errors[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        p.manifest.error_expected = errors[i];
        w.size = 0;
        vl_manifest_save(&p.manifest, &w);
        r = vl_reader_of(w.data, w.size);
        assert_int_equal(vl_manifest_load(&r, &m), VELUM_E_FORMAT);
        assert_non_null(strstr(velum_last_error(), "expected error"));
    }
    vl_writer_clear(&w);
    vl_program_clear(&p);
}

static void round_trip(void **state) {
    (void)state;
    velum_buffer file = client_half();
    vl_manifest m;
    uint8_t digest[VL_DIGEST_BYTES];
    assert_int_equal(vl_client_half_load(file.data, file.size, &m, digest), VELUM_OK);
    assert_string_equal(m.model, "hand-built");
    assert_string_equal(m.inputs[2].name, "code");
    assert_string_equal(m.inputs[0].description, "years");
    assert_int_equal(m.inputs[1].value_count, 2);
    assert_int_equal(m.steps[4].kind, VL_STEP_MOD);
    assert_int_equal(m.epilogue, VL_EPILOGUE_SIGMOID);
    assert_string_equal(m.outputs[1], "high");
    save_again(&m, digest, file.data, file.size);
    vl_manifest_clear(&m);
    velum_buffer_free(&file);
}

static void refuse_file(const uint8_t *data, size_t size) {
    vl_manifest m, before;
    uint8_t digest[VL_DIGEST_BYTES];
    memset(&m, 0x5a, sizeof m);
    before = m;
    uint8_t *copy = malloc(size ? size : 1); // of exactly its size, for sanitizers
    if (size) memcpy(copy, data, size);
    mutate_forget_error();
    velum_status status = vl_client_half_load(copy, size, &m, digest);
    free(copy);
    assert_int_not_equal(status, VELUM_OK);
    assert_string_not_equal(velum_last_error(), "");
    assert_memory_equal(&m, &before, sizeof m);
}

// A manifest whose step 4 is a map, saved with `keys` and loaded again.
static velum_status map_round_trip(uint32_t count, const double *keys, double otherwise, double flag, uint32_t saved) {
    velum_buffer file = client_half();
    vl_manifest m, again;
    uint8_t digest[VL_DIGEST_BYTES];
    assert_int_equal(vl_client_half_load(file.data, file.size, &m, digest), VELUM_OK);
    vl_step *s = &m.steps[4];
    *s = (vl_step){.kind = VL_STEP_MAP, .src = s->src, .a = otherwise, .b = flag, .table_count = count};
    s->table = calloc(count + 1, sizeof *s->table);
    s->keys = calloc(count + 1, sizeof *s->keys);
    memcpy(s->keys, keys, (count < saved ? count : saved) * sizeof *keys);
    vl_writer w = vl_writer_of((size_t)1 << 26);
    vl_manifest_save(&m, &w);
    assert_false(w.failed);
    vl_reader r = vl_reader_of(w.data, w.size);
    mutate_forget_error();
    velum_status status = vl_manifest_load(&r, &again);
    if (status == VELUM_OK) {
        assert_int_equal(again.steps[4].kind, VL_STEP_MAP);
        assert_memory_equal(again.steps[4].keys, s->keys, count * sizeof *keys);
        vl_manifest_clear(&again);
    }
    vl_writer_clear(&w);
    free(s->table);
    free(s->keys);
    s->table = s->keys = NULL;
    vl_manifest_clear(&m);
    velum_buffer_free(&file);
    return status;
}

static void hostile_maps(void **state) {
    (void)state;
    double good[] = {-5, 0, 2.5}, equal[] = {1, 2, 2}, falling[] = {1, 3, 2}, nan[] = {0, NAN, 2},
           inf[] = {0, 1, INFINITY};
    assert_int_equal(map_round_trip(3, good, -1, 1, 3), VELUM_OK);
    assert_int_equal(map_round_trip(3, equal, -1, 1, 3), VELUM_E_FORMAT);
    assert_non_null(strstr(velum_last_error(), "step 4: key 2"));
    assert_int_equal(map_round_trip(3, falling, -1, 0, 3), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(3, nan, -1, 0, 3), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(3, inf, -1, 0, 3), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(3, good, INFINITY, 1, 3), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(3, good, 0, 2, 3), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(0, good, 0, 1, 0), VELUM_E_FORMAT);
    assert_int_equal(map_round_trip(VL_MAX_MAP + 1, good, 0, 1, 3), VELUM_E_LIMIT);
    assert_non_null(strstr(velum_last_error(), "keys"));
}

static void damage_is_refused(void **state) {
    (void)state;
    velum_buffer file = client_half();
    uint8_t *copy = malloc(file.size);
    memcpy(copy, file.data, file.size);
    for (size_t cut = 0; cut < file.size; cut++) refuse_file(copy, cut);
    for (size_t at = 0; at < file.size; at++)
        for (unsigned flip = 1; flip < 256; flip = 3 * flip + 1) {
            copy[at] = (uint8_t)(copy[at] ^ flip);
            refuse_file(copy, file.size);
            copy[at] = (uint8_t)(copy[at] ^ flip);
        }
    // cut short, with a digest that fits
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
}

static void random_payloads(void **state) {
    (void)state;
    velum_buffer file = client_half();
    uint8_t *copy = malloc(file.size + MUTATE_ROOM);
    uint32_t loaded = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed;
        memcpy(copy, file.data, file.size);
        size_t size = mutate_payload(&random, copy, file.size);
        vl_manifest m;
        uint8_t digest[VL_DIGEST_BYTES];
        mutate_forget_error();
        velum_status status = vl_client_half_load(copy, size, &m, digest);
        if (status != VELUM_OK) {
            if (!*velum_last_error()) fail_msg("seed %llu: no reason", (unsigned long long)seed);
            continue;
        }
        loaded++;
        save_again(&m, digest, copy, size);
        double *raw = calloc(m.input_count + 1, sizeof *raw), *out = calloc(m.in.dim, sizeof *out);
        (void)vl_manifest_prologue(&m, 1, raw, out);
        free(raw);
        free(out);
        vl_manifest_clear(&m);
    }
    assert_true(loaded > 100 && loaded < 19000); // both happen
    free(copy);
    velum_buffer_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_against_arithmetic),
        cmocka_unit_test(functions_and_maps),
        cmocka_unit_test(large_map),
        cmocka_unit_test(hostile_maps),
        cmocka_unit_test(bad_values_are_refused_and_named),
        cmocka_unit_test(one_hot_vectors),
        cmocka_unit_test(tables_by_name_and_by_position),
        cmocka_unit_test(unseen_values),
        cmocka_unit_test(calibration_is_kept),
        cmocka_unit_test(epilogues),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(random_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
