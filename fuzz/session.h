// SPDX-License-Identifier: Apache-2.0
// What fuzz targets share: one tiny hand-built program (N = 2^4) with a client, a server and every kind of file, made
// once; and the ways in which an input becomes a file: as it is; with its frame put right, so that damage gets past
// magic, digest, binding and key identifier; and as a list of edits of a good file.
#ifndef VELUM_FUZZ_SESSION_H
#define VELUM_FUZZ_SESSION_H

#include "client/client.h"
#include "program/build.h"

typedef struct fuzz_session {
    vl_program plain;
    velum_buffer program_file, client_file, secret, keys, query, answer;
    velum_program *program;
    velum_client *client;
    velum_server *server;
} fuzz_session;

static inline velum_table fuzz_rows(void) {
    static double row[BUILD_INPUTS] = {37, 1, 5};
    return (velum_table){.columns = BUILD_INPUTS, .rows = 1, .values = row};
}

// Lives until the process ends: libFuzzer gives no other end.
static inline const fuzz_session *fuzz_open(void) {
    static fuzz_session s;
    if (s.server) return &s;
    const build_options o = {.net = BUILD_NETWORK, .log_n = 4};
    build_program(&o, &s.plain);
    build_files(&o, &s.program_file, &s.client_file);
    BUILD_OK(velum_program_open(s.program_file.data, s.program_file.size, &s.program));
    BUILD_OK(vl_client_open_insecure(s.client_file.data, s.client_file.size, 1, &s.client));
    BUILD_OK(velum_client_keygen(s.client, &s.secret, &s.keys));
    BUILD_OK(velum_server_new(s.program, s.keys.data, s.keys.size, 1, &s.server));
    velum_table in = fuzz_rows();
    BUILD_OK(velum_client_encrypt(s.client, s.secret.data, s.secret.size, &in, &s.query));
    BUILD_OK(velum_server_infer(s.server, s.query.data, s.query.size, &s.answer, NULL));
    return &s;
}

typedef void (*fuzz_use)(const fuzz_session *s, const void *data, size_t size);

// Bytes of the payload that say whose it is, by the frame's kind: of the keys, or of the keys and the query.
static inline size_t fuzz_names(const velum_buffer *good) {
    const char *kind = (const char *)good->data + strlen("VELUM");
    if (memcmp(kind, "PRG", 3) == 0 || memcmp(kind, "CLI", 3) == 0) return 0;
    return memcmp(kind, "CKP", 3) == 0 ? 2 * VL_DIGEST_BYTES : VL_KEY_ID_BYTES;
}

// `good` is a good file of the kind. Magic, kind, version, flags and binding are taken from it, and the names that the
// payload starts with.
static inline void fuzz_sealed(const fuzz_session *s, const velum_buffer *good, uint8_t *copy, size_t size,
                               fuzz_use use) {
    const size_t names = fuzz_names(good);
    if (size < VL_FRAME_HEAD + VL_DIGEST_BYTES) return;
    memcpy(copy, good->data, VL_FRAME_HEAD + (size >= VL_FRAME_HEAD + VL_DIGEST_BYTES + names ? names : 0));
    build_reseal(copy, size);
    use(s, copy, size);
}

// Four bytes an edit, at most four edits: where (two), what, which number.
static inline size_t fuzz_edit(uint8_t *file, size_t size, const uint8_t *data, size_t count) {
    for (; count >= 4; data += 4, count -= 4) {
        size_t payload = size - VL_FRAME_HEAD - VL_DIGEST_BYTES;
        if (payload < 9) return size;
        uint8_t *at = file + VL_FRAME_HEAD + (data[0] | (size_t)data[1] << 8) % (payload - 8);
        size_t after = (size_t)(file + size - at), n = data[3] % 9;
        switch (data[2] % 16) {
        case 0: memset(at, data[3], 8); break;
        case 1: memset(at, data[3], 2); break;
        case 2: *at = (uint8_t)(*at - 1); break;
        case 3: *at = (uint8_t)(*at + 1); break;
        case 4:
            memmove(at, at + n, after - n);
            size -= n;
            break;
        default: *at = data[2] & 8 ? data[3] : (uint8_t)(*at ^ data[3]); break;
        }
    }
    return size;
}

static inline int fuzz_run(const uint8_t *data, size_t size, const fuzz_session *s, const velum_buffer *good,
                           fuzz_use use) {
    use(s, data, size);
    size_t room = size > good->size ? size : good->size;
    uint8_t *copy = malloc(room);
    build_must(copy != NULL, "memory");
    if (size) memcpy(copy, data, size);
    fuzz_sealed(s, good, copy, size, use);
    memcpy(copy, good->data, good->size);
    size_t edited = fuzz_edit(copy, good->size, data, size < 16 ? size : 16);
    fuzz_sealed(s, good, copy, edited, use);
    free(copy);
    return 0;
}

#endif
