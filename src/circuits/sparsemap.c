// SPDX-License-Identifier: Apache-2.0
#include "circuits/sparsemap.h"

#include <string.h>

static bool is_power(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

velum_status vl_sparsemap_check(const vl_matrix *m, const vl_sparsemap_shape *s) {
    VL_FAIL_IF(!is_power(s->slots) || s->slots > (UINT32_C(1) << 16) || !is_power(s->lanes) || s->lanes > s->slots,
               VELUM_E_FORMAT, "sparse map: %u lanes of %u slots", s->lanes, s->slots);
    uint32_t positions = s->slots / s->lanes;
    VL_FAIL_IF(!is_power(s->period_in) || !is_power(s->period_out) || s->period_in > positions ||
                   s->period_out > positions,
               VELUM_E_FORMAT, "sparse map: periods %u and %u on %u positions", s->period_in, s->period_out, positions);
    VL_FAIL_IF(m->rows == 0 || m->cols == 0 || m->rows > s->period_out || m->cols > s->period_in, VELUM_E_FORMAT,
               "sparse map: %u x %u entries between periods %u and %u", m->rows, m->cols, s->period_in, s->period_out);
    return VELUM_OK;
}

uint32_t vl_sparsemap_period(const vl_sparsemap_shape *s) {
    return (s->period_in > s->period_out ? s->period_in : s->period_out) * s->lanes;
}

// How many times a row lies within a period of the source.
static uint32_t copies_of(const vl_sparsemap_shape *s) {
    return s->period_in > s->period_out ? s->period_in / s->period_out : 1;
}

// Marks every diagonal that has an entry, by its offset modulo P_in.
static void mark(const vl_matrix *m, const vl_sparsemap_shape *s, uint8_t *there) {
    const uint32_t mask = s->period_in - 1, step = s->period_in / copies_of(s);
    for (uint32_t r = 0; r < m->rows; r++)
        for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++) there[(m->col[i] - r) & mask] = 1;
    // With copies of a row the set is closed under shifts by P_out.
    for (uint32_t o = step; o < s->period_in; o++) there[o & (step - 1)] |= there[o];
    for (uint32_t o = step; o < s->period_in; o++) there[o] = there[o & (step - 1)];
}

velum_status vl_sparsemap_offsets(const vl_matrix *m, const vl_sparsemap_shape *s, int32_t offset[VL_DIAGSET_MAX],
                                  uint32_t *count) {
    VL_TRY(vl_sparsemap_check(m, s));
    const uint32_t period = s->period_in;
    uint8_t *there = vl_alloc(period);
    VL_FAIL_IF(!there, VELUM_E_NOMEM, "sparse map: %u diagonals", period);
    mark(m, s, there);
    uint32_t n = 0;
    for (uint32_t i = 0; i < period; i++) {
        int32_t at = (int32_t)i - (int32_t)(period / 2);
        if (!there[(uint32_t)at & (period - 1)]) continue;
        if (n < VL_DIAGSET_MAX) offset[n] = at * (int32_t)s->lanes;
        n++;
    }
    vl_free(there);
    if (n == 0) offset[n++] = 0;
    *count = n;
    VL_FAIL_IF(n > VL_DIAGSET_MAX, VELUM_E_LIMIT, "sparse map: %u diagonals, at most %d", n, VL_DIAGSET_MAX);
    return VELUM_OK;
}

velum_status vl_sparsemap_plan_split(const vl_matrix *m, const vl_sparsemap_shape *s, uint32_t step, int32_t start,
                                     vl_diagset_plan *plan) {
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count;
    VL_TRY(vl_sparsemap_offsets(m, s, offset, &count));
    return vl_diagset_plan_split(offset, count, s->slots, step, start, plan);
}

velum_status vl_sparsemap_plan_best(const vl_matrix *m, const vl_sparsemap_shape *s, const vl_lintrans_prices *prices,
                                    vl_diagset_plan *plan, vl_lintrans_cost *cost) {
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count;
    VL_TRY(vl_sparsemap_offsets(m, s, offset, &count));
    return vl_diagset_plan_best(offset, count, s->slots, prices, plan, cost);
}

