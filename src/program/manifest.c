// SPDX-License-Identifier: Apache-2.0
#include "program/manifest.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void vl_manifest_clear(vl_manifest *m) {
    vl_free(m->model);
    vl_free(m->metric);
    for (uint32_t i = 0; m->inputs && i < m->input_count; i++) {
        vl_free(m->inputs[i].name);
        vl_free(m->inputs[i].description);
        vl_free(m->inputs[i].values);
    }
    for (uint32_t i = 0; m->steps && i < m->step_count; i++) {
        vl_free(m->steps[i].table);
        vl_free(m->steps[i].keys);
    }
    for (uint32_t i = 0; m->outputs && i < m->output_count; i++) vl_free(m->outputs[i]);
    vl_free(m->inputs);
    vl_free(m->steps);
    vl_free(m->features);
    vl_free(m->seen);
    vl_free(m->covered);
    vl_free(m->outputs);
    vl_free(m->keys);
    vl_free(m->bootstrap_name);
    vl_free(m->low_keys);
    *m = (vl_manifest){0};
}

uint32_t vl_manifest_dim(const vl_manifest *m) {
    uint64_t dim = 0;
    for (uint32_t i = 0; i < m->feature_count; i++) dim += m->features[i].depth ? m->features[i].depth : 1;
    return dim > UINT32_MAX ? UINT32_MAX : (uint32_t)dim;
}

uint32_t vl_manifest_columns(const vl_manifest *m) { return m->epilogue == VL_EPILOGUE_ARGMAX ? 1 : m->output_count; }

// ---- prologue and epilogue ----

static velum_status check_input(const vl_input *in, uint64_t row, double v) {
    unsigned long long r = (unsigned long long)row;
    VL_FAIL_IF(isnan(v), VELUM_E_VALUE, "row %llu: field '%s' is missing or not a number", r, in->name);
    VL_FAIL_IF(!isfinite(v), VELUM_E_VALUE, "row %llu: field '%s' is not finite", r, in->name);
    VL_FAIL_IF(v < in->lo || v > in->hi, VELUM_E_VALUE, "row %llu: field '%s' is %.9g, outside %.9g to %.9g", r,
               in->name, v, in->lo, in->hi);
    if (in->value_count == 0) return VELUM_OK;
    for (uint32_t i = 0; i < in->value_count; i++)
        if (in->values[i] == v) return VELUM_OK;
    char list[160] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < in->value_count && at < sizeof list - 32; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%.9g", i ? ", " : "", in->values[i]);
    return VL_FAIL(VELUM_E_VALUE, "row %llu: field '%s' is %.9g, not one of %s", r, in->name, v, list);
}

// The input that a step derives from, for messages.
static const char *origin(const vl_manifest *m, uint32_t step) {
    while (m->steps[step].kind != VL_STEP_INPUT) step = m->steps[step].src;
    return m->inputs[m->steps[step].src].name;
}

static velum_status run_step(const vl_manifest *m, uint64_t row, uint32_t i, const double *raw, double *value) {
    const vl_step *s = &m->steps[i];
    unsigned long long r = (unsigned long long)row;
    if (s->kind == VL_STEP_INPUT) {
        value[i] = raw[s->src];
        return VELUM_OK;
    }
    double x = value[s->src];
    if (vl_step_run(s, x, &value[i])) return VELUM_OK;
    VL_FAIL_IF(s->kind == VL_STEP_TABLE, VELUM_E_VALUE, "row %llu: field '%s' gives %.9g, outside its table of %u", r,
               origin(m, i), x, s->table_count);
    VL_FAIL_IF(s->kind == VL_STEP_MAP, VELUM_E_VALUE, "row %llu: field '%s' gives %.17g, not an integer within 2^53", r,
               origin(m, i), x);
    VL_FAIL_IF(s->kind == VL_STEP_LOG || s->kind == VL_STEP_SQRT || s->kind == VL_STEP_RECIPROCAL, VELUM_E_VALUE,
               "row %llu: field '%s' gives %.9g, of which there is no %s", r, origin(m, i), x, vl_step_text(s->kind));
    return VL_FAIL(VELUM_E_VALUE, "row %llu: field '%s' overflows", r, origin(m, i));
}

