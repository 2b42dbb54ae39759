// SPDX-License-Identifier: Apache-2.0
// Batch normalisation moved into the Conv, Gemm or MatMul before it: y = s (W x + b) + t = (s W) x + (s b + t), by
// output channel.
#include "nn/passes.h"
#include <string.h>

typedef struct layer {
    vl_nn_node *n;
    const vl_nn_tensor *w, *b; // b may be NULL
    uint32_t channels;
    size_t step; // output channel of weight i: i / step % channels
    double alpha, beta;
} layer;

static bool is_layer(const vl_nn_graph *g, vl_nn_node *n, const vl_nn_tensor *shape, layer *l) {
    *l = (layer){.n = n, .alpha = 1, .beta = 1};
    if (n->in_count < 2 || !(l->w = vl_nn_known(g, n->in[1])) || vl_nn_known(g, n->in[0])) return false;
    bool has_bias = n->op != VL_NN_MatMul && n->in_count > 2 && n->in[2] != VL_NN_NONE;
    if (has_bias && !(l->b = vl_nn_known(g, n->in[2]))) return false;
    l->channels = shape->dim[1];
    if (n->op == VL_NN_Conv) {
        if (l->channels == 0 || l->w->dim[0] != l->channels) return false;
        l->step = l->w->count / l->channels;
        return true;
    }
    if (shape->rank != 2 || l->w->rank != 2 || (n->op != VL_NN_Gemm && n->op != VL_NN_MatMul)) return false;
    bool transposed = n->op == VL_NN_Gemm && vl_nn_attr_int(n, "transB", 0) != 0;
    l->step = transposed ? l->w->dim[1] : 1;
    if (l->w->dim[transposed ? 0 : 1] != l->channels || (l->b && l->b->count != 1 && l->b->count != l->channels))
        return false;
    l->alpha = vl_nn_attr_float(n, "alpha", 1);
    l->beta = vl_nn_attr_float(n, "beta", 1);
    return true;
}

static velum_status move(vl_nn_graph *g, const layer *l, vl_nn_node *norm, const double *scale, const double *shift) {
    vl_nn_node *n = l->n;
    vl_nn_tensor w = *l->w, b = {.rank = 1, .dim = {l->channels}, .count = l->channels};
    VL_NN_TAKE(&g->heap, w.v, w.count);
    VL_NN_TAKE(&g->heap, b.v, b.count);
    for (size_t i = 0; i < w.count; i++) w.v[i] = l->alpha * l->w->v[i] * scale[i / l->step % l->channels];
    for (uint32_t c = 0; c < l->channels; c++) {
        double old = l->b ? l->beta * l->b->v[l->b->count == 1 ? 0 : c] : 0;
        b.v[c] = scale[c] * old + shift[c];
    }
    uint32_t *in, at = 0;
    VL_NN_TAKE(&g->heap, in, 3);
    in[0] = n->in[0];
    VL_TRY(vl_nn_add_constant(g, g->value_name[n->in[1]], &w, &in[1]));
    VL_TRY(vl_nn_add_constant(g, g->value_name[norm->in[2]], &b, &in[2]));
    n->in = in;
    n->in_count = 3;
    n->out[0] = norm->out[0];
    norm->out_count = 0; // swept
    if (n->op == VL_NN_Conv) return VELUM_OK;
    n->op = VL_NN_Gemm;
    for (uint32_t i = 0; i < n->attr_count; i++)
        if (strcmp(n->attr[i].name, "alpha") != 0 && strcmp(n->attr[i].name, "beta") != 0) n->attr[at++] = n->attr[i];
    n->attr_count = at;
    return VELUM_OK;
}

static velum_status fold_norm(vl_nn_graph *g, const vl_nn_uses *u, const vl_nn_tensor *shape, vl_nn_node *norm,
                              uint32_t *changed) {
    uint32_t x = norm->in[0], maker = u->producer[x];
    layer l;
    if (maker == VL_NN_NONE || u->readers[x] != 1 || !is_layer(g, &g->nodes[maker], &shape[x], &l)) return VELUM_OK;
    for (uint32_t k = 1; k < norm->out_count; k++)
        if (norm->out[k] != VL_NN_NONE && u->readers[norm->out[k]]) return VELUM_OK;
    const vl_nn_tensor *in[5];
    double *scale, *factor;
    for (uint32_t k = 0; k < 5; k++) in[k] = &shape[norm->in[k]];
    VL_TRY(vl_nn_norm_of(&g->heap, norm, in, &scale, &factor));
    VL_TRY(move(g, &l, norm, scale, factor));
    ++*changed;
    return VELUM_OK;
}

velum_status vl_nn_pass_fold_bn(vl_nn_graph *g, uint32_t *changed) {
    vl_nn_tensor *shape;
    vl_nn_uses uses;
    *changed = 0;
    VL_TRY(vl_nn_infer(g, &shape));
    VL_TRY(vl_nn_uses_of(g, &uses));
    for (uint32_t i = 0; i < g->node_count; i++)
        if (g->nodes[i].op == VL_NN_BatchNormalization) VL_TRY(fold_norm(g, &uses, shape, &g->nodes[i], changed));
    return vl_nn_sweep(g);
}
