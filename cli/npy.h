// SPDX-License-Identifier: Apache-2.0
// What the readers of NPY arrays and of archives of them share.
#ifndef VELUM_CLI_NPY_H
#define VELUM_CLI_NPY_H

#include "table.h"

static inline uint32_t cli_le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t cli_le32(const uint8_t *p) { return cli_le16(p) | cli_le16(p + 2) << 16; }

// Fails with CLI_BAD_INPUT: "path: what: why", what may be "".
int cli_npy_bad(const char *path, const char *what, const char *why);
// CLI_BAD_INPUT naming row and field of a number that is not finite.
int cli_npy_finite(const char *path, const velum_table *t, const cli_names *names);
// An array out of the bytes of an NPY file, rows by its first axis, all others together its columns (of one dimension:
// one column); values malloc'ed.
int cli_npy_array(const char *path, const char *what, const uint8_t *data, size_t size, uint64_t *rows,
                  uint64_t *columns, double **values);

#endif
