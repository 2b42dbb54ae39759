// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct timing {
    double load_seconds;
    velum_report report;
} timing;

static json_t *stages_json(const velum_report *r) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->stage_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "name", r->stages[i].name, "seconds", cli_real(r->stages[i].seconds)));
    return list;
}

static int print_report(const cli_args *args, const timing *t, uint64_t answer_bytes) {
    const velum_report *r = &t->report;
    if (args->json)
        return cli_print_json(json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:o}", "seconds", cli_real(r->seconds),
                                        "load_seconds", cli_real(t->load_seconds), "requests", (json_int_t)r->requests,
                                        "threads", (json_int_t)r->threads, "peak_rss_bytes",
                                        (json_int_t)r->peak_rss_bytes, "answer_bytes", (json_int_t)answer_bytes,
                                        "output", args->value[CLI_OUTPUT], "stages", stages_json(r)));
    printf("%llu request%s answered in %s on %u thread%s", (unsigned long long)r->requests, r->requests == 1 ? "" : "s",
           cli_seconds(r->seconds).s, r->threads, r->threads == 1 ? "" : "s");
    if (r->requests > 1) printf(", %s each", cli_seconds(r->seconds / (double)r->requests).s);
    printf(" (keys and weights loaded in %s, peak memory %s)\n\n", cli_seconds(t->load_seconds).s,
           cli_bytes(r->peak_rss_bytes).s);
    for (uint32_t i = 0; i < r->stage_count; i++)
        printf("  %-40.60s %10s\n", r->stages[i].name, cli_seconds(r->stages[i].seconds).s);
    printf("\n%s: %s\nnext, at the client: velum decrypt CLIENT.velum --secret SECRET.KEY --input %s\n",
           args->value[CLI_OUTPUT], cli_bytes(answer_bytes).s, args->value[CLI_OUTPUT]);
    return CLI_OK;
}

// The server uses the keys where the file is mapped.
static int load_server(const cli_args *args, velum_program **p, cli_file *keys, velum_server **s) {
    int code = cli_open_program(args->positional[0], p);
    if (code == CLI_OK) code = cli_file_map(args->value[CLI_EVAL], CLI_MAX_KEYS, keys);
    if (code != CLI_OK) return code;
    velum_status status = velum_server_new_borrowing(*p, keys->data, keys->size, args->threads, s);
    return status == VELUM_OK ? CLI_OK : cli_fail_status(status, args->value[CLI_EVAL]);
}

static void show(void *arg, const velum_progress *p) {
    (void)arg;
    char what[128];
    if (p->left >= 1)
        snprintf(what, sizeof what, "computing on encrypted data: %llu of %llu, %.40s, about %.0f s left",
                 (unsigned long long)p->done, (unsigned long long)p->count, p->stage, p->left);
    else
        snprintf(what, sizeof what, "computing on encrypted data");
    cli_progress_say(what);
}

static int answer(const cli_args *args, velum_server *server, timing *t) {
    cli_file query;
    velum_buffer out = {0};
    int code = cli_file_read(args->value[CLI_INPUT], CLI_MAX_MESSAGE, &query);
    if (code != CLI_OK) return code;
    velum_server_on_progress(server, show, NULL);
    cli_progress_start("computing on encrypted data");
    velum_status status = velum_server_infer(server, query.data, query.size, &out, &t->report);
    cli_progress_stop();
    cli_file_free(&query);
    if (status != VELUM_OK) return cli_fail_status(status, args->value[CLI_INPUT]);
    code = cli_file_write(args->value[CLI_OUTPUT], out.data, out.size);
    if (code == CLI_OK) code = print_report(args, t, out.size);
    velum_buffer_free(&out);
    return code;
}

int cli_infer(const cli_args *args) {
    velum_program *program = NULL;
    velum_server *server = NULL;
    cli_file keys = {0};
    timing *t = calloc(1, sizeof *t);
    if (!t) return cli_fail(CLI_OTHER, "out of memory");
    double start = cli_now();
    cli_progress_start("loading keys and weights");
    int code = load_server(args, &program, &keys, &server);
    cli_progress_stop();
    t->load_seconds = cli_now() - start;
    if (code == CLI_OK) code = answer(args, server, t);
    velum_server_free(server);
    cli_file_free(&keys);
    velum_program_free(program);
    free(t);
    return code;
}
