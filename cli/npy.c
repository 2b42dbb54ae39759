// SPDX-License-Identifier: Apache-2.0
// NPY arrays, and NPZ: a zip archive of them, one named array an input, stored without compression (numpy.savez). An
// array's first axis counts the rows; all others together are its columns, the last axis fastest.
#include "table.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t le32(const uint8_t *p) { return le16(p) | le16(p + 2) << 16; }
static uint64_t le64(const uint8_t *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

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
    if (type == 'i') return (double)(int32_t)le32(p);
    if (type == 'f') {
        uint32_t bits = le32(p);
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

static int bad(const char *path, const char *what, const char *why) {
    return cli_fail(CLI_BAD_INPUT, "%s%s%s: %s", path, what[0] ? ": " : "", what, why);
}

int cli_npy_array(const char *path, const char *what, const uint8_t *data, size_t size, uint64_t *rows,
                  uint64_t *columns, double **values) {
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0) return bad(path, what, "not an NPY file");
    if (data[6] < 1 || data[6] > 3 || data[7] != 0) return bad(path, what, "an unknown version of NPY");
    size_t start = data[6] == 1 ? 10 : 12, length = data[6] == 1 ? le16(data + 8) : le32(data + 8);
    if (length > size - start || length > 65536) return bad(path, what, "an NPY header that is cut short");
    head h;
    const char *why = parse_head((const char *)data + start, length, &h);
    if (!why && h.dims == 0) why = "a single number, not a table";
    if (why) return bad(path, what, why);
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

static int check_finite(const char *path, const velum_table *t, const cli_names *names) {
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
        return cli_fail(CLI_BAD_INPUT, "%s: %u columns, the model takes %u", path, out->columns, names->count);
    return check_finite(path, out, names);
}

// ---- NPZ ----
static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t table[256], c = 0xffffffff;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++) table[i] = table[i] & 1 ? table[i] >> 1 ^ 0xedb88320u : table[i] >> 1;
    }
    while (n--) c = table[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}

typedef struct member {
    char name[256]; // without .npy
    const uint8_t *data;
    size_t size;
} member;

// Reads the entry of the archive's directory at *at and moves on.
static const char *read_member(const uint8_t *data, size_t size, size_t *at, member *m) {
    if (size - *at < 46 || le32(data + *at) != 0x02014b50) return "a zip directory that is damaged";
    const uint8_t *e = data + *at;
    size_t name = le16(e + 28), step = 46 + name + le16(e + 30) + le16(e + 32), local = le32(e + 42);
    if (step > size - *at || name >= sizeof m->name) return "a zip directory that is damaged";
    memcpy(m->name, e + 46, name);
    m->name[name] = 0;
    if (strlen(m->name) != name) return "a zip directory that is damaged";
    if (name > 4 && strcmp(m->name + name - 4, ".npy") == 0) m->name[name - 4] = 0;
    *at += step;
    if (le16(e + 8) & 1) return "encrypted";
    if (le16(e + 10) != 0) return "compressed: write it with numpy.savez, not savez_compressed";
    m->size = le32(e + 20);
    if (m->size != le32(e + 24) || m->size == 0xffffffff || local > size || size - local < 30 ||
        le32(data + local) != 0x04034b50)
        return "damaged, or larger than 4 GB";
    size_t from = local + 30 + le16(data + local + 26) + le16(data + local + 28);
    if (from > size || m->size > size - from) return "cut short";
    m->data = data + from;
    return crc32_of(m->data, m->size) == le32(e + 16) ? NULL : "damaged: its checksum does not match";
}

// The end of the directory: how many entries, and where they start.
static bool find_directory(const uint8_t *data, size_t size, uint32_t *count, size_t *at) {
    for (size_t back = 22; back <= size && back < 22 + 65536; back++) {
        const uint8_t *e = data + size - back;
        if (le32(e) != 0x06054b50) continue;
        *count = le16(e + 10);
        *at = le32(e + 16);
        return *at <= size;
    }
    return false;
}

// ---- an archive's arrays as columns ----
typedef struct array { // of one member
    const member *m;
    uint64_t rows, columns;
    double *values;
} array;

// Column k of an array: its name alone if it has one column.
static void column_name(const char *name, uint64_t k, bool one, char *out, size_t size) {
    if (one)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "%s_%llu", name, (unsigned long long)k);
}

// How many columns from `index` on are elements 0, 1, .. of the tensor of that name.
static uint64_t elements_at(const cli_names *names, uint32_t index, const char *tensor) {
    uint64_t n = 0;
    for (char name[300]; index + n < names->count; n++) {
        column_name(tensor, n, false, name, sizeof name);
        if (strcmp(names->name[index + n], name) != 0) break;
    }
    return n;
}

