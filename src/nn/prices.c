// SPDX-License-Identifier: Apache-2.0
// The public door of price lists.
#include "ckks/prices.h"

#include <velum/velum.h>

#define MOST_BYTES 65536

static velum_status give(const vl_prices *p, velum_buffer *list) {
    vl_writer w = vl_writer_of(MOST_BYTES);
    vl_prices_save(p, &w);
    if (w.failed) {
        vl_writer_clear(&w);
        return VL_FAIL(VELUM_E_NOMEM, "price list");
    }
    *list = (velum_buffer){w.data, w.size};
    return VELUM_OK;
}

velum_status velum_prices_measure(velum_buffer *list) {
    vl_prices p;
    VL_FAIL_IF(!list, VELUM_E_USAGE, "velum_prices_measure: a NULL argument");
    VL_TRY(vl_prices_measure(&p));
    return give(&p, list);
}

velum_status velum_prices_builtin(velum_buffer *list) {
    VL_FAIL_IF(!list, VELUM_E_USAGE, "velum_prices_builtin: a NULL argument");
    return give(vl_prices_builtin(), list);
}

velum_status velum_prices_check(const void *list, size_t size) {
    vl_prices p;
    VL_FAIL_IF(!list, VELUM_E_USAGE, "velum_prices_check: a NULL argument");
    return vl_prices_load(list, size, &p);
}

void velum_prices_fingerprint(char out[17]) { vl_prices_fingerprint(out); }
