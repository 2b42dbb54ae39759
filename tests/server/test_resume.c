// SPDX-License-Identifier: Apache-2.0
// Runs that are killed and go on from their last checkpoint; checkpoints as hostile input.
#include "client/session.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const build_options wide = {.net = BUILD_WIDE}, other = {.net = BUILD_WIDE, .seed = 7};
#define ROWS 300 // three groups of 128 lanes

typedef struct kept { // what `keep` has been given
    velum_buffer whole, next;
    uint32_t count;
    FILE *file; // each whole one is also left there
} kept;

static int keep(void *arg, const void *data, size_t size) {
    kept *k = arg;
    if (size) {
        assert_non_null(k->next.data = realloc(k->next.data, k->next.size + size));
        memcpy(k->next.data + k->next.size, data, size);
        k->next.size += size;
        return 0;
    }
    free(k->whole.data);
    k->whole = k->next;
    k->next = (velum_buffer){0};
    k->count++;
    if (!k->file) return 0;
    rewind(k->file);
    return fwrite(k->whole.data, 1, k->whole.size, k->file) != k->whole.size || fflush(k->file) != 0 ||
           ftruncate(fileno(k->file), (off_t)k->whole.size) != 0;
}

typedef struct watch {
    uint64_t kill_at, first, calls;
} watch;

static void watching(void *arg, const velum_progress *p) {
    watch *w = arg;
    if (w->calls++ == 0) w->first = p->done;
    if (w->kill_at && p->done == w->kill_at) raise(SIGKILL);
}

static velum_buffer contents(FILE *f) {
    velum_buffer b = {.data = malloc(1 << 22)};
    rewind(f);
    b.size = fread(b.data, 1, 1 << 22, f);
    assert_true(b.size > 0 && b.size < 1 << 22);
    return b;
}

// A process of its own, that a signal ends after operation `kill_at`; what it leaves behind.
static velum_buffer killed(const session *s, const velum_buffer *query, uint64_t kill_at, unsigned threads) {
    FILE *f = tmpfile();
    assert_non_null(f);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        kept k = {.file = f};
        watch w = {.kill_at = kill_at};
        velum_server *server;
        velum_buffer answer;
        const velum_run_options o = {.keep = keep, .keep_arg = &k, .keep_every = 1e-9};
        if (velum_server_new(s->program, s->keys.data, s->keys.size, threads, &server) != VELUM_OK) _exit(1);
        velum_server_on_progress(server, watching, &w);
        (void)velum_server_run(server, query->data, query->size, &o, &answer, NULL);
        _exit(2); // it was to be killed
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    velum_buffer left = contents(f);
    fclose(f);
    return left;
}

static void took(void *arg) { ++*(int *)arg; }

static void killed_runs_go_on(void **state) {
    (void)state;
    session s;
    session_init(&s, &wide);
    const uint64_t ops = s.plain.op_count, count = 3 * ops;
    velum_buffer query = session_query(&s, 0, ROWS), answer;
    // A checkpoint follows what is told of an operation, so that of the one before is the last.
    for (uint64_t at = 2; at < count; at += at == 4 ? 1 : 3) {
        velum_buffer left = killed(&s, &query, at, 1 + at % 2);
        velum_checkpoint_info info = {0};
        velum_report report;
        watch w = {0};
        int taken = 0;
        assert_int_equal(velum_server_checkpoint(s.server, query.data, query.size, left.data, left.size, &info),
                         VELUM_OK);
        assert_int_equal(info.count, count);
        assert_int_equal(info.done, at - 1);
        assert_true(info.time > 1577836800);
        const velum_run_options o = {.taken = took, .taken_arg = &taken, .resume = left.data, .resume_size = left.size};
        velum_server_on_progress(s.server, watching, &w);
        assert_int_equal(velum_server_run(s.server, query.data, query.size, &o, &answer, &report), VELUM_OK);
        session_check(&s, &answer, 0, ROWS);
        assert_int_equal(taken, 1);
        assert_int_equal(w.first, info.done);
        assert_int_equal(w.calls, count - info.done + (3 - info.done / ops)); // one more for each group
        assert_int_equal(report.resumed_at, info.done);
        for (uint64_t i = 0; i < ops; i++)
            assert_true((report.stages[i].seconds > 0) == (info.done < 2 * ops || i >= info.done - 2 * ops));
        velum_buffer_free(&answer);
        free(left.data);
    }
    velum_buffer_free(&query);
    session_clear(&s);
}

