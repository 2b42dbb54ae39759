// SPDX-License-Identifier: Apache-2.0
// Broadcasting, products, reductions, lookups.
#include "nn/shape.h"
#include <math.h>
#include <string.h>

velum_status vl_nn_axis(const vl_nn_node *n, int64_t axis, uint32_t rank, uint32_t *out) {
    VL_NN_FAIL_IF(axis < -(int64_t)rank || axis >= (int64_t)rank, n, VELUM_E_FORMAT,
                  "axis %lld of a tensor with %u axes", (long long)axis, rank);
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return VELUM_OK;
}

velum_status vl_nn_cast_to_integer(const vl_nn_node *n, bool *out) {
    int64_t to = vl_nn_attr_int(n, "to", 0);
    bool real = to == 1 || to == 10 || to == 11, integer = (to >= 2 && to <= 7) || to == 12 || to == 13;
    VL_NN_FAIL_IF(!real && !integer, n, VELUM_E_UNSUPPORTED, "conversion to type %lld; real and integer types work",
                  (long long)to);
    *out = integer;
    return VELUM_OK;
}

velum_status vl_nn_clip_bounds(const vl_nn_node *n, const vl_nn_tensor *const *in, double *lo, double *hi) {
    double bound[2] = {vl_nn_attr_float(n, "min", -INFINITY), vl_nn_attr_float(n, "max", INFINITY)};
    for (uint32_t k = 1; k < 3 && k < n->in_count; k++) {
        if (!in[k]) continue;
        VL_NN_FAIL_IF(!in[k]->v || in[k]->count != 1, n, VELUM_E_UNSUPPORTED, "bounds must be constant numbers");
        bound[k - 1] = in[k]->v[0];
    }
    VL_NN_FAIL_IF(bound[0] > bound[1], n, VELUM_E_FORMAT, "bounds %g and %g", bound[0], bound[1]);
    *lo = bound[0];
    *hi = bound[1];
    return VELUM_OK;
}

velum_status vl_nn_set_count(const vl_nn_node *n, vl_nn_tensor *t) {
    t->count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dim[i] == 0) {
            t->count = 0;
            return VELUM_OK;
        }
        t->count *= t->dim[i];
        VL_NN_FAIL_IF(t->count > VL_NN_MAX_ELEMENTS, n, VELUM_E_LIMIT, "gives more than %zu elements",
                      VL_NN_MAX_ELEMENTS);
    }
    return VELUM_OK;
}