velum_status vl_manifest_prologue(const vl_manifest *m, uint64_t row, const double *raw, double *features) {
    for (uint32_t i = 0; i < m->input_count; i++) VL_TRY(check_input(&m->inputs[i], row, raw[i]));
    double *value = vl_alloc_array(m->step_count, sizeof *value);
    VL_FAIL_IF(!value, VELUM_E_NOMEM, "prologue: %u steps", m->step_count);
    velum_status status = VELUM_OK;
    for (uint32_t i = 0; i < m->step_count && status == VELUM_OK; i++) status = run_step(m, row, i, raw, value);
    for (uint32_t i = 0; i < m->feature_count && status == VELUM_OK; i++) {
        const vl_feature *f = &m->features[i];
        double v = value[f->step];
        if (f->depth == 0) {
            *features++ = v;
            continue;
        }
        if (!(v >= 0 && v < f->depth) || v != floor(v)) {
            status = VL_FAIL(VELUM_E_VALUE, "row %llu: field '%s' gives index %.9g of a table with %u rows",
                             (unsigned long long)row, origin(m, f->step), v, f->depth);
            break;
        }
        memset(features, 0, f->depth * sizeof *features);
        features[(uint32_t)v] = 1;
        features += f->depth;
    }
    vl_secure_zero(value, m->step_count * sizeof *value);
    vl_free(value);
    return status;
}

void vl_manifest_epilogue(const vl_manifest *m, double *out) {
    uint32_t n = m->output_count, best = 0;
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        if (out[i] > out[best]) best = i;
    double top = out[best];
    switch (m->epilogue) {
    case VL_EPILOGUE_SIGMOID:
        for (uint32_t i = 0; i < n; i++) out[i] = 1 / (1 + exp(-out[i]));
        break;
    case VL_EPILOGUE_SOFTMAX:
        for (uint32_t i = 0; i < n; i++) sum += out[i] = exp(out[i] - top);
        for (uint32_t i = 0; i < n; i++) out[i] /= sum;
        break;
    case VL_EPILOGUE_ARGMAX: out[0] = best; break;
    default: break;
    }
}

// ---- saved form ----

static void save_doubles(vl_writer *w, const double *v, uint32_t n) {
    vl_write_u32(w, n);
    for (uint32_t i = 0; i < n; i++) vl_write_f64(w, v[i]);
}

static void save_keys(vl_writer *w, const vl_key_request *keys, uint32_t count) {
    vl_write_u32(w, count);
    for (uint32_t i = 0; i < count; i++) {
        vl_write_u64(w, keys[i].galois);
        vl_write_u16(w, keys[i].level);
    }
}

// A set's small numbers, in the order in which they are saved.
#define SET_FIELDS 16
static void set_fields(vl_bootstrap_params *b, uint8_t *field[SET_FIELDS]) {
    uint8_t *const all[SET_FIELDS] = {&b->log_n,       &b->log_slots, &b->cts_factors, &b->cts_bits,
                                      &b->stc_factors, &b->stc_bits,  &b->mod_bits,    &b->left,
                                      &b->left_bits,   &b->special,   &b->digit_limbs, &b->range,
                                      &b->degree,      &b->doublings, &b->arcsine,     NULL};
    memcpy(field, all, sizeof all);
}

static void save_bootstrap(const vl_manifest *m, vl_writer *w) {
    vl_bootstrap_params b = m->bootstrap;
    uint8_t *field[SET_FIELDS];
    set_fields(&b, field);
    vl_write_string(w, b.name ? b.name : "");
    vl_write_u8(w, (uint8_t)b.order);
    for (uint32_t i = 0; field[i]; i++) vl_write_u8(w, *field[i]);
    vl_write_f64(w, b.log_ratio);
    vl_write_u16(w, b.weight);
    vl_write_u16(w, b.security_bits);
    vl_write_u8(w, m->low.q_count != 0);
    if (m->low.q_count) vl_params_save(&m->low, w);
    save_keys(w, m->low_keys, m->low_key_count);
    vl_write_u32(w, m->raise.weight);
    vl_write_u16(w, m->raise.level);
    vl_write_u8(w, (uint8_t)m->raise.subring);
    vl_write_u32(w, m->raise.sums);
    vl_write_u32(w, (uint32_t)m->raise.step);
}

static void save_ranges(vl_writer *w, const vl_range *r, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        vl_write_f64(w, r[i].lo);
        vl_write_f64(w, r[i].hi);
    }
}

