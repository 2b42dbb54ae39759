// SPDX-License-Identifier: Apache-2.0
#include "demo.h"
#include "objects.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const demo_spec specs[] = {
    {.name = "heart",
     .title = "risk of heart disease of twelve invented patients, by a recommendation model (DLRM)",
     .folder = "heart",
     .model = "dlrm_heart.onnx",
     .inputs = "patients.csv",
     .answer = "risk",
     .who = "patient",
     .data = "heart/processed.cleveland.data",
     .data_name = "patients of the Cleveland data",
     .read = demo_rows_heart,
     .most = 100000,
     .latency_reps = 5,
     .throughput_reps = 3},
#define CRITEO                                                                                                         \
    .folder = "criteo", .inputs = "requests.csv", .calibration = "calibration.csv", .answer = "click", .who = "visit", \
    .data = "criteo/criteo_kaggle_sample.tsv.xz", .data_name = "visits of the Criteo sample, none trained on",         \
    .read = demo_rows_criteo, .throughput_reps = 1
    {.name = "criteo",
     .title = "chance of a click in invented visits, by a recommendation model (DLRM) with 26 compressed embeddings",
     CRITEO,
     .model = "dlrm_criteo_poly.onnx",
     .most = 1024,
     .latency_reps = 3},
    {.name = "criteo-relu",
     .title = "the same with ReLU and bootstraps",
     CRITEO,
     .model = "dlrm_criteo_relu.onnx",
     .most = 128,
     .memory = "9G",
     .latency_reps = 1},
    {.name = "cifar10",
     .title = "what small pictures show, by a residual network (ResNet-20)",
     .folder = "resnet",
     .model = "resnet20.onnx",
     .inputs = "pictures/pictures.npy",
     .calibration = "resnet20_calibration.npy",
     .memory = "15G",
     .throughput_reps = 1,
     .run = demo_cifar},
};
#define SPECS (sizeof specs / sizeof *specs)

// ---- files ----
static bool has_model(const char *models, demo *d) {
    char path[PATH_MAX], *full;
    int n = snprintf(path, sizeof path, "%s/%s/%s", models, d->spec->folder, d->spec->model);
    if (n >= (int)sizeof path || access(path, R_OK) != 0 || !(full = realpath(path, NULL))) return false;
    snprintf(d->model, sizeof d->model, "%s", full);
    free(full);
    n = snprintf(d->inputs, sizeof d->inputs, "%s/%s/%s", models, d->spec->folder, d->spec->inputs);
    if (n >= (int)sizeof d->inputs) return false;
    if (!d->spec->calibration) return true;
    n = snprintf(path, sizeof path, "%s/%s/%s", models, d->spec->folder, d->spec->calibration);
    if (n >= (int)sizeof path || !(full = realpath(path, NULL))) return false;
    snprintf(d->calibration, sizeof d->calibration, "%s", full);
    free(full);
    return true;
}

static int find_model(demo *d) {
    static const char *const beside[] = {"../share/velum/models", "../../models"};
    const char *named = d->args->value[CLI_MODELS];
    if (!named) named = getenv("VELUM_MODELS");
    if (named && named[0])
        return has_model(named, d)
                   ? CLI_OK
                   : cli_fail(CLI_BAD_INPUT, "%s: no %s/%s there", named, d->spec->folder, d->spec->model);
    char self[PATH_MAX], path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        *strrchr(self, '/') = 0;
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            snprintf(path, sizeof path, "%s/%s", self, beside[i]);
            if (has_model(path, d)) return CLI_OK;
        }
    }
#ifdef VELUM_MODELS_DIR
    if (has_model(VELUM_MODELS_DIR, d)) return CLI_OK;
#endif
#ifdef VELUM_SOURCE_DIR
    if (has_model(VELUM_SOURCE_DIR "/models", d)) return CLI_OK;
#endif
#ifdef VELUM_SHARE_DIR
    if (has_model(VELUM_SHARE_DIR "/models", d)) return CLI_OK;
#endif
    if (has_model("models", d)) return CLI_OK;
    return cli_fail(CLI_BAD_INPUT, "demo: %s/%s is not found; name the folder of models with --models", d->spec->folder,
                    d->spec->model);
}

// The labelled rows, if there is a folder of data sets with them.
static int find_data(demo *d) {
    const char *named = d->args->value[CLI_DATA], *folder = named ? named : getenv("VELUM_DATA");
    if (!folder || !folder[0]) return CLI_OK;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, d->spec->data) >= (int)sizeof path)
        return cli_fail(CLI_USAGE, "demo: --data: the name is too long");
    if (!named && access(path, R_OK) != 0) return CLI_OK;
    int code = d->spec->read(path, d->spec->most, &d->data);
    if (code == CLI_OK && d->data.columns != d->shown.columns)
        code =
            cli_fail(CLI_BAD_INPUT, "%s: %u attributes, the model takes %u", path, d->data.columns, d->shown.columns);
    return code;
}

