// SPDX-License-Identifier: Apache-2.0
// One round between a client and a server, each step a process in its side's folder.
#include "demo.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REPS 16

void demo_mode_clear(demo_mode *m) {
    json_t *all[] = {m->program, m->keygen, m->encrypt, m->infer, m->decrypt, m->encrypted, m->clear};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_decref(all[i]);
    *m = (demo_mode){0};
}

typedef struct names { // files of one mode
    char program[32], half[48], secret[32], eval[32], query[32], answer[32];
} names;

static names name_files(const char *target) {
    names n;
    snprintf(n.program, sizeof n.program, "%s.velum", target);
    snprintf(n.half, sizeof n.half, "%s.client.velum", target);
    snprintf(n.secret, sizeof n.secret, "%s.secret.key", target);
    snprintf(n.eval, sizeof n.eval, "%s.eval.keys", target);
    snprintf(n.query, sizeof n.query, "%s.query.ct", target);
    snprintf(n.answer, sizeof n.answer, "%s.answer.ct", target);
    return n;
}

static int prepare(const demo_place *place, const names *n, const char *model, const char *calibration,
                   const char *memory, const char *threads, demo_mode *m) {
    char batch[24];
    snprintf(batch, sizeof batch, "%llu", (unsigned long long)m->requests);
    bool many = strcmp(m->target, "throughput") == 0;
    const char *compile[16] = {"compile", model, "-o", n->program, "--target", m->target, "--threads", threads};
    size_t count = 8;
    if (many) compile[count++] = "--batch", compile[count++] = batch;
    if (calibration[0]) compile[count++] = "--calibration", compile[count++] = calibration;
    if (memory) compile[count++] = "--memory", compile[count] = memory;
    int code = demo_call(place->server, &m->program, compile);
    if (code == CLI_OK) code = demo_send(place->server, place->client, n->half);
    const char *keygen[] = {"keygen", n->half, "--secret", n->secret, "--eval", n->eval, "--threads", threads, NULL};
    if (code == CLI_OK) code = demo_call(place->client, &m->keygen, keygen);
    m->eval_key_bytes = demo_size(place->client, n->eval);
    return code == CLI_OK ? demo_send(place->client, place->server, n->eval) : code;
}

static double seconds_of(const json_t *object) { return json_number_value(json_object_get(object, "seconds")); }

static int by_seconds(const void *a, const void *b) {
    double x = seconds_of(*(json_t *const *)a), y = seconds_of(*(json_t *const *)b);
    return (x > y) - (x < y);
}

// Answers the query several times; keeps the run of median time.
static int infer(const demo_place *place, const names *n, const char *threads, demo_mode *m) {
    json_t *runs[MAX_REPS] = {0};
    const char *call[] = {"infer", n->program, "--eval",    n->eval, "--input", n->query,
                          "-o",    n->answer,  "--threads", threads, NULL};
    unsigned done = 0, want = m->reps < MAX_REPS ? m->reps : MAX_REPS;
    int code = CLI_OK;
    for (; done < want && code == CLI_OK; done += code == CLI_OK) code = demo_call(place->server, &runs[done], call);
    qsort(runs, done, sizeof *runs, by_seconds);
    if (code == CLI_OK) {
        double low = seconds_of(runs[(done - 1) / 2]), high = seconds_of(runs[done / 2]);
        m->seconds = 0.5 * (low + high);
        m->infer = json_incref(runs[done / 2]);
    }
    for (unsigned i = 0; i < done; i++) {
        uint64_t peak = (uint64_t)json_integer_value(json_object_get(runs[i], "peak_rss_bytes"));
        if (peak > m->peak_rss_bytes) m->peak_rss_bytes = peak;
        json_decref(runs[i]);
    }
    return code;
}

static int ask(const demo_place *place, const names *n, const char *inputs, const char *threads, demo_mode *m) {
    const char *encrypt[] = {"encrypt", n->half,  "--secret",  n->secret, "--input", inputs,
                             "-o",      n->query, "--threads", threads,   NULL};
    const char *decrypt[] = {"decrypt", n->half,     "--secret", n->secret, "--input",
                             n->answer, "--threads", threads,    NULL};
    int code = demo_call(place->client, &m->encrypt, encrypt);
    m->query_bytes = demo_size(place->client, n->query);
    if (code == CLI_OK) code = demo_send(place->client, place->server, n->query);
    if (code == CLI_OK) code = infer(place, n, threads, m);
    m->answer_bytes = demo_size(place->server, n->answer);
    if (code == CLI_OK) code = demo_send(place->server, place->client, n->answer);
    if (code == CLI_OK) code = demo_call(place->client, &m->decrypt, decrypt);
    if (code == CLI_OK) m->encrypted = json_incref(json_object_get(m->decrypt, "rows"));
    return code;
}

// The model in the clear: in a third place, which real deployments do not have.
static int compare(const demo_place *place, const char *model, const char *inputs, demo_mode *m) {
    char table[1200];
    snprintf(table, sizeof table, "%s/%s", place->client, inputs);
    const char *call[] = {"simulate", model, "--input", table, NULL};
    json_t *object = NULL;
    int code = demo_call(place->check, &object, call);
    if (code != CLI_OK) return code;
    m->clear = json_incref(json_object_get(object, "rows"));
    json_decref(object);
    size_t rows = json_array_size(m->clear);
    if (rows != m->requests || json_array_size(m->encrypted) != rows)
        return cli_fail(CLI_OTHER, "demo: %zu answers for %llu requests", json_array_size(m->encrypted),
                        (unsigned long long)m->requests);
    return CLI_OK;
}

int demo_round(const demo_place *place, const char *model, const char *calibration, const char *memory,
               const char *inputs, unsigned threads, demo_mode *m) {
    names n = name_files(m->target);
    char count[16];
    snprintf(count, sizeof count, "%u", threads);
    int code = prepare(place, &n, model, calibration, memory, count, m);
    if (code == CLI_OK) code = ask(place, &n, inputs, count, m);
    if (code == CLI_OK) code = demo_place_check(place);
    return code == CLI_OK ? compare(place, model, inputs, m) : code;
}
