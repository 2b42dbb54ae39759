// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "layout/layout.h"
#include "test.h"

#include <string.h>

static uint32_t period_for(uint32_t dim) {
    uint32_t period = 1;
    while (period < dim) period *= 2;
    return period;
}

static vl_layout layout(uint32_t slots, uint32_t dim, uint32_t period, uint32_t lanes, uint32_t cts, uint32_t valid) {
    return (vl_layout){.slots = slots, .dim = dim, .period = period, .lanes = lanes, .cts = cts, .valid = valid};
}

static vl_layout packed(uint32_t slots, uint32_t dim, uint32_t lanes) {
    return layout(slots, dim, period_for(dim), lanes, 1, slots / lanes);
}

static vl_layout spread(uint32_t slots, uint32_t dim) { return layout(slots, dim, 1, slots, dim, 1); }

// Features that no two of are alike, so that a wrong place shows.
static double *features_of(const vl_layout *l, uint32_t requests) {
    double *v = vl_alloc_array((size_t)requests * l->dim, sizeof *v);
    assert_non_null(v);
    for (uint32_t i = 0; i < requests * l->dim; i++) v[i] = 1 + i;
    return v;
}

static void check_round_trip(const vl_layout *l, uint32_t requests) {
    assert_int_equal(vl_layout_check(l), VELUM_OK);
    double *in = features_of(l, requests), *out = vl_alloc_array((size_t)requests * l->dim, sizeof *out);
    double *slots = vl_alloc_array(l->slots, sizeof *slots);
    for (uint32_t ct = 0; ct < l->cts; ct++) {
        for (uint32_t i = 0; i < l->slots; i++) slots[i] = -7; // all of them are written
        vl_layout_pack(l, ct, in, requests, slots);
        for (uint32_t i = 0; i < l->slots; i++) assert_true(slots[i] != -7);
        vl_layout_unpack(l, ct, slots, requests, out);
    }
    assert_memory_equal(in, out, (size_t)requests * l->dim * sizeof *in);
    vl_free(in);
    vl_free(out);
    vl_free(slots);
}

static void pack_and_unpack_are_inverse(void **state) {
    (void)state;
    for (uint32_t slots = 1; slots <= 256; slots *= 4)
        for (uint32_t dim = 1; dim <= slots; dim += 1 + dim / 3)
            for (uint32_t lanes = 1; lanes * period_for(dim) <= slots; lanes *= 2)
                for (uint32_t requests = 1; requests <= lanes; requests += 1 + requests / 2) {
                    vl_layout l = packed(slots, dim, lanes);
                    check_round_trip(&l, requests);
                }
    for (uint32_t slots = 1; slots <= 64; slots *= 4)
        for (uint32_t dim = 1; dim <= 9; dim++)
            for (uint32_t requests = 1; requests <= slots; requests += 1 + requests / 2) {
                vl_layout l = spread(slots, dim);
                check_round_trip(&l, requests);
            }
}

// The header's formula, slot by slot: copies, and zeros everywhere else.
static void copies_lie_where_they_should(void **state) {
    (void)state;
    for (uint32_t lanes = 1; lanes <= 8; lanes *= 2)
        for (uint32_t valid = 8; valid <= 128 / lanes; valid += 3) {
            vl_layout l = layout(128, 5, 8, lanes, 1, valid);
            uint32_t requests = lanes > 1 ? lanes - 1 : 1;
            double *in = features_of(&l, requests), slots[128];
            assert_int_equal(vl_layout_check(&l), VELUM_OK);
            vl_layout_pack(&l, 0, in, requests, slots);
            for (uint32_t s = 0; s < 128; s++) {
                uint32_t t = s / lanes, r = s % lanes, f = t % 8;
                bool used = f < 5 && r < requests && t - f + 8 <= valid;
                assert_true(slots[s] == (used ? in[r * 5 + f] : 0));
            }
            vl_free(in);
        }
}

