// SPDX-License-Identifier: Apache-2.0
// What holds of every listing of a program.
#ifndef VELUM_TESTS_PROGRAM_LISTING_H
#define VELUM_TESTS_PROGRAM_LISTING_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

// Where the text has one of several things ("1 copies", but "8 x 1 phases" are eight); NULL: nowhere.
static inline const char *listing_one_of_many(const char *text) {
    for (const char *at = text; (at = strstr(at, "1 ")); at++) {
        const bool number = at == text || at[-1] == ' ' || at[-1] == '(';
        size_t letters = 0;
        while (islower((unsigned char)at[2 + letters])) letters++;
        const bool factor = at - text >= 2 && at[-2] == 'x';
        if (number && !factor && letters > 2 && at[1 + letters] == 's') return at;
    }
    return NULL;
}

#endif
