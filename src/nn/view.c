// SPDX-License-Identifier: Apache-2.0
// Operators that only relabel elements.
#include "nn/shape.h"
#include <math.h>
#include <string.h>

bool vl_nn_is_view(vl_nn_opcode op) {
    switch (op) {
    case VL_NN_Identity:
    case VL_NN_Dropout:
    case VL_NN_Reshape:
    case VL_NN_Flatten:
    case VL_NN_Squeeze:
    case VL_NN_Unsqueeze:
    case VL_NN_Transpose:
    case VL_NN_Concat:
    case VL_NN_Slice:
    case VL_NN_Split:
    case VL_NN_Gather:
    case VL_NN_Expand:
    case VL_NN_Cast: return true;
    default: return false;
    }
}

typedef struct call {
    vl_nn_graph *g;
    vl_nn_heap *h;
    const vl_nn_node *n;
    const vl_nn_tensor *const *in;
} call;

typedef struct ints {
    int64_t *v;
    uint32_t count;
    bool there;
} ints;

// A list of integers that is attribute `name` in old operator sets and input `k` in new ones.
static velum_status list_of(const call *c, const char *name, uint32_t k, ints *out) {
    const vl_nn_attr *a = name ? vl_nn_find_attr(c->n, name) : NULL;
    const vl_nn_tensor *t = k < c->n->in_count ? c->in[k] : NULL;
    *out = (ints){.there = a || t};
    VL_NN_FAIL_IF(t && !t->v, c->n, VELUM_E_UNSUPPORTED, "input %u must be constant", k);
    size_t count = t ? t->count : a ? a->count : 0;
    VL_NN_FAIL_IF(count > VL_NN_MAX_ELEMENTS, c->n, VELUM_E_LIMIT, "input %u is too long", k);
    out->count = (uint32_t)count;
    VL_NN_TAKE(c->h, out->v, count);
    for (size_t i = 0; i < count; i++) {
        double v = t ? t->v[i] : 0; // "to the end" is often the largest integer, which as a double is out of range
        out->v[i] = !t ? a->ints[i] : v >= 0x1p62 ? INT64_MAX / 2 : v <= -0x1p62 ? -INT64_MAX / 2 : (int64_t)v;
    }
    return VELUM_OK;
}

static velum_status set_count(const vl_nn_node *n, vl_nn_tensor *t) {
    t->count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        VL_NN_FAIL_IF(t->dim[i] == 0, n, VELUM_E_UNSUPPORTED, "gives no elements");
        t->count *= t->dim[i];
        VL_NN_FAIL_IF(t->count > VL_NN_MAX_ELEMENTS, n, VELUM_E_LIMIT, "gives more than %zu elements",
                      VL_NN_MAX_ELEMENTS);
    }
    return VELUM_OK;
}

// Fills the map from offsets by axis: element = sum over axes of offset[axis][index].
static velum_status fill(const call *c, uint32_t **offset, vl_nn_view *v) {
    VL_TRY(set_count(c->n, &v->out));
    VL_NN_TAKE(c->h, v->element, v->out.count);
    for (size_t i = 0; i < v->out.count; i++) {
        size_t left = i;
        uint32_t at = 0;
        for (uint32_t axis = v->out.rank; axis-- > 0; left /= v->out.dim[axis])
            at += offset[axis][left % v->out.dim[axis]];
        v->element[i] = at;
    }
    return VELUM_OK;
}

static void steps_of(const vl_nn_tensor *t, uint32_t *step) {
    uint32_t s = 1;
    for (uint32_t i = t->rank; i-- > 0; s *= t->dim[i]) step[i] = s;
}

// Elements in the same order under a new shape.
static velum_status same(const call *c, vl_nn_view *v) {
    VL_TRY(set_count(c->n, &v->out));
    VL_NN_FAIL_IF(v->out.count != c->in[0]->count, c->n, VELUM_E_FORMAT, "%zu elements cannot take a shape of %zu",
                  c->in[0]->count, v->out.count);
    VL_NN_TAKE(c->h, v->element, v->out.count);
    for (size_t i = 0; i < v->out.count; i++) v->element[i] = (uint32_t)i;
    return VELUM_OK;
}

#define MIXES "would mix requests: the first axis must stay the batch"

