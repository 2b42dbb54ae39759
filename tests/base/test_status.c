// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"
#include "base/status.h"
#include "test.h"

#include <pthread.h>
#include <string.h>

static void codes_are_pinned(void **state) {
    (void)state;
    const struct {
        velum_status code;
        int value, exit;
    } pinned[] = {
        {VELUM_OK, 0, 0},         {VELUM_E_USAGE, 1, 2}, {VELUM_E_FORMAT, 2, 3},      {VELUM_E_DIGEST, 3, 3},
        {VELUM_E_MISMATCH, 4, 3}, {VELUM_E_VALUE, 5, 3}, {VELUM_E_UNSUPPORTED, 6, 3}, {VELUM_E_INSECURE, 7, 4},
        {VELUM_E_LIMIT, 8, 4},    {VELUM_E_NOMEM, 9, 1}, {VELUM_E_IO, 10, 1},         {VELUM_E_INTERNAL, 11, 1},
    };
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
        assert_int_equal(pinned[i].code, pinned[i].value);
        assert_int_equal(velum_status_exit(pinned[i].code), pinned[i].exit);
        assert_true(strlen(velum_status_text(pinned[i].code)) > 0);
    }
    assert_string_equal(velum_status_text(VELUM_E_DIGEST), "damaged input file");
    assert_string_equal(velum_status_text((velum_status)99), "unknown status");
    assert_int_equal(velum_status_exit((velum_status)99), 1);
}

static void *other_thread(void *arg) {
    (void)arg;
    assert_string_equal(velum_last_error(), "");
    VL_FAIL(VELUM_E_IO, "elsewhere");
    return NULL;
}

static velum_status fails_if(int wrong) {
    VL_FAIL_IF(wrong, VELUM_E_VALUE, "row %d", 7);
    return VELUM_OK;
}

static velum_status passes_on(int wrong) {
    VL_TRY(fails_if(wrong));
    return VELUM_E_INTERNAL;
}

static void reason_is_one_line_per_thread(void **state) {
    (void)state;
    assert_int_equal(passes_on(0), VELUM_E_INTERNAL);
    assert_int_equal(passes_on(1), VELUM_E_VALUE);
    assert_string_equal(velum_last_error(), "row 7");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(velum_last_error(), "row 7");

    VL_FAIL(VELUM_E_IO, "a file: %s", velum_last_error()); // its own text as an argument
    assert_string_equal(velum_last_error(), "a file: row 7");
    VL_FAIL(VELUM_E_FORMAT, "node \"%s\"", "a\n\x1b[2J\x7f\tb");
    assert_string_equal(velum_last_error(), "node \"a??[2J??b\"");

    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(VL_FAIL(VELUM_E_LIMIT, "%s", longer), VELUM_E_LIMIT);
    assert_true(strlen(velum_last_error()) >= 256 && strlen(velum_last_error()) < 4096);
}

static void cpu_is_known(void **state) {
    (void)state;
    unsigned features = vl_cpu_features();
    assert_int_equal(features, vl_cpu_features());
    assert_int_equal(features & ~(unsigned)(VL_CPU_AVX2_FMA | VL_CPU_AVX512_IFMA), 0);
    if (features & VL_CPU_AVX512_IFMA) assert_true(features & VL_CPU_AVX2_FMA);
#if defined(__x86_64__)
    if (features & VL_CPU_AVX2_FMA) assert_true(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) assert_true(features & VL_CPU_AVX2_FMA);
    assert_int_equal(!!(features & VL_CPU_AVX512_IFMA), !!__builtin_cpu_supports("avx512ifma"));
#endif
    const char *name = vl_cpu_name();
    assert_true(strlen(name) > 0 && strlen(name) < 64);
    assert_true(name[0] != ' ' && name[strlen(name) - 1] != ' ');
    assert_null(strstr(name, "  "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_pinned),
        cmocka_unit_test(reason_is_one_line_per_thread),
        cmocka_unit_test(cpu_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
