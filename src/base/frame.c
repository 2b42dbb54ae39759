// SPDX-License-Identifier: Apache-2.0
#include "base/frame.h"

#include "base/crypto.h"
#include "base/mem.h"

#include <string.h>

#define MAGIC "VELUM"
#define MAGIC_BYTES 5
#define KIND_AT 5
#define SIZE_AT 16 // of payload_size
#define TAG ((size_t)crypto_onetimeauth_poly1305_BYTES)

static const struct {
    char code[4];
    const char *name;
    uint32_t version;
} kinds[] = {
    [VL_FRAME_PROGRAM] = {"PRG", "a program", 5},       [VL_FRAME_CLIENT] = {"CLI", "a client program", 4},
    [VL_FRAME_SECRET] = {"SEC", "a secret key", 1},     [VL_FRAME_EVAL] = {"EVK", "a file of evaluation keys", 2},
    [VL_FRAME_QUERY] = {"QRY", "a query", 1},           [VL_FRAME_ANSWER] = {"ANS", "an answer", 1},
    [VL_FRAME_CHECKPOINT] = {"CKP", "a checkpoint", 1}, [VL_FRAME_LAYER] = {"LYR", "a layer's result", 1},
};
#define KINDS (sizeof kinds / sizeof *kinds)

void vl_digest(const void *data, size_t size, uint8_t out[VL_DIGEST_BYTES]) {
    vl_base_crypto_init();
    crypto_generichash(out, VL_DIGEST_BYTES, data, size, NULL, 0);
}

// ---- digests of blocks ----
typedef struct tag_job {
    const uint8_t *data;
    size_t size, first; // number of the first block
    uint8_t *tags;
} tag_job;

static void tag_blocks(void *arg, size_t begin, size_t end, unsigned worker) {
    const tag_job *j = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        uint8_t name[19] = "velum block", key[crypto_onetimeauth_poly1305_KEYBYTES];
        for (size_t k = 0; k < 8; k++) name[11 + k] = (uint8_t)((uint64_t)(j->first + i) >> (8 * k));
        crypto_generichash(key, sizeof key, name, sizeof name, NULL, 0);
        size_t at = i * VL_WRITER_UNIT, left = j->size - at;
        crypto_onetimeauth_poly1305(j->tags + i * TAG, j->data + at, left < VL_WRITER_UNIT ? left : VL_WRITER_UNIT,
                                    key);
    }
}

static size_t blocks_of(size_t bytes) { return bytes / VL_WRITER_UNIT + (bytes % VL_WRITER_UNIT != 0); }

static void tag(vl_pool *pool, const uint8_t *data, size_t size, size_t first, uint8_t *tags) {
    tag_job job = {data, size, first, tags};
    vl_base_crypto_init();
    vl_parallel_for(pool, blocks_of(size), 1, tag_blocks, &job);
}

#define GROUP ((size_t)1024) // blocks whose tags are held at a time

static bool is_large(const uint8_t *code) {
    return memcmp(code, kinds[VL_FRAME_EVAL].code, 3) == 0 || memcmp(code, kinds[VL_FRAME_CHECKPOINT].code, 3) == 0;
}

void vl_frame_digest(vl_pool *pool, const void *data, size_t covered, uint8_t out[VL_DIGEST_BYTES]) {
    const uint8_t *from = data;
    if (!is_large(from + KIND_AT)) {
        vl_digest(data, covered, out);
        return;
    }
    uint8_t tags[GROUP * TAG];
    crypto_generichash_state state;
    vl_base_crypto_init();
    crypto_generichash_init(&state, NULL, 0, VL_DIGEST_BYTES);
    for (size_t at = 0; at < covered; at += GROUP * VL_WRITER_UNIT) {
        size_t size = covered - at < GROUP * VL_WRITER_UNIT ? covered - at : GROUP * VL_WRITER_UNIT;
        tag(pool, from + at, size, at / VL_WRITER_UNIT, tags);
        crypto_generichash_update(&state, tags, blocks_of(size) * TAG);
    }
    crypto_generichash_final(&state, out, VL_DIGEST_BYTES);
}

// ---- writing ----
static void write_head(vl_writer *w, vl_frame_kind kind, const uint8_t *binding, uint64_t payload) {
    static const uint8_t none[VL_DIGEST_BYTES];
    vl_write_bytes(w, MAGIC, MAGIC_BYTES);
    vl_write_bytes(w, kinds[kind].code, 3);
    vl_write_u32(w, kinds[kind].version);
    vl_write_u32(w, 0);
    vl_write_u64(w, payload);
    vl_write_bytes(w, binding ? binding : none, VL_DIGEST_BYTES);
}

void vl_frame_begin(vl_writer *w, vl_frame_kind kind, const uint8_t binding[VL_DIGEST_BYTES]) {
    write_head(w, kind, binding, 0);
}

velum_status vl_frame_end(vl_writer *w) {
    uint8_t *digest = vl_write_space(w, VL_DIGEST_BYTES);
    if (!digest) return vl_writer_status(w);
    size_t covered = w->size - VL_DIGEST_BYTES;
    uint64_t payload = covered - VL_FRAME_HEAD;
    for (size_t i = 0; i < 8; i++) w->data[SIZE_AT + i] = (uint8_t)(payload >> (8 * i));
    vl_frame_digest(NULL, w->data, covered, digest);
    return VELUM_OK;
}

