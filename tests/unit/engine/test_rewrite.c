/* Tests engine/rewrite_rules.c: each rewrite alone, by its graph before, its graph after and the values of both; and
 * what looks like its pattern but is not. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

enum { MOST_INPUTS = 4, MOST_OUTPUTS = 3 };

/* In the place of psal_conv2d_takes_ternary, which depends on the processor: from 64 filters on. (What a processor does
 * not take is decoded.) */
bool __wrap_psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor);
bool __wrap_psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor) {
    (void)processor;
    return s->out_channels >= 64;
}

/* ---- a node as text: op(inputs), leaves by their name ---- */

static void write_node(const psal_graph *graph, psal_node n, char *text, size_t size) {
    const psal_node_record *node = psal_graph_node(graph, n);
    const size_t begin = strlen(text);
    const char *name = node->name ? node->name : psal_op_kind_name(node->op);
    snprintf(text + begin, size - begin, "%s%s", name, node->input_count ? "(" : "");
    for (int i = 0; i < node->input_count; i++) {
        write_node(graph, node->inputs[i], text, size);
        ck_assert_uint_lt(strlen(text) + 3, size);
        strcat(text, i + 1 < node->input_count ? ", " : ")");
    }
}

/* ---- the graphs: inputs are named a, b, c and d, results stand in outputs[] ---- */

typedef struct graph_case {
    const char *name;
    unsigned rewrite;
    void (*build)(psal_graph *g, const psal_node *in, psal_node *outputs);
    psal_shape inputs[MOST_INPUTS];
    const char *before[MOST_OUTPUTS], *after[MOST_OUTPUTS]; /* no `after`: as before */
} graph_case;

static const psal_conv2d_options padded = {.padding_height = 1, .padding_width = 1};
static const psal_pool2d_options halved = {.kernel_height = 2, .kernel_width = 2},
                                 smooth = {3, 3, 2, 2, 1, 1, false, false};

/* PSAL_REWRITE_FILTER_MEAN: a is an image, b the gradient of what a convolution makes of it */
static psal_node gradient_of_filters(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(4, 3, 3, 3), &padded);
}
static void mean_of_magnitudes(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_group_mean_abs(g, gradient_of_filters(g, in), 4);
}
static void signed_mean(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_group_mean(g, gradient_of_filters(g, in), 4);
}
static void mean_of_all_filters(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_group_mean_abs(g, gradient_of_filters(g, in), 1);
}
static void mean_and_codes(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node dw = gradient_of_filters(g, in);
    outputs[0] = psal_group_mean_abs(g, dw, 4);
    outputs[1] = psal_group_ternary_spread(g, psal_ternary_codes(g, dw), outputs[0], PSAL_SHAPE(4, 3, 3, 3));
}
static void mean_and_gradient(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = gradient_of_filters(g, in);
    outputs[1] = psal_group_mean_abs(g, outputs[0], 4);
}

/* PSAL_REWRITE_TERNARY_FILTERS: a is an image or a gradient, b what filters have the signs of, c a number for each
 * filter */
static void convolve_ternary(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node w = psal_group_ternary_spread(g, psal_ternary_codes(g, in[1]), in[2], *psal_graph_shape(g, in[1]));
    outputs[0] = psal_conv2d_output_gradient(g, in[0], w, &padded);
    outputs[1] = psal_conv2d_input_gradient(g, in[0], w, *psal_graph_shape(g, in[0]), &padded);
}
static void convolve_ternary_of_halves(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node w = psal_group_ternary_spread(g, psal_ternary_codes(g, in[1]), in[2], *psal_graph_shape(g, in[1]));
    outputs[0] = psal_conv2d_output_gradient(g, in[0], w, &padded);
}
static void forward_ternary(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node w = psal_group_ternary_spread(g, psal_ternary_codes(g, in[1]), in[2], *psal_graph_shape(g, in[1]));
    outputs[0] = psal_conv2d(g, in[0], w, &padded);
}

