// SPDX-License-Identifier: Apache-2.0
#include "nn/picture.h"

#define EXTENT_MOST 65536 // positions that a value may take

vl_nn_picture vl_nn_picture_plain(uint32_t channels, uint32_t height, uint32_t width) {
    return (vl_nn_picture){channels, height, width, height, width, 1};
}

vl_nn_picture vl_nn_picture_after(const vl_nn_picture *p, uint32_t channels, uint32_t height, uint32_t width,
                                  uint32_t stride_y, uint32_t stride_x) {
    vl_nn_picture d = {channels, height, width, p->rows, p->cols, p->gap * stride_y};
    if (stride_y != stride_x || (uint64_t)height * p->gap * stride_y > EXTENT_MOST ||
        (uint64_t)width * p->gap * stride_y > EXTENT_MOST)
        return vl_nn_picture_plain(channels, height, width);
    return d;
}

void vl_nn_picture_settle(vl_nn_picture *p) {
    if (p->gap == 0) return;
    if (p->height * p->gap > p->rows) p->rows = p->height * p->gap;
    if (p->width * p->gap > p->cols) p->cols = p->width * p->gap;
    if (vl_nn_picture_extent(p) > EXTENT_MOST) *p = vl_nn_picture_plain(p->channels, p->height, p->width);
}

uint64_t vl_nn_picture_extent(const vl_nn_picture *p) {
    uint64_t share = (uint64_t)p->gap * p->gap;
    return (p->channels + share - 1) / share * p->rows * p->cols;
}

velum_status vl_nn_picture_positions(vl_nn_heap *h, const vl_nn_picture *p, uint32_t **out) {
    uint32_t *at, g = p->gap, share = g * g;
    VL_NN_TAKE(h, at, (size_t)p->channels * p->height * p->width);
    *out = at;
    for (uint32_t c = 0; c < p->channels; c++)
        for (uint32_t y = 0; y < p->height; y++)
            for (uint32_t x = 0; x < p->width; x++)
                *at++ = c / share * p->rows * p->cols + (y * g + c % share / g) * p->cols + x * g + c % g;
    return VELUM_OK;
}
