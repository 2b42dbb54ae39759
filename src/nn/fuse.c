// SPDX-License-Identifier: Apache-2.0
// Activations that exporters write as several nodes, recognised.
#include "nn/passes.h"
#include <math.h>
#include <string.h>

#define FACTORS 4
#define ONE_HOT_MOST 2048 // depth

typedef struct fusing {
    vl_nn_graph *g;
    vl_nn_uses uses;
    vl_nn_tensor *shape; // by value
} fusing;

// scale times the product of some values
typedef struct product {
    double scale;
    uint32_t count, factor[FACTORS];
    bool fits;
} product;

static bool near(double a, double b) { return fabs(a - b) <= 1e-5 * fabs(b); }

static const vl_nn_node *made_by(const fusing *f, uint32_t v, vl_nn_opcode op) {
    uint32_t at = v == VL_NN_NONE ? VL_NN_NONE : f->uses.producer[v];
    return at != VL_NN_NONE && f->g->nodes[at].op == op ? &f->g->nodes[at] : NULL;
}

// A constant whose elements are all the same number.
static bool number(const fusing *f, uint32_t v, double *out) {
    const vl_nn_tensor *t = vl_nn_known(f->g, v);
    if (!t || t->count == 0 || t->extents) return false;
    for (size_t i = 1; i < t->count; i++)
        if (t->v[i] != t->v[0]) return false;
    *out = t->v[0];
    return true;
}

// Mul and Div by constants are taken apart where nothing else reads their result (or at the root).
static void take_apart(const fusing *f, uint32_t v, bool root, uint32_t depth, product *p) {
    const vl_nn_node *mul = made_by(f, v, VL_NN_Mul), *div = made_by(f, v, VL_NN_Div);
    bool open = (root || f->uses.readers[v] == 1) && depth < 8;
    double c;
    if (open && mul) {
        for (uint32_t k = 0; k < 2; k++) {
            if (number(f, mul->in[k], &c))
                p->scale *= c;
            else
                take_apart(f, mul->in[k], false, depth + 1, p);
        }
    } else if (open && div && number(f, div->in[1], &c) && c != 0) {
        p->scale /= c;
        take_apart(f, div->in[0], false, depth + 1, p);
    } else if (p->count < FACTORS) {
        p->factor[p->count++] = v;
    } else {
        p->fits = false;
    }
}

static product product_of(const fusing *f, uint32_t v) {
    product p = {.scale = 1, .fits = true};
    take_apart(f, v, true, 0, &p);
    return p;
}

// v = scale x: the scale, or NAN.
static double times(const fusing *f, uint32_t v, uint32_t x) {
    if (v == x) return 1;
    product p = product_of(f, v);
    return p.fits && p.count == 1 && p.factor[0] == x ? p.scale : NAN;
}

// v = rest + c
static bool plus(const fusing *f, uint32_t v, double c, uint32_t *rest) {
    const vl_nn_node *add = made_by(f, v, VL_NN_Add), *sub = made_by(f, v, VL_NN_Sub);
    double have;
    for (uint32_t k = 0; add && k < 2; k++)
        if (number(f, add->in[k], &have) && near(have, c)) {
            *rest = add->in[1 - k];
            return true;
        }
    if (!sub || !number(f, sub->in[1], &have) || !near(-have, c)) return false;
    *rest = sub->in[0];
    return true;
}

static bool is_cube(const fusing *f, uint32_t v, uint32_t x, double scale) {
    product p = product_of(f, v);
    double power = 0, e;
    if (!p.fits || !near(p.scale, scale)) return false;
    for (uint32_t i = 0; i < p.count; i++) {
        const vl_nn_node *pow = made_by(f, p.factor[i], VL_NN_Pow);
        bool raised = pow && pow->in[0] == x && number(f, pow->in[1], &e);
        if (!raised && p.factor[i] != x) return false;
        power += raised ? e : 1;
    }
    return power == 3;
}

// sqrt(2 / pi) (x + 0.044715 x^3)
static bool is_gelu_argument(const fusing *f, uint32_t v, uint32_t x) {
    product p = product_of(f, v);
    const vl_nn_node *add =
        p.fits && p.count == 1 && near(p.scale, sqrt(2 / M_PI)) ? made_by(f, p.factor[0], VL_NN_Add) : NULL;
    return add && ((add->in[0] == x && is_cube(f, add->in[1], x, 0.044715)) ||
                   (add->in[1] == x && is_cube(f, add->in[0], x, 0.044715)));
}

