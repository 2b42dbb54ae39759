// SPDX-License-Identifier: Apache-2.0
// Affine forms. Every encrypted tensor is, per request, y = bias + sum over bases of M_base x_base, where a base is the
// encrypted input or the result of a nonlinear operation. Linear operators compose forms in the clear.
#ifndef VELUM_NN_FORM_H
#define VELUM_NN_FORM_H

#include "circuits/activation.h"
#include "circuits/compare.h"
#include "nn/picture.h"
#include "nn/prologue.h"
#include "nn/sparse.h"

typedef struct vl_nn_term {
    uint32_t base, cols;   // the input's base grows: cols may be fewer than it has in the end
    const vl_nn_sparse *m; // n x cols; NULL: the identity
} vl_nn_term;
#define VL_NN_LABEL 60
typedef struct vl_nn_form {
    uint32_t n, terms;
    double *bias;
    vl_nn_term *term;            // by ascending base
    vl_nn_picture picture;       // how its elements should lie
    char label[VL_NN_LABEL + 1]; // the linear nodes in it
    uint32_t stands_for;         // 1 + the graph's value that it is, up to a scale and a shift of each element; 0: none
} vl_nn_form;

// Products that were written with squares: product i = sum over k of weight[k] (element part[i parts + k] of the base).
// Their ranges are much narrower than what the ranges of the squares give.
typedef struct vl_nn_products {
    uint32_t count, parts;
    const double *weight;
    uint32_t *part;
    double *lo, *hi;
} vl_nn_products;

typedef enum vl_nn_base_kind {
    VL_NN_BASE_INPUT,
    VL_NN_BASE_SQUARE,
    VL_NN_BASE_PRODUCT,
    VL_NN_BASE_COPY,
    VL_NN_BASE_ACT
} vl_nn_base_kind;

// An elementwise function. `f` is the function itself; fitting (fit.c) chooses the approximation: in the program the
// argument stands as (x - shift) / unit and the result as y / (the base's unit), both within [-1, 1].
typedef struct vl_nn_act {
    vl_function f;
    const void *arg; // of f
    bool compares;   // a kink at zero: VL_RELU or VL_ABS (kind)
    bool promised;   // from a Clip: idle where the calibration rows do not reach its kink
    vl_compare_kind kind;
    uint32_t degree;           // exactly this degree; 0: whatever the error needs
    double least, most;        // the result always lies in between
    char name[24];             // "relu"
    const vl_polynomial *poly; // after fitting: one of these two. On [-1, 1], from the argument to the result as they
    const vl_compare *compare; // stand in the program; the comparison's bound is 1
    double *unit, shift;       // of the argument: by element
    double error;              // of the approximation, as it stands in the program
} vl_nn_act;

typedef struct vl_nn_base {
    vl_nn_base_kind kind;
    uint32_t n;
    const vl_nn_form *arg[2]; // SQUARE: arg0^2; PRODUCT: arg0 arg1; ACT: f(arg0); COPY: arg0, made explicit to keep
                              // its rank low
    double *lo, *hi;          // ranges of its elements
    vl_nn_products *products; // SQUARE: what it is for; may be NULL
    vl_nn_act *act;           // ACT
    bool zero;                // is zero wherever it matters: whatever reads it may forget it
    uint32_t whole, *kept;    // after pruning: elements that it had, and which of them are left; NULL: all
    vl_nn_picture picture;
    uint32_t extent;    // of its positions
    uint32_t *position; // by element; NULL: 0 .. n - 1, extent n. Positions of no element are never read
    double *unit;       // by element: the program holds the value divided by this; NULL: 1
    char label[VL_NN_LABEL + 1];
    uint32_t stands_for; // as of a form
} vl_nn_base;

typedef struct vl_nn_fit_options { // zero: default
    double precision;    // bits that an activation is good for, relative to its range; 12, and 10 of many comparisons
    uint32_t max_degree; // of a polynomial; 127
} vl_nn_fit_options;

// What the model is after lowering: bases in order, the first is the input, and the form of the output.
typedef struct vl_nn_lowered {
    vl_nn_heap *heap;
    vl_nn_prologue prologue;
    uint32_t base_count, base_room;
    vl_nn_base *base;
    bool packed;      // values lie in slots: positions matter
    bool fixed_input; // the input's features keep their order and number: a convolution reads them
    bool fitted;      // vl_nn_fit has run
    vl_nn_fit_options fit;
    const vl_nn_form *output;
    vl_epilogue epilogue;
    char *notes;
    size_t notes_size;
} vl_nn_lowered;

