// SPDX-License-Identifier: Apache-2.0
// Failure in one place: every function that can fail returns velum_status and leaves its outputs untouched on failure;
// the reason is one thread-local line, written by VL_FAIL only (see velum_last_error in velum.h).
#ifndef VELUM_BASE_STATUS_H
#define VELUM_BASE_STATUS_H

#include <velum/status.h>

__attribute__((format(printf, 2, 3))) velum_status vl_status_fail(velum_status code, const char *format, ...);

// The code itself is the value, so that the compiler knows a failure from VELUM_OK.
#define VL_FAIL(code, ...)                                                                                             \
    __extension__({                                                                                                    \
        vl_status_fail((code), __VA_ARGS__);                                                                           \
        (velum_status)(code);                                                                                          \
    })
#define VL_FAIL_IF(cond, code, ...)                                                                                    \
    do {                                                                                                               \
        if (cond) return VL_FAIL((code), __VA_ARGS__);                                                                 \
    } while (0)
#define VL_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        velum_status vl_try_ = (expr);                                                                                 \
        if (vl_try_ != VELUM_OK) return vl_try_;                                                                       \
    } while (0)

#endif
