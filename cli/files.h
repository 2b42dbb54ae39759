// SPDX-License-Identifier: Apache-2.0
// Files: read whole below a ceiling; written beside their name and renamed, several of them all or none.
#ifndef VELUM_CLI_FILES_H
#define VELUM_CLI_FILES_H

#include "cli.h"
#include <limits.h>
#include <signal.h>
#include <sys/types.h>

#define CLI_MAX_MODEL ((size_t)4 << 30)
#define CLI_MAX_TABLE ((size_t)4 << 30)
#define CLI_MAX_MESSAGE ((size_t)16 << 30)
#define CLI_MAX_KEYS ((size_t)64 << 30)
#define CLI_MAX_SECRET ((size_t)64 << 20)

// Installs the handlers that remove unfinished files when the command is told to stop.
void cli_files_start(void);

typedef struct cli_file {
    uint8_t *data;
    size_t size;
    bool secret, mapped;
} cli_file;
// Fails with CLI_BAD_INPUT, or CLI_REFUSED over the ceiling, naming the file.
int cli_file_read(const char *path, size_t ceiling, cli_file *out);
// The same; an ordinary file is mapped, read only, and not copied.
int cli_file_map(const char *path, size_t ceiling, cli_file *out);
// The same; zeroed when freed, no core dumps from now on, and a note if others may read the file.
int cli_file_read_secret(const char *path, cli_file *out);
void cli_file_free(cli_file *file); // twice is fine

// A file about to be written. `secret`: mode 0600 from the start, and never in place of another unless `replace`.
typedef struct cli_out {
    const char *path;
    const void *data;
    size_t size;
    bool secret, replace;
    // Instead of data: writes the file by cli_put. May fill in data and size of files after this one.
    int (*produce)(void *arg, const struct cli_out *f);
    void *arg;
    // private
    char target[PATH_MAX], temp[PATH_MAX];
    int fd;
    enum { CLI_OUT_NOTHING, CLI_OUT_WRITTEN, CLI_OUT_NEW, CLI_OUT_SWAPPED } state;
} cli_out;
// Writes all files or none, leaving no trace of an attempt that fails. A device or a pipe is written to directly.
int cli_files_write(cli_out *files, unsigned count);
// For `produce`: the next bytes. A failure has been reported.
int cli_put(const cli_out *f, const void *data, size_t size);
// One file, replaced if it exists.
int cli_file_write(const char *path, const void *data, size_t size);
// Fails if cli_files_write would refuse to write a secret there.
int cli_secret_check(const char *path, bool replace);

// Unfinished files, for the signal handlers; `temp` stays valid until it is forgotten. Signals that stop the command
// are blocked while one is made or renamed.
void cli_temp_remember(char *temp);
void cli_temp_forget(const char *temp);
void cli_signals_block(sigset_t *old);

// While stopping is handed over, a signal to stop ends the child (0: none) and is noted in cli_stop_signal; this
// process goes on, to tidy up.
extern volatile sig_atomic_t cli_stop_signal;
void cli_files_hand_over(bool on, pid_t child);

#endif
