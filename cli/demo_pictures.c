// SPDX-License-Identifier: Apache-2.0
#include "demo_pictures.h"
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MOST 100000 // in one batch
#define MEMORY (256u << 20) // that the decoder may take

const char *const demo_classes[10] = {"aeroplane", "car",  "bird",  "cat",  "deer",
                                      "dog",       "frog", "horse", "ship", "truck"};

void demo_pictures_clear(demo_pictures *p) {
    free(p->pixel);
    free(p->label);
    *p = (demo_pictures){0};
}

static int make(uint64_t count, demo_pictures *out) {
    out->count = count;
    out->pixel = malloc(count ? count * PICTURE_BYTES : 1);
    out->label = malloc(count ? count : 1);
    return out->pixel && out->label ? CLI_OK : cli_fail(CLI_OTHER, "out of memory");
}

static int bad(const char *path, const char *why) { return cli_fail(CLI_BAD_INPUT, "%s: %s", path, why); }

// ---- the original format: a label and 3,072 bytes a record ----
static int take_records(const char *path, const cli_file *file, uint64_t most, demo_pictures *out) {
    const size_t record = 1 + PICTURE_BYTES;
    if (file->size == 0 || file->size % record) return bad(path, "not a batch of CIFAR-10 pictures");
    uint64_t all = file->size / record, count = all < most ? all : most;
    int code = make(count, out);
    for (uint64_t i = 0; code == CLI_OK && i < count; i++) {
        const uint8_t *at = file->data + (all - count + i) * record;
        if (at[0] > 9) return bad(path, "a label above 9");
        out->label[i] = at[0];
        memcpy(out->pixel + i * PICTURE_BYTES, at + 1, PICTURE_BYTES);
    }
    return code;
}

// ---- the packed one ----
static int guess(const int16_t *p, unsigned y, unsigned x) {
    if (x == 0 && y == 0) return 0;
    if (x == 0) return p[-PICTURE_SIDE];
    if (y == 0) return p[-1];
    int left = p[-1], up = p[-PICTURE_SIDE], corner = p[-PICTURE_SIDE - 1];
    int low = left < up ? left : up, high = left < up ? up : left;
    return corner >= high ? low : corner <= low ? high : left + up - corner;
}

// One plane of one picture out of its residuals; numbers in [-128, 127].
static void restore(const uint8_t *residual, int16_t *plane) {
    for (unsigned y = 0; y < PICTURE_SIDE; y++)
        for (unsigned x = 0; x < PICTURE_SIDE; x++) {
            int16_t *at = plane + y * PICTURE_SIDE + x;
            *at = (int8_t)(uint8_t)(guess(at, y, x) + residual[y * PICTURE_SIDE + x]);
        }
}

static void unpack(const uint8_t *residuals, uint64_t all, uint64_t i, uint8_t *pixel) {
    int16_t plane[3][PICTURE_PIXELS];
    for (unsigned c = 0; c < 3; c++) restore(residuals + (c * all + i) * PICTURE_PIXELS, plane[c]);
    for (unsigned k = 0; k < PICTURE_PIXELS; k++) {
        int green = plane[1][k];
        pixel[k] = (uint8_t)(plane[0][k] + green);
        pixel[PICTURE_PIXELS + k] = (uint8_t)green;
        pixel[2 * PICTURE_PIXELS + k] = (uint8_t)(plane[2][k] + green);
    }
}

static int take_packed(const char *path, const cli_file *file, uint64_t most, demo_pictures *out) {
    const uint8_t *d = file->data;
    uint64_t all = d[5] | (uint64_t)d[6] << 8 | (uint64_t)d[7] << 16 | (uint64_t)d[8] << 24;
    if (d[4] != 1 || all == 0 || all > RECORDS_MOST) return bad(path, "not a packed batch of CIFAR-10 pictures");
    size_t size = (size_t)all * (1 + PICTURE_BYTES), from = 9, to = 0;
    uint8_t *body = malloc(size);
    if (!body) return cli_fail(CLI_OTHER, "out of memory");
    uint64_t limit = MEMORY, count = all < most ? all : most;
    lzma_ret ret = lzma_stream_buffer_decode(&limit, 0, NULL, d, &from, file->size, body, &to, size);
    int code =
        ret == LZMA_OK && to == size && from == file->size ? make(count, out) : bad(path, "damaged or cut short");
    for (uint64_t i = 0; code == CLI_OK && i < count; i++) {
        out->label[i] = body[all - count + i];
        unpack(body + all, all, all - count + i, out->pixel + i * PICTURE_BYTES);
        if (out->label[i] > 9) code = bad(path, "a label above 9");
    }
    free(body);
    return code;
}

int demo_pictures_cifar(const char *path, uint64_t most, demo_pictures *out) {
    cli_file file;
    *out = (demo_pictures){0};
    int code = cli_file_read(path, (size_t)RECORDS_MOST * (1 + PICTURE_BYTES), &file);
    if (code != CLI_OK) return code;
    bool packed = file.size > 9 && memcmp(file.data, "CPK1", 4) == 0;
    code = packed ? take_packed(path, &file, most, out) : take_records(path, &file, most, out);
    cli_file_free(&file);
    if (code != CLI_OK) demo_pictures_clear(out);
    return code;
}

// ---- pictures as a table, labels as text ----
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A heading, then a line a picture that starts with its label.
static int take_labels(const char *path, demo_pictures *p) {
    cli_file file;
    int code = cli_file_read(path, 1 << 20, &file);
    if (code != CLI_OK) return code;
    const char *at = (const char *)file.data, *end = at + file.size;
    for (uint64_t i = 0; i < p->count; i++) {
        at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (!at || ++at == end || !is_digit(*at) || (at + 1 < end && is_digit(at[1]))) {
            cli_file_free(&file);
            return bad(path, "not one label, 0 to 9, a picture");
        }
        p->label[i] = (uint8_t)(*at - '0');
    }
    cli_file_free(&file);
    return CLI_OK;
}

int demo_pictures_table(const char *path, const char *labels, uint64_t most, demo_pictures *out) {
    velum_table pixels = {0};
    *out = (demo_pictures){0};
    int code = cli_table_read(path, NULL, &pixels);
    if (code == CLI_OK && (pixels.columns != PICTURE_BYTES || pixels.rows == 0))
        code = bad(path, "not pictures of 3 x 32 x 32 numbers");
    if (code == CLI_OK) code = make(pixels.rows < most ? pixels.rows : most, out);
    for (uint64_t i = 0; code == CLI_OK && i < out->count * PICTURE_BYTES; i++) {
        double v = pixels.values[i];
        out->pixel[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    cli_table_clear(&pixels);
    if (code == CLI_OK) code = take_labels(labels, out);
    if (code != CLI_OK) demo_pictures_clear(out);
    return code;
}
