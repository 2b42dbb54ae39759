// SPDX-License-Identifier: Apache-2.0
// Status codes: one table gives each code's pinned value, the exit code of the shell command, and its text.
#ifndef VELUM_STATUS_H
#define VELUM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(VELUM_BUILD)
#define VELUM_API __attribute__((visibility("default")))
#else
#define VELUM_API
#endif

// X(name, value, exit code, text)
#define VELUM_STATUS_LIST(X)                                                                                           \
    X(OK, 0, 0, "done")                                                                                                \
    X(E_USAGE, 1, 2, "wrong argument")                                                                                 \
    X(E_FORMAT, 2, 3, "bad input file")                                                                                \
    X(E_DIGEST, 3, 3, "damaged input file")                                                                            \
    X(E_MISMATCH, 4, 3, "belongs to another program or key")                                                           \
    X(E_VALUE, 5, 3, "bad input value")                                                                                \
    X(E_UNSUPPORTED, 6, 3, "model not supported")                                                                      \
    X(E_INSECURE, 7, 4, "refused as insecure")                                                                         \
    X(E_LIMIT, 8, 4, "over a limit")                                                                                   \
    X(E_NOMEM, 9, 1, "out of memory")                                                                                  \
    X(E_IO, 10, 1, "input or output failed")                                                                           \
    X(E_INTERNAL, 11, 1, "internal error")

typedef enum velum_status {
#define X(name, value, exit, text) VELUM_##name = (value),
    VELUM_STATUS_LIST(X)
#undef X
} velum_status;

// The fixed text of a code; never NULL.
VELUM_API const char *velum_status_text(velum_status code);
// The exit code that the shell command gives for it.
VELUM_API int velum_status_exit(velum_status code);
// One line on the last failure in the calling thread, naming what and where; "" if there was none.
VELUM_API const char *velum_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
