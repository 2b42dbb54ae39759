// SPDX-License-Identifier: Apache-2.0
// Messages between client and server. Each is a frame bound to the program's digest; inside, a key identifier ties
// secret key, evaluation keys, queries and answers of one key generation together, so that a mix-up is named and not
// decrypted into noise.
#ifndef VELUM_WIRE_WIRE_H
#define VELUM_WIRE_WIRE_H

#include "program/manifest.h"

#define VL_KEY_ID_BYTES 16
#define VL_MAX_MESSAGE ((size_t)16 << 30)

typedef struct vl_message { // a query or an answer
    uint8_t key_id[VL_KEY_ID_BYTES];
    uint64_t requests;
    uint32_t groups, cts; // ciphertexts a group
} vl_message;

// What a file of evaluation keys starts with; then the evaluation keys, then the keys of so many bootstraps. Each
// begins at a multiple of 64 bytes from the file's start.
typedef struct vl_eval_head {
    uint8_t key_id[VL_KEY_ID_BYTES];
    uint32_t bootstraps; // 0 or 1
} vl_eval_head;
#define VL_EVAL_HEAD_BYTES ((size_t)72) // from the payload's start to the evaluation keys
void vl_wire_eval_head_save(const vl_eval_head *h, vl_writer *w);
velum_status vl_wire_eval_head_load(vl_reader *r, vl_eval_head *out);

// Number of groups that so many requests take: ceil(requests / lanes).
uint32_t vl_wire_groups(const vl_layout *layout, uint64_t requests);
void vl_wire_head_save(const vl_message *m, vl_writer *w);
// Checks the counts against the layout: requests in 1..VL_MAX_REQUESTS, groups and cts as they follow from it.
velum_status vl_wire_head_load(vl_reader *r, const char *what, const vl_layout *layout, vl_message *m);
// One ciphertext of what an operation left of a group of requests; the ciphertext follows.
typedef struct vl_layer_head {
    uint8_t key_id[VL_KEY_ID_BYTES];
    uint32_t op, rows; // number of the operation; requests in the group
    uint64_t first;    // of them, from 0
    uint32_t ct;       // of layout.cts
    vl_layout layout;
    char name[VL_MAX_NAME + 1]; // of the operation
} vl_layer_head;
void vl_wire_layer_save(const vl_layer_head *h, vl_writer *w);
velum_status vl_wire_layer_load(vl_reader *r, vl_layer_head *out); // checks the numbers against the layout
// VELUM_E_MISMATCH, naming both sides, if the identifiers differ.
velum_status vl_wire_same_key(const uint8_t a[VL_KEY_ID_BYTES], const uint8_t b[VL_KEY_ID_BYTES], const char *what);
// VELUM_E_MISMATCH if a frame's binding is not this program's digest.
velum_status vl_wire_same_program(const uint8_t binding[VL_DIGEST_BYTES], const uint8_t digest[VL_DIGEST_BYTES],
                                  const char *what);

#endif
