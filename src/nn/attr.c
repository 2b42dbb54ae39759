// SPDX-License-Identifier: Apache-2.0
// Attributes of nodes.
#include "nn/import.h"
#include "nn/tensor.h"
#include <math.h>
#include <string.h>

#define MAX_TEXT 255

// What the supported operators have. An attribute that is not here might change what a node means. A name with two
// kinds had one in old operator sets and has the other in new ones, or two operators have it.
static const struct known {
    const char *name;
    vl_nn_attr_kind kind;
} known[] = {
    {"allowzero", VL_NN_INT},
    {"alpha", VL_NN_FLOAT},
    {"approximate", VL_NN_STRING},
    {"auto_pad", VL_NN_STRING},
    {"axes", VL_NN_INTS},
    {"axis", VL_NN_INT},
    {"beta", VL_NN_FLOAT},
    {"broadcast", VL_NN_INT},
    {"ceil_mode", VL_NN_INT},
    {"count_include_pad", VL_NN_INT},
    {"default_float", VL_NN_FLOAT},
    {"default_int64", VL_NN_INT},
    {"default_string", VL_NN_STRING},
    {"dilations", VL_NN_INTS},
    {"ends", VL_NN_INTS},
    {"epsilon", VL_NN_FLOAT},
    {"fmod", VL_NN_INT},
    {"gamma", VL_NN_FLOAT},
    {"group", VL_NN_INT},
    {"is_test", VL_NN_INT},
    {"keepdims", VL_NN_INT},
    {"kernel_shape", VL_NN_INTS},
    {"keys_floats", VL_NN_FLOATS},
    {"keys_int64s", VL_NN_INTS},
    {"max", VL_NN_FLOAT},
    {"min", VL_NN_FLOAT},
    {"mode", VL_NN_STRING},
    {"momentum", VL_NN_FLOAT},
    {"noop_with_empty_axes", VL_NN_INT},
    {"num_outputs", VL_NN_INT},
    {"pads", VL_NN_INTS},
    {"perm", VL_NN_INTS},
    {"ratio", VL_NN_FLOAT},
    {"saturate", VL_NN_INT},
    {"seed", VL_NN_INT},
    {"select_last_index", VL_NN_INT},
    {"shape", VL_NN_INTS},
    {"spatial", VL_NN_INT},
    {"split", VL_NN_INTS},
    {"starts", VL_NN_INTS},
    {"storage_order", VL_NN_INT},
    {"strides", VL_NN_INTS},
    {"to", VL_NN_INT},
    {"training_mode", VL_NN_INT},
    {"transA", VL_NN_INT},
    {"transB", VL_NN_INT},
    {"value", VL_NN_TENSOR},
    {"value", VL_NN_FLOAT},
    {"value_float", VL_NN_FLOAT},
    {"value_floats", VL_NN_FLOATS},
    {"value_int", VL_NN_INT},
    {"value_ints", VL_NN_INTS},
    {"values_floats", VL_NN_FLOATS},
    {"values_int64s", VL_NN_INTS},
};

