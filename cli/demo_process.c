// SPDX-License-Identifier: Apache-2.0
// Each side's steps as processes of their own: this command, run again in the side's folder.
#include "demo.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGUMENTS 24

static void run_child(const char *folder, int out, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || chdir(folder) != 0) _exit(127);
    if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0) _exit(127);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static json_t *read_object(int fd) {
    json_error_t error;
    FILE *f = fdopen(fd, "r");
    if (!f) {
        close(fd);
        return NULL;
    }
    json_t *object = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
    char rest[4096];
    while (fread(rest, 1, sizeof rest, f) > 0) {
    }
    fclose(f);
    return object;
}

static int outcome(const char *step, int status, json_t *object, json_t **out) {
    if (cli_stop_signal) {
        json_decref(object);
        return cli_fail(CLI_OTHER, "demo: stopped");
    }
    if (object && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *out = object;
        return CLI_OK;
    }
    const char *why = json_string_value(json_object_get(object, "error"));
    int code = WIFEXITED(status) && why ? WEXITSTATUS(status) : CLI_OTHER;
    if (why)
        cli_fail(code, "demo: %s: %s", step, why);
    else if (WIFSIGNALED(status))
        cli_fail(code, "demo: %s: ended by signal %d", step, WTERMSIG(status));
    else
        cli_fail(code, "demo: %s: could not be run", step);
    json_decref(object);
    return code;
}

int demo_call(const char *folder, json_t **out, const char *const *arguments) {
    char *argv[MAX_ARGUMENTS + 3] = {(char *)"velum"};
    int n = 1, ends[2];
    for (; *arguments && n < MAX_ARGUMENTS; arguments++) argv[n++] = (char *)*arguments;
    argv[n++] = (char *)"--json";
    if (cli_stop_signal) return cli_fail(CLI_OTHER, "demo: stopped");
    if (pipe2(ends, O_CLOEXEC) != 0) return cli_fail(CLI_OTHER, "demo: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) {
        close(ends[0]);
        close(ends[1]);
        return cli_fail(CLI_OTHER, "demo: %s", strerror(errno));
    }
    if (child == 0) run_child(folder, ends[1], argv);
    cli_files_hand_over(true, child);
    if (cli_stop_signal) kill(child, SIGTERM);
    close(ends[1]);
    json_t *object = read_object(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    cli_files_hand_over(true, 0);
    return outcome(argv[1], status, object, out);
}
