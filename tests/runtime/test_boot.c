// SPDX-License-Identifier: Apache-2.0
// A bootstrapped program with every new kind of operation: encrypted against simulated against exact, refusals, memory.
#include "program/boot.h"
#include "runtime/fixture.h"

static const boot_options all[] = {{0}, {.lanes = 4}, {.sparse = true, .lanes = 2}, {.lanes = 64, .memory = 1}};
#define ALL (sizeof all / sizeof *all)

static double worst_of(const double *a, const double *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

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
        boot_program(&all[i], &f.program);
        fixture_pack(&f);
        if (vl_program_verify(&f.program) != VELUM_OK) fail_msg("%s", velum_last_error());
        const vl_manifest *m = &f.program.manifest;
        double *slots = simulate(&f), *got = vl_alloc_array((size_t)f.requests * BUILD_OUTPUTS, sizeof *got);
        double *noisy = vl_alloc_array(m->out.slots, sizeof *noisy),
               *again = vl_alloc_array(m->out.slots, sizeof *again);
        vl_layout_unpack(&m->out, 0, slots, f.requests, got);
        const vl_compare *relu = &f.program.ops[4].compare;
        double error = 3 * vl_compare_error(relu), far = 0; // up to three entries a row, each at most 1
        for (uint32_t r = 0; r < f.requests; r++) {
            double raw[BUILD_INPUTS], want[BUILD_OUTPUTS];
            build_row(r, raw);
            boot_expected(&f.program, raw, want);
            far = fmax(far, worst_of(got + (size_t)r * BUILD_OUTPUTS, want, BUILD_OUTPUTS));
        }
        assert_true(far < error && far > 0);
        assert_int_equal(vl_sim_run_noisy(&f.program, f.in, 7, noisy), VELUM_OK);
        assert_int_equal(vl_sim_run_noisy(&f.program, f.in, 7, again), VELUM_OK);
        assert_memory_equal(noisy, again, m->out.slots * sizeof *noisy);
        assert_int_equal(vl_sim_run_noisy(&f.program, f.in, 8, again), VELUM_OK);
        assert_memory_not_equal(noisy, again, m->out.slots * sizeof *noisy);
        double modelled = worst_of(noisy, slots, m->out.slots);
        assert_true(modelled > 0x1p-25 && modelled < m->error_bound);
        vl_free(slots);
        vl_free(got);
        vl_free(noisy);
        vl_free(again);
        fixture_clear(&f);
    }
}

typedef struct told {
    uint32_t calls, count;
    double seconds, left;
} told;

static void tell(void *arg, uint32_t done, uint32_t count, double seconds, double left) {
    told *t = arg;
    assert_int_equal(done, t->calls++);
    assert_true(seconds >= t->seconds && left >= 0);
    *t = (told){t->calls, count, seconds, left};
}

static void encrypted_is_the_simulation(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        fixture f = {0};
        boot_program(&all[i], &f.program);
        fixture_open(&f, 1 + (unsigned)i % 2);
        const vl_manifest *m = &f.program.manifest;
        vl_runtime *runtime;
        double *want = simulate(&f), *got = vl_alloc_array(m->out.slots, sizeof *got), seconds[16] = {0};
        assert_int_equal(vl_runtime_new(&f.x, f.params, f.encoder, &f.program, &runtime), VELUM_OK);
        vl_ciphertext *in = fixture_encrypt(&f), *out = vl_alloc_array(m->out.cts, sizeof *out);
        told t = {0};
        const vl_progress progress = {tell, &t};
        velum_status status = vl_runtime_run(runtime, &f.x, &f.keys, &f.own, in, out, seconds, &progress);
        if (status != VELUM_OK) fail_msg("%s", velum_last_error());
        assert_int_equal(t.calls, f.program.op_count + 1);
        assert_int_equal(t.count, f.program.op_count);
        assert_true(t.left == 0 && t.seconds > 0);
        assert_int_equal(f.x.arena.used, 0);
        fixture_decrypt(&f, out, got);
        double error = worst_of(got, want, m->out.slots);
        print_message("    error 2^%.1f, bound 2^%.1f\n", log2(error), log2(m->error_bound));
        assert_true(error < m->error_bound && error > 0x1p-30);
        fixture_free(out, m->out.cts);
        out = vl_alloc_array(m->out.cts, sizeof *out);
        assert_int_equal(vl_runtime_run(runtime, &f.x, &f.keys, NULL, in, out, NULL, NULL), VELUM_E_MISMATCH);
        vl_bootstrap_keys fewer = f.own;
        fewer.low.count--;
        assert_int_equal(vl_runtime_run(runtime, &f.x, &f.keys, &fewer, in, out, NULL, NULL), VELUM_E_MISMATCH);
        assert_int_equal(f.x.arena.used, 0);
        fixture_free(in, m->in.cts);
        fixture_free(out, m->out.cts);
        vl_runtime_free(runtime);
        vl_free(want);
        vl_free(got);
        fixture_clear(&f);
    }
}

