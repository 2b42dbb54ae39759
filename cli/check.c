// SPDX-License-Identifier: Apache-2.0
// A model, its program in the clear and its encrypted run, compared. The encrypted run is that of `velum infer`, with
// the caller's own keys: nothing but its answer is decrypted.
#include "layers.h"
#include "objects.h"
#include "table.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_TOLERANCE 0x1p-7 // where nothing is said: declared bounds of deep programs are too wide to find anything

typedef struct check {
    const cli_args *args;
    cli_file model;
    velum_program *program;
    velum_client *client;
    velum_info info;
    velum_table in, want, simulated, answers;
    cli_layers nodes, layers;
    double tolerance, off_simulated, off_encrypted;
    uint64_t encrypted_rows;
    const char *departs; // the first that does
    json_t *list;
} check;

static int open_all(check *c) {
    velum_buffer half = {0};
    int code = cli_file_read(c->args->positional[0], CLI_MAX_MODEL, &c->model);
    if (code == CLI_OK) code = cli_open_program(c->args->positional[1], &c->program);
    if (code != CLI_OK) return code;
    velum_program_info(c->program, &c->info);
    c->tolerance = fmin(c->info.error_bound, MOST_TOLERANCE);
    code = cli_positive(c->args, CLI_TOLERANCE, &c->tolerance);
    if (code != CLI_OK) return code;
    velum_status status = velum_program_client(c->program, &half);
    if (status == VELUM_OK) status = velum_client_open(half.data, half.size, c->args->threads, &c->client);
    velum_buffer_free(&half);
    if (status != VELUM_OK) return cli_fail_status(status, c->args->positional[1]);
    cli_names names;
    code = cli_names_of(c->client, &names);
    if (code == CLI_OK) code = cli_table_read(c->args->value[CLI_INPUT], &names, &c->in);
    cli_names_free(&names);
    return code;
}

static int run_clear(check *c) {
    cli_progress_start("computing in the clear");
    velum_status status =
        velum_evaluate_layers(c->model.data, c->model.size, &c->in, cli_layers_take, &c->nodes, &c->want);
    if (status != VELUM_OK) return cli_fail_status(status, c->args->positional[0]);
    status = velum_program_simulate_layers(c->program, &c->in, cli_layers_take, &c->layers, &c->simulated);
    cli_progress_stop();
    if (status != VELUM_OK) return cli_fail_status(status, c->args->positional[1]);
    if (c->want.columns != c->simulated.columns)
        return cli_fail(CLI_BAD_INPUT, "%s has %u outputs, %s has %u: not the same model", c->args->positional[0],
                        c->want.columns, c->args->positional[1], c->simulated.columns);
    return CLI_OK;
}

// One group of requests, encrypted, computed and decrypted.
static int run_encrypted(check *c) {
    cli_file secret = {0}, eval = {0};
    velum_buffer query = {0}, answer = {0};
    velum_server *server = NULL;
    velum_table some = c->in;
    some.rows = c->in.rows < c->info.lanes ? c->in.rows : c->info.lanes;
    int code = cli_file_read_secret(c->args->value[CLI_SECRET], &secret);
    if (code == CLI_OK) code = cli_file_read(c->args->value[CLI_EVAL], CLI_MAX_KEYS, &eval);
    if (code == CLI_OK) {
        cli_progress_start("computing on encrypted data");
        velum_status status = velum_client_encrypt(c->client, secret.data, secret.size, &some, &query);
        if (status == VELUM_OK) status = velum_server_new(c->program, eval.data, eval.size, c->args->threads, &server);
        if (status == VELUM_OK) status = velum_server_infer(server, query.data, query.size, &answer, NULL);
        if (status == VELUM_OK)
            status =
                velum_client_decrypt(c->client, secret.data, secret.size, answer.data, answer.size, 0, &c->answers);
        cli_progress_stop();
        if (status != VELUM_OK) code = cli_fail_status(status, NULL);
        c->encrypted_rows = some.rows;
    }
    velum_server_free(server);
    velum_buffer_free(&query);
    velum_buffer_free(&answer);
    cli_file_free(&secret);
    cli_file_free(&eval);
    return code;
}

static double farthest(const velum_table *a, const velum_table *b, uint64_t rows) {
    double worst = 0;
    for (uint64_t i = 0; i < rows * a->columns; i++) {
        double off = fabs(a->values[i] - b->values[i]);
        worst = off <= worst ? worst : off;
    }
    return worst;
}

static void note(check *c, const char *name, double departure, const char *why) {
    bool over = !why && !(departure <= c->tolerance);
    if (over && !c->departs) c->departs = name;
    if (c->args->json)
        json_array_append_new(c->list, json_pack("{s:s, s:o, s:s?}", "name", name, "departure",
                                                 why ? json_null() : cli_real(departure), "note", why));
    else if (why)
        printf("  %-48.60s %10s   %s\n", name, "", why);
    else
        printf("  %-48.60s %10.1e   %s\n", name, departure, over ? "departs" : "agrees");
}

static void compare(check *c) {
    if (!c->args->json)
        printf("%llu rows, tolerance %.1e (layers: relative, up to a scale and a shift of each element)\n\n",
               (unsigned long long)c->in.rows, c->tolerance);
    for (uint32_t i = 0; i < c->layers.count; i++) {
        const char *why;
        double departure = cli_layers_departure(&c->nodes, &c->layers, i, &why);
        if (c->layers.layer[i].values) note(c, c->layers.layer[i].name, departure, why);
    }
    c->off_simulated = farthest(&c->want, &c->simulated, c->in.rows);
    note(c, "answers of the simulation", c->off_simulated, NULL);
    if (c->encrypted_rows == 0) return;
    c->off_encrypted = farthest(&c->want, &c->answers, c->encrypted_rows);
    note(c, "answers of the encrypted run", c->off_encrypted, NULL);
}

static int conclude(check *c) {
    if (c->args->json) {
        json_t *o =
            json_pack("{s:I, s:o, s:o, s:o, s:o, s:s?}", "rows", (json_int_t)c->in.rows, "tolerance",
                      cli_real(c->tolerance), "layers", json_incref(c->list), "simulated", cli_real(c->off_simulated),
                      "encrypted", c->encrypted_rows ? cli_real(c->off_encrypted) : json_null(), "departs", c->departs);
        int code = cli_print_json(o);
        return code == CLI_OK && c->departs ? CLI_OTHER : code;
    }
    if (c->departs)
        return cli_fail(CLI_OTHER, "'%s' is the first to depart by more than %.1e", c->departs, c->tolerance);
    printf("\nall that can be compared agrees\n");
    return CLI_OK;
}

int cli_check(const cli_args *args) {
    if (cli_has(args, CLI_SECRET) != cli_has(args, CLI_EVAL))
        return cli_fail(CLI_USAGE, "check: --secret and --eval go together");
    check c = {.args = args, .list = json_array()};
    int code = open_all(&c);
    if (code == CLI_OK) code = run_clear(&c);
    if (code == CLI_OK && cli_has(args, CLI_SECRET)) code = run_encrypted(&c);
    if (code == CLI_OK) {
        compare(&c);
        code = conclude(&c);
    }
    json_decref(c.list);
    cli_layers_clear(&c.nodes);
    cli_layers_clear(&c.layers);
    velum_table_free(&c.want);
    velum_table_free(&c.simulated);
    velum_table_free(&c.answers);
    cli_table_clear(&c.in);
    velum_client_free(c.client);
    velum_program_free(c.program);
    cli_file_free(&c.model);
    return code;
}
