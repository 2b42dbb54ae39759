// SPDX-License-Identifier: Apache-2.0
// Linear operators on pictures: convolutions, averages, normalisation, padding.
#include "nn/lower.h"
#include "nn/passes.h"
#include <string.h>

#define COMPOSE_ALWAYS (1u << 16) // multiplications below which two maps are composed without a look
#define COMPOSE_GAIN 2.0          // entries of the composed map, over those of the two
#define COMPOSE_WORK 0x1p28       // multiplications that are worth finding that out

static vl_nn_picture picture_of(const vl_nn_form *f, const vl_nn_tensor *t) {
    if (f->picture.gap) return f->picture;
    bool flat = t->rank == 3;
    return vl_nn_picture_plain(t->dim[1], flat ? 1 : t->dim[2], t->dim[flat ? 2 : 3]);
}

static velum_status result_picture(const vl_nn_node *n, const vl_nn_tensor *const *tensor, const vl_nn_tensor *to,
                                   vl_nn_picture *p) {
    if (to->rank != 3 && to->rank != 4) {
        *p = (vl_nn_picture){0};
        return VELUM_OK;
    }
    bool flat = to->rank == 3;
    uint32_t height = flat ? 1 : to->dim[2], width = to->dim[flat ? 2 : 3], stride[2] = {1, 1};
    if (n->op != VL_NN_BatchNormalization && n->op != VL_NN_Pad) {
        vl_nn_window w;
        vl_nn_tensor shape;
        VL_TRY(vl_nn_window_of(n, tensor, &w, &shape));
        stride[0] = height == 1 ? w.stride[1] : w.stride[0];
        stride[1] = width == 1 ? stride[0] : w.stride[1];
    }
    // A single number a channel is no picture any more.
    *p = height * width == 1 ? (vl_nn_picture){0}
                             : vl_nn_picture_after(p, to->dim[1], height, width, stride[0], stride[1]);
    return VELUM_OK;
}

// Two convolutions in a row are composed only if that does not make many more entries than they have.
static velum_status keep_apart(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_sparse *s, const vl_nn_form **f) {
    const vl_nn_form *a = *f;
    uint32_t base;
    double work = vl_nn_form_work(s, a), apart = (double)vl_nn_sparse_count(s) + (double)vl_nn_form_count(a);
    if (work <= COMPOSE_ALWAYS || work <= COMPOSE_GAIN * apart || vl_nn_form_is_base(w->l, a, &base)) return VELUM_OK;
    if (work <= COMPOSE_WORK) {
        size_t count = 0;
        for (uint32_t t = 0; t < a->terms; t++) {
            size_t one = vl_nn_sparse_count(s);
            if (a->term[t].m) VL_TRY(vl_nn_sparse_product_count(w->h, s, a->term[t].m, &one));
            count += one;
        }
        if ((double)count <= COMPOSE_GAIN * apart) return VELUM_OK;
    }
    vl_nn_form *copy;
    VL_TRY(vl_nn_add_base(w->l, VL_NN_BASE_COPY, a, NULL, a->label, &base));
    VL_TRY(vl_nn_base_form(w->l, base, &copy));
    *f = copy;
    return vl_nn_note(w->l, "%s: kept apart from the layer before it", n->name);
}

velum_status vl_nn_lower_rows(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor, vl_nn_sym *x,
                              vl_nn_sym *out) {
    vl_nn_rows r;
    const vl_nn_form *f;
    vl_nn_form *made;
    VL_NN_FAIL_IF(x->kind == VL_NN_KNOWN, n, VELUM_E_UNSUPPORTED, "weights must be constants");
    VL_TRY(vl_nn_rows_of(w->h, n, tensor, &r));
    VL_NN_FAIL_IF(r.out.count > VL_MAX_FEATURES, n, VELUM_E_LIMIT, "%zu features, the limit is %d", r.out.count,
                  VL_MAX_FEATURES);
    VL_TRY(vl_nn_affine(w, n, x, &f));
    vl_nn_sparse s = {.rows = (uint32_t)r.out.count, .cols = f->n, .start = r.start, .col = r.col, .val = r.val};
    vl_nn_picture picture = {0};
    bool pictures = x->t.rank == 3 || x->t.rank == 4;
    if (pictures) picture = picture_of(f, &x->t);
    VL_TRY(keep_apart(w, n, &s, &f));
    if (pictures) {
        if (f->picture.gap) picture = f->picture;
        VL_TRY(result_picture(n, tensor, &r.out, &picture));
        for (uint32_t t = 0; t < f->terms; t++) w->l->fixed_input |= f->term[t].base == 0 && n->op == VL_NN_Conv;
    }
    VL_NN_FAIL_IF(vl_nn_form_work(&s, f) > 0x1p33, n, VELUM_E_LIMIT,
                  "composing it with the layers before takes too long: put an activation between them");
    VL_TRY(vl_nn_form_apply(w->h, &s, f, &made));
    VL_TRY(vl_nn_form_scale(w->h, made, NULL, r.bias, &made));
    made->picture = picture;
    vl_nn_label_form(n, made);
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = r.out, .root = made};
    return VELUM_OK;
}
