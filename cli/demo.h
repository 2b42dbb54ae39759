// SPDX-License-Identifier: Apache-2.0
// A demo: client and server as separate processes in separate folders, and what the round cost.
#ifndef VELUM_CLI_DEMO_H
#define VELUM_CLI_DEMO_H

#include "files.h"
#include "table.h"

typedef struct demo_rows { // labelled rows: values of the inputs and a label 0 or 1 a row
    uint32_t columns;
    uint64_t rows;
    double *values, *labels;
} demo_rows;

struct demo;
typedef struct demo_spec {
    const char *name, *title;
    const char *folder, *model, *inputs; // under models/: the folder, and its files
    const char *calibration;             // NULL: none
    const char *answer;                  // what the answer is called, and for whom
    const char *who;
    const char *data, *data_name; // the labelled rows for the metric, under the folder of data sets
    int (*read)(const char *path, uint64_t most, demo_rows *out);
    uint64_t most; // labelled rows that are asked about
    unsigned latency_reps, throughput_reps;
    const char *memory;         // that its programs are planned for; NULL: as compile does
    int (*run)(struct demo *d); // once the model is found; NULL: a table of requests, answered one by one and together
} demo_spec;

// The folders of one demo.
typedef struct demo_place {
    char root[1024], client[1100], server[1100], check[1100]; // check: where both sides' results are compared
    bool keep;
} demo_place;
int demo_place_make(const char *keep, demo_place *out);
void demo_place_remove(const demo_place *place);
// Fails unless the server's folder holds no secret key, and the client's neither program nor model.
int demo_place_check(const demo_place *place);
// Moves a file from one folder to another: what the network would carry.
int demo_send(const char *from, const char *to, const char *name);
int64_t demo_size(const char *folder, const char *name); // -1 if absent

// Runs this command with the given arguments (NULL-terminated, without the command's name) and --json in the folder,
// and returns its object; fails with the child's own message.
int demo_call(const char *folder, json_t **out, const char *const *arguments);

// One way to run: a program, its keys, and queries.
typedef struct demo_mode {
    const char *target; // latency or throughput
    uint64_t requests;
    unsigned reps;                     // times that the query is answered
    double seconds;                    // median over reps, query loaded to answer ready
    json_t *program;                   // of compile
    json_t *keygen;                    // of keygen
    json_t *encrypt, *infer, *decrypt; // infer: of the median run
    json_t *encrypted, *clear;         // rows
    uint64_t peak_rss_bytes;
    int64_t eval_key_bytes, query_bytes, answer_bytes;
} demo_mode;
void demo_mode_clear(demo_mode *mode);
// The whole round: compile, keygen, encrypt, infer, decrypt, and the model itself in the clear. `inputs` lies in the
// client's folder; calibration may be empty, memory NULL.
int demo_round(const demo_place *place, const char *model, const char *calibration, const char *memory,
               const char *inputs, unsigned threads, demo_mode *mode);

// The heart data: 13 attributes and a grade; rows with '?' are dropped, a grade above 0 counts as 1.
int demo_rows_heart(const char *path, uint64_t most, demo_rows *out);
// The last rows of a file in the Criteo-Kaggle format.
int demo_rows_criteo(const char *path, uint64_t most, demo_rows *out);
void demo_rows_clear(demo_rows *rows);
// Area under the ROC curve; ties count half. NaN if a class is missing.
double demo_auc(const double *score, const double *label, uint64_t n);

typedef struct demo {
    const cli_args *args;
    const demo_spec *spec;
    demo_place place;
    char model[PATH_MAX], inputs[PATH_MAX], calibration[PATH_MAX]; // calibration: empty if there is none
    unsigned threads;
    velum_table shown; // the inputs that come with the model
    demo_rows data;    // labelled rows; none without the data set
    demo_mode one, many;
    double max_error, equal, auc_clear, auc_encrypted;
} demo;
// The first number of a row of answers.
double demo_answer(const json_t *rows, uint64_t row);
json_t *demo_mode_json(const demo_mode *m); // what it took, step by step
int demo_print_json(const demo *d);
int demo_print_people(const demo *d);
int demo_cifar(demo *d); // pictures

#endif
