// SPDX-License-Identifier: Apache-2.0
// From a plan and its parameters to a program.
#include "nn/plan.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static velum_status set_params(const vl_nn_choice *c, uint32_t security, vl_params_literal *lit) {
    if (c->bootstrap) {
        *lit = *c->literal;
        return VELUM_OK;
    }
    uint8_t q_bits[VL_MAX_LIMBS], p_bits[VL_MAX_LIMBS];
    *lit = (vl_params_literal){.log_n = c->ring.log_n,
                               .q_count = c->plan->depth,
                               .p_count = c->ring.special,
                               .digit_limbs = c->ring.alpha,
                               .security_bits = security,
                               .scale = ldexp(1, (int)c->scale_bits)};
    for (uint32_t i = 0; i < lit->q_count; i++) q_bits[i] = (uint8_t)(i == 0 ? c->base_bits : c->scale_bits);
    for (uint32_t i = 0; i < lit->p_count; i++) p_bits[i] = (uint8_t)c->special_bits;
    VL_TRY(vl_params_choose(lit, q_bits, p_bits));
    double log_qp = 0;
    for (uint32_t i = 0; i < lit->q_count; i++) log_qp += log2((double)lit->q[i]);
    for (uint32_t i = 0; i < lit->p_count; i++) log_qp += log2((double)lit->p[i]);
    double limit = vl_security_max_log_qp(lit->log_n, 0, security);
    VL_FAIL_IF(log_qp > limit, VELUM_E_INSECURE, "parameters: log2(QP) = %.2f, the limit is %.0f", log_qp, limit);
    return VELUM_OK;
}

static vl_layout layout_of(const vl_nn_choice *c, uint32_t value) {
    uint32_t slots = 1u << (c->ring.log_n - 1), dim = c->plan->values[value].dim;
    if (!c->plan->packed)
        return (vl_layout){.slots = slots, .dim = dim, .period = 1, .lanes = slots, .cts = dim, .valid = 1};
    return (vl_layout){.slots = slots,
                       .dim = dim,
                       .period = vl_nn_period(dim),
                       .lanes = c->packing.lanes,
                       .cts = 1,
                       .valid = c->packing.valid[value]};
}

static velum_status copy_numbers(const double *from, size_t n, double **to) {
    if (!from) return VELUM_OK;
    VL_FAIL_IF(!(*to = vl_alloc_array(n, sizeof **to)), VELUM_E_NOMEM, "program: %zu numbers", n);
    memcpy(*to, from, n * sizeof **to);
    return VELUM_OK;
}

static velum_status copy_matrix(const vl_nn_sparse *from, vl_matrix *to) {
    const size_t n = vl_nn_sparse_count(from);
    to->rows = from->rows;
    to->cols = from->cols;
    to->start = vl_alloc_array(from->rows + 1u, sizeof *to->start);
    to->col = vl_alloc_array(n ? n : 1, sizeof *to->col);
    to->val = vl_alloc_array(n ? n : 1, sizeof *to->val);
    VL_FAIL_IF(!to->start || !to->col || !to->val, VELUM_E_NOMEM, "program: %zu numbers", n);
    for (uint32_t r = 0; r <= from->rows; r++) to->start[r] = from->start[r];
    memcpy(to->col, from->col, n * sizeof *to->col);
    memcpy(to->val, from->val, n * sizeof *to->val);
    return VELUM_OK;
}

static velum_status emit_map(const vl_nn_op *from, const vl_nn_map *map, vl_op *to) {
    VL_TRY(copy_numbers(from->bias, from->rows, &to->bias));
    if (to->kind == VL_OP_DIAGONALS) {
        to->step = map->step;
        to->start = map->start;
        return copy_matrix(from->m, &to->matrix);
    }
    to->rows = from->rows;
    to->cols = from->cols;
    if (to->kind == VL_OP_LINTRANS) to->plan = map->plan;
    return copy_numbers(from->weights, (size_t)from->rows * from->cols, &to->weights);
}

