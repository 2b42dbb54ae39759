// SPDX-License-Identifier: Apache-2.0
// One operation. Where its result is many ciphertexts, each made from one of every source, threads take whole
// ciphertexts: no waiting for one another inside. What is left over, and values of few ciphertexts, are done one after
// the other by all threads together, limb by limb. Residues are integers: the same bits either way.
#include "base/clock.h"
#include "runtime/internal.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

// The same ciphertext seen at a lower level; storage stays with the original.
static vl_ciphertext at_level(const vl_ciphertext *ct, uint16_t level) {
    vl_ciphertext view = *ct;
    view.block = NULL;
    vl_ciphertext_drop(&view, level);
    return view;
}

static velum_status run_mix(const vl_op_work *s, vl_exec *x, const vl_op *op, const vl_held *a, vl_held *d) {
    const vl_params *p = s->r->params;
    vl_poly *column = vl_alloc_array(op->cols, sizeof *column);
    VL_FAIL_IF(!column, VELUM_E_NOMEM, "'%s'", op->name);
    double scale = a->ct[0].scale * op->plain_scale;
    for (uint32_t row = 0; row < op->rows; row++) {
        vl_ciphertext *out = &d->ct[row];
        for (unsigned half = 0; half < 2; half++) {
            for (uint32_t i = 0; i < op->cols; i++) column[i] = vl_poly_prefix(a->ct[i].c[half], op->level);
            const int64_t *weights = s->r->op[s->index].mix + (size_t)row * op->cols;
            vl_ring_dot_i64(x, &p->ring, out->c[half], column, weights, op->cols);
        }
        out->scale = scale;
        vl_ckks_rescale(x, p, out, out);
        if (op->bias) vl_ckks_add_const(x, p, out, out, op->bias[row]);
        out->scale = s->r->program->values[op->dst].scale;
    }
    vl_free(column);
    return VELUM_OK;
}

static velum_status run_spread(const vl_op_work *s, vl_exec *x, const vl_op *op, vl_held *d) {
    const vl_held *from[2] = {&s->values[op->src[0]], &s->values[op->src[1]]};
    const vl_spread_coded *map = s->r->op[s->index].spread;
    vl_spread_coded *made = NULL;
    const vl_ciphertext **in = vl_alloc_array(op->spread.sources, sizeof *in);
    velum_status status = in ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "'%s'", op->name);
    if (status == VELUM_OK && !map) status = vl_runtime_encode_spread(x, s->r->encoder, s->r->program, op, &made);
    if (status == VELUM_OK) {
        for (uint32_t i = 0; i < op->spread.sources; i++)
            in[i] = i < from[0]->count ? &from[0]->ct[i] : &from[1]->ct[i - from[0]->count];
        vl_spread_apply(x, s->r->params, s->keys, map ? map : made, d->ct, in);
        for (uint32_t i = 0; i < d->count; i++) d->ct[i].scale = s->r->program->values[op->dst].scale;
    }
    vl_spread_coded_free(made);
    vl_free(in);
    return status;
}

// a is not above u's level, but may be below it.
static velum_status run_gate(const vl_op_work *s, vl_exec *x, const vl_op *op, vl_ciphertext *out,
                             const vl_ciphertext *a, const vl_ciphertext *u) {
    vl_ciphertext factor = at_level(a, a->level < op->level ? a->level : op->level), in = at_level(u, op->level);
    return vl_compare_finish(x, s->r->params, s->keys, &op->compare, op->first, op->plain_scale, out, &factor, &in);
}

// x at scale s is x s / Delta at the bootstrap's scale Delta, and back.
static velum_status run_bootstrap(const vl_op_work *s, vl_exec *x, vl_ciphertext *out, const vl_ciphertext *a) {
    VL_FAIL_IF(!s->own, VELUM_E_MISMATCH, "the program bootstraps: its further keys are missing");
    vl_ciphertext in = *a;
    in.scale = vl_bootstrap_plan_of(s->r->bootstrap)->scale;
    return vl_bootstrap_apply(x, s->r->bootstrap, s->keys, s->own, out, &in, NULL);
}

static void run_fold(const vl_op_work *s, vl_exec *x, const vl_op *op, vl_ciphertext *out, const vl_ciphertext *in) {
    const vl_params *p = s->r->params;
    size_t mark = vl_arena_mark(&x->arena);
    vl_ciphertext turned = vl_ciphertext_take(p, &x->arena, op->level, 1);
    if (out->c[0].x == in->c[0].x)
        vl_ciphertext_drop(out, op->level);
    else
        vl_ciphertext_copy(x, p, out, in);
    for (uint32_t k = 0; k < op->count; k++) {
        vl_ckks_rotate(x, s->keys, &turned, out, op->rotation[k]);
        vl_ckks_add(x, p, out, out, &turned);
    }
    vl_arena_release(&x->arena, mark);
}

