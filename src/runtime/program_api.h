// SPDX-License-Identifier: Apache-2.0
// The opened program behind the public interface: shared by the program's own functions and the server.
#ifndef VELUM_RUNTIME_PROGRAM_API_H
#define VELUM_RUNTIME_PROGRAM_API_H

#include "runtime/runtime.h"
#include <velum/velum.h>

struct velum_program { // const once opened
    vl_program program;
    vl_params *params;
    vl_encoder *encoder;
};

#endif
