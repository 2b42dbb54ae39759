// SPDX-License-Identifier: Apache-2.0
#include "nn/heap.h"
#include <string.h>

#define BLOCK ((size_t)1 << 20)

typedef struct vl_nn_block {
    struct vl_nn_block *next;
    size_t used, size;
    _Alignas(64) uint8_t data[];
} block;

velum_status vl_nn_work(vl_nn_heap *h, double multiplications) {
    h->work += multiplications;
    VL_FAIL_IF(h->work > VL_NN_WORK, VELUM_E_LIMIT, "model: its constants take more than %g steps to find", VL_NN_WORK);
    return VELUM_OK;
}

void *vl_nn_take(vl_nn_heap *h, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count ? count : 1, size, &bytes) || bytes > SIZE_MAX - 4096) return NULL;
    bytes = (bytes + 63) & ~(size_t)63;
    if (vl_nn_work(h, (double)bytes) != VELUM_OK) return NULL;
    if (!h->head || h->head->size - h->head->used < bytes) {
        size_t room = bytes > BLOCK / 4 ? bytes : BLOCK;
        h->over = room > h->limit || h->total > h->limit - room;
        block *b = h->over ? NULL : vl_alloc(sizeof *b + room);
        if (!b) return NULL;
        b->size = room;
        h->total += room;
        if (room == bytes && h->head) { // a block of its own, behind the one in use
            b->used = room;
            b->next = h->head->next;
            h->head->next = b;
            return b->data;
        }
        b->next = h->head;
        h->head = b;
    }
    void *p = h->head->data + h->head->used;
    h->head->used += bytes;
    return p;
}

void vl_nn_heap_clear(vl_nn_heap *h) {
    for (block *b = h->head, *next; b; b = next) {
        next = b->next;
        vl_free(b);
    }
    h->head = NULL;
    h->total = 0;
}

char *vl_nn_copy_text(vl_nn_heap *h, const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = vl_nn_take(h, n, 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

velum_status vl_nn_out_of(vl_nn_heap *h, const char *what) {
    VL_TRY(vl_nn_work(h, 0));
    if (h->over) return VL_FAIL(VELUM_E_LIMIT, "model: its maps take more than %zu MiB", h->limit >> 20);
    return VL_FAIL(VELUM_E_NOMEM, "model: %s", what);
}
