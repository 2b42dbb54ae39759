// SPDX-License-Identifier: Apache-2.0
// Programs on pictures in the clear: fewer lanes give the same numbers, and the model of noise its deviations.
#include "program/picture.h"
#include "runtime/runtime.h"
#include "test.h"

// Requests 0 .. of - 1, again and again.
static double *packed_again(const vl_program *p, uint32_t requests, uint32_t of) {
    const vl_layout *l = &p->manifest.in;
    const size_t room = vl_layout_room(l);
    double *features = vl_alloc_array((size_t)requests * l->dim, sizeof *features);
    double *in = vl_alloc_array(l->cts * room, sizeof *in);
    assert_true(features && in);
    for (uint32_t r = 0; r < requests; r++) {
        double raw[PICTURE_PIXELS];
        picture_row(r % of, raw);
        assert_int_equal(vl_manifest_prologue(&p->manifest, r + 1, raw, features + (size_t)r * l->dim), VELUM_OK);
    }
    for (uint32_t i = 0; i < l->cts; i++) vl_layout_pack(l, i, features, requests, in + i * room);
    vl_free(features);
    return in;
}

static double *packed(const vl_program *p, uint32_t requests) { return packed_again(p, requests, requests); }

static double *unpacked(const vl_program *p, const double *slots, uint32_t requests) {
    const vl_layout *l = &p->manifest.out;
    double *features = vl_alloc_array((size_t)requests * l->dim, sizeof *features);
    assert_non_null(features);
    for (uint32_t i = 0; i < l->cts; i++) vl_layout_unpack(l, i, slots + i * vl_layout_room(l), requests, features);
    return features;
}

static void fewer_lanes(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        picture_net net;
        picture_program(&(picture_options){.parts = parts}, &net);
        const vl_program *p = &net.program;
        const vl_layout *l = &p->manifest.out;
        double *out = vl_alloc_array(l->cts * vl_layout_room(l), sizeof *out);
        for (uint32_t requests = 1; requests <= 16; requests += 3) {
            vl_program narrow;
            assert_int_equal(vl_sim_narrow(p, requests, &narrow), VELUM_OK);
            assert_true(narrow.manifest.in.lanes >= requests && narrow.manifest.in.lanes < 2 * requests);
            assert_int_equal(vl_layout_check(&narrow.manifest.in), VELUM_OK);
            double *few = packed(&narrow, requests), *all = packed(p, requests);
            double *less = vl_alloc_array(l->cts * vl_layout_room(&narrow.manifest.out), sizeof *less);
            assert_int_equal(vl_sim_run(p, all, out), VELUM_OK);
            assert_int_equal(vl_sim_run_verified(&narrow, few, less), VELUM_OK);
            double *a = unpacked(p, out, requests), *b = unpacked(&narrow, less, requests);
            assert_memory_equal(a, b, (size_t)requests * l->dim * sizeof *a);
            vl_free(few);
            vl_free(all);
            vl_free(less);
            vl_free(a);
            vl_free(b);
            vl_free(narrow.values);
        }
        vl_free(out);
        vl_program_clear(&net.program);
    }
}

// The mask leaves nothing outside the answer, in either part.
static void masked(void **state) {
    (void)state;
    picture_net net;
    picture_program(&(picture_options){0}, &net);
    const vl_layout *l = &net.program.manifest.out;
    double *in = packed(&net.program, 20), *out = vl_alloc_array(l->cts * vl_layout_room(l), sizeof *out), keep[128];
    assert_int_equal(vl_sim_run(&net.program, in, out), VELUM_OK);
    for (uint32_t i = 0; i < l->cts; i++) {
        vl_layout_mask(l, i, keep);
        for (uint32_t s = 0; s < 2 * l->slots; s++)
            assert_true((out[i * vl_layout_room(l) + s] != 0) == (keep[s % l->slots] != 0));
    }
    vl_free(in);
    vl_free(out);
    vl_program_clear(&net.program);
}

static void noisy(void **state) {
    (void)state;
    picture_net net;
    picture_program(&(picture_options){0}, &net);
    const vl_layout *l = &net.program.manifest.out;
    const size_t n = l->cts * vl_layout_room(l);
    double *in = packed(&net.program, 32), *out = vl_alloc_array(n, sizeof *out);
    double *first = vl_alloc_array(n, sizeof *first), *second = vl_alloc_array(n, sizeof *second), sum = 0;
    assert_int_equal(vl_sim_run(&net.program, in, out), VELUM_OK);
    assert_int_equal(vl_sim_run_noisy(&net.program, in, 3, first), VELUM_OK);
    assert_int_equal(vl_sim_run_noisy(&net.program, in, 3, second), VELUM_OK);
    assert_memory_equal(first, second, n * sizeof *first);
    assert_int_equal(vl_sim_run_noisy(&net.program, in, 4, second), VELUM_OK);
    assert_memory_not_equal(first, second, n * sizeof *first);
    for (size_t i = 0; i < n; i++) sum += (first[i] - out[i]) * (first[i] - out[i]);
    double bits = log2(sqrt(sum / (double)n));
    print_message("    deviation 2^%.1f\n", bits); // under encryption the worst of many is 2^-17
    assert_true(bits < -16 && bits > -26);
    vl_free(in);
    vl_free(out);
    vl_free(first);
    vl_free(second);
    vl_program_clear(&net.program);
}

// Mean square, over so many seeds, of what noise does to the answers of the first `requests`.
#define SEEDS 48
static double noise_of(const vl_program *p, const double *in, uint32_t requests) {
    const vl_layout *l = &p->manifest.out;
    const size_t n = l->cts * vl_layout_room(l), count = (size_t)requests * l->dim;
    double *out = vl_alloc_array(n, sizeof *out), sum = 0;
    assert_non_null(out);
    assert_int_equal(vl_sim_run_verified(p, in, out), VELUM_OK);
    double *without = unpacked(p, out, requests);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_int_equal(vl_sim_run_noisy_probe(p, in, seed, NULL, NULL, out), VELUM_OK);
        double *with = unpacked(p, out, requests);
        for (size_t i = 0; i < count; i++) sum += (with[i] - without[i]) * (with[i] - without[i]);
        vl_free(with);
    }
    vl_free(without);
    vl_free(out);
    return sum / (double)(SEEDS * count);
}

// Fewer lanes have the noise of all: its deviations follow from the ring and from the values, not from how many there
// are.
static void noisy_in_fewer_lanes(void **state) {
    (void)state;
    for (uint32_t parts = 1; parts <= 2; parts++) {
        picture_net net;
        picture_program(&(picture_options){.parts = parts}, &net);
        const vl_program *p = &net.program;
        for (uint32_t requests = 1; requests <= 16; requests *= 4) {
            vl_program narrow;
            assert_int_equal(vl_sim_narrow(p, requests, &narrow), VELUM_OK);
            double *few = packed(&narrow, requests), *all = packed_again(p, p->manifest.in.lanes, requests);
            const double less = noise_of(&narrow, few, requests), more = noise_of(p, all, requests);
            print_message("    %u parts, %u requests: 2^%.2f and 2^%.2f\n", parts, requests, log2(less) / 2,
                          log2(more) / 2);
            assert_true(less < 1.6 * more && more < 1.6 * less);
            vl_free(few);
            vl_free(all);
            vl_free(narrow.values);
        }
        vl_program_clear(&net.program);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fewer_lanes), cmocka_unit_test(masked), cmocka_unit_test(noisy),
                                       cmocka_unit_test(noisy_in_fewer_lanes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
