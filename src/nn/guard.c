// SPDX-License-Identifier: Apache-2.0
#include "nn/graph.h"
#include <onnx.pb-c.h>

#define MAX_DEPTH 16 // a model, its graph, a node, an attribute, a tensor, ...: 7 in a plain model
#define MAX_FIELDS 8000000

typedef struct scan {
    const uint8_t *p, *end;
    uint64_t fields;
} scan;

static bool varint(scan *s, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (s->p == s->end) return false;
        uint8_t b = *s->p++;
        if (shift < 64) v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128)) {
            *out = v;
            return true;
        }
    }
    return false;
}

// Skips one field's value; messages are entered. The recursion ends at MAX_DEPTH.
static velum_status walk(const ProtobufCMessageDescriptor *d, scan *s, unsigned depth) {
    VL_FAIL_IF(depth > MAX_DEPTH, VELUM_E_LIMIT, "model: messages nested deeper than %d", MAX_DEPTH);
    while (s->p < s->end) {
        uint64_t tag, n = 0;
        VL_FAIL_IF(++s->fields > MAX_FIELDS, VELUM_E_LIMIT, "model: more than %d fields", MAX_FIELDS);
        VL_FAIL_IF(!varint(s, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff, VELUM_E_FORMAT,
                   "model: not an ONNX file, or cut short");
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
        bool sound = true;
        switch (tag & 7) {
        case 0: sound = varint(s, &n), n = 0; break;
        case 1: n = 8; break;
        case 2: sound = varint(s, &n); break;
        case 5: n = 4; break;
        default: sound = false;
        }
        VL_FAIL_IF(!sound || n > (uint64_t)(s->end - s->p), VELUM_E_FORMAT, "model: not an ONNX file, or cut short");
        if ((tag & 7) == 2 && f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
            scan inner = {s->p, s->p + n, s->fields};
            VL_TRY(walk(f->descriptor, &inner, depth + 1));
            s->fields = inner.fields;
        }
        s->p += n;
    }
    return VELUM_OK;
}

velum_status vl_nn_guard(const void *onnx, size_t size) {
    VL_FAIL_IF(!onnx || size == 0, VELUM_E_FORMAT, "model: empty file");
    VL_FAIL_IF(size > VL_NN_MAX_BYTES, VELUM_E_LIMIT, "model: %zu bytes, the limit is %zu", size, VL_NN_MAX_BYTES);
    scan s = {onnx, (const uint8_t *)onnx + size, 0};
    return walk(&onnx__model_proto__descriptor, &s, 0);
}
