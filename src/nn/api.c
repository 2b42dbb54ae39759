// SPDX-License-Identifier: Apache-2.0
// The public door of the compiler.
#include "nn/nn.h"

#define MAX_PROGRAM ((size_t)4 << 30)

static velum_status save(vl_program *p, vl_writer *program, vl_writer *client) {
    VL_TRY(vl_program_save(p, program));
    VL_TRY(vl_client_half_save(p, client));
    VL_FAIL_IF(program->failed || client->failed, VELUM_E_NOMEM, "program: not enough memory to write it");
    return VELUM_OK;
}

velum_status velum_compile(const void *onnx, size_t size, const velum_compile_options *options, velum_buffer *program,
                           velum_buffer *client) {
    VL_FAIL_IF(!onnx || !program || !client, VELUM_E_USAGE, "velum_compile: a NULL argument");
    vl_program p = {0};
    VL_TRY(vl_nn_compile(onnx, size, options, &p));
    vl_writer w = vl_writer_of(MAX_PROGRAM), half = vl_writer_of(MAX_PROGRAM);
    velum_status status = save(&p, &w, &half);
    vl_program_clear(&p);
    if (status != VELUM_OK) {
        vl_writer_clear(&w);
        vl_writer_clear(&half);
        return status;
    }
    *program = (velum_buffer){w.data, w.size};
    *client = (velum_buffer){half.data, half.size};
    return VELUM_OK;
}

velum_status velum_evaluate(const void *onnx, size_t size, const velum_table *in, velum_table *out) {
    VL_FAIL_IF(!onnx || !in || !out, VELUM_E_USAGE, "velum_evaluate: a NULL argument");
    return vl_nn_evaluate(onnx, size, in, out);
}

velum_status velum_evaluate_origins(const void *onnx, size_t size, velum_packing packing, const velum_table *in,
                                    velum_origin_fn each, void *user, velum_table *out) {
    VL_FAIL_IF(!onnx || !in || !each || !out, VELUM_E_USAGE, "velum_evaluate_origins: a NULL argument");
    return vl_nn_evaluate_origins(onnx, size, packing, in, each, user, out);
}
