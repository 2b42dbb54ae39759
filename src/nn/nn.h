// SPDX-License-Identifier: Apache-2.0
// The compiler: from an ONNX file to a program. See docs/design/nn.md.
#ifndef VELUM_NN_NN_H
#define VELUM_NN_NN_H

#include "program/program.h"
#include <velum/velum.h>

// A verified program; release with vl_program_clear. The file is untrusted: VELUM_E_FORMAT for what is no sound model,
// VELUM_E_UNSUPPORTED (naming node and operator, and what would work) for what cannot be compiled, VELUM_E_LIMIT for
// what is too large, too deep or has values without a bound.
velum_status vl_nn_compile(const void *onnx, size_t size, const velum_compile_options *opt, vl_program *out);
// The same with bootstraps by this set alone, whatever security it has: tests want small ones.
velum_status vl_nn_compile_with(const void *onnx, size_t size, const velum_compile_options *opt,
                                const vl_bootstrap_params *set, vl_program *out);

// The model in the clear, in double precision, row by row: what the encrypted run is compared with.
velum_status vl_nn_evaluate(const void *onnx, size_t size, const velum_table *in, velum_table *out);
// The same, and what the compiler makes of the nodes; see velum_evaluate_origins.
velum_status vl_nn_evaluate_origins(const void *onnx, size_t size, velum_packing packing, const velum_table *in,
                                    velum_origin_fn each, void *user, velum_table *out);

#endif
