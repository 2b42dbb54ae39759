// SPDX-License-Identifier: Apache-2.0
// What callers of the public interface free.
#include "base/mem.h"
#include <velum/velum.h>

const char *velum_version(void) { return VELUM_VERSION; }

void velum_buffer_free(velum_buffer *b) {
    vl_free(b->data);
    *b = (velum_buffer){0};
}

void velum_buffer_free_secret(velum_buffer *b) {
    if (b->data) vl_secure_zero(b->data, b->size);
    velum_buffer_free(b);
}

void velum_table_free(velum_table *t) {
    for (uint32_t i = 0; t->names && i < t->columns; i++) vl_free(t->names[i]);
    vl_free(t->names);
    vl_free(t->values);
    *t = (velum_table){0};
}
