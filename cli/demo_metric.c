// SPDX-License-Identifier: Apache-2.0
#include "demo.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEART_COLUMNS 13

void demo_rows_clear(demo_rows *rows) {
    free(rows->values);
    free(rows->labels);
    *rows = (demo_rows){0};
}

// One line of 13 attributes and a grade. False: not complete, or not a row.
static bool parse_line(const char *line, double *values, double *label) {
    for (int i = 0; i <= HEART_COLUMNS; i++) {
        char *end;
        double v = strtod(line, &end);
        if (end == line || !isfinite(v)) return false;
        if (i < HEART_COLUMNS)
            values[i] = v;
        else
            *label = v > 0;
        if (i < HEART_COLUMNS && *end != ',') return false;
        line = end + 1;
    }
    return true;
}

int demo_rows_heart(const char *path, uint64_t most, demo_rows *out) {
    FILE *f = fopen(path, "r");
    if (!f) return cli_fail(CLI_BAD_INPUT, "%s: cannot be read", path);
    *out = (demo_rows){.columns = HEART_COLUMNS};
    out->values = calloc(most * HEART_COLUMNS, sizeof *out->values);
    out->labels = calloc(most, sizeof *out->labels);
    char line[1024];
    while (out->values && out->labels && out->rows < most && fgets(line, sizeof line, f))
        if (parse_line(line, out->values + out->rows * HEART_COLUMNS, &out->labels[out->rows])) out->rows++;
    bool memory = out->values && out->labels;
    fclose(f);
    int code = !memory          ? cli_fail(CLI_OTHER, "out of memory")
               : out->rows == 0 ? cli_fail(CLI_BAD_INPUT, "%s: no complete rows of %d numbers", path, HEART_COLUMNS + 1)
                                : CLI_OK;
    if (code != CLI_OK) demo_rows_clear(out);
    return code;
}

double demo_auc(const double *score, const double *label, uint64_t n) {
    double wins = 0, pairs = 0;
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t k = 0; label[i] > 0 && k < n; k++) {
            if (label[k] > 0) continue;
            wins += score[i] > score[k] ? 1 : score[i] == score[k] ? 0.5 : 0;
            pairs++;
        }
    return pairs > 0 ? wins / pairs : NAN;
}
