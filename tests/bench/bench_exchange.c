/* bench_exchange - how far two processors are from each other: nanoseconds until a cache line that one wrote has been
 * seen and answered by the other, the median of some hundred rounds of a thousand.
 *
 * 100 to 150 where both share a cache, 400 and more where they do not, as may happen from one minute to the next where
 * a system places virtual processors: threads that work on the same values then take a third to a half longer, and
 * times are to be compared only with others of the same state. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 200, EXCHANGES = 1000, TOTAL = ROUNDS * EXCHANGES };

static _Alignas(256) atomic_int turn; /* odd: the second thread's */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *answer(void *unused) {
    for (int i = 0; i < TOTAL; i++) {
        while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 1) {
        }
        atomic_store_explicit(&turn, 2 * i + 2, memory_order_release);
    }
    return unused;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    double seconds[ROUNDS];
    pthread_t other;
    if (pthread_create(&other, NULL, answer, NULL) != 0) {
        fprintf(stderr, "bench_exchange: no second thread\n");
        return EXIT_FAILURE;
    }
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now();
        for (int i = round * EXCHANGES; i < (round + 1) * EXCHANGES; i++) {
            atomic_store_explicit(&turn, 2 * i + 1, memory_order_release);
            while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 2) {
            }
        }
        seconds[round] = now() - start;
    }
    pthread_join(other, NULL);
    qsort(seconds, ROUNDS, sizeof *seconds, compare);
    printf("%.0f\n", seconds[ROUNDS / 2] / EXCHANGES * 1e9);
    return 0;
}
