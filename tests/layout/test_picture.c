// SPDX-License-Identifier: Apache-2.0
// Pictures over slots: every feature of every request has a slot of its own, the one that the header's formula says.
#include "base/mem.h"
#include "layout/layout.h"
#include "test.h"

#include <string.h>

static uint32_t rows_of(uint32_t size, uint32_t phase) { return (size + phase - 1) / phase; }

// Row-major in its period, columns `stride` apart.
static vl_layout picture(uint32_t slots, uint32_t channels, uint32_t height, uint32_t width, uint32_t phase_y,
                         uint32_t phase_x, uint32_t stride, uint32_t parts) {
    vl_layout l = {.slots = slots,
                   .dim = channels * height * width,
                   .cts = channels * phase_y * phase_x,
                   .valid = 1,
                   .parts = parts,
                   .channels = channels,
                   .height = height,
                   .width = width,
                   .phase_y = phase_y,
                   .phase_x = phase_x,
                   .stride_y = rows_of(width, phase_x) * stride,
                   .stride_x = stride,
                   .period = 1};
    while (l.period < rows_of(height, phase_y) * l.stride_y) l.period *= 2;
    l.lanes = slots / l.period * parts;
    return l;
}

// As the header has it.
static size_t number_of(const vl_layout *l, uint32_t c, uint32_t y, uint32_t x, uint32_t r) {
    uint32_t groups = l->slots / l->period;
    size_t ct = ((size_t)c * l->phase_y + y % l->phase_y) * l->phase_x + x % l->phase_x;
    size_t slot = (size_t)(r % groups) * l->period + y / l->phase_y * l->stride_y + x / l->phase_x * l->stride_x;
    return ct * vl_layout_room(l) + (r < groups ? 0 : l->slots) + slot;
}

static void check(const vl_layout *l, uint32_t requests) {
    if (vl_layout_check(l) != VELUM_OK) fail_msg("%s", velum_last_error());
    size_t room = vl_layout_room(l), n = l->cts * room;
    double *in = vl_alloc_array((size_t)requests * l->dim, sizeof *in), *slots = vl_alloc_array(n, sizeof *slots);
    double *out = vl_alloc_array((size_t)requests * l->dim, sizeof *out), *want = vl_alloc_array(n, sizeof *want);
    assert_true(in && slots && out && want);
    for (size_t i = 0; i < (size_t)requests * l->dim; i++) in[i] = (double)i + 1;
    for (size_t i = 0; i < n; i++) slots[i] = -7; // all of them are written
    for (uint32_t r = 0; r < requests; r++)
        for (uint32_t f = 0; f < l->dim; f++) {
            uint32_t area = l->height * l->width;
            size_t at = number_of(l, f / area, f % area / l->width, f % l->width, r);
            assert_true(at < n && want[at] == 0);
            want[at] = in[(size_t)r * l->dim + f];
        }
    for (uint32_t ct = 0; ct < l->cts; ct++) {
        vl_layout_pack(l, ct, in, requests, slots + ct * room);
        vl_layout_unpack(l, ct, slots + ct * room, requests, out);
    }
    assert_memory_equal(slots, want, n * sizeof *slots);
    assert_memory_equal(in, out, (size_t)requests * l->dim * sizeof *in);
    vl_free(in);
    vl_free(slots);
    vl_free(out);
    vl_free(want);
}

static void every_feature_has_its_slot(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++)
        for (uint32_t height = 1; height <= 7; height += 2)
            for (uint32_t width = 1; width <= 6; width++)
                for (uint32_t py = 1; py <= height && py <= 4; py *= 2)
                    for (uint32_t px = 1; px <= width && px <= 2; px *= 2)
                        for (uint32_t stride = 1; stride <= 2; stride++) {
                            vl_layout l = picture(256, 3, height, width, py, px, stride, parts);
                            for (uint32_t requests = 1; requests <= l.lanes; requests += 1 + requests)
                                check(&l, requests);
                            check(&l, l.lanes);
                        }
}

// The layouts of a residual network on pictures of 32 x 32: the largest.
static void large_pictures(void **state) {
    (void)state;
    vl_layout l = picture(32768, 3, 32, 32, 2, 4, 1, 2);
    assert_int_equal(l.period, 128);
    assert_int_equal(l.lanes, 512);
    assert_int_equal(l.cts, 24);
    check(&l, 512);
    vl_layout most = picture(32768, 64, 32, 32, 2, 4, 1, 2);
    assert_int_equal(most.dim, 65536);
    assert_int_equal(vl_layout_check(&most), VELUM_OK);
    vl_layout answer = {.slots = 32768,
                        .dim = 10,
                        .period = 128,
                        .lanes = 512,
                        .cts = 10,
                        .valid = 1,
                        .parts = 2,
                        .channels = 10,
                        .height = 1,
                        .width = 1,
                        .phase_y = 1,
                        .phase_x = 1,
                        .stride_y = 16,
                        .stride_x = 1};
    check(&answer, 512);
}

