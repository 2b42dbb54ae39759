// SPDX-License-Identifier: Apache-2.0
#include "program/matrix.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define MAX_VALUE 0x1p40

void vl_matrix_clear(vl_matrix *m) {
    vl_free(m->start);
    vl_free(m->col);
    vl_free(m->val);
    *m = (vl_matrix){0};
}

velum_status vl_matrix_check(const vl_matrix *m, const char *what) {
    VL_FAIL_IF(!m->start || !m->rows || !m->cols || m->rows > VL_MATRIX_MAX_SIDE || m->cols > VL_MATRIX_MAX_SIDE ||
                   m->start[0] != 0,
               VELUM_E_FORMAT, "%s: a matrix of %u x %u", what, m->rows, m->cols);
    for (uint32_t r = 0; r < m->rows; r++)
        VL_FAIL_IF(m->start[r + 1] < m->start[r] || m->start[r + 1] - m->start[r] > m->cols, VELUM_E_FORMAT,
                   "%s: row %u from entry %llu to %llu", what, r, (unsigned long long)m->start[r],
                   (unsigned long long)m->start[r + 1]);
    VL_FAIL_IF(m->start[m->rows] > VL_MATRIX_MAX_ENTRIES || (m->start[m->rows] && (!m->col || !m->val)), VELUM_E_FORMAT,
               "%s: a matrix of %llu entries", what, (unsigned long long)m->start[m->rows]);
    for (uint32_t r = 0; r < m->rows; r++)
        for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++) {
            VL_FAIL_IF(m->col[i] >= m->cols || (i > m->start[r] && m->col[i] <= m->col[i - 1]), VELUM_E_FORMAT,
                       "%s: row %u, column %u of %u", what, r, m->col[i], m->cols);
            VL_FAIL_IF(!(fabs(m->val[i]) <= MAX_VALUE), VELUM_E_FORMAT, "%s: row %u, column %u is %g", what, r,
                       m->col[i], m->val[i]);
        }
    return VELUM_OK;
}

// ---- save ----

typedef struct patterns { // rows by what they hold; the first row of each stands for it
    uint32_t count, size; // size of the table, a power of two
    uint32_t *table;      // pattern + 1, 0: free
    uint32_t *first;      // by pattern: a row
    uint32_t *of;         // by row: its pattern
} patterns;

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t hash_row(const vl_matrix *m, uint32_t r) {
    uint64_t h = m->start[r + 1] - m->start[r];
    for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++) {
        uint64_t bits;
        memcpy(&bits, &m->val[i], sizeof bits);
        h = mix(mix(h, m->col[i] - m->col[m->start[r]]), bits);
    }
    return h;
}

static bool same_row(const vl_matrix *m, uint32_t a, uint32_t b) {
    uint64_t x = m->start[a], y = m->start[b], n = m->start[a + 1] - x;
    if (m->start[b + 1] - y != n) return false;
    if (n && memcmp(m->val + x, m->val + y, n * sizeof *m->val) != 0) return false;
    for (uint64_t i = 1; i < n; i++)
        if (m->col[x + i] - m->col[x] != m->col[y + i] - m->col[y]) return false;
    return true;
}

static velum_status find_patterns(const vl_matrix *m, patterns *t) {
    for (t->size = 64; t->size < 2 * m->rows;) t->size *= 2;
    t->table = vl_alloc_array(t->size, sizeof *t->table);
    t->first = vl_alloc_array(m->rows, sizeof *t->first);
    t->of = vl_alloc_array(m->rows, sizeof *t->of);
    VL_FAIL_IF(!t->table || !t->first || !t->of, VELUM_E_NOMEM, "matrix: %u rows", m->rows);
    for (uint32_t r = 0; r < m->rows; r++) {
        uint32_t at = (uint32_t)hash_row(m, r) & (t->size - 1);
        while (t->table[at] && !same_row(m, t->first[t->table[at] - 1], r)) at = (at + 1) & (t->size - 1);
        if (!t->table[at]) {
            t->first[t->count] = r;
            t->table[at] = ++t->count;
        }
        t->of[r] = t->table[at] - 1;
    }
    return VELUM_OK;
}

