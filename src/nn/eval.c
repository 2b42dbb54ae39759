// SPDX-License-Identifier: Apache-2.0
#include "nn/eval.h"
#include "nn/activation.h"
#include "nn/eval_ops.h"
#include <math.h>
#include <string.h>

velum_status vl_nn_check_arity(const vl_nn_node *n) {
    static const struct {
        vl_nn_opcode op;
        uint32_t least, most;
    } counts[] = {
        {VL_NN_Add, 2, 2},
        {VL_NN_Sub, 2, 2},
        {VL_NN_Mul, 2, 2},
        {VL_NN_Div, 2, 2},
        {VL_NN_Mod, 2, 2},
        {VL_NN_Pow, 2, 2},
        {VL_NN_MatMul, 2, 2},
        {VL_NN_Gather, 2, 2},
        {VL_NN_Gemm, 2, 3},
        {VL_NN_Clip, 1, 3},
        {VL_NN_Constant, 0, 0},
        {VL_NN_Concat, 1, VL_NN_MAX_NODES},
        {VL_NN_Slice, 1, 5},
        {VL_NN_Reshape, 1, 2},
        {VL_NN_Split, 1, 2},
        {VL_NN_Squeeze, 1, 2},
        {VL_NN_Unsqueeze, 1, 2},
        {VL_NN_Expand, 2, 2},
        {VL_NN_ReduceSum, 1, 2},
        {VL_NN_ReduceMean, 1, 2},
        {VL_NN_Dropout, 1, 3},
        {VL_NN_ReduceProd, 1, 2},
        {VL_NN_Conv, 2, 3},
        {VL_NN_BatchNormalization, 5, 5},
        {VL_NN_Pad, 1, 4},
        {VL_NN_Max, 1, VL_NN_MAX_NODES},
        {VL_NN_Min, 1, VL_NN_MAX_NODES},
        {VL_NN_PRelu, 2, 2},
        {VL_NN_Equal, 2, 2},
        {VL_NN_Where, 3, 3},
        {VL_NN_OneHot, 3, 3},
        {VL_NN_Range, 3, 3},
    };
    uint32_t least = 1, most = 1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].op == n->op) {
            least = counts[i].least;
            most = counts[i].most;
        }
    VL_NN_FAIL_IF(n->in_count < least || n->in_count > most, n, VELUM_E_FORMAT, "%u inputs", n->in_count);
    for (uint32_t k = 0; k < least; k++)
        VL_NN_FAIL_IF(n->in[k] == VL_NN_NONE, n, VELUM_E_FORMAT, "input %u is missing", k);
    return VELUM_OK;
}

static velum_status constant(vl_nn_heap *h, const vl_nn_node *n, vl_nn_tensor *out) {
    VL_NN_FAIL_IF(n->attr_count != 1, n, VELUM_E_FORMAT, "%u attributes", n->attr_count);
    const vl_nn_attr *a = &n->attr[0];
    bool known = a->kind == VL_NN_TENSOR || strncmp(a->name, "value_", 6) == 0;
    VL_NN_FAIL_IF(!known, n, VELUM_E_FORMAT, "attribute '%s'", a->name);
    if (a->kind == VL_NN_TENSOR) {
        *out = *a->tensor;
        return VELUM_OK;
    }
    bool list = a->kind == VL_NN_INTS || a->kind == VL_NN_FLOATS;
    *out = (vl_nn_tensor){.rank = list, .dim = {list ? a->count : 0}, .count = list ? a->count : 1};
    out->integer = a->kind == VL_NN_INT || a->kind == VL_NN_INTS;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++)
        out->v[i] = a->kind == VL_NN_INT     ? (double)a->i
                    : a->kind == VL_NN_FLOAT ? a->f
                    : a->kind == VL_NN_INTS  ? (double)a->ints[i]
                                             : a->floats[i];
    return VELUM_OK;
}

static velum_status shape(vl_nn_heap *h, const vl_nn_tensor *a, vl_nn_tensor *out) {
    *out = (vl_nn_tensor){.rank = 1, .dim = {a->rank}, .count = a->rank, .integer = true, .extents = a->batched};
    VL_NN_TAKE(h, out->v, a->rank);
    for (uint32_t i = 0; i < a->rank; i++) out->v[i] = a->batched && i == 0 ? -1.0 : (double)a->dim[i];
    return VELUM_OK;
}