static void masks_keep_what_is_packed(void **state) {
    (void)state;
    const vl_layout all[] = {picture(64, 2, 5, 3, 2, 2, 1, 1),
                             picture(64, 2, 5, 3, 2, 2, 2, 2),
                             {.slots = 64, .dim = 5, .period = 8, .lanes = 4, .cts = 1, .valid = 8},
                             {.slots = 64, .dim = 3, .period = 1, .lanes = 64, .cts = 3, .valid = 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const vl_layout *l = &all[i];
        double ones[128 * 30], slots[128], keep[64];
        for (size_t k = 0; k < sizeof ones / sizeof *ones; k++) ones[k] = 1;
        assert_true((size_t)l->lanes * l->dim <= sizeof ones / sizeof *ones);
        for (uint32_t ct = 0; ct < l->cts; ct++) {
            memset(keep, 0x5a, sizeof keep);
            vl_layout_mask(l, ct, keep);
            vl_layout_pack(l, ct, ones, l->lanes, slots);
            assert_memory_equal(keep, slots, sizeof keep);
            if (l->parts == 2) assert_memory_equal(keep, slots + 64, sizeof keep);
        }
    }
}

static void equal_layouts(void **state) {
    (void)state;
    const vl_layout l = picture(64, 2, 5, 3, 2, 2, 1, 1);
    for (size_t i = 0; i < VL_LAYOUT_BYTES / 4; i++) {
        vl_layout other = l;
        assert_true(vl_layout_same(&l, &other, false));
        ((uint32_t *)&other)[i]++;
        assert_false(vl_layout_same(&l, &other, false));
        assert_true(vl_layout_same(&l, &other, true) == (&((uint32_t *)&other)[i] == &other.valid));
    }
}

#define BREAKS(X)                                                                                                      \
    X(l.slots = 96, "slots")                                                                                           \
    X(l.period = 24, "period")                                                                                         \
    X(l.period = 0, "period")                                                                                          \
    X(l.period = 128, "period")                                                                                        \
    X(l.period = UINT32_MAX, "period")                                                                                 \
    X((l.period = 8, l.lanes *= 2), "do not fit a period of 8")                                                        \
    X(l.lanes /= 2, "lanes")                                                                                           \
    X(l.lanes = 0, "lanes")                                                                                            \
    X(l.valid = 4, "valid")                                                                                            \
    X(l.parts = 3, "parts")                                                                                            \
    X(l.parts = 1, "parts")                                                                                            \
    X(l.parts = UINT32_MAX, "parts")                                                                                   \
    X(l.parts = 0, "a picture of no parts")                                                                            \
    X(l.channels = 0, "channels")                                                                                      \
    X(l.channels = 3, "channels")                                                                                      \
    X(l.channels = 1u << 31, "channels")                                                                               \
    X((l.channels = 65537, l.dim = 65537 * 15), "channels")                                                            \
    X((l.channels = 1u << 13, l.dim = 15u << 13, l.cts = 4u << 13), "channels")                                        \
    X((l.height = 1u << 16, l.width = 1u << 16, l.dim = 0), "channels")                                                \
    X(l.height = 0, "height of 0")                                                                                     \
    X(l.height = UINT32_MAX, "height")                                                                                 \
    X(l.width = 0, "width of 0")                                                                                       \
    X(l.width = 4, "channels of 5 x 4")                                                                                \
    X(l.dim = 29, "features")                                                                                          \
    X(l.cts = 7, "ciphertexts")                                                                                        \
    X(l.phase_y = 0, "height of 5 in 0 phases")                                                                        \
    X(l.phase_y = 3, "height of 5 in 3 phases")                                                                        \
    X(l.phase_y = 8, "height of 5 in 8 phases")                                                                        \
    X(l.phase_x = 4, "width of 3 in 4 phases")                                                                         \
    X(l.phase_x = 1u << 31, "width of 3")                                                                              \
    X(l.stride_y = 0, "height of stride 0")                                                                            \
    X(l.stride_y = 65, "height of stride 65")                                                                          \
    X(l.stride_x = UINT32_MAX, "width of stride")                                                                      \
    X(l.stride_y = 2, "strides 2 and 2")                                                                               \
    X(l.stride_x = 8, "strides 4 and 8")                                                                               \
    X(l.stride_x = 4, "strides 4 and 4")                                                                               \
    X(l.stride_y = 8, "strides 8 and 2")

static void hostile_pictures_are_refused(void **state) {
    (void)state;
    const vl_layout good = picture(64, 2, 5, 3, 2, 2, 2, 2); // 3 x 2 a phase, strides 4 and 2, period 16
    assert_int_equal(good.period, 16);
    assert_int_equal(vl_layout_check(&good), VELUM_OK);
    uint32_t wrong = 0;
#define X(how, words)                                                                                                  \
    do {                                                                                                               \
        vl_layout l = good;                                                                                            \
        (void)(how);                                                                                                   \
        if (vl_layout_check(&l) != VELUM_E_FORMAT || !strstr(velum_last_error(), words)) {                             \
            print_error("%s: '%s' lacks '%s'\n", #how, velum_last_error(), words);                                     \
            wrong++;                                                                                                   \
        }                                                                                                              \
    } while (0);
    BREAKS(X)
#undef X
    assert_int_equal(wrong, 0);
    vl_layout across = good; // columns further apart than rows
    across.stride_y = 1;
    across.stride_x = 4;
    check(&across, across.lanes);
}

// No two features share a slot in any layout that is accepted.
static void accepted_means_apart(void **state) {
    (void)state;
    uint32_t accepted = 0, refused = 0;
    for (uint32_t height = 1; height <= 5; height++)
        for (uint32_t width = 1; width <= 5; width++)
            for (uint32_t sy = 1; sy <= 12; sy++)
                for (uint32_t sx = 1; sx <= 12; sx++) {
                    vl_layout l = picture(64, 1, height, width, 1, 1, 1, 1);
                    l.stride_y = sy;
                    l.stride_x = sx;
                    l.period = 32;
                    l.lanes = 2;
                    if (vl_layout_check(&l) == VELUM_OK) {
                        check(&l, 2);
                        accepted++;
                    } else {
                        refused++;
                    }
                }
    assert_true(accepted > 300 && refused > 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_has_its_slot),   cmocka_unit_test(large_pictures),
        cmocka_unit_test(masks_keep_what_is_packed),    cmocka_unit_test(equal_layouts),
        cmocka_unit_test(hostile_pictures_are_refused), cmocka_unit_test(accepted_means_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
