// SPDX-License-Identifier: Apache-2.0
// The runtime seen from inside: its sources are compiled here with re-randomisation left out, so that runs can be
// compared bit by bit, and with ciphertexts counted, so that the memory plan can be held against what is really taken.
#include "runtime/fixture.h"
#include <stdatomic.h>

static _Atomic uint64_t live_bytes, peak_bytes;

static velum_status counted_new(const vl_params *p, uint16_t level, uint8_t degree, vl_ciphertext *out) {
    uint64_t own = (degree + 1u) * vl_poly_bytes(&p->ring, level, 0), live = (live_bytes += own), peak = peak_bytes;
    while (live > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, live)) {
    }
    return vl_ciphertext_new_raw(p, level, degree, out);
}

static uint32_t ring_degree; // the block's size is not told when it goes

static void counted_free(vl_ciphertext *ct) {
    if (ct->block) live_bytes -= (ct->degree + 1u) * (uint64_t)ct->capacity * ring_degree * 8;
    vl_ciphertext_free(ct);
}

static velum_status left_as_it_is(vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *ct, double flood_sigma) {
    (void)x, (void)keys, (void)ct, (void)flood_sigma;
    return VELUM_OK;
}

#define vl_ciphertext_new_raw counted_new
#define vl_ciphertext_free counted_free
#define vl_rlwe_rerandomise left_as_it_is
#include "runtime/execute.c"
#include "runtime/runtime.c"
#undef vl_ciphertext_new_raw
#undef vl_ciphertext_free
#undef vl_rlwe_rerandomise

static const build_options all[] = {
    {.net = BUILD_NETWORK},
    {.net = BUILD_NETWORK, .lanes = 4},
    {.net = BUILD_NETWORK, .log_n = 10, .lanes = 32},
    {.net = BUILD_BRANCHES},
    {.net = BUILD_CHEBYSHEV},
    {.net = BUILD_SPREAD},
    {.net = BUILD_WIDE},
    {.net = BUILD_NETWORK, .security = 128},
};
static const picture_options pictures[] = {{0}, {.parts = 1}};
#define NETS (sizeof all / sizeof *all)
#define ALL (NETS + sizeof pictures / sizeof *pictures)

static void open_one(fixture *f, size_t i, unsigned threads) {
    if (i < NETS)
        fixture_init(f, &all[i], threads);
    else
        fixture_picture(f, &pictures[i - NETS], threads);
}

static void same_bits_for_every_thread_count(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        fixture f;
        open_one(&f, i, 1);
        const vl_manifest *m = &f.program.manifest;
        if (i >= NETS) assert_false(vl_runtime_plan(f.params, &f.program).maps_at_use);
        vl_ciphertext *in = fixture_encrypt(&f), *first = vl_alloc_array(m->out.cts, sizeof *first);
        for (unsigned threads = 1; threads <= 3; threads++) {
            vl_exec x;
            vl_runtime *runtime;
            vl_ciphertext *out = vl_alloc_array(m->out.cts, sizeof *out);
            size_t scratch = vl_runtime_plan(f.params, &f.program).scratch;
            assert_int_equal(vl_exec_init(&x, threads, threads == 3 ? 2 * scratch : scratch), VELUM_OK);
            f.program.memory_bytes = threads == 2; // constants made at each use
            assert_int_equal(vl_runtime_new(&x, f.params, f.encoder, &f.program, &runtime), VELUM_OK);
            assert_int_equal(vl_runtime_run(runtime, &x, &f.keys, NULL, in, out, NULL, NULL), VELUM_OK);
            if (i >= NETS) assert_true((runtime->op[0].spread == NULL) == (threads == 2));
            for (uint32_t k = 0; k < m->out.cts; k++)
                for (uint32_t c = 0; threads > 1 && c < 2; c++)
                    assert_memory_equal(out[k].c[c].x, first[k].c[c].x,
                                        vl_poly_bytes(&f.params->ring, m->out_level, 0));
            vl_runtime_free(runtime);
            vl_exec_clear(&x);
            if (threads == 1)
                memcpy(first, out, m->out.cts * sizeof *out);
            else
                for (uint32_t k = 0; k < m->out.cts; k++) vl_ciphertext_free(&out[k]);
            vl_free(out);
        }
        fixture_free(in, m->in.cts);
        fixture_free(first, m->out.cts);
        fixture_clear(&f);
    }
}

