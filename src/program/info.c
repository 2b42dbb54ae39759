// SPDX-License-Identifier: Apache-2.0
#include "program/manifest.h"
#include <math.h>

// Bytes of one polynomial on the wire: each residue takes the bits of its modulus.
static uint64_t packed(const vl_params *p, uint32_t level) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < level; i++) bits += p->ring.mod[i].bits;
    return bits * p->ring.n / 8;
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
        .keys = m->key_count,
        .log_q = p->log_q,
        .log_qp = p->log_qp,
        .log_scale = log2(m->params.scale),
        .eval_key_bytes = vl_eval_keys_bytes(p, m->keys, m->key_count, m->zero_nq),
        .query_bytes = m->in.cts * packed(p, m->in_level),
        .answer_bytes = 2 * m->out.cts * packed(p, m->out_level),
        .error_bound = m->error_bound,
    };
}
