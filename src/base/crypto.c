// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
    if (sodium_init() >= 0) return;
    fputs("velum: libsodium could not be started\n", stderr);
    abort();
}

void vl_base_crypto_init(void) { pthread_once(&once, start); }
