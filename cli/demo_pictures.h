// SPDX-License-Identifier: Apache-2.0
// Pictures of 32 x 32 pixels in three colours, with labels: read for the demo, and shown.
#ifndef VELUM_CLI_DEMO_PICTURES_H
#define VELUM_CLI_DEMO_PICTURES_H

#include "demo.h"

#define PICTURE_SIDE 32
#define PICTURE_PIXELS (PICTURE_SIDE * PICTURE_SIDE)
#define PICTURE_BYTES (3 * PICTURE_PIXELS) // red plane, green plane, blue plane, row by row

typedef struct demo_pictures {
    uint64_t count;
    uint8_t *pixel; // count x PICTURE_BYTES
    uint8_t *label; // count
} demo_pictures;
void demo_pictures_clear(demo_pictures *p);
// The last `most` pictures of a batch of CIFAR-10: the original binary format, or packed (.cpk: "CPK1", the number of
// labels a record, the number of records, and an xz stream of labels and of the residuals of a median-edge predictor on
// the planes R-G, G, B-G).
int demo_pictures_cifar(const char *path, uint64_t most, demo_pictures *out);
// The first `most` of a table of 3,072 numbers 0 .. 255 a row; labels from a text with a heading and
// a line a picture, which starts with its label.
int demo_pictures_table(const char *path, const char *labels, uint64_t most, demo_pictures *out);

extern const char *const demo_classes[10];
typedef struct demo_verdict { // of one picture: class numbers
    unsigned label, encrypted, clear;
} demo_verdict;
// `count` pictures side by side, as coloured half blocks of text, names below.
void demo_pictures_print(const demo_pictures *p, const demo_verdict *v, uint64_t count);
// A page with all pictures, self-contained.
int demo_pictures_sheet(const char *path, const char *title, const demo_pictures *p, const demo_verdict *v);

#endif
