// SPDX-License-Identifier: Apache-2.0
#include "circuits/bootstrap_keys.h"

vl_lowest vl_bootstrap_lowest(const vl_bootstrap_plan *plan) {
    return (vl_lowest){
        .raise = plan->raise, .low = &plan->low, .keys = plan->keys + plan->key_count, .count = plan->low_count};
}

velum_status vl_bootstrap_keys_new(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                   const vl_secret_key *sk, vl_bootstrap_keys *out) {
    vl_lowest want = vl_bootstrap_lowest(plan);
    return vl_lowest_keys_new(x, p, sk, &want, out);
}

void vl_bootstrap_keys_free(vl_bootstrap_keys *keys) { vl_lowest_keys_free(keys); }

// ---- saved ----

size_t vl_bootstrap_keys_bytes(const vl_bootstrap_plan *plan, const vl_params *p) {
    vl_lowest want = vl_bootstrap_lowest(plan);
    return vl_lowest_keys_bytes(p, &want);
}

void vl_bootstrap_keys_save(const vl_bootstrap_keys *keys, vl_writer *w) { vl_lowest_keys_save(keys, w); }

velum_status vl_bootstrap_keys_write(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                     const vl_secret_key *sk, vl_writer *w) {
    vl_lowest want = vl_bootstrap_lowest(plan);
    return vl_lowest_keys_write(x, p, sk, &want, w);
}

velum_status vl_bootstrap_keys_load(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p, vl_reader *r,
                                    vl_bootstrap_keys *out) {
    VL_FAIL_IF(p->ring.q_count != plan->top, VELUM_E_MISMATCH,
               "bootstrap keys: parameters of %u limbs, the plan has %u", p->ring.q_count, plan->top);
    vl_lowest want = vl_bootstrap_lowest(plan);
    return vl_lowest_keys_load(x, p, r, &want, out);
}
