// SPDX-License-Identifier: Apache-2.0
// Writing: beside the name, then renamed; several files all or none.
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_failed(const cli_out *f) { return cli_fail(CLI_OTHER, "%s: %s", f->path, strerror(errno)); }

int cli_put(const cli_out *f, const void *data, size_t size) {
    const uint8_t *p = data;
    for (size_t left = size; left > 0;) {
        ssize_t n = write(f->fd, p, left < (1u << 30) ? left : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return write_failed(f);
        p += n;
        left -= (size_t)n;
    }
    return CLI_OK;
}

static int write_content(const cli_out *f) { return f->produce ? f->produce(f->arg, f) : cli_put(f, f->data, f->size); }

int cli_secret_check(const char *path, bool replace) {
    struct stat st;
    if (lstat(path, &st) != 0) return CLI_OK; // if it cannot be written either, writing says so
    if (!replace) return cli_fail(CLI_USAGE, "%s: exists; a secret key is not overwritten without --force", path);
    if (!S_ISREG(st.st_mode)) return cli_fail(CLI_USAGE, "%s: not an ordinary file", path);
    return CLI_OK;
}

// Where the bytes go in the end: a symbolic link to a file stays one.
static int find_target(cli_out *f) {
    struct stat st;
    bool there = lstat(f->path, &st) == 0;
    if (there && S_ISLNK(st.st_mode) && stat(f->path, &st) == 0 && S_ISREG(st.st_mode)) {
        if (!realpath(f->path, f->target)) return write_failed(f);
        return CLI_OK;
    }
    if (strlen(f->path) >= PATH_MAX - 32) return errno = ENAMETOOLONG, write_failed(f);
    strcpy(f->target, f->path);
    return CLI_OK;
}

// Not a file to rename over: a pipe, a terminal, /dev/null.
static bool is_direct(const cli_out *f) {
    struct stat st;
    return stat(f->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

// Writes the temporary file beside the target.
static int stage(cli_out *f) {
    f->fd = -1;
    if (f->secret) {
        int code = cli_secret_check(f->path, f->replace);
        if (code != CLI_OK) return code;
    }
    struct stat st;
    if (stat(f->path, &st) == 0 && S_ISDIR(st.st_mode)) return errno = EISDIR, write_failed(f);
    int code = find_target(f);
    if (code != CLI_OK) return code;
    const char *slash = strrchr(f->target, '/');
    int folder = slash ? (int)(slash - f->target) + 1 : 0;
    if (!f->target[folder]) return errno = EISDIR, write_failed(f);
    if (snprintf(f->temp, sizeof f->temp, "%.*s.velum-XXXXXX", folder, f->target) >= (int)sizeof f->temp)
        return errno = ENAMETOOLONG, write_failed(f);
    sigset_t old;
    cli_signals_block(&old);
    f->fd = mkostemp(f->temp, O_CLOEXEC); // O_EXCL, mode 0600
    if (f->fd >= 0) cli_temp_remember(f->temp), f->state = CLI_OUT_WRITTEN;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (f->fd < 0) return write_failed(f);
    if (!f->secret) {
        mode_t mask = umask(0);
        umask(mask);
        if (fchmod(f->fd, 0666 & ~mask) != 0) return write_failed(f);
    }
    code = write_content(f);
    if (code == CLI_OK && fsync(f->fd) != 0) code = write_failed(f);
    if (close(f->fd) != 0 && code == CLI_OK) code = write_failed(f);
    f->fd = -1;
    return code;
}

// Gives the temporary file its name. What was there before is kept under the temporary name, to be put back if another
// file of the set fails.
static int rename_in(cli_out *f) {
    if (renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->target, RENAME_NOREPLACE) == 0) {
        f->state = CLI_OUT_NEW;
        return CLI_OK;
    }
    bool can = errno != EINVAL && errno != ENOSYS;
    if (can && errno != EEXIST) return write_failed(f);
    if (can && f->secret && !f->replace) return cli_secret_check(f->path, false) ? CLI_USAGE : write_failed(f);
    if (can && renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->target, RENAME_EXCHANGE) == 0) {
        f->state = CLI_OUT_SWAPPED;
        return CLI_OK;
    }
    if (!can && f->secret && !f->replace) { // a file system without these: a hard link does not replace either
        if (link(f->temp, f->target) != 0) return write_failed(f);
        unlink(f->temp);
    } else if (rename(f->temp, f->target) != 0) {
        return write_failed(f);
    }
    f->state = CLI_OUT_NEW;
    return CLI_OK;
}

static void undo(cli_out *f) {
    if (f->fd >= 0) close(f->fd);
    if (f->state == CLI_OUT_NEW) unlink(f->target);
    if (f->state == CLI_OUT_SWAPPED) renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->target, RENAME_EXCHANGE);
    if (f->state == CLI_OUT_SWAPPED || f->state == CLI_OUT_WRITTEN) unlink(f->temp);
    if (f->state != CLI_OUT_NOTHING) cli_temp_forget(f->temp);
    f->state = CLI_OUT_NOTHING;
}