// ---- entries by diagonal ----

velum_status vl_sparsemap_index_new(const vl_matrix *m, const vl_sparsemap_shape *s, vl_sparsemap_index *out) {
    VL_TRY(vl_sparsemap_check(m, s));
    const uint32_t mask = s->period_in - 1;
    uint64_t entries = m->start[m->rows];
    vl_sparsemap_index t = {.m = m, .shape = *s};
    t.first = vl_alloc_array((size_t)s->period_in + 2, sizeof *t.first);
    t.row = vl_alloc_array(entries + 1, sizeof *t.row);
    t.val = vl_alloc_array(entries + 1, sizeof *t.val);
    if (!t.first || !t.row || !t.val) {
        vl_sparsemap_index_free(&t);
        return VL_FAIL(VELUM_E_NOMEM, "sparse map: %llu entries", (unsigned long long)entries);
    }
    for (uint32_t r = 0; r < m->rows; r++)
        for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++) t.first[((m->col[i] - r) & mask) + 2]++;
    for (uint32_t o = 1; o < s->period_in; o++) t.first[o + 1] += t.first[o];
    for (uint32_t r = 0; r < m->rows; r++) // first[o + 1] runs from the start of o to its end
        for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++) {
            uint64_t at = t.first[((m->col[i] - r) & mask) + 1]++;
            t.row[at] = r;
            t.val[at] = m->val[i];
        }
    *out = t;
    return VELUM_OK;
}

void vl_sparsemap_index_free(vl_sparsemap_index *index) {
    vl_free(index->first);
    vl_free(index->row);
    vl_free(index->val);
    *index = (vl_sparsemap_index){0};
}

void vl_sparsemap_diagonal(const vl_sparsemap_index *index, int32_t offset, double complex *v) {
    const vl_sparsemap_shape *s = &index->shape;
    const uint32_t mask = s->period_in - 1, copies = copies_of(s), lanes = s->lanes;
    const uint32_t at = (uint32_t)(offset / (int32_t)lanes) & mask;
    memset(v, 0, vl_sparsemap_period(s) * sizeof *v);
    for (uint32_t k = 0; k < copies; k++) {
        uint32_t base = (at + k * s->period_out) & mask;
        for (uint64_t i = index->first[base]; i < index->first[base + 1]; i++) {
            double complex *to = v + (size_t)(index->row[i] + k * s->period_out) * lanes;
            for (uint32_t lane = 0; lane < lanes; lane++) to[lane] = index->val[i];
        }
    }
}

// ---- encoded ----

typedef struct maker {
    vl_sparsemap_index index;
    const int32_t *offset;
} maker;

static void make_diagonal(void *arg, uint32_t i, double complex *v) {
    const maker *m = arg;
    vl_sparsemap_diagonal(&m->index, m->offset[i], v);
}

static velum_status encode_bias(vl_exec *x, const vl_encoder *e, const vl_matrix *m, const double *bias,
                                const vl_sparsemap_shape *s, double out_scale, vl_sparsemap *map) {
    const vl_params *p = vl_encoder_params(e);
    uint32_t count = s->period_out * s->lanes;
    VL_TRY(vl_poly_new(&p->ring, map->set.level - 1u, 0, &map->bias));
    map->bytes += vl_poly_bytes(&p->ring, map->set.level - 1u, 0);
    double *v = vl_arena_take(&x->arena, count * sizeof *v);
    for (uint32_t i = 0; i < count; i++) v[i] = i / s->lanes < m->rows ? bias[i / s->lanes] : 0;
    return vl_encode_real(x, e, v, count, out_scale, map->bias);
}

