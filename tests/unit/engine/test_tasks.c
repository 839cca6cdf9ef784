/* Tasks shared between threads: each is done once, each thread begins with its own, and what a slow one leaves is done
 * by others. */
#include <check.h>
#include <omp.h>
#include <stdlib.h>
#include <time.h>

#include "engine/kernels/tasks.h"

enum { MOST_TASKS = 300 };

/* With one thread, a few, and more than there are runs */
START_TEST(each_task_is_done_once) {
    static const int teams[] = {1, 2, 3, 7, PSAL_MOST_RUNS, PSAL_MOST_RUNS + 9};
    const int threads = teams[_i];
    static const size_t counts[] = {0, 1, 2, 5, 64, 65, 128, MOST_TASKS};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int done[MOST_TASKS + 1] = {0};
        psal_tasks tasks;
        psal_tasks_init(&tasks, counts[c], threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
        for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
#pragma omp atomic
            done[t.number < MOST_TASKS ? t.number : MOST_TASKS]++;
        }
        for (size_t i = 0; i <= MOST_TASKS; i++)
            ck_assert_msg(done[i] == (i < counts[c]), "%d threads, %zu tasks: number %zu was done %d times", threads,
                          counts[c], i, done[i]);
    }
}
END_TEST

/* A team smaller than was asked for leaves no run undone. */
START_TEST(fewer_threads_than_runs_do_all) {
    int done[10] = {0};
    psal_tasks tasks;
    psal_tasks_init(&tasks, 10, 4);
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) done[t.number]++;
    for (int i = 0; i < 10; i++) ck_assert_int_eq(done[i], 1);
}
END_TEST

/* Thread 1 stops at its first task until all others are done, which thread 0 must then have taken. */
START_TEST(tasks_of_a_slow_thread_are_taken) {
    enum { TASKS = 20, LIMIT = 60 };
    int left = TASKS, by[TASKS], team = 0;
    const time_t start = time(NULL);
    psal_tasks tasks;
    psal_tasks_init(&tasks, TASKS, 2);
#pragma omp parallel num_threads(2)
    {
        const int thread = omp_get_thread_num();
        if (thread == 0) team = omp_get_num_threads();
        for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
            by[t.number] = thread;
            for (int others = TASKS; thread == 1 && others > 1 && time(NULL) - start < LIMIT;) {
#pragma omp atomic read
                others = left;
            }
#pragma omp atomic
            left--;
        }
    }
    if (team < 2) return; /* OMP_THREAD_LIMIT or the like */
    ck_assert_msg(time(NULL) - start < LIMIT, "thread 0 left tasks of the slow thread 1");
    int slow = 0;
    for (int i = 0; i < TASKS; i++) slow += by[i] == 1;
    ck_assert_int_le(slow, 1);
    for (int i = 0; i < TASKS / 2; i++) ck_assert_int_eq(by[i], 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/tasks");
    TCase *tests = tcase_create("tasks");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, each_task_is_done_once, 0, 6);
    tcase_add_test(tests, fewer_threads_than_runs_do_all);
    tcase_add_test(tests, tasks_of_a_slow_thread_are_taken);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
