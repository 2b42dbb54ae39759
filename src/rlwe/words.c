// SPDX-License-Identifier: Apache-2.0
#include "rlwe/words.h"

#include <stdatomic.h>
#include <string.h>

#define BIG_ENDIAN_WORDS (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

void vl_words_to_file(uint64_t *x, size_t words) {
#if BIG_ENDIAN_WORDS
    for (size_t k = 0; k < words; k++) x[k] = __builtin_bswap64(x[k]);
#else
    (void)x, (void)words;
#endif
}

void vl_words_write(const uint64_t *x, size_t n, uint32_t limbs, vl_writer *w) {
    uint64_t *out = (uint64_t *)vl_write_space(w, vl_words_poly_bytes(n, limbs));
    if (!out) return;
    memcpy(out, x, limbs * n * sizeof *x);
    memset(out + limbs * n, 0, VL_WORDS_GAP * sizeof *x);
    vl_words_to_file(out, limbs * n);
}

bool vl_words_can_borrow(const vl_reader *r, const uint8_t *p) {
    return r->lasting && !BIG_ENDIAN_WORDS && (uintptr_t)p % VL_WORDS_ALIGN == 0;
}

bool vl_words_gap_is_zero(const uint8_t *poly, size_t n, uint32_t limbs) {
    static const uint8_t zero[VL_WORDS_GAP * 8];
    return memcmp(poly + limbs * n * 8, zero, sizeof zero) == 0;
}

typedef struct load_job {
    size_t n;
    const vl_words_limb *limbs;
    _Atomic uint32_t bad;
} load_job;

// Every q is below 2^50, so the top bit tells.
static bool below(const uint64_t *v, size_t n, uint64_t q) {
    uint64_t over = 0;
    for (size_t k = 0; k < n; k++) over |= (q - 1 - v[k]) | v[k];
    return !(over >> 63);
}

// What is checked is what is kept: the copy.
static bool copy(const vl_words_limb *l, size_t n) {
    memcpy(l->b, l->in, n * 8);
    vl_words_to_file(l->b, n);
    return below(l->b, n, l->m->q);
}

static void load_limb(void *arg, size_t item, uint32_t slot) {
    load_job *j = arg;
    (void)slot;
    const vl_words_limb *l = &j->limbs[item];
    bool good = l->b ? copy(l, j->n) : below((const uint64_t *)(const void *)l->in, j->n, l->m->q);
    if (!good) {
        uint32_t seen = atomic_load(&j->bad);
        while ((uint32_t)item < seen && !atomic_compare_exchange_weak(&j->bad, &seen, (uint32_t)item)) {
        }
    }
    vl_rng rng;
    vl_rng_init_seed(&rng, l->seed, l->domain);
    vl_rng_uniform(&rng, l->m->q, l->a, j->n);
}

uint32_t vl_words_load(vl_exec *x, size_t n, const vl_words_limb *limbs, uint32_t count) {
    load_job job = {.n = n, .limbs = limbs};
    atomic_init(&job.bad, count);
    vl_exec_each(x, vl_exec_slots(x, count, 0), count, load_limb, &job);
    return atomic_load(&job.bad);
}
