// SPDX-License-Identifier: Apache-2.0
// Primes q = 1 mod 2N and their canonical roots of unity.
#include "arith/arith.h"

#include <math.h>
#include <stddef.h>

// Miller-Rabin with the first twelve primes as bases, which decides every n below 3.3 10^24 (Sorenson, Webster 2015).
bool vl_arith_is_prime(uint64_t n) {
    static const uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (n < 2) return false;
    for (unsigned i = 0; i < sizeof bases / sizeof *bases; i++)
        if (n % bases[i] == 0) return n == bases[i];
    unsigned twos = (unsigned)__builtin_ctzll(n - 1);
    uint64_t odd = (n - 1) >> twos;
    for (unsigned i = 0; i < sizeof bases / sizeof *bases; i++) {
        uint64_t x = vl_arith_pow(bases[i], odd, n);
        if (x == 1 || x == n - 1) continue;
        bool composite = true;
        for (unsigned s = 1; s < twos && composite; s++) {
            x = vl_arith_mul(x, x, n);
            composite = x != n - 1;
        }
        if (composite) return false;
    }
    return true;
}

// The primitive 2N-th roots are the odd powers of any one of them: finds one, then walks over all N.
uint64_t vl_arith_root(uint64_t q, unsigned log_n) {
    uint64_t n = (uint64_t)1 << log_n, root = 0;
    for (uint64_t g = 2; root == 0; g++) {
        uint64_t r = vl_arith_pow(g, (q - 1) / (2 * n), q);
        if (vl_arith_pow(r, n, q) == q - 1) root = r;
    }
    uint64_t square = vl_arith_mul(root, root, q), smallest = root, power = root;
    uint64_t shoup = (uint64_t)(((unsigned __int128)square << 64) / q);
    for (uint64_t i = 1; i < n; i++) {
        uint64_t quotient = (uint64_t)(((unsigned __int128)power * shoup) >> 64);
        power = power * square - quotient * q;
        if (power >= q) power -= q;
        if (power < smallest) smallest = power;
    }
    return smallest;
}

static bool is_avoided(uint64_t p, const uint64_t *avoid, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (avoid[i] == p) return true;
    return false;
}

// Finds them; writes them if out is given. False if there are fewer than count.
static bool find_primes(unsigned log_n, unsigned bits, const uint64_t *avoid, uint32_t avoid_count, uint32_t count,
                        uint64_t *out) {
    uint64_t step = (uint64_t)2 << log_n, centre = (uint64_t)1 << bits;
    uint64_t highest = bits == VL_MAX_MODULUS_BITS ? 0 : (uint64_t)((double)centre * exp2(0.25));
    uint64_t lowest = (uint64_t)ceil((double)centre * exp2(-0.25));
    // up: the first candidate above 2^bits; down: the first at or below it.
    uint64_t down = (centre - 1) / step * step + 1, up = down + step;
    bool above = true;
    for (uint32_t found = 0; found < count;) {
        bool up_left = up <= highest, down_left = down >= lowest;
        if (!up_left && !down_left) return false;
        bool take_up = up_left && (above || !down_left);
        uint64_t p = take_up ? up : down;
        if (take_up)
            up += step;
        else
            down = down > step ? down - step : 0;
        if (!vl_arith_is_prime(p) || is_avoided(p, avoid, avoid_count)) continue;
        if (out != NULL) out[found] = p;
        found++;
        above = !take_up;
    }
    return true;
}

velum_status vl_arith_primes(unsigned log_n, unsigned bits, const uint64_t *avoid, uint32_t avoid_count, uint32_t count,
                             uint64_t *out) {
    VL_FAIL_IF(log_n < VL_MIN_LOG_N || log_n > VL_MAX_LOG_N, VELUM_E_USAGE, "log_n = %u is out of range", log_n);
    VL_FAIL_IF(bits < 2 || bits > VL_MAX_MODULUS_BITS, VELUM_E_LIMIT, "no primes of %u bits", bits);
    VL_FAIL_IF(!find_primes(log_n, bits, avoid, avoid_count, count, NULL), VELUM_E_LIMIT,
               "fewer than %u primes of %u bits for degree 2^%u", count, bits, log_n);
    find_primes(log_n, bits, avoid, avoid_count, count, out);
    return VELUM_OK;
}
