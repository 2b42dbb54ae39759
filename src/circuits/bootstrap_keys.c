// SPDX-License-Identifier: Apache-2.0
#include "circuits/bootstrap_keys.h"

#include "rlwe/keys.h"

#include <inttypes.h>
#include <string.h>

// The main secret over fewer primes; free with vl_secret_free(out->s.x).
static velum_status low_secret(const vl_params *low, const vl_secret_key *sk, vl_secret_key *out) {
    *out = (vl_secret_key){.coeffs = sk->coeffs};
    return vl_keys_expand_secret(low, out);
}

static velum_status make_low_keys(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                  const vl_secret_key *sk, vl_bootstrap_keys *out) {
    VL_TRY(vl_params_new(&plan->low, p->ring.kernels, &out->low_params));
    vl_secret_key low;
    VL_TRY(low_secret(out->low_params, sk, &low));
    velum_status status =
        vl_eval_keys_generate(x, out->low_params, &low, plan->keys + plan->key_count, plan->low_count, 0, &out->low);
    vl_secret_free(low.s.x);
    return status;
}

velum_status vl_bootstrap_keys_new(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                   const vl_secret_key *sk, vl_bootstrap_keys *out) {
    vl_bootstrap_keys made = {0};
    velum_status status = vl_encapsulation_new(x, p, sk, plan->params.weight, plan->top, &made.raise);
    if (status == VELUM_OK && plan->low_count) status = make_low_keys(x, plan, p, sk, &made);
    if (status != VELUM_OK) {
        vl_bootstrap_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}

void vl_bootstrap_keys_free(vl_bootstrap_keys *keys) {
    if (!keys) return;
    vl_encapsulation_free(&keys->raise);
    vl_eval_keys_free(&keys->low);
    vl_params_free(keys->low_params);
    *keys = (vl_bootstrap_keys){0};
}

// ---- saved ----
// The encapsulation key, then, where SlotsToCoeffs comes first, the low keys, each in its own saved form. Both begin at
// multiples of 64 bytes and name their parameters by digest.

static bool has_low(const vl_bootstrap_plan *plan) { return plan->low_count != 0; }
static const vl_key_request *low_requests(const vl_bootstrap_plan *plan) { return plan->keys + plan->key_count; }

size_t vl_bootstrap_keys_bytes(const vl_bootstrap_plan *plan, const vl_params *p) {
    size_t bytes = vl_encapsulation_saved_bytes(p, plan->top);
    return has_low(plan) ? bytes + vl_keys_saved_bytes(&plan->low, low_requests(plan), plan->low_count, 0) : bytes;
}

void vl_bootstrap_keys_save(const vl_bootstrap_keys *keys, vl_writer *w) {
    vl_encapsulation_save(&keys->raise, w);
    if (keys->low_params) vl_eval_keys_save(&keys->low, w);
}

static velum_status write_low(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *low_params,
                              const vl_secret_key *sk, vl_writer *w) {
    vl_secret_key low;
    VL_TRY(low_secret(low_params, sk, &low));
    velum_status status = vl_eval_keys_write(x, low_params, &low, low_requests(plan), plan->low_count, 0, w);
    vl_secret_free(low.s.x);
    return status;
}

velum_status vl_bootstrap_keys_write(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                     const vl_secret_key *sk, vl_writer *w) {
    vl_encapsulation raise;
    VL_TRY(vl_encapsulation_new(x, p, sk, plan->params.weight, plan->top, &raise));
    vl_encapsulation_save(&raise, w);
    vl_encapsulation_free(&raise);
    if (!has_low(plan)) return vl_writer_status(w);
    vl_params *low;
    VL_TRY(vl_params_new(&plan->low, p->ring.kernels, &low));
    velum_status status = write_low(x, plan, low, sk, w);
    vl_params_free(low);
    return status;
}

// Just what the plan lists.
static velum_status check_low(const vl_bootstrap_plan *plan, const vl_eval_keys *keys) {
    for (uint32_t i = 0; i < plan->low_count; i++) {
        const vl_key_request *want = &low_requests(plan)[i];
        const vl_switch_key *key = vl_eval_keys_find(keys, want->galois);
        VL_FAIL_IF(!key || key->nq < want->level, VELUM_E_MISMATCH,
                   "bootstrap keys: the key of SlotsToCoeffs for element %" PRIu64 " at level %u is missing",
                   want->galois, want->level);
    }
    VL_FAIL_IF(keys->count != plan->low_count || keys->zero_nq, VELUM_E_MISMATCH,
               "bootstrap keys: %u keys of SlotsToCoeffs, %u are needed", keys->count, plan->low_count);
    return VELUM_OK;
}

static velum_status load(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p, vl_reader *r,
                         vl_bootstrap_keys *made) {
    VL_FAIL_IF(p->ring.q_count != plan->top, VELUM_E_MISMATCH,
               "bootstrap keys: parameters of %u limbs, the plan has %u", p->ring.q_count, plan->top);
    VL_TRY(vl_encapsulation_load(x, p, r, &made->raise));
    VL_FAIL_IF(made->raise.level != plan->top || made->raise.weight != plan->params.weight, VELUM_E_MISMATCH,
               "bootstrap keys: an encapsulation key of weight %u for level %u, weight %u and level %u are needed",
               made->raise.weight, made->raise.level, plan->params.weight, plan->top);
    if (!has_low(plan)) return VELUM_OK;
    VL_TRY(vl_params_new(&plan->low, p->ring.kernels, &made->low_params));
    VL_TRY(vl_eval_keys_load(x, made->low_params, r, &made->low));
    return check_low(plan, &made->low);
}

velum_status vl_bootstrap_keys_load(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p, vl_reader *r,
                                    vl_bootstrap_keys *out) {
    vl_bootstrap_keys made = {0};
    velum_status status = load(x, plan, p, r, &made);
    if (status != VELUM_OK) {
        vl_bootstrap_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}
