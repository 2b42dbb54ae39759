// SPDX-License-Identifier: Apache-2.0
// The imported graph: nodes in order, every value written once, constants as doubles.
//
// The first axis of an input is the batch; inside the compiler a batched tensor has extent 1 there, so that a tensor's
// elements are those of one request. What would mix requests is refused.
#ifndef VELUM_NN_GRAPH_H
#define VELUM_NN_GRAPH_H

#include "nn/heap.h"
#include <stdbool.h>

#define VL_NN_MAX_RANK 8
#define VL_NN_MAX_ELEMENTS ((size_t)1 << 26)
#define VL_NN_MAX_BYTES ((size_t)1 << 30) // of a model file
#define VL_NN_MAX_NODES 100000
#define VL_NN_HEAP ((size_t)4 << 30)
#define VL_NN_NONE UINT32_MAX // an omitted optional input or output

// X(operator): what the importer knows
#define VL_NN_OP_LIST(X)                                                                                               \
    X(Abs)                                                                                                             \
    X(Add)                                                                                                             \
    X(ArgMax)                                                                                                          \
    X(AveragePool)                                                                                                     \
    X(BatchNormalization)                                                                                              \
    X(Cast)                                                                                                            \
    X(Ceil)                                                                                                            \
    X(Celu)                                                                                                            \
    X(Clip)                                                                                                            \
    X(Concat)                                                                                                          \
    X(Constant)                                                                                                        \
    X(ConstantOfShape)                                                                                                 \
    X(Conv)                                                                                                            \
    X(Div)                                                                                                             \
    X(Dropout)                                                                                                         \
    X(Elu)                                                                                                             \
    X(Equal)                                                                                                           \
    X(Erf)                                                                                                             \
    X(Exp)                                                                                                             \
    X(Expand)                                                                                                          \
    X(Flatten)                                                                                                         \
    X(Floor)                                                                                                           \
    X(Gather)                                                                                                          \
    X(Gelu)                                                                                                            \
    X(Gemm)                                                                                                            \
    X(GlobalAveragePool)                                                                                               \
    X(HardSigmoid)                                                                                                     \
    X(HardSwish)                                                                                                       \
    X(Identity)                                                                                                        \
    X(LabelEncoder)                                                                                                    \
    X(LeakyRelu)                                                                                                       \
    X(Log)                                                                                                             \
    X(MatMul)                                                                                                          \
    X(Max)                                                                                                             \
    X(MaxPool)                                                                                                         \
    X(Min)                                                                                                             \
    X(Mish)                                                                                                            \
    X(Mod)                                                                                                             \
    X(Mul)                                                                                                             \
    X(Neg)                                                                                                             \
    X(OneHot)                                                                                                          \
    X(Pad)                                                                                                             \
    X(Pow)                                                                                                             \
    X(PRelu)                                                                                                           \
    X(Range)                                                                                                           \
    X(Reciprocal)                                                                                                      \
    X(ReduceMean)                                                                                                      \
    X(ReduceProd)                                                                                                      \
    X(ReduceSum)                                                                                                       \
    X(Relu)                                                                                                            \
    X(Reshape)                                                                                                         \
    X(Round)                                                                                                           \
    X(Selu)                                                                                                            \
    X(Shape)                                                                                                           \
    X(Sigmoid)                                                                                                         \
    X(Sign)                                                                                                            \
    X(Slice)                                                                                                           \
    X(Softmax)                                                                                                         \
    X(Softplus)                                                                                                        \
    X(Softsign)                                                                                                        \
    X(Split)                                                                                                           \
    X(Sqrt)                                                                                                            \
    X(Squeeze)                                                                                                         \
    X(Sub)                                                                                                             \
    X(Swish)                                                                                                           \
    X(Tanh)                                                                                                            \
    X(ThresholdedRelu)                                                                                                 \
    X(Transpose)                                                                                                       \
    X(Unsqueeze)                                                                                                       \
    X(Where)

typedef enum vl_nn_opcode {
#define X(name) VL_NN_##name,
    VL_NN_OP_LIST(X)
#undef X
        VL_NN_OPCODES
} vl_nn_opcode;

