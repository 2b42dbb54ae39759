// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include "base/mem.h"

#include <string.h>

vl_reader vl_reader_of(const void *data, size_t size) { return (vl_reader){.data = data, .size = size}; }

const uint8_t *vl_read_view(vl_reader *r, size_t n) {
    static const uint8_t nothing[1] = {0};
    if (r->bad || n > r->size - r->at) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->data ? r->data + r->at : nothing; // an empty reader may have no data at all
    r->at += n;
    return p;
}

void vl_read_align(vl_reader *r, size_t unit) {
    const uint8_t *p = vl_read_view(r, -(r->origin + r->at) & (unit - 1));
    for (; p && p < r->data + r->at; p++)
        if (*p) r->bad = true;
}

static uint64_t read_word(vl_reader *r, size_t n) {
    const uint8_t *p = vl_read_view(r, n);
    uint64_t v = 0;
    if (p)
        for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t vl_read_u8(vl_reader *r) { return (uint8_t)read_word(r, 1); }
uint16_t vl_read_u16(vl_reader *r) { return (uint16_t)read_word(r, 2); }
uint32_t vl_read_u32(vl_reader *r) { return (uint32_t)read_word(r, 4); }
uint64_t vl_read_u64(vl_reader *r) { return read_word(r, 8); }
int64_t vl_read_i64(vl_reader *r) { return (int64_t)read_word(r, 8); }

double vl_read_f64(vl_reader *r) {
    uint64_t bits = read_word(r, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void vl_read_bytes(vl_reader *r, void *out, size_t n) {
    if (n == 0) return;
    const uint8_t *p = vl_read_view(r, n);
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

uint32_t vl_read_count(vl_reader *r, uint32_t limit, size_t each) {
    uint32_t count = vl_read_u32(r);
    if (count > limit || (each && count > vl_reader_left(r) / each)) r->bad = true;
    return r->bad ? 0 : count;
}

bool vl_text_is_plain(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) return false;
    return true;
}

char *vl_read_string(vl_reader *r, size_t limit) {
    size_t n = vl_read_u16(r);
    if (n > limit) r->bad = true;
    const uint8_t *p = vl_read_view(r, n);
    char *s = p && !memchr(p, 0, n) ? vl_alloc_raw(n + 1) : NULL;
    if (s) {
        memcpy(s, p, n);
        s[n] = 0;
    }
    if (!s || !vl_text_is_plain(s)) {
        vl_free(s);
        r->bad = true;
        return NULL;
    }
    return s;
}

vl_writer vl_writer_of(size_t limit) { return (vl_writer){.limit = limit}; }

vl_writer vl_writer_to(vl_sink sink, void *arg, size_t limit) {
    return (vl_writer){.limit = limit, .sink = sink, .sink_arg = arg};
}

static void drop(uint8_t *data, size_t size) {
    vl_secure_zero(data, size);
    vl_free(data);
}

void vl_writer_clear(vl_writer *w) {
    drop(w->data, w->size);
    *w = (vl_writer){.limit = w->limit, .sink = w->sink, .sink_arg = w->sink_arg};
}

// Gives the sink the first n bytes; what is left of them moves to the front.
static void flush(vl_writer *w, size_t n) {
    if (n == 0) return;
    w->refusal = w->sink(w->sink_arg, w->data, n);
    if (w->refusal != VELUM_OK) {
        w->failed = true;
        return;
    }
    w->size -= n;
    w->flushed += n;
    memmove(w->data, w->data + n, w->size);
}

velum_status vl_writer_status(const vl_writer *w) {
    if (!w->failed) return VELUM_OK;
    if (w->refusal != VELUM_OK) return w->refusal; // the sink has said why
    VL_FAIL_IF(w->over, VELUM_E_LIMIT, "more than %zu bytes to write", w->limit);
    return VL_FAIL(VELUM_E_NOMEM, "no memory to write a file of more than %zu bytes", vl_writer_total(w));
}

velum_status vl_writer_finish(vl_writer *w) {
    if (!w->failed && w->sink) flush(w, w->size);
    return vl_writer_status(w);
}

static void grow(vl_writer *w, size_t want) {
    size_t capacity = w->capacity < 256 ? 256 : w->capacity > w->limit / 2 ? w->limit : 2 * w->capacity;
    if (capacity < want) capacity = want;
    if (capacity > w->limit) capacity = w->limit;
    uint8_t *data = vl_alloc_raw(capacity);
    if (!data) {
        w->failed = true;
        return;
    }
    if (w->size) memcpy(data, w->data, w->size);
    drop(w->data, w->size);
    w->data = data;
    w->capacity = capacity;
}

void vl_writer_reserve(vl_writer *w, size_t n) {
    if (!w->failed && !w->sink && n <= w->limit - w->size && n > w->capacity - w->size) grow(w, w->size + n);
}

uint8_t *vl_write_space(vl_writer *w, size_t n) {
    if (w->failed) return NULL;
    if (n > w->limit - vl_writer_total(w)) {
        w->failed = w->over = true;
        return NULL;
    }
    if (w->sink && w->size >= VL_WRITER_UNIT && n > w->capacity - w->size) flush(w, w->size & ~(VL_WRITER_UNIT - 1));
    if (w->failed) return NULL;
    if (!w->data || n > w->capacity - w->size) grow(w, w->size + n);
    if (w->failed) return NULL;
    uint8_t *p = w->data + w->size;
    w->size += n;
    return p;
}

void vl_write_align(vl_writer *w, size_t unit) {
    size_t n = -vl_writer_total(w) & (unit - 1);
    uint8_t *p = vl_write_space(w, n);
    if (p && n) memset(p, 0, n);
}

static void write_word(vl_writer *w, uint64_t v, size_t n) {
    uint8_t *p = vl_write_space(w, n);
    if (p)
        for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

void vl_write_u8(vl_writer *w, uint8_t v) { write_word(w, v, 1); }
void vl_write_u16(vl_writer *w, uint16_t v) { write_word(w, v, 2); }
void vl_write_u32(vl_writer *w, uint32_t v) { write_word(w, v, 4); }
void vl_write_u64(vl_writer *w, uint64_t v) { write_word(w, v, 8); }
void vl_write_i64(vl_writer *w, int64_t v) { write_word(w, (uint64_t)v, 8); }

void vl_write_f64(vl_writer *w, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    write_word(w, bits, 8);
}

void vl_write_bytes(vl_writer *w, const void *p, size_t n) {
    uint8_t *to = vl_write_space(w, n);
    if (to && n) memcpy(to, p, n);
}

void vl_write_string(vl_writer *w, const char *s) {
    size_t n = strlen(s);
    if (n > UINT16_MAX) {
        w->failed = w->over = true;
        return;
    }
    vl_write_u16(w, (uint16_t)n);
    vl_write_bytes(w, s, n);
}