static void save_calibration(const vl_manifest *m, vl_writer *w) {
    vl_write_u8(w, m->seen != NULL);
    if (!m->seen) return;
    save_ranges(w, m->seen, m->input_count);
    save_ranges(w, m->covered, m->feature_count);
}

void vl_manifest_save(const vl_manifest *m, vl_writer *w) {
    vl_write_string(w, m->model ? m->model : "");
    vl_write_string(w, m->metric ? m->metric : "");
    vl_params_save(&m->params, w);
    vl_write_u32(w, m->input_count);
    for (uint32_t i = 0; i < m->input_count; i++) {
        const vl_input *in = &m->inputs[i];
        vl_write_string(w, in->name);
        vl_write_string(w, in->description ? in->description : "");
        vl_write_f64(w, in->lo);
        vl_write_f64(w, in->hi);
        save_doubles(w, in->values, in->value_count);
    }
    vl_write_u32(w, m->step_count);
    for (uint32_t i = 0; i < m->step_count; i++) {
        const vl_step *s = &m->steps[i];
        vl_write_u8(w, (uint8_t)s->kind);
        vl_write_u32(w, s->src);
        vl_write_f64(w, s->a);
        vl_write_f64(w, s->b);
        save_doubles(w, s->table, s->table_count);
        for (uint32_t k = 0; s->kind == VL_STEP_MAP && k < s->table_count; k++) vl_write_f64(w, s->keys[k]);
    }
    vl_write_u32(w, m->feature_count);
    for (uint32_t i = 0; i < m->feature_count; i++) {
        vl_write_u32(w, m->features[i].step);
        vl_write_u32(w, m->features[i].depth);
    }
    save_calibration(m, w);
    vl_layout_save(&m->in, w);
    vl_write_u16(w, m->in_level);
    vl_write_f64(w, m->in_scale);
    vl_layout_save(&m->out, w);
    vl_write_u16(w, m->out_level);
    vl_write_f64(w, m->out_scale);
    vl_write_u32(w, m->output_count);
    for (uint32_t i = 0; i < m->output_count; i++) vl_write_string(w, m->outputs[i]);
    vl_write_u8(w, (uint8_t)m->epilogue);
    vl_write_f64(w, m->error_bound);
    vl_write_f64(w, m->error_expected);
    save_keys(w, m->keys, m->key_count);
    vl_write_u16(w, m->zero_nq);
    vl_write_u8(w, m->bootstrapped);
    if (m->bootstrapped) save_bootstrap(m, w);
}

// Allocates an array for a count that was just read; a count of 0 gives NULL.
#define LOAD_ARRAY(array, count, what)                                                                                 \
    do {                                                                                                               \
        VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "%s: cut short or too many", what);                                         \
        if ((count) && !((array) = vl_alloc_array((count), sizeof *(array))))                                          \
            return VL_FAIL(VELUM_E_NOMEM, "%s: %u of them", what, (unsigned)(count));                                  \
    } while (0)

static velum_status load_doubles(vl_reader *r, const char *what, uint32_t *count, double **out) {
    *count = vl_read_count(r, 1u << 24, 8);
    LOAD_ARRAY(*out, *count, what);
    for (uint32_t i = 0; i < *count; i++) {
        (*out)[i] = vl_read_f64(r);
        VL_FAIL_IF(!isfinite((*out)[i]), VELUM_E_FORMAT, "%s: value %u is not finite", what, i);
    }
    return VELUM_OK;
}

static velum_status load_inputs(vl_reader *r, vl_manifest *m) {
    m->input_count = vl_read_count(r, VL_MAX_INPUTS, 24);
    LOAD_ARRAY(m->inputs, m->input_count, "inputs");
    for (uint32_t i = 0; i < m->input_count; i++) {
        vl_input *in = &m->inputs[i];
        in->name = vl_read_string(r, VL_MAX_NAME);
        in->description = vl_read_string(r, VL_MAX_NAME);
        in->lo = vl_read_f64(r);
        in->hi = vl_read_f64(r);
        VL_FAIL_IF(!in->name || !in->name[0] || !in->description || !(in->lo <= in->hi), VELUM_E_FORMAT,
                   "input %u: bad name or range", i);
        VL_TRY(load_doubles(r, in->name, &in->value_count, &in->values));
    }
    return VELUM_OK;
}

