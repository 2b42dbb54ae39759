// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "wire/wire.h"

#include <string.h>

static const vl_layout packed = {.slots = 64, .dim = 5, .period = 8, .lanes = 4, .cts = 1, .valid = 16},
                       spread = {.slots = 64, .dim = 3, .period = 1, .lanes = 64, .cts = 3, .valid = 1};

static vl_writer head_of(uint64_t requests, uint32_t groups, uint32_t cts) {
    vl_message m = {.key_id = {1, 2, 3, [15] = 9}, .requests = requests, .groups = groups, .cts = cts};
    vl_writer w = vl_writer_of(64);
    vl_wire_head_save(&m, &w);
    assert_int_equal(w.size, 32);
    return w;
}

static velum_status load(const vl_layout *l, uint64_t requests, uint32_t groups, uint32_t cts, vl_message *m) {
    vl_writer w = head_of(requests, groups, cts);
    vl_reader r = vl_reader_of(w.data, w.size);
    velum_status status = vl_wire_head_load(&r, "query", l, m);
    vl_writer_clear(&w);
    return status;
}

static void groups_of_requests(void **state) {
    (void)state;
    const struct {
        uint64_t requests;
        uint32_t groups;
    } cases[] = {{1, 1}, {3, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 3}, {VL_MAX_REQUESTS, 1u << 22}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vl_message m;
        assert_int_equal(vl_wire_groups(&packed, cases[i].requests), cases[i].groups);
        assert_int_equal(load(&packed, cases[i].requests, cases[i].groups, 1, &m), VELUM_OK);
        assert_int_equal(m.requests, cases[i].requests);
        assert_int_equal(m.groups, cases[i].groups);
        assert_int_equal(m.cts, 1);
        assert_int_equal(m.key_id[1], 2);
        assert_int_equal(m.key_id[15], 9);
    }
}

static void wrong_counts_are_refused(void **state) {
    (void)state;
    vl_message m = {.requests = 77};
    assert_int_equal(load(&packed, 0, 0, 1, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, 5, 1, 1, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, 5, 3, 1, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, 5, 2, 2, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, 5, 2, 0, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, VL_MAX_REQUESTS + 1, (1u << 22) + 1, 1, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, UINT64_MAX, 0, 1, &m), VELUM_E_FORMAT);
    assert_int_equal(load(&packed, (UINT64_C(1) << 34) + 4, 1, 1, &m), VELUM_E_FORMAT); // groups wrap in 32 bits
    assert_int_equal(load(&spread, 65, 1, 3, &m), VELUM_E_FORMAT);
    assert_non_null(strstr(velum_last_error(), "query"));
    assert_int_equal(m.requests, 77); // untouched
    assert_int_equal(load(&spread, 64, 1, 3, &m), VELUM_OK);
}

static void cut_short_is_refused(void **state) {
    (void)state;
    vl_writer w = head_of(4, 1, 1);
    for (size_t cut = 0; cut < w.size; cut++) {
        vl_reader r = vl_reader_of(w.data, cut);
        vl_message m;
        assert_int_equal(vl_wire_head_load(&r, "answer", &packed, &m), VELUM_E_FORMAT);
        assert_string_equal(velum_last_error(), "answer: cut short");
    }
    vl_writer_clear(&w);
}

static void mixed_up_is_named(void **state) {
    (void)state;
    uint8_t a[VL_DIGEST_BYTES] = {5}, b[VL_DIGEST_BYTES] = {5};
    assert_int_equal(vl_wire_same_key(a, b, "answer"), VELUM_OK);
    assert_int_equal(vl_wire_same_program(a, b, "answer"), VELUM_OK);
    b[VL_KEY_ID_BYTES] = 1; // beyond a key's identifier
    assert_int_equal(vl_wire_same_key(a, b, "answer"), VELUM_OK);
    assert_int_equal(vl_wire_same_program(a, b, "answer"), VELUM_E_MISMATCH);
    assert_non_null(strstr(velum_last_error(), "answer: made for another program"));
    b[VL_KEY_ID_BYTES - 1] = 1;
    assert_int_equal(vl_wire_same_key(a, b, "answer"), VELUM_E_MISMATCH);
    assert_non_null(strstr(velum_last_error(), "answer: made under another key"));
}

// ---- the head of a file of evaluation keys ----

static void eval_heads(void **state) {
    (void)state;
    vl_eval_head h = {.key_id = {1, 2, 3, [15] = 9}, .bootstraps = 1}, back = {.bootstraps = 77};
    vl_writer w = vl_writer_of(1024);
    vl_frame_begin(&w, VL_FRAME_EVAL, NULL);
    vl_wire_eval_head_save(&h, &w);
    assert_int_equal(w.size, VL_FRAME_HEAD + VL_EVAL_HEAD_BYTES);
    assert_int_equal(vl_frame_end(&w), VELUM_OK);
    uint8_t *payload = w.data + VL_FRAME_HEAD;
    for (size_t size = 0; size < VL_EVAL_HEAD_BYTES; size++) {
        vl_reader r = vl_reader_of(payload, size);
        r.origin = VL_FRAME_HEAD;
        assert_int_equal(vl_wire_eval_head_load(&r, &back), VELUM_E_FORMAT);
    }
    const size_t bad[] = {VL_KEY_ID_BYTES, VL_KEY_ID_BYTES + 3, VL_KEY_ID_BYTES + 4, VL_EVAL_HEAD_BYTES - 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vl_reader r = vl_reader_of(payload, VL_EVAL_HEAD_BYTES);
        r.origin = VL_FRAME_HEAD;
        payload[bad[i]] ^= 2;
        assert_int_equal(vl_wire_eval_head_load(&r, &back), VELUM_E_FORMAT);
        payload[bad[i]] ^= 2;
    }
    assert_int_equal(back.bootstraps, 77);
    vl_reader r;
    assert_int_equal(vl_frame_open(w.data, w.size, VL_FRAME_EVAL, &r, NULL), VELUM_OK);
    assert_int_equal(vl_wire_eval_head_load(&r, &back), VELUM_OK);
    assert_int_equal(vl_reader_left(&r), 0);
    assert_memory_equal(back.key_id, h.key_id, sizeof h.key_id);
    assert_int_equal(back.bootstraps, 1);
    vl_writer_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_requests),   cmocka_unit_test(wrong_counts_are_refused),
        cmocka_unit_test(cut_short_is_refused), cmocka_unit_test(mixed_up_is_named),
        cmocka_unit_test(eval_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
