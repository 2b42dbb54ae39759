// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "table.h"
#include <stdio.h>
#include <string.h>

// The answer, opened with the secret. A failure names the file that is at fault.
static int decrypt_file(const cli_args *args, const velum_client *client, uint32_t share) {
    cli_file secret = {0}, answer = {0};
    velum_table out = {0};
    int code = cli_file_read(args->value[CLI_INPUT], CLI_MAX_MESSAGE, &answer);
    if (code == CLI_OK) code = cli_file_read_secret(args->value[CLI_SECRET], &secret);
    if (code == CLI_OK) {
        double start = cli_now();
        cli_progress_start("decrypting");
        velum_status status =
            velum_client_decrypt(client, secret.data, secret.size, answer.data, answer.size, share, &out);
        cli_progress_stop();
        double seconds = cli_now() - start;
        bool key = strstr(velum_last_error(), "secret key") != NULL;
        code = status == VELUM_OK ? cli_table_show(args, &out, "answer", "decrypted", seconds)
                                  : cli_fail_status(status, args->value[key ? CLI_SECRET : CLI_INPUT]);
    }
    if (out.values) explicit_bzero(out.values, out.rows * out.columns * sizeof *out.values);
    velum_table_free(&out);
    cli_file_free(&secret);
    cli_file_free(&answer);
    return code;
}

int cli_decrypt(const cli_args *args) {
    velum_client *client = NULL;
    uint64_t share = 0;
    int code = cli_number(args, CLI_SHARE, 1, 128, &share);
    if (code == CLI_OK) code = cli_open_client(args->positional[0], args->threads, &client);
    if (code != CLI_OK) return code;
    code = decrypt_file(args, client, (uint32_t)share);
    velum_client_free(client);
    return code;
}
