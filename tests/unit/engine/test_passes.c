/* Tests that what engine/plan.h does in one pass, in taken-over memory or in another order never changes a value. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

/* ---- elementwise steps in one pass ---- */

/* The same plan with a pass for each step. */
static psal_plan *separate_plan(const psal_graph *g, const psal_plan_options *options) {
    psal_plan *plan = plan_of(g, options);
    for (int step = 0; step < plan->step_count; step++) plan->steps[step].follow = 0;
    return plan;
}

static int longest_pass(const psal_plan *plan) {
    int longest = 0;
    for (int step = 0; step < plan->step_count; step++)
        if (plan->steps[step].follow >= longest) longest = plan->steps[step].follow + 1;
    return longest;
}

/* What a gradient does between two convolutions, on several pieces: add, mask, add, and scale by what is made of
 * parameters in between; a value inside the pass is read later too. Then the mean of a filter with its codes. */
START_TEST(a_gradient_takes_one_pass_between_convolutions) {
    enum { C = 5, SIDE = 83, COUNT = C * SIDE * SIDE };
    const psal_shape image = PSAL_SHAPE(1, C, SIDE, SIDE);
    psal_graph *g = psal_graph_new();
    psal_node in[4], vectors[2];
    for (int i = 0; i < 4; i++) in[i] = psal_input(g, "image", image);
    for (int i = 0; i < 2; i++) vectors[i] = psal_input(g, "vector", PSAL_SHAPE(C));
    psal_node masked = psal_relu_mask(g, psal_add(g, psal_scale(g, in[0], 2), in[1]), in[2]),
              sum = psal_add(g, masked, in[3]);
    psal_node scaled = psal_channel_mul(g, sum, psal_mul(g, vectors[0], psal_rsqrt(g, vectors[1], 1e-3)));
    psal_node mean = psal_group_mean_abs(g, scaled, C), codes = psal_ternary_codes(g, scaled);
    psal_node row = psal_softmax(g, psal_reshape(g, scaled, PSAL_SHAPE(1, COUNT)));
    psal_node wanted[] = {mean, codes, psal_add(g, sum, psal_reshape(g, row, image))};
    psal_plan *plans[2];
    psal_workspace *ws[2];
    static float values[4][COUNT];
    float numbers[2][C];
    uint64_t state = 3;
    for (int i = 0; i < 4 * COUNT; i++) values[i / COUNT][i % COUNT] = (float)case_uniform(&state, -1, 1);
    for (int i = 0; i < 2 * C; i++) numbers[i / C][i % C] = (float)case_uniform(&state, 0.5, 2);
    for (int k = 0; k < 2; k++) {
        psal_plan_options options = {.outputs = {wanted}, .output_count = {3}, .stages = 1, .threads = 1 + _i};
        plans[k] = k ? separate_plan(g, &options) : plan_of(g, &options);
        ws[k] = workspace_of(plans[k]);
        for (int i = 0; i < 4; i++) psal_workspace_set(ws[k], in[i], values[i], NULL);
        for (int i = 0; i < 2; i++) psal_workspace_set(ws[k], vectors[i], numbers[i], NULL);
        run(ws[k], 0);
    }
    ck_assert_int_eq(longest_pass(plans[0]), 5);
    int found = 0;
    for (int step = 0; step < plans[0]->step_count; step++)
        found += plans[0]->steps[step].node == psal_plan_node(plans[0], mean) && plans[0]->steps[step].follow == 1;
    ck_assert_int_eq(found, 1);
    for (int k = 0; k < 3; k++)
        ck_assert_mem_eq(psal_workspace_get(ws[0], wanted[k]), psal_workspace_get(ws[1], wanted[k]),
                         (size_t)psal_shape_count(psal_graph_shape(g, wanted[k])) * sizeof(float));
    for (int k = 0; k < 2; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_graph_free(g);
}
END_TEST

/* What is the same for many rows, or along a row, is repeated piece by piece in the pass that reads it. */
START_TEST(repeated_values_are_made_in_the_pass) {
    enum { ROWS = 211, COLUMNS = 33, COUNT = ROWS * COLUMNS };
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(ROWS, COLUMNS)), gamma = psal_input(g, "gamma", PSAL_SHAPE(COLUMNS));
    psal_node row = psal_input(g, "row", PSAL_SHAPE(ROWS, 1));
    psal_node y = psal_broadcast_add(g, psal_broadcast_mul(g, psal_scale(g, x, 2), gamma), row);
    psal_node gradient;
    psal_gradient(g, psal_mul(g, y, y), &gamma, 1, &gradient);
    psal_node wanted[] = {y, gradient};
    static float values[COUNT], numbers[COLUMNS], per_row[ROWS];
    uint64_t state = 11;
    for (int i = 0; i < COUNT; i++) values[i] = (float)case_uniform(&state, -1, 1);
    for (int i = 0; i < COLUMNS; i++) numbers[i] = (float)case_uniform(&state, -1, 1);
    for (int i = 0; i < ROWS; i++) per_row[i] = (float)case_uniform(&state, -1, 1);
    psal_plan_options options = {.outputs = {wanted}, .output_count = {2}, .stages = 1, .threads = 2};
    psal_plan *plans[2] = {plan_of(g, &options), separate_plan(g, &options)};
    psal_workspace *ws[2];
    for (int k = 0; k < 2; k++) {
        ws[k] = workspace_of(plans[k]);
        psal_workspace_set(ws[k], x, values, NULL);
        psal_workspace_set(ws[k], gamma, numbers, NULL);
        psal_workspace_set(ws[k], row, per_row, NULL);
        run(ws[k], 0);
    }
    ck_assert_int_ge(longest_pass(plans[0]), 5); /* scale, expand, mul, expand, add */
    ck_assert_mem_eq(psal_workspace_get(ws[0], y), psal_workspace_get(ws[1], y), sizeof values);
    ck_assert_mem_eq(psal_workspace_get(ws[0], gradient), psal_workspace_get(ws[1], gradient), sizeof numbers);
    for (int i = 0; i < COUNT; i++)
        ck_assert_float_eq(psal_workspace_get(ws[0], y)[i],
                           2 * values[i] * numbers[i % COLUMNS] + per_row[i / COLUMNS]);
    for (int k = 0; k < 2; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_graph_free(g);
}
END_TEST

/* Where the maxima are and what they are take one pass; what is elsewhere does not, though it is read next. */
START_TEST(a_maximum_is_found_with_its_place) {
    enum { C = 3, SIDE = 6, POOLED = C * SIDE / 2 * SIDE / 2 };
    psal_graph *g = psal_graph_new();
    const psal_node x = psal_input(g, "x", PSAL_SHAPE(1, C, SIDE, SIDE));
    const psal_pool2d_options halves = {.kernel_height = 2, .kernel_width = 2};
    const psal_node maxima = psal_max_pool2d(g, x, &halves);
    const psal_node least = psal_max_pool2d_index(g, psal_scale(g, x, -1), &halves),
                    largest = psal_max_pool2d_index(g, x, &halves);
    psal_node wanted[] = {maxima, least, largest, psal_pool_gather(g, x, least)};
    float values[C * SIDE * SIDE];
    uint64_t state = 7;
    for (int i = 0; i < C * SIDE * SIDE; i++) values[i] = (float)case_uniform(&state, -1, 1);
    psal_plan_options options = {.outputs = {wanted}, .output_count = {4}, .stages = 1, .threads = 1};
    psal_plan *plans[2] = {plan_of(g, &options), separate_plan(g, &options)};
    psal_workspace *ws[2];
    for (int k = 0; k < 2; k++) {
        ws[k] = workspace_of(plans[k]);
        psal_workspace_set(ws[k], x, values, NULL);
        run(ws[k], 0);
    }
    int together = 0;
    for (int step = 0; step < plans[0]->step_count; step++) {
        const bool two = plans[0]->steps[step].follow == 1;
        together += two;
        ck_assert(!two || plans[0]->steps[step + 1].node == psal_plan_node(plans[0], maxima));
    }
    ck_assert_int_eq(together, 1);
    for (int k = 0; k < 4; k++)
        ck_assert_mem_eq(psal_workspace_get(ws[0], wanted[k]), psal_workspace_get(ws[1], wanted[k]),
                         POOLED * sizeof(float));
    for (int k = 0; k < 2; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_graph_free(g);
}
END_TEST

enum { IMAGES = 2, CHANNELS = 3, PLANE = 20, VALUES = IMAGES * CHANNELS * PLANE, FINALS = 5 };

typedef struct block {
    psal_graph *g;
    psal_node a, b, per_channel[4], norm, finals[FINALS], inner[8];
    int inner_count;
    float values[2][VALUES], numbers[4][CHANNELS];
} block;

static psal_node keep_inner(block *k, psal_node n) {
    return k->inner[k->inner_count++] = n;
}

static block make_block(void) {
    uint64_t state = 5;
    block k = {.g = psal_graph_new()};
    psal_graph *g = k.g;
    k.a = psal_input(g, "a", PSAL_SHAPE(IMAGES, CHANNELS, 4, 5));
    k.b = psal_input(g, "b", PSAL_SHAPE(IMAGES, CHANNELS, 4, 5));
    for (int i = 0; i < 4; i++) k.per_channel[i] = psal_input(g, "c", PSAL_SHAPE(CHANNELS));
    const psal_node *c = k.per_channel;
    psal_node scaled = psal_scale(g, k.b, 0.5); /* memory that the addition may take over */
#define NORM(x) psal_batch_norm(g, x, c[0], c[1], c[2], c[3], 1e-3)
    k.norm = keep_inner(&k, NORM(k.a));
    k.finals[0] = psal_relu(g, keep_inner(&k, psal_add(g, k.norm, k.b)));
    psal_node second = keep_inner(&k, NORM(psal_scale(g, k.a, 2)));
    k.finals[1] = psal_relu(g, keep_inner(&k, psal_add(g, scaled, second)));
    k.finals[2] = psal_relu(g, keep_inner(&k, NORM(psal_scale(g, k.b, 3))));
    k.finals[3] = psal_relu(g, keep_inner(&k, psal_channel_add(g, psal_scale(g, k.a, 0.7), c[2])));
    psal_node twice = NORM(k.b); /* read twice: by itself */
    k.finals[4] = psal_add(g, psal_relu(g, twice), psal_mul(g, twice, twice));
    for (int i = 0; i < VALUES; i++) {
        k.values[0][i] = (float)case_uniform(&state, -2, 2);
        k.values[1][i] = (float)case_uniform(&state, -2, 2);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < CHANNELS; j++) k.numbers[i][j] = (float)case_uniform(&state, 0.5, 2);
    return k;
}

static psal_workspace *open_block(const block *k, const psal_plan *plan) {
    psal_workspace *ws = workspace_of(plan);
    psal_workspace_set(ws, k->a, k->values[0], NULL);
    psal_workspace_set(ws, k->b, k->values[1], NULL);
    for (int i = 0; i < 4; i++) psal_workspace_set(ws, k->per_channel[i], k->numbers[i], NULL);
    return ws;
}

START_TEST(one_pass_gives_the_bits_of_several) {
    block k = make_block();
    psal_node all[FINALS + 8];
    memcpy(all, k.finals, sizeof k.finals);
    memcpy(all + FINALS, k.inner, sizeof k.inner);
    psal_plan_options options = {.outputs = {all}, .output_count = {FINALS}, .stages = 1};
    psal_plan *joined = plan_of(k.g, &options);
    options.output_count[0] = FINALS + k.inner_count;
    psal_plan *separate = separate_plan(k.g, &options);
    psal_workspace *one = open_block(&k, joined), *several = open_block(&k, separate);
    psal_workspace_profile(one, true);
    run(one, 0);
    run(several, 0);
    for (int i = 0; i < FINALS; i++)
        ck_assert_mem_eq(psal_workspace_get(one, k.finals[i]), psal_workspace_get(several, k.finals[i]),
                         VALUES * sizeof(float));
    psal_timing timings[64];
    int count = psal_workspace_timing_count(one), joined_steps = 0;
    ck_assert_int_lt(count, 64);
    psal_workspace_timings(one, timings);
    for (int i = 0; i < count; i++) joined_steps += timings[i].seconds == 0;
    ck_assert_int_ge(joined_steps, 6); /* two additions, four ReLUs */

    /* A channel that is switched off in the middle of a pass */
    const psal_silence off[] = {{k.norm, 1, 2}, {k.finals[3], 0, 1}};
    psal_workspace_silence(one, off, 2);
    run(one, 0);
    const float *now = psal_workspace_get(one, k.finals[0]), *before = psal_workspace_get(several, k.finals[0]);
    for (int i = 0; i < VALUES; i++) {
        float want = before[i];
        if (i / PLANE == CHANNELS + 2) want = k.values[1][i] < 0 ? 0 : k.values[1][i];
        ck_assert_float_eq(now[i], want);
    }
    now = psal_workspace_get(one, k.finals[3]), before = psal_workspace_get(several, k.finals[3]);
    for (int i = 0; i < VALUES; i++) ck_assert_float_eq(now[i], i / PLANE == 1 ? 0 : before[i]);
    psal_workspace_silence(one, NULL, 0);

    /* An output in the caller's memory */
    float elsewhere[VALUES] = {0};
    ck_assert_int_eq(psal_workspace_place(one, k.finals[1], elsewhere, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_place(one, k.norm, elsewhere, NULL),
                     PSAL_ERR_ARGUMENT); /* no output of this plan */
    run(one, 0);
    ck_assert_ptr_eq(psal_workspace_get(one, k.finals[1]), elsewhere);
    for (int i = 0; i < FINALS; i++)
        ck_assert_mem_eq(psal_workspace_get(one, k.finals[i]), psal_workspace_get(several, k.finals[i]),
                         VALUES * sizeof(float));
    ck_assert(psal_plan_reads(joined, k.a) && !psal_plan_reads(joined, -1));
    psal_workspace_free(one);
    psal_workspace_free(several);
    psal_plan_free(joined);
    psal_plan_free(separate);
    psal_graph_free(k.g);
}
END_TEST

/* ---- random graphs: whatever is wanted as an output, the numbers are the same ---- */

enum { NODES = 60, ROWS = 4, COLUMNS = 1234 }; /* several pieces of a pass */

static int pick(uint64_t *state, int n) {
    return (int)case_uniform(state, 0, n);
}

/* Nodes of shape [ROWS, COLUMNS], made from random earlier ones by in-place, out-of-place and view operations. */
static int random_graph(psal_graph *g, uint64_t *state, psal_node *nodes) {
    int count = 0;
    psal_shape shape = PSAL_SHAPE(ROWS, COLUMNS);
    nodes[count++] = psal_input(g, "a", shape);
    nodes[count++] = psal_input(g, "b", shape);
    while (count < NODES) {
        /* mostly recent nodes, so that values die early and their memory is taken over */
        psal_node a = nodes[pick(state, 3) ? count - 1 - pick(state, count < 5 ? count : 5) : pick(state, count)];
        psal_node b = nodes[pick(state, 3) ? count - 1 - pick(state, count < 5 ? count : 5) : pick(state, count)], n;
        switch (pick(state, 14)) {
        case 0:
            n = psal_add(g, a, b);
            break;
        case 1:
            n = psal_sub(g, a, b);
            break;
        case 2:
            n = psal_scale(g, psal_mul(g, a, b), 0.5);
            break;
        case 3:
            n = psal_relu_mask(g, a, b);
            break;
        case 4:
            n = psal_scale(g, psal_abs(g, a), -0.75);
            break;
        case 5:
            n = psal_reshape(g, psal_relu(g, psal_reshape(g, a, PSAL_SHAPE(COLUMNS, ROWS))), shape);
            break;
        case 6:
            n = psal_reshape(g, psal_reshape(g, a, PSAL_SHAPE(ROWS * COLUMNS)), shape);
            break;
        case 7:
            n = psal_row_spread(g, psal_row_sum(g, psal_scale(g, a, 1.2 / COLUMNS)), COLUMNS);
            break;
        case 8:
            n = psal_channel_affine(g, a, psal_channel_sum(g, psal_scale(g, b, 0.1)), psal_channel_sum(g, a));
            break;
        case 9:
            n = psal_softmax(g, a);
            break;
        case 10:
            n = psal_unslice(g, psal_slice(g, a, 1, 2, 3), 1, 1, COLUMNS);
            break;
        case 11:
            n = psal_concat(
                g, (psal_node[]){psal_slice(g, a, 0, 1, 2), psal_slice(g, b, 0, 0, 1), psal_slice(g, b, 0, 3, 1)}, 3,
                0);
            break;
        case 12:
            n = psal_slice(g, psal_concat(g, (psal_node[]){a, psal_relu(g, b), a}, 3, 0), 0, pick(state, 2 * ROWS),
                           ROWS);
            break;
        default:
            n = psal_group_ternary_spread(g, psal_ternary_codes(g, a), psal_group_mean(g, b, ROWS), shape);
            break;
        }
        nodes[count++] = n;
    }
    return count;
}

static psal_workspace *run_random(const psal_plan *plan, const psal_node *nodes, const float *a, const float *b) {
    psal_workspace *ws = workspace_of(plan);
    ck_assert_int_eq(psal_workspace_set(ws, nodes[0], a, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, nodes[1], b, NULL), PSAL_OK);
    for (psal_node n = 0; n < psal_graph_node_count(plan->source); n++) { /* NaN all over the arena */
        const psal_node own = psal_plan_node(plan, n);
        if (own == PSAL_NO_NODE || !plan->is_output[own] || plan->offset[own] == SIZE_MAX) continue;
        memset((char *)(uintptr_t)psal_workspace_get(ws, n) - plan->offset[own], 0xFF, psal_plan_memory(plan));
        break;
    }
    for (int stage = 0; stage < plan->stages; stage++) run(ws, stage);
    return ws;
}

START_TEST(planning_changes_no_value) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t state = seed * 100 + (uint64_t)_i;
        psal_graph *g = psal_graph_new();
        psal_node nodes[NODES];
        random_graph(g, &state, nodes);
        ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_OK);
        float a[ROWS * COLUMNS], b[ROWS * COLUMNS];
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            a[i] = (float)case_uniform(&state, -1, 1);
            b[i] = (float)case_uniform(&state, -1, 1);
        }
        int total = psal_graph_node_count(g);
        psal_node *all = malloc((size_t)total * sizeof *all);
        for (int n = 0; n < total; n++) all[n] = n;
        psal_plan_options everything = {.outputs = {all}, .output_count = {total}, .stages = 1};
        psal_plan *full = separate_plan(g, &everything);
        psal_workspace *reference = run_random(full, nodes, a, b);
        for (int trial = 0; trial < 4; trial++) {
            psal_node wanted[3][2];
            psal_plan_options few = {.stages = 1 + trial % 3};
            for (int s = 0; s < few.stages; s++) {
                few.outputs[s] = wanted[s];
                few.output_count[s] = 2;
                for (int k = 0; k < 2; k++) wanted[s][k] = nodes[NODES - 1 - pick(&state, trial < 2 ? 10 : NODES)];
            }
            psal_plan *plan = plan_of(g, &few);
            psal_workspace *ws = run_random(plan, nodes, a, b);
            for (int s = 0; s < few.stages; s++) /* the first stages' outputs, after the last stage ran */
                for (int k = 0; k < 2; k++)
                    ck_assert_msg(memcmp(psal_workspace_get(ws, wanted[s][k]),
                                         psal_workspace_get(reference, wanted[s][k]), sizeof a) == 0,
                                  "seed %d: node %d (%s) of stage %d differs", (int)state, wanted[s][k],
                                  psal_graph_op_name(g, wanted[s][k]), s);
            ck_assert_uint_le(psal_plan_memory(plan), psal_plan_memory(full));
            psal_workspace_free(ws);
            psal_plan_free(plan);
        }
        for (int i = 0; i < ROWS * COLUMNS; i++)
            ck_assert(isfinite(psal_workspace_get(reference, nodes[NODES - 1])[i]));
        psal_workspace_free(reference);
        psal_plan_free(full);
        psal_graph_free(g);
        free(all);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/passes");
    TCase *tests = tcase_create("passes");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_gradient_takes_one_pass_between_convolutions, 0, 2);
    tcase_add_test(tests, repeated_values_are_made_in_the_pass);
    tcase_add_test(tests, a_maximum_is_found_with_its_place);
    tcase_add_test(tests, one_pass_gives_the_bits_of_several);
    tcase_add_loop_test(tests, planning_changes_no_value, 0, 4);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
