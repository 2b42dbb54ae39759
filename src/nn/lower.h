// SPDX-License-Identifier: Apache-2.0
// From the graph to prologue, affine forms, nonlinear bases and epilogue.
#ifndef VELUM_NN_LOWER_H
#define VELUM_NN_LOWER_H

#include "nn/eval.h"
#include "nn/form.h"

// packed: products of two values are written with squares (x y = ((x+y)^2 - x^2 - y^2) / 2), which share one linear
// map; else as products, which need fewer relinearisations where every feature is a ciphertext.
velum_status vl_nn_lower(vl_nn_graph *g, bool packed, vl_nn_lowered *out);

// Packed only: where a linear map reads few of many features and has many rows, the client repeats those features at
// the end of its vector, as often as there are rows, so that the map has as few diagonals as it reads features (for 512
// rows on 13 of 1,181 features 13 instead of 524). Nothing is done where that would make the vector's period longer, or
// where a map reads one-hot features.
velum_status vl_nn_repeat_features(vl_nn_lowered *l);

// ---- between lower.c and its operators ----
typedef enum vl_nn_sym_kind { VL_NN_UNSET, VL_NN_KNOWN, VL_NN_STEPS, VL_NN_FORM } vl_nn_sym_kind;
// A tensor during lowering. FORM: element i is a x^2 + b x + c of element i of the root, all three NULL for x itself.
typedef struct vl_nn_sym {
    vl_nn_sym_kind kind;
    vl_nn_tensor t; // KNOWN: with values
    uint32_t *step; // STEPS: by element
    const vl_nn_form *root;
    double *a, *b, *c;
    const vl_nn_node *born; // where a quadratic got its square
    vl_epilogue epilogue;   // FORM: what the client still has to do; then only relabelling may follow
    uint32_t value;         // 1 + the graph's value that it is; 0: none, on the way to one
} vl_nn_sym;

typedef struct vl_nn_lowering {
    vl_nn_graph *g;
    vl_nn_heap *h;
    vl_nn_lowered *l;
    bool packed;
    vl_nn_sym *sym; // by value
    bool *last;     // by value: nothing but relabelling stands between it and the output
} vl_nn_lowering;

// The symbol as an affine form (steps become features, a quadratic becomes a square); remembered in the symbol.
velum_status vl_nn_affine(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *s, const vl_nn_form **out);
// Add, Sub, Mul, Div, Mod, Pow where at least one operand is not known.
velum_status vl_nn_lower_binary(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, vl_nn_sym *y, vl_nn_sym *out);
velum_status vl_nn_lower_product(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *const *in,
                                 vl_nn_sym *out); // MatMul, Gemm
// Functions of one number: steps of the client where it can, else vl_nn_lower_activation. And what only raw inputs can
// do (LabelEncoder, Equal, Where): steps of the client.
velum_status vl_nn_lower_scalar(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor, vl_nn_sym *x,
                                vl_nn_sym *out);
velum_status vl_nn_lower_raw(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                             vl_nn_sym *const *in, vl_nn_sym *out);
// Element-wise product of two forms of equal size.
velum_status vl_nn_multiply(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, const vl_nn_form *g,
                            const vl_nn_form **out);
// The symbol with elements picked by a map; a quadratic stays one where the map is the identity.
velum_status vl_nn_pick(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const uint32_t *map,
                        const vl_nn_tensor *t, vl_nn_sym *out);
// Activations of encrypted values (act.c): a function of one number; PRelu; Max and Min; integer powers.
velum_status vl_nn_lower_activation(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                                    vl_nn_sym *x, vl_nn_sym *out);
velum_status vl_nn_lower_prelu(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, const vl_nn_sym *slope,
                               vl_nn_sym *out);
velum_status vl_nn_lower_extreme(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *const *in, vl_nn_sym *out);
velum_status vl_nn_lower_relu(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_form *f, vl_nn_form **out);
velum_status vl_nn_lower_power(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_sym *x, double exponent, vl_nn_sym *out);
// Conv, averages, BatchNormalization, Pad (picture_ops.c).
velum_status vl_nn_lower_rows(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor, vl_nn_sym *x,
                              vl_nn_sym *out);
// MaxPool: pairs of places against each other, round by round.
velum_status vl_nn_lower_max_pool(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                                  vl_nn_sym *x, vl_nn_sym *out);
void vl_nn_label_form(const vl_nn_node *n, vl_nn_form *f); // adds the node to the form's label
// The last two parts of a node's path: "top/top.0/Gemm" gives "top.0 Gemm".
void vl_nn_node_label(const vl_nn_node *n, char out[VL_NN_LABEL + 1]);

#endif