static void write_distance(vl_writer *w, uint32_t v) {
    for (; v >= 128; v >>= 7) vl_write_u8(w, (uint8_t)(v | 128));
    vl_write_u8(w, (uint8_t)v);
}

static void write_value(vl_writer *w, bool narrow, double v) {
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (narrow)
        vl_write_u32(w, bits);
    else
        vl_write_f64(w, v);
}

static bool is_float(double v) {
    float f = (float)v;
    return (double)f == v; // which keeps the sign of zero too
}

velum_status vl_matrix_save(const vl_matrix *m, vl_writer *w) {
    patterns t = {0};
    velum_status status = find_patterns(m, &t);
    bool narrow = true;
    for (uint64_t i = 0; i < m->start[m->rows] && narrow; i++) narrow = is_float(m->val[i]);
    if (status == VELUM_OK) {
        vl_write_u32(w, m->rows);
        vl_write_u32(w, m->cols);
        vl_write_u64(w, m->start[m->rows]);
        vl_write_u8(w, narrow);
        vl_write_u32(w, t.count);
    }
    for (uint32_t k = 0; status == VELUM_OK && k < t.count; k++) {
        uint64_t begin = m->start[t.first[k]], end = m->start[t.first[k] + 1];
        vl_write_u32(w, (uint32_t)(end - begin));
        for (uint64_t i = begin + 1; i < end; i++) write_distance(w, m->col[i] - m->col[i - 1]);
        for (uint64_t i = begin; i < end; i++) write_value(w, narrow, m->val[i]);
    }
    for (uint32_t r = 0; status == VELUM_OK && r < m->rows; r++) {
        vl_write_u32(w, t.of[r]);
        vl_write_u32(w, m->start[r] < m->start[r + 1] ? m->col[m->start[r]] : 0);
    }
    vl_free(t.table);
    vl_free(t.first);
    vl_free(t.of);
    return status;
}

// ---- load ----

typedef struct loaded { // patterns, one after another
    uint32_t count;
    uint64_t *start; // count + 1
    uint32_t *at;    // columns after the first
    double *val;
    uint64_t room;
} loaded;

