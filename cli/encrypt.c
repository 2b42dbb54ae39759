// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "table.h"
#include <stdio.h>

static int report(const cli_args *args, uint64_t rows, uint64_t bytes, const velum_unseen *unseen, double seconds) {
    const char *output = args->value[CLI_OUTPUT];
    if (args->json)
        return cli_print_json(json_pack("{s:o, s:I, s:I, s:s, s:I, s:I}", "seconds", cli_real(seconds), "requests",
                                        (json_int_t)rows, "query_bytes", (json_int_t)bytes, "output", output,
                                        "uncalibrated_values", (json_int_t)unseen->values, "uncalibrated_rows",
                                        (json_int_t)unseen->rows));
    printf("%llu request%s encrypted in %s: %s (%s)\n", (unsigned long long)rows, rows == 1 ? "" : "s",
           cli_seconds(seconds).s, output, cli_bytes(bytes).s);
    printf("\nnext, at the server: velum infer PROGRAM.velum --eval SERVER.KEYS --input %s -o answer.ct\n", output);
    return CLI_OK;
}

// A value far beyond the calibration rows is computed with all the same, and may give any answer.
static int look_at_ranges(const cli_args *args, const velum_client *client, const velum_table *in, velum_unseen *u) {
    const char *file = args->value[CLI_INPUT];
    velum_status status = velum_client_unseen(client, in, u);
    if (status != VELUM_OK) return cli_fail_status(status, file);
    if (u->values == 0) return CLI_OK;
    char what[512], more[80] = "";
    const char *name = velum_client_input_name(client, u->input);
    snprintf(what, sizeof what, "%s: row %llu: '%.200s' is %.9g, far from the calibrated %.9g to %.9g", file,
             (unsigned long long)u->row, name, u->value, u->lo, u->hi);
    if (u->values > 1)
        snprintf(more, sizeof more, "; %llu such values in %llu row%s", (unsigned long long)u->values,
                 (unsigned long long)u->rows, u->rows == 1 ? "" : "s");
    if (cli_has(args, CLI_STRICT)) return cli_fail(CLI_REFUSED, "%s%s", what, more);
    cli_warn("%s%s: answers may be wrong", what, more);
    return CLI_OK;
}

static int encrypt_table(const cli_args *args, const velum_client *client, const velum_table *in) {
    cli_file secret;
    velum_buffer query = {0};
    velum_unseen unseen;
    int code = look_at_ranges(args, client, in, &unseen);
    if (code == CLI_OK) code = cli_file_read_secret(args->value[CLI_SECRET], &secret);
    if (code != CLI_OK) return code;
    double start = cli_now();
    cli_progress_start("encrypting");
    velum_status status = velum_client_encrypt(client, secret.data, secret.size, in, &query);
    cli_progress_stop();
    double seconds = cli_now() - start;
    cli_file_free(&secret);
    bool input = status == VELUM_E_VALUE || status == VELUM_E_LIMIT; // else it is the key that is wrong
    if (status != VELUM_OK) return cli_fail_status(status, args->value[input ? CLI_INPUT : CLI_SECRET]);
    code = cli_file_write(args->value[CLI_OUTPUT], query.data, query.size);
    if (code == CLI_OK) code = report(args, in->rows, query.size, &unseen, seconds);
    velum_buffer_free(&query);
    return code;
}

int cli_encrypt(const cli_args *args) {
    velum_client *client = NULL;
    velum_table in = {0};
    int code = cli_open_client(args->positional[0], args->threads, &client);
    if (code != CLI_OK) return code;
    cli_names names;
    code = cli_names_of(client, &names);
    if (code == CLI_OK) code = cli_table_read(args->value[CLI_INPUT], &names, &in);
    cli_names_free(&names);
    if (code == CLI_OK) code = encrypt_table(args, client, &in);
    cli_table_clear(&in);
    velum_client_free(client);
    return code;
}
