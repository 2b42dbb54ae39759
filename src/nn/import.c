// SPDX-License-Identifier: Apache-2.0
// From the protobuf messages to our own graph.
#include "nn/import.h"
#include "nn/passes.h"
#include "nn/tensor.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void vl_nn_graph_clear(vl_nn_graph *g) {
    vl_nn_heap_clear(&g->heap);
    *g = (vl_nn_graph){0};
}

velum_status vl_nn_fail_at(const vl_nn_node *n, velum_status code, const char *format, ...) {
    char text[384];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return VL_FAIL(code, "node '%.120s' (%s): %s", n->name, n->type, text);
}

// ---- values by name ----

static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 16777619u;
    return h;
}

// Its slot, or the free one where it would go.
static uint32_t slot_of(const vl_nn_importer *im, const char *name) {
    uint32_t i = hash(name) & im->table.mask;
    while (im->table.slot[i] != VL_NN_NONE && strcmp(im->g->value_name[im->table.slot[i]], name) != 0)
        i = (i + 1) & im->table.mask;
    return i;
}

uint32_t vl_nn_find_value(const vl_nn_importer *im, const char *name) { return im->table.slot[slot_of(im, name)]; }

velum_status vl_nn_value_of(vl_nn_importer *im, const char *name, uint32_t *out) {
    vl_nn_graph *g = im->g;
    *out = VL_NN_NONE;
    if (!name || !name[0]) return VELUM_OK;
    uint32_t i = slot_of(im, name);
    if (im->table.slot[i] != VL_NN_NONE) {
        *out = im->table.slot[i];
        return VELUM_OK;
    }
    VL_FAIL_IF(g->value_count == g->value_room, VELUM_E_INTERNAL, "model: value table");
    char *copy = vl_nn_copy_text(&g->heap, name);
    if (!copy) return vl_nn_out_of(&g->heap, "names");
    g->value_name[g->value_count] = copy;
    *out = im->table.slot[i] = g->value_count++;
    return VELUM_OK;
}

static bool is_loop(const Onnx__NodeProto *p) {
    return p->op_type && strcmp(p->op_type, "Loop") == 0 && (!p->domain || !p->domain[0]);
}

static velum_status count_values(const Onnx__GraphProto *p, uint32_t *values, uint32_t *nodes) {
    uint64_t n = 1 + p->n_input + p->n_initializer + p->n_output;
    for (size_t i = 0; i < p->n_node; i++)
        n += p->node[i]->n_input + p->node[i]->n_output + (is_loop(p->node[i]) ? VL_NN_BAG_VALUES : 0);
    VL_FAIL_IF(n > 4u * VL_NN_MAX_NODES, VELUM_E_LIMIT, "model: %llu values", (unsigned long long)n);
    *values = (uint32_t)n;
    *nodes = (uint32_t)p->n_node;
    for (size_t i = 0; i < p->n_node; i++) *nodes += is_loop(p->node[i]) ? VL_NN_BAG_NODES - 1 : 0;
    return VELUM_OK;
}

// ---- parts ----

static velum_status load_initializers(vl_nn_importer *im, const Onnx__GraphProto *p) {
    vl_nn_graph *g = im->g;
    VL_FAIL_IF(p->n_sparse_initializer, VELUM_E_UNSUPPORTED, "model: sparse weights; store them dense");
    for (size_t i = 0; i < p->n_initializer; i++) {
        const Onnx__TensorProto *t = p->initializer[i];
        uint32_t v;
        VL_TRY(vl_nn_value_of(im, t->name, &v));
        VL_FAIL_IF(v == VL_NN_NONE || im->written[v], VELUM_E_FORMAT,
                   "model: initializer '%.120s' has no name or is there twice", t->name ? t->name : "");
        vl_nn_tensor *c;
        VL_NN_TAKE(&g->heap, c, 1);
        VL_TRY(vl_nn_tensor_load(&g->heap, t, g->value_name[v], c));
        g->constant[v] = c;
        im->written[v] = true;
    }
    return VELUM_OK;
}