/* PSAL_REWRITE_ADJACENT_PARTS */
static psal_node part(psal_graph *g, psal_node x, int64_t offset) {
    return psal_unslice(g, x, 1, offset, 6);
}
static void all_parts(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_add(g, psal_add(g, part(g, in[1], 2), part(g, in[2], 4)), part(g, in[0], 0));
}
static void two_parts(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_add(g, part(g, in[1], 3), part(g, in[0], 1));
}
static void parts_apart(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_add(g, part(g, in[0], 0), part(g, in[1], 3));
}
static void parts_that_overlap(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_add(g, part(g, in[0], 0), part(g, in[1], 1));
}
static void part_and_whole(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_add(g, part(g, in[0], 0), in[1]);
}

/* PSAL_REWRITE_MAXIMUM_BEFORE_RELU: a is an image, b a gradient of what is pooled, c one of the image */
static void pool_relu(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_max_pool2d(g, psal_relu(g, in[0]), &halved);
}
static void pool_relu_twice_differentiated(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]), i = psal_max_pool2d_index(g, r, &smooth);
    outputs[0] = psal_pool_gather(g, r, i);
    outputs[1] = psal_relu_mask(g, psal_pool_scatter(g, in[1], i, *psal_graph_shape(g, r)), r);
    outputs[2] = psal_pool_gather(g, psal_relu_mask(g, in[2], r), i);
}
static void relu_read_elsewhere(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]);
    outputs[0] = psal_max_pool2d(g, r, &halved);
    outputs[1] = psal_scale(g, r, 2);
}
static void relu_wanted(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_relu(g, in[0]);
    outputs[1] = psal_max_pool2d(g, outputs[0], &halved);
}
static void place_wanted(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]);
    outputs[0] = psal_max_pool2d_index(g, r, &halved);
    outputs[1] = psal_pool_gather(g, r, outputs[0]);
}
static void gather_of_another(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]), i = psal_max_pool2d_index(g, r, &halved);
    outputs[0] = psal_pool_gather(g, r, i);
    outputs[1] = psal_pool_gather(g, in[2], i);
}
static void scatter_without_mask(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]), i = psal_max_pool2d_index(g, r, &halved);
    outputs[0] = psal_pool_gather(g, r, i);
    outputs[1] = psal_pool_scatter(g, in[1], i, *psal_graph_shape(g, r));
}
static void scatter_read_twice(psal_graph *g, const psal_node *in, psal_node *outputs) {
    psal_node r = psal_relu(g, in[0]), i = psal_max_pool2d_index(g, r, &halved);
    psal_node scattered = psal_pool_scatter(g, in[1], i, *psal_graph_shape(g, r));
    outputs[0] = psal_pool_gather(g, r, i);
    outputs[1] = psal_relu_mask(g, scattered, r);
    outputs[2] = psal_scale(g, scattered, 2);
}
static void places_given(psal_graph *g, const psal_node *in, psal_node *outputs) {
    outputs[0] = psal_pool_gather(g, psal_relu(g, in[0]), in[1]);
}

#define DW "conv2d_dw(a, b)"
#define SPREAD "group_ternary_spread(ternary_codes(b), c)"
#define PLACE "max_pool2d_index(relu(a))"
#define OUTSIDE "relu(pool_gather(a, max_pool2d_index(a)))"

