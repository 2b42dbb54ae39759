// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools on numbers: single output elements as taps, and everything by direct loops.
#include "nn/shape.h"
#include <math.h>

uint32_t vl_nn_window_most(const vl_nn_window *w) {
    uint32_t channels = w->weight ? w->channels_in / w->groups : 1;
    uint64_t most = (uint64_t)channels * (w->kernel[0] < w->in[0] ? w->kernel[0] : w->in[0]) *
                    (w->kernel[1] < w->in[1] ? w->kernel[1] : w->in[1]);
    return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

// Kernel places [*first, *last) that fall on the input, of an output index along one axis.
static void places(const vl_nn_window *w, uint32_t axis, uint32_t at, uint32_t *first, uint32_t *last) {
    int64_t start = (int64_t)at * w->stride[axis] - w->pad[axis], step = w->dilation[axis], in = w->in[axis];
    int64_t a = start < 0 ? (-start + step - 1) / step : 0, b = start < in ? (in - start + step - 1) / step : 0;
    if (b > w->kernel[axis]) b = w->kernel[axis];
    if (a > b) a = b;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
}

// What an average divides by along one axis: places on the input, or also those on the padding (but none that only
// ceil_mode adds behind it).
static uint32_t divisor(const vl_nn_window *w, uint32_t axis, uint32_t at) {
    uint32_t first, last;
    places(w, axis, at, &first, &last);
    if (!w->counts_padding) return last > first ? last - first : 1;
    uint64_t start = (uint64_t)at * w->stride[axis], end = (uint64_t)w->in[axis] + w->pad[axis] + w->pad_end[axis];
    uint64_t inside = start < end ? (end - start + w->dilation[axis] - 1) / w->dilation[axis] : 1;
    return inside < w->kernel[axis] ? (uint32_t)inside : w->kernel[axis];
}

uint32_t vl_nn_window_taps(const vl_nn_window *w, size_t i, vl_nn_tap *tap) {
    uint32_t x = (uint32_t)(i % w->out[1]), y = (uint32_t)(i / w->out[1] % w->out[0]);
    uint32_t c = (uint32_t)(i / w->out[1] / w->out[0]), y0, y1, x0, x1, count = 0;
    places(w, 0, y, &y0, &y1);
    places(w, 1, x, &x0, &x1);
    uint32_t channels = w->channels_in / w->groups, from = c / (w->channels_out / w->groups) * channels;
    double each = w->weight ? 0 : 1.0 / ((double)divisor(w, 0, y) * divisor(w, 1, x));
    for (uint32_t k = 0; k < channels; k++)
        for (uint32_t ky = y0; ky < y1; ky++)
            for (uint32_t kx = x0; kx < x1; kx++) {
                size_t row = (size_t)y * w->stride[0] + (size_t)ky * w->dilation[0] - w->pad[0];
                size_t column = (size_t)x * w->stride[1] + (size_t)kx * w->dilation[1] - w->pad[1];
                tap[count].element = (uint32_t)(((size_t)(from + k) * w->in[0] + row) * w->in[1] + column);
                tap[count++].weight =
                    w->weight ? w->weight[(((size_t)c * channels + k) * w->kernel[0] + ky) * w->kernel[1] + kx] : each;
            }
    return count;
}

// Output indices [*first, *last) whose kernel place k falls on the input, along one axis.
static void range_of(const vl_nn_window *w, uint32_t axis, uint32_t k, uint32_t *first, uint32_t *last) {
    int64_t shift = (int64_t)k * w->dilation[axis] - w->pad[axis], stride = w->stride[axis], in = w->in[axis];
    int64_t a = shift < 0 ? (-shift + stride - 1) / stride : 0, b = shift < in ? (in - shift + stride - 1) / stride : 0;
    if (b > w->out[axis]) b = w->out[axis];
    if (a > b) a = b;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
}

// y += weight x, over all output places that kernel place (ky, kx) reaches, in one channel.
static void add_place(const vl_nn_window *w, uint32_t ky, uint32_t kx, double weight, const double *x, double *y) {
    uint32_t r0, r1, c0, c1;
    range_of(w, 0, ky, &r0, &r1);
    range_of(w, 1, kx, &c0, &c1);
    if (c0 == c1) return;
    size_t stride = w->stride[1];
    for (uint32_t r = r0; r < r1; r++) {
        size_t row = (size_t)r * w->stride[0] + (size_t)ky * w->dilation[0] - w->pad[0];
        size_t column = c0 * stride + (size_t)kx * w->dilation[1] - w->pad[1];
        const double *from = x + row * w->in[1] + column;
        double *to = y + (size_t)r * w->out[1];
        if (stride == 1)
            for (uint32_t c = c0; c < c1; c++) to[c] += weight * from[c - c0];
        else
            for (uint32_t c = c0; c < c1; c++) to[c] += weight * from[(c - c0) * stride];
    }
}

void vl_nn_window_run(const vl_nn_window *w, const double *x, double *y) {
    uint32_t channels = w->channels_in / w->groups, each = w->channels_out / w->groups;
    size_t in = (size_t)w->in[0] * w->in[1], out = (size_t)w->out[0] * w->out[1], place = 0;
    for (uint32_t c = 0; c < w->channels_out; c++) {
        double *to = y + c * out;
        for (size_t i = 0; i < out; i++) to[i] = w->bias ? w->bias[c] : 0;
        for (uint32_t k = 0; k < channels; k++) {
            const double *from = x + ((size_t)(c / each) * channels + k) * in;
            for (uint32_t ky = 0; ky < w->kernel[0]; ky++)
                for (uint32_t kx = 0; kx < w->kernel[1]; kx++)
                    add_place(w, ky, kx, w->weight ? w->weight[place++] : 1, from, to);
        }
        for (uint32_t r = 0; !w->weight && r < w->out[0]; r++)
            for (uint32_t k = 0; k < w->out[1]; k++)
                to[(size_t)r * w->out[1] + k] /= (double)divisor(w, 0, r) * divisor(w, 1, k);
    }
}

void vl_nn_window_maximum(const vl_nn_window *w, const double *x, double *y) {
    size_t in = (size_t)w->in[0] * w->in[1];
    for (uint32_t c = 0; c < w->channels_out; c++)
        for (uint32_t r = 0; r < w->out[0]; r++)
            for (uint32_t k = 0; k < w->out[1]; k++) {
                uint32_t y0, y1, x0, x1;
                double best = -INFINITY;
                places(w, 0, r, &y0, &y1);
                places(w, 1, k, &x0, &x1);
                for (uint32_t ky = y0; ky < y1; ky++)
                    for (uint32_t kx = x0; kx < x1; kx++) {
                        size_t row = (size_t)r * w->stride[0] + (size_t)ky * w->dilation[0] - w->pad[0];
                        size_t column = (size_t)k * w->stride[1] + (size_t)kx * w->dilation[1] - w->pad[1];
                        best = fmax(best, x[c * in + row * w->in[1] + column]);
                    }
                *y++ = best;
            }
}
