// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "table.h"
#include <stdio.h>

static int report(const cli_args *args, uint64_t rows, uint64_t bytes, double seconds) {
    const char *output = args->value[CLI_OUTPUT];
    if (args->json)
        return cli_print_json(json_pack("{s:o, s:I, s:I, s:s}", "seconds", cli_real(seconds), "requests",
                                        (json_int_t)rows, "query_bytes", (json_int_t)bytes, "output", output));
    printf("%llu request%s encrypted in %s: %s (%s)\n", (unsigned long long)rows, rows == 1 ? "" : "s",
           cli_seconds(seconds).s, output, cli_bytes(bytes).s);
    printf("\nnext, at the server: velum infer PROGRAM.velum --eval SERVER.KEYS --input %s -o answer.ct\n", output);
    return CLI_OK;
}

static int encrypt_table(const cli_args *args, const velum_client *client, const velum_table *in) {
    cli_file secret;
    velum_buffer query = {0};
    int code = cli_file_read_secret(args->value[CLI_SECRET], &secret);
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
    if (code == CLI_OK) code = report(args, in->rows, query.size, seconds);
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