static const graph_case cases[] = {
    {"mean of |dw|",
     PSAL_REWRITE_FILTER_MEAN,
     mean_of_magnitudes,
     {PSAL_DIMS(1, 3, 5, 6), PSAL_DIMS(1, 4, 5, 6)},
     {"group_mean_abs(" DW ")"},
     {"conv2d_dw_mean(a, b)"}},
    {"mean of dw",
     PSAL_REWRITE_FILTER_MEAN,
     signed_mean,
     {PSAL_DIMS(1, 3, 5, 6), PSAL_DIMS(1, 4, 5, 6)},
     {"group_mean(" DW ")"},
     {"conv2d_dw_mean(a, b)"}},
    {"one mean of all filters",
     PSAL_REWRITE_FILTER_MEAN,
     mean_of_all_filters,
     {PSAL_DIMS(1, 3, 5, 6), PSAL_DIMS(1, 4, 5, 6)},
     {"group_mean_abs(" DW ")"},
     {NULL}},
    {"codes are needed too",
     PSAL_REWRITE_FILTER_MEAN,
     mean_and_codes,
     {PSAL_DIMS(1, 3, 5, 6), PSAL_DIMS(1, 4, 5, 6)},
     {"group_mean_abs(" DW ")", "group_ternary_spread(ternary_codes(" DW "), group_mean_abs(" DW "))"},
     {NULL}},
    {"dw is wanted too",
     PSAL_REWRITE_FILTER_MEAN,
     mean_and_gradient,
     {PSAL_DIMS(1, 3, 5, 6), PSAL_DIMS(1, 4, 5, 6)},
     {DW, "group_mean_abs(" DW ")"},
     {NULL}},

    {"ternary filters",
     PSAL_REWRITE_TERNARY_FILTERS,
     convolve_ternary,
     {PSAL_DIMS(1, 64, 6, 6), PSAL_DIMS(64, 64, 3, 3), PSAL_DIMS(64)},
     {"conv2d_dy(a, " SPREAD ")", "conv2d_dx(a, " SPREAD ")"},
     {"conv2d_ternary(a, ternary_codes(b), c)", "conv2d_ternary_dx(a, ternary_codes(b), c)"}},
    {"ternary filters that are slower as such",
     PSAL_REWRITE_TERNARY_FILTERS,
     convolve_ternary,
     {PSAL_DIMS(1, 32, 6, 6), PSAL_DIMS(32, 32, 3, 3), PSAL_DIMS(32)},
     {"conv2d_dy(a, " SPREAD ")", "conv2d_dx(a, " SPREAD ")"},
     {NULL}},
    {"a number for two filters",
     PSAL_REWRITE_TERNARY_FILTERS,
     convolve_ternary_of_halves,
     {PSAL_DIMS(1, 64, 6, 6), PSAL_DIMS(64, 64, 3, 3), PSAL_DIMS(32)},
     {"conv2d_dy(a, " SPREAD ")"},
     {NULL}},
    {"a forward pass",
     PSAL_REWRITE_TERNARY_FILTERS,
     forward_ternary,
     {PSAL_DIMS(1, 64, 6, 6), PSAL_DIMS(64, 64, 3, 3), PSAL_DIMS(64)},
     {"conv2d(a, " SPREAD ")"},
     {NULL}},

    {"three parts are the whole",
     PSAL_REWRITE_ADJACENT_PARTS,
     all_parts,
     {PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 2, 3, 2)},
     {"add(add(unslice(b), unslice(c)), unslice(a))"},
     {"concat(a, concat(b, c))"}},
    {"two of them",
     PSAL_REWRITE_ADJACENT_PARTS,
     two_parts,
     {PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 2, 3, 2)},
     {"add(unslice(b), unslice(a))"},
     {"unslice(concat(a, b))"}},
    {"something is between",
     PSAL_REWRITE_ADJACENT_PARTS,
     parts_apart,
     {PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 2, 3, 2)},
     {"add(unslice(a), unslice(b))"},
     {NULL}},
    {"they overlap",
     PSAL_REWRITE_ADJACENT_PARTS,
     parts_that_overlap,
     {PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 2, 3, 2)},
     {"add(unslice(a), unslice(b))"},
     {NULL}},
    {"one is the whole",
     PSAL_REWRITE_ADJACENT_PARTS,
     part_and_whole,
     {PSAL_DIMS(2, 2, 3, 2), PSAL_DIMS(2, 6, 3, 2)},
     {"add(unslice(a), b)"},
     {NULL}},

    {"a pooled ReLU",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     pool_relu,
     {PSAL_DIMS(2, 3, 8, 10)},
     {"pool_gather(relu(a), " PLACE ")"},
     {OUTSIDE}},
    {"its derivatives",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     pool_relu_twice_differentiated,
     {PSAL_DIMS(2, 3, 8, 10), PSAL_DIMS(2, 3, 4, 5), PSAL_DIMS(2, 3, 8, 10)},
     {"pool_gather(relu(a), " PLACE ")", "relu_mask(pool_scatter(b, " PLACE "), relu(a))",
      "pool_gather(relu_mask(c, relu(a)), " PLACE ")"},
     {OUTSIDE, "pool_scatter(relu_mask(b, " OUTSIDE "), max_pool2d_index(a))",
      "relu_mask(pool_gather(c, max_pool2d_index(a)), " OUTSIDE ")"}},
    {"the ReLU is read elsewhere",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     relu_read_elsewhere,
     {PSAL_DIMS(2, 3, 8, 10)},
     {"pool_gather(relu(a), " PLACE ")", "scale(relu(a))"},
     {NULL}},
    {"the ReLU is wanted",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     relu_wanted,
     {PSAL_DIMS(2, 3, 8, 10)},
     {"relu(a)", "pool_gather(relu(a), " PLACE ")"},
     {NULL}},
    {"the place is wanted",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     place_wanted,
     {PSAL_DIMS(2, 3, 8, 10)},
     {PLACE, "pool_gather(relu(a), " PLACE ")"},
     {NULL}},
    {"another is read there",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     gather_of_another,
     {PSAL_DIMS(2, 3, 8, 10), PSAL_DIMS(1), PSAL_DIMS(2, 3, 8, 10)},
     {"pool_gather(relu(a), " PLACE ")", "pool_gather(c, " PLACE ")"},
     {NULL}},
    {"no mask behind the scatter",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     scatter_without_mask,
     {PSAL_DIMS(2, 3, 8, 10), PSAL_DIMS(2, 3, 4, 5)},
     {"pool_gather(relu(a), " PLACE ")", "pool_scatter(b, " PLACE ")"},
     {NULL}},
    {"the scattered values are read twice",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     scatter_read_twice,
     {PSAL_DIMS(2, 3, 8, 10), PSAL_DIMS(2, 3, 4, 5)},
     {"pool_gather(relu(a), " PLACE ")", "relu_mask(pool_scatter(b, " PLACE "), relu(a))",
      "scale(pool_scatter(b, " PLACE "))"},
     {NULL}},
    {"places from outside",
     PSAL_REWRITE_MAXIMUM_BEFORE_RELU,
     places_given,
     {PSAL_DIMS(2, 3, 8, 10), PSAL_DIMS(2, 3, 4, 5)},
     {"pool_gather(relu(a), b)"},
     {NULL}},
};

