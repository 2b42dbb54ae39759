// SPDX-License-Identifier: Apache-2.0
#include "rlwe/params.h"

#include "arith/arith.h"
#include "rlwe/bases.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MIN_PRIME_BITS 28 // what a base extension needs of its sources
#define LITERAL_HEAD 32   // bytes before the primes, as saved

static velum_status check_counts(const vl_params_literal *lit) {
    VL_FAIL_IF(lit->log_n < VL_MIN_LOG_N || lit->log_n > VL_MAX_LOG_N, VELUM_E_FORMAT,
               "parameters: ring degree 2^%u, must be 2^%d to 2^%d", lit->log_n, VL_MIN_LOG_N, VL_MAX_LOG_N);
    VL_FAIL_IF(lit->q_count == 0 || lit->p_count == 0 || lit->q_count > VL_MAX_LIMBS ||
                   lit->p_count > VL_MAX_LIMBS - lit->q_count,
               VELUM_E_FORMAT, "parameters: %u + %u primes, must be at least 1 + 1 and at most %d together",
               lit->q_count, lit->p_count, VL_MAX_LIMBS);
    return VELUM_OK;
}

// ---- choosing primes ----
static void sort_descending(uint64_t *v, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && v[j] > v[j - 1]; j--) {
            uint64_t t = v[j];
            v[j] = v[j - 1];
            v[j - 1] = t;
        }
}

// All primes of one size: the p_need largest go to P in descending order, the others to Q in the order found.
static velum_status choose_size(vl_params_literal *lit, unsigned bits, const uint8_t *q_bits, const uint8_t *p_bits,
                                uint64_t *taken, uint32_t *taken_count) {
    uint32_t need = 0, p_need = 0;
    for (uint32_t i = 0; i < lit->q_count; i++) need += q_bits[i] == bits;
    for (uint32_t i = 0; i < lit->p_count; i++) p_need += p_bits[i] == bits;
    need += p_need;
    if (need == 0) return VELUM_OK;
    uint64_t found[VL_MAX_LIMBS], sorted[VL_MAX_LIMBS];
    VL_TRY(vl_arith_primes(lit->log_n, bits, taken, *taken_count, need, found));
    memcpy(sorted, found, need * sizeof *found);
    sort_descending(sorted, need);
    for (uint32_t i = 0, next = 0; i < lit->p_count; i++)
        if (p_bits[i] == bits) lit->p[i] = sorted[next++];
    for (uint32_t i = 0, next = 0; i < lit->q_count; i++) {
        if (q_bits[i] != bits) continue;
        while (p_need > 0 && found[next] >= sorted[p_need - 1]) next++;
        lit->q[i] = found[next++];
    }
    memcpy(taken + *taken_count, found, need * sizeof *found);
    *taken_count += need;
    return VELUM_OK;
}

velum_status vl_params_choose(vl_params_literal *lit, const uint8_t *q_bits, const uint8_t *p_bits) {
    VL_TRY(check_counts(lit));
    for (uint32_t i = 0; i < lit->q_count + lit->p_count; i++) {
        unsigned bits = i < lit->q_count ? q_bits[i] : p_bits[i - lit->q_count];
        VL_FAIL_IF(bits < MIN_PRIME_BITS || bits > VL_MAX_MODULUS_BITS, VELUM_E_FORMAT,
                   "parameters: a prime of %u bits, must be %d to %d", bits, MIN_PRIME_BITS, VL_MAX_MODULUS_BITS);
    }
    vl_params_literal made = *lit;
    uint64_t taken[VL_MAX_LIMBS];
    uint32_t count = 0;
    for (unsigned bits = MIN_PRIME_BITS; bits <= VL_MAX_MODULUS_BITS; bits++)
        VL_TRY(choose_size(&made, bits, q_bits, p_bits, taken, &count));
    *lit = made;
    return VELUM_OK;
}

