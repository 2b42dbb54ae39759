// SPDX-License-Identifier: Apache-2.0
#include "circuits/bootstrap_keys.h"
#include "program/program.h"
#include <math.h>

// Bytes of one polynomial on the wire: each residue takes the bits of its modulus.
static uint64_t packed(const vl_params *p, uint32_t level) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < level; i++) bits += p->ring.mod[i].bits;
    return bits * p->ring.n / 8;
}

// As saved, of a bootstrap's keys beside the program's.
static uint64_t bootstrap_bytes(const vl_manifest *m, const vl_params *p) {
    vl_bootstrap_plan *plan = m->bootstrapped ? vl_alloc(sizeof *plan) : NULL;
    bool known = plan && vl_program_bootstrap_plan(m, plan) == VELUM_OK;
    uint64_t bytes = known ? vl_bootstrap_keys_bytes(plan, p) : 0;
    vl_free(plan);
    return bytes;
}

static velum_packing packing_of(const vl_layout *l) {
    if (l->parts) return VELUM_PICTURES;
    return l->lanes == l->slots ? VELUM_SPREAD : VELUM_PACKED;
}

void vl_manifest_info(const vl_manifest *m, const vl_params *p, velum_info *out) {
    *out = (velum_info){
        .model = m->model,
        .metric = m->metric,
        .log_n = p->literal.log_n,
        .limbs = p->ring.q_count,
        .special_limbs = p->ring.p_count,
        .digits = p->digits,
        .security_bits = p->security,
        .lanes = m->in.lanes,
        .inputs = m->input_count,
        .outputs = m->output_count,
        .keys = m->key_count + m->low_key_count,
        .log_q = p->log_q,
        .log_qp = p->log_qp,
        .log_scale = log2(m->params.scale),
        .eval_key_bytes = vl_eval_keys_bytes(p, m->keys, m->key_count, m->zero_nq) + bootstrap_bytes(m, p),
        .query_bytes = m->in.cts * packed(p, m->in_level),
        .answer_bytes = 2 * m->out.cts * packed(p, m->out_level),
        .error_bound = m->error_bound,
        .error_expected = m->error_expected,
        .packing = packing_of(&m->in),
    };
}
