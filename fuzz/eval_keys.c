// SPDX-License-Identifier: Apache-2.0
// Evaluation keys, as a server loads them; keys that load are used.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_server *server;
    velum_buffer answer;
    if (velum_server_new(s->program, data, size, 1, &server) != VELUM_OK) return;
    if (velum_server_infer(server, s->query.data, s->query.size, &answer, NULL) == VELUM_OK) velum_buffer_free(&answer);
    velum_server_free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->keys, use);
}
