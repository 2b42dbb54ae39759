// SPDX-License-Identifier: Apache-2.0
#include "ring/ring.h"

#include <stdatomic.h>

velum_status vl_exec_init(vl_exec *x, unsigned threads, size_t arena_bytes) {
    vl_exec made = {0};
    if (threads != 1) VL_TRY(vl_pool_new(threads, &made.pool));
    velum_status status = vl_arena_init(&made.arena, arena_bytes);
    if (status != VELUM_OK) {
        vl_pool_free(made.pool);
        return status;
    }
    *x = made;
    return VELUM_OK;
}

void vl_exec_clear(vl_exec *x) {
    vl_pool_free(x->pool);
    vl_arena_clear(&x->arena);
    *x = (vl_exec){0};
}

#define PAGE ((size_t)4096)
#define PIECE ((size_t)2 << 20)

static void touch_piece(void *arg, size_t item, uint32_t slot) {
    const vl_arena *a = arg;
    (void)slot;
    size_t end = (item + 1) * PIECE < a->size ? (item + 1) * PIECE : a->size;
    for (size_t at = item * PIECE; at < end; at += PAGE)
        if (at >= a->used) *(volatile uint8_t *)(a->base + at) = 0;
}

void vl_exec_touch(vl_exec *x) {
    size_t pieces = (x->arena.size + PIECE - 1) / PIECE;
    vl_exec_each(x, vl_exec_slots(x, pieces, 0), pieces, touch_piece, &x->arena);
}

uint32_t vl_exec_slots(const vl_exec *x, size_t items, size_t slot_bytes) {
    size_t slots = vl_pool_threads(x->pool);
    if (slots > items) slots = items;
    if (slot_bytes > 0) {
        size_t room = (x->arena.size - x->arena.used) / vl_arena_need(slot_bytes);
        if (slots > room) slots = room;
    }
    return slots > 0 ? (uint32_t)slots : 1;
}

typedef struct each_job {
    vl_exec_fn fn;
    void *arg;
    size_t items;
    atomic_size_t next;
} each_job;

// One slot: takes items until none is left.
static void run_slot(void *arg, size_t begin, size_t end, unsigned worker) {
    each_job *job = arg;
    (void)worker;
    for (size_t slot = begin; slot < end; slot++)
        for (;;) {
            size_t item = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
            if (item >= job->items) break;
            job->fn(job->arg, item, (uint32_t)slot);
        }
}

void vl_exec_each(vl_exec *x, uint32_t slots, size_t items, vl_exec_fn fn, void *arg) {
    each_job job = {.fn = fn, .arg = arg, .items = items};
    atomic_init(&job.next, 0);
    vl_parallel_for(x->pool, slots, 1, run_slot, &job);
}
