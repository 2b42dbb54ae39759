// SPDX-License-Identifier: Apache-2.0
// Sparse matrices by rows: columns ascend within a row, no entry is zero. They are never changed once made, so that
// matrices share what they have in common.
#ifndef VELUM_NN_SPARSE_H
#define VELUM_NN_SPARSE_H

#include "nn/heap.h"

typedef struct vl_nn_sparse {
    uint32_t rows, cols;
    size_t *start; // rows + 1
    uint32_t *col;
    double *val;
} vl_nn_sparse;

static inline size_t vl_nn_sparse_count(const vl_nn_sparse *m) { return m->start[m->rows]; }
double vl_nn_sparse_at(const vl_nn_sparse *m, uint32_t row, uint32_t col);
// Room for `count` entries, all rows empty.
velum_status vl_nn_sparse_new(vl_nn_heap *h, uint32_t rows, uint32_t cols, size_t count, vl_nn_sparse **out);
velum_status vl_nn_sparse_identity(vl_nn_heap *h, uint32_t n, vl_nn_sparse **out);
// In order, repeated entries added up, zeros gone: s itself if it is so already.
velum_status vl_nn_sparse_tidy(vl_nn_heap *h, const vl_nn_sparse *s, const vl_nn_sparse **out);
// Multiplications that a b takes.
double vl_nn_sparse_work(const vl_nn_sparse *a, const vl_nn_sparse *b);
velum_status vl_nn_sparse_product_count(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b, size_t *out);
velum_status vl_nn_sparse_multiply(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b,
                                   const vl_nn_sparse **out);
// diag(s) m; m NULL: the identity of extent n.
velum_status vl_nn_sparse_scale(vl_nn_heap *h, const vl_nn_sparse *m, uint32_t n, const double *s,
                                const vl_nn_sparse **out);
// a + sign b.
velum_status vl_nn_sparse_add(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b, double sign,
                              const vl_nn_sparse **out);
// Entry (r, c) goes to (row[r], col[c]), times up[r] and down[c]; a NULL map keeps its numbers, NULL factors are 1.
velum_status vl_nn_sparse_move(vl_nn_heap *h, const vl_nn_sparse *m, const uint32_t *row, uint32_t rows,
                               const uint32_t *col, uint32_t cols, const double *up, const double *down,
                               const vl_nn_sparse **out);

#endif
