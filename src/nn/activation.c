// SPDX-License-Identifier: Apache-2.0
#include "nn/activation.h"
#include <math.h>

static bool find(vl_nn_opcode op, vl_nn_activation *f) {
    static const struct {
        vl_nn_opcode op;
        vl_nn_activation f; // with the operator's default attributes
    } list[] = {
        {VL_NN_Relu, {VL_NN_ACT_RELU, 0, 0}},
        {VL_NN_LeakyRelu, {VL_NN_ACT_LEAKY_RELU, 0.01, 0}},
        {VL_NN_ThresholdedRelu, {VL_NN_ACT_THRESHOLDED_RELU, 1, 0}},
        {VL_NN_Clip, {VL_NN_ACT_CLIP, -INFINITY, INFINITY}},
        {VL_NN_Sigmoid, {VL_NN_ACT_SIGMOID, 0, 0}},
        {VL_NN_Tanh, {VL_NN_ACT_TANH, 0, 0}},
        {VL_NN_Softplus, {VL_NN_ACT_SOFTPLUS, 0, 0}},
        {VL_NN_Softsign, {VL_NN_ACT_SOFTSIGN, 0, 0}},
        {VL_NN_Elu, {VL_NN_ACT_ELU, 1, 0}},
        {VL_NN_Selu, {VL_NN_ACT_SELU, 1.67326319217681884765625, 1.05070102214813232421875}},
        {VL_NN_Celu, {VL_NN_ACT_CELU, 1, 0}},
        {VL_NN_HardSigmoid, {VL_NN_ACT_HARD_SIGMOID, 0.2, 0.5}},
        {VL_NN_HardSwish, {VL_NN_ACT_HARD_SWISH, 0, 0}},
        {VL_NN_Swish, {VL_NN_ACT_SILU, 1, 0}},
        {VL_NN_Gelu, {VL_NN_ACT_GELU, 0, 0}},
        {VL_NN_Mish, {VL_NN_ACT_MISH, 0, 0}},
        {VL_NN_Abs, {VL_NN_ACT_ABS, 0, 0}},
        {VL_NN_Sign, {VL_NN_ACT_SIGN, 0, 0}},
        {VL_NN_Exp, {VL_NN_ACT_EXP, 0, 0}},
        {VL_NN_Log, {VL_NN_ACT_LOG, 0, 0}},
        {VL_NN_Sqrt, {VL_NN_ACT_SQRT, 0, 0}},
        {VL_NN_Reciprocal, {VL_NN_ACT_RECIPROCAL, 0, 0}},
        {VL_NN_Erf, {VL_NN_ACT_ERF, 0, 0}},
        {VL_NN_Floor, {VL_NN_ACT_FLOOR, 0, 0}},
        {VL_NN_Ceil, {VL_NN_ACT_CEIL, 0, 0}},
        {VL_NN_Round, {VL_NN_ACT_ROUND, 0, 0}},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].op == op) {
            *f = list[i].f;
            return true;
        }
    return false;
}

bool vl_nn_is_activation(vl_nn_opcode op) {
    vl_nn_activation f;
    return find(op, &f);
}

velum_status vl_nn_activation_of(const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_activation *out) {
    vl_nn_activation f;
    VL_NN_FAIL_IF(!find(n->op, &f), n, VELUM_E_INTERNAL, "no function of one number");
    if (n->op == VL_NN_Clip) {
        VL_TRY(vl_nn_clip_bounds(n, in, &f.alpha, &f.beta));
    } else {
        f.alpha = vl_nn_attr_float(n, "alpha", f.alpha);
        f.beta = vl_nn_attr_float(n, n->op == VL_NN_Selu ? "gamma" : "beta", f.beta);
    }
    VL_NN_FAIL_IF(n->op == VL_NN_Celu && f.alpha == 0, n, VELUM_E_FORMAT, "alpha is 0");
    if (n->op == VL_NN_Gelu) {
        bool tanh_form = vl_nn_attr_is(n, "approximate", "tanh", false);
        VL_NN_FAIL_IF(!tanh_form && !vl_nn_attr_is(n, "approximate", "none", true), n, VELUM_E_UNSUPPORTED,
                      "attribute 'approximate'; none and tanh work");
        if (tanh_form) f.kind = VL_NN_ACT_GELU_TANH;
    }
    *out = f;
    return VELUM_OK;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double limit(double x, double lo, double hi) { return fmin(fmax(x, lo), hi); }

double vl_nn_activation_at(const vl_nn_activation *f, double x) {
    double a = f->alpha, b = f->beta;
    switch (f->kind) {
    case VL_NN_ACT_RELU: return x > 0 ? x : 0;
    case VL_NN_ACT_LEAKY_RELU: return x < 0 ? a * x : x;
    case VL_NN_ACT_THRESHOLDED_RELU: return x > a ? x : 0;
    case VL_NN_ACT_CLIP: return limit(x, a, b);
    case VL_NN_ACT_SIGMOID: return sigmoid(x);
    case VL_NN_ACT_TANH: return tanh(x);
    case VL_NN_ACT_SOFTPLUS: return softplus(x);
    case VL_NN_ACT_SOFTSIGN: return x / (1 + fabs(x));
    case VL_NN_ACT_ELU: return x < 0 ? a * expm1(x) : x;
    case VL_NN_ACT_SELU: return b * (x < 0 ? a * expm1(x) : x);
    case VL_NN_ACT_CELU: return fmax(x, 0) + fmin(0, a * expm1(x / a));
    case VL_NN_ACT_HARD_SIGMOID: return limit(a * x + b, 0, 1);
    case VL_NN_ACT_HARD_SWISH: return x * limit(x / 6 + 0.5, 0, 1);
    case VL_NN_ACT_SILU: return x * sigmoid(a * x);
    case VL_NN_ACT_GELU: return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case VL_NN_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case VL_NN_ACT_MISH: return x * tanh(softplus(x));
    case VL_NN_ACT_ABS: return fabs(x);
    case VL_NN_ACT_SIGN: return (x > 0) - (x < 0);
    case VL_NN_ACT_EXP: return exp(x);
    case VL_NN_ACT_LOG: return log(x);
    case VL_NN_ACT_SQRT: return sqrt(x);
    case VL_NN_ACT_RECIPROCAL: return 1 / x;
    case VL_NN_ACT_ERF: return erf(x);
    case VL_NN_ACT_FLOOR: return floor(x);
    case VL_NN_ACT_CEIL: return ceil(x);
    case VL_NN_ACT_ROUND: return rint(x);
    default: return NAN;
    }
}
