// SPDX-License-Identifier: Apache-2.0
// From an affine form to a spread linear map, by its entries alone: an entry reads, for its slot of one ciphertext, a
// slot of another, which is a rotation. All entries between two ciphertexts at one rotation are one product: by a
// number where they are the same in every slot, else by a pattern, which is zero wherever there is no entry. So nothing
// of another request comes in, and slots of no pixel hold constants only.
#include "nn/pictures.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAME 1e-12 // relative: the same weight, computed in another order
#define KEYS_MOST (1u << 27)
#define COPIES_A_ROW 4096

typedef struct place { // of a stage's elements
    uint32_t cts;
    uint32_t *ct, *slot; // by element
} place;

typedef struct piece { // of one output: entries of one copy
    uint32_t key, at;  // the copy: source (2 period - 1) + rotation + period - 1; where its weights stand
} piece;

typedef struct build {
    const vl_nn_pictures *p;
    const vl_nn_stage *s;
    const vl_nn_tiling *t;
    uint32_t first, count, period, width, cts; // width: rotations of a source; cts: of all sources
    uint32_t source[2];                        // by term: its first ciphertext
    place from[2], to;
    uint32_t *row_start, *row; // elements by ciphertext
    uint32_t *seen, *at;       // by key: the last output that used it, 1 + its number; its piece there
    bool *used;                // by key
    piece *list;
    uint32_t pieces, list_room;
    double *weights; // pieces x period
    size_t weights_room;
    // The result.
    size_t entries, entry_room;
    uint32_t *col, *through;
    double *weight;
    uint32_t patterns, pattern_room, slots; // slots: of the table
    double *pattern;
    uint32_t *table; // by hash: 1 + pattern
    vl_nn_spread_size size;
} build;

static void release(build *b) {
    for (int k = 0; k < 2; k++) {
        vl_free(b->from[k].ct);
        vl_free(b->from[k].slot);
    }
    vl_free(b->to.ct);
    vl_free(b->to.slot);
    vl_free(b->row_start);
    vl_free(b->row);
    vl_free(b->seen);
    vl_free(b->at);
    vl_free(b->used);
    vl_free(b->list);
    vl_free(b->weights);
    vl_free(b->col);
    vl_free(b->through);
    vl_free(b->weight);
    vl_free(b->pattern);
    vl_free(b->table);
}

#define NEED(pointer, count)                                                                                           \
    do {                                                                                                               \
        if (!((pointer) = vl_alloc_array((count), sizeof *(pointer)))) return VL_FAIL(VELUM_E_NOMEM, "model: a map");  \
    } while (0)

// Makes room for `count` items, keeping `have`.
#define GROW(pointer, room, have, count)                                                                               \
    do {                                                                                                               \
        if ((count) > (room)) {                                                                                        \
            void *old_ = (pointer);                                                                                    \
            (room) = 2 * (count);                                                                                      \
            if (!((pointer) = vl_alloc_array((room), sizeof *(pointer)))) {                                            \
                (pointer) = old_;                                                                                      \
                return VL_FAIL(VELUM_E_NOMEM, "model: a map");                                                         \
            }                                                                                                          \
            if ((have) > 0) memcpy((pointer), old_, (have) * sizeof *(pointer));                                       \
            vl_free(old_);                                                                                             \
        }                                                                                                              \
    } while (0)

static velum_status place_stage(const vl_nn_stage *s, const vl_nn_tiling *t, place *out) {
    const vl_layout l = vl_nn_tiling_layout(t, s, t->period, 1);
    const uint32_t area = vl_nn_stage_area(s);
    out->cts = l.cts;
    NEED(out->ct, s->n);
    NEED(out->slot, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t pixel = vl_nn_stage_pixel(s, i), c = pixel / area, y = pixel % area / l.width, x = pixel % l.width;
        out->ct[i] = (c * l.phase_y + y % l.phase_y) * l.phase_x + x % l.phase_x;
        out->slot[i] = y / l.phase_y * l.stride_y + x / l.phase_x * l.stride_x;
    }
    return VELUM_OK;
}

