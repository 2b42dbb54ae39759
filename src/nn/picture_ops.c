// SPDX-License-Identifier: Apache-2.0
// Operators on pictures: convolutions, averages, normalisation, padding; maxima.
#include "nn/lower.h"
#include "nn/passes.h"
#include <string.h>

#define COMPOSE_ALWAYS (1u << 16) // multiplications below which two maps are composed without a look
#define COMPOSE_GAIN 2.0          // entries of the composed map, over those of the two
#define PLACES_MOST 64            // of a maximum
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
    return vl_nn_note(w->l, "fuse: %s: kept apart from the layer before it", n->name);
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

// ---- maxima ----

// The places of each window, by place and then by output element; padding is replaced by the first place that is none.
static velum_status places_of(vl_nn_heap *h, const vl_nn_window *p, uint32_t **out) {
    uint32_t count = p->kernel[0] * p->kernel[1], n = p->channels_out * p->out[0] * p->out[1], i = 0;
    VL_NN_TAKE(h, *out, (size_t)count * n);
    for (uint32_t c = 0; c < p->channels_out; c++)
        for (uint32_t y = 0; y < p->out[0]; y++)
            for (uint32_t x = 0; x < p->out[1]; x++, i++) {
                uint32_t first = VL_NN_NONE;
                for (uint32_t pass = 0; pass < 2; pass++)
                    for (uint32_t k = 0; k < count; k++) {
                        int64_t sy = (int64_t)y * p->stride[0] + k / p->kernel[1] * p->dilation[0] - p->pad[0];
                        int64_t sx = (int64_t)x * p->stride[1] + k % p->kernel[1] * p->dilation[1] - p->pad[1];
                        bool inside = sy >= 0 && sx >= 0 && sy < p->in[0] && sx < p->in[1];
                        uint32_t at = inside ? (uint32_t)((c * p->in[0] + sy) * p->in[1] + sx) : first;
                        if (inside && first == VL_NN_NONE) first = at;
                        (*out)[(size_t)k * n + i] = at;
                    }
                if (first == VL_NN_NONE) return VL_FAIL(VELUM_E_FORMAT, "model: a window of padding only");
            }
    return VELUM_OK;
}

static velum_status select_range(vl_nn_heap *h, const vl_nn_form *f, uint32_t first, uint32_t n,
                                 const vl_nn_form **out) {
    uint32_t *row;
    vl_nn_form *made;
    VL_NN_TAKE(h, row, n);
    for (uint32_t i = 0; i < n; i++) row[i] = first + i;
    VL_TRY(vl_nn_form_select(h, f, row, n, &made));
    *out = made;
    return VELUM_OK;
}

// One round: the maximum of each of the first half with one of the second, as max(a, b) = b + relu(a - b), all pairs in
// one activation, as channels of one picture.
static velum_status play(vl_nn_lowering *w, const vl_nn_node *n, vl_nn_picture picture, const vl_nn_form **f,
                         uint32_t *count) {
    uint32_t pairs = *count / 2, size = f[0]->n, *source, *row;
    vl_nn_form *a, *b, *difference, *kink, *all;
    VL_NN_TAKE(w->h, source, (size_t)pairs * size);
    VL_NN_TAKE(w->h, row, (size_t)pairs * size);
    for (uint32_t i = 0; i < pairs * size; i++) {
        source[i] = i / size;
        row[i] = i % size;
    }
    VL_TRY(vl_nn_form_stack(w->h, f, pairs, source, row, pairs * size, &a));
    VL_TRY(vl_nn_form_stack(w->h, f + pairs, pairs, source, row, pairs * size, &b));
    VL_TRY(vl_nn_form_add(w->h, a, b, -1, &difference));
    picture.channels *= pairs;
    difference->picture = picture;
    VL_TRY(vl_nn_lower_relu(w, n, difference, &kink));
    VL_TRY(vl_nn_form_add(w->h, b, kink, 1, &all));
    for (uint32_t i = 0; i < pairs; i++) VL_TRY(select_range(w->h, all, i * size, size, &f[i]));
    if (*count % 2) f[pairs] = f[*count - 1];
    *count -= pairs;
    return VELUM_OK;
}

velum_status vl_nn_lower_max_pool(vl_nn_lowering *w, const vl_nn_node *n, const vl_nn_tensor *const *tensor,
                                  vl_nn_sym *x, vl_nn_sym *out) {
    vl_nn_window window;
    vl_nn_tensor shape;
    const vl_nn_form *f, **place;
    uint32_t *element;
    VL_TRY(vl_nn_window_of(n, tensor, &window, &shape));
    uint64_t taken = (uint64_t)window.kernel[0] * window.kernel[1];
    VL_NN_FAIL_IF(taken > PLACES_MOST || taken * shape.count > 2 * VL_MAX_FEATURES, n, VELUM_E_LIMIT,
                  "a maximum of %llu values at %zu places", (unsigned long long)taken, shape.count);
    VL_TRY(vl_nn_affine(w, n, x, &f));
    vl_nn_picture picture = picture_of(f, &x->t);
    VL_TRY(result_picture(n, tensor, &shape, &picture));
    uint32_t count = (uint32_t)taken, size = (uint32_t)shape.count;
    VL_TRY(places_of(w->h, &window, &element));
    VL_NN_TAKE(w->h, place, count);
    for (uint32_t k = 0; k < count; k++) {
        vl_nn_form *made;
        VL_TRY(vl_nn_form_select(w->h, f, element + (size_t)k * size, size, &made));
        place[k] = made;
    }
    if (count > 1)
        VL_TRY(vl_nn_note(w->l, "fit: %s: a maximum of %u values takes several comparisons; AveragePool takes none",
                          n->name, count));
    while (count > 1) VL_TRY(play(w, n, picture, place, &count));
    vl_nn_form *made;
    VL_TRY(vl_nn_form_scale(w->h, place[0], NULL, NULL, &made));
    made->picture = picture;
    vl_nn_label_form(n, made);
    *out = (vl_nn_sym){.kind = VL_NN_FORM, .t = shape, .root = made};
    return VELUM_OK;
}
