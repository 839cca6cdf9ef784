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
        {"resnet50", "fc.weight", NULL, "fc.bias"},
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
        {"alexnet", "features.6.weight", NULL, "features.6.bias"},
        {"squeezenet1_0", "features.12.expand3x3.weight", NULL, "features.12.expand3x3.bias"},
        {"squeezenet1_1", "classifier.1.weight", NULL, "classifier.1.bias"},
        {"googlenet", "inception4a.branch4.1.conv.weight", "inception4a.branch4.1.bn.weight",
         "inception4a.branch4.1.bn.bias"},
        {"resnet18_cifar", "conv1.weight", "bn1.weight", "bn1.bias"},
        {"resnet18d", "conv1.3.weight", "conv1.4.weight", "conv1.4.bias"},
        {"resnet18d", "conv1.6.weight", "bn1.weight", "bn1.bias"},
        {"resnet18d", "layer2.0.downsample.1.weight", "layer2.0.downsample.2.weight", "layer2.0.downsample.2.bias"},
        {"regnet_x_400mf", "trunk_output.block2.block2-1.f.b.0.weight", "trunk_output.block2.block2-1.f.b.1.weight",
         "trunk_output.block2.block2-1.f.b.1.bias"},
        {"regnet_y_400mf", "trunk_output.block1.block1-0.f.se.fc2.weight", NULL,
         "trunk_output.block1.block1-0.f.se.fc2.bias"},
        {"mobilenet_v3_large", "features.4.block.2.fc1.weight", NULL, "features.4.block.2.fc1.bias"},
        {"mobilenet_v3_large", "features.4.block.3.0.weight", "features.4.block.3.1.weight",
         "features.4.block.3.1.bias"},
        {"efficientnet_b0", "features.1.0.block.0.0.weight", "features.1.0.block.0.1.weight",
         "features.1.0.block.0.1.bias"},
        {"efficientnet_v2_s", "features.2.1.block.1.0.weight", "features.2.1.block.1.1.weight",
         "features.2.1.block.1.1.bias"},
        {"shufflenet_v2_x1_0", "stage2.0.branch1.2.weight", "stage2.0.branch1.3.weight", "stage2.0.branch1.3.bias"},
        {"convnext_tiny", "features.1.0.block.0.weight", NULL, "features.1.0.block.0.bias"},
        {"convnext_tiny", "features.1.0.block.3.weight", NULL, "features.1.0.block.3.bias"},
        {"convnext_tiny", "features.1.0.layer_scale", NULL, NULL},
        {"vit_b_32", "conv_proj.weight", NULL, "conv_proj.bias"},
        {"vit_b_32", "encoder.layers.encoder_layer_3.self_attention.in_proj_weight", NULL,
         "encoder.layers.encoder_layer_3.self_attention.in_proj_bias"},
        {"vit_b_32", "encoder.pos_embedding", NULL, NULL},
        {"mobilenet_v2", "features.1.conv.1.weight", "features.1.conv.2.weight", "features.1.conv.2.bias"},
        {"mobilenet_v2", "features.3.conv.1.0.weight", "features.3.conv.1.1.weight", "features.3.conv.1.1.bias"},
        {"mnasnet1_0", "layers.9.1.layers.3.weight", "layers.9.1.layers.4.weight", "layers.9.1.layers.4.bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, strncmp(cases[i].arch, "regnet", 6) == 0 ? 0.25 : 0.125, 3);
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
    } cases[] = {{"resnet18", 0.125},          {"resnet50", 0.0625},
                 {"resnext50_32x4d", 0.25},    {"vgg11", 0.03},
                 {"vgg13_bn", 0.03},           {"densenet121", 0.25},
                 {"inception_v3", 0.125},      {"alexnet", 0.03},
                 {"squeezenet1_0", 0.25},      {"squeezenet1_1", 0.25},
                 {"googlenet", 0.125},         {"resnet18_cifar", 0.0625},
                 {"resnet26d", 0.0625},        {"seresnet18", 0.0625},
                 {"ecaresnet26t", 0.0625},     {"regnet_x_400mf", 0.25},
                 {"mnasnet0_5", 0.25},         {"mobilenet_v2", 0.25},
                 {"mobilenet_v3_small", 0.25}, {"regnet_y_400mf", 0.25},
                 {"efficientnet_b0", 0.25},    {"efficientnet_v2_s", 0.25},
                 {"shufflenet_v2_x0_5", 0.5},  {"convnext_tiny", 0.0625}};
    psal_tensor_map *map = bare(cases[_i].arch, cases[_i].width, 7);
    fill(map);
    if (psal_tensor_map_get(map, "classifier.1.bias")) /* SqueezeNet's logits have passed a ReLU */
        for (int i = 0; i < 7; i++) floats(map, "classifier.1.bias")[i] += 3;
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
    map = bare("googlenet", 0.125, 3);
    fill(map);
    ck_assert_float_ne(first_logit(map, &(psal_model_options){.transform_input = 1}, 64), first_logit(map, NULL, 64));
    psal_tensor_map_free(map);
}
END_TEST

/* The number of its positions is the only size of image that a transformer takes. */
START_TEST(test_transformer_sizes) {
    static const struct { int positions, size; } cases[] = {{50, 224}, {10, 96}, {2, 32}};
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        psal_tensor_map *map = bare("vit_b_32", 0.0625, 7); /* 48 channels, 12 heads */
        reshape(map, "encoder.pos_embedding", PSAL_SHAPE(1, cases[i].positions, 48));
        fill(map);
        psal_model *model = load(map, NULL);
        const psal_model_info *info = psal_model_get_info(model);
        ck_assert_int_eq(info->native_size, cases[i].size);
        ck_assert_int_eq(info->min_size, cases[i].size);
        run(model, 1, cases[i].size, cases[i].size);
        psal_graph *graph = psal_graph_new();
        psal_network network;
        ck_assert_int_eq(psal_model_build(model, graph, 1, cases[i].size, cases[i].size + 1, &network, &err),
                         PSAL_ERR_SHAPE);
        char message[200];
        snprintf(message, sizeof message,
                 "vit_b_32: an image of %d x %d, but this network takes %d x %d only (it has %d positions)",
                 cases[i].size + 1, cases[i].size, cases[i].size, cases[i].size, cases[i].positions);
        ck_assert_str_eq(err.message, message);
        psal_graph_free(graph);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
    psal_tensor_map *map = bare("vit_b_32", 0.0625, 7);
    reshape(map, "encoder.pos_embedding", PSAL_SHAPE(1, 12, 48));
    ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "12 positions are not those of a square of patches and a class token"));
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("model");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_filter_norm);
    tcase_add_test(tcase, test_lookups);
    tcase_add_loop_test(tcase, test_image_sizes, 0, 22);
    tcase_add_test(tcase, test_options_reach_the_graph);
    tcase_add_test(tcase, test_transformer_sizes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