static velum_status begin(build *b) {
    b->period = b->t->period;
    b->width = 2 * b->period - 1;
    for (uint32_t k = 0; k < b->count; k++) {
        b->source[k] = b->cts;
        VL_TRY(place_stage(&b->p->stage[b->s->form->term[b->first + k].base], b->t, &b->from[k]));
        b->cts += b->from[k].cts;
    }
    VL_TRY(place_stage(b->s, b->t, &b->to));
    VL_FAIL_IF(b->cts > VL_SPREAD_MAX_CTS || b->to.cts > VL_SPREAD_MAX_CTS || (uint64_t)b->cts * b->width > KEYS_MOST,
               VELUM_E_LIMIT, "model: '%s' lies over too many ciphertexts", b->s->label);
    NEED(b->row_start, b->to.cts + 1);
    NEED(b->row, b->s->n);
    NEED(b->seen, (size_t)b->cts * b->width);
    NEED(b->at, (size_t)b->cts * b->width);
    NEED(b->used, (size_t)b->cts * b->width);
    for (uint32_t i = 0; i < b->s->n; i++) b->row_start[b->to.ct[i]]++; // counts, then ends, then starts
    for (uint32_t r = 0; r < b->to.cts; r++) b->row_start[r + 1] += b->row_start[r];
    for (uint32_t i = b->s->n; i-- > 0;) b->row[--b->row_start[b->to.ct[i]]] = i;
    return VELUM_OK;
}

static velum_status add_weight(build *b, uint32_t output, uint32_t key, uint32_t slot, double w) {
    if (b->seen[key] != output + 1) {
        b->seen[key] = output + 1;
        b->at[key] = b->pieces;
        b->used[key] = true;
        GROW(b->list, b->list_room, b->pieces, b->pieces + 1);
        GROW(b->weights, b->weights_room, (size_t)b->pieces * b->period, ((size_t)b->pieces + 1) * b->period);
        memset(b->weights + (size_t)b->pieces * b->period, 0, b->period * sizeof *b->weights);
        b->list[b->pieces] = (piece){key, b->pieces};
        b->pieces++;
    }
    b->weights[(size_t)b->at[key] * b->period + slot] += w;
    return VELUM_OK;
}

static velum_status add_element(build *b, uint32_t output, uint32_t i) {
    const vl_nn_stage *s = b->s;
    const double up = 1 / s->unit[vl_nn_stage_pixel(s, i) / vl_nn_stage_area(s)];
    vl_nn_row row;
    for (uint32_t k = 0; k < b->count; k++) {
        const vl_nn_term *term = &s->form->term[b->first + k];
        const vl_nn_stage *from = &b->p->stage[term->base];
        const uint32_t area = vl_nn_stage_area(from);
        vl_nn_term_row(term, i, &row);
        for (size_t e = 0; e < row.count; e++) {
            uint32_t j = row.col[e], slot = b->from[k].slot[j], to = s->fold ? slot : b->to.slot[i];
            uint32_t key = (b->source[k] + b->from[k].ct[j]) * b->width + slot + b->period - 1 - to;
            double w = row.val[e] * vl_nn_stage_worth(from, vl_nn_stage_pixel(from, j) / area) * up;
            VL_TRY(add_weight(b, output, key, to, w));
        }
    }
    return VELUM_OK;
}

// ---- patterns ----

static uint64_t hash_of(const double *v, uint32_t n) {
    uint64_t hash = 1469598103934665603u;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
        hash ^= hash >> 29;
    }
    return hash;
}

static velum_status grow_table(build *b) {
    uint32_t *old = b->table, slots = b->slots ? 4 * b->slots : 1024;
    NEED(b->table, slots);
    vl_free(old);
    b->slots = slots;
    for (uint32_t k = 0; k < b->patterns; k++) {
        uint32_t at = (uint32_t)hash_of(b->pattern + (size_t)k * b->period, b->period) & (slots - 1);
        while (b->table[at]) at = (at + 1) & (slots - 1);
        b->table[at] = k + 1;
    }
    return VELUM_OK;
}

