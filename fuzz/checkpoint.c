// SPDX-License-Identifier: Apache-2.0
// Checkpoints, as a server goes on from them: of three groups, one request each, at every place where one is taken.
// One that is accepted goes on where it says, has the size of a good one there, and leads to an answer.
#include "session.h"

#define ROWS 3
#define MOST 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static velum_buffer query, good[MOST]; // good[i]: after operation i of all groups; the last one is in the making
static uint32_t count;
static uint64_t begun; // at which operation the last run did; UINT64_MAX: it has not

static int keep(void *arg, const void *data, size_t size) {
    (void)arg;
    build_must(count + 1 < MOST, "room for checkpoints");
    if (size == 0) {
        count++;
        return 0;
    }
    velum_buffer *b = &good[count];
    b->data = realloc(b->data, b->size + size);
    build_must(b->data != NULL, "memory");
    memcpy((uint8_t *)b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static void note(void *arg, const velum_progress *p) {
    (void)arg;
    if (begun == UINT64_MAX) begun = p->done;
}

static void prepare(const fuzz_session *s) {
    double rows[ROWS * BUILD_INPUTS];
    const velum_table in = {.columns = BUILD_INPUTS, .rows = ROWS, .values = rows};
    const velum_run_options o = {.keep = keep, .keep_every = 1e-9};
    velum_buffer answer;
    for (uint32_t i = 0; i < ROWS; i++) build_row(i, rows + (size_t)i * BUILD_INPUTS);
    BUILD_OK(velum_client_encrypt(s->client, s->secret.data, s->secret.size, &in, &query));
    BUILD_OK(velum_server_run(s->server, query.data, query.size, &o, &answer, NULL));
    build_must(count == ROWS * s->plain.op_count - 1, "a checkpoint after every operation but the last");
    velum_buffer_free(&answer);
    velum_server_on_progress(s->server, note, NULL);
}

static void use(const fuzz_session *s, const void *data, size_t size) {
    const velum_run_options o = {.resume = data, .resume_size = size};
    velum_checkpoint_info info;
    velum_report report;
    velum_buffer answer;
    velum_table t;
    velum_status named = velum_server_checkpoint(s->server, query.data, query.size, data, size, &info);
    begun = UINT64_MAX;
    if (velum_server_run(s->server, query.data, query.size, &o, &answer, &report) != VELUM_OK) return;
    build_must(named == VELUM_OK, "a checkpoint that is refused, and gone on from");
    build_must(info.done == report.resumed_at && info.done == begun && info.count == count + 1, "where a run goes on");
    build_must(info.done == 0 || good[info.done - 1].size == size, "the size of a checkpoint that is taken");
    BUILD_OK(velum_client_decrypt(s->client, s->secret.data, s->secret.size, answer.data, answer.size, 0, &t));
    velum_table_free(&t);
    velum_buffer_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    if (!count) prepare(s);
    return fuzz_run(data, size, s, &good[size ? data[size - 1] % count : 0], use);
}