// clip(x + 3, 0, 6)
static bool is_relu6_plus_3(const fusing *f, uint32_t v, uint32_t *x) {
    const vl_nn_node *clip = made_by(f, v, VL_NN_Clip);
    if (!clip) return false;
    double lo = vl_nn_attr_float(clip, "min", -INFINITY), hi = vl_nn_attr_float(clip, "max", INFINITY);
    if (clip->in_count > 1 && clip->in[1] != VL_NN_NONE && !number(f, clip->in[1], &lo)) return false;
    if (clip->in_count > 2 && clip->in[2] != VL_NN_NONE && !number(f, clip->in[2], &hi)) return false;
    return lo == 0 && near(hi, 6) && plus(f, clip->in[0], 3, x);
}

// The function of x that x times u (times scale) is; false if none.
static bool of_pair(const fusing *f, uint32_t x, uint32_t u, double scale, vl_nn_opcode *op, vl_nn_attr *attr) {
    const vl_nn_node *n;
    uint32_t inner;
    *attr = (vl_nn_attr){0};
    if (near(scale, 1) && (n = made_by(f, u, VL_NN_Sigmoid))) {
        double a = times(f, n->in[0], x);
        *op = VL_NN_Swish;
        *attr = (vl_nn_attr){.name = "alpha", .kind = VL_NN_FLOAT, .f = a};
        return isfinite(a);
    }
    if (near(scale, 1) && (n = made_by(f, u, VL_NN_HardSigmoid))) {
        *op = VL_NN_HardSwish;
        return n->in[0] == x && near(vl_nn_attr_float(n, "alpha", 0.2), 1.0 / 6) &&
               near(vl_nn_attr_float(n, "beta", 0.5), 0.5);
    }
    if (near(scale, 1) && (n = made_by(f, u, VL_NN_Tanh))) {
        *op = VL_NN_Mish;
        n = made_by(f, n->in[0], VL_NN_Softplus);
        return n && n->in[0] == x;
    }
    if (near(scale, 1.0 / 6) && is_relu6_plus_3(f, u, &inner)) {
        *op = VL_NN_HardSwish;
        return inner == x;
    }
    if (!near(scale, 0.5) || !plus(f, u, 1, &inner)) return false;
    *op = VL_NN_Gelu;
    if ((n = made_by(f, inner, VL_NN_Erf))) return near(times(f, n->in[0], x), M_SQRT1_2);
    *attr = (vl_nn_attr){.name = "approximate", .kind = VL_NN_STRING, .text = "tanh"};
    n = made_by(f, inner, VL_NN_Tanh);
    return n && is_gelu_argument(f, n->in[0], x);
}

static bool same_shape(const fusing *f, uint32_t a, uint32_t b) {
    return f->shape[a].rank == f->shape[b].rank &&
           memcmp(f->shape[a].dim, f->shape[b].dim, f->shape[a].rank * sizeof *f->shape[a].dim) == 0;
}

static velum_status become(fusing *f, vl_nn_node *n, vl_nn_opcode op, uint32_t x, const vl_nn_attr *attr,
                           uint32_t attrs, uint32_t *changed) {
    VL_NN_TAKE(&f->g->heap, n->in, 1);
    VL_NN_TAKE(&f->g->heap, n->attr, attrs);
    memcpy(n->attr, attr, attrs * sizeof *attr);
    n->op = op;
    n->in[0] = x;
    n->in_count = 1;
    n->attr_count = attrs;
    ++*changed;
    return VELUM_OK;
}

static const char *name_of(vl_nn_opcode op) {
    return op == VL_NN_Swish ? "SiLU" : op == VL_NN_Gelu ? "GELU" : op == VL_NN_Mish ? "Mish" : "HardSwish";
}

