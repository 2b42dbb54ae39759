// SPDX-License-Identifier: Apache-2.0
// The seeds of the fuzz targets that read programs are files of this format and hold every operation and step: a seed
// that is refused at its head tests nothing. After a change of the format, VELUM_WRITE_SEEDS=1 makes them anew.
#include "program/boot.h"
#include "program/picture.h"
#include "test.h"

#include <dirent.h>

#define ROOM ((size_t)1 << 20)

// Linear, comparison, gate (ReLU), linear, by diagonals, without a bootstrap: small enough for a run under encryption.
static void comparing(vl_program *p) {
    const build_options o = {.log_n = 5, .lanes = 1};
    vl_manifest *m = &p->manifest;
    *p = (vl_program){0};
    build_params(&o, 16, &m->params);
    build_manifest(&o, m);
    p->values = vl_alloc_array(16, sizeof *p->values);
    p->ops = vl_alloc_array(16, sizeof *p->ops);
    assert_true(p->values && p->ops);
    uint32_t seed = 7;
    double scale = m->params.scale;
    p->values[0] = (vl_value){build_layout(&o, BUILD_FEATURES, 0), (uint16_t)m->params.q_count, scale, 2};
    p->value_count = 1;
    uint32_t x = boot_diagonals(&o, p, "first/Conv", 0, BUILD_HIDDEN, scale, BOOT_BOUND, &seed);
    uint32_t s = boot_compare(p, VL_OP_SIGN, "first/Relu: sign", x, 0, 0, 2, scale, 1);
    s = boot_compare(p, VL_OP_GATE, "first/Relu: gate", x, s, 2, 0, scale, BOOT_BOUND);
    s = boot_diagonals(&o, p, "last/Conv", s, BUILD_OUTPUTS, scale, 16, &seed);
    build_mask(&o, p, s);
    p->notes = vl_strdup("first/Relu by a composite");
    build_ends(p);
}

// A prologue of every kind of step, on "age" and "code".
static void stepping(vl_program *p) {
    build_program(&(build_options){.log_n = 4}, p);
    vl_manifest *m = &p->manifest;
    vl_step *steps = vl_alloc_array(m->step_count + VL_STEP_KINDS, sizeof *steps);
    assert_non_null(steps);
    memcpy(steps, m->steps, m->step_count * sizeof *steps);
    for (vl_step_kind kind = VL_STEP_AFFINE; kind < VL_STEP_KINDS; kind++) {
        vl_step *s = &steps[m->step_count++];
        bool table = kind == VL_STEP_TABLE, map = kind == VL_STEP_MAP;
        *s = (vl_step){.kind = kind, .src = table || map ? 3 : 0, .a = 1, .b = 1};
        if (!table && !map) continue;
        uint32_t seed = kind;
        s->table_count = 9;
        s->table = build_numbers(&seed, s->table_count, 1);
        if (map) s->keys = vl_alloc_array(s->table_count, sizeof *s->keys);
        for (uint32_t k = 0; map && k < s->table_count; k++) s->keys[k] = k;
    }
    vl_free(m->steps);
    m->steps = steps;
}

static void network(vl_program *p) { build_program(&(build_options){.log_n = 4}, p); }
static void lanes(vl_program *p) { build_program(&(build_options){.log_n = 5, .lanes = 2}, p); }
static void spread(vl_program *p) { build_program(&(build_options){.log_n = 4, .net = BUILD_SPREAD}, p); }
static void branches(vl_program *p) { build_program(&(build_options){.log_n = 4, .net = BUILD_BRANCHES}, p); }
static void chebyshev(vl_program *p) { build_program(&(build_options){.log_n = 4, .net = BUILD_CHEBYSHEV}, p); }
static void calibrated(vl_program *p) { build_program(&(build_options){.log_n = 4, .calibrated = true}, p); }

static void picturing(vl_program *p, uint32_t parts) {
    picture_net net;
    picture_program(&(picture_options){.parts = parts}, &net);
    *p = net.program;
}
static void pictures(vl_program *p) { picturing(p, 2); }
static void pictures_real(vl_program *p) { picturing(p, 1); }