static velum_status emit_op(const vl_nn_choice *c, uint32_t i, vl_program *p) {
    const vl_nn_op *from = &c->plan->ops[i];
    const vl_params_literal *lit = &p->manifest.params;
    vl_op *to = &p->ops[i];
    vl_value *d = &p->values[from->dst];
    double in_scale = p->values[from->src[0]].scale;
    const vl_nn_map *map = &c->packing.maps[i];
    bool linear = from->kind == VL_OP_LINTRANS;
    to->kind = linear && !c->plan->packed ? VL_OP_MIX : linear && map->sparse ? VL_OP_DIAGONALS : from->kind;
    to->dst = from->dst;
    to->src[0] = from->src[0];
    to->src[1] = from->src[1];
    to->level = from->level;
    to->seconds = c->packing.seconds[i];
    VL_FAIL_IF(!(to->name = vl_strdup(from->label)), VELUM_E_NOMEM, "program: names");
    bool plain = linear || to->kind == VL_OP_MASK;
    bool chosen = to->kind == VL_OP_POLY || to->kind == VL_OP_SIGN || to->kind == VL_OP_GATE;
    double target = lit->scale / (from->scale_bound > 0 ? from->scale_bound : 1);
    if (plain) to->plain_scale = target * (double)lit->q[to->level - 1] / in_scale;
    if (chosen) to->plain_scale = target;
    if (from->compare) {
        to->compare = *from->compare;
        to->first = from->first;
        to->count = from->count;
    }
    if (from->poly) {
        VL_TRY(copy_numbers(from->poly->c, from->poly->degree + 1u, &to->coeffs));
        to->poly = *from->poly;
        to->poly.c = to->coeffs;
    }
    if (linear) VL_TRY(emit_map(from, map, to));
    if (to->kind == VL_OP_DIAGONALS) to->diagonal_seconds = vl_nn_cost_diagonal(&c->ring, to->level);
    d->scale = plain || chosen ? target : vl_program_result_scale(lit, p, to);
    return VELUM_OK;
}

static int by_element(const void *a, const void *b) {
    const vl_key_request *x = a, *y = b;
    return x->galois < y->galois ? -1 : x->galois > y->galois;
}

velum_status vl_nn_emit_keys(vl_program *p) {
    vl_manifest *m = &p->manifest;
    size_t room = 0, count = 0;
    vl_key_request *all = NULL, *one = vl_alloc_array(VL_MAX_KEYS, sizeof *one);
    velum_status status = one ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "program: keys");
    for (uint32_t i = 0; i < p->op_count && status == VELUM_OK; i++) {
        uint32_t n = vl_program_op_keys(p, &p->ops[i], one, VL_MAX_KEYS);
        if (count + n > room) {
            room = 2 * (count + n) + 64;
            vl_key_request *more = vl_alloc_array(room, sizeof *more);
            if (!more) {
                status = VL_FAIL(VELUM_E_NOMEM, "program: keys");
                break;
            }
            if (count) memcpy(more, all, count * sizeof *all);
            vl_free(all);
            all = more;
        }
        if (n) memcpy(all + count, one, n * sizeof *one);
        count += n;
    }
    vl_free(one);
    if (status != VELUM_OK) {
        vl_free(all);
        return status;
    }
    if (count) qsort(all, count, sizeof *all, by_element);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && all[kept - 1].galois == all[i].galois) {
            if (all[kept - 1].level < all[i].level) all[kept - 1].level = all[i].level;
            continue;
        }
        all[kept++] = all[i];
    }
    m->keys = all;
    m->key_count = (uint32_t)kept;
    VL_FAIL_IF(kept > VL_MAX_KEYS, VELUM_E_LIMIT, "program: %zu keys", kept);
    return VELUM_OK;
}

static velum_status set_outputs(const vl_nn_lowered *l, const vl_nn_graph *g, vl_manifest *m) {
    uint32_t n = l->output->n;
    m->output_count = n;
    VL_FAIL_IF(!(m->outputs = vl_alloc_array(n, sizeof *m->outputs)), VELUM_E_NOMEM, "manifest");
    for (uint32_t i = 0; i < n; i++) {
        char name[VL_MAX_NAME + 1];
        if (n == 1 || l->epilogue == VL_EPILOGUE_ARGMAX)
            snprintf(name, sizeof name, "%.240s", g->value_name[g->output]);
        else
            snprintf(name, sizeof name, "%.240s_%u", g->value_name[g->output], i);
        VL_FAIL_IF(!(m->outputs[i] = vl_strdup(name)), VELUM_E_NOMEM, "manifest");
    }
    return VELUM_OK;
}

