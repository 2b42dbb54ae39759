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
// A count that must be at most `limit`, and for which `each` bytes an item must still be there: else bad and 0.
uint32_t vl_read_count(vl_reader *r, uint32_t limit, size_t each);
// Whether a text can be shown on a terminal as it is: no control characters.
bool vl_text_is_plain(const char *s);
// u16 length + bytes, plain text of at most limit bytes; allocated with vl_alloc; NULL if bad.
char *vl_read_string(vl_reader *r, size_t limit);
static inline size_t vl_reader_left(const vl_reader *r) { return r->bad ? 0 : r->size - r->at; }

typedef struct vl_writer {
    uint8_t *data;
    size_t size, capacity, limit;
    bool failed; // out of memory or over the limit; later writes do nothing
    bool over;   // it was the limit
} vl_writer;

vl_writer vl_writer_of(size_t limit);
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
// Room for n bytes to be filled by the caller, or NULL.
uint8_t *vl_write_space(vl_writer *w, size_t n);

#endif
