// SPDX-License-Identifier: Apache-2.0
// The frame around every file and message:
//   "VELUM" kind[3] version:u32 flags:u32 payload_size:u64 binding[32] payload digest[32]
// `binding` is the digest of what the content belongs to (a program for keys and messages; zeros for programs);
// `digest` is BLAKE2b-256 of all before it; for evaluation keys and checkpoints, which are gigabytes, it is BLAKE2b-256
// of the tags of blocks of 1 MiB of all before it, tag i being Poly1305 under the key BLAKE2b-256("velum block" i:u64):
// six times faster a core, and in parallel. Integrity against damage, not against forgery: see SECURITY.md.
#ifndef VELUM_BASE_FRAME_H
#define VELUM_BASE_FRAME_H

#include "base/bytes.h"
#include "base/pool.h"

#define VL_DIGEST_BYTES 32
#define VL_FRAME_HEAD 56u // bytes before the payload

typedef enum vl_frame_kind { // three letters each, and what the user calls it; version 1 where no other is named
    VL_FRAME_PROGRAM,        // PRG program, version 5
    VL_FRAME_CLIENT,         // CLI client program, version 4
    VL_FRAME_SECRET,         // SEC secret key
    VL_FRAME_EVAL,           // EVK evaluation keys, version 2
    VL_FRAME_QUERY,          // QRY query
    VL_FRAME_ANSWER,         // ANS answer
    VL_FRAME_CHECKPOINT,     // CKP checkpoint of a run
    VL_FRAME_LAYER,          // LYR result of an operation
} vl_frame_kind;

void vl_digest(const void *data, size_t size, uint8_t out[VL_DIGEST_BYTES]);
// The digest of a frame of which the first `covered` bytes are there, VL_FRAME_HEAD at least.
void vl_frame_digest(vl_pool *pool, const void *data, size_t covered, uint8_t out[VL_DIGEST_BYTES]);
// Starts a frame in an empty writer that keeps everything; vl_frame_end fills the size in and appends the digest.
void vl_frame_begin(vl_writer *w, vl_frame_kind kind, const uint8_t binding[VL_DIGEST_BYTES]);
velum_status vl_frame_end(vl_writer *w);
// A frame of evaluation keys, or a checkpoint, on its way to a sink: the payload's size is known beforehand. `s` stays
// where it is until the end. vl_frame_stream_clear after either outcome.
typedef struct vl_frame_stream {
    vl_writer writer; // for the payload
    vl_pool *pool;
    vl_sink sink;
    void *sink_arg;
    uint8_t *tags;
    size_t blocks, payload;
} vl_frame_stream;
velum_status vl_frame_stream_begin(vl_frame_stream *s, vl_frame_kind kind, vl_pool *pool, vl_sink sink, void *sink_arg,
                                   const uint8_t binding[VL_DIGEST_BYTES], size_t payload);
// VELUM_E_INTERNAL if the payload has another size than was said.
velum_status vl_frame_stream_end(vl_frame_stream *s);
void vl_frame_stream_clear(vl_frame_stream *s);
// Checks magic, kind, version, size and digest, in that order, naming what is wrong (a file of another kind is named
// as what it is). On success *payload is a view and *binding (may be NULL) a copy.
velum_status vl_frame_open(const void *data, size_t size, vl_frame_kind kind, vl_reader *payload,
                           uint8_t binding[VL_DIGEST_BYTES]);
// The same; evaluation keys and checkpoints are checked by all of the pool's threads.
velum_status vl_frame_open_parallel(vl_pool *pool, const void *data, size_t size, vl_frame_kind kind,
                                    vl_reader *payload, uint8_t binding[VL_DIGEST_BYTES]);

#endif
