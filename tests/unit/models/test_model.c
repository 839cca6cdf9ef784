/* Lookups, and the network as a graph: shapes, smallest images, a run. */
#include <math.h>

#include "fixtures.h"

static void check_norm(const psal_model *model, const char *convolution, const char *scale, const char *shift) {
    int s = 77, t = 77;
    psal_model_filter_norm(model, psal_model_find_parameter(model, convolution), &s, &t);
    ck_assert_int_eq(s, scale ? psal_model_find_parameter(model, scale) : -1);
    ck_assert_int_eq(t, shift ? psal_model_find_parameter(model, shift) : -1);
}

START_TEST(test_filter_norm) {
    static const struct {
        const char *arch, *convolution, *scale, *shift;
    } cases[] = {
        {"resnet50", "conv1.weight", "bn1.weight", "bn1.bias"},
        {"resnet50", "layer2.0.conv3.weight", "layer2.0.bn3.weight", "layer2.0.bn3.bias"},
        {"resnet50", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.weight", "layer2.0.downsample.1.bias"},
        {"resnet50", "fc.weight", NULL, NULL},
        {"resnet50", "bn1.weight", NULL, NULL},
        {"vgg11", "features.3.weight", NULL, "features.3.bias"},
        {"vgg11_bn", "features.4.weight", "features.5.weight", "features.5.bias"},
        {"densenet121", "features.conv0.weight", "features.norm0.weight", "features.norm0.bias"},
        {"densenet121", "features.denseblock2.denselayer3.conv1.weight",
         "features.denseblock2.denselayer3.norm2.weight", "features.denseblock2.denselayer3.norm2.bias"},
        {"densenet121", "features.denseblock2.denselayer3.conv2.weight", NULL, NULL},
        {"densenet121", "features.transition1.conv.weight", NULL, NULL},
        {"inception_v3", "Mixed_7c.branch_pool.conv.weight", "Mixed_7c.branch_pool.bn.weight",
         "Mixed_7c.branch_pool.bn.bias"},
        {"inception_v3", "AuxLogits.conv0.conv.weight", "AuxLogits.conv0.bn.weight", "AuxLogits.conv0.bn.bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, 0.125, 3);
        psal_model *model = load(map, NULL);
        ck_assert_int_ge(psal_model_find_parameter(model, cases[i].convolution), 0);
        check_norm(model, cases[i].convolution, cases[i].scale, cases[i].shift);
        check_norm(model, "no such parameter", NULL, NULL);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_lookups) {
    psal_tensor_map *map = bare("resnet18", 0.125, 3);
    psal_model *model = load(map, NULL);
    const int count = psal_model_parameter_count(model);
    ck_assert_ptr_null(psal_model_get_parameter(model, -1));
    ck_assert_ptr_null(psal_model_get_parameter(model, count));
    ck_assert_int_eq(psal_model_find_parameter(model, "bn1.running_mean"), -1);
    ck_assert_int_eq(psal_model_find_parameter(model, ""), -1);
    ck_assert_str_eq(psal_model_get_parameter(model, 0)->name, "conv1.weight");
    ck_assert_str_eq(psal_model_get_parameter(model, count - 1)->name, "fc.bias");
    ck_assert_ptr_null(psal_model_metadata(model, "psal.labels"));
    psal_model_free(model);
    psal_model_free(NULL);
    psal_network_free(NULL);
    psal_tensor_map_free(map);
}
END_TEST

/* Build, run, and check the logits: finite, not all alike, and the same for each image of a batch.
 */
static void run(const psal_model *model, int batch, int height, int width) {
    psal_error err = PSAL_ERROR_INIT;
    const int classes = psal_model_get_info(model)->num_classes;
    psal_graph *graph = psal_graph_new();
    psal_network network;
    ck_assert_msg(!psal_model_build(model, graph, batch, height, width, &network, &err), "%s", err.message);
    char expected[96];
    snprintf(expected, sizeof expected, "%dx3x%dx%d", batch, height, width);
    check_shape(psal_graph_shape(graph, network.image), expected);
    snprintf(expected, sizeof expected, "%dx%d", batch, classes);
    check_shape(psal_graph_shape(graph, network.logits), expected);
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        ck_assert_int_eq(network.parameters[i] != PSAL_NO_NODE, p->in_graph);
        if (p->in_graph) ck_assert(psal_shape_equal(psal_graph_shape(graph, network.parameters[i]), &p->shape));
    }
    psal_plan *plan = psal_plan_new(
        graph, &(psal_plan_options){.outputs = {&network.logits}, .output_count = {1}, .stages = 1, .threads = 1},
        &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    ck_assert_msg(!psal_model_bind(model, &network, plan, &err), "%s", err.message);
    psal_workspace *workspace = psal_workspace_new(plan, &err);
    ck_assert_msg(workspace != NULL, "%s", err.message);
    const size_t plane = (size_t)3 * (size_t)height * (size_t)width;
    float *image = malloc(plane * (size_t)batch * sizeof *image);
    for (size_t i = 0; i < plane * (size_t)batch; i++) image[i] = sinf((float)(i % plane) * 0.37f);
    ck_assert_int_eq(psal_workspace_set(workspace, network.image, image, &err), PSAL_OK);
    ck_assert_msg(!psal_workspace_run(workspace, 0, &err), "%s", err.message);
    const float *logits = psal_workspace_get(workspace, network.logits);
    for (int i = 0; i < batch * classes; i++) {
        ck_assert(isfinite(logits[i]));
        ck_assert_float_eq_tol(logits[i], logits[i % classes], 1e-4f * fabsf(logits[i]));
    }
    ck_assert_float_ne(logits[0], logits[1]);
    free(image);
    psal_workspace_free(workspace);
    psal_plan_free(plan);
    psal_network_free(&network);
    psal_graph_free(graph);
}

/* The smallest image is taken, one pixel less is refused by us and would be by the operations. */
START_TEST(test_image_sizes) {
    static const struct {
        const char *arch;
        double width;
    } cases[] = {{"resnet18", 0.125}, {"resnet50", 0.0625},  {"resnext50_32x4d", 0.25}, {"vgg11", 0.03},
                 {"vgg13_bn", 0.03},  {"densenet121", 0.25}, {"inception_v3", 0.125}};
    psal_tensor_map *map = bare(cases[_i].arch, cases[_i].width, 7);
    fill(map);
    psal_model *model = load(map, NULL);
    const int smallest = psal_model_get_info(model)->min_size;
    run(model, 1, smallest, smallest);
    run(model, 2, smallest + 22, smallest + 5);
    run(model, 1, smallest, 97 + smallest);

    psal_error err = PSAL_ERROR_INIT;
    psal_graph *graph = psal_graph_new();
    psal_network network;
    char message[200];
    if (smallest > 1) {
        ck_assert_int_eq(psal_model_build(model, graph, 1, smallest, smallest - 1, &network, &err), PSAL_ERR_SHAPE);
        snprintf(message, sizeof message, "an image of %d x %d is too small for %s, which takes %d x %d and above",
                 smallest - 1, smallest, cases[_i].arch, smallest, smallest);
        ck_assert_str_eq(err.message, message);
        ck_assert_int_eq(psal_model_build(model, graph, 1, smallest - 1, 400, &network, &err), PSAL_ERR_SHAPE);
    }
    ck_assert_int_eq(psal_model_build(model, graph, 0, 200, 200, &network, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_model_build(model, graph, 1, -5, 200, &network, &err), PSAL_ERR_SHAPE);
    ck_assert_int_eq(psal_model_build(model, graph, 1, 200, 1 << 30, &network, &err), PSAL_ERR_SHAPE);
    ck_assert_ptr_null(network.parameters);
    psal_network_free(&network);
    psal_graph_free(graph);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* The variant moves a stride and so the values, but no shape. */
static float first_logit(const psal_tensor_map *map, const psal_model_options *options, int side) {
    psal_error err = PSAL_ERROR_INIT;
    psal_model *model = load(map, options);
    psal_graph *graph = psal_graph_new();
    psal_network network;
    ck_assert(!psal_model_build(model, graph, 1, side, side, &network, &err));
    psal_plan *plan = psal_plan_new(
        graph, &(psal_plan_options){.outputs = {&network.logits}, .output_count = {1}, .stages = 1}, &err);
    ck_assert(!psal_model_bind(model, &network, plan, &err));
    psal_workspace *workspace = psal_workspace_new(plan, &err);
    float *image = calloc((size_t)(3 * side * side), sizeof *image);
    for (int i = 0; i < 3 * side * side; i++) image[i] = sinf((float)i);
    psal_workspace_set(workspace, network.image, image, &err);
    ck_assert_msg(!psal_workspace_run(workspace, 0, &err), "%s", err.message);
    float logit = psal_workspace_get(workspace, network.logits)[0];
    free(image);
    psal_workspace_free(workspace);
    psal_plan_free(plan);
    psal_network_free(&network);
    psal_graph_free(graph);
    psal_model_free(model);
    return logit;
}

START_TEST(test_options_reach_the_graph) {
    psal_tensor_map *map = bare("resnet50", 0.125, 3);
    fill(map);
    const float usual = first_logit(map, NULL, 64);
    ck_assert_float_eq(first_logit(map, &(psal_model_options){.variant = "v1.5"}, 64), usual);
    ck_assert_float_ne(first_logit(map, &(psal_model_options){.variant = "v1"}, 64), usual);
    ck_assert_float_ne(first_logit(map, &(psal_model_options){.bn_epsilon = 0.01}, 64), usual);
    psal_tensor_map_free(map);
    map = bare("inception_v3", 0.125, 3);
    fill(map);
    ck_assert_float_ne(first_logit(map, &(psal_model_options){.transform_input = 1}, 75), first_logit(map, NULL, 75));
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("model");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_filter_norm);
    tcase_add_test(tcase, test_lookups);
    tcase_add_loop_test(tcase, test_image_sizes, 0, 7);
    tcase_add_test(tcase, test_options_reach_the_graph);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
