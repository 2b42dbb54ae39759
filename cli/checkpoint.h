// SPDX-License-Identifier: Apache-2.0
// The file that a long run is continued from: written beside its name and renamed, like every other.
#ifndef VELUM_CLI_CHECKPOINT_H
#define VELUM_CLI_CHECKPOINT_H

#include "files.h"

typedef struct cli_checkpoint {
    char path[PATH_MAX], temp[PATH_MAX]; // path "": none is kept
    int fd;                              // of temp; -1: not open
} cli_checkpoint;
// By the options of infer, for a run of so many expected seconds. Unless *c says that none is kept, *old is the one
// that is there (data NULL: none). Fails if that cannot be read, or for options that make no sense.
int cli_checkpoint_find(const cli_args *args, double expected, cli_checkpoint *c, cli_file *old);
// A velum_write_fn; arg is the cli_checkpoint. A failure is noted, and ends the checkpoints.
int cli_checkpoint_keep(void *arg, const void *data, size_t size);
// The run is over: an unfinished file goes, and, if it is `done`, the finished one.
void cli_checkpoint_end(cli_checkpoint *c, bool done);

#endif
