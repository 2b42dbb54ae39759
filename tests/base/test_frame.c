// SPDX-License-Identifier: Apache-2.0
#include "base/frame.h"
#include "base/mem.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define LIMIT 4096
static const uint8_t binding[VL_DIGEST_BYTES] = {1, 2, 3, [31] = 9};

static vl_writer make(vl_frame_kind kind, size_t payload) {
    vl_writer w = vl_writer_of(LIMIT);
    vl_frame_begin(&w, kind, binding);
    for (size_t i = 0; i < payload; i++) vl_write_u8(&w, (uint8_t)(i * 7));
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    assert_int_equal(w.size, VL_FRAME_HEAD + payload + VL_DIGEST_BYTES);
    return w;
}

static void hex_of(const uint8_t *bytes, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void digest_is_blake2b(void **state) {
    (void)state;
    uint8_t digest[VL_DIGEST_BYTES];
    char hex[2 * VL_DIGEST_BYTES + 1];
    vl_digest("abc", 3, digest);
    hex_of(digest, sizeof digest, hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    vl_digest(NULL, 0, digest);
    hex_of(digest, sizeof digest, hex);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

static void round_trip(void **state) {
    (void)state;
    for (int kind = VL_FRAME_PROGRAM; kind <= VL_FRAME_LAYER; kind++)
        for (size_t payload = 0; payload < 70; payload += 23) {
            vl_writer w = make((vl_frame_kind)kind, payload);
            vl_reader r;
            uint8_t got[VL_DIGEST_BYTES];
            assert_int_equal(vl_frame_open(w.data, w.size, (vl_frame_kind)kind, &r, got), VELUM_OK);
            assert_int_equal(vl_reader_left(&r), payload);
            assert_memory_equal(got, binding, sizeof got);
            for (size_t i = 0; i < payload; i++) assert_int_equal(vl_read_u8(&r), (uint8_t)(i * 7));
            assert_false(r.bad);
            assert_int_equal(vl_frame_open(w.data, w.size, (vl_frame_kind)kind, &r, NULL), VELUM_OK);
            vl_writer_clear(&w);
        }
}

static void bytes_are_pinned(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(LIMIT);
    vl_frame_begin(&w, VL_FRAME_SECRET, NULL);
    vl_write_u8(&w, 0x55);
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    const uint8_t head[VL_FRAME_HEAD + 1] = {'V', 'E', 'L', 'U', 'M', 'S', 'E', 'C', 1, [16] = 1, [56] = 0x55};
    assert_memory_equal(w.data, head, sizeof head);
    char hex[2 * VL_DIGEST_BYTES + 1];
    hex_of(w.data + sizeof head, VL_DIGEST_BYTES, hex);
    assert_string_equal(hex, "e72c333486027486e488278b89ef5167b64aaa969ad2b6c71466927f7236bf84");
    vl_writer_clear(&w);
}

static velum_status expected_at(size_t offset) { return offset < 24 ? VELUM_E_FORMAT : VELUM_E_DIGEST; }

static void every_damaged_byte_is_found(void **state) {
    (void)state;
    vl_writer w = make(VL_FRAME_QUERY, 50);
    uint8_t untouched[VL_DIGEST_BYTES] = {42};
    vl_reader r = {.at = 77};
    for (size_t at = 0; at < w.size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            w.data[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(vl_frame_open(w.data, w.size, VL_FRAME_QUERY, &r, untouched), expected_at(at));
            w.data[at] ^= (uint8_t)(1u << bit);
        }
    assert_int_equal(r.at, 77);
    assert_int_equal(untouched[0], 42);
    vl_writer_clear(&w);
}

static void every_truncation_is_found(void **state) {
    (void)state;
    vl_writer w = make(VL_FRAME_EVAL, 50);
    vl_reader r;
    for (size_t size = 0; size < w.size; size++) {
        uint8_t *copy = vl_alloc_raw(size); // exactly so long, for the sanitizer
        if (size) memcpy(copy, w.data, size);
        assert_int_equal(vl_frame_open(copy, size, VL_FRAME_EVAL, &r, NULL), VELUM_E_FORMAT);
        vl_free(copy);
    }
    assert_int_equal(vl_frame_open(NULL, 0, VL_FRAME_EVAL, &r, NULL), VELUM_E_FORMAT);
    vl_write_u8(&w, 0); // and a byte too many
    assert_int_equal(vl_frame_open(w.data, w.size, VL_FRAME_EVAL, &r, NULL), VELUM_E_FORMAT);
    vl_writer_clear(&w);
}

static void expect_reason(const uint8_t *data, size_t size, const char *part) {
    vl_reader r;
    assert_int_equal(vl_frame_open(data, size, VL_FRAME_SECRET, &r, NULL), VELUM_E_FORMAT);
    if (!strstr(velum_last_error(), part)) fail_msg("\"%s\" does not say \"%s\"", velum_last_error(), part);
}

static void reasons_name_what_is_wrong(void **state) {
    (void)state;
    vl_writer w = make(VL_FRAME_EVAL, 5);
    expect_reason(w.data, w.size, "this is a file of evaluation keys, not a secret key");
    w.data[5] = 'X';
    expect_reason(w.data, w.size, "unknown kind");
    memcpy(w.data + 5, "SEC", 3);
    w.data[8] = 2; // a later version is named as that, not as damage
    expect_reason(w.data, w.size, "version 2");
    w.data[8] = 1;
    w.data[12] = 1;
    expect_reason(w.data, w.size, "flags");
    w.data[12] = 0;
    w.data[16]++;
    expect_reason(w.data, w.size, "head says 6");
    memset(w.data + 16, 0xff, 8);
    expect_reason(w.data, w.size, "head says 18446744073709551615");
    expect_reason(w.data, 30, "cut short");
    expect_reason((const uint8_t *)"PK\3\4 something else", 20, "not a Velum file");
    vl_writer_clear(&w);
}

// ---- evaluation keys: tags of blocks, and frames that are streamed ----
typedef struct kept {
    uint8_t *data;
    size_t size, capacity, pieces, refuse_after;
} kept;

static velum_status keep(void *arg, const uint8_t *data, size_t size) {
    kept *k = arg;
    VL_FAIL_IF(k->pieces == k->refuse_after, VELUM_E_IO, "the disk is full");
    assert_true(size <= k->capacity - k->size);
    memcpy(k->data + k->size, data, size);
    k->size += size;
    k->pieces++;
    return VELUM_OK;
}

static uint8_t content(size_t i) { return (uint8_t)(i * 7 ^ i >> 11 ^ i >> 20); }

static void fill(vl_writer *w, size_t payload, size_t piece) {
    for (size_t i = 0; i < payload;) {
        size_t n = payload - i < piece ? payload - i : piece;
        uint8_t *p = vl_write_space(w, n);
        if (!p) return;
        for (size_t k = 0; k < n; k++) p[k] = content(i + k);
        i += n;
    }
}

static const size_t payloads[] = {0, 1, VL_WRITER_UNIT - VL_FRAME_HEAD, VL_WRITER_UNIT - VL_FRAME_HEAD + 1,
                                  3 * VL_WRITER_UNIT + 77};

// Streamed or not, in whatever pieces and by however many threads: the same bytes.
static void streamed_frames_are_the_same(void **state) {
    (void)state;
    vl_pool *pool;
    assert_int_equal(vl_pool_new(3, &pool), VELUM_OK);
    for (size_t p = 0; p < sizeof payloads / sizeof *payloads; p++)
        for (size_t piece = 1000; piece <= 2500000; piece *= 50) {
            size_t payload = payloads[p], total = VL_FRAME_HEAD + payload + VL_DIGEST_BYTES;
            vl_writer w = vl_writer_of(total);
            vl_frame_begin(&w, VL_FRAME_EVAL, binding);
            fill(&w, payload, 1 << 20);
            assert_int_equal(vl_frame_end(&w), VELUM_OK);
            kept k = {.data = vl_alloc(total), .capacity = total, .refuse_after = SIZE_MAX};
            vl_frame_stream s;
            assert_int_equal(vl_frame_stream_begin(&s, VL_FRAME_EVAL, pool, keep, &k, binding, payload), VELUM_OK);
            fill(&s.writer, payload, piece);
            assert_int_equal(vl_frame_stream_end(&s), VELUM_OK);
            vl_frame_stream_clear(&s);
            assert_int_equal(k.size, w.size);
            assert_memory_equal(k.data, w.data, total);
            vl_reader r;
            assert_int_equal(vl_frame_open_parallel(pool, k.data, total, VL_FRAME_EVAL, &r, NULL), VELUM_OK);
            assert_int_equal(vl_reader_left(&r), payload);
            assert_int_equal(r.origin, VL_FRAME_HEAD);
            for (size_t at = 24; at < total; at += 1 + total / 9) {
                k.data[at] ^= 4;
                assert_int_equal(vl_frame_open_parallel(pool, k.data, total, VL_FRAME_EVAL, &r, NULL), VELUM_E_DIGEST);
                k.data[at] ^= 4;
            }
            if (payload > 3 * VL_WRITER_UNIT) { // blocks in another order
                for (size_t i = 0; i < VL_WRITER_UNIT; i++) {
                    uint8_t byte = k.data[VL_WRITER_UNIT + i];
                    k.data[VL_WRITER_UNIT + i] = k.data[2 * VL_WRITER_UNIT + i];
                    k.data[2 * VL_WRITER_UNIT + i] = byte;
                }
                assert_int_equal(vl_frame_open(k.data, total, VL_FRAME_EVAL, &r, NULL), VELUM_E_DIGEST);
            }
            vl_free(k.data);
            vl_writer_clear(&w);
        }
    vl_pool_free(pool);
}

static void block_digest_is_pinned(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(2 * VL_WRITER_UNIT);
    vl_frame_begin(&w, VL_FRAME_EVAL, binding);
    fill(&w, VL_WRITER_UNIT + 3, 1 << 20);
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    const uint8_t head[16] = {'V', 'E', 'L', 'U', 'M', 'E', 'V', 'K', 3};
    assert_memory_equal(w.data, head, sizeof head);
    char hex[2 * VL_DIGEST_BYTES + 1];
    hex_of(w.data + w.size - VL_DIGEST_BYTES, VL_DIGEST_BYTES, hex);
    assert_string_equal(hex, "ff0767f9a6f9045888d981bce62918ff2534a13fa21918145c3300bdaae7bb4a");
    vl_writer_clear(&w);
}

static void refused_streams(void **state) {
    (void)state;
    size_t payload = 5 * VL_WRITER_UNIT;
    uint8_t *room = vl_alloc_raw(payload + 200);
    for (size_t after = 0; after < 3; after++) {
        kept k = {.data = room, .capacity = payload + 200, .refuse_after = after};
        vl_frame_stream s;
        assert_int_equal(vl_frame_stream_begin(&s, VL_FRAME_EVAL, NULL, keep, &k, NULL, payload), VELUM_OK);
        fill(&s.writer, payload, 1500000);
        assert_int_equal(vl_frame_stream_end(&s), VELUM_E_IO);
        assert_string_equal(velum_last_error(), "the disk is full");
        assert_int_equal(k.pieces, after);
        vl_frame_stream_clear(&s);
    }
    kept k = {.data = room, .capacity = payload + 200, .refuse_after = SIZE_MAX};
    vl_frame_stream s; // less and more than was said
    assert_int_equal(vl_frame_stream_begin(&s, VL_FRAME_EVAL, NULL, keep, &k, NULL, 100), VELUM_OK);
    fill(&s.writer, 99, 10);
    assert_int_equal(vl_frame_stream_end(&s), VELUM_E_INTERNAL);
    vl_frame_stream_clear(&s);
    k.size = 0;
    assert_int_equal(vl_frame_stream_begin(&s, VL_FRAME_EVAL, NULL, keep, &k, NULL, 100), VELUM_OK);
    fill(&s.writer, 101, 10);
    assert_int_equal(vl_frame_stream_end(&s), VELUM_E_LIMIT);
    vl_frame_stream_clear(&s);
    vl_free(room);
}

static void too_much_to_write(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(VL_FRAME_HEAD + 10 + VL_DIGEST_BYTES);
    vl_frame_begin(&w, VL_FRAME_ANSWER, binding);
    vl_write_space(&w, 11);
    assert_int_equal(vl_frame_end(&w), VELUM_E_LIMIT);
    vl_writer_clear(&w);
    w = vl_writer_of(20);
    vl_frame_begin(&w, VL_FRAME_ANSWER, binding);
    assert_int_equal(vl_frame_end(&w), VELUM_E_LIMIT);
    vl_writer_clear(&w);
    w = vl_writer_of(SIZE_MAX);
    vl_frame_begin(&w, VL_FRAME_ANSWER, binding);
    vl_write_space(&w, SIZE_MAX / 2);
    assert_int_equal(vl_frame_end(&w), VELUM_E_NOMEM);
    vl_writer_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_is_blake2b),         cmocka_unit_test(round_trip),
        cmocka_unit_test(bytes_are_pinned),          cmocka_unit_test(every_damaged_byte_is_found),
        cmocka_unit_test(every_truncation_is_found), cmocka_unit_test(reasons_name_what_is_wrong),
        cmocka_unit_test(too_much_to_write),         cmocka_unit_test(streamed_frames_are_the_same),
        cmocka_unit_test(block_digest_is_pinned),    cmocka_unit_test(refused_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
