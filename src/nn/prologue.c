// SPDX-License-Identifier: Apache-2.0
#include "nn/prologue.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Integers that are tried when an input's accepted values are derived from its uses.
#define TRY_LOW (-1024)
#define TRY_HIGH 70000
#define LIST_MOST 4096 // accepted values that are listed one by one

// ---- inputs ----

static velum_status parse_numbers(vl_nn_heap *h, const char *name, const char *text, double **out, uint32_t *count) {
    size_t room = strlen(text) / 2 + 1;
    double *v;
    VL_FAIL_IF(room > (1u << 24), VELUM_E_LIMIT, "model: metadata of input '%.120s' is too long", name);
    VL_NN_TAKE(h, v, room);
    *count = 0;
    for (const char *at = text;;) {
        at += strspn(at, " ,\t\r\n");
        if (!*at) break;
        char *end;
        double x = strtod(at, &end);
        VL_FAIL_IF(end == at || !isfinite(x) || *count == room, VELUM_E_FORMAT,
                   "model: metadata of input '%.120s': '%.40s' is not a list of numbers", name, text);
        v[(*count)++] = x;
        at = end;
    }
    *out = v;
    return VELUM_OK;
}

static velum_status init_input(vl_nn_heap *h, const vl_nn_graph *g, const char *port, const char *name, vl_input *in) {
    *in = (vl_input){.lo = -INFINITY, .hi = INFINITY};
    if (!(in->name = vl_nn_copy_text(h, name))) return vl_nn_out_of(h, "names");
    VL_FAIL_IF(strlen(name) > VL_MAX_NAME || !name[0], VELUM_E_LIMIT, "model: input name '%.60s...' is too long", name);
    const char *text = vl_nn_find_meta(g, "velum.description:", name);
    if (!text) text = vl_nn_find_meta(g, "velum.description:", port);
    char *copy;
    VL_NN_TAKE(h, copy, VL_MAX_NAME + 1);
    snprintf(copy, VL_MAX_NAME + 1, "%s", text ? text : "");
    in->description = copy;
    const char *range = vl_nn_find_meta(g, "velum.range:", name), *values = vl_nn_find_meta(g, "velum.values:", name);
    if (!range) range = vl_nn_find_meta(g, "velum.range:", port);
    if (!values) values = vl_nn_find_meta(g, "velum.values:", port);
    if (range) {
        double *v;
        uint32_t count;
        VL_TRY(parse_numbers(h, name, range, &v, &count));
        VL_FAIL_IF(count != 2 || v[0] > v[1], VELUM_E_FORMAT, "model: velum.range of input '%.120s' is '%.40s'", name,
                   range);
        in->lo = v[0];
        in->hi = v[1];
    }
    if (values) {
        VL_TRY(parse_numbers(h, name, values, &in->values, &in->value_count));
        VL_FAIL_IF(in->value_count == 0, VELUM_E_FORMAT, "model: velum.values of input '%.120s' is empty", name);
        double lo = INFINITY, hi = -INFINITY;
        for (uint32_t i = 0; i < in->value_count; i++) {
            lo = fmin(lo, in->values[i]);
            hi = fmax(hi, in->values[i]);
        }
        in->lo = fmax(in->lo, lo);
        in->hi = fmin(in->hi, hi);
        VL_FAIL_IF(in->lo > in->hi, VELUM_E_FORMAT, "model: values of input '%.120s' lie outside its range", name);
    }
    return VELUM_OK;
}

velum_status vl_nn_prologue_init(vl_nn_heap *h, const vl_nn_graph *g, vl_nn_prologue *p) {
    *p = (vl_nn_prologue){.heap = h};
    uint64_t total = 0;
    for (uint32_t i = 0; i < g->input_count; i++) total += g->inputs[i].shape.count;
    VL_FAIL_IF(total > VL_MAX_INPUTS, VELUM_E_LIMIT, "model: %llu input numbers, the limit is %d",
               (unsigned long long)total, VL_MAX_INPUTS);
    VL_NN_TAKE(h, p->inputs, total);
    VL_NN_TAKE(h, p->integer, total);
    for (uint32_t i = 0; i < g->input_count; i++)
        for (size_t k = 0; k < g->inputs[i].shape.count; k++) {
            char name[VL_MAX_NAME + 32];
            if (g->inputs[i].shape.count == 1)
                snprintf(name, sizeof name, "%s", g->inputs[i].name);
            else
                snprintf(name, sizeof name, "%.*s_%zu", VL_MAX_NAME - 12, g->inputs[i].name, k);
            VL_TRY(init_input(h, g, g->inputs[i].name, name, &p->inputs[p->input_count]));
            p->integer[p->input_count++] = g->inputs[i].shape.integer;
        }
    return VELUM_OK;
}

