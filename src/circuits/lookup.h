// SPDX-License-Identifier: Apache-2.0
// Embedding lookups of many tables at once: e_t = sum of the rows of table t whose inputs are 1, for all tables, by one
// product with a block-diagonal plaintext matrix and one level (HE-LRM, arXiv 2506.18150).
//
// Digits. A table of k rows is replaced by l = ceil(log_base k) tables of `base` rows, e(i) = sum_j T_j[digit_j(i)],
// digits least significant first; here they count as one table of base l rows of which l inputs are 1. Tables of up to
// `threshold` rows stay whole: one input is 1. The width is the number of inputs of all tables together.
//
// Layout. L lanes and D numbers a row, powers of two >= tables and dim. The result repeats with L D slots:
//   number c of table t at slot c L + t + any multiple of L D,
// so tables are lanes, innermost, and every table's rows may take part in the same products. The inputs lie in columns:
// lane m of ciphertext i is column (i, m), the slots p L + m; it holds up to R = slots / (L K) rows of one table, K
// times: row r of the column in copy k at position p = k R + (r + k D / K) mod R. (The client fills the copies, which
// costs nothing.) Positions are cyclic and R is a multiple of D. A column's table t need not be m; s = (m - t) mod L is
// its shift. All that a slot o of the result needs of columns with shift s then lies at o + d L + s, d in [0, D / K):
//   z[o] = sum over i, s, d of A_isd[o] x_i[o + d L + s],   y = sum over f of z rotated by f L D,
// D / K diagonals for each shift that a ciphertext uses, and log2(slots / (L D)) folds. Only large tables have more
// than one column; the planner deals columns out so that ciphertexts use few shifts (docs/design/lookup.md).
//
// Diagonals are split as (d B + b) L + s into babies and giants (bsgs.h); the shifts go with either. Products at
// `level`, one rescale, then the folds at level - 1.
#ifndef VELUM_CIRCUITS_LOOKUP_H
#define VELUM_CIRCUITS_LOOKUP_H

#include "circuits/bsgs.h"
#include "circuits/lintrans.h"

#define VL_LOOKUP_MAX_INPUTS 64   // ciphertexts
#define VL_LOOKUP_MAX_HOT 32      // inputs of one table that are 1
#define VL_LOOKUP_NONE UINT32_MAX // a slot without an input
#define VL_LOOKUP_MAX_KEYS 4096   // rotations
#define VL_LOOKUP_MAX_LANES 256   // tables
#define VL_LOOKUP_MAX_WIDTH 1048576

// ---- digits ----
uint32_t vl_lookup_digits(uint64_t rows, uint32_t base); // ceil(log_base rows), at least 1; base >= 2
// Inputs of a table of so many rows: rows, or base times its digits above the threshold.
uint32_t vl_lookup_inputs(uint64_t rows, uint32_t base, uint64_t threshold);
// Which of them are 1 for this index < rows; returns how many, at most VL_LOOKUP_MAX_HOT if rows < 2^32.
uint32_t vl_lookup_hot(uint64_t rows, uint32_t base, uint64_t threshold, uint64_t index, uint32_t *out);

// ---- plan ----
typedef struct vl_lookup_column {
    uint32_t table, first, rows; // rows [first, first + rows) of all tables together; rows 0: empty
} vl_lookup_column;

typedef struct vl_lookup_plan {
    uint32_t slots, dim, tables, width;
    uint32_t lanes, period; // L, D
    uint32_t copies, inputs;
    uint32_t babies, giants;
    bool shifted_babies; // shifts go with the babies
    int32_t *baby, *giant;
    vl_lookup_column *column; // of input i, lane m at [i * lanes + m]
} vl_lookup_plan;

// inputs: of each table. prices: at the level that it will run at. The cheapest plan among those with the fewest
// ciphertexts. VELUM_E_FORMAT for numbers that make no sense, VELUM_E_LIMIT if the result does not fit the slots or the
// inputs not VL_LOOKUP_MAX_INPUTS ciphertexts. cost may be NULL; its rotations are those of giants and folds.
velum_status vl_lookup_plan_new(const uint32_t *inputs, uint32_t tables, uint32_t dim, uint32_t slots,
                                const vl_lintrans_prices *prices, vl_lookup_plan *plan, vl_lintrans_cost *cost);
void vl_lookup_plan_free(vl_lookup_plan *plan);
// The input (0 .. width - 1, all tables in order) that a slot of a ciphertext holds, or VL_LOOKUP_NONE.
uint32_t vl_lookup_at(const vl_lookup_plan *plan, uint32_t input, uint32_t slot);
// The first slot that holds number c of a table.
static inline uint32_t vl_lookup_out(const vl_lookup_plan *plan, uint32_t table, uint32_t c) {
    return c * plan->lanes + table;
}
// The client's side: the slots of one ciphertext, 1 for the `count` inputs listed and 0 elsewhere.
void vl_lookup_pack(const vl_lookup_plan *plan, uint32_t input, const uint32_t *hot, uint32_t count, double *slots);
// Keys for vl_lookup_apply at `level`, each once; at most VL_LOOKUP_MAX_KEYS. No relinearisation key.
uint32_t vl_lookup_key_requests(const vl_lookup_plan *plan, const vl_params *p, uint16_t level, vl_key_request *out);

// ---- execution ----
typedef struct vl_lookup { // a plan with its encoded diagonals; the plan must outlive it
    const vl_lookup_plan *plan;
    uint16_t level;
    double scale;
    vl_diag *diag;   // giants rows of inputs x babies, see bsgs.h
    uint64_t *block; // owns them
    uint64_t bytes;
} vl_lookup;
// weights: width x dim, row-major. out_scale = in_scale * scale / q_{level-1}.
velum_status vl_lookup_encode(vl_exec *x, const vl_encoder *e, const vl_lookup_plan *plan, const double *weights,
                              uint16_t level, double scale, vl_lookup *out);
void vl_lookup_free(vl_lookup *lookup);
size_t vl_lookup_encode_scratch(const vl_params *p, const vl_lookup_plan *plan, uint16_t level);
// d at level - 1 (rescaled), valid in every slot: numbers as above, 0 where no table or number is. a: plan->inputs
// ciphertexts at lookup->level or above, one scale, degree 1; d is none of them.
void vl_lookup_apply(vl_exec *x, const vl_eval_keys *keys, const vl_lookup *lookup, vl_ciphertext *d,
                     const vl_ciphertext *a);
size_t vl_lookup_scratch(const vl_params *p, const vl_lookup_plan *plan, uint16_t level);

#endif
