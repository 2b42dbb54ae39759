// SPDX-License-Identifier: Apache-2.0
// The Loop that PyTorch (1.8 to 2.x, the TorchScript exporter) writes for nn.EmbeddingBag on [requests, k] indices.
//
// Outside: flat = Reshape(x, [-1]); offsets = [0, k, 2k, ..., count of flat]; ends = offsets[1:]; one iteration a bag:
//   reduce(Gather(table, flat[offsets[i] : ends[i]]), axis 0)    reduce: ReduceSum (mode sum) or ReduceMean (mode mean)
// It is the same as reduce(Gather(table, Reshape(x, [-1, k])), axis 1), which keeps requests apart. The nodes that made
// flat and the offsets are read by nothing then.
#include "nn/import.h"
#include "nn/passes.h"
#include <string.h>

typedef struct loop {
    vl_nn_importer *im;
    const Onnx__GraphProto *body;
} loop;

static const Onnx__NodeProto *inner(const loop *l, const char *value, const char *type) {
    for (size_t i = 0; i < l->body->n_node; i++) {
        const Onnx__NodeProto *n = l->body->node[i];
        for (size_t k = 0; k < n->n_output; k++)
            if (strcmp(n->output[k], value) == 0) return n->op_type && strcmp(n->op_type, type) == 0 ? n : NULL;
    }
    return NULL;
}

// The node outside that gives a value; conversions between number types are looked through.
static const vl_nn_node *outer(const loop *l, uint32_t value, vl_nn_opcode op) {
    const vl_nn_node *n = NULL;
    do {
        uint32_t at = value == VL_NN_NONE ? VL_NN_NONE : l->im->producer[value];
        n = at == VL_NN_NONE ? NULL : &l->im->g->nodes[at];
        bool cast = n && n->op == VL_NN_Cast && n->in_count == 1;
        if (!cast) break;
        value = n->in[0];
    } while (true);
    return n && n->op == op && n->out[0] == value ? n : NULL;
}

// Values of a constant outside: an initializer or a Constant node.
static const vl_nn_tensor *outer_constant(const loop *l, uint32_t value) {
    if (value == VL_NN_NONE) return NULL;
    if (l->im->g->constant[value]) return l->im->g->constant[value];
    const vl_nn_node *n = outer(l, value, VL_NN_Constant);
    return n && n->attr_count == 1 && n->attr[0].kind == VL_NN_TENSOR ? n->attr[0].tensor : NULL;
}

static bool is_number(const vl_nn_tensor *t, double v) { return t && t->count == 1 && t->v[0] == v; }

static uint32_t value_outside(const loop *l, const char *name) {
    for (size_t i = 0; i < l->body->n_node; i++) // shadowed by a value of the body
        for (size_t k = 0; k < l->body->node[i]->n_output; k++)
            if (strcmp(l->body->node[i]->output[k], name) == 0) return VL_NN_NONE;
    return vl_nn_find_value(l->im, name);
}

// [0] as a Constant of the body or a constant outside.
static bool is_zero(const loop *l, const char *name) {
    const Onnx__NodeProto *n = inner(l, name, "Constant");
    if (!n) return is_number(outer_constant(l, value_outside(l, name)), 0);
    const Onnx__AttributeProto *a = n->n_attribute == 1 ? n->attribute[0] : NULL;
    const Onnx__TensorProto *t = a ? a->t : NULL;
    if (!t || t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64) return false;
    if (t->n_int64_data == 1) return t->int64_data[0] == 0;
    static const uint8_t zero[8];
    return t->has_raw_data && t->raw_data.len == 8 && memcmp(t->raw_data.data, zero, 8) == 0;
}

static int64_t proto_int(const Onnx__NodeProto *n, const char *name, int64_t otherwise) {
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->name && strcmp(n->attribute[i]->name, name) == 0) return n->attribute[i]->i;
    return otherwise;
}

// reduce(..., axis 0) without keepdims: its operand; NULL else.
static const char *reduced(const loop *l, const Onnx__NodeProto *n) {
    if (!n || n->n_input == 0 || proto_int(n, "keepdims", 1) != 0) return NULL;
    for (size_t i = 0; i < n->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->attribute[i];
        if (a->name && strcmp(a->name, "axes") == 0) return a->n_ints == 1 && a->ints[0] == 0 ? n->input[0] : NULL;
    }
    return n->n_input == 2 && is_zero(l, n->input[1]) ? n->input[0] : NULL;
}

