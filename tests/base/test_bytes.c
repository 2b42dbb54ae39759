// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/mem.h"
#include "test.h"

#include <math.h>
#include <string.h>

static void round_trip(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(4096);
    vl_write_u8(&w, 0xab);
    vl_write_u16(&w, 0x1234);
    vl_write_u32(&w, 0x89abcdef);
    vl_write_u64(&w, UINT64_C(0x0123456789abcdef));
    vl_write_i64(&w, INT64_MIN);
    vl_write_f64(&w, -0.1);
    vl_write_f64(&w, NAN);
    vl_write_string(&w, "dense_1");
    vl_write_string(&w, "");
    vl_write_bytes(&w, "xyz", 3);
    vl_write_bytes(&w, NULL, 0);
    memcpy(vl_write_space(&w, 2), "\1\2", 2);
    assert_false(w.failed);
    const uint8_t head[] = {0xab, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
    assert_memory_equal(w.data, head, sizeof head);

    vl_reader r = vl_reader_of(w.data, w.size);
    assert_int_equal(vl_read_u8(&r), 0xab);
    assert_int_equal(vl_read_u16(&r), 0x1234);
    assert_int_equal(vl_read_u32(&r), 0x89abcdef);
    assert_true(vl_read_u64(&r) == UINT64_C(0x0123456789abcdef));
    assert_true(vl_read_i64(&r) == INT64_MIN);
    assert_true(vl_read_f64(&r) == -0.1);
    assert_true(isnan(vl_read_f64(&r)));
    char *name = vl_read_string(&r, 7), *empty = vl_read_string(&r, 7), got[3];
    assert_string_equal(name, "dense_1");
    assert_string_equal(empty, "");
    vl_read_bytes(&r, got, 3);
    assert_memory_equal(got, "xyz", 3);
    assert_memory_equal(vl_read_view(&r, 2), "\1\2", 2);
    assert_false(r.bad);
    assert_int_equal(vl_reader_left(&r), 0);
    assert_non_null(vl_read_view(&r, 0));
    assert_int_equal(vl_read_u8(&r), 0);
    assert_true(r.bad);
    vl_free(name);
    vl_free(empty);
    vl_writer_clear(&w);
    vl_writer_clear(&w);
}

static void short_reads_give_zeros(void **state) {
    (void)state;
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t size = 0; size < 8; size++) {
        vl_reader r = vl_reader_of(bytes, size);
        assert_true(vl_read_u64(&r) == 0);
        assert_true(r.bad);
        assert_int_equal(vl_reader_left(&r), 0);
        assert_int_equal(vl_read_u8(&r), 0); // stays bad though a byte is there
        uint8_t out[4] = {9, 9, 9, 9};
        vl_read_bytes(&r, out, 4);
        assert_memory_equal(out, "\0\0\0\0", 4);
        assert_null(vl_read_view(&r, 0));
    }
    for (size_t size = 0; size < 4; size++) {
        vl_reader r = vl_reader_of(bytes, size);
        assert_int_equal(vl_read_u32(&r), 0);
        assert_true(r.bad);
    }
    vl_reader r = vl_reader_of(bytes, 8);
    assert_null(vl_read_view(&r, SIZE_MAX));
    r = vl_reader_of(bytes, 8);
    vl_read_u8(&r);
    assert_null(vl_read_view(&r, SIZE_MAX)); // at + n would wrap
    r = vl_reader_of(NULL, 0);
    assert_non_null(vl_read_view(&r, 0));
    vl_read_bytes(&r, NULL, 0);
    assert_false(r.bad);
    assert_true(vl_read_f64(&r) == 0);
    assert_true(r.bad);
}

static uint32_t count_of(uint32_t said, size_t there, uint32_t limit, size_t each, bool *bad) {
    uint8_t bytes[64] = {0};
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(said >> (8 * i));
    vl_reader r = vl_reader_of(bytes, 4 + there);
    uint32_t count = vl_read_count(&r, limit, each);
    *bad = r.bad;
    return count;
}

static void hostile_counts(void **state) {
    (void)state;
    bool bad;
    assert_int_equal(count_of(5, 40, 5, 8, &bad), 5);
    assert_false(bad);
    assert_int_equal(count_of(6, 60, 5, 8, &bad), 0); // over the limit
    assert_true(bad);
    assert_int_equal(count_of(5, 39, 100, 8, &bad), 0); // not so many there
    assert_true(bad);
    assert_int_equal(count_of(UINT32_MAX, 60, UINT32_MAX, 8, &bad), 0);
    assert_true(bad);
    assert_int_equal(count_of(UINT32_MAX, 60, UINT32_MAX, SIZE_MAX, &bad), 0);
    assert_true(bad);
    assert_int_equal(count_of(0x20000001, 60, UINT32_MAX, (size_t)1 << 61, &bad), 0); // the product would wrap
    assert_true(bad);
    assert_int_equal(count_of(7, 0, 10, 0, &bad), 7); // items without bytes
    assert_false(bad);
    assert_int_equal(count_of(0, 0, 0, 8, &bad), 0);
    assert_false(bad);
    vl_reader r = vl_reader_of("abc", 3);
    assert_int_equal(vl_read_count(&r, 10, 1), 0);
    assert_true(r.bad);
}

