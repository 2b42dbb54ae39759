// SPDX-License-Identifier: Apache-2.0
// A factor of a transform, encoded and applied: babies are made limb by limb and stay in the cache while all giants'
// sums take them in.
#include "circuits/dft.h"

#include "rlwe/bases.h"

#include <assert.h>
#include <string.h>

#define BLOCK 2048u // coefficients
#define STAGGER 40u // words between limbs of scratch
#define ROW 16u     // words: in the order of the transform shorter runs lie in pieces, see position_of
#define MAX_BABIES 256u
#define GROUP 16u // diagonals a sum takes at a time

// ---- encoding ----

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
    VL_FAIL_IF(map.giants == 0 || map.babies > MAX_BABIES || level < 2, VELUM_E_USAGE,
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

// ---- applying ----
typedef struct pair {
    vl_poly c[2];
} pair;

typedef struct apply_job {
    const vl_params *p;
    const vl_diagonal_map *map;
    const vl_ciphertext *in;
    const vl_digits *digits;
    const vl_switch_key *key[MAX_BABIES]; // of the babies
    bool used[MAX_BABIES];
    pair *kept; // a giant's sum each
    uint32_t nq, block;
    uint64_t *scratch;
    size_t slot_words;
    // one giant
    const vl_switch_key *turn;
    const pair *inner;
    pair sum;
    bool any;
} apply_job;

static size_t stride_of(const vl_params *p) { return p->ring.n + STAGGER; }

static const vl_switch_key *key_of(const vl_eval_keys *keys, uint64_t galois, uint32_t nq) {
    const vl_switch_key *key = vl_eval_keys_find(keys, galois);
    assert(key && key->nq >= nq);
    (void)nq;
    return key;
}

static const vl_switch_key *key_for(const vl_eval_keys *keys, int32_t k, uint32_t nq) {
    return key_of(keys, vl_params_galois(keys->params, k), nq);
}

static const vl_modulus *modulus_of(const apply_job *j, uint32_t i) {
    return &j->p->ring.mod[i < j->nq ? i : j->p->ring.q_count + (i - j->nq)];
}

// Limb i of baby b into o0, o1.
static void make_baby(const apply_job *j, uint32_t b, uint32_t i, uint64_t *o0, uint64_t *o1, uint64_t *t) {
    const vl_modulus *m = modulus_of(j, i);
    size_t n = j->p->ring.n;
    uint64_t *u0 = t, *u1 = t + stride_of(j->p);
    const uint64_t *c0 = j->in->c[0].x + i * n, *c1 = j->in->c[1].x + i * n;
    if (b == 0) {
        if (i < j->nq) {
            m->k->mul_scalar(m, o0, c0, j->p->bases->p_mod[i], n);
            m->k->mul_scalar(m, o1, c1, j->p->bases->p_mod[i], n);
        } else {
            memset(o0, 0, n * sizeof *o0);
            memset(o1, 0, n * sizeof *o1);
        }
        return;
    }
    vl_rlwe_apply_key_limb(j->p, j->digits, j->key[b], i, u0, u1);
    if (i < j->nq) m->k->mul_scalar_add(m, u0, c0, j->p->bases->p_mod[i], n);
    m->k->automorphism(&j->key[b]->perm, o0, u0);
    m->k->automorphism(&j->key[b]->perm, o1, u1);
}

// A block of a diagonal's limb: in place, or its runs written out to `to`.
static const uint64_t *diagonal_block(const apply_job *j, uint32_t cell, uint32_t limb, uint32_t begin, uint64_t *to) {
    uint32_t run = j->map->run[cell], words = j->p->ring.n / run;
    const uint64_t *from = j->map->x[cell] + (size_t)limb * words;
    if (run == 1) return from + begin;
    if (run < ROW) {
        from += begin / run;
        uint32_t shift = run == 8 ? 2 : run == 4 ? 1 : 0;
        for (uint32_t at = 0; at < j->block; at += ROW, from += ROW / run)
            for (uint32_t k = 0; k < ROW / 2; k++) to[at + k] = to[at + ROW / 2 + k] = from[k >> shift];
        return to;
    }
    for (uint32_t at = 0; at < j->block;) {
        uint32_t count = run < j->block ? run : j->block;
        uint64_t word = from[(begin + at) / run];
        for (uint32_t k = 0; k < count; k++) to[at + k] = word;
        at += count;
    }
    return to;
}

static void sum_giant(const apply_job *j, uint32_t g, uint32_t i, uint32_t begin, const uint64_t *babies, uint64_t *t) {
    const vl_modulus *m = modulus_of(j, i);
    uint32_t n = j->block, count = 0;
    size_t stride = stride_of(j->p);
    const uint64_t *a[GROUP], *b0[GROUP], *b1[GROUP];
    uint64_t *d0 = j->kept[g].c[0].x + (size_t)i * j->p->ring.n + begin,
             *d1 = j->kept[g].c[1].x + (size_t)i * j->p->ring.n + begin, *expanded = t + 2 * n;
    bool begun = false;
    for (uint32_t b = 0; b <= j->map->babies; b++) {
        bool end = b == j->map->babies;
        uint32_t cell = g * j->map->babies + b;
        if (!end && j->map->x[cell]) {
            a[count] = diagonal_block(j, cell, i, begin, expanded + (size_t)count * n);
            b0[count] = babies + 2 * b * stride + begin;
            b1[count++] = babies + (2 * b + 1) * stride + begin;
        }
        if (count == 0 || (!end && count < GROUP)) continue;
        m->k->dot2(m, begun ? t : d0, begun ? t + n : d1, a, b0, b1, count, n);
        if (begun) {
            m->k->add(m, d0, d0, t, n);
            m->k->add(m, d1, d1, t + n, n);
        }
        begun = true;
        count = 0;
    }
    if (begun) return;
    memset(d0, 0, n * sizeof *d0);
    memset(d1, 0, n * sizeof *d1);
}

static void limb_products(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    uint32_t i = (uint32_t)item;
    size_t stride = stride_of(j->p);
    uint64_t *babies = j->scratch + slot * j->slot_words, *t = babies + 2 * j->map->babies * stride;
    for (uint32_t b = 0; b < j->map->babies; b++)
        if (j->used[b]) make_baby(j, b, i, babies + 2 * b * stride, babies + (2 * b + 1) * stride, t);
    for (uint32_t begin = 0; begin < j->p->ring.n; begin += j->block)
        for (uint32_t g = 0; g < j->map->giants; g++) sum_giant(j, g, i, begin, babies, t);
}

// Scratch of a slot: the babies, and two limbs or the blocks of a sum.
static size_t slot_words(const vl_params *p, uint32_t babies) {
    size_t blocks = (2 + GROUP) * (size_t)BLOCK, limbs = 2 * stride_of(p);
    return 2 * (size_t)babies * stride_of(p) + (limbs > blocks ? limbs : blocks);
}

// Limb i of a giant: switched, its first polynomial added, turned, added to the sum.
static void giant_limb(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = modulus_of(j, i);
    size_t n = j->p->ring.n, at = i * n;
    uint64_t *u[2] = {j->scratch + slot * j->slot_words, j->scratch + slot * j->slot_words + stride_of(j->p)};
    uint64_t *t = u[1] + stride_of(j->p);
    vl_rlwe_apply_key_limb(j->p, j->digits, j->turn, i, u[0], u[1]);
    m->k->add(m, u[0], u[0], j->inner->c[0].x + at, n);
    for (int c = 0; c < 2; c++) {
        uint64_t *d = j->sum.c[c].x + at;
        m->k->automorphism(&j->turn->perm, j->any ? t : d, u[c]);
        if (j->any) m->k->add(m, d, d, t, n);
    }
}

static void add_giant(vl_exec *x, apply_job *j, const vl_eval_keys *keys, int32_t rotation, const pair *inner) {
    const vl_params *p = j->p;
    size_t mark = vl_arena_mark(&x->arena);
    vl_poly c1 = vl_poly_take(&p->ring, &x->arena, j->nq, 0);
    vl_rlwe_mod_down(x, p, c1, inner->c[1]);
    vl_digits digits = vl_rlwe_decompose(x, p, c1, &x->arena);
    j->digits = &digits;
    j->turn = key_for(keys, rotation, j->nq);
    j->inner = inner;
    j->slot_words = 3 * stride_of(p);
    uint32_t limbs = j->nq + p->ring.p_count, slots = vl_exec_slots(x, limbs, j->slot_words * sizeof(uint64_t));
    j->scratch = vl_arena_take(&x->arena, slots * j->slot_words * sizeof(uint64_t));
    vl_exec_each(x, slots, limbs, giant_limb, j);
    j->any = true;
    vl_arena_release(&x->arena, mark);
}

static pair take_pair(vl_exec *x, const vl_params *p, uint32_t nq) {
    pair t;
    for (int i = 0; i < 2; i++) t.c[i] = vl_poly_take(&p->ring, &x->arena, nq, p->ring.p_count);
    return t;
}

// d = sum / P, or with a rescale sum / (P q).
static void divide_sum(vl_exec *x, const vl_params *p, const pair *sum, uint32_t nq, bool rescale, vl_ciphertext *d) {
    uint16_t left = (uint16_t)(rescale ? nq - 1 : nq);
    for (uint32_t i = 0; i < 2; i++) {
        d->c[i].nq = left;
        (rescale ? vl_rlwe_mod_down_rescale : vl_rlwe_mod_down)(x, p, d->c[i], sum->c[i]);
    }
    d->level = left;
    d->degree = 1;
    if (rescale) d->scale /= (double)p->literal.q[left];
}

void vl_diagonal_map_apply(vl_exec *x, const vl_eval_keys *keys, const vl_diagonal_map *map, bool rescale,
                           vl_ciphertext *d, const vl_ciphertext *a) {
    const vl_params *p = keys->params;
    uint32_t nq = map->level, limbs = nq + p->ring.p_count, own = map->giants;
    assert(a->degree == 1 && a->level >= nq && d->capacity >= nq);
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext in = *a;
    vl_ciphertext_drop(&in, (uint16_t)nq);
    apply_job j = {.p = p, .map = map, .in = &in, .nq = nq, .block = p->ring.n < BLOCK ? p->ring.n : BLOCK};
    j.kept = vl_arena_take(&x->arena, map->giants * sizeof *j.kept);
    for (uint32_t g = 0; g < map->giants; g++) j.kept[g] = take_pair(x, p, nq);
    size_t inside = vl_arena_mark(&x->arena);
    for (uint32_t b = 0; b < map->babies; b++) {
        for (uint32_t g = 0; g < map->giants; g++) j.used[b] |= map->x[g * map->babies + b] != NULL;
        if (j.used[b] && b > 0) j.key[b] = key_for(keys, (int32_t)(b * map->step), nq);
    }
    vl_digits digits = {0};
    if (map->babies > 1) digits = vl_rlwe_decompose(x, p, in.c[1], &x->arena);
    j.digits = &digits;
    j.slot_words = slot_words(p, map->babies);
    uint32_t slots = vl_exec_slots(x, limbs, j.slot_words * sizeof(uint64_t));
    j.scratch = vl_arena_take(&x->arena, slots * j.slot_words * sizeof(uint64_t));
    vl_exec_each(x, slots, limbs, limb_products, &j);
    vl_arena_release(&x->arena, inside);
    for (uint32_t g = 0; g < map->giants; g++)
        if (map->giant[g] == 0) own = g;
    assert(own < map->giants);
    j.sum = j.kept[own];
    j.any = true;
    for (uint32_t g = 0; g < map->giants; g++)
        if (g != own) add_giant(x, &j, keys, map->giant[g], &j.kept[g]);
    d->scale = a->scale * map->scale;
    divide_sum(x, p, &j.sum, nq, rescale, d);
    vl_arena_release(&x->arena, mark);
}

// Limb i of the sum of the babies (their count in j->block).
static void rotations_limb(void *arg, size_t item, uint32_t slot) {
    const apply_job *j = arg;
    uint32_t i = (uint32_t)item;
    const vl_modulus *m = modulus_of(j, i);
    size_t n = j->p->ring.n, stride = stride_of(j->p);
    uint64_t *o0 = j->scratch + slot * j->slot_words, *o1 = o0 + stride, *t = o1 + stride;
    uint64_t *d0 = j->sum.c[0].x + i * n, *d1 = j->sum.c[1].x + i * n;
    make_baby(j, 0, i, d0, d1, t);
    for (uint32_t b = 1; b <= j->block; b++) {
        make_baby(j, b, i, o0, o1, t);
        m->k->add(m, d0, d0, o0, n);
        m->k->add(m, d1, d1, o1, n);
    }
}

void vl_automorphisms_add(vl_exec *x, const vl_eval_keys *keys, const uint64_t *galois, uint32_t count, bool rescale,
                          vl_ciphertext *a) {
    const vl_params *p = keys->params;
    assert(count >= 1 && count <= 16 && a->degree == 1);
    size_t mark = vl_arena_mark(&x->arena);
    apply_job j = {.p = p, .in = a, .nq = a->level, .block = count};
    for (uint32_t b = 0; b < count; b++) j.key[b + 1] = key_of(keys, galois[b], a->level);
    j.sum = take_pair(x, p, a->level);
    size_t inside = vl_arena_mark(&x->arena);
    vl_digits digits = vl_rlwe_decompose(x, p, a->c[1], &x->arena);
    j.digits = &digits;
    j.slot_words = 4 * stride_of(p);
    uint32_t limbs = j.nq + p->ring.p_count, slots = vl_exec_slots(x, limbs, j.slot_words * sizeof(uint64_t));
    j.scratch = vl_arena_take(&x->arena, slots * j.slot_words * sizeof(uint64_t));
    vl_exec_each(x, slots, limbs, rotations_limb, &j);
    vl_arena_release(&x->arena, inside);
    divide_sum(x, p, &j.sum, j.nq, rescale, a);
    vl_arena_release(&x->arena, mark);
}

size_t vl_diagonal_map_scratch(const vl_params *p, uint32_t babies, uint32_t giants, uint16_t level) {
    size_t qp = vl_arena_need(vl_poly_bytes(&p->ring, level, p->ring.p_count)), threads = vl_cpu_count();
    size_t digits = vl_rlwe_digits_bytes(p, level), rlwe = vl_rlwe_scratch(p, level);
    size_t products = threads * vl_arena_need(slot_words(p, babies) * sizeof(uint64_t));
    size_t giant = qp + threads * vl_arena_need(3 * stride_of(p) * sizeof(uint64_t));
    size_t most = products > rlwe ? products : rlwe;
    return vl_arena_need(giants * sizeof(pair)) + 2 * giants * qp + digits + giant + most + 256;
}