// The list outside that iteration i takes its element from: Unsqueeze(Gather(list, i)).
static uint32_t per_iteration(const loop *l, const char *name) {
    const Onnx__NodeProto *u = inner(l, name, "Unsqueeze"), *g;
    if (!u || u->n_input == 0 || !(g = inner(l, u->input[0], "Gather")) || g->n_input != 2) return VL_NN_NONE;
    if (proto_int(g, "axis", 0) != 0 || strcmp(g->input[1], l->body->input[0]->name) != 0) return VL_NN_NONE;
    return value_outside(l, g->input[0]);
}

// Extent k of shape(x), as the exporter writes it.
static bool is_extent(const loop *l, uint32_t value, uint32_t x, double k) {
    const vl_nn_node *g = outer(l, value, VL_NN_Gather), *s = g ? outer(l, g->in[0], VL_NN_Shape) : NULL;
    return s && s->in[0] == x && g->in_count == 2 && is_number(outer_constant(l, g->in[1]), k);
}

// Offsets that stand for rows of x: [0, k, 2k, ...] with the count of flat at the end. *k is 0 where it is x's extent.
static bool are_rows(const loop *l, uint32_t offsets, uint32_t ends, uint32_t flat, uint32_t x, int64_t *k) {
    const vl_nn_node *slice = outer(l, ends, VL_NN_Slice), *all = outer(l, offsets, VL_NN_Concat);
    bool tail = slice && slice->in_count >= 3 && slice->in[0] == offsets &&
                is_number(outer_constant(l, slice->in[1]), 1) && outer_constant(l, slice->in[2]) &&
                outer_constant(l, slice->in[2])->count == 1 && outer_constant(l, slice->in[2])->v[0] >= 0x1p31;
    if (!tail || !all || all->in_count != 2) return false;
    const vl_nn_node *last = outer(l, all->in[1], VL_NN_Unsqueeze);
    if (!last || !is_extent(l, last->in[0], flat, 0)) return false;
    const vl_nn_node *range = outer(l, all->in[0], VL_NN_Range);
    *k = 0;
    if (range) {
        const vl_nn_node *total = range->in_count == 3 ? outer(l, range->in[1], VL_NN_ReduceProd) : NULL;
        const vl_nn_node *shape = total && total->in_count == 1 ? outer(l, total->in[0], VL_NN_Shape) : NULL;
        return shape && shape->in[0] == x && is_number(outer_constant(l, range->in[0]), 0) &&
               is_extent(l, range->in[2], x, 1);
    }
    const vl_nn_tensor *list = outer_constant(l, all->in[0]);
    if (!list || list->count == 0 || list->v[0] != 0 || list->count != l->im->g->fixed_batch) return false;
    if (list->count == 1) return true; // one bag: all of x
    for (size_t i = 0; i < list->count; i++)
        if (list->v[i] != (double)i * list->v[1]) return false;
    *k = (int64_t)list->v[1];
    return *k > 0;
}

static velum_status append(vl_nn_graph *g, vl_nn_opcode op, const vl_nn_node *node, uint32_t a, uint32_t b,
                           uint32_t out, const char *integer, int64_t value) {
    vl_nn_node *n = &g->nodes[g->node_count++];
    *n =
        (vl_nn_node){.op = op, .name = node->name, .type = "Loop", .in_count = b == VL_NN_NONE ? 1 : 2, .out_count = 1};
    VL_NN_TAKE(&g->heap, n->in, 2);
    VL_NN_TAKE(&g->heap, n->out, 1);
    VL_NN_TAKE(&g->heap, n->attr, 2);
    n->in[0] = a;
    n->in[1] = b;
    n->out[0] = out;
    if (!integer) return VELUM_OK;
    int64_t *axes;
    VL_NN_TAKE(&g->heap, axes, 2);
    axes[0] = value;
    axes[1] = 1;
    n->attr[n->attr_count++] = (vl_nn_attr){.name = integer, .kind = VL_NN_INT, .i = value};
    if (op == VL_NN_ReduceSum || op == VL_NN_ReduceMean)
        n->attr[n->attr_count++] = (vl_nn_attr){.name = "axes", .kind = VL_NN_INTS, .count = 1, .ints = axes + 1};
    if (op == VL_NN_Transpose) n->attr[0] = (vl_nn_attr){.name = "perm", .kind = VL_NN_INTS, .count = 2, .ints = axes};
    return VELUM_OK;
}

