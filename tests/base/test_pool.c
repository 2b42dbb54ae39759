// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/pool.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_WORKERS 16

typedef struct job {
    uint8_t *hits; // one an item
    size_t n, grain;
    unsigned workers;
    atomic_uint busy[MAX_WORKERS]; // a worker index is in use by one thread at a time
    atomic_size_t calls;
    uint64_t sum[MAX_WORKERS][8];
    vl_pool *pool;
} job;

static void count(void *arg, size_t begin, size_t end, unsigned worker) {
    job *j = arg;
    if (begin >= end || end > j->n || end - begin > j->grain || worker >= j->workers) abort();
    if (atomic_exchange(&j->busy[worker], 1)) abort();
    for (size_t i = begin; i < end; i++) {
        j->hits[i]++;
        j->sum[worker][0] += i;
    }
    atomic_fetch_add(&j->calls, 1);
    atomic_store(&j->busy[worker], 0);
}

static void run(vl_pool *pool, size_t n, size_t grain) {
    job j = {.hits = vl_alloc(n), .n = n, .grain = grain ? grain : 1, .workers = vl_pool_threads(pool)};
    vl_parallel_for(pool, n, grain, count, &j);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) assert_int_equal(j.hits[i], 1);
    for (unsigned i = 0; i < MAX_WORKERS; i++) sum += j.sum[i][0];
    assert_true(sum == (n ? (uint64_t)n * (n - 1) / 2 : 0));
    vl_free(j.hits);
}

static void sums_of_many_sizes(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 2, 3, 7, 16, 17, 100, 1000, 4099, 100000};
    const size_t grains[] = {0, 1, 2, 3, 16, 1000, SIZE_MAX};
    for (unsigned threads = 1; threads <= 8; threads++) {
        vl_pool *pool;
        assert_int_equal(vl_pool_new(threads, &pool), VELUM_OK);
        assert_int_equal(vl_pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t k = 0; k < sizeof grains / sizeof *grains; k++)
                if (sizes[i] < 10000 || grains[k] > 2) run(pool, sizes[i], grains[k]);
        vl_pool_free(pool);
    }
    run(NULL, 0, 5);
    run(NULL, 1000, 7);
    assert_int_equal(vl_pool_threads(NULL), 1);
    vl_pool_free(NULL);
}

static void many_short_jobs(void **state) {
    (void)state;
    vl_pool *pool;
    assert_int_equal(vl_pool_new(4, &pool), VELUM_OK);
    for (size_t i = 0; i < 20000; i++) run(pool, 2 + i % 7, 1);
    vl_pool_free(pool);
    for (unsigned i = 0; i < 200; i++) { // workers that never see a job, or only one
        assert_int_equal(vl_pool_new(1 + i % 5, &pool), VELUM_OK);
        if (i % 3) run(pool, i, 1);
        vl_pool_free(pool);
    }
}

static void inner(void *arg, size_t begin, size_t end, unsigned worker) {
    unsigned *expected = arg;
    (void)begin;
    (void)end;
    if (worker != *expected) abort();
}

static void nest(void *arg, size_t begin, size_t end, unsigned worker) {
    job *j = arg;
    pthread_t self = pthread_self();
    vl_parallel_for(j->pool, 10, 3, inner, &worker);
    if (!pthread_equal(self, pthread_self())) abort();
    count(arg, begin, end, worker);
}

static void nested_calls_run_in_place(void **state) {
    (void)state;
    vl_pool *pool, *other;
    assert_int_equal(vl_pool_new(3, &pool), VELUM_OK);
    assert_int_equal(vl_pool_new(2, &other), VELUM_OK);
    job j = {.hits = vl_alloc(500), .n = 500, .grain = 2, .workers = 3, .pool = pool};
    vl_parallel_for(pool, j.n, j.grain, nest, &j);
    for (size_t i = 0; i < j.n; i++) assert_int_equal(j.hits[i], 1);
    run(pool, 100, 1); // and afterwards all is as before
    run(other, 100, 1);
    vl_free(j.hits);
    vl_pool_free(other);
    vl_pool_free(pool);
}

static void *caller(void *pool) {
    for (size_t i = 0; i < 300; i++) run(pool, i, 5);
    return NULL;
}

static void several_callers_share_a_pool(void **state) {
    (void)state;
    vl_pool *pool;
    assert_int_equal(vl_pool_new(3, &pool), VELUM_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, caller, pool), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    vl_pool_free(pool);
}

static void meet(void *arg, size_t begin, size_t end, unsigned worker) {
    (void)begin;
    (void)end;
    (void)worker;
    atomic_uint *there = arg;
    atomic_fetch_add(there, 1);
    while (atomic_load(there) < 3) sched_yield();
}

static void workers_run_at_once(void **state) {
    (void)state;
    vl_pool *pool;
    assert_int_equal(vl_pool_new(3, &pool), VELUM_OK);
    for (int i = 0; i < 50; i++) {
        atomic_uint there = 0; // each of three chunks waits for the others
        vl_parallel_for(pool, 3, 1, meet, &there);
        assert_int_equal(there, 3);
    }
    vl_pool_free(pool);
}

static void thread_counts(void **state) {
    (void)state;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(vl_cpu_count(), CPU_COUNT(&set));
    vl_pool *pool;
    assert_int_equal(vl_pool_new(0, &pool), VELUM_OK);
    assert_int_equal(vl_pool_threads(pool), CPU_COUNT(&set));
    vl_pool_free(pool);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(vl_cpu_count(), 1);
    sched_setaffinity(0, sizeof set, &set);
    pool = NULL;
    assert_int_equal(vl_pool_new(100000, &pool), VELUM_E_LIMIT);
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_many_sizes),        cmocka_unit_test(many_short_jobs),
        cmocka_unit_test(nested_calls_run_in_place), cmocka_unit_test(several_callers_share_a_pool),
        cmocka_unit_test(workers_run_at_once),       cmocka_unit_test(thread_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
