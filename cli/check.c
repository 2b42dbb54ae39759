// SPDX-License-Identifier: Apache-2.0
// A model, its program in the clear and its encrypted run, compared layer by layer. The encrypted run is that of `velum
// infer`, with the caller's own keys: what each operation leaves is handed out as ciphertexts, and decrypted here.
#include "layers.h"
#include "objects.h"
#include "table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOLERANCE 0x1p-7 // where nothing is said: declared bounds of deep programs are too wide to find anything

#define LEAST_NOISY 32 // rows that an expected deviation is taken from
#define BEYOND 256.0   // times that deviation: the model of noise is right within 32

typedef struct check {
    const cli_args *args;
    cli_file model;
    velum_program *program;
    velum_client *client;
    velum_info info;
    velum_table in, want, simulated, answers;
    cli_layers layers, origins;
    uint32_t *origin_of; // by layer: 1 + its origin's number; 0: none
    double tolerance, off_simulated, off_encrypted;
    double rounding; // of encoded weights: what they leave, relative to the values, beside noise
    uint64_t encrypted_rows;
    cli_offs encrypted, expected;
    const char *departs, *departs_from; // the first that does; "model" or "simulation"
    const char *departs_node;           // of the model, that its values should be the output of; NULL: not known
    json_t *list;
} check;

static int open_all(check *c) {
    velum_buffer half = {0};
    int code = cli_file_read(c->args->positional[0], CLI_MAX_MODEL, &c->model);
    if (code == CLI_OK) code = cli_open_program(c->args->positional[1], &c->program);
    if (code != CLI_OK) return code;
    velum_program_info(c->program, &c->info);
    c->rounding = exp2(c->info.log_n / 2.0 - c->info.log_scale);
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
    velum_status status = velum_evaluate_origins(c->model.data, c->model.size, c->info.packing, &c->in,
                                                 cli_layers_take_origin, &c->origins, &c->want);
    if (status != VELUM_OK) return cli_fail_status(status, c->args->positional[0]);
    status = velum_program_simulate_layers(c->program, &c->in, cli_layers_take, &c->layers, &c->simulated);
    cli_progress_stop();
    if (status != VELUM_OK) return cli_fail_status(status, c->args->positional[1]);
    if (c->want.columns != c->simulated.columns)
        return cli_fail(CLI_BAD_INPUT, "%s has %u outputs, %s has %u: not the same model", c->args->positional[0],
                        c->want.columns, c->args->positional[1], c->simulated.columns);
    cli_origins_match(&c->origins, &c->layers, &c->origin_of);
    return c->origin_of ? CLI_OK : cli_fail(CLI_OTHER, "out of memory");
}

// The client's side of the encrypted run: opens what the server's side hands out.
typedef struct reader {
    check *c;
    const cli_file *secret;
    velum_layer layer;
    velum_status status;
} reader;

static int take_piece(void *arg, const void *data, size_t size) {
    reader *r = arg;
    velum_layer *l = &r->layer;
    r->status = velum_client_decrypt_layer(r->c->client, r->secret->data, r->secret->size, data, size, l);
    if (r->status != VELUM_OK) return 1;
    for (uint32_t k = 0; k < l->rows && l->taken == l->pieces; k++)
        cli_offs_take(&r->c->encrypted, l->layer, l->name, l->first + k, l->values + (size_t)k * l->columns,
                      l->columns);
    return 0;
}

static velum_status run_server(check *c, velum_server *server, const cli_file *secret, const velum_table *in) {
    velum_buffer query = {0}, answer = {0};
    reader r = {.c = c, .secret = secret};
    velum_status status = velum_client_encrypt(c->client, secret->data, secret->size, in, &query);
    if (status == VELUM_OK) status = velum_server_infer_layers(server, query.data, query.size, take_piece, &r, &answer);
    if (r.status != VELUM_OK) status = r.status;
    if (status == VELUM_OK)
        status = velum_client_decrypt(c->client, secret->data, secret->size, answer.data, answer.size, 0, &c->answers);
    velum_layer_free(&r.layer);
    velum_buffer_free(&query);
    velum_buffer_free(&answer);
    return status;
}

