// SPDX-License-Identifier: Apache-2.0
// Small networks from file to decrypted answers: compiled, run encrypted through the public client and server, and
// compared with the model in the clear within the error that the program declares.
#ifndef VELUM_TESTS_NN_NETS_H
#define VELUM_TESTS_NN_NETS_H

#include "nn/model.h"

#include "client/client.h"
#include "nn/import.h"
#include "nn/prologue.h"
#include "program/listing.h"
#include <math.h>
#include <time.h>

#define NETS_CALIBRATION 192 // rows: the worst of them stands for requests
#define NETS_DEVIATIONS 6    // of the expected error, at most: the bounds of deep networks are far beyond it
#define NETS_ROOM 512        // most numbers in a row

typedef struct net_case {
    const char *name; // tests/nn/nets/<name>.onnx
    bool bootstraps;  // by a small set that is not secure
    bool sparse;      // of 2^6 slots: all values must fit them
    bool tight;       // no memory for diagonals beyond the least: they are made at each use
    velum_target target;
    uint64_t batch;
    uint32_t rows; // requests to run; 0: 2
} net_case;

static UNUSED double net_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// N = 2^10 and as many levels as the sets that are secure leave.
static UNUSED vl_bootstrap_params net_set(bool sparse) {
    vl_bootstrap_params set = *vl_bootstrap_params_find(sparse ? "INSECURE-n10-sparse" : "INSECURE-n10-full");
    set.name = "INSECURE-n10-net";
    set.left = 11;
    return set;
}

// Requests within what the metadata allow.
static UNUSED velum_table net_rows(const void *onnx, size_t size, uint64_t rows, uint64_t seed) {
    vl_nn_graph g;
    vl_nn_prologue p;
    assert_int_equal(vl_nn_import(onnx, size, &g), VELUM_OK);
    assert_int_equal(vl_nn_prologue_init(&g.heap, &g, &p), VELUM_OK);
    velum_table t = {.columns = p.input_count, .rows = rows};
    assert_true(t.columns <= NETS_ROOM);
    t.values = calloc(rows * t.columns, sizeof *t.values);
    for (uint64_t i = 0; i < rows * t.columns; i++) {
        const vl_input *in = &p.inputs[i % t.columns];
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        t.values[i] = in->value_count ? in->values[(seed >> 33) % in->value_count]
                                      : in->lo + (in->hi - in->lo) * (double)(seed >> 33) * 0x1p-31;
    }
    vl_nn_graph_clear(&g);
    return t;
}

static UNUSED void *net_file(const net_case *c, size_t *size) {
    char path[128];
    snprintf(path, sizeof path, "tests/nn/nets/%s.onnx", c->name);
    return read_file(path, size);
}

static UNUSED void net_must(velum_status status, const net_case *c, const char *what) {
    if (status != VELUM_OK) fail_msg("%s: %s: %s", c->name, what, velum_last_error());
}

static UNUSED void net_compile(const net_case *c, const void *onnx, size_t size, vl_program *p, velum_buffer *program,
                               velum_buffer *client) {
    velum_table calibration = net_rows(onnx, size, NETS_CALIBRATION, 7);
    const vl_bootstrap_params set = net_set(c->sparse);
    velum_compile_options opt = {.target = c->target, .batch = c->batch, .calibration = &calibration};
    net_must(vl_nn_compile_with(onnx, size, &opt, c->bootstraps ? &set : NULL, p), c, "compile");
    if (c->tight) p->memory_bytes = 1;
    vl_writer w = vl_writer_of((size_t)1 << 28), half = vl_writer_of((size_t)1 << 28);
    net_must(vl_program_save(p, &w), c, "save");
    net_must(vl_client_half_save(p, &half), c, "save");
    *program = (velum_buffer){w.data, w.size};
    *client = (velum_buffer){half.data, half.size};
    free(calibration.values);
}

// Every remark says which pass it is from, and counts in plain English.
static UNUSED void net_notes(const net_case *c, const char *notes) {
    static const char *const passes[] = {
        "fold: ", "fuse: ", "ranges: ", "fit: ", "placement: ", "packing: ", "parameters: ", "keys: ", "memory: "};
    for (const char *at = notes; *at; at += strcspn(at, "\n") + 1) {
        bool known = false;
        for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
            known = known || strncmp(at, passes[i], strlen(passes[i])) == 0;
        if (!known) fail_msg("%s: a note without its pass: %.80s", c->name, at);
    }
    const char *wrong = listing_one_of_many(notes);
    if (wrong) fail_msg("%s: '%.24s' in a note", c->name, wrong);
}

