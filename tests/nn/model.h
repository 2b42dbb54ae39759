// SPDX-License-Identifier: Apache-2.0
// Small ONNX files made in a test, and a program's answers in the clear.
#ifndef VELUM_TESTS_NN_MODEL_H
#define VELUM_TESTS_NN_MODEL_H

#include "test.h"

#include "nn/nn.h"
#include "runtime/runtime.h"
#include <math.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARTS 256
#define UNUSED __attribute__((unused))

typedef struct model {
    Onnx__ModelProto proto;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset;
    Onnx__OperatorSetIdProto *opsets[1];
    Onnx__NodeProto *nodes[MAX_PARTS];
    Onnx__TensorProto *weights[MAX_PARTS];
    Onnx__ValueInfoProto *inputs[MAX_PARTS], *outputs[4];
    Onnx__StringStringEntryProto *meta[MAX_PARTS];
    void *owned[16 * MAX_PARTS];
    size_t owned_count;
} model;

static UNUSED void *own(model *m, size_t size) {
    void *p = calloc(1, size ? size : 1);
    assert_non_null(p);
    assert_true(m->owned_count < sizeof m->owned / sizeof *m->owned);
    return m->owned[m->owned_count++] = p;
}

static UNUSED char *text(model *m, const char *s) { return strcpy(own(m, strlen(s) + 1), s); }

static UNUSED model *model_new(int64_t opset) {
    model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->proto = (Onnx__ModelProto)ONNX__MODEL_PROTO__INIT;
    m->graph = (Onnx__GraphProto)ONNX__GRAPH_PROTO__INIT;
    m->opset = (Onnx__OperatorSetIdProto)ONNX__OPERATOR_SET_ID_PROTO__INIT;
    m->opset.has_version = 1;
    m->opset.version = opset;
    m->opsets[0] = &m->opset;
    m->proto.opset_import = m->opsets;
    m->proto.n_opset_import = 1;
    m->proto.graph = &m->graph;
    m->proto.metadata_props = m->meta;
    m->graph.node = m->nodes;
    m->graph.initializer = m->weights;
    m->graph.input = m->inputs;
    m->graph.output = m->outputs;
    m->graph.name = text(m, "test");
    return m;
}

static UNUSED void model_free(model *m) {
    for (size_t i = 0; i < m->owned_count; i++) free(m->owned[i]);
    free(m);
}

static UNUSED Onnx__ValueInfoProto *value_info(model *m, const char *name, int type, uint32_t rank,
                                               const int64_t *dims) {
    Onnx__ValueInfoProto *v = own(m, sizeof *v);
    *v = (Onnx__ValueInfoProto)ONNX__VALUE_INFO_PROTO__INIT;
    v->name = text(m, name);
    v->type = own(m, sizeof *v->type);
    *v->type = (Onnx__TypeProto)ONNX__TYPE_PROTO__INIT;
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *t = v->type->tensor_type = own(m, sizeof *t);
    *t = (Onnx__TypeProto__Tensor)ONNX__TYPE_PROTO__TENSOR__INIT;
    t->has_elem_type = 1;
    t->elem_type = type;
    t->shape = own(m, sizeof *t->shape);
    *t->shape = (Onnx__TensorShapeProto)ONNX__TENSOR_SHAPE_PROTO__INIT;
    t->shape->n_dim = rank;
    t->shape->dim = own(m, rank * sizeof *t->shape->dim);
    for (uint32_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i] = own(m, sizeof *d);
        *d = (Onnx__TensorShapeProto__Dimension)ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;
        if (dims[i] < 0) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = text(m, "batch");
        } else {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = dims[i];
        }
    }
    return v;
}

// An input of shape [batch, width], float.
static UNUSED void add_input(model *m, const char *name, int64_t width) {
    m->inputs[m->graph.n_input++] =
        value_info(m, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 2, (int64_t[]){-1, width});
}

static UNUSED void add_output(model *m, const char *name) {
    m->outputs[m->graph.n_output++] = value_info(m, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, (int64_t[]){-1});
}

static UNUSED void add_meta(model *m, const char *key, const char *value) {
    Onnx__StringStringEntryProto *e = own(m, sizeof *e);
    *e = (Onnx__StringStringEntryProto)ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    e->key = text(m, key);
    e->value = text(m, value);
    m->meta[m->proto.n_metadata_props++] = e;
}