static velum_buffer some_checkpoint(const session *s, const velum_buffer *query) {
    kept k = {0};
    velum_buffer answer;
    velum_server_on_progress(s->server, NULL, NULL);
    const velum_run_options o = {.keep = keep, .keep_arg = &k, .keep_every = 1e-9};
    assert_int_equal(velum_server_run(s->server, query->data, query->size, &o, &answer, NULL), VELUM_OK);
    assert_int_equal(k.count, 3 * s->plain.op_count - 1); // none at the end
    session_check(s, &answer, 0, ROWS);
    velum_buffer_free(&answer);
    free(k.next.data);
    return k.whole;
}

static void refused(const session *s, const velum_buffer *query, const velum_buffer *c, velum_status want,
                    const char *words) {
    velum_checkpoint_info info = {.done = 77};
    assert_refused(velum_server_checkpoint(s->server, query->data, query->size, c->data, c->size, &info), want, words);
    assert_int_equal(info.done, 77);
    int taken = 0;
    velum_buffer answer = {NULL, 5};
    const velum_run_options o = {.taken = took, .taken_arg = &taken, .resume = c->data, .resume_size = c->size};
    assert_refused(velum_server_run(s->server, query->data, query->size, &o, &answer, NULL), want, words);
    assert_true(taken == 0 && !answer.data && answer.size == 5);
}

static void foreign_ones_are_refused(void **state) {
    (void)state;
    session s, t, again;
    session_init(&s, &wide);
    session_init(&t, &other);
    velum_buffer query = session_query(&s, 0, ROWS), same = session_query(&s, 0, ROWS);
    velum_buffer c = some_checkpoint(&s, &query), theirs = session_query(&t, 0, ROWS);
    refused(&s, &same, &c, VELUM_E_MISMATCH, "checkpoint: of another query");
    refused(&t, &theirs, &c, VELUM_E_MISMATCH, "checkpoint: made for another program");
    refused(&s, &query, &query, VELUM_E_FORMAT, "this is a query, not a checkpoint");
    velum_buffer cut = {c.data, c.size - 1};
    refused(&s, &query, &cut, VELUM_E_FORMAT, "checkpoint");
    c.data[c.size / 2] ^= 1;
    refused(&s, &query, &c, VELUM_E_DIGEST, "damaged");
    c.data[c.size / 2] ^= 1;
    again = s; // the same client's key, its evaluation keys made anew: another file
    velum_buffer keys;
    assert_int_equal(velum_client_keygen(s.client, &again.secret, &keys), VELUM_OK);
    assert_int_equal(velum_server_new(s.program, keys.data, keys.size, 1, &again.server), VELUM_OK);
    velum_buffer anew = session_query(&again, 0, ROWS);
    refused(&again, &anew, &c, VELUM_E_MISMATCH, "checkpoint: of a run with other evaluation keys");
    velum_server_free(again.server);
    velum_buffer_free_secret(&again.secret);
    velum_buffer_free(&keys);
    velum_buffer_free(&anew);
    free(c.data);
    velum_buffer_free(&query);
    velum_buffer_free(&same);
    velum_buffer_free(&theirs);
    session_clear(&s);
    session_clear(&t);
}