static UNUSED double net_logit(const vl_program *p, double y) {
    return p->manifest.epilogue == VL_EPILOGUE_SIGMOID ? log(y / (1 - y)) : y;
}

// From keys to the decrypted table.
static UNUSED void net_session(const net_case *c, const velum_buffer *program, const velum_buffer *client,
                               const velum_table *in, velum_table *answers, double seconds[3]) {
    velum_program *p;
    velum_client *half;
    velum_server *server;
    velum_buffer secret, keys, query, answer;
    double start = net_seconds();
    net_must(velum_program_open(program->data, program->size, &p), c, "open");
    velum_status status = c->bootstraps ? vl_client_open_insecure(client->data, client->size, 1, &half)
                                        : velum_client_open(client->data, client->size, 1, &half);
    net_must(status, c, "client");
    net_must(velum_client_keygen(half, &secret, &keys), c, "keys");
    seconds[0] = net_seconds() - start;
    start = net_seconds();
    net_must(velum_server_new(p, keys.data, keys.size, 1, &server), c, "server");
    seconds[1] = net_seconds() - start;
    net_must(velum_client_encrypt(half, secret.data, secret.size, in, &query), c, "encrypt");
    start = net_seconds();
    net_must(velum_server_infer(server, query.data, query.size, &answer, NULL), c, "infer");
    seconds[2] = net_seconds() - start;
    net_must(velum_client_decrypt(half, secret.data, secret.size, answer.data, answer.size, 0, answers), c, "decrypt");
    velum_server_free(server);
    velum_client_free(half);
    velum_program_free(p);
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
    velum_buffer_free(&query);
    velum_buffer_free(&answer);
}

static UNUSED void net_run(const net_case *c) {
    size_t size;
    void *onnx = net_file(c, &size);
    vl_program p = {0};
    velum_buffer program, client;
    double start = net_seconds(), seconds[3];
    net_compile(c, onnx, size, &p, &program, &client);
    net_notes(c, p.notes);
    const double compiled = net_seconds() - start;
    velum_table in = net_rows(onnx, size, c->rows ? c->rows : 2, 99), want = {0}, got = {0};
    net_must(vl_nn_evaluate(onnx, size, &in, &want), c, "evaluate");
    net_session(c, &program, &client, &in, &got, seconds);
    assert_int_equal(got.rows, want.rows);
    assert_int_equal(got.columns, want.columns);
    const double typical = p.manifest.error_expected;
    double worst = 0, largest = 0;
    assert_true(typical > 0);
    for (uint64_t i = 0; i < want.rows * want.columns; i++) {
        worst = fmax(worst, fabs(net_logit(&p, got.values[i]) - net_logit(&p, want.values[i])));
        largest = fmax(largest, fabs(want.values[i]));
    }
    uint32_t refreshed = 0;
    for (uint32_t i = 0; i < p.op_count; i++) refreshed += p.ops[i].kind == VL_OP_BOOTSTRAP;
    print_message("%-14s N=2^%u %2u limbs %4u lanes %2u bootstraps: error %.2e (%.1f deviations), %.2e expected, %.2e "
                  "declared, answers to %.2g; "
                  "compile %.2f keys %.2f load %.2f run %.2f s\n",
                  c->name, p.manifest.params.log_n, p.manifest.params.q_count, p.manifest.in.lanes, refreshed, worst,
                  worst / typical, typical, p.manifest.error_bound, largest, compiled, seconds[0], seconds[1],
                  seconds[2]);
    if (!(worst <= p.manifest.error_bound && worst <= NETS_DEVIATIONS * typical))
        fail_msg("%s: off by %g, declared %g, expected %g", c->name, worst, p.manifest.error_bound, typical);
    velum_table_free(&want);
    velum_table_free(&got);
    free(in.values);
    velum_buffer_free(&program);
    velum_buffer_free(&client);
    vl_program_clear(&p);
    free(onnx);
}

static UNUSED void net_run_all(const net_case *c, size_t count) {
    const char *only = getenv("VELUM_NET"); // one of them by name
    for (size_t i = 0; i < count; i++)
        if (!only || strcmp(only, c[i].name) == 0) net_run(&c[i]);
}

#endif
