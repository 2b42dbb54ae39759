// SPDX-License-Identifier: Apache-2.0
// The server: one program, one client's evaluation keys, queries in, answers out. Holds no secret.
#include "base/clock.h"
#include "runtime/program_api.h"
#include "wire/wire.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct velum_server {
    const velum_program *program;
    vl_exec exec;
    uint8_t key_id[VL_KEY_ID_BYTES];
    vl_eval_keys keys;
    vl_bootstrap_keys own; // where the program bootstraps
    vl_runtime *runtime;
    velum_progress_fn progress; // may be NULL
    void *progress_arg;
};

// Every key that the program lists must be there, at its level.
static velum_status check_keys(const vl_manifest *m, const vl_eval_keys *keys) {
    for (uint32_t i = 0; i < m->key_count; i++) {
        const vl_switch_key *k = vl_eval_keys_find(keys, m->keys[i].galois);
        VL_FAIL_IF(!k || k->nq < m->keys[i].level, VELUM_E_MISMATCH,
                   "evaluation keys: the key for element %llu at level %u is missing",
                   (unsigned long long)m->keys[i].galois, m->keys[i].level);
    }
    VL_FAIL_IF(keys->zero_nq < m->out_level, VELUM_E_MISMATCH, "evaluation keys: the public encryption key is missing");
    return VELUM_OK;
}

static velum_status load_keys(velum_server *s, const void *data, size_t size, bool lasting) {
    const velum_program *p = s->program;
    vl_reader r;
    vl_eval_head head;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open_parallel(s->exec.pool, data, size, VL_FRAME_EVAL, &r, binding));
    VL_TRY(vl_wire_same_program(binding, p->program.digest, "evaluation keys"));
    r.lasting = lasting;
    VL_TRY(vl_wire_eval_head_load(&r, &head));
    VL_FAIL_IF(head.bootstraps != p->program.manifest.bootstrapped, VELUM_E_MISMATCH,
               "evaluation keys: %s keys of a bootstrap, but the program has %s", head.bootstraps ? "with" : "without",
               head.bootstraps ? "none" : "one");
    memcpy(s->key_id, head.key_id, sizeof s->key_id);
    VL_TRY(vl_eval_keys_load(&s->exec, p->params, &r, &s->keys));
    if (head.bootstraps) VL_TRY(vl_runtime_load_keys(&s->exec, p->params, &p->program, &r, &s->own));
    VL_FAIL_IF(r.bad || vl_reader_left(&r) != 0, VELUM_E_FORMAT, "evaluation keys: wrong size");
    return check_keys(&p->program.manifest, &s->keys);
}

static velum_status prepare(velum_server *s, const void *keys, size_t size, bool lasting, unsigned threads) {
    const velum_program *p = s->program;
    VL_TRY(vl_exec_init(&s->exec, threads, vl_runtime_plan(p->params, &p->program).scratch));
    VL_TRY(load_keys(s, keys, size, lasting));
    return vl_runtime_new(&s->exec, p->params, p->encoder, &p->program, &s->runtime);
}

static velum_status new_server(const velum_program *p, const void *eval_keys, size_t size, bool lasting,
                               unsigned threads, velum_server **out) {
    velum_server *s = vl_alloc(sizeof *s);
    VL_FAIL_IF(!s, VELUM_E_NOMEM, "server");
    s->program = p;
    velum_status status = prepare(s, eval_keys, size, lasting, threads);
    if (status != VELUM_OK) {
        velum_server_free(s);
        return status;
    }
    *out = s;
    return VELUM_OK;
}

velum_status velum_server_new(const velum_program *p, const void *eval_keys, size_t size, unsigned threads,
                              velum_server **out) {
    return new_server(p, eval_keys, size, false, threads, out);
}

velum_status velum_server_new_borrowing(const velum_program *p, const void *eval_keys, size_t size, unsigned threads,
                                        velum_server **out) {
    return new_server(p, eval_keys, size, true, threads, out);
}

void velum_server_free(velum_server *s) {
    if (!s) return;
    vl_runtime_free(s->runtime);
    vl_eval_keys_free(&s->keys);
    vl_bootstrap_keys_free(&s->own);
    vl_exec_clear(&s->exec);
    vl_free(s);
}

void velum_server_on_progress(velum_server *s, velum_progress_fn fn, void *arg) {
    s->progress = fn;
    s->progress_arg = arg;
}

typedef struct taker { // who gets the results of operations; each NULL: nobody
    velum_write_fn each;
    void *arg;
} taker;

