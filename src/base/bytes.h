// SPDX-License-Identifier: Apache-2.0
// Byte cursors, little-endian. A reader never reads past its end: the first short read makes it `bad`, later reads give
// zeros, and the caller checks once. A writer grows to a stated ceiling.
#ifndef VELUM_BASE_BYTES_H
#define VELUM_BASE_BYTES_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vl_reader {
    const uint8_t *data;
    size_t size, at;
    size_t origin; // where data[0] lies in its file: alignments count from the file's start
    bool lasting;  // the bytes stay, unchanged, as long as what is loaded from them: views may be kept
    bool bad;
} vl_reader;

vl_reader vl_reader_of(const void *data, size_t size);
uint8_t vl_read_u8(vl_reader *r);
uint16_t vl_read_u16(vl_reader *r);
uint32_t vl_read_u32(vl_reader *r);
uint64_t vl_read_u64(vl_reader *r);
int64_t vl_read_i64(vl_reader *r);
double vl_read_f64(vl_reader *r);
void vl_read_bytes(vl_reader *r, void *out, size_t n);
// A view of n bytes inside the reader, or NULL (and bad).
const uint8_t *vl_read_view(vl_reader *r, size_t n);
// Skips zeros up to the next multiple of `unit` (a power of two) from the file's start; anything else there is bad.
void vl_read_align(vl_reader *r, size_t unit);
// A count that must be at most `limit`, and for which `each` bytes an item must still be there: else bad and 0.
uint32_t vl_read_count(vl_reader *r, uint32_t limit, size_t each);
// Whether a text can be shown on a terminal as it is: no control characters.
bool vl_text_is_plain(const char *s);
// u16 length + bytes, plain text of at most limit bytes; allocated with vl_alloc; NULL if bad.
char *vl_read_string(vl_reader *r, size_t limit);
static inline size_t vl_reader_left(const vl_reader *r) { return r->bad ? 0 : r->size - r->at; }

// Takes the next bytes of a stream. A status other than VELUM_OK ends it.
typedef velum_status (*vl_sink)(void *arg, const uint8_t *data, size_t size);
#define VL_WRITER_UNIT ((size_t)1 << 20) // a sink gets multiples of this, but for the last bytes

typedef struct vl_writer {
    uint8_t *data;
    size_t size, capacity, limit;
    bool failed;  // out of memory or over the limit or its sink's refusal; later writes do nothing
    bool over;    // it was the limit
    vl_sink sink; // NULL: everything is kept
    void *sink_arg;
    size_t flushed;       // bytes given to the sink
    velum_status refusal; // of the sink
} vl_writer;

vl_writer vl_writer_of(size_t limit);
// One that keeps little: what is written goes to the sink. limit: of the whole.
vl_writer vl_writer_to(vl_sink sink, void *arg, size_t limit);
// Gives what is left to the sink. The writer's failure, or VELUM_OK.
velum_status vl_writer_finish(vl_writer *w);
// Room for n bytes more at once, where all is kept. Without it a writer grows by doubling.
void vl_writer_reserve(vl_writer *w, size_t n);
static inline size_t vl_writer_total(const vl_writer *w) { return w->flushed + w->size; }
// Why it failed, as a status with its text; VELUM_OK if it has not.
velum_status vl_writer_status(const vl_writer *w);
// Zeroes and frees the data: it may have been a secret key.
void vl_writer_clear(vl_writer *w);
void vl_write_u8(vl_writer *w, uint8_t v);
void vl_write_u16(vl_writer *w, uint16_t v);
void vl_write_u32(vl_writer *w, uint32_t v);
void vl_write_u64(vl_writer *w, uint64_t v);
void vl_write_i64(vl_writer *w, int64_t v);
void vl_write_f64(vl_writer *w, double v);
void vl_write_bytes(vl_writer *w, const void *p, size_t n);
void vl_write_string(vl_writer *w, const char *s);
// Room for n bytes to be filled by the caller before the next write, or NULL. As aligned as its place in the file, up
// to 64 bytes.
uint8_t *vl_write_space(vl_writer *w, size_t n);
// Zeros up to the next multiple of `unit` from the start.
void vl_write_align(vl_writer *w, size_t unit);

#endif
