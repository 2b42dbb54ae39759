// SPDX-License-Identifier: Apache-2.0
// A batch of pictures through a residual network: those that come with the model, or real ones.
#include "demo_pictures.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 32        // pictures, unless --batch says otherwise
#define BATCH_MOST 5000 // none of them trained on
#define SHOWN 6         // pictures on a terminal
#define LINES 16        // answers in words
#define CLASSES 10

typedef struct run {
    demo *d;
    demo_pictures pictures;
    bool real;
    demo_verdict *verdict;
    double error, range; // of logits: largest difference, and largest less smallest in the clear
    uint64_t equal, right_clear, right_encrypted;
} run;

// ---- pictures ----
static int find_real(run *r, uint64_t batch) {
    static const char *const names[] = {"cifar10/data_batch_5.cpk", "cifar10/data_batch_5.bin",
                                        "cifar-10-batches-bin/data_batch_5.bin"};
    const char *named = r->d->args->value[CLI_DATA], *folder = named ? named : getenv("VELUM_DATA");
    char path[PATH_MAX];
    if (!folder || !folder[0]) return CLI_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) >= (int)sizeof path)
            return cli_fail(CLI_USAGE, "demo: --data: the name is too long");
        if (access(path, R_OK) != 0) continue;
        r->real = true;
        return demo_pictures_cifar(path, batch, &r->pictures);
    }
    return named ? cli_fail(CLI_BAD_INPUT, "%s: no %s there", named, names[0]) : CLI_OK;
}

static int find_pictures(run *r) {
    uint64_t batch = BATCH;
    int code = cli_number(r->d->args, CLI_BATCH, 1, BATCH_MOST, &batch);
    if (code == CLI_OK) code = find_real(r, batch);
    if (code != CLI_OK || r->real) return code;
    char labels[PATH_MAX];
    const char *end = strrchr(r->d->inputs, '/');
    snprintf(labels, sizeof labels, "%.*s/labels.csv", (int)(end - r->d->inputs), r->d->inputs);
    code = demo_pictures_table(r->d->inputs, labels, batch, &r->pictures);
    if (code == CLI_OK && r->pictures.count < batch && cli_has(r->d->args, CLI_BATCH))
        cli_note("%llu pictures come with the model; a larger batch takes real ones: --data or $VELUM_DATA",
                 (unsigned long long)r->pictures.count);
    return code;
}

static int write_pictures(const run *r, const char *name) {
    velum_table t = {.columns = PICTURE_BYTES, .rows = r->pictures.count};
    char path[PATH_MAX];
    t.values = calloc(t.rows * t.columns, sizeof *t.values);
    if (!t.values) return cli_fail(CLI_OTHER, "out of memory");
    for (uint64_t i = 0; i < t.rows * t.columns; i++) t.values[i] = r->pictures.pixel[i];
    snprintf(path, sizeof path, "%s/%s", r->d->place.client, name);
    int code = cli_table_write(path, &t);
    free(t.values);
    return code;
}

// ---- answers ----
static unsigned largest(const double *v) {
    unsigned best = 0;
    for (unsigned c = 1; c < CLASSES; c++)
        if (v[c] > v[best]) best = c;
    return best;
}

static int read_answer(const json_t *rows, uint64_t i, double out[CLASSES]) {
    const json_t *row = json_array_get(rows, (size_t)i);
    if (json_array_size(row) != CLASSES) return cli_fail(CLI_OTHER, "demo: an answer is not %d numbers", CLASSES);
    for (unsigned c = 0; c < CLASSES; c++) out[c] = json_number_value(json_array_get(row, c));
    return CLI_OK;
}

static int evaluate(run *r) {
    const demo_mode *m = &r->d->many;
    double low = INFINITY, high = -INFINITY;
    if (!(r->verdict = calloc(r->pictures.count, sizeof *r->verdict))) return cli_fail(CLI_OTHER, "out of memory");
    for (uint64_t i = 0; i < r->pictures.count; i++) {
        double a[CLASSES], b[CLASSES];
        int code = read_answer(m->encrypted, i, a);
        if (code == CLI_OK) code = read_answer(m->clear, i, b);
        if (code != CLI_OK) return code;
        for (unsigned c = 0; c < CLASSES; c++) {
            r->error = fmax(r->error, fabs(a[c] - b[c]));
            low = fmin(low, b[c]);
            high = fmax(high, b[c]);
        }
        demo_verdict *v = &r->verdict[i];
        *v = (demo_verdict){r->pictures.label[i], largest(a), largest(b)};
        r->equal += v->encrypted == v->clear;
        r->right_clear += v->clear == v->label;
        r->right_encrypted += v->encrypted == v->label;
    }
    r->range = high - low;
    return CLI_OK;
}

// ---- output ----
static double share(const run *r, uint64_t count) { return (double)count / (double)r->pictures.count; }
static double field(const json_t *object, const char *name) { return json_number_value(json_object_get(object, name)); }

static int print_json(const run *r) {
    const demo *d = r->d;
    json_t *o = demo_mode_json(&d->many);
    json_object_del(o, "seconds");
    json_object_set_new(o, "model", json_string(d->spec->name));
    json_object_set_new(o, "latency_s_median", cli_real(d->many.seconds));
    json_object_set_new(o, "amortised_s", cli_real(d->many.seconds / (double)r->pictures.count));
    json_object_set_new(o, "max_abs_error", cli_real(r->error));
    json_object_set_new(o, "logit_range", cli_real(r->range));
    json_object_set_new(o, "precision_bits", cli_real(r->error > 0 ? log2(r->range / r->error) : 53));
    json_object_set_new(o, "metric_name", json_string("accuracy"));
    json_object_set_new(o, "metric_clear", cli_real(share(r, r->right_clear)));
    json_object_set_new(o, "metric_encrypted", cli_real(share(r, r->right_encrypted)));
    json_object_set_new(o, "metric_rows", json_integer((json_int_t)r->pictures.count));
    json_object_set_new(o, "labels_equal", cli_real(share(r, r->equal)));
    json_object_set_new(o, "pictures", json_string(r->real ? "cifar10" : "drawn"));
    json_object_set_new(o, "threads", json_integer(d->threads));
    if (d->place.keep) json_object_set_new(o, "folder", json_string(d->place.root));
    return cli_print_json(o);
}