// The writer gives whole blocks, but for the last.
static velum_status take(void *arg, const uint8_t *data, size_t size) {
    vl_frame_stream *s = arg;
    tag(s->pool, data, size, s->blocks, s->tags + s->blocks * TAG);
    s->blocks += blocks_of(size);
    return s->sink(s->sink_arg, data, size);
}

velum_status vl_frame_stream_begin(vl_frame_stream *s, vl_frame_kind kind, vl_pool *pool, vl_sink sink, void *sink_arg,
                                   const uint8_t binding[VL_DIGEST_BYTES], size_t payload) {
    *s = (vl_frame_stream){.pool = pool, .sink = sink, .sink_arg = sink_arg, .payload = payload};
    s->tags = vl_alloc_array(blocks_of(VL_FRAME_HEAD + payload), TAG);
    VL_FAIL_IF(!s->tags, VELUM_E_NOMEM, "no memory to write %zu bytes", payload);
    s->writer = vl_writer_to(take, s, VL_FRAME_HEAD + payload);
    write_head(&s->writer, kind, binding, payload);
    return vl_writer_status(&s->writer);
}

velum_status vl_frame_stream_end(vl_frame_stream *s) {
    VL_TRY(vl_writer_finish(&s->writer));
    VL_FAIL_IF(vl_writer_total(&s->writer) != VL_FRAME_HEAD + s->payload, VELUM_E_INTERNAL,
               "%zu bytes written where %zu were said", vl_writer_total(&s->writer), VL_FRAME_HEAD + s->payload);
    uint8_t digest[VL_DIGEST_BYTES];
    vl_digest(s->tags, s->blocks * TAG, digest);
    return s->sink(s->sink_arg, digest, sizeof digest);
}

void vl_frame_stream_clear(vl_frame_stream *s) {
    vl_writer_clear(&s->writer);
    vl_free(s->tags);
    s->tags = NULL;
}

// ---- reading ----

static velum_status check_kind(const uint8_t *code, vl_frame_kind wanted) {
    if (memcmp(code, kinds[wanted].code, 3) == 0) return VELUM_OK;
    for (size_t i = 0; i < KINDS; i++)
        VL_FAIL_IF(memcmp(code, kinds[i].code, 3) == 0, VELUM_E_FORMAT, "this is %s, not %s", kinds[i].name,
                   kinds[wanted].name);
    return VL_FAIL(VELUM_E_FORMAT, "this is a Velum file of an unknown kind, not %s", kinds[wanted].name);
}

velum_status vl_frame_open(const void *data, size_t size, vl_frame_kind kind, vl_reader *payload,
                           uint8_t binding[VL_DIGEST_BYTES]) {
    return vl_frame_open_parallel(NULL, data, size, kind, payload, binding);
}

velum_status vl_frame_open_parallel(vl_pool *pool, const void *data, size_t size, vl_frame_kind kind,
                                    vl_reader *payload, uint8_t binding[VL_DIGEST_BYTES]) {
    vl_reader r = vl_reader_of(data, size);
    const uint8_t *magic = vl_read_view(&r, MAGIC_BYTES);
    VL_FAIL_IF(!magic || memcmp(magic, MAGIC, MAGIC_BYTES) != 0, VELUM_E_FORMAT, "this is not a Velum file, so not %s",
               kinds[kind].name);
    const uint8_t *code = vl_read_view(&r, 3);
    if (code) VL_TRY(check_kind(code, kind));
    uint32_t version = vl_read_u32(&r);
    VL_FAIL_IF(!r.bad && version != kinds[kind].version, VELUM_E_FORMAT,
               "%s of version %u; this Velum reads version %u", kinds[kind].name, (unsigned)version,
               (unsigned)kinds[kind].version);
    uint32_t flags = vl_read_u32(&r);
    VL_FAIL_IF(!r.bad && flags != 0, VELUM_E_FORMAT, "%s with unknown flags %#x", kinds[kind].name, (unsigned)flags);
    uint64_t said = vl_read_u64(&r);
    const uint8_t *bound = vl_read_view(&r, VL_DIGEST_BYTES);
    VL_FAIL_IF(!bound || vl_reader_left(&r) < VL_DIGEST_BYTES, VELUM_E_FORMAT, "%s cut short: only %zu bytes",
               kinds[kind].name, size);
    uint64_t there = vl_reader_left(&r) - VL_DIGEST_BYTES;
    VL_FAIL_IF(said != there, VELUM_E_FORMAT, "%s with %llu bytes of content where its head says %llu",
               kinds[kind].name, (unsigned long long)there, (unsigned long long)said);
    uint8_t digest[VL_DIGEST_BYTES];
    vl_frame_digest(pool, data, size - VL_DIGEST_BYTES, digest);
    VL_FAIL_IF(memcmp(digest, (const uint8_t *)data + size - VL_DIGEST_BYTES, VL_DIGEST_BYTES) != 0, VELUM_E_DIGEST,
               "%s that is damaged: its digest does not match", kinds[kind].name);
    *payload = vl_reader_of(vl_read_view(&r, there), there);
    payload->origin = VL_FRAME_HEAD;
    if (binding) memcpy(binding, bound, VL_DIGEST_BYTES);
    return VELUM_OK;
}
