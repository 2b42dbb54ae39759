// SPDX-License-Identifier: Apache-2.0
// The last rows of a file in the Criteo-Kaggle format: label, 13 counts, 26 hashes in hexadecimal, separated by tabs;
// an empty field is missing and becomes 0. Packed with xz, or plain.
#include "demo.h"
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTS 13
#define HASHES 26
#define FIELDS (COUNTS + HASHES)
#define CHUNK 65536
#define LINE 4096
#define MEMORY (256u << 20) // that the decoder may take

typedef struct tail {
    demo_rows *rows;
    uint64_t room, seen; // a ring of the last `room` rows
    char line[LINE];
    size_t length;
    bool too_long;
} tail;

// False for what is not a row.
static bool parse_row(char *line, double *label, double *values) {
    for (int i = 0; i <= FIELDS; i++) {
        char *next = strchr(line, '\t'), *end = line;
        if (next) *next = 0;
        if (!next && i < FIELDS) return false;
        double v = 0;
        if (line[0]) v = i <= COUNTS ? (double)strtol(line, &end, 10) : (double)strtoul(line, &end, 16);
        if (*end || (i == 0 && (!line[0] || (v != 0 && v != 1)))) return false;
        if (i == 0)
            *label = v;
        else
            values[i - 1] = v;
        if (!next) return i == FIELDS;
        line = next + 1;
    }
    return false;
}

static bool end_line(tail *t) {
    if (t->length == 0) return true;
    if (t->line[t->length - 1] == '\r') t->length--;
    t->line[t->length] = 0;
    uint64_t at = t->seen % t->room;
    bool good = !t->too_long && parse_row(t->line, &t->rows->labels[at], t->rows->values + at * FIELDS);
    t->seen += good;
    t->length = 0;
    return good;
}

static bool take(tail *t, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            if (!end_line(t)) return false;
        } else if (t->length + 1 < LINE) {
            t->line[t->length++] = (char)data[i];
        } else {
            t->too_long = true;
        }
    }
    return true;
}

// Decodes a whole file, through liblzma if it is packed.
static int read_all(FILE *f, const char *path, tail *t) {
    static const uint8_t magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    uint8_t in[CHUNK], out[CHUNK];
    size_t got = fread(in, 1, sizeof in, f);
    bool packed = got >= sizeof magic && memcmp(in, magic, sizeof magic) == 0, good = true;
    lzma_stream xz = LZMA_STREAM_INIT;
    lzma_ret ret = LZMA_OK;
    if (packed && lzma_stream_decoder(&xz, MEMORY, LZMA_CONCATENATED) != LZMA_OK)
        return cli_fail(CLI_OTHER, "out of memory");
    for (; good && ret == LZMA_OK; got = fread(in, 1, sizeof in, f)) {
        if (!packed) {
            good = take(t, in, got);
            if (got == 0) break;
            continue;
        }
        xz.next_in = in;
        xz.avail_in = got;
        do {
            xz.next_out = out;
            xz.avail_out = sizeof out;
            ret = lzma_code(&xz, got == 0 ? LZMA_FINISH : LZMA_RUN);
            good = take(t, out, sizeof out - xz.avail_out);
        } while (good && ret == LZMA_OK && (xz.avail_in > 0 || xz.avail_out == 0));
    }
    lzma_end(&xz);
    if (packed && good && ret != LZMA_STREAM_END)
        return cli_fail(CLI_BAD_INPUT, "%s: damaged or cut short (xz error %d)", path, (int)ret);
    good = good && end_line(t);
    return good ? CLI_OK
                : cli_fail(CLI_BAD_INPUT, "%s: row %llu is not a label, %d counts and %d hashes", path,
                           (unsigned long long)t->seen + 1, COUNTS, HASHES);
}

// The ring in order.
static int unroll(const tail *t, demo_rows *out) {
    uint64_t n = t->seen < t->room ? t->seen : t->room, first = t->seen - n;
    double *values = calloc(n * FIELDS, sizeof *values), *labels = calloc(n, sizeof *labels);
    if (!values || !labels) {
        free(values);
        free(labels);
        return cli_fail(CLI_OTHER, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = (first + i) % t->room;
        memcpy(values + i * FIELDS, out->values + at * FIELDS, FIELDS * sizeof *values);
        labels[i] = out->labels[at];
    }
    demo_rows_clear(out);
    *out = (demo_rows){.columns = FIELDS, .rows = n, .values = values, .labels = labels};
    return CLI_OK;
}

int demo_rows_criteo(const char *path, uint64_t most, demo_rows *out) {
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail(CLI_BAD_INPUT, "%s: %s", path, strerror(errno));
    tail *t = calloc(1, sizeof *t);
    *out = (demo_rows){.columns = FIELDS};
    out->values = calloc(most * FIELDS, sizeof *out->values);
    out->labels = calloc(most, sizeof *out->labels);
    int code = CLI_OK;
    if (t && out->values && out->labels) {
        t->rows = out;
        t->room = most;
        code = read_all(f, path, t);
        if (code == CLI_OK && t->seen == 0) code = cli_fail(CLI_BAD_INPUT, "%s: no rows", path);
        if (code == CLI_OK) code = unroll(t, out);
    } else {
        code = cli_fail(CLI_OTHER, "out of memory");
    }
    fclose(f);
    free(t);
    if (code != CLI_OK) demo_rows_clear(out);
    return code;
}
