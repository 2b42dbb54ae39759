// SPDX-License-Identifier: Apache-2.0
// Saved form of sparse matrices. Rows of a convolution repeat one another, shifted: they are saved once, as a pattern
// (distances of the columns, values), and every row as a pattern and its first column. A matrix without such rows takes
// the room of its entries and 8 bytes a row.
//
//   rows:u32 cols:u32 entries:u64 narrow:u8 patterns:u32
//   patterns times: count:u32, count - 1 distances (7 bits a byte, low first, the top bit says that more follow), count
//     values (f32 if narrow, which says that every value is one, else f64)
//   rows times: pattern:u32, first column:u32 (0 for a pattern of no entries)
#ifndef VELUM_PROGRAM_MATRIX_H
#define VELUM_PROGRAM_MATRIX_H

#include "base/bytes.h"
#include "circuits/sparsemap.h"

#define VL_MATRIX_MAX_ENTRIES (UINT64_C(1) << 26)
#define VL_MATRIX_MAX_SIDE 65536u
// Entries that a byte of a file may stand for: a row of 8 bytes may have thousands, but not all rows of all matrices.
#define VL_MATRIX_ENTRIES_A_BYTE 256u
#define VL_MATRIX_MAX_TOTAL (UINT64_C(1) << 28) // entries of all matrices of a program: 3 GiB of memory

void vl_matrix_clear(vl_matrix *m);
// VELUM_E_FORMAT unless start and col ascend, columns are in range, and every value is finite and at most 2^40.
velum_status vl_matrix_check(const vl_matrix *m, const char *what); // what: for messages
velum_status vl_matrix_save(const vl_matrix *m, vl_writer *w);      // VELUM_E_NOMEM only
// Entries that the matrices of a file of this size may have together.
uint64_t vl_matrix_budget(size_t size);
// Checked as above, before anything of the matrix's size is allocated. *budget: entries that may still be made; those
// of this matrix are taken off.
velum_status vl_matrix_load(vl_reader *r, const char *what, uint64_t *budget, vl_matrix *out);

#endif
