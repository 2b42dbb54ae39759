// SPDX-License-Identifier: Apache-2.0
// Two ways through a model: lowering says which of its values each operation of a program stands for, and the graph as
// it was imported says what they are.
#include "nn/origins.h"
#include "nn/lower.h"
#include "nn/nn.h"
#include "nn/passes.h"
#include <math.h>

typedef struct origin {
    const char *operation, *node;
    uint32_t value;         // 1 + that of the graph; 0: none
    uint32_t n, whole;      // elements that are read, and that the value has
    uint32_t extent;        // places in the program
    const uint32_t *number; // by element that is read: its number in the value; NULL: the same
    const uint32_t *place;  // and where it lies; NULL: the same
    double *row;            // by place
} origin;

typedef struct origins {
    vl_nn_graph read, lowered; // as imported; as compiled
    vl_nn_lowered l;
    velum_packing packing;
    origin *list;
    uint32_t count;
    velum_origin_fn each;
    void *user;
} origins;

static const char *maker_of(const vl_nn_graph *g, uint32_t value) {
    for (uint32_t i = 0; i < g->node_count; i++)
        for (uint32_t k = 0; k < g->nodes[i].out_count; k++)
            if (g->nodes[i].out[k] == value) return g->nodes[i].name[0] ? g->nodes[i].name : g->nodes[i].type;
    return g->value_name[value];
}

static void place_elements(velum_packing packing, const vl_nn_base *b, origin *o) {
    o->number = b->kept;
    if (b->kept) o->whole = b->whole;
    if (packing == VELUM_PICTURES) {
        o->place = o->number;
        o->extent = o->whole;
    } else if (packing == VELUM_PACKED) {
        o->place = b->position;
        o->extent = b->extent;
    }
}

// b: the base whose elements it has; NULL: the output.
static velum_status add(origins *s, const char *operation, uint32_t value, const vl_nn_base *b) {
    const uint32_t n = b ? b->n : s->l.output->n;
    origin *made = &s->list[s->count++];
    if (value > s->read.value_count) value = 0; // of a pass's own
    *made = (origin){.operation = operation,
                     .node = value ? maker_of(&s->read, value - 1) : "",
                     .value = value,
                     .n = n,
                     .whole = n,
                     .extent = n};
    if (b) place_elements(s->packing, b, made);
    VL_NN_TAKE(&s->read.heap, made->row, made->extent);
    return VELUM_OK;
}

// The operations of a base, as plan.c and pictures_emit.c name them.
static velum_status add_base(origins *s, const vl_nn_base *b) {
    for (uint32_t k = 0; k < 2 && b->arg[k]; k++) {
        const vl_nn_form *f = b->arg[k];
        VL_TRY(add(s, f->label[0] ? f->label : b->label, f->stands_for, b));
    }
    return b->kind == VL_NN_BASE_COPY ? VELUM_OK : add(s, b->label, b->stands_for, b);
}

static velum_status list_origins(origins *s) {
    const vl_nn_form *output = s->l.output;
    VL_NN_TAKE(&s->read.heap, s->list, 3 * (size_t)s->l.base_count + 2);
    for (uint32_t i = 1; i < s->l.base_count; i++) VL_TRY(add_base(s, &s->l.base[i]));
    VL_TRY(add(s, output->label[0] ? output->label : "outputs", output->stands_for, NULL));
    return s->packing == VELUM_SPREAD ? VELUM_OK : add(s, "outputs", output->stands_for, NULL);
}

static void show(void *arg, uint64_t row, const vl_nn_tensor *value) {
    const origins *s = arg;
    for (uint32_t k = 0; k < s->count; k++) {
        const origin *o = &s->list[k];
        const vl_nn_tensor *t = o->value ? &value[o->value - 1] : NULL;
        for (uint32_t i = 0; i < o->extent; i++) o->row[i] = NAN;
        for (uint32_t i = 0; t && t->v && t->count == o->whole && i < o->n; i++)
            o->row[o->place ? o->place[i] : i] = t->v[o->number ? o->number[i] : i];
        s->each(s->user, k, row, &(velum_origin){o->operation, o->node, o->extent, o->row});
    }
}

static velum_status run(origins *s, const void *onnx, size_t size, const velum_table *in, velum_table *out) {
    vl_nn_pass_report report;
    VL_TRY(vl_nn_import(onnx, size, &s->read));
    VL_TRY(vl_nn_import(onnx, size, &s->lowered));
    VL_TRY(vl_nn_passes(&s->lowered, &report));
    VL_TRY(vl_nn_lower(&s->lowered, s->packing == VELUM_PACKED, &s->l));
    VL_TRY(list_origins(s));
    return vl_nn_evaluate_values(&s->read, in, show, s, out);
}

velum_status vl_nn_evaluate_origins(const void *onnx, size_t size, velum_packing packing, const velum_table *in,
                                    velum_origin_fn each, void *user, velum_table *out) {
    origins s = {.packing = packing, .each = each, .user = user};
    velum_status status = run(&s, onnx, size, in, out);
    vl_nn_graph_clear(&s.read);
    vl_nn_graph_clear(&s.lowered);
    return status;
}
