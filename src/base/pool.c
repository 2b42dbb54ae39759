// SPDX-License-Identifier: Apache-2.0
// One job at a time. `state` is the whole protocol: the job's number, whether it is open, and how many workers are in
// it. A worker joins an open job by one compare-and-swap; the caller closes the job when no chunk is left and waits
// until the count is 0, so a worker that wakes late finds it closed and nobody waits for it. The job's fields are
// written only while it is closed and empty.
#include "base/pool.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define MAX_THREADS 1024u
#define SPINS 4000u // looks before a thread sleeps: some hundred microseconds
#define INSIDE UINT64_C(0xffff)
#define OPEN UINT64_C(0x10000)
#define NEXT_JOB UINT64_C(0x20000)

typedef struct worker {
    vl_pool *pool;
    unsigned index;
    pthread_t thread;
} worker;

struct vl_pool {
    unsigned threads, started; // started: of the threads - 1 beside the caller
    unsigned spins;
    worker *workers;
    pthread_mutex_t callers; // one job at a time
    pthread_mutex_t lock;    // for sleeping and waking only
    pthread_cond_t work, done;
    unsigned sleepers; // under lock
    bool stop;         // under lock

    vl_pool_fn fn;
    void *arg;
    size_t n, grain, chunks;
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) atomic_size_t next; // chunk
};

// What the current thread runs chunks of, if anything.
static _Thread_local const vl_pool *current_pool;
static _Thread_local unsigned current_worker;

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static uint64_t state_of(vl_pool *pool) { return atomic_load_explicit(&pool->state, memory_order_acquire); }

static void run_chunks(vl_pool *pool, unsigned index) {
    const vl_pool *outer_pool = current_pool;
    unsigned outer_worker = current_worker;
    current_pool = pool;
    current_worker = index;
    for (;;) {
        size_t chunk = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (chunk >= pool->chunks) break;
        size_t begin = chunk * pool->grain;
        size_t end = pool->n - begin < pool->grain ? pool->n : begin + pool->grain;
        pool->fn(pool->arg, begin, end, index);
    }
    current_pool = outer_pool;
    current_worker = outer_worker;
}

// Joins the open job if it is not number `seen`.
static bool join(vl_pool *pool, uint64_t *seen) {
    uint64_t s = state_of(pool);
    while ((s & OPEN) && s / NEXT_JOB != *seen)
        if (atomic_compare_exchange_weak_explicit(&pool->state, &s, s + 1, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *seen = s / NEXT_JOB;
            return true;
        }
    return false;
}

static void leave(vl_pool *pool) {
    uint64_t s = atomic_fetch_sub_explicit(&pool->state, 1, memory_order_acq_rel);
    if ((s & OPEN) || (s & INSIDE) != 1) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

static bool wait_for_work(vl_pool *pool, uint64_t *seen) {
    for (unsigned i = 0; i < pool->spins; i++) {
        if (join(pool, seen)) return true;
        relax();
    }
    bool joined = false;
    pthread_mutex_lock(&pool->lock);
    pool->sleepers++;
    while (!pool->stop && !(joined = join(pool, seen))) pthread_cond_wait(&pool->work, &pool->lock);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->lock);
    return joined;
}

static void *worker_main(void *arg) {
    worker *w = arg;
    uint64_t seen = 0;
    while (wait_for_work(w->pool, &seen)) {
        run_chunks(w->pool, w->index);
        leave(w->pool);
    }
    return NULL;
}

static void run_here(size_t n, size_t grain, vl_pool_fn fn, void *arg, unsigned index) {
    for (size_t begin = 0; begin < n;) {
        size_t end = n - begin < grain ? n : begin + grain;
        fn(arg, begin, end, index);
        begin = end;
    }
}

static void open_job(vl_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    uint64_t s = atomic_load_explicit(&pool->state, memory_order_relaxed);
    assert((s & (OPEN | INSIDE)) == 0);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->state, (s + NEXT_JOB) | OPEN, memory_order_release);
    if (pool->sleepers && pool->chunks == 2) // one helper is enough
        pthread_cond_signal(&pool->work);
    else if (pool->sleepers)
        pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void close_job(vl_pool *pool) {
    atomic_fetch_and_explicit(&pool->state, ~OPEN, memory_order_acq_rel);
    for (unsigned i = 0; i < pool->spins; i++) {
        if ((state_of(pool) & INSIDE) == 0) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    while (state_of(pool) & INSIDE) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void vl_parallel_for(vl_pool *pool, size_t n, size_t grain, vl_pool_fn fn, void *arg) {
    if (n == 0) return;
    if (grain == 0) grain = 1;
    if (current_pool) { // inside a worker
        run_here(n, grain, fn, arg, current_pool == pool ? current_worker : 0);
        return;
    }
    if (!pool || pool->threads == 1 || n <= grain) {
        run_here(n, grain, fn, arg, 0);
        return;
    }
    pthread_mutex_lock(&pool->callers);
    pool->fn = fn;
    pool->arg = arg;
    pool->n = n;
    pool->grain = grain;
    pool->chunks = n / grain + (n % grain != 0);
    open_job(pool);
    run_chunks(pool, 0);
    close_job(pool);
    pthread_mutex_unlock(&pool->callers);
}

static bool start_workers(vl_pool *pool) {
    // Signals are the business of the program's own threads, but for those that a thread raises by what it does itself.
    static const int own[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    sigset_t all, old;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (; pool->started < pool->threads - 1; pool->started++) {
        worker *w = &pool->workers[pool->started];
        *w = (worker){.pool = pool, .index = pool->started + 1};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return pool->started == pool->threads - 1;
}

velum_status vl_pool_new(unsigned threads, vl_pool **out) {
    VL_FAIL_IF(threads > MAX_THREADS, VELUM_E_LIMIT, "%u threads asked for, at most %u are possible", threads,
               MAX_THREADS);
    unsigned cpus = vl_cpu_count();
    if (threads == 0) threads = cpus < MAX_THREADS ? cpus : MAX_THREADS;
    vl_pool *pool = vl_alloc(sizeof *pool);
    worker *workers = vl_alloc_array(threads, sizeof *workers);
    if (!pool || !workers) {
        vl_free(pool);
        vl_free(workers);
        return VL_FAIL(VELUM_E_NOMEM, "no memory for a pool of %u threads", threads);
    }
    pool->threads = threads;
    pool->spins = threads <= cpus ? SPINS : 0; // with more threads than cores, spinning takes the core from the work
    pool->workers = workers;
    atomic_init(&pool->state, 0);
    atomic_init(&pool->next, 0);
    pthread_mutex_init(&pool->callers, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (!start_workers(pool)) {
        vl_pool_free(pool);
        return VL_FAIL(VELUM_E_NOMEM, "the system gives no %u threads", threads);
    }
    *out = pool;
    return VELUM_OK;
}

void vl_pool_free(vl_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->callers);
    vl_free(pool->workers);
    vl_free(pool);
}

unsigned vl_pool_threads(const vl_pool *pool) { return pool ? pool->threads : 1; }

unsigned vl_cpu_count(void) {
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 16; cpus *= 2) { // until the set is as large as the kernel's
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) return (unsigned)count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}
