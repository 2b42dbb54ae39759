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
    for (int kind = VL_FRAME_PROGRAM; kind <= VL_FRAME_ANSWER; kind++)
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
        cmocka_unit_test(too_much_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
