// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t sizes[] = {0, 1, 8, 63, 64, 65, 4095, 4096, 4097, 1 << 20, (1 << 22) - 1, (1 << 22) + 5000};
#define SIZES (sizeof sizes / sizeof *sizes)

static void assert_fresh(const uint8_t *p, size_t bytes) {
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < bytes; i++) assert_int_equal(p[i], 0);
}

static void blocks(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        uint8_t *p = vl_alloc(sizes[i]), *raw = vl_alloc_raw(sizes[i]), *array = vl_alloc_array(sizes[i], 3);
        assert_fresh(p, sizes[i]);
        assert_fresh(array, sizes[i] * 3);
        assert_non_null(raw);
        assert_int_equal((uintptr_t)raw % 64, 0);
        memset(p, 1, sizes[i]);
        memset(raw, 2, sizes[i]);
        memset(array, 3, sizes[i] * 3);
        vl_free(p);
        vl_free(raw);
        vl_free(array);
    }
    vl_free(NULL);
    vl_secret_free(NULL);
}

static void impossible_sizes(void **state) {
    (void)state;
    assert_null(vl_alloc(SIZE_MAX));
    assert_null(vl_alloc(SIZE_MAX - 63));
    assert_null(vl_alloc_raw(SIZE_MAX - 64));
    assert_null(vl_alloc_raw((size_t)PTRDIFF_MAX + 1));
    assert_null(vl_alloc_array(SIZE_MAX / 8 + 1, 8));
    assert_null(vl_alloc_array((size_t)1 << 33, (size_t)1 << 33));
    assert_null(vl_secret_alloc(SIZE_MAX));
    assert_null(vl_secret_alloc(SIZE_MAX - 70));
    vl_arena arena;
    assert_int_equal(vl_arena_init(&arena, SIZE_MAX - 1), VELUM_E_NOMEM);
}

static void secrets(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        uint8_t *p = vl_secret_alloc(sizes[i]);
        assert_fresh(p, sizes[i]);
        memset(p, 0xa5, sizes[i]);
        vl_secret_free(p);
    }
    uint8_t bytes[100];
    memset(bytes, 7, sizeof bytes);
    vl_secure_zero(bytes + 1, 98);
    assert_int_equal(bytes[0], 7);
    assert_int_equal(bytes[99], 7);
    for (size_t i = 1; i < 99; i++) assert_int_equal(bytes[i], 0);
    vl_secure_zero(NULL, 0);
    char *copy = vl_strdup("slots");
    assert_string_equal(copy, "slots");
    vl_free(copy);
}

// The signal that ends a child which runs fn, or 0.
static int signal_of(void (*fn)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) return WEXITSTATUS(status); // a sanitizer ends the process with an exit
    return WTERMSIG(status);
}

static void write_past_secret(void) {
    volatile uint8_t *p = vl_secret_alloc(64);
    p[64] = 1;
}

static void overrun_arena(void) {
    vl_arena arena;
    if (vl_arena_init(&arena, 128) != VELUM_OK) return;
    vl_arena_take(&arena, 65);
    vl_arena_take(&arena, 1);
}

static void overflow_arena(void) {
    vl_arena arena;
    if (vl_arena_init(&arena, 128) != VELUM_OK) return;
    vl_arena_take(&arena, SIZE_MAX - 3);
}

static void guards_hold(void **state) {
    (void)state;
    assert_int_not_equal(signal_of(write_past_secret), 0);
    assert_int_equal(signal_of(overrun_arena), SIGABRT);
    assert_int_equal(signal_of(overflow_arena), SIGABRT);
}

static void arena_is_a_stack(void **state) {
    (void)state;
    vl_arena arena;
    assert_int_equal(vl_arena_init(&arena, 64 + 128 + 192), VELUM_OK);
    uint8_t *a = vl_arena_take(&arena, 1);
    size_t mark = vl_arena_mark(&arena);
    assert_int_equal(mark, vl_arena_need(1));
    uint8_t *b = vl_arena_take(&arena, 65);
    uint8_t *c = vl_arena_take(&arena, 192);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_ptr_equal(b, a + 64);
    assert_ptr_equal(c, b + 128);
    memset(c, 1, 192);
    assert_int_equal(arena.used, arena.size);
    assert_non_null(vl_arena_take(&arena, 0));
    vl_arena_release(&arena, mark);
    assert_int_equal(arena.peak, arena.size);
    assert_ptr_equal(vl_arena_take(&arena, 320), b);
    vl_arena_clear(&arena);
    assert_null(arena.base);
    vl_arena_clear(&arena);

    assert_int_equal(vl_arena_init(&arena, 0), VELUM_OK);
    vl_arena_clear(&arena);
    assert_int_equal(vl_arena_need(0), 0);
    assert_int_equal(vl_arena_need(64), 64);
    assert_int_equal(vl_arena_need(65), 128);
}

static void peak_grows(void **state) {
    (void)state;
    uint64_t before = vl_peak_rss();
    assert_true(before > 100 << 10);
    size_t bytes = 64 << 20;
    uint8_t *p = vl_alloc_raw(bytes);
    memset(p, 1, bytes);
    assert_true(vl_peak_rss() >= before + bytes / 2);
    vl_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),      cmocka_unit_test(impossible_sizes), cmocka_unit_test(secrets),
        cmocka_unit_test(guards_hold), cmocka_unit_test(arena_is_a_stack), cmocka_unit_test(peak_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
