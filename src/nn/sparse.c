// SPDX-License-Identifier: Apache-2.0
#include "nn/sparse.h"
#include <stdlib.h>
#include <string.h>

double vl_nn_sparse_at(const vl_nn_sparse *m, uint32_t row, uint32_t col) {
    size_t lo = m->start[row], hi = m->start[row + 1];
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->col[mid] == col) return m->val[mid];
        if (m->col[mid] < col)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

velum_status vl_nn_sparse_new(vl_nn_heap *h, uint32_t rows, uint32_t cols, size_t count, vl_nn_sparse **out) {
    vl_nn_sparse *m;
    VL_NN_TAKE(h, m, 1);
    m->rows = rows;
    m->cols = cols;
    VL_NN_TAKE(h, m->start, (size_t)rows + 1);
    VL_NN_TAKE(h, m->col, count);
    VL_NN_TAKE(h, m->val, count);
    *out = m;
    return VELUM_OK;
}

velum_status vl_nn_sparse_identity(vl_nn_heap *h, uint32_t n, vl_nn_sparse **out) {
    VL_TRY(vl_nn_sparse_new(h, n, n, n, out));
    for (uint32_t i = 0; i < n; i++) {
        (*out)->col[i] = i;
        (*out)->val[i] = 1;
        (*out)->start[i + 1] = i + 1;
    }
    return VELUM_OK;
}

// ---- one row at a time, gathered by columns ----

typedef struct gather {
    double *sum;    // by column
    uint32_t *seen; // by column: the number, from 1, of the last row that touched it
    uint32_t *list; // columns of this row
    uint32_t count, cols, number;
    bool ascending;
} gather;

static velum_status row_init(vl_nn_heap *h, uint32_t cols, gather *r) {
    *r = (gather){.cols = cols};
    VL_NN_TAKE(h, r->sum, cols);
    VL_NN_TAKE(h, r->seen, cols);
    VL_NN_TAKE(h, r->list, cols);
    return VELUM_OK;
}

static void row_begin(gather *r) {
    r->number++;
    r->count = 0;
    r->ascending = true;
}

