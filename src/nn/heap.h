// SPDX-License-Identifier: Apache-2.0
// One owner for everything that a compilation makes: taken piece by piece, released at once. It has a ceiling, so that
// no model makes the compiler take all memory.
#ifndef VELUM_NN_HEAP_H
#define VELUM_NN_HEAP_H

#include "base/mem.h"
#include <stdbool.h>

typedef struct vl_nn_heap {
    struct vl_nn_block *head;
    size_t total, limit;
    bool over; // the last refusal was the ceiling's
} vl_nn_heap;

// Zero-filled; NULL when out of memory or over the ceiling.
void *vl_nn_take(vl_nn_heap *h, size_t count, size_t size);
void vl_nn_heap_clear(vl_nn_heap *h);
char *vl_nn_copy_text(vl_nn_heap *h, const char *s);
velum_status vl_nn_out_of(const vl_nn_heap *h, const char *what);

// Takes `count` items for a pointer, or returns from the function with the failure.
#define VL_NN_TAKE(heap, pointer, count)                                                                               \
    do {                                                                                                               \
        if (!((pointer) = vl_nn_take((heap), (count), sizeof *(pointer)))) return vl_nn_out_of((heap), #pointer);      \
    } while (0)

#endif