// ---- steps ----

static bool same_step(const vl_nn_step *a, const vl_nn_step *b) {
    return a->s.kind == b->s.kind && a->s.src == b->s.src && a->s.a == b->s.a && a->s.b == b->s.b &&
           a->integer == b->integer && a->whole == b->whole && a->s.table_count == b->s.table_count &&
           (a->s.table_count == 0 || memcmp(a->s.table, b->s.table, a->s.table_count * sizeof *a->s.table) == 0) &&
           (!a->s.keys || memcmp(a->s.keys, b->s.keys, a->s.table_count * sizeof *a->s.keys) == 0);
}

static velum_status add_step(vl_nn_prologue *p, vl_nn_step n, uint32_t *out) {
    uint32_t back = p->step_count < 4096 ? p->step_count : 4096;
    for (uint32_t i = p->step_count - back; i < p->step_count; i++)
        if (same_step(&p->steps[i], &n)) {
            *out = i;
            return VELUM_OK;
        }
    VL_FAIL_IF(p->step_count == VL_MAX_STEPS, VELUM_E_LIMIT, "model: more than %d numbers before encryption",
               VL_MAX_STEPS);
    if (p->step_count == p->step_room) {
        vl_nn_step *more;
        VL_NN_TAKE(p->heap, more, 2 * p->step_room + 64);
        if (p->step_count) memcpy(more, p->steps, p->step_count * sizeof *more);
        p->steps = more;
        p->step_room = 2 * p->step_room + 64;
    }
    vl_nn_step_range(p, &n);
    p->steps[p->step_count] = n;
    *out = p->step_count++;
    return VELUM_OK;
}

velum_status vl_nn_step_input(vl_nn_prologue *p, uint32_t input, bool integer, uint32_t *out) {
    return add_step(p, (vl_nn_step){.s = {.kind = VL_STEP_INPUT, .src = input}, .integer = integer}, out);
}

static bool whole(double x) { return x == floor(x) && fabs(x) < 0x1p53; }

velum_status vl_nn_step_affine(vl_nn_prologue *p, uint32_t src, double a, double b, uint32_t *out) {
    VL_FAIL_IF(!isfinite(a) || !isfinite(b), VELUM_E_FORMAT, "model: a constant before encryption is not finite");
    if (a == 1 && b == 0) {
        *out = src;
        return VELUM_OK;
    }
    const vl_nn_step *s = &p->steps[src];
    bool integer = s->integer && whole(a) && whole(b);
    if (s->s.kind == VL_STEP_AFFINE && !s->integer && isfinite(a * s->s.b)) { // one step for a chain of them
        b += a * s->s.b;
        a *= s->s.a;
        src = s->s.src;
    }
    return add_step(p, (vl_nn_step){.s = {.kind = VL_STEP_AFFINE, .src = src, .a = a, .b = b}, .integer = integer},
                    out);
}

velum_status vl_nn_step_clip(vl_nn_prologue *p, uint32_t src, double a, double b, uint32_t *out) {
    bool integer = p->steps[src].integer && (isinf(a) || whole(a)) && (isinf(b) || whole(b));
    return add_step(p, (vl_nn_step){.s = {.kind = VL_STEP_CLIP, .src = src, .a = a, .b = b}, .integer = integer}, out);
}