static void row_add(gather *r, uint32_t col, double v) {
    if (r->seen[col] == r->number) {
        r->sum[col] += v;
        return;
    }
    r->seen[col] = r->number;
    r->sum[col] = v;
    if (r->count && r->list[r->count - 1] > col) r->ascending = false;
    r->list[r->count++] = col;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void row_end(gather *r, vl_nn_sparse *m, uint32_t at) {
    size_t n = m->start[at];
    if (!r->ascending && r->count > r->cols / 16) {
        r->count = 0;
        for (uint32_t c = 0; c < r->cols; c++)
            if (r->seen[c] == r->number) r->list[r->count++] = c;
    } else if (!r->ascending) {
        qsort(r->list, r->count, sizeof *r->list, ascending);
    }
    for (uint32_t k = 0; k < r->count; k++) {
        if (r->sum[r->list[k]] == 0) continue;
        m->col[n] = r->list[k];
        m->val[n++] = r->sum[r->list[k]];
    }
    m->start[at + 1] = n;
}

// ---- operations ----

velum_status vl_nn_sparse_tidy(vl_nn_heap *h, const vl_nn_sparse *s, const vl_nn_sparse **out) {
    bool tidy = true;
    for (uint32_t r = 0; tidy && r < s->rows; r++)
        for (size_t k = s->start[r]; tidy && k < s->start[r + 1]; k++)
            tidy = s->val[k] != 0 && (k == s->start[r] || s->col[k - 1] < s->col[k]);
    *out = s;
    if (tidy) return VELUM_OK;
    vl_nn_sparse *m;
    gather line;
    VL_TRY(vl_nn_sparse_new(h, s->rows, s->cols, vl_nn_sparse_count(s), &m));
    VL_TRY(row_init(h, s->cols, &line));
    for (uint32_t r = 0; r < s->rows; r++) {
        row_begin(&line);
        for (size_t k = s->start[r]; k < s->start[r + 1]; k++) row_add(&line, s->col[k], s->val[k]);
        row_end(&line, m, r);
    }
    *out = m;
    return VELUM_OK;
}

double vl_nn_sparse_work(const vl_nn_sparse *a, const vl_nn_sparse *b) {
    double work = 0;
    for (size_t k = 0; k < vl_nn_sparse_count(a); k++) work += (double)(b->start[a->col[k] + 1] - b->start[a->col[k]]);
    return work;
}

static size_t product_count(const vl_nn_sparse *a, const vl_nn_sparse *b, gather *line) {
    size_t total = 0;
    for (uint32_t r = 0; r < a->rows; r++) {
        row_begin(line);
        for (size_t k = a->start[r]; k < a->start[r + 1]; k++)
            for (size_t j = b->start[a->col[k]]; j < b->start[a->col[k] + 1]; j++) {
                total += line->seen[b->col[j]] != line->number;
                line->seen[b->col[j]] = line->number;
            }
    }
    return total;
}

velum_status vl_nn_sparse_product_count(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b, size_t *out) {
    gather line;
    VL_TRY(row_init(h, b->cols, &line));
    *out = product_count(a, b, &line);
    return VELUM_OK;
}

velum_status vl_nn_sparse_multiply(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b,
                                   const vl_nn_sparse **out) {
    vl_nn_sparse *m;
    gather line;
    VL_TRY(row_init(h, b->cols, &line));
    size_t total = product_count(a, b, &line);
    VL_TRY(vl_nn_sparse_new(h, a->rows, b->cols, total, &m));
    for (uint32_t r = 0; r < a->rows; r++) {
        row_begin(&line);
        for (size_t k = a->start[r]; k < a->start[r + 1]; k++)
            for (size_t j = b->start[a->col[k]]; j < b->start[a->col[k] + 1]; j++)
                row_add(&line, b->col[j], a->val[k] * b->val[j]);
        row_end(&line, m, r);
    }
    *out = m;
    return VELUM_OK;
}

velum_status vl_nn_sparse_scale(vl_nn_heap *h, const vl_nn_sparse *m, uint32_t n, const double *s,
                                const vl_nn_sparse **out) {
    vl_nn_sparse *d, *one;
    if (!m) {
        VL_TRY(vl_nn_sparse_identity(h, n, &one));
        m = one;
    }
    bool keeps = true;
    for (uint32_t i = 0; i < m->rows; i++) keeps = keeps && (s[i] != 0 || m->start[i] == m->start[i + 1]);
    VL_NN_TAKE(h, d, 1);
    *d = *m;
    VL_NN_TAKE(h, d->val, vl_nn_sparse_count(m));
    for (uint32_t i = 0; i < m->rows; i++)
        for (size_t k = m->start[i]; k < m->start[i + 1]; k++) d->val[k] = s[i] * m->val[k];
    *out = d;
    return keeps ? VELUM_OK : vl_nn_sparse_tidy(h, d, out);
}

velum_status vl_nn_sparse_add(vl_nn_heap *h, const vl_nn_sparse *a, const vl_nn_sparse *b, double sign,
                              const vl_nn_sparse **out) {
    vl_nn_sparse *m;
    VL_TRY(vl_nn_sparse_new(h, a->rows, a->cols > b->cols ? a->cols : b->cols,
                            vl_nn_sparse_count(a) + vl_nn_sparse_count(b), &m));
    size_t n = 0;
    for (uint32_t r = 0; r < a->rows; r++) {
        size_t x = a->start[r], y = b->start[r];
        while (x < a->start[r + 1] || y < b->start[r + 1]) {
            bool take_x = y == b->start[r + 1] || (x < a->start[r + 1] && a->col[x] <= b->col[y]);
            bool take_y = x == a->start[r + 1] || (y < b->start[r + 1] && b->col[y] <= a->col[x]);
            double v = (take_x ? a->val[x] : 0) + (take_y ? sign * b->val[y] : 0);
            m->col[n] = take_x ? a->col[x] : b->col[y];
            m->val[n] = v;
            n += v != 0;
            x += take_x;
            y += take_y;
        }
        m->start[r + 1] = n;
    }
    *out = m;
    return VELUM_OK;
}

typedef struct entry {
    uint32_t col;
    double val;
} entry;

static int by_column(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->col < y->col ? -1 : x->col > y->col;
}

static void sort_row(entry *e, size_t n) { // short rows that are nearly in order, or long ones
    if (n > 512) {
        qsort(e, n, sizeof *e, by_column);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        entry x = e[i];
        size_t k = i;
        for (; k && e[k - 1].col > x.col; k--) e[k] = e[k - 1];
        e[k] = x;
    }
}

velum_status vl_nn_sparse_move(vl_nn_heap *h, const vl_nn_sparse *m, const uint32_t *row, uint32_t rows,
                               const uint32_t *col, uint32_t cols, const double *up, const double *down,
                               const vl_nn_sparse **out) {
    vl_nn_sparse *d;
    entry *line;
    uint32_t *from;
    VL_TRY(vl_nn_sparse_new(h, rows, cols, vl_nn_sparse_count(m), &d));
    VL_NN_TAKE(h, line, m->cols);
    VL_NN_TAKE(h, from, rows); // 1 + the row that comes here
    for (uint32_t r = 0; r < m->rows; r++) from[row ? row[r] : r] = r + 1;
    size_t n = 0;
    for (uint32_t t = 0; t < rows; t++) {
        uint32_t r = from[t] - 1;
        size_t count = 0;
        for (size_t k = from[t] ? m->start[r] : 0; from[t] && k < m->start[r + 1]; k++)
            line[count++] =
                (entry){col ? col[m->col[k]] : m->col[k], m->val[k] * (up ? up[r] : 1) * (down ? down[m->col[k]] : 1)};
        if (col) sort_row(line, count);
        for (size_t k = 0; k < count; k++) {
            d->col[n] = line[k].col;
            d->val[n] = line[k].val;
            n += line[k].val != 0;
        }
        d->start[t + 1] = n;
    }
    *out = d;
    return VELUM_OK;
}
