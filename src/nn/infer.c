// SPDX-License-Identifier: Apache-2.0
// Shapes without values.
#include "nn/activation.h"
#include "nn/eval.h"
#include "nn/eval_ops.h"
#include "nn/passes.h"
#include <string.h>

#define SCRATCH_MOST ((size_t)64 << 20) // kept from one node to the next

static velum_status infer_views(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                                vl_nn_tensor *out) {
    for (uint32_t k = 0; k < n->out_count; k++) {
        if (n->out[k] == VL_NN_NONE || (n->op == VL_NN_Dropout && k > 0)) continue;
        vl_nn_view v;
        VL_TRY(vl_nn_view_of(g, h, n, in, k, &v));
        out[k] = v.out;
    }
    return VELUM_OK;
}

static velum_status infer_arithmetic(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                                     vl_nn_tensor *out) {
    *out = *in[0];
    for (uint32_t k = 1; k < n->in_count; k++) {
        vl_nn_pair p;
        VL_NN_FAIL_IF(!in[k], n, VELUM_E_FORMAT, "input %u is missing", k);
        VL_TRY(vl_nn_broadcast(h, n, out, in[k], &p));
        *out = p.out;
    }
    if (n->op == VL_NN_Pow) out->integer = in[0]->integer;
    if (n->op == VL_NN_Equal) out->integer = true;
    return VELUM_OK;
}

static velum_status infer_product(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                                  vl_nn_tensor *out) {
    vl_nn_product p;
    VL_TRY(vl_nn_product_of(h, n, in[0], in[1], &p));
    *out = p.out;
    if (n->in_count < 3 || !in[2]) return VELUM_OK;
    vl_nn_pair pair;
    VL_TRY(vl_nn_broadcast(h, n, &p.out, in[2], &pair));
    VL_NN_FAIL_IF(pair.out.count != out->count, n, VELUM_E_FORMAT, "the third input is larger than the product");
    return VELUM_OK;
}

static velum_status infer_along(const vl_nn_graph *g, const vl_nn_node *n, const vl_nn_tensor *a, vl_nn_tensor *out) {
    bool arg = n->op == VL_NN_ArgMax;
    uint32_t axis;
    VL_TRY(vl_nn_axis(n, vl_nn_attr_int(n, "axis", arg ? 0 : g->opset < 13 ? 1 : -1), a->rank, &axis));
    VL_NN_FAIL_IF(a->batched && axis == 0, n, VELUM_E_UNSUPPORTED, "axis 0 would mix requests");
    VL_NN_FAIL_IF(a->count == 0, n, VELUM_E_FORMAT, "no elements");
    *out = *a;
    out->integer = arg;
    if (!arg) return VELUM_OK;
    out->dim[axis] = 1;
    if (vl_nn_attr_int(n, "keepdims", 1) == 0) {
        for (uint32_t i = axis; i + 1 < a->rank; i++) out->dim[i] = a->dim[i + 1];
        out->rank--;
    }
    return vl_nn_set_count(n, out);
}