velum_status vl_nn_step_trunc(vl_nn_prologue *p, uint32_t src, bool floors, uint32_t *out) {
    const vl_nn_step *s = &p->steps[src];
    if (s->integer) {
        *out = src;
        return VELUM_OK;
    }
    // x / k of an integer x, then rounded down: exact as an integer division.
    if (s->s.kind == VL_STEP_AFFINE && s->s.b == 0 && s->s.a > 0 && s->s.a <= 1 && p->steps[s->s.src].integer) {
        double k = round(1 / s->s.a);
        if (fabs(k * s->s.a - 1) < 1e-6) return vl_nn_step_div(p, s->s.src, k, !floors, out);
    }
    vl_nn_step n = {.s = {.kind = VL_STEP_TRUNC, .src = src}, .integer = true};
    if (floors) n.s = (vl_step){.kind = VL_STEP_DIV, .src = src, .a = 1};
    return add_step(p, n, out);
}

velum_status vl_nn_step_table(vl_nn_prologue *p, uint32_t src, const double *table, uint32_t count, uint32_t *out) {
    double *copy;
    VL_NN_TAKE(p->heap, copy, count);
    memcpy(copy, table, count * sizeof *copy);
    vl_nn_step n = {.s = {.kind = VL_STEP_TABLE, .src = src, .table_count = count, .table = copy}, .integer = true};
    return add_step(p, n, out);
}

velum_status vl_nn_step_div(vl_nn_prologue *p, uint32_t src, double a, bool truncates, uint32_t *out) {
    if (a == 1 && p->steps[src].integer) {
        *out = src;
        return VELUM_OK;
    }
    vl_nn_step n = {.s = {.kind = VL_STEP_DIV, .src = src, .a = a}, .integer = true, .whole = truncates};
    return add_step(p, n, out);
}

velum_status vl_nn_step_mod(vl_nn_prologue *p, uint32_t src, double a, bool truncates, uint32_t *out) {
    vl_nn_step n = {
        .s = {.kind = VL_STEP_MOD, .src = src, .a = a}, .integer = p->steps[src].integer, .whole = truncates};
    return add_step(p, n, out);
}

velum_status vl_nn_step_map(vl_nn_prologue *p, uint32_t src, const vl_nn_labels *l, uint32_t *out) {
    VL_FAIL_IF(l->count > VL_MAX_MAP - p->map_keys, VELUM_E_LIMIT, "model: more than %u keys of LabelEncoders",
               VL_MAX_MAP);
    vl_step s = {.kind = VL_STEP_MAP, .src = src, .a = l->otherwise, .b = l->integer_keys, .table_count = l->count};
    s.table = l->value;
    s.keys = l->key;
    uint32_t before = p->step_count;
    VL_TRY(add_step(p, (vl_nn_step){.s = s, .integer = l->integer_values}, out));
    if (p->step_count > before) p->map_keys += l->count; // else the same map of the same number was there
    return VELUM_OK;
}

velum_status vl_nn_step_equal(vl_nn_prologue *p, uint32_t src, double a, uint32_t *out) {
    return add_step(p, (vl_nn_step){.s = {.kind = VL_STEP_EQUAL, .src = src, .a = a}, .integer = true}, out);
}

velum_status vl_nn_step_function(vl_nn_prologue *p, uint32_t src, vl_step_kind kind, uint32_t *out) {
    bool whole_source = p->steps[src].integer;
    if (kind == VL_STEP_ROUND && whole_source) {
        *out = src;
        return VELUM_OK;
    }
    bool integer = kind == VL_STEP_ROUND || kind == VL_STEP_SIGN || (kind == VL_STEP_ABS && whole_source);
    return add_step(p, (vl_nn_step){.s = {.kind = kind, .src = src}, .integer = integer}, out);
}

static velum_status add_group(vl_nn_prologue *p, uint32_t step, uint32_t depth, uint32_t *first) {
    uint32_t width = depth ? depth : 1;
    VL_FAIL_IF(width > VL_MAX_FEATURES - p->columns, VELUM_E_LIMIT,
               "model: more than %d encrypted features; write large tables as digits of the index", VL_MAX_FEATURES);
    if (p->group_count == p->group_room) {
        vl_nn_group *more;
        VL_NN_TAKE(p->heap, more, 2 * p->group_room + 64);
        if (p->group_count) memcpy(more, p->groups, p->group_count * sizeof *more);
        p->groups = more;
        p->group_room = 2 * p->group_room + 64;
    }
    p->groups[p->group_count++] = (vl_nn_group){.step = step, .depth = depth, .first = p->columns};
    *first = p->columns;
    p->columns += width;
    return VELUM_OK;
}

