// SPDX-License-Identifier: Apache-2.0
#include "nn/nn.h"
#include "nn/lower.h"
#include "nn/origins.h"
#include "nn/passes.h"
#include "nn/pictures.h"

#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_BATCH ((uint64_t)1 << 24)
#define MOST_THRIFT 64
#define SPARSE_LEAST 4096.0              // entries of a matrix that is worth a look at its diagonals
#define SPARSE_SHARE 4.0                 // of them one in so many is not zero, at most
#define PICTURES_ALONE ((size_t)1 << 22) // weights of a model for which no other packing is worth the time to look
#define MAX_ROWS ((uint64_t)1 << 20)     // of calibration or of an evaluation

// ---- tables ----

// Column of each number that the model takes; by name, or by position where the table has no names. what: the table.
static velum_status match(vl_nn_heap *h, const vl_nn_prologue *p, const char *what, const velum_table *in,
                          uint32_t **out) {
    uint32_t *column;
    VL_FAIL_IF(!in->values || in->rows == 0 || in->rows > MAX_ROWS, VELUM_E_VALUE, "%s: %llu rows", what,
               (unsigned long long)in->rows);
    VL_FAIL_IF(!in->names && in->columns != p->input_count, VELUM_E_VALUE, "%s: %u columns, the model takes %u", what,
               in->columns, p->input_count);
    VL_NN_TAKE(h, column, p->input_count);
    for (uint32_t i = 0; i < p->input_count; i++) {
        column[i] = in->names ? VL_NN_NONE : i;
        for (uint32_t k = 0; in->names && k < in->columns; k++)
            if (in->names[k] && strcmp(in->names[k], p->inputs[i].name) == 0) column[i] = k;
        VL_FAIL_IF(column[i] == VL_NN_NONE, VELUM_E_VALUE, "%s: no column '%s', which the model takes", what,
                   p->inputs[i].name);
    }
    *out = column;
    return VELUM_OK;
}

static void widen(vl_range *r, double x, bool first) {
    r->lo = first ? x : fmin(r->lo, x);
    r->hi = first ? x : fmax(r->hi, x);
}

// What one row says of the range that requests have.
static void see(vl_nn_prologue *p, const double *raw, const double *features, bool first) {
    for (uint32_t i = 0; i < p->input_count; i++) widen(&p->seen[i], raw[i], first);
    for (uint32_t g = 0; g < p->group_count; g++)
        if (p->groups[g].depth == 0) widen(&p->groups[g].covered, features[p->groups[g].first], first);
}

static void add_margin(vl_range *r) {
    double more = (VL_NN_MARGIN - 1) * (r->hi - r->lo) / 2;
    r->lo -= more;
    r->hi += more;
}

static velum_status calibration_features(vl_nn_lowered *l, const velum_table *in, const double **out) {
    uint32_t *column;
    double *features, *raw;
    VL_TRY(match(l->heap, &l->prologue, "calibration", in, &column));
    VL_NN_TAKE(l->heap, features, in->rows * l->prologue.columns);
    VL_NN_TAKE(l->heap, raw, l->prologue.input_count);
    VL_NN_TAKE(l->heap, l->prologue.seen, l->prologue.input_count);
    for (uint64_t r = 0; r < in->rows; r++) {
        for (uint32_t i = 0; i < l->prologue.input_count; i++) {
            raw[i] = in->values[r * in->columns + column[i]];
            VL_FAIL_IF(!isfinite(raw[i]), VELUM_E_VALUE, "calibration: row %llu: field '%s' is missing or not finite",
                       (unsigned long long)(r + 1), l->prologue.inputs[i].name);
        }
        VL_TRY(vl_nn_prologue_run(&l->prologue, r + 1, raw, features + r * l->prologue.columns));
        see(&l->prologue, raw, features + r * l->prologue.columns, r == 0);
    }
    for (uint32_t g = 0; g < l->prologue.group_count; g++) add_margin(&l->prologue.groups[g].covered);
    *out = features;
    return VELUM_OK;
}

// ---- compile ----

static velum_status note_choice(vl_nn_lowered *l, const vl_nn_choice *c, const char *what) {
    return vl_nn_note(l, "parameters: %s, N=2^%u, %s of %u bits, %s, %s, %s at a time, %.1f ms predicted", what,
                      c->ring.log_n, vl_count(c->plan->depth - 1, "level", "levels").s, c->scale_bits,
                      vl_count(c->ring.special, "special prime", "special primes").s,
                      c->plan->packed ? "packed" : "a ciphertext a feature",
                      vl_count(c->packing.lanes, "request", "requests").s, 1e3 * c->packing.total);
}

