// SPDX-License-Identifier: Apache-2.0
// The shape of a polynomial's evaluation, shared by plan and executor.
//
// A node evaluates a polynomial within `budget` levels, as a sum at depth budget - 1 that one rescale ends.
#ifndef VELUM_CIRCUITS_POLY_TREE_H
#define VELUM_CIRCUITS_POLY_TREE_H

#include "circuits/poly.h"

typedef struct vl_poly_coeffs {
    uint32_t degree; // of the last coefficient that is not 0; 0 for constants
    double c[VL_POLY_MAX_DEGREE + 1];
} vl_poly_coeffs;

typedef struct vl_poly_tree {
    uint32_t depth;    // without the change of variable
    uint32_t log_leaf; // leaves have degree < 2^log_leaf
    uint32_t powers;   // of degree 2 and more
    bool needed[VL_POLY_MAX_DEGREE + 1];
    vl_poly_cost cost; // without the change of variable
} vl_poly_tree;

bool vl_poly_changes_variable(const vl_polynomial *f);
void vl_poly_trim(const vl_polynomial *f, vl_poly_coeffs *out);
void vl_poly_tree_best(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_tree *out);
// For w f, see vl_poly_apply_times.
void vl_poly_tree_best_times(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_tree *out);
// Whether a node w f is w times a node f with one level less; else it is split.
static inline bool vl_poly_is_factor(uint32_t degree, uint32_t budget) { return degree < UINT32_C(1) << (budget - 1); }
// Whether a node of this degree is an integer combination of powers.
bool vl_poly_is_leaf(const vl_poly_tree *t, uint32_t degree, uint32_t budget);
// f = q X^m + r (or T_m), m = 2^k the largest power of two <= f->degree; returns m.
uint32_t vl_poly_divide(vl_poly_basis basis, const vl_poly_coeffs *f, vl_poly_coeffs *q, vl_poly_coeffs *r);
// Power i >= 2 is made of powers a = 2^k and b = i - a <= a.
static inline uint32_t vl_poly_left_power(uint32_t i) { return UINT32_C(1) << (31 - (unsigned)__builtin_clz(i - 1)); }
// ceil(log2 i): the levels below the input at which power i is.
static inline uint32_t vl_poly_power_depth(uint32_t i) { return i < 2 ? 0 : 32 - (uint32_t)__builtin_clz(i - 1); }

#endif