static velum_status binary(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a, const vl_nn_tensor *b,
                           vl_nn_tensor *out) {
    vl_nn_pair pair;
    vl_nn_tensor u = *a, w = *b;
    if (n->op == VL_NN_Equal) u.extents = w.extents = false; // the batch's -1 below equals nothing
    VL_TRY(vl_nn_broadcast(h, n, &u, &w, &pair));
    bool integer = a->integer && b->integer, fmod_rule = vl_nn_attr_int(n, "fmod", 0) != 0;
    *out = pair.out;
    if (n->op == VL_NN_Pow) out->integer = a->integer;
    if (n->op == VL_NN_Equal) out->integer = true;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        double x = a->v[pair.a[i]], y = b->v[pair.b[i]], z = 0;
        bool divides = n->op == VL_NN_Div || n->op == VL_NN_Mod;
        VL_NN_FAIL_IF(divides && y == 0, n, VELUM_E_VALUE, "division by zero");
        switch (n->op) {
        case VL_NN_Add: z = x + y; break;
        case VL_NN_Sub: z = x - y; break;
        case VL_NN_Mul: z = x * y; break;
        case VL_NN_Div: z = integer ? trunc(x / y) : x / y; break;
        case VL_NN_Mod: z = fmod_rule ? fmod(x, y) : x - y * floor(x / y); break;
        case VL_NN_Max: z = fmax(x, y); break;
        case VL_NN_Min: z = fmin(x, y); break;
        case VL_NN_PRelu: z = x < 0 ? y * x : x; break;
        case VL_NN_Equal:
            z = x == y && !(a->extents && pair.a[i] == 0 && x == -1) && !(b->extents && pair.b[i] == 0 && y == -1);
            break;
        default: z = pow(x, y); break;
        }
        VL_NN_FAIL_IF(!isfinite(z), n, VELUM_E_VALUE, "element %zu is not finite", i);
        out->v[i] = z;
    }
    return VELUM_OK;
}

// Max and Min of any number of operands.
static velum_status several(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    *out = *in[0];
    for (uint32_t k = 1; k < n->in_count; k++) {
        vl_nn_tensor next;
        VL_NN_FAIL_IF(!in[k], n, VELUM_E_FORMAT, "input %u is missing", k);
        VL_TRY(binary(h, n, out, in[k], &next));
        *out = next;
    }
    return VELUM_OK;
}

static velum_status product(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    const vl_nn_tensor *a = in[0], *b = in[1], *c = n->in_count > 2 ? in[2] : NULL;
    vl_nn_product p;
    VL_TRY(vl_nn_product_of(h, n, a, b, &p));
    VL_NN_FAIL_IF((double)p.out.count * p.inner > 0x1p33, n, VELUM_E_LIMIT, "too large a product");
    VL_TRY(vl_nn_work(h, (double)p.out.count * p.inner));
    double alpha = vl_nn_attr_float(n, "alpha", 1), beta = vl_nn_attr_float(n, "beta", 1);
    *out = p.out;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < p.inner; k++)
            sum += a->v[p.a[i] + (size_t)k * p.step_a] * b->v[p.b[i] + (size_t)k * p.step_b];
        out->v[i] = alpha * sum;
    }
    if (!c) return VELUM_OK;
    vl_nn_pair pair;
    VL_TRY(vl_nn_broadcast(h, n, &p.out, c, &pair));
    VL_NN_FAIL_IF(pair.out.count != out->count, n, VELUM_E_FORMAT, "the third input is larger than the product");
    for (size_t i = 0; i < out->count; i++) out->v[i] += beta * c->v[pair.b[i]];
    return VELUM_OK;
}

static velum_status reduce(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in, vl_nn_tensor *out) {
    vl_nn_reduction r;
    VL_TRY(vl_nn_reduction_of(h, n, in, &r));
    *out = r.out;
    VL_NN_TAKE(h, out->v, out->count);
    bool multiplies = n->op == VL_NN_ReduceProd;
    for (size_t i = 0; i < out->count; i++) out->v[i] = multiplies;
    for (size_t i = 0; i < in[0]->count; i++)
        out->v[r.target[i]] = multiplies ? out->v[r.target[i]] * in[0]->v[i] : out->v[r.target[i]] + in[0]->v[i];
    for (size_t i = 0; n->op == VL_NN_ReduceMean && i < out->count; i++) out->v[i] /= r.group;
    return VELUM_OK;
}

// Softmax and ArgMax along one axis.
static velum_status along_axis(const vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *a,
                               vl_nn_tensor *out) {
    bool arg = n->op == VL_NN_ArgMax;
    uint32_t axis;
    VL_TRY(vl_nn_axis(n, vl_nn_attr_int(n, "axis", arg ? 0 : g->opset < 13 ? 1 : -1), a->rank, &axis));
    VL_NN_FAIL_IF(a->batched && axis == 0, n, VELUM_E_UNSUPPORTED, "axis 0 would mix requests");
    VL_NN_FAIL_IF(!arg && g->opset < 13 && axis + 1 != a->rank, n, VELUM_E_UNSUPPORTED, "over several axes");
    VL_NN_FAIL_IF(vl_nn_attr_int(n, "select_last_index", 0) != 0, n, VELUM_E_UNSUPPORTED, "select_last_index");
    VL_NN_FAIL_IF(a->count == 0 || !a->v, n, VELUM_E_FORMAT, "no elements");
    size_t after = 1, d = a->dim[axis];
    for (uint32_t i = axis + 1; i < a->rank; i++) after *= a->dim[i];
    *out = *a;
    if (arg) {
        out->integer = true;
        out->count = a->count / d;
        out->dim[axis] = 1;
        if (vl_nn_attr_int(n, "keepdims", 1) == 0) {
            for (uint32_t i = axis; i + 1 < a->rank; i++) out->dim[i] = a->dim[i + 1];
            out->rank--;
        }
    }
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t line = 0; line < a->count / d; line++) {
        const double *x = a->v + line / after * d * after + line % after;
        size_t best = 0;
        double sum = 0;
        for (size_t k = 1; k < d; k++)
            if (x[k * after] > x[best * after]) best = k;
        if (arg) {
            out->v[line] = (double)best;
            continue;
        }
        double *y = out->v + (x - a->v);
        for (size_t k = 0; k < d; k++) sum += y[k * after] = exp(x[k * after] - x[best * after]);
        for (size_t k = 0; k < d; k++) y[k * after] /= sum;
    }
    return VELUM_OK;
}

