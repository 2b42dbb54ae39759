// SPDX-License-Identifier: Apache-2.0
// The client: keys, encryption, decryption. Contains no evaluator.
#ifndef VELUM_CLIENT_CLIENT_H
#define VELUM_CLIENT_CLIENT_H

#include "wire/wire.h"
#include <velum/velum.h>

struct velum_client { // const once opened; each call makes its own execution context
    vl_manifest manifest;
    uint8_t program[VL_DIGEST_BYTES];
    vl_params *params;
    vl_encoder *encoder;
    unsigned threads;
};

// velum_client_open, for parameters that are not secure too: for tests, which want small ones.
velum_status vl_client_open_insecure(const void *data, size_t size, unsigned threads, velum_client **out);

// A secret key file's content.
typedef struct vl_client_secret {
    uint8_t key_id[VL_KEY_ID_BYTES];
    vl_secret_key sk;
} vl_client_secret;
velum_status vl_client_secret_load(const velum_client *c, const void *data, size_t size, vl_client_secret *out);
velum_status vl_client_exec(const velum_client *c, vl_exec *x);
// Zeroes what was encoded or decoded in it.
void vl_client_exec_clear(vl_exec *x);

// What a message holds, as one ciphertext of a layout: vl_layout_room numbers. `z` where that is of two parts: room for
// its slots, in memory for secrets; else it may be NULL.
velum_status vl_client_decode(const velum_client *c, vl_exec *x, const vl_layout *l, vl_poly m, double scale,
                              double complex *z, double *slots);

#endif