static velum_status reshape(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    ints want;
    VL_TRY(list_of(c, "shape", 1, &want));
    VL_NN_FAIL_IF(vl_nn_attr_int(c->n, "allowzero", 0) != 0, c->n, VELUM_E_UNSUPPORTED, "allowzero");
    VL_NN_FAIL_IF(want.count > VL_NN_MAX_RANK, c->n, VELUM_E_LIMIT, "%u axes", want.count);
    v->out.rank = want.count;
    uint32_t first = 0, open = VL_NN_NONE;
    uint64_t known = 1;
    if (a->batched) {
        bool batch = want.count > 0 && (want.v[0] == -1 || want.v[0] == 0 ||
                                        (c->g->fixed_batch && want.v[0] == (int64_t)c->g->fixed_batch));
        VL_NN_FAIL_IF(!batch, c->n, VELUM_E_UNSUPPORTED, MIXES);
        v->out.dim[0] = 1;
        first = 1;
    }
    for (uint32_t i = first; i < want.count; i++) {
        int64_t d = want.v[i];
        if (d == 0 && i < a->rank) d = a->dim[i];
        VL_NN_FAIL_IF(d == 0 || d < -1 || d > (int64_t)VL_NN_MAX_ELEMENTS || (d == -1 && open != VL_NN_NONE), c->n,
                      VELUM_E_FORMAT, "extent %lld at axis %u", (long long)want.v[i], i);
        if (d == -1)
            open = i;
        else
            known *= (uint64_t)d;
        VL_NN_FAIL_IF(known > VL_NN_MAX_ELEMENTS, c->n, VELUM_E_LIMIT, "more than %zu elements", VL_NN_MAX_ELEMENTS);
        v->out.dim[i] = d == -1 ? 1 : (uint32_t)d;
    }
    if (open != VL_NN_NONE) v->out.dim[open] = (uint32_t)(a->count / known);
    VL_NN_FAIL_IF(a->batched && open == VL_NN_NONE && known != a->count, c->n, VELUM_E_UNSUPPORTED, MIXES);
    return same(c, v);
}

static velum_status flatten(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    int64_t axis = vl_nn_attr_int(c->n, "axis", 1);
    VL_NN_FAIL_IF(axis < -(int64_t)a->rank || axis > (int64_t)a->rank, c->n, VELUM_E_FORMAT, "axis %lld",
                  (long long)axis);
    uint64_t rows = 1, cols = 1;
    uint32_t cut = (uint32_t)(axis < 0 ? axis + a->rank : axis);
    for (uint32_t i = 0; i < a->rank; i++) *(i < cut ? &rows : &cols) *= a->dim[i];
    VL_NN_FAIL_IF(a->batched && (cut == 0 || rows != 1), c->n, VELUM_E_UNSUPPORTED, MIXES);
    v->out.rank = 2;
    v->out.dim[0] = (uint32_t)rows;
    v->out.dim[1] = (uint32_t)cols;
    return same(c, v);
}

