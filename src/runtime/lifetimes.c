// SPDX-License-Identifier: Apache-2.0
// From when to when values live, and how many bytes of them at a time.
#include "runtime/internal.h"

uint16_t vl_runtime_room(const vl_program *program, const vl_op *op) {
    uint16_t out = program->values[op->dst].level;
    if (op->kind == VL_OP_BOOTSTRAP || op->kind == VL_OP_SPREAD) return out;
    return op->level > out ? op->level : out;
}

void vl_runtime_last_uses(const vl_program *p, uint32_t *last) {
    for (uint32_t i = 0; i < p->value_count; i++) last[i] = 0;
    for (uint32_t i = 0; i < p->op_count; i++)
        for (uint32_t k = 0; k < vl_op_inputs(p->ops[i].kind); k++) last[p->ops[i].src[k]] = i;
    last[p->output] = UINT32_MAX;
}

static void fill(const vl_program *p, vl_lifetimes *t) {
    t->made[0] = UINT32_MAX;
    t->capacity[0] = p->values[0].level;
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_op *op = &p->ops[i];
        t->made[op->dst] = i;
        t->capacity[op->dst] = vl_runtime_room(p, op);
    }
    vl_runtime_last_uses(p, t->last);
}

velum_status vl_lifetimes_new(const vl_program *program, vl_lifetimes *out) {
    vl_lifetimes t = {
        .made = vl_alloc_array(program->value_count, sizeof *t.made),
        .last = vl_alloc_array(program->value_count, sizeof *t.last),
        .capacity = vl_alloc_array(program->value_count, sizeof *t.capacity),
    };
    if (!t.made || !t.last || !t.capacity) {
        vl_lifetimes_clear(&t);
        return VL_FAIL(VELUM_E_NOMEM, "lifetimes of %u values", program->value_count);
    }
    fill(program, &t);
    *out = t;
    return VELUM_OK;
}

void vl_lifetimes_clear(vl_lifetimes *t) {
    vl_free(t->made);
    vl_free(t->last);
    vl_free(t->capacity);
    *t = (vl_lifetimes){0};
}

bool vl_runtime_is_each(vl_op_kind kind) {
    switch (kind) {
    case VL_OP_SQUARE:
    case VL_OP_MUL:
    case VL_OP_ADD:
    case VL_OP_POLY:
    case VL_OP_MASK:
    case VL_OP_SIGN:
    case VL_OP_GATE:
    case VL_OP_SQUARES:
    case VL_OP_FOLD: return true;
    default: return false;
    }
}

bool vl_runtime_in_place(const vl_program *program, const vl_lifetimes *t, uint32_t index) {
    const vl_op *op = &program->ops[index];
    if (op->kind == VL_OP_SIGN || op->kind == VL_OP_GATE || !vl_runtime_is_each(op->kind)) return false;
    return t->last[op->src[0]] == index && t->capacity[op->src[0]] == vl_runtime_room(program, op);
}

static uint64_t one_bytes(const vl_params *p, const vl_lifetimes *t, uint32_t value) {
    return 2 * vl_poly_bytes(&p->ring, t->capacity[value], 0);
}

// What becomes free with an operation, a ciphertext of each source that ends with it.
static uint64_t ending(const vl_params *p, const vl_lifetimes *t, const vl_op *op, uint32_t index) {
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
        if (t->last[op->src[k]] == index && !(k == 1 && op->src[1] == op->src[0])) bytes += one_bytes(p, t, op->src[k]);
    return bytes;
}

// Result by result, `threads` at a time, their sources freed as they are done. (In place none is made.)
static uint64_t most_each(uint64_t made, uint64_t freed, uint32_t count, uint32_t threads) {
    uint64_t first = threads < count ? threads : count, last = count * made - (count - first) * freed;
    return made > freed ? last : first * made;
}

uint64_t vl_lifetimes_peak(const vl_params *p, const vl_program *program, const vl_lifetimes *t, uint32_t threads) {
    uint64_t live = program->values[0].layout.cts * one_bytes(p, t, 0), peak = live;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const vl_op *op = &program->ops[i];
        const uint32_t count = program->values[op->dst].layout.cts;
        const uint64_t made = one_bytes(p, t, op->dst), freed = ending(p, t, op, i);
        const bool each = vl_runtime_is_each(op->kind);
        uint64_t more = each ? most_each(made, freed, count, threads) : count * made;
        if (vl_runtime_in_place(program, t, i)) more = 0;
        if (live + more > peak) peak = live + more;
        live += count * made;
        for (uint32_t k = 0; k < vl_op_inputs(op->kind); k++)
            if (t->last[op->src[k]] == i && !(k == 1 && op->src[1] == op->src[0]))
                live -= program->values[op->src[k]].layout.cts * one_bytes(p, t, op->src[k]);
    }
    return peak;
}