velum_status vl_nn_emit_model(const vl_nn_lowered *l, const vl_nn_graph *g, const velum_compile_options *opt,
                              vl_manifest *m) {
    const char *metric = vl_nn_find_meta(g, "velum.metric", ""), *model = g->name;
    if (opt->model_name && opt->model_name[0]) model = opt->model_name;
    char name[VL_MAX_NAME + 1];
    snprintf(name, sizeof name, "%.250s", model && model[0] ? model : "model");
    m->model = vl_strdup(name);
    bool known = metric && (strcmp(metric, "auc") == 0 || strcmp(metric, "accuracy") == 0);
    m->metric = vl_strdup(known ? metric : "");
    VL_FAIL_IF(!m->model || !m->metric, VELUM_E_NOMEM, "manifest");
    VL_TRY(vl_nn_prologue_emit(&l->prologue, m));
    VL_TRY(set_outputs(l, g, m));
    m->epilogue = l->epilogue;
    return VELUM_OK;
}

static velum_status set_manifest(vl_nn_lowered *l, const vl_nn_graph *g, const vl_nn_choice *c,
                                 const velum_compile_options *opt, vl_manifest *m) {
    VL_TRY(vl_nn_emit_model(l, g, opt, m));
    VL_TRY(set_params(c, opt->security_bits ? opt->security_bits : 128, &m->params));
    m->in = layout_of(c, 0);
    m->in_level = c->plan->depth;
    m->in_scale = m->params.scale;
    m->out = layout_of(c, c->plan->output);
    m->out_level = m->zero_nq = c->plan->values[c->plan->output].level;
    return VELUM_OK;
}

static uint64_t key_bytes(const vl_manifest *m) {
    uint64_t limb = (uint64_t)8 << m->params.log_n, bytes = 0;
    for (uint32_t i = 0; i < m->key_count; i++) {
        uint32_t level = m->keys[i].level, digits = (level + m->params.digit_limbs - 1) / m->params.digit_limbs;
        bytes += 2ull * digits * (level + m->params.p_count) * limb;
    }
    return bytes;
}

velum_status vl_nn_emit(vl_nn_lowered *l, const vl_nn_graph *g, const vl_nn_choice *c, const velum_compile_options *opt,
                        vl_program *p) {
    const vl_nn_plan *plan = c->plan;
    VL_TRY(set_manifest(l, g, c, opt, &p->manifest));
    p->values = vl_alloc_array(plan->value_count, sizeof *p->values);
    p->ops = vl_alloc_array(plan->op_count, sizeof *p->ops);
    VL_FAIL_IF(!p->values || !p->ops, VELUM_E_NOMEM, "program");
    p->value_count = plan->value_count;
    p->op_count = plan->op_count;
    p->output = plan->output;
    for (uint32_t v = 0; v < plan->value_count; v++)
        p->values[v] =
            (vl_value){.layout = layout_of(c, v), .level = plan->values[v].level, .bound = plan->values[v].bound};
    p->values[0].scale = p->manifest.in_scale;
    for (uint32_t i = 0; i < plan->op_count; i++) VL_TRY(emit_op(c, i, p));
    p->manifest.out_scale = p->values[p->output].scale;
    if (c->bootstrap) VL_TRY(vl_program_set_bootstrap(&p->manifest, &c->bootstrap->params));
    VL_TRY(vl_nn_emit_keys(p));
    p->manifest.error_bound = c->error;
    VL_TRY(vl_nn_error_typical(l->heap, c, &p->manifest.error_expected));
    VL_TRY(vl_nn_price_around(l->heap, &c->ring, p));
    uint64_t need = key_bytes(&p->manifest) + c->packing.memory,
             most = opt->memory_bytes ? opt->memory_bytes : 16ull << 30;
    VL_FAIL_IF(need > most, VELUM_E_LIMIT,
               "model: keys and weights take about %llu MiB of memory, the limit is %llu MiB",
               (unsigned long long)(need >> 20), (unsigned long long)(most >> 20));
    p->memory_bytes = most;
    VL_FAIL_IF(!(p->notes = vl_strdup(l->notes ? l->notes : "")), VELUM_E_NOMEM, "program: notes");
    return vl_program_verify(p);
}
