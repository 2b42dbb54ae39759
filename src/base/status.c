// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[2048];

const char *velum_status_text(velum_status code) {
    switch (code) {
#define X(name, value, exit, text)                                                                                     \
    case VELUM_##name: return text;
        VELUM_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

int velum_status_exit(velum_status code) {
    switch (code) {
#define X(name, value, exit, text)                                                                                     \
    case VELUM_##name: return exit;
        VELUM_STATUS_LIST(X)
#undef X
    }
    return 1;
}

const char *velum_last_error(void) { return last_error; }

velum_status vl_status_fail(velum_status code, const char *format, ...) {
    char line[sizeof last_error]; // apart, since an argument may be the last error itself
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0) snprintf(line, sizeof line, "%s", velum_status_text(code));
    // Names out of hostile files may be quoted in it: it stays one line, without terminal control.
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    memcpy(last_error, line, sizeof last_error);
    return code;
}
