// SPDX-License-Identifier: Apache-2.0
// Evaluation keys, as a server loads them, copied and borrowed; keys that load are used.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_server *server;
    velum_buffer answer;
    uint8_t *aligned = vl_alloc_raw(size); // to be used in place
    build_must(aligned != NULL, "memory");
    if (size) memcpy(aligned, data, size);
    velum_status copied = velum_server_new(s->program, data, size, 1, &server);
    if (copied == VELUM_OK) velum_server_free(server);
    velum_status borrowed = velum_server_new_borrowing(s->program, aligned, size, 1, &server);
    build_must(copied == borrowed, "the same keys, copied and borrowed");
    if (borrowed == VELUM_OK) {
        if (velum_server_infer(server, s->query.data, s->query.size, &answer, NULL) == VELUM_OK)
            velum_buffer_free(&answer);
        velum_server_free(server);
    }
    vl_free(aligned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->keys, use);
}
