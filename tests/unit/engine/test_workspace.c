/* Tests workspaces (engine/plan.h): shared memory, running again, and timings. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

/* ---- a small network with its gradient ---- */

typedef struct network {
    psal_graph *g;
    psal_node x, w, y, loss, dw, dx;
    psal_plan *plan;
    psal_workspace *ws;
    float image[2 * 3 * 16 * 16], weight[8 * 3 * 3 * 3];
} network;

static network *make_network(int threads) {
    network *n = calloc(1, sizeof *n);
    n->g = psal_graph_new();
    n->x = psal_input(n->g, "x", PSAL_SHAPE(2, 3, 16, 16));
    n->w = psal_parameter(n->g, "w", PSAL_SHAPE(8, 3, 3, 3));
    psal_graph_set_layer(n->g, "conv");
    n->y = psal_conv2d(n->g, n->x, n->w, &(psal_conv2d_options){.padding_height = 1, .padding_width = 1});
    psal_graph_set_layer(n->g, "loss");
    n->loss = psal_sum(n->g, psal_mul(n->g, psal_relu(n->g, n->y), n->y));
    psal_node gradients[2];
    psal_gradient(n->g, n->loss, (psal_node[]){n->x, n->w}, 2, gradients);
    n->dx = gradients[0];
    n->dw = gradients[1];
    psal_plan_options options = {
        .outputs = {&n->loss, gradients}, .output_count = {1, 2}, .stages = 2, .threads = threads};
    n->plan = plan_of(n->g, &options);
    n->ws = workspace_of(n->plan);
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof n->image / sizeof(float); i++) n->image[i] = (float)case_uniform(&state, -1, 1);
    for (size_t i = 0; i < sizeof n->weight / sizeof(float); i++) n->weight[i] = (float)case_uniform(&state, -1, 1);
    psal_plan_bind(n->plan, n->w, n->weight, NULL);
    psal_workspace_set(n->ws, n->x, n->image, NULL);
    return n;
}

static void network_free(network *n) {
    psal_workspace_free(n->ws);
    psal_plan_free(n->plan);
    psal_graph_free(n->g);
    free(n);
}

/* Two workspaces in the same memory, one after the other */
START_TEST(workspaces_share_memory) {
    network *n = make_network(1), *other = make_network(1);
    enum { VALUES = sizeof n->image / sizeof(float) };
    for (int i = 0; i < VALUES; i++) other->image[i] *= -0.7f;
    const float *const images[] = {n->image, other->image};
    psal_error err = PSAL_ERROR_INIT;
    void *memory = psal_workspace_memory(psal_plan_memory(n->plan));
    psal_workspace *ws[2];
    float kept[2][VALUES];
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(ws[i] = psal_workspace_new_in(n->plan, memory, &err));
        psal_workspace_set(ws[i], n->x, images[i], NULL);
        ck_assert_int_eq(psal_workspace_place(ws[i], n->dx, kept[i], NULL), PSAL_OK);
    }
    for (int i = 0; i < 2; i++) {
        run(ws[i], 0);
        run(ws[i], 1);
    }
    ck_assert_mem_ne(kept[0], kept[1], sizeof kept[0]);
    for (int i = 0; i < 2; i++) {
        psal_workspace_set(n->ws, n->x, images[i], NULL);
        run(n->ws, 0);
        run(n->ws, 1);
        ck_assert_mem_eq(psal_workspace_get(n->ws, n->dx), kept[i], sizeof kept[i]);
        psal_workspace_free(ws[i]);
    }
    free(memory);
    network_free(n);
    network_free(other);
}
END_TEST