static velum_status note_plan(vl_nn_lowered *l, const vl_nn_choice *c) {
    for (uint32_t i = 0; i < c->plan->op_count && c->plan->packed; i++) {
        const vl_nn_op *op = &c->plan->ops[i];
        if (op->kind != VL_OP_LINTRANS) continue;
        const vl_nn_map *map = &c->packing.maps[i];
        const vl_lintrans_plan *p = &map->plan;
        if (map->sparse) {
            VL_TRY(vl_nn_note(l, "packing: %s, %u x %u at level %u, %s not zero, %s", op->label, op->rows, op->cols,
                              op->level, vl_count(map->cost.diagonals, "diagonal that is", "diagonals that are").s,
                              vl_count((uint64_t)map->step, "baby step", "baby steps").s));
            continue;
        }
        VL_TRY(vl_nn_note(l, "packing: %s, %u x %u at level %u, %s, %s, %s, %s", op->label, op->rows, op->cols,
                          op->level, vl_count(p->babies, "baby step", "baby steps").s,
                          vl_count(p->giants, "giant step", "giant steps").s, vl_count(p->copies, "copy", "copies").s,
                          vl_count(p->folds, "fold", "folds").s));
    }
    return VELUM_OK;
}

typedef struct attempt {
    vl_nn_lowered lowered;
    vl_nn_plan plan;
} attempt;

static velum_status attempt_of(vl_nn_graph *g, bool packed, const velum_compile_options *opt, attempt *a) {
    const velum_table *calibration = opt->calibration;
    const double *features = NULL;
    VL_TRY(vl_nn_lower(g, packed, &a->lowered));
    if (packed) VL_TRY(vl_nn_repeat_features(&a->lowered));
    a->lowered.fit.precision = opt->precision_bits;
    if (calibration) VL_TRY(calibration_features(&a->lowered, calibration, &features));
    return vl_nn_plan_of(&a->lowered, packed, features, calibration ? calibration->rows : 0, &a->plan);
}

// Polynomials and comparisons must not meet a slot beyond their range.
static bool needs_range(const vl_nn_plan *p) {
    for (uint32_t i = 0; i < p->op_count; i++)
        if (p->ops[i].kind == VL_OP_POLY || p->ops[i].kind == VL_OP_GATE) return true;
    return false;
}

// Convolutions: most of a matrix is zero, and so may be most of its diagonals.
static bool is_sparse(const vl_nn_plan *p) {
    for (uint32_t i = 0; i < p->op_count; i++) {
        const vl_nn_op *op = &p->ops[i];
        double entries = (double)op->rows * op->cols;
        if (op->kind == VL_OP_LINTRANS && entries >= SPARSE_LEAST && op->nonzero * SPARSE_SHARE < entries) return true;
    }
    return false;
}

// ---- pictures over slots ----

typedef struct scenes {
    bool found;
    vl_nn_lowered lowered;
    vl_nn_pictures pictures;
    vl_nn_pictures_choice choice;
} scenes;

static velum_status try_pictures(vl_nn_graph *g, const velum_compile_options *opt, const vl_nn_goal *goal, scenes *s) {
    const double *features = NULL;
    bool fits = g->input_count == 1 && g->inputs[0].shape.rank >= 3;
    *s = (scenes){0};
    if (!fits || goal->target != VELUM_THROUGHPUT || goal->set) return VELUM_OK;
    vl_nn_lowered *l = &s->lowered;
    VL_TRY(vl_nn_lower(g, false, l));
    VL_TRY(vl_nn_pictures_of(l, g, &s->pictures, &fits));
    if (fits && opt->calibration) VL_TRY(calibration_features(l, opt->calibration, &features));
    if (fits) VL_TRY(vl_nn_pictures_scale(&s->pictures, features, features ? opt->calibration->rows : 0, &fits));
    if (fits) VL_TRY(vl_nn_pictures_choose(&s->pictures, goal, opt->precision_bits, NULL, &s->choice, &s->found));
    return VELUM_OK;
}

static velum_status emit_pictures(vl_nn_graph *g, const velum_compile_options *opt, scenes *s, vl_program *p) {
    VL_TRY(vl_nn_note(&s->lowered, "fuse: %s became %s on %s", vl_count(g->imported, "node", "nodes").s,
                      vl_count(s->pictures.stages - 1, "linear map", "linear maps").s,
                      vl_count(s->pictures.stage[0].n, "feature", "features").s));
    VL_TRY(vl_nn_pictures_note(&s->pictures, &s->choice));
    return vl_nn_pictures_emit(&s->pictures, g, &s->choice, opt, p);
}

static size_t weights_of(const vl_nn_lowered *l) {
    size_t n = vl_nn_form_count(l->output);
    for (uint32_t b = 1; b < l->base_count; b++) n += vl_nn_form_count(l->base[b].arg[0]);
    return n;
}

