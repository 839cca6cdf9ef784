/* Tests engine/plan.h: stages, bindings, and where values lie in memory. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

static void refuse(psal_workspace *ws, int stage, const char *message) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_workspace_run(ws, stage, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, message);
    ck_assert_int_eq(psal_workspace_run(ws, stage, NULL), PSAL_ERR_ARGUMENT);
}

/* a = 2 x; stage 1: b = a + y; stage 2: c = b * b + a */
typedef struct staged {
    psal_graph *g;
    psal_node x, y, a, b, c;
    psal_plan *plan;
    psal_workspace *ws;
} staged;

static staged make_staged(void) {
    staged s = {.g = psal_graph_new()};
    s.x = psal_input(s.g, "x", PSAL_SHAPE(40));
    s.y = psal_input(s.g, "y", PSAL_SHAPE(40));
    s.a = psal_scale(s.g, s.x, 2);
    s.b = psal_add(s.g, s.a, s.y);
    s.c = psal_add(s.g, psal_mul(s.g, s.b, s.b), s.a);
    psal_plan_options options = {.outputs = {&s.a, &s.b, &s.c}, .output_count = {1, 1, 1}, .stages = 3};
    s.plan = plan_of(s.g, &options);
    s.ws = workspace_of(s.plan);
    return s;
}

static void staged_free(staged *s) {
    psal_workspace_free(s->ws);
    psal_plan_free(s->plan);
    psal_graph_free(s->g);
}

START_TEST(stages_continue_and_outputs_stay) {
    staged s = make_staged();
    float x[40], y[40];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) x[i] = (float)(i + round);
        psal_workspace_set(s.ws, s.x, x, NULL);
        run(s.ws, 0);
        /* an input of a later stage may follow from what an earlier one computed */
        for (int i = 0; i < 40; i++) y[i] = -psal_workspace_get(s.ws, s.a)[i] + 3;
        psal_workspace_set(s.ws, s.y, y, NULL);
        run(s.ws, 1);
        if (round != 1) run(s.ws, 2); /* stopping early is fine */
        for (int i = 0; i < 40; i++) {
            ck_assert_float_eq(psal_workspace_get(s.ws, s.a)[i], 2 * x[i]);
            ck_assert_float_eq(psal_workspace_get(s.ws, s.b)[i], 3);
            if (round != 1) ck_assert_float_eq(psal_workspace_get(s.ws, s.c)[i], 9 + 2 * x[i]);
        }
    }
    ck_assert_ptr_null(psal_workspace_get(s.ws, s.x)); /* not wanted as an output */
    ck_assert_ptr_null(psal_workspace_get(s.ws, -1));
    ck_assert_ptr_null(psal_workspace_get(s.ws, 1000));
    staged_free(&s);
}
END_TEST

START_TEST(stages_out_of_order_are_refused) {
    staged s = make_staged();
    float x[40] = {0};
    psal_workspace_set(s.ws, s.x, x, NULL);
    psal_workspace_set(s.ws, s.y, x, NULL);
    const struct {
        int run, refused, done;
    } steps[] = {{-1, 1, 0}, {-1, 2, 0}, {-1, 3, 0}, {-1, -1, 0}, {0, 2, 1},
                 {1, 1, 2},  {-1, 3, 2}, {2, 2, 3},  {0, 2, 1}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char message[128];
        if (steps[i].run >= 0) run(s.ws, steps[i].run);
        snprintf(message, sizeof message,
                 "stage %d cannot run now: the plan has 3 stages, of which %d have run since the first",
                 steps[i].refused, steps[i].done);
        refuse(s.ws, steps[i].refused, message);
    }
    staged_free(&s);
}
END_TEST

