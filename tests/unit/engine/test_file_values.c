/* Tests values that lie in a mapped file (engine/file_values.h), and the products that read them from there. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case_values.h"
#include "engine/file_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

/* A file without a name, mapped and known; its descriptor */
static int known_file(size_t size, char **mapped) {
    char path[] = "/tmp/psal-file-values-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(*mapped, MAP_FAILED);
    ck_assert(psal_file_values_add(*mapped, size, fd));
    return fd;
}

static void forget_file(char *mapped, size_t size) {
    psal_file_values_remove(mapped);
    munmap(mapped, size);
}

static size_t resident_bytes(const char *mapped, size_t size) {
    /* of this process: mincore would tell what the system's cache holds */
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[400], start[40];
    size_t kib = 0;
    bool here = false;
    ck_assert_ptr_nonnull(maps);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)mapped + (size + page - 1) / page * page;
    snprintf(start, sizeof start, "%lx-%lx ", (unsigned long)(uintptr_t)mapped, (unsigned long)end);
    while (fgets(line, sizeof line, maps)) {
        if (strncmp(line, start, strlen(start)) == 0) here = true;
        if (here && sscanf(line, "Rss: %zu", &kib) == 1) break;
    }
    ck_assert(here);
    fclose(maps);
    return kib * 1024;
}

START_TEST(bytes_come_from_their_file) {
    enum { SIZE = 3 * 4096 };
    char *one, *two, copy[64], heap[64] = "not in a file";
    const int first = known_file(SIZE, &one), second = known_file(SIZE, &two);
    ck_assert_int_eq(pwrite(first, "first", 6, 5000), 6);
    ck_assert_int_eq(pwrite(second, "second", 7, SIZE - 7), 7);
    ck_assert(psal_file_values_read(one + 5000, 6, copy));
    ck_assert_str_eq(copy, "first");
    ck_assert(psal_file_values_read(two + SIZE - 7, 7, copy));
    ck_assert_str_eq(copy, "second");
    ck_assert(psal_file_values_read(one, 0, copy));
    /* what a file does not hold to its end, or at all */
    ck_assert(!psal_file_values_read(two + SIZE - 7, 8, copy));
    ck_assert(!psal_file_values_read(heap, sizeof heap, copy));
    ck_assert(!psal_file_values_read(one + 1, SIZE_MAX, copy));
    psal_file_values_forget(heap, sizeof heap);
    ck_assert_str_eq(heap, "not in a file");
    forget_file(one, SIZE);
    ck_assert(!psal_file_values_read(one + 5000, 6, copy));
    ck_assert(psal_file_values_read(two + SIZE - 7, 7, copy));
    /* a file that became shorter */
    ck_assert_int_eq(ftruncate(second, SIZE - 3), 0);
    ck_assert(!psal_file_values_read(two + SIZE - 7, 7, copy));
    forget_file(two, SIZE);
    psal_file_values_remove(two);
}
END_TEST

START_TEST(forgotten_pages_are_given_back) {
    enum { SIZE = 64 * 4096 };
    char *mapped;
    known_file(SIZE, &mapped);
    int sum = 0;
    for (size_t i = 0; i < SIZE; i += 512) sum += ((volatile char *)mapped)[i];
    ck_assert_int_eq(sum, 0);
    ck_assert_uint_ge(resident_bytes(mapped, SIZE), SIZE);
    psal_file_values_forget(mapped + 100, SIZE - 200);
    ck_assert_uint_le(resident_bytes(mapped, SIZE), 2 * 4096);
    forget_file(mapped, SIZE);
}
END_TEST

/* A matrix of which a part may stay in memory: holes, but for rows on both sides of either border */
enum { LENGTH = 32768 + 5, ROWS = 2201, VALUES_PER_ROW = 40 };

static void fill(int fd, float *heap, size_t resident) {
    const size_t border = resident / (LENGTH * sizeof(float));
    uint64_t state = 5;
    for (size_t row = border - 9; row < border + 30; row++) {
        for (size_t i = 0; i < VALUES_PER_ROW; i++) {
            const size_t at = row * LENGTH + (size_t)case_uniform(&state, 0, LENGTH - 1);
            heap[at] = (float)case_uniform(&state, -1, 1);
            ck_assert_int_eq(pwrite(fd, &heap[at], sizeof(float), (off_t)(at * sizeof(float))), sizeof(float));
        }
    }
}

