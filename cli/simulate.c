// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "table.h"
#include <stdio.h>
#include <string.h>

// Reads the table by the names in the program's client half.
static int read_input(const cli_args *args, const velum_program *p, velum_table *in) {
    velum_buffer half = {0};
    velum_client *client = NULL;
    velum_status status = velum_program_client(p, &half);
    if (status == VELUM_OK) status = velum_client_open(half.data, half.size, 1, &client);
    velum_buffer_free(&half);
    if (status != VELUM_OK) return cli_fail_status(status, args->positional[0]);
    cli_names names;
    int code = cli_names_of(client, &names);
    if (code == CLI_OK) code = cli_table_read(args->value[CLI_INPUT], &names, in);
    cli_names_free(&names);
    velum_client_free(client);
    return code;
}

static int show(const cli_args *args, velum_status status, const velum_table *out, double start) {
    cli_progress_stop();
    return status == VELUM_OK ? cli_table_show(args, out, "row", "computed in the clear", cli_now() - start)
                              : cli_fail_status(status, args->value[CLI_INPUT]);
}

static int simulate(const cli_args *args) {
    velum_program *p = NULL;
    velum_table in = {0}, out = {0};
    int code = cli_open_program(args->positional[0], &p);
    if (code == CLI_OK) code = read_input(args, p, &in);
    if (code == CLI_OK) {
        double start = cli_now();
        cli_progress_start("simulating");
        code = show(args, velum_program_simulate(p, &in, &out), &out, start);
    }
    velum_table_free(&out);
    cli_table_clear(&in);
    velum_program_free(p);
    return code;
}

// An ONNX file: the model as it is, without packing, levels or approximations.
static int evaluate(const cli_args *args, const cli_file *model) {
    velum_table in = {0}, out = {0};
    int code = cli_table_read(args->value[CLI_INPUT], NULL, &in);
    if (code == CLI_OK) {
        double start = cli_now();
        cli_progress_start("evaluating");
        code = show(args, velum_evaluate(model->data, model->size, &in, &out), &out, start);
    }
    velum_table_free(&out);
    cli_table_clear(&in);
    return code;
}

int cli_simulate(const cli_args *args) {
    cli_file file;
    int code = cli_file_read(args->positional[0], CLI_MAX_MODEL, &file);
    if (code != CLI_OK) return code;
    bool program = file.size >= 5 && memcmp(file.data, "VELUM", 5) == 0;
    if (!program) code = evaluate(args, &file);
    cli_file_free(&file);
    return program ? simulate(args) : code;
}
