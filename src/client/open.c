// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"
#include "rlwe/encapsulate.h"
#include <math.h>
#include <string.h>

// The file comes from the server's side: a set outside the security table must not slip in through it.
static velum_status open_client(const void *data, size_t size, bool insecure, velum_client *c) {
    VL_TRY(vl_client_half_load(data, size, &c->manifest, c->program));
    VL_FAIL_IF(!insecure && c->manifest.params.security_bits < 128, VELUM_E_INSECURE,
               "client program: its parameters promise %u bits of security, at least 128 are due",
               c->manifest.params.security_bits);
    VL_TRY(vl_params_new(&c->manifest.params, NULL, &c->params));
    return vl_encoder_new(c->params, &c->encoder);
}

static velum_status open_new(const void *data, size_t size, unsigned threads, bool insecure, velum_client **out) {
    velum_client *c = vl_alloc(sizeof *c);
    VL_FAIL_IF(!c, VELUM_E_NOMEM, "client");
    c->threads = threads;
    velum_status status = open_client(data, size, insecure, c);
    if (status != VELUM_OK) {
        velum_client_free(c);
        return status;
    }
    *out = c;
    return VELUM_OK;
}

velum_status velum_client_open(const void *data, size_t size, unsigned threads, velum_client **out) {
    return open_new(data, size, threads, false, out);
}

velum_status vl_client_open_insecure(const void *data, size_t size, unsigned threads, velum_client **out) {
    return open_new(data, size, threads, true, out);
}

void velum_client_free(velum_client *c) {
    if (!c) return;
    vl_encoder_free(c->encoder);
    vl_params_free(c->params);
    vl_manifest_clear(&c->manifest);
    vl_free(c);
}

velum_status vl_client_exec(const velum_client *c, vl_exec *x) {
    const vl_params *p = c->params;
    size_t scratch = vl_rlwe_scratch(p, (uint16_t)p->ring.q_count), encode = vl_encoder_scratch(p, p->ring.q_count, 0);
    size_t raise = c->manifest.bootstrapped ? vl_encapsulation_scratch(p) : 0;
    scratch = scratch > encode ? scratch : encode;
    scratch = (scratch > raise ? scratch : raise) + 2 * vl_poly_bytes(&p->ring, p->ring.q_count, p->ring.p_count);
    return vl_exec_init(x, c->threads, scratch + (1u << 20));
}

void vl_client_exec_clear(vl_exec *x) {
    if (x->arena.base) vl_secure_zero(x->arena.base, x->arena.peak);
    vl_exec_clear(x);
}

void velum_client_info(const velum_client *c, velum_info *out) { vl_manifest_info(&c->manifest, c->params, out); }

const char *velum_client_input_name(const velum_client *c, uint32_t i) {
    return i < c->manifest.input_count ? c->manifest.inputs[i].name : NULL;
}

const char *velum_client_input_description(const velum_client *c, uint32_t i) {
    return i < c->manifest.input_count ? c->manifest.inputs[i].description : NULL;
}
