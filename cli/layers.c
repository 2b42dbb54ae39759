// SPDX-License-Identifier: Apache-2.0
#include "layers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LAYERS 65536u
#define MOST_BYTES ((uint64_t)2 << 30)

// Room for layer number `layer`.
static bool make_room(cli_layers *l, uint32_t layer) {
    if (layer < l->room) return true;
    if (layer >= MOST_LAYERS) return false;
    uint32_t room = 2 * layer + 64;
    cli_layer *more = realloc(l->layer, room * sizeof *more);
    if (!more) return false;
    memset(more + l->room, 0, (room - l->room) * sizeof *more);
    l->layer = more;
    l->room = room;
    return true;
}

void cli_layers_take(void *layers, uint32_t layer, const char *name, uint64_t row, const double *values,
                     uint64_t count) {
    cli_layers *l = layers;
    if (row >= CLI_LAYER_ROWS || l->over) return;
    if (!make_room(l, layer)) {
        l->over = true;
        return;
    }
    cli_layer *at = &l->layer[layer];
    if (layer >= l->count) l->count = layer + 1;
    if (!at->values) {
        uint64_t bytes = count * CLI_LAYER_ROWS * sizeof *values;
        snprintf(at->name, sizeof at->name, "%s", name);
        if (bytes > MOST_BYTES - l->bytes || !(at->values = malloc(bytes ? bytes : 1))) {
            l->over = true;
            return;
        }
        l->bytes += bytes;
        at->count = count;
    }
    if (at->count != count || at->rows != row) return; // another output of the same node
    memcpy(at->values + row * count, values, count * sizeof *values);
    at->rows++;
}

void cli_layers_take_origin(void *layers, uint32_t number, uint64_t row, const velum_origin *origin) {
    cli_layers *l = layers;
    cli_layers_take(l, number, origin->operation, row, origin->values, origin->count);
    if (row == 0 && number < l->count) snprintf(l->layer[number].node, sizeof l->layer->node, "%s", origin->node);
}

void cli_layers_clear(cli_layers *layers) {
    for (uint32_t i = 0; i < layers->count; i++) free(layers->layer[i].values);
    free(layers->layer);
    *layers = (cli_layers){0};
}

// ---- origins ----

// The last of those in a row that have the name of number i.
static uint32_t last_of_name(const cli_layers *l, uint32_t i) {
    while (i + 1 < l->count && strcmp(l->layer[i + 1].name, l->layer[i].name) == 0) i++;
    return i;
}

static bool match_in_order(const cli_layers *origins, const cli_layers *program, uint32_t *of) {
    uint32_t i = 0, k = 0;
    while (i < program->count && k < origins->count) {
        if (strcmp(origins->layer[k].name, program->layer[i].name) != 0) return false;
        i = last_of_name(program, i);
        k = last_of_name(origins, k);
        of[i++] = ++k;
    }
    return i == program->count && k == origins->count;
}

static void match_last(const cli_layers *origins, const cli_layers *program, uint32_t *of) {
    for (uint32_t i = 0; i < program->count; i++) {
        bool last = true;
        for (uint32_t k = i + 1; k < program->count; k++)
            last = last && strcmp(program->layer[k].name, program->layer[i].name) != 0;
        of[i] = 0;
        for (uint32_t k = 0; last && k < origins->count; k++)
            if (strcmp(origins->layer[k].name, program->layer[i].name) == 0) of[i] = k + 1;
    }
}

void cli_origins_match(const cli_layers *origins, const cli_layers *program, uint32_t **of) {
    *of = calloc(program->count + 1u, sizeof **of);
    if (*of && !match_in_order(origins, program, *of)) match_last(origins, program, *of);
}

// Of an element over the rows, n apart; x: the model's, y: the program's. *size: the largest |x| so far.
static double departure_at(uint64_t rows, uint64_t n, const double *x, const double *y, double *size) {
    double mx = 0, my = 0, xy = 0, yy = 0, worst = 0;
    for (uint64_t r = 0; r < rows; r++) {
        mx += x[r * n] / (double)rows;
        my += y[r * n] / (double)rows;
        *size = fmax(*size, fabs(x[r * n]));
    }
    for (uint64_t r = 0; r < rows; r++) {
        xy += (x[r * n] - mx) * (y[r * n] - my);
        yy += (y[r * n] - my) * (y[r * n] - my);
    }
    double a = yy > 0 ? xy / yy : 0;
    for (uint64_t r = 0; r < rows; r++) {
        double off = fabs(x[r * n] - mx - a * (y[r * n] - my));
        worst = off <= worst ? worst : off; // NaN counts
    }
    return worst;
}

static bool is_read(const cli_layer *origin, uint64_t element) {
    for (uint64_t r = 0; r < origin->rows; r++)
        if (!isnan(origin->values[r * origin->count + element])) return true;
    return false;
}

double cli_origins_departure(const cli_layer *origin, const cli_layer *program, const char **why) {
    double worst = 0, size = 1;
    uint64_t read = 0;
    *why = program->rows < CLI_LAYER_LEAST                                    ? "too few rows"
           : origin->count != program->count || origin->rows != program->rows ? "no node of the model has its size"
                                                                              : NULL;
    for (uint64_t e = 0; !*why && e < program->count; e++) {
        if (!is_read(origin, e)) continue;
        double off = departure_at(program->rows, program->count, origin->values + e, program->values + e, &size);
        worst = off <= worst ? worst : off;
        read++;
    }
    if (!*why && read == 0) *why = "no node of the model has its values";
    return *why ? INFINITY : worst / size;
}

// ---- runs of the program compared with its simulation ----

int cli_offs_init(const cli_layers *clear, cli_offs *out) {
    *out = (cli_offs){.clear = clear, .off = calloc(clear->count + 1u, sizeof *out->off)};
    return out->off ? CLI_OK : cli_fail(CLI_OTHER, "out of memory");
}

void cli_offs_clear(cli_offs *offs) {
    free(offs->off);
    *offs = (cli_offs){0};
}

void cli_offs_take(void *offs, uint32_t layer, const char *name, uint64_t row, const double *values, uint64_t count) {
    const cli_offs *o = offs;
    (void)name;
    if (layer >= o->clear->count) return;
    const cli_layer *clear = &o->clear->layer[layer];
    if (!clear->values || clear->count != count || row >= clear->rows) return;
    cli_off *off = &o->off[layer];
    const double *at = clear->values + row * count;
    for (uint64_t i = 0; i < count; i++) {
        double d = fabs(values[i] - at[i]);
        off->square += d * d;
        off->worst = d <= off->worst ? off->worst : d; // NaN stays
    }
    off->count += count;
}

static double size_of(const cli_layer *l) {
    double size = 1;
    for (uint64_t i = 0; i < l->rows * l->count; i++) size = fmax(size, fabs(l->values[i]));
    return size;
}

double cli_offs_deviation(const cli_offs *offs, uint32_t layer) {
    const cli_off *o = &offs->off[layer];
    return o->count ? sqrt(o->square / (double)o->count) / size_of(&offs->clear->layer[layer]) : NAN;
}

double cli_offs_worst(const cli_offs *offs, uint32_t layer) {
    const cli_off *o = &offs->off[layer];
    return o->count ? o->worst / size_of(&offs->clear->layer[layer]) : NAN;
}
