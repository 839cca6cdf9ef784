/* The layer helpers: what they list, with and without a graph, and their errors. */
#include "fixtures.h"
#include "models/builder.h"

static const net_options half = {.width = 0.5, .bn_epsilon = 1e-5, .num_classes = 3, .transform_input = true};

static flow image(psal_graph *graph) {
    psal_node node = graph ? psal_input(graph, "image", PSAL_SHAPE(1, 3, 12, 10)) : PSAL_NO_NODE;
    return (flow){node, 3, -1};
}

/* Every kind of layer once. */
static flow everything(net *n, flow x) {
    x = net_transform_input(n, x);
    x = net_conv(n, x, "a", 8, same(3, 2));
    x = net_relu(n, net_batch_norm(n, x, "b"));
    net_enter(n, "block%d", 7);
    net_enter(n, "inner");
    flow y = net_conv_exact(n, x, "c", 4, oblong(1, 3));
    net_leave(n);
    x = net_add(n, x, y);
    y = net_conv_bias(n, x, "d", 6, same(1, 1));
    net_leave(n);
    x = net_concat(n, (const flow[]){x, y}, 2);
    net_detach(n);
    net_linear(n, net_conv(n, x, "unused", 10, valid(3, 1)), "unused_too", 5);
    net_attach(n);
    x = net_max_pool(n, x, valid(2, 2));
    x = net_avg_pool_halves(n, net_max_pool_ceil(n, x, valid(2, 1)));
    x = net_avg_pool(n, x, same(3, 1));
    x = net_pool_flatten(n, x, 2);
    x = net_linear_hidden(n, x, "e", 9);
    return net_linear(n, x, "f", n->options.num_classes);
}

static const struct {
    const char *name, *shape;
    bool is_buffer, in_graph;
    int published;
} expected[] = {
    {"a.weight", "4x3x3x3", false, true, 8},
    {"b.weight", "4", false, true, 0},
    {"b.bias", "4", false, true, 0},
    {"b.running_mean", "4", true, true, 0},
    {"b.running_var", "4", true, true, 0},
    {"block7.inner.c.weight", "4x4x1x3", false, true, 0},
    {"block7.d.weight", "3x4x1x1", false, true, 6},
    {"block7.d.bias", "3", false, true, 0},
    {"unused.weight", "5x7x3x3", false, false, 10},
    {"unused_too.weight", "5x5", false, false, 0},
    {"unused_too.bias", "5", false, false, 0},
    {"e.weight", "5x28", false, true, 9},
    {"e.bias", "5", false, true, 0},
    {"f.weight", "3x5", false, true, 0},
    {"f.bias", "3", false, true, 0},
};
#define EXPECTED ((int)(sizeof expected / sizeof *expected))

static void check_list(const net *n, const psal_graph *graph) {
    ck_assert_int_eq(n->count, EXPECTED);
    for (int i = 0; i < EXPECTED; i++) {
        const net_tensor *t = &n->tensors[i];
        ck_assert_str_eq(t->name, expected[i].name);
        check_shape(&t->shape, expected[i].shape);
        ck_assert_int_eq(t->is_buffer, expected[i].is_buffer);
        ck_assert_int_eq(t->in_graph, expected[i].in_graph);
        ck_assert_int_eq(t->published, expected[i].published);
        if (graph && t->in_graph)
            ck_assert(psal_shape_equal(psal_graph_shape(graph, t->node), &t->shape));
        else
            ck_assert_int_eq(t->node, PSAL_NO_NODE);
    }
    ck_assert_int_eq(n->tensors[0].norm_scale, 1); /* a: b.weight, b.bias */
    ck_assert_int_eq(n->tensors[0].norm_shift, 2);
    ck_assert_int_eq(n->tensors[5].norm_scale, -1); /* c: nothing */
    ck_assert_int_eq(n->tensors[5].norm_shift, -1);
    ck_assert_int_eq(n->tensors[6].norm_scale, -1); /* d: its own bias */
    ck_assert_int_eq(n->tensors[6].norm_shift, 7);
}

START_TEST(test_list) {
    net n;
    net_init(&n, NULL, &half);
    flow y = everything(&n, image(NULL));
    ck_assert_str_eq(n.error.message, "");
    ck_assert_int_eq(y.node, PSAL_NO_NODE);
    ck_assert_int_eq(y.channels, 3);
    check_list(&n, NULL);
    net_clear(&n);
}
END_TEST

START_TEST(test_graph) {
    psal_error err = PSAL_ERROR_INIT;
    psal_graph *graph = psal_graph_new();
    net n;
    net_init(&n, graph, &half);
    flow y = everything(&n, image(graph));
    ck_assert_str_eq(n.error.message, "");
    ck_assert_msg(psal_graph_check(graph, &err) == PSAL_OK, "%s", err.message);
    check_shape(psal_graph_shape(graph, y.node), "1x3");
    check_list(&n, graph);
    bool seen = false;
    for (int i = 0; i < psal_graph_node_count(graph); i++)
        seen |= strcmp(psal_graph_layer(graph, i), "block7.inner.c") == 0;
    ck_assert(seen);
    net_clear(&n);
    psal_graph_free(graph);
}
END_TEST

