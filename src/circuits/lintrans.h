// SPDX-License-Identifier: Apache-2.0
// Linear maps on packed vectors: y = W x, W real, rows x cols.
//
// Layout. A vector of up to `period` features (a power of two) lies in the slots as
//   slot t * lanes + r  holds feature t mod period of request r,   for feature positions t in [0, valid),
// and is undefined (bounded, but meaningless) above; valid = positions = slots / lanes means periodic all around.
// `lanes` requests lie innermost, so every rotation is a multiple of lanes.
//
// Method (a generalisation of hybrid diagonals, GAZELLE; baby-step giant-step with double hoisting, Bossuat et al.
// 2020/1203). With P_in, P_out the periods, D = min(P_in, P_out) diagonals and W = max(1, P_in / P_out) folds:
//   y[s] = sum_{c<W} z[s + c P_out],  z[t] = sum_{d<D} A_d[t] x[t + d],  A_d[t] = W[t mod P_out][(t + d) mod P_in].
// The D diagonals split as d = (k R + r) B + b: B baby steps (hoisted rotations of x), R giant steps (rotations of
// sums), and G copies: x lies many times over the slots, so copy k of it works on diagonals k R B .. (k+1) R B - 1 at
// the same time, in the range [k (S + R B), ...) of positions, and the copies are folded together by log2 G rotations
// by multiples of S + R B. The output is valid on fewer positions: valid_out + (W - 1) P_out <= S + R B, and the whole
// must lie inside valid_in. So a 32 x 32 layer costs one product and 5 rotations when there is room for 32 copies.
// S is a multiple of P_in, so that copy k sees the input shifted by k R B. Exactly, with V = valid_out + (W - 1) P_out
// the length of z that is needed and T = S + R B the spacing: V <= T and (G - 1) T + V + R B - 1 <= valid_in, without
// the R B - 1 where the input is cyclic (reads wrap around). With one copy and a cyclic input all is cyclic, and
// valid_out = positions. The planner takes the S with the largest valid_out: it costs nothing.
//
// Elsewhere (positions of z that no valid output needs) the diagonals are zero. So an output depends on valid inputs
// only, everywhere: what lies above valid_out is a sum of some terms of W x, plus the bias, and never grows from layer
// to layer by itself; yet it may leave the range of a polynomial that follows, and an overflow in any slot spoils all.
// vl_lintrans_clear_apply gives these slots too, so a simulation sees it.
//
// Order of work, (level, scale): products (and giants) at `level`, one rescale, then the folds and the bias at level -
// 1, where rotations are cheaper. A fold doubles the error's variance and adds that of a key switch, about as large as
// the rescale's: log2(G W) folds cost at most half a bit each, and one more in all (docs/design/circuits.md).
#ifndef VELUM_CIRCUITS_LINTRANS_H
#define VELUM_CIRCUITS_LINTRANS_H

#include "circuits/diag.h"

typedef struct vl_lintrans_shape {
    uint32_t rows, cols;
    uint32_t slots;      // N/2
    uint32_t lanes;      // power of two
    uint32_t valid_in;   // feature positions that hold the periodic input; = slots / lanes: cyclic
    uint32_t valid_need; // feature positions that the consumer needs valid (>= period_out)
    uint32_t period_in;  // power of two >= cols
    uint32_t period_out; // power of two >= rows
} vl_lintrans_shape;

typedef struct vl_lintrans_plan { // pure data; saved in programs
    vl_lintrans_shape shape;
    uint32_t babies, giants, copies, folds; // B, R, G, W; all powers of two if G > 1
    uint32_t spacing;                       // S + R B: distance of copies, in positions; 0 if G = 1
    uint32_t valid_out;
} vl_lintrans_plan;

typedef struct vl_lintrans_cost {
    uint32_t hoisted, rotations, products, decompositions, mod_downs; // operations
    uint32_t diagonals;                                               // encoded plaintexts kept
    double seconds;                                                   // by the model given
} vl_lintrans_cost;
// Prices of the operations at the level at hand, in any common unit: a whole rotation; one more lazy rotation (left
// over QP) of a decomposed ciphertext; a product of a ciphertext with a plaintext; a decomposition. What a rotation
// costs beyond a decomposition and a lazy rotation is taken as the price of two divisions by P.
typedef struct vl_lintrans_prices {
    double rotation, hoisted, product, decompose;
} vl_lintrans_prices;
// Prices by counting transforms and passes at `level` of these parameters, in units of one limb's NTT: good for
// comparing plans where nothing has been measured.
vl_lintrans_prices vl_lintrans_prices_counted(const vl_params *p, uint16_t level);