// ---- validation ----
static velum_status check_primes(const vl_params_literal *lit) {
    uint64_t all[VL_MAX_LIMBS];
    memcpy(all, lit->q, lit->q_count * sizeof *all);
    memcpy(all + lit->q_count, lit->p, lit->p_count * sizeof *all);
    for (uint32_t i = 0; i < lit->q_count + lit->p_count; i++) {
        uint64_t q = all[i];
        VL_FAIL_IF(q >> (MIN_PRIME_BITS - 1) == 0 || q >> VL_MAX_MODULUS_BITS != 0, VELUM_E_FORMAT,
                   "parameters: modulus %" PRIu64 " is not between 2^%d and 2^%d", q, MIN_PRIME_BITS - 1,
                   VL_MAX_MODULUS_BITS);
        VL_FAIL_IF((q & ((UINT64_C(2) << lit->log_n) - 1)) != 1, VELUM_E_FORMAT,
                   "parameters: modulus %" PRIu64 " is not 1 mod 2^%u", q, lit->log_n + 1);
        VL_FAIL_IF(!vl_arith_is_prime(q), VELUM_E_FORMAT, "parameters: modulus %" PRIu64 " is not prime", q);
        for (uint32_t j = 0; j < i; j++)
            VL_FAIL_IF(all[j] == q, VELUM_E_FORMAT, "parameters: modulus %" PRIu64 " appears twice", q);
    }
    return VELUM_OK;
}

static velum_status check_literal(const vl_params_literal *lit) {
    VL_TRY(check_counts(lit));
    VL_TRY(check_primes(lit));
    uint32_t alpha = lit->digit_limbs;
    VL_FAIL_IF(alpha == 0 || alpha > lit->q_count, VELUM_E_FORMAT, "parameters: %u limbs a digit, must be 1 to %u",
               alpha, lit->q_count);
    double log_p = vl_arith_log2_product(lit->p, lit->p_count);
    for (uint32_t i = 0; i < lit->q_count; i += alpha) {
        uint32_t size = lit->q_count - i < alpha ? lit->q_count - i : alpha;
        double log_digit = vl_arith_log2_product(lit->q + i, size);
        VL_FAIL_IF(log_digit > log_p, VELUM_E_FORMAT,
                   "parameters: digit %u has %.3f bits, more than the %.3f of the special primes", i / alpha, log_digit,
                   log_p);
    }
    VL_FAIL_IF(lit->secret_weight > UINT32_C(1) << lit->log_n, VELUM_E_FORMAT,
               "parameters: a secret of weight %u in a ring of degree 2^%u", lit->secret_weight, lit->log_n);
    uint32_t bits = lit->security_bits;
    VL_FAIL_IF(bits != 0 && bits != 128 && bits != 192 && bits != 256, VELUM_E_FORMAT,
               "parameters: %u security bits, must be 128, 192 or 256", bits);
    VL_FAIL_IF(!(isnormal(lit->scale) && lit->scale > 0), VELUM_E_FORMAT,
               "parameters: scale %g is not positive and normal", lit->scale);
    return VELUM_OK;
}

static velum_status check_security(const vl_params *p) {
    const vl_params_literal *lit = &p->literal;
    if (lit->security_bits == 0) return VELUM_OK;
    double limit = vl_security_max_log_qp(lit->log_n, lit->secret_weight, lit->security_bits);
    VL_FAIL_IF(limit == 0 && lit->secret_weight, VELUM_E_INSECURE,
               "parameters: no limit is known for N=2^%u with a secret of weight %u at %u bits", lit->log_n,
               lit->secret_weight, lit->security_bits);
    VL_FAIL_IF(limit == 0, VELUM_E_INSECURE, "parameters: no limit is known for N=2^%u at %u bits", lit->log_n,
               lit->security_bits);
    VL_FAIL_IF(!(p->log_qp <= limit), VELUM_E_INSECURE,
               "parameters: log2(QP) = %.2f at N=2^%u, the limit for %u bits of security is %.0f", p->log_qp,
               lit->log_n, lit->security_bits, limit);
    return VELUM_OK;
}

static velum_status digest_of(const vl_params_literal *lit, uint8_t digest[VL_DIGEST_BYTES]) {
    vl_writer w = vl_writer_of(LITERAL_HEAD + 8 * VL_MAX_LIMBS);
    vl_params_save(lit, &w);
    bool failed = w.failed;
    if (!failed) vl_digest(w.data, w.size, digest);
    vl_writer_clear(&w);
    VL_FAIL_IF(failed, VELUM_E_NOMEM, "no memory for parameters");
    return VELUM_OK;
}