static void assert_no_string(const char *bytes, size_t size, size_t limit) {
    vl_reader r = vl_reader_of(bytes, size);
    assert_null(vl_read_string(&r, limit));
    assert_true(r.bad);
}

static void hostile_strings(void **state) {
    (void)state;
    assert_no_string("\3\0abc", 5, 2);    // over the limit
    assert_no_string("\3\0a\033c", 5, 9); // an escape character
    assert_no_string("\3\0a\177c", 5, 9);
    assert_no_string("\4\0abc", 5, 10); // cut short
    assert_no_string("\3\0a\0c", 5, 10);
    assert_no_string("\3", 1, 10);
    assert_no_string("\377\377", 2, SIZE_MAX);
    vl_reader r = vl_reader_of("\3\0abc", 5);
    char *s = vl_read_string(&r, 3);
    assert_string_equal(s, "abc");
    vl_free(s);
}

static void alignment(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(1000);
    vl_write_align(&w, 64);
    assert_int_equal(w.size, 0);
    vl_write_u8(&w, 7);
    vl_write_align(&w, 64);
    vl_write_u8(&w, 9);
    assert_int_equal(w.size, 65);
    vl_reader r = vl_reader_of(w.data, w.size);
    vl_read_u8(&r);
    vl_read_align(&r, 64);
    assert_int_equal(vl_read_u8(&r), 9);
    assert_false(r.bad);
    r = vl_reader_of(w.data + 1, w.size - 1); // the same place, told by where the bytes come from
    r.origin = 1;
    vl_read_align(&r, 64);
    vl_read_align(&r, 64);
    assert_int_equal(vl_read_u8(&r), 9);
    w.data[63] = 1;
    r = vl_reader_of(w.data, w.size);
    vl_read_u8(&r);
    vl_read_align(&r, 64);
    assert_true(r.bad);
    r = vl_reader_of(w.data, 60); // cut short
    vl_read_u8(&r);
    vl_read_align(&r, 64);
    assert_true(r.bad);
    vl_writer_clear(&w);
}

static void writer_keeps_to_its_limit(void **state) {
    (void)state;
    for (size_t limit = 0; limit < 40; limit++) {
        vl_writer w = vl_writer_of(limit);
        for (size_t i = 0; i < limit / 8; i++) vl_write_u64(&w, i);
        assert_false(w.failed);
        vl_write_u64(&w, 99);
        assert_true(w.failed && w.over);
        assert_int_equal(w.size, limit / 8 * 8);
        vl_write_u8(&w, 1); // stays failed though there may be room
        assert_int_equal(w.size, limit / 8 * 8);
        assert_null(vl_write_space(&w, 0));
        assert_true(w.capacity <= limit);
        vl_writer_clear(&w);
        assert_int_equal(w.limit, limit);
        assert_false(w.failed);
    }
    vl_writer w = vl_writer_of(SIZE_MAX);
    vl_write_u8(&w, 1);
    assert_null(vl_write_space(&w, SIZE_MAX - 1)); // no such memory
    assert_true(w.failed && !w.over);
    assert_null(vl_write_space(&w, SIZE_MAX));
    vl_writer_clear(&w);

    w = vl_writer_of(1 << 20);
    char *longer = vl_alloc(70001);
    memset(longer, 'a', 70000);
    vl_write_string(&w, longer);
    assert_true(w.failed);
    vl_writer_clear(&w);
    longer[65535] = 0;
    vl_write_string(&w, longer);
    assert_false(w.failed);
    assert_int_equal(w.size, 65537);
    vl_writer_clear(&w);
    vl_free(longer);
}

static void writer_grows(void **state) {
    (void)state;
    vl_writer w = vl_writer_of(100003);
    for (uint32_t i = 0; i < 25000; i++) vl_write_u32(&w, i * 2654435761u);
    assert_false(w.failed);
    vl_reader r = vl_reader_of(w.data, w.size);
    for (uint32_t i = 0; i < 25000; i++) assert_int_equal(vl_read_u32(&r), i * 2654435761u);
    assert_int_equal(vl_reader_left(&r), 0);
    assert_non_null(vl_write_space(&w, 3));
    assert_int_equal(w.capacity, 100003);
    vl_writer_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),     cmocka_unit_test(short_reads_give_zeros),
        cmocka_unit_test(hostile_counts), cmocka_unit_test(hostile_strings),
        cmocka_unit_test(alignment),      cmocka_unit_test(writer_keeps_to_its_limit),
        cmocka_unit_test(writer_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