static velum_status fuse_product(fusing *f, vl_nn_node *n, uint32_t *changed) {
    product p = product_of(f, n->out[0]);
    vl_nn_opcode op;
    vl_nn_attr attr[2];
    uint32_t x;
    if (!p.fits) return VELUM_OK;
    if (p.count == 1 && near(p.scale, 1.0 / 6) && is_relu6_plus_3(f, p.factor[0], &x) && same_shape(f, x, n->out[0])) {
        attr[0] = (vl_nn_attr){.name = "alpha", .kind = VL_NN_FLOAT, .f = 1.0 / 6};
        attr[1] = (vl_nn_attr){.name = "beta", .kind = VL_NN_FLOAT, .f = 0.5};
        n->known_as = "HardSigmoid";
        return become(f, n, VL_NN_HardSigmoid, x, attr, 2, changed);
    }
    for (uint32_t k = 0; p.count == 2 && k < 2; k++)
        if (same_shape(f, p.factor[k], n->out[0]) && of_pair(f, p.factor[k], p.factor[1 - k], p.scale, &op, &attr[0])) {
            n->known_as = name_of(op);
            return become(f, n, op, p.factor[k], attr, attr[0].name != NULL, changed);
        }
    return VELUM_OK;
}

static velum_status fuse_bound(fusing *f, vl_nn_node *n, uint32_t *changed) {
    double c;
    for (uint32_t k = 0; n->in_count == 2 && k < 2; k++) {
        if (!number(f, n->in[1 - k], &c) || !same_shape(f, n->in[k], n->out[0])) continue;
        bool maximum = n->op == VL_NN_Max;
        vl_nn_attr bound = {.name = maximum ? "min" : "max", .kind = VL_NN_FLOAT, .f = c};
        bool relu = maximum && c == 0;
        return become(f, n, relu ? VL_NN_Relu : VL_NN_Clip, n->in[k], &bound, !relu, changed);
    }
    return VELUM_OK;
}

static velum_status fuse_one_hot(fusing *f, vl_nn_node *n, uint32_t *changed) {
    vl_nn_graph *g = f->g;
    const vl_nn_tensor *depth = vl_nn_known(g, n->in[1]), *values = vl_nn_known(g, n->in[2]);
    int64_t axis = vl_nn_attr_int(n, "axis", -1);
    bool last = axis == -1 || axis == f->shape[n->in[0]].rank;
    if (!depth || !values || !last || depth->count != 1 || values->count != 2 || depth->v[0] > ONE_HOT_MOST)
        return VELUM_OK;
    uint32_t d = (uint32_t)depth->v[0], table, *in;
    vl_nn_tensor t = {.rank = 2, .dim = {d, d}, .count = (size_t)d * d};
    VL_NN_TAKE(&g->heap, t.v, t.count);
    for (size_t i = 0; i < t.count; i++) t.v[i] = values->v[i % (d + 1) == 0];
    VL_TRY(vl_nn_add_constant(g, "one-hot table", &t, &table));
    VL_NN_TAKE(&g->heap, in, 2);
    in[0] = table;
    in[1] = n->in[0];
    n->op = VL_NN_Gather;
    n->in = in;
    n->in_count = 2;
    n->attr_count = 0;
    ++*changed;
    return VELUM_OK;
}

static velum_status fuse_node(fusing *f, vl_nn_node *n, uint32_t *changed) {
    double slope;
    switch (n->op) {
    case VL_NN_Mul:
    case VL_NN_Div: return fuse_product(f, n, changed);
    case VL_NN_Max:
    case VL_NN_Min: return fuse_bound(f, n, changed);
    case VL_NN_OneHot: return fuse_one_hot(f, n, changed);
    case VL_NN_PRelu:
        if (number(f, n->in[1], &slope) && same_shape(f, n->in[0], n->out[0]))
            return become(f, n, VL_NN_LeakyRelu, n->in[0],
                          &(vl_nn_attr){.name = "alpha", .kind = VL_NN_FLOAT, .f = slope}, 1, changed);
        return VELUM_OK;
    default: return VELUM_OK;
    }
}

velum_status vl_nn_pass_fuse(vl_nn_graph *g, uint32_t *changed) {
    fusing f = {.g = g};
    *changed = 0;
    VL_TRY(vl_nn_infer(g, &f.shape));
    VL_TRY(vl_nn_uses_of(g, &f.uses));
    for (uint32_t i = 0; i < g->node_count; i++) VL_TRY(fuse_node(&f, &g->nodes[i], changed));
    return vl_nn_sweep(g);
}
