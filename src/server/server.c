// SPDX-License-Identifier: Apache-2.0
// The server: one program, one client's evaluation keys, queries in, answers out. Holds no secret.
#include "base/clock.h"
#include "server/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

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
    memcpy(s->keys_digest, (const uint8_t *)data + size - VL_DIGEST_BYTES, VL_DIGEST_BYTES);
    VL_TRY(vl_eval_keys_load(&s->exec, p->params, &r, &s->keys));
    if (head.bootstraps) VL_TRY(vl_runtime_load_keys(&s->exec, p->params, &p->program, &r, &s->own));
    VL_FAIL_IF(r.bad || vl_reader_left(&r) != 0, VELUM_E_FORMAT, "evaluation keys: wrong size");
    return check_keys(&p->program.manifest, &s->keys);
}

static velum_status prepare(velum_server *s, const void *keys, size_t size, bool lasting, unsigned threads) {
    const velum_program *p = s->program;
    VL_TRY(vl_exec_init(&s->exec, threads, vl_runtime_plan_threads(p->params, &p->program, threads).scratch));
    vl_exec_touch(&s->exec); // part of loading, not of the first answer
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

unsigned velum_server_threads(const velum_server *s) { return vl_pool_threads(s->exec.pool); }

uint64_t velum_server_memory(const velum_server *s) {
    return vl_runtime_plan_threads(s->program->params, &s->program->program, velum_server_threads(s)).total;
}

void velum_server_on_progress(velum_server *s, velum_progress_fn fn, void *arg) {
    s->progress = fn;
    s->progress_arg = arg;
}

static void tell(void *arg, uint32_t done, uint32_t count, double seconds, double left) {
    const vl_answering *a = arg;
    const vl_program *p = &a->s->program->program;
    const uint32_t after = a->head.groups - a->group - 1;
    const velum_progress now = {.stage = done < count ? p->ops[done].name
                                         : after      ? p->ops[0].name
                                                      : "",
                                .done = (uint64_t)a->group * count + done,
                                .count = (uint64_t)a->head.groups * count,
                                .seconds = vl_now() - a->begin,
                                .left = left + after * (seconds + left)};
    a->s->progress(a->s->progress_arg, &now);
}

// One ciphertext of an operation's result.
static velum_status hand_out_one(const vl_answering *a, const vl_layer_head *h, const vl_ciphertext *ct) {
    const velum_program *p = a->s->program;
    vl_writer w = vl_writer_of(VL_MAX_MESSAGE);
    vl_frame_begin(&w, VL_FRAME_LAYER, p->program.digest);
    vl_wire_layer_save(h, &w);
    vl_ciphertext_save(p->params, ct, &w);
    velum_status status = vl_frame_end(&w);
    if (status == VELUM_OK && a->layers(a->layers_arg, w.data, w.size) != 0)
        status = VL_FAIL(VELUM_E_IO, "the result of '%s' could not be handed out", h->name);
    vl_writer_clear(&w);
    return status;
}

static velum_status hand_out(void *arg, uint32_t op, const vl_ciphertext *ct, uint32_t count) {
    const vl_answering *a = arg;
    const vl_program *p = &a->s->program->program;
    const uint32_t lanes = p->manifest.in.lanes;
    vl_layer_head h = {.op = op, .first = (uint64_t)a->group * lanes, .layout = p->values[p->ops[op].dst].layout};
    const uint64_t left = a->head.requests - h.first;
    h.rows = left < lanes ? (uint32_t)left : lanes;
    memcpy(h.key_id, a->head.key_id, sizeof h.key_id);
    snprintf(h.name, sizeof h.name, "%s", p->ops[op].name);
    for (h.ct = 0; h.ct < count; h.ct++) VL_TRY(hand_out_one(a, &h, &ct[h.ct]));
    return VELUM_OK;
}

static velum_status keep(void *arg, const vl_run_state *state) {
    vl_server_keep(arg, state);
    return VELUM_OK;
}

static velum_status load_group(const vl_answering *a, vl_reader *r, vl_ciphertext *in) {
    const velum_program *p = a->s->program;
    const vl_manifest *m = &p->program.manifest;
    for (uint32_t i = 0; i < m->in.cts; i++) {
        VL_TRY(vl_ciphertext_load(&a->s->exec, p->params, r, true, m->in_level, m->in_scale, &in[i]));
        VL_FAIL_IF(in[i].degree != 1, VELUM_E_FORMAT, "query: ciphertext %u has degree %u, must be 1", i, in[i].degree);
    }
    VL_FAIL_IF(a->group + 1 == a->head.groups && (r->bad || vl_reader_left(r) != 0), VELUM_E_FORMAT,
               "query: wrong size");
    return VELUM_OK;
}

static void free_all(vl_ciphertext *ct, uint32_t n) {
    for (uint32_t i = 0; ct && i < n; i++) vl_ciphertext_free(&ct[i]);
}

static void begin(void *arg) {
    const vl_answering *a = arg;
    if (a->group + 1 == a->head.groups && a->o->taken) a->o->taken(a->o->taken_arg);
}

// The query's ciphertexts of one group are loaded, run, and the answers written, before the next group is touched:
// memory stays that of one group. resume: the state that it goes on from, or NULL.
static velum_status run_group(vl_answering *a, vl_reader *r, vl_reader *resume, vl_ciphertext *in, vl_ciphertext *out) {
    velum_server *s = a->s;
    const velum_program *p = s->program;
    const vl_manifest *m = &p->program.manifest;
    double start = vl_now();
    VL_TRY(load_group(a, r, in));
    a->seconds[p->program.op_count] += vl_now() - start;
    const vl_progress progress = {tell, a};
    const vl_run_options o = {.takes_input = true,
                              .op_seconds = a->seconds,
                              .progress = s->progress ? &progress : NULL,
                              .probe = a->layers ? hand_out : NULL,
                              .between = a->keeping ? keep : NULL,
                              .begin = begin,
                              .arg = a,
                              .resume = resume};
    VL_TRY(vl_runtime_run_with(s->runtime, &s->exec, &s->keys, m->bootstrapped ? &s->own : NULL, in, out, &o));
    start = vl_now();
    for (uint32_t i = 0; i < m->out.cts; i++) vl_ciphertext_save(p->params, &out[i], a->w);
    a->seconds[p->program.op_count + 1] += vl_now() - start;
    return VELUM_OK;
}

static velum_status run_groups(vl_answering *a, vl_reader *r, vl_reader *resume, vl_ciphertext *in,
                               vl_ciphertext *out) {
    const vl_manifest *m = &a->s->program->program.manifest;
    const uint32_t first = a->group;
    for (a->group = 0; a->group < first; a->group++) { // answered before
        velum_status status = load_group(a, r, in);
        free_all(in, m->in.cts);
        VL_TRY(status);
    }
    for (; a->group < a->head.groups; a->group++) {
        velum_status status = run_group(a, r, a->group == first ? resume : NULL, in, out);
        free_all(in, m->in.cts);
        free_all(out, m->out.cts);
        VL_TRY(status);
        if (a->group + 1 == a->head.groups) break;
        a->group++; // for a checkpoint: the one that comes next
        vl_server_keep(a, NULL);
        a->group--;
    }
    return VELUM_OK;
}

static velum_status answer_groups(vl_answering *a, vl_reader *query) {
    const vl_manifest *m = &a->s->program->program.manifest;
    vl_reader state;
    vl_checkpoint_head h = {0};
    if (a->o->resume) {
        VL_TRY(vl_checkpoint_open(a->s, a->query_digest, a->head.groups, a->o->resume, a->o->resume_size, &state, &h));
        VL_TRY(vl_checkpoint_answers(a, &h, &state));
        a->resumed_at = (uint64_t)h.group * a->s->program->program.op_count + h.next;
    }
    vl_ciphertext *in = vl_alloc_array(m->in.cts, sizeof *in), *out = vl_alloc_array(m->out.cts, sizeof *out);
    velum_status status = in && out ? VELUM_OK : VL_FAIL(VELUM_E_NOMEM, "query: %u ciphertexts", m->in.cts);
    if (status == VELUM_OK) status = run_groups(a, query, h.next ? &state : NULL, in, out);
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

static void fill_report(const vl_answering *a, double total, velum_report *report) {
    const vl_program *p = &a->s->program->program;
    report->seconds = total;
    report->requests = a->head.requests;
    report->threads = vl_pool_threads(a->s->exec.pool);
    report->peak_rss_bytes = vl_peak_rss();
    report->resumed_at = a->resumed_at;
    report->stage_count = 0;
    report->predicted_seconds = 0;
    const double groups = ceil((double)a->head.requests / p->manifest.in.lanes);
    for (uint32_t i = 0; i < p->op_count + 2; i++) {
        const bool query = i == p->op_count;
        const double predicted = i < p->op_count ? p->ops[i].seconds : query ? p->query_seconds : p->answer_seconds;
        report->predicted_seconds += groups * predicted;
        if (report->stage_count == VELUM_MAX_STAGES) continue;
        velum_stage *stage = &report->stages[report->stage_count++];
        if (i < p->op_count)
            name_stage(p, i, stage->name, sizeof stage->name);
        else
            snprintf(stage->name, sizeof stage->name, query ? "load query" : "save answer");
        stage->seconds = a->seconds[i];
        stage->predicted_seconds = groups * predicted;
    }
}

static velum_status open_query(const velum_server *s, const void *query, size_t size, vl_reader *r, vl_message *head) {
    const vl_program *p = &s->program->program;
    uint8_t binding[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open(query, size, VL_FRAME_QUERY, r, binding));
    VL_TRY(vl_wire_same_program(binding, p->digest, "query"));
    VL_TRY(vl_wire_head_load(r, "query", &p->manifest.in, head));
    return vl_wire_same_key(head->key_id, s->key_id, "query");
}

// A frame ends with the digest of all before it.
static const uint8_t *digest_of(const void *frame, size_t size) {
    return (const uint8_t *)frame + size - VL_DIGEST_BYTES;
}

static velum_status answer_query(vl_answering *a, const void *query, size_t size) {
    const vl_program *p = &a->s->program->program;
    vl_reader r;
    VL_TRY(open_query(a->s, query, size, &r, &a->head));
    const uint32_t query_stage = p->op_count, answer_stage = p->op_count + 1;
    a->seconds[query_stage] = vl_now() - a->begin;
    memcpy(a->query_digest, digest_of(query, size), VL_DIGEST_BYTES);
    vl_message reply = a->head;
    reply.cts = p->manifest.out.cts;
    vl_frame_begin(a->w, VL_FRAME_ANSWER, p->digest);
    vl_wire_head_save(&reply, a->w);
    a->answers = a->w->size;
    VL_TRY(answer_groups(a, &r));
    const double start = vl_now();
    velum_status status = vl_frame_end(a->w);
    a->seconds[answer_stage] += vl_now() - start;
    return status;
}

// *a says who takes what.
static velum_status run_query(vl_answering *a, const void *query, size_t size, velum_buffer *answer,
                              velum_report *report) {
    vl_writer w = vl_writer_of(VL_MAX_MESSAGE);
    a->w = &w;
    a->begin = a->kept = vl_now();
    a->keeping = a->o->keep != NULL;
    a->seconds = vl_alloc_array(a->s->program->program.op_count + 2, sizeof *a->seconds);
    VL_FAIL_IF(!a->seconds, VELUM_E_NOMEM, "query");
    velum_status status = answer_query(a, query, size);
    if (status == VELUM_OK) {
        if (report) fill_report(a, vl_now() - a->begin, report);
        *answer = (velum_buffer){w.data, w.size};
    } else {
        vl_writer_clear(&w);
    }
    vl_free(a->seconds);
    return status;
}

velum_status velum_server_run(velum_server *s, const void *query, size_t size, const velum_run_options *options,
                              velum_buffer *answer, velum_report *report) {
    vl_answering a = {.s = s, .o = options};
    return run_query(&a, query, size, answer, report);
}

velum_status velum_server_infer(velum_server *s, const void *query, size_t size, velum_buffer *answer,
                                velum_report *report) {
    return velum_server_run(s, query, size, &(velum_run_options){0}, answer, report);
}

velum_status velum_server_infer_layers(velum_server *s, const void *query, size_t size, velum_write_fn each, void *arg,
                                       velum_buffer *answer) {
    vl_answering a = {.s = s, .o = &(velum_run_options){0}, .layers = each, .layers_arg = arg};
    return run_query(&a, query, size, answer, NULL);
}

velum_status velum_server_checkpoint(const velum_server *s, const void *query, size_t size, const void *checkpoint,
                                     size_t checkpoint_size, velum_checkpoint_info *out) {
    const uint64_t count = s->program->program.op_count;
    vl_reader r;
    vl_message head;
    vl_checkpoint_head h;
    VL_TRY(open_query(s, query, size, &r, &head));
    VL_TRY(vl_checkpoint_open(s, digest_of(query, size), head.groups, checkpoint, checkpoint_size, &r, &h));
    *out = (velum_checkpoint_info){.done = h.group * count + h.next, .count = head.groups * count, .time = h.time};
    return VELUM_OK;
}
