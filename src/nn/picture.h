// SPDX-License-Identifier: Apache-2.0
// How the elements of a picture lie in the slots, so that convolutions have few diagonals: the "multiplexed" layout of
// Lee, Lee, Lee et al. (eprint 2021/1688), section 4. Blocks of rows x cols numbers, those of the first picture. After
// strides of `gap` all together, gap^2 channels share a block: element (c, y, x) at
//   (c / gap^2) rows cols + (gap y + (c mod gap^2) / gap) cols + gap x + c mod gap.
// A convolution then reads at the same distances everywhere, whatever strides there were before.
#ifndef VELUM_NN_PICTURE_H
#define VELUM_NN_PICTURE_H

#include "nn/heap.h"

typedef struct vl_nn_picture {
    uint32_t channels, height, width;
    uint32_t rows, cols, gap; // gap 0: no picture, elements lie one after the other
} vl_nn_picture;

// Channels by channel, row by row: what a picture is at first.
vl_nn_picture vl_nn_picture_plain(uint32_t channels, uint32_t height, uint32_t width);
// The result of a convolution with these strides. Its blocks stay those of before; vl_nn_picture_settle widens them
// where the picture lies in slots and does not fit (what is only padded for the next convolution never does).
vl_nn_picture vl_nn_picture_after(const vl_nn_picture *p, uint32_t channels, uint32_t height, uint32_t width,
                                  uint32_t stride_y, uint32_t stride_x);
void vl_nn_picture_settle(vl_nn_picture *p);
uint64_t vl_nn_picture_extent(const vl_nn_picture *p);
velum_status vl_nn_picture_positions(vl_nn_heap *h, const vl_nn_picture *p, uint32_t **out);

#endif
