// SPDX-License-Identifier: Apache-2.0
// Answers, as a client decrypts them.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_table t;
    for (uint32_t share = 0; share <= 8; share += 8)
        if (velum_client_decrypt(s->client, s->secret.data, s->secret.size, data, size, share, &t) == VELUM_OK)
            velum_table_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->answer, use);
}