// Of a map: what follows its values.
static velum_status load_keys_of(vl_reader *r, uint32_t i, vl_step *s, uint64_t *total) {
    *total += s->table_count;
    VL_FAIL_IF(*total > VL_MAX_MAP, VELUM_E_LIMIT, "prologue step %u: more than %u keys", i, VL_MAX_MAP);
    VL_FAIL_IF(s->table_count == 0 || !isfinite(s->a) || (s->b != 0 && s->b != 1), VELUM_E_FORMAT,
               "prologue step %u: bad map", i);
    VL_FAIL_IF(vl_reader_left(r) / 8 < s->table_count, VELUM_E_FORMAT, "prologue step %u: cut short", i);
    LOAD_ARRAY(s->keys, s->table_count, "prologue keys");
    for (uint32_t k = 0; k < s->table_count; k++) {
        s->keys[k] = vl_read_f64(r);
        VL_FAIL_IF(!isfinite(s->keys[k]) || (k && !(s->keys[k] > s->keys[k - 1])), VELUM_E_FORMAT,
                   "prologue step %u: key %u is not above the one before", i, k);
    }
    return VELUM_OK;
}

static velum_status load_steps(vl_reader *r, vl_manifest *m) {
    uint64_t keys = 0;
    m->step_count = vl_read_count(r, VL_MAX_STEPS, 25);
    LOAD_ARRAY(m->steps, m->step_count, "prologue");
    for (uint32_t i = 0; i < m->step_count; i++) {
        vl_step *s = &m->steps[i];
        uint8_t kind = vl_read_u8(r);
        s->src = vl_read_u32(r);
        s->a = vl_read_f64(r);
        s->b = vl_read_f64(r);
        VL_FAIL_IF(r->bad || kind >= VL_STEP_KINDS, VELUM_E_FORMAT, "prologue step %u: bad kind %u", i, kind);
        s->kind = (vl_step_kind)kind;
        VL_FAIL_IF(s->src >= (kind == VL_STEP_INPUT ? m->input_count : i), VELUM_E_FORMAT,
                   "prologue step %u: bad source %u", i, s->src);
        VL_FAIL_IF(isnan(s->a) || isnan(s->b), VELUM_E_FORMAT, "prologue step %u: bad constant", i);
        VL_FAIL_IF((kind == VL_STEP_DIV || kind == VL_STEP_MOD) && !(s->a >= 1 && isfinite(s->a)), VELUM_E_FORMAT,
                   "prologue step %u: divisor %g", i, s->a);
        VL_TRY(load_doubles(r, "prologue table", &s->table_count, &s->table));
        if (kind == VL_STEP_MAP) VL_TRY(load_keys_of(r, i, s, &keys));
    }
    m->feature_count = vl_read_count(r, VL_MAX_FEATURES, 8);
    LOAD_ARRAY(m->features, m->feature_count, "features");
    for (uint32_t i = 0; i < m->feature_count; i++) {
        vl_feature *f = &m->features[i];
        f->step = vl_read_u32(r);
        f->depth = vl_read_u32(r);
        VL_FAIL_IF(f->step >= m->step_count || f->depth > VL_MAX_FEATURES, VELUM_E_FORMAT,
                   "feature %u: step %u, depth %u", i, f->step, f->depth);
    }
    return VELUM_OK;
}

static velum_status load_ranges(vl_reader *r, const char *what, uint32_t count, vl_range **out) {
    VL_FAIL_IF(vl_reader_left(r) / 16 < count, VELUM_E_FORMAT, "%s: cut short", what);
    LOAD_ARRAY(*out, count, what);
    for (uint32_t i = 0; i < count; i++) {
        vl_range *at = &(*out)[i];
        at->lo = vl_read_f64(r);
        at->hi = vl_read_f64(r);
        VL_FAIL_IF(!isfinite(at->lo) || !isfinite(at->hi) || at->lo > at->hi, VELUM_E_FORMAT,
                   "%s: range %u is %g to %g", what, i, at->lo, at->hi);
    }
    return VELUM_OK;
}

