// SPDX-License-Identifier: Apache-2.0
#include "rlwe/params.h"

// Bossuat et al., eprint 2024/463, table 5.2; where the newest lattice-estimator is stricter, its number. Sparse
// weights: conservative against hybrid attacks with a generous meet-in-the-middle, 128 bits only.
static const struct line {
    uint32_t log_n, weight;
    uint16_t max_log_qp[3]; // at 128, 192, 256 bits; 0: not granted
} table[] = {
    {12, 0, {106, 73, 56}},     {13, 0, {214, 147, 114}},    {14, 0, {430, 297, 230}}, {15, 0, {868, 597, 462}},
    {16, 0, {1744, 1199, 929}}, {17, 0, {3516, 2411, 1866}}, {15, 192, {794, 0, 0}},   {15, 256, {817, 0, 0}},
    {16, 192, {1621, 0, 0}},    {16, 256, {1661, 0, 0}},     {15, 32, {121, 0, 0}},    {16, 32, {121, 0, 0}},
};

double vl_security_max_log_qp(uint32_t log_n, uint32_t secret_weight, uint32_t security_bits) {
    uint32_t column = security_bits / 64 - 2;
    if (security_bits != 128 && security_bits != 192 && security_bits != 256) return 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].log_n == log_n && table[i].weight == secret_weight) return table[i].max_log_qp[column];
    return 0;
}

uint32_t vl_security_of(uint32_t log_n, uint32_t secret_weight, double log_qp) {
    for (uint32_t bits = 256; bits >= 128; bits -= 64) {
        double limit = vl_security_max_log_qp(log_n, secret_weight, bits);
        if (limit > 0 && log_qp <= limit) return bits;
    }
    return 0;
}
