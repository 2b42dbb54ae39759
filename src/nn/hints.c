// SPDX-License-Identifier: Apache-2.0
// What to do about operators that people are likely to have, and many problems in one message.
#include "nn/graph.h"
#include <stdio.h>
#include <string.h>

const char *vl_nn_hint(const char *type) {
    static const struct {
        const char *type, *text;
    } list[] = {
        {"RNN", "recurrent networks are not supported; unroll it into Gemm and activations"},
        {"GRU", "recurrent networks are not supported; unroll it into Gemm and activations"},
        {"LSTM", "recurrent networks are not supported; unroll it into Gemm and activations"},
        {"If", "control flow is not supported; export the branch that inference takes"},
        {"Loop", "control flow is not supported, but for nn.EmbeddingBag as PyTorch exports it; unroll the loop"},
        {"Scan", "control flow is not supported; unroll the loop"},
        {"SequenceAt", "sequences are not supported; use tensors"},
        {"ConvTranspose", "transposed convolutions are not supported; use Conv and a larger input"},
        {"Resize", "resampling is not supported; resize pictures before they are given"},
        {"Upsample", "resampling is not supported; resize pictures before they are given"},
        {"GlobalMaxPool", "a maximum of encrypted values is not supported; use GlobalAveragePool"},
        {"LpPool", "only averages of encrypted values are supported; use AveragePool"},
        {"ReduceMax", "a maximum of encrypted values is not supported; use ReduceMean"},
        {"ReduceMin", "a minimum of encrypted values is not supported; use ReduceMean"},
        {"ReduceL2", "use Mul, ReduceSum and, outside the model, a square root"},
        {"LayerNormalization", "a division by an encrypted value is not supported; train with BatchNormalization"},
        {"InstanceNormalization", "a division by an encrypted value is not supported; train with BatchNormalization"},
        {"GroupNormalization", "a division by an encrypted value is not supported; train with BatchNormalization"},
        {"LRN", "a division by an encrypted value is not supported; train with BatchNormalization"},
        {"LogSoftmax", "let the model end with Softmax, or with the logits"},
        {"Hardmax", "let the model end with ArgMax"},
        {"TopK", "let the model end with the scores; the client sorts them"},
        {"NonZero", "its shape depends on data; write it without NonZero"},
        {"GatherND", "use Gather with constant indices, or into a constant table"},
        {"GatherElements", "use Gather with constant indices, or into a constant table"},
        {"ScatterND", "use Concat and Slice"},
        {"ScatterElements", "use Concat and Slice"},
        {"Einsum", "write it as Transpose, Reshape and MatMul"},
        {"Sum", "write it as Add"},
        {"Mean", "write it as Add and Mul"},
        {"Tile", "use Expand or Concat"},
        {"Trilu", "multiply by a constant matrix of 0 and 1"},
        {"CumSum", "multiply by a constant triangular matrix (MatMul)"},
        {"EmbeddingBag", "use Gather and ReduceSum"},
        {"Attention", "a softmax inside a network is not supported"},
        {"QuantizeLinear", "export the model before quantisation, with float weights"},
        {"DequantizeLinear", "export the model before quantisation, with float weights"},
        {"QLinearConv", "export the model before quantisation, with float weights"},
        {"ConvInteger", "export the model before quantisation, with float weights"},
        {"MatMulInteger", "export the model before quantisation, with float weights"},
        {"TreeEnsembleClassifier", "decision trees are not supported"},
        {"TreeEnsembleRegressor", "decision trees are not supported"},
        {"Scaler", "write it as Sub and Mul"},
        {"OneHotEncoder", "write it as LabelEncoder and OneHot, or as Gather from a constant table"},
        {"CategoryMapper", "write it as LabelEncoder with int64 or float keys"},
        {"StringNormalizer", "text is not supported; give numbers"},
        {"Less", "comparisons of encrypted values are not supported; train with an activation such as Relu or Sigmoid"},
        {"Greater",
         "comparisons of encrypted values are not supported; train with an activation such as Relu or Sigmoid"},
        {"Not", "conditions on encrypted values are not supported"},
        {"Sin", "write it as a polynomial"},
        {"Cos", "write it as a polynomial"},
        {"RandomNormal", "export in inference mode"},
        {"RandomUniform", "export in inference mode"},
        {"Multinomial", "export in inference mode"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(type, list[i].type) == 0) return list[i].text;
    return "write it with Gemm, MatMul, Conv, Add, Sub, Mul, Concat, Slice, Gather, ReduceSum and activations";
}

velum_status vl_nn_collect(vl_nn_problems *p, velum_status status) {
    if (status != VELUM_E_UNSUPPORTED) return status;
    size_t used = strlen(p->text), more = strlen(velum_last_error());
    if (p->shown == VL_NN_MAX_PROBLEMS || (used && used + more + 40 > sizeof p->text)) {
        p->more++;
        return VELUM_OK;
    }
    snprintf(p->text + used, sizeof p->text - used, "%s%s", used ? "; " : "", velum_last_error());
    p->shown++;
    return VELUM_OK;
}

velum_status vl_nn_problems_end(const vl_nn_problems *p) {
    if (p->shown == 0) return VELUM_OK;
    if (p->more) return VL_FAIL(VELUM_E_UNSUPPORTED, "%s; and %u more", p->text, p->more);
    return VL_FAIL(VELUM_E_UNSUPPORTED, "%s", p->text);
}
