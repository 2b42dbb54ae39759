// SPDX-License-Identifier: Apache-2.0
#include "base/frame.h"

#include "base/crypto.h"

#include <string.h>

#define MAGIC "VELUM"
#define MAGIC_BYTES 5
#define SIZE_AT 16 // of payload_size

static const struct {
    char code[4];
    const char *name;
} kinds[] = {
    [VL_FRAME_PROGRAM] = {"PRG", "a program"},   [VL_FRAME_CLIENT] = {"CLI", "a client program"},
    [VL_FRAME_SECRET] = {"SEC", "a secret key"}, [VL_FRAME_EVAL] = {"EVK", "a file of evaluation keys"},
    [VL_FRAME_QUERY] = {"QRY", "a query"},       [VL_FRAME_ANSWER] = {"ANS", "an answer"},
};
#define KINDS (sizeof kinds / sizeof *kinds)

void vl_digest(const void *data, size_t size, uint8_t out[VL_DIGEST_BYTES]) {
    vl_base_crypto_init();
    crypto_generichash(out, VL_DIGEST_BYTES, data, size, NULL, 0);
}

void vl_frame_begin(vl_writer *w, vl_frame_kind kind, const uint8_t binding[VL_DIGEST_BYTES]) {
    static const uint8_t none[VL_DIGEST_BYTES];
    vl_write_bytes(w, MAGIC, MAGIC_BYTES);
    vl_write_bytes(w, kinds[kind].code, 3);
    vl_write_u32(w, VL_FRAME_VERSION);
    vl_write_u32(w, 0);
    vl_write_u64(w, 0);
    vl_write_bytes(w, binding ? binding : none, VL_DIGEST_BYTES);
}

velum_status vl_frame_end(vl_writer *w) {
    uint8_t *digest = vl_write_space(w, VL_DIGEST_BYTES);
    if (!digest) {
        VL_FAIL_IF(w->over, VELUM_E_LIMIT, "more than %zu bytes to write", w->limit);
        return VL_FAIL(VELUM_E_NOMEM, "no memory to write a file of more than %zu bytes", w->size);
    }
    size_t covered = w->size - VL_DIGEST_BYTES;
    uint64_t payload = covered - VL_FRAME_HEAD;
    for (size_t i = 0; i < 8; i++) w->data[SIZE_AT + i] = (uint8_t)(payload >> (8 * i));
    vl_digest(w->data, covered, digest);
    return VELUM_OK;
}

static velum_status check_kind(const uint8_t *code, vl_frame_kind wanted) {
    if (memcmp(code, kinds[wanted].code, 3) == 0) return VELUM_OK;
    for (size_t i = 0; i < KINDS; i++)
        VL_FAIL_IF(memcmp(code, kinds[i].code, 3) == 0, VELUM_E_FORMAT, "this is %s, not %s", kinds[i].name,
                   kinds[wanted].name);
    return VL_FAIL(VELUM_E_FORMAT, "this is a Velum file of an unknown kind, not %s", kinds[wanted].name);
}

velum_status vl_frame_open(const void *data, size_t size, vl_frame_kind kind, vl_reader *payload,
                           uint8_t binding[VL_DIGEST_BYTES]) {
    vl_reader r = vl_reader_of(data, size);
    const uint8_t *magic = vl_read_view(&r, MAGIC_BYTES);
    VL_FAIL_IF(!magic || memcmp(magic, MAGIC, MAGIC_BYTES) != 0, VELUM_E_FORMAT, "this is not a Velum file, so not %s",
               kinds[kind].name);
    const uint8_t *code = vl_read_view(&r, 3);
    if (code) VL_TRY(check_kind(code, kind));
    uint32_t version = vl_read_u32(&r);
    VL_FAIL_IF(!r.bad && version != VL_FRAME_VERSION, VELUM_E_FORMAT, "%s of version %u; this Velum reads version %u",
               kinds[kind].name, (unsigned)version, VL_FRAME_VERSION);
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
    vl_digest(data, size - VL_DIGEST_BYTES, digest);
    VL_FAIL_IF(memcmp(digest, (const uint8_t *)data + size - VL_DIGEST_BYTES, VL_DIGEST_BYTES) != 0, VELUM_E_DIGEST,
               "%s that is damaged: its digest does not match", kinds[kind].name);
    *payload = vl_reader_of(vl_read_view(&r, there), there);
    if (binding) memcpy(binding, bound, VL_DIGEST_BYTES);
    return VELUM_OK;
}