static double predicted(const fixture *f, uint64_t memory, uint32_t *diagonals) {
    vl_program p = f->program; // its operations are the fixture's
    vl_diagset_plan *plan = vl_alloc(sizeof *plan);
    double seconds = 0;
    assert_non_null(plan);
    *diagonals = 0;
    p.memory_bytes = memory;
    for (uint32_t i = 0; i < p.op_count; i++) p.ops[i].seconds = 1;
    assert_int_equal(vl_runtime_price_diagonals(f->params, &p), VELUM_OK);
    for (uint32_t i = 0; i < p.op_count; i++) {
        seconds += p.ops[i].seconds - 1;
        if (p.ops[i].kind != VL_OP_DIAGONALS) continue;
        assert_int_equal(vl_program_diagonals(&p, &p.ops[i], plan), VELUM_OK);
        *diagonals += plan->count;
    }
    vl_free(plan);
    return seconds;
}

// Those that are kept as coefficients are made ready at each use, and only those.
static void diagonals_are_priced(void **state) {
    (void)state;
    fixture f = {0};
    uint32_t count;
    boot_program(&(boot_options){.lanes = 64}, &f.program);
    fixture_open(&f, 1);
    const uint64_t most = vl_runtime_plan(f.params, &f.program).total;
    assert_true(predicted(&f, 0, &count) == 0 && count > 1);
    assert_true(predicted(&f, most, &count) == 0);
    const double whole = predicted(&f, 1, &count);
    assert_true(fabs(whole - 1e-4 * count) < 1e-9);
    const double some = predicted(&f, most - 1, &count);
    assert_true(some > 0 && some < whole);
    fixture_clear(&f);
}

// What does not fit is kept as coefficients; the plan says how much is taken.
static void memory_is_kept_to(void **state) {
    (void)state;
    fixture f = {0};
    boot_program(&(boot_options){.lanes = 64}, &f.program); // diagonals that do not repeat
    fixture_open(&f, 1);
    vl_memory_plan most = vl_runtime_plan(f.params, &f.program);
    assert_true(most.spare == UINT64_MAX && most.bootstrap > 0 && most.program > 0);
    f.program.memory_bytes = 1;
    vl_memory_plan least = vl_runtime_plan(f.params, &f.program);
    assert_int_equal(least.spare, 0);
    assert_true(least.weights < most.weights);
    f.program.memory_bytes = (most.total + least.total) / 2;
    vl_memory_plan between = vl_runtime_plan(f.params, &f.program);
    assert_true(between.total <= f.program.memory_bytes && between.weights > least.weights);
    f.program.memory_bytes = most.total;
    assert_int_equal(vl_runtime_plan(f.params, &f.program).total, most.total);
    fixture_clear(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulation_is_the_model),
        cmocka_unit_test(encrypted_is_the_simulation),
        cmocka_unit_test(memory_is_kept_to),
        cmocka_unit_test(diagonals_are_priced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
