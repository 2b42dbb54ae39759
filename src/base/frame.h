// SPDX-License-Identifier: Apache-2.0
// The frame around every file and message:
//   "VELUM" kind[3] version:u32 flags:u32 payload_size:u64 binding[32] payload digest[32]
// `binding` is the digest of what the content belongs to (a program for keys and messages; zeros for programs);
// `digest` is BLAKE2b-256 of all before it. Integrity against damage, not against forgery: see SECURITY.md.
#ifndef VELUM_BASE_FRAME_H
#define VELUM_BASE_FRAME_H

#include "base/bytes.h"

#define VL_DIGEST_BYTES 32
#define VL_FRAME_VERSION 1u
#define VL_FRAME_HEAD 56u // bytes before the payload

typedef enum vl_frame_kind { // three letters each, and what the user calls it
    VL_FRAME_PROGRAM,        // PRG program
    VL_FRAME_CLIENT,         // CLI client program
    VL_FRAME_SECRET,         // SEC secret key
    VL_FRAME_EVAL,           // EVK evaluation keys
    VL_FRAME_QUERY,          // QRY query
    VL_FRAME_ANSWER,         // ANS answer
} vl_frame_kind;

void vl_digest(const void *data, size_t size, uint8_t out[VL_DIGEST_BYTES]);
// Starts a frame in an empty writer; vl_frame_end fills the size in and appends the digest.
void vl_frame_begin(vl_writer *w, vl_frame_kind kind, const uint8_t binding[VL_DIGEST_BYTES]);
velum_status vl_frame_end(vl_writer *w);
// Checks magic, kind, version, size and digest, in that order, naming what is wrong (a file of another kind is named
// as what it is). On success *payload is a view and *binding (may be NULL) a copy.
velum_status vl_frame_open(const void *data, size_t size, vl_frame_kind kind, vl_reader *payload,
                           uint8_t binding[VL_DIGEST_BYTES]);

#endif