static velum_status pattern_number(build *b, const double *v, uint32_t *out) {
    if (2 * (b->patterns + 1) > b->slots) VL_TRY(grow_table(b));
    uint32_t at = (uint32_t)hash_of(v, b->period) & (b->slots - 1);
    for (; b->table[at]; at = (at + 1) & (b->slots - 1)) {
        *out = b->table[at] - 1;
        if (memcmp(b->pattern + (size_t)*out * b->period, v, b->period * sizeof *v) == 0) return VELUM_OK;
    }
    VL_FAIL_IF(b->patterns == VL_SPREAD_MAX_PATTERNS, VELUM_E_LIMIT, "model: '%s' has too many different weights",
               b->s->label);
    GROW(b->pattern, b->pattern_room, (size_t)b->patterns * b->period, (b->patterns + 1) * b->period);
    memcpy(b->pattern + (size_t)b->patterns * b->period, v, b->period * sizeof *v);
    *out = b->patterns;
    b->table[at] = ++b->patterns;
    return VELUM_OK;
}

// A piece's weights as a number times a pattern. *through: VL_SPREAD_NO_PATTERN if it is 1 everywhere.
static velum_status factor(build *b, double *v, double *weight, uint32_t *through) {
    double top = 0;
    bool all = true;
    for (uint32_t i = 0; i < b->period; i++)
        if (fabs(v[i]) > fabs(top) * (1 + SAME)) top = v[i];
    *weight = top;
    *through = VL_SPREAD_NO_PATTERN;
    if (top == 0) return VELUM_OK;
    for (uint32_t i = 0; i < b->period; i++) {
        double r = v[i] / top;
        v[i] = fabs(r - 1) < SAME ? 1 : fabs(r + 1) < SAME ? -1 : fabs(r) < 1e-15 ? 0 : r;
        all = all && v[i] == 1;
    }
    return all ? VELUM_OK : pattern_number(b, v, through);
}