// One group of a query's.
typedef struct group_run {
    velum_server *s;
    const vl_message *head;
    taker taker;
    uint32_t index, count;
    double begin; // of the query
} group_run;

static void tell(void *arg, uint32_t done, uint32_t count, double seconds, double left) {
    const group_run *g = arg;
    const vl_program *p = &g->s->program->program;
    uint32_t after = g->count - g->index - 1; // groups
    const velum_progress now = {.stage = done < count ? p->ops[done].name
                                         : after      ? p->ops[0].name
                                                      : "",
                                .done = (uint64_t)g->index * count + done,
                                .count = (uint64_t)g->count * count,
                                .seconds = vl_now() - g->begin,
                                .left = left + after * (seconds + left)};
    g->s->progress(g->s->progress_arg, &now);
}

static velum_status hand_out_one(const group_run *g, const vl_layer_head *h, const vl_ciphertext *ct) {
    const velum_program *p = g->s->program;
    vl_writer w = vl_writer_of(VL_MAX_MESSAGE);
    vl_frame_begin(&w, VL_FRAME_LAYER, p->program.digest);
    vl_wire_layer_save(h, &w);
    vl_ciphertext_save(p->params, ct, &w);
    velum_status status = vl_frame_end(&w);
    if (status == VELUM_OK && g->taker.each(g->taker.arg, w.data, w.size) != 0)
        status = VL_FAIL(VELUM_E_IO, "the result of '%s' could not be handed out", h->name);
    vl_writer_clear(&w);
    return status;
}

static velum_status hand_out(void *arg, uint32_t op, const vl_ciphertext *ct, uint32_t count) {
    const group_run *g = arg;
    const vl_program *p = &g->s->program->program;
    const uint32_t lanes = p->manifest.in.lanes;
    vl_layer_head h = {.op = op, .first = (uint64_t)g->index * lanes, .layout = p->values[p->ops[op].dst].layout};
    const uint64_t left = g->head->requests - h.first;
    h.rows = left < lanes ? (uint32_t)left : lanes;
    memcpy(h.key_id, g->head->key_id, sizeof h.key_id);
    snprintf(h.name, sizeof h.name, "%s", p->ops[op].name);
    for (h.ct = 0; h.ct < count; h.ct++) VL_TRY(hand_out_one(g, &h, &ct[h.ct]));
    return VELUM_OK;
}

// The query's ciphertexts of one group are loaded, run, and the answers written, before the next group is touched:
// memory stays that of one group.
static velum_status run_group(group_run *g, vl_reader *r, vl_ciphertext *in, vl_ciphertext *out, double *seconds,
                              vl_writer *w) {
    velum_server *s = g->s;
    const velum_program *p = s->program;
    const vl_manifest *m = &p->program.manifest;
    double start = vl_now();
    for (uint32_t i = 0; i < m->in.cts; i++) {
        VL_TRY(vl_ciphertext_load(&s->exec, p->params, r, true, m->in_level, m->in_scale, &in[i]));
        VL_FAIL_IF(in[i].degree != 1, VELUM_E_FORMAT, "query: ciphertext %u has degree %u, must be 1", i, in[i].degree);
    }
    seconds[p->program.op_count] += vl_now() - start;
    const vl_bootstrap_keys *own = m->bootstrapped ? &s->own : NULL;
    const vl_progress progress = {tell, g};
    VL_TRY(vl_runtime_run_probe(s->runtime, &s->exec, &s->keys, own, in, out, seconds, s->progress ? &progress : NULL,
                                g->taker.each ? hand_out : NULL, g));
    start = vl_now();
    for (uint32_t i = 0; i < m->out.cts; i++) vl_ciphertext_save(p->params, &out[i], w);
    seconds[p->program.op_count + 1] += vl_now() - start;
    return VELUM_OK;
}

static void free_all(vl_ciphertext *ct, uint32_t n) {
    for (uint32_t i = 0; ct && i < n; i++) vl_ciphertext_free(&ct[i]);
}