static velum_status squeeze(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    ints axes;
    VL_TRY(list_of(c, "axes", 1, &axes));
    bool gone[VL_NN_MAX_RANK] = {false};
    for (uint32_t i = 0; i < axes.count; i++) {
        uint32_t axis;
        VL_TRY(vl_nn_axis(c->n, axes.v[i], a->rank, &axis));
        VL_NN_FAIL_IF(a->batched && axis == 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
        VL_NN_FAIL_IF(a->dim[axis] != 1, c->n, VELUM_E_FORMAT, "axis %u has extent %u", axis, a->dim[axis]);
        gone[axis] = true;
    }
    for (uint32_t i = a->batched ? 1 : 0; !axes.there && i < a->rank; i++) gone[i] = a->dim[i] == 1;
    v->out.rank = 0;
    for (uint32_t i = 0; i < a->rank; i++)
        if (!gone[i]) v->out.dim[v->out.rank++] = a->dim[i];
    return same(c, v);
}

static velum_status unsqueeze(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    ints axes;
    VL_TRY(list_of(c, "axes", 1, &axes));
    VL_NN_FAIL_IF(axes.count == 0 || a->rank + axes.count > VL_NN_MAX_RANK, c->n, VELUM_E_FORMAT, "%u new axes",
                  axes.count);
    uint32_t rank = a->rank + axes.count, next = 0;
    bool fresh[VL_NN_MAX_RANK] = {false};
    for (uint32_t i = 0; i < axes.count; i++) {
        uint32_t axis;
        VL_TRY(vl_nn_axis(c->n, axes.v[i], rank, &axis));
        VL_NN_FAIL_IF(a->batched && axis == 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
        VL_NN_FAIL_IF(fresh[axis], c->n, VELUM_E_FORMAT, "axis %u twice", axis);
        fresh[axis] = true;
    }
    v->out.rank = rank;
    for (uint32_t i = 0; i < rank; i++) v->out.dim[i] = fresh[i] ? 1 : a->dim[next++];
    return same(c, v);
}

static velum_status transpose(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    const vl_nn_attr *perm = vl_nn_find_attr(c->n, "perm");
    VL_NN_FAIL_IF(perm && perm->count != a->rank, c->n, VELUM_E_FORMAT, "perm has %u entries", perm->count);
    uint32_t step[VL_NN_MAX_RANK], *offset[VL_NN_MAX_RANK], seen = 0;
    steps_of(a, step);
    for (uint32_t i = 0; i < a->rank; i++) {
        int64_t from = perm ? perm->ints[i] : a->rank - 1 - (int64_t)i;
        VL_NN_FAIL_IF(from < 0 || from >= (int64_t)a->rank || seen >> from & 1, c->n, VELUM_E_FORMAT, "perm %lld",
                      (long long)from);
        seen |= 1u << from;
        VL_NN_FAIL_IF(a->batched && i == 0 && from != 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
        v->out.dim[i] = a->dim[from];
        VL_NN_TAKE(c->h, offset[i], a->dim[from]);
        for (uint32_t k = 0; k < a->dim[from]; k++) offset[i][k] = k * step[from];
    }
    return fill(c, offset, v);
}

// A view that differs from its input along one axis, where index k of the output is index pick[k] of the input.
static velum_status along(const call *c, const vl_nn_tensor *a, uint32_t axis, const uint32_t *pick, uint32_t count,
                          vl_nn_view *v) {
    uint32_t step[VL_NN_MAX_RANK], *offset[VL_NN_MAX_RANK];
    steps_of(a, step);
    for (uint32_t i = 0; i < a->rank; i++) {
        v->out.dim[i] = i == axis ? count : a->dim[i];
        VL_NN_TAKE(c->h, offset[i], v->out.dim[i]);
        for (uint32_t k = 0; k < v->out.dim[i]; k++) offset[i][k] = (i == axis ? pick[k] : k) * step[i];
    }
    return fill(c, offset, v);
}

static velum_status split(const call *c, uint32_t output, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    uint32_t axis, first = 0, *pick;
    VL_TRY(vl_nn_axis(c->n, vl_nn_attr_int(c->n, "axis", 0), a->rank, &axis));
    VL_NN_FAIL_IF(a->batched && axis == 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
    ints sizes;
    VL_TRY(list_of(c, "split", 1, &sizes));
    VL_NN_FAIL_IF(sizes.there && sizes.count != c->n->out_count, c->n, VELUM_E_FORMAT, "%u sizes for %u outputs",
                  sizes.count, c->n->out_count);
    uint32_t each = (a->dim[axis] + c->n->out_count - 1) / c->n->out_count, size = 0;
    for (uint32_t k = 0; k <= output; k++) {
        first += size;
        int64_t s = sizes.there ? sizes.v[k] : each;
        if (!sizes.there && s > (int64_t)a->dim[axis] - first) s = (int64_t)a->dim[axis] - first;
        VL_NN_FAIL_IF(s < 1 || s > (int64_t)a->dim[axis] - first, c->n, VELUM_E_FORMAT, "part %u of %lld", k,
                      (long long)s);
        size = (uint32_t)s;
    }
    VL_NN_TAKE(c->h, pick, size);
    for (uint32_t k = 0; k < size; k++) pick[k] = first + k;
    return along(c, a, axis, pick, size, v);
}

static velum_status slice(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    ints starts, ends, axes, steps;
    VL_TRY(list_of(c, "starts", 1, &starts));
    VL_TRY(list_of(c, "ends", 2, &ends));
    VL_TRY(list_of(c, "axes", 3, &axes));
    VL_TRY(list_of(c, NULL, 4, &steps));
    bool fits = starts.count == ends.count && (!axes.there || axes.count == starts.count) &&
                (!steps.there || steps.count == starts.count) && starts.count <= a->rank;
    VL_NN_FAIL_IF(!fits, c->n, VELUM_E_FORMAT, "lists of different length");
    int64_t from[VL_NN_MAX_RANK], step[VL_NN_MAX_RANK], size[VL_NN_MAX_RANK];
    for (uint32_t i = 0; i < a->rank; i++) {
        from[i] = 0;
        step[i] = 1;
        size[i] = a->dim[i];
    }
    for (uint32_t k = 0; k < starts.count; k++) {
        uint32_t axis;
        VL_TRY(vl_nn_axis(c->n, axes.there ? axes.v[k] : (int64_t)k, a->rank, &axis));
        int64_t s = steps.there ? steps.v[k] : 1, b = starts.v[k], e = ends.v[k], d = a->dim[axis];
        if (a->batched && axis == 0) {
            VL_NN_FAIL_IF(b != 0 || e < INT32_MAX || s != 1, c->n, VELUM_E_UNSUPPORTED, MIXES);
            continue;
        }
        VL_NN_FAIL_IF(s == 0 || s < -INT32_MAX || s > INT32_MAX, c->n, VELUM_E_FORMAT, "step %lld", (long long)s);
        if (b < 0) b = b < -d ? -1 : b + d;
        if (e < 0) e = e < -d ? -1 : e + d;
        int64_t low = s > 0 ? 0 : -1, high = s > 0 ? d : d - 1;
        if (s > 0 && b < 0) b = 0;
        b = b < 0 ? (s > 0 ? 0 : -1) : b > high ? high : b;
        e = e < low ? low : e > d ? d : e;
        size[axis] = s > 0 ? (e - b + s - 1) / s : (b - e - s - 1) / -s;
        if ((s > 0 && e <= b) || (s < 0 && e >= b)) size[axis] = 0;
        from[axis] = b;
        step[axis] = s;
    }
    uint32_t unit[VL_NN_MAX_RANK], *offset[VL_NN_MAX_RANK];
    steps_of(a, unit);
    for (uint32_t i = 0; i < a->rank; i++) {
        VL_NN_FAIL_IF(size[i] <= 0, c->n, VELUM_E_UNSUPPORTED, "gives no elements");
        v->out.dim[i] = (uint32_t)size[i];
        VL_NN_TAKE(c->h, offset[i], (size_t)size[i]);
        for (int64_t k = 0; k < size[i]; k++) offset[i][k] = (uint32_t)(from[i] + k * step[i]) * unit[i];
    }
    return fill(c, offset, v);
}

static velum_status gather(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0], *index = c->in[1];
    uint32_t axis;
    VL_NN_FAIL_IF(!index || !index->v || index->extents, c->n, VELUM_E_UNSUPPORTED,
                  "indices must be constant, or integers from the raw inputs into a constant table");
    VL_TRY(vl_nn_axis(c->n, vl_nn_attr_int(c->n, "axis", 0), a->rank, &axis));
    VL_NN_FAIL_IF(a->batched && axis == 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
    VL_NN_FAIL_IF(a->rank + index->rank - 1 > VL_NN_MAX_RANK, c->n, VELUM_E_LIMIT, "too many axes");
    uint32_t *pick;
    VL_NN_TAKE(c->h, pick, index->count);
    for (size_t i = 0; i < index->count; i++) {
        double k = index->v[i] < 0 ? index->v[i] + a->dim[axis] : index->v[i];
        VL_NN_FAIL_IF(!(k >= 0 && k < a->dim[axis]) || k != floor(k), c->n, VELUM_E_FORMAT,
                      "index %g into an extent of %u", index->v[i], a->dim[axis]);
        pick[i] = (uint32_t)k;
    }
    // Seen with the indices as one axis, then given their shape.
    vl_nn_tensor shape = {.batched = a->batched, .integer = a->integer, .extents = a->extents};
    for (uint32_t i = 0; i < a->rank; i++) {
        if (i != axis) {
            shape.dim[shape.rank++] = a->dim[i];
            continue;
        }
        for (uint32_t k = 0; k < index->rank; k++) shape.dim[shape.rank++] = index->dim[k];
    }
    v->out.rank = a->rank;
    VL_NN_FAIL_IF(index->count == 0, c->n, VELUM_E_UNSUPPORTED, "gives no elements");
    VL_TRY(along(c, a, axis, pick, (uint32_t)index->count, v));
    v->out = shape;
    return set_count(c->n, &v->out);
}

static velum_status concat(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = NULL;
    bool batched = false;
    for (uint32_t k = 0; k < c->n->in_count; k++) {
        VL_NN_FAIL_IF(!c->in[k], c->n, VELUM_E_FORMAT, "input %u is missing", k);
        batched = batched || c->in[k]->batched;
        if (!a || c->in[k]->batched) a = c->in[k];
    }
    VL_NN_FAIL_IF(!a || !vl_nn_find_attr(c->n, "axis"), c->n, VELUM_E_FORMAT, "no axis or no inputs");
    uint32_t axis, total = 0;
    VL_TRY(vl_nn_axis(c->n, vl_nn_attr_int(c->n, "axis", 0), a->rank, &axis));
    VL_NN_FAIL_IF(batched && axis == 0, c->n, VELUM_E_UNSUPPORTED, MIXES);
    bool integer = true;
    for (uint32_t k = 0; k < c->n->in_count; k++) {
        const vl_nn_tensor *t = c->in[k];
        bool fits = t->rank == a->rank;
        for (uint32_t i = 0; fits && i < a->rank; i++) fits = i == axis || t->dim[i] == a->dim[i];
        VL_NN_FAIL_IF(!fits, c->n, VELUM_E_FORMAT, "input %u has another shape", k);
        VL_NN_FAIL_IF(batched && !t->batched && c->g->fixed_batch != 1, c->n, VELUM_E_UNSUPPORTED,
                      "input %u is constant and has no batch", k);
        VL_NN_FAIL_IF(t->dim[axis] > VL_NN_MAX_ELEMENTS - total, c->n, VELUM_E_LIMIT, "too many elements");
        total += t->dim[axis];
        integer = integer && t->integer;
        v->out.extents = v->out.extents || t->extents;
    }
    uint64_t before = 1, after = 1;
    v->out.rank = a->rank;
    for (uint32_t i = 0; i < a->rank; i++) {
        v->out.dim[i] = i == axis ? total : a->dim[i];
        if (i != axis) *(i < axis ? &before : &after) *= a->dim[i];
    }
    v->out.batched = batched;
    v->out.integer = integer;
    VL_TRY(set_count(c->n, &v->out));
    VL_NN_TAKE(c->h, v->element, v->out.count);
    VL_NN_TAKE(c->h, v->source, v->out.count);
    size_t at = 0;
    for (uint64_t b = 0; b < before; b++)
        for (uint32_t k = 0; k < c->n->in_count; k++) {
            size_t run = (size_t)c->in[k]->dim[axis] * after;
            for (size_t i = 0; i < run; i++, at++) {
                v->element[at] = (uint32_t)(b * run + i);
                v->source[at] = k;
            }
        }
    return VELUM_OK;
}

static velum_status expand(const call *c, vl_nn_view *v) {
    const vl_nn_tensor *a = c->in[0];
    ints want;
    VL_TRY(list_of(c, NULL, 1, &want));
    VL_NN_FAIL_IF(want.count > VL_NN_MAX_RANK, c->n, VELUM_E_LIMIT, "%u axes", want.count);
    vl_nn_tensor shape = {.rank = want.count, .count = 1};
    for (uint32_t i = 0; i < want.count; i++) {
        bool batch = i == 0 && a->batched && want.count == a->rank;
        VL_NN_FAIL_IF(want.v[i] < (batch ? -1 : 1) || want.v[i] > (int64_t)VL_NN_MAX_ELEMENTS, c->n,
                      VELUM_E_UNSUPPORTED, "extent %lld", (long long)want.v[i]);
        shape.dim[i] = batch ? 1 : (uint32_t)want.v[i];
    }
    vl_nn_pair pair;
    VL_TRY(vl_nn_broadcast(c->h, c->n, a, &shape, &pair));
    v->out = pair.out;
    v->out.integer = a->integer;
    v->element = pair.a;
    return VELUM_OK;
}

velum_status vl_nn_view_of(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                           uint32_t output, vl_nn_view *out) {
    call c = {g, h, n, in};
    VL_NN_FAIL_IF(n->in_count == 0 || !in[0], n, VELUM_E_FORMAT, "no input");
    *out = (vl_nn_view){.out = *in[0]};
    out->out.v = NULL;
    switch (n->op) {
    case VL_NN_Reshape: return reshape(&c, out);
    case VL_NN_Flatten: return flatten(&c, out);
    case VL_NN_Squeeze: return squeeze(&c, out);
    case VL_NN_Unsqueeze: return unsqueeze(&c, out);
    case VL_NN_Transpose: return transpose(&c, out);
    case VL_NN_Concat: return concat(&c, out);
    case VL_NN_Slice: return slice(&c, out);
    case VL_NN_Split: return split(&c, output, out);
    case VL_NN_Gather:
        VL_NN_FAIL_IF(n->in_count != 2, n, VELUM_E_FORMAT, "%u inputs", n->in_count);
        return gather(&c, out);
    case VL_NN_Expand: return expand(&c, out);
    case VL_NN_Cast: VL_TRY(vl_nn_cast_to_integer(n, &out->out.integer)); return same(&c, out);
    case VL_NN_Dropout: VL_NN_FAIL_IF(output != 0, n, VELUM_E_UNSUPPORTED, "its mask is used"); return same(&c, out);
    default: return same(&c, out);
    }
}