/* y of B in the heap and B in the file, with `transposed` a B^T and else a B: `results` values each */
static void products(bool transposed, int threads, const float *b, const float *a, float *y) {
    psal_graph *g = psal_graph_new();
    const psal_node x = psal_input(g, "x", PSAL_SHAPE(1, transposed ? LENGTH : ROWS));
    const psal_node matrix = psal_parameter(g, "b", PSAL_SHAPE(ROWS, LENGTH));
    const psal_node product = psal_matmul(g, x, false, matrix, transposed);
    psal_plan *plan = plan_of(
        g, &(psal_plan_options){.outputs = {&product}, .output_count = {1}, .stages = 1, .threads = threads});
    psal_workspace *ws = workspace_of(plan);
    psal_plan_bind(plan, matrix, b, NULL);
    psal_workspace_set(ws, x, a, NULL);
    run(ws, 0);
    memcpy(y, psal_workspace_get(ws, product), (transposed ? ROWS : LENGTH) * sizeof *y);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}

START_TEST(products_do_not_depend_on_where_a_matrix_lies) {
    const bool transposed = _i % 2;
    const size_t size = (size_t)ROWS * LENGTH * sizeof(float), results = transposed ? ROWS : LENGTH,
                 inputs = transposed ? LENGTH : ROWS;
    char *mapped;
    const int fd = known_file(size, &mapped);
    float *heap = calloc((size_t)ROWS * LENGTH, sizeof *heap), *a = malloc(inputs * sizeof *a);
    float *expected = malloc(results * sizeof *expected), *y = malloc(results * sizeof *y);
    ck_assert(heap && a && expected && y);
    fill(fd, heap, PSAL_FILE_RESIDENT_BYTES);
    fill(fd, heap, PSAL_FILE_RESIDENT_ALONE);
    uint64_t state = 3;
    for (size_t i = 0; i < inputs; i++) a[i] = i % 3 == 1 ? 0 : (float)case_uniform(&state, -1, 1);
    products(transposed, 1, heap, a, expected);
    size_t nonzero = 0;
    for (size_t i = 0; i < results; i++) {
        nonzero += expected[i] != 0;
        double sum = 0;
        for (size_t j = 0; j < inputs && expected[i] != 0; j++)
            sum += (double)a[j] * (double)(transposed ? heap[i * LENGTH + j] : heap[j * LENGTH + i]);
        ck_assert_msg(fabs(expected[i] - sum) <= 1e-5, "[%zu]: %.9g, expected %.9g", i, (double)expected[i], sum);
    }
    ck_assert_uint_ge(nonzero, 30);
#pragma omp parallel num_threads(2) /* one of two passes at a time */
#pragma omp single
    products(transposed, 1, (const float *)mapped, a, y);
    ck_assert_mem_eq(y, expected, results * sizeof *y);
    ck_assert_uint_le(resident_bytes(mapped, size), PSAL_FILE_RESIDENT_BYTES + (1 << 20));
    for (int threads = 1; threads <= 3; threads++) {
        products(transposed, threads, (const float *)mapped, a, y);
        ck_assert_mem_eq(y, expected, results * sizeof *y);
    }
    ck_assert_uint_ge(resident_bytes(mapped, size), PSAL_FILE_RESIDENT_BYTES + (32 << 20));
    ck_assert_uint_le(resident_bytes(mapped, size), PSAL_FILE_RESIDENT_ALONE + (1 << 20));
    psal_file_values_remove(mapped); /* from now on the matrix is read where it is mapped */
    products(transposed, 2, (const float *)mapped, a, y);
    ck_assert_mem_eq(y, expected, results * sizeof *y);
    munmap(mapped, size);
    free(heap);
    free(a);
    free(expected);
    free(y);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/file_values");
    TCase *tests = tcase_create("file_values");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, bytes_come_from_their_file);
    tcase_add_test(tests, forgotten_pages_are_given_back);
    tcase_add_loop_test(tests, products_do_not_depend_on_where_a_matrix_lies, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
