// SPDX-License-Identifier: Apache-2.0
// The seeds of the fuzz target that reads checkpoints are files of this format, of the fuzz targets' program: with
// digests that fit, a run goes on from each. After a change of the format, VELUM_WRITE_SEEDS=1 makes them anew.
#include "client/session.h"

#include <stdlib.h>

#define ROWS 3 // groups of one request
#define ROOM ((size_t)1 << 16)

static const build_options network = {.net = BUILD_NETWORK, .log_n = 4};
static const struct {
    const char *name;
    uint64_t done; // operations, of four each group
} seeds[] = {{"first", 2}, {"between", 4}, {"last", 9}};
#define SEEDS (sizeof seeds / sizeof *seeds)

typedef struct kept {
    uint8_t data[ROOM], whole[SEEDS][ROOM];
    size_t size, sizes[SEEDS];
    uint64_t count;
} kept;

static int keep(void *arg, const void *data, size_t size) {
    kept *k = arg;
    if (size) {
        assert_true(k->size + size <= ROOM);
        memcpy(k->data + k->size, data, size);
        k->size += size;
        return 0;
    }
    k->count++;
    for (size_t i = 0; i < SEEDS; i++) {
        if (seeds[i].done != k->count) continue;
        memcpy(k->whole[i], k->data, k->size);
        k->sizes[i] = k->size;
    }
    k->size = 0;
    return 0;
}

static FILE *open_seed(const char *name, const char *how) {
    const char *source = getenv("VELUM_SOURCE_DIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/fuzz/corpus/checkpoint/%s", source ? source : ".", name);
    FILE *f = fopen(path, how);
    if (!f) fail_msg("%s", path);
    return f;
}

static void goes_on(const session *s, const velum_buffer *query, const uint8_t *data, size_t size, uint64_t done) {
    const velum_run_options o = {.resume = data, .resume_size = size};
    velum_report report;
    velum_buffer answer;
    if (velum_server_run(s->server, query->data, query->size, &o, &answer, &report) != VELUM_OK)
        fail_msg("%s", velum_last_error());
    assert_int_equal(report.resumed_at, done);
    velum_buffer_free(&answer);
}

static void seeds_load(void **state) {
    (void)state;
    session s;
    session_init(&s, &network);
    velum_buffer query = session_query(&s, 0, ROWS), answer;
    kept *k = calloc(1, sizeof *k);
    uint8_t *seed = malloc(ROOM);
    assert_true(k && seed);
    const velum_run_options o = {.keep = keep, .keep_arg = k, .keep_every = 1e-9};
    assert_int_equal(velum_server_run(s.server, query.data, query.size, &o, &answer, NULL), VELUM_OK);
    velum_buffer_free(&answer);
    for (size_t i = 0; i < SEEDS; i++) {
        goes_on(&s, &query, k->whole[i], k->sizes[i], seeds[i].done);
        if (getenv("VELUM_WRITE_SEEDS")) {
            FILE *f = open_seed(seeds[i].name, "wb");
            assert_int_equal(fwrite(k->whole[i], 1, k->sizes[i], f), k->sizes[i]);
            assert_int_equal(fclose(f), 0);
        }
        FILE *f = open_seed(seeds[i].name, "rb");
        size_t size = fread(seed, 1, ROOM, f);
        fclose(f);
        assert_int_equal(size, k->sizes[i]);
        memcpy(seed, k->whole[i], VL_FRAME_HEAD + 2 * VL_DIGEST_BYTES); // of this program, these keys and this query
        build_reseal(seed, size);
        goes_on(&s, &query, seed, size, seeds[i].done);
    }
    free(seed);
    free(k);
    velum_buffer_free(&query);
    session_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