static velum_status negate(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *x, vl_nn_tensor *out) {
    VL_NN_FAIL_IF(x->extents, n, VELUM_E_UNSUPPORTED, "arithmetic on the batch size");
    *out = *x;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) out->v[i] = -x->v[i];
    return VELUM_OK;
}

static velum_status lookup(vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *table, const vl_nn_tensor *index,
                           vl_nn_tensor *out) {
    vl_nn_pair pair;
    VL_TRY(vl_nn_lookup_of(h, n, table, index, &pair));
    size_t row = table->count / table->dim[0];
    *out = pair.out;
    VL_NN_TAKE(h, out->v, out->count);
    for (size_t i = 0; i < out->count; i++) {
        double k = index->v[pair.a[i]];
        VL_NN_FAIL_IF(!(k >= 0 && k < table->dim[0]) || k != floor(k), n, VELUM_E_VALUE, "index %g into %u rows", k,
                      table->dim[0]);
        out->v[i] = table->v[(size_t)k * row + pair.b[i]];
    }
    return VELUM_OK;
}

static velum_status view(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                         vl_nn_tensor *out) {
    for (uint32_t k = 0; k < n->out_count; k++) {
        if (n->out[k] == VL_NN_NONE || (n->op == VL_NN_Dropout && k > 0)) continue;
        vl_nn_view v;
        VL_TRY(vl_nn_view_of(g, h, n, in, k, &v));
        out[k] = v.out;
        VL_NN_TAKE(h, out[k].v, out[k].count);
        bool truncate = n->op == VL_NN_Cast && out[k].integer && !in[0]->integer;
        for (size_t i = 0; i < out[k].count; i++) {
            double x = in[v.source ? v.source[i] : 0]->v[v.element[i]];
            out[k].v[i] = truncate ? trunc(x) : x;
        }
        bool batch = false; // a list of extents without the batch's -1 is a list of numbers
        for (size_t i = 0; out[k].extents && i < out[k].count; i++) batch = batch || out[k].v[i] == -1;
        out[k].extents = batch;
    }
    return VELUM_OK;
}

velum_status vl_nn_eval_node(vl_nn_graph *g, vl_nn_heap *h, const vl_nn_node *n, const vl_nn_tensor *const *in,
                             vl_nn_tensor *out) {
    switch (n->op) {
    case VL_NN_Constant: return constant(h, n, out);
    case VL_NN_Shape: return shape(h, in[0], out);
    case VL_NN_Add:
    case VL_NN_Sub:
    case VL_NN_Mul:
    case VL_NN_Div:
    case VL_NN_Mod:
    case VL_NN_Equal:
    case VL_NN_PRelu:
    case VL_NN_Pow: return binary(h, n, in[0], in[1], out);
    case VL_NN_Max:
    case VL_NN_Min: return several(h, n, in, out);
    case VL_NN_Conv:
    case VL_NN_AveragePool:
    case VL_NN_MaxPool:
    case VL_NN_GlobalAveragePool: return vl_nn_eval_window(h, n, in, out);
    case VL_NN_BatchNormalization: return vl_nn_eval_norm(h, n, in, out);
    case VL_NN_Pad: return vl_nn_eval_pad(h, n, in, out);
    case VL_NN_LabelEncoder: return vl_nn_eval_labels(h, n, in, out);
    case VL_NN_Where: return vl_nn_eval_where(h, n, in, out);
    case VL_NN_OneHot: return vl_nn_eval_one_hot(h, n, in, out);
    case VL_NN_ConstantOfShape: return vl_nn_eval_fill(h, n, in, out);
    case VL_NN_Range: return vl_nn_eval_range(h, n, in, out);
    case VL_NN_MatMul:
    case VL_NN_Gemm: return product(h, n, in, out);
    case VL_NN_ReduceSum:
    case VL_NN_ReduceMean: return reduce(h, n, in, out);
    case VL_NN_Softmax:
    case VL_NN_ArgMax: return along_axis(g, h, n, in[0], out);
    case VL_NN_Neg: return negate(h, n, in[0], out);
    case VL_NN_ReduceProd: return reduce(h, n, in, out);
    case VL_NN_Gather:
        if (in[1]->batched) return lookup(h, n, in[0], in[1], out);
        return view(g, h, n, in, out);
    default: return vl_nn_is_activation(n->op) ? vl_nn_eval_scalar(h, n, in, out) : view(g, h, n, in, out);
    }
}
