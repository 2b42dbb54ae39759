// SPDX-License-Identifier: Apache-2.0
// The compiler's door: an ONNX file, with and without calibration inputs. What compiles is a program that opens.
#include <velum/velum.h>

#include <stdlib.h>

#define MEMORY (UINT64_C(1) << 30) // ceiling of the server that is planned for

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compile(const uint8_t *data, size_t size, const velum_compile_options *options) {
    velum_buffer program, client;
    velum_program *opened;
    if (velum_compile(data, size, options, &program, &client) != VELUM_OK) return;
    if (velum_program_open(program.data, program.size, &opened) != VELUM_OK) abort();
    velum_program_free(opened);
    velum_buffer_free(&program);
    velum_buffer_free(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    double values[8] = {0, 1, 2, 3, -1, 0.5, 60, 1};
    velum_table rows = {.columns = 4, .rows = 2, .values = values};
    velum_compile_options options = {.memory_bytes = MEMORY};
    compile(data, size, &options);
    options.calibration = &rows;
    options.target = VELUM_THROUGHPUT;
    compile(data, size, &options);
    return 0;
}
