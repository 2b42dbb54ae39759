// SPDX-License-Identifier: Apache-2.0
// Affine forms. Every encrypted tensor is, per request, y = bias + sum over bases of M_base x_base, where a base is the
// encrypted input or the result of a nonlinear operation. Linear operators compose forms in the clear.
#ifndef VELUM_NN_FORM_H
#define VELUM_NN_FORM_H

#include "nn/prologue.h"

typedef struct vl_nn_term {
    uint32_t base, cols; // the input's base grows: cols may be fewer than it has in the end
    double *m;           // rows x cols; NULL: the identity
} vl_nn_term;
#define VL_NN_LABEL 60
typedef struct vl_nn_form {
    uint32_t n, terms;
    double *bias;
    vl_nn_term *term;            // by ascending base
    char label[VL_NN_LABEL + 1]; // the linear nodes in it
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
    VL_NN_BASE_COPY
} vl_nn_base_kind;
typedef struct vl_nn_base {
    vl_nn_base_kind kind;
    uint32_t n;
    const vl_nn_form *arg[2]; // SQUARE: arg0^2; PRODUCT: arg0 arg1; COPY: arg0, made explicit to keep its rank low
    double *lo, *hi;          // ranges of its elements
    vl_nn_products *products; // SQUARE: what it is for; may be NULL
    char label[VL_NN_LABEL + 1];
} vl_nn_base;

// A sparse matrix by rows.
typedef struct vl_nn_sparse {
    uint32_t rows, cols;
    size_t *start; // rows + 1
    uint32_t *col;
    double *val;
} vl_nn_sparse;

// What the model is after lowering: bases in order, the first is the input, and the form of the output.
typedef struct vl_nn_lowered {
    vl_nn_heap *heap;
    vl_nn_prologue prologue;
    uint32_t base_count, base_room;
    vl_nn_base *base;
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
// The row among all terms as one number per (base, col), for comparison.
static inline double vl_nn_term_at(const vl_nn_term *t, uint32_t row, uint32_t col) {
    return t->m ? (col < t->cols ? t->m[(size_t)row * t->cols + col] : 0) : row == col;
}
// Ranges of the elements of a form. One-hot features: exactly one of a group is 1.
void vl_nn_form_range(const vl_nn_lowered *l, const vl_nn_form *f, double *lo, double *hi);
// True if f is base value itself: one identity term and no bias.
bool vl_nn_form_is_base(const vl_nn_lowered *l, const vl_nn_form *f, uint32_t *base);
velum_status vl_nn_add_base(vl_nn_lowered *l, vl_nn_base_kind kind, const vl_nn_form *a, const vl_nn_form *b,
                            const char *label, uint32_t *out);
void vl_nn_range_multiply(double a, double b, double c, double d, double *lo, double *hi); // [a, b] [c, d]
// A form on bases' values.
void vl_nn_form_at(const vl_nn_form *f, double *const *value, double *y);
// All bases' values and the output for one request, in the clear: value[base][element], output[n].
velum_status vl_nn_form_run(vl_nn_lowered *l, const double *features, double **value, double *output);
void vl_nn_form_join_label(char *label, const char *more, const char *between);
// Bases that the output needs, and their elements that are used; the rest goes.
velum_status vl_nn_prune(vl_nn_lowered *l);
__attribute__((format(printf, 2, 3))) velum_status vl_nn_note(vl_nn_lowered *l, const char *format, ...);

#endif
