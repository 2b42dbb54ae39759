// SPDX-License-Identifier: Apache-2.0
// NPY arrays: the first axis counts the rows; all others together are the columns, the last axis fastest.
#include "npy.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t le64(const uint8_t *p) { return cli_le32(p) | (uint64_t)cli_le32(p + 4) << 32; }

// ---- the header: a Python dictionary of three entries ----
typedef struct parser {
    const char *at, *end;
} parser;

static void skip(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n')) p->at++;
}

static bool take(parser *p, const char *token) {
    skip(p);
    size_t n = strlen(token);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, token, n) != 0) return false;
    p->at += n;
    return true;
}

static bool take_count(parser *p, uint64_t *out) {
    skip(p);
    const char *start = p->at;
    for (*out = 0; p->at < p->end && isdigit((unsigned char)*p->at) && p->at - start < 12; p->at++)
        *out = 10 * *out + (uint64_t)(*p->at - '0');
    return p->at > start && !(p->at < p->end && isdigit((unsigned char)*p->at));
}

typedef struct head {
    char type; // 'f' float32, 'd' float64, 'i' int32, 'l' int64, 'b' uint8
    uint64_t rows, columns;
    unsigned dims;
    bool seen[3];
} head;

static const char *parse_shape(parser *p, head *h) {
    if (!take(p, "(")) return "a shape that is no tuple";
    while (!take(p, ")")) {
        uint64_t n;
        if (!take_count(p, &n)) return "a shape that is not understood";
        if (h->dims++ == 0)
            h->rows = n;
        else
            h->columns = n > CLI_MAX_COLUMNS || h->columns * n > CLI_MAX_COLUMNS ? CLI_MAX_COLUMNS + 1 : h->columns * n;
        if (!take(p, ",")) {
            if (!take(p, ")")) return "a shape that is not understood";
            break;
        }
    }
    return NULL;
}

static char take_type(parser *p) {
    static const struct {
        const char *text;
        char type;
    } all[] = {{"'<f4'", 'f'}, {"'<f8'", 'd'}, {"'<i4'", 'i'}, {"'<i8'", 'l'}, {"'|u1'", 'b'}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (take(p, all[i].text)) return all[i].type;
    return 0;
}

static size_t bytes_of(char type) { return type == 'b' ? 1 : type == 'f' || type == 'i' ? 4 : 8; }

static const char *parse_head(const char *text, size_t size, head *h) {
    parser p = {text, text + size};
    *h = (head){.columns = 1};
    if (!take(&p, "{")) return "a header that is no dictionary";
    while (!take(&p, "}")) {
        unsigned which = take(&p, "'descr'") ? 0 : take(&p, "'fortran_order'") ? 1 : take(&p, "'shape'") ? 2 : 3;
        if (which == 3 || h->seen[which] || !take(&p, ":")) return "a header that is not understood";
        h->seen[which] = true;
        if (which == 0) {
            h->type = take_type(&p);
            if (!h->type) return "numbers of another type than float32, float64, int32, int64 or uint8 (little-endian)";
        } else if (which == 1) {
            if (take(&p, "True")) return "columns first (Fortran order): save it as numpy.ascontiguousarray";
            if (!take(&p, "False")) return "a header that is not understood";
        } else {
            const char *why = parse_shape(&p, h);
            if (why) return why;
        }
        if (!take(&p, ",")) {
            if (!take(&p, "}")) return "a header that is not understood";
            break;
        }
    }
    skip(&p);
    if (p.at != p.end || !h->seen[0] || !h->seen[1] || !h->seen[2]) return "a header that is not understood";
    return NULL;
}

static double element(char type, const uint8_t *p) {
    if (type == 'b') return *p;
    if (type == 'i') return (double)(int32_t)cli_le32(p);
    if (type == 'f') {
        uint32_t bits = cli_le32(p);
        float v;
        memcpy(&v, &bits, 4);
        return v;
    }
    uint64_t bits = le64(p);
    if (type == 'l') return (double)(int64_t)bits;
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

int cli_npy_bad(const char *path, const char *what, const char *why) {
    return cli_fail(CLI_BAD_INPUT, "%s%s%s: %s", path, what[0] ? ": " : "", what, why);
}

int cli_npy_array(const char *path, const char *what, const uint8_t *data, size_t size, uint64_t *rows,
                  uint64_t *columns, double **values) {
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0) return cli_npy_bad(path, what, "not an NPY file");
    if (data[6] < 1 || data[6] > 3 || data[7] != 0) return cli_npy_bad(path, what, "an unknown version of NPY");
    size_t start = data[6] == 1 ? 10 : 12, length = data[6] == 1 ? cli_le16(data + 8) : cli_le32(data + 8);
    if (length > size - start || length > 65536) return cli_npy_bad(path, what, "an NPY header that is cut short");
    head h;
    const char *why = parse_head((const char *)data + start, length, &h);
    if (!why && h.dims == 0) why = "a single number, not a table";
    if (why) return cli_npy_bad(path, what, why);
    *rows = h.rows;
    *columns = h.columns;
    if (*rows > CLI_MAX_ROWS || *columns > CLI_MAX_COLUMNS)
        return cli_fail(CLI_REFUSED, "%s: %llu rows, %llu columns: more than is allowed", path,
                        (unsigned long long)*rows, (unsigned long long)*columns);
    size_t each = bytes_of(h.type), count = (size_t)(*rows * *columns);
    if (size - start - length != count * each)
        return cli_fail(CLI_BAD_INPUT, "%s%s%s: %zu bytes of numbers where the header says %zu", path,
                        what[0] ? ": " : "", what, size - start - length, count * each);
    double *v = malloc(count ? count * sizeof *v : 1);
    if (!v) return cli_fail(CLI_OTHER, "%s: no memory for %zu numbers", path, count);
    for (size_t i = 0; i < count; i++) v[i] = element(h.type, data + start + length + i * each);
    *values = v;
    return CLI_OK;
}

int cli_npy_finite(const char *path, const velum_table *t, const cli_names *names) {
    for (uint64_t i = 0; i < t->rows * t->columns; i++)
        if (!isfinite(t->values[i])) {
            char column[32];
            snprintf(column, sizeof column, "column %llu", (unsigned long long)(i % t->columns) + 1);
            const char *name = names && names->count ? names->name[i % t->columns]
                               : t->names            ? t->names[i % t->columns]
                                                     : column;
            return cli_fail(CLI_BAD_INPUT, "%s: row %llu: field '%s' is not a finite number", path,
                            (unsigned long long)(i / t->columns) + 1, name);
        }
    return CLI_OK;
}

int cli_table_parse_npy(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out) {
    uint64_t columns = 0;
    int code = cli_npy_array(path, "", data, size, &out->rows, &columns, &out->values);
    out->columns = (uint32_t)columns;
    if (code != CLI_OK) return code;
    if (names && names->count && names->count != out->columns)
        return cli_fail(CLI_BAD_INPUT, "%s: %u column%s, the model takes %u", path, out->columns,
                        out->columns == 1 ? "" : "s", names->count);
    return cli_npy_finite(path, out, names);
}
