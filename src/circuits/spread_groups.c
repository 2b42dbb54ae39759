// SPDX-License-Identifier: Apache-2.0
// Which outputs of a spread map go together. A group's scalars are a dense matrix, which costs half as much as its rows
// one by one (kernels/mix.h): a convolution's outputs have the same rotated copies, and where a residual is added, one
// copy each of their own beside them.
#include "circuits/spread_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct laying {
    const vl_params *p;
    vl_spread_coded *c;
    const vl_spread *s;
    const double *factor; // of a source
    uint32_t *of;         // by row: the first one of its class
    uint32_t *seen;       // by copy: how many rows of the class at hand have it
    uint32_t rows, cols;  // used of row[] and at[]
    uint64_t entries;     // used of value[]
} laying;

// What copy k is called in a column.
static uint32_t place_of(const laying *l, uint32_t k) {
    const vl_spread_copy *copy = &l->s->copy[k];
    if (copy->rotation == 0) return copy->source;
    vl_spread_turn wanted = {copy->source, 0, vl_params_galois(l->p, copy->rotation)};
    const vl_spread_turn *found = bsearch(&wanted, l->c->turn, l->c->turns, sizeof *l->c->turn, vl_spread_turn_order);
    return (uint32_t)(found - l->c->turn);
}

// ---- classes: rows with the same rotated copies, or, without any, with the same copies ----
static bool is_turned(const vl_spread *s, uint64_t i) { return s->copy[s->col[i]].rotation != 0; }

static bool has_turned(const vl_spread *s, uint32_t r) {
    for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++)
        if (is_turned(s, i)) return true;
    return false;
}

// The next entry from i on that says which class the row is of.
static uint64_t next_of_key(const vl_spread *s, uint64_t i, uint64_t end, bool turned) {
    while (i < end && turned && !is_turned(s, i)) i++;
    return i;
}

static uint64_t hash_row(const vl_spread *s, uint32_t r) {
    uint64_t h = UINT64_C(0xcbf29ce484222325), end = s->start[r + 1];
    bool turned = has_turned(s, r);
    for (uint64_t i = s->start[r]; (i = next_of_key(s, i, end, turned)) < end; i++)
        h = (h ^ s->col[i]) * UINT64_C(0x100000001b3);
    return h;
}

static bool same_class(const vl_spread *s, uint32_t a, uint32_t b) {
    bool turned = has_turned(s, a);
    uint64_t i = s->start[a], k = s->start[b], i_end = s->start[a + 1], k_end = s->start[b + 1];
    if (turned != has_turned(s, b)) return false;
    for (;; i++, k++) {
        i = next_of_key(s, i, i_end, turned);
        k = next_of_key(s, k, k_end, turned);
        if (i == i_end || k == k_end) return i == i_end && k == k_end;
        if (s->col[i] != s->col[k]) return false;
    }
}

static void find_classes(const laying *l, uint64_t *hash) {
    for (uint32_t r = 0; r < l->s->outputs; r++) {
        hash[r] = hash_row(l->s, r);
        l->of[r] = r;
        for (uint32_t k = 0; k < r && l->of[r] == r; k++)
            if (l->of[k] == k && hash[k] == hash[r] && same_class(l->s, k, r)) l->of[r] = k;
    }
}

// Counts the copies of the class of row `first`; returns its rows.
static uint32_t look_at_class(const laying *l, uint32_t first) {
    const vl_spread *s = l->s;
    uint32_t members = 0;
    memset(l->seen, 0, s->copies * sizeof *l->seen);
    for (uint32_t r = first; r < s->outputs; r++) {
        if (l->of[r] != first) continue;
        members++;
        for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) l->seen[s->col[i]]++;
    }
    return members;
}

// ---- groups ----
static vl_spread_group *new_group(laying *l, bool adds) {
    vl_spread_group *g = &l->c->group[l->c->groups++];
    *g = (vl_spread_group){.first_row = l->rows, .first_col = l->cols, .first = l->entries, .adds = adds};
    return g;
}

// Whether entry i belongs to the group: all of the class's `members` rows have its copy, or not all.
static bool belongs(const laying *l, const vl_spread_group *g, uint64_t i, uint32_t members) {
    return (l->seen[l->s->col[i]] == members) != g->adds;
}

// The group's columns, out of row r. Copies ascend in every row, so those that belong come in the same order in all.
static void lay_columns(laying *l, vl_spread_group *g, uint32_t r, uint32_t members) {
    const vl_spread *s = l->s;
    for (int turned = 1; turned >= 0; turned--)
        for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
            if (is_turned(s, i) != (turned != 0) || !belongs(l, g, i, members)) continue;
            l->c->at[g->first_col + g->cols++] = place_of(l, s->col[i]);
            g->turned += (uint32_t)turned;
        }
    l->cols += g->cols;
}