velum_status vl_nn_prologue_feature(vl_nn_prologue *p, uint32_t step, uint32_t depth, uint32_t *first) {
    for (uint32_t i = 0; i < p->group_count; i++)
        if (p->groups[i].step == step && p->groups[i].depth == depth) {
            *first = p->groups[i].first;
            return VELUM_OK;
        }
    return add_group(p, step, depth, first);
}

velum_status vl_nn_prologue_again(vl_nn_prologue *p, uint32_t step, uint32_t *column) {
    return add_group(p, step, 0, column);
}

// ---- running and closing ----

// Fills value[] for the listed steps (list NULL: the first `count`); false if one of them refuses.
static bool run_steps(const vl_nn_prologue *p, const double *raw, const uint32_t *list, uint32_t count, double *value) {
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = list ? list[k] : k;
        const vl_step *s = &p->steps[i].s;
        double x = s->kind == VL_STEP_INPUT ? raw[s->src] : value[s->src];
        if (p->steps[i].whole && x < 0) return false;
        value[i] = x;
        if (s->kind == VL_STEP_INPUT ? !isfinite(x) : !vl_step_run(s, x, &value[i])) return false;
    }
    return true;
}

static bool indices_fit(const vl_nn_prologue *p, const uint32_t *list, uint32_t count, const double *value) {
    for (uint32_t k = 0; k < count; k++) {
        const vl_nn_group *group = &p->groups[list ? list[k] : k];
        if (group->depth == 0) continue;
        double v = value[group->step];
        if (!(v >= 0 && v < group->depth) || v != floor(v)) return false;
    }
    return true;
}

velum_status vl_nn_prologue_run(const vl_nn_prologue *p, uint64_t row, const double *raw, double *features) {
    double *value = vl_alloc_array(p->step_count ? p->step_count : 1, sizeof *value);
    VL_FAIL_IF(!value, VELUM_E_NOMEM, "prologue");
    bool fine = run_steps(p, raw, NULL, p->step_count, value) && indices_fit(p, NULL, p->group_count, value);
    for (uint32_t g = 0; fine && g < p->group_count; g++) {
        const vl_nn_group *group = &p->groups[g];
        double *f = features + group->first;
        for (uint32_t k = 0; k < group->depth; k++) f[k] = value[group->step] == k;
        if (group->depth == 0) *f = value[group->step];
    }
    vl_free(value);
    VL_FAIL_IF(!fine, VELUM_E_VALUE, "calibration: row %llu: a value outside what the model accepts",
               (unsigned long long)row);
    return VELUM_OK;
}

// An input that only integers make sense for: every path from it begins with a truncation, or it is an integer input.
static bool integer_only(const vl_nn_prologue *p, uint32_t input, const uint32_t *origin, bool *constrained) {
    bool only = true;
    *constrained = false;
    for (uint32_t i = 0; i < p->step_count; i++) {
        const vl_step *s = &p->steps[i].s;
        if (origin[i] != input) continue;
        if (s->kind == VL_STEP_TABLE || p->steps[i].whole) *constrained = true;
        if (s->kind != VL_STEP_INPUT && p->steps[s->src].s.kind == VL_STEP_INPUT && !p->steps[s->src].integer &&
            s->kind != VL_STEP_TRUNC)
            only = false;
    }
    for (uint32_t g = 0; g < p->group_count; g++) {
        const vl_nn_group *group = &p->groups[g];
        if (origin[group->step] != input) continue;
        if (group->depth) *constrained = true;
        if (p->steps[group->step].s.kind == VL_STEP_INPUT && !p->integer[input]) only = false;
    }
    return only;
}

