// SPDX-License-Identifier: Apache-2.0
// CSV (RFC 4180) with a header: quotes, CRLF and a byte order mark are fine, blank lines too where no row follows.
#include "table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct csv {
    const char *path;
    const uint8_t *at, *end;
    uint64_t line;      // of the field last read, from 1
    uint64_t next_line; // where reading stands
    char field[CLI_MAX_FIELD + 1];
    size_t length;
    bool last; // the field last read ended its row
    bool over; // nothing is left
} csv;

static int bad_line(const csv *c, const char *what) {
    return cli_fail(CLI_BAD_INPUT, "%s: line %llu: %s", c->path, (unsigned long long)c->line, what);
}

static int put(csv *c, uint8_t byte) {
    if (byte == 0) return bad_line(c, "a zero byte: not a CSV file");
    if (c->length == CLI_MAX_FIELD) return bad_line(c, "a field of more than 4096 bytes");
    c->field[c->length++] = (char)byte;
    return CLI_OK;
}

static int read_quoted(csv *c) {
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"') {
                c->at++;
                return CLI_OK;
            }
            c->at++;
        }
        if (*c->at == '\n') c->next_line++;
        int code = put(c, *c->at);
        if (code != CLI_OK) return code;
    }
    return bad_line(c, "a quote that is not closed");
}

// Reads one field and what ends it.
static int read_field(csv *c) {
    int code = CLI_OK;
    c->length = 0;
    c->line = c->next_line;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) c->at++;
    if (c->at < c->end && *c->at == '"') {
        code = read_quoted(c);
        while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) c->at++;
        if (code == CLI_OK && c->at < c->end && !memchr(",\r\n", *c->at, 3))
            code = bad_line(c, "text after a closing quote");
    } else {
        while (code == CLI_OK && c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r')
            code = put(c, *c->at++);
        while (c->length && (c->field[c->length - 1] == ' ' || c->field[c->length - 1] == '\t')) c->length--;
    }
    c->field[c->length] = 0;
    if (code != CLI_OK) return code;
    c->last = c->at == c->end || *c->at != ',';
    if (c->at < c->end && *c->at == '\r') c->at++;
    if (c->at < c->end && *c->at == '\n')
        c->next_line++, c->at++;
    else if (c->at < c->end && *c->at == ',')
        c->at++;
    else if (c->at < c->end && c->at[-1] == '\r')
        c->next_line++; // old Macintosh
    return CLI_OK;
}

// Whether only blank lines are left.
static bool at_end(const csv *c) {
    for (const uint8_t *p = c->at; p < c->end; p++)
        if (!memchr(" \t\r\n", *p, 4)) return false;
    return true;
}

typedef struct header {
    uint32_t count;
    char **name;
    uint32_t *to; // column of the table; UINT32_MAX: left out
} header;

static void header_free(header *h) {
    for (uint32_t i = 0; h->name && i < h->count; i++) free(h->name[i]);
    free(h->name);
    free(h->to);
}

#define NAMES_WANTED " (the first line has to name the columns)"

static bool is_number(const char *text) {
    char *end;
    if (!text[0] || text[strspn(text, "0123456789+-.eE")]) return false; // no nan, inf, hexadecimal
    double v = strtod(text, &end);
    return !*end && isfinite(v);
}

static int read_header(csv *c, header *h) {
    uint32_t capacity = 0;
    do {
        int code = read_field(c);
        if (code != CLI_OK) return code;
        if (h->count == CLI_MAX_COLUMNS) return bad_line(c, "more than 65536 columns");
        for (uint32_t i = 0; i < h->count; i++)
            if (c->length && strcmp(h->name[i], c->field) == 0)
                return cli_fail(CLI_BAD_INPUT, "%s: line %llu: the column '%.80s' is there twice%s", c->path,
                                (unsigned long long)c->line, c->field, is_number(c->field) ? NAMES_WANTED : "");
        if (h->count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **grown = realloc(h->name, capacity * sizeof *grown);
            if (!grown) return cli_fail(CLI_OTHER, "%s: out of memory", c->path);
            h->name = grown;
        }
        if (!(h->name[h->count] = strdup(c->field))) return cli_fail(CLI_OTHER, "%s: out of memory", c->path);
        h->count++;
    } while (!c->last);
    return CLI_OK;
}

static int out_of_memory(const csv *c) { return cli_fail(CLI_OTHER, "%s: out of memory", c->path); }

// The column of the table that the field named `name` goes to; UINT32_MAX: none. `next`: where columns are not known.
static uint32_t find_column(const cli_names *names, const char *name, uint32_t next) {
    if (!name[0]) return UINT32_MAX; // such as the index that some programs write
    if (!names || !names->count) return next;
    for (uint32_t k = 0; k < names->count; k++)
        if (strcmp(name, names->name[k]) == 0) return k;
    return UINT32_MAX;
}

