/* Keras' ResNets: both namings, layouts, and the biases in the running means. */
#include "fixtures.h"
#include "keras_names.h"
#include "models/keras.h"

/* O,I,H,W to H,W,I,O; O,I to I,O. */
static void add_transposed(psal_tensor_map *map, const char *name, const psal_tensor *t) {
    const int64_t *d = t->shape.dim, plane = t->shape.ndim == 4 ? d[2] * d[3] : 1;
    add(map, name, t->shape.ndim == 4 ? PSAL_SHAPE(d[2], d[3], d[1], d[0]) : PSAL_SHAPE(d[1], d[0]));
    float *to = floats(map, name);
    const float *from = t->data;
    for (int64_t o = 0; o < d[0]; o++)
        for (int64_t i = 0; i < d[1]; i++)
            for (int64_t p = 0; p < plane; p++) to[(p * d[1] + i) * d[0] + o] = from[(o * d[1] + i) * plane + p];
}

static psal_tensor_map *as_keras(const psal_tensor_map *torch, keras_naming how) {
    psal_tensor_map *map = psal_tensor_map_new();
    for (size_t k = 0; k < psal_tensor_map_count(torch); k++) {
        const psal_tensor *t = psal_tensor_map_at(torch, k);
        char name[150];
        keras_name(psal_tensor_map_name(torch, k), how, name);
        if (t->shape.ndim > 1) {
            add_transposed(map, name, t);
        } else {
            add(map, name, t->shape);
            memcpy(floats(map, name), t->data, (size_t)t->shape.dim[0] * sizeof(float));
        }
        char *kernel = strstr(name, "/kernel");
        if (t->shape.ndim == 4) {
            strcpy(kernel, how == KERAS_HDF5 ? "/bias:0" : "/bias");
            add(map, name, PSAL_SHAPE(t->shape.dim[0]));
            for (int64_t o = 0; o < t->shape.dim[0]; o++)
                floats(map, name)[o] = 0.125f * (float)(o % 5); /* exact in sums */
        }
    }
    return map;
}

START_TEST(test_conversion) {
    psal_tensor_map *torch = bare("resnet50", 0.125, 7);
    fill(torch);
    psal_tensor_map *keras = as_keras(torch, (keras_naming)_i);
    psal_model *expected = load(torch, NULL), *model = load(keras, NULL);
    const psal_model_info *info = psal_model_get_info(model);
    ck_assert_str_eq(info->arch, "resnet50");
    ck_assert_double_eq(info->width, 0.125);
    ck_assert_str_eq(info->variant, "v1");
    ck_assert_double_eq(info->bn_epsilon, _i == KERAS_LATER ? 1.001e-5 : 1e-3);
    ck_assert_str_eq(info->preprocess, "caffe");
    ck_assert(!info->variant_assumed && !info->bn_epsilon_assumed);
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *a = psal_model_get_parameter(expected, i), *b = psal_model_get_parameter(model, i);
        ck_assert_str_eq(a->name, b->name);
        for (int64_t k = 0; k < psal_shape_count(&a->shape); k++)
            ck_assert_msg(a->values[k] == b->values[k], "%s[%d]: %g, expected %g", a->name, (int)k,
                          (double)b->values[k], (double)a->values[k]);
    }
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *out = psal_model_export(model, NULL, &err);
    ck_assert_uint_eq(psal_tensor_map_count(out), psal_tensor_map_count(torch));
    for (size_t i = 0; i < psal_tensor_map_count(torch); i++) {
        const char *name = psal_tensor_map_name(torch, i);
        const float *was = floats(torch, name), *is = floats(out, name);
        const int64_t count = psal_shape_count(&psal_tensor_map_at(torch, i)->shape);
        const bool mean = strstr(name, "running_mean");
        for (int64_t k = 0; k < count; k++) ck_assert_float_eq(is[k], mean ? was[k] - 0.125f * (float)(k % 5) : was[k]);
    }
    psal_tensor_map_free(out);
    psal_model_free(model);
    psal_model_free(expected);
    psal_tensor_map_free(keras);
    psal_tensor_map_free(torch);
}
END_TEST

/* Without biases (Keras' use_bias=False) the means stay; options and metadata overrule the naming.
 */
START_TEST(test_options) {
    psal_tensor_map *torch = bare("resnet50", 0.0625, 3);
    psal_tensor_map *keras = as_keras(torch, KERAS_FIRST);
    floats(keras, "bn_conv1/moving_mean")[1] = 5;
    drop(keras, "conv1/bias");
    set_meta(keras, "psal.format", "tfjs-layers");
    set_meta(keras, "psal.bn_epsilon", "0.0001");
    set_meta(keras, "psal.preprocess", "torchvision");
    psal_model *model = load(keras, &(psal_model_options){.variant = "v1.5"});
    const psal_model_info *info = psal_model_get_info(model);
    ck_assert_str_eq(info->variant, "v1.5");
    ck_assert_double_eq(info->bn_epsilon, 1e-4);
    ck_assert_str_eq(info->preprocess, "torchvision");
    ck_assert_ptr_null(psal_model_metadata(model, "psal.format"));
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *out = psal_model_export(model, NULL, &err);
    ck_assert_float_eq(floats(out, "bn1.running_mean")[1], 5);
    psal_tensor_map_free(out);
    psal_model_free(model);
    psal_tensor_map_free(keras);
    psal_tensor_map_free(torch);
}
END_TEST