static velum_status compile(vl_nn_graph *g, const velum_compile_options *opt, const vl_bootstrap_params *set,
                            vl_program *p) {
    vl_prices prices = *vl_prices_builtin();
    if (opt->prices) VL_TRY(vl_prices_load(opt->prices, opt->prices_size, &prices));
    vl_nn_goal goal = {.target = opt->target,
                       .set = set,
                       .batch = opt->batch,
                       .memory = opt->memory_bytes ? opt->memory_bytes : 16ull << 30,
                       .keys = opt->key_bytes,
                       .security = opt->security_bits ? opt->security_bits : 128,
                       .prices = &prices};
    scenes over_slots;
    attempt packed, spread;
    vl_nn_choice best, second;
    uint32_t found = 0;
    VL_TRY(try_pictures(g, opt, &goal, &over_slots));
    if (over_slots.found && weights_of(&over_slots.lowered) > PICTURES_ALONE) {
        VL_TRY(vl_nn_note(&over_slots.lowered,
                          "packing: pictures over slots, others are not looked at in so large a model"));
        return emit_pictures(g, opt, &over_slots, p);
    }
    VL_TRY(attempt_of(g, true, opt, &packed));
    const bool shallow = !set && !needs_range(&packed.plan), also = shallow && opt->target == VELUM_THROUGHPUT;
    if (also) VL_TRY(attempt_of(g, false, opt, &spread));
    for (goal.thrift = 1; found == 0 && goal.thrift <= MOST_THRIFT; goal.thrift *= 8) {
        if (shallow) VL_TRY(vl_nn_choose(&packed.lowered, &packed.plan, &goal, &best, &second, &found));
        if (also) VL_TRY(vl_nn_choose(&spread.lowered, &spread.plan, &goal, &best, &second, &found));
        if (found == 0 || is_sparse(&packed.plan))
            VL_TRY(vl_nn_choose_deep(&packed.lowered, &packed.plan, &goal, &best, &second, &found));
        if (!goal.keys) break; // nothing to save
    }
    if (over_slots.found && (found == 0 || over_slots.choice.score <= best.score)) {
        if (found) VL_TRY(note_choice(&over_slots.lowered, &best, "instead of"));
        return emit_pictures(g, opt, &over_slots, p);
    }
    if (found == 0) return vl_nn_no_choice(&packed.lowered, &packed.plan, &goal);
    vl_nn_lowered *l = best.plan == &spread.plan ? &spread.lowered : &packed.lowered;
    VL_TRY(vl_nn_note(l, "fuse: %s became %s on %s", vl_count(g->imported, "node", "nodes").s,
                      vl_count(best.plan->op_count, "operation", "operations").s,
                      vl_count(best.plan->values[0].dim, "feature", "features").s));
    VL_TRY(note_choice(l, &best, "chosen"));
    if (found > 1) VL_TRY(note_choice(l, &second, "next best"));
    if (over_slots.found) VL_TRY(vl_nn_pictures_note_unchosen(l, &over_slots.choice));
    VL_TRY(note_plan(l, &best));
    return vl_nn_emit(l, g, &best, opt, p);
}

velum_status vl_nn_compile_with(const void *onnx, size_t size, const velum_compile_options *opt,
                                const vl_bootstrap_params *set, vl_program *out) {
    static const velum_compile_options plain;
    if (!opt) opt = &plain;
    uint32_t bits = opt->security_bits;
    VL_FAIL_IF(bits != 0 && bits != 128 && bits != 192 && bits != 256, VELUM_E_USAGE,
               "%u bits of security; 128, 192 and 256 work", bits);
    VL_FAIL_IF(opt->target != VELUM_LATENCY && opt->target != VELUM_THROUGHPUT, VELUM_E_USAGE, "target %d",
               (int)opt->target);
    VL_FAIL_IF(opt->precision_bits != 0 && (opt->precision_bits < 4 || opt->precision_bits > 24), VELUM_E_USAGE,
               "%u bits of precision; 4 to 24 work", opt->precision_bits);
    VL_FAIL_IF(opt->batch > MAX_BATCH, VELUM_E_LIMIT, "a batch of %llu, the limit is %llu",
               (unsigned long long)opt->batch, (unsigned long long)MAX_BATCH);
    vl_nn_graph g;
    VL_TRY(vl_nn_import(onnx, size, &g));
    vl_program p = {0};
    vl_nn_pass_report report;
    velum_status status = vl_nn_passes(&g, &report);
    if (status == VELUM_OK) status = compile(&g, opt, set, &p);
    vl_nn_graph_clear(&g);
    if (status != VELUM_OK) {
        vl_program_clear(&p);
        return status;
    }
    *out = p;
    return VELUM_OK;
}

velum_status vl_nn_compile(const void *onnx, size_t size, const velum_compile_options *opt, vl_program *out) {
    return vl_nn_compile_with(onnx, size, opt, NULL, out);
}

