// SPDX-License-Identifier: Apache-2.0
// Small changes to a graph.
#include "nn/passes.h"
#include <string.h>

static velum_status make_room(vl_nn_graph *g) {
    if (g->value_count < g->value_room) return VELUM_OK;
    VL_FAIL_IF(g->value_room > UINT32_MAX / 4, VELUM_E_LIMIT, "model: %u values", g->value_room);
    uint32_t room = 2 * g->value_room + 64;
    const char **names;
    const vl_nn_tensor **constants;
    VL_NN_TAKE(&g->heap, names, room);
    VL_NN_TAKE(&g->heap, constants, room);
    memcpy(names, g->value_name, g->value_count * sizeof *names);
    memcpy(constants, g->constant, g->value_count * sizeof *constants);
    g->value_name = names;
    g->constant = constants;
    g->value_room = room;
    return VELUM_OK;
}

velum_status vl_nn_new_value(vl_nn_graph *g, const char *name, uint32_t *out) {
    VL_TRY(make_room(g));
    char *copy = vl_nn_copy_text(&g->heap, name);
    if (!copy) return vl_nn_out_of(&g->heap, "names");
    g->value_name[g->value_count] = copy;
    *out = g->value_count++;
    return VELUM_OK;
}

velum_status vl_nn_add_constant(vl_nn_graph *g, const char *name, const vl_nn_tensor *t, uint32_t *out) {
    vl_nn_tensor *copy;
    VL_TRY(vl_nn_new_value(g, name, out));
    VL_NN_TAKE(&g->heap, copy, 1);
    *copy = *t;
    g->constant[*out] = copy;
    return VELUM_OK;
}

const vl_nn_tensor *vl_nn_known(const vl_nn_graph *g, uint32_t v) { return v == VL_NN_NONE ? NULL : g->constant[v]; }

velum_status vl_nn_uses_of(vl_nn_graph *g, vl_nn_uses *out) {
    VL_NN_TAKE(&g->heap, out->producer, g->value_count);
    VL_NN_TAKE(&g->heap, out->readers, g->value_count);
    memset(out->producer, 0xff, g->value_count * sizeof *out->producer);
    for (uint32_t i = 0; i < g->node_count; i++) {
        const vl_nn_node *n = &g->nodes[i];
        for (uint32_t k = 0; k < n->in_count; k++)
            if (n->in[k] != VL_NN_NONE) out->readers[n->in[k]]++;
        for (uint32_t k = 0; k < n->out_count; k++)
            if (n->out[k] != VL_NN_NONE) out->producer[n->out[k]] = i;
    }
    out->readers[g->output]++;
    return VELUM_OK;
}

velum_status vl_nn_sweep(vl_nn_graph *g) {
    bool *needed, *keep;
    VL_NN_TAKE(&g->heap, needed, g->value_count);
    VL_NN_TAKE(&g->heap, keep, g->node_count);
    needed[g->output] = true;
    for (uint32_t i = g->node_count; i-- > 0;) {
        const vl_nn_node *n = &g->nodes[i];
        for (uint32_t k = 0; k < n->out_count; k++) keep[i] |= n->out[k] != VL_NN_NONE && needed[n->out[k]];
        for (uint32_t k = 0; keep[i] && k < n->in_count; k++)
            if (n->in[k] != VL_NN_NONE) needed[n->in[k]] = true;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->node_count; i++)
        if (keep[i]) g->nodes[count++] = g->nodes[i];
    g->node_count = count;
    return VELUM_OK;
}
