// SPDX-License-Identifier: Apache-2.0
// LabelEncoder of the operator set ai.onnx.ml: numbers to numbers.
#include "nn/shape.h"
#include "program/manifest.h"
#include <math.h>
#include <stdlib.h>

typedef struct entry {
    double key, value;
    uint32_t at;
} entry;

static int by_key(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

velum_status vl_nn_labels_of(vl_nn_heap *h, const vl_nn_node *n, vl_nn_labels *out) {
    const vl_nn_attr *ki = vl_nn_find_attr(n, "keys_int64s"), *kf = vl_nn_find_attr(n, "keys_floats");
    const vl_nn_attr *vi = vl_nn_find_attr(n, "values_int64s"), *vf = vl_nn_find_attr(n, "values_floats");
    VL_NN_FAIL_IF(
        !ki == !kf || !vi == !vf, n, VELUM_E_UNSUPPORTED,
        "keys and values must be int64 or float lists (keys_int64s, keys_floats, values_int64s, values_floats)");
    const vl_nn_attr *k = ki ? ki : kf, *v = vi ? vi : vf;
    VL_NN_FAIL_IF(k->count != v->count || k->count == 0, n, VELUM_E_FORMAT, "%u keys, %u values", k->count, v->count);
    VL_NN_FAIL_IF(k->count > VL_MAX_MAP, n, VELUM_E_LIMIT, "%u keys, the limit is %u", k->count, VL_MAX_MAP);
    entry *list;
    VL_NN_TAKE(h, list, k->count);
    for (uint32_t i = 0; i < k->count; i++) {
        list[i] = (entry){ki ? (double)ki->ints[i] : kf->floats[i], vi ? (double)vi->ints[i] : vf->floats[i], i};
        VL_NN_FAIL_IF(fabs(list[i].key) > 0x1p53 || (vi && fabs(list[i].value) > 0x1p53), n, VELUM_E_UNSUPPORTED,
                      "entry %u is beyond 2^53, where numbers are not exact", i);
    }
    qsort(list, k->count, sizeof *list, by_key);
    *out = (vl_nn_labels){.integer_keys = ki != NULL, .integer_values = vi != NULL};
    out->otherwise = vi ? (double)vl_nn_attr_int(n, "default_int64", -1) : vl_nn_attr_float(n, "default_float", 0);
    VL_NN_FAIL_IF(fabs(out->otherwise) > 0x1p53, n, VELUM_E_UNSUPPORTED, "default %g is beyond 2^53", out->otherwise);
    VL_NN_TAKE(h, out->key, k->count);
    VL_NN_TAKE(h, out->value, k->count);
    for (uint32_t i = 0; i < k->count; i++) {
        VL_NN_FAIL_IF(i && list[i].key == list[i - 1].key, n, VELUM_E_FORMAT, "key %.17g is there twice", list[i].key);
        out->key[i] = list[i].key;
        out->value[i] = list[i].value;
    }
    out->count = k->count;
    return VELUM_OK;
}

double vl_nn_label_at(const vl_nn_labels *l, double x) {
    vl_step s = {.kind = VL_STEP_MAP, .a = l->otherwise, .b = l->integer_keys, .table_count = l->count};
    s.keys = l->key;
    s.table = l->value;
    return vl_step_map(&s, x);
}
