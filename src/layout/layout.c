// SPDX-License-Identifier: Apache-2.0
#include "layout/layout.h"
#include <string.h>

#define MAX_DIM (1u << 16)
#define FIELDS 14

// All numbers of a layout, in the order in which they are saved.
static void fields_of(vl_layout *l, uint32_t *field[FIELDS]) {
    uint32_t *const all[FIELDS] = {&l->slots,   &l->dim,     &l->period,   &l->lanes,   &l->cts,
                                   &l->valid,   &l->parts,   &l->channels, &l->height,  &l->width,
                                   &l->phase_y, &l->phase_x, &l->stride_y, &l->stride_x};
    memcpy(field, all, sizeof all);
}

static bool power_of_two(uint32_t v) { return v != 0 && (v & (v - 1)) == 0; }

// ---- pictures ----

// Rows (or columns) of the phase `at`, of `size` in all.
static uint32_t count_of(uint32_t size, uint32_t phase, uint32_t at) { return (size - at + phase - 1) / phase; }

static velum_status check_axis(const char *axis, uint32_t size, uint32_t phase, uint32_t stride, uint32_t slots) {
    VL_FAIL_IF(size == 0 || size > MAX_DIM || !power_of_two(phase) || phase > size, VELUM_E_FORMAT,
               "layout: %s of %u in %u phases", axis, size, phase);
    VL_FAIL_IF(stride == 0 || stride > slots, VELUM_E_FORMAT, "layout: %s of stride %u in %u slots", axis, stride,
               slots);
    return VELUM_OK;
}

static velum_status check_picture(const vl_layout *l) {
    VL_FAIL_IF(l->parts > 2, VELUM_E_FORMAT, "layout: %u parts", l->parts);
    VL_FAIL_IF(!power_of_two(l->period) || l->period > l->slots, VELUM_E_FORMAT,
               "layout: period %u of a picture in %u slots", l->period, l->slots);
    VL_FAIL_IF(l->lanes != l->slots / l->period * l->parts || l->valid != 1, VELUM_E_FORMAT,
               "layout: %u lanes of pictures, %u valid, in %u slots of period %u, %u parts", l->lanes, l->valid,
               l->slots, l->period, l->parts);
    VL_TRY(check_axis("height", l->height, l->phase_y, l->stride_y, l->slots));
    VL_TRY(check_axis("width", l->width, l->phase_x, l->stride_x, l->slots));
    uint64_t dim = (uint64_t)l->height * l->width; // at most 2^32
    VL_FAIL_IF(
        l->channels == 0 || l->channels > MAX_DIM || dim > MAX_DIM || dim * l->channels != l->dim || l->dim > MAX_DIM,
        VELUM_E_FORMAT, "layout: %u features for %u channels of %u x %u", l->dim, l->channels, l->height, l->width);
    VL_FAIL_IF((uint64_t)l->channels * l->phase_y * l->phase_x != l->cts, VELUM_E_FORMAT,
               "layout: %u ciphertexts for %u channels of %u x %u phases", l->cts, l->channels, l->phase_y, l->phase_x);
    uint64_t y = (uint64_t)(count_of(l->height, l->phase_y, 0) - 1) * l->stride_y;
    uint64_t x = (uint64_t)(count_of(l->width, l->phase_x, 0) - 1) * l->stride_x;
    bool apart = y == 0 || x == 0 || x < l->stride_y || y < l->stride_x;
    VL_FAIL_IF(!apart || y + x >= l->period, VELUM_E_FORMAT,
               "layout: pictures of %u x %u in %u x %u phases, strides %u and %u, do not fit a period of %u", l->height,
               l->width, l->phase_y, l->phase_x, l->stride_y, l->stride_x, l->period);
    return VELUM_OK;
}

typedef struct face { // what one ciphertext of a picture holds
    uint32_t y, x, rows, columns;
    size_t first; // feature of its first pixel
} face;

static face face_of(const vl_layout *l, uint32_t ct) {
    uint32_t x = ct % l->phase_x, y = ct / l->phase_x % l->phase_y, c = ct / l->phase_x / l->phase_y;
    return (face){.y = y,
                  .x = x,
                  .rows = count_of(l->height, l->phase_y, y),
                  .columns = count_of(l->width, l->phase_x, x),
                  .first = ((size_t)c * l->height + y) * l->width + x};
}

// Where request r begins among the numbers of a ciphertext: its real parts, then its imaginary ones.
static size_t start_of(const vl_layout *l, uint32_t r) { return (size_t)r * l->period; }

static void pack_picture(const vl_layout *l, uint32_t ct, const double *features, uint32_t requests, double *slots) {
    const face f = face_of(l, ct);
    for (uint32_t r = 0; r < requests; r++)
        for (uint32_t y = 0; y < f.rows; y++)
            for (uint32_t x = 0; x < f.columns; x++)
                slots[start_of(l, r) + (size_t)y * l->stride_y + (size_t)x * l->stride_x] =
                    features[(size_t)r * l->dim + f.first + (size_t)y * l->phase_y * l->width + (size_t)x * l->phase_x];
}

