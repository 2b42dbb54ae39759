// SPDX-License-Identifier: Apache-2.0
// One owner for everything that a compilation makes: taken piece by piece, released at once. It has ceilings, so that
// no model makes the compiler take all memory or work on its constants for hours.
#ifndef VELUM_NN_HEAP_H
#define VELUM_NN_HEAP_H

#include "base/mem.h"
#include <stdbool.h>

#define VL_NN_WORK 0x1p34 // about a minute

typedef struct vl_nn_heap {
    struct vl_nn_block *head;
    size_t total, limit;
    double work; // bytes taken since it was made, released or not, and multiplications of constants
    bool over;   // the last refusal was the ceiling's
} vl_nn_heap;

// VELUM_E_LIMIT where the heap's work would pass VL_NN_WORK.
velum_status vl_nn_work(vl_nn_heap *h, double multiplications);
// Zero-filled; NULL when out of memory or over a ceiling.
void *vl_nn_take(vl_nn_heap *h, size_t count, size_t size);
void vl_nn_heap_clear(vl_nn_heap *h);
char *vl_nn_copy_text(vl_nn_heap *h, const char *s);
velum_status vl_nn_out_of(vl_nn_heap *h, const char *what);

// Takes `count` items for a pointer, or returns from the function with the failure.
#define VL_NN_TAKE(heap, pointer, count)                                                                               \
    do {                                                                                                               \
        if (!((pointer) = vl_nn_take((heap), (count), sizeof *(pointer)))) return vl_nn_out_of((heap), #pointer);      \
    } while (0)

#endif