typedef struct built {
    psal_graph *g;
    psal_node in[MOST_INPUTS], outputs[MOST_OUTPUTS];
    int input_count, output_count;
    float values[MOST_INPUTS][64 * 64 * 9];
} built;

static void build(const graph_case *c, built *b) {
    uint64_t state = 11;
    psal_error err = PSAL_ERROR_INIT;
    memset(b, 0, sizeof *b);
    b->g = psal_graph_new();
    for (; b->input_count < MOST_INPUTS && c->inputs[b->input_count].ndim > 0; b->input_count++) {
        const int i = b->input_count;
        b->in[i] = psal_input(b->g, (const char[]){(char)('a' + i), 0}, c->inputs[i]);
        for (int64_t k = 0; k < psal_shape_count(&c->inputs[i]);
             k++) /* rather below 0: in some windows nothing is above */
            b->values[i][k] = c->build == places_given && i == 1 ? (float)(k % 80)
                                                                 : (float)case_uniform(&state, -1, 0.5);
    }
    psal_graph_set_layer(b->g, "layer");
    c->build(b->g, b->in, b->outputs);
    ck_assert_msg(psal_graph_check(b->g, &err) == PSAL_OK, "%s: %s", c->name, err.message);
    while (b->output_count < MOST_OUTPUTS && c->before[b->output_count]) b->output_count++;
}

static psal_plan *planned(const built *b, unsigned without) {
    const psal_plan_options options = {
        .outputs = {b->outputs}, .output_count = {b->output_count}, .stages = 1, .without_rewrites = without};
    return plan_of(b->g, &options);
}

