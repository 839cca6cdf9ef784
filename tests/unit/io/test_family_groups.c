/* The stages that figures name, for a member of each family: the longest of each kind of names. */
#include "io/layer_groups.h"
#include "models/model.h"
#include "tests/unit/io/scratch.h"

/* "NAME LAYERS, ..." */
static const struct {
    const char *arch;
    double width;
    psal_units units;
    const char *groups;
} cases[] = {
    {"resnet50", 0.0625, PSAL_UNITS_FILTERS, "conv1 1, layer1 10, layer2 13, layer3 19, layer4 10"},
    {"resnet18_cifar", 0.0625, PSAL_UNITS_FILTERS, "conv1 1, layer1 4, layer2 5, layer3 5, layer4 5"},
    {"seresnet50t", 0.0625, PSAL_UNITS_FILTERS, "conv1 3, layer1 16, layer2 21, layer3 31, layer4 16"},
    {"ecaresnet26t", 0.0625, PSAL_UNITS_ROWS, "conv1 3, layer1 9, layer2 9, layer3 9, layer4 9, fc 1"},
    {"vgg16", 0.03125, PSAL_UNITS_FILTERS,
     "features.0 1, features.2 1, features.5 1, features.7 1, features.10 1, features.12 1, features.14 1, features.17 "
     "1, features.19 1, features.21 1, features.24 1, features.26 1, features.28 1"},
    {"densenet121", 0.125, PSAL_UNITS_FILTERS,
     "conv0 1, denseblock1 12, transition1 1, denseblock2 24, transition2 1, denseblock3 48, transition3 1, "
     "denseblock4 32"},
    {"inception_v3", 0.0625, PSAL_UNITS_FILTERS,
     "Conv2d_1a_3x3 1, Conv2d_2a_3x3 1, Conv2d_2b_3x3 1, Conv2d_3b_1x1 1, Conv2d_4a_3x3 1, Mixed_5b 7, Mixed_5c 7, "
     "Mixed_5d 7, Mixed_6a 4, Mixed_6b 10, Mixed_6c 10, Mixed_6d 10, Mixed_6e 10, AuxLogits 2, Mixed_7a 6, Mixed_7b 9, "
     "Mixed_7c 9"},
    {"googlenet", 0.125, PSAL_UNITS_FILTERS,
     "conv1 1, conv2 1, conv3 1, inception3a 6, inception3b 6, inception4a 6, inception4b 6, inception4c 6, "
     "inception4d 6, inception4e 6, inception5a 6, inception5b 6, aux1 1, aux2 1"},
    {"alexnet", 0.0625, PSAL_UNITS_FILTERS, "features.0 1, features.3 1, features.6 1, features.8 1, features.10 1"},
    {"squeezenet1_1", 0.25, PSAL_UNITS_FILTERS,
     "features.0 1, features.3 3, features.4 3, features.6 3, features.7 3, features.9 3, features.10 3, features.11 "
     "3, features.12 3, classifier 1"},
    {"regnet_y_400mf", 0.25, PSAL_UNITS_FILTERS, "stem 1, block1 6, block2 16, block3 31, block4 31"},
    {"mnasnet0_5", 0.5, PSAL_UNITS_FILTERS,
     "layers.0 1, layers.3 1, layers.6 1, layers.8 9, layers.9 9, layers.10 9, layers.11 6, layers.12 12, layers.13 3, "
     "layers.14 1"},
    {"mobilenet_v2", 0.5, PSAL_UNITS_FILTERS,
     "features.0 1, features.1 2, features.2 3, features.3 3, features.4 3, features.5 3, features.6 3, features.7 3, "
     "features.8 3, features.9 3, features.10 3, features.11 3, features.12 3, features.13 3, features.14 3, "
     "features.15 3, features.16 3, features.17 3, features.18 1"},
    {"mobilenet_v3_small", 0.5, PSAL_UNITS_FILTERS,
     "features.0 1, features.1 4, features.2 3, features.3 3, features.4 5, features.5 5, features.6 5, features.7 5, "
     "features.8 5, features.9 5, features.10 5, features.11 5, features.12 1"},
    {"shufflenet_v2_x0_5", 0.5, PSAL_UNITS_FILTERS, "conv1 1, stage2 14, stage3 26, stage4 14, conv5 1"},
    {"efficientnet_b0", 0.5, PSAL_UNITS_FILTERS,
     "features.0 1, features.1 4, features.2 10, features.3 10, features.4 15, features.5 15, features.6 20, "
     "features.7 5, features.8 1"},
    {"efficientnet_v2_s", 0.25, PSAL_UNITS_FILTERS,
     "features.0 1, features.1 2, features.2 8, features.3 8, features.4 30, features.5 45, features.6 75, features.7 "
     "1"},
    {"convnext_tiny", 0.0625, PSAL_UNITS_FILTERS,
     "features.0 1, features.1 3, features.2 1, features.3 3, features.4 1, features.5 9, features.6 1, features.7 3"},
    {"densenet121", 0.125, PSAL_UNITS_ROWS,
     "conv0 1, denseblock1 12, transition1 1, denseblock2 24, transition2 1, denseblock3 48, transition3 1, "
     "denseblock4 32, "
     "classifier 1"},
    {"vit_b_16", 0.0625, PSAL_UNITS_ROWS,
     "conv_proj 1, encoder_layer_0 4, encoder_layer_1 4, encoder_layer_2 4, encoder_layer_3 4, encoder_layer_4 4, "
     "encoder_layer_5 4, encoder_layer_6 4, encoder_layer_7 4, encoder_layer_8 4, encoder_layer_9 4, encoder_layer_10 "
     "4, encoder_layer_11 4, heads 1"},
};

START_TEST(test_stages_of_families) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_model_blank(cases[_i].arch, cases[_i].width, 5, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    psal_model *model = psal_model_load(map, NULL, NULL, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    ck_assert_str_eq(psal_model_get_info(model)->arch, cases[_i].arch);
    psal_figure_layer *layers = calloc((size_t)psal_model_parameter_count(model), sizeof *layers);
    size_t count = 0, groups_count;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        const int64_t first = p->first_unit[cases[_i].units];
        if (first >= 0) layers[count++] = (psal_figure_layer){p->name, first, psal_parameter_outputs(p).count, NULL};
    }
    ck_assert(!fig_layers_check(layers, count, psal_model_unit_count(model, cases[_i].units), &err));
    fig_group *groups;
    ck_assert(!fig_groups_make(layers, count, &groups, &groups_count, &err));
    char text[2000] = "";
    for (size_t i = 0; i < groups_count; i++)
        sprintf(text + strlen(text), "%s%s %zu", i ? ", " : "", groups[i].name, groups[i].layer_count);
    ck_assert_str_eq(text, cases[_i].groups);
    free(groups);
    free(layers);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("family groups");
    tcase_add_loop_test(tests, test_stages_of_families, 0, (int)(sizeof cases / sizeof *cases));
    return run_case("family groups", tests);
}