static UNUSED Onnx__TensorProto *tensor(model *m, const char *name, uint32_t rank, const int64_t *dims, const float *f,
                                        const int64_t *i) {
    Onnx__TensorProto *t = own(m, sizeof *t);
    size_t count = 1;
    *t = (Onnx__TensorProto)ONNX__TENSOR_PROTO__INIT;
    if (name) t->name = text(m, name);
    t->n_dims = rank;
    t->dims = own(m, rank * sizeof *t->dims);
    for (uint32_t k = 0; k < rank; k++) count *= (size_t)(t->dims[k] = dims[k]);
    t->has_data_type = 1;
    t->data_type = f ? ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT : ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    if (f) {
        t->float_data = own(m, count * sizeof *f);
        memcpy(t->float_data, f, count * sizeof *f);
        t->n_float_data = count;
    } else {
        t->int64_data = own(m, count * sizeof *i);
        for (size_t k = 0; k < count; k++) t->int64_data[k] = i[k];
        t->n_int64_data = count;
    }
    return t;
}

static UNUSED Onnx__TensorProto *add_floats(model *m, const char *name, uint32_t rank, const int64_t *dims,
                                            const float *v) {
    return m->weights[m->graph.n_initializer++] = tensor(m, name, rank, dims, v, NULL);
}

static UNUSED void add_ints(model *m, const char *name, uint32_t rank, const int64_t *dims, const int64_t *v) {
    m->weights[m->graph.n_initializer++] = tensor(m, name, rank, dims, NULL, v);
}

// A float tensor of small pseudo-random weights in [-1/2, 1/2].
static UNUSED void add_random(model *m, const char *name, uint32_t rank, const int64_t *dims, uint32_t seed) {
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    float *v = own(m, count * sizeof *v);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
    add_floats(m, name, rank, dims, v);
}

static UNUSED void split_names(model *m, const char *list, size_t *count, char ***out) {
    char *copy = text(m, list);
    *count = 0;
    *out = own(m, MAX_PARTS * sizeof **out);
    if (!*copy) return;
    for (char *at = copy, *comma; at; at = comma) { // empty names stay: omitted inputs
        comma = strchr(at, ',');
        if (comma) *comma++ = 0;
        (*out)[(*count)++] = at;
    }
}

// Inputs and outputs as "a,b,c".
static UNUSED Onnx__NodeProto *add_node(model *m, const char *type, const char *in, const char *out) {
    Onnx__NodeProto *n = own(m, sizeof *n);
    *n = (Onnx__NodeProto)ONNX__NODE_PROTO__INIT;
    n->op_type = text(m, type);
    n->name = text(m, out);
    split_names(m, in, &n->n_input, &n->input);
    split_names(m, out, &n->n_output, &n->output);
    n->attribute = own(m, 8 * sizeof *n->attribute);
    return m->nodes[m->graph.n_node++] = n;
}

static UNUSED Onnx__AttributeProto *attribute(model *m, Onnx__NodeProto *n, const char *name, int type) {
    Onnx__AttributeProto *a = own(m, sizeof *a);
    *a = (Onnx__AttributeProto)ONNX__ATTRIBUTE_PROTO__INIT;
    a->name = text(m, name);
    a->has_type = 1;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    return n->attribute[n->n_attribute++] = a;
}

