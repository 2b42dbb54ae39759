// SPDX-License-Identifier: Apache-2.0
// Secret keys, as encryption reads them.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_table in = fuzz_rows();
    velum_buffer query;
    if (velum_client_encrypt(s->client, data, size, &in, &query) == VELUM_OK) velum_buffer_free(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->secret, use);
}
