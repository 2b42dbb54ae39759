// SPDX-License-Identifier: Apache-2.0
#include "ckks/prices.h"

#include "base/cpu.h"
#include "base/frame.h"
#include "ring/ring.h"
#include <velum/velum.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "velum prices 2"
#define MOST_FS UINT64_C(1000000000000000) // a second
#define MOST_BYTES 4096

static const char *const names[] = {
#define X(id, name, price, what) name,
    VL_PRICE_LIST(X)
#undef X
};

static const vl_prices builtin = {.machine = "built-in",
                                  .kernels = "ifma",
                                  .threads = 1,
                                  .fs = {
#define X(id, name, price, what) price,
                                      VL_PRICE_LIST(X)
#undef X
                                  }};

const vl_prices *vl_prices_builtin(void) { return &builtin; }

double vl_price_ntt(const vl_prices *p, uint32_t log_n) {
    uint32_t at = log_n;
    if (at < VL_PRICE_LOG_N_LEAST) at = VL_PRICE_LOG_N_LEAST;
    if (at > VL_PRICE_LOG_N_MOST) at = VL_PRICE_LOG_N_MOST;
    double price = vl_price(p, (vl_price_id)(VL_PRICE_NTT_12 + at - VL_PRICE_LOG_N_LEAST));
    return price * ldexp((double)log_n / at, (int)log_n - (int)at);
}

double vl_prices_ratio(const vl_prices *p) { return vl_price_ntt(p, 16) / vl_price_ntt(&builtin, 16); }

// ---- text ----
static void hex(const uint8_t *bytes, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void vl_prices_save(const vl_prices *p, vl_writer *w) {
    char text[MOST_BYTES], check[17];
    uint8_t digest[VL_DIGEST_BYTES];
    int at =
        snprintf(text, sizeof text, HEAD "\nmachine %s\nkernels %s\nthreads %u\n", p->machine, p->kernels, p->threads);
    for (int i = 0; i < VL_PRICES; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s %llu fs\n", names[i], (unsigned long long)p->fs[i]);
    vl_digest(text, (size_t)at, digest);
    hex(digest, 8, check);
    at += snprintf(text + at, sizeof text - (size_t)at, "check %s\n", check);
    vl_write_bytes(w, text, (size_t)at);
}

// The rest of the line that starts with this word, or NULL; *at moves behind it.
static char *take_line(char **at, const char *word) {
    size_t n = strlen(word);
    char *end = strchr(*at, '\n');
    if (!end || strncmp(*at, word, n) != 0 || (*at)[n] != ' ') return NULL;
    char *value = *at + n + 1;
    *end = 0;
    *at = end + 1;
    return value;
}

static bool take_text(char **at, const char *word, char *out, size_t size) {
    const char *value = take_line(at, word);
    if (!value || strlen(value) >= size || !vl_text_is_plain(value)) return false;
    memcpy(out, value, strlen(value) + 1);
    return true;
}

static bool take_number(char **at, const char *word, uint64_t *out) {
    const char *value = take_line(at, word);
    if (value) *out = strtoull(value, NULL, 10);
    return value != NULL;
}

static bool parse(char *text, vl_prices *p) {
    uint64_t threads = 0;
    if (strncmp(text, HEAD "\n", sizeof HEAD) != 0) return false;
    text += sizeof HEAD;
    if (!take_text(&text, "machine", p->machine, sizeof p->machine)) return false;
    if (!take_text(&text, "kernels", p->kernels, sizeof p->kernels)) return false;
    if (!take_number(&text, "threads", &threads) || threads < 1 || threads > 1024) return false;
    p->threads = (uint32_t)threads;
    for (int i = 0; i < VL_PRICES; i++)
        if (!take_number(&text, names[i], &p->fs[i]) || p->fs[i] < 1 || p->fs[i] > MOST_FS) return false;
    return true;
}

velum_status vl_prices_load(const void *data, size_t size, vl_prices *out) {
    char text[MOST_BYTES + 1];
    vl_prices p = {0};
    VL_FAIL_IF(size == 0 || size > MOST_BYTES || memchr(data, 0, size), VELUM_E_FORMAT, "price list: not one");
    memcpy(text, data, size);
    text[size] = 0;
    VL_FAIL_IF(!parse(text, &p), VELUM_E_FORMAT, "price list: not one, or of another version");
    vl_writer w = vl_writer_of(MOST_BYTES);
    vl_prices_save(&p, &w);
    bool failed = w.failed, same = !failed && w.size == size && memcmp(w.data, data, size) == 0;
    vl_writer_clear(&w);
    VL_FAIL_IF(failed, VELUM_E_NOMEM, "price list");
    VL_FAIL_IF(!same, VELUM_E_FORMAT, "price list: damaged");
    *out = p;
    return VELUM_OK;
}

void vl_prices_fingerprint(char out[17]) {
    char text[256];
    uint8_t digest[VL_DIGEST_BYTES];
    const vl_kernels *k = vl_kernels_find(NULL);
    int n = snprintf(text, sizeof text, "%s\n%s\n%s\n" HEAD, vl_cpu_name(), k ? k->name : "", VELUM_VERSION);
    vl_digest(text, (size_t)n, digest);
    hex(digest, 8, out);
}