static velum_status fill(vl_params *p, const vl_kernels *kernels) {
    const vl_params_literal *lit = &p->literal;
    p->digits = vl_bases_digits(p, lit->q_count);
    p->log_q = vl_arith_log2_product(lit->q, lit->q_count);
    p->log_qp = p->log_q + vl_arith_log2_product(lit->p, lit->p_count);
    p->security = vl_security_of(lit->log_n, lit->secret_weight, p->log_qp);
    VL_TRY(check_security(p));
    VL_TRY(digest_of(lit, p->digest));
    VL_TRY(vl_ring_init(&p->ring, lit->log_n, lit->q, lit->q_count, lit->p, lit->p_count, kernels));
    return vl_bases_new(p, &p->bases);
}

velum_status vl_params_new(const vl_params_literal *lit, const vl_kernels *kernels, vl_params **out) {
    VL_TRY(check_literal(lit));
    vl_params *p = vl_alloc(sizeof *p);
    VL_FAIL_IF(!p, VELUM_E_NOMEM, "no memory for parameters");
    p->literal = *lit;
    velum_status status = fill(p, kernels);
    if (status != VELUM_OK) {
        vl_params_free(p);
        return status;
    }
    *out = p;
    return VELUM_OK;
}

void vl_params_free(vl_params *p) {
    if (!p) return;
    vl_bases_free(p, p->bases);
    vl_ring_clear(&p->ring);
    vl_free(p);
}

// ---- saved form ----
void vl_params_save(const vl_params_literal *lit, vl_writer *w) {
    vl_write_u32(w, lit->log_n);
    vl_write_u32(w, lit->q_count);
    vl_write_u32(w, lit->p_count);
    vl_write_u32(w, lit->digit_limbs);
    vl_write_u32(w, lit->secret_weight);
    vl_write_u32(w, lit->security_bits);
    vl_write_f64(w, lit->scale);
    for (uint32_t i = 0; i < lit->q_count; i++) vl_write_u64(w, lit->q[i]);
    for (uint32_t i = 0; i < lit->p_count; i++) vl_write_u64(w, lit->p[i]);
}

velum_status vl_params_load(vl_reader *r, vl_params_literal *lit) {
    vl_params_literal made = {0};
    made.log_n = vl_read_u32(r);
    made.q_count = vl_read_u32(r);
    made.p_count = vl_read_u32(r);
    made.digit_limbs = vl_read_u32(r);
    made.secret_weight = vl_read_u32(r);
    made.security_bits = vl_read_u32(r);
    made.scale = vl_read_f64(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "parameters: cut short");
    VL_TRY(check_counts(&made));
    for (uint32_t i = 0; i < made.q_count; i++) made.q[i] = vl_read_u64(r);
    for (uint32_t i = 0; i < made.p_count; i++) made.p[i] = vl_read_u64(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "parameters: cut short in the list of %u primes", made.q_count + made.p_count);
    *lit = made;
    return VELUM_OK;
}

char *vl_params_describe(const vl_params *p, char *buf, size_t size) {
    const vl_params_literal *lit = &p->literal;
    char secret[32] = "ternary", security[32] = "INSECURE";
    if (lit->secret_weight) snprintf(secret, sizeof secret, "weight %u", lit->secret_weight);
    if (p->security) snprintf(security, sizeof security, "%u-bit security", p->security);
    snprintf(
        buf, size, "N=2^%u, Q %u limbs %.1f bits, P %u limbs, QP %.1f bits, %u digits, secret %s, scale 2^%.2f, %s",
        lit->log_n, lit->q_count, p->log_q, lit->p_count, p->log_qp, p->digits, secret, log2(lit->scale), security);
    return buf;
}

// ---- Galois elements ----
uint64_t vl_params_galois(const vl_params *p, int32_t k) {
    uint64_t mask = 2 * (uint64_t)p->ring.n - 1, power = 5, g = 1;
    uint32_t exponent = (uint32_t)k & (p->ring.n / 2 - 1); // the order of 5 is N/2
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) g = g * power & mask;
        power = power * power & mask;
    }
    return g;
}

uint64_t vl_params_galois_conj(const vl_params *p) { return 2 * (uint64_t)p->ring.n - 1; }