START_TEST(test_scale) {
    static const struct {
        int channels;
        double width;
        int scaled;
    } cases[] = {{64, 1, 64}, {64, 0.25, 16}, {3, 0.5, 2}, /* 1.5 is rounded up */
                 {5, 0.5, 3}, {10, 0.04, 1},  {10, 0.001, 1}, {32, 0.07, 2}, {4096, 64, 262144}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net n;
        const net_options options = {.width = cases[i].width};
        net_init(&n, NULL, &options);
        ck_assert_int_eq(net_scale(&n, cases[i].channels), cases[i].scaled);
    }
}
END_TEST

START_TEST(test_groups) {
    net n;
    net_init(&n, NULL, &half);
    window grouped = same(3, 1);
    grouped.groups = 4;
    flow x = {PSAL_NO_NODE, 8, -1};
    x = net_conv_exact(&n, x, "fine", 12, grouped);
    check_shape(&n.tensors[0].shape, "12x2x3x3");
    net_enter(&n, "layer1");
    x = net_conv_exact(&n, x, "bad", 6, grouped);
    ck_assert_str_eq(n.error.message, "layer1.bad: 12 to 6 channels do not divide by 4 groups at width 0.5");
    net_conv_exact(&n, x, "later", 7, grouped);
    ck_assert_int_eq(n.count, 1); /* nothing after the error, which stays the first */
    ck_assert_ptr_nonnull(strstr(n.error.message, "bad"));
    net_clear(&n);
}
END_TEST

START_TEST(test_errors_stop_the_graph) {
    psal_graph *graph = psal_graph_new();
    net n;
    net_init(&n, graph, &half);
    flow x = image(graph);
    net_fail(&n, PSAL_ERR_ARGUMENT, "first %d", 1);
    net_fail(&n, PSAL_ERR_SHAPE, "second");
    const int nodes = psal_graph_node_count(graph);
    everything(&n, x);
    ck_assert_int_eq(psal_graph_node_count(graph), nodes);
    ck_assert_str_eq(n.error.message, "first 1");
    ck_assert_int_eq(n.error.status, PSAL_ERR_ARGUMENT);
    net_clear(&n);
    psal_graph_free(graph);
}
END_TEST

START_TEST(test_scopes) {
    net n;
    net_init(&n, NULL, &half);
    for (int i = 0; i < 8; i++) net_enter(&n, "s%d", i);
    ck_assert_str_eq(n.scope, "s0.s1.s2.s3.s4.s5.s6.s7.");
    for (int i = 0; i < 8; i++) net_leave(&n);
    ck_assert_str_eq(n.scope, "");
    net_leave(&n); /* one too many does no harm */
    ck_assert_str_eq(n.error.message, "");
    for (int i = 0; i < 9; i++) net_enter(&n, "s%d", i);
    ck_assert_ptr_nonnull(strstr(n.error.message, "nested too deeply"));

    char name[200];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    net_init(&n, NULL, &half);
    net_enter(&n, "%s", name);
    ck_assert_ptr_nonnull(strstr(n.error.message, "too long"));
    ck_assert_str_eq(n.scope, "");
}
END_TEST

/* A cut asks for the shape of a node that was never made: no memory for it, or a layer before it failed. */
START_TEST(test_cut_after_an_error) {
    psal_error err = PSAL_ERROR_INIT;
    psal_graph *graph = psal_graph_new();
    net n;
    net_init(&n, graph, &half);
    n.in_parts = true;
    flow x = image(graph);
    psal_graph_fail(graph, PSAL_ERR_MEMORY, "out of memory for 512 graph nodes");
    flow y = net_cut(&n, net_conv(&n, x, "a", 8, same(3, 2)));
    y = net_cut(&n, everything(&n, y));
    ck_assert_int_eq(y.node, PSAL_NO_NODE);
    ck_assert_int_eq(psal_graph_check(graph, &err), PSAL_ERR_MEMORY);
    ck_assert_str_eq(err.message, "out of memory for 512 graph nodes");
    net_clear(&n);
    psal_graph_free(graph);
}
END_TEST

START_TEST(test_too_many_parts) {
    net n;
    net_init(&n, NULL, &half);
    flow parts[9] = {{PSAL_NO_NODE, 1, -1}};
    net_concat(&n, parts, 9);
    ck_assert_int_eq(n.error.status, PSAL_ERR_ARGUMENT);
}
END_TEST

RUN_TESTS("builder", test_list, test_graph, test_scale, test_groups, test_errors_stop_the_graph, test_scopes,
          test_cut_after_an_error, test_too_many_parts)
