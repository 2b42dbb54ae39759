// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int report(const cli_args *args, const velum_info *info, uint64_t bytes, double seconds) {
    const char *secret = args->value[CLI_SECRET], *eval = args->value[CLI_EVAL];
    if (args->json)
        return cli_print_json(json_pack("{s:o, s:I, s:I, s:o, s:I, s:s, s:s}", "seconds", cli_real(seconds),
                                        "security_bits", (json_int_t)info->security_bits, "log_n",
                                        (json_int_t)info->log_n, "log_qp", cli_real(info->log_qp), "eval_key_bytes",
                                        (json_int_t)bytes, "secret", secret, "eval", eval));
    printf("%-12s %s: stays here, readable by you alone\n", "secret key", secret);
    printf("%-12s %s: goes to the server (%s)\n", "server keys", eval, cli_bytes(bytes).s);
    printf("%-12s %u bits (ring degree 2^%u, log QP %.0f), made in %s\n", "security", info->security_bits, info->log_n,
           info->log_qp, cli_seconds(seconds).s);
    printf("\nnext: velum encrypt %s --secret %s --input INPUTS.csv -o query.ct\n", args->positional[0], secret);
    return CLI_OK;
}

int cli_keygen(const cli_args *args) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    bool force = cli_has(args, CLI_FORCE);
    int code = cli_secret_check(args->value[CLI_SECRET], force); // before the work
    velum_client *client = NULL;
    if (code == CLI_OK) code = cli_open_client(args->positional[0], args->threads, &client);
    if (code != CLI_OK) return code;
    velum_buffer secret = {0}, eval = {0};
    double start = cli_now();
    cli_progress_start("making keys");
    velum_status status = velum_client_keygen(client, &secret, &eval);
    cli_progress_stop();
    double seconds = cli_now() - start;
    if (status != VELUM_OK) {
        code = cli_fail_status(status, args->positional[0]);
    } else {
        cli_out files[2] = {
            {.path = args->value[CLI_SECRET],
             .data = secret.data,
             .size = secret.size,
             .secret = true,
             .replace = force},
            {.path = args->value[CLI_EVAL], .data = eval.data, .size = eval.size, .replace = true},
        };
        code = cli_files_write(files, 2);
    }
    velum_buffer_free_secret(&secret);
    if (code == CLI_OK) {
        velum_info info;
        velum_client_info(client, &info);
        code = report(args, &info, eval.size, seconds);
    }
    velum_buffer_free(&eval);
    velum_client_free(client);
    return code;
}