static void booting(vl_program *p) { boot_program(&(boot_options){0}, p); }
static void booting_sparse(vl_program *p) { boot_program(&(boot_options){.sparse = true}, p); }

static const struct {
    const char *name;
    void (*make)(vl_program *p);
} seeds[] = {{"network", network},     {"lanes", lanes},
             {"spread", spread},       {"branches", branches},
             {"chebyshev", chebyshev}, {"calibrated", calibrated},
             {"compare", comparing},   {"steps", stepping},
             {"bootstrap", booting},   {"bootstrap_sparse", booting_sparse},
             {"pictures", pictures},   {"pictures_real", pictures_real}};

static void path_of(const char *kind, const char *name, char *out, size_t size) {
    const char *source = getenv("VELUM_SOURCE_DIR");
    snprintf(out, size, "%s/fuzz/corpus/%s/%s", source ? source : ".", kind, name);
}

static void write_file(const char *kind, const char *name, const vl_writer *w) {
    char path[4096];
    path_of(kind, name, path, sizeof path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(w->data, 1, w->size, f), w->size);
    assert_int_equal(fclose(f), 0);
}

static void written(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        vl_program p;
        seeds[i].make(&p);
        vl_writer w = vl_writer_of(ROOM), half = vl_writer_of(ROOM);
        if (vl_program_save(&p, &w) != VELUM_OK) fail_msg("%s: %s", seeds[i].name, velum_last_error());
        assert_int_equal(vl_client_half_save(&p, &half), VELUM_OK);
        if (getenv("VELUM_WRITE_SEEDS")) {
            write_file("program", seeds[i].name, &w);
            write_file("client_half", seeds[i].name, &half);
        }
        vl_writer_clear(&w);
        vl_writer_clear(&half);
        vl_program_clear(&p);
    }
}

typedef void (*use)(const char *name, const uint8_t *data, size_t size, bool *seen);

static void as_program(const char *name, const uint8_t *data, size_t size, bool *seen) {
    vl_program p;
    if (vl_program_load(data, size, &p) != VELUM_OK) fail_msg("program/%s: %s", name, velum_last_error());
    for (uint32_t i = 0; i < p.op_count; i++) seen[p.ops[i].kind] = true;
    vl_program_clear(&p);
}

static void as_half(const char *name, const uint8_t *data, size_t size, bool *seen) {
    vl_manifest m;
    uint8_t digest[VL_DIGEST_BYTES];
    if (vl_client_half_load(data, size, &m, digest) != VELUM_OK)
        fail_msg("client_half/%s: %s", name, velum_last_error());
    for (uint32_t i = 0; i < m.step_count; i++) seen[m.steps[i].kind] = true;
    vl_manifest_clear(&m);
}

// What does not begin like a file of this project is a seed for the edits of a good one.
static void each(const char *kind, use fn, bool *seen) {
    char path[4096];
    path_of(kind, "", path, sizeof path);
    DIR *folder = opendir(path);
    uint8_t *data = malloc(ROOM);
    assert_true(folder && data);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        path_of(kind, e->d_name, path, sizeof path);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        size_t size = f ? fread(data, 1, ROOM, f) : 0;
        if (f) fclose(f);
        if (size > 5 && memcmp(data, "VELUM", 5) == 0) fn(e->d_name, data, size, seen);
    }
    closedir(folder);
    free(data);
}

static void programs_load(void **state) {
    (void)state;
    bool seen[VL_OP_KINDS] = {false};
    each("program", as_program, seen);
    for (uint32_t i = 0; i < VL_OP_KINDS; i++)
        if (!seen[i]) fail_msg("no seed holds a '%s'", vl_op_text((vl_op_kind)i));
}

static void halves_load(void **state) {
    (void)state;
    bool seen[VL_STEP_KINDS] = {false};
    each("client_half", as_half, seen);
    for (uint32_t i = 0; i < VL_STEP_KINDS; i++)
        if (!seen[i]) fail_msg("no seed holds the step '%s'", vl_step_text((vl_step_kind)i));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written),
        cmocka_unit_test(programs_load),
        cmocka_unit_test(halves_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