static UNUSED void attr_int(model *m, Onnx__NodeProto *n, const char *name, int64_t v) {
    Onnx__AttributeProto *a = attribute(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = v;
}

static UNUSED void attr_float(model *m, Onnx__NodeProto *n, const char *name, float v) {
    Onnx__AttributeProto *a = attribute(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = 1;
    a->f = v;
}

static UNUSED void attr_ints(model *m, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *v) {
    Onnx__AttributeProto *a = attribute(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = count;
    a->ints = own(m, count * sizeof *v);
    memcpy(a->ints, v, count * sizeof *v);
}

static UNUSED void attr_text(model *m, Onnx__NodeProto *n, const char *name, const char *v) {
    Onnx__AttributeProto *a = attribute(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){strlen(v), (uint8_t *)text(m, v)};
}

static UNUSED void attr_floats(model *m, Onnx__NodeProto *n, const char *name, size_t count, const float *v) {
    Onnx__AttributeProto *a = attribute(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    a->n_floats = count;
    a->floats = own(m, count * sizeof *v);
    memcpy(a->floats, v, count * sizeof *v);
}

static UNUSED uint8_t *model_bytes(model *m, size_t *size) {
    *size = onnx__model_proto__get_packed_size(&m->proto);
    uint8_t *b = own(m, *size);
    onnx__model_proto__pack(&m->proto, b);
    return b;
}

static UNUSED void *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *b = malloc(*size + 1);
    assert_non_null(b);
    assert_int_equal(fread(b, 1, *size, f), *size);
    ((char *)b)[*size] = 0;
    fclose(f);
    return b;
}

static UNUSED void table_clear(velum_table *t) {
    for (uint32_t i = 0; t->names && i < t->columns; i++) vl_free(t->names[i]);
    vl_free(t->names);
    vl_free(t->values);
}

// The program's answers, slot by slot in the clear: columns by request. Returns the first failure.
static UNUSED velum_status simulate(const vl_program *p, const velum_table *in, double *answers) {
    const vl_manifest *m = &p->manifest;
    uint32_t columns = vl_manifest_columns(m);
    velum_status status = VELUM_OK;
    for (uint64_t first = 0; first < in->rows && status == VELUM_OK; first += m->in.lanes) {
        uint32_t count = (uint32_t)(in->rows - first < m->in.lanes ? in->rows - first : m->in.lanes);
        double *features = calloc((size_t)count * m->in.dim, sizeof *features);
        double *slots = calloc(m->in.cts * vl_layout_room(&m->in), sizeof *slots);
        double *result = calloc(m->out.cts * vl_layout_room(&m->out), sizeof *result);
        double *y = calloc((size_t)count * m->out.dim, sizeof *y);
        for (uint32_t r = 0; r < count && status == VELUM_OK; r++)
            status = vl_manifest_prologue(m, first + r + 1, in->values + (first + r) * in->columns,
                                          features + (size_t)r * m->in.dim);
        for (uint32_t i = 0; i < m->in.cts; i++)
            vl_layout_pack(&m->in, i, features, count, slots + i * vl_layout_room(&m->in));
        if (status == VELUM_OK) status = vl_sim_run(p, slots, result);
        for (uint32_t i = 0; i < m->out.cts; i++)
            vl_layout_unpack(&m->out, i, result + i * vl_layout_room(&m->out), count, y);
        for (uint32_t r = 0; r < count; r++) {
            vl_manifest_epilogue(m, y + (size_t)r * m->out.dim);
            memcpy(answers + (first + r) * columns, y + (size_t)r * m->out.dim, columns * sizeof *y);
        }
        free(features);
        free(slots);
        free(result);
        free(y);
    }
    return status;
}

// Compiles, verifies, runs in the clear and compares with the evaluation of the graph.
static UNUSED void check_program(const void *onnx, size_t size, const velum_table *in, velum_target target,
                                 uint64_t batch) {
    velum_compile_options opt = {.target = target, .batch = batch};
    vl_program p = {0};
    velum_table want = {0};
    velum_status status = vl_nn_compile(onnx, size, &opt, &p);
    if (status != VELUM_OK) fail_msg("compile: %s", velum_last_error());
    assert_int_equal(vl_program_verify(&p), VELUM_OK);
    status = vl_nn_evaluate(onnx, size, in, &want);
    if (status != VELUM_OK) fail_msg("evaluate: %s", velum_last_error());
    assert_int_equal(want.columns, vl_manifest_columns(&p.manifest));
    double *got = calloc(want.rows * want.columns, sizeof *got);
    status = simulate(&p, in, got);
    if (status != VELUM_OK) fail_msg("simulate: %s", velum_last_error());
    for (uint64_t i = 0; i < want.rows * want.columns; i++)
        if (!(fabs(got[i] - want.values[i]) <= 1e-9 * (1 + fabs(want.values[i]))))
            fail_msg("answer %llu is %.15g, must be %.15g", (unsigned long long)i, got[i], want.values[i]);
    free(got);
    table_clear(&want);
    vl_program_clear(&p);
}

#endif
