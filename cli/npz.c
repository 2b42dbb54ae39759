// SPDX-License-Identifier: Apache-2.0
// NPZ: a zip archive of NPY arrays, stored without compression (numpy.savez).
#include "npy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    if (size - *at < 46 || cli_le32(data + *at) != 0x02014b50) return "a zip directory that is damaged";
    const uint8_t *e = data + *at;
    size_t name = cli_le16(e + 28), step = 46 + name + cli_le16(e + 30) + cli_le16(e + 32), local = cli_le32(e + 42);
    if (step > size - *at || name >= sizeof m->name) return "a zip directory that is damaged";
    memcpy(m->name, e + 46, name);
    m->name[name] = 0;
    if (strlen(m->name) != name) return "a zip directory that is damaged";
    if (name > 4 && strcmp(m->name + name - 4, ".npy") == 0) m->name[name - 4] = 0;
    *at += step;
    if (cli_le16(e + 8) & 1) return "encrypted";
    if (cli_le16(e + 10) != 0) return "compressed: write it with numpy.savez, not savez_compressed";
    m->size = cli_le32(e + 20);
    if (m->size != cli_le32(e + 24) || m->size == 0xffffffff || local > size || size - local < 30 ||
        cli_le32(data + local) != 0x04034b50)
        return "damaged, or larger than 4 GB";
    size_t from = local + 30 + cli_le16(data + local + 26) + cli_le16(data + local + 28);
    if (from > size || m->size > size - from) return "cut short";
    m->data = data + from;
    return crc32_of(m->data, m->size) == cli_le32(e + 16) ? NULL : "damaged: its checksum does not match";
}

// The end of the directory: how many entries, and where they start.
static bool find_directory(const uint8_t *data, size_t size, uint32_t *count, size_t *at) {
    for (size_t back = 22; back <= size && back < 22 + 65536; back++) {
        const uint8_t *e = data + size - back;
        if (cli_le32(e) != 0x06054b50) continue;
        *count = cli_le16(e + 10);
        *at = cli_le32(e + 16);
        return *at <= size;
    }
    return false;
}

// ---- which columns an array holds ----
typedef struct array {
    member m;
    uint64_t rows;
    uint32_t columns, at; // its columns in the table: from `at`
    double *v;            // NULL: the model does not take it
} array;

static uint32_t find(const cli_names *names, const char *name) {
    for (uint32_t k = 0; k < names->count; k++)
        if (strcmp(name, names->name[k]) == 0) return k;
    return UINT32_MAX;
}

static void name_part(char *out, size_t size, const char *name, uint32_t i) { snprintf(out, size, "%s_%u", name, i); }

// "x" stands for x_0, x_1 and so on, which follow one another: how many, from *at on.
static uint32_t parts_of(const cli_names *names, const char *name, uint32_t *at) {
    char part[280];
    uint32_t n = 0;
    name_part(part, sizeof part, name, 0);
    for (*at = find(names, part); *at != UINT32_MAX && *at + n < names->count; n++) {
        name_part(part, sizeof part, name, n);
        if (strcmp(part, names->name[*at + n]) != 0) break;
    }
    return n;
}

static int read_array(const char *path, array *a) {
    uint64_t columns = 0;
    int code = cli_npy_array(path, a->m.name, a->m.data, a->m.size, &a->rows, &columns, &a->v);
    a->columns = (uint32_t)columns;
    return code;
}

static int wrong_width(const char *path, const array *a, uint32_t wanted) {
    return cli_fail(CLI_BAD_INPUT, "%s: %s: %u column%s, the model takes %u%s", path, a->m.name, a->columns,
                    a->columns == 1 ? "" : "s", wanted, wanted == 1 ? " of that name" : "");
}

// Names are known. The only array of an archive may hold all inputs in their order, whatever it is called.
static int place(const char *path, array *a, bool only, const cli_names *names) {
    const uint32_t exact = find(names, a->m.name);
    uint32_t first = 0;
    const uint32_t parts = exact == UINT32_MAX ? parts_of(names, a->m.name, &first) : 0;
    if (exact == UINT32_MAX && !parts && !only) {
        cli_note("%s: the array '%s' is left out: the model does not take it", path, a->m.name);
        return CLI_OK;
    }
    int code = read_array(path, a);
    if (code != CLI_OK) return code;
    const uint32_t wanted = exact != UINT32_MAX ? 1 : parts ? parts : names->count;
    a->at = exact != UINT32_MAX ? exact : first;
    if (only && a->columns == names->count)
        a->at = 0;
    else if (a->columns != wanted)
        return wrong_width(path, a, wanted);
    return CLI_OK;
}