static velum_status load_input(vl_nn_importer *im, const Onnx__ValueInfoProto *p, uint32_t v) {
    vl_nn_graph *g = im->g;
    const char *name = g->value_name[v];
    const Onnx__TypeProto *type = p->type;
    VL_FAIL_IF(!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type->shape,
               VELUM_E_UNSUPPORTED, "model: input '%.120s' has no tensor shape", name);
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    int64_t dims[VL_NN_MAX_RANK];
    VL_FAIL_IF(shape->n_dim == 0 || shape->n_dim > VL_NN_MAX_RANK, VELUM_E_UNSUPPORTED,
               "model: input '%.120s' has %zu axes; the first must be the batch", name, shape->n_dim);
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        bool literal = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        VL_FAIL_IF(i > 0 && !literal, VELUM_E_UNSUPPORTED, "model: extent %zu of input '%.120s' is not a number", i,
                   name);
        VL_FAIL_IF(literal && (d->dim_value < 1 || d->dim_value > INT32_MAX), VELUM_E_FORMAT,
                   "model: extent %zu of input '%.120s' is %lld", i, name, (long long)d->dim_value);
        dims[i] = i == 0 ? 1 : d->dim_value;
        if (i == 0 && literal) g->fixed_batch = (uint32_t)d->dim_value;
    }
    int element = type->tensor_type->has_elem_type ? type->tensor_type->elem_type : 0;
    bool whole = element == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || element == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    VL_FAIL_IF(!whole && element != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
                   element != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE,
               VELUM_E_UNSUPPORTED, "model: input '%.120s' has element type %d; float, double, int64 and int32 work",
               name, element);
    vl_nn_port *port = &g->inputs[g->input_count++];
    *port = (vl_nn_port){.value = v, .name = name};
    VL_TRY(vl_nn_tensor_shape(name, (uint32_t)shape->n_dim, dims, &port->shape));
    port->shape.batched = true;
    port->shape.integer = whole;
    return VELUM_OK;
}

static velum_status load_inputs(vl_nn_importer *im, const Onnx__GraphProto *p) {
    vl_nn_graph *g = im->g;
    VL_NN_TAKE(&g->heap, g->inputs, p->n_input);
    for (size_t i = 0; i < p->n_input; i++) {
        uint32_t v;
        VL_TRY(vl_nn_value_of(im, p->input[i]->name, &v));
        VL_FAIL_IF(v == VL_NN_NONE, VELUM_E_FORMAT, "model: input %zu has no name", i);
        if (g->constant[v]) continue; // old files list their weights as inputs too
        VL_FAIL_IF(im->written[v], VELUM_E_FORMAT, "model: input '%.120s' is there twice", g->value_name[v]);
        im->written[v] = true;
        VL_TRY(load_input(im, p->input[i], v));
    }
    VL_FAIL_IF(g->input_count == 0, VELUM_E_UNSUPPORTED, "model: no inputs");
    return VELUM_OK;
}

static bool find_opcode(const char *type, vl_nn_opcode *op) {
    static const char *const text[] = {
#define X(name) #name,
        VL_NN_OP_LIST(X)
#undef X
    };
    for (unsigned i = 0; i < VL_NN_OPCODES; i++)
        if (strcmp(type, text[i]) == 0) {
            *op = (vl_nn_opcode)i;
            return true;
        }
    return false;
}

// A node's text and operator; its values and attributes are still to come.
static velum_status open_node(vl_nn_importer *im, const Onnx__NodeProto *p, uint32_t index, vl_nn_node *n) {
    vl_nn_graph *g = im->g;
    vl_nn_heap *h = &g->heap;
    char fallback[32];
    snprintf(fallback, sizeof fallback, "#%u", index);
    const char *type = p->op_type ? p->op_type : "";
    n->name = vl_nn_copy_text(h, p->name && p->name[0] ? p->name : fallback);
    n->type = vl_nn_copy_text(h, type);
    if (!n->name || !n->type) return vl_nn_out_of(h, "names");
    bool learning = p->domain && strcmp(p->domain, "ai.onnx.ml") == 0, encoder = strcmp(type, "LabelEncoder") == 0;
    bool standard = !p->domain || !p->domain[0] || strcmp(p->domain, "ai.onnx") == 0;
    VL_NN_FAIL_IF(!standard && !learning, n, VELUM_E_UNSUPPORTED,
                  "operator set '%.60s' is not supported; export with the standard operators", p->domain);
    if (learning == encoder && find_opcode(type, &n->op)) return VELUM_OK;
    const char *hint = vl_nn_hint(type);
    return VL_NN_FAIL(n, VELUM_E_UNSUPPORTED, "%s%s", strstr(hint, "not supported") ? "" : "not supported; ", hint);
}