// ---- evaluate ----

typedef struct watch { // who wants to see the values of a row
    vl_nn_values_fn each;
    void *user;
    uint64_t row;
} watch;

static velum_status run_row(vl_nn_graph *g, vl_nn_heap *h, const watch *w, const double *raw, vl_nn_tensor *out) {
    vl_nn_tensor *value;
    VL_NN_TAKE(h, value, g->value_count);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->constant[i]) value[i] = *g->constant[i];
    for (uint32_t i = 0; i < g->input_count; i++) {
        vl_nn_tensor *t = &value[g->inputs[i].value];
        *t = g->inputs[i].shape;
        VL_NN_TAKE(h, t->v, t->count);
        memcpy(t->v, raw, t->count * sizeof *raw);
        raw += t->count;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        const vl_nn_node *n = &g->nodes[i];
        const vl_nn_tensor **in;
        vl_nn_tensor *made;
        VL_TRY(vl_nn_check_arity(n));
        VL_NN_TAKE(h, in, n->in_count);
        VL_NN_TAKE(h, made, n->out_count);
        for (uint32_t k = 0; k < n->in_count; k++) {
            if (n->in[k] == VL_NN_NONE) continue;
            in[k] = &value[n->in[k]];
            VL_NN_FAIL_IF(!in[k]->v, n, VELUM_E_UNSUPPORTED, "input %u is an output that is not computed", k);
        }
        VL_TRY(vl_nn_eval_node(g, h, n, in, made));
        for (uint32_t k = 0; k < n->out_count; k++)
            if (n->out[k] != VL_NN_NONE) value[n->out[k]] = made[k];
    }
    *out = value[g->output];
    VL_FAIL_IF(!out->v, VELUM_E_UNSUPPORTED, "model: its output is not computed");
    if (w->each) w->each(w->user, w->row, value);
    return VELUM_OK;
}

static velum_status name_columns(const vl_nn_graph *g, velum_table *t) {
    t->names = vl_alloc_array(t->columns, sizeof *t->names);
    VL_FAIL_IF(!t->names, VELUM_E_NOMEM, "table");
    for (uint32_t i = 0; i < t->columns; i++) {
        char name[300];
        snprintf(name, sizeof name, t->columns == 1 ? "%.240s" : "%.240s_%u", g->value_name[g->output], i);
        VL_FAIL_IF(!(t->names[i] = vl_strdup(name)), VELUM_E_NOMEM, "table");
    }
    return VELUM_OK;
}

static void clear_table(velum_table *t) {
    for (uint32_t i = 0; t->names && i < t->columns; i++) vl_free(t->names[i]);
    vl_free(t->names);
    vl_free(t->values);
    *t = (velum_table){0};
}

static velum_status evaluate(vl_nn_graph *g, const velum_table *in, watch *w, velum_table *t) {
    vl_nn_prologue p;
    uint32_t *column;
    double *raw;
    VL_TRY(vl_nn_prologue_init(&g->heap, g, &p));
    VL_TRY(match(&g->heap, &p, "table", in, &column));
    VL_NN_TAKE(&g->heap, raw, p.input_count);
    for (uint64_t r = 0; r < in->rows; r++) {
        for (uint32_t i = 0; i < p.input_count; i++) raw[i] = in->values[r * in->columns + column[i]];
        vl_nn_heap h = {.limit = VL_NN_HEAP};
        vl_nn_tensor y = {0};
        w->row = r;
        velum_status status = run_row(g, &h, w, raw, &y);
        if (status == VELUM_OK && !t->values) {
            t->columns = (uint32_t)y.count;
            t->rows = in->rows;
            t->values = vl_alloc_array(in->rows * y.count, sizeof *t->values);
            status = t->values ? name_columns(g, t) : VL_FAIL(VELUM_E_NOMEM, "table");
        }
        if (status == VELUM_OK) memcpy(t->values + r * t->columns, y.v, t->columns * sizeof *y.v);
        vl_nn_heap_clear(&h);
        VL_TRY(status);
    }
    return VELUM_OK;
}

velum_status vl_nn_evaluate_values(vl_nn_graph *g, const velum_table *in, vl_nn_values_fn each, void *user,
                                   velum_table *out) {
    watch w = {.each = each, .user = user};
    velum_table t = {0};
    velum_status status = evaluate(g, in, &w, &t);
    if (status != VELUM_OK) {
        clear_table(&t);
        return status;
    }
    *out = t;
    return VELUM_OK;
}

velum_status vl_nn_evaluate(const void *onnx, size_t size, const velum_table *in, velum_table *out) {
    vl_nn_graph g;
    VL_TRY(vl_nn_import(onnx, size, &g));
    velum_status status = vl_nn_evaluate_values(&g, in, NULL, NULL, out);
    vl_nn_graph_clear(&g);
    return status;
}
