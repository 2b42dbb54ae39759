// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "table.h"
#include <stdio.h>

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

static int show(const cli_args *args, const velum_table *out, double seconds) {
    int code = CLI_OK;
    if (cli_has(args, CLI_OUTPUT)) code = cli_table_write(args->value[CLI_OUTPUT], out);
    if (code != CLI_OK) return code;
    if (args->json) {
        json_t *o = cli_table_json(out);
        json_object_set_new(o, "seconds", cli_real(seconds));
        return cli_print_json(o);
    }
    if (!cli_has(args, CLI_OUTPUT)) return cli_table_print(out);
    printf("%llu row%s in the clear in %s: %s\n", (unsigned long long)out->rows, out->rows == 1 ? "" : "s",
           cli_seconds(seconds).s, args->value[CLI_OUTPUT]);
    return CLI_OK;
}

int cli_simulate(const cli_args *args) {
    velum_program *p = NULL;
    velum_table in = {0}, out = {0};
    int code = cli_open_program(args->positional[0], &p);
    if (code == CLI_OK) code = read_input(args, p, &in);
    if (code == CLI_OK) {
        double start = cli_now();
        cli_progress_start("simulating");
        velum_status status = velum_program_simulate(p, &in, &out);
        cli_progress_stop();
        code =
            status == VELUM_OK ? show(args, &out, cli_now() - start) : cli_fail_status(status, args->value[CLI_INPUT]);
    }
    velum_table_free(&out);
    cli_table_clear(&in);
    velum_program_free(p);
    return code;
}
