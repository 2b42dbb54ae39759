// SPDX-License-Identifier: Apache-2.0
// Queries, as a server answers them.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_buffer answer;
    if (velum_server_infer(s->server, data, size, &answer, NULL) == VELUM_OK) velum_buffer_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->query, use);
}