static velum_status load_inputs_of(vl_nn_importer *im, const Onnx__NodeProto *p, vl_nn_node *n) {
    n->in_count = (uint32_t)p->n_input;
    VL_NN_TAKE(&im->g->heap, n->in, n->in_count);
    for (uint32_t i = 0; i < n->in_count; i++) {
        VL_TRY(vl_nn_value_of(im, p->input[i], &n->in[i]));
        VL_NN_FAIL_IF(n->in[i] != VL_NN_NONE && !im->written[n->in[i]], n, VELUM_E_FORMAT,
                      "reads '%.120s' before anything gives it (missing, or the nodes form a cycle)", p->input[i]);
    }
    return VELUM_OK;
}

static velum_status load_outputs_of(vl_nn_importer *im, const Onnx__NodeProto *p, vl_nn_node *n) {
    n->out_count = (uint32_t)p->n_output;
    VL_NN_TAKE(&im->g->heap, n->out, n->out_count);
    VL_NN_FAIL_IF(n->out_count == 0, n, VELUM_E_FORMAT, "no outputs");
    for (uint32_t i = 0; i < n->out_count; i++) {
        VL_TRY(vl_nn_value_of(im, p->output[i], &n->out[i]));
        if (n->out[i] == VL_NN_NONE) continue;
        VL_NN_FAIL_IF(im->written[n->out[i]], n, VELUM_E_FORMAT, "writes '%.120s' a second time", p->output[i]);
        im->written[n->out[i]] = true;
    }
    return VELUM_OK;
}

static velum_status load_attributes(vl_nn_importer *im, const Onnx__NodeProto *p, vl_nn_node *n) {
    vl_nn_heap *h = &im->g->heap;
    VL_NN_FAIL_IF(p->n_attribute > 64, n, VELUM_E_LIMIT, "%zu attributes", p->n_attribute);
    VL_NN_TAKE(h, n->attr, p->n_attribute);
    for (size_t i = 0; i < p->n_attribute; i++) {
        VL_TRY(vl_nn_load_attr(h, n, p->attribute[i], &n->attr[i]));
        VL_NN_FAIL_IF(vl_nn_find_attr(n, n->attr[i].name), n, VELUM_E_FORMAT, "attribute '%s' is there twice",
                      n->attr[i].name);
        n->attr_count++;
    }
    return VELUM_OK;
}

// What is not supported is collected, so that one run names all of it.
static velum_status load_node(vl_nn_importer *im, const Onnx__NodeProto *p, uint32_t index) {
    vl_nn_graph *g = im->g;
    vl_nn_node n = {0};
    velum_status status = open_node(im, p, index, &n);
    if (status != VELUM_OK && status != VELUM_E_UNSUPPORTED) return status;
    bool loop = is_loop(p);
    VL_TRY(load_inputs_of(im, p, &n));
    VL_TRY(load_outputs_of(im, p, &n));
    if (loop) return vl_nn_collect(&im->problems, vl_nn_import_bag(im, p, &n));
    if (status == VELUM_OK) status = load_attributes(im, p, &n);
    if (status != VELUM_OK) return vl_nn_collect(&im->problems, status);
    for (uint32_t k = 0; k < n.out_count; k++)
        if (n.out[k] != VL_NN_NONE) im->producer[n.out[k]] = g->node_count;
    g->nodes[g->node_count++] = n;
    return VELUM_OK;
}

static velum_status load_meta(vl_nn_graph *g, const Onnx__ModelProto *m) {
    VL_FAIL_IF(m->n_metadata_props > VL_NN_MAX_NODES, VELUM_E_LIMIT, "model: %zu metadata entries",
               m->n_metadata_props);
    VL_NN_TAKE(&g->heap, g->meta, m->n_metadata_props);
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *e = m->metadata_props[i];
        vl_nn_meta *t = &g->meta[g->meta_count++];
        t->key = vl_nn_copy_text(&g->heap, e->key ? e->key : "");
        t->value = vl_nn_copy_text(&g->heap, e->value ? e->value : "");
        if (!t->key || !t->value) return vl_nn_out_of(&g->heap, "metadata");
    }
    return VELUM_OK;
}

