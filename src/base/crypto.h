// SPDX-License-Identifier: Apache-2.0
// The crypto library, made ready once a process. Only src/base includes this or the library itself.
#ifndef VELUM_BASE_CRYPTO_H
#define VELUM_BASE_CRYPTO_H

#include <sodium.h>

// Cheap after the first call; aborts if the library cannot start.
void vl_base_crypto_init(void);

#endif
