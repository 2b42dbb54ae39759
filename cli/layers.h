// SPDX-License-Identifier: Apache-2.0
// What a model's and a program's layers compute for the same rows, side by side.
#ifndef VELUM_CLI_LAYERS_H
#define VELUM_CLI_LAYERS_H

#include "cli.h"

#define CLI_LAYER_ROWS 32 // that are looked at
#define CLI_LAYER_LEAST 4 // fewer rows say nothing about a layer, whose scale and shift are not known

typedef struct cli_layer {
    char name[128], node[128]; // node: of the model, that an origin is the output of
    uint64_t count, rows;
    double *values; // CLI_LAYER_ROWS x count
} cli_layer;
typedef struct cli_layers {
    uint32_t count, room;
    cli_layer *layer; // by number
    bool over;        // out of memory, or more than CLI_LAYERS_BYTES
    uint64_t bytes;
} cli_layers;
void cli_layers_take(void *layers, uint32_t layer, const char *name, uint64_t row, const double *values,
                     uint64_t count); // a velum_layer_fn
void cli_layers_take_origin(void *layers, uint32_t number, uint64_t row, const velum_origin *origin);
void cli_layers_clear(cli_layers *layers);

// Which origin each of a program's layers has: 1 + its number, 0 for none, program->count of them in *of, to be freed.
// Several layers of one name in a row are the parts of one operation, and the last of them has the origin. Where names
// do not agree all the way (refreshed values, activations that turned out to be idle) the last layer of a name has the
// last origin of that name, and others have none. NULL: out of memory.
void cli_origins_match(const cli_layers *origins, const cli_layers *program, uint32_t **of);
// How far a program's layer is from its origin. The largest |x - (a y + b)| over rows and elements that are read, x the
// model's and y the program's values, a and b by least squares for each element; relative to the largest |x| where that
// is above 1. *why: NULL, or what keeps them from being compared.
double cli_origins_departure(const cli_layer *origin, const cli_layer *program, const char **why);

// By how much an encrypted or noisy run is off what the program computes in the clear.
typedef struct cli_off {
    double square, worst; // sum of squares; largest
    uint64_t count;
} cli_off;
typedef struct cli_offs {
    const cli_layers *clear; // compared with; its rows
    cli_off *off;            // clear->count
} cli_offs;
int cli_offs_init(const cli_layers *clear, cli_offs *out);
void cli_offs_take(void *offs, uint32_t layer, const char *name, uint64_t row, const double *values,
                   uint64_t count); // a velum_layer_fn
// Deviation and largest difference in a layer, relative to its largest number in the clear where that is above 1. NAN
// if none was compared.
double cli_offs_deviation(const cli_offs *offs, uint32_t layer);
double cli_offs_worst(const cli_offs *offs, uint32_t layer);
void cli_offs_clear(cli_offs *offs);

#endif
