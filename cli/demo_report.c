// SPDX-License-Identifier: Apache-2.0
// What a demo found, for people and for scripts.
#include "demo.h"
#include <math.h>
#include <stdio.h>

#define SHOWN 12 // answers that are printed one by one

double demo_answer(const json_t *rows, uint64_t i) {
    return json_number_value(json_array_get(json_array_get(rows, (size_t)i), 0));
}

static double field(const json_t *object, const char *name) { return json_number_value(json_object_get(object, name)); }

// keygen, encrypt, infer, decrypt, then infer's own stages.
static json_t *stages_json(const demo_mode *m) {
    const struct {
        const char *name;
        double seconds;
    } steps[] = {{"compile", field(m->program, "seconds")},
                 {"keygen", field(m->keygen, "seconds")},
                 {"encrypt", field(m->encrypt, "seconds")},
                 {"infer", m->seconds},
                 {"decrypt", field(m->decrypt, "seconds")}};
    json_t *list = json_array(), *stage;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", steps[i].name, "seconds", cli_real(steps[i].seconds)));
    size_t k;
    json_array_foreach(json_object_get(m->infer, "stages"), k, stage) {
        char name[128];
        snprintf(name, sizeof name, "infer: %s", json_string_value(json_object_get(stage, "name")));
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", name, "seconds", cli_real(field(stage, "seconds"))));
    }
    return list;
}

json_t *demo_mode_json(const demo_mode *m) {
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "requests", (json_int_t)m->requests, "seconds",
        cli_real(m->seconds), "predicted_s", cli_real(field(m->infer, "predicted_seconds")), "error_bound",
        cli_real(field(m->program, "error_bound")), "log_n", (json_int_t)field(m->keygen, "log_n"), "log_qp",
        cli_real(field(m->keygen, "log_qp")), "security_bits", (json_int_t)field(m->keygen, "security_bits"),
        "eval_key_bytes", (json_int_t)m->eval_key_bytes, "query_bytes", (json_int_t)m->query_bytes, "answer_bytes",
        (json_int_t)m->answer_bytes, "peak_rss_bytes", (json_int_t)m->peak_rss_bytes, "stages", stages_json(m));
}

int demo_print_json(const demo *d) {
    uint64_t peak = d->one.peak_rss_bytes > d->many.peak_rss_bytes ? d->one.peak_rss_bytes : d->many.peak_rss_bytes;
    double lower = fmin(field(d->one.keygen, "security_bits"), field(d->many.keygen, "security_bits"));
    json_t *o = demo_mode_json(&d->one); // its figures describe the run for one request
    json_object_del(o, "seconds");
    json_object_set_new(o, "model", json_string(d->spec->name));
    json_object_set_new(o, "requests", json_integer((json_int_t)d->many.requests));
    json_object_set_new(o, "latency_s_median", cli_real(d->one.seconds));
    json_object_set_new(o, "amortised_s", cli_real(d->many.seconds / (double)d->many.requests));
    json_object_set_new(o, "max_abs_error", cli_real(d->max_error));
    json_object_set_new(o, "precision_bits", cli_real(d->max_error > 0 ? -log2(d->max_error) : 53));
    json_object_set_new(o, "metric_name", json_string("auc"));
    json_object_set_new(o, "metric_clear", cli_real(d->auc_clear));
    json_object_set_new(o, "metric_encrypted", cli_real(d->auc_encrypted));
    json_object_set_new(o, "metric_rows", json_integer((json_int_t)d->data.rows));
    json_object_set_new(o, "labels_equal", cli_real(d->equal));
    json_object_set_new(o, "threads", json_integer(d->threads));
    json_object_set_new(o, "peak_rss_bytes", json_integer((json_int_t)peak));
    json_object_set_new(o, "security_bits", json_integer((json_int_t)lower));
    json_object_set_new(o, "throughput", demo_mode_json(&d->many));
    if (d->place.keep) json_object_set_new(o, "folder", json_string(d->place.root));
    return cli_print_json(o);
}