START_TEST(unbound_leaves_are_named) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "image", PSAL_SHAPE(2)), w = psal_parameter(g, "conv1.weight", PSAL_SHAPE(2));
    psal_node unused = psal_input(g, "unused", PSAL_SHAPE(2)), late = psal_input(g, "label", PSAL_SHAPE(2));
    psal_node y = psal_mul(g, x, w), z = psal_add(g, y, late);
    psal_plan_options options = {.outputs = {&y, &z}, .output_count = {1, 1}, .stages = 2};
    psal_plan *plan = plan_of(g, &options);
    psal_workspace *ws = workspace_of(plan);
    const float one[] = {1, 2}, two[] = {3, 5}, three[] = {7, 11};
    refuse(ws, 0, "input 'image' was given no values");
    ck_assert_int_eq(psal_workspace_set(ws, x, one, NULL), PSAL_OK);
    refuse(ws, 0, "parameter 'conv1.weight' was given no values");
    ck_assert_int_eq(psal_plan_bind(plan, w, two, NULL), PSAL_OK);
    run(ws, 0); /* neither the unused input nor a later stage's is needed */
    ck_assert_float_eq(psal_workspace_get(ws, y)[1], 10);
    refuse(ws, 1, "input 'label' was given no values");
    ck_assert_int_eq(psal_workspace_set(ws, late, one, NULL), PSAL_OK);
    run(ws, 1);
    ck_assert_float_eq(psal_workspace_get(ws, z)[1], 12);
    /* one workspace's own parameter, and back */
    psal_workspace *other = workspace_of(plan);
    ck_assert_int_eq(psal_workspace_set(ws, w, three, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(other, x, one, NULL), PSAL_OK);
    run(ws, 0);
    run(other, 0);
    ck_assert_float_eq(psal_workspace_get(ws, y)[1], 22);
    ck_assert_float_eq(psal_workspace_get(other, y)[1], 10);
    ck_assert_int_eq(psal_workspace_set(ws, w, NULL, NULL), PSAL_OK);
    run(ws, 0);
    ck_assert_float_eq(psal_workspace_get(ws, y)[1], 10);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_workspace_set(ws, y, one, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_workspace_set(ws, -1, one, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_workspace_set(ws, 1000, one, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "node 1000 is not an input or a parameter of this graph");
    ck_assert_int_eq(psal_plan_bind(plan, unused, one, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_plan_bind(plan, -1, one, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "node -1 is not a parameter of this plan's graph");
    psal_workspace_free(other);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
    psal_workspace_free(NULL);
    psal_plan_free(NULL);
}
END_TEST

START_TEST(impossible_plans_are_refused) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1 << 20)), y = psal_scale(g, x, 2), none = 7;
    const struct {
        psal_plan_options options;
        psal_status status;
        const char *message;
    } cases[] = {
        {{.stages = 0}, PSAL_ERR_ARGUMENT, "a plan has 1 to 4 stages, got 0"},
        {{.stages = 5}, PSAL_ERR_ARGUMENT, "a plan has 1 to 4 stages, got 5"},
        {{.stages = 2, .outputs = {&y}, .output_count = {1}}, PSAL_ERR_ARGUMENT, "stage 1 of a plan wants no output"},
        {{.stages = 1, .outputs = {&none}, .output_count = {1}},
         PSAL_ERR_ARGUMENT,
         "output 0 of stage 0 is not a node of the graph"},
        {{.stages = 1, .outputs = {&y}, .output_count = {1}, .memory_limit = 3 << 20},
         PSAL_ERR_MEMORY,
         "needs 4.0 MiB of working memory, more than the limit of 3.0 MiB"},
        {{.stages = 1, .outputs = {&y}, .output_count = {1}, .memory_limit = (4 << 20) - 1},
         PSAL_ERR_MEMORY,
         "needs 4.0 MiB of working memory, more than the limit of 4.0 MiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_ptr_null(psal_plan_new(g, &cases[i].options, &err));
        ck_assert_int_eq(err.status, cases[i].status);
        ck_assert_str_eq(err.message, cases[i].message);
        ck_assert_ptr_null(psal_plan_new(g, &cases[i].options, NULL));
    }
    psal_plan_options enough = {.stages = 1, .outputs = {&y}, .output_count = {1}, .memory_limit = 4 << 20};
    psal_plan *plan = plan_of(g, &enough);
    ck_assert_uint_eq(psal_plan_memory(plan), 4 << 20);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* A chain of elementwise steps needs the memory of one value, a long chain of sums that of two. */
START_TEST(memory_is_reused) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1024)), y = psal_scale(g, x, 2);
    for (int i = 0; i < 100; i++) y = psal_relu(g, psal_add(g, y, x));
    psal_plan_options options = {.outputs = {&y}, .output_count = {1}, .stages = 1};
    psal_plan *plan = plan_of(g, &options);
    ck_assert_uint_eq(psal_plan_memory(plan), 4096);
    psal_plan_free(plan);
    psal_node z = psal_reshape(g, x, PSAL_SHAPE(32, 32));
    for (int i = 0; i < 100; i++) z = psal_matmul(g, z, false, z, true);
    options.outputs[0] = &z;
    plan = plan_of(g, &options);
    ck_assert_uint_eq(psal_plan_memory(plan), 2 * 4096);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* Of a chain of large values each is also read by something small, which was made last of all: it must not keep
 * them. */
START_TEST(last_readers_do_not_wait) {
    enum { LINKS = 12, COUNT = 1024 };
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(COUNT)), w = psal_parameter(g, "w", PSAL_SHAPE(COUNT));
    psal_node link[LINKS], outputs[LINKS];
    for (int i = 0; i < LINKS; i++) link[i] = psal_mul(g, i ? link[i - 1] : x, w);
    for (int i = 0; i < LINKS; i++) outputs[i] = psal_sum(g, link[i]);
    psal_plan_options options = {.outputs = {outputs}, .output_count = {LINKS}, .stages = 1};
    psal_plan *plan = plan_of(g, &options);
    ck_assert_uint_le(psal_plan_memory(plan), 2 * COUNT * sizeof(float) + LINKS * PSAL_ALIGNMENT);
    psal_workspace *ws = workspace_of(plan);
    float ones[COUNT], twos[COUNT];
    for (int i = 0; i < COUNT; i++) ones[i] = 1, twos[i] = 2;
    psal_workspace_set(ws, x, ones, NULL);
    psal_workspace_set(ws, w, twos, NULL);
    run(ws, 0);
    for (int i = 0; i < LINKS; i++) ck_assert_float_eq(psal_workspace_get(ws, outputs[i])[0], ldexpf(COUNT, i + 1));
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* What spreads little over much is made for each reader and not kept between them; a large value that leaves only a
 * code and a mean behind is gone before the next one is made, even when the code is for a later stage. */
START_TEST(spread_values_are_made_again) {
    enum { ROWS_OF = 8, LONG = 4096, LAYERS = 10 };
    const size_t large = LONG * sizeof(float);
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(ROWS_OF, LONG / ROWS_OF)), v = psal_input(g, "v", PSAL_SHAPE(ROWS_OF));
    psal_node means[LAYERS], spread[LAYERS], last = PSAL_NO_NODE;
    for (int i = 0; i < LAYERS; i++) {
        psal_node value = psal_scale(g, x, i - 4.5);
        means[i] = psal_group_mean_abs(g, value, ROWS_OF);
        spread[i] = psal_group_ternary_spread(g, psal_ternary_codes(g, value), v, PSAL_SHAPE(ROWS_OF, LONG / ROWS_OF));
        last = i == 0 ? psal_sum(g, spread[i]) : psal_add(g, last, psal_sum(g, spread[i]));
    }
    for (int i = 0; i < LAYERS; i++)
        last = psal_add(g, last, psal_sum(g, psal_abs(g, spread[i]))); /* the second readers */
    psal_plan_options options = {.outputs = {means, &last}, .output_count = {LAYERS, 1}, .stages = 2};
    psal_plan *plan = plan_of(g, &options);
    ck_assert_uint_lt(psal_plan_memory(plan), LAYERS * large / 4 + large + large / 2);
    psal_workspace *ws = workspace_of(plan);
    float values[LONG], factors[ROWS_OF];
    for (int i = 0; i < LONG; i++) values[i] = (float)((i * 7 + 3) % 16 - 8);
    for (int i = 0; i < ROWS_OF; i++) factors[i] = (float)(i + 1);
    psal_workspace_set(ws, x, values, NULL);
    run(ws, 0);
    psal_workspace_set(ws, v, factors, NULL);
    run(ws, 1);
    double want = 0;
    for (int i = 0; i < LAYERS; i++)
        for (int k = 0; k < LONG; k++) {
            double row = LONG / ROWS_OF, value = values[k] * (i - 4.5),
                   spread_value = factors[k / (LONG / ROWS_OF)] / row;
            if (value != 0) want += (value > 0 ? spread_value : -spread_value) + spread_value;
        }
    ck_assert_double_eq_tol(*psal_workspace_get(ws, last), want, 1e-4 * fabs(want));
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

static int count_steps(const psal_plan *plan, psal_op_kind op) {
    int count = 0;
    for (int step = 0; step < plan->step_count; step++)
        count += psal_graph_node(plan->graph, plan->steps[step].node)->op == op;
    return count;
}

/* Two readers one right after the other read the same copy; another one in between makes it two. */
START_TEST(neighbours_share_a_spread_value) {
    psal_graph *g = psal_graph_new();
    psal_node v = psal_input(g, "v", PSAL_SHAPE(4)), spread = psal_group_spread(g, v, PSAL_SHAPE(4, 100));
    psal_node first = psal_softmax(g, spread), second = psal_mul(g, spread, spread);
    psal_node third = psal_softmax(g, first), fourth = psal_abs(g, spread);
    psal_node last = psal_add(g, psal_add(g, second, third), fourth);
    psal_plan_options options = {.outputs = {&last}, .output_count = {1}, .stages = 1};
    psal_plan *plan = plan_of(g, &options);
    ck_assert_int_eq(count_steps(plan, PSAL_OP_GROUP_SPREAD), 2);
    psal_workspace *ws = workspace_of(plan);
    const float values[] = {100, 200, -300, 400};
    psal_workspace_set(ws, v, values, NULL);
    run(ws, 0);
    for (int i = 0; i < 400; i++) {
        float x = values[i / 100] / 100;
        ck_assert_float_eq_tol(psal_workspace_get(ws, last)[i], x * x + fabsf(x) + 0.01F, 1e-5F);
    }
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* A convolution that needs much scratch memory while few values are kept shares it with those that come later; a small
 * value that was made when the memory was full and is kept to the end is not in its way. */
START_TEST(scratch_lies_where_values_are_not) {
    enum { CHANNELS = 8, SIDE = 32, COUNT = CHANNELS * SIDE * SIDE, KEPT = 40 };
    const size_t large = COUNT * sizeof(float);
    const psal_conv2d_options padded = {.padding_height = 1, .padding_width = 1};
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, CHANNELS, SIDE, SIDE));
    psal_node w = psal_parameter(g, "w", PSAL_SHAPE(CHANNELS, CHANNELS, 3, 3));
    psal_node first = psal_conv2d(g, x, w, &padded), kept[KEPT], outputs[2], sum = PSAL_NO_NODE;
    for (int i = 0; i < KEPT; i++)
        kept[i] = psal_softmax(g, psal_reshape(g, i ? kept[i - 1] : first, PSAL_SHAPE(1, COUNT)));
    outputs[0] = psal_sum(g, kept[KEPT - 1]);
    for (int i = 0; i < KEPT; i++) sum = i ? psal_add(g, sum, kept[i]) : kept[i];
    outputs[1] = psal_sum(g, psal_conv2d(g, psal_reshape(g, sum, PSAL_SHAPE(1, CHANNELS, SIDE, SIDE)), w, &padded));
    psal_plan_options options = {
        .outputs = {outputs}, .output_count = {2}, .stages = 1, .conv = {.method = PSAL_CONV2D_GEMM}};
    psal_plan *plan = plan_of(g, &options);
    psal_convolution *chosen = psal_conv2d_choose(&psal_graph_node(g, first)->attr.conv2d, PSAL_CONV2D_FORWARD,
                                                  options.conv, 1, NULL);
    const size_t scratch = psal_conv2d_scratch(chosen);
    psal_conv2d_free(chosen);
    ck_assert_uint_gt(scratch, 8 * large);
    ck_assert_uint_lt(psal_plan_memory(plan), (KEPT + 3) * large);

    psal_workspace *ws = workspace_of(plan);
    float image[COUNT], filters[CHANNELS * CHANNELS * 9];
    for (int i = 0; i < COUNT; i++) image[i] = 1;
    for (int i = 0; i < CHANNELS * CHANNELS * 9; i++) filters[i] = 1;
    psal_plan_bind(plan, w, filters, NULL);
    for (int round = 0; round < 2; round++) { /* softmax of softmax is nearly even: KEPT / COUNT at every place */
        psal_workspace_set(ws, x, image, NULL);
        run(ws, 0);
        ck_assert_float_eq_tol(*psal_workspace_get(ws, outputs[0]), 1, 1e-4F);
        const double each = *psal_workspace_get(ws, outputs[1]) / (94.0 * 94 * CHANNELS * CHANNELS);
        ck_assert_double_eq_tol(each, (double)KEPT / COUNT, 0.2 * KEPT / COUNT);
    }
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* A lean plan makes pooled values again for their second readers, and the results have the same bits. */
START_TEST(lean_plans_pool_again) {
    enum { LAYERS = 6, SIDE = 24, COUNT = 2 * SIDE * SIDE };
    const psal_pool2d_options smooth = {3, 3, 1, 1, 1, 1, false, false}, halved = {2, 2, 0, 0, 0, 0, false, false};
    float image[COUNT], results[2][2];
    size_t memory[2];
    for (int i = 0; i < COUNT; i++) image[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
    for (int lean = 0; lean < 2; lean++) {
        psal_graph *g = psal_graph_new();
        psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 2, SIDE, SIDE)), pooled[LAYERS], value = x, outputs[2];
        for (int i = 0; i < LAYERS; i++) {
            pooled[i] = psal_avg_pool2d(g, value, &smooth);
            value = psal_mul(g, pooled[i], psal_scale(g, value, 3)); /* each value is kept for the loop below */
        }
        outputs[0] = psal_sum(g, psal_max_pool2d(g, value, &halved));
        for (int i = LAYERS - 1; i >= 0; i--)
            value = psal_add(g, psal_mul(g, value, pooled[i]), i ? psal_graph_node(g, pooled[i])->inputs[0] : x);
        outputs[1] = psal_sum(g, value);
        psal_plan_options options = {.outputs = {outputs}, .output_count = {2}, .stages = 1, .lean = lean};
        psal_plan *plan = plan_of(g, &options);
        ck_assert_int_eq(count_steps(plan, PSAL_OP_AVG_POOL2D), lean ? 2 * LAYERS : LAYERS);
        memory[lean] = psal_plan_memory(plan);
        psal_workspace *ws = workspace_of(plan);
        psal_workspace_set(ws, x, image, NULL);
        run(ws, 0);
        for (int i = 0; i < 2; i++) results[lean][i] = *psal_workspace_get(ws, outputs[i]);
        psal_workspace_free(ws);
        psal_plan_free(plan);
        psal_graph_free(g);
    }
    ck_assert(memcmp(results[0], results[1], sizeof results[0]) == 0);
    ck_assert_float_ne(results[0][1], 0);
    ck_assert_uint_lt(memory[1] + 3 * COUNT * sizeof(float), memory[0]);
}
END_TEST