static uint32_t read_distance(vl_reader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = vl_read_u8(r);
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static double read_value(vl_reader *r, bool narrow) {
    if (!narrow) return vl_read_f64(r);
    uint32_t bits = vl_read_u32(r);
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static velum_status load_pattern(vl_reader *r, uint32_t k, uint32_t cols, bool narrow, loaded *t) {
    uint32_t n = vl_read_count(r, cols, narrow ? 4 : 8);
    VL_FAIL_IF(r->bad || t->start[k] + n > t->room, VELUM_E_FORMAT, "matrix: pattern %u is cut short", k);
    uint32_t *at = t->at + t->start[k];
    double *val = t->val + t->start[k];
    at[0] = 0;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t distance = read_distance(r);
        VL_FAIL_IF(distance == 0 || distance >= cols - at[i - 1], VELUM_E_FORMAT, "matrix: pattern %u, distance %u", k,
                   distance);
        at[i] = at[i - 1] + distance;
    }
    for (uint32_t i = 0; i < n; i++) {
        val[i] = read_value(r, narrow);
        VL_FAIL_IF(!(fabs(val[i]) <= MAX_VALUE), VELUM_E_FORMAT, "matrix: pattern %u has the value %g", k, val[i]);
    }
    t->start[k + 1] = t->start[k] + n;
    return VELUM_OK;
}

static velum_status load_patterns(vl_reader *r, uint32_t cols, bool narrow, loaded *t) {
    t->count = vl_read_count(r, VL_MATRIX_MAX_SIDE, 4);
    // An entry of a pattern takes its value's bytes at least: the file says how many there can be.
    t->room = vl_reader_left(r) / (narrow ? 4 : 8);
    if (t->room > VL_MATRIX_MAX_ENTRIES) t->room = VL_MATRIX_MAX_ENTRIES;
    VL_FAIL_IF(r->bad || t->count == 0, VELUM_E_FORMAT, "matrix: no patterns");
    t->start = vl_alloc_array((size_t)t->count + 1, sizeof *t->start);
    t->at = vl_alloc_raw((t->room + 1) * sizeof *t->at);
    t->val = vl_alloc_raw((t->room + 1) * sizeof *t->val);
    VL_FAIL_IF(!t->start || !t->at || !t->val, VELUM_E_NOMEM, "matrix: %u patterns", t->count);
    for (uint32_t k = 0; k < t->count; k++) VL_TRY(load_pattern(r, k, cols, narrow, t));
    return VELUM_OK;
}

// Every row's pattern and place, and their entries' number, before anything is made of them.
static velum_status check_rows(vl_reader r, const loaded *t, const vl_matrix *m, uint64_t entries) {
    uint64_t sum = 0;
    for (uint32_t row = 0; row < m->rows; row++) {
        uint32_t k = vl_read_u32(&r), first = vl_read_u32(&r);
        VL_FAIL_IF(r.bad || k >= t->count, VELUM_E_FORMAT, "matrix: row %u has no pattern", row);
        uint64_t n = t->start[k + 1] - t->start[k], last = n ? t->at[t->start[k + 1] - 1] : 0;
        VL_FAIL_IF(first + last >= m->cols, VELUM_E_FORMAT, "matrix: row %u begins at column %u", row, first);
        sum += n;
    }
    VL_FAIL_IF(sum != entries, VELUM_E_FORMAT, "matrix: %llu entries, %llu are said", (unsigned long long)sum,
               (unsigned long long)entries);
    return VELUM_OK;
}

static velum_status make_rows(vl_reader *r, const loaded *t, uint64_t entries, vl_matrix *m) {
    m->start = vl_alloc_array((size_t)m->rows + 1, sizeof *m->start);
    m->col = vl_alloc_raw((entries + 1) * sizeof *m->col);
    m->val = vl_alloc_raw((entries + 1) * sizeof *m->val);
    VL_FAIL_IF(!m->start || !m->col || !m->val, VELUM_E_NOMEM, "matrix: %llu entries", (unsigned long long)entries);
    for (uint32_t row = 0; row < m->rows; row++) {
        uint32_t k = vl_read_u32(r), first = vl_read_u32(r);
        uint64_t n = t->start[k + 1] - t->start[k], to = m->start[row];
        for (uint64_t i = 0; i < n; i++) m->col[to + i] = first + t->at[t->start[k] + i];
        if (n) memcpy(m->val + to, t->val + t->start[k], n * sizeof *m->val);
        m->start[row + 1] = to + n;
    }
    return VELUM_OK;
}

uint64_t vl_matrix_budget(size_t size) {
    bool all = size > VL_MATRIX_MAX_TOTAL / VL_MATRIX_ENTRIES_A_BYTE;
    return all ? VL_MATRIX_MAX_TOTAL : VL_MATRIX_ENTRIES_A_BYTE * (uint64_t)size;
}

velum_status vl_matrix_load(vl_reader *r, const char *what, uint64_t *budget, vl_matrix *out) {
    vl_matrix m = {.rows = vl_read_u32(r), .cols = 0};
    m.cols = vl_read_u32(r);
    uint64_t entries = vl_read_u64(r);
    uint8_t narrow = vl_read_u8(r);
    VL_FAIL_IF(r->bad || !m.rows || !m.cols || m.rows > VL_MATRIX_MAX_SIDE || m.cols > VL_MATRIX_MAX_SIDE || narrow > 1,
               VELUM_E_FORMAT, "%s: a matrix of %u x %u", what, m.rows, m.cols);
    VL_FAIL_IF(entries > VL_MATRIX_MAX_ENTRIES || entries > *budget || entries > (uint64_t)m.rows * m.cols,
               VELUM_E_FORMAT, "%s: a matrix of %llu entries, more than the file can mean", what,
               (unsigned long long)entries);
    loaded t = {0};
    velum_status status = load_patterns(r, m.cols, narrow != 0, &t);
    if (status == VELUM_OK) status = check_rows(*r, &t, &m, entries);
    if (status == VELUM_OK) status = make_rows(r, &t, entries, &m);
    vl_free(t.start);
    vl_free(t.at);
    vl_free(t.val);
    if (status != VELUM_OK) {
        vl_matrix_clear(&m);
        return status;
    }
    *budget -= entries;
    *out = m;
    return VELUM_OK;
}
