// SPDX-License-Identifier: Apache-2.0
// Which families this CPU can run, and the modulus record.
#include "kernels/internal.h"

#include "base/cpu.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const vl_kernels *const ladder_ref[4] = {&vl_kernels_ref};
#if defined(__x86_64__)
static const vl_kernels *const ladder_avx2[4] = {&vl_kernels_ref, &vl_kernels_avx2};
static const vl_kernels *const ladder_ifma[4] = {&vl_kernels_ref, &vl_kernels_avx2, &vl_kernels_ifma};
#endif

// One early return per missing CPU level.
const vl_kernels *const *vl_kernels_available(void) {
#if defined(__x86_64__)
    unsigned features = vl_cpu_features();
    if (!(features & VL_CPU_AVX2_FMA)) return ladder_ref;
    if (!(features & VL_CPU_AVX512_IFMA)) return ladder_avx2;
    return ladder_ifma;
#else
    return ladder_ref;
#endif
}

const vl_kernels *vl_kernels_find(const char *name) {
    const vl_kernels *const *k = vl_kernels_available();
    if (name == NULL) name = getenv("VELUM_KERNELS");
    if (name == NULL || *name == '\0') {
        while (k[1] != NULL) k++;
        return *k;
    }
    while (*k != NULL && strcmp((*k)->name, name) != 0) k++;
    return *k;
}

// floor(2^128 / q) for q > 1, by two steps of long division in base 2^64.
static void barrett128(uint64_t q, uint64_t *hi, uint64_t *lo) {
    unsigned __int128 one = (unsigned __int128)1 << 64;
    *hi = (uint64_t)(one / q);
    *lo = (uint64_t)(((one % q) << 64) / q);
}

velum_status vl_modulus_init(vl_modulus *m, uint64_t q, unsigned log_n, const vl_kernels *k) {
    VL_FAIL_IF(log_n < VL_MIN_LOG_N || log_n > VL_MAX_LOG_N, VELUM_E_LIMIT, "degree 2^%u is not supported", log_n);
    VL_FAIL_IF(q >> VL_MAX_MODULUS_BITS != 0 || q % ((uint64_t)2 << log_n) != 1 || !vl_arith_is_prime(q), VELUM_E_LIMIT,
               "%llu is not a prime below 2^50 that is 1 mod 2^%u", (unsigned long long)q, log_n + 1);
    vl_modulus r = {.q = q, .log_n = log_n, .k = k};
    r.bits = 64 - (unsigned)__builtin_clzll(q); // q is odd: never a power of two
    r.psi = vl_arith_root(q, log_n);
    r.n_inv = vl_arith_inv(((uint64_t)1 << log_n) % q, q);
    r.r52 = ((uint64_t)1 << 52) % q;
    r.r52_shoup = vl_arith_shoup52(r.r52, q);
    r.barrett52 = ((uint64_t)1 << 52) / q;
    barrett128(q, &r.barrett_hi, &r.barrett_lo);
    r.qd = (double)q;
    r.q_inv = 1.0 / r.qd;
    VL_TRY(k->tables_new(&r));
    *m = r;
    return VELUM_OK;
}

void vl_modulus_clear(vl_modulus *m) {
    if (m == NULL || m->k == NULL) return;
    m->k->tables_free(m);
    memset(m, 0, sizeof *m);
}