velum_status vl_nn_broadcast(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                             vl_nn_pair *out) {
    VL_NN_FAIL_IF(a->extents || b->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    vl_nn_tensor t = {.rank = a->rank > b->rank ? a->rank : b->rank, .batched = a->batched || b->batched};
    t.integer = a->integer && b->integer;
    size_t step_a[VL_NN_MAX_RANK], step_b[VL_NN_MAX_RANK], sa = 1, sb = 1;
    for (uint32_t k = 0; k < t.rank; k++) { // from the last axis
        uint32_t da = k < a->rank ? a->dim[a->rank - 1 - k] : 1, db = k < b->rank ? b->dim[b->rank - 1 - k] : 1;
        VL_NN_FAIL_IF(da != db && da != 1 && db != 1, n, VELUM_E_FORMAT, "extents %u and %u do not fit", da, db);
        uint32_t axis = t.rank - 1 - k;
        t.dim[axis] = da == 1 ? db : da;
        step_a[axis] = da == 1 ? 0 : sa;
        step_b[axis] = db == 1 ? 0 : sb;
        sa *= da;
        sb *= db;
    }
    bool mixes =
        (a->batched && (a->rank != t.rank || t.dim[0] != 1)) || (b->batched && (b->rank != t.rank || t.dim[0] != 1));
    VL_NN_FAIL_IF(mixes, n, VELUM_E_UNSUPPORTED, "the shapes would mix requests: the first axis must stay the batch");
    VL_TRY(vl_nn_set_count(n, &t));
    VL_NN_TAKE(h, out->a, t.count);
    VL_NN_TAKE(h, out->b, t.count);
    for (size_t i = 0; i < t.count; i++) {
        size_t left = i, ia = 0, ib = 0;
        for (uint32_t axis = t.rank; axis-- > 0; left /= t.dim[axis]) {
            ia += left % t.dim[axis] * step_a[axis];
            ib += left % t.dim[axis] * step_b[axis];
        }
        out->a[i] = (uint32_t)ia;
        out->b[i] = (uint32_t)ib;
    }
    out->out = t;
    return VELUM_OK;
}

static velum_status gemm(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                         vl_nn_product *out) {
    bool ta = vl_nn_attr_int(n, "transA", 0) != 0, tb = vl_nn_attr_int(n, "transB", 0) != 0;
    VL_NN_FAIL_IF(a->rank != 2 || b->rank != 2, n, VELUM_E_FORMAT, "takes matrices");
    VL_NN_FAIL_IF((a->batched && ta) || b->batched, n, VELUM_E_UNSUPPORTED,
                  "the batch must be the rows of the first operand");
    uint32_t rows = a->dim[ta ? 1 : 0], inner = a->dim[ta ? 0 : 1], cols = b->dim[tb ? 0 : 1];
    VL_NN_FAIL_IF(b->dim[tb ? 1 : 0] != inner, n, VELUM_E_FORMAT, "inner extents %u and %u", inner, b->dim[tb ? 1 : 0]);
    out->out = (vl_nn_tensor){.rank = 2, .dim = {rows, cols}, .batched = a->batched};
    VL_TRY(vl_nn_set_count(n, &out->out));
    out->inner = inner;
    out->step_a = ta ? rows : 1;
    out->step_b = tb ? 1 : cols;
    VL_NN_TAKE(h, out->a, out->out.count);
    VL_NN_TAKE(h, out->b, out->out.count);
    for (size_t i = 0; i < out->out.count; i++) {
        out->a[i] = (uint32_t)(i / cols) * (ta ? 1 : inner);
        out->b[i] = (uint32_t)(i % cols) * (tb ? inner : 1);
    }
    return VELUM_OK;
}

velum_status vl_nn_product_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                              vl_nn_product *out) {
    VL_NN_FAIL_IF(a->extents || b->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    if (n->op == VL_NN_Gemm) return gemm(h, n, a, b, out);
    VL_NN_FAIL_IF(a->rank == 0 || b->rank == 0, n, VELUM_E_FORMAT, "takes no scalars");
    bool mixes = (a->batched && a->rank < 2) || (b->batched && b->rank < 3) || (a->batched && b->rank > a->rank) ||
                 (b->batched && a->rank > b->rank) || (a->batched && b->batched && a->rank < 3);
    VL_NN_FAIL_IF(mixes, n, VELUM_E_UNSUPPORTED, "the shapes would mix requests: the first axis must stay the batch");
    bool row = a->rank == 1, column = b->rank == 1;
    uint32_t m = row ? 1 : a->dim[a->rank - 2], inner = a->dim[a->rank - 1];
    uint32_t k = column ? 1 : b->dim[b->rank - 1], have = column ? b->dim[0] : b->dim[b->rank - 2];
    VL_NN_FAIL_IF(have != inner, n, VELUM_E_FORMAT, "inner extents %u and %u", inner, have);
    // The leading axes broadcast.
    vl_nn_tensor la = *a, lb = *b;
    la.rank = row ? 0 : a->rank - 2;
    lb.rank = column ? 0 : b->rank - 2;
    la.batched = lb.batched = false;
    VL_TRY(vl_nn_set_count(n, &la));
    VL_TRY(vl_nn_set_count(n, &lb));
    vl_nn_pair lead;
    VL_TRY(vl_nn_broadcast(h, n, &la, &lb, &lead));
    vl_nn_tensor t = lead.out;
    size_t leads = t.count;
    if (!row) t.dim[t.rank++] = m;
    if (!column) t.dim[t.rank++] = k;
    t.batched = a->batched || b->batched;
    t.integer = a->integer && b->integer;
    VL_TRY(vl_nn_set_count(n, &t));
    VL_NN_FAIL_IF(t.batched && (t.rank == 0 || t.dim[0] != 1), n, VELUM_E_UNSUPPORTED,
                  "the shapes would mix requests: the first axis must stay the batch");
    out->out = t;
    out->inner = inner;
    out->step_a = 1;
    out->step_b = k;
    VL_NN_TAKE(h, out->a, t.count);
    VL_NN_TAKE(h, out->b, t.count);
    size_t at = 0;
    for (size_t l = 0; l < leads; l++)
        for (uint32_t i = 0; i < m; i++)
            for (uint32_t j = 0; j < k && at < t.count; j++, at++) {
                out->a[at] = (lead.a[l] * m + i) * inner;
                out->b[at] = lead.b[l] * inner * k + j;
            }
    return VELUM_OK;
}

velum_status vl_nn_reduction_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                                vl_nn_reduction *out) {
    const vl_nn_tensor *a = in[0];
    VL_NN_FAIL_IF(a->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    const vl_nn_attr *attr = vl_nn_find_attr(n, "axes");
    const vl_nn_tensor *given = n->in_count > 1 ? in[1] : NULL;
    VL_NN_FAIL_IF(given && !given->v, n, VELUM_E_UNSUPPORTED, "axes must be constant");
    size_t count = given ? given->count : attr ? attr->count : 0;
    bool reduced[VL_NN_MAX_RANK] = {false}, keep = vl_nn_attr_int(n, "keepdims", 1) != 0;
    VL_NN_FAIL_IF(count > VL_NN_MAX_RANK, n, VELUM_E_FORMAT, "%zu axes", count);
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        VL_TRY(vl_nn_axis(n, given ? (int64_t)given->v[i] : attr->ints[i], a->rank, &axis));
        reduced[axis] = true;
    }
    if (count == 0 && vl_nn_attr_int(n, "noop_with_empty_axes", 0) == 0)
        for (uint32_t i = 0; i < a->rank; i++) reduced[i] = true;
    VL_NN_FAIL_IF(a->batched && reduced[0], n, VELUM_E_UNSUPPORTED, "a sum over the batch would mix requests");
    vl_nn_tensor t = {.batched = a->batched, .integer = a->integer};
    size_t step[VL_NN_MAX_RANK], s = 1;
    for (uint32_t i = 0; i < a->rank; i++)
        if (!reduced[i] || keep) t.dim[t.rank++] = reduced[i] ? 1 : a->dim[i];
    VL_TRY(vl_nn_set_count(n, &t));
    for (uint32_t i = a->rank; i-- > 0;) {
        step[i] = reduced[i] ? 0 : s;
        s *= reduced[i] ? 1 : a->dim[i];
    }
    VL_NN_FAIL_IF(a->count == 0, n, VELUM_E_FORMAT, "no elements");
    VL_NN_TAKE(h, out->target, a->count);
    for (size_t i = 0; i < a->count; i++) {
        size_t left = i, to = 0;
        for (uint32_t axis = a->rank; axis-- > 0; left /= a->dim[axis]) to += left % a->dim[axis] * step[axis];
        out->target[i] = (uint32_t)to;
    }
    out->out = t;
    out->group = (uint32_t)(a->count / t.count);
    return VELUM_OK;
}

