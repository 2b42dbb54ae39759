// SPDX-License-Identifier: Apache-2.0
// Tables of numbers in and out: CSV, NPY and NPZ in, told apart by their first bytes; text, CSV, NPY and JSON out.
#ifndef VELUM_CLI_TABLE_H
#define VELUM_CLI_TABLE_H

#include "files.h"

#define CLI_MAX_ROWS (1u << 24)
#define CLI_MAX_COLUMNS 65536u
#define CLI_MAX_FIELD 4096u // bytes of one field of a CSV

// The columns that a model takes, in its order. count 0: not known, every column is taken.
typedef struct cli_names {
    uint32_t count;
    char **name;
} cli_names;
// Of a client half. cli_names_free releases it; the names belong to the client.
int cli_names_of(const velum_client *client, cli_names *out);
void cli_names_free(cli_names *names);

// Reads a table. With names: exactly those columns, in that order; others are left out with a note. Fails with
// CLI_BAD_INPUT naming the row (and line) and the field.
int cli_table_read(const char *path, const cli_names *names, velum_table *out);
int cli_table_parse_csv(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out);
int cli_table_parse_npy(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out);
int cli_table_parse_npz(const char *path, const uint8_t *data, size_t size, const cli_names *names, velum_table *out);
void cli_table_clear(velum_table *t); // of a table that was read here

// Prints it: aligned with row numbers on a terminal, else as CSV.
int cli_table_print(const velum_table *t);
// NPY if the name ends in .npy, else CSV.
int cli_table_write(const char *path, const velum_table *t);
// {"columns": ..., "rows": ...}
json_t *cli_table_json(const velum_table *t);
// The result of a command that ends in a table: into --output if given, as JSON if asked, else printed; with --output a
// line says how many rows (`noun`) were `done` and in what time.
int cli_table_show(const cli_args *args, const velum_table *t, const char *noun, const char *done, double seconds);

#endif
