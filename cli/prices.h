// SPDX-License-Identifier: Apache-2.0
// The price list that a model is compiled with: kept from one run to the next, measured where there is none.
#ifndef VELUM_CLI_PRICES_H
#define VELUM_CLI_PRICES_H

#include "files.h"

// A list for velum_compile; left empty for the built-in one. In this order: --no-measure; the environment's
// VELUM_PRICES ("builtin", or a file made by `velum prices -o`); what was measured before; a measurement, which is
// kept.
int cli_prices_load(const cli_args *args, cli_file *out);

#endif
