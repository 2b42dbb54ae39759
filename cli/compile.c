// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "prices.h"
#include "table.h"
#include <stdio.h>
#include <string.h>

// heart.velum -> heart.client.velum; another name gets the suffix appended.
static int client_path(const char *program, char *out, size_t size) {
    size_t n = strlen(program);
    bool has = n > 6 && strcmp(program + n - 6, ".velum") == 0;
    int length = snprintf(out, size, "%.*s.client.velum", (int)(has ? n - 6 : n), program);
    return length < (int)size ? CLI_OK : cli_fail(CLI_USAGE, "%s: the name is too long", program);
}

// models/heart/dlrm_heart.onnx -> dlrm_heart
static void model_name(const char *path, char *out, size_t size) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (n > 5 && strcmp(base + n - 5, ".onnx") == 0) n -= 5;
    snprintf(out, size, "%.*s", (int)(n < 200 ? n : 200), base);
}

static int read_options(const cli_args *args, velum_compile_options *o) {
    const char *target = args->value[CLI_TARGET];
    uint64_t security = 0, precision = 0;
    if (target && strcmp(target, "latency") != 0 && strcmp(target, "throughput") != 0)
        return cli_fail(CLI_USAGE, "compile: --target is latency or throughput, not '%s'", target);
    o->target = target && strcmp(target, "throughput") == 0 ? VELUM_THROUGHPUT : VELUM_LATENCY;
    int code = cli_number(args, CLI_BATCH, 1, 1u << 24, &o->batch);
    if (!target && o->batch > 1) o->target = VELUM_THROUGHPUT;
    if (code == CLI_OK) code = cli_size(args, CLI_MEMORY, &o->memory_bytes);
    if (code == CLI_OK) code = cli_number(args, CLI_SECURITY, 128, 256, &security);
    if (code == CLI_OK && security && security != 128 && security != 192 && security != 256)
        return cli_fail(CLI_USAGE, "compile: --security is 128, 192 or 256, not '%s'", args->value[CLI_SECURITY]);
    if (code == CLI_OK) code = cli_number(args, CLI_PRECISION, 4, 24, &precision);
    if (code == CLI_OK) code = cli_size(args, CLI_KEYS, &o->key_bytes);
    o->security_bits = (uint32_t)security;
    o->precision_bits = (uint32_t)precision;
    return code;
}

static int report(const cli_args *args, const char *client, const velum_buffer *program, const velum_buffer *half,
                  double seconds) {
    velum_program *p = NULL;
    velum_status status = velum_program_open(program->data, program->size, &p);
    if (status != VELUM_OK) return cli_fail_status(status, args->value[CLI_OUTPUT]);
    velum_info info;
    velum_program_info(p, &info);
    int code = CLI_OK;
    if (args->json) {
        json_t *o = cli_info_json(&info);
        json_object_set_new(o, "program", json_string(args->value[CLI_OUTPUT]));
        json_object_set_new(o, "client", json_string(client));
        json_object_set_new(o, "seconds", cli_real(seconds));
        code = cli_print_json(o);
    } else {
        printf("%-9s %s, for the server (%s)\n", "program", args->value[CLI_OUTPUT], cli_bytes(program->size).s);
        printf("%-9s %s, for the client (%s)\n", "client", client, cli_bytes(half->size).s);
        printf("%-9s %u bits, ring degree 2^%u, log QP %.0f\n", "security", info.security_bits, info.log_n,
               info.log_qp);
        printf("%-9s %u request%s in one go: about %s on one thread, %s of memory\n", "server", info.lanes,
               info.lanes == 1 ? "" : "s", cli_seconds(info.predicted_seconds).s, cli_bytes(info.memory_bytes).s);
        printf("%-9s keys %s once, query %s, answer %s\n", "messages", cli_bytes(info.eval_key_bytes).s,
               cli_bytes(info.query_bytes).s, cli_bytes(info.answer_bytes).s);
        printf("%-9s about %s expected, %s%s; before rounding and the last activation\n", "error",
               cli_error_bits(info.error_expected).s,
               info.error_bound < 1 ? "declared at most " : "too deep for a bound",
               info.error_bound < 1 ? cli_error_bits(info.error_bound).s : "");
        printf("\nnext: velum keygen %s --secret my.key --eval my.evk\n", client);
    }
    velum_program_free(p);
    return code;
}

static int compile_model(const cli_args *args, const cli_file *model, velum_compile_options *o) {
    char client[4096], name[256];
    int code = client_path(args->value[CLI_OUTPUT], client, sizeof client);
    if (code != CLI_OK) return code;
    model_name(args->positional[0], name, sizeof name);
    o->model_name = name;
    velum_buffer program = {0}, half = {0};
    double start = cli_now();
    cli_progress_start("compiling");
    velum_status status = velum_compile(model->data, model->size, o, &program, &half);
    cli_progress_stop();
    if (status != VELUM_OK) {
        bool rows = strncmp(velum_last_error(), "calibration: ", 13) == 0; // else it is the model that is wrong
        return cli_fail_status(status, rows ? args->value[CLI_CALIBRATION] : args->positional[0]);
    }
    double seconds = cli_now() - start;
    cli_out files[2] = {{.path = args->value[CLI_OUTPUT], .data = program.data, .size = program.size, .replace = true},
                        {.path = client, .data = half.data, .size = half.size, .replace = true}};
    code = cli_files_write(files, 2);
    if (code == CLI_OK) code = report(args, client, &program, &half, seconds);
    velum_buffer_free(&program);
    velum_buffer_free(&half);
    return code;
}

int cli_compile(const cli_args *args) {
    velum_compile_options o = {0};
    velum_table calibration = {0};
    cli_file model = {0}, prices = {0};
    int code = read_options(args, &o);
    if (code == CLI_OK) code = cli_file_read(args->positional[0], CLI_MAX_MODEL, &model);
    if (code == CLI_OK && cli_has(args, CLI_CALIBRATION)) {
        code = cli_table_read(args->value[CLI_CALIBRATION], NULL, &calibration);
        o.calibration = &calibration;
    }
    if (code == CLI_OK) code = cli_prices_load(args, &prices);
    if (prices.size) {
        o.prices = prices.data;
        o.prices_size = prices.size;
    }
    if (code == CLI_OK) code = compile_model(args, &model, &o);
    cli_file_free(&prices);
    cli_table_clear(&calibration);
    cli_file_free(&model);
    return code;
}