// The integers that every table and division takes, as a list or a range.
static velum_status derive_values(vl_nn_prologue *p, uint32_t input, const uint32_t *origin, double *value,
                                  bool *changed) {
    vl_input *in = &p->inputs[input];
    double *accepted;
    uint32_t count = 0, *steps, *groups, step_count = 0, group_count = 0;
    VL_NN_TAKE(p->heap, steps, p->step_count);
    VL_NN_TAKE(p->heap, groups, p->group_count);
    for (uint32_t i = 0; i < p->step_count; i++)
        if (origin[i] == input) steps[step_count++] = i;
    for (uint32_t g = 0; g < p->group_count; g++)
        if (origin[p->groups[g].step] == input) groups[group_count++] = g;
    VL_NN_TAKE(p->heap, accepted, TRY_HIGH - TRY_LOW + 1);
    double *all = vl_alloc_array(p->input_count, sizeof *all);
    VL_FAIL_IF(!all, VELUM_E_NOMEM, "prologue");
    for (int v = TRY_LOW; v <= TRY_HIGH; v++) {
        if (v < in->lo || v > in->hi) continue;
        all[input] = v;
        if (run_steps(p, all, steps, step_count, value) && indices_fit(p, groups, group_count, value))
            accepted[count++] = v;
    }
    vl_free(all);
    VL_FAIL_IF(count == 0, VELUM_E_UNSUPPORTED, "model: no integer is accepted as input '%.120s'", in->name);
    if (accepted[0] <= TRY_LOW) return VELUM_OK; // without a limit below: leave it open
    *changed = true;
    in->lo = accepted[0];
    if (accepted[count - 1] < TRY_HIGH) in->hi = accepted[count - 1];
    if (count <= LIST_MOST && accepted[count - 1] < TRY_HIGH) {
        in->values = accepted;
        in->value_count = count;
    }
    return VELUM_OK;
}

// Whether a map takes integers of this input; then all of them are accepted, not those that some window of them shows.
static bool is_mapped(const vl_nn_prologue *p, uint32_t input, const uint32_t *origin) {
    for (uint32_t i = 0; i < p->step_count; i++)
        if (origin[i] == input && p->steps[i].s.kind == VL_STEP_MAP && p->steps[i].s.b != 0) return true;
    return false;
}

static void accept_exact(vl_input *in, bool *changed) {
    *changed = *changed || in->lo < -0x1p53 || in->hi > 0x1p53;
    in->lo = fmax(in->lo, -0x1p53);
    in->hi = fmin(in->hi, 0x1p53);
}

velum_status vl_nn_prologue_close(vl_nn_prologue *p, bool *changed) {
    *changed = false;
    uint32_t *origin;
    double *value;
    VL_NN_TAKE(p->heap, origin, p->step_count);
    VL_NN_TAKE(p->heap, value, p->step_count);
    for (uint32_t i = 0; i < p->step_count; i++)
        origin[i] = p->steps[i].s.kind == VL_STEP_INPUT ? p->steps[i].s.src : origin[p->steps[i].s.src];
    for (uint32_t i = 0; i < p->input_count; i++) {
        bool constrained;
        if (is_mapped(p, i, origin))
            accept_exact(&p->inputs[i], changed);
        else if (p->inputs[i].value_count == 0 && integer_only(p, i, origin, &constrained) && constrained)
            VL_TRY(derive_values(p, i, origin, value, changed));
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const vl_step *s = &p->steps[i].s;
        vl_nn_step_range(p, &p->steps[i]);
        if (s->kind == VL_STEP_INPUT) continue;
        double lo = p->steps[s->src].lo, hi = p->steps[s->src].hi;
        const char *name = p->inputs[origin[i]].name;
        VL_FAIL_IF(
            p->steps[i].whole && lo < 0, VELUM_E_UNSUPPORTED,
            "model: an integer division of input '%.120s', which may be negative: give velum.range or velum.values",
            name);
        VL_FAIL_IF((s->kind == VL_STEP_LOG && hi <= 0) || (s->kind == VL_STEP_SQRT && hi < 0), VELUM_E_FORMAT,
                   "model: input '%.120s' never has a %s", name, vl_step_text(s->kind));
        VL_FAIL_IF(s->kind == VL_STEP_TABLE && (hi < 0 || lo > s->table_count - 1.0), VELUM_E_FORMAT,
                   "model: input '%.120s' never fits its table of %u rows", name, s->table_count);
    }
    return VELUM_OK;
}

