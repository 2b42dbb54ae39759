// SPDX-License-Identifier: Apache-2.0
// What operations leave, as a client decrypts it.
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static velum_buffer first; // a good one

static int keep(void *arg, const void *data, size_t size) {
    (void)arg;
    if (first.data) return 0;
    first = (velum_buffer){malloc(size), size};
    build_must(first.data != NULL, "memory");
    memcpy(first.data, data, size);
    return 0;
}

// After a good one, whether it goes on or starts anew.
static void use(const fuzz_session *s, const void *data, size_t size) {
    velum_layer layer = {0};
    velum_client_decrypt_layer(s->client, s->secret.data, s->secret.size, first.data, first.size, &layer);
    velum_client_decrypt_layer(s->client, s->secret.data, s->secret.size, data, size, &layer);
    velum_layer_free(&layer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    if (!first.data) {
        velum_buffer answer;
        BUILD_OK(velum_server_infer_layers(s->server, s->query.data, s->query.size, keep, NULL, &answer));
        velum_buffer_free(&answer);
    }
    return fuzz_run(data, size, s, &first, use);
}