static velum_status add_row(laying *l, vl_spread_group *g, uint32_t r, uint32_t members) {
    const vl_spread *s = l->s;
    uint64_t turned = l->entries, still = turned + g->turned;
    for (uint64_t i = s->start[r]; i < s->start[r + 1]; i++) {
        if (!belongs(l, g, i, members)) continue;
        uint64_t to = is_turned(s, i) ? turned++ : still++;
        double factor = l->factor[s->copy[s->col[i]].source], value = s->weight[i] * factor;
        VL_FAIL_IF(!(fabs(value) < VL_SPREAD_WEIGHT_LIMIT), VELUM_E_VALUE,
                   "a weight of %g is too large for a factor of 2^%.1f", s->weight[i], log2(factor));
        l->c->through[to] = s->through[i];
        l->c->value[to] = s->through[i] == VL_SPREAD_NO_PATTERN ? rint(value) : value;
        g->patterned |= s->through[i] != VL_SPREAD_NO_PATTERN;
    }
    l->c->row[l->rows++] = r;
    l->entries += g->cols;
    g->rows++;
    return VELUM_OK;
}

// Rows a group may have, its scalars being made together.
static uint32_t most_rows(uint64_t cols, uint32_t words) {
    uint64_t most = VL_SPREAD_TABLE / ((cols ? cols : 1) * words);
    return most < 1 ? 1 : most > VL_SPREAD_GROUP_ROWS ? VL_SPREAD_GROUP_ROWS : (uint32_t)most;
}

// What all rows of the class have, in as few groups of about the same size as have room for it; then, row by row, what
// is left.
static velum_status lay_class(laying *l, uint32_t first, uint32_t members) {
    const vl_spread *s = l->s;
    uint32_t common = 0, rows = 0;
    for (uint64_t i = s->start[first]; i < s->start[first + 1]; i++) common += l->seen[s->col[i]] == members;
    uint32_t most = most_rows(common, l->c->sub.words), parts = (members + most - 1) / most, part = 0;
    vl_spread_group *g = NULL;
    for (uint32_t r = first; r < s->outputs; r++) {
        if (l->of[r] != first) continue;
        if (rows == (uint64_t)members * part / parts) {
            g = new_group(l, false);
            lay_columns(l, g, r, members);
            part++;
        }
        VL_TRY(add_row(l, g, r, members));
        rows++;
    }
    for (uint32_t r = first; r < s->outputs; r++) {
        if (l->of[r] != first || s->start[r + 1] - s->start[r] == common) continue;
        g = new_group(l, true);
        lay_columns(l, g, r, members);
        VL_TRY(add_row(l, g, r, members));
    }
    return VELUM_OK;
}

// Consecutive groups whose scalars are made together.
static void lay_batches(vl_spread_coded *c) {
    uint64_t sum = 0;
    c->batch[c->batches++] = 0;
    for (uint32_t k = 0; k < c->groups; k++) {
        uint64_t scalars = vl_spread_group_scalars(&c->group[k], c->sub.words);
        if (sum > 0 && sum + scalars > VL_SPREAD_TABLE) {
            c->batch[c->batches++] = k;
            sum = 0;
        }
        sum += scalars;
        if (sum > c->table) c->table = sum;
    }
    c->batch[c->batches] = c->groups;
}

velum_status vl_spread_make_groups(const vl_params *p, const double *factor, vl_spread_coded *c) {
    const vl_spread *s = c->s;
    uint64_t entries = s->start[s->outputs];
    c->group = vl_alloc_array(2 * (uint64_t)s->outputs, sizeof *c->group);
    c->batch = vl_alloc_array(2 * (uint64_t)s->outputs + 1, sizeof *c->batch);
    c->row = vl_alloc_array(2 * (uint64_t)s->outputs, sizeof *c->row);
    c->at = vl_alloc_array(entries + 1, sizeof *c->at); // fewer where rows share their columns
    c->value = vl_alloc_array(entries + 1, sizeof *c->value);
    c->through = vl_alloc_array(entries + 1, sizeof *c->through);
    uint64_t *hash = vl_alloc_array(s->outputs, sizeof *hash);
    uint32_t *of = vl_alloc_array((uint64_t)s->outputs + s->copies, sizeof *of);
    laying l = {.p = p, .c = c, .s = s, .factor = factor, .of = of, .seen = of + s->outputs};
    bool good = c->group && c->batch && c->row && c->at && c->value && c->through && hash && of;
    velum_status status =
        good ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "no memory for %llu weights", (unsigned long long)entries);
    if (status == VELUM_OK) find_classes(&l, hash);
    for (uint32_t r = 0; r < s->outputs && status == VELUM_OK; r++)
        if (of[r] == r) status = lay_class(&l, r, look_at_class(&l, r));
    if (status == VELUM_OK) lay_batches(c);
    vl_free(hash);
    vl_free(of);
    return status;
}