static velum_status load_calibration(vl_reader *r, vl_manifest *m) {
    uint8_t calibrated = vl_read_u8(r);
    VL_FAIL_IF(r->bad || calibrated > 1, VELUM_E_FORMAT, "calibration: cut short");
    if (!calibrated) return VELUM_OK;
    VL_TRY(load_ranges(r, "calibrated inputs", m->input_count, &m->seen));
    return load_ranges(r, "calibrated features", m->feature_count, &m->covered);
}

static velum_status check_port(const char *what, const vl_params_literal *p, const vl_layout *l, uint16_t level,
                               double scale) {
    VL_FAIL_IF(level == 0 || level > p->q_count, VELUM_E_FORMAT, "%s: level %u of %u", what, level, p->q_count);
    VL_FAIL_IF(!isnormal(scale) || scale < 1 || scale > 0x1p60, VELUM_E_FORMAT, "%s: scale %g", what, scale);
    VL_FAIL_IF(l->slots != (1u << (p->log_n - 1)), VELUM_E_FORMAT, "%s: %u slots in a ring of 2^%u", what, l->slots,
               p->log_n);
    return VELUM_OK;
}

static velum_status load_keys(vl_reader *r, const vl_params_literal *p, uint32_t *count, vl_key_request **keys) {
    *count = vl_read_count(r, VL_MAX_KEYS, 10);
    LOAD_ARRAY(*keys, *count, "key list");
    for (uint32_t i = 0; i < *count; i++) {
        vl_key_request *k = &(*keys)[i];
        k->galois = vl_read_u64(r);
        k->level = vl_read_u16(r);
        bool bad = k->level == 0 || k->level > p->q_count || k->galois >= (2ull << p->log_n) ||
                   (k->galois != 0 && k->galois % 2 == 0) || (i && k->galois <= (*keys)[i - 1].galois);
        VL_FAIL_IF(bad, VELUM_E_FORMAT, "key list: entry %u (element %llu, level %u)", i, (unsigned long long)k->galois,
                   k->level);
    }
    return VELUM_OK;
}

// The client makes keys from these numbers: they must be of the program's own ring, secret and security.
static velum_status load_bootstrap(vl_reader *r, vl_manifest *m) {
    vl_bootstrap_params *b = &m->bootstrap;
    const vl_params_literal *p = &m->params;
    uint8_t *field[SET_FIELDS];
    set_fields(b, field);
    VL_FAIL_IF(!(b->name = m->bootstrap_name = vl_read_string(r, VL_MAX_NAME)), VELUM_E_FORMAT, "bootstrap: bad name");
    uint8_t order = vl_read_u8(r);
    b->order = (vl_bootstrap_order)order;
    for (uint32_t i = 0; field[i]; i++) *field[i] = vl_read_u8(r);
    b->log_ratio = vl_read_f64(r);
    b->weight = vl_read_u16(r);
    b->security_bits = vl_read_u16(r);
    VL_FAIL_IF(r->bad || order > VL_COEFFS_FIRST, VELUM_E_FORMAT, "bootstrap: order %u", order);
    uint8_t low = vl_read_u8(r);
    VL_FAIL_IF(r->bad || low > 1, VELUM_E_FORMAT, "bootstrap: cut short");
    if (low) {
        VL_TRY(vl_params_load(r, &m->low));
        VL_FAIL_IF(m->low.log_n > p->log_n || m->low.secret_weight != p->secret_weight ||
                       m->low.security_bits != p->security_bits,
                   VELUM_E_FORMAT,
                   "bootstrap: the parameters of its lowest levels are of a larger ring or another secret");
    }
    VL_TRY(load_keys(r, &m->low, &m->low_key_count, &m->low_keys));
    vl_encapsulation_shape *raise = &m->raise;
    raise->weight = vl_read_u32(r);
    raise->level = vl_read_u16(r);
    raise->subring = vl_read_u8(r);
    raise->sums = vl_read_u32(r);
    raise->step = (int32_t)vl_read_u32(r);
    VL_FAIL_IF(r->bad || raise->sums == 0 || raise->sums > VL_ENCAPSULATION_MAX_SUMS || raise->step < 0 ||
                   (uint32_t)raise->step > 1u << p->log_n || raise->subring < 1 || raise->subring > 2 ||
                   raise->weight == 0 || raise->weight > (1u << p->log_n) / raise->subring || raise->level < 2 ||
                   raise->level > p->q_count,
               VELUM_E_FORMAT, "bootstrap: a raise by weight %u to level %u", raise->weight, raise->level);
    return VELUM_OK;
}