static void finish(cli_out *f) {
    if (f->state == CLI_OUT_SWAPPED) unlink(f->temp);
    cli_temp_forget(f->temp);
    char *slash = strrchr(f->target, '/'); // the folder's own entry on disk
    if (slash) slash[slash == f->target] = 0;
    int fd = open(slash ? f->target : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static bool same_place(const cli_out *a, const cli_out *b) {
    char x[PATH_MAX], y[PATH_MAX];
    const cli_out *pair[2] = {a, b};
    char *where[2] = {x, y};
    const char *name[2];
    for (int i = 0; i < 2; i++) {
        const char *slash = strrchr(pair[i]->target, '/');
        name[i] = slash ? slash + 1 : pair[i]->target;
        char folder[PATH_MAX] = ".";
        if (slash) snprintf(folder, sizeof folder, "%.*s/", (int)(slash - pair[i]->target), pair[i]->target);
        if (!realpath(folder, where[i])) return false;
    }
    return strcmp(x, y) == 0 && strcmp(name[0], name[1]) == 0;
}

static int commit(cli_out *files, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < i; k++)
            if (files[i].temp[0] && files[k].temp[0] && same_place(&files[i], &files[k]))
                return cli_fail(CLI_USAGE, "%s: named for two results", files[i].path);
    for (unsigned i = 0; i < count; i++) {
        int code = files[i].temp[0] ? rename_in(&files[i]) : CLI_OK;
        if (code != CLI_OK) return code;
    }
    return CLI_OK;
}

static int write_direct(cli_out *f) {
    f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (f->fd < 0) return write_failed(f);
    int code = write_content(f);
    if (close(f->fd) != 0 && code == CLI_OK) code = write_failed(f);
    f->fd = -1;
    return code;
}

int cli_files_write(cli_out *files, unsigned count) {
    int code = CLI_OK;
    for (unsigned i = 0; i < count; i++) files[i].state = CLI_OUT_NOTHING, files[i].fd = -1, files[i].temp[0] = 0;
    for (unsigned i = 0; i < count && code == CLI_OK; i++) {
        if (files[i].secret || !is_direct(&files[i]))
            code = stage(&files[i]);
        else if (files[i].produce) // now: files after it may need what it finds out
            code = write_direct(&files[i]);
    }
    sigset_t old;
    cli_signals_block(&old); // all names or none
    if (code == CLI_OK) code = commit(files, count);
    for (unsigned i = 0; i < count && code != CLI_OK; i++) undo(&files[i]);
    for (unsigned i = 0; i < count && code == CLI_OK; i++)
        if (files[i].temp[0]) finish(&files[i]);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    for (unsigned i = 0; i < count && code == CLI_OK; i++)
        if (!files[i].temp[0] && !files[i].produce) code = write_direct(&files[i]);
    return code;
}

int cli_file_write(const char *path, const void *data, size_t size) {
    cli_out file = {.path = path, .data = data, .size = size, .replace = true};
    return cli_files_write(&file, 1);
}