/* Multiples, shifted and repeated values are made again for later readers, one from the other too; where they are
 * wanted as outputs they are kept. Both give the same bits. */
START_TEST(cheap_values_are_made_again) {
    enum { LAYERS = 6, ROWS = 4, COLUMNS = 1024, COUNT = ROWS * COLUMNS };
    float image[COUNT], results[2];
    const float factors[ROWS] = {0.5F, -1.5F, 2, -0.25F};
    size_t memory[2];
    for (int i = 0; i < COUNT; i++) image[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
    for (int kept = 0; kept < 2; kept++) {
        psal_graph *g = psal_graph_new();
        psal_node x = psal_input(g, "x", PSAL_SHAPE(ROWS, COLUMNS)), v = psal_input(g, "v", PSAL_SHAPE(ROWS, 1));
        psal_node flipped[LAYERS], wide[LAYERS], outputs[1 + 2 * LAYERS], value = x;
        for (int i = 0; i < LAYERS; i++) {
            flipped[i] = psal_shift(g, psal_scale(g, value, -1), 1);
            wide[i] = psal_expand(g, psal_scale(g, v, (psal_real)(i + 1)), PSAL_SHAPE(ROWS, COLUMNS));
            value = psal_softmax(g, psal_mul(g, psal_mul(g, value, flipped[i]), wide[i]));
            outputs[1 + 2 * i] = flipped[i];
            outputs[2 + 2 * i] = wide[i];
        }
        for (int i = LAYERS - 1; i >= 0; i--)
            value = psal_add(g, psal_mul(g, value, flipped[i]), psal_mul(g, value, wide[i]));
        outputs[0] = psal_sum(g, value);
        psal_plan_options options = {.outputs = {outputs}, .output_count = {kept ? 1 + 2 * LAYERS : 1}, .stages = 1};
        psal_plan *plan = plan_of(g, &options);
        ck_assert_int_eq(count_steps(plan, PSAL_OP_SHIFT), kept ? LAYERS : 2 * LAYERS);
        ck_assert_int_ge(count_steps(plan, PSAL_OP_EXPAND), kept ? LAYERS : LAYERS + 1);
        memory[kept] = psal_plan_memory(plan);
        psal_workspace *ws = workspace_of(plan);
        psal_workspace_set(ws, x, image, NULL);
        psal_workspace_set(ws, v, factors, NULL);
        run(ws, 0);
        results[kept] = *psal_workspace_get(ws, outputs[0]);
        psal_workspace_free(ws);
        psal_plan_free(plan);
        psal_graph_free(g);
    }
    ck_assert(memcmp(&results[0], &results[1], sizeof results[0]) == 0);
    ck_assert_float_ne(results[0], 0);
    ck_assert_uint_lt(memory[0] + LAYERS * COUNT * sizeof(float), memory[1]);
}
END_TEST

/* A concatenation grows in place and a slice stays in the whole; a small part to be kept does not keep the whole. */
START_TEST(parts_lie_in_the_whole) {
    enum { LAYERS = 6, PLANE_OF = 1024 };
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 1, 32, 32)), all = psal_scale(g, x, 2);
    for (int i = 0; i < LAYERS; i++)
        all = psal_concat(g, (psal_node[]){all, psal_scale(g, psal_slice(g, all, 1, i, 1), -1)}, 2, 1);
    psal_node most = psal_slice(g, all, 1, 2, LAYERS - 1), few = psal_slice(g, all, 1, 0, 1);
    psal_node sum = psal_channel_sum(g, most);
    psal_node last = psal_add(g, psal_channel_sum(g, few), psal_channel_sum(g, x));
    psal_plan_options options = {.outputs = {&sum, &last}, .output_count = {1, 1}, .stages = 2};
    psal_plan *plan = plan_of(g, &options);
    const size_t begin = plan->offset[psal_plan_node(plan, all)];
    ck_assert_uint_eq(plan->offset[psal_plan_node(plan, most)], begin + 2 * PLANE_OF * sizeof(float));
    ck_assert_uint_ne(plan->offset[psal_plan_node(plan, few)], begin);
    ck_assert_uint_le(psal_plan_memory(plan), (LAYERS + 2) * PLANE_OF * sizeof(float) + 4 * PSAL_ALIGNMENT);
    psal_workspace *ws = workspace_of(plan);
    float values[PLANE_OF];
    double total = 0;
    for (int i = 0; i < PLANE_OF; i++) total += values[i] = (float)(i % 7);
    psal_workspace_set(ws, x, values, NULL);
    run(ws, 0);
    run(ws, 1);
    for (int i = 0; i < LAYERS - 1; i++) ck_assert_double_eq(psal_workspace_get(ws, sum)[i], (i % 2 ? -2 : 2) * total);
    ck_assert_double_eq(*psal_workspace_get(ws, last), 3 * total);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* ---- the examples at the beginning of engine/plan_*.c ---- */