static velum_status encode_diagonals(vl_exec *x, const vl_encoder *e, const vl_matrix *m, const vl_sparsemap_shape *s,
                                     const vl_diagset_plan *plan, uint16_t level, double scale, uint64_t budget,
                                     vl_sparsemap *map) {
    int32_t offset[VL_DIAGSET_MAX];
    uint32_t count;
    VL_TRY(vl_sparsemap_offsets(m, s, offset, &count));
    VL_FAIL_IF(count != plan->count || s->slots != plan->slots, VELUM_E_FORMAT,
               "sparse map: a plan of %u diagonals, there are %u", plan->count, count);
    maker from = {.offset = offset};
    VL_TRY(vl_sparsemap_index_new(m, s, &from.index));
    velum_status status =
        vl_diagset_encode_by(x, e, plan, make_diagonal, &from, vl_sparsemap_period(s), level, scale, budget, &map->set);
    vl_sparsemap_index_free(&from.index);
    map->bytes = map->set.bytes;
    return status;
}

velum_status vl_sparsemap_encode(vl_exec *x, const vl_encoder *e, const vl_matrix *m, const double *bias,
                                 const vl_sparsemap_shape *s, const vl_diagset_plan *plan, uint16_t level, double scale,
                                 double in_scale, uint64_t budget, vl_sparsemap *out) {
    const vl_params *p = vl_encoder_params(e);
    VL_FAIL_IF(level < 2 || level > p->ring.q_count, VELUM_E_LIMIT, "a sparse map at level %u of %u: it ends one lower",
               level, p->ring.q_count);
    vl_sparsemap map = {0};
    size_t mark = vl_arena_mark(&x->arena);
    velum_status status = encode_diagonals(x, e, m, s, plan, level, scale, budget, &map);
    double out_scale = in_scale * scale / (double)p->literal.q[level - 1];
    if (status == VELUM_OK && bias) status = encode_bias(x, e, m, bias, s, out_scale, &map);
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_sparsemap_free(&map);
        return status;
    }
    *out = map;
    return VELUM_OK;
}

uint64_t vl_sparsemap_bytes(const vl_params *p, const vl_sparsemap_shape *s, const vl_diagset_plan *plan,
                            uint16_t level, bool bias, uint64_t budget) {
    return vl_diagset_bytes(p, plan, vl_sparsemap_period(s), level, budget, NULL) +
           (bias ? vl_poly_bytes(&p->ring, level - 1u, 0) : 0);
}

size_t vl_sparsemap_encode_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level) {
    return vl_diagset_encode_scratch(p, plan, level); // the bias takes less
}

void vl_sparsemap_free(vl_sparsemap *map) {
    if (!map) return;
    vl_diagset_free(&map->set);
    vl_poly_free(&map->bias);
    *map = (vl_sparsemap){0};
}

void vl_sparsemap_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_sparsemap *map,
                        vl_ciphertext *d, const vl_ciphertext *a) {
    vl_diagset_apply(x, keys, &map->set, d, a);
    vl_ckks_rescale(x, p, d, d);
    if (map->bias.x) vl_ckks_add_plain(x, p, d, d, map->bias);
}

size_t vl_sparsemap_scratch(const vl_params *p, const vl_diagset_plan *plan, uint16_t level) {
    size_t sum = vl_diagset_scratch(p, plan, level), rest = vl_ckks_scratch(p, level);
    return sum > rest ? sum : rest;
}

void vl_sparsemap_clear_apply(const vl_matrix *m, const double *bias, const vl_sparsemap_shape *s, const double *x,
                              double *y) {
    const uint32_t lanes = s->lanes, unit = s->period_out * lanes;
    memset(y, 0, s->slots * sizeof *y);
    for (uint32_t r = 0; r < m->rows; r++)
        for (uint32_t lane = 0; lane < lanes; lane++) {
            double sum = bias ? bias[r] : 0;
            for (uint64_t i = m->start[r]; i < m->start[r + 1]; i++)
                sum += m->val[i] * x[(size_t)m->col[i] * lanes + lane];
            y[(size_t)r * lanes + lane] = sum;
        }
    for (uint32_t at = unit; at < s->slots; at += unit) memcpy(y + at, y, unit * sizeof *y);
}