static void unused_lanes_are_zero(void **state) {
    (void)state;
    vl_layout l = spread(16, 3);
    double *in = features_of(&l, 5), slots[16];
    for (uint32_t ct = 0; ct < 3; ct++) {
        vl_layout_pack(&l, ct, in, 5, slots);
        for (uint32_t s = 0; s < 16; s++) assert_true(slots[s] == (s < 5 ? in[s * 3 + ct] : 0));
    }
    vl_free(in);
}

static void saved_and_loaded(const vl_layout *l, velum_status want) {
    vl_writer w = vl_writer_of(64);
    vl_layout got;
    memset(&got, 0x5a, sizeof got);
    vl_layout before = got;
    vl_layout_save(l, &w);
    assert_int_equal(w.size, VL_LAYOUT_BYTES);
    vl_reader r = vl_reader_of(w.data, w.size);
    assert_int_equal(vl_layout_load(&r, &got), want);
    assert_memory_equal(&got, want == VELUM_OK ? l : &before, sizeof got);
    for (size_t cut = 0; cut < VL_LAYOUT_BYTES; cut++) {
        r = vl_reader_of(w.data, cut);
        got = before;
        assert_int_equal(vl_layout_load(&r, &got), VELUM_E_FORMAT);
        assert_memory_equal(&got, &before, sizeof got);
    }
    vl_writer_clear(&w);
}

static void hostile_layouts_are_refused(void **state) {
    (void)state;
    const vl_layout good[] = {packed(64, 5, 4), packed(1, 1, 1),           packed(65536, 65536, 1),   spread(64, 3),
                              spread(64, 1),    layout(64, 5, 8, 4, 1, 8), layout(64, 5, 8, 4, 1, 11)};
    const vl_layout bad[] = {layout(0, 1, 1, 1, 1, 1),
                             layout(63, 5, 8, 1, 1, 63),
                             layout(131072, 5, 8, 1, 1, 8),
                             layout(64, 5, 8, 0, 1, 8),
                             layout(64, 5, 8, 3, 1, 8),
                             layout(64, 5, 8, 128, 1, 8),
                             layout(64, 0, 8, 4, 1, 16),
                             layout(64, 9, 8, 4, 1, 16),
                             layout(64, 5, 0, 4, 1, 16),
                             layout(64, 5, 7, 4, 1, 16),
                             layout(64, 5, 8, 4, 1, 7),
                             layout(64, 5, 8, 4, 1, 17),
                             layout(64, 5, 8, 4, 0, 16),
                             layout(64, 5, 8, 4, 2, 16),
                             layout(64, 5, 8, 4, 5, 16),
                             layout(64, 3, 2, 64, 3, 1),
                             layout(64, 3, 1, 64, 3, 2),
                             layout(64, 3, 1, 64, 3, 0),
                             layout(64, 3, 1, 32, 3, 1),
                             layout(64, 3, 1, 64, 4, 1),
                             layout(64, 70000, 1, 64, 70000, 1),
                             layout(64, 5, 32, 4, 1, 16),
                             layout(64, 1, 2, 64, 1, 1),
                             layout(64, 5, 1u << 31, 1, 1, 64),
                             layout(64, 1, 1, 64, 1, UINT32_MAX),
                             layout(64, 5, 8, 4, UINT32_MAX, 16),
                             layout(UINT32_MAX, 5, 8, 4, 1, 16)};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) saved_and_loaded(&good[i], VELUM_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(vl_layout_check(&bad[i]), VELUM_E_FORMAT);
        assert_non_null(strstr(velum_last_error(), "layout"));
        saved_and_loaded(&bad[i], VELUM_E_FORMAT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_and_unpack_are_inverse),
        cmocka_unit_test(copies_lie_where_they_should),
        cmocka_unit_test(unused_lanes_are_zero),
        cmocka_unit_test(hostile_layouts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
