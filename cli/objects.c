// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <sched.h>

int cli_open_program(const char *path, velum_program **out) {
    cli_file file;
    int code = cli_file_read(path, CLI_MAX_MODEL, &file);
    if (code != CLI_OK) return code;
    velum_status status = velum_program_open(file.data, file.size, out);
    cli_file_free(&file);
    return status == VELUM_OK ? CLI_OK : cli_fail_status(status, path);
}

int cli_open_client(const char *path, unsigned threads, velum_client **out) {
    cli_file file;
    int code = cli_file_read(path, CLI_MAX_MODEL, &file);
    if (code != CLI_OK) return code;
    velum_status status = velum_client_open(file.data, file.size, threads, out);
    cli_file_free(&file);
    return status == VELUM_OK ? CLI_OK : cli_fail_status(status, path);
}

unsigned cli_threads(const cli_args *args) {
    if (args->threads) return args->threads;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (unsigned)n : 1;
}