// One group of requests, encrypted, computed and decrypted.
static int run_encrypted(check *c) {
    cli_file secret = {0}, eval = {0};
    velum_server *server = NULL;
    velum_table some = c->in;
    some.rows = c->in.rows < c->info.lanes ? c->in.rows : c->info.lanes;
    int code = cli_file_read_secret(c->args->value[CLI_SECRET], &secret);
    if (code == CLI_OK) code = cli_file_map(c->args->value[CLI_EVAL], CLI_MAX_KEYS, &eval);
    if (code == CLI_OK) {
        cli_progress_start("computing on encrypted data");
        velum_status status = velum_server_new_borrowing(c->program, eval.data, eval.size, c->args->threads, &server);
        if (status == VELUM_OK) status = run_server(c, server, &secret, &some);
        cli_progress_stop();
        if (status != VELUM_OK) code = cli_fail_status(status, NULL);
        c->encrypted_rows = some.rows;
    }
    velum_server_free(server);
    cli_file_free(&secret);
    cli_file_free(&eval);
    return code;
}

// What noise is to be expected: several runs where there are few rows.
static int run_noisy(check *c) {
    velum_table some = c->in, out;
    some.rows = c->in.rows < CLI_LAYER_ROWS ? c->in.rows : CLI_LAYER_ROWS;
    velum_status status = VELUM_OK;
    cli_progress_start("computing with noise");
    for (uint64_t done = 0, seed = 0; done < LEAST_NOISY && status == VELUM_OK; done += some.rows, seed += some.rows) {
        status = velum_program_simulate_noisy(c->program, &some, seed, cli_offs_take, &c->expected, &out);
        if (status == VELUM_OK) velum_table_free(&out);
    }
    cli_progress_stop();
    return status == VELUM_OK ? CLI_OK : cli_fail_status(status, c->args->positional[1]);
}

static double farthest(const velum_table *a, const velum_table *b, uint64_t rows) {
    double worst = 0;
    for (uint64_t i = 0; i < rows * a->columns; i++) {
        double off = fabs(a->values[i] - b->values[i]);
        worst = off <= worst ? worst : off;
    }
    return worst;
}

// ---- what is said ----

// One line: off the model (why: it cannot be said), off the simulation (NAN: not known) and what is expected of that.
typedef struct line {
    const char *name, *node, *why; // node: that the name is of; NULL: not known
    double model, encrypted, worst, expected;
} line;

static json_t *number(double v) { return isnan(v) ? json_null() : cli_real(v); }

static void print_line(const line *l, const char *verdict) {
    printf("  %-44.60s", l->name);
    if (l->why)
        printf(" %9s", "");
    else
        printf(" %9.1e", l->model);
    if (isnan(l->encrypted))
        printf(" %10s %10s", "", "");
    else
        printf(" %10s %10s", cli_error_bits(l->encrypted).s, cli_error_bits(l->expected).s);
    printf("   %s\n", verdict);
}

static void note(check *c, const line *l) {
    const char *from = NULL;
    if (!l->why && !(l->model <= c->tolerance)) from = "model";
    // Not <=: an encrypted run may leave what is no number, and NAN in both is no departure.
    if (!from && l->expected > 0 && !(l->encrypted <= BEYOND * l->expected)) from = "simulation";
    if (from && !c->departs) {
        c->departs = l->name;
        c->departs_from = from;
        c->departs_node = l->node;
    }
    if (c->args->json)
        json_array_append_new(c->list,
                              json_pack("{s:s, s:s?, s:o, s:s?, s:o, s:o, s:o, s:s?}", "name", l->name, "node", l->node,
                                        "departure", l->why ? json_null() : cli_real(l->model), "note", l->why,
                                        "encrypted", number(l->encrypted), "encrypted_worst", number(l->worst),
                                        "expected", number(l->expected), "departs_from", from));
    else
        print_line(l, !from                        ? (l->why ? l->why : "agrees")
                      : strcmp(from, "model") == 0 ? "departs from the model"
                                                   : "departs from the simulation");
}

static void print_head(const check *c) {
    printf("%llu rows, tolerance %.1e (layers: relative, up to a scale and a shift of each element)\n",
           (unsigned long long)c->in.rows, c->tolerance);
    if (c->encrypted_rows == 0) {
        printf("\n  %-44s %9s\n", "", "simulated");
        return;
    }
    printf("encrypted: %llu of them; deviation from the simulation, and what is expected (departs beyond %.0f times)\n",
           (unsigned long long)c->encrypted_rows, BEYOND);
    printf("\n  %-44s %9s %10s %10s\n", "", "simulated", "encrypted", "expected");
}

