// SPDX-License-Identifier: Apache-2.0
// What answering a query and keeping checkpoints of it share.
#ifndef VELUM_SERVER_INTERNAL_H
#define VELUM_SERVER_INTERNAL_H

#include "base/frame.h"
#include "runtime/program_api.h"
#include "wire/wire.h"

struct velum_server {
    const velum_program *program;
    vl_exec exec;
    uint8_t key_id[VL_KEY_ID_BYTES];
    uint8_t keys_digest[VL_DIGEST_BYTES]; // of the file of evaluation keys
    vl_eval_keys keys;
    vl_bootstrap_keys own; // where the program bootstraps
    vl_runtime *runtime;
    velum_progress_fn progress; // may be NULL
    void *progress_arg;
};

typedef struct vl_answering { // one query
    velum_server *s;
    const velum_run_options *o;
    velum_write_fn layers; // gets the results of operations; NULL: nobody
    void *layers_arg;
    vl_message head;
    uint8_t query_digest[VL_DIGEST_BYTES];
    uint32_t group;  // at hand
    double begin;    // of the query
    double *seconds; // by operation, then loading and saving
    vl_writer *w;    // the answer
    size_t answers;  // where the groups' answers begin in it
    bool keeping;
    double kept, rate; // when the last checkpoint was done, and bytes a second of writing it
    uint64_t resumed_at;
} vl_answering;

// Writes a checkpoint if it is time. state NULL: between two groups.
void vl_server_keep(vl_answering *a, const vl_run_state *state);
// What a checkpoint starts with, checked against the query and the keys; *r is left at the answers.
typedef struct vl_checkpoint_head {
    uint64_t time;
    uint32_t group, next; // next: an operation of that group; 0: the group has not begun
    uint64_t answer_bytes;
} vl_checkpoint_head;
velum_status vl_checkpoint_open(const velum_server *s, const uint8_t query_digest[VL_DIGEST_BYTES], uint32_t groups,
                                const void *data, size_t size, vl_reader *r, vl_checkpoint_head *out);
// Takes the finished groups' answers over into a->w and sets a->group. *r is left at the run's state.
velum_status vl_checkpoint_answers(vl_answering *a, const vl_checkpoint_head *h, vl_reader *r);

#endif
