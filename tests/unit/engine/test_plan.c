/* Tests engine/plan.h: stages, bindings, memory, and that planning never changes a value. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"

static psal_plan *plan_of(const psal_graph *g, const psal_plan_options *options)
{
    psal_error err = PSAL_ERROR_INIT;
    psal_plan *plan = psal_plan_new(g, options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    return plan;
}

static psal_workspace *workspace_of(const psal_plan *plan)
{
    psal_error err = PSAL_ERROR_INIT;
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_msg(ws != NULL, "%s", err.message);
    return ws;
}

static void run(psal_workspace *ws, int stage)
{
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_workspace_run(ws, stage, &err) == PSAL_OK, "%s", err.message);
}

static void refuse(psal_workspace *ws, int stage, const char *message)
{
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

static staged make_staged(void)
{
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

static void staged_free(staged *s)
{
    psal_workspace_free(s->ws);
    psal_plan_free(s->plan);
    psal_graph_free(s->g);
}

START_TEST(stages_continue_and_outputs_stay)
{
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

START_TEST(stages_out_of_order_are_refused)
{
    staged s = make_staged();
    float x[40] = {0};
    psal_workspace_set(s.ws, s.x, x, NULL);
    psal_workspace_set(s.ws, s.y, x, NULL);
    const struct {
        int run, refused, done;
    } steps[] = {{-1, 1, 0}, {-1, 2, 0}, {-1, 3, 0}, {-1, -1, 0}, {0, 2, 1}, {1, 1, 2}, {-1, 3, 2}, {2, 2, 3}, {0, 2, 1}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char message[128];
        if (steps[i].run >= 0) run(s.ws, steps[i].run);
        snprintf(message, sizeof message, "stage %d cannot run now: the plan has 3 stages, of which %d have run since the first",
                 steps[i].refused, steps[i].done);
        refuse(s.ws, steps[i].refused, message);
    }
    staged_free(&s);
}
END_TEST

START_TEST(unbound_leaves_are_named)
{
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

START_TEST(impossible_plans_are_refused)
{
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
START_TEST(memory_is_reused)
{
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

/* What spreads little over much is made for each reader and not kept between them; a large value that leaves only a code and
 * a mean behind is gone before the next one is made, even when the code is for a later stage. */
START_TEST(spread_values_are_made_again)
{
    enum { ROWS_OF = 8, LONG = 4096, LAYERS = 10 };
    const size_t large = LONG * sizeof(float);
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(ROWS_OF, LONG / ROWS_OF)), v = psal_input(g, "v", PSAL_SHAPE(ROWS_OF));
    psal_node means[LAYERS], spread[LAYERS], last = PSAL_NO_NODE;
    for (int i = 0; i < LAYERS; i++) {
        psal_node value = psal_scale(g, x, i - 4.5);
        means[i] = psal_group_mean_abs(g, value, ROWS_OF);
        spread[i] = psal_group_sign_spread(g, psal_sign_codes(g, value), v, PSAL_SHAPE(ROWS_OF, LONG / ROWS_OF));
        last = i == 0 ? psal_sum(g, spread[i]) : psal_add(g, last, psal_sum(g, spread[i]));
    }
    for (int i = 0; i < LAYERS; i++) last = psal_add(g, last, psal_sum(g, psal_abs(g, spread[i]))); /* the second readers */
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
            double row = LONG / ROWS_OF, value = values[k] * (i - 4.5), spread_value = factors[k / (LONG / ROWS_OF)] / row;
            if (value != 0) want += (value > 0 ? spread_value : -spread_value) + spread_value;
        }
    ck_assert_double_eq_tol(*psal_workspace_get(ws, last), want, 1e-4 * fabs(want));
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

static int count_steps(const psal_plan *plan, psal_op_kind op)
{
    int count = 0;
    for (int step = 0; step < plan->step_count; step++)
        count += psal_graph_node(plan->graph, plan->steps[step].node)->op == op;
    return count;
}

