// SPDX-License-Identifier: Apache-2.0
// Operators that are one real function of one number: activations and the like. On encrypted values the compiler has to
// approximate them; on raw inputs the client computes some of them; on constants they are computed at once.
#ifndef VELUM_NN_ACTIVATION_H
#define VELUM_NN_ACTIVATION_H

#include "nn/shape.h"

// X(kind, f(x) with a = alpha and b = beta)
#define VL_NN_ACTIVATION_LIST(X)                                                                                       \
    X(RELU, "max(x, 0)")                                                                                               \
    X(LEAKY_RELU, "x; a x below 0")                                                                                    \
    X(THRESHOLDED_RELU, "x above a, else 0")                                                                           \
    X(CLIP, "min(max(x, a), b); a or b may be infinite")                                                               \
    X(SIGMOID, "1 / (1 + exp(-x))")                                                                                    \
    X(TANH, "tanh x")                                                                                                  \
    X(SOFTPLUS, "log(1 + exp x)")                                                                                      \
    X(SOFTSIGN, "x / (1 + |x|)")                                                                                       \
    X(ELU, "x; a (exp x - 1) below 0")                                                                                 \
    X(SELU, "b x; b a (exp x - 1) below 0")                                                                            \
    X(CELU, "x; a (exp(x / a) - 1) below 0")                                                                           \
    X(HARD_SIGMOID, "a x + b clipped to 0 .. 1")                                                                       \
    X(HARD_SWISH, "x (x / 6 + 1 / 2 clipped to 0 .. 1)")                                                               \
    X(SILU, "x / (1 + exp(-a x))")                                                                                     \
    X(GELU, "x (1 + erf(x / sqrt 2)) / 2")                                                                             \
    X(GELU_TANH, "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2")                                                  \
    X(MISH, "x tanh(log(1 + exp x))")                                                                                  \
    X(ABS, "|x|")                                                                                                      \
    X(SIGN, "-1, 0 or 1")                                                                                              \
    X(EXP, "exp x")                                                                                                    \
    X(LOG, "log x, x > 0")                                                                                             \
    X(SQRT, "sqrt x, x >= 0")                                                                                          \
    X(RECIPROCAL, "1 / x, x not 0")                                                                                    \
    X(ERF, "erf x")                                                                                                    \
    X(FLOOR, "rounded down")                                                                                           \
    X(CEIL, "rounded up")                                                                                              \
    X(ROUND, "rounded to the nearest integer, ties to the even one")

typedef enum vl_nn_activation_kind {
#define X(kind, what) VL_NN_ACT_##kind,
    VL_NN_ACTIVATION_LIST(X)
#undef X
        VL_NN_ACTIVATIONS
} vl_nn_activation_kind;

typedef struct vl_nn_activation {
    vl_nn_activation_kind kind;
    double alpha, beta;
} vl_nn_activation;

bool vl_nn_is_activation(vl_nn_opcode op);
// The function of such a node. `in` as for shapes: Clip's bounds may be inputs, and then must be constants.
velum_status vl_nn_activation_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_activation *out);
// May overflow or be NaN outside the function's domain.
double vl_nn_activation_at(const vl_nn_activation *f, double x);

#endif
