// SPDX-License-Identifier: Apache-2.0
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- signals ----
#define MAX_TEMPS 8
static char *volatile temps[MAX_TEMPS]; // names of unfinished files
static volatile pid_t handed_to;
static volatile sig_atomic_t handing;
volatile sig_atomic_t cli_stop_signal;
static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
static pthread_t main_thread;

static void stop(int signal_number) {
    if (!pthread_equal(pthread_self(), main_thread)) { // the one that may have blocked it
        pthread_kill(main_thread, signal_number);
        return;
    }
    if (handing) {
        cli_stop_signal = signal_number;
        if (handed_to > 0) kill(handed_to, SIGTERM);
        return;
    }
    for (int i = 0; i < MAX_TEMPS; i++)
        if (temps[i]) unlink(temps[i]);
    signal(signal_number, SIG_DFL);
    raise(signal_number); // delivered when this handler returns
}

// ---- a mapped file that loses its end ----
static struct {
    const uint8_t *at;
    size_t size;
    char line[PATH_MAX + 64]; // to say, since a handler cannot print
    atomic_flag told;
} mapping = {.told = ATOMIC_FLAG_INIT};

static void lost(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    const uint8_t *at = info->si_addr;
    if (mapping.at && at >= mapping.at && (size_t)(at - mapping.at) < mapping.size) {
        while (atomic_flag_test_and_set(&mapping.told)) pause(); // another thread tells, and ends them all
        for (int i = 0; i < MAX_TEMPS; i++)
            if (temps[i]) unlink(temps[i]);
        (void)!write(STDERR_FILENO, mapping.line, strlen(mapping.line));
        _exit(CLI_BAD_INPUT);
    }
    signal(signal_number, SIG_DFL); // and the instruction again
}

static void watch(const char *path, const void *at, size_t size) {
    snprintf(mapping.line, sizeof mapping.line, "velum: %s: cannot be read any more; was it cut short while in use?\n",
             path);
    mapping.size = size;
    mapping.at = at;
    sigaction(SIGBUS, &(struct sigaction){.sa_sigaction = lost, .sa_flags = SA_SIGINFO}, NULL);
}

void cli_files_start(void) {
    struct sigaction action = {.sa_handler = stop}, old;
    main_thread = pthread_self();
    for (unsigned i = 0; i < sizeof stops / sizeof *stops; i++) {
        if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue; // nohup
        sigaction(stops[i], &action, NULL);
    }
}

void cli_temp_remember(char *temp) {
    for (int i = 0; i < MAX_TEMPS; i++)
        if (!temps[i]) {
            temps[i] = temp;
            return;
        }
}

void cli_temp_forget(const char *temp) {
    for (int i = 0; i < MAX_TEMPS; i++)
        if (temps[i] == temp) temps[i] = NULL;
}

void cli_files_hand_over(bool on, pid_t child) {
    handed_to = child;
    handing = on;
}

void cli_signals_block(sigset_t *old) {
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof stops / sizeof *stops; i++) sigaddset(&set, stops[i]);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

// ---- reading ----
static int read_failed(const char *path) { return cli_fail(CLI_BAD_INPUT, "%s: %s", path, strerror(errno)); }

static int read_all(int fd, const char *path, size_t ceiling, size_t expected, cli_file *out) {
    size_t capacity = expected + 1; // one more: to see the end
    out->data = malloc(capacity);
    if (!out->data) return cli_fail(CLI_OTHER, "%s: no memory for %zu bytes", path, expected);
    for (;;) {
        if (out->size == capacity) {
            size_t more = capacity < 65536 ? 65536 : capacity + capacity / 2;
            uint8_t *grown = malloc(more);
            if (!grown) return cli_fail(CLI_OTHER, "%s: no memory for %zu bytes", path, more);
            memcpy(grown, out->data, out->size);
            explicit_bzero(out->data, out->size);
            free(out->data);
            out->data = grown;
            capacity = more;
        }
        ssize_t n = read(fd, out->data + out->size, capacity - out->size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return read_failed(path);
        if (n == 0) return CLI_OK;
        out->size += (size_t)n;
        if (out->size > ceiling)
            return cli_fail(CLI_REFUSED, "%s: larger than the limit of %s", path, cli_bytes(ceiling).s);
    }
}

// Opens once: what is behind a pipe's name is there only once. A regular file is mapped where `map` asks for it.
static int read_file(const char *path, size_t ceiling, bool map, cli_file *out, mode_t *mode) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return read_failed(path);
    struct stat st;
    int code = CLI_OK;
    if (fstat(fd, &st) != 0)
        code = read_failed(path);
    else if (S_ISDIR(st.st_mode))
        code = cli_fail(CLI_BAD_INPUT, "%s: is a folder", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > ceiling)
        code = cli_fail(CLI_REFUSED, "%s: %s, the limit is %s", path, cli_bytes((uint64_t)st.st_size).s,
                        cli_bytes(ceiling).s);
    if (code == CLI_OK && mode) *mode = S_ISREG(st.st_mode) ? st.st_mode : 0;
    void *at = MAP_FAILED;
    if (code == CLI_OK && map && S_ISREG(st.st_mode) && st.st_size > 0)
        at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at != MAP_FAILED)
        *out = (cli_file){.data = at, .size = (size_t)st.st_size, .mapped = true};
    else if (code == CLI_OK)
        code = read_all(fd, path, ceiling, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, out);
    close(fd);
    if (code != CLI_OK) cli_file_free(out);
    return code;
}

int cli_file_read(const char *path, size_t ceiling, cli_file *out) {
    *out = (cli_file){0};
    return read_file(path, ceiling, false, out, NULL);
}

int cli_file_map(const char *path, size_t ceiling, cli_file *out) {
    *out = (cli_file){0};
    int code = read_file(path, ceiling, true, out, NULL);
    if (!out->mapped) return code;
    (void)madvise(out->data, out->size, MADV_HUGEPAGE); // advice: keys are read in strides
    watch(path, out->data, out->size);
    return code;
}

int cli_file_read_secret(const char *path, cli_file *out) {
    mode_t mode = 0;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    *out = (cli_file){.secret = true};
    int code = read_file(path, CLI_MAX_SECRET, false, out, &mode);
    if (code == CLI_OK && (mode & 077))
        cli_note("%s may be read by others (mode %03o): chmod 600 %s", path, (unsigned)mode & 0777u, path);
    return code;
}

void cli_file_free(cli_file *file) {
    if (file->data && file->secret) explicit_bzero(file->data, file->size);
    if (file->mapped) {
        mapping.at = NULL;
        munmap(file->data, file->size);
    } else {
        free(file->data);
    }
    file->mapped = false;
    file->data = NULL;
    file->size = 0;
}