// Off the model.
static void compare_layer(const check *c, uint32_t i, line *l) {
    if (c->origin_of[i] == 0) {
        l->why = "a part of another operation";
        return;
    }
    const cli_layer *origin = &c->origins.layer[c->origin_of[i] - 1];
    l->model = cli_origins_departure(origin, &c->layers.layer[i], &l->why);
    l->node = origin->node[0] ? origin->node : NULL;
}

static void compare(check *c) {
    const double none = NAN;
    if (!c->args->json) print_head(c);
    for (uint32_t i = 0; i < c->layers.count; i++) {
        if (!c->layers.layer[i].values) continue;
        line l = {.name = c->layers.layer[i].name, .encrypted = none, .worst = none, .expected = none};
        compare_layer(c, i, &l);
        if (c->encrypted_rows) {
            l.encrypted = cli_offs_deviation(&c->encrypted, i);
            l.worst = cli_offs_worst(&c->encrypted, i);
            l.expected = hypot(cli_offs_deviation(&c->expected, i), c->rounding);
        }
        note(c, &l);
    }
    line l = {.name = "answers of the simulation", .encrypted = none, .worst = none, .expected = none};
    l.model = c->off_simulated = farthest(&c->want, &c->simulated, c->in.rows);
    note(c, &l);
    if (c->encrypted_rows == 0) return;
    l.name = "answers of the encrypted run";
    l.model = c->off_encrypted = farthest(&c->want, &c->answers, c->encrypted_rows);
    note(c, &l);
}

static int conclude(check *c) {
    if (c->args->json) {
        json_t *o =
            json_pack("{s:I, s:o, s:o, s:o, s:o, s:s?, s:s?, s:s?}", "rows", (json_int_t)c->in.rows, "tolerance",
                      cli_real(c->tolerance), "layers", json_incref(c->list), "simulated", cli_real(c->off_simulated),
                      "encrypted", c->encrypted_rows ? cli_real(c->off_encrypted) : json_null(), "departs", c->departs,
                      "departs_from", c->departs_from, "departs_node", c->departs_node);
        int code = cli_print_json(o);
        return code == CLI_OK && c->departs ? CLI_OTHER : code;
    }
    if (!c->departs) {
        printf("\nall that can be compared agrees\n");
        return CLI_OK;
    }
    char where[160] = "";
    if (c->departs_node) snprintf(where, sizeof where, " (node '%s' of the model)", c->departs_node);
    if (strcmp(c->departs_from, "model") == 0)
        return cli_fail(CLI_OTHER, "'%s' is the first to depart, from the model, by more than %.1e%s", c->departs,
                        c->tolerance, where);
    return cli_fail(CLI_OTHER,
                    "'%s' is the first to depart: encrypted it is more than %.0f times as far from the simulation as "
                    "noise explains%s",
                    c->departs, BEYOND, where);
}

int cli_check(const cli_args *args) {
    if (cli_has(args, CLI_SECRET) != cli_has(args, CLI_EVAL))
        return cli_fail(CLI_USAGE, "check: --secret and --eval go together");
    check c = {.args = args, .list = json_array()};
    int code = open_all(&c);
    if (code == CLI_OK) code = run_clear(&c);
    if (code == CLI_OK && cli_has(args, CLI_SECRET)) {
        code = cli_offs_init(&c.layers, &c.encrypted);
        if (code == CLI_OK) code = cli_offs_init(&c.layers, &c.expected);
        if (code == CLI_OK) code = run_noisy(&c);
        if (code == CLI_OK) code = run_encrypted(&c);
    }
    if (code == CLI_OK) {
        compare(&c);
        code = conclude(&c);
    }
    json_decref(c.list);
    cli_layers_clear(&c.layers);
    cli_layers_clear(&c.origins);
    free(c.origin_of);
    cli_offs_clear(&c.encrypted);
    cli_offs_clear(&c.expected);
    velum_table_free(&c.want);
    velum_table_free(&c.simulated);
    velum_table_free(&c.answers);
    cli_table_clear(&c.in);
    velum_client_free(c.client);
    velum_program_free(c.program);
    cli_file_free(&c.model);
    return code;
}