static velum_status infer(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                          vl_nn_tensor *out) {
    vl_nn_reduction r;
    vl_nn_window w;
    vl_nn_pad pad;
    vl_nn_pair pair;
    vl_nn_labels labels;
    uint32_t *condition;
    double *scale, *shift;
    switch (n->op) {
    case VL_NN_Add:
    case VL_NN_Sub:
    case VL_NN_Mul:
    case VL_NN_Div:
    case VL_NN_Mod:
    case VL_NN_Pow:
    case VL_NN_Max:
    case VL_NN_Min:
    case VL_NN_PRelu:
    case VL_NN_Equal: return infer_arithmetic(h, n, in, out);
    case VL_NN_MatMul:
    case VL_NN_Gemm: return infer_product(h, n, in, out);
    case VL_NN_ReduceSum:
    case VL_NN_ReduceProd:
    case VL_NN_ReduceMean: VL_TRY(vl_nn_reduction_of(h, n, in, &r)); break;
    case VL_NN_Conv:
    case VL_NN_AveragePool:
    case VL_NN_MaxPool:
    case VL_NN_GlobalAveragePool: return vl_nn_window_of(n, in, &w, out);
    case VL_NN_Pad: VL_TRY(vl_nn_pad_of(n, in, &pad)); break;
    case VL_NN_Softmax:
    case VL_NN_ArgMax: return infer_along(g, n, in[0], out);
    case VL_NN_OneHot: return vl_nn_one_hot_of(n, in, out);
    case VL_NN_Where: VL_TRY(vl_nn_where_of(h, n, in, &pair, &condition)); break;
    case VL_NN_BatchNormalization: VL_TRY(vl_nn_norm_of(h, n, in, &scale, &shift)); break;
    case VL_NN_LabelEncoder: VL_TRY(vl_nn_labels_of(h, n, &labels)); break;
    case VL_NN_ConstantOfShape:
    case VL_NN_Range: return VL_NN_FAIL(n, VELUM_E_UNSUPPORTED, "its inputs must be constants");
    case VL_NN_Gather:
        if (!in[1]->batched) return infer_views(g, h, n, in, out);
        VL_NN_FAIL_IF(!in[0]->v, n, VELUM_E_UNSUPPORTED, "a lookup in a table that is not constant");
        VL_TRY(vl_nn_lookup_of(h, n, in[0], in[1], &pair));
        break;
    default:
        if (vl_nn_is_view(n->op)) return infer_views(g, h, n, in, out);
        if (vl_nn_is_activation(n->op)) {
            vl_nn_activation f;
            VL_TRY(vl_nn_activation_of(n, in, &f));
        }
    }
    *out = *in[0];
    if (n->op == VL_NN_LabelEncoder) out->integer = labels.integer_values;
    if (n->op == VL_NN_ReduceSum || n->op == VL_NN_ReduceProd || n->op == VL_NN_ReduceMean) *out = r.out;
    if (n->op == VL_NN_Pad) *out = pad.out;
    if (n->op == VL_NN_Where || n->op == VL_NN_Gather) *out = pair.out;
    return VELUM_OK;
}

velum_status vl_nn_infer_node(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                              vl_nn_tensor *out) {
    VL_TRY(infer(g, h, n, in, out));
    for (uint32_t k = 0; k < n->out_count; k++) out[k].v = NULL;
    return VELUM_OK;
}

static velum_status shapes_of(vl_nn_graph *g, vl_nn_heap *scratch, const vl_nn_node *n, vl_nn_tensor *shape) {
    const vl_nn_tensor **in;
    vl_nn_tensor *made;
    VL_TRY(vl_nn_check_arity(n));
    VL_NN_TAKE(scratch, in, n->in_count);
    VL_NN_TAKE(scratch, made, n->out_count);
    for (uint32_t k = 0; k < n->in_count; k++)
        if (n->in[k] != VL_NN_NONE) in[k] = &shape[n->in[k]];
    bool made_of_nothing = n->op == VL_NN_Constant || n->op == VL_NN_Shape;
    VL_TRY(made_of_nothing ? vl_nn_eval_node(g, scratch, n, in, made) : vl_nn_infer_node(g, scratch, n, in, made));
    for (uint32_t k = 0; k < n->out_count; k++) {
        if (n->out[k] == VL_NN_NONE) continue;
        shape[n->out[k]] = made[k];
        shape[n->out[k]].v = NULL;
    }
    return VELUM_OK;
}

velum_status vl_nn_infer(vl_nn_graph *g, vl_nn_tensor **out) {
    vl_nn_tensor *shape;
    VL_NN_TAKE(&g->heap, shape, g->value_count);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) shape[i] = *g->constant[i];
    for (uint32_t i = 0; i < g->input_count; i++) shape[g->inputs[i].value] = g->inputs[i].shape;
    vl_nn_heap scratch = {.limit = VL_NN_HEAP};
    velum_status status = VELUM_OK;
    for (uint32_t i = 0; i < g->node_count && status == VELUM_OK; i++) {
        status = shapes_of(g, &scratch, &g->nodes[i], shape);
        if (scratch.total > SCRATCH_MOST) vl_nn_heap_clear(&scratch);
    }
    vl_nn_heap_clear(&scratch);
    if (status == VELUM_OK) *out = shape;
    return status;
}