// ---- the table ----

static char *column_name(const array *a, uint32_t i, const cli_names *names) {
    char part[280];
    if (names) return strdup(names->name[a->at + i]);
    name_part(part, sizeof part, a->m.name, i);
    return strdup(a->columns == 1 ? a->m.name : part);
}

static int fill(const char *path, const array *a, const cli_names *names, velum_table *t) {
    if (!t->values) {
        t->rows = a->rows;
        t->values = calloc(a->rows ? a->rows * t->columns : 1, sizeof *t->values);
        if (!t->values) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    }
    if (a->rows != t->rows) return cli_npy_bad(path, a->m.name, "another number of rows than the arrays before it");
    for (uint32_t i = 0; i < a->columns; i++) {
        if (t->names[a->at + i]) return cli_npy_bad(path, a->m.name, "is there twice");
        if (!(t->names[a->at + i] = column_name(a, i, names))) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    }
    for (uint64_t r = 0; r < a->rows && a->columns; r++)
        memcpy(t->values + r * t->columns + a->at, a->v + r * a->columns, a->columns * sizeof *a->v);
    return CLI_OK;
}

static int assemble(const char *path, const array *all, uint32_t count, const cli_names *names, velum_table *t) {
    uint64_t columns = names ? names->count : 0;
    for (uint32_t i = 0; i < count && !names; i++) columns += all[i].columns;
    if (columns > CLI_MAX_COLUMNS)
        return cli_fail(CLI_REFUSED, "%s: %llu columns: more than is allowed", path, (unsigned long long)columns);
    t->columns = (uint32_t)columns;
    if (!(t->names = calloc(columns ? columns : 1, sizeof *t->names)))
        return cli_fail(CLI_OTHER, "%s: out of memory", path);
    for (uint32_t i = 0; i < count; i++) {
        int code = all[i].v ? fill(path, &all[i], names, t) : CLI_OK;
        if (code != CLI_OK) return code;
    }
    for (uint32_t k = 0; k < t->columns; k++)
        if (!t->names[k]) return cli_fail(CLI_BAD_INPUT, "%s: the array '%s' is missing", path, names->name[k]);
    if (!names && count == 1 && all[0].columns > 1) { // in the model's order
        for (uint32_t k = 0; k < t->columns; k++) free(t->names[k]);
        free(t->names);
        t->names = NULL;
    }
    return CLI_OK;
}

static int read_all(const char *path, const uint8_t *data, size_t size, size_t at, array *all, uint32_t count,
                    const cli_names *names) {
    uint32_t columns = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *why = read_member(data, size, &at, &all[i].m);
        if (why) return cli_npy_bad(path, all[i].m.name, why);
        int code = names ? place(path, &all[i], count == 1, names) : read_array(path, &all[i]);
        if (code != CLI_OK) return code;
        if (names) continue;
        all[i].at = columns;
        columns += all[i].columns;
        if (columns > CLI_MAX_COLUMNS) break; // which is said where all are put together
    }
    return CLI_OK;
}

int cli_table_parse_npz(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out) {
    uint32_t count;
    size_t at;
    if (names && !names->count) names = NULL;
    if (!find_directory(data, size, &count, &at)) return cli_npy_bad(path, "", "a zip archive that is cut short");
    if (count == 0) return cli_npy_bad(path, "", "an archive without arrays");
    array *all = calloc(count, sizeof *all);
    if (!all) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    int code = read_all(path, data, size, at, all, count, names);
    if (code == CLI_OK) code = assemble(path, all, count, names, out);
    if (code == CLI_OK) code = cli_npy_finite(path, out, names);
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].v) explicit_bzero(all[i].v, all[i].rows * all[i].columns * sizeof *all[i].v);
        free(all[i].v);
    }
    free(all);
    return code;
}
