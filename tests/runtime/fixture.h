// SPDX-License-Identifier: Apache-2.0
// A hand-built program with its keys, and what it takes to run it encrypted below the public interface.
#ifndef VELUM_TESTS_RUNTIME_FIXTURE_H
#define VELUM_TESTS_RUNTIME_FIXTURE_H

#include "program/picture.h"
#include "runtime/runtime.h"
#include "test.h"

typedef struct fixture {
    vl_program program;
    vl_params *params;
    vl_encoder *encoder;
    vl_exec x; // its arena is exactly what the plan says
    vl_secret_key sk;
    vl_eval_keys keys;
    vl_bootstrap_keys own; // where the program bootstraps
    uint32_t requests;
    double *features, *in; // requests x dim; cts x slots
} fixture;

static inline void fixture_pack(fixture *f) {
    const vl_layout *l = &f->program.manifest.in;
    f->requests = l->lanes < 50 ? l->lanes : 50;
    f->features = vl_alloc_array((size_t)f->requests * l->dim, sizeof(double));
    f->in = vl_alloc_array(l->cts * vl_layout_room(l), sizeof(double));
    assert_true(f->features && f->in);
    for (uint32_t r = 0; r < f->requests; r++) {
        double raw[PICTURE_PIXELS];
        if (l->parts)
            picture_row(r, raw);
        else
            build_row(r, raw);
        assert_int_equal(vl_manifest_prologue(&f->program.manifest, r + 1, raw, f->features + r * l->dim), VELUM_OK);
    }
    for (uint32_t i = 0; i < l->cts; i++) vl_layout_pack(l, i, f->features, f->requests, f->in + i * vl_layout_room(l));
}

// For f->program, which is there.
static inline void fixture_open(fixture *f, unsigned threads) {
    const vl_manifest *m = &f->program.manifest;
    if (vl_program_verify(&f->program) != VELUM_OK) fail_msg("%s", velum_last_error());
    assert_int_equal(vl_params_new(&m->params, NULL, &f->params), VELUM_OK);
    assert_int_equal(vl_encoder_new(f->params, &f->encoder), VELUM_OK);
    size_t scratch = vl_runtime_plan(f->params, &f->program).scratch;
    assert_int_equal(vl_exec_init(&f->x, threads, scratch), VELUM_OK);
    assert_int_equal(vl_secret_key_new(f->params, &f->sk), VELUM_OK);
    vl_exec own; // the client's
    assert_int_equal(vl_exec_init(&own, 1, (size_t)1 << 26), VELUM_OK);
    assert_int_equal(vl_eval_keys_generate(&own, f->params, &f->sk, m->keys, m->key_count, m->zero_nq, &f->keys),
                     VELUM_OK);
    if (m->bootstrapped) {
        vl_bootstrap_plan *plan = vl_alloc(sizeof *plan);
        assert_int_equal(vl_program_bootstrap_plan(m, plan), VELUM_OK);
        assert_int_equal(vl_bootstrap_keys_new(&own, plan, f->params, &f->sk, &f->own), VELUM_OK);
        vl_free(plan);
    }
    vl_exec_clear(&own);
    fixture_pack(f);
}

static inline void fixture_init(fixture *f, const build_options *o, unsigned threads) {
    *f = (fixture){0};
    build_program(o, &f->program);
    fixture_open(f, threads);
}

static inline void fixture_picture(fixture *f, const picture_options *o, unsigned threads) {
    picture_net net;
    *f = (fixture){0};
    picture_program(o, &net);
    f->program = net.program;
    fixture_open(f, threads);
}

static inline void fixture_clear(fixture *f) {
    vl_free(f->features);
    vl_free(f->in);
    vl_eval_keys_free(&f->keys);
    vl_bootstrap_keys_free(&f->own);
    vl_secret_key_free(&f->sk);
    vl_exec_clear(&f->x);
    vl_encoder_free(f->encoder);
    vl_params_free(f->params);
    vl_program_clear(&f->program);
}

// Of two parts the real one.
static inline vl_ciphertext *fixture_encrypt(fixture *f) {
    const vl_manifest *m = &f->program.manifest;
    vl_ciphertext *ct = vl_alloc_array(m->in.cts, sizeof *ct);
    vl_exec x;
    vl_poly plain;
    uint8_t seed[VL_SEED_BYTES];
    assert_int_equal(vl_exec_init(&x, 1, (size_t)1 << 26), VELUM_OK);
    assert_int_equal(vl_poly_new(&f->params->ring, m->in_level, 0, &plain), VELUM_OK);
    for (uint32_t i = 0; i < m->in.cts; i++) {
        const double *slots = f->in + i * vl_layout_room(&m->in);
        assert_int_equal(vl_encode_real(&x, f->encoder, slots, m->in.slots, m->in_scale, plain), VELUM_OK);
        assert_int_equal(vl_ciphertext_new(f->params, m->in_level, 1, &ct[i]), VELUM_OK);
        vl_rlwe_encrypt(&x, f->params, &f->sk, plain, seed, &ct[i]);
        ct[i].scale = m->in_scale;
    }
    vl_poly_free(&plain);
    vl_exec_clear(&x);
    return ct;
}

// All slots of the answer: cts x slots.
static inline void fixture_decrypt(fixture *f, const vl_ciphertext *ct, double *out) {
    const vl_manifest *m = &f->program.manifest;
    vl_exec x;
    vl_poly plain;
    assert_int_equal(vl_exec_init(&x, 1, (size_t)1 << 26), VELUM_OK);
    assert_int_equal(vl_poly_new(&f->params->ring, m->out_level, 0, &plain), VELUM_OK);
    for (uint32_t i = 0; i < m->out.cts; i++) {
        assert_int_equal(ct[i].level, m->out_level);
        assert_true(ct[i].scale == m->out_scale);
        vl_rlwe_decrypt(&x, f->params, &f->sk, &ct[i], plain);
        double *slots = out + (size_t)i * m->out.slots;
        assert_int_equal(vl_decode_real(&x, f->encoder, plain, ct[i].scale, slots, m->out.slots), VELUM_OK);
    }
    vl_poly_free(&plain);
    vl_exec_clear(&x);
}

static inline void fixture_free(vl_ciphertext *ct, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) vl_ciphertext_free(&ct[i]);
    vl_free(ct);
}

#endif