typedef struct vl_nn_tensor {
    uint32_t rank, dim[VL_NN_MAX_RANK];
    size_t count;
    bool integer; // element type
    bool batched; // axis 0 is the batch, of extent 1 here
    bool extents; // what Shape gives: -1 stands for the batch
    double *v;    // known at compile time; else NULL
} vl_nn_tensor;

typedef enum vl_nn_attr_kind {
    VL_NN_INT,
    VL_NN_FLOAT,
    VL_NN_INTS,
    VL_NN_FLOATS,
    VL_NN_TENSOR,
    VL_NN_STRING
} vl_nn_attr_kind;
typedef struct vl_nn_attr {
    const char *name;
    vl_nn_attr_kind kind;
    int64_t i;
    double f;
    uint32_t count;
    const int64_t *ints;
    const double *floats;
    const vl_nn_tensor *tensor;
    const char *text;
} vl_nn_attr;

typedef struct vl_nn_node {
    vl_nn_opcode op;
    const char *name, *type;
    const char *known_as; // what it was recognised as, for people; NULL: its type
    uint32_t in_count, out_count, attr_count;
    uint32_t *in, *out; // values
    vl_nn_attr *attr;
} vl_nn_node;

typedef struct vl_nn_port { // a graph input
    uint32_t value;
    const char *name;
    vl_nn_tensor shape;
} vl_nn_port;

typedef struct vl_nn_meta {
    const char *key, *value;
} vl_nn_meta;

typedef struct vl_nn_graph {
    vl_nn_heap heap; // owns all below
    const char *name;
    uint32_t node_count, value_count, value_room, input_count, meta_count;
    uint32_t imported; // nodes in the file
    vl_nn_node *nodes;
    const char **value_name;
    const vl_nn_tensor **constant; // by value: initializers
    vl_nn_port *inputs;
    vl_nn_meta *meta;
    uint32_t output; // a value
    int64_t opset;
    uint32_t fixed_batch; // the file's literal batch extent; 0 if it is symbolic
} vl_nn_graph;

// Before protobuf-c unpacks: depth, counts and lengths of the raw bytes (it recurses without a limit of its own).
velum_status vl_nn_guard(const void *onnx, size_t size);
// Checks everything that later passes rely on: counts, dims against data, finite weights, order, no external data.
velum_status vl_nn_import(const void *onnx, size_t size, vl_nn_graph *out);
void vl_nn_graph_clear(vl_nn_graph *g);

const vl_nn_attr *vl_nn_find_attr(const vl_nn_node *n, const char *name); // NULL if absent
int64_t vl_nn_attr_int(const vl_nn_node *n, const char *name, int64_t otherwise);
double vl_nn_attr_float(const vl_nn_node *n, const char *name, double otherwise);
const char *vl_nn_find_meta(const vl_nn_graph *g, const char *prefix, const char *name); // value of prefix + name

bool vl_nn_attr_is(const vl_nn_node *n, const char *name, const char *text, bool otherwise); // a string attribute

// What to do about an operator that is not supported.
const char *vl_nn_hint(const char *type);

// Several nodes that cannot be taken, in one failure.
#define VL_NN_MAX_PROBLEMS 20
typedef struct vl_nn_problems {
    char text[1600];
    uint32_t shown, more;
} vl_nn_problems;
// Of a VELUM_E_UNSUPPORTED failure the reason is kept, and the result is VELUM_OK; other codes are returned.
velum_status vl_nn_collect(vl_nn_problems *p, velum_status status);
velum_status vl_nn_problems_end(const vl_nn_problems *p); // VELUM_E_UNSUPPORTED with all of them, if there are any

// Like VL_FAIL: the code itself is the value.
#define VL_NN_FAIL(node, code, ...)                                                                                    \
    __extension__({                                                                                                    \
        vl_nn_fail_at((node), (code), __VA_ARGS__);                                                                    \
        (velum_status)(code);                                                                                          \
    })
#define VL_NN_FAIL_IF(cond, node, code, ...)                                                                           \
    do {                                                                                                               \
        if (cond) return VL_NN_FAIL(node, code, __VA_ARGS__);                                                          \
    } while (0)
// "node 'x' (Op): ..."
__attribute__((format(printf, 3, 4))) velum_status vl_nn_fail_at(const vl_nn_node *n, velum_status code,
                                                                 const char *format, ...);

#endif
