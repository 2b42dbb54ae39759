// SPDX-License-Identifier: Apache-2.0
// How a program bootstraps: the set, and what the manifest says of it in terms that the client knows.
#include "program/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vl_program_outline(const vl_params_literal *lit, vl_params *out) {
    memset(out, 0, sizeof *out);
    out->literal = *lit;
    out->ring.log_n = lit->log_n;
    out->ring.n = UINT32_C(1) << lit->log_n;
    out->ring.q_count = lit->q_count;
    out->ring.p_count = lit->p_count;
    out->digits = (lit->q_count + lit->digit_limbs - 1) / lit->digit_limbs;
    for (uint32_t i = 0; i < lit->q_count; i++) out->log_q += log2((double)lit->q[i]);
    out->log_qp = out->log_q;
    for (uint32_t i = 0; i < lit->p_count; i++) out->log_qp += log2((double)lit->p[i]);
    out->security = vl_security_of(lit->log_n, lit->secret_weight, out->log_qp);
}

// What the plan takes for granted.
static velum_status check_set(const vl_bootstrap_params *b, const vl_params_literal *lit) {
    bool shape = b->log_n == lit->log_n && b->log_slots >= 2 && b->log_slots < b->log_n && b->order <= VL_COEFFS_FIRST;
    VL_FAIL_IF(!shape, VELUM_E_FORMAT, "bootstrap: 2^%u slots of N=2^%u, order %u", b->log_slots, b->log_n,
               (unsigned)b->order);
    const uint8_t factors[2] = {b->cts_factors, b->stc_factors};
    for (int i = 0; i < 2; i++) // 2^7 diagonals a factor and side at most
        VL_FAIL_IF(factors[i] == 0 || factors[i] > VL_DFT_MAX_FACTORS || b->log_slots > 7 * factors[i], VELUM_E_FORMAT,
                   "bootstrap: a transform of 2^%u slots in %u factors", b->log_slots, factors[i]);
    bool mod = b->range >= 1 && b->degree >= 3 && b->degree <= 31 && b->doublings <= 6 && b->arcsine <= 7;
    VL_FAIL_IF(!mod || !isfinite(b->log_ratio), VELUM_E_FORMAT, "bootstrap: EvalMod of range %u, degree %u", b->range,
               b->degree);
    VL_FAIL_IF(b->left_bits < 20 || b->left_bits > 50 || b->weight == 0 || b->weight > 4096, VELUM_E_FORMAT,
               "bootstrap: scale 2^%u, weight %u", b->left_bits, b->weight);
    VL_FAIL_IF(b->security_bits < lit->security_bits, VELUM_E_INSECURE,
               "bootstrap set %s promises %u bits, the parameters %u", b->name, b->security_bits, lit->security_bits);
    return VELUM_OK;
}

static velum_status make_plan(const vl_manifest *m, const vl_bootstrap_params *set, vl_bootstrap_plan *plan) {
    VL_TRY(check_set(set, &m->params));
    vl_params *outline = vl_alloc(sizeof *outline);
    VL_FAIL_IF(!outline, VELUM_E_NOMEM, "bootstrap: plan");
    vl_program_outline(&m->params, outline);
    velum_status status = vl_bootstrap_plan_make(set, outline, plan);
    vl_free(outline);
    VL_TRY(status);
    VL_FAIL_IF(set->security_bits && !(plan->log2_failure <= VL_BOOTSTRAP_MAX_FAILURE), VELUM_E_INSECURE,
               "bootstrap set %s: failure probability 2^%.1f a bootstrap", set->name, plan->log2_failure);
    return VELUM_OK;
}

static int by_galois(const void *a, const void *b) {
    uint64_t x = ((const vl_key_request *)a)->galois, y = ((const vl_key_request *)b)->galois;
    return (x > y) - (x < y);
}

// In the manifest they are in order.
static void sort_low(vl_bootstrap_plan *plan) {
    if (plan->low_count) qsort(plan->keys + plan->key_count, plan->low_count, sizeof *plan->keys, by_galois);
}

velum_status vl_program_set_bootstrap(vl_manifest *m, const vl_bootstrap_params *set) {
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "bootstrap: plan");
    velum_status status = make_plan(m, set, plan);
    char *name = NULL;
    vl_key_request *low = NULL;
    if (status == VELUM_OK) {
        sort_low(plan);
        name = vl_strdup(set->name);
        low = vl_alloc_array(plan->low_count + 1u, sizeof *low);
        if (!name || !low) status = VL_FAIL(VELUM_E_NOMEM, "bootstrap: keys");
    }
    if (status != VELUM_OK) {
        vl_free(name);
        vl_free(low);
        vl_free(plan);
        return status;
    }
    memcpy(low, plan->keys + plan->key_count, plan->low_count * sizeof *low);
    vl_free(m->bootstrap_name);
    vl_free(m->low_keys);
    m->bootstrapped = true;
    m->bootstrap = *set;
    m->bootstrap.name = m->bootstrap_name = name;
    m->low = plan->low;
    m->low_keys = low;
    m->low_key_count = plan->low_count;
    m->raise = plan->raise;
    vl_free(plan);
    return VELUM_OK;
}

static bool same_literal(const vl_params_literal *a, const vl_params_literal *b) {
    return a->log_n == b->log_n && a->q_count == b->q_count && a->p_count == b->p_count &&
           a->digit_limbs == b->digit_limbs && a->secret_weight == b->secret_weight &&
           a->security_bits == b->security_bits && a->scale == b->scale &&
           memcmp(a->q, b->q, a->q_count * sizeof *a->q) == 0 && memcmp(a->p, b->p, a->p_count * sizeof *a->p) == 0;
}

velum_status vl_program_bootstrap_plan(const vl_manifest *m, vl_bootstrap_plan *out) {
    VL_FAIL_IF(!m->bootstrapped, VELUM_E_FORMAT, "program: it names no bootstrap");
    vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
    VL_FAIL_IF(!plan, VELUM_E_NOMEM, "bootstrap: plan");
    velum_status status = make_plan(m, &m->bootstrap, plan);
    if (status == VELUM_OK) {
        sort_low(plan);
        bool same = vl_encapsulation_same_shape(&m->raise, &plan->raise) && m->low_key_count == plan->low_count &&
                    same_literal(&m->low, &plan->low);
        for (uint32_t i = 0; same && i < plan->low_count; i++) {
            const vl_key_request *a = &m->low_keys[i], *b = &plan->keys[plan->key_count + i];
            same = a->galois == b->galois && a->level == b->level;
        }
        if (same)
            *out = *plan;
        else
            status = VL_FAIL(VELUM_E_FORMAT, "program: its keys for bootstrapping are not those of the set %s",
                             m->bootstrap.name);
    }
    vl_free(plan);
    return status;
}