static uint64_t weight_bytes(const vl_runtime *r) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < r->program->op_count; i++) {
        const vl_op *op = &r->program->ops[i];
        bytes += r->op[i].linear.bytes + r->op[i].map.bytes;
        if (r->op[i].spread) bytes += vl_spread_coded_bytes(r->params, &op->spread, op->level);
        if (r->op[i].mix) bytes += (uint64_t)op->rows * op->cols * 8;
        for (uint32_t k = 0; k < r->op[i].masks; k++) bytes += vl_poly_bytes(&r->params->ring, r->op[i].mask[k].nq, 0);
    }
    return bytes;
}

static uint64_t key_bytes(const vl_eval_keys *keys) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < keys->count; i++) {
        const vl_switch_key *k = &keys->key[i];
        bytes += 2 * (uint64_t)k->digits * vl_poly_bytes(&keys->params->ring, k->nq, keys->params->ring.p_count);
    }
    return bytes;
}

static void at_most(const char *what, uint64_t real, uint64_t planned) {
    if (real > planned)
        fail_msg("%s: %llu bytes, planned %llu", what, (unsigned long long)real, (unsigned long long)planned);
}

// The plan holds, and is no wild guess either: at most twice what is taken, and a megabyte.
static void plan_covers_what_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        fixture f;
        vl_runtime *runtime;
        open_one(&f, i, 2);
        const vl_manifest *m = &f.program.manifest;
        vl_memory_plan plan = vl_runtime_plan(f.params, &f.program);
        assert_int_equal(vl_runtime_new(&f.x, f.params, f.encoder, &f.program, &runtime), VELUM_OK);
        vl_ciphertext *in = fixture_encrypt(&f), *out = vl_alloc_array(m->out.cts, sizeof *out);
        ring_degree = f.params->ring.n;
        live_bytes = peak_bytes = 2 * (uint64_t)m->in.cts * vl_poly_bytes(&f.params->ring, m->in_level, 0);
        const vl_run_options taking = {.takes_input = true};
        assert_int_equal(vl_runtime_run_with(runtime, &f.x, &f.keys, NULL, in, out, &taking), VELUM_OK);
        for (uint32_t k = 0; k < m->in.cts; k++) assert_null(in[k].block);
        // The plan counts as many results at work as there are threads; it is chance whether there were.
        const uint64_t one = 2 * (uint64_t)vl_poly_bytes(&f.params->ring, f.params->ring.q_count, 0);
        at_most("ciphertexts", peak_bytes, plan.ciphertexts);
        at_most("planned ciphertexts", plan.ciphertexts, peak_bytes + (f.program.values[1].layout.cts > 1 ? one : 0));
        for (uint32_t k = 0; k < m->out.cts; k++) counted_free(&out[k]);
        assert_int_equal(live_bytes, 0);
        at_most("weights", weight_bytes(runtime), plan.weights);
        at_most("planned weights", plan.weights, 2 * weight_bytes(runtime) + (1u << 20));
        at_most("keys", key_bytes(&f.keys), plan.keys);
        at_most("planned keys", plan.keys, 2 * key_bytes(&f.keys) + (1u << 20));
        at_most("scratch", f.x.arena.peak, plan.scratch);
        assert_int_equal(plan.total, plan.tables + plan.program + plan.weights + plan.bootstrap + plan.keys +
                                         plan.ciphertexts + plan.scratch);
        vl_free(in);
        vl_free(out);
        vl_runtime_free(runtime);
        fixture_clear(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_for_every_thread_count),
        cmocka_unit_test(plan_covers_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
