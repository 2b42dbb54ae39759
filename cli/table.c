// SPDX-License-Identifier: Apache-2.0
#include "table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_names_of(const velum_client *client, cli_names *out) {
    velum_info info;
    velum_client_info(client, &info);
    *out = (cli_names){.count = info.inputs, .name = calloc(info.inputs ? info.inputs : 1, sizeof *out->name)};
    if (!out->name) return cli_fail(CLI_OTHER, "out of memory");
    for (uint32_t i = 0; i < info.inputs; i++) out->name[i] = (char *)velum_client_input_name(client, i);
    return CLI_OK;
}

void cli_names_free(cli_names *names) {
    free(names->name);
    *names = (cli_names){0};
}

void cli_table_clear(velum_table *t) {
    for (uint32_t i = 0; t->names && i < t->columns; i++) free(t->names[i]);
    free(t->names);
    if (t->values) explicit_bzero(t->values, t->rows * t->columns * sizeof *t->values);
    free(t->values);
    *t = (velum_table){0};
}

int cli_table_read(const char *path, const cli_names *names, velum_table *out) {
    cli_file file;
    int code = cli_file_read(path, CLI_MAX_TABLE, &file);
    if (code != CLI_OK) return code;
    file.secret = true;
    *out = (velum_table){0};
    if (file.size >= 6 && memcmp(file.data, "\x93NUMPY", 6) == 0)
        code = cli_table_parse_npy(path, file.data, file.size, names, out);
    else if (file.size >= 4 && (memcmp(file.data, "PK\3\4", 4) == 0 || memcmp(file.data, "PK\5\6", 4) == 0))
        code = cli_table_parse_npz(path, file.data, file.size, names, out);
    else
        code = cli_table_parse_csv(path, file.data, file.size, names, out);
    cli_file_free(&file);
    if (code == CLI_OK && out->rows == 0) code = cli_fail(CLI_BAD_INPUT, "%s: no rows", path);
    if (code != CLI_OK) cli_table_clear(out);
    return code;
}

// ---- out ----
static void print_name(FILE *to, const char *name) { // quoted where CSV wants it
    if (!name[strcspn(name, ",\"\r\n")]) {
        fputs(name, to);
        return;
    }
    putc('"', to);
    for (; *name; name++) {
        if (*name == '"') putc('"', to);
        putc(*name, to);
    }
    putc('"', to);
}

static const char *name_of(const velum_table *t, uint32_t i) { return t->names && t->names[i] ? t->names[i] : "value"; }

// Whole numbers in full: a hash must come back as it was.
static void print_number(FILE *to, double v, char end) {
    bool whole = fabs(v) < 0x1p53 && v == floor(v);
    fprintf(to, whole ? "%.0f%c" : "%.9g%c", v, end);
}

static void print_csv(FILE *to, const velum_table *t) {
    for (uint32_t i = 0; i < t->columns; i++) {
        if (i) putc(',', to);
        print_name(to, name_of(t, i));
    }
    putc('\n', to);
    for (uint64_t r = 0; r < t->rows; r++)
        for (uint32_t i = 0; i < t->columns; i++)
            print_number(to, t->values[r * t->columns + i], i + 1 < t->columns ? ',' : '\n');
}

static bool whole_column(const velum_table *t, uint32_t i) {
    for (uint64_t r = 0; r < t->rows; r++)
        if (t->values[r * t->columns + i] != floor(t->values[r * t->columns + i])) return false;
    return true;
}

static void print_aligned(const velum_table *t) {
    int width[16];
    uint32_t columns = t->columns < 16 ? t->columns : 16;
    printf("%6s", "row");
    for (uint32_t i = 0; i < columns; i++) {
        width[i] = (int)strlen(name_of(t, i)) < 10 ? 10 : (int)strlen(name_of(t, i));
        printf("  %*s", width[i], name_of(t, i));
    }
    puts(columns < t->columns ? "  ..." : "");
    bool whole[16];
    for (uint32_t i = 0; i < columns; i++) whole[i] = whole_column(t, i);
    for (uint64_t r = 0; r < t->rows; r++) {
        printf("%6llu", (unsigned long long)r + 1);
        for (uint32_t i = 0; i < columns; i++)
            printf("  %*.*f", width[i], whole[i] ? 0 : 4, t->values[r * t->columns + i]);
        putchar('\n');
    }
}

int cli_table_print(const velum_table *t) {
    if (isatty(STDOUT_FILENO))
        print_aligned(t);
    else
        print_csv(stdout, t);
    return CLI_OK;
}

static void print_npy(FILE *to, const velum_table *t) { // version 1.0, float64, rows first
    char head[128];
    int n = snprintf(head, sizeof head, "{'descr': '<f8', 'fortran_order': False, 'shape': (%llu, %u), }",
                     (unsigned long long)t->rows, t->columns);
    int total = (10 + n + 1 + 63) / 64 * 64;
    fwrite("\x93NUMPY\1\0", 1, 8, to);
    putc((total - 10) & 255, to);
    putc((total - 10) >> 8, to);
    fprintf(to, "%s%*s\n", head, total - 10 - n - 1, "");
    for (uint64_t i = 0; i < t->rows * t->columns; i++) {
        uint64_t bits;
        memcpy(&bits, &t->values[i], 8);
        for (int k = 0; k < 8; k++) putc((int)(bits >> (8 * k)) & 255, to);
    }
}

int cli_table_write(const char *path, const velum_table *t) {
    char *text = NULL;
    size_t size = 0, length = strlen(path);
    FILE *to = open_memstream(&text, &size);
    if (!to) return cli_fail(CLI_OTHER, "%s: out of memory", path);
    if (length > 4 && strcmp(path + length - 4, ".npy") == 0)
        print_npy(to, t);
    else
        print_csv(to, t);
    bool bad = ferror(to);
    bad |= fclose(to) != 0;
    int code = bad ? cli_fail(CLI_OTHER, "%s: out of memory", path) : cli_file_write(path, text, size);
    free(text);
    return code;
}

json_t *cli_table_json(const velum_table *t) {
    json_t *columns = json_array(), *rows = json_array();
    for (uint32_t i = 0; i < t->columns; i++) json_array_append_new(columns, json_string(name_of(t, i)));
    for (uint64_t r = 0; r < t->rows; r++) {
        json_t *row = json_array();
        for (uint32_t i = 0; i < t->columns; i++) json_array_append_new(row, cli_real(t->values[r * t->columns + i]));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:o, s:o}", "columns", columns, "rows", rows);
}

int cli_table_show(const cli_args *args, const velum_table *t, const char *noun, const char *done, double seconds) {
    int code = CLI_OK;
    if (cli_has(args, CLI_OUTPUT)) code = cli_table_write(args->value[CLI_OUTPUT], t);
    if (code != CLI_OK) return code;
    if (args->json) {
        json_t *o = cli_table_json(t);
        json_object_set_new(o, "seconds", cli_real(seconds));
        return cli_print_json(o);
    }
    if (!cli_has(args, CLI_OUTPUT)) return cli_table_print(t);
    printf("%llu %s%s %s in %s: %s\n", (unsigned long long)t->rows, noun, t->rows == 1 ? "" : "s", done,
           cli_seconds(seconds).s, args->value[CLI_OUTPUT]);
    return CLI_OK;
}
