// SPDX-License-Identifier: Apache-2.0
// Memory: 64-byte-aligned blocks, guarded blocks for secrets, and an arena that is sized once and never grows.
#ifndef VELUM_BASE_MEM_H
#define VELUM_BASE_MEM_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

// Zero-filled, 64-byte aligned; NULL when out of memory. Release with vl_free (NULL is fine).
void *vl_alloc(size_t bytes);
// Like vl_alloc for count * size, NULL on overflow too.
void *vl_alloc_array(size_t count, size_t size);
// Not zero-filled: for buffers that are written whole before they are read.
void *vl_alloc_raw(size_t bytes);
void vl_free(void *p);
// For secrets: guard pages around, never swapped where the system allows, zeroed on free. 64-byte aligned.
void *vl_secret_alloc(size_t bytes);
void vl_secret_free(void *p);
void vl_secure_zero(void *p, size_t bytes);
char *vl_strdup(const char *s);

typedef struct vl_arena {
    uint8_t *base;
    size_t size, used, peak;
} vl_arena;

velum_status vl_arena_init(vl_arena *arena, size_t bytes);
void vl_arena_clear(vl_arena *arena);
// 64-byte aligned, not zeroed. The arena was sized by a plan: running over is our own mistake and aborts.
void *vl_arena_take(vl_arena *arena, size_t bytes);
static inline size_t vl_arena_mark(const vl_arena *arena) { return arena->used; }
static inline void vl_arena_release(vl_arena *arena, size_t mark) { arena->used = mark; }
// What one take of so many bytes uses up, for planning.
static inline size_t vl_arena_need(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

// Largest resident size of this process so far, in bytes (0 where the system does not tell).
uint64_t vl_peak_rss(void);

#endif
