// SPDX-License-Identifier: Apache-2.0
// The library's objects, opened from files.
#ifndef VELUM_CLI_OBJECTS_H
#define VELUM_CLI_OBJECTS_H

#include "files.h"

int cli_open_program(const char *path, velum_program **out);
int cli_open_client(const char *path, unsigned threads, velum_client **out);
// Threads that a run uses: as asked, or the cores that this process may use.
unsigned cli_threads(const cli_args *args);

#endif