static void check_order(const psal_plan *plan, const psal_node *order, int count) {
    ck_assert_int_eq(plan->step_count, count);
    for (int step = 0; step < count; step++)
        ck_assert_int_eq(plan->steps[step].node, psal_plan_node(plan, order[step]));
}

START_TEST(examples_of_the_schedule) {
    const psal_shape w = PSAL_SHAPE(4, 8, 3, 3);
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 8, 6, 6)), y = psal_input(g, "y", PSAL_SHAPE(1, 4, 4, 4));
    psal_node z = psal_abs(g, y);
    psal_node dw1 = psal_conv2d_weight_gradient(g, x, y, w, NULL), dw2 = psal_conv2d_weight_gradient(g, x, z, w, NULL);
    psal_node mean1 = psal_group_mean_abs(g, dw1, 4), mean2 = psal_group_mean_abs(g, dw2, 4),
              signs1 = psal_ternary_codes(g, dw1);
    psal_node means[] = {mean1, mean2};
    psal_plan *plan = plan_of(
        g, &(psal_plan_options){
               .outputs = {means, &signs1}, .output_count = {2, 1}, .stages = 2, .without_rewrites = PSAL_REWRITE_ALL});
    check_order(plan, (psal_node[]){z, dw1, mean1, signs1, dw2, mean2}, 6);
    ck_assert_int_eq(plan->stage_begin[1], 6);
    psal_plan_free(plan);

    psal_node image = psal_input(g, "image", PSAL_SHAPE(1, 4, 6, 6)), v = psal_input(g, "v", PSAL_SHAPE(4));
    const psal_conv2d_options padded = {.padding_height = 1, .padding_width = 1};
    psal_node s = psal_group_spread(g, v, PSAL_SHAPE(4, 4, 3, 3)), a = psal_conv2d(g, image, s, &padded);
    psal_node b = psal_conv2d(g, a, s, &padded), c = psal_relu(g, b), d = psal_conv2d(g, c, s, &padded);
    plan = plan_of(g, &(psal_plan_options){.outputs = {&d}, .output_count = {1}, .stages = 1});
    check_order(plan, (psal_node[]){s, a, b, c, s, d}, 6);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