/* Outputs that are other values under other shapes, of a result and of an input, in the caller's memory */
START_TEST(reshaped_outputs_are_placed) {
    psal_graph *g = psal_graph_new();
    const psal_node x = psal_input(g, "x", PSAL_SHAPE(2, 3)), y = psal_relu(g, x);
    const psal_node outputs[] = {psal_reshape(g, y, PSAL_SHAPE(6)), psal_reshape(g, x, PSAL_SHAPE(3, 2)),
                                 psal_scale(g, y, 2), x};
    const psal_plan_options options = {.outputs = {outputs}, .output_count = {4}, .stages = 1};
    psal_error err = PSAL_ERROR_INIT;
    psal_plan *plan = psal_plan_new(g, &options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    const float image[] = {1, -2, 3, -4, 5, -6}, flat[] = {1, 0, 3, 0, 5, 0}, twice[] = {2, 0, 6, 0, 10, 0};
    float kept[2][6];
    ck_assert_int_eq(psal_workspace_set(ws, x, image, NULL), PSAL_OK);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(psal_workspace_place(ws, outputs[i], kept[i], NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_place(ws, x, kept[0], NULL), PSAL_ERR_ARGUMENT);
    run(ws, 0);
    ck_assert_mem_eq(kept[0], flat, sizeof flat);
    ck_assert_mem_eq(kept[1], image, sizeof image);
    for (int i = 0; i < 2; i++) ck_assert_ptr_eq(psal_workspace_get(ws, outputs[i]), kept[i]);
    ck_assert_mem_eq(psal_workspace_get(ws, outputs[2]), twice, sizeof twice);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* Count every allocation of the process: these definitions come before the C library's (glibc, which keeps its own
 * under these names). Under a sanitizer, which does the same, nothing is counted. */
static _Atomic long allocations;

#if defined(__has_feature) /* clang, where GCC has macros */
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if !SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    allocations++;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : 12; /* ENOMEM */
}
#endif

START_TEST(running_again_allocates_nothing) {
    network *n = make_network(_i);
    run(n->ws, 0);
    run(n->ws, 1); /* OpenMP and OpenBLAS have made their threads and buffers */
    long before = allocations;
    bool good = true; /* no assertions in between: Check allocates in them */
    for (int i = 0; i < 5; i++)
        for (int stage = 0; stage < 2; stage++) good &= psal_workspace_run(n->ws, stage, NULL) == PSAL_OK;
    long during = allocations - before;
    ck_assert(good);
#if defined(__clang__) /* whose OpenMP allocates for every parallel loop */
    (void)during;
#else
    ck_assert_int_eq(during, 0);
#endif
#if !SANITIZED
    ck_assert_int_gt(before, 0); /* the counter counts */
#endif
    network_free(n);
}
END_TEST

START_TEST(running_again_gives_the_same_bits) {
    network *n = make_network(1), *four = make_network(4);
    float dx[2 * 3 * 16 * 16], dw[8 * 3 * 3 * 3];
    run(n->ws, 0);
    run(n->ws, 1);
    memcpy(dx, psal_workspace_get(n->ws, n->dx), sizeof dx);
    memcpy(dw, psal_workspace_get(n->ws, n->dw), sizeof dw);
    for (int i = 0; i < 3; i++) {
        network *again = i < 2 ? four : n;
        run(again->ws, 0);
        run(again->ws, 1);
        ck_assert_mem_eq(psal_workspace_get(again->ws, again->dx), dx, sizeof dx);
        ck_assert_mem_eq(psal_workspace_get(again->ws, again->dw), dw, sizeof dw);
    }
    ck_assert_mem_eq(n->image, four->image, sizeof n->image); /* inputs are never written */
    network_free(n);
    network_free(four);
}
END_TEST

START_TEST(timings_name_the_steps) {
    network *n = make_network(1);
    ck_assert_int_eq(psal_workspace_timing_count(n->ws), 0); /* not asked for */
    psal_workspace_profile(n->ws, false);
    ck_assert_int_eq(psal_workspace_timing_count(n->ws), 0);
    run(n->ws, 0);
    psal_workspace_profile(n->ws, true);
    for (int i = 0; i < 3; i++) run(n->ws, 0);
    run(n->ws, 1);
    int count = psal_workspace_timing_count(n->ws);
    psal_timing *t = malloc((size_t)count * sizeof *t);
    const double products = 2.0 * 2 * 8 * 16 * 16 * 3 * 3 * 3;
    for (int round = 0; round < 2; round++) {
        psal_workspace_timings(n->ws, t);
        int conv = 0, dw = 0, previous = 0;
        for (int i = 0; i < count; i++) {
            ck_assert(t[i].seconds >= 0 && t[i].seconds < 60);
            ck_assert_int_ge(t[i].stage, previous); /* in running order */
            previous = t[i].stage;
            if (strcmp(t[i].op, "conv2d") == 0) {
                conv++;
                ck_assert_str_eq(t[i].layer, "conv");
                ck_assert_int_eq(t[i].stage, 0);
                ck_assert_double_eq(t[i].flops, 3 * products);
                ck_assert_double_gt(t[i].seconds, 0);
                ck_assert_int_eq(t[i].shape.dim[1], 8);
                const psal_conv2d_shape *s = &psal_graph_node(n->g, n->y)->attr.conv2d;
                ck_assert_str_eq(t[i].algorithm,
                                 psal_conv2d_algorithm_for(s, PSAL_CONV2D_FORWARD, (psal_conv2d_settings){0}));
            } else if (strcmp(t[i].op, "conv2d_dw") == 0) {
                dw++;
                ck_assert_str_eq(t[i].layer, "conv");
                ck_assert_int_eq(t[i].stage, 1);
                ck_assert_double_eq(t[i].flops, products);
                ck_assert_ptr_nonnull(t[i].algorithm);
            } else if (!strstr(t[i].op, "conv2d")) {
                ck_assert_ptr_null(t[i].algorithm);
            }
        }
        ck_assert_int_eq(conv, 1);
        ck_assert_int_eq(dw, 1);
        psal_workspace_profile(n->ws, false); /* stays readable */
        run(n->ws, 0);
    }
    psal_workspace_profile(n->ws, true); /* starts at zero */
    psal_workspace_timings(n->ws, t);
    for (int i = 0; i < count; i++) ck_assert(t[i].seconds == 0 && t[i].flops == 0);
    free(t);
    network_free(n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/workspace");
    TCase *tests = tcase_create("workspace");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, workspaces_share_memory);
    tcase_add_test(tests, reshaped_outputs_are_placed);
    tcase_add_loop_test(tests, running_again_allocates_nothing, 1, 3);
    tcase_add_test(tests, running_again_gives_the_same_bits);
    tcase_add_test(tests, timings_name_the_steps);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
