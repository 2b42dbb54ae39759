// SPDX-License-Identifier: Apache-2.0
// The one parallel primitive. A pool lives in a context, never in a global; results never depend on its size.
#ifndef VELUM_BASE_POOL_H
#define VELUM_BASE_POOL_H

#include "base/status.h"
#include <stddef.h>

typedef struct vl_pool vl_pool;
// Handles items [begin, end) on worker `worker` in [0, vl_pool_threads).
typedef void (*vl_pool_fn)(void *arg, size_t begin, size_t end, unsigned worker);

// threads = 0: all the cores that this process may use.
velum_status vl_pool_new(unsigned threads, vl_pool **out);
void vl_pool_free(vl_pool *pool);
unsigned vl_pool_threads(const vl_pool *pool); // 1 for NULL
// Runs fn over [0, n) in chunks of at most `grain` items, the calling thread taking part as worker 0; returns when all
// are done. pool may be NULL (runs in place). A call from inside a worker runs in place on that worker.
void vl_parallel_for(vl_pool *pool, size_t n, size_t grain, vl_pool_fn fn, void *arg);
unsigned vl_cpu_count(void);

#endif