velum_status vl_nn_form_identity(vl_nn_heap *h, uint32_t base, uint32_t n, vl_nn_form **out);
velum_status vl_nn_form_constant(vl_nn_heap *h, uint32_t n, vl_nn_form **out); // zero, no terms
velum_status vl_nn_form_apply(vl_nn_heap *h, const vl_nn_sparse *s, const vl_nn_form *f, vl_nn_form **out);
velum_status vl_nn_form_select(vl_nn_heap *h, const vl_nn_form *f, const uint32_t *row, uint32_t n, vl_nn_form **out);
// diag(s) f + c; s or c may be NULL
velum_status vl_nn_form_scale(vl_nn_heap *h, const vl_nn_form *f, const double *s, const double *c, vl_nn_form **out);
// f + sign g
velum_status vl_nn_form_add(vl_nn_heap *h, const vl_nn_form *f, const vl_nn_form *g, double sign, vl_nn_form **out);
// One form per source stacked: row i is row row[i] of f[source[i]].
velum_status vl_nn_form_stack(vl_nn_heap *h, const vl_nn_form *const *f, uint32_t count, const uint32_t *source,
                              const uint32_t *row, uint32_t n, vl_nn_form **out);
// The entries of one row of a term.
typedef struct vl_nn_row {
    size_t count;
    const uint32_t *col;
    const double *val;
    uint32_t own_col; // of the identity
    double own_val;
} vl_nn_row;
// *r must stay where it is while the row is used.
static inline void vl_nn_term_row(const vl_nn_term *t, uint32_t row, vl_nn_row *r) {
    if (!t->m) {
        r->own_col = row;
        r->own_val = 1;
        r->count = 1;
        r->col = &r->own_col;
        r->val = &r->own_val;
        return;
    }
    r->count = t->m->start[row + 1] - t->m->start[row];
    r->col = t->m->col + t->m->start[row];
    r->val = t->m->val + t->m->start[row];
}
// Multiplications that apply(s, f) takes, and entries that f has.
double vl_nn_form_work(const vl_nn_sparse *s, const vl_nn_form *f);
size_t vl_nn_form_count(const vl_nn_form *f);
// Ranges of the elements of a form. One-hot features: exactly one of a group is 1.
void vl_nn_form_range(const vl_nn_lowered *l, const vl_nn_form *f, double *lo, double *hi);
// True if f is base value itself: one identity term and no bias.
bool vl_nn_form_is_base(const vl_nn_lowered *l, const vl_nn_form *f, uint32_t *base);
// What a function takes on [x, y], by element.
void vl_nn_act_range(const vl_nn_act *a, uint32_t n, const double *x, const double *y, double *lo, double *hi);
// Refuses a calibration row (from 0) under which what `label` computes is not finite or beyond 1e30: VELUM_E_VALUE.
velum_status vl_nn_check_reach(const char *label, uint64_t row, const double *x, uint32_t n);
// Ranges of a base's elements from its arguments'.
velum_status vl_nn_base_range(const vl_nn_lowered *l, vl_nn_base *base);
velum_status vl_nn_add_base(vl_nn_lowered *l, vl_nn_base_kind kind, const vl_nn_form *a, const vl_nn_form *b,
                            const char *label, uint32_t *out);
velum_status vl_nn_base_form(vl_nn_lowered *l, uint32_t base, vl_nn_form **out); // the base as a form
// An activation of a form, as a form.
velum_status vl_nn_add_act(vl_nn_lowered *l, const vl_nn_act *act, const vl_nn_form *a, const char *label,
                           vl_nn_form **out);
void vl_nn_range_multiply(double a, double b, double c, double d, double *lo, double *hi); // [a, b] [c, d]
// A form on bases' values.
void vl_nn_form_at(const vl_nn_form *f, double *const *value, double *y);
// A base's values from those of its arguments, in place: the approximation once it is chosen, else the function itself.
void vl_nn_base_at(const vl_nn_base *base, const double *other, double *x);
// All bases' values and the output for one request, in the clear: value[base][element], output[n].
velum_status vl_nn_form_run(vl_nn_lowered *l, const double *features, double **value, double *output);
void vl_nn_form_join_label(char *label, const char *more, const char *between);
// Bases that the output needs, and their elements that are used; the rest goes.
velum_status vl_nn_prune(vl_nn_lowered *l);
// Levels of a composite, and of the product that relu and abs end with.
uint32_t vl_nn_compare_levels(const vl_minimax *m, bool product);
// Chooses the approximations of all ACT bases (fit.c): ranges from calibration features if there are any, else from the
// inputs' ranges. Bases that turn out to do nothing become copies or vanish.
velum_status vl_nn_fit(vl_nn_lowered *l, const double *features, uint64_t rows);
__attribute__((format(printf, 2, 3))) velum_status vl_nn_note(vl_nn_lowered *l, const char *format, ...);

#endif