// Where the model takes an input of that name, and how many columns it is of; UINT32_MAX if it takes none.
static uint32_t find_input(const cli_names *names, const char *input, uint64_t *columns) {
    char first[300];
    column_name(input, 0, false, first, sizeof first);
    for (uint32_t k = 0; k < names->count; k++) {
        bool whole = strcmp(names->name[k], input) == 0, tensor = strcmp(names->name[k], first) == 0;
        if (!whole && !tensor) continue;
        *columns = whole ? 1 : elements_at(names, k, input);
        return k;
    }
    return UINT32_MAX;
}

static int place(const char *path, const array *a, uint32_t index, velum_table *t) {
    const char *input = a->m->name;
    if (a->columns > t->columns - index) return bad(path, input, "more columns than there is room for");
    if (t->values && a->rows != t->rows) return bad(path, input, "another number of rows than the arrays before it");
    if (!t->values && !(t->values = calloc(a->rows ? a->rows * t->columns : 1, sizeof *t->values)))
        return cli_fail(CLI_OTHER, "%s: out of memory", path);
    t->rows = a->rows;
    for (uint64_t k = 0; k < a->columns; k++) {
        char name[300];
        column_name(input, k, a->columns == 1, name, sizeof name);
        if (t->names[index + k]) return bad(path, input, "is there twice");
        if (!(t->names[index + k] = strdup(name))) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    }
    for (uint64_t r = 0; r < a->rows && a->columns; r++)
        memcpy(t->values + r * t->columns + index, a->values + r * a->columns, a->columns * sizeof *a->values);
    return CLI_OK;
}

static int place_input(const char *path, const array *a, const cli_names *names, velum_table *t) {
    uint64_t columns = 0;
    uint32_t index = find_input(names, a->m->name, &columns);
    if (index == UINT32_MAX) {
        cli_note("%s: the array '%s' is left out: the model does not take it", path, a->m->name);
        return CLI_OK;
    }
    if (a->columns != columns)
        return cli_fail(CLI_BAD_INPUT, "%s: %s: %llu numbers a row, the model takes %llu", path, a->m->name,
                        (unsigned long long)a->columns, (unsigned long long)columns);
    return place(path, a, index, t);
}

static int read_arrays(const char *path, const member *m, uint32_t count, array *a) {
    for (uint32_t i = 0; i < count; i++) {
        a[i].m = &m[i];
        int code = cli_npy_array(path, m[i].name, m[i].data, m[i].size, &a[i].rows, &a[i].columns, &a[i].values);
        if (code != CLI_OK) return code;
    }
    return CLI_OK;
}

// Without names every array is taken, in the archive's order.
static int make_columns(const char *path, const array *a, uint32_t count, const cli_names *names, velum_table *t) {
    const bool known = names && names->count;
    uint64_t columns = known ? names->count : 0;
    for (uint32_t i = 0; i < count && !known; i++) columns += a[i].columns;
    if (columns > CLI_MAX_COLUMNS)
        return cli_fail(CLI_REFUSED, "%s: %llu columns: more than is allowed", path, (unsigned long long)columns);
    t->columns = (uint32_t)columns;
    if (!(t->names = calloc(columns ? columns : 1, sizeof *t->names)))
        return cli_fail(CLI_OTHER, "%s: out of memory", path);
    int code = CLI_OK;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        code = known ? place_input(path, &a[i], names, t) : place(path, &a[i], next, t);
        next += (uint32_t)a[i].columns;
    }
    for (uint32_t k = 0; k < t->columns && code == CLI_OK; k++)
        if (!t->names[k]) code = cli_fail(CLI_BAD_INPUT, "%s: the array '%s' is missing", path, names->name[k]);
    return code;
}

static int read_members(const char *path, const uint8_t *data, size_t size, uint32_t count, size_t at, member *m) {
    for (uint32_t i = 0; i < count; i++) {
        const char *why = read_member(data, size, &at, &m[i]);
        if (why) return bad(path, m[i].name, why);
    }
    return CLI_OK;
}

int cli_table_parse_npz(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out) {
    uint32_t count;
    size_t at;
    if (!find_directory(data, size, &count, &at)) return bad(path, "", "a zip archive that is cut short");
    if (count == 0) return bad(path, "", "an archive without arrays");
    member *m = calloc(count, sizeof *m);
    array *a = calloc(count, sizeof *a);
    int code = m && a ? read_members(path, data, size, count, at, m) : cli_fail(CLI_OTHER, "%s: out of memory", path);
    if (code == CLI_OK) code = read_arrays(path, m, count, a);
    if (code == CLI_OK) code = make_columns(path, a, count, names, out);
    for (uint32_t i = 0; a && i < count; i++) {
        if (a[i].values) explicit_bzero(a[i].values, a[i].rows * a[i].columns * sizeof *a[i].values);
        free(a[i].values);
    }
    free(a);
    free(m);
    return code == CLI_OK ? check_finite(path, out, names) : code;
}
