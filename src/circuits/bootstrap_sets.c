// SPDX-License-Identifier: Apache-2.0
// The named parameter sets of bootstrapping, and their chains of primes.
#include "circuits/bootstrap.h"

#include <math.h>
#include <string.h>

static const vl_bootstrap_params sets[] = {
#define SLOTS_FIRST .order = VL_SLOTS_FIRST, .range = 16, .degree = 15, .doublings = 3, .weight = 32
#define COEFFS_FIRST .order = VL_COEFFS_FIRST, .range = 16, .degree = 15, .doublings = 3, .weight = 32
    {.name = "n16-full",
     SLOTS_FIRST,
     .log_n = 16,
     .log_slots = 15,
     .cts_factors = 3,
     .cts_bits = 50,
     .stc_factors = 3,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 9,
     .left_bits = 40,
     .special = 12,
     .digit_limbs = 12,
     .log_ratio = 11,
     .security_bits = 128},
    {.name = "n16-full-20",
     SLOTS_FIRST,
     .log_n = 16,
     .log_slots = 15,
     .cts_factors = 3,
     .cts_bits = 48,
     .stc_factors = 3,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 9,
     .left_bits = 40,
     .special = 9,
     .digit_limbs = 9,
     .log_ratio = 8,
     .arcsine = 3,
     .security_bits = 128},
    {.name = "n16-sparse9",
     SLOTS_FIRST,
     .log_n = 16,
     .log_slots = 9,
     .cts_factors = 3,
     .cts_bits = 50,
     .stc_factors = 2,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 9,
     .left_bits = 40,
     .special = 12,
     .digit_limbs = 12,
     .log_ratio = 11,
     .security_bits = 128},
    {.name = "n16-sparse12",
     SLOTS_FIRST,
     .log_n = 16,
     .log_slots = 12,
     .cts_factors = 4,
     .cts_bits = 48,
     .stc_factors = 2,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 9,
     .left_bits = 40,
     .special = 12,
     .digit_limbs = 13,
     .log_ratio = 11,
     .security_bits = 128},
    {.name = "n16-coeffs-first",
     COEFFS_FIRST,
     .log_n = 16,
     .log_slots = 15,
     .cts_factors = 3,
     .cts_bits = 50,
     .stc_factors = 3,
     .stc_bits = 45,
     .mod_bits = 50,
     .left = 9,
     .left_bits = 40,
     .special = 12,
     .digit_limbs = 12,
     .security_bits = 128},
    {.name = "n16-full-30",
     SLOTS_FIRST,
     .log_n = 16,
     .log_slots = 15,
     .cts_factors = 3,
     .cts_bits = 50,
     .stc_factors = 3,
     .stc_bits = 34,
     .mod_bits = 50,
     .left = 13,
     .left_bits = 30,
     .special = 10,
     .digit_limbs = 10,
     .log_ratio = 11,
     .security_bits = 128},
    {.name = "n15-full",
     SLOTS_FIRST,
     .log_n = 15,
     .log_slots = 14,
     .cts_factors = 2,
     .cts_bits = 48,
     .stc_factors = 2,
     .stc_bits = 38,
     .mod_bits = 48,
     .left = 4,
     .left_bits = 38,
     .special = 2,
     .digit_limbs = 2,
     .log_ratio = 11,
     .security_bits = 128},
    {.name = "INSECURE-n10-full",
     SLOTS_FIRST,
     .log_n = 10,
     .log_slots = 9,
     .cts_factors = 2,
     .cts_bits = 50,
     .stc_factors = 2,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 2,
     .left_bits = 40,
     .special = 5,
     .digit_limbs = 5,
     .log_ratio = 11},
    {.name = "INSECURE-n10-full-20",
     SLOTS_FIRST,
     .log_n = 10,
     .log_slots = 9,
     .cts_factors = 2,
     .cts_bits = 50,
     .stc_factors = 2,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 2,
     .left_bits = 40,
     .special = 5,
     .digit_limbs = 5,
     .log_ratio = 8,
     .arcsine = 3},
    {.name = "INSECURE-n10-sparse",
     SLOTS_FIRST,
     .log_n = 10,
     .log_slots = 6,
     .cts_factors = 2,
     .cts_bits = 50,
     .stc_factors = 2,
     .stc_bits = 40,
     .mod_bits = 50,
     .left = 2,
     .left_bits = 40,
     .special = 5,
     .digit_limbs = 5,
     .log_ratio = 11},
    {.name = "INSECURE-n10-coeffs",
     COEFFS_FIRST,
     .log_n = 10,
     .log_slots = 9,
     .cts_factors = 3,
     .cts_bits = 50,
     .stc_factors = 3,
     .stc_bits = 45,
     .mod_bits = 50,
     .left = 2,
     .left_bits = 40,
     .special = 5,
     .digit_limbs = 5},
    {.name = "INSECURE-n10-coeffs-sparse",
     COEFFS_FIRST,
     .log_n = 10,
     .log_slots = 3,
     .cts_factors = 2,
     .cts_bits = 50,
     .stc_factors = 2,
     .stc_bits = 45,
     .mod_bits = 50,
     .left = 2,
     .left_bits = 40,
     .special = 5,
     .digit_limbs = 5},
    {.name = NULL},
};

const vl_bootstrap_params *vl_bootstrap_sets(void) { return sets; }

const vl_bootstrap_params *vl_bootstrap_params_find(const char *name) {
    for (const vl_bootstrap_params *b = sets; b->name; b++)
        if (strcmp(b->name, name) == 0) return b;
    return NULL;
}

static bool masked(const vl_bootstrap_params *b) { return b->order == VL_SLOTS_FIRST && b->log_slots + 1 < b->log_n; }

uint32_t vl_bootstrap_mod_levels(const vl_bootstrap_params *b) {
    vl_mod1_literal f = {.range = b->range, .degree = b->degree, .doublings = b->doublings, .arcsine = b->arcsine};
    return vl_mod1_levels(&f);
}

uint32_t vl_bootstrap_chain(const vl_bootstrap_params *b, uint8_t bits[VL_MAX_LIMBS]) {
    const struct part {
        uint32_t count;
        uint8_t bits;
    } slots_first[] = {{1, 50}, {b->stc_factors, b->stc_bits}, {b->left, b->left_bits}, {masked(b), b->left_bits}},
      coeffs_first[] = {{1, 50}, {b->left, b->left_bits}, {b->stc_factors, b->stc_bits}, {0, 0}},
      upper[] = {{vl_bootstrap_mod_levels(b), b->mod_bits}, {b->cts_factors, b->cts_bits}},
      *lower = b->order == VL_SLOTS_FIRST ? slots_first : coeffs_first;
    uint32_t count = 0;
    for (uint32_t i = 0; i < 6; i++) {
        struct part t = i < 4 ? lower[i] : upper[i - 4];
        for (uint32_t k = 0; k < t.count && count < VL_MAX_LIMBS; k++) bits[count++] = t.bits;
    }
    return count;
}

velum_status vl_bootstrap_literal(const vl_bootstrap_params *b, vl_params_literal *out) {
    uint8_t q[VL_MAX_LIMBS], p[VL_MAX_LIMBS];
    vl_params_literal lit = {.log_n = b->log_n, .p_count = b->special, .digit_limbs = b->digit_limbs};
    lit.q_count = vl_bootstrap_chain(b, q);
    lit.security_bits = b->security_bits;
    lit.scale = ldexp(1, b->left_bits);
    memset(p, 50, sizeof p);
    VL_TRY(vl_params_choose(&lit, q, p));
    *out = lit;
    return VELUM_OK;
}
