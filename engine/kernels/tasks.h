/* tasks.h - a loop over independent tasks, shared between threads so that each meets again what it wrote.
 *
 * Every thread has a run of successive tasks, the same in every loop over as many, and takes from the others' only when its own
 * are done: values stay in the cache of the processor that made them, and still no thread waits for one that is slower or busy.
 * What is one thread's own is taken without asking the others.
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

enum { PSAL_MOST_RUNS = 64 }; /* with more threads than that, some share a run */

typedef struct psal_tasks {
    size_t runs;
    struct {
        atomic_size_t next;
        size_t end;
        char apart[112]; /* no line of a cache has two */
    } run[PSAL_MOST_RUNS];
} psal_tasks;

/* Where part `index` begins when tasks are parts of so much. Larger and smaller parts take turns, so that a thread's run of them is
 * half of it all, or its third, as nearly as can be. */
static inline size_t psal_tasks_part(size_t total, size_t parts, size_t index) {
    return total * index / parts;
}

/* Where a thread is in such a loop */
typedef struct psal_task {
    size_t number;    /* of the task */
    size_t run, seen; /* whose tasks it takes, and how many runs it has found empty */
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
    for (; t->seen < tasks->runs; t->seen++, t->run = (t->run + 1) % tasks->runs) {
        if (atomic_load_explicit(&tasks->run[t->run].next, memory_order_relaxed) >= tasks->run[t->run].end) continue;
        t->number = atomic_fetch_add_explicit(&tasks->run[t->run].next, 1, memory_order_relaxed);
        if (t->number < tasks->run[t->run].end) return true;
    }
    return false;
}

#endif
