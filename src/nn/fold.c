// SPDX-License-Identifier: Apache-2.0
// Constant folding, with the shapes of everything else checked on the way.
#include "nn/eval.h"
#include "nn/passes.h"
#include <string.h>

#define SCRATCH_MOST ((size_t)64 << 20) // kept from one node to the next

typedef struct folding {
    vl_nn_graph *g;
    vl_nn_heap scratch;
    vl_nn_tensor *shape; // by value
    bool *lost;          // by value: comes from a node that was refused
    vl_nn_problems problems;
    uint32_t changed;
} folding;

static velum_status keep(folding *f, const vl_nn_node *n, const vl_nn_tensor *made) {
    for (uint32_t k = 0; k < n->out_count; k++) {
        uint32_t v = n->out[k];
        if (v == VL_NN_NONE || !made[k].v) continue;
        vl_nn_tensor *t;
        VL_NN_TAKE(&f->g->heap, t, 1);
        *t = made[k];
        VL_NN_TAKE(&f->g->heap, t->v, t->count);
        memcpy(t->v, made[k].v, t->count * sizeof *t->v);
        f->g->constant[v] = t;
        f->shape[v] = *t;
    }
    f->changed++;
    return VELUM_OK;
}

static velum_status fold_node(folding *f, vl_nn_node *n) {
    const vl_nn_tensor **in;
    vl_nn_tensor *made;
    bool known = true, lost = false;
    VL_TRY(vl_nn_check_arity(n));
    VL_NN_TAKE(&f->scratch, in, n->in_count);
    VL_NN_TAKE(&f->scratch, made, n->out_count);
    for (uint32_t k = 0; k < n->in_count; k++) {
        if (n->in[k] == VL_NN_NONE) continue;
        in[k] = &f->shape[n->in[k]];
        lost = lost || f->lost[n->in[k]];
        known = known && f->g->constant[n->in[k]];
    }
    for (uint32_t k = 0; k < n->out_count; k++)
        if (n->out[k] != VL_NN_NONE) f->lost[n->out[k]] = true;
    if (lost) return VELUM_OK;
    if (known || n->op == VL_NN_Shape) {
        VL_TRY(vl_nn_eval_node(f->g, &f->scratch, n, in, made));
        VL_TRY(keep(f, n, made));
    } else {
        VL_TRY(vl_nn_infer_node(f->g, &f->scratch, n, in, made));
    }
    for (uint32_t k = 0; k < n->out_count; k++) {
        if (n->out[k] == VL_NN_NONE) continue;
        if (!f->g->constant[n->out[k]]) f->shape[n->out[k]] = made[k];
        f->lost[n->out[k]] = (n->op == VL_NN_Dropout || n->op == VL_NN_MaxPool) && k > 0;
    }
    return VELUM_OK;
}

static velum_status fold(folding *f) {
    vl_nn_graph *g = f->g;
    VL_NN_TAKE(&g->heap, f->shape, g->value_count);
    VL_NN_TAKE(&g->heap, f->lost, g->value_count);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) f->shape[i] = *g->constant[i];
    for (uint32_t i = 0; i < g->input_count; i++) f->shape[g->inputs[i].value] = g->inputs[i].shape;
    for (uint32_t i = 0; i < g->node_count; i++) {
        VL_TRY(vl_nn_collect(&f->problems, fold_node(f, &g->nodes[i])));
        if (f->scratch.total > SCRATCH_MOST) vl_nn_heap_clear(&f->scratch);
    }
    VL_TRY(vl_nn_problems_end(&f->problems));
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->node_count; i++) {
        bool gone = true;
        for (uint32_t k = 0; k < g->nodes[i].out_count; k++)
            gone = gone && (g->nodes[i].out[k] == VL_NN_NONE || g->constant[g->nodes[i].out[k]]);
        if (!gone) g->nodes[count++] = g->nodes[i];
    }
    g->node_count = count;
    return vl_nn_sweep(g);
}

velum_status vl_nn_pass_fold(vl_nn_graph *g, uint32_t *changed) {
    folding f = {.g = g, .scratch = {.limit = VL_NN_HEAP}};
    velum_status status = fold(&f);
    vl_nn_heap_clear(&f.scratch);
    *changed = f.changed;
    return status;
}

velum_status vl_nn_passes(vl_nn_graph *g, vl_nn_pass_report *report) {
    VL_TRY(vl_nn_pass_fold(g, &report->folded));
    VL_TRY(vl_nn_pass_fuse(g, &report->fused));
    return vl_nn_pass_fold_bn(g, &report->norms);
}
