// SPDX-License-Identifier: Apache-2.0
// A sum of products of ciphertexts that is never written down: what relinearises it makes its words where they are
// used, a stretch of coefficients at a time. Of a product's three polynomials and the passes that add to them nothing
// goes through memory.
#ifndef VELUM_RLWE_SUM_H
#define VELUM_RLWE_SUM_H

#include "rlwe/rlwe.h"

#define VL_SUM_PRODUCTS 12
#define VL_SUM_TERMS 80

// times sum_k a_k b_k + sum_k factor_k t_k + constant, of degree 2. Each operand has degree 1 and at least `level`
// limbs of Q. The constant is an integer (that of a real number in every slot, at the sum's scale).
typedef struct vl_sum {
    uint16_t level;
    double scale, constant;
    int64_t times;
    uint32_t products, terms;
    struct vl_sum_product {
        vl_poly a[2], b[2];
    } product[VL_SUM_PRODUCTS];
    struct vl_sum_term {
        vl_poly t[2];
        int64_t factor;
    } term[VL_SUM_TERMS];
} vl_sum;

vl_sum vl_sum_empty(uint16_t level, double scale); // times: 1
// The scales are the caller's business: times a b, and factor t, must have the sum's.
void vl_sum_add_product(vl_sum *s, const vl_ciphertext *a, const vl_ciphertext *b);
void vl_sum_add_term(vl_sum *s, const vl_ciphertext *t, int64_t factor);
// value: of every slot.
void vl_sum_add_constant(vl_sum *s, double value);

// Limb i of its third polynomial, which the products alone make; d may not overlap the operands.
void vl_sum_last(const vl_params *p, const vl_sum *s, uint32_t i, uint64_t *d);
// Words [begin, begin + n) of limb i of all three polynomials, n a multiple of 16; t: as much scratch.
void vl_sum_part(const vl_params *p, const vl_sum *s, uint32_t i, size_t begin, size_t n, uint64_t *const d[3],
                 uint64_t *const t[3]);

// out = the sum, relinearised, and with `rescale` divided by its last prime in the same division: level - 1, scale /
// q_{level-1}. out needs room for that; it may be an operand. At least one product.
void vl_rlwe_relinearise_sum(vl_exec *x, const vl_params *p, const vl_switch_key *relin, const vl_sum *s, bool rescale,
                             vl_ciphertext *out);
// out = a sum without products; it may not be an operand.
void vl_rlwe_sum_terms(vl_exec *x, const vl_params *p, const vl_sum *s, vl_ciphertext *out);

#endif
