/* tasks.h - a parallel loop over independent tasks in which a thread most often gets the same tasks again.
 *
 * Each thread has a run of successive tasks, the same in every loop over as many tasks, so that it reads from its cache
 * what it wrote in an earlier loop. When its run is done it takes tasks of the others, so that no thread waits for a
 * slower one.
 *
 *     psal_tasks tasks;
 *     psal_tasks_init(&tasks, count, threads);
 *     #pragma omp parallel num_threads(threads) if (threads > 1)
 *     for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) { ... t.number ... }
 */
#ifndef PSAL_ENGINE_KERNELS_TASKS_H
#define PSAL_ENGINE_KERNELS_TASKS_H

#include <omp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { PSAL_MOST_RUNS = 64 }; /* with more threads, some share a run */

typedef struct psal_tasks {
    size_t runs;
    struct {
        atomic_size_t next;
        size_t end;
        char apart[112]; /* so that no cache line has two runs */
    } run[PSAL_MOST_RUNS];
} psal_tasks;

/* Where part `index` of `total` begins. Larger and smaller parts alternate, so that all runs of tasks are about as
 * long. */
static inline size_t psal_tasks_part(size_t total, size_t parts, size_t index) {
    return total * index / parts;
}

/* A thread's place in such a loop */
typedef struct psal_task {
    size_t number;         /* of the task */
    size_t run, exhausted; /* whose tasks it takes, and how many runs it has found empty */
} psal_task;

static inline void psal_tasks_init(psal_tasks *tasks, size_t count, int threads) {
    tasks->runs = threads < PSAL_MOST_RUNS ? (size_t)threads : PSAL_MOST_RUNS;
    for (size_t i = 0; i < tasks->runs; i++) {
        atomic_init(&tasks->run[i].next, i * count / tasks->runs);
        tasks->run[i].end = (i + 1) * count / tasks->runs;
    }
}

static inline psal_task psal_tasks_begin(const psal_tasks *tasks) {
    return (psal_task){.run = (size_t)omp_get_thread_num() % tasks->runs};
}

static inline bool psal_tasks_next(psal_tasks *tasks, psal_task *t) {
    for (; t->exhausted < tasks->runs; t->exhausted++, t->run = (t->run + 1) % tasks->runs) {
        if (atomic_load_explicit(&tasks->run[t->run].next, memory_order_relaxed) >= tasks->run[t->run].end) continue;
        t->number = atomic_fetch_add_explicit(&tasks->run[t->run].next, 1, memory_order_relaxed);
        if (t->number < tasks->run[t->run].end) return true;
    }
    return false;
}

#endif
