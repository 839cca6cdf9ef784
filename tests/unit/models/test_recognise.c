/* What is read off names and shapes, what off metadata, and what is said when it does not fit. */
#include "fixtures.h"

static const psal_model_info *info_of(const psal_tensor_map *map, const psal_model_options *options,
                                      psal_model **model) {
    *model = load(map, options);
    return psal_model_get_info(*model);
}

START_TEST(test_widths) {
    static const struct {
        const char *arch;
        double width, recognised;
    } cases[] = {{"resnet18", 0.5, 0.5},       {"resnet18", 0.123, 0.123}, {"vgg11", 0.1875, 0.1875},
                 {"inception_v3", 2, 2},       {"densenet121", 1.5, 1.5},  {"resnet50", 1.25, 1.25},
                 {"vgg16_bn", 0.0002, 0.0001}, {"resnet34", 0.01, 0.01},   {"resnext50_32x4d", 0.5, 0.5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, cases[i].width, 3);
        psal_model *model;
        const psal_model_info *info = info_of(map, NULL, &model);
        ck_assert_str_eq(info->arch, cases[i].arch);
        ck_assert_msg(info->width == cases[i].recognised, "%s: %.17g, expected %.17g", cases[i].arch, info->width,
                      cases[i].recognised);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* Shapes allow an interval; the metadata says which number in it. */
START_TEST(test_recorded_width) {
    psal_tensor_map *map = bare("resnet18", 0.2505, 3); /* the same shapes as 0.25 */
    psal_model *model;
    ck_assert_double_eq(info_of(map, NULL, &model)->width, 0.25);
    psal_model_free(model);
    set_meta(map, "psal.width", "0.2505");
    ck_assert_double_eq(info_of(map, NULL, &model)->width, 0.2505);
    psal_model_free(model);
    set_meta(map, "psal.width", "0.3"); /* wrong: the shapes win */
    ck_assert_double_eq(info_of(map, NULL, &model)->width, 0.25);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_defaults) {
    static const struct {
        const char *arch, *family, *variant;
        double epsilon;
        int native_size, min_size;
    } cases[] = {{"resnet18", "resnet", "", 1e-5, 224, 1},
                 {"resnet50", "resnet", "v1.5", 1e-5, 224, 1},
                 {"vgg11", "vgg", "", 0, 224, 32},
                 {"vgg11_bn", "vgg", "", 1e-5, 224, 32},
                 {"densenet121", "densenet", "", 1e-5, 224, 29},
                 {"inception_v3", "inception", "", 1e-3, 299, 75},
                 {"alexnet", "alexnet", "", 0, 224, 63},
                 {"squeezenet1_0", "squeezenet", "", 0, 224, 21},
                 {"squeezenet1_1", "squeezenet", "", 0, 224, 17},
                 {"googlenet", "googlenet", "", 1e-3, 224, 15},
                 {"resnet34_cifar", "resnet", "", 1e-5, 32, 1},
                 {"resnet50_cifar", "resnet", "v1.5", 1e-5, 32, 1},
                 {"resnet50d", "resnet", "", 1e-5, 224, 1},
                 {"ecaresnetlight", "resnet", "", 1e-5, 224, 1},
                 {"mnasnet1_0", "mnasnet", "", 1e-5, 224, 1},
                 {"mobilenet_v2", "mobilenetv2", "", 1e-5, 224, 1},
                 {"mobilenet_v3_large", "mobilenetv3", "", 1e-3, 224, 1},
                 {"efficientnet_b3", "efficientnet", "", 1e-5, 300, 1},
                 {"efficientnet_b7", "efficientnet", "", 1e-3, 600, 1},
                 {"efficientnet_v2_s", "efficientnet", "", 1e-3, 384, 1},
                 {"convnext_tiny", "convnext", "", 0, 224, 32},
                 {"vit_b_32", "vit", "", 0, 224, 224}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, 0.125, 4);
        psal_model *model;
        const psal_model_info *info = info_of(map, NULL, &model);
        ck_assert_str_eq(info->family, cases[i].family);
        ck_assert_str_eq(info->variant, cases[i].variant);
        ck_assert_double_eq(info->bn_epsilon, cases[i].epsilon);
        ck_assert_int_eq(info->native_size, cases[i].native_size);
        ck_assert_int_eq(info->min_size, cases[i].min_size);
        ck_assert_int_eq(info->num_classes, 4);
        ck_assert(!info->transform_input);
        ck_assert_str_eq(info->preprocess, "");
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* Options before metadata before defaults. */
START_TEST(test_order) {
    psal_tensor_map *map = bare("resnet50", 0.125, 4);
    psal_model *model;
    set_meta(map, "psal.variant", "v1");
    set_meta(map, "psal.bn_epsilon", "0.002");
    set_meta(map, "psal.preprocess", "caffe");
    const psal_model_info *info = info_of(map, NULL, &model);
    ck_assert_str_eq(info->variant, "v1");
    ck_assert_double_eq(info->bn_epsilon, 0.002);
    ck_assert_str_eq(info->preprocess, "caffe");
    psal_model_free(model);
    info = info_of(map, &(psal_model_options){.variant = "v1.5", .bn_epsilon = 0.25}, &model);
    ck_assert_str_eq(info->variant, "v1.5");
    ck_assert_double_eq(info->bn_epsilon, 0.25);
    psal_model_free(model);
    psal_tensor_map_free(map);

    map = bare("inception_v3", 0.125, 4);
    set_meta(map, "psal.transform_input", "1");
    ck_assert(info_of(map, NULL, &model)->transform_input);
    psal_model_free(model);
    ck_assert(!info_of(map, &(psal_model_options){.transform_input = -1}, &model)->transform_input);
    psal_model_free(model);
    set_meta(map, "psal.transform_input", "false");
    ck_assert(!info_of(map, NULL, &model)->transform_input);
    psal_model_free(model);
    ck_assert(info_of(map, &(psal_model_options){.transform_input = 1}, &model)->transform_input);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* What shapes do not tell, a stem's stride and pooling or heads, is said, unless the file or the caller names the
 * architecture. */
START_TEST(test_assumed_arch) {
    static const struct {
        const char *arch, *other, *note;
    } cases[] = {
        {"resnet18_cifar", "resnet18",
         "assumed that the first convolution, of 3x3, has stride 1 and no pooling follows it (resnet18_cifar)"},
        {"seresnet18", "seresnet50",
         "assumed that no pooling takes the place of a stride: timm's resnetaa and resnetblur have the same names and "
         "shapes (seresnet18)"},
        {"vit_b_32", "vit_b_16", "assumed that attention has 12 heads (vit_b_32)"}};
    char notes[1024];
    psal_error err = PSAL_ERROR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arch = cases[i].arch;
        psal_tensor_map *map = bare(arch, 0.125, 3);
        psal_model *model = psal_model_load(map, NULL, notes, &err);
        ck_assert_str_eq(notes, cases[i].note);
        ck_assert(psal_model_get_info(model)->arch_assumed);
        psal_model_free(model);
        model = psal_model_load(map, &(psal_model_options){.arch = arch}, notes, &err);
        ck_assert_str_eq(notes, "");
        ck_assert(!psal_model_get_info(model)->arch_assumed);
        psal_model_free(model);
        set_meta(map, "psal.arch", arch);
        psal_model_free(psal_model_load(map, NULL, notes, &err));
        ck_assert_str_eq(notes, "");
        set_meta(map, "psal.arch", cases[i].other); /* wrong: the shapes win */
        psal_model_free(psal_model_load(map, NULL, notes, &err));
        ck_assert_str_eq(notes, cases[i].note);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* MNASNet's members are one network at several widths, which count in eights. */
START_TEST(test_eights) {
    static const struct {
        const char *arch, *found;
        double width, found_width;
    } cases[] = {{"mnasnet0_5", "mnasnet0_5", 1, 1},           {"mnasnet1_0", "mnasnet0_5", 0.5, 1},
                 {"mnasnet1_3", "mnasnet1_3", 1, 1},           {"mnasnet0_5", "mnasnet1_0", 0.5, 0.25},
                 {"mnasnet1_0", "mnasnet1_0", 3, 3},           {"mnasnet0_75", "mnasnet1_0", 0.8, 0.6},
                 {"mnasnet1_0", "mnasnet1_0", 0.001, 0.01},    {"mobilenet_v2", "mobilenet_v2", 1.4, 1.4},
                 {"mobilenet_v2", "mobilenet_v2", 0.35, 0.34}, {"mobilenet_v3_small", "mobilenet_v3_small", 0.75, 0.75},
                 {"efficientnet_b2", "efficientnet_b2", 1, 1}, {"efficientnet_b1", "efficientnet_b2", 1.1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, cases[i].width, 4);
        psal_model *model;
        const psal_model_info *info = info_of(map, NULL, &model);
        ck_assert_str_eq(info->arch, cases[i].found);
        ck_assert_msg(info->width == cases[i].found_width, "%s at %g: width %g", cases[i].arch, cases[i].width,
                      info->width);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* All channels 1: a ResNet-50 and a wide one have the same tensors. */
START_TEST(test_ambiguous) {
    psal_tensor_map *map = bare("wide_resnet50_2", 0.0001, 4);
    psal_model *model;
    ck_assert_str_eq(info_of(map, NULL, &model)->arch, "resnet50");
    psal_model_free(model);
    set_meta(map, "psal.arch", "wide_resnet50_2");
    ck_assert_str_eq(info_of(map, NULL, &model)->arch, "wide_resnet50_2");
    psal_model_free(model);
    set_meta(map, "psal.arch", "vgg11"); /* which it cannot be */
    ck_assert_str_eq(info_of(map, NULL, &model)->arch, "resnet50");
    psal_model_free(model);
    ck_assert_str_eq(info_of(map, &(psal_model_options){.arch = "wide_resnet50_2"}, &model)->arch, "wide_resnet50_2");
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* What nobody said is told apart from what somebody did. */
START_TEST(test_assumed) {
    static const struct {
        const char *arch, *key, *value;
        psal_model_options wanted;
        bool variant, epsilon, transform;
    } cases[] = {{"resnet50", NULL, NULL, {0}, true, true, false},
                 {"resnet18", NULL, NULL, {0}, false, true, false},
                 {"vgg11", NULL, NULL, {0}, false, false, false},
                 {"inception_v3", NULL, NULL, {0}, false, true, true},
                 {"resnet50", "psal.variant", "v1.5", {0}, false, true, false},
                 {"resnet50", "psal.variant", "", {0}, true, true, false},
                 {"resnet50", "psal.bn_epsilon", "1e-5", {0}, true, false, false},
                 {"resnet50", NULL, NULL, {.variant = "v1", .bn_epsilon = 1e-3}, false, false, false},
                 {"inception_v3", "psal.transform_input", "0", {0}, false, true, false},
                 {"inception_v3", NULL, NULL, {.transform_input = -1}, false, true, false},
                 {"inception_v3", NULL, NULL, {.transform_input = 1, .bn_epsilon = 1e-3}, false, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare(cases[i].arch, 0.125, 4);
        psal_model *model;
        if (cases[i].key) set_meta(map, cases[i].key, cases[i].value);
        const psal_model_info *info = info_of(map, &cases[i].wanted, &model);
        ck_assert_msg(info->variant_assumed == cases[i].variant && info->bn_epsilon_assumed == cases[i].epsilon &&
                          info->transform_input_assumed == cases[i].transform,
                      "case %zu: %d %d %d", i, info->variant_assumed, info->bn_epsilon_assumed,
                      info->transform_input_assumed);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_bad_options) {
    psal_tensor_map *map = bare("vgg11", 0.125, 4);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_model_load(map, &(psal_model_options){.arch = "vgg12"}, NULL, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(strncmp(err.message, "unknown architecture 'vgg12': known are resnet18, resnet34, ", 59), 0);
    ck_assert_ptr_nonnull(strstr(err.message, "inception_v3"));
    refuse(map, &(psal_model_options){.variant = "v2"}, PSAL_ERR_ARGUMENT, "variant 'v2' is neither v1 nor v1.5");
    refuse(map, &(psal_model_options){.variant = "v1"}, PSAL_ERR_ARGUMENT, "variant v1 is for ResNets, not for vgg11");
    refuse(map, &(psal_model_options){.transform_input = 1}, PSAL_ERR_ARGUMENT,
           "transform_input is for inception_v3 and googlenet, not for vgg11");
    refuse(map, &(psal_model_options){.bn_epsilon = -1}, PSAL_ERR_ARGUMENT, "batch-norm epsilon -1 is not above 0");
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_bad_metadata) {
    static const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"psal.width", "wide", "metadata psal.width is 'wide', expected a number"},
        {"psal.width", "0.5x", "metadata psal.width is '0.5x', expected a number"},
        {"psal.width", "", "metadata psal.width is '', expected a number"},
        {"psal.bn_epsilon", "nan", "metadata psal.bn_epsilon is 'nan', expected a number"},
        {"psal.bn_epsilon", "-1", "metadata psal.bn_epsilon is '-1', expected a number"},
        {"psal.variant", "v3", "metadata: variant 'v3' is neither v1 nor v1.5"},
        {"psal.transform_input", "maybe", "metadata psal.transform_input is 'maybe', expected 0 or 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = bare("resnet18", 0.125, 4);
        set_meta(map, cases[i].key, cases[i].value);
        refuse(map, NULL, PSAL_ERR_FORMAT, cases[i].message);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_unknown_network) {
    psal_tensor_map *map = psal_tensor_map_new();
    refuse(map, NULL, PSAL_ERR_FORMAT, "the checkpoint holds no tensors");
    refuse(map, &(psal_model_options){.arch = "vgg19"}, PSAL_ERR_FORMAT, "the checkpoint holds no tensors");
    add(map, "a", PSAL_SHAPE(1));
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "not a known architecture (ResNet, ResNeXt, Wide ResNet, VGG, DenseNet, Inception-v3, AlexNet, SqueezeNet, "
           "GoogLeNet, RegNet, MNASNet, MobileNetV2, MobileNetV3, EfficientNet, ShuffleNetV2, ConvNeXt, ViT): "
           "has tensors 'a' (1)" WAY_OUT);
    add(map, "b\nc", PSAL_SHAPE(2));
    for (int i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", i);
        add(map, name, PSAL_SHAPE(1, 2));
    }
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "not a known architecture (ResNet, ResNeXt, Wide ResNet, VGG, DenseNet, Inception-v3, AlexNet, SqueezeNet, "
           "GoogLeNet, RegNet, MNASNet, MobileNetV2, MobileNetV3, EfficientNet, ShuffleNetV2, ConvNeXt, ViT): "
           "has tensors 'a' (1), 'b?c' (2), 't0' (1x2), 't1' (1x2), ... (7 in all)" WAY_OUT);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_missing_tensor) {
    psal_tensor_map *map = bare("resnet50", 0.25, 10);
    drop(map, "layer3.2.conv1.weight");
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "looks like resnet50 (width 0.25, 10 classes), but tensor 'layer3.2.conv1.weight' is "
           "missing" WAY_OUT);
    drop(map, "bn1.running_var");
    drop(map, "conv1.weight");
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "looks like resnet50 (width 0.25, 10 classes), but tensor 'conv1.weight' is missing "
           "(and 2 more do not fit)" WAY_OUT);
    drop(map, "fc.weight"); /* the classes cannot be counted any more */
    refuse(map, &(psal_model_options){.arch = "resnet50"}, PSAL_ERR_FORMAT,
           "not a checkpoint of resnet50: tensor 'conv1.weight' is missing (and 4 more do not fit)");
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_wrong_shape) {
    psal_tensor_map *map = bare("resnet18", 1, 10);
    reshape(map, "conv1.weight", PSAL_SHAPE(64, 3, 5, 5));
    refuse(map, NULL, PSAL_ERR_SHAPE,
           "looks like resnet18 (width 1, 10 classes), but tensor 'conv1.weight' has shape "
           "64x3x5x5, expected 64x3x7x7" WAY_OUT);
    psal_tensor_map_free(map);

    map = bare("vgg11", 0.25, 10); /* a damaged layer does not spoil the width, wherever it is */
    reshape(map, "features.0.weight", PSAL_SHAPE(1000, 3, 3, 3));
    refuse(map, NULL, PSAL_ERR_SHAPE,
           "looks like vgg11 (width 0.25, 10 classes), but tensor 'features.0.weight' has shape "
           "1000x3x3x3, expected 16x3x3x3" WAY_OUT);
    psal_tensor_map_free(map);

    map = bare("densenet121", 1, 10);
    reshape(map, "classifier.bias", PSAL_SHAPE(9));
    refuse(map, NULL, PSAL_ERR_SHAPE,
           "looks like densenet121 (width 1, 10 classes), but tensor 'classifier.bias' has shape "
           "9, expected 10" WAY_OUT);
    reshape(map, "classifier.bias", (psal_shape){0});
    refuse(map, NULL, PSAL_ERR_SHAPE,
           "looks like densenet121 (width 1, 10 classes), but tensor 'classifier.bias' has shape "
           "scalar, expected 10" WAY_OUT);
    psal_tensor_map_free(map);

    map = bare("inception_v3", 0.25, 10); /* out of the graph, but wrong all the same */
    reshape(map, "AuxLogits.conv1.conv.weight", PSAL_SHAPE(192, 32, 3, 3));
    refuse(map, NULL, PSAL_ERR_SHAPE,
           "looks like inception_v3 (width 0.25, 10 classes), but tensor "
           "'AuxLogits.conv1.conv.weight' has shape 192x32x3x3, expected 192x32x5x5" WAY_OUT);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_another_architecture) {
    psal_tensor_map *map = bare("resnet50", 1, 1000);
    refuse(map, &(psal_model_options){.arch = "vgg19"}, PSAL_ERR_FORMAT,
           "not a checkpoint of vgg19: tensor 'features.0.weight' is missing (and 37 more do not "
           "fit); its tensors are those of resnet50");
    refuse(map, &(psal_model_options){.arch = "wide_resnet50_2"}, PSAL_ERR_SHAPE,
           "not a checkpoint of wide_resnet50_2: tensor 'layer1.0.conv1.weight' has shape 64x64x1x1, "
           "expected 128x64x1x1 (and 175 more do not fit); its tensors are those of resnet50");
    psal_tensor_map_free(map);
    map = bare("resnet18", 1, 1000);
    refuse(map, &(psal_model_options){.arch = "resnet34"}, PSAL_ERR_FORMAT,
           "not a checkpoint of resnet34: tensor 'layer1.2.conv1.weight' is missing (and 79 more do "
           "not fit); its tensors are those of resnet18");
    drop(map, "conv1.weight");
    refuse(map, &(psal_model_options){.arch = "inception_v3"}, PSAL_ERR_FORMAT,
           "not a checkpoint of inception_v3: tensor 'Conv2d_1a_3x3.conv.weight' is missing (and 470 "
           "more do not fit)");
    psal_tensor_map_free(map);
}
END_TEST

/* A shape that no width explains must not be taken for one, nor overflow on the way. */
START_TEST(test_absurd_shapes) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    const psal_shape absurd = PSAL_SHAPE(INT64_MAX / 16, 1, 1, 1), flat = PSAL_SHAPE(INT64_MAX / 16, 1);
    static float nothing;
    ck_assert_int_eq(psal_tensor_map_add_view(map, "conv1.weight", PSAL_F32, &absurd, &nothing, &err), PSAL_OK);
    ck_assert_int_eq(psal_tensor_map_add_view(map, "fc.weight", PSAL_F32, &flat, &nothing, &err), PSAL_OK);
    ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
    ck_assert_ptr_null(psal_model_load(map, &(psal_model_options){.arch = "resnet50"}, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "not a checkpoint of resnet50"));
    psal_tensor_map_free(map);
}
END_TEST

RUN_TESTS("recognise", test_widths, test_recorded_width, test_assumed_arch, test_eights, test_defaults, test_order,
          test_ambiguous, test_assumed, test_bad_options, test_bad_metadata, test_unknown_network, test_missing_tensor,
          test_wrong_shape, test_another_architecture, test_absurd_shapes)