// Whatever it says, with a digest that fits: an answer or a refusal.
static void forged_ones_do_no_harm(void **state) {
    (void)state;
    session s;
    session_init(&s, &wide);
    velum_buffer query = session_query(&s, 0, ROWS), c = some_checkpoint(&s, &query), answer;
    uint32_t fine = 0, refusals = 0;
    for (size_t at = VL_FRAME_HEAD; at + 8 <= c.size - VL_DIGEST_BYTES; at += at < 250 ? 4 : c.size / 40) {
        uint8_t old[8];
        memcpy(old, c.data + at, sizeof old);
        memset(c.data + at, 0xff, sizeof old);
        vl_frame_digest(NULL, c.data, c.size - VL_DIGEST_BYTES, c.data + c.size - VL_DIGEST_BYTES);
        const velum_run_options o = {.resume = c.data, .resume_size = c.size};
        velum_status status = velum_server_run(s.server, query.data, query.size, &o, &answer, NULL);
        if (status == VELUM_OK) velum_buffer_free(&answer);
        assert_true(status == VELUM_OK || status == VELUM_E_FORMAT || status == VELUM_E_MISMATCH);
        *(status == VELUM_OK ? &fine : &refusals) += 1;
        memcpy(c.data + at, old, sizeof old);
    }
    print_message("    %u refused, %u answered\n", refusals, fine);
    assert_true(refusals > 20 && fine > 0);
    free(c.data);
    velum_buffer_free(&query);
    session_clear(&s);
}

static void resealed(const session *s, const velum_buffer *query, const velum_buffer *c, const char *words) {
    build_reseal(c->data, c->size);
    velum_buffer answer;
    const velum_run_options o = {.resume = c->data, .resume_size = c->size};
    assert_refused(velum_server_run(s->server, query->data, query->size, &o, &answer, NULL), VELUM_E_FORMAT, words);
}

// The place is said twice, and what follows from it ends with the file.
static void bent_ones_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &wide);
    velum_buffer query = session_query(&s, 0, ROWS), c = some_checkpoint(&s, &query);
    uint8_t *next = (uint8_t *)c.data + VL_FRAME_HEAD + 2 * VL_DIGEST_BYTES + 8 + 4 + 4;
    next[0]--;
    resealed(&s, &query, &c, "checkpoint: its state is not at operation");
    next[0]++;
    velum_buffer more = {calloc(1, c.size + 9), c.size + 9};
    assert_non_null(more.data);
    memcpy(more.data, c.data, c.size);
    resealed(&s, &query, &more, "checkpoint: wrong size");
    free(more.data);
    free(c.data);
    velum_buffer_free(&query);
    session_clear(&s);
}

static int full(void *arg, const void *data, size_t size) {
    (void)data;
    (void)size;
    ++*(int *)arg;
    return -1;
}

// A disk that is full ends the checkpoints, not the run.
static void a_run_outlives_its_checkpoints(void **state) {
    (void)state;
    session s;
    session_init(&s, &wide);
    velum_buffer query = session_query(&s, 0, ROWS), answer;
    int calls = 0;
    const velum_run_options o = {.keep = full, .keep_arg = &calls, .keep_every = 1e-9};
    assert_int_equal(velum_server_run(s.server, query.data, query.size, &o, &answer, NULL), VELUM_OK);
    assert_int_equal(calls, 1);
    session_check(&s, &answer, 0, ROWS);
    velum_buffer_free(&answer);
    kept k = {0}; // by default not before 20 seconds have passed
    const velum_run_options usual = {.keep = keep, .keep_arg = &k};
    assert_int_equal(velum_server_run(s.server, query.data, query.size, &usual, &answer, NULL), VELUM_OK);
    assert_true(k.count == 0 && !k.next.data);
    velum_buffer_free(&answer);
    velum_buffer_free(&query);
    session_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_runs_go_on),
        cmocka_unit_test(foreign_ones_are_refused),
        cmocka_unit_test(forged_ones_do_no_harm),
        cmocka_unit_test(bent_ones_are_refused),
        cmocka_unit_test(a_run_outlives_its_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