START_TEST(example_of_a_pass) {
    const psal_shape image = PSAL_SHAPE(1, 3, 20, 20);
    psal_graph *g = psal_graph_new();
    psal_node dy = psal_input(g, "dy", image), y = psal_input(g, "y", image);
    psal_node variance = psal_parameter(g, "variance", PSAL_SHAPE(3)),
              gamma = psal_parameter(g, "gamma", PSAL_SHAPE(3));
    psal_node m = psal_relu_mask(g, dy, y), r = psal_rsqrt(g, variance, 1e-3), s = psal_mul(g, gamma, r);
    psal_node d = psal_channel_mul(g, m, s);
    psal_plan *plan = plan_of(g, &(psal_plan_options){.outputs = {&d}, .output_count = {1}, .stages = 1});
    check_order(plan, (psal_node[]){r, s, m, d}, 4);
    const int follow[] = {1, 0, 1, 0};
    for (int step = 0; step < 4; step++) ck_assert_int_eq(plan->steps[step].follow, follow[step]);
    ck_assert_uint_eq(plan->steps[2].offset, plan->steps[3].offset); /* d takes over m's memory */
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

START_TEST(example_of_the_layout) {
    enum { SIDE = 512 }; /* 512 x 512 floats are 1 MiB */
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 1, SIDE, SIDE)), w = psal_parameter(g, "w", PSAL_SHAPE(1, 1, 1, 1));
    psal_node value = x, chain[4];
    for (int i = 0; i < 4; i++) value = chain[i] = psal_conv2d(g, value, w, NULL);
    psal_plan *plan = plan_of(g, &(psal_plan_options){.outputs = {&value}, .output_count = {1}, .stages = 1});
    check_order(plan, chain, 4);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(plan->steps[i].offset, i % 2 ? 1 << 20 : 0);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/plan");
    TCase *tests = tcase_create("plan");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, stages_continue_and_outputs_stay);
    tcase_add_test(tests, stages_out_of_order_are_refused);
    tcase_add_test(tests, unbound_leaves_are_named);
    tcase_add_test(tests, impossible_plans_are_refused);
    tcase_add_test(tests, memory_is_reused);
    tcase_add_test(tests, last_readers_do_not_wait);
    tcase_add_test(tests, spread_values_are_made_again);
    tcase_add_test(tests, neighbours_share_a_spread_value);
    tcase_add_test(tests, scratch_lies_where_values_are_not);
    tcase_add_test(tests, lean_plans_pool_again);
    tcase_add_test(tests, cheap_values_are_made_again);
    tcase_add_test(tests, examples_of_the_schedule);
    tcase_add_test(tests, example_of_a_pass);
    tcase_add_test(tests, example_of_the_layout);
    tcase_add_test(tests, parts_lie_in_the_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