// Ciphertext i of the result, which may lie where that of src[0] does.
static velum_status apply(const vl_op_work *s, vl_exec *x, const vl_op *op, uint32_t i, vl_ciphertext *out,
                          const vl_ciphertext *a, const vl_ciphertext *b) {
    const vl_params *p = s->r->params;
    if (op->kind == VL_OP_GATE) return run_gate(s, x, op, out, a, b);
    const vl_ciphertext in = at_level(a, op->level);
    const vl_switch_key *relin = vl_eval_keys_find(s->keys, 0);
    const prepared *made = &s->r->op[s->index];
    vl_ciphertext other = {0};
    if (b) other = at_level(b, op->level);
    switch (op->kind) {
    case VL_OP_LINTRANS: vl_lintrans_apply(x, p, s->keys, &made->linear, out, &in); break;
    case VL_OP_SQUARE: vl_ckks_square_rescale(x, p, out, &in, relin); break;
    case VL_OP_MUL: vl_ckks_mul_rescale(x, p, out, &in, &other, relin); break;
    case VL_OP_MASK:
        vl_ckks_mul_plain(x, p, out, &in, made->mask[i % made->masks], op->plain_scale);
        vl_ckks_rescale(x, p, out, out);
        break;
    case VL_OP_ADD: vl_ckks_add(x, p, out, &in, &other); break;
    case VL_OP_POLY: return vl_poly_apply(x, p, s->keys, &op->poly, op->plain_scale, out, &in);
    case VL_OP_DIAGONALS: vl_sparsemap_apply(x, p, s->keys, &made->map, out, &in); break;
    case VL_OP_SIGN:
        return vl_compare_stages(x, p, s->keys, &op->compare, op->first, op->count, op->plain_scale, out, &in);
    case VL_OP_BOOTSTRAP: return run_bootstrap(s, x, out, &in);
    case VL_OP_SQUARES:
        vl_spread_square(x, p, s->keys, s->r->program->values[op->src[0]].layout.parts, op->bias ? op->bias[i] : 0, out,
                         &in);
        break;
    case VL_OP_FOLD: run_fold(s, x, op, out, &in); break;
    default: return VL_FAIL(VELUM_E_INTERNAL, "operation %d", (int)op->kind);
    }
    return VELUM_OK;
}

// ---- ciphertext by ciphertext ----
typedef struct each_run {
    const vl_op_work *s;
    vl_exec *slot; // one thread and an arena each
    uint32_t count;
    bool in_place;
    atomic_uint done;
    double told; // when
    atomic_int status;
    char why[512]; // of the first that failed: failures are told by thread
} each_run;

static _Thread_local const each_run *mine; // what the current thread called

static velum_status make_one(each_run *e, vl_exec *x, uint32_t i) {
    const vl_op_work *s = e->s;
    const vl_op *op = &s->r->program->ops[s->index];
    const uint32_t sources = vl_op_inputs(op->kind);
    vl_held *from[2] = {&s->values[op->src[0]], &s->values[op->src[1]]};
    vl_ciphertext *out = &s->values[op->dst].ct[i], in[2];
    for (uint32_t k = 0; k < sources; k++) in[k] = from[k]->ct[i];
    if (e->in_place) {
        *out = in[0];
        from[0]->ct[i].block = NULL;
    } else {
        VL_TRY(vl_ciphertext_new_raw(s->r->params, vl_runtime_room(s->r->program, op), 1, out));
    }
    VL_TRY(apply(s, x, op, i, out, &in[0], sources == 2 ? &in[1] : NULL));
    out->scale = s->r->program->values[op->dst].scale; // equal within 2^-40 by the verifier: drop the rounding
    for (uint32_t k = 0; k < sources; k++)
        if (s->r->lives.last[op->src[k]] == s->index && from[k]->owned && from[k]->ct[i].block)
            vl_ciphertext_free(&from[k]->ct[i]);
    return VELUM_OK;
}

#define TELL_SECONDS 0.5
static void make_and_tell(each_run *e, vl_exec *x, uint32_t i) {
    if (atomic_load_explicit(&e->status, memory_order_relaxed) != VELUM_OK) return;
    velum_status status = make_one(e, x, i);
    int none = VELUM_OK;
    if (status != VELUM_OK && atomic_compare_exchange_strong(&e->status, &none, (int)status))
        snprintf(e->why, sizeof e->why, "%s", velum_last_error());
    uint32_t done = 1 + atomic_fetch_add_explicit(&e->done, 1, memory_order_relaxed);
    if (mine != e || !e->s->tell || done == e->count || vl_now() < e->told + TELL_SECONDS) return;
    e->told = vl_now();
    e->s->tell(e->s->tell_arg, (double)done / e->count);
}