static void print_costs(const demo *d) {
    const demo_mode *modes[] = {&d->one, &d->many};
    char many[40];
    snprintf(many, sizeof many, "%llu %ss", (unsigned long long)d->many.requests, d->spec->who);
    printf("%-34s %14s %14s\n", "", "one", many);
    static const char *const steps[] = {"compile", "keygen", "encrypt", "infer", "decrypt"};
    static const char *const where[] = {"server, once", "client, once", "client", "server", "client"};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        printf("  %-8s %-23s", steps[s], where[s]);
        for (int i = 0; i < 2; i++) {
            const json_t *from = s == 0   ? modes[i]->program
                                 : s == 1 ? modes[i]->keygen
                                 : s == 2 ? modes[i]->encrypt
                                          : modes[i]->decrypt;
            printf(" %14s", cli_seconds(s == 3 ? modes[i]->seconds : field(from, "seconds")).s);
        }
        putchar('\n');
    }
    printf("  %-32s %14s %14s\n", "infer, for each", cli_seconds(d->one.seconds).s,
           cli_seconds(d->many.seconds / (double)d->many.requests).s);
    printf("  %-32s %14s %14s\n", "keys to the server, once", cli_bytes((uint64_t)d->one.eval_key_bytes).s,
           cli_bytes((uint64_t)d->many.eval_key_bytes).s);
    printf("  %-32s %14s %14s\n", "query", cli_bytes((uint64_t)d->one.query_bytes).s,
           cli_bytes((uint64_t)d->many.query_bytes).s);
    printf("  %-32s %14s %14s\n", "answer", cli_bytes((uint64_t)d->one.answer_bytes).s,
           cli_bytes((uint64_t)d->many.answer_bytes).s);
    printf("  %-32s %14s %14s\n", "server's peak memory", cli_bytes(d->one.peak_rss_bytes).s,
           cli_bytes(d->many.peak_rss_bytes).s);
    for (int i = 0; i < 2; i++)
        printf("%s%11.0f bits", i ? " " : "  security                        ",
               field(modes[i]->keygen, "security_bits"));
    putchar('\n');
}

int demo_print_people(const demo *d) {
    const demo_spec *s = d->spec;
    printf("%s\n\n%9s  %10s  %10s  %10s\n", s->title, s->who, "encrypted", "in clear", "difference");
    for (uint64_t i = 0; i < d->shown.rows && i < SHOWN; i++) {
        double a = demo_answer(d->many.encrypted, i), b = demo_answer(d->many.clear, i);
        printf("%9llu  %10.4f  %10.4f  %10.1e\n", (unsigned long long)i + 1, a, b, fabs(a - b));
    }
    if (d->shown.rows > SHOWN) printf("%9s  and %llu more\n", "...", (unsigned long long)d->shown.rows - SHOWN);
    printf(
        "\nlargest difference of %llu %ss: %.1e (%.1f bits of precision); %.1f %% of the decisions at %s 0.5 agree\n",
        (unsigned long long)d->many.requests, s->who, d->max_error, d->max_error > 0 ? -log2(d->max_error) : 53.0,
        100 * d->equal, s->answer);
    if (d->data.rows)
        printf("AUC over %llu %s: %.4f encrypted, %.4f in the clear\n", (unsigned long long)d->data.rows, s->data_name,
               d->auc_encrypted, d->auc_clear);
    printf("\nOn %u thread%s:\n\n", d->threads, d->threads == 1 ? "" : "s");
    print_costs(d);
    printf("\nThe server computed every %s from encrypted attributes, without the secret key; the client read the "
           "answers\n"
           "and never saw the model's weights. Their folders were checked for that.\n",
           s->answer);
    if (d->place.keep) printf("The folders are in %s\n", d->place.root);
    return CLI_OK;
}