static const int wire[] = {
    [VL_NN_INT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
    [VL_NN_FLOAT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
    [VL_NN_INTS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
    [VL_NN_FLOATS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
    [VL_NN_TENSOR] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR,
    [VL_NN_STRING] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING,
};

const vl_nn_attr *vl_nn_find_attr(const vl_nn_node *n, const char *name) {
    for (uint32_t i = 0; i < n->attr_count; i++)
        if (strcmp(n->attr[i].name, name) == 0) return &n->attr[i];
    return NULL;
}

int64_t vl_nn_attr_int(const vl_nn_node *n, const char *name, int64_t otherwise) {
    const vl_nn_attr *a = vl_nn_find_attr(n, name);
    return a ? a->i : otherwise;
}

double vl_nn_attr_float(const vl_nn_node *n, const char *name, double otherwise) {
    const vl_nn_attr *a = vl_nn_find_attr(n, name);
    return a ? a->f : otherwise;
}

bool vl_nn_attr_is(const vl_nn_node *n, const char *name, const char *text, bool otherwise) {
    const vl_nn_attr *a = vl_nn_find_attr(n, name);
    return a && a->text ? strcmp(a->text, text) == 0 : otherwise;
}

static const struct known *find_known(const Onnx__AttributeProto *p) {
    const struct known *first = NULL;
    for (size_t i = 0; p->name && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, p->name) != 0) continue;
        if (!first || (p->has_type && (int)p->type == wire[known[i].kind])) first = &known[i];
    }
    return first;
}

static velum_status load_list(vl_nn_heap *h, const vl_nn_node *n, const Onnx__AttributeProto *p, vl_nn_attr *a) {
    VL_NN_FAIL_IF(p->n_ints > VL_NN_MAX_ELEMENTS || p->n_floats > VL_NN_MAX_ELEMENTS, n, VELUM_E_LIMIT,
                  "attribute '%s' is too long", p->name);
    if (a->kind == VL_NN_INTS) {
        int64_t *copy;
        VL_NN_TAKE(h, copy, p->n_ints);
        for (size_t i = 0; i < p->n_ints; i++) copy[i] = p->ints[i];
        a->ints = copy;
        a->count = (uint32_t)p->n_ints;
        return VELUM_OK;
    }
    double *copy;
    VL_NN_TAKE(h, copy, p->n_floats);
    for (size_t i = 0; i < p->n_floats; i++) {
        copy[i] = (double)p->floats[i];
        VL_NN_FAIL_IF(!isfinite(copy[i]), n, VELUM_E_FORMAT, "attribute '%s' is not finite", p->name);
    }
    a->floats = copy;
    a->count = (uint32_t)p->n_floats;
    return VELUM_OK;
}

static velum_status load_text(vl_nn_heap *h, const vl_nn_node *n, const Onnx__AttributeProto *p, vl_nn_attr *a) {
    VL_NN_FAIL_IF(p->s.len > MAX_TEXT, n, VELUM_E_LIMIT, "attribute '%s' is too long", p->name);
    char *copy;
    VL_NN_TAKE(h, copy, p->s.len + 1);
    if (p->s.len) memcpy(copy, p->s.data, p->s.len);
    a->text = copy;
    return VELUM_OK;
}

velum_status vl_nn_load_attr(vl_nn_heap *h, const vl_nn_node *n, const Onnx__AttributeProto *p, vl_nn_attr *a) {
    const struct known *k = find_known(p);
    VL_NN_FAIL_IF(!k || p->ref_attr_name, n, VELUM_E_UNSUPPORTED, "attribute '%.60s' is not known",
                  p->name ? p->name : "");
    VL_NN_FAIL_IF(p->has_type && (int)p->type != wire[k->kind], n, VELUM_E_FORMAT, "attribute '%s' has type %d",
                  p->name, (int)p->type);
    *a = (vl_nn_attr){.name = k->name, .kind = k->kind};
    bool has = true;
    if (k->kind == VL_NN_INT) {
        has = p->has_i || p->has_type;
        a->i = p->i;
    } else if (k->kind == VL_NN_FLOAT) {
        has = p->has_f || p->has_type;
        a->f = (double)p->f;
        VL_NN_FAIL_IF(!isfinite(a->f), n, VELUM_E_FORMAT, "attribute '%s' is not finite", p->name);
    } else if (k->kind == VL_NN_INTS || k->kind == VL_NN_FLOATS) {
        VL_TRY(load_list(h, n, p, a));
    } else if (k->kind == VL_NN_STRING) {
        has = p->has_s || p->has_type;
        VL_TRY(load_text(h, n, p, a));
    } else {
        vl_nn_tensor *t;
        has = p->t != NULL;
        VL_NN_TAKE(h, t, 1);
        if (has) VL_TRY(vl_nn_tensor_load(h, p->t, n->name, t));
        a->tensor = t;
    }
    VL_NN_FAIL_IF(!has, n, VELUM_E_FORMAT, "attribute '%s' has no value", p->name);
    return VELUM_OK;
}
