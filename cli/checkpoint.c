// SPDX-License-Identifier: Apache-2.0
#include "checkpoint.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_RUN 60.0 // seconds
static const char magic[] = "VELUMCKP";

static int name_file(const cli_args *args, cli_checkpoint *c) {
    const char *output = args->value[CLI_OUTPUT], *folder = args->value[CLI_CHECKPOINT];
    const char *slash = strrchr(output, '/'), *name = folder && slash ? slash + 1 : output;
    int n = folder ? snprintf(c->path, sizeof c->path, "%s/%s.part", folder, name)
                   : snprintf(c->path, sizeof c->path, "%s.part", name);
    if (n >= (int)sizeof c->path - 16) return cli_fail(CLI_USAGE, "%s: the name is too long", output);
    snprintf(c->temp, sizeof c->temp, "%.*s-next", PATH_MAX - 16, c->path);
    return CLI_OK;
}

// One that cannot be opened may be one: reading it says why.
static bool may_be_one(const char *path, const struct stat *st) {
    char first[sizeof magic - 1];
    int fd = S_ISREG(st->st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return S_ISREG(st->st_mode);
    bool is = read(fd, first, sizeof first) == (ssize_t)sizeof first && memcmp(first, magic, sizeof first) == 0;
    close(fd);
    return is;
}

// What is no checkpoint is neither read nor written over: it may be large, or a pipe.
static int look_at(cli_checkpoint *c, cli_file *old) {
    struct stat st;
    if (stat(c->path, &st) != 0) return CLI_OK;
    if (may_be_one(c->path, &st)) return cli_file_read(c->path, CLI_MAX_KEYS, old);
    cli_note("%s: not a checkpoint, so it stays as it is; none is kept", c->path);
    c->path[0] = 0;
    return CLI_OK;
}

int cli_checkpoint_find(const cli_args *args, double expected, cli_checkpoint *c, cli_file *old) {
    struct stat st;
    *c = (cli_checkpoint){.fd = -1};
    *old = (cli_file){0};
    const bool asked = cli_has(args, CLI_CHECKPOINT) || cli_has(args, CLI_CHECKPOINT_EVERY);
    if (cli_has(args, CLI_NO_CHECKPOINT))
        return asked ? cli_fail(CLI_USAGE, "infer: --no-checkpoint contradicts --checkpoint") : CLI_OK;
    if (cli_has(args, CLI_CHECKPOINT)) {
        if (stat(args->value[CLI_CHECKPOINT], &st) != 0 || !S_ISDIR(st.st_mode))
            return cli_fail(CLI_USAGE, "infer: --checkpoint wants a folder that is there, not '%s'",
                            args->value[CLI_CHECKPOINT]);
    } else if (stat(args->value[CLI_OUTPUT], &st) == 0 && !S_ISREG(st.st_mode)) {
        return CLI_OK; // beside a device or a pipe there is no place
    }
    int code = name_file(args, c);
    if (code == CLI_OK) code = look_at(c, old);
    if (code == CLI_OK && !old->data && !asked && !(expected > LONG_RUN)) c->path[0] = 0;
    return code;
}

// What a killed run left half written goes: the name is always the same.
static int begin(cli_checkpoint *c) {
    sigset_t old;
    cli_signals_block(&old);
    unlink(c->temp);
    c->fd = open(c->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (c->fd >= 0) cli_temp_remember(c->temp);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return c->fd < 0 ? -1 : 0;
}

static int put(const cli_checkpoint *c, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(c->fd, data, size < (1u << 30) ? size : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static void drop(cli_checkpoint *c) {
    if (c->fd < 0) return;
    close(c->fd);
    unlink(c->temp);
    cli_temp_forget(c->temp);
    c->fd = -1;
}

static void sync_folder(const char *path) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static int finish(cli_checkpoint *c) {
    sigset_t old;
    if (fsync(c->fd) != 0) return -1;
    cli_signals_block(&old);
    int bad = rename(c->temp, c->path);
    if (!bad) {
        close(c->fd);
        c->fd = -1;
        cli_temp_forget(c->temp);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!bad) sync_folder(c->path);
    return bad;
}

int cli_checkpoint_keep(void *arg, const void *data, size_t size) {
    cli_checkpoint *c = arg;
    int bad = c->fd < 0 ? begin(c) : 0;
    if (!bad) bad = size ? put(c, data, size) : finish(c);
    if (!bad) return 0;
    cli_note("%s: %s; no further checkpoints are kept", c->path, strerror(errno));
    drop(c);
    return -1;
}

void cli_checkpoint_end(cli_checkpoint *c, bool done) {
    drop(c);
    if (!done || !c->path[0]) return;
    unlink(c->temp);
    unlink(c->path);
}
