// SPDX-License-Identifier: Apache-2.0
// A factor of a transform, encoded.
#include "circuits/dft.h"

#define ROW 16u // words: in the order of the transform shorter runs lie in pieces, see position_of

// The diagonal of rotation giant + b step moved right by `giant`, over its period.
static void fill(const vl_diagonals *d, const double complex *pre, const double complex *post, uint32_t k,
                 int32_t giant, uint32_t rotation, uint32_t period, double complex *out) {
    for (uint32_t t = 0; t < period; t++) {
        uint32_t at = t - (uint32_t)giant;
        double complex v = d->v[k][at & (d->period - 1)];
        if (post) v *= post[at & (2 * d->slots - 1)];
        if (pre) v *= pre[(at + rotation) & (2 * d->slots - 1)];
        out[t] = v;
    }
}

// Where the word k of a limb with runs of `run` equal words is first found. Runs of 16 and more are contiguous. A
// shorter one has its 16 / run words in every row of 16, each run / 2 times in either half.
static uint32_t position_of(uint32_t k, uint32_t run) {
    if (run == 1 || run >= ROW) return k * run;
    uint32_t words = ROW / run;
    return k / words * ROW + k % words * (run / 2);
}

// Keeps one word a run of m, which has runs of `run` equal words.
static uint64_t *compact(const vl_ring *ring, vl_poly m, uint32_t run) {
    uint32_t words = ring->n / run, limbs = (uint32_t)m.nq + m.np;
    uint64_t *out = vl_alloc_raw((size_t)limbs * words * sizeof *out);
    if (!out) return NULL;
    for (uint32_t i = 0; i < limbs; i++)
        for (uint32_t k = 0; k < words; k++)
            out[(size_t)i * words + k] = m.x[(size_t)i * ring->n + position_of(k, run)];
    return out;
}

static velum_status encode_one(vl_exec *x, const vl_encoder *e, const double complex *v, uint32_t period, vl_poly m,
                               vl_diagonal_map *map, uint32_t at) {
    const vl_ring *ring = &vl_encoder_params(e)->ring;
    uint32_t run = ring->n / 2 / period;
    VL_TRY(vl_encode_complex(x, e, v, period, map->scale, m));
    map->x[at] = compact(ring, m, run);
    VL_FAIL_IF(!map->x[at], VELUM_E_NOMEM, "no memory for a transform's matrices");
    map->run[at] = run;
    map->bytes += (uint64_t)(m.nq + m.np) * (ring->n / run) * sizeof(uint64_t);
    return VELUM_OK;
}

static velum_status encode_all(vl_exec *x, const vl_encoder *e, const vl_diagonals *d, const double complex *pre,
                               const double complex *post, bool cyclic, vl_diagonal_map *map) {
    const vl_ring *ring = &vl_encoder_params(e)->ring;
    uint32_t count = d->slots / d->step, period = pre || post ? 2 * d->slots : d->period;
    double complex *v = vl_arena_take(&x->arena, period * sizeof *v);
    vl_poly m = vl_poly_take(ring, &x->arena, map->level, ring->p_count);
    for (uint32_t g = 0; g < map->giants; g++) {
        int32_t signed_g = (int32_t)g - (cyclic ? 0 : (int32_t)map->giants / 2);
        uint32_t first = (uint32_t)signed_g * map->babies;
        map->giant[g] = (int32_t)(first * d->step & (d->slots - 1));
        for (uint32_t b = 0; b < map->babies; b++) {
            uint32_t k = (first + b) & (count - 1);
            if (!d->v[k]) continue;
            fill(d, pre, post, k, map->giant[g], (uint32_t)map->giant[g] + b * d->step, period, v);
            VL_TRY(encode_one(x, e, v, period, m, map, g * map->babies + b));
        }
    }
    return VELUM_OK;
}

velum_status vl_diagonal_map_new(vl_exec *x, const vl_encoder *e, const vl_diagonals *d, uint32_t log_babies,
                                 const double complex *pre, const double complex *post, uint16_t level, double scale,
                                 vl_diagonal_map *out) {
    uint32_t count = d->slots / d->step, held = 0, reach = 0;
    for (uint32_t k = 0; k < count; k++) {
        if (!d->v[k]) continue;
        held++;
        uint32_t distance = k < count - k ? k : count - k;
        if (distance > reach) reach = distance;
    }
    bool cyclic = held == count;
    vl_diagonal_map map = {.level = level, .scale = scale, .babies = UINT32_C(1) << log_babies, .step = d->step};
    uint32_t span = 1;
    while (span <= reach) span *= 2;
    map.giants = (cyclic ? count : 2 * span) >> log_babies;
    VL_FAIL_IF(map.giants == 0 || map.babies > VL_DFT_MAX_BABIES || level < 2, VELUM_E_USAGE,
               "a transform's matrix: %u babies at level %u", map.babies, level);
    size_t cells = (size_t)map.giants * map.babies, mark = vl_arena_mark(&x->arena);
    map.giant = vl_alloc_array(map.giants, sizeof *map.giant);
    map.x = vl_alloc_array(cells, sizeof *map.x);
    map.run = vl_alloc_array(cells, sizeof *map.run);
    velum_status status = map.giant && map.x && map.run
                              ? encode_all(x, e, d, pre, post, cyclic, &map)
                              : VL_FAIL(VELUM_E_NOMEM, "no memory for a transform's matrices");
    vl_arena_release(&x->arena, mark);
    if (status != VELUM_OK) {
        vl_diagonal_map_free(&map);
        return status;
    }
    *out = map;
    return VELUM_OK;
}

void vl_diagonal_map_free(vl_diagonal_map *m) {
    if (!m) return;
    for (size_t i = 0; m->x && i < (size_t)m->giants * m->babies; i++) vl_free(m->x[i]);
    vl_free(m->x);
    vl_free(m->run);
    vl_free(m->giant);
    *m = (vl_diagonal_map){0};
}

size_t vl_diagonal_map_encode_scratch(const vl_params *p, uint16_t level) {
    return vl_arena_need(p->ring.n / 2 * sizeof(double complex)) + vl_encoder_scratch(p, level, p->ring.p_count) +
           vl_arena_need(vl_poly_bytes(&p->ring, level, p->ring.p_count));
}
