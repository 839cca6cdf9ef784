/* Tests that the rewrites of a plan (engine/rewrite.h) change a network's numbers by rounding only: logits, profile and
 * input gradient of small networks, with all rewrites and with none. */
#include "fixtures.h"

#include "engine/graph.h"

/* In the place of psal_conv2d_takes_ternary, which depends on the processor: about half of them. (What a processor does
 * not take is decoded.) */
bool __wrap_psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor);
bool __wrap_psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor) {
    (void)processor;
    return s->in_height > 6;
}

enum { CLASSES = 5, MOST_FILTERS = 4000 };

static const struct {
    const char *arch;
    double width;
    int side;
} networks[] = {{"resnet18", 0.25, 48},
                {"resnet50", 0.0625, 48},
                {"vgg11", 0.125, 32},
                {"densenet121", 0.125, 48},
                {"inception_v3", 0.125, 80}};

/* What of a network is asked for, in three stages as psal_saliency does. */
typedef struct numbers {
    psal_node logits, means[200], along, input_gradient;
    int filters;
} numbers;

static numbers build(psal_graph *g, const psal_model *model, const psal_network *network, bool is_signed) {
    psal_node label = psal_constant(g, (const float[]){1}, PSAL_SHAPE(1)), wrt[200], gradients[200];
    psal_node loss = psal_cross_entropy(g, network->logits, label);
    numbers n = {.logits = network->logits, .along = PSAL_NO_NODE};
    for (int i = 0; i < psal_model_parameter_count(model); i++)
        if (psal_model_get_parameter(model, i)->is_filter && network->parameters[i] != PSAL_NO_NODE)
            wrt[n.filters++] = network->parameters[i];
    psal_gradient(g, loss, wrt, n.filters, gradients);
    for (int i = 0; i < n.filters; i++) {
        const int64_t count = psal_graph_shape(g, wrt[i])->dim[0];
        n.means[i] = is_signed ? psal_group_mean(g, gradients[i], count) : psal_group_mean_abs(g, gradients[i], count);
        psal_node sum = psal_scale(g, psal_sum(g, n.means[i]), 1 + i % 3);
        n.along = i ? psal_add(g, n.along, sum) : sum;
    }
    psal_gradient(g, n.along, &network->image, 1, &n.input_gradient);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_graph_check(g, &err) == PSAL_OK, "%s", err.message);
    return n;
}

static psal_workspace *run_plan(psal_plan *plan, const psal_model *model, const psal_network *network,
                                const float *image) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_model_bind(model, network, plan, &err), PSAL_OK);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_msg(ws != NULL, "%s", err.message);
    ck_assert_int_eq(psal_workspace_set(ws, network->image, image, &err), PSAL_OK);
    for (int stage = 0; stage < 3 && psal_workspace_run(ws, stage, &err) == PSAL_OK; stage++) continue;
    ck_assert_int_eq(err.status, PSAL_OK);
    return ws;
}

/* The largest difference between two workspaces' values of nodes[count], relative to the largest value. */
static double difference(const psal_graph *g, const psal_workspace *a, const psal_workspace *b, const psal_node *nodes,
                         int count) {
    double largest = 0, apart = 0;
    for (int i = 0; i < count; i++) {
        const float *x = psal_workspace_get(a, nodes[i]), *y = psal_workspace_get(b, nodes[i]);
        for (int64_t k = 0; k < psal_shape_count(psal_graph_shape(g, nodes[i])); k++) {
            largest = fmax(largest, fabs((double)x[k]));
            apart = fmax(apart, fabs((double)x[k] - (double)y[k]));
            ck_assert(isfinite(x[k]) && isfinite(y[k]));
        }
    }
    ck_assert(largest > 0);
    return apart / largest;
}

static void compare(const char *arch, const psal_model *model, int side, const float *image, bool is_signed,
                    psal_conv2d_method method) {
    psal_graph *g = psal_graph_new();
    psal_network network;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_model_build(model, g, 1, side, side, &network, &err), PSAL_OK);
    const numbers n = build(g, model, &network, is_signed);
    psal_plan *plans[2];
    psal_workspace *ws[2];
    for (int k = 0; k < 2; k++) {
        const psal_plan_options options = {.outputs = {&n.logits, n.means, &n.input_gradient},
                                           .output_count = {1, n.filters, 1},
                                           .stages = 3,
                                           .conv = {.method = method},
                                           .without_rewrites = k ? 0 : PSAL_REWRITE_ALL};
        plans[k] = psal_plan_new(g, &options, &err);
        ck_assert_msg(plans[k] != NULL, "%s", err.message);
        ws[k] = run_plan(plans[k], model, &network, image);
    }
    ck_assert_mem_eq(psal_workspace_get(ws[0], n.logits), psal_workspace_get(ws[1], n.logits), CLASSES * sizeof(float));
    const double profile = difference(g, ws[0], ws[1], n.means, n.filters);
    const double input = difference(g, ws[0], ws[1], &n.input_gradient, 1);
    ck_assert_msg(profile <= 1e-6 && input <= 1e-5, "%s: the profile differs by %g, the input gradient by %g", arch,
                  profile, input);
    ck_assert_uint_ne(psal_plan_memory(plans[0]), psal_plan_memory(plans[1])); /* something was rewritten */
    for (int k = 0; k < 2; k++) {
        psal_workspace_free(ws[k]);
        psal_plan_free(plans[k]);
    }
    psal_network_free(&network);
    psal_graph_free(g);
}

START_TEST(a_plan_without_rewrites_gives_the_same_numbers) {
    const int side = networks[_i].side;
    psal_tensor_map *map = psal_model_blank(networks[_i].arch, networks[_i].width, CLASSES, NULL);
    fill(map);
    psal_model *model = load(map, NULL);
    float *image = malloc((size_t)(3 * side * side) * sizeof *image);
    for (int i = 0; i < 3 * side * side; i++) image[i] = (float)(sin(0.37 * i) + cos(0.011 * i * (i % 7)));
    compare(networks[_i].arch, model, side, image, false, PSAL_CONV2D_AUTO);
    compare(networks[_i].arch, model, side, image, true, PSAL_CONV2D_AUTO);
    compare(networks[_i].arch, model, side, image, false, PSAL_CONV2D_GEMM);
    free(image);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("models/rewritten");
    TCase *tests = tcase_create("rewritten");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_plan_without_rewrites_gives_the_same_numbers, 0, sizeof networks / sizeof *networks);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
