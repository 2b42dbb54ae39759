// SPDX-License-Identifier: Apache-2.0
#include "nn/tensor.h"
#include <math.h>
#include <string.h>

velum_status vl_nn_tensor_shape(const char *what, uint32_t rank, const int64_t *dims, vl_nn_tensor *out) {
    VL_FAIL_IF(rank > VL_NN_MAX_RANK, VELUM_E_LIMIT, "model: '%s' has %u axes, the limit is %d", what, rank,
               VL_NN_MAX_RANK);
    vl_nn_tensor t = {.rank = rank, .count = 1};
    bool empty = false;
    for (uint32_t i = 0; i < rank; i++) {
        VL_FAIL_IF(dims[i] < 0, VELUM_E_FORMAT, "model: '%s' has a negative extent %lld", what, (long long)dims[i]);
        empty = empty || dims[i] == 0;
        VL_FAIL_IF(dims[i] > (int64_t)VL_NN_MAX_ELEMENTS, VELUM_E_LIMIT, "model: '%s' has an extent of %lld", what,
                   (long long)dims[i]);
        t.dim[i] = (uint32_t)dims[i];
        t.count *= dims[i] ? (size_t)dims[i] : 1;
        VL_FAIL_IF(t.count > VL_NN_MAX_ELEMENTS, VELUM_E_LIMIT, "model: '%s' has more than %zu elements", what,
                   VL_NN_MAX_ELEMENTS);
    }
    if (empty) t.count = 0;
    *out = t;
    return VELUM_OK;
}

static double half(uint16_t h) {
    int exponent = h >> 10 & 31;
    double m = h & 1023, v = exponent == 31 ? (m != 0 ? NAN : INFINITY)
                             : exponent     ? ldexp(m + 1024, exponent - 25)
                                            : ldexp(m, -24);
    return h >> 15 ? -v : v;
}

static double raw_at(int type, const uint8_t *p) {
    union {
        float f;
        double d;
        int64_t i64;
        int32_t i32;
        uint16_t u16;
    } u = {0};
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: memcpy(&u.f, p, 4); return (double)u.f;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: memcpy(&u.d, p, 8); return u.d;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: memcpy(&u.u16, p, 2); return half(u.u16);
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: memcpy(&u.i64, p, 8); return (double)u.i64;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: memcpy(&u.i32, p, 4); return u.i32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return (int8_t)*p;
    default: return *p;
    }
}

static size_t width(int type) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return 8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return 2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return 1;
    default: return 0;
    }
}

// Elements in the typed field for this type.
static size_t typed_count(int type, const Onnx__TensorProto *t) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return t->n_float_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return t->n_double_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return t->n_int64_data;
    default: return t->n_int32_data;
    }
}

static double typed_at(int type, const Onnx__TensorProto *t, size_t i) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return (double)t->float_data[i];
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return t->double_data[i];
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return (double)t->int64_data[i];
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return half((uint16_t)t->int32_data[i]);
    default: return t->int32_data[i];
    }
}

velum_status vl_nn_tensor_load(vl_nn_heap *h, const Onnx__TensorProto *t, const char *what, vl_nn_tensor *out) {
    bool external = (t->has_data_location && t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT) ||
                    t->n_external_data > 0;
    VL_FAIL_IF(external, VELUM_E_UNSUPPORTED,
               "model: '%s' keeps its data in another file; save the model again with its weights inside", what);
    VL_FAIL_IF(t->segment, VELUM_E_UNSUPPORTED, "model: '%s' is stored in segments", what);
    int type = t->has_data_type ? t->data_type : 0;
    size_t each = width(type);
    VL_FAIL_IF(each == 0, VELUM_E_UNSUPPORTED,
               "model: '%s' has element type %d; float, double, float16, int64, int32, int8, uint8 and bool work", what,
               type);
    VL_FAIL_IF(t->n_dims > VL_NN_MAX_RANK, VELUM_E_LIMIT, "model: '%s' has %zu axes, the limit is %d", what, t->n_dims,
               VL_NN_MAX_RANK);
    vl_nn_tensor made;
    VL_TRY(vl_nn_tensor_shape(what, (uint32_t)t->n_dims, t->dims, &made));
    size_t typed = typed_count(type, t), have = typed;
    bool raw = t->has_raw_data && (t->raw_data.len > 0 || typed == 0);
    if (raw) {
        VL_FAIL_IF(typed > 0 || t->raw_data.len % each != 0, VELUM_E_FORMAT,
                   "model: '%s' has %zu raw bytes and %zu items", what, t->raw_data.len, typed);
        have = t->raw_data.len / each;
    }
    VL_FAIL_IF(have != made.count, VELUM_E_FORMAT, "model: '%s' has %zu elements, its shape %zu", what, have,
               made.count);
    made.integer = type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE &&
                   type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    VL_NN_TAKE(h, made.v, made.count);
    for (size_t i = 0; i < made.count; i++) {
        double v = raw ? raw_at(type, t->raw_data.data + i * each) : typed_at(type, t, i);
        VL_FAIL_IF(!isfinite(v), VELUM_E_FORMAT, "model: element %zu of '%s' is not finite", i, what);
        made.v[i] = v;
    }
    *out = made;
    return VELUM_OK;
}
