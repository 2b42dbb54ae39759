// SPDX-License-Identifier: Apache-2.0
// The frame and the byte cursors: the input as a frame, and as the payload of a sound one.
#include "base/frame.h"
#include "base/mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(vl_reader *r) {
    uint32_t count = vl_read_count(r, 1000, 8);
    for (uint32_t i = 0; i < count; i++) vl_read_u64(r);
    if (count && r->bad) abort(); // the count was checked against what is there
    vl_free(vl_read_string(r, 100));
    size_t left = vl_reader_left(r);
    if (left && !vl_read_view(r, left)) abort();
    if (vl_read_u8(r) != 0 || !r->bad) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vl_reader r;
    uint8_t binding[VL_DIGEST_BYTES];
    if (vl_frame_open(data, size, VL_FRAME_QUERY, &r, binding) == VELUM_OK) read_all(&r);

    vl_writer w = vl_writer_of(size + VL_FRAME_HEAD + VL_DIGEST_BYTES);
    vl_frame_begin(&w, VL_FRAME_EVAL, NULL);
    vl_write_bytes(&w, data, size);
    if (vl_frame_end(&w) != VELUM_OK || vl_frame_open(w.data, w.size, VL_FRAME_EVAL, &r, NULL) != VELUM_OK) abort();
    if (vl_reader_left(&r) != size) abort();
    read_all(&r);
    vl_writer_clear(&w);
    return 0;
}