static void print_words(const run *r) {
    uint64_t n = r->pictures.count;
    printf("%9s  %-10s  %-10s  %-10s\n", "picture", "shows", "encrypted", "in clear");
    for (uint64_t i = 0; i < n && i < LINES; i++) {
        const demo_verdict *v = &r->verdict[i];
        printf("%9llu  %-10s  %-10s  %-10s%s\n", (unsigned long long)i + 1, demo_classes[v->label],
               demo_classes[v->encrypted], demo_classes[v->clear], v->encrypted != v->clear ? "  *" : "");
    }
    if (n > LINES) printf("%9s  and %llu more\n", "...", (unsigned long long)n - LINES);
}

static void print_cost(const run *r) {
    const demo *d = r->d;
    const demo_mode *m = &d->many;
    printf("\nOn %u thread%s, for %llu pictures:\n\n", d->threads, d->threads == 1 ? "" : "s",
           (unsigned long long)r->pictures.count);
    printf("  %-34s %12s\n", "compile (server, once)", cli_seconds(field(m->program, "seconds")).s);
    printf("  %-34s %12s  %s\n", "keys (client, once)", cli_seconds(field(m->keygen, "seconds")).s,
           cli_bytes((uint64_t)m->eval_key_bytes).s);
    printf("  %-34s %12s  %s\n", "encrypt (client)", cli_seconds(field(m->encrypt, "seconds")).s,
           cli_bytes((uint64_t)m->query_bytes).s);
    printf("  %-34s %12s  predicted %s%s\n", "infer (server)", cli_seconds(m->seconds).s,
           cli_seconds(field(m->infer, "predicted_seconds")).s, d->threads > 1 ? " (for one thread)" : "");
    printf("  %-34s %12s\n", "  for each picture", cli_seconds(m->seconds / (double)r->pictures.count).s);
    printf("  %-34s %12s  %s\n", "decrypt (client)", cli_seconds(field(m->decrypt, "seconds")).s,
           cli_bytes((uint64_t)m->answer_bytes).s);
    printf("  %-34s %12s\n", "server's peak memory", cli_bytes(m->peak_rss_bytes).s);
    printf("  %-34s %7.0f bits\n", "security", field(m->keygen, "security_bits"));
}

static int print_people(const run *r) {
    const demo *d = r->d;
    printf("%s (%s)\n\n", d->spec->title, r->real ? "real pictures of CIFAR-10, none trained on" : "drawn pictures");
    if (isatty(STDOUT_FILENO))
        demo_pictures_print(&r->pictures, r->verdict, r->pictures.count < SHOWN ? r->pictures.count : SHOWN);
    print_words(r);
    printf("\nright: %.1f %% encrypted, %.1f %% in the clear; %.1f %% of the answers agree\n",
           100 * share(r, r->right_encrypted), 100 * share(r, r->right_clear), 100 * share(r, r->equal));
    printf("largest difference of a logit: %.1e of a range of %.1f (%.1f bits)\n", r->error, r->range,
           r->error > 0 ? log2(r->range / r->error) : 53.0);
    print_cost(r);
    printf("\nThe server saw neither pictures nor answers, only ciphertexts; it never had the secret key.\n");
    if (d->args->value[CLI_OUTPUT]) printf("Pictures and answers on a page: %s\n", d->args->value[CLI_OUTPUT]);
    if (d->place.keep) printf("The folders are in %s\n", d->place.root);
    return CLI_OK;
}

// ---- the run ----
static int round_trip(run *r) {
    demo *d = r->d;
    char what[96];
    d->many = (demo_mode){.target = "throughput", .requests = r->pictures.count, .reps = d->spec->throughput_reps};
    int code = write_pictures(r, "pictures.npy");
    snprintf(what, sizeof what, "%llu pictures: compile, keys, encrypt, infer, decrypt",
             (unsigned long long)r->pictures.count);
    cli_progress_start(what);
    if (code == CLI_OK)
        code = demo_round(&d->place, d->model, d->calibration, d->spec->memory, "pictures.npy", d->threads, &d->many);
    cli_progress_stop();
    if (code == CLI_OK) code = evaluate(r);
    const char *sheet = d->args->value[CLI_OUTPUT];
    if (code == CLI_OK && sheet) code = demo_pictures_sheet(sheet, d->spec->title, &r->pictures, r->verdict);
    if (code != CLI_OK) return code;
    return d->args->json ? print_json(r) : print_people(r);
}

int demo_cifar(demo *d) {
    run r = {.d = d};
    int code = find_pictures(&r);
    if (code == CLI_OK) {
        cli_files_hand_over(true, 0); // a signal ends the child that runs; then this process tidies up
        code = demo_place_make(d->args->value[CLI_KEEP], &d->place);
        if (code == CLI_OK) code = round_trip(&r);
        demo_place_remove(&d->place);
        cli_files_hand_over(false, 0);
    }
    demo_pictures_clear(&r.pictures);
    free(r.verdict);
    return code;
}