static velum_status load_manifest(vl_reader *r, vl_manifest *m) {
    m->model = vl_read_string(r, VL_MAX_NAME);
    m->metric = vl_read_string(r, VL_MAX_NAME);
    VL_FAIL_IF(!m->model || !m->metric, VELUM_E_FORMAT, "manifest: bad name");
    VL_TRY(vl_params_load(r, &m->params));
    VL_FAIL_IF(m->params.log_n < 4 || m->params.log_n > 17, VELUM_E_FORMAT, "manifest: ring of 2^%u", m->params.log_n);
    VL_TRY(load_inputs(r, m));
    VL_TRY(load_steps(r, m));
    VL_TRY(load_calibration(r, m));
    VL_TRY(vl_layout_load(r, &m->in));
    m->in_level = vl_read_u16(r);
    m->in_scale = vl_read_f64(r);
    VL_TRY(check_port("input", &m->params, &m->in, m->in_level, m->in_scale));
    VL_FAIL_IF(m->in.dim != vl_manifest_dim(m), VELUM_E_FORMAT, "input: %u features, %u made", m->in.dim,
               vl_manifest_dim(m));
    VL_TRY(vl_layout_load(r, &m->out));
    m->out_level = vl_read_u16(r);
    m->out_scale = vl_read_f64(r);
    VL_TRY(check_port("output", &m->params, &m->out, m->out_level, m->out_scale));
    VL_FAIL_IF(m->in.lanes != m->out.lanes, VELUM_E_FORMAT, "%u lanes in, %u out", m->in.lanes, m->out.lanes);
    m->output_count = vl_read_count(r, VL_MAX_FEATURES, 2);
    VL_FAIL_IF(m->output_count != m->out.dim, VELUM_E_FORMAT, "%u outputs named, %u made", m->output_count, m->out.dim);
    LOAD_ARRAY(m->outputs, m->output_count, "outputs");
    for (uint32_t i = 0; i < m->output_count; i++)
        VL_FAIL_IF(!(m->outputs[i] = vl_read_string(r, VL_MAX_NAME)), VELUM_E_FORMAT, "output %u: bad name", i);
    uint8_t epilogue = vl_read_u8(r);
    m->error_bound = vl_read_f64(r);
    m->error_expected = vl_read_f64(r);
    VL_FAIL_IF(epilogue >= VL_EPILOGUES || !(m->error_bound >= 0) || !isfinite(m->error_bound), VELUM_E_FORMAT,
               "manifest: epilogue %u, error bound %g", epilogue, m->error_bound);
    VL_FAIL_IF(!(m->error_expected >= 0) || !isfinite(m->error_expected), VELUM_E_FORMAT, "manifest: expected error %g",
               m->error_expected);
    m->epilogue = (vl_epilogue)epilogue;
    VL_TRY(load_keys(r, &m->params, &m->key_count, &m->keys));
    m->zero_nq = vl_read_u16(r);
    uint8_t bootstrapped = vl_read_u8(r);
    VL_FAIL_IF(r->bad || m->zero_nq > m->params.q_count || bootstrapped > 1, VELUM_E_FORMAT, "key list: cut short");
    m->bootstrapped = bootstrapped;
    return bootstrapped ? load_bootstrap(r, m) : VELUM_OK;
}

velum_status vl_manifest_load(vl_reader *r, vl_manifest *out) {
    vl_manifest m = {0};
    velum_status status = load_manifest(r, &m);
    if (status != VELUM_OK) {
        vl_manifest_clear(&m);
        return status;
    }
    *out = m;
    return VELUM_OK;
}

velum_status vl_client_half_load(const void *data, size_t size, vl_manifest *m,
                                 uint8_t program_digest[VL_DIGEST_BYTES]) {
    vl_reader r;
    vl_manifest loaded = {0};
    uint8_t digest[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(data, size, VL_FRAME_CLIENT, &r, digest));
    VL_TRY(vl_manifest_load(&r, &loaded));
    if (vl_reader_left(&r) != 0) {
        vl_manifest_clear(&loaded);
        return VL_FAIL(VELUM_E_FORMAT, "client program: bytes left over");
    }
    memcpy(program_digest, digest, sizeof digest);
    *m = loaded;
    return VELUM_OK;
}