// The first `rows` of the shown rows followed by the labelled ones, as a table in the client's folder.
static int write_inputs(const demo *d, const char *name, uint64_t rows) {
    velum_table t = {.columns = d->shown.columns, .rows = rows, .names = d->shown.names};
    t.values = calloc(rows * t.columns, sizeof *t.values);
    if (!t.values) return cli_fail(CLI_OTHER, "out of memory");
    uint64_t own = rows < d->shown.rows ? rows : d->shown.rows;
    memcpy(t.values, d->shown.values, own * t.columns * sizeof *t.values);
    if (rows > own) memcpy(t.values + own * t.columns, d->data.values, (rows - own) * t.columns * sizeof *t.values);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", d->place.client, name);
    int code = cli_table_write(path, &t);
    free(t.values);
    return code;
}

// ---- results ----
static void compare_mode(demo *d, const demo_mode *m, uint64_t *equal) {
    for (uint64_t i = 0; i < m->requests; i++) {
        double a = demo_answer(m->encrypted, i), b = demo_answer(m->clear, i), error = fabs(a - b);
        if (error > d->max_error) d->max_error = error;
        *equal += (a > 0.5) == (b > 0.5);
    }
}

static int evaluate(demo *d) {
    uint64_t equal = 0, n = d->data.rows;
    compare_mode(d, &d->one, &equal);
    compare_mode(d, &d->many, &equal);
    d->equal = (double)equal / (double)(d->one.requests + d->many.requests);
    d->auc_clear = d->auc_encrypted = NAN;
    if (n == 0) return CLI_OK;
    double *score = calloc(n, sizeof *score);
    if (!score) return cli_fail(CLI_OTHER, "out of memory");
    for (uint64_t i = 0; i < n; i++) score[i] = demo_answer(d->many.clear, d->shown.rows + i);
    d->auc_clear = demo_auc(score, d->data.labels, n);
    for (uint64_t i = 0; i < n; i++) score[i] = demo_answer(d->many.encrypted, d->shown.rows + i);
    d->auc_encrypted = demo_auc(score, d->data.labels, n);
    free(score);
    return CLI_OK;
}

// ---- the run ----
static int run_rounds(demo *d) {
    d->one = (demo_mode){.target = "latency", .requests = 1, .reps = d->spec->latency_reps};
    d->many =
        (demo_mode){.target = "throughput", .requests = d->shown.rows + d->data.rows, .reps = d->spec->throughput_reps};
    int code = write_inputs(d, "one.csv", 1);
    if (code == CLI_OK) code = write_inputs(d, "many.csv", d->many.requests);
    cli_progress_start("one request: compile, keys, encrypt, infer, decrypt");
    if (code == CLI_OK)
        code = demo_round(&d->place, d->model, d->calibration, d->spec->memory, "one.csv", d->threads, &d->one);
    cli_progress_stop();
    cli_progress_start("many requests: compile, keys, encrypt, infer, decrypt");
    if (code == CLI_OK)
        code = demo_round(&d->place, d->model, d->calibration, d->spec->memory, "many.csv", d->threads, &d->many);
    cli_progress_stop();
    if (code == CLI_OK) code = evaluate(d);
    if (code != CLI_OK) return code;
    return d->args->json ? demo_print_json(d) : demo_print_people(d);
}

static int run(demo *d) {
    int code = find_model(d);
    if (code == CLI_OK && d->spec->run) return d->spec->run(d);
    if (code == CLI_OK && (cli_has(d->args, CLI_BATCH) || cli_has(d->args, CLI_OUTPUT)))
        code = cli_fail(CLI_USAGE, "demo: --batch and --output go with the pictures of cifar10");
    if (code == CLI_OK) code = cli_table_read(d->inputs, NULL, &d->shown);
    if (code == CLI_OK) code = find_data(d);
    if (code != CLI_OK) return code;
    cli_files_hand_over(true, 0); // a signal ends the child that runs; then this process tidies up
    code = demo_place_make(d->args->value[CLI_KEEP], &d->place);
    if (code == CLI_OK) code = run_rounds(d);
    demo_place_remove(&d->place);
    cli_files_hand_over(false, 0);
    return code;
}

static int list_demos(const cli_args *args) {
    json_t *list = json_array();
    for (size_t i = 0; i < SPECS; i++) {
        if (!args->json) printf("  %-11s %s\n", specs[i].name, specs[i].title);
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", specs[i].name, "title", specs[i].title));
    }
    if (!args->json) printf("\nnext: velum demo %s\n", specs[0].name);
    if (args->json) return cli_print_json(json_pack("{s:o}", "demos", list));
    json_decref(list);
    return CLI_OK;
}

int cli_demo(const cli_args *args) {
    if (args->positionals == 0) return list_demos(args);
    demo *d = calloc(1, sizeof *d);
    if (!d) return cli_fail(CLI_OTHER, "out of memory");
    d->args = args;
    d->threads = cli_threads(args);
    for (size_t i = 0; i < SPECS; i++)
        if (strcmp(specs[i].name, args->positional[0]) == 0) d->spec = &specs[i];
    int code =
        d->spec ? run(d) : cli_fail(CLI_USAGE, "demo: no demo '%s' (velum demo lists them)", args->positional[0]);
    demo_mode_clear(&d->one);
    demo_mode_clear(&d->many);
    demo_rows_clear(&d->data);
    cli_table_clear(&d->shown);
    free(d);
    if (cli_stop_signal) { // as if it had never been caught
        signal(cli_stop_signal, SIG_DFL);
        raise(cli_stop_signal);
    }
    return code;
}
