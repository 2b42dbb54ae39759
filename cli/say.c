// SPDX-License-Identifier: Apache-2.0
// What is said on stderr and stdout, to people and to scripts.
#include "cli.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char failure[1024];

const char *cli_last_failure(void) { return failure; }

// One line, no terminal control: names in it may come out of hostile files.
static void clean(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

int cli_fail(int code, const char *format, ...) {
    cli_progress_stop();
    va_list args;
    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    clean(failure);
    fprintf(stderr, "velum: %s\n", failure);
    return code;
}

int cli_fail_status(velum_status status, const char *file) {
    const char *why = velum_last_error();
    if (!why[0]) why = velum_status_text(status);
    return file ? cli_fail(velum_status_exit(status), "%s: %s", file, why)
                : cli_fail(velum_status_exit(status), "%s", why);
}

static void remark(const char *kind, const char *format, va_list args) {
    char line[1024];
    vsnprintf(line, sizeof line, format, args);
    clean(line);
    fprintf(stderr, "velum: %s: %s\n", kind, line);
}

void cli_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    remark("note", format, args);
    va_end(args);
}

void cli_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    remark("warning", format, args);
    va_end(args);
}

cli_text cli_bytes(uint64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double v = (double)bytes;
    unsigned unit = 0;
    while (v >= 999.5 && unit < 4) v /= 1000, unit++;
    cli_text t;
    snprintf(t.s, sizeof t.s, "%.*f %s", unit && v < 99.95 ? 1 : 0, v, units[unit]);
    return t;
}

cli_text cli_seconds(double seconds) {
    cli_text t;
    if (seconds < 1e-3)
        snprintf(t.s, sizeof t.s, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(t.s, sizeof t.s, "%.*f ms", seconds < 0.1 ? 2 : 1, seconds * 1e3);
    else
        snprintf(t.s, sizeof t.s, "%.2f s", seconds);
    return t;
}

cli_text cli_error_bits(double error) {
    cli_text t;
    if (error > 0)
        snprintf(t.s, sizeof t.s, "2^%.1f", log2(error));
    else
        snprintf(t.s, sizeof t.s, "0");
    return t;
}

double cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- progress ----
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, stop;
    char what[128];
    double left, at; // seconds left at that time; 0: unknown
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *show_progress(void *unused) {
    (void)unused;
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    bool shown = false;
    pthread_mutex_lock(&progress.lock);
    for (unsigned seconds = 1; !progress.stop; seconds++) {
        when.tv_sec++;
        while (!progress.stop && pthread_cond_timedwait(&progress.wake, &progress.lock, &when) == 0) {
        }
        if (progress.stop) break;
        shown = true;
        fprintf(stderr, "\r\033[K%s ... %u s", progress.what, seconds);
        const double left = progress.left - (cli_now() - progress.at);
        if (left >= 1) fprintf(stderr, ", about %.0f s left", left);
    }
    if (shown) fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&progress.lock);
    return NULL;
}

void cli_progress_start(const char *what) {
    cli_progress_stop();
    if (!isatty(STDERR_FILENO)) return;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&progress.wake, &attr);
    pthread_condattr_destroy(&attr);
    snprintf(progress.what, sizeof progress.what, "%s", what);
    progress.left = 0;
    progress.stop = false;
    sigset_t all, old; // signals are for the main thread
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    progress.running = pthread_create(&progress.thread, NULL, show_progress, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void cli_progress_say(const char *what, double left) {
    pthread_mutex_lock(&progress.lock);
    progress.left = left;
    progress.at = cli_now();
    snprintf(progress.what, sizeof progress.what, "%s", what);
    pthread_mutex_unlock(&progress.lock);
}

void cli_progress_stop(void) {
    if (!progress.running) return;
    pthread_mutex_lock(&progress.lock);
    progress.stop = true;
    pthread_cond_signal(&progress.wake);
    pthread_mutex_unlock(&progress.lock);
    pthread_join(progress.thread, NULL);
    pthread_cond_destroy(&progress.wake);
    progress.running = false;
}

// ---- JSON ----
int cli_print_json(json_t *object) {
    if (!object) return cli_fail(CLI_OTHER, "out of memory");
    int bad = json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    putchar('\n');
    return bad ? cli_fail(CLI_OTHER, "writing to stdout failed") : CLI_OK;
}

json_t *cli_real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

json_t *cli_info_json(const velum_info *info) {
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
        "model", info->model ? info->model : "", "metric", info->metric ? info->metric : "", "log_n",
        (json_int_t)info->log_n, "limbs", (json_int_t)info->limbs, "special", (json_int_t)info->special_limbs, "digits",
        (json_int_t)info->digits, "security_bits", (json_int_t)info->security_bits, "lanes", (json_int_t)info->lanes,
        "inputs", (json_int_t)info->inputs, "outputs", (json_int_t)info->outputs, "keys", (json_int_t)info->keys,
        "log_q", cli_real(info->log_q), "log_qp", cli_real(info->log_qp), "log_scale", cli_real(info->log_scale),
        "eval_key_bytes", (json_int_t)info->eval_key_bytes, "query_bytes", (json_int_t)info->query_bytes,
        "answer_bytes", (json_int_t)info->answer_bytes, "memory_bytes", (json_int_t)info->memory_bytes,
        "predicted_seconds", cli_real(info->predicted_seconds), "error_bound", cli_real(info->error_bound),
        "error_expected", info->error_expected > 0 ? cli_real(info->error_expected) : json_null());
}