static velum_status run_groups(velum_server *s, vl_reader *r, const vl_message *head, taker to, double *seconds,
                               vl_writer *w) {
    const vl_manifest *m = &s->program->program.manifest;
    vl_ciphertext *in = vl_alloc_array(m->in.cts, sizeof *in), *out = vl_alloc_array(m->out.cts, sizeof *out);
    velum_status status = in && out ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "query: %u ciphertexts", m->in.cts);
    group_run run = {.s = s, .head = head, .taker = to, .count = head->groups, .begin = vl_now()};
    for (uint32_t g = 0; g < head->groups && status == VELUM_OK; g++) {
        run.index = g;
        status = run_group(&run, r, in, out, seconds, w);
        free_all(in, m->in.cts);
        free_all(out, m->out.cts);
    }
    if (status == VELUM_OK && (r->bad || vl_reader_left(r) != 0)) status = VL_FAIL(VELUM_E_FORMAT, "query: wrong size");
    vl_free(in);
    vl_free(out);
    return status;
}

// Its name in the program; where several operations have that, what it does too, and its number among such.
static void name_stage(const vl_program *p, uint32_t at, char *out, size_t size) {
    const char *name = p->ops[at].name;
    uint32_t same = 0, before = 0;
    for (uint32_t i = 0; i < p->op_count; i++) {
        if (strcmp(p->ops[i].name, name) != 0) continue;
        same++;
        before += i < at && p->ops[i].kind == p->ops[at].kind;
    }
    if (same == 1)
        snprintf(out, size, "%s", name);
    else if (before == 0)
        snprintf(out, size, "%.40s: %s", name, vl_op_text(p->ops[at].kind));
    else
        snprintf(out, size, "%.40s: %s %u", name, vl_op_text(p->ops[at].kind), before + 1);
}

static void fill_report(const velum_server *s, const vl_message *head, double total, const double *seconds,
                        velum_report *report) {
    const vl_program *p = &s->program->program;
    report->seconds = total;
    report->requests = head->requests;
    report->threads = vl_pool_threads(s->exec.pool);
    report->peak_rss_bytes = vl_peak_rss();
    report->stage_count = 0;
    report->predicted_seconds = 0;
    const double groups = ceil((double)head->requests / p->manifest.in.lanes);
    for (uint32_t i = 0; i < p->op_count + 2; i++) {
        if (report->stage_count == VELUM_MAX_STAGES) break;
        velum_stage *stage = &report->stages[report->stage_count++];
        if (i < p->op_count)
            name_stage(p, i, stage->name, sizeof stage->name);
        else
            snprintf(stage->name, sizeof stage->name, i == p->op_count ? "load query" : "save answer");
        stage->seconds = seconds[i];
        stage->predicted_seconds = i < p->op_count ? groups * p->ops[i].seconds : 0;
        report->predicted_seconds += stage->predicted_seconds;
    }
}

static velum_status answer_query(velum_server *s, const void *query, size_t size, taker to, double *seconds,
                                 vl_message *head, vl_writer *w) {
    const vl_program *p = &s->program->program;
    vl_reader r;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(query, size, VL_FRAME_QUERY, &r, binding));
    VL_TRY(vl_wire_same_program(binding, p->digest, "query"));
    VL_TRY(vl_wire_head_load(&r, "query", &p->manifest.in, head));
    VL_TRY(vl_wire_same_key(head->key_id, s->key_id, "query"));
    vl_message reply = *head;
    reply.cts = p->manifest.out.cts;
    vl_frame_begin(w, VL_FRAME_ANSWER, p->digest);
    vl_wire_head_save(&reply, w);
    VL_TRY(run_groups(s, &r, head, to, seconds, w));
    return vl_frame_end(w);
}

static velum_status infer(velum_server *s, const void *query, size_t size, taker to, velum_buffer *answer,
                          velum_report *report) {
    double start = vl_now();
    vl_message head;
    double *seconds = vl_alloc_array(s->program->program.op_count + 2, sizeof *seconds);
    VL_FAIL_IF(!seconds, VELUM_E_NOMEM, "query");
    vl_writer w = vl_writer_of(VL_MAX_MESSAGE);
    velum_status status = answer_query(s, query, size, to, seconds, &head, &w);
    if (status == VELUM_OK) {
        if (report) fill_report(s, &head, vl_now() - start, seconds, report);
        *answer = (velum_buffer){w.data, w.size};
    } else {
        vl_writer_clear(&w);
    }
    vl_free(seconds);
    return status;
}

velum_status velum_server_infer(velum_server *s, const void *query, size_t size, velum_buffer *answer,
                                velum_report *report) {
    return infer(s, query, size, (taker){0}, answer, report);
}

velum_status velum_server_infer_layers(velum_server *s, const void *query, size_t size, velum_write_fn each, void *arg,
                                       velum_buffer *answer) {
    return infer(s, query, size, (taker){each, arg}, answer, NULL);
}