static void unpack_picture(const vl_layout *l, uint32_t ct, const double *slots, uint32_t requests, double *features) {
    const face f = face_of(l, ct);
    for (uint32_t r = 0; r < requests; r++)
        for (uint32_t y = 0; y < f.rows; y++)
            for (uint32_t x = 0; x < f.columns; x++)
                features[(size_t)r * l->dim + f.first + (size_t)y * l->phase_y * l->width + (size_t)x * l->phase_x] =
                    slots[start_of(l, r) + (size_t)y * l->stride_y + (size_t)x * l->stride_x];
}

static void mask_picture(const vl_layout *l, uint32_t ct, double *keep) {
    const face f = face_of(l, ct);
    for (uint32_t g = 0; g < l->slots / l->period; g++)
        for (uint32_t y = 0; y < f.rows; y++)
            for (uint32_t x = 0; x < f.columns; x++)
                keep[start_of(l, g) + (size_t)y * l->stride_y + (size_t)x * l->stride_x] = 1;
}

// ---- all layouts ----

static velum_status check_packed(const vl_layout *l) {
    VL_FAIL_IF(l->channels || l->height || l->width || l->phase_y || l->phase_x || l->stride_y || l->stride_x,
               VELUM_E_FORMAT, "layout: a picture of no parts");
    VL_FAIL_IF(!power_of_two(l->lanes) || l->lanes > l->slots, VELUM_E_FORMAT, "layout: %u lanes in %u slots", l->lanes,
               l->slots);
    VL_FAIL_IF(!power_of_two(l->period), VELUM_E_FORMAT, "layout: period %u is not a power of two", l->period);
    VL_FAIL_IF(l->dim == 0 || l->dim > MAX_DIM, VELUM_E_FORMAT, "layout: %u features", l->dim);
    if (l->cts == 1 && !(l->dim == 1 && l->lanes == l->slots)) {
        VL_FAIL_IF(l->dim > l->period, VELUM_E_FORMAT, "layout: %u features in a period of %u", l->dim, l->period);
        VL_FAIL_IF(l->valid < l->period || l->valid > l->slots / l->lanes, VELUM_E_FORMAT,
                   "layout: %u valid positions, period %u, %u slots of %u lanes", l->valid, l->period, l->slots,
                   l->lanes);
    } else {
        VL_FAIL_IF(l->cts != l->dim || l->period != 1 || l->lanes != l->slots || l->valid != 1, VELUM_E_FORMAT,
                   "layout: %u ciphertexts for %u features", l->cts, l->dim);
    }
    return VELUM_OK;
}

velum_status vl_layout_check(const vl_layout *l) {
    VL_FAIL_IF(!power_of_two(l->slots) || l->slots > (1u << 16), VELUM_E_FORMAT, "layout: %u slots", l->slots);
    return l->parts ? check_picture(l) : check_packed(l);
}

void vl_layout_pack(const vl_layout *l, uint32_t ct, const double *features, uint32_t requests, double *slots) {
    memset(slots, 0, vl_layout_room(l) * sizeof *slots);
    if (l->parts) {
        pack_picture(l, ct, features, requests, slots);
        return;
    }
    uint32_t first = l->cts > 1 ? ct : 0, count = l->cts > 1 ? 1 : l->dim;
    for (uint32_t base = 0; base + l->period <= l->valid; base += l->period)
        for (uint32_t f = 0; f < count; f++)
            for (uint32_t r = 0; r < requests; r++)
                slots[(size_t)(base + f) * l->lanes + r] = features[(size_t)r * l->dim + first + f];
}

void vl_layout_unpack(const vl_layout *l, uint32_t ct, const double *slots, uint32_t requests, double *features) {
    if (l->parts) {
        unpack_picture(l, ct, slots, requests, features);
        return;
    }
    uint32_t first = l->cts > 1 ? ct : 0, count = l->cts > 1 ? 1 : l->dim;
    for (uint32_t f = 0; f < count; f++)
        for (uint32_t r = 0; r < requests; r++)
            features[(size_t)r * l->dim + first + f] = slots[(size_t)f * l->lanes + r];
}

void vl_layout_mask(const vl_layout *l, uint32_t ct, double *keep) {
    memset(keep, 0, l->slots * sizeof *keep);
    if (l->parts) {
        mask_picture(l, ct, keep);
        return;
    }
    size_t held = (size_t)(l->cts > 1 ? 1 : l->dim) * l->lanes;
    for (size_t i = 0; i < held; i++) keep[i] = 1;
}

bool vl_layout_same(const vl_layout *a, const vl_layout *b, bool ignore_valid) {
    vl_layout x = *a, y = *b;
    if (ignore_valid) x.valid = y.valid;
    uint32_t *p[FIELDS], *q[FIELDS];
    fields_of(&x, p);
    fields_of(&y, q);
    bool same = true;
    for (int i = 0; i < FIELDS; i++) same = same && *p[i] == *q[i];
    return same;
}

void vl_layout_save(const vl_layout *l, vl_writer *w) {
    vl_layout copy = *l;
    uint32_t *field[FIELDS];
    fields_of(&copy, field);
    for (int i = 0; i < FIELDS; i++) vl_write_u32(w, *field[i]);
}

velum_status vl_layout_load(vl_reader *r, vl_layout *out) {
    vl_layout l;
    uint32_t *field[FIELDS];
    fields_of(&l, field);
    for (int i = 0; i < FIELDS; i++) *field[i] = vl_read_u32(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "layout: cut short");
    VL_TRY(vl_layout_check(&l));
    *out = l;
    return VELUM_OK;
}
