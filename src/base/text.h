// SPDX-License-Identifier: Apache-2.0
// Words in listings and remarks.
#ifndef VELUM_BASE_TEXT_H
#define VELUM_BASE_TEXT_H

#include <stdint.h>
#include <stdio.h>

typedef struct vl_counted { // a value: it lives as long as the call that prints it
    char s[48];
} vl_counted;

// "1 copy", "0 copies", "12 copies".
static inline vl_counted vl_count(uint64_t n, const char *one, const char *many) {
    vl_counted out;
    snprintf(out.s, sizeof out.s, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
    return out;
}

#endif