/* The topology tells what names alone leave open. */
START_TEST(test_description) {
    static const struct {
        const char *strides, *epsilon, *variant;
        double expected;
    } cases[] = {
        {"conv1 2x2\nres3a_branch2a 2x2\nres3a_branch1 2x2\n", "0.001", "v1", 1e-3},
        {"conv1 2x2\nres3a_branch2b 2x2\nres3a_branch1 2x2", "1.001e-05", "v1.5", 1.001e-5},
        {"conv3_block1_2_conv 2x2", "0.5", "v1.5", 0.5},
        {"res3a_branch2aa 2x2\n\n \nres3a_branch2b", "", "v1.5", 1e-3},
        {"nothing", "-1", "v1", 1e-3},
        {"", "nan", "v1", 1e-3},
    };
    psal_tensor_map *torch = bare("resnet50", 0.0625, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *keras = as_keras(torch, KERAS_FIRST);
        set_meta(keras, "keras.strides", cases[i].strides);
        set_meta(keras, "keras.batch_norm_epsilon", cases[i].epsilon);
        psal_model *model = load(keras, NULL);
        ck_assert_str_eq(psal_model_get_info(model)->variant, cases[i].variant);
        ck_assert_double_eq(psal_model_get_info(model)->bn_epsilon, cases[i].expected);
        psal_model_free(model);
        psal_tensor_map_free(keras);
    }
    psal_tensor_map_free(torch);
}
END_TEST

START_TEST(test_errors) {
    psal_tensor_map *torch = bare("resnet50", 0.0625, 3);
    psal_tensor_map *keras = as_keras(torch, KERAS_FIRST);
    drop(keras, "res3b_branch2a/kernel");
    refuse(keras, NULL, PSAL_ERR_FORMAT,
           "looks like resnet50 (width 0.0625, 3 classes), but tensor 'layer2.1.conv1.weight' is "
           "missing" WAY_OUT);
    add(keras, "res3b_branch2a/kernel", PSAL_SHAPE(1, 1, 32));
    refuse(keras, NULL, PSAL_ERR_SHAPE, "tensor 'res3b_branch2a/kernel' has shape 1x1x32, expected 4 dimensions");
    reshape(keras, "res3b_branch2a/kernel", PSAL_SHAPE(1, 1, 32, 8));
    reshape(keras, "fc1000/kernel", PSAL_SHAPE(128, 3, 1));
    refuse(keras, NULL, PSAL_ERR_SHAPE, "tensor 'fc1000/kernel' has shape 128x3x1, expected 2 dimensions");
    reshape(keras, "fc1000/kernel", PSAL_SHAPE(128, 3));
    psal_model_free(load(keras, NULL)); /* repaired */
    reshape(keras, "res2a_branch1/bias", PSAL_SHAPE(17));
    refuse(keras, NULL, PSAL_ERR_SHAPE,
           "tensor 'res2a_branch1/bias' has shape 17, but 'res2a_branch1/kernel' has 16 outputs");
    reshape(keras, "res2a_branch1/bias", PSAL_SHAPE(16));
    drop(keras, "bn2a_branch1/moving_mean");
    refuse(keras, NULL, PSAL_ERR_FORMAT,
           "looks like resnet50 (width 0.0625, 3 classes), but tensor 'layer1.0.downsample.1.running_mean' is "
           "missing" WAY_OUT);
    add(keras, "bn2a_branch1/moving_mean", PSAL_SHAPE(16));
    add(keras, "conv1_conv/kernel", PSAL_SHAPE(7, 7, 3, 4)); /* conv1 by its later name */
    refuse(keras, NULL, PSAL_ERR_FORMAT,
           "tensors 'conv1/kernel' and 'conv1_conv/kernel' are both 'conv1.weight' of the network");
    psal_tensor_map_free(keras);
    psal_tensor_map_free(torch);
}
END_TEST

START_TEST(test_not_keras) {
    static const char *const names[] = {"conv1",
                                        "conv1/",
                                        "/kernel",
                                        "conv1/kernels",
                                        "conv1/gamma",
                                        "bn_conv1/kernel",
                                        "res6a_branch1/kernel",
                                        "res1a_branch1/kernel",
                                        "resxa_branch1/kernel",
                                        "res2A_branch1/kernel",
                                        "res2a_branch3/kernel",
                                        "res2a_branch2d/kernel",
                                        "res2a_branch2aa/kernel",
                                        "res2a/kernel",
                                        "res2a_branch/kernel",
                                        "conv6_block1_1_conv/kernel",
                                        "conv1_block1_1_conv/kernel",
                                        "conv2_block0_1_conv/kernel",
                                        "conv2_block1_4_conv/kernel",
                                        "conv2_block1_1_bn/kernel",
                                        "conv2_block1_1_conv/gamma",
                                        "conv2_block1_1_/kernel",
                                        "conv2_block99999_1_conv/kernel",
                                        "conv_block1_1_conv/kernel",
                                        "fc1000/kernel",
                                        "res/kernel",
                                        "bn/gamma",
                                        "",
                                        ":0",
                                        "/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(!net_is_keras_name(names[i]), "'%s' was taken for Keras'", names[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("keras");
    TCase *tcase = tcase_create("keras");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_conversion, KERAS_FIRST, KERAS_HDF5 + 1);
    tcase_add_test(tcase, test_options);
    tcase_add_test(tcase, test_description);
    tcase_add_test(tcase, test_errors);
    tcase_add_test(tcase, test_not_keras);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
