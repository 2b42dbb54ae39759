// SPDX-License-Identifier: Apache-2.0
// Activations and other usual functions as polynomials: Chebyshev interpolation on a range, at a degree or to an error.
#ifndef VELUM_CIRCUITS_ACTIVATION_H
#define VELUM_CIRCUITS_ACTIVATION_H

#include "circuits/chebyshev.h"
#include "circuits/poly.h"

// X(constant, name, what). `alpha` is the function's parameter; those that have none do not look at it.
#define VL_ACTIVATION_LIST(X)                                                                                          \
    X(SIGMOID, "sigmoid", "1 / (1 + exp(-x))")                                                                         \
    X(TANH, "tanh", "tanh x")                                                                                          \
    X(SILU, "silu", "x sigmoid(x)")                                                                                    \
    X(GELU, "gelu", "x (1 + erf(x / sqrt 2)) / 2")                                                                     \
    X(GELU_TANH, "gelu_tanh", "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2")                                     \
    X(SOFTPLUS, "softplus", "log(1 + exp(alpha x)) / alpha")                                                           \
    X(MISH, "mish", "x tanh(log(1 + exp x))")                                                                          \
    X(ELU, "elu", "x; alpha (exp x - 1) below 0")                                                                      \
    X(SELU, "selu", "1.0507009873554805 elu(x) with alpha 1.6732632423543772")                                         \
    X(CELU, "celu", "x; alpha (exp(x / alpha) - 1) below 0")                                                           \
    X(RELU, "relu", "max(x, 0)")                                                                                       \
    X(LEAKY_RELU, "leaky_relu", "x; alpha x below 0")                                                                  \
    X(RELU6, "relu6", "x clipped to 0 .. 6")                                                                           \
    X(HARD_SIGMOID, "hard_sigmoid", "x / 6 + 1 / 2 clipped to 0 .. 1")                                                 \
    X(HARD_SWISH, "hard_swish", "x hard_sigmoid(x)")                                                                   \
    X(SOFTSIGN, "softsign", "x / (1 + |x|)")                                                                           \
    X(EXP, "exp", "exp x")                                                                                             \
    X(LOG, "log", "log x, x > 0")                                                                                      \
    X(INVERSE, "inverse", "1 / x, x not 0")                                                                            \
    X(SQRT, "sqrt", "sqrt x, x >= 0")                                                                                  \
    X(INVERSE_SQRT, "inverse_sqrt", "1 / sqrt x, x > 0")                                                               \
    X(ERF, "erf", "erf x")                                                                                             \
    X(SIN, "sin", "sin x")                                                                                             \
    X(COS, "cos", "cos x")

typedef enum vl_activation {
#define X(constant, name, what) VL_ACTIVATION_##constant,
    VL_ACTIVATION_LIST(X)
#undef X
        VL_ACTIVATIONS
} vl_activation;

typedef struct vl_activation_options {
    double lo, hi;
    double alpha;        // 0: 1, and 0.01 for leaky_relu (the customary values)
    uint32_t degree;     // exactly this one, or
    double error;        // the smallest degree with at most this error; one of the two is 0
    uint32_t max_degree; // for `error`; 0: VL_POLY_MAX_DEGREE
} vl_activation_options;

typedef struct vl_fit {
    vl_polynomial poly; // on [lo, hi]; its coefficients belong to the fit
    double max_error;   // on the grid of vl_chebyshev_fit
    double *c;
} vl_fit;

const char *vl_activation_name(vl_activation f);
bool vl_activation_find(const char *name, vl_activation *out); // false: no such name
double vl_activation_eval(vl_activation f, double alpha, double x);
// VELUM_E_VALUE for an empty range, a range on which f has a pole or is not defined, or options that are not finite or
// contradict each other; VELUM_E_LIMIT if no degree up to the highest reaches the error: it names what that one does.
velum_status vl_activation_fit(vl_activation f, const vl_activation_options *options, vl_fit *out);
// The same for any function.
velum_status vl_fit_function(vl_function f, const void *arg, const vl_activation_options *options, vl_fit *out);
void vl_fit_free(vl_fit *fit);

#endif