static void make_item(void *arg, size_t item, uint32_t slot) {
    each_run *e = arg;
    make_and_tell(e, &e->slot[slot], (uint32_t)item);
}

// How many of `count` ciphertexts are best done by a thread each: all, none, or all but a remainder. A ciphertext that
// all threads share takes 1 / sharing of what it takes one of them.
static uint32_t whole_of(uint32_t count, uint32_t slots, uint32_t threads, uint32_t limbs) {
    if (slots < 2) return 0;
    const double sharing = 0.85 * (threads < limbs ? threads : limbs);
    const uint32_t choices[] = {count, count - count % slots, 0};
    uint32_t best = count;
    double least = 1e300;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t whole = choices[i], rounds = whole / slots + (whole % slots != 0);
        double time = rounds + (count - whole) / sharing;
        if (time < least) least = time, best = whole;
    }
    return best;
}

static velum_status run_each(const vl_op_work *s, vl_exec *x, const vl_op *op, vl_held *d) {
    const vl_params *p = s->r->params;
    each_run e = {.s = s, .count = d->count, .told = vl_now()};
    e.in_place = vl_runtime_in_place(s->r->program, &s->r->lives, s->index) && s->values[op->src[0]].owned;
    atomic_init(&e.done, 0);
    atomic_init(&e.status, VELUM_OK);
    const each_run *outer = mine;
    mine = &e;
    uint32_t whole = 0;
    if (d->count > 1 && vl_runtime_is_each(op->kind)) {
        const size_t bytes = vl_arena_need(vl_runtime_each_scratch(p, s->r->program, op));
        const uint32_t threads = vl_pool_threads(x->pool);
        size_t mark = vl_arena_mark(&x->arena);
        vl_exec *slot = vl_arena_take(&x->arena, threads * sizeof *slot);
        const uint32_t slots = vl_exec_slots(x, d->count, bytes);
        whole = whole_of(d->count, slots, threads, op->level);
        for (uint32_t i = 0; i < slots && whole; i++)
            slot[i] = (vl_exec){.arena = {.base = vl_arena_take(&x->arena, bytes), .size = bytes}};
        e.slot = slot;
        if (whole) vl_exec_each(x, slots, whole, make_item, &e);
        vl_arena_release(&x->arena, mark);
    }
    for (uint32_t i = whole; i < d->count; i++) make_and_tell(&e, x, i);
    mine = outer;
    const velum_status status = (velum_status)atomic_load(&e.status);
    return status == VELUM_OK ? VELUM_OK : VL_FAIL(status, "%s", e.why);
}

// ---- the whole ----
static velum_status make_all(const vl_params *p, uint16_t level, vl_held *v) {
    for (uint32_t i = 0; i < v->count; i++) VL_TRY(vl_ciphertext_new_raw(p, level, 1, &v->ct[i]));
    return VELUM_OK;
}

void vl_held_release(vl_held *v) {
    for (uint32_t i = 0; v->owned && v->ct && i < v->count; i++)
        if (v->ct[i].block) vl_ciphertext_free(&v->ct[i]);
    vl_free(v->ct);
    *v = (vl_held){0};
}

velum_status vl_runtime_execute(const vl_op_work *s, vl_exec *x) {
    const vl_program *program = s->r->program;
    const vl_op *op = &program->ops[s->index];
    vl_held *d = &s->values[op->dst];
    const uint32_t count = program->values[op->dst].layout.cts;
    d->ct = vl_alloc_array(count, sizeof *d->ct);
    VL_FAIL_IF(!d->ct, VELUM_E_NOMEM, "%u ciphertexts", count);
    d->count = count;
    d->owned = true;
    if (op->kind == VL_OP_MIX || op->kind == VL_OP_SPREAD) {
        VL_TRY(make_all(s->r->params, vl_runtime_room(program, op), d));
        VL_TRY(op->kind == VL_OP_MIX ? run_mix(s, x, op, &s->values[op->src[0]], d) : run_spread(s, x, op, d));
    } else {
        VL_TRY(run_each(s, x, op, d));
    }
    for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
        if (s->r->lives.last[op->src[k]] == s->index) vl_held_release(&s->values[op->src[k]]);
    return VELUM_OK;
}
