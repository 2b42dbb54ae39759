// SPDX-License-Identifier: Apache-2.0
// A checkpoint is a frame bound to the program: the digests of the files of evaluation keys and of the query,
// time:u64, groups:u32, group:u32 (the one at hand), next:u32, answer_bytes:u64, the answers of the groups before, and,
// where next > 0, what the runtime saves of the run of that group. It is read like any other file: as hostile input.
#include "base/clock.h"
#include "server/internal.h"
#include <string.h>
#include <time.h>

#define EVERY 20.0 // seconds
#define TIMES 15.0 // what writing one takes
#define RATE 1e9   // bytes a second, until one was written
#define HEAD_BYTES (2 * (size_t)VL_DIGEST_BYTES + 8 + 4 + 4 + 4 + 8)

static velum_status hand_out(void *arg, const uint8_t *data, size_t size) {
    const vl_answering *a = arg;
    if (size == 0) return VELUM_OK; // to the taker, that would be the end
    VL_FAIL_IF(a->o->keep(a->o->keep_arg, data, size) != 0, VELUM_E_IO, "checkpoint: not taken");
    return VELUM_OK;
}

static void write_content(const vl_answering *a, const vl_run_state *state, vl_writer *w) {
    vl_write_bytes(w, a->s->keys_digest, VL_DIGEST_BYTES);
    vl_write_bytes(w, a->query_digest, VL_DIGEST_BYTES);
    vl_write_u64(w, (uint64_t)time(NULL));
    vl_write_u32(w, a->head.groups);
    vl_write_u32(w, a->group);
    vl_write_u32(w, state ? vl_run_next(state) : 0);
    vl_write_u64(w, a->w->size - a->answers);
    vl_write_bytes(w, a->w->data + a->answers, a->w->size - a->answers);
    if (state) vl_run_save(state, w);
}

static velum_status write_all(vl_answering *a, const vl_run_state *state) {
    const size_t payload = HEAD_BYTES + (a->w->size - a->answers) + (state ? vl_run_bytes(state) : 0);
    vl_frame_stream f;
    velum_status status = vl_frame_stream_begin(&f, VL_FRAME_CHECKPOINT, a->s->exec.pool, hand_out, a,
                                                a->s->program->program.digest, payload);
    if (status == VELUM_OK) {
        write_content(a, state, &f.writer);
        status = vl_frame_stream_end(&f);
    }
    vl_frame_stream_clear(&f);
    if (status == VELUM_OK && a->o->keep(a->o->keep_arg, NULL, 0) != 0) status = VELUM_E_IO;
    return status;
}

void vl_server_keep(vl_answering *a, const vl_run_state *state) {
    const double now = vl_now(), given = a->o->keep_every;
    const double bytes = (double)(state ? vl_run_bytes(state) : 0) + (double)(a->w->size - a->answers);
    const double takes = bytes / (a->rate > 0 ? a->rate : RATE);
    const double every = given > 0 ? given : TIMES * takes > EVERY ? TIMES * takes : EVERY;
    const double over = now - a->kept - every;
    if (!a->keeping || over < 0) return;
    // Worth half as long a wait again, if less will have to be written then.
    if (state && vl_run_less_ahead(state, every / 2 - over)) return;
    a->keeping = write_all(a, state) == VELUM_OK; // one that fails is the last: the run goes on
    a->kept = vl_now();
    a->rate = bytes / (a->kept - now + 1e-9);
}

velum_status vl_checkpoint_open(const velum_server *s, const uint8_t query_digest[VL_DIGEST_BYTES], uint32_t groups,
                                const void *data, size_t size, vl_reader *r, vl_checkpoint_head *out) {
    uint8_t binding[VL_DIGEST_BYTES], keys[VL_DIGEST_BYTES], query[VL_DIGEST_BYTES];
    VL_TRY(vl_frame_open_parallel(s->exec.pool, data, size, VL_FRAME_CHECKPOINT, r, binding));
    VL_TRY(vl_wire_same_program(binding, s->program->program.digest, "checkpoint"));
    vl_read_bytes(r, keys, sizeof keys);
    vl_read_bytes(r, query, sizeof query);
    vl_checkpoint_head h = {.time = vl_read_u64(r)};
    const uint32_t count = vl_read_u32(r);
    h.group = vl_read_u32(r);
    h.next = vl_read_u32(r);
    h.answer_bytes = vl_read_u64(r);
    VL_FAIL_IF(r->bad, VELUM_E_FORMAT, "checkpoint: cut short");
    VL_FAIL_IF(memcmp(keys, s->keys_digest, sizeof keys) != 0, VELUM_E_MISMATCH,
               "checkpoint: of a run with other evaluation keys");
    VL_FAIL_IF(memcmp(query, query_digest, sizeof query) != 0, VELUM_E_MISMATCH, "checkpoint: of another query");
    VL_FAIL_IF(count != groups || h.group >= groups || h.next >= s->program->program.op_count, VELUM_E_FORMAT,
               "checkpoint: operation %u of group %u of %u", h.next, h.group, count);
    VL_FAIL_IF(h.answer_bytes > vl_reader_left(r), VELUM_E_FORMAT, "checkpoint: cut short in its answers");
    *out = h;
    return VELUM_OK;
}

velum_status vl_checkpoint_answers(vl_answering *a, const vl_checkpoint_head *h, vl_reader *r) {
    const vl_params *p = a->s->program->params;
    const vl_manifest *m = &a->s->program->program.manifest;
    vl_reader answers = vl_reader_of(vl_read_view(r, h->answer_bytes), h->answer_bytes);
    for (uint64_t i = 0; i < (uint64_t)h->group * m->out.cts; i++) {
        vl_ciphertext ct;
        VL_TRY(vl_ciphertext_load(&a->s->exec, p, &answers, false, m->out_level, m->out_scale, &ct));
        if (ct.degree == 1) vl_ciphertext_save(p, &ct, a->w);
        const uint8_t degree = ct.degree;
        vl_ciphertext_free(&ct);
        VL_FAIL_IF(degree != 1, VELUM_E_FORMAT, "checkpoint: an answer of degree %u", degree);
    }
    VL_FAIL_IF(answers.bad || vl_reader_left(&answers) != 0, VELUM_E_FORMAT, "checkpoint: answers of a wrong size");
    vl_reader state = *r; // which says once more where it is
    VL_FAIL_IF(h->next ? vl_read_u32(&state) != h->next : vl_reader_left(r) != 0, VELUM_E_FORMAT,
               "checkpoint: its state is not at operation %u", h->next);
    a->group = h->group;
    return VELUM_OK;
}