static psal_workspace *run_plan(const built *b, const psal_plan *plan) {
    psal_workspace *ws = workspace_of(plan);
    for (int i = 0; i < b->input_count; i++) psal_workspace_set(ws, b->in[i], b->values[i], NULL);
    run(ws, 0);
    return ws;
}

START_TEST(a_rewrite_gives_the_same_values) {
    const graph_case *c = &cases[_i];
    built *b = malloc(sizeof *b);
    build(c, b);
    const bool applies = c->after[0] != NULL;
    psal_plan *plans[3] = {planned(b, PSAL_REWRITE_ALL), planned(b, PSAL_REWRITE_ALL & ~c->rewrite),
                           planned(b, c->rewrite)};
    psal_workspace *ws[3];
    for (int k = 0; k < 3; k++) ws[k] = run_plan(b, plans[k]);
    for (int i = 0; i < b->output_count; i++) {
        for (int k = 0; k < 3; k++) { /* without any, with this one, with the others */
            char text[1000] = "";
            const psal_node own = psal_plan_node(plans[k], b->outputs[i]);
            write_node(plans[k]->graph, own, text, sizeof text);
            const char *want = k == 1 && applies ? c->after[i] : c->before[i];
            ck_assert_msg(strcmp(text, want) == 0, "%s, output %d, plan %d: %s", c->name, i, k, text);
            ck_assert_str_eq(psal_graph_layer(plans[k]->graph, own), "layer");
        }
        const int64_t count = psal_shape_count(psal_graph_shape(b->g, b->outputs[i]));
        const float *want = psal_workspace_get(ws[0], b->outputs[i]);
        double largest = 0;
        for (int64_t k = 0; k < count; k++) /* fmax here crashes GCC 12 for aarch64 */
            if (fabs((double)want[k]) > largest) largest = fabs((double)want[k]);
        ck_assert_msg(largest > 0.01, "%s: all zero", c->name);
        const bool moves_only = c->rewrite == PSAL_REWRITE_ADJACENT_PARTS ||
                                c->rewrite == PSAL_REWRITE_MAXIMUM_BEFORE_RELU;
        for (int64_t k = 0; k < count; k++) {
            const double got = psal_workspace_get(ws[1], b->outputs[i])[k];
            ck_assert_msg(fabs(got - (double)want[k]) <= (moves_only ? 0 : 1e-5 * largest),
                          "%s, output %d [%d]: %.9g, not %.9g", c->name, i, (int)k, got, (double)want[k]);
        }
    }
    for (int k = 0; k < 3; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_graph_free(b->g);
    free(b);
}
END_TEST

/* The graph that differentiation makes of a pooled ReLU, twice: no value before the pooling is a ReLU's any more. */
START_TEST(a_differentiated_pooled_relu_is_rewritten) {
    enum { COUNT = 2 * 3 * 8 * 10 };
    psal_graph *g = psal_graph_new();
    const psal_shape shape = PSAL_SHAPE(2, 3, 8, 10), pooled_shape = PSAL_SHAPE(2, 3, 4, 5);
    psal_node x = psal_input(g, "x", shape), w = psal_input(g, "w", pooled_shape), u = psal_input(g, "u", shape);
    psal_graph_set_layer(g, "bn1");
    psal_node r = psal_relu(g, psal_mul(g, x, x));
    r = psal_relu(g, psal_sub(g, r, psal_constant_fill(g, 0.3F, shape)));
    psal_graph_set_layer(g, "maxpool");
    psal_node y = psal_max_pool2d(g, r, &smooth), outputs[3];
    outputs[0] = psal_sum(g, psal_mul(g, psal_mul(g, y, y), w));
    psal_gradient(g, outputs[0], &x, 1, &outputs[1]);
    psal_gradient(g, psal_sum(g, psal_mul(g, outputs[1], u)), &x, 1, &outputs[2]);
    ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_OK);
    float values[3][COUNT];
    uint64_t state = 5;
    for (int i = 0; i < 3 * COUNT; i++) values[i / COUNT][i % COUNT] = (float)case_uniform(&state, -1, 1);
    psal_plan *plans[2];
    psal_workspace *ws[2];
    for (int k = 0; k < 2; k++) {
        plans[k] = plan_of(g, &(psal_plan_options){.outputs = {outputs},
                                                   .output_count = {3},
                                                   .stages = 1,
                                                   .without_rewrites = k ? 0 : PSAL_REWRITE_ALL});
        ws[k] = workspace_of(plans[k]);
        psal_workspace_set(ws[k], x, values[0], NULL);
        psal_workspace_set(ws[k], w, values[1], NULL);
        psal_workspace_set(ws[k], u, values[2], NULL);
        run(ws[k], 0);
    }
    for (int i = 0; i < 3; i++) {
        const size_t bytes = (size_t)psal_shape_count(psal_graph_shape(g, outputs[i])) * sizeof(float);
        ck_assert_mem_eq(psal_workspace_get(ws[0], outputs[i]), psal_workspace_get(ws[1], outputs[i]), bytes);
    }
    int inside[2] = {0}, layers = 0;
    for (int k = 0; k < 2; k++)
        for (int step = 0; step < plans[k]->step_count; step++) {
            const psal_node_record *node = psal_plan_record(plans[k], step);
            const bool relu = node->op == PSAL_OP_RELU || node->op == PSAL_OP_RELU_MASK;
            if (relu && strcmp(node->layer, "bn1") == 0) inside[k] += psal_shape_equal(&node->shape, &shape);
            if (relu && k == 1 && psal_shape_equal(&node->shape, &pooled_shape))
                layers += strcmp(node->layer, "maxpool") == 0;
        }
    ck_assert_int_gt(inside[1], 0); /* the other ReLU, which nothing pools, is as it was */
    ck_assert_int_eq(inside[0], 2 * inside[1]);
    ck_assert_int_eq(layers, inside[1]);
    ck_assert_uint_lt(psal_plan_memory(plans[1]), psal_plan_memory(plans[0]));
    for (int k = 0; k < 2; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_graph_free(g);
}
END_TEST

/* What a plan does not need is not in its graph; leaves that it does not read may be given values all the same. */
START_TEST(only_what_is_needed_is_there) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(4)), unused = psal_input(g, "unused", PSAL_SHAPE(4));
    psal_node w = psal_parameter(g, "w", PSAL_SHAPE(4)), v = psal_parameter(g, "v", PSAL_SHAPE(4));
    psal_node y = psal_mul(g, x, w), other = psal_mul(g, unused, v);
    const float values[] = {1, 2, 3, 4};
    psal_plan *plan = plan_of(g, &(psal_plan_options){.outputs = {&y}, .output_count = {1}, .stages = 1});
    psal_workspace *ws = workspace_of(plan);
    ck_assert_int_eq(psal_graph_node_count(plan->graph), 3);
    ck_assert_int_eq(psal_plan_node(plan, other), PSAL_NO_NODE);
    ck_assert(psal_plan_reads(plan, x) && psal_plan_reads(plan, w) && !psal_plan_reads(plan, v) &&
              !psal_plan_reads(plan, 99));
    ck_assert_int_eq(psal_plan_bind(plan, v, values, NULL), PSAL_OK);
    ck_assert_int_eq(psal_plan_bind(plan, w, values, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, unused, values, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, x, values, NULL), PSAL_OK);
    run(ws, 0);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(psal_workspace_get(ws, y)[i], values[i] * values[i]);
    ck_assert_ptr_null(psal_workspace_get(ws, other));
    ck_assert_int_eq(psal_workspace_place(ws, other, (float[4]){0}, NULL), PSAL_ERR_ARGUMENT);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/rewrite");
    TCase *tests = tcase_create("rewrite");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_rewrite_gives_the_same_values, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, a_differentiated_pooled_relu_is_rewritten);
    tcase_add_test(tests, only_what_is_needed_is_there);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