static int match_header(const csv *c, const cli_names *names, header *h, velum_table *t) {
    uint32_t taken = 0, extra = 0, first = 0;
    bool known = names && names->count;
    t->columns = known ? names->count : h->count;
    t->names = calloc(t->columns, sizeof *t->names);
    h->to = malloc(h->count * sizeof *h->to);
    if (!t->names || !h->to) return out_of_memory(c);
    for (uint32_t i = 0; i < h->count; i++) {
        h->to[i] = find_column(names, h->name[i], taken);
        if (h->to[i] == UINT32_MAX) {
            if (h->name[i][0] && !extra++) first = i;
            continue;
        }
        if (!(t->names[h->to[i]] = strdup(h->name[i]))) return out_of_memory(c);
        taken++;
    }
    if (!known) t->columns = taken;
    if (!taken && !known) return cli_fail(CLI_BAD_INPUT, "%s: no columns with names", c->path);
    for (uint32_t k = 0; k < t->columns; k++)
        if (!t->names[k])
            return cli_fail(CLI_BAD_INPUT, "%s: the column '%s' is missing%s", c->path, names->name[k],
                            is_number(h->name[0]) ? NAMES_WANTED : "");
    if (extra)
        cli_note("%s: %u column%s left out that the model does not take: %s%s", c->path, extra, extra == 1 ? "" : "s",
                 h->name[first], extra == 1 ? "" : ", ...");
    return CLI_OK;
}

static int bad_field(const csv *c, uint64_t row, const char *field, const char *what) {
    char value[48] = "";
    if (c->length) snprintf(value, sizeof value, "'%.32s%s' ", c->field, c->length > 32 ? "..." : "");
    return cli_fail(CLI_BAD_INPUT, "%s: row %llu (line %llu): field '%s': %s%s", c->path, (unsigned long long)row,
                    (unsigned long long)c->line, field, value, what);
}

static int read_row(csv *c, const header *h, velum_table *t, double *row) {
    uint64_t number = t->rows + 1;
    for (uint32_t i = 0; i < h->count; i++) {
        int code = read_field(c);
        if (code != CLI_OK) return code;
        if (c->last != (i + 1 == h->count)) {
            if (!c->last)
                return cli_fail(CLI_BAD_INPUT, "%s: row %llu (line %llu): more than %u fields", c->path,
                                (unsigned long long)number, (unsigned long long)c->line, h->count);
            if (i == 0 && !c->length) return bad_line(c, "blank, with rows after it");
            return cli_fail(CLI_BAD_INPUT,
                            "%s: row %llu (line %llu): %u fields where the header has %u; '%s' is missing", c->path,
                            (unsigned long long)number, (unsigned long long)c->line, i + 1, h->count, h->name[i + 1]);
        }
        if (h->to[i] == UINT32_MAX) continue;
        if (!c->length) return bad_field(c, number, h->name[i], "is empty");
        if (!is_number(c->field)) return bad_field(c, number, h->name[i], "is not a number");
        row[h->to[i]] = strtod(c->field, NULL);
    }
    return CLI_OK;
}

static int read_rows(csv *c, const header *h, velum_table *t) {
    uint64_t capacity = 0;
    while (!at_end(c)) {
        if (t->rows == CLI_MAX_ROWS) return cli_fail(CLI_REFUSED, "%s: more than %u rows", c->path, CLI_MAX_ROWS);
        if (t->rows == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            double *grown = reallocarray(t->values, capacity, t->columns * sizeof *grown);
            if (!grown)
                return cli_fail(CLI_OTHER, "%s: no memory for %llu rows", c->path, (unsigned long long)capacity);
            t->values = grown;
        }
        int code = read_row(c, h, t, t->values + t->rows * t->columns);
        if (code != CLI_OK) return code;
        t->rows++;
    }
    return CLI_OK;
}

int cli_table_parse_csv(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out) {
    csv *c = calloc(1, sizeof *c);
    if (!c) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    *c = (csv){.path = path, .at = data, .end = data + size, .next_line = 1};
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) c->at += 3;
    header h = {0};
    int code = at_end(c) ? cli_fail(CLI_BAD_INPUT, "%s: empty", path) : read_header(c, &h);
    if (code == CLI_OK) code = match_header(c, names, &h, out);
    if (code == CLI_OK) code = read_rows(c, &h, out);
    header_free(&h);
    explicit_bzero(c, sizeof *c);
    free(c);
    return code;
}