// ---- into the manifest ----

static char *clone_text(const char *s) { return vl_strdup(s ? s : ""); }

static velum_status clone_doubles(const double *from, uint32_t count, double **out) {
    if (count == 0) return VELUM_OK;
    if (!(*out = vl_alloc_array(count, sizeof **out))) return VL_FAIL(VELUM_E_NOMEM, "manifest");
    memcpy(*out, from, count * sizeof **out);
    return VELUM_OK;
}

static velum_status emit_inputs(const vl_nn_prologue *p, vl_manifest *m) {
    m->input_count = p->input_count;
    if (!(m->inputs = vl_alloc_array(p->input_count, sizeof *m->inputs))) return VL_FAIL(VELUM_E_NOMEM, "manifest");
    for (uint32_t i = 0; i < p->input_count; i++) {
        const vl_input *from = &p->inputs[i];
        vl_input *to = &m->inputs[i];
        to->name = clone_text(from->name);
        to->description = clone_text(from->description);
        to->lo = from->lo;
        to->hi = from->hi;
        to->value_count = from->value_count;
        if (from->value_count) to->values = vl_alloc_array(from->value_count, sizeof *to->values);
        VL_FAIL_IF(!to->name || !to->description || (from->value_count && !to->values), VELUM_E_NOMEM, "manifest");
        if (from->value_count) memcpy(to->values, from->values, from->value_count * sizeof *to->values);
    }
    return VELUM_OK;
}

static velum_status emit_calibration(const vl_nn_prologue *p, vl_manifest *m) {
    bool *number = vl_alloc_array(p->input_count, sizeof *number);
    m->seen = vl_alloc_array(p->input_count, sizeof *m->seen);
    m->covered = vl_alloc_array(p->group_count, sizeof *m->covered);
    if (!number || !m->seen || !m->covered) {
        vl_free(number);
        return VL_FAIL(VELUM_E_NOMEM, "manifest");
    }
    vl_manifest_numbers(m, number);
    for (uint32_t i = 0; i < p->input_count; i++)
        if (number[i]) m->seen[i] = p->seen[i];
    for (uint32_t g = 0; g < p->group_count; g++) m->covered[g] = p->groups[g].covered;
    vl_free(number);
    return VELUM_OK;
}

velum_status vl_nn_prologue_emit(const vl_nn_prologue *p, vl_manifest *m) {
    VL_TRY(emit_inputs(p, m));
    uint32_t *number;
    VL_NN_TAKE(p->heap, number, p->step_count);
    for (uint32_t g = 0; g < p->group_count; g++) number[p->groups[g].step] = 1;
    for (uint32_t i = p->step_count; i-- > 0;)
        if (number[i] && p->steps[i].s.kind != VL_STEP_INPUT) number[p->steps[i].s.src] = 1;
    if (!(m->steps = vl_alloc_array(p->step_count, sizeof *m->steps))) return VL_FAIL(VELUM_E_NOMEM, "manifest");
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (!number[i]) continue;
        vl_step *to = &m->steps[m->step_count];
        const vl_step *from = &p->steps[i].s;
        number[i] = m->step_count++;
        *to = *from;
        to->table = to->keys = NULL;
        if (from->kind != VL_STEP_INPUT) to->src = number[from->src];
        VL_TRY(clone_doubles(from->table, from->table_count, &to->table));
        if (from->keys) VL_TRY(clone_doubles(from->keys, from->table_count, &to->keys));
    }
    m->feature_count = p->group_count;
    if (!(m->features = vl_alloc_array(p->group_count, sizeof *m->features))) return VL_FAIL(VELUM_E_NOMEM, "manifest");
    for (uint32_t g = 0; g < p->group_count; g++)
        m->features[g] = (vl_feature){number[p->groups[g].step], p->groups[g].depth};
    return p->seen ? emit_calibration(p, m) : VELUM_OK;
}