static int by_key(const void *a, const void *b) {
    const piece *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static velum_status add_output(build *b, uint32_t output) {
    b->pieces = 0;
    for (uint32_t k = b->row_start[output]; k < b->row_start[output + 1]; k++)
        VL_TRY(add_element(b, output, b->row[k]));
    VL_FAIL_IF(b->pieces > COPIES_A_ROW, VELUM_E_LIMIT, "model: '%s' reads %u copies at once", b->s->label, b->pieces);
    if (b->pieces > 1) qsort(b->list, b->pieces, sizeof *b->list, by_key);
    if (b->entries + b->pieces > b->entry_room) {
        size_t room = b->entry_room, again = room, once_more = room;
        GROW(b->col, room, b->entries, b->entries + b->pieces);
        GROW(b->through, again, b->entries, b->entries + b->pieces);
        GROW(b->weight, once_more, b->entries, b->entries + b->pieces);
        b->entry_room = room;
    }
    for (uint32_t k = 0; k < b->pieces; k++) {
        const size_t e = b->entries;
        b->col[e] = b->list[k].key;
        VL_TRY(factor(b, b->weights + (size_t)b->list[k].at * b->period, &b->weight[e], &b->through[e]));
        if (b->weight[e] == 0) continue;
        b->entries++;
        b->size.cost.patterned += b->through[e] != VL_SPREAD_NO_PATTERN;
    }
    return VELUM_OK;
}

// ---- the result ----

static int32_t rotation_of(const build *b, size_t key) { return (int32_t)(key % b->width) - (int32_t)(b->period - 1); }

static void measure(build *b) {
    uint32_t last = VL_NN_NONE;
    for (size_t key = 0; key < (size_t)b->cts * b->width; key++) {
        if (!b->used[key] || rotation_of(b, key) == 0) continue;
        uint32_t source = (uint32_t)(key / b->width);
        b->size.cost.rotations++;
        b->size.cost.decompositions += source != last;
        last = source;
    }
    b->size.cost.products = b->entries;
    b->size.sources = b->cts;
    b->size.outputs = b->to.cts;
    b->size.patterns = b->patterns;
}

static velum_status set_bias(const build *b, vl_spread *out) {
    const vl_nn_stage *s = b->s;
    bool any = false;
    for (uint32_t i = 0; i < s->n; i++) any = any || s->bias[i] != 0;
    if (!any || b->first > 0) return VELUM_OK;
    // Slots of no pixel stay empty: what stands there meets the rounding errors of patterns in the next map.
    const bool full = !s->fold && s->n == (uint64_t)b->to.cts * b->period;
    out->bias_period = s->even && full ? 1 : b->period;
    NEED(out->bias, (size_t)out->outputs * out->bias_period);
    for (uint32_t i = 0; i < s->n; i++)
        out->bias[(size_t)b->to.ct[i] * out->bias_period + (out->bias_period == 1 ? 0 : b->to.slot[i])] = s->bias[i];
    return VELUM_OK;
}

static velum_status finish(build *b, uint32_t parts, const uint64_t *start, vl_spread *out) {
    uint32_t copies = 0;
    for (size_t key = 0; key < (size_t)b->cts * b->width; key++) {
        if (!b->used[key]) continue;
        b->at[key] = copies++;
    }
    VL_FAIL_IF(copies > VL_SPREAD_MAX_COPIES, VELUM_E_LIMIT, "model: '%s' takes %u copies", b->s->label, copies);
    *out = (vl_spread){.sources = b->cts,
                       .outputs = b->to.cts,
                       .copies = copies,
                       .patterns = b->patterns,
                       .period = b->period,
                       .parts = parts};
    NEED(out->copy, copies ? copies : 1);
    NEED(out->start, b->to.cts + 1);
    NEED(out->col, b->entries ? b->entries : 1);
    NEED(out->weight, b->entries ? b->entries : 1);
    NEED(out->through, b->entries ? b->entries : 1);
    NEED(out->pattern, b->patterns ? (size_t)b->patterns * b->period : 1);
    for (size_t key = 0; key < (size_t)b->cts * b->width; key++)
        if (b->used[key]) out->copy[b->at[key]] = (vl_spread_copy){(uint32_t)(key / b->width), rotation_of(b, key)};
    memcpy(out->start, start, (b->to.cts + 1) * sizeof *start);
    for (size_t e = 0; e < b->entries; e++) out->col[e] = b->at[b->col[e]];
    if (b->entries) {
        memcpy(out->weight, b->weight, b->entries * sizeof *out->weight);
        memcpy(out->through, b->through, b->entries * sizeof *out->through);
    }
    if (b->patterns) memcpy(out->pattern, b->pattern, (size_t)b->patterns * b->period * sizeof *out->pattern);
    return set_bias(b, out);
}

static velum_status run(build *b, uint32_t parts, uint64_t *start, vl_spread *out) {
    for (uint32_t r = 0; r < b->to.cts; r++) {
        VL_TRY(add_output(b, r));
        if (start) start[r + 1] = b->entries;
    }
    measure(b);
    return out ? finish(b, parts, start, out) : VELUM_OK;
}

velum_status vl_nn_pictures_map(const vl_nn_pictures *p, const vl_nn_stage *s, const vl_nn_tiling *t, uint32_t parts,
                                uint32_t first, uint32_t count, vl_nn_spread_size *size, bool *turned, vl_spread *out) {
    build b = {.p = p, .s = s, .t = t, .first = first, .count = count};
    vl_spread made = {0};
    uint64_t *start = NULL;
    velum_status status = begin(&b);
    if (status == VELUM_OK && out && !(start = vl_alloc_array(b.to.cts + 1u, sizeof *start)))
        status = VL_FAIL(VELUM_E_NOMEM, "model: a map");
    if (status == VELUM_OK) status = run(&b, parts, start, out ? &made : NULL);
    for (size_t key = 0; status == VELUM_OK && turned && key < (size_t)b.cts * b.width; key++)
        if (b.used[key] && rotation_of(&b, key) != 0) turned[key % b.width] = true;
    release(&b);
    vl_free(start);
    if (status != VELUM_OK) {
        vl_spread_clear(&made);
        return status;
    }
    if (size) *size = b.size;
    if (out) *out = made;
    return VELUM_OK;
}
