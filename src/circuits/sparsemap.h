// SPDX-License-Identifier: Apache-2.0
// A sparse real matrix on packed values, by its nonzero diagonals: y = W x + bias. For convolutions in latency mode: a
// 16,384 x 16,384 matrix with 2.4 million entries has a few hundred diagonals.
//
// Layout. Source and result are periodic all around: slot t * lanes + r holds element t mod period of request r, for
// every t in [0, slots / lanes). With P_in, P_out the periods (powers of two, P_in >= cols, P_out >= rows),
//   y[t] = sum over the entries (t mod P_out, c) of W of W[t mod P_out][c] x[c];
// row and column numbers are positions. Position c of x also lies at t + o for o = (c - t) mod P_in, so an entry (r, c)
// lies on the diagonals (c - r - k P_out) mod P_in, 0 <= k < max(1, P_in / P_out): one, unless the result's period is
// the shorter. Diagonals repeat with max(P_in, P_out) positions. Rows of W that are empty give exactly the bias.
//
// Work: one baby-step giant-step sum with double hoisting (diagset.h), one rescale. Every entry is a product in the
// clear, whatever its value: what has diagonals, and keys, is known from the structure alone.
#ifndef VELUM_CIRCUITS_SPARSEMAP_H
#define VELUM_CIRCUITS_SPARSEMAP_H

#include "circuits/diagset.h"

// A sparse matrix by rows: entries start[r] .. start[r + 1] of row r.
typedef struct vl_matrix {
    uint32_t rows, cols;
    uint64_t *start; // rows + 1
    uint32_t *col;   // ascending within a row
    double *val;
} vl_matrix;

typedef struct vl_sparsemap_shape {
    uint32_t period_in, period_out, lanes, slots; // powers of two; periods at most slots / lanes
} vl_sparsemap_shape;

// VELUM_E_FORMAT if the matrix does not fit the shape, naming the numbers. The matrix itself (start and col ascending,
// col < cols) is taken to be well-formed: whoever loads one checks it.
velum_status vl_sparsemap_check(const vl_matrix *m, const vl_sparsemap_shape *s);
// The diagonals' offsets in slots (multiples of lanes), ascending, in [-P_in lanes / 2, P_in lanes / 2): pure, from the
// structure alone. A matrix without entries has the one diagonal 0. VELUM_E_LIMIT beyond VL_DIAGSET_MAX of them (the
// number is named); *count is set then too.
velum_status vl_sparsemap_offsets(const vl_matrix *m, const vl_sparsemap_shape *s, int32_t offset[VL_DIAGSET_MAX],
                                  uint32_t *count);
// The plans of diagset.h for these offsets: with a stated split, or the cheapest.
velum_status vl_sparsemap_plan_split(const vl_matrix *m, const vl_sparsemap_shape *s, uint32_t step, int32_t start,
                                     vl_diagset_plan *plan);
velum_status vl_sparsemap_plan_best(const vl_matrix *m, const vl_sparsemap_shape *s, const vl_lintrans_prices *prices,
                                    vl_diagset_plan *plan, vl_lintrans_cost *cost);
// Slots with which a diagonal repeats.
uint32_t vl_sparsemap_period(const vl_sparsemap_shape *s);

// The matrix's entries by diagonal, for making diagonals one at a time.
typedef struct vl_sparsemap_index {
    const vl_matrix *m;
    vl_sparsemap_shape shape;
    uint64_t *first; // P_in + 1: entries with (c - r) mod P_in = o are first[o] .. first[o + 1]
    uint32_t *row;
    double *val;
} vl_sparsemap_index;
velum_status vl_sparsemap_index_new(const vl_matrix *m, const vl_sparsemap_shape *s, vl_sparsemap_index *out);
void vl_sparsemap_index_free(vl_sparsemap_index *index);
// v[0 .. vl_sparsemap_period): the diagonal at `offset` (as from vl_sparsemap_offsets).
void vl_sparsemap_diagonal(const vl_sparsemap_index *index, int32_t offset, double complex *v);

typedef struct vl_sparsemap { // encoded: level and scale fixed
    vl_diagset set;
    vl_poly bias; // nq = level - 1; x NULL if none
    uint64_t bytes;
} vl_sparsemap;
// What vl_sparsemap.bytes will be, with at most `budget` bytes of diagonals in transformed form (see
// vl_diagset_encode).
uint64_t vl_sparsemap_bytes(const vl_params *p, const vl_sparsemap_shape *s, const vl_diagset_plan *plan,
                            uint16_t level, bool bias, uint64_t budget);
// bias: m->rows values or NULL, added after the rescale. Beside what is kept it takes 12 bytes an entry for a while.
velum_status vl_sparsemap_encode(vl_exec *x, const vl_encoder *e, const vl_matrix *m, const double *bias,
                                 const vl_sparsemap_shape *s, const vl_diagset_plan *plan, uint16_t level, double scale,
                                 double in_scale, uint64_t budget, vl_sparsemap *out);
size_t vl_sparsemap_encode_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level);
void vl_sparsemap_free(vl_sparsemap *map);
// d = W a + bias: a at the map's level (or above), d at level - 1 (rescaled), with room for the level. d may be a. Keys
// of vl_diagset_key_requests at that level.
void vl_sparsemap_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_sparsemap *map,
                        vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_sparsemap_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level);

// The same in the clear on slot vectors, y is not x: row by row, not by diagonals.
void vl_sparsemap_clear_apply(const vl_matrix *m, const double *bias, const vl_sparsemap_shape *s, const double *x,
                              double *y);

#endif
