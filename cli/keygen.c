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

typedef struct making {
    velum_client *client;
    velum_buffer secret;
    cli_out *secret_file;
    const char *client_path;
    uint64_t eval_bytes;
    double seconds;
    const cli_out *file; // being written
    int code;
} making;

static int put(void *arg, const void *data, size_t size) {
    making *m = arg;
    m->code = cli_put(m->file, data, size);
    m->eval_bytes += size;
    return m->code;
}

static int make_keys(void *arg, const cli_out *f) {
    making *m = arg;
    m->file = f;
    double start = cli_now();
    cli_progress_start("making keys");
    velum_status status = velum_client_keygen_to(m->client, &m->secret, put, m);
    cli_progress_stop();
    m->seconds = cli_now() - start;
    if (m->code != CLI_OK) return m->code;
    if (status != VELUM_OK) return cli_fail_status(status, m->client_path);
    m->secret_file->data = m->secret.data;
    m->secret_file->size = m->secret.size;
    return CLI_OK;
}

int cli_keygen(const cli_args *args) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    bool force = cli_has(args, CLI_FORCE);
    int code = cli_secret_check(args->value[CLI_SECRET], force); // before the work
    velum_client *client = NULL;
    if (code == CLI_OK) code = cli_open_client(args->positional[0], args->threads, &client);
    if (code != CLI_OK) return code;
    cli_out files[2] = {
        {.path = args->value[CLI_EVAL], .replace = true, .produce = make_keys},
        {.path = args->value[CLI_SECRET], .secret = true, .replace = force},
    };
    making m = {.client = client, .client_path = args->positional[0], .secret_file = &files[1]};
    files[0].arg = &m;
    code = cli_files_write(files, 2);
    velum_buffer_free_secret(&m.secret);
    if (code == CLI_OK) {
        velum_info info;
        velum_client_info(client, &info);
        code = report(args, &info, m.eval_bytes, m.seconds);
    }
    velum_client_free(client);
    return code;
}
