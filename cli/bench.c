// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <stdio.h>
#include <unistd.h>
#include <velum/bench.h>

typedef struct listing {
    bool json, any;
    json_t *results;
} listing;

static void add_bootstrap(json_t *item, const velum_bench_result *r) {
    json_object_update_new(
        item, json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:s, s:I, s:I, s:I, s:o}", "set", r->set, "slots",
                        (json_int_t)r->slots, "levels_left", (json_int_t)r->levels_left, "scale_bits",
                        cli_real(r->scale_bits), "precision_bits_mean", cli_real(r->precision_bits_mean),
                        "precision_bits_min", cli_real(r->precision_bits_min), "log2_failure",
                        cli_real(r->log2_failure), "security_bits", (json_int_t)r->security_bits, "secret", r->secret,
                        "peak_rss_bytes", (json_int_t)r->peak_rss_bytes, "key_bytes", (json_int_t)r->key_bytes,
                        "matrix_bytes", (json_int_t)r->matrix_bytes, "keygen_seconds", cli_real(r->keygen_seconds)));
}

static void add_lookup(json_t *item, const velum_bench_result *r) {
    json_object_update_new(
        item, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "width", (json_int_t)r->width,
                        "outputs", (json_int_t)r->outputs, "ciphertexts", (json_int_t)r->ciphertexts, "products",
                        (json_int_t)r->products, "rotations", (json_int_t)r->rotations, "relinearisations",
                        (json_int_t)r->relinearisations, "max_error", cli_real(r->max_error), "precision_bits_min",
                        cli_real(r->precision_bits_min), "query_bytes", (json_int_t)r->query_bytes, "matrix_bytes",
                        (json_int_t)r->matrix_bytes, "security_bits", (json_int_t)r->security_bits));
}

static void each(void *user, const velum_bench_result *r) {
    listing *l = user;
    cli_progress_stop();
    if (l->json) {
        json_t *item = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:o, s:o, s:I}", "name", r->name, "log_n",
                                 (json_int_t)r->log_n, "limbs", (json_int_t)r->limbs, "special", (json_int_t)r->special,
                                 "digits", (json_int_t)r->digits, "kernel", r->kernel, "threads",
                                 (json_int_t)r->threads, "seconds_min", cli_real(r->seconds_min), "seconds_median",
                                 cli_real(r->seconds_median), "reps", (json_int_t)r->reps);
        if (r->slots) add_bootstrap(item, r);
        if (r->width) add_lookup(item, r);
        json_array_append_new(l->results, item);
        return;
    }
    if (!l->any)
        printf("%-28s %-6s %5s %5s %8s %7s %8s %10s %10s %6s\n", "name", "kernel", "N", "limbs", "special", "digits",
               "threads", "min", "median", "reps");
    l->any = true;
    char degree[16];
    snprintf(degree, sizeof degree, "2^%u", r->log_n);
    printf("%-28s %-6s %5s %5u %8u %7u %8u %10s %10s %6u\n", r->name, r->kernel, degree, r->limbs, r->special,
           r->digits, r->threads, cli_seconds(r->seconds_min).s, cli_seconds(r->seconds_median).s, r->reps);
    if (r->slots)
        printf("    %s: %u slots, %u levels of %.0f bits left, %.2f bits mean, %.2f worst, failure 2^%.1f, %u-bit "
               "security, keys %.2f GB in %.1f s, matrices %.2f GB, peak %.2f GB\n",
               r->set, r->slots, r->levels_left, r->scale_bits, r->precision_bits_mean, r->precision_bits_min,
               r->log2_failure, r->security_bits, (double)r->key_bytes / 1e9, r->keygen_seconds,
               (double)r->matrix_bytes / 1e9, (double)r->peak_rss_bytes / 1e9);
    if (r->width)
        printf(
            "    width %u in %u ciphertext%s, %u outputs: %u products, %u rotations, %u relinearisations; error %.1e "
            "(%.1f bits), query %.2f MB, matrix %.2f MB\n",
            r->width, r->ciphertexts, r->ciphertexts == 1 ? "" : "s", r->outputs, r->products, r->rotations,
            r->relinearisations, r->max_error, r->precision_bits_min, (double)r->query_bytes / 1e6,
            (double)r->matrix_bytes / 1e6);
    fflush(stdout);
}

static void progress(void *user, const char *what) {
    (void)user;
    cli_progress_start(what);
}

int cli_bench(const cli_args *args) {
    listing l = {.json = args->json, .results = json_array()};
    if (!args->json) printf("%s\n\n", velum_bench_machine());
    fflush(stdout);
    velum_status status = velum_bench_run(args->value[CLI_FILTER], cli_threads(args), each, progress, &l);
    cli_progress_stop();
    int code = status == VELUM_OK ? CLI_OK : cli_fail_status(status, NULL);
    if (code == CLI_OK && args->json)
        code = cli_print_json(json_pack("{s:s, s:O}", "machine", velum_bench_machine(), "results", l.results));
    else if (code == CLI_OK && !l.any)
        puts("nothing has a name like that");
    json_decref(l.results);
    return code;
}