/* Two readers one right after the other read the same copy; another one in between makes it two. */
START_TEST(neighbours_share_a_spread_value)
{
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

/* A concatenation grows in place and a slice stays in the whole; a small part to be kept does not keep the whole. */
START_TEST(parts_lie_in_the_whole)
{
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
    ck_assert_uint_eq(plan->offset[most], plan->offset[all] + 2 * PLANE_OF * sizeof(float));
    ck_assert_uint_ne(plan->offset[few], plan->offset[all]);
    ck_assert_uint_le(psal_plan_memory(plan), (LAYERS + 2) * PLANE_OF * sizeof(float) + 4 * PSAL_ALIGNMENT);
    psal_workspace *ws = workspace_of(plan);
    float values[PLANE_OF];
    double total = 0;
    for (int i = 0; i < PLANE_OF; i++) total += values[i] = (float)(i % 7);
    psal_workspace_set(ws, x, values, NULL);
    run(ws, 0);
    run(ws, 1);
    for (int i = 0; i < LAYERS - 1; i++)
        ck_assert_double_eq(psal_workspace_get(ws, sum)[i], (i % 2 ? -2 : 2) * total);
    ck_assert_double_eq(*psal_workspace_get(ws, last), 3 * total);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

/* ---- elementwise steps in one pass ---- */

/* The same plan with a pass for each step. */
static psal_plan *separate_plan(const psal_graph *g, const psal_plan_options *options)
{
    psal_plan *plan = plan_of(g, options);
    for (int step = 0; step < plan->step_count; step++) plan->steps[step].follow = 0;
    return plan;
}

static int longest_pass(const psal_plan *plan)
{
    int longest = 0;
    for (int step = 0; step < plan->step_count; step++)
        if (plan->steps[step].follow >= longest) longest = plan->steps[step].follow + 1;
    return longest;
}

/* What a gradient does between two convolutions, on several pieces: add, mask, add, and scale by what is made of parameters
 * in between; a value inside the pass is read later too. Then the mean of a filter with its signs. */
START_TEST(a_gradient_takes_one_pass_between_convolutions)
{
    enum { C = 5, SIDE = 83, COUNT = C * SIDE * SIDE };
    const psal_shape image = PSAL_SHAPE(1, C, SIDE, SIDE);
    psal_graph *g = psal_graph_new();
    psal_node in[4], vectors[2];
    for (int i = 0; i < 4; i++) in[i] = psal_input(g, "image", image);
    for (int i = 0; i < 2; i++) vectors[i] = psal_input(g, "vector", PSAL_SHAPE(C));
    psal_node masked = psal_relu_mask(g, psal_add(g, psal_scale(g, in[0], 2), in[1]), in[2]), sum = psal_add(g, masked, in[3]);
    psal_node scaled = psal_channel_mul(g, sum, psal_mul(g, vectors[0], psal_rsqrt(g, vectors[1], 1e-3)));
    psal_node mean = psal_group_mean_abs(g, scaled, C), codes = psal_sign_codes(g, scaled);
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
        found += plans[0]->steps[step].node == mean && plans[0]->steps[step].follow == 1;
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

enum { IMAGES = 2, CHANNELS = 3, PLANE = 20, VALUES = IMAGES * CHANNELS * PLANE, FINALS = 5 };

typedef struct block {
    psal_graph *g;
    psal_node a, b, per_channel[4], norm, finals[FINALS], inner[8];
    int inner_count;
    float values[2][VALUES], numbers[4][CHANNELS];
} block;

static psal_node keep_inner(block *k, psal_node n)
{
    return k->inner[k->inner_count++] = n;
}

static block make_block(void)
{
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

static psal_workspace *open_block(const block *k, const psal_plan *plan)
{
    psal_workspace *ws = workspace_of(plan);
    psal_workspace_set(ws, k->a, k->values[0], NULL);
    psal_workspace_set(ws, k->b, k->values[1], NULL);
    for (int i = 0; i < 4; i++) psal_workspace_set(ws, k->per_channel[i], k->numbers[i], NULL);
    return ws;
}

START_TEST(one_pass_gives_the_bits_of_several)
{
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
    ck_assert_int_eq(psal_workspace_place(one, k.norm, elsewhere, NULL), PSAL_ERR_ARGUMENT); /* no output of this plan */
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

/* Two workspaces in the same memory, one after the other */
START_TEST(workspaces_share_memory)
{
    block k = make_block();
    psal_plan_options options = {.outputs = {k.finals}, .output_count = {FINALS}, .stages = 1};
    psal_plan *plan = plan_of(k.g, &options);
    psal_error err = PSAL_ERROR_INIT;
    void *memory = psal_workspace_memory(psal_plan_memory(plan));
    psal_workspace *ws[2];
    float kept[2][VALUES];
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(ws[i] = psal_workspace_new_in(plan, memory, &err));
        psal_workspace_set(ws[i], k.a, k.values[i], NULL);
        psal_workspace_set(ws[i], k.b, k.values[0], NULL);
        for (int c = 0; c < 4; c++) psal_workspace_set(ws[i], k.per_channel[c], k.numbers[c], NULL);
        ck_assert_int_eq(psal_workspace_place(ws[i], k.finals[0], kept[i], NULL), PSAL_OK);
    }
    for (int i = 0; i < 2; i++) run(ws[i], 0);
    psal_workspace *alone = open_block(&k, plan);
    psal_workspace_set(alone, k.b, k.values[0], NULL);
    for (int i = 0; i < 2; i++) {
        psal_workspace_set(alone, k.a, k.values[i], NULL);
        run(alone, 0);
        ck_assert_mem_eq(psal_workspace_get(alone, k.finals[0]), kept[i], sizeof kept[i]);
        psal_workspace_free(ws[i]);
    }
    psal_workspace_free(alone);
    free(memory);
    psal_plan_free(plan);
    psal_graph_free(k.g);
}
END_TEST

/* ---- random graphs: whatever is wanted as an output, the numbers are the same ---- */

enum { NODES = 60, ROWS = 4, COLUMNS = 1234 }; /* several pieces of a pass */

static int pick(uint64_t *state, int n)
{
    return (int)case_uniform(state, 0, n);
}

/* Nodes of shape [ROWS, COLUMNS], made from random earlier ones by in-place, out-of-place and view operations. */
static int random_graph(psal_graph *g, uint64_t *state, psal_node *nodes)
{
    int count = 0;
    psal_shape shape = PSAL_SHAPE(ROWS, COLUMNS);
    nodes[count++] = psal_input(g, "a", shape);
    nodes[count++] = psal_input(g, "b", shape);
    while (count < NODES) {
        /* mostly recent nodes, so that values die early and their memory is taken over */
        psal_node a = nodes[pick(state, 3) ? count - 1 - pick(state, count < 5 ? count : 5) : pick(state, count)];
        psal_node b = nodes[pick(state, 3) ? count - 1 - pick(state, count < 5 ? count : 5) : pick(state, count)], n;
        switch (pick(state, 14)) {
        case 0: n = psal_add(g, a, b); break;
        case 1: n = psal_sub(g, a, b); break;
        case 2: n = psal_scale(g, psal_mul(g, a, b), 0.5); break;
        case 3: n = psal_relu_mask(g, a, b); break;
        case 4: n = psal_scale(g, psal_abs(g, a), -0.75); break;
        case 5: n = psal_reshape(g, psal_relu(g, psal_reshape(g, a, PSAL_SHAPE(COLUMNS, ROWS))), shape); break;
        case 6: n = psal_reshape(g, psal_reshape(g, a, PSAL_SHAPE(ROWS * COLUMNS)), shape); break;
        case 7: n = psal_row_spread(g, psal_row_sum(g, psal_scale(g, a, 1.2 / COLUMNS)), COLUMNS); break;
        case 8: n = psal_channel_affine(g, a, psal_channel_sum(g, psal_scale(g, b, 0.1)), psal_channel_sum(g, a)); break;
        case 9: n = psal_softmax(g, a); break;
        case 10: n = psal_unslice(g, psal_slice(g, a, 1, 2, 3), 1, 1, COLUMNS); break;
        case 11: n = psal_concat(g, (psal_node[]){psal_slice(g, a, 0, 1, 2), psal_slice(g, b, 0, 0, 1), psal_slice(g, b, 0, 3, 1)}, 3, 0); break;
        case 12: n = psal_slice(g, psal_concat(g, (psal_node[]){a, psal_relu(g, b), a}, 3, 0), 0, pick(state, 2 * ROWS), ROWS); break;
        default: n = psal_group_sign_spread(g, psal_sign_codes(g, a), psal_group_mean(g, b, ROWS), shape); break;
        }
        nodes[count++] = n;
    }
    return count;
}

static psal_workspace *run_random(const psal_plan *plan, const psal_node *nodes, const float *a, const float *b)
{
    psal_workspace *ws = workspace_of(plan);
    ck_assert_int_eq(psal_workspace_set(ws, nodes[0], a, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, nodes[1], b, NULL), PSAL_OK);
    for (psal_node n = 0; n < plan->nodes; n++) /* NaN all over the arena */
        if (plan->is_output[n] && plan->offset[n] != SIZE_MAX) {
            memset((char *)(uintptr_t)psal_workspace_get(ws, n) - plan->offset[n], 0xFF, psal_plan_memory(plan));
            break;
        }
    for (int stage = 0; stage < plan->stages; stage++) run(ws, stage);
    return ws;
}

START_TEST(planning_changes_no_value)
{
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
                    ck_assert_msg(memcmp(psal_workspace_get(ws, wanted[s][k]), psal_workspace_get(reference, wanted[s][k]),
                                         sizeof a) == 0,
                                  "seed %d: node %d (%s) of stage %d differs", (int)state, wanted[s][k],
                                  psal_graph_op_name(g, wanted[s][k]), s);
            ck_assert_uint_le(psal_plan_memory(plan), psal_plan_memory(full));
            psal_workspace_free(ws);
            psal_plan_free(plan);
        }
        for (int i = 0; i < ROWS * COLUMNS; i++) ck_assert(isfinite(psal_workspace_get(reference, nodes[NODES - 1])[i]));
        psal_workspace_free(reference);
        psal_plan_free(full);
        psal_graph_free(g);
        free(all);
    }
}
END_TEST

/* ---- a small network with its gradient: steady state and timings ---- */

typedef struct network {
    psal_graph *g;
    psal_node x, w, loss, dw, dx;
    psal_plan *plan;
    psal_workspace *ws;
    float image[2 * 3 * 16 * 16], weight[8 * 3 * 3 * 3];
} network;

static network *make_network(int threads)
{
    network *n = calloc(1, sizeof *n);
    n->g = psal_graph_new();
    n->x = psal_input(n->g, "x", PSAL_SHAPE(2, 3, 16, 16));
    n->w = psal_parameter(n->g, "w", PSAL_SHAPE(8, 3, 3, 3));
    psal_graph_set_layer(n->g, "conv");
    psal_node y = psal_conv2d(n->g, n->x, n->w, &(psal_conv2d_options){.padding_height = 1, .padding_width = 1});
    psal_graph_set_layer(n->g, "loss");
    n->loss = psal_sum(n->g, psal_mul(n->g, psal_relu(n->g, y), y));
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

static void network_free(network *n)
{
    psal_workspace_free(n->ws);
    psal_plan_free(n->plan);
    psal_graph_free(n->g);
    free(n);
}

/* Count every allocation of the process: these definitions come before the C library's (glibc, which keeps its own under
 * these names). Under the address sanitizer, which does the same, nothing is counted. */
static _Atomic long allocations;

#if !defined(__SANITIZE_ADDRESS__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocations++;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : 12; /* ENOMEM */
}
#endif

START_TEST(running_again_allocates_nothing)
{
    network *n = make_network(_i);
    run(n->ws, 0);
    run(n->ws, 1); /* OpenMP and OpenBLAS have made their threads and buffers */
    long before = allocations;
    bool good = true; /* no assertions in between: Check allocates in them */
    for (int i = 0; i < 5; i++)
        for (int stage = 0; stage < 2; stage++) good &= psal_workspace_run(n->ws, stage, NULL) == PSAL_OK;
    long during = allocations - before;
    ck_assert(good);
    ck_assert_int_eq(during, 0);
#if !defined(__SANITIZE_ADDRESS__)
    ck_assert_int_gt(before, 0); /* the counter counts */
#endif
    network_free(n);
}
END_TEST

START_TEST(running_again_gives_the_same_bits)
{
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

START_TEST(timings_name_the_steps)
{
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
            } else if (strcmp(t[i].op, "conv2d_dw") == 0) {
                dw++;
                ck_assert_str_eq(t[i].layer, "conv");
                ck_assert_int_eq(t[i].stage, 1);
                ck_assert_double_eq(t[i].flops, products);
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

int main(void)
{
    Suite *suite = suite_create("engine/plan");
    TCase *tests = tcase_create("plan");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, stages_continue_and_outputs_stay);
    tcase_add_test(tests, stages_out_of_order_are_refused);
    tcase_add_test(tests, unbound_leaves_are_named);
    tcase_add_test(tests, impossible_plans_are_refused);
    tcase_add_test(tests, memory_is_reused);
    tcase_add_test(tests, spread_values_are_made_again);
    tcase_add_test(tests, neighbours_share_a_spread_value);
    tcase_add_test(tests, parts_lie_in_the_whole);
    tcase_add_loop_test(tests, a_gradient_takes_one_pass_between_convolutions, 0, 2);
    tcase_add_test(tests, one_pass_gives_the_bits_of_several);
    tcase_add_test(tests, workspaces_share_memory);
    tcase_add_loop_test(tests, planning_changes_no_value, 0, 4);
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
