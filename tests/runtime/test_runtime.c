// SPDX-License-Identifier: Apache-2.0
// Encrypted runs against the simulation, slot for slot, and the simulation against direct arithmetic.
#include "runtime/fixture.h"

static const build_options all[] = {
    {.net = BUILD_NETWORK},
    {.net = BUILD_NETWORK, .lanes = 4, .seed = 1},
    {.net = BUILD_NETWORK, .log_n = 10, .lanes = 16, .seed = 2},
    {.net = BUILD_BRANCHES, .seed = 3},
    {.net = BUILD_BRANCHES, .log_n = 9, .lanes = 4, .seed = 4},
    {.net = BUILD_CHEBYSHEV, .seed = 4},
    {.net = BUILD_SPREAD, .seed = 5},
    {.net = BUILD_NETWORK, .lanes = 8, .security = 128, .seed = 6},
};
#define ALL (sizeof all / sizeof *all)

static double *simulate(const fixture *f) {
    const vl_layout *l = &f->program.manifest.out;
    double *out = vl_alloc_array((size_t)l->cts * l->slots, sizeof *out);
    assert_int_equal(vl_sim_run(&f->program, f->in, out), VELUM_OK);
    return out;
}

static void simulation_is_the_model(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        fixture f = {0};
        build_program(&all[i], &f.program);
        fixture_pack(&f);
        const vl_manifest *m = &f.program.manifest;
        double *slots = simulate(&f), *got = vl_alloc_array((size_t)f.requests * BUILD_OUTPUTS, sizeof *got);
        for (uint32_t ct = 0; ct < m->out.cts; ct++)
            vl_layout_unpack(&m->out, ct, slots + (size_t)ct * m->out.slots, f.requests, got);
        for (uint32_t r = 0; r < f.requests; r++) {
            double raw[BUILD_INPUTS], want[BUILD_OUTPUTS];
            build_row(r, raw);
            build_expected(&f.program, raw, want);
            for (uint32_t k = 0; k < BUILD_OUTPUTS; k++)
                assert_true(fabs(got[r * BUILD_OUTPUTS + k] - want[k]) < 1e-12);
        }
        vl_free(slots);
        vl_free(got);
        fixture_clear(&f);
    }
}

static void check_run(fixture *f, vl_runtime *runtime, const double *want) {
    const vl_manifest *m = &f->program.manifest;
    size_t n = (size_t)m->out.cts * m->out.slots;
    double *got = vl_alloc_array(n, sizeof *got), seconds[16] = {0}, worst = 0;
    vl_ciphertext *in = fixture_encrypt(f), *out = vl_alloc_array(m->out.cts, sizeof *out);
    assert_int_equal(vl_runtime_run(runtime, &f->x, &f->keys, NULL, in, out, seconds, NULL), VELUM_OK);
    for (uint32_t i = 0; i < f->program.op_count; i++) assert_true(seconds[i] > 0);
    assert_int_equal(f->x.arena.used, 0);
    fixture_decrypt(f, out, got);
    for (size_t s = 0; s < n; s++) worst = fmax(worst, fabs(got[s] - want[s]));
    print_message("    error 2^%.1f, bound 2^%.1f\n", log2(worst), log2(m->error_bound));
    assert_true(worst < m->error_bound);
    assert_true(worst > 0x1p-45); // it was encrypted
    fixture_free(in, m->in.cts);
    fixture_free(out, m->out.cts);
    vl_free(got);
}

static void encrypted_is_the_simulation(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            fixture f;
            vl_runtime *runtime;
            fixture_init(&f, &all[i], threads);
            double *want = simulate(&f);
            assert_int_equal(vl_runtime_new(&f.x, f.params, f.encoder, &f.program, &runtime), VELUM_OK);
            check_run(&f, runtime, want);
            check_run(&f, runtime, want); // a second query finds everything as the first did
            vl_runtime_free(runtime);
            vl_free(want);
            fixture_clear(&f);
        }
}

// What is not declared is zero: the mask leaves nothing of the hidden slots.
static void undeclared_slots_are_zero(void **state) {
    (void)state;
    fixture f = {0};
    build_program(&all[1], &f.program);
    fixture_pack(&f);
    double *slots = simulate(&f);
    const vl_layout *l = &f.program.manifest.out;
    uint32_t others = 0;
    for (uint32_t s = 0; s < l->slots; s++) {
        if (s < l->dim * l->lanes) continue;
        assert_true(slots[s] == 0);
        others++;
    }
    assert_int_equal(others, 128 - 2 * 4);
    vl_free(slots);
    fixture_clear(&f);
}

static void simulation_verifies_first(void **state) {
    (void)state;
    fixture f = {0};
    build_program(&all[0], &f.program);
    fixture_pack(&f);
    double out[128] = {[5] = 42};
    f.program.values[2].scale *= 2;
    assert_int_equal(vl_sim_run(&f.program, f.in, out), VELUM_E_FORMAT);
    assert_true(out[5] == 42);
    fixture_clear(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulation_is_the_model),
        cmocka_unit_test(encrypted_is_the_simulation),
        cmocka_unit_test(undeclared_slots_are_zero),
        cmocka_unit_test(simulation_verifies_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