const char *vl_nn_find_meta(const vl_nn_graph *g, const char *prefix, const char *name) {
    size_t n = strlen(prefix);
    for (uint32_t i = 0; i < g->meta_count; i++)
        if (strncmp(g->meta[i].key, prefix, n) == 0 && strcmp(g->meta[i].key + n, name) == 0) return g->meta[i].value;
    return NULL;
}

static velum_status load_graph(vl_nn_importer *im, const Onnx__ModelProto *m) {
    vl_nn_graph *g = im->g;
    const Onnx__GraphProto *p = m->graph;
    VL_FAIL_IF(!p, VELUM_E_FORMAT, "model: no graph; is this an ONNX file?");
    VL_FAIL_IF(m->n_functions || m->n_training_info, VELUM_E_UNSUPPORTED,
               "model: local functions or training information");
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = m->opset_import[i];
        if (!o->domain || !o->domain[0] || strcmp(o->domain, "ai.onnx") == 0)
            g->opset = o->has_version ? o->version : 0;
    }
    VL_FAIL_IF(g->opset < 7, VELUM_E_UNSUPPORTED, "model: operator set %lld, must be 7 or later", (long long)g->opset);
    VL_FAIL_IF(p->n_node > VL_NN_MAX_NODES, VELUM_E_LIMIT, "model: %zu nodes, the limit is %d", p->n_node,
               VL_NN_MAX_NODES);
    uint32_t nodes;
    VL_TRY(count_values(p, &g->value_room, &nodes));
    uint32_t slots = 16;
    while (slots < 2 * g->value_room) slots *= 2;
    im->table.mask = slots - 1;
    VL_NN_TAKE(&g->heap, im->table.slot, slots);
    for (uint32_t i = 0; i < slots; i++) im->table.slot[i] = VL_NN_NONE;
    VL_NN_TAKE(&g->heap, g->value_name, g->value_room);
    VL_NN_TAKE(&g->heap, g->constant, g->value_room);
    VL_NN_TAKE(&g->heap, im->written, g->value_room);
    VL_NN_TAKE(&g->heap, im->producer, g->value_room);
    memset(im->producer, 0xff, g->value_room * sizeof *im->producer);
    VL_NN_TAKE(&g->heap, g->nodes, nodes);
    g->imported = (uint32_t)p->n_node;
    if (!(g->name = vl_nn_copy_text(&g->heap, p->name ? p->name : ""))) return vl_nn_out_of(&g->heap, "names");
    VL_TRY(load_meta(g, m));
    VL_TRY(load_initializers(im, p));
    VL_TRY(load_inputs(im, p));
    for (size_t i = 0; i < p->n_node; i++) VL_TRY(load_node(im, p->node[i], (uint32_t)i));
    VL_TRY(vl_nn_problems_end(&im->problems));
    VL_FAIL_IF(p->n_output != 1, VELUM_E_UNSUPPORTED, "model: %zu outputs; one works (Concat joins several)",
               p->n_output);
    VL_TRY(vl_nn_value_of(im, p->output[0]->name, &g->output));
    VL_FAIL_IF(g->output == VL_NN_NONE || !im->written[g->output], VELUM_E_FORMAT,
               "model: nothing gives its output '%.120s'", p->output[0]->name ? p->output[0]->name : "");
    return vl_nn_sweep(g);
}

velum_status vl_nn_import(const void *onnx, size_t size, vl_nn_graph *out) {
    VL_TRY(vl_nn_guard(onnx, size));
    Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, size, onnx);
    VL_FAIL_IF(!m, VELUM_E_FORMAT, "model: not an ONNX file, or cut short");
    vl_nn_graph g = {.heap = {.limit = VL_NN_HEAP}};
    vl_nn_importer im = {.g = &g};
    velum_status status = load_graph(&im, m);
    onnx__model_proto__free_unpacked(m, NULL);
    if (status != VELUM_OK) {
        vl_nn_graph_clear(&g);
        return status;
    }
    *out = g;
    return VELUM_OK;
}
