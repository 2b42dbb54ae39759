// SPDX-License-Identifier: Apache-2.0
#include "checkpoint.h"
#include "objects.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct timing {
    double load_seconds;
    uint64_t planned_bytes;
    velum_report report;
} timing;

static json_t *stages_json(const velum_report *r) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->stage_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", r->stages[i].name, "seconds",
                                              cli_real(r->stages[i].seconds), "predicted_seconds",
                                              cli_real(r->stages[i].predicted_seconds)));
    return list;
}

static int print_report(const cli_args *args, const timing *t, uint64_t answer_bytes) {
    const velum_report *r = &t->report;
    if (args->json)
        return cli_print_json(json_pack(
            "{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "seconds", cli_real(r->seconds),
            "predicted_seconds", cli_real(r->predicted_seconds), "load_seconds", cli_real(t->load_seconds), "requests",
            (json_int_t)r->requests, "threads", (json_int_t)r->threads, "peak_rss_bytes", (json_int_t)r->peak_rss_bytes,
            "planned_bytes", (json_int_t)t->planned_bytes, "resumed_at", (json_int_t)r->resumed_at, "answer_bytes",
            (json_int_t)answer_bytes, "output", args->value[CLI_OUTPUT], "stages", stages_json(r)));
    printf("%llu request%s answered in %s on %u thread%s", (unsigned long long)r->requests, r->requests == 1 ? "" : "s",
           cli_seconds(r->seconds).s, r->threads, r->threads == 1 ? "" : "s");
    if (r->requests > 1) printf(", %s each", cli_seconds(r->seconds / (double)r->requests).s);
    printf(" (keys and weights loaded in %s, peak memory %s)\n", cli_seconds(t->load_seconds).s,
           cli_bytes(r->peak_rss_bytes).s);
    if (r->resumed_at)
        printf("continued from a checkpoint: %llu operations had been done before\n",
               (unsigned long long)r->resumed_at);
    putchar('\n');
    printf("  %-40s %10s %10s%s\n", "", "measured", "predicted", r->threads > 1 ? " (for one thread)" : "");
    for (uint32_t i = 0; i < r->stage_count; i++) {
        const velum_stage *s = &r->stages[i];
        printf("  %-40.60s %10s %10s\n", s->name, cli_seconds(s->seconds).s,
               s->predicted_seconds > 0 ? cli_seconds(s->predicted_seconds).s : "");
    }
    printf("  %-40s %10s %10s\n", "total", cli_seconds(r->seconds).s, cli_seconds(r->predicted_seconds).s);
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
    snprintf(what, sizeof what, "computing on encrypted data: %llu of %llu, %.60s", (unsigned long long)p->done,
             (unsigned long long)p->count, p->stage);
    cli_progress_say(what, p->left);
}

// A query at work.
typedef struct work {
    const cli_args *args;
    velum_server *server;
    cli_file query, old; // old: the checkpoint that is there
    cli_checkpoint checkpoint;
    velum_run_options options;
    bool taken; // query and old are not needed any more
} work;

static void let_go(void *arg) {
    work *w = arg;
    w->taken = true;
    cli_file_free(&w->query);
    cli_file_free(&w->old);
}

static void start_over(work *w, const char *why) {
    cli_note("%s: %s; starting over", w->checkpoint.path, why);
    cli_file_free(&w->old);
    w->options.resume = NULL;
    w->options.resume_size = 0;
}

static void look_at_checkpoint(work *w) {
    velum_checkpoint_info info;
    char when[32] = "";
    if (!w->old.data) return;
    velum_status status =
        velum_server_checkpoint(w->server, w->query.data, w->query.size, w->old.data, w->old.size, &info);
    if (status != VELUM_OK) {
        start_over(w, velum_last_error());
        return;
    }
    time_t at = (time_t)info.time;
    struct tm parts;
    if (localtime_r(&at, &parts)) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &parts);
    cli_note("continuing at operation %llu of %llu (checkpoint of %s)", (unsigned long long)info.done + 1,
             (unsigned long long)info.count, when);
    w->options.resume = w->old.data;
    w->options.resume_size = w->old.size;
}

static velum_status run(work *w, velum_buffer *out, velum_report *report) {
    if (w->checkpoint.path[0]) {
        w->options.keep = cli_checkpoint_keep;
        w->options.keep_arg = &w->checkpoint;
    }
    w->options.taken = let_go;
    w->options.taken_arg = w;
    look_at_checkpoint(w);
    for (;;) {
        cli_progress_start("computing on encrypted data");
        velum_status status = velum_server_run(w->server, w->query.data, w->query.size, &w->options, out, report);
        cli_progress_stop();
        if (status == VELUM_OK || w->taken || !w->options.resume) return status;
        start_over(w, velum_last_error()); // it was the query's own, but not what its digest says
    }
}

// By the compiler's prediction, which is for one thread: two take 0.535 of that (docs/performance.md, pictures), as if
// so much of it were not shared.
#define UNSHARED 0.07
static double expected_seconds(const velum_info *info, const work *w) {
    const double groups = info->query_bytes ? ceil((double)w->query.size / (double)info->query_bytes - 0.5) : 1;
    const double share = UNSHARED + (1 - UNSHARED) / velum_server_threads(w->server);
    return (groups > 1 ? groups : 1) * info->predicted_seconds * share;
}

static int answer(work *w, const velum_info *info, timing *t) {
    const cli_args *args = w->args;
    velum_buffer out = {0};
    int code = cli_file_read(args->value[CLI_INPUT], CLI_MAX_MESSAGE, &w->query);
    if (code != CLI_OK) return code;
    const double expected = expected_seconds(info, w);
    t->planned_bytes = velum_server_memory(w->server);
    cli_note("planned: up to %s of memory, about %s", cli_bytes(t->planned_bytes).s, cli_seconds(expected).s);
    code = cli_checkpoint_find(args, expected, &w->checkpoint, &w->old);
    if (code == CLI_OK) code = cli_positive(args, CLI_CHECKPOINT_EVERY, &w->options.keep_every);
    if (code != CLI_OK) return code;
    velum_server_on_progress(w->server, show, NULL);
    velum_status status = run(w, &out, &t->report);
    if (status != VELUM_OK) return cli_fail_status(status, args->value[CLI_INPUT]);
    code = cli_file_write(args->value[CLI_OUTPUT], out.data, out.size);
    cli_checkpoint_end(&w->checkpoint, code == CLI_OK);
    if (code == CLI_OK) code = print_report(args, t, out.size);
    velum_buffer_free(&out);
    return code;
}

int cli_infer(const cli_args *args) {
    velum_program *program = NULL;
    velum_info info;
    cli_file keys = {0};
    timing *t = calloc(1, sizeof *t);
    work *w = calloc(1, sizeof *w);
    if (!t || !w) {
        free(t);
        free(w);
        return cli_fail(CLI_OTHER, "out of memory");
    }
    *w = (work){.args = args, .checkpoint = {.fd = -1}};
    double start = cli_now();
    cli_progress_start("loading keys and weights");
    int code = load_server(args, &program, &keys, &w->server);
    cli_progress_stop();
    t->load_seconds = cli_now() - start;
    if (code == CLI_OK) {
        velum_program_info(program, &info);
        code = answer(w, &info, t);
    }
    cli_checkpoint_end(&w->checkpoint, false);
    cli_file_free(&w->query);
    cli_file_free(&w->old);
    velum_server_free(w->server);
    cli_file_free(&keys);
    velum_program_free(program);
    free(w);
    free(t);
    return code;
}
