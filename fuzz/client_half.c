// SPDX-License-Identifier: Apache-2.0
// The client's half of a program; one that loads is opened and its prologue run.
#include "session.h"

#define MAX_DIM 4096 // features of one request

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fuzz_session *s, const void *data, size_t size) {
    (void)s;
    velum_client *client;
    if (velum_client_open(data, size, 1, &client) == VELUM_OK) velum_client_free(client);
    if (vl_client_open_insecure(data, size, 1, &client) != VELUM_OK) return;
    velum_info info;
    velum_client_info(client, &info);
    double *raw = calloc(info.inputs + 1, sizeof *raw), *features;
    velum_table in = {.columns = info.inputs, .rows = 1, .values = raw};
    if (raw && client->manifest.in.dim <= MAX_DIM &&
        vl_manifest_features(&client->manifest, &in, &features) == VELUM_OK)
        vl_free(features);
    free(raw);
    velum_client_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->client_file, use);
}