static velum_status rewrite(const loop *l, const vl_nn_node *node, uint32_t table, uint32_t x, int64_t k, bool mean) {
    vl_nn_graph *g = l->im->g;
    uint32_t rows, items, shape = VL_NN_NONE;
    VL_TRY(vl_nn_new_value(g, "bags", &rows));
    VL_TRY(vl_nn_new_value(g, "items", &items));
    if (k) {
        vl_nn_tensor t = {.rank = 1, .dim = {2}, .count = 2, .integer = true};
        VL_NN_TAKE(&g->heap, t.v, 2);
        t.v[0] = -1;
        t.v[1] = (double)k;
        VL_TRY(vl_nn_add_constant(g, "bag shape", &t, &shape));
        VL_TRY(append(g, VL_NN_Reshape, node, x, shape, rows, NULL, 0));
    } else { // only holds a tensor of two axes to be one
        VL_TRY(append(g, VL_NN_Transpose, node, x, VL_NN_NONE, rows, "perm", 0));
    }
    VL_TRY(append(g, VL_NN_Gather, node, table, rows, items, "axis", 0));
    return append(g, mean ? VL_NN_ReduceMean : VL_NN_ReduceSum, node, items, VL_NN_NONE, node->out[0], "keepdims", 0);
}

static bool has_pattern(const loop *l, const vl_nn_node *node, uint32_t *table, uint32_t *x, int64_t *k, bool *mean) {
    const Onnx__GraphProto *b = l->body;
    if (!b || b->n_input != 2 || b->n_output != 2 || node->in_count != 2 || node->out_count != 1) return false;
    for (size_t i = 0; i < b->n_node; i++)
        for (size_t j = 0; j < b->node[i]->n_output + b->node[i]->n_input; j++)
            if (!(j < b->node[i]->n_output ? b->node[i]->output[j] : b->node[i]->input[j - b->node[i]->n_output]))
                return false;
    if (!b->input[0]->name || !b->output[0]->name || !b->output[1]->name) return false;
    const Onnx__NodeProto *go_on = inner(l, b->output[0]->name, "Cast");
    if (!go_on || go_on->n_input != 1 || !is_number(outer_constant(l, value_outside(l, go_on->input[0])), 1))
        return false;
    if (!is_number(outer_constant(l, node->in[1]), 1)) return false;
    const Onnx__NodeProto *sum = inner(l, b->output[1]->name, "ReduceSum");
    *mean = !sum;
    const char *items = reduced(l, sum ? sum : inner(l, b->output[1]->name, "ReduceMean"));
    const Onnx__NodeProto *gather = items ? inner(l, items, "Gather") : NULL;
    if (!gather || gather->n_input != 2 || proto_int(gather, "axis", 0) != 0) return false;
    const Onnx__NodeProto *slice = inner(l, gather->input[1], "Slice");
    if (!slice || slice->n_input != 4 || !is_zero(l, slice->input[3])) return false;
    *table = value_outside(l, gather->input[0]);
    uint32_t flat = value_outside(l, slice->input[0]), offsets = per_iteration(l, slice->input[1]),
             ends = per_iteration(l, slice->input[2]);
    const vl_nn_node *reshape = outer(l, flat, VL_NN_Reshape);
    const vl_nn_node *trips = outer(l, node->in[0], VL_NN_Gather);
    if (*table == VL_NN_NONE || !reshape || reshape->in_count != 2 || !trips || !is_extent(l, node->in[0], ends, 0))
        return false;
    *x = reshape->in[0];
    return is_number(outer_constant(l, reshape->in[1]), -1) && are_rows(l, offsets, ends, flat, *x, k);
}

velum_status vl_nn_import_bag(vl_nn_importer *im, const Onnx__NodeProto *p, const vl_nn_node *node) {
    loop l = {.im = im};
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->name && strcmp(p->attribute[i]->name, "body") == 0) l.body = p->attribute[i]->g;
    uint32_t table, x;
    int64_t k;
    bool mean;
    VL_NN_FAIL_IF(!has_pattern(&l, node, &table, &x, &k, &mean), node, VELUM_E_UNSUPPORTED,
                  "not nn.EmbeddingBag of mode sum or mean on [batch, k] indices without offsets and weights: %s",
                  vl_nn_hint("Loop"));
    return rewrite(&l, node, table, x, k, mean);
}