velum_status vl_nn_lookup_of(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *table, const vl_nn_tensor *index,
                             vl_nn_pair *out) {
    uint32_t axis;
    VL_NN_FAIL_IF(table->rank == 0 || table->count == 0, n, VELUM_E_FORMAT, "the table is empty");
    VL_TRY(vl_nn_axis(n, vl_nn_attr_int(n, "axis", 0), table->rank, &axis));
    VL_NN_FAIL_IF(axis != 0, n, VELUM_E_UNSUPPORTED, "a lookup along axis %u; tables are looked up by rows", axis);
    VL_NN_FAIL_IF(index->rank + table->rank - 1 > VL_NN_MAX_RANK, n, VELUM_E_LIMIT, "too many axes");
    vl_nn_tensor t = *index;
    t.v = NULL;
    t.integer = table->integer;
    size_t row = 1;
    for (uint32_t i = 1; i < table->rank; i++) {
        t.dim[t.rank++] = table->dim[i];
        row *= table->dim[i];
    }
    VL_TRY(vl_nn_set_count(n, &t));
    VL_NN_FAIL_IF(t.count == 0, n, VELUM_E_FORMAT, "no elements");
    VL_NN_TAKE(h, out->a, t.count);
    VL_NN_TAKE(h, out->b, t.count);
    for (size_t i = 0; i < t.count; i++) {
        out->a[i] = (uint32_t)(i / row);
        out->b[i] = (uint32_t)(i % row);
    }
    out->out = t;
    return VELUM_OK;
}