// The shape itself: powers of two, cols <= period_in, rows <= period_out, periods within slots / lanes,
// period_in <= valid_in <= slots / lanes, rows <= valid_need <= slots / lanes. VELUM_E_FORMAT otherwise, naming it.
velum_status vl_lintrans_shape_check(const vl_lintrans_shape *shape);
// The plan with these splits: powers of two, babies * giants * copies = D; or one copy and giants = ceil(D / babies),
// any numbers (the last giant then has fewer diagonals). VELUM_E_LIMIT if valid_need is not reached.
velum_status vl_lintrans_plan_split(const vl_lintrans_shape *shape, uint32_t babies, uint32_t giants, uint32_t copies,
                                    vl_lintrans_plan *plan);
// The cheapest plan (ties: fewer keys). VELUM_E_LIMIT if the shape does not fit the slots.
velum_status vl_lintrans_plan_best(const vl_lintrans_shape *shape, const vl_lintrans_prices *prices,
                                   vl_lintrans_plan *plan, vl_lintrans_cost *cost);
vl_lintrans_cost vl_lintrans_price(const vl_lintrans_plan *plan, const vl_lintrans_prices *prices);
// Structure check of a plan read from a file: every number in range and consistent. VELUM_E_FORMAT otherwise.
velum_status vl_lintrans_plan_check(const vl_lintrans_plan *plan);
// Rotation amounts (in slots, to the left) that the plan needs, without duplicates; at most VL_LINTRANS_MAX_ROTATIONS.
#define VL_LINTRANS_MAX_ROTATIONS 4096
uint32_t vl_lintrans_rotations(const vl_lintrans_plan *plan, int32_t *out);
// The keys that vl_lintrans_apply needs at `level`: babies and giants at that level, folds at level - 1; each once, at
// its higher level. Returns the count, at most VL_LINTRANS_MAX_ROTATIONS. No relinearisation key.
uint32_t vl_lintrans_key_requests(const vl_lintrans_plan *plan, const vl_params *p, uint16_t level,
                                  vl_key_request *out);

typedef struct vl_lintrans { // a plan with its encoded diagonals: level and scale fixed
    vl_lintrans_plan plan;
    uint16_t level;
    double scale;      // of the encoded diagonals
    vl_diag *diag;     // giants x babies, see bsgs.h; x NULL: zero
    uint64_t *block;   // owns them all
    vl_poly bias;      // nq = level - 1 at out_scale; x NULL if none
    uint64_t bytes;    // kept in memory
    uint32_t expanded; // diagonals kept as coefficients and transformed at each use
} vl_lintrans;
// What vl_lintrans.bytes will be if no diagonal is zero and the budget is unlimited. With one copy and a cyclic input
// diagonals repeat with P = max(P_in, P_out) positions, and take P lanes / slots of their room.
uint64_t vl_lintrans_bytes(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level, bool bias);
size_t vl_lintrans_encode_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level);
// weights: rows x cols, row-major. bias: rows values or NULL, added after the rescale.
// out_scale = in_scale * scale / q_{level-1}.
velum_status vl_lintrans_encode(vl_exec *x, const vl_encoder *e, const vl_lintrans_plan *plan, const double *weights,
                                const double *bias, uint16_t level, double scale, double in_scale, vl_lintrans *out);
// The same with at most `budget` bytes of diagonals in transformed form; those that do not fit are kept as coefficients
// (a level + P'th of the memory; each use costs a transform a limb).
velum_status vl_lintrans_encode_within(vl_exec *x, const vl_encoder *e, const vl_lintrans_plan *plan,
                                       const double *weights, const double *bias, uint16_t level, double scale,
                                       double in_scale, uint64_t budget, vl_lintrans *out);
void vl_lintrans_free(vl_lintrans *lt);
// d = W a + bias: a at lt->level (or above: its upper limbs are not used); d at level - 1 (rescaled). d may be a.
void vl_lintrans_apply(vl_exec *x, const vl_params *p, const vl_eval_keys *keys, const vl_lintrans *lt,
                       vl_ciphertext *d, const vl_ciphertext *a);
size_t vl_lintrans_scratch(const vl_params *p, const vl_lintrans_plan *plan, uint16_t level);

// The same map in the clear on a slot vector of doubles (x, y: `slots` values, y may not be x), by the same plan:
// what the encrypted one computes in every slot, valid or not. For simulation and tests.
void vl_lintrans_clear_apply(const vl_lintrans_plan *plan, const double *weights, const double *bias, const double *x,
                             double *y);

#endif
